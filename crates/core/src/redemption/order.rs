//! The order: one redemption, with everything that happened to it.

use serde::{Deserialize, Serialize};

use super::contents::{Benefit, Booked};
use super::delivery::SealedDelivery;
use super::dispute::Disputed;
use super::group::Companions;
use super::offline::Allowance;
use super::parts::{OrderPart, PartWay};
use super::payment::{Payment, PaymentState};
use super::state::{Funds, OrderState};
use super::tender::Tender;
use super::tracking::TrackingEvent;
use super::voucher::HandedOut;
use crate::id::{MemberId, OrderId, TransactionId};
use crate::ledger::{CurrencyId, Portion};
use crate::limits;
use crate::rewards::{CountedIn, StockTaken};
use crate::time::Timestamp;

/// How the details of an order are stored, as their first byte: without particulars, and with some of them behind.
const PLAIN: u8 = 1;
const WITH_PARTICULARS: u8 = 2;

/// One redemption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Who redeems.
    pub member_id: MemberId,
    /// What.
    pub reward_id: String,
    /// How many.
    pub quantity: i64,
    /// Points in all.
    pub points: i64,
    /// Their currency.
    pub currency: CurrencyId,
    /// Where it stands.
    pub state: OrderState,
    /// From which lots the points came: they go back to the same.
    pub holds: Vec<Portion>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it moves by itself, if nobody moves it before: it expires, or it is done.
    pub due_at: Option<Timestamp>,
    /// What happened to it.
    pub details: OrderDetails,
}

/// What happened to an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDetails {
    /// Every state that it was in, oldest first; empty where it was made before histories were kept.
    pub history: Vec<OrderStep>,
    /// Until when it may be called off freely, and is not fulfilled.
    pub cooling_until: Option<Timestamp>,
    /// Who looks at it.
    pub claimed_by: Option<String>,
    /// How it was sent.
    pub shipment: Option<Shipment>,
    /// What few orders say besides.
    #[serde(skip)]
    pub particulars: Particulars,
}

/// What few orders say besides. Stored as JSON, so that more can be said later, and only where there is something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Particulars {
    /// What is paid in money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<Payment>,
    /// The friends with whom it was ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Companions>,
    /// When it was to move on by itself, where that changed without a new state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dues: Vec<Due>,
    /// That it was disputed, and how that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispute: Option<Disputed>,
    /// The windows in which its units were counted, of limits that its reward had.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<CountedIn>,
    /// Which variant was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Where it goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<SealedDelivery>,
    /// Its appointments, the one that holds last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<Booked>,
    /// The privileges and trials that come with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub benefits: Vec<Benefit>,
    /// What carriers told of it on its way, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tracking: Vec<TrackingEvent>,
    /// Where it was handed out against its voucher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handed_out: Option<HandedOut>,
    /// The part of a checkout that it pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tender: Option<Tender>,
    /// What a terminal may spend of it without network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowance: Option<Allowance>,
    /// What it takes out of stock, where that is not just as many units of its reward.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stock: Vec<StockTaken>,
    /// What the bundle holds, where the program itself hands some of it out; empty: it does not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<OrderPart>,
}

impl Particulars {
    /// When an order that comes to a state moves on by itself, where it would at `usual` without them.
    pub(crate) fn due_at(&self, state: OrderState, usual: Option<Timestamp>) -> Option<Timestamp> {
        match (&self.group, &self.payment, state.funds()) {
            (Some(group), _, Funds::Held) if group.is_open() => Some(group.given_up_at()),
            // Nor does it end while somebody decides what is to become of it.
            _ if self.is_disputed() => None,
            // What was not paid is not done, however long ago it was handed over.
            (_, Some(payment), Funds::Spent) if !payment.is_settled() => None,
            // Nor what people have not sent yet, only because the codes of other parts are there.
            (_, _, Funds::Spent) if state == OrderState::Issued && self.has_rest_for_people() => None,
            _ => usual,
        }
    }

    /// The group of friends that it waits for, as long as nobody knows whether that comes together.
    pub fn open_group(&self) -> Option<&Companions> {
        self.group.as_ref().filter(|group| group.is_open())
    }

    /// Whether there are parts that people hand out.
    pub(crate) fn has_rest_for_people(&self) -> bool {
        self.parts.iter().any(|part| part.way == PartWay::People {})
    }

    /// Whether an order in a state may go on: its group is full, its money is there as far as the next step asks for it, and
    /// nobody disputes it.
    pub(crate) fn let_go_on(&self, state: OrderState) -> bool {
        let open = self.open_group().is_some() || self.is_disputed();
        let unpaid = self.payment.as_ref().is_some_and(|payment| match state.funds() {
            Funds::Spent => !payment.is_settled(),
            _ => !payment.lets_fulfil(),
        });
        !open && !unpaid
    }

    /// Takes back what an entry of the journal and those after it have put here.
    fn rewind(&mut self, from: TransactionId) {
        self.tracking.retain(|event| event.transaction_id < from);
        self.dues.retain(|due| due.transaction_id < from);
        self.dispute.take_if(|dispute| dispute.transaction_id >= from);
        if let Some(dispute) = &mut self.dispute {
            dispute.ended.take_if(|end| end.transaction_id >= from);
        }
        if let Some(tender) = &mut self.tender {
            tender.captured = tender.captured.filter(|captured| captured.transaction_id < from);
            tender.returned.retain(|returned| returned.transaction_id < from);
        }
        if let Some(allowance) = &mut self.allowance {
            allowance.spent.retain(|spent| spent.transaction_id < from);
        }
        if let Some(payment) = &mut self.payment {
            payment.steps.retain(|step| step.transaction_id < from);
        }
        if let Some(group) = &mut self.group {
            group.filled = group.filled.filter(|filled| *filled < from);
        }
    }
}

/// When an order is to move on by itself, since an entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// The entry.
    pub transaction_id: TransactionId,
    /// When; `None`: it does not.
    pub at: Option<Timestamp>,
}

/// One step in the life of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderStep {
    /// The state it came to.
    pub state: OrderState,
    /// When.
    pub at: Timestamp,
    /// Under which entry of the journal.
    pub transaction_id: TransactionId,
    /// By whom; `None`: by the program itself, or unknown.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When it was to move on by itself.
    pub due_at: Option<Timestamp>,
}

/// How an order was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shipment {
    /// Who carries it.
    pub carrier: String,
    /// The number under which the carrier knows it.
    pub tracking_number: String,
}

impl Shipment {
    /// Checks the lengths.
    pub fn validate(&self) -> Result<(), String> {
        limits::check_text("shipment.carrier", &self.carrier, limits::KEY_CHARS)?;
        limits::check_text("shipment.tracking_number", &self.tracking_number, limits::KEY_CHARS)
    }
}

impl Order {
    /// What goes back with it, in points: its own, and those for which money was paid.
    pub fn worth_in_points(&self) -> i64 {
        let paid = self
            .details
            .particulars
            .payment
            .as_ref()
            .filter(|payment| matches!(payment.state(), PaymentState::Authorised | PaymentState::Paid));
        self.points.saturating_add(paid.map_or(0, |payment| payment.points))
    }

    /// The stored form of its holds.
    pub fn encode_holds(&self) -> Vec<u8> {
        postcard::to_extend(&self.holds, Vec::new()).unwrap_or_default()
    }

    /// Reads the stored form of holds.
    pub fn decode_holds(bytes: &[u8]) -> Result<Vec<Portion>, String> {
        postcard::from_bytes(bytes).map_err(|error| format!("order holds: {error}"))
    }

    /// What it takes out of stock: units by [`stock_key`](crate::rewards::stock_key). What is not limited is named as well; points
    /// at a till are no reward.
    pub fn stock(&self) -> impl Iterator<Item = (&str, i64)> {
        let parts = &self.details.particulars.stock;
        let whole = (parts.is_empty() && !self.is_of_till()).then_some((self.reward_id.as_str(), self.quantity));
        whole.into_iter().chain(parts.iter().map(|taken| (taken.key.as_str(), taken.units)))
    }

    /// Whether it is points that pay at a till, and no reward: a part of a checkout, or what a terminal may spend without network.
    pub fn is_of_till(&self) -> bool {
        self.details.particulars.tender.is_some() || self.details.particulars.allowance.is_some()
    }

    /// Lets it move on by itself at another time, though it stays where it stands.
    pub(crate) fn fall_due(&mut self, at: Option<Timestamp>, transaction_id: TransactionId) {
        self.due_at = at;
        self.details.particulars.dues.push(Due { transaction_id, at });
    }

    /// Whether its time has run out at `at`.
    pub fn is_due(&self, at: Timestamp) -> bool {
        self.due_at.is_some_and(|due| due <= at)
    }

    /// Notes the state that it has come to by an entry of the journal.
    pub(crate) fn note(&mut self, step: OrderStep) {
        let is_new = step.transaction_id.0 < self.id.0 && self.created_at == step.at;
        if self.details.history.is_empty() && !is_new {
            // One that was made before histories were kept: at least where it stood.
            let (state, at) = (self.state, self.updated_at);
            let unknown =
                OrderStep { state, at, transaction_id: TransactionId(0), actor: None, reason: None, due_at: None };
            self.details.history.push(unknown);
        }
        self.state = step.state;
        (self.updated_at, self.due_at) = (step.at, step.due_at);
        self.details.history.push(step);
    }

    /// Takes back what happened to it from an entry of the journal on, the first at `moment` or later. False: nothing is known
    /// of how it stood.
    pub fn rewind(&mut self, from: TransactionId, moment: Timestamp) -> bool {
        // A state that an order had when its history began came by an entry that may be taken back as well.
        let stays = |step: &OrderStep| step.transaction_id < from && (step.transaction_id.0 != 0 || step.at < moment);
        self.details.history.retain(stays);
        let OrderDetails { history, claimed_by, shipment, particulars, .. } = &mut self.details;
        particulars.rewind(from);
        let Some(last) = history.last() else { return false };
        (self.state, self.updated_at, self.due_at) = (last.state, last.at, last.due_at);
        if let Some(due) = particulars.dues.last().filter(|due| due.transaction_id > last.transaction_id) {
            self.due_at = due.at;
        }
        // Whoever takes a review on leaves a second step in it.
        let before = history.len().checked_sub(2).and_then(|index| history.get(index));
        let claimed = before.is_some_and(|before| before.state == OrderState::InReview);
        *claimed_by = if claimed && last.state == OrderState::InReview { last.actor.clone() } else { None };
        if !history.iter().any(|step| step.state == OrderState::Shipped) {
            *shipment = None;
        }
        if !history.iter().any(|step| step.state == OrderState::Completed) {
            particulars.handed_out = None;
        }
        self.rewind_contents(from);
        self.follow_particulars();
        true
    }
}

impl OrderDetails {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        if self.particulars == Particulars::default() {
            return postcard::to_extend(self, vec![PLAIN]).unwrap_or_default();
        }
        let mut bytes = postcard::to_extend(self, vec![WITH_PARTICULARS]).unwrap_or_default();
        bytes.extend(serde_json::to_vec(&self.particulars).unwrap_or_default());
        bytes
    }

    /// Reads the stored form; of orders made before there were details it is empty.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let unreadable = |error: postcard::Error| format!("order details: {error}");
        match bytes.split_first() {
            None => Ok(Self::default()),
            Some((&PLAIN, rest)) => postcard::from_bytes(rest).map_err(unreadable),
            Some((&WITH_PARTICULARS, rest)) => {
                let (plain, rest) = postcard::take_from_bytes::<Self>(rest).map_err(unreadable)?;
                let particulars = serde_json::from_slice(rest).map_err(|error| format!("order details: {error}"))?;
                Ok(Self { particulars, ..plain })
            }
            Some((other, _)) => Err(format!("order details: format {other} is not known")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_few_orders_say_costs_others_nothing_and_is_read_back() {
        let plain = OrderDetails { claimed_by: Some("opr_1".to_owned()), ..OrderDetails::default() };
        assert_eq!(plain.encode().first(), Some(&PLAIN));
        let stock = vec![StockTaken { key: "mug#blue".to_owned(), units: 2 }];
        let more = OrderDetails { particulars: Particulars { stock, ..Particulars::default() }, ..plain.clone() };
        for details in [plain, more] {
            assert_eq!(OrderDetails::decode(&details.encode()), Ok(details));
        }
        assert!(OrderDetails::decode(&[WITH_PARTICULARS, 0, 0, 0, 0, b'x']).is_err());
        assert_eq!(OrderDetails::decode(&[9]), Err("order details: format 9 is not known".to_owned()));
    }
}
