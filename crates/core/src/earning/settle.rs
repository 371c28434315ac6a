//! Settles what a prepared activity earns on an account: the conditions on the account, the stacking of rules, and caps.
//! Runs inside the batch.

use rust_decimal::Decimal;
use rustc_hash::FxHashMap;

use super::act::{self, Act};
use super::budget::{BudgetChange, BudgetKey, Budgets, Per};
use super::caps::{Cap, CapScope, Over, Trim};
use super::counter::{Counted, CounterName, Tally};
use super::evaluate::Outcome;
use super::expression::{Expression, Fact};
use super::known::{Knowledge, Parties};
use super::prepare::{Candidate, PreparedActivity, floor, multiplies};
use super::rule::{Beneficiary, Effect, Rule};
use super::stacking::{Offer, PassedOver, passed_over};
use super::window::Window;
use crate::kernel::Event;
use crate::limits;
use crate::program::Program;
use crate::rewards::{Chosen, StockLevel, parts_of};
use crate::time::Timestamp;

/// What an activity earns on one account.
#[derive(Debug, Default)]
pub struct Earned {
    /// What each rule gives and why, in the order of evaluation.
    pub outcomes: Vec<Outcome>,
    /// What it adds to the account's counters.
    pub counted: Vec<Counted>,
    /// What is to be told because of it.
    pub events: Vec<Event>,
    /// The tiers to which it lifts.
    pub tiers: Vec<GrantedTier>,
}

/// A tier to which a rule lifts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedTier {
    /// Which of the outcomes says so.
    pub outcome: usize,
    /// The tier.
    pub tier: String,
    /// For how many days; `None`: for the time after which the tier is reviewed.
    pub days: Option<i32>,
}

impl Earned {
    /// Whether nothing comes of it.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.counted.is_empty()
    }
}

/// What an activity earns.
#[derive(Debug, Default)]
pub struct Settled {
    /// The member.
    pub member: Earned,
    /// Whoever referred the member.
    pub referrer: Earned,
    /// What it takes out of budgets that members share.
    pub budgets: Vec<(BudgetKey, BudgetChange)>,
    /// Whether a budget had no room for all of it, or a reward had run out: others may have had a part in that.
    pub budget_reached: bool,
}

/// What members share, as it was before the activity.
#[derive(Debug, Clone, Copy)]
pub struct Shared<'a> {
    /// What budgets hold.
    pub budgets: &'a Budgets,
    /// The stock of rewards that are limited.
    pub stock: &'a FxHashMap<String, StockLevel>,
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

/// Settles an activity that happened at `at` on its accounts.
pub fn settle(
    program: &Program,
    prepared: &PreparedActivity,
    parties: Parties<'_>,
    shared: Shared<'_>,
    at: Timestamp,
) -> Result<Settled, Unsettled> {
    let offers = offers(Knowledge { program, prepared, parties, at })?;
    let given = Vec::with_capacity(offers.len());
    let (issued, mut settled) = (Vec::new(), Settled::default());
    settled.member.outcomes.reserve(offers.len());
    let mut settling = Settling { program, at, prepared, parties, shared, given, as_offered: true, issued, settled };
    let mut caps: Vec<(CapScope, Cap)> = Vec::new();
    for (offer, passed) in offers.iter().zip(passed_over(&offers)) {
        caps.clear();
        caps.extend(caps_of(program, prepared, offer.candidate, at));
        settling.give(offer, passed, &caps)?;
    }
    let mut settled = settling.settled;
    let once = |of: CounterName<'_>, window: &Window| Counted {
        of: of.into(),
        window: *window,
        ends_at: prepared.end(*window),
        count: 1,
        sum: prepared.amount,
    };
    settled
        .member
        .counted
        .extend(prepared.tracked.iter().map(|window| once(CounterName::Kind(&prepared.kind), window)));
    if parties.referrer.is_some() {
        let referred =
            prepared.tracked_referred.iter().map(|window| once(CounterName::Referred(&prepared.kind), window));
        settled.referrer.counted.extend(referred);
    }
    // What holds for one event is of no use afterwards.
    for earned in [&mut settled.member, &mut settled.referrer] {
        earned.counted.retain(|counted| counted.window != Window::Event);
    }
    Ok(settled)
}

/// The rules that hold, with what they offer before caps.
fn offers<'a>(knowledge: Knowledge<'a>) -> Result<Vec<Offer<'a>>, Unsettled> {
    let candidates = &knowledge.prepared.candidates;
    let mut offers: Vec<Offer<'a>> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        if candidate.rule.rule.beneficiary == Beneficiary::Referrer && knowledge.parties.referrer.is_none() {
            continue;
        }
        let audience = candidate.campaign.as_ref().map(|(campaign, given)| (campaign.audience.as_ref(), given));
        let own = (candidate.rule.condition.as_ref(), &candidate.given);
        let mut facts = Vec::new();
        let know = |fact: &Fact| knowledge.of(candidate.rule.rule.currency, fact);
        if !audience.into_iter().chain([own]).all(|(condition, given)| holds(condition, given, know, &mut facts)) {
            continue;
        }
        let earlier = offers.iter().map(|offer| (offer.candidate, offer.points));
        let points = points_of(candidate, earlier)?;
        if points != 0 || candidate.rule.rule.effect.is_act() {
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
    let first = facts.len();
    facts.extend(condition.facts.iter().map(|(name, fact)| (name.as_str(), know(fact))));
    condition.holds(given, facts.get(first..).unwrap_or_default())
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
    at: Timestamp,
    prepared: &'a PreparedActivity,
    parties: Parties<'a>,
    shared: Shared<'a>,
    /// What each rule gave so far.
    given: Vec<(&'a Candidate, i64)>,
    /// Whether that is what all of them offered.
    as_offered: bool,
    /// What rewards that rules issued so far take out of stock.
    issued: Vec<(String, i64)>,
    settled: Settled,
}

impl<'a> Settling<'a> {
    /// Lets a rule give what caps have room for, unless it is passed over.
    fn give(
        &mut self,
        offer: &Offer<'a>,
        passed: Option<PassedOver<'_>>,
        caps: &[(CapScope, Cap)],
    ) -> Result<(), Unsettled> {
        let candidate = offer.candidate;
        let rule = &candidate.rule.rule;
        let is_act = rule.effect.is_act();
        let (mut left, mut trimmed) = match passed {
            Some(_) => (0, None),
            // An act is done or not: caps count it as one.
            None if is_act => self.within_caps(candidate, caps, 1)?,
            // A share of what was offered is what it offers itself.
            None if self.as_offered => self.within_caps(candidate, caps, offer.points)?,
            None => self.within_caps(candidate, caps, points_of(candidate, self.given.iter().copied())?)?,
        };
        // A share of a rule that gave nothing is nothing to tell.
        if left == 0 && trimmed.is_none() && passed.is_none() {
            return Ok(());
        }
        let points = if is_act { 0 } else { left };
        if is_act && let Some(trim) = &mut trimmed {
            trim.offered = 0;
        }
        let mut outcome = Outcome::of(candidate, points);
        outcome.facts = offer.facts.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        outcome.trimmed = trimmed;
        match passed {
            Some(PassedOver::LostTo(rule)) => outcome.lost_to = Some(rule.to_owned()),
            Some(PassedOver::StoppedBy(rule)) => outcome.stopped_by = Some(rule.to_owned()),
            None => {}
        }
        if let Some(Act::Reward { reward, quantity, out_of_stock, .. }) = &mut outcome.act
            && left > 0
        {
            match self.all_left(reward, *quantity) {
                Some(taken) => self.issued.extend(taken),
                None => (left, *out_of_stock, self.settled.budget_reached) = (0, true, true),
            }
        }
        self.as_offered &= points == offer.points;
        self.given.push((candidate, points));
        let earned = self.earned(rule);
        if left > 0 {
            if let Effect::GrantTier { tier, days } = &rule.effect {
                let outcome = earned.outcomes.len();
                earned.tiers.push(GrantedTier { outcome, tier: tier.clone(), days: *days });
            }
            earned.events.extend(act::event(rule));
        }
        earned.outcomes.push(outcome);
        if left > 0 {
            self.count(candidate, caps, points);
        }
        Ok(())
    }

    /// What the beneficiary of a rule has earned so far.
    fn earned(&mut self, rule: &Rule) -> &mut Earned {
        match rule.beneficiary {
            Beneficiary::Member => &mut self.settled.member,
            Beneficiary::Referrer => &mut self.settled.referrer,
        }
    }

    /// What so many units of a reward take out of stock, when all of it is there beside what was issued already.
    fn all_left(&self, reward: &str, quantity: i64) -> Option<Vec<(String, i64)>> {
        let own = (reward.to_owned(), quantity);
        let offered = self.program.reward_at(reward, self.at);
        let parts = offered.map(|offered| parts_of(self.program, offered, quantity, Chosen::default(), self.at));
        let parts = parts.into_iter().flatten().map(|part| (part.key, part.units));
        let taken: Vec<(String, i64)> = std::iter::once(own).chain(parts).collect();
        let is_left = |(key, units): &(String, i64)| {
            let issued: i64 = self.issued.iter().filter(|(known, _)| known == key).map(|(_, units)| units).sum();
            self.shared.stock.get(key).is_none_or(|level| level.free() - issued >= *units)
        };
        taken.iter().all(is_left).then_some(taken)
    }

    /// How many of `points` the caps of the rule, its campaign and the program leave.
    fn within_caps(
        &mut self,
        candidate: &Candidate,
        caps: &[(CapScope, Cap)],
        points: i64,
    ) -> Result<(i64, Option<Trim>), Unsettled> {
        let rule = &candidate.rule.rule;
        let (mut left, mut trimmed) = (points, None);
        for (scope, cap) in caps {
            let scope = *scope;
            let Some((allowed, reached)) = self.room(candidate, scope, cap, left) else { continue };
            self.settled.budget_reached |= !cap.per.is_member();
            left = match cap.over {
                Over::Trim => allowed,
                // What the referrer has no room for keeps nobody from what they do.
                _ if rule.beneficiary == Beneficiary::Referrer => 0,
                Over::Skip => 0,
                Over::Refuse => return Err(Unsettled::CapReached(refusal(rule, scope, &reached))),
            };
            let Cap { window, points: at_most, count, per, .. } = reached;
            trimmed = Some(Trim { offered: points, cap: scope, per, window, points: at_most, count });
        }
        Ok((left, trimmed))
    }

    /// How many of `points` a cap leaves when they are too many for it, and what of it was reached.
    fn room(&self, candidate: &Candidate, scope: CapScope, cap: &Cap, points: i64) -> Option<(i64, Cap)> {
        let (before, so_far) = if cap.per.is_member() {
            let of = counter(scope, &candidate.rule.rule);
            let same = |counted: &&Counted| counted.window == cap.window && of.names(&counted.of);
            let rule = &candidate.rule.rule;
            let (account, earned) = match rule.beneficiary {
                Beneficiary::Member => (Some(self.parties.member), &self.settled.member),
                Beneficiary::Referrer => (self.parties.referrer, &self.settled.referrer),
            };
            let so_far = earned.counted.iter().find(same).map_or(0, |counted| counted.sum);
            let before = match cap.window {
                // Rules of one activity share it; nothing is kept of it afterwards.
                Window::Event => Some(Tally::default()),
                window => account.and_then(|account| account.history.tally(of, window, self.prepared.end(window))),
            };
            (before, so_far)
        } else {
            let key = self.prepared.budget(candidate, scope, cap);
            let same = |(known, _): &&(BudgetKey, BudgetChange)| *known == key;
            let so_far = self.settled.budgets.iter().find(same).map_or(0, |(_, change)| change.added.sum);
            (Some(self.shared.budgets.get(&key).copied().unwrap_or_default()), so_far)
        };
        // Where the account has no room for another counter nothing is given.
        let (left, reached) = before.map_or((0, Some(*cap)), |before| cap.room(before, so_far, points));
        reached.filter(|_| points > 0).map(|reached| (left, reached))
    }

    /// Adds what a rule gave to the counters of its caps, each once.
    fn count(&mut self, candidate: &Candidate, caps: &[(CapScope, Cap)], points: i64) {
        self.count_for_member(&candidate.rule.rule, caps, points);
        self.count_together(candidate, caps, points);
    }

    fn count_for_member(&mut self, rule: &Rule, caps: &[(CapScope, Cap)], points: i64) {
        let key = |(scope, cap): &(CapScope, Cap)| cap.per.is_member().then_some((*scope, cap.window));
        for (index, (scope, window)) in caps.iter().enumerate().filter_map(|(index, cap)| Some((index, key(cap)?))) {
            // Two caps over one counter: it is counted once, within both.
            if caps.iter().take(index).any(|earlier| key(earlier) == Some((scope, window))) {
                continue;
            }
            let of = counter(scope, rule);
            let ends_at = self.prepared.end(window);
            let counted = &mut self.earned(rule).counted;
            match counted.iter_mut().find(|known| known.window == window && of.names(&known.of)) {
                Some(known) => known.sum = known.sum.saturating_add(points),
                None => counted.push(Counted { of: of.into(), window, ends_at, count: 1, sum: points }),
            }
        }
    }

    fn count_together(&mut self, candidate: &Candidate, caps: &[(CapScope, Cap)], points: i64) {
        let mut added: Vec<BudgetKey> = Vec::new();
        for (scope, cap) in caps.iter().filter(|(_, cap)| !cap.per.is_member()) {
            let key = self.prepared.budget(candidate, *scope, cap);
            let points = if added.contains(&key) { 0 } else { points };
            match self.settled.budgets.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => *known = known.plus(cap.change(points, false)),
                None => self.settled.budgets.push((key.clone(), cap.change(points, true))),
            }
            added.push(key);
        }
    }
}

/// The caps that hold for a candidate, all in points.
fn caps_of<'a>(
    program: &'a Program,
    prepared: &'a PreparedActivity,
    candidate: &'a Candidate,
    at: Timestamp,
) -> impl Iterator<Item = (CapScope, Cap)> + use<'a> {
    let points_for = move |cost| program.points_for(candidate.rule.rule.currency, cost, at);
    let is_act = candidate.rule.rule.effect.is_act();
    let caps = prepared.caps(candidate).map(move |(scope, cap)| (scope, cap.in_points(points_for)));
    // What gives no points is limited by the counts of its rule and its campaign.
    caps.filter(move |(scope, cap)| !is_act || cap.count.is_some() && *scope != CapScope::Program)
        .map(move |(scope, cap)| (scope, if is_act { Cap { points: None, ..cap } } else { cap }))
}

/// The counter behind a cap.
fn counter(scope: CapScope, rule: &Rule) -> CounterName<'_> {
    match scope {
        CapScope::Rule => CounterName::Rule(&rule.id),
        CapScope::Campaign => CounterName::Campaign(rule.campaign.as_deref().unwrap_or_default()),
        CapScope::Program => CounterName::Currency(rule.currency),
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
