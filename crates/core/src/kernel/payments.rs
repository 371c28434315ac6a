//! What a command does with the money of an order, and with the group of friends in which it was ordered.

use serde::{Deserialize, Serialize};

use super::batch::Loaded;
use super::command::{Action, Command, GROUP_PREFIX, PAYMENT_PREFIX, check_key, digest_of};
use super::decide::Draft;
use super::fulfilment::SYSTEM;
use super::moves::Mover;
use super::order_commands::{OrderChange, Redemption, Terms};
use super::{Event, Refusal, RefusalCode};
use crate::id::{MemberId, OrderId};
use crate::limits;
use crate::planted::{self, Bug};
use crate::redemption::{
    Companions, Funds, Order, OrderMove, OrderState, Payment, PaymentMove, PaymentState, PaymentStep, PaymentTender,
};
use crate::rewards::{DemandFigures, Promise, Reward, Split};
use crate::time::Timestamp;
use rust_decimal::Decimal;

/// How an order is to be paid where it is not in points alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tendering {
    /// The way of the money.
    pub tender: PaymentTender,
    /// How much of it; `None`: as the quote says.
    pub split: Option<Split>,
}

/// The group in which a reward is ordered, as it was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupTerms {
    /// Its code.
    pub code: String,
    /// Until when it must be full.
    pub ends_at: Timestamp,
    /// Per cent of the price that each pays.
    pub percent: Decimal,
}

/// A change of an order that is no move of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderAmendment {
    /// Which.
    pub order: OrderId,
    /// Under whose name it is kept: the command's member, or one whose account was merged into the member's.
    pub owner: MemberId,
    /// What is changed.
    pub change: Amendment,
}

/// What is changed of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Amendment {
    /// Its money has moved.
    Payment {
        /// How.
        step: PaymentMove,
        /// What the tender, or whoever has taken it, calls it.
        reference: Option<String>,
        /// Why.
        reason: Option<String>,
    },
    /// Its group is full.
    GroupFull,
}

impl Command {
    /// The same redemption with a part in money. It belongs to the request where it is given.
    pub fn paid_by(mut self, tendering: Option<Tendering>) -> Self {
        if let (Action::Redeem(redemption), Some(tendering)) = (&mut self.action, tendering) {
            redemption.tendering = Some(tendering);
            self.request_digest = digest_of(&(self.request_digest, "paid by", tendering));
        }
        self
    }

    /// Orders a unit in a group of friends, for a place that is kept for the member: once however often it is sent.
    pub fn join_group(
        member_id: MemberId,
        at: Timestamp,
        reward_id: &str,
        (terms, place): (GroupTerms, &str),
        figures: Option<DemandFigures>,
    ) -> Self {
        let key = format!("{GROUP_PREFIX}{}:{place}", terms.code);
        let request = ("join group", reward_id, &terms.code);
        let digest = digest_of(&request);
        let redemption = Redemption::new(reward_id.to_owned(), 1, false, Terms::Now(figures));
        let action = Action::Redeem(Box::new(Redemption { group: Some(terms), ..redemption }));
        Self { request_digest: digest, ..Self::new(member_id, &key, at, action, &()) }
    }

    /// Gives an order of a group back because the member leaves it: once however often it is sent. `reason` is a code.
    pub fn leave_group(member_id: MemberId, at: Timestamp, order: &Order, reason: &str) -> Self {
        Self::called_off(member_id, &format!("{GROUP_PREFIX}leave:{}", order.id), at, order, OrderMove::Cancel, reason)
    }

    /// Gives an order back whose group did not come together: once however often it is sent. `reason` is a code.
    pub fn give_up_group(member_id: MemberId, at: Timestamp, order: &Order, reason: &str) -> Self {
        let key = format!("{GROUP_PREFIX}give-up:{}", order.id);
        Self::called_off(member_id, &key, at, order, OrderMove::Fail, reason)
    }

    /// Tells an order that its group is full: once however often it is sent.
    pub fn fill_group(member_id: MemberId, at: Timestamp, order: &Order) -> Self {
        let key = format!("{GROUP_PREFIX}full:{}", order.id);
        let amendment = OrderAmendment { order: order.id, owner: order.member_id, change: Amendment::GroupFull };
        Self::new(member_id, &key, at, Action::Amend(Box::new(amendment)), &"full").from_channel(SYSTEM)
    }

    /// Notes what a tender has answered: once for each step, however often it is told. `reason` is a code.
    pub fn follow_tender(
        member_id: MemberId,
        at: Timestamp,
        (order, payment): (&Order, &Payment),
        step: PaymentMove,
        reference: Option<String>,
        reason: Option<String>,
    ) -> Self {
        let key = format!("{PAYMENT_PREFIX}{}:{}:{}", step.name(), payment.steps.len(), order.id);
        let change = Amendment::Payment { step, reference, reason };
        let amendment = OrderAmendment { order: order.id, owner: order.member_id, change };
        Self::new(member_id, &key, at, Action::Amend(Box::new(amendment)), &step).from_channel(SYSTEM)
    }

    /// Calls off an order whose money nobody has confirmed in time. `reason` is a code.
    pub fn give_up_payment(member_id: MemberId, at: Timestamp, order: &Order, reason: &str) -> Self {
        let key = format!("{PAYMENT_PREFIX}give-up:{}", order.id);
        Self::called_off(member_id, &key, at, order, OrderMove::Fail, reason)
    }

    fn called_off(member_id: MemberId, key: &str, at: Timestamp, order: &Order, step: OrderMove, reason: &str) -> Self {
        let (reason, shipment) = (Some(reason.to_owned()), None);
        let change = OrderChange { order: order.id, owner: order.member_id, step, reason, shipment };
        Self::new(member_id, key, at, Action::Move(Box::new(change)), &"called off").from_channel(SYSTEM)
    }

    /// Changes an order that is kept under the name of `owner`: the member, or one who was merged into it.
    pub fn amend(member_id: MemberId, key: &str, at: Timestamp, amendment: OrderAmendment) -> Result<Self, Refusal> {
        check_key(key)?;
        if let Amendment::Payment { reference, reason, .. } = &amendment.change {
            let checks = [("reference", reference, limits::KEY_CHARS), ("reason", reason, limits::TEXT_CHARS)];
            checks.into_iter().try_for_each(|(field, text, limit)| {
                let checked = text.as_deref().map_or(Ok(()), |text| limits::check_text(field, text, limit));
                checked.map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))
            })?;
        }
        let digest = digest_of(&("amend", amendment.order, &amendment.change));
        let action = Action::Amend(Box::new(amendment));
        Ok(Self { request_digest: digest, ..Self::new(member_id, key, at, action, &()) })
    }
}

impl Draft<'_> {
    /// A price with the part in money that is wanted, or that was promised.
    pub(super) fn tendered(&self, reward: &Reward, wanted: &Redemption, price: Promise) -> Result<Promise, Refusal> {
        let refused = |code, problem: String| Err(Refusal::new(code, problem));
        let Some(Tendering { tender, split }) = wanted.tendering else {
            return match price.cash {
                None => Ok(price),
                Some(_) => refused(
                    RefusalCode::InvalidRequest,
                    "the quote is paid with money in part; name the `tender`".to_owned(),
                ),
            };
        };
        let tenders: Vec<PaymentTender> = self.program.tenders_for(reward, self.command.at).collect();
        if !tenders.contains(&tender) {
            let known: Vec<&str> = tenders.iter().map(|tender| tender.name()).collect();
            let known = if known.is_empty() { "no money".to_owned() } else { known.join(", ") };
            let (name, reward) = (tender.name(), &reward.id);
            let problem = format!("`tender` {name} is not taken for `{reward}`; the program takes {known}");
            return refused(RefusalCode::TenderNotOffered, problem);
        }
        match (split, price.cash) {
            (None, Some(_)) => Ok(price),
            (Some(split), None) => {
                let cash = self.program.split(reward, price.points, split, self.command.at);
                let cash = cash.map_err(|problem| Refusal::new(RefusalCode::SplitNotOffered, problem))?;
                Ok(Promise { points: price.points - cash.points, cash: Some(cash), ..price })
            }
            _ => refused(
                RefusalCode::InvalidRequest,
                "a `tender` needs a split: `points` or `cash`, or a quote that has one, not both".to_owned(),
            ),
        }
    }

    /// Notes on a new order what is paid in money, and in which group it was ordered.
    pub(super) fn note_particulars(
        &mut self,
        order: &mut Order,
        wanted: &Redemption,
        price: Promise,
    ) -> Result<(), Refusal> {
        if let (Some(tendering), Some(cash)) = (wanted.tendering, price.cash) {
            let payment = Payment::due(tendering.tender, cash.amount, cash.points);
            if wanted.capture {
                let problem = "money is due on this order: leave out `capture`, and complete it once it is paid";
                return Err(Refusal::new(RefusalCode::PaymentDue, problem));
            }
            self.ask_for_payment(order.id, payment.wants(Funds::Held));
            order.details.particulars.payment = Some(payment);
        }
        if let Some(GroupTerms { code, ends_at, .. }) = &wanted.group {
            if self.command.at >= *ends_at {
                let problem = format!("the group was open until {ends_at}");
                return Err(Refusal::new(RefusalCode::GroupOver, problem));
            }
            if wanted.capture {
                let problem = "an order of a group waits until the group is full: leave out `capture`";
                return Err(Refusal::new(RefusalCode::GroupOpen, problem));
            }
            let group = Companions { code: code.clone(), ends_at: *ends_at, filled: None };
            order.details.particulars.group = Some(group);
        }
        Ok(())
    }
}

impl Mover<'_> {
    /// Refuses a move to a state for which money or friends are missing yet. Whoever disputes an order moves it nowhere.
    pub(super) fn check_particulars(&self, order: &Order, step: OrderMove, next: OrderState) -> Result<(), Refusal> {
        let fulfils = next != order.state && (next == OrderState::Fulfilling || next.funds() == Funds::Spent);
        let particulars = &order.details.particulars;
        if let Some(group) = particulars.open_group() {
            let leaves = step == OrderMove::Cancel && self.channel != SYSTEM;
            if fulfils || leaves {
                let (id, code, ends_at) = (order.id, &group.code, group.ends_at);
                let what = if fulfils { "is not fulfilled before it is full" } else { "is left by leaving the group" };
                let problem =
                    format!("order {id} belongs to the group {code}, which is open until {ends_at}, and {what}");
                return Err(Refusal::new(RefusalCode::GroupOpen, problem));
            }
        }
        if let Some(payment) = particulars.payment.as_ref().filter(|_| fulfils && !planted::is(Bug::FulfilledUnpaid)) {
            let (id, state) = (order.id, payment.state().name());
            let unpaid = next == OrderState::Completed && payment.state() == PaymentState::Due;
            if unpaid || !payment.lets_fulfil() {
                let problem = format!("the money for order {id} is {state}: it must be paid first");
                return Err(Refusal::new(RefusalCode::PaymentDue, problem));
            }
        }
        Ok(())
    }
}

impl Draft<'_> {
    /// Lets what an order carries besides follow a move: its payment asks for the step that is wanted now, and ends where
    /// nobody has begun it; the end of its group is told.
    pub(super) fn follow_particulars(&mut self, order: &mut Order, before: Funds) {
        let funds = order.state.funds();
        self.follow_group(order, before);
        let Some(payment) = order.details.particulars.payment.as_mut() else { return };
        let wanted = payment.wants(funds).filter(|wanted| payment.wants(before) != Some(*wanted));
        if wanted == Some(PaymentMove::Void) && !payment.tender.authorises() {
            let step = self.payment_step(PaymentState::Void, None, None);
            payment.steps.push(step);
            return;
        }
        self.ask_for_payment(order.id, wanted);
    }

    /// Tells that an order is given back whose group is open.
    fn follow_group(&mut self, order: &Order, before: Funds) {
        let given_back = before == Funds::Held && order.state.funds() == Funds::Returned;
        if given_back && order.details.particulars.open_group().is_some() {
            self.receipt.events.push(Event::GroupEnded { order_id: order.id, full: false });
        }
    }

    /// Moves the money of an order, or lets its group be full.
    pub(super) fn amend(&mut self, amendment: &OrderAmendment, loaded: &Loaded) -> Result<(), Refusal> {
        let mut order = self.own_order(amendment.owner, amendment.order, loaded)?.clone();
        match &amendment.change {
            Amendment::GroupFull => self.fill_group(&mut order)?,
            Amendment::Payment { step, reference, reason } => {
                self.move_payment(&mut order, *step, (reference, reason), loaded)?;
                self.receipt.reason.clone_from(reason);
            }
        }
        order.updated_at = self.command.at;
        self.set_order(order);
        Ok(())
    }

    fn fill_group(&mut self, order: &mut Order) -> Result<(), Refusal> {
        let (id, state, transaction) = (order.id, order.state, self.receipt.transaction_id);
        let group = order.details.particulars.group.as_mut().filter(|group| group.is_open());
        let Some(group) = group.filter(|_| state.funds() == Funds::Held) else {
            let problem = format!("order {id} is {}, and waits for no group", state.name());
            return Err(Refusal::new(RefusalCode::IllegalOrderMove, problem));
        };
        group.filled = Some(transaction);
        self.fall_due(order);
        self.receipt.events.push(Event::GroupEnded { order_id: id, full: true });
        Ok(())
    }

    fn move_payment(
        &mut self,
        order: &mut Order,
        step: PaymentMove,
        (reference, reason): (&Option<String>, &Option<String>),
        loaded: &Loaded,
    ) -> Result<(), Refusal> {
        let (id, funds) = (order.id, order.state.funds());
        let Some(payment) = &mut order.details.particulars.payment else {
            let problem = format!("order {id} is paid in points alone");
            return Err(Refusal::new(RefusalCode::IllegalPaymentMove, problem));
        };
        let Some(state) = payment.after(step, funds) else {
            let (stands, order_state) = (payment.state().name(), order.state.name());
            let problem =
                format!("the money for order {id}, which is {order_state}, is {stands}: it cannot {}", step.name());
            return Err(Refusal::new(RefusalCode::IllegalPaymentMove, problem));
        };
        let noted = self.payment_step(state, reference.clone(), reason.clone());
        payment.steps.push(noted);
        let wanted = payment.wants(funds);
        if matches!(step, PaymentMove::Decline | PaymentMove::Fail) {
            self.receipt.events.push(Event::PaymentFailed { order_id: id });
        }
        match step {
            PaymentMove::Decline if funds == Funds::Held => {
                self.move_funds(order, Funds::Returned, loaded)?;
                self.make_good(order, OrderMove::Fail, reason.as_ref())?;
                self.uncount_limits(order, Funds::Returned);
                self.note(order, OrderState::Cancelled, reason.as_ref());
                self.follow_group(order, funds);
            }
            // From now on its time runs, or no longer.
            _ if funds == Funds::Spent && order.state != OrderState::Completed => self.fall_due(order),
            _ => {}
        }
        self.ask_for_payment(id, wanted);
        Ok(())
    }

    fn payment_step(&self, state: PaymentState, reference: Option<String>, reason: Option<String>) -> PaymentStep {
        let (at, transaction_id) = (self.command.at, self.receipt.transaction_id);
        PaymentStep { state, at, transaction_id, reference, reason, actor: self.command.actor.clone() }
    }

    /// Tells the server which step the money of an order waits for: with the commit, so that none is forgotten.
    fn ask_for_payment(&mut self, order_id: OrderId, wanted: Option<PaymentMove>) {
        if let Some(step) = wanted {
            self.receipt.events.push(Event::PaymentWanted { order_id, step });
        }
    }
}
