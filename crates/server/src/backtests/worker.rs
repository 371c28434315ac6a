//! Runs backtests, one after the other, on the one node that holds the lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use guerdon_backtest::{Programs, Ran, from_ledger};
use guerdon_core::backtest::Period;
use guerdon_core::time::Timestamp;
use guerdon_store::{Record, RecordChange};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::{Run, Stage, end, find_any, turns};
use crate::AppState;
use crate::problem::Problem;

/// How often is looked for something to run, and how often progress is written down.
const EVERY: Duration = Duration::from_secs(1);
/// The lease of the node that does it.
const LEASE: &str = "job backtests";
/// Runs that come to no end before a backtest has failed.
const TRIES: u32 = 3;

/// Runs backtests until `stop` says true. What was cut off is begun anew, by this node or another.
pub async fn backtest_worker(state: AppState, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(problem) = run_next(&state).await {
            tracing::warn!(problem.detail, "a backtest could not be run; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

async fn lease(state: &AppState) -> bool {
    state.engine.run(|store| store.lease(LEASE)).await.unwrap_or(false)
}

/// Runs what was asked for first, if there is something and no other node does.
async fn run_next(state: &AppState) -> Result<(), Problem> {
    let mut asked: Vec<(Timestamp, Record)> = Vec::new();
    for turn in turns(state).await? {
        asked.push((turn.read()?, turn));
    }
    asked.sort_by_key(|(at, _)| *at);
    let Some((_, turn)) = asked.into_iter().next() else { return Ok(()) };
    if !lease(state).await {
        return Ok(());
    }
    match find_any(state, &turn.id).await? {
        Some((record, run)) if run.stage.is_open() => go_through(state, record, run).await,
        // Its time is over.
        _ => Ok(state.engine.write_records(vec![RecordChange::Delete(turn)], Vec::new()).await?),
    }
}

async fn go_through(state: &AppState, record: Record, mut run: Run) -> Result<(), Problem> {
    let id = record.id.clone();
    if run.tries >= TRIES {
        let trouble = Some(format!("it was cut off {TRIES} times"));
        return Ok(end(state, record, Run { stage: Stage::Failed, trouble, ..run }, Vec::new()).await?);
    }
    run.tries += 1;
    (run.stage, run.done, run.total) = (Stage::Running, 0, state.reader.count_activities().await?);
    state.engine.write_records(vec![RecordChange::Put(record.with(&run)?)], Vec::new()).await?;
    let (result, trouble) = match decide(state, &id, &run).await {
        Ok(Ran::Done(result)) => (Some(result), None),
        // It was cancelled, or is another node's by now.
        Ok(Ran::Stopped) => return Ok(()),
        Err(trouble) if run.tries < TRIES => {
            tracing::warn!(trouble, "a backtest was cut off; it is begun anew");
            return Ok(());
        }
        Err(trouble) => (None, Some(trouble)),
    };
    let Some((record, run)) = find_any(state, &id).await?.filter(|(_, run)| run.stage.is_open()) else {
        return Ok(());
    };
    let stage = if result.is_some() { Stage::Done } else { Stage::Failed };
    let done = result.as_ref().map_or(run.done, |result| result.activities);
    Ok(end(state, record, Run { stage, done, total: run.total.max(done), result, trouble, ..run }, Vec::new()).await?)
}

/// Ends the threads that decide when whoever waits for them is gone.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets both sides decide everything that was recorded, each on a thread of its own, beside the one that reads.
async fn decide(state: &AppState, id: &str, run: &Run) -> Result<Ran, String> {
    let (done, stop) = (Arc::new(AtomicU64::new(0)), StopOnDrop(Arc::default()));
    let mut thread = tokio::task::spawn_blocking({
        let (runtime, reader, program, now) =
            (Handle::current(), state.reader.clone(), state.program(), state.engine.now());
        let (changes, from, until) = (run.changes.clone(), run.from, run.until);
        let (done, stop) = (Arc::clone(&done), Arc::clone(&stop.0));
        move || {
            let programs = Programs::with_changes(program.documents(), &changes, now)?;
            let period =
                Period { from: from.unwrap_or(Timestamp::ZERO), until: until.unwrap_or_else(|| now.plus_millis(1)) };
            let watch = |count| {
                done.store(count, Ordering::Relaxed);
                !stop.load(Ordering::Relaxed)
            };
            guerdon_backtest::run(&programs, period, &watch, |feed| runtime.block_on(from_ledger(&reader, feed)))
        }
    });
    loop {
        tokio::select! {
            ended = &mut thread => {
                return ended.map_err(|error| error.to_string())?.map_err(|error| format!("{error:#}"));
            }
            () = tokio::time::sleep(EVERY) => match note(state, id, done.load(Ordering::Relaxed)).await {
                Ok(true) => {}
                Ok(false) => stop.0.store(true, Ordering::Relaxed),
                // Tried again in a second.
                Err(problem) => {
                    tracing::warn!(problem.detail, "the progress of a backtest could not be written down");
                }
            },
        }
    }
}

/// Writes progress down, and stays the node that does it. False: there is nothing to go on with.
async fn note(state: &AppState, id: &str, done: u64) -> Result<bool, Problem> {
    if !lease(state).await {
        return Ok(false);
    }
    let Some((record, mut run)) = find_any(state, id).await?.filter(|(_, run)| run.stage.is_open()) else {
        return Ok(false);
    };
    run.done = done;
    state.engine.write_records(vec![RecordChange::Put(record.with(&run)?)], Vec::new()).await?;
    Ok(true)
}
