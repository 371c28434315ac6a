//! A member of a program: does activities one after the other, as the kernel decides them.
//!
//! Each time the account is written and read as stores do. `check` follows the journal to the same account.

use std::collections::BTreeMap;
use std::sync::Arc;

use guerdon_core::earning::Activity;
use guerdon_core::id::{IdGenerator, MemberId};
use guerdon_core::kernel::{Arrival, Batch, Command, Committed, Loaded, Receipt, Refusal};
use guerdon_core::ledger::{Account, CurrencyId, Transaction};
use guerdon_core::members::Profile;
use guerdon_core::privacy::{Keyring, MasterKey, SEAL_RANDOM, SECRETS_RANDOM};
use guerdon_core::program::{Bundle, Program};
use guerdon_core::time::{EARLIEST, Timestamp};
use serde_json::Value;

pub const POINTS: CurrencyId = CurrencyId(1);
pub const MEMBER: MemberId = MemberId(1);

pub struct Club {
    pub program: Program,
    pub account: Account,
    committed: Vec<(String, Committed)>,
    journal: Vec<Transaction>,
    ids: IdGenerator,
}

impl Club {
    pub fn of(program_file: &str) -> Self {
        Self::joined(program_file, Timestamp::ZERO, &Arrival::default()).0
    }

    /// A member who joins in some way at some time, and the receipt of it.
    pub fn joined(program_file: &str, at: Timestamp, arrival: &Arrival) -> (Self, Receipt) {
        let mut documents = Bundle::parse(program_file).unwrap().documents().unwrap();
        documents.iter_mut().for_each(|document| document.version = 1);
        let program = Program::from_documents(&documents).unwrap();
        let (account, ids) = (Account::default(), IdGenerator::new(1));
        let mut club = Self { program, account, committed: Vec::new(), journal: Vec::new(), ids };
        let master = Arc::new(MasterKey::new([1; 32]));
        let (keyring, _) = Keyring::generate(master, [2; SECRETS_RANDOM]).unwrap();
        let enrolment = Command::enrol(&keyring, [3; SEAL_RANDOM], MEMBER, "enrol", at, &Profile::default()).unwrap();
        let receipt = club.decide(&enrolment.welcomed(&club.program, arrival).unwrap(), false).unwrap();
        (club, receipt)
    }

    pub fn decide(&mut self, command: &Command, enrolled: bool) -> Result<Receipt, Refusal> {
        let stored = Account::decode(self.account.version, &self.account.encode()).unwrap();
        assert_eq!(stored, self.account);
        let loaded = Loaded {
            accounts: enrolled.then_some((MEMBER, stored)).into_iter().collect(),
            committed: self.committed.iter().map(|(key, one)| ((MEMBER, key.clone()), one.clone())).collect(),
            ..Loaded::default()
        };
        let mut batch = Batch::new(&self.program, loaded, &mut self.ids, command.at);
        let reply = batch.decide(command)?;
        let changes = batch.finish();
        for decision in changes.decisions {
            let Transaction { idempotency_key, request_digest, receipt, .. } = decision.transaction.clone();
            self.committed.push((idempotency_key, Committed { request_digest, receipt }));
            self.journal.push(decision.transaction);
        }
        for change in changes.accounts {
            self.account = change.account;
        }
        let receipt: Receipt = serde_json::from_str(&reply.receipt).unwrap();
        assert_eq!(serde_json::to_string(&receipt).unwrap(), *reply.receipt, "written as serde writes it");
        Ok(receipt)
    }

    /// Records an activity at a local time, under a key.
    pub fn record(&mut self, key: &str, local: &str, activity: Value) -> Result<Receipt, Refusal> {
        let at = self.program.calendar.parse_local(local).unwrap();
        self.record_at(key, at, activity)
    }

    pub fn record_at(&mut self, key: &str, at: Timestamp, activity: Value) -> Result<Receipt, Refusal> {
        let activity: Activity = serde_json::from_value(activity).unwrap();
        let command = Command::record(&self.program, MEMBER, key, &activity, at, EARLIEST)?;
        self.decide(&command, true)
    }

    /// Records an activity under a key of its own, and answers the points of each rule.
    pub fn earns(&mut self, local: &str, activity: Value) -> BTreeMap<String, i64> {
        let key = format!("key-{}", self.journal.len());
        points(&self.record(&key, local, activity).unwrap())
    }

    pub fn adjust(&mut self, points: i64, local: &str) {
        let at = self.program.calendar.parse_local(local).unwrap();
        let key = format!("key-{}", self.journal.len());
        self.decide(&Command::adjust(MEMBER, &key, at, POINTS, points, "for the test").unwrap(), true).unwrap();
    }

    /// Lets happen what is due at a local time.
    pub fn tick(&mut self, local: &str) -> Result<Receipt, Refusal> {
        self.tick_at(self.program.calendar.parse_local(local).unwrap())
    }

    pub fn tick_at(&mut self, at: Timestamp) -> Result<Receipt, Refusal> {
        self.decide(&Command::tick(MEMBER, self.account.version, at), true)
    }

    /// The member's tier at the latest moment that the account knows of.
    pub fn tier(&self) -> String {
        let ladder = self.program.tiers.at(self.account.last_transaction_at);
        ladder.level_of(&self.account.standing).map_or_else(String::new, |level| level.tier.id.clone())
    }

    /// When something is due next, by the program's calendar.
    pub fn due(&self) -> String {
        self.program.calendar.show(self.account.next_due_at().unwrap_or(Timestamp::NEVER))
    }

    /// Points that the member has, active or not.
    pub fn total(&self) -> i64 {
        self.account.wallet(POINTS).map_or(0, |wallet| {
            let balance = wallet.balance();
            balance.available + balance.pending + balance.held
        })
    }

    /// The journal alone leads to the account as it is.
    pub fn check(&self) {
        let mut followed = Account::default();
        self.journal.iter().for_each(|transaction| followed.follow(transaction).unwrap());
        assert_eq!(followed, self.account);
    }
}

pub fn points(receipt: &Receipt) -> BTreeMap<String, i64> {
    receipt.explanation.iter().map(|outcome| (outcome.rule.to_string(), outcome.points)).collect()
}

/// The rules and their points, as written in a test.
pub fn want<const N: usize>(points: [(&str, i64); N]) -> BTreeMap<String, i64> {
    points.into_iter().map(|(rule, points)| (rule.to_owned(), points)).collect()
}
