//! What a file holds, read and checked, and how it is sent.

use anyhow::Result;
use guerdon_core::members::Profile;
use guerdon_core::privacy::Keyring;
use guerdon_core::program::Program;
use guerdon_store::EngineHandle;

use crate::mapping::{Kind, Mapping};
use crate::members::read_members;
use crate::purchases::{Purchases, read_purchases};
use crate::rows::Source;
use crate::run::{MemberDirectory, Report, RowProblem, run};
use crate::steps::{member_step, purchase_steps};

/// What a file holds.
pub enum Found {
    /// Members: each with the number of its row.
    Members(Vec<(u64, Profile)>),
    /// Purchases and returns.
    Purchases(Purchases),
}

impl Found {
    /// Reads a file as its mapping says. `progress` hears how many rows were read.
    pub fn read(program: &Program, mapping: &Mapping, source: &Source, progress: &dyn Fn(u64)) -> Result<Self> {
        Ok(match mapping.kind {
            Kind::Members => Self::Members(read_members(mapping, source, progress)?),
            Kind::Purchases => Self::Purchases(read_purchases(program, mapping, source, progress)?),
        })
    }

    /// How many members, or purchases and returns, there are.
    pub fn count(&self) -> u64 {
        match self {
            Self::Members(members) => members.len() as u64,
            Self::Purchases(found) => found.purchases.len() as u64,
        }
    }

    /// How many rows were read.
    pub fn rows(&self) -> u64 {
        match self {
            Self::Members(members) => members.len() as u64,
            Self::Purchases(found) => found.rows,
        }
    }

    /// The rows that could not be read.
    pub fn problems(&self) -> &[RowProblem] {
        match self {
            Self::Members(_) => &[],
            Self::Purchases(found) => &found.problems,
        }
    }

    /// Sends everything in order, and reports what became of it, together with the rows that could not be read.
    /// `progress` hears how many commands are done, and says whether to go on. Blocks.
    pub fn send(
        self,
        engine: &EngineHandle,
        keyring: &Keyring,
        mapping: &Mapping,
        progress: &dyn Fn(u64) -> bool,
    ) -> Result<Report> {
        match self {
            Self::Members(members) => {
                let steps = members.into_iter().map(|(row, profile)| member_step(engine, keyring, row, &profile));
                run(engine, steps, progress)
            }
            Self::Purchases(found) => {
                let numbers = found.purchases.iter().map(|purchase| purchase.member.as_str());
                let mut members = MemberDirectory::load(engine, keyring, numbers)?;
                let enrol = mapping.enrol_unknown_members;
                let purchases = found.purchases.into_iter();
                let steps =
                    purchases.flat_map(|purchase| purchase_steps(engine, keyring, &mut members, purchase, enrol));
                let mut report = run(engine, steps, progress)?;
                report.problems.extend(found.problems);
                report.problems.sort_by_key(|problem| problem.row);
                Ok(report)
            }
        }
    }
}
