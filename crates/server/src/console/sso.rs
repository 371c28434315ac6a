//! The way to an identity provider, and the way back.

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::answer::go;
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::identity::actor::Actor;
use crate::identity::refusals::{self, Why};
use crate::identity::sign_in::{Visitor, safe_next};
use crate::identity::sso::{self, Answer, Face};

/// Open to whoever wants to sign in. Both are plain links, because the policy of the pages lets no form lead elsewhere.
pub fn pages() -> Pages {
    Pages::default().get("/console/sso/{provider}", Needs::Nothing, begin).get(
        "/console/sso/{provider}/callback",
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
    if let Some(answer) = sso::barred(&state, Face::Console, &actor, &headers, &next) {
        return answer;
    }
    // Whoever is signed in comes to prove anew who they are.
    let anew = actor.operator().is_some();
    match sso::begin(&state, Face::Console, &provider, next, anew).await {
        Ok((cookies, to)) => go(&[cookies], &to),
        Err(refusal) => sso::refused(Face::Console, &provider, &refusal),
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
    let mut response = match sso::end(&state, &visitor, &provider, answer).await {
        Ok((cookies, to)) => go(&[cookies], &to),
        Err(refusal) => {
            refusals::note(Why::SignOn, Face::Console.path(), actor.address, None);
            sso::refused(Face::Console, &provider, &refusal)
        }
    };
    sso::forget(&state).set(response.headers_mut());
    response
}
