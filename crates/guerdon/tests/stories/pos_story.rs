//! At the point of sale: vouchers are checked, handed out once, and told of; points pay a part of a checkout; by tills, with and
//! without network, and by people.

use std::path::Path;

use fantoccini::Locator;
use guerdon_tests::postgres;
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, shown, sideways, size, small_phone, whole_page};
use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, client, guerdon, init};

const PROGRAM: &str = include_str!("../../../../programs/examples/pos.toml");

/// The program, where orders are disputed and rewards reviewed.
fn corner() -> String {
    let orders = "[program.orders]\nexpire_after_hours = 336\n";
    let more = format!("{orders}dispute_hours = 48\n\n[program.reviews]\n");
    let program = PROGRAM.replacen(orders, &more, 1);
    assert_ne!(program, PROGRAM);
    program
}

/// A server over SQLite, or over a PostgreSQL of its own.
fn serve(folder: &Path, on_postgres: bool, more: &[&str]) -> Server {
    let data = folder.join("data");
    if !on_postgres {
        init(&data, &corner());
        return Server::start_with(&data, more);
    }
    let (url, file) = (postgres::shared().database(), folder.join("program.toml"));
    std::fs::write(&file, corner()).unwrap();
    let (place, file) = (folder.to_str().unwrap(), file.to_str().unwrap());
    let (code, _, error) = guerdon(&["init", "--database-url", &url, "--data-dir", place, "--program", file]);
    assert_eq!(code, 0, "{error}");
    Server::start_with(folder, &[&["--database-url", url.as_str()], more].concat())
}

fn code((status, problem): (u16, Value)) -> (u16, String) {
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

async fn order(server: &Server, key: &str, member: &str, reward: &str) -> String {
    let body = json!({ "member_id": member, "reward_id": reward, "quantity": 2 });
    let (status, receipt) = server.post("/v1/orders", key, body).await;
    assert_eq!(status, 201, "{receipt}");
    receipt["order"]["id"].as_str().unwrap().to_owned()
}

async fn voucher(server: &Server, order: &str) -> (String, String) {
    let (status, voucher) = server.post(&format!("/v1/orders/{order}/voucher"), "", json!({})).await;
    assert_eq!(status, 200, "{voucher}");
    (voucher["code"].as_str().unwrap().to_owned(), voucher["text"].as_str().unwrap().to_owned())
}

async fn check(server: &Server, voucher: &str) -> (u16, Value) {
    server.post("/v1/vouchers/check", "", json!({ "voucher": voucher })).await
}

async fn redeem(server: &Server, key: &str, voucher: &str, store: &str) -> (u16, Value) {
    let body = json!({ "voucher": voucher, "store": store, "terminal": "till 3" });
    server.post("/v1/vouchers/redeem", key, body).await
}

async fn vouchers_are_redeemed_once(on_postgres: bool) {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), on_postgres, &[]);
    let ann = server.member("ann", 50_000).await;
    let tea = order(&server, "tea", &ann, "tea-set").await;
    let (typed, text) = voucher(&server, &tea).await;
    assert_eq!(voucher(&server, &tea).await, (typed.clone(), text.clone()), "shown again it is the same");

    // Without a server, with the public key alone.
    let (_, key) = server.get("/v1/cards/key").await;
    let (status, out, error) = guerdon(&["card", "verify", "--key", key["public_key"].as_str().unwrap(), &text]);
    assert!(status == 0 && out.starts_with(&format!("{tea}: 2 × tea-set, good until ")), "{out}{error}");

    for presented in [text.as_str(), &typed, &typed.to_lowercase().replace('-', " ")] {
        let (status, seen) = check(&server, presented).await;
        assert_eq!((status, &seen["standing"], &seen["order_id"]), (200, &json!("good"), &json!(tea)), "{seen}");
        assert_eq!((&seen["name"], &seen["quantity"]), (&json!("Tea set"), &json!(2)));
    }
    let (status, receipt) = redeem(&server, "r1", &typed, "North").await;
    assert_eq!((status, &receipt["order"]["state"]), (201, &json!("completed")), "{receipt}");
    assert_eq!(receipt["order"]["handed_out"]["terminal"], "till 3");
    assert_eq!(redeem(&server, "r1", &typed, "North").await, (200, receipt.clone()), "the till has lost the answer");
    assert_eq!(redeem(&server, "r1", &text, "North").await, (200, receipt));
    let (status, problem) = redeem(&server, "r2", &text, "South").await;
    assert_eq!((status, &problem["code"]), (409, &json!("voucher_redeemed")), "{problem}");
    assert_eq!(
        (&problem["handed_out"]["store"], &problem["handed_out"]["terminal"]),
        (&json!("North"), &json!("till 3"))
    );
    let (_, seen) = check(&server, &typed).await;
    assert_eq!((&seen["standing"], &seen["handed_out"]["store"]), (&json!("handed_out"), &json!("North")));
    let (_, kept) = server.get(&format!("/v1/orders/{tea}")).await;
    assert_eq!((&kept["state"], &kept["handed_out"]["store"]), (&json!("completed"), &json!("North")));
    let (_, stock) = server.get("/v1/rewards/tea-set").await;
    assert_eq!(stock["left"], json!(48), "{stock}");
    let again = server.post(&format!("/v1/orders/{tea}/voucher"), "", json!({})).await;
    assert_eq!(code(again), (409, "no_voucher".to_owned()));
    let lamp = order(&server, "lamp", &ann, "lamp").await;
    let sent = server.post(&format!("/v1/orders/{lamp}/voucher"), "", json!({})).await;
    assert_eq!(code(sent), (409, "no_voucher".to_owned()), "a lamp is sent home");
    till_comes_back(&server, &ann).await;
    guesses_are_few(&server).await;
}

/// A till that was without network redeems what it has handed out, by the text of then.
async fn till_comes_back(server: &Server, ann: &str) {
    let tea = order(server, "later", ann, "tea-set").await;
    let (_, text) = voucher(server, &tea).await;
    let (_, made) = server.get(&format!("/v1/orders/{tea}")).await;
    let body = |at: &str| json!({ "voucher": text, "store": "North", "terminal": "till 4", "handed_out_at": at });
    let ahead = server.post("/v1/vouchers/redeem", "l0", body("2999-01-01T00:00:00Z")).await;
    assert_eq!(code(ahead), (422, "voucher_stale".to_owned()));
    let (status, problem) = server.post("/v1/vouchers/redeem", "l1", body("yesterday")).await;
    assert!(status == 422 && problem["detail"].as_str().unwrap().contains("`handed_out_at`"), "{problem}");
    let at = made["created_at"].as_str().unwrap();
    let (status, receipt) = server.post("/v1/vouchers/redeem", "l2", body(at)).await;
    assert_eq!(status, 201, "{receipt}");
    assert_eq!(&receipt["order"]["handed_out"]["at"].as_str().unwrap()[..19], &at[..19]);
    // Called off meanwhile.
    let gone = order(server, "gone", ann, "tea-set").await;
    let (_, text) = voucher(server, &gone).await;
    assert_eq!(server.post(&format!("/v1/orders/{gone}/release"), "off", json!({})).await.0, 201);
    assert_eq!(check(server, &text).await.1["standing"], "over");
    assert_eq!(code(redeem(server, "g", &text, "North").await), (409, "illegal_order_move".to_owned()));
}

async fn guesses_are_few(server: &Server) {
    assert_eq!(code(check(server, "hello").await), (422, "voucher_unreadable".to_owned()));
    assert_eq!(code(check(server, "22222-22223").await), (422, "voucher_wrong_character".to_owned()));
    let forged = format!("GV1.{}.{}", "A".repeat(40), "A".repeat(103));
    assert_eq!(code(check(server, &forged).await), (422, "voucher_forged".to_owned()));
    // 22222-22222 fits, and is nobody's.
    let body = json!({ "voucher": "22222-22222", "store": "North", "terminal": "till 3" });
    for _ in 0..3 {
        let answer = server.post("/v1/vouchers/check", "", body.clone()).await;
        assert_eq!(code(answer), (404, "unknown_voucher".to_owned()));
    }
    assert_eq!(code(server.post("/v1/vouchers/check", "", body).await), (429, "too_many_attempts".to_owned()));
    assert_eq!(code(redeem(server, "x", "22222-22222", "North").await), (429, "too_many_attempts".to_owned()));
    assert_eq!(code(redeem(server, "x", "22222-22222", "South").await), (404, "unknown_voucher".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voucher_is_redeemed_once_on_sqlite() {
    vouchers_are_redeemed_once(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voucher_is_redeemed_once_on_postgres() {
    vouchers_are_redeemed_once(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tills_at_once_hand_out_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), false, &[]);
    let ann = server.member("ann", 50_000).await;
    let tea = order(&server, "tea", &ann, "tea-set").await;
    let (_, text) = voucher(&server, &tea).await;
    let tries = (0..8).map(|number| {
        let body = json!({ "voucher": text, "store": "North", "terminal": format!("till {number}") });
        let request = server.client.post(format!("{}/v1/vouchers/redeem", server.address));
        let request = request.header("idempotency-key", format!("r{number}")).body(body.to_string());
        tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
    });
    let mut answers = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        answers.push(one.await.unwrap());
    }
    answers.sort();
    assert_eq!(answers, [201, 409, 409, 409, 409, 409, 409, 409]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_belongs_to_its_store() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), false, &[]);
    let ann = server.member("ann", 50_000).await;
    let tea = order(&server, "tea", &ann, "tea-set").await;
    let (typed, _) = voucher(&server, &tea).await;
    let key = json!({ "name": "Till", "permissions": ["vouchers:redeem"], "stores": ["North"] });
    let (status, key) = server.post("/v1/api-keys", "", key).await;
    assert_eq!(status, 201, "{key}");
    let till = client(key["key"].as_str().unwrap());
    let post = async |path: &str, body: Value| {
        let request = till.post(format!("{}/v1/vouchers/{path}", server.address)).header("idempotency-key", "r");
        let answer = request.body(body.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        code((status, serde_json::from_str(&answer.text().await.unwrap()).unwrap()))
    };
    let there = |store: &str| json!({ "voucher": typed, "store": store, "terminal": "till 1" });
    assert_eq!(post("check", json!({ "voucher": typed })).await, (403, "forbidden_store".to_owned()));
    assert_eq!(post("check", json!({ "voucher": typed, "store": "North" })).await, (200, String::new()));
    assert_eq!(post("redeem", there("South")).await, (403, "forbidden_store".to_owned()));
    assert_eq!(post("redeem", there("North")).await, (201, String::new()));
}

/// A member who is signed in to the portal.
async fn signed_in(server: &Server, gateway: &Gateway, phone: &str) -> (Person, String) {
    let (status, receipt) = server.post("/v1/members", phone, json!({ "name": "Ann", "phone": phone })).await;
    assert_eq!(status, 201, "{receipt}");
    let member = receipt["member_id"].as_str().unwrap().to_owned();
    let points = json!({ "points": 50_000, "reason": "opening balance" });
    assert_eq!(server.post(&format!("/v1/members/{member}/adjustments"), "opening", points).await.0, 201);
    let mut person = Person::new(server);
    let seen = gateway.count();
    assert_eq!(person.post("/portal/sign-in", &[("to", phone)]).await.0, 303);
    let code = gateway.code(seen, phone).await;
    assert_eq!(person.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
    (person, member)
}

/// What stands in an attribute of a page.
async fn attribute(client: &fantoccini::Client, css: &str, name: &str) -> String {
    client.find(Locator::Css(css)).await.unwrap().attr(name).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_shows_a_voucher_and_the_counter_hands_out_in_one_tap() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start();
    let server = serve(folder.path(), false, &gateway.flags());
    let (ann, member) = signed_in(&server, &gateway, "13800138000").await;
    let clerk = Person::invited(&server, "clerk@example.org", "Clerk", "service").await;
    let tea = order(&server, "tea", &member, "tea-set").await;
    let (driver, phone) = browser(&folder.path().join("phone")).await;
    enter(&phone, &server, &ann).await;
    small_phone(&phone).await;
    for (language, words) in [("zh-CN", "请在门店出示"), ("en", "Show this at the store")] {
        phone.goto(&format!("{}/portal/orders/{tea}?lang={language}", server.address)).await.unwrap();
        let page = shown(&phone, &[words]).await;
        assert!(page.contains(words), "{page}");
        assert_eq!(sideways(&phone).await, 0);
        whole_page(&phone, 360, &format!("voucher-phone-{language}")).await;
    }
    let text = attribute(&phone, ".voucher", "data-voucher").await;
    let typed = phone.find(Locator::Css(".voucher-code")).await.unwrap().text().await.unwrap();

    let (second_driver, counter) = browser(&folder.path().join("counter")).await;
    enter(&counter, &server, &clerk).await;
    small_phone(&counter).await;
    let place = format!("{}/console/pos?store=North&terminal=till%203", server.address);
    for (language, words) in [("zh-CN", "扫描兑换券"), ("en", "Scan a voucher")] {
        counter.goto(&format!("{place}&lang={language}")).await.unwrap();
        assert!(shown(&counter, &[words]).await.contains(words));
        assert_eq!(sideways(&counter).await, 0);
        whole_page(&counter, 360, &format!("pos-phone-{language}")).await;
    }
    // A scanner types what it reads, and Enter; the field has the focus.
    scan(&counter, "ABCDE-FGHJK\n").await;
    assert!(shown(&counter, &["A character is wrong"]).await.contains("A character is wrong"));
    scan(&counter, &format!("{text}\n")).await;
    let page = shown(&counter, &["2 × Tea set", "Hand it out"]).await;
    assert!(page.contains("2 × Tea set") && page.contains("Hand it out") && page.contains("North · till 3"), "{page}");
    whole_page(&counter, 360, "pos-found-phone-en").await;
    size(&counter, 1_440, 900).await;
    whole_page(&counter, 1_440, "pos-found-en").await;
    counter.find(Locator::Css(".pos-found button")).await.unwrap().click().await.unwrap();
    let page = shown(&counter, &["Handed out: 2 × Tea set"]).await;
    assert!(page.contains("Handed out: 2 × Tea set"), "{page}");
    whole_page(&counter, 1_440, "pos-done-en").await;
    scan(&counter, &format!("{typed}\n")).await;
    let page = shown(&counter, &["Handed out already"]).await;
    assert!(
        page.contains("Handed out already") && page.contains("North, till 3") && !page.contains("Hand it out"),
        "{page}"
    );
    small_phone(&counter).await;
    whole_page(&counter, 360, "pos-again-phone-en").await;
    // The receipt on the phone hears of it by itself.
    let mut page = String::new();
    for _ in 0..4 {
        page = shown(&phone, &["Handed out:"]).await;
        if page.contains("Handed out:") {
            break;
        }
    }
    assert!(page.contains("Handed out:") && page.contains("North") && !page.contains(&typed), "{page}");
    whole_page(&phone, 360, "voucher-done-phone-en").await;
    phone.close().await.unwrap();
    counter.close().await.unwrap();
    drop((driver, second_driver));
}

/// A reward that is paid in money in part, when it is handed out.
const PAID_AT_THE_COUNTER: &str = r#"
[program.payment]
tenders = ["cash_on_delivery"]
[[rewards]]
id = "kettle"
name = "Kettle"
price = { points = 6000, cash = { to_percent = 50 } }
pickup = true
"#;

#[tokio::test(flavor = "multi_thread")]
async fn money_is_taken_before_a_voucher_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &format!("{PROGRAM}{PAID_AT_THE_COUNTER}"));
    let server = Server::start(&data);
    let ann = server.member("ann", 50_000).await;
    let body = json!({ "member_id": ann, "reward_id": "kettle", "points": 4_000, "tender": "cash_on_delivery" });
    let (status, receipt) = server.post("/v1/orders", "kettle", body).await;
    assert_eq!(status, 201, "{receipt}");
    let kettle = receipt["order"]["id"].as_str().unwrap().to_owned();
    let (typed, text) = voucher(&server, &kettle).await;
    assert_eq!(text, typed, "what a till without network would take is not signed yet");
    let (_, seen) = check(&server, &typed).await;
    assert_eq!((&seen["standing"], &seen["amount_due"]), (&json!("unpaid"), &json!(2_000)), "{seen}");
    assert_eq!(code(redeem(&server, "early", &typed, "North").await), (409, "payment_due".to_owned()));

    let mut clerk = Person::invited(&server, "clerk@example.org", "Clerk", "service").await;
    let place = [("store", "North"), ("terminal", "till 3"), ("voucher", typed.as_str())];
    let form = |key: &'static str| [place.as_slice(), &[("key", key)]].concat();
    let (status, page) = clerk.post("/console/pos", &form("k1")).await;
    assert!(status == 200 && page.contains("Take ¥20.00 first") && page.contains("Money taken"), "{page}");
    assert!(!page.contains("Hand it out"), "{page}");
    let (status, page) = clerk.post("/console/pos/collect", &form("k2")).await;
    assert!(status == 200 && page.contains("Hand it out") && !page.contains("Money taken"), "{page}");
    let (_, seen) = check(&server, &typed).await;
    assert_eq!((&seen["standing"], &seen["amount_due"]), (&json!("good"), &Value::Null), "{seen}");
    assert!(voucher(&server, &kettle).await.1.starts_with("GV1."), "now a till checks it by itself");
    let (status, page) = clerk.post("/console/pos/hand-out", &form("k3")).await;
    assert!(status == 200 && page.contains("Handed out: 1 × Kettle"), "{page}");
}

/// Types into the field that has the focus.
async fn scan(client: &fantoccini::Client, keys: &str) {
    let field = client.find(Locator::Css("#voucher")).await.unwrap();
    field.send_keys(keys).await.unwrap();
}

/// A till of the store North.
struct Till<'a>(&'a Server);

impl Till<'_> {
    async fn authorise(&self, member: &str, reference: &str, basket: i64, more: Value) -> (u16, Value) {
        let mut body = json!({ "member_id": member, "store": "North", "reference": reference, "basket": basket });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.0.post("/v1/checkouts", "", body).await
    }

    async fn step(&self, step: &str, reference: &str, more: Value) -> (u16, Value) {
        let mut body = json!({ "store": "North", "reference": reference });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.0.post(&format!("/v1/checkouts/{step}"), "", body).await
    }

    async fn see(&self, reference: &str) -> (u16, Value) {
        self.0.get(&format!("/v1/checkouts?store=North&reference={reference}")).await
    }

    async fn wallet(&self, member: &str) -> [i64; 2] {
        let (_, wallet) = self.0.get(&format!("/v1/members/{member}/wallet")).await;
        ["available", "held"].map(|name| wallet[0][name].as_i64().unwrap())
    }
}

async fn points_pay_at_the_till(on_postgres: bool) {
    let folder = tempfile::tempdir().unwrap();
    let mut server = serve(folder.path(), on_postgres, &[]);
    let ann = server.member("ann", 10_000).await;
    let bob = server.member("bob", 10_000).await;
    let till = Till(&server);
    // ¥129: at most half of it, in steps of ¥1.
    let (status, receipt) = till.authorise(&ann, "7-1", 12_900, json!({})).await;
    assert_eq!((status, &receipt["order"]["tender"]["authorised"]), (201, &json!({ "points": 6_400, "money": 6_400 })));
    assert_eq!(till.authorise(&ann, "7-1", 12_900, json!({})).await, (200, receipt.clone()), "the answer was lost");
    assert_eq!(code(till.authorise(&ann, "7-1", 12_800, json!({})).await), (422, "idempotency_mismatch".to_owned()));
    assert_eq!(code(till.authorise(&bob, "7-1", 12_900, json!({})).await), (422, "idempotency_mismatch".to_owned()));
    card_is_of_the_member(&server, (&ann, &bob)).await;
    let counted_alike =
        json!({ "member_id": bob, "store": "South", "reference": "7-1", "basket": 1_000, "points": 100 });
    assert_eq!(server.post("/v1/checkouts", "", counted_alike).await.0, 201, "stores count alike");
    assert_eq!(server.post("/v1/checkouts/reverse", "", json!({ "store": "South", "reference": "7-1" })).await.0, 201);
    assert_eq!(till.wallet(&ann).await, [3_600, 6_400]);
    let both = json!({ "points": 100, "money": 100 });
    assert_eq!(code(till.authorise(&ann, "7-2", 12_900, both).await), (422, "invalid_request".to_owned()));
    let (status, captured) = till.step("capture", "7-1", json!({ "money": 6_000 })).await;
    assert_eq!((status, &captured["order"]["tender"]["captured"]["money"]), (201, &json!(6_000)), "{captured}");
    assert_eq!(till.step("capture", "7-1", json!({ "money": 6_000 })).await, (200, captured), "the answer was lost");
    assert_eq!(till.wallet(&ann).await, [4_000, 0]);
    let part = json!({ "reversal": "7-9", "money": 1_500, "reason": "brought back" });
    let (status, reversed) = till.step("reverse", "7-1", part.clone()).await;
    assert_eq!((status, &reversed["points"]), (201, &json!(1_500)), "{reversed}");
    assert_eq!(till.step("reverse", "7-1", part).await, (200, reversed), "the answer was lost");
    let (_, seen) = till.see("7-1").await;
    assert_eq!((&seen["state"], &seen["captured"]["points"]), (&json!("completed"), &json!(6_000)), "{seen}");
    assert_eq!(seen["returned"], json!({ "points": 1_500, "money": 1_500 }));
    // Reversed before it was captured, by its number alone.
    assert_eq!(till.authorise(&bob, "7-3", 5_000, json!({ "points": 2_000 })).await.0, 201);
    assert_eq!(till.step("reverse", "7-3", json!({})).await.0, 201);
    assert_eq!(code(till.step("capture", "7-3", json!({})).await), (409, "checkout_over".to_owned()));
    assert_eq!(till.wallet(&bob).await, [10_000, 0]);
    for (reference, found) in [("7-3", 200), ("8-1", 404)] {
        assert_eq!(till.see(reference).await.0, found);
    }
    assert_eq!(code(till.step("reverse", "8-1", json!({})).await), (404, "unknown_checkout".to_owned()));
    // What is set aside is no work for people, and no order to be moved on.
    let (_, open) = till.authorise(&bob, "7-4", 5_000, json!({ "points": 2_000 })).await;
    let order = open["order"]["id"].as_str().unwrap();
    assert_eq!(server.get("/v1/orders?state=placed").await.1["items"], json!([]));
    let moved = server.post(&format!("/v1/orders/{order}/capture"), "c", json!({})).await;
    assert_eq!(code(moved), (409, "illegal_order_move".to_owned()));
    assert_eq!(server.get(&format!("/v1/orders/{order}")).await.1["moves"], json!(["cancel"]), "by the staff");
    // Nor is it reviewed, or disputed elsewhere than at the till.
    let paid = receipt["order"]["id"].as_str().unwrap();
    let said = json!({ "order_id": paid, "stars": 5, "text": "What a checkout" });
    assert_eq!(code(server.post("/v1/rewards/@checkout/reviews", "", said).await), (409, "no_reward".to_owned()));
    let wrong = json!({ "kind": "wrong", "text": "It was dear" });
    let disputed = server.post(&format!("/v1/orders/{paid}/dispute"), "d", wrong).await;
    assert_eq!(code(disputed), (409, "illegal_order_move".to_owned()));
    offline_spendings_are_told(&server, &ann).await;
    server.interrupt();
    if !on_postgres {
        let data = folder.path().join("data");
        let (status, out, error) = guerdon(&["verify", "--data-dir", data.to_str().unwrap()]);
        assert_eq!(status, 0, "{out}{error}");
    }
}

/// A number that was used for Ann is not for whoever shows a card; a card of hers that is stale by now is still hers.
async fn card_is_of_the_member(server: &Server, (ann, bob): (&str, &str)) {
    let number = |member: &str| guerdon_core::members::card_number(member.parse().unwrap());
    let with = async |card: String| {
        let body = json!({ "card": card, "store": "North", "reference": "7-1", "basket": 12_900 });
        server.post("/v1/checkouts", "", body).await
    };
    assert_eq!(with(number(ann)).await.0, 200);
    assert_eq!(code(with(number(bob)).await), (422, "idempotency_mismatch".to_owned()));
    assert_eq!(code(with("0223".to_owned()).await).0, 422, "what is no card is refused, also of a known number");
}

/// Ann has 5,500 points. A till without network spends of her allowance, and a copy of it is used at another.
async fn offline_spendings_are_told(server: &Server, ann: &str) {
    let fetch = async |terminal: &str, points: Option<i64>| {
        let body = json!({ "member_id": ann, "store": "North", "terminal": terminal, "points": points });
        server.post("/v1/allowances", "", body).await
    };
    let (status, allowance) = fetch("till 3", Some(300)).await;
    assert_eq!((status, &allowance["points"], &allowance["money"]), (201, &json!(300), &json!(300)), "{allowance}");
    assert_eq!(fetch("till 3", Some(300)).await, (200, allowance.clone()), "the answer was lost");
    assert_eq!(fetch("till 4", None).await.1["points"], 200, "what till 3 has left");
    assert_eq!(code(fetch("till 5", None).await), (409, "cap_reached".to_owned()));
    assert_eq!(Till(server).wallet(ann).await, [5_000, 500]);
    let (_, key) = server.get("/v1/cards/key").await;
    let (key, text) = (key["public_key"].as_str().unwrap(), allowance["allowance"].as_str().unwrap());
    let (status, out, error) = guerdon(&["card", "verify", "--key", key, text]);
    assert!(
        status == 0 && out.starts_with(&format!("{ann}: 300 points at till 3 in North, good until ")),
        "{out}{error}"
    );

    let at = time_before(&allowance["ends_at"]);
    let spending = |id: &str, points: i64| json!({ "id": id, "allowance": text, "points": points, "basket": 4_500, "spent_at": at });
    let upload = async |terminal: &str, spendings: Vec<Value>| {
        let body = json!({ "store": "North", "terminal": terminal, "spendings": spendings });
        let (status, answer) = server.post("/v1/allowances/uploads", "", body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let mut forged = spending("3", 10);
    let other = if text.chars().nth(24) == Some('A') { "B" } else { "A" };
    forged["allowance"] = json!(format!("{}{other}{}", &text[..24], &text[25..]));
    let told = upload("till 3", vec![spending("1", 120), spending("2", 100), forged, spending("1", 120)]).await;
    assert_eq!((&told["accepted"], &told["refused"]), (&json!(3), &json!(1)), "{told}");
    assert_eq!(told["results"][0]["receipt"]["order"]["offline"]["charged"], json!({ "points": 120, "money": 120 }));
    assert_eq!(
        (&told["results"][2]["problem"]["code"], &told["results"][3]["replayed"]),
        (&json!("allowance_forged"), &json!(true))
    );
    let again = upload("till 3", vec![spending("1", 120), spending("2", 100)]).await;
    assert_eq!(again["results"][1]["receipt"], told["results"][1]["receipt"], "sent again");
    assert_eq!(Till(server).wallet(ann).await, [5_000, 280]);
    assert_eq!(Till(server).step("reverse", "1", json!({ "points": 20 })).await.0, 201);
    // A copy at another terminal, and more than there is left: charged, and told to the staff.
    let copied = upload("till 4", vec![spending("1", 50)]).await;
    assert_eq!(copied["results"][0]["receipt"]["order"]["offline"]["beyond"], 50, "{copied}");
    // Its number is also that of till 3 by now: which one is reversed must be told.
    let till = Till(server);
    assert_eq!(
        code(till.step("reverse", "1", json!({ "reversal": "x" })).await),
        (409, "checkout_ambiguous".to_owned())
    );
    let of_four = json!({ "terminal": "till 4", "reversal": "x", "points": 10 });
    let (status, reversed) = till.step("reverse", "1", of_four).await;
    assert_eq!((status, &reversed["order"]["tender"]["authorised"]["points"]), (201, &json!(50)), "{reversed}");
    assert_eq!(till.step("reverse", "1", json!({ "terminal": "till 3", "reversal": "y", "points": 10 })).await.0, 201);
    // A number of a spending is none of an authorisation, and the other way round.
    let online = till.authorise(ann, "1", 4_500, json!({ "terminal": "till 3" })).await;
    assert_eq!(code(online), (422, "idempotency_mismatch".to_owned()));
    let told = upload("till 3", vec![spending("7-1", 10)]).await;
    assert_eq!(told["results"][0]["problem"]["code"], json!("idempotency_mismatch"), "{told}");
    let beyond = upload("till 3", vec![spending("4", 100)]).await;
    let offline = &beyond["results"][0]["receipt"]["order"]["offline"];
    assert_eq!((&offline["beyond"], &offline["charged"]["points"]), (&json!(20), &json!(100)));
    assert_eq!(Till(server).wallet(ann).await, [4_970, 200]);
    let mut tasks = json!([]);
    for _ in 0..100 {
        tasks = server.get("/v1/tasks").await.1["items"].clone();
        if tasks.as_array().is_some_and(|tasks| tasks.len() == 2) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let told = tasks.to_string();
    assert!(told.contains("till 4") && told.contains("离线使用了"), "{told}");
    let spendings = (0..201).map(|number| spending(&number.to_string(), 1)).collect::<Vec<_>>();
    let body = json!({ "store": "North", "terminal": "till 3", "spendings": spendings });
    assert_eq!(server.post("/v1/allowances/uploads", "", body).await.0, 400);
}

/// A day before the end of an allowance, and a second later: just after it was fetched.
fn time_before(ends_at: &Value) -> String {
    let ends_at = guerdon_core::time::Timestamp::parse_rfc3339(ends_at.as_str().unwrap()).unwrap();
    ends_at.plus_millis(-86_400_000 + 1_000).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn points_pay_at_the_till_on_sqlite() {
    points_pay_at_the_till(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn points_pay_at_the_till_on_postgres() {
    points_pay_at_the_till(true).await;
}

/// A till that hears nothing within two seconds goes on without points; what was set aside too late is given back.
#[tokio::test(flavor = "multi_thread")]
async fn a_till_waits_two_seconds_at_the_most() {
    let folder = tempfile::tempdir().unwrap();
    let database = postgres::Server::start();
    let (url, file) = (database.database(), folder.path().join("program.toml"));
    std::fs::write(&file, PROGRAM).unwrap();
    let (place, file) = (folder.path().to_str().unwrap(), file.to_str().unwrap());
    assert_eq!(guerdon(&["init", "--database-url", &url, "--data-dir", place, "--program", file]).0, 0);
    let server = Server::start_with(folder.path(), &["--database-url", &url]);
    let ann = server.member("ann", 10_000).await;
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    let till = Till(&server);
    let locked = std::thread::spawn(move || {
        let sql = "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(4); COMMIT";
        database.sql(&name, sql);
        database
    });
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    let begun = std::time::Instant::now();
    let (status, problem) = till.authorise(&ann, "7-1", 12_900, json!({})).await;
    let waited = begun.elapsed();
    assert_eq!((status, &problem["code"]), (503, &json!("checkout_timeout")), "{problem}");
    assert!(waited < std::time::Duration::from_secs(2), "{waited:?}");
    assert!(problem["detail"].as_str().unwrap().contains("reverse by the `reference`"), "{problem}");
    let _database = locked.join().unwrap();
    // It was done all the same: the till asks again, or reverses.
    let mut seen = (0, Value::Null);
    for _ in 0..50 {
        seen = till.see("7-1").await;
        if seen.0 == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!((seen.0, &seen.1["state"]), (200, &json!("placed")), "{seen:?}");
    assert_eq!(till.authorise(&ann, "7-1", 12_900, json!({})).await.0, 200, "asked again it is the same");
    assert_eq!(till.step("reverse", "7-1", json!({})).await.0, 201);
    assert_eq!(till.wallet(&ann).await, [10_000, 0]);
}
