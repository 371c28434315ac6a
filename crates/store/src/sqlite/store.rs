//! Prefetch and commit on SQLite, with prepared statements and one write connection.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use guerdon_core::audit::{AuditEntry, AuditEvent};
use guerdon_core::id::{IdGenerator, MemberId, OrderId, TransactionId};
use guerdon_core::kernel::{AccountChange, Changes, Committed, Decision, Footprint, Loaded};
use guerdon_core::ledger::{Account, Transaction, Verifier};
use guerdon_core::privacy::profile_version;
use guerdon_core::program::Document;
use guerdon_core::proofs::{TileId, Tiles};
use guerdon_core::redemption::Order;
use guerdon_core::rewards::StockChange;
use guerdon_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::directory::{DataDir, database_file};
use super::{budget, code, feed, log, members, record, store_error};
use crate::code::{Claimed, CodeClaim, CodeFate, CodeUpload, CodesAdded};
use crate::log::{Leaf, LogGrowth, LogHead, OutboxBatch, leaves, log_keys};
use crate::privacy::{NowSealed, PlainMember};
use crate::rows::{self, Cell};
use crate::{Record, RecordChange, Store, StoreError, ToldEvent};

/// Bytes of log from which on the checkpointer copies it into the database file. A longer log is copied more cheaply,
/// because a page that changed often is copied once.
const CHECKPOINT_BYTES: u64 = 64 << 20;
const CHECKPOINT_EVERY: Duration = Duration::from_millis(200);

/// The embedded store.
pub struct SqliteStore {
    connection: Connection,
    checkpointer: Option<Checkpointer>,
    directory: Option<DataDir>,
}

/// A thread that copies the log into the database file beside the writer, so that no commit waits for it.
pub(super) struct Checkpointer {
    stop: Arc<AtomicBool>,
    /// Most of the log was copied: the writer copies the rest between two batches, and the log starts anew.
    nearly_done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens a data directory for writing, migrating its schema.
    pub fn open(directory: DataDir) -> Result<Self, StoreError> {
        let connection = directory.connect()?;
        connection.set_prepared_statement_cache_capacity(64);
        let checkpointer = Checkpointer::start(directory.path())?;
        Ok(Self { connection, checkpointer: Some(checkpointer), directory: Some(directory) })
    }

    /// Opens a data directory for reading, beside a writer or not.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let connection = DataDir::connect_read_only(path)?;
        Ok(Self { connection, checkpointer: None, directory: None })
    }

    /// The data directory, when it is open for writing.
    pub fn directory(&self) -> Option<&DataDir> {
        self.directory.as_ref()
    }

    fn load(&self, footprint: &Footprint) -> rusqlite::Result<Loaded> {
        // One read transaction: file locks are taken once, not for each row.
        let reading = self.connection.unchecked_transaction()?;
        let mut loaded = Loaded::default();
        let mut accounts = self.connection.prepare_cached("SELECT version, state FROM account WHERE member_id = ?1")?;
        for member in &footprint.members {
            let mut found = accounts.query([member.0])?;
            if let Some(row) = found.next()? {
                let account = Account::decode(row.get(0)?, row.get_ref(1)?.as_blob()?).map_err(foreign)?;
                loaded.accounts.insert(*member, account);
            }
        }
        let mut keys = self
            .connection
            .prepare_cached("SELECT request_digest, receipt FROM txn WHERE member_id = ?1 AND idempotency_key = ?2")?;
        for key in &footprint.keys {
            let mut found = keys.query(params![key.0.0, key.1])?;
            if let Some(row) = found.next()? {
                let receipt: String = row.get(1)?;
                let committed = Committed { request_digest: row.get(0)?, receipt: receipt.into() };
                loaded.committed.insert(key.clone(), committed);
            }
        }
        self.load_rest(footprint, &mut loaded)?;
        reading.commit()?;
        Ok(loaded)
    }

    fn load_rest(&self, footprint: &Footprint, loaded: &mut Loaded) -> rusqlite::Result<()> {
        let sql = format!("SELECT {} FROM orders WHERE order_id = ?1 AND member_id = ?2", rows::ORDER_COLUMNS);
        let mut orders = self.connection.prepare_cached(&sql)?;
        for (member, id) in &footprint.orders {
            if let Some(order) = orders.query_row([id.0, member.0], |row| read(rows::order(row))).optional()? {
                loaded.orders.insert((*member, *id), order);
            }
        }
        let sql = format!("SELECT {} FROM stock WHERE reward_id = ?1", rows::STOCK_COLUMNS);
        let mut stock = self.connection.prepare_cached(&sql)?;
        for reward in &footprint.stock {
            if let Some((reward, level)) = stock.query_row([reward], |row| read(rows::stock(row))).optional()? {
                loaded.stock.insert(reward, level);
            }
        }
        budget::load(&self.connection, footprint, loaded)?;
        let mut references =
            self.connection.prepare_cached("SELECT member_id FROM member_ref WHERE kind = ?1 AND digest = ?2")?;
        for reference in &footprint.references {
            let key = params![reference.kind as i64, reference.digest];
            if let Some(member) = references.query_row(key, |row| row.get(0)).optional()? {
                loaded.references.insert(reference.clone(), MemberId(member));
            }
        }
        let sql = "SELECT profile FROM member WHERE member_id = ?1 AND profile IS NOT NULL";
        let mut profiles = self.connection.prepare_cached(sql)?;
        for member in &footprint.profiles {
            let mut found = profiles.query([member.0])?;
            if let Some(row) = found.next()? {
                loaded.profiles.insert(*member, profile_version(row.get_ref(0)?.as_blob()?));
            }
        }
        Ok(())
    }

    fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        // The writer is alone: nothing can come between its prefetch and its commit, but a version check costs little.
        let transaction = self.connection.transaction().map_err(store_error)?;
        write_accounts(&transaction, &changes.accounts)?;
        let leaves = leaves(changes);
        write_decisions(&transaction, &changes.decisions, &leaves).map_err(store_error)?;
        members::write(&transaction, &changes.decisions)?;
        write_orders(&transaction, &changes.orders).map_err(store_error)?;
        for (key, units) in &changes.opened {
            open_stock(&transaction, key, *units).map_err(store_error)?;
        }
        for (reward, change) in &changes.stock {
            write_stock(&transaction, reward, *change)?;
        }
        budget::write(&transaction, changes)?;
        feed::write(&transaction, changes).map_err(store_error)?;
        log::write_outbox(&transaction, &leaves).map_err(store_error)?;
        transaction.commit().map_err(store_error)
    }
}

/// A stored value that no version of ours has written.
pub(super) fn foreign(problem: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Null, problem.into())
}

pub(super) fn read<T>(cell: Cell<T>) -> rusqlite::Result<T> {
    cell.map_err(foreign)
}

/// The highest id given to any record.
pub(super) fn last_id(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT MAX(COALESCE((SELECT MAX(txn_id) FROM txn), 0),
                          COALESCE((SELECT MAX(activity_id) FROM activity), 0),
                          COALESCE((SELECT MAX(order_id) FROM orders), 0),
                          COALESCE((SELECT MAX(member_id) FROM account), 0),
                          COALESCE((SELECT id FROM audit ORDER BY number DESC LIMIT 1), 0))";
    connection.query_row(sql, [], |row| row.get(0))
}

fn write_accounts(connection: &Connection, changes: &[AccountChange]) -> Result<(), StoreError> {
    let mut insert = connection
        .prepare_cached(
            "INSERT INTO account (member_id, version, available, last_activity_at, next_due_at, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .map_err(store_error)?;
    let mut update = connection
        .prepare_cached(
            "UPDATE account SET version = ?2, available = ?3, last_activity_at = ?4, state = ?5
             WHERE member_id = ?1 AND version = ?6",
        )
        .map_err(store_error)?;
    let mut update_due =
        connection.prepare_cached("UPDATE account SET next_due_at = ?2 WHERE member_id = ?1").map_err(store_error)?;
    for AccountChange { member_id, read_version, was_due_at, account } in changes {
        let (available, state) = (account.available(), account.encode());
        let active = account.last_activity_at.as_millis();
        let due_at = account.next_due_at();
        let due_millis = due_at.map(Timestamp::as_millis);
        let Some(read_version) = read_version else {
            let row = params![member_id.0, account.version, available, active, due_millis, state];
            insert.execute(row).map_err(store_error)?;
            continue;
        };
        let row = params![member_id.0, account.version, available, active, state, read_version];
        if update.execute(row).map_err(store_error)? != 1 {
            return Err(StoreError::Conflict);
        }
        if due_at != *was_due_at {
            update_due.execute(params![member_id.0, due_millis]).map_err(store_error)?;
        }
    }
    Ok(())
}

fn write_decisions(connection: &Connection, decisions: &[Decision], leaves: &[Leaf]) -> rusqlite::Result<()> {
    let mut insert_transaction = connection.prepare_cached(
        "INSERT INTO txn (txn_id, member_id, kind, at, day, idempotency_key, request_digest, channel, reference,
         receipt, leaf_hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let mut insert_activity = connection.prepare_cached(
        "INSERT INTO activity (activity_id, member_id, txn_id, kind, at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (decision, leaf) in decisions.iter().zip(leaves) {
        let transaction = &decision.transaction;
        insert_transaction.execute(params![
            transaction.id.0,
            transaction.member_id.0,
            transaction.kind as i64,
            transaction.at.as_millis(),
            transaction.day.0,
            transaction.idempotency_key,
            transaction.request_digest,
            transaction.channel,
            transaction.reference,
            transaction.receipt,
            leaf.hash,
        ])?;
        write_transfers(connection, transaction)?;
        if let Some((id, kind, body)) = &decision.activity {
            let at = transaction.at.as_millis();
            insert_activity.execute(params![id.0, transaction.member_id.0, transaction.id.0, kind, at, body])?;
        }
    }
    Ok(())
}

fn write_transfers(connection: &Connection, transaction: &Transaction) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO transfer (txn_id, position, member_id, day, debit, credit, currency, amount, lot_expires_at,
         lot_funding, lot_active_at, rule, rule_version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    for (position, transfer) in transaction.transfers.iter().enumerate() {
        insert.execute(params![
            transaction.id.0,
            position as i64,
            transaction.member_id.0,
            transaction.day.0,
            transfer.debit as i64,
            transfer.credit as i64,
            transfer.currency.0,
            transfer.amount,
            transfer.lot.expires_at.as_millis(),
            transfer.lot.funding.0,
            transfer.lot.active_at.as_millis(),
            transfer.rule.as_ref().map(|(rule, _)| rule),
            transfer.rule.as_ref().map(|(_, version)| version),
        ])?;
    }
    Ok(())
}

fn write_orders(connection: &Connection, orders: &[(Order, bool)]) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO orders ({}, good_until) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        rows::ORDER_COLUMNS
    );
    let mut insert = connection.prepare_cached(&sql)?;
    let mut update = connection.prepare_cached(
        "UPDATE orders SET state = ?2, updated_at = ?3, due_at = ?4, details = ?5, good_until = ?6 WHERE order_id = ?1",
    )?;
    for (order, is_new) in orders {
        let (state, updated_at) = (order.state as i64, order.updated_at.as_millis());
        let (due_at, details) = (order.due_at.map(Timestamp::as_millis), order.details.encode());
        let good_until = order.good_until().map(Timestamp::as_millis);
        if *is_new {
            insert.execute(params![
                order.id.0,
                order.member_id.0,
                order.reward_id,
                order.quantity,
                order.points,
                order.currency.0,
                state,
                order.encode_holds(),
                order.created_at.as_millis(),
                updated_at,
                due_at,
                details,
                good_until,
            ])?;
        } else {
            update.execute(params![order.id.0, state, updated_at, due_at, details, good_until])?;
        }
    }
    Ok(())
}

/// Makes the row of a stock that begins with so many units, unless it is there.
fn open_stock(connection: &Connection, key: &str, units: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO stock (reward_id, initial, restocked, issued, on_hand, reserved)
               VALUES (?1, ?2, 0, 0, ?2, 0) ON CONFLICT (reward_id) DO NOTHING";
    connection.prepare_cached(sql)?.execute(params![key, units]).map(drop)
}

fn write_stock(connection: &Connection, reward: &str, change: StockChange) -> Result<(), StoreError> {
    let mut update = connection
        .prepare_cached(
            "UPDATE stock SET issued = issued + ?2, on_hand = on_hand - ?2, reserved = reserved + ?3
             WHERE reward_id = ?1 AND reserved + ?3 >= 0 AND reserved + ?3 <= on_hand - ?2",
        )
        .map_err(store_error)?;
    match update.execute(params![reward, change.issued, change.reserved]).map_err(store_error)? {
        1 => Ok(()),
        _ => Err(StoreError::Conflict),
    }
}

impl Store for SqliteStore {
    fn prefetch(&mut self, footprint: &Footprint) -> Result<Loaded, StoreError> {
        self.load(footprint).map_err(store_error)
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        if changes.decisions.is_empty() {
            return Ok(());
        }
        self.write(changes)?;
        if let Some(checkpointer) = &self.checkpointer {
            checkpointer.finish(&self.connection);
        }
        Ok(())
    }

    fn due(&mut self, now: Timestamp, limit: usize) -> Result<Vec<(MemberId, i64)>, StoreError> {
        let sql = "SELECT member_id, version FROM account WHERE next_due_at <= ?1 ORDER BY next_due_at LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql).map_err(store_error)?;
        let found = statement
            .query_map(params![now.as_millis(), limit as i64], |row| Ok((MemberId(row.get(0)?), row.get(1)?)))
            .map_err(store_error)?;
        found.collect::<Result<_, _>>().map_err(store_error)
    }

    fn accounts_after(&mut self, after: MemberId, limit: usize) -> Result<Vec<(MemberId, i64)>, StoreError> {
        let sql = "SELECT member_id, version FROM account WHERE member_id > ?1 ORDER BY member_id LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql).map_err(store_error)?;
        let found = statement
            .query_map(params![after.0, limit as i64], |row| Ok((MemberId(row.get(0)?), row.get(1)?)))
            .map_err(store_error)?;
        found.collect::<Result<_, _>>().map_err(store_error)
    }

    fn last_id(&mut self) -> Result<i64, StoreError> {
        last_id(&self.connection).map_err(store_error)
    }

    fn documents(&mut self) -> Result<Vec<Document>, StoreError> {
        let sql = format!("SELECT {} FROM document ORDER BY kind, id, version", rows::DOCUMENT_COLUMNS);
        let mut statement = self.connection.prepare_cached(&sql).map_err(store_error)?;
        let found = statement.query_map([], |row| read(rows::document(row))).map_err(store_error)?;
        found.collect::<Result<_, _>>().map_err(store_error)
    }

    fn add_documents(
        &mut self,
        documents: &[Document],
        stock: &[(String, i64)],
        events: &[AuditEvent],
        ids: &mut IdGenerator,
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction().map_err(store_error)?;
        for document in documents {
            let row = params![
                document.kind,
                document.id,
                document.version,
                document.position,
                document.effective_from.as_millis(),
                document.state,
                document.body,
            ];
            transaction
                .execute(
                    "INSERT INTO document (kind, id, version, position, effective_from, state, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    row,
                )
                .map_err(store_error)?;
        }
        for (key, units) in stock {
            open_stock(&transaction, key, *units).map_err(store_error)?;
        }
        record::append(&transaction, events, ids)?;
        transaction.commit().map_err(store_error)
    }

    fn revision(&mut self) -> Result<i64, StoreError> {
        self.connection.query_row("SELECT COUNT(*) FROM document", [], |row| row.get(0)).map_err(store_error)
    }

    fn meta(&mut self, key: &str) -> Result<Option<String>, StoreError> {
        self.connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(store_error)
    }

    fn set_meta(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.connection.execute(sql, [key, value]).map(drop).map_err(store_error)
    }

    fn set_keyring(&mut self, from: Option<&str>, to: &str, unused: Option<&str>) -> Result<bool, StoreError> {
        members::set_keyring(&mut self.connection, from, to, unused).map_err(store_error)
    }

    fn members_under(&mut self, key_id: &str, limit: usize) -> Result<Vec<(MemberId, Vec<u8>)>, StoreError> {
        members::members_under(&self.connection, key_id, limit).map_err(store_error)
    }

    fn rewrap_members(&mut self, from: &str, to: &str, members: &[(MemberId, Vec<u8>)]) -> Result<(), StoreError> {
        members::rewrap_members(&mut self.connection, from, to, members).map_err(store_error)?;
        if let Some(checkpointer) = &self.checkpointer {
            checkpointer.finish(&self.connection);
        }
        Ok(())
    }

    fn plain_members(&mut self, limit: usize) -> Result<Vec<PlainMember>, StoreError> {
        members::plain_members(&self.connection, limit).map_err(store_error)
    }

    fn seal_plain_members(&mut self, members: &[NowSealed]) -> Result<(), StoreError> {
        members::seal_plain_members(&mut self.connection, members)
    }

    fn drop_plain_members(&mut self) -> Result<(), StoreError> {
        members::drop_plain_members(&mut self.connection).map_err(store_error)
    }

    fn tell(&mut self, limit: usize, now: Timestamp, keep_from: Timestamp) -> Result<usize, StoreError> {
        feed::tell(&mut self.connection, limit, now, keep_from).map_err(store_error)
    }

    fn feed(&mut self, after: i64, limit: usize) -> Result<Vec<ToldEvent>, StoreError> {
        feed::read_feed(&self.connection, after, limit).map_err(store_error)
    }

    fn outbox(&mut self, limit: usize) -> Result<Vec<OutboxBatch>, StoreError> {
        log::outbox(&self.connection, limit).map_err(store_error)
    }

    fn log_head(&mut self) -> Result<LogHead, StoreError> {
        log::head(&self.connection).map_err(store_error)
    }

    fn log_tiles(&mut self, ids: &BTreeSet<TileId>) -> Result<Tiles, StoreError> {
        log::tiles(&self.connection, ids).map_err(store_error)
    }

    fn append_log(&mut self, growth: &LogGrowth) -> Result<(), StoreError> {
        log::append(&mut self.connection, growth)
    }

    fn write_records(
        &mut self,
        changes: &[RecordChange],
        events: &[AuditEvent],
        now: Timestamp,
        ids: &mut IdGenerator,
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction().map_err(store_error)?;
        record::write(&transaction, changes, now)?;
        record::append(&transaction, events, ids)?;
        transaction.commit().map_err(store_error)
    }

    fn record(&mut self, kind: &str, id: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        record::record(&self.connection, kind, id, now).map_err(store_error)
    }

    fn sweep_records(&mut self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        record::sweep(&self.connection, now, limit).map_err(store_error)
    }

    fn add_codes(
        &mut self,
        upload: &CodeUpload,
        events: &[AuditEvent],
        ids: &mut IdGenerator,
    ) -> Result<CodesAdded, StoreError> {
        code::add(&mut self.connection, upload, events, ids)
    }

    fn claim_codes(&mut self, claim: &CodeClaim) -> Result<Claimed, StoreError> {
        code::claim(&mut self.connection, claim)
    }

    fn settle_codes(&mut self, reward_id: &str, order: OrderId, fate: CodeFate) -> Result<(), StoreError> {
        code::settle(&mut self.connection, reward_id, order, fate)
    }

    fn audit_head(&mut self) -> Result<Option<AuditEntry>, StoreError> {
        record::head(&self.connection).map_err(store_error)
    }

    fn audit(&mut self, verifier: &mut Verifier) -> Result<(), StoreError> {
        let keys = log_keys(self)?;
        // One read transaction: a consistent picture beside a running writer.
        let transaction = self.connection.transaction().map_err(store_error)?;
        audit_journal(&transaction, verifier).map_err(store_error)?;
        audit_state(&transaction, verifier).map_err(store_error)?;
        record::audit(&transaction, verifier).map_err(store_error)?;
        log::audit(&transaction, verifier, &keys).map_err(store_error)
    }
}

/// The journal of a member.
pub(super) fn load_transactions(connection: &Connection, member: MemberId) -> rusqlite::Result<Vec<Transaction>> {
    let sql = format!("SELECT {} FROM txn WHERE member_id = ?1 ORDER BY txn_id", rows::TRANSACTION_COLUMNS);
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map([member.0], |row| read(rows::transaction(row)))?;
    let mut journal: Vec<Transaction> =
        found.map(|found| found.map(|(transaction, _)| transaction)).collect::<Result<_, _>>()?;
    let sql = format!("SELECT {} FROM transfer WHERE txn_id = ?1 ORDER BY position", rows::TRANSFER_COLUMNS);
    let mut statement = connection.prepare_cached(&sql)?;
    for transaction in &mut journal {
        let found = statement.query_map([transaction.id.0], |row| read(rows::transfer(row)))?;
        transaction.transfers =
            found.map(|found| found.map(|(_, transfer)| transfer)).collect::<rusqlite::Result<_>>()?;
    }
    Ok(journal)
}

fn audit_journal(connection: &Connection, verifier: &mut Verifier) -> rusqlite::Result<()> {
    let sql = format!("SELECT {} FROM txn ORDER BY txn_id", rows::TRANSACTION_COLUMNS);
    let mut transactions = connection.prepare(&sql)?;
    let sql = format!("SELECT {} FROM transfer ORDER BY txn_id, position", rows::TRANSFER_COLUMNS);
    let mut transfers = connection.prepare(&sql)?;
    let mut transfers = transfers.query_map([], |row| read(rows::transfer(row)))?.peekable();
    let mut transactions = transactions.query([])?;
    while let Some(row) = transactions.next()? {
        let id = TransactionId(row.get(0)?);
        let mut own = Vec::new();
        // A transfer that cannot be read is taken here as well, and named.
        while let Some(next) = transfers.next_if(|next| next.as_ref().map_or(true, |(owner, _)| *owner <= id)) {
            match next {
                Ok((owner, transfer)) if owner == id => own.push(transfer),
                Ok((owner, _)) => orphan(verifier, owner),
                Err(error) => verifier.unreadable(format!("transaction {id}"), format!("a transfer: {error}")),
            }
        }
        match rows::transaction(row) {
            Ok((transaction, hash)) => verifier.transaction(&Transaction { transfers: own, ..transaction }, &hash),
            Err(error) => verifier.unreadable(format!("transaction {id}"), error),
        }
    }
    for left_over in transfers {
        match left_over {
            Ok((owner, _)) => orphan(verifier, owner),
            Err(error) => verifier.unreadable("transfer".to_owned(), error.to_string()),
        }
    }
    Ok(())
}

fn orphan(verifier: &mut Verifier, owner: TransactionId) {
    let problem = "is not in the journal, but has transfers there".to_owned();
    verifier.unreadable(format!("transaction {owner}"), problem);
}

fn audit_state(connection: &Connection, verifier: &mut Verifier) -> rusqlite::Result<()> {
    let mut orders = connection.prepare(&format!("SELECT {} FROM orders", rows::ORDER_COLUMNS))?;
    let mut orders = orders.query([])?;
    while let Some(row) = orders.next()? {
        match rows::order(row) {
            Ok(order) => verifier.order(&order),
            Err(error) => verifier.unreadable(format!("order {}", OrderId(row.get(0)?)), error),
        }
    }
    let mut accounts = connection.prepare("SELECT member_id, version, state, available, next_due_at FROM account")?;
    let mut accounts = accounts.query([])?;
    while let Some(row) = accounts.next()? {
        let member = MemberId(row.get(0)?);
        let due_at: Option<i64> = row.get(4)?;
        match Account::decode(row.get(1)?, row.get_ref(2)?.as_blob()?) {
            Ok(account) => verifier.account(member, &account, row.get(3)?, due_at.map(Timestamp::from_millis)),
            Err(problem) => verifier.unreadable(format!("account {member}"), problem),
        }
    }
    let mut stock = connection.prepare(&format!("SELECT {} FROM stock", rows::STOCK_COLUMNS))?;
    for found in stock.query_map([], |row| read(rows::stock(row)))? {
        let (reward, level) = found?;
        verifier.stock(&reward, &level);
    }
    budget::audit(connection, verifier)
}

fn checkpoint(connection: &Connection) {
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        tracing::warn!(%error, "a checkpoint failed; the log grows until the next one succeeds");
    }
}

impl Checkpointer {
    /// Copies what little is left of the log, when the thread has copied the most of it.
    pub(super) fn finish(&self, connection: &Connection) {
        if self.nearly_done.swap(false, Ordering::AcqRel) {
            checkpoint(connection);
        }
    }

    pub(super) fn start(directory: &Path) -> Result<Self, StoreError> {
        let file = database_file(directory);
        let log = file.with_extension("db-wal");
        let connection = Connection::open(&file).map_err(store_error)?;
        // The checkpointer does its fsyncs; it writes nothing of its own.
        connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;").map_err(store_error)?;
        let stop = Arc::new(AtomicBool::new(false));
        let nearly_done = Arc::new(AtomicBool::new(false));
        let (stopped, done) = (Arc::clone(&stop), Arc::clone(&nearly_done));
        let thread = std::thread::Builder::new().name("checkpoint".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                std::thread::park_timeout(CHECKPOINT_EVERY);
                let length = std::fs::metadata(&log).map_or(0, |meta| meta.len());
                if length >= CHECKPOINT_BYTES && !done.load(Ordering::Acquire) {
                    checkpoint(&connection);
                    done.store(true, Ordering::Release);
                }
            }
        });
        let thread = thread.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { stop, nearly_done, thread: Some(thread) })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there was reported when it happened; there is nothing left to save.
            drop(thread.join());
        }
    }
}
