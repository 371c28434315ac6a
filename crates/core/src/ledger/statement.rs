//! The statement of a month: what a wallet held before it, what came and went in it, and what it held afterwards.
//!
//! It is added up from the journal alone. A month is one of local days on which things happened, so that the closing of one
//! is the opening of the next; what arrives late belongs to the month in which it happened.

use std::collections::BTreeMap;

use super::{CurrencyId, LedgerAccount};
use crate::time::Timestamp;

/// Points of one member that moved between two ledger accounts, added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// Whether it was in the month, or before.
    pub in_month: bool,
    /// From.
    pub debit: LedgerAccount,
    /// To.
    pub credit: LedgerAccount,
    /// The currency.
    pub currency: CurrencyId,
    /// The rule that gave or took them, where one did.
    pub rule: Option<String>,
    /// When they expire.
    pub expires_at: Timestamp,
    /// Points in all.
    pub amount: i64,
}

/// The statement of one wallet, in points.
///
/// `closing = opening + earned − spent − expired − taken_back + adjusted + merged`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statement {
    /// What the member had before: available, pending and held together.
    pub opening: i64,
    /// What rules gave, by rule.
    pub earned: BTreeMap<String, i64>,
    /// What was spent on rewards, less what was refunded.
    pub spent: i64,
    /// What expired or was forfeited.
    pub expired: i64,
    /// What returns took back.
    pub taken_back: i64,
    /// What operators added by hand, less what they took.
    pub adjusted: i64,
    /// What other accounts of the person brought when they were merged, less what left in the same way.
    pub merged: i64,
    /// What the member had afterwards: available, pending and held together.
    pub closing: i64,
    /// How many of the closing points were not active yet.
    pub pending: i64,
    /// How many of the closing points were set aside for orders.
    pub held: i64,
    /// When the closing points expire, first-expiring first; those that never expire are not among them.
    pub expiring: BTreeMap<Timestamp, i64>,
}

impl Statement {
    /// The statements of all wallets in which anything ever moved.
    pub fn of(movements: &[Movement]) -> BTreeMap<CurrencyId, Self> {
        let mut statements: BTreeMap<CurrencyId, Self> = BTreeMap::new();
        for movement in movements {
            statements.entry(movement.currency).or_default().add(movement);
        }
        for statement in statements.values_mut() {
            statement.expiring.retain(|expires_at, points| *points != 0 && *expires_at != Timestamp::NEVER);
            statement.earned.retain(|_, points| *points != 0);
        }
        statements
    }

    /// Everything that rules gave.
    pub fn earned_in_all(&self) -> i64 {
        self.earned.values().sum()
    }

    fn add(&mut self, movement: &Movement) {
        self.move_points(movement.debit, movement, -movement.amount);
        self.move_points(movement.credit, movement, movement.amount);
    }

    /// One side of a movement: what the account on it got, or gave when negative.
    fn move_points(&mut self, account: LedgerAccount, movement: &Movement, points: i64) {
        if account.is_member() {
            self.closing += points;
            self.opening += if movement.in_month { 0 } else { points };
            *self.expiring.entry(movement.expires_at).or_default() += points;
        }
        match account {
            LedgerAccount::MemberAvailable => {}
            LedgerAccount::MemberPending => self.pending += points,
            LedgerAccount::MemberHeld => self.held += points,
            _ if !movement.in_month => {}
            LedgerAccount::Issuance => {
                *self.earned.entry(movement.rule.clone().unwrap_or_default()).or_default() -= points;
            }
            LedgerAccount::Redemption => self.spent += points,
            LedgerAccount::Breakage => self.expired += points,
            LedgerAccount::Revocation => self.taken_back += points,
            LedgerAccount::Adjustment => self.adjusted -= points,
            LedgerAccount::Merge => self.merged -= points,
            // What leaves one lot arrives in another.
            LedgerAccount::Extension => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LedgerAccount::{Adjustment, Breakage, Issuance, MemberAvailable, MemberHeld, MemberPending, Redemption};

    fn moved(in_month: bool, debit: LedgerAccount, credit: LedgerAccount, amount: i64) -> Movement {
        let rule = (debit == Issuance).then(|| "base".to_owned());
        let expires_at = Timestamp::from_millis(5_000);
        Movement { in_month, debit, credit, currency: CurrencyId(1), rule, expires_at, amount }
    }

    #[test]
    fn what_came_and_went_leads_from_the_opening_to_the_closing() {
        let statements = Statement::of(&[
            moved(false, Issuance, MemberAvailable, 500),
            moved(false, MemberAvailable, MemberHeld, 100),
            moved(true, Issuance, MemberAvailable, 132),
            moved(true, Issuance, MemberPending, 20),
            // The order of before is captured, another is taken back.
            moved(true, MemberHeld, Redemption, 100),
            moved(true, Redemption, MemberAvailable, 30),
            moved(true, MemberAvailable, Breakage, 7),
            moved(true, Adjustment, MemberAvailable, 5),
        ]);
        let statement = &statements[&CurrencyId(1)];
        assert_eq!((statement.opening, statement.closing), (500, 580));
        assert_eq!(statement.earned, BTreeMap::from([("base".to_owned(), 152)]));
        assert_eq!((statement.spent, statement.expired, statement.taken_back), (70, 7, 0));
        assert_eq!((statement.adjusted, statement.merged), (5, 0));
        assert_eq!((statement.pending, statement.held), (20, 0));
        assert_eq!(statement.expiring, BTreeMap::from([(Timestamp::from_millis(5_000), 580)]));
    }
}
