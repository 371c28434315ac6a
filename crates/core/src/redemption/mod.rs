//! Redemption: the order, from where points are set aside to where it is done, and back.

mod contents;
mod delivery;
mod dispute;
mod order;
mod policy;
mod state;
mod tracking;

pub use contents::{Benefit, Booked};
pub use delivery::{Delivery, SealedDelivery};
pub use dispute::{DisputeEnd, Disputed, Grievance};
pub use order::{Order, OrderDetails, OrderStep, Particulars, Shipment};
pub(crate) use policy::check_risk;
pub use policy::{CoolingOff, OrderPolicy, Review, Verdict};
pub use state::{Funds, OrderMove, OrderState};
pub use tracking::{TrackingEvent, TrackingStatus};
