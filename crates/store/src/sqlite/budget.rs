//! Budgets that members share: loaded with a footprint, added to within their limits, and counted anew from the journal.

use guerdon_core::earning::{BudgetChange, BudgetKey, Spent};
use guerdon_core::kernel::{Changes, Footprint, Loaded, Receipt};
use guerdon_core::ledger::Verifier;
use rusqlite::{Connection, OptionalExtension, params};

use super::store::{foreign, read};
use super::store_error;
use crate::{StoreError, rows};

/// Loads what a footprint names.
pub(super) fn load(connection: &Connection, footprint: &Footprint, loaded: &mut Loaded) -> rusqlite::Result<()> {
    let sql = format!("SELECT {} FROM budget WHERE name = ?1 AND period = ?2 AND ends_at = ?3", rows::BUDGET_COLUMNS);
    let mut budgets = connection.prepare_cached(&sql)?;
    for key in &footprint.budgets {
        let place = params![key.name, key.window.name(), key.ends_at.as_millis()];
        if let Some((key, tally)) = budgets.query_row(place, |row| read(rows::budget(row))).optional()? {
            loaded.budgets.insert(key, tally);
        }
    }
    Ok(())
}

/// Adds what a batch takes, or answers that it does not fit any more.
pub(super) fn write(connection: &Connection, changes: &Changes) -> Result<(), StoreError> {
    changes.budgets.iter().try_for_each(|(key, change)| add(connection, key, *change))
}

fn add(connection: &Connection, key: &BudgetKey, change: BudgetChange) -> Result<(), StoreError> {
    let (name, period, ends_at) = (&key.name, key.window.name(), key.ends_at.as_millis());
    let mut insert = connection
        .prepare_cached("INSERT OR IGNORE INTO budget (name, period, ends_at, count, points) VALUES (?1, ?2, ?3, 0, 0)")
        .map_err(store_error)?;
    insert.execute(params![name, period, ends_at]).map_err(store_error)?;
    let mut update = connection
        .prepare_cached(
            "UPDATE budget SET count = count + ?4, points = points + ?5 WHERE name = ?1 AND period = ?2 AND ends_at = ?3
             AND count <= ?6 - ?4 AND points <= ?7 - ?5",
        )
        .map_err(store_error)?;
    let BudgetChange { added, at_most } = change;
    let row = params![name, period, ends_at, added.count, added.sum, at_most.count, at_most.sum];
    match update.execute(row).map_err(store_error)? {
        1 => Ok(()),
        _ => Err(StoreError::Conflict),
    }
}

/// Feeds every row to the verifier.
pub(super) fn audit(connection: &Connection, verifier: &mut Verifier) -> rusqlite::Result<()> {
    let mut budgets = connection.prepare(&format!("SELECT {} FROM budget", rows::BUDGET_COLUMNS))?;
    for found in budgets.query_map([], |row| read(rows::budget(row)))? {
        let (key, tally) = found?;
        verifier.budget(&key, tally);
    }
    Ok(())
}

/// What is left of the journal says what was taken.
pub(super) fn recount(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM budget", [])?;
    let mut taken = connection.prepare("SELECT receipt FROM txn WHERE receipt LIKE '%\"budgets\":%'")?;
    let mut add = connection.prepare(
        "INSERT INTO budget (name, period, ends_at, count, points) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET count = count + excluded.count, points = points + excluded.points",
    )?;
    for receipt in taken.query_map([], |row| row.get::<_, String>(0))? {
        let receipt: Receipt = serde_json::from_str(&receipt?).map_err(|error| foreign(error.to_string()))?;
        for Spent { key, count, points } in receipt.budgets {
            add.execute(params![key.name, key.window.name(), key.ends_at.as_millis(), count, points])?;
        }
    }
    Ok(())
}
