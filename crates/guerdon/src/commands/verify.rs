//! `guerdon verify`: recomputes every balance from the journal.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use guerdon_core::ledger::VerifyReport;
use guerdon_store::verify;

use crate::cli::DataArgs;
use crate::progress::grouped;

/// Arguments of `verify`.
#[derive(Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// Verifies, beside a running server or not. Exit code 3 when a row is wrong.
pub fn run(args: &VerifyArgs) -> Result<ExitCode> {
    let mut store = args.data.open_read_only()?;
    let report = verify(&mut store)?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(if report.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// Prints a report for people.
pub fn print(report: &VerifyReport) {
    let count = |number: u64| grouped(i64::try_from(number).unwrap_or(i64::MAX));
    println!(
        "Verified {} transactions with {} transfers, {} accounts, {} orders, {} stocks, {} audit entries; the transparency \
         log holds {} and {} are on their way into it.",
        count(report.transactions),
        count(report.transfers),
        count(report.accounts),
        count(report.orders),
        count(report.stocks),
        count(report.audit_entries),
        count(report.log_leaves),
        count(report.waiting_for_log)
    );
    if report.wrong == 0 {
        println!("Every balance follows from its transfers; all invariants hold.");
        return;
    }
    println!("{} rows are WRONG; the first:", count(report.wrong));
    for finding in &report.findings {
        println!("  {}: {}", finding.row, finding.problem);
    }
}
