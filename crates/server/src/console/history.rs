//! A member's transactions, newest first, page by page.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use guerdon_core::id::{MemberId, TransactionId};
use guerdon_store::read::TransactionRow;
use serde::Deserialize;

use super::explain::{Explanation, explain};
use super::frame::{Frame, render};
use super::nav::Place;
use super::trouble::{OrPage, PageError};
use crate::AppState;

/// Transactions of one page.
const PAGE: i64 = 20;

/// Where a page of transactions begins.
#[derive(Deserialize, Default)]
pub struct Cursor {
    before: Option<String>,
}

/// A transaction as shown.
pub struct Entry {
    /// Its id.
    pub id: String,
    /// When, in the program's time zone.
    pub at: String,
    /// When, RFC 3339.
    pub instant: String,
    /// Where it came from, and the caller's own number.
    pub origin: String,
    /// The balance afterwards; empty when it is not known.
    pub balance: String,
    /// In words.
    pub told: Explanation,
    /// Whether it is proved in the log.
    pub proved: bool,
}

/// A page of a member's transactions.
pub struct History {
    /// Whose.
    pub member_id: MemberId,
    /// Newest first.
    pub entries: Vec<Entry>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// Reads the page after a cursor; an unfit cursor is a page that is not there.
pub async fn read(state: &AppState, frame: &Frame, id: MemberId, cursor: &Cursor) -> Result<History, PageError> {
    let before = match &cursor.before {
        None => None,
        Some(text) => Some(text.parse::<TransactionId>().map_err(|_| PageError::not_found(frame))?),
    };
    let mut rows = state.reader.transactions(id, before, PAGE + 1).await.or_page(frame)?;
    let page = usize::try_from(PAGE).unwrap_or_default();
    let more = rows.len() > page;
    rows.truncate(page);
    let next = rows.last().filter(|_| more).map(|row| row.id.to_string());
    let mut entries = Vec::with_capacity(rows.len());
    for row in &rows {
        let proved = state.reader.log_position(row.id).await.or_page(frame)?.is_some();
        entries.push(entry(frame, row, proved));
    }
    Ok(History { member_id: id, entries, next })
}

fn entry(frame: &Frame, row: &TransactionRow, proved: bool) -> Entry {
    let channel = match row.channel.as_str() {
        known @ ("api" | "import" | "console" | "portal" | "system") => frame.t(&format!("channel-{known}")),
        other => other.to_owned(),
    };
    let origin = match &row.reference {
        None => channel,
        Some(reference) => format!("{channel} · {reference}"),
    };
    let told = explain(frame, row);
    let balance = match told.balance.as_str() {
        "" => String::new(),
        balance => frame.say("history-balance", [("balance", balance.into())]),
    };
    Entry { id: row.id.to_string(), at: frame.time(row.at), instant: row.at.to_string(), origin, balance, told, proved }
}

#[derive(Template)]
#[template(path = "console/history.html")]
struct Rows {
    frame: Frame,
    history: History,
}

/// More rows for a list that is on the page already.
pub async fn rows(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Query(cursor): Query<Cursor>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Members);
    let id: MemberId = text.parse().map_err(|_| PageError::unknown_member(&frame))?;
    let history = read(&state, &frame, id, &cursor).await?;
    Ok(render(&Rows { frame, history }))
}
