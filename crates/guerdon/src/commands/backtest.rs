//! `guerdon backtest`: what a changed program would have given, beside the rules in force.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use guerdon_backtest::{Backtest, Programs, Ran, from_file, from_ledger, run as run_backtest};
use guerdon_core::backtest::Period;
use guerdon_core::program::{Bundle, DRAFT, DocumentChange, Draft};
use guerdon_core::time::Timestamp;
use guerdon_import::{Mapping, Source};

use super::backtest_table;
use crate::cli::DataArgs;
use crate::open;
use crate::progress::{bar, grouped, show};

/// Arguments of `backtest`.
#[derive(Args)]
pub struct BacktestArgs {
    #[command(flatten)]
    data: DataArgs,
    /// The program file of the draft.
    #[arg(long, required_unless_present = "draft", conflicts_with = "draft")]
    program: Option<PathBuf>,
    /// A draft that is kept beside the program, by its id.
    #[arg(long)]
    draft: Option<String>,
    /// A file of purchases instead of what was recorded: .csv, .jsonl or .parquet; text may be compressed (.zst).
    #[arg(long, requires = "mapping")]
    file: Option<PathBuf>,
    /// What the columns of --file mean, as for `import`.
    #[arg(long, requires = "file")]
    mapping: Option<PathBuf>,
    /// From when on the draft holds and figures are counted: a day of the program's calendar or an RFC 3339 time. Before,
    /// the rules in force hold on both sides. Left out: from the beginning.
    #[arg(long)]
    from: Option<String>,
    /// Up to when, not included. Left out: now, or the end of --file.
    #[arg(long)]
    to: Option<String>,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the backtest. Changes nothing, and may run beside a server.
pub fn run(args: &BacktestArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let mut store = args.data.open_read_only()?;
    let now = open::system_now().plus_millis(open::clock_offset(&mut store)?.unwrap_or(0));
    let documents = store.documents()?;
    drop(store);
    let programs = match (&args.program, &args.draft) {
        (Some(file), _) => Programs::with_file(&documents, &bundle(file)?, now)?,
        (None, draft) => {
            Programs::with_changes(&documents, &changes(args, draft.as_deref().unwrap_or_default())?, now)?
        }
    };
    let moment = |what, text| programs.moment(text).map_err(|problem| anyhow!("{what} is {problem}"));
    let from = args.from.as_deref().map(|text| moment("--from", text)).transpose()?;
    let until = args.to.as_deref().map(|text| moment("--to", text)).transpose()?;
    let from = from.unwrap_or(Timestamp::ZERO);
    if until.unwrap_or(now) <= from {
        bail!("--to must be later than --from");
    }
    let ran = match (&args.file, &args.mapping) {
        (Some(file), Some(mapping)) => {
            let bar = bar("backtest", 0);
            let source = Source::open(file)?;
            let watch = |done| show(&bar, done);
            let ran = from_file(&programs, &Mapping::load(mapping)?, &source, (from, until), &watch);
            bar.finish_and_clear();
            ran?
        }
        _ => ledger(args, &programs, Period { from, until: until.unwrap_or(now.plus_millis(1)) })?,
    };
    let Ran::Done(backtest) = ran else { bail!("stopped") };
    tell(args, &programs, &backtest, started)?;
    Ok(if backtest.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn bundle(file: &Path) -> Result<Bundle> {
    let text = std::fs::read_to_string(file).with_context(|| format!("the program file {}", file.display()))?;
    Bundle::parse(&text).map_err(|problem| anyhow!("{}: {problem}", file.display()))
}

/// What a draft changes.
fn changes(args: &BacktestArgs, id: &str) -> Result<Vec<DocumentChange>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reader = runtime.block_on(args.data.reader())?;
    let record = runtime.block_on(reader.record(DRAFT, id, open::system_now()));
    runtime.block_on(reader.close());
    let record = record?.ok_or_else(|| anyhow!("there is no draft `{id}`; `GET /v1/drafts` lists them"))?;
    Ok(record.read::<Draft>()?.changes)
}

fn ledger(args: &BacktestArgs, programs: &Programs, period: Period) -> Result<Ran> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reader = runtime.block_on(args.data.reader())?;
    let bar = bar("backtest", runtime.block_on(reader.count_activities())?);
    let watch = |done| show(&bar, done);
    let ran = run_backtest(programs, period, &watch, |feed| runtime.block_on(from_ledger(&reader, feed)));
    bar.finish_and_clear();
    runtime.block_on(reader.close());
    ran
}

fn tell(args: &BacktestArgs, programs: &Programs, backtest: &Backtest, started: Instant) -> Result<()> {
    if args.json {
        println!("{}", serde_json::to_string(backtest)?);
        return Ok(());
    }
    print!("{}", backtest_table::text(backtest, &programs.live));
    let count = |number: u64| grouped(i64::try_from(number).unwrap_or(i64::MAX));
    println!(
        "\n{} activities with {} lines through both in {:.2} s",
        count(backtest.activities),
        count(backtest.lines),
        started.elapsed().as_secs_f64()
    );
    Ok(())
}
