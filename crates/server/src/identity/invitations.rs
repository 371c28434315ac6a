//! How an invitation reaches the person: by e-mail where the server sends e-mail, and as a link to pass on in any case.

use super::actor::Actor;
use super::operators::{self, INVITATION_MS};
use super::token::Token;
use crate::AppState;
use crate::language::Language;
use crate::messages::{Address, Notice};

/// The address that an invitation leads to.
pub fn link(state: &AppState, token: &Token) -> String {
    state.people.link(&format!("/console/invitation?token={}", token.reveal()))
}

/// Sends the invitation of an operator by e-mail, in the language of who invites. Gives the address to which it goes; none
/// where it cannot be sent, and the link alone must do.
pub async fn send(
    state: &AppState,
    actor: &Actor,
    language: Language,
    operator: &str,
    token: &Token,
) -> Option<String> {
    let link = link(state, token);
    // Without a public address nobody could follow it from a letter.
    if !link.starts_with("http") {
        return None;
    }
    let program = state.program();
    let name = program.settings.name.get(language.tag());
    let (_, invited) = operators::find(state, operator).await.ok()?;
    let inviter = match actor.operator() {
        Some(id) => operators::find(state, id).await.map_or_else(|_| name.to_owned(), |(_, operator)| operator.name),
        None => name.to_owned(),
    };
    let roles: Vec<String> = invited.grants.iter().map(|grant| language.role(&grant.role)).collect();
    let until = program.calendar.show(state.clock().plus_millis(INVITATION_MS));
    let role = roles.join(", ");
    let notice = Notice::Invitation { inviter: &inviter, role: &role, link: &link, until: &until };
    let sent = state.post.notify(&notice, language, name, Address::email(&invited.email).ok()?);
    sent.then_some(invited.email)
}
