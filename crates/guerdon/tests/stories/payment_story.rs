//! Money for rewards and groups of friends: what is declined, lost, late or handed over by hand, on SQLite and on PostgreSQL.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use guerdon_tests::postgres;
use serde_json::{Value, json};

use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, guerdon};

const PROGRAM: &str = include_str!("../../../../programs/examples/payments.toml");
const DAY_MS: i64 = 86_400_000;

/// Where a story's data lie.
struct Place {
    folder: tempfile::TempDir,
    url: Option<String>,
}

impl Place {
    fn on(url: Option<String>) -> Self {
        Self::with(url, "")
    }

    /// With more rewards.
    fn with(url: Option<String>, rewards: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), url };
        let file = place.folder.path().join("program.toml");
        std::fs::write(&file, format!("{PROGRAM}{rewards}")).unwrap();
        let (data, url) = (place.data(), place.url.clone().unwrap_or_default());
        let mut arguments = vec!["init", "--data-dir", data.to_str().unwrap(), "--program", file.to_str().unwrap()];
        if !url.is_empty() {
            arguments.extend(["--database-url", &url]);
        }
        let (code, _, error) = guerdon(&arguments);
        assert_eq!(code, 0, "{error}");
        place
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn start(&self, more: &[&str]) -> Server {
        let mut flags = vec!["--test-tender"];
        flags.extend(self.url.iter().flat_map(|url| ["--database-url", url]));
        flags.extend(more);
        Server::start_with(&self.data(), &flags)
    }

    /// Puts the program's clock ahead, for the servers that are started from now on.
    fn ahead(&self, millis: i64) {
        let sql = format!(
            "INSERT INTO meta (key, value) VALUES ('clock_offset_ms', '{millis}') \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        );
        match &self.url {
            Some(url) => assert!(postgres::shared().sql(url, &sql).contains('1')),
            None => {
                let file = self.data().join("guerdon.db");
                assert_eq!(rusqlite::Connection::open(file).unwrap().execute(&sql, []).unwrap(), 1);
            }
        }
    }

    /// What the tender of the test knows of an order.
    fn tender(&self, order: &str) -> Value {
        let sql = format!("SELECT body FROM record WHERE kind = 'test_tender' AND id = '{order}'");
        let body = match &self.url {
            Some(url) => postgres::shared().sql(url, &sql),
            None => {
                let file = self.data().join("guerdon.db");
                let found =
                    rusqlite::Connection::open(file).unwrap().query_row(&sql, [], |row| row.get::<_, String>(0));
                found.unwrap_or_default()
            }
        };
        serde_json::from_str::<Value>(&body).map_or(Value::Null, |known| known["stage"].clone())
    }

    fn verify(&self) {
        let (data, url) = (self.data(), self.url.clone().unwrap_or_default());
        let mut arguments = vec!["verify"];
        match url.is_empty() {
            true => arguments.extend(["--data-dir", data.to_str().unwrap()]),
            false => arguments.extend(["--database-url", &url]),
        }
        let (code, out, error) = guerdon(&arguments);
        assert_eq!(code, 0, "{out}{error}");
    }
}

/// An order of a teapot at `cash` minor units of money.
fn teapot(member: &str, tender: &str, cash: i64) -> Value {
    json!({ "member_id": member, "reward_id": "teapot", "cash": cash, "tender": tender })
}

fn id(receipt: &Value) -> String {
    receipt["order"]["id"].as_str().unwrap_or_else(|| panic!("no order: {receipt}")).to_owned()
}

async fn available(server: &Server, member: &str) -> i64 {
    server.get(&format!("/v1/members/{member}")).await.1["available"].as_i64().unwrap()
}

/// The order once its payment and its own state are as they should be.
async fn comes_to(server: &Server, order: &str, payment: &str, state: &str) -> Value {
    let begun = Instant::now();
    loop {
        let (_, found) = server.get(&format!("/v1/orders/{order}")).await;
        if (found["payment"]["state"].as_str(), found["state"].as_str()) == (Some(payment), Some(state)) {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "{payment} {state}: {found}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn go(server: &Server, order: &str, step: &str) -> (u16, Value) {
    server.post(&format!("/v1/orders/{order}/moves"), &format!("{step} {order}"), json!({ "move": step })).await
}

async fn money_is_seen_to(place: &Place) {
    let mut server = place.start(&[]);
    let ann = server.member("ann", 100_000).await;

    // All goes well: set aside with the order, taken once it is sent, given back with a refund.
    let (status, receipt) = server.post("/v1/orders", "well", teapot(&ann, "test", 2_000)).await;
    assert_eq!((status, &receipt["order"]["points"]), (201, &json!(4_000)), "{receipt}");
    assert_eq!(receipt["order"]["payment"], json!({ "tender": "test", "amount": 2_000, "state": "due" }));
    let well = id(&receipt);
    let order = comes_to(&server, &well, "authorised", "placed").await;
    assert_eq!(order["payment"]["reference"], format!("test-{well}"));
    assert_eq!(go(&server, &well, "ship").await.0, 201);
    comes_to(&server, &well, "paid", "shipped").await;
    let reason = json!({ "reason": "broken" });
    assert_eq!(server.post(&format!("/v1/orders/{well}/refund"), "refund", reason).await.0, 201);
    comes_to(&server, &well, "returned", "refunded").await;
    assert_eq!(place.tender(&well), "refunded");

    // Declined: the points are back at once, and a repeated request is told the same.
    for _ in 0..2 {
        let (status, problem) = server.post("/v1/orders", "declined", teapot(&ann, "test", 2_001)).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("payment_declined")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("its points are given back"), "{problem}");
    }
    assert_eq!(available(&server, &ann).await, 100_000);

    // The question is lost, or the answer: asked again it is set aside once.
    for (key, cash) in [("question", 2_002), ("answer", 2_003)] {
        let (status, receipt) = server.post("/v1/orders", key, teapot(&ann, "test", cash)).await;
        assert_eq!(status, 201, "{receipt}");
        comes_to(&server, &id(&receipt), "authorised", "placed").await;
    }
    // Confirmed late, and declined late.
    let (_, late) = server.post("/v1/orders", "late", teapot(&ann, "test", 2_004)).await;
    let (_, order) = server.get(&format!("/v1/orders/{}", id(&late))).await;
    assert_eq!(order["payment"]["state"], "due");
    let (status, problem) = go(&server, &id(&late), "ship").await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("payment_due")), "{problem}");
    comes_to(&server, &id(&late), "authorised", "placed").await;
    let (_, never) = server.post("/v1/orders", "never", teapot(&ann, "test", 2_006)).await;
    let order = comes_to(&server, &id(&never), "declined", "cancelled").await;
    assert_eq!(order["payment"]["steps"][0]["reason"], "declined");
    // Called off: what was set aside is let go.
    assert_eq!(go(&server, &id(&late), "cancel").await.0, 201);
    comes_to(&server, &id(&late), "void", "cancelled").await;
    assert_eq!(place.tender(&id(&late)), "voided");
    // It cannot be taken once it was sent: it is due again, until somebody has taken it by hand.
    let (_, receipt) = server.post("/v1/orders", "capture", teapot(&ann, "test", 2_005)).await;
    let failed = id(&receipt);
    comes_to(&server, &failed, "authorised", "placed").await;
    assert_eq!(go(&server, &failed, "ship").await.0, 201);
    comes_to(&server, &failed, "due", "shipped").await;
    assert_eq!(go(&server, &failed, "complete").await.1["code"], "payment_due");
    let collect = format!("/v1/orders/{failed}/payment/collect");
    assert_eq!(server.post(&collect, "by-hand", json!({ "reference": "R-1" })).await.0, 201);
    server.post(&format!("/v1/orders/{failed}/moves"), "done", json!({ "move": "complete" })).await;
    comes_to(&server, &failed, "paid", "completed").await;

    // The server dies between the tender's answer and its note of it; another goes on, and nothing is set aside twice.
    let (status, receipt) = server.post("/v1/orders", "crash", teapot(&ann, "test", 2_003)).await;
    assert_eq!(status, 201, "{receipt}");
    server.kill();
    assert_eq!(place.tender(&id(&receipt)), "authorised");
    // One that never answers is given up when its time is over.
    let server = place.start(&[]);
    comes_to(&server, &id(&receipt), "authorised", "placed").await;
    let (_, silent) = server.post("/v1/orders", "silent", teapot(&ann, "test", 2_007)).await;
    assert_eq!(server.get(&format!("/v1/orders/{}", id(&silent))).await.1["payment"]["state"], "due");
    let before = available(&server, &ann).await;
    drop(server);
    place.ahead(16 * 60_000);
    let server = place.start(&[]);
    let order = comes_to(&server, &id(&silent), "void", "cancelled").await;
    let last = order["history"].as_array().unwrap().last().unwrap();
    assert_eq!(last["reason"], "payment_not_confirmed");
    assert_eq!(place.tender(&id(&silent)), "voided", "what comes late is not taken");
    assert_eq!(available(&server, &ann).await, before + 6_000 - 2_007);
    cash_on_delivery(&server, &ann).await;
    refused(&server, &ann).await;
    drop(server);
    place.verify();
}

async fn cash_on_delivery(server: &Server, ann: &str) {
    let wanted = json!({ "member_id": ann, "reward_id": "teapot", "points": 3_000 });
    let (status, quote) = server.post("/v1/quotes", "", wanted).await;
    assert_eq!(status, 200, "{quote}");
    assert_eq!(quote["cash"], json!({ "amount": 3_000, "money": "CNY", "points": 3_000 }));
    assert_eq!(quote["steps"][1], json!({ "step": "cash", "before": 6_000, "after": 3_000, "amount": 3_000 }));
    assert_eq!(quote["cash_range"]["least"]["amount"], 600);
    // The quote says how much, the order says how.
    let order = json!({ "quote": quote["quote"] });
    let (status, problem) = server.post("/v1/orders", "cod", order).await;
    assert_eq!((status, problem["code"].as_str()), (422, Some("invalid_request")), "{problem}");
    let order = json!({ "quote": quote["quote"], "tender": "cash_on_delivery" });
    let (status, receipt) = server.post("/v1/orders", "cod", order.clone()).await;
    assert_eq!((status, &receipt["order"]["points"]), (201, &json!(3_000)), "{receipt}");
    let (status, again) = server.post("/v1/orders", "cod", order).await;
    assert_eq!((status, &again), (200, &receipt));
    let cod = id(&receipt);
    assert_eq!(go(server, &cod, "ship").await.0, 201);
    let (status, problem) = go(server, &cod, "complete").await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("payment_due")), "{problem}");
    let (status, told) =
        server.post(&format!("/v1/orders/{cod}/payment/collect"), "c", json!({ "reference": "R-7" })).await;
    assert_eq!((status, &told["order"]["payment"]["state"]), (201, &json!("paid")), "{told}");
    assert_eq!(server.post(&format!("/v1/orders/{cod}/moves"), "fin", json!({ "move": "complete" })).await.0, 201);
    let order = comes_to(server, &cod, "paid", "completed").await;
    assert_eq!(order["payment"]["reference"], "R-7");
}

/// What is not offered, and what would help.
async fn refused(server: &Server, ann: &str) {
    let with = |more: Value| {
        let mut body = json!({ "member_id": ann, "reward_id": "teapot" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (body, status, code) in [
        (with(json!({ "cash": 599, "tender": "test" })), 409, "split_not_offered"),
        (with(json!({ "points": 2_999, "tender": "test" })), 409, "split_not_offered"),
        (with(json!({ "points": 3_000, "cash": 3_000, "tender": "test" })), 400, "invalid_request"),
        (with(json!({ "points": 3_000 })), 400, "invalid_request"),
        (with(json!({ "points": 3_000, "tender": "shells" })), 422, "invalid_request"),
        (with(json!({ "tender": "test" })), 422, "invalid_request"),
        (with(json!({ "points": 3_000, "tender": "test", "capture": true })), 409, "payment_due"),
    ] {
        let (found, problem) = server.post("/v1/orders", "unfit", body.clone()).await;
        assert_eq!((found, problem["code"].as_str()), (status, Some(code)), "{body} {problem}");
    }
    let bob = server.member("bob", 4_000).await;
    let (status, problem) =
        server.post("/v1/orders", "bob-1", json!({ "member_id": bob, "reward_id": "teapot" })).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("insufficient_points")), "{problem}");
    let proposals = &problem["proposals"];
    assert_eq!(proposals["missing_points"], 2_000);
    assert_eq!(proposals["split"], json!({ "points": 4_000, "cash": 2_000, "money": "CNY" }));
    let names = |proposals: &Value| -> Vec<String> {
        let rewards = proposals["rewards"].as_array().cloned().unwrap_or_default();
        rewards.iter().map(|one| one["reward_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(proposals), ["green-tea", "jasmine-tea", "movie"], "the same category, then the nearest in price");
    assert!(proposals.get("reachable_on").is_none(), "bob has earned nothing yet: {proposals}");
    let purchase = json!({ "member_id": bob, "activity": { "kind": "purchase", "amount": 90_000 } });
    let (status, receipt) = server.post("/v1/activities", "tea", purchase).await;
    assert_eq!(status, 201, "{receipt}");
    let (_, problem) = server.post("/v1/orders", "bob-2", json!({ "member_id": bob, "reward_id": "teapot" })).await;
    // 900 points in 90 days, and 1,100 missing: 110 days.
    let day = problem["proposals"]["reachable_on"].as_str().unwrap();
    assert_eq!((problem["proposals"]["missing_points"].as_i64(), day.len()), (Some(1_100), 10), "{problem}");
    // What is not there has nothing to be split.
    let rest = server.get("/v1/rewards/teapot").await.1["left"].as_i64().unwrap();
    let carl = server.member("carl", 1_000_000).await;
    let all = json!({ "member_id": carl, "reward_id": "teapot", "quantity": rest });
    assert_eq!(server.post("/v1/orders", "carl-1", all).await.0, 201);
    let (_, problem) = server.post("/v1/orders", "carl-2", json!({ "member_id": carl, "reward_id": "teapot" })).await;
    assert_eq!(problem["code"], "out_of_stock");
    assert!(problem["proposals"].get("split").is_none(), "{problem}");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(names(&problem["proposals"]), ["kettle", "green-tea", "jasmine-tea"], "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_seen_to_on_sqlite() {
    money_is_seen_to(&Place::on(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_seen_to_on_postgres() {
    money_is_seen_to(&Place::on(Some(postgres::shared().database()))).await;
}

async fn members(server: &Server, names: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for name in names {
        all.push(server.member(name, 10_000).await);
    }
    all
}

async fn group_at(server: &Server, code: &str, state: &str) -> Value {
    let begun = Instant::now();
    loop {
        let (_, group) = server.get(&format!("/v1/groups/{code}")).await;
        if group["state"] == state {
            return group;
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "{state}: {group}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn friends_order_together(place: &Place, second: bool) {
    let first = place.start(&[]);
    let other = second.then(|| place.start(&[]));
    let other = other.as_ref().unwrap_or(&first);
    let all = members(&first, &["a", "b", "c", "d", "e", "f"]).await;
    let open = json!({ "member_id": all[0], "reward_id": "teapot" });
    let (status, group) = first.post("/v1/groups", "open", open.clone()).await;
    assert_eq!(status, 201, "{group}");
    let code = group["code"].as_str().unwrap().to_owned();
    assert_eq!((&group["joined"], &group["members"], &group["percent"]), (&json!(1), &json!(3), &json!("80")));
    let (_, again) = other.post("/v1/groups", "open", open).await;
    let opened = |group: &Value| [group["code"].clone(), group["order_id"].clone(), group["joined"].clone()];
    assert_eq!(opened(&again), opened(&group), "the same key opens one group");
    assert_eq!(available(&first, &all[0]).await, 10_000 - 4_800);
    let opener = group["order_id"].as_str().unwrap();
    for step in ["ship", "cancel"] {
        assert_eq!(go(&first, opener, step).await.1["code"], "group_open", "{step}");
    }
    // Leaving and coming back.
    let body = |member: &str| json!({ "member_id": member });
    let join = format!("/v1/groups/{code}/join");
    let leave = format!("/v1/groups/{code}/leave");
    assert_eq!(first.post(&join, "", body(&all[1])).await.1["joined"], 2);
    assert_eq!(other.post(&leave, "", body(&all[1])).await.1["joined"], 1);
    assert_eq!(available(&first, &all[1]).await, 10_000);
    // Five want the two places that are left, each twice, through both servers.
    let tries: Vec<_> = (0..10)
        .map(|number: usize| {
            let server = if number.is_multiple_of(2) { &first } else { other };
            let request = server.client.post(format!("{}{join}", server.address));
            let request = request.body(body(&all[1 + number / 2]).to_string());
            tokio::spawn(async move {
                let response = request.send().await.unwrap();
                (number, response.status().as_u16(), response.text().await.unwrap())
            })
        })
        .collect();
    for one in tries {
        let (number, status, text) = one.await.unwrap();
        assert!(status == 200 || text.contains("group_over") || text.contains("conflict"), "{number} {status} {text}");
    }
    let full = group_at(&first, &code, "full").await;
    assert_eq!((&full["joined"], full.get("order_id")), (&json!(3), None), "who is in it is not told: {full}");
    let mut paid = 0;
    for member in &all {
        let left = available(&first, member).await;
        assert!(left == 10_000 || left == 5_200, "nobody pays twice: {left}");
        paid += i64::from(left == 5_200);
    }
    assert_eq!(paid, 3);
    // The orders go on.
    let begun = Instant::now();
    while go(&first, opener, "fulfil").await.0 != 201 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the order does not go on");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (status, problem) = first.post(&leave, "", body(&all[0])).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("group_over")), "{problem}");
    assert_eq!(first.get("/v1/groups/nothing").await.0, 404);
    let poor = first.member("poor", 4_799).await;
    let (status, problem) = first.post("/v1/groups", "poor", json!({ "member_id": poor, "reward_id": "teapot" })).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("insufficient_points")), "{problem}");
    let tea = json!({ "member_id": all[0], "reward_id": "green-tea" });
    assert_eq!(first.post("/v1/groups", "tea", tea).await.1["code"], "reward_not_offered");
    not_full(place, first, &all).await;
}

/// A group that does not come together in a day gives everything back.
async fn not_full(place: &Place, server: Server, all: &[String]) {
    let gina = server.member("gina", 10_000).await;
    let (status, group) = server.post("/v1/groups", "g", json!({ "member_id": gina, "reward_id": "teapot" })).await;
    assert_eq!(status, 201, "{group}");
    let code = group["code"].as_str().unwrap().to_owned();
    let order = group["order_id"].as_str().unwrap().to_owned();
    // A friend whose order is rejected has not joined, and may order anew.
    let hal = server.member("hal", 10_000).await;
    let (join, with_hal) = (format!("/v1/groups/{code}/join"), json!({ "member_id": hal }));
    let (_, joined) = server.post(&join, "", with_hal.clone()).await;
    assert_eq!(joined["joined"], 2, "{joined}");
    let rejected = joined["order_id"].as_str().unwrap().to_owned();
    let no = json!({ "step": "reject", "reason": "for the test" });
    let (status, answer) = server.post(&format!("/v1/orders/{rejected}/review"), "no", no).await;
    assert_eq!(status, 201, "{answer}");
    let begun = Instant::now();
    while server.get(&format!("/v1/groups/{code}")).await.1["joined"] != 1 {
        assert!(begun.elapsed() < Duration::from_secs(40), "the place is not free");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (_, joined) = server.post(&join, "", with_hal).await;
    assert_eq!(joined["joined"], 2, "{joined}");
    assert_ne!(joined["order_id"], json!(rejected));
    drop(server);
    place.ahead(DAY_MS + 1_000);
    let server = place.start(&[]);
    let late = json!({ "member_id": all[0] });
    let (status, problem) = server.post(&format!("/v1/groups/{code}/join"), "", late).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("group_over")), "{problem}");
    group_at(&server, &code, "not_full").await;
    let begun = Instant::now();
    while available(&server, &gina).await != 10_000 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the points do not come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (_, order) = server.get(&format!("/v1/orders/{order}")).await;
    assert_eq!((&order["state"], &order["history"][1]["reason"]), (&json!("cancelled"), &json!("group_not_full")));
    // The node that tells events may have died with its lease.
    let begun = Instant::now();
    loop {
        let (_, events) = server.get("/v1/events?limit=200").await;
        let ended = events.as_array().unwrap().iter().filter(|event| event["type"] == "guerdon.group_ended");
        let full: Vec<bool> = ended.map(|event| event["data"]["full"].as_bool().unwrap()).collect();
        if full.iter().filter(|full| **full).count() == 3 && full.contains(&false) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "{full:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    drop(server);
    place.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_order_together_on_sqlite() {
    friends_order_together(&Place::on(None), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_order_together_on_two_nodes() {
    friends_order_together(&Place::on(Some(postgres::shared().database())), true).await;
}

/// Who pays in part with money has joined once it is there; what is refused or does not come together is let go.
async fn friends_pay_in_part_with_money(place: &Place) {
    let server = place.start(&[]);
    let all = members(&server, &["ann", "bob", "cid", "dan", "eve"]).await;
    let paying = |member: &str, tender: &str, cash: i64| json!({ "member_id": member, "tender": tender, "cash": cash });
    let open = async |key: &str, member: &str, cash: i64| {
        let mut body = paying(member, "test", cash);
        body["reward_id"] = json!("teapot");
        server.post("/v1/groups", key, body).await
    };
    // 4,800 points for each, of which 480 to 2,400 may be paid with money.
    for (key, cash, code) in [("k-1", 2_401, "split_not_offered"), ("k-2", 2_001, "payment_declined")] {
        let (status, problem) = open(key, &all[0], cash).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some(code)), "{problem}");
    }
    assert_eq!(available(&server, &all[0]).await, 10_000);
    let (status, group) = open("k-4", &all[0], 2_000).await;
    assert_eq!((status, &group["joined"]), (201, &json!(1)), "{group}");
    assert_eq!(available(&server, &all[0]).await, 10_000 - 2_800);
    let code = group["code"].as_str().unwrap();
    let join = async |body: Value| server.post(&format!("/v1/groups/{code}/join"), "", body).await;
    assert_eq!(join(json!({ "member_id": all[1], "cash": 500 })).await.0, 400, "by which tender");
    let (status, problem) = join(paying(&all[1], "test", 2_001)).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("payment_declined")), "{problem}");
    assert_eq!(available(&server, &all[1]).await, 10_000);
    // Bob's is confirmed two seconds later, and so long he has not joined.
    let (status, joined) = join(paying(&all[1], "test", 2_004)).await;
    assert_eq!((status, &joined["joined"]), (200, &json!(1)), "{joined}");
    let bobs = joined["order_id"].as_str().unwrap();
    let (status, joined) = join(paying(&all[2], "cash_on_delivery", 1_000)).await;
    assert_eq!(status, 200, "{joined}");
    group_at(&server, code, "full").await;
    comes_to(&server, bobs, "authorised", "placed").await;
    let begun = Instant::now();
    while go(&server, bobs, "ship").await.0 != 201 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the order does not go on");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    comes_to(&server, bobs, "paid", "shipped").await;

    // Dan's is refused two seconds later: his place is free.
    let (status, other) = open("k-3", &all[3], 2_006).await;
    assert_eq!((status, &other["joined"]), (201, &json!(0)), "{other}");
    comes_to(&server, other["order_id"].as_str().unwrap(), "declined", "cancelled").await;
    let others = other["code"].as_str().unwrap();
    assert_eq!(available(&server, &all[3]).await, 10_000);
    let begun = Instant::now();
    let join = format!("/v1/groups/{others}/join");
    loop {
        // In points alone this time.
        let (status, joined) = server.post(&join, "", json!({ "member_id": all[3] })).await;
        if joined["joined"] == 1 {
            break;
        }
        assert!(status == 200 && begun.elapsed() < Duration::from_secs(40), "{joined}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (_, joined) = server.post(&join, "", paying(&all[4], "test", 2_000)).await;
    let eves = joined["order_id"].as_str().unwrap().to_owned();
    assert_eq!(joined["joined"], 2, "{joined}");
    drop(server);
    place.ahead(DAY_MS + 1_000);
    let server = place.start(&[]);
    group_at(&server, others, "not_full").await;
    comes_to(&server, &eves, "void", "cancelled").await;
    assert_eq!(available(&server, &all[4]).await, 10_000);
    drop(server);
    place.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_pay_in_part_with_money_on_sqlite() {
    friends_pay_in_part_with_money(&Place::on(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_pay_in_part_with_money_on_postgres() {
    friends_pay_in_part_with_money(&Place::on(Some(postgres::shared().database()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_tender_needs_a_server_that_takes_it() {
    let place = Place::on(None);
    let server = Server::start_with(&place.data(), &[]);
    let ann = server.member("ann", 10_000).await;
    let (status, problem) = server.post("/v1/orders", "k", teapot(&ann, "test", 2_000)).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("tender_not_offered")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("--test-tender"), "{problem}");
    assert_eq!(server.post("/v1/orders", "k", teapot(&ann, "cash_on_delivery", 2_000)).await.0, 201);
}

/// Signs a member in who was enrolled with a phone number.
async fn signed_in(server: &Server, gateway: &Gateway, name: &str, phone: &str, points: i64) -> (Person, String) {
    let (status, receipt) = server.post("/v1/members", name, json!({ "name": name, "phone": phone })).await;
    assert_eq!(status, 201, "{receipt}");
    let member = receipt["member_id"].as_str().unwrap().to_owned();
    let opening = json!({ "points": points, "reason": "opening balance" });
    assert_eq!(server.post(&format!("/v1/members/{member}/adjustments"), "opening", opening).await.0, 201);
    let (mut person, seen) = (Person::new(server), gateway.count());
    let (status, page) = person.post("/portal/sign-in", &[("to", phone)]).await;
    assert_eq!(status, 303, "{page}");
    let code = gateway.code(seen, phone).await;
    assert_eq!(person.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
    (person, member)
}

/// What stands in a field of a page.
fn field<'a>(page: &'a str, before: &str) -> &'a str {
    page.split(before).nth(1).unwrap_or_else(|| panic!("no {before}: {page}")).split('"').next().unwrap()
}

/// The quote of a choice on the page of a reward.
fn choice(page: &str, place: usize) -> String {
    page.split("name=\"quote\" value=\"").nth(1 + place).unwrap().split('"').next().unwrap().to_owned()
}

async fn shots(folder: &Path, server: &Server, person: &Person, pages: &[(&str, &str)]) {
    let (driver, client) = crate::support::browser::browser(&folder.join("profile")).await;
    crate::support::browser::enter(&client, server, person).await;
    for (name, path) in pages {
        for language in ["en", "zh-CN"] {
            for width in [360, 1440] {
                client.goto(&format!("{}{path}?lang={language}", server.address)).await.unwrap();
                crate::support::browser::size(&client, width, 800).await;
                assert_eq!(crate::support::browser::sideways(&client).await, 0, "{name} {language} {width}");
                crate::support::browser::whole_page(&client, width, &format!("{name}-{language}-{width}")).await;
            }
        }
    }
    client.close().await.unwrap();
    drop(driver);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_pays_in_part_with_money_and_orders_with_friends() {
    let place = Place::on(None);
    let gateway = Gateway::start();
    let server = place.start(&gateway.flags());
    let (mut ann, member) = signed_in(&server, &gateway, "Ann", "13800138000", 5_500).await;
    let (_, page) = ann.get("/portal/rewards/teapot").await;
    assert!(page.contains("You are 500 points short.") && page.contains("5,400 points and"), "{page}");
    assert!(page.contains("Cash on delivery") && page.contains("Open a group for 4,800 points"), "{page}");
    assert!(page.contains("Green tea"), "something similar is proposed: {page}");
    let key = field(&page, "name=\"key\" value=\"").to_owned();
    let form = [("key", key.as_str()), ("quote", &choice(&page, 0)), ("tender", "cash_on_delivery")];
    let (status, answer) = ann.post("/portal/rewards/teapot", &form).await;
    assert_eq!(status, 303, "{answer}");
    assert_eq!(available(&server, &member).await, 100);
    let (_, page) = ann.get("/portal/rewards/teapot").await;
    assert!(!page.contains("How would you like to pay?"), "no split is enough for 100 points: {page}");
    let (_, orders) = server.get("/v1/orders?state=placed").await;
    let order = orders["items"][0]["id"].as_str().unwrap().to_owned();
    let (_, page) = ann.get(&format!("/portal/orders/{order}")).await;
    assert!(page.contains("Cash on delivery") && page.contains("ready when it is handed over"), "{page}");
    shots(
        place.folder.path(),
        &server,
        &ann,
        &[("payment-reward", "/portal/rewards/teapot"), ("payment-receipt", &format!("/portal/orders/{order}"))],
    )
    .await;
    assert_eq!(ann.post(&format!("/portal/orders/{order}/cancel"), &[]).await.0, 303);
    assert_eq!(available(&server, &member).await, 5_500);

    // Declined: the page says so, and the points are there.
    let (_, page) = ann.get("/portal/rewards/teapot").await;
    let key = field(&page, "name=\"key\" value=\"").to_owned();
    let (_, quote) =
        server.post("/v1/quotes", "", json!({ "member_id": member, "reward_id": "teapot", "cash": 2_001 })).await;
    let form = [("key", key.as_str()), ("quote", quote["quote"].as_str().unwrap()), ("tender", "test")];
    let (status, page) = ann.post("/portal/rewards/teapot", &form).await;
    assert!(status == 422 && page.contains("your points are back"), "{status} {page}");
    assert_eq!(available(&server, &member).await, 5_500);

    // A group: opened, seen by a friend through its link, joined, full.
    let (status, _) = ann.post("/portal/rewards/teapot/group", &[("key", "g-1")]).await;
    assert_eq!(status, 303);
    let (_, orders) = server.get("/v1/orders?state=placed").await;
    let code = orders["items"][0]["group"]["code"].as_str().unwrap().to_owned();
    let (_, page) = ann.get(&format!("/portal/groups/{code}")).await;
    assert!(page.contains("1 of 3 have joined") && page.contains("Send this link to friends"), "{page}");
    let order = orders["items"][0]["id"].as_str().unwrap();
    let (_, page) = ann.get(&format!("/portal/orders/{order}")).await;
    assert!(page.contains("Your group is not full yet") && !page.contains("Cancel this order"), "{page}");
    let (mut bob, _) = signed_in(&server, &gateway, "Bob", "13900139000", 4_800).await;
    let (_, page) = bob.get(&format!("/portal/groups/{code}")).await;
    assert!(
        page.contains("Join as chosen") && page.contains("4,800 points, no money") && !page.contains("Ann"),
        "nobody is named: {page}"
    );
    shots(&place.folder.path().join("bob"), &server, &bob, &[("group-join", &format!("/portal/groups/{code}"))]).await;
    assert_eq!(bob.post(&format!("/portal/groups/{code}/join"), &[]).await.0, 303);
    let (mut eve, _) = signed_in(&server, &gateway, "Eve", "13700137000", 4_799).await;
    // Points alone are too few, and with money they are enough.
    let (status, page) = eve.post(&format!("/portal/groups/{code}/join"), &[]).await;
    assert!(status == 422 && page.contains("It cannot be paid like this any more"), "{page}");
    assert!(page.contains("4,320 points and ¥4.80") && !page.contains("points, no money"), "{page}");
    for wrong in [[("cash", "480"), ("tender", "gold")], [("cash", "four"), ("tender", "test")]] {
        assert_eq!(eve.post(&format!("/portal/groups/{code}/join"), &wrong).await.0, 422);
    }
    let declined = [("cash", "501"), ("tender", "test")];
    let (status, page) = eve.post(&format!("/portal/groups/{code}/join"), &declined).await;
    assert!(status == 422 && page.contains("your points are back"), "{page}");
    assert_eq!(bob.post(&format!("/portal/groups/{code}/leave"), &[]).await.0, 303);
    assert_eq!(bob.post(&format!("/portal/groups/{code}/join"), &[]).await.0, 303, "and comes back");
    shots(&place.folder.path().join("ann"), &server, &ann, &[("group-in", &format!("/portal/groups/{code}"))]).await;
    let (mut fay, fays) = signed_in(&server, &gateway, "Fay", "13600136000", 2_500).await;
    let (_, page) = fay.get("/portal/rewards/teapot").await;
    assert!(page.contains("href=\"/portal/rewards/teapot/group\"") && !page.contains("Open a group for"), "{page}");
    let pages =
        [("group-money", &*format!("/portal/groups/{code}")), ("group-money-open", "/portal/rewards/teapot/group")];
    shots(&place.folder.path().join("fay"), &server, &fay, &pages).await;
    let on_delivery = [("cash", "2300"), ("tender", "cash_on_delivery")];
    assert_eq!(fay.post(&format!("/portal/groups/{code}/join"), &on_delivery).await.0, 303);
    assert_eq!(available(&server, &fays).await, 0);
    let (_, page) = ann.get(&format!("/portal/groups/{code}")).await;
    assert!(page.contains("The group is full. All orders go on."), "{page}");
    let (_, page) = eve.get(&format!("/portal/groups/{code}")).await;
    assert!(page.contains("You can open one of your own"), "{page}");
    let (_, page) = ann.get("/portal/groups/00112233445566778899").await;
    assert!(page.contains("There is no such page"), "{page}");
}

/// What is sent, one for each member; and what becomes dearer with the third who looks at it, paid in part with money.
const SENT: &str = r#"
[[rewards]]
id = "box"
name = { en = "Tea box", zh = "茶盒" }
stock = 3
limit = [{ quantity = 1, per = "lifetime" }]
kind = { type = "physical", needs_address = true }
price = { points = 1000, group = { members = 3, hours = 24, percent = 80 } }

[[rewards]]
id = "scarf"
name = { en = "Scarf", zh = "围巾" }
[rewards.price]
points = 1000
cash = { to_percent = 50 }
demand = { ceiling = 110, steps = [{ views = 3, percent = 10 }] }
"#;

const BOOK: &str = "/portal/profile/addresses";

/// Keeps an address in the member's book.
async fn keeps_an_address(person: &mut Person) {
    let (_, page) = person.get(BOOK).await;
    let form = [
        ("version", field(&page, "name=\"version\" value=\"")),
        ("act", "add"),
        ("recipient", "Ann"),
        ("city", "Shanghai"),
        ("street", "7 Bund Lane"),
    ];
    let (status, page) = person.post(BOOK, &form).await;
    assert_eq!(status, 303, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_says_what_stands_in_the_way_and_a_look_is_one_look() {
    let place = Place::with(None, SENT);
    let gateway = Gateway::start();
    let server = place.start(&gateway.flags());
    let (mut ann, _) = signed_in(&server, &gateway, "Ann", "13800138000", 5_000).await;
    let (mut bob, _) = signed_in(&server, &gateway, "Bob", "13900139000", 5_000).await;
    let (mut carl, carls) = signed_in(&server, &gateway, "Carl", "13700137000", 5_000).await;

    // Nobody opens a group for what would be sent nowhere.
    let (status, page) = ann.post("/portal/rewards/box/group", &[("key", "g-1")]).await;
    assert!(status == 422 && page.contains("Say first which one") && page.contains(BOOK), "{status} {page}");
    keeps_an_address(&mut ann).await;
    let (_, page) = ann.get("/portal/rewards/box/group").await;
    assert!(page.contains("Open a group for 800 points") && page.contains("name=\"address_id\""), "{page}");
    // What is left out is where the member has things sent.
    assert_eq!(ann.post("/portal/rewards/box/group", &[("key", "g-2")]).await.0, 303);
    let (_, orders) = server.get("/v1/orders?state=placed").await;
    let order = &orders["items"][0];
    assert_eq!(order["moves"], json!(["review", "approve", "reject", "fail"]), "an open group is left, not cancelled");
    let group = format!("/portal/groups/{}", order["group"]["code"].as_str().unwrap());

    // A friend may join, and says where to, or has kept it.
    let (_, page) = bob.get(&group).await;
    assert!(
        page.contains("Join for 800 points") && page.contains(BOOK) && !page.contains("name=\"address_id\""),
        "{page}"
    );
    keeps_an_address(&mut bob).await;
    assert!(bob.get(&group).await.1.contains("name=\"address_id\""));
    // Who has one already has one.
    keeps_an_address(&mut carl).await;
    let one = json!({ "member_id": carls, "reward_id": "box" });
    assert_eq!(server.post("/v1/orders", "carl", one).await.0, 201);
    let (_, page) = carl.get(&group).await;
    assert!(!page.contains("Join for") && page.contains("at most 1 per"), "{page}");
    // And who comes when there is none left.
    let dora = server.member("dora", 5_000).await;
    let address = json!({ "recipient": "Dora", "street": "1 Long Road", "city": "Shanghai" });
    let last = json!({ "member_id": dora, "reward_id": "box", "address": address });
    assert_eq!(server.post("/v1/orders", "dora-box", last).await.0, 201);
    let (status, page) = bob.post(&format!("{group}/join"), &[]).await;
    assert!(status == 422 && page.contains("None of it is left") && !page.contains("Join for"), "{status} {page}");

    // One look at a page with four prices is one look: the third is that of the API.
    let (_, page) = ann.get("/portal/rewards/scarf").await;
    assert!(page.contains("How would you like to pay?") && page.contains("1,000 points"), "{page}");
    let price = async || server.get("/v1/rewards/scarf").await.1["price"].clone();
    assert_eq!((price().await, price().await), (json!(1_000), json!(1_100)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_takes_the_money_by_hand() {
    let place = Place::on(None);
    let server = place.start(&[]);
    let ann = server.member("ann", 10_000).await;
    let (_, receipt) = server.post("/v1/orders", "k", teapot(&ann, "cash_on_delivery", 3_000)).await;
    let order = id(&receipt);
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let address = format!("/console/orders/{order}");
    let (_, page) = olga.get(&address).await;
    assert!(page.contains("Cash on delivery: to be paid") && page.contains("Money taken"), "{page}");
    let complete = [("key", "k-1"), ("step", "complete")];
    let (status, page) = olga.post(&format!("{address}/moves"), &complete).await;
    assert!(status == 422 && page.contains("Money is due on this order"), "{page}");
    let taken = [("key", "k-2"), ("reference", "R-12")];
    assert_eq!(olga.post(&format!("{address}/payment/collect"), &taken).await.0, 303);
    assert_eq!(olga.post(&format!("{address}/moves"), &[("key", "k-3"), ("step", "complete")]).await.0, 303);
    let (_, page) = olga.get(&address).await;
    assert!(page.contains("Cash on delivery: paid") && !page.contains("Money taken"), "{page}");
    let (_, audit) = server.get("/v1/audit?action=payment.collect").await;
    assert!(audit.to_string().contains(&order), "{audit}");
    // 3,000 points and money for 3,000 more: with them it is above what one person refunds.
    let mut policy = server.get("/v1/approval-policy").await.1;
    policy["refund_points"] = json!(5_999);
    assert_eq!(server.put("/v1/approval-policy", policy).await.0, 200);
    let (status, waiting) = olga.json(&format!("/v1/orders/{order}/refund"), &json!({ "reason": "cracked" })).await;
    assert_eq!((status, &waiting["act"]["points"]), (202, &json!(6_000)), "{waiting}");
}
