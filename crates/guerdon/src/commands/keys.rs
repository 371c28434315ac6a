//! `guerdon keys`: the master key of personal data.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use guerdon_core::audit::AuditEvent;
use guerdon_core::id::IdGenerator;
use guerdon_core::privacy::KeyWrap;
use guerdon_server::MasterKeys;
use guerdon_store::{Rotated, Store, begin_rotation, rotate, stored_keyring};
use serde_json::Value;

use super::serve::bootstrap_key;
use crate::cli::DataArgs;
use crate::master_key::KeptKeys;
use crate::open::{AnyStore, system_now};
use crate::progress::{bar, grouped};

/// Members whose keys are wrapped anew in one transaction.
const SLICE: usize = 1_000;
/// How often a server is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long to wait while another node rotates.
const WAIT_ELSEWHERE: Duration = Duration::from_secs(1);

/// Arguments of `keys`.
#[derive(Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show which master key is in use, and where it is.
    Show(ShowArgs),
    /// Take a new master key into use and wrap the members' keys anew. May be stopped at any moment and run again.
    Rotate(RotateArgs),
}

#[derive(Args)]
struct ShowArgs {
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Args)]
struct RotateArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Let a running server do it while it serves; its API key is taken from GUERDON_API_KEY. A data directory that is
    /// being served can be rotated in no other way.
    #[arg(long)]
    url: Option<String>,
}

/// Shows or rotates.
pub fn run(args: &KeysArgs) -> Result<ExitCode> {
    match &args.what {
        What::Show(args) => show(&args.data)?,
        What::Rotate(RotateArgs { url: Some(url), .. }) => ask_server(url.trim_end_matches('/'))?,
        What::Rotate(RotateArgs { data, url: None }) => rotate_here(data)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(data: &DataArgs) -> Result<()> {
    let stored = stored_keyring(&mut data.open_read_only()?)?;
    let stored = stored.context("the data have no keys of personal data yet; run `guerdon migrate` once")?;
    let at_hand = data.master_keys()?;
    let place = |id: &str| match &at_hand {
        Some((keys, source)) if keys.iter().any(|key| key.id() == id) => format!("in {source}"),
        _ => "NOT AT HAND".to_owned(),
    };
    println!("{}  in use  {}", stored.current(), place(stored.current()));
    for id in stored.master_keys.iter().rev().skip(1) {
        println!("{id}  being retired: run `guerdon keys rotate` to go on  {}", place(id));
    }
    Ok(())
}

fn rotate_here(data: &DataArgs) -> Result<()> {
    let (mut store, _) = data.open().context("a running server rotates by itself: give its address with --url")?;
    let mut keyring = data.keyring(&mut store)?;
    let kept = KeptKeys(data.clone());
    let stored = stored_keyring(&mut store)?.context("the data have no keys")?;
    if stored.master_keys.len() < 2 {
        let new = kept.next(keyring.current_id()).map_err(anyhow::Error::msg)?;
        let from = keyring.current_id().to_owned();
        keyring = begin_rotation(&mut store, &keyring, new, rand::random())?;
        note(&mut store, &from, keyring.current_id())?;
    }
    let bar = bar("wrapping keys anew", 0);
    let mut done = 0;
    loop {
        match rotate(&mut store, &keyring, SLICE, &mut rand::random)? {
            Rotated::All => break,
            Rotated::Members(count) => done += count as u64,
            Rotated::Elsewhere => std::thread::sleep(WAIT_ELSEWHERE),
        }
        bar.set_length(done);
        bar.set_position(done);
    }
    bar.finish_and_clear();
    kept.drop_before(keyring.current_id()).map_err(anyhow::Error::msg)?;
    tell(keyring.current_id(), done);
    Ok(())
}

fn tell(id: &str, done: u64) {
    let done = grouped(i64::try_from(done).unwrap_or(i64::MAX));
    println!("The master key {id} is in use; the keys of {done} members were wrapped anew.");
    println!("Backups made before need the old key: keep its copy as long as you keep them.");
}

/// Leaves a word in the audit log.
fn note(store: &mut AnyStore, from: &str, to: &str) -> Result<()> {
    let event = AuditEvent {
        at: system_now(),
        actor: "cli".to_owned(),
        address: String::new(),
        action: "master_key.rotate".to_owned(),
        subject: to.to_owned(),
        reason: String::new(),
        before: Value::String(from.to_owned()),
        after: Value::String(to.to_owned()),
    };
    let mut ids = IdGenerator::after(store.node()?, store.last_id()?);
    Ok(store.write_records(&[], &[event], system_now(), &mut ids)?)
}

fn ask_server(url: &str) -> Result<()> {
    let key = bootstrap_key()?.context("give the API key in GUERDON_API_KEY: one that may `keys:rotate`")?;
    let address = format!("{url}/v1/keys/rotation");
    let bearer = format!("Bearer {key}");
    let read = |answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>| -> Result<Value> {
        let text = answer.with_context(|| address.clone())?.body_mut().read_to_string()?;
        serde_json::from_str(&text).with_context(|| format!("{address} gave an answer that cannot be read"))
    };
    let mut now = read(ureq::post(&address).header("authorization", &bearer).send_empty())?;
    let number = |value: &Value, field: &str| value.get(field).and_then(Value::as_u64).unwrap_or_default();
    let bar = bar("wrapping keys anew", 0);
    while now.get("retiring").and_then(Value::as_array).is_some_and(|retiring| !retiring.is_empty()) {
        bar.set_length(number(&now, "done") + number(&now, "left"));
        bar.set_position(number(&now, "done"));
        if let Some(problem) = now.get("problem").and_then(Value::as_str) {
            bail!("the server holds the rotation up and tries again by itself: {problem}");
        }
        std::thread::sleep(ASK_EVERY);
        now = read(ureq::get(&address).header("authorization", &bearer).call())?;
    }
    bar.finish_and_clear();
    tell(now.get("master_key").and_then(Value::as_str).unwrap_or_default(), number(&now, "done"));
    Ok(())
}
