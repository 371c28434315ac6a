//! The kernel: command in, receipt or refusal out. The only place where points and stock change.

mod batch;
mod command;
mod decide;
mod disputes;
mod due;
mod event;
mod extension;
mod finals;
mod life;
mod offers;
mod order_commands;
mod orders;
mod profile;
mod receipt;
mod referral;
mod refusal;
mod replay;
mod returns;
mod tiers;

pub use batch::{AccountChange, Batch, Changes, Committed, Footprint, Loaded, Reply};
pub use command::{Action, Arrival, Command, Enrolment, Payment, ProfileChange};
pub use decide::{Decision, NewMember, NewProfile, check_active};
pub use event::Event;
pub(crate) use extension::SPENDING;
pub use order_commands::{OrderChange, Redemption, Terms, check_quantity};
pub use receipt::{ActivityReceipt, Cause, OrderReceipt, Receipt, ReferrerShare};
pub(crate) use referral::resolved;
pub use refusal::{Refusal, RefusalCode};
pub(crate) use replay::{OrderStep, replay, replay_order};
