//! Backtests of drafts: begun, looked at while they run, cancelled.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use guerdon_backtest::Backtest;
use guerdon_core::identity::Permission;
use guerdon_core::program::{DRAFT, Draft};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Params, Path};
use crate::AppState;
use crate::backtests::{self, Run, Window};
use crate::identity::actor::Actor;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(start)).routes(routes!(list)).routes(routes!(get)).routes(routes!(cancel))
}

/// How far a backtest is.
#[derive(Serialize, ToSchema)]
struct BacktestProgress {
    /// Activities that both sides have decided.
    done: u64,
    /// Activities that were recorded when it began; 0 before it does.
    total: u64,
}

/// A backtest of a draft.
#[derive(Serialize, ToSchema)]
struct BacktestView {
    /// `bkt_…`.
    id: String,
    /// The draft, `drf_…`.
    draft: String,
    /// The draft's version when the backtest was asked for: its `ETag`.
    draft_version: i64,
    /// Whether what the draft changes is something else by now, or the draft is gone.
    outdated: bool,
    /// `queued`, `running`, `done`, `failed` or `cancelled`.
    state: &'static str,
    /// From when on the draft holds and figures are counted, RFC 3339; left out: from the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// Up to when, not included; left out: up to when it was run.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// Who asked for it.
    requested_by: String,
    /// RFC 3339.
    requested_at: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// How far it is.
    progress: BacktestProgress,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
    /// What it came to, as `guerdon backtest --json` tells it; only where one backtest is asked for. Which members are most
    /// affected, and who was refused what for which reason, is told to whoever may read members.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
}

fn view(id: &str, run: &Run, draft: Option<&Draft>) -> BacktestView {
    BacktestView {
        id: id.to_owned(),
        draft: run.draft.clone(),
        draft_version: run.draft_version,
        outdated: !draft.is_some_and(|draft| run.is_of(draft)),
        state: run.stage.name(),
        from: run.from.map(|from| from.to_string()),
        to: run.until.map(|until| until.to_string()),
        requested_by: run.requested_by.clone(),
        requested_at: run.requested_at.to_string(),
        ended_at: run.ended_at.map(|at| at.to_string()),
        progress: BacktestProgress { done: run.done, total: run.total },
        trouble: run.trouble.clone(),
        result: None,
    }
}

/// A result as it is told to an actor: members stand in it for whoever may read them.
fn told(actor: &Actor, result: &Backtest) -> Value {
    if actor.may(Permission::MembersRead) {
        return json!(result);
    }
    let mut told = result.clone();
    let comparison = &mut told.comparison;
    comparison.most_affected.clear();
    // How many there were of each code stays.
    comparison.sides.live.refusals.clear();
    comparison.sides.draft.refusals.clear();
    json!(told)
}

async fn draft(state: &AppState, id: &str) -> Result<Option<Draft>, Problem> {
    let record = state.reader.record(DRAFT, id, state.clock()).await?;
    Ok(record.map(|record| record.read()).transpose()?)
}

async fn one(state: &AppState, actor: &Actor, id: &str) -> Result<BacktestView, Problem> {
    let (_, run) = backtests::find(state, id).await?;
    let draft = draft(state, &run.draft).await?;
    let result = run.result.as_deref().map(|result| told(actor, result));
    Ok(BacktestView { result, ..view(id, &run, draft.as_ref()) })
}

/// Begin a backtest: everything that was recorded, by the rules in force and by the draft, side by side. It changes nothing,
/// and runs in the background, one at a time. One that is on its way already is not begun twice.
#[utoipa::path(post, path = "/v1/drafts/{draft_id}/backtest", tag = "configuration",
    security(("key" = ["program:write"])), params(("draft_id" = String, Path)),
    request_body(content = Window, example = json!({"from": "2026-01-01"})),
    responses((status = 202, description = "It waits for its turn; `Location` is where to look", body = BacktestView),
        (status = 404, body = Problem),
        (status = 422, description = "`invalid_draft`; `invalid_backtest`: the time it is to count", body = Problem),
        (status = 503, description = "`too_many_backtests`: they wait or run already", body = Problem)))]
async fn start(
    State(state): State<AppState>,
    actor: Actor,
    Path(draft_id): Path<String>,
    Body(window): Body<Window>,
) -> Result<Response, Problem> {
    let id = backtests::start(&state, &actor, &draft_id, &window).await?;
    let location = HeaderValue::from_str(&format!("/v1/backtests/{id}")).unwrap_or(HeaderValue::from_static("/"));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(one(&state, &actor, &id).await?)).into_response())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListParams {
    /// Of which draft, `drf_…`.
    draft: String,
}

/// The latest backtests of a draft, the latest first, without what they came to. They are kept for thirty days.
#[utoipa::path(get, path = "/v1/backtests", tag = "configuration", security(("key" = ["program:read"])),
    params(ListParams), responses((status = 200, body = Vec<BacktestView>)))]
async fn list(
    State(state): State<AppState>,
    Params(params): Params<ListParams>,
) -> Result<Json<Vec<BacktestView>>, Problem> {
    let draft = draft(&state, &params.draft).await?;
    let found = backtests::list(&state, &params.draft).await?;
    Ok(Json(found.iter().map(|(record, run)| view(&record.id, run, draft.as_ref())).collect()))
}

/// One backtest: how far it is, and what it came to.
#[utoipa::path(get, path = "/v1/backtests/{backtest_id}", tag = "configuration", security(("key" = ["program:read"])),
    params(("backtest_id" = String, Path)),
    responses((status = 200, body = BacktestView), (status = 404, body = Problem)))]
async fn get(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<BacktestView>, Problem> {
    Ok(Json(one(&state, &actor, &id).await?))
}

/// Cancel a backtest that has not ended. One that runs stops within a second or two.
#[utoipa::path(post, path = "/v1/backtests/{backtest_id}/cancel", tag = "configuration",
    security(("key" = ["program:write"])), params(("backtest_id" = String, Path)),
    responses((status = 200, body = BacktestView), (status = 404, body = Problem),
        (status = 409, description = "`wrong_stage`: it has ended", body = Problem)))]
async fn cancel(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<BacktestView>, Problem> {
    backtests::cancel(&state, &actor, &id).await?;
    Ok(Json(one(&state, &actor, &id).await?))
}
