//! Backups of a data directory while it is served, and the way back to an earlier moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use guerdon_core::audit::AuditEvent;
use guerdon_core::id::{IdGenerator, MemberId, OrderId, TransactionId, first_id_at};
use guerdon_core::kernel::{Receipt, STOCKROOM};
use guerdon_core::ledger::{Account, TransactionKind};
use guerdon_core::redemption::{Funds, Order, OrderState};
use guerdon_core::rewards::{Reward, StockChange};
use guerdon_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::directory::DataDir;
use super::store::{foreign, last_id, load_transactions};
use super::{budget, merge, record, rewound, store_error};
use crate::engine::system_now;
use crate::restock::RESTOCKED_UNTIL;
use crate::{StoreError, rows};

/// What a return to an earlier moment took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewound {
    /// Transactions that were committed after it.
    pub transactions: usize,
    /// Members who were enrolled after it.
    pub members: usize,
    /// Members whose profiles were changed after it, and stay as they are: what was there before was overwritten.
    pub profiles: i64,
    /// Records of administration that stay as they are in the backup: no journal tells how they were before.
    pub records: i64,
}

impl Rewound {
    /// What the audit log says about it.
    fn event(&self, until: Timestamp) -> AuditEvent {
        let Self { transactions, members, profiles, .. } = self;
        AuditEvent {
            at: system_now(),
            actor: "cli".to_owned(),
            address: String::new(),
            action: "data.rewind".to_owned(),
            subject: format!("until {until}"),
            reason: String::new(),
            before: serde_json::Value::Null,
            after: serde_json::json!({ "transactions_taken_back": transactions, "members_taken_back": members,
                "profiles_left_as_changed": profiles }),
        }
    }
}

/// Writes a consistent copy of the database into a new file, beside a running server or not.
pub fn backup(directory: &Path, to: &Path) -> Result<(), StoreError> {
    let connection = DataDir::connect_read_only(directory)?;
    let to = to.to_str().ok_or_else(|| StoreError::Unusable("the backup's path must be valid text".to_owned()))?;
    connection.execute("VACUUM INTO ?1", [to]).map(drop).map_err(store_error)
}

/// Takes a data directory back to a moment: what was committed from then on is taken away, and every row is rebuilt from
/// the journal that is left. All at once, or nothing.
///
/// Records of administration and the audit log stay whole, and the return is an entry of the log: what people did was
/// done, and its traces cannot be removed by going back.
pub fn rewind(directory: &DataDir, until: Timestamp) -> Result<Rewound, StoreError> {
    let mut connection = directory.connect()?;
    let transaction = connection.transaction().map_err(store_error)?;
    // Before anything is taken away: no id is given again.
    let mut ids = IdGenerator::after(0, last_id(&transaction).map_err(store_error)?);
    let rewound = rewind_rows(&transaction, first_id_at(until), until, &mut ids).map_err(store_error)?;
    record::append(&transaction, &[rewound.event(until)], &mut ids)?;
    restart_log(&transaction).map_err(store_error)?;
    transaction.commit().map_err(store_error)?;
    // The log of writes goes into the file, which then stands for itself.
    connection.pragma_update(None, "journal_mode", "DELETE").map_err(store_error)?;
    Ok(rewound)
}

fn rewind_rows(
    connection: &Connection,
    from: i64,
    until: Timestamp,
    ids: &mut IdGenerator,
) -> rusqlite::Result<Rewound> {
    let reopened = reopen_orders(connection, from, until)?;
    let taken = rewound::taken_from_groups(connection, from)?;
    merge::send_references_back(connection)?;
    let mut touched = connection.prepare("SELECT DISTINCT member_id FROM txn WHERE txn_id >= ?1")?;
    let touched: Vec<i64> = touched.query_map([from], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let profiles = changed_profiles(connection, from)?;
    let planned = first_planned(connection, from)?;
    let transactions = connection.execute("DELETE FROM txn WHERE txn_id >= ?1", [from])?;
    let records_of = [("transfer", "txn_id"), ("activity", "txn_id"), ("orders", "order_id")];
    for (table, column) in records_of.into_iter().chain([("event", "txn_id"), ("feed", "txn_id")]) {
        connection.execute(&format!("DELETE FROM {table} WHERE {column} >= ?1"), [from])?;
    }
    reopened.iter().try_for_each(|order| rewound::ask_again(connection, order, ids))?;
    taken.iter().try_for_each(|order| rewound::tell_taken(connection, order, ids))?;
    connection.execute("DELETE FROM document WHERE effective_from >= ?1", [until.as_millis()])?;
    let mut members = 0;
    for member in touched {
        members += usize::from(!rebuild_account(connection, MemberId(member))?);
    }
    merge::lead_references_on(connection)?;
    recount_stock(connection)?;
    close_stock(connection)?;
    restock_again(connection, planned.map_or(until, |planned| planned.min(until)))?;
    budget::recount(connection)?;
    let records: i64 = connection.query_row("SELECT COUNT(*) FROM record", [], |row| row.get(0))?;
    Ok(Rewound { transactions, members, profiles, records })
}

/// Members who were there before and whose profiles were changed since.
fn changed_profiles(connection: &Connection, from: i64) -> rusqlite::Result<i64> {
    let sql = "SELECT COUNT(DISTINCT member_id) FROM txn WHERE txn_id >= ?1 AND kind = ?2
               AND EXISTS (SELECT 1 FROM txn t WHERE t.member_id = txn.member_id AND t.txn_id < ?1)";
    connection.query_row(sql, [from, TransactionKind::Profile as i64], |row| row.get(0))
}

/// Orders that moved since stand where they stood. Those that keep no history were held if they were captured or released
/// since, and captured if they were refunded: what happened first since decides. Answers them as they stand.
fn reopen_orders(connection: &Connection, from: i64, until: Timestamp) -> rusqlite::Result<Vec<Order>> {
    let sql = "SELECT kind, receipt FROM txn WHERE txn_id >= ?1 AND kind IN (?2, ?3, ?4, ?5) ORDER BY txn_id DESC";
    let mut settled = connection.prepare(sql)?;
    let kinds = [TransactionKind::Capture, TransactionKind::Release, TransactionKind::Refund, TransactionKind::Order];
    let [capture, release, refund, moved] = kinds.map(|kind| kind as i64);
    let receipts = settled.query_map(params![from, capture, release, refund, moved], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    let mut find = connection.prepare(&format!("SELECT {} FROM orders WHERE order_id = ?1", rows::ORDER_COLUMNS))?;
    let sql =
        "UPDATE orders SET state = ?2, updated_at = ?3, due_at = ?4, details = ?5, good_until = ?6 WHERE order_id = ?1";
    let mut reopen = connection.prepare(sql)?;
    let mut reopened = BTreeMap::new();
    for settled in receipts {
        let (kind, receipt) = settled?;
        let state = if kind == refund { OrderState::Completed } else { OrderState::Placed };
        let receipt: Receipt = serde_json::from_str(&receipt).map_err(|error| foreign(error.to_string()))?;
        let order: OrderId =
            receipt.order.map(|order| order.id).ok_or_else(|| foreign("a receipt without its order".to_owned()))?;
        // One that was made since is taken away with the entry that made it.
        let Some(mut order) = find.query_row([order.0], |row| rows::order(row).map_err(foreign)).optional()? else {
            continue;
        };
        if !order.rewind(TransactionId(from), until) {
            (order.state, order.updated_at, order.due_at) = (state, order.created_at, None);
        }
        let (id, state, updated_at) = (order.id.0, order.state as i64, order.updated_at.as_millis());
        let due_at = order.due_at.map(Timestamp::as_millis);
        let good_until = order.good_until().map(Timestamp::as_millis);
        reopen.execute(params![id, state, updated_at, due_at, order.details.encode(), good_until])?;
        if id < from {
            reopened.insert(id, order);
        }
    }
    Ok(reopened.into_values().collect())
}

/// Rebuilds an account from what is left of its journal; one without any is taken away. False: it was.
fn rebuild_account(connection: &Connection, member: MemberId) -> rusqlite::Result<bool> {
    let journal = load_transactions(connection, member)?;
    if journal.is_empty() {
        for table in ["account", "member", "member_ref"] {
            connection.execute(&format!("DELETE FROM {table} WHERE member_id = ?1"), [member.0])?;
        }
        return Ok(false);
    }
    let mut account = Account::default();
    journal.iter().try_for_each(|transaction| account.follow(transaction)).map_err(foreign)?;
    connection.execute(
        "UPDATE account SET version = ?2, available = ?3, last_activity_at = ?4, next_due_at = ?5, state = ?6
         WHERE member_id = ?1",
        params![
            member.0,
            account.version,
            account.available(),
            account.last_activity_at.as_millis(),
            account.next_due_at().map(Timestamp::as_millis),
            account.encode(),
        ],
    )?;
    Ok(true)
}

fn recount_stock(connection: &Connection) -> rusqlite::Result<()> {
    let mut units: BTreeMap<String, StockChange> = BTreeMap::new();
    let mut orders = connection.prepare(&format!("SELECT {} FROM orders", rows::ORDER_COLUMNS))?;
    for order in orders.query_map([], |row| rows::order(row).map_err(foreign))? {
        let order = order?;
        let one = match order.state.funds() {
            Funds::Held => StockChange { reserved: 1, ..StockChange::default() },
            Funds::Spent => StockChange { issued: 1, ..StockChange::default() },
            Funds::Returned => continue,
        };
        for (key, taken) in order.stock() {
            let sum = units.entry(key.to_owned()).or_default();
            *sum = sum.plus(one.times(taken));
        }
    }
    let mut journal = connection.prepare("SELECT receipt FROM txn WHERE member_id = ?1 AND kind = ?2")?;
    let kind = TransactionKind::Restock as i64;
    for receipt in journal.query_map([STOCKROOM.0, kind], |row| row.get::<_, String>(0))? {
        let receipt: Receipt = serde_json::from_str(&receipt?).map_err(|error| foreign(error.to_string()))?;
        if let Some(restock) = &receipt.restock {
            let sum = units.entry(restock.key()).or_default();
            *sum = sum.plus(restock.change(receipt.at));
        }
    }
    connection.execute(
        "UPDATE stock SET issued = 0, reserved = 0, restocked = 0, on_hand = initial, restocked_at = NULL",
        [],
    )?;
    let sql =
        "UPDATE stock SET issued = ?2, reserved = ?3, restocked = ?4, on_hand = on_hand + ?4 - ?2, restocked_at = ?5
               WHERE reward_id = ?1";
    let mut write = connection.prepare(sql)?;
    units.into_iter().try_for_each(|(key, change)| {
        let StockChange { reserved, issued, restocked, restocked_at, .. } = change;
        let restocked_at = restocked_at.map(Timestamp::as_millis);
        write.execute(params![key, issued, reserved, restocked, restocked_at]).map(drop)
    })
}

/// Takes away stock that no version opens any more, and of which nothing was ever taken: another version may open it anew, with
/// other numbers.
fn close_stock(connection: &Connection) -> rusqlite::Result<()> {
    let mut opened = BTreeSet::new();
    let mut bodies = connection.prepare("SELECT body FROM document WHERE kind = 'reward'")?;
    for body in bodies.query_map([], |row| row.get::<_, String>(0))? {
        let reward: Reward = serde_json::from_str(&body?).map_err(|error| foreign(error.to_string()))?;
        opened.extend(reward.first_stock().into_iter().map(|(key, _)| key));
    }
    let sql =
        "SELECT reward_id FROM stock WHERE issued = 0 AND reserved = 0 AND restocked = 0 AND restocked_at IS NULL";
    let mut untouched = connection.prepare(sql)?;
    let untouched: Vec<String> = untouched.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut close = connection.prepare("DELETE FROM stock WHERE reward_id = ?1")?;
    untouched.iter().filter(|key| !opened.contains(*key)).try_for_each(|key| close.execute([key]).map(drop))
}

/// Just before the first planned restock that is taken back: it may have come later than it was planned.
fn first_planned(connection: &Connection, from: i64) -> rusqlite::Result<Option<Timestamp>> {
    let sql = "SELECT receipt FROM txn WHERE txn_id >= ?1 AND member_id = ?2";
    let mut taken_back = connection.prepare(sql)?;
    let receipts = taken_back.query_map(params![from, STOCKROOM.0], |row| row.get::<_, String>(0))?;
    let mut first: Option<Timestamp> = None;
    for receipt in receipts {
        let receipt: Receipt = serde_json::from_str(&receipt?).map_err(|error| foreign(error.to_string()))?;
        let planned = receipt.restock.and_then(|restock| restock.planned_at);
        first = [first, planned].into_iter().flatten().min();
    }
    Ok(first.map(|first| first.plus_millis(-1)))
}

/// What came into stock by itself since is to come in again when its moment does.
fn restock_again(connection: &Connection, until: Timestamp) -> rusqlite::Result<()> {
    let sql = "UPDATE meta SET value = CAST(?2 AS TEXT) WHERE key = ?1 AND CAST(value AS INTEGER) > ?2";
    connection.execute(sql, params![RESTOCKED_UNTIL, until.as_millis()]).map(drop)
}

/// The log is made anew from what is left, in the same order: heads that were signed before the moment stay true, and
/// whoever kept a later one learns that the past was cut off.
fn restart_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DELETE FROM log_tile; DELETE FROM log_batch; DELETE FROM outbox;
         UPDATE log_head SET size = 0, checkpoint = '';
         INSERT INTO outbox (batch_id, leaves)
             SELECT txn_id, unhex(printf('%016X%016X', txn_id, member_id) || hex(leaf_hash)) FROM txn
             UNION ALL SELECT id, unhex(printf('%016X%016X', id, 0) || hex(hash)) FROM audit;",
    )
}
