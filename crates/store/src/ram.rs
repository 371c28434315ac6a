//! The store in plain RAM: for simulation, backtests and dry runs.

use std::collections::{BTreeMap, BTreeSet};

use guerdon_core::audit::{AuditColumns, AuditEntry, AuditEvent};
use guerdon_core::earning::{BudgetChange, BudgetKey, Tally};
use guerdon_core::id::{ActivityId, IdGenerator, MemberId, OrderId, TransactionId};
use guerdon_core::kernel::{Changes, Committed, Footprint, Loaded};
use guerdon_core::ledger::{Account, Transaction, Verifier};
use guerdon_core::members::MemberRef;
use guerdon_core::privacy::SealedProfile;
use guerdon_core::program::Document;
use guerdon_core::proofs::{TileId, Tiles};
use guerdon_core::redemption::Order;
use guerdon_core::rewards::StockLevel;
use guerdon_core::time::Timestamp;

use crate::code::{Claimed, CodeClaim, CodeFate, CodeUpload, CodesAdded};
use crate::feed::{StoredEvent, ToldEvent, events};
use crate::log::{Leaf, LogBatch, LogGrowth, LogHead, OutboxBatch, leaves, log_keys};
use crate::privacy::{KEYRING, StoredMember, check_wrapped};
use crate::ram_codes::{Codes, KeptCode};
use crate::record::{ChainedEvent, audit_leaves, chain};
use crate::{Record, RecordChange, Store, StoreError};

/// All rows in ordered maps.
#[derive(Debug, Default, Clone)]
pub struct RamStore {
    accounts: BTreeMap<MemberId, Account>,
    members: BTreeMap<MemberId, StoredMember>,
    references: BTreeMap<MemberRef, MemberId>,
    transactions: BTreeMap<TransactionId, (Transaction, [u8; 32])>,
    keys: BTreeMap<(MemberId, String), TransactionId>,
    activities: BTreeMap<ActivityId, (MemberId, String, String)>,
    orders: BTreeMap<OrderId, Order>,
    stock: BTreeMap<String, StockLevel>,
    budgets: BTreeMap<BudgetKey, Tally>,
    documents: Vec<Document>,
    meta: BTreeMap<String, String>,
    outbox: BTreeMap<i64, Vec<Leaf>>,
    events: BTreeMap<(TransactionId, i64), StoredEvent>,
    feed: Vec<(ToldEvent, Timestamp)>,
    feed_number: i64,
    log_head: LogHead,
    log_tiles: BTreeMap<TileId, Vec<u8>>,
    log_batches: Vec<LogBatch>,
    records: BTreeMap<(String, String), Record>,
    codes: Codes,
    audit: Vec<(AuditEntry, AuditColumns)>,
}

impl RamStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The row of a member.
    pub fn member(&self, member: MemberId) -> Option<&StoredMember> {
        self.members.get(&member)
    }

    /// How many activities are stored.
    pub fn activity_count(&self) -> usize {
        self.activities.len()
    }

    /// All codes that are kept, whosever they are.
    pub fn kept_codes(&self) -> Vec<KeptCode> {
        self.codes.kept()
    }

    /// All records of a kind, those that have expired among them.
    pub fn kept_records<'s>(&'s self, kind: &'s str) -> impl Iterator<Item = &'s Record> {
        self.records.iter().filter(move |((of, _), _)| of == kind).map(|(_, record)| record)
    }

    /// Takes over rows of another store that are not here yet.
    pub(crate) fn adopt(&mut self, loaded: &Loaded) {
        for (member, account) in &loaded.accounts {
            self.accounts.entry(*member).or_insert_with(|| account.clone());
        }
        for ((_, id), order) in &loaded.orders {
            self.orders.entry(*id).or_insert_with(|| order.clone());
        }
        for (reward, level) in &loaded.stock {
            self.stock.entry(reward.clone()).or_insert(*level);
        }
        for (key, tally) in &loaded.budgets {
            self.budgets.entry(key.clone()).or_insert(*tally);
        }
        for (reference, member) in &loaded.references {
            self.references.entry(reference.clone()).or_insert(*member);
        }
    }

    /// Appends events to the chain, with a leaf each in the outbox.
    fn append(&mut self, events: &[AuditEvent], ids: &mut IdGenerator) -> Result<(), StoreError> {
        let chained = chain(self.audit.last().map(|(entry, _)| entry), events, ids)?;
        let leaves = audit_leaves(&chained);
        self.audit.extend(chained.into_iter().map(|ChainedEvent { entry, event }| (entry, event.columns())));
        if let Some(first) = leaves.first() {
            self.outbox.insert(first.transaction_id.0, leaves);
        }
        Ok(())
    }

    /// Whether every row that the changes were decided over is still as it was read.
    fn check(&self, changes: &Changes) -> Result<(), StoreError> {
        for change in &changes.accounts {
            if self.accounts.get(&change.member_id).map(|account| account.version) != change.read_version {
                return Err(StoreError::Conflict);
            }
        }
        let mut freed = BTreeSet::new();
        for decision in &changes.decisions {
            let transaction = &decision.transaction;
            if self.keys.contains_key(&(transaction.member_id, transaction.idempotency_key.clone())) {
                return Err(StoreError::Conflict);
            }
            let references = decision.member.iter().flat_map(|member| &member.references);
            let added = decision.profile.iter().flat_map(|profile| &profile.added);
            if references.chain(added).any(|one| self.references.contains_key(one) && !freed.contains(one)) {
                return Err(StoreError::Conflict);
            }
            // What one command frees, a later one may take.
            freed.extend(decision.profile.iter().flat_map(|profile| &profile.removed));
        }
        let sealed = changes.decisions.iter().filter_map(|decision| Some(&decision.member.as_ref()?.sealed));
        check_wrapped(self.meta.get(KEYRING).map(String::as_str), sealed.map(|sealed| sealed.key_id.as_str()))?;
        for (reward, change) in &changes.stock {
            let opened = changes.opened.get(reward).map(|units| StockLevel::new(*units));
            let level = self.stock.get(reward).copied().or(opened);
            let level = level.ok_or_else(|| StoreError::Rejected(format!("no stock of {reward}")))?;
            if !level.bears(*change) {
                return Err(StoreError::Conflict);
            }
        }
        let fits = |(key, change): (&BudgetKey, &BudgetChange)| {
            change.fits(self.budgets.get(key).copied().unwrap_or_default())
        };
        if changes.budgets.iter().all(fits) { Ok(()) } else { Err(StoreError::Conflict) }
    }
}

fn write_record(
    records: &mut BTreeMap<(String, String), Record>,
    change: &RecordChange,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (RecordChange::Put(record) | RecordChange::Delete(record)) = change;
    let key = (record.kind.clone(), record.id.clone());
    let there = records.get(&key);
    let version = there.map_or(0, |there| there.version);
    let expired = there.is_some_and(|there| there.has_expired(now));
    match change {
        RecordChange::Put(_) if record.version == version || record.version == 0 && expired => {
            records.insert(key, Record { version: record.version + 1, ..record.clone() });
        }
        RecordChange::Delete(_) if there.is_some() && record.version == version => drop(records.remove(&key)),
        _ => return Err(StoreError::Conflict),
    }
    Ok(())
}

impl Store for RamStore {
    fn prefetch(&mut self, footprint: &Footprint) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded::default();
        for member in &footprint.members {
            if let Some(account) = self.accounts.get(member) {
                loaded.accounts.insert(*member, account.clone());
            }
        }
        for key in &footprint.keys {
            if let Some((transaction, _)) = self.keys.get(key).and_then(|id| self.transactions.get(id)) {
                let committed =
                    Committed { request_digest: transaction.request_digest, receipt: transaction.receipt.clone() };
                loaded.committed.insert(key.clone(), committed);
            }
        }
        for (member, id) in &footprint.orders {
            if let Some(order) = self.orders.get(id).filter(|order| order.member_id == *member) {
                loaded.orders.insert((*member, *id), order.clone());
            }
        }
        for reward in &footprint.stock {
            if let Some(level) = self.stock.get(reward) {
                loaded.stock.insert(reward.clone(), *level);
            }
        }
        for key in &footprint.budgets {
            if let Some(tally) = self.budgets.get(key) {
                loaded.budgets.insert(key.clone(), *tally);
            }
        }
        for reference in &footprint.references {
            if let Some(member) = self.references.get(reference) {
                loaded.references.insert(reference.clone(), *member);
            }
        }
        for member in &footprint.profiles {
            if let Some(sealed) = self.members.get(member).and_then(|row| row.sealed.as_ref()) {
                loaded.profiles.insert(*member, sealed.version());
            }
        }
        Ok(loaded)
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.check(changes)?;
        let leaves = leaves(changes);
        for (decision, leaf) in changes.decisions.iter().zip(&leaves) {
            let transaction = &decision.transaction;
            let member = transaction.member_id;
            self.keys.insert((member, transaction.idempotency_key.clone()), transaction.id);
            self.transactions.insert(transaction.id, (transaction.clone(), leaf.hash));
            if let Some(new) = &decision.member {
                let sealed: SealedProfile = new.sealed.clone();
                self.members.insert(member, StoredMember { sealed: Some(sealed), erased_at: None });
                self.references.extend(new.references.iter().cloned().map(|reference| (reference, member)));
            }
            if let Some(new) = &decision.profile {
                if let Some(sealed) = self.members.get_mut(&member).and_then(|row| row.sealed.as_mut()) {
                    sealed.ciphertext.clone_from(&new.ciphertext);
                }
                self.references.retain(|reference, led| *led != member || !new.removed.contains(reference));
                self.references.extend(new.added.iter().cloned().map(|reference| (reference, member)));
            }
            if let Some(from) = decision.takes_references_of {
                let led = self.references.iter_mut().filter(|(reference, led)| reference.kind.moves() && **led == from);
                led.for_each(|(_, led)| *led = member);
            }
            for erased in &decision.erased {
                self.members.insert(*erased, StoredMember { sealed: None, erased_at: Some(transaction.at) });
                self.references.retain(|_, led| led != erased);
                self.codes.erase(*erased);
            }
            if let Some((id, kind, body)) = &decision.activity {
                self.activities.insert(*id, (member, kind.clone(), body.clone()));
            }
        }
        for change in &changes.accounts {
            self.accounts.insert(change.member_id, change.account.clone());
        }
        for (order, _) in &changes.orders {
            self.orders.insert(order.id, order.clone());
        }
        for (key, units) in &changes.opened {
            self.stock.entry(key.clone()).or_insert_with(|| StockLevel::new(*units));
        }
        for (reward, change) in &changes.stock {
            if let Some(level) = self.stock.get_mut(reward) {
                *level = level.plus(*change);
            }
        }
        for (key, change) in &changes.budgets {
            let tally = self.budgets.entry(key.clone()).or_default();
            *tally = tally.plus(change.added);
        }
        self.events.extend(events(changes).into_iter().map(|event| ((event.transaction_id, event.place), event)));
        if let Some(first) = leaves.first() {
            self.outbox.insert(first.transaction_id.0, leaves);
        }
        Ok(())
    }

    fn tell(&mut self, limit: usize, now: Timestamp, keep_from: Timestamp) -> Result<usize, StoreError> {
        let mut told = 0;
        while told < limit
            && let Some((_, stored)) = self.events.pop_first()
        {
            told += 1;
            self.feed_number += 1;
            self.feed.push((ToldEvent { number: self.feed_number, stored }, now));
        }
        self.feed.retain(|(_, told_at)| *told_at >= keep_from);
        Ok(told)
    }

    fn feed(&mut self, after: i64, limit: usize) -> Result<Vec<ToldEvent>, StoreError> {
        let behind = self.feed.iter().map(|(told, _)| told).filter(|told| told.number > after);
        Ok(behind.take(limit).cloned().collect())
    }

    fn due(&mut self, now: Timestamp, limit: usize) -> Result<Vec<(MemberId, i64)>, StoreError> {
        let mut due: Vec<(Timestamp, MemberId, i64)> = self
            .accounts
            .iter()
            .filter_map(|(member, account)| Some((account.next_due_at()?, *member, account.version)))
            .filter(|(due_at, _, _)| *due_at <= now)
            .collect();
        due.sort();
        due.truncate(limit);
        Ok(due.into_iter().map(|(_, member, version)| (member, version)).collect())
    }

    fn accounts_after(&mut self, after: MemberId, limit: usize) -> Result<Vec<(MemberId, i64)>, StoreError> {
        let above = self.accounts.iter().filter(|(member, _)| **member > after);
        let mut found: Vec<(MemberId, i64)> = above.map(|(member, account)| (*member, account.version)).collect();
        found.sort();
        found.truncate(limit);
        Ok(found)
    }

    fn last_id(&mut self) -> Result<i64, StoreError> {
        let last = [
            self.transactions.keys().next_back().map(|id| id.0),
            self.activities.keys().next_back().map(|id| id.0),
            self.orders.keys().next_back().map(|id| id.0),
            self.accounts.keys().next_back().map(|id| id.0),
            self.audit.last().map(|(entry, _)| entry.id.0),
        ];
        Ok(last.into_iter().flatten().max().unwrap_or(0))
    }

    fn documents(&mut self) -> Result<Vec<Document>, StoreError> {
        Ok(self.documents.clone())
    }

    fn add_documents(
        &mut self,
        documents: &[Document],
        stock: &[(String, i64)],
        events: &[AuditEvent],
        ids: &mut IdGenerator,
    ) -> Result<(), StoreError> {
        self.append(events, ids)?;
        self.documents.extend_from_slice(documents);
        self.documents.sort_by(|a, b| (&a.kind, &a.id, a.version).cmp(&(&b.kind, &b.id, b.version)));
        for (reward, initial) in stock {
            self.stock.entry(reward.clone()).or_insert_with(|| StockLevel::new(*initial));
        }
        Ok(())
    }

    fn revision(&mut self) -> Result<i64, StoreError> {
        Ok(self.documents.len() as i64)
    }

    fn meta(&mut self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.meta.get(key).cloned())
    }

    fn set_meta(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        self.meta.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn set_keyring(&mut self, from: Option<&str>, to: &str, unused: Option<&str>) -> Result<bool, StoreError> {
        let mut sealed = self.members.values().filter_map(|member| member.sealed.as_ref());
        if self.meta.get(KEYRING).map(String::as_str) != from
            || unused.is_some_and(|id| sealed.any(|sealed| sealed.key_id == id))
        {
            return Ok(false);
        }
        self.meta.insert(KEYRING.to_owned(), to.to_owned());
        Ok(true)
    }

    fn members_under(&mut self, key_id: &str, limit: usize) -> Result<Vec<(MemberId, Vec<u8>)>, StoreError> {
        let sealed = self.members.iter().filter_map(|(member, row)| Some((*member, row.sealed.as_ref()?)));
        let under = sealed.filter(|(_, sealed)| sealed.key_id == key_id);
        Ok(under.map(|(member, sealed)| (member, sealed.wrapped_key.clone())).take(limit).collect())
    }

    fn rewrap_members(&mut self, from: &str, to: &str, members: &[(MemberId, Vec<u8>)]) -> Result<(), StoreError> {
        for (member, wrapped) in members {
            let sealed = self.members.get_mut(member).and_then(|row| row.sealed.as_mut());
            if let Some(sealed) = sealed.filter(|sealed| sealed.key_id == from) {
                to.clone_into(&mut sealed.key_id);
                sealed.wrapped_key.clone_from(wrapped);
            }
        }
        Ok(())
    }

    fn outbox(&mut self, limit: usize) -> Result<Vec<OutboxBatch>, StoreError> {
        let batches = self.outbox.iter().take(limit);
        Ok(batches.map(|(id, leaves)| OutboxBatch { id: *id, leaves: leaves.clone() }).collect())
    }

    fn log_head(&mut self) -> Result<LogHead, StoreError> {
        Ok(self.log_head.clone())
    }

    fn log_tiles(&mut self, ids: &BTreeSet<TileId>) -> Result<Tiles, StoreError> {
        let mut tiles = Tiles::default();
        for (id, bytes) in ids.iter().filter_map(|id| self.log_tiles.get_key_value(id)) {
            tiles.insert(*id, bytes).map_err(StoreError::Unusable)?;
        }
        Ok(tiles)
    }

    fn append_log(&mut self, growth: &LogGrowth) -> Result<(), StoreError> {
        if self.log_head.size != growth.from {
            return Err(StoreError::Conflict);
        }
        self.log_head = growth.head.clone();
        self.log_tiles.extend(growth.tiles.iter().cloned());
        for batch in &growth.batches {
            self.outbox.remove(&batch.id);
            self.log_batches.push(batch.clone());
        }
        Ok(())
    }

    fn write_records(
        &mut self,
        changes: &[RecordChange],
        events: &[AuditEvent],
        now: Timestamp,
        ids: &mut IdGenerator,
    ) -> Result<(), StoreError> {
        let mut records = self.records.clone();
        changes.iter().try_for_each(|change| write_record(&mut records, change, now))?;
        self.append(events, ids)?;
        self.records = records;
        Ok(())
    }

    fn record(&mut self, kind: &str, id: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let found = self.records.get(&(kind.to_owned(), id.to_owned()));
        Ok(found.filter(|record| !record.has_expired(now)).cloned())
    }

    fn sweep_records(&mut self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let before = self.records.len();
        self.records.retain({
            let mut left = limit;
            move |_, record| {
                let goes = left > 0 && record.has_expired(now);
                left -= usize::from(goes);
                !goes
            }
        });
        Ok(before - self.records.len())
    }

    fn add_codes(
        &mut self,
        upload: &CodeUpload,
        events: &[AuditEvent],
        ids: &mut IdGenerator,
    ) -> Result<CodesAdded, StoreError> {
        let checked = self.codes.check(upload);
        if checked == CodesAdded::Added {
            self.append(events, ids)?;
            self.codes.add(upload);
        }
        Ok(checked)
    }

    fn claim_codes(&mut self, claim: &CodeClaim) -> Result<Claimed, StoreError> {
        Ok(self.codes.claim(claim))
    }

    fn settle_codes(&mut self, reward_id: &str, order: OrderId, fate: CodeFate) -> Result<(), StoreError> {
        self.codes.settle(reward_id, order, fate);
        Ok(())
    }

    fn audit_head(&mut self) -> Result<Option<AuditEntry>, StoreError> {
        Ok(self.audit.last().map(|(entry, _)| entry.clone()))
    }

    fn audit(&mut self, verifier: &mut Verifier) -> Result<(), StoreError> {
        for (transaction, hash) in self.transactions.values() {
            verifier.transaction(transaction, hash);
        }
        for order in self.orders.values() {
            verifier.order(order);
        }
        for (member, account) in &self.accounts {
            verifier.account(*member, account, account.available(), account.next_due_at());
        }
        for (reward, level) in &self.stock {
            verifier.stock(reward, level);
        }
        for (key, tally) in &self.budgets {
            verifier.budget(key, *tally);
        }
        self.audit.iter().for_each(|(entry, columns)| verifier.audit_entry(entry, columns));
        let keys = log_keys(self)?;
        let log = &mut verifier.log;
        for (id, bytes) in self.log_tiles.iter().filter(|(id, _)| id.level == 0) {
            log.leaves(id.index, bytes);
        }
        self.log_batches.iter().for_each(|batch| log.batch(batch.first_leaf, &batch.transactions, &batch.members));
        self.log_tiles.iter().filter(|(id, _)| id.level > 0).for_each(|(id, bytes)| log.tile(*id, bytes));
        self.outbox.values().flatten().for_each(|leaf| log.waiting(leaf.transaction_id, leaf.member_id, &leaf.hash));
        log.head(self.log_head.size, &self.log_head.checkpoint, &keys);
        Ok(())
    }
}
