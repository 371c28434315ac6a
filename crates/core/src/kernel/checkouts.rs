//! Points as part of a checkout: set aside, spent in whole or in part, given back in whole or in part. A tender is an order
//! without a reward, see [`crate::redemption::Tender`].

use super::allowances::{AllowanceRequest, OfflineSpending};
use super::batch::Loaded;
use super::command::{Action, CHECKOUT_PREFIX, Command, check_reason, digest_of};
use super::decide::{Draft, check_active};
use super::moves::Mover;
use super::refusal::{Refusal, RefusalCode};
use crate::id::{MemberId, OrderId};
use crate::ledger::{AccountStatus, LedgerAccount, TransactionKind};
use crate::limits;
use crate::planted::{self, Bug};
use crate::redemption::{
    Captured, CheckoutPolicy, Order, OrderMove, OrderState, OrderStep, Paid, Rate, Returned, TENDER, Tender, split,
};
use crate::time::Timestamp;

/// How much of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// As much as there is.
    All,
    /// So many points.
    Points(i64),
    /// So much money, in minor units.
    Money(i64),
}

/// What is to be set aside for a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorisation {
    /// The till's own number of the checkout; with the store it is unique.
    pub reference: String,
    /// In which store.
    pub store: String,
    /// At which terminal.
    pub terminal: Option<String>,
    /// What the whole basket costs, in minor units of money.
    pub basket: i64,
    /// How much of it points are to pay.
    pub share: Share,
    /// Whether less will do where so much is not there or not allowed.
    pub partial: bool,
}

/// What is to be done with a tender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenderChange {
    /// Which.
    pub order: OrderId,
    /// Under whose name it is kept: the command's member, or one whose account was merged into the member's.
    pub owner: MemberId,
    /// How much of it.
    pub share: Share,
    /// The till's own number of what is given back, so that several parts can be told apart.
    pub reversal: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// What a till does with points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkout {
    /// Set points aside.
    Authorise(Authorisation),
    /// Spend what was set aside, or less; the rest is given back.
    Capture(TenderChange),
    /// Give back: all that was set aside, or what was spent, in whole or in part.
    Reverse(TenderChange),
    /// Grant a terminal points to be spent without network.
    Grant(AllowanceRequest),
    /// Charge what a terminal has spent without network.
    Spend(OfflineSpending),
}

impl Checkout {
    /// Whether it begins something.
    pub(super) fn begins(&self) -> bool {
        matches!(self, Self::Authorise(_) | Self::Grant(_))
    }

    /// The key of an entry that it reads.
    pub(super) fn key_before(&self, member: MemberId) -> Option<String> {
        match self {
            Self::Grant(wanted) => wanted.key_before(member),
            _ => None,
        }
    }

    /// The order that it is about, and under whose name it is kept.
    pub(super) fn order(&self) -> Option<(MemberId, OrderId)> {
        match self {
            Self::Authorise(_) | Self::Grant(_) => None,
            Self::Spend(spent) => Some((spent.owner, spent.order)),
            Self::Capture(change) | Self::Reverse(change) => Some((change.owner, change.order)),
        }
    }
}

impl Command {
    /// Sets points aside for a checkout. The key follows from the till's own number, so that asking again is a retry.
    pub fn authorise(member_id: MemberId, at: Timestamp, wanted: Authorisation) -> Result<Self, Refusal> {
        wanted.validate().map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))?;
        let Authorisation { reference, store, basket, share, partial, .. } = &wanted;
        // However long they are.
        let key = format!("{CHECKOUT_PREFIX}{}", crate::hex::encode(&digest_of(&(store, reference))));
        let digest = digest_of(&("authorise", store, reference, basket, share, partial));
        let reference = Some(checkout_reference(store, reference));
        Ok(Self::of_checkout(member_id, at, (key, digest), Checkout::Authorise(wanted)).with_reference(reference))
    }

    /// Spends what was set aside, or a part of it: once, so that asking again is a retry.
    pub fn capture_checkout(member_id: MemberId, at: Timestamp, change: TenderChange) -> Result<Self, Refusal> {
        change.validate().map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))?;
        let key = format!("{CHECKOUT_PREFIX}capture:{}", change.order);
        let digest = digest_of(&("capture", change.order, change.share));
        Ok(Self::of_checkout(member_id, at, (key, digest), Checkout::Capture(change)))
    }

    /// Gives back what was set aside, or what was spent: once for each number of a reversal.
    pub fn reverse_checkout(member_id: MemberId, at: Timestamp, change: TenderChange) -> Result<Self, Refusal> {
        change.validate().map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))?;
        let reversal = change.reversal.clone();
        let key = format!("{CHECKOUT_PREFIX}reverse:{}:{}", change.order, reversal.as_deref().unwrap_or_default());
        let digest = digest_of(&("reverse", change.order, change.share, &reversal));
        Ok(Self::of_checkout(member_id, at, (key, digest), Checkout::Reverse(change)).with_reference(reversal))
    }

    fn of_checkout(member_id: MemberId, at: Timestamp, (key, digest): (String, [u8; 32]), what: Checkout) -> Self {
        let command = Self::new(member_id, &key, at, Action::Checkout(Box::new(what)), &());
        Self { request_digest: digest, ..command }.from_channel(CHECKOUT_CHANNEL)
    }
}

/// The channel of checkouts, by which their entries are found.
pub const CHECKOUT_CHANNEL: &str = "checkout";

/// The reference of the entry of a checkout, by which it is found: the till's own number and its store, such as
/// `7-000123@North`. An `@` within either is written `\@` and a backslash twice, so that no two pairs look alike.
pub fn checkout_reference(store: &str, reference: &str) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('@', "\\@");
    format!("{}@{}", escaped(reference), escaped(store))
}

impl Authorisation {
    fn validate(&self) -> Result<(), String> {
        limits::check_text("reference", &self.reference, limits::REFERENCE_CHARS)?;
        limits::check_text("store", &self.store, limits::KEY_CHARS)?;
        if let Some(terminal) = &self.terminal {
            limits::check_text("terminal", terminal, limits::KEY_CHARS)?;
        }
        if !(1..=limits::AMOUNT).contains(&self.basket) {
            return Err("`basket` must be more than 0, and within the limits of an amount".to_owned());
        }
        self.share.validate()
    }
}

impl TenderChange {
    fn validate(&self) -> Result<(), String> {
        if let Some(reversal) = &self.reversal {
            limits::check_text("reversal", reversal, limits::REFERENCE_CHARS)?;
        }
        if let Some(reason) = &self.reason {
            check_reason(reason).map_err(|refusal| refusal.message)?;
        }
        self.share.validate()
    }
}

impl Share {
    fn validate(self) -> Result<(), String> {
        match self {
            Self::Points(number) if !(1..=limits::AMOUNT).contains(&number) => {
                Err(format!("`points` must be 1 to {}, not {number}", limits::AMOUNT))
            }
            Self::Money(number) if !(1..=limits::AMOUNT).contains(&number) => {
                Err("`money` must be more than 0, and within the limits of an amount".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn refused<T>(code: RefusalCode, problem: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(code, problem))
}

impl Draft<'_> {
    pub(super) fn checkout(&mut self, wanted: &Checkout, loaded: &Loaded, id: OrderId) -> Result<(), Refusal> {
        match wanted {
            Checkout::Authorise(wanted) => self.authorise(wanted, id),
            Checkout::Capture(change) => self.capture_tender(change, loaded),
            Checkout::Reverse(change) => self.reverse_tender(change, loaded),
            Checkout::Grant(wanted) => self.grant_allowance(wanted, loaded, id),
            Checkout::Spend(spent) => self.charge_offline(spent, loaded, id),
        }
    }

    pub(super) fn checkout_policy(&self) -> Result<&CheckoutPolicy, Refusal> {
        self.checkout_policy_at(self.command.at)
    }

    pub(super) fn checkout_policy_at(&self, at: Timestamp) -> Result<&CheckoutPolicy, Refusal> {
        let policy = self.program.settings_at(at).checkout.as_ref();
        policy.ok_or_else(|| {
            let problem = "points pay at no till: the program has no `[program.checkout]`";
            Refusal::new(RefusalCode::CheckoutNotOffered, problem)
        })
    }

    pub(super) fn checkout_rate(&self, policy: &CheckoutPolicy, at: Timestamp) -> Rate {
        let value = policy.value.unwrap_or_else(|| self.program.point_value(policy.currency, at));
        Rate { value, minor: self.program.minor_per_major() }
    }

    /// Sets points aside.
    fn authorise(&mut self, wanted: &Authorisation, id: OrderId) -> Result<(), Refusal> {
        let (at, policy) = (self.command.at, self.checkout_policy()?.clone());
        self.check_order()?;
        let rate = self.checkout_rate(&policy, at);
        let points = self.points_to_authorise(wanted, &policy, rate)?;
        let authorised = Paid { points, money: rate.money(points) };
        let portions = self.account.wallet_mut(policy.currency).pick(points, at);
        let ways = (LedgerAccount::MemberAvailable, LedgerAccount::MemberHeld);
        self.transfer_portions(policy.currency, &portions, ways, None)?;
        self.account.last_activity_at = self.account.last_activity_at.max(at);
        let tender = Tender {
            reference: wanted.reference.clone(),
            store: wanted.store.clone(),
            terminal: wanted.terminal.clone(),
            basket: wanted.basket,
            value: rate.value,
            authorised,
            portions,
            captured: None,
            returned: Vec::new(),
            allowance: None,
            owed: 0,
        };
        let mut order = self.new_order(id, (TENDER, 1), (policy.currency, points));
        order.details.particulars.tender = Some(tender);
        self.come_to(order, OrderState::Placed, (None, Some(policy.lapses_at(at))));
        Ok(())
    }

    /// How many points are set aside: as many as are wanted, else the most that are there and allowed.
    fn points_to_authorise(&self, wanted: &Authorisation, policy: &CheckoutPolicy, rate: Rate) -> Result<i64, Refusal> {
        let step = policy.step;
        let whole = |points: i64| points.div_euclid(step) * step;
        let (most, least) = policy.shares(wanted.basket);
        let (spendable, allowed) = (self.spendable(policy.currency), whole(rate.points_up_to(most)));
        let possible = allowed.min(whole(spendable));
        let points = match wanted.share {
            Share::All => possible,
            Share::Points(points) if points % step != 0 => {
                let (below, above) = (whole(points), whole(points) + step);
                let problem = format!("`points` must be a multiple of {step}: {below} or {above}, not {points}");
                return refused(RefusalCode::InvalidAmount, problem);
            }
            Share::Points(points) => points,
            Share::Money(money) => {
                let below = whole(rate.points_up_to(money));
                let (less, more) = (rate.money(below), rate.money(below.saturating_add(step)));
                match wanted.partial || less == money {
                    true => below,
                    false if more == money => below.saturating_add(step),
                    false => {
                        let problem = format!(
                            "`money` must be what multiples of {step} points pay: {less} or {more}, not {money}"
                        );
                        return refused(RefusalCode::InvalidAmount, problem);
                    }
                }
            }
        };
        if points > possible && !wanted.partial {
            return if allowed < points {
                let percent = policy.most_percent;
                let problem = format!("points pay at most {percent} % of a basket: {allowed} points of this one");
                refused(RefusalCode::InvalidAmount, problem)
            } else {
                let problem = format!("{points} points are needed, {spendable} are available");
                refused(RefusalCode::InsufficientPoints, problem)
            };
        }
        let points = points.min(possible);
        let money = rate.money(points);
        if points > 0 && money > 0 && money >= least {
            return Ok(points);
        }
        if rate.points_for(least.max(1)) > spendable {
            let problem = format!("{spendable} points are available, which is too few to pay a part of this basket");
            return refused(RefusalCode::InsufficientPoints, problem);
        }
        let (percent, least) = (policy.least_percent, rate.points_for(least.max(1)));
        let problem =
            format!("points pay at least {percent} % of a basket, in multiples of {step}: {least} points or more");
        refused(RefusalCode::InvalidAmount, problem)
    }

    /// The order of a tender, and the tender.
    fn tender(&self, change: &TenderChange, loaded: &Loaded) -> Result<(Order, Tender), Refusal> {
        let member = self.command.member_id;
        if let AccountStatus::Merged { .. } = self.account.status {
            check_active(member, self.account.status)?;
        }
        let owned = change.owner == member || self.account.merged_from.contains(&change.owner);
        let order = loaded.orders.get(&(change.owner, change.order)).filter(|_| owned);
        let tender = order.and_then(|order| Some((order.clone(), order.details.particulars.tender.clone()?)));
        tender.ok_or_else(|| {
            let problem = format!("member {member} has no checkout {}", change.order);
            Refusal::new(RefusalCode::UnknownOrder, problem)
        })
    }

    /// Spends what was set aside, or a part of it.
    fn capture_tender(&mut self, change: &TenderChange, loaded: &Loaded) -> Result<(), Refusal> {
        let (mut order, mut tender) = self.tender(change, loaded)?;
        if order.state != OrderState::Placed {
            let (id, state) = (order.id, order.state.name());
            return refused(
                RefusalCode::CheckoutOver,
                format!("checkout {id} is {state}: nothing is set aside for it"),
            );
        }
        if order.is_due(self.command.at) {
            let due = order.due_at.unwrap_or_default();
            let problem =
                format!("what was set aside for checkout {} was given back {due}; authorise it anew", order.id);
            return refused(RefusalCode::OrderExpired, problem);
        }
        let paid = self.part(&tender, change.share, tender.authorised)?;
        let (spent, rest) = split(&tender.portions, paid.points);
        let currency = order.currency;
        self.transfer_portions(currency, &spent, (LedgerAccount::MemberHeld, LedgerAccount::Redemption), None)?;
        self.transfer_portions(currency, &rest, (LedgerAccount::MemberHeld, LedgerAccount::MemberAvailable), None)?;
        tender.captured = Some(Captured { transaction_id: self.receipt.transaction_id, paid });
        order.details.particulars.tender = Some(tender);
        self.be(TransactionKind::Capture);
        self.come_to(order, OrderState::Completed, (None, None));
        Ok(())
    }

    /// Gives back what was set aside, or a part of what was spent.
    fn reverse_tender(&mut self, change: &TenderChange, loaded: &Loaded) -> Result<(), Refusal> {
        let (mut order, mut tender) = self.tender(change, loaded)?;
        let currency = order.currency;
        let reason = change.reason.as_ref();
        self.receipt.reason.clone_from(&change.reason);
        match order.state {
            OrderState::Placed if change.share == Share::All => {
                let ways = (LedgerAccount::MemberHeld, LedgerAccount::MemberAvailable);
                self.transfer_portions(currency, &tender.portions, ways, None)?;
                self.be(TransactionKind::Release);
                self.come_to(order, OrderState::Cancelled, (reason, None));
                Ok(())
            }
            OrderState::Placed => {
                let problem =
                    "what is not captured is reversed as a whole; to pay less, capture less: the rest is given back";
                refused(RefusalCode::InvalidAmount, problem)
            }
            OrderState::Completed => {
                if tender.returned.len() >= limits::CHECKOUT_RETURNS {
                    let problem =
                        format!("checkout {} was reversed in {} parts already", order.id, tender.returned.len());
                    return refused(RefusalCode::CheckoutOver, problem);
                }
                let left = match tender.captured.filter(|_| planted::is(Bug::ReversedTwice)) {
                    Some(captured) => captured.paid,
                    None => tender.left(),
                };
                let paid = self.part(&tender, change.share, left)?;
                let owed = tender.owed_left().min(paid.points);
                let spent = tender.portions_left();
                let kept = left.points - tender.owed_left() - (paid.points - owed);
                let (_, back) = split(&spent, kept);
                self.give_back_refunded(currency, &back)?;
                self.give_back_owed(currency, owed)?;
                tender.returned.push(Returned { transaction_id: self.receipt.transaction_id, paid });
                let next = if tender.left().points > 0 { OrderState::Completed } else { OrderState::Refunded };
                order.details.particulars.tender = Some(tender);
                self.be(TransactionKind::Refund);
                self.come_to(order, next, (reason, None));
                Ok(())
            }
            state => {
                let problem = format!("checkout {} is {}: there is nothing to give back", order.id, state.name());
                refused(RefusalCode::CheckoutOver, problem)
            }
        }
    }

    /// A part of what is there: all the money goes with all the points.
    fn part(&self, tender: &Tender, share: Share, there: Paid) -> Result<Paid, Refusal> {
        let rate = tender.rate(self.program.minor_per_major());
        let paid = match share {
            Share::All => there,
            Share::Points(points) if points == there.points => there,
            Share::Money(money) if money == there.money => there,
            Share::Points(points) => Paid { points, money: rate.money(points).min(there.money) },
            Share::Money(money) => Paid { points: rate.points_for(money).min(there.points), money },
        };
        if paid.points > there.points || paid.money > there.money {
            let Paid { points, money } = there;
            let problem = format!("there are {points} points for it, which pay {money} in minor units of money");
            return refused(RefusalCode::InvalidAmount, problem);
        }
        Ok(paid)
    }

    pub(super) fn be(&mut self, kind: TransactionKind) {
        (self.kind, self.receipt.kind) = (kind, kind);
    }

    /// Lets an order come to a state, and its points follow.
    pub(super) fn come_to(
        &mut self,
        mut order: Order,
        state: OrderState,
        (reason, due_at): (Option<&String>, Option<Timestamp>),
    ) {
        let (at, transaction_id, actor) = (self.command.at, self.receipt.transaction_id, self.command.actor.clone());
        order.note(OrderStep { state, at, transaction_id, actor, reason: reason.cloned(), due_at });
        order.follow_particulars();
        let tender = order.details.particulars.tender.as_ref().map(|tender| super::receipt::TenderReceipt {
            reference: tender.reference.clone(),
            store: tender.store.clone(),
            basket: tender.basket,
            authorised: tender.authorised,
            captured: tender.captured.map(|captured| captured.paid),
            returned: Some(tender.returned()).filter(|paid| *paid != Paid::default()),
            lapses_at: due_at,
        });
        self.set_order(order);
        if let Some(order) = &mut self.receipt.order {
            order.tender = tender;
        }
    }
}

impl Mover<'_> {
    /// Refuses to move a tender or an allowance on as an order: a till captures and reverses it. It lapses by itself, and the staff
    /// may call it off or refund it.
    pub(super) fn check_tender(&self, order: &Order, step: OrderMove) -> Result<(), Refusal> {
        let by_staff = self.channel != super::orders::PORTAL;
        let may = match step {
            OrderMove::Expire => true,
            OrderMove::Cancel => by_staff,
            OrderMove::Refund => by_staff && order.details.particulars.tender.is_some(),
            _ => false,
        };
        if may || !order.is_of_till() {
            return Ok(());
        }
        let problem = format!("order {} is a part of a checkout: capture or reverse it as such", order.id);
        refused(RefusalCode::IllegalOrderMove, problem)
    }
}
