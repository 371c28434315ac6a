//! The operator's own account: password, second factors, recovery codes, and where they are signed in.

use askama::Template;
use axum::Json;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::frame::{Frame, render};
use super::nav::Place;
use super::prove;
use super::sign_in::{RecoveryPage, form_words};
use super::trouble::{OrPage, PageError};
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::identity::account::{self, Own};
use crate::identity::actor::Actor;
use crate::identity::session;
use crate::identity::sign_in::{Refused, Visitor};
use crate::language::Language;
use crate::problem::Problem;

const HERE: &str = "/console/account";

/// The pages of one's own account.
pub fn pages() -> Pages {
    Pages::default()
        .get(HERE, Needs::Operator, page)
        .post("/console/account/password", Needs::Operator, password)
        .post("/console/account/recovery-codes", Needs::Operator, recovery_codes)
        .post("/console/account/authenticator/remove", Needs::Operator, remove_authenticator)
        .post("/console/account/passkeys", Needs::Operator, begin_passkey)
        .post("/console/account/passkeys/answer", Needs::Operator, finish_passkey)
        .post("/console/account/passkeys/remove", Needs::Operator, remove_passkey)
        .post("/console/account/sessions/{id}/end", Needs::Operator, end_session)
        .post("/console/account/sessions/end-others", Needs::Operator, end_others)
}

struct SessionLine {
    id: String,
    agent: String,
    address: String,
    method: String,
    began: String,
    seen: String,
    current: bool,
}

struct PasskeyLine {
    id: String,
    label: String,
    used: String,
}

#[derive(Template)]
#[template(path = "console/account.html")]
struct AccountPage {
    frame: Frame,
    email: String,
    name: String,
    roles: Vec<String>,
    has_password: bool,
    authenticator: bool,
    recovery_left: usize,
    passkeys: Vec<PasskeyLine>,
    passkeys_possible: bool,
    sessions: Vec<SessionLine>,
    fresh: bool,
    trouble: Option<String>,
}

async fn page(frame: Frame, State(state): State<AppState>) -> Result<Response, PageError> {
    show(frame, &state, None).await
}

async fn show(frame: Frame, state: &AppState, trouble: Option<String>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Account);
    let Own { record, operator, fresh, .. } =
        account::own(state, &frame.actor).await.map_err(|_| PageError::store(&frame))?;
    let sessions = session::list(state, &record.id).await.or_page(&frame)?;
    let line = |(record, session): &(guerdon_store::Record, session::Session)| SessionLine {
        id: record.id.clone(),
        agent: device(frame.language, &session.agent),
        address: session.address.clone(),
        method: method(&frame, &session.method),
        began: frame.clock_time(session.created_at),
        seen: frame.clock_time(session.seen_at),
        current: Some(record.id.as_str()) == frame.actor.session(),
    };
    let passkey = |known: &crate::identity::passkey::StoredPasskey| PasskeyLine {
        id: known.id(),
        label: known.label.clone(),
        used: known.last_used_at.map_or_else(|| frame.t("never-used"), |at| frame.clock_time(at)),
    };
    let page = AccountPage {
        email: operator.email.clone(),
        name: operator.name.clone(),
        roles: operator.grants.iter().map(|grant| frame.grant(grant)).collect(),
        has_password: operator.password.is_some(),
        authenticator: operator.authenticator.is_some(),
        recovery_left: operator.recovery.left(),
        passkeys: operator.passkeys.iter().map(passkey).collect(),
        passkeys_possible: state.people.passkeys.is_some(),
        sessions: sessions.iter().map(line).collect(),
        fresh,
        trouble,
        frame: frame.clone(),
    };
    Ok(render(&page))
}

/// A browser as it is shown; one that said nothing of itself has a name as well.
pub(crate) fn device(language: Language, agent: &str) -> String {
    Some(browser(agent)).filter(|name| !name.trim().is_empty()).unwrap_or_else(|| language.say("device-unknown"))
}

/// How a session began, in words: `password, authenticator app`.
fn method(frame: &Frame, method: &str) -> String {
    let words = method
        .split('+')
        .map(|step| frame.language.say_if_known(&format!("method-{step}")).unwrap_or_else(|| step.to_owned()));
    words.collect::<Vec<_>>().join(", ")
}

/// A browser in two words, as far as its own words tell: `Chrome, Linux`.
fn browser(agent: &str) -> String {
    let known =
        |words: &[(&str, &'static str)]| words.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    let name = known(&[("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari")]);
    let system = known(&[
        ("Android", "Android"),
        ("iPhone", "iOS"),
        ("iPad", "iPadOS"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (name, system) {
        (Some(name), Some(system)) => format!("{name}, {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => agent.chars().take(40).collect(),
    }
}

/// The account, when the person has proved who they are a moment ago; else the way to do so.
async fn fresh(state: &AppState, actor: &Actor) -> Result<Own, Response> {
    match account::own(state, actor).await {
        Ok(own) if own.fresh => Ok(own),
        Ok(_) => Err(prove::lead(HERE)),
        Err(problem) => Err(problem.into_response()),
    }
}

fn back(outcome: Result<(), Refused>) -> Response {
    match outcome {
        Ok(()) => Redirect::to(HERE).into_response(),
        Err(Refused::Trouble(problem)) => problem.into_response(),
        Err(_) => prove::lead(HERE),
    }
}

#[derive(Deserialize)]
struct PasswordForm {
    /// Left out by who has none yet.
    #[serde(default)]
    current: Zeroizing<String>,
    password: Zeroizing<String>,
}

async fn password(
    frame: Frame,
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(form): Form<PasswordForm>,
) -> Response {
    let visitor = Visitor { address: frame.actor.address, headers: &headers };
    let own = match fresh(&state, &frame.actor).await {
        Ok(own) => own,
        Err(elsewhere) => return elsewhere,
    };
    match account::change_password(&state, &visitor, &frame.actor, own, (form.current, form.password)).await {
        Ok(()) => Redirect::to(HERE).into_response(),
        Err(trouble) => {
            let shown = match form_words(&frame, &trouble) {
                Ok(words) => show(frame, &state, Some(words)).await,
                Err(page) => Err(page),
            };
            (StatusCode::UNPROCESSABLE_ENTITY, shown.into_response()).into_response()
        }
    }
}

async fn recovery_codes(frame: Frame, State(state): State<AppState>) -> Response {
    let own = match fresh(&state, &frame.actor).await {
        Ok(own) => own,
        Err(elsewhere) => return elsewhere,
    };
    match account::new_recovery_codes(&state, &frame.actor, own).await {
        Ok(codes) => render(&RecoveryPage { frame, codes, next: HERE.to_owned() }),
        Err(refused) => back(Err(refused)),
    }
}

async fn remove_authenticator(State(state): State<AppState>, actor: Actor) -> Response {
    match fresh(&state, &actor).await {
        Ok(own) => back(account::remove_authenticator(&state, &actor, own).await),
        Err(elsewhere) => elsewhere,
    }
}

#[derive(Deserialize)]
struct PasskeyForm {
    id: String,
}

async fn remove_passkey(State(state): State<AppState>, actor: Actor, Form(form): Form<PasskeyForm>) -> Response {
    match fresh(&state, &actor).await {
        Ok(own) => back(account::remove_passkey(&state, &actor, own, &form.id).await),
        Err(elsewhere) => elsewhere,
    }
}

#[derive(Deserialize)]
struct Label {
    #[serde(default)]
    label: String,
}

fn stale() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "proof_needed", "sign in again before you change this")
}

async fn begin_passkey(
    State(state): State<AppState>,
    actor: Actor,
    Json(label): Json<Label>,
) -> Result<Json<serde_json::Value>, Problem> {
    let own = account::own(&state, &actor).await?;
    if !own.fresh {
        return Err(stale());
    }
    account::begin_passkey(&state, &actor, &own, &label.label).await.map(Json)
}

async fn finish_passkey(
    State(state): State<AppState>,
    actor: Actor,
    body: String,
) -> Result<Json<serde_json::Value>, Problem> {
    let own = account::own(&state, &actor).await?;
    if !own.fresh {
        return Err(stale());
    }
    match account::finish_passkey(&state, &actor, own, &body).await {
        Ok(()) => Ok(Json(serde_json::json!({ "next": HERE }))),
        Err(Refused::Trouble(problem)) => Err(problem),
        Err(_) => Err(Problem::new(StatusCode::CONFLICT, "registration_over", "begin the registration anew")),
    }
}

async fn end_session(State(state): State<AppState>, actor: Actor, Path(id): Path<String>) -> Response {
    end(&state, &actor, Some(&id), None).await
}

async fn end_others(State(state): State<AppState>, actor: Actor) -> Response {
    end(&state, &actor, None, actor.session()).await
}

async fn end(state: &AppState, actor: &Actor, only: Option<&str>, but: Option<&str>) -> Response {
    let own = match fresh(state, actor).await {
        Ok(own) => own,
        Err(elsewhere) => return elsewhere,
    };
    let event = actor.event(state.clock(), "session.revoke", &own.record.id);
    match session::end(state, &own.record.id, only, but, event).await {
        Ok(_) => Redirect::to(HERE).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::{Request, header};
    use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};
    use guerdon_store::{Record, RecordChange};
    use tower::ServiceExt;

    use super::*;
    use crate::identity::operator::{OPERATOR, Operator, OperatorState};
    use crate::identity::session::{FRESH_MS, Session};
    use crate::identity::testing::{NOW, scratch, state};
    use crate::messages::Post;

    #[tokio::test]
    async fn what_changes_how_one_signs_in_asks_for_a_proof_of_the_last_ten_minutes() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        let ann = Operator { state: OperatorState::Active, ..Operator::invited("a@example.org", "A", Vec::new(), NOW) };
        let record = Record::new(OPERATOR, "opr_1", "", &ann).unwrap();
        state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await.unwrap();
        let app = crate::app(state.clone(), crate::AppOptions::default());
        let grave = [
            "password",
            "recovery-codes",
            "authenticator/remove",
            "passkeys/remove",
            "sessions/x/end",
            "sessions/end-others",
        ];
        for (age, path) in
            grave.map(|path| (FRESH_MS + 1_000, path)).into_iter().chain([(FRESH_MS - 60_000, "sessions/end-others")])
        {
            let now = state.clock();
            let session = Session::new("passkey", "192.0.2.1", &HeaderMap::new(), now);
            let session = Session { proved_at: now.plus_millis(-age), ..session };
            let begun = session::begin("opr_1", &session).unwrap();
            state.engine.write_records(vec![begun.change], Vec::new()).await.unwrap();
            let request = Request::post(format!("/console/account/{path}"))
                .header(header::COOKIE, format!("guerdon_session={}", begun.token.reveal()))
                .header("sec-fetch-site", "same-origin")
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::from("password=eight+velvet+morning+trams&id=x"))
                .unwrap();
            let answer = app.clone().oneshot(request).await.unwrap();
            let to = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
            let expected = if age > FRESH_MS { "/console/sign-in?next=%2Fconsole%2Faccount" } else { HERE };
            assert_eq!((answer.status(), to), (StatusCode::SEE_OTHER, expected), "{path}");
        }
    }

    #[test]
    fn a_browser_is_named_in_two_words() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
        assert_eq!(browser(chrome), "Chrome, Linux");
        assert_eq!(browser("curl/8.0"), "curl/8.0");
    }
}
