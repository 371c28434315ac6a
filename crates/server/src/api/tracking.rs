//! What happens to an order on its way.

use axum::extract::State;
use axum::response::Response;
use guerdon_core::id::OrderId;
use guerdon_core::kernel::{Command, Refusal, RefusalCode, Tracking};
use guerdon_core::redemption::TrackingEvent;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, IdempotencyKey, Path, id, receipt};
use crate::AppState;
use crate::acts;
use crate::fulfilment::tracking::EventRequest;
use crate::identity::actor::Actor;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(track))
}

/// What a carrier tells.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TrackingRequest {
    /// 1 to 20 events, in any order.
    events: Vec<EventRequest>,
}

/// What happened to an order on its way.
#[derive(Serialize, ToSchema)]
pub(super) struct TrackingView {
    /// When, RFC 3339.
    at: String,
    /// `accepted`, `in_transit`, `out_for_delivery`, `attempted`, `ready_for_pickup`, `delivered`, `returned` or `trouble`.
    status: &'static str,
    /// Where, in the carrier's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    /// What else there is to say, in the carrier's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl From<TrackingEvent> for TrackingView {
    fn from(TrackingEvent { at, status, place, text, .. }: TrackingEvent) -> Self {
        Self { at: at.to_string(), status: status.name(), place, text }
    }
}

/// Note what a carrier tells of an order that was shipped. The latest 50 events are kept, each once; `delivered` completes the
/// order.
#[utoipa::path(post, path = "/v1/orders/{order_id}/tracking", tag = "orders",
    security(("key" = ["orders:write"])), request_body = TrackingRequest,
    params(("order_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt", body = Object), (status = 404, body = Problem),
        (status = 409, description = "`illegal_order_move`: it was not shipped", body = Problem), (status = 422, body = Problem)))]
async fn track(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<TrackingRequest>,
) -> Result<Response, Problem> {
    let order: OrderId = id(&text)?;
    let found = state.reader.order(order).await?;
    let order = found.ok_or_else(|| Problem::not_found("unknown_order", format!("there is no order {order}")))?;
    let events = request.events.into_iter().map(TrackingEvent::try_from).collect::<Result<Vec<_>, _>>();
    let events = events.map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))?;
    let member = acts::mover(&state, &order).await?;
    let tracking = Tracking { order: order.id, owner: order.member_id, events };
    let command = Command::track(member, &key, state.engine.now(), tracking)?;
    receipt(state.engine.submit_one(command.by(actor.name())).await)
}
