//! How the parts of a bundle stand, for who looks at its order: read from the order, the codes that are set aside for it, and
//! what its suppliers have said.

use guerdon_core::fulfilment::Item;
use guerdon_core::redemption::{Funds, Handing, Order, OrderPart, OrderState, PartWay};
use guerdon_core::rewards::Fulfilment;

use super::supplier::{Attempted, Standing, attempted};
use crate::AppState;
use crate::problem::Problem;

/// Where a part stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartState {
    /// Nobody is at it yet.
    Waiting,
    /// Its supplier was asked.
    Asked,
    /// Its supplier has promised it.
    Promised,
    /// It is there, and waits for the others; nobody sees it yet.
    Ready,
    /// It cannot be had: the order is about to be given back.
    Failed,
    /// The member has it.
    HandedOut,
    /// People are to send it.
    ToBeSent,
    /// It was sent.
    Sent,
    /// It was given back with its order.
    GivenBack,
}

impl PartState {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Asked => "asked",
            Self::Promised => "promised",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::HandedOut => "handed_out",
            Self::ToBeSent => "to_be_sent",
            Self::Sent => "sent",
            Self::GivenBack => "given_back",
        }
    }

    /// Of a part by the order alone; `None`: that depends on who hands it out.
    fn of(order: OrderState, way: &PartWay) -> Option<Self> {
        match (order.funds(), way) {
            (Funds::Returned, _) => Some(Self::GivenBack),
            (Funds::Held, PartWay::Program { .. }) if order == OrderState::Fulfilling => None,
            (Funds::Held, _) => Some(Self::Waiting),
            (Funds::Spent, PartWay::People {}) => Some(match order {
                OrderState::Issued => Self::ToBeSent,
                OrderState::Shipped => Self::Sent,
                _ => Self::HandedOut,
            }),
            (Funds::Spent, _) => Some(Self::HandedOut),
        }
    }
}

/// A part and where it stands.
#[derive(Debug, Clone)]
pub struct PartStanding<'a> {
    /// The part.
    pub part: &'a OrderPart,
    /// Where it stands.
    pub state: PartState,
    /// What is known of its delivery through a supplier.
    pub attempted: Option<Attempted>,
}

/// The parts of an order that was for a bundle of which the program hands some out; of others none.
pub async fn of<'a>(state: &AppState, order: &'a Order) -> Result<Vec<PartStanding<'a>>, Problem> {
    let mut parts = Vec::with_capacity(order.details.particulars.parts.len());
    for part in &order.details.particulars.parts {
        parts.push(standing(state, order, part).await?);
    }
    Ok(parts)
}

async fn standing<'a>(state: &AppState, order: &'a Order, part: &'a OrderPart) -> Result<PartStanding<'a>, Problem> {
    let by_order = PartState::of(order.state, &part.way);
    let PartWay::Program { fulfilment } = &part.way else {
        return Ok(PartStanding { part, state: by_order.unwrap_or(PartState::Waiting), attempted: None });
    };
    let (variant, kind, is_part) = (part.variant.as_deref(), None, true);
    let handing = Handing { reward_id: &part.reward, quantity: part.quantity, variant, fulfilment, kind, is_part };
    let attempted = match fulfilment {
        Fulfilment::Supplier { .. } => attempted(state, &Item { order, handing }.key()).await?,
        Fulfilment::Vault {} | Fulfilment::Coupon {} => None,
    };
    let stands = match (by_order, fulfilment) {
        (Some(known), _) => known,
        (None, Fulfilment::Supplier { .. }) => match attempted.as_ref().map(|attempted| attempted.standing) {
            None | Some(Standing::Waiting) => PartState::Waiting,
            Some(Standing::Asked) => PartState::Asked,
            Some(Standing::Promised) => PartState::Promised,
            Some(Standing::Ready) => PartState::Ready,
            Some(Standing::Failed) => PartState::Failed,
        },
        (None, _) => match state.reader.codes_of(&part.reward, order.id).await?.is_empty() {
            true => PartState::Waiting,
            false => PartState::Ready,
        },
    };
    Ok(PartStanding { part, state: stands, attempted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_send_waits_for_the_rest_and_goes_back_with_it() {
        let by_vault = PartWay::Program { fulfilment: Fulfilment::Vault {} };
        let of = |order| [&by_vault, &PartWay::Granted {}, &PartWay::People {}].map(|way| PartState::of(order, way));
        let all = |state| [Some(state); 3];
        assert_eq!(of(OrderState::Placed), all(PartState::Waiting));
        assert_eq!(of(OrderState::Fulfilling), [None, Some(PartState::Waiting), Some(PartState::Waiting)]);
        let handed = Some(PartState::HandedOut);
        assert_eq!(of(OrderState::Issued), [handed, handed, Some(PartState::ToBeSent)]);
        assert_eq!(of(OrderState::Shipped), [handed, handed, Some(PartState::Sent)]);
        assert_eq!(of(OrderState::Completed), all(PartState::HandedOut));
        for back in [OrderState::Cancelled, OrderState::Expired, OrderState::Refunded] {
            assert_eq!(of(back), all(PartState::GivenBack));
        }
    }
}
