//! Redemption: the order, from where points are set aside to where it is done, and back.

mod checkout;
mod contents;
mod delivery;
mod dispute;
mod group;
mod offline;
mod order;
mod parts;
mod payment;
mod policy;
mod state;
mod tender;
mod tracking;
mod voucher;

pub use checkout::{CheckoutPolicy, Rate};
pub use contents::{Benefit, Booked};
pub use delivery::{Delivery, SealedDelivery};
pub use dispute::{DisputeEnd, Disputed, Grievance};
pub use group::Companions;
pub(crate) use offline::check_terminal;
pub use offline::{
    ALLOWANCE, Allowance, AllowanceError, AllowanceText, Granted, OfflinePolicy, Overdraft, SpentOffline,
};
pub use order::{Due, Order, OrderDetails, OrderStep, Particulars, Shipment};
pub use parts::{Handing, OrderPart, PartWay};
pub use payment::{Payment, PaymentMove, PaymentPolicy, PaymentState, PaymentStep, PaymentTender};
pub(crate) use policy::check_risk;
pub use policy::{CoolingOff, OrderPolicy, Review, Verdict};
pub use state::{Funds, OrderMove, OrderState};
pub(crate) use tender::split;
pub use tender::{Captured, Paid, Returned, TENDER, Tender};
pub use tracking::{TrackingEvent, TrackingStatus};
pub use voucher::{HandedOut, Voucher, VoucherCode, VoucherError, VoucherStanding};
