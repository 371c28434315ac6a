//! Members: the list, and the search that leads to one.

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::id::MemberId;
use guerdon_core::ledger::AccountStatus;
use guerdon_core::members::RefKind;
use guerdon_store::StoreError;
use guerdon_store::read::MemberRow;
use serde::Deserialize;

use super::format;
use super::frame::{Frame, render};
use super::nav::Place;
use super::summary::display_name;
use super::trouble::{OrPage, PageError};
use crate::AppState;

/// Members of one page.
const PAGE: i64 = 50;
/// Longest text to search for; an e-mail address is the longest reference.
const QUERY_CHARS: usize = 254;

/// Where a page of members begins.
#[derive(Deserialize)]
pub struct Cursor {
    after: Option<String>,
}

/// What to search for.
#[derive(Deserialize)]
pub struct Search {
    q: Option<String>,
}

struct MemberLine {
    id: String,
    name: String,
    external_id: String,
    tier: String,
    available: String,
    last_activity: String,
}

#[derive(Template)]
#[template(path = "console/members.html")]
struct MembersPage {
    frame: Frame,
    query: String,
    notice: Option<String>,
    members: Vec<MemberLine>,
    has_tiers: bool,
    first: bool,
    next: Option<String>,
}

/// `/console/members`
pub async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Query(cursor): Query<Cursor>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Members);
    let after = match &cursor.after {
        None => None,
        Some(text) => Some(text.parse::<MemberId>().map_err(|_| PageError::not_found(&frame))?),
    };
    let mut rows = state.reader.members(after, PAGE + 1).await.or_page(&frame)?;
    let page = usize::try_from(PAGE).unwrap_or_default();
    let more = rows.len() > page;
    rows.truncate(page);
    Ok(render(&MembersPage {
        query: String::new(),
        notice: None,
        has_tiers: !frame.program.tiers.is_empty(),
        first: after.is_none(),
        next: rows.last().filter(|_| more).map(|row| row.id.to_string()),
        members: rows.iter().map(|row| line(&state, &frame, row)).collect::<Result<_, _>>().or_page(&frame)?,
        frame,
    }))
}

fn line(state: &AppState, frame: &Frame, row: &MemberRow) -> Result<MemberLine, StoreError> {
    let profile = state.profile(row)?.unwrap_or_default();
    let tiers = frame.program.tiers.at(state.engine.now());
    let level = tiers.level_of(&row.standing).filter(|_| row.status == AccountStatus::Active);
    Ok(MemberLine {
        id: row.id.to_string(),
        name: display_name(row.id, &profile),
        external_id: profile.external_id.unwrap_or_default(),
        tier: level.map(|level| level.tier.name.get(frame.language.tag()).to_owned()).unwrap_or_default(),
        available: format::number(row.available),
        last_activity: frame.time(row.last_activity_at),
    })
}

/// `/console/search`: leads to the member whose id, number, e-mail address or phone number was given. Posted, because what
/// stands in an address is kept by browsers and proxies.
pub async fn search(
    frame: Frame,
    State(state): State<AppState>,
    Form(search): Form<Search>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Members);
    let query: String = search.q.unwrap_or_default().trim().chars().take(QUERY_CHARS).collect();
    if query.is_empty() {
        return Ok(Redirect::to("/console/members").into_response());
    }
    if let Some(id) = lookup(&state, &query).await.or_page(&frame)? {
        return Ok(Redirect::to(&format!("/console/members/{id}")).into_response());
    }
    let notice = Some(frame.say("search-nothing", [("query", query.as_str().into())]));
    Ok(render(&MembersPage { frame, query, notice, members: Vec::new(), has_tiers: false, first: false, next: None }))
}

/// The member whose id, number, e-mail address or phone number a text is.
pub(super) async fn lookup(state: &AppState, query: &str) -> Result<Option<MemberId>, StoreError> {
    if let Ok(id) = query.parse::<MemberId>()
        && state.reader.member(id).await?.is_some()
    {
        return Ok(Some(id));
    }
    for kind in kinds(query) {
        if let Some(id) = state.reader.member_by_reference(&state.keys().reference(kind, query)).await? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// The kinds of reference that a text may be.
fn kinds(query: &str) -> Vec<RefKind> {
    let mut kinds = vec![RefKind::ExternalId];
    if query.contains('@') {
        kinds.push(RefKind::Email);
    }
    let digits = query.chars().filter(char::is_ascii_digit).count();
    if digits >= 5 && query.chars().all(|c| c.is_ascii_digit() || "+-() .".contains(c)) {
        kinds.push(RefKind::Phone);
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_looked_up_as_what_it_may_be() {
        assert_eq!(kinds("17850"), [RefKind::ExternalId, RefKind::Phone]);
        assert_eq!(kinds("+44 20 7946 0000"), [RefKind::ExternalId, RefKind::Phone]);
        assert_eq!(kinds("ann@example.org"), [RefKind::ExternalId, RefKind::Email]);
        assert_eq!(kinds("A-12345"), [RefKind::ExternalId]);
    }
}
