//! Readers of records and of the audit log.

use guerdon_core::audit::AuditEntry;
use guerdon_core::time::Timestamp;

use crate::read::{Read, Reader};
use crate::{AuditQuery, Record, RecordQuery, StoreError};

fn later<T>() -> Read<T> {
    Err(StoreError::Unusable("this store keeps no records yet".to_owned()))
}

impl Reader {
    /// A record, unless it is not there or has expired at `now`.
    pub async fn record(&self, _kind: &str, _id: &str, _now: Timestamp) -> Read<Option<Record>> {
        later()
    }

    /// Records in the order of their ids, without those that have expired at `now`.
    pub async fn records(&self, _query: &RecordQuery, _now: Timestamp) -> Read<Vec<Record>> {
        later()
    }

    /// Events of the audit log, newest first.
    pub async fn audit_events(&self, _query: &AuditQuery) -> Read<Vec<AuditEntry>> {
        later()
    }
}
