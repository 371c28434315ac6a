//! The monthly statement of a member's points as a page that can be printed: for operators here, for members in the portal.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::MemberId;
use guerdon_core::ledger::{CurrencyId, Statement};
use guerdon_core::time::{Month, Timestamp};

use super::format;
use super::frame::{Frame, render};
use super::member::{Subject, find};
use super::nav::Place;
use super::trouble::{OrPage, PageError};
use crate::AppState;
use crate::statement::{self, Monthly};

/// Lines that say what expires at the most; the rest stands in the API.
const EXPIRING: usize = 6;

/// A line of a statement: what it is, and the points with their sign.
pub struct Line {
    /// What it is.
    pub label: String,
    /// The points.
    pub points: String,
    /// Whether it is one part of the line above it.
    pub part: bool,
    /// Whether it is a balance.
    pub balance: bool,
}

/// The statement of one wallet as shown.
pub struct WalletStatement {
    /// The name of its currency.
    pub title: String,
    /// From the opening to the closing balance.
    pub lines: Vec<Line>,
    /// What of the closing balance cannot be spent yet.
    pub notes: Vec<String>,
    /// Which points expire when.
    pub expiring: Vec<(String, String)>,
}

/// A statement as shown, with the months around it.
pub struct Sheet {
    /// `2026-01`.
    pub month: String,
    /// Where its links lead, without the month.
    pub place: String,
    /// The month before, when there is a statement of it.
    pub previous: Option<String>,
    /// The month after, when there is a statement of it.
    pub next: Option<String>,
    /// That the month is not over.
    pub note: Option<String>,
    /// One for each currency.
    pub wallets: Vec<WalletStatement>,
}

/// Makes the sheet of a month ready; `None`: there is no such statement.
pub async fn sheet(
    state: &AppState,
    frame: &Frame,
    member: MemberId,
    month: &str,
    place: String,
) -> Result<Option<Sheet>, guerdon_store::StoreError> {
    let Ok(month) = month.parse::<Month>() else { return Ok(None) };
    let Some(monthly) = statement::read(state, member, month).await? else { return Ok(None) };
    let Monthly { previous, next, complete, wallets, .. } = monthly;
    Ok(Some(Sheet {
        month: month.to_string(),
        place,
        previous: previous.map(|month| month.to_string()),
        next: next.map(|month| month.to_string()),
        note: (!complete).then(|| frame.t("statement-open")),
        wallets: wallets.iter().map(|(currency, statement)| wallet(frame, *currency, statement)).collect(),
    }))
}

fn wallet(frame: &Frame, currency: CurrencyId, statement: &Statement) -> WalletStatement {
    let name = frame.program.currency(currency).map_or("", |currency| currency.name.get(frame.language.tag()));
    let held = [("statement-pending", statement.pending), ("statement-held", statement.held)];
    let notes = held.into_iter().filter(|(_, points)| *points > 0);
    let notes = notes.map(|(key, points)| frame.say(key, [("points", frame.points(currency, points).into())]));
    let expires = |(at, points): (&Timestamp, &i64)| {
        (frame.program.calendar.last_day_before(*at), frame.number(currency, *points))
    };
    WalletStatement {
        title: name.to_owned(),
        lines: lines(frame, currency, statement),
        notes: notes.collect(),
        expiring: statement.expiring.iter().take(EXPIRING).map(expires).collect(),
    }
}

fn lines(frame: &Frame, currency: CurrencyId, statement: &Statement) -> Vec<Line> {
    let balance = |key: &str, points: i64| Line {
        label: frame.t(key),
        points: frame.number(currency, points),
        part: false,
        balance: true,
    };
    let change = |label: String, points: i64, part: bool| Line {
        label,
        points: format::signed(points, frame.decimals(currency)),
        part,
        balance: false,
    };
    let mut lines = vec![
        balance("statement-opening", statement.opening),
        change(frame.t("statement-earned"), statement.earned_in_all(), false),
    ];
    lines.extend(statement.earned.iter().map(|(rule, points)| change(frame.rule_name(rule), *points, true)));
    lines.push(change(frame.t("statement-spent"), -statement.spent, false));
    lines.push(change(frame.t("statement-expired"), -statement.expired, false));
    let rare = [
        ("statement-taken-back", -statement.taken_back),
        ("statement-adjusted", statement.adjusted),
        ("statement-merged", statement.merged),
    ];
    let rare = rare.into_iter().filter(|(_, points)| *points != 0);
    lines.extend(rare.map(|(key, points)| change(frame.t(key), points, false)));
    lines.push(balance("statement-closing", statement.closing));
    lines
}

#[derive(Template)]
#[template(path = "console/statement.html")]
struct StatementPage {
    frame: Frame,
    id: MemberId,
    name: String,
    sheet: Sheet,
}

/// `/console/members/{id}/statements`: the present month.
pub async fn latest(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
) -> Result<Response, PageError> {
    let Subject { id, .. } = find(&state, &frame, &text).await?;
    let months = statement::months(&state, id).await.or_page(&frame)?;
    let month = months.first().ok_or_else(|| PageError::not_found(&frame))?;
    Ok(Redirect::to(&format!("/console/members/{id}/statements/{month}")).into_response())
}

/// `/console/members/{id}/statements/{month}`
pub async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Path((text, month)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Members);
    let Subject { id, name, .. } = find(&state, &frame, &text).await?;
    let place = format!("/console/members/{id}/statements");
    let sheet = sheet(&state, &frame, id, &month, place).await.or_page(&frame)?;
    let sheet = sheet.ok_or_else(|| PageError::not_found(&frame))?;
    Ok(render(&StatementPage { id, name, sheet, frame }))
}
