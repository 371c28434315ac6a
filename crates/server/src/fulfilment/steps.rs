//! The steps of one order: begin, hand out, say that it was, and done; or give it back.

use guerdon_core::kernel::{Command, RefusalCode};
use guerdon_core::redemption::{Funds, Order, OrderMove, OrderState};
use guerdon_core::rewards::Fulfilment;
use guerdon_store::{CodeFate, CommandError};

use super::handing::{Delivery, supplier_of};
use super::supplier::differences;
use crate::AppState;
use crate::acts;
use crate::problem::Problem;

/// Goes on with an order from where it stands. Whoever was faster, a member who calls it off or another node, is let.
pub(super) async fn go_on(state: &AppState, order: Order) -> Result<(), Problem> {
    let (program, now) = (state.program(), state.engine.now());
    if !program.may_fulfil(&order, now) {
        return Ok(());
    }
    if order.state == OrderState::Issued {
        return finish(state, &order, &[OrderMove::Complete]).await;
    }
    let Some(reward) = program.reward_at(&order.reward_id, order.created_at) else { return Ok(()) };
    let Some(fulfilment) = &reward.fulfilment else { return Ok(()) };
    let supplier = supplier_of(fulfilment);
    if order.state != OrderState::Fulfilling
        && !(supplier.is_ready(state).await? && moved(state, &order, &[OrderMove::Fulfil], None).await?)
    {
        return Ok(());
    }
    match (supplier.deliver(state, &order, reward).await?, fulfilment) {
        (Delivery::Delivered, Fulfilment::Supplier { supplier }) => hand_over(state, &order, supplier).await,
        (Delivery::Delivered, _) => finish(state, &order, &[OrderMove::Issue, OrderMove::Complete]).await,
        (Delivery::Refused(reason), _) => give_back(state, &order, reason).await,
        (Delivery::Later, _) => Ok(()),
    }
}

/// Says that a supplier has handed an order out. One that was given back meanwhile, or cannot be issued, is for people to look at.
pub(super) async fn hand_over(state: &AppState, order: &Order, supplier: &str) -> Result<(), Problem> {
    finish(state, order, &[OrderMove::Issue, OrderMove::Complete]).await?;
    let now = state.reader.order(order.id).await?;
    let (what, detail) = match now.map(|now| now.state.funds()) {
        None | Some(Funds::Spent) => return Ok(()),
        Some(Funds::Returned) => ("delivered_after_return", "it was delivered while the points were given back"),
        Some(Funds::Held) => ("delivered_not_issued", "it was delivered, and the order does not let it be issued"),
    };
    differences::note(state, supplier, &order.id.to_string(), what, detail).await
}

/// Says that an order was handed out. One that was given back meanwhile is not: what was set aside for it is free again.
pub(super) async fn finish(state: &AppState, order: &Order, steps: &[OrderMove]) -> Result<(), Problem> {
    moved(state, order, steps, None).await?;
    settle_codes(state, order).await
}

/// Gives an order back that cannot be fulfilled; the member is told by the event of it.
pub(super) async fn give_back(state: &AppState, order: &Order, reason: &str) -> Result<(), Problem> {
    if moved(state, order, &[OrderMove::Fail], Some(reason)).await? {
        metrics::counter!("guerdon_orders_given_back_total", "reason" => reason.to_owned()).increment(1);
    }
    settle_codes(state, order).await
}

/// What becomes of the codes of an order by where it stands. Until it has come to an end they stay as they are.
pub(super) async fn settle_codes(state: &AppState, order: &Order) -> Result<(), Problem> {
    let Some(order) = state.reader.order(order.id).await? else { return Ok(()) };
    let was_spent = order.details.history.iter().any(|step| step.state.funds() == Funds::Spent);
    let fate = match order.state.funds() {
        Funds::Held => return Ok(()),
        // Also what was refunded since has been seen.
        Funds::Spent => CodeFate::Issued(state.engine.now()),
        Funds::Returned if was_spent => CodeFate::Issued(state.engine.now()),
        Funds::Returned => CodeFate::Released,
    };
    Ok(state.engine.settle_codes(order.reward_id, order.id, fate).await?)
}

/// Moves an order, all steps in one batch. False: it stands elsewhere by now, and nothing of it was done.
async fn moved(state: &AppState, order: &Order, steps: &[OrderMove], reason: Option<&str>) -> Result<bool, Problem> {
    let (member, now) = (acts::mover(state, order).await?, state.engine.now());
    let command = |step: &OrderMove| Command::fulfilment_step(order, member, *step, now, reason);
    let mut first = true;
    for outcome in state.engine.submit(steps.iter().map(command).collect()).await {
        match outcome {
            Ok(_) => {}
            Err(CommandError::Refused(refusal)) if stands_elsewhere(refusal.code) => {
                if first {
                    return Ok(false);
                }
            }
            Err(error) => return Err(error.into()),
        }
        first = false;
    }
    Ok(true)
}

/// Refusals by which an order says that somebody else has moved it, or that its time has run out.
fn stands_elsewhere(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::IllegalOrderMove
            | RefusalCode::OrderExpired
            | RefusalCode::CoolingOff
            | RefusalCode::PaymentDue
            | RefusalCode::GroupOpen
            | RefusalCode::MemberMerged
            | RefusalCode::MemberErased
    )
}
