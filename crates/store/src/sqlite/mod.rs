//! The embedded store: SQLite in WAL mode with `synchronous=FULL`, one writer.

mod backup;
mod bare;
mod budget;
mod code;
mod directory;
mod feed;
mod log;
mod members;
mod merge;
mod record;
mod rewound;
mod store;

pub use backup::{Rewound, backup, rewind};
pub use bare::BareEngine;
pub(crate) use directory::database_file;
pub use directory::{DataDir, create_private};
pub use store::SqliteStore;

use crate::StoreError;

/// Maps an SQLite error to what the caller can do about it.
fn store_error(error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode;
    let message = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            StoreError::Unavailable("the disk is full; free some space and try again".to_owned())
        }
        Some(ErrorCode::ReadOnly) => StoreError::Unavailable(format!("the data directory is read-only ({message})")),
        Some(
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked,
        ) => StoreError::Unavailable(message),
        // A row that another writer has inserted since it was looked for; other constraints are defects.
        Some(ErrorCode::ConstraintViolation) if is_duplicate(&error) => StoreError::Conflict,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Unusable(format!("the database file is damaged ({message}); restore it from a backup"))
        }
        _ => StoreError::Rejected(message),
    }
}

fn is_duplicate(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID, SQLITE_CONSTRAINT_UNIQUE};
    error.sqlite_error().is_some_and(|error| {
        [SQLITE_CONSTRAINT_UNIQUE, SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID].contains(&error.extended_code)
    })
}
