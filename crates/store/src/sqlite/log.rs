//! The transparency log on SQLite.

use std::collections::BTreeSet;

use guerdon_core::id::node_of;
use guerdon_core::ledger::Verifier;
use guerdon_core::proofs::{PublicKey, TileId, Tiles};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::store::foreign;
use super::store_error;
use crate::StoreError;
use crate::log::{LEAF_BYTES, LEAVES, Leaf, LogBatch, LogGrowth, LogHead, OutboxBatch, encode_leaves, tiles_until};

/// Batches of the log read at once.
const PAGE: i64 = 64;

/// Leaves the leaves of a batch in the outbox, within the transaction of its commit.
pub(super) fn write_outbox(connection: &Connection, leaves: &[Leaf]) -> rusqlite::Result<()> {
    let Some(first) = leaves.first() else { return Ok(()) };
    let mut insert = connection.prepare_cached("INSERT INTO outbox (batch_id, leaves) VALUES (?1, ?2)")?;
    insert.execute(params![first.transaction_id.0, encode_leaves(leaves)]).map(drop)
}

fn outbox_batch(row: &Row<'_>) -> rusqlite::Result<OutboxBatch> {
    OutboxBatch::decode(row.get(0)?, row.get_ref(1)?.as_blob()?).map_err(foreign)
}

pub(super) fn outbox(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<OutboxBatch>> {
    let mut statement = connection.prepare_cached(
        "SELECT o.batch_id, o.leaves
         FROM (SELECT batch_id, SUM(length) OVER (ORDER BY batch_id) - length AS before
               FROM (SELECT batch_id, length(leaves) AS length FROM outbox ORDER BY batch_id LIMIT ?1)) AS first
         JOIN outbox o ON o.batch_id = first.batch_id
         WHERE first.before < ?2 ORDER BY o.batch_id",
    )?;
    statement.query_map([limit as i64, (LEAVES * LEAF_BYTES) as i64], outbox_batch)?.collect()
}

pub(super) fn head(connection: &Connection) -> rusqlite::Result<LogHead> {
    connection.query_row("SELECT size, checkpoint FROM log_head WHERE log = 1", [], |row| {
        Ok(LogHead { size: row.get::<_, i64>(0)?.unsigned_abs(), checkpoint: row.get(1)? })
    })
}

pub(super) fn tiles(connection: &Connection, ids: &BTreeSet<TileId>) -> rusqlite::Result<Tiles> {
    let mut tiles = Tiles::default();
    let mut statement = connection.prepare_cached("SELECT hashes FROM log_tile WHERE level = ?1 AND tile = ?2")?;
    for id in ids {
        let found = statement.query_row(params![id.level, id.index as i64], |row| row.get::<_, Vec<u8>>(0));
        if let Some(bytes) = found.optional()? {
            tiles.insert(*id, &bytes).map_err(foreign)?;
        }
    }
    Ok(tiles)
}

pub(super) fn append(connection: &mut Connection, growth: &LogGrowth) -> Result<(), StoreError> {
    let transaction = connection.transaction().map_err(store_error)?;
    let head = &growth.head;
    let moved = transaction
        .execute(
            "UPDATE log_head SET size = ?1, checkpoint = ?2 WHERE log = 1 AND size = ?3",
            params![head.size as i64, head.checkpoint, growth.from as i64],
        )
        .map_err(store_error)?;
    if moved != 1 {
        return Err(StoreError::Conflict);
    }
    write_growth(&transaction, growth).map_err(store_error)?;
    transaction.commit().map_err(store_error)
}

fn write_growth(connection: &Connection, growth: &LogGrowth) -> rusqlite::Result<()> {
    let mut write = connection.prepare_cached(
        "INSERT INTO log_tile (level, tile, hashes) VALUES (?1, ?2, ?3)
         ON CONFLICT (level, tile) DO UPDATE SET hashes = excluded.hashes",
    )?;
    for (id, bytes) in &growth.tiles {
        write.execute(params![id.level, id.index as i64, bytes])?;
    }
    let mut insert = connection
        .prepare_cached("INSERT INTO log_batch (first_leaf, node, batch_id, names) VALUES (?1, ?2, ?3, ?4)")?;
    let mut delete = connection.prepare_cached("DELETE FROM outbox WHERE batch_id = ?1")?;
    for batch in &growth.batches {
        insert.execute(params![batch.first_leaf as i64, node_of(batch.id), batch.id, batch.encode()])?;
        delete.execute([batch.id])?;
    }
    Ok(())
}

/// Feeds the log to the verifier, in order.
pub(super) fn audit(connection: &Connection, verifier: &mut Verifier, keys: &[PublicKey]) -> rusqlite::Result<()> {
    let log = &mut verifier.log;
    let mut batches = connection.prepare(
        "SELECT batch_id, first_leaf, names FROM log_batch WHERE first_leaf >= ?1 ORDER BY first_leaf LIMIT ?2",
    )?;
    let mut leaves = connection
        .prepare("SELECT tile, hashes FROM log_tile WHERE level = 0 AND tile >= ?1 AND tile < ?2 ORDER BY tile")?;
    let mut next_leaf = 0;
    loop {
        let read =
            |row: &Row<'_>| LogBatch::decode(row.get(0)?, row.get(1)?, row.get_ref(2)?.as_blob()?).map_err(foreign);
        let page: Vec<LogBatch> = batches.query_map([next_leaf, PAGE], read)?.collect::<Result<_, _>>()?;
        let until = if page.is_empty() { i64::MAX } else { tiles_until(&page) as i64 };
        let mut rows = leaves.query([log.next_tile() as i64, until])?;
        while let Some(row) = rows.next()? {
            log.leaves(row.get::<_, i64>(0)?.unsigned_abs(), row.get_ref(1)?.as_blob()?);
        }
        page.iter().for_each(|batch| log.batch(batch.first_leaf, &batch.transactions, &batch.members));
        let Some(last) = page.last() else { break };
        next_leaf = last.first_leaf as i64 + 1;
    }
    let mut above =
        connection.prepare("SELECT level, tile, hashes FROM log_tile WHERE level > 0 ORDER BY level, tile")?;
    let mut rows = above.query([])?;
    while let Some(row) = rows.next()? {
        let id = TileId { level: row.get(0)?, index: row.get::<_, i64>(1)?.unsigned_abs() };
        log.tile(id, row.get_ref(2)?.as_blob()?);
    }
    let mut waiting = connection.prepare("SELECT batch_id, leaves FROM outbox ORDER BY batch_id")?;
    for batch in waiting.query_map([], outbox_batch)? {
        batch?.leaves.iter().for_each(|leaf| log.waiting(leaf.transaction_id, leaf.member_id, &leaf.hash));
    }
    let LogHead { size, checkpoint } = head(connection)?;
    log.head(size, &checkpoint, keys);
    Ok(())
}
