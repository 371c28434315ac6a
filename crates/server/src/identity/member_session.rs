//! How a member's session begins and ends, whichever way the member has proved who they are.

use guerdon_core::id::MemberId;
use guerdon_store::{RecordChange, StoreError};

use super::actor::{Actor, Who};
use super::guard::cookie;
use super::session::{self, MEMBER_COOKIE, MEMBER_LIFE_MS, SESSION, Session};
use super::sign_in::{Cookies, Visitor};
use super::token::{Token, TokenKind};
use crate::AppState;
use crate::problem::Problem;

/// Begins the session of a member who has proved who they are, together with what that proof changes. A session that the
/// browser had before ends.
pub async fn let_in(
    state: &AppState,
    visitor: &Visitor<'_>,
    member: MemberId,
    method: &str,
    mut changes: Vec<RecordChange>,
) -> Result<Cookies, Problem> {
    let (now, subject) = (state.clock(), member.to_string());
    let begun = session::begin(&subject, &Session::new(method, &visitor.address.to_string(), visitor.headers, now))?;
    let https = state.people.https();
    let old =
        cookie(visitor.headers, MEMBER_COOKIE, https).and_then(|text| Token::parse_as(TokenKind::Session, text).ok());
    if let Some(old) = old
        && let Some(record) = state.reader.record(SESSION, &old.digest(), now).await?
    {
        changes.push(RecordChange::Delete(record));
    }
    let room = session::make_room(state, &subject).await?;
    changes.extend(room.into_iter().filter(|change| !changes.contains(change)).collect::<Vec<_>>());
    changes.push(begun.change);
    let who = Who::Member { id: member, session: begun.token.digest() };
    let mut event = Actor { who, ..Actor::anonymous(visitor.address) }.event(now, "session.begin", &subject);
    event.reason = method.to_owned();
    let ended = session::ended_by(&changes);
    state.engine.write_records(changes, vec![event]).await?;
    state.directory.forget_sessions(&ended);
    let life = Some(MEMBER_LIFE_MS / 1_000);
    Ok(Cookies::new(vec![session::set_cookie(MEMBER_COOKIE, begun.token.reveal(), https, life)]))
}

/// Ends the session of a member's browser.
pub async fn sign_out(state: &AppState, actor: &Actor) -> Result<Cookies, Problem> {
    if let (Some(member), Some(session)) = (actor.member(), actor.session()) {
        let event = actor.event(state.clock(), "session.end", &member.to_string());
        session::end(state, &member.to_string(), Some(session), None, event).await?;
    }
    Ok(forget(state))
}

/// Ends every session of a member at somebody else's wish, also those that began on accounts merged into this one. Returns how
/// many there were.
pub async fn end_all(
    state: &AppState,
    actor: &Actor,
    member: MemberId,
    merged: &[MemberId],
    reason: &str,
) -> Result<usize, Problem> {
    let mut ended = 0;
    for one in merged.iter().chain([&member]) {
        let mut event = actor.event(state.clock(), "session.end", &one.to_string());
        reason.clone_into(&mut event.reason);
        ended += session::end(state, &one.to_string(), None, None, event).await?;
    }
    Ok(ended)
}

/// How many sessions a member has, on whichever account they began.
pub async fn count(state: &AppState, member: MemberId, merged: &[MemberId]) -> Result<usize, StoreError> {
    let mut sessions = 0;
    for one in merged.iter().chain([&member]) {
        sessions += session::list(state, &one.to_string()).await?.len();
    }
    Ok(sessions)
}

/// Takes the cookie of a session that has ended away.
pub fn forget(state: &AppState) -> Cookies {
    Cookies::new(vec![session::set_cookie(MEMBER_COOKIE, "", state.people.https(), Some(0))])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::http::HeaderMap;
    use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};
    use guerdon_store::AuditQuery;

    use super::*;
    use crate::identity::testing::{scratch, state};
    use crate::messages::Post;

    #[tokio::test]
    async fn an_administrator_ends_every_session_of_a_member_and_nobody_elses() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([3; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        let (member, merged, other) = (MemberId(1), MemberId(2), MemberId(3));
        let session = Session::new("code", "203.0.113.7", &HeaderMap::new(), state.clock());
        let begun =
            [member, member, merged, other].map(|one| session::begin(&one.to_string(), &session).unwrap().change);
        state.engine.write_records(begun.to_vec(), Vec::new()).await.unwrap();
        assert_eq!(count(&state, member, &[merged]).await.unwrap(), 3);
        let ended = end_all(&state, &Actor::system(), member, &[merged], "phone lost").await.unwrap();
        assert_eq!((ended, count(&state, member, &[merged]).await.unwrap()), (3, 0));
        assert_eq!(count(&state, other, &[]).await.unwrap(), 1);
        // Where there was none, nothing is written.
        assert_eq!(end_all(&state, &Actor::system(), member, &[], "").await.unwrap(), 0);
        let query = AuditQuery { action: Some("session.end".to_owned()), limit: 10, ..AuditQuery::default() };
        let told = state.reader.audit_events(&query).await.unwrap();
        let told: Vec<_> = told.iter().map(|entry| entry.event().unwrap()).collect();
        assert_eq!(told.len(), 2, "one entry an account");
        assert!(told.iter().all(|event| event.reason == "phone lost" && event.actor == "system"));
    }
}
