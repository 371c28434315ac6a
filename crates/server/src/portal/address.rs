//! Another e-mail address or phone number: it holds once a code that was sent to it is typed in. Whoever can sign in by one
//! address can so replace another that is lost.

use axum::extract::{Form, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::MemberId;
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::own::{Own, is_fresh, own};
use super::profile::{HERE, PROVE, Wrong, again, failed};
use super::sign_in::{CodePage, address, go, masked, refusal, words};
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::console::{Frame, render};
use crate::identity::access::{Needs, Pages};
use crate::identity::code::{CodeError, CodeGuess, CodeRequest, LIFE_MS, Started, check_code, code_address, send_code};
use crate::identity::guard::cookie;
use crate::identity::session::{self, set_cookie};
use crate::identity::sign_in::Cookies;
use crate::identity::token::{Token, TokenKind};
use crate::messages::{Address, CodePurpose};
use crate::privacy::profile::{self, Changed, Wish, tell};
use crate::problem::Problem;

/// The cookie that holds the token of a challenge.
const CODE_COOKIE: &str = "guerdon_address";
const BASE: &str = "/portal/profile/address";
const CODE: &str = "/portal/profile/address/code";

/// The steps to another address.
pub fn pages() -> Pages {
    Pages::default()
        .post(BASE, Needs::Member, send)
        .get(CODE, Needs::Member, code_page)
        .post(CODE, Needs::Member, check)
        .post("/portal/profile/address/resend", Needs::Member, resend)
}

/// The account of who has proved a moment ago who they are. `None`: they have to do so first.
async fn proved(frame: &Frame, state: &AppState) -> Result<Option<Own>, PortalError> {
    let own = own(state, frame).await?;
    Ok(is_fresh(state, &frame.actor).await.or_trouble(frame)?.then_some(own))
}

fn prove_first() -> Response {
    Redirect::to(PROVE).into_response()
}

fn challenge_cookie(state: &AppState, token: &str, life: i64) -> Cookies {
    Cookies::new(vec![set_cookie(CODE_COOKIE, token, state.people.https(), Some(life))])
}

async fn start(frame: &Frame, state: &AppState, member: MemberId, to: &Address) -> Result<Response, CodeError> {
    let (purpose, client, member) = (CodePurpose::ChangeAddress, frame.actor.address, member.to_string());
    let request = CodeRequest { to, purpose, bound_to: &member, client };
    let Started { challenge, .. } = send_code(state, frame.language, &request).await?;
    Ok(go(&[challenge_cookie(state, challenge.reveal(), LIFE_MS / 1_000)], CODE))
}

#[derive(Deserialize)]
struct SendForm {
    to: String,
}

async fn send(
    frame: Frame,
    State(state): State<AppState>,
    Form(form): Form<SendForm>,
) -> Result<Response, PortalError> {
    let Some(own) = proved(&frame, &state).await? else { return Ok(prove_first()) };
    let to: String = form.to.chars().take(254).collect();
    let wrong = |trouble: String| Wrong { trouble: Some(trouble), to, ..Wrong::default() };
    let Ok(new) = address(&form.to) else {
        let trouble = frame.t("portal-address-wrong");
        return again(frame, &state, wrong(trouble)).await;
    };
    match start(&frame, &state, own.id, &new).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let trouble = words(&frame, &error)?;
            let page = again(frame, &state, wrong(trouble)).await?;
            Ok(refusal(page, &error))
        }
    }
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

fn code_form(frame: Frame, to: &Address, trouble: Option<String>) -> Response {
    let (base, next) = (BASE, HERE.to_owned());
    render(&CodePage { frame, place: "profile", base, other: HERE, to: masked(to), next, trouble })
}

async fn code_page(frame: Frame, State(state): State<AppState>, headers: HeaderMap) -> Result<Response, PortalError> {
    match (proved(&frame, &state).await?, pending(&frame, &state, &headers).await?) {
        (None, _) => Ok(prove_first()),
        (_, Some(to)) => Ok(code_form(frame, &to, None)),
        (_, None) => Ok(Redirect::to(HERE).into_response()),
    }
}

async fn resend(frame: Frame, State(state): State<AppState>, headers: HeaderMap) -> Result<Response, PortalError> {
    let Some(own) = proved(&frame, &state).await? else { return Ok(prove_first()) };
    let Some(to) = pending(&frame, &state, &headers).await? else { return Ok(Redirect::to(HERE).into_response()) };
    match start(&frame, &state, own.id, &to).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let trouble = Some(words(&frame, &error)?);
            Ok(refusal(code_form(frame, &to, trouble), &error))
        }
    }
}

#[derive(Deserialize)]
struct CodeForm {
    code: Zeroizing<String>,
}

async fn check(
    frame: Frame,
    State(state): State<AppState>,
    headers: HeaderMap,
    Form(form): Form<CodeForm>,
) -> Result<Response, PortalError> {
    let Some(own) = proved(&frame, &state).await? else { return Ok(prove_first()) };
    let challenge = cookie(&headers, CODE_COOKIE, state.people.https()).unwrap_or_default();
    let (purpose, member) = (CodePurpose::ChangeAddress, own.id.to_string());
    let new = match check_code(&state, &CodeGuess { challenge, code: &form.code, purpose, bound_to: &member }).await {
        Ok(new) => new,
        Err(error) => {
            let trouble = Some(words(&frame, &error)?);
            return match pending(&frame, &state, &headers).await? {
                Some(to) => Ok(refusal(code_form(frame, &to, trouble), &error)),
                None => again(frame, &state, Wrong { trouble, ..Wrong::default() }).await,
            };
        }
    };
    let digest = Token::parse_as(TokenKind::OneTime, challenge).map(|token| token.digest()).unwrap_or_default();
    match take(&frame, &state, own.id, &new, &digest).await {
        Ok(changed) => {
            tell(&state, &frame, &changed);
            end_other_sessions(&frame, &state, &own).await?;
            Ok(go(&[challenge_cookie(&state, "", 0)], "/portal/profile?saved=1"))
        }
        Err(problem) if problem.code == "already_enrolled" => {
            let trouble = Some(frame.t("portal-profile-address-taken"));
            again(frame, &state, Wrong { trouble, ..Wrong::default() }).await
        }
        Err(problem) => failed(&frame, Err(problem)),
    }
}

/// Puts a proved address in the place of the one of its kind.
async fn take(
    frame: &Frame,
    state: &AppState,
    member: MemberId,
    new: &Address,
    digest: &str,
) -> Result<Changed, Problem> {
    let key = format!("portal address {digest}");
    let patch = Map::from_iter([(new.channel().name().to_owned(), Value::from(new.as_str()))]);
    let wish = Wish { member, key: &key, channel: "portal", patch: &patch, seen: None, reason: "" };
    profile::change(state, &frame.actor, wish).await
}

/// Whoever has the old phone is signed out.
async fn end_other_sessions(frame: &Frame, state: &AppState, own: &Own) -> Result<(), PortalError> {
    let mut subjects = vec![own.id];
    subjects.extend(Some(own.signed_in_as).filter(|id| *id != own.id));
    for subject in subjects {
        let subject = subject.to_string();
        let event = frame.actor.event(state.clock(), "session.revoke", &subject);
        session::end(state, &subject, None, frame.actor.session(), event).await.or_trouble(frame)?;
    }
    Ok(())
}
