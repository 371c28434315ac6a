//! Prepares an activity on the caller's thread: everything that the account does not decide.

use std::collections::BTreeSet;
use std::sync::Arc;

use cel::Context;
use rust_decimal::{Decimal, RoundingStrategy};

use super::activity::Activity;
use super::activity_kind::CompiledActivityKind;
use super::budget::{self, BudgetKey};
use super::campaign::CompiledCampaign;
use super::caps::{Cap, CapScope, ProgramCap};
use super::expression::{Expression, Fact, Seen};
use super::facts::{Measured, Moment, activity_context, measure};
use super::lines::LineFilters;
use super::returns::PreparedReturn;
use super::rule::{Beneficiary, CompiledRule, Effect};
use super::window::Window;
use crate::id::MemberId;
use crate::ledger::CurrencyId;
use crate::limits;
use crate::planted::{self, Bug};
use crate::program::Program;
use crate::time::{Day, Timestamp};

/// A rule in force whose condition holds as far as the activity alone decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The version that was in force when the activity happened.
    pub rule: Arc<CompiledRule>,
    /// What it gives by itself; negative when it takes back. For a share of other rules, the most it may be over lines.
    pub points: i64,
    /// The money that counts, in minor units.
    pub amount: Option<i64>,
    /// What its condition on the account takes from outside.
    pub given: Vec<i64>,
    /// The campaign that it belongs to, and what the condition of its audience takes from outside.
    pub campaign: Option<(Arc<CompiledCampaign>, Vec<i64>)>,
    /// When the points become active, when that is later.
    pub active_at: Option<Timestamp>,
    /// When the points expire.
    pub expires_at: Timestamp,
}

/// An activity with everything evaluated that depends on it alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedActivity {
    /// The program under which it was prepared: all of the activity is decided under that one, whatever is published
    /// meanwhile.
    pub program: Program,
    /// Its kind.
    pub kind: String,
    /// As received, JSON.
    pub body: String,
    /// Its money in minor units.
    pub amount: i64,
    /// The local day on which it happened.
    pub today: Day,
    /// The rules, in the order of evaluation.
    pub candidates: Vec<Candidate>,
    /// The caps of the program.
    pub caps: Vec<ProgramCap>,
    /// The store, or an empty text.
    pub store: String,
    /// The windows of this kind of activity that conditions ask for.
    pub tracked: Vec<Window>,
    /// When each window that is looked at ends.
    pub ends: Vec<(Window, Timestamp)>,
    /// On a return that names its purchase: how much of it comes back.
    pub returns: Option<PreparedReturn>,
    /// The windows of this kind of activity in which conditions ask what all did whom somebody has referred.
    pub tracked_referred: Vec<Window>,
    /// Who referred the member, when the activity says so.
    pub referrer: Option<MemberId>,
    /// Whether accounts count this kind by days, because a condition asks for a window that rolls.
    pub by_day: bool,
    /// On a change of the tier: the rank of the one before.
    pub rank_before: Option<i64>,
    /// The key of the purchase that it makes final.
    pub makes_final: Option<String>,
}

impl PreparedActivity {
    /// The keys under which purchases were recorded that it names.
    pub fn purchases(&self) -> impl Iterator<Item = &String> {
        self.returns.iter().map(|back| &back.purchase).chain(&self.makes_final)
    }
}

impl PreparedActivity {
    /// When the window that holds the activity ends.
    pub fn end(&self, window: Window) -> Timestamp {
        self.ends.iter().find(|(known, _)| *known == window).map_or(Timestamp::NEVER, |(_, end)| *end)
    }

    /// The caps that hold for what a candidate gives.
    pub(super) fn caps<'a>(&'a self, candidate: &'a Candidate) -> impl Iterator<Item = (CapScope, Cap)> + 'a {
        let rule = &candidate.rule.rule;
        let own = rule.caps.iter().map(|cap| (CapScope::Rule, *cap));
        let campaign = candidate.campaign.as_ref().map_or(&[][..], |(campaign, _)| &campaign.campaign.caps);
        let campaign = budget::of_currency(campaign, rule).map(|cap| (CapScope::Campaign, cap.cap()));
        let program = budget::of_currency(&self.caps, rule).map(|cap| (CapScope::Program, cap.cap()));
        own.chain(campaign).chain(program)
    }

    /// The shared counter behind a cap.
    pub(super) fn budget(&self, candidate: &Candidate, scope: CapScope, cap: &Cap) -> BudgetKey {
        let name = budget::name(scope, &candidate.rule.rule, cap.per, &self.store);
        BudgetKey { name, window: cap.window, ends_at: self.end(cap.window) }
    }

    /// Whether it may change the account of whoever referred the member.
    pub fn reaches_referrer(&self) -> bool {
        let gives = |candidate: &Candidate| candidate.rule.rule.beneficiary == Beneficiary::Referrer;
        self.returns.is_some() || !self.tracked_referred.is_empty() || self.candidates.iter().any(gives)
    }

    /// The rewards that it may give.
    pub fn rewards(&self) -> impl Iterator<Item = &str> {
        self.candidates.iter().filter_map(|candidate| candidate.rule.rule.effect.reward().map(|(reward, _)| reward))
    }

    /// All shared counters that it may touch.
    pub fn budgets(&self) -> impl Iterator<Item = BudgetKey> {
        self.candidates.iter().flat_map(|candidate| {
            let shared = self.caps(candidate).filter(|(_, cap)| !cap.per.is_member());
            shared.map(|(scope, cap)| self.budget(candidate, scope, &cap))
        })
    }
}

/// Prepares an activity of a member under the rules in force at `at`.
///
/// Errors name the field (`lines`) or the rule or campaign that failed.
pub fn prepare(
    program: &Program,
    member: MemberId,
    activity: &Activity,
    at: Timestamp,
) -> Result<PreparedActivity, String> {
    let measured = measure(program, activity)?;
    let mut rules = rules_in_force(program, &activity.kind, at);
    if activity.returned_purchase().is_some() {
        rules.retain(|rule| !matches!(rule.rule.effect, Effect::TakeBackPerMoney { .. }));
    }
    let store = activity.store.as_deref().unwrap_or_default();
    let campaigns = running_campaigns(program, &rules, member, store, at);
    rules.retain(|rule| rule.rule.campaign.is_none() || campaigns.iter().any(|running| running.takes(rule)));
    let mut evaluation = Evaluation::new(program, &measured, at, &rules, &campaigns);
    let audiences = evaluation.audiences()?;
    let mut candidates: Vec<Candidate> = Vec::new();
    for rule in &rules {
        let named = |problem: String| format!("rule `{}`: {problem}", rule.rule.id);
        let campaign = match campaigns.iter().zip(&audiences).find(|(running, _)| running.takes(rule)) {
            None => None,
            Some((_, None)) => continue,
            Some((running, Some(given))) => Some((Arc::clone(running.campaign), given.clone())),
        };
        let Some(given) = evaluation.given(rule.condition.as_ref()).map_err(named)? else { continue };
        let (points, amount) = evaluation.effect(rule, &candidates).map_err(named)?;
        if points.abs() > limits::AMOUNT {
            return Err(format!("rule `{}` would move more than {} points", rule.rule.id, limits::AMOUNT));
        }
        let (active_at, expires_at) = evaluation.life(rule);
        candidates.push(Candidate { rule: Arc::clone(rule), points, amount, given, campaign, active_at, expires_at });
    }
    let factors = tier_factors(program, &activity.kind, at, &candidates);
    candidates.extend(factors);
    let returns = match activity.returned_purchase() {
        Some(purchase) => Some(evaluation.returned(purchase)?),
        None => None,
    };
    let tracked = program.tracked(&activity.kind).to_vec();
    let tracked_referred = program.tracked_referred(&activity.kind).to_vec();
    let caps = program.settings_at(at).caps.clone();
    Ok(PreparedActivity {
        program: program.clone(),
        kind: activity.kind.clone(),
        body: String::new(),
        amount: measured.net,
        today: program.calendar.day_of(at),
        ends: ends(program, at, &candidates, &caps, [tracked.as_slice(), &tracked_referred].concat()),
        candidates,
        caps,
        store: store.to_owned(),
        tracked,
        returns,
        tracked_referred,
        referrer: activity.referrer,
        by_day: program.counts_by_day(&activity.kind),
        rank_before: None,
        makes_final: activity.purchase.clone().filter(|_| activity.is_final()),
    })
}

/// The factors of all tiers in force, after the rules whose base they multiply. The account decides which one holds.
fn tier_factors(program: &Program, kind: &str, at: Timestamp, earlier: &[Candidate]) -> Vec<Candidate> {
    let factors = program.tiers.at(at).levels().iter().flat_map(|level| &level.factors);
    let with_base = factors.filter(|factor| {
        factor.rule.trigger.listens(kind) && earlier.iter().any(|base| multiplies(&factor.rule, base))
    });
    let mut candidates: Vec<Candidate> = Vec::new();
    for factor in with_base {
        let same = |known: &&Candidate| {
            let (known, wanted) = (&known.rule.rule, &factor.rule);
            known.currency == wanted.currency && known.pending_days == wanted.pending_days
        };
        let (active_at, expires_at) = match candidates.iter().chain(earlier).find(same) {
            Some(known) => (known.active_at, known.expires_at),
            None => lifetime(program, factor, at),
        };
        let (rule, given) = (Arc::clone(factor), Vec::new());
        candidates.push(Candidate { rule, points: 0, amount: None, given, campaign: None, active_at, expires_at });
    }
    candidates
}

/// When what a rule gives becomes active, when that is later, and when it expires.
fn lifetime(program: &Program, rule: &CompiledRule, at: Timestamp) -> (Option<Timestamp>, Timestamp) {
    let active_at = match rule.rule.pending_days {
        0 => None,
        days => Some(program.calendar.end_of_day_after(at, days - 1)),
    };
    (active_at, program.expires_at(rule.rule.currency, active_at.unwrap_or(at)))
}

/// The version of each rule that holds at `at`, for a kind of activity, in the order of evaluation.
fn rules_in_force<'a>(program: &'a Program, kind: &str, at: Timestamp) -> Vec<&'a Arc<CompiledRule>> {
    let rules = &program.rules;
    let in_force = rules.iter().enumerate().filter_map(|(index, rule)| {
        let later = rules.get(index + 1..).unwrap_or_default().iter().take_while(|next| next.rule.id == rule.rule.id);
        let replaced = later.into_iter().any(|next| next.effective_from <= at);
        (rule.active && rule.effective_from <= at && !replaced && rule.rule.trigger.listens(kind)).then_some(rule)
    });
    let mut in_force: Vec<&Arc<CompiledRule>> = in_force.collect();
    // By the places of these versions: one that is to come may have another.
    in_force.sort_by_key(|rule| (std::cmp::Reverse(rule.rule.priority), rule.position));
    in_force
}

/// A campaign that runs when an activity happens, and that is released for its member.
struct Running<'a> {
    campaign: &'a Arc<CompiledCampaign>,
    /// The arm that the member belongs to.
    arm: Option<&'a str>,
}

impl Running<'_> {
    /// Whether a rule belongs to it, and to the member's arm if it has one.
    fn takes(&self, rule: &CompiledRule) -> bool {
        let rule = &rule.rule;
        rule.campaign.as_deref() == Some(self.campaign.campaign.id.as_str())
            && (rule.arm.is_none() || rule.arm.as_deref() == self.arm)
    }
}

/// The campaigns of some rules that run at `at`, each in the version that holds then.
fn running_campaigns<'a>(
    program: &'a Program,
    rules: &[&Arc<CompiledRule>],
    member: MemberId,
    store: &str,
    at: Timestamp,
) -> Vec<Running<'a>> {
    let named: BTreeSet<&str> = rules.iter().filter_map(|rule| rule.rule.campaign.as_deref()).collect();
    let in_force = named.into_iter().filter_map(|id| program.campaign(id, at));
    let running = in_force.filter(|one| one.runs(&program.calendar, at) && one.is_released(member, store));
    running.map(|campaign| Running { campaign, arm: campaign.arm_of(member) }).collect()
}

/// The counters that members share and that rules for a kind may touch which the program records by itself: for no store.
pub fn shared_budgets(program: &Program, kind: &str, at: Timestamp) -> Vec<BudgetKey> {
    let mut keys = Vec::new();
    for rule in rules_in_force(program, kind, at) {
        let rule = &rule.rule;
        let campaign = rule.campaign.as_deref().and_then(|id| program.campaign(id, at));
        let campaign = campaign.map_or(&[][..], |campaign| &campaign.campaign.caps);
        let own = rule.caps.iter().map(|cap| (CapScope::Rule, *cap));
        let campaign = budget::of_currency(campaign, rule).map(|cap| (CapScope::Campaign, cap.cap()));
        let of_all = budget::of_currency(&program.settings_at(at).caps, rule).map(|cap| (CapScope::Program, cap.cap()));
        for (scope, cap) in own.chain(campaign).chain(of_all).filter(|(_, cap)| !cap.per.is_member()) {
            let (name, ends_at) = (budget::name(scope, rule, cap.per, ""), cap.window.end(&program.calendar, at));
            keys.push(BudgetKey { name, window: cap.window, ends_at });
        }
    }
    keys
}

/// When each window that will be looked at ends.
fn ends(
    program: &Program,
    at: Timestamp,
    candidates: &[Candidate],
    caps: &[ProgramCap],
    tracked: Vec<Window>,
) -> Vec<(Window, Timestamp)> {
    let campaigns =
        || candidates.iter().filter_map(|candidate| candidate.campaign.as_ref()).map(|(campaign, _)| campaign);
    let facts = candidates.iter().flat_map(|candidate| candidate.rule.facts());
    let facts = facts.chain(campaigns().flat_map(|campaign| campaign.facts()));
    let asked = facts.filter_map(|fact| match fact {
        Fact::Count(_, window)
        | Fact::Amount(_, window)
        | Fact::ReferredCount(_, window)
        | Fact::ReferredAmount(_, window) => Some(*window),
        _ => None,
    });
    let capped = candidates.iter().flat_map(|candidate| &candidate.rule.rule.caps).map(|cap| cap.window);
    let shared = campaigns().flat_map(|campaign| &campaign.campaign.caps).chain(caps).map(|cap| cap.window);
    let mut windows: Vec<Window> = asked.chain(capped).chain(shared).collect();
    windows.extend(tracked);
    windows.sort_unstable();
    windows.dedup();
    windows.into_iter().map(|window| (window, window.end(&program.calendar, at))).collect()
}

struct Evaluation<'a> {
    program: &'a Program,
    measured: &'a Measured<'a>,
    at: Timestamp,
    rules: &'a [&'a Arc<CompiledRule>],
    campaigns: &'a [Running<'a>],
    moment: Option<Moment>,
    context: Option<Context<'static, 'static>>,
    lines: LineFilters<'a>,
    /// The lives of points that were asked for, by currency and the days for which they are pending: the calendar is dear.
    lives: Vec<((CurrencyId, i32), Life)>,
}

/// When points become active, when that is later, and when they expire.
type Life = (Option<Timestamp>, Timestamp);

impl<'a> Evaluation<'a> {
    fn new(
        program: &'a Program,
        measured: &'a Measured<'a>,
        at: Timestamp,
        rules: &'a [&'a Arc<CompiledRule>],
        campaigns: &'a [Running<'a>],
    ) -> Self {
        let lines = LineFilters::new(measured);
        Self { program, measured, at, rules, campaigns, moment: None, context: None, lines, lives: Vec::new() }
    }

    /// The life of what a rule gives.
    fn life(&mut self, rule: &CompiledRule) -> Life {
        let key = (rule.rule.currency, rule.rule.pending_days);
        if let Some((_, life)) = self.lives.iter().find(|(known, _)| *known == key) {
            return *life;
        }
        let life = lifetime(self.program, rule, self.at);
        self.lives.push((key, life));
        life
    }

    /// What expressions see that need no CEL.
    fn seen(&mut self) -> Seen<'a> {
        let moment = *self.moment.get_or_insert_with(|| Moment::of(&self.program.calendar, self.at));
        Seen { measured: self.measured, moment, line: None }
    }

    /// What all expressions of the activity look at that need CEL, built when the first one asks.
    fn context(&mut self) -> &mut Context<'static, 'static> {
        let Seen { moment, .. } = self.seen();
        let Self { program, measured, at, rules, campaigns, context, .. } = self;
        context.get_or_insert_with(|| {
            let wanted = |look: fn(&Expression) -> bool| {
                rules.iter().any(|rule| rule.condition.iter().chain(&rule.line_filter).any(look))
                    || campaigns.iter().any(|running| running.campaign.audience.iter().any(look))
            };
            let wanted_by_purchase = measured.activity.returned_purchase().is_some();
            let moment = (wanted_by_purchase || wanted(|expression| expression.looks_at_context)).then_some(moment);
            let activity = measured.activity;
            let kind = program.activity_kind_at(&activity.kind, *at).and_then(CompiledActivityKind::body);
            let body = kind.filter(|_| wanted(|expression| expression.looks_at_body));
            activity_context(measured, wanted(|expression| expression.looks_at_lines), moment, body)
        })
    }

    /// What the account's part of each campaign's audience takes from outside; `None`: the member is not meant.
    fn audiences(&mut self) -> Result<Vec<Option<Vec<i64>>>, String> {
        let campaigns = self.campaigns;
        let of = |running: &Running<'a>| {
            let given = self.given(running.campaign.audience.as_ref());
            given.map_err(|problem| format!("campaign `{}`: {problem}", running.campaign.campaign.id))
        };
        campaigns.iter().map(of).collect()
    }

    /// What the account's part of a condition takes from outside; `None`: the condition does not hold anyway.
    fn given(&mut self, condition: Option<&Expression>) -> Result<Option<Vec<i64>>, String> {
        let Some(condition) = condition else { return Ok(Some(Vec::new())) };
        if !condition.needs_context() {
            return Ok(Some(Vec::new()));
        }
        if let Some(given) = condition.given_natively(&self.seen()) {
            return Ok(given);
        }
        let context = self.context();
        let given = match condition.holds(context) {
            Ok(false) => Ok(None),
            Ok(true) => condition.given(context).map(Some),
            Err(problem) => Err(problem),
        };
        // Another version of the schema may hold on the activity's date than the one that the rule was published with.
        if condition.looks_at_body { Ok(given.unwrap_or_default()) } else { given }
    }

    /// The lines that count for all of some rules: how many, and their money. Without a filter: the whole.
    fn counted(&mut self, rules: &[&'a CompiledRule]) -> Result<(i64, i64), String> {
        let mut filters = Vec::with_capacity(rules.len());
        for rule in rules {
            let (Some(text), Some(filter)) = (rule.rule.effect.lines(), &rule.line_filter) else { continue };
            let known = match self.lines.known(text) {
                Some(known) => known,
                None if filter.is_native() => {
                    let seen = self.seen();
                    self.lines.add_native(text, filter, seen)
                }
                None => {
                    self.context();
                    let Self { lines, context, .. } = self;
                    lines.add(text, filter, context.get_or_insert_default())
                }
            };
            filters.push(known);
        }
        if filters.is_empty() { Ok((1, self.measured.net)) } else { self.lines.counted(&filters) }
    }

    /// What comes back of a purchase, for whichever version of each rule it earned by.
    fn returned(&mut self, purchase: &str) -> Result<PreparedReturn, String> {
        let mut counted = Vec::new();
        let lines = !self.measured.activity.lines.is_empty();
        for rule in self.program.rules.iter().filter(|rule| lines && rule.active && rule.line_filter.is_some()) {
            let (_, amount) = self.counted(&[rule]).map_err(|problem| format!("rule `{}`: {problem}", rule.rule.id))?;
            counted.push(((rule.rule.id.clone(), rule.version), amount));
        }
        Ok(PreparedReturn { purchase: purchase.to_owned(), amount: self.measured.net, counted })
    }

    /// What a rule gives by itself, and the money that counts for it.
    fn effect(&mut self, rule: &'a CompiledRule, earlier: &[Candidate]) -> Result<(i64, Option<i64>), String> {
        match &rule.rule.effect {
            Effect::PointsPerMoney { rate, .. } => {
                let (_, amount) = self.counted(&[rule])?;
                Ok((per_money(self.program, amount.max(0), *rate)?, Some(amount)))
            }
            Effect::PointsPerStep { points, step, .. } => {
                let (_, amount) = self.counted(&[rule])?;
                let step_minor = step.checked_mul(Decimal::from(self.program.minor_per_major()));
                let steps = floor(Some(Decimal::from(amount.max(0))), step_minor.unwrap_or(Decimal::MAX))?;
                Ok((steps.checked_mul(*points).ok_or(BEYOND)?, Some(amount)))
            }
            Effect::FixedPoints { points, lines: None } => Ok((*points, None)),
            Effect::FixedPoints { points, .. } => {
                let (count, amount) = self.counted(&[rule])?;
                Ok((count.checked_mul(*points).ok_or(BEYOND)?, Some(amount)))
            }
            Effect::PercentOfRule { .. }
            | Effect::Multiply { lines: None, .. }
            | Effect::Task { .. }
            | Effect::Message { .. }
            | Effect::IssueReward { .. }
            | Effect::GrantTier { .. } => Ok((0, None)),
            Effect::Multiply { factor, .. } => self.more_over_lines(rule, *factor, earlier),
            Effect::TakeBackPerMoney { rate } => {
                Ok((-per_money(self.program, self.measured.net, *rate)?, Some(self.measured.net)))
            }
        }
    }

    /// What makes the base of some lines `factor` times as much.
    fn more_over_lines(
        &mut self,
        rule: &'a CompiledRule,
        factor: Decimal,
        earlier: &[Candidate],
    ) -> Result<(i64, Option<i64>), String> {
        let mut product = Decimal::ZERO;
        for base in earlier.iter().filter(|base| multiplies(&rule.rule, base)) {
            let Effect::PointsPerMoney { rate, .. } = &base.rule.rule.effect else { continue };
            let Some(base) = self.rules.iter().find(|known| Arc::ptr_eq(known, &base.rule)) else { continue };
            let (_, amount) = self.counted(&[rule, base])?;
            let more = Decimal::from(amount.max(0)).checked_mul(*rate);
            product = more.and_then(|more| product.checked_add(more)).ok_or(BEYOND)?;
        }
        let (_, amount) = self.counted(&[rule])?;
        let more = factor.checked_sub(Decimal::ONE).and_then(|more| product.checked_mul(more));
        Ok((floor(more, Decimal::from(self.program.minor_per_major()))?, Some(amount)))
    }
}

/// Whether an earlier rule is part of the base that a rule multiplies.
pub(super) fn multiplies(rule: &super::rule::Rule, base: &Candidate) -> bool {
    match rule.effect.of_rule() {
        Some(named) => base.rule.rule.id == named,
        None => base.rule.rule.effect.is_base() && base.rule.rule.currency == rule.currency,
    }
}

const BEYOND: &str = "the points are beyond all limits";

/// `floor(amount / minor units in a major one × rate)`.
fn per_money(program: &Program, amount: i64, rate: Decimal) -> Result<i64, String> {
    floor(Decimal::from(amount).checked_mul(rate), Decimal::from(program.minor_per_major()))
}

/// The whole number at or below a fraction.
pub(super) fn floor(product: Option<Decimal>, divisor: Decimal) -> Result<i64, String> {
    let up = planted::is(Bug::RoundedUp);
    let way = if up { RoundingStrategy::ToPositiveInfinity } else { RoundingStrategy::ToNegativeInfinity };
    product
        .and_then(|product| product.checked_div(divisor))
        .map(|exact| exact.round_dp_with_strategy(0, way))
        .and_then(|whole| i64::try_from(whole).ok())
        .ok_or_else(|| BEYOND.to_owned())
}
