//! At the counter: scan or type a voucher, see what to hand out, hand it out.

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::response::Response;
use guerdon_core::identity::Permission;
use guerdon_core::redemption::{HandedOut, PaymentMove, VoucherStanding};
use serde::Deserialize;

use super::format;
use super::frame::{Frame, render};
use super::nav::Place;
use super::prove;
use super::trouble::{PageError, unprocessable};
use crate::AppState;
use crate::acts::{self, By};
use crate::identity::access::{Needs, Pages};
use crate::portal::order_name;
use crate::problem::Problem;
use crate::vouchers;

/// The terminal of whoever names none.
const CONSOLE: &str = "console";

/// The page of the counter.
pub fn pages() -> Pages {
    let needs = Needs::InStore(Permission::VouchersRedeem);
    Pages::default()
        .get("/console/pos", needs, page)
        .post("/console/pos", needs, check)
        .post("/console/pos/hand-out", needs, hand_out)
        .post("/console/pos/collect", Needs::Permission(Permission::OrdersWrite), collect)
}

/// What stands in the forms. The store and the terminal stand in the address as well, so that a counter can bookmark its own.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Typed {
    store: String,
    terminal: String,
    voucher: String,
    key: String,
}

/// What a voucher is for.
struct Found {
    what: String,
    order: String,
    standing: &'static str,
    /// Why it is not handed out, or when and where it was.
    words: Option<String>,
    /// Whether who looks may say that its money was taken.
    may_collect: bool,
}

#[derive(Template)]
#[template(path = "console/pos.html")]
struct PosPage {
    frame: Frame,
    typed: Typed,
    /// The stores of who looks, where there are some only.
    stores: Vec<String>,
    found: Option<Found>,
    done: Option<String>,
    trouble: Option<String>,
}

async fn page(frame: Frame, Query(typed): Query<Typed>) -> Response {
    let typed = Typed { voucher: String::new(), ..typed };
    show(frame, typed, None, None, None)
}

fn show(
    frame: Frame,
    mut typed: Typed,
    found: Option<Found>,
    done: Option<String>,
    trouble: Option<String>,
) -> Response {
    let frame = frame.at(Place::Pos);
    let stores = frame.actor.access.stores_for(Permission::VouchersRedeem);
    let stores: Vec<String> = stores.into_iter().map(str::to_owned).collect();
    if let ([only], "") = (stores.as_slice(), typed.store.as_str()) {
        typed.store.clone_from(only);
    }
    render(&PosPage { typed, stores, found, done, trouble, frame })
}

/// Shows what a voucher is for.
async fn check(frame: Frame, State(state): State<AppState>, Form(typed): Form<Typed>) -> Result<Response, PageError> {
    match look(&frame, &state, &typed).await {
        Ok(found) => Ok(show(frame, Typed { key: prove::form_key(), ..typed }, Some(found), None, None)),
        Err(problem) => refused(frame, typed, &problem),
    }
}

async fn look(frame: &Frame, state: &AppState, typed: &Typed) -> Result<Found, Problem> {
    let store = Some(typed.store.trim()).filter(|store| !store.is_empty());
    frame.actor.require_at(Permission::VouchersRedeem, store)?;
    let place = (typed.store.trim(), typed.terminal.trim());
    let presented = vouchers::read(state, &frame.actor, place, typed.voucher.trim()).await?;
    let vouchers::Presented { order, voucher } = presented;
    let standing = VoucherStanding::of(&order, state.engine.now());
    if let Some(voucher) = voucher.filter(|_| standing == VoucherStanding::Good) {
        voucher.check_life(state.clock())?;
    }
    let words = match (standing, &order.details.particulars.handed_out) {
        (VoucherStanding::Good, _) => None,
        (VoucherStanding::Unpaid, _) => {
            let amount = order.details.particulars.payment.as_ref().map_or(0, |payment| payment.amount);
            Some(frame.say_text("pos-unpaid", "money", &frame.money(amount)))
        }
        (VoucherStanding::HandedOut, Some(place)) => Some(place_words(frame, place)),
        _ => Some(frame.say_text(
            &format!("pos-{}", standing.name().replace('_', "-")),
            "state",
            &frame.order_state(order.state),
        )),
    };
    Ok(Found {
        what: format!("{} × {}", format::number(order.quantity), order_name(frame, &order)),
        order: order.id.to_string(),
        standing: standing.name(),
        words,
        may_collect: standing == VoucherStanding::Unpaid && frame.actor.may(Permission::OrdersWrite),
    })
}

fn place_words(frame: &Frame, place: &HandedOut) -> String {
    let (at, store, terminal) = (frame.time(place.at), place.store.as_str(), place.terminal.as_str());
    frame.say("pos-handed-out-at", [("time", at.into()), ("store", store.into()), ("terminal", terminal.into())])
}

/// Notes that the money of an order was taken, and shows what it is for again.
async fn collect(frame: Frame, State(state): State<AppState>, Form(typed): Form<Typed>) -> Result<Response, PageError> {
    match take_money(&frame, &state, &typed).await {
        Ok(found) => Ok(show(frame, Typed { key: prove::form_key(), ..typed }, Some(found), None, None)),
        Err(problem) => refused(frame, typed, &problem),
    }
}

async fn take_money(frame: &Frame, state: &AppState, typed: &Typed) -> Result<Found, Problem> {
    let place = (typed.store.trim(), typed.terminal.trim());
    let presented = vouchers::read(state, &frame.actor, place, typed.voucher.trim()).await?;
    let by = By { actor: &frame.actor, key: &typed.key, channel: "console", reason: "" };
    acts::move_payment(state, &by, &presented.order, PaymentMove::Collect, None).await?;
    look(frame, state, typed).await
}

/// Hands it out.
async fn hand_out(
    frame: Frame,
    State(state): State<AppState>,
    Form(typed): Form<Typed>,
) -> Result<Response, PageError> {
    match give(&frame, &state, &typed).await {
        Ok(done) => {
            let typed = Typed { voucher: String::new(), ..typed };
            Ok(show(frame, typed, None, Some(done), None))
        }
        Err(problem) => refused(frame, typed, &problem),
    }
}

async fn give(frame: &Frame, state: &AppState, typed: &Typed) -> Result<String, Problem> {
    let (store, terminal) = (typed.store.trim(), typed.terminal.trim());
    let terminal = if terminal.is_empty() { CONSOLE } else { terminal };
    frame.actor.require_at(Permission::VouchersRedeem, Some(store).filter(|store| !store.is_empty()))?;
    let place = (store, typed.terminal.trim());
    let presented = vouchers::read(state, &frame.actor, place, typed.voucher.trim()).await?;
    let what = format!("{} × {}", format::number(presented.order.quantity), order_name(frame, &presented.order));
    let place = HandedOut { at: state.clock(), store: store.to_owned(), terminal: terminal.to_owned() };
    vouchers::redeem(state, &frame.actor, (&typed.key, "console"), presented, place).await?;
    Ok(frame.say_text("pos-done", "what", &what))
}

/// The page with what stood in the way; what stands in the fields can be mended.
fn refused(frame: Frame, typed: Typed, problem: &Problem) -> Result<Response, PageError> {
    let words = match &problem.handed_out {
        Some(place) => place_words(&frame, place),
        // A code that is not there is no page that is not there.
        None if problem.code == "unknown_voucher" => frame.problem(problem),
        None => frame.trouble(problem)?,
    };
    Ok(unprocessable(show(frame, typed, None, None, Some(words))))
}
