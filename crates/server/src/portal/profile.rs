//! What is known of the member: shown masked, and to be changed by who has proved a moment ago who they are.

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::hex;
use guerdon_core::limits;
use guerdon_core::members::Profile;
use guerdon_core::privacy::mask;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::links::{LinkLine, lines};
use super::own::{is_fresh, own};
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::console::{Frame, facts, render};
use crate::identity::access::{Needs, Pages};
use crate::language::Language;
use crate::privacy::profile::{self, Wish};
use crate::problem::Problem;

pub(super) const HERE: &str = "/portal/profile";
/// Where to prove anew who one is.
pub(super) const PROVE: &str = "/portal/sign-in?next=%2Fportal%2Fprofile";

/// The page under “Profile”.
pub fn pages() -> Pages {
    Pages::default().get(HERE, Needs::Member, page).post(HERE, Needs::Member, save)
}

/// What the form holds.
#[derive(Deserialize, Default, Clone)]
pub(super) struct About {
    #[serde(default)]
    version: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    birth_date: String,
    #[serde(default)]
    language: String,
}

impl About {
    fn of(profile: &Profile) -> Self {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Self {
            version: String::new(),
            name: text(&profile.name),
            birth_date: text(&profile.birth_date),
            language: text(&profile.language),
        }
    }

    fn trimmed(&self) -> Self {
        let trim = |text: &String| text.trim().to_owned();
        Self {
            version: trim(&self.version),
            name: trim(&self.name),
            birth_date: trim(&self.birth_date),
            language: trim(&self.language),
        }
    }

    /// What differs from what was there; an empty field removes.
    fn patch(&self, before: &Self) -> Map<String, Value> {
        let fields = [
            ("name", &self.name, &before.name),
            ("birth_date", &self.birth_date, &before.birth_date),
            ("language", &self.language, &before.language),
        ];
        let value = |text: &String| if text.is_empty() { Value::Null } else { Value::from(text.as_str()) };
        let changed = fields.into_iter().filter(|(_, after, before)| after != before);
        changed.map(|(name, after, _)| (name.to_owned(), value(after))).collect()
    }

    /// The key of the words for what is wrong.
    fn trouble(&self) -> Option<&'static str> {
        if limits::check_text("name", &self.name, limits::TEXT_CHARS).is_err() {
            return Some("portal-join-no-name");
        }
        let birth_date = Some(self.birth_date.clone()).filter(|date| !date.is_empty());
        let dated = Profile { birth_date, ..Profile::default() };
        dated.validate().err().map(|_| "portal-join-birth-date-wrong")
    }
}

/// What was wrong with a form, and what it held.
#[derive(Default)]
pub(super) struct Wrong {
    pub(super) trouble: Option<String>,
    pub(super) about: Option<About>,
    pub(super) to: String,
}

#[derive(Template)]
#[template(path = "portal/profile.html")]
struct ProfilePage {
    frame: Frame,
    place: &'static str,
    /// That of the profile, where it may be changed.
    version: Option<String>,
    about: About,
    /// Masked, where it may not.
    facts: Vec<(String, String)>,
    addresses: Vec<(String, String)>,
    languages: Vec<(String, String)>,
    links: Vec<LinkLine>,
    to: String,
    prove: &'static str,
    saved: bool,
    trouble: Option<String>,
}

#[derive(Deserialize)]
struct Done {
    saved: Option<String>,
}

/// A problem of what the portal does for the member: a page, since nothing that they typed is wrong.
pub(super) fn failed<T>(frame: &Frame, outcome: Result<T, Problem>) -> Result<T, PortalError> {
    outcome.map_err(|problem| problem.detail).or_trouble(frame)
}

async fn page(frame: Frame, State(state): State<AppState>, Query(done): Query<Done>) -> Result<Response, PortalError> {
    show(frame, &state, Wrong::default(), done.saved.is_some()).await
}

/// The page with what was wrong, so that nothing has to be typed again.
pub(super) async fn again(frame: Frame, state: &AppState, wrong: Wrong) -> Result<Response, PortalError> {
    let page = show(frame, state, wrong, false).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

async fn show(frame: Frame, state: &AppState, wrong: Wrong, saved: bool) -> Result<Response, PortalError> {
    let own = own(state, &frame).await?;
    let row = state.reader.member(own.id).await.or_trouble(&frame)?.ok_or_else(|| PortalError::closed(&frame))?;
    let profile = state.profile(&row).or_trouble(&frame)?.ok_or_else(|| PortalError::closed(&frame))?;
    let fresh = is_fresh(state, &frame.actor).await.or_trouble(&frame)?;
    let about = wrong.about.unwrap_or_else(|| About::of(&profile));
    let page = ProfilePage {
        place: "profile",
        version: row.stored.sealed.as_ref().filter(|_| fresh).map(|sealed| hex::encode(&sealed.version())),
        facts: if fresh { Vec::new() } else { masked(&frame, &profile) },
        addresses: addresses(&frame, &profile),
        languages: languages(&frame, &about.language),
        links: if fresh { lines(&frame, state, &own).await.or_trouble(&frame)? } else { Vec::new() },
        about,
        to: wrong.to,
        prove: PROVE,
        saved,
        trouble: wrong.trouble,
        frame,
    };
    Ok(render(&page))
}

fn masked(frame: &Frame, profile: &Profile) -> Vec<(String, String)> {
    // What the brand keeps beside the member's own fields is under “Download my data”.
    let shown =
        Profile { external_id: None, addresses: Vec::new(), attributes: Default::default(), ..mask::profile(profile) };
    let name = shown.name.clone().map(|name| (frame.t("field-name"), name));
    name.into_iter().chain(facts(frame, &shown)).collect()
}

fn addresses(frame: &Frame, profile: &Profile) -> Vec<(String, String)> {
    let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| frame.t("portal-profile-no-address"));
    vec![(frame.t("fact-email"), shown(&profile.email)), (frame.t("fact-phone"), shown(&profile.phone))]
}

/// The languages of the portal, and the one that the profile has.
fn languages(frame: &Frame, current: &str) -> Vec<(String, String)> {
    let mut known = vec![
        (Language::English.tag().to_owned(), frame.t("portal-language-english")),
        (Language::Chinese.tag().to_owned(), frame.t("portal-language-chinese")),
    ];
    if known.iter().all(|(language, _)| language != current) {
        let shown = if current.is_empty() { frame.t("portal-language-none") } else { current.to_owned() };
        known.insert(0, (current.to_owned(), shown));
    }
    known
}

async fn save(frame: Frame, State(state): State<AppState>, Form(form): Form<About>) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    if !is_fresh(&state, &frame.actor).await.or_trouble(&frame)? {
        return Ok(Redirect::to(PROVE).into_response());
    }
    let about = form.trimmed();
    if let Some(key) = about.trouble() {
        let trouble = Some(frame.t(key));
        return again(frame, &state, Wrong { trouble, about: Some(about), ..Wrong::default() }).await;
    }
    let row = state.reader.member(own.id).await.or_trouble(&frame)?.ok_or_else(|| PortalError::closed(&frame))?;
    let before = state.profile(&row).or_trouble(&frame)?.ok_or_else(|| PortalError::closed(&frame))?;
    let patch = about.patch(&About::of(&before));
    if patch.is_empty() {
        return Ok(saved(&about));
    }
    let seen = hex::decode(&about.version);
    // The version is the key: the same form sent twice changes once.
    let key = format!("portal profile {}", seen.map(|seen| hex::encode(&seen)).unwrap_or_default());
    let seen = Some(seen.unwrap_or_default());
    let wish = Wish { member: own.id, key: &key, channel: "portal", patch: &patch, seen, reason: "" };
    match profile::change(&state, &frame.actor, wish).await {
        Err(problem) if ["profile_changed", "idempotency_mismatch"].contains(&problem.code.as_str()) => {
            let trouble = Some(frame.t("portal-profile-changed"));
            again(frame, &state, Wrong { trouble, ..Wrong::default() }).await
        }
        outcome => {
            failed(&frame, outcome)?;
            Ok(saved(&about))
        }
    }
}

/// Back to the page, in the language that was chosen.
fn saved(about: &About) -> Response {
    let shown = [Language::English, Language::Chinese].into_iter().find(|one| one.tag() == about.language);
    let language = shown.map(|language| format!("&lang={}", language.tag())).unwrap_or_default();
    Redirect::to(&format!("{HERE}?saved=1{language}")).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_changed_and_what_is_emptied_is_removed() {
        let about = |name: &str, birth_date: &str| About {
            name: name.to_owned(),
            birth_date: birth_date.to_owned(),
            language: "en".to_owned(),
            ..About::default()
        };
        let before = about("Ann", "1990-05-17");
        assert_eq!(Value::Object(about("Bea", "").patch(&before)), json!({ "name": "Bea", "birth_date": null }));
        assert!(before.patch(&before).is_empty());
        assert_eq!(about(" ", "").trimmed().trouble(), Some("portal-join-no-name"));
        assert_eq!(about("Ann", "17.5.1990").trouble(), Some("portal-join-birth-date-wrong"));
    }
}
