//! Codes and coupons on their way to members: at once, each to one order, through crashes and when the vault runs dry.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use fantoccini::{Client, Locator};
use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Command, Receipt};
use guerdon_core::ledger::CurrencyId;
use guerdon_core::redemption::{Order, OrderDetails, OrderMove, OrderState};
use guerdon_store::{Claimed, CodeClaim, DataDir, Engine, PostgresStore, SqliteStore, Store};
use guerdon_tests::postgres;
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, shown, sideways, small_phone, whole_page};
use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, guerdon};

const PROGRAM: &str = include_str!("../../../../programs/examples/fulfilment.toml");

/// A database of either engine in which the program is published.
struct Place {
    folder: tempfile::TempDir,
    url: Option<String>,
}

impl Place {
    fn new(on_postgres: bool) -> Self {
        let place =
            Self { folder: tempfile::tempdir().unwrap(), url: on_postgres.then(|| postgres::shared().database()) };
        let file = place.folder.path().join("program.toml");
        std::fs::write(&file, PROGRAM).unwrap();
        let (code, _, error) = guerdon(&[&["init", "--program", file.to_str().unwrap()][..], &place.flags()].concat());
        assert_eq!(code, 0, "{error}");
        place
    }

    fn data(&self) -> &Path {
        self.folder.path()
    }

    fn flags(&self) -> Vec<&str> {
        let mut flags = vec!["--data-dir", self.data().to_str().unwrap()];
        flags.extend(self.url.iter().flat_map(|url| ["--database-url", url.as_str()]));
        flags
    }

    fn start(&self, more: &[&str]) -> Server {
        let database: Vec<&str> = self.url.iter().flat_map(|url| ["--database-url", url.as_str()]).collect();
        Server::start_with(self.data(), &[&database, more].concat())
    }

    /// What the engine does while no server runs.
    fn by_hand<T>(&self, work: impl AsyncFnOnce(&guerdon_store::EngineHandle) -> T) -> T {
        let store: Box<dyn Store> = match &self.url {
            Some(url) => Box::new(PostgresStore::open(url).unwrap()),
            None => Box::new(SqliteStore::open(DataDir::open(self.data()).unwrap()).unwrap()),
        };
        let engine = Engine::start(store).unwrap();
        let handle = engine.handle();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let done = runtime.block_on(work(&handle));
        drop(handle);
        drop(engine.stop().unwrap());
        done
    }

    fn verify(&self) {
        let (code, out, _) = guerdon(&[&["verify"][..], &self.flags()].concat());
        assert_eq!(code, 0, "{out}");
    }
}

async fn upload(server: &Server, reward: &str, codes: &[String]) -> (u16, Value) {
    server.post(&format!("/v1/rewards/{reward}/codes"), "", json!({ "codes": codes })).await
}

fn tickets(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("TICKET-{number:05}")).collect()
}

async fn order(server: &Server, key: &str, member: &str, reward: &str, quantity: i64) -> String {
    let body = json!({ "member_id": member, "reward_id": reward, "quantity": quantity });
    let (status, receipt) = server.post("/v1/orders", key, body).await;
    // Also one that was made before.
    assert!(matches!(status, 200 | 201), "{receipt}");
    receipt["order"]["id"].as_str().unwrap().to_owned()
}

/// The order once it stands so; after a while as it is.
async fn until(server: &Server, order: &str, state: &str) -> Value {
    let started = Instant::now();
    loop {
        let (_, found) = server.get(&format!("/v1/orders/{order}")).await;
        if found["state"] == state {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{order} is not {state}: {found}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn codes(server: &Server, order: &str) -> Vec<String> {
    let (status, codes) = server.get(&format!("/v1/orders/{order}/codes")).await;
    assert_eq!(status, 200, "{codes}");
    codes.as_array().unwrap().iter().map(|code| code["code"].as_str().unwrap().to_owned()).collect()
}

async fn counts(server: &Server, reward: &str) -> [i64; 3] {
    let (_, counts) = server.get(&format!("/v1/rewards/{reward}/codes")).await;
    ["free", "claimed", "issued"].map(|field| counts[field].as_i64().unwrap())
}

async fn available(server: &Server, member: &str) -> i64 {
    server.get(&format!("/v1/members/{member}/wallet")).await.1[0]["available"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_there_within_a_second_and_nowhere_in_the_clear() {
    for on_postgres in [false, true] {
        let place = Place::new(on_postgres);
        let mut server = place.start(&[]);
        let ann = server.member("ann", 10_000).await;
        assert_eq!(
            upload(&server, "cinema", &tickets(0..3)).await,
            (201, json!({ "free": 3, "claimed": 0, "issued": 0 }))
        );
        let (status, refused) = upload(&server, "cinema", &[&tickets(3..4)[..], &tickets(1..2)].concat()).await;
        assert_eq!((status, refused["code"].as_str()), (409, Some("duplicate_codes")), "{refused}");
        assert!(refused["detail"].as_str().unwrap().contains("number 2 of the list"), "{refused}");
        let (_, refused) = upload(&server, "ten-off", &tickets(9..10)).await;
        assert_eq!(refused["code"], "no_vault");

        // Quote → order → completed; the best of three, because other stories run beside this one.
        let (mut first, mut done, mut fastest) = (String::new(), Value::Null, Duration::MAX);
        for number in 0..3 {
            let started = Instant::now();
            let (_, quote) = server.post("/v1/quotes", "", json!({ "member_id": ann, "reward_id": "cinema" })).await;
            let (status, receipt) =
                server.post("/v1/orders", &format!("q-{number}"), json!({ "quote": quote["quote"] })).await;
            assert_eq!(status, 201, "{receipt}");
            receipt["order"]["id"].as_str().unwrap().clone_into(&mut first);
            done = until(&server, &first, "completed").await;
            fastest = fastest.min(started.elapsed());
        }
        assert!(fastest < Duration::from_secs(1), "{fastest:?}");
        let states: Vec<&str> =
            done["history"].as_array().unwrap().iter().map(|step| step["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["placed", "fulfilling", "issued", "completed"]);
        let got = codes(&server, &first).await;
        assert!(got.len() == 1 && got[0].starts_with("TICKET-"), "{got:?}");
        assert_eq!(codes(&server, &first).await, got);

        // A coupon says what it is worth; two units are two codes.
        let coupon = order(&server, "o-2", &ann, "ten-off", 2).await;
        until(&server, &coupon, "completed").await;
        let (_, made) = server.get(&format!("/v1/orders/{coupon}/codes")).await;
        assert_eq!(
            (made[0]["terms"]["value"].as_str(), made[1]["terms"]["minimum"].as_str()),
            (Some("10"), Some("50"))
        );
        assert!(made[0]["terms"]["valid_until"].is_string() && made[0]["code"] != made[1]["code"], "{made}");

        // Whoever has read a code is on record; the code itself stands in nothing that others read.
        let (_, audit) = server.get("/v1/audit?action=code.read").await;
        assert_eq!(audit["items"].as_array().unwrap().len(), 3, "{audit}");
        let transactions = server.text(&format!("/v1/members/{ann}/transactions")).await.1;
        let (events, audit) = (server.text("/v1/events").await.1, server.text("/v1/audit").await.1);
        for text in [transactions, events, audit, server.text(&format!("/v1/orders/{first}")).await.1] {
            assert!(!text.contains("TICKET-"), "{text}");
        }
        assert_eq!(server.interrupt(), 0);
        if !on_postgres {
            for file in std::fs::read_dir(place.data()).unwrap().map(|file| file.unwrap().path()) {
                let bytes = std::fs::read(&file).unwrap_or_default();
                assert!(!bytes.windows(7).any(|window| window == b"TICKET-"), "{}", file.display());
            }
        }
        place.verify();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_vault_gives_the_points_back_and_the_member_is_told() {
    const PHONE: &str = "13800138000";
    for on_postgres in [false, true] {
        let place = Place::new(on_postgres);
        let gateway = Gateway::start();
        let mut server = place.start(&gateway.flags());
        let (_, receipt) = server.post("/v1/members", "ann", json!({ "name": "Ann", "phone": PHONE })).await;
        let ann = receipt["member_id"].as_str().unwrap().to_owned();
        let opening = json!({ "points": 2_000, "reason": "opening balance" });
        assert_eq!(server.post(&format!("/v1/members/{ann}/adjustments"), "opening", opening).await.0, 201);
        upload(&server, "cinema", &tickets(0..1)).await;
        // Two are wanted and one is there: none is given.
        let order = order(&server, "o-1", &ann, "cinema", 2).await;
        let cancelled = until(&server, &order, "cancelled").await;
        let last = cancelled["history"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["reason"], "codes_ran_out", "{cancelled}");
        assert_eq!(available(&server, &ann).await, 2_000);
        assert_eq!(counts(&server, "cinema").await, [1, 0, 0]);
        assert!(codes(&server, &order).await.is_empty());
        // By message, without any consent to advertisement, and in the feed.
        let (to, text) = gateway.message(0).await;
        assert_eq!(to, PHONE);
        assert!(text.contains("Cinema ticket") && text.contains("800 points are back"), "{text}");
        let (_, events) = server.get("/v1/events").await;
        let told = events.as_array().unwrap().iter().find(|event| event["type"] == "guerdon.order_given_back").unwrap();
        assert_eq!((&told["data"]["order"], &told["data"]["points"]), (&json!(order), &json!(800)));
        // And in the portal.
        let mut person = Person::new(&server);
        assert_eq!(person.post("/portal/sign-in", &[("to", PHONE)]).await.0, 303);
        let code = gateway.code(1, PHONE).await;
        assert_eq!(person.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
        let (_, page) = person.get(&format!("/portal/orders/{order}")).await;
        assert!(page.contains("Your points are back") && page.contains("There are no codes left."), "{page}");
        assert_eq!(server.interrupt(), 0);
        place.verify();
    }
}

/// The order of a member, taken so many steps on its way by a process that then dies.
async fn abandoned(
    engine: &guerdon_store::EngineHandle,
    member: MemberId,
    key: &str,
    steps: usize,
) -> (OrderId, Vec<[u8; 32]>) {
    let now = engine.now();
    let accepted = async |command: Command| -> Receipt {
        serde_json::from_str(&engine.submit_one(command).await.unwrap().receipt).unwrap()
    };
    let receipt = accepted(Command::redeem(member, key, now, "cinema", 1, false).unwrap()).await;
    let id = receipt.order.unwrap().id;
    let order = Order {
        id,
        member_id: member,
        reward_id: "cinema".to_owned(),
        quantity: 1,
        points: 400,
        currency: CurrencyId(1),
        state: OrderState::Placed,
        holds: Vec::new(),
        created_at: now,
        updated_at: now,
        due_at: None,
        details: OrderDetails::default(),
    };
    let mut digests = Vec::new();
    for step in 0..steps {
        let command = |step| Command::fulfilment_step(&order, member, step, now, None);
        match step {
            0 => drop(accepted(command(OrderMove::Fulfil)).await),
            1 => {
                let claim =
                    CodeClaim { reward_id: "cinema".to_owned(), order: id, member, quantity: 1, at: now, made: None };
                let Claimed::Codes(codes) = engine.claim_codes(claim).await.unwrap() else { panic!("there are some") };
                digests = codes.iter().map(|code| code.digest).collect();
            }
            2 => drop(accepted(command(OrderMove::Issue)).await),
            _ => drop(accepted(command(OrderMove::Complete)).await),
        }
    }
    (id, digests)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_left_between_any_two_steps_is_finished_with_the_same_code() {
    for on_postgres in [false, true] {
        let place = Place::new(on_postgres);
        let mut server = place.start(&[]);
        let mut members = Vec::new();
        for number in 0..6 {
            members.push(server.member(&format!("m{number}"), 1_000).await);
        }
        upload(&server, "cinema", &tickets(0..6)).await;
        assert_eq!(server.interrupt(), 0);
        let left = tokio::task::block_in_place(|| {
            std::thread::scope(|scope| {
                let work = || {
                    place.by_hand(async |engine| {
                        let mut left = Vec::new();
                        for (steps, member) in members.iter().take(5).enumerate() {
                            let member: MemberId = member.parse().unwrap();
                            left.push(abandoned(engine, member, "left", steps).await);
                        }
                        // One that had its code was called off before it was handed over.
                        let member: MemberId = members[5].parse().unwrap();
                        let (order, _) = abandoned(engine, member, "left", 2).await;
                        let cancel = Command::release(member, "called off", engine.now(), order).unwrap();
                        engine.submit_one(cancel).await.unwrap();
                        left
                    })
                };
                scope.spawn(work).join().unwrap()
            })
        });
        server = place.start(&[]);
        let mut seen = BTreeSet::new();
        for (order, _) in &left {
            until(&server, &order.to_string(), "completed").await;
            let got = codes(&server, &order.to_string()).await;
            assert_eq!(got.len(), 1);
            assert!(seen.insert(got[0].clone()), "a code was given twice");
        }
        // Each of them once; the one that nobody saw is free again.
        let started = Instant::now();
        while counts(&server, "cinema").await != [1, 0, 5] {
            assert!(started.elapsed() < Duration::from_secs(30), "{:?}", counts(&server, "cinema").await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for (member, left) in members.iter().zip([600, 600, 600, 600, 600, 1_000]) {
            assert_eq!(available(&server, member).await, left);
        }
        assert_eq!(server.interrupt(), 0);
        place.verify();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_among_orders_loses_and_doubles_no_code() {
    const ORDERS: usize = 60;
    for on_postgres in [false, true] {
        let place = Place::new(on_postgres);
        let mut server = place.start(&[]);
        let ann = server.member("ann", 100_000).await;
        upload(&server, "cinema", &tickets(0..50)).await;
        for round in 0..3 {
            let orders = (0..ORDERS / 3).map(|number| {
                let body = json!({ "member_id": ann, "reward_id": "cinema" }).to_string();
                let request = server.client.post(format!("{}/v1/orders", server.address));
                let request = request.header("idempotency-key", format!("o-{round}-{number}")).body(body);
                tokio::spawn(async move { request.send().await.unwrap().text().await.unwrap() })
            });
            for order in orders.collect::<Vec<_>>() {
                order.await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(15 * round)).await;
            server.kill();
            server = place.start(&[]);
        }
        let mut ids = Vec::new();
        for (round, number) in (0..3).flat_map(|round| (0..ORDERS / 3).map(move |number| (round, number))) {
            ids.push(order(&server, &format!("o-{round}-{number}"), &ann, "cinema", 1).await);
        }
        let (mut given, mut back) = (BTreeSet::new(), 0);
        for id in &ids {
            let started = Instant::now();
            loop {
                let (_, found) = server.get(&format!("/v1/orders/{id}")).await;
                match found["state"].as_str().unwrap() {
                    "completed" => {
                        let got = codes(&server, id).await;
                        assert!(got.len() == 1 && given.insert(got[0].clone()), "{id}: {got:?}");
                        break;
                    }
                    "cancelled" => {
                        back += 1;
                        break;
                    }
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
                assert!(started.elapsed() < Duration::from_secs(30), "{found}");
            }
        }
        assert_eq!((given.len(), back), (50, 10), "50 codes for 60 orders");
        assert_eq!(available(&server, &ann).await, 100_000 - 50 * 400);
        let started = Instant::now();
        while counts(&server, "cinema").await != [0, 0, 50] {
            assert!(started.elapsed() < Duration::from_secs(30), "{:?}", counts(&server, "cinema").await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(server.interrupt(), 0);
        place.verify();
    }
}

async fn tap(client: &Client, css: &str) {
    let place = "document.querySelector(arguments[0]).scrollIntoView({ block: 'center', behavior: 'instant' })";
    client.execute(place, vec![json!(css)]).await.unwrap();
    client.find(Locator::Css(css)).await.unwrap_or_else(|_| panic!("there is no {css}")).click().await.unwrap();
}

/// From the list of rewards to the code in the hand: two taps, and well under 30 seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_redeems_a_code_by_two_taps_on_a_small_phone() {
    const PHONE: &str = "13800138000";
    let place = Place::new(false);
    let gateway = Gateway::start();
    let server = place.start(&gateway.flags());
    let (_, receipt) = server.post("/v1/members", "ann", json!({ "name": "Ann", "phone": PHONE })).await;
    let ann = receipt["member_id"].as_str().unwrap().to_owned();
    let opening = json!({ "points": 9_000, "reason": "opening balance" });
    assert_eq!(server.post(&format!("/v1/members/{ann}/adjustments"), "opening", opening).await.0, 201);
    upload(&server, "cinema", &tickets(0..1)).await;
    let mut person = Person::new(&server);
    assert_eq!(person.post("/portal/sign-in", &[("to", PHONE)]).await.0, 303);
    let code = gateway.code(0, PHONE).await;
    assert_eq!(person.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
    let (driver, client) = browser(&place.data().join("profile")).await;
    enter(&client, &server, &person).await;
    small_phone(&client).await;
    for (language, reward, words) in [
        ("en", "cinema", ["Your code", "TICKET-00000"]),
        ("zh-CN", "ten-off", ["您的兑换码", "面值"]),
        // The vault is empty by now.
        ("en", "cinema", ["Your points are back", "There are no codes left."]),
    ] {
        client.goto(&format!("{}/portal/rewards?lang={language}", server.address)).await.unwrap();
        let started = Instant::now();
        tap(&client, &format!("a[href='/portal/rewards/{reward}']")).await;
        shown(&client, &[if language == "en" { "Redeem for" } else { "兑换" }]).await;
        tap(&client, "form.confirm button").await;
        let page = shown(&client, &words).await;
        assert!(words.iter().all(|word| page.contains(word)), "{page}");
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
        assert_eq!(sideways(&client).await, 0, "{language}");
        whole_page(&client, 360, &format!("portal-code-{reward}-{language}-{}", words[0].len())).await;
        small_phone(&client).await;
    }
    client.close().await.unwrap();
    drop(driver);
}
