//! Feeds every row to the verifier, page by page, from one snapshot: a consistent picture beside running nodes.

use guerdon_core::id::{MemberId, OrderId, TransactionId};
use guerdon_core::ledger::{Account, Transaction, Transfer, Verifier};
use guerdon_core::proofs::PublicKey;
use guerdon_core::time::Timestamp;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::{log, record, store_error};
use crate::StoreError;
use crate::rows::{self, Cells};

/// Rows read at once.
const PAGE: i64 = 10_000;

type Done = Result<(), StoreError>;
/// A transaction's place in the journal: its member and its id.
type Place = (i64, i64);

pub(super) async fn audit(connection: &mut PgConnection, verifier: &mut Verifier, keys: &[PublicKey]) -> Done {
    let mut snapshot = connection.begin().await.map_err(store_error)?;
    let settings = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = 0;
                    SET LOCAL enable_seqscan = on";
    snapshot.execute(sqlx::raw_sql(settings)).await.map_err(store_error)?;
    journal(&mut snapshot, verifier).await?;
    orders(&mut snapshot, verifier).await?;
    accounts(&mut snapshot, verifier).await?;
    stock(&mut snapshot, verifier).await?;
    budgets(&mut snapshot, verifier).await?;
    record::audit(&mut snapshot, verifier).await?;
    log::audit(&mut snapshot, verifier, keys).await?;
    snapshot.rollback().await.map_err(store_error)
}

async fn journal(connection: &mut PgConnection, verifier: &mut Verifier) -> Done {
    let sql = format!(
        "SELECT {} FROM txn WHERE (member_id, txn_id) > ($1, $2) ORDER BY member_id, txn_id LIMIT $3",
        rows::TRANSACTION_COLUMNS
    );
    let mut after: Place = (-1, -1);
    loop {
        let query = sqlx::query(AssertSqlSafe(sql.clone())).bind(after.0).bind(after.1).bind(PAGE);
        let page = query.fetch_all(&mut *connection).await.map_err(store_error)?;
        let last = page.last().map(place).transpose()?;
        let until = if (page.len() as i64) < PAGE { (i64::MAX, i64::MAX) } else { last.unwrap_or(after) };
        let mut transfers = transfers(connection, after, until).await?.into_iter().peekable();
        for row in &page {
            let here = place(row)?;
            let id = TransactionId(here.1);
            let mut own = Vec::new();
            while let Some((owner, transfer)) = transfers.next_if(|(owner, _)| *owner <= here) {
                match transfer {
                    Ok(transfer) if owner == here => own.push(transfer),
                    Ok(_) => orphan(verifier, owner),
                    Err(problem) => verifier.unreadable(format!("transaction {id}"), format!("a transfer: {problem}")),
                }
            }
            match rows::transaction(row) {
                Ok((transaction, hash)) => verifier.transaction(&Transaction { transfers: own, ..transaction }, &hash),
                Err(problem) => verifier.unreadable(format!("transaction {id}"), problem),
            }
        }
        transfers.for_each(|(owner, _)| orphan(verifier, owner));
        if until.0 == i64::MAX {
            return Ok(());
        }
        after = until;
    }
}

fn place(row: &PgRow) -> Result<Place, StoreError> {
    Ok((row.int(1).map_err(StoreError::Unusable)?, row.int(0).map_err(StoreError::Unusable)?))
}

fn orphan(verifier: &mut Verifier, owner: Place) {
    let problem = "is not in the journal, but has transfers there".to_owned();
    verifier.unreadable(format!("transaction {}", TransactionId(owner.1)), problem);
}

/// The transfers of the transactions after one place and up to another, each with its owner's place.
async fn transfers(
    connection: &mut PgConnection,
    after: Place,
    until: Place,
) -> Result<Vec<(Place, Result<Transfer, String>)>, StoreError> {
    let sql = format!(
        "SELECT {}, member_id FROM transfer WHERE (member_id, txn_id) > ($1, $2) AND (member_id, txn_id) <= ($3, $4)
         ORDER BY member_id, txn_id, position",
        rows::TRANSFER_COLUMNS
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(after.0).bind(after.1).bind(until.0).bind(until.1);
    let found = query.fetch_all(connection).await.map_err(store_error)?;
    found
        .iter()
        .map(|row| {
            let owner = row.int(10).and_then(|member| Ok((member, row.int(0)?))).map_err(StoreError::Unusable)?;
            Ok((owner, rows::transfer(row).map(|(_, transfer)| transfer)))
        })
        .collect()
}

/// Reads a table in pages by its key and gives each row to `take`.
async fn pages(connection: &mut PgConnection, columns: &str, rest: &str, mut take: impl FnMut(&PgRow)) -> Done {
    let mut after: Place = (-1, -1);
    let sql = format!("SELECT {columns} FROM {rest}");
    loop {
        let query = sqlx::query(AssertSqlSafe(sql.clone())).bind(after.0).bind(after.1).bind(PAGE);
        let page = query.fetch_all(&mut *connection).await.map_err(store_error)?;
        page.iter().for_each(&mut take);
        let Some(last) = page.last().filter(|_| page.len() as i64 == PAGE) else { return Ok(()) };
        after = place(last)?;
    }
}

async fn orders(connection: &mut PgConnection, verifier: &mut Verifier) -> Done {
    let rest = "orders WHERE (member_id, order_id) > ($1, $2) ORDER BY member_id, order_id LIMIT $3";
    pages(connection, rows::ORDER_COLUMNS, rest, |row| match rows::order(row) {
        Ok(order) => verifier.order(&order),
        Err(problem) => {
            verifier.unreadable(format!("order {}", OrderId(row.int(0).unwrap_or_default())), problem);
        }
    })
    .await
}

async fn accounts(connection: &mut PgConnection, verifier: &mut Verifier) -> Done {
    let columns = "version, member_id, state, available, next_due_at";
    let rest = "account WHERE member_id > $1 AND CAST($2 AS BIGINT) IS NOT NULL ORDER BY member_id LIMIT $3";
    pages(connection, columns, rest, |row| {
        let member = MemberId(row.int(1).unwrap_or_default());
        let read = || {
            let account = Account::decode(row.int(0)?, &row.bytes(2)?)?;
            Ok::<_, String>((account, row.int(3)?, row.maybe_int(4)?))
        };
        match read() {
            Ok((account, available, due_at)) => {
                verifier.account(member, &account, available, due_at.map(Timestamp::from_millis));
            }
            Err(problem) => verifier.unreadable(format!("account {member}"), problem),
        }
    })
    .await
}

async fn budgets(connection: &mut PgConnection, verifier: &mut Verifier) -> Done {
    let sql = format!("SELECT {} FROM budget", rows::BUDGET_COLUMNS);
    let found = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(store_error)?;
    for row in &found {
        match rows::budget(row) {
            Ok((key, tally)) => verifier.budget(&key, tally),
            Err(problem) => verifier.unreadable("budget".to_owned(), problem),
        }
    }
    Ok(())
}

async fn stock(connection: &mut PgConnection, verifier: &mut Verifier) -> Done {
    let sql = format!("SELECT {} FROM stock ORDER BY reward_id", rows::STOCK_COLUMNS);
    let found = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await.map_err(store_error)?;
    for row in &found {
        match rows::stock(row) {
            Ok((reward, level)) => verifier.stock(&reward, &level),
            Err(problem) => verifier.unreadable("stock".to_owned(), problem),
        }
    }
    Ok(())
}
