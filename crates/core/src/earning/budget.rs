//! Budgets: counters that members share, behind caps on what a rule, a campaign or the program gives to all of them
//! together, or in one store. They go through the batch like stock, so that a budget is exact on many nodes at once.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::caps::{CapScope, ProgramCap};
use super::counter::Tally;
use super::rule::Rule;
use super::window::Window;
use crate::time::Timestamp;

/// For whom a cap counts together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Each member alone.
    #[default]
    Member,
    /// Everyone.
    Everyone,
    /// Everyone in one store.
    Store,
}

impl Per {
    /// Whether it is the usual one.
    pub(super) fn is_member(&self) -> bool {
        *self == Self::Member
    }
}

/// A shared counter: what it counts, in one window.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BudgetKey {
    /// `rule:…`, `campaign:…` or `currency:…`, and `@` with a store when it is a store's. An `@` of a rule's id is `%40`.
    pub name: String,
    /// In windows of which kind.
    pub window: Window,
    /// When the window ends.
    pub ends_at: Timestamp,
}

/// What shared counters hold before an activity; one that is not there holds nothing.
pub type Budgets = FxHashMap<BudgetKey, Tally>;

/// What an activity took out of a budget; in receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Of which.
    #[serde(flatten)]
    pub key: BudgetKey,
    /// Activities.
    pub count: i64,
    /// Points.
    pub points: i64,
}

/// A change of a shared counter, and where it must end; changes of one batch are added up and written once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetChange {
    /// What is added.
    pub added: Tally,
    /// What the counter may hold at most afterwards.
    pub at_most: Tally,
}

impl Default for BudgetChange {
    fn default() -> Self {
        Self { added: Tally::default(), at_most: Tally { count: i64::MAX, sum: i64::MAX } }
    }
}

impl BudgetChange {
    /// Both changes together, within the narrower limits.
    pub fn plus(self, other: Self) -> Self {
        let at_most =
            Tally { count: self.at_most.count.min(other.at_most.count), sum: self.at_most.sum.min(other.at_most.sum) };
        Self { added: self.added.plus(other.added), at_most }
    }

    /// Whether a counter that holds `before` can take it.
    pub fn fits(self, before: Tally) -> bool {
        let after = before.plus(self.added);
        after.count <= self.at_most.count && after.sum <= self.at_most.sum
    }
}

/// The name of the budget behind a cap.
pub(super) fn name(scope: CapScope, rule: &Rule, per: Per, store: &str) -> String {
    let of = match scope {
        // Whatever an id holds, the first `@` stands before the store.
        CapScope::Rule => format!("rule:{}", rule.id.replace('%', "%25").replace('@', "%40")),
        CapScope::Campaign => format!("campaign:{}", rule.campaign.as_deref().unwrap_or_default()),
        CapScope::Program => format!("currency:{}", rule.currency.0),
    };
    match per {
        Per::Store => format!("{of}@{store}"),
        Per::Member | Per::Everyone => of,
    }
}

/// The caps that a rule has a part in, from a list that belongs to several rules.
pub(super) fn of_currency<'a>(caps: &'a [ProgramCap], rule: &'a Rule) -> impl Iterator<Item = &'a ProgramCap> {
    caps.iter().filter(|cap| cap.currency == rule.currency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_budgets_share_a_name() {
        let name = |id: &str, per, store: &str| {
            let rule =
                format!("id = '{id}'\nname = 'R'\ntrigger = 'visit'\neffect = {{ type = 'fixed_points', points = 1 }}");
            name(CapScope::Rule, &toml::from_str(&rule).unwrap(), per, store)
        };
        assert_eq!(name("tea", Per::Everyone, "bund"), "rule:tea");
        assert_eq!(name("tea", Per::Store, "bund"), "rule:tea@bund");
        assert_eq!(name("tea@bund", Per::Everyone, ""), "rule:tea%40bund");
        assert_eq!(name("tea%40bund", Per::Everyone, ""), "rule:tea%2540bund");
    }
}
