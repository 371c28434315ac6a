//! What a redemption costs, and how that comes about: one pure function, for quotes, orders and what is shown.

use rust_decimal::{Decimal, RoundingStrategy};

use super::Reward;
use super::cash::Cash;
use super::price::{Base, CurveStep, DemandFigures, Price, TierPrice};
use crate::limits;
use crate::program::Program;
use crate::time::Timestamp;

/// When and for whom a price is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occasion<'a> {
    /// When.
    pub at: Timestamp,
    /// The member's tier; `None`: what anyone pays.
    pub tier: Option<&'a str>,
    /// What the demand is; `None`: it is not known, and changes nothing.
    pub figures: Option<DemandFigures>,
    /// How many units.
    pub quantity: i64,
}

/// What has made or changed a price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// The price is a number of points.
    Points,
    /// The price is what is worth the cost and a margin.
    Cost {
        /// Major units of money that a unit costs the program.
        cost: Decimal,
        /// Per cent of it that come on top.
        margin: Decimal,
        /// Major units of money that a point is worth.
        value: Decimal,
    },
    /// A tier pays less.
    Tier {
        /// The tier that the price is for: the member's, or one below.
        tier: String,
        /// What it pays.
        price: TierPrice,
    },
    /// A season, in per cent of the price before.
    Season(Decimal),
    /// An offer for a time, in per cent of the price before.
    Offer(Decimal),
    /// The demand of the last hour.
    Demand {
        /// Per cent on top of the price before.
        percent: Decimal,
        /// Per cent of the price for the member's tier, above which it does not lift the price.
        ceiling: Decimal,
    },
    /// Nobody has ordered it for a while.
    Cold {
        /// For how many days at the least.
        days: i32,
        /// Per cent of the price before.
        percent: Decimal,
    },
    /// Friends who order together pay less, in per cent of the price before.
    Group(Decimal),
    /// As many units as are wanted.
    Quantity(i64),
    /// The first points of an order are worth more than later ones.
    Curve(Vec<CurveStep>),
    /// A part is paid in money, in minor units: what is left is paid in points.
    Cash(i64),
}

/// One step from the base to what is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What has changed it.
    pub how: How,
    /// Points before it; 0 before the first.
    pub before: i64,
    /// Points after it.
    pub after: i64,
}

/// A price, and how it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// Points for one unit, before the curve.
    pub unit: i64,
    /// Points in all.
    pub points: i64,
    /// How it was made; only what has a part in it. The last step ends with `points`.
    pub steps: Vec<Step>,
}

impl Priced {
    /// The price of which a part is paid in money.
    pub fn with_cash(mut self, cash: Cash) -> Self {
        self.points = self.points.saturating_sub(cash.points);
        self.step(How::Cash(cash.amount), self.points);
        self
    }

    fn step(&mut self, how: How, after: i64) {
        let before = self.steps.last().map_or(0, |step| step.after);
        self.steps.push(Step { how, before, after });
    }
}

impl Program {
    /// What `occasion.quantity` of a reward cost.
    ///
    /// In this order: the base (points, or cost and margin by the value of a point), the tier, seasons, offers, demand, cold;
    /// that is the price of a unit. Times the quantity, then the curve. After each step the price is rounded up to whole
    /// points, so that each can be recomputed from the one before it.
    ///
    /// An error says that the price is beyond [`limits::AMOUNT`].
    pub fn price(&self, reward: &Reward, occasion: Occasion<'_>) -> Result<Priced, String> {
        self.price_for(reward, occasion, None)
    }

    /// What a member of a group pays for a unit: `percent` of its price.
    pub fn price_in_group(&self, reward: &Reward, occasion: Occasion<'_>, percent: Decimal) -> Result<Priced, String> {
        self.price_for(reward, occasion, Some(percent))
    }

    fn price_for(&self, reward: &Reward, occasion: Occasion<'_>, group: Option<Decimal>) -> Result<Priced, String> {
        let too_much = || format!("{} of `{}` cost more than {} points", occasion.quantity, reward.id, limits::AMOUNT);
        self.priced(reward, occasion, group)
            .filter(|priced| (1..=limits::AMOUNT).contains(&priced.points))
            .ok_or_else(too_much)
    }

    /// Points for a unit before anything changes them. `None`: more than can be counted.
    pub fn base_price(&self, reward: &Reward, at: Timestamp) -> Option<i64> {
        self.base(reward, at).map(|(_, points)| points)
    }

    /// The price; `None`: a step came to more than can be counted.
    fn priced(&self, reward: &Reward, occasion: Occasion<'_>, group: Option<Decimal>) -> Option<Priced> {
        let Occasion { at, figures, quantity, .. } = occasion;
        let price = &reward.price;
        let mut made = Priced { unit: 0, points: 0, steps: Vec::with_capacity(2) };
        let (how, base) = self.base(reward, at)?;
        made.step(how, base);
        let own = match self.tier_price(price, base, occasion) {
            Some((how, own)) => {
                made.step(how, own);
                own
            }
            None => base,
        };
        let mut unit = own;
        if !price.seasons.is_empty() || !price.offers.is_empty() {
            let local = self.calendar.local(at);
            for season in price.seasons.iter().filter(|season| season.holds(local)) {
                unit = share(unit, season.percent)?;
                made.step(How::Season(season.percent), unit);
            }
            for offer in price.offers.iter().filter(|offer| offer.holds(local)) {
                unit = share(unit, offer.percent)?;
                made.step(How::Offer(offer.percent), unit);
            }
        }
        if let Some(figures) = figures {
            unit = self.by_demand(reward, (own, unit), figures, at, &mut made)?;
        }
        if let Some(percent) = group {
            unit = share(unit, percent)?;
            made.step(How::Group(percent), unit);
        }
        made.unit = unit;
        made.points = unit.checked_mul(quantity)?;
        if quantity != 1 {
            made.step(How::Quantity(quantity), made.points);
        }
        if !price.curve.is_empty() {
            made.points = along(&price.curve, made.points)?;
            made.step(How::Curve(price.curve.clone()), made.points);
        }
        Some(made)
    }

    fn base(&self, reward: &Reward, at: Timestamp) -> Option<(How, i64)> {
        match &reward.price.base {
            Base::Points(points) => Some((How::Points, *points)),
            Base::Cost { cost, margin } => {
                let margin = margin.unwrap_or(self.settings_at(at).reward_margin);
                let points = self.points_worth(reward.currency, with_margin(*cost, margin)?, at)?;
                let value = self.point_value(reward.currency, at);
                Some((How::Cost { cost: *cost, margin, value }, points))
            }
        }
    }

    /// The lowest price for the member's tier and those below it, where it is less than the base.
    fn tier_price(&self, price: &Price, base: i64, occasion: Occasion<'_>) -> Option<(How, i64)> {
        let levels = self.tiers.at(occasion.at).levels();
        let own = levels.iter().position(|level| Some(level.tier.id.as_str()) == occasion.tier)?;
        let named = levels.iter().take(own + 1).filter_map(|level| {
            let (tier, price) = price.tiers.get_key_value(&level.tier.id)?;
            let points = match price {
                TierPrice::Points(points) => *points,
                TierPrice::Percent(percent) => share(base, *percent)?,
            };
            Some((How::Tier { tier: tier.clone(), price: *price }, points))
        });
        named.min_by_key(|(_, points)| *points).filter(|(_, points)| *points < base)
    }

    /// The price of a unit by the demand for it. `own`: the price for the member's tier, by which the ceiling is measured.
    fn by_demand(
        &self,
        reward: &Reward,
        (own, mut unit): (i64, i64),
        figures: DemandFigures,
        at: Timestamp,
        made: &mut Priced,
    ) -> Option<i64> {
        if let Some(demand) = &reward.price.demand
            && let Some(percent) = demand.premium(figures)
        {
            let raised = share(unit, Decimal::ONE_HUNDRED.checked_add(percent)?)?;
            // What seasons have lifted above it stays there.
            let lifted = raised.min(demand.ceiling_points(own)?).max(unit);
            made.step(How::Demand { percent, ceiling: demand.ceiling }, lifted);
            unit = lifted;
        }
        if let Some(cold) = &reward.price.cold {
            let since = figures.last_order_at.or_else(|| self.reward_since(&reward.id));
            let day = |moment: Timestamp| self.calendar.day_of(moment).0;
            if since.is_some_and(|since| day(at).saturating_sub(day(since)) >= cold.days) {
                unit = share(unit, cold.percent)?;
                made.step(How::Cold { days: cold.days, percent: cold.percent }, unit);
            }
        }
        Some(unit)
    }
}

/// A cost with the margin on top of it, in major units of money.
pub(crate) fn with_margin(cost: Decimal, margin: Decimal) -> Option<Decimal> {
    let percent = Decimal::ONE_HUNDRED.checked_add(margin)?;
    cost.checked_mul(percent)?.checked_div(Decimal::ONE_HUNDRED)
}

/// So many per cent of a price, rounded up to whole points.
pub(crate) fn share(points: i64, percent: Decimal) -> Option<i64> {
    up(Decimal::from(points).checked_mul(percent)?.checked_div(Decimal::ONE_HUNDRED)?)
}

/// What each of a group pays for a unit of a price. `None`: more than can be counted.
pub fn group_share(unit: i64, percent: Decimal) -> Option<i64> {
    share(unit, percent)
}

fn up(exact: Decimal) -> Option<i64> {
    i64::try_from(exact.round_dp_with_strategy(0, RoundingStrategy::ToPositiveInfinity)).ok()
}

/// How many points pay for what would take `points` if all were worth the same: each step pays for more than its own points.
fn along(curve: &[CurveStep], points: i64) -> Option<i64> {
    let mut left = Decimal::from(points);
    let mut paid = 0_i64;
    for step in curve {
        let offered = step.up_to.checked_sub(paid)?;
        let covered = Decimal::from(offered).checked_mul(step.worth)?.checked_div(Decimal::ONE_HUNDRED)?;
        if left <= covered {
            let needed = left.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(step.worth)?;
            return paid.checked_add(up(needed)?);
        }
        left = left.checked_sub(covered)?;
        paid = step.up_to;
    }
    paid.checked_add(up(left)?)
}
