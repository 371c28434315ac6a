//! What a supplier or a carrier calls back with: that an order was handed out or will not be, and where a parcel is. The
//! signature proves who calls; what is said is checked as every answer is.

use axum::http::{HeaderMap, StatusCode};
use guerdon_core::fulfilment::{DeliveryKey, Item, short};
use guerdon_core::hex;
use guerdon_core::id::OrderId;
use guerdon_core::kernel::{Command, Tracking};
use guerdon_core::redemption::{Order, TrackingEvent};
use guerdon_fulfilment::{Taken, take_result};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{answer, differences, known, secret, webhook};
use crate::AppState;
use crate::acts;
use crate::fulfilment::effects::Doing;
use crate::fulfilment::tracking;
use crate::problem::Problem;

/// What is called back with.
#[derive(Deserialize)]
struct Call {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

#[derive(Deserialize)]
struct Named {
    order_id: String,
}

#[derive(Deserialize)]
struct Told {
    events: Vec<tracking::EventRequest>,
}

fn unfit(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail)
}

/// Takes a call in. However often the same is said, it is done once.
pub async fn take(state: &AppState, name: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    let not_signed = |detail: String| Problem::new(StatusCode::UNAUTHORIZED, "signature_invalid", detail);
    // Who calls under an unknown name hears the same as who signs wrongly.
    let unknown = |_| not_signed(webhook::NotSigned::Wrong.to_string());
    let (_, supplier) = known(state, name).await.map_err(unknown)?;
    let secret = secret(state, name, &supplier)?;
    let id = webhook::verify(&secret, headers, state.clock(), body).map_err(|error| not_signed(error.to_string()))?;
    let call: Call = serde_json::from_slice(body).map_err(|error| unfit(format!("the body does not fit: {error}")))?;
    let named: Named =
        serde_json::from_value(call.data.clone()).map_err(|_| unfit("`data.order_id` must name the order"))?;
    let found = match named.order_id.parse::<DeliveryKey>() {
        Ok(key) => state.reader.order(key.order).await?.map(|order| (key, order)),
        Err(_) => None,
    };
    let Some((key, order)) = found else {
        differences::note(
            state,
            name,
            &named.order_id,
            "unknown_order",
            "it called back about an order that is not there",
        )
        .await?;
        return Err(Problem::not_found("unknown_order", format!("there is no order `{}`", short(&named.order_id))));
    };
    match call.kind.as_str() {
        "order.result" => result(state, name, (&key, &order), &call.data).await,
        "order.tracking" => told(state, name, (&key, &order), (id, call.data)).await,
        _ => Err(unfit("`type` must be `order.result` or `order.tracking`")),
    }
}

async fn refuse(state: &AppState, name: &str, key: &DeliveryKey, what: &str, detail: &str) -> Result<(), Problem> {
    differences::note(state, name, &key.to_string(), what, detail).await?;
    Err(Problem::new(StatusCode::CONFLICT, what, detail))
}

async fn result(
    state: &AppState,
    name: &str,
    (key, order): (&DeliveryKey, &Order),
    data: &Value,
) -> Result<(), Problem> {
    let program = state.program();
    let its = |item: &Item<'_>| item.supplier() == Some(name) && item.key() == *key;
    let Some(item) = Item::all(&program, order).into_iter().find(its) else {
        return refuse(state, name, key, "not_its_order", "the order is not handed out by this supplier").await;
    };
    let bytes = data.to_string();
    let said = match answer::read(bytes.as_bytes(), key, item.handing.quantity) {
        Ok(said) => said,
        Err(lie) => {
            differences::note(state, name, &key.to_string(), lie.what(), lie.words()).await?;
            return Err(unfit(lie.words()));
        }
    };
    match take_result(&Doing::of(state), name, (item, order), said).await? {
        Taken::Heard => Ok(()),
        Taken::Refused(what, detail) => Err(Problem::new(StatusCode::CONFLICT, what, detail)),
        Taken::CallAgain => {
            let detail = "the order is being asked for at this moment; call again";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).after(5))
        }
    }
}

/// Each supplier numbers its calls by itself, and may number those of each order anew.
fn tracking_key(supplier: &str, order: OrderId, call: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(format!("{supplier}\n{order}\n{call}")).into();
    format!("tracking {}", hex::encode(&digest))
}

/// Where a parcel is: told by the supplier of the order, or by the carrier that it was given to.
async fn told(
    state: &AppState,
    name: &str,
    (key, order): (&DeliveryKey, &Order),
    (id, data): (&str, Value),
) -> Result<(), Problem> {
    let carries = order.details.shipment.as_ref().is_some_and(|sent| sent.carrier.eq_ignore_ascii_case(name));
    let program = state.program();
    if !carries && !Item::all(&program, order).iter().any(|item| item.supplier() == Some(name)) {
        return refuse(state, name, key, "not_its_order", "the order was not given to this carrier").await;
    }
    let told: Told =
        serde_json::from_value(data).map_err(|error| unfit(format!("`data.events` does not fit: {error}")))?;
    let events = told.events.into_iter().map(TrackingEvent::try_from).collect::<Result<Vec<_>, _>>().map_err(unfit)?;
    let member = acts::mover(state, order).await?;
    let tracking = Tracking { order: order.id, owner: order.member_id, events };
    let key = tracking_key(name, order.id, id);
    let command = Command::track(member, &key, state.engine.now(), tracking)?;
    state.engine.submit_one(command.from_channel("supplier").by(format!("supplier {name}"))).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_two_suppliers_or_orders_are_no_retries_of_each_other() {
        let key = tracking_key("acme", OrderId(1), "msg_1");
        assert_eq!(key, tracking_key("acme", OrderId(1), "msg_1"));
        for other in [("other", 1, "msg_1"), ("acme", 2, "msg_1"), ("acme", 1, "msg_2")] {
            assert_ne!(key, tracking_key(other.0, OrderId(other.1), other.2));
        }
        assert!(key.len() <= guerdon_core::limits::KEY_CHARS);
    }
}
