//! What an order is paid in money: how, where it stands, and the moves that lead from one state to another.

use serde::{Deserialize, Serialize};

use super::state::Funds;
use crate::id::TransactionId;
use crate::limits;
use crate::time::Timestamp;

/// A way to pay money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentTender {
    /// Whoever hands the order over takes the money.
    CashOnDelivery,
    /// A gateway for trying out, which moves no money.
    Test,
}

impl PaymentTender {
    /// Every tender.
    pub const ALL: [Self; 2] = [Self::CashOnDelivery, Self::Test];

    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::CashOnDelivery => "cash_on_delivery",
            Self::Test => "test",
        }
    }

    /// The tender of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tender| tender.name() == name)
    }

    /// Whether the money is set aside before the order is fulfilled, by a system rather than by hand.
    pub fn authorises(self) -> bool {
        self != Self::CashOnDelivery
    }
}

/// Where the money of an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// It is to be paid.
    Due,
    /// It is set aside for the program.
    Authorised,
    /// The program has it.
    Paid,
    /// The member has it back.
    Returned,
    /// Nothing is to be paid any more, and nothing was.
    Void,
    /// It was refused; the order is over.
    Declined,
}

impl PaymentState {
    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Authorised => "authorised",
            Self::Paid => "paid",
            Self::Returned => "returned",
            Self::Void => "void",
            Self::Declined => "declined",
        }
    }
}

/// A move of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMove {
    /// The money is set aside.
    Authorise,
    /// The money was refused.
    Decline,
    /// What was set aside is taken.
    Capture,
    /// What was set aside could not be taken: it is due again.
    Fail,
    /// Somebody has taken it by hand.
    Collect,
    /// What was set aside is let go, or was never asked for.
    Void,
    /// What was paid is given back.
    Return,
}

impl PaymentMove {
    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authorise => "authorise",
            Self::Decline => "decline",
            Self::Capture => "capture",
            Self::Fail => "fail",
            Self::Collect => "collect",
            Self::Void => "void",
            Self::Return => "return",
        }
    }

    /// Where it leads.
    pub fn leads_to(self) -> PaymentState {
        match self {
            Self::Authorise => PaymentState::Authorised,
            Self::Decline => PaymentState::Declined,
            Self::Capture | Self::Collect => PaymentState::Paid,
            Self::Fail => PaymentState::Due,
            Self::Void => PaymentState::Void,
            Self::Return => PaymentState::Returned,
        }
    }
}

/// What an order is paid in money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// How.
    pub tender: PaymentTender,
    /// Minor units of the program's money.
    pub amount: i64,
    /// The points that it takes the place of.
    pub points: i64,
    /// What happened to it, oldest first; it is due before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PaymentStep>,
}

/// One step of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentStep {
    /// The state it came to.
    pub state: PaymentState,
    /// When.
    pub at: Timestamp,
    /// Under which entry of the journal.
    pub transaction_id: TransactionId,
    /// What the tender calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// By whom; `None`: by the program itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

impl Payment {
    /// A payment that is due.
    pub fn due(tender: PaymentTender, amount: i64, points: i64) -> Self {
        Self { tender, amount, points, steps: Vec::new() }
    }

    /// Where it stands.
    pub fn state(&self) -> PaymentState {
        self.steps.last().map_or(PaymentState::Due, |step| step.state)
    }

    /// What the tender calls it, as it said last.
    pub fn reference(&self) -> Option<&str> {
        self.steps.iter().rev().find_map(|step| step.reference.as_deref())
    }

    /// Whether the order may be fulfilled: the money is there, or will be taken by hand.
    pub fn lets_fulfil(&self) -> bool {
        match self.state() {
            PaymentState::Authorised | PaymentState::Paid => true,
            PaymentState::Due => !self.tender.authorises() || !self.steps.is_empty(),
            PaymentState::Returned | PaymentState::Void | PaymentState::Declined => false,
        }
    }

    /// Whether whoever handed the order over need not wait for it: the money is there, or set aside and on its way.
    pub(crate) fn is_settled(&self) -> bool {
        self.state() != PaymentState::Due
    }

    /// Where a move leads from here, for an order whose points are there; `None`: it is not possible.
    pub fn after(&self, step: PaymentMove, funds: Funds) -> Option<PaymentState> {
        let (state, back) = (self.state(), funds == Funds::Returned);
        let untried = state == PaymentState::Due && self.tender.authorises() && self.steps.is_empty();
        let may = match step {
            // Also where the order is over by then: what was set aside must be let go.
            PaymentMove::Authorise | PaymentMove::Decline => untried,
            PaymentMove::Capture => state == PaymentState::Authorised,
            PaymentMove::Fail => state == PaymentState::Authorised && !back,
            PaymentMove::Collect => state == PaymentState::Due && !back && !untried,
            PaymentMove::Void => matches!(state, PaymentState::Due | PaymentState::Authorised) && back,
            PaymentMove::Return => state == PaymentState::Paid && back,
        };
        let room = self.steps.len() < limits::PAYMENT_STEPS || matches!(step, PaymentMove::Void | PaymentMove::Return);
        (may && room).then_some(step.leads_to())
    }

    /// What is to be asked of the tender, for an order whose points are there; `None`: nothing.
    pub fn wants(&self, funds: Funds) -> Option<PaymentMove> {
        let authorises = self.tender.authorises();
        match (self.state(), funds) {
            (PaymentState::Due, Funds::Returned) => Some(PaymentMove::Void),
            (PaymentState::Due, _) if authorises && self.steps.is_empty() => Some(PaymentMove::Authorise),
            (PaymentState::Authorised, Funds::Spent) => Some(PaymentMove::Capture),
            (PaymentState::Authorised, Funds::Returned) => Some(PaymentMove::Void),
            (PaymentState::Paid, Funds::Returned) => Some(PaymentMove::Return),
            _ => None,
        }
    }
}

/// How a program takes money for rewards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PaymentPolicy {
    /// Which tenders it takes; empty: no money.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tenders: Vec<PaymentTender>,
    /// After how many minutes an order whose money nobody has confirmed is called off; left out: 15.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorise_within_minutes: Option<i64>,
}

/// Minutes after which an order whose money nobody has confirmed is called off, where the program says none.
const AUTHORISE_MINUTES: i64 = 15;
/// A day.
const MOST_MINUTES: i64 = 24 * 60;

impl PaymentPolicy {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Until when the money of an order made at `at` must be confirmed.
    pub fn authorise_until(&self, at: Timestamp) -> Timestamp {
        let minutes = self.authorise_within_minutes.unwrap_or(AUTHORISE_MINUTES);
        at.plus_millis(minutes.saturating_mul(60_000))
    }

    /// Checks every field; the message names it.
    pub fn validate(&self) -> Result<(), String> {
        let twice = (1..self.tenders.len())
            .any(|index| self.tenders.iter().take(index).any(|one| self.tenders.get(index) == Some(one)));
        if twice || self.tenders.len() > limits::TENDERS {
            return Err("`tenders` must name each way to pay once".to_owned());
        }
        match self.authorise_within_minutes {
            Some(minutes) if !(1..=MOST_MINUTES).contains(&minutes) => {
                Err(format!("`authorise_within_minutes` must be 1 to {MOST_MINUTES}, not {minutes}"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever happens, money that was set aside is taken or let go, money that was taken for an order that is over is given
    /// back, and what is to be asked of the tender is always a move that is possible.
    #[test]
    fn no_state_of_a_payment_keeps_money_that_belongs_to_somebody_else() {
        use PaymentMove::{Authorise, Capture, Collect, Decline, Fail, Return, Void};
        let moves = [Authorise, Decline, Capture, Fail, Collect, Void, Return];
        let mut open = PaymentTender::ALL.map(|tender| Payment::due(tender, 500, 50)).to_vec();
        let mut seen = 0;
        while let Some(payment) = open.pop() {
            seen += 1;
            for funds in [Funds::Held, Funds::Spent, Funds::Returned] {
                if let Some(wanted) = payment.wants(funds) {
                    assert!(payment.after(wanted, funds).is_some(), "{payment:?} {funds:?} {wanted:?}");
                }
                let settled = match (payment.state(), funds) {
                    (PaymentState::Authorised, Funds::Held) => true,
                    (PaymentState::Authorised, _) | (PaymentState::Paid, Funds::Returned) => false,
                    _ => true,
                };
                assert!(settled || payment.wants(funds).is_some(), "{payment:?} {funds:?}");
                for step in moves {
                    let Some(state) = payment.after(step, funds).filter(|_| payment.steps.len() < 4) else { continue };
                    let mut next = payment.clone();
                    let (at, transaction_id) = (Timestamp::ZERO, TransactionId(1));
                    next.steps.push(PaymentStep {
                        state,
                        at,
                        transaction_id,
                        reference: None,
                        reason: None,
                        actor: None,
                    });
                    open.push(next);
                }
            }
        }
        assert!(seen > 20, "{seen}");
    }
}
