//! How scarce rewards are shared out, beside the kernel: what the rights of an order are is looked up here and handed in, as the
//! demand for a reward is; refusals are remembered; places in waiting rooms are given; and what is due comes in.

pub(crate) mod restock;
pub(crate) mod rooms;
mod tries;
mod worker;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Action, Command, RefusalCode};
use guerdon_core::rewards::{CompiledReward, Rights, Ticket};
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Outcome, StoreError};

use crate::AppState;
use rooms::Rooms;
use tries::Refused;
pub use worker::scarcity_worker;

/// What a node knows of scarce rewards.
#[derive(Default)]
pub struct Scarce {
    /// What must have been spent to take part in presales, by reward.
    thresholds: RwLock<Arc<BTreeMap<String, i64>>>,
    refused: Refused,
    rooms: Rooms,
}

impl Scarce {
    /// What must have been spent to take part in presales, by reward: a second old or so.
    pub fn thresholds(&self) -> Arc<BTreeMap<String, i64>> {
        Arc::clone(&self.thresholds.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_thresholds(&self, thresholds: BTreeMap<String, i64>) {
        *self.thresholds.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(thresholds);
    }
}

/// By what an order comes through a waiting room.
#[derive(Clone, Copy)]
pub enum Entry<'a> {
    /// By the token that it brings.
    Ticket(Option<&'a str>),
    /// By the place of the member, who is known to have sent it.
    Own,
}

/// Sends an order with the rights of its member, and remembers it where nothing was left.
pub async fn submit(state: &AppState, command: Command, entry: Entry<'_>) -> Outcome {
    let Some((member, offered)) = scarce(state, &command) else { return state.engine.submit_one(command).await };
    let (at, reward) = (command.at, offered.reward.id.as_str());
    let rights = rights(state, member, &offered, entry, at).await.map_err(unreadable)?;
    let private = rights.private;
    let outcome = state.engine.submit_one(command.with_rights(rights)).await;
    if let Some(since) = private
        && let Err(error) = forget_used(state, reward, member, since).await
    {
        tracing::warn!(%error, "the tries of a member who got what was kept are remembered until the next order");
    }
    if let Err(CommandError::Refused(refusal)) = &outcome
        && refusal.code == RefusalCode::OutOfStock
        && let Some(window) = &offered.reward.scarcity.private_window
        && nothing_was_free(state, &offered).await
    {
        state.catalogue.scarce.refused.note(member, reward, at, window);
    }
    outcome
}

/// Forgets the tries behind a right that was used up, by this order or by one before it after which they could not be: they would
/// stand in the way of another right.
async fn forget_used(state: &AppState, reward: &str, member: MemberId, since: Timestamp) -> Result<(), CommandError> {
    let account = state.reader.account(member).await.map_err(unreadable)?;
    if account.is_some_and(|account| account.history.has_used_right(reward, since)) {
        state.engine.forget_tries(reward, member, since).await?;
    }
    Ok(())
}

/// Whether a reward has run out altogether: whoever asks for more than there is, or for what is kept for others, has not gone
/// away empty-handed.
async fn nothing_was_free(state: &AppState, offered: &CompiledReward) -> bool {
    let keys: Vec<String> = offered.stock_keys().map(|(key, _)| key).collect();
    match state.reader.stock_of(&keys).await {
        Ok(stock) => !stock.is_empty() && stock.values().all(|level| level.free() <= 0),
        Err(error) => {
            tracing::warn!(%error, "a try for a scarce reward is not counted");
            false
        }
    }
}

/// The reward that an order is for, where it is shared out.
fn scarce(state: &AppState, command: &Command) -> Option<(MemberId, Arc<CompiledReward>)> {
    let Action::Redeem(redemption) = &command.action else { return None };
    let program = state.program();
    let offered = program.offered_at(&redemption.reward_id, command.at)?;
    (!offered.reward.scarcity.is_empty()).then(|| (command.member_id, Arc::clone(offered)))
}

/// What a member may besides.
async fn rights(
    state: &AppState,
    member: MemberId,
    offered: &CompiledReward,
    entry: Entry<'_>,
    at: Timestamp,
) -> Result<Rights, StoreError> {
    let reward = offered.reward.id.as_str();
    let ticket = match (offered.waiting_room().filter(|room| room.is_open(at)), entry) {
        (None, _) => None,
        (Some(_), Entry::Ticket(token)) => token.and_then(|token| Ticket::open(&state.keys(), token)),
        (Some(room), Entry::Own) => rooms::own_ticket(state, member, reward, room).await?,
    };
    let presale = state.catalogue.scarce.thresholds().get(reward).copied();
    Ok(Rights { presale, private: may_private(state, member, offered).await?, ticket })
}

/// Since when a member has gone away empty-handed often enough for what is kept.
pub async fn may_private(
    state: &AppState,
    member: MemberId,
    offered: &CompiledReward,
) -> Result<Option<Timestamp>, StoreError> {
    match offered.reward.scarcity.private_window {
        None => Ok(None),
        Some(_) => Ok(state.reader.tries(&offered.reward.id, member).await?.enough_since),
    }
}

fn unreadable(error: StoreError) -> CommandError {
    tracing::error!(%error, "the rights of an order could not be read");
    CommandError::Unavailable(
        "the store cannot be read at the moment; repeat in a second, with the same idempotency key".to_owned(),
    )
}
