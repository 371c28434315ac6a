//! Drafts of new configuration: written, submitted, agreed to by another operator, published for their moment, withdrawn.
//! Each move is conditional on the one before, stands in the draft's own history and in the audit log.

mod dry_run;
mod judge;

use axum::http::StatusCode;
use guerdon_core::audit::AuditEvent;
use guerdon_core::limits;
use guerdon_core::program::{
    DRAFT, Document, DocumentChange, Draft, Stage, Standing, Text, newest, own_id, parse_document, typed,
};
use guerdon_core::time::Timestamp;
use guerdon_store::{Record, RecordChange, RecordQuery};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

pub use dry_run::{Against, Trial, dry_run};
pub use judge::{check_notice, judge};

use crate::AppState;
use crate::approvals::{self, Act, Permit};
use crate::identity::actor::Actor;
use crate::identity::hands;
use crate::identity::operators::new_id;
use crate::problem::Problem;

/// What somebody writes of a draft.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftInput {
    /// What it is about.
    pub title: String,
    /// The documents that it changes, each once.
    pub changes: Vec<ChangeInput>,
    /// From when on it is to hold, RFC 3339; left out: as soon as it may.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub effective_from: Option<Timestamp>,
    /// What members are told of it: a text, or one for each language.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    pub announcement: Option<Text>,
    /// Why a change for the worse is to hold before 30 days are over.
    #[serde(default)]
    pub override_reason: Option<String>,
}

/// A change of one document: its content as `document` or as `text`, or `retire`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeInput {
    /// `program`, `currency`, `rule`, `campaign`, `reward` or another kind that the program has.
    pub kind: String,
    /// The document's id; left out: the one that its content gives.
    #[serde(default)]
    pub id: Option<String>,
    /// Over which version it is made, 0: none; left out: over the newest.
    #[serde(default)]
    pub base: Option<i64>,
    /// The content.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub document: Option<Value>,
    /// The content as TOML or JSON text.
    #[serde(default)]
    pub text: Option<String>,
    /// The document is to be retired.
    #[serde(default)]
    pub retire: bool,
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_draft", detail)
}

impl ChangeInput {
    /// The change, over the newest version unless it says otherwise, or was made before (`known`) and is the same.
    fn change(self, documents: &[Document], known: &[DocumentChange]) -> Result<DocumentChange, Problem> {
        let named =
            |problem: String| invalid(format!("{} `{}`: {problem}", self.kind, self.id.as_deref().unwrap_or("?")));
        let content = match (&self.document, &self.text, self.retire) {
            (Some(document), None, false) => Some(typed(&self.kind, document).map_err(named)?),
            (None, Some(text), false) => Some(parse_document(&self.kind, text).map_err(named)?),
            (None, None, true) => None,
            _ => return Err(named("give one of `document`, `text` and `retire`".to_owned())),
        };
        let own = content.as_ref().map(|content| own_id(&self.kind, content).to_owned());
        let id = self.id.clone().or(own).ok_or_else(|| named("`id` is missing".to_owned()))?;
        let newest = newest(documents, &self.kind, &id).map_or(0, |newest| newest.version);
        let same = |known: &&DocumentChange| known.kind == self.kind && known.id == id && known.document == content;
        let base = self.base.or(known.iter().find(same).map(|known| known.base)).unwrap_or(newest);
        Ok(DocumentChange { kind: self.kind, id, base, document: content })
    }
}

/// Finds a draft.
pub async fn find(state: &AppState, id: &str) -> Result<(Record, Draft), Problem> {
    let unknown = || {
        let shown: String = id.chars().take(64).collect();
        Problem::not_found("unknown_draft", format!("there is no draft `{shown}`"))
    };
    let record = state.reader.record(DRAFT, id, state.clock()).await?.ok_or_else(unknown)?;
    let draft = record.read()?;
    Ok((record, draft))
}

/// All drafts, those that were changed last first.
pub async fn list(state: &AppState) -> Result<Vec<(Record, Draft)>, Problem> {
    let query = RecordQuery { kind: DRAFT.to_owned(), subject: None, after: None, limit: limits::DRAFTS as i64 };
    let mut found = Vec::new();
    for record in state.reader.records(&query, state.clock()).await? {
        let draft: Draft = record.read()?;
        found.push((record, draft));
    }
    found.sort_by_key(|(_, draft)| std::cmp::Reverse(draft.history.last().map(|last| last.at)));
    Ok(found)
}

/// Where a draft stands now.
pub fn standing(state: &AppState, draft: &Draft) -> Standing {
    draft.standing(state.program().documents(), state.engine.now())
}

/// Where a version of a document stands at `now`: `scheduled`, `effective`, `retired`, or `replaced` before it held.
pub fn state_of(one: &Document, documents: &[Document], now: Timestamp) -> &'static str {
    let later =
        documents.iter().filter(|other| other.kind == one.kind && other.id == one.id && other.version > one.version);
    let mut later = later.map(|other| other.effective_from);
    if later.clone().any(|from| from <= one.effective_from) {
        return "replaced";
    }
    if one.effective_from > now {
        return "scheduled";
    }
    if one.state == "active" && !later.any(|from| from <= now) { "effective" } else { "retired" }
}

/// Begins a draft. Returns its id.
pub async fn create(state: &AppState, actor: &Actor, input: DraftInput) -> Result<String, Problem> {
    if list(state).await?.len() >= limits::DRAFTS {
        return Err(invalid(format!(
            "there are {} drafts already; delete some that never came to anything",
            limits::DRAFTS
        )));
    }
    let mut draft = Draft {
        title: String::new(),
        author: actor.name(),
        people: Vec::new(),
        stage: Stage::Draft,
        submission: 0,
        changes: Vec::new(),
        effective_from: None,
        announcement: None,
        override_reason: None,
        approval: None,
        announced_at: None,
        brought: Vec::new(),
        history: Vec::new(),
    };
    fill(state, actor, &mut draft, input).await?;
    draft.moved("create", &actor.name(), state.clock(), "");
    let id = new_id("drf");
    let record = Record::new(DRAFT, &id, draft.stage.name(), &draft)?;
    let event = event(state, actor, "draft.create", &id, &draft);
    state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await?;
    Ok(id)
}

/// Writes a draft anew, over the version that was read. What was submitted is a draft again.
pub async fn edit(
    state: &AppState,
    actor: &Actor,
    id: &str,
    seen: Option<i64>,
    input: DraftInput,
) -> Result<i64, Problem> {
    let (record, mut draft) = find(state, id).await?;
    check_seen(&record, seen)?;
    match draft.stage {
        Stage::Draft | Stage::Submitted => {}
        stage => return Err(wrong_stage(stage, "edited")),
    }
    fill(state, actor, &mut draft, input).await?;
    draft.stage = Stage::Draft;
    draft.moved("edit", &actor.name(), state.clock(), "");
    let event = event(state, actor, "draft.edit", id, &draft);
    write(state, record, &draft, vec![event]).await
}

async fn fill(state: &AppState, actor: &Actor, draft: &mut Draft, input: DraftInput) -> Result<(), Problem> {
    let program = state.program();
    let changes = input.changes.into_iter().map(|change| change.change(program.documents(), &draft.changes));
    draft.changes = changes.collect::<Result<_, _>>()?;
    (draft.title, draft.effective_from) = (input.title, input.effective_from);
    (draft.announcement, draft.override_reason) = (input.announcement, input.override_reason);
    for person in hands::behind(state, actor).await? {
        if !draft.people.contains(&person) {
            draft.people.push(person);
        }
    }
    draft.validate().map_err(invalid)
}

/// Refuses a change over another version than the one that was read.
fn check_seen(record: &Record, seen: Option<i64>) -> Result<(), Problem> {
    if seen.is_none_or(|seen| seen == record.version) {
        return Ok(());
    }
    let detail = "somebody has changed this draft since it was read; read it again";
    Err(Problem::new(StatusCode::PRECONDITION_FAILED, "draft_changed", detail))
}

fn wrong_stage(stage: Stage, verb: &str) -> Problem {
    let detail = format!("this draft is {}; it cannot be {verb}", stage.name());
    Problem::new(StatusCode::CONFLICT, "wrong_stage", detail)
}

fn event(state: &AppState, actor: &Actor, action: &str, id: &str, draft: &Draft) -> AuditEvent {
    let mut event = actor.event(state.clock(), action, id);
    let changes = draft.changes.iter().map(|change| {
        let retired = if change.document.is_some() { "" } else { " retired" };
        format!("{} {} over {}{retired}", change.kind, change.id, change.base)
    });
    event.after = json!({ "title": draft.title, "changes": changes.collect::<Vec<_>>() });
    if let (Some(after), Some(reason)) = (event.after.as_object_mut(), &draft.override_reason) {
        after.insert("override_reason".to_owned(), json!(reason));
    }
    event
}

/// Writes a draft over the version that was read. Returns the version that it has since.
async fn write(state: &AppState, mut record: Record, draft: &Draft, events: Vec<AuditEvent>) -> Result<i64, Problem> {
    draft.stage.name().clone_into(&mut record.subject);
    let version = record.version + 1;
    state.engine.write_records(vec![RecordChange::Put(record.with(draft)?)], events).await?;
    Ok(version)
}

/// Deletes a draft that was never submitted.
pub async fn delete(state: &AppState, actor: &Actor, id: &str) -> Result<(), Problem> {
    let (record, draft) = find(state, id).await?;
    if draft.stage != Stage::Draft || draft.submission > 0 {
        return Err(wrong_stage(draft.stage, "deleted once it was submitted; withdraw it"));
    }
    let event = event(state, actor, "draft.delete", id, &draft);
    Ok(state.engine.write_records(vec![RecordChange::Delete(record)], vec![event]).await?)
}

/// What became of a submission.
pub enum Submitted {
    /// It waits for another operator.
    Waits,
    /// The policy asks for nobody else: it is published.
    Published,
}

/// Submits a draft to another operator. What does not fit, or comes too soon, is refused here.
pub async fn submit(state: &AppState, actor: &Actor, id: &str, reason: &str) -> Result<Submitted, Problem> {
    limits::check_text("reason", reason, limits::TEXT_CHARS).map_err(invalid)?;
    let (record, mut draft) = find(state, id).await?;
    if draft.stage != Stage::Draft {
        return Err(wrong_stage(draft.stage, "submitted"));
    }
    let judged = judge(state, &draft, None)?;
    judged.check()?;
    crate::pictures::check_named(state, &draft.changes).await?;
    let submission = draft.submission.saturating_add(1);
    let (draft_id, title) = (id.to_owned(), draft.title.clone());
    let act = Act::Draft { draft: draft_id, title, submission, overrides: judged.overrides };
    let key = format!("{id}/{submission}");
    let permit = approvals::ask_with(state, actor, act, reason, Some(&key), &draft.people).await?;
    (draft.stage, draft.submission) = (Stage::Submitted, submission);
    draft.moved("submit", &actor.name(), state.clock(), reason);
    let mut event = event(state, actor, "draft.submit", id, &draft);
    reason.clone_into(&mut event.reason);
    if let Permit::Waits(approval) = &permit {
        draft.approval = Some(approval.clone());
    }
    write(state, record, &draft, vec![event]).await?;
    match permit {
        Permit::Waits(_) => Ok(Submitted::Waits),
        Permit::Now => {
            agreed(state, actor, id, submission, "").await?;
            Ok(Submitted::Published)
        }
    }
}

/// Another operator has agreed to a submission: publishes it for its moment. May be repeated without harm.
pub async fn agreed(
    state: &AppState,
    decider: &Actor,
    id: &str,
    submission: u32,
    note: &str,
) -> Result<Value, Problem> {
    let (mut record, mut draft) = find(state, id).await?;
    check_submission(&draft, submission)?;
    if draft.stage == Stage::Submitted {
        let announced = state.engine.now();
        let judged = judge(state, &draft, Some(announced))?;
        judged.check()?;
        draft.stage = Stage::Approved;
        (draft.announced_at, draft.effective_from) = (Some(announced), Some(judged.from));
        draft.moved("approve", &decider.name(), state.clock(), note);
        let mut event = event(state, decider, "draft.approve", id, &draft);
        note.clone_into(&mut event.reason);
        if let Some(after) = event.after.as_object_mut() {
            after.insert("adverse".to_owned(), json!(judged.adverse_sentences()));
        }
        record.version = write(state, record.clone(), &draft, vec![event]).await?;
    }
    if draft.stage == Stage::Approved {
        let from = draft.effective_from.unwrap_or_else(|| state.engine.now());
        let event = event(state, decider, "draft.publish", id, &draft);
        draft.brought = state.engine.publish_changes(draft.changes.clone(), from, event).await?;
        draft.stage = Stage::Published;
        draft.moved("publish", &decider.name(), state.clock(), "");
        write(state, record, &draft, Vec::new()).await?;
    }
    let brought = draft.brought.iter().map(|one| format!("{} {} {}", one.kind, one.id, one.version));
    Ok(json!({ "draft": id, "effective_from": draft.effective_from, "brought": brought.collect::<Vec<_>>() }))
}

/// Another operator has rejected a submission: it is a draft again.
pub async fn rejected(state: &AppState, decider: &Actor, id: &str, submission: u32, note: &str) -> Result<(), Problem> {
    let (record, mut draft) = find(state, id).await?;
    if draft.submission != submission || draft.stage != Stage::Submitted {
        return Ok(());
    }
    draft.stage = Stage::Draft;
    draft.moved("reject", &decider.name(), state.clock(), note);
    let mut event = event(state, decider, "draft.reject", id, &draft);
    note.clone_into(&mut event.reason);
    write(state, record, &draft, vec![event]).await.map(drop)
}

fn check_submission(draft: &Draft, submission: u32) -> Result<(), Problem> {
    let is_it = matches!(draft.stage, Stage::Submitted | Stage::Approved | Stage::Published);
    if is_it && draft.submission == submission {
        return Ok(());
    }
    let detail = "the draft was written at, withdrawn or submitted anew since this was asked for";
    Err(Problem::new(StatusCode::CONFLICT, "draft_changed", detail))
}

/// Decides a submission by the id of its draft.
pub async fn decide(state: &AppState, actor: &Actor, id: &str, approve: bool, note: &str) -> Result<(), Problem> {
    let (_, draft) = find(state, id).await?;
    let approval = match (draft.stage, &draft.approval) {
        (Stage::Submitted, Some(approval)) => approval.clone(),
        (stage, _) => return Err(wrong_stage(stage, "decided")),
    };
    let approval = approvals::decide(state, actor, &approval, approve, note).await?;
    match approval.stage {
        approvals::Stage::Failed => {
            let said = |name: &str| approval.outcome.get(name).and_then(Value::as_str).unwrap_or_default();
            Err(Problem::new(StatusCode::CONFLICT, said("code"), said("detail")))
        }
        _ => Ok(()),
    }
}

/// Gives a draft up. What is scheduled is taken back before it holds.
pub async fn withdraw(state: &AppState, actor: &Actor, id: &str, reason: &str) -> Result<(), Problem> {
    limits::check_text("reason", reason, limits::TEXT_CHARS).map_err(invalid)?;
    let (record, mut draft) = find(state, id).await?;
    let mut event = event(state, actor, "draft.withdraw", id, &draft);
    reason.clone_into(&mut event.reason);
    let events = match draft.stage {
        Stage::Draft | Stage::Submitted => vec![event],
        // Agreed to, but it could not be published.
        Stage::Approved if !is_begun(state, &draft) => vec![event],
        Stage::Published if standing(state, &draft) == Standing::Scheduled => {
            state.engine.withdraw_versions(draft.brought.clone(), event).await?;
            Vec::new()
        }
        Stage::Published => {
            return Err(wrong_stage(draft.stage, "withdrawn once it is effective; change it by a new one"));
        }
        stage => return Err(wrong_stage(stage, "withdrawn")),
    };
    draft.stage = Stage::Withdrawn;
    draft.moved("withdraw", &actor.name(), state.clock(), reason);
    write(state, record, &draft, events).await.map(drop)
}

/// Whether something of a draft may be published already.
fn is_begun(state: &AppState, draft: &Draft) -> bool {
    let program = state.program();
    let version =
        |change: &DocumentChange| newest(program.documents(), &change.kind, &change.id).map_or(0, |one| one.version);
    draft.changes.iter().any(|change| version(change) == change.base.saturating_add(1))
}

/// Begins a draft that retires one document. Returns its id.
pub async fn retire(state: &AppState, actor: &Actor, kind: &str, id: &str, title: &str) -> Result<String, Problem> {
    let change = ChangeInput { kind: kind.to_owned(), id: Some(id.to_owned()), retire: true, ..ChangeInput::default() };
    let program = state.program();
    if newest(program.documents(), kind, id).is_none_or(|newest| newest.state != "active") {
        let shown: String = id.chars().take(64).collect();
        return Err(Problem::not_found("unknown_document", format!("there is no active {kind} `{shown}`")));
    }
    create(state, actor, DraftInput { title: title.to_owned(), changes: vec![change], ..DraftInput::default() }).await
}
