//! The steps of one order: begin, set aside all that it holds, say that it was handed out, and done; or give it back.

use guerdon_core::fulfilment::{Fate, Item, Outcome, Plan, last_steps, stands_elsewhere};
use guerdon_core::kernel::Command;
use guerdon_core::redemption::{Funds, Order, OrderMove, OrderState};
use guerdon_store::CodeFate;

use crate::differences::note;
use crate::effects::{Effects, Happened};
use crate::handing::supplier_of;
use crate::undo;

/// Goes on with an order from where it stands. Whoever was faster, a member who calls it off or another node, is let.
pub async fn go_on<E: Effects>(effects: &E, order: &Order) -> Result<(), E::Error> {
    let program = effects.program();
    let plan = Plan::of(&program, order, effects.now());
    match plan {
        Plan::Nothing => return Ok(()),
        Plan::Complete => return finish(effects, order, &[OrderMove::Complete]).await,
        Plan::Begin | Plan::HandOut => {}
    }
    let items = Item::all(&program, order);
    if plan == Plan::Begin {
        for item in &items {
            if !supplier_of(item.handing.fulfilment).is_ready(effects).await? {
                return Ok(());
            }
        }
    }
    // Before anybody is asked: whatever ends the order, and whoever dies meanwhile, what was asked for is not forgotten. Also where
    // people have begun the order.
    undo::watch(effects, &items).await?;
    if plan == Plan::Begin && !moved(effects, order, &[OrderMove::Fulfil], None).await? {
        return Ok(());
    }
    // What costs nothing to give back is set aside first; only then is anybody else asked. Nobody sees any of it before all
    // of it is there.
    let (theirs, own): (Vec<Item<'_>>, Vec<Item<'_>>) = items.into_iter().partition(|item| item.supplier().is_some());
    for round in [own, theirs] {
        let mut there = true;
        for item in round {
            // Others may have ended the order while the suppliers of other parts took their time.
            if item.handing.is_part && item.supplier().is_some() && !is_under_way(effects, order).await? {
                return Ok(());
            }
            match supplier_of(item.handing.fulfilment).deliver(effects, item).await? {
                Outcome::Delivered => {}
                Outcome::Later => there = false,
                Outcome::Refused(reason) => return give_back(effects, order, reason).await,
            }
        }
        if !there {
            return Ok(());
        }
    }
    hand_over(effects, order).await
}

async fn is_under_way<E: Effects>(effects: &E, order: &Order) -> Result<bool, E::Error> {
    let now = effects.order(order.id).await?;
    Ok(now.is_some_and(|now| now.state == OrderState::Fulfilling))
}

/// Says that all that the program hands out of an order is there, which lets its member see it. What suppliers have delivered
/// of an order that was given back meanwhile, or cannot be issued, is for people to look at.
pub(crate) async fn hand_over<E: Effects>(effects: &E, order: &Order) -> Result<(), E::Error> {
    finish(effects, order, last_steps(order)).await?;
    let program = effects.program();
    if Item::all(&program, order).iter().all(|item| item.supplier().is_none()) {
        return Ok(());
    }
    let Some(now) = effects.order(order.id).await? else { return Ok(()) };
    let funds = now.state.funds();
    let (what, detail) = match funds {
        Funds::Spent => return undo::follow(effects, &now).await,
        Funds::Returned => ("delivered_after_return", "it was delivered while the points were given back"),
        Funds::Held => ("delivered_not_issued", "it was delivered, and the order does not let it be issued"),
    };
    // What becomes of the parts of an order that was given back is followed below.
    let noted = |item: &Item<'_>| !item.handing.is_part || funds == Funds::Held;
    for item in Item::all(&program, &now).into_iter().filter(noted) {
        let Some(supplier) = item.supplier() else { continue };
        note(effects, supplier, &item.key().to_string(), what, detail).await?;
    }
    undo::follow(effects, &now).await
}

/// Says that an order was handed out. One that was given back meanwhile is not: what was set aside for it is free again.
async fn finish<E: Effects>(effects: &E, order: &Order, steps: &[OrderMove]) -> Result<(), E::Error> {
    moved(effects, order, steps, None).await?;
    settle_codes(effects, order).await
}

/// Gives an order back that cannot be fulfilled, with all its parts; the member is told by the event of it.
pub(crate) async fn give_back<E: Effects>(effects: &E, order: &Order, reason: &'static str) -> Result<(), E::Error> {
    if moved(effects, order, &[OrderMove::Fail], Some(reason)).await? {
        effects.tell(Happened::GivenBack { reason });
    }
    settle_codes(effects, order).await?;
    match effects.order(order.id).await? {
        Some(now) => undo::follow(effects, &now).await,
        None => Ok(()),
    }
}

/// What becomes of the codes of an order by where it stands. Until it has come to an end they stay as they are.
pub async fn settle_codes<E: Effects>(effects: &E, order: &Order) -> Result<(), E::Error> {
    let Some(order) = effects.order(order.id).await? else { return Ok(()) };
    let fate = match Fate::of(&order) {
        Fate::Kept => return Ok(()),
        Fate::Issued => CodeFate::Issued(effects.now()),
        Fate::Released => CodeFate::Released,
    };
    let program = effects.program();
    for handing in program.handings(&order) {
        effects.settle_codes(handing.reward_id, order.id, fate).await?;
    }
    Ok(())
}

/// Moves an order, all steps in one batch. False: it stands elsewhere by now, and nothing of it was done.
async fn moved<E: Effects>(
    effects: &E,
    order: &Order,
    steps: &[OrderMove],
    reason: Option<&str>,
) -> Result<bool, E::Error> {
    let (member, now) = (effects.mover(order).await?, effects.now());
    let command = |step: &OrderMove| Command::fulfilment_step(order, member, *step, now, reason);
    let mut first = true;
    for outcome in effects.submit(steps.iter().map(command).collect()).await? {
        match outcome {
            Ok(()) => {}
            Err(refusal) if stands_elsewhere(refusal.code) => {
                if first {
                    return Ok(false);
                }
            }
            Err(refusal) => return Err(refusal.into()),
        }
        first = false;
    }
    Ok(true)
}
