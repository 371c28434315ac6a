//! How deliveries through suppliers stand, for who looks at them.

use guerdon_core::fulfilment::{Delivery, DeliveryKey, Stage};
use guerdon_core::time::Timestamp;
use guerdon_fulfilment::{DELIVERY, delivered_at};
use guerdon_store::Record;

use crate::AppState;
use crate::fulfilment::effects::Doing;
use crate::problem::Problem;

/// What is known of a delivery.
pub(super) async fn read(state: &AppState, key: &DeliveryKey) -> Result<Option<Delivery>, Problem> {
    let found = guerdon_fulfilment::delivery(&Doing::of(state), key).await?;
    Ok(found.map(|(_, delivery)| delivery))
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
    Ok(found.map(|delivery| {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use guerdon_core::id::OrderId;
    use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};
    use guerdon_store::RecordChange;

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
            let mut delivery = Delivery::new(supplier, at(0));
            delivery.end(stage, at(minute));
            let subject = match stage {
                Stage::Delivered => delivered_at(supplier, at(minute)),
                _ => supplier.to_owned(),
            };
            let record = Record::new(DELIVERY, &OrderId(number).to_string(), &subject, &delivery).unwrap();
            state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await.unwrap();
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
}
