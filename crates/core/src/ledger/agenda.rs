//! What an account keeps of the life of its points beside its lots: when something is due next, what the member owes, and
//! where lots went that were extended or made final.
//!
//! The kernel says in each receipt what became of it, so that the journal alone leads to it: whoever follows needs no
//! program.

use serde::{Deserialize, Serialize};

use super::CurrencyId;
use crate::id::MemberId;
use crate::limits;
use crate::program::Granule;
use crate::time::{Calendar, Timestamp};

/// What is due on a wallet, and what the member owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletAgenda {
    /// The currency.
    pub currency: CurrencyId,
    /// Points that returns should have taken back, and that are taken out of what is earned next.
    pub owed: i64,
    /// When the member is to be told of points that will expire.
    pub remind_at: Option<Timestamp>,
    /// When a part of what is available is lost.
    pub decay_at: Option<Timestamp>,
    /// When interest is paid.
    pub interest_at: Option<Timestamp>,
    /// The fewest points that could be spent since interest was paid; what is paid next is for these.
    pub lowest: i64,
}

impl WalletAgenda {
    /// Nothing due, nothing owed.
    pub fn new(currency: CurrencyId) -> Self {
        Self { currency, owed: 0, remind_at: None, decay_at: None, interest_at: None, lowest: 0 }
    }

    fn next_due_at(&self) -> Option<Timestamp> {
        [self.remind_at, self.decay_at, self.interest_at].into_iter().flatten().min()
    }
}

/// That all lots of a currency came to live longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extended {
    /// The currency.
    pub currency: CurrencyId,
    /// Lots that expired until then stayed as they were.
    pub at: Timestamp,
    /// How many local days longer.
    pub days: i32,
    /// To the end of what.
    pub granule: Granule,
    /// Whether it was paid for; else it came with what was spent within the month.
    pub paid: bool,
}

/// An extension that an account remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastExtension {
    /// The transaction: it moved what earlier ones had earned, and what it earned itself.
    pub transaction: i64,
    /// After a merge: whose points alone it moved.
    pub of: Option<MemberId>,
    /// What it did.
    pub extended: Extended,
}

/// A purchase whose points became active because it is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalPurchase {
    /// The id of its transaction.
    pub transaction: i64,
    /// When they would have become active anyway: until then it is remembered.
    pub until: Timestamp,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agenda {
    /// For wallets that have something due or owed, by currency.
    pub wallets: Vec<WalletAgenda>,
    /// Extensions, in the order of their transactions.
    pub extensions: Vec<PastExtension>,
    /// Purchases made final, in that order.
    pub finals: Vec<FinalPurchase>,
    /// Purchases up to this transaction can be made final no longer.
    pub finals_closed_until: i64,
}

impl Agenda {
    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// That of a wallet.
    pub fn wallet(&self, currency: CurrencyId) -> WalletAgenda {
        let known = self.wallets.iter().find(|known| known.currency == currency);
        known.copied().unwrap_or_else(|| WalletAgenda::new(currency))
    }

    /// Puts in what is now due on a wallet, and owed.
    pub fn set(&mut self, wallet: WalletAgenda) {
        let index = self.wallets.partition_point(|known| known.currency < wallet.currency);
        let is_known = self.wallets.get(index).is_some_and(|known| known.currency == wallet.currency);
        match (is_known, wallet == WalletAgenda::new(wallet.currency)) {
            (true, true) => drop(self.wallets.remove(index)),
            (false, true) => {}
            (false, false) => self.wallets.insert(index, wallet),
            (true, false) => {
                if let Some(known) = self.wallets.get_mut(index) {
                    *known = wallet;
                }
            }
        }
    }

    /// Points that the member owes.
    pub fn owed(&self, currency: CurrencyId) -> i64 {
        self.wallet(currency).owed
    }

    /// What a transaction changed, for its receipt.
    pub fn changed_since(&self, before: &[WalletAgenda]) -> Vec<WalletAgenda> {
        let gone = before
            .iter()
            .map(|known| known.currency)
            .filter(|currency| !self.wallets.iter().any(|one| one.currency == *currency));
        let gone = gone.map(WalletAgenda::new);
        self.wallets.iter().copied().filter(|now| !before.contains(now)).chain(gone).collect()
    }

    /// The earliest moment at which something is due besides lots that mature or expire.
    pub fn next_due_at(&self) -> Option<Timestamp> {
        self.wallets.iter().filter_map(WalletAgenda::next_due_at).min()
    }

    /// Remembers an extension.
    pub fn extend(&mut self, transaction: i64, extended: Extended) {
        self.extensions.push(PastExtension { transaction, of: None, extended });
        let beyond = self.extensions.len().saturating_sub(limits::EXTENSIONS);
        self.extensions.drain(..beyond);
    }

    /// When points of a currency expire by now that a transaction of a member earned to expire at `expires_at`.
    pub fn expires_at(
        &self,
        calendar: &Calendar,
        (member, transaction): (MemberId, i64),
        currency: CurrencyId,
        expires_at: Timestamp,
    ) -> Timestamp {
        let moved = |past: &&PastExtension| {
            past.transaction >= transaction
                && past.extended.currency == currency
                && past.of.is_none_or(|of| of == member)
        };
        self.extensions.iter().filter(moved).fold(expires_at, |expires_at, past| {
            let Extended { at, days, granule, .. } = past.extended;
            if expires_at > at { granule.extended(calendar, expires_at, days) } else { expires_at }
        })
    }

    /// Remembers that a purchase was made final at `at`.
    pub fn finish(&mut self, purchase: FinalPurchase, at: Timestamp) {
        self.finals.retain(|known| known.until > at && known.transaction != purchase.transaction);
        self.finals.push(purchase);
        self.close_finals();
    }

    fn close_finals(&mut self) {
        let beyond = self.finals.len().saturating_sub(limits::FINAL_PURCHASES);
        for closed in self.finals.drain(..beyond) {
            self.finals_closed_until = self.finals_closed_until.max(closed.transaction);
        }
    }

    /// Whether a purchase was made final, as far as that is remembered.
    pub fn is_final(&self, transaction: i64) -> bool {
        self.finals.iter().any(|known| known.transaction == transaction)
    }

    /// Takes in the agenda of another account of the same person. What is due is planned anew.
    pub fn merge(&mut self, (from, into): (MemberId, MemberId), other: &Self) {
        for theirs in other.wallets.iter().filter(|theirs| theirs.owed > 0) {
            let ours = self.wallet(theirs.currency);
            self.set(WalletAgenda { owed: ours.owed.saturating_add(theirs.owed), ..ours });
        }
        // From now on each is about the points of one of the two.
        let theirs = other.extensions.iter().map(|past| PastExtension { of: past.of.or(Some(from)), ..*past });
        self.extensions.iter_mut().for_each(|past| past.of = past.of.or(Some(into)));
        self.extensions.extend(theirs);
        self.extensions.sort_by_key(|past| past.transaction);
        let beyond = self.extensions.len().saturating_sub(limits::EXTENSIONS);
        self.extensions.drain(..beyond);
        self.finals.extend_from_slice(&other.finals);
        self.finals.sort_by_key(|known| known.transaction);
        self.finals_closed_until = self.finals_closed_until.max(other.finals_closed_until);
        self.close_finals();
    }
}
