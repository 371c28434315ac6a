//! Who is behind a credential: looked up once, and remembered for some seconds, which is how long another node may still
//! take a credential that was revoked.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use guerdon_core::hex;
use guerdon_core::identity::{Access, Permissions, Role, RoleName};
use guerdon_core::time::Timestamp;
use guerdon_store::{Record, StoreError};
use ipnet::IpNet;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::actor::{Actor, Who};
use super::api_key::{API_KEY, ApiKey};
use super::operator::{OPERATOR, Operator, OperatorState};
use super::session::{MEMBER_IDLE_MS, OPERATOR_IDLE_MS, SESSION, Session};
use crate::AppState;

/// Credentials remembered at the most, and for how long.
const REMEMBERED: u64 = 100_000;
const REMEMBERED_FOR: Duration = Duration::from_secs(5);
/// How often a session's last use is written, in milliseconds.
const SEEN_EVERY_MS: i64 = 60_000;
/// The kind of records of roles of one's own; the id is the name.
pub const ROLE: &str = "role";

/// A secret as presented, by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presented {
    /// `Authorization: Bearer …`
    Bearer([u8; 32]),
    /// The cookie of an operator's session.
    OperatorSession([u8; 32]),
    /// The cookie of a member's session.
    MemberSession([u8; 32]),
}

/// What is known of a credential.
#[derive(Debug, Clone)]
struct Known {
    who: Who,
    access: Arc<Access>,
    networks: Vec<IpNet>,
    expires_at: Option<Timestamp>,
}

/// The directory of credentials.
pub struct Directory {
    /// The digest of the key that the operator of the server has given it by environment or file.
    bootstrap: Option<[u8; 32]>,
    known: Cache<Presented, Option<Known>>,
}

/// SHA-256 of a secret: what is stored and looked up instead of it.
pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

impl Directory {
    /// A directory; the bootstrap key may do everything.
    pub fn new(bootstrap: Option<&str>) -> Self {
        let known = Cache::builder().max_capacity(REMEMBERED).time_to_live(REMEMBERED_FOR).build();
        Self { bootstrap: bootstrap.map(digest), known }
    }

    /// Forgets what is remembered on this node: something was revoked or changed.
    pub fn forget(&self) {
        self.known.invalidate_all();
    }

    /// Who presents a credential from an address. `None`: nobody that is known, or no longer.
    pub async fn identify(
        &self,
        state: &AppState,
        presented: Presented,
        address: IpAddr,
    ) -> Result<Option<Actor>, StoreError> {
        if let (Some(bootstrap), Presented::Bearer(given)) = (&self.bootstrap, presented)
            && bool::from(given.ct_eq(bootstrap))
        {
            let access = Arc::new(Access::new(Permissions::all(), &[]));
            return Ok(Some(Actor { who: Who::Key { id: "key_bootstrap".to_owned() }, address, access }));
        }
        let now = state.clock();
        let known = match self.known.get(&presented) {
            Some(known) => known,
            None => {
                let found = look_up(state, presented, now).await?;
                self.known.insert(presented, found.clone());
                found
            }
        };
        let inside = |known: &Known| {
            known.expires_at.is_none_or(|end| end > now)
                && (known.networks.is_empty() || known.networks.iter().any(|network| network.contains(&address)))
        };
        Ok(known.filter(inside).map(|known| Actor { who: known.who, address, access: known.access }))
    }
}

async fn look_up(state: &AppState, presented: Presented, now: Timestamp) -> Result<Option<Known>, StoreError> {
    match presented {
        Presented::Bearer(digest) => {
            let found = state.reader.record(API_KEY, &hex::encode(&digest), now).await?;
            found.map(|record| api_key(&record)).transpose()
        }
        Presented::OperatorSession(digest) => session(state, &hex::encode(&digest), now, "opr_").await,
        Presented::MemberSession(digest) => session(state, &hex::encode(&digest), now, "mem_").await,
    }
}

fn api_key(record: &Record) -> Result<Known, StoreError> {
    let key: ApiKey = record.read()?;
    Ok(Known {
        who: Who::Key { id: record.subject.clone() },
        access: Arc::new(Access::new(key.permissions, &key.stores)),
        networks: key.networks,
        expires_at: record.expires_at,
    })
}

async fn session(state: &AppState, id: &str, now: Timestamp, owner: &str) -> Result<Option<Known>, StoreError> {
    let Some(record) = state.reader.record(SESSION, id, now).await? else { return Ok(None) };
    if !record.subject.starts_with(owner) {
        return Ok(None);
    }
    let mut session: Session = record.read()?;
    let member = record.subject.parse().ok();
    let idle = if member.is_some() { MEMBER_IDLE_MS } else { OPERATOR_IDLE_MS };
    if session.seen_at.plus_millis(idle) < now {
        return Ok(None);
    }
    let expires_at = record.expires_at;
    let subject = record.subject.clone();
    if session.seen_at.plus_millis(SEEN_EVERY_MS) < now {
        session.seen_at = now;
        // When another request was faster it has written the same minute.
        let seen = vec![guerdon_store::RecordChange::Put(record.with(&session)?)];
        if let Err(error) = state.engine.write_records(seen, Vec::new()).await {
            tracing::debug!(%error, "the last use of a session was not written");
        }
    }
    let session = id.to_owned();
    let (who, access) = match member {
        Some(member) => (Who::Member { id: member, session }, Access::default()),
        None => match operator_access(state, &subject, now).await? {
            Some(access) => (Who::Operator { id: subject, session }, access),
            None => return Ok(None),
        },
    };
    Ok(Some(Known { who, access: Arc::new(access), networks: Vec::new(), expires_at }))
}

/// What an operator may do now. `None`: there is none, or suspended.
pub async fn operator_access(state: &AppState, id: &str, now: Timestamp) -> Result<Option<Access>, StoreError> {
    let Some(record) = state.reader.record(OPERATOR, id, now).await? else { return Ok(None) };
    let operator: Operator = record.read()?;
    if operator.state != OperatorState::Active {
        return Ok(None);
    }
    let mut own = std::collections::BTreeMap::new();
    for grant in operator.grants.iter().filter(|grant| RoleName::from_name(&grant.role).is_none()) {
        if let Some(record) = state.reader.record(ROLE, &grant.role, now).await? {
            own.insert(grant.role.clone(), record.read::<Role>()?.permissions);
        }
    }
    let role = |name: &str| RoleName::from_name(name).map(RoleName::permissions).or_else(|| own.get(name).copied());
    Ok(Some(Access::of(&operator.grants, &state.program().settings.id, role)))
}
