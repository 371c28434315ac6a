//! What a supplier was asked for, and nobody wants any more: it is told so where it knows of cancelling, again and again until it
//! has heard; what it cannot or will not cancel is for people.

use serde::{Deserialize, Serialize};

use super::delivery::{Delivery, Stage, Terms, UNREACHED_MS};
use crate::time::Timestamp;

/// How far the cancelling of a delivery has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelling {
    /// How often the supplier was told.
    pub attempts: u32,
    /// When it was to be told first.
    pub first_at: Timestamp,
    /// From when on it is told again.
    pub next_at: Timestamp,
    /// Whether that is over: it has heard, or people were told.
    pub done: bool,
}

/// What a supplier answers to a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undoing {
    /// It will not hand it out, or has taken it back.
    Cancelled,
    /// It cannot.
    Refused(String),
    /// Nothing that can be believed.
    Failed(String),
}

/// What is to be done about a delivery of an order that was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoingTurn {
    /// Nothing more.
    Over,
    /// Nothing yet.
    Wait,
    /// It is written down since when its cancelling is wanted, so that it comes to an end though nobody can be told.
    Begin,
    /// The supplier is told, unless its breaker is open.
    Tell,
    /// It ends without the supplier, and people are told what stands there.
    End(Option<Untold>),
}

/// Why people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untold {
    /// The supplier knows of no cancelling.
    KnowsNone,
    /// The supplier is kept no longer, so that nobody can ask it what became of it.
    KeptNoLonger,
    /// It could not be told in time.
    NotReached,
    /// It has delivered a whole order, which it cannot cancel.
    DeliveredAfterReturn,
}

impl Delivery {
    /// Whose turn it is to undo it. `terms`: of a supplier that is kept; `is_part`: of a bundle.
    pub fn undoing_turn(&self, terms: Option<&Terms>, is_part: bool, now: Timestamp) -> UndoingTurn {
        let over = matches!(self.stage, Stage::Refused | Stage::Cancelled);
        let told = self.cancelling.as_ref().is_some_and(|cancelling| cancelling.done);
        if over || told || self.attempts == 0 {
            return UndoingTurn::Over;
        }
        // Somebody may be asking at this moment.
        if self.stage == Stage::Waiting && self.next_at > now {
            return UndoingTurn::Wait;
        }
        let Some(terms) = terms else { return UndoingTurn::End(Some(Untold::KeptNoLonger)) };
        if !terms.cancels {
            // What may have been delivered, though nobody has said so, is found by reconciliation, as of every order.
            return UndoingTurn::End(match (is_part, self.stage) {
                (true, Stage::Failed) => None,
                (true, _) => Some(Untold::KnowsNone),
                (false, Stage::Delivered) => Some(Untold::DeliveredAfterReturn),
                (false, _) => None,
            });
        }
        let Some(cancelling) = &self.cancelling else { return UndoingTurn::Begin };
        if cancelling.next_at > now {
            return UndoingTurn::Wait;
        }
        if cancelling.attempts >= terms.attempts || now > cancelling.first_at.plus_millis(UNREACHED_MS) {
            return UndoingTurn::End(Some(Untold::NotReached));
        }
        if terms.active { UndoingTurn::Tell } else { UndoingTurn::Wait }
    }

    fn cancelling_since(&mut self, now: Timestamp) -> &mut Cancelling {
        self.cancelling.get_or_insert(Cancelling { attempts: 0, first_at: now, next_at: now, done: false })
    }

    /// Notes that nobody wants it any more.
    pub fn begin_cancelling(&mut self, now: Timestamp) {
        self.cancelling_since(now);
    }

    /// Counts that the supplier is about to be told: of two nodes one tells it.
    pub fn count_cancelling(&mut self, terms: &Terms, now: Timestamp, chance: i64) {
        let cancelling = self.cancelling_since(now);
        cancelling.attempts += 1;
        cancelling.next_at = now.plus_millis(terms.timeout_ms + terms.wait_ms(cancelling.attempts, chance));
    }

    /// After it could not be told: it is told again.
    pub fn put_off_cancelling(&mut self, terms: &Terms, now: Timestamp, chance: i64) {
        let cancelling = self.cancelling_since(now);
        cancelling.next_at = now.plus_millis(terms.wait_ms(cancelling.attempts, chance));
    }

    /// Notes that it is over: the supplier has cancelled it, or people were told.
    pub fn end_cancelling(&mut self, now: Timestamp) {
        self.cancelling_since(now).done = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_can_be_told_comes_to_an_end_all_the_same() {
        let terms = Terms { timeout_ms: 1_000, attempts: 2, first_retry_ms: 2_000, active: false, cancels: true };
        let at = |ms: i64| Timestamp::from_millis(1_800_000_000_000 + ms);
        let mut delivery = Delivery::new("acme", at(0));
        assert_eq!(delivery.undoing_turn(Some(&terms), true, at(0)), UndoingTurn::Over, "nobody was asked");
        delivery.count_attempt(&terms, at(0), 0);
        assert_eq!(delivery.undoing_turn(Some(&terms), true, at(1)), UndoingTurn::Wait, "it may be answering");
        delivery.end(Stage::Delivered, at(2));
        assert_eq!(delivery.undoing_turn(Some(&terms), true, at(3)), UndoingTurn::Begin);
        delivery.begin_cancelling(at(3));
        assert_eq!(delivery.undoing_turn(Some(&terms), true, at(4)), UndoingTurn::Wait, "it is not called");
        let late = delivery.undoing_turn(Some(&terms), true, at(4 + UNREACHED_MS));
        assert_eq!(late, UndoingTurn::End(Some(Untold::NotReached)));
        let active = Terms { active: true, ..terms };
        for _ in 0..2 {
            let now = delivery.cancelling.as_ref().unwrap().next_at;
            assert_eq!(delivery.undoing_turn(Some(&active), true, now), UndoingTurn::Tell);
            delivery.count_cancelling(&active, now, 0);
            delivery.put_off_cancelling(&active, now, 0);
        }
        let now = delivery.cancelling.as_ref().unwrap().next_at;
        assert_eq!(delivery.undoing_turn(Some(&active), true, now), UndoingTurn::End(Some(Untold::NotReached)));
        delivery.end_cancelling(now);
        assert_eq!(delivery.undoing_turn(Some(&active), true, now), UndoingTurn::Over);
    }

    #[test]
    fn what_a_supplier_cannot_cancel_is_told_to_people_once_it_is_known() {
        let at = Timestamp::from_millis(1_800_000_000_000);
        let asked = Delivery { attempts: 1, ..Delivery::new("acme", at) };
        let ended = |stage| Delivery { stage, ..asked.clone() };
        let terms = Terms { timeout_ms: 1_000, attempts: 2, first_retry_ms: 2_000, active: true, cancels: false };
        let turn = |stage, is_part| ended(stage).undoing_turn(Some(&terms), is_part, at);
        assert_eq!(turn(Stage::Delivered, true), UndoingTurn::End(Some(Untold::KnowsNone)));
        assert_eq!(turn(Stage::Promised, true), UndoingTurn::End(Some(Untold::KnowsNone)));
        assert_eq!(turn(Stage::Failed, true), UndoingTurn::End(None));
        assert_eq!(turn(Stage::Delivered, false), UndoingTurn::End(Some(Untold::DeliveredAfterReturn)));
        assert_eq!(turn(Stage::Promised, false), UndoingTurn::End(None));
        assert_eq!(turn(Stage::Refused, true), UndoingTurn::Over);
        // Of one that is kept no longer there is no list to compare with.
        let forgotten = ended(Stage::Failed).undoing_turn(None, false, at);
        assert_eq!(forgotten, UndoingTurn::End(Some(Untold::KeptNoLonger)));
    }
}
