//! Two servers on one PostgreSQL database, as they run behind a balancer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use guerdon_tests::postgres;
use serde_json::json;

use crate::support::{Server, gift_club, guerdon};

fn init(folder: &std::path::Path, url: &str, program: &str) -> String {
    let file = folder.join("program.toml");
    std::fs::write(&file, program).unwrap();
    let (code, out, error) = guerdon(&[
        "init",
        "--database-url",
        url,
        "--data-dir",
        folder.to_str().unwrap(),
        "--program",
        file.to_str().unwrap(),
    ]);
    assert_eq!(code, 0, "{error}");
    out
}

fn order(member: &str) -> String {
    json!({ "member_id": member, "reward_id": "voucher-5" }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_sell_out_together_and_one_goes_on_when_the_other_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let url = postgres::shared().database();
    let out = init(folder.path(), &url, &gift_club(100));
    assert!(!out.contains("postgres://"), "the URL may hold a password: {out}");
    let on_database = ["--database-url", url.as_str()];
    let mut first = Server::start_with(folder.path(), &on_database);
    let second = Server::start_with(folder.path(), &on_database);
    let mut members = Vec::new();
    for number in 0..4 {
        members.push(first.member(&format!("m{number}"), 1_000_000).await);
    }

    // The balancer sends each request to either.
    let tasks: Vec<_> = (0..160)
        .map(|number: usize| {
            let server = if number.is_multiple_of(2) { &first } else { &second };
            let request = server.client.post(format!("{}/v1/orders", server.address));
            let request = request.header("idempotency-key", format!("o{number}")).body(order(&members[number % 4]));
            tokio::spawn(async move {
                let response = request.send().await.unwrap();
                (number, response.status().as_u16(), response.text().await.unwrap())
            })
        })
        .collect();
    let mut sold = Vec::new();
    for task in tasks {
        let (number, status, text) = task.await.unwrap();
        match status {
            201 => sold.push((number, text)),
            _ => assert!(status == 409 && text.contains("out_of_stock"), "{status} {text}"),
        }
    }
    assert_eq!(sold.len(), 100);

    // What one server acknowledged the other knows, also after kill −9.
    first.kill();
    for (number, receipt) in &sold {
        let answer = second.post_text("/v1/orders", &format!("o{number}"), order(&members[number % 4])).await;
        assert_eq!(answer, (200, receipt.clone()));
    }

    // A program that is published from anywhere is in force within two seconds.
    init(folder.path(), &url, &gift_club(100).replace("price = 500", "price = 300"));
    let published = Instant::now();
    loop {
        let (_, rewards) = second.get("/v1/rewards").await;
        if rewards["items"][0]["price"] == 300 {
            break;
        }
        assert!(published.elapsed() < Duration::from_secs(2), "{rewards}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (status, page) = second.text("/console").await;
    assert!(status == 200 && page.contains("Gift Club"), "{status}: {page}");
    let (code, out, _) = guerdon(&["verify", "--database-url", &url]);
    assert!(code == 0 && out.contains("100 orders"), "{out}");
    let keys = folder.path().to_str().unwrap();
    let (code, out, error) = guerdon(&["inspect", "--database-url", &url, "--data-dir", keys, "m0"]);
    assert!(code == 0 && out.contains("\"m0\""), "{out}{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_said_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = postgres::Server::start();
    let url = database.database();
    init(folder.path(), &url, &gift_club(100));
    let server = Server::start_with(folder.path(), &["--database-url", url.as_str()]);
    let member = server.member("ann", 10_000).await;
    assert_eq!(server.text("/readyz").await.0, 200);

    database.kill();
    // The answer of before is remembered for a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(server.text("/readyz").await.0, 503);
    assert_eq!(server.text("/livez").await.0, 200, "the server itself lives");
    let request = server.client.post(format!("{}/v1/orders", server.address)).header("idempotency-key", "away");
    let response = request.body(order(&member)).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 503);
    assert!(response.headers().contains_key("retry-after"));
    assert!(response.text().await.unwrap().contains("same idempotency key"));

    database.run();
    let back = Instant::now();
    while server.post_text("/v1/orders", "away", order(&member)).await.0 != 201 {
        assert!(back.elapsed() < Duration::from_secs(10), "the server does not come back");
    }
    println!("the server answered again {:?} after the database", back.elapsed());
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(server.text("/readyz").await.0, 200);
    assert_eq!(guerdon(&["verify", "--database-url", &url]).0, 0);
}

/// What a customer was promised: the key, the member, the receipt, and when.
type Promise = (String, usize, String, Instant);

#[tokio::test(flavor = "multi_thread")]
async fn a_node_and_then_the_primary_die_under_load_and_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut primary = postgres::Server::start();
    let single = primary.database();
    let standby = primary.synchronous_standby();
    let url = primary.url_with(&standby, &single);
    init(folder.path(), &url, &gift_club(1_000_000));
    let on_database = ["--database-url", url.as_str()];
    let mut first = Server::start_with(folder.path(), &on_database);
    let second = Server::start_with(folder.path(), &on_database);
    let mut members = Vec::new();
    for number in 0..8 {
        members.push(second.member(&format!("m{number}"), 1_000_000_000).await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..16_usize)
        .map(|client| {
            // A client asks one server, and the other when that does not answer, with the same key until it knows.
            let (stop, http, body) = (Arc::clone(&stop), second.client.clone(), order(&members[client % 8]));
            let mut servers = [first.address.clone(), second.address.clone()];
            servers.rotate_left(client % 2);
            tokio::spawn(async move {
                let (mut promises, mut turn): (Vec<Promise>, usize) = (Vec::new(), 0);
                while !stop.load(Ordering::Relaxed) {
                    let key = format!("c{client}-{}", promises.len());
                    loop {
                        let request =
                            http.post(format!("{}/v1/orders", servers[turn % 2])).header("idempotency-key", &key);
                        let answer = request.body(body.clone()).send().await;
                        match answer.map(|answer| (answer.status().as_u16(), answer)) {
                            Ok((200 | 201, answer)) => {
                                let Ok(receipt) = answer.text().await else { continue };
                                promises.push((key, client % 8, receipt, Instant::now()));
                                break;
                            }
                            Ok((503, _)) | Err(_) => turn += 1,
                            Ok((status, answer)) => panic!("{status} {}", answer.text().await.unwrap()),
                        }
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
                promises
            })
        })
        .collect();
    let pause = || tokio::time::sleep(Duration::from_millis(1_500));
    pause().await;
    let node_killed = Instant::now();
    first.kill();
    pause().await;
    let primary_killed = Instant::now();
    primary.kill();
    standby.promote();
    pause().await;
    // All answer again before it ends.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let stopped = Instant::now();
    stop.store(true, Ordering::Relaxed);
    let mut promises: Vec<Promise> = Vec::new();
    for client in clients {
        promises.extend(client.await.unwrap());
    }
    // The longest silence after each blow.
    let mut heard: Vec<Instant> = promises.iter().map(|promise| promise.3).collect();
    heard.sort();
    let silence = |from: Instant, to: Instant| {
        let within = heard.windows(2).filter(|pair| pair[1] > from && pair[0] < to);
        within.map(|pair| pair[1] - pair[0]).max().unwrap()
    };
    let (node, database) = (silence(node_killed, primary_killed), silence(primary_killed, stopped));
    let mut lost = 0;
    for (key, member, receipt, _) in &promises {
        let answer = second.post_text("/v1/orders", key, order(&members[*member])).await;
        lost += usize::from(answer != (200, receipt.clone()));
    }
    println!(
        "{} orders acknowledged; silent for {node:?} after kill -9 of a node, for {database:?} after kill -9 of the \
              primary; {lost} lost",
        promises.len()
    );
    assert_eq!(lost, 0);
    assert!(promises.len() > 200 && database < Duration::from_secs(30));
    // Each order once, for each client asked until it knew.
    let (code, out, _) = guerdon(&["verify", "--database-url", &url]);
    assert!(code == 0 && out.contains(&format!("{} orders", grouped(promises.len()))), "{} {out}", promises.len());
    // The readers follow as well: the console and the log are of the standby.
    assert_eq!(second.text("/console").await.0, 200);
    assert_eq!(second.get("/v1/log/head").await.0, 200);
}

fn grouped(number: usize) -> String {
    let text = number.to_string();
    if text.len() > 3 { format!("{},{}", &text[..text.len() - 3], &text[text.len() - 3..]) } else { text }
}
