//! The one trait of every store, and what is built from it alone.

use std::collections::BTreeSet;
use std::time::Duration;

use guerdon_core::audit::{AuditEntry, AuditEvent};
use guerdon_core::id::{IdGenerator, MemberId, OrderId};
use guerdon_core::kernel::{Changes, Footprint, Loaded};
use guerdon_core::ledger::{Verifier, VerifyReport};
use guerdon_core::program::{Document, Program};
use guerdon_core::proofs::{TileId, Tiles};
use guerdon_core::time::Timestamp;

use crate::code::{Claimed, CodeClaim, CodeFate, CodeUpload, CodesAdded, no_codes};
use crate::log::{LogGrowth, LogHead, OutboxBatch};
use crate::privacy::{NowSealed, PlainMember};
use crate::{Record, RecordChange, StoreError, ToldEvent};

fn no_records<T>() -> Result<T, StoreError> {
    Err(StoreError::Unusable("this store keeps no records".to_owned()))
}

/// What the kernel needs of a store, and beside it the records of administration.
pub trait Store: Send {
    /// Loads every row that the footprint names, set-based, without locks.
    fn prefetch(&mut self, footprint: &Footprint) -> Result<Loaded, StoreError>;

    /// Writes all changes in one durable transaction, or none of them.
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError>;

    /// Writes the changes of all members but those whose accounts another writer has changed since, in one durable
    /// transaction. Returns those members; a conflict when nothing else is left.
    fn commit_what_fits(&mut self, changes: Changes) -> Result<Vec<MemberId>, StoreError> {
        self.commit(&changes).map(|()| Vec::new())
    }

    /// Accounts on which something is due at `now`, with their versions, earliest first.
    fn due(&mut self, now: Timestamp, limit: usize) -> Result<Vec<(MemberId, i64)>, StoreError>;

    /// Accounts above a member's, with their versions, in the order of their members.
    fn accounts_after(&mut self, after: MemberId, limit: usize) -> Result<Vec<(MemberId, i64)>, StoreError>;

    /// For how long a writer lets more commands come to a small batch while many are coming, where what a batch costs is
    /// mostly its round trips.
    fn gathers_for(&self) -> Duration {
        Duration::ZERO
    }

    /// The highest id given to any record, 0 when there is none: a node goes on above it after a restart.
    fn last_id(&mut self) -> Result<i64, StoreError>;

    /// All configuration documents, by kind, id and version.
    fn documents(&mut self) -> Result<Vec<Document>, StoreError>;

    /// Adds documents, stock rows for rewards that have none yet, and the audit events of it, in one transaction.
    fn add_documents(
        &mut self,
        documents: &[Document],
        stock: &[(String, i64)],
        events: &[AuditEvent],
        ids: &mut IdGenerator,
    ) -> Result<(), StoreError>;

    /// How many documents there are. It grows with each publication, so that a node sees that another has published.
    fn revision(&mut self) -> Result<i64, StoreError>;

    /// A value that belongs to the database as a whole.
    fn meta(&mut self, key: &str) -> Result<Option<String>, StoreError>;

    /// Sets a value that belongs to the database as a whole.
    fn set_meta(&mut self, key: &str, value: &str) -> Result<(), StoreError>;

    /// Sets what the database knows of its keys, provided it is as it was read (`from`), and that `unused`, where it is
    /// given, wraps no member's key any more. False: nothing was changed.
    fn set_keyring(&mut self, from: Option<&str>, to: &str, unused: Option<&str>) -> Result<bool, StoreError>;

    /// Members whose keys a master key has wrapped, and those keys; at most `limit` of them.
    fn members_under(&mut self, key_id: &str, limit: usize) -> Result<Vec<(MemberId, Vec<u8>)>, StoreError>;

    /// Puts members' keys in place that another master key has wrapped, in one durable transaction. Members whose key is
    /// not under `from` any more, because it was destroyed, are left alone.
    fn rewrap_members(&mut self, from: &str, to: &str, members: &[(MemberId, Vec<u8>)]) -> Result<(), StoreError>;

    /// Members that a version before field encryption has stored.
    fn plain_members(&mut self, _limit: usize) -> Result<Vec<PlainMember>, StoreError> {
        Ok(Vec::new())
    }

    /// Puts sealed rows and keyed references in the place of plain ones, in one durable transaction. Members that
    /// another process was faster with are left alone.
    fn seal_plain_members(&mut self, _members: &[NowSealed]) -> Result<(), StoreError> {
        Ok(())
    }

    /// Takes the table of plain members away, once it is empty.
    fn drop_plain_members(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The number of this node among those that share the database, 0–1023: the node part of the ids it gives.
    fn node(&mut self) -> Result<u16, StoreError> {
        Ok(0)
    }

    /// Takes or renews a lease among the nodes that share the database. False: another node has it.
    fn lease(&mut self, _name: &str) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// Moves at most `limit` of the events that commits left into the feed, oldest first, under numbers that rise and are
    /// never given again; deletes what was told before `keep_from`. `now` dates what is told. All in one durable
    /// transaction; a conflict when another node did the same. Returns how many were moved.
    fn tell(&mut self, _limit: usize, _now: Timestamp, _keep_from: Timestamp) -> Result<usize, StoreError> {
        Ok(0)
    }

    /// The events of the feed behind a number, in order, at most `limit` of them.
    fn feed(&mut self, _after: i64, _limit: usize) -> Result<Vec<ToldEvent>, StoreError> {
        Ok(Vec::new())
    }

    /// Batches that are committed but not in the log yet, by id, which is an order in which they can have happened; at
    /// most `limit` of them, and not many more than 32,768 leaves.
    fn outbox(&mut self, limit: usize) -> Result<Vec<OutboxBatch>, StoreError>;

    /// The head of the log.
    fn log_head(&mut self) -> Result<LogHead, StoreError>;

    /// Some tiles of the log; those that are not there are left out.
    fn log_tiles(&mut self, ids: &BTreeSet<TileId>) -> Result<Tiles, StoreError>;

    /// Writes what the log has grown by and takes it from the outbox, all at once; a conflict when it was longer already.
    fn append_log(&mut self, growth: &LogGrowth) -> Result<(), StoreError>;

    /// Writes records and appends audit events to their chain, with a leaf each in the outbox, in one durable
    /// transaction; nothing of it when a record is not of the version that was read (a conflict). A race with other nodes
    /// for the next place in the chain is tried again here.
    fn write_records(
        &mut self,
        _changes: &[RecordChange],
        _events: &[AuditEvent],
        _now: Timestamp,
        _ids: &mut IdGenerator,
    ) -> Result<(), StoreError> {
        no_records()
    }

    /// A record, unless it is not there or has expired at `now`.
    fn record(&mut self, _kind: &str, _id: &str, _now: Timestamp) -> Result<Option<Record>, StoreError> {
        no_records()
    }

    /// Deletes at most `limit` records that have expired at `now`; of all nodes one does this. Returns how many.
    fn sweep_records(&mut self, _now: Timestamp, _limit: usize) -> Result<usize, StoreError> {
        no_records()
    }

    /// Puts codes into the vault of a reward, with the audit events of it, in one durable transaction; all or nothing.
    fn add_codes(
        &mut self,
        _upload: &CodeUpload,
        _events: &[AuditEvent],
        _ids: &mut IdGenerator,
    ) -> Result<CodesAdded, StoreError> {
        no_codes()
    }

    /// Sets codes aside for an order: all that it wants or none, each for one order, and the same however often it is asked.
    fn claim_codes(&mut self, _claim: &CodeClaim) -> Result<Claimed, StoreError> {
        no_codes()
    }

    /// Says what became of the codes of an order that were set aside. Those that were handed over stay so.
    fn settle_codes(&mut self, _reward_id: &str, _order: OrderId, _fate: CodeFate) -> Result<(), StoreError> {
        no_codes()
    }

    /// The last entry of the audit log.
    fn audit_head(&mut self) -> Result<Option<AuditEntry>, StoreError> {
        no_records()
    }

    /// Feeds every row to the verifier: each member's journal in order, then orders, accounts and stock, then the log.
    fn audit(&mut self, verifier: &mut Verifier) -> Result<(), StoreError>;
}

impl Store for Box<dyn Store> {
    fn prefetch(&mut self, footprint: &Footprint) -> Result<Loaded, StoreError> {
        (**self).prefetch(footprint)
    }
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        (**self).commit(changes)
    }
    fn commit_what_fits(&mut self, changes: Changes) -> Result<Vec<MemberId>, StoreError> {
        (**self).commit_what_fits(changes)
    }
    fn due(&mut self, now: Timestamp, limit: usize) -> Result<Vec<(MemberId, i64)>, StoreError> {
        (**self).due(now, limit)
    }
    fn accounts_after(&mut self, after: MemberId, limit: usize) -> Result<Vec<(MemberId, i64)>, StoreError> {
        (**self).accounts_after(after, limit)
    }
    fn gathers_for(&self) -> Duration {
        (**self).gathers_for()
    }
    fn last_id(&mut self) -> Result<i64, StoreError> {
        (**self).last_id()
    }
    fn documents(&mut self) -> Result<Vec<Document>, StoreError> {
        (**self).documents()
    }
    fn add_documents(
        &mut self,
        documents: &[Document],
        stock: &[(String, i64)],
        events: &[AuditEvent],
        ids: &mut IdGenerator,
    ) -> Result<(), StoreError> {
        (**self).add_documents(documents, stock, events, ids)
    }
    fn revision(&mut self) -> Result<i64, StoreError> {
        (**self).revision()
    }
    fn meta(&mut self, key: &str) -> Result<Option<String>, StoreError> {
        (**self).meta(key)
    }
    fn set_meta(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        (**self).set_meta(key, value)
    }
    fn set_keyring(&mut self, from: Option<&str>, to: &str, unused: Option<&str>) -> Result<bool, StoreError> {
        (**self).set_keyring(from, to, unused)
    }
    fn members_under(&mut self, key_id: &str, limit: usize) -> Result<Vec<(MemberId, Vec<u8>)>, StoreError> {
        (**self).members_under(key_id, limit)
    }
    fn rewrap_members(&mut self, from: &str, to: &str, members: &[(MemberId, Vec<u8>)]) -> Result<(), StoreError> {
        (**self).rewrap_members(from, to, members)
    }
    fn plain_members(&mut self, limit: usize) -> Result<Vec<PlainMember>, StoreError> {
        (**self).plain_members(limit)
    }
    fn seal_plain_members(&mut self, members: &[NowSealed]) -> Result<(), StoreError> {
        (**self).seal_plain_members(members)
    }
    fn drop_plain_members(&mut self) -> Result<(), StoreError> {
        (**self).drop_plain_members()
    }
    fn node(&mut self) -> Result<u16, StoreError> {
        (**self).node()
    }
    fn lease(&mut self, name: &str) -> Result<bool, StoreError> {
        (**self).lease(name)
    }
    fn tell(&mut self, limit: usize, now: Timestamp, keep_from: Timestamp) -> Result<usize, StoreError> {
        (**self).tell(limit, now, keep_from)
    }
    fn feed(&mut self, after: i64, limit: usize) -> Result<Vec<ToldEvent>, StoreError> {
        (**self).feed(after, limit)
    }
    fn outbox(&mut self, limit: usize) -> Result<Vec<OutboxBatch>, StoreError> {
        (**self).outbox(limit)
    }
    fn log_head(&mut self) -> Result<LogHead, StoreError> {
        (**self).log_head()
    }
    fn log_tiles(&mut self, ids: &BTreeSet<TileId>) -> Result<Tiles, StoreError> {
        (**self).log_tiles(ids)
    }
    fn append_log(&mut self, growth: &LogGrowth) -> Result<(), StoreError> {
        (**self).append_log(growth)
    }
    fn write_records(
        &mut self,
        changes: &[RecordChange],
        events: &[AuditEvent],
        now: Timestamp,
        ids: &mut IdGenerator,
    ) -> Result<(), StoreError> {
        (**self).write_records(changes, events, now, ids)
    }
    fn record(&mut self, kind: &str, id: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        (**self).record(kind, id, now)
    }
    fn sweep_records(&mut self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        (**self).sweep_records(now, limit)
    }
    fn add_codes(
        &mut self,
        upload: &CodeUpload,
        events: &[AuditEvent],
        ids: &mut IdGenerator,
    ) -> Result<CodesAdded, StoreError> {
        (**self).add_codes(upload, events, ids)
    }
    fn claim_codes(&mut self, claim: &CodeClaim) -> Result<Claimed, StoreError> {
        (**self).claim_codes(claim)
    }
    fn settle_codes(&mut self, reward_id: &str, order: OrderId, fate: CodeFate) -> Result<(), StoreError> {
        (**self).settle_codes(reward_id, order, fate)
    }
    fn audit_head(&mut self) -> Result<Option<AuditEntry>, StoreError> {
        (**self).audit_head()
    }
    fn audit(&mut self, verifier: &mut Verifier) -> Result<(), StoreError> {
        (**self).audit(verifier)
    }
}

/// A generator of ids for work on a store that no engine runs over.
pub fn id_generator(store: &mut dyn Store) -> Result<IdGenerator, StoreError> {
    Ok(IdGenerator::after(store.node()?, store.last_id()?))
}

/// Writes records and audit events into a store that no engine runs over; see [`Store::write_records`].
pub fn write_records(
    store: &mut dyn Store,
    changes: &[RecordChange],
    events: &[AuditEvent],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut ids = id_generator(store)?;
    store.write_records(changes, events, now, &mut ids)
}

/// Compiles the program that the store holds.
pub fn load_program(store: &mut dyn Store) -> Result<Program, StoreError> {
    Program::from_documents(&store.documents()?).map_err(StoreError::Unusable)
}

/// Checks every invariant over all rows of the store.
pub fn verify(store: &mut dyn Store) -> Result<VerifyReport, StoreError> {
    let mut verifier = Verifier::default();
    store.audit(&mut verifier)?;
    Ok(verifier.finish())
}
