//! API keys: issue, list, rotate, revoke.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::clients::{UsedView, used_by};
use super::extract::Body;
use super::views::Page;
use crate::AppState;
use crate::identity::actor::Actor;
use crate::identity::allowance::Allowance;
use crate::identity::keys::{self, Key, NewKey, Secrets, invalid};
use crate::identity::limit::Limit;
use crate::identity::token::Token;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(issue, list))
        .routes(routes!(get, revoke))
        .routes(routes!(used))
        .routes(routes!(rotate))
}

/// An API key to be issued.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyRequest {
    /// What it is for.
    #[schema(example = "Till 3")]
    name: String,
    /// What it may do; nothing that you may not do yourself.
    #[schema(example = json!(["activities:write", "cards:verify"]))]
    permissions: Vec<String>,
    /// In which stores; left out: in all.
    #[serde(default)]
    stores: Vec<String>,
    /// From which addresses or networks it may come, such as `192.0.2.0/24`; left out: from all.
    #[serde(default)]
    networks: Vec<String>,
    /// Until when, RFC 3339; left out: until it is revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// How often it may ask; left out: as often as the server lets every key.
    #[schema(value_type = Option<String>, example = "90/min burst 200")]
    rate: Option<Limit>,
    /// Whether its requests must be signed as well, for tills and kiosks whose traffic passes through other hands; see
    /// docs/signatures.md.
    #[serde(default)]
    signed: bool,
}

/// An API key, without the key itself.
#[derive(Serialize, ToSchema)]
pub struct KeyView {
    /// `key_…`
    id: String,
    /// What it is for.
    name: String,
    /// Its visible beginning.
    prefix: String,
    /// What it may do.
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
    /// Whether its requests must be signed.
    signed: bool,
    /// Since when.
    created_at: String,
    /// Who issued it.
    created_by: String,
    /// When its secret was last replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotated_at: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// When it was last used, to the minute; left out: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
    /// Older secrets that still count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    retiring: Vec<RetiringView>,
}

/// A secret that was replaced and still counts.
#[derive(Serialize, ToSchema)]
pub struct RetiringView {
    /// Its visible beginning.
    pub prefix: String,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<String>,
}

/// A key and its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
struct IssuedKey {
    /// The key itself. Keep it: it cannot be shown again.
    #[schema(example = "grd_key_…")]
    key: String,
    /// What its requests must be signed with. Keep it as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<String>,
    /// What is known of it.
    #[serde(flatten)]
    view: KeyView,
}

impl IssuedKey {
    fn new(key: Key, secrets: &Secrets) -> Self {
        let reveal = |token: &Token| token.reveal().to_owned();
        let signing_secret = secrets.signing.as_ref().map(reveal);
        Self { key: reveal(&secrets.token), signing_secret, view: KeyView::new(key) }
    }
}

impl KeyView {
    fn new(key: Key) -> Self {
        let Allowance { permissions, stores, rate, .. } = &key.key.allowance;
        let text = |at: Timestamp| at.to_string();
        let retiring = key.retiring.into_iter();
        Self {
            permissions: permissions.iter().map(|one| one.name()).collect(),
            stores: stores.clone(),
            networks: key.key.allowance.network_names(),
            rate: *rate,
            signed: key.key.signing.is_some(),
            created_at: text(key.key.created_at),
            rotated_at: key.key.rotated_at.map(text),
            expires_at: key.expires_at.map(text),
            last_used_at: key.last_used_at.map(text),
            retiring: retiring.map(|old| RetiringView { prefix: old.prefix, ends_at: old.ends_at.map(text) }).collect(),
            id: key.id,
            name: key.key.name,
            prefix: key.key.prefix,
            created_by: key.key.created_by,
        }
    }
}

/// Issue an API key. The key is in the answer, and nowhere else.
#[utoipa::path(post, path = "/v1/api-keys", tag = "programs",
    security(("key" = ["clients:write"])), request_body = KeyRequest,
    responses((status = 201, body = IssuedKey), (status = 400, body = Problem),
        (status = 409, description = "`too_many_keys`", body = Problem), (status = 422, body = Problem)))]
async fn issue(
    State(state): State<AppState>,
    actor: Actor,
    Body(request): Body<KeyRequest>,
) -> Result<(StatusCode, Json<IssuedKey>), Problem> {
    let KeyRequest { name, permissions, stores, networks, expires_at, rate, signed } = request;
    let allowance = Allowance::parse(&permissions, stores, &networks, rate).map_err(invalid)?;
    let (key, secrets) = keys::issue(&state, &actor, &NewKey { name, allowance, expires_at, signed }).await?;
    Ok((StatusCode::CREATED, Json(IssuedKey::new(key, &secrets))))
}

/// All API keys, without the keys themselves.
#[utoipa::path(get, path = "/v1/api-keys", tag = "programs", security(("key" = ["clients:read"])),
    responses((status = 200, body = Page<KeyView>)))]
async fn list(State(state): State<AppState>) -> Result<Json<Page<KeyView>>, Problem> {
    let keys = keys::list(&state).await?;
    Ok(Json(Page { items: keys.into_iter().map(KeyView::new).collect(), next: None }))
}

/// An API key, without the key itself.
#[utoipa::path(get, path = "/v1/api-keys/{key_id}", tag = "programs", security(("key" = ["clients:read"])),
    params(("key_id" = String, Path)),
    responses((status = 200, body = KeyView), (status = 404, body = Problem)))]
async fn get(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<KeyView>, Problem> {
    Ok(Json(KeyView::new(keys::find(&state, &id).await?)))
}

/// What an API key has used by day and month, the oldest first; counted to some seconds.
#[utoipa::path(get, path = "/v1/api-keys/{key_id}/usage", tag = "programs", security(("key" = ["clients:read"])),
    params(("key_id" = String, Path)),
    responses((status = 200, body = Page<UsedView>), (status = 404, body = Problem)))]
async fn used(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<Page<UsedView>>, Problem> {
    let key = keys::find(&state, &id).await?;
    Ok(Json(used_by(&state, &key.id).await?))
}

/// Revoke an API key, at once.
#[utoipa::path(delete, path = "/v1/api-keys/{key_id}", tag = "programs", security(("key" = ["clients:write"])),
    params(("key_id" = String, Path)),
    responses((status = 204, description = "It is revoked; another node may take it for five seconds more"),
        (status = 404, body = Problem)))]
async fn revoke(State(state): State<AppState>, actor: Actor, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    keys::revoke(&state, &actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How a secret is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyRotation {
    /// For how long the old secret still counts, up to 30 days; 0: it ends at once.
    #[schema(example = 86_400)]
    overlap_seconds: i64,
    /// Until when the new one holds; left out: as long as the old one was to.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// Give an API key a new secret. The old one ends after an overlap.
#[utoipa::path(post, path = "/v1/api-keys/{key_id}/rotate", tag = "programs",
    security(("key" = ["clients:write"])), params(("key_id" = String, Path)), request_body = KeyRotation,
    responses((status = 201, body = IssuedKey), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, description = "`too_many_secrets`", body = Problem), (status = 422, body = Problem)))]
async fn rotate(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<String>,
    Body(rotation): Body<KeyRotation>,
) -> Result<(StatusCode, Json<IssuedKey>), Problem> {
    let KeyRotation { overlap_seconds, expires_at } = rotation;
    let (key, secrets) = keys::rotate(&state, &actor, &id, overlap_seconds, expires_at).await?;
    Ok((StatusCode::CREATED, Json(IssuedKey::new(key, &secrets))))
}
