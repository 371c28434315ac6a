//! The codes of an order, for whoever of the staff may see them: each time it is put down in the audit log.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use guerdon_core::id::OrderId;
use guerdon_core::identity::Permission;

use super::frame::{Frame, render};
use super::nav::Place;
use super::trouble::{OrPage, PageError};
use crate::AppState;
use crate::fulfilment::codes::{self, OpenCode};
use crate::identity::access::{Needs, Pages};

/// The page.
pub fn pages() -> Pages {
    Pages::default().post("/console/orders/{id}/codes", Needs::Permission(Permission::CodesRead), show)
}

#[derive(Template)]
#[template(path = "console/order_codes.html")]
struct CodesPage {
    frame: Frame,
    id: OrderId,
    /// Each with the part of a bundle that it is for.
    codes: Vec<(Option<String>, String)>,
}

async fn show(frame: Frame, State(state): State<AppState>, Path(text): Path<String>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Orders);
    let id: OrderId = text.parse().map_err(|_| PageError::not_found(&frame))?;
    let order = state.reader.order(id).await.or_page(&frame)?.ok_or_else(|| PageError::not_found(&frame))?;
    let shown = codes::read_by_staff(&state, &frame.actor, &order).await;
    let shown = shown.map_err(|problem| PageError::of(&frame, &problem))?;
    let line = |code: OpenCode| (code.part.map(|part| frame.reward_name(&part)), code.code);
    let codes = shown.into_iter().map(line).collect();
    let mut response = render(&CodesPage { frame, id, codes });
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
