//! `guerdon import`: purchases or members from a file, by a mapping.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use guerdon_core::audit::AuditEvent;
use guerdon_core::kernel::Command;
use guerdon_core::members::Profile;
use guerdon_core::privacy::Keyring;
use guerdon_core::time::EARLIEST;
use guerdon_store::{DryRunStore, Engine, EngineHandle, Store, write_records};

use crate::cli::DataArgs;
use crate::import::{
    Kind, Mapping, MemberDirectory, Purchase, Report, RowProblem, Step, read_members, read_purchases, run as run_steps,
};
use crate::open;
use crate::progress::{bar, grouped};

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
        import(DryRunStore::new(store), &keyring, program, &mapping, &args.file, offset)?.0
    } else {
        let (report, mut store) = import(store, &keyring, program, &mapping, &args.file, offset)?;
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
    mut store: S,
    keyring: &Keyring,
    program: std::sync::Arc<guerdon_core::program::Program>,
    mapping: &Mapping,
    file: &Path,
    clock_offset: i64,
) -> Result<(Report, S)> {
    let reading = indicatif::ProgressBar::new_spinner();
    let progress = |rows| reading.set_message(format!("reading: {rows} rows"));
    match mapping.kind {
        Kind::Members => {
            let members = read_members(mapping, file, &progress)?;
            let engine = Engine::start(store)?;
            let handle = engine.handle();
            handle.set_clock_offset(clock_offset);
            let bar = bar("importing members", members.len() as u64);
            let steps = members.into_iter().map(|(row, profile)| member_step(&handle, keyring, row, &profile));
            let report = run_steps(&handle, steps, &|done| bar.set_position(done))?;
            drop(handle);
            Ok((report, engine.stop()?))
        }
        Kind::Purchases => {
            let found = read_purchases(&program, mapping, file, &progress)?;
            let numbers = found.purchases.iter().map(|purchase| purchase.member.as_str());
            let mut members = MemberDirectory::load(&mut store, keyring, numbers)?;
            let engine = Engine::start(store)?;
            let handle = engine.handle();
            handle.set_clock_offset(clock_offset);
            let bar = bar("importing purchases", found.purchases.len() as u64);
            let enrol = mapping.enrol_unknown_members;
            let steps = found
                .purchases
                .into_iter()
                .flat_map(|purchase| purchase_steps(&handle, keyring, &mut members, purchase, enrol));
            let mut report = run_steps(&handle, steps, &|done| bar.set_position(done))?;
            drop(handle);
            let store = engine.stop()?;
            report.problems.extend(found.problems);
            report.problems.sort_by_key(|problem| problem.row);
            Ok((report, store))
        }
    }
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

fn member_step(engine: &EngineHandle, keyring: &Keyring, row: u64, profile: &Profile) -> Step {
    let key = format!("import:{}", profile.external_id.as_deref().unwrap_or_default());
    let command = match &profile.external_id {
        Some(_) => Command::enrol(keyring, rand::random(), engine.new_member_id(), &key, engine.now(), profile),
        None => Err(guerdon_core::kernel::Refusal::new(
            guerdon_core::kernel::RefusalCode::InvalidRequest,
            "`external_id` is empty",
        )),
    };
    Step { row: Some(row), what: "member", command: command.map(|command| command.from_channel("import")) }
}

/// The commands of one purchase or return: its enrolment when the member is unknown, and the activity.
pub fn purchase_steps(
    engine: &EngineHandle,
    keyring: &Keyring,
    members: &mut MemberDirectory,
    purchase: Purchase,
    enrol_unknown: bool,
) -> Vec<Step> {
    let mut steps = Vec::with_capacity(2);
    let row = Some(purchase.row);
    let member = match members.get(&purchase.member) {
        Some(member) => member,
        None => {
            let id = engine.new_member_id();
            if enrol_unknown {
                members.insert(&purchase.member, id);
                steps.push(enrol_step(keyring, &purchase, id, row));
            }
            id
        }
    };
    let what = if purchase.activity.is_return() { "return" } else { "purchase" };
    let key = format!("{what}:{}", purchase.number);
    let command = Command::record(&engine.program(), member, &key, &purchase.activity, engine.now(), EARLIEST);
    let command = command.map(|command| command.from_channel("import").with_reference(Some(purchase.number.clone())));
    steps.push(Step { row, what, command });
    steps
}

fn enrol_step(keyring: &Keyring, purchase: &Purchase, id: guerdon_core::id::MemberId, row: Option<u64>) -> Step {
    let profile =
        Profile { external_id: Some(purchase.member.clone()), country: purchase.country.clone(), ..Profile::default() };
    let key = format!("import:{}", purchase.member);
    let command = Command::enrol(keyring, rand::random(), id, &key, purchase.at, &profile);
    Step { row, what: "member", command: command.map(|command| command.from_channel("import")) }
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
