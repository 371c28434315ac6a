//! What privacy costs: members whose keys are wrapped anew a second while the API redeems, and the time of an erasure.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Command, RefusalCode};
use guerdon_core::members::Profile;
use guerdon_core::privacy::{KeyWrap, Keyring, MasterKey};
use guerdon_server::{AppOptions, AppState, MasterKeys, SharedKeyring, app, keep_keys};
use guerdon_store::{CommandError, Engine, SqliteStore, begin_rotation};
use hdrhistogram::Histogram;
use tokio::sync::watch;

use super::bench::{Draw, Measured, bench_master_key};
use super::bench_auth::Sum;
use super::bench_http::{KEY, Loopback};

/// Parts in which redemptions are asked for beside the rotation, until it has ended.
const ROUNDS: usize = 20;
/// Members that are erased, one after the other.
const ERASURES: usize = 200;
/// How often is looked whether the rotation has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What was measured.
pub struct Cost {
    /// Redemptions without and beside a rotation.
    pub results: Vec<Measured>,
    /// Members whose keys were wrapped anew a second.
    pub rotated_per_second: u64,
    /// Microseconds of an erasure, from asking to the durable answer.
    pub erasure_micros: Histogram<u64>,
}

/// The profile of a member as a brand would have it; nobody's.
pub fn profile(number: usize) -> Profile {
    Profile {
        external_id: Some(format!("N{number}")),
        name: Some(format!("Member {number}")),
        email: Some(format!("member-{number}@example.com")),
        phone: Some(format!("138{number:08}")),
        birth_date: Some("1990-05-17".to_owned()),
        ..Profile::default()
    }
}

/// Redeems, rotates while it redeems, and erases.
pub fn measure(
    engine: Engine<SqliteStore>,
    keyring: Keyring,
    folder: &Path,
    draw: Draw,
    redemptions: usize,
    connections: usize,
) -> Result<Cost> {
    let members = draw.members().to_vec();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let cost = runtime.block_on(async {
        let keyring = SharedKeyring::with_masters(keyring, Box::new(InMemory));
        let mut loopback = Loopback::new(&engine, keyring, folder, draw, connections).await?;
        let state = loopback.state.clone();
        let app = app(state.clone(), AppOptions::default());
        let alone = loopback.redeem(app.clone(), KEY, redemptions).await?;
        let (stop, stopped) = watch::channel(false);
        let keeper = tokio::spawn(keep_keys(state.clone(), stopped));
        let rotation = tokio::spawn(rotate(state.clone(), members.len()));
        let mut beside = Sum::new()?;
        while !rotation.is_finished() {
            let each = redemptions.div_ceil(ROUNDS);
            beside.add(loopback.redeem(app.clone(), KEY, each).await?, each)?;
        }
        let rotated_per_second = rotation.await??;
        stop.send(true)?;
        keeper.await?;
        let erasure_micros = erase(&state, &members).await?;
        let results = vec![
            Measured::new("API", redemptions, alone.time, &alone.micros),
            beside.measured("API, the master key rotated beside"),
        ];
        anyhow::Ok(Cost { results, rotated_per_second, erasure_micros })
    })?;
    drop(runtime);
    drop(engine.stop()?);
    Ok(cost)
}

/// Takes a new master key into use, and waits until no member is under the old one. Returns members a second.
async fn rotate(state: AppState, members: usize) -> Result<u64> {
    let started = Instant::now();
    let (keyring, new) = (state.keys(), InMemory::new_key());
    let begun = state.engine.run(move |store| begin_rotation(store, &keyring, new, rand::random())).await?;
    state.keyring.set(begun);
    while state.reader.keyring().await?.context("the data have no keys")?.master_keys.len() > 1 {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(u64::try_from(members as u128 * 1_000 / started.elapsed().as_millis().max(1))?)
}

/// Erases some members; those who hold an order cannot be erased, as it should be, and are passed over.
async fn erase(state: &AppState, members: &[MemberId]) -> Result<Histogram<u64>> {
    let mut micros = Histogram::<u64>::new(3)?;
    for member in members.iter().step_by((members.len() / ERASURES).max(1)) {
        let asked = Instant::now();
        match state.engine.submit_one(Command::erase(*member, "erase", state.engine.now())?).await {
            Ok(_) => micros.record(u64::try_from(asked.elapsed().as_micros())?)?,
            Err(CommandError::Refused(refusal)) if refusal.code == RefusalCode::OpenOrders => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(micros)
}

/// Master keys of the benchmark. No secrets.
struct InMemory;

impl InMemory {
    fn new_key() -> Arc<dyn KeyWrap> {
        Arc::new(MasterKey::new([8; 32]))
    }
}

impl MasterKeys for InMemory {
    fn next(&self, _: &str) -> Result<Arc<dyn KeyWrap>, String> {
        Ok(Self::new_key())
    }

    fn find(&self, id: &str) -> Result<Arc<dyn KeyWrap>, String> {
        let known: [Arc<dyn KeyWrap>; 2] = [Arc::new(bench_master_key()), Self::new_key()];
        known.into_iter().find(|key| key.id() == id).ok_or_else(|| format!("no master key {id}"))
    }

    fn drop_before(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}
