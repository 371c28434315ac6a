//! `guerdon simulate`: seeded runs of the whole path of a command, on several nodes, with crashes and retries.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;
use guerdon_simulation::{Summary, run as run_members, run_fulfilments};
use indicatif::ProgressBar;

use crate::progress::{bar, grouped};

/// Arguments of `simulate`.
#[derive(Args)]
pub struct SimulateArgs {
    /// How many seeds to run.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first of them; a failing seed is replayed with `--first SEED --seeds 1`.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Run fulfilments step by step instead: codes, suppliers that misbehave, bundles.
    #[arg(long)]
    fulfilments: bool,
    /// Show how far it is.
    #[arg(long)]
    progress: bool,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the seeds on all cores, until one fails. Exit code 3 when one does.
pub fn run(args: &SimulateArgs) -> Result<ExitCode> {
    let Some(end) = args.first.checked_add(args.seeds).filter(|_| args.seeds > 0) else {
        bail!("--seeds must be 1 or more, and --first not beyond all numbers");
    };
    let progress = if args.progress { bar("simulating", args.seeds) } else { ProgressBar::hidden() };
    let run_seed = if args.fulfilments { run_fulfilments } else { run_members };
    let (next, failed) = (AtomicU64::new(args.first), AtomicBool::new(false));
    let found = Mutex::new((Summary::default(), Vec::new()));
    let started = Instant::now();
    let work = || {
        let (mut summary, mut problems) = (Summary::default(), Vec::new());
        while !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                break;
            }
            match run_seed(seed) {
                Ok(one) => summary = summary.plus(&one),
                Err(problem) => {
                    failed.store(true, Ordering::Relaxed);
                    problems.push((seed, problem));
                }
            }
            progress.inc(1);
        }
        let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        found.0 = std::mem::take(&mut found.0).plus(&summary);
        found.1.append(&mut problems);
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    progress.finish_and_clear();
    let (summary, problems) = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    report(args, &summary, &problems, started.elapsed().as_secs_f64());
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn report(args: &SimulateArgs, summary: &Summary, problems: &[(u64, String)], seconds: f64) {
    let lines = [
        ("commands accepted", summary.accepted),
        ("commands refused", summary.refused),
        ("answered from the journal", summary.replayed),
        ("nodes died", summary.crashes),
        ("batches decided again", summary.conflicts),
        ("commits of dead nodes that arrived", summary.ghosts),
        ("transactions in the log", summary.logged),
    ];
    if args.json {
        let counts: serde_json::Map<String, serde_json::Value> =
            lines.iter().map(|(what, count)| ((*what).to_owned(), (*count).into())).collect();
        let refusals: serde_json::Map<String, serde_json::Value> =
            summary.refusals.iter().map(|((what, code), count)| (format!("{what}: {code}"), (*count).into())).collect();
        let died: serde_json::Map<String, serde_json::Value> = summary
            .crossed
            .iter()
            .map(|((last, next), (_, died))| (format!("{last} → {next}"), (*died).into()))
            .collect();
        let answer = serde_json::json!({
            "seconds": seconds, "counts": counts, "happened": summary.noted, "refused": refusals, "died_between": died,
            "failed": problems
        });
        println!("{answer}");
        return;
    }
    for (what, count) in lines {
        println!("  {what:<36} {:>14}", grouped(i64::try_from(count).unwrap_or(i64::MAX)));
    }
    for (seed, problem) in problems {
        let which = if args.fulfilments { " --fulfilments" } else { "" };
        println!("seed {seed} FAILS: {problem}\nreplay it with: guerdon simulate{which} --first {seed} --seeds 1");
    }
    if problems.is_empty() {
        println!(
            "{} seeds from {} in {seconds:.1} s: every answer and every row as the model says.",
            args.seeds, args.first
        );
    }
}
