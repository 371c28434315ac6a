//! Orders: create, capture, release, refund, get.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use guerdon_core::id::OrderId;
use guerdon_core::kernel::Command;
use guerdon_core::redemption::Order;
use guerdon_core::rewards::Place;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::accounts::Reason;
use super::approvals::ApprovalView;
use super::cards::named_member;
use super::extract::{Body, IdempotencyKey, Path, done, id, receipt};
use super::views::OrderView;
use crate::AppState;
use crate::acts::{self, By};
use crate::identity::actor::Actor;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(get))
        .routes(routes!(capture))
        .routes(routes!(release))
        .routes(routes!(refund))
}

/// A redemption.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderRequest {
    /// `mem_…`; or give `external_id` or `card`.
    member_id: Option<String>,
    /// The brand's own number of the member.
    external_id: Option<String>,
    /// The member's card: the text of its QR code, or the number of its bar code.
    card: Option<String>,
    /// What.
    reward_id: String,
    /// How many; 1 when left out.
    quantity: Option<i64>,
    /// Spend the points at once, instead of setting them aside until the order is captured.
    #[serde(default)]
    capture: bool,
    /// The store, for rewards that are offered in some stores only.
    store: Option<String>,
    /// The channel, for rewards that are offered through some channels only.
    channel: Option<String>,
}

/// Create an order: set the points and the stock aside.
#[utoipa::path(post, path = "/v1/orders", tag = "orders",
    security(("key" = ["orders:write"])), request_body = OrderRequest,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt; `order` is the new order", body = Object),
        (status = 404, body = Problem),
        (status = 409, description = "`insufficient_points`, `out_of_stock` or `reward_not_offered`", body = Problem),
        (status = 422, description = "Not as asked for, or a card that is not accepted", body = Problem)))]
async fn create(
    State(state): State<AppState>,
    actor: Actor,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<OrderRequest>,
) -> Result<Response, Problem> {
    let OrderRequest { member_id, external_id, card, .. } = &request;
    let member = named_member(&state, member_id.as_deref(), external_id.as_deref(), card.as_deref()).await?;
    let quantity = request.quantity.unwrap_or(1);
    let command = Command::redeem(member, &key, state.engine.now(), &request.reward_id, quantity, request.capture)?;
    let place = Place { store: request.store.clone(), channel: request.channel.clone() };
    receipt(state.engine.submit_one(command.in_place(place)?.by(actor.name())).await)
}

async fn find(state: &AppState, text: &str) -> Result<Order, Problem> {
    let order: OrderId = id(text)?;
    let found = state.reader.order(order).await?;
    found.ok_or_else(|| Problem::not_found("unknown_order", format!("there is no order {order}")))
}

/// Get an order.
#[utoipa::path(get, path = "/v1/orders/{order_id}", tag = "orders",
    security(("key" = ["orders:read"])), params(("order_id" = String, Path)),
    responses((status = 200, body = OrderView), (status = 404, body = Problem)))]
async fn get(State(state): State<AppState>, Path(text): Path<String>) -> Result<Json<OrderView>, Problem> {
    Ok(Json(find(&state, &text).await?.into()))
}

/// Capture an order: spend what it holds.
#[utoipa::path(post, path = "/v1/orders/{order_id}/capture", tag = "orders",
    security(("key" = ["orders:write"])),
    params(("order_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt", body = Object), (status = 404, body = Problem),
        (status = 409, description = "`order_not_held`", body = Problem)))]
async fn capture(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Response, Problem> {
    let order = find(&state, &text).await?;
    let command = Command::capture(order.member_id, &key, state.engine.now(), order.id)?;
    receipt(state.engine.submit_one(command.by(actor.name())).await)
}

/// Release an order: give back what it holds.
#[utoipa::path(post, path = "/v1/orders/{order_id}/release", tag = "orders",
    security(("key" = ["orders:write"])),
    params(("order_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt", body = Object), (status = 404, body = Problem),
        (status = 409, description = "`order_not_held`", body = Problem)))]
async fn release(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Response, Problem> {
    let order = find(&state, &text).await?;
    let command = Command::release(order.member_id, &key, state.engine.now(), order.id)?;
    receipt(state.engine.submit_one(command.by(actor.name())).await)
}

/// Refund a captured order: give the points back to the lots from which they came, where they are good for a week at the
/// least, and the units to the stock.
#[utoipa::path(post, path = "/v1/orders/{order_id}/refund", tag = "orders",
    security(("key" = ["orders:refund"])), request_body = Reason,
    params(("order_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt", body = Object),
        (status = 202, description = "Above the limit: it waits for another operator", body = ApprovalView),
        (status = 404, body = Problem), (status = 409, description = "`order_not_captured`", body = Problem),
        (status = 422, body = Problem)))]
async fn refund(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<Reason>,
) -> Result<Response, Problem> {
    let order = find(&state, &text).await?;
    let by = By { actor: &actor, key: &key, channel: "api", reason: &request.reason };
    done(&state, acts::refund(&state, &by, &order).await?).await
}
