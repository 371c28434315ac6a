//! Which units an order takes: of the first pool that is open to the member and has enough, beyond what is set aside; and
//! whether it comes through the waiting room.

use std::collections::BTreeMap;

use super::batch::{Footprint, Loaded};
use super::command::{Action, Command};
use super::decide::Draft;
use super::offers::thresholds;
use super::order_commands::Redemption;
use super::refusal::{Refusal, RefusalCode};
use crate::earning::{Counted, CounterOf, Window};
use crate::planted::{self, Bug};
use crate::program::Program;
use crate::rewards::{CompiledReward, Pool, Rights, Shut, StockChange, StockTaken, Waits, stock_key};

/// The key of the stock that an order takes from, the pool that it is, and how many units must be left there.
type Source<'o> = (String, Option<&'o Pool>, i64);

impl Footprint {
    /// The stock of the pools of the rewards that commands want.
    pub(super) fn expect_pools(&mut self, program: &Program, commands: &[&Command]) {
        for command in commands {
            let (reward, pool) = match &command.action {
                Action::Redeem(redemption) => (&redemption.reward_id, None),
                Action::Restock(wanted) => (&wanted.0.reward_id, wanted.0.pool.as_deref()),
                _ => continue,
            };
            let offered = program.offered_at(reward, command.at);
            let pools = offered.map_or(&[][..], |offered| &offered.reward.scarcity.pools);
            let wanted = pools.iter().map(|pool| stock_key(reward, Some(&pool.id)));
            for key in wanted.chain(pool.map(|pool| stock_key(reward, Some(pool)))) {
                if !self.stock.contains(&key) {
                    self.stock.push(key);
                }
            }
        }
    }
}

impl Draft<'_> {
    /// Refuses an order that does not come through the waiting room while there is one.
    pub(super) fn check_room(&self, offered: &CompiledReward, rights: &Rights) -> Result<(), Refusal> {
        let at = self.command.at;
        let Some(room) = offered.waiting_room().filter(|room| room.is_open(at)) else { return Ok(()) };
        let reward = offered.reward.id.as_str();
        let waits = match room.admits(rights.ticket.as_ref(), (self.command.member_id, reward), at) {
            Ok(()) => return Ok(()),
            Err(waits) => waits,
        };
        let why = match waits {
            Waits::NoPlace => "the order brings no place of this member in it".to_owned(),
            Waits::Until(from) => format!("it is this member's turn from {from} on"),
            Waits::TooLate(until) => format!("it was this member's turn until {until}; ask for a new place"),
        };
        let problem = format!(
            "reward `{reward}` has a waiting room: {why}. Ask for a place with `POST /v1/rewards/{reward}/waiting-room`, and give \
             its `ticket` as `waiting_ticket` once it is admitted"
        );
        Err(Refusal::new(RefusalCode::WaitingRoomRequired, problem))
    }

    /// Sets the units of an order aside, or hands them out. Answers what it takes where that is not just units of its reward.
    pub(super) fn take_units(
        &mut self,
        offered: &CompiledReward,
        wanted: &Redemption,
        loaded: &Loaded,
    ) -> Result<Vec<StockTaken>, Refusal> {
        let units = wanted.quantity;
        let (key, pool, kept) = match self.choose(offered, wanted, loaded)? {
            Some(chosen) => chosen,
            None => return Ok(Vec::new()),
        };
        let change = match wanted.capture {
            true => StockChange { issued: units, ..StockChange::default() },
            false => StockChange { reserved: units, ..StockChange::default() },
        };
        self.stock.push((key.clone(), change.leaving(kept)));
        self.use_right(offered, wanted);
        Ok(pool.map(|_| StockTaken { key, units }).into_iter().collect())
    }

    /// Uses up the right of the member to what is kept: the account that is written with the order says so, and of orders that come
    /// at once the first has it.
    fn use_right(&mut self, offered: &CompiledReward, wanted: &Redemption) {
        let reward = &offered.reward;
        let Some(since) = wanted.rights.private.filter(|_| reward.scarcity.private_window.is_some()) else { return };
        if !self.viewer(&BTreeMap::new()).has_right(&reward.id, since) {
            return;
        }
        // The clock of the node that gave the right may be ahead.
        let ends_at = self.command.at.max(since).plus_millis(1);
        let (of, sum) = (CounterOf::Private(reward.id.as_str().into()), wanted.quantity);
        let counted = Counted { of, window: Window::Event, ends_at, count: 1, sum };
        self.account.history.count(&counted);
        self.receipt.counted.push(counted);
    }

    /// The stock that an order takes from, and how many units it must leave there; `None`: there is no limit.
    fn choose<'o>(
        &self,
        offered: &'o CompiledReward,
        wanted: &Redemption,
        loaded: &Loaded,
    ) -> Result<Option<Source<'o>>, Refusal> {
        let mut refused = Vec::new();
        let thresholds = thresholds(&offered.reward.id, &wanted.rights);
        let viewer = self.viewer(&thresholds);
        for (key, pool) in offered.stock_keys() {
            let level = match (loaded.stock.get(&key), pool) {
                (Some(level), _) => level,
                (None, None) => return Ok(None),
                (None, Some(_)) => {
                    refused.push((pool, Shut::Left(0)));
                    continue;
                }
            };
            let taken = if planted::is(Bug::StockTakenBeforeCheck) { wanted.quantity } else { 0 };
            match viewer.share(offered, pool, level, wanted.rights.private) {
                Ok(share) if share.units - taken >= wanted.quantity => return Ok(Some((key, pool, share.kept))),
                Ok(share) => refused.push((pool, Shut::Left(share.units))),
                Err(shut) => refused.push((pool, shut)),
            }
        }
        let why = refused.iter().map(|(pool, shut)| match pool {
            Some(pool) => format!("pool `{}`: {shut}", pool.id),
            None => shut.to_string(),
        });
        let mut why = why.collect::<Vec<_>>().join("; ");
        let is_kept = refused.iter().any(|(_, shut)| matches!(shut, Shut::Private(_)));
        if is_kept && wanted.rights.private.is_some_and(|since| !viewer.has_right(&offered.reward.id, since)) {
            why.push_str("; this member has had what was kept");
        }
        Err(Refusal::new(RefusalCode::OutOfStock, format!("{} wanted, {why}", wanted.quantity)))
    }
}
