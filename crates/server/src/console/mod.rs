//! The console: server-rendered pages for operators.

mod explain;
mod format;
mod frame;
mod history;
mod language;
mod member;
mod members;
mod overview;
mod proofs;
mod summary;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use tower_http::compression::CompressionLayer;

use crate::AppState;
use frame::{Frame, PageError};
use language::Language;

/// Pages bring no script or style of their own; the `data:` images are the stylesheet's.
const CONTENT_POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
                              form-action 'self'; frame-ancestors 'none'";

/// The routes of the console.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/console", get(overview::page))
        .route("/console/members", get(members::page))
        .route("/console/search", get(members::search))
        .route("/console/members/{id}", get(member::page))
        .route("/console/members/{id}/transactions", get(history::rows))
        .route("/console/proofs", get(proofs::page))
        .route("/console/{*rest}", get(nowhere))
        .layer(Extension(Arc::<summary::Cache>::default()))
        .layer(middleware::from_fn(surround))
        .layer(CompressionLayer::new())
}

async fn nowhere(frame: Frame) -> PageError {
    PageError::not_found(&frame)
}

/// Remembers a language that was asked for, and sets the headers of every page.
async fn surround(request: Request, next: Next) -> Response {
    let chosen = Language::in_query(request.uri().query().unwrap_or_default());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Some(cookie) = chosen.and_then(|language| HeaderValue::from_str(&language.cookie()).ok()) {
        headers.append(header::SET_COOKIE, cookie);
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    // Members' data stays out of caches that others may read.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.append(header::VARY, HeaderValue::from_static("accept-language, cookie"));
    response
}
