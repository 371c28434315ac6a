//! The parts of an order for a bundle of which the program itself hands some out.

use guerdon_core::redemption::Order;
use serde::Serialize;
use utoipa::ToSchema;

use crate::AppState;
use crate::fulfilment::parts::{self, PartStanding};
use crate::problem::Problem;

/// A part of a bundle.
#[derive(Serialize, ToSchema)]
pub(super) struct OrderPartView {
    /// What.
    reward_id: String,
    /// How many units of it in all.
    quantity: i64,
    /// In which variant.
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    /// `vault`, `coupon` or `supplier`: the program hands it out; `granted`: it holds since the order was handed over; `people`:
    /// they send it after that.
    by: &'static str,
    /// `waiting`; `asked` and `promised`, of a supplier; `ready`: it waits for the other parts, and nobody sees it; `failed`: the
    /// order is about to be given back; `handed_out`; `to_be_sent` and `sent`, by people; `given_back`.
    state: &'static str,
    /// The supplier's own number.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
}

impl From<PartStanding<'_>> for OrderPartView {
    fn from(PartStanding { part, state, attempted }: PartStanding<'_>) -> Self {
        Self {
            reward_id: part.reward.clone(),
            quantity: part.quantity,
            variant: part.variant.clone(),
            by: part.way.name(),
            state: state.name(),
            reference: attempted.and_then(|attempted| attempted.reference),
        }
    }
}

/// The parts of an order.
pub(super) async fn of(state: &AppState, order: &Order) -> Result<Vec<OrderPartView>, Problem> {
    Ok(parts::of(state, order).await?.into_iter().map(OrderPartView::from).collect())
}
