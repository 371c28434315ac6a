//! The first owner, and the ways in that only the server's own administrator can open: whoever reads what the server prints,
//! or runs a command on its data. Nobody else can make an owner out of nothing.

use axum::http::StatusCode;
use guerdon_core::identity::Grant;
use guerdon_store::{Record, RecordChange};
use serde_json::Value;
use zeroize::Zeroizing;

use super::actor::Actor;
use super::operator::{OPERATOR, OPERATOR_EMAIL, OWNER, Operator, OperatorState};
use super::operators::{self, email_id, invited, new_id};
use super::password_policy::{WeakPassword, judge};
use super::session::Proof;
use super::sign_in::{Attempt, Cookies, Refused, Visitor, begin, let_in};
use super::token::{Token, TokenKind};
use crate::AppState;
use crate::language::Language;
use crate::problem::Problem;

/// The kind of the records of tokens of the first set-up; the id is the digest.
const SETUP: &str = "setup";
/// The kind of the records of links to sign in with; the id is the digest, the subject the operator.
const LINK: &str = "sign_in_link";
/// The record that says that there was a first owner.
const FIRST: &str = "first_owner";
const SETUP_MS: i64 = 24 * 3_600_000;
const LINK_MS: i64 = 24 * 3_600_000;

/// Why a form was not accepted.
#[derive(Debug)]
pub enum FormTrouble {
    /// The token is unknown, used up or too old.
    Token,
    /// The password is too weak.
    Weak(WeakPassword),
    /// Anything else.
    Other(Refused),
}

impl<E: Into<Refused>> From<E> for FormTrouble {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Whether an owner was ever made.
pub async fn is_set_up(state: &AppState) -> Result<bool, Problem> {
    Ok(state.reader.record(FIRST, FIRST, state.clock()).await?.is_some())
}

/// A token for the first set-up; none when there was one.
pub async fn setup_token(state: &AppState) -> Result<Option<Token>, Problem> {
    if is_set_up(state).await? {
        return Ok(None);
    }
    let token = Token::generate(TokenKind::Setup);
    let record = Record::new(SETUP, &token.digest(), "", &Value::Null)?.until(state.clock().plus_millis(SETUP_MS));
    state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await?;
    Ok(Some(token))
}

/// The record of a token of the first set-up, while it may be used.
pub async fn setup_record(state: &AppState, token: &str) -> Result<Option<Record>, Problem> {
    let Ok(token) = Token::parse_as(TokenKind::Setup, token) else { return Ok(None) };
    if is_set_up(state).await? {
        return Ok(None);
    }
    Ok(state.reader.record(SETUP, &token.digest(), state.clock()).await?)
}

/// What an owner's grants are.
fn owner_grants() -> Vec<Grant> {
    vec![Grant { role: OWNER.to_owned(), program: "*".to_owned(), stores: Vec::new() }]
}

/// Hashes a password that is good enough.
pub async fn new_password(
    state: &AppState,
    password: Zeroizing<String>,
    email: &str,
    name: &str,
) -> Result<String, FormTrouble> {
    let program = state.program();
    let brands = [Language::English, Language::Chinese].map(|language| program.settings.name.get(language.tag()));
    judge(&password, &[&[email, name][..], &brands].concat()).map_err(FormTrouble::Weak)?;
    Ok(state.people.passwords.hash(password).await.map_err(Refused::from)?)
}

/// Makes the first owner, who goes on to set up a second factor. Of two who come at once one fails.
pub async fn set_up(
    state: &AppState,
    visitor: &Visitor<'_>,
    token: &str,
    (email, name): (&str, &str),
    password: Zeroizing<String>,
) -> Result<Cookies, FormTrouble> {
    let record = setup_record(state, token).await.map_err(Refused::from)?.ok_or(FormTrouble::Token)?;
    operators::check_person(email, name).map_err(Refused::from)?;
    let hash = new_password(state, password, email, name).await?;
    let now = state.clock();
    let id = new_id("opr");
    let operator = Operator {
        state: OperatorState::Active,
        password: Some(hash),
        ..Operator::invited(email, name, owner_grants(), now)
    };
    let mut event = Actor::anonymous(visitor.address).event(now, "operator.set_up", &id);
    event.after = operator.facts();
    let changes = first_owner(state, &id, &operator)?;
    let changes = changes.into_iter().chain([RecordChange::Delete(record)]).collect();
    state.engine.write_records(changes, vec![event]).await.map_err(Refused::from)?;
    Ok(begin(state, &id, Attempt::proved("setup", &operator)).await?)
}

fn first_owner(state: &AppState, id: &str, operator: &Operator) -> Result<Vec<RecordChange>, FormTrouble> {
    let record = |kind: &str, id: &str, subject: &str| Record::new(kind, id, subject, &Value::Null);
    Ok(vec![
        RecordChange::Put(record(FIRST, FIRST, id).map_err(Refused::from)?),
        RecordChange::Put(record(OPERATOR_EMAIL, &email_id(state, &operator.email), id).map_err(Refused::from)?),
        RecordChange::Put(Record::new(OPERATOR, id, "", operator).map_err(Refused::from)?),
    ])
}

/// A person accepts an invitation with a name and a password of their own, and goes on to a second factor.
pub async fn accept(
    state: &AppState,
    visitor: &Visitor<'_>,
    token: &str,
    name: &str,
    password: Zeroizing<String>,
) -> Result<Cookies, FormTrouble> {
    let found = invited(state, token).await.map_err(Refused::from)?;
    let (invitation, record, mut operator) = found.ok_or(FormTrouble::Token)?;
    if operator.state != OperatorState::Invited {
        return Err(FormTrouble::Token);
    }
    operators::check_person(&operator.email, name).map_err(Refused::from)?;
    operator.name = name.trim().to_owned();
    operator.password = Some(new_password(state, password, &operator.email, name).await?);
    operator.state = OperatorState::Active;
    let id = record.id.clone();
    let mut event = Actor::anonymous(visitor.address).event(state.clock(), "operator.accept", &id);
    event.after = operator.facts();
    let changed = record.with(&operator).map_err(Refused::from)?;
    let changes = vec![RecordChange::Delete(invitation), RecordChange::Put(changed)];
    state.engine.write_records(changes, vec![event]).await.map_err(Refused::from)?;
    state.directory.forget_operators();
    Ok(begin(state, &id, Attempt::proved("invitation", &operator)).await?)
}

/// A link that signs an operator in once: for the demo, and for owners who have lost everything, made by whoever runs the
/// server. Makes the first owner of that address where there is none.
pub async fn sign_in_link(state: &AppState, email: &str, name: &str) -> Result<Token, Problem> {
    let token = Token::generate(TokenKind::OneTime);
    let now = state.clock();
    let (id, mut changes, made) = match operators::find_by_email(state, email).await? {
        Some((record, operator)) if operator.state == OperatorState::Active => (record.id, Vec::new(), None),
        Some(_) => {
            let detail = "this operator is suspended or has not accepted the invitation yet";
            return Err(Problem::new(StatusCode::CONFLICT, "not_active", detail));
        }
        None if is_set_up(state).await? => {
            return Err(Problem::not_found("unknown_operator", format!("there is no operator {email}")));
        }
        None => {
            operators::check_person(email, name)?;
            let operator =
                Operator { state: OperatorState::Active, ..Operator::invited(email, name, owner_grants(), now) };
            let id = new_id("opr");
            let changes = first_owner(state, &id, &operator)
                .map_err(|_| Problem::bad_request("invalid_request", "the first owner cannot be written"))?;
            (id, changes, Some(operator.facts()))
        }
    };
    let record = Record::new(LINK, &token.digest(), &id, &Value::Null)?.until(now.plus_millis(LINK_MS));
    changes.push(RecordChange::Put(record));
    let mut event = Actor::anonymous([127, 0, 0, 1].into()).event(now, "operator.link", &id);
    "cli".clone_into(&mut event.actor);
    event.after = made.unwrap_or_default();
    state.engine.write_records(changes, vec![event]).await?;
    Ok(token)
}

/// Whether a link may still be used.
pub async fn link(state: &AppState, token: &str) -> Result<Option<Record>, Problem> {
    let Ok(token) = Token::parse_as(TokenKind::OneTime, token) else { return Ok(None) };
    Ok(state.reader.record(LINK, &token.digest(), state.clock()).await?)
}

/// Uses a link up and lets its operator in.
pub async fn use_link(state: &AppState, visitor: &Visitor<'_>, token: &str) -> Result<Cookies, FormTrouble> {
    let link = link(state, token).await.map_err(Refused::from)?.ok_or(FormTrouble::Token)?;
    let (record, operator) = operators::find(state, &link.subject).await.map_err(Refused::from)?;
    if operator.state != OperatorState::Active {
        return Err(FormTrouble::Token);
    }
    let changes = vec![RecordChange::Delete(link)];
    Ok(let_in(state, visitor, (&record.id, &operator.email), &Proof::now(state, "link"), changes).await?)
}
