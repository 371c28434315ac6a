//! The audit log: search and export.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use guerdon_core::audit::AuditEntry;
use guerdon_core::hex;
use guerdon_core::limits;
use guerdon_core::time::Timestamp;
use guerdon_store::AuditQuery;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Params, page_limit};
use super::views::Page;
use crate::AppState;
use crate::identity::actor::Actor;
use crate::problem::Problem;

/// Events of one export at the most; a longer time is exported in parts.
const EXPORT: usize = 100_000;
/// Events that are read at once.
const SLICE: i64 = 1_000;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(export))
}

/// An entry of the audit log.
#[derive(Serialize, ToSchema)]
struct AuditView {
    /// Its place in the chain, from 1.
    number: i64,
    /// Its id in the transparency log, `txn_…`.
    id: String,
    /// SHA-256, hexadecimal: its leaf in the transparency log, made with the hash of the entry before it.
    hash: String,
    /// When, RFC 3339.
    at: String,
    /// Who.
    actor: String,
    /// From which address.
    address: Option<String>,
    /// What.
    action: String,
    /// To what.
    subject: String,
    /// Why.
    reason: Option<String>,
    /// How it was before.
    #[schema(value_type = Option<Object>)]
    before: Option<serde_json::Value>,
    /// How it is now.
    #[schema(value_type = Option<Object>)]
    after: Option<serde_json::Value>,
}

/// An entry as it was hashed, with its place.
fn view(entry: &AuditEntry) -> serde_json::Value {
    let mut event: serde_json::Value = serde_json::from_str(&entry.body).unwrap_or_default();
    if let Some(fields) = event.as_object_mut() {
        fields.insert("number".to_owned(), entry.number.into());
        fields.insert("id".to_owned(), entry.id.to_string().into());
        fields.insert("hash".to_owned(), hex::encode(&entry.hash).into());
    }
    event
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AuditParams {
    /// By whom: `opr_…`, `key_…`, `cli_…`, `mem_…`, `cli` or `system`.
    actor: Option<String>,
    /// What was done, such as `operator.invite`; a prefix ending in `.` takes all below it.
    action: Option<String>,
    /// To what.
    subject: Option<String>,
    /// From this moment on, RFC 3339.
    from: Option<String>,
    /// Before this moment, RFC 3339.
    until: Option<String>,
    /// Items of a page, 1–200; 50 when left out. Of an export all.
    limit: Option<i64>,
    /// The cursor of the page before.
    after: Option<String>,
}

fn query(params: &AuditParams, limit: i64) -> Result<AuditQuery, Problem> {
    let invalid = |detail: String| Problem::bad_request("invalid_query", detail);
    for (name, value) in [("actor", &params.actor), ("action", &params.action), ("subject", &params.subject)] {
        if let Some(text) = value {
            limits::check_text(name, text, limits::KEY_CHARS).map_err(invalid)?;
        }
    }
    let moment = |name: &str, text: &Option<String>| {
        let read =
            |text: &String| Timestamp::parse_rfc3339(text).map_err(|problem| invalid(format!("`{name}`: {problem}")));
        text.as_ref().map(read).transpose()
    };
    let before =
        params.after.as_deref().map(|text| text.parse().map_err(|_| invalid("`after` is no cursor".to_owned())));
    Ok(AuditQuery {
        before: before.transpose()?,
        actor: params.actor.clone(),
        action: params.action.clone(),
        subject: params.subject.clone(),
        from: moment("from", &params.from)?,
        until: moment("until", &params.until)?,
        limit,
    })
}

/// Search the audit log, newest first.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", security(("key" = ["audit:read"])), params(AuditParams),
    responses((status = 200, body = Page<AuditView>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Params(params): Params<AuditParams>,
) -> Result<Json<Page<serde_json::Value>>, Problem> {
    let limit = page_limit(params.limit)?;
    let found = state.reader.audit_events(&query(&params, limit + 1)?).await?;
    let page = Page::cut(found, limit, |entry| entry.number.to_string());
    Ok(Json(page.map(|entry| view(&entry))))
}

/// Export the audit log as JSON Lines, newest first; at most 100,000 events, of which `after` gives the next ones.
#[utoipa::path(get, path = "/v1/audit/export", tag = "audit", security(("key" = ["audit:export"])), params(AuditParams),
    responses((status = 200, description = "JSON Lines", body = String, content_type = "application/jsonl"),
        (status = 400, body = Problem)))]
async fn export(
    State(state): State<AppState>,
    actor: Actor,
    Params(params): Params<AuditParams>,
) -> Result<Response, Problem> {
    page_limit(params.limit)?;
    let _room = crate::privacy::room_for_export()?;
    let mut wanted = query(&params, SLICE)?;
    let mut event = actor.event(state.clock(), "audit.export", "audit");
    event.after = serde_json::json!({ "actor": params.actor, "action": params.action, "subject": params.subject,
        "from": params.from, "until": params.until });
    state.engine.write_records(Vec::new(), vec![event]).await?;
    let (mut text, mut count) = (String::new(), 0);
    while count < EXPORT {
        let found = state.reader.audit_events(&wanted).await?;
        let Some(last) = found.last() else { break };
        wanted.before = Some(last.number);
        count += found.len();
        for entry in &found {
            text.push_str(&view(entry).to_string());
            text.push('\n');
        }
    }
    let head = [
        (header::CONTENT_TYPE, "application/jsonl"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.jsonl\""),
    ];
    Ok((head, text).into_response())
}
