//! `guerdon serve`: the API and the console over a data directory.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use guerdon_core::privacy::Keyring;
use guerdon_core::proofs::SigningKey;
use guerdon_server::edge::Edge;
use guerdon_server::{AppOptions, AppState, Directory, PrometheusBuilder, SharedKeyring, app};
use guerdon_store::Engine;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cli::{DataArgs, ListenArgs};
use crate::edge::default_public_url;
use crate::messages::{MessageArgs, Messages};
use crate::open::{self, AnyStore};

/// How long the writer may take to end after the last request.
const STOP_TIME: Duration = Duration::from_secs(10);
/// How long messages that wait may take.
const POST_TIME: Duration = Duration::from_secs(5);

/// Arguments of `serve`.
#[derive(Args)]
pub struct ServeArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    listen: ListenArgs,
    #[command(flatten)]
    messages: MessageArgs,
}

/// Serves until Ctrl-C or SIGTERM.
pub fn run(args: &ServeArgs) -> Result<ExitCode> {
    let edge = edge(&args.listen)?;
    let messages = args.messages.open(args.listen.edge.outbound()?)?;
    let mut stores = args.data.open_writers()?;
    let log_key = stores.first_mut().map(|store| args.data.log_key(store)).transpose()?.flatten();
    if log_key.is_none() {
        let file = args.data.log_key_file();
        eprintln!("No key of the transparency log at {}: another server must sequence it.", file.display());
    }
    let keyring = stores.first_mut().map(|store| args.data.keyring(store)).transpose()?.context("no store is open")?;
    serve(open::start(stores)?, &args.data, keyring, log_key, &args.listen, edge, messages)
}

/// The key that may do everything, from the environment or a file that it names: for the first steps, for scripts and
/// containers. Never from the command line, where other users of the machine can read it.
pub fn bootstrap_key() -> Result<Option<String>> {
    let key = match (std::env::var("GUERDON_API_KEY"), std::env::var("GUERDON_API_KEY_FILE")) {
        (Ok(key), _) => key,
        (_, Ok(file)) => std::fs::read_to_string(&file).with_context(|| format!("the key file {file}"))?,
        _ => return Ok(None),
    };
    let key = key.trim().to_owned();
    if key.len() < 16 {
        bail!("GUERDON_API_KEY must have 16 characters or more");
    }
    Ok(Some(key))
}

/// Checks how the server is to meet the network, before anything is opened.
pub fn edge(listen: &ListenArgs) -> Result<Edge> {
    listen.edge.edge(listen.listen)
}

/// Serves over a running engine until Ctrl-C or SIGTERM.
pub fn serve(
    engine: Engine<AnyStore>,
    data: &DataArgs,
    keyring: Keyring,
    log_key: Option<SigningKey>,
    listen: &ListenArgs,
    mut edge: Edge,
    messages: Messages,
) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen.listen).await.with_context(|| {
            format!("cannot listen on {}: is another server running? Choose another with --listen", listen.listen)
        })?;
        let reader = data.reader().await?;
        let metrics = PrometheusBuilder::new().install_recorder().context("metrics")?;
        let directory = Arc::new(Directory::new(bootstrap_key()?.as_deref()));
        let Messages { post, mailbox } = messages;
        let mailbox_at = if mailbox.is_some() { ", what would be sent at /demo/mailbox" } else { "" };
        let keyring = SharedKeyring::new(keyring);
        let state = AppState { engine: engine.handle(), reader, directory, keyring, post: post.clone() };
        let address = listener.local_addr()?;
        edge.public_url = default_public_url(&edge, address)?;
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
        guerdon_server::serve(listener, app(state, options), edge, engine.handle(), log_key, stopped).await;
        post.drain(POST_TIME).await;
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
