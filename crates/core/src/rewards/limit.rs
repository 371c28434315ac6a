//! How many units of a reward one member may order: in a day, a week, a month, a year, or ever.

use serde::{Deserialize, Serialize};

use super::Reward;
use crate::earning::{CounterName, Tally, Window};
use crate::ledger::Account;
use crate::limits;
use crate::time::{Calendar, Timestamp};

/// A limit for each member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Units at most.
    pub quantity: i64,
    /// In which stretch of the program's calendar.
    pub per: Window,
}

/// How much of a limit a member has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitUse {
    /// Which limit.
    pub limit: Limit,
    /// Units ordered, those that were given back left out. `None`: the account has no room to count them.
    pub used: Option<i64>,
    /// When it begins anew; [`Timestamp::NEVER`]: never.
    pub ends_at: Timestamp,
}

/// A window in which the units of an order were counted, so that giving them back finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedIn {
    /// Of which kind.
    pub window: Window,
    /// When it ends.
    pub ends_at: Timestamp,
}

/// The windows that a limit may have.
const WINDOWS: [Window; 5] = [Window::Day, Window::Week, Window::Month, Window::Year, Window::Lifetime];

/// Checks limits for publication; the message names the field.
pub(crate) fn validate(all: &[Limit]) -> Result<(), String> {
    for (index, limit) in all.iter().enumerate() {
        if !WINDOWS.contains(&limit.per) {
            let known = WINDOWS.map(Window::name).join(", ");
            return Err(format!("`limit[{index}].per` must be one of {known}, not {}", limit.per.name()));
        }
        if !(1..=limits::AMOUNT).contains(&limit.quantity) {
            return Err(format!(
                "`limit[{index}].quantity` must be 1 to {}: to offer nothing, leave the reward out",
                limits::AMOUNT
            ));
        }
        if all.iter().take(index).any(|other| other.per == limit.per) {
            return Err(format!("`limit`: there are two per {}; leave the wider one out", limit.per.name()));
        }
    }
    Ok(())
}

impl LimitUse {
    /// Units that can still be ordered before it begins anew.
    pub fn left(&self) -> i64 {
        self.used.map_or(0, |used| self.limit.quantity.saturating_sub(used).max(0))
    }
}

impl Reward {
    /// How much of each limit an account has used at `at`.
    pub fn limit_uses<'a>(
        &'a self,
        calendar: &'a Calendar,
        account: &'a Account,
        at: Timestamp,
    ) -> impl Iterator<Item = LimitUse> + 'a {
        self.limit.iter().map(move |limit| {
            let ends_at = limit.per.end(calendar, at);
            let tally = account.history.tally(CounterName::Reward(&self.id), limit.per, ends_at);
            LimitUse { limit: *limit, used: tally.map(|Tally { sum, .. }| sum.max(0)), ends_at }
        })
    }
}
