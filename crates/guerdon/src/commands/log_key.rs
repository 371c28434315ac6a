//! `guerdon log-key`: the key of the transparency log.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use guerdon_store::{load_program, log_keys, rotate_log_key, write_records};

use crate::cli::DataArgs;
use crate::open::{cli_event, new_log_key, system_now};

/// Arguments of `log-key`.
#[derive(Args)]
pub struct LogKeyArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Make a new key, endorsed by the one in force, and keep the old file beside it. Stop the servers before and start
    /// them with the new file afterwards.
    #[arg(long)]
    rotate: bool,
}

/// Shows or rotates the key.
pub fn run(args: &LogKeyArgs) -> Result<ExitCode> {
    if args.rotate {
        rotate(args)?;
    }
    let mut store = args.data.open_read_only()?;
    let keys = log_keys(&mut store)?;
    let Some(key) = keys.last() else { bail!("the log has no key yet; `guerdon serve` makes one") };
    println!("{key}");
    Ok(ExitCode::SUCCESS)
}

/// The new file is written first under a name of its own: whatever fails, a file with the key in force is there.
fn rotate(args: &LogKeyArgs) -> Result<()> {
    let (mut store, _) = args.data.open()?;
    let file = args.data.log_key_file();
    let Some(old) = args.data.log_key(&mut store)? else {
        bail!("{} is not there: only the holder of the key in force can endorse a new one", file.display());
    };
    let retired = file.with_extension(format!("key.until-{}", store.log_head()?.size));
    let fresh = file.with_extension("key.new");
    let new = new_log_key(&fresh, &load_program(&mut store)?.settings.id)?;
    std::fs::hard_link(&file, &retired).with_context(|| retired.display().to_string())?;
    rotate_log_key(&mut store, &old, &new)?;
    let after = serde_json::json!({ "public_key": new.public().to_string() });
    let event = cli_event("log.rotate_key", "log", after);
    write_records(&mut store, &[], &[event], system_now())?;
    std::fs::rename(&fresh, &file).with_context(|| file.display().to_string())?;
    eprintln!("The old key is kept as {}; the new one is in {}.", retired.display(), file.display());
    Ok(())
}
