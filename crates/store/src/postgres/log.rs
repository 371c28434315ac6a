//! The transparency log on PostgreSQL.

use std::collections::BTreeSet;

use guerdon_core::id::node_of;
use guerdon_core::ledger::Verifier;
use guerdon_core::proofs::{PublicKey, TileId, Tiles};
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgRow};

use super::store_error;
use crate::StoreError;
use crate::log::{LEAF_BYTES, LEAVES, Leaf, LogBatch, LogGrowth, LogHead, OutboxBatch, encode_leaves, tiles_until};
use crate::rows::{Cell, Cells};

/// Batches of the log read at once.
const PAGE: i64 = 64;

type Done = Result<(), StoreError>;

/// Leaves the leaves of a batch in the outbox, within the transaction of its commit.
pub(super) async fn write_outbox(connection: &mut PgConnection, leaves: &[Leaf]) -> Done {
    let Some(first) = leaves.first() else { return Ok(()) };
    let query = sqlx::query("INSERT INTO outbox (batch_id, leaves) VALUES ($1, $2)");
    let query = query.bind(first.transaction_id.0).bind(encode_leaves(leaves));
    query.execute(connection).await.map(drop).map_err(store_error)
}

fn size(row: &PgRow, column: usize) -> Cell<u64> {
    row.int(column).map(i64::unsigned_abs)
}

fn outbox_batches(rows: &[PgRow]) -> Result<Vec<OutboxBatch>, StoreError> {
    let read = |row: &PgRow| OutboxBatch::decode(row.int(0)?, &row.bytes(1)?);
    rows.iter().map(read).collect::<Result<_, _>>().map_err(StoreError::Unusable)
}

pub(super) async fn outbox(connection: &mut PgConnection, limit: usize) -> Result<Vec<OutboxBatch>, StoreError> {
    let query = sqlx::query(
        "SELECT o.batch_id, o.leaves
         FROM (SELECT batch_id, SUM(length) OVER (ORDER BY batch_id) - length AS before
               FROM (SELECT batch_id, octet_length(leaves) AS length FROM outbox ORDER BY batch_id LIMIT $1) AS oldest)
             AS first
         JOIN outbox o ON o.batch_id = first.batch_id
         WHERE first.before < $2 ORDER BY o.batch_id",
    );
    let query = query.bind(limit as i64).bind((LEAVES * LEAF_BYTES) as i64);
    outbox_batches(&query.fetch_all(connection).await.map_err(store_error)?)
}

pub(super) async fn head(connection: &mut PgConnection) -> Result<LogHead, StoreError> {
    let query = sqlx::query("SELECT size, checkpoint FROM log_head WHERE log = 1");
    let row = query.fetch_one(connection).await.map_err(store_error)?;
    let read = || Ok(LogHead { size: size(&row, 0)?, checkpoint: row.text(1)? });
    read().map_err(StoreError::Unusable)
}

fn levels_and_tiles<'a>(ids: impl Iterator<Item = &'a TileId>) -> (Vec<i64>, Vec<i64>) {
    ids.map(|id| (i64::from(id.level), id.index as i64)).unzip()
}

pub(super) async fn tiles(connection: &mut PgConnection, ids: &BTreeSet<TileId>) -> Result<Tiles, StoreError> {
    let (levels, indices) = levels_and_tiles(ids.iter());
    let sql = "SELECT t.level, t.tile, t.hashes FROM unnest($1::bigint[], $2::bigint[]) AS k (level, tile)
               JOIN log_tile t ON t.level = k.level AND t.tile = k.tile";
    let rows = sqlx::query(sql).bind(levels).bind(indices).fetch_all(connection).await.map_err(store_error)?;
    let mut tiles = Tiles::default();
    let mut take = |row: &PgRow| tiles.insert(tile_id(row)?, &row.bytes(2)?);
    rows.iter().try_for_each(&mut take).map_err(StoreError::Unusable)?;
    Ok(tiles)
}

fn tile_id(row: &PgRow) -> Cell<TileId> {
    let level = u32::try_from(row.int(0)?).map_err(|error| error.to_string())?;
    Ok(TileId { level, index: size(row, 1)? })
}

pub(super) async fn append(connection: &mut PgConnection, growth: &LogGrowth) -> Done {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    let query = sqlx::query("UPDATE log_head SET size = $1, checkpoint = $2 WHERE log = 1 AND size = $3")
        .bind(growth.head.size as i64)
        .bind(&growth.head.checkpoint)
        .bind(growth.from as i64);
    if query.execute(&mut *transaction).await.map_err(store_error)?.rows_affected() != 1 {
        return Err(StoreError::Conflict);
    }
    let (levels, indices) = levels_and_tiles(growth.tiles.iter().map(|(id, _)| id));
    let query = sqlx::query(
        "INSERT INTO log_tile (level, tile, hashes) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])
         ON CONFLICT (level, tile) DO UPDATE SET hashes = EXCLUDED.hashes",
    )
    .bind(levels)
    .bind(indices)
    .bind(growth.tiles.iter().map(|(_, bytes)| bytes.as_slice()).collect::<Vec<_>>());
    query.execute(&mut *transaction).await.map_err(store_error)?;
    let ids: Vec<i64> = growth.batches.iter().map(|batch| batch.id).collect();
    let query = sqlx::query(
        "INSERT INTO log_batch (first_leaf, node, batch_id, names)
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])",
    )
    .bind(growth.batches.iter().map(|batch| batch.first_leaf as i64).collect::<Vec<_>>())
    .bind(ids.iter().map(|id| node_of(*id)).collect::<Vec<_>>())
    .bind(&ids)
    .bind(growth.batches.iter().map(LogBatch::encode).collect::<Vec<_>>());
    query.execute(&mut *transaction).await.map_err(store_error)?;
    let query = sqlx::query("DELETE FROM outbox WHERE batch_id = ANY($1)").bind(&ids);
    query.execute(&mut *transaction).await.map_err(store_error)?;
    transaction.commit().await.map_err(store_error)
}

/// Feeds the log to the verifier, in order.
pub(super) async fn audit(connection: &mut PgConnection, verifier: &mut Verifier, keys: &[PublicKey]) -> Done {
    let log = &mut verifier.log;
    let mut next_leaf = 0;
    loop {
        let sql =
            "SELECT batch_id, first_leaf, names FROM log_batch WHERE first_leaf >= $1 ORDER BY first_leaf LIMIT $2";
        let rows = sqlx::query(sql).bind(next_leaf).bind(PAGE).fetch_all(&mut *connection).await;
        let read = |row: &PgRow| LogBatch::decode(row.int(0)?, row.int(1)?, &row.bytes(2)?);
        let page: Result<Vec<LogBatch>, String> = rows.map_err(store_error)?.iter().map(read).collect();
        let page = page.map_err(StoreError::Unusable)?;
        let until = if page.is_empty() { i64::MAX } else { tiles_until(&page) as i64 };
        let sql = "SELECT tile, hashes FROM log_tile WHERE level = 0 AND tile >= $1 AND tile < $2 ORDER BY tile";
        let query = sqlx::query(sql).bind(log.next_tile() as i64).bind(until);
        for row in query.fetch_all(&mut *connection).await.map_err(store_error)? {
            let tile = size(&row, 0).and_then(|tile| Ok((tile, row.bytes(1)?))).map_err(StoreError::Unusable)?;
            log.leaves(tile.0, &tile.1);
        }
        page.iter().for_each(|batch| log.batch(batch.first_leaf, &batch.transactions, &batch.members));
        let Some(last) = page.last() else { break };
        next_leaf = last.first_leaf as i64 + 1;
    }
    let query = sqlx::query("SELECT level, tile, hashes FROM log_tile WHERE level > 0 ORDER BY level, tile");
    for row in query.fetch_all(&mut *connection).await.map_err(store_error)? {
        let tile = tile_id(&row).and_then(|id| Ok((id, row.bytes(2)?))).map_err(StoreError::Unusable)?;
        log.tile(tile.0, &tile.1);
    }
    let query = sqlx::query("SELECT batch_id, leaves FROM outbox ORDER BY batch_id");
    for batch in outbox_batches(&query.fetch_all(&mut *connection).await.map_err(store_error)?)? {
        batch.leaves.iter().for_each(|leaf| log.waiting(leaf.transaction_id, leaf.member_id, &leaf.hash));
    }
    let LogHead { size, checkpoint } = head(connection).await?;
    log.head(size, &checkpoint, keys);
    Ok(())
}
