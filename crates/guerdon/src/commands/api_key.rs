//! `guerdon api-key`: API keys directly on the data, so that scripts can start without a key that may do everything.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use guerdon_core::audit::AuditEvent;
use guerdon_core::id::IdGenerator;
use guerdon_core::identity::RoleName;
use guerdon_core::time::Timestamp;
use guerdon_server::identity::allowance::Allowance;
use guerdon_server::identity::keys::{self, Key, MOST_KEYS, NewKey};
use guerdon_server::identity::last_use::LastUses;
use guerdon_server::identity::limit::Limit;
use guerdon_server::identity::operators::new_id;
use guerdon_server::identity::token::Token;
use guerdon_store::{RecordChange, Store};
use serde_json::{Value, json};

use crate::cli::DataArgs;
use crate::open::{AnyStore, system_now};

const DAY_MS: i64 = 86_400_000;

/// Arguments of `api-key`.
#[derive(Args)]
pub struct ApiKeyArgs {
    #[command(subcommand)]
    command: ApiKeyCommand,
}

#[derive(Subcommand)]
enum ApiKeyCommand {
    /// Issue a key and print it, this once. A data directory must not be served meanwhile; a database may.
    Create(CreateArgs),
    /// List the keys, without the keys themselves.
    List(ListArgs),
    /// Revoke a key. Running servers take it for five seconds more.
    Revoke(RevokeArgs),
}

#[derive(Args)]
struct CreateArgs {
    #[command(flatten)]
    data: DataArgs,
    /// What it is for.
    #[arg(long)]
    name: String,
    /// What it may do, such as activities:write; give it several times for more.
    #[arg(long, value_name = "PERMISSION")]
    permission: Vec<String>,
    /// All that a role may do that ships with Guerdon: owner, administrator, service, developer …
    #[arg(long)]
    role: Option<String>,
    /// In which store; give it several times for more. Left out: in all.
    #[arg(long)]
    store: Vec<String>,
    /// From which address or network it may come, such as 192.0.2.0/24; give it several times for more.
    #[arg(long)]
    network: Vec<String>,
    /// For how many days it holds. Left out: until it is revoked.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..=36_500))]
    expires_in_days: Option<i64>,
    /// How often it may ask, such as `100/s burst 200` or `unlimited`. Left out: as often as the server lets every key.
    #[arg(long)]
    rate: Option<Limit>,
    /// Its requests must be signed as well, for tills whose traffic passes through other hands (docs/signatures.md).
    #[arg(long)]
    signed: bool,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ListArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct RevokeArgs {
    #[command(flatten)]
    data: DataArgs,
    /// `key_…`, as `list` shows it.
    id: String,
}

/// Issues, lists or revokes.
pub fn run(args: &ApiKeyArgs) -> Result<ExitCode> {
    match &args.command {
        ApiKeyCommand::Create(args) => create(args)?,
        ApiKeyCommand::List(args) => list(args)?,
        ApiKeyCommand::Revoke(args) => revoke(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn create(args: &CreateArgs) -> Result<()> {
    let new = new_key(args)?;
    if load(&args.data)?.len() >= MOST_KEYS {
        bail!("there are {MOST_KEYS} API keys, the most that is allowed; revoke those not in use");
    }
    let (mut store, _) = args.data.open()?;
    let keyring = args.data.keyring(&mut store)?;
    let id = new_id("key");
    let (secrets, record) = new.draft(&id, "cli", system_now(), &keyring)?;
    let event = AuditEvent { after: keys::summary(&record.read()?, record.expires_at), ..event("api_key.create", &id) };
    write(&mut store, vec![RecordChange::Put(record)], event)?;
    let (key, signing) = (secrets.token.reveal(), secrets.signing.as_ref().map(Token::reveal));
    if args.json {
        println!("{}", json!({ "id": id, "key": key, "signing_secret": signing }));
        return Ok(());
    }
    println!("{key}");
    eprintln!("This is the key {id}. Keep it: it cannot be shown again.");
    if let Some(secret) = signing {
        println!("{secret}");
        eprintln!("The second line is what its requests must be signed with.");
    }
    Ok(())
}

fn new_key(args: &CreateArgs) -> Result<NewKey> {
    let mut permissions = args.permission.clone();
    if let Some(name) = &args.role {
        let known: Vec<&str> = RoleName::ALL.iter().map(|role| role.name()).collect();
        let role = RoleName::from_name(name).with_context(|| format!("--role must be one of {}", known.join(", ")))?;
        permissions.extend(role.permissions().iter().map(|permission| permission.name().to_owned()));
    }
    if permissions.is_empty() {
        bail!("give the key something that it may do, by --permission or --role");
    }
    let allowance = Allowance::parse(&permissions, args.store.clone(), &args.network, args.rate);
    let now = system_now();
    let expires_at = args.expires_in_days.map(|days| now.plus_millis(days * DAY_MS));
    let new = NewKey {
        name: args.name.clone(),
        allowance: allowance.map_err(anyhow::Error::msg)?,
        expires_at,
        signed: args.signed,
    };
    new.check(now).map_err(anyhow::Error::msg)?;
    Ok(new)
}

fn list(args: &ListArgs) -> Result<()> {
    let keys = load(&args.data)?;
    if args.json {
        let all: Vec<Value> = keys.iter().map(view).collect();
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    if keys.is_empty() {
        println!("There are no API keys; `guerdon api-key create` issues one.");
    }
    let moment = |at: Option<Timestamp>| at.map_or_else(|| "–".to_owned(), |at| at.to_string());
    for key in &keys {
        println!("{}  {}…  {}", key.id, key.key.prefix, key.key.name);
        println!("    last used {}, ends {}", moment(key.last_used_at), moment(key.expires_at));
        let names: Vec<&str> = key.key.allowance.permissions.iter().map(|permission| permission.name()).collect();
        println!("    may {}", names.join(" "));
        if !key.key.allowance.stores.is_empty() {
            println!("    in {}", key.key.allowance.stores.join(", "));
        }
        if !key.key.allowance.networks.is_empty() {
            println!("    from {}", key.key.allowance.network_names().join(", "));
        }
    }
    Ok(())
}

fn view(key: &Key) -> Value {
    let mut view = key.summary();
    if let Some(fields) = view.as_object_mut() {
        fields.insert("id".to_owned(), json!(key.id));
        fields.insert("last_used_at".to_owned(), json!(key.last_used_at));
    }
    view
}

fn revoke(args: &RevokeArgs) -> Result<()> {
    let key = load(&args.data)?.into_iter().find(|key| key.id == args.id);
    let key = key.with_context(|| format!("there is no API key {}; `guerdon api-key list` shows them", args.id))?;
    let event = AuditEvent { before: key.summary(), ..event("api_key.revoke", &key.id) };
    let (mut store, _) = args.data.open()?;
    write(&mut store, key.deletion(), event)?;
    eprintln!("{} is revoked.", key.id);
    Ok(())
}

fn event(action: &str, subject: &str) -> AuditEvent {
    AuditEvent {
        at: system_now(),
        actor: "cli".to_owned(),
        address: String::new(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        reason: String::new(),
        before: Value::Null,
        after: Value::Null,
    }
}

fn load(data: &DataArgs) -> Result<Vec<Key>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (reader, now) = (data.reader().await?, system_now());
        let mut keys = keys::group(reader.records(&keys::query(None), now).await?)?;
        let uses = LastUses::default().all(&reader, now).await?;
        for key in &mut keys {
            key.last_used_at = uses.get(&key.id).copied();
        }
        Ok(keys)
    })
}

fn write(store: &mut AnyStore, changes: Vec<RecordChange>, event: AuditEvent) -> Result<()> {
    let mut ids = IdGenerator::after(store.node()?, store.last_id()?);
    Ok(store.write_records(&changes, &[event], system_now(), &mut ids)?)
}
