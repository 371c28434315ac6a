//! The benchmark of a flash sale: every member asks once for one of a few units, over the API on loopback, on one node over
//! the embedded store or on two over one database.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use guerdon_core::privacy::Keyring;
use guerdon_server::edge::Edge;
use guerdon_server::{AppOptions, AppState, SharedKeyring, app};
use guerdon_store::read::Reader;
use guerdon_store::{Engine, Store};
use hdrhistogram::Histogram;
use hyper::StatusCode;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::bench::{Draw, bench_key};
use super::bench_http::{KEY, ask, state};

/// What is on sale.
pub const REWARD: &str = "reward-0";

/// Where the data lie.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// In a data directory.
    Folder(&'a Path),
    /// On a database server.
    Url(&'a str),
}

/// What came of a sale.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sale {
    /// Members, each of whom asked once.
    pub asked: usize,
    /// Units on sale.
    pub units: i64,
    /// Members who got one.
    pub ordered: usize,
    /// Members who were told that there is none left.
    pub sold_out: usize,
    /// Milliseconds from the first request to the last answer.
    pub took_ms: u128,
    /// Milliseconds of each answer.
    pub p50_ms: u64,
    /// The same at the 99th percentile.
    pub p99_ms: u64,
    /// The longest.
    pub most_ms: u64,
    /// The same of the orders at the 99th percentile.
    pub ordered_p99_ms: u64,
}

/// Who asks, in turn.
struct Crowd {
    bodies: Vec<Bytes>,
    next: AtomicUsize,
}

/// What one connection saw.
struct Seen {
    all: Histogram<u64>,
    ordered: Histogram<u64>,
    sold_out: usize,
}

/// Sells `units` of a reward to all members of a draw, who come over `connections` to each of the nodes.
pub fn measure<S: Store + 'static>(
    engines: Vec<Engine<S>>,
    keyring: Keyring,
    place: Place<'_>,
    draw: &Draw,
    connections: usize,
) -> Result<Sale> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let keyring = SharedKeyring::new(keyring);
    let sale = runtime.block_on(async {
        let mut nodes = Vec::new();
        for engine in &engines {
            let reader = match place {
                Place::Folder(folder) => Reader::open(folder).await?,
                Place::Url(url) => Reader::connect(url).await?,
            };
            nodes.push(state(engine.handle(), reader, keyring.clone())?);
        }
        sell(&nodes, draw, connections).await
    })?;
    drop(runtime);
    for engine in engines {
        drop(engine.stop()?);
    }
    Ok(sale)
}

async fn sell(nodes: &[AppState], draw: &Draw, connections: usize) -> Result<Sale> {
    let body = |member| serde_json::json!({ "member_id": member, "reward_id": REWARD }).to_string();
    let bodies: Vec<Bytes> = draw.members().iter().map(|member| Bytes::from(body(member))).collect();
    let crowd = Arc::new(Crowd { bodies, next: AtomicUsize::new(0) });
    let first = nodes.first().context("a node")?;
    let units = first.reader.stock().await?.get(REWARD).map_or(0, |level| level.free());
    let (stop, stopped) = watch::channel(false);
    let (mut servers, mut addresses) = (Vec::new(), Vec::new());
    for node in nodes {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        addresses.push(listener.local_addr()?);
        let app = app(node.clone(), AppOptions::default());
        let serving =
            guerdon_server::serve(listener, app, Edge::default(), node.clone(), Some(bench_key()), stopped.clone());
        servers.push(tokio::spawn(serving));
    }
    let started = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..connections {
        for address in &addresses {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            clients.push(tokio::spawn(client(stream, Arc::clone(&crowd))));
        }
    }
    let (mut all, mut ordered) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    let mut sold_out = 0;
    for client in clients {
        let seen = client.await??;
        all.add(&seen.all)?;
        ordered.add(&seen.ordered)?;
        sold_out += seen.sold_out;
    }
    let took = started.elapsed();
    let level = first.reader.stock().await?.get(REWARD).copied().unwrap_or_default();
    let _ = stop.send(true);
    for server in servers {
        server.await?;
    }
    if level.free() != units - i64::try_from(ordered.len())? {
        bail!("{} orders were answered, but {} of {units} units are left", ordered.len(), level.free());
    }
    let at = |micros: &Histogram<u64>, quantile| micros.value_at_quantile(quantile).div_ceil(1_000);
    Ok(Sale {
        asked: crowd.bodies.len(),
        units,
        ordered: usize::try_from(ordered.len())?,
        sold_out,
        took_ms: took.as_millis(),
        p50_ms: at(&all, 0.5),
        p99_ms: at(&all, 0.99),
        most_ms: all.max().div_ceil(1_000),
        ordered_p99_ms: at(&ordered, 0.99),
    })
}

async fn client(stream: TcpStream, crowd: Arc<Crowd>) -> Result<Seen> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let (all, ordered) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    let mut seen = Seen { all, ordered, sold_out: 0 };
    let authorization = format!("Bearer {KEY}");
    loop {
        let number = crowd.next.fetch_add(1, Ordering::Relaxed);
        let Some(body) = crowd.bodies.get(number) else { break };
        let asked = Instant::now();
        let (status, answer) = ask(&mut sender, &authorization, &format!("sale-{number}"), body.clone()).await?;
        let micros = micros(asked.elapsed())?;
        seen.all.record(micros)?;
        match status {
            StatusCode::CREATED => seen.ordered.record(micros)?,
            StatusCode::CONFLICT if answer.windows(12).any(|part| part == b"out_of_stock") => seen.sold_out += 1,
            _ => bail!("{status}: {}", String::from_utf8_lossy(&answer)),
        }
    }
    drop(sender);
    connection.await?.context("the connection")?;
    Ok(seen)
}

fn micros(time: Duration) -> Result<u64> {
    Ok(u64::try_from(time.as_micros())?)
}

impl Sale {
    /// Prints it.
    pub fn print(&self, what: &str, json: bool) {
        let Self { asked, units, ordered, sold_out, took_ms, p50_ms, p99_ms, most_ms, ordered_p99_ms } = self;
        if json {
            println!(
                "{}",
                serde_json::json!({ "what": what, "asked": asked, "units": units, "ordered": ordered, "sold_out": sold_out,
                    "took_ms": took_ms, "p50_ms": p50_ms, "p99_ms": p99_ms, "most_ms": most_ms,
                    "ordered_p99_ms": ordered_p99_ms })
            );
            return;
        }
        println!("flash sale, {what}: {asked} members after {units} units");
        println!("  {ordered} orders, {sold_out} told that nothing is left, nobody without an answer");
        println!("  {took_ms} ms in all; an answer in {p50_ms} ms (median), {p99_ms} ms (p99), {most_ms} ms at most");
        println!("  an order in {ordered_p99_ms} ms (p99)");
    }
}
