//! What is told of an order on its way.

use serde::{Deserialize, Serialize};

use super::order::Order;
use crate::id::TransactionId;
use crate::limits;
use crate::time::Timestamp;

/// Where a parcel stands, as carriers have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackingStatus {
    /// The carrier has it.
    Accepted,
    /// It is on its way.
    InTransit,
    /// It is on the last part of its way.
    OutForDelivery,
    /// Nobody was there to take it.
    Attempted,
    /// It waits to be collected.
    ReadyForPickup,
    /// It has arrived.
    Delivered,
    /// It goes back.
    Returned,
    /// Something went wrong.
    Trouble,
}

impl TrackingStatus {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Accepted,
        Self::InTransit,
        Self::OutForDelivery,
        Self::Attempted,
        Self::ReadyForPickup,
        Self::Delivered,
        Self::Returned,
        Self::Trouble,
    ];

    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::InTransit => "in_transit",
            Self::OutForDelivery => "out_for_delivery",
            Self::Attempted => "attempted",
            Self::ReadyForPickup => "ready_for_pickup",
            Self::Delivered => "delivered",
            Self::Returned => "returned",
            Self::Trouble => "trouble",
        }
    }

    /// The status of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// One thing that happened to an order on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackingEvent {
    /// When, as the carrier has it.
    pub at: Timestamp,
    /// Where it stood then.
    pub status: TrackingStatus,
    /// Where it was, in the carrier's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What else there is to say, in the carrier's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Under which entry of the journal it was noted.
    #[serde(default = "no_entry")]
    pub transaction_id: TransactionId,
}

fn no_entry() -> TransactionId {
    TransactionId(0)
}

impl Order {
    /// Whether the latest word of where its parcel ended is that it was delivered.
    pub(crate) fn has_arrived(&self) -> bool {
        let ends = |status| matches!(status, TrackingStatus::Delivered | TrackingStatus::Returned);
        let last = self.details.particulars.tracking.iter().rev().find(|event| ends(event.status));
        last.is_some_and(|event| event.status == TrackingStatus::Delivered)
    }
}

impl TrackingEvent {
    /// Checks the lengths; the message names the field.
    pub fn validate(&self) -> Result<(), String> {
        self.place.as_ref().map_or(Ok(()), |place| limits::check_text("place", place, limits::KEY_CHARS))?;
        self.text.as_ref().map_or(Ok(()), |text| limits::check_text("text", text, limits::TEXT_CHARS))
    }

    /// Whether another event tells the same.
    pub fn tells_the_same(&self, other: &Self) -> bool {
        (self.at, self.status, &self.place, &self.text) == (other.at, other.status, &other.place, &other.text)
    }
}
