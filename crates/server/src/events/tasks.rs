//! Tasks that rules ask for, such as to call a member: open, taken by an operator, done.

use axum::http::StatusCode;
use guerdon_core::id::MemberId;
use guerdon_core::limits;
use guerdon_core::program::Text;
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange, RecordQuery, StoredEvent};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::AppState;
use crate::identity::actor::Actor;
use crate::language::Language;
use crate::privacy::invalid;
use crate::problem::Problem;

/// The kind of the records. The id is that of the event, the subject whether it waits.
const TASK: &str = "task";
/// The subjects of tasks that wait, and of those that are done.
const WAITS: &str = "waits";
const DONE: &str = "done";
/// How long a task that is done is kept, in milliseconds (a year).
const KEPT_MS: i64 = 365 * 86_400_000;

/// Something that somebody is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// About whom.
    pub member_id: MemberId,
    /// The id of the rule that asks for it, or `call`.
    pub subject: String,
    /// What is to be done, by language.
    pub text: Text,
    /// When what led to it happened.
    pub raised_at: Timestamp,
    /// Who has taken it.
    #[serde(default)]
    pub taken_by: Option<String>,
    /// When it was taken.
    #[serde(default)]
    pub taken_at: Option<Timestamp>,
    /// Who has done it.
    #[serde(default)]
    pub done_by: Option<String>,
    /// When it was done.
    #[serde(default)]
    pub done_at: Option<Timestamp>,
    /// What came of it.
    #[serde(default)]
    pub note: Option<String>,
}

/// What an operator does with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Takes it: others see that somebody is at it.
    Take,
    /// Gives it back.
    GiveBack,
    /// Has done it.
    Done,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::GiveBack => "give_back",
            Self::Done => "done",
        }
    }
}

impl Task {
    /// `open`, `taken` or `done`.
    pub fn state(&self) -> &'static str {
        match (&self.done_at, &self.taken_by) {
            (Some(_), _) => "done",
            (None, Some(_)) => "taken",
            (None, None) => "open",
        }
    }
}

/// The record of a task that an event asks for.
pub(super) fn of(stored: &StoredEvent, subject: &str, text: &Text) -> Result<Record, Problem> {
    let task = Task {
        member_id: stored.member_id,
        subject: subject.to_owned(),
        text: text.clone(),
        raised_at: stored.at,
        taken_by: None,
        taken_at: None,
        done_by: None,
        done_at: None,
        note: None,
    };
    Ok(Record::new(TASK, &stored.id(), WAITS, &task)?)
}

/// What the staff is told of points that a terminal has spent without network beyond what it might.
pub(super) fn offline_text(terminal: &str, [points, beyond, owed, lost]: [i64; 4]) -> Text {
    let said = |language: Language| {
        let arguments = [
            ("terminal", terminal.into()),
            ("points", points.into()),
            ("beyond", beyond.into()),
            ("owed", owed.into()),
            ("lost", lost.into()),
        ];
        let tag = language.tag().split('-').next().unwrap_or_default().to_owned();
        (tag, language.say_with("task-offline-beyond", arguments))
    };
    Text::Many([Language::English, Language::Chinese].map(said).into())
}

/// Tasks that wait or are done, oldest first, behind an id.
pub async fn list(
    state: &AppState,
    done: bool,
    after: Option<String>,
    limit: i64,
) -> Result<Vec<(String, Task)>, Problem> {
    let subject = Some(if done { DONE } else { WAITS }.to_owned());
    let query = RecordQuery { kind: TASK.to_owned(), subject, after, limit };
    let records = state.reader.records(&query, state.clock()).await?;
    records.into_iter().map(|record| Ok((record.id.clone(), record.read()?))).collect()
}

async fn find(state: &AppState, id: &str) -> Result<(Record, Task), Problem> {
    let none = || Problem::not_found("unknown_task", "there is no such task");
    if id.len() > limits::KEY_CHARS {
        return Err(none());
    }
    let record = state.reader.record(TASK, id, state.clock()).await?.ok_or_else(none)?;
    let task = record.read()?;
    Ok((record, task))
}

/// Takes a task, gives it back, or says that it is done. Of two who take it at once one hears that it is taken.
pub async fn step(
    state: &AppState,
    actor: &Actor,
    id: &str,
    step: Step,
    note: Option<String>,
) -> Result<Task, Problem> {
    let (mut record, mut task) = find(state, id).await?;
    if let Some(note) = &note {
        limits::check_text("note", &note.replace(['\n', '\r'], " "), limits::TEXT_CHARS).map_err(invalid)?;
    }
    let (who, now) = (actor.name(), state.clock());
    let taken = |detail: &str| Problem::new(StatusCode::CONFLICT, "task_taken", detail);
    match step {
        _ if task.done_at.is_some() => return Err(taken("the task is done already")),
        Step::Take if task.taken_by.as_ref().is_some_and(|other| *other != who) => {
            return Err(taken("somebody else has taken the task"));
        }
        Step::Take => (task.taken_by, task.taken_at) = (Some(who.clone()), Some(now)),
        Step::GiveBack => (task.taken_by, task.taken_at) = (None, None),
        Step::Done => {
            (task.done_by, task.done_at, task.note) = (Some(who.clone()), Some(now), note);
            DONE.clone_into(&mut record.subject);
            record.expires_at = Some(now.plus_millis(KEPT_MS));
        }
    }
    let mut event = actor.event(now, &format!("task.{}", step.name()), &task.member_id.to_string());
    event.after = json!({ "task": id, "about": task.subject });
    match state.engine.write_records(vec![RecordChange::Put(record.with(&task)?)], vec![event]).await {
        Err(CommandError::Conflict) => Err(taken("somebody else was faster; look at the task again")),
        written => {
            written?;
            Ok(task)
        }
    }
}
