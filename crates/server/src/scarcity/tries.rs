//! Orders that found nothing left, on their way into records: gathered in memory and written once a second, so that a flash sale
//! that is over costs no writes for each of those who come too late.

use std::sync::{Mutex, PoisonError};

use guerdon_core::id::MemberId;
use guerdon_core::rewards::PrivateWindow;
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, EngineHandle, RefusedTry};

/// Tries that wait at the most; what comes beyond that is not counted.
const WAITING: usize = 20_000;
/// Tries written at once.
const SLICE: usize = 500;

/// Orders that found nothing left and are not written yet.
#[derive(Default)]
pub(super) struct Refused {
    waiting: Mutex<Vec<RefusedTry>>,
}

impl Refused {
    /// Notes one.
    pub(super) fn note(&self, member: MemberId, reward_id: &str, at: Timestamp, window: &PrivateWindow) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING {
            waiting.push(RefusedTry { member, reward_id: reward_id.to_owned(), at, window: window.clone() });
        } else {
            metrics::counter!("guerdon_tries_dropped_total").increment(1);
        }
    }

    fn take(&self) -> Vec<RefusedTry> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(SLICE);
        waiting.drain(..count).collect()
    }

    fn give_back(&self, tries: Vec<RefusedTry>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let later = std::mem::replace(&mut *waiting, tries);
        waiting.extend(later);
        waiting.truncate(WAITING);
    }

    /// Writes what waits; what cannot be written now waits on.
    pub(super) async fn write(&self, engine: &EngineHandle) -> Result<(), CommandError> {
        loop {
            let tries = self.take();
            if tries.is_empty() {
                return Ok(());
            }
            match engine.remember_tries(tries.clone()).await {
                Ok(()) => {}
                Err(error) => {
                    self.give_back(tries);
                    return if matches!(error, CommandError::Conflict) { Ok(()) } else { Err(error) };
                }
            }
        }
    }
}
