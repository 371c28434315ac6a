//! Settles what a prepared activity earns on an account: the conditions on the account, the stacking of rules, and caps.
//! Runs inside the batch.

use rust_decimal::Decimal;
use rustc_hash::FxHashMap;

use super::budget::{BudgetChange, BudgetKey, Per};
use super::caps::{Cap, CapScope, Over, Room, Trim};
use super::counter::{Counted, CounterOf, Tally};
use super::evaluate::Outcome;
use super::expression::{Expression, Fact};
use super::history::NEVER_DAYS;
use super::prepare::{Candidate, PreparedActivity, floor, multiplies};
use super::rule::{Effect, Rule};
use super::stacking::{Offer, PassedOver, passed_over};
use super::window::Window;
use crate::ledger::{Account, CurrencyId};
use crate::limits;
use crate::program::Program;
use crate::time::Timestamp;

/// What an activity earns.
#[derive(Debug, Default)]
pub struct Settled {
    /// What each rule gives and why, in the order of evaluation.
    pub outcomes: Vec<Outcome>,
    /// What it adds to the account's counters.
    pub counted: Vec<Counted>,
    /// What it takes out of budgets that members share.
    pub budgets: Vec<(BudgetKey, BudgetChange)>,
    /// Whether such a budget had no room for all of it.
    pub budget_reached: bool,
}

/// What shared counters hold before an activity; one that is not there holds nothing.
pub type Budgets = FxHashMap<BudgetKey, Tally>;

/// Why an activity cannot be settled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsettled {
    /// A cap that refuses was reached.
    #[error("{0}")]
    CapReached(String),
    /// A rule would give more than all limits.
    #[error("{0}")]
    TooMuch(String),
}

/// Settles an activity that happened at `at` on an account.
pub fn settle(
    program: &Program,
    prepared: &PreparedActivity,
    account: &Account,
    budgets: &Budgets,
    at: Timestamp,
) -> Result<Settled, Unsettled> {
    let offers = offers(program, prepared, account, at)?;
    let given = Vec::with_capacity(offers.len());
    let mut settling = Settling { program, prepared, account, budgets, given, settled: Settled::default() };
    for (offer, passed) in offers.iter().zip(passed_over(&offers)) {
        settling.give(offer, passed)?;
    }
    let Settled { outcomes, mut counted, budgets, budget_reached } = settling.settled;
    for window in &prepared.tracked {
        let of = CounterOf::Kind(prepared.kind.clone());
        counted.push(Counted { of, window: *window, ends_at: prepared.end(*window), count: 1, sum: prepared.amount });
    }
    // What holds for one event is of no use afterwards.
    counted.retain(|counted| counted.window != Window::Event);
    Ok(Settled { outcomes, counted, budgets, budget_reached })
}

/// The rules that hold, with what they offer before caps.
fn offers<'a>(
    program: &Program,
    prepared: &'a PreparedActivity,
    account: &Account,
    at: Timestamp,
) -> Result<Vec<Offer<'a>>, Unsettled> {
    let mut offers: Vec<Offer<'a>> = Vec::with_capacity(prepared.candidates.len());
    for candidate in &prepared.candidates {
        let audience = candidate.campaign.as_ref().map(|(campaign, given)| (campaign.audience.as_ref(), given));
        let own = (candidate.rule.condition.as_ref(), &candidate.given);
        let mut facts = Vec::new();
        let know = |fact: &Fact| known(program, prepared, account, at, candidate.rule.rule.currency, fact);
        if !audience.into_iter().chain([own]).all(|(condition, given)| holds(condition, given, know, &mut facts)) {
            continue;
        }
        let earlier = offers.iter().map(|offer| (offer.candidate, offer.points));
        let points = points_of(candidate, earlier)?;
        if points != 0 {
            offers.push(Offer { candidate, points, facts });
        }
    }
    Ok(offers)
}

/// Whether the account's part of a condition holds; what was found is added to the facts.
fn holds<'a>(
    condition: Option<&'a Expression>,
    given: &[i64],
    know: impl Fn(&Fact) -> i64,
    facts: &mut Vec<(&'a str, i64)>,
) -> bool {
    let Some(condition) = condition.and_then(|condition| condition.account.as_ref()) else { return true };
    let values: Vec<i64> = condition.facts.iter().map(|(_, fact)| know(fact)).collect();
    facts.extend(condition.facts.iter().map(|(name, _)| name.as_str()).zip(values.iter().copied()));
    condition.holds(given, &values)
}

/// What the account knows.
fn known(
    program: &Program,
    prepared: &PreparedActivity,
    account: &Account,
    at: Timestamp,
    currency: CurrencyId,
    fact: &Fact,
) -> i64 {
    let wallet = account.wallet(currency);
    let history = &account.history;
    let tally = |kind: &String, window: Window| match window {
        Window::Lifetime => history.lifetime(kind),
        _ => history.tally(&CounterOf::Kind(kind.clone()), window, prepared.end(window)).unwrap_or_default(),
    };
    let days_since_any = || match account.last_activity_at {
        Timestamp::ZERO => NEVER_DAYS,
        last => (i64::from(prepared.today.0) - i64::from(program.calendar.day_of(last).0)).max(0),
    };
    match fact {
        Fact::Available => wallet.map_or(0, |wallet| wallet.spendable(at)),
        Fact::Earned => wallet.map_or(0, |wallet| wallet.lifetime.earned),
        Fact::Redeemed => wallet.map_or(0, |wallet| wallet.lifetime.redeemed),
        Fact::DaysSince => days_since_any(),
        Fact::DaysSinceKind(kind) => match history.days_since(kind, prepared.today) {
            // What came before the history was kept may have been of this kind.
            NEVER_DAYS if history.partial => days_since_any(),
            days => days,
        },
        Fact::Streak(kind) if *kind == prepared.kind => history.streak_with(kind, prepared.today),
        Fact::Streak(kind) => history.streak(kind, prepared.today),
        Fact::Count(kind, window) => tally(kind, *window).count,
        Fact::Amount(kind, window) => tally(kind, *window).sum,
    }
}

/// What a rule gives when the rules before it give what they do.
fn points_of<'a>(candidate: &Candidate, earlier: impl Iterator<Item = (&'a Candidate, i64)>) -> Result<i64, Unsettled> {
    let rule = &candidate.rule.rule;
    let base = |counts: &dyn Fn(&Candidate) -> bool| {
        earlier.filter(|(base, _)| counts(base)).map(|(_, points)| points.max(0)).fold(0, i64::saturating_add)
    };
    let share = match &rule.effect {
        Effect::PercentOfRule { rule: named, percent } => {
            let base = base(&|base| base.rule.rule.id == *named);
            floor(Decimal::from(base).checked_mul(*percent), Decimal::ONE_HUNDRED)
        }
        Effect::Multiply { factor, .. } => {
            let base = base(&|base| multiplies(rule, base));
            let more = factor.checked_sub(Decimal::ONE).and_then(|more| more.checked_mul(Decimal::from(base)));
            // Over some lines it is what they give, but no more than the base as a whole came to.
            let over_lines = rule.effect.lines().map_or(i64::MAX, |_| candidate.points);
            floor(more, Decimal::ONE).map(|points| points.min(over_lines))
        }
        _ => return Ok(candidate.points),
    };
    let points = share.map_err(|problem| Unsettled::TooMuch(format!("rule `{}`: {problem}", rule.id)))?;
    if points > limits::AMOUNT {
        let problem = format!("rule `{}` would move more than {} points", rule.id, limits::AMOUNT);
        return Err(Unsettled::TooMuch(problem));
    }
    Ok(points)
}

struct Settling<'a> {
    program: &'a Program,
    prepared: &'a PreparedActivity,
    account: &'a Account,
    budgets: &'a Budgets,
    /// What each rule gave so far.
    given: Vec<(&'a Candidate, i64)>,
    settled: Settled,
}

impl<'a> Settling<'a> {
    /// Lets a rule give what caps have room for, unless it is passed over.
    fn give(&mut self, offer: &Offer<'a>, passed: Option<PassedOver<'_>>) -> Result<(), Unsettled> {
        let candidate = offer.candidate;
        let (points, trimmed) = match passed {
            Some(_) => (0, None),
            None => self.within_caps(candidate, points_of(candidate, self.given.iter().copied())?)?,
        };
        // A share of a rule that gave nothing is nothing to tell.
        if points == 0 && trimmed.is_none() && passed.is_none() {
            return Ok(());
        }
        let mut outcome = Outcome::of(candidate, points);
        outcome.facts = offer.facts.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        outcome.trimmed = trimmed;
        match passed {
            Some(PassedOver::LostTo(rule)) => outcome.lost_to = Some(rule.to_owned()),
            Some(PassedOver::StoppedBy(rule)) => outcome.stopped_by = Some(rule.to_owned()),
            None => {}
        }
        self.given.push((candidate, points));
        self.settled.outcomes.push(outcome);
        if points > 0 {
            self.count(candidate, points);
        }
        Ok(())
    }

    /// How many of `points` the caps of the rule, its campaign and the program leave.
    fn within_caps(&mut self, candidate: &Candidate, points: i64) -> Result<(i64, Option<Trim>), Unsettled> {
        let rule = &candidate.rule.rule;
        let (mut left, mut trimmed) = (points, None);
        for (scope, cap) in self.caps(candidate) {
            let (allowed, reached) = if cap.per.is_member() {
                let room = Room { history: &self.account.history, counted: &self.settled.counted };
                room.left(&cap, &counter(scope, rule), self.prepared.end(cap.window), left)
            } else {
                let key = self.prepared.budget(candidate, scope, &cap);
                let before = self.budgets.get(&key).copied().unwrap_or_default();
                cap.shared_room(before, self.spent(&key), left)
            };
            let Some(reached) = reached.filter(|_| left > 0) else { continue };
            self.settled.budget_reached |= !cap.per.is_member();
            left = match cap.over {
                Over::Trim => allowed,
                Over::Skip => 0,
                Over::Refuse => return Err(Unsettled::CapReached(refusal(rule, scope, &reached))),
            };
            let Cap { window, points: at_most, count, per, .. } = reached;
            trimmed = Some(Trim { offered: points, cap: scope, per, window, points: at_most, count });
        }
        Ok((left, trimmed))
    }

    /// The caps that hold for a candidate, all in points.
    fn caps(&self, candidate: &Candidate) -> Vec<(CapScope, Cap)> {
        let currency = self.program.currency(candidate.rule.rule.currency);
        let per_money_unit = currency.map_or(1, |currency| currency.per_money_unit);
        self.prepared.caps(candidate).map(|(scope, cap)| (scope, cap.in_points(per_money_unit))).collect()
    }

    /// What the activity has taken out of a budget so far.
    fn spent(&self, key: &BudgetKey) -> BudgetChange {
        self.settled.budgets.iter().find(|(known, _)| known == key).map_or_else(Default::default, |(_, change)| *change)
    }

    /// Adds what a rule gave to the counters of its caps, each once.
    fn count(&mut self, candidate: &Candidate, points: i64) {
        let rule = &candidate.rule.rule;
        let mut own: Vec<(CapScope, Window)> = Vec::new();
        let mut shared: Vec<(BudgetKey, BudgetChange)> = Vec::new();
        for (scope, cap) in self.caps(candidate) {
            if cap.per.is_member() {
                own.push((scope, cap.window));
                continue;
            }
            let key = self.prepared.budget(candidate, scope, &cap);
            match shared.iter_mut().find(|(known, _)| *known == key) {
                // Two caps over one counter: it is counted once, within both.
                Some((_, change)) => change.at_most = change.plus(cap.change(0, false)).at_most,
                None => {
                    let first = !self.settled.budgets.iter().any(|(known, _)| *known == key);
                    shared.push((key, cap.change(points, first)));
                }
            }
        }
        for (key, change) in shared {
            match self.settled.budgets.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => *known = known.plus(change),
                None => self.settled.budgets.push((key, change)),
            }
        }
        own.sort_by_key(|(scope, window)| (*scope as u8, *window));
        own.dedup();
        for (scope, window) in own {
            let of = counter(scope, rule);
            match self.settled.counted.iter_mut().find(|known| known.window == window && known.of == of) {
                Some(known) => known.sum = known.sum.saturating_add(points),
                None => {
                    let ends_at = self.prepared.end(window);
                    self.settled.counted.push(Counted { of, window, ends_at, count: 1, sum: points });
                }
            }
        }
    }
}

/// The counter behind a cap.
fn counter(scope: CapScope, rule: &Rule) -> CounterOf {
    match scope {
        CapScope::Rule => CounterOf::Rule(rule.id.clone()),
        CapScope::Campaign => CounterOf::Campaign(rule.campaign.clone().unwrap_or_default()),
        CapScope::Program => CounterOf::Currency(rule.currency),
    }
}

fn refusal(rule: &Rule, scope: CapScope, reached: &Cap) -> String {
    let whose = match scope {
        CapScope::Rule => format!("rule `{}`", rule.id),
        CapScope::Campaign => format!("campaign `{}`", rule.campaign.as_deref().unwrap_or_default()),
        CapScope::Program => "the program".to_owned(),
    };
    let whom = match reached.per {
        Per::Member => "a member",
        Per::Everyone => "all members together",
        Per::Store => "the members of one store together",
    };
    let limit = match (reached.points, reached.count) {
        (Some(points), _) => format!("{points} points"),
        (None, count) => format!("{} times", count.unwrap_or_default()),
    };
    format!("{whose} gives {whom} at most {limit} in one {}", reached.window.name())
}
