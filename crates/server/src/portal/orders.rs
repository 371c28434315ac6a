//! The member's own orders, and the receipt of each: what, for how many points, when, where it stands, and a code by which
//! whoever hands it out finds it.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::{OrderId, TransactionId};
use guerdon_core::kernel::{Command, OrderChange, Receipt};
use guerdon_core::redemption::{Funds, Order, OrderMove, OrderState};
use guerdon_store::CommandError;
use serde::Deserialize;

use super::own::{Own, own};
use super::trouble::{OrTrouble, PortalError};
use super::{disputes, reviews};
use crate::AppState;
use crate::console::{Frame, render};
use crate::picture::svg_qr;

/// Orders of one page.
const PAGE: usize = 20;

/// An order in words.
struct OrderView {
    id: String,
    what: String,
    points: String,
    at: String,
    instant: String,
    state: String,
    state_name: &'static str,
}

#[derive(Template)]
#[template(path = "portal/orders.html")]
struct OrdersPage {
    frame: Frame,
    place: &'static str,
    orders: Vec<OrderView>,
    next: Option<String>,
    later: bool,
}

#[derive(Template)]
#[template(path = "portal/order.html")]
struct OrderPage {
    frame: Frame,
    place: &'static str,
    order: OrderView,
    qr: String,
    balance: String,
    /// Whether the member may call it off now.
    may_cancel: bool,
    /// Until when at least, where it was dear.
    cooling: Option<String>,
    trouble: Option<String>,
    review: Option<reviews::ReviewForm>,
    dispute: Option<disputes::Part>,
}

/// A receipt that is shown again, because something in one of its forms was wrong.
pub struct Again {
    /// What, in words.
    pub trouble: String,
    /// What was typed as a review.
    pub review: Option<reviews::Typed>,
    /// What was typed as a dispute.
    pub dispute: Option<disputes::Typed>,
}

fn view(frame: &Frame, order: &Order) -> OrderView {
    let name = frame.reward_name(&order.reward_id);
    OrderView {
        id: order.id.to_string(),
        what: match order.quantity {
            1 => name,
            quantity => frame.say("reward-content", [("name", name.into()), ("quantity", quantity.into())]),
        },
        points: frame.points(order.currency, order.points),
        at: frame.time(order.created_at),
        instant: order.created_at.to_string(),
        state: frame.order_state(order.state),
        state_name: order.state.name(),
    }
}

/// Where a page begins.
#[derive(Deserialize)]
pub struct Cursor {
    before: Option<String>,
}

/// `/portal/orders`
pub async fn list(
    frame: Frame,
    State(state): State<AppState>,
    Query(cursor): Query<Cursor>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let before = cursor.before.as_deref().map(str::parse::<TransactionId>).transpose();
    let before = before.map_err(|_| PortalError::not_found(&frame))?;
    let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
    let mut rows = state.reader.redemptions(own.id, before, limit).await.or_trouble(&frame)?;
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let ids: Vec<OrderId> = rows
        .iter()
        .filter_map(|row| serde_json::from_str::<Receipt>(&row.receipt).ok()?.order)
        .map(|order| order.id)
        .collect();
    let orders = state.reader.orders(&ids).await.or_trouble(&frame)?;
    let page = OrdersPage {
        place: "orders",
        orders: ids.iter().filter_map(|id| orders.get(id)).map(|order| view(&frame, order)).collect(),
        next: rows.last().filter(|_| more).map(|row| row.id.to_string()),
        later: before.is_some(),
        frame,
    };
    Ok(render(&page))
}

/// `/portal/orders/{id}`: the receipt.
pub async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
) -> Result<Response, PortalError> {
    let (own, order) = find(&state, &frame, &text).await?;
    show(frame, &state, &own, &order, None).await
}

/// Calls an order off, as long as nobody has begun to fulfil it; the points come back.
pub async fn cancel(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
) -> Result<Response, PortalError> {
    let (own, order) = find(&state, &frame, &text).await?;
    // However often it is tapped, it is called off once.
    let key = format!("portal cancel {}", order.id);
    let (step, reason, shipment) = (OrderMove::Cancel, None, None);
    let change = OrderChange { order: order.id, owner: order.member_id, step, reason, shipment };
    let command = Command::move_order(own.id, &key, state.engine.now(), change).or_trouble(&frame)?;
    match state.engine.submit_one(command.from_channel("portal").by(frame.actor.name())).await {
        Ok(_) => Ok(Redirect::to(&format!("/portal/orders/{}", order.id)).into_response()),
        Err(CommandError::Refused(_)) => {
            let trouble = frame.t("order-cancel-too-late");
            refused(frame, &state, &own, &order, Again { trouble, review: None, dispute: None }).await
        }
        Err(error) => Err(error).or_trouble(&frame),
    }
}

/// An order of the member, or of an account that was merged into the member's.
pub(super) async fn find(state: &AppState, frame: &Frame, text: &str) -> Result<(Own, Order), PortalError> {
    let own = own(state, frame).await?;
    let id: OrderId = text.parse().map_err(|_| PortalError::not_found(frame))?;
    let order = state.reader.order(id).await.or_trouble(frame)?;
    let owned = |order: &Order| order.member_id == own.id || own.account.merged_from.contains(&order.member_id);
    let order = order.filter(owned).ok_or_else(|| PortalError::not_found(frame))?;
    Ok((own, order))
}

/// The receipt again, with what was wrong in one of its forms.
pub(super) async fn refused(
    frame: Frame,
    state: &AppState,
    own: &Own,
    order: &Order,
    again: Again,
) -> Result<Response, PortalError> {
    let mut response = show(frame, state, own, order, Some(again)).await?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

async fn show(
    frame: Frame,
    state: &AppState,
    own: &Own,
    order: &Order,
    again: Option<Again>,
) -> Result<Response, PortalError> {
    let typed = again.as_ref();
    let review = reviews::form(state, &frame, own, order, typed.and_then(|again| again.review.as_ref())).await;
    let review = review.map_err(reviews::detail).or_trouble(&frame)?;
    let dispute = disputes::part(state, &frame, order, typed.and_then(|again| again.dispute.as_ref())).await;
    let dispute = dispute.map_err(reviews::detail).or_trouble(&frame)?;
    let trouble = again.map(|again| again.trouble);
    let now = state.engine.now();
    let held = order.state.funds() == Funds::Held && !order.is_due(now);
    let may_cancel = held && order.state != OrderState::Fulfilling;
    let cooling = order.details.cooling_until.filter(|until| may_cancel && *until > now);
    let cooling = cooling.map(|until| frame.say_text("order-cancel-until", "time", &frame.time(until)));
    let wallet = own.account.wallet(order.currency);
    let available = wallet.map_or(0, |wallet| wallet.spendable(now));
    let balance = frame.say_text("rewards-available", "points", &frame.points(order.currency, available));
    let order = view(&frame, order);
    let qr = svg_qr(&order.id, &frame.t("order-qr")).unwrap_or_default();
    Ok(render(&OrderPage { place: "orders", qr, balance, may_cancel, cooling, trouble, review, dispute, order, frame }))
}
