//! Disputes of orders: opened by members in time, answered by staff, refunded or declined; and a receipt on paper.

use std::time::{Duration, Instant};

use fantoccini::wd::{PrintConfigurationBuilder, PrintMargins, PrintSize};
use fantoccini::{Client, Locator};
use guerdon_tests::postgres;
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, shown, sideways, size, text, whole_page};
use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, gift_club, guerdon, init};

const PASSWORD: &str = "seven sunny orange bicycles";
const PHONE: &str = "13800138000";

fn club() -> String {
    let orders = "[program.orders]\ncomplete_after_hours = 72\ndispute_hours = 48\n\n[[currencies]]";
    gift_club(50).replacen("[[currencies]]", orders, 1)
}

struct Shop {
    server: Server,
    member: String,
}

impl Shop {
    async fn of(server: Server) -> Self {
        let profile = json!({ "external_id": "C-1", "name": "Ann Smith", "phone": PHONE });
        let (status, receipt) = server.post("/v1/members", "ann", profile).await;
        assert_eq!(status, 201, "{receipt}");
        let member = receipt["member_id"].as_str().unwrap().to_owned();
        let opening = json!({ "points": 20_000, "reason": "opening balance" });
        assert_eq!(server.post(&format!("/v1/members/{member}/adjustments"), "opening", opening).await.0, 201);
        Self { server, member }
    }

    /// An order that was shipped.
    async fn shipped(&self, key: &str) -> String {
        let order = json!({ "member_id": self.member, "reward_id": "voucher-5" });
        let (status, receipt) = self.server.post("/v1/orders", key, order).await;
        assert_eq!(status, 201, "{receipt}");
        let order = receipt["order"]["id"].as_str().unwrap().to_owned();
        let (status, shipped) = self
            .server
            .post(&format!("/v1/orders/{order}/moves"), &format!("ship {order}"), json!({ "move": "ship" }))
            .await;
        assert_eq!(status, 201, "{shipped}");
        order
    }

    async fn disputed(&self, order: &str, kind: &str, words: &str) -> (u16, Value) {
        let body = json!({ "kind": kind, "text": words });
        self.server.post(&format!("/v1/orders/{order}/dispute"), &format!("dispute {order}"), body).await
    }

    async fn post(&self, order: &str, path: &str, body: Value) -> (u16, Value) {
        let key: String = format!("{order} {path} {body}").chars().take(120).collect();
        self.server.post(&format!("/v1/orders/{order}/{path}"), &key, body).await
    }

    async fn order(&self, order: &str) -> Value {
        self.server.get(&format!("/v1/orders/{order}")).await.1
    }

    async fn available(&self) -> i64 {
        self.server.get(&format!("/v1/members/{}/wallet", self.member)).await.1[0]["available"].as_i64().unwrap()
    }
}

fn code((status, problem): (u16, Value)) -> (u16, String) {
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

async fn a_dispute_takes_its_way(shop: &Shop) {
    let (broken, lost) = (shop.shipped("one").await, shop.shipped("two").await);
    assert!(shop.order(&broken).await["due_at"].is_string());
    for (kind, words) in [("broken", "It broke"), ("damaged", " "), ("damaged", &*"x".repeat(1_001))] {
        assert_eq!(code(shop.disputed(&broken, kind, words).await), (422, "invalid_request".to_owned()));
    }
    let (status, dispute) = shop.disputed(&broken, "damaged", "The handle is off").await;
    assert_eq!((status, &dispute["state"], &dispute["overdue"]), (201, &json!("open"), &json!(false)), "{dispute}");
    assert_eq!(dispute["messages"][0]["text"], "The handle is off");
    let order = shop.order(&broken).await;
    assert_eq!((&order["state"], &order["dispute"]), (&json!("shipped"), &json!("open")), "{order}");
    assert!(order.get("due_at").is_none(), "it does not complete by itself meanwhile: {order}");
    assert_eq!(shop.disputed(&broken, "damaged", "The handle is off").await.0, 201, "a retry");
    let another = json!({ "kind": "wrong", "text": "Something else" });
    assert_eq!(
        code(shop.server.post(&format!("/v1/orders/{broken}/dispute"), "other", another).await),
        (409, "illegal_order_move".to_owned())
    );
    assert_eq!(code(shop.server.get(&format!("/v1/orders/{lost}/dispute")).await), (404, "unknown_dispute".to_owned()));

    // Both sides talk; who was answered does not wait any more.
    assert_eq!(shop.disputed(&lost, "not_received", "Where is it?").await.0, 201);
    let (_, queue) = shop.server.get("/v1/disputes?limit=1").await;
    assert_eq!(queue["items"][0]["order_id"], json!(broken), "due first: {queue}");
    let (_, rest) = shop.server.get(&format!("/v1/disputes?after={}", queue["next"].as_str().unwrap())).await;
    assert_eq!(rest["items"][0]["order_id"], json!(lost), "{rest}");
    let (status, told) = shop.post(&broken, "dispute/answers", json!({ "text": "Can you send a photo?" })).await;
    assert_eq!((status, told.get("due_at")), (200, None), "{told}");
    assert_eq!(shop.server.get("/v1/disputes").await.1["items"][0]["order_id"], json!(lost), "the other one waits");
    let (_, said) = shop.post(&broken, "dispute/messages", json!({ "text": "Here it is" })).await;
    let by: Vec<&str> = said["messages"].as_array().unwrap().iter().map(|said| said["by"].as_str().unwrap()).collect();
    assert_eq!((by, said["due_at"].is_string()), (vec!["member", "staff", "member"], true));

    // One is refunded, the other declined, each once.
    let before = shop.available().await;
    let refund = json!({ "resolution": "refund", "reason": "It was broken" });
    assert_eq!(shop.post(&broken, "dispute/resolution", refund).await.0, 201);
    assert_eq!(shop.available().await, before + 500);
    let (_, dispute) = shop.server.get(&format!("/v1/orders/{broken}/dispute")).await;
    assert_eq!((&dispute["state"], &dispute["reason"]), (&json!("refunded"), &json!("It was broken")), "{dispute}");
    assert_eq!(
        code(shop.post(&broken, "dispute/messages", json!({ "text": "Thanks" })).await),
        (409, "dispute_closed".to_owned())
    );
    let decline = |reason: &str| json!({ "resolution": "decline", "reason": reason });
    assert_eq!(code(shop.post(&lost, "dispute/resolution", decline("")).await), (422, "invalid_request".to_owned()));
    let (status, receipt) = shop.post(&lost, "dispute/resolution", decline("The carrier has your signature")).await;
    assert_eq!((status, &receipt["order"]["disputed"]), (201, &json!(false)), "{receipt}");
    let order = shop.order(&lost).await;
    assert_eq!((&order["dispute"], order["due_at"].is_string()), (&json!("declined"), true), "it goes on: {order}");
    assert_eq!(shop.server.get("/v1/disputes").await.1["items"], json!([]));
    let (_, closed) = shop.server.get("/v1/disputes?state=closed").await;
    assert_eq!(closed["items"].as_array().unwrap().len(), 2, "{closed}");
    assert_eq!(code(shop.disputed(&lost, "other", "Again").await), (422, "idempotency_mismatch".to_owned()));

    // A refund of the order itself closes its dispute as well.
    let third = shop.shipped("three").await;
    assert_eq!(shop.disputed(&third, "wrong", "A mug came").await.0, 201);
    assert_eq!(shop.post(&third, "refund", json!({ "reason": "Sent the wrong one" })).await.0, 201);
    let (_, dispute) = shop.server.get(&format!("/v1/orders/{third}/dispute")).await;
    assert_eq!(dispute["state"], "refunded", "{dispute}");
    let (_, audit) = shop.server.get("/v1/audit?action=dispute.answer").await;
    assert!(audit["items"].as_array().unwrap().len() == 1 && !audit.to_string().contains("photo"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_disputes_and_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &club());
    let mut shop = Shop::of(Server::start(&data)).await;
    a_dispute_takes_its_way(&shop).await;

    // An order whose time has run out does not complete while it is disputed, and nobody comes too late.
    let (kept, late) = (shop.shipped("kept").await, shop.shipped("late").await);
    assert_eq!(shop.disputed(&kept, "not_received", "Nothing came").await.0, 201);
    assert_eq!(shop.server.interrupt(), 0);
    let database = rusqlite::Connection::open(data.join("guerdon.db")).unwrap();
    database.execute("UPDATE orders SET due_at = 1000 WHERE due_at IS NOT NULL", []).unwrap();
    let overdue = "UPDATE record SET body = json_set(body, '$.due_at', '2020-01-01T00:00:00Z')
                   WHERE kind = 'dispute' AND subject = 'open'";
    assert_eq!(database.execute(overdue, []).unwrap(), 1);
    let readable = "SELECT COUNT(*) FROM record WHERE body LIKE '%Nothing came%' OR body LIKE '%handle%'";
    assert_eq!(database.query_row(readable, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "what is said is sealed");
    drop(database);
    shop.server = Server::start(&data);
    let started = Instant::now();
    while shop.order(&late).await["state"] != "completed" {
        assert!(started.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(shop.order(&kept).await["state"], "shipped");
    let (_, queue) = shop.server.get("/v1/disputes").await;
    assert_eq!((&queue["items"][0]["order_id"], &queue["items"][0]["overdue"]), (&json!(kept), &json!(true)));
    assert_eq!(shop.disputed(&late, "damaged", "It came today").await.0, 201, "from its completion on as well");
    assert_eq!(shop.server.interrupt(), 0);
    assert_eq!(guerdon(&["verify", "--data-dir", data.to_str().unwrap()]).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn disputes_are_the_same_on_a_database_server() {
    let folder = tempfile::tempdir().unwrap();
    let url = postgres::shared().database();
    let file = folder.path().join("program.toml");
    std::fs::write(&file, club()).unwrap();
    let at = ["--database-url", url.as_str(), "--data-dir", folder.path().to_str().unwrap()];
    let (code, _, error) = guerdon(&[&["init", "--program", file.to_str().unwrap()], &at[..]].concat());
    assert_eq!(code, 0, "{error}");
    let server = Server::start_with(folder.path(), &["--database-url", &url]);
    a_dispute_takes_its_way(&Shop::of(server).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_without_disputes_takes_none_and_a_member_is_told_of_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("none");
    init(&data, &gift_club(50));
    let shop = Shop::of(Server::start(&data)).await;
    let order = shop.shipped("one").await;
    assert_eq!(code(shop.disputed(&order, "wrong", "A mug came").await), (409, "dispute_closed".to_owned()));
    drop(shop);

    let data = folder.path().join("told");
    init(&data, &club());
    let gateway = Gateway::start();
    let flags = [&gateway.flags()[..], &["--public-url", "https://loyalty.example"]].concat();
    let shop = Shop::of(Server::start_with(&data, &flags)).await;
    let order = shop.shipped("one").await;
    assert_eq!(shop.disputed(&order, "wrong", "A mug came").await.0, 201);
    assert_eq!(shop.post(&order, "dispute/answers", json!({ "text": "Which one?" })).await.0, 200);
    let (to, words) = gateway.message(0).await;
    assert_eq!(to, PHONE);
    assert!(words.contains(&format!("https://loyalty.example/portal/orders/{order}")), "{words}");
    assert!(words.contains("has answered you") && !words.contains("Which one?"), "{words}");

    // A refund above the limit waits for another operator, and the dispute with it.
    let mut policy = shop.server.get("/v1/approval-policy").await.1;
    policy["refund_points"] = json!(100);
    assert_eq!(shop.server.put("/v1/approval-policy", policy).await.0, 200);
    let mut sam = Person::invited(&shop.server, "sam@example.org", "Sam", "service").await;
    let resolution = format!("/v1/orders/{order}/dispute/resolution");
    let refund = json!({ "resolution": "refund", "reason": "The wrong one" });
    let (status, waiting) = sam.json(&resolution, &refund).await;
    assert_eq!(status, 202, "{waiting}");
    assert_eq!(shop.order(&order).await["dispute"], "open");
    let decision = format!("/v1/approvals/{}/decision", waiting["id"].as_str().unwrap());
    let mut fred = Person::invited(&shop.server, "fred@example.org", "Fred", "finance").await;
    let (status, decided) = fred.json(&decision, &json!({ "approve": true, "note": "Seen" })).await;
    assert_eq!(status, 200, "{decided}");
    let (_, words) = gateway.message(1).await;
    assert!(words.contains("has given back the points"), "{words}");
    assert_eq!(shop.server.get("/v1/disputes").await.1["items"], json!([]));
    // Who may review orders but not refund them declines, and no more.
    let grants = json!([{ "role": "catalogue" }]);
    let mut cara = Person::invited_with(&shop.server, "cara@example.org", "Cara", grants).await;
    assert_eq!(cara.json(&resolution, &refund).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_was_cut_off_is_taken_up_again_or_decided_without_words() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &club());
    let gateway = Gateway::start();
    let mut shop = Shop::of(Server::start_with(&data, &gateway.flags())).await;
    let setup = shop.server.setup_link.clone();
    let mut olga = Person::new(&shop.server);
    olga.set_up(&setup, "olga@example.org", "Olga", PASSWORD).await;
    let mut cara = Person::invited(&shop.server, "cara@example.org", "Cara", "catalogue").await;
    let (told, declined, refunded, calm) =
        (shop.shipped("1").await, shop.shipped("2").await, shop.shipped("3").await, shop.shipped("4").await);
    for order in [&told, &declined, &refunded] {
        assert_eq!(shop.disputed(order, "damaged", "The handle is off").await.0, 201);
    }
    // Who may see orders sees that one is disputed; what was said, and by whom, is for others.
    let seen: Value = serde_json::from_str(&cara.get(&format!("/v1/orders/{told}/dispute")).await.1).unwrap();
    assert_eq!((&seen["state"], &seen["kind"], seen.get("messages")), (&json!("open"), &json!("damaged"), None));
    let (status, page) = cara.get(&format!("/console/orders/{told}")).await;
    assert!(status == 200 && page.contains("What was said is for those who may review orders"), "{page}");
    assert!(!page.contains("The handle is off") && !page.contains("A****") && !page.contains("C-1"), "{page}");
    let page = olga.get(&format!("/console/orders/{told}")).await.1;
    assert!(page.contains("The handle is off") && page.contains("A****"), "{page}");

    // The server ends after the orders were moved, and before what was said is kept.
    assert_eq!(shop.server.interrupt(), 0);
    let database = rusqlite::Connection::open(data.join("guerdon.db")).unwrap();
    let lost = database.execute("DELETE FROM record WHERE kind IN ('dispute', 'dispute_of')", []).unwrap();
    assert_eq!(lost, 6);
    drop(database);
    shop.server = Server::start_with(&data, &gateway.flags());
    olga.goes_on_with(&shop.server);
    let mut ann = Person::new(&shop.server);
    let before = gateway.count();
    assert_eq!(ann.post("/portal/sign-in", &[("to", PHONE)]).await.0, 303);
    let sent = gateway.code(before, PHONE).await;
    assert_eq!(ann.post("/portal/sign-in/code", &[("code", &sent)]).await.0, 303);

    // The member says it again.
    let receipt = format!("/portal/orders/{told}");
    let (_, page) = ann.get(&receipt).await;
    assert!(page.contains("were cut off") && page.contains("dispute-kind"), "{page}");
    let (status, page) = ann.post(&format!("{receipt}/dispute"), &[("text", "The lid as well")]).await;
    assert!(status == 422 && page.contains("Choose what is wrong"), "{status} {page}");
    let form = [("kind", "wrong"), ("text", "The lid as well")];
    assert_eq!(ann.post(&format!("{receipt}/dispute"), &form).await.0, 303);
    assert_eq!(ann.post(&format!("{receipt}/dispute"), &[("text", "And the spout")]).await.0, 303, "and goes on");
    let (_, page) = ann.get(&receipt).await;
    assert!(
        page.contains("We answer by") && page.contains("The lid as well") && page.contains("And the spout"),
        "{page}"
    );
    let (_, queue) = shop.server.get("/v1/disputes").await;
    assert_eq!((queue["items"].as_array().unwrap().len(), &queue["items"][0]["order_id"]), (1, &json!(told)));

    // Staff decide the others, of which no words are known.
    let (status, dispute) = shop.server.get(&format!("/v1/orders/{declined}/dispute")).await;
    assert_eq!((status, &dispute["state"], &dispute["kind"]), (200, &json!("open"), &json!("damaged")), "{dispute}");
    let page = olga.get(&format!("/console/orders/{declined}")).await.1;
    assert!(page.contains("Nothing is known of what the member said") && !page.contains("value=\"answer\""), "{page}");
    let decline = [("key", "k-1"), ("step", "decline"), ("text", "We have not heard from you")];
    assert_eq!(olga.post(&format!("/console/orders/{declined}/dispute"), &decline).await.0, 303);
    assert_eq!(shop.order(&declined).await["dispute"], "declined");
    let (_, page) = ann.get(&format!("/portal/orders/{declined}")).await;
    assert!(page.contains("We have not heard from you") && !page.contains("dispute-kind"), "{page}");
    let refund = json!({ "resolution": "refund", "reason": "It was broken" });
    assert_eq!(code(shop.post(&calm, "dispute/resolution", refund.clone()).await), (404, "unknown_dispute".to_owned()));
    assert_eq!(shop.post(&refunded, "dispute/resolution", refund).await.0, 201);
    let (_, dispute) = shop.server.get(&format!("/v1/orders/{refunded}/dispute")).await;
    assert_eq!((&dispute["state"], &dispute["reason"]), (&json!("refunded"), &json!("It was broken")), "{dispute}");
    assert_eq!(shop.server.interrupt(), 0);
    assert_eq!(guerdon(&["verify", "--data-dir", data.to_str().unwrap()]).0, 0);
}

/// How many pages a print has on paper of this size, in centimetres.
async fn printed(client: &Client, (width, height): (f64, f64), name: &str) -> usize {
    let margins = PrintMargins { top: 0.3, bottom: 0.3, left: 0.3, right: 0.3 };
    let paper =
        PrintConfigurationBuilder::default().size(PrintSize { width, height }).margins(margins).build().unwrap();
    let pdf = client.print(paper).await.unwrap();
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots/disputes");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.pdf")), &pdf).unwrap();
    let text = String::from_utf8_lossy(&pdf).into_owned();
    let counted = text.split("/Type /Pages").nth(1).and_then(|pages| pages.split("/Count ").nth(1));
    counted.and_then(|count| count.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()).expect("a PDF with pages")
}

async fn click(client: &Client, css: &str) {
    let place = "document.querySelector(arguments[0]).scrollIntoView({ block: 'center', behavior: 'instant' })";
    client.execute(place, vec![json!(css)]).await.unwrap();
    client.find(Locator::Css(css)).await.unwrap_or_else(|_| panic!("there is no {css}")).click().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_and_a_receipt_on_a_phone_and_in_the_console() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &club());
    let gateway = Gateway::start();
    let shop = Shop::of(Server::start_with(&data, &gateway.flags())).await;
    let (order, other) = (shop.shipped("one").await, shop.shipped("two").await);
    assert_eq!(
        shop.disputed(&other, "not_received", "Nothing has come for two weeks, and the number leads nowhere.").await.0,
        201
    );
    let mut person = Person::new(&shop.server);
    assert_eq!(person.post("/portal/sign-in", &[("to", PHONE)]).await.0, 303);
    let sent = gateway.code(0, PHONE).await;
    assert_eq!(person.post("/portal/sign-in/code", &[("code", &sent)]).await.0, 303);
    let receipt = format!("/portal/orders/{order}");
    let (status, page) = person.post(&format!("{receipt}/dispute"), &[("text", "What?")]).await;
    assert!(status == 422 && page.contains("Choose what is wrong") && page.contains("What?"), "{page}");
    let mut olga = Person::new(&shop.server);
    olga.set_up(&shop.server.setup_link, "olga@example.org", "Olga", PASSWORD).await;

    let (driver, client) = browser(&folder.path().join("profile")).await;
    enter(&client, &shop.server, &person).await;
    let address = &shop.server.address;
    for language in ["en", "zh-CN"] {
        size(&client, 360, 740).await;
        client.goto(&format!("{address}{receipt}?lang={language}")).await.unwrap();
        assert_eq!(sideways(&client).await, 0, "{language}");
        whole_page(&client, 360, &format!("disputes/form-phone-{language}")).await;
    }
    client.goto(&format!("{address}{receipt}?lang=en")).await.unwrap();
    size(&client, 1_440, 900).await;
    client.goto(&format!("{address}{receipt}?lang=en")).await.unwrap();
    assert_eq!(printed(&client, (21.0, 29.7), "a4").await, 1, "one page of A4");
    assert_eq!(printed(&client, (8.0, 29.7), "roll").await, 1, "one page of a roll");
    click(&client, "#dispute-kind option[value=damaged]").await;
    client.find(Locator::Css("#dispute-text")).await.unwrap().send_keys("The corner is torn.").await.unwrap();
    click(&client, "#dispute form button").await;
    let page = shown(&client, &["We answer by"]).await;
    assert!(page.contains("It came broken") && page.contains("The corner is torn."), "{page}");

    enter(&client, &shop.server, &olga).await;
    for language in ["en", "zh-CN"] {
        for (width, shape) in [(360, "phone"), (1_440, "wide")] {
            size(&client, width, 900).await;
            client.goto(&format!("{address}/console/disputes?lang={language}")).await.unwrap();
            let page = text(&client).await;
            assert!(page.contains("A****"), "who is behind it, masked: {page}");
            assert_eq!(sideways(&client).await, 0, "{shape} {language}");
            whole_page(&client, width, &format!("disputes/queue-{shape}-{language}")).await;
            client.goto(&format!("{address}/console/orders/{order}")).await.unwrap();
            assert_eq!(sideways(&client).await, 0, "{shape} {language}");
            whole_page(&client, width, &format!("disputes/order-{shape}-{language}")).await;
        }
    }
    client.goto(&format!("{address}/console/orders/{order}?lang=en")).await.unwrap();
    let papers =
        (printed(&client, (21.0, 29.7), "console-a4").await, printed(&client, (8.0, 29.7), "console-roll").await);
    assert_eq!(papers, (1, 1), "one page each");
    client.find(Locator::Css("#dispute-text")).await.unwrap().send_keys("Can you send a photo?").await.unwrap();
    click(&client, "#dispute button[value=answer]").await;
    let page = shown(&client, &["it waits for the member"]).await;
    assert!(page.contains("it waits for the member") && page.contains("Olga"), "{page}");
    client
        .find(Locator::Css("#dispute-text"))
        .await
        .unwrap()
        .send_keys("A torn corner does not matter.")
        .await
        .unwrap();
    click(&client, "#dispute button[value=decline]").await;
    let page = shown(&client, &["declined"]).await;
    assert!(page.contains("A torn corner does not matter."), "{page}");
    enter(&client, &shop.server, &person).await;
    for language in ["en", "zh-CN"] {
        size(&client, 360, 740).await;
        client.goto(&format!("{address}{receipt}?lang={language}")).await.unwrap();
        let page = text(&client).await;
        assert!(page.contains("A torn corner does not matter.") && page.contains("Can you send a photo?"), "{page}");
        whole_page(&client, 360, &format!("disputes/declined-phone-{language}")).await;
    }
    client.goto(&format!("{address}/portal?lang=en")).await.unwrap();
    let page = text(&client).await;
    assert!(page.contains("Dispute declined") && page.contains("It came broken"), "{page}");
    // How it looks on paper.
    let paper = "document.querySelectorAll('link[rel=stylesheet]').forEach(link => { link.media = 'all' }); \
                 for (const sheet of document.styleSheets) for (const rule of [...sheet.cssRules]) \
                 if (rule.media && rule.conditionText === 'print') rule.media.mediaText = 'all'";
    client.goto(&format!("{address}{receipt}?lang=en")).await.unwrap();
    client.execute(paper, Vec::new()).await.unwrap();
    whole_page(&client, 800, "disputes/receipt-on-paper").await;
    client.close().await.unwrap();
    drop(driver);
}
