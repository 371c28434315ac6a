//! Drafts: what they change and what that means for members, and their way to being in force.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use guerdon_core::program::{DocumentChange, Draft, Stage, Text};
use guerdon_core::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::approvals::DecisionForm;
use super::configuration::{DraftLine, Row, draft_line, name_of, rows, since};
use super::frame::{Frame, render};
use super::nav::Place;
use super::operators;
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::approvals;
use crate::drafts::{self, ChangeInput, DraftInput};
use crate::identity::access::{Needs, Pages};
use crate::problem::Problem;

/// The pages of drafts.
pub fn pages() -> Pages {
    let (read, write) = (Needs::Permission(Permission::ProgramRead), Needs::Permission(Permission::ProgramWrite));
    Pages::default()
        .get("/console/drafts", read, list)
        .get("/console/drafts/{id}", read, page)
        .post("/console/drafts/{id}", write, act)
        .post("/console/drafts/{id}/decision", Needs::Permission(Permission::ApprovalsDecide), decide)
}

#[derive(Template)]
#[template(path = "console/drafts.html")]
struct ListPage {
    frame: Frame,
    drafts: Vec<DraftLine>,
}

async fn list(frame: Frame, State(state): State<AppState>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Drafts);
    let all = drafts::list(&state).await.or_page(&frame)?;
    let drafts = all.iter().map(|(record, draft)| draft_line(&frame, &state, &record.id, draft)).collect();
    Ok(render(&ListPage { drafts, frame }))
}

/// A document of a draft.
struct Part {
    kind: String,
    id: String,
    what: String,
    base: String,
    retires: bool,
}

struct Moved {
    what: String,
    by: String,
    at: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "console/draft.html")]
struct DraftPage {
    frame: Frame,
    id: String,
    title: String,
    state: &'static str,
    state_words: String,
    author: String,
    /// From when on it would hold, or does.
    holds: String,
    /// What stands in its way.
    problem: Option<String>,
    /// The earliest moment, where something is for the worse.
    adverse: Option<String>,
    overridden: Option<String>,
    announcement: String,
    parts: Vec<Part>,
    differences: Vec<Row>,
    history: Vec<Moved>,
    /// Documents that may be added: kind, id, words.
    others: Vec<(String, String)>,
    effective_from: String,
    announcement_en: String,
    announcement_zh: String,
    override_reason: String,
    may_edit: bool,
    may_submit: bool,
    may_withdraw: bool,
    may_delete: bool,
    may_decide: bool,
    /// Why who looks may not decide what waits.
    closed_because: Option<String>,
    trouble: Option<String>,
}

async fn page(frame: Frame, State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, PageError> {
    show(frame, &state, &id, None).await
}

async fn show(frame: Frame, state: &AppState, id: &str, trouble: Option<String>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Drafts);
    let (_, draft) = drafts::find(state, id).await.or_page(&frame)?;
    let standing = drafts::standing(state, &draft).name();
    let is_open = matches!(draft.stage, Stage::Draft | Stage::Submitted);
    let judged = drafts::judge(state, &draft, None);
    let problem = match &judged {
        Err(problem) => Some(problem.clone()),
        Ok(judged) => judged.check().err(),
    };
    let differences = judged.as_ref().map(|judged| rows(&frame, &judged.differences)).unwrap_or_default();
    let holds = match (&judged, draft.effective_from.filter(|_| !is_open)) {
        (_, Some(from)) => since(&frame, from),
        (Ok(judged), None) if judged.from > state.engine.now().plus_millis(60_000) => frame.clock_time(judged.from),
        (Ok(_), None) => frame.t("as-soon-as-approved"),
        (Err(_), None) => frame.t("none"),
    };
    let adverse = judged.as_ref().ok().filter(|judged| judged.is_adverse() && is_open);
    let write = frame.actor.may(Permission::ProgramWrite);
    let (may_decide, closed_because) = decidable(&frame, state, &draft).await?;
    let (announcement_en, announcement_zh) = both(draft.announcement.as_ref());
    let mut history = Vec::new();
    for one in draft.history.iter().rev() {
        history.push(Moved {
            what: frame.t(&format!("move-{}", one.done)),
            by: operators::name(state, &frame, &one.by).await,
            at: frame.clock_time(one.at),
            reason: one.reason.clone(),
        });
    }
    let parts = draft.changes.iter().map(|change| Part {
        what: what(&frame, change),
        base: match change.base {
            0 => frame.t("document-new"),
            base => frame.say("over-version", [("version", base.into())]),
        },
        retires: change.document.is_none(),
        kind: change.kind.clone(),
        id: change.id.clone(),
    });
    let is_done = matches!(standing, "scheduled" | "draft" | "submitted" | "approved");
    Ok(render(&DraftPage {
        id: id.to_owned(),
        title: draft.title.clone(),
        state: standing,
        state_words: frame.t(&format!("standing-{standing}")),
        author: operators::name(state, &frame, &draft.author).await,
        holds,
        problem: problem.filter(|_| is_open).map(|problem| trouble_words(&frame, &problem)),
        adverse: adverse.map(|judged| frame.clock_time(judged.earliest)),
        overridden: draft.override_reason.clone(),
        announcement: draft
            .announcement
            .as_ref()
            .map(|text| text.get(frame.language.tag()).to_owned())
            .unwrap_or_default(),
        parts: parts.collect(),
        differences,
        history,
        others: others(&frame, state, &draft),
        effective_from: draft.effective_from.map(|from| local(&frame, from)).unwrap_or_default(),
        announcement_en,
        announcement_zh,
        override_reason: draft.override_reason.clone().unwrap_or_default(),
        may_edit: write && is_open,
        may_submit: write && draft.stage == Stage::Draft,
        may_withdraw: write && is_done && (draft.stage != Stage::Draft || draft.submission > 0),
        may_delete: write && draft.stage == Stage::Draft && draft.submission == 0,
        may_decide,
        closed_because,
        trouble,
        frame,
    }))
}

/// A problem of a draft: in the words of its code, with the place that the API names.
pub(super) fn trouble_words(frame: &Frame, problem: &Problem) -> String {
    let known = frame.language.say_if_known(&format!("problem-{}", problem.code));
    match (problem.code.as_str(), known) {
        ("adverse_too_soon" | "draft_outdated" | "version_scheduled" | "wrong_stage" | "four_eyes", Some(words)) => {
            words
        }
        (_, Some(words)) => format!("{words} {}", problem.detail),
        (_, None) => problem.detail.clone(),
    }
}

/// Whether who looks may decide it, and why not.
async fn decidable(frame: &Frame, state: &AppState, draft: &Draft) -> Result<(bool, Option<String>), PageError> {
    let (Stage::Submitted, Some(approval)) = (draft.stage, &draft.approval) else { return Ok((false, None)) };
    let Some(me) = frame.actor.operator() else { return Ok((false, None)) };
    let Ok((_, approval)) = approvals::find(state, approval).await else { return Ok((false, None)) };
    if approval.stage != approvals::Stage::Waiting {
        let said = approval.outcome.get("detail").and_then(Value::as_str).map(str::to_owned);
        return Ok((false, said));
    }
    let key = if approval.is_own(state, me).await.or_page(frame)? {
        Some("approval-own")
    } else if !frame.actor.may(Permission::ApprovalsDecide) || !frame.actor.may(Permission::ProgramWrite) {
        Some("approval-no-right")
    } else {
        None
    };
    Ok((key.is_none(), key.map(|key| frame.t(key))))
}

fn what(frame: &Frame, change: &DocumentChange) -> String {
    let kind = frame.t(&format!("kind-of-{}", change.kind));
    let name = change.document.as_ref().map_or_else(|| change.id.clone(), |one| name_of(frame, one, &change.id));
    format!("{kind} “{name}”")
}

/// The documents that a draft does not change yet.
fn others(frame: &Frame, state: &AppState, draft: &Draft) -> Vec<(String, String)> {
    let program = state.program();
    let held = guerdon_core::program::in_force(program.documents(), state.engine.now());
    let is_new = |one: &&guerdon_core::program::Document| {
        !draft.changes.iter().any(|change| change.kind == one.kind && change.id == one.id)
    };
    let mut others: Vec<&guerdon_core::program::Document> = held.iter().filter(is_new).collect();
    let order = |kind: &str| guerdon_core::program::KINDS.iter().position(|known| *known == kind);
    others.sort_by_key(|one| (order(&one.kind), one.position));
    let words = |one: &guerdon_core::program::Document| {
        let document: Value = serde_json::from_str(&one.body).unwrap_or_default();
        let kind = frame.t(&format!("kind-of-{}", one.kind));
        (format!("{}/{}", one.kind, one.id), format!("{kind}: {}", name_of(frame, &document, &one.id)))
    };
    others.into_iter().take(500).map(words).collect()
}

fn both(text: Option<&Text>) -> (String, String) {
    match text {
        None => (String::new(), String::new()),
        Some(Text::One(text)) => (text.clone(), String::new()),
        Some(Text::Many(texts)) => {
            let of = |language: &str| texts.get(language).cloned().unwrap_or_default();
            (of("en"), of("zh"))
        }
    }
}

/// A moment as the field of a form takes it.
fn local(frame: &Frame, at: Timestamp) -> String {
    frame.program.calendar.show(at).replace(' ', "T")
}

/// What a draft says, as it is written anew.
pub(super) fn input_of(draft: &Draft) -> DraftInput {
    let changes = draft.changes.iter().map(|change| ChangeInput {
        kind: change.kind.clone(),
        id: Some(change.id.clone()),
        base: Some(change.base),
        document: change.document.clone(),
        retire: change.document.is_none(),
        text: None,
    });
    DraftInput {
        title: draft.title.clone(),
        changes: changes.collect(),
        effective_from: draft.effective_from,
        announcement: draft.announcement.clone(),
        override_reason: draft.override_reason.clone(),
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ActForm {
    act: String,
    reason: String,
    title: String,
    effective_from: String,
    announcement_en: String,
    announcement_zh: String,
    override_reason: String,
    /// `kind/id` of a document to drop from the draft.
    document: String,
}

async fn act(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(form): Form<ActForm>,
) -> Result<Response, PageError> {
    let (kind, document) = form.document.split_once('/').unwrap_or_default();
    let done = match form.act.as_str() {
        "submit" => drafts::submit(&state, &frame.actor, &id, form.reason.trim()).await.map(drop),
        "withdraw" => drafts::withdraw(&state, &frame.actor, &id, form.reason.trim()).await,
        "delete" => match drafts::delete(&state, &frame.actor, &id).await {
            Ok(()) => return Ok(Redirect::to("/console/drafts").into_response()),
            Err(problem) => Err(problem),
        },
        "add" => return Ok(Redirect::to(&edit_address(&id, kind, document)).into_response()),
        "drop" => {
            rewrite(&frame, &state, &id, |input| {
                input.changes.retain(|change| change.kind != kind || change.id.as_deref() != Some(document));
                Ok(())
            })
            .await
        }
        _ => rewrite(&frame, &state, &id, |input| terms(&frame, input, &form)).await,
    };
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/console/drafts/{id}")).into_response()),
        Err(problem) => refused(frame, &state, &id, &problem).await,
    }
}

async fn refused(frame: Frame, state: &AppState, id: &str, problem: &Problem) -> Result<Response, PageError> {
    if problem.status >= 500 || problem.status == 404 {
        return Err(PageError::of(&frame, problem));
    }
    let trouble = trouble_words(&frame, problem);
    Ok(unprocessable(show(frame, state, id, Some(trouble)).await?))
}

fn edit_address(id: &str, kind: &str, document: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("kind", kind)
        .append_pair("document", document)
        .finish();
    format!("/console/drafts/{id}/edit?{query}")
}

/// Writes a draft anew with something changed.
async fn rewrite(
    frame: &Frame,
    state: &AppState,
    id: &str,
    change: impl FnOnce(&mut DraftInput) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let (record, draft) = drafts::find(state, id).await?;
    let mut input = input_of(&draft);
    change(&mut input)?;
    drafts::edit(state, &frame.actor, id, Some(record.version), input).await.map(drop)
}

pub(super) fn invalid(detail: String) -> Problem {
    Problem::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, "invalid_draft", detail)
}

/// When it is to hold, what is told of it, and why sooner.
fn terms(frame: &Frame, input: &mut DraftInput, form: &ActForm) -> Result<(), Problem> {
    let wanted = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    form.title.trim().clone_into(&mut input.title);
    let from = wanted(&form.effective_from).map(|text| frame.program.calendar.parse_local(&text)).transpose();
    input.effective_from = from.map_err(invalid)?;
    input.override_reason = wanted(&form.override_reason);
    input.announcement = match (wanted(&form.announcement_en), wanted(&form.announcement_zh)) {
        (None, None) => None,
        (en, zh) => {
            let texts = [("en", en), ("zh", zh)].into_iter().filter_map(|(tag, text)| Some((tag.to_owned(), text?)));
            Some(Text::Many(texts.collect()))
        }
    };
    Ok(())
}

async fn decide(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(form): Form<DecisionForm>,
) -> Result<Response, PageError> {
    match drafts::decide(&state, &frame.actor, &id, form.act == "approve", form.note.trim()).await {
        Ok(()) => Ok(Redirect::to(&format!("/console/drafts/{id}")).into_response()),
        Err(problem) => refused(frame, &state, &id, &problem).await,
    }
}
