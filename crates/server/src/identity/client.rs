//! Partners' programs (OAuth2 clients) and their access tokens as they are stored.

use guerdon_core::identity::Permissions;
use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::allowance::Allowance;
use super::usage::UsageQuota;

/// The kind of the clients' records; the id is `cli_…`.
pub const CLIENT: &str = "client";
/// The kind of the records of access tokens; the id is the digest of the token, the subject the client.
pub const ACCESS_TOKEN: &str = "access_token";
/// How long an access token holds, in seconds.
pub const ACCESS_TOKEN_SECONDS: i64 = 15 * 60;
/// Secrets of one client at the most: the one in use, and the one that it replaces.
pub const MOST_SECRETS: usize = 2;

/// Whether a client may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientState {
    /// It may.
    Active,
    /// It may not, until someone lifts it.
    Suspended,
}

/// A secret of a client, by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSecret {
    /// SHA-256 in hexadecimal digits.
    pub digest: String,
    /// Its visible beginning.
    pub prefix: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when; left out: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl ClientSecret {
    /// Whether it still counts.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }
}

/// A partner's program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// The partner, and what it is for.
    pub name: String,
    /// Whether it may call.
    pub state: ClientState,
    /// What it may do at the most, from where, and how often.
    #[serde(flatten)]
    pub allowance: Allowance,
    /// Requests of a day and of a month (UTC) at the most.
    #[serde(default)]
    pub quota: UsageQuota,
    /// Its secrets, the newest last.
    pub secrets: Vec<ClientSecret>,
    /// Since when.
    pub created_at: Timestamp,
    /// Who registered it.
    pub created_by: String,
    /// The people who were ever given a secret of it, by registering it or rotating one; none in records of before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<String>,
}

/// A short-lived token of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// What it was narrowed to. It never does more than the client may at the moment of use.
    pub permissions: Permissions,
    /// Since when.
    pub created_at: Timestamp,
}
