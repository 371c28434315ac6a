//! What becomes of events: the feed is told, tasks wait for operators, messages go to members.
//!
//! One node at a time follows the feed. How far it has come is written together with what it made of the events, so that
//! each event leads to one task or one message.

pub mod letters;
pub mod tasks;

use std::time::Duration;

use guerdon_core::kernel::Event;
use guerdon_store::{Record, RecordChange, ToldEvent};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::AppState;
use crate::groups;
use crate::payments;
use crate::problem::Problem;

/// How often events are looked for, and how many are taken at once.
const EVERY: Duration = Duration::from_millis(500);
const EVENTS: usize = 1_000;
/// Events that are made into tasks and messages at once.
const PAGE: i64 = 200;
/// The lease of the node that follows the feed.
const LEASE: &str = "job feed";
/// How far the feed was followed: the kind and id of the record.
const CURSOR: (&str, &str) = ("feed_cursor", "house");

#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    after: i64,
}

/// Tells events and sees to what they lead to, until `stop` says true.
pub async fn events_worker(state: AppState, mut stop: watch::Receiver<bool>) {
    loop {
        let wait = match round(&state).await {
            Ok(true) => Duration::ZERO,
            Ok(false) => EVERY,
            Err(problem) => {
                tracing::warn!(problem.detail, "events could not be seen to; trying again");
                EVERY * 10
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// One round. True: there may be more to do at once.
async fn round(state: &AppState) -> Result<bool, Problem> {
    let told = state.engine.tell_events(EVENTS).await?;
    if !state.engine.run(|store| store.lease(LEASE)).await? {
        return Ok(told == EVENTS);
    }
    let followed = follow(state).await?;
    Ok(told == EVENTS || followed)
}

/// Makes the next events of the feed into tasks and messages. True: a whole page was there.
async fn follow(state: &AppState) -> Result<bool, Problem> {
    let (kind, id) = CURSOR;
    let now = state.clock();
    let record = state.reader.record(kind, id, now).await?;
    let cursor: Cursor = record.as_ref().map(Record::read).transpose()?.unwrap_or_default();
    let told = state.reader.feed(cursor.after, PAGE).await?;
    let Some(last) = told.last() else { return Ok(false) };
    let mut changes = Vec::with_capacity(told.len() + 1);
    for event in &told {
        // Whoever does it again changes nothing.
        match &event.stored.event {
            Event::GroupEnded { order_id, full: false } => groups::given_back(state, *order_id).await?,
            Event::GroupWanted { order_id } => groups::tell_again(state, *order_id).await?,
            _ => {}
        }
        changes.extend(made_of(state, event)?.map(RecordChange::Put));
    }
    let after = Cursor { after: last.number };
    changes.push(RecordChange::Put(match record {
        Some(record) => record.with(&after)?,
        None => Record::new(kind, id, "", &after)?,
    }));
    state.engine.write_records(changes, Vec::new()).await?;
    Ok(told.len() as i64 == PAGE)
}

/// What an event leads to.
fn made_of(state: &AppState, told: &ToldEvent) -> Result<Option<Record>, Problem> {
    let stored = &told.stored;
    Ok(match &stored.event {
        Event::Task { subject, text } => Some(tasks::of(stored, subject, text)?),
        Event::OfflineBeyond { terminal, points, beyond, owed, lost, .. } => {
            let text = tasks::offline_text(terminal, [*points, *beyond, *owed, *lost]);
            Some(tasks::of(stored, "offline", &text)?)
        }
        Event::Message { template } => Some(letters::of(state, stored, template)?),
        // Templates of these names are sent where the program has them.
        Event::PointsExpiring { .. } => letters::of_known(state, stored, "points_expiring")?,
        Event::TierChanged { .. } => letters::of_known(state, stored, "tier_changed")?,
        Event::TierAtRisk { .. } => letters::of_known(state, stored, "tier_at_risk")?,
        Event::PaymentWanted { order_id, .. } => Some(payments::wanted(state, stored, *order_id)?),
        Event::GroupEnded { full: true, .. } => letters::of_known(state, stored, "group_full")?,
        // That the points are back is told as of any other order.
        Event::PaymentFailed { .. } | Event::GroupEnded { full: false, .. } | Event::GroupWanted { .. } => None,
        // What becomes of an order is told whether or not the program has words of its own for it.
        Event::OrderGivenBack { .. } => Some(letters::of(state, stored, letters::ORDER_GIVEN_BACK)?),
    })
}
