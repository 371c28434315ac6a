//! The audit log: every administrative act, chained by hashes and anchored in the transparency log.

mod verify;

pub use verify::ChainVerifier;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::id::TransactionId;
use crate::proofs::Hash;
use crate::time::Timestamp;

/// An administrative act. Nothing personal of a member stands here: members are named by their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// When.
    pub at: Timestamp,
    /// Who: `opr_…` an operator, `key_…` an API key, `mem_…` a member, `cli`, `system`.
    pub actor: String,
    /// From which network address; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// What, as `noun.verb`: `operator.invite`, `member.reveal`.
    pub action: String,
    /// To what: an id, or `kind id`.
    pub subject: String,
    /// Why, where a reason was asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How it was before; null where there was nothing.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// How it is now.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub after: Value,
}

/// What stands beside an entry to search by. It repeats the body, which is what counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditColumns {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub subject: String,
}

impl AuditEvent {
    /// What is searched by.
    pub fn columns(&self) -> AuditColumns {
        let Self { at, actor, action, subject, .. } = self;
        AuditColumns { at: *at, actor: actor.clone(), action: action.clone(), subject: subject.clone() }
    }
}

/// An event at its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place, counted from 1 without gaps.
    pub number: i64,
    /// Its id in the transparency log.
    pub id: TransactionId,
    /// The event as it was hashed, JSON.
    pub body: String,
    /// The hash of the entry before it; zeros for the first.
    pub previous: Hash,
    /// Its own hash, which is its leaf in the transparency log.
    pub hash: Hash,
}

impl AuditEntry {
    /// Chains an event to the entry before it.
    pub fn new(number: i64, id: TransactionId, body: String, previous: Hash) -> Self {
        let hash = entry_hash(number, id, &body, &previous);
        Self { number, id, body, previous, hash }
    }

    /// The event.
    pub fn event(&self) -> Result<AuditEvent, String> {
        serde_json::from_str(&self.body).map_err(|error| format!("its body is no event: {error}"))
    }

    /// Whether the hash is that of the content.
    pub fn is_whole(&self) -> bool {
        self.hash == entry_hash(self.number, self.id, &self.body, &self.previous)
    }
}

/// SHA-256 over the domain `guerdon audit 1`, the number, the id, the hash before, and the body. As a leaf of the
/// transparency log it is told from a transaction by the domain (RFC 9162, 2.1.1 hashes leaves with a prefix of their own).
fn entry_hash(number: i64, id: TransactionId, body: &str, previous: &Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update(b"\0guerdon audit 1\0");
    hash.update(number.to_be_bytes());
    hash.update(id.0.to_be_bytes());
    hash.update(previous);
    hash.update(body.as_bytes());
    hash.finalize().into()
}
