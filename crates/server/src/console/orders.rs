//! One order: what it is, where it stands, what happened to it, how it goes on, and its refund.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::OrderId;
use guerdon_core::identity::Permission;
use guerdon_core::redemption::{Funds, Grievance, Order, OrderMove, Shipment};
use serde::Deserialize;

use super::approvals::{Waiting, waiting};
use super::disputes;
use super::format;
use super::frame::{Frame, render};
use super::member::{self, Subject};
use super::nav::Place;
use super::operators;
use super::order_queue::{Choice, choices};
use super::prove;
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::acts::{self, By};
use crate::approvals::Act;
use crate::identity::access::{Needs, Pages};
use crate::picture::svg_qr;

/// The pages of orders.
pub fn pages() -> Pages {
    Pages::default()
        .get("/console/orders/{id}", Needs::Permission(Permission::OrdersRead), page)
        .post("/console/orders/{id}/moves", Needs::Permission(Permission::OrdersWrite), fulfil)
        .post("/console/orders/{id}/review", Needs::Permission(Permission::OrdersReview), review)
        .post("/console/orders/{id}/refund", Needs::Permission(Permission::OrdersRefund), refund)
}

#[derive(Template)]
#[template(path = "console/order.html")]
struct OrderPage {
    frame: Frame,
    id: OrderId,
    title: String,
    state: String,
    facts: Vec<(String, String)>,
    member: Subject,
    history: Vec<HistoryLine>,
    waiting: Vec<Waiting>,
    choices: Vec<Choice>,
    /// Whether it can be sent from here.
    may_ship: bool,
    /// Whether who looks may refund it, and it can be refunded.
    may_refund: bool,
    key: String,
    reason: String,
    trouble: Option<String>,
    dispute: Option<disputes::Part>,
    qr: String,
}

/// One step in the life of the order.
struct HistoryLine {
    state: String,
    when: String,
    who: Option<String>,
    reason: Option<String>,
}

pub(super) async fn find(frame: &Frame, state: &AppState, text: &str) -> Result<Order, PageError> {
    let id: OrderId = text.parse().map_err(|_| PageError::not_found(frame))?;
    state.reader.order(id).await.or_page(frame)?.ok_or_else(|| PageError::not_found(frame))
}

async fn show(
    frame: Frame,
    state: &AppState,
    order: &Order,
    typed: OrderForm,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Orders);
    let member = member::find(state, &frame, &order.member_id.to_string()).await?;
    let waiting = waiting(&frame, state, |act| matches!(act, Act::Refund { order: of, .. } if *of == order.id)).await?;
    let title = format!("{} × {}", format::number(order.quantity), frame.reward_name(&order.reward_id));
    let history = history(&frame, state, order).await;
    let facts = facts(&frame, state, order).await;
    let refundable = order.state.funds() == Funds::Spent && waiting.is_empty();
    let dispute = disputes::part(&frame, state, order).await?;
    let qr = svg_qr(&order.id.to_string(), &frame.t("order-qr")).unwrap_or_default();
    let choices = choices(&frame, order.state, true);
    let may_ship = choices.iter().any(|choice| choice.step == OrderMove::Ship.name());
    Ok(render(&OrderPage {
        id: order.id,
        title,
        state: frame.t(&format!("order-{}", order.state.name())),
        facts,
        member,
        history,
        waiting,
        choices,
        may_ship,
        may_refund: refundable && frame.actor.may(Permission::OrdersRefund),
        key: typed.key,
        reason: typed.reason,
        trouble,
        dispute,
        qr,
        frame,
    }))
}

/// The page of an order again, with what was wrong in a form on it.
pub(super) async fn show_again(
    frame: Frame,
    state: &AppState,
    order: &Order,
    trouble: String,
) -> Result<Response, PageError> {
    let typed = OrderForm { key: prove::form_key(), ..OrderForm::default() };
    Ok(unprocessable(show(frame, state, order, typed, Some(trouble)).await?))
}

async fn facts(frame: &Frame, state: &AppState, order: &Order) -> Vec<(String, String)> {
    let mut facts = vec![
        (frame.t("order-points"), frame.points(order.currency, order.points)),
        (frame.t("order-made"), frame.time(order.created_at)),
        (frame.t("order-changed"), frame.time(order.updated_at)),
    ];
    let details = &order.details;
    if let Some(until) = details.cooling_until {
        facts.push((frame.t("order-cooling"), frame.time(until)));
    }
    if let Some(due) = order.due_at {
        let ends = if order.state.funds() == Funds::Spent { "order-completes" } else { "order-expires" };
        facts.push((frame.t(ends), frame.time(due)));
    }
    if let Some(who) = &details.claimed_by {
        facts.push((frame.t("order-claimed"), operators::name(state, frame, who).await));
    }
    if let Some(Shipment { carrier, tracking_number }) = &details.shipment {
        facts.push((frame.t("order-shipment"), format!("{carrier} {tracking_number}")));
    }
    facts
}

async fn history(frame: &Frame, state: &AppState, order: &Order) -> Vec<HistoryLine> {
    let mut lines = Vec::with_capacity(order.details.history.len());
    for step in &order.details.history {
        let who = match &step.actor {
            Some(who) => Some(operators::name(state, frame, who).await),
            None => None,
        };
        let words = frame.t(&format!("order-{}", step.state.name()));
        let disputed = order.details.particulars.dispute.as_ref();
        let opened = disputed.is_some_and(|disputed| disputed.transaction_id == step.transaction_id);
        let kind = step.reason.as_deref().and_then(Grievance::from_name).filter(|_| opened);
        let (words, reason) = match kind {
            Some(kind) => (frame.t("dispute-title"), Some(disputes::kind_words(frame, kind))),
            None => (words, step.reason.clone()),
        };
        lines.push(HistoryLine { state: words, when: frame.time(step.at), who, reason });
    }
    lines
}

async fn page(frame: Frame, State(state): State<AppState>, Path(text): Path<String>) -> Result<Response, PageError> {
    let order = find(&frame, &state, &text).await?;
    let typed = OrderForm { key: prove::form_key(), ..OrderForm::default() };
    show(frame, &state, &order, typed, None).await
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OrderForm {
    key: String,
    reason: String,
    step: String,
    carrier: String,
    tracking_number: String,
}

async fn fulfil(
    frame: Frame,
    state: State<AppState>,
    path: Path<String>,
    form: Form<OrderForm>,
) -> Result<Response, PageError> {
    step(frame, state, path, form, Permission::OrdersWrite).await
}

async fn review(
    frame: Frame,
    state: State<AppState>,
    path: Path<String>,
    form: Form<OrderForm>,
) -> Result<Response, PageError> {
    step(frame, state, path, form, Permission::OrdersReview).await
}

/// Moves the order on by one of the moves that a permission is for.
async fn step(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(form): Form<OrderForm>,
    permission: Permission,
) -> Result<Response, PageError> {
    let order = find(&frame, &state, &text).await?;
    let Some(step) = acts::move_named(&form.step, permission) else {
        return Err(PageError::not_found(&frame));
    };
    let sent = step == OrderMove::Ship && !(form.carrier.trim().is_empty() && form.tracking_number.trim().is_empty());
    let shipment = sent.then(|| Shipment {
        carrier: form.carrier.trim().to_owned(),
        tracking_number: form.tracking_number.trim().to_owned(),
    });
    let by = By { actor: &frame.actor, key: &form.key, channel: "console", reason: form.reason.trim() };
    match acts::move_order(&state, &by, &order, step, shipment).await {
        Ok(_) => Ok(Redirect::to(&format!("/console/orders/{}", order.id)).into_response()),
        Err(problem) => {
            let trouble = Some(frame.trouble(&problem)?);
            Ok(unprocessable(show(frame, &state, &order, form, trouble).await?))
        }
    }
}

async fn refund(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(form): Form<OrderForm>,
) -> Result<Response, PageError> {
    let order = find(&frame, &state, &text).await?;
    let by = By { actor: &frame.actor, key: &form.key, channel: "console", reason: form.reason.trim() };
    match acts::refund(&state, &by, &order).await {
        Ok(_) => Ok(Redirect::to(&format!("/console/orders/{}", order.id)).into_response()),
        Err(problem) => {
            let trouble = Some(frame.trouble(&problem)?);
            Ok(unprocessable(show(frame, &state, &order, form, trouble).await?))
        }
    }
}
