//! What a bundle was made of when it was ordered, where the program itself hands some of it out: each part by its own way, and
//! what people send once that is done.

use serde::{Deserialize, Serialize};

use super::order::Order;
use super::state::{OrderMove, OrderState};
use crate::rewards::{Fulfilment, RewardKind};

/// How a part of a bundle comes to the member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "snake_case")]
pub enum PartWay {
    /// The program hands it out.
    Program {
        /// By whom or what.
        fulfilment: Fulfilment,
    },
    /// A privilege or a trial: it holds since the order was handed over.
    Granted {},
    /// People do, once the program has handed out its parts.
    People {},
}

impl PartWay {
    /// The name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Program { fulfilment } => fulfilment.name(),
            Self::Granted {} => "granted",
            Self::People {} => "people",
        }
    }
}

/// A part of a bundle as it was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPart {
    /// The reward; no bundle holds it twice.
    pub reward: String,
    /// How many units of it in all.
    pub quantity: i64,
    /// In which variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// How it comes to the member.
    #[serde(flatten)]
    pub way: PartWay,
}

/// What the program hands out: all of an order, or a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handing<'a> {
    /// The reward.
    pub reward_id: &'a str,
    /// How many units of it.
    pub quantity: i64,
    /// In which variant.
    pub variant: Option<&'a str>,
    /// By whom or what.
    pub fulfilment: &'a Fulfilment,
    /// What the reward was when it was ordered.
    pub kind: Option<&'a RewardKind>,
    /// Whether it is a part of a bundle.
    pub is_part: bool,
}

impl Order {
    /// Whether people still have something to send once the program has handed out its parts.
    pub fn has_rest_for_people(&self) -> bool {
        self.details.particulars.has_rest_for_people()
    }

    /// Where a move leads from here; `None`: it is not possible. What people send of a bundle is sent after the program has
    /// handed out the rest.
    pub fn after(&self, step: OrderMove) -> Option<OrderState> {
        let sends_rest = step == OrderMove::Ship && self.state == OrderState::Issued && self.has_rest_for_people();
        self.state.after(step).or_else(|| sends_rest.then_some(OrderState::Shipped))
    }

    /// The moves that are possible from here.
    pub fn moves(&self) -> impl Iterator<Item = OrderMove> {
        OrderMove::ALL.into_iter().filter(|step| self.after(*step).is_some())
    }
}
