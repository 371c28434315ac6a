//! What one operator changes of another: roles, whether they may sign in, and what they sign in with. Whoever lets somebody
//! in again could act through them, and so must have what they have.

use axum::http::StatusCode;
use guerdon_core::identity::Grant;
use guerdon_core::limits;
use guerdon_store::{Record, RecordChange, RecordQuery};
use serde_json::Value;

use super::actor::Actor;
use super::hands;
use super::invitations;
use super::operator::{Operator, OperatorState};
use super::operators::{
    INVITATION, INVITATION_MS, check_grants, check_within, find, invalid, invitation, list, permissions_of,
    require_owner,
};
use super::session;
use super::token::{Token, TokenKind};
use crate::AppState;
use crate::language::Language;
use crate::messages::{Address, Channel, Message, Notice};
use crate::problem::Problem;

/// The record that changes with every owner, so that two acts cannot each take away the other's last owner.
const OWNERS: &str = "owners";

/// A change of an operator by another.
pub enum OperatorChange {
    /// Other roles.
    Grants(Vec<Grant>),
    /// Some roles less, and some more; the others stay.
    Regrant {
        /// To be taken away.
        remove: Vec<Grant>,
        /// To be given.
        add: Vec<Grant>,
    },
    /// May not sign in any more.
    Suspend,
    /// May sign in again.
    Resume,
    /// Lost what they sign in with: a new invitation, under which they choose everything anew. It is sent to them in this
    /// language where the server can send e-mail.
    Reset(Language),
}

impl OperatorChange {
    fn action(&self) -> &'static str {
        match self {
            Self::Grants(_) | Self::Regrant { .. } => "operator.grant",
            Self::Suspend => "operator.suspend",
            Self::Resume => "operator.resume",
            Self::Reset(_) => "operator.reset",
        }
    }
}

/// Changes an operator. The sessions of whoever may do less or is reset end at once. Gives the link of a new invitation where
/// there is one and nothing sends it to the person: to be passed on to them.
pub async fn change(
    state: &AppState,
    actor: &Actor,
    id: &str,
    change: OperatorChange,
    reason: &str,
) -> Result<Option<String>, Problem> {
    limits::check_text("reason", reason, limits::TEXT_CHARS).map_err(invalid)?;
    let (record, before) = find(state, id).await?;
    if actor.operator() == Some(id) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "not_oneself", "another operator must do this"));
    }
    if before.is_owner() {
        require_owner(state, actor).await?;
    }
    let mut event = actor.event(state.clock(), change.action(), id);
    let (mut after, mut changes, mut way) = (before.clone(), Vec::new(), None);
    match change {
        OperatorChange::Grants(grants) => {
            check_grants(state, actor, &grants).await?;
            after.grants = grants;
        }
        OperatorChange::Regrant { remove, add } => {
            after.grants = regranted(&before.grants, &remove, add);
            check_grants(state, actor, &after.grants).await?;
        }
        OperatorChange::Suspend => after.state = OperatorState::Suspended,
        OperatorChange::Resume => {
            check_has(state, actor, &before.grants).await?;
            after.state = resumed(&before)?;
        }
        OperatorChange::Reset(language) => {
            check_has(state, actor, &before.grants).await?;
            after = reset(&before, hands::behind(state, actor).await?);
            let token = Token::generate(TokenKind::Invitation);
            changes = new_invitation(state, id, &token).await?;
            way = Some(Way::of(state, language, &after, &token)?);
        }
    }
    keep_an_owner(state, id, &before, &after, &mut changes).await?;
    (event.before, event.after, event.reason) = (before.facts(), after.facts(), reason.to_owned());
    changes.push(RecordChange::Put(record.with(&after)?));
    for (session, _) in session::list(state, id).await? {
        changes.push(RecordChange::Delete(session));
    }
    state.engine.write_records(changes, vec![event]).await?;
    state.directory.forget_operators();
    match way {
        Some(Way::Shown(link)) => Ok(Some(link)),
        Some(Way::Sent(message)) => {
            state.post.send(*message).map_err(not_sent)?;
            Ok(None)
        }
        None => Ok(None),
    }
}

/// Grants with some of them removed and others added, each once.
fn regranted(before: &[Grant], remove: &[Grant], add: Vec<Grant>) -> Vec<Grant> {
    let mut after: Vec<Grant> = before.iter().filter(|grant| !remove.contains(grant)).cloned().collect();
    for grant in add {
        if !after.contains(&grant) {
            after.push(grant);
        }
    }
    after
}

/// How the link of a reset comes to its person: by e-mail, or by whoever has reset them where the server sends none.
enum Way {
    Sent(Box<Message>),
    Shown(String),
}

impl Way {
    fn of(state: &AppState, language: Language, operator: &Operator, token: &Token) -> Result<Self, Problem> {
        let link = invitations::link(state, token);
        // Without a public address nobody could follow it from a letter.
        if !state.post.takes(Channel::Email) || !link.starts_with("http") {
            return Ok(Self::Shown(link));
        }
        let to = Address::email(&operator.email).map_err(invalid)?;
        let program = state.program();
        let until = program.calendar.show(state.clock().plus_millis(INVITATION_MS));
        let notice = Notice::Reset { link: &link, until: &until };
        let message = notice.compose(language, program.settings.name.get(language.tag()), to).map_err(not_sent)?;
        Ok(Self::Sent(Box::new(message)))
    }
}

fn not_sent(error: impl std::fmt::Display) -> Problem {
    let detail = format!("the link could not be sent: {error}; reset the sign-in once more");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
}

/// Refuses an actor who has less than the one who is let in again.
async fn check_has(state: &AppState, actor: &Actor, grants: &[Grant]) -> Result<(), Problem> {
    let program = &state.program().settings.id;
    for grant in grants.iter().filter(|grant| grant.program == "*" || grant.program == *program) {
        if let Some(permissions) = permissions_of(state, &grant.role).await? {
            check_within(actor, permissions, &grant.stores)?;
        }
    }
    Ok(())
}

fn resumed(before: &Operator) -> Result<OperatorState, Problem> {
    match before.state {
        OperatorState::Suspended if before.password.is_some() || !before.external.is_empty() => {
            Ok(OperatorState::Active)
        }
        OperatorState::Suspended => Ok(OperatorState::Invited),
        _ => Err(invalid("the operator is not suspended")),
    }
}

/// Without anything to sign in with. Who had a link before is not forgotten.
fn reset(operator: &Operator, by: Vec<String>) -> Operator {
    let mut invited_by = operator.invited_by.clone();
    invited_by.extend(by.into_iter().filter(|one| !operator.invited_by.contains(one)));
    let Operator { email, name, grants, created_at, .. } = operator;
    Operator { invited_by, ..Operator::invited(email, name, grants.clone(), *created_at) }
}

/// The invitation of a token, in the place of those that still hold.
async fn new_invitation(state: &AppState, id: &str, token: &Token) -> Result<Vec<RecordChange>, Problem> {
    let now = state.clock();
    let query = RecordQuery { kind: INVITATION.to_owned(), subject: Some(id.to_owned()), after: None, limit: 1_000 };
    let old = state.reader.records(&query, now).await?.into_iter().map(RecordChange::Delete);
    Ok(old.chain([RecordChange::Put(invitation(token, id, now)?)]).collect())
}

/// Refuses to take away the last owner who can sign in.
async fn keep_an_owner(
    state: &AppState,
    id: &str,
    before: &Operator,
    after: &Operator,
    changes: &mut Vec<RecordChange>,
) -> Result<(), Problem> {
    let counts = |operator: &Operator| operator.is_owner() && operator.state == OperatorState::Active;
    if !counts(before) || counts(after) {
        return Ok(());
    }
    // Read before the count: whoever changes an owner meanwhile makes this write a conflict.
    let guard = match state.reader.record(OWNERS, OWNERS, state.clock()).await? {
        Some(record) => record,
        None => Record::new(OWNERS, OWNERS, "", &Value::Null)?,
    };
    if !list(state).await?.iter().any(|(record, operator)| record.id != id && counts(operator)) {
        let detail = "this is the last owner who can sign in; make another one first";
        return Err(Problem::new(StatusCode::CONFLICT, "last_owner", detail));
    }
    changes.push(RecordChange::Put(guard));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use guerdon_core::identity::{Access, Permissions, RoleName};
    use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};

    use super::*;
    use crate::identity::actor::Who;
    use crate::identity::operators::{invite, invited};
    use crate::identity::people::People;
    use crate::identity::testing::{scratch, state};
    use crate::messages::{Mailbox, Post};

    fn key(permissions: Permissions) -> Actor {
        let access = Arc::new(Access::new(permissions, &[]));
        Actor { who: Who::Key { id: "key_1".to_owned() }, access, ..Actor::system() }
    }

    fn only(permission: &str) -> Permissions {
        [permission.parse().unwrap()].into_iter().collect()
    }

    const RESET: OperatorChange = OperatorChange::Reset(Language::English);

    #[tokio::test]
    async fn nobody_lets_in_again_who_may_do_more_than_they_and_a_reset_replaces_older_links() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        let role = |name: RoleName| Grant { role: name.name().to_owned(), program: "*".to_owned(), stores: Vec::new() };
        let all = key(Permissions::all());
        let grants = vec![role(RoleName::Administrator)];
        let adam = invite(&state, &all, "adam@example.org", "Adam", grants).await.unwrap();
        let writer = key(only("operators:write"));
        for (who, expected) in [(&writer, Err("beyond_own_permissions")), (&all, Ok(true))] {
            let done = change(&state, who, &adam.id, RESET, "lost").await;
            let done = done.as_ref().map(Option::is_some).map_err(|problem| problem.code.as_str());
            assert_eq!(done, expected);
        }
        assert!(invited(&state, adam.token.reveal()).await.unwrap().is_none(), "the first link holds no more");
        assert!(change(&state, &writer, &adam.id, OperatorChange::Suspend, "left").await.is_ok());
        let done = change(&state, &writer, &adam.id, OperatorChange::Resume, "back").await;
        assert_eq!(done.unwrap_err().code, "beyond_own_permissions");
        assert_eq!(find(&state, &adam.id).await.unwrap().1.invited_by, ["key_1"]);
        assert!(change(&state, &all, &adam.id, OperatorChange::Resume, "back").await.is_ok());
    }

    #[tokio::test]
    async fn where_there_is_a_mail_server_only_the_person_gets_the_link() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let mailbox = Mailbox::default();
        let public = Some("https://loyalty.example.org".parse().unwrap());
        let people = Arc::new(People::new(public, true, "Gift Club", &keyring).unwrap());
        let post = Post::new(Some(Arc::new(mailbox.clone())), None);
        let state = AppState { people, ..state(&scratch, keyring, post) };
        let all = key(Permissions::all());
        let grants = vec![Grant { role: "auditor".to_owned(), program: "*".to_owned(), stores: Vec::new() }];
        let ada = invite(&state, &all, "ada@example.org", "Ada", grants).await.unwrap();
        assert_eq!(change(&state, &all, &ada.id, RESET, "lost").await.unwrap(), None);
        state.post.drain(Duration::from_secs(5)).await;
        let message = mailbox.message(1).unwrap().message;
        assert_eq!((message.kind, message.to.as_str()), ("reset", "ada@example.org"));
        let token = message.text.split("token=").nth(1).unwrap().split_whitespace().next().unwrap();
        assert_eq!(invited(&state, token).await.unwrap().unwrap().1.id, ada.id);
    }

    #[test]
    fn some_grants_go_others_come_and_none_is_there_twice() {
        let grant = |role: &str, stores: &[&str]| {
            let stores = stores.iter().map(|store| (*store).to_owned()).collect();
            Grant { role: role.to_owned(), program: "*".to_owned(), stores }
        };
        let before = [grant("service", &["north"]), grant("service", &["south"]), grant("auditor", &[])];
        let after = regranted(&before, &[grant("service", &["north"])], vec![grant("finance", &[])]);
        assert_eq!(after, [grant("service", &["south"]), grant("auditor", &[]), grant("finance", &[])]);
        assert_eq!(regranted(&before, &[grant("owner", &[])], vec![grant("auditor", &[])]), before);
    }
}
