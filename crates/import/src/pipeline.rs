//! Jobs on their way to the engine, settled in order.

use std::collections::VecDeque;

use anyhow::Result;
use guerdon_core::kernel::Command;
use guerdon_store::{Answer, EngineHandle, Outcome};

/// Keeps the writer busy: sends jobs ahead, and hears their outcomes in the order in which they were sent.
pub struct Pipeline<'a, L> {
    engine: &'a EngineHandle,
    ahead: VecDeque<(L, Answer)>,
}

impl<'a, L> Pipeline<'a, L> {
    /// An empty pipeline.
    pub fn new(engine: &'a EngineHandle) -> Self {
        Self { engine, ahead: VecDeque::new() }
    }

    /// Sends a job, labelled for when its outcomes come.
    pub fn send(&mut self, label: L, commands: Vec<Command>) {
        self.ahead.push_back((label, self.engine.submit_blocking(commands)));
    }

    /// Waits until at most `most` jobs are on their way.
    pub fn settle(&mut self, most: usize, mut done: impl FnMut(L, Vec<Outcome>) -> Result<()>) -> Result<()> {
        while self.ahead.len() > most {
            if let Some((label, answer)) = self.ahead.pop_front() {
                done(label, answer.blocking_receive())?;
            }
        }
        Ok(())
    }
}
