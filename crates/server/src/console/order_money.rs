//! The money of an order in the console: whoever took it or gave it back by hand says so.

use axum::extract::{Form, Path, State};
use axum::response::Response;
use guerdon_core::identity::Permission;
use guerdon_core::redemption::{Order, PaymentMove};
use serde::Deserialize;

use super::frame::Frame;
use super::orders::{OrderForm, answered, find};
use super::trouble::PageError;
use crate::AppState;
use crate::acts::{self, By};
use crate::identity::access::{Needs, Pages};

/// Where the forms lead.
pub(super) fn pages() -> Pages {
    Pages::default()
        .post("/console/orders/{id}/payment/collect", Needs::Permission(Permission::OrdersWrite), collect)
        .post("/console/orders/{id}/payment/return", Needs::Permission(Permission::OrdersRefund), give_back)
}

/// What may be said of the money of an order.
pub(super) struct MoneyStep {
    pub name: &'static str,
    pub about: String,
    pub button: String,
}

/// What who looks may say of the money of an order now.
pub(super) fn step(frame: &Frame, order: &Order) -> Option<MoneyStep> {
    let payment = order.details.particulars.payment.as_ref()?;
    let may = |(_, permission): &(PaymentMove, Permission)| frame.actor.may(*permission);
    let steps = [(PaymentMove::Collect, Permission::OrdersWrite), (PaymentMove::Return, Permission::OrdersRefund)];
    let possible = |(step, _): &(PaymentMove, Permission)| payment.after(*step, order.state.funds()).is_some();
    // What a tender gives back by itself needs no word.
    let by_hand = |(step, _): &(PaymentMove, Permission)| *step == PaymentMove::Collect || !payment.tender.authorises();
    let (step, _) = steps.into_iter().filter(possible).filter(by_hand).find(may)?;
    Some(MoneyStep {
        name: step.name(),
        about: frame.say_text(&format!("order-money-{}-about", step.name()), "money", &frame.money(payment.amount)),
        button: frame.t(&format!("order-money-{}", step.name())),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MoneyForm {
    key: String,
    reference: String,
}

async fn collect(
    frame: Frame,
    state: State<AppState>,
    path: Path<String>,
    form: Form<MoneyForm>,
) -> Result<Response, PageError> {
    say(frame, state, path, form, PaymentMove::Collect).await
}

async fn give_back(
    frame: Frame,
    state: State<AppState>,
    path: Path<String>,
    form: Form<MoneyForm>,
) -> Result<Response, PageError> {
    say(frame, state, path, form, PaymentMove::Return).await
}

async fn say(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(form): Form<MoneyForm>,
    step: PaymentMove,
) -> Result<Response, PageError> {
    let order = find(&frame, &state, &text).await?;
    let by = By { actor: &frame.actor, key: &form.key, channel: "console", reason: "" };
    let reference = Some(form.reference.trim().to_owned()).filter(|reference| !reference.is_empty());
    let done = acts::move_payment(&state, &by, &order, step, reference).await;
    answered(frame, &state, &order, OrderForm::begun(form.key), done).await
}
