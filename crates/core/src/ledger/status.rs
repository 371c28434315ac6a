//! Where an account stands in its life, and what a merge carries over.

use serde::{Deserialize, Serialize};

use super::{Agenda, CurrencyId, Lifetime};
use crate::earning::{History, Recent};
use crate::id::MemberId;
use crate::redemption::Granted;
use crate::tiers::Standing;
use crate::time::Timestamp;

/// Where an account stands. All but an active one only settle what was begun before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// Earns and redeems.
    #[default]
    Active,
    /// Closed: the points left were forfeited.
    Closed {
        /// When.
        at: Timestamp,
    },
    /// Merged into another account of the same person, which has its points and its history.
    Merged {
        /// Which.
        into: MemberId,
    },
    /// What was known of the person was destroyed.
    Erased {
        /// When.
        at: Timestamp,
    },
}

impl AccountStatus {
    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Closed { .. } => "closed",
            Self::Merged { .. } => "merged",
            Self::Erased { .. } => "erased",
        }
    }
}

/// What goes with a merge besides the points; both of its journal entries have it in their receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    /// The account that ends.
    pub from: MemberId,
    /// The account that goes on.
    pub into: MemberId,
    /// Accounts that had been merged into the one that ends, and come along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub brought: Vec<MemberId>,
    /// The totals over the life of each wallet that ends: they count for the account that goes on.
    pub lifetimes: Vec<(CurrencyId, Lifetime)>,
    /// When the member last did something on the account that ends.
    pub last_activity_at: Timestamp,
    /// Who had referred the member on the account that ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrer: Option<MemberId>,
    /// What the account that ends remembers of activities: the account that goes on takes it in.
    #[serde(default, skip_serializing_if = "History::is_empty")]
    pub history: History,
    /// What the account that ends owes, and where its lots went.
    #[serde(default, skip_serializing_if = "Agenda::is_empty")]
    pub agenda: Agenda,
    /// What it remembers of them by days.
    #[serde(default, skip_serializing_if = "Recent::is_empty")]
    pub recent: Recent,
    /// Where the member stands on it.
    #[serde(default, skip_serializing_if = "Standing::is_empty")]
    pub standing: Standing,
    /// Its allowances of tills without network that were good when the latest was granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lent: Vec<Granted>,
}
