//! Activities: record one or many, or ask what one would earn.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use guerdon_core::earning::Activity;
use guerdon_core::identity::Permission;
use guerdon_core::kernel::Command;
use guerdon_core::limits;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cards::named_member;
use super::extract::{Body, IdempotencyKey, Params, receipt};
use crate::AppState;
use crate::identity::actor::Actor;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(record)).routes(routes!(record_batch))
}

/// One line of a purchase or return.
#[derive(ToSchema)]
#[allow(dead_code, reason = "it describes guerdon_core::earning::ActivityLine")]
struct ActivityLineView {
    /// Stock keeping unit.
    sku: Option<String>,
    /// What it is called.
    description: Option<String>,
    /// Product category.
    category: Option<String>,
    /// How many, a decimal number as text.
    #[schema(example = "6")]
    quantity: String,
    /// Price of one in major units of money, a decimal number as text.
    #[schema(example = "22.05")]
    unit_price: String,
}

/// What a member did: money with `purchase` and `return`, any other kind as rules know it.
#[derive(ToSchema)]
#[allow(dead_code, reason = "it describes guerdon_core::earning::Activity")]
pub(super) struct ActivityView {
    /// `purchase`, `return`, `referral`, or any other word of small letters, digits and underscores.
    #[schema(example = "purchase")]
    kind: String,
    /// RFC 3339; left out: now.
    occurred_at: Option<String>,
    /// ISO 4217 code; left out: the program's.
    currency: Option<String>,
    /// Total in minor units of money, when there are no lines; positive also for a return.
    amount: Option<i64>,
    /// Its lines; on a return the quantities are negative or positive alike.
    lines: Option<Vec<ActivityLineView>>,
    /// Store, branch or device.
    store: Option<String>,
    /// Where the member was served: `pos`, `app`, `web`, or any other word.
    channel: Option<String>,
    /// On a return: the idempotency key under which its purchase was recorded.
    purchase: Option<String>,
    /// On a referral: who referred the member, `mem_…`.
    referrer: Option<String>,
    /// Anything else that rules may look at: texts by name.
    #[schema(value_type = Option<Object>)]
    attributes: Option<std::collections::BTreeMap<String, String>>,
    /// What the program's JSON Schema for the kind describes; at most 16 KiB as JSON, and nothing personal.
    #[schema(value_type = Option<Object>, example = json!({"distance_km": 10.4, "sport": "run"}))]
    body: Option<serde_json::Map<String, serde_json::Value>>,
}

/// An activity of a member.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ActivityRequest {
    /// `mem_…`; or give `external_id` or `card`.
    member_id: Option<String>,
    /// The brand's own number of the member.
    external_id: Option<String>,
    /// The member's card: the text of its QR code, or the number of its bar code.
    card: Option<String>,
    /// The caller's own number, such as an invoice number.
    reference: Option<String>,
    /// What the member did.
    #[schema(value_type = ActivityView, example = json!({"kind": "purchase", "currency": "GBP",
        "lines": [{"sku": "85123A", "description": "CHRISTMAS LIGHTS", "quantity": "6", "unit_price": "22.05"}]}))]
    activity: Activity,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RecordParams {
    /// Answer what it would earn and why, and change nothing.
    #[serde(default)]
    dry_run: bool,
}

/// Record an activity.
#[utoipa::path(post, path = "/v1/activities", tag = "activities",
    security(("key" = ["activities:write@store"])), request_body = ActivityRequest,
    params(("Idempotency-Key" = String, Header), RecordParams),
    responses((status = 201, description = "The receipt: what was earned, and why", body = Object),
        (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn record(
    State(state): State<AppState>,
    actor: Actor,
    Params(params): Params<RecordParams>,
    key: Result<IdempotencyKey, Problem>,
    Body(request): Body<ActivityRequest>,
) -> Result<Response, Problem> {
    // A dry run moves nothing, so it needs no key.
    let key = match key {
        Err(_) if params.dry_run => "dry-run".to_owned(),
        key => key?.0,
    };
    let command = prepare(&state, &actor, &key, request).await?;
    if params.dry_run {
        let reply = state.engine.submit_one(command.dry()).await?;
        return Ok((StatusCode::OK, [("content-type", "application/json")], reply.into_text()).into_response());
    }
    receipt(state.engine.submit_one(command).await)
}

async fn prepare(state: &AppState, actor: &Actor, key: &str, request: ActivityRequest) -> Result<Command, Problem> {
    actor.require_at(Permission::ActivitiesWrite, request.activity.store.as_deref())?;
    let ActivityRequest { member_id, external_id, card, .. } = &request;
    let member = named_member(state, member_id.as_deref(), external_id.as_deref(), card.as_deref()).await?;
    if let Some(reference) = &request.reference {
        limits::check_text("reference", reference, limits::KEY_CHARS)
            .map_err(|problem| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", problem))?;
    }
    let now = state.engine.now();
    let program = state.program();
    let oldest = now.plus_millis(-program.settings.backdating_days * 86_400_000);
    let command = Command::record(&program, member, key, &request.activity, now, oldest)?;
    Ok(command.with_reference(request.reference).by(actor.name()))
}

/// Up to 1,000 activities.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BatchRequest {
    /// Decided in order.
    activities: Vec<BatchItem>,
}

/// An activity with its own idempotency key.
#[derive(Deserialize, ToSchema)]
struct BatchItem {
    /// Its own key.
    idempotency_key: String,
    /// What was done.
    #[serde(flatten)]
    request: ActivityRequest,
}

/// The answers in the order of the request.
#[derive(Serialize, ToSchema)]
struct BatchResponse {
    /// How many were accepted, now or before.
    accepted: usize,
    /// How many were refused.
    refused: usize,
    /// For each activity its receipt or problem.
    results: Vec<BatchResult>,
}

/// One answer of a batch.
#[derive(Serialize, ToSchema)]
struct BatchResult {
    /// The receipt when accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    receipt: Option<Box<RawValue>>,
    /// The problem when refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
    /// Whether it had been recorded before.
    replayed: bool,
}

/// Record up to 1,000 activities, each by itself accepted or refused.
#[utoipa::path(post, path = "/v1/activities/batch", tag = "activities",
    security(("key" = ["activities:write@store"])), request_body = BatchRequest,
    responses((status = 200, body = BatchResponse), (status = 400, body = Problem)))]
async fn record_batch(
    State(state): State<AppState>,
    actor: Actor,
    Body(batch): Body<BatchRequest>,
) -> Result<Json<BatchResponse>, Problem> {
    if batch.activities.is_empty() || batch.activities.len() > limits::BATCH_ACTIVITIES {
        let count = batch.activities.len();
        let detail = format!("`activities` must hold 1 to {}, not {count}", limits::BATCH_ACTIVITIES);
        return Err(Problem::bad_request("invalid_request", detail));
    }
    let mut results: Vec<Option<BatchResult>> = Vec::with_capacity(batch.activities.len());
    let mut commands = Vec::with_capacity(batch.activities.len());
    for item in batch.activities {
        match prepare(&state, &actor, &item.idempotency_key, item.request).await {
            Ok(command) => {
                commands.push(command);
                results.push(None);
            }
            Err(problem) => results.push(Some(refused(problem))),
        }
    }
    let mut outcomes = state.engine.submit(commands).await.into_iter();
    let results: Vec<BatchResult> =
        results.into_iter().filter_map(|result| result.or_else(|| outcomes.next().map(batch_result))).collect();
    let refused = results.iter().filter(|result| result.problem.is_some()).count();
    Ok(Json(BatchResponse { accepted: results.len() - refused, refused, results }))
}

fn refused(problem: Problem) -> BatchResult {
    BatchResult { receipt: None, problem: Some(problem), replayed: false }
}

fn batch_result(outcome: guerdon_store::Outcome) -> BatchResult {
    match outcome {
        Ok(reply) => {
            let replayed = reply.replayed;
            BatchResult { receipt: RawValue::from_string(reply.into_text()).ok(), problem: None, replayed }
        }
        Err(error) => refused(error.into()),
    }
}
