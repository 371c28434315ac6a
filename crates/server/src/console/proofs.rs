//! What the transparency log is, in plain words, and its latest head.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use guerdon_core::hex;
use guerdon_core::proofs::{endorsed_keys, open_head};

use super::format;
use super::frame::{Frame, render};
use super::nav::Place;
use super::trouble::{OrPage, PageError};
use crate::AppState;

#[derive(Template)]
#[template(path = "console/proofs.html")]
struct ProofsPage {
    frame: Frame,
    /// Labels and values of the head; none while the log is empty.
    head: Vec<(String, String)>,
    public_key: Option<String>,
}

/// `/console/proofs`
pub async fn page(frame: Frame, State(state): State<AppState>) -> Result<Response, PageError> {
    let frame = frame.at(Place::Proofs);
    let stored = state.reader.log_head().await.or_page(&frame)?;
    let keys = endorsed_keys(&state.reader.log_keys().await.or_page(&frame)?).unwrap_or_default();
    let mut head = Vec::new();
    if let Ok(opened) = open_head(&keys, &stored.checkpoint) {
        let count = format::number(i64::try_from(opened.size).unwrap_or(i64::MAX));
        head.push((frame.t("proof-head-size"), count));
        head.push((frame.t("proof-head-at"), frame.time(opened.at)));
        head.push((frame.t("proof-head-root"), hex::encode(&opened.root)));
    }
    let public_key = keys.last().map(ToString::to_string);
    Ok(render(&ProofsPage { frame, head, public_key }))
}
