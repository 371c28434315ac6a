//! The money of orders by hand: whoever hands an order over takes it, or gives it back, and says so.

use axum::extract::State;
use axum::response::Response;
use guerdon_core::redemption::PaymentMove;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, IdempotencyKey, Path, receipt};
use super::orders::find;
use crate::AppState;
use crate::acts::{self, By};
use crate::identity::actor::Actor;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(collect)).routes(routes!(give_back))
}

/// What there is to say of money that went from hand to hand.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HandRequest {
    /// The number of the receipt, or whatever it is known by.
    reference: Option<String>,
    /// Why.
    reason: Option<String>,
}

/// Collect the money of an order: whoever hands it over has taken it. An order with money due is not completed before.
#[utoipa::path(post, path = "/v1/orders/{order_id}/payment/collect", tag = "orders",
    security(("key" = ["orders:write"])), request_body = HandRequest,
    params(("order_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt", body = Object), (status = 404, body = Problem),
        (status = 409, description = "`illegal_payment_move`", body = Problem)))]
async fn collect(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<HandRequest>,
) -> Result<Response, Problem> {
    by_hand(&state, &actor, (&text, &key), PaymentMove::Collect, request).await
}

/// Return the money of an order that was refunded: somebody has given it back by hand. What a tender gives back by itself
/// needs no word.
#[utoipa::path(post, path = "/v1/orders/{order_id}/payment/return", tag = "orders",
    security(("key" = ["orders:refund"])), request_body = HandRequest,
    params(("order_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt", body = Object), (status = 404, body = Problem),
        (status = 409, description = "`illegal_payment_move`", body = Problem)))]
async fn give_back(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<HandRequest>,
) -> Result<Response, Problem> {
    by_hand(&state, &actor, (&text, &key), PaymentMove::Return, request).await
}

async fn by_hand(
    state: &AppState,
    actor: &Actor,
    (text, key): (&str, &str),
    step: PaymentMove,
    request: HandRequest,
) -> Result<Response, Problem> {
    let order = find(state, text).await?;
    let by = By { actor, key, channel: "api", reason: request.reason.as_deref().unwrap_or_default() };
    receipt(Ok(acts::move_payment(state, &by, &order, step, request.reference).await?))
}
