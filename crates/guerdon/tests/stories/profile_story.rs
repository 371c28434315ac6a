//! A member's profile changes: by the brand's systems, by the staff, and by the member, who proves a new address before it
//! holds, and gets in by the one address when the other is lost.

use guerdon_core::hex;
use guerdon_server::identity::directory::digest;
use guerdon_tests::smtp::SmtpServer;
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, screenshot, small_phone, text};
use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, gift_club, guerdon, init};

const COOKIE: &str = "guerdon_member";

fn served(data: &std::path::Path, gateway: &Gateway, more: &[&str]) -> Server {
    init(data, &gift_club(10));
    Server::start_with(data, &[&gateway.flags()[..], more].concat())
}

async fn enrol(server: &Server, profile: Value) -> String {
    let key = profile["phone"].as_str().unwrap().to_owned();
    let (status, receipt) = server.post("/v1/members", &key, profile).await;
    assert_eq!(status, 201, "{receipt}");
    receipt["member_id"].as_str().unwrap().to_owned()
}

async fn sign_in(person: &mut Person, gateway: &Gateway, phone: &str) {
    let seen = gateway.count();
    assert_eq!(person.post("/portal/sign-in", &[("to", phone)]).await.0, 303);
    let code = gateway.code(seen, phone).await;
    let (status, page) = person.post("/portal/sign-in/code", &[("code", &code)]).await;
    assert_eq!(status, 303, "{page}");
}

async fn patch(server: &Server, member: &str, key: &str, tag: Option<&str>, body: Value) -> (u16, Value) {
    let mut request = server.client.patch(format!("{}/v1/members/{member}", server.address));
    request = request.header("idempotency-key", key).header("content-type", "application/merge-patch+json");
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    let response = request.body(body.to_string()).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn tag(server: &Server, member: &str) -> String {
    let response = server.client.get(format!("{}/v1/members/{member}", server.address)).send().await.unwrap();
    response.headers()["etag"].to_str().unwrap().to_owned()
}

/// Finds the code in a letter that was sent to an address.
fn code_in(letter: &Value, to: &str) -> String {
    assert_eq!(letter["to"][0], to, "{letter}");
    let data = letter["data"].as_str().unwrap();
    let line = data.lines().find(|line| line.starts_with("Subject:")).unwrap();
    line.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == 6).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_of_the_brand_changes_a_profile() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = served(&data, &Gateway::start(), &[]);
    let ann = enrol(&server, json!({ "name": "Ann Smith", "phone": "13800138000", "email": "ann@example.org" })).await;
    enrol(&server, json!({ "phone": "13800138009" })).await;
    let first = tag(&server, &ann).await;
    let to = json!({ "phone": "+86 138 0013 8001", "email": null, "attributes": { "shoe": "39" } });
    let (status, receipt) = patch(&server, &ann, "p-1", None, to.clone()).await;
    assert_eq!((status, &receipt["fields"]), (201, &json!(["email", "phone", "attributes"])), "{receipt}");
    assert_eq!(patch(&server, &ann, "p-1", None, to).await, (200, receipt), "asked again it is answered");
    assert_eq!(patch(&server, &ann, "p-1", None, json!({ "name": "X" })).await.1["code"], "idempotency_mismatch");
    let (_, member) = server.get(&format!("/v1/members/{ann}")).await;
    assert_eq!(member["profile"]["phone"], "+86****8001");
    assert!(member["profile"].get("email").is_none() && member["profile"]["name"] == "A****", "{member}");

    let late = patch(&server, &ann, "p-2", Some(&first), json!({ "name": "Bea" })).await;
    assert_eq!((late.0, &late.1["code"]), (409, &json!("profile_changed")));
    let now = tag(&server, &ann).await;
    assert_eq!(patch(&server, &ann, "p-3", Some(&now), json!({ "name": "Bea" })).await.0, 201);
    assert_eq!(patch(&server, &ann, "p-3", Some(&now), json!({ "name": "Bea" })).await.0, 200, "the same request");
    for (wrong, status, code) in [
        (json!({ "phone": "138****8001" }), 422, "invalid_request"),
        (json!({ "attributes": { "shoe": "****" } }), 422, "invalid_request"),
        (json!({ "phones": "1" }), 422, "invalid_request"),
        (json!({ "email": "nowhere" }), 422, "invalid_request"),
        (json!({ "phone": "138 0013 8009" }), 409, "already_enrolled"),
    ] {
        let answer = patch(&server, &ann, &format!("w-{wrong}"), None, wrong.clone()).await;
        assert_eq!((answer.0, answer.1["code"].as_str()), (status, Some(code)), "{wrong}: {}", answer.1);
    }
    assert_eq!(patch(&server, &ann, "p-4", Some("W/x"), json!({})).await.0, 400);
    assert_eq!(patch(&server, "mem_0000000000000", "p-5", None, json!({})).await.0, 404);
    let (_, events) = server.get("/v1/audit?action=member.profile").await;
    let events = events["items"].as_array().unwrap();
    assert_eq!((events.len(), &events[1]["after"]["fields"]), (2, &json!(["email", "phone", "attributes"])));
    assert!(!json!(events).to_string().contains("8001"), "names of fields, never values: {events:?}");
    let closing = json!({ "reason": "moves away" });
    assert_eq!(server.post(&format!("/v1/members/{ann}/close"), "close", closing).await.0, 201);
    assert_eq!(patch(&server, &ann, "p-6", None, json!({ "name": "Ann" })).await.1["code"], "member_closed");
    drop(server);
    let (code, out, error) = guerdon(&["verify", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}{error}");
    for entry in std::fs::read_dir(&data).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        let bytes = std::fs::read(entry.path()).unwrap();
        assert!(!bytes.windows(11).any(|part| part == b"13800138001"), "{}", entry.path().display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_moves_to_another_phone_which_is_proved_first() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start();
    let server = served(&folder.path().join("data"), &gateway, &[]);
    let id = enrol(&server, json!({ "name": "Ann", "phone": "13800138001" })).await;
    enrol(&server, json!({ "name": "Bob", "phone": "13800138002" })).await;
    let (mut ann, mut thief) = (Person::new(&server), Person::new(&server));
    sign_in(&mut ann, &gateway, "13800138001").await;
    let (_, page) = ann.get("/portal/profile").await;
    assert!(page.contains("value=\"Ann\"") && page.contains("13800138001"), "{page}");
    let version = page.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = |name: &'static str, birth_date: &'static str| {
        [
            ("version", version.clone()),
            ("name", name.to_owned()),
            ("birth_date", birth_date.to_owned()),
            ("language", "zh-CN".to_owned()),
        ]
    };
    let send = async |person: &mut Person, form: [(&str, String); 4]| {
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        person.post("/portal/profile", &form).await
    };
    let (status, page) = send(&mut ann, form(" ", "")).await;
    assert!(status == 422 && page.contains("Give your name"), "{page}");
    let (status, page) = send(&mut ann, form("Anna", "1990-05-17")).await;
    assert_eq!(status, 303, "{page}");
    assert_eq!(ann.location, "/portal/profile?saved=1&lang=zh-CN");
    assert_eq!(send(&mut ann, form("Anna", "1990-05-17")).await.0, 303, "sent twice it changes once");
    let (status, page) = send(&mut ann, form("Eve", "")).await;
    assert!(status == 422 && page.contains("changed elsewhere"), "{page}");
    let (_, page) = ann.get("/portal/profile?saved=1&lang=zh-CN").await;
    assert!(page.contains("已保存") && page.contains("value=\"Anna\"") && page.contains("1990-05-17"), "{page}");
    ann.get("/portal/profile?lang=en").await;

    // Another's number can be asked for, as nobody is told whose it is, but not taken without its code.
    assert_eq!(ann.post("/portal/profile/address", &[("to", "no address")]).await.0, 422);
    let seen = gateway.count();
    assert_eq!(ann.post("/portal/profile/address", &[("to", "138 0013 8003")]).await.0, 303);
    let code = gateway.code(seen, "13800138003").await;
    let (_, page) = ann.get("/portal/profile/address/code").await;
    assert!(page.contains("138****8003"), "{page}");
    let wrong = format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000);
    assert_eq!(ann.post("/portal/profile/address/code", &[("code", &wrong)]).await.0, 422);
    assert!(ann.get("/portal/profile").await.1.contains("13800138001"), "nothing holds before the proof");
    // The code is Ann's alone, and for this alone.
    sign_in(&mut thief, &gateway, "13800138002").await;
    thief.cookies.insert("guerdon_address".to_owned(), ann.cookies["guerdon_address"].clone());
    thief.cookies.insert("guerdon_code".to_owned(), ann.cookies["guerdon_address"].clone());
    assert_eq!(thief.post("/portal/profile/address/code", &[("code", &code)]).await.0, 422);
    assert_eq!(thief.post("/portal/sign-in/code", &[("code", &code)]).await.0, 422);
    let seen = gateway.count();
    let (status, page) = ann.post("/portal/profile/address/code", &[("code", &code)]).await;
    assert_eq!(status, 303, "{page}");
    // In the language that Ann has chosen, whatever the page was shown in.
    let (to, told) = gateway.message(seen).await;
    assert!(to == "13800138001" && told.contains("您的手机号码已于"), "{told}");
    assert!(!told.contains("8003"), "the new number is nobody else's to know: {told}");
    let (_, page) = ann.get("/portal").await;
    assert!(page.contains("Profile changed"), "{page}");

    // What another member has is refused, once it is proved.
    let seen = gateway.count();
    let taken = "13800138004";
    enrol(&server, json!({ "name": "Cat", "phone": taken })).await;
    assert_eq!(ann.post("/portal/profile/address", &[("to", taken)]).await.0, 303);
    let code = gateway.code(seen, taken).await;
    let (status, page) = ann.post("/portal/profile/address/code", &[("code", &code)]).await;
    assert!(status == 422 && page.contains("belongs to another account"), "{page}");
    let (_, events) = server.get(&format!("/v1/audit?action=member.profile&subject={id}")).await;
    assert!(events["items"].as_array().unwrap().iter().all(|event| event["actor"] == id.as_str()), "{events}");
    let (_, page) = ann.get("/portal/profile").await;
    assert!(page.contains("13800138003"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_lost_the_phone_comes_in_by_mail_and_replaces_it() {
    let folder = tempfile::tempdir().unwrap();
    let (gateway, mut post) = (Gateway::start(), SmtpServer::start(&[]));
    let smtp = format!("smtp://127.0.0.1:{}?tls=none", post.port);
    let mail = ["--smtp-url", &smtp, "--mail-from", "Gift Club <points@example.org>"];
    let server = served(&folder.path().join("data"), &gateway, &mail);
    enrol(&server, json!({ "name": "Ann", "phone": "13800138001", "email": "ann@example.org" })).await;
    let (mut finder, mut ann) = (Person::new(&server), Person::new(&server));
    sign_in(&mut finder, &gateway, "13800138001").await;
    assert_eq!(ann.post("/portal/sign-in", &[("to", "Ann@Example.org")]).await.0, 303);
    let code = code_in(&post.letter(), "Ann@Example.org");
    assert_eq!(ann.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
    let seen = gateway.count();
    assert_eq!(ann.post("/portal/profile/address", &[("to", "13800138005")]).await.0, 303);
    let code = gateway.code(seen, "13800138005").await;
    let seen = gateway.count();
    assert_eq!(ann.post("/portal/profile/address/code", &[("code", &code)]).await.0, 303);
    let letter = post.letter();
    assert_eq!(letter["to"][0], "ann@example.org", "the other address is told as well: {letter}");
    assert_eq!(gateway.message(seen).await.0, "13800138001");
    assert_eq!((ann.get("/portal").await.0, finder.get("/portal").await.0), (200, 303), "the old phone is signed out");
    // The old number is nobody's now: whoever has it may join, and is not Ann.
    let (_, page) = ann.get("/portal/profile").await;
    assert!(page.contains("13800138005") && page.contains("ann@example.org"), "{page}");
}

/// Makes the proof of a session an old one.
fn age(data: &std::path::Path, cookie: &str) {
    let connection = rusqlite::Connection::open(data.join("guerdon.db")).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    let id = hex::encode(&digest(cookie));
    let sql = "UPDATE record SET body = json_set(body, '$.proved_at', '2020-01-01T00:00:00Z') WHERE kind = 'session' AND id = ?1";
    assert_eq!(connection.execute(sql, [id]).unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_proof_shows_masks_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let gateway = Gateway::start();
    let server = served(&data, &gateway, &[]);
    let id = enrol(&server, json!({ "name": "Ann Smith", "phone": "13800138001", "birth_date": "1990-05-17" })).await;
    for number in 0..25 {
        let adjustment = json!({ "points": 10, "reason": format!("gift {number}") });
        let key = format!("gift-{number}");
        assert_eq!(server.post(&format!("/v1/members/{id}/adjustments"), &key, adjustment).await.0, 201);
    }
    let mut ann = Person::new(&server);
    sign_in(&mut ann, &gateway, "13800138001").await;
    // More than one page of history: the second one goes on where the first ends.
    let (_, page) = ann.get("/portal").await;
    assert!(page.contains("gift 24") && !page.contains("gift 4<"), "{page}");
    let next = page.split("/portal?before=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let (_, page) = ann.get(&format!("/portal?before={next}")).await;
    assert!(page.contains("gift 4") && page.contains("gift 0") && !page.contains("gift 24"), "{page}");
    let (_, page) = ann.get("/portal/privacy").await;
    assert!(page.contains("Unknown device"), "a browser that says nothing has a name: {page}");

    age(&data, &ann.cookies[COOKIE]);
    let (_, page) = ann.get("/portal/profile").await;
    assert!(page.contains("138****8001") && page.contains("A****") && page.contains("prove that it is you"), "{page}");
    assert!(!page.contains("13800138001") && !page.contains("Smith") && !page.contains("05-17"), "{page}");
    let prove = "/portal/sign-in?next=%2Fportal%2Fprofile";
    for (path, form) in [
        ("/portal/profile", vec![("name", "Eve"), ("version", "00")]),
        ("/portal/profile/address", vec![("to", "13800138006")]),
        ("/portal/profile/address/code", vec![("code", "000000")]),
        ("/portal/profile/links/x/remove", vec![]),
    ] {
        assert_eq!((ann.post(path, &form).await.0, ann.location.as_str()), (303, prove), "{path}");
    }
    for path in ["/portal/privacy/export", "/portal/privacy/erasure"] {
        assert_eq!(
            (ann.post(path, &[]).await.0, ann.location.as_str()),
            (303, "/portal/sign-in?next=%2Fportal%2Fprivacy")
        );
    }
    // Without a session a form leads to the sign-in page, and back to where it was; a program is told in its own way.
    ann.cookies.remove(COOKIE);
    assert_eq!(ann.post_from("/portal/privacy", "/portal/privacy/export", &[]).await.0, 303);
    assert_eq!(ann.location, "/portal/sign-in?next=%2Fportal%2Fprivacy");
    assert_eq!(ann.post("/portal/privacy/export", &[]).await.0, 303);
    assert_eq!(ann.location, "/portal/sign-in?next=");
    assert_eq!(ann.put("/portal/privacy", &json!({})).await.0, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_merged_goes_on_and_who_was_closed_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start();
    let server = served(&folder.path().join("data"), &gateway, &[]);
    let ann = enrol(&server, json!({ "name": "Ann", "phone": "13800138001" })).await;
    let bob = enrol(&server, json!({ "name": "Bob", "phone": "13800138002" })).await;
    let mut person = Person::new(&server);
    sign_in(&mut person, &gateway, "13800138001").await;
    let cat = enrol(&server, json!({ "name": "Cat", "phone": "13800138007" })).await;
    for other in [ann, cat] {
        let merge = json!({ "from": other, "reason": "one person" });
        assert_eq!(server.post(&format!("/v1/members/{bob}/merge"), &other, merge).await.0, 201);
    }
    let (status, page) = person.get("/portal/profile").await;
    assert!(status == 200 && page.contains("value=\"Bob\"") && page.contains("13800138002"), "{page}");
    // The session of the account that has ended changes the one that goes on.
    let seen = gateway.count();
    assert_eq!(person.post("/portal/profile/address", &[("to", "13800138003")]).await.0, 303);
    let code = gateway.code(seen, "13800138003").await;
    assert_eq!(person.post("/portal/profile/address/code", &[("code", &code)]).await.0, 303);
    let (_, member) = server.get(&format!("/v1/members/{bob}")).await;
    assert_eq!(member["profile"]["phone"], "138****8003");
    let closing = json!({ "reason": "by mistake" });
    assert_eq!(server.post(&format!("/v1/members/{bob}/close"), "close", closing).await.0, 201);
    for path in ["/portal", "/portal/profile", "/portal/privacy", "/portal/card"] {
        let (status, page) = person.get(path).await;
        assert!(status == 410 && page.contains("This account is closed"), "{path}: {page}");
    }
    assert_eq!(person.post("/portal/profile/address", &[("to", "13800138004")]).await.0, 410);
    let mut again = Person::new(&server);
    let seen = gateway.count();
    assert_eq!(again.post("/portal/sign-in", &[("to", "13800138007")]).await.0, 303);
    let code = gateway.code(seen, "13800138007").await;
    assert_eq!(again.post("/portal/sign-in/code", &[("code", &code)]).await.0, 410, "not even by a merged number");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_staff_changes_a_profile_that_it_sees_masked() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start();
    let server = served(&folder.path().join("data"), &gateway, &[]);
    let id = enrol(&server, json!({ "name": "Ann Smith", "phone": "13800138001", "email": "ann@example.org" })).await;
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.com", "Olga", "seven sunny orange bicycles").await;
    let (_, page) = olga.get(&format!("/console/members/{id}")).await;
    let place = format!("/console/members/{id}/profile");
    assert!(page.contains(&place), "{page}");
    let (_, page) = olga.get(&place).await;
    assert!(page.contains("138****8001") && !page.contains("13800138001") && !page.contains("Smith"), "{page}");
    let version = page.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = |more: &[(&'static str, &'static str)]| {
        let mut form = vec![("version".to_owned(), version.clone())];
        form.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        form
    };
    let send = async |olga: &mut Person, form: Vec<(String, String)>| {
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        olga.post(&place, &form).await
    };
    assert_eq!(send(&mut olga, form(&[("name", "Anna")])).await.0, 422, "a reason is needed");
    let masked = [("phone", "138****8001"), ("reason", "by phone")];
    assert_eq!(send(&mut olga, form(&masked)).await.0, 422);
    let seen = gateway.count();
    let wishes = [("phone", "13800138009"), ("name", ""), ("remove", "email"), ("reason", "by phone")];
    let (status, page) = send(&mut olga, form(&wishes)).await;
    assert_eq!(status, 303, "{page}");
    assert_eq!(gateway.message(seen).await.0, "13800138001", "the member hears of it");
    let (_, member) = server.get(&format!("/v1/members/{id}")).await;
    assert_eq!((&member["profile"]["phone"], &member["profile"]["name"]), (&json!("138****8009"), &json!("A****")));
    assert!(member["profile"].get("email").is_none());
    let (status, page) = send(&mut olga, form(&[("name", "Eve"), ("reason", "late")])).await;
    assert!(status == 422 && page.contains("somebody else in the meantime"), "{page}");
    let (_, events) = server.get("/v1/audit?action=member.profile").await;
    assert_eq!(events["items"][0]["reason"], "by phone");
    let (driver, client) = browser(&folder.path().join("profile")).await;
    enter(&client, &server, &olga).await;
    small_phone(&client).await;
    for (language, words) in [("en", "shown masked"), ("zh-CN", "掩码")] {
        client.goto(&format!("{}{place}?lang={language}", server.address)).await.unwrap();
        let page = text(&client).await;
        assert!(page.contains(words), "`{words}` is not in {page}");
        screenshot(&client, &format!("member-profile-phone-{language}")).await;
    }
    client.close().await.unwrap();
    drop(driver);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_profile_fits_a_small_phone_in_both_languages() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let gateway = Gateway::start();
    let server = served(&data, &gateway, &[]);
    enrol(&server, json!({ "name": "李华", "phone": "13800138003", "email": "hua.li.with-a-long-name@example.org" }))
        .await;
    let mut person = Person::new(&server);
    sign_in(&mut person, &gateway, "13800138003").await;
    assert_eq!(person.post("/portal/profile/address", &[("to", "13800138007")]).await.0, 303);
    let (driver, client) = browser(&folder.path().join("profile")).await;
    enter(&client, &server, &person).await;
    small_phone(&client).await;
    let look = async |path: &str, language: &str, words: &str, name: &str| {
        client.goto(&format!("{}{path}?lang={language}", server.address)).await.unwrap();
        let page = text(&client).await;
        assert!(page.contains(words), "`{words}` is not in {page}");
        let sideways = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(client.execute(sideways, Vec::new()).await.unwrap(), json!(0), "{path}");
        screenshot(&client, &format!("{name}-phone-{language}")).await;
        client
            .execute("window.scrollTo({ top: document.body.scrollHeight, behavior: 'instant' })", Vec::new())
            .await
            .unwrap();
        screenshot(&client, &format!("{name}-end-phone-{language}")).await;
    };
    for (language, about, code) in [("en", "How you sign in", "six digits"), ("zh-CN", "登录方式", "六位数字")]
    {
        look("/portal/profile", language, about, "portal-profile").await;
        look("/portal/profile/address/code", language, code, "portal-address-code").await;
    }
    age(&data, &person.cookies[COOKIE]);
    look("/portal/profile", "en", "prove that it is you", "portal-profile-masked").await;
    look("/portal/profile", "zh-CN", "请先验证身份", "portal-profile-masked").await;
    client.close().await.unwrap();
    drop(driver);
}
