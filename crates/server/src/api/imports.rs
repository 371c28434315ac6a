//! Bulk imports: uploads, and how far they are.

use axum::Json;
use std::collections::BTreeMap;

use axum::extract::{DefaultBodyLimit, Multipart, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::extract::{IdempotencyKey, Params, Path};
use crate::AppState;
use crate::identity::actor::Actor;
use crate::imports::{self, FORM_BYTES, Import, SHOWN, Stage};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, upload).layer(DefaultBodyLimit::max(FORM_BYTES))).routes(routes!(get))
}

/// An upload.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a form that is read as a stream")]
struct ImportForm {
    /// The mapping, TOML: which column means what. As in `guerdon import --mapping`.
    mapping: String,
    /// Why.
    reason: String,
    /// The file, 32 MiB at most; its name ends in `.csv` or `.jsonl`, or in `.csv.zst` or `.jsonl.zst`.
    #[schema(format = Binary)]
    file: String,
}

/// A file on its way.
#[derive(Serialize, ToSchema)]
struct ImportView {
    /// `imp_…`.
    id: String,
    /// `waiting` for another operator, `queued`, `running`, `done`, `failed` or `rejected`.
    stage: &'static str,
    /// The file's name.
    file_name: String,
    /// Why.
    reason: String,
    /// Who uploaded it.
    requested_by: String,
    /// RFC 3339.
    requested_at: String,
    /// Rows of the file.
    rows: u64,
    /// Members, or purchases and returns, that the rows make.
    count: u64,
    /// What waits for another operator, `apr_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
    /// Commands that were sent so far.
    done: u64,
    /// Newly accepted, by what they are about.
    accepted: BTreeMap<String, u64>,
    /// Found there already, by what they are about.
    already_there: BTreeMap<String, u64>,
    /// Refused, by what they are about and the code.
    refused: BTreeMap<String, u64>,
    /// Refused rows.
    refused_rows: u64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
    /// The refused rows, the first thousand; only where one import is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ProblemView>,
}

/// A row that was refused.
#[derive(Serialize, ToSchema)]
struct ProblemView {
    /// Its number in the file, from 1.
    row: u64,
    /// A stable code.
    code: String,
    /// What was wrong.
    reason: String,
}

fn view(id: &str, import: Import) -> ImportView {
    let Import { file_name, stage, reason, requested_by, requested_at, rows, count, approval, done, .. } = import;
    let (counts, trouble) = (import.counts, import.trouble);
    ImportView {
        id: id.to_owned(),
        stage: stage.name(),
        file_name,
        reason,
        requested_by,
        requested_at: requested_at.to_string(),
        rows,
        count,
        approval,
        done,
        accepted: counts.accepted,
        already_there: counts.already_there,
        refused: counts.refused,
        refused_rows: counts.refused_rows,
        trouble,
        problems: Vec::new(),
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListParams {
    /// Only of this stage: `waiting`, `queued`, `running`, `done`, `failed` or `rejected`.
    #[param(value_type = Option<String>)]
    stage: Option<Stage>,
}

/// Imports of the last thirty days; newest first, at most 200.
#[utoipa::path(get, path = "/v1/imports", tag = "imports", security(("key" = ["imports:write"])),
    params(ListParams), responses((status = 200, body = Vec<ImportView>), (status = 400, body = Problem)))]
async fn list(
    State(state): State<AppState>,
    Params(params): Params<ListParams>,
) -> Result<Json<Vec<ImportView>>, Problem> {
    let found = imports::list(&state, params.stage).await?;
    Ok(Json(found.into_iter().take(SHOWN).map(|(record, import)| view(&record.id, import)).collect()))
}

/// Upload a file of purchases or members. It is read at once, so that what cannot be read is refused at once; a larger one
/// waits for another operator, and is then sent through the ledger in the background. Repeating it does nothing twice.
#[utoipa::path(post, path = "/v1/imports", tag = "imports", security(("key" = ["imports:write"])),
    params(("Idempotency-Key" = String, Header)),
    request_body(content = ImportForm, content_type = "multipart/form-data"),
    responses((status = 202, description = "It waits, for another operator or for its turn", body = ImportView),
        (status = 400, body = Problem), (status = 413, description = "`body_too_large`", body = Problem),
        (status = 422, description = "What cannot be read, with its place", body = Problem),
        (status = 503, description = "`busy`: another file is being read", body = Problem)))]
async fn upload(
    State(state): State<AppState>,
    actor: Actor,
    IdempotencyKey(key): IdempotencyKey,
    form: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Result<Response, Problem> {
    let mut form = form.map_err(|rejection| Problem::bad_request("invalid_body", rejection.body_text()))?;
    let id = imports::upload(&state, &actor, &key, &mut form).await?;
    let (_, import) = imports::find(&state, &id).await?;
    let location = HeaderValue::from_str(&format!("/v1/imports/{id}")).unwrap_or(HeaderValue::from_static("/"));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(view(&id, import))).into_response())
}

/// One of them, with the rows that were refused.
#[utoipa::path(get, path = "/v1/imports/{import_id}", tag = "imports", security(("key" = ["imports:write"])),
    params(("import_id" = String, Path)), responses((status = 200, body = ImportView), (status = 404, body = Problem)))]
async fn get(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<ImportView>, Problem> {
    let (_, import) = imports::find(&state, &id).await?;
    let problems = import.problems(&state, &id)?.into_iter();
    let problems = problems.map(|problem| ProblemView { row: problem.row, code: problem.code, reason: problem.reason });
    Ok(Json(ImportView { problems: problems.collect(), ..view(&id, import) }))
}
