//! Answers while the database is away: marked where they come from memory, and refused at once where they do not.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use guerdon_core::time::Timestamp;
use serde::Serialize;

use super::Way;
use crate::AppState;
use crate::console::{Frame, PageError};
use crate::portal::PortalError;

/// The header of an answer from memory: `as-of=` and the moment, RFC 3339.
const MARK: HeaderName = HeaderName::from_static("guerdon-degraded");
/// How long something that is open to the world may take while the database is away.
const MOMENT: Duration = Duration::from_secs(1);

pub(super) fn count(answer: &'static str) {
    metrics::counter!("guerdon_degraded_answers_total", "answer" => answer).increment(1);
}

/// Marks an answer that was made from what was last known; `None`: it was not. Nobody between is to keep it.
pub fn mark(mut response: Response, as_of: Option<Timestamp>, now: Timestamp) -> Response {
    let Some(as_of) = as_of else { return response };
    count("last_known");
    let age = now.as_millis().saturating_sub(as_of.as_millis()).max(0) / 1_000;
    let headers = response.headers_mut();
    if let Ok(mark) = HeaderValue::try_from(format!("as-of={as_of}")) {
        headers.insert(MARK, mark);
    }
    headers.insert(header::AGE, age.into());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A body of the API, marked where it is not of now.
pub struct Marked<T> {
    body: T,
    as_of: Option<Timestamp>,
    now: Timestamp,
}

impl<T> Marked<T> {
    /// A body as of a moment; `None`: of now.
    pub fn new(state: &AppState, body: T, as_of: Option<Timestamp>) -> Self {
        Self { body, as_of, now: state.clock() }
    }
}

impl<T: Serialize> IntoResponse for Marked<T> {
    fn into_response(self) -> Response {
        mark(Json(self.body).into_response(), self.as_of, self.now)
    }
}

/// Refuses a request: a program by a problem, a person by a page.
pub enum Refusing {
    /// By a problem.
    Problem,
    /// By a page of the portal.
    Portal(Box<Frame>),
    /// By a page of the console.
    Console(Box<Frame>),
}

impl Refusing {
    /// How a request is refused, whose answer may be shown as a page.
    pub async fn of(state: &AppState, request: Request, shown: bool) -> (Self, Request) {
        let path = request.uri().path();
        let (portal, console) = (path.starts_with("/portal"), path.starts_with("/console"));
        if !shown || !(portal || console) {
            return (Self::Problem, request);
        }
        let (mut parts, body) = request.into_parts();
        let Ok(frame) = Frame::from_request_parts(&mut parts, state).await;
        let frame = Box::new(frame);
        let refusing = if portal { Self::Portal(frame) } else { Self::Console(frame) };
        (refusing, Request::from_parts(parts, body))
    }

    /// Whether it is a page.
    pub fn is_page(&self) -> bool {
        !matches!(self, Self::Problem)
    }

    /// The refusal.
    pub fn refuse(self, state: &AppState) -> Response {
        let problem = state.degraded.refusal();
        match self {
            Self::Problem => problem.into_response(),
            Self::Portal(frame) => PortalError::away(&frame, &problem).into_response(),
            Self::Console(frame) => {
                let mut page = PageError::store(&frame).into_response();
                page.headers_mut().insert(header::RETRY_AFTER, state.degraded.retry_after().into());
                page
            }
        }
    }

    /// Lets a request go on that was let in, in a way: it waits for no database that is away.
    pub async fn run(self, state: &AppState, way: Way, request: Request, next: Next) -> Response {
        let degraded = &state.degraded;
        match way {
            Way::Open if degraded.is_away() => {
                let answered = tokio::time::timeout(MOMENT, next.run(request)).await;
                answered.unwrap_or_else(|_| self.refuse(state))
            }
            Way::Read => tokio::select! {
                biased;
                response = next.run(request) => response,
                () = degraded.gone() => self.refuse(state),
            },
            _ => next.run(request).await,
        }
    }
}
