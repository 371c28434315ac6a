//! The member's address book: where things are sent. Shown masked, and to be changed by who has proved a moment ago who they
//! are.

use askama::Template;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::hex;
use guerdon_core::limits;
use guerdon_core::members::{KnownAddress, Profile};
use guerdon_core::privacy::{SealedProfile, mask};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::choice::Typed;
use super::own::{is_fresh, own};
use super::profile::failed;
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::console::{Frame, render};
use crate::identity::access::{Needs, Pages};
use crate::privacy::profile::{self, Wish};

const HERE: &str = "/portal/profile/addresses";
/// Where to prove anew who one is.
const PROVE: &str = "/portal/sign-in?next=%2Fportal%2Fprofile%2Faddresses";

/// The page of the address book.
pub fn pages() -> Pages {
    Pages::default().get(HERE, Needs::Member, page).post(HERE, Needs::Member, save)
}

struct Entry {
    id: String,
    lines: Vec<String>,
    default: bool,
}

#[derive(Template)]
#[template(path = "portal/addresses.html")]
struct BookPage {
    frame: Frame,
    place: &'static str,
    entries: Vec<Entry>,
    /// That of the profile, where it may be changed.
    version: Option<String>,
    form: BookForm,
    /// Whether there is room for another.
    room: bool,
    prove: &'static str,
    trouble: Option<String>,
}

/// What is to be done with the book.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct BookForm {
    version: String,
    /// `add`, `remove` or `default`.
    act: String,
    id: String,
    #[serde(flatten)]
    typed: Typed,
}

async fn read(state: &AppState, frame: &Frame) -> Result<(SealedProfile, Profile), PortalError> {
    let own = own(state, frame).await?;
    let row = state.reader.member(own.id).await.or_trouble(frame)?.ok_or_else(|| PortalError::closed(frame))?;
    let profile = state.profile(&row).or_trouble(frame)?;
    row.stored.sealed.zip(profile).ok_or_else(|| PortalError::closed(frame))
}

async fn page(frame: Frame, State(state): State<AppState>) -> Result<Response, PortalError> {
    show(frame, &state, BookForm::default(), None).await
}

async fn show(
    frame: Frame,
    state: &AppState,
    form: BookForm,
    trouble: Option<String>,
) -> Result<Response, PortalError> {
    let (sealed, profile) = read(state, &frame).await?;
    let fresh = is_fresh(state, &frame.actor).await.or_trouble(&frame)?;
    let entry = |known: &KnownAddress| Entry {
        id: known.id.clone(),
        lines: frame.address_lines(&if fresh { known.address.clone() } else { mask::address(&known.address) }),
        default: known.default,
    };
    Ok(render(&BookPage {
        place: "profile",
        entries: profile.addresses.iter().map(entry).collect(),
        version: fresh.then(|| hex::encode(&sealed.version())),
        form,
        room: profile.addresses.len() < limits::ADDRESSES,
        prove: PROVE,
        trouble,
        frame,
    }))
}

/// The book after what a form asks for. `None`: the form does not say it.
fn changed(book: &[KnownAddress], form: &BookForm) -> Option<Vec<KnownAddress>> {
    let others = || book.iter().filter(|known| known.id != form.id).cloned();
    match form.act.as_str() {
        "remove" => Some(others().collect()),
        "default" => {
            let marked = |known: &KnownAddress| KnownAddress { default: known.id == form.id, ..known.clone() };
            Some(book.iter().map(marked).collect())
        }
        "add" => {
            let address = form.typed.address()?;
            // The first free number, so that nobody has to name addresses.
            let free = (1..=limits::ADDRESSES.saturating_add(1)).map(|number| number.to_string());
            let id = free.into_iter().find(|id| book.iter().all(|known| known.id != *id))?;
            let added = KnownAddress { id, address, default: book.is_empty() };
            Some(book.iter().cloned().chain([added]).collect())
        }
        _ => None,
    }
}

async fn save(
    frame: Frame,
    State(state): State<AppState>,
    Form(form): Form<BookForm>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    if !is_fresh(&state, &frame.actor).await.or_trouble(&frame)? {
        return Ok(Redirect::to(PROVE).into_response());
    }
    let (_, before) = read(&state, &frame).await?;
    let book = changed(&before.addresses, &form);
    let after = book.map(|addresses| Profile { addresses, ..before.clone() });
    let Some(after) = after.filter(|after| after.validate().is_ok()) else {
        let trouble = Some(frame.t("portal-book-wrong"));
        let page = show(frame, &state, form, trouble).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    };
    if after.addresses == before.addresses {
        return Ok(Redirect::to(HERE).into_response());
    }
    let patch: Map<String, Value> = [("addresses".to_owned(), json!(after.addresses))].into_iter().collect();
    let seen = hex::decode(&form.version);
    // The version is the key: the same form sent twice changes once.
    let key = format!("portal addresses {}", seen.map(|seen| hex::encode(&seen)).unwrap_or_default());
    let seen = Some(seen.unwrap_or_default());
    let wish = Wish { member: own.id, key: &key, channel: "portal", patch: &patch, seen, reason: "" };
    match profile::change(&state, &frame.actor, wish).await {
        Err(problem) if ["profile_changed", "idempotency_mismatch"].contains(&problem.code.as_str()) => {
            let trouble = Some(frame.t("portal-profile-changed"));
            let page = show(frame, &state, BookForm::default(), trouble).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        outcome => {
            failed(&frame, outcome)?;
            Ok(Redirect::to(HERE).into_response())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_is_added_to_marked_and_cleared() {
        let typed = Typed {
            recipient: "Ann".to_owned(),
            street: "1 Bund".to_owned(),
            city: "Shanghai".to_owned(),
            ..Typed::default()
        };
        let form = |act: &str, id: &str| {
            let (act, id) = (act.to_owned(), id.to_owned());
            BookForm { act, id, typed: typed.clone(), ..BookForm::default() }
        };
        let one = changed(&[], &form("add", "")).unwrap();
        let two = changed(&one, &form("add", "")).unwrap();
        let told = |book: &[KnownAddress]| book.iter().map(|one| (one.id.clone(), one.default)).collect::<Vec<_>>();
        let want = |all: &[(&str, bool)]| all.iter().map(|(id, one)| ((*id).to_owned(), *one)).collect::<Vec<_>>();
        assert_eq!(told(&two), want(&[("1", true), ("2", false)]));
        assert_eq!(told(&changed(&two, &form("default", "2")).unwrap()), want(&[("1", false), ("2", true)]));
        let rest = changed(&two, &form("remove", "1")).unwrap();
        assert_eq!(told(&changed(&rest, &form("add", "")).unwrap()), want(&[("2", false), ("1", false)]));
        assert_eq!(changed(&one, &BookForm { act: "add".to_owned(), ..BookForm::default() }), None);
        assert_eq!(changed(&one, &form("burn", "1")), None);
    }
}
