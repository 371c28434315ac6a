//! The steps of one order: begin, set aside all that it holds, say that it was handed out, and done; or give it back.

use guerdon_core::kernel::{Command, RefusalCode};
use guerdon_core::redemption::{Funds, Order, OrderMove, OrderState};
use guerdon_store::{CodeFate, CommandError};

use super::handing::{Delivery, Item, supplier_of};
use super::supplier::differences;
use super::{Shared, undo};
use crate::AppState;
use crate::acts;
use crate::problem::Problem;

/// Goes on with an order from where it stands. Whoever was faster, a member who calls it off or another node, is let.
pub(super) async fn go_on(shared: &Shared, order: Order) -> Result<(), Problem> {
    let state = &shared.state;
    let (program, now) = (state.program(), state.engine.now());
    if !program.may_fulfil(&order, now) {
        return Ok(());
    }
    if order.state == OrderState::Issued {
        return finish(state, &order, &[OrderMove::Complete]).await;
    }
    let items = Item::all(&program, &order);
    if order.state != OrderState::Fulfilling {
        for item in &items {
            if !supplier_of(item.handing.fulfilment).is_ready(state).await? {
                return Ok(());
            }
        }
        // Before anybody is asked: whatever ends the order, and whoever dies meanwhile, what was asked for is not forgotten.
        undo::watch(state, &items).await?;
        if !moved(state, &order, &[OrderMove::Fulfil], None).await? {
            return Ok(());
        }
    }
    // What costs nothing to give back is set aside first; only then is anybody else asked. Nobody sees any of it before all
    // of it is there.
    let (theirs, own): (Vec<Item<'_>>, Vec<Item<'_>>) = items.into_iter().partition(|item| item.supplier().is_some());
    for round in [own, theirs] {
        let mut there = true;
        for item in round {
            // Others may have ended the order while the suppliers of other parts took their time.
            if item.handing.is_part && item.supplier().is_some() && !is_under_way(state, &order).await? {
                return Ok(());
            }
            match shared.deliver(item).await? {
                Delivery::Delivered => {}
                Delivery::Later => there = false,
                Delivery::Refused(reason) => return give_back(state, &order, reason).await,
            }
        }
        if !there {
            return Ok(());
        }
    }
    hand_over(state, &order).await
}

async fn is_under_way(state: &AppState, order: &Order) -> Result<bool, Problem> {
    let now = state.reader.order(order.id).await?;
    Ok(now.is_some_and(|now| now.state == OrderState::Fulfilling))
}

/// Says that all that the program hands out of an order is there, which lets its member see it. What suppliers have delivered
/// of an order that was given back meanwhile, or cannot be issued, is for people to look at.
pub(super) async fn hand_over(state: &AppState, order: &Order) -> Result<(), Problem> {
    let whole = [OrderMove::Issue, OrderMove::Complete];
    let steps = if order.has_rest_for_people() { &whole[..1] } else { &whole[..] };
    finish(state, order, steps).await?;
    let program = state.program();
    if Item::all(&program, order).iter().all(|item| item.supplier().is_none()) {
        return Ok(());
    }
    let Some(now) = state.reader.order(order.id).await? else { return Ok(()) };
    let funds = now.state.funds();
    let (what, detail) = match funds {
        Funds::Spent => return undo::follow(state, &now).await,
        Funds::Returned => ("delivered_after_return", "it was delivered while the points were given back"),
        Funds::Held => ("delivered_not_issued", "it was delivered, and the order does not let it be issued"),
    };
    // What becomes of the parts of an order that was given back is followed below.
    let noted = |item: &Item<'_>| !item.handing.is_part || funds == Funds::Held;
    for item in Item::all(&program, &now).into_iter().filter(noted) {
        let Some(supplier) = item.supplier() else { continue };
        differences::note(state, supplier, &item.key().to_string(), what, detail).await?;
    }
    undo::follow(state, &now).await
}

/// Says that an order was handed out. One that was given back meanwhile is not: what was set aside for it is free again.
pub(super) async fn finish(state: &AppState, order: &Order, steps: &[OrderMove]) -> Result<(), Problem> {
    moved(state, order, steps, None).await?;
    settle_codes(state, order).await
}

/// Gives an order back that cannot be fulfilled, with all its parts; the member is told by the event of it.
pub(super) async fn give_back(state: &AppState, order: &Order, reason: &str) -> Result<(), Problem> {
    if moved(state, order, &[OrderMove::Fail], Some(reason)).await? {
        metrics::counter!("guerdon_orders_given_back_total", "reason" => reason.to_owned()).increment(1);
    }
    settle_codes(state, order).await?;
    match state.reader.order(order.id).await? {
        Some(now) => undo::follow(state, &now).await,
        None => Ok(()),
    }
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
    for handing in state.program().handings(&order) {
        state.engine.settle_codes(handing.reward_id.to_owned(), order.id, fate).await?;
    }
    Ok(())
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
