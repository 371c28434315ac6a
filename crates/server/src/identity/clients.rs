//! What is done with partners' programs (OAuth2 clients): registering, changing, suspending, rotating their secrets, and the
//! tokens that they get for them. One place for the API and the console; every act leaves its event in the audit log.

use std::net::IpAddr;

use axum::http::StatusCode;
use guerdon_core::identity::Permissions;
use guerdon_core::limits;
use guerdon_core::time::Timestamp;
use guerdon_store::{Record, RecordChange, RecordQuery};
use serde_json::{Value, json};

use super::actor::Actor;
use super::allowance::Allowance;
use super::client::{
    ACCESS_TOKEN, ACCESS_TOKEN_SECONDS, AccessToken, CLIENT, Client, ClientSecret, ClientState, MOST_SECRETS,
};
use super::hands;
use super::keys::{check_given, check_overlap, invalid};
use super::operators::new_id;
use super::token::{Token, TokenKind, same_secret};
use super::usage::UsageQuota;
use crate::AppState;
use crate::problem::Problem;

/// Clients of a program at the most.
pub const MOST_CLIENTS: i64 = 1_000;
/// The largest quota.
const MOST_QUOTA: u64 = 1_000_000_000_000;

/// What people decide about a client.
#[derive(Debug, Clone)]
pub struct ClientTerms {
    /// The partner, and what it is for.
    pub name: String,
    /// What it may do.
    pub allowance: Allowance,
    /// Requests of a day and of a month (UTC) at the most.
    pub quota: UsageQuota,
}

impl ClientTerms {
    fn check(&self) -> Result<(), String> {
        limits::check_text("name", &self.name, limits::TEXT_CHARS)?;
        for (field, quota) in [("per_day", self.quota.per_day), ("per_month", self.quota.per_month)] {
            if quota.is_some_and(|quota| quota == 0 || quota > MOST_QUOTA) {
                return Err(format!("`quota.{field}` must be 1 to {MOST_QUOTA}; leave it out for no quota"));
            }
        }
        Ok(())
    }
}

/// A client with all that is known of it.
#[derive(Debug, Clone)]
pub struct Known {
    /// `cli_…`
    pub id: String,
    /// The client.
    pub client: Client,
    /// When it was last here, to the minute.
    pub last_used_at: Option<Timestamp>,
    record: Record,
}

impl Known {
    fn new(record: Record, last_used_at: Option<Timestamp>) -> Result<Self, Problem> {
        Ok(Self { id: record.id.clone(), client: record.read()?, last_used_at, record })
    }
}

fn summary(client: &Client) -> Value {
    json!({
        "name": client.name, "state": client.state, "permissions": client.allowance.permissions,
        "stores": client.allowance.stores, "networks": client.allowance.network_names(),
        "rate": client.allowance.rate, "quota": client.quota,
    })
}

/// All clients, in the order of their creation.
pub async fn list(state: &AppState) -> Result<Vec<Known>, Problem> {
    let now = state.clock();
    let query = RecordQuery { kind: CLIENT.to_owned(), subject: None, after: None, limit: MOST_CLIENTS };
    let records = state.reader.records(&query, now).await?;
    let uses = state.directory.last_uses().all(&state.reader, now).await?;
    let known = |record: Record| {
        let last_used_at = uses.get(&record.id).copied();
        Known::new(record, last_used_at)
    };
    let mut clients = records.into_iter().map(known).collect::<Result<Vec<_>, _>>()?;
    clients.sort_by(|left, right| (left.client.created_at, &left.id).cmp(&(right.client.created_at, &right.id)));
    Ok(clients)
}

/// A client by its id.
pub async fn find(state: &AppState, id: &str) -> Result<Known, Problem> {
    let unknown = || {
        let shown: String = id.chars().take(64).collect();
        Problem::not_found("unknown_client", format!("there is no client `{shown}`"))
    };
    if id.len() > limits::KEY_CHARS {
        return Err(unknown());
    }
    let now = state.clock();
    let record = state.reader.record(CLIENT, id, now).await?.ok_or_else(unknown)?;
    Known::new(record, state.directory.last_uses().of(&state.reader, id, now).await?)
}

fn new_secret(now: Timestamp) -> (Token, ClientSecret) {
    let token = Token::generate(TokenKind::ClientSecret);
    let (digest, prefix) = (token.digest(), token.hint().to_owned());
    (token, ClientSecret { digest, prefix, created_at: now, expires_at: None })
}

/// Registers a client. The secret is to be shown once.
pub async fn register(state: &AppState, actor: &Actor, terms: &ClientTerms) -> Result<(Known, Token), Problem> {
    terms.check().map_err(invalid)?;
    check_given(actor, &terms.allowance)?;
    let now = state.clock();
    let query = RecordQuery { kind: CLIENT.to_owned(), subject: None, after: None, limit: MOST_CLIENTS };
    if state.reader.records(&query, now).await?.len() >= usize::try_from(MOST_CLIENTS).unwrap_or_default() {
        let detail = format!("there are {MOST_CLIENTS} clients, the most that is allowed; delete those not in use");
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_clients", detail));
    }
    let id = new_id("cli");
    let (token, secret) = new_secret(now);
    let client = Client {
        name: terms.name.trim().to_owned(),
        state: ClientState::Active,
        allowance: terms.allowance.clone(),
        quota: terms.quota,
        secrets: vec![secret],
        created_at: now,
        created_by: actor.name(),
        holders: hands::behind(state, actor).await?,
    };
    let record = Record::new(CLIENT, &id, &id, &client)?;
    let mut event = actor.event(now, "client.create", &id);
    event.after = summary(&client);
    state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await?;
    Ok((find(state, &id).await?, token))
}

/// Writes a changed client over the one that was read.
async fn write(state: &AppState, actor: &Actor, action: &str, known: &Known, client: &Client) -> Result<(), Problem> {
    let mut event = actor.event(state.clock(), action, &known.id);
    event.before = summary(&known.client);
    event.after = summary(client);
    let record = known.record.clone().with(client)?;
    state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await?;
    state.directory.forget_program(&known.id);
    Ok(())
}

/// Changes what a client may do. Its tokens do no more from now on.
pub async fn change(state: &AppState, actor: &Actor, id: &str, terms: &ClientTerms) -> Result<Known, Problem> {
    terms.check().map_err(invalid)?;
    check_given(actor, &terms.allowance)?;
    let known = find(state, id).await?;
    let client = Client {
        name: terms.name.trim().to_owned(),
        allowance: terms.allowance.clone(),
        quota: terms.quota,
        ..known.client.clone()
    };
    write(state, actor, "client.change", &known, &client).await?;
    find(state, id).await
}

/// Suspends a client, or lets it call again.
pub async fn set_state(state: &AppState, actor: &Actor, id: &str, wanted: ClientState) -> Result<Known, Problem> {
    let known = find(state, id).await?;
    if known.client.state == wanted {
        return Ok(known);
    }
    let action = match wanted {
        ClientState::Active => {
            check_given(actor, &known.client.allowance)?;
            "client.resume"
        }
        ClientState::Suspended => "client.suspend",
    };
    let client = Client { state: wanted, ..known.client.clone() };
    write(state, actor, action, &known, &client).await?;
    find(state, id).await
}

/// Gives a client a new secret. The old one ends after the overlap; one that was ending before ends now.
pub async fn rotate(
    state: &AppState,
    actor: &Actor,
    id: &str,
    overlap_seconds: i64,
) -> Result<(Known, Token), Problem> {
    check_overlap(overlap_seconds).map_err(invalid)?;
    let known = find(state, id).await?;
    check_given(actor, &known.client.allowance)?;
    let now = state.clock();
    let (token, secret) = new_secret(now);
    let end = now.plus_millis(overlap_seconds * 1_000);
    let latest = known.client.secrets.last().filter(|_| overlap_seconds > 0).cloned();
    let ending = latest.map(|old| ClientSecret { expires_at: Some(end), ..old });
    let secrets: Vec<ClientSecret> = ending.into_iter().chain([secret]).collect();
    debug_assert!(secrets.len() <= MOST_SECRETS);
    let mut event = actor.event(now, "client.rotate", id);
    event.before = json!({ "prefix": known.client.secrets.last().map(|secret| &secret.prefix) });
    event.after = json!({ "prefix": token.hint(), "overlap_seconds": overlap_seconds });
    let holders = hands::joined(state, id, actor).await?;
    let record = known.record.clone().with(&Client { secrets, holders, ..known.client.clone() })?;
    state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await?;
    Ok((find(state, id).await?, token))
}

/// Deletes a client. Its tokens end with it, at once on this node and within seconds on the others.
pub async fn delete(state: &AppState, actor: &Actor, id: &str) -> Result<(), Problem> {
    let known = find(state, id).await?;
    let mut event = actor.event(state.clock(), "client.delete", id);
    event.before = summary(&known.client);
    state.engine.write_records(vec![RecordChange::Delete(known.record)], vec![event]).await?;
    state.directory.forget_program(id);
    Ok(())
}

/// A client that has shown its secret. `None`: there is none, suspended, from another network, or with another secret.
pub async fn authenticate(
    state: &AppState,
    id: &str,
    secret: &str,
    address: IpAddr,
) -> Result<Option<(String, Client)>, Problem> {
    if id.len() > limits::KEY_CHARS {
        return Ok(None);
    }
    let now = state.clock();
    let Some(record) = state.reader.record(CLIENT, id, now).await? else { return Ok(None) };
    let client: Client = record.read()?;
    let digest = guerdon_core::hex::encode(&super::directory::digest(secret));
    let right =
        client.secrets.iter().filter(|known| known.holds(now) & same_secret(&known.digest, &digest)).count() > 0;
    let fits = right && client.state == ClientState::Active && client.allowance.admits(address);
    Ok(fits.then_some((record.id, client)))
}

/// Gives a client a token that may do some of what the client may.
pub async fn issue_token(state: &AppState, id: &str, permissions: Permissions) -> Result<Token, Problem> {
    let now = state.clock();
    let token = Token::generate(TokenKind::Access);
    let access = AccessToken { permissions, created_at: now };
    let record = Record::new(ACCESS_TOKEN, &token.digest(), id, &access)?;
    let record = record.until(now.plus_millis(ACCESS_TOKEN_SECONDS * 1_000));
    state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await?;
    Ok(token)
}

/// Ends a token of a client; one that is not its own, or over, is left as it is.
pub async fn revoke_token(state: &AppState, id: &str, token: &str) -> Result<(), Problem> {
    let Ok(token) = Token::parse_as(TokenKind::Access, token) else { return Ok(()) };
    let found = state.reader.record(ACCESS_TOKEN, &token.digest(), state.clock()).await?;
    if let Some(record) = found.filter(|record| record.subject == id) {
        state.engine.write_records(vec![RecordChange::Delete(record)], Vec::new()).await?;
        state.directory.forget_token(token.reveal());
    }
    Ok(())
}
