//! Writing one document of a draft: by the form of common shapes, or as its text.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use guerdon_core::program::{Draft, holding, newest, own_id, parse_document};
use serde::Deserialize;
use serde_json::{Value, json};

use super::configuration::{home, name_of, place, pretty};
use super::document_form::{DocumentForm, EFFECTS, WINDOWS, shows_caps, shows_price};
use super::drafts::{input_of, invalid, trouble_words};
use super::frame::{Frame, render};
use super::nav::Place;
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::drafts::{self, ChangeInput, DraftInput};
use crate::identity::access::{Needs, Pages};
use crate::problem::Problem;

/// The pages on which documents are written.
pub fn pages() -> Pages {
    let write = Needs::Permission(Permission::ProgramWrite);
    Pages::default()
        .get("/console/drafts/new", write, new)
        .post("/console/drafts/new", write, create)
        .get("/console/drafts/{id}/edit", write, edit)
        .post("/console/drafts/{id}/edit", write, change)
}

/// Which document is written.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Which {
    kind: String,
    document: String,
}

#[derive(Template)]
#[template(path = "console/draft_edit.html")]
struct EditPage {
    frame: Frame,
    home: (&'static str, &'static str),
    /// Where the form goes to.
    action: String,
    heading: String,
    kind: String,
    document: String,
    /// The title of a draft that is begun with this.
    title: Option<String>,
    has_form: bool,
    is_new: bool,
    shows_caps: bool,
    shows_price: bool,
    form: DocumentForm,
    effects: Vec<(&'static str, String)>,
    windows: Vec<(&'static str, String)>,
    rules: Vec<String>,
    campaigns: Vec<String>,
    text: String,
    trouble: Option<String>,
    /// Whether the text is what was typed last.
    in_text: bool,
}

/// What there is of the document that is written: in the draft, or in force.
fn present(state: &AppState, draft: Option<&Draft>, kind: &str, id: &str) -> Option<Value> {
    let changed = draft.and_then(|draft| draft.changes.iter().find(|change| change.kind == kind && change.id == id));
    if let Some(document) = changed.and_then(|change| change.document.clone()) {
        return Some(document);
    }
    let program = state.program();
    let documents = program.documents();
    let newest = newest(documents, kind, id).filter(|newest| newest.state == "active");
    let held = newest.or_else(|| holding(documents, kind, id, state.engine.now()))?;
    serde_json::from_str(&held.body).ok()
}

/// What a new document begins with.
fn blank(kind: &str) -> Value {
    match kind {
        "rule" => {
            json!({"id": "", "name": "", "trigger": "purchase", "effect": {"type": "points_per_money", "rate": "1"}})
        }
        "activity" => json!({"id": "", "name": "", "schema": {"type": "object", "properties": {}}}),
        "campaign" => json!({"id": "", "name": ""}),
        "reward" => json!({"id": "", "name": "", "price": 100}),
        _ => json!({}),
    }
}

struct Editing<'a> {
    draft: Option<(&'a str, &'a Draft)>,
    which: &'a Which,
    title: String,
    typed: Option<(DocumentForm, Option<String>)>,
    trouble: Option<String>,
}

fn edit_page(frame: Frame, state: &AppState, editing: Editing<'_>) -> Response {
    let Which { kind, document: id } = editing.which;
    let present = present(state, editing.draft.map(|(_, draft)| draft), kind, id);
    let is_new = present.is_none();
    let document = present.unwrap_or_else(|| blank(kind));
    let (form, text) = editing.typed.unwrap_or_else(|| (DocumentForm::of(&document), None));
    let mut effects: Vec<(&'static str, String)> =
        EFFECTS.iter().map(|effect| (*effect, frame.t(&format!("effect-{}", effect.replace('_', "-"))))).collect();
    if !EFFECTS.contains(&form.effect.as_str()) {
        effects.push(("other", frame.t("effect-other")));
    }
    let held = guerdon_core::program::in_force(state.program().documents(), state.engine.now());
    let ids = |kind: &str| held.iter().filter(|one| one.kind == kind).map(|one| one.id.clone()).collect();
    let name = if is_new { frame.t("document-new") } else { name_of(&frame, &document, id) };
    let page = EditPage {
        home: home(kind),
        action: match editing.draft {
            Some((draft, _)) => format!("/console/drafts/{draft}/edit"),
            None => "/console/drafts/new".to_owned(),
        },
        heading: format!("{}: {name}", frame.t(&format!("kind-of-{kind}"))),
        kind: kind.clone(),
        document: id.clone(),
        title: editing.draft.is_none().then_some(editing.title),
        has_form: matches!(kind.as_str(), "rule" | "campaign" | "reward" | "category"),
        is_new,
        shows_caps: shows_caps(&document),
        shows_price: shows_price(&document),
        effects,
        windows: WINDOWS.iter().map(|one| (*one, frame.t(&format!("window-{one}")))).collect(),
        rules: ids("rule"),
        campaigns: ids("campaign"),
        in_text: text.is_some(),
        text: text.unwrap_or_else(|| pretty(&document)),
        form,
        trouble: editing.trouble,
        frame,
    };
    render(&page)
}

fn known_kind(frame: &Frame, kind: &str) -> Result<(), PageError> {
    if guerdon_core::program::KINDS.contains(&kind) { Ok(()) } else { Err(PageError::not_found(frame)) }
}

async fn new(frame: Frame, State(state): State<AppState>, Query(which): Query<Which>) -> Result<Response, PageError> {
    known_kind(&frame, &which.kind)?;
    let frame = frame.at(place(&which.kind));
    let kind = frame.t(&format!("kind-of-{}", which.kind));
    let title = match which.document.as_str() {
        "" => frame.say("draft-title-new", [("kind", kind.into())]),
        id => frame.say("draft-title-change", [("kind", kind.into()), ("name", id.into())]),
    };
    Ok(edit_page(frame, &state, Editing { draft: None, which: &which, title, typed: None, trouble: None }))
}

async fn edit(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, PageError> {
    known_kind(&frame, &which.kind)?;
    let frame = frame.at(Place::Drafts);
    let (_, draft) = drafts::find(&state, &id).await.or_page(&frame)?;
    let (draft, title) = (Some((id.as_str(), &draft)), String::new());
    Ok(edit_page(frame, &state, Editing { draft, which: &which, title, typed: None, trouble: None }))
}

/// What was typed of a document: by the form, or as its text.
#[derive(Deserialize, Default)]
#[serde(default)]
struct EditForm {
    kind: String,
    document: String,
    title: String,
    /// `form` or `text`.
    way: String,
    text: String,
    #[serde(flatten)]
    form: DocumentForm,
}

impl EditForm {
    fn which(&self) -> Which {
        Which { kind: self.kind.clone(), document: self.document.clone() }
    }

    /// The change that was typed, over what there is.
    fn change(&self, state: &AppState, draft: Option<&Draft>) -> Result<ChangeInput, Problem> {
        let document = match self.way.as_str() {
            "text" => parse_document(&self.kind, &self.text.replace("\r\n", "\n")).map_err(invalid)?,
            _ => {
                let before = present(state, draft, &self.kind, &self.document).unwrap_or_else(|| blank(&self.kind));
                let document = self.form.over(&self.kind, &before).map_err(invalid)?;
                guerdon_core::program::typed(&self.kind, &document).map_err(invalid)?
            }
        };
        let known = draft.and_then(|draft| {
            draft.changes.iter().find(|change| change.kind == self.kind && change.id == self.document)
        });
        let id = own_id(&self.kind, &document).to_owned();
        if !self.document.is_empty() && id != self.document {
            return Err(invalid(format!("the id is `{}` and stays; `{id}` would be another document", self.document)));
        }
        let base = known.map(|known| known.base);
        Ok(ChangeInput {
            kind: self.kind.clone(),
            id: Some(id),
            base,
            document: Some(document),
            ..ChangeInput::default()
        })
    }

    fn typed(&self) -> (DocumentForm, Option<String>) {
        (self.form.clone(), (self.way == "text").then(|| self.text.clone()))
    }
}

async fn create(
    frame: Frame,
    State(state): State<AppState>,
    Form(form): Form<EditForm>,
) -> Result<Response, PageError> {
    known_kind(&frame, &form.kind)?;
    let made = match form.change(&state, None) {
        Ok(change) => {
            let input =
                DraftInput { title: form.title.trim().to_owned(), changes: vec![change], ..DraftInput::default() };
            drafts::create(&state, &frame.actor, input).await
        }
        Err(problem) => Err(problem),
    };
    match made {
        Ok(id) => Ok(Redirect::to(&format!("/console/drafts/{id}")).into_response()),
        Err(problem) if problem.status >= 500 => Err(PageError::of(&frame, &problem)),
        Err(problem) => {
            let (which, trouble) = (form.which(), Some(trouble_words(&frame, &problem)));
            let (title, typed) = (form.title.clone(), Some(form.typed()));
            let frame = frame.at(place(&which.kind));
            Ok(unprocessable(edit_page(frame, &state, Editing { draft: None, which: &which, title, typed, trouble })))
        }
    }
}

async fn change(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(form): Form<EditForm>,
) -> Result<Response, PageError> {
    known_kind(&frame, &form.kind)?;
    let (record, draft) = drafts::find(&state, &id).await.or_page(&frame)?;
    let done = match form.change(&state, Some(&draft)) {
        Ok(change) => {
            let mut input = input_of(&draft);
            let same = |known: &ChangeInput| known.kind == change.kind && known.id == change.id;
            match input.changes.iter_mut().find(|known| same(known)) {
                Some(known) => *known = change,
                None => input.changes.push(change),
            }
            drafts::edit(&state, &frame.actor, &id, Some(record.version), input).await
        }
        Err(problem) => Err(problem),
    };
    match done {
        Ok(_) => Ok(Redirect::to(&format!("/console/drafts/{id}")).into_response()),
        Err(problem) if problem.status >= 500 => Err(PageError::of(&frame, &problem)),
        Err(problem) => {
            let (which, trouble, typed) = (form.which(), Some(trouble_words(&frame, &problem)), Some(form.typed()));
            let (draft, title) = (Some((id.as_str(), &draft)), String::new());
            let frame = frame.at(Place::Drafts);
            Ok(unprocessable(edit_page(frame, &state, Editing { draft, which: &which, title, typed, trouble })))
        }
    }
}
