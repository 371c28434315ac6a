//! What suppliers were asked for of orders that were given back since: cancelled where they know how to, else told to people.
//!
//! An order of which something may have to be undone is written down before anybody is asked, and struck out once it has come
//! to its end. So it does not matter who gives it back: the program, people or the clock.

use guerdon_core::id::OrderId;
use guerdon_core::redemption::{Funds, Order};
use guerdon_store::{CommandError, Record, RecordChange, RecordQuery};
use serde::{Deserialize, Serialize};

use super::handing::Item;
use super::supplier::{cancels, undo};
use crate::AppState;
use crate::problem::Problem;

/// The kind of the records; the id is the order's.
const ASKED_FOR: &str = "asked_for";
/// How long one is kept that nobody comes back to, in milliseconds (400 days), as deliveries are.
const KEPT_MS: i64 = 400 * 86_400_000;
/// Orders that are looked at in one round.
const SLICE: i64 = 200;

/// An order of which suppliers were asked for something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AskedFor {}

/// Writes an order down of which suppliers are about to be asked for something that may have to be undone: a part of a bundle,
/// or anything that its supplier can cancel.
pub(super) async fn watch(state: &AppState, items: &[Item<'_>]) -> Result<(), Problem> {
    let Some(order) = items.first().map(|item| item.order.id.to_string()) else { return Ok(()) };
    let mut needed = false;
    for item in items {
        let Some(supplier) = item.supplier() else { continue };
        needed = needed || item.handing.is_part || cancels(state, supplier).await?;
    }
    if !needed || state.reader.record(ASKED_FOR, &order, state.clock()).await?.is_some() {
        return Ok(());
    }
    let record = Record::new(ASKED_FOR, &order, "", &AskedFor {})?.until(state.clock().plus_millis(KEPT_MS));
    match state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await {
        // Another node is at the same order.
        Ok(()) | Err(CommandError::Conflict) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Undoes what was asked for of an order that was given back, and strikes an order out that has come to its end.
pub(super) async fn follow(state: &AppState, order: &Order) -> Result<(), Problem> {
    let Some(record) = state.reader.record(ASKED_FOR, &order.id.to_string(), state.clock()).await? else {
        return Ok(());
    };
    settle(state, order, record).await
}

async fn settle(state: &AppState, order: &Order, record: Record) -> Result<(), Problem> {
    let was_spent = order.details.history.iter().any(|step| step.state.funds() == Funds::Spent);
    match order.state.funds() {
        Funds::Held => return Ok(()),
        // What was handed over and refunded since stays with its member.
        Funds::Returned if !was_spent => {
            let program = state.program();
            let mut done = true;
            for item in Item::all(&program, order) {
                let Some(supplier) = item.supplier() else { continue };
                done = undo::undo(state, supplier, item).await? && done;
            }
            if !done {
                return Ok(());
            }
        }
        Funds::Spent | Funds::Returned => {}
    }
    match state.engine.write_records(vec![RecordChange::Delete(record)], Vec::new()).await {
        Ok(()) | Err(CommandError::Conflict) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Looks at the next orders that are written down. Answers where the next round begins.
pub(super) async fn round(state: &AppState, after: Option<String>) -> Result<Option<String>, Problem> {
    let query = RecordQuery { kind: ASKED_FOR.to_owned(), after, limit: SLICE, ..RecordQuery::default() };
    let records = state.reader.records(&query, state.clock()).await?;
    let next = records.last().filter(|_| records.len() as i64 == SLICE).map(|record| record.id.clone());
    for record in records {
        let order = match record.id.parse::<OrderId>() {
            Ok(id) => state.reader.order(id).await?,
            Err(_) => None,
        };
        // What a restored database does not know may have been delivered all the same: reconciliation tells.
        if let Some(order) = order {
            settle(state, &order, record).await?;
        }
    }
    Ok(next)
}
