//! The code vault: how many codes each reward has, and the form that adds more.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use guerdon_core::rewards::Fulfilment;
use serde::Deserialize;

use super::format;
use super::frame::{Frame, render};
use super::nav::Place;
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::fulfilment::codes;
use crate::identity::access::{Needs, Pages};

/// Free codes below which a vault is about to run dry.
const FEW: i64 = 10;
/// Rewards of one page.
const PAGE: usize = 200;

/// The pages of the vault.
pub fn pages() -> Pages {
    let writes = Needs::Permission(Permission::CodesWrite);
    Pages::default()
        .get("/console/codes", Needs::Permission(Permission::RewardsRead), page)
        .get("/console/codes/{reward}", writes, form)
        .post("/console/codes/{reward}", writes, add)
}

struct Line {
    id: String,
    name: String,
    /// How many are free, set aside and handed out.
    counts: String,
    few: bool,
}

#[derive(Template)]
#[template(path = "console/codes.html")]
struct CodesPage {
    frame: Frame,
    lines: Vec<Line>,
    may_add: bool,
    added: Option<String>,
}

#[derive(Template)]
#[template(path = "console/codes_add.html")]
struct AddPage {
    frame: Frame,
    id: String,
    title: String,
    typed: String,
    trouble: Option<String>,
}

#[derive(Deserialize)]
struct Told {
    added: Option<i64>,
}

async fn page(frame: Frame, State(state): State<AppState>, Query(told): Query<Told>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Codes);
    let program = state.program();
    let vaults = program.rewards().filter(|reward| reward.fulfilment == Some(Fulfilment::Vault {}));
    let vaults: Vec<&guerdon_core::rewards::Reward> = vaults.take(PAGE).collect();
    let ids: Vec<&str> = vaults.iter().map(|reward| reward.id.as_str()).collect();
    let counts = state.reader.code_counts(&ids).await.or_page(&frame)?;
    let line = |reward: &guerdon_core::rewards::Reward| {
        let counts = counts.get(&reward.id).copied().unwrap_or_default();
        Line {
            id: reward.id.clone(),
            name: reward.name.get(frame.language.tag()).to_owned(),
            counts: frame.say(
                "codes-counts",
                [
                    ("free", format::number(counts.free).into()),
                    ("claimed", format::number(counts.claimed).into()),
                    ("issued", format::number(counts.issued).into()),
                ],
            ),
            few: counts.free <= FEW,
        }
    };
    let lines = vaults.into_iter().map(line).collect();
    let added = told.added.filter(|count| *count > 0).map(|count| frame.say("codes-added", [("count", count.into())]));
    Ok(render(&CodesPage { lines, may_add: frame.actor.may(Permission::CodesWrite), added, frame }))
}

fn add_page(frame: Frame, id: &str, typed: String, trouble: Option<String>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Codes);
    let known = frame.program.reward(id).filter(|reward| reward.fulfilment == Some(Fulfilment::Vault {}));
    let Some(reward) = known else { return Err(PageError::not_found(&frame)) };
    let title = frame.say_text("codes-upload-to", "reward", reward.name.get(frame.language.tag()));
    let id = reward.id.clone();
    Ok(render(&AddPage { frame, id, title, typed, trouble }))
}

async fn form(frame: Frame, Path(id): Path<String>) -> Result<Response, PageError> {
    add_page(frame, &id, String::new(), None)
}

#[derive(Deserialize)]
struct CodesForm {
    #[serde(default)]
    codes: String,
}

async fn add(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(typed): Form<CodesForm>,
) -> Result<Response, PageError> {
    let lines: Vec<String> = typed.codes.lines().map(str::to_owned).filter(|line| !line.trim().is_empty()).collect();
    match codes::upload(&state, &frame.actor, &id, &lines).await {
        Ok(count) => Ok(Redirect::to(&format!("/console/codes?added={count}")).into_response()),
        Err(problem) => {
            let words = frame.trouble(&problem)?;
            // Which ones is said by their places in the list.
            let trouble = match problem.code.as_str() {
                "invalid_codes" | "duplicate_codes" => {
                    frame.say("codes-which", [("words", words.into()), ("detail", problem.detail.into())])
                }
                _ => words,
            };
            let trouble = Some(trouble);
            Ok(unprocessable(add_page(frame, &id, typed.codes, trouble)?))
        }
    }
}
