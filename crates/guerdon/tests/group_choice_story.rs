//! Friends who order together choose each for themselves: over the API and in the portal, also where a server ends in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a story fails by panicking")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use guerdon_tests::postgres;
use serde_json::{Value, json};
use support::browser::{browser, enter, shown, sideways, size, whole_page};
use support::person::Person;
use support::sms::Gateway;
use support::{Server, guerdon};

const PROGRAM: &str = include_str!("../../../programs/examples/payments.toml");
const MORE: &str = r#"
[[rewards]]
id = "mug"
name = { en = "Mug", zh = "马克杯" }
stock = 9
kind = { type = "physical", needs_address = true, variants = [{ id = "blue", name = { en = "Blue", zh = "蓝色" }, stock = 1 }, { id = "white", name = { en = "White", zh = "白色" } }] }
[rewards.price]
points = 1000
group = { members = 2, hours = 24, percent = 80 }

[[rewards]]
id = "cookie"
name = { en = "Cookie", zh = "曲奇" }
price = { points = 100, group = { members = 2, hours = 24, percent = 80 } }

[[rewards]]
id = "credit"
name = { en = "Call credit", zh = "话费" }
kind = { type = "top_up", account = { name = { en = "Mobile number", zh = "手机号码" }, pattern = "[0-9]{11}" } }
price = { points = 100, group = { members = 2, hours = 24, percent = 80 } }

[[rewards]]
id = "set"
name = { en = "Mug and ticket", zh = "马克杯与电影票" }
kind = { type = "bundle", contents = [{ reward = "mug", variant = "white" }, { reward = "movie" }] }
price = { points = 100, group = { members = 2, hours = 24, percent = 80 } }

[[rewards]]
id = "massage"
name = { en = "Massage", zh = "按摩" }
kind = { type = "service", appointments = { slots = [{ weekdays = [1, 2, 3, 4, 5, 6, 7], from = "10:00", to = "12:00", minutes = 60, capacity = 2 }] } }
[rewards.price]
points = 1000
group = { members = 2, hours = 24, percent = 80 }
"#;

fn flags<'f>(data: &'f Path, url: Option<&'f str>) -> Vec<&'f str> {
    let mut flags = vec!["--data-dir", data.to_str().unwrap()];
    flags.extend(url.iter().flat_map(|url| ["--database-url", url]));
    flags
}

fn init(data: &Path, url: Option<&str>) {
    let file = data.with_extension("toml");
    std::fs::write(&file, format!("{PROGRAM}{MORE}")).unwrap();
    let (code, _, error) = guerdon(&[&["init", "--program", file.to_str().unwrap()][..], &flags(data, url)].concat());
    assert_eq!(code, 0, "{error}");
}

fn address(street: &str) -> Value {
    json!({ "recipient": "Ann", "street": street, "city": "Shanghai" })
}

async fn order_of(server: &Server, group: &Value) -> Value {
    server.get(&format!("/v1/orders/{}", group["order_id"].as_str().unwrap())).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn each_friend_chooses_a_variant_an_address_and_an_appointment() {
    for on_postgres in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (data, url) = (folder.path().join("data"), on_postgres.then(|| postgres::shared().database()));
        init(&data, url.as_deref());
        let database: Vec<&str> = url.iter().flat_map(|url| ["--database-url", url.as_str()]).collect();
        let mut server = Server::start_with(&data, &database);
        let (ann, bob) = (server.member("ann", 5_000).await, server.member("bob", 5_000).await);
        let open = |choice: Value| {
            let mut body = json!({ "member_id": ann, "reward_id": "mug" });
            body.as_object_mut().unwrap().extend(choice.as_object().unwrap().clone());
            body
        };
        // What is missing or does not fit opens no group and keeps no place.
        for (key, choice, code) in [
            ("k-0", json!({}), "choice_needed"),
            ("k-1", json!({ "variant": "blue" }), "choice_needed"),
            ("k-2", json!({ "variant": "blue", "address_id": "moon" }), "invalid_request"),
            ("k-3", json!({ "variant": "green", "address": address("1 Pier") }), "invalid_request"),
            ("k-x", json!({ "variant": "b".repeat(300), "address": address("1 Pier") }), "invalid_request"),
            ("k-y", json!({ "variant": "blue", "address": address("1 Pier"), "slot": "now" }), "invalid_request"),
        ] {
            let (status, problem) = server.post("/v1/groups", key, open(choice)).await;
            assert_eq!((status, problem["code"].as_str()), (422, Some(code)), "{problem}");
        }
        let (status, group) =
            server.post("/v1/groups", "k-4", open(json!({ "variant": "blue", "address": address("1 Pier") }))).await;
        assert_eq!(status, 201, "{group}");
        let first = order_of(&server, &group).await;
        assert_eq!(
            (&first["variant"], &first["points"], &first["has_delivery"]),
            (&json!("blue"), &json!(800), &json!(true))
        );
        let code = group["code"].as_str().unwrap();
        let join = async |member: &str, choice: Value| {
            let mut body = choice;
            body["member_id"] = json!(member);
            server.post(&format!("/v1/groups/{code}/join"), "", body).await
        };
        let taken = join(&bob, json!({ "variant": "blue", "address": address("2 Pier") })).await;
        assert_eq!((taken.0, taken.1["code"].as_str()), (409, Some("out_of_stock")), "{}", taken.1);
        // Who is in it stays so, with what was chosen first.
        let again = join(&ann, json!({ "variant": "white", "address": address("9 Pier") })).await;
        assert_eq!((again.0, &again.1["order_id"]), (200, &group["order_id"]));
        let (status, full) = join(&bob, json!({ "variant": "white", "address": address("2 Pier") })).await;
        assert_eq!((status, &full["state"]), (200, &json!("full")), "{full}");
        let second = order_of(&server, &full).await;
        assert_eq!(second["variant"], "white");
        // Each goes to its own address; neither the group nor an answer tells it.
        for (order, street) in [(&first, "1 Pier"), (&second, "2 Pier")] {
            let path = format!("/v1/orders/{}/reveal", order["id"].as_str().unwrap());
            let (_, seen) = server.post(&path, "", json!({ "reason": "to send it" })).await;
            assert_eq!(seen["address"]["street"], street, "{seen}");
            assert!(!order.to_string().contains("Pier") && !full.to_string().contains("Pier"));
        }
        go_on(&server, [&first, &second], &bob).await;
        appointments(&server, &ann).await;
        accounts_and_bundles(&server, &ann).await;
        assert_eq!(server.interrupt(), 0);
        if !on_postgres {
            for file in std::fs::read_dir(&data).unwrap().map(|file| file.unwrap().path()) {
                let bytes = std::fs::read(&file).unwrap_or_default();
                assert!(!bytes.windows(6).any(|window| window == b"1 Pier"), "{}", file.display());
            }
        }
        let (code, told, _) = guerdon(&[&["verify"][..], &flags(&data, url.as_deref())].concat());
        assert_eq!(code, 0, "{told}");
    }
}

/// The orders of a group that is full are sent like any other; accounts that are merged later keep their place.
async fn go_on(server: &Server, [first, second]: [&Value; 2], bob: &str) {
    for (number, order) in [first, second].into_iter().enumerate() {
        let path = format!("/v1/orders/{}", order["id"].as_str().unwrap());
        comes_to(server, &path, |order| order["group"]["full"] == true).await;
        let shipment = json!({ "carrier": "SF", "tracking_number": format!("SF-{number}") });
        let ship = json!({ "move": "ship", "shipment": shipment });
        assert_eq!(server.post(&format!("{path}/moves"), &format!("ship {number}"), ship).await.0, 201);
        let done = json!({ "move": "complete" });
        assert_eq!(server.post(&format!("{path}/moves"), &format!("done {number}"), done).await.0, 201);
    }
    let carl = server.member("carl", 0).await;
    let merge = json!({ "from": bob, "reason": "the same person" });
    let (status, merged) = server.post(&format!("/v1/members/{carl}/merge"), "merge", merge).await;
    assert_eq!(status, 201, "{merged}");
    let code = second["group"]["code"].as_str().unwrap();
    let body = json!({ "member_id": carl, "variant": "white", "address": address("3 Pier") });
    let (status, own) = server.post(&format!("/v1/groups/{code}/join"), "", body).await;
    assert_eq!((status, &own["order_id"]), (200, &second["id"]), "{own}");
}

async fn appointments(server: &Server, ann: &str) {
    let (_, slots) = server.get("/v1/rewards/massage/slots?days=5").await;
    let slots: Vec<&str> = slots.as_array().unwrap().iter().map(|slot| slot["slot"].as_str().unwrap()).collect();
    let open = async |key: &str, slot: &str| {
        let body = json!({ "member_id": ann, "reward_id": "massage", "slot": slot });
        server.post("/v1/groups", key, body).await
    };
    let (status, early) = open("s-1", slots[0]).await;
    assert_eq!((status, early["code"].as_str()), (409, Some("slot_not_offered")), "{early}");
    let (before, late) = (slots[slots.len() - 2], slots[slots.len() - 1]);
    let (status, group) = open("s-2", before).await;
    assert_eq!(status, 201, "{group}");
    // It is moved to one that is late enough as well, and to no other.
    let moves = format!("/v1/orders/{}/moves", group["order_id"].as_str().unwrap());
    let rebook = async |slot: &str| server.post(&moves, slot, json!({ "move": "rebook", "slot": slot })).await;
    let (status, early) = rebook(slots[0]).await;
    assert_eq!((status, early["code"].as_str()), (409, Some("slot_not_offered")), "{early}");
    let (status, moved) = rebook(late).await;
    assert_eq!(status, 201, "{moved}");
    assert_eq!(order_of(server, &group).await["appointment"]["slot"], late);
    let leave = format!("/v1/groups/{}/leave", group["code"].as_str().unwrap());
    assert_eq!(server.post(&leave, "", json!({ "member_id": ann })).await.0, 200);
    let (_, free) = server.get("/v1/rewards/massage/slots?days=5").await;
    for slot in [before, late] {
        let free = free.as_array().unwrap().iter().find(|known| known["slot"] == slot).unwrap();
        assert_eq!(free["free"], 2, "the slot is free again");
    }
}

async fn accounts_and_bundles(server: &Server, ann: &str) {
    let open = async |key: &str, body: Value| {
        let mut all = json!({ "member_id": ann });
        all.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        server.post("/v1/groups", key, all).await
    };
    for (key, body) in [
        ("a-1", json!({ "reward_id": "credit" })),
        ("a-2", json!({ "reward_id": "credit", "account": "not a number" })),
        ("a-3", json!({ "reward_id": "set" })),
    ] {
        assert_eq!(open(key, body.clone()).await.0, 422, "{body}");
    }
    for (key, body, field, told) in [
        ("a-4", json!({ "reward_id": "credit", "account": "13800138000" }), "account", json!("13800138000")),
        ("a-5", json!({ "reward_id": "set", "address": address("5 Pier") }), "address", address("5 Pier")),
    ] {
        let (status, group) = open(key, body).await;
        assert_eq!(status, 201, "{group}");
        let path = format!("/v1/orders/{}/reveal", group["order_id"].as_str().unwrap());
        let (_, seen) = server.post(&path, "", json!({ "reason": "to see to it" })).await;
        let told = told["street"].as_str().or(told.as_str()).unwrap().to_owned();
        assert!(seen[field].to_string().contains(&told), "{seen}");
    }
}

async fn available(server: &Server, member: &str) -> i64 {
    server.get(&format!("/v1/members/{member}")).await.1["available"].as_i64().unwrap()
}

/// Waits until an answer is as it should be.
async fn comes_to(server: &Server, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let (_, found) = server.get(path).await;
        if fits(&found) {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "{found}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A moment between what was acknowledged before and what is asked after, in RFC 3339.
async fn moment() -> String {
    tokio::time::sleep(Duration::from_millis(50)).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    tokio::time::sleep(Duration::from_millis(50)).await;
    guerdon_core::time::Timestamp::from_millis(i64::try_from(now).unwrap()).to_string()
}

/// Records of groups stay as they are in a backup that is taken back to before: their orders are told again how they ended, and
/// places and orders are one again.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_return_groups_and_their_orders_are_one_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, None);
    let server = Server::start_with(&data, &[]);
    let mut members = Vec::new();
    for name in ["ann", "bob", "cid", "dan", "eve"] {
        members.push(server.member(name, 10_000).await);
    }
    let [ann, bob, cid, dan, eve] = members.try_into().unwrap();
    let mug = |member: &str, variant: &str, street: &str| json!({ "member_id": member, "variant": variant, "address": address(street) });
    let mut open = mug(&ann, "white", "1 Pier");
    open["reward_id"] = json!("mug");
    let (status, mugs) = server.post("/v1/groups", "g-1", open).await;
    assert_eq!(status, 201, "{mugs}");
    let (_, pots) = server.post("/v1/groups", "g-2", json!({ "member_id": cid, "reward_id": "teapot" })).await;
    let at = |group: &Value, act: &str| format!("/v1/groups/{}/{act}", group["code"].as_str().unwrap());
    let (_, joined) = server.post(&at(&pots, "join"), "", json!({ "member_id": dan })).await;
    assert_eq!(joined["joined"], 2, "{joined}");
    let (first, dans) = (mugs["order_id"].as_str().unwrap(), joined["order_id"].as_str().unwrap());
    let good = moment().await;

    // Since then the one came together, and in the other somebody left and somebody else joined.
    let (_, full) = server.post(&at(&mugs, "join"), "", mug(&bob, "blue", "2 Pier")).await;
    assert_eq!(full["state"], "full", "{full}");
    comes_to(&server, &format!("/v1/orders/{first}"), |order| order["group"]["full"] == true).await;
    assert_eq!(server.post(&at(&pots, "leave"), "", json!({ "member_id": dan })).await.0, 200);
    let (_, joined) = server.post(&at(&pots, "join"), "", json!({ "member_id": eve })).await;
    assert_eq!(joined["joined"], 2, "{joined}");
    // What was told by then is told: it is not read anew after the return.
    let ended = |events: &Value| events.to_string().matches("guerdon.group_ended").count();
    comes_to(&server, "/v1/events?limit=200", |events| ended(events) >= 3).await;
    let copy = folder.path().join("backup");
    let (code, _, error) = guerdon(&["backup", "--data-dir", data.to_str().unwrap(), copy.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    drop(server);
    let earlier = folder.path().join("earlier");
    let restore = ["restore", "--data-dir", earlier.to_str().unwrap(), copy.to_str().unwrap(), "--until", &good];
    let (code, out, error) = guerdon(&restore);
    assert!(code == 0 && out.contains("all invariants hold"), "{out}{error}");
    std::fs::copy(data.join("master.key"), earlier.join("master.key")).unwrap();

    let server = Server::start_with(&earlier, &[]);
    // Ann's is told again that it goes on; Bob's was never made, and his points are there.
    comes_to(&server, &format!("/v1/orders/{first}"), |order| order["group"]["full"] == true).await;
    assert_eq!([available(&server, &ann).await, available(&server, &bob).await], [9_200, 10_000]);
    // Dan had left: his order, which stands again, is given back. Eve has no order any more, and her place is free.
    let back = comes_to(&server, &format!("/v1/orders/{dans}"), |order| order["state"] == "cancelled").await;
    assert_eq!(back["history"][1]["reason"], "left_group", "{back}");
    let group = format!("/v1/groups/{}", pots["code"].as_str().unwrap());
    comes_to(&server, &group, |group| group["joined"] == 1).await;
    assert_eq!([available(&server, &dan).await, available(&server, &eve).await], [10_000, 10_000]);
    let (status, joined) = server.post(&at(&pots, "join"), "", json!({ "member_id": eve })).await;
    assert_eq!((status, &joined["joined"]), (200, &json!(2)), "{joined}");
    drop(server);
    let (code, told, _) = guerdon(&["verify", "--data-dir", earlier.to_str().unwrap()]);
    assert_eq!(code, 0, "{told}");
}

async fn signed_in(server: &Server, gateway: &Gateway, name: &str, phone: &str) -> Person {
    let (_, receipt) = server.post("/v1/members", name, json!({ "name": name, "phone": phone })).await;
    let member = receipt["member_id"].as_str().unwrap();
    let opening = json!({ "points": 5_000, "reason": "opening balance" });
    assert_eq!(
        server.post(&format!("/v1/members/{member}/adjustments"), &format!("opening {name}"), opening).await.0,
        201
    );
    let mut person = Person::new(server);
    let before = gateway.count();
    assert_eq!(person.post("/portal/sign-in", &[("to", phone)]).await.0, 303);
    let code = gateway.code(before, phone).await;
    assert_eq!(person.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
    person
}

async fn shots(folder: &Path, server: &Server, person: &Person, pages: &[(&str, &str, [&str; 2])]) {
    let (driver, client) = browser(&folder.join("profile")).await;
    enter(&client, server, person).await;
    for (name, path, words) in pages {
        for (language, word) in ["en", "zh-CN"].into_iter().zip(words) {
            client.goto(&format!("{}{path}?lang={language}", server.address)).await.unwrap();
            let page = shown(&client, &[word]).await;
            assert!(page.contains(word), "{page}");
            for width in [360, 1_440] {
                size(&client, width, 800).await;
                assert_eq!(sideways(&client).await, 0, "{name} {language} {width}");
                whole_page(&client, width, &format!("{name}-{language}-{width}")).await;
            }
        }
    }
    client.close().await.unwrap();
    drop(driver);
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_choose_in_the_portal() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, None);
    let gateway = Gateway::start();
    let server = Server::start_with(&data, &gateway.flags());
    let mut ann = signed_in(&server, &gateway, "Ann", "13800138000").await;
    let mut bob = signed_in(&server, &gateway, "Bob", "13900139000").await;
    // Where there is something to choose, a page of its own asks for it.
    let (_, page) = ann.get("/portal/rewards/mug").await;
    assert!(
        page.contains("href=\"/portal/rewards/mug/group\"") && page.contains("Open a group for 800 points"),
        "{page}"
    );
    let (_, page) = ann.get("/portal/rewards/cookie").await;
    assert!(page.contains("action=\"/portal/rewards/cookie/group\""), "{page}");
    let opening = "/portal/rewards/mug/group";
    let (status, page) = ann.get(opening).await;
    assert!(status == 200 && page.contains("Each friend chooses for themselves") && page.contains("Blue"), "{page}");
    for nothing in ["/portal/rewards/movie/group", "/portal/rewards/nothing/group"] {
        assert_eq!(ann.get(nothing).await.0, 404, "{nothing}");
    }
    let sent = [("recipient", "Ann"), ("street", "1 Pier"), ("city", "Shanghai")];
    let (status, page) = ann.post(opening, &[("key", "g-0")]).await;
    assert!(status == 422 && page.contains("Say first which one"), "{status} {page}");
    let (status, page) = ann.post(opening, &[("key", "g-0"), ("variant", "blue"), ("city", "Shanghai")]).await;
    assert!(status == 422 && page.contains("does not fit") && page.contains("value=\"Shanghai\""), "{status} {page}");
    let form = [&[("key", "g-1"), ("variant", "blue")][..], &sent].concat();
    assert_eq!(ann.post(opening, &form).await.0, 303);
    let (_, orders) = server.get("/v1/orders?state=placed").await;
    assert_eq!(orders["items"][0]["variant"], "blue", "{orders}");
    let group = format!("/portal/groups/{}", orders["items"][0]["group"]["code"].as_str().unwrap());
    let (status, page) = bob.post(&format!("{group}/join"), &[("variant", "white")]).await;
    assert!(status == 422 && page.contains("Say first which one"), "{status} {page}");
    let blue = [&[("variant", "blue")][..], &sent].concat();
    let (status, page) = bob.post(&format!("{group}/join"), &blue).await;
    assert!(status == 422 && page.contains("What you chose is gone") && page.contains("1 Pier"), "{status} {page}");

    // An appointment: only what begins once the group is over is offered, and taken.
    let massage = "/portal/rewards/massage/group";
    let (_, slots) = server.get("/v1/rewards/massage/slots?days=5").await;
    let slots: Vec<&str> = slots.as_array().unwrap().iter().map(|slot| slot["slot"].as_str().unwrap()).collect();
    let (soonest, latest) = (slots[0], slots[slots.len() - 1]);
    let (_, page) = ann.get(massage).await;
    let offers = |page: &str, slot: &str| page.contains(&format!("value=\"{slot}\""));
    assert!(!offers(&page, soonest) && offers(&page, latest) && page.contains("once the group is over"), "{page}");
    let (status, page) = ann.post(massage, &[("key", "m-0"), ("slot", soonest)]).await;
    assert!(status == 422 && page.contains("begins before the group is over"), "{status} {page}");
    assert_eq!(ann.post(massage, &[("key", "m-1"), ("slot", latest)]).await.0, 303);
    let (_, orders) = server.get("/v1/orders?state=placed").await;
    let booked = orders["items"].as_array().unwrap().iter().find(|order| order["reward_id"] == "massage").unwrap();
    let receipt = format!("/portal/orders/{}", booked["id"].as_str().unwrap());
    let (_, page) = ann.get(&receipt).await;
    assert!(page.contains("Your group is not full yet") && !offers(&page, soonest), "{page}");
    assert!(offers(&page, slots[slots.len() - 2]), "it may be moved to what is late enough: {page}");
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let console = format!("/console/orders/{}", booked["id"].as_str().unwrap());
    let (_, page) = olga.get(&console).await;
    assert!(page.contains("open until") && !offers(&page, soonest) && offers(&page, slots[slots.len() - 2]), "{page}");

    let mugs = ("group-choice-join", group.as_str(), ["Join for 800 points", "马克杯"]);
    let opens = ("group-choice-open", opening, ["Open a group for 800 points", "每位好友各自选择"]);
    let times = ("group-choice-slots", massage, ["once the group is over", "预约时间在拼团结束之后"]);
    let reward = ("group-choice-reward", "/portal/rewards/mug", ["Together it is cheaper", "好友拼团更优惠"]);
    shots(&folder.path().join("bob"), &server, &bob, &[mugs, opens, times, reward]).await;
    let receipt = ("group-choice-receipt", receipt.as_str(), ["Your group is not full yet", "尚未成团"]);
    shots(&folder.path().join("ann"), &server, &ann, &[receipt]).await;
    let order = ("group-choice-console", console.as_str(), ["open until", "进行中"]);
    shots(&folder.path().join("olga"), &server, &olga, &[order]).await;

    let form =
        [&[("variant", "white")][..], &[("recipient", "Bob"), ("street", "2 Pier"), ("city", "Suzhou")]].concat();
    assert_eq!(bob.post(&format!("{group}/join"), &form).await.0, 303);
    let (_, page) = bob.get(&group).await;
    assert!(page.contains("The group is full. All orders go on."), "{page}");
}
