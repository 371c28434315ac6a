//! Looks whether the database answers, on a connection of its own: one that waits for nobody else's work.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, AnyPool, Connection};

use crate::StoreError;
use crate::read::{Read, Reader, failed, primary};

/// How long an answer may take at first, and how long when it is asked for once more: a row is read by its key, but a machine
/// that is at its limit is slow with everything.
const ANSWER_TIMES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// How long one of several hosts may take to say whether it takes writes.
const HOST_TIME: Duration = Duration::from_millis(750);

/// The file of an embedded database, and what it was when it was opened.
#[derive(Debug)]
pub(crate) struct DatabaseFile {
    path: PathBuf,
    was: Option<(u64, u64)>,
}

impl DatabaseFile {
    pub(crate) fn of(path: PathBuf) -> Self {
        Self { was: identity(&path), path }
    }

    /// A file that was deleted or exchanged is still read and written through the connections that were opened before, and
    /// whatever is written to it is lost with them.
    fn check(&self) -> Read<()> {
        if self.was.is_some() && identity(&self.path) != self.was {
            let problem = format!("{} is not the file any more that was opened", self.path.display());
            return Err(StoreError::Unavailable(problem));
        }
        Ok(())
    }
}

/// What tells a file from another of the same name.
#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Where files have no number, whether there is one.
#[cfg(not(unix))]
fn identity(path: &Path) -> Option<(u64, u64)> {
    path.exists().then_some((0, 0))
}

/// Asks the database whether it is there.
pub struct Probe {
    pool: AnyPool,
    file: Option<Arc<DatabaseFile>>,
    hosts: Option<Arc<[AnyConnectOptions]>>,
    connection: Option<AnyConnection>,
}

impl Reader {
    /// What asks whether the database that is read here is there.
    pub fn probe(&self) -> Probe {
        Probe { pool: self.pool.clone(), file: self.file.clone(), hosts: self.hosts.clone(), connection: None }
    }
}

impl Probe {
    /// Whether the database answers, within four seconds at the most. A connection that was lost is opened anew, on the host
    /// that takes writes by now.
    pub async fn ask(&mut self) -> Read<()> {
        if let Some(file) = &self.file {
            file.check()?;
        }
        for time in ANSWER_TIMES {
            // One that did not answer in time is gone with what was asked.
            if let Ok(answered) = tokio::time::timeout(time, self.ask_once()).await {
                return answered;
            }
        }
        Err(StoreError::Disconnected("the database does not answer in time".to_owned()))
    }

    async fn ask_once(&mut self) -> Read<()> {
        // One that was kept may have been broken since, which is no news of the database.
        if let Some(mut kept) = self.connection.take()
            && read_a_row(&mut kept).await.is_ok()
        {
            self.connection = Some(kept);
            return Ok(());
        }
        if let Some(hosts) = &self.hosts {
            let none = || StoreError::Disconnected("no host takes writes".to_owned());
            // The readers go where the writers go, as soon as there is somewhere to go.
            self.pool.set_connect_options(primary(hosts, HOST_TIME).await.ok_or_else(none)?.clone());
        }
        let mut new = AnyConnection::connect_with(&self.pool.connect_options()).await.map_err(failed)?;
        read_a_row(&mut new).await?;
        self.connection = Some(new);
        Ok(())
    }
}

async fn read_a_row(connection: &mut AnyConnection) -> Read<()> {
    let query = sqlx::query("SELECT value FROM meta WHERE key = 'schema_version'");
    query.fetch_optional(connection).await.map(drop).map_err(failed)
}
