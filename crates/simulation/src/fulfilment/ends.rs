//! Time enough for everybody: nobody dies any more, and hours pass until nothing is left to be done.

use guerdon_core::id::OrderId;
use guerdon_core::time::Timestamp;

use super::acting::Task;
use super::{End, Fulfilments};
use crate::world::{HOUR, NODES};

/// Rounds, each an hour after the one before, until all must have come to an end: three days for a promise, as long for whatever
/// expires, a day for what cannot be reached, and as long until it is told.
const ROUNDS: usize = 240;

impl Fulfilments {
    /// What is left comes to its end.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        self.is_rough = false;
        self.partners.values_mut().for_each(|partner| partner.away_until = 0);
        for mut task in std::mem::take(&mut self.tasks) {
            self.run_to_its_end(&mut task)?;
        }
        self.rounds()?;
        self.world.compare()?;
        self.check_the_end()?;
        self.world.settle()
    }

    /// Lets hours pass until nobody has anything to do.
    pub(super) fn rounds(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS {
            if self.is_quiet() {
                return Ok(());
            }
            self.round()?;
            self.world.now += HOUR;
        }
        Err(format!("{} does not come to an end", self.left()))
    }

    /// Everybody looks once at what is to be done.
    fn round(&mut self) -> Result<(), String> {
        self.time_ends_orders()?;
        while let Some(index) = self.callbacks.iter().position(|call| call.at <= self.world.now) {
            let call = self.callbacks.swap_remove(index);
            if let Some(task) = self.calling(self.node, call)? {
                self.run_or_crash(task)?;
            }
        }
        let ids: Vec<i64> = self.world.model.orders.keys().copied().collect();
        for id in ids {
            let id = OrderId(id);
            let order = self.stored(id)?.ok_or("an order is gone")?;
            if self.program.may_fulfil(&order, Timestamp::from_millis(self.world.now)) {
                let task = self.going_on(self.node, id);
                self.run_or_crash(task)?;
            }
        }
        for id in self.with_open_codes() {
            let task = self.settling_codes(self.node, id);
            self.run_or_crash(task)?;
        }
        for id in self.watched() {
            let task = self.following(self.node, id);
            self.run_or_crash(task)?;
        }
        // What was on its way when its node died comes once others have gone on.
        while !self.late.is_empty() || self.world.has_ghosts() {
            self.something_arrives()?;
            self.compare()?;
        }
        Ok(())
    }

    /// Runs a task to its end, or to the crash that is planned, after which another node goes on.
    fn run_or_crash(&mut self, mut task: Task) -> Result<(), String> {
        loop {
            if let Some((at, end)) = self.crash
                && self.done == at
                && task.is_about_to_change_something()
            {
                self.crash = None;
                self.node = (self.node + 1) % NODES;
                self.crash_at(task, end)?;
                return self.compare();
            }
            if self.is_doomed(&task) {
                self.node = (self.node + 1) % NODES;
                let end = self.world.dice.one_of(&[End::Lost, End::Done, End::Late]);
                self.crash_at(task, end)?;
                return self.compare();
            }
            self.something_is_called_off()?;
            let ended = self.advance(&mut task)?;
            self.compare()?;
            if ended {
                return Ok(());
            }
        }
    }

    pub(super) fn run_to_its_end(&mut self, task: &mut Task) -> Result<(), String> {
        while !self.advance(task)? {
            self.compare()?;
        }
        self.compare()
    }

    fn is_quiet(&self) -> bool {
        self.left().is_empty()
    }

    /// What is not at its end, in words.
    fn left(&self) -> String {
        let mut left: Vec<String> = Vec::new();
        for (id, order) in &self.world.model.orders {
            let waits_for_people = order.state == "shipped" || order.state == "issued" && order.has_rest();
            if order.is_open() && !waits_for_people {
                left.push(format!("order {id} ({})", order.state));
            }
        }
        left.extend(self.with_open_codes().iter().map(|id| format!("the codes of {id}")));
        left.extend(self.watched().iter().map(|id| format!("what was asked for {id}")));
        left.extend(self.callbacks.iter().map(|call| format!("a call about {}", call.key)));
        let is_late = !self.late.is_empty() || self.world.has_ghosts();
        left.extend(is_late.then(|| "what was on its way".to_owned()));
        left.join(", ")
    }
}
