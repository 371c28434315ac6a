//! The dispute of an order, as its member sees it: how to open one, what was said, and how it ended.

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::redemption::{Grievance, Order};
use serde::Deserialize;

use super::orders::{self, Again};
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::acts::By;
use crate::console::{Frame, grievance_words};
use crate::disputes::{self, Side};
use crate::problem::Problem;

/// What the receipt says of its dispute.
pub struct Part {
    pub action: String,
    /// What asks for it, and until when it may be opened; none: there is one.
    pub asks: Option<String>,
    /// What it may be about: the name, the words, and whether it was chosen.
    pub kinds: Vec<(&'static str, String, bool)>,
    /// What the one that there is is about, and how it stands.
    pub standing: Option<(String, String)>,
    pub messages: Vec<Line>,
    /// Whether the member may say something.
    pub may_say: bool,
    pub text: String,
}

/// Something that was said.
pub struct Line {
    pub by_member: bool,
    pub who: String,
    pub when: String,
    pub text: String,
}

/// What was typed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Typed {
    kind: String,
    text: String,
}

/// What the receipt of an order says; `None`: it cannot be disputed, and was not.
pub async fn part(
    state: &AppState,
    frame: &Frame,
    order: &Order,
    typed: Option<&Typed>,
) -> Result<Option<Part>, Problem> {
    let action = format!("/portal/orders/{}/dispute", order.id);
    let text = typed.map(|typed| typed.text.clone()).unwrap_or_default();
    let dispute = disputes::of_order(state, order).await?;
    let cut_off = dispute.as_ref().filter(|dispute| dispute.end.is_none() && !dispute.has_words());
    if dispute.is_none() || cut_off.is_some() {
        let chosen = typed.map_or("", |typed| typed.kind.as_str());
        let kind = |kind: Grievance| (kind.name(), grievance_words(frame, kind), kind.name() == chosen);
        // What was begun in time is said whenever the member comes back.
        let asks = match (cut_off, disputes::disputable_until(state, order)) {
            (Some(_), _) => Some(frame.t("dispute-cut-off")),
            (None, until) => until.map(|until| frame.say_text("dispute-until", "when", &frame.time(until))),
        };
        return Ok(asks.map(|asks| Part {
            action,
            asks: Some(asks),
            kinds: Grievance::ALL.map(kind).into(),
            standing: None,
            messages: Vec::new(),
            may_say: true,
            text,
        }));
    }
    let Some(dispute) = dispute else { return Ok(None) };
    let standing = match (&dispute.end, dispute.due_at) {
        (Some(end), _) => {
            let key = if end.refunded { "dispute-own-refunded" } else { "dispute-own-declined" };
            frame.say_text(key, "why", end.reason.as_deref().unwrap_or_default())
        }
        (None, Some(due)) => frame.say_text("dispute-own-due", "when", &frame.clock_time(due)),
        (None, None) => frame.t("dispute-own-answered"),
    };
    let line = |message: disputes::Message| Line {
        by_member: message.by_member,
        who: frame.t(if message.by_member { "dispute-you" } else { "dispute-us" }),
        when: frame.clock_time(message.at),
        text: message.text,
    };
    Ok(Some(Part {
        action,
        asks: None,
        kinds: Vec::new(),
        standing: Some((grievance_words(frame, dispute.kind), standing)),
        messages: dispute.messages(state)?.into_iter().map(line).collect(),
        may_say: dispute.end.is_none(),
        text,
    }))
}

/// Opens the dispute of an order, or says something in it.
pub async fn write(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(typed): Form<Typed>,
) -> Result<Response, PortalError> {
    let (own, order) = orders::find(&state, &frame, &text).await?;
    // However often it is sent, it is opened once.
    let key = format!("portal dispute {}", order.id);
    let by = By { actor: &frame.actor, key: &key, channel: "portal", reason: "" };
    let known = disputes::of_order(&state, &order).await.map_err(|problem| problem.detail).or_trouble(&frame)?;
    let is_talk = known.is_some_and(|dispute| dispute.end.is_none() && dispute.has_words());
    let done = match (is_talk, Grievance::from_name(&typed.kind)) {
        (true, _) => disputes::say(&state, &by, order.id, Side::Member, &typed.text).await,
        (false, Some(kind)) => disputes::open(&state, &by, &order, kind, &typed.text).await,
        (false, None) => Err(Problem::bad_request("invalid_request", "`kind` says nothing")),
    };
    match done {
        Ok(_) => Ok(Redirect::to(&format!("/portal/orders/{}#dispute", order.id)).into_response()),
        Err(problem) if problem.status >= 500 => Err(problem.detail).or_trouble(&frame),
        Err(problem) => {
            let key = match problem.code.as_str() {
                "dispute_closed" => "dispute-too-late",
                "too_many_messages" => "dispute-too-many",
                "invalid_request" => "dispute-form",
                _ => "dispute-not-now",
            };
            let trouble = frame.t(key);
            orders::refused(frame, &state, &own, &order, Again { trouble, review: None, dispute: Some(typed) }).await
        }
    }
}
