//! The feed of events on PostgreSQL.

use guerdon_core::kernel::Changes;
use guerdon_core::time::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row};

use super::store_error;
use super::write::run;
use crate::StoreError;
use crate::feed::{EVENT_COLUMNS, StoredEvent, ToldEvent, body, events, feed_sql, stored, told};

/// Leaves what is to be told of a batch, within the transaction of its commit.
pub(super) async fn write(connection: &mut PgConnection, changes: &Changes) -> Result<(), StoreError> {
    let all = events(changes);
    if all.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO event (txn_id, place, member_id, at, body)
               SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])";
    let query = sqlx::query(sql)
        .bind(all.iter().map(|one| one.transaction_id.0).collect::<Vec<_>>())
        .bind(all.iter().map(|one| one.place).collect::<Vec<_>>())
        .bind(all.iter().map(|one| one.member_id.0).collect::<Vec<_>>())
        .bind(all.iter().map(|one| one.at.as_millis()).collect::<Vec<_>>())
        .bind(all.iter().map(body).collect::<Vec<_>>());
    run(connection, query, all.len()).await
}

/// Moves events into the feed. Another node that does the same at the same time makes it a conflict: the head is
/// changed from the number that was read.
pub(super) async fn tell(
    connection: &mut PgConnection,
    limit: usize,
    now: Timestamp,
    keep_from: Timestamp,
) -> Result<usize, StoreError> {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    let sql = format!("SELECT {EVENT_COLUMNS} FROM event ORDER BY txn_id, place LIMIT $1");
    let found = sqlx::query(AssertSqlSafe(sql)).bind(limit as i64).fetch_all(&mut *transaction).await;
    let waiting: Vec<StoredEvent> = found
        .map_err(store_error)?
        .iter()
        .map(|row| stored(row, 0))
        .collect::<Result<_, _>>()
        .map_err(StoreError::Unusable)?;
    if !waiting.is_empty() {
        let query = sqlx::query("SELECT number FROM feed_head WHERE feed = 1").fetch_one(&mut *transaction).await;
        let before: i64 = query.and_then(|row| row.try_get(0)).map_err(store_error)?;
        move_events(&mut transaction, &waiting, before, now).await?;
    }
    let query = sqlx::query("DELETE FROM feed WHERE told_at < $1").bind(keep_from.as_millis());
    query.execute(&mut *transaction).await.map_err(store_error)?;
    transaction.commit().await.map_err(store_error)?;
    Ok(waiting.len())
}

async fn move_events(
    connection: &mut PgConnection,
    waiting: &[StoredEvent],
    before: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let count = waiting.len();
    let query = sqlx::query("UPDATE feed_head SET number = number + $1 WHERE feed = 1 AND number = $2");
    run(connection, query.bind(count as i64).bind(before), 1).await?;
    let (transactions, places): (Vec<i64>, Vec<i64>) =
        waiting.iter().map(|one| (one.transaction_id.0, one.place)).unzip();
    let members: Vec<i64> = waiting.iter().map(|one| one.member_id.0).collect();
    let sql =
        "DELETE FROM event e USING unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u (txn_id, place, member_id)
               WHERE e.member_id = u.member_id AND e.txn_id = u.txn_id AND e.place = u.place";
    let query = sqlx::query(sql).bind(&transactions).bind(&places).bind(&members);
    run(connection, query, count).await?;
    let sql = "INSERT INTO feed (number, txn_id, place, member_id, at, body, told_at)
               SELECT *, $7 FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[])";
    let query = sqlx::query(sql)
        .bind((before + 1..).take(count).collect::<Vec<i64>>())
        .bind(&transactions)
        .bind(&places)
        .bind(&members)
        .bind(waiting.iter().map(|one| one.at.as_millis()).collect::<Vec<_>>())
        .bind(waiting.iter().map(body).collect::<Vec<_>>())
        .bind(now.as_millis());
    run(connection, query, count).await
}

pub(super) async fn read(
    connection: &mut PgConnection,
    after: i64,
    limit: usize,
) -> Result<Vec<ToldEvent>, StoreError> {
    let query = sqlx::query(AssertSqlSafe(feed_sql())).bind(after).bind(limit as i64);
    let found = query.fetch_all(connection).await.map_err(store_error)?;
    found.iter().map(told).collect::<Result<_, _>>().map_err(StoreError::Unusable)
}
