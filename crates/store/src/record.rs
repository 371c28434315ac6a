//! Records of administration: operators, sessions, keys, approvals, consents and whatever else is small, typed and changed
//! by people. One table for all kinds; each write is conditional on the version that was read, and carries the audit
//! events of what it does, in the same transaction.

use guerdon_core::audit::{AuditColumns, AuditEntry, AuditEvent};
use guerdon_core::id::{IdGenerator, MemberId, TransactionId};
use guerdon_core::ledger::Verifier;
use guerdon_core::proofs::Hash;
use guerdon_core::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::system_now;
use crate::log::Leaf;
use crate::rows::{self, Cell, Cells};
use crate::{CommandError, EngineHandle, StoreError};

/// A stored record: typed by its kind, found by its id or by what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its kind, such as `operator`.
    pub kind: String,
    /// Its id within the kind; a digest where the id must be secret.
    pub id: String,
    /// Counts its changes from 1; 0: not stored yet. A write names the version that was read.
    pub version: i64,
    /// What it belongs to, such as an operator or member id; empty: to nothing.
    pub subject: String,
    /// From when on it is as good as gone: it is not read any more, and the sweep deletes it.
    pub expires_at: Option<Timestamp>,
    /// JSON.
    pub body: String,
}

impl Record {
    /// A record that is not stored yet.
    pub fn new(kind: &str, id: &str, subject: &str, body: &impl Serialize) -> Result<Self, StoreError> {
        let body = serde_json::to_string(body).map_err(|error| StoreError::Rejected(error.to_string()))?;
        let (kind, id, subject) = (kind.to_owned(), id.to_owned(), subject.to_owned());
        Ok(Self { kind, id, version: 0, subject, expires_at: None, body })
    }

    /// The same record with an end.
    pub fn until(mut self, expires_at: Timestamp) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// The same record with another body, to be written over the version that was read.
    pub fn with(mut self, body: &impl Serialize) -> Result<Self, StoreError> {
        self.body = serde_json::to_string(body).map_err(|error| StoreError::Rejected(error.to_string()))?;
        Ok(self)
    }

    /// Whether it has expired at `now`.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// The body as its type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_str(&self.body)
            .map_err(|error| StoreError::Unusable(format!("record {} {}: {error}", self.kind, self.id)))
    }
}

/// A change of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordChange {
    /// Insert a record of version 0, also over one that has expired, or replace the version that it has. It is then of the
    /// version after it. A conflict when another was faster.
    Put(Record),
    /// Delete the version that was read. A conflict when it is gone or changed.
    Delete(Record),
}

/// Which records to list.
#[derive(Debug, Clone, Default)]
pub struct RecordQuery {
    /// Of one kind.
    pub kind: String,
    /// Only those that belong to this.
    pub subject: Option<String>,
    /// Only those whose id is above this one.
    pub after: Option<String>,
    /// At most so many.
    pub limit: i64,
}

/// Which audit events to list, newest first. Empty fields do not filter.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Below this number.
    pub before: Option<i64>,
    /// By whom.
    pub actor: Option<String>,
    /// What was done, such as `operator.invite`; a prefix ending in `.` takes all below it.
    pub action: Option<String>,
    /// To what.
    pub subject: Option<String>,
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// At most so many.
    pub limit: i64,
}

impl EngineHandle {
    /// Writes records and audit events in one durable transaction, between two batches; all or nothing. A conflict of a
    /// record ([`CommandError::Conflict`]) is the caller's to solve: read again. A race for the next place in the audit
    /// chain is solved by the store.
    pub async fn write_records(&self, changes: Vec<RecordChange>, events: Vec<AuditEvent>) -> Result<(), CommandError> {
        // Records are dated by the machine's clock; the program's own may be set back.
        let now = system_now();
        self.run_with_ids(move |store, ids: &mut IdGenerator| store.write_records(&changes, &events, now, ids)).await
    }

    /// Deletes at most `limit` records that have expired. Returns how many.
    pub async fn sweep_records(&self, limit: usize) -> Result<usize, CommandError> {
        let now = system_now();
        self.run(move |store| store.sweep_records(now, limit)).await
    }
}

/// An event at its place, with what its columns show.
pub(crate) struct ChainedEvent<'a> {
    pub(crate) entry: AuditEntry,
    pub(crate) event: &'a AuditEvent,
}

/// The body of an entry. Its hash is public in the transparency log: the salt keeps outsiders from trying out who may have
/// done what to whom until a guess meets it.
#[derive(Serialize)]
struct Salted<'a> {
    #[serde(flatten)]
    event: &'a AuditEvent,
    salt: String,
}

/// Chains events to the last entry. Their ids are above its own, so that ids rise with numbers whichever node writes.
pub(crate) fn chain<'a>(
    last: Option<&AuditEntry>,
    events: &'a [AuditEvent],
    ids: &mut IdGenerator,
) -> Result<Vec<ChainedEvent<'a>>, StoreError> {
    if let Some(last) = last {
        ids.rise_above(last.id.0);
    }
    let (mut number, mut previous) = last.map_or((0, Hash::default()), |last| (last.number, last.hash));
    let mut chained = Vec::with_capacity(events.len());
    for event in events {
        let salted = Salted { event, salt: format!("{:032x}", rand::random::<u128>()) };
        let body = serde_json::to_string(&salted).map_err(|error| StoreError::Rejected(error.to_string()))?;
        number += 1;
        // As the ids of transactions, by the machine's clock.
        let entry = AuditEntry::new(number, TransactionId(ids.next(system_now())), body, previous);
        previous = entry.hash;
        chained.push(ChainedEvent { entry, event });
    }
    Ok(chained)
}

/// What the transparency log takes of events: a leaf each, which belongs to no member.
pub(crate) fn audit_leaves(chained: &[ChainedEvent<'_>]) -> Vec<Leaf> {
    let leaf = |entry: &AuditEntry| Leaf { transaction_id: entry.id, member_id: MemberId(0), hash: entry.hash };
    chained.iter().map(|ChainedEvent { entry, .. }| leaf(entry)).collect()
}

/// Gives the verifier a row of the audit log: the columns of an entry, then `at`, `actor`, `action` and `subject`.
pub(crate) fn feed_entry(verifier: &mut Verifier, row: &impl Cells) -> Cell<()> {
    let read = || {
        let (at, actor) = (row.millis(5)?, row.text(6)?);
        let columns = AuditColumns { at, actor, action: row.text(7)?, subject: row.text(8)? };
        Ok::<_, String>((rows::audit_entry(row)?, columns))
    };
    match read() {
        Ok((entry, columns)) => verifier.audit_entry(&entry, &columns),
        Err(problem) => verifier.unreadable(format!("audit entry {}", row.int(0)?), problem),
    }
    Ok(())
}
