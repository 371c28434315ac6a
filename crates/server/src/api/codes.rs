//! Codes: into the vault, how many there are, and those that an order was given.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use guerdon_core::id::OrderId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Path, id};
use crate::AppState;
use crate::fulfilment::codes::{self, OpenCode, Terms};
use crate::identity::actor::Actor;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(upload, counts)).routes(routes!(of_order))
}

/// Codes for the vault.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CodesRequest {
    /// 1 to 5,000 codes of 4 to 200 characters; the space around them does not count.
    codes: Vec<String>,
}

/// How many codes a reward has.
#[derive(Serialize, ToSchema)]
struct CodeCountsView {
    /// In the vault.
    free: i64,
    /// Set aside for orders that are being fulfilled.
    claimed: i64,
    /// Handed out.
    issued: i64,
}

async fn counted(state: &AppState, reward: &str) -> Result<CodeCountsView, Problem> {
    let counts = state.reader.code_counts(&[reward]).await?.get(reward).copied().unwrap_or_default();
    Ok(CodeCountsView { free: counts.free, claimed: counts.claimed, issued: counts.issued })
}

/// Put codes into the vault of a reward whose `fulfilment` is `{ by = "vault" }`. All are taken or none: a code that is in a
/// vault already refuses the list, and the problem names its number in it. Codes are kept encrypted; no answer shows one.
#[utoipa::path(post, path = "/v1/rewards/{reward_id}/codes", tag = "codes",
    security(("key" = ["codes:write"])), request_body = CodesRequest, params(("reward_id" = String, Path)),
    responses((status = 201, description = "How many there are now", body = CodeCountsView),
        (status = 404, body = Problem), (status = 409, description = "`no_vault`, `duplicate_codes` or `too_many_codes`", body = Problem),
        (status = 422, description = "`invalid_codes`", body = Problem)))]
async fn upload(
    State(state): State<AppState>,
    actor: Actor,
    Path(reward): Path<String>,
    Body(request): Body<CodesRequest>,
) -> Result<(StatusCode, Json<CodeCountsView>), Problem> {
    codes::upload(&state, &actor, &reward, &request.codes).await?;
    Ok((StatusCode::CREATED, Json(counted(&state, &reward).await?)))
}

/// How many codes a reward has, free and handed out.
#[utoipa::path(get, path = "/v1/rewards/{reward_id}/codes", tag = "codes",
    security(("key" = ["rewards:read"])), params(("reward_id" = String, Path)),
    responses((status = 200, body = CodeCountsView), (status = 404, body = Problem)))]
async fn counts(State(state): State<AppState>, Path(reward): Path<String>) -> Result<Json<CodeCountsView>, Problem> {
    if state.program().reward(&reward).is_none() {
        return Err(super::rewards::unknown_reward(&reward));
    }
    counted(&state, &reward).await.map(Json)
}

/// A code that an order was given.
#[derive(Serialize, ToSchema)]
struct CodeView {
    /// The reward of the bundle that it is for; left out: the order is for no bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    /// Its number within the order, or within the part of a bundle, from 1.
    unit: i64,
    /// The code.
    code: String,
    /// What a coupon is worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<Terms>,
}

impl From<OpenCode> for CodeView {
    fn from(OpenCode { part, unit, code, terms }: OpenCode) -> Self {
        Self { part, unit, code, terms }
    }
}

/// The codes that an order was given. Each reading is put down in the audit log. Empty: nothing was handed out, or the member
/// was erased.
#[utoipa::path(get, path = "/v1/orders/{order_id}/codes", tag = "codes",
    security(("key" = ["codes:read"])), params(("order_id" = String, Path)),
    responses((status = 200, body = Vec<CodeView>), (status = 404, body = Problem)))]
async fn of_order(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
) -> Result<([(&'static str, &'static str); 1], Json<Vec<CodeView>>), Problem> {
    let order: OrderId = id(&text)?;
    let found = state.reader.order(order).await?;
    let order = found.ok_or_else(|| Problem::not_found("unknown_order", format!("there is no order {order}")))?;
    let codes = codes::read_by_staff(&state, &actor, &order).await?;
    Ok(([("cache-control", "no-store")], Json(codes.into_iter().map(CodeView::from).collect())))
}
