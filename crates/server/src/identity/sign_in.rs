//! Signing in: a password and a second factor, or a passkey, or a link that the server's own administrator has made. Between
//! two steps the attempt is a record of ten minutes, named by a cookie; a session begins only when all steps are done.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::actor::{Actor, Who};
use super::guard::cookie;
use super::network::Network;
use super::operator::{Authenticator, OPERATOR, Operator, OperatorState};
use super::operators;
use super::passkey::AuthenticationState;
use super::password::{Checked, PasswordError};
use super::recovery::RecoveryCodes;
use super::session::{self, OPERATOR_COOKIE, Session};
use super::throttle::{Admitted, Attempt as Guess};
use super::token::{Token, TokenKind};
use super::totp::TotpSecret;
use crate::AppState;
use crate::console::device;
use crate::language::Language;
use crate::messages::{Address, Notice};
use crate::problem::Problem;

/// The kind of the records of attempts.
const SIGN_IN: &str = "sign_in";
/// The cookie that names an attempt.
pub const SIGN_IN_COOKIE: &str = "guerdon_sign_in";
/// The cookie by which a device is known.
const DEVICE_COOKIE: &str = "guerdon_device";
const DEVICE_COOKIE_S: i64 = 31_536_000;
/// How long an attempt may take, in milliseconds.
const SIGN_IN_MS: i64 = 10 * 60_000;
/// The longest path to go to afterwards.
const NEXT_BYTES: usize = 400;
/// How the first sign-in of an account is proved begins with one of these: every device is new then.
const FIRST: [&str; 2] = ["setup", "invitation"];
/// What the keyring seals secrets of authenticator apps for.
const AUTHENTICATOR: &str = "authenticator";

/// Why someone was not let in. What is said does not depend on whether the account exists.
#[derive(Debug)]
pub enum Refused {
    /// Wrong e-mail address, password or code.
    Wrong,
    /// Too many attempts; try again in so many seconds.
    Wait(u64),
    /// The attempt has run out; begin anew.
    Over,
    /// The server cannot do it now.
    Trouble(Problem),
}

impl<E: Into<Problem>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Trouble(error.into())
    }
}

/// An attempt between two steps.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Attempt {
    /// What was proved already: `password`, `invitation`, `setup`; empty for a passkey that was asked for.
    pub proved: String,
    /// The secret of an authenticator app that is being set up, sealed.
    #[serde(default)]
    pub new_authenticator: Option<String>,
    /// The state of a passkey's ceremony.
    #[serde(default)]
    pub passkey: Option<AuthenticationState>,
    /// Where to go afterwards, a path of ours.
    #[serde(default)]
    pub next: String,
}

/// What a browser is told to keep.
#[derive(Debug, Default)]
pub struct Cookies(Vec<String>);

impl Cookies {
    /// The values of `Set-Cookie`.
    pub fn new(values: Vec<String>) -> Self {
        Self(values)
    }

    /// Sets them on an answer.
    pub fn set(&self, headers: &mut HeaderMap) {
        for value in self.0.iter().filter_map(|text| HeaderValue::from_str(text).ok()) {
            headers.append(header::SET_COOKIE, value);
        }
    }
}

/// Where to go after signing in: a page below `home`, and nothing else.
pub fn safe_path(home: &str, next: Option<&str>) -> String {
    let below =
        |path: &str| path.strip_prefix(home).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    let plain = |path: &str| !path.contains("//") && !path.contains(|c: char| c == '\\' || c.is_control());
    let sign_in = format!("{home}/sign-in");
    let ours = |path: &&str| below(path) && plain(path) && !path.starts_with(&sign_in) && path.len() <= NEXT_BYTES;
    next.filter(ours).unwrap_or(home).to_owned()
}

/// The same for an operator.
pub fn safe_next(next: Option<&str>) -> String {
    safe_path("/console", next)
}

/// From where and with what a person signs in.
pub struct Visitor<'a> {
    /// The address.
    pub address: IpAddr,
    /// The headers of the request.
    pub headers: &'a HeaderMap,
}

impl Visitor<'_> {
    fn guess<'b>(&self, state: &AppState, account: &'b str, now: Timestamp) -> Guess<'b> {
        let known = cookie(self.headers, DEVICE_COOKIE);
        let device = known.and_then(|known| state.people.devices.recognise(known, account, now));
        Guess { account, network: Network::of(self.address), device }
    }

    fn admit(&self, state: &AppState, account: &str) -> Result<Admitted, Refused> {
        let now = state.clock();
        let guess = self.guess(state, account, now);
        state.people.throttle.admit(&guess, now).map_err(|wait| Refused::Wait(wait.seconds()))
    }
}

/// The first step: an e-mail address and a password. Answers with the cookie of the attempt.
pub async fn password(
    state: &AppState,
    visitor: &Visitor<'_>,
    email: &str,
    password: Zeroizing<String>,
    next: String,
) -> Result<Cookies, Refused> {
    let account = email.trim().to_lowercase();
    let admitted = visitor.admit(state, &account)?;
    let found = operators::find_by_email(state, &account).await?;
    let active = found.as_ref().filter(|(_, operator)| operator.state == OperatorState::Active);
    let stored = active.and_then(|(_, operator)| operator.password.as_deref());
    match state.people.passwords.check(password, stored).await {
        Ok(Checked::Right { replacement }) if active.is_some() => {
            state.people.throttle.succeeded(admitted);
            let Some((record, mut operator)) = found else { return Err(Refused::Wrong) };
            let id = record.id.clone();
            if let Some(hash) = replacement {
                operator.password = Some(hash);
                state.engine.write_records(vec![RecordChange::Put(record.with(&operator)?)], Vec::new()).await?;
            }
            begin(state, &id, Attempt { proved: "password".to_owned(), next, ..Attempt::default() }).await
        }
        Ok(_) => {
            drop(admitted);
            if let Some((record, _)) = active {
                note_refusal(state, visitor, &record.id, "password").await;
            }
            Err(Refused::Wrong)
        }
        Err(error @ PasswordError::Busy) => {
            state.people.throttle.withdrawn(admitted);
            Err(error.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Keeps a failed attempt at an account that exists; the throttle bounds how many there can be.
async fn note_refusal(state: &AppState, visitor: &Visitor<'_>, operator: &str, method: &str) {
    let mut event = Actor::anonymous(visitor.address).event(state.clock(), "sign_in.refuse", operator);
    event.reason = method.to_owned();
    if let Err(error) = state.engine.write_records(Vec::new(), vec![event]).await {
        tracing::warn!(%error, "a refused sign-in was not written to the audit log");
    }
}

/// Begins an attempt of an operator who has proved something.
pub async fn begin(state: &AppState, operator: &str, attempt: Attempt) -> Result<Cookies, Refused> {
    let token = Token::generate(TokenKind::OneTime);
    let record = Record::new(SIGN_IN, &token.digest(), operator, &attempt)?;
    let record = record.until(state.clock().plus_millis(SIGN_IN_MS));
    state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await?;
    let https = state.people.https();
    Ok(Cookies(vec![session::set_cookie(SIGN_IN_COOKIE, token.reveal(), https, Some(SIGN_IN_MS / 1_000))]))
}

/// An attempt that is under way, and whose it is.
pub struct UnderWay {
    record: Record,
    /// The attempt.
    pub attempt: Attempt,
    account: Record,
    /// Who signs in.
    pub operator: Operator,
}

/// The attempt that a browser's cookie names.
pub async fn under_way(state: &AppState, headers: &HeaderMap) -> Result<UnderWay, Refused> {
    let token = cookie(headers, SIGN_IN_COOKIE).and_then(|text| Token::parse_as(TokenKind::OneTime, text).ok());
    let token = token.ok_or(Refused::Over)?;
    let record = state.reader.record(SIGN_IN, &token.digest(), state.clock()).await?.ok_or(Refused::Over)?;
    let attempt: Attempt = record.read()?;
    let account = state.reader.record(OPERATOR, &record.subject, state.clock()).await?.ok_or(Refused::Over)?;
    let operator: Operator = account.read()?;
    if operator.state != OperatorState::Active {
        return Err(Refused::Over);
    }
    Ok(UnderWay { record, attempt, account, operator })
}

impl UnderWay {
    /// Whether the person has proved enough to be asked for a second factor, or to set one up.
    pub fn may_go_on(&self) -> bool {
        !self.attempt.proved.is_empty()
    }
}

/// The second step: a code of the authenticator app, or a recovery code.
pub async fn second_factor(state: &AppState, visitor: &Visitor<'_>, code: &str) -> Result<(Cookies, String), Refused> {
    let mut this = under_way(state, visitor.headers).await?;
    if !this.may_go_on() {
        return Err(Refused::Over);
    }
    let admitted = visitor.admit(state, &format!("factor:{}", this.account.id))?;
    let Some(method) = redeem(state, &this.account.id, &mut this.operator, code)? else {
        note_refusal(state, visitor, &this.account.id, "second factor").await;
        return Err(Refused::Wrong);
    };
    state.people.throttle.succeeded(admitted);
    let method = format!("{}+{method}", this.attempt.proved);
    finish(state, visitor, this, &method).await
}

/// Uses a code up. `None`: it is wrong, or was used before.
fn redeem(state: &AppState, id: &str, operator: &mut Operator, code: &str) -> Result<Option<&'static str>, Refused> {
    if let Some(app) = &mut operator.authenticator {
        let secret = open_secret(state, id, &app.secret)?;
        if let Some(step) = secret.check(code, state.clock(), app.last_step) {
            app.last_step = Some(step);
            return Ok(Some("totp"));
        }
    }
    Ok(operator.recovery.redeem(code).then_some("recovery"))
}

fn open_secret(state: &AppState, id: &str, sealed: &str) -> Result<TotpSecret, Refused> {
    let trouble = |problem: String| {
        tracing::error!(problem, "the secret of an authenticator app cannot be read");
        Refused::Trouble(Problem::new(
            axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "the second factor cannot be checked; ask an administrator",
        ))
    };
    let secret = state.keys().open_secret(AUTHENTICATOR, id, sealed).map_err(|error| trouble(error.to_string()))?;
    let text = std::str::from_utf8(&secret).map_err(|error| trouble(error.to_string()))?;
    TotpSecret::from_base32(text).map_err(|error| trouble(error.to_string()))
}

/// Seals the secret of an authenticator app for its operator.
pub fn seal_secret(state: &AppState, id: &str, secret: &TotpSecret) -> Result<String, Refused> {
    let sealed =
        state.keys().seal_secret(AUTHENTICATOR, id, secret.to_base32().as_bytes(), super::token::random_bytes());
    sealed.map_err(|error| {
        tracing::error!(%error, "a secret cannot be sealed");
        Refused::Trouble(Problem::new(
            axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "the secret cannot be kept; ask an administrator",
        ))
    })
}

/// An authenticator app that is offered: its secret as text, and as the address in its QR code.
pub struct Offer {
    /// Base32.
    pub secret: Zeroizing<String>,
    /// `otpauth://…`
    pub uri: Zeroizing<String>,
}

/// Offers an authenticator app to someone who has no second factor yet. The same one until the attempt ends, so that a page
/// that is loaded again shows what was scanned.
pub async fn offer(state: &AppState, headers: &HeaderMap) -> Result<Offer, Refused> {
    let mut this = under_way(state, headers).await?;
    if !this.may_go_on() || this.operator.has_second_factor() {
        return Err(Refused::Over);
    }
    let secret = match &this.attempt.new_authenticator {
        Some(sealed) => open_secret(state, &this.account.id, sealed)?,
        None => {
            let secret = TotpSecret::generate();
            this.attempt.new_authenticator = Some(seal_secret(state, &this.account.id, &secret)?);
            let changed = this.record.with(&this.attempt)?;
            state.engine.write_records(vec![RecordChange::Put(changed)], Vec::new()).await?;
            secret
        }
    };
    let brand = state.program().settings.name.get("en").to_owned();
    let uri = secret
        .uri(&brand, &this.operator.email)
        .map_err(|error| Refused::Trouble(Problem::bad_request("invalid_request", error.to_string())))?;
    Ok(Offer { secret: secret.to_base32(), uri })
}

/// The person shows that the app works: it is theirs from now on, with fresh recovery codes, which are shown once.
pub async fn enrol(
    state: &AppState,
    visitor: &Visitor<'_>,
    code: &str,
) -> Result<(Cookies, String, Vec<Zeroizing<String>>), Refused> {
    let mut this = under_way(state, visitor.headers).await?;
    if !this.may_go_on() || this.operator.has_second_factor() {
        return Err(Refused::Over);
    }
    let sealed = this.attempt.new_authenticator.clone().ok_or(Refused::Over)?;
    let admitted = visitor.admit(state, &format!("factor:{}", this.account.id))?;
    let secret = open_secret(state, &this.account.id, &sealed)?;
    let step = secret.check(code, state.clock(), None).ok_or(Refused::Wrong)?;
    state.people.throttle.succeeded(admitted);
    let codes = RecoveryCodes::generate();
    this.operator.authenticator = Some(Authenticator { secret: sealed, last_step: Some(step) });
    this.operator.recovery = codes.stored;
    let method = format!("{}+totp", this.attempt.proved);
    let (cookies, next) = finish(state, visitor, this, &method).await?;
    Ok((cookies, next, codes.codes))
}

/// Begins the ceremony of a passkey for an e-mail address. Who asks does not learn whether it is known.
pub async fn passkey_options(
    state: &AppState,
    email: &str,
    next: String,
) -> Result<(Cookies, serde_json::Value), Refused> {
    let passkeys = state.people.passkeys.as_ref().ok_or(Refused::Over)?;
    let account = email.trim().to_lowercase();
    let found = operators::find_by_email(state, &account).await?;
    let found = found.filter(|(_, operator)| operator.state == OperatorState::Active);
    let own = found.as_ref().map(|(_, operator)| operator.passkeys.as_slice()).unwrap_or_default();
    let (options, ceremony) = passkeys.begin_authentication(&account, own)?;
    let operator = found.as_ref().map_or("", |(record, _)| record.id.as_str());
    let attempt = Attempt { passkey: Some(ceremony), next, ..Attempt::default() };
    Ok((begin(state, operator, attempt).await?, options))
}

/// Ends the ceremony with what the browser answered.
pub async fn passkey(state: &AppState, visitor: &Visitor<'_>, answer: &str) -> Result<(Cookies, String), Refused> {
    // An attempt for an address that nobody has ends like one with a passkey that nobody has.
    let mut this = match under_way(state, visitor.headers).await {
        Err(Refused::Over) => return Err(Refused::Wrong),
        found => found?,
    };
    let passkeys = state.people.passkeys.as_ref().ok_or(Refused::Over)?;
    let ceremony = this.attempt.passkey.clone().ok_or(Refused::Over)?;
    let admitted = visitor.admit(state, &format!("passkey:{}", this.account.id))?;
    let used = passkeys.finish_authentication(answer, &ceremony, &mut this.operator.passkeys, state.clock());
    if let Err(error) = used {
        tracing::info!(%error, operator = this.account.id, "a passkey was refused");
        note_refusal(state, visitor, &this.account.id, "passkey").await;
        return Err(Refused::Wrong);
    }
    state.people.throttle.succeeded(admitted);
    finish(state, visitor, this, "passkey").await
}

/// All steps are done: the attempt is used up, and a session begins under a new token. Of two who come with the same attempt
/// or the same code one fails, because both write over what they read.
async fn finish(
    state: &AppState,
    visitor: &Visitor<'_>,
    this: UnderWay,
    method: &str,
) -> Result<(Cookies, String), Refused> {
    let UnderWay { record, attempt, account, operator } = this;
    let changes = vec![RecordChange::Delete(record), RecordChange::Put(account.clone().with(&operator)?)];
    let cookies = let_in(state, visitor, &account.id, &operator.email, method, changes).await?;
    Ok((cookies, safe_next(Some(&attempt.next))))
}

/// Begins the session of an operator who has proved who they are, together with what that proof changes. A session that
/// the browser had before ends.
pub async fn let_in(
    state: &AppState,
    visitor: &Visitor<'_>,
    operator: &str,
    email: &str,
    method: &str,
    mut changes: Vec<RecordChange>,
) -> Result<Cookies, Refused> {
    let now = state.clock();
    let begun = session::begin(operator, &Session::new(method, &visitor.address.to_string(), visitor.headers, now))?;
    let old = cookie(visitor.headers, OPERATOR_COOKIE).and_then(|text| Token::parse_as(TokenKind::Session, text).ok());
    if let Some(old) = old
        && let Some(record) = state.reader.record(session::SESSION, &old.digest(), now).await?
    {
        changes.push(RecordChange::Delete(record));
    }
    let room = session::make_room(state, operator).await?;
    changes.extend(room.into_iter().filter(|change| !changes.contains(change)).collect::<Vec<_>>());
    changes.push(begun.change);
    let who = Who::Operator { id: operator.to_owned(), session: begun.token.digest() };
    let actor = Actor { who, ..Actor::anonymous(visitor.address) };
    let mut event = actor.event(now, "session.begin", operator);
    event.reason = method.to_owned();
    state.engine.write_records(changes, vec![event]).await.map_err(|error| match error {
        CommandError::Conflict => Refused::Over,
        error => Refused::Trouble(error.into()),
    })?;
    state.directory.forget();
    if visitor.guess(state, email, now).device.is_none() && !FIRST.iter().any(|first| method.starts_with(first)) {
        alert(state, visitor, email, now);
    }
    let https = state.people.https();
    let device = state.people.devices.renew(cookie(visitor.headers, DEVICE_COOKIE), &email.to_lowercase(), now);
    Ok(Cookies(vec![
        session::set_cookie(OPERATOR_COOKIE, begun.token.reveal(), https, None),
        session::set_cookie(SIGN_IN_COOKIE, "", https, Some(0)),
        session::set_cookie(DEVICE_COOKIE, &device, https, Some(DEVICE_COOKIE_S)),
    ]))
}

/// Tells an operator that a device signed in which was not seen before.
fn alert(state: &AppState, visitor: &Visitor<'_>, email: &str, now: Timestamp) {
    let link = state.people.link("/console/account");
    let Some(to) = Address::email(email).ok().filter(|_| link.starts_with("http")) else { return };
    let language = Language::of_headers(visitor.headers).unwrap_or(Language::English);
    let agent = visitor.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let program = state.program();
    let (time, device, address) = (program.calendar.show(now), device(language, agent), visitor.address.to_string());
    let notice = Notice::SignInAlert { time: &time, device: &device, address: &address, link: &link };
    state.post.notify(&notice, language, program.settings.name.get(language.tag()), to);
}

/// Ends the session of a browser.
pub async fn sign_out(state: &AppState, actor: &Actor) -> Result<Cookies, Problem> {
    if let (Some(id), Some(session)) = (actor.operator(), actor.session()) {
        let event = actor.event(state.clock(), "session.end", id);
        session::end(state, id, Some(session), None, event).await?;
    }
    Ok(Cookies(vec![session::set_cookie(OPERATOR_COOKIE, "", state.people.https(), Some(0))]))
}

#[cfg(test)]
mod tests {
    use super::safe_next;

    #[test]
    fn nobody_is_sent_elsewhere_after_signing_in() {
        assert_eq!(safe_next(Some("/console/members?after=x")), "/console/members?after=x");
        for bad in ["https://evil.example", "//evil.example", "/console//evil.example", "/portal", "/console\\x", ""] {
            assert_eq!(safe_next(Some(bad)), "/console", "{bad}");
        }
        assert_eq!(safe_next(None), "/console");
    }
}
