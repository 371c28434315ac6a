//! Groups of friends who order together: open, join, leave, see.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use guerdon_core::id::OrderId;
use guerdon_core::members::Address;
use guerdon_core::rewards::Place;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cards::named_member;
use super::extract::{Body, IdempotencyKey, Path};
use super::orders::tendering;
use crate::AppState;
use crate::groups::{self, Group, Joiner};
use crate::identity::actor::Actor;
use crate::order_choice::Said;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(open)).routes(routes!(get)).routes(routes!(join)).routes(routes!(leave))
}

/// Who opens a group, and for what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OpenRequest {
    /// `mem_…`; or give `external_id` or `card`.
    member_id: Option<String>,
    /// The brand's own number of the member.
    external_id: Option<String>,
    /// The member's card: the text of its QR code, or the number of its bar code.
    card: Option<String>,
    /// A reward whose price says what a group pays.
    reward_id: String,
    /// Which variant, of a reward that has some: each member's own, as all of the choice.
    variant: Option<String>,
    /// Which slot, of a service that is had by appointment; it begins once the group is over.
    #[schema(example = "2026-12-01T10:00@bund")]
    slot: Option<String>,
    /// Where to send it, as of an order. Left out: the default of the member's `addresses`.
    #[schema(value_type = Option<Object>)]
    address: Option<Address>,
    /// The `id` of one of the member's `addresses`, in its place.
    address_id: Option<String>,
    /// Which account gets the credit, of a top-up that asks for it.
    account: Option<String>,
    /// Pay so many points, and the rest in money, where the price allows it.
    points: Option<i64>,
    /// Pay up to so much money, in minor units, and the rest in points, where the price allows it.
    cash: Option<i64>,
    /// How the money is paid: `cash_on_delivery`, or another way that the program names.
    tender: Option<String>,
    /// The store, for rewards that are offered in some stores only.
    store: Option<String>,
    /// The channel, for rewards that are offered through some channels only.
    channel: Option<String>,
}

/// Who joins a group, and what they choose.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct JoinRequest {
    /// `mem_…`; or give `external_id` or `card`.
    member_id: Option<String>,
    /// The brand's own number of the member.
    external_id: Option<String>,
    /// The member's card: the text of its QR code, or the number of its bar code.
    card: Option<String>,
    /// Which variant, of a reward that has some: each member's own, as all of the choice.
    variant: Option<String>,
    /// Which slot, of a service that is had by appointment; it begins once the group is over.
    #[schema(example = "2026-12-01T10:00@bund")]
    slot: Option<String>,
    /// Where to send it, as of an order. Left out: the default of the member's `addresses`.
    #[schema(value_type = Option<Object>)]
    address: Option<Address>,
    /// The `id` of one of the member's `addresses`, in its place.
    address_id: Option<String>,
    /// Which account gets the credit, of a top-up that asks for it.
    account: Option<String>,
    /// Pay so many points, and the rest in money, where the price allows it.
    points: Option<i64>,
    /// Pay up to so much money, in minor units, and the rest in points, where the price allows it.
    cash: Option<i64>,
    /// How the money is paid: `cash_on_delivery`, or another way that the program names.
    tender: Option<String>,
    /// The store, for rewards that are offered in some stores only.
    store: Option<String>,
    /// The channel, for rewards that are offered through some channels only.
    channel: Option<String>,
}

/// Who leaves a group.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LeaveRequest {
    /// `mem_…`; or give `external_id` or `card`.
    member_id: Option<String>,
    /// The brand's own number of the member.
    external_id: Option<String>,
    /// The member's card: the text of its QR code, or the number of its bar code.
    card: Option<String>,
    /// As in joining; nothing depends on it.
    #[serde(rename = "store")]
    _store: Option<String>,
    /// As in joining; nothing depends on it.
    #[serde(rename = "channel")]
    _channel: Option<String>,
}

/// A group. Who is in it is not told.
#[derive(Serialize, ToSchema)]
struct GroupView {
    /// What friends join by.
    code: String,
    /// The page of the portal where they do.
    link: String,
    /// What is ordered.
    reward_id: String,
    /// How many members it takes.
    members: usize,
    /// How many have joined, and their money is there or will be taken by hand.
    joined: usize,
    /// Per cent of the price that each pays.
    #[schema(example = "80")]
    percent: String,
    /// Until when it must be full, RFC 3339.
    ends_at: String,
    /// `open`, `full`: its orders go on, or `not_full`: its orders are given back.
    state: &'static str,
    /// The order of the member who was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
}

impl GroupView {
    fn new(state: &AppState, code: &str, group: &Group, order: Option<OrderId>) -> Self {
        Self {
            code: code.to_owned(),
            link: state.people.link(&format!("/portal/groups/{code}")),
            reward_id: group.reward_id.clone(),
            members: group.size,
            joined: group.joined(),
            percent: group.percent.normalize().to_string(),
            ends_at: group.ends_at.to_string(),
            state: group.stage.name(),
            order_id: order.map(|order| order.to_string()),
        }
    }
}

/// Open a group for a reward, and order in it as the first: the points are set aside, and the order waits until the group is
/// full. When it is not full in time, all its orders are given back.
#[utoipa::path(post, path = "/v1/groups", tag = "orders",
    security(("key" = ["orders:write"])), request_body = OpenRequest,
    params(("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The group, and the member's order in it", body = GroupView),
        (status = 404, body = Problem),
        (status = 409, description = "`reward_not_offered`: among others where it has no price for groups, \
            `slot_not_offered`: among others where it begins before the group is over, `insufficient_points`, \
            `out_of_stock`, `limit_reached` or `waiting_room_required`; `split_not_offered`, `tender_not_offered` or \
            `payment_declined`", body = Problem),
        (status = 422, description = "`choice_needed`: a variant, slot, address or account is missing; or what is said of \
            it does not fit", body = Problem)))]
async fn open(
    State(state): State<AppState>,
    actor: Actor,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<OpenRequest>,
) -> Result<(StatusCode, Json<GroupView>), Problem> {
    let OpenRequest { member_id, external_id, card, reward_id, store, channel, .. } = request;
    let tendering = tendering(&state, request.tender.as_deref(), (request.points, request.cash))?;
    let OpenRequest { variant, slot, address, address_id, account, .. } = request;
    let said = Said { variant, slot, address, address_id, account };
    let member = named_member(&state, member_id.as_deref(), external_id.as_deref(), card.as_deref()).await?;
    let place = Place { store, channel };
    let joiner = Joiner { member, place, channel: "api", actor: Some(actor.name()), said, tendering };
    let (code, group) = groups::open(&state, joiner, &reward_id, &key).await?;
    let order = group.order_of(&groups::accounts_of(&state, member).await?);
    Ok((StatusCode::CREATED, Json(GroupView::new(&state, &code, &group, order))))
}

/// Get a group.
#[utoipa::path(get, path = "/v1/groups/{code}", tag = "orders",
    security(("key" = ["orders:read"])), params(("code" = String, Path)),
    responses((status = 200, body = GroupView), (status = 404, body = Problem)))]
async fn get(State(state): State<AppState>, Path(code): Path<String>) -> Result<Json<GroupView>, Problem> {
    let group = groups::find(&state, &code).await?.ok_or_else(unknown)?;
    Ok(Json(GroupView::new(&state, &code, &group, None)))
}

fn unknown() -> Problem {
    Problem::not_found("unknown_group", "there is no such group; its code may be mistyped or old")
}

/// Join a group: order in it at its price. Who is in it already stays so, with one order.
#[utoipa::path(post, path = "/v1/groups/{code}/join", tag = "orders",
    security(("key" = ["orders:write"])), request_body = JoinRequest, params(("code" = String, Path)),
    responses((status = 200, body = GroupView), (status = 404, body = Problem),
        (status = 409, description = "`group_over`: it is full or its time is over; or what an order is refused with",
            body = Problem),
        (status = 422, description = "`choice_needed`: a variant, slot, address or account is missing; or what is said of \
            it does not fit", body = Problem)))]
async fn join(
    State(state): State<AppState>,
    actor: Actor,
    Path(code): Path<String>,
    Body(request): Body<JoinRequest>,
) -> Result<Json<GroupView>, Problem> {
    let JoinRequest { member_id, external_id, card, store, channel, .. } = request;
    let tendering = tendering(&state, request.tender.as_deref(), (request.points, request.cash))?;
    let JoinRequest { variant, slot, address, address_id, account, .. } = request;
    let said = Said { variant, slot, address, address_id, account };
    let member = named_member(&state, member_id.as_deref(), external_id.as_deref(), card.as_deref()).await?;
    let joiner =
        Joiner { member, place: Place { store, channel }, channel: "api", actor: Some(actor.name()), said, tendering };
    let group = groups::join(&state, joiner, &code).await?;
    let order = group.order_of(&groups::accounts_of(&state, member).await?);
    Ok(Json(GroupView::new(&state, &code, &group, order)))
}

/// Leave a group that is not full yet: the points come back, and the place is free.
#[utoipa::path(post, path = "/v1/groups/{code}/leave", tag = "orders",
    security(("key" = ["orders:write"])), request_body = LeaveRequest, params(("code" = String, Path)),
    responses((status = 200, body = GroupView), (status = 404, body = Problem),
        (status = 409, description = "`group_over`: it is full or over, or the member is not in it", body = Problem)))]
async fn leave(
    State(state): State<AppState>,
    Path(code): Path<String>,
    Body(request): Body<LeaveRequest>,
) -> Result<Json<GroupView>, Problem> {
    let LeaveRequest { member_id, external_id, card, .. } = request;
    let member = named_member(&state, member_id.as_deref(), external_id.as_deref(), card.as_deref()).await?;
    let group = groups::leave(&state, &code, member).await?;
    Ok(Json(GroupView::new(&state, &code, &group, None)))
}
