//! Operators as they are stored.

use guerdon_core::hex;
use guerdon_core::identity::Grant;
use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::passkey::StoredPasskey;
use super::recovery::RecoveryCodes;

/// The kind of their records; the id is `opr_…`.
pub const OPERATOR: &str = "operator";
/// The kind of the records that lead from an e-mail address to an operator; the id is the address's keyed digest.
pub const OPERATOR_EMAIL: &str = "operator_email";
/// The role that only its own may give.
pub const OWNER: &str = "owner";

/// Whether an operator may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorState {
    /// Invited, has not accepted yet.
    Invited,
    /// May sign in.
    Active,
    /// May not, until someone lifts it.
    Suspended,
}

impl OperatorState {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}

/// An authenticator app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticator {
    /// The secret, sealed by the keyring.
    pub secret: String,
    /// The step of the code that was used last: no code counts twice.
    pub last_step: Option<i64>,
}

/// A person at an identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalIdentity {
    /// The provider's issuer URL.
    pub issuer: String,
    /// The person's subject there.
    pub subject: String,
    /// The roles that its claims gave last, of those in the operator's grants; the next sign-in puts others in their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
}

/// A person who works on the program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Operator {
    /// Work e-mail, the name to sign in with.
    pub email: String,
    /// Display name.
    pub name: String,
    /// Whether they may sign in.
    pub state: OperatorState,
    /// Their roles.
    #[serde(default)]
    pub grants: Vec<Grant>,
    /// Since when.
    pub created_at: Timestamp,
    /// The people who had a link to this account in hand: who has invited or reset them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invited_by: Vec<String>,
    /// The password's argon2id hash; none for those who come by single sign-on alone.
    #[serde(default)]
    pub password: Option<String>,
    /// The authenticator app.
    #[serde(default)]
    pub authenticator: Option<Authenticator>,
    /// Passkeys.
    #[serde(default)]
    pub passkeys: Vec<StoredPasskey>,
    /// What is left of the recovery codes.
    #[serde(default)]
    pub recovery: RecoveryCodes,
    /// Where the person signs in by single sign-on.
    #[serde(default)]
    pub external: Vec<ExternalIdentity>,
}

impl Operator {
    /// A person who is invited.
    pub fn invited(email: &str, name: &str, grants: Vec<Grant>, now: Timestamp) -> Self {
        Self {
            email: email.trim().to_lowercase(),
            name: name.trim().to_owned(),
            state: OperatorState::Invited,
            grants,
            created_at: now,
            invited_by: Vec::new(),
            password: None,
            authenticator: None,
            passkeys: Vec::new(),
            recovery: RecoveryCodes::default(),
            external: Vec::new(),
        }
    }

    /// A digest of what an attempt to sign in rests on: another one once the password was changed or somebody has reset it.
    pub fn credentials(&self) -> String {
        let mut digest = Sha256::new();
        for part in self.password.iter().chain(&self.invited_by) {
            digest.update(part);
            digest.update([0]);
        }
        hex::encode(&digest.finalize().into())
    }

    /// Whether there is a second factor to ask for.
    pub fn has_second_factor(&self) -> bool {
        self.authenticator.is_some() || !self.passkeys.is_empty()
    }

    /// Whether they own the program.
    pub fn is_owner(&self) -> bool {
        self.grants.iter().any(|grant| grant.role == OWNER && grant.stores.is_empty())
    }

    /// What the audit log keeps of them: nothing secret.
    pub fn facts(&self) -> Value {
        json!({
            "email": self.email, "name": self.name, "state": self.state, "grants": self.grants,
            "password": self.password.is_some(), "authenticator": self.authenticator.is_some(),
            "passkeys": self.passkeys.len(), "external": self.external, "invited_by": self.invited_by,
        })
    }
}
