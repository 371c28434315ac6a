//! What the member decides about their own data: consents, a copy of everything, erasure, and where they are signed in.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::own::{Own, is_fresh, own};
use super::sign_in::go;
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::api::member_archive;
use crate::console::{Frame, device, render};
use crate::identity::access::{Needs, Pages};
use crate::identity::member_session;
use crate::identity::session::{self, Session};
use crate::privacy::consent::{self, Choice};
use crate::privacy::erasure;
use crate::problem::Problem;

const HERE: &str = "/portal/privacy";
/// Where to prove anew who one is.
const PROVE: &str = "/portal/sign-in?next=%2Fportal%2Fprivacy";
/// What the audit log keeps as the reason of an erasure.
const OWN_WISH: &str = "the member asked for it in the portal";
const DAY_MS: i64 = 86_400_000;

/// The pages under “Privacy”.
pub fn pages() -> Pages {
    Pages::default()
        .get(HERE, Needs::Member, page)
        .post("/portal/privacy/consents", Needs::Member, decide)
        .post("/portal/privacy/export", Needs::Member, export)
        .get("/portal/privacy/erasure", Needs::Member, confirm)
        .post("/portal/privacy/erasure", Needs::Member, request_erasure)
        .post("/portal/privacy/erasure/withdraw", Needs::Member, withdraw_erasure)
        .post("/portal/privacy/devices/{id}/end", Needs::Member, end_device)
        .post("/portal/privacy/devices/end-all", Needs::Member, end_all)
}

struct ConsentLine {
    id: String,
    name: String,
    text: String,
    version: i64,
    given: bool,
    state: String,
}

struct DeviceLine {
    id: String,
    name: String,
    seen: String,
    current: bool,
}

#[derive(Template)]
#[template(path = "portal/privacy.html")]
struct PrivacyPage {
    frame: Frame,
    place: &'static str,
    consents: Vec<ConsentLine>,
    devices: Vec<DeviceLine>,
    /// When the erasure that was asked for is carried out.
    erasure_due: Option<String>,
    fresh: bool,
    prove: &'static str,
    trouble: Option<String>,
}

/// A problem of what the portal does for the member: a page, since nothing that they typed is wrong.
fn failed<T>(frame: &Frame, outcome: Result<T, Problem>) -> Result<T, PortalError> {
    outcome.map_err(|problem| problem.detail).or_trouble(frame)
}

async fn page(frame: Frame, State(state): State<AppState>) -> Result<Response, PortalError> {
    show(frame, &state, None).await
}

async fn show(frame: Frame, state: &AppState, trouble: Option<String>) -> Result<Response, PortalError> {
    let own = own(state, &frame).await?;
    let choices = failed(&frame, consent::choices(state, own.id).await)?;
    let erasure = failed(&frame, erasure::find(state, own.id).await)?;
    let page = PrivacyPage {
        place: "privacy",
        consents: choices.into_iter().map(|choice| consent_line(&frame, choice)).collect(),
        devices: devices(&frame, state, &own).await?,
        erasure_due: erasure.map(|(_, erasure)| frame.clock_time(erasure.due_at)),
        fresh: is_fresh(state, &frame.actor).await.or_trouble(&frame)?,
        prove: PROVE,
        trouble,
        frame,
    };
    Ok(render(&page))
}

fn consent_line(frame: &Frame, choice: Choice) -> ConsentLine {
    let given = choice.is_given();
    let language = frame.language.tag();
    let state = match &choice.consent {
        None => frame.t("portal-consent-none"),
        Some(consent) => {
            let (key, at) = match consent.withdrawn_at {
                Some(at) => ("portal-consent-withdrawn", at),
                None if given => ("portal-consent-given", consent.given_at),
                None => ("portal-consent-outdated", consent.given_at),
            };
            frame.say(key, [("date", frame.clock_time(at).into()), ("version", consent.version.into())])
        }
    };
    ConsentLine {
        name: choice.purpose.name.get(language).to_owned(),
        text: choice.purpose.text.get(language).to_owned(),
        version: choice.purpose.version,
        id: choice.id,
        given,
        state,
    }
}

/// Where the member is signed in: also under the account that was merged into this one.
async fn sessions(state: &AppState, frame: &Frame, own: &Own) -> Result<Vec<(String, Session)>, PortalError> {
    let mut found = session::list(state, &own.id.to_string()).await.or_trouble(frame)?;
    if own.signed_in_as != own.id {
        found.extend(session::list(state, &own.signed_in_as.to_string()).await.or_trouble(frame)?);
    }
    Ok(found.into_iter().map(|(record, session)| (record.id, session)).collect())
}

async fn devices(frame: &Frame, state: &AppState, own: &Own) -> Result<Vec<DeviceLine>, PortalError> {
    let line = |(id, session): (String, Session)| DeviceLine {
        name: device(frame.language, &session.agent),
        seen: frame.clock_time(session.seen_at),
        current: Some(id.as_str()) == frame.actor.session(),
        id,
    };
    Ok(sessions(state, frame, own).await?.into_iter().map(line).collect())
}

#[derive(Deserialize)]
struct ConsentForm {
    purpose: String,
    version: i64,
    give: bool,
}

async fn decide(
    frame: Frame,
    State(state): State<AppState>,
    Form(form): Form<ConsentForm>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let choices = failed(&frame, consent::choices(&state, own.id).await)?;
    let Some(choice) = choices.iter().find(|choice| choice.id == form.purpose) else {
        return Err(PortalError::not_found(&frame));
    };
    // Who gives consent agrees to the text that was on the page. Withdrawing never waits for anything.
    if form.give && choice.purpose.version != form.version {
        let trouble = frame.t("portal-join-text-changed");
        let page = show(frame, &state, Some(trouble)).await?;
        return Ok((StatusCode::CONFLICT, page).into_response());
    }
    failed(&frame, consent::decide(&state, &frame.actor, own.id, &choice.id, form.give).await)?;
    Ok(Redirect::to(HERE).into_response())
}

async fn export(frame: Frame, State(state): State<AppState>) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    if !is_fresh(&state, &frame.actor).await.or_trouble(&frame)? {
        return Ok(Redirect::to(PROVE).into_response());
    }
    let archive = member_archive(&state, &frame.actor, &frame, own.id, "").await;
    failed(&frame, archive)
}

#[derive(Template)]
#[template(path = "portal/erasure.html")]
struct ErasurePage {
    frame: Frame,
    place: &'static str,
    days: i64,
    fresh: bool,
    prove: &'static str,
}

impl ErasurePage {
    fn why(&self) -> String {
        self.frame.say("portal-erasure-days", [("days", self.days.into())])
    }
}

async fn confirm(frame: Frame, State(state): State<AppState>) -> Result<Response, PortalError> {
    own(&state, &frame).await?;
    let fresh = is_fresh(&state, &frame.actor).await.or_trouble(&frame)?;
    Ok(render(&ErasurePage { frame, place: "privacy", days: erasure::GRACE_MS / DAY_MS, fresh, prove: PROVE }))
}

async fn request_erasure(frame: Frame, State(state): State<AppState>) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    if !is_fresh(&state, &frame.actor).await.or_trouble(&frame)? {
        return Ok(Redirect::to(PROVE).into_response());
    }
    failed(&frame, erasure::request(&state, &frame.actor, own.id, OWN_WISH).await)?;
    Ok(Redirect::to(HERE).into_response())
}

async fn withdraw_erasure(frame: Frame, State(state): State<AppState>) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    match erasure::withdraw(&state, &frame.actor, own.id).await {
        // Taken back in another window already.
        Err(problem) if problem.code == "no_erasure" => {}
        outcome => failed(&frame, outcome)?,
    }
    Ok(Redirect::to(HERE).into_response())
}

async fn end(frame: &Frame, state: &AppState, only: Option<&str>) -> Result<(), PortalError> {
    let own = own(state, frame).await?;
    let mut subjects = vec![own.id];
    subjects.extend(Some(own.signed_in_as).filter(|id| *id != own.id));
    for subject in subjects {
        let subject = subject.to_string();
        let event = frame.actor.event(state.clock(), "session.revoke", &subject);
        session::end(state, &subject, only, None, event).await.or_trouble(frame)?;
    }
    Ok(())
}

async fn end_device(
    frame: Frame,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, PortalError> {
    end(&frame, &state, Some(&id)).await?;
    Ok(Redirect::to(HERE).into_response())
}

async fn end_all(frame: Frame, State(state): State<AppState>) -> Result<Response, PortalError> {
    end(&frame, &state, None).await?;
    Ok(go(&[member_session::forget(&state)], "/portal/sign-in"))
}
