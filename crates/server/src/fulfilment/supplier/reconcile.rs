//! Reconciliation: what a supplier says that it has delivered, beside what we know.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use guerdon_core::fulfilment::{DELIVERY_KEY_CHARS, DeliveryKey, Item, listed_differently, short};
use guerdon_core::id::OrderId;
use guerdon_core::redemption::{Funds, Order};
use guerdon_core::time::Timestamp;
use guerdon_store::{Record, RecordChange};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::form_urlencoded;

use super::{call, delivery, known};
use crate::AppState;
use crate::identity::actor::Actor;
use crate::problem::Problem;

/// The kind of the records; the id is the supplier's name. The latest report is kept.
const REPORT: &str = "reconciliation";
/// Pages of a supplier's list that are read, and orders of all of them; of ours as many. What a request can look through in
/// its time.
const PAGES: usize = 100;
const ORDERS: usize = 20_000;
/// How long reading its list may take, so that there is time left for what comes after.
const LIST_TIME: Duration = Duration::from_secs(20);
/// Differences that a report names; more are counted.
const NAMED: usize = 500;
/// The longest time that is compared, in milliseconds (92 days).
const LONGEST_MS: i64 = 92 * 86_400_000;
/// How much earlier and later than asked for the supplier may have noted the same delivery, in milliseconds (an hour).
const MARGIN_MS: i64 = 3_600_000;
/// Orders, and deliveries, read at once.
const SLICE: usize = 500;

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When it was made.
    pub at: Timestamp,
    /// From when on was compared.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Orders in the supplier's list.
    pub listed: usize,
    /// Those that both know alike.
    pub matched: usize,
    /// Those that they do not, at most 500.
    pub differences: Vec<Line>,
    /// How many more there are.
    pub more: usize,
}

/// An order that is known differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The order, as the supplier names it.
    pub order: String,
    /// `unknown_order`, `not_its_order`, `listed_twice`, `delivered_after_return`, `still_open_here`, `missing_there`,
    /// `refused_after_delivery` or `unfit_answer`.
    pub what: String,
}

/// A page of a supplier's list.
#[derive(Deserialize)]
struct Page {
    orders: Vec<Listed>,
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    order_id: String,
    status: String,
}

/// Compares what was delivered in a time, and keeps the report.
pub async fn run(
    state: &AppState,
    actor: &Actor,
    name: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Report, Problem> {
    if from >= to || to.as_millis().saturating_sub(from.as_millis()) > LONGEST_MS {
        let detail = "`to` must come after `from`, by 92 days at the most";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail));
    }
    let listed = read_list(state, name, from, to).await?;
    let mut report = Report { at: state.clock(), from, to, listed: 0, matched: 0, differences: Vec::new(), more: 0 };
    let all: Vec<(&String, &Vec<String>)> = listed.iter().collect();
    for slice in all.chunks(SLICE) {
        let key_of = |order: &str| order.parse::<DeliveryKey>().ok();
        let ids: Vec<OrderId> = slice.iter().filter_map(|(order, _)| Some(key_of(order)?.order)).collect();
        let ours = state.reader.orders(&ids).await?;
        for (order, statuses) in slice {
            report.listed += statuses.len();
            let found = key_of(order).and_then(|key| Some((ours.get(&key.order)?, key)));
            match judge(state, name, found.map(|(order, key)| (key, order)), statuses).await? {
                None => report.matched += 1,
                Some(what) => report.note(order, what),
            }
        }
    }
    missing(state, name, &listed, &mut report).await?;
    let (found, before) =
        (report.differences.len() + report.more, state.reader.record(REPORT, name, state.clock()).await?);
    let mut event = actor.event(state.clock(), "supplier.reconcile", &format!("supplier {name}"));
    event.after = json!({ "from": from, "to": to, "listed": report.listed, "differences": found });
    let record = match before {
        Some(record) => record.with(&report)?,
        None => Record::new(REPORT, name, "", &report)?,
    };
    state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await?;
    Ok(report)
}

/// The latest report of a supplier.
pub async fn latest(state: &AppState, name: &str) -> Result<Option<Report>, Problem> {
    let record = state.reader.record(REPORT, name, state.clock()).await?;
    Ok(record.map(|record| record.read()).transpose()?)
}

impl Report {
    fn note(&mut self, order: &str, what: &str) {
        if self.differences.len() < NAMED {
            self.differences.push(Line { order: short(order), what: what.to_owned() });
        } else {
            self.more += 1;
        }
    }
}

/// The supplier's list: each order with all that is said of it.
async fn read_list(
    state: &AppState,
    name: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<BTreeMap<String, Vec<String>>, Problem> {
    let late = |_| {
        let detail =
            format!("the list of `{name}` took more than {} seconds; compare a shorter time", LIST_TIME.as_secs());
        Problem::new(StatusCode::BAD_GATEWAY, "supplier_unavailable", detail)
    };
    tokio::time::timeout(LIST_TIME, read_pages(state, name, from, to)).await.map_err(late)?
}

async fn read_pages(
    state: &AppState,
    name: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<BTreeMap<String, Vec<String>>, Problem> {
    let (_, supplier) = known(state, name).await?;
    let failed = |words: String| {
        let detail = format!("the list of `{name}` cannot be read: {words}");
        Problem::new(StatusCode::BAD_GATEWAY, "supplier_unavailable", detail)
    };
    let (mut listed, mut count, mut after) = (BTreeMap::<String, Vec<String>>::new(), 0, None::<String>);
    for _ in 0..PAGES {
        let query = query(from, to, after.as_deref());
        let bytes = call::list(state, name, &supplier, &query).await?.map_err(failed)?;
        let page: Page = serde_json::from_slice(&bytes).map_err(|error| {
            failed(format!("it is not as expected, in line {} column {}", error.line(), error.column()))
        })?;
        count += page.orders.len();
        if count > ORDERS {
            return Err(too_many(format!("the list of `{name}` has more than {ORDERS} orders")));
        }
        for Listed { order_id, status } in page.orders {
            listed.entry(order_id.chars().take(DELIVERY_KEY_CHARS).collect()).or_default().push(status);
        }
        match page.next.filter(|next| !next.is_empty()) {
            // A list that goes in a circle ends here as well.
            Some(next) if after.as_ref() != Some(&next) => after = Some(next.chars().take(500).collect()),
            _ => return Ok(listed),
        }
    }
    Err(too_many(format!("the list of `{name}` has more than {PAGES} pages")))
}

fn query(from: Timestamp, to: Timestamp, after: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("from", &from.plus_millis(-MARGIN_MS).to_string());
    query.append_pair("to", &to.plus_millis(MARGIN_MS).to_string());
    if let Some(after) = after {
        query.append_pair("after", after);
    }
    query.finish()
}

/// What is wrong with an order of the list; `found`: as we know it.
async fn judge(
    state: &AppState,
    name: &str,
    found: Option<(DeliveryKey, &Order)>,
    statuses: &[String],
) -> Result<Option<&'static str>, Problem> {
    if statuses.len() > 1 {
        return Ok(Some("listed_twice"));
    }
    let Some((key, found)) = found else { return Ok(Some("unknown_order")) };
    let program = state.program();
    let its = |item: &Item<'_>| item.supplier() == Some(name) && item.key() == key;
    let Some(item) = Item::all(&program, found).into_iter().find(its) else { return Ok(Some("not_its_order")) };
    let status = statuses.first().map_or("", String::as_str);
    let stage = match found.state.funds() {
        Funds::Held if item.handing.is_part => delivery::read(state, &key).await?.map(|delivery| delivery.stage),
        _ => None,
    };
    Ok(listed_differently(&item, status, stage))
}

/// What we believe delivered, and the supplier does not list.
async fn missing(
    state: &AppState,
    name: &str,
    listed: &BTreeMap<String, Vec<String>>,
    report: &mut Report,
) -> Result<(), Problem> {
    let (mut after, mut ours) = (None, 0);
    loop {
        let time = [report.from, report.to];
        let slice = delivery::delivered(state, name, time, after.as_ref(), SLICE as i64).await?;
        ours += slice.len();
        if ours > ORDERS {
            return Err(too_many(format!("more than {ORDERS} orders were delivered")));
        }
        for record in &slice {
            if !listed.contains_key(&record.id) {
                report.note(&record.id, "missing_there");
            }
        }
        after = slice.into_iter().nth(SLICE - 1);
        if after.is_none() {
            return Ok(());
        }
    }
}

fn too_many(words: String) -> Problem {
    let detail = format!("{words} in this time; compare a shorter time");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail)
}
