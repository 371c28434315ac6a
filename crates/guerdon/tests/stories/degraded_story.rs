//! A database that goes away while members look and tills ask: what was last known is answered and marked, the rest is refused
//! at once, and it ends by itself.

use std::path::Path;
use std::time::{Duration, Instant};

use guerdon_tests::postgres;
use reqwest::Response;
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, screenshot, sideways, size, small_phone, text};
use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{KEY, Server, client, gift_club, guerdon, init};

/// What a refusal may take: nothing waits for a database that is away.
const AT_ONCE: Duration = Duration::from_millis(500);

struct Answer {
    status: u16,
    mark: Option<String>,
    age: Option<u64>,
    retry_after: Option<u64>,
    took: Duration,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.body))
    }

    /// What the body says without its moments.
    fn timeless(&self) -> Value {
        fn strip(value: &mut Value) {
            match value {
                Value::Array(items) => items.iter_mut().for_each(strip),
                Value::Object(fields) => {
                    fields.remove("as_of");
                    fields.values_mut().for_each(strip);
                }
                _ => {}
            }
        }
        let mut value = self.json();
        strip(&mut value);
        value
    }
}

async fn answer(asked: Instant, response: Response) -> Answer {
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let number = |name: &str| header(name).map(|text| text.parse().unwrap());
    let (status, mark) = (response.status().as_u16(), header("guerdon-degraded"));
    let (age, retry_after) = (number("age"), number("retry-after"));
    Answer { status, mark, age, retry_after, took: asked.elapsed(), body: response.text().await.unwrap() }
}

async fn get(server: &Server, key: &str, path: &str) -> Answer {
    let asked = Instant::now();
    answer(asked, client(key).get(format!("{}{path}", server.address)).send().await.unwrap()).await
}

async fn order(server: &Server, member: &str, key: &str) -> Answer {
    let asked = Instant::now();
    let request = server.client.post(format!("{}/v1/orders", server.address)).header("idempotency-key", key);
    let body = json!({ "member_id": member, "reward_id": "voucher-5" }).to_string();
    answer(asked, request.body(body).send().await.unwrap()).await
}

/// Waits until the server says that it answers from memory, or that it does not any more.
async fn until(server: &Server, away: bool) -> Duration {
    let since = Instant::now();
    loop {
        let answer = get(server, KEY, "/v1/categories").await;
        if answer.status == 200 && answer.mark.is_some() == away {
            return since.elapsed();
        }
        assert!(since.elapsed() < Duration::from_secs(15), "{} {}", answer.status, answer.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn init_on(folder: &Path, url: &str) {
    let file = folder.join("program.toml");
    std::fs::write(&file, gift_club(100)).unwrap();
    let (directory, file) = (folder.to_str().unwrap(), file.to_str().unwrap());
    let (code, _, error) = guerdon(&["init", "--database-url", url, "--data-dir", directory, "--program", file]);
    assert_eq!(code, 0, "{error}");
}

async fn issue(server: &Server, permissions: &[&str]) -> (String, String) {
    let request = json!({ "name": "till", "permissions": permissions });
    let (status, key) = server.post("/v1/api-keys", "", request).await;
    assert_eq!(status, 201, "{key}");
    (key["id"].as_str().unwrap().to_owned(), key["key"].as_str().unwrap().to_owned())
}

async fn revoke(server: &Server, id: &str) {
    let response = server.client.delete(format!("{}/v1/api-keys/{id}", server.address)).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 204);
}

/// A member of the portal, who is signed in.
async fn signed_in(server: &Server, gateway: &Gateway, member: &str, phone: &str) -> Person {
    let (_, found) = server.get(&format!("/v1/members/{member}")).await;
    assert_eq!(found["id"], member, "{found}");
    let (mut person, seen) = (Person::new(server), gateway.count());
    assert_eq!(person.post("/portal/sign-in", &[("to", phone)]).await.0, 303);
    let code = gateway.code(seen, phone).await;
    assert_eq!(person.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
    person
}

async fn enrol(server: &Server, name: &str, phone: &str, points: i64) -> String {
    let (status, receipt) = server.post("/v1/members", phone, json!({ "name": name, "phone": phone })).await;
    assert_eq!(status, 201, "{receipt}");
    let member = receipt["member_id"].as_str().unwrap().to_owned();
    let adjustment = json!({ "points": points, "reason": "welcome" });
    let path = format!("/v1/members/{member}/adjustments");
    assert_eq!(server.post(&path, &format!("welcome {phone}"), adjustment).await.0, 201);
    member
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_what_was_last_known_is_answered_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = postgres::Server::start();
    let url = database.database();
    init_on(folder.path(), &url);
    let on_database = ["--database-url", url.as_str()];
    let server = Server::start_with(folder.path(), &on_database);
    let other_node = Server::start_with(folder.path(), &on_database);
    let ann = enrol(&server, "Ann", "13800138000", 1_200).await;
    let unseen = enrol(&server, "Unseen", "13800138001", 100).await;
    let closed = enrol(&server, "Closed", "13800138002", 100).await;
    let (_, till) = issue(&server, &["members:read", "rewards:read"]).await;
    let (_, catalogue_only) = issue(&server, &["rewards:read"]).await;
    let (revoked_here_id, revoked_here) = issue(&server, &["rewards:read"]).await;
    let (revoked_there_id, revoked_there) = issue(&server, &["rewards:read"]).await;

    // All is well: nothing is marked.
    let wallet = format!("/v1/members/{ann}/wallet");
    let paths = ["/v1/rewards", "/v1/rewards/voucher-5", "/v1/catalogue?q=voucher", "/v1/categories", &wallet];
    let mut well = Vec::new();
    for path in paths {
        let answer = get(&server, &till, path).await;
        assert!(answer.status == 200 && answer.mark.is_none() && answer.age.is_none(), "{path} {}", answer.body);
        assert!(!answer.body.contains("as_of"), "{}", answer.body);
        well.push(answer.json());
    }
    for key in [&catalogue_only, &revoked_here, &revoked_there] {
        assert_eq!(get(&server, key, "/v1/rewards").await.status, 200);
    }
    assert_eq!(get(&server, &till, &format!("/v1/members/{closed}/wallet")).await.status, 200);
    let (status, told) =
        server.post(&format!("/v1/members/{closed}/close"), "close", json!({ "reason": "moved" })).await;
    assert_eq!(status, 201, "{told}");
    revoke(&server, &revoked_here_id).await;
    revoke(&other_node, &revoked_there_id).await;

    database.kill();
    let found = until(&server, true).await;
    println!("found away after {found:?}");
    assert!(found < Duration::from_secs(3), "{found:?}");
    for (path, well) in paths.iter().zip(&well) {
        let answer = get(&server, &till, path).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
        let mark = answer.mark.clone().unwrap_or_else(|| panic!("{path} is not marked"));
        let as_of = mark.strip_prefix("as-of=").unwrap();
        assert!(as_of.ends_with('Z') && answer.age.unwrap() < 60, "{mark} {:?}", answer.age);
        assert_eq!(answer.timeless(), *well, "{path}");
        assert!(answer.took < AT_ONCE, "{path} took {:?}", answer.took);
        if *path != "/v1/categories" {
            assert!(answer.body.contains(&format!("\"as_of\":\"{as_of}\"")), "{path} {}", answer.body);
        }
    }

    // What is not remembered, and what needs the database, is refused at once and in words.
    let refused = [
        (format!("/v1/members/{unseen}/wallet"), "not_remembered"),
        (format!("/v1/members/{closed}/wallet"), "not_remembered"),
        ("/v1/members/mem_0000000000001/wallet".to_owned(), "not_remembered"),
        (format!("/v1/members/{ann}"), "unavailable"),
        (format!("/v1/members/{ann}/transactions"), "unavailable"),
    ];
    for (path, code) in &refused {
        let answer = get(&server, &till, path).await;
        assert!(answer.status == 503 && answer.retry_after == Some(1), "{path} {} {}", answer.status, answer.body);
        assert_eq!(answer.json()["code"], *code, "{path}");
        assert!(answer.took < AT_ONCE, "{path} took {:?}", answer.took);
    }
    for number in 0..20 {
        let answer = order(&server, &ann, &format!("away {number}")).await;
        assert!(answer.status == 503 && answer.retry_after.is_some(), "{} {}", answer.status, answer.body);
        assert!(answer.body.contains("same idempotency key"), "{}", answer.body);
        assert!(answer.took < AT_ONCE, "a write took {:?}", answer.took);
    }

    // Nobody may more than before.
    assert_eq!(get(&server, &catalogue_only, "/v1/rewards").await.status, 200);
    assert_eq!(get(&server, &catalogue_only, &wallet).await.status, 403, "it never might");
    assert_eq!(get(&server, &revoked_here, "/v1/rewards").await.status, 503, "revoked on this node: forgotten");
    assert_eq!(get(&server, "grd_key_nonsense", "/v1/rewards").await.status, 503, "whether it is one is not known");
    assert_eq!(get(&server, &revoked_there, "/v1/rewards").await.status, 200, "this node cannot know: see docs");

    // Who watches sees it.
    assert_eq!(get(&server, KEY, "/readyz").await.status, 503);
    let ready = get(&server, KEY, "/readyz?degraded=ready").await;
    assert_eq!((ready.status, ready.body.as_str()), (200, "degraded"));
    assert_eq!(get(&server, KEY, "/livez").await.status, 200);
    let metrics = get(&server, KEY, "/metrics").await.body;
    assert!(metrics.contains("\nguerdon_degraded 1\n"), "{metrics}");
    assert!(metrics.contains("guerdon_degraded_answers_total{answer=\"last_known\"}"), "{metrics}");

    database.run();
    println!("answers from the database again {:?} after it", until(&server, false).await);
    let since = Instant::now();
    while order(&server, &ann, "away 0").await.status != 201 {
        assert!(since.elapsed() < Duration::from_secs(5), "writes do not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for key in [&revoked_here, &revoked_there] {
        assert_eq!(get(&server, key, "/v1/rewards").await.status, 401, "revoked is revoked");
    }
    let answer = get(&server, &till, &wallet).await;
    assert!(answer.status == 200 && answer.mark.is_none() && !answer.body.contains("as_of"), "{}", answer.body);
    assert_eq!(answer.json()[0]["available"], 700, "{}", answer.body);
    assert_eq!(get(&server, &till, &format!("/v1/members/{unseen}/wallet")).await.json()[0]["available"], 100);
    assert_eq!(get(&server, KEY, "/readyz").await.status, 200);
    assert!(get(&server, KEY, "/metrics").await.body.contains("\nguerdon_degraded 0\n"));
    assert_eq!(guerdon(&["verify", "--database-url", &url]).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_see_what_was_last_known_and_nothing_to_send() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start();
    let mut database = postgres::Server::start();
    let url = database.database();
    init_on(folder.path(), &url);
    let mut flags = gateway.flags().to_vec();
    flags.extend(["--database-url", url.as_str()]);
    let server = Server::start_with(folder.path(), &flags);
    let ann = enrol(&server, "Ann", "13800138000", 1_200).await;
    let mut ann = signed_in(&server, &gateway, &ann, "13800138000").await;
    let pages = ["/portal", "/portal/rewards?q=voucher", "/portal/rewards/voucher-5"];
    for page in pages {
        let (status, page) = ann.get(page).await;
        assert!(status == 200 && !page.contains("rewards as of "), "{page}");
    }
    assert!(ann.get(pages[2]).await.1.contains("action=\"/portal/rewards/voucher-5\""), "it can be redeemed");

    database.kill();
    until(&server, true).await;
    for (language, banner, history) in [
        ("en", "Redeeming is possible again in a moment", "Your history is back in a moment"),
        ("zh-CN", "稍后即可恢复兑换", "积分明细稍后恢复显示"),
    ] {
        for path in pages {
            let and = if path.contains('?') { '&' } else { '?' };
            let (status, page) = ann.get(&format!("{path}{and}lang={language}")).await;
            assert!(status == 200 && page.contains(banner), "{path} {page}");
            assert!(
                !page.contains("action=\"/portal/rewards/voucher-5\"") && !page.contains("/portal/extend"),
                "{page}"
            );
            assert_eq!(page.contains(history), path == "/portal", "{page}");
            assert!(page.contains("1,200"), "the balance is told: {page}");
        }
    }
    // What would write, or needs the database, is a page that says so.
    let form = [("key", "k"), ("quote", "q")];
    let (status, page) = ann.post("/portal/rewards/voucher-5?lang=en", &form).await;
    assert!(status == 503 && page.contains("That is not possible just now"), "{status} {page}");
    for path in ["/portal/orders?lang=zh-CN", "/portal?before=txn_0000000000001&lang=zh-CN"] {
        let (status, page) = ann.get(path).await;
        assert!(status == 503 && page.contains("暂时无法办理"), "{path} {status} {page}");
    }
    let (status, page) = Person::new(&server).get("/console/members?lang=en").await;
    assert!(status == 503 && page.contains("The data cannot be read just now"), "{status} {page}");
    let mut stranger = Person::new(&server);
    stranger.cookies.insert("guerdon_member".to_owned(), "grd_ses_nonsense".to_owned());
    let (status, page) = stranger.get("/portal?lang=en").await;
    assert!(
        status == 503 && page.contains("That is not possible just now"),
        "a page, and no sign-in that fails: {page}"
    );

    let (_driver, client) = browser(&folder.path().join("profile")).await;
    enter(&client, &server, &ann).await;
    small_phone(&client).await;
    for (language, name) in [("en", "english"), ("zh-CN", "chinese")] {
        for (path, page) in
            [("/portal", "home"), ("/portal/rewards", "rewards"), ("/portal/rewards/voucher-5", "reward")]
        {
            client.goto(&format!("{}{path}?lang={language}", server.address)).await.unwrap();
            assert!(sideways(&client).await <= 0, "{path} sticks out");
            screenshot(&client, &format!("degraded-{page}-{name}-360")).await;
        }
    }
    client.goto(&format!("{}/portal/orders?lang=en", server.address)).await.unwrap();
    assert!(text(&client).await.contains("Please try again in a moment"));
    screenshot(&client, "degraded-refused-360").await;
    size(&client, 1_440, 900).await;
    client.goto(&format!("{}/portal?lang=en", server.address)).await.unwrap();
    screenshot(&client, "degraded-home-1440").await;

    database.run();
    until(&server, false).await;
    let (status, page) = ann.get("/portal?lang=en").await;
    assert!(status == 200 && page.contains("welcome") && !page.contains("rewards as of "), "{page}");
    assert!(ann.get(pages[2]).await.1.contains("action=\"/portal/rewards/voucher-5\""), "it can be redeemed again");
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_file_that_is_gone_is_served_from_memory_and_nothing_is_written_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    init(&data, &gift_club(100));
    let server = Server::start_logging(&data, &log);
    let ann = server.member("ann", 1_200).await;
    let wallet = format!("/v1/members/{ann}/wallet");
    assert_eq!(get(&server, KEY, &wallet).await.json()[0]["available"], 1_200);

    let (file, aside) = (data.join("guerdon.db"), folder.path().join("aside"));
    std::fs::rename(&file, &aside).unwrap();
    until(&server, true).await;
    let answer = get(&server, KEY, &wallet).await;
    assert!(answer.status == 200 && answer.mark.is_some() && answer.json()[0]["available"] == 1_200, "{}", answer.body);
    for number in 0..5 {
        let answer = order(&server, &ann, &format!("gone {number}")).await;
        assert!(answer.status == 503 && answer.retry_after.is_some() && answer.took < AT_ONCE, "{}", answer.body);
    }
    std::fs::rename(&aside, &file).unwrap();
    until(&server, false).await;
    assert_eq!(order(&server, &ann, "gone 0").await.status, 201);
    let log = std::fs::read_to_string(&log).unwrap();
    assert_eq!(log.matches("the database is away: ").count(), 1, "said once, not for each request");
    assert_eq!(log.matches("the database answers again").count(), 1);
}
