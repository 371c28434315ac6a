//! How long what is kept, and what the job that sees to it has done last.

use askama::Template;
use axum::extract::{Form, State};
use axum::response::{IntoResponse, Redirect, Response};
use guerdon_core::identity::Permission;
use guerdon_store::AuditQuery;
use serde::Deserialize;

use super::changes::{self, Change};
use super::frame::{Frame, render};
use super::nav::Place;
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::identity::access::{Needs, Pages};
use crate::identity::actor::Actor;
use crate::privacy::retention::{self, RetentionPolicy};

const HERE: &str = "/console/retention";

/// The page of retention.
pub fn pages() -> Pages {
    Pages::default().get(HERE, Needs::Permission(Permission::PrivacyRead), page).post(
        HERE,
        Needs::Permission(Permission::PrivacyWrite),
        change,
    )
}

/// What was typed: whole days; empty keeps for ever.
#[derive(Deserialize, Default)]
struct PeriodForm {
    inactive: String,
    closed: String,
}

impl PeriodForm {
    fn of(policy: &RetentionPolicy) -> Self {
        let text = |days: Option<i64>| days.map(|days| days.to_string()).unwrap_or_default();
        Self { inactive: text(policy.inactive_member_days), closed: text(policy.closed_member_days) }
    }

    /// `None`: something is no number.
    fn policy(&self) -> Option<RetentionPolicy> {
        let days = |text: &str| match text.trim() {
            "" => Some(None),
            text => text.parse::<i64>().ok().map(Some),
        };
        let (inactive_member_days, closed_member_days) = (days(&self.inactive)?, days(&self.closed)?);
        Some(RetentionPolicy { inactive_member_days, closed_member_days })
    }
}

/// A policy as it was from some moment on.
struct Version {
    told: String,
    inactive: String,
    closed: String,
}

#[derive(Template)]
#[template(path = "console/retention.html")]
struct RetentionPage {
    frame: Frame,
    typed: PeriodForm,
    may_change: bool,
    /// Labels and values: what the job has done last.
    job: Vec<(String, String)>,
    /// What has a fixed time: what, and for how long.
    fixed: Vec<(String, String)>,
    versions: Vec<Version>,
    trouble: Option<String>,
}

async fn page(frame: Frame, State(state): State<AppState>) -> Result<Response, PageError> {
    show(frame, &state, None, None).await
}

async fn show(
    frame: Frame,
    state: &AppState,
    typed: Option<PeriodForm>,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::Retention);
    let policy = retention::policy(state).await.or_page(&frame)?;
    let versions = changes::of(state, &frame, "retention.put", retention::POLICY).await?;
    let fixed = ["audit", "ledger", "sessions", "approvals", "exports", "erasures"];
    let fixed = fixed.map(|kind| (frame.t(&format!("kept-{kind}")), frame.t(&format!("kept-{kind}-for"))));
    Ok(render(&RetentionPage {
        typed: typed.unwrap_or_else(|| PeriodForm::of(&policy)),
        may_change: frame.actor.may(Permission::PrivacyWrite),
        job: job(&frame, state).await?,
        fixed: fixed.into(),
        versions: versions.into_iter().filter_map(|change| version(&frame, change)).collect(),
        trouble,
        frame,
    }))
}

fn version(frame: &Frame, change: Change) -> Option<Version> {
    let policy: RetentionPolicy = serde_json::from_value(change.event.after).ok()?;
    let days = |days: Option<i64>| match days.map(usize::try_from) {
        Some(Ok(days)) => frame.say_count("days", &days),
        _ => frame.t("retention-for-ever"),
    };
    let (inactive, closed) = (days(policy.inactive_member_days), days(policy.closed_member_days));
    Some(Version { told: change.told, inactive, closed })
}

/// When the job has last put a member down for erasure, and last erased one.
async fn job(frame: &Frame, state: &AppState) -> Result<Vec<(String, String)>, PageError> {
    let mut lines = Vec::new();
    for (action, key) in [("erasure.request", "retention-last-put-down"), ("erasure.done", "retention-last-erased")] {
        let (actor, action) = (Some(Actor::system().name()), Some(action.to_owned()));
        let query = AuditQuery { actor, action, limit: 1, ..AuditQuery::default() };
        let found = state.reader.audit_events(&query).await.or_page(frame)?;
        let at = found.first().and_then(|entry| entry.event().ok()).map(|event| frame.clock_time(event.at));
        lines.push((frame.t(key), at.unwrap_or_else(|| frame.t("never-happened"))));
    }
    Ok(lines)
}

async fn change(
    frame: Frame,
    State(state): State<AppState>,
    Form(form): Form<PeriodForm>,
) -> Result<Response, PageError> {
    let trouble = match form.policy() {
        None => frame.t("retention-no-number"),
        Some(policy) => match retention::put_policy(&state, &frame.actor, &policy).await {
            Ok(()) => return Ok(Redirect::to(HERE).into_response()),
            Err(problem) if problem.code == "invalid_request" => frame.t("retention-out-of-bounds"),
            Err(problem) => frame.trouble(&problem)?,
        },
    };
    Ok(unprocessable(show(frame, &state, Some(form), Some(trouble)).await?))
}
