//! Members come in by an identity provider, a real one: known by their subject, found by what the provider has verified and
//! by nothing else, and joining where the file lets them.

use std::path::Path;

use guerdon_tests::free_port;
use guerdon_tests::oidc::{CLIENT_SECRET, OidcProvider};
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, screenshot, small_phone, text};
use crate::support::person::Person;
use crate::support::provider::at_provider;
use crate::support::sms::Gateway;
use crate::support::{GUERDON, Server, gift_club, http_client, init};

const COOKIE: &str = "guerdon_member";
const NO_ACCESS: &str = "/portal/sign-in?trouble=sso-no-access";
const OVER: &str = "/portal/sign-in?trouble=sso-over";

fn world(ours: u16, claims_in_id_token: bool) -> OidcProvider {
    let back = |id: &str| format!("http://localhost:{ours}/portal/sso/{id}/callback");
    OidcProvider::start(&json!({
        "clients": [{ "client_id": "guerdon", "client_secret": CLIENT_SECRET,
            "redirect_uris": [back("social"), back("closed")] }],
        "claimsInIdToken": claims_in_id_token,
        "accounts": {
            "ann": { "email": "Ann@example.org", "email_verified": true, "name": "Ann Smith" },
            "eve": { "email": "ann@example.org", "email_verified": false, "name": "Eve" },
            "dan": { "email": "ann@example.org", "name": "Dan" },
            "bob": { "phone_number": "+44 20 7946 0002", "phone_number_verified": true, "name": "Bob" },
            "mal": { "phone_number": "+44 20 7946 0002", "phone_number_verified": false, "name": "Mal" },
            "new": { "email": "new@example.org", "email_verified": true, "name": "New Person" },
        },
    }))
}

/// Two ways to the same provider: one by which strangers may join, and one that neither links nor lets anybody join.
fn providers(folder: &Path, issuer: &str) -> String {
    let secret = folder.join("client-secret");
    std::fs::write(&secret, CLIENT_SECRET).unwrap();
    let provider = |id: &str, members: &str| {
        format!(
            "[[provider]]\nid = \"{id}\"\nname = \"{id} & Co\"\nissuer = \"{issuer}\"\nclient_id = \"guerdon\"\n\
             client_secret_file = {secret:?}\nscopes = [\"email\", \"profile\", \"phone\"]\n\
             [provider.members]\n{members}\n"
        )
    };
    let file = folder.join("providers.toml");
    std::fs::write(&file, provider("social", "join = true") + &provider("closed", "link = false")).unwrap();
    file.to_str().unwrap().to_owned()
}

fn served(folder: &Path, issuer: &str, port: u16, more: &[&str]) -> Server {
    init(&folder.join("data"), &gift_club(10));
    started(folder, issuer, port, more)
}

fn started(folder: &Path, issuer: &str, port: u16, more: &[&str]) -> Server {
    let data = folder.join("data");
    let (listen, sso) = (format!("127.0.0.1:{port}"), providers(folder, issuer));
    let own = ["--listen", &listen, "--sso", &sso];
    Server::start_with(&data, &[&own[..], more].concat())
}

const OUTBOUND: [&str; 4] = ["--allow-private-outbound", "127.0.0.0/8", "--allow-http-outbound", "127.0.0.1"];

async fn come(person: &mut Person, way: &str, who: &str) -> String {
    assert_eq!(person.get(&format!("/portal/sso/{way}")).await.0, 303);
    let back = at_provider(&person.location, who).await;
    assert!(back.starts_with("/portal/sso/"), "{back}");
    assert_eq!(person.get(&back).await.0, 303);
    assert!(!person.cookies.contains_key("guerdon_sso"), "the attempt is over");
    person.location.clone()
}

async fn enrol(server: &Server, key: &str, profile: Value) -> String {
    let (status, receipt) = server.post("/v1/members", key, profile).await;
    assert_eq!(status, 201, "{receipt}");
    receipt["member_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_found_by_what_is_verified_and_by_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let ours = free_port();
    let world = world(ours, true);
    let server = served(folder.path(), &world.issuer, ours, &OUTBOUND);
    let ann_id = enrol(&server, "ann", json!({ "name": "Ann", "email": "ann@example.org" })).await;
    let bob_id = enrol(&server, "bob", json!({ "name": "Bob", "phone": "+44 20 7946 0002" })).await;
    let mut ann = Person::new(&server);
    let (_, page) = ann.get("/portal/sign-in?next=/portal/card").await;
    assert!(page.contains("social &#38; Co") && page.contains("/portal/sso/social?next=%2Fportal%2Fcard"), "{page}");
    let (_, page) = ann.get("/console/sign-in").await;
    assert!(!page.contains("/sso/"), "providers for members are none for operators: {page}");
    ann.get("/console/sso/social?next=").await;
    assert_eq!(ann.location, "/console/sign-in?trouble=sso-over");

    // Whoever says that an address is theirs, and whom nobody has asked for a proof, does not come into its account.
    for who in ["eve", "dan", "mal"] {
        let mut claimant = Person::new(&server);
        assert_eq!(come(&mut claimant, "closed?next=", who).await, NO_ACCESS, "{who}");
        assert_eq!(come(&mut claimant, "social?next=", who).await, "/portal/join", "{who} is a stranger");
        assert!(!claimant.cookies.contains_key(COOKIE));
    }
    assert_eq!(come(&mut Person::new(&server), "closed?next=", "ann").await, NO_ACCESS, "closed links nobody");
    assert_eq!(come(&mut ann, "social?next=/portal/card", "ann").await, "/portal/card");
    assert_eq!(ann.get("/portal").await.0, 200);
    let mut bob = Person::new(&server);
    assert_eq!(come(&mut bob, "social?next=https://evil.example/", "bob").await, "/portal", "next is a page of ours");
    let (_, events) = server.get("/v1/audit?action=member.link").await;
    let linked: Vec<&str> =
        events["items"].as_array().unwrap().iter().map(|event| event["subject"].as_str().unwrap()).collect();
    assert_eq!(linked, [bob_id.as_str(), ann_id.as_str()]);

    // Known by the subject from then on, also by the way that links nobody, and when the address is another by now.
    assert_eq!(come(&mut Person::new(&server), "closed?next=", "ann").await, "/portal");
    let (_, page) = ann.get("/portal/profile").await;
    assert!(page.contains("social &#38; Co") && page.contains("Since"), "{page}");
    let link = page.split("/portal/profile/links/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    assert_eq!(bob.post(&format!("/portal/profile/links/{link}/remove"), &[]).await.0, 303);
    assert!(ann.get("/portal/profile").await.1.contains(&link), "nobody removes the link of somebody else");

    // Taken away by the member, and the person at the provider is a stranger again.
    assert_eq!(ann.post(&format!("/portal/profile/links/{link}/remove"), &[]).await.0, 303);
    assert!(!ann.get("/portal/profile").await.1.contains(&link));
    let (_, events) = server.get("/v1/audit?action=member.unlink").await;
    assert_eq!(events["items"][0]["actor"], ann_id.as_str());
    assert_eq!(come(&mut Person::new(&server), "closed?next=", "ann").await, NO_ACCESS);
    let closing = json!({ "reason": "moves away" });
    assert_eq!(server.post(&format!("/v1/members/{bob_id}/close"), "close", closing).await.0, 201);
    assert_eq!(come(&mut bob, "social?next=", "bob").await, NO_ACCESS, "a closed account stays closed");
    assert_eq!(come(&mut ann, "social?next=", "nobody").await, "/portal/sign-in?trouble=sso-cancelled");
    assert!(ann.get(NO_ACCESS).await.1.contains("does not lead to a membership"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_joins_with_what_the_provider_has_verified() {
    let folder = tempfile::tempdir().unwrap();
    let ours = free_port();
    let world = world(ours, false);
    let gateway = Gateway::start();
    let mut server = served(folder.path(), &world.issuer, ours, &gateway.flags());
    let mut new = Person::new(&server);
    assert_eq!(come(&mut new, "social?next=/portal/card", "new").await, "/portal/join");
    let (_, page) = new.get("/portal/join").await;
    assert!(page.contains("social &#38; Co has told us") && page.contains("value=\"New Person\""), "{page}");
    let (status, page) = new.post("/portal/join", &[("name", "New Person")]).await;
    assert_eq!((status, new.location.as_str()), (303, "/portal/card"), "{page}");
    let (_, list) = server.get("/v1/members").await;
    assert_eq!(list["items"][0]["profile"]["email"], "n****@example.org", "{list}");
    let mut again = Person::new(&server);
    assert_eq!(come(&mut again, "social?next=", "new").await, "/portal", "the same person is the same member");

    // Without a verified address there is none in the profile, and the provider is the only way in until there is one.
    let mut mal = Person::new(&server);
    assert_eq!(come(&mut mal, "social?next=", "mal").await, "/portal/join");
    assert_eq!(mal.post("/portal/join", &[("name", "Mal")]).await.0, 303);
    let (_, page) = mal.get("/portal/profile").await;
    assert!(page.matches("<dd>none</dd>").count() == 2, "{page}");
    let link = page.split("/portal/profile/links/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let (status, page) = mal.post(&format!("/portal/profile/links/{link}/remove"), &[]).await;
    assert!(status == 422 && page.contains("only way to sign in"), "{page}");
    let seen = gateway.count();
    assert_eq!(mal.post("/portal/profile/address", &[("to", "13800138008")]).await.0, 303);
    let code = gateway.code(seen, "13800138008").await;
    assert_eq!(mal.post("/portal/profile/address/code", &[("code", &code)]).await.0, 303);
    assert_eq!(mal.post(&format!("/portal/profile/links/{link}/remove"), &[]).await.0, 303);
    assert!(!mal.get("/portal/profile").await.1.contains(&link));

    let data = folder.path().join("data");
    let connection =
        rusqlite::Connection::open_with_flags(data.join("guerdon.db"), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
    let sql = "SELECT id || ' ' || body FROM record WHERE kind = 'member_external'";
    let stored: String = connection.unwrap().query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(stored.contains("social") && !stored.contains("new"), "no subject and no address is kept: {stored}");

    let (driver, client) = browser(&folder.path().join("profile")).await;
    enter(&client, &server, &again).await;
    small_phone(&client).await;
    for (language, path, words) in [
        ("en", "/portal/sign-in", "Continue with social"),
        ("zh-CN", "/portal/sign-in", "social"),
        ("en", "/portal/profile", "Since"),
        ("zh-CN", "/portal/profile", "移除"),
    ] {
        client.goto(&format!("{}{path}?lang={language}", server.address)).await.unwrap();
        let page = text(&client).await;
        assert!(page.contains(words), "`{words}` is not in {page}");
        client
            .execute("window.scrollTo({ top: document.body.scrollHeight, behavior: 'instant' })", Vec::new())
            .await
            .unwrap();
        let name = path.trim_start_matches('/').replace('/', "-");
        screenshot(&client, &format!("{name}-sso-phone-{language}")).await;
    }
    client.close().await.unwrap();
    drop(driver);

    // Erased, the person at the provider is a stranger again, and signed out.
    let member = list["items"][0]["id"].as_str().unwrap();
    let erasure = json!({ "reason": "asked by letter" });
    assert_eq!(server.post(&format!("/v1/members/{member}/erasure"), "", erasure).await.0, 201);
    server.interrupt();
    let connection = rusqlite::Connection::open(data.join("guerdon.db")).unwrap();
    let sql = "UPDATE record SET body = json_set(body, '$.due_at', '2020-01-01T00:00:00Z') WHERE kind = 'erasure'";
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
    let server = started(folder.path(), &world.issuer, ours, &gateway.flags());
    let left = || -> i64 {
        let sql = "SELECT COUNT(*) FROM record WHERE kind IN ('member_external', 'erasure')";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    for _ in 0..100 {
        if left() == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(left(), 0);
    let mut back = Person::new(&server);
    back.cookies = again.cookies.clone();
    assert_eq!(back.get("/portal").await.0, 303, "the session went with the member");
    back.cookies.clear();
    assert_eq!(come(&mut back, "social?next=", "new").await, "/portal/join");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_once_and_in_one_browser() {
    let folder = tempfile::tempdir().unwrap();
    let ours = free_port();
    let world = world(ours, true);
    let server = served(folder.path(), &world.issuer, ours, &OUTBOUND);
    enrol(&server, "ann", json!({ "name": "Ann", "email": "ann@example.org" })).await;
    let mut ann = Person::new(&server);
    ann.get("/portal/sso/social?next=").await;
    assert!(!ann.location.contains("prompt="), "{}", ann.location);
    let back = at_provider(&ann.location, "ann").await;
    let attempt = ann.cookies["guerdon_sso"].clone();
    let mut thief = Person::new(&server);
    let mut answer = async |path: &str, cookie: Option<&str>| {
        thief.cookies.clear();
        if let Some(cookie) = cookie {
            thief.cookies.insert("guerdon_sso".to_owned(), cookie.to_owned());
        }
        thief.get(path).await;
        thief.location.clone()
    };
    assert_eq!(answer(&back, None).await, OVER, "another browser");
    assert_eq!(answer(&back.replace("/social/", "/closed/"), Some(&attempt)).await, OVER, "another provider");
    assert_eq!(answer(&back.replace("state=", "state=x"), Some(&attempt)).await, OVER, "another state");
    assert_eq!(answer(&back, Some(&attempt)).await, "/portal");
    assert_eq!(answer(&back, Some(&attempt)).await, OVER, "the same answer again");

    // Who is signed in and proves once more who they are is asked anew there, too.
    assert_eq!(come(&mut ann, "social?next=", "ann").await, "/portal");
    ann.get("/portal/sso/social?next=").await;
    assert!(ann.location.contains("prompt=login") && ann.location.contains("max_age=0"), "{}", ann.location);
    let back = at_provider(&ann.location, "ann").await;
    assert_eq!(ann.get(&back).await.0, 303);
    assert_eq!(ann.location, "/portal");

    // A link of another site leads to the sign-in page, where the person chooses.
    for (site, begins) in [("cross-site", false), ("same-origin", true)] {
        let client = http_client().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let request = client.get(format!("{}/portal/sso/social?next=/portal/card", server.address));
        let answer = request.header("sec-fetch-site", site).send().await.unwrap();
        let to = answer.headers()["location"].to_str().unwrap();
        assert_eq!(to.starts_with(&world.issuer), begins, "{site}: {to}");
        assert_eq!(to == "/portal/sign-in?next=%2Fportal%2Fcard", !begins, "{site}: {to}");
    }
}

#[test]
fn a_provider_is_for_members_or_for_operators() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let file = providers(folder.path(), "https://id.example.org");
    let both = std::fs::read_to_string(&file).unwrap().replace("name =", "create_operators = true\nname =");
    std::fs::write(&file, both).unwrap();
    let mut command = std::process::Command::new(GUERDON);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap(), "--sso", &file]);
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("for members only"), "{error}");
}
