//! The documents of the program, the versions of each, and dry runs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use guerdon_core::earning::Activity;
use guerdon_core::identity::Permission;
use guerdon_core::kernel::Receipt;
use guerdon_core::program::{Difference, Document, compare, holding};
use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cards::named_member;
use super::extract::{Body, Params, Path};
use crate::AppState;
use crate::drafts::{self, Against, Trial};
use crate::identity::actor::Actor;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(dry_run))
        .routes(routes!(versions))
        .routes(routes!(version))
        .routes(routes!(comparison))
        .routes(routes!(retire))
}

/// One version of a document.
#[derive(Serialize, ToSchema)]
struct VersionView {
    /// `program`, `currency`, `activity`, `rule`, `campaign`, `reward` or another kind that the program has.
    kind: String,
    /// Its id within the kind.
    id: String,
    /// Counts from 1.
    version: i64,
    /// `scheduled`: it holds later; `effective`: it holds; `retired`: it held, or the document is gone since; `replaced`: a
    /// newer one came before it held.
    state: &'static str,
    /// RFC 3339; left out: from the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_from: Option<String>,
    /// Whether it retires the document.
    retires: bool,
    /// Its content.
    #[schema(value_type = Object)]
    document: Value,
}

impl VersionView {
    fn of(one: &Document, documents: &[Document], now: Timestamp) -> Result<Self, Problem> {
        let broken = |error: serde_json::Error| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", error.to_string())
        };
        Ok(Self {
            kind: one.kind.clone(),
            id: one.id.clone(),
            version: one.version,
            state: drafts::state_of(one, documents, now),
            effective_from: (one.effective_from != Timestamp::ZERO).then(|| one.effective_from.to_string()),
            retires: one.state != "active",
            document: serde_json::from_str(&one.body).map_err(broken)?,
        })
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListParams {
    /// Only of this kind.
    kind: Option<String>,
    /// As of this moment, RFC 3339; left out: now.
    #[param(value_type = Option<String>)]
    at: Option<Timestamp>,
}

/// List the documents in force, in the order of their kinds and places.
#[utoipa::path(get, path = "/v1/configuration", tag = "configuration", security(("key" = ["program:read"])),
    params(ListParams), responses((status = 200, body = Vec<VersionView>)))]
async fn list(
    State(state): State<AppState>,
    Params(params): Params<ListParams>,
) -> Result<Json<Vec<VersionView>>, Problem> {
    let program = state.program();
    let (documents, now) = (program.documents(), state.engine.now());
    let mut held = guerdon_core::program::in_force(documents, params.at.unwrap_or(now));
    held.retain(|one| params.kind.as_ref().is_none_or(|kind| one.kind == *kind));
    held.sort_by(|a, b| (&a.kind, a.position, &a.id).cmp(&(&b.kind, b.position, &b.id)));
    held.iter().map(|one| VersionView::of(one, documents, now)).collect::<Result<_, _>>().map(Json)
}

fn unknown(kind: &str, id: &str) -> Problem {
    let (kind, id): (String, String) = (kind.chars().take(40).collect(), id.chars().take(64).collect());
    Problem::not_found("unknown_document", format!("there is no {kind} `{id}`"))
}

/// All versions of a document, the newest first.
#[utoipa::path(get, path = "/v1/configuration/{kind}/{document_id}", tag = "configuration",
    security(("key" = ["program:read"])), params(("kind" = String, Path), ("document_id" = String, Path)),
    responses((status = 200, body = Vec<VersionView>), (status = 404, body = Problem)))]
async fn versions(
    State(state): State<AppState>,
    Path((kind, id)): Path<(String, String)>,
) -> Result<Json<Vec<VersionView>>, Problem> {
    let program = state.program();
    let (documents, now) = (program.documents(), state.engine.now());
    let mut own: Vec<&Document> = documents.iter().filter(|one| one.kind == kind && one.id == id).collect();
    if own.is_empty() {
        return Err(unknown(&kind, &id));
    }
    own.sort_by_key(|one| std::cmp::Reverse(one.version));
    own.into_iter().map(|one| VersionView::of(one, documents, now)).collect::<Result<_, _>>().map(Json)
}

/// One version of a document.
#[utoipa::path(get, path = "/v1/configuration/{kind}/{document_id}/versions/{version}", tag = "configuration",
    security(("key" = ["program:read"])),
    params(("kind" = String, Path), ("document_id" = String, Path), ("version" = i64, Path)),
    responses((status = 200, body = VersionView), (status = 404, body = Problem)))]
async fn version(
    State(state): State<AppState>,
    Path((kind, id, version)): Path<(String, String, i64)>,
) -> Result<Json<VersionView>, Problem> {
    let program = state.program();
    let found = find_version(program.documents(), &kind, &id, version)?;
    VersionView::of(found, program.documents(), state.engine.now()).map(Json)
}

fn find_version<'a>(documents: &'a [Document], kind: &str, id: &str, version: i64) -> Result<&'a Document, Problem> {
    let found = documents.iter().find(|one| one.kind == kind && one.id == id && one.version == version);
    found.ok_or_else(|| unknown(kind, id))
}

/// One difference between two versions of a document.
#[derive(Serialize, ToSchema)]
pub(super) struct DifferenceView {
    /// Of which kind of document.
    kind: String,
    /// Of which document.
    id: String,
    /// The field, such as `effect.rate`; empty: the document as a whole.
    field: String,
    /// Before; null: not there.
    #[schema(value_type = serde_json::Value)]
    before: Value,
    /// After; null: not there.
    #[schema(value_type = serde_json::Value)]
    after: Value,
    /// For members: `better`, `worse`, `neutral`, or `unclear`, which counts as worse.
    verdict: &'static str,
}

impl From<Difference> for DifferenceView {
    fn from(one: Difference) -> Self {
        let Difference { kind, id, field, before, after, verdict } = one;
        Self { kind, id, field, before, after, verdict: verdict.name() }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct CompareParams {
    /// The version before; left out: the one that holds.
    from: Option<i64>,
    /// The version after.
    to: i64,
}

/// Compare two versions of a document: field by field, better or worse for members.
#[utoipa::path(get, path = "/v1/configuration/{kind}/{document_id}/comparison", tag = "configuration",
    security(("key" = ["program:read"])), params(("kind" = String, Path), ("document_id" = String, Path), CompareParams),
    responses((status = 200, body = Vec<DifferenceView>), (status = 404, body = Problem)))]
async fn comparison(
    State(state): State<AppState>,
    Path((kind, id)): Path<(String, String)>,
    Params(params): Params<CompareParams>,
) -> Result<Json<Vec<DifferenceView>>, Problem> {
    let program = state.program();
    let documents = program.documents();
    let before = match params.from {
        Some(version) => Some(find_version(documents, &kind, &id, version)?),
        None => holding(documents, &kind, &id, state.engine.now()),
    };
    let after = find_version(documents, &kind, &id, params.to)?;
    let content = |one: &Document| -> Option<Value> {
        if one.state == "active" { serde_json::from_str(&one.body).ok() } else { None }
    };
    let (before, after) = (before.and_then(content), content(after));
    let found = compare(&kind, &id, before.as_ref(), after.as_ref());
    Ok(Json(found.into_iter().map(DifferenceView::from).collect()))
}

/// What the draft is to be called.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Retirement {
    /// What it is about.
    title: String,
}

/// The draft that was begun.
#[derive(Serialize, ToSchema)]
struct Begun {
    /// `drf_…`.
    draft: String,
}

/// Begin a draft that retires a document. It goes the way of every draft.
#[utoipa::path(post, path = "/v1/configuration/{kind}/{document_id}/retire", tag = "configuration",
    security(("key" = ["program:write"])), params(("kind" = String, Path), ("document_id" = String, Path)),
    request_body = Retirement, responses((status = 201, body = Begun), (status = 404, body = Problem)))]
async fn retire(
    State(state): State<AppState>,
    actor: Actor,
    Path((kind, id)): Path<(String, String)>,
    Body(body): Body<Retirement>,
) -> Result<Response, Problem> {
    let draft = drafts::retire(&state, &actor, &kind, &id, &body.title).await?;
    Ok((StatusCode::CREATED, Json(Begun { draft })).into_response())
}

/// An activity to be tried: under what holds, a draft, or another version of one document.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DryRunRequest {
    /// What is done. `occurred_at` may lie in the past or to come; left out: now.
    #[schema(value_type = super::activities::ActivityView, example = json!({"kind": "purchase", "amount": 12_000}))]
    activity: Activity,
    /// `mem_…`; or give `external_id`; neither: somebody who has never done anything.
    member_id: Option<String>,
    /// The brand's own number of the member.
    external_id: Option<String>,
    /// The draft whose changes are to hold.
    draft: Option<String>,
    /// The version of a document that is to hold.
    version: Option<VersionName>,
}

/// A version of a document.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VersionName {
    /// Of which kind.
    kind: String,
    /// Of which document.
    id: String,
    /// Which.
    version: i64,
}

/// What an activity would earn.
#[derive(Serialize, ToSchema)]
struct DryRunView {
    /// The receipt that it would get, with the explanation. Nothing of it is kept.
    #[schema(value_type = Object)]
    receipt: Receipt,
}

/// Try what an activity would earn, and why. Nothing changes. For a member this takes `members:read` as well.
#[utoipa::path(post, path = "/v1/configuration/dry-run", tag = "configuration", security(("key" = ["program:read"])),
    request_body = DryRunRequest, responses((status = 200, body = DryRunView), (status = 404, body = Problem),
        (status = 409, description = "It would be refused: `cap_reached`, …", body = Problem),
        (status = 422, body = Problem)))]
async fn dry_run(
    State(state): State<AppState>,
    actor: Actor,
    Body(request): Body<DryRunRequest>,
) -> Result<Json<DryRunView>, Problem> {
    let DryRunRequest { activity, member_id, external_id, draft, version } = request;
    let member = match (&member_id, &external_id) {
        (None, None) => None,
        (member, external) => {
            actor.require_at(Permission::MembersRead, None)?;
            Some(named_member(&state, member.as_deref(), external.as_deref(), None).await?)
        }
    };
    let against = match (draft, version) {
        (None, None) => Against::Live,
        (Some(draft), None) => Against::Draft(draft),
        (None, Some(VersionName { kind, id, version })) => Against::Version { kind, id, version },
        (Some(_), Some(_)) => {
            return Err(Problem::bad_request("invalid_request", "give `draft` or `version`, not both"));
        }
    };
    let (receipt, _) = drafts::dry_run(&state, &actor, Trial { against, member, activity }).await?;
    Ok(Json(DryRunView { receipt }))
}
