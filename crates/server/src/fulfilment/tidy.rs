//! Codes that were set aside for an order, and whose end was lost with the process that knew it: handed over where the order
//! was, and free again where it was given back unseen. The same of what suppliers were asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use guerdon_core::id::OrderId;
use guerdon_core::redemption::{Funds, Order};
use guerdon_fulfilment::{ASKED_FOR, follow_watched, settle_codes};
use guerdon_store::{Record, RecordQuery};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::effects::Doing;
use super::{CALLS, is_ours};
use crate::AppState;
use crate::problem::Problem;

/// How often is looked for them.
const EVERY: Duration = Duration::from_secs(10);
/// Orders that are read at once.
const SLICE: i64 = 200;
/// Slices of one round: those of which suppliers are still asked are passed over in it.
const SLICES: usize = 50;

/// Where the next look begins.
#[derive(Default)]
struct Tidy {
    after: Option<OrderId>,
    watched_after: Option<String>,
}

/// Tidies up until `stop` says true.
pub(super) async fn tidy_up(state: AppState, mut stop: watch::Receiver<bool>) {
    let mut tidy = Tidy::default();
    loop {
        let round = async {
            match tidy.round(&state).await {
                Ok(()) => {}
                Err(problem) => tracing::warn!(problem.detail, "what orders left behind could not be looked for"),
            }
            tokio::time::sleep(EVERY).await;
        };
        tokio::select! {
            () = round => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

impl Tidy {
    async fn round(&mut self, state: &AppState) -> Result<(), Problem> {
        if !is_ours(state).await? {
            return Ok(());
        }
        let after = self.after.unwrap_or(OrderId(0));
        let open = state.reader.orders_with_open_codes(after, SLICE).await?;
        self.after = open.last().filter(|_| open.len() as i64 == SLICE).map(|(order, _)| *order);
        for (id, _) in open {
            if let Err(problem) = settle(state, id).await {
                tracing::warn!(order = %id, problem.detail, "the codes of an order could not be settled; it is tried again");
            }
        }
        for _ in 0..SLICES {
            self.watched_after = follow_next(state, self.watched_after.clone()).await?;
            if self.watched_after.is_none() {
                break;
            }
        }
        Ok(())
    }
}

async fn settle(state: &AppState, id: OrderId) -> Result<(), Problem> {
    match state.reader.order(id).await? {
        Some(order) => settle_codes(&Doing::of(state), &order).await,
        // An order that a restored database does not know was given its codes all the same: they are not free.
        None => Ok(()),
    }
}

/// Looks at the next orders of which suppliers were asked for something, and follows those that are over. Answers where the next
/// look begins.
async fn follow_next(state: &AppState, after: Option<String>) -> Result<Option<String>, Problem> {
    let query = RecordQuery { kind: ASKED_FOR.to_owned(), after, limit: SLICE, ..RecordQuery::default() };
    let records = state.reader.records(&query, state.clock()).await?;
    let next = records.last().filter(|_| records.len() as i64 == SLICE).map(|record| record.id.clone());
    let mut watched: BTreeMap<OrderId, Record> =
        records.into_iter().filter_map(|record| Some((record.id.parse().ok()?, record))).collect();
    let ids: Vec<OrderId> = watched.keys().copied().collect();
    let mut following = JoinSet::new();
    // What a restored database does not know may have been delivered all the same: reconciliation tells.
    for order in state.reader.orders(&ids).await?.into_values() {
        let Some(record) = watched.remove(&order.id).filter(|_| order.state.funds() != Funds::Held) else { continue };
        if following.len() >= CALLS {
            following.join_next().await;
        }
        following.spawn(follow(state.clone(), order, record));
    }
    following.join_all().await;
    Ok(next)
}

/// One that cannot be followed holds up no others.
async fn follow(state: AppState, order: Order, record: Record) {
    if let Err(problem) = follow_watched(&Doing::of(&state), &order, record).await {
        tracing::warn!(order = %order.id, problem.detail, "an order could not be followed to its end; it is tried again");
    }
}
