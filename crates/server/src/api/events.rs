//! The feed of events, as CloudEvents 1.0.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use guerdon_core::kernel::Event;
use guerdon_store::ToldEvent;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Params, page_limit};
use crate::AppState;
use crate::problem::Problem;

/// The media type of several CloudEvents in JSON:
/// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md#4-json-batch-format>.
const BATCH: &str = "application/cloudevents-batch+json";

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct FeedParams {
    /// Events of a page, 1–200; 50 when left out.
    limit: Option<i64>,
    /// The `sequence` of the last event that was taken; left out: from the oldest that is kept.
    after: Option<String>,
}

/// An event, as CloudEvents 1.0 has it.
#[derive(Serialize, ToSchema)]
struct CloudEvent {
    /// `1.0`.
    #[schema(example = "1.0")]
    specversion: &'static str,
    /// The transaction that led to it, and the event's place in it: the same however often it is read.
    #[schema(example = "txn_01k2m3n4p5q6r-0")]
    id: String,
    /// The program.
    #[schema(example = "/programs/gift-club")]
    source: String,
    /// `guerdon.points_expiring`, `guerdon.tier_changed`, `guerdon.tier_at_risk`, `guerdon.order_given_back`, `guerdon.task`,
    /// `guerdon.message`, `guerdon.payment_wanted`, `guerdon.payment_failed`, `guerdon.group_ended` or
    /// `guerdon.group_wanted`.
    #[serde(rename = "type")]
    #[schema(example = "guerdon.task")]
    kind: String,
    /// The member.
    #[schema(example = "mem_01k2m3n4p5q6r")]
    subject: String,
    /// When the transaction happened, RFC 3339.
    time: String,
    /// `application/json`.
    datacontenttype: &'static str,
    /// Its number in the feed as text: rises from event to event. The cursor of the next page.
    #[schema(example = "4711")]
    sequence: String,
    /// What there is to tell, and the transaction.
    #[schema(value_type = Object)]
    data: Data,
}

#[derive(Serialize)]
struct Data {
    transaction_id: String,
    #[serde(flatten)]
    event: serde_json::Map<String, serde_json::Value>,
}

/// The type of an event, and what it tells.
fn parts(event: &Event) -> (String, serde_json::Map<String, serde_json::Value>) {
    let value = serde_json::to_value(event).unwrap_or_default();
    let mut fields = value.as_object().cloned().unwrap_or_default();
    let kind = fields.remove("type").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
    (format!("guerdon.{kind}"), fields)
}

fn cloud_event(program: &str, told: &ToldEvent) -> CloudEvent {
    let stored = &told.stored;
    let (kind, event) = parts(&stored.event);
    CloudEvent {
        specversion: "1.0",
        id: stored.id(),
        source: format!("/programs/{program}"),
        kind,
        subject: stored.member_id.to_string(),
        time: stored.at.to_string(),
        datacontenttype: "application/json",
        sequence: told.number.to_string(),
        data: Data { transaction_id: stored.transaction_id.to_string(), event },
    }
}

/// Follow what is to be told, in order: give the `sequence` of the last event as `after` and go on. None is left out and
/// none comes twice, whichever node answers. An empty list: nothing more for now. Events are kept for 90 days.
#[utoipa::path(get, path = "/v1/events", tag = "events", security(("key" = ["events:read"])), params(FeedParams),
    responses((status = 200, content_type = "application/cloudevents-batch+json", body = Vec<CloudEvent>),
        (status = 400, body = Problem)))]
async fn list(State(state): State<AppState>, Params(params): Params<FeedParams>) -> Result<Response, Problem> {
    let limit = page_limit(params.limit)?;
    let after = match &params.after {
        None => 0,
        Some(text) => text.parse().ok().filter(|number: &i64| *number >= 0).ok_or_else(|| {
            let detail = "`after` is the `sequence` of an event, a whole number; leave it out to begin with the oldest";
            Problem::bad_request("invalid_query", detail)
        })?,
    };
    let program = state.program();
    let told = state.reader.feed(after, limit).await?;
    let events: Vec<CloudEvent> = told.iter().map(|told| cloud_event(&program.settings.id, told)).collect();
    let mut response = axum::Json(events).into_response();
    response.headers_mut().insert(CONTENT_TYPE, axum::http::HeaderValue::from_static(BATCH));
    Ok(response)
}
