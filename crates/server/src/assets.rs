//! Vendored and own static files, embedded in the binary.

use axum::Router;

use crate::AppState;

/// The routes of static files.
pub fn router() -> Router<AppState> {
    Router::new()
}
