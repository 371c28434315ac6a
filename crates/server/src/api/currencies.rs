//! Currencies, and what a point of each is worth.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use guerdon_core::program::{Currency, PointValue, Program, ValueVersion};
use guerdon_core::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::approvals::{ApprovalView, waits};
use super::extract::{Body, Path};
use crate::AppState;
use crate::approvals::{self, Act, Permit};
use crate::identity::actor::Actor;
use crate::problem::Problem;

/// Values of the history that are answered, newest first.
const HISTORY: usize = 1_000;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get_value, put_value))
}

/// A currency.
#[derive(Serialize, ToSchema)]
struct CurrencyView {
    /// Its code, such as `points`.
    code: String,
    /// As it was published: id, name, decimals, expiry, bounds of a floating value and so on.
    #[schema(value_type = Object)]
    currency: Currency,
    /// What one smallest unit is worth now, in major units of the program's money; a decimal in text.
    value: String,
}

/// What a point is worth.
#[derive(Serialize, ToSchema)]
struct ValueView {
    /// The currency's code.
    currency: String,
    /// What one smallest unit is worth now, in major units of the program's money; a decimal in text.
    value: String,
    /// Never less than this; left out: the value is fixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    least: Option<String>,
    /// Never more than this; left out: the value is fixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    most: Option<String>,
    /// The values that were published, newest first; 1,000 at most.
    history: Vec<PublishedValue>,
}

/// A value that was published.
#[derive(Serialize, ToSchema)]
struct PublishedValue {
    /// Counts from 1.
    version: i64,
    /// A decimal in text.
    value: String,
    /// RFC 3339.
    effective_from: String,
    /// Why.
    reason: String,
}

/// A value to be published.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewValue {
    /// Major units of the program's money for one smallest unit of the currency, such as `0.0112`.
    #[schema(value_type = String)]
    value: Decimal,
    /// Why.
    reason: String,
}

/// List currencies.
#[utoipa::path(get, path = "/v1/currencies", tag = "program", security(("key" = ["program:read"])),
    responses((status = 200, body = Vec<CurrencyView>)))]
async fn list(State(state): State<AppState>) -> Json<Vec<CurrencyView>> {
    let (program, now) = (state.program(), state.engine.now());
    let view = |currency: &Currency| CurrencyView {
        code: currency.code.clone(),
        currency: currency.clone(),
        value: program.point_value(currency.id, now).normalize().to_string(),
    };
    Json(program.currencies.iter().map(view).collect())
}

/// What a point is worth, and was.
#[utoipa::path(get, path = "/v1/currencies/{code}/value", tag = "program", security(("key" = ["program:read"])),
    params(("code" = String, Path)),
    responses((status = 200, body = ValueView), (status = 404, body = Problem)))]
async fn get_value(State(state): State<AppState>, Path(code): Path<String>) -> Result<Json<ValueView>, Problem> {
    let program = state.program();
    let currency = program.currency_by_code(&code).ok_or_else(|| unknown_currency(&code))?;
    Ok(Json(view(&program, currency, state.engine.now())))
}

fn unknown_currency(code: &str) -> Problem {
    let shown: String = code.chars().take(64).collect();
    Problem::not_found("unknown_currency", format!("there is no currency `{shown}`"))
}

fn view(program: &Program, currency: &Currency, now: Timestamp) -> ValueView {
    let (least, most) = currency.floating.as_ref().map(|bounds| (bounds.least, bounds.most)).unzip();
    ValueView {
        currency: currency.code.clone(),
        value: program.point_value(currency.id, now).normalize().to_string(),
        least: least.map(|least| least.normalize().to_string()),
        most: most.map(|most| most.normalize().to_string()),
        history: program.values(currency.id).iter().rev().take(HISTORY).map(published).collect(),
    }
}

fn published(version: &ValueVersion) -> PublishedValue {
    PublishedValue {
        version: version.version,
        value: version.published.value.normalize().to_string(),
        effective_from: version.effective_from.to_string(),
        reason: version.published.reason.clone(),
    }
}

/// Publish what a point of a floating currency is worth from now on, within its bounds. Waits for another operator, unless
/// the policy lets programs be published at once.
#[utoipa::path(put, path = "/v1/currencies/{code}/value", tag = "program", security(("key" = ["program:write"])),
    params(("code" = String, Path)), request_body = NewValue,
    responses((status = 200, body = ValueView), (status = 202, description = "Waits", body = ApprovalView),
        (status = 404, body = Problem),
        (status = 422, description = "`invalid_value`: beyond the bounds, or the value is fixed", body = Problem)))]
async fn put_value(
    State(state): State<AppState>,
    actor: Actor,
    Path(code): Path<String>,
    Body(new): Body<NewValue>,
) -> Result<Response, Problem> {
    let value = PointValue { value: new.value, reason: new.reason };
    let program = state.program();
    program.currency_by_code(&code).ok_or_else(|| unknown_currency(&code))?;
    approvals::check_value(&program, &code, &value)?;
    let act = Act::Value { currency: code.clone(), value: value.value };
    match approvals::ask(&state, &actor, act, &value.reason, None).await? {
        Permit::Waits(id) => waits(&state, &id).await,
        Permit::Now => {
            approvals::publish_value(&state, &actor, &code, value).await?;
            get_value(State(state), Path(code)).await.map(IntoResponse::into_response)
        }
    }
}
