//! What a backtest is fed.

use crate::earning::Activity;
use crate::id::{MemberId, OrderId};
use crate::kernel::Payment;
use crate::ledger::CurrencyId;
use crate::time::Timestamp;

/// Something that happened to a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// To whom.
    pub member: MemberId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// The member joined, and no activity tells of it: no rule listened, and nobody had referred the member.
    Enrolled,
    /// An activity was recorded.
    Activity {
        /// As received.
        activity: Box<Activity>,
        /// Its idempotency key, where a return may name it.
        key: Option<String>,
    },
    /// Points were set aside for an order, or spent at once.
    Redeemed {
        /// Which order.
        order: OrderId,
        /// Of which currency.
        currency: CurrencyId,
        /// How many.
        points: i64,
        /// Whether they were spent at once.
        captured: bool,
    },
    /// What an order had set aside was spent.
    Captured(OrderId),
    /// A part of what an order had set aside was spent, and the rest given back.
    CapturedPart {
        /// Which order.
        order: OrderId,
        /// How many points were spent.
        points: i64,
    },
    /// A part of what an order had spent was given back.
    RefundedPart {
        /// Which order.
        order: OrderId,
        /// How many points.
        points: i64,
    },
    /// What an order had set aside was given back.
    Released(OrderId),
    /// What an order had spent was given back.
    Refunded(OrderId),
    /// A balance was corrected by hand.
    Adjusted {
        /// Of which currency.
        currency: CurrencyId,
        /// Points given, or taken when negative.
        points: i64,
    },
    /// The member paid for points to live longer.
    Extended {
        /// Of which currency.
        currency: CurrencyId,
        /// With what.
        payment: Payment,
    },
    /// Another account was taken in.
    Merged {
        /// Whose.
        from: MemberId,
    },
    /// The account was closed, or its member erased.
    Ended,
}
