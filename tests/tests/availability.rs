//! Whether a database is there: what is asked beside everything else, and what callers hear while nothing can be written.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use guerdon_core::kernel::Command;
use guerdon_store::read::Reader;
use guerdon_store::{CommandError, DataDir, EngineHandle, Record, RecordChange, SqliteStore, publish};
use guerdon_tests::*;

#[tokio::test]
async fn a_database_file_that_is_gone_or_another_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let _store = SqliteStore::open(DataDir::create(folder.path()).unwrap()).unwrap();
    let reader = Reader::open(folder.path()).await.unwrap();
    let mut probe = reader.probe();
    probe.ask().await.unwrap();
    probe.ask().await.unwrap();
    let file = folder.path().join("guerdon.db");
    let aside = folder.path().join("aside");
    std::fs::rename(&file, &aside).unwrap();
    assert!(probe.ask().await.unwrap_err().is_away(), "it is gone");
    std::fs::copy(&aside, &file).unwrap();
    assert!(probe.ask().await.unwrap_err().is_away(), "a copy is not the one that is written");
    std::fs::rename(&aside, &file).unwrap();
    probe.ask().await.unwrap();
    reader.close().await;
    let closed = reader.ping().await.unwrap_err();
    assert!(closed.is_away(), "{closed}");
}

async fn write(engine: &EngineHandle, id: &str) -> Result<(), CommandError> {
    let change = RecordChange::Put(Record::new("note", id, "", &"x").unwrap());
    engine.write_records(vec![change], Vec::new()).await
}

#[test]
fn while_a_database_is_locked_one_waits_for_it_and_the_others_are_refused_at_once() {
    let (mut store, keep) = Sqlite::fresh();
    let file = keep.path().join("guerdon.db");
    publish(&mut store, &bundle(), today()).unwrap();
    let mut house = House::<Sqlite>::over(store, keep);
    let member = house.member();
    let commands: Vec<Command> = (0..6).map(|_| house.adjust(member, 10)).collect();
    let engine = house.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        write(&engine, "before").await.unwrap();
        let other = rusqlite::Connection::open(file).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        for (number, command) in commands.iter().enumerate() {
            let asked = Instant::now();
            let refused = engine.submit_one(command.clone()).await;
            let took = asked.elapsed();
            let Err(CommandError::Unavailable(words)) = refused else { panic!("{refused:?}") };
            match number {
                0 => assert!(took > Duration::from_secs(4), "it waits for the lock: {took:?}"),
                _ => assert!(took < Duration::from_millis(200) && words.contains("same idempotency key"), "{took:?}"),
            }
        }
        let asked = Instant::now();
        assert!(matches!(write(&engine, "refused").await, Err(CommandError::Unavailable(_))));
        assert!(asked.elapsed() < Duration::from_millis(200), "records wait no more than commands");

        other.execute_batch("ROLLBACK").unwrap();
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        for command in commands {
            engine.submit_one(command).await.unwrap();
        }
        write(&engine, "after").await.unwrap();
    });
    drop(engine);
    house.close();
}
