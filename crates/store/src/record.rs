//! Records of administration: operators, sessions, keys, approvals, consents and whatever else is small, typed and changed
//! by people. One table for all kinds; each write is conditional on the version that was read, and carries the audit
//! events of what it does, in the same transaction.

use guerdon_core::audit::AuditEvent;
use guerdon_core::id::IdGenerator;
use guerdon_core::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

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

    /// The body as its type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_str(&self.body)
            .map_err(|error| StoreError::Unusable(format!("record {} {}: {error}", self.kind, self.id)))
    }
}

/// A change of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordChange {
    /// Insert a record of version 0, or replace the version that it has. A conflict when another was faster.
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
    /// record is the caller's to solve (read again); a race for the next place in the audit chain is solved here.
    pub async fn write_records(&self, changes: Vec<RecordChange>, events: Vec<AuditEvent>) -> Result<(), CommandError> {
        self.run_with_ids(move |store, ids: &mut IdGenerator| store.write_records(&changes, &events, ids)).await
    }
}
