//! Events: what people and other systems are to be told of. Decided with the transaction that leads to them, and part of
//! its receipt, so that none is lost and none is told twice.

use serde::{Deserialize, Serialize};

use crate::id::OrderId;
use crate::ledger::CurrencyId;
use crate::program::Text;
use crate::redemption::PaymentMove;
use crate::time::Timestamp;

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Points will expire.
    PointsExpiring {
        /// Their currency.
        currency: CurrencyId,
        /// How many.
        points: i64,
        /// When.
        expires_at: Timestamp,
        /// How many days ahead this was to be told.
        days: i32,
    },
    /// The member's tier is another.
    TierChanged {
        /// The tier before; `None`: none.
        from: Option<String>,
        /// The tier since; `None`: none.
        to: Option<String>,
    },
    /// The member does not qualify for the tier any more, and keeps it for a while.
    TierAtRisk {
        /// The tier.
        tier: String,
        /// Until when.
        until: Timestamp,
    },
    /// An order could not be fulfilled, was not in time, or was refunded: its points are back, good for a while at the least.
    OrderGivenBack {
        /// The order.
        order: OrderId,
        /// What was redeemed.
        reward: String,
        /// How many.
        quantity: i64,
        /// Points that were given back.
        points: i64,
        /// Their currency.
        currency: CurrencyId,
        /// Why.
        reason: String,
    },
    /// Somebody is to do something.
    Task {
        /// What it is about: the id of the rule that asks for it, or `call` for a large balance that will expire.
        subject: String,
        /// What is to be done, for people.
        text: Text,
    },
    /// A terminal has spent more points without network than it might, or than there were.
    OfflineBeyond {
        /// Of which allowance.
        allowance: OrderId,
        /// Which terminal.
        terminal: String,
        /// How many points it has spent.
        points: i64,
        /// How many of them were beyond the allowance, or on one of another terminal.
        beyond: i64,
        /// Points that the member owes since.
        owed: i64,
        /// Points that nobody pays.
        lost: i64,
    },
    /// The member is to be written to.
    Message {
        /// The id of the template, or of the rule that asks for it.
        template: String,
    },
    /// The money of an order waits for a step of its tender.
    PaymentWanted {
        /// The order.
        order_id: OrderId,
        /// The step.
        step: PaymentMove,
    },
    /// The money of an order was refused, and the order with it; or it could not be taken once the order was fulfilled.
    PaymentFailed {
        /// The order.
        order_id: OrderId,
    },
    /// An order and its group are to be made one again: its database went back to before the order knew how its group ended, or to
    /// before it was made.
    GroupWanted {
        /// The order.
        order_id: OrderId,
    },
    /// The group of an order came together, or did not.
    GroupEnded {
        /// The order.
        order_id: OrderId,
        /// Whether it was full in time.
        full: bool,
    },
}
