//! What suppliers were asked for of orders that were given back since: cancelled where they know how to, else told to people.
//!
//! An order is written down before any supplier is asked for it, and struck out once it has come to its end. So it does not matter
//! who gives it back: the program, people or the clock.

use guerdon_core::fulfilment::{Aftermath, Delivery, Item, Stage, Undoing, UndoingTurn, Untold};
use guerdon_core::redemption::Order;
use guerdon_store::{Record, RecordChange};
use serde::{Deserialize, Serialize};

use crate::breaker;
use crate::differences::note;
use crate::effects::{Effects, Writing};
use crate::records::{ASKED_FOR, KEPT_MS, delivery, write_delivery};

/// An order of which suppliers were asked for something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AskedFor {}

/// Writes an order down of which suppliers are about to be asked for something.
pub(crate) async fn watch<E: Effects>(effects: &E, items: &[Item<'_>]) -> Result<(), E::Error> {
    let mut theirs = items.iter().filter(|item| item.supplier().is_some());
    let Some(order) = theirs.next().map(|item| item.order.id.to_string()) else { return Ok(()) };
    if effects.record(ASKED_FOR, &order).await?.is_some() {
        return Ok(());
    }
    let record = Record::new(ASKED_FOR, &order, "", &AskedFor {})?.until(effects.clock().plus_millis(KEPT_MS));
    // Where it is there by now, another node is at the same order.
    effects.write(Writing::Watch, RecordChange::Put(record)).await.map(drop)
}

/// Undoes what was asked for of an order that was given back, and strikes an order out that has come to its end.
pub async fn follow<E: Effects>(effects: &E, order: &Order) -> Result<(), E::Error> {
    match effects.record(ASKED_FOR, &order.id.to_string()).await? {
        Some(record) => follow_watched(effects, order, record).await,
        None => Ok(()),
    }
}

/// The same of an order that is written down in `record`.
pub async fn follow_watched<E: Effects>(effects: &E, order: &Order, record: Record) -> Result<(), E::Error> {
    match Aftermath::of(order) {
        Aftermath::Open => return Ok(()),
        Aftermath::Undo => {
            let program = effects.program();
            let mut done = true;
            for item in Item::all(&program, order) {
                let Some(supplier) = item.supplier() else { continue };
                done = undo(effects, supplier, item).await? && done;
            }
            if !done {
                return Ok(());
            }
        }
        Aftermath::Over => {}
    }
    effects.write(Writing::StrikeOut, RecordChange::Delete(record)).await.map(drop)
}

/// Undoes what was asked for. False: not yet, it is looked at again.
async fn undo<E: Effects>(effects: &E, name: &str, item: Item<'_>) -> Result<bool, E::Error> {
    let key = item.key();
    let Some((mut record, mut known)) = delivery(effects, &key).await? else { return Ok(true) };
    let supplier = effects.supplier(name).await?;
    loop {
        match known.undoing_turn(supplier.as_ref().map(AsRef::as_ref), item.handing.is_part, effects.clock()) {
            UndoingTurn::Over => return Ok(true),
            UndoingTurn::Wait => return Ok(false),
            UndoingTurn::End(untold) => return end(effects, name, item, (record, known), untold_words(untold)).await,
            UndoingTurn::Begin => {
                known.begin_cancelling(effects.clock());
                let written = write_delivery(effects, Writing::Unwanted, &key, (Some(record), &known)).await?;
                let Some(written) = written else { return Ok(false) };
                record = written;
            }
            UndoingTurn::Tell => break,
        }
    }
    let Some(supplier) = supplier else { return Ok(false) };
    let terms = *supplier.as_ref();
    if !breaker::let_through(effects, name, terms.timeout_ms).await? {
        return Ok(false);
    }
    // Written before it is told: of two nodes one tells it.
    known.count_cancelling(&terms, effects.clock(), effects.chance());
    let Some(record) = write_delivery(effects, Writing::Telling, &key, (Some(record), &known)).await? else {
        return Ok(false);
    };
    match effects.cancel(name, &supplier, &key).await? {
        Undoing::Cancelled => {
            breaker::note(effects, name, None).await?;
            known.end(Stage::Cancelled, effects.clock());
            end(effects, name, item, (record, known), None).await
        }
        Undoing::Refused(words) => {
            breaker::note(effects, name, None).await?;
            let words = if words.is_empty() { "it will not cancel it" } else { &words };
            end(effects, name, item, (record, known), Some((TO_BE_CANCELLED, words))).await
        }
        Undoing::Failed(words) => {
            breaker::note(effects, name, Some(&words)).await?;
            known.put_off_cancelling(&terms, effects.clock(), effects.chance());
            write_delivery(effects, Writing::TellLater, &key, (Some(record), &known)).await?;
            Ok(false)
        }
    }
}

/// What people are to do about what was not cancelled.
const TO_BE_CANCELLED: &str = "to_be_cancelled";

fn untold_words(untold: Option<Untold>) -> Option<(&'static str, &'static str)> {
    Some(match untold? {
        Untold::KnowsNone => (TO_BE_CANCELLED, "it knows of no cancelling"),
        Untold::KeptNoLonger => (TO_BE_CANCELLED, "it is kept no longer"),
        Untold::NotReached => (TO_BE_CANCELLED, "it could not be told"),
        Untold::DeliveredAfterReturn => ("delivered_after_return", "it was delivered while the points were given back"),
    })
}

/// Writes that it is over; `people`: what they are told, and in which words.
async fn end<E: Effects>(
    effects: &E,
    name: &str,
    item: Item<'_>,
    (record, mut known): (Record, Delivery),
    people: Option<(&str, &str)>,
) -> Result<bool, E::Error> {
    let key = item.key();
    if let Some((what, words)) = people {
        let stands = match known.stage {
            Stage::Delivered => "it has delivered what was given back",
            _ => "it was asked for what was given back",
        };
        let to_do = format!("{stands}: cancel it there by hand; {words}");
        let detail = if what == TO_BE_CANCELLED { &to_do } else { words };
        // First: who dies in between tells it again, and it stands there once.
        if !note(effects, name, &key.to_string(), what, detail).await? {
            return Ok(false);
        }
    }
    known.end_cancelling(effects.clock());
    Ok(write_delivery(effects, Writing::Undone, &key, (Some(record), &known)).await?.is_some())
}
