//! What is paid in money, as the model has it: how a price is split, and where the money of an order goes.

use guerdon_core::redemption::{PaymentMove, PaymentTender};
use guerdon_core::rewards::Split;

use crate::member::Member;
use crate::model::{Model, Said};
use crate::orders::{Order, Where, place};
use crate::wishes::Want;

/// The money of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Money {
    pub(crate) tender: PaymentTender,
    pub(crate) pence: i64,
    pub(crate) state: &'static str,
    /// How often it has moved.
    pub(crate) steps: usize,
}

/// Pence for points of a price, rounded up.
fn pence_for(points: i64) -> i64 {
    (points * 7 + 9) / 10
}

/// How many points of a price are paid in money, and how many pence that is: between a tenth and six tenths of it.
pub(crate) fn split(price: i64, wanted: Split) -> Result<(i64, i64), &'static str> {
    let (least, most) = (price / 10, price * 6 / 10);
    let points = match wanted {
        Split::Points(points) => price - points,
        // Pence that pay for a part of the next point are no more than the most.
        Split::Money(pence) if pence <= pence_for(most) => (pence * 10 / 7).min(most),
        Split::Money(_) => return Err("split_not_offered"),
    };
    if (least..=most).contains(&points) { Ok((points, pence_for(points))) } else { Err("split_not_offered") }
}

impl Money {
    pub(crate) fn due(tender: PaymentTender, pence: i64) -> Self {
        Self { tender, pence, state: "due", steps: 0 }
    }

    fn by_hand(&self) -> bool {
        self.tender == PaymentTender::CashOnDelivery
    }

    fn is_untried(&self) -> bool {
        self.state == "due" && !self.by_hand() && self.steps == 0
    }

    fn come_to(&mut self, state: &'static str) {
        self.state = state;
        self.steps += 1;
    }

    /// Whether the order may be fulfilled: the money is there, or will be taken by hand.
    fn lets_fulfil(&self) -> bool {
        ["authorised", "paid"].contains(&self.state) || self.state == "due" && !self.is_untried()
    }

    /// Refuses an order's step to a state for which the money is missing.
    pub(crate) fn must_let(&self, next: &str) -> Result<(), &'static str> {
        let fulfils = next == "fulfilling" || place(next) == Where::Spent;
        let missing = next == "completed" && self.state == "due" || !self.lets_fulfil();
        if fulfils && missing { Err("payment_due") } else { Ok(()) }
    }

    /// What nobody has begun to pay is not paid when the order is over.
    pub(crate) fn follow(&mut self, to: Where) {
        if to == Where::Back && self.state == "due" && self.by_hand() {
            self.come_to("void");
        }
    }

    fn after(&self, step: PaymentMove, of: Where) -> Option<&'static str> {
        let (state, over) = (self.state, of == Where::Back);
        let (may, next) = match step {
            PaymentMove::Authorise => (self.is_untried(), "authorised"),
            PaymentMove::Decline => (self.is_untried(), "declined"),
            PaymentMove::Capture => (state == "authorised", "paid"),
            PaymentMove::Fail => (state == "authorised" && !over, "due"),
            PaymentMove::Collect => (state == "due" && !over && !self.is_untried(), "paid"),
            PaymentMove::Void => (["due", "authorised"].contains(&state) && over, "void"),
            PaymentMove::Return => (state == "paid" && over, "returned"),
        };
        may.then_some(next)
    }

    /// What a tender says next of itself.
    pub(crate) fn next_step(&self, of: Where) -> Option<PaymentMove> {
        match (self.state, of) {
            ("due", Where::Back) => Some(PaymentMove::Void),
            ("due", _) if self.is_untried() => Some(PaymentMove::Authorise),
            ("due", _) => Some(PaymentMove::Collect),
            ("authorised", Where::Spent) => Some(PaymentMove::Capture),
            ("authorised", Where::Back) => Some(PaymentMove::Void),
            ("paid", Where::Back) => Some(PaymentMove::Return),
            _ => None,
        }
    }
}

/// What is counted of the moves of payments.
fn noted(step: PaymentMove) -> &'static str {
    match step {
        PaymentMove::Authorise => "money authorised",
        PaymentMove::Decline => "money declined",
        PaymentMove::Capture => "money captured",
        PaymentMove::Fail => "money failed",
        PaymentMove::Collect => "money collected",
        PaymentMove::Void => "money let go",
        PaymentMove::Return => "money returned",
    }
}

impl Order {
    fn pay(&mut self, step: PaymentMove, member: &mut Member, at: i64, said: &mut Said) -> Result<(), &'static str> {
        let of = place(self.state);
        let money = self.money.as_mut().ok_or("illegal_payment_move")?;
        let next = money.after(step, of).ok_or("illegal_payment_move")?;
        money.come_to(next);
        said.note(noted(step), 1);
        if step == PaymentMove::Decline && of == Where::Held {
            self.give_back(true, member, at, said);
            self.state = "cancelled";
        }
        Ok(())
    }
}

impl Model {
    pub(crate) fn pay(
        &mut self,
        want: &Want,
        member: &mut Member,
        (order, step): (i64, PaymentMove),
        said: &mut Said,
    ) -> Result<(), &'static str> {
        let order = self.own(want, member, order)?;
        order.pay(step, member, want.at, said)?;
        order.tell(said);
        Ok(())
    }
}
