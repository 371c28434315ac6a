//! `guerdon migrate`: brings the schema up to date, before servers are started.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::cli::DataArgs;

/// Arguments of `migrate`.
#[derive(Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    data: DataArgs,
}

/// Migrates. `serve` does the same when it starts; several at once wait for each other.
pub fn run(args: &MigrateArgs) -> Result<ExitCode> {
    drop(args.data.create()?);
    println!("{} has the schema of guerdon {}.", args.data.name(), env!("CARGO_PKG_VERSION"));
    Ok(ExitCode::SUCCESS)
}
