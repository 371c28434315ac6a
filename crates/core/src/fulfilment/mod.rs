//! The decisions of a fulfilment: what is known of a delivery, whose turn it is, what an answer means, what becomes of codes and of
//! what suppliers were asked for. Time and chance are given; what is to be done follows from what was written down, so that
//! whoever goes on with an order decides the same.
//!
//! In which order the steps are made stands in the crate `guerdon-fulfilment`, which the server and the simulation both run.

mod breaker;
mod cancelling;
mod delivery;
mod end;
mod item;
mod key;
mod listed;
mod said;

pub use breaker::{Breaker, Circuit};
pub use cancelling::{Cancelling, Undoing, UndoingTurn, Untold};
pub use delivery::{Delivery, PROMISED_MS, Stage, Terms, Turn, UNREACHED_MS};
pub use end::{Aftermath, Fate, Plan, last_steps, stands_elsewhere};
pub use item::{CODES_RAN_OUT, Item, Outcome, REASONS, SUPPLIER_FAILED, SUPPLIER_REFUSED};
pub use key::{DELIVERY_KEY_CHARS, DeliveryKey};
pub use listed::listed_differently;
pub use said::{Called, Meaning, Said, Unbelievable, Word, short};
