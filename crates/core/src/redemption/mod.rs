//! Redemption: the order, from where points are set aside to where it is done, and back.

mod dispute;
mod order;
mod policy;
mod state;

pub use dispute::{DisputeEnd, Disputed, Grievance};
pub use order::{Order, OrderDetails, OrderStep, Particulars, Shipment};
pub(crate) use policy::check_risk;
pub use policy::{CoolingOff, OrderPolicy, Review, Verdict};
pub use state::{Funds, OrderMove, OrderState};
