//! Who a request comes from, and what they may do.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use guerdon_core::audit::AuditEvent;
use guerdon_core::id::MemberId;
use guerdon_core::identity::{Access, Permission};
use guerdon_core::time::Timestamp;
use serde_json::Value;

use crate::problem::Problem;

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Nobody known.
    Anonymous,
    /// An operator: the id, and the digest of the session.
    Operator {
        /// `opr_…`
        id: String,
        /// The session's record.
        session: String,
    },
    /// The server itself: a job.
    System,
    /// A program with an API key.
    Key {
        /// `key_…`
        id: String,
    },
    /// A partner's program with a short-lived token.
    Client {
        /// `cli_…`
        id: String,
    },
    /// A member in the portal.
    Member {
        /// The member.
        id: MemberId,
        /// The session's record.
        session: String,
    },
}

/// Who a request comes from, from where, and what they may do. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Who.
    pub who: Who,
    /// From which address.
    pub address: IpAddr,
    /// What they may do.
    pub access: Arc<Access>,
}

impl Actor {
    /// Nobody known.
    pub fn anonymous(address: IpAddr) -> Self {
        Self { who: Who::Anonymous, address, access: Arc::default() }
    }

    /// The server itself: a job, which is bound by nothing but what it is written to do.
    pub fn system() -> Self {
        Self { who: Who::System, ..Self::anonymous(IpAddr::V4(Ipv4Addr::LOCALHOST)) }
    }

    /// The name under which the audit log knows them.
    pub fn name(&self) -> String {
        match &self.who {
            Who::Anonymous => "anonymous".to_owned(),
            Who::System => "system".to_owned(),
            Who::Operator { id, .. } | Who::Key { id } | Who::Client { id } => id.clone(),
            Who::Member { id, .. } => id.to_string(),
        }
    }

    /// The operator's id, where it is one.
    pub fn operator(&self) -> Option<&str> {
        match &self.who {
            Who::Operator { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The member, where it is one.
    pub fn member(&self) -> Option<MemberId> {
        match &self.who {
            Who::Member { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// The session's record, where there is a session.
    pub fn session(&self) -> Option<&str> {
        match &self.who {
            Who::Operator { session, .. } | Who::Member { session, .. } => Some(session),
            _ => None,
        }
    }

    /// Whether something may be done in every store.
    pub fn may(&self, permission: Permission) -> bool {
        self.access.allows(permission, None)
    }

    /// Refuses what may not be done in a store; `None`: the request names none.
    pub fn require_at(&self, permission: Permission, store: Option<&str>) -> Result<(), Problem> {
        if self.access.allows(permission, store) {
            return Ok(());
        }
        let stores = self.access.stores_for(permission);
        if stores.is_empty() {
            return Err(forbidden(permission));
        }
        let detail = format!("`{permission}` is granted for {} only; name one of them as `store`", stores.join(", "));
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden_store", detail))
    }

    /// An event of the audit log by this actor. From where a member has acted is left out: the log is kept for longer than
    /// the member's data, and erasure cannot reach it.
    pub fn event(&self, at: Timestamp, action: &str, subject: &str) -> AuditEvent {
        let address = if self.member().is_some() { String::new() } else { self.address.to_string() };
        AuditEvent {
            at,
            actor: self.name(),
            address,
            action: action.to_owned(),
            subject: subject.to_owned(),
            reason: String::new(),
            before: Value::Null,
            after: Value::Null,
        }
    }
}

/// The problem of an actor who lacks a permission.
pub fn forbidden(permission: Permission) -> Problem {
    let detail = format!("this needs the permission `{permission}`, which the caller does not have");
    Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
}

impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // The guard puts it there; what it has not seen comes from nobody known.
        let nobody = || Self::anonymous(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(nobody))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_log_does_not_keep_from_where_a_member_acts() {
        let here = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
        let event = |who| Actor { who, ..Actor::anonymous(here) }.event(Timestamp::ZERO, "session.begin", "x");
        let (id, session) = (MemberId(7), "digest".to_owned());
        assert_eq!(event(Who::Member { id, session: session.clone() }).address, "");
        assert_eq!(event(Who::Operator { id: "opr_1".to_owned(), session }).address, "203.0.113.7");
        assert_eq!(event(Who::Anonymous).address, "203.0.113.7");
    }
}
