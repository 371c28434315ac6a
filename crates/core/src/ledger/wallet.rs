//! Wallets: a member's points in one currency, in lots that mature and expire together.

use serde::{Deserialize, Serialize};

use super::{LedgerAccount, Transfer};
use crate::planted::{self, Bug};
use crate::time::Timestamp;

/// A currency of the program, by its number in the program file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CurrencyId(pub u16);

/// Who pays for a lot; 0 is the program itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FundingId(pub u16);

/// What tells one lot of a wallet from another. `active_at` is `Timestamp::ZERO` once the lot is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LotKey {
    /// When the lot expires; first in the order, so that lots are spent first-expiring-first.
    pub expires_at: Timestamp,
    /// Who pays.
    pub funding: FundingId,
    /// When a pending lot becomes active.
    pub active_at: Timestamp,
}

impl LotKey {
    /// The same lot once it is active.
    pub fn activated(self) -> Self {
        Self { active_at: Timestamp::ZERO, ..self }
    }
}

/// A tranche of points that mature and expire together, from one funding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// Its identity in the wallet.
    pub key: LotKey,
    /// Points credited to it over its life.
    pub amount: i64,
    /// Points left that are neither held nor spent.
    pub remaining: i64,
    /// Points set aside for orders.
    pub held: i64,
}

/// An amount taken from, or given back to, one lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portion {
    /// The lot.
    pub lot: LotKey,
    /// Points, more than zero.
    pub amount: i64,
}

/// Points over the life of a wallet, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetime {
    /// Earned by activities.
    pub earned: i64,
    /// Spent on captured orders.
    pub redeemed: i64,
    /// Expired unspent.
    pub expired: i64,
    /// Taken back after returns.
    pub revoked: i64,
    /// Net of manual adjustments.
    pub adjusted: i64,
}

impl Lifetime {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            earned: self.earned.saturating_add(other.earned),
            redeemed: self.redeemed.saturating_add(other.redeemed),
            expired: self.expired.saturating_add(other.expired),
            revoked: self.revoked.saturating_add(other.revoked),
            adjusted: self.adjusted.saturating_add(other.adjusted),
        }
    }
}

/// A member's points in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wallet {
    /// The currency.
    pub currency: CurrencyId,
    /// Lots that still hold points, in the order of their keys.
    pub lots: Vec<Lot>,
    /// Totals over the wallet's life.
    pub lifetime: Lifetime,
}

/// The balances of a wallet, in points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// The currency.
    pub currency: CurrencyId,
    /// Points in active lots, whether or not past their expiry; see [`Wallet::spendable`].
    pub available: i64,
    /// Points in lots that are not active yet.
    pub pending: i64,
    /// Points set aside for orders.
    pub held: i64,
    /// Whether they can be spent; if not, they are tier value.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub spendable: bool,
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

impl Wallet {
    /// An empty wallet.
    pub fn new(currency: CurrencyId) -> Self {
        Self { currency, lots: Vec::new(), lifetime: Lifetime::default() }
    }

    /// The wallet's balances.
    pub fn balance(&self) -> Balance {
        let mut balance = Balance { currency: self.currency, available: 0, pending: 0, held: 0, spendable: true };
        for lot in &self.lots {
            if lot.key.active_at == Timestamp::ZERO {
                balance.available += lot.remaining;
            } else {
                balance.pending += lot.remaining;
            }
            balance.held += lot.held;
        }
        balance
    }

    /// Points that can be spent at `at`: active, and not past their expiry even when the tick has not come yet.
    pub fn spendable(&self, at: Timestamp) -> i64 {
        self.lots.iter().filter(|lot| lot.is_spendable(at)).map(|lot| lot.remaining).sum()
    }

    /// Points that could be spent at `at` if every tick came in time: also those that have matured and still wait for theirs.
    pub fn matured(&self, at: Timestamp) -> i64 {
        let lots = self.lots.iter().filter(|lot| lot.key.active_at <= at && lot.key.expires_at > at);
        lots.map(|lot| lot.remaining).sum()
    }

    /// The fewest of them after `since`, when the wallet last changed, and until `at`: at `at`, or when a lot expired that no
    /// tick has taken away yet.
    pub fn fewest_matured(&self, since: Timestamp, at: Timestamp) -> i64 {
        let expiries = self.lots.iter().map(|lot| lot.key.expires_at);
        let moments = expiries.filter(|expires_at| *expires_at > since && *expires_at < at).chain([at]);
        moments.map(|moment| self.matured(moment)).min().unwrap_or_default()
    }

    fn position(&mut self, key: LotKey) -> Result<usize, usize> {
        self.lots.binary_search_by_key(&key, |lot| lot.key)
    }

    /// The lot of `key`, made when it is not there.
    fn lot_mut(&mut self, key: LotKey) -> Option<&mut Lot> {
        let index = match self.position(key) {
            Ok(index) => index,
            Err(index) => {
                self.lots.insert(index, Lot { key, amount: 0, remaining: 0, held: 0 });
                index
            }
        };
        self.lots.get_mut(index)
    }

    /// Splits `amount` over the spendable lots, first-expiring-first. Returns fewer points when there are fewer.
    pub fn pick(&self, amount: i64, at: Timestamp) -> Vec<Portion> {
        let mut left = amount;
        let mut portions = Vec::new();
        let mut spendable: Vec<&Lot> = self.lots.iter().filter(|lot| lot.is_spendable(at)).collect();
        if planted::is(Bug::LastExpiringFirst) {
            spendable.reverse();
        }
        for lot in spendable {
            let taken = left.min(lot.remaining);
            if taken > 0 {
                portions.push(Portion { lot: lot.key, amount: taken });
                left -= taken;
            }
            if left == 0 {
                break;
            }
        }
        portions
    }

    /// Carries out one transfer on the lots. Every change of a wallet goes through here, and `verify` replays the
    /// same function over the journal.
    ///
    /// Errors when the transfer takes more than is there; the wallet is then unusable and must be dropped.
    pub fn apply(&mut self, transfer: &Transfer) -> Result<(), String> {
        let amount = transfer.amount;
        let active = transfer.lot.activated();
        match transfer.debit {
            LedgerAccount::MemberAvailable => self.change(active, -amount, 0)?,
            LedgerAccount::MemberPending => self.change(transfer.lot, -amount, 0)?,
            LedgerAccount::MemberHeld => self.change(active, 0, -amount)?,
            LedgerAccount::Issuance => self.lifetime.earned += amount,
            LedgerAccount::Adjustment => self.lifetime.adjusted += amount,
            LedgerAccount::Redemption => self.lifetime.redeemed -= amount,
            LedgerAccount::Breakage => self.lifetime.expired -= amount,
            LedgerAccount::Revocation => self.lifetime.revoked -= amount,
            // What the points had been earned or given for moves with the account, see `Account::follow_merge`, or stays.
            LedgerAccount::Merge | LedgerAccount::Extension => {}
        }
        match transfer.credit {
            LedgerAccount::MemberAvailable
                if planted::is(Bug::ReleasedToAnotherLot) && transfer.debit == LedgerAccount::MemberHeld =>
            {
                let another = self.lots.iter().map(|lot| lot.key).find(|key| *key != active).unwrap_or(active);
                self.change(another, amount, 0)?;
            }
            LedgerAccount::MemberAvailable => self.change(active, amount, 0)?,
            LedgerAccount::MemberPending => self.change(transfer.lot, amount, 0)?,
            LedgerAccount::MemberHeld => self.change(active, 0, amount)?,
            LedgerAccount::Issuance => self.lifetime.earned -= amount,
            LedgerAccount::Adjustment => self.lifetime.adjusted -= amount,
            LedgerAccount::Redemption => self.lifetime.redeemed += amount,
            LedgerAccount::Breakage => self.lifetime.expired += amount,
            LedgerAccount::Revocation => self.lifetime.revoked += amount,
            LedgerAccount::Merge | LedgerAccount::Extension => {}
        }
        let arrives = !transfer.debit.is_member()
            || (transfer.debit, transfer.credit) == (LedgerAccount::MemberPending, LedgerAccount::MemberAvailable);
        if arrives
            && let Some(lot) =
                self.lot_mut(if transfer.credit == LedgerAccount::MemberPending { transfer.lot } else { active })
        {
            // Refunded points were credited before: a lot that is still there counts them already.
            let counted = if transfer.debit == LedgerAccount::Redemption { lot.amount } else { lot.amount + amount };
            lot.amount = counted.max(lot.remaining + lot.held);
        }
        self.lots.retain(|lot| lot.remaining != 0 || lot.held != 0);
        Ok(())
    }

    fn change(&mut self, key: LotKey, remaining: i64, held: i64) -> Result<(), String> {
        let Some(lot) = self.lot_mut(key) else { return Ok(()) };
        lot.remaining += remaining;
        lot.held += held;
        if lot.remaining < 0 || lot.held < 0 {
            return Err(format!("the lot that expires {} would fall below zero", key.expires_at));
        }
        Ok(())
    }
}

impl Lot {
    fn is_spendable(&self, at: Timestamp) -> bool {
        self.key.active_at == Timestamp::ZERO && self.key.expires_at > at
    }
}
