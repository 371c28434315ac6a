//! Refusals: a business "no" with a stable code.

use serde::{Deserialize, Serialize};

/// The stable codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// A field is missing, too long or of the wrong form.
    InvalidRequest,
    /// An amount, quantity or number of points is out of bounds.
    InvalidAmount,
    /// The body of an activity does not fit what the program says of it.
    InvalidBody,
    /// Money or points of a currency that the program does not have.
    UnknownCurrency,
    /// Dated ahead of the clock.
    OccurredInFuture,
    /// Dated before the oldest day taken.
    OccurredTooLongAgo,
    /// Dated before the member's latest transaction.
    OutOfOrder,
    /// No such member.
    UnknownMember,
    /// The reference belongs to a member already.
    AlreadyEnrolled,
    /// No such reward.
    UnknownReward,
    /// A reward that is not offered to the member, not there, or not at that moment.
    RewardNotOffered,
    /// No such order.
    UnknownOrder,
    /// No such purchase of the member, or one whose returns are kept no longer.
    UnknownPurchase,
    /// The order cannot move so from where it stands.
    IllegalOrderMove,
    /// The time of the order has run out.
    OrderExpired,
    /// The order cannot be disputed, or not any more.
    DisputeClosed,
    /// The order may still be called off, and is not fulfilled before.
    CoolingOff,
    /// The order is looked at first, so that it cannot be captured at once; or somebody else looks at it.
    InReview,
    /// The risk of the order is too high.
    TooRisky,
    /// Fewer points than needed.
    InsufficientPoints,
    /// Fewer units than wanted.
    OutOfStock,
    /// The order does not say what its reward asks for: a variant, a slot, an address, an account.
    ChoiceNeeded,
    /// There is no such slot, or none that can be ordered any more.
    SlotNotOffered,
    /// The member has ordered as many of the reward as one may.
    LimitReached,
    /// The reward has no such pool.
    UnknownPool,
    /// The reward is unlimited.
    StockUnlimited,
    /// Units that are promised to orders cannot be taken out of stock.
    StockReserved,
    /// The reward has a waiting room, and the order does not come through it.
    WaitingRoomRequired,
    /// The idempotency key was used for another request.
    IdempotencyMismatch,
    /// A cap of a rule or of the program, which refuses what is beyond it, was reached.
    CapReached,
    /// The wallet would grow beyond all limits.
    WalletLimit,
    /// Nothing is due.
    NothingDue,
    /// The account is closed.
    MemberClosed,
    /// The account was merged into another.
    MemberMerged,
    /// The member was erased.
    MemberErased,
    /// The profile was changed since it was read.
    ProfileChanged,
    /// Orders of the member are held: they must be captured or released first.
    OpenOrders,
    /// Somebody has referred the member before.
    AlreadyReferred,
    /// The program does not extend the life of these points in this way.
    ExtensionNotOffered,
    /// No points would live longer.
    NothingToExtend,
    /// The quote was good until a moment that has passed.
    QuoteExpired,
    /// The quote is not as the program has made it.
    QuoteAltered,
    /// The price cannot be split into points and money as wanted.
    SplitNotOffered,
    /// The program does not take money in this way.
    TenderNotOffered,
    /// Money for the order is missing yet.
    PaymentDue,
    /// The money of the order cannot move so from where it stands.
    IllegalPaymentMove,
    /// The group of the order is not full yet.
    GroupOpen,
    /// The group is full, or its time is over.
    GroupOver,
    /// Points pay at no till, or not without network.
    CheckoutNotOffered,
    /// Nothing is set aside or spent for the checkout any more.
    CheckoutOver,
    /// What the voucher is for was handed out already.
    VoucherRedeemed,
    /// The keys of personal data cannot be used at the moment.
    KeysUnavailable,
}

impl RefusalCode {
    /// The code as text.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidAmount => "invalid_amount",
            Self::InvalidBody => "invalid_body",
            Self::UnknownCurrency => "unknown_currency",
            Self::OccurredInFuture => "occurred_in_future",
            Self::OccurredTooLongAgo => "occurred_too_long_ago",
            Self::OutOfOrder => "out_of_order",
            Self::UnknownMember => "unknown_member",
            Self::AlreadyEnrolled => "already_enrolled",
            Self::UnknownReward => "unknown_reward",
            Self::RewardNotOffered => "reward_not_offered",
            Self::UnknownOrder => "unknown_order",
            Self::UnknownPurchase => "unknown_purchase",
            Self::IllegalOrderMove => "illegal_order_move",
            Self::OrderExpired => "order_expired",
            Self::DisputeClosed => "dispute_closed",
            Self::CoolingOff => "cooling_off",
            Self::InReview => "in_review",
            Self::TooRisky => "too_risky",
            Self::InsufficientPoints => "insufficient_points",
            Self::OutOfStock => "out_of_stock",
            Self::ChoiceNeeded => "choice_needed",
            Self::SlotNotOffered => "slot_not_offered",
            Self::LimitReached => "limit_reached",
            Self::UnknownPool => "unknown_pool",
            Self::StockUnlimited => "stock_unlimited",
            Self::StockReserved => "stock_reserved",
            Self::WaitingRoomRequired => "waiting_room_required",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::CapReached => "cap_reached",
            Self::WalletLimit => "wallet_limit",
            Self::NothingDue => "nothing_due",
            Self::MemberClosed => "member_closed",
            Self::MemberMerged => "member_merged",
            Self::MemberErased => "member_erased",
            Self::ProfileChanged => "profile_changed",
            Self::OpenOrders => "open_orders",
            Self::AlreadyReferred => "already_referred",
            Self::ExtensionNotOffered => "extension_not_offered",
            Self::NothingToExtend => "nothing_to_extend",
            Self::QuoteExpired => "quote_expired",
            Self::QuoteAltered => "quote_altered",
            Self::SplitNotOffered => "split_not_offered",
            Self::TenderNotOffered => "tender_not_offered",
            Self::PaymentDue => "payment_due",
            Self::IllegalPaymentMove => "illegal_payment_move",
            Self::GroupOpen => "group_open",
            Self::GroupOver => "group_over",
            Self::CheckoutNotOffered => "checkout_not_offered",
            Self::CheckoutOver => "checkout_over",
            Self::VoucherRedeemed => "voucher_redeemed",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }
}

/// A refusal: its code and a sentence that says what was wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The stable code.
    pub code: RefusalCode,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
