//! API keys as they are stored.

use guerdon_core::identity::Permissions;
use guerdon_core::time::Timestamp;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The kind of their records; the id is the digest of the key, the subject `key_…`, so that a rotated key has two records
/// while the old one still counts.
pub const API_KEY: &str = "api_key";

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// What it is for.
    pub name: String,
    /// The visible beginning of the key, by which people tell it.
    pub prefix: String,
    /// What it may do.
    pub permissions: Permissions,
    /// In which stores; empty: in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<String>,
    /// From which networks it may come; empty: from all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<IpNet>,
    /// Since when.
    pub created_at: Timestamp,
    /// Who issued it.
    pub created_by: String,
}
