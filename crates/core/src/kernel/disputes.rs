//! What a dispute does to an order: it stays where it is, and does not complete by itself while somebody decides.

use super::decide::Draft;
use super::fulfilment::SYSTEM;
use super::moves::Mover;
use super::refusal::{Refusal, RefusalCode};
use crate::redemption::{DisputeEnd, Disputed, Order, OrderMove};

impl Mover<'_> {
    /// Refuses a dispute that is not possible or comes too late, and to decline one that is not open.
    pub(super) fn check_dispute(&self, order: &Order, step: OrderMove) -> Result<(), Refusal> {
        let (at, id) = (self.at, order.id);
        let refused = |code, problem: String| Err(Refusal::new(code, problem));
        match step {
            OrderMove::Dispute if order.details.particulars.dispute.is_some() => {
                refused(RefusalCode::IllegalOrderMove, format!("order {id} was disputed already"))
            }
            OrderMove::Dispute => match order.disputable_until(&self.program.settings_at(at).orders) {
                None => refused(RefusalCode::DisputeClosed, "the program takes no disputes of orders".to_owned()),
                Some(until) if until <= at => {
                    refused(RefusalCode::DisputeClosed, format!("order {id} could be disputed until {until}"))
                }
                Some(_) => Ok(()),
            },
            OrderMove::Decline if !order.is_disputed() => {
                refused(RefusalCode::IllegalOrderMove, format!("no dispute of order {id} is open"))
            }
            OrderMove::Complete if order.is_disputed() && self.channel == SYSTEM => {
                let problem = format!("order {id} is disputed, and does not complete by itself before that is decided");
                refused(RefusalCode::IllegalOrderMove, problem)
            }
            _ => Ok(()),
        }
    }
}

impl Draft<'_> {
    /// Says in the receipt that the order was disputed, or that the dispute was declined: its state tells neither.
    pub(super) fn tell_dispute(&mut self, step: OrderMove) {
        if let Some(order) = &mut self.receipt.order {
            order.disputed = match step {
                OrderMove::Dispute => Some(true),
                OrderMove::Decline => Some(false),
                _ => None,
            };
        }
    }

    /// Notes in an order that has just moved that it is disputed, or is no longer.
    pub(super) fn mark_dispute(&self, order: &mut Order, step: OrderMove) {
        let (at, transaction_id) = (self.command.at, self.receipt.transaction_id);
        match (step, &mut order.details.particulars.dispute) {
            (OrderMove::Dispute, dispute) => *dispute = Some(Disputed { at, transaction_id, ended: None }),
            (OrderMove::Decline | OrderMove::Refund, Some(dispute)) if dispute.is_open() => {
                dispute.ended = Some(DisputeEnd { at, transaction_id, refunded: step == OrderMove::Refund });
            }
            _ => return,
        }
        self.time_step(order);
    }
}
