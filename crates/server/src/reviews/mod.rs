//! Reviews of rewards by those who redeemed them: one for each member and reward, which may be written anew; looked at by a
//! person first where the program says so. What others may read is counted in the transaction that lets them read it, so
//! that the average is exact whoever writes at the same time.

mod moderation;
mod reading;
mod writing;

use std::collections::BTreeMap;

use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::rewards::{Rating, ReviewPolicy};
use guerdon_core::time::Timestamp;
use guerdon_store::{Record, RecordChange, RecordQuery};
use serde::{Deserialize, Serialize};

pub use moderation::{Decision, decide, erase};
pub use reading::{every_rating, find, of_member, of_reward, own, queue, ratings};
pub use writing::{Said, write};

use crate::AppState;
use crate::problem::Problem;

/// The kind of the records; the id is `rev_…`, which rises with time, the subject where it stands.
const REVIEW: &str = "review";
/// The kind of the records that lead to them: one for each member and reward, whose subject is the member.
const REVIEW_OF: &str = "review_of";
/// The kind of what the reviews of a reward come to; the id is the reward.
const RATING: &str = "review_rating";
/// How often a write is tried again that somebody else was faster with.
const TRIES: usize = 20;

/// Where a review stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Somebody looks at it first.
    Waiting,
    /// Others may read it.
    Approved,
    /// Nobody else may.
    Rejected,
}

impl Standing {
    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

/// What a member says of a reward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// What it is about.
    pub reward_id: String,
    /// Who wrote it.
    pub member_id: MemberId,
    /// By which order they had it.
    pub order_id: OrderId,
    /// 1 to 5.
    pub stars: i64,
    /// In their words.
    pub text: String,
    /// Their name, masked; `None`: it was not known.
    pub author: Option<String>,
    /// Where it stands.
    pub standing: Standing,
    /// When it was first written.
    pub written_at: Timestamp,
    /// When it was written anew.
    #[serde(default)]
    pub changed_at: Option<Timestamp>,
    /// How often.
    #[serde(default)]
    pub changes: u32,
    /// Who let others read it, or did not.
    #[serde(default)]
    pub decided_by: Option<String>,
    /// Why not.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Review {
    /// Under which subject its record stands: those that others may read by reward, the others in a queue.
    fn subject(&self) -> String {
        match self.standing {
            Standing::Approved => approved(&self.reward_id),
            other => other.name().to_owned(),
        }
    }

    /// Its stars, where they count.
    fn counted(&self) -> Option<i64> {
        (self.standing == Standing::Approved).then_some(self.stars)
    }
}

fn approved(reward: &str) -> String {
    format!("approved {reward}")
}

/// What leads from a member and a reward to the review.
#[derive(Serialize, Deserialize)]
struct Lead {
    review: String,
    /// When it was last written.
    written_at: Timestamp,
}

fn lead_id(member: MemberId, reward: &str) -> String {
    format!("{member}/{reward}")
}

/// How the program has its rewards reviewed; `None`: it does not.
pub fn policy(state: &AppState) -> Option<ReviewPolicy> {
    state.program().settings_at(state.engine.now()).reviews.clone()
}

/// What changes the count of a reward's reviews, when one counts so many stars from now on instead of before.
async fn recount(
    state: &AppState,
    reward: &str,
    before: Option<i64>,
    after: Option<i64>,
) -> Result<Option<RecordChange>, Problem> {
    if before == after {
        return Ok(None);
    }
    let known = state.reader.record(RATING, reward, state.clock()).await?;
    let rating: Rating = known.as_ref().map(Record::read).transpose()?.unwrap_or_default();
    let rating = before.map_or(rating, |stars| rating.without(stars));
    let rating = after.map_or(rating, |stars| rating.with(stars));
    let record = match known {
        Some(record) => record.with(&rating)?,
        None => Record::new(RATING, reward, "", &rating)?,
    };
    Ok(Some(RecordChange::Put(record)))
}
