//! What a command does with an order: redeem, and move it on.

use rust_decimal::Decimal;

use super::batch::Loaded;
use super::decide::{Draft, check_active};
use super::order_commands::{OrderChange, Redemption, Terms};
use super::receipt::{OrderReceipt, PaymentReceipt};
use super::refusal::{Refusal, RefusalCode};
use crate::id::{MemberId, OrderId};
use crate::ledger::{Account, AccountStatus, CurrencyId, LedgerAccount, LotKey, Portion, TransactionKind, Transfer};
use crate::redemption::{Funds, Order, OrderDetails, OrderMove, OrderState, OrderStep, Verdict};
use crate::rewards::{Occasion, Priced, Promise, Reward, StockChange};
use crate::time::Timestamp;

/// Refunded points are good for so long at the least, in milliseconds (7 days): whoever gets them back can spend them.
pub(super) const REFUND_LIFE_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// The channel by which members act for themselves.
pub(super) const PORTAL: &str = "portal";

impl Draft<'_> {
    /// Makes an order: sets points and stock aside, or spends them at once.
    pub(super) fn redeem(&mut self, wanted: &Redemption, loaded: &Loaded, id: OrderId) -> Result<(), Refusal> {
        let Redemption { reward_id, quantity, capture, terms, choice, rights, .. } = wanted;
        let (quantity, capture) = (*quantity, *capture);
        let at = self.command.at;
        let offered = self.program.offered_at(reward_id, at).ok_or_else(|| {
            let shown: String = reward_id.chars().take(64).collect();
            Refusal::new(RefusalCode::UnknownReward, format!("there is no reward `{shown}`"))
        })?;
        self.check_order()?;
        let reward = &offered.reward;
        self.check_offered(offered, rights)?;
        self.check_room(offered, rights)?;
        let counted = self.check_limits(reward, quantity)?;
        let slot = self.check_choice(reward, wanted)?;
        let price = self.price(reward, wanted)?;
        let price = self.tendered(reward, wanted, price)?;
        let Promise { unit, points, currency, cash, .. } = price;
        let spendable = self.spendable(currency);
        if spendable < points {
            let problem = format!("{points} points are needed, {spendable} are available");
            return Err(Refusal::new(RefusalCode::InsufficientPoints, problem));
        }
        let worth = points.saturating_add(cash.map_or(0, |cash| cash.points));
        let (states, cooling_until) = self.first_states(wanted, currency, worth)?;
        let stock = self.take_units(offered, wanted, loaded)?;
        let parts = self.take_contents(reward, wanted, loaded)?;
        let holds = self.account.wallet_mut(currency).pick(points, at);
        self.transfer_portions(currency, &holds, (LedgerAccount::MemberAvailable, LedgerAccount::MemberHeld), None)?;
        if capture {
            self.transfer_portions(currency, &holds, (LedgerAccount::MemberHeld, LedgerAccount::Redemption), None)?;
        }
        self.account.last_activity_at = self.account.last_activity_at.max(at);
        let mut order = self.new_order(id, (reward_id, quantity), (currency, points));
        order.holds = holds;
        order.details.cooling_until = cooling_until;
        order.details.particulars.stock = stock;
        self.count_limits(&mut order, counted);
        self.put_contents(&mut order, reward, choice, (parts, slot));
        self.note_particulars(&mut order, wanted, price)?;
        states.into_iter().for_each(|state| self.note(&mut order, state, None));
        self.set_order(order);
        if let Some(order) = &mut self.receipt.order {
            order.unit_price = (unit.checked_mul(quantity) != Some(worth)).then_some(unit);
            order.quoted = matches!(terms, Terms::Quoted(_));
        }
        Ok(())
    }

    /// What an order costs: as a quote promises that holds yet, or at the command's moment.
    fn price(&self, reward: &Reward, wanted: &Redemption) -> Result<Promise, Refusal> {
        let (at, quantity) = (self.command.at, wanted.quantity);
        match &wanted.terms {
            Terms::Quoted(promise) if at < promise.expires_at => Ok(*promise),
            Terms::Quoted(Promise { expires_at, .. }) => {
                let problem = format!("the quote was good until {expires_at}; it is {at}");
                Err(Refusal::new(RefusalCode::QuoteExpired, problem))
            }
            Terms::Now(figures) => {
                let tier = self.program.tiers.at(at).level_of(&self.account.standing);
                let tier = tier.map(|level| level.tier.id.as_str());
                let occasion = Occasion { at, tier, figures: *figures, quantity };
                let priced = match &wanted.group {
                    None => self.program.price(reward, occasion),
                    Some(group) => self.program.price_in_group(reward, occasion, group.percent),
                };
                let Priced { unit, points, .. } =
                    priced.map_err(|problem| Refusal::new(RefusalCode::InvalidAmount, problem))?;
                Ok(Promise { unit, points, cash: None, currency: reward.currency, expires_at: at })
            }
        }
    }

    /// The states that a new order comes to at once, and until when it may be called off.
    fn first_states(
        &self,
        wanted: &Redemption,
        currency: CurrencyId,
        points: i64,
    ) -> Result<(Vec<OrderState>, Option<Timestamp>), Refusal> {
        let at = self.command.at;
        let policy = &self.program.settings_at(at).orders;
        if wanted.capture && self.is_handed_out_by_itself(&wanted.reward_id, at) {
            let problem = format!(
                "`{}` is handed out by the program itself, which completes the order: leave out `capture`",
                wanted.reward_id
            );
            return Err(Refusal::new(RefusalCode::IllegalOrderMove, problem));
        }
        if policy.is_empty() {
            return Ok((vec![if wanted.capture { OrderState::Completed } else { OrderState::Placed }], None));
        }
        let value = Decimal::new(self.program.value_of(currency, points, at), self.program.money_digits);
        let next = match policy.review(points, value, wanted.risk) {
            Verdict::NotReviewed => None,
            Verdict::Approved => Some(OrderState::Approved),
            Verdict::ForPeople => Some(OrderState::InReview),
            Verdict::Refused => {
                let problem = "the order is refused: its risk is too high";
                return Err(Refusal::new(RefusalCode::TooRisky, problem));
            }
        };
        let cooling_until = policy.cooling_until(value, at);
        if !wanted.capture {
            return Ok(([OrderState::Placed].into_iter().chain(next).collect(), cooling_until));
        }
        if next == Some(OrderState::InReview) {
            let problem =
                "somebody looks at this order first: leave out `capture`, and complete it once it is approved";
            return Err(Refusal::new(RefusalCode::InReview, problem));
        }
        if let Some(until) = cooling_until {
            let problem = format!(
                "this order may be called off until {until}: leave out `capture`, and complete it from then on"
            );
            return Err(Refusal::new(RefusalCode::CoolingOff, problem));
        }
        Ok((vec![OrderState::Completed], None))
    }

    /// An order that has come to no state yet.
    pub(super) fn new_order(
        &self,
        id: OrderId,
        (reward_id, quantity): (&str, i64),
        (currency, points): (CurrencyId, i64),
    ) -> Order {
        let at = self.command.at;
        Order {
            id,
            member_id: self.command.member_id,
            reward_id: reward_id.to_owned(),
            quantity,
            points,
            currency,
            state: OrderState::Placed,
            holds: Vec::new(),
            created_at: at,
            updated_at: at,
            due_at: None,
            details: OrderDetails::default(),
        }
    }

    /// Notes that an order has come to a state, and when it moves on from there by itself.
    pub(super) fn note(&self, order: &mut Order, state: OrderState, reason: Option<&String>) {
        let at = self.command.at;
        // Taking a review on is no new state: else it would hold points for ever.
        let stays = state == order.state && !order.details.history.is_empty();
        let due_at = if stays { order.due_at } else { self.due_at(order, state) };
        let (transaction_id, actor) = (self.receipt.transaction_id, self.command.actor.clone());
        self.begin_benefits(order, state.funds());
        order.note(OrderStep { state, at, transaction_id, actor, reason: reason.cloned(), due_at });
    }

    /// Moves an order of the member, or of an account that was merged into the member's, and its points and units with it.
    pub(super) fn move_order(&mut self, change: &OrderChange, loaded: &Loaded) -> Result<(), Refusal> {
        let order = self.own_order(change.owner, change.order, loaded)?;
        let state = self.mover().check(order, change.step)?;
        self.move_funds(order, state.funds(), loaded)?;
        self.uncount_limits(order, state.funds());
        self.make_good(order, change.step, change.reason.as_ref())?;
        let before = order.state.funds();
        let mut order = order.clone();
        self.note(&mut order, state, change.reason.as_ref());
        match change.step {
            OrderMove::Claim => order.details.claimed_by.clone_from(&self.command.actor),
            OrderMove::Ship => order.details.shipment.clone_from(&change.shipment),
            _ => {}
        }
        self.follow_particulars(&mut order, before);
        self.mark_dispute(&mut order, change.step);
        self.set_order(order);
        self.tell_dispute(change.step);
        self.receipt.reason.clone_from(&change.reason);
        Ok(())
    }

    /// An order of the member, or of an account that was merged into the member's.
    pub(super) fn own_order<'b>(&self, owner: MemberId, id: OrderId, loaded: &'b Loaded) -> Result<&'b Order, Refusal> {
        let member = self.command.member_id;
        // The account that goes on moves its orders: of two accounts that do, one would not see what the other did.
        if let AccountStatus::Merged { .. } = self.account.status {
            check_active(member, self.account.status)?;
        }
        owned_order(member, &self.account, (owner, id), loaded)
    }

    /// Moves the points and the units of an order from where they are to where they belong.
    pub(super) fn move_funds(&mut self, order: &Order, to: Funds, loaded: &Loaded) -> Result<(), Refusal> {
        let (kind, change) = match (order.state.funds(), to) {
            (Funds::Held, Funds::Spent) => {
                let credit = LedgerAccount::Redemption;
                self.transfer_portions(order.currency, &order.holds, (LedgerAccount::MemberHeld, credit), None)?;
                (TransactionKind::Capture, StockChange { reserved: -1, issued: 1, ..StockChange::default() })
            }
            (Funds::Held, Funds::Returned) => {
                let credit = LedgerAccount::MemberAvailable;
                self.transfer_portions(order.currency, &order.holds, (LedgerAccount::MemberHeld, credit), None)?;
                (TransactionKind::Release, StockChange { reserved: -1, ..StockChange::default() })
            }
            (Funds::Spent | Funds::Returned, Funds::Returned) => {
                self.give_back_refunded(order.currency, &order.holds)?;
                self.give_back_owed(order.currency, order.owed_left())?;
                (TransactionKind::Refund, StockChange { issued: -1, ..StockChange::default() })
            }
            _ => return Ok(()),
        };
        (self.kind, self.receipt.kind) = (kind, kind);
        let limited = order.stock().filter(|(key, _)| loaded.stock.contains_key(*key));
        self.stock.extend(limited.map(|(key, units)| (key.to_owned(), change.times(units))));
        Ok(())
    }

    pub(super) fn set_order(&mut self, order: Order) {
        self.receipt.order = Some(OrderReceipt {
            id: order.id,
            reward_id: order.reward_id.clone(),
            quantity: order.quantity,
            points: order.points,
            currency: order.currency,
            state: order.state,
            unit_price: None,
            quoted: false,
            payment: order.details.particulars.payment.as_ref().map(PaymentReceipt::of),
            disputed: None,
            variant: order.details.particulars.variant.clone(),
            slot: order.details.particulars.booked().map(|booked| booked.slot.clone()),
            handed_out: None,
            tender: None,
            allowance: None,
            offline: None,
        });
        self.orders.push(order);
    }

    /// Gives a reward for no points: an order that is done as soon as it is made, unless the program hands it out, or a store
    /// against a voucher. There is stock for it.
    pub(super) fn issue(&mut self, reward_id: &str, quantity: i64, loaded: &Loaded, id: OrderId) {
        let reward = self.program.reward_at(reward_id, self.command.at);
        let at_once = !reward.is_some_and(|reward| reward.fulfilment.is_some() || reward.pickup);
        let (one, state) = match at_once {
            false => (StockChange { reserved: 1, ..StockChange::default() }, OrderState::Approved),
            true => (StockChange { issued: 1, ..StockChange::default() }, OrderState::Completed),
        };
        if loaded.stock.contains_key(reward_id) {
            self.stock.push((reward_id.to_owned(), one.times(quantity)));
        }
        let currency = reward.map_or(CurrencyId(1), |reward| reward.currency);
        let mut order = self.new_order(id, (reward_id, quantity), (currency, 0));
        self.give_contents(&mut order, reward, at_once, loaded);
        self.note(&mut order, state, None);
        self.orders.push(order);
    }

    /// Gives back what a captured order had taken: to the same lots, which live on for a while.
    pub(super) fn give_back_refunded(&mut self, currency: CurrencyId, holds: &[Portion]) -> Result<(), Refusal> {
        let renewed = self.renewed(currency);
        holds.iter().try_for_each(|portion| {
            let expires_at = portion.lot.expires_at.max(renewed);
            let lot = LotKey { expires_at, ..portion.lot };
            let (debit, credit) = (LedgerAccount::Redemption, LedgerAccount::MemberAvailable);
            self.transfer(Transfer { debit, credit, currency, amount: portion.amount, lot, rule: None })
        })
    }

    /// How long points live at the least that are given back now.
    pub(super) fn renewed(&self, currency: CurrencyId) -> Timestamp {
        self.program.end_of_granule(currency, self.command.at.plus_millis(REFUND_LIFE_MS))
    }
}

/// An order of a member, or of an account that was merged into the member's.
pub(super) fn owned_order<'l>(
    member: MemberId,
    account: &Account,
    (owner, id): (MemberId, OrderId),
    loaded: &'l Loaded,
) -> Result<&'l Order, Refusal> {
    let owned = owner == member || account.merged_from.contains(&owner);
    loaded
        .orders
        .get(&(owner, id))
        .filter(|_| owned)
        .ok_or_else(|| Refusal::new(RefusalCode::UnknownOrder, format!("member {member} has no order {id}")))
}
