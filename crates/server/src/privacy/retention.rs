//! Retention: how long what is kept, and the job that sees to it. Members who have not been seen for long are put down for
//! erasure, with the same time to take it back; so are closed accounts. The audit log is kept for ever, which is more than
//! the year that it must be.

use guerdon_core::id::MemberId;
use guerdon_store::{Record, RecordChange};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{erasure, invalid};
use crate::AppState;
use crate::identity::actor::Actor;
use crate::problem::Problem;

/// The kind and the id of its record, and the subject of its changes in the audit log.
pub const POLICY: &str = "retention_policy";
const DAY_MS: i64 = 86_400_000;
/// Members that are looked at in one round of the job.
const ROUND: i64 = 1_000;

/// How long what is kept; what is left out is kept until someone asks for its erasure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionPolicy {
    /// Days without any activity after which a member is erased; a year at least.
    pub inactive_member_days: Option<i64>,
    /// Days after which a closed account is erased.
    pub closed_member_days: Option<i64>,
}

impl RetentionPolicy {
    fn validate(&self) -> Result<(), String> {
        for (name, days, least) in [
            ("inactive_member_days", self.inactive_member_days, 365),
            ("closed_member_days", self.closed_member_days, 0),
        ] {
            if days.is_some_and(|days| !(least..=36_500).contains(&days)) {
                return Err(format!("`{name}` must be {least} to 36500, or null to keep for ever"));
            }
        }
        Ok(())
    }
}

/// The policy in force.
pub async fn policy(state: &AppState) -> Result<RetentionPolicy, Problem> {
    let record = state.reader.record(POLICY, POLICY, state.clock()).await?;
    Ok(record.map(|record| record.read()).transpose()?.unwrap_or_default())
}

/// Puts a policy in force.
pub async fn put_policy(state: &AppState, actor: &Actor, policy: &RetentionPolicy) -> Result<(), Problem> {
    policy.validate().map_err(invalid)?;
    let before = state.reader.record(POLICY, POLICY, state.clock()).await?;
    let mut event = actor.event(state.clock(), "retention.put", POLICY);
    event.before = before.as_ref().map(|record| record.read()).transpose()?.unwrap_or(Value::Null);
    event.after = json!(policy);
    let record = match before {
        Some(record) => record.with(policy)?,
        None => Record::new(POLICY, POLICY, "", policy)?,
    };
    Ok(state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await?)
}

/// Puts down for erasure who is past the policy. Returns how many. `after` goes through the members in slices, so that one
/// round is short; none: from the beginning.
pub async fn put_down(state: &AppState, after: Option<MemberId>) -> Result<(usize, Option<MemberId>), Problem> {
    let policy = policy(state).await?;
    if policy == RetentionPolicy::default() {
        return Ok((0, None));
    }
    let rows = state.reader.members(after, ROUND).await?;
    let mut put_down = 0;
    let system = Actor::system();
    for row in rows.iter().filter(|row| row.stored.erased_at.is_none()) {
        if let Some(reason) = past(state, &policy, row).await?
            && erasure::find(state, row.id).await?.is_none()
        {
            erasure::request(state, &system, row.id, reason).await?;
            put_down += 1;
        }
    }
    let last = rows.last().map(|row| row.id).filter(|_| rows.len() as i64 == ROUND);
    Ok((put_down, last))
}

/// Why a member is past the policy.
async fn past(
    state: &AppState,
    policy: &RetentionPolicy,
    row: &guerdon_store::read::MemberRow,
) -> Result<Option<&'static str>, Problem> {
    let now = state.engine.now();
    let seen = row.last_activity_at.max(row.enrolled_at);
    if policy.inactive_member_days.is_some_and(|days| seen.plus_millis(days.saturating_mul(DAY_MS)) < now) {
        return Ok(Some("retention: no activity"));
    }
    if let Some(days) = policy.closed_member_days
        && let Some(account) = state.reader.account(row.id).await?
        && let guerdon_core::ledger::AccountStatus::Closed { at } = account.status
        && at.plus_millis(days.saturating_mul(DAY_MS)) < now
    {
        return Ok(Some("retention: closed account"));
    }
    Ok(None)
}
