//! The identity providers by which the member comes in: shown, and taken away.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::MemberId;
use guerdon_store::StoreError;

use super::own::{Own, is_fresh, own};
use super::profile::{HERE, PROVE, Wrong, again};
use super::trouble::{OrTrouble, PortalError};
use crate::AppState;
use crate::console::Frame;
use crate::identity::access::{Needs, Pages};
use crate::identity::sso::member;

/// Taking a provider away.
pub fn pages() -> Pages {
    Pages::default().post("/portal/profile/links/{id}/remove", Needs::Member, remove)
}

/// A provider, as shown.
pub(super) struct LinkLine {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) since: String,
}

/// The providers of a member.
pub(super) async fn lines(frame: &Frame, state: &AppState, own: &Own) -> Result<Vec<LinkLine>, StoreError> {
    let line = |(record, link): (guerdon_store::Record, member::Link)| LinkLine {
        id: record.id,
        name: state.sso.member_provider(&link.provider).to_owned(),
        since: frame.clock_time(link.linked_at),
    };
    Ok(member::links(state, &accounts(own)).await?.into_iter().map(line).collect())
}

/// The account, and those that were merged into it.
fn accounts(own: &Own) -> Vec<MemberId> {
    own.account.merged_from.iter().copied().chain([own.id]).collect()
}

async fn remove(frame: Frame, State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, PortalError> {
    let own = own(&state, &frame).await?;
    if !is_fresh(&state, &frame.actor).await.or_trouble(&frame)? {
        return Ok(Redirect::to(PROVE).into_response());
    }
    let links = member::links(&state, &accounts(&own)).await.or_trouble(&frame)?;
    let row = state.reader.member(own.id).await.or_trouble(&frame)?.ok_or_else(|| PortalError::closed(&frame))?;
    let profile = state.profile(&row).or_trouble(&frame)?.unwrap_or_default();
    if links.len() == 1 && profile.email.is_none() && profile.phone.is_none() {
        let trouble = Some(frame.t("portal-link-only"));
        return again(frame, &state, Wrong { trouble, ..Wrong::default() }).await;
    }
    if let Some(link) = links.into_iter().find(|(record, _)| record.id == id) {
        member::unlink(&state, &frame.actor, own.id, link).await.or_trouble(&frame)?;
    }
    Ok(Redirect::to(HERE).into_response())
}
