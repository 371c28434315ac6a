//! What a supplier and we know differently: lies, answers that came too late, codes that were given before. For people to
//! look at; each is on record once.

use axum::http::StatusCode;
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange, RecordQuery};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::short;
use crate::AppState;
use crate::identity::actor::Actor;
use crate::problem::Problem;

/// The kind of the records; the subject is the supplier.
const DIFFERENCE: &str = "difference";
/// How long one is kept that nobody settles, in milliseconds (400 days).
const KEPT_MS: i64 = 400 * 86_400_000;
/// Open differences of one supplier; more are logged only.
const MOST: i64 = 1_000;

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The supplier.
    pub supplier: String,
    /// The order, as the supplier names it.
    pub order: String,
    /// What: a code such as `delivered_after_return`.
    pub what: String,
    /// In words; never a code that was handed out.
    pub detail: String,
    /// When it was noticed first.
    pub at: Timestamp,
}

/// Notes a difference, once.
pub(in crate::fulfilment) async fn note(
    state: &AppState,
    supplier: &str,
    order: &str,
    what: &str,
    detail: &str,
) -> Result<(), Problem> {
    let order = short(order);
    tracing::warn!(supplier, order, what, detail, "a supplier and we know an order differently");
    metrics::counter!("guerdon_supplier_differences_total", "what" => what.to_owned()).increment(1);
    let id = format!("{supplier} {what} {order}");
    if state.reader.record(DIFFERENCE, &id, state.clock()).await?.is_some() {
        return Ok(());
    }
    if list(state, Some(supplier), None, MOST).await?.len() as i64 >= MOST {
        return Ok(());
    }
    let at = state.clock();
    let difference =
        Difference { supplier: supplier.to_owned(), order, what: what.to_owned(), detail: short(detail), at };
    let record = Record::new(DIFFERENCE, &id, supplier, &difference)?.until(at.plus_millis(KEPT_MS));
    match state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await {
        // Another node has noted the same.
        Ok(()) | Err(CommandError::Conflict) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Differences that nobody has settled, with the ids of their records.
pub async fn list(
    state: &AppState,
    supplier: Option<&str>,
    after: Option<String>,
    limit: i64,
) -> Result<Vec<(String, Difference)>, Problem> {
    let subject = supplier.map(str::to_owned);
    let query = RecordQuery { kind: DIFFERENCE.to_owned(), subject, after, limit };
    let records = state.reader.records(&query, state.clock()).await?;
    records.into_iter().map(|record| Ok((record.id.clone(), record.read()?))).collect()
}

/// Settles a difference: somebody has looked at it, and says what came of it.
pub async fn settle(state: &AppState, actor: &Actor, id: &str, note: &str) -> Result<(), Problem> {
    let unfit = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail);
    guerdon_core::limits::check_text("note", note, guerdon_core::limits::TEXT_CHARS).map_err(unfit)?;
    let record = state.reader.record(DIFFERENCE, id, state.clock()).await?;
    let record = record.ok_or_else(|| Problem::not_found("unknown_difference", "there is no such difference"))?;
    let difference: Difference = record.read()?;
    let mut event = actor.event(state.clock(), "difference.settle", &difference.order);
    note.clone_into(&mut event.reason);
    event.before = json!({ "supplier": difference.supplier, "what": difference.what, "at": difference.at });
    Ok(state.engine.write_records(vec![RecordChange::Delete(record)], vec![event]).await?)
}
