//! The levels in force, ready to decide: who qualifies for which, and what is missing for the next.

use std::fmt;
use std::sync::Arc;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::FACTOR_PREFIX;
use super::level::{Period, Qualification, Span, Tier};
use super::standing::{Figures, Held, Standing, month_number};
use crate::earning::{Beneficiary, CompiledRule, Effect, History, Rule, Trigger};
use crate::ledger::CurrencyId;
use crate::time::{Calendar, Day, Timestamp};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Growth value.
    Growth,
    /// Money spent, in minor units.
    Spend,
    /// Purchases.
    Orders,
    /// Local days since the latest purchase: fewer are better.
    WithinDays,
}

/// A figure beside what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Of what.
    pub measure: Measure,
    /// What it is.
    pub value: i64,
    /// What is asked for: at least, and of days at most.
    pub needed: i64,
}

impl Measured {
    /// Whether it is reached.
    pub fn is_reached(&self) -> bool {
        if self.measure == Measure::WithinDays { self.value <= self.needed } else { self.value >= self.needed }
    }

    /// How much is missing; of days nothing can be missing.
    pub fn missing(&self) -> i64 {
        if self.measure == Measure::WithinDays { 0 } else { self.needed.saturating_sub(self.value).max(0) }
    }

    /// How much of it is there, 0 to 100.
    pub fn percent(&self) -> i64 {
        if self.is_reached() {
            return 100;
        }
        if self.measure == Measure::WithinDays || self.needed <= 0 {
            return 0;
        }
        let share = i128::from(self.value.max(0)) * 100 / i128::from(self.needed);
        i64::try_from(share).map_or(0, |share| share.clamp(0, 99))
    }
}

/// How far a member is on one way to a tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Over which stretch of time.
    pub window: Span,
    /// All that must be reached.
    pub measures: Vec<Measured>,
}

impl Progress {
    /// Whether all of it is reached.
    pub fn is_reached(&self) -> bool {
        self.measures.iter().all(Measured::is_reached)
    }

    /// How much of it is there: the least of the measures, 0 to 100.
    pub fn percent(&self) -> i64 {
        self.measures.iter().map(Measured::percent).min().unwrap_or(100)
    }
}

/// The moment at which figures are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The moment.
    pub at: Timestamp,
    /// Its local day.
    pub day: Day,
    /// Its local month, counted from the year 0.
    month: i32,
}

impl Moment {
    /// By the program's calendar.
    pub fn new(calendar: &Calendar, at: Timestamp) -> Self {
        let day = calendar.day_of(at);
        Self { at, day, month: month_number(day) }
    }
}

/// One version of a level, ready to decide.
pub struct CompiledTier {
    /// As written.
    pub tier: Tier,
    /// Which version.
    pub version: i64,
    /// Its factors, as rules that hold for members of the tier.
    pub factors: Vec<Arc<CompiledRule>>,
    minor_per_major: i64,
}

impl CompiledTier {
    /// Makes the factors into rules. `minor_per_major`: minor units of money in one major unit.
    pub fn compile(tier: Tier, version: i64, minor_per_major: i64) -> Result<Self, String> {
        let rules = tier.benefits.factors.iter().map(|factor| Rule {
            id: format!("{FACTOR_PREFIX}{}", tier.id),
            name: tier.name.clone(),
            trigger: Trigger::One("purchase".to_owned()),
            condition: Some(format!("tier.id == '{}'", tier.id)),
            effect: Effect::Multiply { factor: factor.factor, rule: None, lines: None },
            beneficiary: Beneficiary::Member,
            currency: factor.currency,
            funding: factor.funding,
            pending_days: factor.pending_days,
            pending_until: factor.pending_until,
            priority: 0,
            exclusive: None,
            stop: false,
            campaign: None,
            arm: None,
            caps: Vec::new(),
        });
        let compile = |rule| CompiledRule::compile(rule, version, Timestamp::ZERO, true).map(Arc::new);
        let factors = rules.map(compile).collect::<Result<_, _>>()?;
        Ok(Self { tier, version, factors, minor_per_major })
    }

    /// How far a member is on one of its ways.
    fn progress_on(&self, way: &Qualification, standing: &Standing, history: &History, moment: Moment) -> Progress {
        let figures = figures(way.window, standing, moment);
        let least = |value: i64, measure, needed: Option<i64>| {
            needed.map(|needed| Measured { measure, value: value.max(0), needed })
        };
        let within = way.within_days.map(|needed| {
            let value = history.days_since("purchase", moment.day);
            Measured { measure: Measure::WithinDays, value, needed }
        });
        let measures = [
            least(figures.growth, Measure::Growth, way.growth),
            least(figures.spend, Measure::Spend, way.spend.map(|spend| minor(spend, self.minor_per_major))),
            least(figures.orders, Measure::Orders, way.orders),
            within,
        ];
        Progress { window: way.window, measures: measures.into_iter().flatten().collect() }
    }

    /// How far a member is on each of its ways.
    pub fn progress(&self, standing: &Standing, history: &History, moment: Moment) -> Vec<Progress> {
        self.tier.qualify.iter().map(|way| self.progress_on(way, standing, history, moment)).collect()
    }

    /// The first of its ways on which a member qualifies.
    pub fn reached(&self, standing: &Standing, history: &History, moment: Moment) -> Option<Progress> {
        let ways = self.tier.qualify.iter().map(|way| self.progress_on(way, standing, history, moment));
        ways.into_iter().find(Progress::is_reached)
    }

    /// Held from a moment on.
    pub fn held(&self, calendar: &Calendar, since: Timestamp, from: Timestamp) -> Held {
        let review_at = self.tier.review.as_ref().map_or(Timestamp::NEVER, |review| match review.after {
            Period::Months(months) => calendar.end_of_month_after(from, months - 1),
            Period::Years(years) => {
                let months = i32::from(12 - calendar.local(from).month());
                calendar.end_of_month_after(from, months + 12 * (years - 1))
            }
            Period::Days(days) => calendar.end_of_day_after(from, days),
        });
        Held { tier: self.tier.id.clone(), rank: self.tier.rank, since, review_at, grace_until: None }
    }
}

impl fmt::Debug for CompiledTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tier {} version {}", self.tier.id, self.version)
    }
}

/// Money in minor units, rounded up: a threshold is reached or not.
fn minor(spend: Decimal, minor_per_major: i64) -> i64 {
    let exact = spend.checked_mul(Decimal::from(minor_per_major)).unwrap_or(Decimal::MAX);
    let whole = exact.round_dp_with_strategy(0, RoundingStrategy::ToPositiveInfinity);
    i64::try_from(whole).unwrap_or(i64::MAX)
}

/// What lies in a window that ends with a moment's day or month.
fn figures(window: Span, standing: &Standing, moment: Moment) -> Figures {
    let Moment { day, month, .. } = moment;
    let first = match window {
        Span::Lifetime => return standing.months.total(),
        Span::Days(days) => {
            return standing.days.between(day.0.saturating_sub(i32::from(days)).saturating_add(1), day.0);
        }
        Span::Months(months) => month.saturating_sub(i32::from(months)).saturating_add(1),
        Span::Month => month,
        Span::Quarter => month - month.rem_euclid(3),
        Span::Year => month - month.rem_euclid(12),
    };
    standing.months.between(first, month)
}

/// The levels in force at one time, the lowest first.
#[derive(Debug, Default)]
pub struct Ladder(Vec<Arc<CompiledTier>>);

impl Ladder {
    /// The levels, the lowest first.
    pub fn levels(&self) -> &[Arc<CompiledTier>] {
        &self.0
    }

    /// The level of a member: the one that was reached, or granted when that is higher.
    pub fn level_of(&self, standing: &Standing) -> Option<&Arc<CompiledTier>> {
        let reached = self.reached(standing);
        let granted = standing.granted.as_ref().and_then(|granted| self.named(&granted.tier, granted.rank));
        granted.filter(|granted| reached.is_none_or(|reached| granted.tier.rank > reached.tier.rank)).or(reached)
    }

    /// The level that a member has reached; the lowest when there is none and it is everyone's.
    pub fn reached(&self, standing: &Standing) -> Option<&Arc<CompiledTier>> {
        let held = standing.held.as_ref().and_then(|held| self.named(&held.tier, held.rank));
        held.or_else(|| self.0.first().filter(|level| level.tier.qualify.is_empty()))
    }

    /// A level by its id, or where it is gone the highest up to its rank.
    fn named(&self, id: &str, rank: u8) -> Option<&Arc<CompiledTier>> {
        let same = self.0.iter().find(|level| level.tier.id == id);
        same.or_else(|| self.0.iter().rev().find(|level| level.tier.rank <= rank))
    }

    /// The highest level for which a member qualifies, and how; of the lowest, which is everyone's, there is nothing to tell.
    pub fn qualified(
        &self,
        standing: &Standing,
        history: &History,
        moment: Moment,
    ) -> Option<(&Arc<CompiledTier>, Option<Progress>)> {
        self.0.iter().rev().find_map(|level| match level.reached(standing, history, moment) {
            None if level.tier.qualify.is_empty() => Some((level, None)),
            None => None,
            way => Some((level, way)),
        })
    }

    /// The level below another.
    pub fn below(&self, rank: u8) -> Option<&Arc<CompiledTier>> {
        self.0.iter().rev().find(|level| level.tier.rank < rank)
    }

    /// The level above a member's.
    pub fn above(&self, level: Option<&Arc<CompiledTier>>) -> Option<&Arc<CompiledTier>> {
        match level {
            None => self.0.first(),
            Some(level) => self.0.iter().find(|next| next.tier.rank > level.tier.rank),
        }
    }
}

/// The levels of a program through time.
#[derive(Debug, Default)]
pub struct Tiers {
    /// From when which levels hold, the earliest first.
    eras: Vec<(Timestamp, Ladder)>,
    none: Ladder,
    /// The currency that is tier value.
    pub growth: Option<CurrencyId>,
    /// Whether a level asks for a window of days.
    pub by_day: bool,
}

impl Tiers {
    /// From all versions of all levels: each with the moment from which it holds, and whether it is in force.
    pub fn new(versions: Vec<(Timestamp, bool, CompiledTier)>, growth: Option<CurrencyId>) -> Self {
        let versions: Vec<(Timestamp, bool, Arc<CompiledTier>)> =
            versions.into_iter().map(|(from, active, tier)| (from, active, Arc::new(tier))).collect();
        let mut moments: Vec<Timestamp> = versions.iter().map(|(from, ..)| *from).collect();
        moments.sort_unstable();
        moments.dedup();
        let ladder = |at: Timestamp| {
            let known = || versions.iter().filter(|(from, ..)| *from <= at);
            let newest = |tier: &CompiledTier| {
                known().filter(|(.., other)| other.tier.id == tier.tier.id).map(|(.., other)| other.version).max()
            };
            let in_force = known().filter(|(_, active, tier)| *active && newest(tier) == Some(tier.version));
            let mut levels: Vec<Arc<CompiledTier>> = in_force.map(|(.., tier)| Arc::clone(tier)).collect();
            levels.sort_by_key(|level| level.tier.rank);
            Ladder(levels)
        };
        let eras: Vec<(Timestamp, Ladder)> = moments.into_iter().map(|at| (at, ladder(at))).collect();
        let asks = |way: &Qualification| matches!(way.window, Span::Days(_));
        let by_day = versions.iter().any(|(_, active, tier)| *active && tier.tier.qualify.iter().any(asks));
        Self { eras, none: Ladder::default(), growth, by_day }
    }

    /// The levels that hold at a moment.
    pub fn at(&self, at: Timestamp) -> &Ladder {
        self.eras.iter().rev().find(|(from, _)| *from <= at).map_or(&self.none, |(_, ladder)| ladder)
    }

    /// From when on each of the ladders holds, the earliest first.
    pub fn moments(&self) -> impl Iterator<Item = Timestamp> {
        self.eras.iter().map(|(from, _)| *from)
    }

    /// The newest version of a level, also of one that is gone.
    pub fn level(&self, id: &str) -> Option<&Arc<CompiledTier>> {
        self.eras.iter().rev().find_map(|(_, ladder)| ladder.0.iter().find(|level| level.tier.id == id))
    }

    /// Whether there are levels, or there were.
    pub fn is_empty(&self) -> bool {
        self.eras.is_empty()
    }
}
