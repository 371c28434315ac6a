//! Suppliers: partners that are called to hand out what was ordered. What is kept of each, and who keeps it.

mod answer;
pub(super) mod call;
pub mod callback;
mod delivery;
pub mod differences;
pub mod reconcile;
pub mod webhook;

use axum::http::StatusCode;
use guerdon_core::fulfilment::Terms;
use guerdon_core::limits;
use guerdon_core::rewards::check_supplier_name;
use guerdon_core::time::Timestamp;
use guerdon_store::{Record, RecordChange, RecordQuery};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::effects::Doing;
use crate::AppState;
use crate::identity::actor::Actor;
use crate::identity::token::random_bytes;
use crate::problem::Problem;

pub(super) use delivery::Standing;
pub use delivery::{Attempted, attempted};
pub use guerdon_core::fulfilment::{Breaker, Circuit, DeliveryKey};

/// The kind of their records; the id is the name.
const SUPPLIER: &str = "supplier";
/// What the sealed secrets are for.
const PURPOSE: &str = "supplier";
/// Characters of an address.
const URL_CHARS: usize = 500;
/// Attempts at one order, at the most and where nothing is said.
const MOST_ATTEMPTS: u32 = 20;
const ATTEMPTS: u32 = 8;
/// The shortest and longest wait before the second attempt, and that where nothing is said, in milliseconds.
const RETRY_MS: [i64; 2] = [100, 600_000];
const FIRST_RETRY_MS: i64 = 2_000;
const CALL_MS: i64 = 5_000;

/// A supplier as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supplier {
    /// What it is called by people.
    pub title: String,
    /// Where orders are sent, and its list is read.
    pub url: String,
    /// What signs requests to it and from it, sealed.
    secret: String,
    /// How long one answer may take, in milliseconds.
    pub timeout_ms: i64,
    /// How often an order is tried before it is given back.
    pub attempts: u32,
    /// How long to wait before the second attempt, in milliseconds; then twice as long each time.
    pub first_retry_ms: i64,
    /// Whether it is called; if not, its orders wait.
    pub active: bool,
    /// Whether it knows of cancelling.
    #[serde(default)]
    pub cancels: bool,
    /// Since when it is kept.
    pub created_at: Timestamp,
}

impl Supplier {
    /// How it is called.
    pub(super) fn terms(&self) -> Terms {
        let Self { timeout_ms, attempts, first_retry_ms, active, cancels, .. } = *self;
        Terms { timeout_ms, attempts, first_retry_ms, active, cancels }
    }
}

/// What is to be kept of a supplier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What it is called by people.
    pub title: String,
    /// Where orders are sent.
    pub url: String,
    /// As [`Supplier`] has them; left out: as before, or as is usual.
    pub timeout_ms: Option<i64>,
    /// How often an order is tried.
    pub attempts: Option<u32>,
    /// The first wait.
    pub first_retry_ms: Option<i64>,
    /// Whether it is called.
    pub active: bool,
    /// Whether it knows of cancelling.
    pub cancels: bool,
    /// Whether it gets a new secret.
    pub renew_secret: bool,
}

fn invalid(detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_supplier", detail)
}

/// The supplier of a name, with its record.
pub async fn find(state: &AppState, name: &str) -> Result<Option<(Record, Supplier)>, Problem> {
    if check_supplier_name("name", name).is_err() {
        return Ok(None);
    }
    let Some(record) = state.reader.record(SUPPLIER, name, state.clock()).await? else { return Ok(None) };
    let supplier = record.read()?;
    Ok(Some((record, supplier)))
}

/// The same; a problem where there is none.
pub async fn known(state: &AppState, name: &str) -> Result<(Record, Supplier), Problem> {
    find(state, name).await?.ok_or_else(|| {
        let shown: String = name.chars().take(64).collect();
        Problem::not_found("unknown_supplier", format!("there is no supplier `{shown}`"))
    })
}

/// All suppliers, by name.
pub async fn all(state: &AppState) -> Result<Vec<(String, Supplier)>, Problem> {
    let query = RecordQuery { kind: SUPPLIER.to_owned(), limit: limits::SUPPLIERS, ..RecordQuery::default() };
    let records = state.reader.records(&query, state.clock()).await?;
    records.into_iter().map(|record| Ok((record.id.clone(), record.read()?))).collect()
}

/// What is known of how a supplier answers.
pub async fn circuit(state: &AppState, name: &str) -> Result<Breaker, Problem> {
    guerdon_fulfilment::circuit(&Doing::of(state), name).await
}

/// Keeps a supplier, new or changed. Answers its secret where that is new; it is shown this once.
pub async fn keep(state: &AppState, actor: &Actor, name: &str, wanted: &Wanted) -> Result<Option<String>, Problem> {
    check_supplier_name("name", name).map_err(invalid)?;
    limits::check_text("title", &wanted.title, limits::TEXT_CHARS).map_err(invalid)?;
    check_url(state, &wanted.url)?;
    let before = find(state, name).await?;
    if before.is_none() && all(state).await?.len() as i64 >= limits::SUPPLIERS {
        return Err(invalid(format!("there are {} suppliers, as many as are allowed", limits::SUPPLIERS)));
    }
    let old = before.as_ref().map(|(_, supplier)| supplier);
    let timeout_ms = wanted.timeout_ms.or(old.map(|old| old.timeout_ms)).unwrap_or(CALL_MS);
    let attempts = wanted.attempts.or(old.map(|old| old.attempts)).unwrap_or(ATTEMPTS);
    let first_retry_ms = wanted.first_retry_ms.or(old.map(|old| old.first_retry_ms)).unwrap_or(FIRST_RETRY_MS);
    within("timeout_ms", timeout_ms, [100, limits::SUPPLIER_CALL_MS])?;
    within("attempts", attempts.into(), [1, MOST_ATTEMPTS.into()])?;
    within("first_retry_ms", first_retry_ms, RETRY_MS)?;
    let (secret, shown) = match old.filter(|_| !wanted.renew_secret) {
        Some(old) => (old.secret.clone(), None),
        None => {
            let secret = webhook::new_secret();
            let sealed = state.keys().seal_secret(PURPOSE, name, secret.as_bytes(), random_bytes());
            (
                sealed.map_err(|error| {
                    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "keys_unavailable", error.to_string())
                })?,
                Some(secret),
            )
        }
    };
    let created_at = old.map_or_else(|| state.clock(), |old| old.created_at);
    let (title, url) = (wanted.title.trim().to_owned(), wanted.url.clone());
    let (active, cancels) = (wanted.active, wanted.cancels);
    let supplier = Supplier { title, url, secret, timeout_ms, attempts, first_retry_ms, active, cancels, created_at };
    let mut event = actor.event(state.clock(), "supplier.keep", &format!("supplier {name}"));
    event.before = old.map(told).unwrap_or_default();
    event.after = json!({ "supplier": told(&supplier), "new_secret": shown.is_some() });
    let record = match before {
        Some((record, _)) => record.with(&supplier)?,
        None => Record::new(SUPPLIER, name, "", &supplier)?,
    };
    state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await?;
    Ok(shown)
}

/// What the audit log keeps of a supplier: no secret.
fn told(supplier: &Supplier) -> serde_json::Value {
    json!({ "url": supplier.url, "timeout_ms": supplier.timeout_ms, "attempts": supplier.attempts, "active": supplier.active,
        "cancels": supplier.cancels })
}

/// Keeps a supplier no longer. Orders that wait for it wait on, until people or the clock end them.
pub async fn forget(state: &AppState, actor: &Actor, name: &str) -> Result<(), Problem> {
    let (record, supplier) = known(state, name).await?;
    let mut event = actor.event(state.clock(), "supplier.forget", &format!("supplier {name}"));
    event.before = told(&supplier);
    Ok(state.engine.write_records(vec![RecordChange::Delete(record)], vec![event]).await?)
}

/// The secret that signs, opened.
fn secret(state: &AppState, name: &str, supplier: &Supplier) -> Result<zeroize::Zeroizing<String>, Problem> {
    let unavailable = |detail: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "keys_unavailable", detail);
    let opened =
        state.keys().open_secret(PURPOSE, name, &supplier.secret).map_err(|error| unavailable(error.to_string()))?;
    let text = String::from_utf8(opened.to_vec()).map_err(|_| unavailable("a stored secret is damaged".to_owned()))?;
    Ok(zeroize::Zeroizing::new(text))
}

fn within(field: &str, value: i64, [least, most]: [i64; 2]) -> Result<(), Problem> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(invalid(format!("`{field}` must be {least} to {most}, not {value}")))
}

fn check_url(state: &AppState, text: &str) -> Result<(), Problem> {
    if text.chars().count() > URL_CHARS {
        return Err(invalid(format!("`url` has more than {URL_CHARS} characters")));
    }
    let url = Url::parse(text).map_err(|error| invalid(format!("`url` cannot be read: {error}")))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("`url` must have neither a query nor a fragment: both are added to it".to_owned()));
    }
    state.outbound.check(&url).map_err(|forbidden| invalid(format!("`url`: {forbidden}")))
}
