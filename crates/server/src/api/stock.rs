//! Stock: what is there of a reward, restocking, and who may have how much of it.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::Restocking;
use guerdon_core::rewards::{CompiledReward, Place, Pool, StockLevel, Viewer};
use guerdon_core::time::Timestamp;
use guerdon_store::Tries;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, IdempotencyKey, Params, Path, id, receipt};
use super::members::unknown_member;
use super::rewards::unknown_reward;
use crate::AppState;
use crate::acts::By;
use crate::identity::actor::Actor;
use crate::problem::Problem;
use crate::scarcity;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(restock)).routes(routes!(stock)).routes(routes!(access))
}

/// The reward of an id, as it is offered now.
pub(super) fn offered(state: &AppState, id: &str) -> Result<Arc<CompiledReward>, Problem> {
    let program = state.program();
    program.offered_at(id, state.engine.now()).cloned().ok_or_else(|| unknown_reward(id))
}

/// Units that come into stock, or out of it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RestockRequest {
    /// How many; negative where a count found that they are not there.
    quantity: i64,
    /// Into which pool; left out: the reward has none.
    pool: Option<String>,
    /// Why.
    reason: String,
}

/// Restock a reward, or take out of its stock what a count did not find. What is promised to orders cannot be taken out.
#[utoipa::path(post, path = "/v1/rewards/{reward_id}/restock", tag = "rewards",
    security(("key" = ["stock:write"])), request_body = RestockRequest,
    params(("reward_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt; `restock` says what came in", body = Object),
        (status = 404, description = "`unknown_reward` or `unknown_pool`", body = Problem),
        (status = 409, description = "`stock_unlimited` or `stock_reserved`", body = Problem),
        (status = 422, body = Problem)))]
async fn restock(
    State(state): State<AppState>,
    actor: Actor,
    Path(reward_id): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Body(request): Body<RestockRequest>,
) -> Result<Response, Problem> {
    let RestockRequest { quantity, pool, reason } = request;
    let by = By { actor: &actor, key: &key, channel: "api", reason: &reason };
    let wanted = Restocking { reward_id, pool, quantity, planned_at: None };
    receipt(Ok(scarcity::restock::restock(&state, &by, wanted).await?))
}

/// A part of a reward's stock.
#[derive(Serialize, ToSchema)]
struct StockView {
    /// The pool; left out: the reward has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    /// Units to begin with.
    initial: i64,
    /// Units added since, less those that a count did not find.
    restocked: i64,
    /// Units handed out.
    issued: i64,
    /// Units there, promised or not.
    on_hand: i64,
    /// Units promised to orders that are not fulfilled yet.
    reserved: i64,
    /// Units that can still be promised.
    free: i64,
    /// Whether that is a tenth or less of what there was.
    low: bool,
    /// When units were last added.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    restocked_at: Option<Timestamp>,
    /// When units come in by themselves next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextView>,
}

/// Units that come in by themselves.
#[derive(Serialize, ToSchema)]
struct NextView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// How many.
    quantity: i64,
}

/// Get the stock of a reward: one part, or one for each of its pools; none where it is unlimited.
#[utoipa::path(get, path = "/v1/rewards/{reward_id}/stock", tag = "rewards",
    security(("key" = ["rewards:read@store"])), params(("reward_id" = String, Path)),
    responses((status = 200, body = Vec<StockView>), (status = 404, body = Problem)))]
async fn stock(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<Vec<StockView>>, Problem> {
    let offered = offered(&state, &id)?;
    let keys: Vec<(String, Option<&Pool>)> = offered.stock_keys().collect();
    let stock = state.reader.stock_of(&keys.iter().map(|(key, _)| key).collect::<Vec<_>>()).await?;
    let (program, now) = (state.program(), state.engine.now());
    let view = |(key, pool): &(String, Option<&Pool>)| {
        let level: &StockLevel = stock.get(key)?;
        let pool = pool.map(|pool| pool.id.clone());
        let next = offered.next_restock(&program.calendar, pool.as_deref(), now);
        let StockLevel { initial, restocked, issued, on_hand, reserved, restocked_at } = *level;
        let (free, low) = (level.free(), level.few().is_some());
        let next = next.map(|(at, quantity)| NextView { at, quantity });
        Some(StockView { pool, initial, restocked, issued, on_hand, reserved, free, low, restocked_at, next })
    };
    Ok(Json(keys.iter().filter_map(view).collect()))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AccessParams {
    /// `mem_…`.
    member_id: String,
    /// In this store.
    store: Option<String>,
    /// Through this channel.
    channel: Option<String>,
}

/// What a member may have of a reward, and why.
#[derive(Serialize, ToSchema)]
struct AccessView {
    /// Whether it is offered to the member now.
    offered: bool,
    /// Why it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Its stock by parts; none where it is unlimited.
    parts: Vec<PartView>,
    /// The presale, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    presale: Option<PresaleView>,
    /// The orders that found nothing left, where something is kept for those who make them.
    #[serde(skip_serializing_if = "Option::is_none")]
    tries: Option<TriesView>,
}

/// A part of a reward's stock, as it is for a member.
#[derive(Serialize, ToSchema)]
struct PartView {
    /// The pool; left out: the reward has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    /// Units that the member may have now.
    units: i64,
    /// Why it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// The right of those who spent most to come earlier, and whether a member has it. Money is in minor units of the program.
#[derive(Serialize, ToSchema)]
struct PresaleView {
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// When everybody comes.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// What the member spent in the months that count.
    spent: i64,
    /// Whether the member takes part; left out: it was not found out yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    takes_part: Option<bool>,
    /// What must have been spent; left out: it was not found out yet, or nobody spent anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<i64>,
    /// How many members spent anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<i64>,
    /// How many of them take part.
    #[serde(skip_serializing_if = "Option::is_none")]
    taking_part: Option<i64>,
    /// When that was found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    computed_at: Option<Timestamp>,
}

/// The orders of a member that found nothing left.
#[derive(Serialize, ToSchema)]
struct TriesView {
    /// How many count; remembered about a second after they were refused.
    counted: i64,
    /// How many are needed.
    needed: i64,
    /// Since when there were enough of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    enough_since: Option<Timestamp>,
}

/// Explain what a member may have of a reward now: tiers, early access, presale, pools, and what is kept.
#[utoipa::path(get, path = "/v1/rewards/{reward_id}/access", tag = "rewards",
    security(("key" = ["members:read"])), params(("reward_id" = String, Path), AccessParams),
    responses((status = 200, body = AccessView), (status = 404, body = Problem)))]
async fn access(
    State(state): State<AppState>,
    Path(reward_id): Path<String>,
    Params(params): Params<AccessParams>,
) -> Result<Json<AccessView>, Problem> {
    let AccessParams { member_id, store, channel } = params;
    let found = state.reader.resolve(id::<MemberId>(&member_id)?).await?;
    let (member, account) = found.ok_or_else(|| unknown_member(&member_id))?;
    let place = Place { store, channel };
    place.validate().map_err(|problem| Problem::bad_request("invalid_query", problem))?;
    let offered = offered(&state, &reward_id)?;
    let keys: Vec<(String, Option<&Pool>)> = offered.stock_keys().collect();
    let stock = state.reader.stock_of(&keys.iter().map(|(key, _)| key).collect::<Vec<_>>()).await?;
    let private = scarcity::may_private(&state, member, &offered).await?;
    let presale = match offered.presale() {
        None => None,
        Some(time) => {
            let found = state.reader.presale(&reward_id, time).await?;
            let (spent, threshold) = (time.spent(&account.standing), found.as_ref().and_then(|found| found.threshold));
            let takes_part = found.as_ref().map(|_| threshold.is_some_and(|least| spent > 0 && spent >= least));
            let (members, taking_part) = found.as_ref().map(|found| (found.members, found.taking_part)).unzip();
            let computed_at = found.map(|found| found.computed_at);
            let (from, to) = (time.from, time.to);
            Some(PresaleView { from, to, spent, takes_part, threshold, members, taking_part, computed_at })
        }
    };
    let tries = match &offered.reward.scarcity.private_window {
        None => None,
        Some(window) => {
            let tries = state.reader.tries(&reward_id, member).await?;
            let used = tries.enough_since.is_some_and(|since| account.history.has_used_right(&reward_id, since));
            let tries = if used { Tries::default() } else { tries };
            let counted = i64::try_from(tries.at.len()).unwrap_or(i64::MAX);
            Some(TriesView { counted, needed: window.after_tries, enough_since: tries.enough_since })
        }
    };
    let thresholds = state.catalogue.scarce.thresholds();
    let program = state.program();
    let viewer = Viewer::new(&program, Some(&account), &place, state.engine.now()).with_presale(&thresholds);
    let part = |(key, pool): &(String, Option<&Pool>)| {
        let level = stock.get(key)?;
        let (units, why) = match viewer.share(&offered, *pool, level, private) {
            Ok(share) => (share.units, None),
            Err(shut) => (0, Some(shut.to_string())),
        };
        Some(PartView { pool: pool.map(|pool| pool.id.clone()), units, why })
    };
    let why = viewer.sees(&offered).err().map(|why| why.to_string());
    let parts = keys.iter().filter_map(part).collect();
    Ok(Json(AccessView { offered: why.is_none(), why, parts, presale, tries }))
}
