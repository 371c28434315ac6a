//! What the accounts know of what conditions ask.

use std::sync::Arc;

use super::counter::{CounterName, Tally};
use super::expression::Fact;
use super::history::NEVER_DAYS;
use super::prepare::PreparedActivity;
use super::window::Window;
use crate::ledger::{Account, CurrencyId};
use crate::program::Program;
use crate::tiers::CompiledTier;
use crate::time::Timestamp;

/// The accounts that an activity is settled on.
#[derive(Debug, Clone, Copy)]
pub struct Parties<'a> {
    /// Of the member who did something.
    pub member: &'a Account,
    /// Of whoever referred the member, when that account is active.
    pub referrer: Option<&'a Account>,
}

/// Where to look.
#[derive(Clone, Copy)]
pub(super) struct Knowledge<'a> {
    pub(super) program: &'a Program,
    pub(super) prepared: &'a PreparedActivity,
    pub(super) parties: Parties<'a>,
    pub(super) at: Timestamp,
}

impl Knowledge<'_> {
    /// The value of a fact; points are those of a currency.
    pub(super) fn of(&self, currency: CurrencyId, fact: &Fact) -> i64 {
        let account = self.parties.member;
        let (wallet, history, today) = (account.wallet(currency), &account.history, self.prepared.today);
        match fact {
            Fact::Available => wallet.map_or(0, |wallet| wallet.spendable(self.at)),
            Fact::Earned => wallet.map_or(0, |wallet| wallet.lifetime.earned),
            Fact::Redeemed => wallet.map_or(0, |wallet| wallet.lifetime.redeemed),
            Fact::Referred => i64::from(account.referrer.is_some() || self.prepared.referrer.is_some()),
            Fact::DaysSince => self.days_since_any(),
            Fact::DaysSinceKind(kind) => match history.days_since(kind, today) {
                // What came before the history was kept may have been of this kind.
                NEVER_DAYS if history.partial => self.days_since_any(),
                days => days,
            },
            Fact::Streak(kind) if *kind == self.prepared.kind => history.streak_with(kind, today),
            Fact::Streak(kind) => history.streak(kind, today),
            Fact::Count(kind, window) => self.tally(kind, *window).count,
            Fact::Amount(kind, window) => self.tally(kind, *window).sum,
            Fact::CountOfDays(kind, days) => account.recent.tally(kind, *days, today).count,
            Fact::AmountOfDays(kind, days) => account.recent.tally(kind, *days, today).sum,
            Fact::TierRank => self.rank(),
            Fact::TierRankBefore => self.prepared.rank_before.unwrap_or_else(|| self.rank()),
            Fact::TierIs(id) => i64::from(self.level().is_some_and(|level| level.tier.id == *id)),
            Fact::ReferredCount(kind, window) => self.referred(kind, *window).count,
            Fact::ReferredAmount(kind, window) => self.referred(kind, *window).sum,
        }
    }

    fn level(&self) -> Option<&Arc<CompiledTier>> {
        self.program.tiers.at(self.at).level_of(&self.parties.member.standing)
    }

    fn rank(&self) -> i64 {
        self.level().map_or(0, |level| i64::from(level.tier.rank))
    }

    fn days_since_any(&self) -> i64 {
        match self.parties.member.last_activity_at {
            Timestamp::ZERO => NEVER_DAYS,
            last => (i64::from(self.prepared.today.0) - i64::from(self.program.calendar.day_of(last).0)).max(0),
        }
    }

    fn tally(&self, kind: &str, window: Window) -> Tally {
        let history = &self.parties.member.history;
        match window {
            Window::Lifetime => history.lifetime(kind),
            _ => history.tally(CounterName::Kind(kind), window, self.prepared.end(window)).unwrap_or_default(),
        }
    }

    /// What all did whom the referrer has referred.
    fn referred(&self, kind: &str, window: Window) -> Tally {
        let (of, ends_at) = (CounterName::Referred(kind), self.prepared.end(window));
        let found = self.parties.referrer.and_then(|account| account.history.tally(of, window, ends_at));
        found.unwrap_or_default()
    }
}
