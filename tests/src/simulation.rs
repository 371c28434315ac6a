//! Seeded simulation of the whole path of a command, with a reference model beside it.
//!
//! Clients send random commands, repeat them, mix up their order and reuse their keys; the server dies between any two
//! of prefetch, decide, commit and answer; the clock jumps. A model, which knows the rules of the program but none of
//! the kernel's code, says what every answer and every row must be. One seed is one run, and replays exactly.

use std::collections::BTreeMap;

use guerdon_core::earning::Activity;
use guerdon_core::id::{IdGenerator, MemberId, OrderId};
use guerdon_core::kernel::{Batch, Command, Footprint, Receipt, Refusal, Reply};
use guerdon_core::program::{Bundle, Program};
use guerdon_core::time::{EARLIEST, Timestamp};
use guerdon_store::{RamStore, Store, load_program, publish, verify};

use crate::{POINTS, PROGRAM, TEA, VOUCHER, basket, custom, paid, profile, stored_account};

const STEPS: u64 = 30;
const MEMBERS: u64 = 5;
/// Scarce enough that a run sells it out.
const VOUCHERS: i64 = 2;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const SKEW: i64 = 5 * 60_000;
/// 2026-03-10T09:00:00Z.
const START: i64 = 1_773_133_200_000;

/// What a run did.
#[derive(Debug, Default, Clone, Copy)]
pub struct Summary {
    /// Commands accepted for the first time.
    pub accepted: u64,
    /// Commands refused.
    pub refused: u64,
    /// Commands answered from the journal.
    pub replayed: u64,
    /// Times the server died.
    pub crashes: u64,
    /// Times a command found the voucher sold out.
    pub sold_out: u64,
    /// Points that expired.
    pub expired: i64,
    /// Points that a return could not take back.
    pub forgiven: i64,
}

impl Summary {
    /// Both runs together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            refused: self.refused + other.refused,
            replayed: self.replayed + other.replayed,
            crashes: self.crashes + other.crashes,
            sold_out: self.sold_out + other.sold_out,
            expired: self.expired + other.expired,
            forgiven: self.forgiven + other.forgiven,
        }
    }
}

/// Runs a seed on a store in RAM.
pub fn run(seed: u64) -> Result<Summary, String> {
    run_on(seed, RamStore::new())
}

/// Runs a seed on an empty store; a store with a defect makes it fail.
pub fn run_on(seed: u64, mut store: impl Store) -> Result<Summary, String> {
    let text = PROGRAM.replace("stock = 100", &format!("stock = {VOUCHERS}"));
    publish(&mut store, &Bundle::parse(&text)?, Timestamp::from_millis(START)).map_err(|error| error.to_string())?;
    let program = load_program(&mut store).map_err(|error| error.to_string())?;
    let mut world = World {
        dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d),
        store,
        program,
        ids: IdGenerator::new(1),
        model: Model::default(),
        now: START,
        unanswered: Vec::new(),
        sent: Vec::new(),
        next_key: 0,
        next_member: 100,
        summary: Summary::default(),
    };
    for step in 0..STEPS {
        world.step().map_err(|problem| format!("step {step}: {problem}"))?;
    }
    world.settle().map_err(|problem| format!("at the end: {problem}"))?;
    Ok(world.summary)
}

/// SplitMix64: a seed must replay the same for ever, so no generator of a library that may change.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A wish of a client, in the terms of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Enrol { external: String },
    Purchase { plain: i64, christmas: i64, at: i64 },
    Return { amount: i64, at: i64 },
    CheckIn { at: i64 },
    Redeem { reward: String, quantity: i64, capture: bool },
    Capture(i64),
    Release(i64),
    Adjust(i64),
    Tick,
}

#[derive(Debug, Clone)]
struct Want {
    member: i64,
    key: String,
    at: i64,
    what: What,
    dry: bool,
}

struct World<S> {
    dice: Dice,
    store: S,
    program: Program,
    ids: IdGenerator,
    model: Model,
    now: i64,
    /// Sent, but the client has heard nothing.
    unanswered: Vec<Want>,
    /// Everything that was ever sent.
    sent: Vec<Want>,
    next_key: u64,
    next_member: i64,
    summary: Summary,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Crash {
    BeforePrefetch,
    BeforeCommit,
    BeforeAnswer,
    Not,
}

impl<S: Store> World<S> {
    fn step(&mut self) -> Result<(), String> {
        self.now += match self.dice.below(100) {
            0..80 => self.dice.between(1, 3 * HOUR),
            80..94 => self.dice.between(DAY, 4 * DAY),
            94..99 => self.dice.between(25 * DAY, 90 * DAY),
            // Past the life of all points.
            _ => 800 * DAY,
        };
        let wants = self.batch();
        let crash = match self.dice.below(100) {
            0..5 => Crash::BeforePrefetch,
            5..11 => Crash::BeforeCommit,
            11..18 => Crash::BeforeAnswer,
            _ => Crash::Not,
        };
        self.deliver(&wants, crash)?;
        self.compare()
    }

    /// Random wishes; the scarce reward and few members make them collide.
    fn batch(&mut self) -> Vec<Want> {
        let mut wants: Vec<Want> = Vec::new();
        for _ in 0..=self.dice.below(6) {
            let want = match self.dice.below(100) {
                // A retry, in any order.
                0..20 if !self.unanswered.is_empty() => {
                    let index = self.dice.below(self.unanswered.len() as u64) as usize;
                    self.unanswered.swap_remove(index)
                }
                // A duplicate, long after its answer or in one batch with the first.
                20..30 if !self.sent.is_empty() => {
                    let index = self.dice.below(self.sent.len() as u64) as usize;
                    self.sent[index].clone()
                }
                30..34 if !wants.is_empty() => wants[0].clone(),
                // The key of one request on another.
                34..38 if !self.sent.is_empty() => {
                    let index = self.dice.below(self.sent.len() as u64) as usize;
                    let other = self.sent[index].clone();
                    let mut want = self.wish();
                    // The clock's own keys are not for clients, and the clock uses no other.
                    if other.key.starts_with("tick:") || matches!(want.what, What::Tick) {
                        wants.push(self.address(want));
                        continue;
                    }
                    want.key = other.key;
                    // An enrolment that is mismatched must not be about a member who exists.
                    if !matches!(want.what, What::Enrol { .. } | What::Tick) {
                        want.member = other.member;
                    }
                    want
                }
                38..44 => Want { dry: true, ..self.wish() },
                _ => self.wish(),
            };
            wants.push(self.address(want));
        }
        wants
    }

    /// Each call of the API draws a fresh id for an enrolment, also when it is a retry.
    fn address(&mut self, mut want: Want) -> Want {
        if matches!(want.what, What::Enrol { .. }) {
            self.next_member += 1;
            want.member = self.next_member;
        }
        want
    }

    fn wish(&mut self) -> Want {
        self.next_key += 1;
        let key = format!("key-{}", self.next_key);
        let known: Vec<i64> = self.model.members.keys().copied().collect();
        let enrol = known.is_empty() || (known.len() < MEMBERS as usize && self.dice.percent(30));
        if enrol || self.dice.percent(2) {
            let external = format!("C-{}", self.dice.below(MEMBERS * 2));
            return Want { member: 0, key, at: self.now, what: What::Enrol { external }, dry: false };
        }
        // Now and then a member whom nobody knows.
        let member = if self.dice.percent(2) { 1 } else { known[self.dice.below(known.len() as u64) as usize] };
        let at = if self.dice.percent(15) { self.now - self.dice.between(1, 25 * DAY) } else { self.now };
        let what = match self.dice.below(100) {
            0..22 => {
                let plain = if self.dice.percent(40) {
                    self.dice.between(10_001, 90_000)
                } else {
                    self.dice.between(0, 10_001)
                };
                let christmas = if self.dice.percent(30) { self.dice.between(1, 9_999) } else { 0 };
                What::Purchase { plain, christmas, at }
            }
            22..30 => What::Return { amount: self.dice.between(0, 30_000), at },
            30..38 => What::CheckIn { at },
            38..62 => {
                let reward = if self.dice.percent(60) { VOUCHER } else { TEA };
                let reward = if self.dice.percent(2) { "yacht" } else { reward };
                let capture = self.dice.percent(40);
                let quantity = if self.dice.percent(80) { 1 } else { self.dice.between(2, 3) };
                What::Redeem { reward: reward.to_owned(), quantity, capture }
            }
            62..78 => {
                // Mostly one that is still open.
                let open = self.dice.percent(85);
                let orders = self.model.orders.iter().filter(|(_, order)| !open || order.state == "held");
                let orders: Vec<i64> = orders.map(|(id, _)| *id).collect();
                let order = if orders.is_empty() || self.dice.percent(4) {
                    7
                } else {
                    orders[self.dice.below(orders.len() as u64) as usize]
                };
                // Mostly the owner, sometimes a stranger.
                let owner = self.model.orders.get(&order).map_or(member, |order| order.member);
                let member = if self.dice.percent(95) { owner } else { member };
                let what = if self.dice.percent(50) { What::Capture(order) } else { What::Release(order) };
                return Want { member, key, at: self.now, what, dry: false };
            }
            78..88 => match self.dice.between(-600, 6_000) {
                0 => What::Adjust(1),
                points => What::Adjust(points),
            },
            _ => {
                let due = self.model.members.iter().find(|(_, state)| state.due_at().is_some_and(|due| due <= at));
                let member = due.map_or(member, |(member, _)| *member);
                let version = self.model.members.get(&member).map_or(1, |state| state.version);
                return Want { member, key: format!("tick:{version}"), at: self.now, what: What::Tick, dry: false };
            }
        };
        Want { member, key, at: self.now, what, dry: false }
    }

    fn command(&self, want: &Want) -> Result<Command, Refusal> {
        let (member, key, at) = (MemberId(want.member), want.key.as_str(), Timestamp::from_millis(want.at));
        let record = |activity: Activity| Command::record(&self.program, member, key, &activity, at, EARLIEST);
        let command = match &want.what {
            What::Enrol { external } => Command::enrol(member, key, at, profile(external))?,
            What::Purchase { plain, christmas: 0, at } => {
                record(paid("purchase", Timestamp::from_millis(*at), *plain))?
            }
            What::Purchase { plain, christmas, at } => {
                let price = |pence: &i64| format!("{}.{:02}", pence / 100, pence % 100);
                let lines = [("OAK TABLE", "1", &*price(plain)), ("BOX OF CHRISTMAS STARS", "1", &*price(christmas))];
                record(basket(Timestamp::from_millis(*at), &lines))?
            }
            What::Return { amount, at } => record(paid("return", Timestamp::from_millis(*at), *amount))?,
            What::CheckIn { at } => record(custom("check_in", Timestamp::from_millis(*at)))?,
            What::Redeem { reward, quantity, capture } => {
                Command::redeem(member, key, at, reward, *quantity, *capture)?
            }
            What::Capture(order) => Command::capture(member, key, at, OrderId(*order))?,
            What::Release(order) => Command::release(member, key, at, OrderId(*order))?,
            What::Adjust(points) => Command::adjust(member, key, at, POINTS, *points, "for the simulation")?,
            What::Tick => {
                let tick = Command::tick(member, 0, at);
                Command { idempotency_key: key.to_owned(), ..tick }
            }
        };
        Ok(if want.dry { command.dry() } else { command })
    }

    /// The way of a batch, as the engine goes it, with a crash at any place.
    fn deliver(&mut self, wants: &[Want], crash: Crash) -> Result<(), String> {
        let commands: Vec<Command> =
            wants.iter().map(|want| self.command(want)).collect::<Result<_, _>>().map_err(|refusal| refusal.message)?;
        self.sent.extend(wants.iter().filter(|want| !want.dry).cloned());
        self.sent.truncate(60);
        if crash != Crash::Not {
            self.summary.crashes += 1;
            // Nobody heard anything: the clients will ask again.
            self.unanswered.extend(wants.iter().filter(|want| !want.dry).cloned());
        }
        if crash == Crash::BeforePrefetch {
            self.restart();
            return Ok(());
        }
        let mut loaded = self.store.prefetch(&Footprint::of(&commands)).map_err(|error| error.to_string())?;
        if let Some(more) = Footprint::follow_up(&commands, &loaded) {
            loaded.merge(self.store.prefetch(&more).map_err(|error| error.to_string())?);
        }
        let mut batch = Batch::new(&self.program, loaded, &mut self.ids, Timestamp::from_millis(self.now));
        // What is decided but never committed is judged as well, by a model that is then forgotten.
        let mut model = self.model.clone();
        let mut summary = self.summary;
        for (want, command) in wants.iter().zip(&commands) {
            let outcome = batch.decide(command);
            model.judge(want, &outcome, &mut summary).map_err(|problem| format!("{want:?}: {problem}"))?;
        }
        let changes = batch.finish();
        if crash == Crash::BeforeCommit {
            self.restart();
            return Ok(());
        }
        self.store.commit(&changes).map_err(|error| format!("the commit failed: {error}"))?;
        self.model = model;
        self.summary = summary;
        if crash == Crash::BeforeAnswer {
            self.restart();
        }
        Ok(())
    }

    /// As the engine starts: above every id that is there.
    fn restart(&mut self) {
        self.ids = IdGenerator::after(1, self.store.last_id().expect("RAM answers"));
    }

    /// Every row must be what the model says.
    fn compare(&mut self) -> Result<(), String> {
        let mut members: Vec<(Timestamp, MemberId)> = Vec::new();
        for (member, state) in &self.model.members {
            let member = MemberId(*member);
            let account = stored_account(&mut self.store, member).ok_or_else(|| format!("{member} is gone"))?;
            let wallet = account.wallet(POINTS).ok_or_else(|| format!("{member} has no wallet"))?;
            let stored: Vec<Row> = wallet
                .lots
                .iter()
                .map(|lot| (lot.key.expires_at.as_millis(), lot.key.active_at.as_millis(), lot.remaining, lot.held))
                .collect();
            if stored != state.rows() {
                return Err(format!("{member} has the lots {stored:?}, the model {:?}", state.rows()));
            }
            if stored.iter().any(|(_, _, remaining, held)| *remaining < 0 || *held < 0) {
                return Err(format!("{member} is below zero: {stored:?}"));
            }
            let life = &wallet.lifetime;
            let lifetime = [life.earned, life.redeemed, life.expired, life.revoked, life.adjusted];
            if lifetime != state.lifetime {
                return Err(format!("{member} has the lifetime {lifetime:?}, the model {:?}", state.lifetime));
            }
            let sum: i64 = stored.iter().map(|(_, _, remaining, held)| remaining + held).sum();
            if sum != life.earned + life.adjusted - life.redeemed - life.expired - life.revoked {
                return Err(format!("{member} holds {sum} points, which do not add up with {life:?}"));
            }
            if account.version != state.version {
                return Err(format!("{member} has version {}, the model {}", account.version, state.version));
            }
            members.extend(state.due_at().map(|due_at| (Timestamp::from_millis(due_at), member)));
        }
        members.sort();
        let now = Timestamp::from_millis(self.now);
        let expected: Vec<MemberId> =
            members.into_iter().filter(|(due_at, _)| *due_at <= now).map(|(_, member)| member).collect();
        let due = self.store.due(now, 100).map_err(|error| error.to_string())?;
        let due: Vec<MemberId> = due.into_iter().map(|(member, _)| member).collect();
        if due != expected {
            return Err(format!("due are {due:?}, in the model {expected:?}"));
        }
        self.compare_stock_and_orders()
    }

    fn compare_stock_and_orders(&mut self) -> Result<(), String> {
        let orders = self.model.orders.iter().map(|(id, order)| (MemberId(order.member), OrderId(*id))).collect();
        let footprint = Footprint { rewards: vec![VOUCHER.to_owned()], orders, ..Footprint::default() };
        let loaded = self.store.prefetch(&footprint).map_err(|error| error.to_string())?;
        let stock = loaded.stock.get(VOUCHER).ok_or("the stock is gone")?;
        let sum = |state| -> i64 {
            let vouchers = self.model.orders.values().filter(|order| order.reward == VOUCHER && order.state == state);
            vouchers.map(|order| order.quantity).sum()
        };
        let (reserved, issued) = (sum("held"), sum("captured"));
        if (stock.reserved, stock.issued, stock.on_hand) != (reserved, issued, VOUCHERS - issued) {
            return Err(format!("{stock:?}, but {reserved} are reserved and {issued} issued"));
        }
        if reserved + issued > VOUCHERS {
            return Err(format!("{reserved} + {issued} of {VOUCHERS} vouchers were promised"));
        }
        for (id, order) in &self.model.orders {
            let stored = loaded.orders.get(&(MemberId(order.member), OrderId(*id)));
            let stored = stored.map(|stored| (stored.state.name(), stored.points, stored.quantity));
            if stored != Some((order.state, order.points, order.quantity)) {
                return Err(format!("order {id} is {stored:?}, in the model {order:?}"));
            }
        }
        Ok(())
    }

    /// Everyone asks again until all is answered; then the journal must tell the same story as the rows.
    fn settle(&mut self) -> Result<(), String> {
        let left = std::mem::take(&mut self.unanswered);
        for want in left {
            self.now += 1;
            let want = self.address(want);
            self.deliver(&[want], Crash::Not)?;
        }
        self.compare()?;
        let keys: Vec<(MemberId, String)> =
            self.model.answers.keys().map(|(member, key)| (MemberId(*member), key.clone())).collect();
        let footprint = Footprint { keys, ..Footprint::default() };
        let loaded = self.store.prefetch(&footprint).map_err(|error| error.to_string())?;
        for ((member, key), answer) in &self.model.answers {
            let stored = loaded.committed.get(&(MemberId(*member), key.clone()));
            if stored.is_none_or(|stored| stored.receipt != answer.receipt) {
                return Err(format!("{key} was acknowledged as {}, but the store says {stored:?}", answer.receipt));
            }
        }
        let report = verify(&mut self.store).map_err(|error| error.to_string())?;
        if report.wrong > 0 {
            return Err(format!("verify finds {:?}", report.findings));
        }
        if report.transactions != self.model.answers.len() as u64 {
            let problem = format!("{} transactions for {} receipts", report.transactions, self.model.answers.len());
            return Err(problem);
        }
        Ok(())
    }
}

/// A lot: when it expires, when it becomes active (0: it is), what is free and what is held.
type Row = (i64, i64, i64, i64);

/// What the program should do, written down a second time and in the simplest way.
#[derive(Debug, Clone, Default)]
struct Model {
    members: BTreeMap<i64, Member>,
    externals: BTreeMap<String, i64>,
    enrolments: BTreeMap<String, i64>,
    orders: BTreeMap<i64, Order>,
    answers: BTreeMap<(i64, String), Answer>,
}

#[derive(Debug, Clone)]
struct Answer {
    request: What,
    receipt: String,
}

#[derive(Debug, Clone, Default)]
struct Member {
    /// Expiry → free, held.
    active: BTreeMap<i64, (i64, i64)>,
    /// Expiry, activation → points.
    pending: BTreeMap<(i64, i64), i64>,
    /// Earned, redeemed, expired, revoked, adjusted.
    lifetime: [i64; 5],
    version: i64,
    latest: i64,
}

#[derive(Debug, Clone)]
struct Order {
    member: i64,
    reward: String,
    quantity: i64,
    points: i64,
    holds: Vec<(i64, i64)>,
    state: &'static str,
}

/// What an accepted command must say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    points: i64,
    forgiven: i64,
    matured: i64,
    expired: i64,
    /// Points by rule.
    rules: Vec<(&'static str, i64)>,
}

impl Member {
    fn rows(&self) -> Vec<Row> {
        let active = self.active.iter().filter(|(_, points)| **points != (0, 0));
        let mut rows: Vec<Row> = active.map(|(expires, (free, held))| (*expires, 0, *free, *held)).collect();
        rows.extend(self.pending.iter().map(|((expires, active), points)| (*expires, *active, *points, 0)));
        rows.sort();
        rows
    }

    fn due_at(&self) -> Option<i64> {
        let expiries = self.active.iter().filter(|(_, (free, _))| *free > 0).map(|(expires, _)| *expires);
        expiries.chain(self.pending.keys().map(|(_, active)| *active)).min()
    }

    fn spendable(&self, at: i64) -> i64 {
        self.active.iter().filter(|(expires, _)| **expires > at).map(|(_, (free, _))| free).sum()
    }

    /// Takes points from the lots that expire first; says from which.
    fn take(&mut self, mut points: i64, at: i64) -> Vec<(i64, i64)> {
        let mut taken = Vec::new();
        for (expires, (free, _)) in self.active.iter_mut().filter(|(expires, _)| **expires > at) {
            let part = points.min(*free);
            if part > 0 {
                *free -= part;
                points -= part;
                taken.push((*expires, part));
            }
        }
        taken
    }

    fn give(&mut self, expires: i64, points: i64) {
        if points > 0 {
            self.active.entry(expires).or_default().0 += points;
        }
    }
}

impl Model {
    /// Compares one answer with what it should be, and follows it.
    fn judge(&mut self, want: &Want, outcome: &Result<Reply, Refusal>, summary: &mut Summary) -> Result<(), String> {
        if !want.dry
            && let Some(answer) = self.answered(want)
        {
            return match outcome {
                _ if answer.request != want.what => refused(outcome, "idempotency_mismatch", summary),
                Ok(reply) if reply.replayed && reply.receipt == answer.receipt => {
                    summary.replayed += 1;
                    Ok(())
                }
                other => Err(format!("should repeat {}, not {other:?}", answer.receipt)),
            };
        }
        let mut after = self.clone();
        let said = match after.decide(want) {
            Ok(said) => said,
            Err(code) => {
                summary.sold_out += u64::from(code == "out_of_stock");
                return refused(outcome, code, summary);
            }
        };
        let reply = outcome.as_ref().map_err(|refusal| format!("refused as {:?}: {refusal}", refusal.code))?;
        let receipt: Receipt = serde_json::from_str(&reply.receipt).map_err(|error| error.to_string())?;
        let rules: Vec<(&str, i64)> = receipt.explanation.iter().map(|o| (o.rule.as_str(), o.points)).collect();
        let heard = (receipt.points, receipt.forgiven, receipt.matured, receipt.expired, rules);
        if heard != (said.points, said.forgiven, said.matured, said.expired, said.rules.clone()) {
            return Err(format!("says {heard:?}, the model {said:?}"));
        }
        if receipt.explanation.iter().any(|outcome| outcome.version != 1) {
            return Err("names a version of a rule that there is not".to_owned());
        }
        if reply.replayed {
            return Err("claims to be a replay of what never was".to_owned());
        }
        after.check_balances(want.member, &receipt)?;
        if want.dry {
            return Ok(());
        }
        if let (What::Redeem { .. }, Some(order)) = (&want.what, &receipt.order) {
            let made = after.orders.remove(&NEW_ORDER).ok_or("the model made no order")?;
            if after.orders.insert(order.id.0, made).is_some() {
                return Err(format!("order {} is there twice", order.id));
            }
        }
        summary.accepted += 1;
        summary.expired += said.expired;
        summary.forgiven += said.forgiven;
        let answer = Answer { request: want.what.clone(), receipt: reply.receipt.clone() };
        after.answers.insert((want.member, want.key.clone()), answer);
        *self = after;
        Ok(())
    }

    fn answered(&self, want: &Want) -> Option<&Answer> {
        let member = match want.what {
            What::Enrol { .. } => *self.enrolments.get(&want.key)?,
            _ => want.member,
        };
        self.answers.get(&(member, want.key.clone()))
    }

    fn check_balances(&self, member: i64, receipt: &Receipt) -> Result<(), String> {
        let rows = self.members.get(&member).map(Member::rows).unwrap_or_default();
        let sum = |of: &dyn Fn(&Row) -> i64| rows.iter().map(of).sum::<i64>();
        let available = sum(&|(_, active, free, _)| if *active == 0 { *free } else { 0 });
        let pending = sum(&|(_, active, free, _)| if *active == 0 { 0 } else { *free });
        let held = sum(&|(_, _, _, held)| *held);
        match receipt.balances.as_slice() {
            [balance] if (balance.available, balance.pending, balance.held) == (available, pending, held) => Ok(()),
            other => Err(format!("balances {other:?}, in the model {available}, {pending}, {held}")),
        }
    }

    /// Follows a wish, or says with which code it is refused.
    fn decide(&mut self, want: &Want) -> Result<Said, &'static str> {
        if let What::Enrol { external } = &want.what {
            if self.externals.contains_key(external) || self.enrolments.contains_key(&want.key) {
                return Err("already_enrolled");
            }
            self.externals.insert(external.clone(), want.member);
            self.enrolments.insert(want.key.clone(), want.member);
            self.members.insert(want.member, Member { version: 1, latest: want.at, ..Member::default() });
            return Ok(Said::default());
        }
        let Some(member) = self.members.get_mut(&want.member) else { return Err("unknown_member") };
        let mut said = Said::default();
        let mut happened = want.at;
        match &want.what {
            What::Enrol { .. } => {}
            What::Purchase { plain, christmas, at } => {
                happened = *at;
                let total = plain + christmas;
                let base = total / 100;
                let bonus = if total > 10_000 { base / 10 } else { 0 };
                let rules = [("base", base), ("big-basket", bonus), ("christmas", christmas / 200)];
                said.rules = rules.into_iter().filter(|(_, points)| *points > 0).collect();
                said.points = said.rules.iter().map(|(_, points)| points).sum();
                member.lifetime[0] += said.points;
                member.give(expiry(*at), said.points);
            }
            What::Return { amount, at } => {
                happened = *at;
                let wanted = amount / 100;
                let taken: i64 = member.take(wanted, *at).iter().map(|(_, points)| points).sum();
                (said.points, said.forgiven) = (-taken, wanted - taken);
                if wanted > 0 {
                    said.rules.push(("return-back", -taken));
                }
                member.lifetime[3] += taken;
            }
            What::CheckIn { at } => {
                happened = *at;
                let active = start_of_day(local_day(*at) + 2);
                *member.pending.entry((expiry(active), active)).or_default() += 5;
                member.lifetime[0] += 5;
                said.rules.push(("check-in", 5));
            }
            What::Redeem { reward, quantity, capture } => {
                let price = match reward.as_str() {
                    VOUCHER => 500,
                    TEA => 40,
                    _ => return Err("unknown_reward"),
                };
                if want.at + SKEW < member.latest {
                    return Err("out_of_order");
                }
                let points = price * quantity;
                if member.spendable(want.at) < points {
                    return Err("insufficient_points");
                }
                let promised: i64 = self
                    .orders
                    .values()
                    .filter(|order| order.reward == VOUCHER && order.state != "released")
                    .map(|order| order.quantity)
                    .sum();
                if reward == VOUCHER && promised + quantity > VOUCHERS {
                    return Err("out_of_stock");
                }
                let holds = member.take(points, want.at);
                if *capture {
                    member.lifetime[1] += points;
                } else {
                    for (expires, part) in &holds {
                        member.active.entry(*expires).or_default().1 += part;
                    }
                }
                let state = if *capture { "captured" } else { "held" };
                let order =
                    Order { member: want.member, reward: reward.clone(), quantity: *quantity, points, holds, state };
                self.orders.insert(NEW_ORDER, order);
                said.points = -points;
            }
            What::Capture(id) | What::Release(id) => {
                let order = self.orders.get_mut(id).filter(|order| order.member == want.member);
                let Some(order) = order else { return Err("unknown_order") };
                if order.state != "held" {
                    return Err("order_not_held");
                }
                let capture = matches!(want.what, What::Capture(_));
                for (expires, part) in &order.holds {
                    let (free, held) = member.active.entry(*expires).or_default();
                    *held -= part;
                    if !capture {
                        *free += part;
                    }
                }
                if capture {
                    member.lifetime[1] += order.points;
                } else {
                    said.points = order.points;
                }
                order.state = if capture { "captured" } else { "released" };
            }
            What::Adjust(points) => {
                if *points > 0 {
                    member.give(expiry(want.at), *points);
                } else if member.spendable(want.at) < -points {
                    return Err("insufficient_points");
                } else {
                    member.take(-points, want.at);
                }
                member.lifetime[4] += points;
                said.points = *points;
            }
            What::Tick => {
                if member.due_at().is_none_or(|due_at| due_at > want.at) {
                    return Err("nothing_due");
                }
                let ripe: Vec<(i64, i64)> =
                    member.pending.keys().filter(|(_, active)| *active <= want.at).copied().collect();
                for key in ripe {
                    let points = member.pending.remove(&key).unwrap_or_default();
                    said.matured += points;
                    member.give(key.0, points);
                }
                for (_, (free, _)) in member.active.iter_mut().filter(|(expires, _)| **expires <= want.at) {
                    said.expired += *free;
                    *free = 0;
                }
                member.lifetime[2] += said.expired;
                said.points = said.matured - said.expired;
            }
        }
        member.version += 1;
        member.latest = member.latest.max(happened);
        Ok(said)
    }
}

/// Under this number stands an order until the kernel's answer tells its id.
const NEW_ORDER: i64 = -1;

fn refused(outcome: &Result<Reply, Refusal>, code: &str, summary: &mut Summary) -> Result<(), String> {
    match outcome {
        Err(refusal) if refusal.code.name() == code => {
            summary.refused += 1;
            Ok(())
        }
        other => Err(format!("should be refused as {code}, not {other:?}")),
    }
}

/// Days since 1970 of a date, by the well-known formula for the civil calendar.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// British summer time: from 01:00 UTC on the last Sunday of March to that of October.
fn is_summer(at: i64) -> bool {
    (2020..2100).any(|year| {
        // Both months have 31 days; 1970-01-01 was a Thursday.
        let last_sunday = |month| {
            let last = days_of(year, month, 31);
            (last - (last + 4).rem_euclid(7)) * DAY + HOUR
        };
        at >= last_sunday(3) && at < last_sunday(10)
    })
}

fn local_day(at: i64) -> i64 {
    (at + if is_summer(at) { HOUR } else { 0 }).div_euclid(DAY)
}

/// London's clocks change after midnight, so an hour before it tells the offset.
fn start_of_day(day: i64) -> i64 {
    let midnight = day * DAY;
    if is_summer(midnight - HOUR) { midnight - HOUR } else { midnight }
}

/// The end of the local month that lies 24 months after.
fn expiry(at: i64) -> i64 {
    let today = local_day(at);
    let (mut year, mut month) = (2020, 1);
    let next = |year: i64, month: i64| if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    while {
        let (year, month) = next(year, month);
        days_of(year, month, 1) <= today
    } {
        (year, month) = next(year, month);
    }
    let (year, month) = next(year + 2, month);
    start_of_day(days_of(year, month, 1))
}
