//! What went wrong, as a page of the portal. What the store says goes to the log, never to the page.

use std::fmt::Display;
use std::num::NonZeroU32;

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::console::{Frame, render};
use crate::degraded::Unanswered;
use crate::problem::Problem;

/// A page that says what went wrong.
pub struct PortalError {
    frame: Frame,
    status: StatusCode,
    key: &'static str,
    /// After how many seconds to try again, where that may help.
    retry_after: Option<NonZeroU32>,
}

impl PortalError {
    /// There is no such page.
    pub fn not_found(frame: &Frame) -> Self {
        Self { frame: frame.clone(), status: StatusCode::NOT_FOUND, key: "portal-trouble-page", retry_after: None }
    }

    /// The account is closed, or its personal data were erased.
    pub fn closed(frame: &Frame) -> Self {
        Self { frame: frame.clone(), status: StatusCode::GONE, key: "portal-trouble-closed", retry_after: None }
    }

    /// It cannot be read or written now.
    pub fn store(frame: &Frame) -> Self {
        Self {
            frame: frame.clone(),
            status: StatusCode::SERVICE_UNAVAILABLE,
            key: "portal-trouble-store",
            retry_after: NonZeroU32::new(1),
        }
    }

    /// The database is away, and what is asked for needs it.
    pub fn away(frame: &Frame, problem: &Problem) -> Self {
        Self {
            key: "portal-trouble-away",
            retry_after: problem.retry_after.and_then(NonZeroU32::new),
            ..Self::store(frame)
        }
    }
}

/// Turns something that failed inside into a page.
pub trait OrTrouble<T> {
    /// The value, or the page that says to try again.
    fn or_trouble(self, frame: &Frame) -> Result<T, PortalError>;
}

impl<T, E: Display> OrTrouble<T> for Result<T, E> {
    fn or_trouble(self, frame: &Frame) -> Result<T, PortalError> {
        self.map_err(|error| {
            tracing::error!(%error, "a page of the portal failed");
            PortalError::store(frame)
        })
    }
}

/// Turns something that cannot be shown now into a page.
pub fn unanswered(frame: &Frame, unanswered: Unanswered) -> PortalError {
    match unanswered {
        Unanswered::Away(problem) => PortalError::away(frame, &problem),
        Unanswered::Failed(error) => {
            tracing::error!(%error, "a page of the portal failed");
            PortalError::store(frame)
        }
    }
}

#[derive(Template)]
#[template(path = "portal/trouble.html")]
struct TroublePage {
    frame: Frame,
    place: &'static str,
    title: String,
    message: String,
}

impl IntoResponse for PortalError {
    fn into_response(self) -> Response {
        let Self { frame, status, key, retry_after } = self;
        let (title, message) = (frame.t(key), frame.t(&format!("{key}-message")));
        let page = TroublePage { place: "", title, message, frame };
        let mut response = (status, render(&page)).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.get().into());
        }
        response
    }
}
