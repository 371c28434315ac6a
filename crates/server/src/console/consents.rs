//! What members consent to: purposes, the texts that they read, and how the texts came to be.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use guerdon_core::program::Text;
use serde::Deserialize;

use super::changes::{self, Change};
use super::frame::{Frame, render};
use super::nav::Place;
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::privacy::consent::{self, Purpose};

/// The pages of consent.
pub fn pages() -> Pages {
    let (read, write) = (Needs::Permission(Permission::PrivacyRead), Needs::Permission(Permission::PrivacyWrite));
    Pages::default()
        .get("/console/consents", read, list)
        .post("/console/consents", write, make)
        .get("/console/consents/{id}", read, page)
        .post("/console/consents/{id}", write, publish)
}

/// What was typed, or is there: a name and a text in both languages.
#[derive(Deserialize, Default)]
struct TextForm {
    #[serde(default)]
    id: String,
    name_en: String,
    name_zh: String,
    text_en: String,
    text_zh: String,
}

impl TextForm {
    fn of(purpose: &Purpose) -> Self {
        let get = |text: &Text, language: &str| text.get(language).to_owned();
        Self {
            id: String::new(),
            name_en: get(&purpose.name, "en"),
            name_zh: get(&purpose.name, "zh"),
            text_en: get(&purpose.text, "en"),
            text_zh: get(&purpose.text, "zh"),
        }
    }

    fn purpose(&self) -> Purpose {
        // Browsers end lines with two characters, and the text of a version is compared with the one before it.
        let tidy = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
        let both =
            |en: &str, zh: &str| Text::Many(BTreeMap::from([("en".to_owned(), tidy(en)), ("zh".to_owned(), tidy(zh))]));
        Purpose { name: both(&self.name_en, &self.name_zh), text: both(&self.text_en, &self.text_zh), version: 0 }
    }
}

struct Line {
    id: String,
    name: String,
    text: String,
    version: String,
}

#[derive(Template)]
#[template(path = "console/consents.html")]
struct ListPage {
    frame: Frame,
    purposes: Vec<Line>,
    may_change: bool,
    typed: TextForm,
    trouble: Option<String>,
}

fn version(frame: &Frame, number: i64) -> String {
    frame.say("consent-version", [("version", number.into())])
}

async fn list(frame: Frame, State(state): State<AppState>) -> Result<Response, PageError> {
    show_list(frame, &state, TextForm::default(), None).await
}

async fn show_list(
    frame: Frame,
    state: &AppState,
    typed: TextForm,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Consents);
    let language = frame.language.tag();
    let line = |(id, purpose): (String, Purpose)| Line {
        id,
        name: purpose.name.get(language).to_owned(),
        text: purpose.text.get(language).to_owned(),
        version: version(&frame, purpose.version),
    };
    let purposes = consent::purposes(state).await.or_page(&frame)?.into_iter().map(line).collect();
    let may_change = frame.actor.may(Permission::PrivacyWrite);
    Ok(render(&ListPage { purposes, may_change, typed, trouble, frame }))
}

async fn make(
    frame: Frame,
    State(state): State<AppState>,
    Form(mut form): Form<TextForm>,
) -> Result<Response, PageError> {
    form.id = form.id.trim().to_owned();
    match consent::make_purpose(&state, &frame.actor, &form.id, form.purpose()).await {
        Ok(_) => Ok(Redirect::to(&format!("/console/consents/{}", form.id)).into_response()),
        Err(problem) => {
            let trouble = Some(frame.trouble(&problem)?);
            Ok(unprocessable(show_list(frame, &state, form, trouble).await?))
        }
    }
}

/// A version of a purpose, as it was published.
struct Version {
    title: String,
    told: String,
    texts: TextForm,
}

#[derive(Template)]
#[template(path = "console/consent.html")]
struct PurposePage {
    frame: Frame,
    id: String,
    name: String,
    version: String,
    now: TextForm,
    may_change: bool,
    typed: TextForm,
    versions: Vec<Version>,
    trouble: Option<String>,
}

async fn page(frame: Frame, State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, PageError> {
    show(frame, &state, &id, None, None).await
}

async fn find(frame: &Frame, state: &AppState, id: &str) -> Result<Purpose, PageError> {
    let found = consent::purposes(state).await.or_page(frame)?.into_iter().find(|(known, _)| known == id);
    found.map(|(_, purpose)| purpose).ok_or_else(|| PageError::not_found(frame))
}

async fn show(
    frame: Frame,
    state: &AppState,
    id: &str,
    typed: Option<TextForm>,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Consents);
    let purpose = find(&frame, state, id).await?;
    let published = |change: Change| {
        let texts: Purpose = serde_json::from_value(change.event.after).ok()?;
        Some(Version { title: version(&frame, texts.version), told: change.told, texts: TextForm::of(&texts) })
    };
    let versions = changes::of(state, &frame, "consent.purpose", id).await?;
    Ok(render(&PurposePage {
        id: id.to_owned(),
        name: purpose.name.get(frame.language.tag()).to_owned(),
        version: version(&frame, purpose.version),
        typed: typed.unwrap_or_else(|| TextForm::of(&purpose)),
        now: TextForm::of(&purpose),
        may_change: frame.actor.may(Permission::PrivacyWrite),
        versions: versions.into_iter().filter_map(published).collect(),
        trouble,
        frame,
    }))
}

async fn publish(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(form): Form<TextForm>,
) -> Result<Response, PageError> {
    find(&frame, &state, &id).await?;
    match consent::put_purpose(&state, &frame.actor, &id, form.purpose()).await {
        Ok(_) => Ok(Redirect::to(&format!("/console/consents/{id}")).into_response()),
        Err(problem) => {
            let trouble = Some(frame.trouble(&problem)?);
            Ok(unprocessable(show(frame, &state, &id, Some(form), trouble).await?))
        }
    }
}
