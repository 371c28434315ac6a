//! What a carrier tells of an order on its way. It moves no points, and the order only when it has arrived.

use super::batch::Loaded;
use super::command::{Action, Command, check_key};
use super::decide::Draft;
use super::refusal::{Refusal, RefusalCode};
use crate::id::{MemberId, OrderId};
use crate::limits;
use crate::redemption::{Funds, Order, OrderMove, OrderState, TrackingEvent, TrackingStatus};
use crate::time::{EARLIEST, MAX_CLOCK_SKEW_MS, Timestamp};

/// What is told of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracking {
    /// Which.
    pub order: OrderId,
    /// Under whose name it is kept: the command's member, or one whose account was merged into the member's.
    pub owner: MemberId,
    /// What happened to it.
    pub events: Vec<TrackingEvent>,
}

impl Command {
    /// Notes what happened to an order on its way; it is done when it was delivered.
    pub fn track(member_id: MemberId, key: &str, at: Timestamp, tracking: Tracking) -> Result<Self, Refusal> {
        check_key(key)?;
        let invalid = |problem| Refusal::new(RefusalCode::InvalidRequest, problem);
        if !(1..=limits::TRACKING_UPLOAD).contains(&tracking.events.len()) {
            return Err(invalid(format!("`events` must hold 1 to {} events", limits::TRACKING_UPLOAD)));
        }
        for event in &tracking.events {
            event.validate().map_err(invalid)?;
            if event.at > at.plus_millis(MAX_CLOCK_SKEW_MS) || event.at < EARLIEST {
                return Err(invalid(format!("`at` {} lies in the future, or too far in the past", event.at)));
            }
        }
        let request = ("track", tracking.order, &tracking.events);
        Ok(Self::new(member_id, key, at, Action::Track(Box::new(tracking.clone())), &request))
    }
}

impl Draft<'_> {
    pub(super) fn track(&mut self, tracking: &Tracking, loaded: &Loaded) -> Result<(), Refusal> {
        let order = self.own_order(tracking.owner, tracking.order, loaded)?;
        if order.state.funds() != Funds::Spent {
            let (id, state) = (order.id, order.state.name());
            let problem = format!("order {id} is {state}; tracking is for orders that were shipped");
            return Err(Refusal::new(RefusalCode::IllegalOrderMove, problem));
        }
        let mut order = order.clone();
        let by = self.receipt.transaction_id;
        let known = &mut order.details.particulars.tracking;
        for event in &tracking.events {
            // A carrier repeats itself.
            if !known.iter().any(|other| other.tells_the_same(event)) {
                known.push(TrackingEvent { transaction_id: by, ..event.clone() });
            }
        }
        known.sort_by_key(|event| event.at);
        let beyond = known.len().saturating_sub(limits::TRACKING_EVENTS);
        known.drain(..beyond);
        let arrived = tracking.events.iter().any(|event| event.status == TrackingStatus::Delivered);
        if arrived && order.state == OrderState::Shipped && self.may_end(&order) {
            self.note(&mut order, OrderState::Completed, None);
        }
        self.set_order(order);
        Ok(())
    }

    /// Whether an order that has arrived is done. One that is not paid or is disputed waits, and ends by itself from then on.
    fn may_end(&self, order: &Order) -> bool {
        !order.is_disputed()
            && self.mover().check_particulars(order, OrderMove::Complete, OrderState::Completed).is_ok()
    }
}
