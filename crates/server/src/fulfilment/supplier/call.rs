//! Calls to a supplier: an order to be handed out, and the list of what was.

use std::time::Duration;

use axum::http::{Method, Request};
use guerdon_core::fulfilment::{Called, DeliveryKey, Item, Said, Unbelievable, Undoing, short};
use guerdon_core::rewards::RewardKind;
use serde_json::json;

use super::answer::{read, read_cancelled};
use super::{Supplier, secret, webhook};
use crate::AppState;
use crate::order_choice;
use crate::problem::Problem;

/// Largest answer about one order, in bytes; of its codes there are few.
const ANSWER_BYTES: usize = 512 * 1024;

/// Sends what is to be handed out. Its key is the idempotency key: a supplier does it once however often it is asked.
pub(in crate::fulfilment) async fn deliver(
    state: &AppState,
    name: &str,
    supplier: &Supplier,
    item: Item<'_>,
) -> Result<Called, Problem> {
    let (key, handing) = (item.key(), item.handing);
    let id = key.to_string();
    let mut data = json!({ "order_id": id, "reward_id": handing.reward_id, "quantity": handing.quantity });
    if let Some(fields) = data.as_object_mut() {
        // Of the member nothing but where it goes to, and only where the order says it; of a bundle not where other parts go.
        let delivery = order_choice::open(state, item.order).await?.unwrap_or_default();
        let is_sent = matches!(handing.kind, Some(RewardKind::Physical { needs_address: true, .. }));
        let address = delivery.address.filter(|_| !handing.is_part || is_sent);
        let parts = [
            ("variant", handing.variant.map(|variant| json!(variant))),
            ("account", delivery.account.map(|account| json!(account))),
            ("address", address.map(|address| json!(address))),
        ];
        fields.extend(parts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    let body = json!({ "type": "order.deliver", "timestamp": state.clock().to_string(), "data": data });
    let answered =
        send(state, (name, supplier), Method::POST, &supplier.url, (&id, body.to_string().into_bytes())).await?;
    let (status, bytes) = match answered {
        Ok(answer) => answer,
        Err(words) => return Ok(Called::Failed(words)),
    };
    // A refusal may come with a status of its own; whoever answers 401 or 404 knows nothing of the order.
    let speaks = (200..300).contains(&status) || matches!(status, 409 | 422);
    if !speaks {
        return Ok(Called::Failed(format!("answered with the status {status}")));
    }
    if bytes.len() > ANSWER_BYTES {
        return Ok(Called::Lied(Unbelievable::Unfit("the answer is larger than 512 KiB".to_owned())));
    }
    Ok(match read(&bytes, &key, handing.quantity) {
        Ok(said @ Said::Refused { .. }) => Called::Said(said),
        Ok(_) if status >= 300 => Called::Failed(format!("answered with the status {status}")),
        Ok(said) => Called::Said(said),
        Err(lie) => Called::Lied(lie),
    })
}

/// Tells a supplier that what it was asked for is not wanted any more: once however often it is told.
pub(in crate::fulfilment) async fn cancel(
    state: &AppState,
    name: &str,
    supplier: &Supplier,
    key: &DeliveryKey,
) -> Result<Undoing, Problem> {
    let data = json!({ "order_id": key.to_string() });
    let body = json!({ "type": "order.cancel", "timestamp": state.clock().to_string(), "data": data });
    let id = format!("cancel-{key}");
    let sent = (id.as_str(), body.to_string().into_bytes());
    let answered = send(state, (name, supplier), Method::POST, &supplier.url, sent).await?;
    Ok(match answered {
        Err(words) => Undoing::Failed(words),
        Ok((status, bytes)) if (200..300).contains(&status) || matches!(status, 409 | 422) => {
            if bytes.len() > ANSWER_BYTES {
                return Ok(Undoing::Failed("the answer is larger than 512 KiB".to_owned()));
            }
            match read_cancelled(&bytes, key) {
                Ok(Undoing::Cancelled) if status >= 300 => {
                    Undoing::Failed(format!("answered with the status {status}"))
                }
                Ok(said) => said,
                Err(lie) => Undoing::Failed(lie.words().to_owned()),
            }
        }
        Ok((status, _)) => Undoing::Failed(format!("answered with the status {status}")),
    })
}

/// Reads a page of the supplier's list.
pub(super) async fn list(
    state: &AppState,
    name: &str,
    supplier: &Supplier,
    query: &str,
) -> Result<Result<Vec<u8>, String>, Problem> {
    let url = format!("{}?{query}", supplier.url);
    let id = format!("list-{:016x}", rand::random::<u64>());
    let answered = send(state, (name, supplier), Method::GET, &url, (&id, Vec::new())).await?;
    Ok(match answered {
        Ok((200, bytes)) => Ok(bytes),
        Ok((status, _)) => Err(format!("answered with the status {status}")),
        Err(words) => Err(words),
    })
}

/// A signed request: the status and body of the answer, or why there is none.
async fn send(
    state: &AppState,
    (name, supplier): (&str, &Supplier),
    method: Method,
    url: &str,
    (id, body): (&str, Vec<u8>),
) -> Result<Result<(u16, Vec<u8>), String>, Problem> {
    let secret = secret(state, name, supplier)?;
    let Some((seconds, signature)) = webhook::sign(&secret, id, state.clock(), &body) else {
        return Ok(Err("the secret of this supplier is damaged; renew it".to_owned()));
    };
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .header("idempotency-key", id)
        .header(webhook::ID, id)
        .header(webhook::TIMESTAMP, seconds)
        .header(webhook::SIGNATURE, signature)
        .body(body);
    let request = match request {
        Ok(request) => request,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let time = Duration::from_millis(supplier.timeout_ms.unsigned_abs());
    Ok(match tokio::time::timeout(time, state.outbound.send(request)).await {
        Err(_) => Err(format!("did not answer within {} ms", supplier.timeout_ms)),
        Ok(Err(error)) => Err(short(&error.to_string())),
        Ok(Ok(answer)) => Ok((answer.status().as_u16(), answer.into_body())),
    })
}
