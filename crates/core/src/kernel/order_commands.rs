//! Commands of orders: redeem, and move an order on.

use sha2::{Digest, Sha256};

use super::command::{Action, Command, ORDER_PREFIX, check_key, check_reason, digest_of};
use super::payments::{GroupTerms, Tendering};
use super::{Choice, Refusal, RefusalCode};
use crate::id::{MemberId, OrderId};
use crate::limits;
use crate::redemption::{Funds, Order, OrderMove, Shipment, check_risk};
use crate::rewards::{DemandFigures, Opened, Promise, Quote, Rights};
use crate::time::Timestamp;

/// A move of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderChange {
    /// Which.
    pub order: OrderId,
    /// Under whose name it is kept: the command's member, or one whose account was merged into the member's.
    pub owner: MemberId,
    /// Where to.
    pub step: OrderMove,
    /// Why.
    pub reason: Option<String>,
    /// How it was sent.
    pub shipment: Option<Shipment>,
}

/// At which price an order is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Terms {
    /// At that of the command's moment, by the demand that the caller has looked at; `None`: demand changes nothing.
    Now(Option<DemandFigures>),
    /// At that which a quote promises to the command's member for the reward and the quantity.
    Quoted(Promise),
}

/// What is to be redeemed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redemption {
    /// What.
    pub reward_id: String,
    /// How many.
    pub quantity: i64,
    /// Whether to spend the points at once.
    pub capture: bool,
    /// What a risk engine makes of it, 0 to 100.
    pub risk: Option<i64>,
    /// At which price.
    pub terms: Terms,
    /// What was chosen.
    pub choice: Choice,
    /// What the member may besides, as the caller has looked it up; no part of the request.
    pub rights: Rights,
    /// What is paid in money; `None`: nothing.
    pub tendering: Option<Tendering>,
    /// In which group of friends; `None`: in none.
    pub group: Option<GroupTerms>,
}

impl Redemption {
    /// A redemption in points, by nobody else, with nothing to choose and no rights besides.
    pub fn new(reward_id: String, quantity: i64, capture: bool, terms: Terms) -> Self {
        let (choice, rights) = (Choice::default(), Rights::default());
        Self { reward_id, quantity, capture, risk: None, terms, choice, rights, tendering: None, group: None }
    }
}

impl Command {
    /// Redeems `quantity` of a reward.
    pub fn redeem(
        member_id: MemberId,
        key: &str,
        at: Timestamp,
        reward_id: &str,
        quantity: i64,
        capture: bool,
    ) -> Result<Self, Refusal> {
        check_key(key)?;
        check_quantity(quantity)?;
        let request = ("redeem", reward_id, quantity, capture);
        let (reward_id, terms) = (reward_id.to_owned(), Terms::Now(None));
        let redemption = Redemption::new(reward_id, quantity, capture, terms);
        Ok(Self::new(member_id, key, at, Action::Redeem(Box::new(redemption)), &request))
    }

    /// The same redemption by the demand for the reward, which is no part of the request: it is another for a retry.
    pub fn by_demand(mut self, figures: Option<DemandFigures>) -> Self {
        if let Action::Redeem(redemption) = &mut self.action
            && let terms @ Terms::Now(_) = &mut redemption.terms
        {
            *terms = Terms::Now(figures);
        }
        self
    }

    /// Redeems what a quote is for, at the price that it promises. One that was altered is refused when it is decided, and
    /// one that is over as well: a repeated request is answered as it was.
    pub fn redeem_at(opened: &Opened, token: &str, key: &str, at: Timestamp, capture: bool) -> Result<Self, Refusal> {
        check_key(key)?;
        let request = ("redeem at quote", token, capture);
        let Quote { member_id, reward_id, quantity, promise } = opened.claimed().clone();
        let action = match opened {
            Opened::Genuine(_) => {
                let terms = Terms::Quoted(promise);
                Action::Redeem(Box::new(Redemption::new(reward_id, quantity, capture, terms)))
            }
            Opened::Altered(_) => {
                let problem = "`quote` is not as it was answered; ask for a new one";
                Action::Unfit(Box::new(Refusal::new(RefusalCode::QuoteAltered, problem)))
            }
        };
        Ok(Self::new(member_id, key, at, action, &request))
    }

    /// The same redemption with what a risk engine makes of it, 0 to 100. A retry may bring another.
    pub fn with_risk(mut self, score: Option<i64>) -> Result<Self, Refusal> {
        check_risk(score).map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))?;
        if let Action::Redeem(redemption) = &mut self.action {
            redemption.risk = score;
        }
        Ok(self)
    }

    /// The same redemption with what the member may besides. A retry may bring other rights.
    pub fn with_rights(mut self, rights: Rights) -> Self {
        if let Action::Redeem(redemption) = &mut self.action {
            redemption.rights = rights;
        }
        self
    }

    /// The same redemption with what was chosen. `said` is what the request says of it, as a digest of the program's keyring
    /// where it says anything: the same key with another choice is refused, and nobody guesses an address from a digest.
    pub fn choosing(mut self, choice: Choice, said: Option<[u8; 32]>) -> Result<Self, Refusal> {
        choice.check()?;
        if let Some(said) = said {
            self.request_digest = Sha256::digest([self.request_digest, said].concat()).into();
        }
        if let Action::Redeem(redemption) = &mut self.action {
            redemption.choice = choice;
        }
        Ok(self)
    }

    /// Moves an order that is kept under the name of `owner`: the member, or one who was merged into it.
    pub fn move_order(member_id: MemberId, key: &str, at: Timestamp, change: OrderChange) -> Result<Self, Refusal> {
        check_key(key)?;
        match &change.reason {
            Some(reason) => check_reason(reason)?,
            None if change.step.needs_reason() => {
                let problem = format!("`reason` is needed to {} an order", change.step.name());
                return Err(Refusal::new(RefusalCode::InvalidRequest, problem));
            }
            None => {}
        }
        let shipment = match &change.shipment {
            Some(_) if change.step != OrderMove::Ship => Err("`shipment` is for the move `ship`".to_owned()),
            Some(shipment) => shipment.validate(),
            None => Ok(()),
        };
        shipment.map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))?;
        let OrderChange { order, step, reason, shipment, .. } = &change;
        // As earlier versions wrote these requests: a retry of one of theirs is known.
        let digest = match (step, reason) {
            (OrderMove::Complete, None) => digest_of(&("capture", order)),
            (OrderMove::Cancel, None) => digest_of(&("release", order)),
            (OrderMove::Refund, Some(reason)) => digest_of(&("refund", order, reason)),
            _ => digest_of(&("move", order, step, reason, shipment)),
        };
        let action = Action::Move(Box::new(change));
        Ok(Self { request_digest: digest, ..Self::new(member_id, key, at, action, &()) })
    }

    /// Moves an order whose time has run out, as the program's own clock does: once however often it is sent.
    pub fn end_order(order: &Order, at: Timestamp, member_id: MemberId) -> Self {
        let step = if order.state.funds() == Funds::Spent { OrderMove::Complete } else { OrderMove::Expire };
        let change = OrderChange { order: order.id, owner: order.member_id, step, reason: None, shipment: None };
        let key = format!("{ORDER_PREFIX}{}:{}", step.name(), order.id);
        Self::new(member_id, &key, at, Action::Move(Box::new(change)), &"order").from_channel("system")
    }

    /// Completes an order of the member: spends what it holds.
    pub fn capture(member_id: MemberId, key: &str, at: Timestamp, order: OrderId) -> Result<Self, Refusal> {
        let (step, reason, shipment) = (OrderMove::Complete, None, None);
        Self::move_order(member_id, key, at, OrderChange { order, owner: member_id, step, reason, shipment })
    }

    /// Cancels an order of the member: gives back what it holds.
    pub fn release(member_id: MemberId, key: &str, at: Timestamp, order: OrderId) -> Result<Self, Refusal> {
        let (step, reason, shipment) = (OrderMove::Cancel, None, None);
        Self::move_order(member_id, key, at, OrderChange { order, owner: member_id, step, reason, shipment })
    }

    /// Gives back what an order has spent; it is kept under the name of `owner`: the member, or one who was merged into it.
    pub fn refund(
        member_id: MemberId,
        owner: MemberId,
        key: &str,
        at: Timestamp,
        order: OrderId,
        reason: &str,
    ) -> Result<Self, Refusal> {
        let (step, reason, shipment) = (OrderMove::Refund, Some(reason.to_owned()), None);
        Self::move_order(member_id, key, at, OrderChange { order, owner, step, reason, shipment })
    }
}

/// Checks how many units one order may be for.
pub fn check_quantity(quantity: i64) -> Result<(), Refusal> {
    if (1..=limits::ORDER_QUANTITY).contains(&quantity) {
        return Ok(());
    }
    let problem = format!("`quantity` must be 1 to {}, not {quantity}", limits::ORDER_QUANTITY);
    Err(Refusal::new(RefusalCode::InvalidAmount, problem))
}
