//! `guerdon version`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

/// Arguments of `version`.
#[derive(Args)]
pub struct VersionArgs {
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// Shows the version.
pub fn run(args: &VersionArgs) -> Result<ExitCode> {
    let version = env!("CARGO_PKG_VERSION");
    if args.json {
        println!("{}", serde_json::json!({ "name": "guerdon", "version": version }));
    } else {
        println!("guerdon {version}");
    }
    Ok(ExitCode::SUCCESS)
}
