//! Operators come in: the first by what the server prints, others by invitation; each with a second factor. And those who
//! should not come in do not.

use serde_json::json;

use crate::support::person::{Person, totp};
use crate::support::{KEY, Server, gift_club, init};

const PASSWORD: &str = "seven sunny orange bicycles";

async fn served(folder: &tempfile::TempDir) -> Server {
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    Server::start(&data)
}

/// The first owner, signed in, and the secret of the authenticator app.
async fn owner(server: &Server) -> (Person, String) {
    let mut person = Person::new(server);
    let secret = person.set_up(&server.setup_link, "olga@example.org", "Olga", PASSWORD).await;
    (person, secret)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_owner_is_whoever_reads_what_the_server_prints() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let mut stranger = Person::new(&server);
    assert_eq!(stranger.get("/console/setup?token=grd_set_guessed").await.0, 410);
    let (mut olga, _) = owner(&server).await;
    assert_eq!(olga.get("/console").await.0, 200);
    assert!(olga.get("/console/account").await.1.contains("olga@example.org"));
    // The link is used up, and there is no second first owner.
    assert_eq!(stranger.get(&server.setup_link).await.0, 410);
    let (_, events) = server.get("/v1/audit?action=operator.set_up").await;
    assert_eq!(events["items"].as_array().unwrap().len(), 1, "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_alone_opens_nothing_and_a_code_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (_, secret) = owner(&server).await;
    let mut olga = Person::new(&server);
    let wrong = [("email", "olga@example.org"), ("password", "not the right password")];
    assert_eq!(olga.post("/console/sign-in", &wrong).await.0, 422);
    let unknown = [("email", "nobody@example.org"), ("password", PASSWORD)];
    let (status, page) = olga.post("/console/sign-in", &unknown).await;
    assert!(status == 422 && page.contains("That is not right"), "an unknown account sounds the same: {page}");
    let right = [("email", "Olga@Example.org"), ("password", PASSWORD)];
    assert_eq!(olga.post("/console/sign-in", &right).await.0, 303);
    assert_eq!(olga.get("/console").await.0, 303, "the second factor is still owed");
    assert_eq!(olga.post("/console/sign-in/code", &[("code", "000000")]).await.0, 422);
    // The code that set the app up was used; the next step's is taken, once.
    let code = totp(&secret, 30);
    assert_eq!(olga.post("/console/sign-in/code", &[("code", &code)]).await.0, 303);
    assert_eq!(olga.get("/console").await.0, 200);
    let mut thief = Person::new(&server);
    assert_eq!(thief.post("/console/sign-in", &right).await.0, 303);
    assert_eq!(thief.post("/console/sign-in/code", &[("code", &code)]).await.0, 422, "a code counts once");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_renewed_listed_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, secret) = owner(&server).await;
    // Fixation: a token that the browser brought before signing in is worth nothing afterwards.
    let mut victim = Person::new(&server);
    victim.cookies.insert("guerdon_session".to_owned(), "grd_ses_planted-by-someone-else".to_owned());
    victim.sign_in("olga@example.org", PASSWORD, &totp(&secret, 30)).await;
    assert_ne!(victim.cookies["guerdon_session"], "grd_ses_planted-by-someone-else");
    let page = olga.get("/console/account").await.1;
    assert_eq!(page.matches("/end\"").count(), 1, "two sessions, one of them this one");
    assert!(olga.get("/console/members").await.1.contains("action=\"/console/sign-out\""), "the way out on every page");
    assert_eq!(olga.post("/console/account/sessions/end-others", &[]).await.0, 303);
    assert_eq!(victim.get("/console").await.0, 303, "ended from afar");
    let old = olga.cookies.clone();
    assert_eq!(olga.post("/console/sign-out", &[]).await.0, 303);
    olga.cookies = old;
    assert_eq!(olga.get("/console").await.0, 303, "a session that was ended does not come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_of_other_sites_do_not_act() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, _) = owner(&server).await;
    for origin in [Some("https://evil.example"), None] {
        olga.origin = origin.map(str::to_owned);
        assert_eq!(olga.post("/console/account/recovery-codes", &[]).await.0, 403, "{origin:?}");
        assert_eq!(olga.post("/console/sign-in", &[("email", "a@example.org"), ("password", "x")]).await.0, 403);
    }
    let (status, _) =
        olga.json("/v1/members/mem_0000000000001/adjustments", &json!({"points": 5, "reason": "x"})).await;
    assert_eq!(status, 403, "nor on the API, by the cookie");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_and_locks_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, secret) = owner(&server).await;
    olga.cookies.remove("guerdon_session");
    let mut attacker = Person::new(&server);
    let mut slowed = false;
    for _ in 0..8 {
        let guess = [("email", "olga@example.org"), ("password", "guess after guess after guess")];
        slowed |= attacker.post("/console/sign-in", &guess).await.0 == 429;
    }
    assert!(slowed, "an attacker hears 429");
    // Olga's own browser is known and goes on as before.
    olga.sign_in("olga@example.org", PASSWORD, &totp(&secret, 30)).await;
    assert_eq!(olga.get("/console").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invited_operator_does_what_the_role_says_in_its_store_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, _) = owner(&server).await;
    let grants = json!([{ "role": "service", "stores": ["north"] }]);
    let body = json!({ "email": "sam@example.org", "name": "Sam", "grants": grants });
    let (status, invited) = server.post("/v1/operators", "", body.clone()).await;
    assert_eq!(status, 201, "{invited}");
    assert_eq!(server.post("/v1/operators", "", body).await.0, 409, "an address has one operator");
    let mut sam = Person::new(&server);
    let link = invited["link"].as_str().unwrap().split_once("/console").unwrap().1.to_owned();
    sam.accept(&format!("/console{link}"), "Sam", "four quiet winter harbours").await;
    let mut other = Person::new(&server);
    assert_eq!(other.get(&format!("/console{link}")).await.0, 410, "an invitation works once");
    assert_eq!(sam.get("/console").await.0, 303, "led to what the role shows");
    assert_eq!(sam.get("/console/members").await.0, 200);
    assert_eq!(sam.get("/console/operators").await.0, 403);
    let ann = server.member("ann", 0).await;
    let purchase = |store: &str| {
        json!({ "member_id": ann, "activity": { "kind": "purchase", "store": store, "lines":
            [{ "description": "TEA", "quantity": "1", "unit_price": "10.00" }] } })
    };
    assert_eq!(sam.json("/v1/activities", &purchase("north")).await.0, 201);
    let (status, problem) = sam.json("/v1/activities", &purchase("south")).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("forbidden_store")), "{problem}");
    let (status, page) = sam.post(&format!("/console/members/{ann}"), &[("reason", "  ")]).await;
    assert!(status == 422 && page.contains("Why do you need"), "without a reason the form comes back: {page}");
    let id = invited["id"].as_str().unwrap();
    several_roles(&server, &mut olga, id).await;
    // Suspended, Sam is out at once.
    assert_eq!(olga.post(&format!("/console/operators/{id}"), &[("act", "suspend"), ("reason", "left")]).await.0, 303);
    assert_eq!(sam.get("/console/members").await.0, 303);
    let (_, events) = server.get(&format!("/v1/audit?subject={id}")).await;
    let actions: Vec<&str> =
        events["items"].as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert!(actions.contains(&"operator.suspend") && actions.contains(&"operator.invite"), "{actions:?}");
}

/// Roles come and go one by one on an operator's page.
async fn several_roles(server: &Server, olga: &mut Person, id: &str) {
    let page = format!("/console/operators/{id}");
    let mut change = async |fields: &[(&str, &str)]| {
        let form = [&[("act", "grant"), ("reason", "moved")], fields].concat();
        let (status, shown) = olga.post(&page, &form).await;
        let (_, operator) = server.get(&format!("/v1/operators/{id}")).await;
        (status, operator["grants"].clone(), shown)
    };
    let everywhere = json!({ "role": "auditor", "program": "*" });
    let grant = |store: &str| json!({ "role": "service", "program": "*", "stores": [store] });
    let (status, grants, page) = change(&[("role", "auditor"), ("stores", "")]).await;
    assert_eq!((status, grants), (303, json!([grant("north"), everywhere])), "{page}");
    let north = r#"{"role":"service","program":"*","stores":["north"]}"#;
    let (status, grants, page) = change(&[("remove", north), ("role", "service"), ("stores", "south")]).await;
    assert_eq!((status, grants), (303, json!([everywhere, grant("south")])), "{page}");
    let south = north.replace("north", "south");
    let all = [("remove", south.as_str()), ("remove", r#"{"role":"auditor","program":"*"}"#), ("role", "")];
    let (status, grants, page) = change(&all).await;
    assert_eq!((status, grants), (422, json!([everywhere, grant("south")])), "one remains: {page}");
    assert!(page.contains("name=\"remove\" value=\"{"), "what is there can be taken away: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_more_than_they_have_and_an_owner_remains() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, _) = owner(&server).await;
    let grants = json!([{ "role": "administrator" }]);
    let body = json!({ "email": "adam@example.org", "name": "Adam", "grants": grants });
    let (_, invited) = server.post("/v1/operators", "", body).await;
    let mut adam = Person::new(&server);
    let link = invited["link"].as_str().unwrap().split_once("/console").unwrap().1.to_owned();
    adam.accept(&format!("/console{link}"), "Adam", "nine hidden copper lanterns").await;
    let owner_grant = json!({ "email": "eve@example.org", "name": "Eve", "grants": [{ "role": "owner" }] });
    let (status, problem) = adam.json("/v1/operators", &owner_grant).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("owners_only")), "{problem}");
    let (_, operators) = server.get("/v1/operators").await;
    let olga_id = operators.as_array().unwrap().iter().find(|one| one["email"] == "olga@example.org").unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let suspend = json!({ "act": "suspend", "reason": "coup" });
    assert_eq!(adam.patch(&format!("/v1/operators/{olga_id}"), &suspend).await.0, 403);
    let (status, problem) = server.patch(&format!("/v1/operators/{olga_id}"), suspend).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("last_owner")), "{problem}");
    assert_eq!(olga.patch(&format!("/v1/operators/{olga_id}"), &json!({ "act": "reset", "reason": "x" })).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_the_right_one_opens_nothing_however_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let stranger = reqwest::Client::new();
    let path = format!("{}/v1/members", server.address);
    for value in ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer x\u{7f}", &format!("Bearer {KEY}x"), KEY] {
        let Ok(value) = value.parse::<reqwest::header::HeaderValue>() else { continue };
        let response = stranger.get(&path).header("authorization", value.clone()).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 401, "{value:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_https_a_cookie_counts_under_its_prefix_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    // The proxy that brings the encryption is the story itself.
    let server = Server::start_with(&data, &["--public-url", "https://loyalty.example.org"]);
    let (mut olga, secret) = owner(&server).await;
    olga.get("/console?lang=zh-CN").await;
    let names: Vec<&str> = olga.cookies.keys().map(String::as_str).collect();
    assert_eq!(names, ["__Host-guerdon_device", "__Host-guerdon_language", "__Host-guerdon_session"]);
    assert_eq!(olga.get("/console").await.0, 200);
    let bare = |person: &mut Person| {
        let cookies = std::mem::take(&mut person.cookies);
        let plain = |(name, value): (String, String)| (name.trim_start_matches("__Host-").to_owned(), value);
        person.cookies = cookies.into_iter().map(plain).collect();
    };
    bare(&mut olga);
    assert_eq!(olga.get("/console").await.0, 303, "a neighbouring host can set a session without the prefix");
    let mut other = Person::new(&server);
    let right = [("email", "olga@example.org"), ("password", PASSWORD)];
    assert_eq!(other.post("/console/sign-in", &right).await.0, 303);
    bare(&mut other);
    assert_eq!(other.post("/console/sign-in/code", &[("code", &totp(&secret, 30))]).await.0, 422, "nor an attempt");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_ends_with_the_password_that_it_rests_on_and_another_one_asks_for_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, secret) = owner(&server).await;
    let mut thief = Person::new(&server);
    let right = [("email", "olga@example.org"), ("password", PASSWORD)];
    assert_eq!(thief.post("/console/sign-in", &right).await.0, 303);
    assert_eq!(thief.get("/console/sign-in/code").await.0, 200, "one factor is proved");
    const NEW: &str = "eight velvet morning trams";
    let change = "/console/account/password";
    assert_eq!(olga.post(change, &[("password", NEW)]).await.0, 422, "a session alone is not enough");
    assert_eq!(olga.post(change, &[("current", "not the right one"), ("password", NEW)]).await.0, 422);
    assert_eq!(olga.post(change, &[("current", PASSWORD), ("password", NEW)]).await.0, 303);
    let code = [("code", totp(&secret, 30))];
    let code: Vec<(&str, &str)> = code.iter().map(|(name, code)| (*name, code.as_str())).collect();
    assert_eq!(thief.post("/console/sign-in/code", &code).await.0, 422, "the old password has proved nothing");
    assert_eq!(thief.get("/console").await.0, 303);
    Person::new(&server).sign_in("olga@example.org", NEW, &totp(&secret, 30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_leaves_a_trace_that_names_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let log = folder.path().join("log");
    let server = Server::start_logging(&data, &log);
    let (mut olga, _) = owner(&server).await;
    let mut sam = Person::invited(&server, "sam@example.org", "Sam", "service").await;
    let wrong = [("email", "olga@example.org"), ("password", "not the right password")];
    let unknown = [("email", "nobody@example.org"), ("password", "not the right password")];
    let mut stranger = Person::new(&server);
    assert_eq!(stranger.post("/console/sign-in", &wrong).await.0, 422);
    assert_eq!(stranger.post("/console/sign-in", &unknown).await.0, 422);
    assert_eq!(sam.get("/console/operators").await.0, 403);
    assert_eq!(
        crate::support::client("grd_key_wrong")
            .get(format!("{}/v1/members", server.address))
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
    olga.origin = Some("https://evil.example".to_owned());
    assert_eq!(olga.post("/console/sign-out", &[]).await.0, 403);
    let metrics = server.text("/metrics").await.1;
    for (why, count) in [("password", 2), ("permission", 1), ("credential", 1), ("origin", 1)] {
        let line = format!("guerdon_refused_total{{why=\"{why}\"}} {count}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    let log = std::fs::read_to_string(&log).unwrap();
    // Its colours are no part of its words.
    let plain = |line: &str| {
        let mut parts = line.split('\u{1b}');
        let first = parts.next().unwrap_or_default().to_owned();
        first + &parts.filter_map(|part| part.split_once('m').map(|(_, rest)| rest)).collect::<String>()
    };
    let lines = log.lines().filter(|line| line.contains("WARN") && line.contains("refused")).map(plain);
    let lines: Vec<String> = lines.collect();
    assert!(lines.len() >= 5, "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("/console/operators") && line.contains("opr_")), "{lines:?}");
    for line in lines {
        assert!(!line.contains("example") && !line.contains("grd_key_") && !line.contains("127.0.0.1"), "{line}");
    }
    // The audit log has those at operators who exist, and the sign-ins that came to something.
    for (action, least) in [("sign_in.refuse", 1), ("session.begin", 2)] {
        let count =
            async || server.get(&format!("/v1/audit?action={action}")).await.1["items"].as_array().unwrap().len();
        for _ in 0..50 {
            if count().await >= least {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert!(count().await >= least, "{action}");
    }
}
