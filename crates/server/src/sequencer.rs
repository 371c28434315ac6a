//! The background worker that takes committed transactions into the transparency log.

use std::sync::Arc;
use std::time::Duration;

use guerdon_core::proofs::SigningKey;
use guerdon_store::{EngineHandle, Sequenced, sequence};
use tokio::sync::watch;

/// How often the outbox is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// How long to wait after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Sequences until `stop` says true.
pub async fn sequencer(engine: EngineHandle, key: Arc<SigningKey>, mut stop: watch::Receiver<bool>) {
    loop {
        let own = Arc::clone(&key);
        let wait = match engine.run(move |store| sequence(store, &own)).await {
            Ok(Sequenced { leaves, more }) => {
                metrics::counter!("guerdon_log_leaves_total").increment(leaves as u64);
                if more { Duration::ZERO } else { EVERY }
            }
            Err(error) => {
                tracing::error!(%error, "transactions wait for the log");
                metrics::counter!("guerdon_log_failures_total").increment(1);
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
