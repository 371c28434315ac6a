//! The pages for what went wrong.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use guerdon_store::StoreError;

use super::frame::{Frame, render};
use crate::problem::Problem;

/// Something that went wrong, as a page in the frame. What the store says goes to the log, never to the page.
pub struct PageError {
    frame: Frame,
    status: StatusCode,
    key: &'static str,
}

impl PageError {
    /// There is no such page.
    pub fn not_found(frame: &Frame) -> Self {
        Self { frame: frame.clone(), status: StatusCode::NOT_FOUND, key: "trouble-no-page" }
    }

    /// What a problem comes to that is not about what was typed.
    pub fn of(frame: &Frame, problem: &Problem) -> Self {
        match problem.status {
            404 if problem.code == "unknown_member" => Self::unknown_member(frame),
            404 => Self::not_found(frame),
            403 => Self::forbidden(frame),
            _ => Self::store(frame),
        }
    }

    /// A link that was used or is too old.
    pub fn link_over(frame: &Frame) -> Self {
        Self { frame: frame.clone(), status: StatusCode::GONE, key: "trouble-link" }
    }

    /// A page that the roles of who looks do not open.
    pub fn forbidden(frame: &Frame) -> Self {
        Self { frame: frame.clone(), status: StatusCode::FORBIDDEN, key: "trouble-forbidden" }
    }

    /// The store cannot be read.
    pub fn store(frame: &Frame) -> Self {
        Self { frame: frame.clone(), status: StatusCode::SERVICE_UNAVAILABLE, key: "trouble-store" }
    }

    /// There is no such member.
    pub fn unknown_member(frame: &Frame) -> Self {
        Self { frame: frame.clone(), status: StatusCode::NOT_FOUND, key: "trouble-no-member" }
    }
}

/// Turns a failed query into a page.
pub trait OrPage<T> {
    /// The value, or the page that says that the store cannot be read.
    fn or_page(self, frame: &Frame) -> Result<T, PageError>;
}

impl<T> OrPage<T> for Result<T, StoreError> {
    fn or_page(self, frame: &Frame) -> Result<T, PageError> {
        self.map_err(|error| {
            tracing::error!(%error, "a query of the console failed");
            PageError::store(frame)
        })
    }
}

impl<T> OrPage<T> for Result<T, Problem> {
    fn or_page(self, frame: &Frame) -> Result<T, PageError> {
        self.map_err(|problem| PageError::of(frame, &problem))
    }
}

/// A page with a form in which something was wrong.
pub fn unprocessable(page: Response) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
}

#[derive(Template)]
#[template(path = "console/trouble.html")]
struct TroublePage {
    frame: Frame,
    status: u16,
    title: String,
    message: String,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let message = self.frame.t(&format!("{}-message", self.key));
        let page =
            TroublePage { title: self.frame.t(self.key), status: self.status.as_u16(), message, frame: self.frame };
        let mut response = (self.status, render(&page)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
