//! Orders in the simulation: what moves them, and where each move should lead.

use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Command, OrderChange, Refusal};
use guerdon_core::ledger::CurrencyId;
use guerdon_core::redemption::{self, OrderDetails, OrderMove, OrderState};
use guerdon_core::time::Timestamp;

use crate::model::{Member, Said, month_end};
use crate::wishes::{Dice, Want, What};
use crate::world::DAY;

/// An order in the model.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) member: i64,
    pub(crate) reward: String,
    pub(crate) quantity: i64,
    pub(crate) points: i64,
    /// Expiry and points of the lots that it took.
    pub(crate) holds: Vec<(i64, i64)>,
    pub(crate) state: &'static str,
}

/// Where points and units of an order are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    Held,
    Spent,
    Back,
}

pub(crate) fn place(state: &str) -> Where {
    match state {
        "placed" | "in_review" | "approved" | "fulfilling" => Where::Held,
        "shipped" | "issued" | "completed" => Where::Spent,
        _ => Where::Back,
    }
}

/// Where a move leads, in a program that says nothing of orders: none expires.
fn leads_to(state: &str, step: OrderMove) -> Option<&'static str> {
    let begun = ["placed", "approved", "fulfilling"].contains(&state);
    let (may, next) = match step.name() {
        "review" => (state == "placed", "in_review"),
        "claim" => (state == "in_review", "in_review"),
        "approve" => (["placed", "in_review"].contains(&state), "approved"),
        "reject" => (["placed", "in_review"].contains(&state), "rejected"),
        "fulfil" => (["placed", "approved"].contains(&state), "fulfilling"),
        "ship" => (begun, "shipped"),
        "issue" => (begun, "issued"),
        "complete" => (begun || ["shipped", "issued"].contains(&state), "completed"),
        "cancel" | "fail" => (place(state) == Where::Held, "cancelled"),
        "refund" => (place(state) == Where::Spent, "refunded"),
        _ => (false, ""),
    };
    may.then_some(next)
}

impl Order {
    /// Moves the order, and its points with it.
    pub(crate) fn follow(
        &mut self,
        step: OrderMove,
        member: &mut Member,
        at: i64,
        said: &mut Said,
    ) -> Result<(), &'static str> {
        if step == OrderMove::Dispute && place(self.state) == Where::Spent {
            // The program takes no disputes.
            return Err("dispute_closed");
        }
        let next = leads_to(self.state, step).ok_or("illegal_order_move")?;
        let (from, to) = (place(self.state), place(next));
        let good_until =
            if matches!(step, OrderMove::Fail | OrderMove::Refund) { month_end(at + 7 * DAY, 0) } else { 0 };
        for (expires, part) in &self.holds {
            if from == Where::Held && to != Where::Held {
                member.active.entry(*expires).or_default().1 -= part;
            }
            if from != Where::Back && to == Where::Back {
                member.give(good_until.max(*expires), *part);
            }
        }
        match (from, to) {
            (Where::Held, Where::Spent) => member.lifetime[1] += self.points,
            (Where::Held, Where::Back) => said.points += self.points,
            (Where::Spent, Where::Back) => {
                member.lifetime[1] -= self.points;
                said.points += self.points;
            }
            _ => {}
        }
        self.state = next;
        Ok(())
    }

    /// Whether it is not at an end yet.
    pub(crate) fn is_open(&self) -> bool {
        place(self.state) != Where::Back && self.state != "completed"
    }

    /// The next step of whoever fulfils orders by itself.
    fn next_step(&self) -> Option<OrderMove> {
        match self.state {
            "placed" | "approved" => Some(OrderMove::Fulfil),
            "fulfilling" => Some(OrderMove::Issue),
            "issued" => Some(OrderMove::Complete),
            _ => None,
        }
    }

    /// What somebody wants of this order: the next step of its fulfilment, under the key that every node uses for it, or any
    /// move of people's.
    pub(crate) fn wish(&self, id: i64, key: &str, dice: &mut Dice) -> (String, What) {
        let fails = dice.percent(10).then_some(OrderMove::Fail);
        if let Some(step) = fails.or(self.next_step()).filter(|_| dice.percent(65)) {
            return (fulfilment_step(id, self.member, 0, self.member, step).idempotency_key, What::Fulfil(id, step));
        }
        let step = match dice.below(10) {
            0..6 if self.state == "completed" => OrderMove::Refund,
            0..3 => OrderMove::Complete,
            3 => OrderMove::Cancel,
            4..6 => OrderMove::Refund,
            _ => OrderMove::ALL[dice.below(OrderMove::ALL.len() as u64) as usize],
        };
        (key.to_owned(), What::Move(id, step))
    }
}

/// The command of a move by people. `owner`: under whose name the order is kept.
pub(crate) fn step(want: &Want, order: i64, step: OrderMove, owner: i64) -> Result<Command, Refusal> {
    let reason = step.needs_reason().then(|| "for the simulation".to_owned());
    let change = OrderChange { order: OrderId(order), owner: MemberId(owner), step, reason, shipment: None };
    Command::move_order(MemberId(want.member), &want.key, Timestamp::from_millis(want.at), change)
}

/// The command of a step of the program's own.
pub(crate) fn fulfilment_step(order: i64, owner: i64, at: i64, member: i64, step: OrderMove) -> Command {
    let order = redemption::Order {
        id: OrderId(order),
        member_id: MemberId(owner),
        reward_id: String::new(),
        quantity: 1,
        points: 0,
        currency: CurrencyId(1),
        state: OrderState::Placed,
        holds: Vec::new(),
        created_at: Timestamp::ZERO,
        updated_at: Timestamp::ZERO,
        due_at: None,
        details: OrderDetails::default(),
    };
    let reason = (step == OrderMove::Fail).then_some("for the simulation");
    Command::fulfilment_step(&order, MemberId(member), step, Timestamp::from_millis(at), reason)
}
