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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::http::{HeaderMap, header};
    use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};
    use guerdon_store::Record;

    use super::*;
    use crate::identity::operator::{OPERATOR, OPERATOR_EMAIL, Operator};
    use crate::identity::people::People;
    use crate::identity::testing::{NOW, scratch, state};
    use crate::messages::Post;

    #[tokio::test]
    async fn a_challenge_takes_one_answer_whether_or_not_somebody_has_the_address() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let public = Some("https://loyalty.example.org".parse().unwrap());
        let people = Arc::new(People::new(public, true, "Gift Club", &keyring).unwrap());
        let state = AppState { people, ..state(&scratch, keyring, Post::default()) };
        let ann =
            Operator { state: OperatorState::Active, ..Operator::invited("ann@example.org", "A", Vec::new(), NOW) };
        let email = Record::new(OPERATOR_EMAIL, &operators::email_id(&state, &ann.email), "opr_1", &()).unwrap();
        let account = Record::new(OPERATOR, "opr_1", "", &ann).unwrap();
        let changes = vec![RecordChange::Put(account), RecordChange::Put(email)];
        state.engine.write_records(changes, Vec::new()).await.unwrap();

        for email in ["ann@example.org", "nobody@example.org"] {
            let address = "192.0.2.1".parse().unwrap();
            let nothing = HeaderMap::new();
            let visitor = Visitor { address, headers: &nothing };
            let (cookies, _) = passkey_options(&state, &visitor, email, String::new()).await.unwrap();
            let (mut sent, mut headers) = (HeaderMap::new(), HeaderMap::new());
            cookies.set(&mut sent);
            headers.insert(header::COOKIE, sent[header::SET_COOKIE].clone());
            let visitor = Visitor { address, headers: &headers };
            let answer = async || passkey(&state, &visitor, "{}").await.map(drop);
            assert!(matches!(answer().await, Err(Refused::Wrong)), "{email}");
            assert!(matches!(answer().await, Err(Refused::Over)), "{email}: the challenge is used up");
        }
    }

    #[tokio::test]
    async fn strangers_begin_a_few_ceremonies_a_minute() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let public = Some("https://loyalty.example.org".parse().unwrap());
        let people = Arc::new(People::new(public, true, "Gift Club", &keyring).unwrap());
        let state = AppState { people, ..state(&scratch, keyring, Post::default()) };
        let headers = HeaderMap::new();
        let visitor = Visitor { address: "192.0.2.1".parse().unwrap(), headers: &headers };
        let mut begun = 0;
        for _ in 0..40 {
            match passkey_options(&state, &visitor, "ann@example.org", String::new()).await {
                Ok(_) => begun += 1,
                Err(refused) => assert!(matches!(refused, Refused::Wait(_))),
            }
        }
        assert_eq!(begun, 30);
    }
}
