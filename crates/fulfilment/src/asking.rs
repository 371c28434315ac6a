//! One order on its way through a supplier: asked, asked again after longer and longer waits, and given up at last.

use guerdon_core::fulfilment::{Called, Delivery, Item, Outcome, Said, Stage, Terms, Turn};
use guerdon_core::redemption::OrderState;
use guerdon_store::Record;

use crate::breaker;
use crate::differences::note;
use crate::effects::{Aside, CodesWanted, Effects, Happened, Writing};
use crate::records::{delivery, write_delivery};

/// How often is written that it was delivered, because others were faster.
const TRIES: usize = 8;

/// Sets the codes aside that a supplier gave for an order. False: one of them was given before, for another.
pub(crate) async fn take_in<E: Effects>(
    effects: &E,
    name: &str,
    item: Item<'_>,
    given: &[String],
) -> Result<bool, E::Error> {
    if given.is_empty() {
        return Ok(true);
    }
    let key = item.key().to_string();
    match effects.set_aside(item, CodesWanted::Given(given)).await? {
        Aside::There { as_given: true } => Ok(true),
        Aside::There { as_given: false } => {
            let detail = "it answered twice, with other codes; the member has the first";
            note(effects, name, &key, "other_codes", detail).await?;
            Ok(true)
        }
        Aside::Taken | Aside::Dry => {
            let detail = "one of its codes was given for another order before";
            note(effects, name, &key, "code_given_before", detail).await?;
            Ok(false)
        }
    }
}

/// Asks a supplier for an item where it is its turn.
pub(crate) async fn ask<E: Effects>(effects: &E, name: &str, item: Item<'_>) -> Result<Outcome, E::Error> {
    let supplier = effects.supplier(name).await?;
    let key = item.key();
    let (record, mut known) = match delivery(effects, &key).await? {
        Some(found) => found,
        None => {
            let new = Delivery::new(name, effects.clock());
            match write_delivery(effects, Writing::NewDelivery, &key, (None, &new)).await? {
                Some(record) => (record, new),
                None => return Ok(Outcome::Later),
            }
        }
    };
    let now = effects.clock();
    match known.turn(supplier.as_ref().map(AsRef::as_ref), now) {
        Turn::Over(outcome) => return Ok(outcome),
        Turn::GiveUp => return end(effects, name, item, (record, known), Stage::Failed).await,
        Turn::Wait => return Ok(Outcome::Later),
        Turn::Ask => {}
    }
    let Some(supplier) = supplier else { return Ok(Outcome::Later) };
    let terms = *supplier.as_ref();
    if !breaker::let_through(effects, name, terms.timeout_ms).await? {
        return Ok(Outcome::Later);
    }
    // Written before it is asked: of two nodes one asks, and one that dies meanwhile has used this attempt.
    known.count_attempt(&terms, effects.clock(), effects.chance());
    let Some(record) = write_delivery(effects, Writing::Attempt, &key, (Some(record), &known)).await? else {
        return Ok(Outcome::Later);
    };
    // Looked at after that was written: whoever ends the order now finds that it is asked for, and whoever has ended it before
    // looked for what was asked may have found nothing.
    let order = effects.order(item.order.id).await?;
    if order.is_none_or(|order| order.state != OrderState::Fulfilling) {
        known.take_attempt_back(effects.clock());
        // Where it is changed by now, that it was counted does no harm.
        write_delivery(effects, Writing::Wait, &key, (Some(record), &known)).await?;
        return Ok(Outcome::Later);
    }
    let called = effects.ask(name, &supplier, item).await?;
    hear(effects, (name, terms), item, (record, known), called).await
}

/// Makes of an answer what becomes of the order.
async fn hear<E: Effects>(
    effects: &E,
    (name, terms): (&str, Terms),
    item: Item<'_>,
    (record, mut known): (Record, Delivery),
    called: Called,
) -> Result<Outcome, E::Error> {
    let trouble = match called {
        Called::Said(said) => {
            breaker::note(effects, name, None).await?;
            let given: &[String] = if let Said::Delivered { codes, .. } = &said { codes } else { &[] };
            if take_in(effects, name, item, given).await? {
                let stage = known.follow(said);
                return end(effects, name, item, (record, known), stage).await;
            }
            "its codes were given before".to_owned()
        }
        Called::Lied(lie) => {
            breaker::note(effects, name, Some(lie.words())).await?;
            note(effects, name, &item.key().to_string(), lie.what(), lie.words()).await?;
            lie.words().to_owned()
        }
        Called::Failed(words) => {
            breaker::note(effects, name, Some(&words)).await?;
            words
        }
    };
    if !known.fail(&trouble, &terms, effects.clock(), effects.chance()) {
        return end(effects, name, item, (record, known), Stage::Failed).await;
    }
    write_delivery(effects, Writing::Wait, &item.key(), (Some(record), &known)).await?;
    Ok(Outcome::Later)
}

/// Writes the end of a delivery, or that one is promised. Where the supplier has called back meanwhile, that holds.
async fn end<E: Effects>(
    effects: &E,
    name: &str,
    item: Item<'_>,
    (record, mut known): (Record, Delivery),
    stage: Stage,
) -> Result<Outcome, E::Error> {
    known.end(stage, effects.clock());
    if write_delivery(effects, Writing::End, &item.key(), (Some(record), &known)).await?.is_some() {
        effects.tell(Happened::Ended { stage });
        return Ok(stage.outcome());
    }
    if stage == Stage::Delivered { insist(effects, name, item, known).await } else { Ok(Outcome::Later) }
}

/// Writes over whatever others have written meanwhile that it was delivered: another node may have counted the next attempt
/// because the answer took so long, and that one may fail. What was given up by now is told to people.
async fn insist<E: Effects>(effects: &E, name: &str, item: Item<'_>, heard: Delivery) -> Result<Outcome, E::Error> {
    let key = item.key();
    for _ in 0..TRIES {
        let Some((record, mut now)) = delivery(effects, &key).await? else { break };
        if now.stage == Stage::Delivered {
            return Ok(Outcome::Later);
        }
        if now.is_given_up() {
            break;
        }
        now.reference.clone_from(&heard.reference);
        now.end(Stage::Delivered, effects.clock());
        if write_delivery(effects, Writing::End, &key, (Some(record), &now)).await?.is_some() {
            effects.tell(Happened::Ended { stage: Stage::Delivered });
            return Ok(Outcome::Delivered);
        }
    }
    let detail = "it was delivered after nobody waited for it any more";
    note(effects, name, &key.to_string(), "delivered_after_return", detail).await?;
    Ok(Outcome::Later)
}
