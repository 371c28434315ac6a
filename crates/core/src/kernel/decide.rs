//! Decides one command over loaded rows: pure, and the only place that knows what a command may do.

use std::borrow::Cow;
use std::sync::Arc;

use super::batch::Loaded;
use super::command::{Action, Command, Enrolment};
use super::due;
use super::event::Event;
use super::life;
use super::receipt::{ActivityReceipt, Receipt};
use super::referral;
use super::refusal::{Refusal, RefusalCode};
use super::restock::STOCKROOM;
use crate::earning::{
    Act, BudgetChange, BudgetKey, Budgets, Earned, GrantedTier, Outcome, Parties, PreparedActivity, Settled, Shared,
    Spent, Tally, Unsettled, settle,
};
use crate::id::{ActivityId, IdGenerator, MemberId, OrderId, TransactionId};
use crate::ledger::{
    Account, AccountStatus, CurrencyId, FundingId, LedgerAccount, LotKey, Portion, Transaction, TransactionKind,
    Transfer, Wallet, WalletAgenda,
};
use crate::limits;
use crate::members::MemberRef;
use crate::privacy::SealedProfile;
use crate::program::Program;
use crate::redemption::Order;
use crate::rewards::StockChange;
use crate::time::{MAX_CLOCK_SKEW_MS, Timestamp};

/// A member to be stored.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// The profile.
    pub sealed: SealedProfile,
    /// The references that lead to the member.
    pub references: Vec<MemberRef>,
}

/// A profile to be stored in the place of another. Only the ciphertext is written: the member's key stays as it is, also
/// where a rotation of the master key wraps it anew at the same moment.
#[derive(Debug, Clone)]
pub struct NewProfile {
    /// The profile under the member's key.
    pub ciphertext: Vec<u8>,
    /// References that lead to the member no longer.
    pub removed: Vec<MemberRef>,
    /// References that lead to the member from now on, and led to nobody before.
    pub added: Vec<MemberRef>,
}

/// Everything that an accepted command changes.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The account afterwards. A batch has taken it out and keeps it, once for all decisions on it.
    pub account: Account,
    /// The journal entry.
    pub transaction: Transaction,
    /// A member to be stored.
    pub member: Option<NewMember>,
    /// A profile to be stored in the place of the member's.
    pub profile: Option<NewProfile>,
    /// An activity to be stored: its id, kind and body.
    pub activity: Option<(ActivityId, String, String)>,
    /// Orders made or changed.
    pub orders: Vec<Order>,
    /// Changes of stock.
    pub stock: Vec<(String, StockChange)>,
    /// Stock that begins with it, and with how many units.
    pub opened: Vec<(String, i64)>,
    /// What it takes out of budgets that members share.
    pub budgets: Vec<(BudgetKey, BudgetChange)>,
    /// Whether such a budget had no room for all of it.
    pub budget_reached: bool,
    /// What is to be told because of it, as its receipt says.
    pub events: Vec<Event>,
    /// A member whose references lead to this one from now on.
    pub takes_references_of: Option<MemberId>,
    /// Members whose key, profile and references are destroyed: this one, and those who were merged into it.
    pub erased: Vec<MemberId>,
    /// What the same command changes on a second account. A batch has taken it out and put it before this decision.
    pub counterpart: Option<Box<Decision>>,
    /// Whether there was one: then both stand or fall together.
    pub has_counterpart: bool,
}

/// A decision in the making.
pub(super) struct Draft<'a> {
    pub(super) program: &'a Program,
    pub(super) command: &'a Command,
    pub(super) kind: TransactionKind,
    pub(super) account: Account,
    status_before: AccountStatus,
    agenda_before: Vec<WalletAgenda>,
    transfers: Vec<Transfer>,
    pub(super) receipt: Receipt,
    member: Option<NewMember>,
    pub(super) profile: Option<NewProfile>,
    activity: Option<(ActivityId, String, String)>,
    pub(super) orders: Vec<Order>,
    pub(super) stock: Vec<(String, StockChange)>,
    pub(super) opened: Vec<(String, i64)>,
    budgets: Vec<(BudgetKey, BudgetChange)>,
    /// What the command has taken out of budgets on another account.
    budgets_besides: Vec<(BudgetKey, BudgetChange)>,
    budget_reached: bool,
    /// The tiers to which rules lift, once all that they give has been given.
    pub(super) granted: Vec<GrantedTier>,
    pub(super) erased: Vec<MemberId>,
}

/// Decides a command that is no replay. `now` dates the ids.
pub(super) fn decide(
    program: &Program,
    command: &Command,
    loaded: &Loaded,
    ids: &mut IdGenerator,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    if let Action::Unfit(refusal) = &command.action {
        return Err(Refusal::clone(refusal));
    }
    let account = match (&command.action, loaded.accounts.get(&command.member_id)) {
        (Action::Restock(_), account) => account.cloned().unwrap_or_default(),
        _ if command.names(STOCKROOM) => return Err(unknown_member(STOCKROOM)),
        (Action::Enrol(_), None) => Account::default(),
        (Action::Enrol(_), Some(_)) => {
            return Err(Refusal::new(RefusalCode::AlreadyEnrolled, format!("{} is enrolled", command.member_id)));
        }
        (_, Some(account)) => account.clone(),
        (_, None) => return Err(unknown_member(command.member_id)),
    };
    if needs_active(&command.action) {
        check_active(command.member_id, account.status)?;
    }
    if let Some(activity) = activity_of(&command.action) {
        return referral::decide_activity(command, (account, activity), loaded, &mut || ids.next(now));
    }
    let id = TransactionId(ids.next(now));
    if let Action::Merge { from, reason } = &command.action {
        return life::merge(program, command, (*from, reason), loaded, [id, TransactionId(ids.next(now))]);
    }
    let mut draft = Draft::new(program, command, account, id);
    if !matches!(command.action, Action::Tick | Action::Restock(_)) {
        draft.catch_up(loaded)?;
    }
    match &command.action {
        Action::Enrol(enrolment) => draft.enrol(enrolment, loaded)?,
        Action::ChangeProfile(change) => draft.change_profile(change, loaded)?,
        Action::Redeem(redemption) => draft.redeem(redemption, loaded, OrderId(ids.next(now)))?,
        Action::Move(change) => draft.move_order(change, loaded)?,
        Action::Amend(amendment) => draft.amend(amendment, loaded)?,
        Action::Rebook(change) => draft.rebook(change, loaded)?,
        Action::Track(tracking) => draft.track(tracking, loaded)?,
        Action::HandOut(wanted) => draft.hand_out(wanted, loaded)?,
        Action::Checkout(wanted) => draft.checkout(wanted, loaded, OrderId(ids.next(now)))?,
        Action::Restock(wanted) => draft.restock(wanted, loaded)?,
        Action::Adjust { currency, points, reason } => draft.adjust(*currency, *points, reason, loaded)?,
        Action::Close { reason } => draft.close(reason)?,
        Action::Extend { currency, payment } => draft.extend(*currency, *payment)?,
        Action::Erase => draft.erase()?,
        Action::Tick => draft.tick(loaded)?,
        Action::Merge { .. } | Action::Record(_) | Action::Unfit(_) => {}
    }
    draft.finish()
}

/// The activity that a command records, by itself or with an enrolment.
pub(super) fn activity_of(action: &Action) -> Option<&PreparedActivity> {
    match action {
        Action::Record(activity) => Some(activity),
        Action::Enrol(enrolment) => enrolment.welcome.as_deref(),
        _ => None,
    }
}

pub(super) fn unknown_member(member: MemberId) -> Refusal {
    Refusal::new(RefusalCode::UnknownMember, format!("there is no member {member}; enrol the member first"))
}

/// The refusal of a reference that leads to another member.
pub(super) fn taken(reference: &MemberRef, other: MemberId) -> Refusal {
    let problem = format!("this {} belongs to member {other} already", reference.kind.name());
    Refusal::new(RefusalCode::AlreadyEnrolled, problem)
}

/// Whether an action begins something. What was begun before is settled on every account.
fn needs_active(action: &Action) -> bool {
    matches!(
        action,
        Action::ChangeProfile(_)
            | Action::Record(_)
            | Action::Redeem(_)
            | Action::Adjust { .. }
            | Action::Close { .. }
            | Action::Extend { .. }
    ) || matches!(action, Action::Checkout(wanted) if wanted.begins())
}

/// Refuses what only an active account does.
pub fn check_active(member: MemberId, status: AccountStatus) -> Result<(), Refusal> {
    let (code, problem) = match status {
        AccountStatus::Active => return Ok(()),
        AccountStatus::Closed { at } => (RefusalCode::MemberClosed, format!("the account of {member} was closed {at}")),
        AccountStatus::Merged { into } => {
            (RefusalCode::MemberMerged, format!("{member} was merged into {into}; name that member instead"))
        }
        AccountStatus::Erased { at } => (RefusalCode::MemberErased, format!("{member} was erased {at}")),
    };
    Err(Refusal::new(code, problem))
}

impl<'a> Draft<'a> {
    pub(super) fn new(program: &'a Program, command: &'a Command, mut account: Account, id: TransactionId) -> Self {
        if let Some(growth) = program.tiers.growth {
            account.note_growth(growth);
        }
        let kind = match command.action {
            Action::Enrol(_) => TransactionKind::Enrol,
            Action::ChangeProfile(_) => TransactionKind::Profile,
            Action::Record(_) | Action::Unfit(_) => TransactionKind::Activity,
            Action::Redeem(_) => TransactionKind::Redeem,
            Action::Checkout(ref wanted) if wanted.begins() => TransactionKind::Redeem,
            Action::Checkout(_) | Action::Amend(_) => TransactionKind::Order,
            Action::Move(_) | Action::HandOut(_) | Action::Track(_) | Action::Rebook(_) => TransactionKind::Order,
            Action::Restock(_) => TransactionKind::Restock,
            Action::Adjust { .. } => TransactionKind::Adjust,
            Action::Merge { .. } => TransactionKind::Merge,
            Action::Close { .. } => TransactionKind::Close,
            Action::Erase => TransactionKind::Erase,
            Action::Tick => TransactionKind::Tick,
            Action::Extend { .. } => TransactionKind::Extend,
        };
        let receipt = Receipt {
            transaction_id: id,
            member_id: command.member_id,
            kind,
            at: command.at,
            actor: command.actor.clone(),
            points: -account.available(),
            growth: -account.growth(),
            explanation: Vec::new(),
            counted: Vec::new(),
            budgets: Vec::new(),
            returned: None,
            forgiven: 0,
            owed: 0,
            debt_cancelled: 0,
            repaid: 0,
            matured: 0,
            expired: 0,
            decayed: 0,
            forfeited: 0,
            reason: None,
            fields: Vec::new(),
            activity: None,
            order: None,
            restock: None,
            status: None,
            referrer: None,
            referrer_share: None,
            cause: None,
            tier: None,
            merge: None,
            extended: Vec::new(),
            fee: None,
            made_final: None,
            agenda: Vec::new(),
            events: Vec::new(),
            balances: Vec::new(),
        };
        Self {
            program,
            command,
            kind,
            status_before: account.status,
            agenda_before: account.agenda.wallets.clone(),
            account,
            transfers: Vec::new(),
            receipt,
            member: None,
            profile: None,
            activity: None,
            orders: Vec::new(),
            stock: Vec::new(),
            opened: Vec::new(),
            budgets: Vec::new(),
            budgets_besides: Vec::new(),
            budget_reached: false,
            granted: Vec::new(),
            erased: Vec::new(),
        }
    }

    /// Moves points: on the account and in the journal at once.
    pub(super) fn transfer(&mut self, transfer: Transfer) -> Result<(), Refusal> {
        let wallet = self.account.wallet_mut(transfer.currency);
        wallet.apply(&transfer).map_err(|problem| Refusal::new(RefusalCode::InsufficientPoints, problem))?;
        Self::check_limit(wallet)?;
        self.transfers.push(transfer);
        Ok(())
    }

    pub(super) fn check_limit(wallet: &Wallet) -> Result<(), Refusal> {
        if wallet.lifetime.earned.max(wallet.lifetime.adjusted) > limits::WALLET_POINTS {
            let problem = format!("the wallet would have received more than {} points", limits::WALLET_POINTS);
            return Err(Refusal::new(RefusalCode::WalletLimit, problem));
        }
        Ok(())
    }

    /// Refuses what may not come before the member's latest transaction.
    pub(super) fn check_order(&self) -> Result<(), Refusal> {
        let (at, latest) = (self.command.at, self.account.last_transaction_at);
        if at.plus_millis(MAX_CLOCK_SKEW_MS) >= latest {
            return Ok(());
        }
        let (kind, member) = (self.kind.name(), self.command.member_id);
        let problem =
            format!("`{kind}` at {at} would come before the latest transaction of {member}, which was at {latest}");
        Err(Refusal::new(RefusalCode::OutOfOrder, problem))
    }

    pub(super) fn transfer_portions(
        &mut self,
        currency: CurrencyId,
        portions: &[Portion],
        (debit, credit): (LedgerAccount, LedgerAccount),
        rule: Option<&(Arc<str>, i64)>,
    ) -> Result<(), Refusal> {
        portions.iter().try_for_each(|portion| {
            let rule = rule.cloned();
            self.transfer(Transfer { debit, credit, currency, amount: portion.amount, lot: portion.lot, rule })
        })
    }

    pub(super) fn enrol(&mut self, enrolment: &Enrolment, loaded: &Loaded) -> Result<(), Refusal> {
        let Enrolment { sealed, references, .. } = enrolment;
        if let Some((reference, other)) = references.iter().find_map(|one| loaded.references.get_key_value(one)) {
            return Err(taken(reference, *other));
        }
        for currency in self.program.currencies_at(self.command.at) {
            self.account.wallet_mut(currency.id);
        }
        self.member = Some(NewMember { sealed: sealed.clone(), references: references.clone() });
        Ok(())
    }

    /// Records an activity: settles it on the member's account, and on that of whoever referred the member.
    pub(super) fn record(
        &mut self,
        activity: &PreparedActivity,
        loaded: &Loaded,
        next_id: &mut dyn FnMut() -> i64,
        mut theirs: Option<&mut Self>,
    ) -> Result<(), Refusal> {
        self.review_tier(self.command.at, loaded)?;
        if let Some(theirs) = theirs.as_deref_mut() {
            theirs.review_tier(theirs.command.at, loaded)?;
        }
        let first = self.receipt.explanation.len();
        let their_first = theirs.as_deref().map_or(0, |draft| draft.receipt.explanation.len());
        let back = match &activity.returns {
            Some(back) => Some(self.take_back_purchase(back, loaded, theirs.as_deref_mut())?),
            None => None,
        };
        if let Some(purchase) = &activity.makes_final {
            self.make_final(purchase, loaded)?;
        }
        let id = ActivityId(next_id());
        let referrer = theirs.as_deref().map(|draft| &draft.account);
        let parties = Parties { member: &self.account, referrer };
        let budgets = self.budgets_left(loaded);
        let shared = Shared { budgets: &budgets, stock: &loaded.stock };
        let settled =
            settle(self.program, activity, parties, shared, self.command.at).map_err(|problem| match problem {
                Unsettled::CapReached(problem) => Refusal::new(RefusalCode::CapReached, problem),
                Unsettled::TooMuch(problem) => Refusal::new(RefusalCode::InvalidAmount, problem),
            })?;
        self.apply(settled, loaded, next_id, theirs.as_deref_mut())?;
        let (kind, amount, by_day) = (activity.kind.clone(), activity.amount, activity.by_day);
        self.receipt.activity = Some(ActivityReceipt { id, kind, amount, by_day });
        self.activity = Some((id, activity.kind.clone(), activity.body.clone()));
        self.account.last_activity_at = self.account.last_activity_at.max(self.command.at);
        self.account.history.record(&activity.kind, activity.today, activity.amount);
        if by_day {
            self.account.recent.record(&activity.kind, activity.today, activity.amount);
        }
        self.extend_by_spend(activity)?;
        if let Some(theirs) = theirs {
            theirs.budgets_besides.clone_from(&self.budgets);
            theirs.count_share(activity.today, their_first, loaded)?;
            theirs.grant_tiers(loaded)?;
            self.budgets_besides.clone_from(&theirs.budgets);
            self.budget_reached |= theirs.budget_reached;
        }
        self.count_activity(activity, back.as_ref(), first, loaded)?;
        self.grant_tiers(loaded)
    }

    /// Gives what some rules give besides what the command is about. False: a cap refuses, and nothing is given.
    pub(super) fn earn_besides(&mut self, activity: &PreparedActivity, loaded: &Loaded) -> Result<bool, Refusal> {
        let budgets = self.budgets_left(loaded);
        let parties = Parties { member: &self.account, referrer: None };
        let shared = Shared { budgets: &budgets, stock: &loaded.stock };
        let Ok(settled) = settle(self.program, activity, parties, shared, self.command.at) else {
            return Ok(false);
        };
        // Publication lets no rule issue a reward here, so that no order needs an id.
        let id = self.receipt.transaction_id.0;
        self.apply(settled, loaded, &mut || id, None)?;
        Ok(true)
    }

    /// What budgets hold, with what the command has taken out of them so far, on either account.
    fn budgets_left<'b>(&self, loaded: &'b Loaded) -> Cow<'b, Budgets> {
        if self.budgets.is_empty() && self.budgets_besides.is_empty() {
            return Cow::Borrowed(&loaded.budgets);
        }
        let mut budgets = loaded.budgets.clone();
        for (key, change) in self.budgets.iter().chain(&self.budgets_besides) {
            let held = budgets.entry(key.clone()).or_default();
            *held = held.plus(change.added);
        }
        Cow::Owned(budgets)
    }

    /// Carries out what rules give or take.
    fn apply(
        &mut self,
        settled: Settled,
        loaded: &Loaded,
        next_id: &mut dyn FnMut() -> i64,
        theirs: Option<&mut Self>,
    ) -> Result<(), Refusal> {
        self.earn(settled.member, loaded, next_id)?;
        if let Some(theirs) = theirs {
            theirs.earn(settled.referrer, loaded, next_id)?;
        }
        let spent = |(key, change): &(BudgetKey, BudgetChange)| {
            let Tally { count, sum } = change.added;
            Spent { key: key.clone(), count, points: sum }
        };
        self.receipt.budgets.extend(settled.budgets.iter().map(spent));
        self.budgets.extend(settled.budgets);
        self.budget_reached |= settled.budget_reached;
        Ok(())
    }

    /// Does what the rules give on this account.
    fn earn(&mut self, mut earned: Earned, loaded: &Loaded, next_id: &mut dyn FnMut() -> i64) -> Result<(), Refusal> {
        self.transfers.reserve(earned.outcomes.len());
        for outcome in &mut earned.outcomes {
            let rule = (Arc::clone(&outcome.rule), outcome.version);
            if outcome.points > 0 {
                outcome.repaid = self.credit(outcome, rule)?;
            } else if outcome.points < 0 {
                let due = -outcome.points;
                let taken = self.take_back(outcome.currency, due, &rule)?;
                self.fall_short(outcome.currency, due - taken);
                outcome.points = -taken;
            }
            let is_done = outcome.is_done();
            if let Some(Act::Reward { reward, quantity, order, .. }) = outcome.act.as_mut().filter(|_| is_done) {
                let id = OrderId(next_id());
                self.issue(reward, *quantity, loaded, id);
                *order = Some(id);
            }
        }
        let first = self.receipt.explanation.len();
        self.receipt.explanation.append(&mut earned.outcomes);
        earned.counted.iter().for_each(|counted| self.account.history.count(counted));
        self.receipt.counted.extend(earned.counted);
        self.receipt.events.extend(earned.events);
        let tiers = earned.tiers.into_iter();
        self.granted.extend(tiers.map(|grant| GrantedTier { outcome: first + grant.outcome, ..grant }));
        Ok(())
    }

    /// Credits what a rule gave, and takes out of it what the member owes. Returns how much that is.
    pub(super) fn credit(&mut self, outcome: &Outcome, rule: (Arc<str>, i64)) -> Result<i64, Refusal> {
        let pending = outcome.active_at.filter(|active_at| *active_at > self.command.at);
        let lot = LotKey {
            expires_at: outcome.expires_at.unwrap_or(Timestamp::NEVER),
            funding: outcome.funding,
            active_at: pending.unwrap_or(Timestamp::ZERO),
        };
        let credit = if pending.is_some() { LedgerAccount::MemberPending } else { LedgerAccount::MemberAvailable };
        let credited = Transfer {
            debit: LedgerAccount::Issuance,
            credit,
            currency: outcome.currency,
            amount: outcome.points,
            lot,
            rule: Some(rule),
        };
        if self.account.agenda.owed(outcome.currency) == 0 {
            return self.transfer(credited).map(|()| 0);
        }
        self.transfer(credited.clone())?;
        self.repay(credited)
    }

    pub(super) fn take_back(
        &mut self,
        currency: CurrencyId,
        points: i64,
        rule: &(Arc<str>, i64),
    ) -> Result<i64, Refusal> {
        let portions = self.account.wallet_mut(currency).pick(points, self.command.at);
        let ways = (LedgerAccount::MemberAvailable, LedgerAccount::Revocation);
        self.transfer_portions(currency, &portions, ways, Some(rule))?;
        Ok(portions.iter().map(|portion| portion.amount).sum())
    }

    pub(super) fn spendable(&self, currency: CurrencyId) -> i64 {
        self.account.wallet(currency).map_or(0, |wallet| wallet.spendable(self.command.at))
    }

    fn adjust(&mut self, currency: CurrencyId, points: i64, reason: &str, loaded: &Loaded) -> Result<(), Refusal> {
        if self.program.currency_at(currency, self.command.at).is_none() {
            let problem = format!("the program has no currency {}", currency.0);
            return Err(Refusal::new(RefusalCode::UnknownCurrency, problem));
        }
        if points > 0 {
            let expires_at = self.program.expires_at(currency, self.command.at);
            let lot = LotKey { expires_at, funding: FundingId::default(), active_at: Timestamp::ZERO };
            let (debit, credit) = (LedgerAccount::Adjustment, LedgerAccount::MemberAvailable);
            self.transfer(Transfer { debit, credit, currency, amount: points, lot, rule: None })?;
        } else {
            let spendable = self.spendable(currency);
            if spendable < -points {
                let problem = format!("{} points are to be taken, {spendable} are available", -points);
                return Err(Refusal::new(RefusalCode::InsufficientPoints, problem));
            }
            let portions = self.account.wallet_mut(currency).pick(-points, self.command.at);
            let ways = (LedgerAccount::MemberAvailable, LedgerAccount::Adjustment);
            self.transfer_portions(currency, &portions, ways, None)?;
        }
        self.receipt.reason = Some(reason.to_owned());
        self.count_adjustment(currency, points, loaded)
    }

    /// Whether anything came of it.
    pub(super) fn has_changed(&self) -> bool {
        !self.receipt.explanation.is_empty() || !self.receipt.counted.is_empty()
    }

    pub(super) fn finish(mut self) -> Result<Decision, Refusal> {
        let command = self.command;
        self.note_growth();
        self.account.version += 1;
        self.account.last_transaction_at = self.account.last_transaction_at.max(command.at);
        self.account.last_transaction_id = self.receipt.transaction_id.0;
        let clock = self.account.last_transaction_at;
        due::plan(self.program, &mut self.account, clock);
        self.receipt.agenda = self.account.agenda.changed_since(&self.agenda_before);
        self.receipt.points += self.account.available();
        self.receipt.growth += self.account.growth();
        self.receipt.status = (self.account.status != self.status_before).then_some(self.account.status);
        self.receipt.balances = self.account.balances();
        let receipt = match command.unwritten {
            true => String::new(),
            false => self.receipt.written()?,
        };
        let transaction = Transaction {
            id: self.receipt.transaction_id,
            member_id: command.member_id,
            kind: self.kind,
            at: command.at,
            day: self.program.calendar.day_of(command.at),
            idempotency_key: command.idempotency_key.clone(),
            request_digest: command.request_digest,
            channel: command.channel.clone(),
            reference: command.reference.clone(),
            receipt: Arc::new(receipt),
            transfers: self.transfers,
        };
        Ok(Decision {
            account: self.account,
            transaction,
            member: self.member,
            profile: self.profile,
            activity: self.activity,
            orders: self.orders,
            stock: self.stock,
            opened: self.opened,
            budgets: self.budgets,
            budget_reached: self.budget_reached,
            events: self.receipt.events,
            takes_references_of: None,
            erased: self.erased,
            counterpart: None,
            has_counterpart: false,
        })
    }
}
