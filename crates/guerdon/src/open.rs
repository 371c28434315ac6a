//! Opens the data, in a directory or on a database server, and starts engines over it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use guerdon_core::audit::AuditEvent;
use guerdon_core::program::{Bundle, Program};
use guerdon_core::proofs::SigningKey;
use guerdon_store::read::Reader;
use guerdon_store::{
    DataDir, Engine, PostgresStore, Published, SqliteStore, Store, id_generator, load_program, log_keys, publish_as,
    start_log,
};

use crate::cli::DataArgs;
use crate::master_key::write_new;

/// The key under which replayed data keep how far their clock is set back, in milliseconds.
const CLOCK_OFFSET: &str = "clock_offset_ms";

/// Writers of a server on PostgreSQL: while one waits for its transaction the other prepares the next.
pub const POSTGRES_WRITERS: usize = 2;

/// A store of either kind.
pub type AnyStore = Box<dyn Store>;

impl DataArgs {
    /// Opens the data for writing, made where there are none.
    pub fn create(&self) -> Result<AnyStore> {
        Ok(match &self.database_url {
            Some(url) => Box::new(PostgresStore::create(url)?),
            None => Box::new(SqliteStore::open(DataDir::create(&self.data_dir)?)?),
        })
    }

    /// Opens data that are there for writing, and their program.
    pub fn open(&self) -> Result<(AnyStore, Arc<Program>)> {
        let mut store: AnyStore = match &self.database_url {
            Some(url) => Box::new(PostgresStore::open(url)?),
            None => Box::new(SqliteStore::open(DataDir::open(&self.data_dir)?)?),
        };
        let program = Arc::new(load_program(&mut store)?);
        Ok((store, program))
    }

    /// Opens data that are there for every writer of a server.
    pub fn open_writers(&self) -> Result<Vec<AnyStore>> {
        let writers = if self.database_url.is_some() { POSTGRES_WRITERS } else { 1 };
        (0..writers).map(|_| Ok(self.open()?.0)).collect()
    }

    /// Opens data that are there for reading, beside running servers or not.
    pub fn open_read_only(&self) -> Result<AnyStore> {
        Ok(match &self.database_url {
            Some(url) => Box::new(PostgresStore::open_read_only(url)?),
            None => Box::new(SqliteStore::open_read_only(&self.data_dir)?),
        })
    }

    /// The key that signs the log of a program, made where the log has none yet. `None`: others hold it.
    pub fn log_key(&self, store: &mut AnyStore) -> Result<Option<SigningKey>> {
        let file = self.log_key_file();
        let (keys, program) = (log_keys(store)?, load_program(store)?.settings.id.clone());
        let key = match std::fs::read_to_string(&file) {
            Ok(text) => SigningKey::parse(&text).with_context(|| file.display().to_string())?,
            Err(error) if error.kind() == ErrorKind::NotFound && !keys.is_empty() => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => new_log_key(&file, &program)?,
            Err(error) => return Err(error).with_context(|| format!("the key file {}", file.display())),
        };
        if key.public().name() != log_name(&program) {
            bail!("{} holds the key of the log {}; choose another with --log-key", file.display(), key.public().name());
        }
        if keys.is_empty() {
            start_log(store, &key)?;
        } else if keys.last() != Some(&key.public()) {
            bail!("{} holds another key than the log uses; give the right one with --log-key", file.display());
        }
        Ok(Some(key))
    }

    /// Where the key of the log is looked for.
    pub fn log_key_file(&self) -> PathBuf {
        self.log_key.clone().unwrap_or_else(|| self.data_dir.join("log.key"))
    }

    /// Opens the readers.
    pub async fn reader(&self) -> Result<Reader> {
        Ok(match &self.database_url {
            Some(url) => Reader::connect(url).await?,
            None => Reader::open(&self.data_dir).await?,
        })
    }

    /// What to call the data in front of people; never the URL, which may hold a password.
    pub fn name(&self) -> String {
        match &self.database_url {
            Some(_) => "The database".to_owned(),
            None => self.data_dir.display().to_string(),
        }
    }
}

/// What the log of a program is called.
fn log_name(program: &str) -> String {
    format!("guerdon/{program}")
}

/// Makes a key and its file, which nobody else may read.
pub fn new_log_key(file: &Path, program: &str) -> Result<SigningKey> {
    let key = SigningKey::new(&log_name(program), &rand::random());
    write_new(file, key.secret_text().as_bytes()).with_context(|| format!("the key file {}", file.display()))?;
    Ok(key)
}

/// How far the clock of the data is set back, in milliseconds, where they are a replay.
pub fn clock_offset(store: &mut AnyStore) -> Result<Option<i64>> {
    Ok(store.meta(CLOCK_OFFSET)?.and_then(|text| text.parse().ok()))
}

/// Sets how far the clock of the data is set back.
pub fn set_clock_offset(store: &mut AnyStore, millis: i64) -> Result<()> {
    Ok(store.set_meta(CLOCK_OFFSET, &millis.to_string())?)
}

/// Publishes a program file from the command line, which the audit log tells of.
pub fn publish(store: &mut AnyStore, bundle: &Bundle) -> Result<Published> {
    let subject = format!("program {}", bundle.program.id);
    let event = cli_event("program.publish", &subject, serde_json::Value::Null);
    let mut ids = id_generator(store)?;
    Ok(publish_as(store, bundle, event.at, event, &mut ids)?)
}

/// Starts the engine of open stores, with the clock of their data.
pub fn start(mut stores: Vec<AnyStore>) -> Result<Engine<AnyStore>> {
    let offset = stores.first_mut().map(clock_offset).transpose()?.flatten().unwrap_or(0);
    let engine = Engine::start_all(stores)?;
    engine.handle().set_clock_offset(offset);
    Ok(engine)
}

/// An event of the audit log by whoever may use the binary on these data.
pub fn cli_event(action: &str, subject: &str, after: serde_json::Value) -> AuditEvent {
    AuditEvent {
        at: system_now(),
        actor: "cli".to_owned(),
        address: String::new(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        reason: String::new(),
        before: serde_json::Value::Null,
        after,
    }
}

/// The machine's clock.
pub fn system_now() -> guerdon_core::time::Timestamp {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    guerdon_core::time::Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
