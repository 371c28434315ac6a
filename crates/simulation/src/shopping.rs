//! Wishes for what is scarce: baskets, vouchers, money, restocking and appointments.

use guerdon_core::kernel::STOCKROOM;
use guerdon_core::redemption::{PaymentMove, PaymentTender};
use guerdon_core::rewards::Split;
use guerdon_store::Store;

use crate::baskets::Basket;
use crate::calendar::local_day;
use crate::catalogue::{PARTS, planned, slot};
use crate::orders::{Order, Where, place};
use crate::vouchers::Presented;
use crate::wishes::{Want, What};
use crate::world::{DAY, HOUR, Theme, World};

pub(crate) const STORES: [&str; 2] = ["North", "South"];
pub(crate) const TERMINALS: [&str; 2] = ["till 1", "till 2"];
const MOVES: [PaymentMove; 7] = [
    PaymentMove::Authorise,
    PaymentMove::Decline,
    PaymentMove::Capture,
    PaymentMove::Fail,
    PaymentMove::Collect,
    PaymentMove::Void,
    PaymentMove::Return,
];

impl<S: Store> World<S> {
    /// A wish of what a run is about besides.
    pub(crate) fn special_wish(&mut self, member: i64, key: &str) -> Option<Want> {
        if self.theme == Theme::Plain || !self.dice.percent(55) {
            return None;
        }
        // Who has nothing can do little.
        let is_poor = self.model.members.get(&member).is_some_and(|known| known.spendable(self.now) < 200);
        if is_poor && self.dice.percent(75) {
            let what = What::Adjust(self.dice.between(500, 4_000));
            return Some(Want { member, key: key.to_owned(), at: self.now, what, dry: false });
        }
        Some(match self.theme {
            Theme::Tills => self.till_wish(member),
            _ => self.shop_wish(member, key),
        })
    }

    /// One of the orders that fit, mostly one of the latest.
    pub(crate) fn some_order(&mut self, fits: impl Fn(&Order) -> bool) -> Option<(i64, Order)> {
        let fitting: Vec<i64> = self.model.orders.iter().filter(|(_, order)| fits(order)).map(|(id, _)| *id).collect();
        let latest = &fitting[fitting.len().saturating_sub(3)..];
        let among: &[i64] = if self.dice.percent(60) { latest } else { &fitting };
        let id = (!among.is_empty()).then(|| self.dice.one_of(among))?;
        Some((id, self.model.orders[&id].clone()))
    }

    fn shop_wish(&mut self, member: i64, key: &str) -> Want {
        let wish = match self.dice.below(100) {
            0..40 => None,
            40..56 => self.voucher_wish(member),
            56..74 => self.money_wish(member),
            74..84 => Some(self.restock_wish()),
            84..92 => self.planned_restock_wish(),
            _ => self.rebooking_wish(member),
        };
        let (member, what) = wish.unwrap_or_else(|| (member, What::Redeem(self.basket())));
        let want = Want { member, key: key.to_owned(), at: self.now, what, dry: false };
        if want.what.has_its_own_key() { self.keyed(want) } else { want }
    }

    fn basket(&mut self) -> Basket {
        let dice = &mut self.dice;
        let reward =
            dice.one_of(&["mug", "mug", "biscuit", "biscuit", "breakfast", "massage", "kettle", "kettle", "lamp"]);
        let is_odd = dice.percent(4);
        let variant = match reward {
            "mug" => {
                dice.one_of(&[Some("blue"), Some("blue"), Some("red"), Some("red"), Some("red"), None, Some("green")])
            }
            _ => is_odd.then_some("blue"),
        };
        let slot = match reward {
            "massage" if !is_odd => Some(self.slot()),
            "massage" => None,
            _ => self.dice.percent(2).then(|| self.slot()),
        };
        let dice = &mut self.dice;
        let quantity = if dice.percent(70) { 1 } else { dice.between(2, 3) };
        let store = dice.one_of(&[Some("North"), Some("South"), None, None]);
        let pays = if reward == "kettle" { 80 } else { 2 };
        let paid = dice.percent(pays).then(|| {
            let tender = dice.one_of(&PaymentTender::ALL);
            let split = match dice.percent(50) {
                true => Split::Points(dice.between(35, 95) * quantity),
                false => Split::Money(dice.between(5, 45) * quantity),
            };
            (tender, split)
        });
        let capture = dice.percent(if paid.is_some() { 8 } else { 30 });
        Basket { reward, quantity, capture, variant, slot, store, paid }
    }

    /// A slot within the next days, where there is one.
    fn slot(&mut self) -> String {
        let day = local_day(self.now) + self.dice.between(0, 2);
        slot(day, self.dice.one_of(&[10, 10, 10, 11, 11, 11, 12]))
    }

    fn voucher_wish(&mut self, stranger: i64) -> Option<(i64, What)> {
        let also_over = self.dice.percent(15);
        let fits = |order: &Order| {
            ["mug", "biscuit"].contains(&order.reward) && (also_over || place(order.state) != Where::Back)
        };
        let (order, known) = self.some_order(fits)?;
        let dice = &mut self.dice;
        let at = match dice.below(10) {
            0 => known.at - dice.between(0, HOUR),
            1..4 => self.now - dice.between(0, 2 * HOUR),
            _ => self.now,
        };
        let (store, terminal, typed) = (dice.one_of(&STORES), dice.one_of(&TERMINALS), dice.percent(50));
        let what = What::HandOut(Presented { order, store, terminal, at, typed });
        Some((self.mover(known.member, stranger), what))
    }

    /// What a tender, or whoever takes money by hand, says of an order: mostly what comes next, now and then something else, late
    /// or once more.
    fn money_wish(&mut self, stranger: i64) -> Option<(i64, What)> {
        let anything = self.dice.percent(10);
        let waits = |order: &Order| {
            let next = order.money.as_ref().and_then(|money| money.next_step(place(order.state)));
            if anything { order.money.is_some() } else { next.is_some() }
        };
        let (order, known) = self.some_order(waits)?;
        let money = known.money.as_ref()?;
        let dice = &mut self.dice;
        let next = money.next_step(place(known.state));
        let step = match (next, dice.below(100)) {
            (Some(PaymentMove::Authorise), 0..25) => PaymentMove::Decline,
            (Some(PaymentMove::Capture), 0..30) => PaymentMove::Fail,
            (Some(next), 0..85) => next,
            _ => dice.one_of(&MOVES),
        };
        let steps = if dice.percent(10) { money.steps.saturating_sub(1) } else { money.steps };
        let what = if step == PaymentMove::Collect { What::Collect(order) } else { What::Pay { order, step, steps } };
        Some((self.mover(known.member, stranger), what))
    }

    fn restock_wish(&mut self) -> (i64, What) {
        let dice = &mut self.dice;
        let (reward, part) = dice.one_of(&PARTS);
        let (reward, part) = match dice.below(20) {
            0 => ("yacht", None),
            1 => (reward, Some("cellar")),
            2 => (reward, None),
            _ => (reward, part),
        };
        let quantity = if dice.percent(60) { dice.between(1, 2) } else { -dice.between(1, 2) };
        (STOCKROOM.0, What::Restock { reward, part, quantity })
    }

    /// Units that are due to come in, whether they have or not: every node asks.
    fn planned_restock_wish(&mut self) -> Option<(i64, What)> {
        let now = self.now;
        let due: Vec<i64> = planned().take_while(|moment| *moment <= now).collect();
        let late = due.len().saturating_sub(3);
        let moment = (!due.is_empty()).then(|| self.dice.one_of(&due[late..]))?;
        Some((STOCKROOM.0, What::PlannedRestock(moment)))
    }

    fn rebooking_wish(&mut self, stranger: i64) -> Option<(i64, What)> {
        let open = self.dice.percent(80);
        let (order, known) = self.some_order(|order| order.reward == "massage" && (!open || order.is_open()))?;
        let slot = self.slot();
        Some((self.mover(known.member, stranger), What::Rebook(order, slot)))
    }

    /// A moment within the last days.
    pub(crate) fn lately(&mut self) -> i64 {
        if self.dice.percent(40) { self.now } else { self.now - self.dice.between(0, 3 * DAY) }
    }
}
