//! Signing in by a one-time code. Until the code is proved, every answer is the same whether or not the address is known.

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::ledger::AccountStatus;
use guerdon_core::members::RefKind;
use guerdon_core::privacy::mask;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::join::{self, Proven};
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
pub(super) use crate::console::go;
use crate::console::{Frame, refused, render, wait_words};
use crate::identity::access::{Needs, Pages};
use crate::identity::code::{CodeError, CodeGuess, CodeRequest, LIFE_MS, Started, check_code, code_address, send_code};
use crate::identity::guard::cookie;
use crate::identity::member_session;
use crate::identity::refusals::{self, Why};
use crate::identity::session::set_cookie;
use crate::identity::sign_in::{Cookies, Visitor, safe_path};
use crate::identity::sso::{Face, Refusal};
use crate::messages::{Address, Channel, CodePurpose};

/// The cookie that holds the token of a challenge.
const CODE_COOKIE: &str = "guerdon_code";
const HOME: &str = "/portal";

/// The pages that are open to whoever wants to sign in.
pub fn pages() -> Pages {
    Pages::default()
        .get("/portal/sign-in", Needs::Nothing, page)
        .post("/portal/sign-in", Needs::Nothing, send)
        .get("/portal/sign-in/code", Needs::Nothing, code_page)
        .post("/portal/sign-in/code", Needs::Nothing, check)
        .post("/portal/sign-in/resend", Needs::Nothing, resend)
        .post("/portal/sign-out", Needs::Member, sign_out)
}

/// Where to go after signing in: a page of the portal, and nothing else.
pub fn safe_next(next: Option<&str>) -> String {
    safe_path(HOME, next)
}

#[derive(Deserialize)]
struct Asked {
    next: Option<String>,
    trouble: Option<String>,
}

#[derive(Template)]
#[template(path = "portal/sign_in.html")]
struct SignInPage {
    frame: Frame,
    place: &'static str,
    next: String,
    to: String,
    trouble: Option<String>,
    sign_on: Vec<(String, String)>,
}

fn sign_in_form(frame: Frame, state: &AppState, next: String, to: String, trouble: Option<String>) -> Response {
    let sign_on = state.sso.ways(Face::Portal, &next);
    render(&SignInPage { frame, place: "", next, to, trouble, sign_on })
}

async fn page(frame: Frame, State(state): State<AppState>, Query(asked): Query<Asked>) -> Response {
    let next = safe_next(asked.next.as_deref());
    let known = Refusal::SENTENCES.into_iter().find(|name| asked.trouble.as_deref() == Some(name));
    let trouble = known.map(|name| frame.t(&format!("portal-{name}")));
    sign_in_form(frame, &state, next, String::new(), trouble)
}

#[derive(Deserialize)]
struct SendForm {
    to: String,
    next: Option<String>,
}

/// What was wrong, as a sentence of the page, or a page of its own.
pub(super) fn words(frame: &Frame, error: &CodeError) -> Result<String, PortalError> {
    match error {
        CodeError::TooMany(seconds) => Ok(wait_words(frame, "portal-code-wait", *seconds)),
        CodeError::NoMoreTexts(seconds) => {
            let minutes = seconds.div_ceil(60);
            Ok(frame.say("portal-no-more-texts", [("minutes", minutes.into())]))
        }
        CodeError::Form => Ok(frame.t("portal-code-form")),
        CodeError::Wrong(0) | CodeError::Gone => Ok(frame.t("portal-code-gone")),
        CodeError::Wrong(left) => Ok(frame.say("portal-code-wrong", [("left", i64::from(*left).into())])),
        CodeError::Post(crate::messages::PostError::NoSender(channel)) => Ok(frame.t(match channel {
            Channel::Email => "portal-no-email",
            Channel::Phone => "portal-no-phone",
        })),
        CodeError::Post(_) | CodeError::Store(_) => Err(error).or_trouble(frame),
    }
}

pub(super) fn refusal(page: Response, error: &CodeError) -> Response {
    match error {
        CodeError::TooMany(seconds) | CodeError::NoMoreTexts(seconds) => refused(page, Some(*seconds)),
        _ => refused(page, None),
    }
}

pub(super) fn address(text: &str) -> Result<Address, String> {
    if text.contains('@') { Address::email(text) } else { Address::phone(text) }
}

fn code_place(next: &str) -> String {
    format!("/portal/sign-in/code?next={}", utf8_percent_encode(next, NON_ALPHANUMERIC))
}

fn challenge_cookie(state: &AppState, started: &Started) -> Cookies {
    let (token, life) = (started.challenge.reveal(), Some(LIFE_MS / 1_000));
    Cookies::new(vec![set_cookie(CODE_COOKIE, token, state.people.https(), life)])
}

fn no_challenge(state: &AppState) -> Cookies {
    Cookies::new(vec![set_cookie(CODE_COOKIE, "", state.people.https(), Some(0))])
}

async fn send(
    frame: Frame,
    State(state): State<AppState>,
    Form(form): Form<SendForm>,
) -> Result<Response, PortalError> {
    let next = safe_next(form.next.as_deref());
    let again = |frame: Frame, trouble: String| {
        let to = form.to.chars().take(254).collect();
        sign_in_form(frame, &state, next.clone(), to, Some(trouble))
    };
    let Ok(to) = address(&form.to) else {
        let trouble = frame.t("portal-address-wrong");
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, again(frame, trouble)).into_response());
    };
    match start(&frame, &state, &to).await {
        Ok(started) => Ok(go(&[challenge_cookie(&state, &started)], &code_place(&next))),
        Err(error) => {
            let trouble = words(&frame, &error)?;
            Ok(refusal(again(frame, trouble), &error))
        }
    }
}

async fn start(frame: &Frame, state: &AppState, to: &Address) -> Result<Started, CodeError> {
    let request = CodeRequest { to, purpose: CodePurpose::SignIn, bound_to: "", client: frame.actor.address };
    send_code(state, frame.language, &request).await
}

#[derive(Template)]
#[template(path = "portal/code.html")]
pub(super) struct CodePage {
    pub(super) frame: Frame,
    pub(super) place: &'static str,
    /// Where the forms lead: `…/code` and `…/resend` below it.
    pub(super) base: &'static str,
    /// Where another address is given.
    pub(super) other: &'static str,
    /// Masked.
    pub(super) to: String,
    pub(super) next: String,
    pub(super) trouble: Option<String>,
}

/// The page of a code that signs in.
fn code_form(frame: Frame, to: &Address, next: String, trouble: Option<String>) -> Response {
    let (base, to) = ("/portal/sign-in", masked(to));
    render(&CodePage { frame, place: "", base, other: base, to, next, trouble })
}

/// The address of the challenge that the browser holds. `None`: there is none, or no more.
async fn pending(frame: &Frame, state: &AppState, headers: &HeaderMap) -> Result<Option<Address>, PortalError> {
    let Some(challenge) = cookie(headers, CODE_COOKIE, state.people.https()) else { return Ok(None) };
    match code_address(state, challenge).await {
        Ok(address) => Ok(Some(address)),
        Err(CodeError::Gone) => Ok(None),
        Err(error) => Err(error).or_trouble(frame),
    }
}

pub(super) fn masked(address: &Address) -> String {
    match address.channel() {
        Channel::Email => mask::email(address.as_str()),
        Channel::Phone => mask::phone(address.as_str()),
    }
}

async fn code_page(
    frame: Frame,
    State(state): State<AppState>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, PortalError> {
    let next = safe_next(asked.next.as_deref());
    match pending(&frame, &state, &headers).await? {
        Some(address) => Ok(code_form(frame, &address, next, None)),
        None => Ok(Redirect::to("/portal/sign-in").into_response()),
    }
}

#[derive(Deserialize)]
struct NextForm {
    next: Option<String>,
}

async fn resend(
    frame: Frame,
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(form): Form<NextForm>,
) -> Result<Response, PortalError> {
    let next = safe_next(form.next.as_deref());
    let Some(to) = pending(&frame, &state, &headers).await? else {
        return Ok(Redirect::to("/portal/sign-in").into_response());
    };
    match start(&frame, &state, &to).await {
        Ok(started) => Ok(go(&[challenge_cookie(&state, &started)], &code_place(&next))),
        Err(error) => {
            let trouble = Some(words(&frame, &error)?);
            Ok(refusal(code_form(frame, &to, next, trouble), &error))
        }
    }
}

#[derive(Deserialize)]
struct CodeForm {
    code: Zeroizing<String>,
    next: Option<String>,
}

async fn check(
    frame: Frame,
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(form): Form<CodeForm>,
) -> Result<Response, PortalError> {
    let next = safe_next(form.next.as_deref());
    let challenge = cookie(&headers, CODE_COOKIE, state.people.https()).unwrap_or_default();
    let guess = CodeGuess { challenge, code: &form.code, purpose: CodePurpose::SignIn, bound_to: "" };
    let address = match check_code(&state, &guess).await {
        Ok(address) => address,
        Err(error) => {
            if matches!(error, CodeError::Wrong(_) | CodeError::Gone) {
                refusals::note(Why::Code, "/portal/sign-in", frame.actor.address, None);
            }
            let trouble = Some(words(&frame, &error)?);
            let page = match pending(&frame, &state, &headers).await? {
                Some(to) => code_form(frame, &to, next, trouble),
                None => sign_in_form(frame, &state, next, String::new(), trouble),
            };
            return Ok(refusal(page, &error));
        }
    };
    let kind = match address.channel() {
        Channel::Email => RefKind::Email,
        Channel::Phone => RefKind::Phone,
    };
    let reference = state.keys().reference(kind, &address.normal());
    let Some(member) = state.reader.member_by_reference(&reference).await.or_trouble(&frame)? else {
        let proven = Proven::Address(address.channel(), address.as_str().to_owned());
        let proof = join::keep(&state, &proven, &next).await.or_trouble(&frame)?;
        return Ok(go(&[no_challenge(&state), proof], "/portal/join"));
    };
    let found = state.reader.resolve(member).await.or_trouble(&frame)?;
    let (member, account) = found.ok_or_else(|| PortalError::closed(&frame))?;
    if account.status != AccountStatus::Active {
        return Err(PortalError::closed(&frame));
    }
    let visitor = Visitor { address: frame.actor.address, headers: &headers };
    let session = member_session::let_in(&state, &visitor, member, "code", Vec::new()).await;
    let session = session.map_err(|problem| problem.detail).or_trouble(&frame)?;
    Ok(go(&[no_challenge(&state), session], &next))
}

async fn sign_out(frame: Frame, State(state): State<AppState>) -> Result<Response, PortalError> {
    let cookies = member_session::sign_out(&state, &frame.actor).await;
    let cookies = cookies.map_err(|problem| problem.detail).or_trouble(&frame)?;
    Ok(go(&[cookies], "/portal/sign-in"))
}

#[cfg(test)]
mod tests {
    use super::safe_next;

    #[test]
    fn nobody_is_sent_elsewhere_after_signing_in() {
        for good in ["/portal", "/portal/card", "/portal?before=txn_1"] {
            assert_eq!(safe_next(Some(good)), good);
        }
        let long = format!("/portal/{}", "x".repeat(400));
        for bad in [
            "https://evil.example",
            "//evil.example",
            "/portal//evil.example",
            "/console",
            "/portalx",
            "/portal\\x",
            "/portal/\r\nx",
            "/portal/sign-in",
            long.as_str(),
            "",
        ] {
            assert_eq!(safe_next(Some(bad)), "/portal", "{bad}");
        }
        assert_eq!(safe_next(None), "/portal");
    }
}
