//! Fulfilments, step by step: nodes at the same orders, each of which does one thing and then lets the others; people and clocks in
//! between; suppliers that misbehave; and crashes before and after everything that is done.
//!
//! The steps are those of `guerdon-fulfilment`, which the server runs; the moves of orders go through the kernel, and the model judges
//! them as in all other runs.

mod acting;
pub(crate) mod catalogue;
mod doing;
mod ends;
mod invariants;
mod partner;
mod people;
mod scenarios;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use guerdon_core::program::Program;
use guerdon_store::RamStore;

use crate::fulfilment::acting::{Effect, Task};
use crate::fulfilment::catalogue::{CARDS, EXPIRES, PHONE};
use crate::fulfilment::partner::{Callback, Partner};
use crate::model::Model;
use crate::summary::Summary;
use crate::world::{HOUR, NODES, Theme, World, program_text};

pub use scenarios::{Ended, SCENARIOS, Scenario, run_scenario};

/// Steps of a run before everybody has time enough.
const STEPS: u64 = 400;

/// Kinds of runs by the steps between which nodes die above all, and how often they do so in one.
const DOOMS: u64 = 8;
const DEATHS: u32 = 25;

/// Runs a seed of fulfilments on a store in RAM.
pub fn run_fulfilments(seed: u64) -> Result<Summary, String> {
    let mut run = Fulfilments::new(seed)?;
    run.open()?;
    for step in 0..STEPS {
        run.step().map_err(|problem| format!("step {step}: {problem}"))?;
    }
    run.settle().map_err(|problem| format!("at the end: {problem}"))?;
    Ok(run.world.summary)
}

/// A run of fulfilments.
pub(crate) struct Fulfilments {
    pub(crate) world: World<RamStore>,
    program: Arc<Program>,
    partners: BTreeMap<&'static str, Partner>,
    tasks: Vec<Task>,
    /// What was on its way when its node died.
    late: Vec<Effect>,
    callbacks: Vec<Callback>,
    /// How far the clock of each node is ahead.
    skews: [i64; NODES],
    /// What people were told: of which key, what.
    told: BTreeSet<(String, String)>,
    /// Codes that were put into the vault.
    uploaded: i64,
    /// Orders that were handed over at some time.
    seen: BTreeSet<i64>,
    /// Whether nodes die, and suppliers are short of places.
    is_rough: bool,
    /// Between which steps nodes die above all, so that all come to it over the seeds; `None`: by chance alone.
    doomed: Option<u64>,
    /// How often they may yet, so that a run comes to its end.
    deaths_left: u32,
    /// Which thing that changes something is the last one of its node, and what becomes of it.
    crash: Option<(usize, End)>,
    /// Things done that change something.
    done: usize,
    /// The node that goes on.
    node: usize,
    /// Whether the staff calls off what a supplier was asked for.
    calls_off: bool,
}

/// What becomes of what a node was about to do when it died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was not done.
    Lost,
    /// It was done, and nobody heard of it.
    Done,
    /// It is done later.
    Late,
}

impl Fulfilments {
    fn new(seed: u64) -> Result<Self, String> {
        let text = program_text(false, crate::offline::Offline::default()) + catalogue::AUTOMATIC;
        let model = Model { expires: Some(EXPIRES), ..Model::default() };
        let mut world = World::new(seed, RamStore::new(), (&text, Theme::Fulfilments), model)?;
        let program = Arc::clone(&world.program);
        let skews = std::array::from_fn(|_| world.dice.between(-2_000, 2_000));
        let partners = [(PHONE, Partner::new(PHONE, true, false)), (CARDS, Partner::new(CARDS, false, true))];
        Ok(Self {
            world,
            program,
            partners: partners.into(),
            tasks: Vec::new(),
            late: Vec::new(),
            callbacks: Vec::new(),
            skews,
            told: BTreeSet::new(),
            uploaded: 0,
            seen: BTreeSet::new(),
            is_rough: true,
            doomed: Some(seed % DOOMS),
            deaths_left: DEATHS,
            crash: None,
            done: 0,
            node: 0,
            calls_off: false,
        })
    }

    /// One node does its next thing, or dies, or something happens beside.
    fn step(&mut self) -> Result<(), String> {
        let dice = &mut self.world.dice;
        self.world.now += match dice.below(400) {
            0..380 => dice.between(0, 800),
            380..396 => dice.between(10_000, 11 * 60_000),
            396..399 => dice.between(HOUR, 30 * HOUR),
            _ => dice.between(40 * HOUR, 100 * HOUR),
        };
        match self.world.dice.below(1_000) {
            0..40 => self.people_act()?,
            40..45 => self.suppliers_change(),
            45..55 => self.time_ends_orders()?,
            55..75 => self.something_arrives()?,
            75..135 => self.start_call(),
            135..235 => self.start_going_on(),
            235..265 => self.start_tidying(),
            265..285 => self.some_node_dies()?,
            _ => self.some_task_goes_on()?,
        }
        self.compare()
    }

    /// What was on its way when its node died comes late.
    fn something_arrives(&mut self) -> Result<(), String> {
        self.world.haunt()?;
        if !self.late.is_empty() {
            let index = self.world.dice.below(self.late.len() as u64) as usize;
            let effect = self.late.swap_remove(index);
            self.perform(0, effect, self.world.now)?;
            self.world.summary.note("effects of dead nodes that arrived", 1);
        }
        Ok(())
    }

    /// Suppliers go away for a while, are called no longer for a while, and now and then for ever.
    fn suppliers_change(&mut self) {
        let dice = &mut self.world.dice;
        let name = dice.one_of(&[PHONE, CARDS]);
        let Some(partner) = self.partners.get_mut(name) else { return };
        match dice.below(20) {
            0..9 => {
                partner.away_until = self.world.now + dice.between(60_000, 3 * HOUR);
                self.world.summary.note("suppliers away", 1);
            }
            9..12 => {
                partner.away_until = self.world.now + dice.between(20 * HOUR, 40 * HOUR);
                self.world.summary.note("suppliers away for long", 1);
            }
            12..19 => {
                if let Some(terms) = &mut partner.terms {
                    terms.active = !terms.active;
                    self.world.summary.note("suppliers called no longer, or again", 1);
                }
            }
            _ => {
                if partner.terms.take().is_some() {
                    self.world.summary.note("suppliers forgotten", 1);
                }
            }
        }
    }
}
