//! The program: its currencies, rules and rewards as an operator writes them, and the compiled snapshot in force.

mod bundle;
mod snapshot;
mod template;
mod value;

pub use bundle::{Bundle, Currency, Document, Expiry, Granule, ProgramSettings, Text};
pub use snapshot::Program;
pub use template::Template;
pub use value::{Floating, POINT_VALUE, PointValue, ValueVersion};
