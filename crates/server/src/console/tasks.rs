//! Tasks that rules ask for: who is to be called, who is at it, what came of it.

use askama::Template;
use axum::Form;
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
use crate::events::tasks::{self, Step, Task};
use crate::identity::access::{Needs, Pages};

/// Tasks of one page.
const PAGE: usize = 50;

/// The pages of tasks.
pub fn pages() -> Pages {
    let tasks = Needs::Permission(Permission::TasksWrite);
    Pages::default().get("/console/tasks", tasks, page).post("/console/tasks/{id}", tasks, step)
}

/// Which tasks, and where a page begins.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    done: bool,
    after: Option<String>,
}

struct Line {
    id: String,
    member: MemberId,
    name: String,
    text: String,
    when: String,
    who: Option<String>,
    mine: bool,
    note: Option<String>,
}

#[derive(Template)]
#[template(path = "console/tasks.html")]
struct TasksPage {
    frame: Frame,
    lines: Vec<Line>,
    done: bool,
    next: Option<String>,
}

async fn page(frame: Frame, State(state): State<AppState>, Query(asked): Query<Asked>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Tasks);
    let mut found = tasks::list(&state, asked.done, asked.after, PAGE as i64 + 1).await.or_page(&frame)?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(|(id, _)| id.clone());
    let mut lines = Vec::with_capacity(found.len());
    for (id, task) in found {
        lines.push(line(&frame, &state, id, task).await?);
    }
    Ok(render(&TasksPage { frame, lines, done: asked.done, next }))
}

async fn line(frame: &Frame, state: &AppState, id: String, task: Task) -> Result<Line, PageError> {
    let member = task.member_id;
    let row = if frame.may_see_members() { state.reader.member(member).await.or_page(frame)? } else { None };
    let profile = match &row {
        Some(row) => state.profile(row).or_page(frame)?,
        None => None,
    };
    let who = match task.done_by.as_ref().or(task.taken_by.as_ref()) {
        Some(who) => Some(operators::name(state, frame, who).await),
        None => None,
    };
    Ok(Line {
        id,
        member,
        name: display_name(member, &profile.unwrap_or_default()),
        text: task.text.get(frame.language.tag()).to_owned(),
        when: frame.time(task.done_at.unwrap_or(task.raised_at)),
        mine: task.taken_by.as_deref() == Some(frame.actor.name().as_str()),
        who,
        note: task.note,
    })
}

#[derive(Deserialize)]
struct StepForm {
    step: Step,
    #[serde(default)]
    note: String,
}

async fn step(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(form): Form<StepForm>,
) -> Result<Response, PageError> {
    let note = Some(form.note).filter(|note| !note.trim().is_empty());
    match tasks::step(&state, &frame.actor, &id, form.step, note).await {
        Ok(_) => {}
        // Somebody was faster: the list shows who.
        Err(problem) if problem.code == "task_taken" => {}
        Err(problem) => return Err(PageError::of(&frame, &problem)),
    }
    Ok(Redirect::to("/console/tasks").into_response())
}
