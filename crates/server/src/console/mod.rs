//! The console: server-rendered pages for operators.

use axum::Router;

use crate::AppState;

/// The routes of the console.
pub fn router() -> Router<AppState> {
    Router::new()
}
