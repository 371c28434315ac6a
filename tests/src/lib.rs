//! Fixtures that the whole-system tests share: a program, commands, and a house of engine and store.
//!
//! Everything here is test code: a fixture that cannot be built must stop the test at once, hence the `expect`s.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::Arc;

use guerdon_core::earning::{Activity, ActivityLine};
use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Command, Footprint, Receipt, RefusalCode};
use guerdon_core::ledger::{Account, CurrencyId, Lot};
use guerdon_core::members::Profile;
use guerdon_core::program::{Bundle, Program};
use guerdon_core::rewards::StockLevel;
use guerdon_core::time::{EARLIEST, Timestamp};
use guerdon_store::{
    CommandError, DataDir, Engine, Outcome, RamStore, SqliteStore, Store, load_program, publish, verify,
};

pub mod postgres;
pub mod simulation;

/// The program of all whole-system tests.
pub const PROGRAM: &str = r#"
[program]
id = "gift-club"
name = "Gift Club"
money = "GBP"
time_zone = "Europe/London"

[[currencies]]
id = 1
code = "points"
name = "Points"
per_money_unit = 100
expiry = { after = 24, granule = "month" }

[[rules]]
id = "base"
name = "One point for each pound"
trigger = "purchase"
effect = { type = "points_per_money", rate = "1" }

[[rules]]
id = "big-basket"
name = "A tenth more above £100"
trigger = "purchase"
condition = "activity.net > 10000"
effect = { type = "percent_of_rule", rule = "base", percent = "10" }

[[rules]]
id = "christmas"
name = "Half a point more for Christmas goods"
trigger = "purchase"
effect = { type = "points_per_money", rate = "0.5", lines = "line.description.contains('CHRISTMAS')" }

[[rules]]
id = "return-back"
name = "Points go back with the goods"
trigger = "return"
effect = { type = "take_back_per_money", rate = "1" }

[[rules]]
id = "check-in"
name = "Five points for a visit"
trigger = "check_in"
pending_days = 2
effect = { type = "fixed_points", points = 5 }

[[rewards]]
id = "voucher-5"
name = "£5 voucher"
price = 500
stock = 100

[[rewards]]
id = "tea"
name = "A cup of tea"
price = 40
"#;

/// The program's only currency.
pub const POINTS: CurrencyId = CurrencyId(1);
/// The reward with a stock of 100, at 500 points.
pub const VOUCHER: &str = "voucher-5";
/// The reward without a limit, at 40 points.
pub const TEA: &str = "tea";

/// An instant written in RFC 3339.
pub fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("an instant")
}

/// The moment at which most tests play.
pub fn today() -> Timestamp {
    at("2026-03-10T09:00:00Z")
}

/// The parsed program file.
pub fn bundle() -> Bundle {
    Bundle::parse(PROGRAM).expect("the program of the tests")
}

/// A purchase or return of an amount in minor units.
pub fn paid(kind: &str, occurred_at: Timestamp, amount: i64) -> Activity {
    Activity { amount: Some(amount), ..custom(kind, occurred_at) }
}

/// An activity without money.
pub fn custom(kind: &str, occurred_at: Timestamp) -> Activity {
    Activity {
        kind: kind.to_owned(),
        occurred_at: Some(occurred_at),
        currency: None,
        amount: None,
        lines: Vec::new(),
        store: None,
        attributes: BTreeMap::new(),
    }
}

/// A purchase of lines, each a description, a quantity and a unit price in major units.
pub fn basket(occurred_at: Timestamp, lines: &[(&str, &str, &str)]) -> Activity {
    let line = |(description, quantity, unit_price): &(&str, &str, &str)| ActivityLine {
        sku: None,
        description: Some((*description).to_owned()),
        category: None,
        quantity: quantity.parse().expect("a quantity"),
        unit_price: unit_price.parse().expect("a price"),
    };
    Activity { lines: lines.iter().map(line).collect(), ..custom("purchase", occurred_at) }
}

/// The profile of a member whom the brand knows by a number.
pub fn profile(external_id: &str) -> Profile {
    Profile { external_id: Some(external_id.to_owned()), ..Profile::default() }
}

/// A kind of store on which the conformance suite runs.
pub trait Backend {
    /// The store.
    type Store: Store + 'static;
    /// What must outlive it.
    type Keep;
    /// An empty store.
    fn fresh() -> (Self::Store, Self::Keep);
}

/// The store in plain RAM.
pub struct Ram;

impl Backend for Ram {
    type Store = RamStore;
    type Keep = ();
    fn fresh() -> (RamStore, ()) {
        (RamStore::new(), ())
    }
}

/// The embedded store, in a directory of its own.
pub struct Sqlite;

impl Backend for Sqlite {
    type Store = SqliteStore;
    type Keep = tempfile::TempDir;
    fn fresh() -> (SqliteStore, tempfile::TempDir) {
        let directory = tempfile::tempdir().expect("a directory");
        let store = SqliteStore::open(DataDir::create(directory.path()).expect("a data directory"));
        (store.expect("a store"), directory)
    }
}

/// An engine over a store in which the program of the tests is published.
pub struct House<B: Backend> {
    engine: Option<Engine<B::Store>>,
    /// The program in force.
    pub program: Arc<Program>,
    keep: B::Keep,
    next_member: i64,
    next_key: u64,
}

impl<B: Backend> House<B> {
    /// A new house.
    pub fn new() -> Self {
        let (mut store, keep) = B::fresh();
        publish(&mut store, &bundle(), today()).expect("published");
        Self::over(store, keep)
    }

    /// A house over a store that holds a program.
    pub fn over(mut store: B::Store, keep: B::Keep) -> Self {
        let program = Arc::new(load_program(&mut store).expect("the program compiles"));
        let engine = Engine::start(store).expect("an engine");
        Self { engine: Some(engine), program, keep, next_member: 1_000, next_key: 0 }
    }

    /// Sends commands together and waits for their outcomes.
    pub fn submit(&self, commands: Vec<Command>) -> Vec<Outcome> {
        let handle = self.engine.as_ref().expect("running").handle();
        handle.submit_blocking(commands).blocking_receive()
    }

    /// Sends one command.
    pub fn one(&self, command: &Command) -> Outcome {
        self.submit(vec![command.clone()]).pop().expect("one outcome")
    }

    /// The receipt, as bytes, of a command that must be accepted.
    pub fn receipt(&self, command: &Command) -> String {
        self.one(command).unwrap_or_else(|error| panic!("{command:?} was not accepted: {error}")).receipt
    }

    /// The receipt of a command that must be accepted.
    pub fn accepted(&self, command: &Command) -> Receipt {
        serde_json::from_str(&self.receipt(command)).expect("a receipt")
    }

    /// The code with which a command must be refused.
    pub fn refused(&self, command: &Command) -> RefusalCode {
        refusal_code(&self.one(command)).unwrap_or_else(|| panic!("{command:?} was not refused"))
    }

    /// A key that was not used before.
    pub fn key(&mut self) -> String {
        self.next_key += 1;
        format!("key-{}", self.next_key)
    }

    /// A member id that was not used before.
    pub fn new_member_id(&mut self) -> MemberId {
        self.next_member += 1;
        MemberId(self.next_member)
    }

    /// Enrols a member.
    pub fn member(&mut self) -> MemberId {
        let (member, key) = (self.new_member_id(), self.key());
        let external_id = format!("C-{}", member.0);
        // Enrolled long ago, so that tests are free to date what follows.
        let enrol = Command::enrol(member, &key, at("2020-01-01T00:00:00Z"), profile(&external_id));
        self.accepted(&enrol.expect("a command"));
        member
    }

    /// Enrols a member with points to spend, given today.
    pub fn rich_member(&mut self, points: i64) -> MemberId {
        let member = self.member();
        let adjust = self.adjust(member, points);
        self.accepted(&adjust);
        member
    }

    /// A command that records an activity under a fresh key; `occurred_at` dates it.
    pub fn record(&mut self, member: MemberId, activity: &Activity) -> Command {
        let key = self.key();
        self.record_as(member, &key, activity)
    }

    /// A command that records an activity under a key of the test's own.
    pub fn record_as(&self, member: MemberId, key: &str, activity: &Activity) -> Command {
        let now = activity.occurred_at.unwrap_or_else(today);
        Command::record(&self.program, member, key, activity, now, EARLIEST).expect("a command")
    }

    /// A command that redeems today, under a fresh key.
    pub fn redeem(&mut self, member: MemberId, reward: &str, quantity: i64, capture: bool) -> Command {
        let key = self.key();
        Command::redeem(member, &key, today(), reward, quantity, capture).expect("a command")
    }

    /// A command that captures today, under a fresh key.
    pub fn capture(&mut self, member: MemberId, order: OrderId) -> Command {
        let key = self.key();
        Command::capture(member, &key, today(), order).expect("a command")
    }

    /// A command that releases today, under a fresh key.
    pub fn release(&mut self, member: MemberId, order: OrderId) -> Command {
        let key = self.key();
        Command::release(member, &key, today(), order).expect("a command")
    }

    /// A command that adjusts today, under a fresh key.
    pub fn adjust(&mut self, member: MemberId, points: i64) -> Command {
        let key = self.key();
        Command::adjust(member, &key, today(), POINTS, points, "for the test").expect("a command")
    }

    /// Lets happen what is due at `now`; returns how many accounts were due.
    pub fn tick(&self, now: Timestamp) -> usize {
        let handle = self.engine.as_ref().expect("running").handle();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(handle.tick(now, 1_000)).expect("ticked")
    }

    /// Stops the engine, looks into the store, and goes on.
    pub fn look<T>(&mut self, look: impl FnOnce(&mut B::Store) -> T) -> T {
        let mut store = self.engine.take().expect("running").stop().expect("stopped");
        let seen = look(&mut store);
        // A new engine numbers from the clock alone: within one millisecond it would give the same ids again.
        std::thread::sleep(std::time::Duration::from_millis(3));
        self.engine = Some(Engine::start(store).expect("an engine"));
        seen
    }

    /// Stops the engine and starts another at once, as a supervisor does.
    pub fn restart(&mut self) {
        let store = self.engine.take().expect("running").stop().expect("stopped");
        self.engine = Some(Engine::start(store).expect("an engine"));
    }

    /// The account as stored.
    pub fn account(&mut self, member: MemberId) -> Account {
        self.look(|store| stored_account(store, member)).expect("an account")
    }

    /// The lots of the account as stored.
    pub fn lots(&mut self, member: MemberId) -> Vec<Lot> {
        self.account(member).wallet(POINTS).expect("a wallet").lots.clone()
    }

    /// The stock of a reward as stored.
    pub fn stock(&mut self, reward: &str) -> StockLevel {
        let footprint = Footprint { rewards: vec![reward.to_owned()], ..Footprint::default() };
        self.look(|store| store.prefetch(&footprint).expect("loaded").stock.remove(reward)).expect("limited")
    }

    /// Stops, checks that every invariant holds, and gives back the store.
    pub fn close(mut self) -> (B::Store, B::Keep) {
        let mut store = self.engine.take().expect("running").stop().expect("stopped");
        let report = verify(&mut store).expect("verified");
        assert_eq!(report.wrong, 0, "{:#?}", report.findings);
        (store, self.keep)
    }
}

impl<B: Backend> Default for House<B> {
    fn default() -> Self {
        Self::new()
    }
}

/// The account of a member, when there is one.
pub fn stored_account(store: &mut dyn Store, member: MemberId) -> Option<Account> {
    let footprint = Footprint { members: vec![member], ..Footprint::default() };
    store.prefetch(&footprint).expect("loaded").accounts.remove(&member)
}

/// The code of an outcome that is a refusal.
pub fn refusal_code(outcome: &Outcome) -> Option<RefusalCode> {
    match outcome {
        Err(CommandError::Refused(refusal)) => Some(refusal.code),
        _ => None,
    }
}
