//! Rows of every engine as the kernel's types: one decoder for SQLite, PostgreSQL and the readers.

use guerdon_core::audit::AuditEntry;
use guerdon_core::earning::{BudgetKey, Tally, Window};
use guerdon_core::id::{MemberId, OrderId, TransactionId};
use guerdon_core::ledger::{CurrencyId, FundingId, LedgerAccount, LotKey, Transaction, TransactionKind, Transfer};
use guerdon_core::program::Document;
use guerdon_core::redemption::{Order, OrderDetails, OrderState};
use guerdon_core::rewards::StockLevel;
use guerdon_core::time::{Day, Timestamp};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use sqlx::postgres::PgRow;

use crate::Record;

/// A value, or why the stored one is none that a version of ours has written.
pub(crate) type Cell<T> = Result<T, String>;

/// The columns of a row by position, whatever the engine.
pub(crate) trait Cells {
    fn int(&self, column: usize) -> Cell<i64>;
    fn text(&self, column: usize) -> Cell<String>;
    fn bytes(&self, column: usize) -> Cell<Vec<u8>>;
    fn maybe_int(&self, column: usize) -> Cell<Option<i64>>;
    fn maybe_text(&self, column: usize) -> Cell<Option<String>>;

    fn millis(&self, column: usize) -> Cell<Timestamp> {
        self.int(column).map(Timestamp::from_millis)
    }

    fn small(&self, column: usize) -> Cell<u16> {
        let value = self.int(column)?;
        u16::try_from(value).map_err(|_| format!("column {column} holds {value}, which is out of range"))
    }

    fn code<T>(&self, column: usize, decode: impl Fn(i64) -> Option<T>) -> Cell<T> {
        let value = self.int(column)?;
        decode(value).ok_or_else(|| format!("column {column} holds the unknown code {value}"))
    }

    fn digest(&self, column: usize) -> Cell<[u8; 32]> {
        let bytes = self.bytes(column)?;
        bytes.try_into().map_err(|_| format!("column {column} holds no digest of 32 bytes"))
    }
}

macro_rules! cells {
    ($row:ty, $get:ident) => {
        impl Cells for $row {
            fn int(&self, column: usize) -> Cell<i64> {
                self.$get(column).map_err(|error| error.to_string())
            }
            fn text(&self, column: usize) -> Cell<String> {
                self.$get(column).map_err(|error| error.to_string())
            }
            fn bytes(&self, column: usize) -> Cell<Vec<u8>> {
                self.$get(column).map_err(|error| error.to_string())
            }
            fn maybe_int(&self, column: usize) -> Cell<Option<i64>> {
                self.$get(column).map_err(|error| error.to_string())
            }
            fn maybe_text(&self, column: usize) -> Cell<Option<String>> {
                self.$get(column).map_err(|error| error.to_string())
            }
        }
    };
}

cells!(rusqlite::Row<'_>, get);
cells!(AnyRow, try_get);
cells!(PgRow, try_get);

pub(crate) const ORDER_COLUMNS: &str =
    "order_id, member_id, reward_id, quantity, points, currency, state, holds, created_at, updated_at, due_at, details";

pub(crate) fn order(row: &impl Cells) -> Cell<Order> {
    Ok(Order {
        id: OrderId(row.int(0)?),
        member_id: MemberId(row.int(1)?),
        reward_id: row.text(2)?,
        quantity: row.int(3)?,
        points: row.int(4)?,
        currency: CurrencyId(row.small(5)?),
        state: row.code(6, OrderState::from_code)?,
        holds: Order::decode_holds(&row.bytes(7)?)?,
        created_at: row.millis(8)?,
        updated_at: row.millis(9)?,
        due_at: row.maybe_int(10)?.map(Timestamp::from_millis),
        details: OrderDetails::decode(&row.bytes(11)?)?,
    })
}

pub(crate) const BUDGET_COLUMNS: &str = "name, period, ends_at, count, points";

pub(crate) fn budget(row: &impl Cells) -> Cell<(BudgetKey, Tally)> {
    let period = row.text(1)?;
    let window = Window::counted(&period).ok_or_else(|| format!("`{period}` is no window"))?;
    let key = BudgetKey { name: row.text(0)?, window, ends_at: row.millis(2)? };
    Ok((key, Tally { count: row.int(3)?, sum: row.int(4)? }))
}

pub(crate) const STOCK_COLUMNS: &str = "reward_id, initial, restocked, issued, on_hand, reserved";

pub(crate) fn stock(row: &impl Cells) -> Cell<(String, StockLevel)> {
    let level = StockLevel {
        initial: row.int(1)?,
        restocked: row.int(2)?,
        issued: row.int(3)?,
        on_hand: row.int(4)?,
        reserved: row.int(5)?,
    };
    Ok((row.text(0)?, level))
}

pub(crate) const TRANSACTION_COLUMNS: &str = "txn_id, member_id, kind, at, day, idempotency_key, request_digest, \
     channel, reference, receipt, leaf_hash";

/// A transaction without its transfers, and its stored hash.
pub(crate) fn transaction(row: &impl Cells) -> Cell<(Transaction, Vec<u8>)> {
    let transaction = Transaction {
        id: TransactionId(row.int(0)?),
        member_id: MemberId(row.int(1)?),
        kind: row.code(2, TransactionKind::from_code)?,
        at: row.millis(3)?,
        day: day(row, 4)?,
        idempotency_key: row.text(5)?,
        request_digest: row.digest(6)?,
        channel: row.text(7)?,
        reference: row.maybe_text(8)?,
        receipt: row.text(9)?.into(),
        transfers: Vec::new(),
    };
    Ok((transaction, row.bytes(10)?))
}

/// A local day.
pub(crate) fn day(row: &impl Cells, column: usize) -> Cell<Day> {
    let value = row.int(column)?;
    i32::try_from(value).map(Day).map_err(|_| format!("column {column} holds {value}, which is no day"))
}

pub(crate) const TRANSFER_COLUMNS: &str = "txn_id, debit, credit, currency, amount, lot_expires_at, lot_funding, \
     lot_active_at, rule, rule_version";

/// A transfer, and the transaction to which it belongs.
pub(crate) fn transfer(row: &impl Cells) -> Cell<(TransactionId, Transfer)> {
    let transfer = Transfer {
        debit: row.code(1, LedgerAccount::from_code)?,
        credit: row.code(2, LedgerAccount::from_code)?,
        currency: CurrencyId(row.small(3)?),
        amount: row.int(4)?,
        lot: LotKey { expires_at: row.millis(5)?, funding: FundingId(row.small(6)?), active_at: row.millis(7)? },
        rule: row.maybe_text(8)?.map(Into::into).zip(row.maybe_int(9)?),
    };
    Ok((TransactionId(row.int(0)?), transfer))
}

pub(crate) const DOCUMENT_COLUMNS: &str = "kind, id, version, position, effective_from, state, body";

pub(crate) fn document(row: &impl Cells) -> Cell<Document> {
    Ok(Document {
        kind: row.text(0)?,
        id: row.text(1)?,
        version: row.int(2)?,
        position: row.int(3)?,
        effective_from: row.millis(4)?,
        state: row.text(5)?,
        body: row.text(6)?,
    })
}

pub(crate) const RECORD_COLUMNS: &str = "kind, id, version, subject, expires_at, body";

pub(crate) fn record(row: &impl Cells) -> Cell<Record> {
    Ok(Record {
        kind: row.text(0)?,
        id: row.text(1)?,
        version: row.int(2)?,
        subject: row.text(3)?,
        expires_at: row.maybe_int(4)?.map(Timestamp::from_millis),
        body: row.text(5)?,
    })
}

pub(crate) const AUDIT_COLUMNS: &str = "number, id, body, previous, hash";

pub(crate) fn audit_entry(row: &impl Cells) -> Cell<AuditEntry> {
    Ok(AuditEntry {
        number: row.int(0)?,
        id: TransactionId(row.int(1)?),
        body: row.text(2)?,
        previous: row.digest(3)?,
        hash: row.digest(4)?,
    })
}
