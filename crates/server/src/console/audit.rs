//! The audit log: search and filter.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use guerdon_core::audit::AuditEntry;
use guerdon_core::identity::Permission;
use guerdon_store::AuditQuery;
use serde::Deserialize;

use super::frame::{Frame, render};
use super::nav::Place;
use super::operators;
use super::trouble::{OrPage, PageError};
use crate::AppState;
use crate::identity::access::{Needs, Pages};

/// Events of one page.
const PAGE: usize = 50;
const FILTER_CHARS: usize = 128;

/// The page of the audit log.
pub fn pages() -> Pages {
    Pages::default().get("/console/audit", Needs::Permission(Permission::AuditRead), page)
}

/// What to look for.
#[derive(Deserialize, Default)]
pub struct Filter {
    #[serde(default)]
    actor: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    after: String,
}

#[derive(Default)]
struct Line {
    number: i64,
    at: String,
    who: String,
    address: String,
    action: String,
    subject: String,
    reason: String,
    details: String,
}

#[derive(Template)]
#[template(path = "console/audit.html")]
struct AuditPage {
    frame: Frame,
    filter: Filter,
    lines: Vec<Line>,
    next: Option<String>,
    may_export: bool,
}

fn wanted(text: &str) -> Option<String> {
    let text: String = text.trim().chars().take(FILTER_CHARS).collect();
    (!text.is_empty()).then_some(text)
}

/// An entry; one whose body cannot be read keeps at least that.
async fn line(frame: &Frame, state: &AppState, entry: &AuditEntry) -> Line {
    let Ok(event) = entry.event() else {
        return Line { number: entry.number, details: entry.body.clone(), ..Line::default() };
    };
    let name = operators::name(state, frame, &event.actor).await;
    let who = if name == event.actor { name } else { format!("{name} · {}", event.actor) };
    let shown = |label: &str, value: &serde_json::Value| match value {
        serde_json::Value::Null => String::new(),
        value => format!("{label} {}", serde_json::to_string_pretty(value).unwrap_or_default()),
    };
    let details = [shown(&frame.t("audit-before"), &event.before), shown(&frame.t("audit-after"), &event.after)];
    Line {
        number: entry.number,
        at: frame.clock_time(event.at),
        who,
        address: event.address,
        action: event.action,
        subject: event.subject,
        reason: event.reason,
        details: details.join("\n").trim().to_owned(),
    }
}

async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Query(filter): Query<Filter>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Audit);
    let query = AuditQuery {
        before: filter.after.parse().ok(),
        actor: wanted(&filter.actor),
        action: wanted(&filter.action),
        subject: wanted(&filter.subject),
        limit: PAGE as i64 + 1,
        ..AuditQuery::default()
    };
    let mut found = state.reader.audit_events(&query).await.or_page(&frame)?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(|entry| {
        let pairs = [("actor", &filter.actor), ("action", &filter.action), ("subject", &filter.subject)];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs).append_pair("after", &entry.number.to_string());
        format!("/console/audit?{}", query.finish())
    });
    let may_export = frame.actor.may(Permission::AuditExport);
    let mut lines = Vec::with_capacity(found.len());
    for entry in &found {
        lines.push(line(&frame, &state, entry).await);
    }
    Ok(render(&AuditPage { frame, filter, lines, next, may_export }))
}
