//! What an order keeps of what was chosen: the slot of an appointment, and the privileges that come with it.

use serde::{Deserialize, Serialize};

use super::order::{Order, Particulars};
use super::state::Funds;
use crate::id::TransactionId;
use crate::rewards::{Slot, slot_key};
use crate::time::Timestamp;

/// An appointment, since an entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booked {
    /// By which entry it was made.
    pub transaction_id: TransactionId,
    /// Its [`Slot::id`] within the service.
    pub slot: String,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it is over.
    pub ends_at: Timestamp,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

/// A privilege or trial that comes with an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Benefit {
    /// Which reward.
    pub reward: String,
    /// For how many days it was promised.
    pub days: i64,
    /// Since when it holds: since it was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Up to, but not at, which moment: the end of the last day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Booked {
    /// A slot that was taken by an entry of the journal.
    pub fn new(transaction_id: TransactionId, slot: Slot) -> Self {
        let Slot { id, starts_at, ends_at, store, .. } = slot;
        Self { transaction_id, slot: id, starts_at, ends_at, store }
    }
}

impl Particulars {
    /// The appointment as it stands.
    pub fn booked(&self) -> Option<&Booked> {
        self.slots.last()
    }
}

impl Order {
    /// Until when nobody can be expected to fulfil it: it may still be called off, or its appointment is not over.
    pub fn waits_until(&self) -> Option<Timestamp> {
        let over = self.details.particulars.booked().map(|booked| booked.ends_at);
        self.details.cooling_until.max(over)
    }

    /// The privileges and trials that hold at some time by it: from when, until when.
    pub fn benefits(&self) -> impl Iterator<Item = (&Benefit, Timestamp, Timestamp)> {
        let spent = self.state.funds() == Funds::Spent;
        let benefits = self.details.particulars.benefits.iter().filter(move |_| spent);
        benefits.filter_map(|benefit| Some((benefit, benefit.from?, benefit.until?)))
    }

    /// Until when something holds by it; `None`: nothing does.
    pub fn good_until(&self) -> Option<Timestamp> {
        self.benefits().map(|(_, _, until)| until).max()
    }

    /// Takes an appointment in another slot: what it takes of the stock goes with it.
    pub(crate) fn rebook(&mut self, booked: Booked) {
        let Particulars { slots, stock, .. } = &mut self.details.particulars;
        if let Some(before) = slots.last() {
            let (was, is) = (slot_key(&self.reward_id, &before.slot), slot_key(&self.reward_id, &booked.slot));
            stock.iter_mut().filter(|taken| taken.key == was).for_each(|taken| taken.key.clone_from(&is));
        }
        slots.push(booked);
    }

    /// Takes back appointments that were made by an entry of the journal from `from` on, and privileges that do not hold yet
    /// as it stands.
    pub(super) fn rewind_contents(&mut self, from: TransactionId) {
        let Particulars { slots, stock, benefits, .. } = &mut self.details.particulars;
        let was = slots.last().map(|booked| slot_key(&self.reward_id, &booked.slot));
        slots.retain(|booked| booked.transaction_id < from);
        if let (Some(was), Some(now)) = (was, slots.last()) {
            let is = slot_key(&self.reward_id, &now.slot);
            stock.iter_mut().filter(|taken| taken.key == was).for_each(|taken| taken.key.clone_from(&is));
        }
        if self.state.funds() == Funds::Held {
            benefits.iter_mut().for_each(|benefit| (benefit.from, benefit.until) = (None, None));
        }
    }
}
