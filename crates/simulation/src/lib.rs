//! Seeded simulation of the whole path of a command, on several nodes over one database, with a reference model beside.
//!
//! What goes wrong in here is a defect of the simulation and must stop it at once, hence the `expect`s.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

pub mod fixtures;
mod life;
mod model;
mod orders;
mod wishes;
mod world;

pub use world::{Summary, run, run_on};
