//! Ends orders whose time has run out: one that holds points expires, one that was handed over is done. Each is a command of
//! the program's own clock, so that whichever node sends it, and however often, it happens once.
//!
//! An order whose end is refused is asked for again after a while only, and the orders behind it are ended meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use guerdon_core::id::OrderId;
use guerdon_core::kernel::{Command, RefusalCode};
use guerdon_core::redemption::Order;
use guerdon_core::time::Timestamp;
use guerdon_store::CommandError;
use tokio::sync::watch;

use crate::AppState;
use crate::problem::Problem;

/// Orders of one round.
const SLICE: usize = 500;
/// How often is looked for more.
const EVERY: Duration = Duration::from_secs(1);
/// How long to wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// The lease of the node that does it.
const LEASE: &str = "job order ends";
/// After how long an order is asked for again whose end was refused, in milliseconds (10 minutes).
const REFUSED_MS: i64 = 600_000;
/// Orders of which is remembered that their end was refused; of more it is found again.
const REFUSED: usize = 100_000;

/// How far a node has come with the orders that are due.
#[derive(Debug, Default)]
struct Place {
    /// The last order of the round before, where that was a full one: it goes on behind it.
    after: Option<(Timestamp, OrderId)>,
    /// Orders whose end was refused, with when it was due, and from when on it is asked for again.
    refused: BTreeMap<(OrderId, Option<Timestamp>), Timestamp>,
}

impl Place {
    /// Those of a slice that are to be ended now; the next slice begins behind it, or anew behind the last.
    fn take(&mut self, slice: Vec<Order>, now: Timestamp) -> Vec<Order> {
        let last = slice.last().filter(|_| slice.len() == SLICE);
        self.after = last.and_then(|last| Some((last.due_at?, last.id)));
        self.refused.retain(|_, again| *again > now);
        slice.into_iter().filter(|order| !self.refused.contains_key(&(order.id, order.due_at))).collect()
    }

    /// Remembers that the end of an order was refused.
    fn refuse(&mut self, order: &Order, now: Timestamp) {
        if self.refused.len() < REFUSED {
            self.refused.insert((order.id, order.due_at), now.plus_millis(REFUSED_MS));
        }
    }
}

/// Ends orders until `stop` says true.
pub async fn order_worker(state: AppState, mut stop: watch::Receiver<bool>) {
    let mut place = Place::default();
    loop {
        let wait = match round(&state, &mut place).await {
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

/// Ends the next orders of those that are due. True: there are more.
async fn round(state: &AppState, place: &mut Place) -> Result<bool, Problem> {
    let now = state.engine.now();
    // Few ask the writer for its lease when nothing is due.
    let due = state.reader.orders_due(now, place.after, SLICE as i64).await?;
    if due.is_empty() {
        place.after = None;
        return Ok(false);
    }
    if !state.engine.run(|store| store.lease(LEASE)).await? {
        return Ok(false);
    }
    let due = place.take(due, now);
    let mut commands = Vec::with_capacity(due.len());
    for order in &due {
        let resolved = state.reader.resolve(order.member_id).await?;
        let member = resolved.map_or(order.member_id, |(member, _)| member);
        commands.push(Command::end_order(order, now, member));
    }
    for (order, outcome) in due.iter().zip(state.engine.submit(commands).await) {
        match outcome {
            Ok(_) => {}
            // Somebody was faster and has moved it on, or it may not end now.
            Err(CommandError::Refused(refusal)) if refusal.code == RefusalCode::IllegalOrderMove => {
                place.refuse(order, now);
            }
            Err(CommandError::Refused(refusal)) => {
                tracing::error!(code = refusal.code.name(), refusal.message, "an order cannot be ended");
                place.refuse(order, now);
            }
            // The log holds it in full. It is this order's own defect, and not that of those behind it.
            Err(CommandError::Failed(reference)) => {
                tracing::error!(reference, order = %order.id, "the end of an order failed");
                place.refuse(order, now);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(place.after.is_some())
}

#[cfg(test)]
mod tests {
    use guerdon_core::id::MemberId;
    use guerdon_core::ledger::CurrencyId;
    use guerdon_core::redemption::{OrderDetails, OrderState};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_770_000_000_000);

    fn due(id: i64) -> Order {
        Order {
            id: OrderId(id),
            member_id: MemberId(1),
            reward_id: "tea".to_owned(),
            quantity: 1,
            points: 1,
            currency: CurrencyId(1),
            state: OrderState::Placed,
            holds: Vec::new(),
            created_at: NOW,
            updated_at: NOW,
            due_at: Some(NOW.plus_millis(-1)),
            details: OrderDetails::default(),
        }
    }

    #[test]
    fn orders_that_cannot_be_ended_keep_no_others_waiting() {
        let mut place = Place::default();
        let ids = |orders: Vec<Order>| orders.into_iter().map(|order| order.id.0).collect::<Vec<_>>();
        let slice = || (1..=SLICE as i64).map(due).collect::<Vec<_>>();
        assert_eq!(place.take(slice(), NOW).len(), SLICE);
        slice().iter().for_each(|order| place.refuse(order, NOW));
        // A full slice of them: it goes on behind them, and begins anew behind the last.
        assert_eq!(place.after, Some((NOW.plus_millis(-1), OrderId(SLICE as i64))));
        assert_eq!(ids(place.take(vec![due(501), due(502)], NOW)), [501, 502]);
        assert_eq!(place.after, None);
        assert_eq!(ids(place.take(slice(), NOW.plus_millis(REFUSED_MS - 1))), Vec::<i64>::new());
        let at_another_time = Order { due_at: Some(NOW), ..due(7) };
        assert_eq!(ids(place.take(vec![due(6), at_another_time], NOW)), [7]);
        assert_eq!(place.take(slice(), NOW.plus_millis(REFUSED_MS)).len(), SLICE, "they are asked for again");
    }
}
