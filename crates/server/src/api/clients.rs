//! Partners' programs (OAuth2 clients): register, list, change, suspend, rotate, delete.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api_keys::RetiringView;
use super::extract::Body;
use super::views::Page;
use crate::AppState;
use crate::identity::actor::Actor;
use crate::identity::allowance::Allowance;
use crate::identity::client::{ClientSecret, ClientState};
use crate::identity::clients::{self, ClientTerms, Known};
use crate::identity::keys::invalid;
use crate::identity::limit::Limit;
use crate::identity::usage::{Usage, UsageQuota, Used};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(register, list))
        .routes(routes!(get, change, delete))
        .routes(routes!(used))
        .routes(routes!(rotate))
        .routes(routes!(suspend))
        .routes(routes!(resume))
}

/// What a partner's program may do.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClientRequest {
    /// The partner, and what it is for.
    #[schema(example = "Airline partner")]
    name: String,
    /// What its tokens may do at the most, which are their scopes; nothing that you may not do yourself.
    #[schema(example = json!(["members:read", "activities:write"]))]
    permissions: Vec<String>,
    /// In which stores; left out: in all.
    #[serde(default)]
    stores: Vec<String>,
    /// From which addresses or networks it may come, such as `192.0.2.0/24`; left out: from all.
    #[serde(default)]
    networks: Vec<String>,
    /// How often it may ask, with all its tokens together; left out: as often as the server
    /// lets every partner.
    #[schema(value_type = Option<String>, example = "90/min burst 200")]
    rate: Option<Limit>,
    /// Requests of a day and of a month (UTC) at the most; left out: any number.
    #[serde(default, deserialize_with = "super::extract::object")]
    #[schema(value_type = Object, example = json!({"per_day": 100_000, "per_month": 2_000_000}))]
    quota: UsageQuota,
}

impl ClientRequest {
    fn terms(self) -> Result<ClientTerms, Problem> {
        let Self { name, permissions, stores, networks, rate, quota } = self;
        let allowance = Allowance::parse(&permissions, stores, &networks, rate).map_err(invalid)?;
        Ok(ClientTerms { name, allowance, quota })
    }
}

/// A partner's program, without its secrets.
#[derive(Serialize, ToSchema)]
struct ClientView {
    /// `cli_…`, the `client_id`.
    id: String,
    /// The partner, and what it is for.
    name: String,
    /// Whether it may call.
    state: ClientState,
    /// What its tokens may do at the most.
    permissions: Vec<&'static str>,
    /// In which stores; left out: in all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stores: Vec<String>,
    /// From which networks; left out: from all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    networks: Vec<String>,
    /// How often it may ask, where it has a rate of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "90/min burst 200")]
    rate: Option<Limit>,
    /// Requests of a day and of a month (UTC) at the most.
    #[schema(value_type = Object)]
    quota: UsageQuota,
    /// When it was last here, to the minute; left out: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
    /// The visible beginning of the secret in use.
    secret_prefix: String,
    /// Older secrets that still count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    retiring: Vec<RetiringView>,
    /// Since when.
    created_at: String,
    /// Who registered it.
    created_by: String,
}

impl ClientView {
    fn new(known: Known, now: Timestamp) -> Self {
        let Known { id, client, last_used_at, .. } = known;
        let mut secrets: Vec<ClientSecret> = client.secrets.into_iter().filter(|secret| secret.holds(now)).collect();
        let newest = secrets.pop();
        let retiring = secrets.into_iter();
        let retiring =
            retiring.map(|old| RetiringView { prefix: old.prefix, ends_at: old.expires_at.map(|end| end.to_string()) });
        Self {
            id,
            name: client.name,
            state: client.state,
            permissions: client.allowance.permissions.iter().map(|one| one.name()).collect(),
            networks: client.allowance.network_names(),
            stores: client.allowance.stores,
            rate: client.allowance.rate,
            quota: client.quota,
            last_used_at: last_used_at.map(|at| at.to_string()),
            secret_prefix: newest.map(|secret| secret.prefix).unwrap_or_default(),
            retiring: retiring.collect(),
            created_at: client.created_at.to_string(),
            created_by: client.created_by,
        }
    }
}

/// What was used in a day or month.
#[derive(Serialize, ToSchema)]
pub(super) struct UsedView {
    /// The day, `2026-01-31`, or the month, `2026-01` (UTC).
    period: String,
    /// How many requests.
    count: u64,
}

/// What a program has used, a year of days and months at the most.
pub(super) async fn used_by(state: &AppState, id: &str) -> Result<Page<UsedView>, Problem> {
    let used = Usage::used(&state.reader, id, state.clock()).await?;
    let view = |used: Used| UsedView { period: used.period, count: used.count };
    Ok(Page { items: used.into_iter().map(view).collect(), next: None })
}

/// A client and its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
struct RegisteredClient {
    /// The secret. Keep it: it cannot be shown again.
    #[schema(example = "grd_cls_…")]
    client_secret: String,
    /// What is known of it.
    #[serde(flatten)]
    view: ClientView,
}

/// Register a partner's program. The secret is in the answer, and nowhere else.
#[utoipa::path(post, path = "/v1/clients", tag = "programs",
    security(("key" = ["clients:write"])), request_body = ClientRequest,
    responses((status = 201, body = RegisteredClient), (status = 400, body = Problem),
        (status = 409, description = "`too_many_clients`", body = Problem), (status = 422, body = Problem)))]
async fn register(
    State(state): State<AppState>,
    actor: Actor,
    Body(request): Body<ClientRequest>,
) -> Result<(StatusCode, Json<RegisteredClient>), Problem> {
    let (known, token) = clients::register(&state, &actor, &request.terms()?).await?;
    let client_secret = token.reveal().to_owned();
    let view = ClientView::new(known, state.clock());
    Ok((StatusCode::CREATED, Json(RegisteredClient { client_secret, view })))
}

/// All partners' programs.
#[utoipa::path(get, path = "/v1/clients", tag = "programs", security(("key" = ["clients:read"])),
    responses((status = 200, body = Page<ClientView>)))]
async fn list(State(state): State<AppState>) -> Result<Json<Page<ClientView>>, Problem> {
    let now = state.clock();
    let clients = clients::list(&state).await?;
    Ok(Json(Page { items: clients.into_iter().map(|known| ClientView::new(known, now)).collect(), next: None }))
}

/// A partner's program.
#[utoipa::path(get, path = "/v1/clients/{client_id}", tag = "programs", security(("key" = ["clients:read"])),
    params(("client_id" = String, Path)),
    responses((status = 200, body = ClientView), (status = 404, body = Problem)))]
async fn get(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<ClientView>, Problem> {
    Ok(Json(ClientView::new(clients::find(&state, &id).await?, state.clock())))
}

/// Change what a partner's program may do. Its tokens do no more from now on.
#[utoipa::path(put, path = "/v1/clients/{client_id}", tag = "programs", security(("key" = ["clients:write"])),
    params(("client_id" = String, Path)), request_body = ClientRequest,
    responses((status = 200, body = ClientView), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "Somebody else changed it meanwhile", body = Problem),
        (status = 422, body = Problem)))]
async fn change(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<String>,
    Body(request): Body<ClientRequest>,
) -> Result<Json<ClientView>, Problem> {
    let known = clients::change(&state, &actor, &id, &request.terms()?).await?;
    Ok(Json(ClientView::new(known, state.clock())))
}

/// What a partner's program has used by day and month, the oldest first; counted to some seconds.
#[utoipa::path(get, path = "/v1/clients/{client_id}/usage", tag = "programs", security(("key" = ["clients:read"])),
    params(("client_id" = String, Path)),
    responses((status = 200, body = Page<UsedView>), (status = 404, body = Problem)))]
async fn used(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<Page<UsedView>>, Problem> {
    let known = clients::find(&state, &id).await?;
    Ok(Json(used_by(&state, &known.id).await?))
}

/// Delete a partner's program. Its tokens end with it.
#[utoipa::path(delete, path = "/v1/clients/{client_id}", tag = "programs", security(("key" = ["clients:write"])),
    params(("client_id" = String, Path)),
    responses((status = 204, description = "It is gone; another node may take its tokens for five seconds more"),
        (status = 404, body = Problem)))]
async fn delete(State(state): State<AppState>, actor: Actor, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    clients::delete(&state, &actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How a secret is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClientRotation {
    /// For how long the old secret still counts, up to 30 days; 0: it ends at once.
    #[schema(example = 86_400)]
    overlap_seconds: i64,
}

/// Give a partner's program a new secret. The old one ends after an overlap; one that was ending before ends now.
#[utoipa::path(post, path = "/v1/clients/{client_id}/rotate", tag = "programs",
    security(("key" = ["clients:write"])), params(("client_id" = String, Path)), request_body = ClientRotation,
    responses((status = 201, body = RegisteredClient), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn rotate(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<String>,
    Body(rotation): Body<ClientRotation>,
) -> Result<(StatusCode, Json<RegisteredClient>), Problem> {
    let (known, token) = clients::rotate(&state, &actor, &id, rotation.overlap_seconds).await?;
    let client_secret = token.reveal().to_owned();
    let view = ClientView::new(known, state.clock());
    Ok((StatusCode::CREATED, Json(RegisteredClient { client_secret, view })))
}

/// Suspend a partner's program: it gets no tokens, and those that it has end.
#[utoipa::path(post, path = "/v1/clients/{client_id}/suspend", tag = "programs",
    security(("key" = ["clients:write"])), params(("client_id" = String, Path)),
    responses((status = 200, body = ClientView), (status = 404, body = Problem)))]
async fn suspend(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<ClientView>, Problem> {
    let known = clients::set_state(&state, &actor, &id, ClientState::Suspended).await?;
    Ok(Json(ClientView::new(known, state.clock())))
}

/// Let a suspended program call again.
#[utoipa::path(post, path = "/v1/clients/{client_id}/resume", tag = "programs",
    security(("key" = ["clients:write"])), params(("client_id" = String, Path)),
    responses((status = 200, body = ClientView), (status = 404, body = Problem)))]
async fn resume(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<ClientView>, Problem> {
    let known = clients::set_state(&state, &actor, &id, ClientState::Active).await?;
    Ok(Json(ClientView::new(known, state.clock())))
}
