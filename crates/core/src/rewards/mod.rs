//! Rewards: what the catalogue offers, what it costs, and the stock behind it.

mod price;
mod price_check;
mod pricing;
mod quote;

pub use price::{Base, Cold, CurveStep, Demand, DemandFigures, DemandStep, Offer, Price, Season, TierPrice};
pub use pricing::{How, Occasion, Priced, Step};
pub use quote::{Opened, Promise, Quote};

pub(crate) use price_check::{Surroundings as PriceSurroundings, check_margin};

mod browse;
mod catalogue;
mod category;
mod kind;
mod picture;
mod reviews;
mod visibility;

use serde::{Deserialize, Serialize};

use crate::ledger::CurrencyId;
use crate::program::Text;

pub use browse::{Cursor, Figures, Listing, Shelf, Sort, Wish};
pub(crate) use catalogue::Named;
pub use catalogue::{Catalogue, Listed, VisibleTo, Zone};
pub use category::Category;
pub(crate) use category::validate_categories;
pub use kind::{Content, RewardKind, Variant};
pub use picture::{Picture, is_picture_digest};
pub use reviews::{Moderation, Rating, ReviewPolicy, check_review};
pub use visibility::{CompiledReward, Hidden, Place, Viewer};

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
    /// What it is; left out: it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<RewardKind>,
    /// How it stands in the catalogue.
    #[serde(default, skip_serializing_if = "Catalogue::is_empty")]
    pub catalogue: Catalogue,
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

    /// Units that can still be promised, when they are a tenth or less of what there was: what may be called few.
    pub fn few(&self) -> Option<i64> {
        let free = self.free();
        (free.saturating_mul(10) <= self.initial.saturating_add(self.restocked)).then_some(free)
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
