//! Members' data: revealing, export, consent, erasure, retention, registers.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use guerdon_core::id::MemberId;
use guerdon_core::identity::Permission;
use guerdon_core::limits;
use guerdon_core::members::Profile;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Path, id};
use crate::AppState;
use crate::approvals;
use crate::console::Frame;
use crate::identity::actor::{Actor, forbidden};
use crate::privacy::consent::{self, Choice, Purpose};
use crate::privacy::erasure::{self, Erasure};
use crate::privacy::register::{self, Entry, Register};
use crate::privacy::retention::{self, RetentionPolicy};
use crate::privacy::{self, bulk, export};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(reveal))
        .routes(routes!(export_member))
        .routes(routes!(ask_export))
        .routes(routes!(fetch_export))
        .routes(routes!(erasure_of, request_erasure, withdraw_erasure))
        .routes(routes!(consents))
        .routes(routes!(decide_consent))
        .routes(routes!(purposes))
        .routes(routes!(put_purpose))
        .routes(routes!(entries, add_entry))
        .routes(routes!(change_entry, remove_entry))
        .routes(routes!(retention_policy, put_retention_policy))
}

/// A reason.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reason {
    /// Why; the audit log keeps it.
    reason: String,
}

/// See the personal fields of a member in full. Every look is in the audit log.
#[utoipa::path(post, path = "/v1/members/{member_id}/reveal", tag = "privacy",
    security(("key" = ["members:reveal@store"])), params(("member_id" = String, Path)), request_body = Reason,
    responses((status = 200, description = "The profile", body = Object), (status = 404, body = Problem),
        (status = 422, body = Problem), (status = 429, description = "`too_many_looks`", body = Problem)))]
async fn reveal(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    Body(request): Body<Reason>,
) -> Result<Json<Profile>, Problem> {
    let row = privacy::member(&state, id(&text)?).await?;
    let erased = || Problem::new(StatusCode::CONFLICT, "member_erased", "the personal data of this member were erased");
    privacy::reveal(&state, &actor, &row, &request.reason).await?.map(Json).ok_or_else(erased)
}

fn zip(name: &str, bytes: Vec<u8>) -> Response {
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let head: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (header::CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment"))),
    ];
    (head, bytes).into_response()
}

/// Everything about a member: data and a page to read, zipped.
pub async fn member_archive(
    state: &AppState,
    actor: &Actor,
    frame: &Frame,
    member: MemberId,
    reason: &str,
) -> Result<Response, Problem> {
    let row = privacy::member(state, member).await?;
    approvals::check_looks(state, actor).await?;
    let mut event = actor.event(state.clock(), "member.export_all", &row.id.to_string());
    reason.clone_into(&mut event.reason);
    state.engine.write_records(Vec::new(), vec![event]).await?;
    let bytes = export::archive(state, frame, row.id).await?;
    Ok(zip(&export::file_name(row.id, state.clock()), bytes))
}

/// Export everything about a member, in full: `data.json` and a readable `index.html`, zipped, in the language asked for.
/// Asks for `members:reveal` as well, and for a reason.
#[utoipa::path(post, path = "/v1/members/{member_id}/export", tag = "privacy",
    security(("key" = ["members:export"])), params(("member_id" = String, Path)), request_body = Reason,
    responses((status = 200, description = "A ZIP archive", body = Vec<u8>, content_type = "application/zip"),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 429, description = "`too_many_looks`", body = Problem)))]
async fn export_member(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Body(request): Body<Reason>,
) -> Result<Response, Problem> {
    if !frame.actor.may(Permission::MembersReveal) {
        return Err(forbidden(Permission::MembersReveal));
    }
    limits::check_text("reason", &request.reason, limits::TEXT_CHARS).map_err(privacy::invalid)?;
    member_archive(&state, &frame.actor, &frame, id(&text)?, &request.reason).await
}

/// An export of all members.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExportRequest {
    /// Whether personal fields are in full; masked when left out. Of more members than the policy allows it waits.
    #[serde(default)]
    reveal: bool,
    /// Only members who have consented to this purpose.
    #[serde(default)]
    purpose: Option<String>,
    /// Why.
    reason: String,
}

/// An export that was asked for.
#[derive(Serialize, ToSchema)]
struct ExportView {
    /// `exp_…`; fetch the file at `/v1/member-exports/{id}/file` within a day.
    id: String,
    /// The approval that it waits for; left out: it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_id: Option<String>,
}

/// Ask for an export of all members as CSV.
#[utoipa::path(post, path = "/v1/member-exports", tag = "privacy", security(("key" = ["members:export"])),
    request_body = ExportRequest,
    responses((status = 201, description = "Ready", body = ExportView),
        (status = 202, description = "It waits for another operator", body = ExportView),
        (status = 403, body = Problem), (status = 422, body = Problem)))]
async fn ask_export(
    State(state): State<AppState>,
    actor: Actor,
    Body(request): Body<ExportRequest>,
) -> Result<(StatusCode, Json<ExportView>), Problem> {
    let (id, approval_id) = bulk::ask(&state, &actor, request.reveal, request.purpose, &request.reason).await?;
    let status = if approval_id.is_some() { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    Ok((status, Json(ExportView { id, approval_id })))
}

/// Fetch the file of an export that you asked for.
#[utoipa::path(get, path = "/v1/member-exports/{export_id}/file", tag = "privacy",
    security(("key" = ["members:export"])), params(("export_id" = String, Path)),
    responses((status = 200, description = "CSV", body = String, content_type = "text/csv"),
        (status = 404, body = Problem), (status = 409, description = "`waiting`", body = Problem)))]
async fn fetch_export(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let file = bulk::file(&state, &actor, &text).await?;
    let head = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"members.csv\""),
    ];
    Ok((head, file).into_response())
}

/// A request for erasure.
#[derive(Serialize, ToSchema)]
struct ErasureView {
    /// RFC 3339.
    requested_at: String,
    /// RFC 3339: when it is carried out, unless it is taken back.
    due_at: String,
    /// By whom.
    requested_by: String,
    /// Why.
    reason: String,
}

impl From<Erasure> for ErasureView {
    fn from(erasure: Erasure) -> Self {
        Self {
            requested_at: erasure.requested_at.to_string(),
            due_at: erasure.due_at.to_string(),
            requested_by: erasure.requested_by,
            reason: erasure.reason,
        }
    }
}

/// The request to erase a member.
#[utoipa::path(get, path = "/v1/members/{member_id}/erasure", tag = "privacy",
    security(("key" = ["members:erase"])), params(("member_id" = String, Path)),
    responses((status = 200, body = ErasureView), (status = 404, body = Problem)))]
async fn erasure_of(State(state): State<AppState>, Path(text): Path<String>) -> Result<Json<ErasureView>, Problem> {
    let none = || Problem::not_found("no_erasure", "there is no request to erase this member");
    let (_, erasure) = erasure::find(&state, id(&text)?).await?.ok_or_else(none)?;
    Ok(Json(erasure.into()))
}

/// Ask for the erasure of a member: carried out in 14 days, until then it can be taken back.
#[utoipa::path(post, path = "/v1/members/{member_id}/erasure", tag = "privacy",
    security(("key" = ["members:erase"])), params(("member_id" = String, Path)), request_body = Reason,
    responses((status = 201, body = ErasureView), (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 422, body = Problem)))]
async fn request_erasure(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    Body(request): Body<Reason>,
) -> Result<(StatusCode, Json<ErasureView>), Problem> {
    let erasure = erasure::request(&state, &actor, id(&text)?, &request.reason).await?;
    Ok((StatusCode::CREATED, Json(erasure.into())))
}

/// Take the request to erase a member back.
#[utoipa::path(delete, path = "/v1/members/{member_id}/erasure", tag = "privacy",
    security(("key" = ["members:erase"])), params(("member_id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
async fn withdraw_erasure(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
) -> Result<StatusCode, Problem> {
    erasure::withdraw(&state, &actor, id(&text)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a member said to a purpose.
#[derive(Serialize, ToSchema)]
struct ConsentView {
    /// The purpose.
    purpose: String,
    /// Whether the member agrees to its current text.
    given: bool,
    /// The version of the text that the member has seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    given_at: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawn_at: Option<String>,
}

impl From<Choice> for ConsentView {
    fn from(choice: Choice) -> Self {
        let given = choice.is_given();
        let consent = choice.consent;
        Self {
            purpose: choice.id,
            given,
            version: consent.as_ref().map(|consent| consent.version),
            given_at: consent.as_ref().map(|consent| consent.given_at.to_string()),
            withdrawn_at: consent.and_then(|consent| consent.withdrawn_at).map(|at| at.to_string()),
        }
    }
}

/// What a member has consented to.
#[utoipa::path(get, path = "/v1/members/{member_id}/consents", tag = "privacy",
    security(("key" = ["privacy:read"])), params(("member_id" = String, Path)),
    responses((status = 200, body = Vec<ConsentView>), (status = 404, body = Problem)))]
async fn consents(State(state): State<AppState>, Path(text): Path<String>) -> Result<Json<Vec<ConsentView>>, Problem> {
    let row = privacy::member(&state, id(&text)?).await?;
    Ok(Json(consent::choices(&state, row.id).await?.into_iter().map(ConsentView::from).collect()))
}

/// A decision on a purpose.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConsentRequest {
    /// Whether the member agrees.
    given: bool,
}

/// Record what a member has said to a purpose elsewhere, such as at the counter.
#[utoipa::path(put, path = "/v1/members/{member_id}/consents/{purpose}", tag = "privacy",
    security(("key" = ["members:write"])), params(("member_id" = String, Path), ("purpose" = String, Path)),
    request_body = ConsentRequest, responses((status = 204), (status = 404, body = Problem)))]
async fn decide_consent(
    State(state): State<AppState>,
    actor: Actor,
    Path((text, purpose)): Path<(String, String)>,
    Body(request): Body<ConsentRequest>,
) -> Result<StatusCode, Problem> {
    let row = privacy::member(&state, id(&text)?).await?;
    consent::decide(&state, &actor, row.id, &purpose, request.given).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A purpose with its id.
#[derive(Serialize, ToSchema)]
struct PurposeView {
    /// Its id.
    id: String,
    /// The purpose.
    #[serde(flatten)]
    purpose: Purpose,
}

/// What data may be used for, in the words that members read.
#[utoipa::path(get, path = "/v1/consent-purposes", tag = "privacy", security(("key" = ["privacy:read"])),
    responses((status = 200, body = Vec<PurposeView>)))]
async fn purposes(State(state): State<AppState>) -> Result<Json<Vec<PurposeView>>, Problem> {
    let found = consent::purposes(&state).await?;
    Ok(Json(found.into_iter().map(|(id, purpose)| PurposeView { id, purpose }).collect()))
}

/// Make a purpose, or give it a new text: a new version, to which nobody has consented yet.
#[utoipa::path(put, path = "/v1/consent-purposes/{purpose}", tag = "privacy",
    security(("key" = ["privacy:write"])), params(("purpose" = String, Path)), request_body = Purpose,
    responses((status = 200, body = Purpose), (status = 422, body = Problem)))]
async fn put_purpose(
    State(state): State<AppState>,
    actor: Actor,
    Path(id): Path<String>,
    Body(purpose): Body<Purpose>,
) -> Result<Json<Purpose>, Problem> {
    Ok(Json(consent::put_purpose(&state, &actor, &id, purpose).await?))
}

/// An entry of a register.
#[derive(Serialize, ToSchema)]
struct EntryView {
    /// `reg_…`.
    id: String,
    /// The entry.
    #[serde(flatten)]
    entry: Entry,
    /// RFC 3339.
    changed_at: String,
    /// By whom.
    changed_by: String,
}

fn which(text: &str) -> Result<Register, Problem> {
    Register::from_name(text).ok_or_else(|| {
        Problem::not_found("unknown_register", "the registers are processing, impact_assessment and sharing")
    })
}

/// The entries of a register: `processing`, `impact_assessment` or `sharing`.
#[utoipa::path(get, path = "/v1/registers/{register}", tag = "privacy", security(("key" = ["privacy:read"])),
    params(("register" = String, Path)), responses((status = 200, body = Vec<EntryView>), (status = 404, body = Problem)))]
async fn entries(State(state): State<AppState>, Path(text): Path<String>) -> Result<Json<Vec<EntryView>>, Problem> {
    let found = register::list(&state, which(&text)?).await?;
    let view = |(record, kept): (guerdon_store::Record, register::Kept)| EntryView {
        id: record.id,
        entry: kept.entry,
        changed_at: kept.changed_at.to_string(),
        changed_by: kept.changed_by,
    };
    Ok(Json(found.into_iter().map(view).collect()))
}

/// The id of an entry.
#[derive(Serialize, ToSchema)]
struct EntryId {
    /// `reg_…`.
    id: String,
}

/// Add an entry to a register.
#[utoipa::path(post, path = "/v1/registers/{register}", tag = "privacy", security(("key" = ["privacy:write"])),
    params(("register" = String, Path)), request_body = Entry,
    responses((status = 201, body = EntryId), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn add_entry(
    State(state): State<AppState>,
    actor: Actor,
    Path(text): Path<String>,
    Body(entry): Body<Entry>,
) -> Result<(StatusCode, Json<EntryId>), Problem> {
    let id = register::put(&state, &actor, which(&text)?, None, entry).await?;
    Ok((StatusCode::CREATED, Json(EntryId { id })))
}

/// Change an entry of a register.
#[utoipa::path(put, path = "/v1/registers/{register}/{entry_id}", tag = "privacy",
    security(("key" = ["privacy:write"])), params(("register" = String, Path), ("entry_id" = String, Path)),
    request_body = Entry,
    responses((status = 200, body = EntryId), (status = 404, body = Problem), (status = 422, body = Problem)))]
async fn change_entry(
    State(state): State<AppState>,
    actor: Actor,
    Path((text, entry_id)): Path<(String, String)>,
    Body(entry): Body<Entry>,
) -> Result<Json<EntryId>, Problem> {
    let id = register::put(&state, &actor, which(&text)?, Some(&entry_id), entry).await?;
    Ok(Json(EntryId { id }))
}

/// Take an entry out of a register; the audit log keeps it.
#[utoipa::path(delete, path = "/v1/registers/{register}/{entry_id}", tag = "privacy",
    security(("key" = ["privacy:write"])), params(("register" = String, Path), ("entry_id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
async fn remove_entry(
    State(state): State<AppState>,
    actor: Actor,
    Path((text, entry_id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    register::remove(&state, &actor, which(&text)?, &entry_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How long what is kept.
#[utoipa::path(get, path = "/v1/retention-policy", tag = "privacy", security(("key" = ["privacy:read"])),
    responses((status = 200, body = RetentionPolicy)))]
async fn retention_policy(State(state): State<AppState>) -> Result<Json<RetentionPolicy>, Problem> {
    Ok(Json(retention::policy(&state).await?))
}

/// Change how long what is kept.
#[utoipa::path(put, path = "/v1/retention-policy", tag = "privacy", security(("key" = ["privacy:write"])),
    request_body = RetentionPolicy, responses((status = 200, body = RetentionPolicy), (status = 422, body = Problem)))]
async fn put_retention_policy(
    State(state): State<AppState>,
    actor: Actor,
    Body(policy): Body<RetentionPolicy>,
) -> Result<Json<RetentionPolicy>, Problem> {
    retention::put_policy(&state, &actor, &policy).await?;
    Ok(Json(policy))
}
