//! Redemption: the order, from where points are set aside to where it is done, and back.

mod contents;
mod delivery;
mod group;
mod order;
mod payment;
mod policy;
mod state;
mod tracking;

pub use contents::{Benefit, Booked};
pub use delivery::{Delivery, SealedDelivery};
pub use group::Companions;
pub use order::{Order, OrderDetails, OrderStep, Particulars, Shipment};
pub use payment::{Payment, PaymentMove, PaymentPolicy, PaymentState, PaymentStep, Tender};
pub(crate) use policy::check_risk;
pub use policy::{CoolingOff, OrderPolicy, Review, Verdict};
pub use state::{Funds, OrderMove, OrderState};
pub use tracking::{TrackingEvent, TrackingStatus};
