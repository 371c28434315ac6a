//! Bundles whose parts are handed out each by its own way: codes, coupons, a privilege, two suppliers that misbehave, and a mug
//! that people send. All of it or nothing, whoever fails and wherever a server ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Path as Segment, State};
use axum::http::StatusCode;
use axum::routing::post;
use fantoccini::{Client, Locator};
use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Command, Receipt};
use guerdon_core::redemption::OrderMove;
use guerdon_core::time::Timestamp;
use guerdon_server::fulfilment::supplier::webhook;
use guerdon_store::{Claimed, CodeClaim, CodeOrigin, DataDir, Engine, PostgresStore, SealedCode, SqliteStore, Store};
use guerdon_tests::postgres;
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, shown, sideways, size, small_phone, whole_page};
use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, guerdon};

const PROGRAM: &str = include_str!("../../../../programs/examples/fulfilment.toml");
/// What the example does not have: parts by two suppliers, one of which is sent to an address.
const MORE: &str = r#"
[[rewards]]
id = "card"
name = "Gift card"
price = 500
fulfilment = { by = "supplier", supplier = "cards" }

[[rewards]]
id = "flowers"
name = "Flowers"
price = 500
kind = { type = "physical", needs_address = true }
fulfilment = { by = "supplier", supplier = "flowers" }

[[rewards]]
id = "feast"
name = "Feast"
price = 1000
kind = { type = "bundle", contents = [{ reward = "card" }, { reward = "cinema" }, { reward = "flowers", quantity = 2 }] }
"#;

/// How a supplier answers one call.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Deliver(&'static [&'static str]),
    Refuse,
    Accept,
    /// It answers when nobody waits any more.
    Silent,
    OtherOrder,
    Status(u16),
    Cancelled,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<BTreeMap<(String, String), VecDeque<Answer>>>,
    /// The calls: whose, and the body.
    calls: Mutex<Vec<(String, Value)>>,
}

/// Suppliers on this machine, each under its name.
#[derive(Clone)]
struct Partners {
    shared: Arc<Shared>,
    url: String,
}

async fn asked(
    State(shared): State<Arc<Shared>>,
    Segment(name): Segment<String>,
    body: String,
) -> (StatusCode, String) {
    let body: Value = serde_json::from_str(&body).unwrap();
    shared.calls.lock().unwrap().push((name.clone(), body.clone()));
    let (order, kind) = (body["data"]["order_id"].as_str().unwrap(), body["type"].as_str().unwrap().to_owned());
    let next = shared.answers.lock().unwrap().get_mut(&(name, kind.clone())).and_then(VecDeque::pop_front);
    let usual = if kind == "order.cancel" { Answer::Cancelled } else { Answer::Deliver(&[]) };
    let (status, answer) = match next.unwrap_or(usual) {
        Answer::Deliver(codes) => {
            (200, json!({ "order_id": order, "status": "delivered", "codes": codes, "reference": "S-1" }))
        }
        Answer::Refuse => (409, json!({ "order_id": order, "status": "refused", "reason": "none left" })),
        Answer::Accept => (202, json!({ "order_id": order, "status": "accepted" })),
        Answer::Silent => {
            tokio::time::sleep(Duration::from_millis(1_200)).await;
            (200, json!({ "order_id": order, "status": "delivered" }))
        }
        Answer::OtherOrder => {
            (200, json!({ "order_id": order.split('.').next().unwrap(), "status": "delivered", "codes": ["LIE-0001"] }))
        }
        Answer::Status(status) => (status, json!({})),
        Answer::Cancelled => (200, json!({ "order_id": order, "status": "cancelled" })),
    };
    (StatusCode::from_u16(status).unwrap(), answer.to_string())
}

impl Partners {
    async fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let routes = axum::Router::new().route("/{name}", post(asked)).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { shared, url }
    }

    fn answers(&self, name: &str, kind: &str, answers: impl IntoIterator<Item = Answer>) {
        let mut all = self.shared.answers.lock().unwrap();
        all.entry((name.to_owned(), kind.to_owned())).or_default().extend(answers);
    }

    /// What a supplier was told of an order, in the order in which it was.
    fn told(&self, name: &str, order: &str) -> Vec<Value> {
        let calls = self.shared.calls.lock().unwrap();
        let of = |body: &Value| body["data"]["order_id"].as_str().unwrap().starts_with(order);
        calls.iter().filter(|(whose, body)| whose == name && of(body)).map(|(_, body)| body.clone()).collect()
    }
}

/// A database of either engine, with suppliers and a member.
struct Shop {
    folder: tempfile::TempDir,
    url: Option<String>,
    server: Server,
    partners: Partners,
    secrets: BTreeMap<&'static str, String>,
    member: String,
}

impl Shop {
    async fn open(on_postgres: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = on_postgres.then(|| postgres::shared().database());
        let file = folder.path().join("program.toml");
        std::fs::write(&file, format!("{PROGRAM}{MORE}")).unwrap();
        let flags = flags(folder.path(), url.as_deref());
        let (code, _, error) = guerdon(&[&["init", "--program", file.to_str().unwrap()][..], &flags].concat());
        assert_eq!(code, 0, "{error}");
        let server = start(folder.path(), url.as_deref());
        let member = server.member("ann", 100_000).await;
        let (partners, secrets) = (Partners::start().await, BTreeMap::new());
        let mut shop = Self { folder, url, server, partners, secrets, member };
        for name in ["cards", "flowers"] {
            let (status, kept) = shop.keep(name, json!({})).await;
            assert_eq!(status, 200, "{kept}");
            shop.secrets.insert(name, kept["secret"].as_str().unwrap().to_owned());
        }
        shop
    }

    async fn keep(&self, name: &str, more: Value) -> (u16, Value) {
        let mut body = json!({
            "title": name, "url": format!("{}/{name}", self.partners.url), "timeout_ms": 300, "attempts": 3,
            "first_retry_ms": 100, "cancels": true
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.server.put(&format!("/v1/suppliers/{name}"), body).await
    }

    async fn upload(&self, codes: &[&str]) {
        let (status, said) = self.server.post("/v1/rewards/cinema/codes", "", json!({ "codes": codes })).await;
        assert_eq!(status, 201, "{said}");
    }

    async fn order(&self, key: &str, reward: &str, quantity: i64) -> String {
        let mut body = json!({ "member_id": self.member, "reward_id": reward, "quantity": quantity });
        if reward == "feast" {
            body["address"] = json!({ "recipient": "Ann", "street": "7 Hidden Lane", "city": "Shanghai" });
        }
        let (status, receipt) = self.server.post("/v1/orders", key, body).await;
        assert_eq!(status, 201, "{receipt}");
        receipt["order"]["id"].as_str().unwrap().to_owned()
    }

    async fn get(&self, order: &str) -> Value {
        self.server.get(&format!("/v1/orders/{order}")).await.1
    }

    async fn until(&self, order: &str, what: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let found = self.get(order).await;
            if what(&found) {
                return found;
            }
            assert!(started.elapsed() < Duration::from_secs(40), "{found}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until_state(&self, order: &str, state: &str) -> Value {
        self.until(order, |found| found["state"] == state).await
    }

    /// The codes of an order, by part.
    async fn codes(&self, order: &str) -> Vec<(String, String)> {
        let (status, codes) = self.server.get(&format!("/v1/orders/{order}/codes")).await;
        assert_eq!(status, 200, "{codes}");
        let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
        codes.as_array().unwrap().iter().map(|one| (text(one, "part"), text(one, "code"))).collect()
    }

    /// Free, set aside and handed out.
    async fn counts(&self, reward: &str) -> [i64; 3] {
        let (_, counts) = self.server.get(&format!("/v1/rewards/{reward}/codes")).await;
        ["free", "claimed", "issued"].map(|field| counts[field].as_i64().unwrap())
    }

    async fn available(&self) -> i64 {
        self.server.get(&format!("/v1/members/{}/wallet", self.member)).await.1[0]["available"].as_i64().unwrap()
    }

    async fn differences(&self) -> BTreeSet<(String, String)> {
        let (_, page) = self.server.get("/v1/differences").await;
        let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
        page["items"].as_array().unwrap().iter().map(|one| (text(one, "what"), text(one, "order_id"))).collect()
    }

    async fn until_told(&self, what: &str, order: &str) {
        let started = Instant::now();
        while !self.differences().await.contains(&(what.to_owned(), order.to_owned())) {
            assert!(started.elapsed() < Duration::from_secs(40), "{:?}", self.differences().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn call_back(&self, name: &str, data: Value) -> (u16, Value) {
        let body = json!({ "type": "order.result", "data": data }).to_string();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = Timestamp::from_millis(i64::try_from(now.as_millis()).unwrap());
        let (seconds, signature) = webhook::sign(&self.secrets[name], "msg", now, body.as_bytes()).unwrap();
        let request = crate::support::http_client().build().unwrap();
        let request = request.post(format!("{}/v1/suppliers/{name}/callbacks", self.server.address));
        let request = request.header("webhook-id", "msg").header("webhook-timestamp", seconds);
        let request = request.header("webhook-signature", signature).header("content-type", "application/json");
        let response = request.body(body).send().await.unwrap();
        (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
    }

    async fn step(&self, order: &str, body: Value) -> (u16, Value) {
        let key: String = format!("{order} {body}").chars().take(120).collect();
        self.server.post(&format!("/v1/orders/{order}/moves"), &key, body).await
    }

    fn close(mut self) {
        assert_eq!(self.server.interrupt(), 0);
        let flags = flags(self.folder.path(), self.url.as_deref());
        let (code, out, _) = guerdon(&[&["verify"][..], &flags].concat());
        assert_eq!(code, 0, "{out}");
    }
}

fn flags<'f>(folder: &'f Path, url: Option<&'f str>) -> Vec<&'f str> {
    let mut flags = vec!["--data-dir", folder.to_str().unwrap()];
    flags.extend(url.iter().flat_map(|url| ["--database-url", url]));
    flags
}

fn start(folder: &Path, url: Option<&str>) -> Server {
    let mut flags = vec!["--allow-private-outbound", "127.0.0.0/8", "--allow-http-outbound", "127.0.0.1"];
    flags.extend(url.iter().flat_map(|url| ["--database-url", url]));
    Server::start_with(folder, &flags)
}

/// The parts of an order, and where each stands.
fn parts(order: &Value) -> Vec<(&str, &str)> {
    let text = |one: &'_ Value, field: &str| one[field].as_str().map(str::len);
    let parts = order["parts"].as_array().unwrap();
    assert!(parts.iter().all(|one| text(one, "by").is_some()));
    parts.iter().map(|one| (one["reward_id"].as_str().unwrap(), one["state"].as_str().unwrap())).collect()
}

fn reason(order: &Value) -> &str {
    order["history"].as_array().unwrap().last().unwrap()["reason"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_of_codes_is_there_at_once_or_not_at_all() {
    for on_postgres in [false, true] {
        let shop = Shop::open(on_postgres).await;
        shop.upload(&["TICKET-1", "TICKET-2", "TICKET-3", "TICKET-4", "TICKET-5"]).await;
        let night = shop.order("night", "cinema-night", 2).await;
        let done = shop.until_state(&night, "completed").await;
        assert_eq!(parts(&done), [("cinema", "handed_out"), ("ten-off", "handed_out"), ("lounge", "handed_out")]);
        assert_eq!([&done["parts"][0]["by"], &done["parts"][2]["by"]], ["vault", "granted"]);
        assert_eq!(done["benefits"][0]["reward_id"], "lounge", "{done}");
        let codes = shop.codes(&night).await;
        let of = |part: &str| codes.iter().filter(|(of, _)| of == part).count();
        assert_eq!((of("cinema"), of("ten-off"), codes.len()), (4, 2, 6));
        let different: BTreeSet<&String> = codes.iter().map(|(_, code)| code).collect();
        assert_eq!(different.len(), 6);
        assert_eq!([shop.counts("cinema").await, shop.counts("ten-off").await], [[1, 0, 4], [0, 0, 2]]);
        // No answer that others read shows a code, and whoever has read them is on record.
        assert!(!done.to_string().contains("TICKET-"), "{done}");
        let (_, audit) = shop.server.get("/v1/audit?action=code.read").await;
        assert_eq!(audit["items"][0]["after"]["codes"], 6, "{audit}");

        // One ticket is left, and two are wanted: no coupon either, and the points are back.
        let before = shop.available().await;
        let dry = shop.order("dry", "cinema-night", 1).await;
        let back = shop.until_state(&dry, "cancelled").await;
        assert_eq!(reason(&back), "codes_ran_out");
        assert!(parts(&back).iter().all(|(_, state)| *state == "given_back"), "{back}");
        assert_eq!(shop.available().await, before);
        assert!(shop.codes(&dry).await.is_empty());
        assert_eq!([shop.counts("cinema").await, shop.counts("ten-off").await], [[1, 0, 4], [0, 0, 2]]);

        // Not by hand, and not more than can be handed out one by one.
        let body = json!({ "member_id": shop.member, "reward_id": "cinema-night", "capture": true });
        assert_eq!(shop.server.post("/v1/orders", "now", body).await.1["code"], "illegal_order_move");
        let body = json!({ "member_id": shop.member, "reward_id": "cinema-night", "quantity": 334 });
        let (status, refused) = shop.server.post("/v1/orders", "many", body).await;
        assert!(status == 422 && refused["detail"].as_str().unwrap().contains("333 at the most"), "{refused}");

        // The mug is sent by people, once the ticket is there.
        let gift = shop.order("box", "premiere-box", 1).await;
        let issued = shop.until_state(&gift, "issued").await;
        assert_eq!(parts(&issued), [("cinema", "handed_out"), ("mug", "to_be_sent")]);
        assert_eq!((issued.get("due_at"), shop.codes(&gift).await.len()), (None, 1));
        assert!(issued["moves"].as_array().unwrap().contains(&json!("ship")), "{issued}");
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(shop.get(&gift).await["state"], "issued", "the program does not complete what is not sent");
        let sent = json!({ "move": "ship", "shipment": { "carrier": "SF", "tracking_number": "SF1" } });
        assert_eq!(shop.step(&gift, sent).await.0, 201);
        assert_eq!(parts(&shop.get(&gift).await), [("cinema", "handed_out"), ("mug", "sent")]);
        assert_eq!(shop.step(&gift, json!({ "move": "complete" })).await.0, 201);
        // Without any ticket there is no mug.
        let none = shop.order("none", "premiere-box", 1).await;
        shop.until_state(&none, "cancelled").await;
        let (_, mug) = shop.server.get("/v1/rewards/mug").await;
        assert_eq!(mug["left"], 99, "{mug}");
        shop.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn suppliers_that_are_silent_lie_and_answer_late_deliver_each_part_once() {
    for on_postgres in [false, true] {
        let shop = Shop::open(on_postgres).await;
        shop.upload(&["TICKET-1", "TICKET-2"]).await;
        let deliver = "order.deliver";
        shop.partners.answers("cards", deliver, [Answer::Silent, Answer::OtherOrder, Answer::Deliver(&["CARD-0001"])]);
        shop.partners.answers("flowers", deliver, [Answer::Accept]);
        let feast = shop.order("feast", "feast", 1).await;
        let card = format!("{feast}.card");
        let flowers = format!("{feast}.flowers");
        // The ticket waits, and so does the card; nobody sees either before the flowers are there.
        let wanted = [("card", "ready"), ("cinema", "ready"), ("flowers", "promised")];
        shop.until(&feast, |order| order["parts"].is_array() && parts(order) == wanted).await;
        assert!(shop.codes(&feast).await.is_empty());
        assert_eq!(shop.counts("cinema").await, [1, 1, 0]);
        assert!(shop.differences().await.contains(&("answer_for_another_order".to_owned(), card.clone())));
        let asked = shop.partners.told("cards", &feast);
        assert!(asked.len() == 3 && asked.iter().all(|call| call["data"]["order_id"] == card.as_str()), "{asked:?}");
        // Each learns what it needs: the address is for the flowers alone.
        assert!(!asked[0].to_string().contains("Hidden"), "{asked:?}");
        let of_flowers = shop.partners.told("flowers", &feast);
        assert_eq!(of_flowers[0]["data"]["address"]["street"], "7 Hidden Lane");
        assert_eq!((of_flowers[0]["data"]["quantity"].as_i64(), of_flowers.len()), (Some(2), 1));
        // What is not its part it cannot speak of; neither of the order as a whole.
        for of in [&card, &feast] {
            let (status, refused) = shop.call_back("flowers", json!({ "order_id": of, "status": "delivered" })).await;
            assert_eq!((status, refused["code"].as_str()), (409, Some("not_its_order")));
        }
        // The card is delivered again and again: once is enough.
        let again = json!({ "order_id": card, "status": "delivered", "codes": ["CARD-0001"] });
        assert_eq!(shop.call_back("cards", again).await.0, 204);
        let late = json!({ "order_id": flowers, "status": "delivered", "codes": ["ROSE-0001", "ROSE-0002"] });
        for _ in 0..2 {
            assert_eq!(shop.call_back("flowers", late.clone()).await.0, 204);
        }
        let done = shop.until_state(&feast, "completed").await;
        assert!(parts(&done).iter().all(|(_, state)| *state == "handed_out"), "{done}");
        assert_eq!(done["parts"][0]["reference"], "S-1");
        let codes: BTreeSet<String> = shop.codes(&feast).await.into_iter().map(|(_, code)| code).collect();
        let wanted = ["CARD-0001", "ROSE-0001", "ROSE-0002"].map(str::to_owned);
        assert!(codes.len() == 4 && wanted.iter().all(|code| codes.contains(code)), "{codes:?}");
        assert!(codes.iter().any(|code| code.starts_with("TICKET-")), "{codes:?}");
        // Both know the same.
        assert!(shop.partners.told("cards", &feast).iter().all(|call| call["type"] == "order.deliver"));
        shop.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_supplier_refuses_is_cancelled_with_the_others_or_told_to_people() {
    for on_postgres in [false, true] {
        let mut shop = Shop::open(on_postgres).await;
        shop.upload(&["TICKET-1"]).await;
        let before = shop.available().await;
        // The card is there when the flowers are refused: it is cancelled, though the first try fails.
        shop.partners.answers("cards", "order.deliver", [Answer::Deliver(&["CARD-0001"])]);
        shop.partners.answers("cards", "order.cancel", [Answer::Status(500)]);
        shop.partners.answers("flowers", "order.deliver", [Answer::Refuse]);
        let refused = shop.order("refused", "feast", 1).await;
        let back = shop.until_state(&refused, "cancelled").await;
        assert_eq!((reason(&back), shop.available().await), ("supplier_refused", before));
        assert!(parts(&back).iter().all(|(_, state)| *state == "given_back"), "{back}");
        let started = Instant::now();
        let cancels = || {
            let told = shop.partners.told("cards", &refused);
            told.iter().filter(|call| call["type"] == "order.cancel").count()
        };
        while cancels() < 2 {
            assert!(started.elapsed() < Duration::from_secs(40), "{}", cancels());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Once it has heard it is told no more; what it had refused is not cancelled; the ticket is free, unseen.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!((cancels(), shop.partners.told("flowers", &refused).len()), (2, 1));
        assert_eq!([shop.counts("cinema").await, shop.counts("card").await], [[1, 0, 0], [0, 0, 0]]);
        assert!(shop.differences().await.is_empty(), "{:?}", shop.differences().await);
        // A late word of it is told to people.
        let card = format!("{refused}.card");
        assert_eq!(shop.call_back("cards", json!({ "order_id": card, "status": "delivered" })).await.0, 204);
        shop.until_told("delivered_after_return", &card).await;
        assert_eq!(shop.available().await, before);

        // One that knows of no cancelling, and one that will not: people are to see to it.
        for (key, cancels, answer) in [("no", false, None), ("will-not", true, Some(Answer::Refuse))] {
            assert_eq!(shop.keep("cards", json!({ "cancels": cancels })).await.0, 200);
            shop.partners.answers("cards", "order.deliver", [Answer::Deliver(&["CARD-0002"])]);
            shop.partners.answers("cards", "order.cancel", answer);
            shop.partners.answers("flowers", "order.deliver", [Answer::Refuse]);
            let order = shop.order(key, "feast", 1).await;
            shop.until_state(&order, "cancelled").await;
            shop.until_told("to_be_cancelled", &format!("{order}.card")).await;
            assert_eq!((shop.available().await, shop.counts("cinema").await), (before, [1, 0, 0]));
        }

        // The staff call an order off that a supplier has promised: whoever ends it, it is cancelled.
        shop.partners.answers("flowers", "order.deliver", [Answer::Accept]);
        let called_off = shop.order("called-off", "feast", 1).await;
        let promised =
            |order: &Value| order["parts"][2]["state"] == "promised" && order["parts"][0]["state"] == "ready";
        shop.until(&called_off, promised).await;
        assert_eq!(shop.step(&called_off, json!({ "move": "cancel" })).await.0, 201);
        let started = Instant::now();
        for name in ["cards", "flowers"] {
            let cancelled = || shop.partners.told(name, &called_off).iter().any(|call| call["type"] == "order.cancel");
            while !cancelled() {
                assert!(started.elapsed() < Duration::from_secs(40), "{name}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let started = Instant::now();
        while shop.counts("cinema").await != [1, 0, 0] {
            assert!(started.elapsed() < Duration::from_secs(40), "{:?}", shop.counts("cinema").await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }

        // A server that dies while the second supplier thinks: nobody is asked for another, and all of it comes.
        assert_eq!(shop.keep("flowers", json!({ "timeout_ms": 5000 })).await.0, 200);
        shop.partners.answers("flowers", "order.deliver", [Answer::Silent]);
        let cut = shop.order("cut", "feast", 1).await;
        let started = Instant::now();
        while shop.partners.told("flowers", &cut).is_empty() {
            assert!(started.elapsed() < Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        shop.server.kill();
        shop.server = start(shop.folder.path(), shop.url.as_deref());
        shop.until_state(&cut, "completed").await;
        assert_eq!((shop.partners.told("cards", &cut).len(), shop.partners.told("flowers", &cut).len()), (1, 2));
        assert_eq!(shop.codes(&cut).await, [("cinema".to_owned(), "TICKET-1".to_owned())]);
        shop.close();
    }
}

/// What the engine does while no server runs.
fn by_hand<T: Send, W>(folder: &Path, url: Option<&str>, work: W) -> T
where
    W: AsyncFnOnce(&guerdon_store::EngineHandle) -> T + Send,
{
    let run = || {
        let store: Box<dyn Store> = match url {
            Some(url) => Box::new(PostgresStore::open(url).unwrap()),
            None => Box::new(SqliteStore::open(DataDir::open(folder).unwrap()).unwrap()),
        };
        let engine = Engine::start(store).unwrap();
        let handle = engine.handle();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let done = runtime.block_on(work(&handle));
        drop(handle);
        drop(engine.stop().unwrap());
        done
    };
    tokio::task::block_in_place(|| std::thread::scope(|scope| scope.spawn(run).join().unwrap()))
}

/// An order for a night at the cinema, taken so many steps on its way by a process that then dies.
async fn abandoned(engine: &guerdon_store::EngineHandle, member: MemberId, steps: usize) -> OrderId {
    let now = engine.now();
    let redeem = Command::redeem(member, "left", now, "cinema-night", 1, false).unwrap();
    let receipt: Receipt = serde_json::from_str(&engine.submit_one(redeem).await.unwrap().receipt).unwrap();
    let id = receipt.order.unwrap().id;
    let order = support_order(id, member, now);
    let move_on =
        async |step| drop(engine.submit_one(Command::fulfilment_step(&order, member, step, now, None)).await.unwrap());
    let claim = async |reward: &str, quantity: i64, made: Option<(CodeOrigin, Vec<SealedCode>)>| {
        let claim = CodeClaim { reward_id: reward.to_owned(), order: id, member, quantity, at: now, made };
        assert!(matches!(engine.claim_codes(claim).await.unwrap(), Claimed::Codes(_)));
    };
    for step in 0..steps {
        match step {
            0 => move_on(OrderMove::Fulfil).await,
            1 => claim("cinema", 2, None).await,
            2 => move_on(OrderMove::Issue).await,
            _ => move_on(OrderMove::Complete).await,
        }
    }
    id
}

/// As much of an order as its steps are named by.
fn support_order(id: OrderId, member_id: MemberId, at: Timestamp) -> guerdon_core::redemption::Order {
    guerdon_core::redemption::Order {
        id,
        member_id,
        reward_id: "cinema-night".to_owned(),
        quantity: 1,
        points: 1_600,
        currency: guerdon_core::ledger::CurrencyId(1),
        state: guerdon_core::redemption::OrderState::Placed,
        holds: Vec::new(),
        created_at: at,
        updated_at: at,
        due_at: None,
        details: guerdon_core::redemption::OrderDetails::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_was_left_between_any_two_steps_is_finished_with_the_same_codes() {
    for on_postgres in [false, true] {
        let mut shop = Shop::open(on_postgres).await;
        let mut members = vec![shop.member.clone()];
        for number in 1..4 {
            members.push(shop.server.member(&format!("m{number}"), 5_000).await);
        }
        // Two more than are handed out: those of the one that is called off are free only some time later.
        let tickets = (1..=8).map(|number| format!("TICKET-{number}")).collect::<Vec<_>>();
        shop.upload(&tickets.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert_eq!(shop.server.interrupt(), 0);
        let members: Vec<MemberId> = members.iter().map(|member| member.parse().unwrap()).collect();
        let left = by_hand(shop.folder.path(), shop.url.as_deref(), async |engine| {
            let mut left = Vec::new();
            for (steps, member) in members.iter().take(3).enumerate() {
                left.push(abandoned(engine, *member, steps).await.to_string());
            }
            // One whose tickets were set aside was called off before it was handed over.
            let back = abandoned(engine, members[3], 2).await;
            engine.submit_one(Command::release(members[3], "called off", engine.now(), back).unwrap()).await.unwrap();
            left
        });
        shop.server = start(shop.folder.path(), shop.url.as_deref());
        let mut seen = BTreeSet::new();
        for order in &left {
            shop.until_state(order, "completed").await;
            let codes = shop.codes(order).await;
            assert_eq!(codes.len(), 3, "{codes:?}");
            assert!(codes.iter().all(|(_, code)| seen.insert(code.clone())), "a code was given twice");
        }
        let started = Instant::now();
        while shop.counts("cinema").await != [2, 0, 6] {
            assert!(started.elapsed() < Duration::from_secs(40), "{:?}", shop.counts("cinema").await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        shop.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_among_bundles_loses_and_doubles_no_part() {
    const ORDERS: usize = 24;
    let mut shop = Shop::open(false).await;
    let tickets: Vec<String> = (0..2 * ORDERS - 4).map(|number| format!("TICKET-{number:03}")).collect();
    shop.upload(&tickets.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for round in 0..3 {
        let orders = (0..ORDERS / 3).map(|number| {
            let body = json!({ "member_id": shop.member, "reward_id": "cinema-night" }).to_string();
            let request = shop.server.client.post(format!("{}/v1/orders", shop.server.address));
            let request = request.header("idempotency-key", format!("o-{round}-{number}")).body(body);
            tokio::spawn(async move { request.send().await.unwrap().text().await.unwrap() })
        });
        let mut placed = Vec::new();
        for order in orders.collect::<Vec<_>>() {
            placed.push(order.await.unwrap());
        }
        assert_eq!(placed.len(), ORDERS / 3);
        tokio::time::sleep(Duration::from_millis(10 * round)).await;
        shop.server.kill();
        shop.server = start(shop.folder.path(), None);
    }
    let (mut given, mut back) = (BTreeSet::new(), 0);
    for (round, number) in (0..3).flat_map(|round| (0..ORDERS / 3).map(move |number| (round, number))) {
        let body = json!({ "member_id": shop.member, "reward_id": "cinema-night" });
        let (_, receipt) = shop.server.post("/v1/orders", &format!("o-{round}-{number}"), body).await;
        let id = receipt["order"]["id"].as_str().unwrap().to_owned();
        let ended = |order: &Value| order["state"] == "completed" || order["state"] == "cancelled";
        if shop.until(&id, ended).await["state"] == "cancelled" {
            back += 1;
            continue;
        }
        let codes = shop.codes(&id).await;
        assert!(codes.len() == 3 && codes.into_iter().all(|(_, code)| given.insert(code)), "{id}");
    }
    assert_eq!((given.len(), back), (3 * (ORDERS - 2), 2), "tickets for all but two");
    assert_eq!(shop.available().await, 100_000 - i64::try_from(ORDERS - 2).unwrap() * 1_600);
    let started = Instant::now();
    while shop.counts("cinema").await[1] != 0 || shop.counts("ten-off").await != [0, 0, 22] {
        assert!(started.elapsed() < Duration::from_secs(40), "{:?}", shop.counts("ten-off").await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    shop.close();
}

async fn tap(client: &Client, css: &str) {
    let place = "document.querySelector(arguments[0]).scrollIntoView({ block: 'center', behavior: 'instant' })";
    client.execute(place, vec![json!(css)]).await.unwrap();
    client.find(Locator::Css(css)).await.unwrap_or_else(|_| panic!("there is no {css}")).click().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn members_and_staff_see_each_part_with_its_state_and_its_codes() {
    const PHONE: &str = "13800138000";
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    crate::support::init(&data, PROGRAM);
    let gateway = Gateway::start();
    let server = Server::start_with(&data, &gateway.flags());
    let (_, receipt) = server.post("/v1/members", "ann", json!({ "name": "Ann", "phone": PHONE })).await;
    let ann = receipt["member_id"].as_str().unwrap().to_owned();
    let opening = json!({ "points": 9_000, "reason": "opening balance" });
    assert_eq!(server.post(&format!("/v1/members/{ann}/adjustments"), "opening", opening).await.0, 201);
    let codes = json!({ "codes": ["TICKET-00001", "TICKET-00002", "TICKET-00003"] });
    assert_eq!(server.post("/v1/rewards/cinema/codes", "", codes).await.0, 201);
    let mut staff = Person::new(&server);
    staff.set_up(&server.setup_link, "bo@example.org", "Bo", "seven sunny orange bicycles").await;
    let mut person = Person::new(&server);
    assert_eq!(person.post("/portal/sign-in", &[("to", PHONE)]).await.0, 303);
    let code = gateway.code(0, PHONE).await;
    assert_eq!(person.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
    let (driver, client) = browser(&data.join("profile")).await;
    enter(&client, &server, &person).await;
    small_phone(&client).await;
    let mut orders = Vec::new();
    for (language, reward, words) in [
        ("en", "cinema-night", ["Your codes", "What it holds", "2 × Cinema ticket: handed out", "TICKET-0000"]),
        ("zh-CN", "premiere-box", ["您的兑换码", "包含内容", "马克杯：准备寄出", "TICKET-0000"]),
    ] {
        client.goto(&format!("{}/portal/rewards/{reward}?lang={language}", server.address)).await.unwrap();
        tap(&client, "form.confirm button").await;
        let page = shown(&client, &words).await;
        assert!(words.iter().all(|word| page.contains(word)), "{page}");
        assert_eq!(sideways(&client).await, 0, "{language}");
        let address = client.current_url().await.unwrap();
        orders.push(address.path().rsplit('/').next().unwrap().to_owned());
        whole_page(&client, 360, &format!("portal-bundle-{reward}-{language}")).await;
        small_phone(&client).await;
    }
    enter(&client, &server, &staff).await;
    for (language, words) in [("en", ["being prepared", "Ship"]), ("zh-CN", ["准备寄出", "首映礼盒"])] {
        for width in [1_440, 360] {
            size(&client, width, 800).await;
            client.goto(&format!("{}/console/orders/{}?lang={language}", server.address, orders[1])).await.unwrap();
            let page = shown(&client, &words).await;
            assert!(words.iter().all(|word| page.contains(word)), "{page}");
            assert_eq!(sideways(&client).await, 0, "{language} {width}");
            whole_page(&client, width, &format!("console-bundle-{language}-{width}")).await;
        }
    }
    // The codes of each part, and what is told of who has looked.
    size(&client, 1_440, 800).await;
    client.goto(&format!("{}/console/orders/{}?lang=en", server.address, orders[0])).await.unwrap();
    tap(&client, "form[action$='/codes'] button").await;
    let page = shown(&client, &["Cinema ticket", "TICKET-0000"]).await;
    assert!(page.contains("¥10 off"), "{page}");
    whole_page(&client, 1_440, "console-bundle-codes").await;
    client.close().await.unwrap();
    drop(driver);
}
