//! The way of a member to an identity provider, and the way back.

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::join::{self, Proven};
use super::sign_in::{go, safe_next};
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::identity::actor::Actor;
use crate::identity::guard::cookie;
use crate::identity::member_session;
use crate::identity::refusals::{self, Why};
use crate::identity::session::MEMBER_COOKIE;
use crate::identity::sign_in::{Cookies, Visitor};
use crate::identity::sso::member::Found;
use crate::identity::sso::{self, Answer, Face, Refusal};

/// Open to whoever wants to sign in. Both are plain links, because the policy of the pages lets no form lead elsewhere.
pub fn pages() -> Pages {
    Pages::default().get("/portal/sso/{provider}", Needs::Nothing, begin).get(
        "/portal/sso/{provider}/callback",
        Needs::Nothing,
        callback,
    )
}

async fn begin(
    State(state): State<AppState>,
    actor: Actor,
    Path(provider): Path<String>,
    Query(asked): Query<sso::Asked>,
    headers: HeaderMap,
) -> Response {
    let next = safe_next(asked.next.as_deref());
    if let Some(answer) = sso::barred(&state, Face::Portal, &actor, &headers, &next) {
        return answer;
    }
    // Whoever is signed in comes to prove anew who they are.
    let anew = cookie(&headers, MEMBER_COOKIE, state.people.https()).is_some();
    match sso::begin(&state, Face::Portal, &provider, next, anew).await {
        Ok((cookies, to)) => go(&[cookies], &to),
        Err(refusal) => sso::refused(Face::Portal, &provider, &refusal),
    }
}

async fn callback(
    State(state): State<AppState>,
    actor: Actor,
    Path(provider): Path<String>,
    Query(answer): Query<Answer>,
    headers: HeaderMap,
) -> Response {
    let visitor = Visitor { address: actor.address, headers: &headers };
    let mut response = match arrive(&state, &visitor, &provider, answer).await {
        Ok((cookies, to)) => go(&[cookies], &to),
        Err(refusal) => {
            refusals::note(Why::SignOn, Face::Portal.path(), actor.address, None);
            sso::refused(Face::Portal, &provider, &refusal)
        }
    };
    sso::forget(&state).set(response.headers_mut());
    response
}

async fn arrive(
    state: &AppState,
    visitor: &Visitor<'_>,
    provider: &str,
    answer: Answer,
) -> Result<(Cookies, String), Refusal> {
    match sso::end_of_member(state, visitor, provider, answer).await? {
        (Found::Member(member), next) => {
            Ok((member_session::let_in(state, visitor, member, "sso", Vec::new()).await?, next))
        }
        (Found::Newcomer(newcomer), next) => {
            Ok((join::keep(state, &Proven::By(newcomer), &next).await?, "/portal/join".to_owned()))
        }
    }
}
