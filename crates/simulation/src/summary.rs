//! What runs did: what is asserted of it shows that they do what they are for.

use std::collections::BTreeMap;

/// What a run did.
#[derive(Debug, Default, Clone)]
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
    /// Pairs of accounts that were merged.
    pub merged: u64,
    /// How often something happened, or how much of it, by its name.
    pub noted: BTreeMap<&'static str, i64>,
    /// How often something was refused, by its name and the code.
    pub refusals: BTreeMap<(&'static str, &'static str), u64>,
    /// How often a fulfilment went from one thing that it did to the next, and how often its node died in between.
    pub crossed: BTreeMap<(&'static str, &'static str), (u64, u64)>,
}

impl Summary {
    /// Both runs together.
    pub fn plus(mut self, other: &Self) -> Self {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.replayed += other.replayed;
        self.crashes += other.crashes;
        self.conflicts += other.conflicts;
        self.ghosts += other.ghosts;
        self.logged += other.logged;
        self.merged += other.merged;
        other.noted.iter().for_each(|(what, how_much)| self.note(what, *how_much));
        self.add_refusals(other);
        for (between, (passed, died)) in &other.crossed {
            let sum = self.crossed.entry(*between).or_default();
            *sum = (sum.0 + passed, sum.1 + died);
        }
        self
    }

    /// Notes that a fulfilment went on from what it did last, or that its node died before.
    pub(crate) fn cross(&mut self, last: &'static str, next: &'static str, died: bool) {
        let crossed = self.crossed.entry((last, next)).or_default();
        if died {
            crossed.1 += 1;
        } else {
            crossed.0 += 1;
        }
    }

    pub(crate) fn note(&mut self, what: &'static str, how_much: i64) {
        *self.noted.entry(what).or_default() += how_much;
    }

    pub(crate) fn add_refusals(&mut self, other: &Self) {
        for (what, times) in &other.refusals {
            *self.refusals.entry(*what).or_default() += times;
        }
    }

    /// How often something happened, or how much of it.
    pub fn count(&self, what: &str) -> u64 {
        u64::try_from(self.noted.get(what).copied().unwrap_or_default()).unwrap_or_default()
    }

    /// How often something was refused with a code.
    pub fn refusals_of(&self, what: &str, code: &str) -> u64 {
        self.refusals.iter().filter(|((known, with), _)| *known == what && *with == code).map(|(_, times)| times).sum()
    }

    /// How often anything was refused with a code.
    pub fn refused_as(&self, code: &str) -> u64 {
        self.refusals.iter().filter(|((_, with), _)| *with == code).map(|(_, times)| times).sum()
    }
}
