//! Records and the audit log on SQLite.

use guerdon_core::audit::{AuditEntry, AuditEvent};
use guerdon_core::id::IdGenerator;
use guerdon_core::ledger::Verifier;
use guerdon_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::store::{foreign, read};
use super::{log, store_error};
use crate::record::{ChainedEvent, audit_leaves, chain, feed_entry};
use crate::{Record, RecordChange, StoreError, rows};

/// Writes changes within the caller's transaction; a conflict when a record is not as it was read.
pub(super) fn write(connection: &Connection, changes: &[RecordChange], now: Timestamp) -> Result<(), StoreError> {
    for change in changes {
        if write_one(connection, change, now).map_err(store_error)? != 1 {
            return Err(StoreError::Conflict);
        }
    }
    Ok(())
}

fn write_one(connection: &Connection, change: &RecordChange, now: Timestamp) -> rusqlite::Result<usize> {
    match change {
        RecordChange::Put(record) if record.version == 0 => connection
            .prepare_cached(
                "INSERT INTO record (kind, id, version, subject, expires_at, body) VALUES (?1, ?2, 1, ?3, ?4, ?5)
                 ON CONFLICT (kind, id) DO UPDATE SET version = 1, subject = excluded.subject,
                     expires_at = excluded.expires_at, body = excluded.body WHERE record.expires_at <= ?6",
            )?
            .execute(params![
                record.kind,
                record.id,
                record.subject,
                record.expires_at.map(Timestamp::as_millis),
                record.body,
                now.as_millis(),
            ]),
        RecordChange::Put(record) => connection
            .prepare_cached(
                "UPDATE record SET version = version + 1, subject = ?3, expires_at = ?4, body = ?5
                 WHERE kind = ?1 AND id = ?2 AND version = ?6",
            )?
            .execute(params![
                record.kind,
                record.id,
                record.subject,
                record.expires_at.map(Timestamp::as_millis),
                record.body,
                record.version,
            ]),
        RecordChange::Delete(record) => connection
            .prepare_cached("DELETE FROM record WHERE kind = ?1 AND id = ?2 AND version = ?3")?
            .execute(params![record.kind, record.id, record.version]),
    }
}

/// Appends events to the chain within the caller's transaction, with a leaf each in the outbox.
pub(super) fn append(connection: &Connection, events: &[AuditEvent], ids: &mut IdGenerator) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let last = head(connection).map_err(store_error)?;
    let chained = chain(last.as_ref(), events, ids)?;
    let mut insert = connection
        .prepare_cached(
            "INSERT INTO audit (number, id, at, actor, action, subject, body, previous, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .map_err(store_error)?;
    for ChainedEvent { entry, event } in &chained {
        let row = params![
            entry.number,
            entry.id.0,
            event.at.as_millis(),
            event.actor,
            event.action,
            event.subject,
            entry.body,
            entry.previous,
            entry.hash,
        ];
        insert.execute(row).map_err(store_error)?;
    }
    log::write_outbox(connection, &audit_leaves(&chained)).map_err(store_error)
}

/// The last entry of the chain.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Option<AuditEntry>> {
    let sql = format!("SELECT {} FROM audit ORDER BY number DESC LIMIT 1", rows::AUDIT_COLUMNS);
    connection.prepare_cached(&sql)?.query_row([], |row| read(rows::audit_entry(row))).optional()
}

pub(super) fn record(
    connection: &Connection,
    kind: &str,
    id: &str,
    now: Timestamp,
) -> rusqlite::Result<Option<Record>> {
    let sql = format!(
        "SELECT {} FROM record WHERE kind = ?1 AND id = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
        rows::RECORD_COLUMNS
    );
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row(params![kind, id, now.as_millis()], |row| read(rows::record(row))).optional()
}

/// Deletes records that have expired. Returns how many.
pub(super) fn sweep(connection: &Connection, now: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM record WHERE (kind, id) IN
               (SELECT kind, id FROM record WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
    connection.prepare_cached(sql)?.execute(params![now.as_millis(), limit as i64])
}

/// Feeds the chain to the verifier, in order.
pub(super) fn audit(connection: &Connection, verifier: &mut Verifier) -> rusqlite::Result<()> {
    let sql = format!("SELECT {}, at, actor, action, subject FROM audit ORDER BY number", rows::AUDIT_COLUMNS);
    let mut statement = connection.prepare(&sql)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        feed_entry(verifier, row).map_err(foreign)?;
    }
    Ok(())
}
