//! A tender for trying out, which moves no money: the cents of an amount say how it goes.
//!
//! It keeps what it was asked in records, as a gateway would on its own side: what was done before a crash stays done.

use guerdon_core::time::Timestamp;
use guerdon_store::{Record, RecordChange};
use serde::{Deserialize, Serialize};

use super::tender::{Answer, Asking, Charge, TenderError, TenderWay};
use crate::AppState;

/// The kind of its records; the id is that of the order.
const KIND: &str = "test_tender";
/// How long it remembers, in milliseconds (90 days).
const KEPT_MS: i64 = 90 * 86_400_000;
/// How much later it answers that answers late, in milliseconds.
const LATE_MS: i64 = 2_000;

/// How an amount goes, by its last two digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// It is declined: 01.
    Declines,
    /// The first question is lost on its way: 02.
    AskedInVain,
    /// The first answer is lost on its way back: 03.
    AnsweredInVain,
    /// It is confirmed two seconds later: 04.
    Late,
    /// It cannot be captured: 05.
    NotCaptured,
    /// It is declined two seconds later: 06.
    DeclinesLate,
    /// It never answers: 07.
    Silent,
    /// All goes well: all others.
    Well,
}

impl Course {
    fn of(amount: i64) -> Self {
        match amount.rem_euclid(100) {
            1 => Self::Declines,
            2 => Self::AskedInVain,
            3 => Self::AnsweredInVain,
            4 => Self::Late,
            5 => Self::NotCaptured,
            6 => Self::DeclinesLate,
            7 => Self::Silent,
            _ => Self::Well,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// It was asked for, and did not hear it.
    Unheard,
    Authorised,
    Declined,
    Captured,
    Voided,
    Refunded,
}

/// What it knows of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    amount: i64,
    money: String,
    stage: Stage,
    /// Before this moment it does not say.
    answers_at: Timestamp,
}

/// The tender, over the server's own records.
pub struct TestTender<'s> {
    state: &'s AppState,
}

fn failed(error: impl std::fmt::Display) -> TenderError {
    TenderError(format!("the test tender: {error}"))
}

fn declined(reason: &str) -> Answer {
    Answer::Declined { reason: reason.to_owned() }
}

fn done(charge: &Charge<'_>) -> Answer {
    Answer::Done { reference: Some(format!("test-{}", charge.order)) }
}

impl<'s> TestTender<'s> {
    /// The tender of a server.
    pub fn new(state: &'s AppState) -> Self {
        Self { state }
    }

    async fn find(&self, charge: &Charge<'_>) -> Result<Option<(Record, Known)>, TenderError> {
        let record =
            self.state.reader.record(KIND, &charge.order.to_string(), self.state.clock()).await.map_err(failed)?;
        let read = |record: Record| Ok((record.clone(), record.read::<Known>().map_err(failed)?));
        record.map(read).transpose()
    }

    /// A conflict means that it was asked twice at once: the caller asks again.
    async fn write(&self, record: Record) -> Result<(), TenderError> {
        self.state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await.map_err(failed)
    }

    async fn begin(&self, charge: &Charge<'_>, stage: Stage, wait_ms: i64) -> Result<(), TenderError> {
        let now = self.state.clock();
        let (money, answers_at) = (charge.money.to_owned(), now.plus_millis(wait_ms));
        let known = Known { amount: charge.amount, money, stage, answers_at };
        let record = Record::new(KIND, &charge.order.to_string(), "", &known).map_err(failed)?;
        self.write(record.until(now.plus_millis(KEPT_MS))).await
    }

    async fn turn(&self, record: Record, known: Known, stage: Stage) -> Result<(), TenderError> {
        self.write(record.with(&Known { stage, ..known }).map_err(failed)?).await
    }

    async fn first_asked(&self, charge: &Charge<'_>) -> Result<Answer, TenderError> {
        let lost = || Err(failed("no answer in time"));
        match Course::of(charge.amount) {
            Course::Silent => lost(),
            Course::AskedInVain => self.begin(charge, Stage::Unheard, 0).await.and_then(|()| lost()),
            Course::AnsweredInVain => self.begin(charge, Stage::Authorised, 0).await.and_then(|()| lost()),
            Course::Declines => self.begin(charge, Stage::Declined, 0).await.map(|()| declined("declined")),
            Course::Late => self.begin(charge, Stage::Authorised, LATE_MS).await.map(|()| Answer::Later),
            Course::DeclinesLate => self.begin(charge, Stage::Declined, LATE_MS).await.map(|()| Answer::Later),
            Course::Well | Course::NotCaptured => self.begin(charge, Stage::Authorised, 0).await.map(|()| done(charge)),
        }
    }

    async fn authorise_once(&self, charge: &Charge<'_>) -> Result<Answer, TenderError> {
        let Some((record, known)) = self.find(charge).await? else { return self.first_asked(charge).await };
        if known.answers_at > self.state.clock() {
            return Ok(Answer::Later);
        }
        match known.stage {
            Stage::Unheard => self.turn(record, known, Stage::Authorised).await.map(|()| done(charge)),
            Stage::Authorised | Stage::Captured => Ok(done(charge)),
            Stage::Declined => Ok(declined("declined")),
            Stage::Voided | Stage::Refunded => Ok(declined("over")),
        }
    }

    async fn capture_once(&self, charge: &Charge<'_>) -> Result<Answer, TenderError> {
        let Some((record, known)) = self.find(charge).await? else { return Ok(declined("unknown")) };
        match known.stage {
            Stage::Captured => Ok(done(charge)),
            Stage::Authorised if Course::of(charge.amount) == Course::NotCaptured => {
                self.turn(record, known, Stage::Voided).await.map(|()| declined("expired"))
            }
            Stage::Authorised => self.turn(record, known, Stage::Captured).await.map(|()| done(charge)),
            Stage::Unheard | Stage::Declined | Stage::Voided | Stage::Refunded => Ok(declined("expired")),
        }
    }

    async fn void_once(&self, charge: &Charge<'_>) -> Result<Answer, TenderError> {
        match self.find(charge).await? {
            None => self.begin(charge, Stage::Voided, 0).await.map(|()| done(charge)),
            Some((record, known)) if matches!(known.stage, Stage::Unheard | Stage::Authorised) => {
                self.turn(record, known, Stage::Voided).await.map(|()| done(charge))
            }
            Some(_) => Ok(done(charge)),
        }
    }

    async fn refund_once(&self, charge: &Charge<'_>) -> Result<Answer, TenderError> {
        match self.find(charge).await? {
            Some((record, known)) if known.stage == Stage::Captured => {
                self.turn(record, known, Stage::Refunded).await.map(|()| done(charge))
            }
            Some((_, known)) if known.stage == Stage::Refunded => Ok(done(charge)),
            _ => Ok(declined("never_captured")),
        }
    }
}

impl TenderWay for TestTender<'_> {
    fn authorise<'a>(&'a self, charge: &'a Charge<'a>) -> Asking<'a> {
        Box::pin(self.authorise_once(charge))
    }

    fn capture<'a>(&'a self, charge: &'a Charge<'a>) -> Asking<'a> {
        Box::pin(self.capture_once(charge))
    }

    fn void<'a>(&'a self, charge: &'a Charge<'a>) -> Asking<'a> {
        Box::pin(self.void_once(charge))
    }

    fn refund<'a>(&'a self, charge: &'a Charge<'a>) -> Asking<'a> {
        Box::pin(self.refund_once(charge))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use guerdon_core::id::OrderId;
    use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};

    use super::*;
    use crate::identity::testing::{scratch, state};
    use crate::messages::Post;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_asked_before_is_answered_as_it_was() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        let tender = TestTender::new(&state);
        let charge = |order: i64, amount| Charge { order: OrderId(order), amount, money: "GBP", reference: None };
        let well = charge(1, 1_000);
        for _ in 0..2 {
            assert_eq!(tender.authorise(&well).await, Ok(done(&well)));
        }
        for _ in 0..2 {
            assert_eq!(tender.capture(&well).await, Ok(done(&well)));
        }
        // What was captured is refunded, not let go.
        assert_eq!(tender.void(&well).await, Ok(done(&well)));
        for _ in 0..2 {
            assert_eq!(tender.refund(&well).await, Ok(done(&well)));
        }
        assert_eq!(tender.authorise(&well).await, Ok(declined("over")));
        let declines = charge(2, 1_001);
        for _ in 0..2 {
            assert_eq!(tender.authorise(&declines).await, Ok(declined("declined")));
        }
        for amount in [1_002, 1_003] {
            let lost = charge(amount, amount);
            assert!(tender.authorise(&lost).await.is_err());
            assert_eq!(tender.authorise(&lost).await, Ok(done(&lost)));
        }
        assert_eq!(tender.authorise(&charge(4, 1_004)).await, Ok(Answer::Later));
        assert!(tender.authorise(&charge(7, 1_007)).await.is_err());
        // Once it was let go nothing is set aside for the order any more, also where it was never asked for.
        let gone = charge(8, 1_000);
        assert_eq!(tender.void(&gone).await, Ok(done(&gone)));
        assert_eq!(tender.authorise(&gone).await, Ok(declined("over")));
    }
}
