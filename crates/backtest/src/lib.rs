//! Runs backtests: what was recorded or is in a file, through the rules in force and through a draft of them, side by side
//! on two threads.

mod programs;
mod run;
mod sources;

pub use programs::Programs;
pub use run::{Backtest, Feed, Ran, run};
pub use sources::{from_file, from_ledger};
