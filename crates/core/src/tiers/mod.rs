//! Tiers: the levels of a program, who qualifies for them, what they give, and where a member stands.

mod ladder;
mod level;
mod standing;

pub use ladder::{CompiledTier, Ladder, Measure, Measured, Moment, Progress, Tiers};
pub use level::{Benefits, Factor, Landing, Period, Qualification, Review, Span, Tier};
pub use standing::{CountedFigures, Figures, Granted, Held, Standing, Step, TierReceipt, TierStep, month_number};

pub(crate) use level::validate;

/// The kind of activity that the program records by itself, for rules, when a member's tier changes.
pub const TIER_CHANGED: &str = "tier_changed";
/// How the ids of the rules begin that stand for the factors of tiers.
pub const FACTOR_PREFIX: &str = "tier:";
