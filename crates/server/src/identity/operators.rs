//! What is done with operators: inviting, changing, suspending, and finding them. One place for the API, the console and the
//! command line; every act leaves its event in the audit log.

use axum::http::StatusCode;
use guerdon_core::hex;
use guerdon_core::identity::{Access, Grant, Permissions, Role, RoleName};
use guerdon_core::limits;
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange, RecordQuery};
use serde_json::{Value, json};

use super::actor::{Actor, Who};
use super::directory::ROLE;
use super::hands;
use super::operator::{OPERATOR, OPERATOR_EMAIL, OWNER, Operator};
use super::token::{Token, TokenKind, random_bytes};
use crate::AppState;
use crate::problem::Problem;

pub use super::operator_change::{OperatorChange, change};

/// The kind of the records of invitations; the id is the token's digest, the subject the operator.
pub const INVITATION: &str = "invitation";
/// How long an invitation holds, in milliseconds.
pub const INVITATION_MS: i64 = 7 * 86_400_000;
/// Operators of a program at the most, and grants of one.
pub const MOST_OPERATORS: i64 = 1_000;
const MOST_GRANTS: usize = 50;
const MOST_STORES: usize = 1_000;

/// A fresh id, `opr_` and 13 digits of base32 for 64 random bits.
pub fn new_id(prefix: &str) -> String {
    let bytes = random_bytes::<13>();
    let digit =
        |byte: &u8| char::from(*b"0123456789abcdefghjkmnpqrstvwxyz".get(usize::from(byte & 31)).unwrap_or(&b'0'));
    let digits: String = bytes.iter().map(digit).collect();
    format!("{prefix}_{digits}")
}

pub(super) fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail)
}

fn unknown(id: &str) -> Problem {
    Problem::not_found(
        "unknown_operator",
        format!("there is no operator `{}`", id.chars().take(64).collect::<String>()),
    )
}

/// By what id an e-mail address leads to its operator.
pub fn email_id(state: &AppState, email: &str) -> String {
    hex::encode(&state.keys().digest("operator e-mail", email.trim().to_lowercase().as_bytes()))
}

/// An operator by id.
pub async fn find(state: &AppState, id: &str) -> Result<(Record, Operator), Problem> {
    let record = state.reader.record(OPERATOR, id, state.clock()).await?.ok_or_else(|| unknown(id))?;
    let operator = record.read()?;
    Ok((record, operator))
}

/// An operator by e-mail address.
pub async fn find_by_email(state: &AppState, email: &str) -> Result<Option<(Record, Operator)>, Problem> {
    let now = state.clock();
    let found = state.reader.record(OPERATOR_EMAIL, &email_id(state, email), now).await?;
    // Looked for also where nobody has the address, so that the time of the answer tells nothing.
    let id = found.map(|found| found.subject).unwrap_or_default();
    let Some(record) = state.reader.record(OPERATOR, &id, now).await? else { return Ok(None) };
    let operator = record.read()?;
    Ok(Some((record, operator)))
}

/// All operators.
pub async fn list(state: &AppState) -> Result<Vec<(Record, Operator)>, Problem> {
    let query = RecordQuery { kind: OPERATOR.to_owned(), subject: None, after: None, limit: MOST_OPERATORS };
    let records = state.reader.records(&query, state.clock()).await?;
    records.into_iter().map(|record| Ok((record.clone(), record.read()?))).collect::<Result<_, Problem>>()
}

/// Checks the form of an e-mail address and a name.
pub fn check_person(email: &str, name: &str) -> Result<(), Problem> {
    limits::check_text("email", email, 254).map_err(invalid)?;
    limits::check_text("name", name, limits::TEXT_CHARS).map_err(invalid)?;
    let address = email.trim().parse::<lettre::Address>();
    address.map(drop).map_err(|_| invalid("`email` is not an e-mail address such as ann@example.org"))
}

/// Checks that grants are known, and that nobody gives what they lack themselves.
pub(super) async fn check_grants(state: &AppState, actor: &Actor, grants: &[Grant]) -> Result<(), Problem> {
    if grants.is_empty() || grants.len() > MOST_GRANTS {
        return Err(invalid(format!("`grants` must hold 1 to {MOST_GRANTS}, not {}", grants.len())));
    }
    let program = state.program().settings.id.clone();
    for grant in grants {
        if grant.program != "*" && grant.program != program {
            return Err(invalid(format!("`program` is `{program}` or `*`, not `{}`", grant.program)));
        }
        if grant.stores.len() > MOST_STORES {
            return Err(invalid(format!("`stores` may hold {MOST_STORES} at the most")));
        }
        for store in &grant.stores {
            limits::check_text("stores", store, limits::KEY_CHARS).map_err(invalid)?;
        }
        let permissions = permissions_of(state, &grant.role).await?.ok_or_else(|| {
            invalid(format!("there is no role `{}`; see /v1/roles", grant.role.chars().take(64).collect::<String>()))
        })?;
        check_within(actor, permissions, &grant.stores)?;
        if grant.role == OWNER {
            require_owner(state, actor).await?;
        }
    }
    Ok(())
}

/// What a role may do. `None`: there is none of that name.
pub async fn permissions_of(state: &AppState, role: &str) -> Result<Option<Permissions>, Problem> {
    if let Some(shipped) = RoleName::from_name(role) {
        return Ok(Some(shipped.permissions()));
    }
    let found = state.reader.record(ROLE, role, state.clock()).await?;
    Ok(found.map(|record| record.read::<Role>()).transpose()?.map(|role| role.permissions))
}

/// Refuses what the actor does not have to give.
pub fn check_within(actor: &Actor, permissions: Permissions, stores: &[String]) -> Result<(), Problem> {
    match actor.access.lacks(permissions, stores) {
        None => Ok(()),
        Some(permission) => {
            let detail = format!("`{permission}` cannot be given by someone who does not have it");
            Err(Problem::new(StatusCode::FORBIDDEN, "beyond_own_permissions", detail))
        }
    }
}

pub(super) async fn require_owner(state: &AppState, actor: &Actor) -> Result<(), Problem> {
    let is_owner = match &actor.who {
        Who::Key { id } => id == "key_bootstrap",
        Who::Operator { id, .. } => find(state, id).await?.1.is_owner(),
        _ => false,
    };
    if is_owner {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "owners_only", "only an owner may make, change or suspend an owner"))
}

/// An invitation that was written, with the token for its link.
pub struct Invited {
    /// `opr_…`
    pub id: String,
    /// To be given to the person, and to nobody else.
    pub token: Token,
}

/// Invites a person. The address must be new.
pub async fn invite(
    state: &AppState,
    actor: &Actor,
    email: &str,
    name: &str,
    grants: Vec<Grant>,
) -> Result<Invited, Problem> {
    check_person(email, name)?;
    check_grants(state, actor, &grants).await?;
    if list(state).await?.len() as i64 >= MOST_OPERATORS {
        return Err(invalid(format!("there are {MOST_OPERATORS} operators, which is the most")));
    }
    let now = state.clock();
    let (id, token) = (new_id("opr"), Token::generate(TokenKind::Invitation));
    let invited_by = hands::behind(state, actor).await?;
    let operator = Operator { invited_by, ..Operator::invited(email, name, grants, now) };
    let mut event = actor.event(now, "operator.invite", &id);
    event.after = operator.facts();
    let changes = vec![
        RecordChange::Put(Record::new(OPERATOR, &id, "", &operator)?),
        RecordChange::Put(Record::new(OPERATOR_EMAIL, &email_id(state, email), &id, &Value::Null)?),
        RecordChange::Put(invitation(&token, &id, now)?),
    ];
    state.engine.write_records(changes, vec![event]).await.map_err(|error| match error {
        CommandError::Conflict => {
            Problem::new(StatusCode::CONFLICT, "already_invited", "this address belongs to an operator already")
        }
        error => error.into(),
    })?;
    Ok(Invited { id, token })
}

pub(super) fn invitation(token: &Token, operator: &str, now: Timestamp) -> Result<Record, Problem> {
    let record = Record::new(INVITATION, &token.digest(), operator, &Value::Null)?;
    Ok(record.until(now.plus_millis(INVITATION_MS)))
}

/// Who was invited by a token, and the invitation itself.
pub async fn invited(state: &AppState, token: &str) -> Result<Option<(Record, Record, Operator)>, Problem> {
    let Ok(token) = Token::parse_as(TokenKind::Invitation, token) else { return Ok(None) };
    let found = state.reader.record(INVITATION, &token.digest(), state.clock()).await?;
    let Some(invitation) = found else { return Ok(None) };
    let (record, operator) = find(state, &invitation.subject).await?;
    Ok(Some((invitation, record, operator)))
}

/// What an operator may do in this program, for pages that show it.
pub async fn access(state: &AppState, operator: &Operator) -> Result<Access, Problem> {
    let mut known = std::collections::BTreeMap::new();
    for grant in &operator.grants {
        known.insert(grant.role.clone(), permissions_of(state, &grant.role).await?);
    }
    let role = |name: &str| known.get(name).copied().flatten();
    Ok(Access::of(&operator.grants, &state.program().settings.id, role))
}

/// Roles of one's own, by name.
pub async fn roles(state: &AppState) -> Result<Vec<(Record, Role)>, Problem> {
    let query = RecordQuery { kind: ROLE.to_owned(), subject: None, after: None, limit: MOST_OPERATORS };
    let records = state.reader.records(&query, state.clock()).await?;
    records.into_iter().map(|record| Ok((record.clone(), record.read()?))).collect::<Result<_, Problem>>()
}

/// Makes a role or changes one. Nobody gives a role what they lack themselves, nor changes one that may do more than they.
pub async fn put_role(state: &AppState, actor: &Actor, role: &Role) -> Result<(), Problem> {
    let before = state.reader.record(ROLE, &role.name, state.clock()).await?;
    Ok(write_role(state, actor, role, before).await??)
}

/// Makes a role whose name is free; of two who make it at once one hears that it is taken.
pub async fn make_role(state: &AppState, actor: &Actor, role: &Role) -> Result<(), Problem> {
    let taken = || Problem::new(StatusCode::CONFLICT, "role_name_taken", "there is a role of this name already");
    if permissions_of(state, &role.name).await?.is_some() {
        return Err(taken());
    }
    match write_role(state, actor, role, None).await? {
        Err(CommandError::Conflict) => Err(taken()),
        written => Ok(written?),
    }
}

async fn write_role(
    state: &AppState,
    actor: &Actor,
    role: &Role,
    before: Option<Record>,
) -> Result<Result<(), CommandError>, Problem> {
    role.validate().map_err(invalid)?;
    check_within(actor, role.permissions, &[])?;
    let known: Option<Role> = before.as_ref().map(Record::read).transpose()?;
    if let Some(known) = &known {
        check_within(actor, known.permissions, &[])?;
    }
    let mut event = actor.event(state.clock(), "role.put", &role.name);
    (event.before, event.after) = (json!(known), json!(role));
    let record = match before {
        Some(record) => record.with(role)?,
        None => Record::new(ROLE, &role.name, "", role)?,
    };
    let written = state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await;
    state.directory.forget_operators();
    Ok(written)
}

/// Deletes a role that nobody has.
pub async fn delete_role(state: &AppState, actor: &Actor, name: &str) -> Result<(), Problem> {
    let now = state.clock();
    let record = state.reader.record(ROLE, name, now).await?;
    let record =
        record.ok_or_else(|| Problem::not_found("unknown_role", "there is no role of one's own of this name"))?;
    let role: Role = record.read()?;
    check_within(actor, role.permissions, &[])?;
    let holder = list(state).await?.into_iter().find(|(_, one)| one.grants.iter().any(|grant| grant.role == name));
    if let Some((_, holder)) = holder {
        let detail = format!("{} has this role; take it away first", holder.email);
        return Err(Problem::new(StatusCode::CONFLICT, "role_in_use", detail));
    }
    let mut event = actor.event(now, "role.delete", name);
    event.before = json!(role);
    state.engine.write_records(vec![RecordChange::Delete(record)], vec![event]).await?;
    state.directory.forget_operators();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use guerdon_core::identity::Permission;
    use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};

    use super::*;
    use crate::identity::testing::{scratch, state};
    use crate::messages::Post;

    fn role(permissions: &[Permission]) -> Role {
        let permissions = permissions.iter().copied().collect();
        Role { name: "shop-lead".to_owned(), description: "Leads a shop".to_owned(), permissions }
    }

    #[tokio::test]
    async fn nobody_changes_a_role_that_may_do_more_than_they_and_a_name_is_made_once() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        let actor = |permissions: Permissions| {
            let access = Arc::new(Access::new(permissions, &[]));
            Actor { who: Who::Key { id: "key_1".to_owned() }, access, ..Actor::system() }
        };
        let (all, weak) = (actor(Permissions::all()), actor([Permission::OperatorsWrite].into_iter().collect()));
        let (strong, small) =
            (role(&[Permission::OperatorsWrite, Permission::MembersErase]), role(&[Permission::OperatorsWrite]));
        let code = |done: Result<(), Problem>| done.map_err(|problem| problem.code);
        let beyond = Err("beyond_own_permissions".to_owned());
        assert_eq!(code(make_role(&state, &weak, &strong).await), beyond);
        assert_eq!(code(make_role(&state, &all, &strong).await), Ok(()));
        // Neither to what it is, nor to less.
        assert_eq!(code(put_role(&state, &weak, &strong).await), beyond);
        assert_eq!(code(put_role(&state, &weak, &small).await), beyond);
        assert_eq!(code(delete_role(&state, &weak, "shop-lead").await), beyond);
        let taken = Err("role_name_taken".to_owned());
        assert_eq!(code(make_role(&state, &all, &small).await), taken);
        let shipped = Role { name: "service".to_owned(), ..small.clone() };
        assert_eq!(code(make_role(&state, &all, &shipped).await), taken);
        // One that was made meanwhile is not overwritten.
        let late = write_role(&state, &all, &small, None).await.unwrap();
        assert!(matches!(late, Err(CommandError::Conflict)), "{late:?}");
        assert_eq!(permissions_of(&state, "shop-lead").await.unwrap(), Some(strong.permissions));
        assert_eq!(code(put_role(&state, &all, &small).await), Ok(()));
        assert_eq!(code(put_role(&state, &weak, &small).await), Ok(()));
    }
}
