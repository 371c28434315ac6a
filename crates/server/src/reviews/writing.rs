//! A member writes a review, or writes it anew.

use axum::http::StatusCode;
use guerdon_core::ledger::AccountStatus;
use guerdon_core::limits;
use guerdon_core::privacy::mask;
use guerdon_core::redemption::{Order, OrderState};
use guerdon_core::rewards::check_review;
use guerdon_store::CommandError;

use super::reading::{leads, led};
use super::*;
use crate::identity::operators::new_id;
use crate::privacy::invalid;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// What a member says.
pub struct Said {
    stars: i64,
    text: String,
}

impl Said {
    /// Checks it. Lines and spaces that follow each other count as one space.
    pub fn new(stars: i64, text: &str) -> Result<Self, Problem> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        check_review(stars, &text).map_err(invalid)?;
        Ok(Self { stars, text })
    }
}

/// Writes what the member of a completed order says of its reward. Saying the same again changes nothing.
pub async fn write(state: &AppState, order: &Order, said: &Said) -> Result<(String, Review), Problem> {
    let none = || conflict("reviews_not_taken", "this program has no reviews");
    let policy = policy(state).ok_or_else(none)?;
    if order.state != OrderState::Completed {
        let detail = format!("order {} is {}; a reward is reviewed once it is completed", order.id, order.state.name());
        return Err(conflict("order_not_completed", detail));
    }
    if order.is_of_till() {
        return Err(conflict(
            "no_reward",
            format!("order {} pays at a till, and is for no reward to review", order.id),
        ));
    }
    let resolved = state.reader.resolve(order.member_id).await?;
    let (member, account) = resolved
        .filter(|(_, account)| account.status == AccountStatus::Active)
        .ok_or_else(|| conflict("member_closed", format!("the account of order {} is closed", order.id)))?;
    let accounts: Vec<MemberId> = account.merged_from.into_iter().chain([member]).collect();
    for _ in 0..TRIES {
        match try_to_write(state, &policy, order, &accounts, said).await {
            Err(problem) if problem.code == "conflict" => {}
            outcome => return outcome,
        }
    }
    Err(CommandError::Conflict.into())
}

async fn try_to_write(
    state: &AppState,
    policy: &ReviewPolicy,
    order: &Order,
    accounts: &[MemberId],
    said: &Said,
) -> Result<(String, Review), Problem> {
    let now = state.clock();
    let standing = if policy.holds_back(&said.text) { Standing::Waiting } else { Standing::Approved };
    let known = led(state, accounts, &order.reward_id).await?;
    let before = known.as_ref().and_then(|(_, _, review)| review.counted());
    // What leads there is of the version that was read with the review, or new: of two who write the first one at the same
    // time one does so, and the other writes it anew.
    let (lead, record, review) = match known {
        Some((_, record, review)) if review.stars == said.stars && review.text == said.text => {
            return Ok((record.id, review));
        }
        Some((_, _, review)) if review.changes >= limits::REVIEW_CHANGES => {
            let detail = format!("this review was changed {} times, and cannot be any more", review.changes);
            return Err(conflict("too_many_changes", detail));
        }
        Some((lead, mut record, mut review)) => {
            check_rate(state, accounts).await?;
            (review.stars, review.text) = (said.stars, said.text.clone());
            (review.standing, review.changed_at) = (standing, Some(now));
            (review.decided_by, review.reason) = (None, None);
            review.changes = review.changes.saturating_add(1);
            record.subject = review.subject();
            let led = Lead { review: record.id.clone(), written_at: now };
            (lead.with(&led)?, record.with(&review)?, review)
        }
        None => {
            check_rate(state, accounts).await?;
            let review = first(state, order, accounts, said, standing).await?;
            let record = Record::new(REVIEW, &id_at(now), &review.subject(), &review)?;
            let led = Lead { review: record.id.clone(), written_at: now };
            let lead = lead_id(review.member_id, &review.reward_id);
            (Record::new(REVIEW_OF, &lead, &review.member_id.to_string(), &led)?, record, review)
        }
    };
    let id = record.id.clone();
    let counts = recount(state, &review.reward_id, before, review.counted()).await?;
    let changes = [record, lead].map(RecordChange::Put).into_iter().chain(counts).collect();
    state.engine.write_records(changes, Vec::new()).await?;
    Ok((id, review))
}

/// The first that a member says of a reward.
async fn first(
    state: &AppState,
    order: &Order,
    accounts: &[MemberId],
    said: &Said,
    standing: Standing,
) -> Result<Review, Problem> {
    let member_id = accounts.last().copied().unwrap_or(order.member_id);
    Ok(Review {
        reward_id: order.reward_id.clone(),
        member_id,
        order_id: order.id,
        stars: said.stars,
        text: said.text.clone(),
        author: author(state, member_id).await?,
        standing,
        written_at: state.clock(),
        changed_at: None,
        changes: 0,
        decided_by: None,
        reason: None,
    })
}

/// Refuses whoever writes very many.
async fn check_rate(state: &AppState, accounts: &[MemberId]) -> Result<(), Problem> {
    let since = state.clock().plus_millis(-HOUR_MS);
    let mut lately = 0;
    for member in accounts {
        for lead in leads(state, *member).await? {
            lately += usize::from(lead.read::<Lead>()?.written_at > since);
        }
    }
    if lately < limits::REVIEWS_AN_HOUR {
        return Ok(());
    }
    let detail = format!("{lately} reviews were written within an hour; wait a while");
    Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_reviews", detail).after(3_600))
}

/// How the author is called: enough for a face, too little to find anyone.
async fn author(state: &AppState, member: MemberId) -> Result<Option<String>, Problem> {
    let Some(row) = state.reader.member(member).await? else { return Ok(None) };
    let profile = state.profile(&row)?.unwrap_or_default();
    Ok(profile.name.filter(|name| !name.trim().is_empty()).map(|name| mask::name(&name)))
}

/// An id that rises with time.
fn id_at(now: Timestamp) -> String {
    let random: String = new_id("").chars().skip(1).take(8).collect();
    format!("rev_{:011x}{random}", now.as_millis())
}

pub(super) fn conflict(code: &str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, detail)
}
