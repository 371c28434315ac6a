//! Many members of a program: they do things one after the other, as the kernel decides them over what a store would load.
//!
//! `check` follows each member's journal to the same account.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use guerdon_core::earning::{Activity, Budgets};
use guerdon_core::id::{IdGenerator, MemberId, OrderId};
use guerdon_core::kernel::{Arrival, Batch, Command, Committed, Footprint, Loaded, Receipt, Refusal};
use guerdon_core::ledger::{Account, CurrencyId, Transaction};
use guerdon_core::members::Profile;
use guerdon_core::privacy::{Keyring, MasterKey, SEAL_RANDOM, SECRETS_RANDOM};
use guerdon_core::program::{Bundle, Program};
use guerdon_core::redemption::Order;
use guerdon_core::rewards::StockLevel;
use guerdon_core::time::{EARLIEST, Timestamp};
use serde_json::Value;

pub const POINTS: CurrencyId = CurrencyId(1);

pub struct Town {
    pub program: Program,
    pub accounts: BTreeMap<MemberId, Account>,
    pub stock: HashMap<String, StockLevel>,
    pub orders: HashMap<(MemberId, OrderId), Order>,
    pub budgets: Budgets,
    committed: HashMap<(MemberId, String), Committed>,
    journal: BTreeMap<MemberId, Vec<Transaction>>,
    ids: IdGenerator,
    keys: usize,
}

impl Town {
    pub fn of(program_file: &str) -> Self {
        let bundle = Bundle::parse(program_file).unwrap();
        let mut documents = bundle.documents().unwrap();
        documents.iter_mut().for_each(|document| document.version = 1);
        let stock = bundle.rewards.iter().filter_map(|one| Some((one.id.clone(), StockLevel::new(one.stock?))));
        Self {
            program: Program::from_documents(&documents).unwrap(),
            accounts: BTreeMap::new(),
            stock: stock.collect(),
            orders: HashMap::new(),
            budgets: Budgets::default(),
            committed: HashMap::new(),
            journal: BTreeMap::new(),
            ids: IdGenerator::new(1),
            keys: 0,
        }
    }

    fn prefetch(&self, footprint: &Footprint) -> Loaded {
        let mut loaded = Loaded::default();
        let stored = |account: &Account| Account::decode(account.version, &account.encode()).unwrap();
        let accounts =
            footprint.members.iter().filter_map(|member| Some((*member, stored(self.accounts.get(member)?))));
        loaded.accounts.extend(accounts);
        let committed = footprint.keys.iter().filter_map(|key| Some((key.clone(), self.committed.get(key)?.clone())));
        loaded.committed.extend(committed);
        let stock = footprint.stock.iter().filter_map(|reward| Some((reward.clone(), *self.stock.get(reward)?)));
        loaded.stock.extend(stock);
        let orders = footprint.orders.iter().filter_map(|key| Some((*key, self.orders.get(key)?.clone())));
        loaded.orders.extend(orders);
        let budgets = footprint.budgets.iter().filter_map(|key| Some((key.clone(), *self.budgets.get(key)?)));
        loaded.budgets.extend(budgets);
        loaded
    }

    /// Decides commands in one batch.
    pub fn decide(&mut self, commands: &[Command]) -> Vec<Result<Receipt, Refusal>> {
        let asked: Vec<&Command> = commands.iter().collect();
        let loaded = Footprint::load(&self.program, &asked, |footprint| Ok::<_, ()>(self.prefetch(footprint))).unwrap();
        let now = commands[0].at;
        let mut batch = Batch::new(&self.program, loaded, &mut self.ids, now);
        let replies: Vec<_> = commands.iter().map(|command| batch.decide(command)).collect();
        let changes = batch.finish();
        let ids: Vec<i64> = changes.decisions.iter().map(|decision| decision.transaction.id.0).collect();
        assert!(ids.is_sorted(), "the ids of a batch rise in its order");
        for decision in changes.decisions {
            let transaction = decision.transaction;
            let key = (transaction.member_id, transaction.idempotency_key.clone());
            let (request_digest, receipt) = (transaction.request_digest, transaction.receipt.clone());
            assert!(self.committed.insert(key, Committed { request_digest, receipt }).is_none());
            self.journal.entry(transaction.member_id).or_default().push(transaction);
        }
        for change in changes.accounts {
            let before = self.accounts.insert(change.member_id, change.account);
            assert_eq!(before.map(|account| account.version), change.read_version);
        }
        self.orders.extend(changes.orders.into_iter().map(|(order, _)| ((order.member_id, order.id), order)));
        for (reward, change) in changes.stock {
            let level = self.stock.get_mut(&reward).unwrap();
            *level = level.plus(change);
            assert!(level.on_hand >= 0 && level.reserved >= 0);
        }
        for (key, change) in changes.budgets {
            let held = self.budgets.entry(key).or_default();
            assert!(change.fits(*held));
            *held = held.plus(change.added);
        }
        let read = |reply: guerdon_core::kernel::Reply| serde_json::from_str(&reply.receipt).unwrap();
        replies.into_iter().map(|reply| reply.map(read)).collect()
    }

    pub fn at(&self, local: &str) -> Timestamp {
        self.program.calendar.parse_local(local).unwrap()
    }

    pub fn enrolment(&self, member: i64, local: &str, arrival: &Arrival) -> Command {
        let master = Arc::new(MasterKey::new([1; 32]));
        let (keyring, _) = Keyring::generate(master, [2; SECRETS_RANDOM]).unwrap();
        let (key, at) = (format!("enrol-{member}"), self.at(local));
        let enrolment =
            Command::enrol(&keyring, [3; SEAL_RANDOM], MemberId(member), &key, at, &Profile::default()).unwrap();
        enrolment.welcomed(&self.program, arrival).unwrap()
    }

    /// Enrols a member.
    pub fn joins(&mut self, member: i64, local: &str, arrival: &Arrival) -> Result<Receipt, Refusal> {
        let command = self.enrolment(member, local, arrival);
        self.decide(&[command]).remove(0)
    }

    /// Enrols a member whom another one has referred.
    pub fn joins_by(&mut self, member: i64, local: &str, referrer: i64) -> Result<Receipt, Refusal> {
        self.joins(member, local, &Arrival { referrer: Some(MemberId(referrer)), ..Arrival::default() })
    }

    pub fn activity(&self, member: i64, key: &str, local: &str, activity: Value) -> Result<Command, Refusal> {
        let activity: Activity = serde_json::from_value(activity).unwrap();
        Command::record(&self.program, MemberId(member), key, &activity, self.at(local), EARLIEST)
    }

    pub fn records(&mut self, member: i64, key: &str, local: &str, activity: Value) -> Result<Receipt, Refusal> {
        let command = self.activity(member, key, local, activity)?;
        self.decide(&[command]).remove(0)
    }

    /// Records an activity under a key of its own.
    pub fn does(&mut self, member: i64, local: &str, activity: Value) -> Receipt {
        self.keys += 1;
        let key = format!("key-{}", self.keys);
        self.records(member, &key, local, activity).unwrap()
    }

    pub fn merges(&mut self, from: i64, into: i64, local: &str) -> Receipt {
        let (key, at) = (format!("merge-{from}"), self.at(local));
        let merge = Command::merge(MemberId(from), MemberId(into), &key, at, "one person").unwrap();
        self.decide(&[merge]).remove(0).unwrap()
    }

    /// Points that a member has, active or not.
    pub fn total(&self, member: i64) -> i64 {
        let balance = self.accounts[&MemberId(member)].wallet(POINTS).map(|wallet| wallet.balance());
        balance.map_or(0, |balance| balance.available + balance.pending + balance.held)
    }

    pub fn latest(&self, member: i64) -> Receipt {
        serde_json::from_str(&self.journal[&MemberId(member)].last().unwrap().receipt).unwrap()
    }

    /// The journal alone leads to the accounts as they are.
    pub fn check(&self) {
        assert_eq!(self.journal.len(), self.accounts.len());
        for (member, journal) in &self.journal {
            let mut followed = Account::default();
            journal.iter().for_each(|transaction| followed.follow(transaction).unwrap());
            assert_eq!(&followed, &self.accounts[member], "{member}");
        }
    }
}

pub fn points(receipt: &Receipt) -> BTreeMap<String, i64> {
    receipt.explanation.iter().map(|outcome| (outcome.rule.to_string(), outcome.points)).collect()
}

/// What the referrer got.
pub fn shared(receipt: &Receipt) -> BTreeMap<String, i64> {
    let share = receipt.referrer_share.iter().flat_map(|share| &share.explanation);
    share.map(|outcome| (outcome.rule.to_string(), outcome.points)).collect()
}

/// The rules and their points, as written in a test.
pub fn want<const N: usize>(points: [(&str, i64); N]) -> BTreeMap<String, i64> {
    points.into_iter().map(|(rule, points)| (rule.to_owned(), points)).collect()
}
