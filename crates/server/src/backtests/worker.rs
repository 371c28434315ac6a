//! Runs backtests, one after the other, on the one node that holds the lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use guerdon_backtest::{Programs, Ran, from_ledger};
use guerdon_core::backtest::Period;
use guerdon_core::time::Timestamp;
use guerdon_store::{LEASE_TIME, Record, RecordChange};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::{Run, Stage, end, find_any, turns};
use crate::AppState;
use crate::problem::Problem;

/// How often is looked for something to run, and how often progress is written down.
const EVERY: Duration = Duration::from_secs(1);
/// The lease of the node that does it.
const LEASE: &str = "job backtests";
/// Runs that come to no end before a backtest has failed. One that a node leaves in order does not count.
const TRIES: u32 = 3;

/// Runs backtests until `stop` says true. What was cut off is begun anew, by this node or another.
pub async fn backtest_worker(state: AppState, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(problem) = run_next(&state, &mut stop).await {
            tracing::warn!(problem.detail, "a backtest could not be run; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Takes or renews the lease. False: another node has it.
async fn lease(state: &AppState) -> Result<bool, Problem> {
    Ok(state.engine.run(|store| store.lease(LEASE)).await?)
}

/// What an answer about the lease means for a run, when it was this node's for certain `unsure` ago: where there was none,
/// it is asked for again, until another node may have taken it.
fn still_held(answer: Result<bool, Problem>, unsure: Duration) -> Result<bool, Problem> {
    match answer {
        Err(problem) if unsure >= LEASE_TIME => {
            tracing::warn!(problem.detail, "another node may have the lease of backtests by now; this one stops");
            Ok(false)
        }
        answer => answer,
    }
}

/// Waits until this node is to stop.
async fn stopping(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a signal to stop as well.
    drop(stop.wait_for(|stop| *stop).await);
}

/// Runs what was asked for first, if there is something and no other node does.
async fn run_next(state: &AppState, stop: &mut watch::Receiver<bool>) -> Result<(), Problem> {
    let mut asked: Vec<(Timestamp, Record)> = Vec::new();
    for turn in turns(state).await? {
        asked.push((turn.read()?, turn));
    }
    asked.sort_by_key(|(at, _)| *at);
    let Some((_, turn)) = asked.into_iter().next() else { return Ok(()) };
    let held = Instant::now();
    if !lease(state).await? {
        return Ok(());
    }
    match find_any(state, &turn.id).await? {
        Some((record, run)) if run.stage.is_open() => go_through(state, (record, run), held, stop).await,
        // Its time is over.
        _ => Ok(state.engine.write_records(vec![RecordChange::Delete(turn)], Vec::new()).await?),
    }
}

/// Runs a backtest; the lease was this node's at `held`.
async fn go_through(
    state: &AppState,
    (record, mut run): (Record, Run),
    held: Instant,
    stop: &mut watch::Receiver<bool>,
) -> Result<(), Problem> {
    let id = record.id.clone();
    if run.tries >= TRIES {
        let trouble = Some(format!("it was cut off {TRIES} times"));
        return Ok(end(state, record, Run { stage: Stage::Failed, trouble, ..run }, Vec::new()).await?);
    }
    run.tries += 1;
    (run.stage, run.done, run.total) = (Stage::Running, 0, state.reader.count_activities().await?);
    state.engine.write_records(vec![RecordChange::Put(record.with(&run)?)], Vec::new()).await?;
    let (result, trouble) = match decide(state, &id, &run, held, stop).await {
        Ok(Some(Ran::Done(result))) => (Some(result), None),
        // It was cancelled, or is another node's by now.
        Ok(Some(Ran::Stopped)) => return Ok(()),
        Ok(None) => return give_back(state, &id).await,
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

/// Puts a backtest back that this node leaves because it is to stop: nodes that are restarted one after the other use up none
/// of its tries.
async fn give_back(state: &AppState, id: &str) -> Result<(), Problem> {
    // Another node that runs it by now counts its own.
    if !lease(state).await? {
        return Ok(());
    }
    let Some((record, mut run)) = find_any(state, id).await?.filter(|(_, run)| run.stage.is_open()) else {
        return Ok(());
    };
    run.tries = run.tries.saturating_sub(1);
    (run.stage, run.done) = (Stage::Queued, 0);
    Ok(state.engine.write_records(vec![RecordChange::Put(record.with(&run)?)], Vec::new()).await?)
}

/// Ends the threads that decide when whoever waits for them is gone.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets both sides decide everything that was recorded, each on a thread of its own, beside the one that reads. The
/// lease was this node's at `held`. `None`: this node is to stop.
async fn decide(
    state: &AppState,
    id: &str,
    run: &Run,
    mut held: Instant,
    stop: &mut watch::Receiver<bool>,
) -> Result<Option<Ran>, String> {
    let (done, end) = (Arc::new(AtomicU64::new(0)), StopOnDrop(Arc::default()));
    let mut thread = tokio::task::spawn_blocking({
        let (runtime, reader, program, now) =
            (Handle::current(), state.reader.clone(), state.program(), state.engine.now());
        let (changes, from, until) = (run.changes.clone(), run.from, run.until);
        let (done, end) = (Arc::clone(&done), Arc::clone(&end.0));
        move || {
            let programs = Programs::with_changes(program.documents(), &changes, now)?;
            let period =
                Period { from: from.unwrap_or(Timestamp::ZERO), until: until.unwrap_or_else(|| now.plus_millis(1)) };
            let watch = |count| {
                done.store(count, Ordering::Relaxed);
                !end.load(Ordering::Relaxed)
            };
            guerdon_backtest::run(&programs, period, &watch, |feed| runtime.block_on(from_ledger(&reader, feed)))
        }
    });
    loop {
        tokio::select! {
            biased;
            // The threads hear of it as soon as this is gone.
            () = stopping(stop) => return Ok(None),
            ended = &mut thread => {
                let ran = ended.map_err(|error| error.to_string())?.map_err(|error| format!("{error:#}"));
                return ran.map(Some);
            }
            () = tokio::time::sleep(EVERY) => match note(state, id, done.load(Ordering::Relaxed), &mut held).await {
                Ok(true) => {}
                Ok(false) => end.0.store(true, Ordering::Relaxed),
                // Tried again in a second.
                Err(problem) => {
                    tracing::warn!(problem.detail, "the progress of a backtest could not be written down");
                }
            },
        }
    }
}

/// Stays the node that does it, which it was for certain at `held`, and writes progress down. False: there is nothing to go
/// on with. An error: it is to be tried again.
async fn note(state: &AppState, id: &str, done: u64, held: &mut Instant) -> Result<bool, Problem> {
    let asked = Instant::now();
    if !still_held(lease(state).await, held.elapsed())? {
        return Ok(false);
    }
    *held = asked;
    let Some((record, mut run)) = find_any(state, id).await?.filter(|(_, run)| run.stage.is_open()) else {
        return Ok(false);
    };
    run.done = done;
    state.engine.write_records(vec![RecordChange::Put(record.with(&run)?)], Vec::new()).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};

    use super::super::{BACKTEST, TURN};
    use super::*;
    use crate::identity::testing::{scratch, state};
    use crate::messages::Post;

    #[test]
    fn a_store_that_does_not_answer_ends_no_run_before_another_node_may_have_it() {
        let silent = || Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "no connection"));
        let told = |answer, unsure| still_held(answer, unsure).map_err(|problem| problem.code);
        let (soon, late) = (LEASE_TIME / 2, LEASE_TIME);
        assert_eq!((told(Ok(true), soon), told(Ok(true), late)), (Ok(true), Ok(true)));
        assert_eq!((told(Ok(false), soon), told(Ok(false), late)), (Ok(false), Ok(false)));
        assert_eq!((told(silent(), soon), told(silent(), late)), (Err("unavailable".to_owned()), Ok(false)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nodes_that_stop_in_order_use_up_no_try() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        let asked = Run {
            draft: "drf_1".to_owned(),
            draft_version: 1,
            changes: Vec::new(),
            from: None,
            until: None,
            stage: Stage::Queued,
            requested_by: "key_1".to_owned(),
            requested_at: state.clock(),
            ended_at: None,
            done: 0,
            total: 0,
            tries: 0,
            trouble: None,
            result: None,
        };
        let record = Record::new(BACKTEST, "bkt_1", "drf_1", &asked).unwrap();
        let turn = Record::new(TURN, "bkt_1", "", &asked.requested_at).unwrap();
        let changes = vec![RecordChange::Put(record), RecordChange::Put(turn)];
        state.engine.write_records(changes, Vec::new()).await.unwrap();
        let found = async || find_any(&state, "bkt_1").await.unwrap().unwrap().1;

        let (node, mut stop) = watch::channel(true);
        for _ in 0..=TRIES {
            run_next(&state, &mut stop).await.unwrap();
            let run = found().await;
            assert_eq!((run.stage, run.tries), (Stage::Queued, 0));
        }
        node.send_replace(false);
        run_next(&state, &mut stop).await.unwrap();
        let run = found().await;
        assert_eq!((run.stage, run.tries, run.result.is_some()), (Stage::Done, 1, true), "{:?}", run.trouble);
    }
}
