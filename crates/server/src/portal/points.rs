//! The first page: what the member has, what it is worth, what expires next, and what happened.

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::{MemberId, TransactionId};
use guerdon_core::kernel::{Command, Payment, RefusalCode};
use guerdon_core::ledger::{Account, Wallet};
use guerdon_core::time::Timestamp;
use guerdon_store::CommandError;
use guerdon_store::read::TransactionRow;
use serde::Deserialize;

use super::orders::benefit_words;
use super::own::{Own, last_known_words, own, own_or_last_known};
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::console::{Frame, TierView, ahead, expires_next, explain_row, render, tier_view, worth};
use crate::degraded::mark;

/// Transactions of one page.
const PAGE: usize = 20;

struct WalletView {
    title: String,
    available: String,
    worth: String,
    expires_next: Option<String>,
    /// What else lies ahead.
    ahead: Vec<String>,
    /// That points can be extended for points: what for, and the currency's code.
    extension: Option<(String, String)>,
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
    /// That this is what was last known, and as of when.
    last_known: Option<String>,
    /// Why points were not extended.
    trouble: Option<String>,
    /// The version of the account that the page shows: the key of what is asked for on it.
    seen: i64,
    wallets: Vec<WalletView>,
    tier: Option<TierView>,
    /// The privileges and trials that hold now.
    benefits: Vec<String>,
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
    show(frame, &state, &cursor, None).await
}

/// Which points are to be extended, as the page asked.
#[derive(Deserialize)]
pub struct ExtendForm {
    currency: String,
    seen: i64,
}

/// Extends the points of a currency for points.
pub async fn extend(
    frame: Frame,
    State(state): State<AppState>,
    Form(form): Form<ExtendForm>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let currency = frame.program.currency_by_code(&form.currency).map(|currency| currency.id);
    let currency = currency.ok_or_else(|| PortalError::not_found(&frame))?;
    // The version is in the key: the same form sent twice extends once.
    let key = format!("portal extend {} {}", currency.0, form.seen);
    let command = Command::extend(own.id, &key, state.engine.now(), currency, Payment::Points).or_trouble(&frame)?;
    match state.engine.submit_one(command.from_channel("portal").by(frame.actor.name())).await {
        Ok(_) => Ok(Redirect::to("/portal").into_response()),
        Err(CommandError::Refused(refusal)) => {
            let key = match refusal.code {
                RefusalCode::InsufficientPoints => "portal-extend-too-few",
                _ => "portal-extend-not-now",
            };
            let words = frame.t(key);
            let mut response = show(frame, &state, &Cursor { before: None }, Some(words)).await?;
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(response)
        }
        Err(error) => Err(error).or_trouble(&frame),
    }
}

async fn show(
    frame: Frame,
    state: &AppState,
    cursor: &Cursor,
    trouble: Option<String>,
) -> Result<Response, PortalError> {
    let (own, as_of) = own_or_last_known(state, &frame).await?;
    let before = cursor.before.as_deref().map(str::parse::<TransactionId>).transpose();
    let before = before.map_err(|_| PortalError::not_found(&frame))?;
    let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
    let now = state.engine.now();
    let (mut rows, benefits) = match as_of {
        None => {
            let rows = state.reader.transactions(own.id, before, limit).await.or_trouble(&frame)?;
            (rows, benefits(&frame, state, &own, now).await?)
        }
        // A later page has nothing but history.
        Some(_) if before.is_some() => return Err(PortalError::away(&frame, &state.degraded.not_remembered())),
        Some(_) => (Vec::new(), Vec::new()),
    };
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    // Tier value is told with the tier.
    let money = own.account.wallets.iter().filter(|wallet| !own.account.standing.is_growth(wallet.currency));
    let page = PointsPage {
        place: "points",
        trouble,
        seen: own.account.version,
        last_known: as_of.map(|at| last_known_words(&frame, at)),
        wallets: money.map(|wallet| wallet_view(&frame, &own.account, wallet, now, as_of.is_none())).collect(),
        tier: tier_view(&frame, &own.account, now),
        benefits,
        entries: rows.iter().map(|row| entry(&frame, row)).collect(),
        next: rows.last().filter(|_| more).map(|row| row.id.to_string()),
        later: before.is_some(),
        frame,
    };
    Ok(mark(render(&page), as_of, state.clock()))
}

/// The privileges and trials that hold now, in words.
async fn benefits(frame: &Frame, state: &AppState, own: &Own, now: Timestamp) -> Result<Vec<String>, PortalError> {
    let accounts: Vec<MemberId> = own.account.merged_from.iter().copied().chain([own.id]).collect();
    let orders = state.reader.orders_good(&accounts, now).await.or_trouble(frame)?;
    let held = orders.iter().flat_map(|order| order.benefits().filter(|(_, _, until)| *until > now));
    Ok(held.map(|benefit| benefit_words(frame, benefit)).collect())
}

fn wallet_view(frame: &Frame, account: &Account, wallet: &Wallet, now: Timestamp, acts: bool) -> WalletView {
    let available = wallet.spendable(now);
    let currency = frame.program.currency(wallet.currency);
    WalletView {
        title: currency.map_or("", |currency| currency.name.get(frame.language.tag())).to_owned(),
        available: frame.number(wallet.currency, available),
        worth: worth(frame, wallet, available, now),
        expires_next: expires_next(frame, wallet, now),
        ahead: ahead(frame, account, wallet),
        extension: extension(frame, wallet, now).filter(|_| acts),
    }
}

/// What an extension costs and gives, where the program offers it and there are points that expire.
fn extension(frame: &Frame, wallet: &Wallet, now: Timestamp) -> Option<(String, String)> {
    let currency = frame.program.currency(wallet.currency)?;
    let paid = currency.life.extension.as_ref()?.paid.as_ref()?;
    let points = paid.points?;
    expires_next(frame, wallet, now)?;
    let price = frame.points(wallet.currency, points).into();
    Some((frame.say("portal-extend", [("points", price), ("count", paid.days.into())]), currency.code.clone()))
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
