//! What a signed-in operator changes of their own: password, authenticator, passkeys, recovery codes. Each asks for a fresh
//! proof of identity, and ends the other sessions where what they were begun with is gone.

use guerdon_core::audit::AuditEvent;
use guerdon_store::{Record, RecordChange};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::actor::Actor;
use super::operator::Operator;
use super::operators;
use super::passkey::{CEREMONY_MS, PasskeyOwner, RegistrationState};
use super::recovery::RecoveryCodes;
use super::refusals::Why;
use super::session::{self, SESSION, Session};
use super::setup::{FormTrouble, new_password};
use super::sign_in::{Refused, Visitor};
use crate::AppState;
use crate::problem::Problem;

/// The kind of the records of passkeys that are being registered; the id is the session.
const REGISTRATION: &str = "passkey_registration";

/// A passkey that is being registered.
#[derive(Serialize, Deserialize)]
struct Registration {
    label: String,
    state: RegistrationState,
}

/// The operator who acts, and whether they have proved who they are a moment ago.
pub struct Own {
    /// The record of the account.
    pub record: Record,
    /// The account.
    pub operator: Operator,
    /// The session.
    pub session: Session,
    /// Whether a sensitive act may be done now.
    pub fresh: bool,
}

/// The account and session of a signed-in operator.
pub async fn own(state: &AppState, actor: &Actor) -> Result<Own, Problem> {
    let over = || Problem::new(axum::http::StatusCode::UNAUTHORIZED, "unauthorized", "sign in again");
    let (id, session) = actor.operator().zip(actor.session()).ok_or_else(over)?;
    let (record, operator) = operators::find(state, id).await?;
    let found = state.reader.record(SESSION, session, state.clock()).await?.ok_or_else(over)?;
    let session: Session = found.read()?;
    let fresh = session.is_fresh(state.clock());
    Ok(Own { record, operator, session, fresh })
}

impl Own {
    /// Writes what was changed, and ends the person's other sessions.
    async fn write(self, state: &AppState, actor: &Actor, mut event: AuditEvent) -> Result<(), Refused> {
        event.after = self.operator.facts();
        let id = self.record.id.clone();
        let mut changes = vec![RecordChange::Put(self.record.with(&self.operator)?)];
        let others = session::list(state, &id).await?.into_iter().map(|(record, _)| record);
        changes.extend(others.filter(|record| Some(record.id.as_str()) != actor.session()).map(RecordChange::Delete));
        state.engine.write_records(changes, vec![event]).await?;
        state.directory.forget_operators();
        Ok(())
    }

    fn event(&self, state: &AppState, actor: &Actor, action: &str) -> AuditEvent {
        let mut event = actor.event(state.clock(), action, &self.record.id);
        event.before = self.operator.facts();
        event
    }
}

/// Sets another password, for whoever knows the one that there is.
pub async fn change_password(
    state: &AppState,
    visitor: &Visitor<'_>,
    actor: &Actor,
    mut own: Own,
    (current, password): (Zeroizing<String>, Zeroizing<String>),
) -> Result<(), FormTrouble> {
    check_current(state, visitor, &own, current).await?;
    let event = own.event(state, actor, "account.password");
    own.operator.password = Some(new_password(state, password, &own.operator.email, &own.operator.name).await?);
    Ok(own.write(state, actor, event).await?)
}

/// Checks the password of who has one. Others have proved in another way who they are.
async fn check_current(
    state: &AppState,
    visitor: &Visitor<'_>,
    own: &Own,
    current: Zeroizing<String>,
) -> Result<(), Refused> {
    let Some(stored) = own.operator.password.as_deref() else { return Ok(()) };
    let admitted = visitor.admit(state, &format!("password:{}", own.record.id))?;
    match state.people.passwords.check(current, Some(stored)).await {
        Ok(checked) if checked.is_right() => state.people.throttle.succeeded(admitted),
        Ok(_) => return Err(visitor.refuse(state, Why::Password, Some(&own.record.id))),
        Err(error) => {
            state.people.throttle.withdrawn(admitted);
            return Err(error.into());
        }
    }
    Ok(())
}

/// Makes new recovery codes; the old ones are worth nothing from then on.
pub async fn new_recovery_codes(
    state: &AppState,
    actor: &Actor,
    mut own: Own,
) -> Result<Vec<Zeroizing<String>>, Refused> {
    let event = own.event(state, actor, "account.recovery_codes");
    let codes = RecoveryCodes::generate();
    own.operator.recovery = codes.stored;
    own.write(state, actor, event).await?;
    Ok(codes.codes)
}

/// Takes the authenticator app away; another one is set up at the next sign-in, unless there is a passkey.
pub async fn remove_authenticator(state: &AppState, actor: &Actor, mut own: Own) -> Result<(), Refused> {
    let event = own.event(state, actor, "account.authenticator_remove");
    own.operator.authenticator = None;
    own.write(state, actor, event).await
}

/// Takes a passkey away.
pub async fn remove_passkey(state: &AppState, actor: &Actor, mut own: Own, passkey: &str) -> Result<(), Refused> {
    let event = own.event(state, actor, "account.passkey_remove");
    let before = own.operator.passkeys.len();
    own.operator.passkeys.retain(|known| known.id() != passkey);
    if own.operator.passkeys.len() == before {
        return Err(Refused::Trouble(Problem::not_found("unknown_passkey", "there is no such passkey")));
    }
    own.write(state, actor, event).await
}

/// Begins the registration of a passkey: the options for the browser.
pub async fn begin_passkey(
    state: &AppState,
    actor: &Actor,
    own: &Own,
    label: &str,
) -> Result<serde_json::Value, Problem> {
    let no_host = || Problem::bad_request("no_passkeys", "passkeys need a public URL with a host name");
    let passkeys = state.people.passkeys.as_ref().ok_or_else(no_host)?;
    let owner = PasskeyOwner { id: &own.record.id, account: &own.operator.email, name: &own.operator.name };
    let (options, ceremony) = passkeys.begin_registration(owner, &own.operator.passkeys)?;
    let session = actor.session().unwrap_or_default();
    let body = Registration { label: label.to_owned(), state: ceremony };
    let record = match state.reader.record(REGISTRATION, session, state.clock()).await? {
        Some(old) => old.with(&body)?,
        None => Record::new(REGISTRATION, session, &own.record.id, &body)?,
    };
    let record = record.until(state.clock().plus_millis(CEREMONY_MS));
    state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await?;
    Ok(options)
}

/// Ends it with what the browser answered.
pub async fn finish_passkey(state: &AppState, actor: &Actor, mut own: Own, answer: &str) -> Result<(), Refused> {
    let passkeys = state.people.passkeys.as_ref().ok_or(Refused::Over)?;
    let session = actor.session().unwrap_or_default();
    let record = state.reader.record(REGISTRATION, session, state.clock()).await?.ok_or(Refused::Over)?;
    let registration: Registration = record.read()?;
    // Before anything is looked at: a challenge takes one answer, right or wrong.
    state.engine.write_records(vec![RecordChange::Delete(record)], Vec::new()).await?;
    let event = own.event(state, actor, "account.passkey_add");
    let label = if registration.label.trim().is_empty() { "Passkey" } else { registration.label.as_str() };
    let passkey = passkeys.finish_registration(answer, &registration.state, label, state.clock())?;
    own.operator.passkeys.push(passkey);
    own.write(state, actor, event).await
}
