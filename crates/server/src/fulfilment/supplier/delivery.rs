//! One order on its way through a supplier: asked, asked again after longer and longer waits, and given up at last.

use std::pin::Pin;

use guerdon_core::time::Timestamp;
use guerdon_store::{Claimed, CodeOrigin, CommandError, Record, RecordChange};
use serde::{Deserialize, Serialize};

use super::answer::{Said, Unbelievable, short};
use super::call::{self, Called};
use super::undo::Cancelling;
use super::{Circuit, DeliveryKey, Supplier, breaker, differences, find};
use crate::AppState;
use crate::due;
use crate::fulfilment::codes;
use crate::fulfilment::handing::{self, Delivering, Delivery as Outcome, Item, SUPPLIER_FAILED, SUPPLIER_REFUSED};
use crate::problem::Problem;

/// The kind of the records; the id is its key, the subject the supplier's name, and since when it is delivered.
const DELIVERY: &str = "delivery";
/// How long what became of a delivery is kept, in milliseconds (400 days): as long as it may be compared.
const KEPT_MS: i64 = 400 * 86_400_000;
/// How long a supplier that cannot be reached is waited for, and one that has promised an answer, in milliseconds.
pub(super) const UNREACHED_MS: i64 = 24 * 3_600_000;
const PROMISED_MS: i64 = 72 * 3_600_000;
/// The longest wait between two attempts, in milliseconds (10 minutes).
const WAIT_MOST_MS: i64 = 600_000;

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
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

/// What is known of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Delivery {
    pub(super) supplier: String,
    pub(super) stage: Stage,
    /// How often it was asked.
    pub(super) attempts: u32,
    /// When it was looked at first.
    pub(super) first_at: Timestamp,
    /// From when on it is asked again.
    pub(super) next_at: Timestamp,
    /// When it came to its end, or when the supplier promised one.
    pub(super) since: Timestamp,
    /// The supplier's own number.
    pub(super) reference: Option<String>,
    /// What was wrong last, or why it was refused, in words.
    pub(super) trouble: Option<String>,
    /// How far its cancelling has come; `None`: nobody wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cancelling: Option<Cancelling>,
}

/// The wait before the next attempt: twice as long each time, half as much more or less, so that orders that failed together
/// do not come back together. `chance` is anything from 0 to 999.
pub(super) fn wait_ms(first_ms: i64, attempts: u32, chance: i64) -> i64 {
    let doubled = first_ms.saturating_mul(1_i64.checked_shl(attempts.saturating_sub(1).min(24)).unwrap_or(i64::MAX));
    let wait = doubled.min(WAIT_MOST_MS);
    wait / 2 + wait.saturating_mul(chance.rem_euclid(1_000)) / 1_000
}

/// A delivery and the record that it was read from.
pub(super) async fn read(state: &AppState, key: &DeliveryKey) -> Result<Option<(Record, Delivery)>, Problem> {
    let record = state.reader.record(DELIVERY, &key.to_string(), state.clock()).await?;
    record.map(|record| Ok((record.clone(), record.read()?))).transpose()
}

/// What people are told of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// The supplier.
    pub supplier: String,
    /// How often it was asked.
    pub attempts: u32,
    /// The supplier's own number.
    pub reference: Option<String>,
    /// What was wrong last, or why it was refused, in words.
    pub trouble: Option<String>,
    /// How it stands.
    pub standing: Standing,
}

/// How a delivery stands, for pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody was asked yet.
    Waiting,
    /// The supplier was asked, and is asked again.
    Asked,
    /// It will say.
    Promised,
    /// It has delivered.
    Ready,
    /// It will not.
    Failed,
}

/// What is known of a delivery. `None`: no supplier was asked.
pub async fn attempted(state: &AppState, key: &DeliveryKey) -> Result<Option<Attempted>, Problem> {
    let found = read(state, key).await?;
    Ok(found.map(|(_, delivery)| {
        let Delivery { supplier, stage, attempts, reference, trouble, .. } = delivery;
        let standing = match stage {
            Stage::Waiting if attempts == 0 => Standing::Waiting,
            Stage::Waiting => Standing::Asked,
            Stage::Promised => Standing::Promised,
            Stage::Delivered => Standing::Ready,
            Stage::Refused | Stage::Failed | Stage::Cancelled => Standing::Failed,
        };
        Attempted { supplier, attempts, reference, trouble, standing }
    }))
}

/// Writes where a delivery stands. `None`: somebody else has moved it on meanwhile.
pub(super) async fn write(
    state: &AppState,
    key: &DeliveryKey,
    record: Option<Record>,
    delivery: &Delivery,
) -> Result<Option<Record>, Problem> {
    let record = match record {
        Some(record) => Record { subject: subject(delivery), ..record.with(delivery)? },
        None => Record::new(DELIVERY, &key.to_string(), &subject(delivery), delivery)?,
    };
    let record = record.until(state.clock().plus_millis(KEPT_MS));
    match state.engine.write_records(vec![RecordChange::Put(record.clone())], Vec::new()).await {
        Ok(()) => Ok(Some(Record { version: record.version + 1, ..record })),
        Err(CommandError::Conflict) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn subject(delivery: &Delivery) -> String {
    match delivery.stage {
        Stage::Delivered => delivered_at(&delivery.supplier, delivery.since),
        _ => delivery.supplier.clone(),
    }
}

fn delivered_at(supplier: &str, at: Timestamp) -> String {
    format!("{supplier} {}", due::subject(at))
}

/// The orders that a supplier has delivered in a time, `to` not included, behind a record of them; the first first. They are
/// found by that time, however many others there are.
pub(super) async fn delivered(
    state: &AppState,
    supplier: &str,
    [from, to]: [Timestamp; 2],
    after: Option<&Record>,
    limit: i64,
) -> Result<Vec<Record>, Problem> {
    let first = delivered_at(supplier, from);
    let after = after.map_or((first.as_str(), ""), |record| (record.subject.as_str(), record.id.as_str()));
    let last = delivered_at(supplier, to.plus_millis(-1));
    Ok(state.reader.records_up_to(DELIVERY, &last, after, limit, state.clock()).await?)
}

/// Sets the codes aside that a supplier gave for an order. False: one of them was given before, for another.
pub(super) async fn take_in(state: &AppState, name: &str, item: Item<'_>, given: &[String]) -> Result<bool, Problem> {
    if given.is_empty() {
        return Ok(true);
    }
    let seal = |code: &String| codes::seal(state, item.handing.reward_id, code, None);
    let sealed = given.iter().map(seal).collect::<Result<Vec<_>, _>>()?;
    let digests: Vec<[u8; 32]> = sealed.iter().map(|code| code.digest).collect();
    match state.engine.claim_codes(handing::claim(state, item, Some((CodeOrigin::Supplier, sealed)))).await? {
        Claimed::Codes(there) => {
            if !there.iter().all(|code| digests.contains(&code.digest)) {
                let detail = "it answered twice, with other codes; the member has the first";
                differences::note(state, name, &item.key().to_string(), "other_codes", detail).await?;
            }
            Ok(true)
        }
        Claimed::Taken | Claimed::Dry => {
            let detail = "one of its codes was given for another order before";
            differences::note(state, name, &item.key().to_string(), "code_given_before", detail).await?;
            Ok(false)
        }
    }
}

/// A supplier that is called by HTTP.
pub(in crate::fulfilment) struct HttpSupplier {
    /// Its name.
    pub(in crate::fulfilment) name: String,
}

impl handing::Supplier for HttpSupplier {
    fn is_ready<'a>(&'a self, state: &'a AppState) -> Pin<Box<dyn Future<Output = Result<bool, Problem>> + Send + 'a>> {
        Box::pin(async move {
            let known = find(state, &self.name).await?;
            let open = breaker::circuit(state, &self.name).await?.circuit(state.clock()) == Circuit::Open;
            Ok(known.is_some_and(|(_, supplier)| supplier.active) && !open)
        })
    }

    fn deliver<'a>(&'a self, state: &'a AppState, item: Item<'a>) -> Delivering<'a> {
        Box::pin(self.ask(state, item))
    }
}

impl HttpSupplier {
    async fn ask(&self, state: &AppState, item: Item<'_>) -> Result<Outcome, Problem> {
        let supplier = find(state, &self.name).await?.map(|(_, supplier)| supplier);
        let (now, key) = (state.clock(), item.key());
        let (record, mut delivery) = match read(state, &key).await? {
            Some((record, delivery)) => (record, delivery),
            None => {
                let (reference, trouble, stage) = (None, None, Stage::Waiting);
                let new = Delivery {
                    supplier: self.name.clone(),
                    stage,
                    attempts: 0,
                    first_at: now,
                    next_at: now,
                    since: now,
                    reference,
                    trouble,
                    cancelling: None,
                };
                match write(state, &key, None, &new).await? {
                    Some(record) => (record, new),
                    None => return Ok(Outcome::Later),
                }
            }
        };
        let too_late = match delivery.stage {
            Stage::Delivered => return Ok(Outcome::Delivered),
            Stage::Refused => return Ok(Outcome::Refused(SUPPLIER_REFUSED)),
            Stage::Failed | Stage::Cancelled => return Ok(Outcome::Refused(SUPPLIER_FAILED)),
            Stage::Promised => now > delivery.since.plus_millis(PROMISED_MS),
            Stage::Waiting if delivery.next_at > now => return Ok(Outcome::Later),
            Stage::Waiting => {
                let asked_often = supplier.as_ref().is_some_and(|supplier| delivery.attempts >= supplier.attempts);
                asked_often || now > delivery.first_at.plus_millis(UNREACHED_MS)
            }
        };
        if too_late {
            return self.end(state, item, (record, delivery), Stage::Failed).await;
        }
        // One that is kept no longer is not asked; its orders end all the same.
        let Some(supplier) = supplier else { return Ok(Outcome::Later) };
        let is_promised = delivery.stage == Stage::Promised;
        if is_promised || !supplier.active || !breaker::let_through(state, &self.name, supplier.timeout_ms).await? {
            return Ok(Outcome::Later);
        }
        // Written before it is asked: of two nodes one asks, and one that dies meanwhile has used this attempt.
        delivery.attempts += 1;
        let chance = i64::from(rand::random::<u16>());
        delivery.next_at =
            now.plus_millis(supplier.timeout_ms + wait_ms(supplier.first_retry_ms, delivery.attempts, chance));
        let Some(record) = write(state, &key, Some(record), &delivery).await? else { return Ok(Outcome::Later) };
        let called = call::deliver(state, &self.name, &supplier, item).await?;
        self.hear(state, &supplier, item, (record, delivery), called).await
    }

    /// Makes of an answer what becomes of the order.
    async fn hear(
        &self,
        state: &AppState,
        supplier: &Supplier,
        item: Item<'_>,
        (record, mut delivery): (Record, Delivery),
        called: Called,
    ) -> Result<Outcome, Problem> {
        let trouble = match called {
            Called::Said(said) => {
                breaker::note(state, &self.name, None).await?;
                match said {
                    Said::Delivered { codes, reference } => {
                        delivery.reference = reference;
                        if take_in(state, &self.name, item, &codes).await? {
                            return self.end(state, item, (record, delivery), Stage::Delivered).await;
                        }
                        "its codes were given before".to_owned()
                    }
                    Said::Refused { words } => {
                        delivery.trouble = Some(words);
                        return self.end(state, item, (record, delivery), Stage::Refused).await;
                    }
                    Said::Accepted { reference } => {
                        delivery.reference = reference;
                        return self.end(state, item, (record, delivery), Stage::Promised).await;
                    }
                }
            }
            Called::Lied(lie) => {
                breaker::note(state, &self.name, Some(lie.words())).await?;
                self.note_lie(state, item, &lie).await?;
                lie.words().to_owned()
            }
            Called::Failed(words) => {
                breaker::note(state, &self.name, Some(&words)).await?;
                words
            }
        };
        delivery.trouble = Some(short(&trouble));
        if delivery.attempts >= supplier.attempts {
            return self.end(state, item, (record, delivery), Stage::Failed).await;
        }
        let chance = i64::from(rand::random::<u16>());
        delivery.next_at = state.clock().plus_millis(wait_ms(supplier.first_retry_ms, delivery.attempts, chance));
        write(state, &item.key(), Some(record), &delivery).await?;
        Ok(Outcome::Later)
    }

    async fn note_lie(&self, state: &AppState, item: Item<'_>, lie: &Unbelievable) -> Result<(), Problem> {
        differences::note(state, &self.name, &item.key().to_string(), lie.what(), lie.words()).await
    }

    /// Writes the end of a delivery, or that one is promised. Where the supplier has called back meanwhile, that holds.
    async fn end(
        &self,
        state: &AppState,
        item: Item<'_>,
        (record, mut delivery): (Record, Delivery),
        stage: Stage,
    ) -> Result<Outcome, Problem> {
        (delivery.stage, delivery.since) = (stage, state.clock());
        if write(state, &item.key(), Some(record), &delivery).await?.is_none() {
            return Ok(Outcome::Later);
        }
        metrics::counter!("guerdon_supplier_deliveries_total", "stage" => format!("{stage:?}").to_lowercase())
            .increment(1);
        Ok(match stage {
            Stage::Delivered => Outcome::Delivered,
            Stage::Refused => Outcome::Refused(SUPPLIER_REFUSED),
            Stage::Failed | Stage::Cancelled => Outcome::Refused(SUPPLIER_FAILED),
            Stage::Promised | Stage::Waiting => Outcome::Later,
        })
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
    async fn what_was_delivered_is_found_by_its_time_and_supplier() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        let at = |minutes: i64| Timestamp::from_millis(1_800_000_000_000 + minutes * 60_000);
        let kept = [
            ("post", Stage::Delivered, 0),
            ("post", Stage::Delivered, 10),
            ("post", Stage::Delivered, 20),
            ("post", Stage::Delivered, 30),
            ("post", Stage::Promised, 15),
            ("post-office", Stage::Delivered, 15),
        ];
        for (number, (supplier, stage, minute)) in (1..).zip(kept) {
            let waiting = Delivery {
                supplier: supplier.to_owned(),
                stage: Stage::Waiting,
                attempts: 0,
                first_at: at(0),
                next_at: at(0),
                since: at(0),
                reference: None,
                trouble: None,
                cancelling: None,
            };
            let order = DeliveryKey { order: OrderId(number), part: None };
            let record = write(&state, &order, None, &waiting).await.unwrap().unwrap();
            let ended = Delivery { stage, since: at(minute), ..waiting };
            write(&state, &order, Some(record), &ended).await.unwrap().unwrap();
        }
        let found = async |from, to, after: Option<&Record>| {
            delivered(&state, "post", [at(from), at(to)], after, 2).await.unwrap()
        };
        let orders = |records: &[Record]| -> Vec<i64> {
            records.iter().map(|record| record.id.parse::<OrderId>().unwrap().0).collect()
        };
        let first = found(10, 31, None).await;
        assert_eq!(orders(&first), [2, 3]);
        assert_eq!(orders(&found(10, 31, first.last()).await), [4]);
        assert_eq!(orders(&found(0, 10, None).await), [1], "the end does not count");
        assert!(found(31, 60, None).await.is_empty());
    }

    #[test]
    fn waits_double_up_to_ten_minutes_and_are_spread() {
        let spread = |attempts| (wait_ms(2_000, attempts, 0), wait_ms(2_000, attempts, 999));
        assert_eq!(spread(1), (1_000, 2_998));
        assert_eq!(spread(2), (2_000, 5_996));
        assert_eq!(spread(4), (8_000, 23_984));
        assert_eq!(spread(30), (300_000, 899_400));
        assert_eq!(wait_ms(600_000, u32::MAX, -1), 899_400);
    }
}
