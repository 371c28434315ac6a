//! Earning: activities, the rules that look at them, and what each rule gives.

mod activity;
mod cost;
mod evaluate;
mod rule;

pub use activity::{Activity, ActivityLine, round_half_away};
pub use evaluate::{Outcome, evaluate};
pub use rule::{CompiledRule, Effect, Rule};
