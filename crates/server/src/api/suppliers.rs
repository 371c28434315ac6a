//! Suppliers: who they are, how they answer, what they call back with, and what they know differently.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Params, Path, page_limit, read};
use super::views::Page;
use crate::AppState;
use crate::fulfilment::supplier::differences::{self, Difference};
use crate::fulfilment::supplier::reconcile::{self, Report};
use crate::fulfilment::supplier::{self, Supplier, Wanted, callback};
use crate::identity::actor::Actor;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, keep, forget))
        .routes(routes!(call_back))
        .routes(routes!(report, compare))
        .routes(routes!(list_differences))
        .routes(routes!(settle))
}

/// A supplier.
#[derive(Serialize, ToSchema)]
struct SupplierView {
    /// The name by which rewards name it.
    name: String,
    /// What people call it.
    title: String,
    /// Where orders are sent.
    url: String,
    /// How long one answer may take, in milliseconds.
    timeout_ms: i64,
    /// How often an order is tried before it is given back.
    attempts: u32,
    /// How long to wait before the second attempt, in milliseconds; then twice as long each time.
    first_retry_ms: i64,
    /// Whether it is called; if not, its orders wait.
    active: bool,
    /// Whether it is told to cancel what was given back.
    cancels: bool,
    /// `closed`: it is called; `open`: it has failed and is left alone; `half_open`: one order tries it.
    circuit: &'static str,
    /// Failures since it last answered.
    failures: u32,
    /// When it last failed, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure_at: Option<String>,
    /// How it last failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<String>,
    /// What signs requests, where it is new; it is shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

async fn view(state: &AppState, name: String, supplier: Supplier) -> Result<SupplierView, Problem> {
    let breaker = supplier::circuit(state, &name).await?;
    let circuit = breaker.circuit(state.clock()).name();
    let (last_failure_at, last_failure) = breaker.last_failure.map(|(at, words)| (at.to_string(), words)).unzip();
    let Supplier { title, url, timeout_ms, attempts, first_retry_ms, active, cancels, .. } = supplier;
    let failures = breaker.failures;
    Ok(SupplierView {
        name,
        title,
        url,
        timeout_ms,
        attempts,
        first_retry_ms,
        active,
        cancels,
        circuit,
        failures,
        last_failure_at,
        last_failure,
        secret: None,
    })
}

/// List suppliers.
#[utoipa::path(get, path = "/v1/suppliers", tag = "suppliers", security(("key" = ["suppliers:read"])),
    responses((status = 200, body = Vec<SupplierView>)))]
async fn list(State(state): State<AppState>) -> Result<Json<Vec<SupplierView>>, Problem> {
    let mut views = Vec::new();
    for (name, supplier) in supplier::all(&state).await? {
        views.push(view(&state, name, supplier).await?);
    }
    Ok(Json(views))
}

/// Get a supplier.
#[utoipa::path(get, path = "/v1/suppliers/{name}", tag = "suppliers", security(("key" = ["suppliers:read"])),
    params(("name" = String, Path)), responses((status = 200, body = SupplierView), (status = 404, body = Problem)))]
async fn get(State(state): State<AppState>, Path(name): Path<String>) -> Result<Json<SupplierView>, Problem> {
    let (_, supplier) = supplier::known(&state, &name).await?;
    view(&state, name, supplier).await.map(Json)
}

/// What is to be kept of a supplier.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SupplierRequest {
    /// What people call it.
    title: String,
    /// Where orders are sent by `POST`, and its list is read by `GET`: https, without a query.
    url: String,
    /// How long one answer may take, 100 to 15,000 milliseconds; 5,000 when left out.
    timeout_ms: Option<i64>,
    /// How often an order is tried before it is given back, 1 to 20; 8 when left out.
    attempts: Option<u32>,
    /// How long to wait before the second attempt, 100 to 600,000 milliseconds; 2,000 when left out.
    first_retry_ms: Option<i64>,
    /// Whether it is called; left out: yes.
    active: Option<bool>,
    /// Whether it knows of cancelling, so that it is told of what was given back; left out: no.
    #[serde(default)]
    cancels: bool,
    /// `true`: it gets a new secret, and the one before counts no longer.
    #[serde(default)]
    renew_secret: bool,
}

/// Keep a supplier, new or changed. The secret of a new one is answered this once.
#[utoipa::path(put, path = "/v1/suppliers/{name}", tag = "suppliers", security(("key" = ["suppliers:write"])),
    params(("name" = String, Path)), request_body = SupplierRequest,
    responses((status = 200, body = SupplierView), (status = 422, description = "`invalid_supplier`", body = Problem)))]
async fn keep(
    State(state): State<AppState>,
    actor: Actor,
    Path(name): Path<String>,
    Body(request): Body<SupplierRequest>,
) -> Result<Json<SupplierView>, Problem> {
    let SupplierRequest { title, url, timeout_ms, attempts, first_retry_ms, active, cancels, renew_secret } = request;
    let active = active.unwrap_or(true);
    let wanted = Wanted { title, url, timeout_ms, attempts, first_retry_ms, active, cancels, renew_secret };
    let secret = supplier::keep(&state, &actor, &name, &wanted).await?;
    let (_, supplier) = supplier::known(&state, &name).await?;
    let view = view(&state, name, supplier).await?;
    Ok(Json(SupplierView { secret, ..view }))
}

/// Keep a supplier no longer. Its orders wait, until people or the clock end them.
#[utoipa::path(delete, path = "/v1/suppliers/{name}", tag = "suppliers", security(("key" = ["suppliers:write"])),
    params(("name" = String, Path)), responses((status = 204), (status = 404, body = Problem)))]
async fn forget(State(state): State<AppState>, actor: Actor, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    supplier::forget(&state, &actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a supplier or carrier calls back with, signed as Standard Webhooks has it; see docs/fulfilment.md.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the body is read after its signature was checked; this describes it")]
struct CallbackRequest {
    /// `order.result` or `order.tracking`.
    #[serde(rename = "type")]
    kind: String,
    /// The `order_id`, and its `status` and `codes`, or its `events`.
    #[schema(value_type = Object)]
    data: serde_json::Value,
}

/// Call back: an order was handed out or is refused, or a parcel is somewhere. The signature (`webhook-id`,
/// `webhook-timestamp`, `webhook-signature`) is all that proves who calls.
#[utoipa::path(post, path = "/v1/suppliers/{name}/callbacks", tag = "suppliers", security(()),
    params(("name" = String, Path)), request_body = CallbackRequest,
    responses((status = 204, description = "It was noted"), (status = 401, description = "`signature_invalid`", body = Problem),
        (status = 404, body = Problem), (status = 409, description = "What is said cannot be", body = Problem),
        (status = 422, body = Problem)))]
async fn call_back(
    State(state): State<AppState>,
    Path(name): Path<String>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (parts, body) = request.into_parts();
    let body = read(body).await?;
    callback::take(&state, &name, &parts.headers, &body).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What came of a comparison.
#[derive(Serialize, ToSchema)]
struct ReportView {
    /// When it was made, RFC 3339.
    at: String,
    /// From when on was compared, RFC 3339.
    from: String,
    /// Until when, RFC 3339.
    to: String,
    /// Orders in the supplier's list.
    listed: usize,
    /// Those that both know alike.
    matched: usize,
    /// Those that they do not, at most 500.
    differences: Vec<LineView>,
    /// How many more there are.
    more: usize,
}

/// An order that is known differently.
#[derive(Serialize, ToSchema)]
struct LineView {
    /// The order, as the supplier names it.
    order_id: String,
    /// `unknown_order`, `not_its_order`, `listed_twice`, `delivered_after_return`, `still_open_here`, `missing_there`,
    /// `refused_after_delivery` or `unfit_answer`.
    what: String,
}

impl From<Report> for ReportView {
    fn from(report: Report) -> Self {
        let line = |line: reconcile::Line| LineView { order_id: line.order, what: line.what };
        Self {
            at: report.at.to_string(),
            from: report.from.to_string(),
            to: report.to.to_string(),
            listed: report.listed,
            matched: report.matched,
            differences: report.differences.into_iter().map(line).collect(),
            more: report.more,
        }
    }
}

/// Get the latest comparison with a supplier.
#[utoipa::path(get, path = "/v1/suppliers/{name}/reconciliation", tag = "suppliers",
    security(("key" = ["suppliers:read"])), params(("name" = String, Path)),
    responses((status = 200, body = ReportView), (status = 404, body = Problem)))]
async fn report(State(state): State<AppState>, Path(name): Path<String>) -> Result<Json<ReportView>, Problem> {
    supplier::known(&state, &name).await?;
    let found = reconcile::latest(&state, &name).await?;
    found.map(|report| Json(report.into())).ok_or_else(|| {
        Problem::not_found("no_report", "nothing was compared yet; ask for it by `POST` with `from` and `to`")
    })
}

/// A time.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CompareRequest {
    /// From when on, RFC 3339.
    from: String,
    /// Until when, RFC 3339; now when left out.
    to: Option<String>,
}

/// Compare what a supplier says that it has delivered in a time with what we know, 92 days at the most.
#[utoipa::path(post, path = "/v1/suppliers/{name}/reconciliation", tag = "suppliers",
    security(("key" = ["suppliers:write"])), params(("name" = String, Path)), request_body = CompareRequest,
    responses((status = 201, body = ReportView), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 502, description = "`supplier_unavailable`", body = Problem)))]
async fn compare(
    State(state): State<AppState>,
    actor: Actor,
    Path(name): Path<String>,
    Body(request): Body<CompareRequest>,
) -> Result<(StatusCode, Json<ReportView>), Problem> {
    let moment = |field: &str, text: &str| {
        let unfit =
            |error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", format!("`{field}`: {error}"));
        Timestamp::parse_rfc3339(text).map_err(unfit)
    };
    let from = moment("from", &request.from)?;
    let to = request.to.as_deref().map_or_else(|| Ok(state.clock()), |to| moment("to", to))?;
    let report = reconcile::run(&state, &actor, &name, from, to).await?;
    Ok((StatusCode::CREATED, Json(report.into())))
}

/// Something that a supplier and we know differently.
#[derive(Serialize, ToSchema)]
struct SupplierDifferenceView {
    /// Its id.
    id: String,
    /// The supplier.
    supplier: String,
    /// The order, as the supplier names it.
    order_id: String,
    /// What, such as `delivered_after_return`, `unreadable_answer` or `code_given_before`.
    what: String,
    /// In words.
    detail: String,
    /// When it was noticed first, RFC 3339.
    at: String,
}

impl From<(String, Difference)> for SupplierDifferenceView {
    fn from((id, difference): (String, Difference)) -> Self {
        let Difference { supplier, order, what, detail, at } = difference;
        Self { id, supplier, order_id: order, what, detail, at: at.to_string() }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DifferenceParams {
    /// Of one supplier only.
    supplier: Option<String>,
    /// Items of a page, 1–200; 50 when left out.
    limit: Option<i64>,
    /// The cursor of the page before.
    after: Option<String>,
}

/// List what suppliers and we know differently, and nobody has settled.
#[utoipa::path(get, path = "/v1/differences", tag = "suppliers", security(("key" = ["suppliers:read"])),
    params(DifferenceParams), responses((status = 200, body = Page<SupplierDifferenceView>), (status = 400, body = Problem)))]
async fn list_differences(
    State(state): State<AppState>,
    Params(params): Params<DifferenceParams>,
) -> Result<Json<Page<SupplierDifferenceView>>, Problem> {
    let limit = page_limit(params.limit)?;
    let found = differences::list(&state, params.supplier.as_deref(), params.after, limit + 1).await?;
    Ok(Json(Page::cut(found, limit, |(id, _)| id.clone()).map(SupplierDifferenceView::from)))
}

/// What came of a difference.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SettleRequest {
    /// The `id` of the difference.
    id: String,
    /// What came of it, for the audit log.
    note: String,
}

/// Settle a difference: it was looked at, and leaves the list.
#[utoipa::path(post, path = "/v1/differences/settle", tag = "suppliers", security(("key" = ["suppliers:write"])),
    request_body = SettleRequest, responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn settle(
    State(state): State<AppState>,
    actor: Actor,
    Body(request): Body<SettleRequest>,
) -> Result<StatusCode, Problem> {
    differences::settle(&state, &actor, &request.id, &request.note).await?;
    Ok(StatusCode::NO_CONTENT)
}
