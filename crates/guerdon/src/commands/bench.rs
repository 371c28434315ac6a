//! `guerdon bench`: durable redemptions through the kernel beside the bare engine, and through the API.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use guerdon_core::id::MemberId;
use guerdon_core::kernel::Command;
use guerdon_core::ledger::CurrencyId;
use guerdon_core::limits::BATCH_COMMANDS;
use guerdon_core::members::Profile;
use guerdon_core::privacy::{Keyring, MasterKey};
use guerdon_core::program::Bundle;
use guerdon_core::proofs::SigningKey;
use guerdon_core::rewards::{Price, Reward};
use guerdon_import::Pipeline;
use guerdon_store::{
    BareEngine, DataDir, Engine, EngineHandle, Outcome, RamStore, Sequenced, SqliteStore, Store, publish, sequence,
    start_keyring, start_log,
};
use hdrhistogram::Histogram;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use super::init::GIFT_CLUB;
use super::{
    bench_auth, bench_backtest, bench_catalogue, bench_flash_sale, bench_fulfilment, bench_http, bench_log,
    bench_postgres, bench_privacy, bench_replay, bench_rules, bench_tick,
};
use crate::open::system_now;
use crate::progress::bar;

/// Points of each member, in one lot: enough for every redemption of a run.
const POINTS: i64 = 1_000_000_000;
/// Jobs that wait for each writer, so that it finds a full batch when it comes back; more only wait.
const JOBS_AHEAD: usize = 2;
/// How often the log is sequenced, as a server does.
const SEQUENCE_EVERY: Duration = Duration::from_millis(500);

/// Which store to measure.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StoreKind {
    /// The embedded store.
    Sqlite,
    /// An empty database of a PostgreSQL server, named by --database-url.
    Postgres,
    /// Plain RAM: the kernel alone.
    Ram,
}

/// Arguments of `bench`.
#[derive(Clone, Args)]
pub struct BenchArgs {
    /// Which store to measure.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: StoreKind,
    /// The empty database of --store postgres.
    #[arg(long, env = "GUERDON_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Measure through the API on loopback, instead of in-process.
    #[arg(long)]
    http: bool,
    /// Measure what the gate costs: --http in turns without it and with a key and its limits, and a check by itself.
    #[arg(long, requires = "http")]
    auth: bool,
    /// Measure what privacy costs: --http without and beside a rotation of the master key, and erasures.
    #[arg(long, requires = "http", conflicts_with = "auth")]
    privacy: bool,
    /// Members.
    #[arg(long, default_value_t = 200_000)]
    members: usize,
    /// Rewards, chosen Zipf-like.
    #[arg(long, default_value_t = 1_000)]
    rewards: usize,
    /// Redemptions to measure.
    #[arg(long, default_value_t = 300_000)]
    pub redemptions: usize,
    /// Keep-alive connections of --http.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Measure inclusion proofs in a transparency log of so many leaves, instead of redemptions.
    #[arg(long, value_name = "LEAVES", conflicts_with_all = ["http", "store"])]
    log: Option<u64>,
    /// Measure fifty rules over a basket of ten lines, instead of redemptions.
    #[arg(long, group = "instead", conflicts_with_all = ["http", "store", "log"])]
    rules: bool,
    /// Measure the demo's replay with three rules and with twenty, instead of redemptions.
    #[arg(long, group = "instead", conflicts_with_all = ["http", "store", "log"])]
    replay: bool,
    /// Measure backtests over the demo's thirteen months and over --baskets of --members, instead of redemptions.
    #[arg(long, group = "instead", conflicts_with_all = ["http", "store", "log"])]
    backtest: bool,
    /// Baskets of ten lines for --backtest.
    #[arg(long, default_value_t = 1_000_000)]
    baskets: u64,
    /// Measure ticks of --members accounts on which points mature, expire and are reminded of, instead of redemptions.
    #[arg(long, conflicts_with_all = ["http", "store", "log"])]
    tick: bool,
    /// Measure pages of a catalogue of 10,000 rewards, with search, instead of redemptions.
    #[arg(long, group = "instead", conflicts_with_all = ["http", "store", "log", "tick"])]
    catalogue: bool,
    /// Measure the way from the quote to the completed order of a code reward, instead of redemptions.
    #[arg(long, group = "instead", conflicts_with_all = ["http", "store", "log", "tick"])]
    fulfilment: bool,
    /// Where to put the temporary data; left out: the system's folder for it.
    #[arg(long)]
    folder: Option<std::path::PathBuf>,
    /// Measure a flash sale over the API: 100,000 members after 1,000 units, on one node, or on two with --store postgres.
    #[arg(long, group = "instead", conflicts_with_all = ["http", "log", "tick"])]
    flash_sale: bool,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// One measured run.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// What was measured.
    pub what: String,
    /// Redemptions a second.
    pub per_second: f64,
    /// Milliseconds from asking to the durable answer.
    pub p50_ms: f64,
    /// The same at the 99th percentile.
    pub p99_ms: f64,
    /// The same at the 99.9th percentile.
    pub p999_ms: f64,
    /// The most transactions that waited for the transparency log, when it was sequenced beside.
    pub waited_for_log: Option<usize>,
}

impl Measured {
    /// From a count, a time and a histogram of microseconds.
    #[expect(clippy::float_arithmetic, reason = "rates and times for people, not points")]
    pub fn new(what: &str, count: usize, time: Duration, micros: &Histogram<u64>) -> Self {
        let at = |quantile| micros.value_at_quantile(quantile) as f64 / 1_000.0;
        Self {
            what: what.to_owned(),
            per_second: count as f64 / time.as_secs_f64(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            waited_for_log: None,
        }
    }

    /// With the most that waited for the log.
    pub fn beside_log(self, waited: usize) -> Self {
        Self { waited_for_log: Some(waited), ..self }
    }
}

/// Members and rewards as drawn by a seed, so that every run redeems the same.
pub struct Draw {
    random: StdRng,
    members: Vec<MemberId>,
    /// Cumulated weights of the rewards, by Zipf's law with exponent 1 in integers.
    weights: Vec<u64>,
}

impl Draw {
    fn new(members: Vec<MemberId>, rewards: usize) -> Self {
        let mut sum = 0;
        let weights = (1..=rewards as u64).map(|rank| {
            sum += 1_000_000_000 / rank;
            sum
        });
        Self { random: StdRng::seed_from_u64(42), weights: weights.collect(), members }
    }

    /// The same draw from another seed, for one of several that draw side by side.
    pub fn part(&self, number: usize) -> Self {
        let random = StdRng::seed_from_u64(42 + number as u64);
        Self { random, members: self.members.clone(), weights: self.weights.clone() }
    }

    /// The same members, all after one reward.
    pub fn on_one_reward(&self) -> Self {
        Self { weights: vec![1], ..self.part(0) }
    }

    /// The members.
    pub fn members(&self) -> &[MemberId] {
        &self.members
    }

    /// A member and a reward.
    pub fn next(&mut self) -> (MemberId, String) {
        let member = self.members.get(self.random.random_range(0..self.members.len())).copied();
        let point = self.random.random_range(0..self.weights.last().copied().unwrap_or(1));
        let rank = self.weights.partition_point(|weight| *weight <= point);
        (member.unwrap_or(MemberId(0)), format!("reward-{rank}"))
    }
}

/// Measures.
pub fn run(args: &BenchArgs) -> Result<ExitCode> {
    if args.members == 0 || args.rewards == 0 || args.redemptions == 0 || args.connections == 0 {
        bail!("--members, --rewards, --redemptions and --connections must be 1 or more");
    }
    let folder = match &args.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    if let Some(leaves) = args.log {
        bench_log::measure(folder.path(), leaves, args.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.rules || args.replay || args.backtest {
        match (args.rules, args.replay) {
            (true, _) => bench_rules::measure(args.json)?,
            (_, true) => bench_replay::measure(folder.path(), args.json)?,
            _ => bench_backtest::measure(folder.path(), args.baskets, args.members, args.json)?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    if args.tick {
        print(&bench_tick::measure(folder.path(), args.members)?, args.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.flash_sale {
        flash_sale(folder.path(), args)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.catalogue {
        let few = BenchArgs { members: args.members.min(bench_catalogue::MEMBERS), ..args.clone() };
        bench_catalogue::print(&bench_catalogue::measure(folder.path(), &few)?, args.json);
        return Ok(ExitCode::SUCCESS);
    }
    if args.fulfilment {
        let few = BenchArgs { members: args.members.min(bench_fulfilment::MEMBERS), ..args.clone() };
        bench_fulfilment::print(&bench_fulfilment::measure(folder.path(), &few)?, args.json);
        return Ok(ExitCode::SUCCESS);
    }
    let bundle = bench_program(args.rewards)?;
    let results = match (args.store, args.http) {
        (StoreKind::Ram, false) => vec![in_process("kernel on RAM", RamStore::new(), &bundle, args)?],
        (StoreKind::Ram | StoreKind::Postgres, true) => bail!("--http measures the embedded store: leave out --store"),
        (StoreKind::Postgres, false) => bench_postgres::measure(args.database_url.as_deref(), &bundle, args)?,
        (StoreKind::Sqlite, false) => sqlite(folder.path(), &bundle, args)?,
        (StoreKind::Sqlite, true) => {
            let store = SqliteStore::open(DataDir::create(folder.path())?)?;
            let Prepared { engine, draw, keyring } = prepare(store, &bundle, args)?;
            let (redemptions, connections) = (args.redemptions, args.connections);
            if args.auth {
                let cost = bench_auth::measure(engine, keyring, folder.path(), draw, redemptions, connections)?;
                print(&cost.results, args.json)?;
                print_checks(&cost, args.json);
                return Ok(ExitCode::SUCCESS);
            }
            if args.privacy {
                let cost = bench_privacy::measure(engine, keyring, folder.path(), draw, redemptions, connections)?;
                print(&cost.results, args.json)?;
                print_privacy(&cost, args.json);
                return Ok(ExitCode::SUCCESS);
            }
            vec![bench_http::measure(engine, keyring, folder.path(), draw, redemptions, connections)?]
        }
    };
    print(&results, args.json)?;
    Ok(ExitCode::SUCCESS)
}

fn bench_program(rewards: usize) -> Result<Bundle> {
    let mut bundle = Bundle::parse(GIFT_CLUB).map_err(anyhow::Error::msg)?;
    let Some(sample) = bundle.rewards.pop() else { bail!("the sample program has no reward") };
    bundle.rewards = (0..rewards)
        .map(|rank| Reward {
            id: format!("reward-{rank}"),
            price: Price::fixed(1),
            stock: Some(1_000_000_000),
            ..sample.clone()
        })
        .collect();
    Ok(bundle)
}

/// The members, the units, and the connections to each node, of a flash sale.
const SALE: (usize, i64, usize) = (100_000, 1_000, 256);

fn flash_sale(folder: &Path, args: &BenchArgs) -> Result<()> {
    let (members, units, connections) = SALE;
    let mut bundle = bench_program(1)?;
    bundle.rewards.iter_mut().for_each(|reward| reward.stock = Some(units));
    match args.store {
        StoreKind::Sqlite => {
            let store = SqliteStore::open(DataDir::create(folder)?)?;
            let Prepared { engine, draw, keyring } = prepare_members(store, &bundle, members, args)?;
            let place = bench_flash_sale::Place::Folder(folder);
            let sale = bench_flash_sale::measure(vec![engine], keyring, place, &draw, connections)?;
            sale.print("one node over SQLite", args.json);
        }
        StoreKind::Postgres => {
            let (url, store) = bench_postgres::empty(args.database_url.as_deref())?;
            let Prepared { engine, draw, keyring } = prepare_members(store, &bundle, members, args)?;
            drop(engine.stop()?);
            let nodes = bench_postgres::two_nodes(url)?;
            let place = bench_flash_sale::Place::Url(url);
            let sale = bench_flash_sale::measure(nodes, keyring, place, &draw, connections)?;
            sale.print("two nodes over PostgreSQL", args.json);
        }
        StoreKind::Ram => bail!("--flash-sale is measured over the API: leave out --store, or give --store postgres"),
    }
    Ok(())
}

fn sqlite(folder: &Path, bundle: &Bundle, args: &BenchArgs) -> Result<Vec<Measured>> {
    let (kernel_folder, bare_folder) = (folder.join("kernel"), folder.join("bare"));
    let store = SqliteStore::open(DataDir::create(&kernel_folder)?)?;
    let Prepared { engine, draw, .. } = prepare(store, bundle, args)?;
    // The bare engine starts from a copy of the very same file.
    drop(engine.stop()?);
    std::fs::create_dir_all(&bare_folder)?;
    std::fs::copy(kernel_folder.join("guerdon.db"), bare_folder.join("guerdon.db"))?;
    let mut bare = Draw::new(draw.members.clone(), args.rewards);
    let (bare, _) = bare_run(&bare_folder, &mut bare, args.redemptions)?;
    let store = SqliteStore::open(DataDir::open(&kernel_folder)?)?;
    let engine = Engine::start(store)?;
    let started = Instant::now();
    let run = redeem_all("kernel", engine, 1, draw, args.redemptions)?;
    let kernel = Measured::new("kernel on SQLite", args.redemptions, started.elapsed(), &run.micros);
    Ok(vec![bare, kernel.beside_log(run.waited_for_log)])
}

fn in_process<S: Store + 'static>(what: &str, store: S, bundle: &Bundle, args: &BenchArgs) -> Result<Measured> {
    let Prepared { engine, draw, .. } = prepare(store, bundle, args)?;
    let started = Instant::now();
    let run = redeem_all("kernel", engine, 1, draw, args.redemptions)?;
    let measured = Measured::new(what, args.redemptions, started.elapsed(), &run.micros);
    Ok(measured.beside_log(run.waited_for_log))
}

/// Members with points, ready to be measured.
pub struct Prepared<S> {
    /// The running engine.
    pub engine: Engine<S>,
    /// Who redeems what.
    pub draw: Draw,
    /// The keys of the members.
    pub keyring: Keyring,
}

/// Enrols the members and gives each one lot of points.
pub fn prepare<S: Store + 'static>(store: S, bundle: &Bundle, args: &BenchArgs) -> Result<Prepared<S>> {
    prepare_members(store, bundle, args.members, args)
}

/// The same for so many members.
fn prepare_members<S: Store + 'static>(
    mut store: S,
    bundle: &Bundle,
    all: usize,
    args: &BenchArgs,
) -> Result<Prepared<S>> {
    publish(&mut store, bundle, system_now())?;
    start_log(&mut store, &bench_key())?;
    let keyring = start_keyring(&mut store, Arc::new(bench_master_key()), rand::random())?;
    let engine = Engine::start(store)?;
    let handle = engine.handle();
    let bar = bar("preparing members", all as u64);
    let mut members = Vec::with_capacity(all);
    while members.len() < all {
        let count = (BATCH_COMMANDS / 2).min(all - members.len());
        let mut commands = Vec::with_capacity(2 * count);
        for _ in 0..count {
            let (id, now) = (handle.new_member_id(), handle.now());
            members.push(id);
            let profile = if args.privacy { bench_privacy::profile(members.len()) } else { Profile::default() };
            commands.push(Command::enrol(&keyring, rand::random(), id, &id.to_string(), now, &profile)?);
            commands.push(Command::adjust(id, "opening", now, CurrencyId(1), POINTS, "bench")?);
        }
        for outcome in handle.submit_blocking(commands).blocking_receive() {
            outcome?;
        }
        bar.set_position(members.len() as u64);
    }
    bar.finish_and_clear();
    drain(&handle)?;
    let draw = Draw::new(members, args.rewards);
    Ok(Prepared { engine, draw, keyring })
}

/// The key of the benchmark's log. No secret.
pub fn bench_key() -> SigningKey {
    SigningKey::new("guerdon/bench", &[7; 32])
}

/// The master key of the benchmark's members. No secret.
pub fn bench_master_key() -> MasterKey {
    MasterKey::new([7; 32])
}

/// Takes everything that waits into the log. Returns how much it was.
pub fn drain(handle: &EngineHandle) -> Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut taken = 0;
    loop {
        let round = runtime.block_on(handle.run(|store| sequence(store, &bench_key())));
        let Sequenced { leaves, more } = round.context("sequencing the log")?;
        taken += leaves;
        if !more {
            return Ok(taken);
        }
    }
}

/// What a run of redemptions was like.
pub struct Run {
    /// The microseconds of each.
    pub micros: Histogram<u64>,
    /// The most transactions that waited for the log.
    pub waited_for_log: usize,
}

/// The log that is sequenced beside a run, as a server does.
pub struct LogBeside {
    stop: mpsc::Sender<()>,
    sequencer: thread::JoinHandle<Result<usize>>,
}

impl LogBeside {
    /// Begins.
    pub fn start(handle: &EngineHandle) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let handle = handle.clone();
        let sequencer = thread::spawn(move || {
            let mut most = 0;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(SEQUENCE_EVERY) {
                most = most.max(drain(&handle)?);
            }
            Ok(most)
        });
        Self { stop, sequencer }
    }

    /// Ends. Returns the most that waited for the log.
    pub fn stop(self) -> Result<usize> {
        drop(self.stop);
        self.sequencer.join().map_err(|_| anyhow!("the sequencer panicked"))?
    }
}

/// Redeems with full batches, a few ahead, under keys of one phase, while the log is sequenced beside.
pub fn redeem_all<S: Store + 'static>(
    phase: &str,
    engine: Engine<S>,
    writers: usize,
    mut draw: Draw,
    redemptions: usize,
) -> Result<Run> {
    let handle = engine.handle();
    let mut micros = Histogram::<u64>::new(3)?;
    let mut pipeline = Pipeline::new(&handle);
    let mut hear = |asked: Instant, outcomes: Vec<Outcome>| -> Result<()> {
        let taken = u64::try_from(asked.elapsed().as_micros())?;
        micros.record_n(taken, outcomes.len() as u64)?;
        outcomes.into_iter().try_for_each(|outcome| outcome.map(drop).map_err(anyhow::Error::from))
    };
    let log = LogBeside::start(&handle);
    let mut sent = 0;
    while sent < redemptions {
        let count = BATCH_COMMANDS.min(redemptions - sent);
        let commands =
            (0..count).map(|index| redemption(&handle, &mut draw, phase, sent + index)).collect::<Result<_>>()?;
        pipeline.send(Instant::now(), commands);
        sent += count;
        pipeline.settle(JOBS_AHEAD * writers, &mut hear)?;
    }
    pipeline.settle(0, &mut hear)?;
    drop(pipeline);
    let waited_for_log = log.stop()?;
    drop(handle);
    drop(engine.stop()?);
    Ok(Run { micros, waited_for_log })
}

/// One redemption, numbered within a phase of the benchmark.
pub fn redemption(handle: &EngineHandle, draw: &mut Draw, phase: &str, number: usize) -> Result<Command> {
    let (member, reward) = draw.next();
    Ok(Command::redeem(member, &format!("{phase}-{number}"), handle.now(), &reward, 1, false)?)
}

fn bare_run(folder: &Path, draw: &mut Draw, redemptions: usize) -> Result<(Measured, ())> {
    let mut engine = BareEngine::open(DataDir::open(folder)?)?;
    let mut micros = Histogram::<u64>::new(3)?;
    let (mut done, started) = (0, Instant::now());
    while done < redemptions {
        let count = BATCH_COMMANDS.min(redemptions - done);
        let batch: Vec<(i64, String)> =
            (0..count).map(|_| draw.next()).map(|(member, reward)| (member.0, reward)).collect();
        // A member may come twice in a batch; the kernel writes the account once, so the bare engine does as well.
        let asked = Instant::now();
        engine.batch(&batch, RECEIPT_BYTES)?;
        let taken = u64::try_from(asked.elapsed().as_micros())?;
        micros.record_n(taken, count as u64)?;
        done += count;
    }
    Ok((Measured::new("bare SQLite, the same rows", redemptions, started.elapsed(), &micros), ()))
}

/// The length of a redemption's receipt.
const RECEIPT_BYTES: usize = 390;

fn print_checks(cost: &bench_auth::Cost, json: bool) {
    let bench_auth::Cost { check_ns, gate_ns, .. } = cost;
    if json {
        println!("{}", serde_json::json!({ "permission_check_ns": check_ns, "gate_ns": gate_ns }));
        return;
    }
    println!("permission check: {check_ns} ns");
    println!("the whole way through the gate, with a remembered key: {gate_ns} ns");
}

fn print_privacy(cost: &bench_privacy::Cost, json: bool) {
    let bench_privacy::Cost { rotated_per_second, erasure_micros, .. } = cost;
    let (p50, longest) = (erasure_micros.value_at_quantile(0.5), erasure_micros.max());
    if json {
        let erasure = serde_json::json!({ "p50_us": p50, "longest_us": longest, "count": erasure_micros.len() });
        println!("{}", serde_json::json!({ "rotated_per_second": rotated_per_second, "erasure": erasure }));
        return;
    }
    println!("keys wrapped anew: {rotated_per_second} members a second");
    println!("erasure of one member: p50 {p50} µs, the longest of {} {longest} µs", erasure_micros.len());
}

#[expect(clippy::float_arithmetic, reason = "ratios for people, not points")]
fn print(results: &[Measured], json: bool) -> Result<()> {
    // Each second one is measured against the one before it.
    let ratios: Vec<f64> =
        results.chunks_exact(2).filter_map(|pair| Some(pair.get(1)?.per_second / pair.first()?.per_second)).collect();
    if json {
        println!("{}", serde_json::json!({ "results": results, "ratios": ratios }));
        return Ok(());
    }
    println!("{:<46} {:>14} {:>10} {:>10} {:>10}", "", "per second", "p50 ms", "p99 ms", "p999 ms");
    for (index, measured) in results.iter().enumerate() {
        let Measured { what, per_second, p50_ms, p99_ms, p999_ms, waited_for_log } = measured;
        println!("{what:<46} {per_second:>14.0} {p50_ms:>10.2} {p99_ms:>10.2} {p999_ms:>10.2}");
        if let Some(waited) = waited_for_log {
            println!("{:<46} {waited:>14}", "  most that waited for the transparency log");
        }
        if let Some(ratio) = ratios.get(index / 2).filter(|_| index % 2 == 1) {
            println!("{:<46} {ratio:>14.2}", "  ratio to the line above");
        }
    }
    Ok(())
}
