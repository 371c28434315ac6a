//! Sends imports that may be sent, one after the other, on the one node that holds the lease.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use guerdon_import::{Found, Mapping, Report, Source};
use guerdon_store::{Record, RecordChange};
use serde_json::json;
use tokio::sync::watch;

use super::upload::{ROWS, UNFOLDED_BYTES};
use super::{Import, Stage, file, find, list, put, unreadable};
use crate::AppState;
use crate::identity::actor::Actor;
use crate::problem::Problem;

/// How often is looked for something to send, and how often progress is written down.
const EVERY: Duration = Duration::from_secs(1);
/// The lease of the node that does it.
const LEASE: &str = "job imports";
/// Runs that come to no end before an import has failed.
const TRIES: u32 = 10;

/// Sends until `stop` says true. What was cut off is taken up again, by this node or another.
pub async fn import_worker(state: AppState, mut stop: watch::Receiver<bool>) {
    loop {
        if state.engine.run(|store| store.lease(LEASE)).await.unwrap_or(false)
            && let Err(problem) = send_next(&state).await
        {
            tracing::warn!(problem.detail, "an import could not be sent; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Sends the oldest import that may be sent, one that was cut off first.
async fn send_next(state: &AppState) -> Result<(), Problem> {
    for stage in [Stage::Running, Stage::Queued] {
        if let Some((record, import)) = list(state, Some(stage)).await?.pop() {
            return send(state, record, import).await;
        }
    }
    Ok(())
}

async fn send(state: &AppState, record: Record, mut import: Import) -> Result<(), Problem> {
    let id = record.id.clone();
    import.stage = Stage::Running;
    import.tries += 1;
    put(state, record, &import, Vec::new()).await?;
    let outcome = match file::gather(state, &id, import.parts).await {
        Ok(file) => {
            run(state, &id, &import, Source::named(&import.file_name, file).at_most(ROWS, UNFOLDED_BYTES).text_only())
                .await
        }
        Err(problem) => Err(problem.detail),
    };
    match outcome {
        Ok(report) => end(state, &id, Stage::Done, Some(report), None).await,
        Err(trouble) if import.tries >= TRIES => end(state, &id, Stage::Failed, None, Some(trouble)).await,
        Err(trouble) => Err(unreadable(trouble)),
    }
}

/// Ends the thread that sends when whoever waits for it is gone.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn run(state: &AppState, id: &str, import: &Import, source: Source) -> Result<Report, String> {
    let (done, stop) = (Arc::new(AtomicU64::new(0)), StopOnDrop(Arc::default()));
    let mapping = Mapping::parse(&import.mapping).map_err(|error| format!("{error:#}"))?;
    let mut thread = tokio::task::spawn_blocking({
        let (engine, keyring, program) = (state.engine.clone(), state.keys(), state.program());
        let (done, stop) = (Arc::clone(&done), Arc::clone(&stop.0));
        move || {
            let found = Found::read(&program, &mapping, &source, &|_| ())?;
            found.send(&engine, &keyring, &mapping, &|count| {
                done.store(count, Ordering::Relaxed);
                !stop.load(Ordering::Relaxed)
            })
        }
    });
    loop {
        tokio::select! {
            ended = &mut thread => {
                return ended.map_err(|error| error.to_string())?.map_err(|error| format!("{error:#}"));
            }
            () = tokio::time::sleep(EVERY) => note(state, id, done.load(Ordering::Relaxed)).await,
        }
    }
}

/// Writes progress down, and stays the node that does it. What fails here is tried again in a second.
async fn note(state: &AppState, id: &str, done: u64) {
    let written = async {
        state.engine.run(|store| store.lease(LEASE)).await?;
        let (record, mut import) = find(state, id).await?;
        import.done = done;
        put(state, record, &import, Vec::new()).await
    };
    if let Err(problem) = written.await {
        tracing::warn!(problem.detail, "the progress of an import could not be written down");
    }
}

/// Writes down what became of an import, and deletes its file.
async fn end(
    state: &AppState,
    id: &str,
    stage: Stage,
    report: Option<Report>,
    trouble: Option<String>,
) -> Result<(), Problem> {
    let (mut record, mut import) = find(state, id).await?;
    if let Some(report) = report {
        let named =
            |counts: BTreeMap<&str, u64>| counts.into_iter().map(|(what, count)| (what.to_owned(), count)).collect();
        import.done = report.accepted.values().chain(report.already_there.values()).sum();
        import.keep_problems(state, id, &report.problems)?;
        import.counts.accepted = named(report.accepted);
        import.counts.already_there = named(report.already_there);
        import.counts.refused = report.refused;
    }
    let mut changes = file::delete(state, id, std::mem::take(&mut import.parts)).await?;
    (import.stage, import.trouble) = (stage, trouble);
    let mut event = Actor::system().event(state.clock(), &format!("import.{}", stage.name()), id);
    event.after = json!({ "file": import.file_name, "counts": import.counts });
    stage.name().clone_into(&mut record.subject);
    changes.push(RecordChange::Put(record.with(&import)?));
    Ok(state.engine.write_records(changes, vec![event]).await?)
}
