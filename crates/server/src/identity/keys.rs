//! What is done with API keys: issuing, listing, rotating and revoking. One place for the API, the console and the command
//! line; every act leaves its event in the audit log.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use guerdon_core::limits;
use guerdon_core::privacy::Keyring;
use guerdon_core::time::Timestamp;
use guerdon_store::{Record, RecordChange, RecordQuery, StoreError};
use serde_json::{Value, json};

use super::actor::Actor;
use super::allowance::Allowance;
use super::api_key::{API_KEY, ApiKey, SIGNING};
use super::hands;
use super::operators::{check_within, new_id};
use super::token::{Token, TokenKind, random_bytes};
use crate::AppState;
use crate::problem::Problem;

/// Keys of a program at the most.
pub const MOST_KEYS: usize = 1_000;
/// Secrets of one key at the most: the one in use, and those that it replaces.
pub const MOST_SECRETS: usize = 3;
/// Records of keys that are read at the most.
const MOST_RECORDS: i64 = (MOST_KEYS * MOST_SECRETS) as i64;
/// The longest overlap of a rotation, in seconds.
pub const LONGEST_OVERLAP_SECONDS: i64 = 30 * 86_400;

/// A key to be issued.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub allowance: Allowance,
    /// Until when; left out: without end.
    pub expires_at: Option<Timestamp>,
    /// Whether its requests must be signed as well.
    pub signed: bool,
}

/// The secrets of a key, to be shown once.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The key itself.
    pub token: Token,
    /// What its requests must be signed with.
    pub signing: Option<Token>,
}

impl Secrets {
    fn generate(signed: bool) -> Self {
        let signing = signed.then(|| Token::generate(TokenKind::Signing));
        Self { token: Token::generate(TokenKind::Key), signing }
    }

    /// The signing secret as it is stored.
    fn sealed(&self, id: &str, keyring: &Keyring) -> Result<Option<String>, StoreError> {
        let seal = |secret: &Token| keyring.seal_secret(SIGNING, id, secret.reveal().as_bytes(), random_bytes());
        Ok(self.signing.as_ref().map(seal).transpose()?)
    }
}

impl NewKey {
    /// Checks what the allowance has not; the message names the field.
    pub fn check(&self, now: Timestamp) -> Result<(), String> {
        limits::check_text("name", &self.name, limits::TEXT_CHARS)?;
        check_end(self.expires_at, now)
    }

    /// The key and its record.
    pub fn draft(
        &self,
        id: &str,
        by: &str,
        now: Timestamp,
        keyring: &Keyring,
    ) -> Result<(Secrets, Record), StoreError> {
        let secrets = Secrets::generate(self.signed);
        let token = &secrets.token;
        let key = ApiKey {
            name: self.name.trim().to_owned(),
            prefix: token.hint().to_owned(),
            allowance: self.allowance.clone(),
            signing: secrets.sealed(id, keyring)?,
            created_at: now,
            created_by: by.to_owned(),
            holders: Vec::new(),
            rotated_at: None,
        };
        let mut record = Record::new(API_KEY, &token.digest(), id, &key)?;
        record.expires_at = self.expires_at;
        Ok((secrets, record))
    }
}

fn check_end(expires_at: Option<Timestamp>, now: Timestamp) -> Result<(), String> {
    match expires_at {
        Some(end) if end <= now => Err(format!("`expires_at` is {end}, which is over; give a moment to come")),
        _ => Ok(()),
    }
}

/// A secret that still counts beside the one in use.
#[derive(Debug, Clone)]
pub struct Retiring {
    /// Its visible beginning.
    pub prefix: String,
    /// Until when.
    pub ends_at: Option<Timestamp>,
}

/// A key with all that is known of it.
#[derive(Debug, Clone)]
pub struct Key {
    /// `key_…`
    pub id: String,
    /// The newest secret and what it may do.
    pub key: ApiKey,
    /// Until when.
    pub expires_at: Option<Timestamp>,
    /// Older secrets that still count.
    pub retiring: Vec<Retiring>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Its records, the newest last.
    records: Vec<Record>,
}

impl Key {
    /// From all records of one key. `None`: there is none.
    pub fn from_records(records: Vec<Record>) -> Result<Option<Self>, StoreError> {
        let read = |record: Record| Ok((record.read::<ApiKey>()?, record));
        let mut known = records.into_iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
        known.sort_by_key(|(key, _)| key.rotated_at.unwrap_or(key.created_at));
        let retiring = known.iter().map(|(key, record)| (key.prefix.clone(), record.expires_at));
        let mut retiring: Vec<_> = retiring.map(|(prefix, ends_at)| Retiring { prefix, ends_at }).collect();
        retiring.pop();
        let Some((key, record)) = known.last().cloned() else { return Ok(None) };
        let records = known.into_iter().map(|(_, record)| record).collect();
        let (id, expires_at) = (record.subject, record.expires_at);
        Ok(Some(Self { id, key, expires_at, retiring, last_used_at: None, records }))
    }

    /// What the audit log keeps of it.
    pub fn summary(&self) -> Value {
        summary(&self.key, self.expires_at)
    }

    /// The deletion of all that there is of it.
    pub fn deletion(&self) -> Vec<RecordChange> {
        self.records.iter().cloned().map(RecordChange::Delete).collect()
    }
}

/// What the audit log keeps of a key: everything but the secret.
pub fn summary(key: &ApiKey, expires_at: Option<Timestamp>) -> Value {
    json!({
        "name": key.name, "prefix": key.prefix, "permissions": key.allowance.permissions,
        "stores": key.allowance.stores, "networks": key.allowance.network_names(), "rate": key.allowance.rate,
        "signed": key.signing.is_some(), "expires_at": expires_at,
    })
}

/// Puts the records of many keys together, one after the other by their creation.
pub fn group(records: Vec<Record>) -> Result<Vec<Key>, StoreError> {
    let mut by_id: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for record in records {
        by_id.entry(record.subject.clone()).or_default().push(record);
    }
    let keys = by_id.into_values().map(Key::from_records).collect::<Result<Vec<_>, _>>()?;
    let mut keys: Vec<Key> = keys.into_iter().flatten().collect();
    keys.sort_by(|left, right| (left.key.created_at, &left.id).cmp(&(right.key.created_at, &right.id)));
    Ok(keys)
}

/// The query for all keys, or for one.
pub fn query(id: Option<&str>) -> RecordQuery {
    RecordQuery { kind: API_KEY.to_owned(), subject: id.map(str::to_owned), after: None, limit: MOST_RECORDS }
}

/// All keys.
pub async fn list(state: &AppState) -> Result<Vec<Key>, Problem> {
    let now = state.clock();
    let mut keys = group(state.reader.records(&query(None), now).await?)?;
    let uses = state.directory.last_uses().all(&state.reader, now).await?;
    for key in &mut keys {
        key.last_used_at = uses.get(&key.id).copied();
    }
    Ok(keys)
}

/// A key by its id.
pub async fn find(state: &AppState, id: &str) -> Result<Key, Problem> {
    let unknown = || {
        let shown: String = id.chars().take(64).collect();
        Problem::not_found("unknown_key", format!("there is no API key `{shown}`"))
    };
    if id.len() > limits::KEY_CHARS {
        return Err(unknown());
    }
    let now = state.clock();
    let records = state.reader.records(&query(Some(id)), now).await?;
    let key = Key::from_records(records)?.ok_or_else(unknown)?;
    Ok(Key { last_used_at: state.directory.last_uses().of(&state.reader, id, now).await?, ..key })
}

/// Refuses what the actor does not have to give.
pub fn check_given(actor: &Actor, allowance: &Allowance) -> Result<(), Problem> {
    check_within(actor, allowance.permissions, &allowance.stores)
}

/// The problem of a field that does not fit.
pub fn invalid(detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail)
}

/// Issues a key. Its secrets are to be shown once.
pub async fn issue(state: &AppState, actor: &Actor, new: &NewKey) -> Result<(Key, Secrets), Problem> {
    let now = state.clock();
    new.check(now).map_err(invalid)?;
    check_given(actor, &new.allowance)?;
    if group(state.reader.records(&query(None), now).await?)?.len() >= MOST_KEYS {
        let detail = format!("there are {MOST_KEYS} API keys, the most that is allowed; revoke those not in use");
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_keys", detail));
    }
    let id = new_id("key");
    let (secrets, record) = new.draft(&id, &actor.name(), now, &state.keys())?;
    let key = ApiKey { holders: hands::behind(state, actor).await?, ..record.read()? };
    let record = record.with(&key)?;
    let mut event = actor.event(now, "api_key.create", &id);
    event.after = summary(&key, record.expires_at);
    state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await?;
    Ok((find(state, &id).await?, secrets))
}

/// Gives a key a new secret. The old one ends after the overlap.
pub async fn rotate(
    state: &AppState,
    actor: &Actor,
    id: &str,
    overlap_seconds: i64,
    expires_at: Option<Timestamp>,
) -> Result<(Key, Secrets), Problem> {
    let now = state.clock();
    check_overlap(overlap_seconds).map_err(invalid)?;
    check_end(expires_at, now).map_err(invalid)?;
    let key = find(state, id).await?;
    // Whoever gets the new secret can do what the key can.
    check_given(actor, &key.key.allowance)?;
    if overlap_seconds > 0 && key.records.len() >= MOST_SECRETS {
        let detail =
            format!("{MOST_SECRETS} secrets of this key still count; wait until one ends, or rotate without overlap");
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_secrets", detail));
    }
    let secrets = Secrets::generate(key.key.signing.is_some());
    let rotated = ApiKey {
        prefix: secrets.token.hint().to_owned(),
        signing: secrets.sealed(id, &state.keys())?,
        rotated_at: Some(now),
        holders: hands::joined(state, id, actor).await?,
        ..key.key.clone()
    };
    let mut record = Record::new(API_KEY, &secrets.token.digest(), id, &rotated)?;
    record.expires_at = expires_at.or(key.expires_at);
    let end = now.plus_millis(overlap_seconds * 1_000);
    let mut changes: Vec<RecordChange> = match overlap_seconds {
        0 => key.deletion(),
        _ => key.records.iter().map(|old| RecordChange::Put(ending(old, end))).collect(),
    };
    changes.push(RecordChange::Put(record));
    let mut event = actor.event(now, "api_key.rotate", id);
    event.before = json!({ "prefix": key.key.prefix });
    event.after = json!({ "prefix": rotated.prefix, "overlap_seconds": overlap_seconds });
    state.engine.write_records(changes, vec![event]).await?;
    state.directory.forget_program(id);
    Ok((find(state, id).await?, secrets))
}

/// An overlap that is too long would make two keys of one.
pub fn check_overlap(seconds: i64) -> Result<(), String> {
    if (0..=LONGEST_OVERLAP_SECONDS).contains(&seconds) {
        return Ok(());
    }
    Err(format!("`overlap_seconds` must be 0 to {LONGEST_OVERLAP_SECONDS}, which is 30 days, not {seconds}"))
}

fn ending(record: &Record, end: Timestamp) -> Record {
    let end = record.expires_at.map_or(end, |before| before.min(end));
    record.clone().until(end)
}

/// Revokes a key with all its secrets, at once on this node and within seconds on the others.
pub async fn revoke(state: &AppState, actor: &Actor, id: &str) -> Result<(), Problem> {
    let key = find(state, id).await?;
    let mut event = actor.event(state.clock(), "api_key.revoke", id);
    event.before = key.summary();
    state.engine.write_records(key.deletion(), vec![event]).await?;
    state.directory.forget_program(id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use guerdon_core::identity::Permission;
    use guerdon_core::privacy::{MasterKey, SECRETS_RANDOM};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn new() -> NewKey {
        let allowance = Allowance::parse(&["activities:write"], vec!["north".to_owned()], &[], None).unwrap();
        NewKey { name: " Till 3 ".to_owned(), allowance, expires_at: None, signed: false }
    }

    fn keyring() -> Keyring {
        Keyring::generate(Arc::new(MasterKey::new([1; 32])), [2; SECRETS_RANDOM]).unwrap().0
    }

    fn draft(new: &NewKey, id: &str, at: Timestamp) -> (Secrets, Record) {
        new.draft(id, "opr_1", at, &keyring()).unwrap()
    }

    #[test]
    fn a_record_holds_the_digest_and_never_the_key() {
        let (secrets, record) = draft(&NewKey { signed: true, ..new() }, "key_1", NOW);
        let (token, signing) = (secrets.token, secrets.signing.unwrap());
        assert!(!record.body.contains(&signing.reveal()[12..]));
        assert_eq!((record.id.as_str(), record.subject.as_str()), (token.digest().as_str(), "key_1"));
        assert!(!record.body.contains(&token.reveal()[12..]));
        let key: ApiKey = record.read().unwrap();
        assert_eq!((key.name.as_str(), key.prefix.as_str()), ("Till 3", token.hint()));
        assert!(key.allowance.permissions.has(Permission::ActivitiesWrite));
        let opened = keyring().open_secret(SIGNING, "key_1", &key.signing.clone().unwrap()).unwrap();
        assert_eq!(opened.as_slice(), signing.reveal().as_bytes());
        assert!(!format!("{:?}", Secrets { token: token.clone(), signing: None }).contains(&token.reveal()[12..]));
        assert!(!summary(&key, None).to_string().contains(&token.reveal()[12..]));
    }

    #[test]
    fn the_records_of_a_rotated_key_are_one_key() {
        let (_, first) = draft(&new(), "key_1", NOW);
        let (_, other) = draft(&new(), "key_0", NOW.plus_millis(1));
        let (_, second) = draft(&new(), "key_1", NOW);
        let rotated = ApiKey { rotated_at: Some(NOW.plus_millis(5)), ..second.read().unwrap() };
        let second = second.with(&rotated).unwrap();
        let old = ending(&first, NOW.plus_millis(9));
        let keys = group(vec![second.clone(), other, old]).unwrap();
        let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
        assert_eq!(ids, ["key_1", "key_0"]);
        assert_eq!(keys[0].key.prefix, second.read::<ApiKey>().unwrap().prefix);
        assert_eq!(keys[0].retiring.len(), 1);
        assert_eq!(keys[0].retiring[0].ends_at, Some(NOW.plus_millis(9)));
        assert_eq!(keys[0].deletion().len(), 2);
        // An overlap never makes a secret live longer.
        assert_eq!(ending(&first.until(NOW), NOW.plus_millis(9)).expires_at, Some(NOW));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let name = NewKey { name: String::new(), ..new() };
        assert!(name.check(NOW).unwrap_err().contains("`name`"));
        let over = NewKey { expires_at: Some(NOW), ..new() };
        assert!(over.check(NOW).unwrap_err().contains("`expires_at`"));
        assert!(check_overlap(-1).is_err() && check_overlap(LONGEST_OVERLAP_SECONDS + 1).is_err());
        assert_eq!(new().check(NOW), Ok(()));
    }
}
