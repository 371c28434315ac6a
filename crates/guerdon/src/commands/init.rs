//! `guerdon init`: creates a data directory, or publishes a changed program file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use guerdon_core::program::Bundle;

use crate::cli::DataArgs;
use crate::open::publish;

/// The program of the demo, for a start without a program file.
pub const GIFT_CLUB: &str = include_str!("../../../../programs/gift-club.toml");

/// Arguments of `init`.
#[derive(Args)]
pub struct InitArgs {
    #[command(flatten)]
    data: DataArgs,
    /// The program file, TOML or JSON; left out: the Gift Club of the demo, to change as you like.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// Publishes the program.
pub fn run(args: &InitArgs) -> Result<ExitCode> {
    let text = match &args.program {
        None => GIFT_CLUB.to_owned(),
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("the program file {}", path.display()))?,
    };
    let source = args.program.as_ref().map_or("the built-in Gift Club".to_owned(), |path| path.display().to_string());
    let bundle = Bundle::parse(&text).map_err(anyhow::Error::msg).with_context(|| source.clone())?;
    let mut store = args.data.create()?;
    let published = publish(&mut store, &bundle)?;
    args.data.log_key(&mut store)?;
    args.data.keyring(&mut store)?;
    if args.json {
        println!("{}", serde_json::json!({ "added": published.added, "retired": published.retired }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} holds the program `{}` from {source}.", args.data.name(), bundle.program.id);
    match (published.added.len(), published.retired.len()) {
        (0, 0) => println!("Nothing has changed since it was published."),
        (added, retired) => println!("{added} documents published, {retired} retired."),
    }
    println!("Next: `guerdon import`, or `guerdon serve`.");
    Ok(ExitCode::SUCCESS)
}
