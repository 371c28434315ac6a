//! Reviews of rewards: by those who redeemed, looked at first where the program says so, counted exactly, and gone with their
//! member.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use fantoccini::{Client, Locator};
use guerdon_tests::postgres;
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, shown, sideways, size, text, whole_page};
use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, guerdon, init};

const PASSWORD: &str = "seven sunny orange bicycles";

/// A club with a dozen cheap rewards, whose reviews are looked at when they hold certain words.
fn club() -> String {
    let rewards: String = (0..12)
        .map(|number| {
            format!("[[rewards]]\nid = \"gift-{number}\"\nname = {{ en = \"Gift {number}\", zh = \"礼品 {number}\" }}\nprice = 10\n")
        })
        .collect();
    format!(
        "[program]\nid = \"club\"\nname = {{ en = \"Club\", zh = \"会\" }}\nmoney = \"CNY\"\ntime_zone = \"Asia/Shanghai\"\n\
         [program.reviews]\nmoderation = \"words\"\nwords = [\"http\", \"退款\"]\n\
         [[currencies]]\nid = 1\ncode = \"points\"\nname = {{ en = \"points\", zh = \"积分\" }}\nper_money_unit = 100\n\
         [[rules]]\nid = \"base\"\nname = \"Base\"\ntrigger = \"purchase\"\neffect = {{ type = \"points_per_money\", rate = \"1\" }}\n\
         {rewards}"
    )
}

/// A member with a name and points.
async fn member(server: &Server, name: &str, more: Value) -> String {
    let mut profile = json!({ "external_id": name, "name": name });
    profile.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, receipt) = server.post("/v1/members", &format!("enrol {:x?}", name.as_bytes()), profile).await;
    assert_eq!(status, 201, "{receipt}");
    let member = receipt["member_id"].as_str().unwrap().to_owned();
    let opening = json!({ "points": 1_000, "reason": "opening balance" });
    assert_eq!(server.post(&format!("/v1/members/{member}/adjustments"), "opening", opening).await.0, 201);
    member
}

async fn redeemed(server: &Server, member: &str, reward: &str, capture: bool) -> String {
    let order = json!({ "member_id": member, "reward_id": reward, "capture": capture });
    let (status, receipt) = server.post("/v1/orders", &format!("{member} {reward} {capture}"), order).await;
    assert!(status == 201 || status == 200, "{receipt}");
    receipt["order"]["id"].as_str().unwrap().to_owned()
}

async fn review(server: &Server, reward: &str, order: &str, stars: i64, text: &str) -> (u16, Value) {
    let body = json!({ "order_id": order, "stars": stars, "text": text });
    server.post(&format!("/v1/rewards/{reward}/reviews"), "", body).await
}

async fn rating(server: &Server, reward: &str) -> Value {
    server.get(&format!("/v1/rewards/{reward}/reviews")).await.1["rating"].clone()
}

async fn rewards_are_reviewed(server: Arc<Server>) {
    let ann = member(&server, "Ann Smith", json!({})).await;
    let order = redeemed(&server, &ann, "gift-1", true).await;
    let (status, mine) = review(&server, "gift-1", &order, 5, "  Lovely,\n and it came soon ").await;
    assert_eq!((status, &mine["state"], &mine["text"]), (200, &json!("approved"), &json!("Lovely, and it came soon")));
    let (_, page) = server.get("/v1/rewards/gift-1/reviews").await;
    assert_eq!(page["rating"], json!({ "average": "5.0", "count": 1 }));
    assert_eq!((&page["items"][0]["author"], page["items"][0].get("member_id")), (&json!("A****"), None), "{page}");

    // Only with a completed order of it, and within limits.
    let open = redeemed(&server, &ann, "gift-2", false).await;
    let code = |(status, problem): (u16, Value)| (status, problem["code"].as_str().unwrap_or_default().to_owned());
    assert_eq!(code(review(&server, "gift-2", &open, 5, "Soon").await), (409, "order_not_completed".to_owned()));
    assert_eq!(code(review(&server, "gift-2", &order, 5, "Another").await), (404, "unknown_order".to_owned()));
    for (stars, text) in [(0, "x"), (6, "x"), (3, " "), (3, &*"x".repeat(1_001))] {
        assert_eq!(code(review(&server, "gift-1", &order, stars, text).await), (422, "invalid_request".to_owned()));
    }

    // What holds certain words waits.
    let bob = member(&server, "王小明", json!({})).await;
    let his = redeemed(&server, &bob, "gift-1", true).await;
    let (_, waits) = review(&server, "gift-1", &his, 1, "See HTTP://spam.example").await;
    assert_eq!(waits["state"], "waiting", "{waits}");
    assert_eq!(rating(&server, "gift-1").await["count"], 1);
    let (_, queue) = server.get("/v1/reviews").await;
    assert_eq!((&queue["items"][0]["id"], &queue["items"][0]["member_id"]), (&waits["id"], &json!(bob)), "{queue}");
    let decision = format!("/v1/reviews/{}/decision", waits["id"].as_str().unwrap());
    assert_eq!(server.post(&decision, "", json!({ "approve": false })).await.0, 422, "a reason is needed");
    let (status, rejected) = server.post(&decision, "", json!({ "approve": false, "reason": "It is spam" })).await;
    assert_eq!((status, &rejected["state"]), (200, &json!("rejected")), "{rejected}");
    let (_, own) = server.get(&format!("/v1/members/{bob}/reviews")).await;
    assert_eq!(own[0]["reason"], "It is spam");
    assert_eq!(server.get("/v1/reviews?state=rejected").await.1["items"].as_array().unwrap().len(), 1);
    assert_eq!(server.post(&decision, "", json!({ "approve": true })).await.0, 200);
    assert_eq!(rating(&server, "gift-1").await, json!({ "average": "3.0", "count": 2 }));
    let (_, audit) = server.get("/v1/audit?action=review.").await;
    let told: Vec<&str> = audit["items"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(told, ["review.approve", "review.reject"]);
    assert!(!audit.to_string().contains("spam.example"), "what was written is not in a log for ever: {audit}");

    // Written anew it counts once; what was approved by hand waits again where it holds such words.
    assert_eq!(review(&server, "gift-1", &his, 4, "It came after all").await.1["state"], "approved");
    assert_eq!(rating(&server, "gift-1").await, json!({ "average": "4.5", "count": 2 }));
    assert_eq!(review(&server, "gift-1", &his, 4, "我要退款").await.1["state"], "waiting");
    assert_eq!(rating(&server, "gift-1").await, json!({ "average": "5.0", "count": 1 }));

    everyone_at_once(server.clone()).await;

    // The catalogue says it, and sorts by it.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    server.get("/v1/catalogue?sort=rating").await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let (_, page) = server.get("/v1/catalogue?sort=rating").await;
    let first: Vec<&str> = page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(first[..2], ["gift-1", "gift-3"], "{page}");
    assert_eq!(page["items"][1]["rating"], json!({ "average": "3.0", "count": 10 }));
    assert!(page["items"][2].get("rating").is_none());

    // Whoever writes very many is told to wait.
    let mut refused = None;
    for number in 1..12 {
        let reward = format!("gift-{number}");
        let order = redeemed(&server, &ann, &reward, true).await;
        let (status, problem) = review(&server, &reward, &order, 3, &format!("The {number}th")).await;
        if status == 429 {
            refused = Some((number, problem["code"].clone()));
            break;
        }
        assert_eq!(status, 200, "{problem}");
    }
    assert_eq!(refused, Some((11, json!("too_many_reviews"))));
}

/// Ten members write at the same time, each twice: every one counts once.
async fn everyone_at_once(server: Arc<Server>) {
    let mut writers = Vec::new();
    for number in 0..10 {
        let someone = member(&server, &format!("m{number}"), json!({})).await;
        let order = redeemed(&server, &someone, "gift-3", true).await;
        for stars in [1, 1 + number % 5] {
            let (server, order) = (server.clone(), order.clone());
            writers.push(tokio::spawn(async move {
                let (status, written) = review(&server, "gift-3", &order, stars, &format!("{stars} of five")).await;
                assert_eq!(status, 200, "{written}");
                (order, stars)
            }));
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let (_, page) = server.get("/v1/rewards/gift-3/reviews?limit=4").await;
    assert_eq!(page["rating"]["count"], 10, "{page}");
    // Whoever was last decides about the stars: then they are written once more, one after the other.
    let (mut stars, mut after, mut seen) = (0, String::new(), 0);
    loop {
        let (_, page) = server.get(&format!("/v1/rewards/gift-3/reviews?limit=4{after}")).await;
        for item in page["items"].as_array().unwrap() {
            (stars, seen) = (stars + item["stars"].as_i64().unwrap(), seen + 1);
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, 10);
    let average = format!("{}.{}", stars / 10, stars % 10);
    assert_eq!(rating(&server, "gift-3").await["average"], json!(average), "the sum of what stands there");
    let mut orders = Vec::new();
    for number in 0..10 {
        let (_, found) = server.post("/v1/members/search", "", json!({ "external_id": format!("m{number}") })).await;
        let someone = found["items"][0]["id"].as_str().unwrap().to_owned();
        orders.push((redeemed(&server, &someone, "gift-3", true).await, 1 + number % 5));
    }
    for (order, stars) in orders {
        assert_eq!(review(&server, "gift-3", &order, stars, "Once more").await.0, 200);
    }
    assert_eq!(rating(&server, "gift-3").await, json!({ "average": "3.0", "count": 10 }));
}

async fn exported(server: &Server, member: &str) -> Value {
    let request = server.client.post(format!("{}/v1/members/{member}/export", server.address));
    let request = request.header("content-type", "application/json").body(r#"{ "reason": "asked for" }"#);
    let bytes = request.send().await.unwrap().bytes().await.unwrap().to_vec();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let mut text = String::new();
    archive.by_name("data.json").unwrap().read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn members_review_what_they_have_redeemed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &club());
    let server = Arc::new(Server::start(&data));
    rewards_are_reviewed(server.clone()).await;
    let mut server = Arc::into_inner(server).unwrap();

    // What a member wrote leaves with their data, and is erased with them; the others' count stays exact.
    let (_, found) = server.post("/v1/members/search", "", json!({ "external_id": "m4" })).await;
    let leaving = found["items"][0]["id"].as_str().unwrap().to_owned();
    let reviews = exported(&server, &leaving).await["reviews"].clone();
    assert_eq!((&reviews[0]["stars"], &reviews[0]["text"]), (&json!(5), &json!("Once more")), "{reviews}");
    let path = format!("/v1/members/{leaving}/erasure");
    assert_eq!(server.post(&path, "", json!({ "reason": "asked by letter" })).await.0, 201);
    server.interrupt();
    age_erasures(&data);
    server = Server::start(&data);
    for _ in 0..100 {
        if rating(&server, "gift-3").await["count"] == 10 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(rating(&server, "gift-3").await, json!({ "average": "2.8", "count": 10 }), "28 of 10, Ann's among them");
    assert_eq!(server.get(&format!("/v1/members/{leaving}/reviews")).await.1, json!([]));
}

fn age_erasures(data: &Path) {
    let database = rusqlite::Connection::open(data.join("guerdon.db")).unwrap();
    let age = "UPDATE record SET body = json_set(body, '$.due_at', '2020-01-01T00:00:00Z') WHERE kind = 'erasure'";
    assert_eq!(database.execute(age, []).unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reviews_are_the_same_on_a_database_server() {
    let folder = tempfile::tempdir().unwrap();
    let url = postgres::shared().database();
    let file = folder.path().join("program.toml");
    std::fs::write(&file, club()).unwrap();
    let at = ["--database-url", url.as_str(), "--data-dir", folder.path().to_str().unwrap()];
    let (code, _, error) = guerdon(&[&["init", "--program", file.to_str().unwrap()], &at[..]].concat());
    assert_eq!(code, 0, "{error}");
    rewards_are_reviewed(Arc::new(Server::start_with(folder.path(), &["--database-url", &url]))).await;
}

async fn click(client: &Client, css: &str) {
    let place = "document.querySelector(arguments[0]).scrollIntoView({ block: 'center', behavior: 'instant' })";
    client.execute(place, vec![json!(css)]).await.unwrap();
    client.find(Locator::Css(css)).await.unwrap_or_else(|_| panic!("there is no {css}")).click().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_writes_from_the_receipt_and_an_operator_decides() {
    const PHONE: &str = "13800138000";
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &club());
    let gateway = Gateway::start();
    let server = Server::start_with(&data, &gateway.flags());
    let ann = member(&server, "Ann Smith", json!({ "phone": PHONE })).await;
    let order = redeemed(&server, &ann, "gift-1", true).await;
    let open = redeemed(&server, &ann, "gift-2", false).await;
    for (name, stars, words) in [
        ("李雷", 4, "很好用，送人也合适。"),
        ("Zoë", 5, "Better than I had expected, <b>really</b>."),
        ("Max", 2, "A handle came off after a week, and it took a while until somebody answered me."),
    ] {
        let other = member(&server, name, json!({})).await;
        let order = redeemed(&server, &other, "gift-1", true).await;
        assert_eq!(review(&server, "gift-1", &order, stars, words).await.0, 200);
    }
    let spammer = member(&server, "Spam", json!({})).await;
    let his = redeemed(&server, &spammer, "gift-3", true).await;
    assert_eq!(review(&server, "gift-3", &his, 1, "http://spam.example <script>alert(1)</script>").await.0, 200);

    let mut person = Person::new(&server);
    assert_eq!(person.post("/portal/sign-in", &[("to", PHONE)]).await.0, 303);
    let code = gateway.code(0, PHONE).await;
    assert_eq!(person.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
    // Nothing is written of what has not come, nor without stars or words, nor of another's order.
    let receipt = format!("/portal/orders/{order}");
    assert!(!person.get(&format!("/portal/orders/{open}")).await.1.contains("Your review"));
    assert_eq!(person.post(&format!("/portal/orders/{open}/review"), &[("stars", "5"), ("text", "x")]).await.0, 422);
    let (status, page) = person.post(&format!("{receipt}/review"), &[("text", "No stars")]).await;
    assert!(status == 422 && page.contains("Choose 1 to 5 stars") && page.contains("No stars"), "{page}");
    assert_eq!(person.post(&format!("/portal/orders/{his}/review"), &[("stars", "5"), ("text", "x")]).await.0, 404);

    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", PASSWORD).await;
    let (driver, client) = browser(&folder.path().join("profile")).await;
    enter(&client, &server, &person).await;
    size(&client, 360, 740).await;
    client.goto(&format!("{}{receipt}?lang=en", server.address)).await.unwrap();
    click(&client, ".star-choice label:nth-of-type(4) input").await;
    client.find(Locator::Css("#review-text")).await.unwrap().send_keys("Sturdy, and a nice colour.").await.unwrap();
    whole_page(&client, 360, "reviews/form-phone-en").await;
    click(&client, "#review form button").await;
    let page = shown(&client, &["Others can read it."]).await;
    assert!(page.contains("Others can read it."), "{page}");
    for language in ["en", "zh-CN"] {
        for (width, shape) in [(360, "phone"), (1_440, "wide")] {
            size(&client, width, 900).await;
            client.goto(&format!("{}/portal/rewards/gift-1?lang={language}", server.address)).await.unwrap();
            let page = text(&client).await;
            assert!(page.contains("Sturdy") && page.contains("A****") && page.contains("3.8"), "{page}");
            assert!(page.contains("<b>really</b>"), "it is shown as it was typed: {page}");
            assert_eq!(sideways(&client).await, 0, "{shape} {language}");
            whole_page(&client, width, &format!("reviews/reward-{shape}-{language}")).await;
            client.goto(&format!("{}/portal/rewards?sort=rating", server.address)).await.unwrap();
            assert_eq!(sideways(&client).await, 0, "{shape} {language}");
            whole_page(&client, width, &format!("reviews/rewards-{shape}-{language}")).await;
            client.goto(&format!("{}{receipt}", server.address)).await.unwrap();
            whole_page(&client, width, &format!("reviews/receipt-{shape}-{language}")).await;
        }
    }
    enter(&client, &server, &olga).await;
    for language in ["en", "zh-CN"] {
        for (width, shape) in [(360, "phone"), (1_440, "wide")] {
            size(&client, width, 900).await;
            client.goto(&format!("{}/console/reviews?lang={language}", server.address)).await.unwrap();
            let page = text(&client).await;
            assert!(page.contains("<script>alert(1)</script>"), "shown, and not run: {page}");
            assert_eq!(sideways(&client).await, 0, "{shape} {language}");
            whole_page(&client, width, &format!("reviews/console-{shape}-{language}")).await;
            client.goto(&format!("{}/console/reviews?reward=gift-1", server.address)).await.unwrap();
            whole_page(&client, width, &format!("reviews/console-reward-{shape}-{language}")).await;
        }
    }
    client.goto(&format!("{}/console/reviews?lang=en", server.address)).await.unwrap();
    click(&client, "button[value=reject]").await;
    let page = shown(&client, &["Say why it is rejected"]).await;
    assert!(page.contains("Say why it is rejected"), "{page}");
    client.find(Locator::Css("input[name=reason]")).await.unwrap().send_keys("Advertisement").await.unwrap();
    click(&client, "button[value=reject]").await;
    let page = shown(&client, &["There are no reviews here."]).await;
    assert!(page.contains("There are no reviews here."), "{page}");
    client.close().await.unwrap();
    drop(driver);
}
