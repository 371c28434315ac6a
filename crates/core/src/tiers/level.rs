//! Levels as an operator writes them.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::earning::PendingUntil;
use crate::ledger::{CurrencyId, FundingId};
use crate::limits;
use crate::program::{Currency, Text};
use crate::serial::is_zero;

/// A level of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: Text,
    /// Its place: a higher one is better. No two levels share one.
    pub rank: u8,
    /// Ways to qualify, of which one is enough. The lowest level may have none: it is everyone's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qualify: Vec<Qualification>,
    /// When it is looked at again whether the member still qualifies; left out: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// What it gives.
    #[serde(default, skip_serializing_if = "Benefits::is_empty")]
    pub benefits: Benefits,
}

/// A way to qualify: all that is named must be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Qualification {
    /// Over which stretch of time.
    #[serde(default)]
    pub window: Span,
    /// Growth value at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth: Option<i64>,
    /// Money spent at least, in major units, less what was returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend: Option<Decimal>,
    /// Purchases at least, less those returned in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<i64>,
    /// Local days since the latest purchase at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_days: Option<i64>,
}

/// A stretch of the local calendar up to a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// So many months, the one of the day included.
    Months(u8),
    /// So many days, the day itself included.
    Days(u16),
    /// The month.
    Month,
    /// The quarter, from January, April, July or October.
    Quarter,
    /// The year.
    Year,
    /// All time.
    #[default]
    Lifetime,
}

/// When and how a tier is looked at again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// How long after it was reached or last confirmed.
    pub after: Period,
    /// Days for which a member who qualifies no longer keeps the tier nevertheless, and may still qualify again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub grace_days: i32,
    /// Where a member comes to who does not.
    #[serde(default)]
    pub landing: Landing,
}

/// How long a tier is held until its review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Until the beginning of the month that lies so many months later: `1` is the next one.
    Months(i32),
    /// Until the beginning of the year that lies so many years later: `1` is the next one.
    Years(i32),
    /// Until the end of the day that lies so many days later.
    Days(i32),
}

/// Where a member comes to who qualifies no longer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Landing {
    /// One level down, and no further.
    #[default]
    OneLevel,
    /// To the level for which the member qualifies.
    Qualified,
}

/// What a level gives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Benefits {
    /// What purchases earn is made so many times as much.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub factors: Vec<Factor>,
    /// Zones of the catalogue that are open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// Hours by which new rewards are seen earlier.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub early_access_hours: i32,
    /// The channel by which the member is served, such as `priority`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Anything else, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<Text>,
}

/// Makes the points that money earns `factor` times as much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// 1 or more.
    pub factor: Decimal,
    /// The currency; 1, the first, when left out.
    #[serde(default = "first_currency")]
    pub currency: CurrencyId,
    /// Days for which the points stay pending.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pending_days: i32,
    /// What ends that before; left out: nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_until: Option<PendingUntil>,
    /// Who pays.
    #[serde(default)]
    pub funding: FundingId,
}

fn first_currency() -> CurrencyId {
    CurrencyId(1)
}

impl Benefits {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Qualification {
    /// Its thresholds by name, in figures; what is not named is nothing.
    fn thresholds(&self) -> [(&'static str, Option<Decimal>); 3] {
        [("growth", self.growth.map(Decimal::from)), ("spend", self.spend), ("orders", self.orders.map(Decimal::from))]
    }

    fn validate(&self, grows: bool) -> Result<(), String> {
        let thresholds = self.thresholds();
        if self.within_days.is_none() && thresholds.iter().all(|(_, least)| least.is_none()) {
            return Err("a way to qualify needs `growth`, `spend`, `orders` or `within_days`".to_owned());
        }
        for (name, least) in thresholds {
            if least.is_some_and(|least| least <= Decimal::ZERO || least > Decimal::from(limits::AMOUNT)) {
                return Err(format!("`qualify.{name}` must be more than 0 and at most {}", limits::AMOUNT));
            }
        }
        if self.growth.is_some() && !grows {
            return Err(
                "`qualify.growth` needs a currency with `spendable = false`, and the program has none".to_owned()
            );
        }
        if self.within_days.is_some_and(|days| !(0..=3_650).contains(&days)) {
            return Err("`qualify.within_days` must be 0 to 3650".to_owned());
        }
        match self.window {
            Span::Months(months) if !(1..=limits::TIER_MONTHS).contains(&i32::from(months)) => {
                Err(format!("`qualify.window.months` must be 1 to {}", limits::TIER_MONTHS))
            }
            Span::Days(days) if !(1..=limits::ROLLING_DAYS).contains(&i32::from(days)) => {
                Err(format!("`qualify.window.days` must be 1 to {}", limits::ROLLING_DAYS))
            }
            _ => Ok(()),
        }
    }

    /// Whether it asks for the same as another over the same time, and for no more of anything.
    fn is_no_harder_than(&self, other: &Self) -> bool {
        let pairs = || self.thresholds().into_iter().zip(other.thresholds());
        self.window == other.window
            && self.within_days == other.within_days
            && pairs().all(|((_, ours), (_, theirs))| ours.is_some() == theirs.is_some() && ours <= theirs)
    }
}

impl Review {
    fn validate(&self) -> Result<(), String> {
        let (name, value, most) = match self.after {
            Period::Months(months) => ("months", months, 120),
            Period::Years(years) => ("years", years, 10),
            Period::Days(days) => ("days", days, 3_650),
        };
        let least = if name == "days" { 7 } else { 1 };
        if !(least..=most).contains(&value) {
            return Err(format!("`review.after.{name}` must be {least} to {most}"));
        }
        if !(0..=365).contains(&self.grace_days) {
            return Err("`review.grace_days` must be 0 to 365".to_owned());
        }
        Ok(())
    }
}

impl Benefits {
    fn validate(&self, currencies: &[Currency]) -> Result<(), String> {
        for (field, length) in
            [("factors", self.factors.len()), ("zones", self.zones.len()), ("texts", self.texts.len())]
        {
            if length > limits::TIER_PARTS {
                return Err(format!(
                    "`benefits.{field}` has {length} entries; at most {} are allowed",
                    limits::TIER_PARTS
                ));
            }
        }
        for (index, factor) in self.factors.iter().enumerate() {
            let what = format!("`benefits.factors[{index}]`");
            let currency = currencies.iter().find(|known| known.id == factor.currency);
            let currency = currency
                .ok_or_else(|| format!("{what}: currency {} is not one of the program's", factor.currency.0))?;
            if !currency.spendable {
                return Err(format!(
                    "{what}: `{}` is tier value; a factor makes more of points that can be spent",
                    currency.code
                ));
            }
            if self.factors.iter().take(index).any(|other| other.currency == factor.currency) {
                return Err(format!("{what}: there is a factor of currency {} already", factor.currency.0));
            }
            if factor.factor < Decimal::ONE || factor.factor > Decimal::ONE_HUNDRED {
                return Err(format!("{what}.factor must be 1 to 100"));
            }
            if !(0..=3_650).contains(&factor.pending_days) {
                return Err(format!("{what}.pending_days must be 0 to 3650"));
            }
            if factor.pending_until.is_some() && factor.pending_days == 0 {
                return Err(format!("{what}.pending_until needs `pending_days`: how long the points wait at the most"));
            }
        }
        self.zones.iter().try_for_each(|zone| limits::check_text("benefits.zones", zone, 64))?;
        self.service.iter().try_for_each(|service| limits::check_text("benefits.service", service, 64))?;
        self.texts.iter().try_for_each(|text| text.validate("benefits.texts"))?;
        if !(0..=8_760).contains(&self.early_access_hours) {
            return Err("`benefits.early_access_hours` must be 0 to 8760".to_owned());
        }
        Ok(())
    }
}

/// Checks the levels of a program for publication; the message names the level and the field.
pub(crate) fn validate(tiers: &[Tier], currencies: &[Currency]) -> Result<(), String> {
    if tiers.len() > limits::TIERS {
        return Err(format!("{} tiers; at most {} are allowed", tiers.len(), limits::TIERS));
    }
    let grows = currencies.iter().any(|currency| !currency.spendable);
    let mut levels: Vec<&Tier> = tiers.iter().collect();
    levels.sort_by_key(|tier| tier.rank);
    for (index, tier) in levels.iter().enumerate() {
        let what = format!("tier `{}`", tier.id);
        let named = |problem: String| format!("{what}: {problem}");
        if tier.rank > 99 {
            return Err(named("`rank` must be 0 to 99".to_owned()));
        }
        let lower = index.checked_sub(1).and_then(|lower| levels.get(lower));
        if let Some(lower) = lower {
            check_above(tier, lower).map_err(named)?;
        }
        if tier.qualify.len() > limits::TIER_PARTS {
            return Err(named(format!("at most {} ways to qualify are allowed", limits::TIER_PARTS)));
        }
        tier.qualify.iter().try_for_each(|way| way.validate(grows)).map_err(named)?;
        if let Some(review) = &tier.review {
            review.validate().map_err(named)?;
            if lower.is_none() && tier.qualify.is_empty() {
                return Err(named("everyone has the lowest level, so that there is nothing to `review`".to_owned()));
            }
        }
        tier.benefits.validate(currencies).map_err(named)?;
    }
    Ok(())
}

fn check_above(tier: &Tier, lower: &Tier) -> Result<(), String> {
    if tier.rank == lower.rank {
        return Err(format!("`rank` {} is that of the tier `{}` as well; give each tier its own", tier.rank, lower.id));
    }
    if tier.qualify.is_empty() {
        return Err("needs a way to `qualify`: only the lowest level is everyone's".to_owned());
    }
    for way in &tier.qualify {
        if lower.qualify.iter().any(|other| way.is_no_harder_than(other)) {
            return Err(format!(
                "`qualify` asks for no more than the lower tier `{}` does; thresholds must rise with the `rank`",
                lower.id
            ));
        }
    }
    Ok(())
}
