//! The queue of what waits for another operator.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use guerdon_core::ledger::CurrencyId;
use serde::Deserialize;

use super::frame::{Frame, render};
use super::nav::Place;
use super::operators;
use super::trouble::{OrPage, PageError};
use crate::AppState;
use crate::approvals::{self, Act, Approval, Stage};
use crate::identity::access::{Needs, Pages};

/// The pages of the queue.
pub fn pages() -> Pages {
    Pages::default().get("/console/approvals", Needs::Permission(Permission::ApprovalsRead), page).post(
        "/console/approvals/{id}",
        Needs::Permission(Permission::ApprovalsDecide),
        decide,
    )
}

struct Line {
    id: String,
    what: String,
    /// The page of what it is about, where there is one.
    about: Option<String>,
    reason: String,
    asked: String,
    stage: String,
    note: String,
    /// Whether who looks may decide it.
    open: bool,
    /// Whether who looks may carry it out once more.
    stuck: bool,
    /// Why not, where it waits.
    closed_because: Option<String>,
}

#[derive(Template)]
#[template(path = "console/approvals.html")]
struct ApprovalsPage {
    frame: Frame,
    waiting: Vec<Line>,
    decided: Vec<Line>,
    trouble: Option<String>,
}

/// What is asked for, in a sentence.
fn what(frame: &Frame, act: &Act) -> String {
    match act {
        Act::Adjust { member, currency, points, .. } => {
            let points = super::format::signed(*points, frame.decimals(CurrencyId(*currency)));
            frame.say("approval-adjust", [("member", member.to_string().into()), ("points", points.into())])
        }
        Act::Refund { order, points, .. } => {
            let points = super::format::number(*points);
            frame.say("approval-refund", [("order", order.to_string().into()), ("points", points.into())])
        }
        Act::Merge { from, into, points, .. } => {
            let (from, into) = (from.to_string(), into.to_string());
            let points = super::format::number(*points);
            frame.say("approval-merge", [("from", from.into()), ("into", into.into()), ("points", points.into())])
        }
        Act::Publish { .. } => frame.t("approval-publish"),
        Act::Draft { title, overrides, .. } => {
            let key = if *overrides { "approval-draft-override" } else { "approval-draft" };
            frame.say_text(key, "title", title)
        }
        Act::Value { currency, value } => {
            let value = value.normalize().to_string();
            frame.say("approval-value", [("currency", currency.as_str().into()), ("value", value.into())])
        }
        Act::Reveal { members, .. } => {
            frame.say("approval-reveal", [("members", super::format::number(*members).into())])
        }
        Act::Import { rows, .. } => {
            let rows = super::format::number(*rows);
            frame.say("approval-import", [("rows", rows.into())])
        }
        Act::Policy { .. } => frame.t("approval-policy"),
    }
}

/// Where to look before one decides.
fn about(frame: &Frame, act: &Act) -> Option<String> {
    match act {
        Act::Adjust { member, .. } => frame.may_see_members().then(|| format!("/console/members/{member}")),
        Act::Merge { from, .. } => frame.may_see_members().then(|| format!("/console/members/{from}")),
        Act::Refund { order, .. } => frame.may_see_orders().then(|| format!("/console/orders/{order}")),
        Act::Import { import, .. } => Some(format!("/console/imports/{import}")),
        Act::Draft { draft, .. } => {
            frame.actor.may(Permission::ProgramRead).then(|| format!("/console/drafts/{draft}"))
        }
        Act::Publish { .. } | Act::Value { .. } | Act::Reveal { .. } | Act::Policy { .. } => None,
    }
}

/// What waits for another operator, as it is told where it belongs.
pub(super) struct Waiting {
    /// What is to be done.
    pub what: String,
    /// Who asked for it, and when.
    pub asked: String,
}

/// What waits of some kind, newest first.
pub(super) async fn waiting(
    frame: &Frame,
    state: &AppState,
    wanted: impl Fn(&Act) -> bool,
) -> Result<Vec<Waiting>, PageError> {
    let mut found = Vec::new();
    for (_, approval) in approvals::list(state, Some(Stage::Waiting)).await.or_page(frame)? {
        if wanted(&approval.act) {
            found.push(Waiting { what: what(frame, &approval.act), asked: asked(frame, state, &approval).await });
        }
    }
    Ok(found)
}

async fn asked(frame: &Frame, state: &AppState, approval: &Approval) -> String {
    let who = operators::name(state, frame, &approval.requested_by).await;
    let when = frame.clock_time(approval.requested_at);
    frame.say("approval-asked", [("who", who.into()), ("when", when.into())])
}

async fn line(frame: &Frame, state: &AppState, id: &str, approval: &Approval) -> Line {
    // Where that cannot be told nothing is offered.
    let own = match frame.actor.operator() {
        Some(me) if !matches!(approval.stage, Stage::Done | Stage::Rejected) => {
            approval.is_own(state, me).await.unwrap_or(true)
        }
        _ => false,
    };
    let may = frame.actor.may(Permission::ApprovalsDecide) && frame.actor.may(approval.act.permission());
    let waiting = approval.stage == Stage::Waiting;
    let closed = if own {
        Some("approval-own")
    } else if !may {
        Some("approval-no-right")
    } else {
        None
    };
    let mut note = approval.note.clone();
    if let Some(decider) = &approval.decided_by {
        let who = operators::name(state, frame, decider).await;
        note = if note.is_empty() { who } else { format!("{who}: {note}") };
    }
    Line {
        id: id.to_owned(),
        what: what(frame, &approval.act),
        about: about(frame, &approval.act),
        reason: approval.reason.clone(),
        asked: asked(frame, state, approval).await,
        stage: frame.t(&format!("approval-stage-{}", approval.stage.name())),
        note,
        open: waiting && closed.is_none(),
        stuck: matches!(approval.stage, Stage::Approved | Stage::Failed) && closed.is_none(),
        closed_because: closed.filter(|_| waiting).map(|key| frame.t(key)),
    }
}

async fn show(frame: Frame, state: &AppState, trouble: Option<String>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Approvals);
    let found = approvals::list(state, None).await.map_err(|_| PageError::store(&frame))?;
    let (mut waiting, mut decided) = (Vec::new(), Vec::new());
    for (record, approval) in found.iter().take(200) {
        let line = line(&frame, state, &record.id, approval).await;
        if approval.stage == Stage::Waiting { waiting.push(line) } else { decided.push(line) }
    }
    Ok(render(&ApprovalsPage { frame, waiting, decided, trouble }))
}

async fn page(frame: Frame, State(state): State<AppState>) -> Result<Response, PageError> {
    show(frame, &state, None).await
}

#[derive(Deserialize)]
pub(super) struct DecisionForm {
    /// `approve`, or what else the page offers.
    pub act: String,
    /// A word to whoever asked.
    #[serde(default)]
    pub note: String,
}

async fn decide(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(form): Form<DecisionForm>,
) -> Result<Response, PageError> {
    let decided = match form.act.as_str() {
        "again" => approvals::carry_out_again(&state, &frame.actor, &id).await,
        act => approvals::decide(&state, &frame.actor, &id, act == "approve", &form.note).await,
    };
    match decided {
        Ok(_) => Ok(Redirect::to("/console/approvals").into_response()),
        Err(problem) if problem.status >= 500 => Err(PageError::store(&frame)),
        Err(problem) => {
            let trouble = frame.problem(&problem);
            let page = show(frame, &state, Some(trouble)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}
