//! `guerdon restore`: a backup at a new place, as it was or as of an earlier moment.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use guerdon_core::time::Timestamp;
use guerdon_store::{DataDir, PostgresStore, Rewound, create_private, rewind, verify};

use super::backup::{DATABASE_FILE, DUMP_FILE, KEY_FILE, MASTER_KEY_FILE, finish, tool};
use super::verify::print;
use crate::cli::DataArgs;
use crate::progress::grouped;

/// Arguments of `restore`.
#[derive(Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    data: DataArgs,
    /// The folder of the backup.
    folder: PathBuf,
    /// Restore the data as they were at this moment (RFC 3339), which lies before the backup. For a data directory; on
    /// PostgreSQL recover with its own archive of the write-ahead log, as docs/recovery.md tells.
    #[arg(long)]
    until: Option<String>,
}

/// Restores, then verifies every row. Exit code 3 when one is wrong.
pub fn run(args: &RestoreArgs) -> Result<ExitCode> {
    let until = args.until.as_deref().map(Timestamp::parse_rfc3339).transpose().map_err(|problem| anyhow!(problem))?;
    match &args.data.database_url {
        None => restore_directory(&args.folder, &args.data.data_dir, until)?,
        Some(_) if until.is_some() => {
            bail!("--until is for data directories; docs/recovery.md tells how PostgreSQL recovers to a moment")
        }
        Some(url) => restore_database(&args.folder, url)?,
    }
    restore_key(&args.folder.join(KEY_FILE), &args.data.log_key_file())?;
    restore_key(&args.folder.join(MASTER_KEY_FILE), &args.data.master_key_file())?;
    let report = verify(&mut args.data.open_read_only()?)?;
    print(&report);
    println!("{} is restored from {}.", args.data.name(), args.folder.display());
    // Says so at once, not when the first server starts.
    if let Err(error) = args.data.keyring_to_read(&mut args.data.open_read_only()?) {
        println!("Its personal data cannot be read yet: {error:#}.");
    }
    Ok(if report.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn restore_directory(folder: &Path, data: &Path, until: Option<Timestamp>) -> Result<()> {
    let file = present(folder, DATABASE_FILE)?;
    let to = data.join(DATABASE_FILE);
    if to.exists() {
        bail!("{} holds data already; restore to a new --data-dir", data.display());
    }
    create_private(data).with_context(|| data.display().to_string())?;
    // Under another name until it is whole and, where wanted, as of its moment.
    let work = data.join("restoring");
    create_private(&work).with_context(|| work.display().to_string())?;
    let prepared =
        std::fs::copy(&file, work.join(DATABASE_FILE)).map_err(anyhow::Error::from).and_then(|_| match until {
            None => Ok(None),
            Some(until) => Ok(Some(rewind(&DataDir::open(&work)?, until)?)),
        });
    let rewound = match prepared {
        Ok(rewound) => rewound,
        Err(error) => {
            std::fs::remove_dir_all(&work).with_context(|| work.display().to_string())?;
            return Err(error).with_context(|| file.display().to_string());
        }
    };
    std::fs::File::open(work.join(DATABASE_FILE))?.sync_all()?;
    std::fs::rename(work.join(DATABASE_FILE), &to).with_context(|| to.display().to_string())?;
    std::fs::remove_dir_all(&work).with_context(|| work.display().to_string())?;
    if let Some(Rewound { transactions, members, profiles, records }) = rewound {
        let count = |number: usize| grouped(i64::try_from(number).unwrap_or(i64::MAX));
        println!(
            "Taken back: {} transactions and {} members from after that moment. The transparency log ends there as well: \
             auditors who saw it later will notice, so tell them.",
            count(transactions),
            count(members)
        );
        if profiles > 0 {
            println!(
                "The profiles of {} members were changed after that moment and stay as they are in the backup.",
                grouped(profiles)
            );
        }
        if records > 0 {
            println!(
                "{} records of administration (operators, keys, consents and the like) and the audit log are as in the backup.",
                grouped(records)
            );
        }
    }
    Ok(())
}

fn restore_database(folder: &Path, url: &str) -> Result<()> {
    let file = present(folder, DUMP_FILE)?;
    if PostgresStore::open_read_only(url).is_ok() {
        bail!("the database holds guerdon data already; restore to an empty one");
    }
    let mut restore = tool("pg_restore", url);
    restore.args(["--single-transaction", "--exit-on-error", "--no-owner"]).arg(&file);
    finish(restore)
}

fn present(folder: &Path, name: &str) -> Result<PathBuf> {
    let file = folder.join(name);
    if file.is_file() {
        return Ok(file);
    }
    bail!("{} holds no {name}: it is no backup of this kind of data", folder.display())
}

fn restore_key(from: &Path, to: &Path) -> Result<()> {
    if !from.is_file() || to.exists() {
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        create_private(parent).with_context(|| parent.display().to_string())?;
    }
    // The copy keeps the rights of the file: nobody else may read it.
    std::fs::copy(from, to).map(drop).with_context(|| to.display().to_string())
}
