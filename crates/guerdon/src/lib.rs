//! The commands of the one binary.

pub mod cli;
mod commands;
mod edge;
mod master_key;
pub mod messages;
mod open;
mod progress;
pub mod secret;
mod sso;
