//! What a supplier and we know differently: lies, answers that came too late, codes that were given before. For people to
//! look at; each is on record once.

use axum::http::StatusCode;
use guerdon_fulfilment::DIFFERENCE;
pub use guerdon_fulfilment::Difference;
use guerdon_store::{RecordChange, RecordQuery};
use serde_json::json;

use crate::AppState;
use crate::fulfilment::effects::Doing;
use crate::identity::actor::Actor;
use crate::problem::Problem;

/// Notes a difference, once.
pub(in crate::fulfilment) async fn note(
    state: &AppState,
    supplier: &str,
    order: &str,
    what: &str,
    detail: &str,
) -> Result<(), Problem> {
    guerdon_fulfilment::note(&Doing::of(state), supplier, order, what, detail).await.map(drop)
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
