//! The money of orders: what is asked of tenders, step by step, and what their answers do to the order.
//!
//! The kernel says with each commit which step an order's money waits for ([`Event::PaymentWanted`]), so that none is forgotten
//! however a server ends; the worker takes it from there. Each step is idempotent on both sides: a tender is asked for an
//! order, and its answer is noted once.
//!
//! [`Event::PaymentWanted`]: guerdon_core::kernel::Event::PaymentWanted

mod by_hand;
mod tender;
mod test_tender;
mod worker;

use std::time::Duration;

use axum::http::StatusCode;
use guerdon_core::id::OrderId;
use guerdon_core::kernel::{Command, Refusal, RefusalCode};
use guerdon_core::redemption::{Funds, Order, Payment, PaymentMove, PaymentState, PaymentTender};
use guerdon_store::CommandError;

pub use tender::{Answer, Asking, Charge, TenderError, TenderWay};
pub use worker::payment_worker;
pub(crate) use worker::wanted;

use crate::AppState;
use crate::acts::mover;
use crate::problem::Problem;

/// How long whoever orders waits for the tender; what takes longer goes on without them.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one answer of a tender may take; then it may have been done or not, and is asked again later.
const ANSWER_TIME: Duration = Duration::from_secs(15);
/// Steps that one look at an order takes at the most.
const STEPS: usize = 6;
/// Why an order is called off whose money nobody has confirmed in time.
const NOT_CONFIRMED: &str = "payment_not_confirmed";

/// What this server lets be tried out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Payments {
    /// Whether orders may be paid by the test tender, which moves no money.
    pub test_tender: bool,
}

/// How far the money of an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Nothing is to be asked of its tender now.
    Done,
    /// The tender has not answered yet: ask again later.
    Waits,
}

impl Payments {
    /// Refuses a tender that this server is not to take.
    pub fn check(&self, tender: PaymentTender) -> Result<(), Refusal> {
        if tender != PaymentTender::Test || self.test_tender {
            return Ok(());
        }
        let problem = "the `test` tender moves no money; a server takes it when it is started with `--test-tender`";
        Err(Refusal::new(RefusalCode::TenderNotOffered, problem))
    }
}

/// The way to a tender.
fn way<'a>(state: &'a AppState, tender: PaymentTender) -> Box<dyn TenderWay + 'a> {
    match tender {
        PaymentTender::CashOnDelivery => Box::new(by_hand::ByHand),
        PaymentTender::Test => Box::new(test_tender::TestTender::new(state)),
    }
}

/// Sees to the money of an order that was just made, for as long as its member waits. An error says that it was declined: the
/// order is over and its points are back. A repeated request is told the same.
pub async fn see_to(state: &AppState, order: OrderId) -> Result<(), Problem> {
    // Whatever does not come to its end here, the worker sees to.
    if let Ok(Err(problem)) = tokio::time::timeout(PATIENCE, settle(state, order)).await {
        tracing::warn!(problem.detail, "the money of an order waits for the worker");
    }
    let found = state.reader.order(order).await?;
    let payment = found.and_then(|order| order.details.particulars.payment);
    match payment.filter(|payment| payment.state() == PaymentState::Declined) {
        Some(payment) => Err(declined(order, &payment)),
        None => Ok(()),
    }
}

fn declined(order: OrderId, payment: &Payment) -> Problem {
    let reason = payment.steps.last().and_then(|step| step.reason.clone()).unwrap_or_else(|| "declined".to_owned());
    let detail =
        format!("the payment was refused ({reason}); order {order} is called off, and its points are given back");
    Problem::new(StatusCode::CONFLICT, "payment_declined", detail)
}

/// Brings the money of an order as far as it goes now.
pub async fn settle(state: &AppState, order: OrderId) -> Result<Settled, Problem> {
    for _ in 0..STEPS {
        let Some(order) = state.reader.order(order).await? else { return Ok(Settled::Done) };
        let Some(payment) = &order.details.particulars.payment else { return Ok(Settled::Done) };
        let Some(step) = payment.wants(order.state.funds()) else { return Ok(Settled::Done) };
        if step == PaymentMove::Authorise && is_too_late(state, &order) {
            give_up(state, &order).await?;
            continue;
        }
        let money = state.program().settings.money.clone();
        let reference = payment.reference();
        let charge = Charge { order: order.id, amount: payment.amount, money: &money, reference };
        match ask(state, payment.tender, step, &charge).await {
            Ok(Answer::ByHand) => return Ok(Settled::Done),
            Ok(Answer::Later) => return Ok(Settled::Waits),
            Ok(answer) => follow(state, &order, step, answer).await?,
            Err(error) => {
                tracing::warn!(%error, order = %order.id, step = step.name(), "a tender did not answer");
                return Ok(Settled::Waits);
            }
        }
    }
    Ok(Settled::Waits)
}

fn is_too_late(state: &AppState, order: &Order) -> bool {
    let now = state.engine.now();
    now >= state.program().settings_at(now).payment.authorise_until(order.created_at)
}

async fn ask(
    state: &AppState,
    tender: PaymentTender,
    step: PaymentMove,
    charge: &Charge<'_>,
) -> Result<Answer, TenderError> {
    let way = way(state, tender);
    let asking = match step {
        PaymentMove::Authorise => way.authorise(charge),
        PaymentMove::Capture => way.capture(charge),
        PaymentMove::Void => way.void(charge),
        PaymentMove::Return => way.refund(charge),
        // Nothing that is asked of a tender.
        PaymentMove::Decline | PaymentMove::Fail | PaymentMove::Collect => return Ok(Answer::ByHand),
    };
    in_time(ANSWER_TIME, asking).await
}

async fn in_time(time: Duration, asking: Asking<'_>) -> Result<Answer, TenderError> {
    let late = |_| TenderError(format!("no answer within {time:?}"));
    tokio::time::timeout(time, asking).await.map_err(late)?
}

/// Notes what a tender has answered to a step of an order, at once or by a notice later. Who tells it twice, or too late,
/// changes nothing.
pub async fn follow(state: &AppState, order: &Order, asked: PaymentMove, answer: Answer) -> Result<(), Problem> {
    let Some(payment) = &order.details.particulars.payment else { return Ok(()) };
    let (step, reference, reason) = match (answer, asked) {
        (Answer::Done { reference }, step) => (step, reference, None),
        (Answer::Declined { reason }, PaymentMove::Authorise) => (PaymentMove::Decline, None, Some(reason)),
        (Answer::Declined { reason }, PaymentMove::Capture) => (PaymentMove::Fail, None, Some(reason)),
        // There is nothing to let go.
        (Answer::Declined { reason }, PaymentMove::Void) => (PaymentMove::Void, None, Some(reason)),
        (Answer::Declined { reason }, _) => {
            tracing::error!(order = %order.id, reason, "money cannot be given back by its tender; give it back by hand");
            return Ok(());
        }
        (Answer::Later | Answer::ByHand, _) => return Ok(()),
    };
    let member = mover(state, order).await?;
    let now = state.engine.now();
    let command = Command::follow_tender(member, now, (order, payment), step, reference, reason);
    noted(state.engine.submit_one(command).await.map(drop))?;
    metrics::counter!("guerdon_payment_steps_total", "tender" => payment.tender.name(), "step" => step.name())
        .increment(1);
    Ok(())
}

async fn give_up(state: &AppState, order: &Order) -> Result<(), Problem> {
    let member = mover(state, order).await?;
    if order.state.funds() != Funds::Held {
        return Ok(());
    }
    let command = Command::give_up_payment(member, state.engine.now(), order, NOT_CONFIRMED);
    noted(state.engine.submit_one(command).await.map(drop))
}

/// Somebody who was faster is no trouble.
fn noted(outcome: Result<(), CommandError>) -> Result<(), Problem> {
    match outcome {
        Err(CommandError::Refused(refusal))
            if matches!(
                refusal.code,
                RefusalCode::IllegalPaymentMove | RefusalCode::IllegalOrderMove | RefusalCode::IdempotencyMismatch
            ) =>
        {
            Ok(())
        }
        outcome => Ok(outcome?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tender_that_hangs_is_one_that_has_not_answered() {
        let hangs: Asking<'_> = Box::pin(std::future::pending());
        let hung = in_time(Duration::from_millis(5), hangs).await;
        assert_eq!(hung, Err(TenderError("no answer within 5ms".to_owned())));
        let answers: Asking<'_> = Box::pin(async { Ok(Answer::Later) });
        assert_eq!(in_time(ANSWER_TIME, answers).await, Ok(Answer::Later));
    }
}
