//! Who is about to be erased: the requests that wait, and taking them back.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::MemberId;
use guerdon_core::identity::Permission;
use serde::Deserialize;

use super::frame::{Frame, render};
use super::nav::Place;
use super::operators;
use super::summary::display_name;
use super::trouble::{OrPage, PageError};
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::privacy::erasure::{self, Erasure};

/// Requests of one page.
const PAGE: usize = 100;

/// The pages of erasure requests.
pub fn pages() -> Pages {
    let erase = Needs::Permission(Permission::MembersErase);
    Pages::default().get("/console/erasures", erase, page).post("/console/erasures/{id}/withdraw", erase, withdraw)
}

/// Where a page begins.
#[derive(Deserialize)]
struct Cursor {
    after: Option<String>,
}

struct Line {
    id: MemberId,
    name: String,
    due: String,
    asked: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "console/erasures.html")]
struct ErasuresPage {
    frame: Frame,
    lines: Vec<Line>,
    next: Option<MemberId>,
}

async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Query(cursor): Query<Cursor>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Erasures);
    let mut found = erasure::list(&state, cursor.after, PAGE as i64 + 1).await.or_page(&frame)?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(|(id, _)| *id);
    found.sort_by_key(|(_, erasure)| erasure.due_at);
    let mut lines = Vec::new();
    for (id, erasure) in &found {
        lines.push(line(&frame, &state, *id, erasure).await?);
    }
    Ok(render(&ErasuresPage { frame, lines, next }))
}

async fn line(frame: &Frame, state: &AppState, id: MemberId, erasure: &Erasure) -> Result<Line, PageError> {
    let row = state.reader.member(id).await.or_page(frame)?;
    let profile = match &row {
        Some(row) => state.profile(row).or_page(frame)?,
        None => None,
    };
    Ok(Line {
        id,
        name: display_name(id, &profile.unwrap_or_default()),
        due: frame.clock_time(erasure.due_at),
        asked: asked(frame, state, erasure).await,
        reason: erasure.reason.clone(),
    })
}

/// `Asked for by Ann, 2026-03-10 09:30`.
pub async fn asked(frame: &Frame, state: &AppState, erasure: &Erasure) -> String {
    let who = operators::name(state, frame, &erasure.requested_by).await;
    let when = frame.clock_time(erasure.requested_at);
    frame.say("approval-asked", [("who", who.into()), ("when", when.into())])
}

async fn withdraw(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
) -> Result<Response, PageError> {
    let id: MemberId = text.parse().map_err(|_| PageError::unknown_member(&frame))?;
    match erasure::withdraw(&state, &frame.actor, id).await {
        Ok(()) => {}
        // Taken back already: by someone else, or in another window.
        Err(problem) if problem.code == "no_erasure" => {}
        Err(problem) => return Err(PageError::of(&frame, &problem)),
    }
    Ok(Redirect::to("/console/erasures").into_response())
}
