//! Earning: activities, the rules that look at them, what each rule gives, and what an account remembers of it.

mod act;
mod activity;
mod activity_kind;
mod audience;
mod buckets;
mod budget;
mod campaign;
mod caps;
mod counter;
mod evaluate;
mod expression;
mod facts;
mod history;
mod known;
mod lines;
mod prepare;
mod recent;
mod returns;
mod rule;
mod settle;
mod stacking;
mod window;

pub(crate) use activity_kind::Bodies;
pub(crate) use caps::validate as validate_caps;

pub use act::Act;
pub use activity::{Activity, ActivityLine, round_half_away};
pub use activity_kind::{ActivityKind, CompiledActivityKind};
pub use audience::{Audience, Onlooker};
pub use buckets::{Buckets, Sum};
pub use budget::{BudgetChange, BudgetKey, Budgets, Per, Spent};
pub use campaign::{Arm, Campaign, CompiledCampaign, Release, Schedule};
pub use caps::{Cap, CapScope, Over, ProgramCap, Trim};
pub use counter::{Counted, Counter, CounterName, CounterOf, Tally};
pub(crate) use evaluate::Moments;
pub use evaluate::{Outcome, evaluate};
pub use history::{History, KindHistory, NEVER_DAYS, ReturnedPurchase};
pub use known::Parties;
pub use prepare::{Candidate, PreparedActivity, prepare, shared_budgets};
pub use recent::{KindDays, Recent};
pub use returns::PreparedReturn;
pub use rule::{Beneficiary, Choice, CompiledRule, Effect, Exclusive, PendingUntil, Rule, Trigger};
pub use settle::{Earned, GrantedTier, Settled, Shared, Unsettled, settle};
pub use window::Window;
