//! The circuit breaker of a supplier: after several failures in a row it is left alone for a while, then tried with one order.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Failures in a row that open it.
const FAILURES: u32 = 5;
/// How long it stays open at first, and at the most, in milliseconds.
const OPEN_MS: i64 = 10_000;
const OPEN_MOST_MS: i64 = 600_000;
/// Characters that are kept of what went wrong.
const WORDS: usize = 200;

/// What is known of how a supplier answers. Closed while nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Failures since the last answer.
    pub failures: u32,
    /// Until when it is open, or was.
    pub open_until: Option<Timestamp>,
    /// How often it opened since the last answer.
    opened: u32,
    /// Until when one order tries it.
    trial_until: Option<Timestamp>,
    /// When it last failed, and how.
    pub last_failure: Option<(Timestamp, String)>,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// It is called.
    Closed,
    /// It is left alone.
    Open,
    /// One order tries it.
    HalfOpen,
}

impl Circuit {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl Breaker {
    /// Where it stands at a moment.
    pub fn circuit(&self, now: Timestamp) -> Circuit {
        match self.open_until {
            None => Circuit::Closed,
            Some(until) if until > now => Circuit::Open,
            Some(_) => Circuit::HalfOpen,
        }
    }

    /// Whether an order may be sent, whose call takes `call_ms` at the most; of those that try a supplier again, one at a time.
    pub fn let_through(&mut self, now: Timestamp, call_ms: i64) -> bool {
        match self.circuit(now) {
            Circuit::Closed => true,
            Circuit::Open => false,
            Circuit::HalfOpen if self.trial_until.is_some_and(|until| until > now) => false,
            Circuit::HalfOpen => {
                self.trial_until = Some(now.plus_millis(2 * call_ms));
                true
            }
        }
    }

    /// Notes a call that was not answered, or not so that it can be believed.
    pub fn failed(&mut self, now: Timestamp, what: &str) {
        self.failures = self.failures.saturating_add(1);
        self.last_failure = Some((now, what.chars().take(WORDS).collect()));
        self.trial_until = None;
        if self.failures >= FAILURES {
            let wait = OPEN_MS.saturating_mul(1_i64.checked_shl(self.opened.min(16)).unwrap_or(1)).min(OPEN_MOST_MS);
            self.opened = self.opened.saturating_add(1);
            self.open_until = Some(now.plus_millis(wait));
        }
    }

    /// Notes an answer: what went wrong before counts no longer.
    pub fn answered(&mut self) {
        *self = Self { last_failure: self.last_failure.take(), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_is_tried_once_and_closes_by_an_answer() {
        let at = |seconds: i64| Timestamp::from_millis(1_000_000_000 + seconds * 1_000);
        let mut breaker = Breaker::default();
        for second in 0..4 {
            breaker.failed(at(second), "timed out");
            assert_eq!(breaker.circuit(at(second)), Circuit::Closed);
        }
        breaker.answered();
        for second in 10..15 {
            assert!(breaker.let_through(at(second), 1_000));
            breaker.failed(at(second), "timed out");
        }
        assert_eq!(breaker.circuit(at(14)), Circuit::Open);
        assert!(!breaker.let_through(at(23), 1_000));
        assert_eq!(breaker.circuit(at(24)), Circuit::HalfOpen);
        assert!(breaker.let_through(at(24), 1_000));
        assert!(!breaker.let_through(at(25), 1_000), "one tries");
        assert!(breaker.let_through(at(26), 1_000), "the one that tried is gone");
        // It fails again: left alone for twice as long.
        breaker.failed(at(27), "no route");
        assert!(breaker.circuit(at(46)) == Circuit::Open && breaker.circuit(at(47)) == Circuit::HalfOpen);
        breaker.answered();
        assert!(breaker.circuit(at(48)) == Circuit::Closed && breaker.failures == 0);
        assert_eq!(breaker.last_failure.as_ref().unwrap().1, "no route");
        for second in 0..200 {
            breaker.failed(at(second), "x");
        }
        assert_eq!(breaker.circuit(at(199 + 600)), Circuit::HalfOpen, "never longer than ten minutes");
    }
}
