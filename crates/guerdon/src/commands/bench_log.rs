//! The benchmark of the transparency log: how long an inclusion proof takes in a long log.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use guerdon_core::id::{IdGenerator, MemberId, TransactionId};
use guerdon_core::proofs::{Hash, edge_tiles, open_head, verify_inclusion};
use guerdon_store::read::Reader;
use guerdon_store::{DataDir, LogBatch, LogGrowth, LogHead, SqliteStore, Store};
use hdrhistogram::Histogram;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::bench::bench_key;
use crate::open::system_now;
use crate::progress::{bar, grouped};

/// Leaves of a batch, and batches of a growth.
const BATCH: u64 = 1_024;
const BATCHES: u64 = 64;
/// Proofs that are measured.
const PROOFS: usize = 10_000;

/// Fills a log on the embedded store with leaves of random content, then proves random ones.
pub fn measure(folder: &Path, leaves: u64, json: bool) -> Result<()> {
    if leaves < BATCH {
        bail!("--log must be {BATCH} leaves or more");
    }
    let mut store = SqliteStore::open(DataDir::create(folder)?)?;
    let (started, mut ids) = (Instant::now(), IdGenerator::new(0));
    let mut random = StdRng::seed_from_u64(42);
    let progress = bar("filling the log", leaves);
    let (mut size, mut known) = (0, Vec::new());
    while size < leaves {
        let count = (BATCH * BATCHES).min(leaves - size);
        let batches = grow(&mut store, &mut ids, &mut random, size, count)?;
        known.extend(batches.iter().map(|batch| (batch.first_leaf, batch.transactions.clone())));
        size += count;
        progress.set_position(size);
    }
    progress.finish_and_clear();
    let filled = started.elapsed().as_secs_f64();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let micros = runtime.block_on(prove(folder, &known, size, &mut random))?;
    #[expect(clippy::float_arithmetic, reason = "rates and times for people, not points")]
    let (rate, at) = (size as f64 / filled, |quantile| micros.value_at_quantile(quantile) as f64 / 1_000.0);
    let (p50, p99, most) = (at(0.5), at(0.99), at(1.0));
    if json {
        println!(
            "{}",
            serde_json::json!({ "leaves": size, "appended_per_second": rate, "p50_ms": p50, "p99_ms": p99, "max_ms": most })
        );
        return Ok(());
    }
    println!("{} leaves appended, {rate:.0}/s", grouped(i64::try_from(size)?));
    println!("inclusion proof of a transaction: p50 {p50:.2} ms, p99 {p99:.2} ms, longest {most:.2} ms");
    Ok(())
}

fn grow(
    store: &mut SqliteStore,
    ids: &mut IdGenerator,
    random: &mut StdRng,
    from: u64,
    count: u64,
) -> Result<Vec<LogBatch>> {
    let hashes: Vec<Hash> = (0..count).map(|_| random.random()).collect();
    let mut tiles = store.log_tiles(&edge_tiles(from))?;
    let changed = tiles.append(from, &hashes).map_err(anyhow::Error::msg)?;
    let root = tiles.root(from + count).map_err(anyhow::Error::msg)?;
    let batches: Vec<LogBatch> = (from..from + count)
        .step_by(BATCH as usize)
        .map(|first_leaf| {
            let leaves = BATCH.min(from + count - first_leaf);
            let transactions: Vec<_> = (0..leaves).map(|_| TransactionId(ids.next(system_now()))).collect();
            let members = transactions.iter().map(|id| MemberId(id.0)).collect();
            LogBatch { id: transactions.first().map_or(0, |id| id.0), first_leaf, transactions, members }
        })
        .collect();
    let checkpoint = bench_key().sign_head(from + count, &root, system_now());
    let tiles = changed.into_iter().map(|id| (id, tiles.bytes(id))).collect();
    let growth = LogGrowth { from, head: LogHead { size: from + count, checkpoint }, tiles, batches };
    store.append_log(&growth)?;
    Ok(growth.batches)
}

/// Finds and proves random transactions, and checks each proof.
async fn prove(
    folder: &Path,
    known: &[(u64, Vec<TransactionId>)],
    size: u64,
    random: &mut StdRng,
) -> Result<Histogram<u64>> {
    let reader = Reader::open(folder).await?;
    let head = open_head(&[bench_key().public()], &reader.log_head().await?.checkpoint)?;
    let mut micros = Histogram::<u64>::new(3)?;
    for _ in 0..PROOFS {
        let Some((first, batch)) = known.get(random.random_range(0..known.len())) else { continue };
        let place = random.random_range(0..batch.len());
        let Some(id) = batch.get(place) else { continue };
        let asked = Instant::now();
        let Some(leaf) = reader.log_position(*id).await? else { bail!("{id} is not in the log") };
        let Some(path) = reader.inclusion(leaf, size).await? else { bail!("leaf {leaf} is not in the log") };
        micros.record(u64::try_from(asked.elapsed().as_micros())?)?;
        if leaf != first + place as u64 {
            bail!("{id} was found at leaf {leaf}");
        }
        let [row] = reader.log_leaves(leaf..leaf + 1).await?.try_into().map_err(|_| anyhow::anyhow!("no such leaf"))?;
        verify_inclusion(&row.hash, leaf, size, &path, &head.root)?;
    }
    Ok(micros)
}
