//! What every handler shares.

use std::sync::Arc;

use guerdon_core::program::Program;
use guerdon_store::EngineHandle;
use guerdon_store::read::Reader;

/// Shared by all handlers; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The way of every command.
    pub engine: EngineHandle,
    /// The way of every query.
    pub reader: Reader,
}

impl AppState {
    /// The program in force.
    pub fn program(&self) -> Arc<Program> {
        self.engine.program()
    }
}
