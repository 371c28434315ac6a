//! Seeded simulation of the whole path of a command, on several nodes over one database, with a reference model beside.
//!
//! What goes wrong in here is a defect of the simulation and must stop it at once, hence the `expect`s.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod baskets;
mod calendar;
mod catalogue;
mod commands;
mod dice;
mod earning;
pub mod fixtures;
mod fulfilment;
mod invariants;
mod life;
mod member;
mod model;
mod money;
mod offline;
mod orders;
mod receipts;
mod shelf;
mod shopping;
mod summary;
mod till;
mod till_wishes;
mod vouchers;
mod wishes;
mod world;

pub use fulfilment::{End, Ended, SCENARIOS, Scenario, run_fulfilments, run_scenario};
pub use summary::Summary;
pub use world::{run, run_on};
