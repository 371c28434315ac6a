//! Disputes of orders: the queue, those first that are due first, and what one of them says on the page of its order.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::identity::Permission;
use guerdon_core::redemption::{Grievance, Order};
use serde::Deserialize;

use super::format;
use super::frame::{Frame, render};
use super::nav::Place;
use super::operators;
use super::orders;
use super::summary::display_name;
use super::trouble::{OrPage, PageError};
use crate::AppState;
use crate::acts::By;
use crate::disputes::{self, Dispute, Resolution, Side};
use crate::identity::access::{Needs, Pages};

/// Disputes of one page.
const PAGE: usize = 50;

/// The pages of disputes.
pub fn pages() -> Pages {
    let needs = Needs::Permission(Permission::OrdersReview);
    Pages::default().get("/console/disputes", needs, page).post("/console/orders/{id}/dispute", needs, step)
}

/// Which disputes, and where a page begins.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    closed: bool,
    page: usize,
    before: String,
}

struct Line {
    order: OrderId,
    title: String,
    kind: String,
    member: MemberId,
    name: String,
    points: String,
    opened: String,
    /// When the member is to be answered, or how it ended.
    due: String,
    overdue: bool,
}

#[derive(Template)]
#[template(path = "console/disputes.html")]
struct DisputesPage {
    frame: Frame,
    closed: bool,
    lines: Vec<Line>,
    next: Option<String>,
}

async fn page(frame: Frame, State(state): State<AppState>, Query(asked): Query<Asked>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Disputes);
    let (found, next) = match asked.closed {
        true => {
            let before = Some(asked.before.as_str()).filter(|before| !before.is_empty());
            let mut found = disputes::closed(&state, before, PAGE as i64 + 1).await.or_page(&frame)?;
            let more = found.len() > PAGE;
            found.truncate(PAGE);
            let last = found.last().filter(|_| more);
            let next = last.map(|last| format!("/console/disputes?closed=true&before={}", last.order_id));
            (found, next)
        }
        false => {
            let all = disputes::queue(&state).await.or_page(&frame)?;
            let begin = asked.page.saturating_mul(PAGE);
            let more = all.len() > begin.saturating_add(PAGE);
            let next = more.then(|| format!("/console/disputes?page={}", asked.page.saturating_add(1)));
            (all.into_iter().skip(begin).take(PAGE).collect(), next)
        }
    };
    let mut lines = Vec::with_capacity(found.len());
    for dispute in found {
        lines.extend(line(&frame, &state, dispute).await?);
    }
    Ok(render(&DisputesPage { closed: asked.closed, lines, next, frame }))
}

/// A dispute as a line, with what it takes to see at a glance what it is about. `None`: its order is not there.
async fn line(frame: &Frame, state: &AppState, dispute: Dispute) -> Result<Option<Line>, PageError> {
    let Some(order) = state.reader.order(dispute.order_id).await.or_page(frame)? else { return Ok(None) };
    let member = dispute.member_id;
    let row = if frame.may_see_members() { state.reader.member(member).await.or_page(frame)? } else { None };
    let profile = row.map(|row| state.profile(&row)).transpose().or_page(frame)?.flatten();
    Ok(Some(Line {
        order: order.id,
        title: format!("{} × {}", format::number(order.quantity), frame.reward_name(&order.reward_id)),
        kind: kind_words(frame, dispute.kind),
        member,
        name: display_name(member, &profile.unwrap_or_default()),
        points: frame.points(order.currency, order.points),
        opened: frame.clock_time(dispute.opened_at),
        due: standing(frame, &dispute),
        overdue: dispute.is_overdue(state.clock()),
    }))
}

/// What it is about, in words.
pub(crate) fn kind_words(frame: &Frame, kind: Grievance) -> String {
    frame.t(&format!("dispute-kind-{}", kind.name().replace('_', "-")))
}

/// When the member is to be answered, or how it ended.
fn standing(frame: &Frame, dispute: &Dispute) -> String {
    match (&dispute.end, dispute.due_at) {
        (Some(end), _) if end.refunded => frame.say_text("dispute-was-refunded", "when", &frame.clock_time(end.at)),
        (Some(end), _) => frame.say_text("dispute-was-declined", "when", &frame.clock_time(end.at)),
        (None, Some(due)) => frame.say_text("dispute-due", "when", &frame.clock_time(due)),
        (None, None) => frame.t("dispute-answered"),
    }
}

/// The dispute on the page of its order.
pub(super) struct Part {
    pub kind: String,
    pub standing: String,
    pub overdue: bool,
    pub reason: Option<String>,
    pub messages: Vec<MessageLine>,
    /// Whether there are words that who looks may not read.
    pub hidden: bool,
    /// Whether who looks may decline it.
    pub may_decide: bool,
    /// Whether who looks may answer the member: one whose words were never kept, or were erased, is not answered.
    pub may_answer: bool,
}

pub(super) struct MessageLine {
    pub by_member: bool,
    pub who: String,
    pub when: String,
    pub text: String,
}

/// What the page of an order says of its dispute; `None`: there is none.
pub(super) async fn part(frame: &Frame, state: &AppState, order: &Order) -> Result<Option<Part>, PageError> {
    let Some(dispute) = disputes::of_order(state, order).await.or_page(frame)? else { return Ok(None) };
    // What members say is for those who decide, as in the queue.
    let decides = frame.actor.may(Permission::OrdersReview);
    let said = if decides { dispute.messages(state).or_page(frame)? } else { Vec::new() };
    let mut messages = Vec::with_capacity(said.len());
    for message in said {
        let who = match message.by_member {
            true => frame.t("dispute-the-member"),
            false => operators::name(state, frame, &message.actor).await,
        };
        let when = frame.clock_time(message.at);
        messages.push(MessageLine { by_member: message.by_member, who, when, text: message.text });
    }
    Ok(Some(Part {
        kind: kind_words(frame, dispute.kind),
        standing: standing(frame, &dispute),
        overdue: dispute.is_overdue(state.clock()),
        reason: dispute.end.as_ref().and_then(|end| end.reason.clone()),
        messages,
        hidden: !decides && dispute.has_words(),
        may_decide: dispute.end.is_none() && decides,
        may_answer: dispute.end.is_none() && decides && dispute.has_words(),
    }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StepForm {
    key: String,
    step: String,
    text: String,
}

/// Answers the member, or declines the dispute.
async fn step(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(form): Form<StepForm>,
) -> Result<Response, PageError> {
    let order = orders::find(&frame, &state, &text).await?;
    let by = By { actor: &frame.actor, key: &form.key, channel: "console", reason: form.text.trim() };
    let done = match form.step.as_str() {
        "answer" => disputes::say(&state, &by, order.id, Side::Staff, &form.text).await.map(drop),
        "decline" => disputes::resolve(&state, &by, &order, Resolution::Decline).await.map(drop),
        _ => return Err(PageError::not_found(&frame)),
    };
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/console/orders/{}#dispute", order.id)).into_response()),
        Err(problem) => {
            let trouble = match form.text.trim() {
                "" => frame.t("dispute-words-needed"),
                _ => frame.trouble(&problem)?,
            };
            orders::show_again(frame, &state, &order, trouble).await
        }
    }
}
