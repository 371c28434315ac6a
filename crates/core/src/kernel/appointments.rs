//! Appointments: an order for a service names a free slot, and may be moved to another.

use super::batch::Loaded;
use super::command::{Action, Command, check_key, check_reason};
use super::decide::{Draft, check_active};
use super::orders::{PORTAL, owned_order};
use super::refusal::{Refusal, RefusalCode};
use crate::id::{MemberId, OrderId};
use crate::ledger::AccountStatus;
use crate::limits;
use crate::redemption::{Booked, Order, OrderState};
use crate::rewards::{Reward, Slot, StockChange, slot_key, slot_part};
use crate::time::Timestamp;

/// An appointment that is moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebooking {
    /// Of which order.
    pub order: OrderId,
    /// Under whose name it is kept: the command's member, or one whose account was merged into the member's.
    pub owner: MemberId,
    /// The [`Slot::id`] to which it is moved.
    pub slot: String,
    /// Why.
    pub reason: Option<String>,
}

impl Command {
    /// Moves the appointment of an order to another slot.
    pub fn rebook(member_id: MemberId, key: &str, at: Timestamp, rebooking: Rebooking) -> Result<Self, Refusal> {
        check_key(key)?;
        rebooking.reason.as_deref().map_or(Ok(()), check_reason)?;
        check_slot_text(&rebooking.slot)?;
        let Rebooking { order, slot, reason, .. } = &rebooking;
        let request = ("rebook", *order, slot.clone(), reason.clone());
        Ok(Self::new(member_id, key, at, Action::Rebook(Box::new(rebooking)), &request))
    }
}

/// Refuses an appointment that begins before it is known whether the group of its order comes together, which is by `ends_at`
/// at the latest; `None`: it belongs to no group that is open.
pub(super) fn check_after_group(slot: &Slot, ends_at: Option<Timestamp>) -> Result<(), Refusal> {
    let Some(ends_at) = ends_at.filter(|ends_at| slot.starts_at < *ends_at) else { return Ok(()) };
    let problem = format!("the slot {} begins before the group is over: choose one from {ends_at} on", slot.id);
    Err(Refusal::new(RefusalCode::SlotNotOffered, problem))
}

/// Checks the length of what is said to be a slot.
pub(super) fn check_slot_text(slot: &str) -> Result<(), Refusal> {
    limits::check_text("slot", slot, limits::KEY_CHARS)
        .map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))
}

impl Draft<'_> {
    /// The slot that an order names, where its reward asks for one: refused when there is none, or not any more.
    pub(super) fn check_slot(&self, reward: &Reward, slot: Option<&str>) -> Result<Option<Slot>, Refusal> {
        let id = &reward.id;
        match (reward.appointments(), slot) {
            (None, None) => Ok(None),
            (None, Some(_)) => {
                let problem = format!("`{id}` is had without an appointment; leave out `slot`");
                Err(Refusal::new(RefusalCode::InvalidRequest, problem))
            }
            (Some(_), None) => {
                let problem = format!("`slot` must name one of the free slots of `{id}`");
                Err(Refusal::new(RefusalCode::ChoiceNeeded, problem))
            }
            (Some(appointments), Some(named)) => {
                let not_offered = |problem| Refusal::new(RefusalCode::SlotNotOffered, problem);
                let shown: String = named.chars().take(limits::KEY_CHARS).collect();
                let slot = appointments.slot(&self.program.calendar, named);
                let slot = slot.ok_or_else(|| not_offered(format!("`{id}` has no slot `{shown}`")))?;
                appointments.check_bookable(&slot, self.command.at).map_err(not_offered)?;
                Ok(Some(slot))
            }
        }
    }

    /// Moves the appointment of an order to another free slot; the old one is free again.
    pub(super) fn rebook(&mut self, change: &Rebooking, loaded: &Loaded) -> Result<(), Refusal> {
        let member = self.command.member_id;
        // As for every other move: of two accounts that move an order, one would not see what the other did.
        if let AccountStatus::Merged { .. } = self.account.status {
            check_active(member, self.account.status)?;
        }
        let order = owned_order(member, &self.account, (change.owner, change.order), loaded)?;
        let booked = self.check_rebooking(order)?;
        let reward = self.program.reward_at(&order.reward_id, self.command.at);
        let reward = reward.filter(|reward| reward.appointments().is_some()).ok_or_else(|| {
            let problem = format!("`{}` has no appointments any more; cancel the order", order.reward_id);
            Refusal::new(RefusalCode::SlotNotOffered, problem)
        })?;
        let Some(slot) = self.check_slot(reward, Some(&change.slot))? else { return Ok(()) };
        if slot.id == booked.slot {
            let problem = format!("order {} has the slot {} already", order.id, slot.id);
            return Err(Refusal::new(RefusalCode::IllegalOrderMove, problem));
        }
        check_after_group(&slot, order.details.particulars.open_group().map(|group| group.ends_at))?;
        let left = slot_key(&order.reward_id, &booked.slot);
        if loaded.stock.contains_key(&left) {
            self.stock.push((left, StockChange { reserved: -order.quantity, ..StockChange::default() }));
        }
        self.take_parts(vec![slot_part(&order.reward_id, &slot, order.quantity)], false, loaded)?;
        let mut order = order.clone();
        order.rebook(Booked::new(self.receipt.transaction_id, slot));
        let state = order.state;
        self.note(&mut order, state, change.reason.as_ref());
        // It expires no earlier than its appointment is over, wherever that was moved.
        self.time_step(&mut order);
        self.set_order(order);
        self.receipt.reason.clone_from(&change.reason);
        Ok(())
    }

    /// The appointment of an order, where it may be moved now.
    fn check_rebooking<'o>(&self, order: &'o Order) -> Result<&'o Booked, Refusal> {
        let (at, id, steps) = (self.command.at, order.id, order.details.history.len());
        let illegal = |problem: String| Err(Refusal::new(RefusalCode::IllegalOrderMove, problem));
        let Some(booked) = order.details.particulars.booked() else {
            return illegal(format!("order {id} has no appointment"));
        };
        if order.is_due(at) {
            let due = order.due_at.unwrap_or_default();
            let problem = format!("order {id} expired {due}; its points are given back");
            return Err(Refusal::new(RefusalCode::OrderExpired, problem));
        }
        let by_member = self.command.channel == PORTAL;
        match order.state {
            _ if steps >= limits::ORDER_STEPS => illegal(format!("order {id} has {steps} steps already")),
            OrderState::Placed | OrderState::Approved if by_member && booked.starts_at <= at => {
                illegal(format!("the appointment of order {id} has begun, and only the staff can move it"))
            }
            OrderState::Placed | OrderState::Approved => Ok(booked),
            OrderState::Fulfilling if !by_member => Ok(booked),
            state => illegal(format!("order {id} is {}, and its appointment cannot be moved", state.name())),
        }
    }
}
