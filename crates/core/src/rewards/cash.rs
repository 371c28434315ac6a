//! Points plus cash: which share of a price may be paid in money, and what a wanted split comes to.

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::Reward;
use super::pricing::share;
use crate::limits;
use crate::program::Program;
use crate::redemption::PaymentTender;
use crate::serial::is_zero;
use crate::time::Timestamp;

/// The share of a price that may be paid in money. All of it in points may always be paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CashShare {
    /// Per cent of the points for which who pays with money pays money at the least.
    #[serde(default, skip_serializing_if = "Decimal::is_zero")]
    pub from_percent: Decimal,
    /// Per cent of the points for which money may be paid at the most.
    pub to_percent: Decimal,
    /// Points that an order pays at the least, whatever its share of money.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_points: i64,
    /// What a point counts for in money, in major units; left out: what it is worth to the program at that moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point_value: Option<Decimal>,
}

/// How somebody wants to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Split {
    /// So many points, and the rest in money.
    Points(i64),
    /// Money up to so many minor units, and the rest in points.
    Money(i64),
}

/// What is paid in money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cash {
    /// Minor units of the program's money.
    pub amount: i64,
    /// The points that it takes the place of.
    pub points: i64,
}

/// Between what a split may lie, for one price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CashRange {
    /// With the least money.
    pub least: Cash,
    /// With the most.
    pub most: Cash,
}

impl CashShare {
    /// For how many points of a price money may be paid, from and to. `None`: for none.
    fn points(&self, price: i64) -> Option<(i64, i64)> {
        let most = Decimal::from(price).checked_mul(self.to_percent)?.checked_div(Decimal::ONE_HUNDRED)?;
        let most = i64::try_from(most.floor()).ok()?.min(price.saturating_sub(self.min_points.max(1)));
        let least = share(price, self.from_percent)?.max(1);
        (least <= most).then_some((least, most))
    }
}

/// Minor units of money for points at a value in minor units, rounded up. `None`: more than can be counted.
fn money_for(points: i64, value: Decimal) -> Option<Cash> {
    let exact = Decimal::from(points).checked_mul(value)?;
    let up = exact.round_dp_with_strategy(0, RoundingStrategy::ToPositiveInfinity);
    let amount = i64::try_from(up).ok().filter(|amount| (1..=limits::AMOUNT).contains(amount))?;
    Some(Cash { amount, points })
}

impl Program {
    /// How money for a reward may be paid at `at`. What the program hands out by itself, or a part of it, is paid before: nobody
    /// comes who would take the money, or whoever comes is too late.
    pub fn tenders_for(&self, reward: &Reward, at: Timestamp) -> impl Iterator<Item = PaymentTender> {
        let by_itself = reward.fulfilment.is_some() || reward.units_by_itself(self, at) > 0;
        let tenders = &self.settings_at(at).payment.tenders;
        tenders.iter().copied().filter(move |tender| tender.authorises() || !by_itself)
    }

    /// Minor units of money that a point of a reward's price counts for at `at`. `None`: the reward takes points alone.
    fn cash_value(&self, reward: &Reward, at: Timestamp) -> Option<Decimal> {
        let cash = reward.price.cash.as_ref()?;
        let value = cash.point_value.unwrap_or_else(|| self.point_value(reward.currency, at));
        let minor = Decimal::from(10_i64.checked_pow(self.money_digits)?);
        value.checked_mul(minor).filter(|value| *value > Decimal::ZERO)
    }

    /// Between what a price of `points` may be split. `None`: it is paid in points alone.
    pub fn cash_range(&self, reward: &Reward, points: i64, at: Timestamp) -> Option<CashRange> {
        let (least, most) = reward.price.cash.as_ref()?.points(points)?;
        let value = self.cash_value(reward, at)?;
        Some(CashRange { least: money_for(least, value)?, most: money_for(most, value)? })
    }

    /// Splits a price of `price` points into points and money.
    ///
    /// Money is rounded up to minor units: points and money together are worth the price at the least, and less than one
    /// minor unit more. Who names money pays no more than that: it takes the place of as many whole points as it pays for.
    ///
    /// An error says between what the split must lie.
    pub fn split(&self, reward: &Reward, price: i64, wanted: Split, at: Timestamp) -> Result<Cash, String> {
        let none = || format!("{price} points for `{}` cannot be paid with money; leave out the split", reward.id);
        let range = self.cash_range(reward, price, at).ok_or_else(none)?;
        let value = self.cash_value(reward, at).ok_or_else(none)?;
        let (field, points) = match wanted {
            Split::Points(points) => ("points", price.checked_sub(points)),
            Split::Money(money) => {
                let whole = Decimal::from(money).checked_div(value).map(|points| points.floor());
                ("cash", whole.and_then(|points| i64::try_from(points).ok()))
            }
        };
        let CashRange { least, most } = range;
        // Money that pays for a part of the next point is no more than the most.
        let points = points.map(|points| match wanted {
            Split::Money(money) if money <= most.amount => points.min(most.points),
            _ => points,
        });
        let fits = points.filter(|points| (least.points..=most.points).contains(points));
        fits.and_then(|points| money_for(points, value)).ok_or_else(|| {
            let (from, to) = match wanted {
                Split::Points(_) => (price - most.points, price - least.points),
                Split::Money(_) => (least.amount, most.amount),
            };
            let given = match wanted {
                Split::Points(given) | Split::Money(given) => given,
            };
            format!("`{field}` of a price of {price} points must be {from} to {to}, not {given}")
        })
    }

    /// The split with the least money that somebody with so many points can pay. `None`: no split is enough.
    pub fn affordable_split(&self, reward: &Reward, price: i64, available: i64, at: Timestamp) -> Option<Cash> {
        let range = self.cash_range(reward, price, at)?;
        let needed = price.saturating_sub(available).max(range.least.points);
        self.split(reward, price, Split::Points(price.checked_sub(needed)?), at).ok()
    }
}
