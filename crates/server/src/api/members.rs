//! Members: enrol, get, list, wallet, transactions, manual adjustment.

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use guerdon_core::hex;
use guerdon_core::id::{MemberId, TransactionId};
use guerdon_core::identity::Permission;
use guerdon_core::kernel::{Arrival, Command};
use guerdon_core::members::{Profile, RefKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::approvals::ApprovalView;
use super::cards::named_member;
use super::extract::{Body, IdempotencyKey, Params, Path, cursor, done, id, page_limit, receipt};
use super::views::{MemberView, Page, TransactionView, WalletView, wallets};
use crate::AppState;
use crate::acts::{self, By};
use crate::degraded::{Found, Marked, Seen};
use crate::identity::actor::Actor;
use crate::identity::member_session;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(enrol, list))
        .routes(routes!(search))
        .routes(routes!(get))
        .routes(routes!(wallet))
        .routes(routes!(transactions))
        .routes(routes!(adjust))
        .routes(routes!(end_sessions))
}

/// The problem of a member that is not there.
pub(super) fn unknown_member(text: &str) -> Problem {
    Problem::not_found("unknown_member", format!("there is no member `{}`", text.chars().take(64).collect::<String>()))
}

/// A profile with how the member arrives: one flat object.
struct EnrolRequest {
    profile: Profile,
    arrival: Arrival,
    /// Who referred the member: `mem_…`, or the number of their card.
    referred_by: Option<String>,
}

impl<'de> Deserialize<'de> for EnrolRequest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let mut fields = serde_json::Map::deserialize(deserializer)?;
        let mut arrival = serde_json::Map::new();
        for field in ["store", "channel"] {
            arrival.extend(fields.remove(field).map(|value| (field.to_owned(), value)));
        }
        let arrival = serde_json::from_value(arrival.into()).map_err(D::Error::custom)?;
        let referred_by = fields.remove("referred_by").unwrap_or_default();
        let referred_by = serde_json::from_value(referred_by)
            .map_err(|_| D::Error::custom("`referred_by` must be a text: a member's id, or the number of a card"))?;
        Ok(Self { referred_by, profile: serde_json::from_value(fields.into()).map_err(D::Error::custom)?, arrival })
    }
}

/// Enrol a member.
#[utoipa::path(post, path = "/v1/members", tag = "members",
    security(("key" = ["members:write@store"])), request_body(content = Object,
    description = "The profile. Beside its fields `store` and `channel` say where the member joins, and `referred_by` by whom they were referred (`mem_…` or a card number), for rules with the trigger `enrol`",
    example = json!({"external_id": "17850", "name": "Ann", "email": "ann@example.org", "channel": "app"})),
    params(("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt; `member_id` is the new member's", body = Object),
        (status = 409, description = "`already_enrolled`", body = Problem), (status = 422, body = Problem)))]
async fn enrol(
    State(state): State<AppState>,
    actor: Actor,
    IdempotencyKey(key): IdempotencyKey,
    Body(EnrolRequest { profile, mut arrival, referred_by }): Body<EnrolRequest>,
) -> Result<Response, Problem> {
    if let Some(text) = &referred_by {
        let (id, card) =
            if text.starts_with("mem_") { (Some(text.as_str()), None) } else { (None, Some(text.as_str())) };
        arrival.referrer = Some(named_member(&state, id, None, card).await?);
    }
    if arrival.store.is_some() {
        actor.require_at(Permission::MembersWrite, arrival.store.as_deref())?;
    }
    let command = Command::enrol(
        &state.keys(),
        rand::random(),
        state.engine.new_member_id(),
        &key,
        state.engine.now(),
        &profile,
    )?;
    let command = command.welcomed(&state.program(), &arrival)?;
    receipt(state.engine.submit_one(command.by(actor.name())).await)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListParams {
    /// Items of a page, 1–200; 50 when left out.
    limit: Option<i64>,
    /// The cursor of the page before.
    after: Option<String>,
}

/// List members.
#[utoipa::path(get, path = "/v1/members", tag = "members",
    security(("key" = ["members:read@store"])), params(ListParams),
    responses((status = 200, body = Page<MemberView>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page<MemberView>>, Problem> {
    let limit = page_limit(params.limit)?;
    let after = params.after.as_deref().map(cursor::<MemberId>).transpose()?;
    let rows = state.reader.members(after, limit + 1).await?;
    Ok(Json(Page::cut(rows, limit, |row| row.id.to_string()).try_map(|row| MemberView::open(&state, row))?))
}

/// Whom to find: by one of these, exactly.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MemberSearch {
    /// The brand's own number.
    external_id: Option<String>,
    /// E-mail address.
    email: Option<String>,
    /// Phone number.
    phone: Option<String>,
}

/// Find a member by number, e-mail address or phone number, exactly. Nobody, or one. What is searched for stands in the body:
/// addresses of pages are kept by many.
#[utoipa::path(post, path = "/v1/members/search", tag = "members", security(("key" = ["members:read@store"])),
    request_body = MemberSearch, responses((status = 200, body = Page<MemberView>), (status = 422, body = Problem)))]
async fn search(
    State(state): State<AppState>,
    Body(search): Body<MemberSearch>,
) -> Result<Json<Page<MemberView>>, Problem> {
    let MemberSearch { external_id, email, phone } = search;
    let kinds = [(RefKind::ExternalId, external_id), (RefKind::Email, email), (RefKind::Phone, phone)];
    let mut named = kinds.into_iter().filter_map(|(kind, value)| Some((kind, value?)));
    let (Some((kind, value)), None) = (named.next(), named.next()) else {
        return Err(crate::privacy::invalid("give one of `external_id`, `email` and `phone`"));
    };
    let row = match state.reader.member_by_reference(&state.keys().reference(kind, &value)).await? {
        Some(member) => state.reader.member(member).await?,
        None => None,
    };
    let items = row.into_iter().map(|row| MemberView::open(&state, row)).collect::<Result<_, _>>()?;
    Ok(Json(Page { items, next: None }))
}

/// Get a member. The id of a member who was merged finds the one who goes on.
#[utoipa::path(get, path = "/v1/members/{member_id}", tag = "members",
    security(("key" = ["members:read@store"])), params(("member_id" = String, Path)),
    responses((status = 200, body = MemberView, headers(("ETag" = String,
        description = "The version of the profile, for the `If-Match` of a change; not there when it was erased"))),
        (status = 404, body = Problem)))]
async fn get(State(state): State<AppState>, Path(text): Path<String>) -> Result<Response, Problem> {
    let (member, _) = state.reader.resolve(id(&text)?).await?.ok_or_else(|| unknown_member(&text))?;
    let row = state.reader.member(member).await?.ok_or_else(|| unknown_member(&text))?;
    let version = row.stored.sealed.as_ref().map(|sealed| hex::encode(&sealed.version()));
    let tag = version.map(|version| [(ETAG, format!("\"{version}\""))]);
    Ok((tag, Json(MemberView::open(&state, row)?)).into_response())
}

/// The wallets of a member, with lots and what expires next.
#[utoipa::path(get, path = "/v1/members/{member_id}/wallet", tag = "members",
    security(("key" = ["members:read@store"])), params(("member_id" = String, Path)),
    responses((status = 200, body = Vec<WalletView>), (status = 404, body = Problem)))]
async fn wallet(State(state): State<AppState>, Path(text): Path<String>) -> Result<Marked<Vec<WalletView>>, Problem> {
    let found = state.degraded.account(&state, id(&text)?).await?;
    let Seen { value: Found { account, .. }, as_of } = found.ok_or_else(|| unknown_member(&text))?;
    let views = wallets(&state.program(), &account, state.engine.now());
    let views: Vec<WalletView> = views.into_iter().map(|view| view.known(as_of)).collect();
    Ok(Marked::new(&state, views, as_of))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PageParams {
    /// Items of a page, 1–200; 50 when left out.
    limit: Option<i64>,
    /// The cursor of the page before.
    after: Option<String>,
}

/// Transactions of a member, newest first, each with its explanation.
#[utoipa::path(get, path = "/v1/members/{member_id}/transactions", tag = "members",
    security(("key" = ["members:read@store"])),
    params(("member_id" = String, Path), PageParams),
    responses((status = 200, body = Page<TransactionView>), (status = 404, body = Problem)))]
async fn transactions(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<TransactionView>>, Problem> {
    let limit = page_limit(params.limit)?;
    let member = id(&text)?;
    let before = params.after.as_deref().map(cursor::<TransactionId>).transpose()?;
    let rows = state.reader.transactions(member, before, limit + 1).await?;
    if rows.is_empty() && before.is_none() {
        return Err(unknown_member(&text));
    }
    Ok(Json(Page::cut(rows, limit, |row| row.id.to_string()).map(TransactionView::from)))
}

/// A manual adjustment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Adjustment {
    /// The currency's code; left out: the first.
    currency: Option<String>,
    /// Points to add, or to take when negative.
    points: i64,
    /// Why.
    reason: String,
}

/// Adjust a balance by hand.
#[utoipa::path(post, path = "/v1/members/{member_id}/adjustments", tag = "members",
    security(("key" = ["members:adjust"])), request_body = Adjustment,
    params(("member_id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 201, description = "The receipt", body = Object),
        (status = 202, description = "Above the limit: it waits for another operator", body = ApprovalView),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn adjust(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    IdempotencyKey(key): IdempotencyKey,
    Body(adjustment): Body<Adjustment>,
) -> Result<Response, Problem> {
    let by = By { actor: &actor, key: &key, channel: "api", reason: &adjustment.reason };
    let adjusted = acts::adjust(&state, &by, id(&text)?, adjustment.currency.as_deref(), adjustment.points).await?;
    done(&state, adjusted).await
}

/// Sessions that were ended.
#[derive(Serialize, ToSchema)]
struct EndedView {
    /// How many.
    ended: usize,
}

/// End every session that a member has in the portal: they sign in anew, with a code that only they get.
#[utoipa::path(delete, path = "/v1/members/{member_id}/sessions", tag = "members",
    security(("key" = ["members:write"])), params(("member_id" = String, Path)),
    responses((status = 200, body = EndedView), (status = 404, body = Problem)))]
async fn end_sessions(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
) -> Result<Json<EndedView>, Problem> {
    let (member, account) = state.reader.resolve(id(&text)?).await?.ok_or_else(|| unknown_member(&text))?;
    let ended = member_session::end_all(&state, &actor, member, &account.merged_from, "").await?;
    Ok(Json(EndedView { ended }))
}
