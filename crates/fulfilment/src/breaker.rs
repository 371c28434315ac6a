//! The circuit breaker of a supplier, which all nodes share.

use guerdon_core::fulfilment::Breaker;
use guerdon_store::{Record, RecordChange};

use crate::effects::{Effects, Writing};
use crate::records::SUPPLIER_STATE;

async fn read<E: Effects>(effects: &E, name: &str) -> Result<(Option<Record>, Breaker), E::Error> {
    let record = effects.record(SUPPLIER_STATE, name).await?;
    let breaker = record.as_ref().map(Record::read).transpose()?.unwrap_or_default();
    Ok((record, breaker))
}

async fn write<E: Effects>(
    effects: &E,
    name: &str,
    record: Option<Record>,
    breaker: &Breaker,
) -> Result<bool, E::Error> {
    let record = match record {
        Some(record) => record.with(breaker)?,
        None => Record::new(SUPPLIER_STATE, name, "", breaker)?,
    };
    effects.write(Writing::Circuit, RecordChange::Put(record)).await
}

/// What is known of how a supplier answers.
pub async fn circuit<E: Effects>(effects: &E, name: &str) -> Result<Breaker, E::Error> {
    Ok(read(effects, name).await?.1)
}

/// Whether an order may be sent to a supplier now.
pub(crate) async fn let_through<E: Effects>(effects: &E, name: &str, call_ms: i64) -> Result<bool, E::Error> {
    let (record, mut breaker) = read(effects, name).await?;
    let before = breaker.clone();
    let may = breaker.let_through(effects.clock(), call_ms);
    // Of two that want to try it, the one tries whose word was written.
    Ok(may && (breaker == before || write(effects, name, record, &breaker).await?))
}

/// Notes what came of a call: `None`, it answered; else what went wrong. Of two failures at once, one may go uncounted.
pub(crate) async fn note<E: Effects>(effects: &E, name: &str, failure: Option<&str>) -> Result<(), E::Error> {
    let (record, mut breaker) = read(effects, name).await?;
    match failure {
        Some(what) => breaker.failed(effects.clock(), what),
        None if breaker.failures == 0 => return Ok(()),
        None => breaker.answered(),
    }
    write(effects, name, record, &breaker).await.map(drop)
}
