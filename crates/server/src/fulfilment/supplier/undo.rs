//! What a supplier was asked for, and nobody wants any more: it is told so where it knows of cancelling, again and again until
//! it has heard; what it cannot or will not cancel is for people.

use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::delivery::{self, Delivery, Stage, UNREACHED_MS, read, wait_ms, write};
use super::{Supplier, breaker, call, differences, find};
use crate::AppState;
use crate::fulfilment::handing::Item;
use crate::problem::Problem;

/// How far the cancelling of a delivery has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cancelling {
    /// How often the supplier was told.
    attempts: u32,
    /// When it was to be told first.
    first_at: Timestamp,
    /// From when on it is told again.
    next_at: Timestamp,
    /// Whether that is over: it has heard, or people were told.
    done: bool,
}

/// What a supplier answers to a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Undoing {
    /// It will not hand it out, or has taken it back.
    Cancelled,
    /// It cannot.
    Refused(String),
    /// Nothing that can be believed.
    Failed(String),
}

/// Undoes what was asked for. False: not yet, it is to be called again.
pub(in crate::fulfilment) async fn undo(state: &AppState, name: &str, item: Item<'_>) -> Result<bool, Problem> {
    let key = item.key();
    let Some((record, mut delivery)) = read(state, &key).await? else { return Ok(true) };
    let now = state.clock();
    let over = matches!(delivery.stage, Stage::Refused | Stage::Cancelled);
    let told = delivery.cancelling.as_ref().is_some_and(|cancelling| cancelling.done);
    if over || told || delivery.attempts == 0 {
        return Ok(true);
    }
    // Somebody may be asking at this moment.
    if delivery.stage == Stage::Waiting && delivery.next_at > now {
        return Ok(false);
    }
    let mut cancelling =
        delivery.cancelling.take().unwrap_or(Cancelling { attempts: 0, first_at: now, next_at: now, done: false });
    let supplier = find(state, name).await?.map(|(_, supplier)| supplier).filter(|supplier| supplier.cancels);
    let Some(supplier) = supplier else {
        // What may have been delivered, though nobody has said so, is found by reconciliation, as of every order.
        let words = (item.handing.is_part && delivery.stage != Stage::Failed).then_some("it knows of no cancelling");
        return end(state, name, item, (record, delivery, cancelling), words).await;
    };
    if cancelling.next_at > now {
        return Ok(false);
    }
    if cancelling.attempts >= supplier.attempts || now > cancelling.first_at.plus_millis(UNREACHED_MS) {
        return end(state, name, item, (record, delivery, cancelling), Some("it could not be told")).await;
    }
    if !supplier.active || !breaker::let_through(state, name, supplier.timeout_ms).await? {
        return Ok(false);
    }
    // Written before it is told: of two nodes one tells it.
    cancelling.attempts += 1;
    cancelling.next_at = now.plus_millis(supplier.timeout_ms + wait(&supplier, cancelling.attempts));
    delivery.cancelling = Some(cancelling.clone());
    let Some(record) = write(state, &key, Some(record), &delivery).await? else { return Ok(false) };
    match call::cancel(state, name, &supplier, &key).await? {
        Undoing::Cancelled => {
            breaker::note(state, name, None).await?;
            (delivery.stage, delivery.since) = (Stage::Cancelled, state.clock());
            end(state, name, item, (record, delivery, cancelling), None).await
        }
        Undoing::Refused(words) => {
            breaker::note(state, name, None).await?;
            let words = if words.is_empty() { "it will not cancel it" } else { &words };
            end(state, name, item, (record, delivery, cancelling), Some(words)).await
        }
        Undoing::Failed(words) => {
            breaker::note(state, name, Some(&words)).await?;
            cancelling.next_at = state.clock().plus_millis(wait(&supplier, cancelling.attempts));
            delivery.cancelling = Some(cancelling);
            write(state, &key, Some(record), &delivery).await?;
            Ok(false)
        }
    }
}

fn wait(supplier: &Supplier, attempts: u32) -> i64 {
    wait_ms(supplier.first_retry_ms, attempts, i64::from(rand::random::<u16>()))
}

/// Writes that it is over; `words`: people are to cancel it.
async fn end(
    state: &AppState,
    name: &str,
    item: Item<'_>,
    (record, mut delivery, cancelling): (guerdon_store::Record, Delivery, Cancelling),
    words: Option<&str>,
) -> Result<bool, Problem> {
    let key = item.key();
    if let Some(words) = words {
        let stands = match delivery.stage {
            Stage::Delivered => "it has delivered what was given back",
            _ => "it was asked for what was given back",
        };
        let detail = format!("{stands}: cancel it there by hand; {words}");
        // First: who dies in between tells it again, and it stands there once.
        differences::note(state, name, &key.to_string(), "to_be_cancelled", &detail).await?;
    }
    delivery.cancelling = Some(Cancelling { done: true, ..cancelling });
    Ok(delivery::write(state, &key, Some(record), &delivery).await?.is_some())
}
