//! How scarce rewards are shared out, as an operator writes it: pools of stock, restocking, who comes first, and the waiting
//! room of a flash sale.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use super::VisibleTo;
use crate::serial::is_zero;

/// How a scarce reward is shared out. What is left out does not happen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scarcity {
    /// The parts of its stock; left out: it is one. An order takes from the first that is open to the member and has enough.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<Pool>,
    /// When units come in by themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restock: Vec<Restock>,
    /// Who comes before everybody, and what is set aside for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// What is kept for those who went away empty-handed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_window: Option<PrivateWindow>,
    /// How those who come all at once are let in one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_room: Option<WaitingRoom>,
}

/// A part of a reward's stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Its id within the reward: lower-case letters, digits and hyphens.
    pub id: String,
    /// Units to begin with.
    pub stock: i64,
    /// For whom it is, and where; left out: for everybody everywhere.
    #[serde(default, skip_serializing_if = "VisibleTo::is_everyone")]
    pub open_to: VisibleTo,
}

/// Units that come in by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restock {
    /// When, by the local time of the program; where it recurs, the first time.
    pub at: DateTime,
    /// How many.
    pub quantity: i64,
    /// Into which pool; left out: the reward has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// How often it recurs; left out: once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Every>,
    /// Until when it recurs, the moment itself left out; left out: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime>,
}

/// How often something recurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// Each day at the same local time.
    Day,
    /// Each week.
    Week,
    /// Each month, on its last day where it is shorter.
    Month,
}

/// Who comes before everybody, and what is set aside for the others. Everybody comes when the reward is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Release {
    /// The tiers that come earlier, besides what their benefits say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub early: Vec<Early>,
    /// Per cent of the units in stock and handed out, rounded up to whole units, that those who come earlier leave for
    /// everybody else.
    #[serde(skip_serializing_if = "is_zero")]
    pub set_aside: i64,
    /// For how many hours after everybody has come they are left for members without any early access.
    #[serde(skip_serializing_if = "is_zero")]
    pub regular_hours: i64,
    /// The right of those who spent most to come earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presale: Option<Presale>,
}

/// A tier that comes earlier, and those above it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Early {
    /// The tier.
    pub tier: String,
    /// How many hours before everybody.
    pub hours: i64,
}

/// The right of those who spent most to come earlier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presale {
    /// The upper so many per cent of the members who spent anything.
    pub top_percent: i64,
    /// How many hours before everybody.
    pub hours: i64,
    /// In how many whole local months before the one in which the presale begins.
    #[serde(default = "a_year")]
    pub months: i64,
}

/// What is kept for those who went away empty-handed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivateWindow {
    /// After how many orders that were refused because nothing was left.
    #[serde(default = "three")]
    pub after_tries: i64,
    /// Within how many hours.
    #[serde(default = "three_days")]
    pub within_hours: i64,
    /// For how many hours after it was restocked the stock is for them alone.
    #[serde(default = "a_day")]
    pub hours: i64,
    /// The pool that is kept for them until so long after it was last restocked; left out: whatever is restocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
}

/// How those who come all at once are let in one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitingRoom {
    /// From when on members are let in, by the local time of the program.
    pub from: DateTime,
    /// Until when there is a waiting room; left out: as long as the reward says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime>,
    /// How many members are let in each second.
    pub admit_per_second: i64,
    /// How many minutes before it a place in the queue is given.
    #[serde(default = "a_quarter")]
    pub queue_minutes: i64,
    /// For how many minutes whoever was let in may order.
    #[serde(default = "ten_minutes")]
    pub admitted_minutes: i64,
    /// How much work a place costs: that many leading bits of a SHA-256 are zero; 0: none.
    #[serde(default = "sixteen_bits")]
    pub difficulty: u32,
}

impl Scarcity {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The pool of an id.
    pub fn pool(&self, id: &str) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.id == id)
    }
}

fn a_year() -> i64 {
    12
}

fn three() -> i64 {
    3
}

fn three_days() -> i64 {
    72
}

fn a_day() -> i64 {
    24
}

fn a_quarter() -> i64 {
    15
}

fn ten_minutes() -> i64 {
    10
}

fn sixteen_bits() -> u32 {
    16
}
