//! Records and the audit log on PostgreSQL.

use guerdon_core::audit::{AuditEntry, AuditEvent};
use guerdon_core::id::IdGenerator;
use guerdon_core::ledger::Verifier;
use guerdon_core::time::Timestamp;
use sqlx::postgres::{PgConnection, Postgres};
use sqlx::{AssertSqlSafe, Connection, Transaction};

use super::{log, store_error};
use crate::record::{ChainedEvent, audit_leaves, chain, feed_entry};
use crate::rows::{self, Cells};
use crate::{Record, RecordChange, StoreError};

/// Entries of the audit log read at once.
const PAGE: i64 = 10_000;

/// What became of an attempt to append to the chain.
pub(super) enum Appended {
    /// It is written.
    Done,
    /// Another node has taken the next place in the chain: the transaction is lost, and to be tried again.
    Raced,
}

/// Writes changes and events in one transaction; a conflict when a record is not as it was read.
pub(super) async fn write(
    connection: &mut PgConnection,
    changes: &[RecordChange],
    events: &[AuditEvent],
    now: Timestamp,
    ids: &mut IdGenerator,
) -> Result<Appended, StoreError> {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    for change in changes {
        write_one(&mut transaction, change, now).await?;
    }
    append_and_commit(transaction, events, ids).await
}

/// Appends events and commits. They come last in a transaction, so that others wait for our place in the chain no longer
/// than the commit takes.
pub(super) async fn append_and_commit(
    mut transaction: Transaction<'_, Postgres>,
    events: &[AuditEvent],
    ids: &mut IdGenerator,
) -> Result<Appended, StoreError> {
    if let Appended::Raced = append(&mut transaction, events, ids).await? {
        transaction.rollback().await.map_err(store_error)?;
        return Ok(Appended::Raced);
    }
    transaction.commit().await.map_err(store_error)?;
    Ok(Appended::Done)
}

async fn write_one(connection: &mut PgConnection, change: &RecordChange, now: Timestamp) -> Result<(), StoreError> {
    let query = match change {
        RecordChange::Put(record) if record.version == 0 => sqlx::query(
            "INSERT INTO record (kind, id, version, subject, expires_at, body) VALUES ($1, $2, 1, $3, $4, $5)
             ON CONFLICT (kind, id) DO UPDATE SET version = 1, subject = EXCLUDED.subject,
                 expires_at = EXCLUDED.expires_at, body = EXCLUDED.body WHERE record.expires_at <= $6",
        )
        .bind(&record.kind)
        .bind(&record.id)
        .bind(&record.subject)
        .bind(record.expires_at.map(Timestamp::as_millis))
        .bind(&record.body)
        .bind(now.as_millis()),
        RecordChange::Put(record) => sqlx::query(
            "UPDATE record SET version = version + 1, subject = $3, expires_at = $4, body = $5
             WHERE kind = $1 AND id = $2 AND version = $6",
        )
        .bind(&record.kind)
        .bind(&record.id)
        .bind(&record.subject)
        .bind(record.expires_at.map(Timestamp::as_millis))
        .bind(&record.body)
        .bind(record.version),
        RecordChange::Delete(record) => sqlx::query("DELETE FROM record WHERE kind = $1 AND id = $2 AND version = $3")
            .bind(&record.kind)
            .bind(&record.id)
            .bind(record.version),
    };
    match query.execute(connection).await.map_err(store_error)?.rows_affected() {
        1 => Ok(()),
        _ => Err(StoreError::Conflict),
    }
}

/// Appends events to the chain within the caller's transaction, with a leaf each in the outbox.
async fn append(
    connection: &mut PgConnection,
    events: &[AuditEvent],
    ids: &mut IdGenerator,
) -> Result<Appended, StoreError> {
    if events.is_empty() {
        return Ok(Appended::Done);
    }
    let last = head(connection).await?;
    let chained = chain(last.as_ref(), events, ids)?;
    let entries = || chained.iter().map(|ChainedEvent { entry, .. }| entry);
    let written = || chained.iter().map(|ChainedEvent { event, .. }| event);
    let sql = "INSERT INTO audit (number, id, at, actor, action, subject, body, previous, hash)
               SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[],
                   $7::text[], $8::bytea[], $9::bytea[])";
    let query = sqlx::query(sql)
        .bind(entries().map(|entry| entry.number).collect::<Vec<_>>())
        .bind(entries().map(|entry| entry.id.0).collect::<Vec<_>>())
        .bind(written().map(|event| event.at.as_millis()).collect::<Vec<_>>())
        .bind(written().map(|event| event.actor.as_str()).collect::<Vec<_>>())
        .bind(written().map(|event| event.action.as_str()).collect::<Vec<_>>())
        .bind(written().map(|event| event.subject.as_str()).collect::<Vec<_>>())
        .bind(entries().map(|entry| entry.body.as_str()).collect::<Vec<_>>())
        .bind(entries().map(|entry| entry.previous.as_slice()).collect::<Vec<_>>())
        .bind(entries().map(|entry| entry.hash.as_slice()).collect::<Vec<_>>());
    match query.execute(&mut *connection).await.map_err(store_error) {
        Ok(_) => {}
        // Only another node's entry of the same number can be in the way here.
        Err(StoreError::Conflict) => return Ok(Appended::Raced),
        Err(error) => return Err(error),
    }
    log::write_outbox(connection, &audit_leaves(&chained)).await?;
    Ok(Appended::Done)
}

/// The last entry of the chain.
pub(super) async fn head(connection: &mut PgConnection) -> Result<Option<AuditEntry>, StoreError> {
    let sql = format!("SELECT {} FROM audit ORDER BY number DESC LIMIT 1", rows::AUDIT_COLUMNS);
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_optional(connection).await.map_err(store_error)?;
    row.map(|row| rows::audit_entry(&row)).transpose().map_err(StoreError::Unusable)
}

pub(super) async fn record(
    connection: &mut PgConnection,
    kind: &str,
    id: &str,
    now: Timestamp,
) -> Result<Option<Record>, StoreError> {
    let sql = format!(
        "SELECT {} FROM record WHERE kind = $1 AND id = $2 AND (expires_at IS NULL OR expires_at > $3)",
        rows::RECORD_COLUMNS
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(kind).bind(id).bind(now.as_millis());
    let row = query.fetch_optional(connection).await.map_err(store_error)?;
    row.map(|row| rows::record(&row)).transpose().map_err(StoreError::Unusable)
}

/// Deletes records that have expired. Returns how many.
pub(super) async fn sweep(connection: &mut PgConnection, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    // What is put again meanwhile has another end by then, hence the second look at it.
    let sql = "DELETE FROM record WHERE (kind, id) IN
                   (SELECT kind, id FROM record WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)
               AND expires_at <= $1";
    let query = sqlx::query(sql).bind(now.as_millis()).bind(limit as i64);
    let swept = query.execute(connection).await.map_err(store_error)?.rows_affected();
    Ok(usize::try_from(swept).unwrap_or(usize::MAX))
}

/// Feeds the chain to the verifier, in order, page by page.
pub(super) async fn audit(connection: &mut PgConnection, verifier: &mut Verifier) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT {}, at, actor, action, subject FROM audit WHERE number > $1 ORDER BY number LIMIT $2",
        rows::AUDIT_COLUMNS
    );
    let mut after = i64::MIN;
    loop {
        let query = sqlx::query(AssertSqlSafe(sql.clone())).bind(after).bind(PAGE);
        let page = query.fetch_all(&mut *connection).await.map_err(store_error)?;
        page.iter().try_for_each(|row| feed_entry(verifier, row)).map_err(StoreError::Unusable)?;
        let Some(last) = page.last().filter(|_| page.len() as i64 == PAGE) else { return Ok(()) };
        after = last.int(0).map_err(StoreError::Unusable)?;
    }
}
