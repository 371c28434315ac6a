//! Backtests: what was recorded, through the rules in force and through a draft of them, side by side.
//!
//! Each side is fed the same entries in the order in which they were recorded, decides them by the kernel over accounts of
//! its own in RAM, and lets time pass in between, so that points mature and expire. What it counts are the transfers that
//! the kernel made. Orders, corrections by hand, merges and closed accounts happen on both sides as they did.

mod compare;
mod entry;
mod figures;
mod program;
mod side;

pub use compare::{Affected, Comparison, CurrencyComparison, Group, Pair, compare};
pub use entry::{Entry, Happened};
pub use figures::{Flows, Segment};
pub use program::{all_the_time, in_place};
pub use side::{Period, Refused, Side, SideReport};
