//! `guerdon bench --tick`: accounts on which points mature and expire and reminders are owed, all at once, beside the bare
//! engine that writes the same rows.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use guerdon_core::earning::Activity;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::Command;
use guerdon_core::ledger::CurrencyId;
use guerdon_core::limits::BATCH_COMMANDS;
use guerdon_core::members::Profile;
use guerdon_core::program::Bundle;
use guerdon_core::time::{EARLIEST, Timestamp};
use guerdon_store::{
    BareEngine, DataDir, Engine, EngineHandle, SqliteStore, publish, start_keyring, start_log, verify,
};
use hdrhistogram::Histogram;

use super::bench::{LogBeside, Measured, bench_key, bench_master_key, drain};
use crate::progress::bar;

/// Points live to the end of the next month; who checks in waits three days for them.
const PROGRAM: &str = r#"
program = { id = "bench", name = "Bench", money = "GBP", time_zone = "Europe/London" }

[[currencies]]
id = 1
code = "points"
name = "points"
per_money_unit = 100
expiry = { after = 1, granule = "month" }
life = { reminders = { days = [30, 7] } }

[[rules]]
id = "check-in"
name = "Check-in"
trigger = "check_in"
effect = { type = "fixed_points", points = 5 }
pending_days = 3
"#;
/// 2026-01-10T12:00:00Z: every member gets points and checks in.
const BEGIN: Timestamp = Timestamp::from_millis(1_768_046_400_000);
/// 2026-03-02T12:00:00Z: those matured on 13 January, two reminders were due, and everything expired on 1 March.
const DUE: Timestamp = Timestamp::from_millis(1_772_452_800_000);
/// The length of a tick's receipt.
const RECEIPT_BYTES: usize = 540;
/// Transfers of a tick: what matures, and what expires.
const TRANSFERS: usize = 2;

/// Measures the bare engine, then the kernel, over as many accounts.
pub fn measure(folder: &Path, accounts: usize) -> Result<Vec<Measured>> {
    let (kernel, bare) = (folder.join("kernel"), folder.join("bare"));
    prepare(&kernel, accounts)?;
    // The bare engine starts from a copy of the very same file.
    std::fs::create_dir_all(&bare)?;
    std::fs::copy(kernel.join("guerdon.db"), bare.join("guerdon.db"))?;
    let bare = bare_run(&bare, accounts)?;
    Ok(vec![bare, kernel_run(&kernel, accounts)?])
}

fn prepare(folder: &Path, accounts: usize) -> Result<()> {
    let mut store = SqliteStore::open(DataDir::create(folder)?)?;
    publish(&mut store, &Bundle::parse(PROGRAM).map_err(anyhow::Error::msg)?, EARLIEST)?;
    start_log(&mut store, &bench_key())?;
    let keyring = start_keyring(&mut store, Arc::new(bench_master_key()), rand::random())?;
    let engine = Engine::start(store)?;
    let handle = engine.handle();
    let check_in: Activity = serde_json::from_value(serde_json::json!({ "kind": "check_in" }))?;
    let bar = bar("preparing accounts", accounts as u64);
    let mut made = 0;
    while made < accounts {
        let count = (BATCH_COMMANDS / 3).min(accounts - made);
        let mut commands = Vec::with_capacity(3 * count);
        for _ in 0..count {
            let id = handle.new_member_id();
            commands.push(Command::enrol(&keyring, rand::random(), id, &id.to_string(), BEGIN, &Profile::default())?);
            commands.push(Command::adjust(id, "opening", BEGIN, CurrencyId(1), 1_000, "bench")?);
            commands.push(Command::record(&handle.program(), id, "check-in", &check_in, BEGIN, EARLIEST)?);
        }
        for outcome in handle.submit_blocking(commands).blocking_receive() {
            outcome?;
        }
        made += count;
        bar.set_position(made as u64);
    }
    bar.finish_and_clear();
    drain(&handle)?;
    drop(handle);
    drop(engine.stop()?);
    Ok(())
}

/// Lets happen what is due in the way of a server: batch by batch, the log beside.
fn kernel_run(folder: &Path, accounts: usize) -> Result<Measured> {
    let engine = Engine::start(SqliteStore::open(DataDir::open(folder)?)?)?;
    let handle = engine.handle();
    let log = LogBeside::start(&handle);
    let started = Instant::now();
    let micros = tick_all(&handle, accounts)?;
    let taken = started.elapsed();
    let waited = log.stop()?;
    drop(handle);
    let report = verify(&mut engine.stop()?)?;
    if report.wrong > 0 {
        bail!("verify finds {:?}", report.findings);
    }
    Ok(Measured::new("ticks of the kernel on SQLite", accounts, taken, &micros).beside_log(waited))
}

fn tick_all(handle: &EngineHandle, accounts: usize) -> Result<Histogram<u64>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut micros = Histogram::<u64>::new(3)?;
    let mut done = 0;
    loop {
        let asked = Instant::now();
        let ticked = runtime.block_on(handle.tick(DUE, BATCH_COMMANDS))?;
        micros.record_n(u64::try_from(asked.elapsed().as_micros())?, ticked as u64)?;
        done += ticked;
        if ticked == 0 {
            break;
        }
    }
    if done != accounts {
        bail!("{done} of {accounts} accounts were ticked");
    }
    Ok(micros)
}

fn bare_run(folder: &Path, accounts: usize) -> Result<Measured> {
    let mut engine = BareEngine::open(DataDir::open(folder)?)?;
    let mut micros = Histogram::<u64>::new(3)?;
    let (mut done, started) = (0, Instant::now());
    while done < accounts {
        let asked = Instant::now();
        let members: Vec<MemberId> = engine.ticks(DUE, BATCH_COMMANDS, RECEIPT_BYTES, TRANSFERS)?;
        if members.is_empty() {
            bail!("the bare engine found {done} of {accounts} accounts due");
        }
        micros.record_n(u64::try_from(asked.elapsed().as_micros())?, members.len() as u64)?;
        done += members.len();
    }
    Ok(Measured::new("bare SQLite, the same rows", accounts, started.elapsed(), &micros))
}
