//! What a supplier calls back with about an order: that it was handed out, will not be, or is promised. What was said before holds.

use guerdon_core::fulfilment::{DeliveryKey, Item, Meaning, SUPPLIER_REFUSED, Said, Stage, Word};
use guerdon_core::redemption::{Order, OrderState};

use crate::asking::take_in;
use crate::differences::note;
use crate::effects::{Effects, Writing};
use crate::records::{delivery, write_delivery};
use crate::steps::{give_back, hand_over};

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was taken in, now or before, or put down for people.
    Heard,
    /// It was put down for people as what it is called here, and refused with that and these words.
    Refused(&'static str, &'static str),
    /// The order is being asked for at this moment: it is to call again.
    CallAgain,
}

/// Takes in what a supplier says of an order, or of a part of it, that it hands out. However often the same is said, it is done once.
pub async fn take_result<E: Effects>(
    effects: &E,
    name: &str,
    (item, order): (Item<'_>, &Order),
    said: Said,
) -> Result<Taken, E::Error> {
    let key = item.key();
    match Word::of(order.state.funds(), &said) {
        Word::Known => Ok(Taken::Heard),
        Word::TooLate => {
            note(effects, name, &key.to_string(), "delivered_after_return", TOO_LATE).await?;
            Ok(Taken::Heard)
        }
        Word::Refuses => {
            note(effects, name, &key.to_string(), "refused_after_delivery", REFUSES).await?;
            Ok(Taken::Heard)
        }
        Word::Awaited => settle(effects, name, item, said).await,
    }
}

const TOO_LATE: &str = "it says that it has delivered an order whose points were given back";
const REFUSES: &str = "it refuses an order that it has delivered";

async fn refuse<E: Effects>(
    effects: &E,
    name: &str,
    key: &DeliveryKey,
    (what, detail): (&'static str, &'static str),
) -> Result<Taken, E::Error> {
    note(effects, name, &key.to_string(), what, detail).await?;
    Ok(Taken::Refused(what, detail))
}

/// Ends what waits for this word.
async fn settle<E: Effects>(effects: &E, name: &str, item: Item<'_>, said: Said) -> Result<Taken, E::Error> {
    let (key, order) = (item.key(), item.order);
    let asked = delivery(effects, &key).await?.filter(|(_, known)| known.attempts > 0);
    let Some((record, mut known)) = asked.filter(|_| order.state == OrderState::Fulfilling) else {
        let words = ("not_asked", "it speaks of an order that it was not asked for");
        return refuse(effects, name, &key, words).await;
    };
    if known.cancelling.is_some() && matches!(said, Said::Delivered { .. }) {
        // It was given back a moment ago.
        note(effects, name, &key.to_string(), "delivered_after_return", TOO_LATE).await?;
        return Ok(Taken::Heard);
    }
    match Meaning::of(known.stage, &said) {
        Meaning::Nothing => return Ok(Taken::Heard),
        Meaning::Delivered { contradicts } => {
            if contradicts {
                note(effects, name, &key.to_string(), "refused_after_delivery", REFUSES).await?;
            }
            return delivered(effects, item).await;
        }
        Meaning::Refused { contradicts } => {
            if contradicts {
                let detail = "it says that it has delivered an order that it had refused";
                note(effects, name, &key.to_string(), "delivered_after_return", detail).await?;
            }
            give_back(effects, order, SUPPLIER_REFUSED).await?;
            return Ok(Taken::Heard);
        }
        Meaning::New => {}
    }
    let given: &[String] = if let Said::Delivered { codes, .. } = &said { codes } else { &[] };
    if !take_in(effects, name, item, given).await? {
        return Ok(Taken::Refused("code_given_before", "one of the codes was given before"));
    }
    let stage = known.follow(said);
    known.end(stage, effects.clock());
    if write_delivery(effects, Writing::End, &key, (Some(record), &known)).await?.is_none() {
        return Ok(Taken::CallAgain);
    }
    match stage {
        Stage::Delivered => delivered(effects, item).await,
        Stage::Refused => {
            give_back(effects, order, SUPPLIER_REFUSED).await?;
            Ok(Taken::Heard)
        }
        _ => Ok(Taken::Heard),
    }
}

/// Hands over what is there with this word: an order at once; of a bundle whoever fulfils orders sees whether all of it is.
async fn delivered<E: Effects>(effects: &E, item: Item<'_>) -> Result<Taken, E::Error> {
    if item.handing.is_part {
        effects.look_again(item.order.id);
    } else {
        hand_over(effects, item.order).await?;
    }
    Ok(Taken::Heard)
}
