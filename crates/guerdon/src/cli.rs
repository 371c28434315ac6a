//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::commands::{
    api_key, audit, backtest, backup, bench, card, demo, import, init, inspect, keys, log_key, migrate, restore, serve,
    simulate, verify, version,
};
use crate::edge::EdgeArgs;

/// Guerdon: a self-hosted loyalty platform. Start with `guerdon demo`.
///
/// Exit codes: 0 done · 1 an error, nothing half-written · 2 wrong usage · 3 `verify` found wrong rows, `audit` a log
/// that was rewritten, `import` refused rows, or `card verify` a card.
#[derive(Parser)]
#[command(name = "guerdon", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Where the data lies.
#[derive(Args, Clone)]
pub struct DataArgs {
    /// The data directory.
    #[arg(long, env = "GUERDON_DATA_DIR", default_value = "guerdon-data")]
    pub data_dir: PathBuf,
    /// Keep the data on a database server instead: postgres://user:password@host/database. Of several hosts,
    /// host,host, the one that takes writes is used, also after a failover. Better given in the environment, where
    /// other users of the machine cannot read it.
    #[arg(long, env = "GUERDON_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// The key file that signs the heads of the transparency log; left out: `log.key` in the data directory. A server
    /// without it serves, and leaves the log to others.
    #[arg(long, env = "GUERDON_LOG_KEY")]
    pub log_key: Option<PathBuf>,
    /// The file of the master key, under which personal data are sealed; left out: `master.key` in the data directory.
    /// In production keep it apart from the data. The key itself may be given in GUERDON_MASTER_KEY instead.
    #[arg(long, env = "GUERDON_MASTER_KEY_FILE")]
    pub master_key: Option<PathBuf>,
}

/// Where to listen.
#[derive(Args, Clone)]
pub struct ListenArgs {
    /// Address and port; other than loopback only with TLS or behind a trusted proxy.
    #[arg(long, env = "GUERDON_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: std::net::SocketAddr,
    /// How the server meets the network.
    #[command(flatten)]
    pub edge: EdgeArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Replay a real retailer's year through a loyalty program, check it, and serve the result.
    Demo(demo::DemoArgs),
    /// Serve the API and the console.
    Serve(serve::ServeArgs),
    /// Create a data directory with a program, or publish a changed program file.
    Init(init::InitArgs),
    /// Bring the schema of a data directory or database up to date.
    Migrate(migrate::MigrateArgs),
    /// Import purchases or members from CSV, JSON Lines or Parquet.
    Import(import::ImportArgs),
    /// Show what a changed program would have given, beside the rules in force; changes nothing.
    Backtest(backtest::BacktestArgs),
    /// Recompute every balance from the journal and check all invariants.
    Verify(verify::VerifyArgs),
    /// Back up the data while they are served: a consistent copy in a folder of its own.
    Backup(backup::BackupArgs),
    /// Restore a backup to a new place, as it was or as of an earlier moment.
    Restore(restore::RestoreArgs),
    /// Check a server's transparency log from outside, trusting nothing but its public key.
    Audit(audit::AuditArgs),
    /// Show the public key of the transparency log, or let a new key take its place.
    LogKey(log_key::LogKeyArgs),
    /// Check membership cards without a server, or show the key for it.
    Card(card::CardArgs),
    /// Show which master key seals personal data, or take a new one into use.
    Keys(keys::KeysArgs),
    /// Issue, list and revoke API keys, directly on the data.
    ApiKey(api_key::ApiKeyArgs),
    /// Show an account in full.
    Inspect(inspect::InspectArgs),
    /// Measure durable redemptions beside the bare engine.
    Bench(bench::BenchArgs),
    /// Simulate nodes, crashes and retries by seeds, beside a reference model: a night's work for who wants to be sure.
    Simulate(simulate::SimulateArgs),
    /// Show the version.
    Version(version::VersionArgs),
}

impl Cli {
    /// Runs the command.
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Demo(args) => demo::run(&args),
            Command::Serve(args) => serve::run(&args),
            Command::Init(args) => init::run(&args),
            Command::Migrate(args) => migrate::run(&args),
            Command::Import(args) => import::run(&args),
            Command::Backtest(args) => backtest::run(&args),
            Command::Verify(args) => verify::run(&args),
            Command::Backup(args) => backup::run(&args),
            Command::Restore(args) => restore::run(&args),
            Command::Audit(args) => audit::run(&args),
            Command::LogKey(args) => log_key::run(&args),
            Command::Card(args) => card::run(&args),
            Command::Keys(args) => keys::run(&args),
            Command::ApiKey(args) => api_key::run(&args),
            Command::Inspect(args) => inspect::run(&args),
            Command::Bench(args) => bench::run(&args),
            Command::Simulate(args) => simulate::run(&args),
            Command::Version(args) => version::run(&args),
        }
    }
}
