//! The program: its currencies, rules and rewards as an operator writes them, and the compiled snapshot in force.

mod bundle;
mod expiry;
mod life;
mod snapshot;
mod value;

pub use bundle::{Bundle, Currency, Document, ProgramSettings, Text};
pub use expiry::{Expiry, Granule, MonthDay};
pub(crate) use life::DAY_MS;
pub use life::{
    Call, Decay, Every, Extension, Interest, Life, PaidExtension, Reminders, Shortfall, SpendExtension, percent_of,
};
pub use snapshot::Program;
pub use value::{Floating, POINT_VALUE, PointValue, ValueVersion};
