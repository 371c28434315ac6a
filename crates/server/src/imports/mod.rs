//! Bulk imports through the server: a file is uploaded with its mapping, read at once so that what cannot be read is refused
//! at once, kept sealed, and waits for another operator. A worker then sends it through the kernel, under the idempotency
//! keys of its rows, so that a run that was cut off is repeated without harm on whichever node comes next.

mod file;
pub mod upload;
mod worker;

use std::collections::BTreeMap;

use axum::http::StatusCode;
use guerdon_core::time::Timestamp;
use guerdon_import::RowProblem;
use guerdon_store::{Record, RecordChange, RecordQuery};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use upload::{FORM_BYTES, upload};
pub use worker::import_worker;

use crate::AppState;
use crate::identity::token::random_bytes;
use crate::problem::Problem;

/// The kind of their records; the id is `imp_…`, the subject the stage.
const IMPORT: &str = "import";
/// How long an import is kept, in milliseconds: as long as a request for another operator waits.
const KEEP_MS: i64 = 30 * 86_400_000;
/// Imports that are shown, the latest.
pub const SHOWN: usize = 200;
/// Imports read at once.
const PAGE: i64 = 200;
/// Refused rows that are kept with their words; more are counted only.
const PROBLEMS: usize = 1_000;

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Waits for another operator.
    Waiting,
    /// Waits for the worker.
    Queued,
    /// Is being sent.
    Running,
    /// Every row was accepted or refused.
    Done,
    /// It could not be sent to its end.
    Failed,
    /// Another operator has rejected it.
    Rejected,
}

impl Stage {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
        }
    }
}

/// A file on its way through the kernel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Import {
    /// The file's name as its sender gave it; tells the format.
    pub file_name: String,
    /// The mapping, TOML.
    pub mapping: String,
    /// Why.
    pub reason: String,
    /// How far it is.
    pub stage: Stage,
    /// Who uploaded it.
    pub requested_by: String,
    /// When.
    pub requested_at: Timestamp,
    /// Rows of the file.
    pub rows: u64,
    /// Members, or purchases and returns, that the rows make.
    pub count: u64,
    /// What waits for another operator, `apr_…`.
    pub approval: Option<String>,
    /// Commands that were sent.
    pub done: u64,
    /// What became of them, by kind and code.
    pub counts: Counts,
    /// Parts in which the file is kept; 0 once it is deleted.
    parts: usize,
    /// Runs that came to no end.
    tries: u32,
    /// Refused rows, sealed: their words may quote the file.
    problems: String,
    /// Why it failed.
    pub trouble: Option<String>,
}

/// What became of the rows, counted by what they are about.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Newly accepted.
    pub accepted: BTreeMap<String, u64>,
    /// Found there already.
    pub already_there: BTreeMap<String, u64>,
    /// Refused, by code.
    pub refused: BTreeMap<String, u64>,
    /// Refused rows.
    pub refused_rows: u64,
}

/// One by its id.
pub async fn find(state: &AppState, id: &str) -> Result<(Record, Import), Problem> {
    find_any(state, id).await?.ok_or_else(|| {
        let shown: String = id.chars().take(64).collect();
        Problem::not_found("unknown_import", format!("there is no import `{shown}`, or its time is over"))
    })
}

async fn find_any(state: &AppState, id: &str) -> Result<Option<(Record, Import)>, Problem> {
    let Some(record) = state.reader.record(IMPORT, id, state.clock()).await? else { return Ok(None) };
    let import = record.read()?;
    Ok(Some((record, import)))
}

/// All of a stage, or of every stage; newest first. Their ids are in no order of time, so all are looked at.
pub async fn list(state: &AppState, stage: Option<Stage>) -> Result<Vec<(Record, Import)>, Problem> {
    let subject = stage.map(|stage| stage.name().to_owned());
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let query = RecordQuery { kind: IMPORT.to_owned(), subject: subject.clone(), after, limit: PAGE };
        let records = state.reader.records(&query, state.clock()).await?;
        after = records.last().map(|record| record.id.clone()).filter(|_| records.len() as i64 == PAGE);
        for record in records {
            let import: Import = record.read()?;
            found.push((record, import));
        }
        found.sort_by_key(|(_, import)| std::cmp::Reverse(import.requested_at));
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// Lets an import be sent, now that another operator has agreed or nobody needs to. Doing it twice does it once.
pub async fn release(state: &AppState, id: &str) -> Result<Value, Problem> {
    let (record, mut import) = find(state, id).await?;
    match import.stage {
        Stage::Waiting => {
            import.stage = Stage::Queued;
            put(state, record, &import, Vec::new()).await?;
        }
        Stage::Rejected => {
            return Err(Problem::new(StatusCode::CONFLICT, "rejected", "another operator has rejected this import"));
        }
        _ => {}
    }
    Ok(json!({ "import": id }))
}

/// Deletes the file of an import that is never to be sent.
pub async fn reject(state: &AppState, id: &str) -> Result<(), Problem> {
    let Some((record, mut import)) = find_any(state, id).await? else { return Ok(()) };
    if import.stage != Stage::Waiting {
        return Ok(());
    }
    let deleted = file::delete(state, id, std::mem::take(&mut import.parts)).await?;
    import.stage = Stage::Rejected;
    put(state, record, &import, deleted).await
}

/// Writes an import, with other changes in the same transaction.
async fn put(state: &AppState, mut record: Record, import: &Import, more: Vec<RecordChange>) -> Result<(), Problem> {
    import.stage.name().clone_into(&mut record.subject);
    let mut changes = vec![RecordChange::Put(record.with(import)?)];
    changes.extend(more);
    Ok(state.engine.write_records(changes, Vec::new()).await?)
}

impl Import {
    /// The rows that were refused, and why; the first thousand.
    pub fn problems(&self, state: &AppState, id: &str) -> Result<Vec<RowProblem>, Problem> {
        if self.problems.is_empty() {
            return Ok(Vec::new());
        }
        let opened = state.keys().open_secret("import problems", id, &self.problems).map_err(unreadable)?;
        serde_json::from_slice(&opened).map_err(unreadable)
    }

    fn keep_problems(&mut self, state: &AppState, id: &str, problems: &[RowProblem]) -> Result<(), Problem> {
        self.counts.refused_rows = problems.len() as u64;
        let kept = serde_json::to_vec(problems.get(..PROBLEMS).unwrap_or(problems)).map_err(unreadable)?;
        self.problems = state.keys().seal_secret("import problems", id, &kept, random_bytes()).map_err(unreadable)?;
        Ok(())
    }
}

fn unreadable(error: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", format!("the import cannot be read: {error}"))
}
