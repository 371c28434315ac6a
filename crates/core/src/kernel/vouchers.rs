//! Hands out at a store what an order is for, against its voucher: the order is completed, once, with the place on record.

use super::batch::Loaded;
use super::command::{Action, Command, check_key};
use super::decide::Draft;
use super::order_commands::OrderChange;
use super::refusal::{Refusal, RefusalCode};
use crate::id::{MemberId, OrderId};
use crate::redemption::{HandedOut, OrderMove, OrderState};
use crate::time::{MAX_CLOCK_SKEW_MS, Timestamp};

/// What is handed out, where and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOut {
    /// Which order.
    pub order: OrderId,
    /// Under whose name it is kept: the command's member, or one whose account was merged into the member's.
    pub owner: MemberId,
    /// In which store, at which terminal.
    pub place: HandedOut,
}

impl Command {
    /// Completes an order because what it is for was handed out. `at` is the moment of the call; a terminal that was without
    /// network says in `place` when it was.
    pub fn hand_out(member_id: MemberId, key: &str, at: Timestamp, wanted: HandOut) -> Result<Self, Refusal> {
        check_key(key)?;
        wanted.place.validate().map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))?;
        if wanted.place.at > at.plus_millis(MAX_CLOCK_SKEW_MS) {
            let problem = format!("`handed_out_at` {} lies in the future; it is {at} now", wanted.place.at);
            return Err(Refusal::new(RefusalCode::OccurredInFuture, problem));
        }
        // Without the moment: a retry that says none is made at another one.
        let request = ("hand out", wanted.order, wanted.place.store.clone(), wanted.place.terminal.clone());
        Ok(Self::new(member_id, key, at, Action::HandOut(Box::new(wanted)), &request))
    }
}

impl Draft<'_> {
    /// Completes the order, and notes where.
    pub(super) fn hand_out(&mut self, wanted: &HandOut, loaded: &Loaded) -> Result<(), Refusal> {
        // Nobody is told of orders of others, not even that they are done.
        let order = self.own_order(wanted.owner, wanted.order, loaded)?;
        if order.state == OrderState::Shipped {
            let problem = format!("order {} was sent, and is not handed out", order.id);
            return Err(Refusal::new(RefusalCode::IllegalOrderMove, problem));
        }
        if order.state == OrderState::Completed {
            let problem = match &order.details.particulars.handed_out {
                Some(place) => format!("this was handed out already: {place}"),
                None => format!("this counts as done since {}", order.updated_at),
            };
            return Err(Refusal::new(RefusalCode::VoucherRedeemed, problem));
        }
        if wanted.place.at.plus_millis(MAX_CLOCK_SKEW_MS) < order.created_at {
            let problem =
                format!("`handed_out_at` {} lies before the order was made: {}", wanted.place.at, order.created_at);
            return Err(Refusal::new(RefusalCode::OccurredTooLongAgo, problem));
        }
        let (order, owner, step) = (wanted.order, wanted.owner, OrderMove::Complete);
        self.move_order(&OrderChange { order, owner, step, reason: None, shipment: None }, loaded)?;
        if let Some(order) = self.orders.last_mut() {
            order.details.particulars.handed_out = Some(wanted.place.clone());
        }
        if let Some(order) = &mut self.receipt.order {
            order.handed_out = Some(wanted.place.clone());
        }
        Ok(())
    }
}
