//! What a batch needs, read set-based and without locks.

use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Committed, Footprint, Loaded};
use guerdon_core::ledger::Account;
use guerdon_core::privacy::profile_version;
use sqlx::postgres::{PgConnection, PgRow};

use super::store_error;
use crate::StoreError;
use crate::rows::{self, Cell, Cells};

type Done = Result<(), StoreError>;

/// Reads the rows of a footprint. Accounts come first: what is read of a member afterwards is as new or newer, and a
/// commit over an account that has changed since is refused.
pub(super) async fn prefetch(connection: &mut PgConnection, footprint: &Footprint) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded::default();
    accounts(connection, footprint, &mut loaded).await?;
    keys(connection, footprint, &mut loaded).await?;
    orders(connection, footprint, &mut loaded).await?;
    stock(connection, footprint, &mut loaded).await?;
    budgets(connection, footprint, &mut loaded).await?;
    references(connection, footprint, &mut loaded).await?;
    profiles(connection, footprint, &mut loaded).await?;
    Ok(loaded)
}

/// Decodes each row into its place.
fn each(rows: Vec<PgRow>, mut take: impl FnMut(&PgRow) -> Cell<()>) -> Done {
    rows.iter().try_for_each(|row| take(row).map_err(StoreError::Rejected))
}

async fn accounts(connection: &mut PgConnection, footprint: &Footprint, loaded: &mut Loaded) -> Done {
    if footprint.members.is_empty() {
        return Ok(());
    }
    let members: Vec<i64> = footprint.members.iter().map(|member| member.0).collect();
    let sql = "SELECT member_id, version, state FROM account WHERE member_id = ANY($1)";
    let rows = sqlx::query(sql).bind(members).fetch_all(connection).await.map_err(store_error)?;
    each(rows, |row| {
        let account = Account::decode(row.int(1)?, &row.bytes(2)?)?;
        loaded.accounts.insert(MemberId(row.int(0)?), account);
        Ok(())
    })
}

async fn keys(connection: &mut PgConnection, footprint: &Footprint, loaded: &mut Loaded) -> Done {
    if footprint.keys.is_empty() {
        return Ok(());
    }
    let (members, keys): (Vec<i64>, Vec<&str>) =
        footprint.keys.iter().map(|(member, key)| (member.0, key.as_str())).unzip();
    let sql = "SELECT t.member_id, t.idempotency_key, t.request_digest, t.receipt
               FROM unnest($1::bigint[], $2::text[]) AS k (member_id, idempotency_key)
               JOIN txn t ON t.member_id = k.member_id AND t.idempotency_key = k.idempotency_key";
    let rows = sqlx::query(sql).bind(members).bind(keys).fetch_all(connection).await.map_err(store_error)?;
    each(rows, |row| {
        let committed = Committed { request_digest: row.digest(2)?, receipt: row.text(3)?.into() };
        loaded.committed.insert((MemberId(row.int(0)?), row.text(1)?), committed);
        Ok(())
    })
}

async fn orders(connection: &mut PgConnection, footprint: &Footprint, loaded: &mut Loaded) -> Done {
    if footprint.orders.is_empty() {
        return Ok(());
    }
    let (members, orders): (Vec<i64>, Vec<i64>) =
        footprint.orders.iter().map(|(member, order): &(MemberId, OrderId)| (member.0, order.0)).unzip();
    let columns = rows::ORDER_COLUMNS.split(", ").map(|column| format!("o.{column}")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT {columns} FROM unnest($1::bigint[], $2::bigint[]) AS k (member_id, order_id)
         JOIN orders o ON o.member_id = k.member_id AND o.order_id = k.order_id"
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(members).bind(orders);
    each(query.fetch_all(connection).await.map_err(store_error)?, |row| {
        let order = rows::order(row)?;
        loaded.orders.insert((order.member_id, order.id), order);
        Ok(())
    })
}

async fn stock(connection: &mut PgConnection, footprint: &Footprint, loaded: &mut Loaded) -> Done {
    if footprint.stock.is_empty() {
        return Ok(());
    }
    let sql = format!("SELECT {} FROM stock WHERE reward_id = ANY($1)", rows::STOCK_COLUMNS);
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&footprint.stock);
    each(query.fetch_all(connection).await.map_err(store_error)?, |row| {
        let (reward, level) = rows::stock(row)?;
        loaded.stock.insert(reward, level);
        Ok(())
    })
}

async fn budgets(connection: &mut PgConnection, footprint: &Footprint, loaded: &mut Loaded) -> Done {
    if footprint.budgets.is_empty() {
        return Ok(());
    }
    let columns = rows::BUDGET_COLUMNS.split(", ").map(|column| format!("b.{column}")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT {columns} FROM unnest($1::text[], $2::text[], $3::bigint[]) AS k (name, period, ends_at)
         JOIN budget b ON b.name = k.name AND b.period = k.period AND b.ends_at = k.ends_at"
    );
    let keys = || footprint.budgets.iter();
    let query = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(keys().map(|key| key.name.as_str()).collect::<Vec<_>>())
        .bind(keys().map(|key| key.window.name()).collect::<Vec<_>>())
        .bind(keys().map(|key| key.ends_at.as_millis()).collect::<Vec<_>>());
    each(query.fetch_all(connection).await.map_err(store_error)?, |row| {
        let (key, tally) = rows::budget(row)?;
        loaded.budgets.insert(key, tally);
        Ok(())
    })
}

async fn references(connection: &mut PgConnection, footprint: &Footprint, loaded: &mut Loaded) -> Done {
    if footprint.references.is_empty() {
        return Ok(());
    }
    let (kinds, digests): (Vec<i64>, Vec<Vec<u8>>) =
        footprint.references.iter().map(|reference| (reference.kind as i64, reference.digest.to_vec())).unzip();
    let sql = "SELECT CAST(k.position AS BIGINT), r.member_id
               FROM unnest($1::bigint[], $2::bytea[]) WITH ORDINALITY AS k (kind, digest, position)
               JOIN member_ref r ON r.kind = k.kind AND r.digest = k.digest";
    let rows = sqlx::query(sql).bind(kinds).bind(digests).fetch_all(connection).await.map_err(store_error)?;
    each(rows, |row| {
        let position = usize::try_from(row.int(0)? - 1).map_err(|error| error.to_string())?;
        if let Some(reference) = footprint.references.get(position) {
            loaded.references.insert(reference.clone(), MemberId(row.int(1)?));
        }
        Ok(())
    })
}

async fn profiles(connection: &mut PgConnection, footprint: &Footprint, loaded: &mut Loaded) -> Done {
    if footprint.profiles.is_empty() {
        return Ok(());
    }
    let members: Vec<i64> = footprint.profiles.iter().map(|member| member.0).collect();
    let sql = "SELECT member_id, profile FROM member WHERE member_id = ANY($1) AND profile IS NOT NULL";
    let rows = sqlx::query(sql).bind(members).fetch_all(connection).await.map_err(store_error)?;
    each(rows, |row| {
        loaded.profiles.insert(MemberId(row.int(0)?), profile_version(&row.bytes(1)?));
        Ok(())
    })
}
