//! One order: what it is, where it stands, and its refund.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::OrderId;
use guerdon_core::identity::Permission;
use guerdon_core::redemption::{Order, OrderState};
use serde::Deserialize;

use super::approvals::{Waiting, waiting};
use super::format;
use super::frame::{Frame, render};
use super::member::{self, Subject};
use super::nav::Place;
use super::prove;
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::acts::{self, By};
use crate::approvals::Act;
use crate::identity::access::{Needs, Pages};

/// The pages of orders.
pub fn pages() -> Pages {
    Pages::default().get("/console/orders/{id}", Needs::Permission(Permission::OrdersRead), page).post(
        "/console/orders/{id}/refund",
        Needs::Permission(Permission::OrdersRefund),
        refund,
    )
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
    waiting: Vec<Waiting>,
    /// Whether who looks may refund it, and it can be refunded.
    may_refund: bool,
    key: String,
    reason: String,
    trouble: Option<String>,
}

async fn find(frame: &Frame, state: &AppState, text: &str) -> Result<Order, PageError> {
    let id: OrderId = text.parse().map_err(|_| PageError::not_found(frame))?;
    state.reader.order(id).await.or_page(frame)?.ok_or_else(|| PageError::not_found(frame))
}

async fn show(
    frame: Frame,
    state: &AppState,
    order: &Order,
    typed: RefundForm,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Members);
    let member = member::find(state, &frame, &order.member_id.to_string()).await?;
    let waiting = waiting(&frame, state, |act| matches!(act, Act::Refund { order: of, .. } if *of == order.id)).await?;
    let title = format!("{} × {}", format::number(order.quantity), frame.reward_name(&order.reward_id));
    let facts = vec![
        (frame.t("order-points"), frame.points(order.currency, order.points)),
        (frame.t("order-made"), frame.time(order.created_at)),
        (frame.t("order-changed"), frame.time(order.updated_at)),
    ];
    let refundable = order.state == OrderState::Captured && waiting.is_empty();
    Ok(render(&OrderPage {
        id: order.id,
        title,
        state: frame.t(&format!("order-{}", order.state.name())),
        facts,
        member,
        waiting,
        may_refund: refundable && frame.actor.may(Permission::OrdersRefund),
        key: typed.key,
        reason: typed.reason,
        trouble,
        frame,
    }))
}

async fn page(frame: Frame, State(state): State<AppState>, Path(text): Path<String>) -> Result<Response, PageError> {
    let order = find(&frame, &state, &text).await?;
    let typed = RefundForm { key: prove::form_key(), reason: String::new() };
    show(frame, &state, &order, typed, None).await
}

#[derive(Deserialize)]
struct RefundForm {
    key: String,
    reason: String,
}

async fn refund(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(form): Form<RefundForm>,
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
