//! `guerdon import`: purchases or members from a file, by a mapping.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use guerdon_core::audit::AuditEvent;
use guerdon_core::privacy::Keyring;
use guerdon_core::program::Program;
use guerdon_import::{Found, Kind, Mapping, Report, RowProblem, Source};
use guerdon_store::{DryRunStore, Engine, Store, write_records};

use crate::cli::DataArgs;
use crate::open;
use crate::progress::{bar, grouped, show};

/// Arguments of `import`.
#[derive(Args)]
pub struct ImportArgs {
    #[command(flatten)]
    data: DataArgs,
    /// The mapping file: which column means what (TOML). data/online-retail/mapping.toml is an example.
    #[arg(long)]
    mapping: PathBuf,
    /// The file: .csv, .jsonl or .parquet; text may be compressed with zstd (.zst).
    file: PathBuf,
    /// Say what would happen, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Write the refused rows here, as JSON Lines.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// Imports. Exit code 3 when rows were refused.
pub fn run(args: &ImportArgs) -> Result<ExitCode> {
    let started = Instant::now();
    let mapping = Mapping::load(&args.mapping)?;
    let (mut store, program) = args.data.open()?;
    let keyring = args.data.keyring(&mut store)?;
    let offset = open::clock_offset(&mut store)?.unwrap_or(0);
    let report = if args.dry_run {
        import(DryRunStore::new(store), &keyring, &program, &mapping, &args.file, offset)?.0
    } else {
        let (report, mut store) = import(store, &keyring, &program, &mapping, &args.file, offset)?;
        write_records(&mut store, &[], &[event(&mapping, &args.file, &report)], open::system_now())?;
        report
    };
    if let Some(path) = &args.report {
        write_report(path, &report.problems).with_context(|| format!("the report {}", path.display()))?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report, args.dry_run, started.elapsed().as_secs_f64());
    }
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn import<S: Store + 'static>(
    store: S,
    keyring: &Keyring,
    program: &Program,
    mapping: &Mapping,
    file: &Path,
    clock_offset: i64,
) -> Result<(Report, S)> {
    let reading = indicatif::ProgressBar::new_spinner();
    let source = Source::open(file)?;
    let found = Found::read(program, mapping, &source, &|rows| reading.set_message(format!("reading: {rows} rows")))?;
    let engine = Engine::start(store)?;
    let handle = engine.handle();
    handle.set_clock_offset(clock_offset);
    let bar = bar("importing", found.count());
    let report = found.send(&handle, keyring, mapping, &|done| show(&bar, done))?;
    drop(handle);
    Ok((report, engine.stop()?))
}

/// What the audit log says about an import: how much of what, and the name of the file.
fn event(mapping: &Mapping, file: &Path, report: &Report) -> AuditEvent {
    let subject = match mapping.kind {
        Kind::Members => "import members",
        Kind::Purchases => "import purchases",
    };
    let after = serde_json::json!({
        "file": file.file_name().map(|name| name.to_string_lossy()),
        "accepted": report.accepted,
        "already_there": report.already_there,
        "refused": report.problems.len(),
    });
    open::cli_event("data.import", subject, after)
}

fn write_report(path: &Path, problems: &[RowProblem]) -> Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for problem in problems {
        writeln!(file, "{}", serde_json::to_string(problem)?)?;
    }
    Ok(file.flush()?)
}

fn print(report: &Report, dry_run: bool, seconds: f64) {
    let count = |number: &u64| grouped(i64::try_from(*number).unwrap_or(i64::MAX));
    let verb = if dry_run { "would be accepted" } else { "accepted" };
    for (what, number) in &report.accepted {
        println!("{:>12} {what} {verb}", count(number));
    }
    for (what, number) in &report.already_there {
        println!("{:>12} {what} already there", count(number));
    }
    for problem in report.problems.iter().take(10) {
        println!("  row {}: {} ({})", problem.row, problem.reason, problem.code);
    }
    if report.problems.len() > 10 {
        println!("  … and {} more; --report FILE writes them all", report.problems.len() - 10);
    }
    let accepted: u64 = report.accepted.values().sum();
    #[expect(clippy::float_arithmetic, reason = "a rate for people, not points")]
    let rate = accepted as f64 / seconds.max(0.001);
    println!("{} refused; {seconds:.1} s, {rate:.0} a second", report.problems.len());
}
