//! The yardstick of the benchmark: the rows of a redemption or a tick, read and written by bare prepared statements, with no
//! decision, no encoding and no hash in between.

use guerdon_core::id::MemberId;
use guerdon_core::time::Timestamp;
use rusqlite::{Connection, params};

use super::directory::DataDir;
use super::store::Checkpointer;
use super::store_error;
use crate::StoreError;

/// The engine alone.
pub struct BareEngine {
    connection: Connection,
    checkpointer: Checkpointer,
    next_id: i64,
    _directory: DataDir,
}

/// Texts and blobs of the length that a redemption writes.
struct Sample {
    digest: [u8; 32],
    receipt: String,
    holds: Vec<u8>,
}

impl BareEngine {
    /// Opens a data directory that holds members and stock.
    pub fn open(directory: DataDir) -> Result<Self, StoreError> {
        let connection = directory.connect()?;
        let checkpointer = Checkpointer::start(directory.path())?;
        Ok(Self { connection, checkpointer, next_id: 1 << 62, _directory: directory })
    }

    /// Writes one batch of redemptions: for each its member and reward.
    pub fn batch(&mut self, redemptions: &[(i64, String)], receipt_bytes: usize) -> Result<(), StoreError> {
        let sample = Sample { digest: [7; 32], receipt: "x".repeat(receipt_bytes), holds: vec![7; 12] };
        let first = self.next_id;
        self.next_id += 2 * redemptions.len() as i64;
        self.write(first, redemptions, &sample).map_err(store_error)?;
        self.checkpointer.finish(&self.connection);
        Ok(())
    }

    /// Finds at most `limit` accounts that are due and writes the rows of their ticks, with receipts and transfers of the
    /// usual number and length. Returns whose they are.
    pub fn ticks(
        &mut self,
        now: Timestamp,
        limit: usize,
        receipt_bytes: usize,
        transfers: usize,
    ) -> Result<Vec<MemberId>, StoreError> {
        let sample = Sample { digest: [7; 32], receipt: "x".repeat(receipt_bytes), holds: Vec::new() };
        let due = self.connection.prepare_cached(DUE).and_then(|mut statement| {
            let row = |row: &rusqlite::Row<'_>| Ok((MemberId(row.get(0)?), row.get(1)?));
            statement
                .query_map(params![now.as_millis(), limit as i64], row)?
                .collect::<Result<Vec<(MemberId, i64)>, _>>()
        });
        let due = due.map_err(store_error)?;
        let first = self.next_id;
        self.next_id += due.len() as i64;
        self.write_ticks(first, &due, &sample, transfers).map_err(store_error)?;
        self.checkpointer.finish(&self.connection);
        Ok(due.into_iter().map(|(member, _)| member).collect())
    }

    fn write_ticks(
        &mut self,
        first: i64,
        due: &[(MemberId, i64)],
        sample: &Sample,
        transfers: usize,
    ) -> rusqlite::Result<()> {
        let states = read_due(&self.connection, due)?;
        let transaction = self.connection.transaction()?;
        {
            let mut accounts = transaction.prepare_cached(
                "UPDATE account SET version = ?2, available = ?3, last_activity_at = ?4, state = ?5
                 WHERE member_id = ?1 AND version = ?6",
            )?;
            let mut dues = transaction.prepare_cached("UPDATE account SET next_due_at = NULL WHERE member_id = ?1")?;
            let mut transactions = transaction.prepare_cached(
                "INSERT INTO txn (txn_id, member_id, kind, at, day, idempotency_key, request_digest, channel, reference,
                 receipt, leaf_hash) VALUES (?1, ?2, 7, 0, 0, ?3, ?4, 'system', NULL, ?5, ?4)",
            )?;
            let mut moves = transaction.prepare_cached(
                "INSERT INTO transfer (txn_id, position, member_id, day, debit, credit, currency, amount, lot_expires_at,
                 lot_funding, lot_active_at, rule, rule_version) VALUES (?1, ?4, ?2, 0, 1, 12, 1, 1, ?3, 0, 0, NULL, NULL)",
            )?;
            for ((index, (member, version)), state) in due.iter().enumerate().zip(states) {
                let (id, at) = (first + index as i64, 1_700_000_000_000_i64);
                accounts.execute(params![member.0, version + 1, 1, at, state, version])?;
                dues.execute([member.0])?;
                transactions.execute(params![
                    id,
                    member.0,
                    format!("tick:{version}"),
                    sample.digest,
                    sample.receipt
                ])?;
                for position in 0..transfers {
                    moves.execute(params![id, member.0, at, position as i64])?;
                }
            }
        }
        transaction.commit()
    }

    fn write(&mut self, first: i64, redemptions: &[(i64, String)], sample: &Sample) -> rusqlite::Result<()> {
        let states = read(&self.connection, first, redemptions)?;
        let transaction = self.connection.transaction()?;
        {
            let mut accounts = transaction.prepare_cached(
                "UPDATE account SET version = ?2, available = ?3, last_activity_at = ?4, state = ?5
                 WHERE member_id = ?1 AND version = ?6",
            )?;
            let mut transactions = transaction.prepare_cached(
                "INSERT INTO txn (txn_id, member_id, kind, at, day, idempotency_key, request_digest, channel, reference,
                 receipt, leaf_hash) VALUES (?1, ?2, 3, 0, 0, ?3, ?4, 'bench', NULL, ?5, ?4)",
            )?;
            let mut transfers = transaction.prepare_cached(
                "INSERT INTO transfer (txn_id, position, member_id, day, debit, credit, currency, amount, lot_expires_at,
                 lot_funding, lot_active_at, rule, rule_version) VALUES (?1, 0, ?2, 0, 1, 3, 1, 1, ?3, 0, 0, NULL, NULL)",
            )?;
            let mut orders = transaction.prepare_cached(
                "INSERT INTO orders (order_id, member_id, reward_id, quantity, points, currency, state, holds,
                 created_at, updated_at) VALUES (?1, ?2, ?3, 1, 1, 1, 1, ?4, ?5, ?5)",
            )?;
            for ((index, (member, reward)), (version, state)) in redemptions.iter().enumerate().zip(states) {
                let (id, at) = (first + 2 * index as i64, 1_700_000_000_000_i64);
                accounts.execute(params![member, version + 1, 1, at, state, version])?;
                transactions.execute(params![id, member, key(id), sample.digest, sample.receipt])?;
                transfers.execute(params![id, member, at])?;
                orders.execute(params![id + 1, member, reward, sample.holds, at])?;
            }
            let mut stock = transaction.prepare_cached(
                "UPDATE stock SET reserved = reserved + ?2 WHERE reward_id = ?1 AND reserved + ?2 <= on_hand",
            )?;
            let mut units = std::collections::BTreeMap::new();
            for (_, reward) in redemptions {
                *units.entry(reward).or_insert(0) += 1;
            }
            for (reward, units) in units {
                stock.execute(params![reward, units])?;
            }
        }
        transaction.commit()
    }
}

const DUE: &str = "SELECT member_id, version FROM account WHERE next_due_at <= ?1 ORDER BY next_due_at LIMIT ?2";

/// Reads what a prefetch of ticks reads: the accounts and the keys.
fn read_due(connection: &Connection, due: &[(MemberId, i64)]) -> rusqlite::Result<Vec<Vec<u8>>> {
    let reading = connection.unchecked_transaction()?;
    let mut accounts = connection.prepare_cached("SELECT version, state FROM account WHERE member_id = ?1")?;
    let mut keys = connection
        .prepare_cached("SELECT request_digest, receipt FROM txn WHERE member_id = ?1 AND idempotency_key = ?2")?;
    let mut states = Vec::with_capacity(due.len());
    for (member, version) in due {
        states.push(accounts.query_row([member.0], |row| row.get(1))?);
        keys.query(params![member.0, format!("tick:{version}")])?.next()?;
    }
    reading.commit()?;
    Ok(states)
}

fn key(id: i64) -> String {
    format!("bench-{id}")
}

/// Reads what a prefetch reads: the accounts, the keys and the stock.
fn read(connection: &Connection, first: i64, redemptions: &[(i64, String)]) -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
    let reading = connection.unchecked_transaction()?;
    let mut accounts = connection.prepare_cached("SELECT version, state FROM account WHERE member_id = ?1")?;
    let mut keys = connection
        .prepare_cached("SELECT request_digest, receipt FROM txn WHERE member_id = ?1 AND idempotency_key = ?2")?;
    let mut stock = connection.prepare_cached("SELECT on_hand, reserved FROM stock WHERE reward_id = ?1")?;
    let mut states = Vec::with_capacity(redemptions.len());
    let mut rewards = std::collections::BTreeSet::new();
    for (index, (member, reward)) in redemptions.iter().enumerate() {
        states.push(accounts.query_row([member], |row| Ok((row.get(0)?, row.get(1)?)))?);
        let mut found = keys.query(params![member, key(first + 2 * index as i64)])?;
        found.next()?;
        if rewards.insert(reward) {
            stock.query_row([reward], |_| Ok(()))?;
        }
    }
    reading.commit()?;
    Ok(states)
}
