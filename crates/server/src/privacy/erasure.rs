//! Erasure: asked for, then a time in which it can be taken back, then the member's key is destroyed through the kernel.
//! The ledger, its proofs and `verify` stay as they are: what is left names nobody.

use axum::http::StatusCode;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::Command;
use guerdon_core::limits;
use guerdon_core::time::Timestamp;
use guerdon_store::read::MemberRow;
use guerdon_store::{CommandError, Record, RecordChange, RecordQuery};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{consent, invalid, member};
use crate::AppState;
use crate::disputes;
use crate::identity::actor::Actor;
use crate::identity::session;
use crate::identity::sso::member::MEMBER_EXTERNAL;
use crate::language::Language;
use crate::messages::{Address, Notice};
use crate::problem::Problem;
use crate::reviews;

/// The kind of the records of requests; the id is the member.
const ERASURE: &str = "erasure";
/// How long a request can be taken back, in milliseconds.
pub const GRACE_MS: i64 = 14 * 86_400_000;
/// Requests that are looked at in one round of the job.
const ROUND: i64 = 1_000;

/// A request for erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it is carried out.
    pub due_at: Timestamp,
    /// By whom.
    pub requested_by: String,
    /// Why.
    pub reason: String,
}

/// Asks for the erasure of a member. Asking twice changes nothing.
pub async fn request(state: &AppState, actor: &Actor, id: MemberId, reason: &str) -> Result<Erasure, Problem> {
    limits::check_text("reason", reason, limits::TEXT_CHARS).map_err(invalid)?;
    let row = member(state, id).await?;
    if row.stored.erased_at.is_some() {
        return Err(Problem::new(StatusCode::CONFLICT, "member_erased", "this member was erased already"));
    }
    if let Some((_, known)) = find(state, row.id).await? {
        return Ok(known);
    }
    let now = state.clock();
    let erasure = Erasure {
        requested_at: now,
        due_at: now.plus_millis(GRACE_MS),
        requested_by: actor.name(),
        reason: reason.to_owned(),
    };
    let mut event = actor.event(now, "erasure.request", &row.id.to_string());
    (event.reason, event.after) = (reason.to_owned(), json!({ "due_at": erasure.due_at }));
    let record = Record::new(ERASURE, &row.id.to_string(), "", &erasure)?;
    state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await?;
    tell(state, &row, &erasure);
    Ok(erasure)
}

/// Tells the member, where there is a way: it may not have been they who asked.
fn tell(state: &AppState, row: &MemberRow, erasure: &Erasure) {
    let link = state.people.link("/portal/privacy");
    let Some(profile) = state.profile(row).ok().flatten().filter(|_| link.starts_with("http")) else { return };
    let email = profile.email.as_deref().and_then(|email| Address::email(email).ok());
    let phone = || profile.phone.as_deref().and_then(|phone| Address::phone(phone).ok());
    let Some(to) = email.or_else(phone) else { return };
    let language = profile.language.as_deref().and_then(Language::from_tag).unwrap_or(Language::English);
    let program = state.program();
    let at = program.calendar.show(erasure.due_at);
    let notice = Notice::ErasureScheduled { at: &at, link: &link };
    state.post.notify(&notice, language, program.settings.name.get(language.tag()), to);
}

/// The request of a member.
pub async fn find(state: &AppState, id: MemberId) -> Result<Option<(Record, Erasure)>, Problem> {
    let Some(record) = state.reader.record(ERASURE, &id.to_string(), state.clock()).await? else { return Ok(None) };
    let erasure = record.read()?;
    Ok(Some((record, erasure)))
}

/// The requests that wait, behind a member's id, at most so many.
pub async fn list(state: &AppState, after: Option<String>, limit: i64) -> Result<Vec<(MemberId, Erasure)>, Problem> {
    let query = RecordQuery { kind: ERASURE.to_owned(), subject: None, after, limit };
    let records = state.reader.records(&query, state.clock()).await?;
    let found = records.iter().filter_map(|record| Some((record.id.parse::<MemberId>().ok()?, record)));
    found.map(|(id, record)| Ok((id, record.read()?))).collect()
}

/// Takes a request back.
pub async fn withdraw(state: &AppState, actor: &Actor, id: MemberId) -> Result<(), Problem> {
    let none = || Problem::not_found("no_erasure", "there is no request to erase this member");
    let (record, _) = find(state, id).await?.ok_or_else(none)?;
    let event = actor.event(state.clock(), "erasure.withdraw", &id.to_string());
    Ok(state.engine.write_records(vec![RecordChange::Delete(record)], vec![event]).await?)
}

/// Carries out what is due. Every step may be done again: the command has a key of its own, and the request goes last.
/// Returns how many members were erased.
pub async fn carry_out_due(state: &AppState) -> Result<usize, Problem> {
    let now = state.clock();
    let (mut after, mut done) = (None, 0);
    loop {
        let query = RecordQuery { kind: ERASURE.to_owned(), subject: None, after, limit: ROUND };
        let records = state.reader.records(&query, now).await?;
        for record in &records {
            let erasure: Erasure = record.read()?;
            if erasure.due_at <= now
                && let Ok(id) = record.id.parse::<MemberId>()
            {
                erase(state, id, record.clone()).await?;
                done += 1;
            }
        }
        match records.last() {
            Some(last) if records.len() as i64 == ROUND => after = Some(last.id.clone()),
            _ => return Ok(done),
        }
    }
}

async fn erase(state: &AppState, id: MemberId, request: Record) -> Result<(), Problem> {
    let command = Command::erase(id, &format!("erasure {}", request.version), state.engine.now())?;
    match state.engine.submit_one(command).await {
        Ok(_) => {}
        Err(CommandError::Refused(refusal)) if refusal.code.name() == "member_erased" => {}
        Err(CommandError::Refused(refusal)) => {
            // Orders are open: tried again in the next round.
            tracing::warn!(member = %id, %refusal, "an erasure that is due could not be carried out");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    let event = Actor::system().event(state.clock(), "erasure.done", &id.to_string());
    let mut changes = vec![RecordChange::Delete(request)];
    // Also those of accounts that were merged into this one: it is one person.
    let merged = state.reader.account(id).await?.map(|account| account.merged_from).unwrap_or_default();
    for member in merged.into_iter().chain([id]) {
        reviews::erase(state, member).await?;
        disputes::erase(state, member).await?;
        for kind in [session::SESSION, consent::CONSENT, MEMBER_EXTERNAL] {
            let subject = Some(member.to_string());
            let query = RecordQuery { kind: kind.to_owned(), subject, after: None, limit: ROUND };
            changes.extend(state.reader.records(&query, state.clock()).await?.into_iter().map(RecordChange::Delete));
        }
    }
    let ended = session::ended_by(&changes);
    state.engine.write_records(changes, vec![event]).await?;
    state.directory.forget_sessions(&ended);
    Ok(())
}
