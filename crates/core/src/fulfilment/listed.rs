//! Reconciliation: what a supplier lists of an item, beside what we know of it.

use super::{Item, Stage};
use crate::redemption::Funds;

/// What a supplier knows differently of an item that it lists with `status`; `None`: it knows it alike. `stage`: where the delivery
/// stands here, if there is one.
pub fn listed_differently(item: &Item<'_>, status: &str, stage: Option<Stage>) -> Option<&'static str> {
    let funds = item.order.state.funds();
    match (status, funds) {
        // Of a bundle it waits for the other parts.
        ("delivered", Funds::Held) if item.handing.is_part && stage == Some(Stage::Delivered) => None,
        ("delivered", Funds::Held) => Some("still_open_here"),
        ("delivered", Funds::Returned) => Some("delivered_after_return"),
        ("refused" | "cancelled", Funds::Spent) => Some("refused_after_delivery"),
        ("pending", Funds::Spent) => Some("missing_there"),
        ("delivered" | "refused" | "pending" | "cancelled", _) => None,
        _ => Some("unfit_answer"),
    }
}
