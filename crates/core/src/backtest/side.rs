//! One side of a backtest: a program, the accounts as they are by its rules, and what it has counted.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Happened};
use super::figures::{Figures, Place, Segment};
use crate::earning::{Activity, PreparedActivity, prepare};
use crate::id::{IdGenerator, MemberId, OrderId};
use crate::kernel::{
    Action, Arrival, Command, Committed, Decision, Loaded, OrderStep, Refusal, RefusalCode, replay, replay_order,
    resolved,
};
use crate::ledger::{Account, AccountStatus, CurrencyId, LedgerAccount, Portion, Transfer};
use crate::program::Program;
use crate::redemption::split;
use crate::time::{Calendar, Timestamp};

/// Refusals that are told in full.
const TOLD: usize = 10;
/// Moments at which something is due on one account between two entries: more stand for a mistake in the program.
const TICKS: usize = 10_000;

/// The time that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// From when on the draft holds, and figures are counted.
    pub from: Timestamp,
    /// The end, not included: nothing after it is looked at, and balances are as they are then.
    pub until: Timestamp,
}

/// An activity that a side refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Whose.
    pub member: MemberId,
    /// When.
    pub at: Timestamp,
    /// The stable code.
    pub code: String,
    /// Why.
    pub reason: String,
}

/// What a side comes to beside its figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideReport {
    /// Activities that it decided.
    pub activities: u64,
    /// Activities that it refused, by code.
    pub refused: BTreeMap<String, u64>,
    /// The first of them.
    pub refusals: Vec<Refused>,
    /// Orders for which it had not all the points.
    pub short_orders: u64,
    /// The points that were missing for them.
    pub short_points: i64,
}

/// What a side knows of a member beside the account.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    /// The first activity and the latest.
    activities: Option<(Timestamp, Timestamp)>,
    /// What the member earned of the first currency in the period.
    pub(super) earned: i64,
}

/// A side in the making.
pub struct Side<'p> {
    pub(super) program: &'p Program,
    before: &'p Program,
    period: Period,
    loaded: Loaded,
    ids: IdGenerator,
    orders: FxHashMap<OrderId, (CurrencyId, Vec<Portion>)>,
    pub(super) members: FxHashMap<MemberId, Known>,
    pub(super) figures: Figures,
    pub(super) report: SideReport,
    main: CurrencyId,
    months: Months,
}

impl<'p> Side<'p> {
    /// A side on which `before` holds until the period begins, and `program` from then on.
    pub fn new(before: &'p Program, program: &'p Program, period: Period) -> Self {
        Self {
            program,
            before,
            period,
            loaded: Loaded::default(),
            ids: IdGenerator::new(0),
            orders: FxHashMap::default(),
            members: FxHashMap::default(),
            figures: Figures::default(),
            report: SideReport::default(),
            main: main_currency(program),
            months: Months { calendar: program.calendar.clone(), known: None },
        }
    }

    /// Lets the next entry happen. Entries come in the order in which they were recorded.
    pub fn step(&mut self, entry: &Entry) {
        if entry.at >= self.period.until {
            return;
        }
        let (member, at) = (entry.member, entry.at);
        self.loaded.accounts.entry(member).or_default();
        self.pass_time(member, at);
        match &entry.what {
            Happened::Enrolled => self.enrol(member, at),
            Happened::Activity { activity, key } => {
                self.report.activities += u64::from(at >= self.period.from);
                self.record(member, at, activity, key.as_deref());
            }
            Happened::Redeemed { order, currency, points, captured } => {
                self.redeem((member, at), *order, (*currency, *points), *captured);
            }
            Happened::Captured(order) => self.settle((member, at), *order, OrderStep::Captured),
            Happened::Released(order) => self.settle((member, at), *order, OrderStep::Released),
            Happened::Refunded(order) => self.settle((member, at), *order, OrderStep::Refunded),
            Happened::CapturedPart { order, points } => self.settle_part((member, at), *order, *points, true),
            Happened::RefundedPart { order, points } => self.settle_part((member, at), *order, *points, false),
            Happened::Adjusted { currency, points } => self.adjust(member, at, *currency, *points),
            Happened::Extended { currency, payment } => {
                let (currency, payment) = (*currency, *payment);
                self.command(member, at, Action::Extend { currency, payment });
            }
            Happened::Merged { from } => {
                self.loaded.accounts.entry(*from).or_default();
                self.pass_time(*from, at);
                self.command(member, at, Action::Merge { from: *from, reason: String::new() });
                self.merge_known(*from, member);
            }
            Happened::Ended => {
                // Whoever is erased may have been closed before.
                if self.loaded.accounts.get(&member).is_some_and(|account| account.status == AccountStatus::Active) {
                    self.command(member, at, Action::Close { reason: String::new() });
                }
            }
        }
    }

    /// Lets the time pass until the end of the period on every account, and adds up what is left on them.
    pub fn finish(&mut self) {
        let mut members: Vec<MemberId> = self.loaded.accounts.keys().copied().collect();
        members.sort_unstable();
        for member in members {
            self.pass_time(member, self.period.until.plus_millis(-1));
        }
        for wallet in self.loaded.accounts.values().flat_map(|account| &account.wallets) {
            let balance = wallet.balance();
            let figures = self.figures.0.entry(wallet.currency).or_default();
            figures.outstanding = figures.outstanding.saturating_add(balance.available);
            figures.outstanding = figures.outstanding.saturating_add(balance.pending.saturating_add(balance.held));
        }
    }

    /// The currency by which members are compared.
    pub(super) fn main(&self) -> CurrencyId {
        self.main
    }

    fn program_at(&self, at: Timestamp) -> &'p Program {
        if at < self.period.from { self.before } else { self.program }
    }

    /// Lets happen what is due on an account up to a moment.
    fn pass_time(&mut self, member: MemberId, at: Timestamp) {
        for _ in 0..TICKS {
            let due = self.loaded.accounts.get(&member).and_then(Account::next_due_at);
            let Some(due) = due.filter(|due| *due <= at) else { return };
            if !self.command(member, due, Action::Tick) {
                return;
            }
        }
    }

    /// Lets a member join whom nobody has referred: rules for it give where this side has any.
    fn enrol(&mut self, member: MemberId, at: Timestamp) {
        let joins = Arrival::default().activity();
        match self.program_at(at).listens(&joins.kind) {
            true => self.record(member, at, &joins, None),
            false => self.note_activity(member, at),
        }
    }

    fn record(&mut self, member: MemberId, at: Timestamp, activity: &Activity, key: Option<&str>) {
        let program = self.program_at(at);
        let prepared = prepare(program, member, activity, at);
        if let Some(referrer) = prepared.as_ref().ok().and_then(|prepared| self.reached_referrer(member, prepared)) {
            self.pass_time(referrer, at);
        }
        let decided =
            prepared.map_err(|problem| Refusal::new(RefusalCode::InvalidAmount, problem)).and_then(|prepared| {
                let command = Command::replayed(member, at, Action::Record(Box::new(prepared)));
                replay(program, command, key.is_some(), &self.loaded, &mut self.ids)
            });
        match decided {
            Ok(mut decision) => {
                if let Some(key) = key {
                    let receipt = std::mem::take(&mut decision.transaction.receipt);
                    let committed = Committed { request_digest: [0; 32], receipt };
                    self.loaded.committed.insert((member, key.to_owned()), committed);
                }
                self.accept(decision);
            }
            Err(refusal) => self.refused(member, at, refusal),
        }
        self.note_activity(member, at);
    }

    /// Whoever referred a member, where an activity may change that account as well.
    fn reached_referrer(&self, member: MemberId, activity: &PreparedActivity) -> Option<MemberId> {
        let known = || self.loaded.accounts.get(&member)?.referrer;
        let referrer = activity.referrer.or_else(known).filter(|_| activity.reaches_referrer())?;
        resolved(referrer, &self.loaded).map(|(member, _)| member)
    }

    fn note_activity(&mut self, member: MemberId, at: Timestamp) {
        let known = self.members.entry(member).or_default();
        known.activities = Some(known.activities.map_or((at, at), |(first, latest)| (first.min(at), latest.max(at))));
    }

    /// Whether it was accepted.
    fn command(&mut self, member: MemberId, at: Timestamp, action: Action) -> bool {
        let command = Command::replayed(member, at, action);
        let decided = replay(self.program_at(at), command, false, &self.loaded, &mut self.ids);
        let accepted = decided.is_ok();
        match decided {
            Ok(decision) => self.accept(decision),
            Err(refusal) => self.refused(member, at, refusal),
        }
        accepted
    }

    fn redeem(
        &mut self,
        (member, at): (MemberId, Timestamp),
        order: OrderId,
        (currency, points): (CurrencyId, i64),
        captured: bool,
    ) {
        let step = OrderStep::Redeemed { currency, points, captured };
        let Some(holds) = self.order_step((member, at), &step) else { return };
        let short = points - holds.iter().map(|portion| portion.amount).sum::<i64>();
        if short > 0 && at >= self.period.from {
            self.report.short_orders += 1;
            self.report.short_points = self.report.short_points.saturating_add(short);
        }
        self.orders.insert(order, (currency, holds));
    }

    fn settle(
        &mut self,
        whose: (MemberId, Timestamp),
        order: OrderId,
        step: impl FnOnce(CurrencyId, Vec<Portion>) -> OrderStep,
    ) {
        let Some((currency, holds)) = self.orders.remove(&order) else { return };
        let left = self.order_step(whose, &step(currency, holds)).unwrap_or_default();
        if !left.is_empty() {
            self.orders.insert(order, (currency, left));
        }
    }

    /// Spends a part of what was set aside and gives the rest back, or gives a part of what was spent back.
    fn settle_part(&mut self, whose: (MemberId, Timestamp), order: OrderId, points: i64, captured: bool) {
        let Some((currency, holds)) = self.orders.remove(&order) else { return };
        let there: i64 = holds.iter().map(|portion| portion.amount).sum();
        let (kept, back) = split(&holds, if captured { points } else { there - points });
        if captured {
            let spent = self.order_step(whose, &OrderStep::Captured(currency, kept)).unwrap_or_default();
            self.order_step(whose, &OrderStep::Released(currency, back));
            self.orders.insert(order, (currency, spent));
        } else {
            self.order_step(whose, &OrderStep::Refunded(currency, back));
            self.orders.insert(order, (currency, kept));
        }
    }

    fn order_step(&mut self, (member, at): (MemberId, Timestamp), step: &OrderStep) -> Option<Vec<Portion>> {
        match replay_order(self.program_at(at), (member, at), step, &self.loaded, &mut self.ids) {
            Ok((decision, holds)) => {
                self.accept(decision);
                Some(holds)
            }
            Err(refusal) => {
                self.refused(member, at, refusal);
                None
            }
        }
    }

    /// Corrects a balance; what is not there is not taken.
    fn adjust(&mut self, member: MemberId, at: Timestamp, currency: CurrencyId, points: i64) {
        let wallet = self.loaded.accounts.get(&member).and_then(|account| account.wallet(currency));
        let points = points.max(-wallet.map_or(0, |wallet| wallet.spendable(at)));
        if points != 0 {
            self.command(member, at, Action::Adjust { currency, points, reason: String::new() });
        }
    }

    fn accept(&mut self, mut decision: Decision) {
        if let Some(counterpart) = decision.counterpart.take() {
            self.accept(*counterpart);
        }
        let (member, at) = (decision.transaction.member_id, decision.transaction.at);
        if at >= self.period.from {
            self.count(member, at, &decision);
        }
        for (key, change) in decision.budgets {
            let held = self.loaded.budgets.entry(key).or_default();
            *held = held.plus(change.added);
        }
        self.loaded.accounts.insert(member, decision.account);
    }

    fn count(&mut self, member: MemberId, at: Timestamp, decision: &Decision) {
        let transfers = &decision.transaction.transfers;
        if transfers.is_empty() {
            return;
        }
        let known = self.members.entry(member).or_default();
        known.earned = transfers.iter().fold(known.earned, |earned, transfer| earned + earned_by(transfer, self.main));
        let segment = Segment::at(at, known.activities);
        // The tier that was held before.
        let account = self.loaded.accounts.get(&member);
        let tier = account.and_then(|account| account.standing.tier());
        let place = Place { month: self.months.of(at), segment, tier };
        self.figures.add(transfers, &place);
    }

    /// What one account is known for goes to another.
    fn merge_known(&mut self, from: MemberId, into: MemberId) {
        let Some(theirs) = self.members.remove(&from) else { return };
        let ours = self.members.entry(into).or_default();
        ours.earned += theirs.earned;
        ours.activities = match (ours.activities, theirs.activities) {
            (Some((first, latest)), Some((other, last))) => Some((first.min(other), latest.max(last))),
            (one, other) => one.or(other),
        };
    }

    fn refused(&mut self, member: MemberId, at: Timestamp, refusal: Refusal) {
        if at < self.period.from {
            return;
        }
        let code = refusal.code.name().to_owned();
        *self.report.refused.entry(code.clone()).or_default() += 1;
        if self.report.refusals.len() < TOLD {
            self.report.refusals.push(Refused { member, at, code, reason: refusal.message });
        }
    }
}

/// What a transfer adds to what a member earned of a currency.
fn earned_by(transfer: &Transfer, currency: CurrencyId) -> i64 {
    if transfer.currency != currency {
        return 0;
    }
    match (transfer.debit, transfer.credit) {
        (LedgerAccount::Issuance | LedgerAccount::Revocation, _) => transfer.amount,
        (_, LedgerAccount::Revocation) => -transfer.amount,
        _ => 0,
    }
}

/// The currency by which members are compared: the program's first that can be spent.
fn main_currency(program: &Program) -> CurrencyId {
    let spendable = program.currencies.iter().filter(|currency| currency.spendable);
    spendable.map(|currency| currency.id).min().unwrap_or(CurrencyId(1))
}

/// The local months of moments; most are in the same one as the moment before.
struct Months {
    calendar: Calendar,
    known: Option<(Timestamp, Timestamp, i32)>,
}

impl Months {
    /// Year × 12 + month − 1.
    fn of(&mut self, at: Timestamp) -> i32 {
        if let Some((from, until, month)) = self.known
            && (from..until).contains(&at)
        {
            return month;
        }
        let local = self.calendar.local(at);
        let month = i32::from(local.year()) * 12 + i32::from(local.month()) - 1;
        let first = crate::time::Day::of(local.date().first_of_month());
        self.known = Some((self.calendar.start_of(first), self.calendar.end_of_month_after(at, 0), month));
        month
    }
}
