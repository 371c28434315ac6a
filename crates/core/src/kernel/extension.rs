//! Points come to live longer: by what the member spends within a month, or because it is paid for. Every lot moves to the
//! one that it would be in if it expired later; what orders hold stays where it is.

use rust_decimal::Decimal;

use super::command::Payment;
use super::decide::Draft;
use super::life::place_of;
use super::refusal::{Refusal, RefusalCode};
use crate::earning::{CounterName, PreparedActivity, Window};
use crate::ledger::{CurrencyId, Extended, LedgerAccount, LotKey, Transfer};
use crate::program::{PaidExtension, SpendExtension};
use crate::time::Timestamp;

/// The activities whose money counts.
pub(crate) const SPENDING: &str = "purchase";

impl Draft<'_> {
    /// Extends lots when a purchase makes the month's spending reach what the program asks for, once a month.
    pub(super) fn extend_by_spend(&mut self, activity: &PreparedActivity) -> Result<(), Refusal> {
        if activity.kind != SPENDING {
            return Ok(());
        }
        for currency in self.program.currencies_at(self.command.at) {
            let spend = currency.life.extension.as_ref().and_then(|extension| extension.spend.as_ref());
            if let Some(SpendExtension { amount, days }) = spend
                && self.reaches(activity, *amount)
                && !self.was_extended(currency.id, activity.end(Window::Month))
            {
                self.extend_lots(currency.id, *days, false)?;
            }
        }
        Ok(())
    }

    /// Whether the spending of the month reaches `amount` with this purchase, and did not before.
    fn reaches(&self, activity: &PreparedActivity, amount: Decimal) -> bool {
        let of = CounterName::Kind(SPENDING);
        let tally = self.account.history.tally(of, Window::Month, activity.end(Window::Month));
        let spent = tally.map_or(0, |tally| tally.sum);
        let needed = amount.checked_mul(Decimal::from(self.program.minor_per_major())).unwrap_or(Decimal::MAX);
        let is_enough = |minor: i64| Decimal::from(minor) >= needed;
        is_enough(spent) && !is_enough(spent.saturating_sub(activity.amount))
    }

    /// Whether lots were extended in the month that ends then because of what was spent in it.
    fn was_extended(&self, currency: CurrencyId, month_ends: Timestamp) -> bool {
        let calendar = &self.program.calendar;
        self.account.agenda.extensions.iter().map(|past| past.extended).any(|past| {
            past.currency == currency && !past.paid && calendar.end_of_month_after(past.at, 0) == month_ends
        })
    }

    /// Extends lots for points, or for a fee that the caller has collected.
    pub(super) fn extend(&mut self, currency: CurrencyId, payment: Payment) -> Result<(), Refusal> {
        self.check_order()?;
        let known = self.program.currency_at(currency, self.command.at).ok_or_else(|| {
            let problem = format!("the program has no currency {}", currency.0);
            Refusal::new(RefusalCode::UnknownCurrency, problem)
        })?;
        let paid = known.life.extension.as_ref().and_then(|extension| extension.paid.as_ref());
        let offered = paid.and_then(|paid| Some((paid, price(paid, payment)?)));
        let (paid, price) = offered.ok_or_else(|| {
            let problem = format!("the program extends no {} for {}", known.code, payment.name());
            Refusal::new(RefusalCode::ExtensionNotOffered, problem)
        })?;
        match price {
            Price::Points(points) => self.pay(currency, points, format!("extension:{}", known.code))?,
            Price::Fee(fee) => self.receipt.fee = Some(self.minor(fee)),
        }
        if self.extend_lots(currency, paid.days, true)? == 0 {
            let problem = "there are no points that would live longer";
            return Err(Refusal::new(RefusalCode::NothingToExtend, problem));
        }
        Ok(())
    }

    fn minor(&self, major: Decimal) -> i64 {
        let minor = major.checked_mul(Decimal::from(self.program.minor_per_major()));
        minor.and_then(crate::earning::round_half_away).unwrap_or_default()
    }

    fn pay(&mut self, currency: CurrencyId, points: i64, what: String) -> Result<(), Refusal> {
        let spendable = self.spendable(currency);
        if spendable < points {
            let problem = format!("{points} points are needed, {spendable} are available");
            return Err(Refusal::new(RefusalCode::InsufficientPoints, problem));
        }
        let portions = self.account.wallet_mut(currency).pick(points, self.command.at);
        let ways = (LedgerAccount::MemberAvailable, LedgerAccount::Redemption);
        self.transfer_portions(currency, &portions, ways, Some(&(what.into(), 0)))
    }

    /// Moves every lot that has not expired. Returns how many points live longer.
    fn extend_lots(&mut self, currency: CurrencyId, days: i32, paid: bool) -> Result<i64, Refusal> {
        let (at, program) = (self.command.at, self.program);
        let Some(expiry) = program.currency_at(currency, at).and_then(|currency| currency.expiry.as_ref()) else {
            return Ok(0);
        };
        let granule = expiry.rounding();
        let lots = self.account.wallet_mut(currency).lots.clone();
        let mut moved = 0;
        for lot in lots.iter().filter(|lot| lot.remaining > 0 && lot.key.expires_at > at) {
            let expires_at = granule.extended(&program.calendar, lot.key.expires_at, days);
            if expires_at <= lot.key.expires_at {
                continue;
            }
            let transfer = |debit, credit, lot_key| Transfer {
                debit,
                credit,
                currency,
                amount: lot.remaining,
                lot: lot_key,
                rule: None,
            };
            let (place, way) = (place_of(lot), LedgerAccount::Extension);
            self.transfer(transfer(place, way, lot.key))?;
            self.transfer(transfer(way, place, LotKey { expires_at, ..lot.key }))?;
            moved += lot.remaining;
        }
        if moved > 0 {
            let extended = Extended { currency, at, days, granule, paid };
            self.account.agenda.extend(self.receipt.transaction_id.0, extended);
            self.receipt.extended.push(extended);
        }
        Ok(moved)
    }
}

enum Price {
    Points(i64),
    Fee(Decimal),
}

fn price(paid: &PaidExtension, payment: Payment) -> Option<Price> {
    match payment {
        Payment::Points => paid.points.map(Price::Points),
        Payment::Fee => paid.fee.map(Price::Fee),
    }
}
