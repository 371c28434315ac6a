//! The benchmark of backtests: the demo's thirteen months as recorded, and a million baskets as they are made up.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use guerdon_backtest::{Backtest, Programs, Ran, from_ledger, run};
use guerdon_core::backtest::{Entry, Happened, Period};
use guerdon_core::earning::{Activity, ActivityLine};
use guerdon_core::id::MemberId;
use guerdon_core::program::Bundle;
use guerdon_core::time::Timestamp;
use guerdon_store::read::Reader;
use guerdon_store::{DataDir, SqliteStore, Store, load_program, publish, start_keyring};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rust_decimal::Decimal;
use serde::Serialize;

use super::bench::bench_master_key;
use super::demo;
use super::init::GIFT_CLUB;
use crate::open::system_now;
use crate::progress::{bar, grouped, show};

/// Runs of each, of which the median is told.
const RUNS: usize = 5;
/// Lines of a basket that is made up.
const LINES: usize = 10;
/// The months over which those baskets are spread, in milliseconds (13 × 30 days).
const SPAN_MS: i64 = 13 * 30 * 24 * 60 * 60 * 1000;

/// One measured run.
#[derive(Serialize)]
struct Measured {
    what: &'static str,
    activities: u64,
    lines: u64,
    seconds: f64,
    /// Reading or making up the same entries, and nothing else.
    without_backtest_seconds: f64,
    peak_mib: Option<u64>,
}

/// Measures both, and prints.
pub fn measure(folder: &Path, baskets: u64, members: usize, json: bool) -> Result<()> {
    let mut results = vec![made_up(baskets, members)?];
    results.push(recorded(folder)?);
    if json {
        println!("{}", serde_json::to_string(&results)?);
        return Ok(());
    }
    println!(
        "{:<34} {:>11} {:>12} {:>9} {:>14} {:>9}",
        "", "activities", "lines", "seconds", "source alone", "peak MiB"
    );
    let count = |number: u64| grouped(i64::try_from(number).unwrap_or(i64::MAX));
    for Measured { what, activities, lines, seconds, without_backtest_seconds, peak_mib } in &results {
        let (activities, lines, peak) = (count(*activities), count(*lines), peak_mib.unwrap_or_default());
        println!("{what:<34} {activities:>11} {lines:>12} {seconds:>9.2} {without_backtest_seconds:>14.2} {peak:>9}");
    }
    Ok(())
}

/// A draft that differs in every way: another rate, no tenth, and four rules more.
fn draft() -> Result<Bundle> {
    let more = r#"
        [[rules]]
        id = "weekend"
        name = "Weekend"
        trigger = "purchase"
        condition = "context.weekday >= 6"
        effect = { type = "multiply", factor = "1.5", rule = "base" }
        caps = [{ window = "month", points = 2000 }]
        [[rules]]
        id = "gifts"
        name = "Gifts"
        trigger = "purchase"
        effect = { type = "points_per_money", rate = "0.5", lines = "line.category == 'gifts'" }
        [[rules]]
        id = "first"
        name = "First"
        trigger = "purchase"
        condition = "history.purchase.lifetime.count == 0"
        effect = { type = "fixed_points", points = 100 }
        [[rules]]
        id = "often"
        name = "Often"
        trigger = "purchase"
        condition = "history.purchase.month.count >= 3 && activity.net > 1000"
        effect = { type = "fixed_points", points = 20 }
    "#;
    let file = GIFT_CLUB.replace("rate = \"1\" }", "rate = \"0.9\" }").replace("percent = \"10\"", "percent = \"0\"");
    Bundle::parse(&(file + more)).map_err(anyhow::Error::msg)
}

fn programs(store: &mut SqliteStore) -> Result<Programs> {
    Programs::with_file(&store.documents()?, &draft()?, system_now())
}

fn done(ran: Ran) -> Result<Backtest> {
    match ran {
        Ran::Done(backtest) => Ok(*backtest),
        Ran::Stopped => bail!("the backtest was stopped"),
    }
}

/// Replays the demo into a directory, and runs backtests over what was recorded.
fn recorded(folder: &Path) -> Result<Measured> {
    let directory = folder.join("backtest");
    let mut store = SqliteStore::open(DataDir::create(&directory)?)?;
    publish(&mut store, &Bundle::parse(GIFT_CLUB).map_err(anyhow::Error::msg)?, system_now())?;
    let keyring = start_keyring(&mut store, Arc::new(bench_master_key()), rand::random())?;
    let program = load_program(&mut store)?;
    let programs = programs(&mut store)?;
    drop(demo::replay(Box::new(store), &keyring, &program)?);
    let period = Period {
        from: Timestamp::ZERO,
        until: Timestamp::parse_rfc3339("2012-01-01T00:00:00Z").map_err(anyhow::Error::msg)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut times, mut alone, mut found) = (Vec::new(), Vec::new(), None);
    forget_peak();
    for _ in 0..RUNS {
        let started = Instant::now();
        let reader = runtime.block_on(Reader::open(&directory))?;
        let ran = run(&programs, period, &|_| true, |feed| runtime.block_on(from_ledger(&reader, feed)))?;
        times.push(started.elapsed());
        found = Some(done(ran)?);
        runtime.block_on(reader.close());
        let started = Instant::now();
        let reader = runtime.block_on(Reader::open(&directory))?;
        runtime.block_on(reader.history(&mut |entry| std::hint::black_box(entry).at > Timestamp::ZERO))?;
        alone.push(started.elapsed());
        runtime.block_on(reader.close());
    }
    let found = found.ok_or_else(|| anyhow!("no run"))?;
    told("thirteen months as recorded", &found, times, alone)
}

/// Runs backtests over baskets that are made up while they are looked at.
fn made_up(baskets: u64, members: usize) -> Result<Measured> {
    let mut documents = Bundle::parse(GIFT_CLUB).and_then(|bundle| bundle.documents()).map_err(anyhow::Error::msg)?;
    documents.iter_mut().for_each(|document| document.version = 1);
    let programs = Programs::with_file(&documents, &draft()?, system_now())?;
    let period = Period { from: Timestamp::ZERO, until: Timestamp::from_millis(START_MS + SPAN_MS) };
    forget_peak();
    let bar = bar("baskets", baskets);
    let started = Instant::now();
    let ran = run(&programs, period, &|done| show(&bar, done), |feed| {
        let mut source = Baskets::new(baskets, members);
        while source.next().is_some_and(|entry| feed.push(entry)) {}
        Ok(())
    })?;
    let time = started.elapsed();
    bar.finish_and_clear();
    let found = done(ran)?;
    let started = Instant::now();
    Baskets::new(baskets, members).for_each(|entry| drop(std::hint::black_box(entry)));
    told("baskets that are made up", &found, vec![time], vec![started.elapsed()])
}

fn told(what: &'static str, found: &Backtest, mut times: Vec<Duration>, mut alone: Vec<Duration>) -> Result<Measured> {
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times.get(times.len() / 2).map(Duration::as_secs_f64).unwrap_or_default()
    };
    Ok(Measured {
        what,
        activities: found.activities,
        lines: found.lines,
        seconds: median(&mut times),
        without_backtest_seconds: median(&mut alone),
        peak_mib: demo::peak_memory_kib().map(|kib| kib / 1_024),
    })
}

/// Lets the system measure the peak of memory anew, where it can.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The first basket's moment: 2024-01-01.
const START_MS: i64 = 1_704_067_200_000;

/// Baskets in order of their time, the same from every run.
struct Baskets {
    random: StdRng,
    count: u64,
    next: u64,
    members: i64,
}

impl Baskets {
    fn new(count: u64, members: usize) -> Self {
        let members = i64::try_from(members).unwrap_or(i64::MAX);
        Self { random: StdRng::seed_from_u64(42), count, next: 0, members }
    }

    fn line(&mut self) -> ActivityLine {
        const CATEGORIES: [&str; 8] = ["tea", "coffee", "cake", "juice", "gifts", "books", "toys", "garden"];
        const NAMES: [&str; 4] =
            ["CHRISTMAS BAUBLE", "OAK TABLE", "PAPER CHAIN KIT", "WHITE HANGING HEART T-LIGHT HOLDER"];
        let number: u32 = self.random.random();
        let pick = |from: &[&str], by: u32| from.get(by as usize % from.len().max(1)).map(|text| (*text).to_owned());
        ActivityLine {
            sku: Some(format!("SKU-{}", number % 5_000)),
            description: pick(&NAMES, number / 7),
            category: pick(&CATEGORIES, number / 64),
            quantity: Decimal::from(1 + number % 4),
            unit_price: Decimal::new(99 + i64::from(number / 1_024 % 4_000), 2),
        }
    }
}

impl Iterator for Baskets {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if self.next >= self.count {
            return None;
        }
        let share = i128::from(self.next) * i128::from(SPAN_MS) / i128::from(self.count);
        self.next += 1;
        let at = Timestamp::from_millis(START_MS.saturating_add(i64::try_from(share).unwrap_or_default()));
        let member = MemberId(1 + self.random.random_range(0..self.members.max(1)));
        let activity = Activity {
            kind: "purchase".to_owned(),
            occurred_at: Some(at),
            currency: None,
            amount: None,
            lines: (0..LINES).map(|_| self.line()).collect(),
            store: Some(format!("store-{}", member.0 % 200)),
            channel: Some("pos".to_owned()),
            purchase: None,
            referrer: None,
            attributes: Default::default(),
            body: None,
        };
        Some(Entry { member, at, what: Happened::Activity { activity: Box::new(activity), key: None } })
    }
}
