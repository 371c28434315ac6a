//! The member's own orders, and the receipt of each: what, for how many points, when, where it stands, and a code by which
//! whoever hands it out finds it.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use guerdon_core::id::{OrderId, TransactionId};
use guerdon_core::kernel::Receipt;
use guerdon_core::redemption::Order;
use serde::Deserialize;

use super::own::own;
use super::trouble::{OrTrouble, PortalError};
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
    let own = own(&state, &frame).await?;
    let id: OrderId = text.parse().map_err(|_| PortalError::not_found(&frame))?;
    let order = state.reader.order(id).await.or_trouble(&frame)?;
    let owned = |order: &Order| order.member_id == own.id || own.account.merged_from.contains(&order.member_id);
    let order = order.filter(owned).ok_or_else(|| PortalError::not_found(&frame))?;
    let wallet = own.account.wallet(order.currency);
    let available = wallet.map_or(0, |wallet| wallet.spendable(state.engine.now()));
    let balance = frame.say_text("rewards-available", "points", &frame.points(order.currency, available));
    let order = view(&frame, &order);
    let qr = svg_qr(&order.id, &frame.t("order-qr")).unwrap_or_default();
    Ok(render(&OrderPage { place: "orders", qr, balance, order, frame }))
}
