//! Signing in with a passkey: the challenge, and its one answer.

use guerdon_store::RecordChange;

use super::attempt::{Attempt, begin, named, owner};
use super::operator::OperatorState;
use super::operators;
use super::refusals::Why;
use super::session::Proof;
use super::sign_in::{Cookies, Refused, Visitor, let_in, safe_next};
use crate::AppState;

/// Begins the ceremony of a passkey for an e-mail address. Who asks does not learn whether it is known.
pub async fn passkey_options(
    state: &AppState,
    visitor: &Visitor<'_>,
    email: &str,
    next: String,
) -> Result<(Cookies, serde_json::Value), Refused> {
    let passkeys = state.people.passkeys.as_ref().ok_or(Refused::Over)?;
    visitor.begins(state)?;
    let address = email.trim().to_lowercase();
    let found = operators::find_by_email(state, &address).await?;
    let found = found.filter(|(_, operator)| operator.state == OperatorState::Active);
    let own = found.as_ref().map(|(_, operator)| operator.passkeys.as_slice()).unwrap_or_default();
    let (options, ceremony) = passkeys.begin_authentication(&address, own)?;
    let (id, credentials) =
        found.as_ref().map(|(record, operator)| (record.id.as_str(), operator.credentials())).unwrap_or_default();
    let account = operators::email_id(state, &address);
    let attempt = Attempt { passkey: Some(ceremony), account, credentials, next, ..Attempt::default() };
    Ok((begin(state, id, attempt).await?, options))
}

/// Ends the ceremony with what the browser answered.
pub async fn passkey(state: &AppState, visitor: &Visitor<'_>, answer: &str) -> Result<(Cookies, String), Refused> {
    let passkeys = state.people.passkeys.as_ref().ok_or(Refused::Over)?;
    let (record, attempt) = named(state, visitor.headers).await?;
    let ceremony = attempt.passkey.clone().ok_or(Refused::Over)?;
    let admitted = visitor.admit(state, &format!("passkey:{}", attempt.account))?;
    // Before anything is looked at: a challenge takes one answer, right or wrong, also where nobody has the address.
    state.engine.write_records(vec![RecordChange::Delete(record.clone())], Vec::new()).await?;
    let Some((account, mut operator)) = owner(state, &record, &attempt).await? else {
        return Err(visitor.refuse(state, Why::Passkey, None));
    };
    let used = passkeys.finish_authentication(answer, &ceremony, &mut operator.passkeys, state.clock());
    if let Err(error) = used {
        tracing::info!(%error, operator = account.id, "a passkey was refused");
        return Err(visitor.refuse(state, Why::Passkey, Some(&account.id)));
    }
    state.people.throttle.succeeded(admitted);
    let (id, email) = (account.id.clone(), operator.email.clone());
    let changes = vec![RecordChange::Put(account.with(&operator)?)];
    let cookies = let_in(state, visitor, (&id, &email), &Proof::now(state, "passkey"), changes).await?;
    Ok((cookies, safe_next(Some(&attempt.next))))
}
