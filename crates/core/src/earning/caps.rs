//! Caps: how much a rule, the rules of a campaign, or all rules together give in a window: to one member, to everyone, or
//! in one store.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::budget::{BudgetChange, Per};
use super::counter::Tally;
use super::rule::first_currency;
use super::window::Window;
use crate::ledger::CurrencyId;
use crate::limits;

/// What happens to points that a cap has no room for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// The rule gives what there is room for.
    #[default]
    Trim,
    /// The rule gives nothing unless there is room for all.
    Skip,
    /// The activity is refused with `cap_reached`.
    Refuse,
}

/// A cap of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// Over which stretch of time.
    pub window: Window,
    /// Points at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<i64>,
    /// Activities to which it gives, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// Money that its points cost at most, in major units, at the value that the currency has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Decimal>,
    /// For whom it counts together.
    #[serde(default, skip_serializing_if = "Per::is_member")]
    pub per: Per,
    /// What happens beyond.
    #[serde(default)]
    pub over: Over,
}

/// A cap of all rules together that give a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramCap {
    /// Which currency; 1, the first, when left out.
    #[serde(default = "first_currency")]
    pub currency: CurrencyId,
    /// Over which stretch of time.
    pub window: Window,
    /// Points at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<i64>,
    /// Activities that earn, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// Money that its points cost at most, in major units, at the value that the currency has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Decimal>,
    /// For whom it counts together.
    #[serde(default, skip_serializing_if = "Per::is_member")]
    pub per: Per,
    /// What happens beyond.
    #[serde(default)]
    pub over: Over,
}

impl ProgramCap {
    /// The cap without its currency.
    pub fn cap(&self) -> Cap {
        Cap {
            window: self.window,
            points: self.points,
            count: self.count,
            cost: self.cost,
            per: self.per,
            over: self.over,
        }
    }
}

/// Whose cap it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapScope {
    /// The rule's own.
    Rule,
    /// The campaign's.
    Campaign,
    /// The program's.
    Program,
}

/// How a cap made an outcome smaller; in receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trim {
    /// What the rule would have given.
    pub offered: i64,
    /// Whose cap it was.
    pub cap: CapScope,
    /// For whom it counts together.
    #[serde(default, skip_serializing_if = "Per::is_member")]
    pub per: Per,
    /// Over which stretch of time.
    pub window: Window,
    /// The points that it allows, when it is a cap on points that was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<i64>,
    /// The activities that it allows, when it is a cap on their number that was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
}

/// Checks caps for publication; the message names the cap and its field.
pub(crate) fn validate(caps: &[Cap]) -> Result<(), String> {
    if caps.len() > limits::CAPS {
        return Err(format!("{} caps; at most {} are allowed", caps.len(), limits::CAPS));
    }
    caps.iter().enumerate().try_for_each(|(index, cap)| {
        if cap.points.is_none() && cap.count.is_none() && cap.cost.is_none() {
            return Err(format!("`caps[{index}]` needs `points`, `count` or `cost`"));
        }
        if cap.cost.is_some_and(|cost| cost <= Decimal::ZERO || cost > Decimal::from(limits::AMOUNT)) {
            return Err(format!("`caps[{index}].cost` must be more than 0 and at most {}", limits::AMOUNT));
        }
        if cap.window == Window::Event && !cap.per.is_member() {
            return Err(format!("`caps[{index}].per`: an event is one member's; leave it out, or give another window"));
        }
        for (field, limit) in [("points", cap.points), ("count", cap.count)] {
            if limit.is_some_and(|limit| !(1..=limits::AMOUNT).contains(&limit)) {
                return Err(format!(
                    "`caps[{index}].{field}` must be 1 to {}: to give nothing, leave the rule out",
                    limits::AMOUNT
                ));
            }
        }
        if cap.window == Window::Event && cap.count.is_some() {
            return Err(format!("`caps[{index}].count`: an event is one activity; give `points`, or another window"));
        }
        Ok(())
    })
}

impl Cap {
    /// The same cap with its cost as the points that cost no more; `points_for` is `None` where they cannot be counted.
    pub(super) fn in_points(self, points_for: impl Fn(Decimal) -> Option<i64>) -> Self {
        let Some(cost) = self.cost else { return self };
        let most = points_for(cost).unwrap_or(limits::AMOUNT);
        Self { points: Some(self.points.map_or(most, |points| points.min(most))), cost: None, ..self }
    }

    /// How many of `points` it leaves, and what of it was reached, when its counter held `before` and the activity has
    /// added `so_far` points.
    pub(super) fn room(&self, before: Tally, so_far: i64, points: i64) -> (i64, Option<Self>) {
        if self.count.is_some_and(|limit| before.count >= limit) {
            return (0, Some(Self { points: None, ..*self }));
        }
        let spent = before.sum.saturating_add(so_far);
        let left = self.points.map_or(points, |limit| points.min(limit.saturating_sub(spent).max(0)));
        (left, (left < points).then_some(Self { count: None, ..*self }))
    }

    /// What it makes of points that a rule gives: a change of a shared counter.
    pub(super) fn change(&self, points: i64, first: bool) -> BudgetChange {
        let added = Tally { count: i64::from(first), sum: points };
        let at_most = Tally { count: self.count.unwrap_or(i64::MAX), sum: self.points.unwrap_or(i64::MAX) };
        BudgetChange { added, at_most }
    }
}
