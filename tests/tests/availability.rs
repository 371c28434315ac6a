//! Whether a database is there: what is asked beside everything else.

use guerdon_store::read::Reader;
use guerdon_store::{DataDir, SqliteStore};

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
