//! Backtests through the server: a draft over everything that was recorded, beside the rules in force. Each is a record, so
//! that any node answers for it. A worker on one node runs them one after the other, and begins anew what was cut off.

mod worker;

use axum::http::StatusCode;
use guerdon_backtest::{Backtest, Programs};
use guerdon_core::audit::AuditEvent;
use guerdon_core::program::{DocumentChange, Draft};
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange, RecordQuery};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

pub use worker::backtest_worker;

use crate::AppState;
use crate::drafts;
use crate::identity::actor::Actor;
use crate::identity::operators::new_id;
use crate::problem::Problem;

/// The kind of their records; the id is `bkt_…`, the subject the draft.
const BACKTEST: &str = "backtest";
/// The kind of the records that say whose turn is to come, under the same id: there is one until the backtest has ended.
const TURN: &str = "backtest_turn";
/// How long a backtest is kept, in milliseconds.
const KEEP_MS: i64 = 30 * 86_400_000;
/// Backtests of one draft that are kept, the latest.
const KEPT: usize = 5;
/// Backtests that may wait or run at once, of all drafts.
const TURNS: usize = 8;
/// After how many seconds to try again where they do.
const BUSY_SECONDS: u64 = 30;
/// Writes that another one may come before.
const CONFLICTS: usize = 5;

/// How far a backtest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Waits for the worker.
    Queued,
    /// Is being run.
    Running,
    /// There is a result.
    Done,
    /// It could not be run to its end.
    Failed,
    /// Somebody has cancelled it.
    Cancelled,
}

impl Stage {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it has not ended.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }
}

/// Over which time a backtest is to count.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[schema(as = BacktestWindow)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// From when on the draft holds and figures are counted: a day of the program's calendar (`2026-01-31`) or an RFC 3339
    /// time. Before, the rules in force hold on both sides. Left out: from the beginning.
    #[serde(default)]
    pub from: Option<String>,
    /// Up to when, not included. Left out: up to now.
    #[serde(default)]
    pub to: Option<String>,
}

/// A backtest on its way, and what it came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// The draft, `drf_…`.
    pub draft: String,
    /// The version of its record when the backtest was asked for.
    pub draft_version: i64,
    /// What it changed then.
    pub changes: Vec<DocumentChange>,
    /// From when on the draft holds; none: from the beginning.
    pub from: Option<Timestamp>,
    /// Up to when; none: up to when it is run.
    pub until: Option<Timestamp>,
    /// How far it is.
    pub stage: Stage,
    /// Who asked for it.
    pub requested_by: String,
    /// When.
    pub requested_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Activities that both sides have decided.
    pub done: u64,
    /// Activities that were recorded when it began.
    pub total: u64,
    /// Runs that came to no end.
    tries: u32,
    /// Why it failed.
    pub trouble: Option<String>,
    /// What it came to.
    pub result: Option<Box<Backtest>>,
}

impl Run {
    /// Whether it tried what a draft says now.
    pub fn is_of(&self, draft: &Draft) -> bool {
        self.changes == draft.changes
    }
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_backtest", detail)
}

/// Finds a backtest.
pub async fn find(state: &AppState, id: &str) -> Result<(Record, Run), Problem> {
    find_any(state, id).await?.ok_or_else(|| {
        let shown: String = id.chars().take(64).collect();
        Problem::not_found("unknown_backtest", format!("there is no backtest `{shown}`, or its time is over"))
    })
}

async fn find_any(state: &AppState, id: &str) -> Result<Option<(Record, Run)>, Problem> {
    let Some(record) = state.reader.record(BACKTEST, id, state.clock()).await? else { return Ok(None) };
    let run = record.read()?;
    Ok(Some((record, run)))
}

/// The backtests of a draft, the latest first.
pub async fn list(state: &AppState, draft: &str) -> Result<Vec<(Record, Run)>, Problem> {
    let limit = (KEPT + TURNS) as i64;
    let query = RecordQuery { kind: BACKTEST.to_owned(), subject: Some(draft.to_owned()), after: None, limit };
    let mut found = Vec::new();
    for record in state.reader.records(&query, state.clock()).await? {
        let run: Run = record.read()?;
        found.push((record, run));
    }
    found.sort_by_key(|(_, run)| std::cmp::Reverse(run.requested_at));
    Ok(found)
}

/// Those that have not ended, in no order.
async fn turns(state: &AppState) -> Result<Vec<Record>, Problem> {
    let query = RecordQuery { kind: TURN.to_owned(), subject: None, after: None, limit: TURNS as i64 };
    Ok(state.reader.records(&query, state.clock()).await?)
}

/// Lets a backtest of a draft begin when its turn comes. Returns its id; the same, where it is on its way already.
pub async fn start(state: &AppState, actor: &Actor, draft_id: &str, window: &Window) -> Result<String, Problem> {
    let (draft_record, draft) = drafts::find(state, draft_id).await?;
    let now = state.engine.now();
    let programs = Programs::with_changes(state.program().documents(), &draft.changes, now)
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_draft", format!("{error:#}")))?;
    let moment = |name, text: &Option<String>| {
        let moment = text.as_deref().map(|text| programs.moment(text)).transpose();
        moment.map_err(|problem| invalid(format!("`{name}` is {problem}")))
    };
    let (from, until) = (moment("from", &window.from)?, moment("to", &window.to)?);
    if until.unwrap_or(now) <= from.unwrap_or(Timestamp::ZERO) {
        return Err(invalid("`to` must be later than `from`"));
    }
    let known = list(state, draft_id).await?;
    let is_same = |run: &Run| run.stage.is_open() && run.is_of(&draft) && (run.from, run.until) == (from, until);
    if let Some((record, _)) = known.iter().find(|(_, run)| is_same(run)) {
        return Ok(record.id.clone());
    }
    if turns(state).await?.len() >= TURNS {
        let detail = format!("{TURNS} backtests wait or run already; try again when one has ended, or cancel one");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_backtests", detail).after(BUSY_SECONDS));
    }
    let run = Run {
        draft: draft_id.to_owned(),
        draft_version: draft_record.version,
        changes: draft.changes,
        from,
        until,
        stage: Stage::Queued,
        requested_by: actor.name(),
        requested_at: state.clock(),
        ended_at: None,
        done: 0,
        total: 0,
        tries: 0,
        trouble: None,
        result: None,
    };
    let (id, keep_until) = (new_id("bkt"), state.clock().plus_millis(KEEP_MS));
    let record = Record::new(BACKTEST, &id, draft_id, &run)?.until(keep_until);
    let turn = Record::new(TURN, &id, "", &run.requested_at)?.until(keep_until);
    let ended = known.into_iter().filter(|(_, run)| !run.stage.is_open()).skip(KEPT - 1);
    let mut changes: Vec<RecordChange> = ended.map(|(record, _)| RecordChange::Delete(record)).collect();
    changes.extend([RecordChange::Put(record), RecordChange::Put(turn)]);
    let event = event(state, actor, "backtest.start", &id, &run);
    state.engine.write_records(changes, vec![event]).await?;
    Ok(id)
}

/// Cancels a backtest that has not ended.
pub async fn cancel(state: &AppState, actor: &Actor, id: &str) -> Result<(), Problem> {
    let mut tries = 0;
    loop {
        let (record, run) = find(state, id).await?;
        if !run.stage.is_open() {
            let detail = format!("this backtest is {}; it cannot be cancelled", run.stage.name());
            return Err(Problem::new(StatusCode::CONFLICT, "wrong_stage", detail));
        }
        let events = vec![event(state, actor, "backtest.cancel", id, &run)];
        tries += 1;
        match end(state, record, Run { stage: Stage::Cancelled, ..run }, events).await {
            // The worker has written progress down meanwhile.
            Err(CommandError::Conflict) if tries < CONFLICTS => {}
            done => return Ok(done?),
        }
    }
}

/// Writes down how a backtest ended, and takes its turn away.
async fn end(state: &AppState, record: Record, run: Run, events: Vec<AuditEvent>) -> Result<(), CommandError> {
    let turn = state.reader.record(TURN, &record.id, state.clock()).await.map_err(unavailable)?;
    let run = Run { ended_at: Some(state.clock()), ..run };
    let mut changes: Vec<RecordChange> = turn.map(RecordChange::Delete).into_iter().collect();
    changes.push(RecordChange::Put(record.with(&run).map_err(unavailable)?));
    state.engine.write_records(changes, events).await
}

fn unavailable(error: guerdon_store::StoreError) -> CommandError {
    CommandError::Unavailable(error.to_string())
}

fn event(state: &AppState, actor: &Actor, action: &str, id: &str, run: &Run) -> AuditEvent {
    let mut event = actor.event(state.clock(), action, id);
    event.after = json!({ "draft": run.draft, "from": run.from, "to": run.until });
    event
}
