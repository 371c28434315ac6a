//! Where the master key of personal data comes from, and the keyring that it opens.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use guerdon_core::privacy::{KeyWrap, Keyring, MasterKey};
use guerdon_server::MasterKeys;
use guerdon_store::{StoreError, create_private, open_keyring, seal_plain_members, start_keyring, stored_keyring};
use zeroize::Zeroizing;

use crate::cli::DataArgs;
use crate::open::AnyStore;
use crate::progress::bar;

/// The environment variable that holds the key itself.
const KEY_VARIABLE: &str = "GUERDON_MASTER_KEY";

/// Where the keys at hand were found.
pub enum KeySource {
    /// In the environment.
    Environment,
    /// In a file.
    File(PathBuf),
}

impl std::fmt::Display for KeySource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Environment => formatter.write_str(KEY_VARIABLE),
            Self::File(file) => write!(formatter, "{}", file.display()),
        }
    }
}

impl DataArgs {
    /// Where the file of the master key is looked for.
    pub fn master_key_file(&self) -> PathBuf {
        self.master_key.clone().unwrap_or_else(|| self.data_dir.join("master.key"))
    }

    /// The master keys at hand, newest last: those of the environment, else those of the file. `None`: there are none.
    pub fn master_keys(&self) -> Result<Option<(Vec<MasterKey>, KeySource)>> {
        if let Ok(text) = std::env::var(KEY_VARIABLE).map(Zeroizing::new) {
            return Ok(Some((MasterKey::parse_all(&text).context(KEY_VARIABLE)?, KeySource::Environment)));
        }
        let file = self.master_key_file();
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("the master key file {}", file.display())),
        };
        let keys = MasterKey::parse_all(&text).with_context(|| format!("the master key file {}", file.display()))?;
        Ok(Some((keys, KeySource::File(file))))
    }

    /// Says so where other users of the machine can read the file of the master key.
    pub fn warn_of_open_master_key(&self) {
        if let Ok(Some((_, KeySource::File(file)))) = self.master_keys()
            && is_open(&file)
        {
            eprintln!("Every user of this machine can read the master key in {0}: chmod 600 {0}", file.display());
        }
    }

    /// Opens the keyring of data that are open for writing. Data that have none get one, under a new master key where
    /// none is at hand; what an older version stored in plain is sealed first.
    pub fn keyring(&self, store: &mut AnyStore) -> Result<Keyring> {
        let keyring = match self.keyring_of(store)? {
            Some(keyring) => keyring,
            None => self.start_keyring(store)?,
        };
        let bar = bar("sealing members", 0);
        let count = |done: usize| {
            bar.set_length(done as u64);
            bar.set_position(done as u64);
        };
        let sealed = seal_plain_members(store, &keyring, &mut rand::random, &count)?;
        bar.finish_and_clear();
        if sealed > 0 {
            eprintln!("The personal data of {sealed} members were stored in plain; they are sealed now.");
        }
        Ok(keyring)
    }

    /// Opens the keyring of data that are open for reading.
    pub fn keyring_to_read(&self, store: &mut AnyStore) -> Result<Keyring> {
        let Some(keyring) = self.keyring_of(store)? else {
            bail!("{} has no keys of personal data yet; run `guerdon migrate` once", self.name());
        };
        Ok(keyring)
    }

    fn keyring_of(&self, store: &mut AnyStore) -> Result<Option<Keyring>> {
        let Some(stored) = stored_keyring(store)? else { return Ok(None) };
        let Some((keys, source)) = self.master_keys()? else {
            bail!(
                "the personal data are sealed under the master key {}, and there is none at {}; give its file with \
                 --master-key, or the key itself in {KEY_VARIABLE}",
                stored.current(),
                self.master_key_file().display()
            );
        };
        let ids: Vec<String> = keys.iter().map(|key| key.id().to_owned()).collect();
        let opened = open_keyring(store, &wrapping(keys));
        opened.with_context(|| format!("{source} holds the master key {}", ids.join(", ")))
    }

    fn start_keyring(&self, store: &mut AnyStore) -> Result<Keyring> {
        if let Some((keys, _)) = self.master_keys()? {
            let key = keys.into_iter().next_back().context("a master key")?;
            return Ok(start_keyring(store, Arc::new(key), rand::random())?);
        }
        let (key, file) = (MasterKey::new(rand::random()), self.master_key_file());
        write_new(&file, format!("{}\n", *key.secret_text()).as_bytes())
            .with_context(|| format!("the master key file {}", file.display()))?;
        let id = key.id().to_owned();
        match start_keyring(store, Arc::new(key), rand::random()) {
            Ok(keyring) => {
                eprintln!(
                    "The master key {id} of personal data was made in {}. Keep a copy apart from the data: without it \
                     nobody can read them.",
                    file.display()
                );
                Ok(keyring)
            }
            Err(error) => {
                // The key is of no use; the next start must not take it for the right one.
                std::fs::remove_file(&file).with_context(|| file.display().to_string())?;
                match error {
                    StoreError::Conflict => {
                        bail!("another process has just given these data a master key; give it with --master-key")
                    }
                    error => Err(error.into()),
                }
            }
        }
    }
}

/// Keys as what wraps keys.
pub fn wrapping(keys: Vec<MasterKey>) -> Vec<Arc<dyn KeyWrap>> {
    keys.into_iter().map(|key| Arc::new(key) as Arc<dyn KeyWrap>).collect()
}

/// Whether others than the owner and the group of a file may do something with it.
#[cfg(unix)]
fn is_open(file: &Path) -> bool {
    let mode = std::fs::metadata(file).map(|file| std::os::unix::fs::PermissionsExt::mode(&file.permissions()));
    mode.is_ok_and(|mode| mode & 0o007 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}

/// Writes a new file that nobody else may read, down to the disk.
pub fn write_new(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        create_private(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut open = options.open(file)?;
    open.write_all(bytes)?;
    open.sync_all()
}

/// The master keys of some data, where a rotation finds the next one.
pub struct KeptKeys(pub DataArgs);

impl KeptKeys {
    /// The keys, for whoever holds the returned lock to change: a key that another adds in between would be lost.
    fn keys_to_change(&self) -> Result<(Vec<MasterKey>, KeySource, Option<std::fs::File>)> {
        let file = self.0.master_key_file();
        // A folder that cannot be opened holds no file that could be changed.
        let lock = std::fs::File::open(folder(&file)).ok();
        if let Some(lock) = &lock {
            lock.lock().with_context(|| format!("the folder of {}", file.display()))?;
        }
        let (keys, source) = self.keys()?;
        Ok((keys, source, lock))
    }

    fn keys(&self) -> Result<(Vec<MasterKey>, KeySource)> {
        self.0
            .master_keys()?
            .with_context(|| format!("there is no master key at {}", self.0.master_key_file().display()))
    }

    /// The key behind the one in use; made where there is none.
    fn next_key(&self, in_use: &str) -> Result<MasterKey> {
        let (mut keys, source, _lock) = self.keys_to_change()?;
        let place = keys.iter().position(|key| key.id() == in_use).context("the master key in use is not at hand")?;
        if place + 1 < keys.len() {
            return keys.pop().context("a master key");
        }
        let KeySource::File(file) = source else {
            bail!(
                "{KEY_VARIABLE} holds the master key in use as its last; put a new one behind it, with a comma between \
                 (`openssl rand -base64 32` makes one), start anew with both, and rotate then"
            );
        };
        let new = MasterKey::new(rand::random());
        let secret = new.secret_text();
        keys.push(MasterKey::parse_all(&secret)?.pop().context("a master key")?);
        replace(&file, &keys)?;
        Ok(new)
    }

    fn drop_keys_before(&self, in_use: &str) -> Result<()> {
        let (mut keys, source, _lock) = self.keys_to_change()?;
        let place = keys.iter().position(|key| key.id() == in_use).context("the master key in use is not at hand")?;
        match source {
            KeySource::File(file) if place > 0 => {
                keys.drain(..place);
                replace(&file, &keys)
            }
            // What stands in the environment is the operator's to take out.
            _ => Ok(()),
        }
    }
}

impl MasterKeys for KeptKeys {
    fn next(&self, in_use: &str) -> Result<Arc<dyn KeyWrap>, String> {
        self.next_key(in_use).map(|key| Arc::new(key) as Arc<dyn KeyWrap>).map_err(|error| format!("{error:#}"))
    }

    fn find(&self, id: &str) -> Result<Arc<dyn KeyWrap>, String> {
        let (keys, source) = self.keys().map_err(|error| format!("{error:#}"))?;
        let found = keys.into_iter().find(|key| key.id() == id);
        let found = found.ok_or_else(|| format!("the master key {id} is in use, but {source} does not hold it"))?;
        Ok(Arc::new(found))
    }

    fn drop_before(&self, in_use: &str) -> Result<(), String> {
        self.drop_keys_before(in_use).map_err(|error| format!("{error:#}"))
    }
}

/// The folder of a file.
fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes the keys beside their file and renames: whatever happens, the file holds all that are needed.
fn replace(file: &Path, keys: &[MasterKey]) -> Result<()> {
    let lines: Vec<Zeroizing<String>> = keys.iter().map(MasterKey::secret_text).collect();
    let text = Zeroizing::new(lines.iter().map(|line| format!("{}\n", **line)).collect::<String>());
    let beside = file.with_extension("key.new");
    let written = match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        // What was left over by a process that was killed.
        _ => write_new(&beside, text.as_bytes()),
    };
    let renamed = written.and_then(|()| std::fs::rename(&beside, file));
    let kept = renamed.and_then(|()| std::fs::File::open(folder(file))?.sync_all());
    kept.with_context(|| format!("the master key file {}", file.display()))
}
