//! What a command does with an order: redeem, capture, release, refund.

use super::batch::Loaded;
use super::command::Terms;
use super::decide::{Draft, check_active};
use super::receipt::OrderReceipt;
use super::refusal::{Refusal, RefusalCode};
use crate::id::{MemberId, OrderId};
use crate::ledger::{AccountStatus, CurrencyId, LedgerAccount, LotKey, Portion, Transfer};
use crate::planted::{self, Bug};
use crate::redemption::{Order, OrderState};
use crate::rewards::{Occasion, Priced, Promise, Reward, StockChange};

/// Refunded points are good for so long at the least, in milliseconds (7 days): whoever gets them back can spend them.
const REFUND_LIFE_MS: i64 = 7 * 24 * 60 * 60 * 1000;

impl Draft<'_> {
    /// Makes an order: sets points and stock aside, or spends them at once.
    pub(super) fn redeem(
        &mut self,
        (reward_id, quantity, terms): (&str, i64, &Terms),
        capture: bool,
        loaded: &Loaded,
        id: OrderId,
    ) -> Result<(), Refusal> {
        let at = self.command.at;
        let reward = self.program.reward_at(reward_id, at).ok_or_else(|| {
            let shown: String = reward_id.chars().take(64).collect();
            Refusal::new(RefusalCode::UnknownReward, format!("there is no reward `{shown}`"))
        })?;
        self.check_order()?;
        let Promise { unit, points, currency, .. } = self.price(reward, quantity, terms)?;
        let spendable = self.spendable(currency);
        if spendable < points {
            let problem = format!("{points} points are needed, {spendable} are available");
            return Err(Refusal::new(RefusalCode::InsufficientPoints, problem));
        }
        if let Some(stock) = loaded.stock.get(reward_id) {
            let taken = if planted::is(Bug::StockTakenBeforeCheck) { quantity } else { 0 };
            if stock.free() - taken < quantity {
                let problem = format!("{quantity} wanted, {} left", stock.free());
                return Err(Refusal::new(RefusalCode::OutOfStock, problem));
            }
            let change = if capture {
                StockChange { reserved: 0, issued: quantity }
            } else {
                StockChange { reserved: quantity, issued: 0 }
            };
            self.stock.push((reward_id.to_owned(), change));
        }
        let holds = self.account.wallet_mut(currency).pick(points, at);
        self.transfer_portions(currency, &holds, (LedgerAccount::MemberAvailable, LedgerAccount::MemberHeld), None)?;
        if capture {
            self.transfer_portions(currency, &holds, (LedgerAccount::MemberHeld, LedgerAccount::Redemption), None)?;
        }
        self.account.last_activity_at = self.account.last_activity_at.max(at);
        self.set_order(Order {
            id,
            member_id: self.command.member_id,
            reward_id: reward_id.to_owned(),
            quantity,
            points,
            currency,
            state: if capture { OrderState::Captured } else { OrderState::Held },
            holds,
            created_at: at,
            updated_at: at,
        });
        if let Some(order) = &mut self.receipt.order {
            order.unit_price = (unit.checked_mul(quantity) != Some(points)).then_some(unit);
            order.quoted = matches!(terms, Terms::Quoted(_));
        }
        Ok(())
    }

    /// What an order costs: as a quote promises that holds yet, or at the command's moment.
    fn price(&self, reward: &Reward, quantity: i64, terms: &Terms) -> Result<Promise, Refusal> {
        let at = self.command.at;
        match terms {
            Terms::Quoted(promise) if at < promise.expires_at => Ok(*promise),
            Terms::Quoted(Promise { expires_at, .. }) => {
                let problem = format!("the quote was good until {expires_at}; it is {at}");
                Err(Refusal::new(RefusalCode::QuoteExpired, problem))
            }
            Terms::Now(figures) => {
                let tier = self.program.tiers.at(at).level_of(&self.account.standing);
                let tier = tier.map(|level| level.tier.id.as_str());
                let priced = self.program.price(reward, Occasion { at, tier, figures: *figures, quantity });
                let Priced { unit, points, .. } =
                    priced.map_err(|problem| Refusal::new(RefusalCode::InvalidAmount, problem))?;
                Ok(Promise { unit, points, currency: reward.currency, expires_at: at })
            }
        }
    }

    /// Captures or releases a held order.
    pub(super) fn settle(&mut self, id: OrderId, state: OrderState, loaded: &Loaded) -> Result<(), Refusal> {
        let order = loaded.orders.get(&(self.command.member_id, id)).ok_or_else(|| {
            let problem = format!("member {} has no order {id}", self.command.member_id);
            Refusal::new(RefusalCode::UnknownOrder, problem)
        })?;
        if order.state != OrderState::Held {
            let problem = format!("order {id} is {} already", order.state.name());
            return Err(Refusal::new(RefusalCode::OrderNotHeld, problem));
        }
        let credit =
            if state == OrderState::Captured { LedgerAccount::Redemption } else { LedgerAccount::MemberAvailable };
        self.transfer_portions(order.currency, &order.holds, (LedgerAccount::MemberHeld, credit), None)?;
        if loaded.stock.contains_key(&order.reward_id) {
            let issued = if state == OrderState::Captured { order.quantity } else { 0 };
            self.stock.push((order.reward_id.clone(), StockChange { reserved: -order.quantity, issued }));
        }
        self.set_order(Order { state, updated_at: self.command.at, ..order.clone() });
        Ok(())
    }

    fn set_order(&mut self, order: Order) {
        self.receipt.order = Some(OrderReceipt {
            id: order.id,
            reward_id: order.reward_id.clone(),
            quantity: order.quantity,
            points: order.points,
            currency: order.currency,
            state: order.state,
            unit_price: None,
            quoted: false,
        });
        self.orders.push(order);
    }

    /// Gives a reward for no points: an order that is captured as soon as it is made. There is stock for it.
    pub(super) fn issue(&mut self, reward_id: &str, quantity: i64, loaded: &Loaded, id: OrderId) {
        if loaded.stock.contains_key(reward_id) {
            self.stock.push((reward_id.to_owned(), StockChange { reserved: 0, issued: quantity }));
        }
        let at = self.command.at;
        self.orders.push(Order {
            id,
            member_id: self.command.member_id,
            reward_id: reward_id.to_owned(),
            quantity,
            points: 0,
            currency: self.program.reward_at(reward_id, at).map_or(CurrencyId(1), |reward| reward.currency),
            state: OrderState::Captured,
            holds: Vec::new(),
            created_at: at,
            updated_at: at,
        });
    }

    /// Takes back a captured order of the member, or of an account that was merged into the member's: the points go back
    /// to their lots, which live on for a while, and the units to the stock.
    pub(super) fn refund(
        &mut self,
        owner: MemberId,
        id: OrderId,
        reason: &str,
        loaded: &Loaded,
    ) -> Result<(), Refusal> {
        let member = self.command.member_id;
        if let AccountStatus::Merged { .. } = self.account.status {
            check_active(member, self.account.status)?;
        }
        let owned = owner == member || self.account.merged_from.contains(&owner);
        let order = loaded.orders.get(&(owner, id)).filter(|_| owned).ok_or_else(|| {
            let problem = format!("member {member} has no order {id}");
            Refusal::new(RefusalCode::UnknownOrder, problem)
        })?;
        let twice = planted::is(Bug::RefundedTwice) && order.state == OrderState::Refunded;
        if order.state != OrderState::Captured && !twice {
            let problem = format!("order {id} is {}; only a captured order can be refunded", order.state.name());
            return Err(Refusal::new(RefusalCode::OrderNotCaptured, problem));
        }
        self.give_back_refunded(order.currency, &order.holds)?;
        if loaded.stock.contains_key(&order.reward_id) {
            self.stock.push((order.reward_id.clone(), StockChange { reserved: 0, issued: -order.quantity }));
        }
        self.set_order(Order { state: OrderState::Refunded, updated_at: self.command.at, ..order.clone() });
        self.receipt.reason = Some(reason.to_owned());
        Ok(())
    }

    /// Gives back what a captured order had taken: to the same lots, which live on for a while.
    pub(super) fn give_back_refunded(&mut self, currency: CurrencyId, holds: &[Portion]) -> Result<(), Refusal> {
        let alive_until = self.command.at.plus_millis(REFUND_LIFE_MS);
        let renewed = self.program.end_of_granule(currency, alive_until);
        holds.iter().try_for_each(|portion| {
            let expires_at = portion.lot.expires_at.max(renewed);
            let lot = LotKey { expires_at, ..portion.lot };
            let (debit, credit) = (LedgerAccount::Redemption, LedgerAccount::MemberAvailable);
            self.transfer(Transfer { debit, credit, currency, amount: portion.amount, lot, rule: None })
        })
    }
}
