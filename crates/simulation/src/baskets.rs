//! What somebody orders, in the terms of the model: what it costs, what it must choose, and how much of it there may be.

use guerdon_core::redemption::PaymentTender;
use guerdon_core::rewards::Split;

use crate::calendar::local_month;
use crate::catalogue::{is_bookable, lamps_from, monthly_limit, price};
use crate::member::Member;
use crate::model::{Model, NEW_ORDER, Said};
use crate::money::{self, Money};
use crate::orders::{Order, Where, place};
use crate::wishes::Want;

/// What somebody orders, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Basket {
    pub(crate) reward: &'static str,
    pub(crate) quantity: i64,
    pub(crate) capture: bool,
    pub(crate) variant: Option<&'static str>,
    pub(crate) slot: Option<String>,
    pub(crate) store: Option<&'static str>,
    pub(crate) paid: Option<(PaymentTender, Split)>,
}

impl Basket {
    pub(crate) fn noted(&self) -> &'static str {
        match (self.reward, &self.paid) {
            ("mug", _) => "mugs ordered",
            ("biscuit", _) => "biscuits ordered",
            ("breakfast", _) => "bundles ordered",
            ("massage", _) => "slots ordered",
            ("lamp", _) => "lamps ordered",
            ("kettle", Some(_)) => "ordered for points and money",
            _ => "ordered",
        }
    }

    /// Refuses what lacks what its reward asks for, or brings what it does not.
    fn must_choose(&self, at: i64) -> Result<(), &'static str> {
        match (self.reward == "mug", self.variant) {
            (true, None) => return Err("choice_needed"),
            (true, Some("blue" | "red")) | (false, None) => {}
            _ => return Err("invalid_request"),
        }
        match (self.reward == "massage", &self.slot) {
            (true, None) => Err("choice_needed"),
            (false, Some(_)) => Err("invalid_request"),
            (true, Some(slot)) if !is_bookable(slot, at) => Err("slot_not_offered"),
            _ => Ok(()),
        }
    }
}

impl Model {
    pub(crate) fn redeem(
        &mut self,
        want: &Want,
        member: &mut Member,
        basket: &Basket,
        said: &mut Said,
    ) -> Result<(), &'static str> {
        let Basket { reward, quantity, capture, .. } = *basket;
        let price = price(reward).ok_or("unknown_reward")? * quantity;
        member.must_not_precede(want.at)?;
        if reward == "lamp" && want.at < lamps_from(member.rank) {
            return Err("reward_not_offered");
        }
        let ordered = self.ordered_in_month(want, member, reward);
        if monthly_limit(reward).is_some_and(|limit| ordered + quantity > limit) {
            return Err("limit_reached");
        }
        basket.must_choose(want.at)?;
        let in_money = match basket.paid {
            Some((_, wanted)) if reward == "kettle" => Some(money::split(price, wanted)?),
            Some(_) => return Err("split_not_offered"),
            None => None,
        };
        let points = price - in_money.map_or(0, |(points, _)| points);
        if member.spendable(want.at) < points {
            return Err("insufficient_points");
        }
        let takes = self.takes(want, basket, member)?;
        let money = basket.paid.zip(in_money).map(|((tender, _), (_, pence))| Money::due(tender, pence));
        if capture && money.is_some() {
            return Err("payment_due");
        }
        let holds = member.take(points, want.at);
        if capture {
            member.lifetime[1] += points;
        } else {
            member.hold(&holds);
        }
        let state = if capture { "completed" } else { "placed" };
        let (expires, lapses) = (self.expires, self.expires.map(|after| want.at + after));
        let order =
            Order { takes, money, expires, lapses, ..Order::new(want, reward, quantity, (points, holds), state) };
        order.tell(said);
        self.orders.insert(NEW_ORDER, order);
        said.points -= points;
        said.note(basket.noted(), 1);
        Ok(())
    }

    /// Units of a reward that a person has ordered within the local month, those that were given back left out.
    fn ordered_in_month(&self, want: &Want, member: &Member, reward: &str) -> i64 {
        let month = local_month(want.at);
        let own = self.orders.values().filter(|order| {
            let mine = order.member == want.member || member.merged_from.contains(&order.member);
            mine && order.reward == reward && place(order.state) != Where::Back && local_month(order.at) == month
        });
        own.map(|order| order.quantity).sum()
    }
}
