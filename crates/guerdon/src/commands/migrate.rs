//! `guerdon migrate`: brings the schema up to date, before servers are started.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use guerdon_store::PostgresStore;

use crate::cli::DataArgs;

/// Arguments of `migrate`.
#[derive(Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Spread the tables over the nodes of a Citus cluster as well; once, before there are much data.
    #[arg(long)]
    distribute: bool,
}

/// Migrates. `serve` does the same when it starts; several at once wait for each other.
pub fn run(args: &MigrateArgs) -> Result<ExitCode> {
    let mut store = args.data.create()?;
    // A database that holds no program yet gets its keys from `init`.
    if store.revision()? > 0 {
        args.data.keyring(&mut store)?;
    }
    drop(store);
    println!("{} has the schema of guerdon {}.", args.data.name(), env!("CARGO_PKG_VERSION"));
    if args.distribute {
        let Some(url) = &args.data.database_url else {
            bail!("--distribute needs --database-url, of a Citus coordinator")
        };
        let tables = PostgresStore::create(url)?.distribute()?;
        match tables.as_slice() {
            [] => println!("All tables were distributed already."),
            tables => println!("Distributed: {}.", tables.join(", ")),
        }
    }
    Ok(ExitCode::SUCCESS)
}
