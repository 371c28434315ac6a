//! The answers that the pages of signing in have in common, in the console and in the portal.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::frame::Frame;
use crate::identity::sign_in::Cookies;

/// Redirects with cookies.
pub(crate) fn go(cookies: &[Cookies], to: &str) -> Response {
    let mut response = Redirect::to(to).into_response();
    for cookies in cookies {
        cookies.set(response.headers_mut());
    }
    response
}

/// The page again, with what was wrong; `wait`: how many seconds must pass before another try.
pub(crate) fn refused(page: Response, wait: Option<u64>) -> Response {
    match wait {
        Some(seconds) => {
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())], page).into_response()
        }
        None => (StatusCode::UNPROCESSABLE_ENTITY, page).into_response(),
    }
}

/// How long to wait, in the words of a key: in those of its `-minutes` where that is long.
pub(crate) fn wait_words(frame: &Frame, key: &str, seconds: u64) -> String {
    if seconds > 90 {
        frame.say(&format!("{key}-minutes"), [("minutes", seconds.div_ceil(60).into())])
    } else {
        frame.say(key, [("seconds", seconds.into())])
    }
}
