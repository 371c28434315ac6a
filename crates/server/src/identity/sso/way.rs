//! Who may set out to an identity provider: nobody sent by a link of another site, and no address too often, because each
//! attempt is written down.

use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use url::form_urlencoded;

use super::Face;
use crate::AppState;
use crate::identity::actor::Actor;
use crate::identity::refusals::{self, Why};

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
