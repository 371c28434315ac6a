//! `guerdon demo`: a real retailer's thirteen months through the Gift Club.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use guerdon_core::kernel::Command;
use guerdon_core::ledger::LedgerAccount;
use guerdon_core::privacy::Keyring;
use guerdon_core::program::{Bundle, Program};
use guerdon_core::time::{Day, Timestamp};
use guerdon_import::{
    Mapping, MemberDirectory, Purchase, Purchases, Report, Source, Step, purchase_steps, read_purchases,
    run as run_steps,
};
use guerdon_server::identity::token::{Token, TokenKind};
use guerdon_store::read::Flow;
use guerdon_store::{EngineHandle, load_program, sequence, verify};

use super::init::GIFT_CLUB;
use super::serve::{Serving, bootstrap_key, edge, serve};
use crate::cli::{DataArgs, ListenArgs};
use crate::messages::mailbox;
use crate::open::{self, AnyStore, system_now};
use crate::progress::{bar, grouped, money, show};
use guerdon_server::identity::sso::SingleSignOn;

/// The sample data travels in the binary, so that the demo runs wherever the binary does.
const SALES: &[u8] = include_bytes!("../../../../data/online-retail/online_retail.csv.zst");
const MAPPING: &str = include_str!("../../../../data/online-retail/mapping.toml");
const VOUCHER: &str = "voucher-5";

/// Arguments of `demo`.
#[derive(Args)]
pub struct DemoArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    listen: ListenArgs,
    /// Replay under another program than the Gift Club; its money must be GBP.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Stop after the verification, without serving.
    #[arg(long)]
    no_serve: bool,
    /// Listen on a network, or behind a proxy, although the demo shows everybody the codes that it would have sent.
    #[arg(long)]
    on_network: bool,
}

/// What a replay of the sample data was like.
pub(super) struct Replay {
    report: Report,
    rows: u64,
    rows_without_member: u64,
    /// From decompression to the last commit.
    pub(super) time: Duration,
    commands: u64,
}

/// Creates, replays, summarises, verifies and serves.
pub fn run(args: &DemoArgs) -> Result<ExitCode> {
    let edge = edge(&args.listen)?;
    let faces_network = !args.listen.listen.ip().to_canonical().is_loopback() || !edge.trust.proxies.is_empty();
    if faces_network && !args.on_network && !args.no_serve {
        bail!(
            "the demo shows everybody who can reach it the codes that it would have sent, and so lets them in: listen on \
             127.0.0.1, or say --on-network if that is what you want"
        );
    }
    let mut store = args.data.create()?;
    let file = match &args.program {
        Some(path) => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
        None => GIFT_CLUB.to_owned(),
    };
    let bundle = Bundle::parse(&file).map_err(anyhow::Error::msg)?;
    open::publish(&mut store, &bundle)?;
    let program = load_program(&mut store)?;
    let name = program.settings.name.get("en");
    println!("Guerdon demo: {name} over thirteen months of a real retailer (UCI Online Retail, CC BY 4.0).");
    let keyring = args.data.keyring(&mut store)?;
    let (mut store, replay) = replay(store, &keyring, &program)?;
    summarise(&args.data, &program, &replay)?;
    let log_key = args.data.log_key(&mut store)?;
    if let Some(key) = &log_key {
        while sequence(&mut store, key)?.leaves > 0 {}
    }
    let report = verify(&mut store)?;
    super::verify::print(&report);
    if report.wrong > 0 {
        return Ok(ExitCode::from(3));
    }
    if args.no_serve {
        return Ok(ExitCode::SUCCESS);
    }
    let engine = open::start(vec![store])?;
    println!("The program's clock stands at {}, where the data ends.", engine.handle().now());
    let bootstrap = match bootstrap_key()? {
        Some(key) => key,
        None => {
            let key = Token::generate(TokenKind::Key).reveal().to_owned();
            println!("API key of this demo, until it stops: {key}");
            key
        }
    };
    let serving = Serving {
        keyring,
        log_key,
        bootstrap: Some(bootstrap),
        messages: mailbox(),
        sso: SingleSignOn::default(),
        demo: true,
        test_tender: true,
    };
    serve(engine, &args.data, serving, &args.listen, edge)
}

/// Replays the sample data into a store that holds a program for it.
pub(super) fn replay(store: AnyStore, keyring: &Keyring, program: &Program) -> Result<(AnyStore, Replay)> {
    let started = Instant::now();
    let mapping = Mapping::parse(MAPPING)?;
    let folder = tempfile::tempdir().context("a temporary folder for the sample data")?;
    let file: PathBuf = folder.path().join("online_retail.csv.zst");
    std::fs::write(&file, SALES).context("unpacking the sample data")?;
    let reading = bar("reading", 541_909);
    let found = read_purchases(program, &mapping, &Source::open(&file)?, &|rows| reading.set_position(rows))?;
    reading.finish_and_clear();
    let Purchases { purchases, rows, rows_without_member, problems } = found;
    let last_day = purchases.last().map(|purchase| program.calendar.day_of(purchase.at)).unwrap_or_default();
    let engine = open::start(vec![store])?;
    let handle = engine.handle();
    let numbers = purchases.iter().map(|purchase| purchase.member.as_str());
    let members = MemberDirectory::load(&handle, keyring, numbers)?;
    let replaying = bar("replaying", purchases.len() as u64);
    let steps = Shoppers::new(&handle, keyring, purchases, members);
    let mut report = run_steps(&handle, steps, &|done| show(&replaying, done))?;
    replaying.finish_and_clear();
    report.problems.extend(problems);
    drop(handle);
    let mut store = engine.stop()?;
    if open::clock_offset(&mut store)?.is_none() {
        let offset = program.calendar.close_of(last_day).as_millis() - system_now().as_millis();
        open::set_clock_offset(&mut store, offset)?;
    }
    let commands = report.accepted.values().chain(report.already_there.values()).chain(report.refused.values()).sum();
    Ok((store, Replay { report, rows, rows_without_member, time: started.elapsed(), commands }))
}

/// The steps of the replay: every activity in order and, at the end of each day, one try to redeem a voucher by each
/// member who bought something on it.
struct Shoppers<'a> {
    engine: &'a EngineHandle,
    keyring: &'a Keyring,
    members: MemberDirectory,
    purchases: std::vec::IntoIter<Purchase>,
    ready: std::collections::VecDeque<Step>,
    today: Day,
    /// Numbers of the members who bought today, in the order of their value.
    bought: BTreeSet<(u64, String)>,
}

impl<'a> Shoppers<'a> {
    fn new(engine: &'a EngineHandle, keyring: &'a Keyring, purchases: Vec<Purchase>, members: MemberDirectory) -> Self {
        let (purchases, ready) = (purchases.into_iter(), std::collections::VecDeque::new());
        Self { engine, keyring, members, purchases, ready, today: Day::default(), bought: BTreeSet::new() }
    }

    fn close_day(&mut self) {
        let at: Timestamp = self.engine.program().calendar.close_of(self.today);
        for (_, number) in std::mem::take(&mut self.bought) {
            let Some(member) = self.members.get(&number) else { continue };
            let key = format!("voucher:{}", self.today.date());
            let command = Command::redeem(member, &key, at, VOUCHER, 1, true);
            let command = command.map(|command| command.from_channel("demo"));
            self.ready.push_back(Step { row: None, what: "redeem", command });
        }
    }
}

impl Iterator for Shoppers<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        while self.ready.is_empty() {
            let Some(purchase) = self.purchases.next() else {
                if self.bought.is_empty() {
                    return None;
                }
                self.close_day();
                continue;
            };
            let day = self.engine.program().calendar.day_of(purchase.at);
            if day != self.today {
                self.close_day();
                self.today = day;
            }
            if !purchase.activity.is_return() {
                self.bought.insert((purchase.member.parse().unwrap_or(u64::MAX), purchase.member.clone()));
            }
            self.ready.extend(purchase_steps(self.engine, self.keyring, &mut self.members, purchase, true));
        }
        self.ready.pop_front()
    }
}

fn summarise(data: &DataArgs, program: &Program, replay: &Replay) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut flows, counts) = runtime.block_on(async {
        let reader = data.reader().await?;
        anyhow::Ok((reader.flows().await?, reader.counts().await?))
    })?;
    let currency = program.currencies.iter().find(|currency| currency.spendable).map(|currency| currency.id);
    flows.retain(|flow| Some(flow.currency) == currency);
    let line = |what: &str, number: i64| println!("  {what:<32} {:>14}", grouped(number));
    let sum = |matches: &dyn Fn(&Flow) -> bool| -> i64 {
        flows.iter().filter(|flow| matches(flow)).map(|flow| flow.amount).sum()
    };
    println!("\nIn the ledger");
    line("members", counts.members);
    line("purchases", counts.activities.get("purchase").copied().unwrap_or(0));
    line("returns", counts.activities.get("return").copied().unwrap_or(0));
    let rules: BTreeSet<&str> = flows.iter().filter_map(|flow| Some(flow.rule.as_ref()?.0.as_str())).collect();
    let earned = |flow: &Flow| flow.debit == LedgerAccount::Issuance;
    line("points earned", sum(&earned));
    for rule in rules {
        let points = sum(&|flow| earned(flow) && flow.rule.as_ref().is_some_and(|(id, _)| id == rule));
        if points > 0 {
            line(&format!("  by rule {rule}"), points);
        }
    }
    let taken_back = sum(&|flow| flow.credit == LedgerAccount::Revocation);
    line("points taken back", taken_back - sum(&|flow| flow.debit == LedgerAccount::Revocation));
    line("points redeemed", sum(&|flow| flow.credit == LedgerAccount::Redemption));
    line("vouchers", counts.orders.get("completed").copied().unwrap_or(0));
    let outstanding = sum(&|flow| flow.credit.is_member()) - sum(&|flow| flow.debit.is_member());
    line("points outstanding", outstanding);
    let value = currency.map_or(0, |currency| program.value_of(currency, outstanding, Timestamp::NEVER));
    println!("  {:<32} {:>14}", "liability", money(&program.settings.money, program.money_digits, value));
    print_run(replay);
    Ok(())
}

fn print_run(replay: &Replay) {
    let count = |number: u64| grouped(i64::try_from(number).unwrap_or(i64::MAX));
    println!("\nIn this run");
    println!("  {:<32} {:>14}", "lines read", count(replay.rows));
    println!("  {:<32} {:>14}", "lines without a customer", count(replay.rows_without_member));
    let invoices = |map: &std::collections::BTreeMap<&str, u64>| {
        map.get("purchase").copied().unwrap_or(0) + map.get("return").copied().unwrap_or(0)
    };
    println!("  {:<32} {:>14}", "invoices recorded", count(invoices(&replay.report.accepted)));
    let there = invoices(&replay.report.already_there);
    if there > 0 {
        println!("  {:<32} {:>14}", "invoices already there", count(there));
        println!("  (found by their idempotency keys: nothing was credited twice)");
    }
    for (what, number) in &replay.report.refused {
        println!("  {:<32} {:>14}", format!("refused: {what}"), count(*number));
    }
    for problem in replay.report.problems.iter().take(10) {
        println!("  row {}: {}", problem.row, problem.reason);
    }
    let seconds = replay.time.as_secs_f64();
    #[expect(clippy::float_arithmetic, reason = "a rate for people, not points")]
    let rate = replay.commands as f64 / seconds.max(0.001);
    println!("  {:<32} {seconds:>12.2} s", "time, decompression to last commit");
    println!("  {:<32} {rate:>13.0}/s", "commands decided");
    if let Some(kib) = peak_memory_kib() {
        println!("  {:<32} {:>10} MiB", "peak memory", kib / 1_024);
    }
    println!();
}

/// The high-water mark of resident memory, where the system tells it.
pub(super) fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
