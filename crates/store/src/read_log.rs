//! Readers of the transparency log: where a transaction is in it, and the hashes of proofs.

use std::collections::BTreeSet;
use std::ops::Range;

use guerdon_core::id::{MemberId, TransactionId, node_of};
use guerdon_core::ledger::Transaction;
use guerdon_core::proofs::{
    Hash, LogKey, TileId, Tiles, TransactionProof, consistency_ranges, inclusion_ranges, tiles_of,
};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::StoreError;
use crate::log::{KEYS, LogBatch, LogHead, decode_keys};
use crate::read::{Read, Reader, failed};
use crate::rows::{self, Cell, Cells};

/// A leaf of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafRow {
    /// Its index.
    pub index: u64,
    /// What it is of.
    pub kind: LeafKind,
    /// The transaction or audit entry.
    pub transaction_id: TransactionId,
    /// The hash of its content.
    pub hash: Hash,
}

/// What a leaf of the log is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafKind {
    /// A transaction of a member.
    Transaction,
    /// An entry of the audit log.
    Audit,
}

impl LeafKind {
    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Audit => "audit",
        }
    }

    /// Of the member at a leaf; that of an audit entry is 0.
    fn of(member: MemberId) -> Self {
        if member == MemberId(0) { Self::Audit } else { Self::Transaction }
    }
}

fn unusable(problem: String) -> StoreError {
    StoreError::Unusable(problem)
}

fn batch(row: &AnyRow) -> Cell<LogBatch> {
    LogBatch::decode(row.int(0)?, row.int(1)?, &row.bytes(2)?)
}

impl Reader {
    /// The head of the log.
    pub async fn log_head(&self) -> Read<LogHead> {
        let row = sqlx::query("SELECT size, checkpoint FROM log_head WHERE log = 1");
        let row = row.fetch_one(&self.pool).await.map_err(failed)?;
        let read = || Ok(LogHead { size: row.int(0)?.unsigned_abs(), checkpoint: row.text(1)? });
        read().map_err(unusable)
    }

    /// The keys of the log, oldest first.
    pub async fn log_keys(&self) -> Read<Vec<LogKey>> {
        let row = sqlx::query("SELECT value FROM meta WHERE key = $1").bind(KEYS);
        let row = row.fetch_optional(&self.pool).await.map_err(failed)?;
        decode_keys(row.map(|row| row.try_get(0)).transpose().map_err(failed)?)
    }

    /// Where a transaction is in the log; `None`: it is not in it yet.
    pub async fn log_position(&self, transaction: TransactionId) -> Read<Option<u64>> {
        // Ids of one node rise from batch to batch, so the batch is the last one of its node that begins before it.
        let row = sqlx::query(
            "SELECT batch_id, first_leaf, names FROM log_batch WHERE node = $1 AND batch_id <= $2
             ORDER BY batch_id DESC LIMIT 1",
        );
        let row = row.bind(node_of(transaction.0)).bind(transaction.0).fetch_optional(&self.pool).await;
        let Some(row) = row.map_err(failed)? else { return Ok(None) };
        let batch = batch(&row).map_err(unusable)?;
        Ok(batch.transactions.binary_search(&transaction).ok().map(|place| batch.first_leaf + place as u64))
    }

    async fn log_tiles(&self, ids: &BTreeSet<TileId>) -> Read<Tiles> {
        let mut tiles = Tiles::default();
        for id in ids {
            let row = sqlx::query("SELECT hashes FROM log_tile WHERE level = $1 AND tile = $2");
            let row = row.bind(i64::from(id.level)).bind(id.index as i64).fetch_optional(&self.pool).await;
            if let Some(row) = row.map_err(failed)? {
                tiles.insert(*id, &row.bytes(0).map_err(unusable)?).map_err(unusable)?;
            }
        }
        Ok(tiles)
    }

    /// The roots of the subtrees of a proof. Reads a few tiles, however long the log is.
    async fn log_hashes(&self, ranges: &[Range<u64>]) -> Read<Vec<Hash>> {
        let tiles = self.log_tiles(&tiles_of(ranges)).await?;
        ranges.iter().map(|range| tiles.range(range)).collect::<Result<_, _>>().map_err(unusable)
    }

    /// The inclusion proof of a leaf in the log as it was at a size; `None`: it had no such leaf.
    pub async fn inclusion(&self, leaf: u64, size: u64) -> Read<Option<Vec<Hash>>> {
        match inclusion_ranges(leaf, size) {
            Some(ranges) => self.log_hashes(&ranges).await.map(Some),
            None => Ok(None),
        }
    }

    /// The proof that the log of one size begins with the log of another; `None`: the sizes are in the wrong order.
    pub async fn consistency(&self, old: u64, new: u64) -> Read<Option<Vec<Hash>>> {
        match consistency_ranges(old, new) {
            Some(ranges) => self.log_hashes(&ranges).await.map(Some),
            None => Ok(None),
        }
    }

    /// The leaves of a range, which may end beyond the log.
    pub async fn log_leaves(&self, range: Range<u64>) -> Read<Vec<LeafRow>> {
        let end = range.end.min(self.log_head().await?.size);
        let mut leaves = Vec::new();
        let mut next = range.start;
        while next < end {
            let row = sqlx::query(
                "SELECT batch_id, first_leaf, names FROM log_batch WHERE first_leaf <= $1
                 ORDER BY first_leaf DESC LIMIT 1",
            );
            let row = row.bind(next as i64).fetch_one(&self.pool).await.map_err(failed)?;
            let batch = batch(&row).map_err(unusable)?;
            let from = usize::try_from(next - batch.first_leaf).unwrap_or(usize::MAX);
            let names = batch.transactions.iter().zip(&batch.members).skip(from).zip(next..end);
            leaves.extend(names.map(|((id, member), index)| {
                let (kind, hash) = (LeafKind::of(*member), Hash::default());
                LeafRow { index, kind, transaction_id: *id, hash }
            }));
            let until = batch.first_leaf + batch.transactions.len() as u64;
            if until <= next {
                return Err(unusable(format!("leaf {next} of the log belongs to no batch")));
            }
            next = until;
        }
        let ranges: Vec<Range<u64>> = leaves.iter().map(|leaf| leaf.index..leaf.index + 1).collect();
        let tiles = self.log_tiles(&tiles_of(&ranges)).await?;
        for leaf in &mut leaves {
            leaf.hash = tiles.range(&(leaf.index..leaf.index + 1)).map_err(unusable)?;
        }
        Ok(leaves)
    }

    /// A transaction with its transfers.
    pub async fn transaction(&self, id: TransactionId) -> Read<Option<Transaction>> {
        let sql = format!("SELECT {} FROM txn WHERE txn_id = $1", rows::TRANSACTION_COLUMNS);
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_optional(&self.pool).await.map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let (transaction, _) = rows::transaction(&row).map_err(unusable)?;
        let sql = format!(
            "SELECT {} FROM transfer WHERE member_id = $1 AND txn_id = $2 ORDER BY position",
            rows::TRANSFER_COLUMNS
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(transaction.member_id.0).bind(id.0);
        let found = query.fetch_all(&self.pool).await.map_err(failed)?;
        let transfers = found.iter().map(|row| rows::transfer(row).map(|(_, transfer)| transfer));
        let transfers = transfers.collect::<Result<_, _>>().map_err(unusable)?;
        Ok(Some(Transaction { transfers, ..transaction }))
    }

    /// The proof of a transaction under the latest head; `None`: it is not in the log yet, or not at all.
    pub async fn transaction_proof(&self, id: TransactionId) -> Read<Option<TransactionProof>> {
        let LogHead { size, checkpoint } = self.log_head().await?;
        let Some(leaf_index) = self.log_position(id).await? else { return Ok(None) };
        let (path, transaction) = (self.inclusion(leaf_index, size).await?, self.transaction(id).await?);
        let Some((path, transaction)) = path.zip(transaction) else { return Ok(None) };
        Ok(Some(TransactionProof { transaction, leaf_index, path, checkpoint, keys: self.log_keys().await? }))
    }
}
