//! The membership card: a QR code that is new every 30 seconds, and a bar code with its number. The picture is fetched
//! anew by htmx, and by the page's own refresh where scripts do not run.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::own::own;
use super::trouble::PortalError;
use crate::AppState;
use crate::card::{ShownCard, show_card};
use crate::console::{Frame, render};

#[derive(Template)]
#[template(path = "portal/card.html")]
struct CardPage {
    frame: Frame,
    place: &'static str,
    card: ShownCard,
}

#[derive(Template)]
#[template(path = "portal/picture.html")]
struct Picture {
    card: ShownCard,
}

async fn shown(frame: &Frame, state: &AppState) -> Result<ShownCard, PortalError> {
    let own = own(state, frame).await?;
    Ok(show_card(state, own.id, &frame.t("portal-card-qr"), &frame.t("portal-card-bars")))
}

/// `/portal/card`
pub async fn page(frame: Frame, State(state): State<AppState>) -> Result<Response, PortalError> {
    let card = shown(&frame, &state).await?;
    Ok(render(&CardPage { frame, place: "card", card }))
}

/// The QR code alone.
pub async fn picture(frame: Frame, State(state): State<AppState>) -> Result<Response, PortalError> {
    Ok(render(&Picture { card: shown(&frame, &state).await? }))
}
