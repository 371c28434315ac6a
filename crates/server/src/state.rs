//! What every handler shares.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use guerdon_core::members::Profile;
use guerdon_core::privacy::Keyring;
use guerdon_core::program::Program;
use guerdon_core::time::Timestamp;
use guerdon_store::read::{MemberRow, Reader};
use guerdon_store::{EngineHandle, StoreError};

use crate::catalogue::Desk;
use crate::degraded::Degraded;
use crate::demand::Demand;
use crate::identity::directory::Directory;
use crate::identity::people::People;
use crate::identity::sso::SingleSignOn;
use crate::keys::SharedKeyring;
use crate::messages::Post;
use crate::outbound::Outbound;
use crate::payments::Payments;

/// Shared by all handlers; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The way of every command.
    pub engine: EngineHandle,
    /// The way of every query.
    pub reader: Reader,
    /// Who is behind a credential.
    pub directory: Arc<Directory>,
    /// The keys of personal data.
    pub keyring: SharedKeyring,
    /// The way of every message.
    pub post: Post,
    /// What signing in needs.
    pub people: Arc<People>,
    /// The identity providers that vouch for operators.
    pub sso: Arc<SingleSignOn>,
    /// The way of every call to other servers.
    pub outbound: Outbound,
    /// What the catalogue is searched and browsed by.
    pub catalogue: Arc<Desk>,
    /// What is remembered for the time when the database is away.
    pub degraded: Arc<Degraded>,
    /// What the demand for rewards is.
    pub demand: Arc<Demand>,
    /// Which tenders this server takes.
    pub payments: Payments,
}

impl AppState {
    /// The program in force.
    pub fn program(&self) -> Arc<Program> {
        self.engine.program()
    }

    /// The machine's clock, by which sessions, keys and audit events are dated; the program's own may be set back.
    pub fn clock(&self) -> Timestamp {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }

    /// The keyring in force.
    pub fn keys(&self) -> Arc<Keyring> {
        self.keyring.get()
    }

    /// Opens the profile of a member; `None`: it was erased.
    pub fn profile(&self, row: &MemberRow) -> Result<Option<Profile>, StoreError> {
        let sealed = row.stored.sealed.as_ref();
        Ok(sealed.map(|sealed| self.keys().open_profile(row.id, sealed)).transpose()?)
    }
}
