//! Sees to the money of orders that wait for a step of their tender: one node at a time, until the tender has answered.

use std::time::Duration;

use guerdon_core::id::OrderId;
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange, RecordQuery, StoredEvent};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Settled, settle};
use crate::AppState;
use crate::problem::Problem;

/// The kind of the records of what waits. The id is that of the event which asked for it.
const KIND: &str = "payment_wanted";
/// How often is looked for more, and how many are read at once.
const EVERY: Duration = Duration::from_millis(500);
const PAGE: i64 = 200;
/// How long to wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// The lease of the node that does it.
const LEASE: &str = "job payments";
/// How long a tender that has not answered is left alone: at first, and at the most, in milliseconds.
const FIRST_WAIT_MS: i64 = 1_000;
const LONGEST_WAIT_MS: i64 = 60_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Wanted {
    order_id: OrderId,
    /// When to ask next.
    next_at: Timestamp,
    tries: u32,
}

/// What the event that an order's money waits for a step leads to.
pub(crate) fn wanted(state: &AppState, stored: &StoredEvent, order_id: OrderId) -> Result<Record, Problem> {
    Ok(Record::new(KIND, &stored.id(), "", &Wanted { order_id, next_at: state.clock(), tries: 0 })?)
}

/// Sees to the money of orders until `stop` says true.
pub async fn payment_worker(state: AppState, mut stop: watch::Receiver<bool>) {
    loop {
        let wait = match round(&state).await {
            Ok(()) => EVERY,
            Err(problem) => {
                tracing::warn!(problem.detail, "the money of orders could not be seen to; trying again");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Goes through all that waits.
async fn round(state: &AppState) -> Result<(), Problem> {
    let mut after = None;
    let mut leads = false;
    loop {
        let query = RecordQuery { kind: KIND.to_owned(), subject: None, after, limit: PAGE };
        let records = state.reader.records(&query, state.clock()).await?;
        // Few ask the writer for its lease when nothing waits.
        leads = leads || (!records.is_empty() && state.engine.run(|store| store.lease(LEASE)).await?);
        if !leads {
            return Ok(());
        }
        after = records.last().map(|record| record.id.clone());
        let more = records.len() as i64 == PAGE;
        for record in records {
            // One that cannot be seen to does not hold up the others.
            if let Err(problem) = see_to(state, record).await {
                tracing::warn!(problem.detail, "the money of an order could not be seen to; trying again");
            }
        }
        if !more {
            return Ok(());
        }
    }
}

async fn see_to(state: &AppState, record: Record) -> Result<(), Problem> {
    let wanted: Wanted = record.read()?;
    if wanted.next_at > state.clock() {
        return Ok(());
    }
    let change = match settle(state, wanted.order_id).await? {
        Settled::Done => RecordChange::Delete(record),
        Settled::Waits => {
            let wait_ms = FIRST_WAIT_MS.saturating_mul(1 << wanted.tries.min(10)).min(LONGEST_WAIT_MS);
            let (next_at, tries) = (state.clock().plus_millis(wait_ms), wanted.tries.saturating_add(1));
            RecordChange::Put(record.with(&Wanted { next_at, tries, ..wanted })?)
        }
    };
    match state.engine.write_records(vec![change], Vec::new()).await {
        // Another node was at it.
        Err(CommandError::Conflict) => Ok(()),
        outcome => Ok(outcome?),
    }
}
