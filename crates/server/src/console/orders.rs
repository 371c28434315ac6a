//! One order: what it is, where it stands, what happened to it, how it goes on, and its refund.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::OrderId;
use guerdon_core::identity::Permission;
use guerdon_core::redemption::{Delivery, Funds, Grievance, Order, OrderMove, OrderState, Shipment, TrackingEvent};
use guerdon_store::StoreError;
use serde::Deserialize;

use super::approvals::{Waiting, waiting};
use super::disputes;
use super::format;
use super::frame::{Frame, render};
use super::member::{self, Subject};
use super::nav::Place;
use super::operators;
use super::order_money::{self, MoneyStep};
use super::order_queue::{Choice, choices};
use super::prove;
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::acts::{self, By, Moving};
use crate::approvals::Act;
use crate::fulfilment::parts::{self, PartStanding};
use crate::fulfilment::supplier::{self, Attempted, DeliveryKey};
use crate::identity::access::{Needs, Pages};
use crate::picture::svg_qr;
use crate::portal::{Choosing, DayOfSlots, benefit_words, days_of_slots, order_name, part_name};
use crate::privacy::reveal_delivery;
use crate::problem::Problem;

/// The pages of orders.
pub fn pages() -> Pages {
    Pages::default()
        .get("/console/orders/{id}", Needs::Permission(Permission::OrdersRead), page)
        .post("/console/orders/{id}/moves", Needs::Permission(Permission::OrdersWrite), fulfil)
        .post("/console/orders/{id}/rebook", Needs::Permission(Permission::OrdersWrite), rebook)
        .post("/console/orders/{id}/reveal", Needs::Permission(Permission::MembersReveal), reveal)
        .post("/console/orders/{id}/review", Needs::Permission(Permission::OrdersReview), review)
        .post("/console/orders/{id}/refund", Needs::Permission(Permission::OrdersRefund), refund)
        .and(super::order_money::pages())
}

#[derive(Template)]
#[template(path = "console/order.html")]
struct OrderPage {
    frame: Frame,
    id: OrderId,
    title: String,
    state: String,
    state_name: &'static str,
    facts: Vec<(String, String)>,
    member: Subject,
    tracking: Vec<TrackingLine>,
    history: Vec<HistoryLine>,
    waiting: Vec<Waiting>,
    choices: Vec<Choice>,
    /// Whether who looks may see its codes, and it may have some.
    may_see_codes: bool,
    /// Whether it can be sent from here.
    may_ship: bool,
    /// What may be said of its money by hand.
    money: Option<MoneyStep>,
    /// Whether who looks may refund it, and it can be refunded.
    may_refund: bool,
    /// Where it goes to, once somebody has said why they look.
    delivery: Vec<(String, Vec<String>)>,
    /// Whether that can be looked at.
    may_reveal: bool,
    /// The slots to which its appointment can be moved.
    days: Vec<DayOfSlots>,
    key: String,
    reason: String,
    trouble: Option<String>,
    dispute: Option<disputes::Part>,
    qr: String,
}

/// What a carrier told.
pub(crate) struct TrackingLine {
    pub(crate) words: String,
    pub(crate) place: String,
    pub(crate) when: String,
}

/// What carriers told of an order, the latest first.
pub(crate) fn tracking(frame: &Frame, order: &Order) -> Vec<TrackingLine> {
    let line = |event: &TrackingEvent| TrackingLine {
        words: frame.t(&format!("tracking-{}", event.status.name())),
        place: [&event.place, &event.text].into_iter().flatten().cloned().collect::<Vec<_>>().join(" · "),
        when: frame.time(event.at),
    };
    order.details.particulars.tracking.iter().rev().map(line).collect()
}

/// One step in the life of the order.
struct HistoryLine {
    state: String,
    when: String,
    who: Option<String>,
    reason: Option<String>,
}

pub(super) async fn find(frame: &Frame, state: &AppState, text: &str) -> Result<Order, PageError> {
    // Also by the name under which a supplier knows a part of it.
    let key: DeliveryKey = text.parse().map_err(|_| PageError::not_found(frame))?;
    state.reader.order(key.order).await.or_page(frame)?.ok_or_else(|| PageError::not_found(frame))
}

pub(super) async fn show(
    frame: Frame,
    state: &AppState,
    order: &Order,
    typed: OrderForm,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Orders);
    let member = member::find(state, &frame, &order.member_id.to_string()).await?;
    let waiting = waiting(&frame, state, |act| matches!(act, Act::Refund { order: of, .. } if *of == order.id)).await?;
    let title = format!("{} × {}", format::number(order.quantity), order_name(&frame, order));
    let days = movable(&frame, state, order).await.or_page(&frame)?;
    let may_look = order.details.particulars.delivery.is_some() && frame.actor.may(Permission::MembersReveal);
    let history = history(&frame, state, order).await;
    let mut facts = facts(&frame, state, order).await;
    facts.extend(by_supplier(&frame, state, order).await?);
    let possible: BTreeSet<OrderMove> = Moving::by(state, &frame.actor, "console").moves(order).into_iter().collect();
    let refundable = possible.contains(&OrderMove::Refund) && waiting.is_empty();
    let dispute = disputes::part(&frame, state, order).await?;
    let qr = svg_qr(&order.id.to_string(), &frame.t("order-qr")).unwrap_or_default();
    let mut choices = choices(&frame, &possible, true);
    // Nobody takes on once more what is theirs.
    let own = order.details.claimed_by.as_deref() == Some(frame.actor.name().as_str());
    choices.retain(|choice| !own || choice.step != OrderMove::Claim.name());
    let may_ship = choices.iter().any(|choice| choice.step == OrderMove::Ship.name());
    Ok(render(&OrderPage {
        id: order.id,
        title,
        state: frame.t(&format!("order-{}", order.state.name())),
        state_name: order.state.name(),
        facts,
        member,
        tracking: tracking(&frame, order),
        history,
        waiting,
        choices,
        may_see_codes: order.state.funds() == Funds::Spent
            && frame.actor.may(Permission::CodesRead)
            && state.program().hands_out(order),
        may_ship,
        money: order_money::step(&frame, order),
        may_refund: refundable && frame.actor.may(Permission::OrdersRefund),
        may_reveal: may_look && typed.delivery.is_none(),
        delivery: typed.delivery.as_ref().map(|delivery| delivery_lines(&frame, delivery)).unwrap_or_default(),
        days,
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
    if let Some(payment) = &details.particulars.payment {
        facts.push((frame.t("order-money"), frame.money_line(payment)));
    }
    if let Some(group) = &details.particulars.group {
        let open = frame.say_text("order-group-open", "time", &frame.time(group.ends_at));
        let words = if group.is_open() { open } else { frame.t("order-group-full") };
        facts.push((frame.t("order-group"), words));
    }
    if let Some(due) = order.due_at {
        let ends = if order.state.funds() == Funds::Spent { "order-completes" } else { "order-expires" };
        facts.push((frame.t(ends), frame.time(due)));
    }
    facts.extend(contents(frame, order));
    if let Some(who) = &details.claimed_by {
        facts.push((frame.t("order-claimed"), operators::name(state, frame, who).await));
    }
    if let Some(place) = &details.particulars.handed_out {
        let (time, place) = (frame.time(place.at), format!("{} · {}", place.store, place.terminal));
        facts.push((frame.t("order-handed-out"), format!("{time}, {place}")));
    }
    if let Some(Shipment { carrier, tracking_number }) = &details.shipment {
        facts.push((frame.t("order-shipment"), format!("{carrier} {tracking_number}")));
    }
    facts
}

/// What is known of its delivery through a supplier, and how the parts of a bundle stand.
async fn by_supplier(frame: &Frame, state: &AppState, order: &Order) -> Result<Vec<(String, String)>, PageError> {
    let key = DeliveryKey { order: order.id, part: None };
    let attempted = supplier::attempted(state, &key).await.map_err(|problem| PageError::of(frame, &problem))?;
    let whole = attempted.map(|attempted| (frame.t("order-supplier"), attempted_words(frame, attempted)));
    let parts = parts::of(state, order).await.map_err(|problem| PageError::of(frame, &problem))?;
    let part = |PartStanding { part, state, attempted }: PartStanding<'_>| {
        let words = frame.t(&format!("order-part-{}", state.name()));
        let attempted = attempted.map(|attempted| attempted_words(frame, attempted));
        (part_name(frame, part), [Some(words), attempted].into_iter().flatten().collect::<Vec<_>>().join(" · "))
    };
    Ok(whole.into_iter().chain(parts.into_iter().map(part)).collect())
}

fn attempted_words(frame: &Frame, attempted: Attempted) -> String {
    let Attempted { supplier, attempts, reference, trouble, .. } = attempted;
    let asked = frame.say("order-supplier-asked", [("count", attempts.into())]);
    [Some(supplier), Some(asked), reference, trouble].into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Its appointment, and what holds by it. Where it goes to is told to who says why they look.
fn contents(frame: &Frame, order: &Order) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    if let Some(booked) = order.details.particulars.booked() {
        let when = frame.time(booked.starts_at);
        let words = booked.store.as_ref().map_or_else(|| when.clone(), |store| format!("{when} · {store}"));
        facts.push((frame.t("order-appointment"), words));
    }
    if order.details.particulars.delivery.is_some() {
        facts.push((frame.t("order-delivery"), frame.t("order-delivery-hidden")));
    }
    let held = order.benefits().map(|benefit| (frame.t("order-benefits"), benefit_words(frame, benefit)));
    facts.extend(held);
    facts
}

fn delivery_lines(frame: &Frame, delivery: &Delivery) -> Vec<(String, Vec<String>)> {
    let address = delivery.address.as_ref().map(|address| (frame.t("order-address"), frame.address_lines(address)));
    let account = delivery.account.clone().map(|account| (frame.t("order-account"), vec![account]));
    address.into_iter().chain(account).collect()
}

/// The slots to which the appointment of an order can be moved, for who may move it.
async fn movable(frame: &Frame, state: &AppState, order: &Order) -> Result<Vec<DayOfSlots>, StoreError> {
    let stands = matches!(order.state, OrderState::Placed | OrderState::Approved | OrderState::Fulfilling);
    let booked = order.details.particulars.booked().is_some() && frame.actor.may(Permission::OrdersWrite);
    match frame.program.reward(&order.reward_id) {
        Some(reward) if stands && booked => {
            days_of_slots(frame, state, Choosing::again(reward, order, state.engine.now()), "").await
        }
        _ => Ok(Vec::new()),
    }
}

async fn history(frame: &Frame, state: &AppState, order: &Order) -> Vec<HistoryLine> {
    let mut lines = Vec::with_capacity(order.details.history.len());
    let mut stood = None;
    for step in &order.details.history {
        let who = match &step.actor {
            Some(who) if *who == order.member_id.to_string() => Some(frame.t("order-by-member")),
            Some(who) => Some(operators::name(state, frame, who).await),
            None => None,
        };
        // Who takes an order on leaves it in review.
        let taken_on = step.state == OrderState::InReview && stood == Some(OrderState::InReview);
        stood = Some(step.state);
        let key = if taken_on { "order-taken-on".to_owned() } else { format!("order-{}", step.state.name()) };
        let words = frame.t(&key);
        let disputed = order.details.particulars.dispute.as_ref();
        let opened = disputed.is_some_and(|disputed| disputed.transaction_id == step.transaction_id);
        let kind = step.reason.as_deref().and_then(Grievance::from_name).filter(|_| opened);
        // Those that the program itself gives are codes.
        let known = |reason: &String| frame.language.say_if_known(&format!("order-reason-{reason}"));
        let (words, reason) = match kind {
            Some(kind) => (frame.t("dispute-title"), Some(disputes::kind_words(frame, kind))),
            None => (words, step.reason.as_ref().map(|reason| known(reason).unwrap_or_else(|| reason.clone()))),
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
pub(super) struct OrderForm {
    key: String,
    reason: String,
    step: String,
    carrier: String,
    tracking_number: String,
    slot: String,
    /// What was revealed; no form brings it.
    #[serde(skip)]
    delivery: Option<Delivery>,
}

impl OrderForm {
    /// A form of which nothing was typed yet.
    pub(super) fn begun(key: String) -> Self {
        Self { key, ..Self::default() }
    }
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
    let done = acts::move_order(&state, &by, &order, step, shipment).await;
    answered(frame, &state, &order, form, done).await
}

/// The order as it is since, or the form again with what stood in the way.
pub(super) async fn answered<T>(
    frame: Frame,
    state: &AppState,
    order: &Order,
    typed: OrderForm,
    done: Result<T, Problem>,
) -> Result<Response, PageError> {
    match done {
        Ok(_) => Ok(Redirect::to(&format!("/console/orders/{}", order.id)).into_response()),
        Err(problem) => {
            let trouble = Some(frame.trouble(&problem)?);
            Ok(unprocessable(show(frame, state, order, typed, trouble).await?))
        }
    }
}

/// Moves the appointment of the order to another slot.
async fn rebook(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(form): Form<OrderForm>,
) -> Result<Response, PageError> {
    let order = find(&frame, &state, &text).await?;
    let by = By { actor: &frame.actor, key: &form.key, channel: "console", reason: form.reason.trim() };
    let done = acts::rebook(&state, &by, &order, form.slot.trim()).await;
    answered(frame, &state, &order, form, done).await
}

/// Shows where the order goes to, for a reason that the audit log keeps.
async fn reveal(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(form): Form<OrderForm>,
) -> Result<Response, PageError> {
    let order = find(&frame, &state, &text).await?;
    match reveal_delivery(&state, &frame.actor, &order, form.reason.trim()).await {
        Ok(delivery) => {
            let delivery = Some(delivery.unwrap_or_default());
            let typed = OrderForm { key: prove::form_key(), delivery, ..OrderForm::default() };
            show(frame, &state, &order, typed, None).await
        }
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
    let done = acts::refund(&state, &by, &order).await;
    answered(frame, &state, &order, form, done).await
}
