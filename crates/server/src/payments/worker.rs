//! Sees to the money of orders that wait for a step of their tender: one node at a time, until the tender has answered.
//!
//! A tender that is slow keeps no other waiting: each has lanes of its own, and what finds no place in them is found again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use guerdon_core::id::OrderId;
use guerdon_core::redemption::PaymentTender;
use guerdon_store::{CommandError, Record, RecordChange, StoredEvent};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{Settled, settle};
use crate::AppState;
use crate::due;
use crate::problem::Problem;

/// The kind of the records of what waits. The id is that of the event which asked for it, the subject when to ask next.
const KIND: &str = "payment_wanted";
/// How often is looked for more, and how many are read at once.
const EVERY: Duration = Duration::from_millis(500);
const PAGE: i64 = 500;
/// How long to wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// The lease of the node that does it.
const LEASE: &str = "job payments";
/// Orders for which one node asks the same tender together, and those that may wait for their turn.
const LANES: usize = 8;
const PLACES: usize = 200;
/// How long a tender that has not answered is left alone: at first, and at the most, in milliseconds.
const FIRST_WAIT_MS: i64 = 1_000;
const LONGEST_WAIT_MS: i64 = 60_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Wanted {
    order_id: OrderId,
    tries: u32,
}

/// The room at one tender.
struct Lanes {
    places: Arc<Semaphore>,
    lanes: Semaphore,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES)), lanes: Semaphore::new(LANES) }
    }
}

/// What the tasks of a node share.
struct Shared {
    state: AppState,
    /// Records that this node is at.
    under_way: Mutex<BTreeSet<String>>,
    /// By tender; `None`: orders that wait for no money any more.
    lanes: Mutex<BTreeMap<Option<PaymentTender>, Arc<Lanes>>>,
}

/// What the event that an order's money waits for a step leads to.
pub(crate) fn wanted(state: &AppState, stored: &StoredEvent, order_id: OrderId) -> Result<Record, Problem> {
    let subject = due::subject(state.clock());
    Ok(Record::new(KIND, &stored.id(), &subject, &Wanted { order_id, tries: 0 })?)
}

/// Sees to the money of orders until `stop` says true.
pub async fn payment_worker(state: AppState, mut stop: watch::Receiver<bool>) {
    let shared = Arc::new(Shared { state, under_way: Mutex::default(), lanes: Mutex::default() });
    let mut last = None;
    loop {
        let wait = match round(&shared, &mut last).await {
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

/// Takes up what is due, a page behind the `last` one; behind the end it begins anew.
async fn round(shared: &Arc<Shared>, last: &mut Option<Record>) -> Result<(), Problem> {
    let state = &shared.state;
    let due = due::records(state, (KIND, state.clock()), last.take().as_ref(), PAGE).await?;
    // Few ask the writer for its lease when nothing waits.
    if due.is_empty() || !state.engine.run(|store| store.lease(LEASE)).await? {
        return Ok(());
    }
    *last = due.last().filter(|_| due.len() as i64 == PAGE).cloned();
    let mut taken_up: Vec<(Record, Wanted)> = Vec::with_capacity(due.len());
    for record in due {
        if let Some(wanted) = due::read_or_set_aside(state, &record).await {
            taken_up.push((record, wanted));
        }
    }
    let ids: Vec<OrderId> = taken_up.iter().map(|(_, wanted)| wanted.order_id).collect();
    let orders = state.reader.orders(&ids).await?;
    for (record, wanted) in taken_up {
        let payment = orders.get(&wanted.order_id).and_then(|order| order.details.particulars.payment.as_ref());
        take_up(shared, payment.map(|payment| payment.tender), record, wanted);
    }
    Ok(())
}

/// Lets a task ask a tender, unless one is at it or too many wait for it.
fn take_up(shared: &Arc<Shared>, tender: Option<PaymentTender>, record: Record, wanted: Wanted) {
    let lanes = {
        let mut lanes = shared.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(tender).or_default())
    };
    let Ok(place) = Arc::clone(&lanes.places).try_acquire_owned() else { return };
    if !shared.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(record.id.clone()) {
        return;
    }
    let at_it = AtIt { shared: Arc::clone(shared), id: record.id.clone(), _place: place };
    tokio::spawn(async move {
        let Ok(_lane) = lanes.lanes.acquire().await else { return };
        if let Err(problem) = see_to(&at_it.shared.state, record, wanted).await {
            tracing::warn!(problem.detail, "the money of an order could not be seen to; trying again");
        }
    });
}

/// A record that this node is at, until this is dropped, also by a panic.
struct AtIt {
    shared: Arc<Shared>,
    id: String,
    _place: OwnedSemaphorePermit,
}

impl Drop for AtIt {
    fn drop(&mut self) {
        self.shared.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Asks for an order. What could not be seen to waits as long as what has no answer: it does not come up again at once.
async fn see_to(state: &AppState, record: Record, wanted: Wanted) -> Result<(), Problem> {
    let settled = settle(state, wanted.order_id).await;
    let change = match &settled {
        Ok(Settled::Done) => RecordChange::Delete(record),
        Ok(Settled::Waits) | Err(_) => {
            let wait_ms = FIRST_WAIT_MS.saturating_mul(1 << wanted.tries.min(10)).min(LONGEST_WAIT_MS);
            let subject = due::subject(state.clock().plus_millis(wait_ms));
            let later = Record { subject, ..record };
            RecordChange::Put(later.with(&Wanted { tries: wanted.tries.saturating_add(1), ..wanted })?)
        }
    };
    match state.engine.write_records(vec![change], Vec::new()).await {
        // Another node was at it.
        Ok(()) | Err(CommandError::Conflict) => settled.map(drop),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};
    use guerdon_core::time::Timestamp;
    use guerdon_store::RecordQuery;

    use super::*;
    use crate::identity::testing::{scratch, state};
    use crate::messages::Post;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_due_is_seen_to_and_nothing_else_is_read() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        let now = state.clock();
        let record = |id: &str, at: Timestamp| {
            let wanted = Wanted { order_id: OrderId(1), tries: 0 };
            Record::new(KIND, id, &due::subject(at), &wanted).unwrap()
        };
        // Of an order that is not there nothing is wanted.
        let (past, later) = (now.plus_millis(-1), now.plus_millis(60_000));
        let strange = Record::new(KIND, "a", &due::subject(past), &"nothing that is wanted").unwrap();
        let records = [strange, record("b", past), record("c", past), record("d", later)];
        state.engine.write_records(records.map(RecordChange::Put).into(), Vec::new()).await.unwrap();

        let shared = Arc::new(Shared { state: state.clone(), under_way: Mutex::default(), lanes: Mutex::default() });
        let query = RecordQuery { kind: KIND.to_owned(), limit: 10, ..RecordQuery::default() };
        let left = async || {
            let left = state.reader.records(&query, state.clock()).await.unwrap();
            left.into_iter().map(|record| (record.id, record.subject)).collect::<Vec<_>>()
        };
        round(&shared, &mut None).await.unwrap();
        let waiting = async {
            while left().await.len() > 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap();
        assert_eq!(left().await, [("a".to_owned(), "unreadable".to_owned()), ("d".to_owned(), due::subject(later))]);
        assert_eq!(due::records(&state, (KIND, state.clock()), None, 10).await.unwrap(), []);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_tender_whose_places_are_taken_keeps_no_other_waiting() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        let shared = Arc::new(Shared { state: state.clone(), under_way: Mutex::default(), lanes: Mutex::default() });
        let hangs = Arc::new(Lanes { places: Arc::new(Semaphore::new(1)), lanes: Semaphore::new(0) });
        shared.lanes.lock().unwrap().insert(Some(PaymentTender::Test), Arc::clone(&hangs));
        let wanted = || Wanted { order_id: OrderId(1), tries: 0 };
        let record = |id: &str| Record::new(KIND, id, &due::subject(state.clock()), &wanted()).unwrap();
        for id in ["a", "b"] {
            take_up(&shared, Some(PaymentTender::Test), record(id), wanted());
        }
        assert_eq!(*shared.under_way.lock().unwrap(), BTreeSet::from(["a".to_owned()]));
        let other = record("c");
        state.engine.write_records(vec![RecordChange::Put(other.clone())], Vec::new()).await.unwrap();
        let other = Record { version: 1, ..other };
        take_up(&shared, Some(PaymentTender::CashOnDelivery), other, wanted());
        let waiting = async {
            while state.reader.record(KIND, "c", state.clock()).await.unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap();
        assert_eq!(*shared.under_way.lock().unwrap(), BTreeSet::from(["a".to_owned()]));
    }
}
