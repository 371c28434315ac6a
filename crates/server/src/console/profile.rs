//! A member's profile, changed by the staff. What is there is shown masked and is never sent back: a field that is left
//! empty stays as it is.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::hex;
use guerdon_core::id::MemberId;
use guerdon_core::identity::Permission;
use guerdon_core::limits;
use guerdon_core::members::Profile;
use serde_json::{Map, Value};

use super::frame::{Frame, render};
use super::nav::Place;
use super::summary::display_name;
use super::trouble::{OrPage, PageError};
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::privacy;
use crate::privacy::profile::{self, Wish, tell};

/// The fields of the form, and their labels.
const FIELDS: [(&str, &str); 7] = [
    ("name", "field-name"),
    ("phone", "fact-phone"),
    ("email", "fact-email"),
    ("birth_date", "fact-birth-date"),
    ("language", "fact-language"),
    ("country", "fact-country"),
    ("external_id", "fact-external-id"),
];

/// The form.
pub fn pages() -> Pages {
    let needs = Needs::Permission(Permission::MembersWrite);
    Pages::default().get("/console/members/{id}/profile", needs, page).post(
        "/console/members/{id}/profile",
        needs,
        save,
    )
}

struct Field {
    name: &'static str,
    label: String,
    /// Masked; empty: there is none.
    current: String,
    /// What was typed.
    typed: String,
    removed: bool,
}

#[derive(Template)]
#[template(path = "console/profile.html")]
struct ProfilePage {
    frame: Frame,
    id: MemberId,
    member: String,
    version: String,
    fields: Vec<Field>,
    reason: String,
    trouble: Option<String>,
}

/// What the form holds, as it was sent.
#[derive(Default)]
struct Typed(Vec<(String, String)>);

impl Typed {
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.trim())
    }

    fn removes(&self, name: &str) -> bool {
        self.0.iter().any(|(field, value)| field == "remove" && value == name)
    }

    fn patch(&self) -> Map<String, Value> {
        let value = |name: &'static str| match self.get(name) {
            _ if self.removes(name) => Some((name.to_owned(), Value::Null)),
            "" => None,
            text => Some((name.to_owned(), Value::from(text))),
        };
        FIELDS.into_iter().filter_map(|(name, _)| value(name)).collect()
    }
}

async fn page(frame: Frame, State(state): State<AppState>, Path(text): Path<String>) -> Result<Response, PageError> {
    show(frame, &state, &text, &Typed::default(), None).await
}

async fn show(
    frame: Frame,
    state: &AppState,
    text: &str,
    typed: &Typed,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Members);
    let id: MemberId = text.parse().map_err(|_| PageError::unknown_member(&frame))?;
    let row = state.reader.member(id).await.or_page(&frame)?.ok_or_else(|| PageError::unknown_member(&frame))?;
    let sealed = row.stored.sealed.as_ref().ok_or_else(|| PageError::unknown_member(&frame))?;
    let masked = privacy::masked(state, &row).map_err(|_| PageError::store(&frame))?.unwrap_or_default();
    let page = ProfilePage {
        id,
        member: display_name(id, &masked),
        version: hex::encode(&sealed.version()),
        fields: fields(&frame, &masked, typed),
        reason: typed.get("reason").to_owned(),
        trouble,
        frame,
    };
    Ok(render(&page))
}

fn fields(frame: &Frame, masked: &Profile, typed: &Typed) -> Vec<Field> {
    let current = serde_json::to_value(masked).unwrap_or_default();
    let field = |(name, label)| Field {
        name,
        label: frame.t(label),
        current: current.get(name).and_then(Value::as_str).unwrap_or_default().to_owned(),
        typed: typed.get(name).to_owned(),
        removed: typed.removes(name),
    };
    FIELDS.into_iter().map(field).collect()
}

async fn save(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(form): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let member: MemberId = text.parse().map_err(|_| PageError::unknown_member(&frame))?;
    let typed = Typed(form);
    let (reason, version) = (typed.get("reason"), typed.get("version"));
    if limits::check_text("reason", reason, limits::TEXT_CHARS).is_err() {
        let trouble = frame.t("profile-no-reason");
        return again(frame, &state, &text, &typed, trouble).await;
    }
    // The version is the key: the same form sent twice changes once.
    let (key, patch) = (format!("console profile {version}"), typed.patch());
    let seen = Some(hex::decode(version).unwrap_or_default());
    let wish = Wish { member, key: &key, channel: "console", patch: &patch, seen, reason };
    match profile::change(&state, &frame.actor, wish).await {
        Ok(changed) => {
            tell(&state, &frame, &changed);
            Ok(Redirect::to(&format!("/console/members/{member}")).into_response())
        }
        Err(problem) => {
            let trouble = match problem.code.as_str() {
                "profile_changed" | "idempotency_mismatch" => frame.t("profile-changed"),
                _ => frame.problem(&problem),
            };
            again(frame, &state, &text, &typed, trouble).await
        }
    }
}

async fn again(
    frame: Frame,
    state: &AppState,
    text: &str,
    typed: &Typed,
    trouble: String,
) -> Result<Response, PageError> {
    let page = show(frame, state, text, typed, Some(trouble)).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_empty_stays_and_only_a_tick_removes() {
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let form =
            [("name", " Ann "), ("phone", ""), ("email", "a@example.org"), ("remove", "email"), ("version", "1")];
        let patch = Typed(form.map(pair).to_vec()).patch();
        assert_eq!(Value::Object(patch), json!({ "name": "Ann", "email": null }));
    }
}
