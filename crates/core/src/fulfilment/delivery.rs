//! What is known of a delivery through a supplier, and whose turn it is: it is asked, asked again after longer and longer waits, and
//! given up at last.

use serde::{Deserialize, Serialize};

use super::cancelling::Cancelling;
use super::item::{Outcome, SUPPLIER_FAILED, SUPPLIER_REFUSED};
use super::said::{Said, short};
use crate::planted::{self, Bug};
use crate::time::Timestamp;

/// How long a supplier that cannot be reached is waited for, in milliseconds (a day).
pub const UNREACHED_MS: i64 = 24 * 3_600_000;
/// How long one that has promised an answer is waited for, in milliseconds (three days).
pub const PROMISED_MS: i64 = 72 * 3_600_000;
/// The longest wait between two attempts, in milliseconds (10 minutes).
const WAIT_MOST_MS: i64 = 600_000;

/// How a supplier is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long one answer may take, in milliseconds.
    pub timeout_ms: i64,
    /// How often an order is tried before it is given back.
    pub attempts: u32,
    /// How long to wait before the second attempt, in milliseconds; then twice as long each time.
    pub first_retry_ms: i64,
    /// Whether it is called; if not, its orders wait.
    pub active: bool,
    /// Whether it knows of cancelling.
    pub cancels: bool,
}

impl Terms {
    /// The wait before the next attempt: twice as long each time, half as much more or less, so that orders that failed
    /// together do not come back together. `chance` is anything; its last three digits count.
    pub(super) fn wait_ms(&self, attempts: u32, chance: i64) -> i64 {
        let factor = 1_i64.checked_shl(attempts.saturating_sub(1).min(24)).unwrap_or(i64::MAX);
        let wait = self.first_retry_ms.saturating_mul(factor).min(WAIT_MOST_MS);
        wait / 2 + wait.saturating_mul(chance.rem_euclid(1_000)) / 1_000
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// To be asked, again from `next_at` on.
    Waiting,
    /// The supplier will say.
    Promised,
    /// It was handed out.
    Delivered,
    /// The supplier will not hand it out.
    Refused,
    /// It was asked often enough.
    Failed,
    /// It was given back, and the supplier has cancelled it.
    Cancelled,
}

impl Stage {
    /// What it means for whoever waits for it.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Delivered => Outcome::Delivered,
            Self::Refused => Outcome::Refused(SUPPLIER_REFUSED),
            Self::Failed | Self::Cancelled => Outcome::Refused(SUPPLIER_FAILED),
            Self::Promised | Self::Waiting => Outcome::Later,
        }
    }
}

/// What is known of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The supplier's name.
    pub supplier: String,
    /// Where it stands.
    pub stage: Stage,
    /// How often it was asked.
    pub attempts: u32,
    /// When it was looked at first.
    pub first_at: Timestamp,
    /// From when on it is asked again.
    pub next_at: Timestamp,
    /// When it came to its end, or when the supplier promised one.
    pub since: Timestamp,
    /// The supplier's own number.
    pub reference: Option<String>,
    /// What was wrong last, or why it was refused, in words.
    pub trouble: Option<String>,
    /// How far its cancelling has come; `None`: nobody wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelling: Option<Cancelling>,
}

/// What is to be done with a delivery at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing more: it came to an end.
    Over(Outcome),
    /// It is given up.
    GiveUp,
    /// Nothing yet.
    Wait,
    /// The supplier is asked, unless its breaker is open.
    Ask,
}

impl Delivery {
    /// One of which nobody was asked yet.
    pub fn new(supplier: &str, now: Timestamp) -> Self {
        Self {
            supplier: supplier.to_owned(),
            stage: Stage::Waiting,
            attempts: 0,
            first_at: now,
            next_at: now,
            since: now,
            reference: None,
            trouble: None,
            cancelling: None,
        }
    }

    /// Whose turn it is. `terms`: of a supplier that is kept; one that is kept no longer is not asked, and its orders end all the
    /// same.
    pub fn turn(&self, terms: Option<&Terms>, now: Timestamp) -> Turn {
        let too_late = match self.stage {
            Stage::Delivered | Stage::Refused | Stage::Failed | Stage::Cancelled => {
                return Turn::Over(self.stage.outcome());
            }
            Stage::Promised => now > self.since.plus_millis(PROMISED_MS),
            Stage::Waiting if self.next_at > now => return Turn::Wait,
            Stage::Waiting => {
                let asked_often = terms.is_some_and(|terms| self.attempts >= terms.attempts);
                let asked_often = asked_often && !planted::is(Bug::AskedWithoutEnd);
                asked_often || now > self.first_at.plus_millis(UNREACHED_MS)
            }
        };
        let is_called = self.stage == Stage::Waiting && terms.is_some_and(|terms| terms.active);
        match (too_late, is_called) {
            (true, _) => Turn::GiveUp,
            (false, true) => Turn::Ask,
            (false, false) => Turn::Wait,
        }
    }

    /// Counts an attempt that is about to be made: of two nodes one asks, and one that dies meanwhile has used it. Nobody asks
    /// again before it must have been answered.
    pub fn count_attempt(&mut self, terms: &Terms, now: Timestamp, chance: i64) {
        self.attempts += 1;
        self.next_at = now.plus_millis(terms.timeout_ms + terms.wait_ms(self.attempts, chance));
    }

    /// Takes an attempt back that was counted and not made.
    pub fn take_attempt_back(&mut self, now: Timestamp) {
        (self.attempts, self.next_at) = (self.attempts.saturating_sub(1), now);
    }

    /// Brings it to its end, or notes that one is promised.
    pub fn end(&mut self, stage: Stage, now: Timestamp) {
        (self.stage, self.since) = (stage, now);
    }

    /// Keeps of an answer what is told of it, and says what it leads to. Its codes are taken in before.
    pub fn follow(&mut self, said: Said) -> Stage {
        match said {
            Said::Delivered { reference, .. } => {
                self.reference = reference;
                Stage::Delivered
            }
            Said::Refused { words } => {
                self.trouble = Some(words);
                Stage::Refused
            }
            Said::Accepted { reference } => {
                self.reference = reference;
                Stage::Promised
            }
        }
    }

    /// After an attempt that failed: waits for the next one. False: it was the last.
    pub fn fail(&mut self, trouble: &str, terms: &Terms, now: Timestamp, chance: i64) -> bool {
        self.trouble = Some(short(trouble));
        if self.attempts >= terms.attempts && !planted::is(Bug::AskedWithoutEnd) {
            return false;
        }
        self.next_at = now.plus_millis(terms.wait_ms(self.attempts, chance));
        true
    }

    /// Whether a supplier that says now that it has delivered says so too late: nobody waits for that any more.
    pub fn is_given_up(&self) -> bool {
        matches!(self.stage, Stage::Refused | Stage::Failed | Stage::Cancelled) || self.cancelling.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { timeout_ms: 1_000, attempts: 3, first_retry_ms: 2_000, active: true, cancels: false };

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + ms)
    }

    #[test]
    fn waits_double_up_to_ten_minutes_and_are_spread() {
        let spread = |attempts| (TERMS.wait_ms(attempts, 0), TERMS.wait_ms(attempts, 999));
        assert_eq!(spread(1), (1_000, 2_998));
        assert_eq!(spread(2), (2_000, 5_996));
        assert_eq!(spread(4), (8_000, 23_984));
        assert_eq!(spread(30), (300_000, 899_400));
        assert_eq!(Terms { first_retry_ms: 600_000, ..TERMS }.wait_ms(u32::MAX, -1), 899_400);
    }

    #[test]
    fn a_supplier_is_asked_as_often_as_it_may_be_and_not_while_it_may_answer_yet() {
        let mut delivery = Delivery::new("acme", at(0));
        let mut now = at(0);
        for attempt in 1..=3 {
            assert_eq!(delivery.turn(Some(&TERMS), now), Turn::Ask);
            delivery.count_attempt(&TERMS, now, 0);
            assert_eq!(delivery.attempts, attempt);
            assert_eq!(delivery.turn(Some(&TERMS), now.plus_millis(TERMS.timeout_ms)), Turn::Wait);
            assert_eq!(delivery.fail("timed out", &TERMS, now, 0), attempt < 3);
            now = delivery.next_at;
        }
        assert_eq!(delivery.turn(Some(&TERMS), now), Turn::GiveUp);
        let idle = Terms { active: false, attempts: 8, ..TERMS };
        assert_eq!(delivery.turn(Some(&idle), now), Turn::Wait);
        assert_eq!(delivery.turn(Some(&idle), at(UNREACHED_MS + 1)), Turn::GiveUp);
    }

    #[test]
    fn what_waits_for_a_supplier_that_was_forgotten_comes_to_an_end() {
        let waiting = Delivery::new("acme", at(0));
        assert_eq!(waiting.turn(None, at(UNREACHED_MS)), Turn::Wait);
        assert_eq!(waiting.turn(None, at(UNREACHED_MS + 1)), Turn::GiveUp);
        let mut promised = waiting;
        promised.end(Stage::Promised, at(5));
        assert_eq!(promised.turn(None, at(5 + PROMISED_MS)), Turn::Wait);
        assert_eq!(promised.turn(None, at(6 + PROMISED_MS)), Turn::GiveUp);
        promised.end(Stage::Failed, at(7 + PROMISED_MS));
        assert_eq!(promised.turn(None, at(8 + PROMISED_MS)), Turn::Over(Outcome::Refused(SUPPLIER_FAILED)));
    }

    #[test]
    fn what_former_versions_wrote_is_read_and_written_alike() {
        let former = r#"{"supplier":"acme","stage":"promised","attempts":1,"first_at":"2026-03-10T09:00:00Z","next_at":"2026-03-10T09:00:07Z","since":"2026-03-10T09:00:01Z","reference":"S-1","trouble":null}"#;
        let delivery: Delivery = serde_json::from_str(former).unwrap();
        assert_eq!((delivery.stage, delivery.cancelling.is_none()), (Stage::Promised, true));
        assert_eq!(serde_json::to_string(&delivery).unwrap(), former);
        let cancelled = former.replace(
            r#""trouble":null}"#,
            r#""trouble":null,"cancelling":{"attempts":2,"first_at":"2026-03-10T09:00:00Z","next_at":"2026-03-10T09:00:07Z","done":true}}"#,
        );
        let delivery: Delivery = serde_json::from_str(&cancelled).unwrap();
        assert_eq!(serde_json::to_string(&delivery).unwrap(), cancelled);
    }
}
