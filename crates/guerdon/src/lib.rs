//! The commands of the one binary.

pub mod cli;
mod commands;
mod edge;
pub mod import;
mod master_key;
mod open;
mod pipeline;
mod progress;
