//! The feed of events: each commit leaves what is to be told of it in the table `event`, and one node at a time moves that
//! into the feed under rising numbers. Whoever follows the feed by number misses nothing, however late a commit arrives,
//! and hears of each event once.

use guerdon_core::id::{MemberId, TransactionId};
use guerdon_core::kernel::{Changes, Event};
use guerdon_core::time::Timestamp;

use crate::engine::system_now;
use crate::read::{Read, Reader, failed};
use crate::rows::{Cell, Cells};
use crate::{CommandError, EngineHandle, StoreError};

/// The lease of the node that moves events.
const LEASE: &str = "job events";
/// How long the feed keeps what it told, in milliseconds (90 days); the journal keeps it for good.
const KEPT_MS: i64 = 90 * 86_400_000;

/// Something that is to be told, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The transaction that led to it.
    pub transaction_id: TransactionId,
    /// Its place among the events of the transaction, from 0.
    pub place: i64,
    /// The member.
    pub member_id: MemberId,
    /// When the transaction happened.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

impl StoredEvent {
    /// The id under which it is told: that of its transaction, and its place.
    pub fn id(&self) -> String {
        format!("{}-{}", self.transaction_id, self.place)
    }
}

/// An event at its place in the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldEvent {
    /// Rises from event to event, and is never given again.
    pub number: i64,
    /// The event.
    pub stored: StoredEvent,
}

/// What a batch leaves to be told, in order.
pub(crate) fn events(changes: &Changes) -> Vec<StoredEvent> {
    let of = |decision: &guerdon_core::kernel::Decision| {
        let transaction = &decision.transaction;
        let (transaction_id, member_id, at) = (transaction.id, transaction.member_id, transaction.at);
        let all = decision.events.clone().into_iter().zip(0..);
        all.map(move |(event, place)| StoredEvent { transaction_id, place, member_id, at, event })
    };
    changes.decisions.iter().flat_map(of).collect()
}

/// The stored form of what is told.
pub(crate) fn body(event: &StoredEvent) -> String {
    serde_json::to_string(&event.event).unwrap_or_default()
}

pub(crate) const EVENT_COLUMNS: &str = "txn_id, place, member_id, at, body";

/// An event from its columns, of which the first stands at `from`.
pub(crate) fn stored(row: &impl Cells, from: usize) -> Cell<StoredEvent> {
    let body = row.text(from + 4)?;
    Ok(StoredEvent {
        transaction_id: TransactionId(row.int(from)?),
        place: row.int(from + 1)?,
        member_id: MemberId(row.int(from + 2)?),
        at: row.millis(from + 3)?,
        event: serde_json::from_str(&body).map_err(|error| format!("event: {error}"))?,
    })
}

/// Reads the feed: `$1` is the number behind which, `$2` how many.
pub(crate) fn feed_sql() -> String {
    format!("SELECT number, {EVENT_COLUMNS} FROM feed WHERE number > $1 ORDER BY number LIMIT $2")
}

/// A row of the feed.
pub(crate) fn told(row: &impl Cells) -> Cell<ToldEvent> {
    Ok(ToldEvent { number: row.int(0)?, stored: stored(row, 1)? })
}

impl EngineHandle {
    /// Moves at most `limit` events into the feed, where this node is the one to do it. Returns how many.
    pub async fn tell_events(&self, limit: usize) -> Result<usize, CommandError> {
        let now = system_now();
        self.run(
            move |store| {
                if store.lease(LEASE)? { store.tell(limit, now, now.plus_millis(-KEPT_MS)) } else { Ok(0) }
            },
        )
        .await
    }
}

impl Reader {
    /// The events of the feed behind a number, in order.
    pub async fn feed(&self, after: i64, limit: i64) -> Read<Vec<ToldEvent>> {
        let query = sqlx::query(sqlx::AssertSqlSafe(feed_sql())).bind(after).bind(limit);
        let found = query.fetch_all(&self.pool).await.map_err(failed)?;
        found.iter().map(told).collect::<Result<_, String>>().map_err(StoreError::Unusable)
    }
}
