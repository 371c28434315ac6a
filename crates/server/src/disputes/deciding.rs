//! How a dispute ends: the points are given back, by the refund that every order has, or it is declined with a reason.

use guerdon_core::redemption::{Order, OrderMove};
use guerdon_store::CommandError;

use super::telling::{News, tell};
use super::*;
use crate::acts::{self, By, Done};

/// How a dispute is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The points are given back, above the program's limit with the consent of another operator.
    Refund,
    /// They are not.
    Decline,
}

/// Ends a dispute. A refund that waits for another operator leaves it open until then.
pub async fn resolve(state: &AppState, by: &By<'_>, order: &Order, resolution: Resolution) -> Result<Done, Problem> {
    let done = match resolution {
        Resolution::Refund => acts::refund(state, by, order).await?,
        Resolution::Decline => acts::move_order(state, by, order, OrderMove::Decline, None).await?,
    };
    if resolution == Resolution::Decline {
        settle_quietly(state, order.id).await;
    }
    Ok(done)
}

/// Closes a dispute that the order says has ended, and tells the member, once. Where it was not done at once, because the
/// server stopped in between, it is done when somebody looks.
pub async fn settle(state: &AppState, order: OrderId) -> Result<(), Problem> {
    let Some((record, mut dispute)) = read(state, order).await? else { return Ok(()) };
    if dispute.end.is_some() {
        return Ok(());
    }
    let Some(found) = state.reader.order(order).await? else { return Ok(()) };
    let Some(end) = found.details.particulars.dispute.and_then(|disputed| disputed.ended) else { return Ok(()) };
    let step = found.details.history.iter().find(|step| step.transaction_id == end.transaction_id);
    let reason = step.and_then(|step| step.reason.clone());
    dispute.end = Some(End { at: state.clock(), refunded: end.refunded, reason });
    dispute.due_at = None;
    match state.engine.write_records(vec![put(record, &dispute)?], Vec::new()).await {
        Ok(()) => {
            tell(state, &dispute, if end.refunded { News::Refunded } else { News::Declined }).await;
            Ok(())
        }
        // Somebody else has closed it, or says something: the next one who looks sees it.
        Err(CommandError::Conflict) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The same after an act that stands whatever becomes of this.
pub async fn settle_quietly(state: &AppState, order: OrderId) {
    if let Err(problem) = settle(state, order).await {
        tracing::warn!(%order, problem.detail, "a dispute that has ended could not be closed; whoever looks at it closes it");
    }
}
