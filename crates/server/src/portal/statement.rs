//! The member's own monthly statement, to be looked at or printed.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::own::own;
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::console::{Frame, Sheet, render, statement_sheet};
use crate::statement;

#[derive(Template)]
#[template(path = "portal/statement.html")]
struct StatementPage {
    frame: Frame,
    place: &'static str,
    sheet: Sheet,
}

/// `/portal/statements`: the present month.
pub async fn latest(frame: Frame, State(state): State<AppState>) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let months = statement::months(&state, own.id).await.or_trouble(&frame)?;
    let month = months.first().ok_or_else(|| PortalError::not_found(&frame))?;
    Ok(Redirect::to(&format!("/portal/statements/{month}")).into_response())
}

/// `/portal/statements/{month}`
pub async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Path(month): Path<String>,
) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    let sheet = statement_sheet(&state, &frame, own.id, &month, "/portal/statements".to_owned()).await;
    let sheet = sheet.or_trouble(&frame)?.ok_or_else(|| PortalError::not_found(&frame))?;
    Ok(render(&StatementPage { place: "points", sheet, frame }))
}
