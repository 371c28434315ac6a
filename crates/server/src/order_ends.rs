//! Ends orders whose time has run out: one that holds points expires, one that was handed over is done. Each is a command of
//! the program's own clock, so that whichever node sends it, and however often, it happens once.

use std::time::Duration;

use guerdon_core::kernel::{Command, RefusalCode};
use guerdon_store::CommandError;
use tokio::sync::watch;

use crate::AppState;
use crate::problem::Problem;

/// Orders of one round.
const SLICE: i64 = 500;
/// How often is looked for more.
const EVERY: Duration = Duration::from_secs(1);
/// How long to wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// The lease of the node that does it.
const LEASE: &str = "job order ends";

/// Ends orders until `stop` says true.
pub async fn order_worker(state: AppState, mut stop: watch::Receiver<bool>) {
    loop {
        let wait = match round(&state).await {
            Ok(true) => Duration::ZERO,
            Ok(false) => EVERY,
            Err(problem) => {
                tracing::warn!(problem.detail, "orders whose time has run out could not be ended; trying again");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Ends the orders that have waited longest. True: there may be more.
async fn round(state: &AppState) -> Result<bool, Problem> {
    let now = state.engine.now();
    // Few ask the writer for its lease when nothing is due.
    let due = state.reader.orders_due(now, SLICE).await?;
    if due.is_empty() || !state.engine.run(|store| store.lease(LEASE)).await? {
        return Ok(false);
    }
    let mut commands = Vec::with_capacity(due.len());
    for order in &due {
        let resolved = state.reader.resolve(order.member_id).await?;
        let member = resolved.map_or(order.member_id, |(member, _)| member);
        commands.push(Command::end_order(order, now, member));
    }
    let mut ended = false;
    for outcome in state.engine.submit(commands).await {
        match outcome {
            Ok(_) => ended = true,
            // Somebody was faster and has moved it on.
            Err(CommandError::Refused(refusal)) if refusal.code == RefusalCode::IllegalOrderMove => {}
            // One that cannot be ended does not hold up the others.
            Err(CommandError::Refused(refusal)) => {
                tracing::error!(code = refusal.code.name(), refusal.message, "an order cannot be ended");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ended && due.len() as i64 == SLICE)
}
