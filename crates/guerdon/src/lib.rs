//! The commands of the one binary.

pub mod cli;
mod commands;
mod edge;
pub mod import;
mod master_key;
pub mod messages;
mod open;
mod pipeline;
mod progress;
pub mod secret;
mod sso;
