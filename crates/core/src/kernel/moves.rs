//! Which moves of an order are possible: one judgement, by which the kernel refuses a move and by which those that are left are
//! offered to people and to programs.

use super::decide::Draft;
use super::orders::PORTAL;
use super::refusal::{Refusal, RefusalCode};
use crate::limits;
use crate::planted::{self, Bug};
use crate::program::Program;
use crate::redemption::{Funds, Order, OrderMove, OrderState};
use crate::time::Timestamp;

/// Who would move an order, how and when: what decides whether they may, besides the order itself. Permissions are not asked for
/// here.
#[derive(Debug, Clone, Copy)]
pub struct Mover<'a> {
    /// By whose rules.
    pub program: &'a Program,
    /// When.
    pub at: Timestamp,
    /// Over which channel: what a member may do in the portal is less than what staff may.
    pub channel: &'a str,
    /// Who, as orders name them; `None`: nobody in particular.
    pub actor: Option<&'a str>,
}

impl Draft<'_> {
    /// Who moves an order by the command.
    pub(super) fn mover(&self) -> Mover<'_> {
        let command = self.command;
        Mover { program: self.program, at: command.at, channel: &command.channel, actor: command.actor.as_deref() }
    }
}

impl Mover<'_> {
    /// The moves of an order that would not be refused, where a reason comes with those that need one.
    pub fn moves(&self, order: &Order) -> impl Iterator<Item = OrderMove> {
        order.state.moves().filter(|step| self.check(order, *step).is_ok())
    }

    /// Refuses a move that is not possible, or not yet or no longer. Answers where it leads.
    pub(super) fn check(&self, order: &Order, step: OrderMove) -> Result<OrderState, Refusal> {
        let (at, id) = (self.at, order.id);
        self.check_handed_out_by_itself(order, step)?;
        let twice = planted::is(Bug::RefundedTwice) && order.state == OrderState::Refunded && step == OrderMove::Refund;
        let next = order.state.after(step).or(twice.then_some(OrderState::Refunded));
        let next = next.ok_or_else(|| self.illegal_move(order, step))?;
        self.check_tender(order, step)?;
        if step == OrderMove::Expire && !order.is_due(at) {
            let problem = format!("order {id} has not run out of time");
            return Err(Refusal::new(RefusalCode::IllegalOrderMove, problem));
        }
        if order.state.funds() == Funds::Held && order.is_due(at) && next.funds() != Funds::Returned {
            let due = order.due_at.unwrap_or_default();
            let problem = format!("order {id} expired {due}; its points are given back");
            return Err(Refusal::new(RefusalCode::OrderExpired, problem));
        }
        let fulfils = next == OrderState::Fulfilling || next.funds() == Funds::Spent;
        if let Some(until) = order.details.cooling_until.filter(|until| *until > at && fulfils) {
            let problem = format!("order {id} may be called off until {until}, and is not fulfilled before");
            return Err(Refusal::new(RefusalCode::CoolingOff, problem));
        }
        if step == OrderMove::Cancel && order.state == OrderState::Fulfilling && self.channel == PORTAL {
            let problem = format!("order {id} is being fulfilled, and only the staff can call it off");
            return Err(Refusal::new(RefusalCode::IllegalOrderMove, problem));
        }
        self.check_particulars(order, step, next)?;
        self.check_review(order, step)?;
        self.check_dispute(order, step)?;
        Ok(next)
    }

    /// Refuses to take a review on without end, and to decide one that somebody else has taken on.
    fn check_review(&self, order: &Order, step: OrderMove) -> Result<(), Refusal> {
        let (id, claimed_by, steps) = (order.id, order.details.claimed_by.as_deref(), order.details.history.len());
        let refused = |code, problem| Err(Refusal::new(code, problem));
        match (step, claimed_by) {
            (OrderMove::Claim, Some(by)) if self.actor == Some(by) => {
                refused(RefusalCode::IllegalOrderMove, format!("order {id} is taken on already"))
            }
            (OrderMove::Claim, _) if steps >= limits::ORDER_STEPS => {
                refused(RefusalCode::IllegalOrderMove, format!("order {id} has {steps} steps already; decide it"))
            }
            (OrderMove::Approve | OrderMove::Reject, Some(by)) if self.actor != Some(by) => refused(
                RefusalCode::InReview,
                format!("order {id} is looked at by {by}; take it on first with `claim`"),
            ),
            _ => Ok(()),
        }
    }

    /// The refusal of a move that is not possible, with those that are.
    fn illegal_move(&self, order: &Order, step: OrderMove) -> Refusal {
        let possible: Vec<&str> = self.moves(order).map(OrderMove::name).collect();
        let possible = if possible.is_empty() { "nothing".to_owned() } else { possible.join(", ") };
        let (id, state) = (order.id, order.state.name());
        let problem = format!("order {id} is {state}, and cannot {}; possible is {possible}", step.name());
        Refusal::new(RefusalCode::IllegalOrderMove, problem)
    }
}
