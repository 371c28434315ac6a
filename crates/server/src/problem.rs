//! Errors as RFC 9457 problem details with a stable code.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use guerdon_core::kernel::{Refusal, RefusalCode};
use guerdon_core::redemption::HandedOut;
use guerdon_store::{CommandError, StoreError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::quotes::QuoteView;
use crate::api::vouchers::HandedOutView;
use crate::proposals::Proposals;

/// A problem as answered: `application/problem+json`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// A URI reference for the kind of problem.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: Box<str>,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// A stable code to program against, such as `insufficient_points`.
    pub code: String,
    /// What was wrong, and what would be right.
    pub detail: String,
    /// Where a quote is not good any more: the price now, promised anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<Box<QuoteView>>,
    /// Where a redemption is refused: what would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposals: Option<Box<Proposals>>,
    /// Where a voucher was redeemed already: when and where.
    #[schema(value_type = Option<HandedOutView>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handed_out: Option<Box<HandedOut>>,
    /// After how many seconds to try again; answered as `Retry-After`.
    #[serde(skip)]
    pub retry_after: Option<u32>,
}

impl Problem {
    /// A problem.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("/docs/problems#{code}").into(),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: detail.into(),
            quote: None,
            proposals: None,
            handed_out: None,
            retry_after: None,
        }
    }

    /// The same problem with the seconds after which to try again.
    pub fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
        self
    }

    /// A request that cannot be understood.
    pub fn bad_request(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// Something that is not there.
    pub fn not_found(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code {
            RefusalCode::UnknownMember
            | RefusalCode::UnknownReward
            | RefusalCode::UnknownOrder
            | RefusalCode::UnknownPool
            | RefusalCode::UnknownPurchase => StatusCode::NOT_FOUND,
            RefusalCode::InvalidRequest
            | RefusalCode::InvalidAmount
            | RefusalCode::InvalidBody
            | RefusalCode::ChoiceNeeded
            | RefusalCode::UnknownCurrency
            | RefusalCode::OccurredInFuture
            | RefusalCode::OccurredTooLongAgo
            | RefusalCode::IdempotencyMismatch => StatusCode::UNPROCESSABLE_ENTITY,
            RefusalCode::InsufficientPoints
            | RefusalCode::OutOfStock
            | RefusalCode::LimitReached
            | RefusalCode::SlotNotOffered
            | RefusalCode::StockUnlimited
            | RefusalCode::StockReserved
            | RefusalCode::WaitingRoomRequired
            | RefusalCode::RewardNotOffered
            | RefusalCode::AlreadyEnrolled
            | RefusalCode::OrderExpired
            | RefusalCode::DisputeClosed
            | RefusalCode::CoolingOff
            | RefusalCode::InReview
            | RefusalCode::TooRisky
            | RefusalCode::OutOfOrder
            | RefusalCode::WalletLimit
            | RefusalCode::CapReached
            | RefusalCode::NothingDue
            | RefusalCode::MemberClosed
            | RefusalCode::MemberMerged
            | RefusalCode::MemberErased
            | RefusalCode::ProfileChanged
            | RefusalCode::OpenOrders
            | RefusalCode::ExtensionNotOffered
            | RefusalCode::NothingToExtend
            | RefusalCode::AlreadyReferred
            | RefusalCode::QuoteExpired
            | RefusalCode::QuoteAltered
            | RefusalCode::SplitNotOffered
            | RefusalCode::TenderNotOffered
            | RefusalCode::PaymentDue
            | RefusalCode::IllegalPaymentMove
            | RefusalCode::GroupOpen
            | RefusalCode::GroupOver
            | RefusalCode::VoucherRedeemed
            | RefusalCode::CheckoutNotOffered
            | RefusalCode::CheckoutOver
            | RefusalCode::IllegalOrderMove => StatusCode::CONFLICT,
            RefusalCode::KeysUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refusal.code.name(), refusal.message)
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refusal) => refusal.into(),
            CommandError::Unavailable(detail) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail),
            CommandError::Conflict => Self::new(StatusCode::CONFLICT, "conflict", error.to_string()),
            CommandError::Failed(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", error.to_string())
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a query failed");
        let detail = "the store cannot be read at the moment; repeat in a second, with the same idempotency key";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A server that is busy or cannot write is worth another try in a second.
        let retry_after = self.retry_after.or((status == StatusCode::SERVICE_UNAVAILABLE).then_some(1));
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
