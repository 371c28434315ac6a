//! The changes of a batch, written set-based in one transaction: one statement a table, whatever the number of rows.

use guerdon_core::earning::BudgetChange;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{AccountChange, Changes};
use guerdon_core::time::Timestamp;
use rustc_hash::FxHashSet;
use sqlx::postgres::{PgArguments, PgConnection, Postgres};
use sqlx::query::Query;
use sqlx::{Connection, Row};

use super::{feed, log, members, store_error};
use crate::StoreError;
use crate::log::{Leaf, leaves};

type Done = Result<(), StoreError>;

/// Writes all changes or none. Accounts come first, under the versions that were read: when another node was faster
/// nothing else is tried. Stock, the rows that every node wants, comes last and in the order of the rewards.
pub(super) async fn commit(connection: &mut PgConnection, changes: &Changes) -> Done {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    if !accounts(&mut transaction, changes).await?.is_empty() {
        return Err(StoreError::Conflict);
    }
    rest(&mut transaction, changes).await?;
    transaction.commit().await.map_err(store_error)
}

/// Writes all changes but those of members whose accounts another node has changed since. Returns those members.
pub(super) async fn commit_what_fits(
    connection: &mut PgConnection,
    mut changes: Changes,
) -> Result<Vec<MemberId>, StoreError> {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    let stale = accounts(&mut transaction, &changes).await?;
    if !stale.is_empty() {
        changes.leave_out(&stale);
        if changes.decisions.is_empty() {
            return Err(StoreError::Conflict);
        }
    }
    rest(&mut transaction, &changes).await?;
    transaction.commit().await.map_err(store_error)?;
    Ok(stale.into_iter().collect())
}

/// Everything but the accounts.
async fn rest(connection: &mut PgConnection, changes: &Changes) -> Done {
    let leaves = leaves(changes);
    transactions(&mut *connection, changes, &leaves).await?;
    transfers(&mut *connection, changes).await?;
    activities(&mut *connection, changes).await?;
    members::write(&mut *connection, changes).await?;
    orders(&mut *connection, changes).await?;
    feed::write(&mut *connection, changes).await?;
    log::write_outbox(&mut *connection, &leaves).await?;
    stock(&mut *connection, changes).await?;
    budgets(&mut *connection, changes).await
}

/// Runs a statement that must touch `rows` rows; fewer mean that another node was faster.
pub(super) async fn run(connection: &mut PgConnection, query: Query<'_, Postgres, PgArguments>, rows: usize) -> Done {
    let touched = query.execute(connection).await.map_err(store_error)?.rows_affected();
    if touched == rows as u64 { Ok(()) } else { Err(StoreError::Conflict) }
}

/// Writes the accounts that are as they were read. Returns the members whose accounts are not.
async fn accounts(connection: &mut PgConnection, changes: &Changes) -> Result<FxHashSet<MemberId>, StoreError> {
    let mut stale = FxHashSet::default();
    let (new, changed): (Vec<&AccountChange>, Vec<&AccountChange>) =
        changes.accounts.iter().partition(|change| change.read_version.is_none());
    if !changed.is_empty() {
        let sql = "UPDATE account a SET version = u.version, available = u.available,
                       last_activity_at = u.last_activity_at, next_due_at = u.next_due_at, state = u.state
                   FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[],
                       $7::bigint[])
                       AS u (member_id, version, available, last_activity_at, next_due_at, state, read_version)
                   WHERE a.member_id = u.member_id AND a.version = u.read_version
                   RETURNING a.member_id";
        let versions: Vec<Option<i64>> = changed.iter().map(|change| change.read_version).collect();
        let query = bind_accounts(sqlx::query(sql), &changed).bind(versions);
        let written = query.fetch_all(&mut *connection).await.map_err(store_error)?;
        if written.len() < changed.len() {
            stale.extend(changed.iter().map(|change| change.member_id));
            for row in &written {
                stale.remove(&MemberId(row.try_get(0).map_err(store_error)?));
            }
        }
    }
    if !new.is_empty() {
        let sql = "INSERT INTO account (member_id, version, available, last_activity_at, next_due_at, state)
                   SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                       $6::bytea[])";
        run(connection, bind_accounts(sqlx::query(sql), &new), new.len()).await?;
    }
    Ok(stale)
}

fn bind_accounts<'q>(
    query: Query<'q, Postgres, PgArguments>,
    changes: &[&AccountChange],
) -> Query<'q, Postgres, PgArguments> {
    query
        .bind(changes.iter().map(|change| change.member_id.0).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.account.version).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.account.available()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.account.last_activity_at.as_millis()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.account.next_due_at().map(Timestamp::as_millis)).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.account.encode()).collect::<Vec<_>>())
}

async fn transactions(connection: &mut PgConnection, changes: &Changes, leaves: &[Leaf]) -> Done {
    let sql = "INSERT INTO txn (txn_id, member_id, kind, at, day, idempotency_key, request_digest, channel, reference,
                   receipt, leaf_hash)
               SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[],
                   $7::bytea[], $8::text[], $9::text[], $10::text[], $11::bytea[])";
    let all: Vec<_> = changes.decisions.iter().map(|decision| &decision.transaction).collect();
    let query = sqlx::query(sql)
        .bind(all.iter().map(|one| one.id.0).collect::<Vec<_>>())
        .bind(all.iter().map(|one| one.member_id.0).collect::<Vec<_>>())
        .bind(all.iter().map(|one| one.kind as i64).collect::<Vec<_>>())
        .bind(all.iter().map(|one| one.at.as_millis()).collect::<Vec<_>>())
        .bind(all.iter().map(|one| i64::from(one.day.0)).collect::<Vec<_>>())
        .bind(all.iter().map(|one| one.idempotency_key.as_str()).collect::<Vec<_>>())
        .bind(all.iter().map(|one| one.request_digest.as_slice()).collect::<Vec<_>>())
        .bind(all.iter().map(|one| one.channel.as_str()).collect::<Vec<_>>())
        .bind(all.iter().map(|one| one.reference.as_deref()).collect::<Vec<_>>())
        .bind(all.iter().map(|one| one.receipt.as_str()).collect::<Vec<_>>())
        .bind(leaves.iter().map(|leaf| leaf.hash.as_slice()).collect::<Vec<_>>());
    run(connection, query, all.len()).await
}

async fn transfers(connection: &mut PgConnection, changes: &Changes) -> Done {
    let all: Vec<_> = changes
        .decisions
        .iter()
        .map(|decision| &decision.transaction)
        .flat_map(|owner| owner.transfers.iter().enumerate().map(move |(position, one)| (owner, position, one)))
        .collect();
    if all.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO transfer (txn_id, position, member_id, day, debit, credit, currency, amount, lot_expires_at,
                   lot_funding, lot_active_at, rule, rule_version)
               SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                   $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[],
                   $13::bigint[])";
    let query = sqlx::query(sql)
        .bind(all.iter().map(|(owner, _, _)| owner.id.0).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, position, _)| *position as i64).collect::<Vec<_>>())
        .bind(all.iter().map(|(owner, _, _)| owner.member_id.0).collect::<Vec<_>>())
        .bind(all.iter().map(|(owner, _, _)| i64::from(owner.day.0)).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, _, one)| one.debit as i64).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, _, one)| one.credit as i64).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, _, one)| i64::from(one.currency.0)).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, _, one)| one.amount).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, _, one)| one.lot.expires_at.as_millis()).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, _, one)| i64::from(one.lot.funding.0)).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, _, one)| one.lot.active_at.as_millis()).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, _, one)| one.rule.as_ref().map(|(rule, _)| &**rule)).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, _, one)| one.rule.as_ref().map(|(_, version)| *version)).collect::<Vec<_>>());
    run(connection, query, all.len()).await
}

async fn activities(connection: &mut PgConnection, changes: &Changes) -> Done {
    let all: Vec<_> = changes
        .decisions
        .iter()
        .filter_map(|decision| decision.activity.as_ref().map(|activity| (&decision.transaction, activity)))
        .collect();
    if all.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO activity (activity_id, member_id, txn_id, kind, at, body)
               SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::text[])";
    let query = sqlx::query(sql)
        .bind(all.iter().map(|(_, (id, _, _))| id.0).collect::<Vec<_>>())
        .bind(all.iter().map(|(owner, _)| owner.member_id.0).collect::<Vec<_>>())
        .bind(all.iter().map(|(owner, _)| owner.id.0).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, (_, kind, _))| kind.as_str()).collect::<Vec<_>>())
        .bind(all.iter().map(|(owner, _)| owner.at.as_millis()).collect::<Vec<_>>())
        .bind(all.iter().map(|(_, (_, _, body))| body.as_str()).collect::<Vec<_>>());
    run(connection, query, all.len()).await
}

async fn orders(connection: &mut PgConnection, changes: &Changes) -> Done {
    let (new, changed): (Vec<_>, Vec<_>) = changes.orders.iter().partition(|(_, is_new)| *is_new);
    if !new.is_empty() {
        let all: Vec<_> = new.iter().map(|(order, _)| order).collect();
        let sql = "INSERT INTO orders (order_id, member_id, reward_id, quantity, points, currency, state, holds,
                       created_at, updated_at, due_at, details, good_until)
                   SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[],
                       $6::bigint[], $7::bigint[], $8::bytea[], $9::bigint[], $10::bigint[], $11::bigint[],
                       $12::bytea[], $13::bigint[])";
        let query = sqlx::query(sql)
            .bind(all.iter().map(|one| one.id.0).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.member_id.0).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.reward_id.as_str()).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.quantity).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.points).collect::<Vec<_>>())
            .bind(all.iter().map(|one| i64::from(one.currency.0)).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.state as i64).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.encode_holds()).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.created_at.as_millis()).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.updated_at.as_millis()).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.due_at.map(Timestamp::as_millis)).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.details.encode()).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.good_until().map(Timestamp::as_millis)).collect::<Vec<_>>());
        run(connection, query, all.len()).await?;
    }
    if !changed.is_empty() {
        let all: Vec<_> = changed.iter().map(|(order, _)| order).collect();
        let sql = "UPDATE orders o
                   SET state = u.state, updated_at = u.updated_at, due_at = u.due_at, details = u.details,
                       good_until = u.good_until
                   FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[],
                       $7::bigint[]) AS u (member_id, order_id, state, updated_at, due_at, details, good_until)
                   WHERE o.member_id = u.member_id AND o.order_id = u.order_id";
        let query = sqlx::query(sql)
            .bind(all.iter().map(|one| one.member_id.0).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.id.0).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.state as i64).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.updated_at.as_millis()).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.due_at.map(Timestamp::as_millis)).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.details.encode()).collect::<Vec<_>>())
            .bind(all.iter().map(|one| one.good_until().map(Timestamp::as_millis)).collect::<Vec<_>>());
        run(connection, query, all.len()).await?;
    }
    Ok(())
}

/// Adds to shared counters, in order, as long as they stay within their limits: another node may have added meanwhile.
async fn budgets(connection: &mut PgConnection, changes: &Changes) -> Done {
    if changes.budgets.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = changes.budgets.keys().map(|key| key.name.as_str()).collect();
    let periods: Vec<&str> = changes.budgets.keys().map(|key| key.window.name()).collect();
    let ends: Vec<i64> = changes.budgets.keys().map(|key| key.ends_at.as_millis()).collect();
    let values = |of: fn(&BudgetChange) -> i64| changes.budgets.values().map(of).collect::<Vec<i64>>();
    let insert = "INSERT INTO budget (name, period, ends_at, count, points)
                  SELECT u.name, u.period, u.ends_at, 0, 0
                  FROM unnest($1::text[], $2::text[], $3::bigint[]) AS u (name, period, ends_at)
                  ON CONFLICT DO NOTHING";
    let query = sqlx::query(insert).bind(names.clone()).bind(periods.clone()).bind(ends.clone());
    query.execute(&mut *connection).await.map_err(store_error)?;
    let update = "UPDATE budget b SET count = b.count + u.count, points = b.points + u.points
                  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                      $7::bigint[]) AS u (name, period, ends_at, count, points, most_count, most_points)
                  WHERE b.name = u.name AND b.period = u.period AND b.ends_at = u.ends_at
                      AND b.count <= u.most_count - u.count AND b.points <= u.most_points - u.points";
    let query = sqlx::query(update)
        .bind(names)
        .bind(periods)
        .bind(ends)
        .bind(values(|change| change.added.count))
        .bind(values(|change| change.added.sum))
        .bind(values(|change| change.at_most.count))
        .bind(values(|change| change.at_most.sum));
    run(connection, query, changes.budgets.len()).await
}

async fn stock(connection: &mut PgConnection, changes: &Changes) -> Done {
    if changes.stock.is_empty() {
        return Ok(());
    }
    if !changes.opened.is_empty() {
        let sql = "INSERT INTO stock (reward_id, initial, restocked, issued, on_hand, reserved)
                   SELECT u.key, u.units, 0, 0, u.units, 0 FROM unnest($1::text[], $2::bigint[]) AS u (key, units)
                   ON CONFLICT DO NOTHING";
        let (keys, units) = (changes.opened.keys(), changes.opened.values().copied());
        let query = sqlx::query(sql).bind(keys.map(String::as_str).collect::<Vec<_>>()).bind(units.collect::<Vec<_>>());
        query.execute(&mut *connection).await.map_err(store_error)?;
    }
    let sql = "UPDATE stock s SET issued = s.issued + u.issued, on_hand = s.on_hand - u.issued,
                   reserved = s.reserved + u.reserved
               FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS u (reward_id, issued, reserved)
               WHERE s.reward_id = u.reward_id AND s.reserved + u.reserved >= 0
                   AND s.reserved + u.reserved <= s.on_hand - u.issued";
    let query = sqlx::query(sql)
        .bind(changes.stock.keys().map(String::as_str).collect::<Vec<_>>())
        .bind(changes.stock.values().map(|change| change.issued).collect::<Vec<_>>())
        .bind(changes.stock.values().map(|change| change.reserved).collect::<Vec<_>>());
    run(connection, query, changes.stock.len()).await
}
