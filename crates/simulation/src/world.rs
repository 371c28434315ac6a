//! Nodes over one database, and the clients that ask them.
//!
//! Clients send random commands, repeat them, mix up their order and reuse their keys. Several nodes load, decide and
//! commit, and their steps mix in any order; a node dies between any two of them; a commit that was on its way when its
//! node died arrives later, or never. The database is a store in RAM that keeps to what the kernel asks of a
//! serializable one: all or nothing, and refused when a row that was read has changed. The clock jumps. A model says
//! what every answer and every row must be. One seed is one run, and replays exactly.

use guerdon_core::id::{IdGenerator, MemberId, OrderId};
use guerdon_core::kernel::{Batch, Changes, Command, Footprint, Refusal, Reply};
use guerdon_core::members::RefKind;
use guerdon_core::program::{Bundle, Program};
use guerdon_core::proofs::SigningKey;
use guerdon_core::time::Timestamp;
use guerdon_store::{RamStore, Store, StoreError, load_program, publish, sequence, start_log, verify};

use crate::fixtures::{POINTS, PROGRAM, TIERS, VOUCHER, sealed, stored_account, test_keyring};
use crate::life::LIFE;
use crate::model::{Model, Row};
use crate::orders::{Where, place};
use crate::wishes::{Dice, Want};

const STEPS: u64 = 50;
const NODES: usize = 3;
pub(crate) const MEMBERS: u64 = 5;
/// Scarce enough that a run sells it out.
pub(crate) const VOUCHERS: i64 = 2;
pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const DAY: i64 = 24 * HOUR;
pub(crate) const SKEW: i64 = 5 * 60_000;
/// 2026-03-10T09:00:00Z.
const START: i64 = 1_773_133_200_000;
/// How often a batch is decided again at once because another node was faster: nothing comes between, so once is enough.
const CONFLICT_TRIES: usize = 2;

/// What a run did.
#[derive(Debug, Default, Clone, Copy)]
pub struct Summary {
    /// Commands accepted for the first time.
    pub accepted: u64,
    /// Commands refused.
    pub refused: u64,
    /// Commands answered from the journal.
    pub replayed: u64,
    /// Times a node died.
    pub crashes: u64,
    /// Times a batch was decided again because another node was faster.
    pub conflicts: u64,
    /// Times the commit of a dead node arrived after all.
    pub ghosts: u64,
    /// Transactions taken into the log.
    pub logged: u64,
    /// Times a command found the voucher sold out.
    pub sold_out: u64,
    /// Pairs of accounts that were merged.
    pub merged: u64,
    /// Accounts that were closed.
    pub closed: u64,
    /// Profiles that were changed.
    pub renumbered: u64,
    /// Orders that were refunded.
    pub refunded: u64,
    /// Orders that the program fulfilled by itself, step by step.
    pub fulfilled: u64,
    /// Orders that it could not fulfil.
    pub failed: u64,
    /// Points that expired.
    pub expired: i64,
    /// Points that a return could not take back.
    pub forgiven: i64,
    /// Points that decayed.
    pub decayed: i64,
    /// Points owed that were repaid.
    pub repaid: i64,
    /// Reminders of points that will expire.
    pub reminded: u64,
}

impl Summary {
    /// Both runs together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            refused: self.refused + other.refused,
            replayed: self.replayed + other.replayed,
            crashes: self.crashes + other.crashes,
            conflicts: self.conflicts + other.conflicts,
            ghosts: self.ghosts + other.ghosts,
            logged: self.logged + other.logged,
            sold_out: self.sold_out + other.sold_out,
            merged: self.merged + other.merged,
            closed: self.closed + other.closed,
            renumbered: self.renumbered + other.renumbered,
            refunded: self.refunded + other.refunded,
            fulfilled: self.fulfilled + other.fulfilled,
            failed: self.failed + other.failed,
            expired: self.expired + other.expired,
            forgiven: self.forgiven + other.forgiven,
            decayed: self.decayed + other.decayed,
            repaid: self.repaid + other.repaid,
            reminded: self.reminded + other.reminded,
        }
    }
}

/// Runs a seed on a store in RAM.
pub fn run(seed: u64) -> Result<Summary, String> {
    run_on(seed, RamStore::new())
}

/// Runs a seed on an empty store; a store with a defect makes it fail.
pub fn run_on(seed: u64, mut store: impl Store) -> Result<Summary, String> {
    let mut text = PROGRAM.replace("stock = 100", &format!("stock = {VOUCHERS}")) + TIERS;
    let lives = seed % 2 == 1;
    if lives {
        text = text.replacen("\n[[rules]]", &format!("{LIFE}\n[[rules]]"), 1);
    }
    publish(&mut store, &Bundle::parse(&text)?, Timestamp::from_millis(START)).map_err(|error| error.to_string())?;
    let program = load_program(&mut store).map_err(|error| error.to_string())?;
    start_log(&mut store, &SigningKey::new("guerdon/simulation", &[7; 32])).map_err(|error| error.to_string())?;
    let mut world = World {
        dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d),
        store,
        program,
        nodes: (1..=NODES as u16).map(|number| Node { number, ids: IdGenerator::new(number), batch: None }).collect(),
        ghosts: Vec::new(),
        key: SigningKey::new("guerdon/simulation", &[7; 32]),
        model: Model { lives, ..Model::default() },
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

type Outcome = Result<Reply, Refusal>;

/// A batch that was decided but not committed yet.
struct Decided {
    wants: Vec<Want>,
    outcomes: Vec<Outcome>,
    changes: Changes,
}

/// A node of the cluster: it works on one batch at a time.
struct Node {
    number: u16,
    ids: IdGenerator,
    batch: Option<Decided>,
}

pub(crate) struct World<S> {
    pub(crate) dice: Dice,
    store: S,
    pub(crate) program: Program,
    nodes: Vec<Node>,
    /// Commits that were on their way when their nodes died.
    ghosts: Vec<Decided>,
    key: SigningKey,
    pub(crate) model: Model,
    pub(crate) now: i64,
    /// Sent, but the client has heard nothing.
    pub(crate) unanswered: Vec<Want>,
    /// Everything that was ever sent.
    pub(crate) sent: Vec<Want>,
    pub(crate) next_key: u64,
    pub(crate) next_member: i64,
    summary: Summary,
}

impl<S: Store> World<S> {
    /// One node does its next thing, or dies, or something happens beside.
    fn step(&mut self) -> Result<(), String> {
        self.now += match self.dice.below(100) {
            0..80 => self.dice.between(1, 3 * HOUR),
            80..94 => self.dice.between(DAY, 4 * DAY),
            94..99 => self.dice.between(25 * DAY, 90 * DAY),
            // Past the life of all points.
            _ => 800 * DAY,
        };
        if self.dice.percent(20) {
            self.sequence()?;
        }
        if self.dice.percent(30) {
            self.haunt()?;
        }
        let node = self.dice.below(NODES as u64) as usize;
        let dies = self.dice.percent(15);
        match self.nodes[node].batch.take() {
            None => {
                let wants = self.batch();
                self.hear(&wants);
                if dies {
                    self.die(node, wants);
                } else {
                    let decided = self.decide(node, wants)?;
                    self.nodes[node].batch = Some(decided);
                }
            }
            Some(decided) if dies => {
                let wants = decided.wants.clone();
                // Nobody knows whether the commit is on its way.
                if self.dice.percent(60) {
                    self.ghosts.push(decided);
                }
                self.die(node, wants);
            }
            Some(decided) => {
                let wants = decided.wants.clone();
                self.finish(node, decided)?;
                // Committed, but the answer is lost.
                if self.dice.percent(10) {
                    self.die(node, wants);
                }
            }
        }
        self.compare()
    }

    /// What was sent may be sent again, also while it is under way.
    fn hear(&mut self, wants: &[Want]) {
        self.sent.extend(wants.iter().filter(|want| !want.dry).cloned());
        self.sent.truncate(60);
    }

    /// Nobody hears anything of these wants: the clients will ask again. The node starts anew as the engine does, above
    /// every id that is there.
    fn die(&mut self, node: usize, wants: Vec<Want>) {
        self.summary.crashes += 1;
        self.unanswered.extend(wants.into_iter().filter(|want| !want.dry));
        let last = self.store.last_id().expect("RAM answers");
        let node = &mut self.nodes[node];
        node.ids = IdGenerator::after(node.number, last);
        node.batch = None;
    }

    /// Loads and decides. What is answered is judged by the model as it is now.
    fn decide(&mut self, node: usize, wants: Vec<Want>) -> Result<Decided, String> {
        let commands: Vec<Command> =
            wants.iter().map(|want| self.command(want)).collect::<Result<_, _>>().map_err(|refusal| refusal.message)?;
        let asked: Vec<&Command> = commands.iter().collect();
        let loaded = Footprint::load(&self.program, &asked, |footprint| self.store.prefetch(footprint));
        let loaded = loaded.map_err(|error| error.to_string())?;
        let ids = &mut self.nodes[node].ids;
        let mut batch = Batch::new(&self.program, loaded, ids, Timestamp::from_millis(self.now));
        let (mut model, mut forgotten) = (self.model.clone(), Summary::default());
        let mut outcomes = Vec::with_capacity(wants.len());
        for (want, command) in wants.iter().zip(&commands) {
            let outcome = batch.decide(command);
            model.judge(want, &outcome, &mut forgotten).map_err(|problem| format!("{want:?}: {problem}"))?;
            outcomes.push(outcome);
        }
        let summary = &mut self.summary;
        // What changes nothing is counted here; what is accepted when it is committed.
        summary.refused += forgotten.refused;
        summary.replayed += forgotten.replayed;
        summary.sold_out += forgotten.sold_out;
        Ok(Decided { wants, outcomes, changes: batch.finish() })
    }

    /// Commits; decides again when another node was faster.
    fn finish(&mut self, node: usize, mut decided: Decided) -> Result<(), String> {
        for _ in 0..CONFLICT_TRIES {
            if self.commit(&decided)? {
                return Ok(());
            }
            self.summary.conflicts += 1;
            decided = self.decide(node, decided.wants)?;
        }
        if self.commit(&decided)? { Ok(()) } else { Err("a batch conflicts with nobody".to_owned()) }
    }

    /// Commits, and lets the model follow what was accepted: whatever happened since, each answer must still be right.
    /// False: another node was faster.
    fn commit(&mut self, decided: &Decided) -> Result<bool, String> {
        match self.store.commit(&decided.changes) {
            Ok(()) => {}
            Err(StoreError::Conflict) => return Ok(false),
            Err(error) => return Err(format!("the commit failed: {error}")),
        }
        // A batch happens all at once: a unit that one command frees may serve another that was decided before it, when
        // the unit it was decided upon went to another node. How many are promised in the end is compared after.
        self.model.stock_is_open = true;
        for (want, outcome) in decided.wants.iter().zip(&decided.outcomes) {
            if !want.dry && outcome.as_ref().is_ok_and(|reply| !reply.replayed) {
                let judged = self.model.judge(want, outcome, &mut self.summary);
                judged.map_err(|problem| format!("at the commit of {want:?}: {problem}"))?;
            }
        }
        self.model.stock_is_open = false;
        Ok(true)
    }

    /// A commit of a dead node arrives after all. When a client has repeated it meanwhile, it must find no way in.
    fn haunt(&mut self) -> Result<(), String> {
        if self.ghosts.is_empty() {
            return Ok(());
        }
        let index = self.dice.below(self.ghosts.len() as u64) as usize;
        let ghost = self.ghosts.swap_remove(index);
        if self.commit(&ghost)? {
            self.summary.ghosts += 1;
        }
        Ok(())
    }

    fn sequence(&mut self) -> Result<(), String> {
        let done = sequence(&mut self.store, &self.key).map_err(|error| error.to_string())?;
        self.summary.logged += done.leaves as u64;
        Ok(())
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
            if (account.status.name(), &account.merged_from) != (state.status.name(), &state.merged_from()) {
                let stored = (account.status, account.merged_from);
                return Err(format!("{member} is {stored:?}, in the model {:?}", (state.status, state.merged_from())));
            }
            let rank = account.standing.held.as_ref().map_or(0, |held| held.rank);
            if rank != state.rank {
                return Err(format!("{member} holds the tier of rank {rank}, in the model {}", state.rank));
            }
            let agenda = account.agenda.wallet(POINTS);
            let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
            let stored = (agenda.owed, millis(agenda.remind_at), millis(agenda.decay_at));
            if stored != (state.owed, state.remind_at, state.decay_at) {
                let model = (state.owed, state.remind_at, state.decay_at);
                return Err(format!("{member} owes and expects {stored:?}, in the model {model:?}"));
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
        let footprint = Footprint { stock: vec![VOUCHER.to_owned()], orders, ..Footprint::default() };
        let loaded = self.store.prefetch(&footprint).map_err(|error| error.to_string())?;
        let stock = loaded.stock.get(VOUCHER).ok_or("the stock is gone")?;
        let sum = |of| -> i64 {
            let vouchers =
                self.model.orders.values().filter(|order| order.reward == VOUCHER && place(order.state) == of);
            vouchers.map(|order| order.quantity).sum()
        };
        let (reserved, issued) = (sum(Where::Held), sum(Where::Spent));
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

    /// Every member is found by the number that was given, whatever was merged, and by none that was taken away.
    fn compare_references(&mut self) -> Result<(), String> {
        for external in (0..MEMBERS * 4).map(|number| format!("C-{number}")) {
            let reference = test_keyring().reference(RefKind::ExternalId, &external);
            let footprint = Footprint { references: vec![reference.clone()], ..Footprint::default() };
            let loaded = self.store.prefetch(&footprint).map_err(|error| error.to_string())?;
            let found = loaded.references.get(&reference).map(|member| member.0);
            let expected = self.model.externals.get(&external).map(|member| self.model.survivor(*member));
            if found != expected {
                return Err(format!("{external} leads to {found:?}, in the model to {expected:?}"));
            }
        }
        self.compare_profiles()
    }

    fn compare_profiles(&mut self) -> Result<(), String> {
        let profiles = self.model.members.keys().map(|member| MemberId(*member)).collect();
        let footprint = Footprint { profiles, ..Footprint::default() };
        let loaded = self.store.prefetch(&footprint).map_err(|error| error.to_string())?;
        for (member, state) in &self.model.members {
            let member = MemberId(*member);
            if loaded.profiles.get(&member) != Some(&sealed(member, &state.external).version()) {
                return Err(format!("{member} has another profile than that with {}", state.external));
            }
        }
        Ok(())
    }

    /// Everyone asks again until all is answered; then the journal must tell the same story as the rows.
    fn settle(&mut self) -> Result<(), String> {
        for node in 0..NODES {
            if let Some(decided) = self.nodes[node].batch.take() {
                self.finish(node, decided)?;
            }
        }
        let left = std::mem::take(&mut self.unanswered);
        for want in left {
            self.now += 1;
            let want = self.address(want);
            let decided = self.decide(0, vec![want])?;
            self.finish(0, decided)?;
        }
        while !self.ghosts.is_empty() {
            self.haunt()?;
        }
        self.sequence()?;
        self.compare()?;
        self.compare_references()?;
        let keys: Vec<(MemberId, String)> =
            self.model.answers.keys().map(|(member, key)| (MemberId(*member), key.clone())).collect();
        let footprint = Footprint { keys, ..Footprint::default() };
        let loaded = self.store.prefetch(&footprint).map_err(|error| error.to_string())?;
        for ((member, key), answer) in &self.model.answers {
            let stored = loaded.committed.get(&(MemberId(*member), key.clone()));
            if stored.is_none_or(|stored| *stored.receipt != answer.receipt) {
                return Err(format!("{key} was acknowledged as {}, but the store says {stored:?}", answer.receipt));
            }
        }
        let report = verify(&mut self.store).map_err(|error| error.to_string())?;
        if report.wrong > 0 {
            return Err(format!("verify finds {:?}", report.findings));
        }
        // A merge has an entry on each of its accounts, and one answer.
        let entries = self.model.answers.len() as u64 + self.summary.merged;
        if report.transactions != entries {
            let problem = format!("{} transactions where there should be {entries}", report.transactions);
            return Err(problem);
        }
        Ok(())
    }
}
