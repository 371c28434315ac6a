//! What somebody has done by hand within a day, as the audit log tells it: many small acts are as much as one large one.

use axum::http::StatusCode;
use guerdon_core::audit::AuditEvent;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::Footprint;
use guerdon_store::AuditQuery;
use serde_json::Value;

use super::{Act, ApprovalPolicy, is_exempt, policy};
use crate::AppState;
use crate::identity::actor::Actor;
use crate::problem::Problem;

const DAY_MS: i64 = 86_400_000;
/// Events of a day that are looked at; more are above every limit.
const MOST: i64 = 10_000;
/// Points given or taken by hand.
const MOVES: [&str; 2] = ["member.adjust", "order.refund"];
/// Looks at the personal data of one member.
const LOOKS: [&str; 2] = ["member.reveal", "member.export_all"];

/// What somebody has done of some kinds within a day.
async fn events(state: &AppState, actor: &Actor, prefix: &str, kinds: &[&str]) -> Result<Vec<AuditEvent>, Problem> {
    let query = AuditQuery {
        actor: Some(actor.name()),
        action: Some(prefix.to_owned()),
        from: Some(state.clock().plus_millis(-DAY_MS)),
        limit: MOST,
        ..AuditQuery::default()
    };
    let entries = state.reader.audit_events(&query).await?;
    let events = entries.iter().filter_map(|entry| entry.event().ok());
    Ok(events.filter(|event| kinds.contains(&event.action.as_str())).collect())
}

/// Whether what an operator gives or takes by hand adds up to more than the policy lets through in a day. Programs are
/// bounded by what they were given, and by their quotas.
pub(super) async fn exceeds(
    state: &AppState,
    actor: &Actor,
    policy: &ApprovalPolicy,
    act: &Act,
) -> Result<bool, Problem> {
    let (Act::Adjust { member, points, key, .. } | Act::Refund { member, points, key, .. }) = act else {
        return Ok(false);
    };
    let Some(limit) = policy.daily_points.filter(|_| actor.operator().is_some()) else { return Ok(false) };
    let mut moved = points.saturating_abs();
    for kind in MOVES {
        for event in events(state, actor, kind, &[kind]).await? {
            // What was paid in money goes back besides the points.
            let points = event.after.get("worth").or_else(|| event.after.get("points"));
            let points = points.and_then(Value::as_i64).unwrap_or_default();
            moved = moved.saturating_add(points.saturating_abs());
        }
    }
    // A repetition moves nothing.
    Ok(moved > limit && !was_done(state, *member, key).await?)
}

async fn was_done(state: &AppState, member: MemberId, key: &str) -> Result<bool, Problem> {
    let footprint = Footprint { keys: vec![(member, key.to_owned())], ..Footprint::default() };
    let loaded = state.engine.run(move |store| store.prefetch(&footprint)).await?;
    Ok(!loaded.committed.is_empty())
}

/// Refuses a look at the personal data of one more member than somebody may look at in a day. Members look at their own.
pub async fn check_looks(state: &AppState, actor: &Actor) -> Result<(), Problem> {
    if actor.member().is_some() || is_exempt(actor) {
        return Ok(());
    }
    let Some(limit) = policy(state).await?.daily_looks else { return Ok(()) };
    let looks = events(state, actor, "member.", &LOOKS).await?.len();
    if i64::try_from(looks).unwrap_or(i64::MAX) < limit {
        return Ok(());
    }
    let detail = format!(
        "the personal data of {limit} members were looked at within a day, which is as many as the policy allows one \
         operator or program; ask for an export, which another operator agrees to"
    );
    Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_looks", detail).after(3_600))
}
