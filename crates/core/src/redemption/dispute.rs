//! The dispute of an order, as far as the order itself knows of it: since when, and how it ended. What is said in it is kept
//! elsewhere, so that it can be erased.

use serde::{Deserialize, Serialize};

use super::order::{Order, Particulars};
use super::policy::OrderPolicy;
use super::state::Funds;
use crate::id::TransactionId;
use crate::time::Timestamp;

/// What a dispute is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grievance {
    /// It never came.
    NotReceived,
    /// It came broken.
    Damaged,
    /// Something else came.
    Wrong,
    /// Anything else.
    Other,
}

impl Grievance {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NotReceived, Self::Damaged, Self::Wrong, Self::Other];

    /// The name used in the API, and as the reason of the order's step.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotReceived => "not_received",
            Self::Damaged => "damaged",
            Self::Wrong => "wrong",
            Self::Other => "other",
        }
    }

    /// The one of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grievance| grievance.name() == name)
    }
}

/// That an order was disputed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disputed {
    /// Since when.
    pub at: Timestamp,
    /// Under which entry of the journal.
    pub transaction_id: TransactionId,
    /// How it ended; `None`: it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<DisputeEnd>,
}

/// How a dispute ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeEnd {
    /// When.
    pub at: Timestamp,
    /// Under which entry of the journal.
    pub transaction_id: TransactionId,
    /// Whether the points were given back.
    pub refunded: bool,
}

impl Disputed {
    /// Whether nobody has decided it yet.
    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }
}

impl Particulars {
    /// Whether a dispute of the order is open.
    pub(super) fn is_disputed(&self) -> bool {
        self.dispute.as_ref().is_some_and(Disputed::is_open)
    }
}

impl Order {
    /// When it was handed over last: shipped, issued or completed. `None`: its points are not spent.
    pub fn handed_over_at(&self) -> Option<Timestamp> {
        if self.state.funds() != Funds::Spent {
            return None;
        }
        let mut before = None;
        let mut last = None;
        for step in &self.details.history {
            if before != Some(step.state) {
                last = Some(step.at);
            }
            before = Some(step.state);
        }
        last.or(Some(self.updated_at))
    }

    /// Until when the member may dispute it; `None`: they may not, or have done so. What pays at a till is disputed there.
    pub fn disputable_until(&self, policy: &OrderPolicy) -> Option<Timestamp> {
        let may = self.details.particulars.dispute.is_none() && !self.is_of_till();
        let hours = policy.dispute_hours.filter(|_| may)?;
        self.handed_over_at().map(|at| at.plus_millis(hours.saturating_mul(super::policy::HOUR_MS)))
    }

    /// Whether a dispute of it is open.
    pub fn is_disputed(&self) -> bool {
        self.details.particulars.is_disputed()
    }
}
