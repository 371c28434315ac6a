//! A till asks for the price of a redemption, shows how it is made, and orders at it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use guerdon_core::id::MemberId;
use guerdon_core::ledger::CurrencyId;
use guerdon_core::limits::QUOTE_MS;
use guerdon_core::privacy::{KeyWrap, Keyring, MasterKey};
use guerdon_core::rewards::{Promise, Quote};
use guerdon_core::time::Timestamp;
use guerdon_store::{DataDir, SqliteStore, open_keyring};
use serde_json::{Value, json};

use crate::support::person::Person;
use crate::support::{Server, init};

const PROGRAM: &str = r#"
    program = { id = "club", name = "Club", money = "CNY", time_zone = "Asia/Shanghai", reward_margin = 20 }
    currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100 }]
    tiers = [{ id = "gold", name = "Gold", rank = 1, qualify = [{ spend = 100, window = "lifetime" }] }]
    rewards = [
        { id = "pot", name = "Pot", stock = 10, price = { cost = 50, tiers = { gold = { percent = 90 } }, curve = [{ up_to = 1000, worth = 120 }] } },
        { id = "cup", name = "Cup", price = { points = 1000, demand = { ceiling = 110, steps = [{ orders = 2, percent = 5 }, { views = 3, percent = 15 }] } } },
        { id = "jug", name = "Jug", price = { points = 1000, cold = { days = 7, percent = 75 }, demand = { ceiling = 115, steps = [{ orders = 2, percent = 5 }] } } },
    ]"#;

/// The keys of the program, as only the server has them.
fn keyring(data: &Path) -> Keyring {
    let masters = MasterKey::parse_all(&std::fs::read_to_string(data.join("master.key")).unwrap()).unwrap();
    let masters: Vec<Arc<dyn KeyWrap>> =
        masters.into_iter().map(|master| Arc::new(master) as Arc<dyn KeyWrap>).collect();
    let mut store = SqliteStore::open(DataDir::open(data).unwrap()).unwrap();
    open_keyring(&mut store, &masters).unwrap().unwrap()
}

fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(elapsed.as_millis() as i64)
}

async fn quoted(server: &Server, body: Value) -> Value {
    let (status, quote) = server.post("/v1/quotes", "", body).await;
    assert_eq!(status, 200, "{quote}");
    quote
}

async fn order(server: &Server, key: &str, quote: &Value) -> (u16, Value) {
    server.post("/v1/orders", key, json!({ "quote": quote, "capture": true })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_till_orders_at_the_price_that_it_has_shown() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, PROGRAM);
    drop(Server::start(&data));
    let keyring = keyring(&data);
    let server = Server::start(&data);
    let ann = server.member("ann", 100_000).await;

    // ¥50 and 20 % are ¥60: 6,000 points, of which the first 1,000 pay for 1,200. The cost itself is not told.
    let quote = quoted(&server, json!({ "external_id": "ann", "reward_id": "pot" })).await;
    assert_eq!((&quote["points"], &quote["unit_price"], &quote["quantity"]), (&json!(5_800), &json!(6_000), &json!(1)));
    assert_eq!((&quote["member_id"], &quote["currency"]), (&json!(ann), &json!("points")));
    assert_eq!(
        quote["steps"],
        json!([
            { "step": "cost", "before": 0, "after": 6_000, "point_value": "0.01" },
            { "step": "curve", "before": 6_000, "after": 5_800, "curve": [{ "up_to": 1_000, "worth": "120" }] },
        ])
    );
    let left = Timestamp::parse_rfc3339(quote["expires_at"].as_str().unwrap()).unwrap().as_millis() - now().as_millis();
    assert!((QUOTE_MS - 30_000..=QUOTE_MS).contains(&left), "{left}");
    let (status, receipt) = order(&server, "pot-1", &quote["quote"]).await;
    assert_eq!((status, &receipt["points"]), (201, &json!(-5_800)), "{receipt}");
    let made = &receipt["order"];
    assert_eq!(
        (&made["unit_price"], &made["quoted"], &made["reward_id"]),
        (&json!(6_000), &json!(true), &json!("pot"))
    );
    // The same request again is answered as it was.
    assert_eq!(order(&server, "pot-1", &quote["quote"]).await, (200, receipt));

    // Gold pays 90 %; whoever was promised a price before pays that.
    let purchase = json!({ "external_id": "ann", "activity": { "kind": "purchase", "amount": 20_000 } });
    assert_eq!(server.post("/v1/activities", "buys", purchase).await.0, 201);
    let two = quoted(&server, json!({ "member_id": ann, "reward_id": "pot", "quantity": 2 })).await;
    assert_eq!(
        two["steps"][1],
        json!({ "step": "tier", "before": 6_000, "after": 5_400, "tier": "gold", "percent": "90" })
    );
    assert_eq!(two["steps"][2], json!({ "step": "quantity", "before": 5_400, "after": 10_800, "quantity": 2 }));
    assert_eq!((&two["unit_price"], &two["points"]), (&json!(5_400), &json!(10_600)));
    assert_eq!(order(&server, "pot-2", &quote["quote"]).await.1["points"], -5_800);

    // A quote that is over: refused, with the price now. A retry of what was ordered at one is not.
    let member: MemberId = ann.parse().unwrap();
    let promise =
        Promise { unit: 1, points: 1, cash: None, currency: CurrencyId(1), expires_at: now().plus_millis(-1) };
    let over = Quote { member_id: member, reward_id: "pot".to_owned(), quantity: 1, promise };
    let (status, problem) = order(&server, "late", &json!(over.seal(&keyring))).await;
    assert_eq!((status, &problem["code"]), (409, &json!("quote_expired")), "{problem}");
    assert_eq!((&problem["quote"]["points"], &problem["quote"]["member_id"]), (&json!(5_200), &json!(ann)));
    let (status, receipt) = order(&server, "late", &problem["quote"]["quote"]).await;
    assert_eq!((status, &receipt["points"]), (201, &json!(-5_200)), "{receipt}");

    // One that somebody has made up, or changed a letter of.
    let other = Keyring::generate(Arc::new(MasterKey::new([7; 32])), [7; 76]).unwrap().0;
    let forged = Quote { promise: Promise { expires_at: now().plus_millis(QUOTE_MS), ..promise }, ..over.clone() };
    let (status, problem) = order(&server, "cheap", &json!(forged.seal(&other))).await;
    assert_eq!((status, &problem["code"], &problem["quote"]["points"]), (409, &json!("quote_altered"), &json!(5_200)));
    let (status, problem) = order(&server, "pot-1", &json!(forged.seal(&other))).await;
    assert_eq!((status, &problem["code"]), (422, &json!("idempotency_mismatch")), "{problem}");
    let token = two["quote"].as_str().unwrap();
    for index in 0..token.len() {
        let letter = if &token[index..=index] == "A" { "B" } else { "A" };
        let altered = format!("{}{letter}{}", &token[..index], &token[index + 1..]);
        let (status, problem) = order(&server, "altered", &json!(altered)).await;
        assert_eq!((status, &problem["code"]), (409, &json!("quote_altered")), "{index}: {problem}");
    }
    for (body, status, code) in [
        (json!({ "quote": "x".repeat(600) }), 409, "quote_altered"),
        (json!({ "quote": token, "quantity": 2 }), 400, "invalid_request"),
        (json!({ "quote": token, "external_id": "ann" }), 400, "invalid_request"),
        (json!({ "quote": token, "reward_id": "pot" }), 400, "invalid_request"),
        (json!({ "external_id": "ann" }), 400, "invalid_request"),
    ] {
        let (found, problem) = server.post("/v1/orders", "unfit", body).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{problem}");
    }
    // Nothing of all that has taken a point.
    let (_, account) = server.get(&format!("/v1/members/{ann}")).await;
    assert_eq!(account["available"], 100_000 - 5_800 - 5_800 - 5_200);
    refused_quotes(&server, &ann).await;
}

async fn refused_quotes(server: &Server, ann: &str) {
    for (body, status, code) in [
        (json!({ "member_id": ann, "reward_id": "boat" }), 404, "unknown_reward"),
        (json!({ "external_id": "bob", "reward_id": "pot" }), 404, "unknown_member"),
        (json!({ "member_id": "mem_0000000000001", "reward_id": "pot" }), 404, "unknown_member"),
        (json!({ "member_id": ann, "reward_id": "pot", "quantity": 0 }), 422, "invalid_amount"),
        (json!({ "member_id": ann, "external_id": "ann", "reward_id": "pot" }), 400, "invalid_request"),
    ] {
        let (found, problem) = server.post("/v1/quotes", "", body).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{problem}");
    }
    let closed = server.member("closed", 0).await;
    let close = json!({ "reason": "gone" });
    assert_eq!(server.post(&format!("/v1/members/{closed}/close"), "close", close).await.0, 201);
    let (status, problem) = server.post("/v1/quotes", "", json!({ "member_id": closed, "reward_id": "pot" })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("member_closed")), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn demand_lifts_a_price_by_the_rule_that_is_published() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, PROGRAM);
    let server = Server::start(&data);
    let ann = server.member("ann", 100_000).await;

    let (_, page) = server.get("/v1/rewards").await;
    let rewards = &page["items"];
    assert_eq!(
        (&rewards[0]["id"], &rewards[0]["price"], &rewards[0]["base_price"]),
        (&json!("cup"), &json!(1_000), &json!(1_000))
    );
    assert_eq!(
        rewards[0]["demand"],
        json!({ "steps": [{ "orders": 2, "percent": "5" }, { "views": 3, "percent": "15" }], "ceiling": "110",
            "ceiling_points": 1_100 })
    );
    assert!(rewards[2]["demand"].is_null() && rewards[2]["price"] == 6_000, "{rewards}");
    let (_, first) = server.get("/v1/rewards?limit=2").await;
    let after = first["next"].as_str().unwrap();
    assert_eq!((first["items"].as_array().unwrap().len(), after, &page["next"]), (2, "jug", &json!(null)));
    let (_, rest) = server.get(&format!("/v1/rewards?limit=200&after={after}")).await;
    assert_eq!(
        first["items"].as_array().unwrap().iter().chain(rest["items"].as_array().unwrap()).collect::<Vec<_>>(),
        rewards.as_array().unwrap().iter().collect::<Vec<_>>()
    );
    let (status, problem) = server.get("/v1/rewards?limit=201").await;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_query")));
    // The list is no view; a reward by itself is one, and a quote is one.
    let price = async || server.get("/v1/rewards/cup").await.1["price"].clone();
    assert_eq!((price().await, price().await), (json!(1_000), json!(1_000)));
    let quote = quoted(&server, json!({ "member_id": ann, "reward_id": "cup" })).await;
    // 15 % more would be 1,150: the ceiling is 110 % of the price.
    assert_eq!(
        quote["steps"][1],
        json!({ "step": "demand", "before": 1_000, "after": 1_100, "percent": "15", "ceiling": "110" })
    );
    let now = json!({ "member_id": ann, "reward_id": "cup" });
    assert_eq!(server.post("/v1/orders", "cup", now).await.1["order"]["points"], 1_100);

    // Nobody has ordered a jug since there is one; then two do, and it becomes dearer than it was.
    let jug = json!({ "member_id": ann, "reward_id": "jug" });
    assert_eq!(
        quoted(&server, jug.clone()).await["steps"][1],
        json!({ "step": "cold", "before": 1_000, "after": 750, "days": 7, "percent": "75" })
    );
    for key in ["jug-1", "jug-2"] {
        assert_eq!(server.post("/v1/orders", key, jug.clone()).await.0, 201);
    }
    for _ in 0..200 {
        if server.get("/v1/rewards/jug").await.1["price"] == 1_050 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the orders are not seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_prices_of_several_parts_and_leaves_them_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, PROGRAM);
    let server = Server::start(&data);
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let (_, overview) = olga.get("/console").await;
    assert!(overview.contains("6,000") && overview.contains("1,000"), "{overview}");
    let (_, list) = olga.get("/console/configuration").await;
    assert!(list.contains("By its cost of ") && list.contains("50.00"), "{list}");
    // The form has no field for such a price, and keeps it.
    let edit = "/console/drafts/new?kind=reward&document=pot";
    let (status, page) = olga.get(edit).await;
    assert!(status == 200 && page.contains("This price has several parts"), "{status} {page}");
    assert!(!page.contains("id=\"price\""), "{page}");
    let form = [
        ("kind", "reward"),
        ("document", "pot"),
        ("title", "Name"),
        ("way", "form"),
        ("id", "pot"),
        ("name_en", "Kettle"),
    ];
    let (status, saved) = olga.post_from(edit, "/console/drafts/new", &form).await;
    assert_eq!(status, 303, "{saved}");
    let drafts = server.get("/v1/drafts").await.1;
    let draft = server.get(&format!("/v1/drafts/{}", drafts[0]["id"].as_str().unwrap())).await.1;
    let document = &draft["changes"][0]["document"];
    assert_eq!((&document["name"], &document["price"]["cost"]), (&json!("Kettle"), &json!("50")), "{draft}");
}
