//! The program: its currencies, rules and rewards as an operator writes them, the versions of each, the drafts of new ones,
//! and the compiled snapshot in force.

mod bundle;
mod compare;
mod documents;
mod draft;
mod expiry;
mod life;
mod position;
mod snapshot;
mod template;
mod value;
mod versions;

pub use bundle::{Bundle, Currency, ProgramSettings, Text};
pub use compare::{Difference, NOTICE_DAYS, Verdict, compare, differences, earliest};
pub use documents::{
    Document, DocumentChange, KINDS, awaited, check_from, check_lasting, check_retirable, holding, in_force, newest,
    own_id, parse_document, typed, with_changes,
};
pub use draft::{Brought, DRAFT, Draft, Move, Stage, Standing};
pub use expiry::{Expiry, Granule, MonthDay};
pub(crate) use life::DAY_MS;
pub use life::{
    Call, Decay, Every, Extension, Interest, Life, PaidExtension, Reminders, Shortfall, SpendExtension, percent_of,
};
pub use snapshot::Program;
pub use template::Template;
pub use value::{Floating, POINT_VALUE, PointValue, ValueVersion};
pub use versions::Versions;
