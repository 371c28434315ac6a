//! Where an order stands, and the moves that lead from one state to another.

use serde::{Deserialize, Serialize};

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i64)]
pub enum OrderState {
    /// Points and stock are set aside; nobody needs to look at it before it is fulfilled.
    #[serde(alias = "held")]
    Placed = 1,
    /// It is done.
    #[serde(alias = "captured")]
    Completed = 2,
    /// It was called off before it was fulfilled; points and stock were given back.
    #[serde(alias = "released")]
    Cancelled = 3,
    /// Points and units were given back after they had been spent and handed out.
    Refunded = 4,
    /// Somebody is to look at it first.
    InReview = 5,
    /// It was looked at, and may be fulfilled.
    Approved = 6,
    /// Somebody has begun to fulfil it.
    Fulfilling = 7,
    /// It is on its way; the points are spent.
    Shipped = 8,
    /// A code, a coupon or a right was handed over; the points are spent.
    Issued = 9,
    /// It was looked at, and refused; points and stock were given back.
    Rejected = 10,
    /// Nobody came back to it; points and stock were given back.
    Expired = 11,
}

/// Where the points and the units of an order are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Funds {
    /// Set aside.
    Held,
    /// Spent, and handed out.
    Spent,
    /// Given back.
    Returned,
}

/// A move of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderMove {
    /// Somebody takes its review on, or hands it to nobody else.
    Claim,
    /// It is to be looked at first.
    Review,
    /// It may be fulfilled.
    Approve,
    /// It may not.
    Reject,
    /// Somebody begins to fulfil it.
    Fulfil,
    /// It is on its way.
    Ship,
    /// What was redeemed was handed over.
    Issue,
    /// It is done.
    Complete,
    /// It is called off.
    Cancel,
    /// It cannot be fulfilled: what it took is given back, good for a while yet.
    Fail,
    /// What was spent is given back.
    Refund,
    /// Its time has run out.
    Expire,
    /// The member disputes that it was fulfilled; it stays where it is.
    Dispute,
    /// The dispute is declined; it stays where it is.
    Decline,
}

impl OrderState {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::Placed,
        Self::InReview,
        Self::Approved,
        Self::Fulfilling,
        Self::Shipped,
        Self::Issued,
        Self::Completed,
        Self::Rejected,
        Self::Cancelled,
        Self::Expired,
        Self::Refunded,
    ];

    /// The states from which somebody moves an order on, in the order in which it goes through them.
    pub const QUEUES: [Self; 6] =
        [Self::Placed, Self::InReview, Self::Approved, Self::Fulfilling, Self::Shipped, Self::Issued];

    /// The queue of a name.
    pub fn queue(name: &str) -> Option<Self> {
        Self::QUEUES.into_iter().find(|state| state.name() == name)
    }

    /// From the stored number.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as i64 == code)
    }

    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
            Self::InReview => "in_review",
            Self::Approved => "approved",
            Self::Fulfilling => "fulfilling",
            Self::Shipped => "shipped",
            Self::Issued => "issued",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }

    /// Where its points and units are.
    pub fn funds(self) -> Funds {
        match self {
            Self::Placed | Self::InReview | Self::Approved | Self::Fulfilling => Funds::Held,
            Self::Shipped | Self::Issued | Self::Completed => Funds::Spent,
            Self::Cancelled | Self::Refunded | Self::Rejected | Self::Expired => Funds::Returned,
        }
    }

    /// Where a move leads from here; `None`: it is not possible.
    pub fn after(self, step: OrderMove) -> Option<Self> {
        use OrderState::{Approved, Fulfilling, InReview, Issued, Placed, Shipped};
        let may = match step {
            OrderMove::Claim => matches!(self, InReview),
            OrderMove::Review => matches!(self, Placed),
            OrderMove::Approve | OrderMove::Reject => matches!(self, Placed | InReview),
            OrderMove::Fulfil => matches!(self, Placed | Approved),
            OrderMove::Ship | OrderMove::Issue => matches!(self, Placed | Approved | Fulfilling),
            OrderMove::Complete => matches!(self, Placed | Approved | Fulfilling | Shipped | Issued),
            OrderMove::Cancel | OrderMove::Fail | OrderMove::Expire => self.funds() == Funds::Held,
            OrderMove::Refund | OrderMove::Dispute | OrderMove::Decline => self.funds() == Funds::Spent,
        };
        may.then_some(step.leads_to().unwrap_or(self))
    }

    /// The moves that are possible from here.
    pub fn moves(self) -> impl Iterator<Item = OrderMove> {
        OrderMove::ALL.into_iter().filter(move |step| self.after(*step).is_some())
    }
}

impl OrderMove {
    /// Every move.
    pub const ALL: [Self; 14] = [
        Self::Claim,
        Self::Review,
        Self::Approve,
        Self::Reject,
        Self::Fulfil,
        Self::Ship,
        Self::Issue,
        Self::Complete,
        Self::Cancel,
        Self::Fail,
        Self::Refund,
        Self::Expire,
        Self::Dispute,
        Self::Decline,
    ];

    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Review => "review",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Fulfil => "fulfil",
            Self::Ship => "ship",
            Self::Issue => "issue",
            Self::Complete => "complete",
            Self::Cancel => "cancel",
            Self::Fail => "fail",
            Self::Refund => "refund",
            Self::Expire => "expire",
            Self::Dispute => "dispute",
            Self::Decline => "decline",
        }
    }

    /// Where it leads; `None`: the order stays where it is.
    pub fn leads_to(self) -> Option<OrderState> {
        Some(match self {
            Self::Claim | Self::Review => OrderState::InReview,
            Self::Approve => OrderState::Approved,
            Self::Reject => OrderState::Rejected,
            Self::Fulfil => OrderState::Fulfilling,
            Self::Ship => OrderState::Shipped,
            Self::Issue => OrderState::Issued,
            Self::Complete => OrderState::Completed,
            Self::Cancel | Self::Fail => OrderState::Cancelled,
            Self::Refund => OrderState::Refunded,
            Self::Expire => OrderState::Expired,
            Self::Dispute | Self::Decline => return None,
        })
    }

    /// Whether a word must say why.
    pub fn needs_reason(self) -> bool {
        matches!(self, Self::Reject | Self::Fail | Self::Refund | Self::Dispute | Self::Decline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The points of an order go one way: set aside, spent, given back; and what was given back stays so.
    #[test]
    fn no_move_takes_points_twice_or_gives_them_back_twice() {
        for state in OrderState::ALL {
            for (step, next) in OrderMove::ALL.into_iter().filter_map(|step| Some((step, state.after(step)?))) {
                let allowed = match (state.funds(), next.funds()) {
                    (Funds::Held, _) | (Funds::Spent, Funds::Spent | Funds::Returned) => true,
                    (Funds::Spent, Funds::Held) | (Funds::Returned, _) => false,
                };
                assert!(allowed, "{state:?} {step:?} → {next:?}");
            }
        }
    }

    /// From wherever an order stands it can come to an end, and an end is an end.
    #[test]
    fn every_state_leads_to_an_end() {
        for state in OrderState::ALL {
            let ends = state.funds() == Funds::Returned;
            assert_eq!(state.moves().count() == 0, ends, "{state:?}");
            let back = state.moves().any(|step| state.after(step).is_some_and(|next| next.funds() == Funds::Returned));
            assert!(ends || back, "{state:?}");
        }
    }

    #[test]
    fn states_and_moves_have_names_and_numbers_of_their_own() {
        for state in OrderState::ALL {
            assert_eq!(OrderState::from_code(state as i64), Some(state));
            let queued = state.moves().next().is_some() && state != OrderState::Completed;
            assert_eq!(OrderState::queue(state.name()), queued.then_some(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
        for step in OrderMove::ALL {
            assert_eq!(serde_json::to_value(step).unwrap(), step.name());
        }
        // What earlier versions wrote into receipts is read.
        for (old, state) in
            [("held", OrderState::Placed), ("captured", OrderState::Completed), ("released", OrderState::Cancelled)]
        {
            assert_eq!(serde_json::from_value::<OrderState>(old.into()).unwrap(), state);
        }
    }
}
