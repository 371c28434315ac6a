//! What the console and the portal have in common of the way to an identity provider and back. Nobody sets out by a link of
//! another site, and no address too often, because each attempt is written down.

use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use url::form_urlencoded;

use serde::Deserialize;

use super::{Face, Refusal};
use crate::AppState;
use crate::identity::actor::Actor;
use crate::identity::refusals::{self, Why};

/// What is asked for with an attempt.
#[derive(Deserialize)]
pub struct Asked {
    /// Where to go afterwards.
    #[serde(default)]
    pub next: Option<String>,
}

/// Back to the sign-in page, with the name of a sentence.
pub fn refused(face: Face, provider: &str, refusal: &Refusal) -> Response {
    match refusal {
        Refusal::Unknown | Refusal::Over => {}
        Refusal::Trouble(_) => tracing::error!(?refusal, ?face, provider, "a single sign-on failed"),
        refusal => tracing::warn!(?refusal, ?face, provider, "a single sign-on was refused"),
    }
    Redirect::to(&format!("{}?trouble={}", face.sign_in(), refusal.sentence())).into_response()
}

/// The answer to somebody who may not; none: they may. A link of another site begins no session: it leads to the sign-in
/// page, where the person chooses the way in.
pub fn barred(state: &AppState, face: Face, actor: &Actor, headers: &HeaderMap, next: &str) -> Option<Response> {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        return Some(Redirect::to(&format!("{}?next={next}", face.sign_in())).into_response());
    }
    let limited = state.directory.traffic().may_begin(actor.address).err()?;
    refusals::note(Why::Limit, face.path(), actor.address, None);
    Some(limited.into_response())
}
