//! Orders that were just committed and that the program itself fulfils: whoever does that is woken at once, and need not
//! look for them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use guerdon_core::id::OrderId;
use guerdon_core::kernel::Changes;
use guerdon_core::program::Program;
use guerdon_core::redemption::OrderState;
use tokio::sync::Notify;

/// Orders that wait here at the most. Those beyond are found by looking.
const MOST: usize = 10_000;

/// The orders, and whom they wake. Nothing is lost with it: an order stands in its queue until it is fulfilled.
#[derive(Debug, Default)]
pub struct ToFulfil {
    orders: Mutex<BTreeSet<OrderId>>,
    woken: Notify,
}

impl ToFulfil {
    /// Lets whoever fulfils orders on this node take these up at once.
    pub fn add(&self, orders: Vec<OrderId>) {
        if orders.is_empty() {
            return;
        }
        let mut waiting = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST.saturating_sub(waiting.len());
        waiting.extend(orders.into_iter().take(room));
        drop(waiting);
        self.woken.notify_one();
    }

    /// Takes at most `most` of them.
    pub fn take(&self, most: usize) -> Vec<OrderId> {
        let mut waiting = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let taken: Vec<OrderId> = waiting.iter().take(most).copied().collect();
        let rest = taken.last().map_or_else(BTreeSet::new, |last| waiting.split_off(&OrderId(last.0 + 1)));
        *waiting = rest;
        taken
    }

    /// Waits until there are some.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }
}

/// Those of the changed orders that the program fulfils, and that may be ready for it.
pub(crate) fn fulfilled_here(program: &Program, changes: &Changes) -> Vec<OrderId> {
    let may = |state| matches!(state, OrderState::Placed | OrderState::Approved);
    let orders = changes.orders.iter().map(|(order, _)| order).filter(|order| may(order.state));
    orders.filter(|order| program.hands_out(order)).map(|order| order.id).collect()
}
