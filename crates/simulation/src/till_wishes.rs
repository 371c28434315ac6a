//! Wishes of tills: checkouts under few numbers, so that they meet, and what terminals spend without network.

use guerdon_core::kernel::Share;
use guerdon_store::Store;

use crate::offline::Spending;
use crate::orders::Order;
use crate::shopping::{STORES, TERMINALS};
use crate::wishes::{Want, What};
use crate::world::World;

impl<S: Store> World<S> {
    pub(crate) fn till_wish(&mut self, member: i64) -> Want {
        let wish = match self.dice.below(100) {
            0..32 => None,
            32..52 => self.capture_wish(member),
            52..70 => self.reversal_wish(member),
            70..76 => self.lapse_wish(),
            76..86 => Some(self.grant_wish(member)),
            _ => self.spending_wish(member),
        };
        let (member, what) = wish.unwrap_or_else(|| (member, self.authorisation()));
        self.keyed(Want { member, key: String::new(), at: self.now, what, dry: false })
    }

    fn authorisation(&mut self) -> What {
        let dice = &mut self.dice;
        let (reference, store) = (format!("R-{}", dice.below(40)), dice.one_of(&STORES));
        let (basket, partial) = (dice.between(10, 2_000), dice.percent(60));
        let share = match dice.below(10) {
            0..3 => Share::All,
            3..6 => Share::Points(dice.between(1, 60) * 5),
            6 => Share::Points(dice.between(1, 60)),
            // Pence that whole steps of points pay, or any.
            7 => Share::Money(dice.between(1, 80) * 35 / 10),
            _ => Share::Money(dice.between(1, 400)),
        };
        What::Authorise { reference, store, basket, share, partial }
    }

    /// A part of so many points, seldom more than there are.
    fn part_of(&mut self, points: i64) -> Share {
        let dice = &mut self.dice;
        match dice.below(10) {
            0..4 => Share::All,
            4..7 => Share::Points(dice.between(1, points.max(1) + 2)),
            _ => Share::Money(dice.between(1, points.max(1))),
        }
    }

    fn capture_wish(&mut self, stranger: i64) -> Option<(i64, What)> {
        let open = self.dice.percent(85);
        let (id, order) = self.some_order(|order| order.tender.is_some() && (!open || order.state == "placed"))?;
        let share = self.part_of(order.points);
        Some((self.mover(order.member, stranger), What::Capture(id, share)))
    }

    fn reversal_wish(&mut self, stranger: i64) -> Option<(i64, What)> {
        let done = self.dice.percent(75);
        let (id, order) = self.some_order(|order| order.tender.is_some() && (!done || order.state == "completed"))?;
        let share = self.part_of(order.points);
        let number = (!self.dice.percent(25)).then(|| format!("B-{}", self.dice.below(5)));
        Some((self.mover(order.member, stranger), What::Reverse(id, share, number)))
    }

    /// What the program's own clock ends, whether it is time or not.
    fn lapse_wish(&mut self) -> Option<(i64, What)> {
        let (id, order) = self.some_order(|order| order.is_at_till() && order.state == "placed")?;
        Some((self.model.survivor(order.member), What::Lapse(id)))
    }

    fn grant_wish(&mut self, member: i64) -> (i64, What) {
        let own = self.model.orders.values().filter(|order| order.member == member);
        let known = own.filter_map(|order| order.allowance.as_ref()).map(|allowance| allowance.number).max();
        let dice = &mut self.dice;
        // Of two terminals that ask at once, one has the number of the other.
        let number = (known.unwrap_or(0) + dice.one_of(&[1, 1, 1, 1, 1, 1, 1, 0, 2])).max(1);
        let points = if dice.percent(40) { None } else { Some(dice.between(1, 250)) };
        let (store, terminal) = (dice.one_of(&STORES), dice.one_of(&TERMINALS));
        (member, What::Grant { store, terminal, points, number })
    }

    fn spending_wish(&mut self, stranger: i64) -> Option<(i64, What)> {
        let (id, order) = self.some_order(|order: &Order| order.allowance.is_some())?;
        let allowance = order.allowance.as_ref()?;
        let at = self.lately();
        let dice = &mut self.dice;
        let its_own = |known: &[&'static str; 2], name: &str| known.iter().copied().find(|one| *one == name);
        let of_its_own = dice.percent(75);
        let store = its_own(&STORES, &allowance.store).filter(|_| of_its_own).unwrap_or_else(|| dice.one_of(&STORES));
        let terminal = its_own(&TERMINALS, &allowance.terminal).filter(|_| of_its_own);
        let terminal = terminal.unwrap_or_else(|| dice.one_of(&TERMINALS));
        let points = if dice.percent(80) { dice.between(1, 80) } else { dice.between(80, 400) };
        let id_of_it = format!("S-{}", dice.below(30));
        let spent = Spending { order: id, id: id_of_it, store, terminal, points, basket: 1_000, at };
        Some((self.mover(order.member, stranger), What::Spend(spent)))
    }
}
