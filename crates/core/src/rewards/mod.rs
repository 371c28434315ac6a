//! Rewards: what the catalogue offers, what it costs, and the stock behind it.

mod price;
mod price_check;
mod pricing;
mod quote;

pub use price::{Base, Cold, CurveStep, Demand, DemandStep, Figures, Offer, Price, Season, TierPrice};
pub use pricing::{How, Occasion, Priced, Step};
pub use quote::{Opened, Promise, Quote};

pub(crate) use price_check::{Surroundings as PriceSurroundings, check_margin};

use serde::{Deserialize, Serialize};

use crate::ledger::CurrencyId;
use crate::program::Text;

/// A reward as an operator writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reward {
    /// Its id: lower-case letters, digits and hyphens.
    pub id: String,
    /// What people call it.
    pub name: Text,
    /// What a unit costs.
    pub price: Price,
    /// The currency of the price; 1, the first, when left out.
    #[serde(default = "first_currency")]
    pub currency: CurrencyId,
    /// Units to begin with. Left out: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<i64>,
}

fn first_currency() -> CurrencyId {
    CurrencyId(1)
}

/// The units of a reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StockLevel {
    /// Units to begin with.
    pub initial: i64,
    /// Units added since.
    pub restocked: i64,
    /// Units handed out.
    pub issued: i64,
    /// Units there, promised or not: `initial + restocked − issued`.
    pub on_hand: i64,
    /// Units promised to orders that are not captured yet.
    pub reserved: i64,
}

impl StockLevel {
    /// Stock at the beginning.
    pub fn new(initial: i64) -> Self {
        Self { initial, on_hand: initial, ..Self::default() }
    }

    /// Units that can still be promised.
    pub fn free(&self) -> i64 {
        self.on_hand - self.reserved
    }

    /// This level after a change.
    pub fn plus(mut self, change: StockChange) -> Self {
        self.reserved += change.reserved;
        self.issued += change.issued;
        self.on_hand -= change.issued;
        self
    }
}

/// A relative change of stock; changes of one batch are added up and written once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StockChange {
    /// Change of `reserved`.
    pub reserved: i64,
    /// Change of `issued`; `on_hand` changes by its opposite.
    pub issued: i64,
}

impl StockChange {
    /// Both changes together.
    pub fn plus(self, other: Self) -> Self {
        Self { reserved: self.reserved + other.reserved, issued: self.issued + other.issued }
    }
}
