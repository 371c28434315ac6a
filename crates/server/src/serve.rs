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
use crate::degraded::watch_database;
use crate::edge::{self, Edge};
use crate::events::events_worker;
use crate::fulfilment::fulfilment_worker;
use crate::groups::group_worker;
use crate::imports::import_worker;
use crate::order_ends::order_worker;
use crate::payments::payment_worker;
use crate::pictures::picture_worker;
use crate::privacy::{erasure, retention};
use crate::scarcity::scarcity_worker;
use crate::sequencer::sequencer;

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
/// How long the worker of backtests may take after that to give back the try of the one that it leaves, and that of scarce
/// rewards to write down what it gathered.
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
    let engine = state.engine.clone();
    let database = tokio::spawn(watch_database(state.clone(), stop.clone()));
    let importer = tokio::spawn(import_worker(state.clone(), stop.clone()));
    let events = tokio::spawn(events_worker(state.clone(), stop.clone()));
    let birthdays = tokio::spawn(birthday_worker(state.clone(), stop.clone()));
    let orders = tokio::spawn(order_worker(state.clone(), stop.clone()));
    let payments = tokio::spawn(payment_worker(state.clone(), stop.clone()));
    let groups = tokio::spawn(group_worker(state.clone(), stop.clone()));
    let pictures = tokio::spawn(picture_worker(state.clone(), stop.clone()));
    let fulfilment = tokio::spawn(fulfilment_worker(state.clone(), stop.clone()));
    let mut scarcity = tokio::spawn(scarcity_worker(state.clone(), stop.clone()));
    let mut backtests = tokio::spawn(backtest_worker(state.clone(), stop.clone()));
    let privacy = tokio::spawn(privacy_worker(state, stop.clone()));
    let sequencer = log_key.map(|key| tokio::spawn(sequencer(engine.clone(), key, stop.clone())));
    let sweeper = tokio::spawn(sweep_worker(engine.clone(), stop.clone()));
    let worker = tokio::spawn(tick_worker(engine, stop.clone()));
    let mut asked = stop.clone();
    tokio::select! {
        () = edge::accept(listener, app, Arc::new(edge), stop) => {}
        // An error means that the sender is gone, which is a signal to stop as well.
        () = async { drop(asked.wait_for(|stop| *stop).await); tokio::time::sleep(DRAIN_TIME).await } => {}
    }
    if tokio::time::timeout(LEAVE_TIME, &mut backtests).await.is_err() {
        backtests.abort();
    }
    if tokio::time::timeout(LEAVE_TIME, &mut scarcity).await.is_err() {
        scarcity.abort();
    }
    database.abort();
    worker.abort();
    sweeper.abort();
    events.abort();
    birthdays.abort();
    orders.abort();
    payments.abort();
    groups.abort();
    pictures.abort();
    fulfilment.abort();
    privacy.abort();
    importer.abort();
    sequencer.inspect(tokio::task::JoinHandle::abort);
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
