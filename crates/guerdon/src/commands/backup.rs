//! `guerdon backup`: a consistent copy of the data while they are served.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;
use guerdon_store::{create_private, stays_here_or_says};
use percent_encoding::percent_decode_str;

use crate::cli::DataArgs;

/// The files of a backup.
pub const DATABASE_FILE: &str = "guerdon.db";
pub const DUMP_FILE: &str = "guerdon.dump";
pub const KEY_FILE: &str = "log.key";
pub const MASTER_KEY_FILE: &str = "master.key";

/// Arguments of `backup`.
#[derive(Args)]
pub struct BackupArgs {
    #[command(flatten)]
    data: DataArgs,
    /// The folder to make for the backup. It holds the key of the log as well: keep it as safe as the data.
    folder: PathBuf,
    /// Copy the file of the master key as well. Whoever has the backup can then read the personal data.
    #[arg(long)]
    with_master_key: bool,
}

/// Writes the backup beside its place and renames it, so that a folder of its name is whole.
pub fn run(args: &BackupArgs) -> Result<ExitCode> {
    if args.folder.exists() {
        bail!("{} is there already; a backup is never written over", args.folder.display());
    }
    let name = args.folder.file_name().context("the folder needs a name")?;
    let beside = args.folder.with_file_name(format!("{}.unfinished", name.to_string_lossy()));
    if beside.exists() {
        std::fs::remove_dir_all(&beside).with_context(|| beside.display().to_string())?;
    }
    create_private(&beside).with_context(|| beside.display().to_string())?;
    private(&beside)?;
    match &args.data.database_url {
        None => guerdon_store::backup(&args.data.data_dir, &beside.join(DATABASE_FILE))?,
        Some(url) => {
            let mut dump = tool("pg_dump", url);
            dump.args(["--format=custom", "--no-owner", "--file"]).arg(beside.join(DUMP_FILE));
            finish(dump)?;
        }
    }
    let key = args.data.log_key_file();
    if key.is_file() {
        std::fs::copy(&key, beside.join(KEY_FILE)).with_context(|| key.display().to_string())?;
    }
    if args.with_master_key {
        let key = args.data.master_key_file();
        std::fs::copy(&key, beside.join(MASTER_KEY_FILE))
            .with_context(|| format!("the master key file {}", key.display()))?;
    }
    for entry in std::fs::read_dir(&beside)? {
        std::fs::File::open(entry?.path())?.sync_all()?;
    }
    std::fs::rename(&beside, &args.folder).with_context(|| args.folder.display().to_string())?;
    println!("{} is backed up in {}.", args.data.name(), args.folder.display());
    if !key.is_file() {
        println!("The key of the transparency log was not at {}; back it up where it is.", key.display());
    }
    if args.with_master_key {
        println!("It holds the master key: keep it as a secret.");
    } else {
        match args.data.master_keys() {
            Ok(Some((_, source))) => println!(
                "It does not hold the master key, which is in {source}: without that the personal data in it cannot be \
                 read. Keep a copy of the key elsewhere."
            ),
            _ => println!(
                "It does not hold the master key: without that the personal data in it cannot be read. Make sure that a \
                 copy of the key is kept elsewhere."
            ),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Nobody else may look into a folder.
fn private(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    let _ = folder;
    Ok(())
}

/// A tool of PostgreSQL, with its password in the environment, where other users do not see it.
pub fn tool(name: &str, url: &str) -> Command {
    let mut command = Command::new(name);
    // Its default falls back to clear text; what the URL says goes before.
    command.env("PGSSLMODE", if stays_here_or_says(url) { "prefer" } else { "require" });
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(authority..).and_then(|rest| rest.find(['/', '?'])).map_or(url.len(), |at| authority + at);
    let user = url.get(authority..end).and_then(|text| text.rsplit_once('@')).map(|(user, _)| user);
    let Some((user, password)) = user.and_then(|user| user.split_once(':')) else {
        command.arg("--dbname").arg(url);
        return command;
    };
    command.env("PGPASSWORD", percent_decode_str(password).decode_utf8_lossy().as_ref());
    command.arg("--dbname").arg(url.replacen(&format!("{user}:{password}@"), &format!("{user}@"), 1));
    command
}

/// Runs a tool to its end.
pub fn finish(mut command: Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    // Of several hosts the one that takes writes is meant.
    let done = command.env("PGTARGETSESSIONATTRS", "read-write").output();
    let done = done.with_context(|| format!("{name}, which comes with PostgreSQL's client, cannot be run"))?;
    if done.status.success() {
        return Ok(());
    }
    bail!("{name} failed: {}", String::from_utf8_lossy(&done.stderr).trim());
}

#[cfg(test)]
mod tests {
    use super::tool;

    #[test]
    fn no_password_stands_on_a_command_line() {
        let command = tool("pg_dump", "postgres://ann:s%40cret@one,two:5433/points");
        let arguments: Vec<_> = command.get_args().map(|text| text.to_string_lossy().into_owned()).collect();
        assert_eq!(arguments, ["--dbname", "postgres://ann@one,two:5433/points"]);
        assert!(command.get_envs().any(|(name, value)| name == "PGPASSWORD" && value == Some("s@cret".as_ref())));
    }
}
