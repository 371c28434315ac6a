//! Nodes over one database, and the clients that ask them.
//!
//! Clients send random commands, repeat them, mix up their order and reuse their keys. Several nodes load, decide and
//! commit, and their steps mix in any order; a node dies between any two of them; a commit that was on its way when its
//! node died arrives later, or never. The database is a store in RAM that keeps to what the kernel asks of a
//! serializable one: all or nothing, and refused when a row that was read has changed. The clock jumps. A model says
//! what every answer and every row must be. One seed is one run, and replays exactly.

use std::collections::BTreeMap;
use std::sync::Arc;

use guerdon_core::id::IdGenerator;
use guerdon_core::kernel::{Batch, Changes, Command, Footprint};
use guerdon_core::program::{Bundle, Program};
use guerdon_core::proofs::SigningKey;
use guerdon_core::time::Timestamp;
use guerdon_store::{
    CodeUpload, CodesAdded, RamStore, RecordChange, Store, StoreError, load_program, publish, sequence, start_log,
};

use crate::catalogue::SHELVES;
use crate::dice::Dice;
use crate::fixtures::{PROGRAM, TIERS};
use crate::life::LIFE;
use crate::model::{Model, Outcome};
use crate::offline::Offline;
use crate::shelf;
use crate::summary::Summary;
use crate::till::TILLS;
use crate::wishes::Want;

const STEPS: u64 = 50;
pub(crate) const NODES: usize = 3;
pub(crate) const MEMBERS: u64 = 5;
/// Scarce enough that a run sells it out.
pub(crate) const VOUCHERS: i64 = 2;
pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const DAY: i64 = 24 * HOUR;
pub(crate) const SKEW: i64 = 5 * 60_000;
/// 2026-03-10T09:00:00Z.
pub(crate) const START: i64 = 1_773_133_200_000;
/// How often a batch is decided again at once because another node was faster: nothing comes between, so once is enough.
const CONFLICT_TRIES: usize = 2;

/// Runs a seed on a store in RAM.
pub fn run(seed: u64) -> Result<Summary, String> {
    run_on(seed, RamStore::new())
}

/// Runs a seed on an empty store; a store with a defect makes it fail.
pub fn run_on(seed: u64, store: impl Store) -> Result<Summary, String> {
    let lives = seed % 2 == 1;
    let theme = [Theme::Plain, Theme::Shop, Theme::Tills][(seed / 2 % 3) as usize];
    let offline = Offline { reserve: (seed / 6).is_multiple_of(2), owe: (seed / 12).is_multiple_of(2) };
    let model = Model { lives, offline, ..Model::default() };
    let mut world = World::new(seed, store, (&program_text(lives, offline), theme), model)?;
    for step in 0..STEPS {
        world.step().map_err(|problem| format!("step {step}: {problem}"))?;
    }
    world.settle().map_err(|problem| format!("at the end: {problem}"))?;
    Ok(world.summary)
}

/// The program of a run: that of all tests, few vouchers, and everything that is scarce.
pub(crate) fn program_text(lives: bool, offline: Offline) -> String {
    let mut text = PROGRAM.replace("stock = 100", &format!("stock = {VOUCHERS}")) + TIERS + SHELVES + TILLS;
    text += &offline.text();
    if lives {
        text = text.replacen("\n[[rules]]", &format!("{LIFE}\n[[rules]]"), 1);
    }
    text
}

/// What a run is about besides what members do in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    Plain,
    /// What is scarce, vouchers, and money.
    Shop,
    /// Points at tills.
    Tills,
    /// What the program hands out by itself.
    Fulfilments,
}

/// A batch that was decided but not committed yet.
pub(crate) struct Decided {
    wants: Vec<Want>,
    commands: Vec<Command>,
    pub(crate) outcomes: Vec<Outcome>,
    changes: Changes,
    /// What the new orders take, as the model has it.
    takes: BTreeMap<i64, Vec<(String, i64)>>,
}

/// A node of the cluster: it works on one batch at a time.
struct Node {
    number: u16,
    ids: IdGenerator,
    batch: Option<Decided>,
}

pub(crate) struct World<S> {
    pub(crate) dice: Dice,
    pub(crate) store: S,
    pub(crate) program: Arc<Program>,
    pub(crate) theme: Theme,
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
    pub(crate) summary: Summary,
    /// Whether something was committed since it was last compared.
    pub(crate) is_changed: bool,
}

impl<S: Store> World<S> {
    /// An empty world with a program, and what its model knows of it.
    pub(crate) fn new(seed: u64, mut store: S, (program, theme): (&str, Theme), model: Model) -> Result<Self, String> {
        publish(&mut store, &Bundle::parse(program)?, Timestamp::from_millis(START))
            .map_err(|error| error.to_string())?;
        let program = load_program(&mut store).map_err(|error| error.to_string())?;
        start_log(&mut store, &SigningKey::new("guerdon/simulation", &[7; 32])).map_err(|error| error.to_string())?;
        let node = |number| Node { number, ids: IdGenerator::new(number), batch: None };
        Ok(Self {
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d),
            store,
            program: Arc::new(program),
            theme,
            nodes: (1..=NODES as u16).map(node).collect(),
            ghosts: Vec::new(),
            key: SigningKey::new("guerdon/simulation", &[7; 32]),
            model: Model { shelves: shelf::first(), ..model },
            now: START,
            unanswered: Vec::new(),
            sent: Vec::new(),
            next_key: 0,
            next_member: 100,
            summary: Summary::default(),
            is_changed: false,
        })
    }

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
    pub(crate) fn die(&mut self, node: usize, wants: Vec<Want>) {
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
        self.decide_commands(node, wants, commands)
    }

    /// The same of wishes of which the commands are made.
    pub(crate) fn decide_commands(
        &mut self,
        node: usize,
        wants: Vec<Want>,
        commands: Vec<Command>,
    ) -> Result<Decided, String> {
        let asked: Vec<&Command> = commands.iter().collect();
        let loaded = Footprint::load(&self.program, &asked, |footprint| self.store.prefetch(footprint));
        let loaded = loaded.map_err(|error| error.to_string())?;
        let ids = &mut self.nodes[node].ids;
        let mut batch = Batch::new(&self.program, loaded, ids, Timestamp::from_millis(self.now));
        let (mut model, mut forgotten) = (self.model.clone(), Summary::default());
        let mut outcomes = Vec::with_capacity(wants.len());
        for (want, command) in wants.iter().zip(&commands) {
            let outcome = Outcome::of(batch.decide(command))?;
            model.judge(want, &outcome, &mut forgotten).map_err(|problem| format!("{want:?}: {problem}"))?;
            outcomes.push(outcome);
        }
        let summary = &mut self.summary;
        // What changes nothing is counted here; what is accepted when it is committed.
        summary.refused += forgotten.refused;
        summary.replayed += forgotten.replayed;
        summary.add_refusals(&forgotten);
        let new = model.orders.into_iter().filter(|(id, _)| !self.model.orders.contains_key(id));
        let takes = new.map(|(id, order)| (id, order.takes)).collect();
        let changes = batch.finish();
        Ok(Decided { wants, commands, outcomes, changes, takes })
    }

    /// Commits; decides again when another node was faster.
    fn finish(&mut self, node: usize, mut decided: Decided) -> Result<(), String> {
        for _ in 0..CONFLICT_TRIES {
            if self.commit(&decided)? {
                return Ok(());
            }
            self.summary.conflicts += 1;
            decided = self.decide_commands(node, decided.wants, decided.commands)?;
        }
        if self.commit(&decided)? { Ok(()) } else { Err("a batch conflicts with nobody".to_owned()) }
    }

    /// Commits, and lets the model follow what was accepted: whatever happened since, each answer must still be right.
    /// False: another node was faster.
    pub(crate) fn commit(&mut self, decided: &Decided) -> Result<bool, String> {
        match self.store.commit(&decided.changes) {
            Ok(()) => {}
            Err(StoreError::Conflict) => return Ok(false),
            Err(error) => return Err(format!("the commit failed: {error}")),
        }
        self.is_changed = true;
        // Of which pool an order takes was decided over what was there then.
        self.model.stock_is_open = true;
        self.model.foreseen.clone_from(&decided.takes);
        for (want, outcome) in decided.wants.iter().zip(&decided.outcomes) {
            if !want.dry && outcome.answer.as_ref().is_ok_and(|reply| !reply.replayed) {
                let judged = self.model.judge(want, outcome, &mut self.summary);
                judged.map_err(|problem| format!("at the commit of {want:?}: {problem}"))?;
            }
        }
        self.model.stock_is_open = false;
        self.model.foreseen.clear();
        Ok(true)
    }

    /// A commit of a dead node arrives after all. When a client has repeated it meanwhile, it must find no way in.
    pub(crate) fn haunt(&mut self) -> Result<(), String> {
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

    /// A commit that is on its way though its node has died.
    pub(crate) fn push_ghost(&mut self, decided: Decided) {
        self.ghosts.push(decided);
    }

    pub(crate) fn has_ghosts(&self) -> bool {
        !self.ghosts.is_empty()
    }

    /// What one client wants, decided and committed with nothing in between.
    pub(crate) fn send(&mut self, want: Want) -> Result<(), String> {
        let want = self.address(want);
        let decided = self.decide(0, vec![want])?;
        self.finish(0, decided)
    }

    /// Writes records as a node does.
    pub(crate) fn write_records(
        &mut self,
        node: usize,
        changes: &[RecordChange],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.store.write_records(changes, &[], at, &mut self.nodes[node].ids)
    }

    /// Puts codes into the vault.
    pub(crate) fn add_codes(&mut self, upload: &CodeUpload) -> Result<CodesAdded, StoreError> {
        self.store.add_codes(upload, &[], &mut self.nodes[0].ids)
    }

    fn sequence(&mut self) -> Result<(), String> {
        let done = sequence(&mut self.store, &self.key).map_err(|error| error.to_string())?;
        self.summary.logged += done.leaves as u64;
        Ok(())
    }

    /// Everyone asks again until all is answered; then the journal must tell the same story as the rows.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
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
        self.compare_at_the_end()
    }
}
