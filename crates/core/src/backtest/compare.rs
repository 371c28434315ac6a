//! The two sides beside each other: what a backtest comes to.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::figures::{CurrencyFigures, Flows, Segment};
use super::side::{Period, Side, SideReport};
use crate::id::MemberId;
use crate::ledger::CurrencyId;
use crate::program::{Program, Text};
use crate::time::Timestamp;

/// Members who are told of by name.
const MOST_AFFECTED: usize = 10;

/// The same of both sides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair<T> {
    /// By the rules in force.
    pub live: T,
    /// By the draft.
    pub draft: T,
}

/// A rule, month, tier or segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its id, or `2026-03`, or the name of the segment.
    pub name: String,
    /// What moved.
    pub flows: Pair<Flows>,
    /// What the earned points are worth, in minor units of money.
    pub cost: Pair<i64>,
}

/// What a backtest comes to in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrencyComparison {
    /// Its number.
    pub id: CurrencyId,
    /// Its code.
    pub code: String,
    /// What people call it.
    pub name: Text,
    /// What moved.
    pub flows: Pair<Flows>,
    /// What the earned points are worth, in minor units of money.
    pub cost: Pair<i64>,
    /// Points on the accounts in the end: available, pending and held.
    pub outstanding: Pair<i64>,
    /// What they are worth, in minor units of money.
    pub liability: Pair<i64>,
    /// By rule.
    pub rules: Vec<Group>,
    /// By local month.
    pub months: Vec<Group>,
    /// By the member's tier at the time.
    pub tiers: Vec<Group>,
    /// By where the member stood at the time.
    pub segments: Vec<Group>,
}

/// A member and what was earned of the first currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// Who.
    pub member: MemberId,
    /// The member's number in the file, where the entries come from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Points earned, less what was taken back.
    pub earned: Pair<i64>,
}

/// What a backtest comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The time that is counted.
    pub period: Period,
    /// ISO 4217 code of the money.
    pub money: String,
    /// Digits after its decimal point.
    pub money_digits: u32,
    /// How the sides went.
    pub sides: Pair<SideReport>,
    /// By currency.
    pub currencies: Vec<CurrencyComparison>,
    /// Members who joined, did something, or whose points moved.
    pub members: u64,
    /// Those who earn more of the first currency by the draft.
    pub better: u64,
    /// What they earn more.
    pub more: i64,
    /// Those who earn less.
    pub worse: u64,
    /// What they earn less.
    pub less: i64,
    /// The members with the greatest difference, greatest first.
    pub most_affected: Vec<Affected>,
}

/// Compares two sides that are finished.
pub fn compare(live: Side<'_>, draft: Side<'_>, period: Period) -> Comparison {
    let programs = Pair { live: live.program, draft: draft.program };
    let ids: BTreeSet<CurrencyId> = [programs.live, programs.draft]
        .into_iter()
        .flat_map(|program| program.currencies.iter().map(|currency| currency.id))
        .collect();
    let last = period.until.plus_millis(-1);
    let mut currencies: Vec<CurrencyComparison> =
        ids.into_iter().filter_map(|id| currency(id, &live, &draft, last)).collect();
    let main = draft.main();
    currencies.sort_by_key(|currency| (currency.id != main, currency.id));
    let mut comparison = Comparison {
        period,
        money: programs.live.settings.money.clone(),
        money_digits: programs.live.money_digits,
        currencies,
        members: 0,
        better: 0,
        more: 0,
        worse: 0,
        less: 0,
        most_affected: Vec::new(),
        sides: Pair::default(),
    };
    comparison.weigh_members(&live, &draft);
    comparison.sides = Pair { live: live.report, draft: draft.report };
    comparison
}

impl Comparison {
    fn weigh_members(&mut self, live: &Side<'_>, draft: &Side<'_>) {
        let members: BTreeSet<MemberId> = live.members.keys().chain(draft.members.keys()).copied().collect();
        self.members = members.len() as u64;
        let mut affected = Vec::new();
        for member in members {
            let of = |side: &Side<'_>| side.members.get(&member).map_or(0, |known| known.earned);
            let earned = Pair { live: of(live), draft: of(draft) };
            let more = earned.draft.saturating_sub(earned.live);
            match more {
                0 => continue,
                1.. => {
                    self.better += 1;
                    self.more = self.more.saturating_add(more);
                }
                _ => {
                    self.worse += 1;
                    self.less = self.less.saturating_sub(more);
                }
            }
            affected.push(Affected { member, number: None, earned });
        }
        affected.sort_by_key(|one| (Reverse(one.earned.draft.abs_diff(one.earned.live)), one.member));
        affected.truncate(MOST_AFFECTED);
        self.most_affected = affected;
    }

    /// The currency by which members are compared.
    pub fn main(&self) -> Option<&CurrencyComparison> {
        self.currencies.first()
    }
}

fn currency(id: CurrencyId, live: &Side<'_>, draft: &Side<'_>, at: Timestamp) -> Option<CurrencyComparison> {
    let known = draft.program.currency(id).or_else(|| live.program.currency(id))?;
    let none = CurrencyFigures::default();
    let figures =
        Pair { live: live.figures.0.get(&id).unwrap_or(&none), draft: draft.figures.0.get(&id).unwrap_or(&none) };
    let worth = Worth { id, live: live.program, draft: draft.program, at };
    let outstanding = Pair { live: figures.live.outstanding, draft: figures.draft.outstanding };
    let flows = Pair { live: figures.live.total, draft: figures.draft.total };
    let by_name =
        |of: fn(&CurrencyFigures) -> BTreeMap<String, Flows>| worth.groups(of(figures.live), of(figures.draft));
    Some(CurrencyComparison {
        id,
        code: known.code.clone(),
        name: known.name.clone(),
        cost: worth.cost(flows),
        liability: worth.of(outstanding),
        flows,
        outstanding,
        rules: in_order(by_name(|of| owned(&of.rules)), &rules_in_order(live.program, draft.program)),
        months: by_name(|of| of.months.iter().map(|(month, flows)| (month_name(*month), *flows)).collect()),
        tiers: by_name(|of| owned(&of.tiers)),
        segments: in_order(
            by_name(|of| of.segments.iter().map(|(segment, flows)| (segment.name().to_owned(), *flows)).collect()),
            &Segment::ALL.map(Segment::name),
        ),
    })
}

fn owned<'a>(flows: impl IntoIterator<Item = (&'a String, &'a Flows)>) -> BTreeMap<String, Flows> {
    flows.into_iter().map(|(name, flows)| (name.clone(), *flows)).collect()
}

fn month_name(month: i32) -> String {
    format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1)
}

/// The ids of all rules, those of the draft in its order, then those that are gone.
fn rules_in_order<'p>(live: &'p Program, draft: &'p Program) -> Vec<&'p str> {
    let mut ids: Vec<&str> = Vec::new();
    for rule in draft.rules.iter().chain(&live.rules) {
        if !ids.contains(&rule.rule.id.as_str()) {
            ids.push(&rule.rule.id);
        }
    }
    ids
}

fn in_order(mut groups: Vec<Group>, names: &[&str]) -> Vec<Group> {
    // What is no rule, such as a tier's factor, comes last.
    groups.sort_by_key(|group| names.iter().position(|name| *name == group.name).unwrap_or(usize::MAX));
    groups
}

/// What points of a currency are worth on each side.
struct Worth<'p> {
    id: CurrencyId,
    live: &'p Program,
    draft: &'p Program,
    /// The last moment of the period: the value of a point may float.
    at: Timestamp,
}

impl Worth<'_> {
    fn of(&self, points: Pair<i64>) -> Pair<i64> {
        // Tier value buys nothing.
        let of = |program: &Program, points| match program.currency(self.id) {
            Some(currency) if !currency.spendable => 0,
            _ => program.value_of(self.id, points, self.at),
        };
        Pair { live: of(self.live, points.live), draft: of(self.draft, points.draft) }
    }

    fn cost(&self, flows: Pair<Flows>) -> Pair<i64> {
        self.of(Pair { live: flows.live.earned(), draft: flows.draft.earned() })
    }

    fn groups(&self, live: BTreeMap<String, Flows>, draft: BTreeMap<String, Flows>) -> Vec<Group> {
        let names: BTreeSet<&String> = live.keys().chain(draft.keys()).collect();
        let group = |name: &String| {
            let of = |side: &BTreeMap<String, Flows>| side.get(name).copied().unwrap_or_default();
            let flows = Pair { live: of(&live), draft: of(&draft) };
            Group { name: name.clone(), flows, cost: self.cost(flows) }
        };
        names.into_iter().map(group).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_have_names() {
        assert_eq!((month_name(2026 * 12), month_name(2026 * 12 + 11)), ("2026-01".to_owned(), "2026-12".to_owned()));
    }
}
