//! What the gate costs: the benchmark through the API with a real key and its limits, beside the same server without the
//! gate, and the time of a check by itself.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use axum::extract::Request;
use axum::http::Method;
use guerdon_core::identity::{Access, Permission};
use guerdon_core::privacy::Keyring;
use guerdon_server::edge::ClientAddress;
use guerdon_server::identity::actor::{Actor, Who};
use guerdon_server::identity::allowance::Allowance;
use guerdon_server::identity::guard::{Asked, Gate};
use guerdon_server::identity::keys::NewKey;
use guerdon_server::identity::limit::{Limit, Per};
use guerdon_server::{AppOptions, AppState, SharedKeyring, app, app_without_gate, routes};
use guerdon_store::{Engine, RecordChange, SqliteStore};
use hdrhistogram::Histogram;

use super::bench::{Draw, Measured};
use super::bench_http::{Loopback, Round};
use crate::open::system_now;

/// Rounds of each kind, taken in turns, so that a machine that slows down slows both.
const ROUNDS: usize = 4;
/// How often a check is timed.
const CHECKS: u32 = 2_000_000;
/// How often the whole way through the gate is timed.
const PASSES: u32 = 200_000;

/// What was measured.
pub struct Cost {
    /// Without the gate, and with it.
    pub results: Vec<Measured>,
    /// Nanoseconds of asking a grant for a permission.
    pub check_ns: u64,
    /// Nanoseconds of the whole way through the gate: route, key, network, rate, quota, permission.
    pub gate_ns: u64,
}

/// Redeems in turns without and with the gate.
pub fn measure(
    engine: Engine<SqliteStore>,
    keyring: Keyring,
    folder: &Path,
    draw: Draw,
    redemptions: usize,
    connections: usize,
) -> Result<Cost> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let cost = runtime.block_on(async {
        let mut loopback = Loopback::new(&engine, SharedKeyring::new(keyring), folder, draw, connections).await?;
        let key = real_key(&loopback.state).await?;
        let (mut open, mut guarded) = (Sum::new()?, Sum::new()?);
        for _ in 0..ROUNDS {
            let each = redemptions.div_ceil(ROUNDS);
            let app_open = app_without_gate(loopback.state.clone(), everyone()?);
            open.add(loopback.redeem(app_open, &key, each).await?, each)?;
            let app = app(loopback.state.clone(), AppOptions::default());
            guarded.add(loopback.redeem(app, &key, each).await?, each)?;
        }
        let gate_ns = gate_time(&loopback.state, &key).await?;
        let results = vec![open.measured("API without the gate"), guarded.measured("API with a key and its limits")];
        anyhow::Ok(Cost { results, check_ns: check_time()?, gate_ns })
    })?;
    drop(runtime);
    drop(engine.stop()?);
    Ok(cost)
}

/// Rounds put together.
pub struct Sum {
    count: usize,
    time: Duration,
    micros: Histogram<u64>,
}

impl Sum {
    /// Nothing yet.
    pub fn new() -> Result<Self> {
        Ok(Self { count: 0, time: Duration::ZERO, micros: Histogram::new(3)? })
    }

    /// Adds a round.
    pub fn add(&mut self, round: Round, count: usize) -> Result<()> {
        self.count += count;
        self.time += round.time;
        Ok(self.micros.add(round.micros)?)
    }

    /// What came of all.
    pub fn measured(&self, what: &str) -> Measured {
        Measured::new(what, self.count, self.time, &self.micros)
    }
}

/// What the bench's key may do, from this machine and within a rate that is counted and never reached.
fn allowance() -> Result<Allowance> {
    let rate = Some(Limit::new(1_000_000, Per::Second, 1_000_000));
    let permissions = ["orders:write", "members:read", "activities:write"];
    Allowance::parse(&permissions, Vec::new(), &["127.0.0.0/8", "::1"], rate).map_err(|problem| anyhow!(problem))
}

/// A key as the API issues it.
async fn real_key(state: &AppState) -> Result<String> {
    let new = NewKey { name: "Bench".to_owned(), allowance: allowance()?, expires_at: None, signed: false };
    let (secrets, record) = new.draft("key_bench", "cli", system_now(), &state.keys())?;
    state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await?;
    Ok(secrets.token.reveal().to_owned())
}

/// Who acts where nobody is asked.
fn everyone() -> Result<Actor> {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let access = std::sync::Arc::new(allowance()?.access());
    Ok(Actor { who: Who::Key { id: "key_bench".to_owned() }, access, ..Actor::anonymous(address) })
}

fn check_time() -> Result<u64> {
    let access: Access = allowance()?.access();
    let started = Instant::now();
    for _ in 0..CHECKS {
        black_box(black_box(&access).allows(black_box(Permission::OrdersWrite), black_box(None)));
    }
    nanos(started.elapsed(), CHECKS)
}

async fn gate_time(state: &AppState, key: &str) -> Result<u64> {
    let gate = Gate { state: state.clone(), routes: routes().map_err(|problem| anyhow!(problem))? };
    let mut request = Request::post("/v1/orders").header("authorization", format!("Bearer {key}"));
    let address = ClientAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));
    request.extensions_mut().context("a request")?.insert(address);
    let request = request.body(axum::body::Body::empty())?;
    let started = Instant::now();
    for _ in 0..PASSES {
        let needs = gate.routes.needs(black_box(&Method::POST), black_box("/v1/orders")).context("no such route")?;
        let admitted = gate.admit(Asked::of(black_box(&request), needs, state.people.https())).await;
        black_box(admitted.map_err(|_| anyhow!("the gate refused the benchmark's key"))?);
    }
    nanos(started.elapsed(), PASSES)
}

fn nanos(time: Duration, count: u32) -> Result<u64> {
    Ok(u64::try_from((time / count).as_nanos())?)
}
