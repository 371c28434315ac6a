//! The store of many nodes: PostgreSQL and what speaks its protocol, set-based and optimistic.

mod audit;
mod code;
mod connection;
mod distribute;
mod feed;
mod hosts;
mod log;
mod members;
mod prefetch;
mod record;
mod store;
mod write;

pub use connection::LEASE_TIME;
pub use hosts::stays_here_or_says;
pub(crate) use hosts::urls;
pub use store::PostgresStore;

use sqlx::error::ErrorKind;

use crate::StoreError;

fn not_trusted(message: &str) -> StoreError {
    StoreError::Unusable(format!(
        "{message}. A database on another machine is reached over TLS with a certificate that this machine trusts: give \
         its authority with sslrootcert=FILE in the URL, or say sslmode=disable where the network itself keeps others out"
    ))
}

/// Maps an error of the server to what the caller can do about it. Codes:
/// <https://www.postgresql.org/docs/15/errcodes-appendix.html>.
fn store_error(error: sqlx::Error) -> StoreError {
    let message = error.to_string();
    let sqlx::Error::Database(database) = &error else {
        return match error {
            sqlx::Error::Tls(_) => not_trusted(&message),
            // The library says so of a certificate that it does not accept.
            sqlx::Error::Io(inner) if inner.kind() == std::io::ErrorKind::InvalidData => not_trusted(&message),
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
                StoreError::Disconnected(message)
            }
            _ => StoreError::Rejected(message),
        };
    };
    if database.kind() == ErrorKind::UniqueViolation {
        // A row that another node has inserted since it was looked for.
        return StoreError::Conflict;
    }
    match database.code().as_deref().unwrap_or_default() {
        // Serialization failure, deadlock.
        "40001" | "40P01" => StoreError::Conflict,
        // Disk full, out of memory, configured limits.
        "53100" => StoreError::Unavailable("the database's disk is full; free some space and try again".to_owned()),
        // Connections, shutdown and failover: a server that stops, starts, or has become a standby.
        code if code.starts_with("08") || code.starts_with("57P") || matches!(code, "53300" | "25006") => {
            StoreError::Disconnected(message)
        }
        code if code.starts_with("53") || code.starts_with("58") => StoreError::Unavailable(message),
        code if code.starts_with("28") || code.starts_with("3D") => {
            StoreError::Unusable(format!("the database refuses the connection: {message}"))
        }
        "42501" => StoreError::Unusable(format!("the database user lacks a right: {message}")),
        _ => StoreError::Rejected(message),
    }
}
