//! The one gate that every request passes: who is it, is it really them, and may they do this?

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::access::{Needs, Routes};
use super::actor::{Actor, Who, forbidden};
use super::directory::{Looked, Presented, digest};
use super::rate::{Limited, RateHeaders};
use super::refusals::{self, Why};
use super::session::{HOST_PREFIX, Https, MEMBER_COOKIE, OPERATOR_COOKIE};
use super::signed;
use crate::AppState;
use crate::console::{self, Frame, home};
use crate::degraded::{self, Refusing, Way};
use crate::edge::ClientAddress;
use crate::problem::Problem;

/// What the gate knows.
pub struct Gate {
    /// The application.
    pub state: AppState,
    /// What each route asks for.
    pub routes: Routes,
}

/// What is looked at of a request: small, so that the way through the gate holds on to nothing.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// What its route asks for.
    pub needs: Needs,
    /// From where it comes.
    pub address: IpAddr,
    /// The credential that it brings.
    pub presented: Option<Presented>,
    /// Whether a page of another site may have sent it, and it changes something.
    pub suspicious: bool,
}

impl Asked {
    /// What is looked at of a request for a route; `https`: whether people's connections are encrypted.
    pub fn of(request: &Request, needs: Needs, https: bool) -> Self {
        let presented = presented(request.headers(), needs, https);
        let of_browser = presented.is_some_and(Presented::is_cookie) || is_page(request);
        Self {
            needs,
            address: client_address(request),
            presented,
            suspicious: of_browser && !request.method().is_safe() && !is_same_origin(request.headers()),
        }
    }
}

/// Who was let through.
#[derive(Debug)]
pub struct Admitted {
    /// Who.
    pub actor: Actor,
    /// How many requests they have left, where they are counted.
    pub rate: Option<RateHeaders>,
    /// How many of their day or month.
    pub quota: Option<RateHeaders>,
    /// What the request must be signed with, where its key must sign.
    pub signing: Option<Arc<Zeroizing<Vec<u8>>>>,
    /// Whether the credential was verified before the database went away: for what is answered from memory, and for no more.
    pub from_memory: bool,
}

/// Why a request was not let through, and how many the caller has left.
#[derive(Debug)]
pub struct Refused {
    problem: Problem,
    /// Who asked, where that is known.
    actor: Option<Actor>,
    rate: Option<RateHeaders>,
}

impl Refused {
    /// Those of a day or month are used up, which another try does not change for long.
    fn quota(limited: Limited) -> Self {
        let Limited { headers, retry_after } = limited;
        let detail = format!("the {} requests of this {} are used up; see Retry-After", headers.quota, headers.policy);
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", detail).after(retry_after);
        Self { problem, actor: None, rate: Some(headers) }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { problem, actor: None, rate: None }
    }
}

impl From<Limited> for Refused {
    fn from(limited: Limited) -> Self {
        Self { problem: limited.into(), actor: None, rate: Some(limited.headers) }
    }
}

/// Lets a request through with its [`Actor`], or answers it.
pub async fn guard(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let https = gate.state.people.https();
    request.extensions_mut().insert(Https(https));
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let path = matched.as_ref().map_or("", MatchedPath::as_str);
    let Some(needs) = gate.routes.needs(request.method(), path) else {
        // A method that the route does not take is answered by the route itself.
        if gate.routes.has(path) {
            return next.run(request).await;
        }
        tracing::error!(path, "a route declares no permission; it is closed to everyone");
        return Problem::new(StatusCode::FORBIDDEN, "forbidden", "this page is closed").into_response();
    };
    let asked = Asked::of(&request, needs, https);
    let state = &gate.state;
    let way = degraded::way(request.method(), path, needs);
    let shown = leads_to_a_page(&request);
    let (refusing, request) = Refusing::of(state, request, shown).await;
    if matches!(way, Way::Read | Way::Write) && state.degraded.is_away() {
        return refusing.refuse(state);
    }
    match gate.admit(asked).await {
        // What is not answered from memory needs a credential that is verified now.
        Ok(admitted) if admitted.from_memory && way != Way::LastKnown => refusing.refuse(state),
        // Whether a signature was used before is known to the database alone.
        Ok(admitted) if admitted.signing.is_some() && state.degraded.is_away() => refusing.refuse(state),
        Ok(Admitted { actor, rate, quota, signing, .. }) => {
            let checked = match signing {
                None => Ok(request),
                Some(secret) => signed::check(state, &actor.name(), &secret, request).await,
            };
            let who = actor.name();
            let mut response = match checked {
                Ok(mut request) => {
                    request.extensions_mut().insert(actor);
                    let response = refusing.run(state, way, request, next).await;
                    if response.status() == StatusCode::FORBIDDEN {
                        refusals::note(Why::Permission, path, asked.address, Some(&who));
                    }
                    response
                }
                Err(problem) => {
                    note(&problem, path, asked, Some(&who));
                    problem.into_response()
                }
            };
            let headers = response.headers_mut();
            [rate, quota].iter().flatten().for_each(|rate| rate.add_to(headers));
            response
        }
        Err(refused) => {
            note(&refused.problem, path, asked, refused.actor.as_ref().map(Actor::name).as_deref());
            if refused.problem.status == StatusCode::SERVICE_UNAVAILABLE && refusing.is_page() {
                return refusing.refuse(state);
            }
            refuse(state, refused, request, asked).await
        }
    }
}

/// A request that is refused leaves its trace.
fn note(problem: &Problem, path: &str, asked: Asked, who: Option<&str>) {
    if let Some(why) = Why::of(problem, asked.presented.is_some()) {
        refusals::note(why, path, asked.address, who);
    }
}

impl Gate {
    /// Whether a request may pass, and as whom. Where the credential is remembered this waits for nothing.
    pub async fn admit(&self, asked: Asked) -> Result<Admitted, Refused> {
        let Self { state, .. } = self;
        let now = state.clock();
        let Looked { known, from_memory } = match asked.presented {
            Some(presented) => state.directory.look(state, presented, asked.address, now).await?,
            None => Looked { known: None, from_memory: false },
        };
        let (actor, own) = match &known {
            Some(known) => (known.actor(asked.address), known.rate()),
            None => (Actor::anonymous(asked.address), None),
        };
        let rate = state.directory.traffic().count(&actor, own)?;
        let quota = match &known {
            Some(known) => known.count(state, now).map_err(Refused::quota)?,
            None => None,
        };
        match check(&actor, asked) {
            Ok(()) => {
                let signing = known.and_then(|known| known.signing());
                Ok(Admitted { actor, rate, quota, signing, from_memory })
            }
            Err(problem) => Err(Refused { problem, actor: Some(actor), rate }),
        }
    }
}

fn check(actor: &Actor, asked: Asked) -> Result<(), Problem> {
    if asked.suspicious {
        let detail = "a form of another site cannot act here; open the page anew and try again";
        return Err(Problem::new(StatusCode::FORBIDDEN, "cross_site_request", detail));
    }
    let allowed = match asked.needs {
        Needs::Nothing => true,
        Needs::Operator => actor.operator().is_some(),
        Needs::Member => actor.member().is_some(),
        Needs::Permission(permission) => actor.may(permission),
        Needs::InStore(permission) => actor.access.somewhere().has(permission),
    };
    let known = actor.who != Who::Anonymous;
    match (allowed, known, asked.needs) {
        (true, _, _) => Ok(()),
        (false, true, Needs::Permission(permission) | Needs::InStore(permission)) => Err(forbidden(permission)),
        // Nobody known, or someone else than this page is for.
        (false, _, _) => Err(unauthorized(asked.presented.filter(|_| !known))),
    }
}

/// Whether a request is for a page, and so comes from a browser.
fn is_page(request: &Request) -> bool {
    let path = request.uri().path();
    path.starts_with("/console") || path.starts_with("/portal")
}

/// The credential that a request brings. A bearer token goes before cookies; members' pages look at members' cookies.
fn presented(headers: &HeaderMap, needs: Needs, https: bool) -> Option<Presented> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, secret) = value.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| Presented::bearer(secret.trim()));
    }
    let member = || cookie(headers, MEMBER_COOKIE, https).map(|secret| Presented::MemberSession(digest(secret)));
    let operator = || cookie(headers, OPERATOR_COOKIE, https).map(|secret| Presented::OperatorSession(digest(secret)));
    match needs {
        Needs::Member => member(),
        Needs::Nothing => operator().or_else(member),
        _ => operator(),
    }
}

/// The value of a cookie. Over https it counts under the prefix `__Host-` alone, with which no neighbouring host can set it.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str, https: bool) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let ours = |known: &str| if https { known.strip_prefix(HOST_PREFIX) == Some(name) } else { known == name };
    pairs.find(|(known, _)| ours(known)).map(|(_, value)| value)
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
pub fn client_address(request: &Request) -> IpAddr {
    request.extensions().get().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ClientAddress(address)| *address)
}

fn unauthorized(presented: Option<Presented>) -> Problem {
    let detail = match presented {
        Some(Presented::Key(_) | Presented::AccessToken(_) | Presented::Bearer(_)) => {
            "the key or token is unknown, expired, revoked, or used from another network"
        }
        Some(_) => "the session has ended; sign in again",
        None => "send an API key as `Authorization: Bearer …`, or sign in",
    };
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}

/// The answer to a refused request: a problem, or for a person's browser a page.
async fn refuse(state: &AppState, refused: Refused, request: Request, asked: Asked) -> Response {
    let Refused { problem, actor, rate } = refused;
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::FORBIDDEN);
    if is_page(&request) && leads_to_a_page(&request) {
        if status == StatusCode::UNAUTHORIZED {
            let place = if asked.needs == Needs::Member { "/portal/sign-in" } else { "/console/sign-in" };
            let next = utf8_percent_encode(wanted(&request), NON_ALPHANUMERIC).to_string();
            return Redirect::to(&format!("{place}?next={next}")).into_response();
        }
        if problem.code == "forbidden" && request.method() == Method::GET {
            return forbidden_page(state, actor, request).await;
        }
    }
    let mut response = problem.into_response();
    let headers = response.headers_mut();
    if let Some(challenge) = challenge(status, asked) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    rate.inspect(|rate| rate.add_to(headers));
    response
}

/// Whether the browser shows the answer as a page: to what was asked for by a link or a form, not by a script.
fn leads_to_a_page(request: &Request) -> bool {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let form = text("content-type").is_none_or(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let sent = request.method() == Method::POST && form && text("hx-request").is_none();
    sent || request.method() == Method::GET
}

/// Where somebody wants to be after signing in: the page that they asked for, or the one whose form they have sent. What
/// they have typed is lost, but not their place.
fn wanted(request: &Request) -> &str {
    let path = request.uri().path();
    if request.method() == Method::GET {
        return request.uri().path_and_query().map_or(path, |whole| whole.as_str());
    }
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let (from, host) = (text(header::REFERER), text(header::HOST).unwrap_or_default());
    let ours = from.and_then(|from| from.split_once("://")).and_then(|(_, rest)| rest.strip_prefix(host));
    ours.filter(|path| path.starts_with('/')).unwrap_or_default()
}

/// The page of somebody who may not see the one they asked for.
async fn forbidden_page(state: &AppState, actor: Option<Actor>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    actor.and_then(|actor| parts.extensions.insert(actor));
    let Ok(frame) = Frame::from_request_parts(&mut parts, state).await;
    match frame.actor.operator().map(|_| home(&frame.actor)) {
        // Whoever asks for the first page is shown the first one that is open to them.
        Some(home) if parts.uri.path() == "/console" && home != "/console" => Redirect::to(home).into_response(),
        _ => console::forbidden(&frame),
    }
}

/// What RFC 6750 wants a program to be told.
fn challenge(status: StatusCode, asked: Asked) -> Option<HeaderValue> {
    let bearer = asked.presented.is_some_and(|presented| !presented.is_cookie());
    match (status, asked.needs) {
        (StatusCode::UNAUTHORIZED, _) if bearer => Some(HeaderValue::from_static("Bearer error=\"invalid_token\"")),
        (StatusCode::UNAUTHORIZED, _) => Some(HeaderValue::from_static("Bearer")),
        (StatusCode::FORBIDDEN, Needs::Permission(permission) | Needs::InStore(permission)) if bearer => {
            HeaderValue::try_from(format!("Bearer error=\"insufficient_scope\", scope=\"{permission}\"")).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (header::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn over_https_a_cookie_counts_under_its_prefix_alone() {
        let both = headers(&[("cookie", "guerdon_session=planted; __Host-guerdon_session=own")]);
        assert_eq!(cookie(&both, OPERATOR_COOKIE, true), Some("own"));
        assert_eq!(cookie(&both, OPERATOR_COOKIE, false), Some("planted"));
        assert_eq!(cookie(&headers(&[("cookie", "guerdon_session=planted")]), OPERATOR_COOKIE, true), None);
        let made = crate::identity::session::set_cookie(OPERATOR_COOKIE, "x", true, None);
        assert_eq!(made, "__Host-guerdon_session=x; Path=/; HttpOnly; SameSite=Lax; Secure");
    }

    #[test]
    fn only_our_own_pages_act_for_a_browser() {
        let host = ("host", "loyalty.example.org");
        for (said, ours) in [
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "none")], false),
            // What the browser says of the site counts more than an origin.
            (vec![("sec-fetch-site", "cross-site"), ("origin", "https://loyalty.example.org")], false),
            (vec![("origin", "https://loyalty.example.org")], true),
            (vec![("origin", "https://evil.example")], false),
            (vec![("origin", "null")], false),
            (vec![], false),
        ] {
            assert_eq!(is_same_origin(&headers(&[&said[..], &[host]].concat())), ours, "{said:?}");
        }
    }
}
