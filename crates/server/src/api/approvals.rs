//! What waits for another operator: the queue, the decisions, the limits, and the publication of programs.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use guerdon_core::program::Bundle;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Params, Path};
use crate::AppState;
use crate::approvals::{self, Act, Approval, ApprovalPolicy, Permit, Stage};
use crate::drafts;
use crate::identity::actor::Actor;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(decide))
        .routes(routes!(carry_out_again))
        .routes(routes!(policy, put_policy))
        .routes(routes!(publish))
}

/// Something that waits for another operator, or did.
#[derive(Serialize, ToSchema)]
pub struct ApprovalView {
    /// `apr_…`.
    id: String,
    /// `waiting`, `approved`, `done`, `failed` or `rejected`.
    stage: &'static str,
    /// What is to be done.
    #[schema(value_type = Object)]
    act: Value,
    /// Why.
    reason: String,
    /// Who asked.
    requested_by: String,
    /// RFC 3339.
    requested_at: String,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<String>,
    /// What the decider said.
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
    /// What came of it: a receipt, or a problem.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Object)]
    outcome: Value,
}

fn view(id: &str, approval: Approval) -> ApprovalView {
    ApprovalView {
        id: id.to_owned(),
        stage: approval.stage.name(),
        act: approval.act.facts(),
        reason: approval.reason,
        requested_by: approval.requested_by,
        requested_at: approval.requested_at.to_string(),
        decided_by: approval.decided_by,
        decided_at: approval.decided_at.map(|at| at.to_string()),
        note: approval.note,
        outcome: approval.outcome,
    }
}

/// The answer to a request that waits: 202, and where to look.
pub async fn waits(state: &AppState, id: &str) -> Result<Response, Problem> {
    let (_, approval) = approvals::find(state, id).await?;
    let location = HeaderValue::from_str(&format!("/v1/approvals/{id}")).unwrap_or(HeaderValue::from_static("/"));
    let head: [(HeaderName, HeaderValue); 1] = [(header::LOCATION, location)];
    Ok((StatusCode::ACCEPTED, head, Json(view(id, approval))).into_response())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListParams {
    /// Only of this stage: `waiting`, `approved`, `done`, `failed` or `rejected`.
    #[param(value_type = Option<String>)]
    stage: Option<Stage>,
}

/// What waits for another operator, and what was decided; newest first, at most 1,000.
#[utoipa::path(get, path = "/v1/approvals", tag = "approvals", security(("key" = ["approvals:read"])),
    params(ListParams), responses((status = 200, body = Vec<ApprovalView>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Params(params): Params<ListParams>,
) -> Result<Json<Vec<ApprovalView>>, Problem> {
    let found = approvals::list(&state, params.stage).await?;
    Ok(Json(found.into_iter().map(|(record, approval)| view(&record.id, approval)).collect()))
}

/// One of them.
#[utoipa::path(get, path = "/v1/approvals/{approval_id}", tag = "approvals", security(("key" = ["approvals:read"])),
    params(("approval_id" = String, Path)), responses((status = 200, body = ApprovalView), (status = 404, body = Problem)))]
async fn get(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<ApprovalView>, Problem> {
    let (_, approval) = approvals::find(&state, &id).await?;
    Ok(Json(view(&id, approval)))
}

/// A decision.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Decision {
    /// Whether it is to be done.
    approve: bool,
    /// A word to whoever asked.
    #[serde(default)]
    note: String,
}

/// Approve or reject what another person has asked for. What is approved is done at once.
#[utoipa::path(post, path = "/v1/approvals/{approval_id}/decision", tag = "approvals",
    security(("key" = ["approvals:decide"])), params(("approval_id" = String, Path)), request_body = Decision,
    responses((status = 200, body = ApprovalView), (status = 403, description = "`four_eyes`", body = Problem),
        (status = 404, body = Problem), (status = 409, description = "`decided_already`", body = Problem)))]
async fn decide(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<String>,
    Body(decision): Body<Decision>,
) -> Result<Json<ApprovalView>, Problem> {
    let approval = approvals::decide(&state, &actor, &id, decision.approve, &decision.note).await?;
    Ok(Json(view(&id, approval)))
}

/// Carry out once more what was approved, where it was cut off (`approved`) or could not be done (`failed`). Nothing is
/// done twice.
#[utoipa::path(post, path = "/v1/approvals/{approval_id}/carry-out", tag = "approvals",
    security(("key" = ["approvals:decide"])), params(("approval_id" = String, Path)),
    responses((status = 200, body = ApprovalView), (status = 403, description = "`four_eyes`", body = Problem),
        (status = 404, body = Problem), (status = 409, description = "`not_approved`", body = Problem)))]
async fn carry_out_again(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<ApprovalView>, Problem> {
    let approval = approvals::carry_out_again(&state, &actor, &id).await?;
    Ok(Json(view(&id, approval)))
}

/// From where on an act waits.
#[utoipa::path(get, path = "/v1/approval-policy", tag = "approvals", security(("key" = ["approvals:read"])),
    responses((status = 200, body = ApprovalPolicy)))]
async fn policy(State(state): State<AppState>) -> Result<Json<ApprovalPolicy>, Problem> {
    Ok(Json(approvals::policy(&state).await?))
}

/// Change from where on an act waits. The change itself waits for another operator.
#[utoipa::path(put, path = "/v1/approval-policy", tag = "approvals", security(("key" = ["operators:write"])),
    request_body = ApprovalPolicy,
    responses((status = 200, body = ApprovalPolicy), (status = 202, description = "Waits", body = ApprovalView),
        (status = 422, body = Problem)))]
async fn put_policy(
    State(state): State<AppState>,
    actor: Actor,
    Body(policy): Body<ApprovalPolicy>,
) -> Result<Response, Problem> {
    approvals::check_policy(&policy)?;
    let act = Act::Policy { policy: policy.clone() };
    match approvals::ask(&state, &actor, act, "other limits for what takes two", None).await? {
        Permit::Waits(id) => waits(&state, &id).await,
        Permit::Now => {
            approvals::put_policy(&state, &actor, &policy).await?;
            Ok(Json(policy).into_response())
        }
    }
}

/// A program file.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Publication {
    /// TOML or JSON, as in `guerdon init --program`.
    program: String,
    /// Why.
    reason: String,
    /// Why what is for the worse for members holds at once: a program file holds from its publication. A draft may be
    /// scheduled instead.
    #[serde(default)]
    override_reason: Option<String>,
}

/// Which documents a publication changed.
#[derive(Serialize, ToSchema)]
struct PublishedView {
    /// `kind id version` of each new version.
    added: Vec<String>,
    /// `kind id` of each that was retired.
    retired: Vec<String>,
}

/// Publish a program file: new versions of what differs. Waits for another operator, unless the policy says otherwise.
#[utoipa::path(post, path = "/v1/program", tag = "program", security(("key" = ["program:write"])),
    request_body = Publication,
    responses((status = 200, body = PublishedView), (status = 202, description = "Waits", body = ApprovalView),
        (status = 422, description = "`invalid_program`, with the place of the error; `adverse_too_soon`", body = Problem)))]
async fn publish(
    State(state): State<AppState>,
    actor: Actor,
    Body(publication): Body<Publication>,
) -> Result<Response, Problem> {
    // What does not compile never waits for anyone.
    let invalid = |problem: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_program", problem);
    let bundle = Bundle::parse(&publication.program).map_err(invalid)?;
    let Publication { program, reason, override_reason } = publication;
    drafts::check_notice(&state, &bundle, override_reason.as_deref())?;
    let act = Act::Publish { program: program.clone(), override_reason: override_reason.clone() };
    match approvals::ask(&state, &actor, act, &reason, None).await? {
        Permit::Waits(id) => waits(&state, &id).await,
        Permit::Now => {
            let mut event = actor.event(state.clock(), "program.publish", "");
            event.reason = approvals::with_override(&reason, override_reason.as_deref());
            let published = approvals::publish_program(&state, &program, event).await?;
            Ok(Json(published).into_response())
        }
    }
}
