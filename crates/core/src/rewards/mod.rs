//! Rewards: what the catalogue offers, what it costs, and the stock behind it.

mod cash;
mod group;
mod price;
mod price_check;
mod price_turns;
mod pricing;
mod quote;

pub use cash::{Cash, CashRange, CashShare, Split};
pub use group::GroupPrice;
pub use price::{Base, Cold, CurveStep, Demand, DemandFigures, DemandStep, Offer, Price, Season, TierPrice};
pub use price_turns::{PriceTurn, TurnCause};
pub use pricing::{How, Occasion, Priced, Step, group_share};
pub use quote::{Opened, Promise, Quote};

pub(crate) use price_check::{Surroundings as PriceSurroundings, check_margin};

mod appointments;
mod assortment;
mod browse;
mod catalogue;
mod category;
mod fulfilment;
mod kind;
mod limit;
mod parts;
mod picture;
mod release;
mod reviews;
mod scarcity;
mod scarcity_check;
mod stock;
mod visibility;
mod waiting;

use serde::{Deserialize, Serialize};

use crate::ledger::CurrencyId;
use crate::program::Text;

pub use appointments::{Appointments, Slot, WeeklySlots, free_places, slot_key};
pub use assortment::{Assortment, StrongCategory, Uptake, Window};
pub use browse::{Cursor, Figures, Listing, Shelf, Sort, Wish};
pub(crate) use catalogue::Named;
pub use catalogue::{Catalogue, Listed, VisibleTo, Zone};
pub use category::Category;
pub(crate) use category::validate_categories;
pub use fulfilment::{Fulfilment, check_supplier_name};
pub use kind::{AccountForm, Content, RewardKind, Variant};
pub(crate) use limit::validate as validate_limits;
pub use limit::{CountedIn, Limit, LimitUse};
pub(crate) use parts::parts_level;
pub use parts::{Chosen, Part, keys_of, level_of, parts_of, slot_part, variant_key};
pub use picture::{Picture, is_picture_digest};
pub use release::{Left, PresaleTime, Rights, Share, Shut};
pub use reviews::{Moderation, Rating, ReviewPolicy, check_review};
pub use scarcity::{Early, Every, Pool, Presale, PrivateWindow, Release, Restock, Scarcity, WaitingRoom};
pub use stock::{StockChange, StockLevel, StockTaken, stock_key, stock_part};
pub use visibility::{CompiledReward, Hidden, Place, Viewer};
pub use waiting::{Line, Place as WaitingPlace, Puzzle, Room, Ticket, Waits};

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
    /// How many units each member may order; empty: as many as there are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limit: Vec<Limit>,
    /// Whether it is handed out at a store, against a voucher.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pickup: bool,
    /// What it is; left out: it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<RewardKind>,
    /// Who or what hands it out; left out: people do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fulfilment: Option<Fulfilment>,
    /// How it stands in the catalogue.
    #[serde(default, skip_serializing_if = "Catalogue::is_empty")]
    pub catalogue: Catalogue,
    /// How it is shared out where there is not enough for all.
    #[serde(default, skip_serializing_if = "Scarcity::is_empty")]
    pub scarcity: Scarcity,
}

fn first_currency() -> CurrencyId {
    CurrencyId(1)
}
