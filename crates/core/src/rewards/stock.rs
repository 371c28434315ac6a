//! The stock behind rewards: units under keys, how they change, and what an order takes of them.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Stands between a reward and the part of its stock; no id has it in it.
const PART: char = '#';

/// Under which key units are counted: those of a reward, or of a part of it that is counted by itself.
pub fn stock_key(reward_id: &str, part: Option<&str>) -> String {
    part.map_or_else(|| reward_id.to_owned(), |part| format!("{reward_id}{PART}{part}"))
}

/// The part of a reward whose units are counted under a key; `None`: those of the reward itself.
pub fn stock_part(key: &str) -> Option<&str> {
    key.split_once(PART).map(|(_, part)| part)
}

/// Units that an order takes under a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockTaken {
    /// The [`stock_key`].
    pub key: String,
    /// How many, for the whole order.
    pub units: i64,
}

/// The units under a key.
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
    /// When units were last added; `None`: never.
    pub restocked_at: Option<Timestamp>,
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

    /// Units that there were in all, handed out or not.
    pub fn all(&self) -> i64 {
        self.initial.saturating_add(self.restocked)
    }

    /// Units that can still be promised, when they are a tenth or less of what there was: what may be called few.
    pub fn few(&self) -> Option<i64> {
        let free = self.free();
        (free.saturating_mul(10) <= self.all()).then_some(free)
    }

    /// Whether a change can be made: nothing is promised that is not there, and what it relies upon is there.
    pub fn bears(&self, change: StockChange) -> bool {
        let after = self.plus(change);
        after.reserved >= 0 && after.reserved <= after.on_hand && self.free() >= change.needs
    }

    /// The level of something of which each unit takes so many of this.
    pub fn per(&self, units: i64) -> Self {
        let units = units.max(1);
        let whole = |units_here: i64| units_here.div_euclid(units);
        let (initial, restocked, issued) = (whole(self.initial), whole(self.restocked), whole(self.issued));
        let free = whole(self.free());
        Self { initial, restocked, issued, on_hand: free, reserved: 0, restocked_at: self.restocked_at }
    }

    /// Two levels together.
    pub fn and(&self, other: &Self) -> Self {
        Self {
            initial: self.initial.saturating_add(other.initial),
            restocked: self.restocked.saturating_add(other.restocked),
            issued: self.issued.saturating_add(other.issued),
            on_hand: self.on_hand.saturating_add(other.on_hand),
            reserved: self.reserved.saturating_add(other.reserved),
            restocked_at: self.restocked_at.max(other.restocked_at),
        }
    }

    /// This level after a change.
    pub fn plus(mut self, change: StockChange) -> Self {
        self.reserved += change.reserved;
        self.issued += change.issued;
        self.restocked += change.restocked;
        self.on_hand += change.restocked - change.issued;
        self.restocked_at = self.restocked_at.max(change.restocked_at);
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
    /// Change of `restocked`, and of `on_hand`.
    pub restocked: i64,
    /// When units were added, where they were.
    pub restocked_at: Option<Timestamp>,
    /// Units that must be free before the change. A store looks at it when it writes: what was decided because so many were
    /// left does not hold if another node was faster.
    pub needs: i64,
}

impl StockChange {
    /// The change of one unit for so many.
    pub fn times(self, units: i64) -> Self {
        Self { reserved: self.reserved * units, issued: self.issued * units, ..self }
    }

    /// The same change, that holds only where at least `kept` units are free after it.
    pub fn leaving(self, kept: i64) -> Self {
        Self { needs: self.needs.max(kept.saturating_sub(self.freed())), ..self }
    }

    /// By how much the units grow that can still be promised.
    fn freed(self) -> i64 {
        self.restocked - self.issued - self.reserved
    }

    /// Both changes together: the other one comes after this one.
    pub fn plus(self, other: Self) -> Self {
        Self {
            reserved: self.reserved + other.reserved,
            issued: self.issued + other.issued,
            restocked: self.restocked + other.restocked,
            restocked_at: self.restocked_at.max(other.restocked_at),
            needs: self.needs.max(other.needs.saturating_sub(self.freed())),
        }
    }
}
