//! How a member's session begins and ends, whichever way the member has proved who they are.

use guerdon_core::id::MemberId;
use guerdon_store::RecordChange;

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
    state.engine.write_records(changes, vec![event]).await?;
    state.directory.forget();
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

/// Takes the cookie of a session that has ended away.
pub fn forget(state: &AppState) -> Cookies {
    Cookies::new(vec![session::set_cookie(MEMBER_COOKIE, "", state.people.https(), Some(0))])
}
