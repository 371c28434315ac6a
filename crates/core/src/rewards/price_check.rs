//! What publication asks of a price. The messages name the field.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::cash::CashShare;
use super::group::GroupPrice;
use super::price::{Base, Cold, CurveStep, Demand, DemandStep, Offer, Price, Season, TierPrice};
use super::pricing::with_margin;
use crate::limits;

/// What a price is checked against.
pub(crate) struct Surroundings<'a> {
    /// The ids of the tiers that there are.
    pub tiers: Vec<&'a str>,
    /// Digits after the decimal point of the program's money.
    pub money_digits: u32,
    /// The margin of prices that say none.
    pub margin: Decimal,
    /// How many points at the most are worth one major unit of money.
    pub most_per_money: Decimal,
    /// Whether the program takes money in any way.
    pub takes_money: bool,
}

/// Checks a margin.
pub(crate) fn check_margin(field: &str, margin: Decimal) -> Result<(), String> {
    if margin.is_sign_negative() && !margin.is_zero() || margin > Decimal::from(limits::MARGIN_PERCENT) {
        return Err(format!("{field} must be 0 to {} per cent, not {margin}", limits::MARGIN_PERCENT));
    }
    check_scale(field, margin)
}

/// No more than two digits after the decimal point, so that a step can be recomputed by hand.
fn check_scale(field: &str, percent: Decimal) -> Result<(), String> {
    match percent.normalize().scale() <= 2 {
        true => Ok(()),
        false => Err(format!("{field} has at most 2 digits after the decimal point, not {percent}")),
    }
}

fn check_percent(field: &str, percent: Decimal, [from, to]: [i64; 2]) -> Result<(), String> {
    if percent < Decimal::from(from) || percent > Decimal::from(to) {
        return Err(format!("`{field}` must be {from} to {to} per cent of the price, not {percent}"));
    }
    check_scale(&format!("`{field}`"), percent)
}

fn check_discount(field: &str, percent: Decimal) -> Result<(), String> {
    if percent >= Decimal::ONE_HUNDRED {
        return Err(format!("`{field}` must be less than 100 per cent, or nothing is cheaper, not {percent}"));
    }
    check_percent(field, percent, [limits::DISCOUNT_PERCENT, 100])
}

fn check_points(field: &str, points: i64) -> Result<(), String> {
    match (1..=limits::AMOUNT).contains(&points) {
        true => Ok(()),
        false => Err(format!("{field} must be 1 to {}", limits::AMOUNT)),
    }
}

impl Price {
    /// Checks every part.
    pub(crate) fn validate(&self, around: &Surroundings<'_>) -> Result<(), String> {
        self.check_base(around)?;
        self.tiers.iter().try_for_each(|(tier, price)| self.check_tier(tier, *price, around))?;
        for (field, count, one) in [
            ("seasons", self.seasons.len(), "season"),
            ("offers", self.offers.len(), "offer"),
            ("demand.steps", self.demand.as_ref().map_or(0, |demand| demand.steps.len()), "step"),
            ("curve", self.curve.len(), "step"),
        ] {
            if count > limits::PRICE_PARTS {
                return Err(format!("`price.{field}` has {count} {one}s; at most {} are allowed", limits::PRICE_PARTS));
            }
        }
        self.seasons.iter().enumerate().try_for_each(|(index, season)| check_season(index, season))?;
        self.offers.iter().enumerate().try_for_each(|(index, offer)| check_offer(index, offer))?;
        self.demand.as_ref().map_or(Ok(()), check_demand)?;
        self.cold.as_ref().map_or(Ok(()), check_cold)?;
        check_curve(&self.curve)?;
        self.cash.as_ref().map_or(Ok(()), |cash| check_cash(cash, around))?;
        self.group.as_ref().map_or(Ok(()), check_group)
    }

    fn check_base(&self, around: &Surroundings<'_>) -> Result<(), String> {
        let (cost, margin) = match self.base {
            Base::Points(points) => return check_points("price", points),
            Base::Cost { cost, margin } => (cost, margin),
        };
        let digits = around.money_digits;
        if cost <= Decimal::ZERO || cost.normalize().scale() > digits {
            return Err(format!(
                "`price.cost` must be more than 0, with at most {digits} digits after the decimal point"
            ));
        }
        margin.map_or(Ok(()), |margin| check_margin("`price.margin`", margin))?;
        let money = with_margin(cost, margin.unwrap_or(around.margin));
        let points = money.and_then(|money| money.checked_mul(around.most_per_money));
        match points.is_some_and(|points| points <= Decimal::from(limits::AMOUNT)) {
            true => Ok(()),
            false => Err(format!("`price.cost` {cost} can come to more than {} points", limits::AMOUNT)),
        }
    }

    fn check_tier(&self, tier: &str, price: TierPrice, around: &Surroundings<'_>) -> Result<(), String> {
        let field = format!("price.tiers.{tier}");
        if !around.tiers.contains(&tier) {
            return Err(format!("`{field}`: there is no tier `{tier}`"));
        }
        match (price, &self.base) {
            (TierPrice::Percent(percent), _) => check_discount(&format!("{field}.percent"), percent),
            (TierPrice::Points(points), Base::Points(base)) if points >= *base => {
                Err(format!("`{field}.points` must be less than {base}, which everyone pays, not {points}"))
            }
            (TierPrice::Points(points), _) => check_points(&format!("`{field}.points`"), points),
        }
    }
}

fn check_season(index: usize, season: &Season) -> Result<(), String> {
    let field = |name: &str| format!("price.seasons[{index}].{name}");
    let Season { months, from, to, percent } = season;
    if months.is_empty() && from.is_none() && to.is_none() {
        return Err(format!("`price.seasons[{index}]` must say its `months`, or `from` or `to`"));
    }
    let different: BTreeSet<&i8> = months.iter().collect();
    if different.len() != months.len() || months.iter().any(|month| !(1..=12).contains(month)) {
        return Err(format!("`{}` must be different numbers from 1 to 12", field("months")));
    }
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(format!("`{}` {to} must be later than `{}` {from}", field("to"), field("from")));
    }
    if *percent == Decimal::ONE_HUNDRED {
        return Err(format!("`{}` must not be 100: that changes nothing", field("percent")));
    }
    check_percent(&field("percent"), *percent, limits::SEASON_PERCENT)
}

fn check_offer(index: usize, offer: &Offer) -> Result<(), String> {
    let Offer { from, to, percent } = offer;
    if from >= to {
        return Err(format!("`price.offers[{index}].to` {to} must be later than `price.offers[{index}].from` {from}"));
    }
    check_discount(&format!("price.offers[{index}].percent"), *percent)
}

fn check_demand(demand: &Demand) -> Result<(), String> {
    if demand.steps.is_empty() {
        return Err("`price.demand.steps` is empty; leave `demand` out".to_owned());
    }
    for (index, step) in demand.steps.iter().enumerate() {
        let field = |name: &str| format!("`price.demand.steps[{index}].{name}`");
        let DemandStep { orders, views, percent } = step;
        if orders.is_none() && views.is_none() {
            return Err(format!("`price.demand.steps[{index}]` must say `orders` or `views`"));
        }
        for (name, count) in [("orders", orders), ("views", views)] {
            if count.is_some_and(|count| !(1..=limits::DEMAND_COUNT).contains(&count)) {
                return Err(format!("{} must be 1 to {}", field(name), limits::DEMAND_COUNT));
            }
        }
        if *percent <= Decimal::ZERO || *percent > Decimal::from(limits::DEMAND_PERCENT) {
            let most = limits::DEMAND_PERCENT;
            return Err(format!("{} must be more than 0 and at most {most}, not {percent}", field("percent")));
        }
        check_scale(&field("percent"), *percent)?;
    }
    if demand.ceiling <= Decimal::ONE_HUNDRED {
        return Err(format!("`price.demand.ceiling` must be more than 100 per cent, not {}", demand.ceiling));
    }
    let [_, most] = limits::SEASON_PERCENT;
    check_percent("price.demand.ceiling", demand.ceiling, [100, most])
}

fn check_cold(cold: &Cold) -> Result<(), String> {
    if !(1..=limits::COLD_DAYS).contains(&cold.days) {
        return Err(format!("`price.cold.days` must be 1 to {}", limits::COLD_DAYS));
    }
    check_discount("price.cold.percent", cold.percent)
}

fn check_cash(cash: &CashShare, around: &Surroundings<'_>) -> Result<(), String> {
    let CashShare { from_percent, to_percent, min_points, point_value } = cash;
    if !around.takes_money {
        return Err("`price.cash`: the program takes no money; name a way in `program.payment.tenders`".to_owned());
    }
    check_percent("price.cash.to_percent", *to_percent, [1, limits::CASH_PERCENT])?;
    check_percent("price.cash.from_percent", *from_percent, [0, limits::CASH_PERCENT])?;
    if from_percent > to_percent {
        let problem =
            format!("`price.cash.from_percent` {from_percent} must be no more than `to_percent` {to_percent}");
        return Err(problem);
    }
    if !(0..=limits::AMOUNT).contains(min_points) {
        return Err(format!("`price.cash.min_points` must be 0 to {}, not {min_points}", limits::AMOUNT));
    }
    let most = Decimal::from(limits::POINT_VALUE);
    match point_value {
        Some(value) if *value <= Decimal::ZERO || *value > most => {
            Err(format!("`price.cash.point_value` must be more than 0 and at most {most}, not {value}"))
        }
        _ => Ok(()),
    }
}

fn check_group(group: &GroupPrice) -> Result<(), String> {
    let GroupPrice { members, hours, percent } = group;
    if !(2..=limits::GROUP_MEMBERS).contains(members) {
        return Err(format!("`price.group.members` must be 2 to {}, not {members}", limits::GROUP_MEMBERS));
    }
    if !(1..=limits::GROUP_HOURS).contains(hours) {
        return Err(format!("`price.group.hours` must be 1 to {}, not {hours}", limits::GROUP_HOURS));
    }
    check_discount("price.group.percent", *percent)
}

/// The first points are worth the most and none is worth less than one, so that the curve never makes an order dearer.
fn check_curve(curve: &[CurveStep]) -> Result<(), String> {
    let mut before: Option<&CurveStep> = None;
    for (index, step) in curve.iter().enumerate() {
        let field = |name: &str| format!("price.curve[{index}].{name}");
        check_points(&format!("`{}`", field("up_to")), step.up_to)?;
        if step.worth <= Decimal::ONE_HUNDRED {
            let field = field("worth");
            return Err(format!("`{field}` must be more than 100 per cent of a later point, not {}", step.worth));
        }
        check_percent(&field("worth"), step.worth, [100, limits::CURVE_PERCENT])?;
        if let Some(before) = before
            && (step.up_to <= before.up_to || step.worth >= before.worth)
        {
            return Err(format!(
                "`price.curve[{index}]` must reach further than {} points, and be worth less than {} per cent",
                before.up_to, before.worth
            ));
        }
        before = Some(step);
    }
    Ok(())
}
