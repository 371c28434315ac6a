//! Signing in: a password and a second factor, or a passkey, or a link that the server's own administrator has made. A session
//! begins only when all steps are done.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, RecordChange};
use zeroize::Zeroizing;

use super::actor::{Actor, Who};
use super::attempt::SIGN_IN_COOKIE;
use super::guard::cookie;
use super::network::Network;
use super::operator::{Authenticator, Operator, OperatorState};
use super::operators;
use super::password::{Checked, PasswordError};
use super::recovery::RecoveryCodes;
use super::refusals::{self, Why};
use super::session::{self, OPERATOR_COOKIE, Proof, Session};
use super::throttle::{Admitted, Attempt as Guess};
use super::token::{Token, TokenKind};
use super::totp::TotpSecret;
use crate::AppState;
use crate::console::device;
use crate::language::Language;
use crate::messages::{Address, Notice};
use crate::problem::Problem;

pub use super::attempt::{Attempt, UnderWay, begin, under_way};
pub use super::passkey_sign_in::{passkey, passkey_options};

/// What the log calls the pages of signing in.
const ROUTE: &str = "/console/sign-in";
/// The cookie by which a device is known.
const DEVICE_COOKIE: &str = "guerdon_device";
const DEVICE_COOKIE_S: i64 = 31_536_000;
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
        let known = cookie(self.headers, DEVICE_COOKIE, state.people.https());
        let device = known.and_then(|known| state.people.devices.recognise(known, account, now));
        Guess { account, network: Network::of(self.address), device }
    }

    /// Counts an attempt at something secret of an account, unless it must wait.
    pub(super) fn admit(&self, state: &AppState, account: &str) -> Result<Admitted, Refused> {
        let now = state.clock();
        let guess = self.guess(state, account, now);
        state.people.throttle.admit(&guess, now).map_err(|wait| self.waits(wait.seconds()))
    }

    /// Counts an attempt that leaves a record behind before anything is proved.
    pub(super) fn begins(&self, state: &AppState) -> Result<(), Refused> {
        state.directory.traffic().may_begin(self.address).map_err(|limited| self.waits(limited.retry_after))
    }

    fn waits(&self, seconds: u64) -> Refused {
        refusals::note(Why::Limit, ROUTE, self.address, None);
        Refused::Wait(seconds)
    }

    /// An attempt was in vain. Of an account that exists the audit log keeps it, beside the answer and not before it, so
    /// that its time tells nothing; the throttle bounds how many there can be.
    pub(super) fn refuse(&self, state: &AppState, why: Why, operator: Option<&str>) -> Refused {
        refusals::note(why, ROUTE, self.address, operator);
        if let Some(operator) = operator {
            let mut event = Actor::anonymous(self.address).event(state.clock(), "sign_in.refuse", operator);
            event.reason = why.name().replace('_', " ");
            let engine = state.engine.clone();
            tokio::spawn(async move {
                if let Err(error) = engine.write_records(Vec::new(), vec![event]).await {
                    tracing::warn!(%error, "a refused sign-in was not written to the audit log");
                }
            });
        }
        Refused::Wrong
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
            begin(state, &id, Attempt { next, ..Attempt::proved("password", &operator) }).await
        }
        Ok(_) => {
            drop(admitted);
            Err(visitor.refuse(state, Why::Password, active.map(|(record, _)| record.id.as_str())))
        }
        Err(error @ PasswordError::Busy) => {
            state.people.throttle.withdrawn(admitted);
            Err(error.into())
        }
        Err(error) => Err(error.into()),
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
        return Err(visitor.refuse(state, Why::SecondFactor, Some(&this.account.id)));
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
    let step = secret.check(code, state.clock(), None);
    let step = step.ok_or_else(|| visitor.refuse(state, Why::SecondFactor, Some(&this.account.id)))?;
    state.people.throttle.succeeded(admitted);
    let codes = RecoveryCodes::generate();
    this.operator.authenticator = Some(Authenticator { secret: sealed, last_step: Some(step) });
    this.operator.recovery = codes.stored;
    let method = format!("{}+totp", this.attempt.proved);
    let (cookies, next) = finish(state, visitor, this, &method).await?;
    Ok((cookies, next, codes.codes))
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
    let who = (account.id.as_str(), operator.email.as_str());
    let cookies = let_in(state, visitor, who, &Proof::now(state, method), changes).await?;
    Ok((cookies, safe_next(Some(&attempt.next))))
}

/// Begins the session of an operator who has proved who they are, together with what that proof changes. A session that
/// the browser had before ends.
pub async fn let_in(
    state: &AppState,
    visitor: &Visitor<'_>,
    (operator, email): (&str, &str),
    proof: &Proof,
    mut changes: Vec<RecordChange>,
) -> Result<Cookies, Refused> {
    let now = state.clock();
    let session = Session::new(&proof.method, &visitor.address.to_string(), visitor.headers, now);
    let begun = session::begin(operator, &Session { proved_at: proof.at.min(now), ..session })?;
    let https = state.people.https();
    let old =
        cookie(visitor.headers, OPERATOR_COOKIE, https).and_then(|text| Token::parse_as(TokenKind::Session, text).ok());
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
    event.reason = proof.method.clone();
    let ended = session::ended_by(&changes);
    state.engine.write_records(changes, vec![event]).await.map_err(|error| match error {
        CommandError::Conflict => Refused::Over,
        error => Refused::Trouble(error.into()),
    })?;
    state.directory.forget_sessions(&ended);
    if visitor.guess(state, email, now).device.is_none() && !FIRST.iter().any(|first| proof.method.starts_with(first)) {
        alert(state, visitor, email, now);
    }
    let device = state.people.devices.renew(cookie(visitor.headers, DEVICE_COOKIE, https), &email.to_lowercase(), now);
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
    let language = Language::of_headers(visitor.headers, state.people.https()).unwrap_or(Language::English);
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
