//! Whether the writers of a node reach the database: while they do not, a new command is refused at once instead of waiting
//! behind those that are in doubt. One command or job a moment is let through, to see whether it is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::StoreError;

/// How long after a failure nothing is tried.
const PAUSE: Duration = Duration::from_secs(1);
/// How long after the start of a try no other is made: a host that swallows everything takes so long to be given up.
const TRY_TIME: Duration = Duration::from_secs(6);
/// Failures in a row after which the database is taken to be away: a connection that breaks once is opened anew.
const FAILURES: u32 = 2;

/// What refused callers are told.
pub(crate) const AWAY: &str =
    "the database cannot be reached; nothing was written, repeat in a second with the same idempotency key";

/// Shared by the writers of a node and their callers.
#[derive(Debug, Default)]
pub(crate) struct Circuit {
    /// Whether there is anything to look at below: the one thing that is read while all is well.
    broken: AtomicBool,
    trouble: Mutex<Option<Trouble>>,
}

#[derive(Debug, Clone, Copy)]
struct Trouble {
    since: Instant,
    failures: u32,
    /// When something may be tried again.
    next: Instant,
}

impl Circuit {
    /// Whether a new command is to be refused. Where a try is due the caller is the one who makes it.
    pub(crate) fn refuses(&self) -> bool {
        if !self.broken.load(Ordering::Relaxed) {
            return false;
        }
        let now = Instant::now();
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble.as_mut() {
            Some(trouble) if trouble.failures >= FAILURES => {
                let waits = now < trouble.next;
                if !waits {
                    trouble.next = now + TRY_TIME;
                }
                waits
            }
            _ => false,
        }
    }

    /// A try begins: nobody else makes one meanwhile.
    pub(crate) fn trying(&self) {
        if self.broken.load(Ordering::Relaxed)
            && let Some(trouble) = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
        {
            trouble.next = Instant::now() + TRY_TIME;
        }
    }

    /// Takes in what a try came to. Returns for how long the database has been away by now.
    pub(crate) fn note<T>(&self, result: &Result<T, StoreError>) -> Duration {
        match result {
            Err(StoreError::Disconnected(_)) => self.failed(1),
            // That nothing can be written is said by the database itself, and needs no second try.
            Err(StoreError::Unavailable(_)) => self.failed(FAILURES),
            _ => {
                self.held();
                Duration::ZERO
            }
        }
    }

    fn failed(&self, failures: u32) -> Duration {
        let now = Instant::now();
        let mut kept = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = kept.get_or_insert(Trouble { since: now, failures: 0, next: now });
        let before = trouble.failures;
        trouble.failures = before.saturating_add(failures);
        trouble.next = now + PAUSE;
        let since = trouble.since;
        self.broken.store(true, Ordering::Relaxed);
        drop(kept);
        if before < FAILURES && before.saturating_add(failures) >= FAILURES {
            tracing::error!("the database cannot be written: new commands are refused until it can");
        }
        now.saturating_duration_since(since)
    }

    fn held(&self) {
        if !self.broken.load(Ordering::Relaxed) {
            return;
        }
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.broken.store(false, Ordering::Relaxed);
        if let Some(trouble) = trouble.filter(|trouble| trouble.failures >= FAILURES) {
            tracing::info!(seconds = trouble.since.elapsed().as_secs(), "the database can be written again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> Result<(), StoreError> {
        Err(StoreError::Disconnected("gone".to_owned()))
    }

    /// Lets the next try be due.
    fn wait(circuit: &Circuit) {
        circuit.trouble.lock().unwrap().as_mut().unwrap().next = Instant::now();
    }

    #[test]
    fn a_connection_that_breaks_once_refuses_nobody() {
        let circuit = Circuit::default();
        assert!(!circuit.refuses());
        circuit.note(&lost());
        assert!(!circuit.refuses(), "it may be the connection alone");
        circuit.note(&Ok(()));
        circuit.note(&lost());
        assert!(!circuit.refuses(), "failures count in a row");
    }

    #[test]
    fn while_the_database_is_away_one_tries_and_the_others_are_refused() {
        let circuit = Circuit::default();
        circuit.note(&lost());
        circuit.note(&lost());
        assert!(circuit.refuses() && circuit.refuses());
        wait(&circuit);
        assert!(!circuit.refuses(), "this one tries");
        assert!(circuit.refuses(), "the others do not wait for it");
        circuit.note(&lost());
        assert!(circuit.refuses());
        wait(&circuit);
        circuit.trying();
        assert!(circuit.refuses(), "a writer tries already");
        circuit.note(&Ok(()));
        assert!(!circuit.refuses());
    }

    #[test]
    fn a_refusal_or_a_defect_is_no_sign_that_the_database_is_away() {
        let circuit = Circuit::default();
        circuit.note(&Err::<(), _>(StoreError::Unavailable("the disk is full".to_owned())));
        assert!(circuit.refuses());
        for answered in [StoreError::Conflict, StoreError::Rejected("a row".to_owned())] {
            circuit.note(&Err::<(), _>(answered));
            assert!(!circuit.refuses(), "whoever answers is there");
            circuit.note(&lost());
            circuit.note(&lost());
        }
    }
}
