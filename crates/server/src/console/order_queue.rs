//! The queues of orders: those in one state, oldest first, to be moved on one by one or many at once.

use std::collections::BTreeSet;

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::response::Response;
use guerdon_core::id::OrderId;
use guerdon_core::identity::Permission;
use guerdon_core::redemption::{Order, OrderMove, OrderState};
use serde::Deserialize;

use super::format;
use super::frame::{Frame, render};
use super::nav::Place;
use super::operators;
use super::prove;
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::acts::{self, By, Moving, permission_of};
use crate::identity::access::{Needs, Pages};

/// Orders of one page, which is also how many are moved at once.
const PAGE: usize = 50;
/// The pages of queues.
pub fn pages() -> Pages {
    Pages::default()
        .get("/console/orders", Needs::Permission(Permission::OrdersRead), page)
        .post("/console/orders/moves", Needs::Permission(Permission::OrdersWrite), fulfil)
        .post("/console/orders/review", Needs::Permission(Permission::OrdersReview), review)
}

/// Which queue, and where a page begins.
#[derive(Deserialize)]
struct Asked {
    state: Option<String>,
    after: Option<String>,
}

struct Queue {
    name: &'static str,
    words: String,
    current: bool,
}

struct Line {
    id: OrderId,
    title: String,
    points: String,
    since: String,
    claimed: Option<String>,
}

/// A move that may be made, and where its button leads.
pub(super) struct Choice {
    pub step: &'static str,
    pub words: String,
    pub address: &'static str,
    pub grave: bool,
}

#[derive(Template)]
#[template(path = "console/order_queue.html")]
struct QueuePage {
    frame: Frame,
    queues: Vec<Queue>,
    state: &'static str,
    lines: Vec<Line>,
    choices: Vec<Choice>,
    key: String,
    next: Option<String>,
    /// What became of the last move, and what stood in its way.
    done: Option<String>,
    troubles: Vec<String>,
}

/// The moves that who looks may make, of those that are possible for any of the orders; a refund has a form of its own, and a
/// shipment belongs to one order.
pub(super) fn choices(frame: &Frame, possible: &BTreeSet<OrderMove>, one: bool) -> Vec<Choice> {
    let shown = |step: &OrderMove| match step {
        OrderMove::Refund | OrderMove::Expire => false,
        OrderMove::Ship if !one => false,
        _ => permission_of(*step).is_some_and(|permission| frame.actor.may(permission)),
    };
    let choice = |step: OrderMove| Choice {
        step: step.name(),
        words: frame.t(&format!("order-do-{}", step.name())),
        address: if permission_of(step) == Some(Permission::OrdersReview) { "review" } else { "moves" },
        grave: matches!(step, OrderMove::Reject | OrderMove::Cancel | OrderMove::Fail),
    };
    possible.iter().copied().filter(shown).map(choice).collect()
}

async fn page(frame: Frame, State(state): State<AppState>, Query(asked): Query<Asked>) -> Result<Response, PageError> {
    let wanted = asked.state.as_deref().and_then(OrderState::queue).unwrap_or(OrderState::InReview);
    let after = asked.after.as_deref().and_then(|after| after.parse().ok());
    show(frame, &state, wanted, after, (None, Vec::new())).await
}

async fn show(
    frame: Frame,
    state: &AppState,
    wanted: OrderState,
    after: Option<OrderId>,
    (done, troubles): (Option<String>, Vec<String>),
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Orders);
    let mut found = state.reader.orders_in(wanted, after, PAGE as i64 + 1).await.or_page(&frame)?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(|order| order.id.to_string());
    let moving = Moving::by(state, &frame.actor, "console");
    let possible = found.iter().flat_map(|order| moving.moves(order)).collect();
    let mut lines = Vec::with_capacity(found.len());
    for order in found {
        lines.push(line(&frame, state, order).await);
    }
    let queue = |queue: OrderState| Queue {
        name: queue.name(),
        words: frame.t(&format!("order-{}", queue.name())),
        current: queue == wanted,
    };
    Ok(render(&QueuePage {
        queues: OrderState::QUEUES.map(queue).into(),
        state: wanted.name(),
        lines,
        choices: choices(&frame, &possible, false),
        key: prove::form_key(),
        next,
        done,
        troubles,
        frame,
    }))
}

async fn line(frame: &Frame, state: &AppState, order: Order) -> Line {
    let claimed = match &order.details.claimed_by {
        Some(who) => Some(operators::name(state, frame, who).await),
        None => None,
    };
    Line {
        id: order.id,
        title: format!("{} × {}", format::number(order.quantity), frame.reward_name(&order.reward_id)),
        points: frame.points(order.currency, order.points),
        since: frame.time(order.updated_at),
        claimed,
    }
}

async fn fulfil(
    frame: Frame,
    state: State<AppState>,
    form: Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    move_all(frame, state, form, Permission::OrdersWrite).await
}

async fn review(
    frame: Frame,
    state: State<AppState>,
    form: Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    move_all(frame, state, form, Permission::OrdersReview).await
}

/// Moves the marked orders on, each by itself: what one of them refuses keeps no other.
async fn move_all(
    frame: Frame,
    State(state): State<AppState>,
    Form(fields): Form<Vec<(String, String)>>,
    permission: Permission,
) -> Result<Response, PageError> {
    let typed = |name: &str| fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.trim());
    let wanted = OrderState::queue(typed("state")).unwrap_or(OrderState::InReview);
    let marked = fields.iter().filter(|(field, _)| field == "order").take(PAGE);
    let ids: Vec<OrderId> = marked.filter_map(|(_, id)| id.parse().ok()).collect();
    let step = acts::move_named(typed("step"), permission);
    let Some(step) = step.filter(|_| !ids.is_empty()) else {
        let troubles = vec![frame.t("order-queue-none-marked")];
        return Ok(unprocessable(show(frame, &state, wanted, None, (None, troubles)).await?));
    };
    let (mut count, mut troubles) = (0, Vec::new());
    for id in ids {
        let Some(order) = state.reader.order(id).await.or_page(&frame)? else { continue };
        let key = format!("{}:{id}", typed("key"));
        let by = By { actor: &frame.actor, key: &key, channel: "console", reason: typed("reason") };
        match acts::move_order(&state, &by, &order, step, None).await {
            Ok(_) => count += 1,
            Err(problem) => troubles.push(format!("{id}: {}", frame.trouble(&problem)?)),
        }
    }
    let words = frame.t(&format!("order-{}", step.leads_to().unwrap_or(wanted).name()));
    let done = frame.say("orders-moved", [("count", i64::from(count).into()), ("state", words.into())]);
    let refused = !troubles.is_empty();
    let page = show(frame, &state, wanted, None, (Some(done).filter(|_| count > 0), troubles)).await?;
    Ok(if refused { unprocessable(page) } else { page })
}
