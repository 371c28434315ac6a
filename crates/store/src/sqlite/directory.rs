//! The data directory: its lock, its database file and the version of its schema.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::store_error;
use crate::StoreError;

/// Migrations, oldest first: the schema version is how many have run.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("log.sql"),
    include_str!("record.sql"),
    include_str!("sealed.sql"),
    include_str!("merge.sql"),
    include_str!("budget.sql"),
    include_str!("event.sql"),
    include_str!("order.sql"),
    include_str!("demand.sql"),
    include_str!("code.sql"),
    include_str!("benefit.sql"),
    include_str!("checkout.sql"),
    include_str!("scarcity.sql"),
    include_str!("restock.sql"),
];

/// A data directory that this process alone writes to, until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the directory where needed, for its owner alone, and locks it.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        create_private(path).map_err(|error| unusable(path, "cannot be created", &error))?;
        Self::lock(path)
    }

    /// Locks a directory that holds a database.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        check_exists(path)?;
        Self::lock(path)
    }

    fn lock(path: &Path) -> Result<Self, StoreError> {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(|error| unusable(path, "cannot be written to", &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Unusable(format!(
                "{} is in use by another guerdon process; stop it or choose another --data-dir",
                path.display()
            ))),
            Err(std::fs::TryLockError::Error(error)) => Err(unusable(path, "cannot be locked", &error)),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the database for writing and brings its schema up to date.
    pub(super) fn connect(&self) -> Result<Connection, StoreError> {
        let file = database_file(&self.path);
        let mut connection = Connection::open(&file).map_err(store_error)?;
        // Each commit that splits a page walks the whole page cache, so a larger one costs more than it spares. The log
        // shrinks when it starts anew, because its length tells the checkpointer how much there is to copy. What is
        // deleted is overwritten where that costs no write of its own; where it must be gone more is done.
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
                 PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;
                 PRAGMA busy_timeout = 5000; PRAGMA secure_delete = FAST;",
            )
            .map_err(store_error)?;
        migrate(&mut connection)?;
        Ok(connection)
    }

    /// Opens the database of a directory for reading beside a writer.
    pub(super) fn connect_read_only(path: &Path) -> Result<Connection, StoreError> {
        check_exists(path)?;
        let connection =
            Connection::open_with_flags(database_file(path), OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(store_error)?;
        let version = schema_version(&connection)?;
        if version != MIGRATIONS.len() {
            let problem = format!(
                "the database has schema {version}, this binary reads {}; run the matching version of guerdon",
                MIGRATIONS.len()
            );
            return Err(StoreError::Unusable(problem));
        }
        Ok(connection)
    }
}

/// Creates a directory, with those that it lies in, that nobody but its owner may enter. One that is there stays as it is.
pub fn create_private(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// The database file of a data directory.
pub(crate) fn database_file(path: &Path) -> PathBuf {
    path.join("guerdon.db")
}

fn check_exists(path: &Path) -> Result<(), StoreError> {
    if database_file(path).is_file() {
        return Ok(());
    }
    Err(StoreError::Unusable(format!(
        "{} holds no guerdon data; run `guerdon init --data-dir {0}` first",
        path.display()
    )))
}

fn unusable(path: &Path, what: &str, error: &std::io::Error) -> StoreError {
    StoreError::Unusable(format!("the data directory {} {what}: {error}", path.display()))
}

fn schema_version(connection: &Connection) -> Result<usize, StoreError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(store_error)?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let version = schema_version(connection)?;
    if version > MIGRATIONS.len() {
        return Err(StoreError::Unusable(format!(
            "the database has schema {version}, but this older binary knows only {}; install a newer guerdon",
            MIGRATIONS.len()
        )));
    }
    for (done, migration) in MIGRATIONS.iter().enumerate().skip(version) {
        let transaction = connection.transaction().map_err(store_error)?;
        transaction.execute_batch(migration).map_err(store_error)?;
        transaction.pragma_update(None, "user_version", done as i64 + 1).map_err(store_error)?;
        transaction.commit().map_err(store_error)?;
    }
    Ok(())
}
