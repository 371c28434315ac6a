//! The kernel: command in, receipt or refusal out. The only place where points and stock change.

mod allowances;
mod appointments;
mod batch;
mod checkouts;
mod command;
mod contents;
mod decide;
mod disputes;
mod due;
mod event;
mod extension;
mod finals;
mod fulfilment;
mod life;
mod moves;
mod offers;
mod order_commands;
mod order_times;
mod orders;
mod payments;
mod profile;
mod receipt;
mod referral;
mod refusal;
mod replay;
mod restock;
mod returns;
mod reward_limits;
mod scarcity;
mod tiers;
mod tracking;
mod vouchers;

pub use allowances::{ALLOWANCE_CHANNEL, AllowanceRequest, OfflineSpending};
pub use appointments::Rebooking;
pub use batch::{AccountChange, Batch, Changes, Committed, Footprint, Loaded, Reply};
pub use checkouts::{Authorisation, CHECKOUT_CHANNEL, Checkout, Share, TenderChange, checkout_reference};
pub use command::{Action, Arrival, Command, Enrolment, Payment, ProfileChange};
pub use contents::Choice;
pub use decide::{Decision, NewMember, NewProfile, check_active};
pub use event::Event;
pub(crate) use extension::SPENDING;
pub use moves::Mover;
pub use order_commands::{OrderChange, Redemption, Terms, check_quantity};
pub use payments::{Amendment, GroupTerms, OrderAmendment, Tendering};
pub use receipt::{
    ActivityReceipt, AllowanceReceipt, Cause, OfflineReceipt, OrderReceipt, PaymentReceipt, Receipt, ReferrerShare,
    TenderReceipt,
};
pub(crate) use referral::resolved;
pub use refusal::{Refusal, RefusalCode};
pub(crate) use replay::{OrderStep, replay, replay_order};
pub use restock::{Restocking, STOCKROOM};
pub use tracking::Tracking;
pub use vouchers::HandOut;
