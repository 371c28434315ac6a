//! A store with a program, for tests that write records.

use guerdon_core::program::Bundle;
use guerdon_core::time::Timestamp;
use guerdon_store::read::Reader;
use guerdon_store::{DataDir, Engine, EngineHandle, SqliteStore, publish};
use tempfile::TempDir;

/// 2027-01-15T08:00:00Z.
pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// What is dropped with the test.
pub struct Scratch {
    pub engine: EngineHandle,
    pub reader: Reader,
    _keep: (Engine<SqliteStore>, TempDir),
}

pub async fn scratch() -> Scratch {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(DataDir::create(folder.path()).unwrap()).unwrap();
    let bundle = Bundle::parse(include_str!("../../../../programs/gift-club.toml")).unwrap();
    publish(&mut store, &bundle, NOW).unwrap();
    let engine = Engine::start(store).unwrap();
    let reader = Reader::open(folder.path()).await.unwrap();
    Scratch { engine: engine.handle(), reader, _keep: (engine, folder) }
}
