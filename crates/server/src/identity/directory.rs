//! Who is behind a credential: looked up once, and remembered for some seconds, which is how long another node may still
//! take a credential that was revoked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use guerdon_core::identity::{Access, Permissions, Role, RoleName};
use guerdon_core::time::Timestamp;
use guerdon_core::{hex, limits};
use guerdon_store::{Record, RecordChange, StoreError};
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::actor::{Actor, Who};
use super::allowance::Allowance;
use super::api_key::{API_KEY, ApiKey, SIGNING};
use super::client::{ACCESS_TOKEN, AccessToken, CLIENT, Client, ClientState};
use super::last_use::LastUses;
use super::limit::{Limit, Limits};
use super::nonces::Nonces;
use super::operator::{OPERATOR, Operator, OperatorState};
use super::rate::{Limited, RateHeaders};
use super::session::{MEMBER_IDLE_MS, OPERATOR_IDLE_MS, SESSION, Session};
use super::token::{TokenKind, same_bytes};
use super::traffic::Traffic;
use super::usage::{FLUSH_EVERY, Usage, UsageQuota};
use crate::AppState;
use crate::problem::Problem;

/// Credentials remembered at the most, and for how long.
const REMEMBERED: u64 = 100_000;
const REMEMBERED_FOR: Duration = Duration::from_secs(5);
/// For how long one that was verified is taken while the database is away, for what is answered then.
const VERIFIED_FOR: Duration = Duration::from_millis(limits::LAST_VERIFIED_MS.unsigned_abs());
/// For how long a credential that was good is told from one that is guessed.
const GOOD_FOR: Duration = Duration::from_secs(3_600);
/// How often a session's last use is written, in milliseconds.
const SEEN_EVERY_MS: i64 = 60_000;
/// The kind of records of roles of one's own; the id is the name.
pub const ROLE: &str = "role";
/// The id of the key that the server was given by environment or file.
pub const BOOTSTRAP_KEY: &str = "key_bootstrap";

/// A secret as presented, by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presented {
    /// `Authorization: Bearer grd_key_…`
    Key([u8; 32]),
    /// `Authorization: Bearer grd_acc_…`
    AccessToken([u8; 32]),
    /// Another bearer: the key that the server was given, or nothing that is known.
    Bearer([u8; 32]),
    /// The cookie of an operator's session.
    OperatorSession([u8; 32]),
    /// The cookie of a member's session.
    MemberSession([u8; 32]),
}

impl Presented {
    /// What stands behind `Bearer`.
    pub fn bearer(secret: &str) -> Self {
        let digest = digest(secret);
        if secret.starts_with(TokenKind::Key.prefix()) {
            Self::Key(digest)
        } else if secret.starts_with(TokenKind::Access.prefix()) {
            Self::AccessToken(digest)
        } else {
            Self::Bearer(digest)
        }
    }

    /// Whether a browser sends it by itself.
    pub fn is_cookie(self) -> bool {
        matches!(self, Self::OperatorSession(_) | Self::MemberSession(_))
    }
}

/// What is known of a credential.
#[derive(Debug)]
pub(super) struct Known {
    who: Who,
    access: Arc<Access>,
    /// Of a program: from where it may come, and how often.
    allowance: Option<Allowance>,
    quota: UsageQuota,
    /// What the requests of a key must be signed with.
    signing: Option<Arc<Zeroizing<Vec<u8>>>>,
    expires_at: Option<Timestamp>,
}

impl Known {
    fn person(who: Who, access: Access, expires_at: Option<Timestamp>) -> Self {
        Self { who, access: Arc::new(access), allowance: None, quota: UsageQuota::default(), signing: None, expires_at }
    }

    /// The rate that it has of its own.
    pub(super) fn rate(&self) -> Option<Limit> {
        self.allowance.as_ref().and_then(|allowance| allowance.rate)
    }

    /// Counts a request of a program, unless its quota is used up.
    pub(super) fn count(&self, state: &AppState, now: Timestamp) -> Result<Option<RateHeaders>, Limited> {
        let (Who::Key { id } | Who::Client { id }) = &self.who else { return Ok(None) };
        let counted = state.directory.usage.count(id, &self.quota, now);
        state.directory.write_later(state);
        counted
    }

    /// What its requests must be signed with.
    pub(super) fn signing(&self) -> Option<Arc<Zeroizing<Vec<u8>>>> {
        self.signing.clone()
    }

    /// The one who acts.
    pub(super) fn actor(&self, address: IpAddr) -> Actor {
        Actor { who: self.who.clone(), address, access: Arc::clone(&self.access) }
    }
}

/// What is known of a credential, and whether that is from the time before the database went away.
#[derive(Debug)]
pub(super) struct Looked {
    /// `None`: it is not known, or no longer.
    pub(super) known: Option<Arc<Known>>,
    /// Only for what is answered from memory itself.
    pub(super) from_memory: bool,
}

/// The directory of credentials.
pub struct Directory {
    /// The digest of the key that the operator of the server has given it by environment or file, and who that is.
    bootstrap: Option<([u8; 32], Arc<Known>)>,
    known: Cache<Presented, Option<Arc<Known>>>,
    /// Credentials as they were last verified, of those to whom anything is answered while the database is away.
    verified: Cache<Presented, Arc<Known>>,
    /// Counts what is forgotten, so that nothing is remembered that was looked up before.
    forgotten: AtomicU64,
    /// Credentials that were good within the hour.
    good: Cache<Presented, ()>,
    last_uses: LastUses,
    usage: Usage,
    /// Whether what was counted is about to be written.
    writing: AtomicBool,
    traffic: Traffic,
    nonces: Nonces,
}

/// SHA-256 of a secret: what is stored and looked up instead of it.
pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

impl Directory {
    /// A directory; the bootstrap key may do everything, as often as it wants to.
    pub fn new(bootstrap: Option<&str>) -> Self {
        Self::with_limits(bootstrap, Limits::default())
    }

    /// A directory with other limits than those that ship.
    pub fn with_limits(bootstrap: Option<&str>, limits: Limits) -> Self {
        let known = Known {
            allowance: Some(Allowance {
                permissions: Permissions::all(),
                stores: Vec::new(),
                networks: Vec::new(),
                rate: Some(Limit::Unlimited),
            }),
            ..Known::person(Who::Key { id: BOOTSTRAP_KEY.to_owned() }, Access::new(Permissions::all(), &[]), None)
        };
        Self {
            bootstrap: bootstrap.map(|secret| (digest(secret), Arc::new(known))),
            known: Cache::builder().max_capacity(REMEMBERED).time_to_live(REMEMBERED_FOR).build(),
            verified: Cache::builder().max_capacity(REMEMBERED).time_to_live(VERIFIED_FOR).build(),
            forgotten: AtomicU64::new(0),
            good: Cache::builder().max_capacity(REMEMBERED).time_to_live(GOOD_FOR).build(),
            last_uses: LastUses::default(),
            usage: Usage::new(),
            writing: AtomicBool::new(false),
            traffic: Traffic::new(limits),
            nonces: Nonces::new(),
        }
    }

    /// Forgets what is remembered of operators: one of them, or a role, was changed. What was verified for the time when the
    /// database is away has none of them.
    pub fn forget_operators(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known.invalidate_all();
    }

    /// Forgets every secret of a key or client that was revoked or changed. The others stay known.
    pub fn forget_program(&self, id: &str) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known.invalidate_all();
        let is_it = |known: &Known| matches!(&known.who, Who::Key { id: one } | Who::Client { id: one } if one == id);
        for (presented, _) in self.verified.iter().filter(|(_, known)| is_it(known)) {
            self.verified.invalidate(&*presented);
        }
    }

    /// Forgets what is remembered for some seconds, as time does.
    #[cfg(test)]
    pub fn forget_known(&self) {
        self.known.invalidate_all();
    }

    /// Forgets one access token that was revoked.
    pub fn forget_token(&self, secret: &str) {
        self.forget_all([Presented::bearer(secret)]);
    }

    /// Forgets sessions that have ended, by the ids of their records. The others stay known: people come and go all the time.
    pub fn forget_sessions(&self, ids: &[String]) {
        let digests = ids.iter().filter_map(|id| hex::decode(id));
        self.forget_all(
            digests.flat_map(|digest| [Presented::MemberSession(digest), Presented::OperatorSession(digest)]),
        );
    }

    fn forget_all(&self, presented: impl IntoIterator<Item = Presented>) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        for presented in presented {
            self.known.invalidate(&presented);
            self.verified.invalidate(&presented);
        }
    }

    /// When programs were last here.
    pub fn last_uses(&self) -> &LastUses {
        &self.last_uses
    }

    /// Lets what was counted be written some seconds from now. Nothing runs where nobody calls.
    fn write_later(&self, state: &AppState) {
        if self.writing.load(Ordering::Relaxed) || self.writing.swap(true, Ordering::Relaxed) {
            return;
        }
        let state = state.clone();
        tokio::spawn(async move {
            tokio::time::sleep(FLUSH_EVERY).await;
            let directory = &state.directory;
            directory.writing.store(false, Ordering::Relaxed);
            let now = state.clock();
            if let Err(error) = directory.usage.flush(&state.engine, &state.reader, now).await {
                tracing::debug!(%error, "what programs use was not written; it waits for the next time");
            }
            if let Err(error) = directory.last_uses.flush(&state.engine, &state.reader, now).await {
                tracing::debug!(%error, "when programs were here was not written");
            }
        });
    }

    /// What holds back who asks too often.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The nonces of signed requests.
    pub fn nonces(&self) -> &Nonces {
        &self.nonces
    }

    /// Who presents a credential from an address. `None`: nobody that is known, or no longer.
    pub async fn identify(
        &self,
        state: &AppState,
        presented: Presented,
        address: IpAddr,
    ) -> Result<Option<Actor>, Problem> {
        let looked = self.look(state, presented, address, state.clock()).await?;
        // Whoever asks for more than what is answered from memory is not known by it.
        Ok(looked.known.filter(|_| !looked.from_memory).map(|known| known.actor(address)))
    }

    /// What is known of a credential that comes from an address.
    pub(super) async fn look(
        &self,
        state: &AppState,
        presented: Presented,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Looked, Problem> {
        let Looked { known, from_memory } = match self.known.get(&presented) {
            Some(known) => Looked { known, from_memory: false },
            None => self.look_up(state, presented, address, now).await?,
        };
        let inside = |known: &Arc<Known>| {
            known.expires_at.is_none_or(|end| end > now)
                && known.allowance.as_ref().is_none_or(|allowance| allowance.admits(address))
        };
        Ok(Looked { known: known.filter(inside), from_memory })
    }

    /// Keeps what was found for the time when the database is away. Those who have more than their own to read, and those whose
    /// requests are checked against the database one by one, are not among them.
    fn keep_verified(&self, presented: Presented, found: Option<&Arc<Known>>) {
        let of_use = |known: &&Arc<Known>| {
            !matches!(presented, Presented::OperatorSession(_)) && known.signing.is_none() && !self.is_bootstrap(known)
        };
        match found.filter(of_use) {
            Some(known) => self.verified.insert(presented, Arc::clone(known)),
            None => self.verified.invalidate(&presented),
        }
    }

    fn is_bootstrap(&self, known: &Arc<Known>) -> bool {
        self.bootstrap.as_ref().is_some_and(|(_, bootstrap)| Arc::ptr_eq(bootstrap, known))
    }

    fn bootstrap(&self, presented: Presented) -> Option<&Arc<Known>> {
        let (Presented::Key(given) | Presented::AccessToken(given) | Presented::Bearer(given)) = presented else {
            return None;
        };
        let (digest, known) = self.bootstrap.as_ref()?;
        same_bytes(&given, digest).then_some(known)
    }

    /// Looks a credential up and remembers it. An address that has shown many that are not known waits.
    async fn look_up(
        &self,
        state: &AppState,
        presented: Presented,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Looked, Problem> {
        if !self.good.contains_key(&presented) {
            self.traffic.may_try(address)?;
        }
        let before = self.forgotten.load(Ordering::SeqCst);
        let found = match self.bootstrap(presented) {
            Some(bootstrap) => Some(Arc::clone(bootstrap)),
            None => match state.degraded.read(find(state, presented, now)).await? {
                Some(found) => found.map(Arc::new),
                None => {
                    let known = self.verified.get(&presented).ok_or_else(|| state.degraded.not_verified())?;
                    return Ok(Looked { known: Some(known), from_memory: true });
                }
            },
        };
        self.known.insert(presented, found.clone());
        self.keep_verified(presented, found.as_ref());
        if self.forgotten.load(Ordering::SeqCst) != before {
            self.known.invalidate(&presented);
            self.verified.invalidate(&presented);
        }
        match &found {
            Some(known) => {
                self.good.insert(presented, ());
                if let Who::Key { id } | Who::Client { id } = &known.who
                    && id != BOOTSTRAP_KEY
                    && known.allowance.as_ref().is_some_and(|allowance| allowance.admits(address))
                {
                    self.last_uses.note(id, now);
                }
            }
            None => {
                self.good.invalidate(&presented);
                self.traffic.failed(address);
            }
        }
        Ok(Looked { known: found, from_memory: false })
    }
}

async fn find(state: &AppState, presented: Presented, now: Timestamp) -> Result<Option<Known>, StoreError> {
    match presented {
        Presented::Key(digest) => api_key(state, &hex::encode(&digest), now).await,
        Presented::AccessToken(digest) => access_token(state, &hex::encode(&digest), now).await,
        Presented::Bearer(_) => Ok(None),
        Presented::OperatorSession(digest) => session(state, &hex::encode(&digest), now, "opr_").await,
        Presented::MemberSession(digest) => session(state, &hex::encode(&digest), now, "mem_").await,
    }
}

async fn api_key(state: &AppState, id: &str, now: Timestamp) -> Result<Option<Known>, StoreError> {
    let Some(record) = state.reader.record(API_KEY, id, now).await? else { return Ok(None) };
    let key: ApiKey = record.read()?;
    let open = |sealed: &str| state.keys().open_secret(SIGNING, &record.subject, sealed).map(Arc::new);
    let signing = key.signing.as_deref().map(open).transpose().map_err(StoreError::from)?;
    Ok(Some(Known {
        access: Arc::new(key.allowance.access()),
        allowance: Some(key.allowance),
        quota: UsageQuota::default(),
        signing,
        expires_at: record.expires_at,
        who: Who::Key { id: record.subject },
    }))
}

/// A token does what it was narrowed to, as far as its client still may, and ends with it.
async fn access_token(state: &AppState, id: &str, now: Timestamp) -> Result<Option<Known>, StoreError> {
    let Some(record) = state.reader.record(ACCESS_TOKEN, id, now).await? else { return Ok(None) };
    let token: AccessToken = record.read()?;
    let Some(found) = state.reader.record(CLIENT, &record.subject, now).await? else { return Ok(None) };
    let client: Client = found.read()?;
    if client.state != ClientState::Active {
        return Ok(None);
    }
    let permissions = token.permissions.within(client.allowance.permissions);
    Ok(Some(Known {
        access: Arc::new(Access::new(permissions, &client.allowance.stores)),
        allowance: Some(client.allowance),
        quota: client.quota,
        signing: None,
        expires_at: record.expires_at,
        who: Who::Client { id: record.subject },
    }))
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
        write_seen(state, record, &session).await?;
    }
    let session = id.to_owned();
    let (who, access) = match member {
        Some(member) => (Who::Member { id: member, session }, Access::default()),
        None => match operator_access(state, &subject, now).await? {
            Some(access) => (Who::Operator { id: subject, session }, access),
            None => return Ok(None),
        },
    };
    Ok(Some(Known::person(who, access, expires_at)))
}

async fn write_seen(state: &AppState, record: Record, session: &Session) -> Result<(), StoreError> {
    // When another request was faster it has written the same minute.
    let seen = vec![RecordChange::Put(record.with(session)?)];
    if let Err(error) = state.engine.write_records(seen, Vec::new()).await {
        tracing::debug!(%error, "the last use of a session was not written");
    }
    Ok(())
}

/// What an operator may do now. `None`: there is none, or suspended.
pub async fn operator_access(state: &AppState, id: &str, now: Timestamp) -> Result<Option<Access>, StoreError> {
    let Some(record) = state.reader.record(OPERATOR, id, now).await? else { return Ok(None) };
    let operator: Operator = record.read()?;
    if operator.state != OperatorState::Active {
        return Ok(None);
    }
    let mut own = BTreeMap::new();
    for grant in operator.grants.iter().filter(|grant| RoleName::from_name(&grant.role).is_none()) {
        if let Some(record) = state.reader.record(ROLE, &grant.role, now).await? {
            own.insert(grant.role.clone(), record.read::<Role>()?.permissions);
        }
    }
    let role = |name: &str| RoleName::from_name(name).map(RoleName::permissions).or_else(|| own.get(name).copied());
    Ok(Some(Access::of(&operator.grants, &state.program().settings.id, role)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};

    use super::*;
    use crate::identity::session;
    use crate::identity::testing::{NOW, Scratch, scratch, state};
    use crate::messages::Post;

    fn served(scratch: &Scratch, bootstrap: Option<&str>) -> AppState {
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        AppState { directory: Arc::new(Directory::new(bootstrap)), ..state(scratch, keyring, Post::default()) }
    }

    #[tokio::test]
    async fn sessions_end_when_they_are_idle_and_at_the_latest() {
        let scratch = scratch().await;
        let state = served(&scratch, None);
        let here = "192.0.2.1".parse().unwrap();
        let operator =
            Operator { state: OperatorState::Active, ..Operator::invited("a@example.org", "A", Vec::new(), NOW) };
        let record = Record::new(OPERATOR, "opr_1", "", &operator).unwrap();
        state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await.unwrap();
        let minute = 60_000;
        for (subject, idle, life) in [
            ("opr_1", OPERATOR_IDLE_MS, session::OPERATOR_LIFE_MS),
            ("mem_0000000000001", MEMBER_IDLE_MS, session::MEMBER_LIFE_MS),
        ] {
            let holds = async |began: i64, seen: i64| {
                let now = state.clock();
                let (created_at, seen_at) = (now.plus_millis(-began), now.plus_millis(-seen));
                let session = Session::new("code", "192.0.2.1", &HeaderMap::new(), now);
                let begun = session::begin(subject, &Session { created_at, seen_at, ..session }).unwrap();
                state.engine.write_records(vec![begun.change], Vec::new()).await.unwrap();
                let digest = digest(begun.token.reveal());
                let presented = match subject {
                    "opr_1" => Presented::OperatorSession(digest),
                    _ => Presented::MemberSession(digest),
                };
                state.directory.identify(&state, presented, here).await.unwrap().is_some()
            };
            assert!(holds(idle - minute, idle - minute).await, "{subject} was here within the time");
            assert!(!holds(idle + minute, idle + minute).await, "{subject} was idle for too long");
            assert!(holds(life - minute, 0).await, "{subject} is within the longest life");
            assert!(!holds(life + minute, 0).await, "{subject} is beyond it, however busy");
        }
    }

    #[tokio::test]
    async fn whoever_guesses_at_the_servers_own_key_waits_like_any_other() {
        const KEY: &str = "the key of this test, which is long enough";
        let scratch = scratch().await;
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let state = served(&scratch, Some(KEY));
        let mut last = Ok(true);
        for guess in 0..200 {
            let found = state.directory.identify(&state, Presented::bearer(&guess.to_string()), here).await;
            last = found.map(|actor| actor.is_some()).map_err(|problem| problem.status);
        }
        assert_eq!(last, Err(429), "a flood of guesses");
        let right = state.directory.identify(&state, Presented::bearer(KEY), here).await;
        assert_eq!(right.map(|_| ()).map_err(|problem| problem.status), Err(429), "and is not told that one is right");
        let right = state.directory.identify(&state, Presented::bearer(KEY), there).await;
        assert!(right.unwrap().is_some(), "others go on");
        assert!(
            state.directory.identify(&state, Presented::bearer(KEY), here).await.unwrap().is_some(),
            "known by now"
        );
    }
}
