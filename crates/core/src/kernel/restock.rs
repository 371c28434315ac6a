//! Restocking: units come into stock, or a count by hand found fewer. Stock belongs to no member, so the entries stand in the
//! journal of one account that is nobody's.

use serde::{Deserialize, Serialize};

use super::batch::Loaded;
use super::command::{Action, Command, RESTOCK_PREFIX, check_key, check_reason};
use super::decide::Draft;
use super::refusal::{Refusal, RefusalCode};
use crate::id::MemberId;
use crate::limits;
use crate::planted::{self, Bug};
use crate::rewards::{StockChange, stock_key};
use crate::time::Timestamp;

/// The account under which stock is kept in the journal. It holds no points, and no member has this id: it is the last one of
/// the first millisecond from which ids are counted, which was over before there were any.
pub const STOCKROOM: MemberId = MemberId((1 << 22) - 1);

/// Units that come into stock, or out of it where they are fewer than none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restocking {
    /// Of which reward.
    pub reward_id: String,
    /// Into which pool; left out: the reward has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// How many; fewer than none where a count found that they are not there.
    pub quantity: i64,
    /// For which moment it was planned, where it came by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_at: Option<Timestamp>,
}

impl Restocking {
    /// The key of the stock that it changes.
    pub fn key(&self) -> String {
        stock_key(&self.reward_id, self.pool.as_deref())
    }

    /// What it changes, when it happens at `at`.
    pub fn change(&self, at: Timestamp) -> StockChange {
        let restocked_at = (self.quantity > 0).then_some(at);
        StockChange { restocked: self.quantity, restocked_at, ..StockChange::default() }
    }
}

impl Command {
    /// Adds units to stock by hand, or takes out what a count did not find.
    pub fn restock(key: &str, at: Timestamp, wanted: Restocking, reason: &str) -> Result<Self, Refusal> {
        check_key(key)?;
        check_reason(reason)?;
        let found_by = wanted.reward_id.clone();
        let Restocking { reward_id, pool, quantity, .. } = &wanted;
        let invalid = |problem| Refusal::new(RefusalCode::InvalidRequest, problem);
        limits::check_text("reward_id", reward_id, 64).map_err(invalid)?;
        pool.as_deref().map_or(Ok(()), |pool| limits::check_text("pool", pool, limits::KEY_CHARS)).map_err(invalid)?;
        if *quantity == 0 || quantity.saturating_abs() > limits::AMOUNT {
            let problem = format!("`quantity` must be 1 to {0}, or -{0} to -1, not {quantity}", limits::AMOUNT);
            return Err(Refusal::new(RefusalCode::InvalidAmount, problem));
        }
        let request = ("restock", reward_id.clone(), pool.clone(), *quantity, reason);
        let action = Action::Restock(Box::new((Restocking { planned_at: None, ..wanted }, Some(reason.to_owned()))));
        Ok(Self::new(STOCKROOM, key, at, action, &request).of_reward(found_by))
    }

    /// Adds the units that a reward says come in at a moment: once however often it is sent.
    pub fn planned_restock(
        reward_id: &str,
        pool: Option<&str>,
        quantity: i64,
        planned_at: Timestamp,
        at: Timestamp,
    ) -> Self {
        let (reward_id, pool) = (reward_id.to_owned(), pool.map(str::to_owned));
        let wanted = Restocking { reward_id, pool, quantity, planned_at: Some(planned_at) };
        let moment = if planted::is(Bug::RestockedTwice) { at } else { planned_at };
        let key = format!("{RESTOCK_PREFIX}{}:{}", moment.as_millis(), wanted.key());
        let found_by = wanted.reward_id.clone();
        let command = Self::new(STOCKROOM, &key, at, Action::Restock(Box::new((wanted, None))), &"restock");
        command.from_channel("system").of_reward(found_by)
    }

    /// The entries of a reward are found by it, among those of all rewards.
    fn of_reward(self, reward_id: String) -> Self {
        self.with_reference(Some(reward_id))
    }
}

impl Draft<'_> {
    /// Changes the stock of a reward that is limited.
    pub(super) fn restock(
        &mut self,
        (wanted, reason): &(Restocking, Option<String>),
        loaded: &Loaded,
    ) -> Result<(), Refusal> {
        let Restocking { reward_id, pool, quantity, .. } = wanted;
        let at = self.command.at;
        let offered = self.program.offered_at(reward_id, at).ok_or_else(|| {
            let problem = format!("there is no reward `{reward_id}`");
            Refusal::new(RefusalCode::UnknownReward, problem)
        })?;
        let key = wanted.key();
        let parts = offered.stock_parts();
        let level = loaded.stock.get(&key).filter(|_| parts.iter().any(|(known, ..)| *known == key));
        let Some(level) = level else {
            let pools: Vec<&str> = parts.iter().filter_map(|(_, part, _)| part.as_deref()).collect();
            let (code, problem) = match (pool, pools.is_empty()) {
                (Some(pool), true) => {
                    (RefusalCode::UnknownPool, format!("reward `{reward_id}` has no pool `{pool}`: it has none"))
                }
                (_, false) => (
                    RefusalCode::UnknownPool,
                    format!("`pool` of reward `{reward_id}` must be one of {}", pools.join(", ")),
                ),
                (None, true) => (
                    RefusalCode::StockUnlimited,
                    format!("reward `{reward_id}` is unlimited: it has no stock to add to"),
                ),
            };
            return Err(Refusal::new(code, problem));
        };
        if level.free().saturating_add(*quantity) < 0 {
            let (free, on_hand, reserved) = (level.free(), level.on_hand, level.reserved);
            let problem = format!(
                "{} units cannot be taken out: {on_hand} are there, of which {reserved} are promised to orders, so that \
                 {free} are left at the most",
                quantity.saturating_abs()
            );
            return Err(Refusal::new(RefusalCode::StockReserved, problem));
        }
        if level.all().saturating_add(*quantity) > limits::AMOUNT {
            let problem = format!("`quantity` {quantity} would make more than {} units in all", limits::AMOUNT);
            return Err(Refusal::new(RefusalCode::InvalidAmount, problem));
        }
        self.stock.push((key, wanted.change(at)));
        self.receipt.reason.clone_from(reason);
        self.receipt.restock = Some(wanted.clone());
        Ok(())
    }
}
