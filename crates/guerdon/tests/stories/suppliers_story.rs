//! A supplier that misbehaves: it is silent, fails, lies, answers twice or too late, and comes back. No order is lost or
//! delivered twice by it, and what does not fit is told.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::get;
use guerdon_core::time::Timestamp;
use guerdon_server::fulfilment::supplier::webhook;
use guerdon_tests::postgres;
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, shown, size, whole_page};
use crate::support::person::Person;
use crate::support::{Server, guerdon};

/// The account that gets the credit.
const PHONE: &str = "13800138000";
const PROGRAM: &str = include_str!("../../../../programs/examples/fulfilment.toml");

/// How the supplier answers one call.
#[derive(Debug, Clone)]
enum Answer {
    /// It delivers, with these codes.
    Deliver(Vec<&'static str>),
    Refuse,
    Accept,
    /// It answers when nobody waits any more.
    Silent,
    Status(u16),
    Text(&'static str),
    OtherOrder,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<VecDeque<Answer>>,
    /// What it answers when nothing is prepared.
    always: Mutex<Option<Answer>>,
    /// The calls: the headers, and the body.
    calls: Mutex<Vec<(HeaderMap, String)>>,
    list: Mutex<Value>,
}

/// A supplier on this machine.
#[derive(Clone)]
struct Partner {
    shared: Arc<Shared>,
    url: String,
}

async fn asked(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    shared.calls.lock().unwrap().push((headers, body.clone()));
    let next = shared.answers.lock().unwrap().pop_front();
    let next = next.or_else(|| shared.always.lock().unwrap().clone()).unwrap_or(Answer::Deliver(Vec::new()));
    let body: Value = serde_json::from_str(&body).unwrap();
    let order = body["data"]["order_id"].as_str().unwrap();
    let (status, answer) = match next {
        Answer::Deliver(codes) => {
            (200, json!({ "order_id": order, "status": "delivered", "codes": codes, "reference": "S-1" }))
        }
        Answer::Refuse => (409, json!({ "order_id": order, "status": "refused", "reason": "no such number" })),
        Answer::Accept => (202, json!({ "order_id": order, "status": "accepted" })),
        Answer::Silent => {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            (200, json!({ "order_id": order, "status": "delivered" }))
        }
        Answer::Status(status) => (status, json!({})),
        Answer::Text(text) => return (StatusCode::OK, text.to_owned()),
        Answer::OtherOrder => (200, json!({ "order_id": "ord_0000000000001", "status": "delivered" })),
    };
    (StatusCode::from_u16(status).unwrap(), answer.to_string())
}

async fn listed(State(shared): State<Arc<Shared>>, headers: HeaderMap, uri: Uri) -> String {
    shared.calls.lock().unwrap().push((headers, uri.to_string()));
    shared.list.lock().unwrap().to_string()
}

impl Partner {
    async fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let routes = axum::Router::new().route("/orders", get(listed).post(asked)).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/orders", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { shared, url }
    }

    fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.answers.lock().unwrap().extend(answers);
    }

    fn always(&self, answer: Option<Answer>) {
        *self.shared.always.lock().unwrap() = answer;
    }

    fn asked(&self, order: &str) -> Vec<HeaderMap> {
        let calls = self.shared.calls.lock().unwrap();
        calls.iter().filter(|(_, body)| body.contains(order)).map(|(headers, _)| headers.clone()).collect()
    }
}

/// A server with a supplier, and a member.
struct Shop {
    folder: tempfile::TempDir,
    database: Vec<String>,
    server: Server,
    partner: Partner,
    secret: String,
    member: String,
}

impl Shop {
    async fn open(on_postgres: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database: Vec<String> = match on_postgres {
            true => vec!["--database-url".to_owned(), postgres::shared().database()],
            false => Vec::new(),
        };
        let file = folder.path().join("program.toml");
        std::fs::write(&file, PROGRAM).unwrap();
        let mut arguments =
            vec!["init", "--program", file.to_str().unwrap(), "--data-dir", folder.path().to_str().unwrap()];
        arguments.extend(database.iter().map(String::as_str));
        let (code, _, error) = guerdon(&arguments);
        assert_eq!(code, 0, "{error}");
        let server = start(folder.path(), &database);
        let partner = Partner::start().await;
        let member = server.member("ann", 1_000_000).await;
        let mut shop = Self { folder, database, server, partner, secret: String::new(), member };
        let (status, kept) = shop.keep(json!({})).await;
        assert_eq!(status, 200, "{kept}");
        shop.secret = kept["secret"].as_str().unwrap().to_owned();
        shop
    }

    async fn keep(&self, more: Value) -> (u16, Value) {
        let mut body = json!({
            "title": "Phone credit", "url": self.partner.url, "timeout_ms": 300, "attempts": 4, "first_retry_ms": 100
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.server.put("/v1/suppliers/phone-credit", body).await
    }

    async fn order(&self, key: &str) -> String {
        let body = json!({ "member_id": self.member, "reward_id": "top-up", "account": PHONE });
        let (status, receipt) = self.server.post("/v1/orders", key, body).await;
        assert_eq!(status, 201, "{receipt}");
        receipt["order"]["id"].as_str().unwrap().to_owned()
    }

    async fn state(&self, order: &str) -> String {
        self.server.get(&format!("/v1/orders/{order}")).await.1["state"].as_str().unwrap().to_owned()
    }

    async fn until(&self, order: &str, state: &str) -> Value {
        let started = Instant::now();
        loop {
            let (_, found) = self.server.get(&format!("/v1/orders/{order}")).await;
            if found["state"] == state {
                return found;
            }
            assert!(started.elapsed() < Duration::from_secs(40), "{order} is not {state}: {found}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn call_back_as(&self, secret: &str, kind: &str, data: Value) -> (u16, Value) {
        let body = json!({ "type": kind, "data": data }).to_string();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = Timestamp::from_millis(i64::try_from(now.as_millis()).unwrap());
        let id = format!("msg_{kind}_{}", body.len());
        let (seconds, signature) = webhook::sign(secret, &id, now, body.as_bytes()).unwrap();
        // Without a key: the signature is all that counts.
        let request = crate::support::http_client().build().unwrap();
        let request = request.post(format!("{}/v1/suppliers/phone-credit/callbacks", self.server.address));
        let request = request.header("webhook-id", id).header("webhook-timestamp", seconds);
        let response =
            request.header("webhook-signature", signature).header("content-type", "application/json").body(body);
        let response = response.send().await.unwrap();
        (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
    }

    async fn call_back(&self, kind: &str, data: Value) -> (u16, Value) {
        self.call_back_as(&self.secret, kind, data).await
    }

    async fn differences(&self) -> Vec<(String, String)> {
        let (_, page) = self.server.get("/v1/differences").await;
        let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
        page["items"].as_array().unwrap().iter().map(|one| (text(one, "what"), text(one, "order_id"))).collect()
    }

    async fn available(&self) -> i64 {
        self.server.get(&format!("/v1/members/{}/wallet", self.member)).await.1[0]["available"].as_i64().unwrap()
    }

    fn verify(&self) {
        let mut arguments = vec!["verify", "--data-dir", self.folder.path().to_str().unwrap()];
        arguments.extend(self.database.iter().map(String::as_str));
        let (code, out, _) = guerdon(&arguments);
        assert_eq!(code, 0, "{out}");
    }
}

fn start(folder: &Path, database: &[String]) -> Server {
    let mut flags = vec!["--allow-private-outbound", "127.0.0.0/8", "--allow-http-outbound", "127.0.0.1"];
    flags.extend(database.iter().map(String::as_str));
    Server::start_with(folder, &flags)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supplier_that_fails_lies_and_answers_twice_delivers_each_order_once() {
    for on_postgres in [false, true] {
        let mut shop = Shop::open(on_postgres).await;
        let plain = shop.order("plain").await;
        shop.until(&plain, "completed").await;
        let headers = &shop.partner.asked(&plain)[0];
        assert_eq!(headers["idempotency-key"], plain.as_str());
        let body = shop.partner.shared.calls.lock().unwrap()[0].1.clone();
        let seconds: i64 = headers["webhook-timestamp"].to_str().unwrap().parse().unwrap();
        let now = Timestamp::from_millis(seconds * 1_000);
        assert_eq!(webhook::verify(&shop.secret, headers, now, body.as_bytes()), Ok(plain.as_str()));
        assert!(!body.contains(&shop.member), "it learns nothing of the member but where the credit goes");
        let sent: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(sent["data"]["account"], PHONE, "{sent}");

        // It is silent, then broken, then there: asked under the same id each time.
        shop.partner.answers([Answer::Silent, Answer::Status(500), Answer::Deliver(vec!["CARD-0001"])]);
        let slow = shop.order("slow").await;
        shop.until(&slow, "completed").await;
        let ids: Vec<String> =
            shop.partner.asked(&slow).iter().map(|call| call["webhook-id"].to_str().unwrap().to_owned()).collect();
        assert_eq!(ids, vec![slow.clone(); 3]);
        let (_, codes) = shop.server.get(&format!("/v1/orders/{slow}/codes")).await;
        assert_eq!(codes[0]["code"], "CARD-0001");

        // It lies in every way; what it says at last is believed.
        let lies = [Answer::OtherOrder, Answer::Text("<html>"), Answer::Deliver(vec!["CARD-2", "CARD-3"])];
        shop.partner.answers(lies);
        let lied = shop.order("lied").await;
        shop.until(&lied, "completed").await;
        let mut told = shop.differences().await;
        told.sort();
        let of = |what: &str| (what.to_owned(), lied.clone());
        assert_eq!(told, [of("answer_for_another_order"), of("unfit_answer"), of("unreadable_answer")]);

        // A code that another order has is none: it is asked again.
        shop.partner.answers([Answer::Deliver(vec!["CARD-0001"]), Answer::Deliver(vec!["CARD-0009"])]);
        let again = shop.order("again").await;
        shop.until(&again, "completed").await;
        let (_, codes) = shop.server.get(&format!("/v1/orders/{again}/codes")).await;
        assert_eq!(codes[0]["code"], "CARD-0009");
        assert!(shop.differences().await.contains(&("code_given_before".to_owned(), again.clone())));

        // What it refuses is given back.
        let before = shop.available().await;
        shop.partner.answers([Answer::Refuse]);
        let refused = shop.order("refused").await;
        let order = shop.until(&refused, "cancelled").await;
        assert_eq!(order["history"].as_array().unwrap().last().unwrap()["reason"], "supplier_refused");
        assert_eq!(shop.available().await, before);

        // It promises, and calls back: twice, and signed wrongly.
        shop.partner.answers([Answer::Accept]);
        let promised = shop.order("promised").await;
        shop.until(&promised, "fulfilling").await;
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert_eq!((shop.state(&promised).await.as_str(), shop.partner.asked(&promised).len()), ("fulfilling", 1));
        let result = json!({ "order_id": promised, "status": "delivered", "codes": ["CARD-0010"] });
        let forged = shop.call_back_as(&webhook::new_secret(), "order.result", result.clone()).await;
        assert_eq!((forged.0, forged.1["code"].as_str()), (401, Some("signature_invalid")));
        assert_eq!(shop.state(&promised).await, "fulfilling");
        for _ in 0..2 {
            assert_eq!(shop.call_back("order.result", result.clone()).await.0, 204);
        }
        assert_eq!(shop.state(&promised).await, "completed");
        let (_, codes) = shop.server.get(&format!("/v1/orders/{promised}/codes")).await;
        assert_eq!(codes.as_array().unwrap().len(), 1);
        // Of orders that it has nothing to do with it may say nothing.
        let body = json!({ "member_id": shop.member, "reward_id": "mug" });
        let (_, mug) = shop.server.post("/v1/orders", "mug", body).await;
        let mug = mug["order"]["id"].as_str().unwrap().to_owned();
        let of_mug = json!({ "order_id": mug, "status": "delivered" });
        assert_eq!(shop.call_back("order.result", of_mug).await.1["code"], "not_its_order");
        let nothing = json!({ "order_id": "ord_0000000000001", "status": "delivered" });
        assert_eq!(shop.call_back("order.result", nothing).await.0, 404);
        assert_eq!(shop.state(&mug).await, "placed");
        assert_eq!(shop.server.interrupt(), 0);
        shop.verify();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_given_up_after_the_last_attempt_and_a_late_answer_is_told() {
    for on_postgres in [false, true] {
        let mut shop = Shop::open(on_postgres).await;
        assert_eq!(shop.keep(json!({ "attempts": 2 })).await.0, 200);
        let before = shop.available().await;
        shop.partner.answers([Answer::Silent, Answer::Silent]);
        let lost = shop.order("lost").await;
        let order = shop.until(&lost, "cancelled").await;
        assert_eq!(order["history"].as_array().unwrap().last().unwrap()["reason"], "supplier_failed");
        assert_eq!((shop.available().await, shop.partner.asked(&lost).len()), (before, 2));
        let late = json!({ "order_id": lost, "status": "delivered" });
        assert_eq!(shop.call_back("order.result", late).await.0, 204);
        assert_eq!((shop.state(&lost).await.as_str(), shop.available().await), ("cancelled", before));
        assert_eq!(shop.differences().await, [("delivered_after_return".to_owned(), lost.clone())]);

        // A server that dies while the supplier thinks asks again, under the same id.
        assert_eq!(shop.keep(json!({ "timeout_ms": 5000, "attempts": 5 })).await.0, 200);
        shop.partner.answers([Answer::Silent]);
        let cut = shop.order("cut").await;
        let started = Instant::now();
        while shop.partner.asked(&cut).is_empty() {
            assert!(started.elapsed() < Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        shop.server.kill();
        shop.server = start(shop.folder.path(), &shop.database);
        shop.until(&cut, "completed").await;
        assert_eq!(shop.partner.asked(&cut).len(), 2);

        // What both know is compared.
        *shop.partner.shared.list.lock().unwrap() = json!({ "orders": [
            { "order_id": lost, "status": "delivered" },
            { "order_id": "ord_0000000000001", "status": "delivered" },
        ]});
        let (status, report) = shop
            .server
            .post("/v1/suppliers/phone-credit/reconciliation", "", json!({ "from": "2020-01-01T00:00:00Z" }))
            .await;
        assert_eq!((status, report["code"].as_str()), (422, Some("invalid_request")), "more than 92 days");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let from = Timestamp::from_millis(i64::try_from(now).unwrap() - 3_600_000).to_string();
        let (status, report) =
            shop.server.post("/v1/suppliers/phone-credit/reconciliation", "", json!({ "from": from })).await;
        assert_eq!((status, report["listed"].as_i64()), (201, Some(2)), "{report}");
        let mut found: Vec<(&str, &str)> = report["differences"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| (line["what"].as_str().unwrap(), line["order_id"].as_str().unwrap()))
            .collect();
        found.sort_unstable();
        assert_eq!(
            found,
            [
                ("delivered_after_return", lost.as_str()),
                ("missing_there", cut.as_str()),
                ("unknown_order", "ord_0000000000001"),
            ]
        );
        let (_, latest) = shop.server.get("/v1/suppliers/phone-credit/reconciliation").await;
        assert_eq!(latest, report);
        // Somebody looks at it.
        let (_, page) = shop.server.get("/v1/differences").await;
        let settled = json!({ "id": page["items"][0]["id"], "note": "They take it back" });
        assert_eq!(shop.server.post("/v1/differences/settle", "", settled.clone()).await.0, 204);
        assert_eq!(shop.server.post("/v1/differences/settle", "", settled).await.0, 404);
        assert!(shop.differences().await.is_empty());
        assert_eq!(shop.server.interrupt(), 0);
        shop.verify();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supplier_that_is_down_is_left_alone_and_tried_again_and_codes_do_not_wait_for_it() {
    let shop = Shop::open(false).await;
    assert_eq!(shop.keep(json!({ "attempts": 20 })).await.0, 200);
    shop.partner.always(Some(Answer::Status(503)));
    let mut orders = Vec::new();
    for number in 0..6 {
        orders.push(shop.order(&format!("o-{number}")).await);
    }
    let circuit = async || {
        let (_, supplier) = shop.server.get("/v1/suppliers/phone-credit").await;
        (supplier["circuit"].as_str().unwrap().to_owned(), supplier)
    };
    let started = Instant::now();
    while circuit().await.0 != "open" {
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", circuit().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (_, supplier) = circuit().await;
    assert!(supplier["last_failure"].as_str().unwrap().contains("503"), "{supplier}");
    // A little later nobody asks it any more; codes go on.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let calls = shop.partner.shared.calls.lock().unwrap().len();
    let codes = json!({ "codes": ["TICKET-1"] });
    assert_eq!(shop.server.post("/v1/rewards/cinema/codes", "", codes).await.0, 201);
    let body = json!({ "member_id": shop.member, "reward_id": "cinema" });
    let (_, receipt) = shop.server.post("/v1/orders", "cinema", body).await;
    let (ticket, began) = (receipt["order"]["id"].as_str().unwrap().to_owned(), Instant::now());
    shop.until(&ticket, "completed").await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(shop.partner.shared.calls.lock().unwrap().len(), calls);
    // It comes back: one order tries it, then all.
    shop.partner.always(None);
    for order in &orders {
        shop.until(order, "completed").await;
    }
    assert_eq!(circuit().await.0, "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn suppliers_are_kept_with_care_and_carriers_tell_where_a_parcel_is() {
    let shop = Shop::open(false).await;
    for (name, change, problem) in [
        ("phone-credit", json!({ "url": "http://169.254.169.254/latest" }), "without TLS"),
        ("phone-credit", json!({ "url": "https://10.0.0.1/orders" }), "not a public address"),
        ("phone-credit", json!({ "url": "https://user:pass@example.org/" }), "name or password"),
        ("phone-credit", json!({ "url": "ftp://example.org/" }), "only https"),
        ("phone-credit", json!({ "url": "https://example.org/?a=1" }), "neither a query"),
        ("phone-credit", json!({ "timeout_ms": 60000 }), "`timeout_ms` must be 100 to 15000"),
        ("phone-credit", json!({ "attempts": 0 }), "`attempts` must be 1 to 20"),
        ("Phone", json!({}), "lower-case letters"),
    ] {
        let mut body = json!({ "title": "X", "url": shop.partner.url });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, refused) = shop.server.put(&format!("/v1/suppliers/{name}"), body).await;
        assert!(status == 422 && refused["detail"].as_str().unwrap().contains(problem), "{change}: {refused}");
    }
    // Another secret: what the old one has signed counts no longer. No answer shows one again.
    let (_, renewed) = shop.keep(json!({ "renew_secret": true })).await;
    let new = renewed["secret"].as_str().unwrap().to_owned();
    assert_ne!(new, shop.secret);
    let (_, kept) = shop.server.get("/v1/suppliers/phone-credit").await;
    assert!(kept.get("secret").is_none() && !kept.to_string().contains("whsec_"), "{kept}");
    let audit = shop.server.text("/v1/audit?action=supplier.keep").await.1;
    assert!(audit.contains("new_secret") && !audit.contains("whsec_"), "{audit}");

    let body = json!({ "member_id": shop.member, "reward_id": "mug" });
    let (_, receipt) = shop.server.post("/v1/orders", "mug", body).await;
    let mug = receipt["order"]["id"].as_str().unwrap().to_owned();
    let event = |at: &str, status: &str| json!({ "at": at, "status": status, "place": "Hangzhou" });
    let (first, last) = (event("2026-01-05T08:00:00Z", "in_transit"), event("2026-01-06T08:00:00Z", "delivered"));
    let track = async |key: &str, events: Value| {
        shop.server.post(&format!("/v1/orders/{mug}/tracking"), key, json!({ "events": events })).await
    };
    assert_eq!(track("t-1", json!([first])).await.1["code"], "illegal_order_move");
    let sent = json!({ "move": "ship", "shipment": { "carrier": "phone-credit", "tracking_number": "SF1000" } });
    assert_eq!(shop.server.post(&format!("/v1/orders/{mug}/moves"), "ship", sent).await.0, 201);
    assert_eq!(track("t-1", json!([first])).await.0, 201);
    assert_eq!(track("t-1", json!([first])).await.0, 200);
    let (status, refused) = track("t-2", json!([event("2026-01-05T08:00:00Z", "lost")])).await;
    assert!(status == 422 && refused["detail"].as_str().unwrap().contains("accepted, in_transit"), "{refused}");
    // The carrier calls back itself.
    let data = json!({ "order_id": mug, "events": [first, last] });
    assert_eq!(shop.call_back("order.tracking", data.clone()).await.0, 401);
    let (status, refused) = shop.call_back_as(&new, "order.tracking", data).await;
    assert_eq!(status, 204, "{refused}");
    let (_, order) = shop.server.get(&format!("/v1/orders/{mug}")).await;
    assert_eq!(order["state"], "completed");
    let told: Vec<&str> =
        order["tracking"].as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap()).collect();
    assert_eq!(told, ["in_transit", "delivered"]);

    // The console shows it all, at a desk and on a phone, in both languages.
    shop.partner.answers([Answer::OtherOrder]);
    let lied = shop.order("lied").await;
    shop.until(&lied, "completed").await;
    let mut person = Person::new(&shop.server);
    person.set_up(&shop.server.setup_link, "ann@example.org", "Ann", "seven sunny orange bicycles").await;
    let (driver, client) = browser(&shop.folder.path().join("profile")).await;
    enter(&client, &shop.server, &person).await;
    for (language, words) in
        [("en", ["An answer about another order", "answers"]), ("zh-CN", ["答复的是另一订单", "正常"])]
    {
        for width in [1_440, 360] {
            size(&client, width, 800).await;
            let open = async |path: &str, name: &str, words: &[&str]| {
                client.goto(&format!("{}{path}?lang={language}", shop.server.address)).await.unwrap();
                let page = shown(&client, words).await;
                assert!(words.iter().all(|word| page.contains(word)), "{page}");
                assert_eq!(crate::support::browser::sideways(&client).await, 0, "{path} {language} {width}");
                whole_page(&client, width, &format!("console-{name}-{language}-{width}")).await;
                size(&client, width, 800).await;
            };
            open("/console/suppliers", "suppliers", &words).await;
            open("/console/suppliers/phone-credit", "supplier", &words[1..]).await;
            open("/console/codes", "codes", &["cinema"]).await;
            open("/console/codes/cinema", "codes-add", &[]).await;
            open(&format!("/console/orders/{mug}"), "order-tracking", &["Hangzhou"]).await;
            open(&format!("/console/orders/{lied}"), "order-supplier", &["phone-credit", "S-1"]).await;
        }
    }
    client.close().await.unwrap();
    drop(driver);
}
