//! Sends prepared commands through the engine in order, several batches ahead, and keeps the report.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Command, Footprint, Refusal};
use guerdon_core::members::{MemberRef, RefKind};
use guerdon_core::privacy::Keyring;
use guerdon_store::{CommandError, EngineHandle, Outcome};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::pipeline::Pipeline;

/// Commands sent as one job, and jobs on their way at once.
const JOB_COMMANDS: usize = 512;
const JOBS_AHEAD: usize = 4;
/// References looked up at once.
const LOOK_UPS: usize = 10_000;

const AGAIN: &str = "What was accepted before is safe; run the same import again to go on";

/// A row that was refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RowProblem {
    /// Its number in the file; 1 is the first line, also when that is a header.
    pub row: u64,
    /// The stable code of the refusal.
    pub code: String,
    /// What was wrong.
    pub reason: String,
}

/// One command on its way, or what was wrong with it before it was sent.
pub struct Step {
    /// The row that it comes from; `None`: it is no row's.
    pub row: Option<u64>,
    /// What it is about, for the counts of the report: `enrol`, `purchase`, `return`, `redeem`.
    pub what: &'static str,
    /// The command.
    pub command: Result<Command, Refusal>,
}

/// What became of a run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Newly accepted, by what it was about.
    pub accepted: BTreeMap<&'static str, u64>,
    /// Found there already by the idempotency key.
    pub already_there: BTreeMap<&'static str, u64>,
    /// Refused, by what it was about and the code.
    pub refused: BTreeMap<String, u64>,
    /// Refused rows.
    pub problems: Vec<RowProblem>,
}

impl Report {
    fn add(&mut self, row: Option<u64>, what: &'static str, outcome: Outcome) -> Result<()> {
        match outcome {
            Ok(reply) if reply.replayed => *self.already_there.entry(what).or_default() += 1,
            Ok(_) => *self.accepted.entry(what).or_default() += 1,
            Err(CommandError::Refused(refusal)) => {
                *self.refused.entry(format!("{what}: {}", refusal.code.name())).or_default() += 1;
                if let Some(row) = row {
                    let code = refusal.code.name().to_owned();
                    self.problems.push(RowProblem { row, code, reason: refusal.message });
                }
            }
            Err(error) => {
                bail!("stopped: {error}. {AGAIN}")
            }
        }
        Ok(())
    }
}

/// Sends the steps in order and reports. `progress` hears how many are done, and says whether to go on.
pub fn run(engine: &EngineHandle, steps: impl Iterator<Item = Step>, progress: &dyn Fn(u64) -> bool) -> Result<Report> {
    let mut report = Report::default();
    let mut pipeline = Pipeline::new(engine);
    let (mut labels, mut commands) = (Vec::new(), Vec::new());
    let mut done = 0;
    let mut hear = |report: &mut Report, labels: Vec<(Option<u64>, &'static str)>, outcomes: Vec<Outcome>| {
        done += outcomes.len() as u64;
        if !progress(done) {
            bail!("stopped when asked to. {AGAIN}");
        }
        labels.into_iter().zip(outcomes).try_for_each(|((row, what), outcome)| report.add(row, what, outcome))
    };
    for step in steps {
        match step.command {
            Ok(command) => {
                labels.push((step.row, step.what));
                commands.push(command);
            }
            Err(refusal) => report.add(step.row, step.what, Err(CommandError::Refused(refusal)))?,
        }
        if commands.len() == JOB_COMMANDS {
            pipeline.send(std::mem::take(&mut labels), std::mem::take(&mut commands));
            pipeline.settle(JOBS_AHEAD, |labels, outcomes| hear(&mut report, labels, outcomes))?;
        }
    }
    pipeline.send(labels, commands);
    pipeline.settle(0, |labels, outcomes| hear(&mut report, labels, outcomes))?;
    report.problems.sort_by_key(|problem| problem.row);
    Ok(report)
}

/// From the numbers in the file to members, known or to be enrolled.
#[derive(Default)]
pub struct MemberDirectory {
    known: FxHashMap<String, MemberId>,
}

impl MemberDirectory {
    /// Looks up all numbers, in slices between the engine's batches.
    pub fn load<'a>(engine: &EngineHandle, keyring: &Keyring, numbers: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut numbers_of: FxHashMap<MemberRef, &str> = FxHashMap::default();
        for number in numbers {
            numbers_of.insert(keyring.reference(RefKind::ExternalId, number), number);
        }
        let references: Vec<MemberRef> = numbers_of.keys().cloned().collect();
        let mut known = FxHashMap::default();
        for slice in references.chunks(LOOK_UPS) {
            let footprint = Footprint { references: slice.to_vec(), ..Footprint::default() };
            let loaded = engine.run_blocking(move |store| store.prefetch(&footprint))?;
            let found = loaded.references.iter();
            known.extend(found.filter_map(|(reference, id)| Some(((*numbers_of.get(reference)?).to_owned(), *id))));
        }
        Ok(Self { known })
    }

    /// The member of a number.
    pub fn get(&self, number: &str) -> Option<MemberId> {
        self.known.get(number).copied()
    }

    /// Notes a member that is about to be enrolled.
    pub fn insert(&mut self, number: &str, id: MemberId) {
        self.known.insert(number.to_owned(), id);
    }
}
