//! Rows of the hot path as the kernel's types.

use guerdon_core::id::{MemberId, OrderId, TransactionId};
use guerdon_core::ledger::{CurrencyId, FundingId, LedgerAccount, LotKey, Transaction, TransactionKind, Transfer};
use guerdon_core::redemption::{Order, OrderState};
use guerdon_core::rewards::StockLevel;
use guerdon_core::time::{Day, Timestamp};
use rusqlite::Row;
use rusqlite::types::Type;

type Result<T> = rusqlite::Result<T>;

/// A stored value that no version of ours has written.
pub(super) fn foreign(column: usize, problem: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, problem.into())
}

fn code<T>(row: &Row<'_>, column: usize, decode: impl Fn(i64) -> Option<T>) -> Result<T> {
    let value: i64 = row.get(column)?;
    decode(value).ok_or_else(|| foreign(column, format!("unknown code {value}")))
}

fn small(row: &Row<'_>, column: usize) -> Result<u16> {
    row.get(column)
}

pub(super) fn millis(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

pub(super) const ORDER_COLUMNS: &str =
    "order_id, member_id, reward_id, quantity, points, currency, state, holds, created_at, updated_at";

pub(super) fn order(row: &Row<'_>) -> Result<Order> {
    let holds: Vec<u8> = row.get(7)?;
    Ok(Order {
        id: OrderId(row.get(0)?),
        member_id: MemberId(row.get(1)?),
        reward_id: row.get(2)?,
        quantity: row.get(3)?,
        points: row.get(4)?,
        currency: CurrencyId(small(row, 5)?),
        state: code(row, 6, OrderState::from_code)?,
        holds: Order::decode_holds(&holds).map_err(|problem| foreign(7, problem))?,
        created_at: millis(row, 8)?,
        updated_at: millis(row, 9)?,
    })
}

pub(super) fn stock(row: &Row<'_>) -> Result<(String, StockLevel)> {
    Ok((
        row.get(0)?,
        StockLevel {
            initial: row.get(1)?,
            restocked: row.get(2)?,
            issued: row.get(3)?,
            on_hand: row.get(4)?,
            reserved: row.get(5)?,
        },
    ))
}

/// A transaction without its transfers, and its stored hash.
pub(super) fn transaction(row: &Row<'_>) -> Result<(Transaction, Vec<u8>)> {
    let transaction = Transaction {
        id: TransactionId(row.get(0)?),
        member_id: MemberId(row.get(1)?),
        kind: code(row, 2, TransactionKind::from_code)?,
        at: millis(row, 3)?,
        day: Day(row.get(4)?),
        idempotency_key: row.get(5)?,
        request_digest: row.get(6)?,
        channel: row.get(7)?,
        reference: row.get(8)?,
        receipt: row.get(9)?,
        transfers: Vec::new(),
    };
    Ok((transaction, row.get(10)?))
}

/// A transfer, and the transaction to which it belongs.
pub(super) fn transfer(row: &Row<'_>) -> Result<(TransactionId, Transfer)> {
    let rule: Option<String> = row.get(8)?;
    let version: Option<i64> = row.get(9)?;
    let transfer = Transfer {
        debit: code(row, 1, LedgerAccount::from_code)?,
        credit: code(row, 2, LedgerAccount::from_code)?,
        currency: CurrencyId(small(row, 3)?),
        amount: row.get(4)?,
        lot: LotKey { expires_at: millis(row, 5)?, funding: FundingId(small(row, 6)?), active_at: millis(row, 7)? },
        rule: rule.zip(version),
    };
    Ok((TransactionId(row.get(0)?), transfer))
}
