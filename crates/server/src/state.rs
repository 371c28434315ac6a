//! What every handler shares.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use guerdon_core::program::Program;
use guerdon_core::time::Timestamp;
use guerdon_store::EngineHandle;
use guerdon_store::read::Reader;

use crate::identity::directory::Directory;

/// Shared by all handlers; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The way of every command.
    pub engine: EngineHandle,
    /// The way of every query.
    pub reader: Reader,
    /// Who is behind a credential.
    pub directory: Arc<Directory>,
}

impl AppState {
    /// The program in force.
    pub fn program(&self) -> Arc<Program> {
        self.engine.program()
    }

    /// The machine's clock, by which sessions, keys and audit events are dated; the program's own may be set back.
    pub fn clock(&self) -> Timestamp {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }
}
