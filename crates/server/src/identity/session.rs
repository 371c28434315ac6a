//! Sessions of operators and of members, told apart by whom they belong to: begun under a new token after every proof of
//! identity, ended by idleness, age, the person or an operator.

use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use guerdon_core::audit::AuditEvent;
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange, RecordQuery, StoreError};
use serde::{Deserialize, Serialize};

use super::token::{Token, TokenKind};
use crate::AppState;

/// The kind of their records; the id is the digest of the cookie's token, the subject `opr_…` or `mem_…`.
pub const SESSION: &str = "session";
/// What the names of cookies begin with over https: a browser takes such a cookie from the host itself alone.
pub const HOST_PREFIX: &str = "__Host-";
/// Whether people's connections are encrypted: told by the gate to what lies behind it.
#[derive(Debug, Clone, Copy)]
pub struct Https(pub bool);

/// The cookies of operators and of members.
pub const OPERATOR_COOKIE: &str = "guerdon_session";
/// See above.
pub const MEMBER_COOKIE: &str = "guerdon_member";

/// Idle time after which a session of an operator ends, in milliseconds; and of a member.
pub const OPERATOR_IDLE_MS: i64 = 30 * 60_000;
/// See above.
pub const MEMBER_IDLE_MS: i64 = 7 * 86_400_000;
/// How long a session may last at most, in milliseconds, of an operator and of a member.
pub const OPERATOR_LIFE_MS: i64 = 12 * 3_600_000;
/// See above.
pub const MEMBER_LIFE_MS: i64 = 30 * 86_400_000;
/// For how long a proof of identity serves for sensitive acts, in milliseconds.
pub const FRESH_MS: i64 = 10 * 60_000;
/// Sessions of one person at the most; the oldest make room.
const MOST_SESSIONS: usize = 20;
const AGENT_CHARS: usize = 200;

/// How and when a person has proved who they are.
#[derive(Debug, Clone)]
pub struct Proof {
    /// How: `password+totp`, `passkey`, `sso`, `code`.
    pub method: String,
    /// When.
    pub at: Timestamp,
}

impl Proof {
    /// One of this moment.
    pub fn now(state: &AppState, method: &str) -> Self {
        Self { method: method.to_owned(), at: state.clock() }
    }
}

/// A signed-in browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
    /// When the person last proved who they are; sensitive acts ask for a fresh proof.
    pub proved_at: Timestamp,
    /// How: `password+totp`, `passkey`, `sso`, `code`.
    pub method: String,
    /// From which address it began.
    pub address: String,
    /// The browser, as it called itself, cut to 200 characters.
    pub agent: String,
}

impl Session {
    /// A session that begins now.
    pub fn new(method: &str, address: &str, headers: &HeaderMap, now: Timestamp) -> Self {
        let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let agent = agent.chars().filter(|c| !c.is_control()).take(AGENT_CHARS).collect();
        let (method, address) = (method.to_owned(), address.to_owned());
        Self { created_at: now, seen_at: now, proved_at: now, method, address, agent }
    }

    /// Whether the person proved who they are a moment ago.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.proved_at.plus_millis(FRESH_MS) > now
    }
}

/// A session that is to be stored, and the token for its cookie.
pub struct Begun {
    /// The token, to be given to the browser and to nobody else.
    pub token: Token,
    /// What to write.
    pub change: RecordChange,
}

/// Begins a session of `subject` under a token of its own: one that a browser brought before never becomes valid.
pub fn begin(subject: &str, session: &Session) -> Result<Begun, StoreError> {
    let token = Token::generate(TokenKind::Session);
    let life = if subject.starts_with("mem_") { MEMBER_LIFE_MS } else { OPERATOR_LIFE_MS };
    let record = Record::new(SESSION, &token.digest(), subject, session)?.until(session.created_at.plus_millis(life));
    Ok(Begun { token, change: RecordChange::Put(record) })
}

/// The sessions of a person that have not ended, newest first.
pub async fn list(state: &AppState, subject: &str) -> Result<Vec<(Record, Session)>, StoreError> {
    let now = state.clock();
    let idle = if subject.starts_with("mem_") { MEMBER_IDLE_MS } else { OPERATOR_IDLE_MS };
    let query = RecordQuery { kind: SESSION.to_owned(), subject: Some(subject.to_owned()), after: None, limit: 1_000 };
    let mut sessions = Vec::new();
    for record in state.reader.records(&query, now).await? {
        let session: Session = record.read()?;
        if session.seen_at.plus_millis(idle) > now {
            sessions.push((record, session));
        }
    }
    sessions.sort_by_key(|(_, session)| std::cmp::Reverse(session.created_at));
    Ok(sessions)
}

/// What ends the sessions of a person beyond the most that they may have, so that a new one fits.
pub async fn make_room(state: &AppState, subject: &str) -> Result<Vec<RecordChange>, StoreError> {
    let sessions = list(state, subject).await?;
    Ok(sessions.into_iter().skip(MOST_SESSIONS - 1).map(|(record, _)| RecordChange::Delete(record)).collect())
}

/// Ends sessions of a person: the one of `only`, or all but the one of `but`.
pub async fn end(
    state: &AppState,
    subject: &str,
    only: Option<&str>,
    but: Option<&str>,
    event: AuditEvent,
) -> Result<usize, CommandError> {
    let sessions = list(state, subject).await.map_err(|error| CommandError::Unavailable(error.to_string()))?;
    let wanted = |record: &Record| only.is_none_or(|id| record.id == id) && but.is_none_or(|id| record.id != id);
    let changes: Vec<RecordChange> =
        sessions.into_iter().map(|(record, _)| record).filter(wanted).map(RecordChange::Delete).collect();
    let ended = ended_by(&changes);
    if !ended.is_empty() {
        state.engine.write_records(changes, vec![event]).await?;
        state.directory.forget_sessions(&ended);
    }
    Ok(ended.len())
}

/// The ids of the sessions that some changes end.
pub fn ended_by(changes: &[RecordChange]) -> Vec<String> {
    let ended = changes.iter().filter_map(|change| match change {
        RecordChange::Delete(record) if record.kind == SESSION => Some(record.id.clone()),
        _ => None,
    });
    ended.collect()
}

/// The `Set-Cookie` of a session. Without `max_age_s` it ends with the browser; 0 takes it away.
pub fn set_cookie(name: &str, value: &str, https: bool, max_age_s: Option<i64>) -> String {
    let age = max_age_s.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let (prefix, secure) = if https { (HOST_PREFIX, "; Secure") } else { ("", "") };
    format!("{prefix}{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}")
}
