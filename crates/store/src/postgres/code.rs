//! Codes on PostgreSQL.

use std::collections::BTreeSet;

use guerdon_core::audit::AuditEvent;
use guerdon_core::id::{IdGenerator, OrderId};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::record::{Appended, append_and_commit};
use super::store_error;
use crate::StoreError;
use crate::code::{
    CLAIM_TRIES, CODE_COLUMNS, Claimed, CodeClaim, CodeFate, CodeOrigin, CodeUpload, CodesAdded, OrderCode, SealedCode,
    order_code,
};
use crate::rows::Cells;

type Done<T> = Result<T, StoreError>;

/// The claim: as many free codes as are wanted, or none; and none where the order has some. Codes that another node is about
/// to take are left out rather than waited for.
const CLAIM: &str = "
    WITH free AS MATERIALIZED (
        SELECT digest, added_at FROM code WHERE reward_id = $1 AND order_id IS NULL
        ORDER BY added_at, digest LIMIT $4 FOR UPDATE SKIP LOCKED),
    numbered AS (SELECT digest, ROW_NUMBER() OVER (ORDER BY added_at, digest) AS unit FROM free)
    UPDATE code SET order_id = $2, member_id = $3, unit = numbered.unit FROM numbered
    WHERE code.reward_id = $1 AND code.digest = numbered.digest AND (SELECT COUNT(*) FROM numbered) = $4
      AND NOT EXISTS (SELECT 1 FROM code AS own WHERE own.reward_id = $1 AND own.order_id = $2)";

/// What came of an upload, or that it is to be tried again because of a race for the audit chain.
pub(super) enum Added {
    /// It is decided.
    Done(CodesAdded),
    /// Another node was faster.
    Raced,
}

pub(super) async fn add(
    connection: &mut PgConnection,
    upload: &CodeUpload,
    events: &[AuditEvent],
    ids: &mut IdGenerator,
) -> Done<Added> {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    let there = claim_digests(&mut transaction, &upload.codes).await?;
    if !there.is_empty() {
        transaction.rollback().await.map_err(store_error)?;
        return Ok(Added::Done(CodesAdded::Duplicates(there)));
    }
    let count = sqlx::query("SELECT COUNT(*) FROM code WHERE reward_id = $1").bind(&upload.reward_id);
    let count = count.fetch_one(&mut *transaction).await.map_err(store_error)?;
    let count = count.int(0).map_err(StoreError::Unusable)?;
    if count.saturating_add(upload.codes.len() as i64) > upload.most {
        transaction.rollback().await.map_err(store_error)?;
        return Ok(Added::Done(CodesAdded::TooMany));
    }
    let (digests, sealed, terms) = columns(&upload.codes);
    let sql = "INSERT INTO code (reward_id, digest, sealed, terms, origin, added_at)
               SELECT $1, digest, sealed, terms, $5, $6 FROM UNNEST($2::BYTEA[], $3::TEXT[], $4::TEXT[]) AS new (digest, sealed, terms)";
    let query = sqlx::query(sql).bind(&upload.reward_id).bind(digests).bind(sealed).bind(terms);
    let query = query.bind(CodeOrigin::Vault as i64).bind(upload.at.as_millis());
    query.execute(&mut *transaction).await.map_err(store_error)?;
    Ok(match append_and_commit(transaction, events, ids).await? {
        Appended::Done => Added::Done(CodesAdded::Added),
        Appended::Raced => Added::Raced,
    })
}

fn columns(codes: &[SealedCode]) -> (Vec<&[u8]>, Vec<&str>, Vec<Option<&str>>) {
    let digests = codes.iter().map(|code| code.digest.as_slice()).collect();
    let sealed = codes.iter().map(|code| code.sealed.as_str()).collect();
    (digests, sealed, codes.iter().map(|code| code.terms.as_deref()).collect())
}

/// Makes codes known, whichever reward they are for. Answers the places of those that are already: also of those that
/// another node is about to add, for which this waits.
async fn claim_digests(connection: &mut PgConnection, codes: &[SealedCode]) -> Done<Vec<usize>> {
    // In one order on all nodes, so that of two that add some of the same one waits for the other.
    let digests: BTreeSet<&[u8]> = codes.iter().map(|code| code.digest.as_slice()).collect();
    let sql =
        "INSERT INTO code_known (digest) SELECT UNNEST($1::BYTEA[]) ON CONFLICT (digest) DO NOTHING RETURNING digest";
    let query = sqlx::query(sql).bind(digests.into_iter().collect::<Vec<_>>());
    let rows = query.fetch_all(connection).await.map_err(store_error)?;
    let new: BTreeSet<[u8; 32]> =
        rows.iter().map(|row| row.digest(0)).collect::<Result<_, _>>().map_err(StoreError::Unusable)?;
    let places = codes.iter().enumerate().filter(|(_, code)| !new.contains(&code.digest));
    Ok(places.map(|(place, _)| place).collect())
}

pub(super) async fn claim(connection: &mut PgConnection, claim: &CodeClaim) -> Done<Claimed> {
    for _ in 0..CLAIM_TRIES {
        let taken = match &claim.made {
            None => from_vault(connection, claim).await,
            Some((origin, codes)) => made(connection, claim, *origin, codes).await,
        };
        // Another node has claimed for the same order at the same moment: what it got is the order's.
        if !matches!(taken, Err(StoreError::Conflict)) {
            taken?;
        }
        let codes = of_order(connection, &claim.reward_id, claim.order).await?;
        if !codes.is_empty() {
            return Ok(Claimed::Codes(codes));
        }
        if claim.made.is_some() {
            return Ok(Claimed::Taken);
        }
        if free(connection, claim).await? < claim.quantity {
            return Ok(Claimed::Dry);
        }
    }
    Err(StoreError::Conflict)
}

async fn from_vault(connection: &mut PgConnection, claim: &CodeClaim) -> Done<()> {
    let query = sqlx::query(CLAIM).bind(&claim.reward_id).bind(claim.order.0).bind(claim.member.0);
    query.bind(claim.quantity).execute(connection).await.map(drop).map_err(store_error)
}

/// How many codes are free, up to as many as are wanted.
async fn free(connection: &mut PgConnection, claim: &CodeClaim) -> Done<i64> {
    let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM code WHERE reward_id = $1 AND order_id IS NULL LIMIT $2) AS found";
    let query = sqlx::query(sql).bind(&claim.reward_id).bind(claim.quantity);
    query.fetch_one(connection).await.map_err(store_error)?.int(0).map_err(StoreError::Unusable)
}

async fn made(connection: &mut PgConnection, claim: &CodeClaim, origin: CodeOrigin, codes: &[SealedCode]) -> Done<()> {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    if !of_order(&mut transaction, &claim.reward_id, claim.order).await?.is_empty()
        || !claim_digests(&mut transaction, codes).await?.is_empty()
    {
        return transaction.rollback().await.map_err(store_error);
    }
    let (digests, sealed, terms) = columns(codes);
    let units: Vec<i64> = (1_i64..).take(codes.len()).collect();
    let sql = "INSERT INTO code (reward_id, digest, sealed, terms, origin, added_at, order_id, member_id, unit)
               SELECT $1, digest, sealed, terms, $6, $7, $8, $9, unit
               FROM UNNEST($2::BYTEA[], $3::TEXT[], $4::TEXT[], $5::BIGINT[]) AS new (digest, sealed, terms, unit)";
    let query = sqlx::query(sql).bind(&claim.reward_id).bind(digests).bind(sealed).bind(terms).bind(units);
    let query = query.bind(origin as i64).bind(claim.at.as_millis()).bind(claim.order.0).bind(claim.member.0);
    query.execute(&mut *transaction).await.map_err(store_error)?;
    transaction.commit().await.map_err(store_error)
}

async fn of_order(connection: &mut PgConnection, reward: &str, order: OrderId) -> Done<Vec<OrderCode>> {
    let sql = format!("SELECT {CODE_COLUMNS} FROM code WHERE reward_id = $1 AND order_id = $2 ORDER BY unit");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(reward).bind(order.0);
    let rows = query.fetch_all(connection).await.map_err(store_error)?;
    rows.iter().map(order_code).collect::<Result<_, _>>().map_err(StoreError::Unusable)
}

pub(super) async fn settle(connection: &mut PgConnection, reward: &str, order: OrderId, fate: CodeFate) -> Done<()> {
    let open = "WHERE reward_id = $1 AND order_id = $2 AND issued_at IS NULL";
    let CodeFate::Issued(at) = fate else { return release(connection, reward, order, open).await };
    let sql = format!("UPDATE code SET issued_at = $3 {open}");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(reward).bind(order.0).bind(at.as_millis());
    query.execute(connection).await.map(drop).map_err(store_error)
}

async fn release(connection: &mut PgConnection, reward: &str, order: OrderId, open: &str) -> Done<()> {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    let sql = format!("DELETE FROM code {open} AND origin <> $3 RETURNING digest");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(reward).bind(order.0).bind(CodeOrigin::Vault as i64);
    let gone = query.fetch_all(&mut *transaction).await.map_err(store_error)?;
    let gone: Vec<[u8; 32]> =
        gone.iter().map(|row| row.digest(0)).collect::<Result<_, _>>().map_err(StoreError::Unusable)?;
    if !gone.is_empty() {
        let query = sqlx::query("DELETE FROM code_known WHERE digest = ANY($1)").bind(gone);
        query.execute(&mut *transaction).await.map_err(store_error)?;
    }
    let sql = format!("UPDATE code SET order_id = NULL, member_id = NULL, unit = NULL {open}");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(reward).bind(order.0);
    query.execute(&mut *transaction).await.map_err(store_error)?;
    transaction.commit().await.map_err(store_error)
}

/// Destroys the codes of members. Their digests stay, so that none of them is uploaded and handed out again.
pub(super) async fn erase(connection: &mut PgConnection, members: &[i64]) -> Done<()> {
    let sql = "UPDATE code SET sealed = NULL, terms = NULL WHERE member_id = ANY($1)";
    sqlx::query(sql).bind(members).execute(connection).await.map(drop).map_err(store_error)
}
