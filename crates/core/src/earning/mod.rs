//! Earning: activities, the rules that look at them, and what each rule gives.

mod activity;
mod cost;
mod counter;
mod evaluate;
mod history;
mod rule;
mod window;

pub use activity::{Activity, ActivityLine, round_half_away};
pub use counter::{Counted, Counter, CounterOf, Tally};
pub use evaluate::{Outcome, evaluate};
pub use history::{History, KindHistory, NEVER_DAYS, ReturnedPurchase};
pub use rule::{CompiledRule, Effect, Rule};
pub use window::Window;
