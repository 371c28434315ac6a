//! Orders on their way: reviewed, fulfilled, called off, and ended when nobody comes back to them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::person::Person;
use crate::support::{Server, gift_club, guerdon, init};

const PASSWORD: &str = "seven sunny orange bicycles";

/// The Gift Club that looks at orders of more than £6, lets those above £20 be called off, and ends forgotten ones.
fn club() -> String {
    gift_club(20).replacen(
        "[[currencies]]",
        "[program.orders]\nreview = { above_value = \"6\", above_risk = 70, refuse_above_risk = 90 }\n\
         cooling_off = { above_value = \"20\" }\nexpire_after_hours = 48\ncomplete_after_hours = 72\n\n[[currencies]]",
        1,
    )
}

struct Shop {
    server: Server,
    member: String,
}

impl Shop {
    async fn open(folder: &tempfile::TempDir) -> Self {
        let data = folder.path().join("data");
        init(&data, &club());
        let server = Server::start(&data);
        let member = server.member("C-1", 9_000).await;
        Self { server, member }
    }

    async fn order(&self, key: &str, quantity: i64, risk: Option<i64>) -> (u16, Value) {
        let body =
            json!({ "member_id": self.member, "reward_id": "voucher-5", "quantity": quantity, "risk_score": risk });
        self.server.post("/v1/orders", key, body).await
    }

    async fn placed(&self, key: &str, quantity: i64) -> String {
        let (status, receipt) = self.order(key, quantity, None).await;
        assert_eq!(status, 201, "{receipt}");
        receipt["order"]["id"].as_str().unwrap().to_owned()
    }

    async fn step(&self, order: &str, path: &str, body: Value) -> (u16, Value) {
        let key: String = format!("{order} {body}").chars().take(100).collect();
        self.server.post(&format!("/v1/orders/{order}/{path}"), &key, body).await
    }

    async fn state(&self, order: &str) -> String {
        self.server.get(&format!("/v1/orders/{order}")).await.1["state"].as_str().unwrap().to_owned()
    }

    async fn available(&self) -> i64 {
        self.server.get(&format!("/v1/members/{}/wallet", self.member)).await.1[0]["available"].as_i64().unwrap()
    }
}

fn refusal((status, problem): (u16, Value)) -> (u16, String) {
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_reviewed_shipped_and_told_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(&folder).await;
    let small = shop.placed("small", 1).await;
    assert_eq!(shop.state(&small).await, "approved");
    let large = shop.placed("large", 2).await;
    let (_, queue) = shop.server.get("/v1/orders?state=in_review").await;
    assert_eq!(queue["items"].as_array().unwrap().len(), 1, "{queue}");
    assert_eq!(
        (&queue["items"][0]["id"], &queue["items"][0]["moves"]),
        (&json!(large), &json!(["claim", "approve", "reject", "cancel", "fail"]))
    );
    let (status, problem) = shop.server.get("/v1/orders?state=lost").await;
    assert!(status == 400 && problem["detail"].as_str().unwrap().contains("placed, in_review"), "{problem}");
    assert_eq!(
        refusal(shop.step(&large, "moves", json!({ "move": "ship" })).await),
        (409, "illegal_order_move".to_owned())
    );
    let (status, problem) = shop.step(&large, "moves", json!({ "move": "approve" })).await;
    assert!(
        status == 422
            && problem["detail"] == "`move` must be one of fulfil, ship, issue, complete, cancel, fail, rebook",
        "{problem}"
    );
    assert_eq!(shop.step(&large, "review", json!({ "step": "claim" })).await.0, 201);
    let (status, problem) = shop.step(&large, "review", json!({ "step": "reject" })).await;
    assert!(status == 422 && problem["detail"].as_str().unwrap().contains("`reason` is needed"), "{problem}");
    assert_eq!(shop.step(&large, "review", json!({ "step": "approve" })).await.0, 201);
    let sent = json!({ "move": "ship", "shipment": { "carrier": "SF Express", "tracking_number": "SF1000" } });
    let (status, receipt) = shop.step(&large, "moves", sent.clone()).await;
    assert_eq!((status, &receipt["kind"], &receipt["order"]["state"]), (201, &json!("capture"), &json!("shipped")));
    assert_eq!(shop.step(&large, "moves", sent).await, (200, receipt), "a retry");
    let (_, order) = shop.server.get(&format!("/v1/orders/{large}")).await;
    let states: Vec<&str> =
        order["history"].as_array().unwrap().iter().map(|step| step["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["placed", "in_review", "in_review", "approved", "shipped"]);
    assert_eq!(order["shipment"], json!({ "carrier": "SF Express", "tracking_number": "SF1000" }));
    assert!(order["due_at"].is_string() && order["claimed_by"].is_string(), "{order}");
    // What a risk engine says counts.
    assert_eq!(refusal(shop.order("risky", 1, Some(95)).await), (409, "too_risky".to_owned()));
    let (_, looked_at) = shop.order("strange", 1, Some(71)).await;
    assert_eq!(looked_at["order"]["state"], "in_review");
    assert_eq!(refusal(shop.order("odd", 1, Some(101)).await), (422, "invalid_request".to_owned()));
    // What is dear may be called off, and is not handed over before.
    let dear = shop.placed("dear", 5).await;
    assert_eq!(shop.step(&dear, "review", json!({ "step": "approve" })).await.0, 201);
    assert_eq!(refusal(shop.step(&dear, "moves", json!({ "move": "issue" })).await), (409, "cooling_off".to_owned()));
    let (_, order) = shop.server.get(&format!("/v1/orders/{dear}")).await;
    assert_eq!(order["moves"], json!(["cancel", "fail"]), "what would be refused is not offered");
    let before = shop.available().await;
    assert_eq!(shop.step(&dear, "moves", json!({ "move": "cancel", "reason": "Changed my mind" })).await.0, 201);
    assert_eq!(shop.available().await, before + 2_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_comes_back_to_is_ended_by_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(&folder).await;
    let (forgotten, shipped) = (shop.placed("one", 1).await, shop.placed("two", 1).await);
    assert_eq!(shop.step(&shipped, "moves", json!({ "move": "ship" })).await.0, 201);
    let before = shop.available().await;
    assert_eq!(shop.server.interrupt(), 0);
    // Two days go by.
    let data = folder.path().join("data");
    let database = rusqlite::Connection::open(data.join("guerdon.db")).unwrap();
    assert_eq!(database.execute("UPDATE orders SET due_at = 1000", []).unwrap(), 2);
    drop(database);
    shop.server = Server::start(&data);
    let started = Instant::now();
    while (shop.state(&forgotten).await, shop.state(&shipped).await) != ("expired".to_owned(), "completed".to_owned()) {
        assert!(started.elapsed() < Duration::from_secs(20), "{}", shop.state(&forgotten).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(shop.available().await, before + 500);
    let (_, order) = shop.server.get(&format!("/v1/orders/{forgotten}")).await;
    assert!(order["due_at"].is_null() && order["moves"] == json!([]), "{order}");
    assert_eq!(shop.server.interrupt(), 0);
    assert_eq!(guerdon(&["verify", "--data-dir", data.to_str().unwrap()]).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_orders_is_worked_off_in_the_console() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(&folder).await;
    let mut olga = Person::new(&shop.server);
    olga.set_up(&shop.server.setup_link, "olga@example.org", "Olga", PASSWORD).await;
    let orders = [shop.placed("one", 2).await, shop.placed("two", 2).await, shop.placed("three", 2).await];
    let (status, page) = olga.get("/console/orders").await;
    assert!(status == 200 && orders.iter().all(|order| page.contains(order)) && page.contains("Approve"), "{page}");
    let marked = |step: &'static str, reason: &'static str, orders: &[&str]| {
        let mut fields = vec![
            ("key", "form_1".to_owned()),
            ("state", "in_review".to_owned()),
            ("step", step.to_owned()),
            ("reason", reason.to_owned()),
        ];
        fields.extend(orders.iter().map(|order| ("order", (*order).to_owned())));
        fields
    };
    let send = |fields: &[(&'static str, String)]| -> Vec<(&'static str, String)> { fields.to_vec() };
    let mut post = async |path: &str, fields: Vec<(&'static str, String)>| {
        let fields = send(&fields);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        olga.post(path, &fields).await
    };
    let (status, page) = post("/console/orders/review", marked("approve", "", &[])).await;
    assert!(status == 422 && page.contains("Mark at least one order"), "{page}");
    // Rejecting needs a reason; then both are rejected, and only one of them once more.
    let both = [orders[0].as_str(), orders[1].as_str()];
    let (status, page) = post("/console/orders/review", marked("reject", "", &both)).await;
    assert!(status == 422 && page.contains("is needed to reject"), "{page}");
    let before = shop.available().await;
    let (status, page) = post("/console/orders/review", marked("reject", "Out of season", &both)).await;
    assert!(status == 200 && page.contains("2 orders are now: rejected"), "{page}");
    assert_eq!(shop.available().await, before + 2_000);
    // Nobody completes what is in review from the other form, and one order moves on by itself.
    let (status, _) = post("/console/orders/moves", marked("approve", "", &both)).await;
    assert_eq!(status, 422);
    let one = format!("/console/orders/{}", orders[2]);
    let fields =
        |step: &str| vec![("key", format!("form_{step}")), ("step", step.to_owned()), ("reason", String::new())];
    assert_eq!(post(&format!("{one}/review"), fields("claim")).await.0, 303);
    let (_, queue) = shop.server.get("/v1/orders?state=in_review").await;
    assert_eq!(queue["items"][0]["moves"], json!(["claim", "cancel", "fail"]), "Olga decides it, not the key");
    assert_eq!(post(&format!("{one}/review"), fields("approve")).await.0, 303);
    let mut ship = fields("ship");
    ship.extend([("carrier", "SF Express".to_owned()), ("tracking_number", "SF1000".to_owned())]);
    assert_eq!(post(&format!("{one}/moves"), ship).await.0, 303);
    let (_, page) = olga.get(&one).await;
    assert!(page.contains("SF Express SF1000") && page.contains("shipped") && page.contains("Olga"), "{page}");
    let (_, page) = olga.get("/console/orders?state=shipped").await;
    assert!(page.contains(&orders[2]) && page.contains("Complete"), "{page}");
}
