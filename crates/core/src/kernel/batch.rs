//! A batch: what to load for it, the decisions one after the other, and the changes to commit together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::command::{Action, Command};
use super::decide::{Decision, NewProfile, decide};
use super::refusal::{Refusal, RefusalCode};
use crate::earning::{BudgetChange, BudgetKey, Budgets, PreparedActivity, shared_budgets};
use crate::id::{IdGenerator, MemberId, OrderId};
use crate::ledger::Account;
use crate::members::MemberRef;
use crate::planted::{self, Bug};
use crate::privacy::profile_version;
use crate::program::Program;
use crate::redemption::Order;
use crate::rewards::{StockChange, StockLevel, slot_key};
use crate::tiers::TIER_CHANGED;
use crate::time::Timestamp;

/// The rows that a batch needs, each named once.
#[derive(Debug, Default)]
pub struct Footprint {
    /// Accounts.
    pub members: Vec<MemberId>,
    /// Transactions that may have been committed under these keys.
    pub keys: Vec<(MemberId, String)>,
    /// Orders.
    pub orders: Vec<(MemberId, OrderId)>,
    /// Stock by its keys.
    pub stock: Vec<String>,
    /// References to members.
    pub references: Vec<MemberRef>,
    /// Profiles, of which the version is looked at.
    pub profiles: Vec<MemberId>,
    /// Budgets that members share, in order.
    pub budgets: BTreeSet<BudgetKey>,
}

/// A transaction that was committed under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// SHA-256 of the request it answered.
    pub request_digest: [u8; 32],
    /// The receipt, as answered.
    pub receipt: Arc<String>,
}

/// The rows as loaded, and as changed by the decisions of the batch so far.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Accounts that exist.
    pub accounts: FxHashMap<MemberId, Account>,
    /// Transactions that exist.
    pub committed: FxHashMap<(MemberId, String), Committed>,
    /// Orders that exist.
    pub orders: FxHashMap<(MemberId, OrderId), Order>,
    /// Stock that is limited, by its keys.
    pub stock: FxHashMap<String, StockLevel>,
    /// References that are taken.
    pub references: FxHashMap<MemberRef, MemberId>,
    /// What budgets that members share hold.
    pub budgets: Budgets,
    /// The versions of profiles that are there.
    pub profiles: FxHashMap<MemberId, [u8; 32]>,
}

/// The answer to an accepted command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The receipt, JSON; the same bytes however often the command is repeated.
    pub receipt: Arc<String>,
    /// Whether the command had been committed before.
    pub replayed: bool,
}

impl Reply {
    /// The receipt; copied only while somebody else holds it.
    pub fn into_text(self) -> String {
        Arc::unwrap_or_clone(self.receipt)
    }
}

/// An account to write.
#[derive(Debug, Clone)]
pub struct AccountChange {
    /// Whose.
    pub member_id: MemberId,
    /// The version that was read; `None`: the account is new.
    pub read_version: Option<i64>,
    /// When something was due before the change, so that its index is left alone when it stays.
    pub was_due_at: Option<Timestamp>,
    /// Afterwards.
    pub account: Account,
}

/// Everything that a batch changes, to be committed at once.
#[derive(Debug, Default)]
pub struct Changes {
    /// The decisions in order; their transactions, activities and members are inserted. None has a counterpart: that
    /// stands as a decision of its own.
    pub decisions: Vec<Decision>,
    /// Accounts, each once.
    pub accounts: Vec<AccountChange>,
    /// Orders, each once, and whether it is new.
    pub orders: Vec<(Order, bool)>,
    /// Changes of stock, each key once, in their order.
    pub stock: BTreeMap<String, StockChange>,
    /// Stock that is there from now on, unless it is there already, and with how many units it begins.
    pub opened: BTreeMap<String, i64>,
    /// Changes of budgets, each once, in order.
    pub budgets: BTreeMap<BudgetKey, BudgetChange>,
}

impl Changes {
    /// Whether members share more than stock and budgets with room for all, so that the changes hold together or not at all.
    pub fn are_inseparable(&self) -> bool {
        let frees_or_takes = |new: &NewProfile| !new.removed.is_empty() || !new.added.is_empty();
        self.decisions.iter().any(|decision| {
            decision.budget_reached
                || decision.has_counterpart
                || decision.takes_references_of.is_some()
                || decision.profile.as_ref().is_some_and(frees_or_takes)
        })
    }

    /// Takes out what belongs to some members. The rest stands as it is: members share nothing but stock and budgets,
    /// and of those there is only more without them.
    pub fn leave_out(&mut self, members: &FxHashSet<MemberId>) {
        self.decisions.retain(|decision| !members.contains(&decision.transaction.member_id));
        self.accounts.retain(|change| !members.contains(&change.member_id));
        // An order may be kept under the name of a member who was merged into the one who changes it.
        let kept: FxHashSet<OrderId> =
            self.decisions.iter().flat_map(|decision| &decision.orders).map(|order| order.id).collect();
        self.orders.retain(|(order, _)| kept.contains(&order.id));
        self.stock.clear();
        for (reward, change) in self.decisions.iter().flat_map(|decision| &decision.stock) {
            let sum = self.stock.entry(reward.clone()).or_default();
            *sum = sum.plus(*change);
        }
        self.budgets.clear();
        for (key, change) in self.decisions.iter().flat_map(|decision| &decision.budgets) {
            let sum = self.budgets.entry(key.clone()).or_default();
            *sum = sum.plus(*change);
        }
    }
}

impl Footprint {
    /// What the commands need.
    pub fn of<'a>(commands: impl IntoIterator<Item = &'a Command>) -> Self {
        let mut footprint = Self::default();
        let mut members = FxHashSet::default();
        let mut rewards = FxHashSet::default();
        for command in commands {
            if members.insert(command.member_id) {
                footprint.members.push(command.member_id);
            }
            match &command.action {
                Action::Enrol(enrolment) => {
                    footprint.references.extend(enrolment.references.iter().cloned());
                    if let Some(welcome) = &enrolment.welcome {
                        footprint.add_activity(welcome);
                    }
                    continue;
                }
                Action::ChangeProfile(change) => {
                    footprint.references.extend(change.added.iter().cloned());
                    footprint.profiles.push(command.member_id);
                }
                Action::Redeem(redemption) => {
                    if rewards.insert(redemption.reward_id.as_str()) {
                        footprint.stock.push(redemption.reward_id.clone());
                    }
                }
                Action::Move(change) => footprint.orders.push((change.owner, change.order)),
                Action::Track(tracking) => footprint.orders.push((tracking.owner, tracking.order)),
                Action::Rebook(change) => footprint.orders.push((change.owner, change.order)),
                Action::Merge { from, .. } => {
                    if members.insert(*from) {
                        footprint.members.push(*from);
                    }
                }
                Action::Record(activity) => {
                    footprint.keys.extend(activity.purchases().map(|key| (command.member_id, key.clone())));
                    footprint.add_activity(activity);
                }
                Action::Unfit(_)
                | Action::Adjust { .. }
                | Action::Close { .. }
                | Action::Extend { .. }
                | Action::Erase
                | Action::Tick => {}
            }
            footprint.keys.push((command.member_id, command.idempotency_key.clone()));
        }
        footprint
    }

    /// Loads everything that the commands need, in as many rounds as it takes.
    pub fn load<E>(
        program: &Program,
        commands: &[&Command],
        mut prefetch: impl FnMut(&Self) -> Result<Loaded, E>,
    ) -> Result<Loaded, E> {
        let mut footprint = Self::of(commands.iter().copied());
        footprint.expect_tier_changes(program, commands.iter().copied());
        footprint.expect_parts(program, commands.iter().copied());
        let mut loaded = prefetch(&footprint)?;
        if let Some(more) = Self::follow_up(commands.iter().copied(), &loaded) {
            loaded.merge(prefetch(&more)?);
        }
        let mut asked = FxHashSet::default();
        while let Some(more) = Self::referrers(commands, &loaded, &mut asked) {
            loaded.merge(prefetch(&more)?);
        }
        Ok(loaded)
    }

    fn add_activity(&mut self, activity: &PreparedActivity) {
        self.budgets.extend(activity.budgets());
        for reward in activity.rewards() {
            if !self.stock.iter().any(|known| known == reward) {
                self.stock.push(reward.to_owned());
            }
        }
    }

    /// What the commands need besides, where they change the tier of their members: the budgets that rules for it share.
    pub fn expect_tier_changes<'a>(&mut self, program: &Program, commands: impl IntoIterator<Item = &'a Command>) {
        if !program.tier_changes_share {
            return;
        }
        let may_change = |command: &&Command| {
            let action = &command.action;
            matches!(action, Action::Enrol(_) | Action::Record(_) | Action::Adjust { .. } | Action::Merge { .. })
                || *action == Action::Tick
        };
        for command in commands.into_iter().filter(may_change) {
            self.budgets.extend(shared_budgets(program, TIER_CHANGED, command.at));
        }
    }

    /// What the first load has led to: the transactions of enrolments done before, those of accounts that were merged
    /// into a member's or are about to be, and the stock behind orders.
    pub fn follow_up<'a>(commands: impl IntoIterator<Item = &'a Command> + Clone, loaded: &Loaded) -> Option<Self> {
        let mut footprint = Self::default();
        let mut growing: FxHashMap<MemberId, Vec<MemberId>> = FxHashMap::default();
        for command in commands.clone() {
            if let Action::Merge { from, .. } = &command.action {
                let ending = [*from].into_iter().chain(accounts_in(loaded, *from).iter().copied());
                let ending: Vec<MemberId> = ending.chain(growing.get(from).into_iter().flatten().copied()).collect();
                growing.entry(command.member_id).or_default().extend(ending);
            }
        }
        for command in commands {
            if let Action::Enrol(enrolment) = &command.action
                && let Some(member) = enrolment.retry_reference().and_then(|retry| loaded.references.get(retry))
            {
                footprint.keys.push((*member, command.idempotency_key.clone()));
            }
            let coming = growing.get(&command.member_id).into_iter().flatten();
            for older in older_accounts(command, loaded).iter().chain(coming) {
                footprint.keys.push((*older, command.idempotency_key.clone()));
                if let Action::Record(activity) = &command.action {
                    footprint.keys.extend(activity.purchases().map(|key| (*older, key.clone())));
                }
            }
            let moved = match &command.action {
                Action::Move(change) => Some(((change.owner, change.order), None)),
                Action::Rebook(change) => Some(((change.owner, change.order), Some(&change.slot))),
                _ => None,
            };
            if let Some((key, slot)) = moved
                && let Some(order) = loaded.orders.get(&key)
            {
                footprint.stock.extend(slot.map(|slot| slot_key(&order.reward_id, slot)));
                let missing = order.stock().filter(|(key, _)| !loaded.stock.contains_key(*key));
                footprint.stock.extend(missing.map(|(key, _)| key.to_owned()));
            }
        }
        footprint.stock.sort();
        footprint.stock.dedup();
        (!footprint.keys.is_empty() || !footprint.stock.is_empty()).then_some(footprint)
    }
}

/// The accounts under which a command may have been done before they were merged into its member's: a person's keys
/// hold for the person. The keys of the program's own clock hold for one account.
fn older_accounts<'a>(command: &Command, loaded: &'a Loaded) -> &'a [MemberId] {
    match command.action {
        Action::Tick | Action::Enrol(_) => &[],
        _ => accounts_in(loaded, command.member_id),
    }
}

/// The accounts that were merged into a member's.
pub(super) fn accounts_in(loaded: &Loaded, member: MemberId) -> &[MemberId] {
    loaded.accounts.get(&member).map_or(&[][..], |account| &account.merged_from)
}

impl Loaded {
    /// Adds what was loaded later.
    pub fn merge(&mut self, other: Self) {
        self.accounts.extend(other.accounts);
        self.committed.extend(other.committed);
        self.orders.extend(other.orders);
        self.stock.extend(other.stock);
        self.references.extend(other.references);
        self.profiles.extend(other.profiles);
        self.budgets.extend(other.budgets);
    }
}

/// Decides commands in order over loaded rows.
pub struct Batch<'a> {
    program: &'a Program,
    loaded: Loaded,
    ids: &'a mut IdGenerator,
    now: Timestamp,
    read: FxHashMap<MemberId, (Option<i64>, Option<Timestamp>)>,
    touched_orders: FxHashMap<(MemberId, OrderId), bool>,
    decisions: Vec<Decision>,
    stock: BTreeMap<String, StockChange>,
    opened: BTreeMap<String, i64>,
    budgets: BTreeMap<BudgetKey, BudgetChange>,
}

impl<'a> Batch<'a> {
    /// A batch over loaded rows. Its ids are above those of every transaction that it builds upon, whichever node gave
    /// them: sorted by their first ids, batches are in an order in which they can have happened.
    pub fn new(program: &'a Program, loaded: Loaded, ids: &'a mut IdGenerator, now: Timestamp) -> Self {
        let accounts = loaded.accounts.len();
        loaded.accounts.values().for_each(|account| ids.rise_above(account.last_transaction_id));
        Self {
            program,
            loaded,
            ids,
            now,
            read: FxHashMap::default(),
            touched_orders: FxHashMap::default(),
            decisions: Vec::with_capacity(accounts),
            stock: BTreeMap::new(),
            opened: BTreeMap::new(),
            budgets: BTreeMap::new(),
        }
    }

    /// Accepts or refuses the next command. A refusal, a replay and a dry run change nothing.
    pub fn decide(&mut self, command: &Command) -> Result<Reply, Refusal> {
        if !command.dry_run
            && !planted::is(Bug::KeysIgnored)
            && let Some(reply) = self.replay(command)?
        {
            return Ok(reply);
        }
        let decision = decide(self.program, command, &self.loaded, self.ids, self.now)?;
        let reply = Reply { receipt: Arc::clone(&decision.transaction.receipt), replayed: false };
        if !command.dry_run {
            self.accept(decision);
        }
        Ok(reply)
    }

    fn replay(&self, command: &Command) -> Result<Option<Reply>, Refusal> {
        let (member, former_digest) = match &command.action {
            Action::Enrol(enrolment) => {
                let retry = enrolment.retry_reference();
                (retry.and_then(|retry| self.loaded.references.get(retry)).copied(), Some(enrolment.former_digest))
            }
            _ => (Some(command.member_id), None),
        };
        let Some(member) = member else { return Ok(None) };
        let of = |member: &MemberId| self.loaded.committed.get(&(*member, command.idempotency_key.clone()));
        let older = older_accounts(command, &self.loaded);
        let Some(committed) = of(&member).or_else(|| older.iter().find_map(of)) else { return Ok(None) };
        let digest = committed.request_digest;
        if digest != command.request_digest && Some(digest) != former_digest {
            let problem = "this idempotency key was used for another request; use a new key for a new request";
            return Err(Refusal::new(RefusalCode::IdempotencyMismatch, problem));
        }
        Ok(Some(Reply { receipt: Arc::clone(&committed.receipt), replayed: true }))
    }

    fn accept(&mut self, mut decision: Decision) {
        if let Some(counterpart) = decision.counterpart.take() {
            decision.has_counterpart = true;
            self.accept(*counterpart);
        }
        let transaction = &decision.transaction;
        let member = transaction.member_id;
        self.loaded.committed.insert(
            (member, transaction.idempotency_key.clone()),
            Committed { request_digest: transaction.request_digest, receipt: Arc::clone(&transaction.receipt) },
        );
        let before = self.loaded.accounts.insert(member, std::mem::take(&mut decision.account));
        self.read.entry(member).or_insert_with(|| {
            (before.as_ref().map(|account| account.version), before.and_then(|account| account.next_due_at()))
        });
        if let Some(new) = &decision.member {
            self.loaded.references.extend(new.references.iter().cloned().map(|reference| (reference, member)));
            self.loaded.profiles.insert(member, new.sealed.version());
        }
        if let Some(new) = &decision.profile {
            let removed = |reference: &MemberRef, led: MemberId| led == member && new.removed.contains(reference);
            self.loaded.references.retain(|reference, led| !removed(reference, *led));
            self.loaded.references.extend(new.added.iter().cloned().map(|reference| (reference, member)));
            self.loaded.profiles.insert(member, profile_version(&new.ciphertext));
        }
        if !decision.erased.is_empty() {
            self.loaded.references.retain(|_, led| !decision.erased.contains(led));
            self.loaded.profiles.retain(|member, _| !decision.erased.contains(member));
        }
        if let Some(from) = decision.takes_references_of {
            let led =
                self.loaded.references.iter_mut().filter(|(reference, led)| reference.kind.moves() && **led == from);
            led.for_each(|(_, led)| *led = member);
        }
        for order in &decision.orders {
            let key = (order.member_id, order.id);
            let before = self.loaded.orders.insert(key, order.clone());
            self.touched_orders.entry(key).or_insert(before.is_none());
        }
        for (key, capacity) in &decision.opened {
            self.loaded.stock.entry(key.clone()).or_insert_with(|| StockLevel::new(*capacity));
            self.opened.entry(key.clone()).or_insert(*capacity);
        }
        for (reward, change) in &decision.stock {
            if let Some(level) = self.loaded.stock.get_mut(reward) {
                *level = level.plus(*change);
            }
            let sum = self.stock.entry(reward.clone()).or_default();
            *sum = sum.plus(*change);
        }
        for (key, change) in &decision.budgets {
            let held = self.loaded.budgets.entry(key.clone()).or_default();
            *held = held.plus(change.added);
            let sum = self.budgets.entry(key.clone()).or_default();
            *sum = sum.plus(*change);
        }
        self.decisions.push(decision);
    }

    /// The changes to commit.
    pub fn finish(self) -> Changes {
        let mut accounts = Vec::with_capacity(self.read.len());
        let mut loaded = self.loaded;
        for (member_id, (read_version, was_due_at)) in self.read {
            if let Some(account) = loaded.accounts.remove(&member_id) {
                accounts.push(AccountChange { member_id, read_version, was_due_at, account });
            }
        }
        accounts.sort_by_key(|change| change.member_id);
        let mut orders = Vec::with_capacity(self.touched_orders.len());
        for (key, is_new) in self.touched_orders {
            if let Some(order) = loaded.orders.remove(&key) {
                orders.push((order, is_new));
            }
        }
        orders.sort_by_key(|(order, _)| order.id);
        let (stock, opened, budgets) = (self.stock, self.opened, self.budgets);
        Changes { decisions: self.decisions, accounts, orders, stock, opened, budgets }
    }
}
