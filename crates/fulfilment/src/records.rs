//! What is kept of fulfilments in records, and how it is read and written.

use guerdon_core::fulfilment::{Delivery, DeliveryKey, Stage};
use guerdon_core::time::Timestamp;
use guerdon_store::{Record, RecordChange};

use crate::effects::{Effects, Writing};

/// The kind of the records of deliveries; the id is their key, the subject the supplier's name, and since when it is delivered.
pub const DELIVERY: &str = "delivery";
/// The kind of the records of orders of which suppliers were asked for something; the id is the order's.
pub const ASKED_FOR: &str = "asked_for";
/// The kind of the records of differences; the subject is the supplier.
pub const DIFFERENCE: &str = "difference";
/// The kind of the records of how suppliers answer; the id is the supplier's name.
pub const SUPPLIER_STATE: &str = "supplier_state";
/// How long what nobody comes back to is kept, in milliseconds (400 days): as long as it may be compared.
pub(crate) const KEPT_MS: i64 = 400 * 86_400_000;

/// A delivery and the record that it was read from.
pub async fn delivery<E: Effects>(effects: &E, key: &DeliveryKey) -> Result<Option<(Record, Delivery)>, E::Error> {
    let Some(record) = effects.record(DELIVERY, &key.to_string()).await? else { return Ok(None) };
    let delivery = record.read()?;
    Ok(Some((record, delivery)))
}

/// Writes where a delivery stands. `None`: somebody else has moved it on meanwhile.
pub(crate) async fn write_delivery<E: Effects>(
    effects: &E,
    what: Writing,
    key: &DeliveryKey,
    (record, delivery): (Option<Record>, &Delivery),
) -> Result<Option<Record>, E::Error> {
    let record = match record {
        Some(record) => Record { subject: subject(delivery), ..record.with(delivery)? },
        None => Record::new(DELIVERY, &key.to_string(), &subject(delivery), delivery)?,
    };
    let record = record.until(effects.clock().plus_millis(KEPT_MS));
    let written = effects.write(what, RecordChange::Put(record.clone())).await?;
    Ok(written.then(|| Record { version: record.version + 1, ..record }))
}

fn subject(delivery: &Delivery) -> String {
    match delivery.stage {
        Stage::Delivered => delivered_at(&delivery.supplier, delivery.since),
        _ => delivery.supplier.clone(),
    }
}

/// The subject of what a supplier has delivered: found by that time, as texts are ordered.
pub fn delivered_at(supplier: &str, at: Timestamp) -> String {
    format!("{supplier} {:015}", at.as_millis().max(0))
}
