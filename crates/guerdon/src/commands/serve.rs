//! `guerdon serve`: the API and the console over a data directory.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use guerdon_core::privacy::Keyring;
use guerdon_core::proofs::SigningKey;
use guerdon_server::edge::Edge;
use guerdon_server::identity::setup;
use guerdon_server::identity::sso::SingleSignOn;
use guerdon_server::payments::Payments;
use guerdon_server::{
    AppOptions, AppState, Degraded, Directory, People, Problem, PrometheusBuilder, SharedKeyring, app, keep_keys,
};
use guerdon_store::Engine;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cli::{DataArgs, ListenArgs};
use crate::edge::default_public_url;
use crate::master_key::KeptKeys;
use crate::messages::{MessageArgs, Messages};
use crate::open::{self, AnyStore};
use crate::sso::single_sign_on;

/// How long the writer may take to end after the last request.
const STOP_TIME: Duration = Duration::from_secs(10);
/// How long messages that wait may take.
const POST_TIME: Duration = Duration::from_secs(5);

/// Who owns the demo's program.
const DEMO_EMAIL: &str = "demo@example.org";

/// Arguments of `serve`.
#[derive(Args)]
pub struct ServeArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    listen: ListenArgs,
    #[command(flatten)]
    messages: MessageArgs,
    /// The identity providers by which operators sign in; a TOML file, see docs/single-sign-on.md.
    #[arg(long, env = "GUERDON_SSO", value_name = "FILE")]
    sso: Option<PathBuf>,
    /// Take the `test` tender where the program names it: it moves no money, and is for trying out only.
    #[arg(long, env = "GUERDON_TEST_TENDER")]
    test_tender: bool,
}

/// Serves until Ctrl-C or SIGTERM.
pub fn run(args: &ServeArgs) -> Result<ExitCode> {
    let edge = edge(&args.listen)?;
    let messages = args.messages.open(args.listen.edge.outbound()?)?;
    let sso = single_sign_on(args.sso.as_deref())?;
    let mut stores = args.data.open_writers()?;
    args.data.warn_of_open_master_key();
    let log_key = stores.first_mut().map(|store| args.data.log_key(store)).transpose()?.flatten();
    if log_key.is_none() {
        let file = args.data.log_key_file();
        eprintln!("No key of the transparency log at {}: another server must sequence it.", file.display());
    }
    let keyring = stores.first_mut().map(|store| args.data.keyring(store)).transpose()?.context("no store is open")?;
    let serving = Serving {
        keyring,
        log_key,
        bootstrap: bootstrap_key()?,
        messages,
        sso,
        demo: false,
        test_tender: args.test_tender,
    };
    serve(open::start(stores)?, &args.data, serving, &args.listen, edge)
}

/// The fewest characters of the key that may do everything: 128 bits even where they are hexadecimal digits.
const KEY_CHARS: usize = 32;

/// The key that may do everything, from the environment or a file that it names: for the first steps, for scripts and
/// containers. Never from the command line, where other users of the machine can read it.
pub fn bootstrap_key() -> Result<Option<String>> {
    let key = match (std::env::var("GUERDON_API_KEY"), std::env::var("GUERDON_API_KEY_FILE")) {
        (Ok(key), _) => key,
        (_, Ok(file)) => std::fs::read_to_string(&file).with_context(|| format!("the key file {file}"))?,
        _ => return Ok(None),
    };
    let key = key.trim().to_owned();
    if key.len() < KEY_CHARS {
        bail!("GUERDON_API_KEY must have {KEY_CHARS} characters or more; `openssl rand -base64 32` makes one");
    }
    Ok(Some(key))
}

/// Checks how the server is to meet the network, before anything is opened.
pub fn edge(listen: &ListenArgs) -> Result<Edge> {
    listen.edge.edge(listen.listen)
}

/// What a server holds of secrets, and whether it is the demo's.
pub struct Serving {
    /// The keys of personal data.
    pub keyring: Keyring,
    /// The key of the transparency log.
    pub log_key: Option<SigningKey>,
    /// The key that may do everything.
    pub bootstrap: Option<String>,
    /// The way of every message.
    pub messages: Messages,
    /// The identity providers.
    pub sso: SingleSignOn,
    /// Whether whoever reads the screen is let in without a password.
    pub demo: bool,
    /// Whether orders may be paid by the test tender.
    pub test_tender: bool,
}

/// Says how the first person comes in.
async fn welcome(state: &AppState, demo: bool) -> Result<()> {
    let failed = |problem: Problem| anyhow::anyhow!(problem.detail);
    if demo {
        let token = setup::sign_in_link(state, DEMO_EMAIL, "Demo").await.map_err(failed)?;
        println!("Sign in: {}", state.people.link(&format!("/console/sign-in/link?token={}", token.reveal())));
    } else if let Some(token) = setup::setup_token(state).await.map_err(failed)? {
        let link = state.people.link(&format!("/console/setup?token={}", token.reveal()));
        println!("There is no owner yet. Whoever opens this within 24 hours becomes it: {link}");
    }
    Ok(())
}

/// Serves over a running engine until Ctrl-C or SIGTERM.
pub fn serve(
    engine: Engine<AnyStore>,
    data: &DataArgs,
    serving: Serving,
    listen: &ListenArgs,
    mut edge: Edge,
) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen.listen).await.with_context(|| {
            format!("cannot listen on {}: is another server running? Choose another with --listen", listen.listen)
        })?;
        let reader = data.reader().await?;
        let metrics = PrometheusBuilder::new().install_recorder().context("metrics")?;
        let Messages { post, mailbox } = serving.messages;
        let mailbox_at = if mailbox.is_some() { ", what would be sent at /demo/mailbox" } else { "" };
        let address = listener.local_addr()?;
        edge.public_url = default_public_url(&edge, address)?;
        let brand = engine.handle().program().settings.name.get("en").to_owned();
        let https = edge.tls.is_some() || !edge.trust.proxies.is_empty();
        let state = AppState {
            engine: engine.handle(),
            reader,
            directory: Arc::new(Directory::new(serving.bootstrap.as_deref())),
            people: Arc::new(People::new(edge.public_url.clone(), https, &brand, &serving.keyring)?),
            keyring: SharedKeyring::with_masters(serving.keyring, Box::new(KeptKeys(data.clone()))),
            post: post.clone(),
            sso: Arc::new(serving.sso),
            outbound: listen.edge.outbound()?,
            catalogue: Arc::default(),
            degraded: Arc::new(Degraded::new(&engine.handle())),
            demand: Arc::default(),
            payments: Payments { test_tender: serving.test_tender },
        };
        welcome(&state, serving.demo).await?;
        let options = AppOptions {
            metrics: Some(metrics),
            mailbox,
            public_url: edge.public_url.clone(),
            security_contact: listen.edge.security_contact(),
        };
        let scheme = if edge.tls.is_some() { "https" } else { "http" };
        println!("Serving on {scheme}://{address}: console at /console, API at /docs{mailbox_at}. Ctrl-C stops.");
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            signal().await;
            println!("Stopping: open requests are finished first.");
            // The receiver lives as long as the server; when it is gone there is nothing left to stop.
            let _ = stop.send(true);
        });
        let keeper = tokio::spawn(keep_keys(state.clone(), stopped.clone()));
        let reader = state.reader.clone();
        guerdon_server::serve(listener, app(state.clone(), options), edge, state, serving.log_key, stopped).await;
        keeper.abort();
        post.drain(POST_TIME).await;
        // The writer closes last, and takes SQLite's log with it.
        let _ = tokio::time::timeout(STOP_TIME, reader.close()).await;
        anyhow::Ok(())
    })?;
    runtime.shutdown_timeout(STOP_TIME);
    drop(engine.stop()?);
    println!("Stopped; everything acknowledged is on disk.");
    Ok(ExitCode::SUCCESS)
}

async fn signal() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(interrupt.await),
    }
}
