//! Serves the application until told to stop, with the workers that let due things happen and clear away
//! what has expired.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use guerdon_core::id::MemberId;
use guerdon_core::proofs::SigningKey;
use guerdon_store::{CommandError, EngineHandle};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::AppState;
use crate::backtests::backtest_worker;
use crate::birthdays::birthday_worker;
use crate::edge::{self, Edge};
use crate::events::events_worker;
use crate::events::letters::letter_worker;
use crate::fulfilment::fulfilment_worker;
use crate::groups::group_worker;
use crate::imports::import_worker;
use crate::order_ends::order_worker;
use crate::payments::payment_worker;
use crate::pictures::picture_worker;
use crate::privacy::{erasure, retention};
use crate::scarcity::scarcity_worker;
use crate::sequencer::sequencer;
use crate::workers::Workers;

/// How often accounts are asked for what is due.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// Accounts ticked at once.
const TICK_ACCOUNTS: usize = 1_024;
/// How often expired records are deleted, and how many at once.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const SWEEP_RECORDS: usize = 1_000;
/// How often is looked who is to be erased.
const PRIVACY_EVERY: Duration = Duration::from_secs(60);
/// The lease of the node that does it.
const PRIVACY_LEASE: &str = "job privacy";
/// How long open requests may take after the signal to stop.
const DRAIN_TIME: Duration = Duration::from_secs(10);
/// How long workers may take after that to end in order: that of backtests gives back the try of the one that it leaves, that
/// of scarce rewards writes down what it gathered.
const LEAVE_TIME: Duration = Duration::from_secs(2);

/// Serves until `stop` says true, then lets open requests end. A node that holds the key of the log sequences.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    edge: Edge,
    state: AppState,
    log_key: Option<SigningKey>,
    stop: watch::Receiver<bool>,
) {
    let mut workers = start(&state, log_key, &stop);
    let mut asked = stop.clone();
    tokio::select! {
        () = edge::accept(listener, app, Arc::new(edge), stop) => {}
        // An error means that the sender is gone, which is a signal to stop as well.
        () = async { drop(asked.wait_for(|stop| *stop).await); tokio::time::sleep(DRAIN_TIME).await } => {}
    }
    workers.end(LEAVE_TIME).await;
}

fn start(state: &AppState, log_key: Option<SigningKey>, stop: &watch::Receiver<bool>) -> Workers {
    let mut workers = Workers::new(stop.clone());
    workers.start("imports", state, import_worker);
    workers.start("events", state, events_worker);
    workers.start("letters", state, letter_worker);
    workers.start("birthdays", state, birthday_worker);
    workers.start("order ends", state, order_worker);
    workers.start("payments", state, payment_worker);
    workers.start("groups", state, group_worker);
    workers.start("pictures", state, picture_worker);
    workers.start("fulfilment", state, fulfilment_worker);
    workers.start("scarcity", state, scarcity_worker);
    workers.start("backtests", state, backtest_worker);
    workers.start("privacy", state, privacy_worker);
    workers.start("sweep", &state.engine, sweep_worker);
    workers.start("tick", &state.engine, tick_worker);
    if let Some(key) = log_key {
        let shared = (state.engine.clone(), Arc::new(key));
        workers.start("sequencer", &shared, |(engine, key), stop| sequencer(engine, key, stop));
    }
    workers
}

async fn tick_worker(engine: EngineHandle, mut stop: watch::Receiver<bool>) {
    loop {
        let wait = match tick_and_plan(&engine).await {
            Ok(true) => Duration::ZERO,
            Ok(false) => TICK_EVERY,
            Err(error) => {
                tracing::warn!(%error, "what is due could not be done; trying again");
                TICK_EVERY * 5
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Lets happen what is due, and plans accounts anew after a publication. True: there is more to do at once.
async fn tick_and_plan(engine: &EngineHandle) -> Result<bool, CommandError> {
    let ticked = engine.tick(engine.now(), TICK_ACCOUNTS).await?;
    let planned = engine.plan_anew(engine.now(), TICK_ACCOUNTS).await?;
    Ok(ticked == TICK_ACCOUNTS || planned == TICK_ACCOUNTS)
}

/// Deletes expired records: sessions, codes and whatever else has an end.
async fn sweep_worker(engine: EngineHandle, mut stop: watch::Receiver<bool>) {
    loop {
        let wait = match engine.sweep_records(SWEEP_RECORDS).await {
            Ok(SWEEP_RECORDS) => Duration::ZERO,
            Ok(_) => SWEEP_EVERY,
            Err(error) => {
                tracing::warn!(%error, "expired records could not be deleted; trying again");
                SWEEP_EVERY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Carries out erasures that are due, and puts members down for erasure whose time of retention is over.
async fn privacy_worker(state: AppState, mut stop: watch::Receiver<bool>) {
    let mut after = None;
    loop {
        if state.engine.run(|store| store.lease(PRIVACY_LEASE)).await.unwrap_or(false) {
            after = see_to_privacy(&state, after).await;
        }
        tokio::select! {
            () = tokio::time::sleep(PRIVACY_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// One round; goes on behind `after`, and returns from where the next one goes on.
async fn see_to_privacy(state: &AppState, after: Option<MemberId>) -> Option<MemberId> {
    match erasure::carry_out_due(state).await {
        Ok(0) => {}
        Ok(erased) => tracing::info!(erased, "members were erased"),
        Err(problem) => tracing::warn!(problem.detail, "erasures that are due could not be carried out"),
    }
    match retention::put_down(state, after).await {
        Ok((_, last)) => last,
        Err(problem) => {
            tracing::warn!(problem.detail, "retention could not be looked at");
            after
        }
    }
}
