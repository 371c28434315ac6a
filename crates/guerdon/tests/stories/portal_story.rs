//! Members on their phones: join and sign in by a code, show the card, decide about their data, and see nobody else's.

use std::io::Read;
use std::time::Duration;

use guerdon_core::hex;
use guerdon_server::identity::directory::digest;
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, screenshot, small_phone, text};
use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, gift_club, guerdon, http_client, init};

const COOKIE: &str = "guerdon_member";

/// A server with a gateway, and a purpose to consent to.
async fn server(data: &std::path::Path, gateway: &Gateway) -> Server {
    init(data, &gift_club(10));
    let server = Server::start_with(data, &gateway.flags());
    let purpose = json!({ "name": { "en": "News", "zh": "资讯" },
        "text": { "en": "We write to you about offers.", "zh": "我们会向您发送优惠信息。" } });
    assert_eq!(server.put("/v1/consent-purposes/news", purpose).await.0, 200);
    server
}

async fn enrol(server: &Server, name: &str, phone: &str) -> String {
    let (status, receipt) = server.post("/v1/members", phone, json!({ "name": name, "phone": phone })).await;
    assert_eq!(status, 201, "{receipt}");
    receipt["member_id"].as_str().unwrap().to_owned()
}

/// Asks for a code, and types it in.
async fn prove(person: &mut Person, gateway: &Gateway, phone: &str) -> (u16, String) {
    let seen = gateway.count();
    let (status, page) = person.post("/portal/sign-in", &[("to", phone)]).await;
    assert_eq!(status, 303, "{page}");
    let code = gateway.code(seen, phone).await;
    person.post("/portal/sign-in/code", &[("code", &code)]).await
}

/// The text of the QR code on a page.
fn card_of(page: &str) -> String {
    page.split("data-card=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

async fn export(server: &Server, person: &Person) -> Vec<u8> {
    let client = http_client().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let request = client.post(format!("{}/portal/privacy/export", server.address));
    let cookie = format!("{COOKIE}={}", person.cookies[COOKIE]);
    let response = request.header("cookie", cookie).header("origin", &server.address).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"application/zip".parse().unwrap())
    );
    response.bytes().await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_joins_shows_the_card_and_rules_over_their_data() {
    const PHONE: &str = "13800138000";
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start();
    let server = server(&folder.path().join("data"), &gateway).await;
    let mut ann = Person::new(&server);
    assert_eq!(ann.get("/portal").await.0, 303, "who is not signed in is sent to sign in");
    let (status, page) = ann.post("/portal/sign-in", &[("to", "no address")]).await;
    assert!(status == 422 && page.contains("neither an e-mail address"), "{page}");
    let (status, page) = ann.post("/portal/sign-in", &[("to", "ann@example.org")]).await;
    assert!(status == 422 && page.contains("Use your phone number"), "this server sends no e-mail: {page}");

    assert_eq!(ann.post("/portal/sign-in", &[("to", "138 0013 8000")]).await.0, 303);
    let code = gateway.code(0, PHONE).await;
    let (_, page) = ann.get("/portal/sign-in/code").await;
    assert!(page.contains("138****8000") && !page.contains(PHONE), "{page}");
    let (status, page) = ann.post("/portal/sign-in/resend", &[]).await;
    assert!(status == 429 && page.contains("You can ask for another one in"), "{page}");
    let wrong = format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000);
    let (status, page) = ann.post("/portal/sign-in/code", &[("code", &wrong)]).await;
    assert!(status == 422 && page.contains("4 more times"), "{page}");
    let (status, page) = ann.post("/portal/sign-in/code", &[("code", &code)]).await;
    assert_eq!(status, 303, "{page}");
    assert!(!ann.cookies.contains_key(COOKIE), "nobody is let in before they have joined");
    let (status, page) = ann.get("/portal/join").await;
    assert!(status == 200 && page.contains("We write to you about offers.") && !page.contains(" checked"), "{page}");
    assert_eq!(ann.post("/portal/join", &[("name", " ")]).await.0, 422);
    let (status, page) = ann.post("/portal/join", &[("name", "Ann"), ("consent", "news 2")]).await;
    assert!(status == 422 && page.contains("Please read it again"), "a text that was never shown: {page}");
    let form = [("name", "Ann Smith"), ("birth_date", "1990-05-17"), ("consent", "news 1")];
    let (status, page) = ann.post("/portal/join", &form).await;
    assert_eq!(status, 303, "{page}");
    assert_eq!(ann.get("/portal/join").await.0, 303, "the proof is used up");

    let (_, list) = server.get("/v1/members?limit=1").await;
    let member = list["items"][0]["id"].as_str().unwrap().to_owned();
    let adjustment = json!({ "points": 500, "reason": "welcome" });
    assert_eq!(server.post(&format!("/v1/members/{member}/adjustments"), "welcome", adjustment).await.0, 201);
    let (status, page) = ann.get("/portal").await;
    assert!(status == 200 && page.contains("<p class=\"available\">500</p>") && page.contains("welcome"), "{page}");
    assert!(!page.contains("\"/console"), "nothing leads to the console: {page}");

    let (_, page) = ann.get("/portal/card").await;
    let (_, key) = server.get("/v1/cards/key").await;
    let key = key["public_key"].as_str().unwrap();
    let (code, shown, error) = guerdon(&["card", "verify", "--key", key, &card_of(&page)]);
    assert_eq!((code, shown.trim()), (0, member.as_str()), "{error}");
    let (_, picture) = ann.get("/portal/card/picture").await;
    assert!(picture.starts_with("<div class=\"card-qr\"") && picture.contains("<svg"), "{picture}");
    assert_eq!(guerdon(&["card", "verify", "--key", key, &card_of(&picture)]).1.trim(), member);

    decides(&server, &mut ann, &member).await;

    // The same phone gets another code half a minute after the last one at the earliest.
    tokio::time::sleep(Duration::from_secs(28)).await;
    let mut tablet = Person::new(&server);
    loop {
        let (status, _) = tablet.post("/portal/sign-in", &[("to", PHONE)]).await;
        if status == 303 {
            break;
        }
        assert_eq!(status, 429);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let code = gateway.code(1, PHONE).await;
    assert_eq!(tablet.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
    assert!(tablet.get("/portal").await.1.contains("<p class=\"available\">500</p>"), "it is the same account");
    let (_, page) = ann.get("/portal/privacy").await;
    assert_eq!(page.matches("Last seen").count(), 2, "{page}");
    let (status, page) = tablet.post("/portal/privacy/devices/end-all", &[]).await;
    assert_eq!(status, 303, "{page}");
    assert_eq!((ann.get("/portal").await.0, tablet.get("/portal").await.0), (303, 303), "signed out everywhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_change_members_signs_them_out_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start();
    let server = server(&folder.path().join("data"), &gateway).await;
    let (ann_id, bob_id) = (enrol(&server, "ann", "13800138001").await, enrol(&server, "bob", "13800138002").await);
    let (mut ann, mut bob) = (Person::new(&server), Person::new(&server));
    assert_eq!(prove(&mut ann, &gateway, "13800138001").await.0, 303);
    assert_eq!(prove(&mut bob, &gateway, "13800138002").await.0, 303);
    let mut sam = Person::invited(&server, "sam@example.org", "Sam", "service").await;
    let place = format!("/console/members/{ann_id}");
    let (_, page) = sam.get(&place).await;
    assert!(page.contains("signed in on one device"), "{page}");
    assert_eq!(sam.post(&format!("{place}/sessions"), &[("reason", " ")]).await.0, 422);
    let (status, page) = sam.post(&format!("{place}/sessions"), &[("reason", "lost the phone")]).await;
    assert_eq!(status, 303, "{page}");
    assert!(!sam.get(&place).await.1.contains("signed in on"));
    assert_eq!((ann.get("/portal").await.0, bob.get("/portal").await.0), (303, 200), "ann alone is signed out");
    let by_api = async |id: &str| {
        let answer = server.client.delete(format!("{}/v1/members/{id}/sessions", server.address)).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap())
    };
    assert_eq!(by_api(&bob_id).await, (200, json!({ "ended": 1 })));
    assert_eq!((by_api(&bob_id).await.1, by_api("mem_0000000000001").await.0), (json!({ "ended": 0 }), 404));
    assert_eq!(bob.get("/portal").await.0, 303);
    // Who signed whom out is kept, and why; from where the members came is not.
    let (_, events) = server.get(&format!("/v1/audit?subject={ann_id}&action=session.")).await;
    let events = events["items"].as_array().unwrap();
    let told = |action: &str| events.iter().find(|event| event["action"] == action).unwrap();
    let (began, ended) = (told("session.begin"), told("session.end"));
    assert!(ended["actor"].as_str().unwrap().starts_with("opr_") && ended["reason"] == "lost the phone", "{ended}");
    assert_eq!((began["actor"].as_str(), began.get("address")), (Some(ann_id.as_str()), None), "{began}");
}

async fn decides(server: &Server, ann: &mut Person, member: &str) {
    let (_, page) = ann.get("/portal/privacy").await;
    assert!(page.contains("You agreed on"), "{page}");
    let withdraw = [("purpose", "news"), ("version", "1"), ("give", "false")];
    assert_eq!(ann.post("/portal/privacy/consents", &withdraw).await.0, 303);
    assert!(ann.get("/portal/privacy").await.1.contains("You withdrew on"));
    let unseen = [("purpose", "news"), ("version", "7"), ("give", "true")];
    assert_eq!(ann.post("/portal/privacy/consents", &unseen).await.0, 409);
    let (_, consents) = server.get(&format!("/v1/members/{member}/consents")).await;
    assert_eq!(consents[0]["given"], json!(false));

    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(export(server, ann).await)).unwrap();
    let mut data = String::new();
    archive.by_name("data.json").unwrap().read_to_string(&mut data).unwrap();
    let data: Value = serde_json::from_str(&data).unwrap();
    assert_eq!(data["member"]["profile"]["phone"], "13800138000");
    assert_eq!(data["member"]["profile"]["birth_date"], "1990-05-17");

    let (_, page) = ann.get("/portal/privacy/erasure").await;
    assert!(page.contains("14 days"), "{page}");
    assert_eq!(ann.post("/portal/privacy/erasure", &[]).await.0, 303);
    assert!(ann.get("/portal/privacy").await.1.contains("Your data will be erased on"));
    let (status, asked) = server.get(&format!("/v1/members/{member}/erasure")).await;
    assert_eq!((status, asked["requested_by"].as_str()), (200, Some(member)));
    assert_eq!(ann.post("/portal/privacy/erasure/withdraw", &[]).await.0, 303);
    assert_eq!(server.get(&format!("/v1/members/{member}/erasure")).await.0, 404, "taken back");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_reach_their_own_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start();
    let server = server(&folder.path().join("data"), &gateway).await;
    let (ann_id, bob_id) = (enrol(&server, "ann", "13800138001").await, enrol(&server, "bob", "13800138002").await);
    let (mut ann, mut bob) = (Person::new(&server), Person::new(&server));
    assert_eq!(prove(&mut ann, &gateway, "13800138001").await.0, 303);
    assert_eq!(prove(&mut bob, &gateway, "13800138002").await.0, 303);
    assert_eq!((ann.get("/portal").await.0, bob.get("/portal").await.0), (200, 200));

    // Until the code is proved, a known number and an unknown one are answered alike.
    let (mut one, mut other) = (Person::new(&server), Person::new(&server));
    enrol(&server, "eve", "13800138005").await;
    let known = one.post("/portal/sign-in", &[("to", "13800138005")]).await;
    assert_eq!(known, other.post("/portal/sign-in", &[("to", "13800148005")]).await);
    assert_eq!(one.get("/portal/sign-in/code").await, other.get("/portal/sign-in/code").await);

    for path in [format!("/v1/members/{bob_id}"), format!("/v1/members/{ann_id}/wallet"), "/v1/audit".to_owned()] {
        assert_eq!(ann.get(&path).await.0, 401, "{path}");
    }
    // Not even as the session of an operator.
    let session = ann.cookies[COOKIE].clone();
    ann.cookies.insert("guerdon_session".to_owned(), session);
    for path in ["/console", "/console/members", "/console/operators"] {
        assert_eq!(ann.get(path).await.0, 303, "{path} leads to the sign-in");
    }
    assert_eq!(ann.get("/v1/members").await.0, 401);
    ann.cookies.remove("guerdon_session");

    let bobs = hex::encode(&digest(&bob.cookies[COOKIE]));
    assert_eq!(ann.post(&format!("/portal/privacy/devices/{bobs}/end"), &[]).await.0, 303);
    assert_eq!(bob.get("/portal").await.0, 200, "nobody ends the session of somebody else");
    assert_eq!(bob.post(&format!("/portal/privacy/devices/{bobs}/end"), &[]).await.0, 303);
    assert_eq!(bob.get("/portal").await.0, 303, "but everybody their own");

    ann.origin = Some("https://evil.example".to_owned());
    for path in ["/portal/sign-out", "/portal/privacy/erasure", "/portal/privacy/devices/end-all", "/portal/sign-in"] {
        assert_eq!(ann.post(path, &[("to", "13800138009")]).await.0, 403, "a form of another site: {path}");
    }
    ann.origin = Some(server.address.clone());
    let closing = json!({ "reason": "by mistake" });
    assert_eq!(server.post(&format!("/v1/members/{ann_id}/close"), "close-1", closing).await.0, 201);
    let (status, page) = ann.get("/portal").await;
    assert!(status == 410 && page.contains("This account is closed"), "{page}");
    assert_eq!(ann.post("/portal/sign-out", &[]).await.0, 303);
    assert!(!ann.cookies.contains_key(COOKIE));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_portal_fits_a_small_phone_in_chinese() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start();
    let server = server(&folder.path().join("data"), &gateway).await;
    let member = enrol(&server, "李华", "13800138003").await;
    let basket = json!({ "kind": "purchase", "lines": [
        { "description": "CHRISTMAS LIGHTS", "quantity": "6", "unit_price": "22.05" }] });
    let activity = json!({ "member_id": member, "activity": basket });
    assert_eq!(server.post("/v1/activities", "inv-1", activity).await.0, 201);
    let mut person = Person::new(&server);
    assert_eq!(prove(&mut person, &gateway, "13800138003").await.0, 303);
    let (driver, client) = browser(&folder.path().join("profile")).await;
    enter(&client, &server, &person).await;
    small_phone(&client).await;
    for (path, words) in [
        ("/portal?lang=zh-CN", "积分"),
        ("/portal/card", "结账时请出示"),
        ("/portal/statements", "期初余额"),
        ("/portal/privacy", "下载我的数据"),
        ("/portal/privacy/erasure", "14 天"),
        ("/portal/sign-in", "登录或加入"),
    ] {
        client.goto(&format!("{}{path}", server.address)).await.unwrap();
        let page = text(&client).await;
        assert!(page.contains(words), "`{words}` is not in {page}");
        let sideways = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(client.execute(sideways, Vec::new()).await.unwrap(), json!(0), "{path}");
        let name = path.split('?').next().unwrap().trim_start_matches('/').replace('/', "-");
        screenshot(&client, &format!("{name}-phone-zh")).await;
    }
    client.goto(&format!("{}/portal/card", server.address)).await.unwrap();
    let width = client.execute("return window.innerWidth", Vec::new()).await.unwrap();
    assert_eq!(width, json!(360));
    // Within 45 seconds the picture is another one, without the page being loaded anew.
    client.execute("window.samePage = true", Vec::new()).await.unwrap();
    let shown = "return document.querySelector('[data-card]')?.dataset.card ?? null";
    let card = async || client.execute(shown, Vec::new()).await.unwrap();
    let first = card().await;
    assert!(first.is_string());
    let mut renewed = false;
    for _ in 0..100 {
        let now = card().await;
        renewed = now.is_string() && now != first;
        if renewed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(renewed, "the card is still the first one");
    assert_eq!(client.execute("return window.samePage === true", Vec::new()).await.unwrap(), json!(true));
    client.close().await.unwrap();
    drop(driver);
}
