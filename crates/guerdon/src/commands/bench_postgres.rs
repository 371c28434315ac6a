//! The benchmark on PostgreSQL: one node, one transaction for each request beside it, and two nodes on a hot reward.

use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use guerdon_core::program::Bundle;
use guerdon_store::{Engine, PostgresStore, Store};
use hdrhistogram::Histogram;

use crate::open::POSTGRES_WRITERS;

use super::bench::{BenchArgs, Draw, Measured, Prepared, Run, drain, prepare, redeem_all, redemption};

/// Connections of the version with one transaction for each request.
const SINGLE_CONNECTIONS: usize = 16;
/// That version is slower: it is measured on this part of the redemptions.
const SINGLE_PART: usize = 10;

/// Measures on an empty database.
pub fn measure(url: Option<&str>, bundle: &Bundle, args: &BenchArgs) -> Result<Vec<Measured>> {
    let (url, store) = empty(url)?;
    let Prepared { engine, draw, .. } = prepare(store, bundle, args)?;
    drop(engine.stop()?);
    let count = args.redemptions;
    let single = one_by_one(url, &draw, count.div_ceil(SINGLE_PART))?;
    let one = nodes(url, "one node", &draw, 1, count)?;
    let hot = draw.on_one_reward();
    let one_hot = nodes(url, "one node, one hot reward", &hot, 1, count / 2)?;
    let two_hot = nodes(url, "two nodes, one hot reward", &hot, 2, count / 2)?;
    Ok(vec![single, one, one_hot, two_hot])
}

/// An empty database, and its URL.
pub fn empty(url: Option<&str>) -> Result<(&str, PostgresStore)> {
    let url = url.context("--store postgres needs --database-url with an empty database to measure on")?;
    let mut store = PostgresStore::create(url)?;
    if store.revision()? > 0 {
        bail!("the database holds a program already; create an empty one for the benchmark");
    }
    Ok((url, store))
}

/// Two nodes on one database, as servers start them.
pub fn two_nodes(url: &str) -> Result<Vec<Engine<PostgresStore>>> {
    (0..2).map(|_| start(url, POSTGRES_WRITERS)).collect()
}

/// The same work with a transaction for each request, on connections side by side.
fn one_by_one(url: &str, draw: &Draw, redemptions: usize) -> Result<Measured> {
    let each = redemptions.div_ceil(SINGLE_CONNECTIONS);
    let engines: Vec<_> = (0..SINGLE_CONNECTIONS).map(|_| start(url, 1)).collect::<Result<_>>()?;
    let started = Instant::now();
    let workers: Vec<_> = engines
        .into_iter()
        .enumerate()
        .map(|(number, engine)| {
            let mut draw = draw.part(number);
            thread::spawn(move || -> Result<Run> {
                let handle = engine.handle();
                let mut micros = Histogram::<u64>::new(3)?;
                for index in 0..each {
                    let command = redemption(&handle, &mut draw, &format!("single-{number}"), index)?;
                    let asked = Instant::now();
                    for outcome in handle.submit_blocking(vec![command]).blocking_receive() {
                        outcome?;
                    }
                    micros.record(u64::try_from(asked.elapsed().as_micros())?)?;
                }
                drop(handle);
                drop(engine.stop()?);
                Ok(Run { micros, waited_for_log: 0 })
            })
        })
        .collect();
    let what = format!("one transaction a request, {SINGLE_CONNECTIONS} connections");
    together(&what, workers, started, each * SINGLE_CONNECTIONS)
}

/// The batch writer on each of so many nodes at once.
fn nodes(url: &str, what: &str, draw: &Draw, nodes: usize, redemptions: usize) -> Result<Measured> {
    let each = redemptions / nodes;
    let engines: Vec<_> = (0..nodes).map(|_| start(url, POSTGRES_WRITERS)).collect::<Result<_>>()?;
    // What the run before has left is not this one's load.
    engines.iter().try_for_each(|engine| drain(&engine.handle()).map(drop))?;
    let started = Instant::now();
    let workers: Vec<_> = engines
        .into_iter()
        .enumerate()
        .map(|(number, engine)| {
            let (draw, phase) = (draw.part(number), format!("{what}-{number}"));
            thread::spawn(move || redeem_all(&phase, engine, POSTGRES_WRITERS, draw, each))
        })
        .collect();
    together(&format!("PostgreSQL, {what}"), workers, started, each * nodes)
}

fn start(url: &str, writers: usize) -> Result<Engine<PostgresStore>> {
    let stores: Vec<_> = (0..writers).map(|_| PostgresStore::open(url)).collect::<Result<_, _>>()?;
    Ok(Engine::start_all(stores)?)
}

fn together(
    what: &str,
    workers: Vec<thread::JoinHandle<Result<Run>>>,
    started: Instant,
    redemptions: usize,
) -> Result<Measured> {
    let (mut micros, mut waited) = (Histogram::<u64>::new(3)?, 0);
    for worker in workers {
        let run = worker.join().map_err(|_| anyhow!("a worker of the benchmark panicked"))??;
        micros.add(run.micros)?;
        waited = waited.max(run.waited_for_log);
    }
    Ok(Measured::new(what, redemptions, started.elapsed(), &micros).beside_log(waited))
}
