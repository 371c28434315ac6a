//! Where a member stands: the tier, until when, and the figures by month from which it follows.

use serde::{Deserialize, Deserializer, Serialize};

use super::ladder::Progress;
use crate::earning::{Buckets, Sum};
use crate::ledger::CurrencyId;
use crate::limits;
use crate::time::{Day, Timestamp};

/// What tiers are reached by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Money spent, less what was returned, in minor units.
    pub spend: i64,
    /// Purchases, less those returned in full.
    pub orders: i64,
    /// Growth value.
    pub growth: i64,
}

impl Sum for Figures {
    fn plus(self, other: Self) -> Self {
        Self {
            spend: self.spend.saturating_add(other.spend),
            orders: self.orders.saturating_add(other.orders),
            growth: self.growth.saturating_add(other.growth),
        }
    }
}

/// What was added to the figures of a day; in receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedFigures {
    /// The local day: that of the purchase, when it is returned.
    pub day: Day,
    /// How much.
    #[serde(flatten)]
    pub figures: Figures,
    /// Whether days are told apart, because a tier asks for a window of days.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_day: bool,
}

/// The tier that a member holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The tier.
    pub tier: String,
    /// Its rank when it was reached.
    pub rank: u8,
    /// Since when.
    pub since: Timestamp,
    /// When it is looked at again; [`Timestamp::NEVER`]: it is not.
    pub review_at: Timestamp,
    /// Until when it is kept although the member does not qualify any more.
    pub grace_until: Option<Timestamp>,
}

impl Held {
    /// When something happens to it by itself.
    pub fn due(&self) -> Timestamp {
        self.grace_until.unwrap_or(self.review_at)
    }
}

/// A tier to which a rule has lifted the member. It lies over the one that is held, which goes its own way beneath.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// The tier.
    pub tier: String,
    /// Its rank when it was granted.
    pub rank: u8,
    /// Since when.
    pub since: Timestamp,
    /// Until when; [`Timestamp::NEVER`]: for ever.
    pub until: Timestamp,
}

/// What became of a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A higher one was reached.
    Reached,
    /// It was confirmed.
    Renewed,
    /// It is kept for a while although the member does not qualify any more.
    Grace,
    /// It was lost.
    Lost,
    /// A rule lifted the member to it, for a time.
    Granted,
    /// That time is over.
    Ended,
    /// A higher one came with an account that was merged into this one.
    Merged,
}

impl Step {
    /// The name used in receipts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Renewed => "renewed",
            Self::Grace => "grace",
            Self::Lost => "lost",
            Self::Granted => "granted",
            Self::Ended => "ended",
            Self::Merged => "merged",
        }
    }
}

/// What became of a tier, and why; in receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierStep {
    /// What.
    pub step: Step,
    /// When: a review is dated when it was due, however late it comes.
    pub at: Timestamp,
    /// The tier before; left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The tier since; left out: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The figures that decided: how the tier was reached or confirmed, or what was lacking for the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Progress>,
}

/// What a transaction did to a member's standing; in receipts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierReceipt {
    /// What was counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<CountedFigures>,
    /// What became of the tier, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<TierStep>,
    /// The tier that the member holds afterwards, when that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// What rules have granted, when that changed; `null`: nothing any more.
    #[serde(default, deserialize_with = "there", skip_serializing_if = "Option::is_none")]
    pub granted: Option<Option<Granted>>,
}

/// Reads a field that is there, though it may be `null`.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Granted>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Where a member stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The currencies that are tier value: their points are no money.
    pub growth: Vec<CurrencyId>,
    /// The tier that was reached; `None`: the lowest, which is everyone's.
    pub held: Option<Held>,
    /// Figures by local months since the year 0, at most [`limits::TIER_MONTHS`].
    pub months: Buckets<Figures>,
    /// Figures by local days since 1970-01-01, at most [`limits::ROLLING_DAYS`]: only where a tier asks for days.
    pub days: Buckets<Figures>,
    /// The tier to which a rule has lifted the member.
    #[serde(default)]
    pub granted: Option<Granted>,
}

impl Standing {
    /// Whether there is nothing to tell of it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a currency is tier value.
    pub fn is_growth(&self, currency: CurrencyId) -> bool {
        self.growth.contains(&currency)
    }

    /// Notes that a currency is tier value.
    pub fn note_growth(&mut self, currency: CurrencyId) {
        if !self.is_growth(currency) {
            self.growth.push(currency);
        }
    }

    /// Money spent in some local months, the first and the last included, less what was returned; in minor units. Months as
    /// [`month_number`] counts them.
    pub fn spend_between(&self, first: i32, last: i32) -> i64 {
        self.months.between(first, last).spend
    }

    /// When something happens to the tier by itself.
    pub fn due(&self) -> Timestamp {
        let held = self.held.as_ref().map_or(Timestamp::NEVER, Held::due);
        self.granted.as_ref().map_or(held, |granted| held.min(granted.until))
    }

    /// The tier that counts: the one that is held, or granted when that is higher; `None`: the lowest.
    pub fn tier(&self) -> Option<&str> {
        let held = self.held.as_ref().map(|held| (held.rank, held.tier.as_str()));
        let granted = self.granted.as_ref().map(|granted| (granted.rank, granted.tier.as_str()));
        match (held, granted) {
            (Some((rank, _)), Some((higher, tier))) if higher > rank => Some(tier),
            (held, granted) => held.or(granted).map(|(_, tier)| tier),
        }
    }

    /// Adds figures.
    pub fn count(&mut self, counted: &CountedFigures) {
        self.months.add(month_number(counted.day), counted.figures, limits::TIER_MONTHS);
        if counted.by_day {
            self.days.add(counted.day.0, counted.figures, limits::ROLLING_DAYS);
        }
    }

    /// Follows what a receipt says of it.
    pub fn follow(&mut self, receipt: &TierReceipt) {
        receipt.counted.iter().for_each(|counted| self.count(counted));
        if let Some(held) = &receipt.held {
            self.held = Some(held.clone());
        }
        if let Some(granted) = &receipt.granted {
            self.granted.clone_from(granted);
        }
    }

    /// Takes in that of another account of the same person; the higher tier stays, of equal ones that which is held longer.
    pub fn merge(&mut self, other: &Self) {
        self.months.merge(&other.months, limits::TIER_MONTHS);
        self.days.merge(&other.days, limits::ROLLING_DAYS);
        other.growth.iter().for_each(|currency| self.note_growth(*currency));
        let place = |held: &Option<Held>| held.as_ref().map(|held| (held.rank, held.due(), held.review_at));
        if place(&other.held) > place(&self.held) {
            self.held.clone_from(&other.held);
        }
        let place = |granted: &Option<Granted>| granted.as_ref().map(|granted| (granted.rank, granted.until));
        if place(&other.granted) > place(&self.granted) {
            self.granted.clone_from(&other.granted);
        }
    }
}

/// The local month of a day, counted from the year 0.
pub fn month_number(day: Day) -> i32 {
    let date = day.date();
    i32::from(date.year()) * 12 + i32::from(date.month()) - 1
}
