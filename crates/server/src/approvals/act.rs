//! The acts that may wait for another operator, and how each is carried out. Each may be repeated without harm: points move
//! under the idempotency key of the request, and a program that is published already is not published again.

use axum::http::StatusCode;
use guerdon_core::audit::AuditEvent;
use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::identity::Permission;
use guerdon_core::kernel::Command;
use guerdon_core::ledger::CurrencyId;
use guerdon_core::program::{Bundle, PointValue, Program};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Approval, ApprovalPolicy, put_policy};
use crate::AppState;
use crate::drafts;
use crate::identity::actor::{Actor, Who};
use crate::imports;
use crate::problem::Problem;

/// A sensitive act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Act {
    /// Correct a balance by hand.
    Adjust {
        /// Whose.
        member: MemberId,
        /// In which currency.
        currency: u16,
        /// By how many points.
        points: i64,
        /// Why, as the member reads it.
        reason: String,
        /// The request's idempotency key.
        key: String,
        /// Over which channel it was asked for.
        #[serde(default = "api", skip_serializing_if = "is_api")]
        channel: String,
    },
    /// Refund an order.
    Refund {
        /// Whose it is now.
        member: MemberId,
        /// Whose it was when it was made.
        owner: MemberId,
        /// Which.
        order: OrderId,
        /// Its points.
        points: i64,
        /// Why.
        reason: String,
        /// The request's idempotency key.
        key: String,
        /// Over which channel it was asked for.
        #[serde(default = "api", skip_serializing_if = "is_api")]
        channel: String,
    },
    /// Merge two accounts of one person.
    Merge {
        /// The account that ends.
        from: MemberId,
        /// The account that goes on.
        into: MemberId,
        /// What the account that ends holds.
        points: i64,
        /// Why.
        reason: String,
        /// The request's idempotency key.
        key: String,
        /// Over which channel it was asked for.
        #[serde(default = "api", skip_serializing_if = "is_api")]
        channel: String,
    },
    /// Publish a program file.
    Publish {
        /// The file, TOML or JSON.
        program: String,
        /// Why what is for the worse holds at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        override_reason: Option<String>,
    },
    /// Publish what a point is worth.
    Value {
        /// The code of its currency.
        currency: String,
        /// Major units of money for one smallest unit.
        value: Decimal,
    },
    /// Put a draft in force.
    Draft {
        /// Which, `drf_…`.
        draft: String,
        /// What it is about.
        title: String,
        /// Its how-manieth submission.
        submission: u32,
        /// Whether it changes something for the worse before its notice is over.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        overrides: bool,
    },
    /// Export members with their personal fields.
    Reveal {
        /// How many members.
        members: i64,
        /// The export, `exp_…`.
        export: String,
    },
    /// Send a file that was uploaded through the kernel.
    Import {
        /// The import, `imp_…`.
        import: String,
        /// How many rows it has.
        rows: i64,
    },
    /// Change the limits of this list.
    Policy {
        /// The limits from then on.
        policy: ApprovalPolicy,
    },
}

/// The channel of requests of before. It is not written, so that what is asked for by the API keeps its id.
fn api() -> String {
    "api".to_owned()
}

fn is_api(channel: &str) -> bool {
    channel == "api"
}

impl Act {
    /// What it takes to do it.
    pub fn permission(&self) -> Permission {
        match self {
            Self::Adjust { .. } => Permission::MembersAdjust,
            Self::Refund { .. } => Permission::OrdersRefund,
            Self::Merge { .. } => Permission::MembersMerge,
            Self::Publish { .. } | Self::Value { .. } | Self::Draft { .. } => Permission::ProgramWrite,
            Self::Reveal { .. } => Permission::MembersReveal,
            Self::Import { .. } => Permission::ImportsWrite,
            Self::Policy { .. } => Permission::OperatorsWrite,
        }
    }

    /// What the audit log and lists keep of it. Of a program file only its digest: the documents have their own history.
    pub fn facts(&self) -> Value {
        match self {
            Self::Publish { program, override_reason } => {
                let digest = guerdon_core::hex::encode(&crate::identity::directory::digest(program));
                match override_reason {
                    None => json!({ "kind": "publish", "sha256": digest }),
                    Some(reason) => json!({ "kind": "publish", "sha256": digest, "override_reason": reason }),
                }
            }
            other => json!(other),
        }
    }

    /// Clears away what was kept for an act that is never to be done.
    pub(super) async fn give_up(&self, state: &AppState, approval: &Approval) -> Result<(), Problem> {
        match self {
            Self::Draft { draft, submission, .. } => {
                drafts::rejected(state, &decider(approval), draft, *submission, &approval.note).await
            }
            Self::Import { import, .. } => imports::reject(state, import).await,
            _ => Ok(()),
        }
    }

    /// Does it.
    pub(super) async fn carry_out(&self, state: &AppState, approval: &Approval) -> Result<Value, Problem> {
        match self {
            Self::Adjust { member, currency, points, reason, key, channel } => {
                let currency = CurrencyId(*currency);
                let command =
                    Command::adjust(*member, key, state.engine.now(), currency, *points, reason)?.from_channel(channel);
                submit(state, command.by(approval.requested_by.clone())).await
            }
            Self::Refund { member, owner, order, reason, key, channel, .. } => {
                let command =
                    Command::refund(*member, *owner, key, state.engine.now(), *order, reason)?.from_channel(channel);
                let receipt = submit(state, command.by(approval.requested_by.clone())).await?;
                crate::disputes::settle_quietly(state, *order).await;
                Ok(receipt)
            }
            Self::Merge { from, into, reason, key, channel, .. } => {
                let command = Command::merge(*from, *into, key, state.engine.now(), reason)?.from_channel(channel);
                submit(state, command.by(approval.requested_by.clone())).await
            }
            Self::Publish { program, override_reason } => {
                let mut event = decider(approval).event(state.clock(), "program.publish", "");
                event.reason = with_override(&approval.reason, override_reason.as_deref());
                publish_program(state, program, event).await
            }
            Self::Value { currency, value } => {
                let value = PointValue { value: *value, reason: approval.reason.clone() };
                publish_value(state, &decider(approval), currency, value).await
            }
            Self::Draft { draft, submission, .. } => {
                drafts::agreed(state, &decider(approval), draft, *submission, &approval.note).await
            }
            Self::Reveal { export, .. } => crate::privacy::bulk::release(state, export).await,
            Self::Import { import, .. } => imports::release(state, import).await,
            Self::Policy { policy } => {
                put_policy(state, &decider(approval), policy).await?;
                Ok(json!(policy))
            }
        }
    }
}

/// Who has approved, for what is carried out in his name.
fn decider(approval: &Approval) -> Actor {
    let id = approval.decided_by.clone().unwrap_or_default();
    Actor { who: Who::Operator { id, session: String::new() }, ..Actor::system() }
}

async fn submit(state: &AppState, command: Command) -> Result<Value, Problem> {
    let reply = state.engine.submit_one(command).await?;
    serde_json::from_str(&reply.receipt)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", error.to_string()))
}

/// A reason as the audit log keeps it, with why what is for the worse holds at once.
pub fn with_override(reason: &str, override_reason: Option<&str>) -> String {
    match override_reason {
        None => reason.to_owned(),
        Some(why) => format!("{reason} (before its notice was over: {why})"),
    }
}

/// Publishes a program file, and tells of it in the same transaction. The event gets its subject here.
pub async fn publish_program(state: &AppState, program: &str, event: AuditEvent) -> Result<Value, Problem> {
    let invalid = |problem: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_program", problem);
    let bundle = Bundle::parse(program).map_err(invalid)?;
    let subject = format!("program {}", bundle.program.id);
    let published = state.engine.publish(bundle, AuditEvent { subject, ..event }).await?;
    Ok(json!({ "added": published.added, "retired": published.retired }))
}

/// Checks a value of a point before it is asked for.
pub fn check_value(program: &Program, code: &str, value: &PointValue) -> Result<(), Problem> {
    let invalid = |problem: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_value", problem);
    program.check_value(code, value).map_err(invalid)
}

/// Publishes what a point is worth, and tells of it in the same transaction.
pub async fn publish_value(state: &AppState, actor: &Actor, code: &str, value: PointValue) -> Result<Value, Problem> {
    let mut event = actor.event(state.clock(), "currency.value", &format!("currency {code}"));
    value.reason.clone_into(&mut event.reason);
    let published = state.engine.publish_value(code.to_owned(), value, event).await?;
    Ok(json!({ "value": published.published.value, "version": published.version }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_keeps_its_channel_and_those_of_before_came_by_the_api() {
        let stored = json!({ "kind": "refund", "member": "mem_0000000000001", "owner": "mem_0000000000001",
            "order": "ord_0000000000002", "points": 5, "reason": "broken", "key": "k" });
        let act: Act = serde_json::from_value(stored.clone()).unwrap();
        assert!(matches!(&act, Act::Refund { channel, .. } if channel == "api"));
        assert_eq!(act.facts(), stored, "what was asked for before has another id");
        let mut of_console = stored;
        of_console["channel"] = json!("console");
        assert_eq!(serde_json::from_value::<Act>(of_console.clone()).unwrap().facts(), of_console);
    }
}
