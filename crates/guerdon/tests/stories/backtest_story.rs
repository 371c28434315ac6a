//! Stories of backtests: by the command line over the ledger and over a file, through the API, in the console, and bad input.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fantoccini::Locator;
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, shown, sideways, size, text as page_text, whole_page};
use crate::support::person::Person;
use crate::support::{Server, gift_club, guerdon, init};

const MAPPING: &str = "kind = 'purchases'\nenrol_unknown_members = true\nreturn_prefix = 'C'\n[columns]\n\
    activity = 'No'\nmember = 'Who'\ntime = 'When'\nquantity = 'Qty'\nunit_price = 'Price'\n";
/// Ann: £60 and £300 in January, £120 in March, of which £12 come back. Bob: £40 in February.
const ROWS: &str = "No,Who,When,Qty,Price\n1,ann,2024-01-05 10:00:00,2,30.00\n2,ann,2024-01-06 10:00:00,1,300.00\n\
    3,bob,2024-02-06 09:00:00,1,40.00\n4,ann,2024-03-07 09:00:00,10,12.00\nC5,ann,2024-03-08 09:00:00,-1,12.00\n";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    /// A data directory in which the rows were imported, and a draft: no tenth for big baskets, but 50 for the first purchase.
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        init(&files.path("data"), &gift_club(10));
        files.write("mapping.toml", MAPPING);
        files.write("rows.csv", ROWS);
        let big = gift_club(10);
        let (before, after) =
            (big.find("[[rules]]\nid = \"big-basket\"").unwrap(), big.find("[[rules]]\nid = \"christmas\"").unwrap());
        let first = "[[rules]]\nid = \"first\"\nname = \"First\"\ntrigger = \"purchase\"\n\
            condition = \"history.purchase.lifetime.count == 0\"\neffect = { type = \"fixed_points\", points = 50 }\n\n";
        files.write("draft.toml", &format!("{}{first}{}", &big[..before], &big[after..]));
        let (data, mapping, rows) = (files.path("data"), files.path("mapping.toml"), files.path("rows.csv"));
        let (code, out, error) =
            guerdon(&["import", "--data-dir", text(&data), "--mapping", text(&mapping), text(&rows)]);
        assert_eq!(code, 0, "{out}{error}");
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn backtest(&self, draft: &str, more: &[&str]) -> (i32, String, String) {
        let (data, draft) = (self.path("data"), self.path(draft));
        let mut arguments = vec!["backtest", "--data-dir", text(&data), "--program", text(&draft)];
        arguments.extend(more);
        guerdon(&arguments)
    }
}

#[test]
fn a_draft_over_the_ledger_and_over_the_file_it_came_from() {
    let files = Files::new();
    let (code, out, error) = files.backtest("draft.toml", &["--json"]);
    assert_eq!(code, 0, "{error}");
    let found: Value = serde_json::from_str(&out).unwrap();
    let points = &found["currencies"][0];
    // 60 + 300 + 40 + 120, and a tenth of 300 and of 120; the draft gives 50 to each of two members instead.
    assert_eq!((&points["flows"]["live"]["issued"], &points["flows"]["draft"]["issued"]), (&562.into(), &620.into()));
    assert_eq!((&points["cost"]["live"], &points["cost"]["draft"]), (&550.into(), &608.into()));
    let rules: Vec<_> = points["rules"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    assert_eq!(rules, ["base", "first", "return", "big-basket"]);
    assert_eq!(
        (&found["better"], &found["more"], &found["worse"], &found["members"]),
        (&2.into(), &58.into(), &0.into(), &2.into())
    );
    assert_eq!((&found["activities"], &found["lines"]), (&5.into(), &5.into()));
    assert!(found["most_affected"][0]["member"].as_str().unwrap().starts_with("mem_"));

    let (code, out, _) = files.backtest("draft.toml", &["--from", "2024-02-01", "--to", "2024-03-08"]);
    assert_eq!(code, 0);
    // Ann's first purchase was before the period; the return comes after it.
    let line = |name: &str| out.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default();
    let numbers = |name: &str| line(name).split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(numbers("issued"), ["172", "210", "+38"], "{out}");
    assert_eq!(numbers("first"), ["0", "50", "+50"]);
    assert_eq!(numbers("2024-02"), ["40", "90", "+50"]);
    assert!(line("cost").contains("£1.72") && line("better off").contains("1, by 50 points"), "{out}");

    let (mapping, rows) = (files.path("mapping.toml"), files.path("rows.csv"));
    let (code, out, error) =
        files.backtest("draft.toml", &["--mapping", text(&mapping), "--file", text(&rows), "--json"]);
    assert_eq!(code, 0, "{error}");
    let file: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(file["currencies"][0]["rules"], points["rules"]);
    let who: Vec<_> =
        file["most_affected"].as_array().unwrap().iter().map(|one| one["number"].as_str().unwrap()).collect();
    assert_eq!(who, ["bob", "ann"]);
    // Nothing was changed.
    assert_eq!(guerdon(&["verify", "--data-dir", text(&files.path("data"))]).0, 0);
}

#[test]
fn returns_of_a_file_take_back_what_their_purchase_earned() {
    let files = Files::new();
    // £60 twice; one of two comes back, and is named.
    files.write(
        "named.csv",
        "No,Who,When,Qty,Price,Of\n1,ann,2024-01-05 10:00:00,2,30.00,\n2,ann,2024-01-06 10:00:00,2,30.00,\n\
         C3,ann,2024-01-07 10:00:00,-1,30.00,1\n",
    );
    files.write("named.toml", &format!("{MAPPING}purchase = 'Of'\n"));
    files.write("double.toml", &gift_club(10).replacen("rate = \"1\"", "rate = \"2\"", 1));
    let (mapping, rows) = (files.path("named.toml"), files.path("named.csv"));
    let (code, out, error) =
        files.backtest("double.toml", &["--mapping", text(&mapping), "--file", text(&rows), "--json"]);
    assert_eq!(code, 0, "{out}{error}");
    let found: Value = serde_json::from_str(&out).unwrap();
    let flows = &found["currencies"][0]["flows"];
    assert_eq!((&flows["live"]["issued"], &flows["live"]["taken_back"]), (&json!(120), &json!(30)), "{found}");
    // By the rule for returns it would have been a point for each pound here as well.
    assert_eq!((&flows["draft"]["issued"], &flows["draft"]["taken_back"]), (&json!(240), &json!(60)), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_is_kept_beside_the_program() {
    let files = Files::new();
    let data = files.path("data");
    let server = Server::start(&data);
    let draft = first_purchase(&server).await;
    // Beside the server, which goes on.
    let (code, out, error) = guerdon(&["backtest", "--data-dir", text(&data), "--draft", &draft, "--json"]);
    assert_eq!(code, 0, "{error}");
    let found: Value = serde_json::from_str(&out).unwrap();
    let issued = &found["currencies"][0]["flows"];
    assert_eq!((&issued["live"]["issued"], &issued["draft"]["issued"]), (&562.into(), &620.into()));
    let (code, out, error) = guerdon(&["backtest", "--data-dir", text(&data), "--draft", "nowhere"]);
    assert!(code == 1 && out.is_empty() && error.contains("no draft `nowhere`"), "{error}");
    let (code, _, error) = guerdon(&["backtest", "--data-dir", text(&data)]);
    assert!(code == 2 && error.contains("--program"), "{error}");
}

/// A draft without the tenth for big baskets, and 50 for the first purchase.
async fn first_purchase(server: &Server) -> String {
    let first = json!({ "id": "first", "name": "First", "trigger": "purchase",
        "condition": "history.purchase.lifetime.count == 0", "effect": { "type": "fixed_points", "points": 50 } });
    let changes =
        json!([{ "kind": "rule", "document": first }, { "kind": "rule", "id": "big-basket", "retire": true }]);
    let (status, draft) = server.post("/v1/drafts", "", json!({ "title": "First", "changes": changes })).await;
    assert_eq!(status, 201, "{draft}");
    draft["id"].as_str().unwrap().to_owned()
}

async fn started(server: &Server, draft: &str, window: Value) -> String {
    let (status, begun) = server.post(&format!("/v1/drafts/{draft}/backtest"), "", window).await;
    assert_eq!((status, &begun["draft"]), (202, &json!(draft)), "{begun}");
    begun["id"].as_str().unwrap().to_owned()
}

/// The backtest once it has ended.
async fn ended(server: &Server, id: &str) -> Value {
    for _ in 0..300 {
        let (status, found) = server.get(&format!("/v1/backtests/{id}")).await;
        assert_eq!(status, 200, "{found}");
        if !matches!(found["state"].as_str(), Some("queued" | "running")) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the backtest {id} does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn through_the_api_it_comes_to_what_the_command_line_says() {
    let files = Files::new();
    let data = files.path("data");
    let mut server = Server::start(&data);
    let draft = first_purchase(&server).await;
    let window = json!({ "from": "2024-02-01", "to": "2024-03-08" });
    let id = started(&server, &draft, window.clone()).await;
    let found = ended(&server, &id).await;
    assert_eq!((&found["state"], &found["outdated"]), (&json!("done"), &json!(false)), "{found}");
    assert_eq!(found["progress"], json!({ "done": 5, "total": 5 }), "{found}");
    let (code, out, error) = guerdon(&[
        "backtest",
        "--data-dir",
        text(&data),
        "--draft",
        &draft,
        "--from",
        "2024-02-01",
        "--to",
        "2024-03-08",
        "--json",
    ]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(found["result"], serde_json::from_str::<Value>(&out).unwrap());

    // It is told of the draft that it tried, also when that was changed since.
    let (_, listed) = server.get(&format!("/v1/backtests?draft={draft}")).await;
    assert_eq!((&listed[0]["id"], listed[0].get("result")), (&json!(id), None), "{listed}");
    let (status, edited) = server
        .put(
            &format!("/v1/drafts/{draft}"),
            json!({ "title": "First", "changes": [{ "kind": "rule", "id": "big-basket", "retire": true }] }),
        )
        .await;
    assert_eq!(status, 200, "{edited}");
    let (_, found) = server.get(&format!("/v1/backtests/{id}")).await;
    assert_eq!((&found["outdated"], &found["draft_version"]), (&json!(true), &json!(1)), "{found}");

    // What was cut off is begun anew, however often nodes are stopped in order.
    let id = started(&server, &draft, json!({})).await;
    for _ in 0..4 {
        assert_eq!(server.interrupt(), 0);
        server = Server::start(&data);
        // It serves, so that it hears signals.
        assert_eq!(server.get(&format!("/v1/backtests/{id}")).await.0, 200);
    }
    server.kill();
    let server = Server::start(&data);
    let found = ended(&server, &id).await;
    assert_eq!((&found["state"], &found["result"]["members"]), (&json!("done"), &json!(2)), "{found}");
    let (_, audit) = server.get("/v1/audit?action=backtest.").await;
    assert_eq!(audit["items"].as_array().unwrap().len(), 2, "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_cancelled_and_refused() {
    let files = Files::new();
    let server = Server::start(&files.path("data"));
    let draft = first_purchase(&server).await;
    // Asked for twice it is begun once. The second one waits for its turn, and is cancelled meanwhile.
    let first = started(&server, &draft, json!({})).await;
    assert_eq!(started(&server, &draft, json!({})).await, first);
    let second = started(&server, &draft, json!({ "from": "2024-01-01" })).await;
    let cancel = format!("/v1/backtests/{second}/cancel");
    let (status, cancelled) = server.post(&cancel, "", json!({})).await;
    assert_eq!((status, &cancelled["state"]), (200, &json!("cancelled")), "{cancelled}");
    let (status, problem) = server.post(&cancel, "", json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("wrong_stage")), "{problem}");
    assert_eq!(ended(&server, &first).await["state"], "done");
    assert_eq!(ended(&server, &second).await["state"], "cancelled");

    let start = format!("/v1/drafts/{draft}/backtest");
    for (window, said) in [
        (json!({ "from": "yesterday" }), "2026-01-31"),
        (json!({ "to": "2024-02-30" }), "`to` is a day"),
        (json!({ "from": "2024-02-01", "to": "2024-02-01" }), "later than"),
    ] {
        let (status, problem) = server.post(&start, "", window).await;
        assert_eq!((status, &problem["code"]), (422, &json!("invalid_backtest")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
    assert_eq!(server.post("/v1/drafts/drf_nowhere/backtest", "", json!({})).await.0, 404);
    assert_eq!(server.get("/v1/backtests/bkt_nowhere").await.0, 404);
    assert_eq!(server.get("/v1/backtests").await.0, 400);
    let broken = json!({ "title": "T", "changes": [{ "kind": "rule", "id": "base", "retire": true }] });
    let (_, broken) = server.post("/v1/drafts", "", broken).await;
    let start_broken = format!("/v1/drafts/{}/backtest", broken["id"].as_str().unwrap());
    let (status, problem) = server.post(&start_broken, "", json!({})).await;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid_draft")), "{problem}");

    // Who may read the program may look, and whoever may read members sees whom it touches.
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let mut dev = Person::invited(&server, "dev@example.org", "Dev", "developer").await;
    let (status, problem) = dev.json(&start, &json!({})).await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")), "{problem}");
    let read = |(status, body): (u16, String)| {
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["result"].clone()
    };
    let touched = |result: &Value| result["most_affected"].as_array().unwrap().len();
    let path = format!("/v1/backtests/{first}");
    assert_eq!((touched(&read(dev.get(&path).await)), touched(&read(olga.get(&path).await))), (0, 2));
    // Likewise who was refused what: two of Ann's purchases.
    let base = json!({ "id": "base", "name": "Base", "trigger": "purchase",
        "effect": { "type": "points_per_money", "rate": "1" },
        "caps": [{ "window": "lifetime", "points": 100, "over": "refuse" }] });
    let changes = json!([{ "kind": "rule", "document": base }]);
    let (status, capped) = server.post("/v1/drafts", "", json!({ "title": "Capped", "changes": changes })).await;
    assert_eq!(status, 201, "{capped}");
    let capped = capped["id"].as_str().unwrap();
    let refusing = started(&server, capped, json!({})).await;
    assert_eq!(ended(&server, &refusing).await["state"], "done");
    let refusing = format!("/v1/backtests/{refusing}");
    let (hidden, told) = (read(dev.get(&refusing).await), read(olga.get(&refusing).await));
    for (result, refusals) in [(&hidden, 0), (&told, 2)] {
        let side = &result["sides"]["draft"];
        assert_eq!(side["refused"], json!({ "cap_reached": 2 }), "{result}");
        assert_eq!(side["refusals"].as_array().unwrap().len(), refusals, "{result}");
    }
    assert!(told.to_string().contains("mem_") && !hidden.to_string().contains("mem_"), "{hidden}");
    let page = format!("/console/drafts/{capped}/backtest?lang=en");
    let (hidden, told) = (dev.get(&page).await.1, olga.get(&page).await.1);
    assert!(hidden.contains("Draft: 2 refused (cap_reached)") && !hidden.contains("gives a member"), "{hidden}");
    assert!(told.contains("Draft: 2 refused, the first because") && told.contains("gives a member"), "{told}");
    let mut sam = Person::invited(&server, "sam@example.org", "Sam", "service").await;
    assert_eq!(sam.get(&path).await.0, 403);
    assert_eq!(sam.get(&format!("/console/drafts/{draft}/backtest")).await.0, 403);

    // Few wait at once.
    let mut busy = 0;
    for day in 1..13 {
        let window = json!({ "from": format!("2023-01-{day:02}") });
        let (status, answer) = server.post(&start, "", window).await;
        assert!(status == 202 || answer["code"] == "too_many_backtests", "{answer}");
        busy += usize::from(status == 503);
    }
    assert!(busy > 0, "there is an end to what may wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_what_a_draft_would_have_come_to() {
    let files = Files::new();
    let server = Server::start(&files.path("data"));
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let draft = first_purchase(&server).await;
    let (driver, client) = browser(&files.path("profile")).await;
    size(&client, 1440, 800).await;
    enter(&client, &server, &olga).await;
    let open = async |path: &str| client.goto(&format!("{}/console/{path}", server.address)).await.unwrap();
    let click = async |css: &str| client.wait().for_element(Locator::Css(css)).await.unwrap().click().await.unwrap();
    open(&format!("drafts/{draft}?lang=en")).await;
    click("a[href$='/backtest']").await;
    assert!(shown(&client, &["Begin a backtest"]).await.contains("from the beginning"));
    click("button[value='start']").await;
    // It looks again by itself until there is a result.
    let page = shown(&client, &["Points earned", "+58 (+10.5", "Olga"]).await;
    for words in ["+58 (+10.5", "in force: 550", "Members better off", "The most affected members", "£6.08"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!(client.find_all(Locator::Css(".chart canvas")).await.unwrap().len(), 3, "{page}");
    let affected = client.find(Locator::Css("#affected-title")).await.unwrap();
    assert_eq!(affected.text().await.unwrap(), "The most affected members");
    assert!(page.contains("+50") && page.contains("+8"), "{page}");

    for language in ["en", "zh-CN"] {
        for (width, shape) in [(1440, "wide"), (360, "phone")] {
            size(&client, width, 800).await;
            open(&format!("drafts/{draft}/backtest?lang={language}")).await;
            client.wait().for_element(Locator::Css(".chart canvas")).await.unwrap();
            let page = page_text(&client).await;
            assert!(!page.contains("{$") && !page.contains("backtest-"), "{language}: {page}");
            tokio::time::sleep(Duration::from_millis(500)).await;
            whole_page(&client, width, &format!("backtest/result-{shape}-{language}")).await;
            assert_eq!(sideways(&client).await, 0, "it sticks out at {width} in {language}");
        }
    }
    client.close().await.unwrap();
    drop(driver);
    // A form with a day that is none, and one of which the end comes first.
    let page = format!("/console/drafts/{draft}/backtest");
    let form = [("act", "start"), ("from", "2024-03-01"), ("to", "2024-02-01")];
    let (status, answer) = olga.post(&page, &form).await;
    assert!(status == 422 && answer.contains("2024-03-01") && answer.contains("later than"), "{answer}");
}

#[test]
fn what_cannot_be_run_says_why() {
    let files = Files::new();
    let refused = |draft: &str, more: &[&str]| {
        let (code, out, error) = files.backtest(draft, more);
        assert_eq!((code, out.as_str()), (1, ""), "{error}");
        error
    };
    assert!(refused("nowhere.toml", &[]).contains("nowhere.toml"));
    files.write("broken.toml", &gift_club(10).replace("activity.net > 10000", "activity.nett > 10000"));
    assert!(refused("broken.toml", &[]).contains("there is no attribute `nett`"));
    files.write("other.toml", &gift_club(10).replace("Europe/London", "Asia/Shanghai"));
    assert!(refused("other.toml", &[]).contains("time zone must be the same"));
    assert!(refused("draft.toml", &["--from", "yesterday"]).contains("2026-01-31"));
    assert!(refused("draft.toml", &["--from", "2024-02-01", "--to", "2024-01-01"]).contains("must be later"));
    let (mapping, rows) = (files.path("mapping.toml"), files.path("broken.csv"));
    // A row without a price, and a purchase of less than nothing; the others are looked at.
    files.write("broken.csv", &format!("{ROWS}6,eve,2024-03-09 09:00:00,1,\n7,eve,2024-03-09 10:00:00,-3,1.00\n"));
    let (code, out, _) = files.backtest("draft.toml", &["--mapping", text(&mapping), "--file", text(&rows)]);
    assert_eq!(code, 3, "{out}");
    assert!(out.contains("row 7:") && out.contains("`unit_price` is empty"), "{out}");
    assert!(out.contains("below zero") && out.contains("5 activities") || out.contains("6 activities"), "{out}");
    let (code, _, error) = files.backtest("draft.toml", &["--file", text(&rows)]);
    assert_eq!(code, 2, "{error}");
}
