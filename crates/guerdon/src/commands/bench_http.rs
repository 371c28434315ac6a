//! The benchmark through the API on loopback: keep-alive connections that each ask, wait, and ask again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use axum::Router;
use bytes::Bytes;
use guerdon_core::privacy::Keyring;
use guerdon_server::edge::Edge;
use guerdon_server::messages::Post;
use guerdon_server::outbound::{Outbound, OutboundOptions};
use guerdon_server::{AppOptions, AppState, Degraded, Directory, People, SharedKeyring, app};
use guerdon_store::read::Reader;
use guerdon_store::{Engine, EngineHandle, SqliteStore};
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::bench::{Draw, Measured, bench_key};

/// The key that the clients bring.
pub const KEY: &str = "the key of the benchmark";

/// Bodies prepared before the clock starts, so that the client costs little beside the server.
struct Requests {
    bodies: Vec<Bytes>,
    /// The number of the first one, which makes the idempotency keys.
    first: usize,
    next: AtomicUsize,
    authorization: String,
}

/// Clients and a server that talk over loopback.
pub struct Loopback {
    /// What the handlers share.
    pub state: AppState,
    /// Keep-alive connections.
    pub connections: usize,
    draw: Draw,
    sent: usize,
}

/// Redemptions that were made, in what time, and the microseconds of each.
pub struct Round {
    /// From the first request to the last answer.
    pub time: Duration,
    /// Of each request.
    pub micros: Histogram<u64>,
}

/// Redeems through `POST /v1/orders`.
pub fn measure(
    engine: Engine<SqliteStore>,
    keyring: Keyring,
    folder: &Path,
    draw: Draw,
    redemptions: usize,
    connections: usize,
) -> Result<Measured> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let measured = runtime.block_on(async {
        let mut loopback = Loopback::new(&engine, SharedKeyring::new(keyring), folder, draw, connections).await?;
        let app = app(loopback.state.clone(), AppOptions::default());
        let Round { time, micros } = loopback.redeem(app, KEY, redemptions).await?;
        let what = format!("API over SQLite, {connections} connections");
        anyhow::Ok(Measured::new(&what, redemptions, time, &micros))
    })?;
    drop(runtime);
    drop(engine.stop()?);
    Ok(measured)
}

impl Loopback {
    /// A server over an engine.
    pub async fn new(
        engine: &Engine<SqliteStore>,
        keyring: SharedKeyring,
        folder: &Path,
        draw: Draw,
        connections: usize,
    ) -> Result<Self> {
        let state = state(engine.handle(), Reader::open(folder).await?, keyring)?;
        Ok(Self { state, connections, draw, sent: 0 })
    }

    /// Redeems so often through an application.
    pub async fn redeem(&mut self, app: Router, key: &str, redemptions: usize) -> Result<Round> {
        let bodies = (0..redemptions).map(|_| {
            let (member, reward) = self.draw.next();
            Bytes::from(serde_json::json!({ "member_id": member, "reward_id": reward }).to_string())
        });
        let (bodies, authorization) = (bodies.collect(), format!("Bearer {key}"));
        let requests = Arc::new(Requests { bodies, first: self.sent, next: AtomicUsize::new(0), authorization });
        self.sent += redemptions;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let state = self.state.clone();
        let server = guerdon_server::serve(listener, app, Edge::default(), state, Some(bench_key()), stopped);
        let server = tokio::spawn(server);
        let started = Instant::now();
        let mut clients = Vec::new();
        for _ in 0..self.connections {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            clients.push(tokio::spawn(client(stream, Arc::clone(&requests))));
        }
        let mut micros = Histogram::<u64>::new(3)?;
        for client in clients {
            micros.add(client.await??)?;
        }
        let time = started.elapsed();
        let _ = stop.send(true);
        server.await?;
        Ok(Round { time, micros })
    }
}

/// What the handlers of a server share that answers to [`KEY`].
pub fn state(engine: EngineHandle, reader: Reader, keyring: SharedKeyring) -> Result<AppState> {
    let people = Arc::new(People::new(None, false, "Bench", &keyring.get())?);
    Ok(AppState {
        degraded: Arc::new(Degraded::new(&engine)),
        engine,
        reader,
        directory: Arc::new(Directory::new(Some(KEY))),
        keyring,
        people,
        post: Post::default(),
        sso: Arc::default(),
        outbound: Outbound::new(OutboundOptions::default()),
        demand: Arc::default(),
        payments: guerdon_server::payments::Payments::default(),
        catalogue: Arc::default(),
    })
}

async fn client(stream: TcpStream, requests: Arc<Requests>) -> Result<Histogram<u64>> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut micros = Histogram::<u64>::new(3)?;
    loop {
        let number = requests.next.fetch_add(1, Ordering::Relaxed);
        let Some(body) = requests.bodies.get(number) else { break };
        let asked = Instant::now();
        redeem(&mut sender, &requests, number, body.clone()).await?;
        micros.record(u64::try_from(asked.elapsed().as_micros())?)?;
    }
    drop(sender);
    connection.await?.context("the connection")?;
    Ok(micros)
}

async fn redeem(sender: &mut SendRequest<Full<Bytes>>, requests: &Requests, number: usize, body: Bytes) -> Result<()> {
    let key = format!("bench-{}", requests.first + number);
    let (status, answer) = ask(sender, &requests.authorization, &key, body).await?;
    if status != StatusCode::CREATED {
        bail!("{status}: {}", String::from_utf8_lossy(&answer));
    }
    Ok(())
}

/// Asks for an order, and answers what came back.
pub async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    authorization: &str,
    key: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes)> {
    let request = Request::post("/v1/orders")
        .header("host", "localhost")
        .header("authorization", authorization)
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(Full::new(body))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}
