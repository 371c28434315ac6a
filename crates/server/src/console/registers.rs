//! The registers that a brand must keep: read, add to, change, and how each entry came to be.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use serde::Deserialize;

use super::changes::{self, Change};
use super::frame::{Frame, render};
use super::nav::Place;
use super::operators;
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::privacy::register::{self, Entry, Kept, Register};

/// The pages of registers.
pub fn pages() -> Pages {
    let (read, write) = (Needs::Permission(Permission::PrivacyRead), Needs::Permission(Permission::PrivacyWrite));
    Pages::default()
        .get("/console/registers", read, overview)
        .get("/console/registers/{register}", write, blank)
        .post("/console/registers/{register}", write, add)
        .get("/console/registers/{register}/{id}", read, page)
        .post("/console/registers/{register}/{id}", write, change)
}

struct Line {
    id: String,
    title: String,
    purpose: String,
    changed: String,
}

struct RegisterView {
    name: &'static str,
    title: String,
    about: String,
    entries: Vec<Line>,
}

#[derive(Template)]
#[template(path = "console/registers.html")]
struct OverviewPage {
    frame: Frame,
    registers: Vec<RegisterView>,
    may_change: bool,
}

fn title(frame: &Frame, register: Register) -> String {
    frame.t(&format!("register-{}", register.name()))
}

fn about(frame: &Frame, register: Register) -> String {
    frame.t(&format!("register-{}-about", register.name()))
}

async fn overview(frame: Frame, State(state): State<AppState>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Registers);
    let mut registers = Vec::new();
    for register in Register::ALL {
        let mut entries = Vec::new();
        for (record, kept) in register::list(&state, register).await.or_page(&frame)? {
            let changed = changed(&frame, &state, &kept).await;
            let Entry { title, purpose, .. } = kept.entry;
            entries.push(Line { id: record.id, title, purpose, changed });
        }
        let (title, about) = (title(&frame, register), about(&frame, register));
        registers.push(RegisterView { name: register.name(), title, about, entries });
    }
    let may_change = frame.actor.may(Permission::PrivacyWrite);
    Ok(render(&OverviewPage { frame, registers, may_change }))
}

async fn changed(frame: &Frame, state: &AppState, kept: &Kept) -> String {
    let who = operators::name(state, frame, &kept.changed_by).await;
    frame.say("change-told", [("when", frame.clock_time(kept.changed_at).into()), ("who", who.into())])
}

/// What was typed.
#[derive(Deserialize, Default)]
struct EntryForm {
    #[serde(default)]
    act: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    purpose: String,
    #[serde(default)]
    legal_basis: String,
    #[serde(default)]
    data: String,
    #[serde(default)]
    recipients: String,
    #[serde(default)]
    retention: String,
    #[serde(default)]
    measures: String,
    #[serde(default)]
    owner: String,
}

impl EntryForm {
    fn entry(&self) -> Entry {
        let tidy = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
        Entry {
            title: tidy(&self.title),
            purpose: tidy(&self.purpose),
            legal_basis: tidy(&self.legal_basis),
            data: tidy(&self.data),
            recipients: tidy(&self.recipients),
            retention: tidy(&self.retention),
            measures: tidy(&self.measures),
            owner: tidy(&self.owner),
        }
    }
}

/// A field of an entry, to read or to fill in.
struct Field {
    name: &'static str,
    label: String,
    hint: String,
    value: String,
    needed: bool,
    long: bool,
}

/// The fields of an entry in their order. Measures are asked for differently where risks are assessed.
fn fields(frame: &Frame, register: Register, entry: &Entry) -> Vec<Field> {
    let field = |name: &'static str, value: &str, needed: bool, long: bool| {
        let key = match (name, register) {
            ("measures", Register::ImpactAssessment) => "register-risks".to_owned(),
            _ => format!("register-{}", name.replace('_', "-")),
        };
        let (label, hint) = (frame.t(&key), frame.t(&format!("{key}-hint")));
        Field { name, label, hint, value: value.to_owned(), needed, long }
    };
    vec![
        field("title", &entry.title, true, false),
        field("purpose", &entry.purpose, true, true),
        field("legal_basis", &entry.legal_basis, true, false),
        field("data", &entry.data, true, true),
        field("recipients", &entry.recipients, false, false),
        field("retention", &entry.retention, false, false),
        field("measures", &entry.measures, false, true),
        field("owner", &entry.owner, false, false),
    ]
}

/// An entry as it was from some moment on.
struct Version {
    told: String,
    fields: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "console/register_entry.html")]
struct EntryPage {
    frame: Frame,
    address: String,
    register: String,
    about: String,
    /// The stored title; none for a new entry.
    title: Option<String>,
    fields: Vec<Field>,
    may_change: bool,
    versions: Vec<Version>,
    trouble: Option<String>,
}

fn which(frame: &Frame, name: &str) -> Result<Register, PageError> {
    Register::from_name(name).ok_or_else(|| PageError::not_found(frame))
}

fn empty() -> Entry {
    EntryForm::default().entry()
}

async fn blank(frame: Frame, Path(name): Path<String>) -> Result<Response, PageError> {
    let register = which(&frame, &name)?;
    Ok(show_blank(frame, register, &empty(), None))
}

fn show_blank(frame: Frame, register: Register, entry: &Entry, trouble: Option<String>) -> Response {
    let frame = frame.at(Place::Registers);
    render(&EntryPage {
        address: format!("/console/registers/{}", register.name()),
        register: title(&frame, register),
        about: about(&frame, register),
        title: None,
        fields: fields(&frame, register, entry),
        may_change: true,
        versions: Vec::new(),
        trouble,
        frame,
    })
}

async fn add(
    frame: Frame,
    State(state): State<AppState>,
    Path(name): Path<String>,
    Form(form): Form<EntryForm>,
) -> Result<Response, PageError> {
    let register = which(&frame, &name)?;
    match register::put(&state, &frame.actor, register, None, form.entry()).await {
        Ok(id) => Ok(Redirect::to(&format!("/console/registers/{name}/{id}")).into_response()),
        Err(problem) => {
            let trouble = Some(frame.trouble(&problem)?);
            Ok(unprocessable(show_blank(frame, register, &form.entry(), trouble)))
        }
    }
}

async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let register = which(&frame, &name)?;
    show(frame, &state, register, &id, None, None).await
}

async fn show(
    frame: Frame,
    state: &AppState,
    register: Register,
    id: &str,
    typed: Option<Entry>,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Registers);
    let kept = register::get(state, register, id).await.or_page(&frame)?;
    let version = |change: Change| {
        let kept: Kept = serde_json::from_value(change.event.after).ok()?;
        let fields = fields(&frame, register, &kept.entry).into_iter().filter(|field| !field.value.is_empty());
        Some(Version { told: change.told, fields: fields.map(|field| (field.label, field.value)).collect() })
    };
    let versions = changes::of(state, &frame, "register.put", id).await?;
    Ok(render(&EntryPage {
        address: format!("/console/registers/{}/{id}", register.name()),
        register: title(&frame, register),
        about: about(&frame, register),
        title: Some(kept.entry.title.clone()),
        fields: fields(&frame, register, typed.as_ref().unwrap_or(&kept.entry)),
        may_change: frame.actor.may(Permission::PrivacyWrite),
        versions: versions.into_iter().filter_map(version).collect(),
        trouble,
        frame,
    }))
}

async fn change(
    frame: Frame,
    State(state): State<AppState>,
    Path((name, id)): Path<(String, String)>,
    Form(form): Form<EntryForm>,
) -> Result<Response, PageError> {
    let register = which(&frame, &name)?;
    let (done, next) = match form.act.as_str() {
        "save" => {
            let put = register::put(&state, &frame.actor, register, Some(&id), form.entry()).await;
            (put.map(drop), format!("/console/registers/{name}/{id}"))
        }
        "remove" => (register::remove(&state, &frame.actor, register, &id).await, "/console/registers".to_owned()),
        _ => return Err(PageError::not_found(&frame)),
    };
    match done {
        Ok(()) => Ok(Redirect::to(&next).into_response()),
        Err(problem) => {
            let trouble = Some(frame.trouble(&problem)?);
            let typed = (form.act == "save").then(|| form.entry());
            Ok(unprocessable(show(frame, &state, register, &id, typed, trouble).await?))
        }
    }
}
