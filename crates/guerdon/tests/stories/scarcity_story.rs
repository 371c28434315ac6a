//! Scarce rewards over HTTP: pools, restocking by hand and by plan, presale, what is kept for those who found nothing left, and
//! the waiting room of a flash sale, on SQLite and on two nodes over PostgreSQL.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fantoccini::Locator;
use guerdon_core::rewards::Puzzle;
use guerdon_core::time::{Calendar, Timestamp};
use guerdon_tests::postgres;
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, shown, sideways, size, small_phone, text, whole_page};
use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, guerdon, init};

const PASSWORD: &str = "seven sunny orange bicycles";

/// So many seconds from now, by the local time of the program.
fn local(seconds: i64) -> String {
    let millis = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let at = Timestamp::from_millis((millis / 1_000 + seconds) * 1_000);
    Calendar::new("UTC").unwrap().local(at).to_string()
}

fn program(rewards: &str) -> String {
    format!(
        r#"
program = {{ id = "lights", name = {{ en = "Lights", zh = "灯会" }}, money = "GBP", time_zone = "UTC", backdating_days = 400 }}
currencies = [{{ id = 1, code = "points", name = {{ en = "points", zh = "积分" }}, per_money_unit = 100 }}]
tiers = [
    {{ id = "member", name = "Member", rank = 0 }},
    {{ id = "gold", name = "Gold", rank = 1, qualify = [{{ spend = "1000" }}] }},
]
[[rules]]
id = "base"
name = "Base"
trigger = "purchase"
effect = {{ type = "points_per_money", rate = "1" }}
{rewards}
"#
    )
}

fn lamp(restock: &str) -> String {
    format!(
        r#"
[[rewards]]
id = "lamp"
name = {{ en = "Lamp", zh = "台灯" }}
price = 10
[rewards.scarcity]
pools = [
    {{ id = "gold", stock = 1, open_to = {{ tiers = ["gold"] }} }},
    {{ id = "bund", stock = 1, open_to = {{ stores = ["bund"] }} }},
    {{ id = "all", stock = 20 }},
]
{restock}
"#
    )
}

fn refusal((status, problem): (u16, Value)) -> (u16, String) {
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

async fn order(server: &Server, key: &str, body: Value) -> (u16, Value) {
    server.post("/v1/orders", key, body).await
}

/// Asks until an answer is as wanted, for a minute.
async fn until(server: &Server, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let (_, answer) = server.get(path).await;
        if wanted(&answer) {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{path}: {answer}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_are_sold_and_restocked_by_hand_and_by_plan() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let plan = format!("restock = [{{ at = \"{}\", quantity = 5, pool = \"all\" }}]", local(25));
    init(&data, &program(&lamp(&plan)));
    let server = Server::start(&data);
    let (ann, bob) = (server.member("ann", 1_000).await, server.member("bob", 1_000).await);
    let wants = |member: &str, quantity: i64| json!({ "member_id": member, "reward_id": "lamp", "quantity": quantity });
    let (status, receipt) = order(&server, "a", wants(&ann, 18)).await;
    assert_eq!(status, 201, "{receipt}");
    let listed = async || server.get(&format!("/v1/catalogue?member_id={ann}")).await.1["items"][0].clone();
    // Two of twenty are left of what is open to Ann; the gold lamp is not hers.
    let offer = listed().await;
    assert_eq!((&offer["availability"], &offer["left"]), (&json!("few"), &json!(2)), "{offer}");
    let at_bund = json!({ "member_id": ann, "reward_id": "lamp", "store": "bund" });
    assert_eq!(order(&server, "b", at_bund).await.0, 201);
    let (status, problem) = order(&server, "c", wants(&bob, 3)).await;
    assert_eq!((status, &problem["code"]), (409, &json!("out_of_stock")));
    assert!(problem["detail"].as_str().unwrap().contains("pool `gold`: it is for members of other tiers"), "{problem}");
    // A release gives back to the same pool.
    let id = receipt["order"]["id"].as_str().unwrap();
    assert_eq!(server.post(&format!("/v1/orders/{id}/release"), "r", json!({})).await.0, 201);
    let stock = async || server.get("/v1/rewards/lamp/stock").await.1;
    let told = stock().await;
    let of = |told: &Value, pool: &str, field: &str| {
        let part = told.as_array().unwrap().iter().find(|part| part["pool"] == pool).unwrap();
        part[field].as_i64().unwrap()
    };
    assert_eq!((of(&told, "all", "free"), of(&told, "bund", "free"), of(&told, "bund", "reserved")), (20, 0, 1));

    // By hand: once, with a reason, and never below what is promised.
    let restock = async |key: &str, pool: &str, quantity: i64| {
        let body = json!({ "pool": pool, "quantity": quantity, "reason": "delivery 17" });
        server.post("/v1/rewards/lamp/restock", key, body).await
    };
    let first = restock("in", "bund", 4).await;
    assert_eq!((first.0, &first.1["restock"]["quantity"]), (201, &json!(4)), "{}", first.1);
    assert_eq!(restock("in", "bund", 4).await, (200, first.1));
    assert_eq!(refusal(restock("in", "bund", 5).await), (422, "idempotency_mismatch".to_owned()));
    assert_eq!(refusal(restock("out", "bund", -5).await), (409, "stock_reserved".to_owned()));
    assert_eq!(refusal(restock("odd", "moon", 5).await), (404, "unknown_pool".to_owned()));
    assert_eq!(restock("out", "bund", -4).await.0, 201);
    let told = stock().await;
    assert_eq!((of(&told, "bund", "restocked"), of(&told, "bund", "on_hand")), (0, 1));
    assert_eq!(
        refusal(
            server.post("/v1/rewards/lamp/restock", "restock:1:lamp", json!({ "quantity": 1, "reason": "x" })).await
        )
        .0,
        422
    );
    // The account of the stock is no member's.
    let store = restock("in-2", "all", 1).await.1["member_id"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/v1/members/{store}")).await.0, 404);

    // By plan: at its moment, once.
    let told = until(&server, "/v1/rewards/lamp/stock", |told| of(told, "all", "restocked") == 6).await;
    assert_eq!(of(&told, "all", "on_hand"), 26);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(of(&stock().await, "all", "restocked"), 6);
    let (code, out, error) = guerdon(&["verify", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restock_is_taken_back_by_the_way_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &program("[[rewards]]\nid = \"mug\"\nname = \"Mug\"\nprice = 1\nstock = 2\n"));
    let mut server = Server::start(&data);
    let restock = json!({ "quantity": 3, "reason": "delivery" });
    assert_eq!(server.post("/v1/rewards/mug/restock", "one", restock.clone()).await.0, 201);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let moment = format!("{}Z", local(0));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(server.post("/v1/rewards/mug/restock", "two", restock).await.0, 201);
    server.interrupt();
    let (copy, back) = (folder.path().join("copy"), folder.path().join("back"));
    let [from, copy, back] = [&data, &copy, &back].map(|path| path.to_str().unwrap());
    let (code, _, error) = guerdon(&["backup", "--data-dir", from, copy]);
    assert_eq!(code, 0, "{error}");
    let (code, out, error) = guerdon(&["restore", "--data-dir", back, copy, "--until", &moment]);
    assert_eq!(code, 0, "{out}{error}");
    assert_eq!(guerdon(&["verify", "--data-dir", back]).0, 0);
    std::fs::copy(data.join("master.key"), Path::new(back).join("master.key")).unwrap();
    let server = Server::start(Path::new(back));
    let (_, told) = server.get("/v1/rewards/mug/stock").await;
    assert_eq!((&told[0]["restocked"], &told[0]["on_hand"]), (&json!(3), &json!(5)), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_found_nothing_left_come_first_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mug = "[[rewards]]\nid = \"mug\"\nname = \"Mug\"\nprice = 10\nstock = 1\n\
               scarcity = { private_window = { after_tries = 3, within_hours = 1, hours = 24 } }\n";
    init(&data, &program(mug));
    let server = Server::start(&data);
    let mut members = Vec::new();
    for number in 0..3 {
        members.push(server.member(&format!("m{number}"), 1_000).await);
    }
    let wants = |member: usize| json!({ "member_id": members[member], "reward_id": "mug" });
    // One is sold; who comes three times in vain has the next one for a day.
    assert_eq!(order(&server, "first", wants(0)).await.0, 201);
    for attempt in 0..3 {
        let refused = order(&server, &format!("vain-{attempt}"), wants(1)).await;
        assert_eq!(refusal(refused), (409, "out_of_stock".to_owned()));
    }
    assert_eq!(refusal(order(&server, "once", wants(2)).await).0, 409);
    let path = format!("/v1/rewards/mug/access?member_id={}", members[1]);
    let told = until(&server, &path, |told| told["tries"]["enough_since"].is_string()).await;
    assert_eq!((&told["tries"]["counted"], &told["tries"]["needed"]), (&json!(3), &json!(3)));
    let restock = json!({ "quantity": 4, "reason": "some came back" });
    assert_eq!(server.post("/v1/rewards/mug/restock", "more", restock).await.0, 201);
    let (status, problem) = order(&server, "other", wants(2)).await;
    assert_eq!(status, 409);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("kept for members who found nothing left before"), "{problem}");
    // Of orders that are sent at once the first uses the right up.
    let send = async |key: &str| order(&server, key, wants(1)).await;
    let (one, two, three, four) =
        tokio::join!(send("private-1"), send("private-2"), send("private-3"), send("private-4"));
    let (had, refused): (Vec<_>, Vec<_>) = [one, two, three, four].into_iter().partition(|(status, _)| *status == 201);
    assert_eq!(had.len(), 1, "{refused:?}");
    assert!(refused.into_iter().all(|answer| refusal(answer) == (409, "out_of_stock".to_owned())));
    let (_, told) = server.get(&path).await;
    assert_eq!((&told["tries"]["counted"], told["tries"].get("enough_since")), (&json!(0), None), "{told}");
    assert_eq!(guerdon(&["verify", "--data-dir", data.to_str().unwrap()]).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presale_is_found_out_once_when_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // It begins in a while, so that those who come have bought by then.
    let rewards = format!(
        r#"
[[rewards]]
id = "vase"
name = "Vase"
price = 10
stock = 10
catalogue = {{ listed = {{ from = "{0}" }} }}
scarcity = {{ release = {{ presale = {{ top_percent = 40, hours = 1 }}, set_aside = 75 }} }}
[[rewards]]
id = "bowl"
name = "Bowl"
price = {{ points = 10, group = {{ members = 3, hours = 24, percent = 80 }} }}
catalogue = {{ listed = {{ from = "{0}" }} }}
scarcity = {{ release = {{ presale = {{ top_percent = 40, hours = 1 }} }} }}
"#,
        local(3_600 + 30)
    );
    let reviewed = |text: String| text.replacen("backdating_days = 400", "backdating_days = 400, reviews = {}", 1);
    init(&data, &reviewed(program(&rewards)));
    let gateway = Gateway::start();
    let server = Server::start_with(&data, &gateway.flags());
    let days = local(0)[8..10].parse::<i64>().unwrap();
    let last_month = format!("{}Z", local(-(days + 14) * 86_400));
    let mut members = Vec::new();
    for number in 0..3_i64 {
        let phone = format!("1380013800{number}");
        let profile = json!({ "name": "Ann", "phone": phone });
        let member = server.post("/v1/members", &phone, profile).await.1["member_id"].as_str().unwrap().to_owned();
        let opening = json!({ "points": 1_000, "reason": "opening balance" });
        assert_eq!(server.post(&format!("/v1/members/{member}/adjustments"), "opening", opening).await.0, 201);
        let activity = json!({ "kind": "purchase", "amount": 1_000 * (number + 1), "occurred_at": last_month });
        let (status, receipt) =
            server.post("/v1/activities", "buy", json!({ "member_id": member, "activity": activity })).await;
        assert_eq!(status, 201, "{receipt}");
        members.push(member);
    }
    let vase = |member: usize, quantity: i64| json!({ "member_id": members[member], "reward_id": "vase", "quantity": quantity });
    assert_eq!(refusal(order(&server, "early", vase(2, 1)).await), (409, "reward_not_offered".to_owned()));
    let path = format!("/v1/rewards/vase/access?member_id={}", members[1]);
    let told =
        until(&server, &path, |told| told["presale"]["computed_at"].is_string() && told["offered"] == true).await;
    // 40 % of three are 1.2, counted up to two members: from £20 on.
    let presale = &told["presale"];
    assert_eq!(
        (&presale["threshold"], &presale["members"], &presale["taking_part"], &presale["takes_part"]),
        (&json!(2_000), &json!(3), &json!(2), &json!(true)),
        "{told}"
    );
    assert_eq!(told["parts"], json!([{ "units": 2 }]), "eight of ten are set aside");
    assert_eq!(refusal(order(&server, "low", vase(0, 1)).await), (409, "reward_not_offered".to_owned()));
    assert_eq!(refusal(order(&server, "all", vase(1, 3)).await), (409, "out_of_stock".to_owned()));
    assert_eq!(order(&server, "some", vase(1, 2)).await.0, 201);
    let (_, problem) = order(&server, "none", vase(2, 1)).await;
    assert!(problem["detail"].as_str().unwrap().contains("8 are set aside until"), "{problem}");

    // Every page of the portal shows it to who takes part, and to nobody else.
    let path = format!("/v1/rewards/bowl/access?member_id={}", members[1]);
    until(&server, &path, |told| told["offered"] == true).await;
    let (status, group) = server.post("/v1/groups", "g", json!({ "member_id": members[1], "reward_id": "bowl" })).await;
    assert_eq!(status, 201, "{group}");
    let group = format!("/portal/groups/{}", group["code"].as_str().unwrap());
    for (number, found) in [(2, 200), (0, 404)] {
        let (mut person, seen, phone) = (Person::new(&server), gateway.count(), format!("1380013800{number}"));
        assert_eq!(person.post("/portal/sign-in", &[("to", &phone)]).await.0, 303);
        let code = gateway.code(seen, &phone).await;
        assert_eq!(person.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
        for page in ["/portal/rewards/bowl", "/portal/rewards/bowl/reviews", &group] {
            assert_eq!(person.get(page).await.0, found, "{page} of {number}");
        }
        let joins = person.get(&group).await.1.contains("Join for 8 points");
        assert_eq!(joins, found == 200);
    }
}

fn flash(seconds: i64, rate: i64, difficulty: u32, units: i64) -> String {
    let from = local(seconds);
    format!(
        "[[rewards]]\nid = \"lantern\"\nname = {{ en = \"Lantern\", zh = \"花灯\" }}\nprice = 10\nstock = {units}\n\
         scarcity = {{ waiting_room = {{ from = \"{from}\", admit_per_second = {rate}, difficulty = {difficulty} }} }}\n"
    )
}

/// Takes a place as a client does: asks for the puzzle, solves it, and sends the number.
async fn takes_place(server: &Server, member: &str) -> (u16, Value) {
    let (status, room) = server.get(&format!("/v1/rewards/lantern/waiting-room?member_id={member}")).await;
    assert_eq!(status, 200, "{room}");
    let puzzle = Puzzle {
        challenge: room["puzzle"]["challenge"].as_str().unwrap().to_owned(),
        difficulty: u32::try_from(room["puzzle"]["difficulty"].as_u64().unwrap()).unwrap(),
    };
    let body = json!({ "member_id": member, "nonce": puzzle.solve() });
    server.post("/v1/rewards/lantern/waiting-room", "", body).await
}

fn at(value: &Value) -> Timestamp {
    Timestamp::parse_rfc3339(value.as_str().unwrap()).unwrap()
}

async fn a_flash_sale(first: &Server, second: &Server) {
    const MEMBERS: usize = 24;
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        members.push(first.member(&format!("m{number}"), 1_000).await);
    }
    // Without work no place; the solution of one member is none of another's.
    let lazy = json!({ "member_id": members[0], "nonce": 1 });
    let refused = first.post("/v1/rewards/lantern/waiting-room", "", lazy).await;
    assert_eq!(refusal(refused), (422, "work_not_done".to_owned()));

    // All come at once, to either node.
    let places = futures_of(first, second, &members).await;
    let mut numbers: Vec<i64> = places.iter().map(|place| place["number"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=i64::try_from(MEMBERS).unwrap()).collect::<Vec<_>>(), "each number is given once");
    let mut turns: Vec<(i64, Timestamp)> =
        places.iter().map(|place| (place["number"].as_i64().unwrap(), at(&place["admitted_at"]))).collect();
    turns.sort_unstable();
    assert!(turns.is_sorted_by_key(|(_, admitted_at)| *admitted_at), "who comes first is let in first");
    let first_turn = turns[0].1;
    for (number, admitted_at) in &turns {
        // Five a second.
        assert_eq!(admitted_at.as_millis() - first_turn.as_millis(), (number - 1) * 200);
    }
    // Whoever asks again has the same place, on the other node as well.
    let (_, again) = takes_place(second, &members[0]).await;
    assert_eq!((&again["number"], &again["admitted_at"]), (&places[0]["number"], &places[0]["admitted_at"]));

    let until_open = first_turn.as_millis() - now_ms();
    tokio::time::sleep(Duration::from_millis(u64::try_from(until_open.max(0)).unwrap())).await;
    let lantern = |member: usize, ticket: Option<&Value>| json!({ "member_id": members[member], "reward_id": "lantern", "waiting_ticket": ticket });
    let (status, problem) = order(first, "none", lantern(0, None)).await;
    assert_eq!((status, &problem["code"]), (409, &json!("waiting_room_required")));
    assert!(problem["detail"].as_str().unwrap().contains("POST /v1/rewards/lantern/waiting-room"), "{problem}");
    let strange = order(first, "strange", lantern(0, Some(&places[1]["ticket"]))).await;
    assert_eq!(refusal(strange), (409, "waiting_room_required".to_owned()));
    let forged = order(first, "forged", lantern(0, Some(&json!("AQIDBA")))).await;
    assert_eq!(refusal(forged), (409, "waiting_room_required".to_owned()));
    let last = places.iter().position(|place| place["number"] == json!(MEMBERS)).unwrap();
    if at(&places[last]["admitted_at"]).as_millis() > now_ms() + 500 {
        let early = order(second, "early", lantern(last, Some(&places[last]["ticket"]))).await;
        assert_eq!(refusal(early), (409, "waiting_room_required".to_owned()));
    }
    // In their turn all order; ten units are there, and ten orders are made.
    let mut by_number: BTreeMap<i64, usize> = BTreeMap::new();
    places.iter().enumerate().for_each(|(member, place)| {
        by_number.insert(place["number"].as_i64().unwrap(), member);
    });
    let mut sold = 0;
    for (number, member) in by_number {
        let ticket = places[member]["ticket"].as_str().unwrap();
        let server = if number % 2 == 0 { first } else { second };
        let path = format!("/v1/rewards/lantern/waiting-room/place?ticket={ticket}");
        until(server, &path, |place| place["admitted"] == true).await;
        let (status, answer) = order(server, &format!("o{number}"), lantern(member, Some(&json!(ticket)))).await;
        match status {
            201 => sold += 1,
            _ => assert_eq!((status, &answer["code"]), (409, &json!("out_of_stock")), "{answer}"),
        }
    }
    assert_eq!(sold, 10);
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// The places of members who come at once, to two nodes by turns.
async fn futures_of(first: &Server, second: &Server, members: &[String]) -> Vec<Value> {
    let mut waiting = tokio::task::JoinSet::new();
    for (index, member) in members.iter().enumerate() {
        let server = if index % 2 == 0 { first } else { second };
        let (client, address, member) = (server.client.clone(), server.address.clone(), member.clone());
        waiting.spawn(async move {
            let path = format!("{address}/v1/rewards/lantern/waiting-room");
            let room = client.get(format!("{path}?member_id={member}")).send().await.unwrap().text().await.unwrap();
            let room: Value = serde_json::from_str(&room).unwrap();
            let challenge = room["puzzle"]["challenge"].as_str().unwrap().to_owned();
            let difficulty = u32::try_from(room["puzzle"]["difficulty"].as_u64().unwrap()).unwrap();
            let body = json!({ "member_id": member, "nonce": Puzzle { challenge, difficulty }.solve() });
            let request = client.post(path).header("content-type", "application/json").body(body.to_string());
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let text = response.text().await.unwrap();
            assert_eq!(status, 200, "{text}");
            (index, serde_json::from_str::<Value>(&text).unwrap())
        });
    }
    let mut places: Vec<(usize, Value)> = waiting.join_all().await;
    places.sort_by_key(|(index, _)| *index);
    let seen: BTreeSet<usize> = places.iter().map(|(index, _)| *index).collect();
    assert_eq!(seen.len(), members.len());
    places.into_iter().map(|(_, place)| place).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flash_sale_lets_in_one_after_the_other_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &program(&flash(30, 5, 8, 10)));
    let server = Server::start(&data);
    a_flash_sale(&server, &server).await;
    assert_eq!(guerdon(&["verify", "--data-dir", data.to_str().unwrap()]).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flash_sale_lets_in_one_after_the_other_on_two_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let url = postgres::shared().database();
    let file = folder.path().join("program.toml");
    let plan = format!("restock = [{{ at = \"{}\", quantity = 5, pool = \"all\" }}]", local(50));
    std::fs::write(&file, program(&(flash(45, 5, 8, 10) + &lamp(&plan)))).unwrap();
    let [directory, file] = [folder.path(), file.as_path()].map(|path| path.to_str().unwrap());
    let (code, _, error) = guerdon(&["init", "--database-url", &url, "--data-dir", directory, "--program", file]);
    assert_eq!(code, 0, "{error}");
    let on_database = ["--database-url", url.as_str()];
    let first = Server::start_with(folder.path(), &on_database);
    let second = Server::start_with(folder.path(), &on_database);
    a_flash_sale(&first, &second).await;
    // Both nodes looked, and it came in once; what is added on one the other knows.
    let all = |told: &Value| told.as_array().and_then(|parts| parts.last()).and_then(|part| part["restocked"].as_i64());
    until(&second, "/v1/rewards/lamp/stock", |told| all(told) == Some(5)).await;
    let restock = json!({ "quantity": 2, "pool": "all", "reason": "delivery" });
    for server in [&first, &second] {
        assert!(matches!(server.post("/v1/rewards/lamp/restock", "twice", restock.clone()).await.0, 200 | 201));
    }
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(all(&first.get("/v1/rewards/lamp/stock").await.1), Some(7));
    let (code, out, error) = guerdon(&["verify", "--database-url", &url]);
    assert_eq!(code, 0, "{out}{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_wait_on_their_phones_and_restock_in_the_console() {
    const PHONE: &str = "13800138000";
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let plan = "restock = [{ at = \"2099-01-01T09:00\", quantity = 500, pool = \"all\", every = \"month\" }]";
    init(&data, &program(&(flash(60, 1, 10, 30) + &lamp(plan))));
    let gateway = Gateway::start();
    let server = Server::start_with(&data, &gateway.flags());
    let (_, receipt) = server.post("/v1/members", "ann", json!({ "name": "Ann", "phone": PHONE })).await;
    let ann = receipt["member_id"].as_str().unwrap().to_owned();
    let opening = json!({ "points": 2_000, "reason": "opening balance" });
    assert_eq!(server.post(&format!("/v1/members/{ann}/adjustments"), "opening", opening).await.0, 201);
    for number in 0..8 {
        let member = server.member(&format!("m{number}"), 1_000).await;
        assert_eq!(takes_place(&server, &member).await.0, 200);
    }
    let lamps = json!({ "member_id": ann, "reward_id": "lamp", "quantity": 19 });
    assert_eq!(order(&server, "lamps", lamps).await.0, 201);
    let mut person = Person::new(&server);
    assert_eq!(person.post("/portal/sign-in", &[("to", PHONE)]).await.0, 303);
    let code = gateway.code(0, PHONE).await;
    assert_eq!(person.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);

    let (driver, client) = browser(&folder.path().join("profile")).await;
    enter(&client, &server, &person).await;
    small_phone(&client).await;
    let shot = async |name: &str| {
        assert_eq!(sideways(&client).await, 0, "{name}");
        whole_page(&client, 360, &format!("portal-{name}")).await;
        small_phone(&client).await;
    };
    client.goto(&format!("{}/portal/rewards/lantern/wait?lang=en", server.address)).await.unwrap();
    let page = shown(&client, &["Take a place"]).await;
    assert!(page.contains("The sale begins at") && page.contains("Take a place"), "{page}");
    shot("waiting-join").await;
    client.find(Locator::Css("form.confirm button")).await.unwrap().click().await.unwrap();
    let page = shown(&client, &["people are before you"]).await;
    assert!(page.contains("Your place") && page.contains("8 people are before you."), "{page}");
    shot("waiting-place").await;
    client.goto(&format!("{}/portal/rewards/lantern/wait?lang=zh-CN", server.address)).await.unwrap();
    let page = shown(&client, &["您前面还有"]).await;
    assert!(page.contains("您前面还有 8 人"), "{page}");
    shot("waiting-place-zh").await;
    client.goto(&format!("{}/portal/rewards/lantern/wait?lang=en", server.address)).await.unwrap();
    // The page keeps itself up to date until it is Ann's turn.
    let began = Instant::now();
    while !text(&client).await.contains("It is your turn") {
        assert!(began.elapsed() < Duration::from_secs(120), "{}", text(&client).await);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    shot("waiting-turn").await;
    client.find(Locator::Css(".waiting a.btn")).await.unwrap().click().await.unwrap();
    shown(&client, &["Redeem for 10 points"]).await;
    client.find(Locator::Css("form.confirm button")).await.unwrap().click().await.unwrap();
    let page = shown(&client, &["ord_"]).await;
    assert!(page.contains("ord_"), "{page}");
    // One who has no place is led to the waiting room.
    let bob = server.member("bob", 1_000).await;
    let refused = order(&server, "of-bob", json!({ "member_id": bob, "reward_id": "lantern" })).await;
    assert_eq!(refusal(refused), (409, "waiting_room_required".to_owned()));
    client.goto(&format!("{}/portal/rewards", server.address)).await.unwrap();
    let page = shown(&client, &["only 1 left"]).await;
    assert!(page.contains("only 1 left"), "{page}");

    let mut owner = Person::new(&server);
    owner.set_up(&server.setup_link, "olga@example.com", "Olga", PASSWORD).await;
    let (status, page) = owner.get("/console/stock").await;
    assert!(status == 200 && page.contains("Lamp") && page.contains("low"), "{page}");
    let (status, page) = owner.get("/console/stock/lamp").await;
    assert_eq!(status, 200, "{page}");
    let key = page.split("name=\"key\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = |direction: &'static str, quantity: &'static str| {
        vec![
            ("key", key.clone()),
            ("pool", "all".to_owned()),
            ("direction", direction.to_owned()),
            ("quantity", quantity.to_owned()),
            ("reason", "delivery 18".to_owned()),
        ]
    };
    let send = async |owner: &mut Person, fields: Vec<(&'static str, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        owner.post("/console/stock/lamp", &fields).await
    };
    let (status, page) = send(&mut owner, form("add", "many")).await;
    assert!(status == 422 && page.contains("Give a whole number of units"), "{page}");
    let (status, page) = send(&mut owner, form("take", "2")).await;
    assert!(status == 422 && page.contains("role=\"alert\""), "{page}");
    for _ in 0..2 {
        assert_eq!(send(&mut owner, form("add", "5")).await.0, 303);
    }
    let (_, page) = owner.get("/console/stock/lamp").await;
    assert!(page.contains("delivery 18") && page.contains("+5") && page.contains("Olga"), "{page}");
    let (_, told) = server.get("/v1/rewards/lamp/stock").await;
    assert_eq!(told[2]["restocked"], 5, "a form that is sent twice acts once");
    let (_, events) = server.get("/v1/audit?action=stock.restock").await;
    assert!(events.to_string().contains("lamp#all"), "{events}");

    enter(&client, &server, &owner).await;
    for language in ["en", "zh-CN"] {
        for width in [1_440, 360] {
            size(&client, width, 800).await;
            for (path, name) in [("/console/stock", "stock"), ("/console/stock/lamp", "stock-reward")] {
                client.goto(&format!("{}{path}?lang={language}", server.address)).await.unwrap();
                assert_eq!(sideways(&client).await, 0, "{path} {width} {language}");
                whole_page(&client, width, &format!("console-{name}-{width}-{language}")).await;
            }
        }
    }
    client.close().await.unwrap();
    drop(driver);
}
