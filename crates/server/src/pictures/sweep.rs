//! Pictures that no reward names are marked, and deleted when they stay so.

use std::time::Duration;

use guerdon_store::{CommandError, Record, RecordChange, StoredPicture, named_pictures};
use tokio::sync::watch;

use super::render::WIDTHS;
use super::{FILE, PAGE, list};
use crate::AppState;
use crate::identity::actor::Actor;
use crate::problem::Problem;

/// How long a picture is kept that nothing names, in milliseconds (30 days).
pub const UNNAMED_MS: i64 = 30 * 86_400_000;
/// How often is looked.
const EVERY: Duration = Duration::from_secs(3_600);
/// The lease of the node that does it.
const LEASE: &str = "job pictures";

/// Sweeps until `stop` says true.
pub async fn picture_worker(state: AppState, mut stop: watch::Receiver<bool>) {
    loop {
        if state.engine.run(|store| store.lease(LEASE)).await.unwrap_or(false) {
            match sweep(&state).await {
                Ok(0) => {}
                Ok(swept) => tracing::info!(swept, "pictures that nothing names were deleted"),
                Err(problem) => tracing::warn!(problem.detail, "pictures could not be swept"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Looks at all pictures once. Returns how many were deleted.
async fn sweep(state: &AppState) -> Result<usize, Problem> {
    let (mut after, mut swept) = (None, 0);
    loop {
        let page = list(state, after, PAGE).await?;
        after = page.last().map(|(record, _)| record.id.clone()).filter(|_| page.len() as i64 == PAGE);
        // Read after the pictures: what was published meanwhile is seen, or has changed them, so that the write fails.
        let named = named_pictures(state.program().documents(), state.engine.now());
        for (record, picture) in page {
            let is_named = named.contains_key(&record.id);
            swept += usize::from(look_at(state, record, picture, is_named).await?);
        }
        if after.is_none() {
            return Ok(swept);
        }
    }
}

/// True: it was deleted.
async fn look_at(
    state: &AppState,
    record: Record,
    mut picture: StoredPicture,
    is_named: bool,
) -> Result<bool, Problem> {
    let now = state.clock();
    let (changes, events) = match picture.unnamed_since {
        Some(_) if is_named => {
            picture.unnamed_since = None;
            (vec![RecordChange::Put(record.with(&picture)?)], Vec::new())
        }
        None if !is_named => {
            picture.unnamed_since = Some(now);
            (vec![RecordChange::Put(record.with(&picture)?)], Vec::new())
        }
        Some(since) if since.plus_millis(UNNAMED_MS) <= now => {
            let event = Actor::system().event(now, "picture.sweep", &format!("picture {}", record.id));
            let mut changes = Vec::with_capacity(1 + WIDTHS.len());
            for width in WIDTHS {
                let file = state.reader.record(FILE, &format!("{}-{width}", record.id), now).await?;
                changes.extend(file.map(RecordChange::Delete));
            }
            changes.push(RecordChange::Delete(record));
            (changes, vec![event])
        }
        _ => return Ok(false),
    };
    let deletes = !events.is_empty();
    match state.engine.write_records(changes, events).await {
        Ok(()) => Ok(deletes),
        // Somebody was faster: the next round sees it.
        Err(CommandError::Conflict) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
