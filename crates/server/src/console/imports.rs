//! Bulk imports: the form that uploads a file, and what became of each.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{DefaultBodyLimit, Multipart, Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use guerdon_import::RowProblem;
use serde::Deserialize;

use super::format;
use super::frame::{Frame, looking_again, render};
use super::nav::Place;
use super::trouble::PageError;
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::identity::operators::{self, new_id};
use crate::imports::{self, FORM_BYTES, Import, SHOWN, Stage};
use crate::problem::Problem;

/// What the field for the mapping holds at first.
const EXAMPLE: &str = "kind = \"purchases\"\nenrol_unknown_members = true\n\n[columns]\nactivity = \"receipt\"\n\
                       member = \"customer\"\ntime = \"date\"\namount = \"total\"\n";

/// The pages of imports.
pub fn pages() -> Pages {
    let needs = Needs::Permission(Permission::ImportsWrite);
    Pages::default()
        .get("/console/imports", needs, page)
        .post("/console/imports", needs, upload)
        .get("/console/imports/{id}", needs, one)
        .around(|router| router.layer(DefaultBodyLimit::max(FORM_BYTES)))
}

struct Line {
    id: String,
    file_name: String,
    reason: String,
    asked: String,
    stage: String,
    rows: String,
    /// What became of the rows, in words.
    outcome: String,
}

#[derive(Template)]
#[template(path = "console/imports.html")]
struct ImportsPage {
    frame: Frame,
    lines: Vec<Line>,
    key: String,
    mapping: &'static str,
    trouble: Option<String>,
}

#[derive(Template)]
#[template(path = "console/import.html")]
struct ImportPage {
    frame: Frame,
    line: Line,
    problems: Vec<RowProblem>,
    trouble: Option<String>,
    approval: bool,
}

/// How many in all.
fn sum(counts: &BTreeMap<String, u64>) -> u64 {
    counts.values().sum()
}

async fn line(frame: &Frame, state: &AppState, id: &str, import: &Import) -> Line {
    let who = match operators::find(state, &import.requested_by).await {
        Ok((_, operator)) => operator.name,
        Err(_) => import.requested_by.clone(),
    };
    let whole = |count: u64| format::number(i64::try_from(count).unwrap_or(i64::MAX));
    let outcome = match import.stage {
        Stage::Running => frame.say("import-sent", [("done", whole(import.done).into())]),
        Stage::Done => frame.say(
            "import-outcome",
            [
                ("accepted", whole(sum(&import.counts.accepted)).into()),
                ("known", whole(sum(&import.counts.already_there)).into()),
                ("refused", whole(import.counts.refused_rows).into()),
            ],
        ),
        _ => String::new(),
    };
    let when = frame.clock_time(import.requested_at);
    Line {
        id: id.to_owned(),
        file_name: import.file_name.clone(),
        reason: import.reason.clone(),
        asked: frame.say("import-asked", [("who", who.into()), ("when", when.into())]),
        stage: frame.t(&format!("import-stage-{}", import.stage.name())),
        rows: whole(import.rows),
        outcome,
    }
}

fn moves(import: &Import) -> bool {
    matches!(import.stage, Stage::Queued | Stage::Running)
}

async fn show(frame: Frame, state: &AppState, trouble: Option<String>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Imports);
    let found = imports::list(state, None).await.map_err(|_| PageError::store(&frame))?;
    let mut lines = Vec::with_capacity(found.len());
    for (record, import) in found.iter().take(SHOWN) {
        lines.push(line(&frame, state, &record.id, import).await);
    }
    let moving = trouble.is_none() && found.iter().any(|(_, import)| moves(import));
    let page = ImportsPage { frame, lines, key: new_id("form"), mapping: EXAMPLE, trouble };
    Ok(looking_again(render(&page), moving))
}

async fn page(frame: Frame, State(state): State<AppState>) -> Result<Response, PageError> {
    show(frame, &state, None).await
}

#[derive(Deserialize)]
struct Key {
    #[serde(default)]
    key: String,
}

async fn upload(
    frame: Frame,
    State(state): State<AppState>,
    Query(Key { key }): Query<Key>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, PageError> {
    let taken = match form {
        Ok(mut form) => imports::upload(&state, &frame.actor, &key, &mut form).await,
        Err(rejection) => Err(Problem::bad_request("invalid_body", rejection.body_text())),
    };
    match taken {
        Ok(id) => Ok(Redirect::to(&format!("/console/imports/{id}")).into_response()),
        Err(problem) if problem.status == 500 => Err(PageError::store(&frame)),
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            let trouble = frame.problem(&problem);
            Ok((status, show(frame, &state, Some(trouble)).await?).into_response())
        }
    }
}

async fn one(frame: Frame, State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Imports);
    let (record, import) = imports::find(&state, &id).await.map_err(|_| PageError::not_found(&frame))?;
    let problems = import.problems(&state, &id).map_err(|_| PageError::store(&frame))?;
    let line = line(&frame, &state, &record.id, &import).await;
    let approval = import.stage == Stage::Waiting;
    let moving = moves(&import);
    let page = ImportPage { frame, line, problems, trouble: import.trouble, approval };
    let mut page = looking_again(render(&page), moving);
    page.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(page)
}
