//! Friends who order together choose each for themselves: over the API and in the portal, also where a server ends in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a story fails by panicking")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use guerdon_tests::postgres;
use serde_json::{Value, json};
use support::browser::{browser, enter, shown, sideways, size, small_phone, whole_page};
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
        appointments(&server, &ann).await;
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

async fn appointments(server: &Server, ann: &str) {
    let (_, slots) = server.get("/v1/rewards/massage/slots?days=5").await;
    let slots: Vec<&str> = slots.as_array().unwrap().iter().map(|slot| slot["slot"].as_str().unwrap()).collect();
    let open = async |key: &str, slot: &str| {
        let body = json!({ "member_id": ann, "reward_id": "massage", "slot": slot });
        server.post("/v1/groups", key, body).await
    };
    let (status, early) = open("s-1", slots[0]).await;
    assert_eq!((status, early["code"].as_str()), (409, Some("slot_not_offered")), "{early}");
    let late = slots[slots.len() - 1];
    let (status, group) = open("s-2", late).await;
    assert_eq!(status, 201, "{group}");
    assert_eq!(order_of(server, &group).await["appointment"]["slot"], late);
    let leave = format!("/v1/groups/{}/leave", group["code"].as_str().unwrap());
    assert_eq!(server.post(&leave, "", json!({ "member_id": ann })).await.0, 200);
    let (_, free) = server.get("/v1/rewards/massage/slots?days=5").await;
    let free = free.as_array().unwrap().iter().find(|slot| slot["slot"] == late).unwrap();
    assert_eq!(free["free"], 2, "the slot is free again");
}

/// A place that was taken by a server that ended before it ordered keeps what was chosen.
#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_was_cut_off_is_ordered_as_it_was_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, None);
    let mut server = Server::start_with(&data, &[]);
    let (ann, bob) = (server.member("ann", 5_000).await, server.member("bob", 5_000).await);
    let body = json!({ "member_id": ann, "reward_id": "mug", "variant": "white", "address": address("1 Pier") });
    let (_, group) = server.post("/v1/groups", "g", body).await;
    let code = group["code"].as_str().unwrap().to_owned();
    let body = json!({ "member_id": bob, "variant": "blue", "address": address("2 Pier") });
    let (status, full) = server.post(&format!("/v1/groups/{code}/join"), "", body).await;
    assert_eq!(status, 200, "{full}");
    let made = full["order_id"].as_str().unwrap().to_owned();
    assert_eq!(server.interrupt(), 0);
    // As it stood before the second order was noted: the place is taken, more than a minute ago.
    let connection = rusqlite::Connection::open(data.join("guerdon.db")).unwrap();
    let read = "SELECT body FROM record WHERE kind = 'group'";
    let kept: String = connection.query_row(read, [], |row| row.get(0)).unwrap();
    let mut kept: Value = serde_json::from_str(&kept).unwrap();
    assert!(!kept.to_string().contains("Pier"), "{kept}");
    kept["stage"] = json!("open");
    kept["places"][1]["order"] = Value::Null;
    kept["places"][1]["since"] = json!("2020-01-01T00:00:00Z");
    let write = "UPDATE record SET body = ?1, subject = 'open' WHERE kind = 'group'";
    assert_eq!(connection.execute(write, [kept.to_string()]).unwrap(), 1);
    drop(connection);
    server = Server::start_with(&data, &[]);
    let started = Instant::now();
    loop {
        let (_, group) = server.get(&format!("/v1/groups/{code}")).await;
        if group["state"] == "full" {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(40), "{group}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // It found the order that was made under the same key, with the same choice.
    let (_, order) = server.get(&format!("/v1/orders/{made}")).await;
    assert_eq!((&order["variant"], &order["group"]["full"]), (&json!("blue"), &json!(true)), "{order}");
    let (_, placed) = server.get("/v1/orders?state=placed").await;
    assert_eq!(placed["items"].as_array().unwrap().len(), 2, "{placed}");
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

#[tokio::test(flavor = "multi_thread")]
async fn friends_choose_in_the_portal() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, None);
    let gateway = Gateway::start();
    let server = Server::start_with(&data, &gateway.flags());
    let mut ann = signed_in(&server, &gateway, "Ann", "13800138000").await;
    let mut bob = signed_in(&server, &gateway, "Bob", "13900139000").await;
    let sent = [("recipient", "Ann"), ("street", "1 Pier"), ("city", "Shanghai")];
    let (status, page) = ann.post("/portal/rewards/mug/group", &[("key", "g-0")]).await;
    assert!(status == 422 && page.contains("Something is still to be chosen"), "{status} {page}");
    let form = [&[("key", "g-1"), ("variant", "blue")][..], &sent].concat();
    assert_eq!(ann.post("/portal/rewards/mug/group", &form).await.0, 303);
    let (_, orders) = server.get("/v1/orders?state=placed").await;
    assert_eq!(orders["items"][0]["variant"], "blue", "{orders}");
    let code = orders["items"][0]["group"]["code"].as_str().unwrap().to_owned();
    let (status, page) = bob.post(&format!("/portal/groups/{code}/join"), &[("variant", "white")]).await;
    assert!(status == 422 && page.contains("Something is still to be chosen"), "{status} {page}");

    let (driver, client) = browser(&data.join("profile")).await;
    enter(&client, &server, &bob).await;
    for (language, words) in [("en", ["Join for 800 points", "White"]), ("zh-CN", ["马克杯", "白色"])] {
        small_phone(&client).await;
        client.goto(&format!("{}/portal/groups/{code}?lang={language}", server.address)).await.unwrap();
        let page = shown(&client, &words).await;
        assert!(words.iter().all(|word| page.contains(word)), "{page}");
        assert_eq!(sideways(&client).await, 0, "{language}");
        whole_page(&client, 360, &format!("group-choice-{language}")).await;
        size(&client, 1_440, 800).await;
        client.goto(&format!("{}/portal/rewards/mug?lang={language}", server.address)).await.unwrap();
        whole_page(&client, 1_440, &format!("group-choice-reward-{language}")).await;
    }
    client.close().await.unwrap();
    drop(driver);
    let form =
        [&[("variant", "white")][..], &[("recipient", "Bob"), ("street", "2 Pier"), ("city", "Suzhou")]].concat();
    assert_eq!(bob.post(&format!("/portal/groups/{code}/join"), &form).await.0, 303);
    let (_, page) = bob.get(&format!("/portal/groups/{code}")).await;
    assert!(page.contains("The group is full. All orders go on."), "{page}");
}
