//! An attempt to sign in between two steps: a record of ten minutes, named by a cookie. It counts as long as what it rests on
//! holds: a password that was changed, or a sign-in that was reset, ends it.

use axum::http::HeaderMap;
use guerdon_store::{Record, RecordChange};
use serde::{Deserialize, Serialize};

use super::guard::cookie;
use super::operator::{OPERATOR, Operator, OperatorState};
use super::passkey::AuthenticationState;
use super::session;
use super::sign_in::{Cookies, Refused};
use super::token::{Token, TokenKind};
use crate::AppState;

/// The kind of the records of attempts; the id is the token's digest, the subject the operator.
const SIGN_IN: &str = "sign_in";
/// The cookie that names an attempt.
pub const SIGN_IN_COOKIE: &str = "guerdon_sign_in";
/// How long an attempt may take, in milliseconds.
const SIGN_IN_MS: i64 = 10 * 60_000;

/// An attempt between two steps.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Attempt {
    /// What was proved already: `password`, `invitation`, `setup`; empty for a passkey that was asked for.
    pub proved: String,
    /// What the operator's credentials were then; see [`Operator::credentials`].
    #[serde(default)]
    pub credentials: String,
    /// The secret of an authenticator app that is being set up, sealed.
    #[serde(default)]
    pub new_authenticator: Option<String>,
    /// The state of a passkey's ceremony.
    #[serde(default)]
    pub passkey: Option<AuthenticationState>,
    /// The keyed digest of the address that a passkey was asked for, whether it is known or not.
    #[serde(default)]
    pub account: String,
    /// Where to go afterwards, a path of ours.
    #[serde(default)]
    pub next: String,
}

impl Attempt {
    /// An attempt of an operator who has proved something.
    pub fn proved(how: &str, operator: &Operator) -> Self {
        Self { proved: how.to_owned(), credentials: operator.credentials(), ..Self::default() }
    }
}

/// Begins an attempt of an operator; of nobody where the id is empty.
pub async fn begin(state: &AppState, operator: &str, attempt: Attempt) -> Result<Cookies, Refused> {
    let token = Token::generate(TokenKind::OneTime);
    let record = Record::new(SIGN_IN, &token.digest(), operator, &attempt)?;
    let record = record.until(state.clock().plus_millis(SIGN_IN_MS));
    state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await?;
    let https = state.people.https();
    Ok(Cookies::new(vec![session::set_cookie(SIGN_IN_COOKIE, token.reveal(), https, Some(SIGN_IN_MS / 1_000))]))
}

/// An attempt that is under way, and whose it is.
pub struct UnderWay {
    pub(super) record: Record,
    /// The attempt.
    pub attempt: Attempt,
    pub(super) account: Record,
    /// Who signs in.
    pub operator: Operator,
}

/// The attempt that a browser's cookie names, whoever's it is.
pub(super) async fn named(state: &AppState, headers: &HeaderMap) -> Result<(Record, Attempt), Refused> {
    let token = cookie(headers, SIGN_IN_COOKIE, state.people.https());
    let token = token.and_then(|text| Token::parse_as(TokenKind::OneTime, text).ok()).ok_or(Refused::Over)?;
    let record = state.reader.record(SIGN_IN, &token.digest(), state.clock()).await?.ok_or(Refused::Over)?;
    let attempt = record.read()?;
    Ok((record, attempt))
}

/// The operator of an attempt, while they may sign in and what it rests on holds.
pub(super) async fn owner(
    state: &AppState,
    record: &Record,
    attempt: &Attempt,
) -> Result<Option<(Record, Operator)>, Refused> {
    let Some(account) = state.reader.record(OPERATOR, &record.subject, state.clock()).await? else { return Ok(None) };
    let operator: Operator = account.read()?;
    let holds = operator.state == OperatorState::Active && operator.credentials() == attempt.credentials;
    Ok(holds.then_some((account, operator)))
}

/// The attempt that a browser's cookie names, and its operator.
pub async fn under_way(state: &AppState, headers: &HeaderMap) -> Result<UnderWay, Refused> {
    let (record, attempt) = named(state, headers).await?;
    let (account, operator) = owner(state, &record, &attempt).await?.ok_or(Refused::Over)?;
    Ok(UnderWay { record, attempt, account, operator })
}

impl UnderWay {
    /// Whether the person has proved enough to be asked for a second factor, or to set one up.
    pub fn may_go_on(&self) -> bool {
        !self.attempt.proved.is_empty()
    }
}
