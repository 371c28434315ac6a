//! The commands of the one binary.
pub mod import;
