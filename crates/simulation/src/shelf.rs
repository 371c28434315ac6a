//! Stock in the model: what came in and was lost under each key, what orders take of it, and which part of it is for whom.

use std::collections::BTreeMap;

use crate::baskets::Basket;
use crate::catalogue::{PARTS, PLACES, STOCKED, early_hours, lamps_for_everybody, slot_begins};
use crate::fixtures::TEA;
use crate::fulfilment::catalogue::is_automatic;
use crate::member::Member;
use crate::model::{Model, Said};
use crate::orders::{Where, place};
use crate::wishes::Want;

/// Units under a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shelf {
    /// How many there were at first.
    pub(crate) first: i64,
    /// How many came in since.
    pub(crate) restocked: i64,
    /// How many a count did not find.
    pub(crate) lost: i64,
    /// When some came in last.
    pub(crate) restocked_at: Option<i64>,
}

impl Shelf {
    fn of(first: i64) -> Self {
        Self { first, ..Self::default() }
    }

    /// All that there ever were, but for what was lost.
    pub(crate) fn all(&self) -> i64 {
        self.first + self.restocked - self.lost
    }
}

/// All shelves as they are at first.
pub(crate) fn first() -> BTreeMap<String, Shelf> {
    STOCKED.iter().map(|(key, units)| ((*key).to_owned(), Shelf::of(*units))).collect()
}

/// The key of a slot of a massage.
pub(crate) fn slot_key(slot: &str) -> String {
    format!("massage#slot:{slot}")
}

impl Model {
    /// Units under a key that are with orders: reserved, handed out.
    pub(crate) fn taken(&self, key: &str) -> (i64, i64) {
        let mut taken = (0, 0);
        for order in self.orders.values() {
            let units: i64 = order.takes.iter().filter(|(of, _)| of == key).map(|(_, units)| units).sum();
            match place(order.state) {
                Where::Held => taken.0 += units,
                Where::Spent => taken.1 += units,
                Where::Back => {}
            }
        }
        taken
    }

    /// Units under a key that can still be promised.
    fn free(&self, key: &str) -> i64 {
        let (reserved, handed_out) = self.taken(key);
        self.shelves.get(key).map_or(0, Shelf::all) - reserved - handed_out
    }

    /// Refuses units that are not there. A batch happens all at once: a unit that one command frees may serve another that was
    /// decided before it, when the unit it was decided upon went to another node. How many are promised in the end is compared
    /// after.
    fn must_have(&self, takes: &[(String, i64)]) -> Result<(), &'static str> {
        let is_out = takes.iter().any(|(key, units)| self.free(key) < *units);
        if is_out && !self.stock_is_open { Err("out_of_stock") } else { Ok(()) }
    }

    /// What an order takes, under which keys: all of it is there, or it takes nothing.
    pub(crate) fn takes(
        &mut self,
        want: &Want,
        basket: &Basket,
        member: &Member,
    ) -> Result<Vec<(String, i64)>, &'static str> {
        let units = basket.quantity;
        let of = |keys: &[(&str, i64)]| keys.iter().map(|(key, each)| ((*key).to_owned(), each * units)).collect();
        let takes: Vec<(String, i64)> = match basket.reward {
            TEA => Vec::new(),
            reward if is_automatic(reward) => Vec::new(),
            "mug" if basket.variant == Some("blue") => of(&[("mug", 1), ("mug#variant:blue", 1)]),
            "breakfast" => of(&[("breakfast", 1), ("mug", 1), ("mug#variant:blue", 1), ("biscuit", 2)]),
            "lamp" => vec![(self.lamps(want, basket, member)?, units)],
            "massage" => {
                let key = slot_key(basket.slot.as_deref().unwrap_or_default());
                self.shelves.entry(key.clone()).or_insert(Shelf::of(PLACES));
                vec![(key, units)]
            }
            other => of(&[(other, 1)]),
        };
        self.must_have(&takes)?;
        Ok(takes)
    }

    /// The first pool of lamps that is open to the member and has enough, beyond what is left for the others.
    fn lamps(&self, want: &Want, basket: &Basket, member: &Member) -> Result<String, &'static str> {
        let (from, until) = lamps_for_everybody();
        let is_early = want.at < from || want.at < until && early_hours(member.rank) > 0;
        let pools = [
            ("lamp#gold", member.rank == 2, false),
            ("lamp#north", basket.store == Some("North"), is_early),
            ("lamp#rest", true, is_early),
        ];
        let has_enough = |key: &str, leaves: bool| {
            let all = self.shelves[key].all();
            let kept = if leaves { (all + 1) / 2 } else { 0 };
            self.free(key) - kept >= basket.quantity
        };
        let mut open = pools.into_iter().filter(|(_, is_open, _)| *is_open);
        let found = open.find(|(key, _, leaves)| self.stock_is_open || has_enough(key, *leaves));
        found.map(|(key, ..)| key.to_owned()).ok_or("out_of_stock")
    }

    /// Units that come in, or that a count did not find.
    pub(crate) fn restock(
        &mut self,
        (reward, part): (&str, Option<&str>),
        quantity: i64,
        at: i64,
        said: &mut Said,
    ) -> Result<(), &'static str> {
        if crate::catalogue::price(reward).is_none() {
            return Err("unknown_reward");
        }
        let key = part.map_or_else(|| reward.to_owned(), |part| format!("{reward}#{part}"));
        if !self.shelves.contains_key(&key) || slot_begins_in(&key) {
            let in_parts = PARTS.iter().any(|(known, part)| *known == reward && part.is_some());
            return Err(if part.is_some() || in_parts { "unknown_pool" } else { "stock_unlimited" });
        }
        if self.free(&key) + quantity < 0 && !self.stock_is_open {
            return Err("stock_reserved");
        }
        let shelf = self.shelves.entry(key).or_default();
        if quantity > 0 {
            shelf.restocked += quantity;
            shelf.restocked_at = shelf.restocked_at.max(Some(at));
            said.note("units restocked", quantity);
        } else {
            shelf.lost -= quantity;
            said.note("units lost", -quantity);
        }
        said.tell("restocked", quantity);
        Ok(())
    }

    /// Moves an appointment to another slot; the old one is free again.
    pub(crate) fn rebook(
        &mut self,
        want: &Want,
        member: &Member,
        (order, slot): (i64, &str),
        said: &mut Said,
    ) -> Result<(), &'static str> {
        let id = order;
        let order = self.own(want, member, id)?;
        let before = order.takes.first().map(|(key, _)| key.clone()).filter(|key| slot_begins_in(key));
        let before = before.ok_or("illegal_order_move")?;
        if !["placed", "approved", "fulfilling"].contains(&order.state) {
            return Err("illegal_order_move");
        }
        if !crate::catalogue::is_bookable(slot, want.at) {
            return Err("slot_not_offered");
        }
        let key = slot_key(slot);
        if key == before {
            return Err("illegal_order_move");
        }
        let takes = vec![(key.clone(), order.quantity)];
        self.shelves.entry(key).or_insert(Shelf::of(PLACES));
        self.must_have(&takes)?;
        if let Some(order) = self.orders.get_mut(&id) {
            order.takes = takes;
        }
        said.note("rebooked", 1);
        Ok(())
    }
}

/// Whether a key is that of a slot.
fn slot_begins_in(key: &str) -> bool {
    key.strip_prefix("massage#slot:").is_some_and(|slot| slot_begins(slot).is_some())
}
