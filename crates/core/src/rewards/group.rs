//! The price for a group of friends: several who order within a time pay less.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Reward, RewardKind};

/// What a group takes, and what each of its members pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupPrice {
    /// How many members it takes, whoever opens it among them.
    pub members: i64,
    /// Within how many hours of its opening.
    pub hours: i64,
    /// Per cent of the price before that each pays.
    pub percent: Decimal,
}

impl Reward {
    /// What an order for it must say that an order in a group does not say: groups send to where each member has things sent, and
    /// choose nothing else. `None`: it can be ordered in a group.
    pub fn group_lacks(&self) -> Option<&'static str> {
        match &self.kind {
            Some(RewardKind::Physical { variants, .. }) if !variants.is_empty() => Some("variant"),
            Some(RewardKind::Service { appointments: Some(_) }) => Some("slot"),
            Some(RewardKind::TopUp { account: Some(_) }) => Some("account"),
            _ => None,
        }
    }
}
