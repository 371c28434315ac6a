//! The first page: what the member has, what it is worth, what expires next, and what happened.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use guerdon_core::id::TransactionId;
use guerdon_core::ledger::Wallet;
use guerdon_core::time::Timestamp;
use guerdon_store::read::TransactionRow;
use serde::Deserialize;

use super::own::own;
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::console::{Frame, expires_next, explain_row, render};

/// Transactions of one page.
const PAGE: usize = 20;

struct WalletView {
    title: String,
    available: String,
    worth: String,
    pending: Option<String>,
    expires_next: Option<String>,
}

struct Entry {
    at: String,
    instant: String,
    title: String,
    sentences: Vec<String>,
    points: i64,
    change: String,
    balance: String,
}

#[derive(Template)]
#[template(path = "portal/points.html")]
struct PointsPage {
    frame: Frame,
    place: &'static str,
    wallets: Vec<WalletView>,
    entries: Vec<Entry>,
    /// Where the next page begins.
    next: Option<String>,
    /// Whether this is a later page.
    later: bool,
}

/// Where a page begins.
#[derive(Deserialize)]
pub struct Cursor {
    before: Option<String>,
}

/// `/portal`
pub async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Query(cursor): Query<Cursor>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let before = cursor.before.as_deref().map(str::parse::<TransactionId>).transpose();
    let before = before.map_err(|_| PortalError::not_found(&frame))?;
    let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
    let mut rows = state.reader.transactions(own.id, before, limit).await.or_trouble(&frame)?;
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let now = state.engine.now();
    let page = PointsPage {
        place: "points",
        wallets: own.account.wallets.iter().map(|wallet| wallet_view(&frame, wallet, now)).collect(),
        entries: rows.iter().map(|row| entry(&frame, row)).collect(),
        next: rows.last().filter(|_| more).map(|row| row.id.to_string()),
        later: before.is_some(),
        frame,
    };
    Ok(render(&page))
}

fn wallet_view(frame: &Frame, wallet: &Wallet, now: Timestamp) -> WalletView {
    let available = wallet.spendable(now);
    let currency = frame.program.currency(wallet.currency);
    let worth = frame.money(frame.program.value_of(wallet.currency, available, now));
    let pending = wallet.balance().pending;
    let pending = (pending > 0).then(|| frame.points(wallet.currency, pending));
    WalletView {
        title: currency.map_or("", |currency| currency.name.get(frame.language.tag())).to_owned(),
        available: frame.number(wallet.currency, available),
        worth: frame.say("wallet-worth", [("money", worth.into())]),
        pending: pending.map(|points| frame.say("portal-pending", [("points", points.into())])),
        expires_next: expires_next(frame, wallet, now),
    }
}

fn entry(frame: &Frame, row: &TransactionRow) -> Entry {
    let told = explain_row(frame, row);
    let balance = match told.balance.as_str() {
        "" => String::new(),
        balance => frame.say("history-balance", [("balance", balance.into())]),
    };
    Entry {
        at: frame.time(row.at),
        instant: row.at.to_string(),
        title: told.title,
        sentences: told.sentences,
        points: told.points,
        change: told.change,
        balance,
    }
}
