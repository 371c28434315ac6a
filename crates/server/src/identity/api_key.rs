//! API keys as they are stored.

use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::allowance::Allowance;

/// The kind of their records; the id is the digest of the key, the subject `key_…`, so that a rotated key has two records
/// while the old one still counts. The record's end is the key's.
pub const API_KEY: &str = "api_key";

/// What the keyring seals the signing secrets of keys for; the owner is the key.
pub const SIGNING: &str = "request signing";

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// What it is for.
    pub name: String,
    /// The visible beginning of the key, by which people tell it.
    pub prefix: String,
    /// What it may do, from where, and how often.
    #[serde(flatten)]
    pub allowance: Allowance,
    /// The secret with which its requests must be signed, sealed; left out: they need no signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<String>,
    /// Since when.
    pub created_at: Timestamp,
    /// Who issued it.
    pub created_by: String,
    /// The people who were ever given a secret of it, by issuing or rotating it; none in records of before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<String>,
    /// When the secret was replaced; left out: it is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<Timestamp>,
}
