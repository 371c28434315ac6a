//! Who lets a review be read, or not; and what becomes of those of a member who is erased.

use guerdon_core::limits;
use guerdon_store::CommandError;
use serde_json::json;

use super::reading::leads;
use super::writing::conflict;
use super::*;
use crate::identity::actor::Actor;
use crate::privacy::invalid;

/// What somebody decides of a review.
pub enum Decision<'a> {
    /// Others may read it.
    Approve,
    /// Nobody else may, and why.
    Reject(&'a str),
}

/// Decides about a review, for the first time or anew. Deciding the same again changes nothing.
pub async fn decide(state: &AppState, actor: &Actor, id: &str, decision: &Decision<'_>) -> Result<Review, Problem> {
    let (standing, action, reason) = match decision {
        Decision::Approve => (Standing::Approved, "review.approve", None),
        Decision::Reject(reason) => {
            limits::check_text("reason", reason, limits::TEXT_CHARS).map_err(invalid)?;
            (Standing::Rejected, "review.reject", Some((*reason).to_owned()))
        }
    };
    for _ in 0..TRIES {
        let (mut record, mut review) = find(state, id).await?;
        if review.standing == standing {
            return Ok(review);
        }
        // What the member wrote is theirs, and stays out of a log that is kept for ever.
        let mut event = actor.event(state.clock(), action, &format!("review {id}"));
        event.before = json!({ "standing": review.standing });
        event.after = json!({ "standing": standing, "reward": review.reward_id, "stars": review.stars });
        event.reason = reason.clone().unwrap_or_default();
        let before = review.counted();
        (review.standing, review.decided_by, review.reason) = (standing, Some(actor.name()), reason.clone());
        record.subject = review.subject();
        let counts = recount(state, &review.reward_id, before, review.counted()).await?;
        let changes = [RecordChange::Put(record.with(&review)?)].into_iter().chain(counts).collect();
        match state.engine.write_records(changes, vec![event]).await {
            Ok(()) => return Ok(review),
            Err(CommandError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(conflict("conflict", "others have changed this at the same time; try again"))
}

/// Deletes what a member has written, because nobody can tell from a text that it names nobody. It may be done again where
/// it was cut off.
pub async fn erase(state: &AppState, member: MemberId) -> Result<(), Problem> {
    for lead in leads(state, member).await? {
        delete(state, lead).await?;
    }
    Ok(())
}

async fn delete(state: &AppState, mut lead: Record) -> Result<(), Problem> {
    for _ in 0..TRIES {
        let found = state.reader.record(REVIEW, &lead.read::<Lead>()?.review, state.clock()).await?;
        let mut changes = vec![RecordChange::Delete(lead.clone())];
        if let Some(record) = found {
            let review: Review = record.read()?;
            changes.extend(recount(state, &review.reward_id, review.counted(), None).await?);
            changes.push(RecordChange::Delete(record));
        }
        match state.engine.write_records(changes, Vec::new()).await {
            Ok(()) => return Ok(()),
            Err(CommandError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
        match state.reader.record(REVIEW_OF, &lead.id, state.clock()).await? {
            Some(again) => lead = again,
            None => return Ok(()),
        }
    }
    Err(CommandError::Conflict.into())
}
