//! A store with a program, for tests that write records.

use std::sync::Arc;

use guerdon_core::privacy::Keyring;
use guerdon_core::program::Bundle;
use guerdon_core::time::Timestamp;
use guerdon_store::read::Reader;
use guerdon_store::{DataDir, Engine, EngineHandle, SqliteStore, publish};
use tempfile::TempDir;

use crate::identity::directory::Directory;
use crate::identity::people::People;
use crate::messages::Post;
use crate::outbound::{Outbound, OutboundOptions};
use crate::{AppState, SharedKeyring};

/// 2027-01-15T08:00:00Z.
pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// What is dropped with the test.
pub struct Scratch {
    pub engine: EngineHandle,
    pub reader: Reader,
    _keep: (Engine<SqliteStore>, TempDir),
}

pub async fn scratch() -> Scratch {
    scratch_of(include_str!("../../../../programs/gift-club.toml")).await
}

/// The same with another program.
pub async fn scratch_of(program: &str) -> Scratch {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(DataDir::create(folder.path()).unwrap()).unwrap();
    let bundle = Bundle::parse(program).unwrap();
    publish(&mut store, &bundle, NOW).unwrap();
    let engine = Engine::start(store).unwrap();
    let reader = Reader::open(folder.path()).await.unwrap();
    Scratch { engine: engine.handle(), reader, _keep: (engine, folder) }
}

/// What handlers share, over a store: a key of the environment is not set, and people come without TLS.
pub fn state(scratch: &Scratch, keyring: Keyring, post: Post) -> AppState {
    AppState {
        engine: scratch.engine.clone(),
        reader: scratch.reader.clone(),
        directory: Arc::new(Directory::new(None)),
        people: Arc::new(People::new(None, false, "Gift Club", &keyring).unwrap()),
        keyring: SharedKeyring::new(keyring),
        post,
        sso: Arc::default(),
        outbound: Outbound::new(OutboundOptions::default()),
        catalogue: Arc::default(),
        demand: Arc::default(),
        payments: crate::payments::Payments::default(),
    }
}
