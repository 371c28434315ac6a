//! What a command does to the member's tier: counts the figures that lead to it, reaches a higher one at once, looks at it
//! again when that is due, and lets the rules give that listen to its changes.

use std::sync::Arc;

use super::batch::Loaded;
use super::decide::Draft;
use super::event::Event;
use super::refusal::Refusal;
use crate::earning::{Act, Activity, GrantedTier, Outcome, PreparedActivity, prepare};
use crate::ledger::{AccountStatus, CurrencyId, Portion};
use crate::limits;
use crate::tiers::{
    CompiledTier, CountedFigures, Figures, Granted, Held, Ladder, Landing, Moment, Progress, Standing, Step,
    TIER_CHANGED, TierReceipt, TierStep,
};
use crate::time::{Day, Timestamp};

/// A purchase that a return names, as far as tiers count it.
pub(super) struct PurchaseBack {
    /// The local day of the purchase.
    pub(super) day: Day,
    /// Whether all of it has been returned by now.
    pub(super) in_full: bool,
}

impl Draft<'_> {
    /// Whether a currency is money: tier value is not.
    pub(super) fn is_money(&self, currency: CurrencyId) -> bool {
        self.program.tiers.growth != Some(currency) && !self.account.standing.is_growth(currency)
    }

    /// The points of some portions that are money.
    pub(super) fn money_in(&self, currency: CurrencyId, portions: &[Portion]) -> i64 {
        if self.is_money(currency) { portions.iter().map(|portion| portion.amount).sum() } else { 0 }
    }

    /// Notes that a wallet holds tier value.
    pub(super) fn note_growth(&mut self) {
        if let Some(growth) = self.program.tiers.growth {
            self.account.note_growth(growth);
        }
    }

    /// Counts what an activity adds to the figures of the member, and reaches the tier to which they lead. `first`: the first
    /// of its outcomes; those before it came of what was due.
    pub(super) fn count_activity(
        &mut self,
        activity: &PreparedActivity,
        back: Option<&PurchaseBack>,
        first: usize,
        loaded: &Loaded,
    ) -> Result<(), Refusal> {
        let growth = self.growth_of(self.receipt.explanation.get(first..).unwrap_or_default());
        let (spend, orders) = match (activity.kind.as_str(), back) {
            ("purchase", _) => (activity.amount, 1),
            ("return", Some(back)) => (-activity.amount, -i64::from(back.in_full)),
            ("return", None) => (-activity.amount, 0),
            _ => (0, 0),
        };
        let day = back.map_or(activity.today, |back| back.day);
        self.count_figures(day, Figures { spend, orders, growth });
        self.reach(loaded)
    }

    /// Counts growth value that came of what another member did, and reaches the tier to which it leads.
    pub(super) fn count_share(&mut self, day: Day, first: usize, loaded: &Loaded) -> Result<(), Refusal> {
        let growth = self.growth_of(self.receipt.explanation.get(first..).unwrap_or_default());
        if growth == 0 {
            return Ok(());
        }
        self.count_figures(day, Figures { growth, ..Figures::default() });
        self.reach(loaded)
    }

    /// Counts growth value that an operator gave or took.
    pub(super) fn count_adjustment(
        &mut self,
        currency: CurrencyId,
        points: i64,
        loaded: &Loaded,
    ) -> Result<(), Refusal> {
        if self.program.tiers.growth != Some(currency) {
            return Ok(());
        }
        let day = self.program.calendar.day_of(self.command.at);
        self.count_figures(day, Figures { growth: points, ..Figures::default() });
        self.reach(loaded)
    }

    /// The growth value that some outcomes gave or took.
    fn growth_of(&self, outcomes: &[Outcome]) -> i64 {
        let growth = outcomes.iter().filter(|outcome| Some(outcome.currency) == self.program.tiers.growth);
        growth.fold(0, |sum, outcome| sum.saturating_add(outcome.points))
    }

    fn count_figures(&mut self, day: Day, figures: Figures) {
        if self.program.tiers.is_empty() || figures == Figures::default() {
            return;
        }
        let counted = CountedFigures { day, figures, by_day: self.program.tiers.by_day };
        self.account.standing.count(&counted);
        self.told().counted.push(counted);
    }

    fn told(&mut self) -> &mut TierReceipt {
        self.receipt.tier.get_or_insert_default()
    }

    /// The latest moment that the account knows of: an activity that comes late reaches nothing in its own time.
    fn latest(&self) -> Moment {
        let since = self.account.standing.held.as_ref().map_or(Timestamp::ZERO, |held| held.since);
        let latest = self.command.at.max(self.account.last_activity_at).max(since);
        Moment::new(&self.program.calendar, latest)
    }

    /// Reaches the highest tier for which the member qualifies now, or confirms one that was about to be lost.
    pub(super) fn reach(&mut self, loaded: &Loaded) -> Result<(), Refusal> {
        if self.account.status != AccountStatus::Active {
            return Ok(());
        }
        let program = self.program;
        let calendar = &program.calendar;
        // What the rules give that listen to the change may lead further: each time to a higher level.
        for _ in 0..limits::TIERS {
            let moment = self.latest();
            let ladder = program.tiers.at(self.command.at);
            let (standing, history) = (&self.account.standing, &self.account.history);
            let Some((best, by)) = ladder.qualified(standing, history, moment) else { return Ok(()) };
            let level = ladder.reached(standing);
            let (step, since) = match level {
                Some(level) if level.tier.rank > best.tier.rank => return Ok(()),
                Some(level) if level.tier.id == best.tier.id => match &standing.held {
                    Some(held) if held.grace_until.is_some() => (Step::Renewed, held.since),
                    _ => return Ok(()),
                },
                _ => (Step::Reached, moment.at),
            };
            let from = level.map(|level| level.tier.id.clone());
            let held = best.held(calendar, since, moment.at);
            let step = TierStep { step, at: moment.at, from, to: Some(held.tier.clone()), by };
            let reached = step.step == Step::Reached;
            self.hold(ladder, step, held, loaded)?;
            if !reached {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Lifts the member to the tiers that rules grant.
    pub(super) fn grant_tiers(&mut self, loaded: &Loaded) -> Result<(), Refusal> {
        let granted = std::mem::take(&mut self.granted);
        for grant in &granted {
            let has_effect = self.grant_tier(grant, loaded)?;
            let outcome = self.receipt.explanation.get_mut(grant.outcome);
            if let Some(Act::Tier { without_effect, .. }) = outcome.and_then(|outcome| outcome.act.as_mut()) {
                *without_effect = !has_effect;
            }
        }
        if granted.is_empty() { Ok(()) } else { self.reach(loaded) }
    }

    /// Lifts the member to a tier. False: the member stands as high for as long anyway. Of two grants the higher one stays.
    fn grant_tier(&mut self, grant: &GrantedTier, loaded: &Loaded) -> Result<bool, Refusal> {
        let (program, at) = (self.program, self.command.at);
        let (ladder, latest) = (program.tiers.at(at), self.latest().at);
        let Some(level) = ladder.levels().iter().find(|level| level.tier.id == grant.tier) else { return Ok(false) };
        let until = match grant.days {
            Some(days) => program.calendar.end_of_day_after(at, days - 1),
            None => level.held(&program.calendar, at, at).review_at,
        };
        let (rank, standing) = (level.tier.rank, &self.account.standing);
        let reached = ladder.reached(standing).map(|reached| {
            let held = standing.held.as_ref().filter(|held| held.tier == reached.tier.id);
            (reached.tier.rank, held.map_or(Timestamp::NEVER, Held::due))
        });
        let as_high = reached.is_some_and(|(reached, due)| reached >= rank && due >= until);
        let granted_more = standing.granted.as_ref().is_some_and(|known| (known.rank, known.until) >= (rank, until));
        if until <= latest || as_high || granted_more {
            return Ok(false);
        }
        let granted = Granted { tier: grant.tier.clone(), rank, since: latest, until };
        let from = ladder.level_of(standing).map(|level| level.tier.id.clone());
        let step = TierStep { step: Step::Granted, at: latest, from, to: Some(grant.tier.clone()), by: None };
        self.put(
            ladder,
            step,
            |standing, told| told.granted = Some(Some(standing.granted.insert(granted).clone())),
            loaded,
        )?;
        Ok(true)
    }

    /// Looks at the tier again, at each moment up to one at which that was due.
    pub(super) fn review_tier(&mut self, until: Timestamp, loaded: &Loaded) -> Result<(), Refusal> {
        for _ in 0..limits::TIER_REVIEWS {
            let due = self.account.standing.due();
            if self.account.status != AccountStatus::Active || due > until {
                return Ok(());
            }
            let ladder = self.program.tiers.at(due);
            match self.account.standing.granted.clone().filter(|granted| granted.until <= due) {
                Some(granted) => self.end_grant(ladder, granted, loaded)?,
                None => {
                    let (step, held) = self.judge(ladder, due);
                    self.hold(ladder, step, held, loaded)?;
                }
            }
        }
        Ok(())
    }

    /// Lets end what a rule granted: what was reached beneath counts again.
    fn end_grant(&mut self, ladder: &Ladder, granted: Granted, loaded: &Loaded) -> Result<(), Refusal> {
        let to = ladder.reached(&self.account.standing).map(|level| level.tier.id.clone());
        let step = TierStep { step: Step::Ended, at: granted.until, from: Some(granted.tier), to, by: None };
        self.put(
            ladder,
            step,
            |standing, told| {
                standing.granted = None;
                told.granted = Some(None);
            },
            loaded,
        )
    }

    /// What becomes of the tier at a moment at which it is looked at: what happens, and what is held then. It goes by the
    /// figures just before.
    fn judge(&self, ladder: &Ladder, due: Timestamp) -> (TierStep, Held) {
        let calendar = &self.program.calendar;
        let (standing, history) = (&self.account.standing, &self.account.history);
        let before = Moment::new(calendar, due.plus_millis(-1));
        let known = standing.held.clone();
        let (since, in_grace) = known.as_ref().map_or((due, false), |held| (held.since, held.grace_until.is_some()));
        let tell = |step, from: Option<&CompiledTier>, to: Option<&CompiledTier>, by| {
            let id = |level: Option<&CompiledTier>| level.map(|level| level.tier.id.clone());
            TierStep { step, at: due, from: id(from), to: id(to), by }
        };
        let Some(level) = ladder.reached(standing) else {
            // The program has no such levels any more: nothing is looked at again.
            let fallback = Held { tier: String::new(), rank: 0, since, review_at: Timestamp::NEVER, grace_until: None };
            let held = Held { review_at: Timestamp::NEVER, grace_until: None, ..known.unwrap_or(fallback) };
            return (tell(Step::Renewed, None, None, None), held);
        };
        // The time until the next review is counted from the moment by which it goes, and does not end with it.
        let again = |level: &CompiledTier, since| {
            let held = level.held(calendar, since, before.at);
            if held.review_at > due { held } else { level.held(calendar, since, due) }
        };
        let best = ladder.qualified(standing, history, before);
        if let Some((best, by)) = &best
            && best.tier.rank >= level.tier.rank
        {
            let higher = best.tier.rank > level.tier.rank;
            let (step, since) = if higher { (Step::Reached, due) } else { (Step::Renewed, since) };
            return (tell(step, Some(level), Some(best), by.clone()), again(best, since));
        }
        let lacking = level.progress(standing, history, before).into_iter().max_by_key(Progress::percent);
        let review = level.tier.review.as_ref();
        let grace_days = review.map_or(0, |review| review.grace_days);
        if grace_days > 0 && !in_grace {
            let held = again(level, since);
            let grace_until = Some(calendar.end_of_day_after(due, grace_days - 1));
            return (tell(Step::Grace, Some(level), Some(level), lacking), Held { grace_until, ..held });
        }
        let best = best.map(|(best, _)| best);
        let softly = review.is_none_or(|review| review.landing == Landing::OneLevel);
        let below = ladder.below(level.tier.rank).filter(|_| softly);
        let next = match (best, below) {
            (Some(best), Some(below)) if below.tier.rank > best.tier.rank => Some(below),
            (None, below) => below,
            (best, _) => best,
        };
        let Some(next) = next else {
            // Below the lowest level there is nothing, unless it is everyone's: it is kept.
            return (tell(Step::Renewed, Some(level), Some(level), lacking), again(level, since));
        };
        (tell(Step::Lost, Some(level), Some(next), lacking), again(next, due))
    }

    /// Takes over the tier that an account had which was merged into this one, when it is higher, and what the figures of
    /// both lead to.
    pub(super) fn merge_tiers(&mut self, before: &Standing, loaded: &Loaded) -> Result<(), Refusal> {
        let ladder = self.program.tiers.at(self.command.at);
        let (from, to) = (id_of(ladder.level_of(before)), id_of(ladder.level_of(&self.account.standing)));
        if from != to {
            let (held, granted) = (self.account.standing.held.clone(), self.account.standing.granted.clone());
            let told = self.told();
            told.held = held;
            told.granted = granted.map(Some);
            self.tell(TierStep {
                step: Step::Merged,
                at: self.command.at,
                from: from.clone(),
                to: to.clone(),
                by: None,
            });
            self.receipt.events.push(Event::TierChanged { from, to });
        }
        self.reach(loaded)
    }

    /// Puts a tier that is held in the place of the one before.
    fn hold(&mut self, ladder: &Ladder, step: TierStep, held: Held, loaded: &Loaded) -> Result<(), Refusal> {
        self.put(ladder, step, |standing, told| told.held = Some(standing.held.insert(held).clone()), loaded)
    }

    /// Changes the standing and tells of it. Where another level counts than before, that is an event, and the rules give
    /// that listen to it.
    fn put(
        &mut self,
        ladder: &Ladder,
        step: TierStep,
        change: impl FnOnce(&mut Standing, &mut TierReceipt),
        loaded: &Loaded,
    ) -> Result<(), Refusal> {
        let standing = &mut self.account.standing;
        let before = ladder.level_of(standing);
        change(standing, self.receipt.tier.get_or_insert_default());
        let (from, to) = (id_of(before), id_of(ladder.level_of(standing)));
        let moved = from != to;
        if moved {
            self.receipt.events.push(Event::TierChanged { from, to });
        }
        self.tell(step);
        if moved { self.tier_changed(before.map_or(0, |before| i64::from(before.tier.rank)), loaded) } else { Ok(()) }
    }

    fn tell(&mut self, step: TierStep) {
        let grace_until = self.account.standing.held.as_ref().and_then(|held| held.grace_until);
        if let (Step::Grace, Some(tier), Some(until)) = (step.step, &step.to, grace_until) {
            self.receipt.events.push(Event::TierAtRisk { tier: tier.clone(), until });
        }
        self.told().steps.push(step);
    }

    /// Lets the rules give that listen to changes of the tier. What they may not give, because a cap refuses, is not given:
    /// the tier changes nevertheless.
    fn tier_changed(&mut self, rank_before: i64, loaded: &Loaded) -> Result<(), Refusal> {
        if !self.program.listens(TIER_CHANGED) {
            return Ok(());
        }
        let (program, at) = (self.program, self.command.at);
        let activity = Activity::of_kind(TIER_CHANGED);
        let Ok(mut prepared) = prepare(program, self.command.member_id, &activity, at) else { return Ok(()) };
        prepared.rank_before = Some(rank_before);
        let first = self.receipt.explanation.len();
        if !self.earn_besides(&prepared, loaded)? {
            return Ok(());
        }
        let growth = self.growth_of(self.receipt.explanation.get(first..).unwrap_or_default());
        self.count_figures(prepared.today, Figures { growth, ..Figures::default() });
        Ok(())
    }
}

fn id_of(level: Option<&Arc<CompiledTier>>) -> Option<String> {
    level.map(|level| level.tier.id.clone())
}
