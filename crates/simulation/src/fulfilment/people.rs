//! Members and staff: what they order and call off, give back and begin by hand; and those who put codes into the vault.

use guerdon_core::redemption::OrderMove;
use guerdon_core::time::Timestamp;
use guerdon_store::{CodeUpload, CodesAdded};

use super::Fulfilments;
use super::catalogue::{ORDERED, has_rest};
use super::doing::sealed;
use crate::baskets::Basket;
use crate::orders::{Where, place};
use crate::wishes::{Want, What};
use crate::world::DAY;

const MEMBERS: i64 = 2;

impl Fulfilments {
    /// What somebody wants, decided and committed at once. Whether it was refused is the model's to judge.
    pub(super) fn want(&mut self, member: i64, what: What) -> Result<(), String> {
        self.world.next_key += 1;
        let key = format!("key-{}", self.world.next_key);
        let want = Want { member, key, at: self.world.now, what, dry: false };
        let want = if want.what.has_its_own_key() { self.world.keyed(want) } else { want };
        self.world.send(want)
    }

    /// Members come, with points of which some expire soon; and the vault gets its first codes.
    pub(super) fn open(&mut self) -> Result<(), String> {
        for member in 1..=MEMBERS {
            self.want(100 + member, What::Enrol { external: format!("C-{member}") })?;
            let points = self.world.dice.between(150, 400);
            self.want(100 + member, What::Adjust(points))?;
        }
        if self.world.dice.percent(50) {
            // Shortly before what they have expires: what is given back must live on.
            self.world.now = crate::calendar::expiry(self.world.now) - self.world.dice.between(DAY / 4, 12 * DAY);
            self.world.summary.note("runs with points that expire soon", 1);
        }
        for member in 1..=MEMBERS {
            self.want(100 + member, What::Adjust(1_000))?;
            self.order(100 + member)?;
        }
        let codes = self.world.dice.between(2, 6);
        self.upload(codes)
    }

    pub(super) fn order(&mut self, member: i64) -> Result<(), String> {
        let dice = &mut self.world.dice;
        let (reward, quantity) = (dice.one_of(&ORDERED), if dice.percent(70) { 1 } else { 2 });
        self.want(member, What::Redeem(Basket { reward, quantity, ..Basket::default() }))
    }

    pub(super) fn upload(&mut self, count: i64) -> Result<(), String> {
        let codes = (0..count).map(|number| sealed(&format!("film-{:05}", self.uploaded + number))).collect();
        let at = Timestamp::from_millis(self.world.now);
        let upload = CodeUpload { reward_id: "film".to_owned(), codes, at, most: 1_000 };
        match self.world.add_codes(&upload) {
            Ok(CodesAdded::Added) => {
                self.uploaded += count;
                Ok(())
            }
            other => Err(format!("{other:?} for new codes")),
        }
    }

    pub(super) fn people_act(&mut self) -> Result<(), String> {
        let member = 100 + self.world.dice.between(1, MEMBERS);
        match self.world.dice.below(100) {
            0..40 => self.order(member),
            40..46 => {
                let codes = self.world.dice.between(1, 4);
                self.upload(codes)
            }
            46..55 => self.want(member, What::Adjust(500)),
            _ => self.move_some_order(),
        }
    }

    fn move_some_order(&mut self) -> Result<(), String> {
        let orders: Vec<(i64, i64, &'static str, &'static str)> = self
            .world
            .model
            .orders
            .iter()
            .map(|(id, order)| (*id, order.member, order.state, order.reward))
            .filter(|(_, _, state, _)| place(state) != Where::Back)
            .collect();
        if orders.is_empty() {
            return Ok(());
        }
        let dice = &mut self.world.dice;
        let (id, member, state, reward) = dice.one_of(&orders);
        let step = match (place(state), dice.below(10)) {
            (Where::Spent, 0..2) if has_rest(reward) => OrderMove::Ship,
            (Where::Spent, 0..3) => OrderMove::Refund,
            // What is done is mostly left alone.
            (Where::Spent, _) => return Ok(()),
            (_, 0..4) => OrderMove::Cancel,
            (_, 4) => OrderMove::Reject,
            (_, 5) => OrderMove::Fail,
            (_, 6) => OrderMove::Fulfil,
            (_, 7) => OrderMove::Approve,
            (_, 8) => OrderMove::Complete,
            _ => dice.one_of(&OrderMove::ALL),
        };
        if state == "fulfilling" && step == OrderMove::Cancel {
            self.world.summary.note("called off while it was fulfilled", 1);
        }
        self.want(member, What::Move(id, step))
    }

    /// The clock ends orders whose time has run out.
    pub(super) fn time_ends_orders(&mut self) -> Result<(), String> {
        let now = self.world.now;
        let orders = self.world.model.orders.iter();
        let late: Vec<(i64, i64)> =
            orders.filter(|(_, order)| order.is_late(now)).map(|(id, order)| (*id, order.member)).collect();
        for (id, member) in late {
            self.want(member, What::Lapse(id))?;
            self.world.summary.note("orders expired", 1);
        }
        Ok(())
    }
}
