//! Looks whether the database is there, twice a second, and for stock to remember where nobody else reads it.

use std::time::Duration;

use tokio::sync::watch;

use crate::AppState;

/// How often is looked, unless a read has failed.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How old the stock may be that is remembered, in milliseconds, where nobody reads the catalogue.
const STOCK_MS: i64 = 60_000;

/// Looks until told to stop.
pub async fn watch_database(state: AppState, mut stop: watch::Receiver<bool>) {
    let mut probe = state.reader.probe();
    loop {
        let answered = probe.ask().await;
        let now = state.clock();
        state.degraded.found(answered.as_ref().err(), now);
        if answered.is_ok() {
            remember_stock(&state).await;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = woken(&state) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Waits until a read has failed; a moment passes between two looks all the same.
async fn woken(state: &AppState) {
    tokio::time::sleep(LOOK_EVERY / 10).await;
    state.degraded.look.notified().await;
}

async fn remember_stock(state: &AppState) {
    let as_of = state.degraded.last_stock_at();
    if as_of.is_some_and(|at| at.plus_millis(STOCK_MS) > state.clock()) {
        return;
    }
    if let Err(error) = state.degraded.stock(state).await {
        tracing::debug!(%error, "stock was not read for the time when the database is away");
    }
}
