//! The feed of events on SQLite.

use guerdon_core::kernel::Changes;
use guerdon_core::time::Timestamp;
use rusqlite::{Connection, params};

use super::store::read;
use crate::feed::{EVENT_COLUMNS, StoredEvent, ToldEvent, body, events, feed_sql, stored, told};

/// Leaves what is to be told of a batch, within the transaction of its commit.
pub(super) fn write(connection: &Connection, changes: &Changes) -> rusqlite::Result<()> {
    let sql = "INSERT INTO event (txn_id, place, member_id, at, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    for event in events(changes) {
        let StoredEvent { transaction_id, place, member_id, at, .. } = &event;
        let row = params![transaction_id.0, place, member_id.0, at.as_millis(), body(&event)];
        connection.prepare_cached(sql)?.execute(row)?;
    }
    Ok(())
}

/// Moves events into the feed.
pub(super) fn tell(
    connection: &mut Connection,
    limit: usize,
    now: Timestamp,
    keep_from: Timestamp,
) -> rusqlite::Result<usize> {
    let old: bool = {
        let mut oldest = connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM event) OR EXISTS (SELECT 1 FROM feed WHERE told_at < ?1)")?;
        oldest.query_row([keep_from.as_millis()], |row| row.get(0))?
    };
    // Most of the time there is nothing to do, and nothing is written.
    if !old {
        return Ok(0);
    }
    let transaction = connection.transaction()?;
    let waiting: Vec<StoredEvent> = {
        let sql = format!("SELECT {EVENT_COLUMNS} FROM event ORDER BY txn_id, place LIMIT ?1");
        let mut waiting = transaction.prepare_cached(&sql)?;
        waiting.query_map([limit as i64], |row| read(stored(row, 0)))?.collect::<Result<_, _>>()?
    };
    let mut number: i64 = transaction.query_row("SELECT number FROM feed_head WHERE feed = 1", [], |row| row.get(0))?;
    for event in &waiting {
        number += 1;
        let StoredEvent { transaction_id, place, member_id, at, .. } = event;
        let sql = "INSERT INTO feed (number, txn_id, place, member_id, at, body, told_at)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let row = params![number, transaction_id.0, place, member_id.0, at.as_millis(), body(event), now.as_millis()];
        transaction.prepare_cached(sql)?.execute(row)?;
        let mut delete = transaction.prepare_cached("DELETE FROM event WHERE txn_id = ?1 AND place = ?2")?;
        delete.execute(params![transaction_id.0, place])?;
    }
    transaction.execute("UPDATE feed_head SET number = ?1 WHERE feed = 1", [number])?;
    transaction.execute("DELETE FROM feed WHERE told_at < ?1", [keep_from.as_millis()])?;
    transaction.commit()?;
    Ok(waiting.len())
}

pub(super) fn read_feed(connection: &Connection, after: i64, limit: usize) -> rusqlite::Result<Vec<ToldEvent>> {
    let mut feed = connection.prepare_cached(&feed_sql())?;
    feed.query_map([after, limit as i64], |row| read(told(row)))?.collect()
}
