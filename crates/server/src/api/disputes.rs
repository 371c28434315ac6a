//! Disputes of orders: open, talk, decide.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use guerdon_core::id::OrderId;
use guerdon_core::identity::Permission;
use guerdon_core::redemption::{Grievance, Order};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, IdempotencyKey, Params, Path, done, id, page_limit};
use super::views::Page;
use crate::AppState;
use crate::acts::By;
use crate::disputes::{self, Dispute, Resolution, Side};
use crate::identity::actor::Actor;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, open))
        .routes(routes!(say))
        .routes(routes!(answer))
        .routes(routes!(resolve))
}

/// A dispute.
#[derive(Serialize, ToSchema)]
struct DisputeView {
    /// `ord_…`.
    order_id: String,
    /// `mem_…`.
    member_id: String,
    /// `not_received`, `damaged`, `wrong` or `other`.
    kind: &'static str,
    /// `open`, `refunded` or `declined`.
    state: &'static str,
    /// RFC 3339.
    opened_at: String,
    /// When the member is to be answered, RFC 3339; left out: they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<String>,
    /// Whether that moment has passed.
    overdue: bool,
    /// When it ended, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// Why it ended so.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What was said, oldest first; only where one dispute is asked for, by who has `orders:review`. Left out as well where nothing
    /// of it is known: the member was cut off and has not come back yet, or was erased.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<MessageView>,
}

/// What somebody said.
#[derive(Serialize, ToSchema)]
struct MessageView {
    /// `member` or `staff`.
    by: &'static str,
    /// RFC 3339.
    at: String,
    /// Plain text: escape it where it is shown.
    text: String,
}

fn summary(state: &AppState, dispute: &Dispute) -> DisputeView {
    DisputeView {
        order_id: dispute.order_id.to_string(),
        member_id: dispute.member_id.to_string(),
        kind: dispute.kind.name(),
        state: dispute.state(),
        opened_at: dispute.opened_at.to_string(),
        due_at: dispute.due_at.map(|at| at.to_string()),
        overdue: dispute.is_overdue(state.clock()),
        ended_at: dispute.end.as_ref().map(|end| end.at.to_string()),
        reason: dispute.end.as_ref().and_then(|end| end.reason.clone()),
        messages: Vec::new(),
    }
}

/// With what was said, for who may decide disputes: others may know that there is one.
fn whole(state: &AppState, actor: &Actor, dispute: &Dispute) -> Result<DisputeView, Problem> {
    if !actor.may(Permission::OrdersReview) {
        return Ok(summary(state, dispute));
    }
    let said = dispute.messages(state)?.into_iter().map(|message| MessageView {
        by: if message.by_member { "member" } else { "staff" },
        at: message.at.to_string(),
        text: message.text,
    });
    Ok(DisputeView { messages: said.collect(), ..summary(state, dispute) })
}

async fn order_of(state: &AppState, text: &str) -> Result<Order, Problem> {
    let order: OrderId = id(text)?;
    let found = state.reader.order(order).await?;
    found.ok_or_else(|| Problem::not_found("unknown_order", format!("there is no order {order}")))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DisputeParams {
    /// `open` (when left out): those first that are due first. `closed`: those of the latest orders first.
    state: Option<String>,
    /// Items of a page, 1–200; 50 when left out.
    limit: Option<i64>,
    /// The cursor of the page before: its last order.
    after: Option<String>,
}

/// List disputes: the queue of whoever decides them.
#[utoipa::path(get, path = "/v1/disputes", tag = "orders", security(("key" = ["orders:review"])), params(DisputeParams),
    responses((status = 200, body = Page<DisputeView>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Params(params): Params<DisputeParams>,
) -> Result<Json<Page<DisputeView>>, Problem> {
    let limit = page_limit(params.limit)?;
    let wanted = usize::try_from(limit.saturating_add(1)).unwrap_or(usize::MAX);
    let found: Vec<Dispute> = match (params.state.as_deref(), params.after) {
        (None | Some("open"), after) => {
            let all = disputes::queue(&state).await?;
            let begin = match &after {
                None => 0,
                Some(after) => {
                    all.iter().position(|one| one.order_id.to_string() == *after).map_or(all.len(), |at| at + 1)
                }
            };
            all.into_iter().skip(begin).take(wanted).collect()
        }
        (Some("closed"), after) => disputes::closed(&state, after.as_deref(), limit.saturating_add(1)).await?,
        _ => return Err(Problem::bad_request("invalid_query", "`state` must be `open` or `closed`")),
    };
    let page = Page::cut(found, limit, |dispute| dispute.order_id.to_string());
    Ok(Json(page.map(|dispute| summary(&state, &dispute))))
}

/// Get the dispute of an order. What was said in it is told to who has `orders:review` besides.
#[utoipa::path(get, path = "/v1/orders/{order_id}/dispute", tag = "orders", security(("key" = ["orders:read"])),
    params(("order_id" = String, Path)),
    responses((status = 200, body = DisputeView),
        (status = 404, description = "`unknown_dispute` or `unknown_order`", body = Problem)))]
async fn get(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
) -> Result<Json<DisputeView>, Problem> {
    let order = order_of(&state, &text).await?;
    let dispute = disputes::of_order(&state, &order).await?.ok_or_else(|| disputes::unknown(order.id))?;
    Ok(Json(whole(&state, &actor, &dispute)?))
}

/// What is wrong with an order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DisputeRequest {
    /// `not_received`, `damaged`, `wrong` or `other`.
    kind: String,
    /// In the member's words.
    #[schema(max_length = 1000)]
    text: String,
}

/// Open the dispute of an order for its member, once, within the program's `dispute_hours` after it was shipped, issued or
/// completed. It does not complete by itself until the dispute is decided.
#[utoipa::path(post, path = "/v1/orders/{order_id}/dispute", tag = "orders", security(("key" = ["orders:write"])),
    params(("order_id" = String, Path), ("Idempotency-Key" = String, Header)), request_body = DisputeRequest,
    responses((status = 201, body = DisputeView), (status = 404, body = Problem),
        (status = 409, description = "`dispute_closed`: too late, or the program takes none; `illegal_order_move`", body = Problem),
        (status = 422, body = Problem)))]
async fn open(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<DisputeRequest>,
) -> Result<(StatusCode, Json<DisputeView>), Problem> {
    let kind = Grievance::from_name(&request.kind).ok_or_else(|| {
        let known = Grievance::ALL.map(Grievance::name).join(", ");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", format!("`kind` must be one of {known}"))
    })?;
    let order = order_of(&state, &text).await?;
    let by = By { actor: &actor, key: &key, channel: "api", reason: "" };
    let dispute = disputes::open(&state, &by, &order, kind, &request.text).await?;
    Ok((StatusCode::CREATED, Json(whole(&state, &actor, &dispute)?)))
}

/// A message in a dispute.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MessageRequest {
    /// What is said.
    #[schema(max_length = 1000)]
    text: String,
}

/// Say something for the member in a dispute that is open.
#[utoipa::path(post, path = "/v1/orders/{order_id}/dispute/messages", tag = "orders",
    security(("key" = ["orders:write"])), params(("order_id" = String, Path)), request_body = MessageRequest,
    responses((status = 200, body = DisputeView), (status = 404, body = Problem),
        (status = 409, description = "`dispute_closed` or `too_many_messages`", body = Problem),
        (status = 422, body = Problem)))]
async fn say(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    Body(request): Body<MessageRequest>,
) -> Result<Json<DisputeView>, Problem> {
    let by = By { actor: &actor, key: "", channel: "api", reason: "" };
    let dispute = disputes::say(&state, &by, id(&text)?, Side::Member, &request.text).await?;
    Ok(Json(whole(&state, &actor, &dispute)?))
}

/// Answer the member in a dispute that is open. They are told by e-mail or text message, where that is possible.
#[utoipa::path(post, path = "/v1/orders/{order_id}/dispute/answers", tag = "orders",
    security(("key" = ["orders:review"])), params(("order_id" = String, Path)), request_body = MessageRequest,
    responses((status = 200, body = DisputeView), (status = 404, body = Problem),
        (status = 409, description = "`dispute_closed` or `too_many_messages`", body = Problem),
        (status = 422, body = Problem)))]
async fn answer(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    Body(request): Body<MessageRequest>,
) -> Result<Json<DisputeView>, Problem> {
    let by = By { actor: &actor, key: "", channel: "api", reason: "" };
    let dispute = disputes::say(&state, &by, id(&text)?, Side::Staff, &request.text).await?;
    Ok(Json(whole(&state, &actor, &dispute)?))
}

/// How a dispute is to end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResolutionRequest {
    /// `refund` or `decline`.
    resolution: String,
    /// Why; the member reads it.
    reason: String,
}

/// End a dispute: `refund` gives the points back, for which `orders:refund` is needed as well, and above the program's limit the
/// consent of another operator; `decline` does not.
#[utoipa::path(post, path = "/v1/orders/{order_id}/dispute/resolution", tag = "orders",
    security(("key" = ["orders:review"])),
    params(("order_id" = String, Path), ("Idempotency-Key" = String, Header)), request_body = ResolutionRequest,
    responses((status = 201, description = "The receipt", body = Object),
        (status = 202, description = "The refund waits for another operator", body = super::approvals::ApprovalView),
        (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "`illegal_order_move`: no dispute is open", body = Problem),
        (status = 422, body = Problem)))]
async fn resolve(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<ResolutionRequest>,
) -> Result<Response, Problem> {
    let resolution = match request.resolution.as_str() {
        "refund" => Resolution::Refund,
        "decline" => Resolution::Decline,
        _ => {
            let detail = "`resolution` must be `refund` or `decline`";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail));
        }
    };
    if resolution == Resolution::Refund {
        actor.require_at(Permission::OrdersRefund, None)?;
    }
    let order = order_of(&state, &text).await?;
    if order.details.particulars.dispute.is_none() {
        return Err(disputes::unknown(order.id));
    }
    let by = By { actor: &actor, key: &key, channel: "api", reason: &request.reason };
    done(&state, disputes::resolve(&state, &by, &order, resolution).await?).await
}
