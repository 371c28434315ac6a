//! Disputes of orders: a member says what is wrong with what came, staff answer, and it ends with a refund or with a reason why
//! not. Whether an order is disputed the kernel knows, so that it does not complete meanwhile; what is said is kept here,
//! sealed, so that it can be erased.

mod deciding;
mod talking;
mod telling;

use axum::http::StatusCode;
use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::redemption::Grievance;
use guerdon_core::time::Timestamp;
use guerdon_core::{limits, redemption};
use guerdon_store::{Record, RecordChange, RecordQuery};
use serde::{Deserialize, Serialize};

pub use deciding::{Resolution, resolve, settle, settle_quietly};
pub use talking::{Side, erase, open, say};

use crate::AppState;
use crate::identity::token::random_bytes;
use crate::problem::Problem;

/// The kind of the records; the id is the order, the subject whether it is open.
const DISPUTE: &str = "dispute";
const OPEN: &str = "open";
const CLOSED: &str = "closed";
/// The kind of what leads from a member to them; the id is the member and the order, the subject the member.
const DISPUTE_OF: &str = "dispute_of";
/// What is said is sealed for this.
const PURPOSE: &str = "dispute";
/// Within which time a member is answered, in milliseconds (48 hours).
const ANSWER_MS: i64 = 48 * 60 * 60 * 1000;
/// Disputes that are read at once.
const PAGE: i64 = 500;
/// How often a write is tried again that somebody else was faster with.
const TRIES: usize = 10;

/// A dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// Of which order.
    pub order_id: OrderId,
    /// Whose.
    pub member_id: MemberId,
    /// What it is about.
    pub kind: Grievance,
    /// Since when.
    pub opened_at: Timestamp,
    /// When the member is to be answered; `None`: they were.
    pub due_at: Option<Timestamp>,
    /// How it ended; `None`: it is open.
    pub end: Option<End>,
    /// What was said, sealed; empty: nothing of it is known.
    sealed: String,
}

/// How a dispute ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// Whether the points were given back.
    pub refunded: bool,
    /// Why, as the member reads it.
    pub reason: Option<String>,
}

/// What somebody said in a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// When.
    pub at: Timestamp,
    /// Whether the member said it.
    pub by_member: bool,
    /// Who, as the audit log names them.
    pub actor: String,
    /// What.
    pub text: String,
}

impl Dispute {
    /// `open`, `refunded` or `declined`.
    pub fn state(&self) -> &'static str {
        match &self.end {
            None => "open",
            Some(End { refunded: true, .. }) => "refunded",
            Some(_) => "declined",
        }
    }

    /// What an order itself knows of its dispute: that there is one, since when, and how it ended. Who was cut off before their
    /// words were kept opens it again with them; of a member who was erased it is all that there is.
    fn of_order(order: &redemption::Order) -> Option<Self> {
        let disputed = order.details.particulars.dispute.as_ref()?;
        let reason_of = |transaction| {
            let step = order.details.history.iter().find(|step| step.transaction_id == transaction);
            step.and_then(|step| step.reason.clone())
        };
        let kind = reason_of(disputed.transaction_id).as_deref().and_then(Grievance::from_name);
        let end = disputed.ended.as_ref().map(|end| End {
            at: end.at,
            refunded: end.refunded,
            reason: reason_of(end.transaction_id),
        });
        Some(Self {
            order_id: order.id,
            member_id: order.member_id,
            kind: kind.unwrap_or(Grievance::Other),
            opened_at: disputed.at,
            due_at: end.is_none().then(|| disputed.at.plus_millis(ANSWER_MS)),
            end,
            sealed: String::new(),
        })
    }

    /// Whether anything that was said is known.
    pub fn has_words(&self) -> bool {
        !self.sealed.is_empty()
    }

    /// Whether the member has waited longer than they should.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.end.is_none() && self.due_at.is_some_and(|due| due <= now)
    }

    /// What was said, oldest first.
    pub fn messages(&self, state: &AppState) -> Result<Vec<Message>, Problem> {
        if !self.has_words() {
            return Ok(Vec::new());
        }
        let opened = state.keys().open_secret(PURPOSE, &self.order_id.to_string(), &self.sealed).map_err(unreadable)?;
        serde_json::from_slice(&opened).map_err(unreadable)
    }

    fn keep(&mut self, state: &AppState, messages: &[Message]) -> Result<(), Problem> {
        let text = serde_json::to_vec(messages).map_err(unreadable)?;
        let sealed = state.keys().seal_secret(PURPOSE, &self.order_id.to_string(), &text, random_bytes());
        self.sealed = sealed.map_err(unreadable)?;
        Ok(())
    }

    fn subject(&self) -> &'static str {
        if self.end.is_none() { OPEN } else { CLOSED }
    }
}

/// The dispute of an order as it stands now, with what was said where that is known. `None`: there is none.
pub async fn of_order(state: &AppState, order: &redemption::Order) -> Result<Option<Dispute>, Problem> {
    settle(state, order.id).await?;
    Ok(find(state, order.id).await?.or_else(|| Dispute::of_order(order)))
}

/// What was said in the dispute of an order; `None`: there is none, or nothing of it is known.
async fn find(state: &AppState, order: OrderId) -> Result<Option<Dispute>, Problem> {
    Ok(read(state, order).await?.map(|(_, dispute)| dispute))
}

async fn read(state: &AppState, order: OrderId) -> Result<Option<(Record, Dispute)>, Problem> {
    let Some(record) = state.reader.record(DISPUTE, &order.to_string(), state.clock()).await? else { return Ok(None) };
    let dispute = record.read()?;
    Ok(Some((record, dispute)))
}

/// That an order has no dispute.
pub fn unknown(order: OrderId) -> Problem {
    Problem::not_found("unknown_dispute", format!("order {order} is not disputed"))
}

/// All disputes that are open: those first that are due first, and behind them those that wait for the member. Those of
/// orders that were refunded meanwhile are closed.
pub async fn queue(state: &AppState) -> Result<Vec<Dispute>, Problem> {
    let (mut found, mut after) = (Vec::new(), None);
    while found.len() < limits::DISPUTES {
        let query = RecordQuery { kind: DISPUTE.to_owned(), subject: Some(OPEN.to_owned()), after, limit: PAGE };
        let records = state.reader.records(&query, state.clock()).await?;
        for record in &records {
            found.push(record.read::<Dispute>()?);
        }
        after = records.last().map(|record| record.id.clone()).filter(|_| records.len() as i64 == PAGE);
        if after.is_none() {
            break;
        }
    }
    found.sort_by_key(|dispute| (dispute.due_at.unwrap_or(Timestamp::NEVER), dispute.opened_at));
    Ok(found)
}

/// Disputes that have ended, behind an order, the latest orders first.
pub async fn closed(state: &AppState, before: Option<&str>, limit: i64) -> Result<Vec<Dispute>, Problem> {
    let records = state.reader.records_before(DISPUTE, CLOSED, before, limit).await?;
    records.iter().map(|record| record.read().map_err(Problem::from)).collect()
}

/// The disputes of a person, under any of their accounts.
pub async fn of_member(state: &AppState, accounts: &[MemberId]) -> Result<Vec<Dispute>, Problem> {
    let mut found = Vec::new();
    for member in accounts {
        for lead in leads(state, *member).await? {
            let order: OrderId = lead.read()?;
            found.extend(find(state, order).await?);
        }
    }
    Ok(found)
}

async fn leads(state: &AppState, member: MemberId) -> Result<Vec<Record>, Problem> {
    let subject = Some(member.to_string());
    let query = RecordQuery { kind: DISPUTE_OF.to_owned(), subject, after: None, limit: 10_000 };
    Ok(state.reader.records(&query, state.clock()).await?)
}

/// Until when the member may dispute an order, where they still may.
pub fn disputable_until(state: &AppState, order: &redemption::Order) -> Option<Timestamp> {
    let now = state.engine.now();
    order.disputable_until(&state.program().settings_at(now).orders).filter(|until| *until > now)
}

fn put(mut record: Record, dispute: &Dispute) -> Result<RecordChange, Problem> {
    dispute.subject().clone_into(&mut record.subject);
    Ok(RecordChange::Put(record.with(dispute)?))
}

fn unreadable(error: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", format!("the dispute cannot be read: {error}"))
}
