//! Fixtures that the whole-system tests share: a program, commands, and a house of engine and store.
//!
//! Everything here is test code: a fixture that cannot be built must stop the test at once, hence the `expect`s.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::Arc;

use guerdon_core::earning::Activity;
use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Command, Footprint, Receipt, RefusalCode};
use guerdon_core::ledger::{Account, Lot};
use guerdon_core::program::{Bundle, Program};
use guerdon_core::rewards::StockLevel;
use guerdon_core::time::{EARLIEST, Timestamp};
use guerdon_store::{
    CommandError, DataDir, Engine, EngineHandle, Outcome, RamStore, SqliteStore, Store, load_program, publish, verify,
};

pub mod fuzz;
pub mod oidc;
mod port;
pub mod postgres;
mod seeds;
pub mod smtp;

pub use guerdon_simulation as simulation;
pub use guerdon_simulation::fixtures::*;
pub use port::free_port;
pub use seeds::{Run, run_seeds};

/// A kind of store on which the conformance suite runs.
pub trait Backend {
    /// The store.
    type Store: Store + 'static;
    /// What must outlive it.
    type Keep;
    /// An empty store.
    fn fresh() -> (Self::Store, Self::Keep);
}

/// Makes a test of each behaviour on each store.
#[macro_export]
macro_rules! on_every_store {
    ($($name:ident),* $(,)?) => {
        mod on_ram {
            $(#[test] fn $name() { super::$name::<$crate::Ram>(); })*
        }
        mod on_sqlite {
            $(#[test] fn $name() { super::$name::<$crate::Sqlite>(); })*
        }
        mod on_postgres {
            $(#[test] fn $name() { super::$name::<$crate::postgres::Postgres>(); })*
        }
    };
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

/// A campaign in which all members share 100 points a day and 50 in each store, over a point for each pound.
pub fn campaign_bundle() -> Bundle {
    let shared = r#"
        program = { id = "shared", name = "Shared", money = "GBP", time_zone = "Europe/London" }
        currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100 }]

        [[campaigns]]
        id = "autumn"
        name = "Autumn"
        department = "marketing"
        caps = [{ window = "day", cost = "1", per = "everyone" }, { window = "day", points = 50, per = "store" }]

        [[rules]]
        id = "base"
        name = "A point for each pound"
        trigger = "purchase"
        campaign = "autumn"
        effect = { type = "points_per_money", rate = "1" }
    "#;
    Bundle::parse(shared).expect("a program")
}

/// A program that asks the account: a point for each pound, at most 100 a day, and 7 for the third purchase of a month.
pub fn capped_bundle() -> Bundle {
    let capped = r#"
        program = { id = "capped", name = "Capped", money = "GBP", time_zone = "Europe/London" }
        currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100 }]

        [[rules]]
        id = "base"
        name = "A point for each pound"
        trigger = "purchase"
        effect = { type = "points_per_money", rate = "1" }
        caps = [{ window = "day", points = 100 }]

        [[rules]]
        id = "third"
        name = "The third of a month"
        trigger = "purchase"
        condition = "history.purchase.month.count == 2"
        effect = { type = "fixed_points", points = 7 }
    "#;
    Bundle::parse(capped).expect("a program")
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

    /// A handle of the engine, which must be gone before the house is closed.
    pub fn handle(&self) -> EngineHandle {
        self.engine.as_ref().expect("running").handle()
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
        self.one(command).unwrap_or_else(|error| panic!("{command:?} was not accepted: {error}")).into_text()
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
        let enrol = enrol(member, &key, at("2020-01-01T00:00:00Z"), &profile(&external_id));
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

    /// Plans accounts anew under a newly published program; returns how many were looked at.
    pub fn plan_anew(&self, now: Timestamp, limit: usize) -> usize {
        let handle = self.engine.as_ref().expect("running").handle();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(handle.plan_anew(now, limit)).expect("planned")
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
        let footprint = Footprint { stock: vec![reward.to_owned()], ..Footprint::default() };
        self.look(|store| store.prefetch(&footprint).expect("loaded").stock.remove(reward)).expect("limited")
    }

    /// Stops and gives back the store, whatever its rows say.
    pub fn stop(mut self) -> (B::Store, B::Keep) {
        (self.engine.take().expect("running").stop().expect("stopped"), self.keep)
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

/// The code of an outcome that is a refusal.
pub fn refusal_code(outcome: &Outcome) -> Option<RefusalCode> {
    match outcome {
        Err(CommandError::Refused(refusal)) => Some(refusal.code),
        _ => None,
    }
}
