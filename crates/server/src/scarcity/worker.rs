//! What happens to scarce rewards by itself: units come in, presales are found out, refusals are written down.

use std::time::Duration;

use tokio::sync::watch;

use crate::AppState;
use crate::problem::Problem;

/// How often.
const EVERY: Duration = Duration::from_secs(1);
/// How long to wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// The lease of the node that finds out presales.
const LEASE: &str = "job presale";

/// Sees to scarce rewards until `stop` says true.
pub async fn scarcity_worker(state: AppState, mut stop: watch::Receiver<bool>) {
    loop {
        let wait = match round(&state).await {
            Ok(()) => EVERY,
            Err(problem) => {
                tracing::warn!(problem.detail, "what is due on scarce rewards could not be done; trying again");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    if let Err(error) = state.catalogue.scarce.refused.write(&state.engine).await {
        tracing::warn!(%error, "orders that found nothing left could not be written down");
    }
    if let Err(error) = state.catalogue.missed.write(&state, true).await {
        tracing::warn!(%error, "searches that found nothing could not be written down");
    }
}

async fn round(state: &AppState) -> Result<(), Problem> {
    let now = state.engine.now();
    state.catalogue.scarce.refused.write(&state.engine).await?;
    state.catalogue.missed.write(state, false).await?;
    let restocked = state.engine.restock(now).await?;
    if restocked > 0 {
        tracing::info!(restocked, "units came into stock as rewards say");
    }
    let program = state.program();
    if !program.offered().any(|offered| offered.presale().is_some()) {
        state.catalogue.scarce.set_thresholds(Default::default());
        return Ok(());
    }
    let mut found = state.reader.presales().await?;
    for offered in program.offered() {
        let Some(presale) = offered.presale() else { continue };
        let is_known = found.iter().any(|one| one.reward_id == offered.reward.id && one.opens_at == presale.to);
        let is_due = presale.from <= now && now < presale.to;
        if !is_known && is_due && state.engine.run(|store| store.lease(LEASE)).await? {
            found.extend(state.engine.find_presale(&state.reader, offered, now).await?);
        }
    }
    let thresholds = guerdon_store::thresholds(&found, program.offered().map(|offered| &**offered));
    state.catalogue.scarce.set_thresholds(thresholds);
    Ok(())
}
