//! Two accounts of one person become one: find the other, look at both, and merge.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use guerdon_core::ledger::AccountStatus;
use guerdon_core::privacy::mask;
use serde::Deserialize;

use super::acts::wallets;
use super::frame::{Frame, render};
use super::member::{self, Subject};
use super::members;
use super::nav::Place;
use super::prove;
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::acts::{self, By};
use crate::identity::access::{Needs, Pages};

/// The page of a merge.
pub fn pages() -> Pages {
    let merge = Needs::Permission(Permission::MembersMerge);
    Pages::default()
        .get("/console/members/{id}/merge", merge, page)
        .post("/console/members/{id}/merge/find", merge, find)
        .post("/console/members/{id}/merge", merge, do_merge)
}

/// The other account, as it was searched for.
#[derive(Deserialize, Default)]
struct Search {
    #[serde(default)]
    other: String,
}

/// One of the two accounts.
struct Side {
    title: String,
    id: String,
    name: String,
    facts: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "console/merge.html")]
struct MergePage {
    frame: Frame,
    id: String,
    name: String,
    address: String,
    other: String,
    /// Both, once the other is found: the one that ends, and the one that goes on.
    sides: Vec<Side>,
    into: String,
    /// Where to prove anew who one is, when it is needed.
    prove: Option<String>,
    key: String,
    reason: String,
    trouble: Option<String>,
}

fn side(frame: &Frame, state: &AppState, subject: &Subject, title: &str) -> Result<Side, PageError> {
    let profile = state.profile(&subject.row).or_page(frame)?.unwrap_or_default();
    let mut facts = member::facts(frame, &mask::profile(&profile));
    facts.push((frame.t("fact-enrolled"), frame.time(subject.row.enrolled_at)));
    facts.push((frame.t("fact-last-activity"), frame.time(subject.row.last_activity_at)));
    facts.extend(wallets(frame, state, subject));
    Ok(Side { title: frame.t(title), id: subject.id.to_string(), name: subject.name.clone(), facts })
}

/// The account that is to go on. The message says why it cannot be merged into.
async fn other(
    frame: &Frame,
    state: &AppState,
    from: &Subject,
    text: &str,
) -> Result<Result<Subject, String>, PageError> {
    let Some(id) = members::lookup(state, text.trim()).await.or_page(frame)? else {
        return Ok(Err(frame.say_text("search-nothing", "query", text.trim())));
    };
    let subject = member::find(state, frame, &id.to_string()).await?;
    Ok(if subject.id == from.id {
        Err(frame.t("merge-with-itself"))
    } else if subject.account.status != AccountStatus::Active || subject.row.stored.erased_at.is_some() {
        Err(frame.t("merge-not-active"))
    } else {
        Ok(subject)
    })
}

fn address(from: &Subject, other: &str) -> String {
    let place = format!("/console/members/{}/merge", from.id);
    if other.is_empty() {
        return place;
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("other", other).finish();
    format!("{place}?{query}")
}

async fn show(
    frame: Frame,
    state: &AppState,
    from: &Subject,
    typed: MergeForm,
    mut trouble: Option<String>,
) -> Result<Response, PageError> {
    let (mut sides, mut into) = (Vec::new(), String::new());
    if !typed.into.is_empty() {
        match other(&frame, state, from, &typed.into).await? {
            Ok(subject) => {
                sides = vec![side(&frame, state, from, "merge-ends")?, side(&frame, state, &subject, "merge-goes-on")?];
                into = subject.id.to_string();
            }
            Err(words) => trouble = Some(words),
        }
    }
    let fresh = prove::is_fresh(state, &frame.actor).await.or_page(&frame)?;
    Ok(render(&MergePage {
        id: from.id.to_string(),
        name: from.name.clone(),
        address: address(from, ""),
        prove: (!fresh && !sides.is_empty()).then(|| prove::address(&address(from, &into))),
        other: typed.into,
        sides,
        into,
        key: typed.key,
        reason: typed.reason,
        trouble,
        frame,
    }))
}

/// The account that ends, where it can still be merged.
async fn ending(frame: &Frame, state: &AppState, text: &str) -> Result<Subject, PageError> {
    let from = member::find(state, frame, text).await?;
    if from.account.status != AccountStatus::Active || from.row.stored.erased_at.is_some() {
        return Err(PageError::not_found(frame));
    }
    Ok(from)
}

async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Query(search): Query<Search>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Members);
    let from = ending(&frame, &state, &text).await?;
    let typed = MergeForm { into: search.other, key: prove::form_key(), ..MergeForm::default() };
    show(frame, &state, &from, typed, None).await
}

/// Finds the account that goes on. Posted, because what was typed may be an address or a number of a person.
async fn find(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(search): Form<Search>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Members);
    let from = ending(&frame, &state, &text).await?;
    match other(&frame, &state, &from, &search.other).await? {
        Ok(found) => Ok(Redirect::to(&address(&from, &found.id.to_string())).into_response()),
        Err(_) => {
            let typed = MergeForm { into: search.other, key: prove::form_key(), ..MergeForm::default() };
            Ok(unprocessable(show(frame, &state, &from, typed, None).await?))
        }
    }
}

#[derive(Deserialize, Default)]
struct MergeForm {
    into: String,
    key: String,
    reason: String,
    /// `yes`: both were looked at.
    #[serde(default)]
    sure: String,
}

async fn do_merge(
    frame: Frame,
    State(state): State<AppState>,
    Path(text): Path<String>,
    Form(form): Form<MergeForm>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Members);
    let from = ending(&frame, &state, &text).await?;
    if !prove::is_fresh(&state, &frame.actor).await.or_page(&frame)? {
        return Ok(prove::lead(&address(&from, &form.into)));
    }
    let into = match other(&frame, &state, &from, &form.into).await? {
        Ok(subject) => subject.id,
        Err(words) => return Ok(unprocessable(show(frame, &state, &from, form, Some(words)).await?)),
    };
    if form.sure != "yes" {
        let trouble = Some(frame.t("merge-not-sure"));
        return Ok(unprocessable(show(frame, &state, &from, form, trouble).await?));
    }
    let by = By { actor: &frame.actor, key: &form.key, channel: "console", reason: form.reason.trim() };
    match acts::merge(&state, &by, from.id, into).await {
        Ok(_) => Ok(Redirect::to(&format!("/console/members/{into}")).into_response()),
        Err(problem) => {
            let trouble = Some(frame.trouble(&problem)?);
            Ok(unprocessable(show(frame, &state, &from, form, trouble).await?))
        }
    }
}
