//! The pages of signing in: set-up, invitation, password, second factor, passkey, link, and the way out.

use askama::Template;
use axum::Json;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::answer::{self, go, wait_words};
use super::frame::{Frame, render};
use super::trouble::PageError;
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::identity::actor::Actor;
use crate::identity::operators;
use crate::identity::password_policy::{LEAST_CHARACTERS, WeakPassword};
use crate::identity::setup::{self, FormTrouble};
use crate::identity::sign_in::{self, Refused, Visitor, safe_next};
use crate::identity::sso::{Face, Refusal};
use crate::picture::svg_qr;
use crate::problem::Problem;

/// The pages that are open to whoever wants to sign in.
pub fn pages() -> Pages {
    Pages::default()
        .get("/console/setup", Needs::Nothing, setup_page)
        .post("/console/setup", Needs::Nothing, set_up)
        .get("/console/invitation", Needs::Nothing, invitation_page)
        .post("/console/invitation", Needs::Nothing, accept)
        .get("/console/sign-in", Needs::Nothing, page)
        .post("/console/sign-in", Needs::Nothing, password)
        .get("/console/sign-in/code", Needs::Nothing, code_page)
        .post("/console/sign-in/code", Needs::Nothing, code)
        .get("/console/sign-in/authenticator", Needs::Nothing, authenticator_page)
        .post("/console/sign-in/authenticator", Needs::Nothing, authenticator)
        .post("/console/sign-in/passkey", Needs::Nothing, passkey_options)
        .post("/console/sign-in/passkey/answer", Needs::Nothing, passkey_answer)
        .get("/console/sign-in/link", Needs::Nothing, link_page)
        .post("/console/sign-in/link", Needs::Nothing, use_link)
        .post("/console/sign-out", Needs::Nothing, sign_out)
}

/// How the page that a person lands on first depends on what they may see.
pub fn home(actor: &Actor) -> &'static str {
    if actor.may(Permission::ReportsRead) {
        "/console"
    } else if actor.access.somewhere().has(Permission::MembersRead) {
        "/console/members"
    } else if actor.access.somewhere().has(Permission::VouchersRedeem) {
        "/console/pos"
    } else {
        "/console/account"
    }
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    next: Option<String>,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    trouble: Option<String>,
}

/// What was wrong, as a sentence of the page.
fn words(frame: &Frame, refused: &Refused) -> Result<String, PageError> {
    match refused {
        Refused::Wrong => Ok(frame.t("sign-in-wrong")),
        Refused::Over => Ok(frame.t("sign-in-over")),
        Refused::Wait(seconds) => Ok(wait_words(frame, "sign-in-wait", *seconds)),
        Refused::Trouble(problem) if problem.status < 500 => Ok(problem.detail.clone()),
        Refused::Trouble(problem) => {
            tracing::error!(problem.detail, "a sign-in failed");
            Err(PageError::store(frame))
        }
    }
}

fn weak(frame: &Frame, weak: &WeakPassword) -> String {
    frame.say(weak.name(), [("least", LEAST_CHARACTERS.into())])
}

/// How long to wait, where that is what was wrong.
fn wait(refused: &Refused) -> Option<u64> {
    match refused {
        Refused::Wait(seconds) => Some(*seconds),
        _ => None,
    }
}

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct SignInPage {
    frame: Frame,
    email: String,
    next: String,
    trouble: Option<String>,
    passkeys: bool,
    sign_on: Vec<(String, String)>,
}

impl SignInPage {
    fn new(frame: Frame, state: &AppState, email: &str, next: String, trouble: Option<String>) -> Self {
        let passkeys = state.people.passkeys.is_some();
        let sign_on = state.sso.ways(Face::Console, &next);
        Self { frame, email: email.to_owned(), next, trouble, passkeys, sign_on }
    }
}

async fn page(frame: Frame, State(state): State<AppState>, Query(asked): Query<Asked>) -> Response {
    let known = Refusal::SENTENCES.into_iter().find(|name| asked.trouble.as_deref() == Some(name));
    let trouble = known.map(|name| frame.t(name));
    render(&SignInPage::new(frame, &state, "", safe_next(asked.next.as_deref()), trouble))
}

#[derive(Deserialize)]
struct PasswordForm {
    email: String,
    password: Zeroizing<String>,
    #[serde(default)]
    next: Option<String>,
}

async fn password(
    frame: Frame,
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(form): Form<PasswordForm>,
) -> Result<Response, PageError> {
    let visitor = Visitor { address: frame.actor.address, headers: &headers };
    let next = safe_next(form.next.as_deref());
    match sign_in::password(&state, &visitor, &form.email, form.password, next.clone()).await {
        Ok(cookies) => Ok(go(&[cookies], "/console/sign-in/code")),
        Err(refused) => {
            let trouble = Some(words(&frame, &refused)?);
            let page = SignInPage::new(frame, &state, &form.email, next, trouble);
            Ok(answer::refused(render(&page), wait(&refused)))
        }
    }
}

#[derive(Template)]
#[template(path = "console/sign_in_code.html")]
struct CodePage {
    frame: Frame,
    trouble: Option<String>,
}

async fn code_page(frame: Frame, State(state): State<AppState>, headers: HeaderMap) -> Result<Response, PageError> {
    match sign_in::under_way(&state, &headers).await {
        Ok(under_way) if !under_way.may_go_on() => Ok(Redirect::to("/console/sign-in").into_response()),
        Ok(under_way) if !under_way.operator.has_second_factor() => {
            Ok(Redirect::to("/console/sign-in/authenticator").into_response())
        }
        Ok(_) => Ok(render(&CodePage { frame, trouble: None })),
        Err(Refused::Trouble(_)) => Err(PageError::store(&frame)),
        Err(_) => Ok(Redirect::to("/console/sign-in").into_response()),
    }
}

#[derive(Deserialize)]
struct CodeForm {
    code: Zeroizing<String>,
}

async fn code(
    frame: Frame,
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(form): Form<CodeForm>,
) -> Result<Response, PageError> {
    let visitor = Visitor { address: frame.actor.address, headers: &headers };
    match sign_in::second_factor(&state, &visitor, &form.code).await {
        Ok((cookies, next)) => Ok(go(&[cookies], &next)),
        Err(refused) => {
            let trouble = Some(words(&frame, &refused)?);
            let page = CodePage { frame, trouble };
            Ok(answer::refused(render(&page), wait(&refused)))
        }
    }
}

#[derive(Template)]
#[template(path = "console/sign_in_authenticator.html")]
struct AuthenticatorPage {
    frame: Frame,
    picture: String,
    secret: String,
    trouble: Option<String>,
}

async fn offer(
    frame: Frame,
    state: &AppState,
    headers: &HeaderMap,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    match sign_in::offer(state, headers).await {
        Ok(offer) => {
            let picture = svg_qr(&offer.uri, &frame.t("authenticator-picture")).unwrap_or_default();
            let secret = grouped(&offer.secret);
            Ok(render(&AuthenticatorPage { frame, picture, secret, trouble }))
        }
        Err(Refused::Trouble(problem)) if problem.status >= 500 => Err(PageError::store(&frame)),
        Err(_) => Ok(Redirect::to("/console/sign-in").into_response()),
    }
}

/// A secret in groups of four, to be typed.
fn grouped(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    letters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join(" ")
}

async fn authenticator_page(
    frame: Frame,
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    offer(frame, &state, &headers, None).await
}

#[derive(Template)]
#[template(path = "console/recovery_codes.html")]
pub(super) struct RecoveryPage {
    pub frame: Frame,
    pub codes: Vec<Zeroizing<String>>,
    pub next: String,
}

async fn authenticator(
    frame: Frame,
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(form): Form<CodeForm>,
) -> Result<Response, PageError> {
    let visitor = Visitor { address: frame.actor.address, headers: &headers };
    match sign_in::enrol(&state, &visitor, &form.code).await {
        Ok((cookies, next, codes)) => {
            let mut response = render(&RecoveryPage { frame, codes, next });
            cookies.set(response.headers_mut());
            Ok(response)
        }
        Err(refused) => {
            let trouble = words(&frame, &refused)?;
            let page = offer(frame, &state, &headers, Some(trouble)).await?;
            Ok(answer::refused(page, wait(&refused)))
        }
    }
}

#[derive(Deserialize)]
struct PasskeyRequest {
    email: String,
    #[serde(default)]
    next: Option<String>,
}

fn as_problem(refused: Refused) -> Problem {
    match refused {
        Refused::Wrong => Problem::new(StatusCode::UNAUTHORIZED, "passkey_refused", "this passkey was not accepted"),
        Refused::Over => Problem::new(StatusCode::CONFLICT, "sign_in_over", "begin signing in anew"),
        Refused::Wait(seconds) => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_attempts",
            format!("too many attempts; try again in {seconds} seconds"),
        ),
        Refused::Trouble(problem) => problem,
    }
}

async fn passkey_options(
    State(state): State<AppState>,
    actor: Actor,
    headers: HeaderMap,
    Json(request): Json<PasskeyRequest>,
) -> Result<Response, Problem> {
    let visitor = Visitor { address: actor.address, headers: &headers };
    let next = safe_next(request.next.as_deref());
    let options = sign_in::passkey_options(&state, &visitor, &request.email, next).await;
    let (cookies, options) = options.map_err(as_problem)?;
    let mut response = Json(options).into_response();
    cookies.set(response.headers_mut());
    Ok(response)
}

async fn passkey_answer(
    State(state): State<AppState>,
    actor: Actor,
    headers: HeaderMap,
    body: String,
) -> Result<Response, Problem> {
    let visitor = Visitor { address: actor.address, headers: &headers };
    let (cookies, next) = sign_in::passkey(&state, &visitor, &body).await.map_err(as_problem)?;
    let mut response = Json(serde_json::json!({ "next": next })).into_response();
    cookies.set(response.headers_mut());
    Ok(response)
}

#[derive(Template)]
#[template(path = "console/welcome.html")]
struct WelcomePage {
    frame: Frame,
    /// `setup` or `invitation`: the action of the form and the key of its words.
    way: &'static str,
    token: String,
    email: Option<String>,
    typed_email: String,
    name: String,
    trouble: Option<String>,
}

async fn setup_page(
    frame: Frame,
    State(state): State<AppState>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let token = asked.token.unwrap_or_default();
    match setup::setup_record(&state, &token).await {
        Ok(Some(_)) => Ok(welcome(frame, "setup", token, None, (String::new(), String::new()), None)),
        Ok(None) => Err(PageError::link_over(&frame)),
        Err(_) => Err(PageError::store(&frame)),
    }
}

fn welcome(
    frame: Frame,
    way: &'static str,
    token: String,
    email: Option<String>,
    (typed_email, name): (String, String),
    trouble: Option<String>,
) -> Response {
    let failed = trouble.is_some();
    let page = render(&WelcomePage { frame, way, token, email, typed_email, name, trouble });
    if failed { (StatusCode::UNPROCESSABLE_ENTITY, page).into_response() } else { page }
}

pub(super) fn form_words(frame: &Frame, trouble: &FormTrouble) -> Result<String, PageError> {
    match trouble {
        FormTrouble::Token => Err(PageError::link_over(frame)),
        FormTrouble::Weak(reason) => Ok(weak(frame, reason)),
        FormTrouble::Other(refused) => words(frame, refused),
    }
}

#[derive(Deserialize)]
struct WelcomeForm {
    token: String,
    #[serde(default)]
    email: String,
    name: String,
    password: Zeroizing<String>,
}

async fn set_up(
    frame: Frame,
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(form): Form<WelcomeForm>,
) -> Result<Response, PageError> {
    let visitor = Visitor { address: frame.actor.address, headers: &headers };
    let who = (form.email.as_str(), form.name.as_str());
    match setup::set_up(&state, &visitor, &form.token, who, form.password).await {
        Ok(cookies) => Ok(go(&[cookies], "/console/sign-in/authenticator")),
        Err(trouble) => {
            let trouble = Some(form_words(&frame, &trouble)?);
            Ok(welcome(frame, "setup", form.token, None, (form.email, form.name), trouble))
        }
    }
}

async fn invitation_page(
    frame: Frame,
    State(state): State<AppState>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let token = asked.token.unwrap_or_default();
    match operators::invited(&state, &token).await {
        Ok(Some((_, _, operator))) => {
            let typed = (String::new(), operator.name);
            Ok(welcome(frame, "invitation", token, Some(operator.email), typed, None))
        }
        Ok(None) => Err(PageError::link_over(&frame)),
        Err(_) => Err(PageError::store(&frame)),
    }
}

async fn accept(
    frame: Frame,
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(form): Form<WelcomeForm>,
) -> Result<Response, PageError> {
    let visitor = Visitor { address: frame.actor.address, headers: &headers };
    match setup::accept(&state, &visitor, &form.token, &form.name, form.password).await {
        Ok(cookies) => Ok(go(&[cookies], "/console/sign-in/authenticator")),
        Err(trouble) => {
            let trouble = Some(form_words(&frame, &trouble)?);
            let found = operators::invited(&state, &form.token).await.ok().flatten();
            let email = found.map(|(_, _, operator)| operator.email);
            Ok(welcome(frame, "invitation", form.token, email, (String::new(), form.name), trouble))
        }
    }
}

#[derive(Template)]
#[template(path = "console/sign_in_link.html")]
struct LinkPage {
    frame: Frame,
    token: String,
}

/// Asks before the link is used up, because programs that preview links open them as well.
async fn link_page(
    frame: Frame,
    State(state): State<AppState>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let token = asked.token.unwrap_or_default();
    match setup::link(&state, &token).await {
        Ok(Some(_)) => Ok(render(&LinkPage { frame, token })),
        Ok(None) => Err(PageError::link_over(&frame)),
        Err(_) => Err(PageError::store(&frame)),
    }
}

#[derive(Deserialize)]
struct LinkForm {
    token: String,
}

async fn use_link(
    frame: Frame,
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(form): Form<LinkForm>,
) -> Result<Response, PageError> {
    let visitor = Visitor { address: frame.actor.address, headers: &headers };
    match setup::use_link(&state, &visitor, &form.token).await {
        Ok(cookies) => Ok(go(&[cookies], "/console")),
        Err(FormTrouble::Other(Refused::Trouble(_))) => Err(PageError::store(&frame)),
        Err(_) => Err(PageError::link_over(&frame)),
    }
}

async fn sign_out(State(state): State<AppState>, actor: Actor) -> Result<Response, Problem> {
    let cookies = sign_in::sign_out(&state, &actor).await?;
    Ok(go(&[cookies], "/console/sign-in"))
}
