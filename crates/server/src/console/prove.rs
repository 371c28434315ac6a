//! What is grave asks for a proof of identity that is at most ten minutes old, and for a key of its own, so that a form that
//! is sent twice acts once.

use axum::response::{IntoResponse, Redirect, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::AppState;
use crate::identity::account;
use crate::identity::actor::Actor;
use crate::identity::operators::new_id;
use crate::problem::Problem;

/// Whether the person has proved who they are a moment ago. A program has no session and proves nothing.
pub async fn is_fresh(state: &AppState, actor: &Actor) -> Result<bool, Problem> {
    if actor.session().is_none() {
        return Ok(false);
    }
    account::own(state, actor).await.map(|own| own.fresh)
}

/// Where to prove it, and to come back from there.
pub fn address(back: &str) -> String {
    format!("/console/sign-in?next={}", utf8_percent_encode(back, NON_ALPHANUMERIC))
}

/// Leads there.
pub fn lead(back: &str) -> Response {
    Redirect::to(&address(back)).into_response()
}

/// The idempotency key of a form that is shown now.
pub fn form_key() -> String {
    new_id("form")
}
