//! What a side counts: the transfers that the kernel made, by rule, month, tier and segment.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::ledger::{CurrencyId, LedgerAccount, Transfer};
use crate::time::Timestamp;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// A member counts as new for so long after joining, or the first activity, in milliseconds (30 days).
const NEW_MS: i64 = 30 * DAY_MS;
/// A member counts as dormant from so long after the latest activity on, in milliseconds (90 days).
const DORMANT_MS: i64 = 90 * DAY_MS;

/// Points that moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// Given by rules.
    pub issued: i64,
    /// How often a rule gave some.
    pub times: i64,
    /// Taken back after returns.
    pub taken_back: i64,
    /// Spent on orders, less what was given back.
    pub redeemed: i64,
    /// Expired or forfeited.
    pub expired: i64,
    /// Given by hand, less what was taken.
    pub adjusted: i64,
}

impl Flows {
    /// What rules gave and returns did not take back.
    pub fn earned(&self) -> i64 {
        self.issued.saturating_sub(self.taken_back)
    }

    fn add(&mut self, transfer: &Transfer) {
        let amount = transfer.amount;
        let (sum, change) = match (transfer.debit, transfer.credit) {
            (LedgerAccount::Issuance, _) => {
                self.times = self.times.saturating_add(1);
                (&mut self.issued, amount)
            }
            (_, LedgerAccount::Revocation) => (&mut self.taken_back, amount),
            (LedgerAccount::Revocation, _) => (&mut self.taken_back, -amount),
            (_, LedgerAccount::Redemption) => (&mut self.redeemed, amount),
            (LedgerAccount::Redemption, _) => (&mut self.redeemed, -amount),
            (_, LedgerAccount::Breakage) => (&mut self.expired, amount),
            (LedgerAccount::Adjustment, _) => (&mut self.adjusted, amount),
            (_, LedgerAccount::Adjustment) => (&mut self.adjusted, -amount),
            _ => return,
        };
        *sum = sum.saturating_add(change);
    }
}

/// Where a member stands between the first activity and the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// Within 30 days of joining, or of the first activity.
    New,
    /// Later, and within 90 days of the latest activity.
    Active,
    /// 90 days or more after the latest activity.
    Dormant,
}

impl Segment {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::New, Self::Active, Self::Dormant];

    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Active => "active",
            Self::Dormant => "dormant",
        }
    }

    /// Where a member stands at `at`, whose first and latest activities before were then.
    pub(super) fn at(at: Timestamp, activities: Option<(Timestamp, Timestamp)>) -> Self {
        let since = |moment: Timestamp| at.as_millis().saturating_sub(moment.as_millis());
        match activities {
            None => Self::New,
            Some((first, _)) if since(first) < NEW_MS => Self::New,
            Some((_, latest)) if since(latest) < DORMANT_MS => Self::Active,
            Some(_) => Self::Dormant,
        }
    }
}

/// Of which moment and whose a transfer is.
pub(super) struct Place<'a> {
    /// The local month, `2026-03`, as year × 12 + month − 1.
    pub(super) month: i32,
    pub(super) segment: Segment,
    pub(super) tier: Option<&'a str>,
}

/// The figures of one currency.
#[derive(Debug, Clone, Default)]
pub(super) struct CurrencyFigures {
    pub(super) total: Flows,
    pub(super) rules: FxHashMap<String, Flows>,
    pub(super) months: BTreeMap<i32, Flows>,
    pub(super) tiers: FxHashMap<String, Flows>,
    pub(super) segments: BTreeMap<Segment, Flows>,
    /// What is left on the accounts in the end: available, pending and held.
    pub(super) outstanding: i64,
}

impl CurrencyFigures {
    fn add(&mut self, transfer: &Transfer, place: &Place<'_>) {
        self.total.add(transfer);
        self.months.entry(place.month).or_default().add(transfer);
        self.segments.entry(place.segment).or_default().add(transfer);
        if let Some((rule, _)) = &transfer.rule {
            add_to(&mut self.rules, rule, transfer);
        }
        if let Some(tier) = place.tier {
            add_to(&mut self.tiers, tier, transfer);
        }
    }
}

/// Adds to the flows of a name, which is copied only when it is new.
fn add_to(flows: &mut FxHashMap<String, Flows>, name: &str, transfer: &Transfer) {
    match flows.get_mut(name) {
        Some(known) => known.add(transfer),
        None => flows.entry(name.to_owned()).or_default().add(transfer),
    }
}

/// The figures of all currencies.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures(pub(super) BTreeMap<CurrencyId, CurrencyFigures>);

impl Figures {
    pub(super) fn add(&mut self, transfers: &[Transfer], place: &Place<'_>) {
        for transfer in transfers {
            self.0.entry(transfer.currency).or_default().add(transfer, place);
        }
    }
}
