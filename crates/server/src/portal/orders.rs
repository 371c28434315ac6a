//! The member's own orders, and the receipt of each: what, for how many points, when, where it stands, and a code by which
//! whoever hands it out finds it.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::{OrderId, TransactionId};
use guerdon_core::kernel::{Command, OrderChange, Rebooking, Receipt};
use guerdon_core::privacy::mask;
use guerdon_core::redemption::{Benefit, Funds, Order, OrderMove, OrderPart, OrderState, Payment, PaymentState};
use guerdon_core::rewards::Fulfilment;
use guerdon_core::time::Timestamp;
use guerdon_store::CommandError;
use serde::Deserialize;

use super::choice::{Choosing, DayOfSlots, days_of_slots};
use super::order_codes::{self, CodeLine};
use super::own::{Own, is_fresh, own};
use super::trouble::{OrTrouble, PortalError};
use super::{disputes, reviews};
use crate::AppState;
use crate::acts::Moving;
use crate::console::{Frame, TrackingLine, render, tracking};
use crate::fulfilment::parts::{self, PartStanding};
use crate::fulfilment::{REASONS, is_coming};
use crate::order_choice;
use crate::picture::svg_qr;
use crate::vouchers;

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

/// A voucher as it is shown.
struct VoucherView {
    text: String,
    qr: String,
    code: String,
    until: String,
}

#[derive(Template)]
#[template(path = "portal/voucher.html")]
struct VoucherPart {
    frame: Frame,
    voucher: VoucherView,
}

#[derive(Template)]
#[template(path = "portal/order.html")]
struct OrderPage {
    frame: Frame,
    place: &'static str,
    order: OrderView,
    qr: String,
    /// Where it is handed out at a store.
    voucher: Option<VoucherView>,
    /// When and where it was.
    handed_out: Option<String>,
    balance: String,
    /// Whether the member may call it off now.
    may_cancel: bool,
    /// Until when at least, where it was dear.
    cooling: Option<String>,
    /// Its appointment, where it goes to, and what holds by it: pairs of a label and lines.
    contents: Vec<(String, Vec<String>)>,
    /// Whether it is sent, and nobody collects it.
    sent: bool,
    /// What comes next.
    ahead: Option<String>,
    /// The slots to which the appointment can be moved.
    days: Vec<DayOfSlots>,
    trouble: Option<String>,
    /// What is paid in money, and what that asks of the member.
    money: Option<(String, String)>,
    /// The page of its group, and what the order waits for.
    group: Option<(String, String)>,
    review: Option<reviews::ReviewForm>,
    dispute: Option<disputes::Part>,
    /// Who carries it, and under which number.
    shipment: Option<String>,
    /// What carriers told of it.
    tracking: Vec<TrackingLine>,
    /// What was handed out.
    codes: Vec<CodeLine>,
    /// Whether what is handed out is on its way.
    coming: bool,
    /// After how many seconds the page looks again.
    again: u32,
    /// That the points are back, and why.
    given_back: Option<(String, String)>,
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
    let name = order_name(frame, order);
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

/// What was redeemed, in which variant.
pub(crate) fn order_name(frame: &Frame, order: &Order) -> String {
    in_variant(frame, &order.reward_id, order.details.particulars.variant.as_deref())
}

/// A part of a bundle, in which variant, and how many of it.
pub(crate) fn part_name(frame: &Frame, part: &OrderPart) -> String {
    let name = in_variant(frame, &part.reward, part.variant.as_deref());
    match part.quantity {
        1 => name,
        quantity => frame.say("reward-content", [("name", name.into()), ("quantity", quantity.into())]),
    }
}

fn in_variant(frame: &Frame, reward: &str, variant: Option<&str>) -> String {
    let name = frame.reward_name(reward);
    let Some(id) = variant else { return name };
    let reward = frame.program.reward(reward);
    let variant = reward.and_then(|reward| reward.variants().iter().find(|variant| variant.id == id));
    let variant = variant.map_or(id, |variant| variant.name.get(frame.language.tag()));
    frame.say("order-in-variant", [("name", name.into()), ("variant", variant.into())])
}

/// What else there is to say of an order. Where it goes to is masked, unless the member has proved a moment ago who they are.
///
/// And whether it is sent to an address.
async fn contents(
    frame: &Frame,
    state: &AppState,
    order: &Order,
) -> Result<(Vec<(String, Vec<String>)>, bool), PortalError> {
    let (mut lines, mut sent) = (Vec::new(), false);
    if let Some(booked) = order.details.particulars.booked() {
        let when = frame.time(booked.starts_at);
        lines.push((frame.t("order-appointment"), [Some(when), booked.store.clone()].into_iter().flatten().collect()));
    }
    if let Some(delivery) = order_choice::open(state, order).await.or_trouble(frame)? {
        let fresh = is_fresh(state, &frame.actor).await.or_trouble(frame)?;
        if let Some(address) = delivery.address {
            let shown = if fresh { address } else { mask::address(&address) };
            lines.push((frame.t("order-address"), frame.address_lines(&shown)));
            sent = true;
        }
        if let Some(account) = delivery.account {
            let shown = if fresh { account } else { mask::phone(&account) };
            lines.push((frame.t("order-account"), vec![shown]));
        }
    }
    let parts = parts::of(state, order).await.map_err(|problem| problem.detail).or_trouble(frame)?;
    let part = |PartStanding { part, state, .. }: PartStanding<'_>| {
        let words = frame.t(&format!("order-part-{}", state.name()));
        frame.say("order-part", [("name", part_name(frame, part).into()), ("state", words.into())])
    };
    if !parts.is_empty() {
        lines.push((frame.t("order-parts"), parts.into_iter().map(part).collect()));
    }
    let held: Vec<String> = order.benefits().map(|benefit| benefit_words(frame, benefit)).collect();
    if !held.is_empty() {
        lines.push((frame.t("order-benefits"), held));
    }
    Ok((lines, sent))
}

/// A privilege or trial, and from when until when it holds.
pub(crate) fn benefit_words(frame: &Frame, (benefit, from, until): (&Benefit, Timestamp, Timestamp)) -> String {
    let calendar = &frame.program.calendar;
    let first = calendar.local(from).date().to_string();
    let last = calendar.local(until.plus_millis(-1)).date().to_string();
    let name = frame.reward_name(&benefit.reward);
    frame.say("benefit-holds", [("name", name.into()), ("from", first.into()), ("until", last.into())])
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

/// To which slot an appointment is to be moved.
#[derive(Deserialize)]
pub struct RebookForm {
    #[serde(default)]
    slot: String,
}

/// Moves the appointment of an order to another free slot.
pub async fn rebook(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(form): Form<RebookForm>,
) -> Result<Response, PortalError> {
    let (own, order) = find(&state, &frame, &text).await?;
    // The steps are in the key: the same form sent twice moves once, and back again is another move.
    let key = format!("portal rebook {} {} {}", order.id, order.details.history.len(), form.slot);
    let rebooking = Rebooking { order: order.id, owner: order.member_id, slot: form.slot, reason: None };
    let moved = match Command::rebook(own.id, &key, state.engine.now(), rebooking) {
        Ok(command) => state.engine.submit_one(command.from_channel("portal").by(frame.actor.name())).await,
        Err(refusal) => Err(CommandError::Refused(refusal)),
    };
    match moved {
        Ok(_) => Ok(Redirect::to(&format!("/portal/orders/{}", order.id)).into_response()),
        Err(CommandError::Refused(_)) => {
            let trouble = frame.t("reward-slot-gone");
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

/// What is paid in money, and what that asks of the member.
fn money(frame: &Frame, payment: &Payment, funds: Funds) -> (String, String) {
    let amount = frame.money(payment.amount);
    let state = payment.state();
    let hint = match (state, funds) {
        (PaymentState::Due, _) if payment.lets_fulfil() => "order-money-due-hand",
        (PaymentState::Due, _) => "order-money-due-wait",
        (PaymentState::Declined, _) => "order-money-declined",
        (PaymentState::Void, _) => "order-money-void",
        (PaymentState::Returned, _) => "order-money-returned",
        (PaymentState::Paid, Funds::Returned) => "order-money-return-due",
        (PaymentState::Authorised | PaymentState::Paid, _) => "",
    };
    let hint = if hint.is_empty() { String::new() } else { frame.say_text(hint, "money", &amount) };
    (frame.money_line(payment), hint)
}

/// `/portal/orders/{id}/voucher`: the voucher alone, renewed. Once there is none any more, the page is looked at anew.
pub async fn voucher(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
) -> Result<Response, PortalError> {
    let (_, order) = find(&state, &frame, &text).await?;
    match shown_voucher(&frame, &state, &order).await? {
        Some(voucher) => Ok(render(&VoucherPart { frame, voucher })),
        None => Ok(([("hx-refresh", "true")], "").into_response()),
    }
}

async fn shown_voucher(frame: &Frame, state: &AppState, order: &Order) -> Result<Option<VoucherView>, PortalError> {
    let issued = vouchers::issue(state, order).await.map_err(|problem| problem.detail).or_trouble(frame)?;
    Ok(issued.map(|issued| VoucherView {
        qr: svg_qr(&issued.text, &frame.t("voucher-qr")).unwrap_or_default(),
        code: issued.code.to_string(),
        until: frame.say_text("voucher-until", "time", &frame.clock_time(issued.expires_at)),
        text: issued.text,
    }))
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
    let particulars = &order.details.particulars;
    let waits = particulars.group.as_ref().filter(|group| group.is_open() && held);
    let may_cancel = held && Moving::by(state, &frame.actor, "portal").moves(order).contains(&OrderMove::Cancel);
    let money = particulars.payment.as_ref().map(|payment| money(&frame, payment, order.state.funds()));
    let group = particulars.group.as_ref().map(|group| {
        let words = waits.map(|group| frame.say_text("order-group-waits", "time", &frame.time(group.ends_at)));
        (format!("/portal/groups/{}", group.code), words.unwrap_or_default())
    });
    let cooling = order.details.cooling_until.filter(|until| may_cancel && *until > now);
    let cooling = cooling.map(|until| frame.say_text("order-cancel-until", "time", &frame.time(until)));
    let wallet = own.account.wallet(order.currency);
    let available = wallet.map_or(0, |wallet| wallet.spendable(now));
    let balance = frame.say_text("rewards-available", "points", &frame.points(order.currency, available));
    let (contents, sent) = contents(&frame, state, order).await?;
    let ahead = match order.state {
        OrderState::InReview => Some("order-ahead-review"),
        OrderState::Placed | OrderState::Approved | OrderState::Fulfilling if sent && waits.is_none() => {
            Some("order-ahead-send")
        }
        _ => None,
    };
    let ahead = ahead.map(|key| frame.t(key));
    let days = match frame.program.reward(&order.reward_id) {
        Some(reward) if may_rebook(order, now) => {
            days_of_slots(&frame, state, Choosing::again(reward, order, now), "").await.or_trouble(&frame)?
        }
        _ => Vec::new(),
    };
    let voucher = shown_voucher(&frame, state, order).await?;
    let handed_out = order.details.particulars.handed_out.as_ref().map(|place| {
        let (time, store) = (frame.time(place.at), place.store.as_str());
        frame.say("voucher-handed-out", [("time", time.into()), ("store", store.into())])
    });
    let codes = order_codes::lines(&frame, state, order).await.map_err(|problem| problem.detail).or_trouble(&frame)?;
    let coming = order.state.funds() == Funds::Held && is_coming(state, order);
    // A partner may take its time.
    let program = state.program();
    let handings = program.handings(order);
    let by_partner = handings.iter().any(|handing| matches!(handing.fulfilment, Fulfilment::Supplier { .. }));
    let given_back = given_back(&frame, order);
    let shipment = order.details.shipment.as_ref();
    let shipment = shipment.map(|sent| format!("{} {}", sent.carrier, sent.tracking_number));
    let tracking = tracking(&frame, order);
    let order = view(&frame, order);
    // Whoever hands it out finds the order by its code; a code that was handed out has one of its own.
    let qr = if codes.is_empty() && !coming && given_back.is_none() && voucher.is_none() {
        svg_qr(&order.id, &frame.t("order-qr"))
    } else {
        None
    };
    let page = OrderPage {
        place: "orders",
        qr: qr.unwrap_or_default(),
        voucher,
        handed_out,
        balance,
        may_cancel,
        cooling,
        contents,
        sent,
        ahead,
        days,
        trouble,
        review,
        dispute,
        shipment,
        tracking,
        codes,
        coming,
        again: if by_partner { 5 } else { 1 },
        given_back,
        money,
        group,
        order,
        frame,
    };
    let mut response = render(&page);
    // Codes are worth money: no browser keeps them.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// That an order could not be fulfilled, and why; of one that was called off or refused, its reason alone.
fn given_back(frame: &Frame, order: &Order) -> Option<(String, String)> {
    let last = order.details.history.last().filter(|last| last.state.funds() == Funds::Returned)?;
    let expired = (last.state == OrderState::Expired).then(|| "expired".to_owned());
    let reason = last.reason.clone().or(expired)?;
    let said = frame.language.say_if_known(&format!("order-reason-{reason}")).unwrap_or_else(|| reason.clone());
    let is_made_good =
        matches!(last.state, OrderState::Refunded | OrderState::Expired) || REASONS.contains(&reason.as_str());
    let words = if is_made_good { frame.t("order-given-back") } else { String::new() };
    Some((words, said))
}

/// Whether the member may move the appointment of an order now.
fn may_rebook(order: &Order, now: Timestamp) -> bool {
    let booked = order.details.particulars.booked().filter(|booked| booked.starts_at > now);
    booked.is_some() && matches!(order.state, OrderState::Placed | OrderState::Approved) && !order.is_due(now)
}
