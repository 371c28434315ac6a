//! Points that a till may spend without network: granted before, charged when the till tells what it has spent.
//!
//! Each allowance of a member has a number, and its key follows from the number, so that of two that are asked for at once one
//! comes after the other. The account keeps all that are good at the moment, also through a merge: together they are never more
//! than the program says.

use super::batch::{Loaded, accounts_in};
use super::checkouts::{CHECKOUT_CHANNEL, Checkout, checkout_reference};
use super::command::{ALLOWANCE_PREFIX, Action, Command, digest_of};
use super::decide::{Draft, check_active};
use super::event::Event;
use super::receipt::{AllowanceReceipt, OfflineReceipt, Receipt};
use super::refusal::{Refusal, RefusalCode};
use crate::id::{MemberId, OrderId};
use crate::ledger::{AccountStatus, LedgerAccount, TransactionKind};
use crate::limits;
use crate::planted::{self, Bug};
use crate::redemption::{
    ALLOWANCE, Allowance, Captured, CheckoutPolicy, Granted, OfflinePolicy, Order, OrderState, OrderStep, Overdraft,
    Paid, SpentOffline, TENDER, Tender, check_terminal, split,
};
use crate::time::{MAX_CLOCK_SKEW_MS, Timestamp};

/// An allowance that a terminal asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowanceRequest {
    /// In which store.
    pub store: String,
    /// For which terminal alone.
    pub terminal: String,
    /// How many points; `None`: as many as may be.
    pub points: Option<i64>,
    /// Which allowance of the member it is, counted from 1.
    pub number: i64,
}

/// Points that a terminal has spent without network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineSpending {
    /// Of which allowance.
    pub order: OrderId,
    /// Under whose name it is kept: the command's member, or one whose account was merged into the member's.
    pub owner: MemberId,
    /// The terminal's own number of it.
    pub id: String,
    /// In which store.
    pub store: String,
    /// Which terminal has spent them.
    pub terminal: String,
    /// How many.
    pub points: i64,
    /// What the whole basket cost, in minor units of money.
    pub basket: i64,
    /// When, by the terminal's clock.
    pub at: Timestamp,
}

/// The key of an allowance of a member.
fn allowance_key(member: MemberId, number: i64) -> String {
    format!("{ALLOWANCE_PREFIX}{member}:{number}")
}

impl Command {
    /// Grants a terminal points of the member to be spent without network.
    pub fn grant_allowance(member_id: MemberId, at: Timestamp, wanted: AllowanceRequest) -> Result<Self, Refusal> {
        let checked = limits::check_text("store", &wanted.store, limits::KEY_CHARS)
            .and_then(|()| check_terminal(&wanted.terminal))
            .and_then(|()| match wanted.points {
                Some(points) if !(1..=limits::AMOUNT).contains(&points) => {
                    Err(format!("`points` must be 1 to {}, not {points}", limits::AMOUNT))
                }
                _ => Ok(()),
            });
        checked.map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))?;
        let key = allowance_key(member_id, wanted.number);
        let digest = digest_of(&("allowance", &wanted.store, &wanted.terminal, wanted.points));
        let command = Self::new(member_id, &key, at, Action::Checkout(Box::new(Checkout::Grant(wanted))), &());
        Ok(Self { request_digest: digest, ..command }.from_channel(ALLOWANCE_CHANNEL))
    }

    /// Charges what a terminal has spent without network.
    pub fn charge_offline(member_id: MemberId, at: Timestamp, spent: OfflineSpending) -> Result<Self, Refusal> {
        let checked = limits::check_text("id", &spent.id, limits::REFERENCE_CHARS)
            .and_then(|()| limits::check_text("store", &spent.store, limits::KEY_CHARS))
            .and_then(|()| check_terminal(&spent.terminal))
            .and_then(|()| match (spent.points, spent.basket) {
                (points, _) if !(1..=limits::AMOUNT).contains(&points) => {
                    Err(format!("`points` must be 1 to {}, not {points}", limits::AMOUNT))
                }
                (_, basket) if !(1..=limits::AMOUNT).contains(&basket) => {
                    Err("`basket` must be more than 0, and within the limits of an amount".to_owned())
                }
                _ => Ok(()),
            });
        checked.map_err(|problem| Refusal::new(RefusalCode::InvalidRequest, problem))?;
        if spent.at > at.plus_millis(MAX_CLOCK_SKEW_MS) {
            let problem = format!("`spent_at` {} lies in the future; it is {at} now", spent.at);
            return Err(Refusal::new(RefusalCode::OccurredInFuture, problem));
        }
        // Without the moment: clocks are set.
        let OfflineSpending { order, id, store, terminal, points, basket, .. } = &spent;
        // Without the allowance: a terminal gives each number once, and reverses by it.
        let key = format!("{ALLOWANCE_PREFIX}{}", crate::hex::encode(&digest_of(&(store, terminal, id))));
        let digest = digest_of(&("spent", order, store, terminal, id, points, basket));
        let reference = Some(checkout_reference(store, id));
        let command = Self::new(member_id, &key, at, Action::Checkout(Box::new(Checkout::Spend(spent))), &());
        Ok(Self { request_digest: digest, ..command }.from_channel(CHECKOUT_CHANNEL).with_reference(reference))
    }
}

/// The channel of allowances, by which their entries are found.
pub const ALLOWANCE_CHANNEL: &str = "allowance";

impl AllowanceRequest {
    /// The key of the one before it, whose receipt it reads.
    pub(super) fn key_before(&self, member: MemberId) -> Option<String> {
        (self.number > 1).then(|| allowance_key(member, self.number - 1))
    }
}

impl Draft<'_> {
    fn offline_policy(&self) -> Result<(CheckoutPolicy, OfflinePolicy), Refusal> {
        self.offline_policy_at(self.command.at)
    }

    fn offline_policy_at(&self, at: Timestamp) -> Result<(CheckoutPolicy, OfflinePolicy), Refusal> {
        let policy = self.checkout_policy_at(at)?;
        let offline = policy.offline.clone().ok_or_else(|| {
            let problem = "no points are spent without network: `[program.checkout]` has no `offline`";
            Refusal::new(RefusalCode::CheckoutNotOffered, problem)
        })?;
        Ok((policy.clone(), offline))
    }

    /// The allowances of the member that are good at the moment: those that the account keeps, and those that were granted by a
    /// former version, which the one before names.
    fn live_allowances(&self, wanted: &AllowanceRequest, loaded: &Loaded) -> Result<Vec<Granted>, Refusal> {
        let member = self.command.member_id;
        let Some(key) = wanted.key_before(member).filter(|_| !planted::is(Bug::GrantedToEach)) else {
            return Ok(self.good(Vec::new()));
        };
        let members = std::iter::once(&member).chain(accounts_in(loaded, member));
        let before = members.filter_map(|member| loaded.committed.get(&(*member, key.clone()))).next();
        let receipt = before.and_then(|committed| serde_json::from_str::<Receipt>(&committed.receipt).ok());
        let receipt = receipt.and_then(|receipt| receipt.order?.allowance).ok_or_else(|| {
            let problem = format!("there is no allowance {} of {member} before this one", wanted.number - 1);
            Refusal::new(RefusalCode::InvalidRequest, problem)
        })?;
        Ok(self.good(receipt.live))
    }

    fn good(&self, former: Vec<Granted>) -> Vec<Granted> {
        let kept: &[Granted] = if planted::is(Bug::GrantedToEach) { &[] } else { &self.account.lent };
        kept.iter().copied().chain(former).filter(|granted| granted.ends_at > self.command.at).collect()
    }

    /// Grants a terminal points to be spent without network.
    pub(super) fn grant_allowance(
        &mut self,
        wanted: &AllowanceRequest,
        loaded: &Loaded,
        id: OrderId,
    ) -> Result<(), Refusal> {
        let (at, (policy, offline)) = (self.command.at, self.offline_policy()?);
        self.check_order()?;
        let mut live = self.live_allowances(wanted, loaded)?;
        let lent: i64 = live.iter().map(|granted| granted.points).sum();
        let spendable = self.spendable(policy.currency) - if offline.reserve { 0 } else { lent };
        let room = (offline.points - lent).min(spendable);
        let points = wanted.points.unwrap_or(room).min(room);
        if points <= 0 && lent >= offline.points {
            let ends = live.iter().map(|granted| granted.ends_at).min().unwrap_or(at);
            let problem = format!("{lent} points of the member are granted to terminals already, until {ends}");
            return Err(Refusal::new(RefusalCode::CapReached, problem));
        }
        if points <= 0 {
            let problem = format!("{} points are available", spendable.max(0));
            return Err(Refusal::new(RefusalCode::InsufficientPoints, problem));
        }
        let portions = match offline.reserve {
            true => self.account.wallet_mut(policy.currency).pick(points, at),
            false => Vec::new(),
        };
        let ways = (LedgerAccount::MemberAvailable, LedgerAccount::MemberHeld);
        self.transfer_portions(policy.currency, &portions, ways, None)?;
        self.account.last_activity_at = self.account.last_activity_at.max(at);
        let granted = Paid { points, money: self.checkout_rate(&policy, at).money(points) };
        let ends_at = offline.ends_at(at);
        live.push(Granted { order: id, points, ends_at });
        self.account.lent.clone_from(&live);
        let (store, terminal) = (wanted.store.clone(), wanted.terminal.clone());
        let allowance = Allowance { store, terminal, granted, ends_at, portions, spent: Vec::new() };
        let told = AllowanceReceipt {
            number: wanted.number,
            terminal: wanted.terminal.clone(),
            store: wanted.store.clone(),
            granted,
            ends_at,
            lent: live,
            live: Vec::new(),
        };
        let mut order = self.new_order(id, (ALLOWANCE, 1), (policy.currency, 0));
        order.details.particulars.allowance = Some(allowance);
        self.come_to(order, OrderState::Placed, (None, Some(ends_at)));
        if let Some(order) = &mut self.receipt.order {
            order.allowance = Some(told);
        }
        Ok(())
    }

    /// Charges what a terminal has spent: from what was set aside for it, then from what is there. What goes beyond the
    /// allowance, or is not there, is treated as the program says, and told.
    pub(super) fn charge_offline(
        &mut self,
        wanted: &OfflineSpending,
        loaded: &Loaded,
        id: OrderId,
    ) -> Result<(), Refusal> {
        let (mut order, mut allowance) = self.allowance(wanted, loaded)?;
        // As it was when the allowance was granted: what was spent is spent, whatever was published since.
        let (policy, offline) = self.offline_policy_at(order.created_at)?;
        if allowance.spent.len() >= limits::ALLOWANCE_SPENDINGS {
            let problem = format!("{} spendings of allowance {} were told already", allowance.spent.len(), order.id);
            return Err(Refusal::new(RefusalCode::CheckoutOver, problem));
        }
        let is_its_own = wanted.terminal == allowance.terminal
            && wanted.store == allowance.store
            && wanted.at < allowance.ends_at
            && wanted.at.plus_millis(MAX_CLOCK_SKEW_MS) >= order.created_at
            && matches!(order.state, OrderState::Placed | OrderState::Expired);
        let within = if is_its_own { wanted.points.min(allowance.left()) } else { 0 };
        let chargeable = if offline.overdraft == Overdraft::Owe { wanted.points } else { within };
        let currency = order.currency;
        let mut spent = Vec::new();
        if order.state == OrderState::Placed {
            spent = split(&allowance.portions_left(), within).0;
            self.transfer_portions(currency, &spent, (LedgerAccount::MemberHeld, LedgerAccount::Redemption), None)?;
        }
        let held: i64 = spent.iter().map(|portion| portion.amount).sum();
        let more = self.account.wallet_mut(currency).pick(chargeable - held, self.command.at);
        let ways = (LedgerAccount::MemberAvailable, LedgerAccount::MemberHeld);
        self.transfer_portions(currency, &more, ways, None)?;
        self.transfer_portions(currency, &more, (LedgerAccount::MemberHeld, LedgerAccount::Redemption), None)?;
        spent.extend(more);
        let charged: i64 = spent.iter().map(|portion| portion.amount).sum();
        let owed_before = self.receipt.owed;
        if offline.overdraft == Overdraft::Owe && charged < chargeable {
            self.fall_short(currency, chargeable - charged);
        }
        let owed = self.receipt.owed - owed_before;
        let transaction_id = self.receipt.transaction_id;
        allowance.spent.push(SpentOffline { transaction_id, points: within, held });
        // What the signed text said they are worth.
        let rate = self.checkout_rate(&policy, order.created_at);
        let pays = |points: i64| Paid { points, money: rate.money(points) };
        let (charged, paid) = (pays(charged), pays(charged + owed));
        let tender = (paid.points > 0).then_some(id);
        let told = OfflineReceipt {
            points: wanted.points,
            beyond: wanted.points - within,
            charged,
            owed,
            lost: wanted.points - charged.points - owed,
            tender,
        };
        if told.beyond > 0 || charged.points < wanted.points {
            let (points, beyond, lost) = (told.points, told.beyond, told.lost);
            let (allowance, terminal) = (order.id, wanted.terminal.clone());
            self.receipt.events.push(Event::OfflineBeyond { allowance, terminal, points, beyond, owed, lost });
        }
        order.details.particulars.allowance = Some(allowance);
        let (state, due_at) = (order.state, order.due_at);
        if charged.points > 0 {
            self.be(TransactionKind::Capture);
        }
        self.come_to(order, state, (None, due_at));
        if let Some(order) = &mut self.receipt.order {
            order.offline = Some(told);
        }
        if let Some(id) = tender {
            let captured = Captured { transaction_id, paid };
            let tender = Tender {
                reference: wanted.id.clone(),
                store: wanted.store.clone(),
                terminal: Some(wanted.terminal.clone()),
                basket: wanted.basket,
                value: rate.value,
                authorised: paid,
                portions: spent,
                captured: Some(captured),
                returned: Vec::new(),
                allowance: Some(wanted.order),
                owed,
            };
            self.push_spent(self.new_order(id, (TENDER, 1), (currency, 0)), tender);
        }
        Ok(())
    }

    /// The order of what was spent without network: it is done as soon as it is made.
    fn push_spent(&mut self, mut order: Order, tender: Tender) {
        order.details.particulars.tender = Some(tender);
        let (at, transaction_id, actor) = (self.command.at, self.receipt.transaction_id, self.command.actor.clone());
        let state = OrderState::Completed;
        order.note(OrderStep { state, at, transaction_id, actor, reason: None, due_at: None });
        order.follow_particulars();
        self.orders.push(order);
    }

    fn allowance(&self, wanted: &OfflineSpending, loaded: &Loaded) -> Result<(Order, Allowance), Refusal> {
        let member = self.command.member_id;
        // The account that goes on is charged, not one that ended meanwhile.
        if let AccountStatus::Merged { .. } = self.account.status {
            check_active(member, self.account.status)?;
        }
        let owned = wanted.owner == member || self.account.merged_from.contains(&wanted.owner);
        let order = loaded.orders.get(&(wanted.owner, wanted.order)).filter(|_| owned);
        let allowance = order.and_then(|order| Some((order.clone(), order.details.particulars.allowance.clone()?)));
        allowance.ok_or_else(|| {
            let problem = format!("member {member} has no allowance {}", wanted.order);
            Refusal::new(RefusalCode::UnknownOrder, problem)
        })
    }
}
