//! Tracking events as they come in.

use guerdon_core::id::TransactionId;
use guerdon_core::redemption::{TrackingEvent, TrackingStatus};
use guerdon_core::time::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

/// What happened to an order on its way.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventRequest {
    /// When, RFC 3339.
    at: String,
    /// `accepted`, `in_transit`, `out_for_delivery`, `attempted`, `ready_for_pickup`, `delivered`, `returned` or `trouble`.
    status: String,
    /// Where, in the carrier's words.
    place: Option<String>,
    /// What else there is to say, in the carrier's words.
    text: Option<String>,
}

impl TryFrom<EventRequest> for TrackingEvent {
    type Error = String;

    fn try_from(EventRequest { at, status, place, text }: EventRequest) -> Result<Self, String> {
        let at = Timestamp::parse_rfc3339(&at).map_err(|error| format!("`at`: {error}"))?;
        let status = TrackingStatus::from_name(&status).ok_or_else(|| {
            let known = TrackingStatus::ALL.map(TrackingStatus::name).join(", ");
            format!("`status` must be one of {known}")
        })?;
        let event = Self { at, status, place, text, transaction_id: TransactionId(0) };
        event.validate().map(|()| event)
    }
}
