//! The dry run: what one activity would earn, by what holds and by a draft side by side, with every reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::response::Response;
use guerdon_core::earning::{Activity, ActivityLine, round_half_away};
use guerdon_core::id::MemberId;
use guerdon_core::identity::Permission;
use guerdon_core::members::RefKind;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::configuration::draft_line;
use super::explain::{Explanation, explain_receipt};
use super::frame::{Frame, render};
use super::nav::Place;
use super::trouble::{OrPage, PageError, unprocessable};
use crate::AppState;
use crate::drafts::{self, Against, Trial};
use crate::identity::access::{Needs, Pages};
use crate::problem::Problem;

/// The page of the dry run.
pub fn pages() -> Pages {
    let read = Needs::Permission(Permission::ProgramRead);
    Pages::default().get("/console/dry-run", read, page).post("/console/dry-run", read, attempt)
}

/// What was typed.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct TrialForm {
    draft: String,
    kind: String,
    amount: String,
    /// A line each: a category, and its money.
    lines: String,
    /// A JSON object.
    body: String,
    store: String,
    channel: String,
    at: String,
    member: String,
}

impl Default for TrialForm {
    fn default() -> Self {
        let [draft, lines, body, store, channel, at, member] = [const { String::new() }; 7];
        Self { draft, kind: "purchase".to_owned(), amount: "100".to_owned(), lines, body, store, channel, at, member }
    }
}

/// What came of it under one program.
struct Told {
    title: String,
    explanation: Option<Explanation>,
    /// Why it would be refused.
    refused: Option<String>,
}

#[derive(Template)]
#[template(path = "console/dry_run.html")]
struct DryRunPage {
    frame: Frame,
    form: TrialForm,
    drafts: Vec<(String, String)>,
    kinds: Vec<String>,
    may_see_members: bool,
    told: Vec<Told>,
    trouble: Option<String>,
}

async fn page(
    frame: Frame,
    State(state): State<AppState>,
    Query(form): Query<TrialForm>,
) -> Result<Response, PageError> {
    show(frame, &state, form, Vec::new(), None).await
}

async fn show(
    frame: Frame,
    state: &AppState,
    form: TrialForm,
    told: Vec<Told>,
    trouble: Option<String>,
) -> Result<Response, PageError> {
    let frame = frame.at(Place::DryRun);
    let all = drafts::list(state).await.or_page(&frame)?;
    let open = all.iter().map(|(record, draft)| draft_line(&frame, state, &record.id, draft));
    let open =
        open.filter(|line| !matches!(line.state, "effective" | "retired" | "withdrawn") || line.id == form.draft);
    let drafts = open.map(|line| (line.id, format!("{} ({})", line.title, line.state_words))).collect();
    let mut kinds: Vec<String> =
        frame.program.rules.iter().flat_map(|rule| rule.rule.trigger.kinds()).cloned().collect();
    kinds.extend(frame.program.activity_kinds().map(|kind| kind.kind.id.clone()));
    kinds.sort();
    kinds.dedup();
    let may_see_members = frame.may_see_members();
    Ok(render(&DryRunPage { form, drafts, kinds, may_see_members, told, trouble, frame }))
}

async fn attempt(
    frame: Frame,
    State(state): State<AppState>,
    Form(form): Form<TrialForm>,
) -> Result<Response, PageError> {
    match told(&frame, &state, &form).await {
        Ok(told) => show(frame, &state, form, told, None).await,
        Err(problem) if problem.status >= 500 => Err(PageError::of(&frame, &problem)),
        Err(problem) => {
            let trouble = Some(problem.detail.clone());
            Ok(unprocessable(show(frame, &state, form, Vec::new(), trouble).await?))
        }
    }
}

async fn told(frame: &Frame, state: &AppState, form: &TrialForm) -> Result<Vec<Told>, Problem> {
    let activity = activity(frame, form).map_err(|problem| Problem::bad_request("invalid_request", problem))?;
    let member = member(frame, state, form.member.trim()).await?;
    let mut all = vec![(frame.t("dry-run-live"), Against::Live)];
    if !form.draft.is_empty() {
        let (_, draft) = drafts::find(state, &form.draft).await?;
        all.push((draft.title, Against::Draft(form.draft.clone())));
    }
    let mut told = Vec::new();
    for (title, against) in all {
        let trial = Trial { against, member, activity: activity.clone() };
        told.push(match drafts::dry_run(state, &frame.actor, trial).await {
            Ok((receipt, program)) => {
                let under = Frame::new(Arc::new(program), frame.language, frame.actor.clone());
                Told { title, explanation: Some(explain_receipt(&under, &receipt)), refused: None }
            }
            Err(problem) if problem.status >= 500 => return Err(problem),
            Err(problem) => Told { title, explanation: None, refused: Some(problem.detail) },
        });
    }
    Ok(told)
}

/// Who it is for; nobody where none is named.
async fn member(frame: &Frame, state: &AppState, text: &str) -> Result<Option<MemberId>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    frame.actor.require_at(Permission::MembersRead, None)?;
    if let Ok(id) = text.parse() {
        return Ok(Some(id));
    }
    let found = state.reader.member_by_reference(&state.keys().reference(RefKind::ExternalId, text)).await?;
    found
        .map(Some)
        .ok_or_else(|| Problem::bad_request("unknown_member", frame.say_text("dry-run-nobody", "member", text)))
}

fn activity(frame: &Frame, form: &TrialForm) -> Result<Activity, String> {
    let wanted = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let money = |text: &str| text.trim().parse::<Decimal>().map_err(|_| frame.say_text("dry-run-money", "text", text));
    let line = |row: &str| {
        let (category, price) = row.rsplit_once(char::is_whitespace).unwrap_or(("", row));
        let (category, unit_price) = (wanted(category), money(price)?);
        Ok(ActivityLine { sku: None, description: None, category, quantity: Decimal::ONE, unit_price })
    };
    let rows = form.lines.lines().map(str::trim).filter(|row| !row.is_empty());
    let lines: Vec<ActivityLine> = rows.map(line).collect::<Result<_, String>>()?;
    let amount = match wanted(&form.amount).filter(|_| lines.is_empty()) {
        None => None,
        Some(amount) => {
            let minor = money(&amount)?.checked_mul(Decimal::from(frame.program.minor_per_major()));
            let minor = minor.and_then(round_half_away);
            Some(minor.ok_or_else(|| frame.say_text("dry-run-money", "text", &amount))?)
        }
    };
    let body = wanted(&form.body).map(|body| {
        let read = serde_json::from_str(&body);
        read.map_err(|error| frame.say_text("dry-run-no-body", "problem", &error.to_string()))
    });
    let at = wanted(&form.at).map(|at| frame.program.calendar.parse_local(&at));
    Ok(Activity {
        kind: form.kind.trim().to_owned(),
        occurred_at: at.transpose()?,
        currency: None,
        amount,
        lines,
        store: wanted(&form.store),
        channel: wanted(&form.channel),
        purchase: None,
        referrer: None,
        attributes: BTreeMap::new(),
        body: body.transpose()?,
    })
}
