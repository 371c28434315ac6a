//! `guerdon bench --fulfilment`: from the quote to the completed order of a code reward, through the whole API but the network,
//! with the worker beside it as in a server: price, points, vault, hand-over.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::Body;
use guerdon_core::program::Bundle;
use guerdon_server::fulfilment::fulfilment_worker;
use guerdon_server::{AppOptions, SharedKeyring, app};
use guerdon_store::{DataDir, SqliteStore};
use hdrhistogram::Histogram;
use http_body_util::BodyExt;
use hyper::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::bench::{BenchArgs, Measured, Prepared, prepare};
use super::bench_http::{KEY, Loopback};

/// Orders, and the codes that are there for them.
const ORDERS: usize = 1_000;
/// Codes of one upload.
const UPLOAD: usize = 500;
/// Members in turn.
pub const MEMBERS: usize = 100;
/// How long one order may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(10);

fn program() -> Result<Bundle> {
    let bundle = json!({
        "program": { "id": "bench", "name": "Bench", "money": "CNY", "time_zone": "Asia/Shanghai" },
        "currencies": [{ "id": 1, "code": "points", "name": "Points", "per_money_unit": 100 }],
        "rewards": [{ "id": "code", "name": "Code", "price": 1, "kind": { "type": "virtual_code" },
            "fulfilment": { "by": "vault" } }],
    });
    Bundle::parse(&bundle.to_string()).map_err(anyhow::Error::msg)
}

/// Measures, one order after the other.
pub fn measure(folder: &Path, args: &BenchArgs) -> Result<Vec<Measured>> {
    let store = SqliteStore::open(DataDir::create(folder)?)?;
    let Prepared { engine, draw, keyring } = prepare(store, &program()?, args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let members = draw.members().to_vec();
    let measured = runtime.block_on(async {
        let loopback = Loopback::new(&engine, SharedKeyring::new(keyring), folder, draw, 1).await?;
        let app = app(loopback.state.clone(), AppOptions::default());
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let worker = tokio::spawn(fulfilment_worker(loopback.state.clone(), stopped));
        for upload in 0..ORDERS / UPLOAD {
            let code = |number: usize| format!("BENCH-{upload}-{number:06}");
            let codes: Vec<String> = (0..UPLOAD).map(code).collect();
            ask(&app, Method::POST, "/v1/rewards/code/codes", "", &json!({ "codes": codes })).await?;
        }
        let (mut answered, mut completed) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
        let started = Instant::now();
        for number in 0..ORDERS {
            let member = members.get(number % members.len().max(1)).context("there are members")?.to_string();
            let (answer, done) = one(&app, &member, &format!("bench {number}")).await?;
            answered.record(u64::try_from(answer.as_micros())?)?;
            completed.record(u64::try_from(done.as_micros())?)?;
        }
        let time = started.elapsed();
        stop.send_replace(true);
        worker.await?;
        anyhow::Ok(vec![
            Measured::new("quote → order answered", ORDERS, time, &answered),
            Measured::new("quote → order → completed, code handed out", ORDERS, time, &completed),
        ])
    })?;
    drop(runtime);
    drop(engine.stop()?);
    Ok(measured)
}

/// One order: how long until it was answered, and until it was completed.
async fn one(app: &Router, member: &str, key: &str) -> Result<(Duration, Duration)> {
    let began = Instant::now();
    let wanted = json!({ "member_id": member, "reward_id": "code" });
    let quote = ask(app, Method::POST, "/v1/quotes", "", &wanted).await?;
    let order = json!({ "quote": quote.get("quote") });
    let receipt = ask(app, Method::POST, "/v1/orders", key, &order).await?;
    let answered = began.elapsed();
    let id = receipt.pointer("/order/id").and_then(Value::as_str).context("a receipt names its order")?;
    let address = format!("/v1/orders/{id}");
    loop {
        let order = ask(app, Method::GET, &address, "", &Value::Null).await?;
        match order.get("state").and_then(Value::as_str) {
            Some("completed") => return Ok((answered, began.elapsed())),
            state if began.elapsed() > PATIENCE => bail!("{id} is {}", state.unwrap_or_default()),
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

async fn ask(app: &Router, method: Method, address: &str, key: &str, body: &Value) -> Result<Value> {
    let mut request = Request::builder().method(method).uri(address).header("authorization", format!("Bearer {KEY}"));
    if !key.is_empty() {
        request = request.header("idempotency-key", key);
    }
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let response = app.clone().oneshot(request.header("content-type", "application/json").body(body)?).await?;
    let status = response.status();
    let answer = response.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        bail!("{address}: {status}: {}", String::from_utf8_lossy(&answer));
    }
    Ok(serde_json::from_slice(&answer)?)
}

/// Prints what was measured.
pub fn print(results: &[Measured], json: bool) {
    if json {
        println!("{}", json!({ "results": results }));
        return;
    }
    println!("{:<46} {:>10} {:>10} {:>10}", format!("{ORDERS} orders, one by one"), "p50 ms", "p99 ms", "p999 ms");
    for Measured { what, p50_ms, p99_ms, p999_ms, .. } in results {
        println!("{what:<46} {p50_ms:>10.2} {p99_ms:>10.2} {p999_ms:>10.2}");
    }
}
