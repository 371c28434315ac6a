//! A tender: points that pay a part of a checkout at a till. It is an order without a reward, so that what holds for the points
//! of orders holds for it: they are held, spent and given back by the same lots, and counted by `verify`.
//!
//! What came of it is kept step by step, each under its entry of the journal; what it holds or has spent follows from the steps,
//! so that it can be rewound.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Order;
use super::checkout::Rate;
use crate::id::{OrderId, TransactionId};
use crate::ledger::Portion;
use crate::serial::is_zero;

/// What the order of a tender is for. No reward of a catalogue has such an id.
pub const TENDER: &str = "@checkout";

/// Points, and the money that they pay, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    /// Points.
    pub points: i64,
    /// Minor units of money.
    pub money: i64,
}

/// The part of a checkout that points pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tender {
    /// The till's own number of the checkout; with the store it is unique.
    pub reference: String,
    /// In which store.
    pub store: String,
    /// At which terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
    /// What the whole basket costs, in minor units of money.
    pub basket: i64,
    /// What a point pays, in major units.
    pub value: Decimal,
    /// What was set aside for it.
    pub authorised: Paid,
    /// From which lots.
    pub portions: Vec<Portion>,
    /// What was spent of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured: Option<Captured>,
    /// What was given back of that, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returned: Vec<Returned>,
    /// The allowance under which it was spent without network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowance: Option<OrderId>,
    /// Points of what was spent that were not there and that the member came to owe.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub owed: i64,
}

/// What was spent of a tender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// By which entry of the journal.
    pub transaction_id: TransactionId,
    /// How much.
    #[serde(flatten)]
    pub paid: Paid,
}

/// What was given back of a tender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// By which entry of the journal.
    pub transaction_id: TransactionId,
    /// How much.
    #[serde(flatten)]
    pub paid: Paid,
}

impl Tender {
    /// What it holds, or has spent and not given back.
    pub fn left(&self) -> Paid {
        let spent = self.captured.map_or(self.authorised, |captured| captured.paid);
        let returned = self.returned();
        Paid { points: spent.points - returned.points, money: spent.money - returned.money }
    }

    /// What was given back of what was spent.
    pub fn returned(&self) -> Paid {
        self.returned.iter().fold(Paid::default(), |sum, returned| Paid {
            points: sum.points + returned.paid.points,
            money: sum.money + returned.paid.money,
        })
    }

    /// Points of what is left that the member came to owe: what is given back is of them first.
    pub fn owed_left(&self) -> i64 {
        (self.owed - self.returned().points).max(0)
    }

    /// The lots of what is left: those that expire first, so that what is given back lives longest.
    pub fn portions_left(&self) -> Vec<Portion> {
        split(&self.portions, self.left().points - self.owed_left()).0
    }

    /// What points pay here, as it was when they were authorised.
    pub fn rate(&self, minor: i64) -> Rate {
        Rate { value: self.value, minor }
    }
}

/// The first so many points of some lots, and the others.
pub fn split(portions: &[Portion], points: i64) -> (Vec<Portion>, Vec<Portion>) {
    let (mut first, mut others, mut left) = (Vec::new(), Vec::new(), points.max(0));
    for portion in portions {
        let taken = left.min(portion.amount);
        left -= taken;
        if taken > 0 {
            first.push(Portion { amount: taken, ..*portion });
        }
        if taken < portion.amount {
            others.push(Portion { amount: portion.amount - taken, ..*portion });
        }
    }
    (first, others)
}

impl Order {
    /// Points of what is left of it that the member came to owe, where it is a tender that was spent without network.
    pub fn owed_left(&self) -> i64 {
        self.details.particulars.tender.as_ref().map_or(0, Tender::owed_left)
    }

    /// Lets its points follow from the steps of its tender or allowance, where it is one.
    pub fn follow_particulars(&mut self) {
        let particulars = &self.details.particulars;
        let holds = match (&particulars.tender, &particulars.allowance) {
            (Some(tender), _) => tender.portions_left(),
            (None, Some(allowance)) => allowance.portions_left(),
            (None, None) => return,
        };
        self.points = holds.iter().map(|portion| portion.amount).sum();
        self.holds = holds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{FundingId, LotKey};
    use crate::time::Timestamp;

    fn portion(expires: i64, amount: i64) -> Portion {
        let (expires_at, active_at) = (Timestamp::from_millis(expires), Timestamp::ZERO);
        Portion { lot: LotKey { expires_at, funding: FundingId(0), active_at }, amount }
    }

    #[test]
    fn lots_are_split_without_losing_a_point() {
        let all = [portion(1, 30), portion(2, 50)];
        assert_eq!(split(&all, 0), (vec![], all.to_vec()));
        assert_eq!(split(&all, 30), (vec![portion(1, 30)], vec![portion(2, 50)]));
        assert_eq!(split(&all, 31), (vec![portion(1, 30), portion(2, 1)], vec![portion(2, 49)]));
        assert_eq!(split(&all, 99), (all.to_vec(), vec![]));
    }
}
