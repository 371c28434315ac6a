//! Settles what a prepared activity earns on an account: the conditions on the account, the stacking of rules, and caps.
//! Runs inside the batch.

use rust_decimal::Decimal;

use super::caps::{Cap, CapScope, Over, Room, Trim};
use super::counter::{Counted, CounterOf};
use super::evaluate::Outcome;
use super::expression::Fact;
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
}

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
    at: Timestamp,
) -> Result<Settled, Unsettled> {
    let offers = offers(program, prepared, account, at)?;
    let mut settling =
        Settling { prepared, account, given: Vec::with_capacity(offers.len()), settled: Settled::default() };
    for (offer, passed) in offers.iter().zip(passed_over(&offers)) {
        settling.give(offer, passed)?;
    }
    let Settled { outcomes, mut counted } = settling.settled;
    for window in &prepared.tracked {
        let of = CounterOf::Kind(prepared.kind.clone());
        counted.push(Counted { of, window: *window, ends_at: prepared.end(*window), count: 1, sum: prepared.amount });
    }
    // What holds for one event is of no use afterwards.
    counted.retain(|counted| counted.window != Window::Event);
    Ok(Settled { outcomes, counted })
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
        let asked = candidate.rule.condition.as_ref().and_then(|condition| condition.account.as_ref());
        let mut facts = Vec::new();
        if let Some(condition) = asked {
            let know = |fact: &Fact| known(program, prepared, account, at, candidate.rule.rule.currency, fact);
            facts.extend(condition.facts.iter().map(|(name, fact)| (name.as_str(), know(fact))));
            let values: Vec<i64> = facts.iter().map(|(_, value)| *value).collect();
            if !condition.holds(&candidate.given, &values) {
                continue;
            }
        }
        let earlier = offers.iter().map(|offer| (offer.candidate, offer.points));
        let points = points_of(candidate, earlier)?;
        if points != 0 {
            offers.push(Offer { candidate, points, facts });
        }
    }
    Ok(offers)
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
    prepared: &'a PreparedActivity,
    account: &'a Account,
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
            None => self.within_caps(&candidate.rule.rule, points_of(candidate, self.given.iter().copied())?)?,
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
            self.count(&candidate.rule.rule, points);
        }
        Ok(())
    }

    /// How many of `points` the caps of the rule and of the program leave.
    fn within_caps(&self, rule: &Rule, points: i64) -> Result<(i64, Option<Trim>), Unsettled> {
        let (mut left, mut trimmed) = (points, None);
        for (scope, cap) in self.caps(rule) {
            let room = Room { history: &self.account.history, counted: &self.settled.counted };
            let (allowed, reached) = room.left(&cap, &counter(scope, rule), self.prepared.end(cap.window), left);
            let Some(reached) = reached.filter(|_| left > 0) else { continue };
            left = match cap.over {
                Over::Trim => allowed,
                Over::Skip => 0,
                Over::Refuse => return Err(Unsettled::CapReached(refusal(rule, scope, &reached))),
            };
            let Cap { window, points: at_most, count, .. } = reached;
            trimmed = Some(Trim { offered: points, cap: scope, window, points: at_most, count });
        }
        Ok((left, trimmed))
    }

    /// The caps that hold for a rule.
    fn caps(&self, rule: &Rule) -> impl Iterator<Item = (CapScope, Cap)> {
        let own = rule.caps.iter().map(|cap| (CapScope::Rule, *cap));
        let shared = self.prepared.caps.iter().filter(|cap| cap.currency == rule.currency);
        own.chain(shared.map(|cap| (CapScope::Program, cap.cap())))
    }

    /// Adds what a rule gave to the counters of its caps, each once.
    fn count(&mut self, rule: &Rule, points: i64) {
        let mut added: Vec<(CapScope, Window)> = self.caps(rule).map(|(scope, cap)| (scope, cap.window)).collect();
        added.sort_by_key(|(scope, window)| (*scope as u8, *window));
        added.dedup();
        for (scope, window) in added {
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
        CapScope::Program => CounterOf::Currency(rule.currency),
    }
}

fn refusal(rule: &Rule, scope: CapScope, reached: &Cap) -> String {
    let whose = match scope {
        CapScope::Rule => format!("rule `{}`", rule.id),
        CapScope::Program => "the program".to_owned(),
    };
    let limit = match (reached.points, reached.count) {
        (Some(points), _) => format!("{points} points"),
        (None, count) => format!("{} times", count.unwrap_or_default()),
    };
    format!("{whose} gives a member at most {limit} in one {}", reached.window.name())
}
