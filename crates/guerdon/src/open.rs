//! Opens data directories and starts engines over them.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use guerdon_core::program::Program;
use guerdon_store::{DataDir, Engine, SqliteStore, load_program};

/// The key under which a replayed directory keeps how far its clock is set back, in milliseconds.
pub const CLOCK_OFFSET: &str = "clock_offset_ms";

/// A data directory open for writing, and its program.
pub fn open(directory: &Path) -> Result<(SqliteStore, Arc<Program>)> {
    let mut store = SqliteStore::open(DataDir::open(directory)?)?;
    let program = Arc::new(load_program(&mut store)?);
    Ok((store, program))
}

/// Starts the engine of an open store, with the clock of its directory.
pub fn start(store: SqliteStore, program: Arc<Program>) -> Result<Engine<SqliteStore>> {
    let offset = store.meta(CLOCK_OFFSET)?.and_then(|text| text.parse().ok()).unwrap_or(0);
    let engine = Engine::start(store, program, 0)?;
    engine.handle().set_clock_offset(offset);
    Ok(engine)
}

/// The machine's clock.
pub fn system_now() -> guerdon_core::time::Timestamp {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    guerdon_core::time::Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
