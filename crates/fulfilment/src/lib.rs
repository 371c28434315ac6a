//! The steps of a fulfilment, in their order: what is read, written and asked, one after the other, and what each answer leads to.
//!
//! Nothing is done in here. Everything that is read, written or asked goes through [`Effects`], which the server does for real, and
//! the simulation one by one, with other nodes, people and crashes in between. What is decided between two effects is pure, in
//! `guerdon_core::fulfilment`; time and chance are given. So the simulation runs what the server runs, and a process may end
//! before and after each effect.

mod asking;
mod breaker;
mod callback;
mod differences;
mod effects;
mod handing;
mod records;
mod steps;
#[cfg(test)]
mod tests;
mod undo;

pub use breaker::circuit;
pub use callback::{Taken, take_result};
pub use differences::{Difference, MOST_DIFFERENCES, note};
pub use effects::{Aside, CodesWanted, Effects, Happened, Writing};
pub use handing::{Delivering, Supplier, supplier_of};
pub use records::{ASKED_FOR, DELIVERY, DIFFERENCE, SUPPLIER_STATE, delivered_at, delivery};
pub use steps::{go_on, settle_codes};
pub use undo::{follow, follow_watched};
