//! Operators as they are stored.

use guerdon_core::identity::Grant;
use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The kind of their records; the id is `opr_…`.
pub const OPERATOR: &str = "operator";

/// Whether an operator may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorState {
    /// Invited, has not chosen a password yet.
    Invited,
    /// May sign in.
    Active,
    /// May not, until someone lifts it.
    Suspended,
}

/// A person who works on the program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
}
