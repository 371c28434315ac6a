//! Drafts of new configuration: written, compared, submitted, decided, withdrawn.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use guerdon_core::program::{Draft, Move};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::configuration::DifferenceView;
use super::extract::{Body, Path};
use crate::AppState;
use crate::drafts::{self, DraftInput, Submitted};
use crate::identity::actor::Actor;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, edit, delete))
        .routes(routes!(comparison))
        .routes(routes!(submit))
        .routes(routes!(decide))
        .routes(routes!(withdraw))
}

/// A draft in a list.
#[derive(Serialize, ToSchema)]
struct DraftLine {
    /// `drf_…`.
    id: String,
    /// What it is about.
    title: String,
    /// `draft`, `submitted`, `approved`, `scheduled`, `effective`, `retired` or `withdrawn`.
    state: &'static str,
    /// Who began it.
    author: String,
    /// From when on it holds, or is to hold, RFC 3339; left out: as soon as it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_from: Option<String>,
    /// The documents that it changes: `rule base`.
    changes: Vec<String>,
}

/// A draft.
#[derive(Serialize, ToSchema)]
pub(super) struct DraftView {
    /// `drf_…`.
    id: String,
    /// `draft`, `submitted`, `approved`, `scheduled`, `effective`, `retired` or `withdrawn`.
    state: &'static str,
    /// All of it: title, author, changes, effective_from, announcement, override_reason, approval, announced_at, brought
    /// (the versions that it has brought), history.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    draft: Value,
    /// What happened to it, oldest first.
    #[schema(value_type = Vec<Object>)]
    history: Vec<Move>,
}

fn view(state: &AppState, id: &str, draft: &Draft) -> DraftView {
    let mut fields = json!(draft);
    if let Some(fields) = fields.as_object_mut() {
        // `state` says it as people see it; who may not decide is nobody's reading.
        ["stage", "people", "history"].iter().for_each(|field| drop(fields.shift_remove(*field)));
    }
    let state = drafts::standing(state, draft).name();
    DraftView { id: id.to_owned(), state, draft: fields, history: draft.history.clone() }
}

/// Answers with a draft, its version as `ETag`.
async fn answer(state: &AppState, status: StatusCode, id: &str) -> Result<Response, Problem> {
    let (record, draft) = drafts::find(state, id).await?;
    let mut response = (status, Json(view(state, id, &draft))).into_response();
    let headers = response.headers_mut();
    for (name, value) in
        [(header::ETAG, format!("\"{}\"", record.version)), (header::LOCATION, format!("/v1/drafts/{id}"))]
    {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

/// The version that `If-Match` names.
fn seen(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let tag = value.to_str().ok().and_then(|text| text.trim().strip_prefix('"')?.strip_suffix('"'));
    let wrong = || Problem::bad_request("invalid_header", "`If-Match` must be the `ETag` of the draft as it was read");
    tag.and_then(|tag| tag.parse().ok()).map(Some).ok_or_else(wrong)
}

/// List drafts, those that were changed last first.
#[utoipa::path(get, path = "/v1/drafts", tag = "configuration", security(("key" = ["program:read"])),
    responses((status = 200, body = Vec<DraftLine>)))]
async fn list(State(state): State<AppState>) -> Result<Json<Vec<DraftLine>>, Problem> {
    let line = |(record, draft): (guerdon_store::Record, Draft)| DraftLine {
        state: drafts::standing(&state, &draft).name(),
        id: record.id,
        effective_from: draft.effective_from.map(|from| from.to_string()),
        changes: draft.changes.iter().map(|change| format!("{} {}", change.kind, change.id)).collect(),
        title: draft.title,
        author: draft.author,
    };
    Ok(Json(drafts::list(&state).await?.into_iter().map(line).collect()))
}

/// Begin a draft: changes of one or more documents that are to hold together from one moment on.
#[utoipa::path(post, path = "/v1/drafts", tag = "configuration", security(("key" = ["program:write"])),
    request_body(content = DraftInput, example = json!({"title": "Half a point more",
        "changes": [{"kind": "rule", "document": {"id": "base", "name": "Base", "trigger": "purchase",
            "effect": {"type": "points_per_money", "rate": "1.5"}}}]})),
    responses((status = 201, body = DraftView),
        (status = 422, description = "`invalid_draft`, with the place of the error", body = Problem)))]
async fn create(
    State(state): State<AppState>,
    actor: Actor,
    Body(input): Body<DraftInput>,
) -> Result<Response, Problem> {
    let id = drafts::create(&state, &actor, input).await?;
    answer(&state, StatusCode::CREATED, &id).await
}

/// One draft. Its `ETag` is for changing it.
#[utoipa::path(get, path = "/v1/drafts/{draft_id}", tag = "configuration", security(("key" = ["program:read"])),
    params(("draft_id" = String, Path)), responses((status = 200, body = DraftView), (status = 404, body = Problem)))]
async fn get(State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, Problem> {
    answer(&state, StatusCode::OK, &id).await
}

/// Write a draft anew. One that was submitted is a draft again.
#[utoipa::path(put, path = "/v1/drafts/{draft_id}", tag = "configuration", security(("key" = ["program:write"])),
    params(("draft_id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = DraftInput,
    responses((status = 200, body = DraftView), (status = 404, body = Problem),
        (status = 409, description = "`wrong_stage`", body = Problem),
        (status = 412, description = "`draft_changed`: somebody has changed it since it was read", body = Problem),
        (status = 422, description = "`invalid_draft`, with the place of the error", body = Problem)))]
async fn edit(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(input): Body<DraftInput>,
) -> Result<Response, Problem> {
    drafts::edit(&state, &actor, &id, seen(&headers)?, input).await?;
    answer(&state, StatusCode::OK, &id).await
}

/// Delete a draft that was never submitted.
#[utoipa::path(delete, path = "/v1/drafts/{draft_id}", tag = "configuration", security(("key" = ["program:write"])),
    params(("draft_id" = String, Path)), responses((status = 204), (status = 404, body = Problem),
        (status = 409, description = "`wrong_stage`", body = Problem)))]
async fn delete(State(state): State<AppState>, actor: Actor, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    drafts::delete(&state, &actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A draft beside what holds when it takes effect.
#[derive(Serialize, ToSchema)]
struct ComparisonView {
    /// What it changes.
    differences: Vec<DifferenceView>,
    /// Whether anything is for the worse, or cannot be judged.
    adverse: bool,
    /// The earliest moment for it without an override, were it agreed to now; RFC 3339.
    earliest: String,
    /// From when on it would hold.
    effective_from: String,
    /// Whether it can be submitted as it is.
    ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// Compare a draft with what holds when it takes effect: field by field, better or worse for members.
#[utoipa::path(get, path = "/v1/drafts/{draft_id}/comparison", tag = "configuration",
    security(("key" = ["program:read"])), params(("draft_id" = String, Path)),
    responses((status = 200, body = ComparisonView), (status = 404, body = Problem)))]
async fn comparison(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<ComparisonView>, Problem> {
    let (_, draft) = drafts::find(&state, &id).await?;
    let judged = drafts::judge(&state, &draft, None)?;
    let problem = judged.check().err();
    Ok(Json(ComparisonView {
        adverse: judged.is_adverse(),
        earliest: judged.earliest.to_string(),
        effective_from: judged.from.to_string(),
        ready: problem.is_none(),
        problem,
        differences: judged.differences.into_iter().map(DifferenceView::from).collect(),
    }))
}

/// Why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reason {
    /// Why.
    reason: String,
}

/// Submit a draft to another operator. Where the policy asks for nobody else it is published at once.
#[utoipa::path(post, path = "/v1/drafts/{draft_id}/submit", tag = "configuration",
    security(("key" = ["program:write"])), params(("draft_id" = String, Path)), request_body = Reason,
    responses((status = 200, description = "Published", body = DraftView),
        (status = 202, description = "Waits for another operator", body = DraftView), (status = 404, body = Problem),
        (status = 409, description = "`wrong_stage`, `draft_outdated`", body = Problem),
        (status = 422, description = "`invalid_draft`; `adverse_too_soon`: names what is for the worse, and the earliest \
            moment", body = Problem)))]
async fn submit(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<String>,
    Body(body): Body<Reason>,
) -> Result<Response, Problem> {
    let status = match drafts::submit(&state, &actor, &id, &body.reason).await? {
        Submitted::Waits => StatusCode::ACCEPTED,
        Submitted::Published => StatusCode::OK,
    };
    answer(&state, status, &id).await
}

/// A decision.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DraftDecision {
    /// Whether it is to be published.
    approve: bool,
    /// A word to whoever submitted it.
    #[serde(default)]
    note: String,
}

/// Approve or reject a draft that another person has written and submitted. What is approved is published for its moment.
#[utoipa::path(post, path = "/v1/drafts/{draft_id}/decision", tag = "configuration",
    security(("key" = ["approvals:decide"])), params(("draft_id" = String, Path)), request_body = DraftDecision,
    responses((status = 200, body = DraftView), (status = 403, description = "`four_eyes`", body = Problem),
        (status = 404, body = Problem), (status = 409, description = "`wrong_stage`, `draft_outdated`", body = Problem)))]
async fn decide(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<String>,
    Body(decision): Body<DraftDecision>,
) -> Result<Response, Problem> {
    drafts::decide(&state, &actor, &id, decision.approve, &decision.note).await?;
    answer(&state, StatusCode::OK, &id).await
}

/// Give a draft up. What is scheduled is taken back before it holds.
#[utoipa::path(post, path = "/v1/drafts/{draft_id}/withdraw", tag = "configuration",
    security(("key" = ["program:write"])), params(("draft_id" = String, Path)), request_body = Reason,
    responses((status = 200, body = DraftView), (status = 404, body = Problem),
        (status = 409, description = "`wrong_stage`: what holds already is changed by a new draft", body = Problem)))]
async fn withdraw(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<String>,
    Body(body): Body<Reason>,
) -> Result<Response, Problem> {
    drafts::withdraw(&state, &actor, &id, &body.reason).await?;
    answer(&state, StatusCode::OK, &id).await
}
