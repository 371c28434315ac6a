//! Consent by purpose: each purpose has a text in versions; a member gives or withdraws, and the audit log keeps when and to
//! which version. Where data is used for a purpose, [`allows`] is asked first.

use axum::http::StatusCode;
use guerdon_core::id::MemberId;
use guerdon_core::limits;
use guerdon_core::program::Text;
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange, RecordQuery, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::invalid;
use crate::AppState;
use crate::identity::actor::Actor;
use crate::problem::Problem;

/// The kind of the records of purposes; the id is the purpose.
const PURPOSE: &str = "consent_purpose";
/// The kind of the records of consents; the id is member and purpose, the subject the member.
pub const CONSENT: &str = "consent";
/// Purposes of a program at the most.
const MOST_PURPOSES: i64 = 100;

/// What data may be used for, in the words that members read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Purpose {
    /// What it is called, by language.
    #[schema(value_type = Object)]
    pub name: Text,
    /// What a member agrees to, by language.
    #[schema(value_type = Object)]
    pub text: Text,
    /// Counts from 1; a new text asks anew. Set by the server.
    #[serde(default)]
    pub version: i64,
}

/// What a member said to a purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The version of the text.
    pub version: i64,
    /// When it was given.
    pub given_at: Timestamp,
    /// When it was withdrawn; none: it holds.
    #[serde(default)]
    pub withdrawn_at: Option<Timestamp>,
}

/// A purpose beside what a member said to it.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The purpose's id.
    pub id: String,
    /// The purpose.
    pub purpose: Purpose,
    /// What the member said; none: nothing.
    pub consent: Option<Consent>,
}

impl Choice {
    /// Whether the member agrees to the text as it is now.
    pub fn is_given(&self) -> bool {
        self.consent
            .as_ref()
            .is_some_and(|consent| consent.withdrawn_at.is_none() && consent.version == self.purpose.version)
    }
}

/// All purposes, by id.
pub async fn purposes(state: &AppState) -> Result<Vec<(String, Purpose)>, Problem> {
    let query = RecordQuery { kind: PURPOSE.to_owned(), subject: None, after: None, limit: MOST_PURPOSES };
    let records = state.reader.records(&query, state.clock()).await?;
    records.into_iter().map(|record| Ok((record.id.clone(), record.read()?))).collect::<Result<_, Problem>>()
}

async fn purpose(state: &AppState, id: &str) -> Result<Option<(Record, Purpose)>, StoreError> {
    let Some(record) = state.reader.record(PURPOSE, id, state.clock()).await? else { return Ok(None) };
    let purpose = record.read()?;
    Ok(Some((record, purpose)))
}

/// Makes a purpose, or gives it a new text in a new version.
pub async fn put_purpose(state: &AppState, actor: &Actor, id: &str, wanted: Purpose) -> Result<Purpose, Problem> {
    let before = purpose(state, id).await?;
    Ok(write_purpose(state, actor, id, wanted, before).await??)
}

/// Makes a purpose whose id is free; of two who make it at once one hears that it is taken.
pub async fn make_purpose(state: &AppState, actor: &Actor, id: &str, wanted: Purpose) -> Result<Purpose, Problem> {
    let taken = || Problem::new(StatusCode::CONFLICT, "purpose_taken", "there is a purpose of this id already");
    if purpose(state, id).await?.is_some() {
        return Err(taken());
    }
    match write_purpose(state, actor, id, wanted, None).await? {
        Err(CommandError::Conflict) => Err(taken()),
        written => Ok(written?),
    }
}

fn check_purpose(id: &str, wanted: &Purpose) -> Result<(), Problem> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if id.is_empty() || id.len() > 64 || !id.bytes().all(fits) {
        return Err(invalid("a purpose's id has 1 to 64 lower-case letters, digits and underscores"));
    }
    for language in ["en", "zh"] {
        limits::check_text("name", wanted.name.get(language), 5_000).map_err(invalid)?;
        // A text may have paragraphs.
        limits::check_text("text", &wanted.text.get(language).replace('\n', " "), 5_000).map_err(invalid)?;
    }
    Ok(())
}

async fn write_purpose(
    state: &AppState,
    actor: &Actor,
    id: &str,
    mut wanted: Purpose,
    before: Option<(Record, Purpose)>,
) -> Result<Result<Purpose, CommandError>, Problem> {
    check_purpose(id, &wanted)?;
    if before.is_none() && purposes(state).await?.len() as i64 >= MOST_PURPOSES {
        return Err(invalid(format!("there are {MOST_PURPOSES} purposes, which is the most")));
    }
    let mut event = actor.event(state.clock(), "consent.purpose", id);
    wanted.version = match &before {
        Some((_, known)) if known.text == wanted.text => known.version,
        Some((_, known)) => known.version + 1,
        None => 1,
    };
    event.before = before.as_ref().map_or(Value::Null, |(_, known)| json!(known));
    event.after = json!(wanted);
    let record = match before {
        Some((record, _)) => record.with(&wanted)?,
        None => Record::new(PURPOSE, id, "", &wanted)?,
    };
    Ok(state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await.map(|()| wanted))
}

fn record_id(member: MemberId, purpose: &str) -> String {
    format!("{member} {purpose}")
}

/// Every purpose with what a member said to it.
pub async fn choices(state: &AppState, member: MemberId) -> Result<Vec<Choice>, Problem> {
    let mut choices = Vec::new();
    for (id, purpose) in purposes(state).await? {
        let record = state.reader.record(CONSENT, &record_id(member, &id), state.clock()).await?;
        let consent = record.map(|record| record.read()).transpose()?;
        choices.push(Choice { id, purpose, consent });
    }
    Ok(choices)
}

/// A member gives consent to the current text of a purpose, or withdraws it.
pub async fn decide(
    state: &AppState,
    actor: &Actor,
    member: MemberId,
    purpose_id: &str,
    give: bool,
) -> Result<(), Problem> {
    let unknown = || {
        let shown: String = purpose_id.chars().take(64).collect();
        Problem::not_found("unknown_purpose", format!("there is no purpose `{shown}`"))
    };
    let (_, purpose) = purpose(state, purpose_id).await?.ok_or_else(unknown)?;
    let (now, id) = (state.clock(), record_id(member, purpose_id));
    let record = state.reader.record(CONSENT, &id, now).await?;
    let before: Option<Consent> = record.as_ref().map(Record::read).transpose()?;
    let after = match (&before, give) {
        (_, true) => Consent { version: purpose.version, given_at: now, withdrawn_at: None },
        (Some(given), false) => Consent { withdrawn_at: given.withdrawn_at.or(Some(now)), ..given.clone() },
        (None, false) => return Ok(()),
    };
    let mut event = actor.event(now, if give { "consent.give" } else { "consent.withdraw" }, &member.to_string());
    event.before = before.as_ref().map_or(Value::Null, |consent| json!(consent));
    event.after = json!({ "purpose": purpose_id, "version": after.version });
    let record = match record {
        Some(record) => record.with(&after)?,
        None => Record::new(CONSENT, &id, &member.to_string(), &after)?,
    };
    Ok(state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await?)
}

/// Whether a member's data may be used for a purpose: consent to its current text was given and not withdrawn.
pub async fn allows(state: &AppState, member: MemberId, purpose_id: &str) -> Result<bool, StoreError> {
    let Some((_, purpose)) = purpose(state, purpose_id).await? else { return Ok(false) };
    let record = state.reader.record(CONSENT, &record_id(member, purpose_id), state.clock()).await?;
    let consent = record.map(|record| record.read()).transpose()?;
    Ok(Choice { id: purpose_id.to_owned(), purpose, consent }.is_given())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use guerdon_core::privacy::{Keyring, MasterKey, SECRETS_RANDOM};

    use super::*;
    use crate::identity::testing::{scratch, state};
    use crate::messages::Post;

    #[tokio::test]
    async fn a_purpose_is_made_once_and_then_changed() {
        let scratch = scratch().await;
        let keyring = Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0;
        let state = state(&scratch, keyring, Post::default());
        let purpose = |text: &str| {
            let both = |text: &str| Text::Many(["en", "zh"].map(|one| (one.to_owned(), text.to_owned())).into());
            Purpose { name: both("News"), text: both(text), version: 0 }
        };
        let actor = Actor::system();
        assert_eq!(make_purpose(&state, &actor, "news", purpose("one")).await.unwrap().version, 1);
        let again = make_purpose(&state, &actor, "news", purpose("two")).await.unwrap_err();
        assert_eq!((again.status, again.code.as_str()), (409, "purpose_taken"));
        // One that was made meanwhile is not overwritten.
        let late = write_purpose(&state, &actor, "news", purpose("two"), None).await.unwrap();
        assert!(matches!(late, Err(CommandError::Conflict)), "{late:?}");
        assert_eq!(put_purpose(&state, &actor, "news", purpose("two")).await.unwrap().version, 2);
        let known: BTreeMap<_, _> = purposes(&state).await.unwrap().into_iter().collect();
        assert_eq!(known["news"].text.get("en"), "two");
    }
}
