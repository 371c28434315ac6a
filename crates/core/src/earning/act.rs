//! Acts: what a rule does besides giving points, and what receipts tell of it.

use serde::{Deserialize, Serialize};

use super::rule::{Effect, Rule};
use crate::id::OrderId;
use crate::kernel::Event;

/// What a rule does, or would have done had a cap or another rule not kept it from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Act {
    /// Somebody is given something to do.
    Task,
    /// The member is written to.
    Message {
        /// By which template.
        template: String,
    },
    /// The member is given a reward for no points.
    Reward {
        /// Which.
        reward: String,
        /// How many units.
        quantity: i64,
        /// The order that gave them, when it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<OrderId>,
        /// Whether there were not so many left.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        out_of_stock: bool,
    },
    /// The member is lifted to a tier.
    Tier {
        /// Which.
        tier: String,
        /// Whether the member stands as high for as long anyway, or its time was over when the activity arrived.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        without_effect: bool,
    },
}

impl Act {
    /// The act of an effect; `None`: it gives or takes points.
    pub(super) fn of(effect: &Effect) -> Option<Self> {
        match effect {
            Effect::Task { .. } => Some(Self::Task),
            Effect::Message { template } => Some(Self::Message { template: template.clone() }),
            Effect::IssueReward { reward, quantity } => {
                let reward = reward.clone();
                Some(Self::Reward { reward, quantity: *quantity, order: None, out_of_stock: false })
            }
            Effect::GrantTier { tier, .. } => Some(Self::Tier { tier: tier.clone(), without_effect: false }),
            _ => None,
        }
    }
}

/// What is to be told because a rule acts.
pub(super) fn event(rule: &Rule) -> Option<Event> {
    match &rule.effect {
        Effect::Task { text } => Some(Event::Task { subject: rule.id.clone(), text: text.clone() }),
        Effect::Message { template } => Some(Event::Message { template: template.clone() }),
        _ => None,
    }
}
