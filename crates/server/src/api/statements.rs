//! Monthly statements of a member's points.

use axum::Json;
use axum::extract::State;
use guerdon_core::id::MemberId;
use guerdon_core::ledger::{CurrencyId, Statement};
use guerdon_core::program::Program;
use guerdon_core::time::Month;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Path, id};
use super::members::unknown_member;
use crate::AppState;
use crate::problem::Problem;
use crate::statement::{self, Monthly};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(months)).routes(routes!(month))
}

/// The months of which there are statements.
#[derive(Serialize, ToSchema)]
struct MonthsView {
    /// `2026-01`, newest first; the present month is the first.
    months: Vec<String>,
}

/// The statement of a month.
#[derive(Serialize, ToSchema)]
struct StatementView {
    /// `mem_…`.
    member_id: String,
    /// `2026-01`.
    month: String,
    /// Whether the month is over. An activity that arrives later still belongs to the month in which it happened.
    complete: bool,
    /// By currency.
    wallets: Vec<WalletStatement>,
}

/// `closing = opening + earned − spent − expired − taken_back + adjusted + merged`, in points.
#[derive(Serialize, ToSchema)]
struct WalletStatement {
    /// The currency's code.
    currency: String,
    /// Points before the month: available, pending and held together.
    opening: i64,
    /// What rules gave.
    earned: i64,
    /// What each rule gave.
    earned_by_rule: Vec<EarnedByRule>,
    /// Spent on rewards, less what was refunded.
    spent: i64,
    /// Expired or forfeited.
    expired: i64,
    /// Taken back after returns.
    taken_back: i64,
    /// Added by operators, less what they took.
    adjusted: i64,
    /// Brought by other accounts of the person that were merged into this one.
    merged: i64,
    /// Points after the month: available, pending and held together.
    closing: i64,
    /// How many of them were not active yet.
    pending: i64,
    /// How many of them were set aside for orders.
    held: i64,
    /// When the closing points expire, the next first; those that never expire are not listed.
    expiring: Vec<ExpiringPoints>,
}

/// What a rule gave.
#[derive(Serialize, ToSchema)]
struct EarnedByRule {
    /// The id of the rule.
    rule: String,
    /// Points.
    points: i64,
}

/// Points that expire together.
#[derive(Serialize, ToSchema)]
struct ExpiringPoints {
    /// Points.
    points: i64,
    /// RFC 3339, exclusive.
    expires_at: String,
}

/// The months of which a member has statements.
#[utoipa::path(get, path = "/v1/members/{member_id}/statements", tag = "members",
    security(("key" = ["members:read@store"])), params(("member_id" = String, Path)),
    responses((status = 200, body = MonthsView), (status = 404, body = Problem)))]
async fn months(State(state): State<AppState>, Path(text): Path<String>) -> Result<Json<MonthsView>, Problem> {
    let (member, _) = state.reader.resolve(id(&text)?).await?.ok_or_else(|| unknown_member(&text))?;
    let months = statement::months(&state, member).await?;
    Ok(Json(MonthsView { months: months.iter().map(Month::to_string).collect() }))
}

/// The statement of a month: opening, earned by rule, spent, expired, closing, and what expires next.
#[utoipa::path(get, path = "/v1/members/{member_id}/statements/{month}", tag = "members",
    security(("key" = ["members:read@store"])),
    params(("member_id" = String, Path), ("month" = String, Path, description = "`2026-01`, in the program's time zone")),
    responses((status = 200, body = StatementView), (status = 404, description = "`unknown_member` or `no_statement`",
        body = Problem)))]
async fn month(
    State(state): State<AppState>,
    Path((text, month)): Path<(String, String)>,
) -> Result<Json<StatementView>, Problem> {
    let (member, _) = state.reader.resolve(id(&text)?).await?.ok_or_else(|| unknown_member(&text))?;
    let month: Month = month.parse().map_err(|problem: String| Problem::not_found("no_statement", problem))?;
    let found = statement::read(&state, member, month).await?;
    let found = found.ok_or_else(|| {
        let detail = format!("{member} has no statement of {month}; `/statements` lists the months");
        Problem::not_found("no_statement", detail)
    })?;
    Ok(Json(view(&state.program(), member, found)))
}

fn view(program: &Program, member: MemberId, monthly: Monthly) -> StatementView {
    let Monthly { month, complete, wallets, .. } = monthly;
    let wallets = wallets.into_iter().map(|(currency, statement)| wallet(program, currency, statement)).collect();
    StatementView { member_id: member.to_string(), month: month.to_string(), complete, wallets }
}

fn wallet(program: &Program, currency: CurrencyId, statement: Statement) -> WalletStatement {
    let code = program.currency(currency).map_or_else(|| currency.0.to_string(), |known| known.code.clone());
    WalletStatement {
        currency: code,
        opening: statement.opening,
        earned: statement.earned_in_all(),
        earned_by_rule: statement.earned.into_iter().map(|(rule, points)| EarnedByRule { rule, points }).collect(),
        spent: statement.spent,
        expired: statement.expired,
        taken_back: statement.taken_back,
        adjusted: statement.adjusted,
        merged: statement.merged,
        closing: statement.closing,
        pending: statement.pending,
        held: statement.held,
        expiring: statement
            .expiring
            .into_iter()
            .map(|(expires_at, points)| ExpiringPoints { points, expires_at: expires_at.to_string() })
            .collect(),
    }
}
