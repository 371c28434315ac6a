//! Where an order stands decides what is to be done with it next, what becomes of its codes, and of what suppliers were asked for.

use crate::kernel::RefusalCode;
use crate::planted::{self, Bug};
use crate::program::Program;
use crate::redemption::{Funds, Order, OrderMove, OrderState};
use crate::time::Timestamp;

/// What the program does next with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Nothing, now.
    Nothing,
    /// Nobody has begun it.
    Begin,
    /// It was begun: what is missing is handed out.
    HandOut,
    /// It was handed over, and the last step is missing.
    Complete,
}

impl Plan {
    /// Of an order at a moment.
    pub fn of(program: &Program, order: &Order, now: Timestamp) -> Self {
        if !program.may_fulfil(order, now) {
            return Self::Nothing;
        }
        match order.state {
            OrderState::Issued => Self::Complete,
            OrderState::Fulfilling => Self::HandOut,
            _ => Self::Begin,
        }
    }
}

/// The moves by which an order is handed over of which everything is there: what people send waits for them in between.
pub fn last_steps(order: &Order) -> &'static [OrderMove] {
    if order.has_rest_for_people() { &[OrderMove::Issue] } else { &[OrderMove::Issue, OrderMove::Complete] }
}

/// Refusals by which an order says that somebody else has moved it, or that its time has run out.
pub fn stands_elsewhere(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::IllegalOrderMove
            | RefusalCode::OrderExpired
            | RefusalCode::CoolingOff
            | RefusalCode::PaymentDue
            | RefusalCode::GroupOpen
            | RefusalCode::MemberMerged
            | RefusalCode::MemberErased
    )
}

/// Whether an order was handed over at some time: what its member has seen stays with the member.
fn was_spent(order: &Order) -> bool {
    order.details.history.iter().any(|step| step.state.funds() == Funds::Spent)
}

/// What becomes of the codes of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They stay as they are.
    Kept,
    /// They were handed over.
    Issued,
    /// Nobody has seen them: those of the vault are free again, the others are gone.
    Released,
}

impl Fate {
    /// Of the codes of an order, by where it stands.
    pub fn of(order: &Order) -> Self {
        match order.state.funds() {
            Funds::Held => Self::Kept,
            // Also what was refunded since has been seen.
            Funds::Spent => Self::Issued,
            Funds::Returned if was_spent(order) => Self::Issued,
            Funds::Returned if planted::is(Bug::CodesKeptByReturned) => Self::Issued,
            Funds::Returned => Self::Released,
        }
    }
}

/// What becomes of what suppliers were asked for of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aftermath {
    /// It is under way yet.
    Open,
    /// Nobody wants it any more.
    Undo,
    /// It was handed over; also where it was refunded since.
    Over,
}

impl Aftermath {
    /// Of an order, by where it stands.
    pub fn of(order: &Order) -> Self {
        match Fate::of(order) {
            Fate::Released if planted::is(Bug::ForgottenOnceGivenBack) => Self::Over,
            Fate::Kept => Self::Open,
            Fate::Issued => Self::Over,
            Fate::Released => Self::Undo,
        }
    }
}
