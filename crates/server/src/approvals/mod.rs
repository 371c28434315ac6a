//! Four eyes: what is sensitive waits for another operator. Asked for, approved or rejected, then done; each step is
//! conditional on the one before, so that two who decide at once decide once, and what was approved is done once.

mod act;
mod daily;
mod policy;

use axum::http::StatusCode;
use guerdon_core::limits;
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange, RecordQuery, StoreError};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

pub use act::{Act, check_value, publish_program, publish_value, with_override};
pub use daily::check_looks;
pub use policy::{ApprovalPolicy, check as check_policy, policy, put_policy};

use crate::AppState;
use crate::identity::actor::{Actor, Who, forbidden};
use crate::identity::directory::BOOTSTRAP_KEY;
use crate::identity::hands;
use crate::identity::operators::new_id;
use crate::problem::Problem;

/// The kind of their records; the id is `apr_…`, the subject the state.
pub const APPROVAL: &str = "approval";
/// How long something may wait, in milliseconds; and how long it is kept once decided.
const WAIT_MS: i64 = 30 * 86_400_000;
const KEEP_MS: i64 = 400 * 86_400_000;
/// What may wait at once.
const MOST_WAITING: usize = 1_000;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// For another operator.
    Waiting,
    /// Approved, and about to be done.
    Approved,
    /// Done.
    Done,
    /// Approved, but it could not be done.
    Failed,
    /// Rejected.
    Rejected,
}

impl Stage {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
        }
    }
}

/// What was asked for, and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Approval {
    /// What is to be done.
    pub act: Act,
    /// Why.
    pub reason: String,
    /// How far it is.
    pub stage: Stage,
    /// Who asked: an operator or a key.
    pub requested_by: String,
    /// The people behind it: the operator, or everybody who was given a secret of the program. None of them can decide.
    #[serde(alias = "person", deserialize_with = "one_or_many")]
    pub people: Vec<String>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Who decided.
    #[serde(default)]
    pub decided_by: Option<String>,
    /// When.
    #[serde(default)]
    pub decided_at: Option<Timestamp>,
    /// What the decider said.
    #[serde(default)]
    pub note: String,
    /// What came of it: a receipt, or what went wrong.
    #[serde(default)]
    pub outcome: Value,
}

/// Requests of before name one person.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum People {
        One(String),
        Many(Vec<String>),
    }
    Ok(match People::deserialize(deserializer)? {
        People::One(person) => vec![person],
        People::Many(people) => people,
    })
}

impl Approval {
    /// Whether an operator is one of those who asked, or could be: who has invited or reset one of them, or was by one.
    pub async fn is_own(&self, state: &AppState, operator: &str) -> Result<bool, StoreError> {
        if self.requested_by == operator {
            return Ok(true);
        }
        for person in &self.people {
            if hands::could_be_one(state, operator, person).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether an act may go ahead.
#[derive(Debug)]
pub enum Permit {
    /// It may be done now.
    Now,
    /// It waits under this id for another operator.
    Waits(String),
}

/// Asks whether an act may be done. What is above the policy's limits is written down and waits. `key` names the request, so
/// that a repetition finds what it has asked for before; once that is done a repetition may go ahead, and finds its receipt.
pub async fn ask(
    state: &AppState,
    actor: &Actor,
    act: Act,
    reason: &str,
    key: Option<&str>,
) -> Result<Permit, Problem> {
    ask_with(state, actor, act, reason, key, &[]).await
}

/// The same where other people have had a part in it as well: they cannot decide either.
pub async fn ask_with(
    state: &AppState,
    actor: &Actor,
    act: Act,
    reason: &str,
    key: Option<&str>,
    others: &[String],
) -> Result<Permit, Problem> {
    let policy = policy(state).await?;
    if is_exempt(actor) || !(policy.holds(&act) || daily::exceeds(state, actor, &policy, &act).await?) {
        return Ok(Permit::Now);
    }
    limits::check_text("reason", reason, limits::TEXT_CHARS).map_err(invalid)?;
    let id = match key {
        Some(key) => named_id(state, actor, &act, key),
        None => new_id("apr"),
    };
    if let Some((_, known)) = find_any(state, &id).await? {
        return match known.stage {
            Stage::Done => Ok(Permit::Now),
            Stage::Rejected => {
                Err(Problem::new(StatusCode::CONFLICT, "rejected", "another operator has rejected this request"))
            }
            _ => Ok(Permit::Waits(id)),
        };
    }
    if list(state, Some(Stage::Waiting)).await?.len() >= MOST_WAITING {
        let detail = format!("{MOST_WAITING} requests wait for another operator already");
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_waiting", detail));
    }
    let now = state.clock();
    let mut people = hands::behind(state, actor).await?;
    people.extend(others.iter().filter(|other| !people.contains(other)).cloned().collect::<Vec<_>>());
    let approval = Approval {
        act,
        reason: reason.to_owned(),
        stage: Stage::Waiting,
        requested_by: actor.name(),
        people,
        requested_at: now,
        decided_by: None,
        decided_at: None,
        note: String::new(),
        outcome: Value::Null,
    };
    let mut event = actor.event(now, "approval.ask", &id);
    (event.reason, event.after) = (reason.to_owned(), approval.act.facts());
    let record = Record::new(APPROVAL, &id, Stage::Waiting.name(), &approval)?.until(now.plus_millis(WAIT_MS));
    match state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await {
        // A repetition was faster.
        Ok(()) | Err(CommandError::Conflict) => Ok(Permit::Waits(id)),
        Err(error) => Err(error.into()),
    }
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail)
}

/// The key that the server's own administrator has set, who can do everything to the data anyway.
fn is_exempt(actor: &Actor) -> bool {
    matches!(&actor.who, Who::Key { id } if id == BOOTSTRAP_KEY)
}

/// An id that a repetition of the same request has as well.
fn named_id(state: &AppState, actor: &Actor, act: &Act, key: &str) -> String {
    let name = format!("{}\n{}\n{key}", actor.name(), act.facts());
    let digest = guerdon_core::hex::encode(&state.keys().digest("approval", name.as_bytes()));
    format!("apr_{}", digest.get(..20).unwrap_or_default())
}

async fn find_any(state: &AppState, id: &str) -> Result<Option<(Record, Approval)>, Problem> {
    let Some(record) = state.reader.record(APPROVAL, id, state.clock()).await? else { return Ok(None) };
    let approval = record.read()?;
    Ok(Some((record, approval)))
}

/// One by its id.
pub async fn find(state: &AppState, id: &str) -> Result<(Record, Approval), Problem> {
    let unknown = || {
        let shown: String = id.chars().take(64).collect();
        Problem::not_found("unknown_approval", format!("there is no request `{shown}`, or it waited too long"))
    };
    find_any(state, id).await?.ok_or_else(unknown)
}

/// All of a stage, or the latest of every stage; newest first.
pub async fn list(state: &AppState, stage: Option<Stage>) -> Result<Vec<(Record, Approval)>, Problem> {
    let subject = stage.map(|stage| stage.name().to_owned());
    let query = RecordQuery { kind: APPROVAL.to_owned(), subject, after: None, limit: MOST_WAITING as i64 };
    let mut found = Vec::new();
    for record in state.reader.records(&query, state.clock()).await? {
        let approval: Approval = record.read()?;
        found.push((record, approval));
    }
    found.sort_by_key(|(_, approval)| std::cmp::Reverse(approval.requested_at));
    Ok(found)
}

/// Decides what waits, and when approved does it. The decider is a person other than the one who asked, with the right to
/// decide and the right to do the act.
pub async fn decide(state: &AppState, actor: &Actor, id: &str, approve: bool, note: &str) -> Result<Approval, Problem> {
    if !note.is_empty() {
        limits::check_text("note", note, limits::TEXT_CHARS).map_err(invalid)?;
    }
    let (record, mut approval) = find(state, id).await?;
    let decider = second_person(state, actor, &approval).await?;
    if approval.stage != Stage::Waiting {
        let detail = format!("this was {} already", approval.stage.name());
        return Err(Problem::new(StatusCode::CONFLICT, "decided_already", detail));
    }
    let now = state.clock();
    approval.stage = if approve { Stage::Approved } else { Stage::Rejected };
    (approval.decided_by, approval.decided_at) = (Some(decider), Some(now));
    note.clone_into(&mut approval.note);
    let mut event = actor.event(now, if approve { "approval.approve" } else { "approval.reject" }, id);
    (event.reason, event.after) = (note.to_owned(), approval.act.facts());
    write(state, record, &approval, vec![event]).await?;
    if approve {
        return carry_out(state, actor, id).await;
    }
    approval.act.give_up(state, &approval).await?;
    Ok(approval)
}

/// The operator who decides: another person than the one who asked, who may do the act.
async fn second_person(state: &AppState, actor: &Actor, approval: &Approval) -> Result<String, Problem> {
    let Some(decider) = actor.operator() else {
        let detail = "a person must decide this: sign in as an operator";
        return Err(Problem::new(StatusCode::FORBIDDEN, "operators_only", detail));
    };
    if approval.is_own(state, decider).await? {
        let detail = "who asked for this cannot decide it, nor who has had a secret of the program that asked, nor who has \
                      invited or reset the one who asked, or was by them; another operator must";
        return Err(Problem::new(StatusCode::FORBIDDEN, "four_eyes", detail));
    }
    let permission = approval.act.permission();
    if actor.may(permission) { Ok(decider.to_owned()) } else { Err(forbidden(permission)) }
}

/// Does once more what was approved and then cut off or refused. It was approved already, but takes the same two people.
pub async fn carry_out_again(state: &AppState, actor: &Actor, id: &str) -> Result<Approval, Problem> {
    let (_, approval) = find(state, id).await?;
    second_person(state, actor, &approval).await?;
    carry_out(state, actor, id).await
}

async fn write(
    state: &AppState,
    mut record: Record,
    approval: &Approval,
    events: Vec<guerdon_core::audit::AuditEvent>,
) -> Result<(), Problem> {
    approval.stage.name().clone_into(&mut record.subject);
    record.expires_at = Some(state.clock().plus_millis(KEEP_MS));
    Ok(state.engine.write_records(vec![RecordChange::Put(record.with(approval)?)], events).await?)
}

/// Does what was approved, and writes down what came of it. Every act may be done again without harm: one that is cut off
/// between approval and outcome stays approved, and is carried out again.
async fn carry_out(state: &AppState, actor: &Actor, id: &str) -> Result<Approval, Problem> {
    let (record, mut approval) = find(state, id).await?;
    if !matches!(approval.stage, Stage::Approved | Stage::Failed) {
        let detail = format!("this is {}, not approved", approval.stage.name());
        return Err(Problem::new(StatusCode::CONFLICT, "not_approved", detail));
    }
    let outcome = approval.act.carry_out(state, &approval).await;
    let (stage, outcome) = match outcome {
        Ok(outcome) => (Stage::Done, outcome),
        Err(problem) => (Stage::Failed, json!(problem)),
    };
    (approval.stage, approval.outcome) = (stage, outcome);
    let mut event = actor.event(state.clock(), &format!("approval.{}", stage.name()), id);
    event.after = approval.act.facts();
    write(state, record, &approval, vec![event]).await?;
    Ok(approval)
}
