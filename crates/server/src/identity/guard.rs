//! The one gate that every request passes: who is it, is it really them, and may they do this?

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::access::{Needs, Routes};
use super::actor::{Actor, forbidden};
use super::directory::{Presented, digest};
use super::session::{MEMBER_COOKIE, OPERATOR_COOKIE};
use crate::AppState;
use crate::console::{self, Frame, home};
use crate::edge::ClientAddress;
use crate::problem::Problem;

/// What the gate knows.
#[derive(Clone)]
pub struct Gate {
    /// The application.
    pub state: AppState,
    /// What each route asks for.
    pub routes: Arc<Routes>,
}

/// Lets a request through with its [`Actor`], or answers it.
pub async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let Some(needs) = gate.routes.needs(request.method(), &path) else {
        // A method that the route does not take is answered by the route itself.
        if gate.routes.iter().any(|(_, known, _)| known == path) {
            return next.run(request).await;
        }
        tracing::error!(path, "a route declares no permission; it is closed to everyone");
        return Problem::new(StatusCode::FORBIDDEN, "forbidden", "this page is closed").into_response();
    };
    let (mut parts, body) = request.into_parts();
    match admit(&gate, needs, &mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => refuse(&gate.state, problem, &mut parts, needs).await,
    }
}

/// Puts the actor into the request, or says why it is refused.
async fn admit(gate: &Gate, needs: Needs, request: &mut Parts) -> Result<(), Problem> {
    let address = client_address(request);
    let presented = presented(&request.headers, needs);
    let actor = match presented {
        Some(presented) => gate.state.directory.identify(&gate.state, presented, address).await?,
        None => None,
    };
    let known = actor.is_some();
    let actor = actor.unwrap_or_else(|| Actor::anonymous(address));
    request.extensions.insert(actor.clone());
    if (actor.session().is_some() || is_page(request)) && !request.method.is_safe() && !is_same_origin(&request.headers)
    {
        let detail = "a form of another site cannot act here; open the page anew and try again";
        return Err(Problem::new(StatusCode::FORBIDDEN, "cross_site_request", detail));
    }
    let allowed = match needs {
        Needs::Nothing => true,
        Needs::Operator => actor.operator().is_some(),
        Needs::Member => actor.member().is_some(),
        Needs::Permission(permission) => actor.may(permission),
        Needs::InStore(permission) => actor.access.somewhere().has(permission),
    };
    match (allowed, known, needs) {
        (true, _, _) => Ok(()),
        (false, true, Needs::Permission(permission) | Needs::InStore(permission)) => Err(forbidden(permission)),
        // Nobody known, or someone else than this page is for.
        (false, _, _) => Err(unauthorized(presented.filter(|_| !known))),
    }
}

/// Whether a request is for a page, and so comes from a browser.
fn is_page(request: &Parts) -> bool {
    let path = request.uri.path();
    path.starts_with("/console") || path.starts_with("/portal")
}

/// The credential that a request brings. A bearer token goes before cookies; members' pages look at members' cookies.
fn presented(headers: &HeaderMap, needs: Needs) -> Option<Presented> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, secret) = value.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| Presented::Bearer(digest(secret.trim())));
    }
    let member = || cookie(headers, MEMBER_COOKIE).map(|secret| Presented::MemberSession(digest(secret)));
    let operator = || cookie(headers, OPERATOR_COOKIE).map(|secret| Presented::OperatorSession(digest(secret)));
    match needs {
        Needs::Member => member(),
        Needs::Nothing => operator().or_else(member),
        _ => operator(),
    }
}

/// The value of a cookie, with or without the prefix that it has over https.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| known.strip_prefix("__Host-").unwrap_or(known) == name).map(|(_, value)| value)
}

/// Whether a browser says that the request comes from one of our own pages: by Fetch Metadata, or by an origin that is
/// the host it was sent to (<https://www.w3.org/TR/fetch-metadata/>; OWASP CSRF prevention). Cookies are SameSite as well.
pub fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => {
            let origin = text("origin").and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
            origin.is_some() && origin == text("host")
        }
    }
}

/// From where a request comes. One that came over no connection, as in tests, comes from nowhere.
pub fn client_address(request: &Parts) -> IpAddr {
    request.extensions.get().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ClientAddress(address)| *address)
}

fn unauthorized(presented: Option<Presented>) -> Problem {
    let detail = match presented {
        Some(Presented::Bearer(_)) => "the key or token is unknown, expired, revoked, or used from another network",
        Some(_) => "the session has ended; sign in again",
        None => "send an API key as `Authorization: Bearer …`, or sign in",
    };
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}

/// The answer to a refused request: a problem, or for a person's browser a page.
async fn refuse(state: &AppState, problem: Problem, request: &mut Parts, needs: Needs) -> Response {
    let status = problem.status;
    if is_page(request) && request.method == Method::GET {
        let path = request.uri.path().to_owned();
        if status == StatusCode::UNAUTHORIZED.as_u16() {
            let place = if needs == Needs::Member { "/portal/sign-in" } else { "/console/sign-in" };
            let wanted = request.uri.path_and_query().map_or(path.as_str(), |whole| whole.as_str());
            let next = utf8_percent_encode(wanted, NON_ALPHANUMERIC);
            return Redirect::to(&format!("{place}?next={next}")).into_response();
        }
        if problem.code == "forbidden"
            && let Ok(frame) = Frame::from_request_parts(request, state).await
        {
            return match frame.actor.operator().map(|_| home(&frame.actor)) {
                // Whoever asks for the first page is shown the first one that is open to them.
                Some(home) if path == "/console" && home != "/console" => Redirect::to(home).into_response(),
                _ => console::forbidden(&frame),
            };
        }
    }
    let mut response = problem.into_response();
    if status == StatusCode::UNAUTHORIZED.as_u16() {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
