//! A store that reads from another and keeps every change to itself: what a command would do, without doing it.

use std::collections::BTreeSet;

use guerdon_core::audit::{AuditEntry, AuditEvent};
use guerdon_core::id::{IdGenerator, MemberId};
use guerdon_core::kernel::{Changes, Footprint, Loaded};
use guerdon_core::ledger::Verifier;
use guerdon_core::program::Document;
use guerdon_core::proofs::{TileId, Tiles};
use guerdon_core::time::Timestamp;

use crate::log::{LogGrowth, LogHead, OutboxBatch};
use crate::{RamStore, Record, Store, StoreError};

/// The base is only read; changes live in RAM and go with the value.
pub struct DryRunStore<S> {
    base: S,
    changed: RamStore,
}

impl<S: Store> DryRunStore<S> {
    /// A dry run over `base`.
    pub fn new(base: S) -> Self {
        Self { base, changed: RamStore::new() }
    }
}

impl<S: Store> Store for DryRunStore<S> {
    fn prefetch(&mut self, footprint: &Footprint) -> Result<Loaded, StoreError> {
        let base = self.base.prefetch(footprint)?;
        self.changed.adopt(&base);
        let mut loaded = base;
        loaded.merge(self.changed.prefetch(footprint)?);
        Ok(loaded)
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.changed.commit(changes)
    }

    fn due(&mut self, now: Timestamp, limit: usize) -> Result<Vec<(MemberId, i64)>, StoreError> {
        self.changed.due(now, limit)
    }

    fn accounts_after(&mut self, after: MemberId, limit: usize) -> Result<Vec<(MemberId, i64)>, StoreError> {
        self.changed.accounts_after(after, limit)
    }

    fn last_id(&mut self) -> Result<i64, StoreError> {
        self.base.last_id()
    }

    fn documents(&mut self) -> Result<Vec<Document>, StoreError> {
        self.base.documents()
    }

    fn add_documents(
        &mut self,
        documents: &[Document],
        stock: &[(String, i64)],
        events: &[AuditEvent],
        ids: &mut IdGenerator,
    ) -> Result<(), StoreError> {
        self.changed.add_documents(documents, stock, events, ids)
    }

    fn revision(&mut self) -> Result<i64, StoreError> {
        self.base.revision()
    }

    fn meta(&mut self, key: &str) -> Result<Option<String>, StoreError> {
        self.base.meta(key)
    }

    fn set_meta(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        self.changed.set_meta(key, value)
    }

    fn set_keyring(&mut self, from: Option<&str>, to: &str, unused: Option<&str>) -> Result<bool, StoreError> {
        self.changed.set_keyring(from, to, unused)
    }

    fn members_under(&mut self, key_id: &str, limit: usize) -> Result<Vec<(MemberId, Vec<u8>)>, StoreError> {
        self.base.members_under(key_id, limit)
    }

    fn rewrap_members(&mut self, from: &str, to: &str, members: &[(MemberId, Vec<u8>)]) -> Result<(), StoreError> {
        self.changed.rewrap_members(from, to, members)
    }

    fn node(&mut self) -> Result<u16, StoreError> {
        self.base.node()
    }

    fn outbox(&mut self, _limit: usize) -> Result<Vec<OutboxBatch>, StoreError> {
        // What did not happen is not for the log.
        Ok(Vec::new())
    }

    fn log_head(&mut self) -> Result<LogHead, StoreError> {
        self.base.log_head()
    }

    fn log_tiles(&mut self, ids: &BTreeSet<TileId>) -> Result<Tiles, StoreError> {
        self.base.log_tiles(ids)
    }

    fn append_log(&mut self, growth: &LogGrowth) -> Result<(), StoreError> {
        self.changed.append_log(growth)
    }

    /// Of records a dry run shows those of the base; it writes none, as the default says.
    fn record(&mut self, kind: &str, id: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        self.base.record(kind, id, now)
    }

    fn audit_head(&mut self) -> Result<Option<AuditEntry>, StoreError> {
        self.base.audit_head()
    }

    fn audit(&mut self, verifier: &mut Verifier) -> Result<(), StoreError> {
        self.base.audit(verifier)
    }
}
