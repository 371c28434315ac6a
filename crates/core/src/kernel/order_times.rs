//! When an order moves on by itself: worked out in one place, whatever has just happened to it.

use super::decide::Draft;
use crate::redemption::{Funds, Order, OrderState};
use crate::time::Timestamp;

impl Draft<'_> {
    /// When an order that stands in a state from the command's moment on moves on from there by itself; `None`: it does not.
    pub(super) fn due_at(&self, order: &Order, state: OrderState) -> Option<Timestamp> {
        let at = self.command.at;
        let policy = &self.program.settings_at(at).orders;
        let usual = match (state.funds(), state) {
            (Funds::Returned, _) | (Funds::Spent, OrderState::Completed) => None,
            // How long a supplier is waited for, its delivery knows.
            (Funds::Held, OrderState::Fulfilling) if self.program.is_by_supplier(order) => None,
            (Funds::Held, _) => policy.expires_at(at, order.waits_until()),
            // Only its money, or the end of a dispute, was waited for.
            (Funds::Spent, OrderState::Shipped) if order.has_arrived() => Some(at),
            (Funds::Spent, _) => policy.completes_at(at),
        };
        order.details.particulars.due_at(state, usual)
    }

    /// Lets an order that stays where it stands move on by itself as from the command's moment.
    pub(super) fn fall_due(&self, order: &mut Order) {
        order.fall_due(self.due_at(order, order.state), self.receipt.transaction_id);
    }

    /// The same of an order that the command has just noted a step of: the step says so.
    pub(super) fn time_step(&self, order: &mut Order) {
        order.due_at = self.due_at(order, order.state);
        if let Some(last) = order.details.history.last_mut() {
            last.due_at = order.due_at;
        }
    }
}
