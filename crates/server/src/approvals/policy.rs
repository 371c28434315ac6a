//! From where on an act waits for another operator.

use axum::http::StatusCode;
use guerdon_core::limits;
use guerdon_store::{Record, RecordChange};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::Act;
use crate::AppState;
use crate::identity::actor::Actor;
use crate::problem::Problem;

const POLICY: &str = "approval_policy";

/// From where on an act waits. A limit that is left out lets everything through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalPolicy {
    /// Adjustments of more points than this, either way.
    pub adjust_points: Option<i64>,
    /// Refunds of more points than this.
    pub refund_points: Option<i64>,
    /// Whether the publication of rules, and of what a point is worth, waits.
    pub publish: bool,
    /// Exports with the personal fields of more members than this.
    pub reveal_members: Option<i64>,
    /// Imports of files with more rows than this.
    pub import_rows: Option<i64>,
    /// Merges of accounts that hold more points than this.
    pub merge_points: Option<i64>,
    /// Adjustments and refunds of one operator that add up to more points than this within 24 hours.
    pub daily_points: Option<i64>,
    /// Members whose personal data one operator or program may look at within 24 hours; more are refused.
    pub daily_looks: Option<i64>,
}

impl Default for ApprovalPolicy {
    fn default() -> Self {
        Self {
            adjust_points: Some(10_000),
            refund_points: Some(10_000),
            publish: true,
            reveal_members: Some(20),
            import_rows: Some(100),
            merge_points: Some(10_000),
            daily_points: Some(50_000),
            daily_looks: Some(200),
        }
    }
}

impl ApprovalPolicy {
    /// Whether an act must wait.
    pub fn holds(&self, act: &Act) -> bool {
        let above = |limit: Option<i64>, amount: i64| limit.is_some_and(|limit| amount.saturating_abs() > limit);
        match act {
            Act::Adjust { points, .. } => above(self.adjust_points, *points),
            Act::Refund { points, .. } => above(self.refund_points, *points),
            Act::Publish { .. } | Act::Value { .. } | Act::Draft { .. } => self.publish,
            Act::Reveal { members, .. } => above(self.reveal_members, *members),
            Act::Import { rows, .. } => above(self.import_rows, *rows),
            Act::Merge { points, .. } => above(self.merge_points, *points),
            // The limits themselves always take two.
            Act::Policy { .. } => true,
        }
    }

    fn validate(&self) -> Result<(), String> {
        for (name, limit) in [
            ("adjust_points", self.adjust_points),
            ("refund_points", self.refund_points),
            ("reveal_members", self.reveal_members),
            ("import_rows", self.import_rows),
            ("merge_points", self.merge_points),
            ("daily_points", self.daily_points),
            ("daily_looks", self.daily_looks),
        ] {
            if limit.is_some_and(|limit| !(0..=limits::AMOUNT).contains(&limit)) {
                return Err(format!("`{name}` must be 0 to {}, or null for no limit", limits::AMOUNT));
            }
        }
        Ok(())
    }
}

/// The policy in force.
pub async fn policy(state: &AppState) -> Result<ApprovalPolicy, Problem> {
    let record = state.reader.record(POLICY, POLICY, state.clock()).await?;
    Ok(record.map(|record| record.read()).transpose()?.unwrap_or_default())
}

/// Checks a policy before it is asked for.
pub fn check(policy: &ApprovalPolicy) -> Result<(), Problem> {
    let invalid = |detail| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail);
    policy.validate().map_err(invalid)
}

/// Puts a policy in force.
pub async fn put_policy(state: &AppState, actor: &Actor, policy: &ApprovalPolicy) -> Result<(), Problem> {
    check(policy)?;
    let before = state.reader.record(POLICY, POLICY, state.clock()).await?;
    let mut event = actor.event(state.clock(), "policy.put", POLICY);
    event.before = before.as_ref().map(|record| record.read()).transpose()?.unwrap_or(json!(ApprovalPolicy::default()));
    event.after = json!(policy);
    let record = match before {
        Some(record) => record.with(policy)?,
        None => Record::new(POLICY, POLICY, "", policy)?,
    };
    Ok(state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_a_limit_waits_either_way() {
        let policy = ApprovalPolicy::default();
        let adjust = |points| Act::Adjust {
            member: "mem_0000000000001".parse().unwrap(),
            currency: 1,
            points,
            reason: "r".to_owned(),
            key: "k".to_owned(),
            channel: "api".to_owned(),
        };
        assert!(!policy.holds(&adjust(10_000)) && policy.holds(&adjust(10_001)) && policy.holds(&adjust(-10_001)));
        assert!(policy.holds(&adjust(i64::MIN)));
        let open = ApprovalPolicy { adjust_points: None, ..policy };
        assert!(!open.holds(&adjust(1_000_000)) && open.holds(&Act::Policy { policy: open.clone() }));
    }
}
