//! Takes back what a purchase earned, when a return names it.

use super::batch::{Loaded, accounts_in};
use super::decide::Draft;
use super::receipt::Receipt;
use super::referral::resolved;
use super::refusal::{Refusal, RefusalCode};
use super::tiers::PurchaseBack;
use crate::earning::{Outcome, PreparedReturn, ReturnedPurchase};
use crate::ledger::{LedgerAccount, LotKey, Transfer};
use crate::time::Timestamp;

impl Draft<'_> {
    /// Takes back what the purchase earned, or its part; what is not there any more is forgiven and recorded.
    pub(super) fn take_back_purchase(
        &mut self,
        back: &PreparedReturn,
        loaded: &Loaded,
        mut theirs: Option<&mut Self>,
    ) -> Result<PurchaseBack, Refusal> {
        let purchase = self.purchase(&back.purchase, loaded)?;
        let transaction = purchase.transaction_id.0;
        let before = self.account.history.returned(transaction).ok_or_else(|| {
            let problem = format!("returns of the purchase `{}` are closed: many were returned since", back.purchase);
            Refusal::new(RefusalCode::UnknownPurchase, problem)
        })?;
        let bought = purchase.activity.as_ref().map_or(0, |activity| activity.amount);
        // What the referrer got stands behind what the member got, whether it can still be taken or not.
        let share = purchase.referrer_share.clone();
        let came_home = share.as_ref().and_then(|share| resolved(share.member_id, loaded));
        let came_home = came_home.is_some_and(|(member, _)| member == self.command.member_id);
        let own = purchase.explanation.len();
        let shared = share.as_ref().map(|share| {
            let (member_id, transaction_id) = (share.member_id, share.transaction_id);
            Receipt { member_id, transaction_id, ..purchase.clone() }
        });
        let mut outcomes = purchase.explanation.clone();
        outcomes.extend(share.into_iter().flat_map(|share| share.explanation));
        let dues = back.dues(&outcomes, bought, &before);
        for (place, (outcome, (due, amount))) in outcomes.iter().zip(&dues).enumerate() {
            let earned_by = shared.as_ref().filter(|_| place >= own).unwrap_or(&purchase);
            match theirs.as_deref_mut() {
                _ if *due <= 0 => {}
                _ if place < own || came_home => self.take_back_part(outcome, *due, *amount, earned_by)?,
                Some(theirs) => theirs.take_back_part(outcome, *due, *amount, earned_by)?,
                None => {}
            }
        }
        let points = dues.into_iter().map(|(due, _)| due).collect();
        let returned = ReturnedPurchase { transaction, amount: back.amount, points };
        self.account.history.give_back(&returned);
        self.receipt.returned = Some(returned);
        let in_full = before.amount < bought && before.amount.saturating_add(back.amount) >= bought;
        Ok(PurchaseBack { day: self.program.calendar.day_of(purchase.at), in_full })
    }

    fn take_back_part(&mut self, outcome: &Outcome, due: i64, amount: i64, purchase: &Receipt) -> Result<(), Refusal> {
        let taken = self.take_back_outcome(outcome, due, purchase)?;
        self.fall_short(outcome.currency, due - taken);
        self.receipt.explanation.push(told(outcome, taken, amount));
        Ok(())
    }

    /// The receipt of the purchase under a key, of the member or of an account that was merged into the member's.
    pub(super) fn purchase(&self, key: &str, loaded: &Loaded) -> Result<Receipt, Refusal> {
        let unknown = || {
            let problem = format!("{} has no purchase under the key `{key}`", self.command.member_id);
            Refusal::new(RefusalCode::UnknownPurchase, problem)
        };
        let members = std::iter::once(&self.command.member_id).chain(accounts_in(loaded, self.command.member_id));
        let committed = members.filter_map(|member| loaded.committed.get(&(*member, key.to_owned()))).next();
        let committed = committed.ok_or_else(unknown)?;
        let receipt: Receipt = serde_json::from_str(&committed.receipt)
            .map_err(|error| Refusal::new(RefusalCode::UnknownPurchase, format!("purchase `{key}`: {error}")))?;
        let earned =
            receipt.activity.as_ref().is_some_and(|activity| !matches!(&*activity.kind, "return" | "order_final"));
        if earned { Ok(receipt) } else { Err(unknown()) }
    }

    /// The lot to which the points of a purchase went, wherever extensions have moved it since.
    pub(super) fn lot_by_now(&self, outcome: &Outcome, purchase: &Receipt) -> LotKey {
        let earned = (purchase.member_id, purchase.transaction_id.0);
        let expires_at = outcome.expires_at.unwrap_or(Timestamp::NEVER);
        LotKey {
            expires_at: self.account.agenda.expires_at(&self.program.calendar, earned, outcome.currency, expires_at),
            funding: outcome.funding,
            active_at: outcome.active_at.unwrap_or(Timestamp::ZERO),
        }
    }

    /// Takes points back from the very lot that they went to, then from others, first-expiring-first.
    fn take_back_outcome(&mut self, outcome: &Outcome, due: i64, purchase: &Receipt) -> Result<i64, Refusal> {
        let rule = (outcome.rule.clone(), outcome.version);
        let lot = self.lot_by_now(outcome, purchase);
        let mut left = due;
        // What became active because the purchase is final waits no longer, though others may in the same lot.
        let is_final = outcome.until_final && self.account.agenda.is_final(purchase.transaction_id.0);
        let waiting = Some(lot).filter(|_| !is_final);
        for lot in waiting.into_iter().chain([lot.activated()]) {
            let pending = lot.active_at != Timestamp::ZERO;
            let debit = if pending { LedgerAccount::MemberPending } else { LedgerAccount::MemberAvailable };
            let usable = pending || lot.expires_at > self.command.at;
            let wallet = self.account.wallet(outcome.currency);
            let found = wallet.and_then(|wallet| wallet.lots.iter().find(|known| known.key == lot && usable));
            let amount = found.map_or(0, |known| known.remaining.min(left));
            if amount > 0 {
                let (credit, rule) = (LedgerAccount::Revocation, Some(rule.clone()));
                self.transfer(Transfer { debit, credit, currency: outcome.currency, amount, lot, rule })?;
                left -= amount;
            }
        }
        if left > 0 {
            left -= self.take_back(outcome.currency, left, &rule)?;
        }
        Ok(due - left)
    }
}

/// What a return took back of an outcome of its purchase.
fn told(outcome: &Outcome, taken: i64, amount: i64) -> Outcome {
    Outcome {
        points: -taken,
        amount: Some(amount),
        act: None,
        facts: Default::default(),
        trimmed: None,
        active_at: None,
        expires_at: None,
        until_final: false,
        repaid: 0,
        ..outcome.clone()
    }
}
