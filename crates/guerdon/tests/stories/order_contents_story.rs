//! What each kind of reward needs in an order: over the API, on a small phone, and at the desk of an operator; and that the
//! books are true afterwards.

use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, shown, sideways, size, small_phone, text, whole_page};
use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, guerdon, init};

const PROGRAM: &str = include_str!("../../../../programs/examples/contents.toml");

struct Club {
    server: Server,
    member: String,
}

impl Club {
    async fn order(&self, key: &str, reward: &str, more: Value) -> (u16, Value) {
        let mut order = json!({ "member_id": self.member, "reward_id": reward });
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.server.post("/v1/orders", key, order).await
    }

    async fn placed(&self, key: &str, reward: &str, more: Value) -> String {
        let (status, receipt) = self.order(key, reward, more).await;
        assert_eq!(status, 201, "{receipt}");
        receipt["order"]["id"].as_str().unwrap().to_owned()
    }

    async fn refused(&self, key: &str, reward: &str, more: Value) -> (u16, String, String) {
        let (status, problem) = self.order(key, reward, more).await;
        let text = |field: &str| problem[field].as_str().unwrap_or_default().to_owned();
        (status, text("code"), text("detail"))
    }

    async fn step(&self, order: &str, body: Value) -> (u16, Value) {
        let key: String = format!("{order} {body}").chars().take(120).collect();
        self.server.post(&format!("/v1/orders/{order}/moves"), &key, body).await
    }

    async fn get(&self, order: &str) -> Value {
        self.server.get(&format!("/v1/orders/{order}")).await.1
    }

    async fn left(&self, reward: &str) -> Value {
        let (_, view) = self.server.get(&format!("/v1/rewards/{reward}")).await;
        json!([view["left"], view["variants_left"]])
    }
}

async fn club(folder: &tempfile::TempDir) -> Club {
    let data = folder.path().join("data");
    init(&data, PROGRAM);
    let server = Server::start(&data);
    let member = server.member("ann", 20_000).await;
    Club { server, member }
}

/// The books of a directory are true.
fn verified(folder: &tempfile::TempDir) {
    let data = folder.path().join("data");
    let (code, told, error) = guerdon(&["verify", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{told}{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_carry_what_their_rewards_need_and_give_all_of_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut club = club(&folder).await;
    variants_and_limits(&club).await;
    bundles(&club).await;
    addresses(&club).await;
    appointments(&club).await;
    privileges(&club).await;
    assert_eq!(club.server.interrupt(), 0);
    verified(&folder);
}

async fn variants_and_limits(club: &Club) {
    let (status, code, detail) = club.refused("m-0", "mug", json!({})).await;
    assert_eq!((status, code.as_str()), (422, "choice_needed"), "{detail}");
    assert!(detail.contains("`variant` must name one of blue, white"), "{detail}");
    let green = club.refused("m-0", "mug", json!({ "variant": "green" })).await;
    assert_eq!((green.0, green.1.as_str()), (422, "invalid_request"));
    assert_eq!(club.left("mug").await, json!([40, { "blue": 1 }]));
    let blue = club.placed("m-1", "mug", json!({ "variant": "blue" })).await;
    assert_eq!(club.left("mug").await, json!([39, { "blue": 0 }]));
    let again = club.order("m-1", "mug", json!({ "variant": "blue" })).await;
    assert_eq!((again.0, again.1["order"]["id"].as_str()), (200, Some(blue.as_str())), "a retry");
    let other = club.refused("m-1", "mug", json!({ "variant": "white" })).await;
    assert_eq!((other.0, other.1.as_str()), (422, "idempotency_mismatch"));
    let gone = club.refused("m-2", "mug", json!({ "variant": "blue" })).await;
    assert_eq!((gone.0, gone.1.as_str(), gone.2.as_str()), (409, "out_of_stock", "1 of mug in blue wanted, 0 left"));
    assert_eq!(club.get(&blue).await["variant"], "blue");
    // Two a month, of whichever variant; what is called off counts no more.
    let white = club.placed("m-3", "mug", json!({ "variant": "white" })).await;
    let (status, code, detail) = club.refused("m-4", "mug", json!({ "variant": "white" })).await;
    assert_eq!((status, code.as_str()), (409, "limit_reached"), "{detail}");
    assert!(detail.contains("limited to 2 per month for each member; 2 were ordered, 0 are left until "), "{detail}");
    for order in [&blue, &white] {
        assert_eq!(club.step(order, json!({ "move": "cancel" })).await.0, 201);
    }
    assert_eq!(club.left("mug").await, json!([40, { "blue": 1 }]));
    let (_, rewards) = club.server.get("/v1/rewards/mug").await;
    assert_eq!(rewards["limit"], json!([{ "quantity": 2, "per": "month" }]));
    let asked = json!({ "account": "12345" });
    let (status, _, detail) = club.refused("p-1", "phone-credit", asked).await;
    assert!(status == 422 && detail.contains("does not match the pattern") && !detail.contains("12345"), "{detail}");
    assert_eq!(club.refused("p-2", "phone-credit", json!({})).await.1, "choice_needed");
    club.placed("p-3", "phone-credit", json!({ "account": "13800138000" })).await;
}

async fn bundles(club: &Club) {
    let sent = json!({ "address": { "recipient": "Ann", "street": "1 Pier", "city": "Shanghai" } });
    assert_eq!(club.refused("b-0", "tea-time", json!({})).await.1, "choice_needed");
    let mut many = sent.clone();
    many["quantity"] = json!(5);
    let five = club.placed("b-1", "tea-time", many).await;
    assert_eq!([club.left("mug").await, club.left("tea").await], [json!([35, { "blue": 1 }]), json!([2, null])]);
    assert_eq!(club.left("tea-time").await, json!([1, null]), "as many as there is everything for");
    let mut two = sent.clone();
    two["quantity"] = json!(2);
    let (status, code, detail) = club.refused("b-2", "tea-time", two).await;
    assert_eq!((status, code.as_str(), detail.as_str()), (409, "out_of_stock", "4 of tea wanted, 2 left"));
    assert_eq!(club.step(&five, json!({ "move": "complete" })).await.0, 201);
    let refund = json!({ "reason": "for the story" });
    assert_eq!(club.server.post(&format!("/v1/orders/{five}/refund"), "b-3", refund).await.0, 201);
    assert_eq!([club.left("mug").await, club.left("tea").await], [json!([40, { "blue": 1 }]), json!([12, null])]);
    // A lounge that is in the bundle counts towards no limit of its own.
    club.placed("b-4", "tea-time", sent).await;
}

async fn addresses(club: &Club) {
    let path = format!("/v1/members/{}", club.member);
    let book = json!({ "addresses": [
        { "id": "home", "recipient": "Ann Secret", "street": "7 Hidden Lane", "city": "Shanghai" },
        { "id": "work", "recipient": "Ann Secret", "street": "9 Office Road", "city": "Suzhou", "default": true },
    ] });
    let patch = async |key: &str, body: Value| {
        let request = club.server.client.patch(format!("{}{path}", club.server.address)).header("idempotency-key", key);
        let request = request.header("content-type", "application/merge-patch+json");
        request.body(body.to_string()).send().await.unwrap().status().as_u16()
    };
    assert_eq!(patch("book-1", book).await, 201);
    let (_, member) = club.server.get(&path).await;
    let shown = member["profile"]["addresses"].to_string();
    assert!(shown.contains("Suzhou") && !shown.contains("Secret") && !shown.contains("Office"), "{shown}");
    // What is masked is not written back.
    let masked = json!({ "addresses": member["profile"]["addresses"] });
    assert_eq!(patch("book-2", masked).await, 422);
    let unknown = club.refused("a-0", "tea", json!({ "address_id": "moon" })).await;
    assert!(unknown.0 == 422 && unknown.2.contains("`address_id` must name"), "{unknown:?}");
    let (by_default, home) =
        (club.placed("a-1", "tea", json!({})).await, club.placed("a-2", "tea", json!({ "address_id": "home" })).await);
    let seen = club.get(&home).await;
    assert!(seen["has_delivery"] == true && !seen.to_string().contains("Hidden"), "{seen}");
    let reveal = async |order: &str, reason: &str| {
        club.server.post(&format!("/v1/orders/{order}/reveal"), "", json!({ "reason": reason })).await
    };
    assert_eq!(reveal(&home, " ").await.0, 422);
    assert_eq!(reveal(&home, "to send it").await.1["address"]["street"], "7 Hidden Lane");
    assert_eq!(reveal(&by_default, "to send it").await.1["address"]["city"], "Suzhou");
    let (_, audit) = club.server.get(&format!("/v1/audit?subject={home}")).await;
    let text = audit.to_string();
    assert!(text.contains("order.reveal") && text.contains("to send it") && !text.contains("Hidden"), "{text}");
    let (status, problem) = reveal(&club.placed("a-3", "meal", json!({})).await, "curious").await;
    assert_eq!((status, problem["code"].as_str()), (404, Some("no_delivery")));
}

async fn appointments(club: &Club) {
    let (_, slots) = club.server.get("/v1/rewards/massage/slots?days=3").await;
    let slots: Vec<&Value> = slots.as_array().unwrap().iter().collect();
    assert!(slots.len() >= 8 && slots.iter().all(|slot| slot["free"] == 2 && slot["store"] == "pier"), "{slots:?}");
    let name = |place: usize| slots[place]["slot"].as_str().unwrap().to_owned();
    let (last, other) = (name(slots.len() - 1), name(slots.len() - 2));
    assert_eq!(club.refused("s-0", "massage", json!({})).await.1, "choice_needed");
    let past = club.refused("s-0", "massage", json!({ "slot": "2020-01-01T10:00@pier" })).await;
    assert_eq!((past.0, past.1.as_str()), (409, "slot_not_offered"));
    let both = club.placed("s-1", "massage", json!({ "slot": last, "quantity": 2 })).await;
    let full = club.refused("s-2", "massage", json!({ "slot": last })).await;
    assert_eq!((full.0, full.1.as_str()), (409, "out_of_stock"), "{}", full.2);
    let one = club.placed("s-3", "massage", json!({ "slot": other })).await;
    let free = async || {
        let (_, slots) = club.server.get("/v1/rewards/massage/slots?days=3").await;
        let of = |slot: &str| {
            slots.as_array().unwrap().iter().find(|one| one["slot"] == slot).map(|one| one["free"].clone())
        };
        (of(&last), of(&other))
    };
    assert_eq!(free().await, (None, Some(json!(1))));
    let (status, problem) = club.step(&one, json!({ "move": "rebook", "slot": last })).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("out_of_stock")));
    assert_eq!(club.step(&one, json!({ "move": "rebook" })).await.0, 422);
    assert_eq!(club.step(&both, json!({ "move": "cancel" })).await.0, 201);
    let (status, receipt) = club.step(&one, json!({ "move": "rebook", "slot": last, "reason": "asked to" })).await;
    assert_eq!((status, receipt["order"]["slot"].as_str()), (201, Some(last.as_str())), "{receipt}");
    assert_eq!(free().await, (Some(json!(1)), Some(json!(2))));
    let moved = club.get(&one).await;
    assert_eq!(
        (moved["appointment"]["slot"].as_str(), moved["appointment"]["store"].as_str()),
        (Some(last.as_str()), Some("pier"))
    );
    for (query, problem) in [("days=0", "1 to 31"), ("days=32", "1 to 31"), ("from=soon", "such as 2026-12-01")] {
        let (status, page) = club.server.get(&format!("/v1/rewards/massage/slots?{query}")).await;
        assert!(status == 400 && page["detail"].as_str().unwrap().contains(problem), "{page}");
    }
    assert_eq!(club.server.get("/v1/rewards/meal/slots").await.1["code"], "no_appointments");
}

async fn privileges(club: &Club) {
    let path = format!("/v1/members/{}/benefits", club.member);
    assert_eq!(club.server.get(&path).await, (200, json!([])));
    let lounge = club.placed("l-1", "lounge", json!({})).await;
    assert_eq!(club.server.get(&path).await.1, json!([]), "it is not handed over yet");
    assert_eq!(club.step(&lounge, json!({ "move": "issue" })).await.0, 201);
    let course = club.placed("l-2", "course", json!({ "capture": true })).await;
    let (_, held) = club.server.get(&path).await;
    let told: Vec<_> = held.as_array().unwrap().iter().map(|one| (&one["reward_id"], &one["order_id"])).collect();
    assert_eq!(told, [(&json!("lounge"), &json!(lounge)), (&json!("course"), &json!(course))], "{held}");
    assert_eq!(club.get(&lounge).await["benefits"][0]["until"], held[0]["until"]);
    assert_eq!(club.refused("l-3", "course", json!({})).await.1, "limit_reached");
    let refund = json!({ "reason": "for the story" });
    assert_eq!(club.server.post(&format!("/v1/orders/{lounge}/refund"), "l-4", refund).await.0, 201);
    assert_eq!(club.server.get(&path).await.1.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_an_order_goes_is_gone_when_its_member_is_erased() {
    let folder = tempfile::tempdir().unwrap();
    let mut club = club(&folder).await;
    let address = json!({ "address": { "recipient": "Ann Secret", "street": "7 Hidden Lane", "city": "Shanghai" } });
    let order = club.placed("a-1", "tea", address).await;
    assert_eq!(club.step(&order, json!({ "move": "ship" })).await.0, 201);
    let database = std::fs::read(folder.path().join("data/guerdon.db")).unwrap();
    let log = std::fs::read(folder.path().join("data/guerdon.db-wal")).unwrap_or_default();
    let holds = |bytes: &[u8]| bytes.windows(11).any(|part| part == b"Hidden Lane");
    assert!(!holds(&database) && !holds(&log), "it lies nowhere in the clear");
    let erase = json!({ "reason": "asked to" });
    let (status, told) = club.server.post(&format!("/v1/members/{}/erasure", club.member), "", erase).await;
    assert_eq!(status, 201, "{told}");
    // The time of grace goes by.
    assert_eq!(club.server.interrupt(), 0);
    let data = folder.path().join("data");
    let database = rusqlite::Connection::open(data.join("guerdon.db")).unwrap();
    let sql = "UPDATE record SET body = json_set(body, '$.due_at', '2020-01-01T00:00:00Z') WHERE kind = 'erasure'";
    assert_eq!(database.execute(sql, []).unwrap(), 1);
    drop(database);
    club.server = Server::start(&data);
    for _ in 0..100 {
        if club.server.get(&format!("/v1/members/{}", club.member)).await.1.get("erased_at").is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let path = format!("/v1/orders/{order}/reveal");
    let (status, problem) = club.server.post(&path, "", json!({ "reason": "curious" })).await;
    assert_eq!((status, problem["code"].as_str()), (404, Some("no_delivery")), "{problem}");
    assert_eq!(club.server.interrupt(), 0);
    verified(&folder);
}

/// Clicks something, wherever on the page it is.
async fn click(client: &Client, css: &str) {
    let place = "document.querySelector(arguments[0]).scrollIntoView({ block: 'center', behavior: 'instant' })";
    client.execute(place, vec![json!(css)]).await.unwrap();
    client.find(Locator::Css(css)).await.unwrap_or_else(|_| panic!("there is no {css}")).click().await.unwrap();
}

/// Puts a value into a field as a person would have.
async fn fill(client: &Client, css: &str, value: &str) {
    let put = "const field = document.querySelector(arguments[0]); field.value = arguments[1]; return field.value";
    let is = client.execute(put, vec![json!(css), json!(value)]).await.unwrap();
    assert_eq!(is, json!(value), "{css}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_chooses_on_a_small_phone_and_an_operator_sees_to_it() {
    const PHONE: &str = "13800138000";
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, PROGRAM);
    let gateway = Gateway::start();
    let server = Server::start_with(&data, &gateway.flags());
    let (status, receipt) = server.post("/v1/members", "ann", json!({ "name": "Ann", "phone": PHONE })).await;
    assert_eq!(status, 201, "{receipt}");
    let ann = receipt["member_id"].as_str().unwrap().to_owned();
    let opening = json!({ "points": 9_000, "reason": "opening balance" });
    assert_eq!(server.post(&format!("/v1/members/{ann}/adjustments"), "opening", opening).await.0, 201);
    let mut person = Person::new(&server);
    assert_eq!(person.post("/portal/sign-in", &[("to", PHONE)]).await.0, 303);
    let code = gateway.code(0, PHONE).await;
    assert_eq!(person.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
    let (driver, client) = browser(&folder.path().join("profile")).await;
    enter(&client, &server, &person).await;
    small_phone(&client).await;
    let orders = on_the_phone(&server, &client).await;
    book(&mut person).await;
    let mut operator = Person::invited(&server, "olga@example.org", "Olga", "owner").await;
    at_the_desk(&mut operator, &server, &client, &orders).await;
    client.close().await.unwrap();
    drop(driver);
}

/// The orders of tea and of an appointment.
async fn on_the_phone(server: &Server, client: &Client) -> [String; 2] {
    let shot = async |name: &str| {
        assert_eq!(sideways(client).await, 0, "{name}");
        whole_page(client, 360, &format!("portal-contents-{name}")).await;
        small_phone(client).await;
    };
    let open = async |path: &str, words: &str| {
        client.goto(&format!("{}{path}", server.address)).await.unwrap();
        let page = shown(client, &[words]).await;
        assert!(page.contains(words), "{path}: {page}");
    };
    let receipt = async |words: &str| {
        let page = shown(client, &["ord_", words]).await;
        assert!(page.contains("ord_") && page.contains(words), "{page}");
        client.current_url().await.unwrap().path().rsplit('/').next().unwrap().to_owned()
    };
    // A variant: one tap more.
    open("/portal/rewards/mug?lang=en", "Which one").await;
    shot("mug").await;
    click(client, "input[name=variant][value=blue]").await;
    click(client, "form.confirm button").await;
    receipt("Mug (Blue)").await;
    // The blue one is gone, and one more may be had this month.
    open("/portal/rewards/mug?lang=zh-CN", "您还可兑换 1 件").await;
    assert!(client.find(Locator::Css("input[value=blue][disabled]")).await.is_ok());
    shot("mug-zh").await;
    // An address that is typed, since there is none in the book.
    open("/portal/rewards/tea?lang=en", "Where to send it").await;
    for (field, value) in [("#recipient", "Ann Li"), ("#city", "Shanghai"), ("#street", "7 Hidden Lane")] {
        fill(client, field, value).await;
    }
    shot("tea").await;
    click(client, "form.confirm button").await;
    let tea = receipt("7 Hidden Lane").await;
    shot("tea-receipt").await;
    // An appointment, and another.
    open("/portal/rewards/massage?lang=en", "When").await;
    shot("massage").await;
    let pick = "const slots = [...document.querySelectorAll('#slot option')].filter(one => one.value);
        document.querySelector('#slot').value = slots[arguments[0]].value; return slots[arguments[0]].value";
    let first = client.execute(pick, vec![json!(0)]).await.unwrap();
    click(client, "form.confirm button").await;
    let massage = receipt("Appointment").await;
    let second = client.execute(pick, vec![json!(2)]).await.unwrap();
    assert_ne!(first, second);
    shot("massage-receipt").await;
    click(client, "form[action$=rebook] button").await;
    let time = second.as_str().unwrap().split(['T', '@']).nth(1).unwrap().to_owned();
    shown(client, &[time.as_str()]).await;
    let mut moved = Value::Null;
    for _ in 0..50 {
        moved = server.get(&format!("/v1/orders/{massage}")).await.1["appointment"]["slot"].clone();
        if moved == second {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(moved, second);
    // What holds is on the first page.
    open("/portal/rewards/lounge?lang=en", "Redeem for").await;
    click(client, "form.confirm button").await;
    let lounge = receipt("Harbour lounge").await;
    let (status, told) = server.post(&format!("/v1/orders/{lounge}/moves"), "issue", json!({ "move": "issue" })).await;
    assert_eq!(status, 201, "{told}");
    open("/portal?lang=en", "What holds for you now").await;
    shot("benefits").await;
    open("/portal?lang=zh-CN", "当前享有的权益").await;
    [tea, massage]
}

/// The address book, without scripts.
async fn book(person: &mut Person) {
    const BOOK: &str = "/portal/profile/addresses";
    let version =
        |page: &str| page.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (_, page) = person.get(&format!("{BOOK}?lang=en")).await;
    assert!(page.contains("There is no address yet."), "{page}");
    let seen = version(&page);
    let (status, page) = person.post(BOOK, &[("version", &seen), ("act", "add"), ("city", "Suzhou")]).await;
    assert!(status == 422 && page.contains("is not whole"), "{page}");
    let whole =
        [("version", seen.as_str()), ("act", "add"), ("recipient", "Ann"), ("city", "Suzhou"), ("street", "9 Canal")];
    assert_eq!(person.post(BOOK, &whole).await.0, 303);
    let (_, page) = person.get(BOOK).await;
    assert!(page.contains("9 Canal") && page.contains("Taken unless you choose another"), "{page}");
    let (_, page) = person.get("/portal/rewards/tea").await;
    assert!(page.contains("name=\"address_id\"") && page.contains("Suzhou") && !page.contains("9 Canal"), "{page}");
}

async fn at_the_desk(operator: &mut Person, server: &Server, client: &Client, [tea, massage]: &[String; 2]) {
    let path = format!("/console/orders/{tea}");
    let (_, page) = operator.get(&format!("{path}?lang=en")).await;
    assert!(page.contains("Where it goes to") && !page.contains("Hidden Lane"), "{page}");
    assert_eq!(operator.post(&format!("{path}/reveal"), &[("reason", " ")]).await.0, 422);
    let (status, page) = operator.post(&format!("{path}/reveal"), &[("reason", "to send it")]).await;
    assert!(status == 200 && page.contains("7 Hidden Lane"), "{page}");
    let (_, audit) = server.get(&format!("/v1/audit?subject={tea}")).await;
    assert!(audit.to_string().contains("order.reveal"), "{audit}");
    let (_, page) = operator.get(&format!("/console/orders/{massage}")).await;
    assert!(page.contains("Move the appointment"), "{page}");
    let slot = page.split("<option value=\"2").nth(4).unwrap().split('"').next().unwrap();
    let slot = format!("2{slot}");
    let form = [("key", "desk-1"), ("slot", slot.as_str()), ("reason", "the masseur is ill")];
    assert_eq!(operator.post(&format!("/console/orders/{massage}/rebook"), &form).await.0, 303);
    assert_eq!(server.get(&format!("/v1/orders/{massage}")).await.1["appointment"]["slot"], slot);
    enter(client, server, operator).await;
    for (language, width) in [("en", 1440), ("zh-CN", 360)] {
        size(client, width, 900).await;
        for (name, order) in [("tea", tea), ("massage", massage)] {
            client.goto(&format!("{}/console/orders/{order}?lang={language}", server.address)).await.unwrap();
            assert!(text(client).await.contains("ord_"));
            assert_eq!(sideways(client).await, 0, "{name} {language}");
            whole_page(client, width, &format!("console-contents-{name}-{language}")).await;
        }
    }
}
