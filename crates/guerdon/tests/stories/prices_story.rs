//! The console's pages of prices: what everything costs now and why, what it would cost somebody at some time, and what changes
//! it ahead; in figures computed by hand, and in a browser.

use std::time::Duration;

use fantoccini::Locator;
use guerdon_core::time::{Calendar, Timestamp};
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, sideways, size, text, whole_page};
use crate::support::person::Person;
use crate::support::{Server, init};

const DAY_MS: i64 = 86_400_000;

/// The local date so many days from now, `2026-11-11`.
fn date(days: i64) -> String {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let at = Timestamp::from_millis(elapsed.as_millis() as i64 + days * DAY_MS);
    Calendar::new("Asia/Shanghai").unwrap().local(at).date().to_string()
}

/// Its first moment, as programs write it.
fn midnight(days: i64) -> String {
    format!("{}T00:00", date(days))
}

/// Seven rewards, one of each way to make a price. 100 points are worth ¥1.
fn program() -> String {
    let (yesterday, soon, later, after) = (midnight(-1), midnight(5), midnight(20), midnight(21));
    let season: u8 = date(100)[5..7].parse().unwrap();
    format!(
        r#"
[program]
id = "prices"
name = {{ en = "Tea House", zh = "茶舍" }}
money = "CNY"
time_zone = "Asia/Shanghai"
reward_margin = 20
payment = {{ tenders = ["cash_on_delivery"], authorise_within_minutes = 15 }}

[[currencies]]
id = 1
code = "points"
name = {{ en = "points", zh = "积分" }}
per_money_unit = 100

[[rules]]
id = "base"
name = {{ en = "A point a yuan", zh = "每元一分" }}
trigger = "purchase"
effect = {{ type = "points_per_money", rate = "1" }}

[[tiers]]
id = "silver"
name = {{ en = "Silver", zh = "银卡" }}
rank = 1
qualify = [{{ spend = 100, window = "lifetime" }}]

[[tiers]]
id = "gold"
name = {{ en = "Gold", zh = "金卡" }}
rank = 2
qualify = [{{ spend = 1000, window = "lifetime" }}]

[[rewards]]
id = "teapot"
name = {{ en = "Teapot of purple clay", zh = "紫砂壶" }}
price = {{ cost = 50, tiers = {{ silver = {{ percent = 95 }}, gold = {{ percent = 90 }} }} }}
catalogue = {{ market_price = 89 }}

[[rewards]]
id = "fan"
name = {{ en = "Paper fan", zh = "折扇" }}
[rewards.price]
points = 2000
tiers = {{ gold = {{ points = 1900 }} }}
seasons = [{{ months = [{season}], percent = 110 }}]
offers = [{{ from = "{yesterday}", to = "{soon}", percent = 80 }}, {{ from = "{later}", to = "{after}", percent = 70 }}]

[[rewards]]
id = "ticket"
name = {{ en = "Concert ticket", zh = "演唱会门票" }}
[rewards.price]
points = 2000
cold = {{ days = 30, percent = 90 }}
demand = {{ ceiling = 110, steps = [{{ orders = 3, views = 500, percent = 5 }}, {{ orders = 6, percent = 15 }}] }}

[[rewards]]
id = "voucher"
name = {{ en = "Voucher", zh = "代金券" }}
price = {{ points = 800, curve = [{{ up_to = 1000, worth = 120 }}] }}

[[rewards]]
id = "kettle"
name = {{ en = "Iron kettle", zh = "铁壶" }}
[rewards.price]
points = 9000
cash = {{ to_percent = 90, min_points = 1000, point_value = 0.012 }}
group = {{ members = 3, hours = 24, percent = 80 }}
[rewards.catalogue]
visible_to = {{ channels = ["app"] }}

[[rewards]]
id = "lamp"
name = {{ en = "Lamp", zh = "灯" }}
price = {{ cost = 80, margin = 5, offers = [{{ from = "{yesterday}", to = "{soon}", percent = 70 }}] }}

[[rewards]]
id = "cup"
name = {{ en = "Cup", zh = "杯子" }}
price = 500
"#
    )
}

/// The row of a reward in the list.
fn row<'a>(page: &'a str, id: &str) -> &'a str {
    let rows = page.split("<tr>").skip(2);
    rows.into_iter().find(|row| row.contains(&format!("/console/prices/{id}\""))).unwrap_or_default()
}

fn has(text: &str, words: &[&str]) {
    for words in words {
        assert!(text.contains(words), "`{words}` is missing: {text}");
    }
}

/// A version that another operator agrees to, from a moment on.
async fn scheduled(writer: &mut Person, other: &mut Person, document: Value, from: Timestamp) {
    let body = json!({ "title": "A cheaper teapot", "changes": [{ "kind": "reward", "document": document }],
        "effective_from": from });
    let (status, draft) = writer.json("/v1/drafts", &body).await;
    assert_eq!(status, 201, "{draft}");
    let draft = format!("/v1/drafts/{}", draft["id"].as_str().unwrap());
    let (status, told) =
        writer.json(&format!("{draft}/submit"), &json!({ "reason": "the potter sells for less" })).await;
    assert_eq!(status, 202, "{told}");
    let (status, done) = other.json(&format!("{draft}/decision"), &json!({ "approve": true })).await;
    assert_eq!((status, done["state"].as_str()), (200, Some("scheduled")), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_what_everything_costs_why_and_what_is_ahead() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &program());
    let server = Server::start(&data);
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let mut mark = Person::invited(&server, "mark@example.org", "Mark", "marketing").await;
    let in_days =
        |days: i64| Calendar::new("Asia/Shanghai").unwrap().parse_local(&format!("{}:00", midnight(days))).unwrap();
    let cheaper = json!({ "id": "teapot", "name": { "en": "Teapot of purple clay", "zh": "紫砂壶" },
        "price": { "cost": "45", "tiers": { "silver": { "percent": "95" }, "gold": { "percent": "90" } } },
        "catalogue": { "market_price": "89" } });
    scheduled(&mut mark, &mut olga, cheaper, in_days(15)).await;

    the_list(&server, &mut olga, &mut mark).await;
    one_reward(&server, &mut olga).await;
    demand(&server, &mut olga).await;
    // Who may not read the program is not told what rewards cost it, in no page.
    let mut sam = Person::invited(&server, "sam@example.org", "Sam", "service").await;
    for path in ["/console/prices", "/console/prices/teapot", "/console/prices/lamp"] {
        let (status, page) = sam.get(path).await;
        assert_eq!(status, 200, "{page}");
        assert!(!page.contains("50.00") && !page.contains("80.00") && !page.contains("Margin"), "{path}: {page}");
        assert!(!page.contains("/console/drafts/new") && !page.contains("below cost"), "{path}: {page}");
    }
    has(
        &sam.get("/console/prices/teapot").await.1,
        &["6,000 points", "its cost and a margin", "by the value of a point"],
    );
    in_a_browser(&folder, &server, &olga).await;
}

async fn the_list(server: &Server, olga: &mut Person, mark: &mut Person) {
    let (status, page) = olga.get("/console/prices?lang=en").await;
    assert_eq!(status, 200, "{page}");
    // ¥50 and 20 % are 6,000 points; 95 % and 90 % of them.
    let ahead = midnight(15).replace('T', " ");
    let teapot = [
        "6,000 points",
        "worth ¥60.00",
        "Silver <span class=\"figure\">5,700",
        "Gold <span class=\"figure\">5,400",
        "¥50.00 + 20 %",
        "Cost ¥50.00",
        "Margin 20 %",
        "In shops ¥89.00",
        &format!("From {ahead}: 5,400 points"),
    ];
    has(row(&page, "teapot"), &teapot);
    // 80 % of 2,000; gold has 80 % of 1,900; then three changes more: over, on offer for 70 %, over, dearer, cheaper.
    let soon = midnight(5).replace('T', " ");
    let fan = [
        "1,600 points",
        "Gold <span class=\"figure\">1,520",
        "Offer 80 %",
        &format!("On offer until {soon}"),
        &format!("From {soon}: 2,000 points"),
        "and 4 changes more",
    ];
    has(row(&page, "fan"), &fan);
    has(row(&page, "voucher"), &["667 points", "the first 1,000 points at 120 %", "the same for all"]);
    has(
        row(&page, "kettle"),
        &["9,000 points", "3 friends who order within 24 hours pay 80 %", "0 to 90 % may be paid"],
    );
    // ¥84 are 8,400 points, for 70 % 5,880: ¥58.80, which is 26.5 % less than ¥80.
    has(row(&page, "lamp"), &["5,880 points", "Margin −26.5 %", "below cost"]);
    assert!(!row(&page, "cup").contains("From "), "{}", row(&page, "cup"));
    // Nobody has ever ordered a ticket: cold since the first program.
    has(
        row(&page, "ticket"),
        &["1,800 points", "0 orders · 0 views", "no premium; at most 2,200 points", "never ordered"],
    );

    let shown = async |person: &mut Person, query: &str| -> Vec<String> {
        let (status, page) = person.get(&format!("/console/prices?{query}")).await;
        assert_eq!(status, 200, "{page}");
        let ids = page.split("href=\"/console/prices/").skip(1);
        ids.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    for (kind, ids) in [
        ("cost", vec!["lamp", "teapot"]),
        ("tiers", vec!["fan", "teapot"]),
        ("running", vec!["fan", "lamp"]),
        ("ahead", vec!["fan", "lamp", "teapot"]),
        ("demand", vec!["ticket"]),
        ("cold", vec!["ticket"]),
        ("curve", vec!["voucher"]),
        ("cash", vec!["kettle"]),
        ("group", vec!["kettle"]),
        ("points", vec!["cup", "fan", "kettle", "ticket", "voucher"]),
    ] {
        assert_eq!(shown(mark, &format!("kind={kind}")).await, ids, "{kind}");
    }
    assert_eq!(shown(olga, "q=kettel").await, ["kettle"], "a typing error is forgiven");
    assert_eq!(shown(olga, "q=%E7%B4%AB%E7%A0%82&kind=cost").await, ["teapot"]);
    assert_eq!(shown(olga, "page=1").await, Vec::<String>::new());
    has(&olga.get("/console/prices?kind=group&q=fan").await.1, &["No reward has such a price."]);
    let (status, _) = Person::new(server).get("/console/prices").await;
    assert_eq!(status, 303, "strangers are led to the sign-in");
}

async fn one_reward(server: &Server, olga: &mut Person) {
    let (status, page) = olga.get("/console/prices/teapot").await;
    assert_eq!(status, 200, "{page}");
    let ahead = midnight(15).replace('T', " ");
    has(
        &page,
        &[
            "and the program&#39;s 20 % on top",
            "Gold and the tiers above pay 90 % of that.",
            &ahead,
            "another version",
            "drafts/new?kind=reward&amp;document=teapot",
            "A cheaper teapot",
            "data-price-chart",
            "67 % of it is what the points are worth",
            "0.01 CNY a point",
        ],
    );
    // What gold pays is what a member of gold is promised.
    let ann = server.member("ann", 20_000).await;
    let purchase = json!({ "member_id": ann, "activity": { "kind": "purchase", "amount": 150_000 } });
    assert_eq!(server.post("/v1/activities", "p1", purchase).await.0, 201);
    let quote = json!({ "external_id": "ann", "reward_id": "teapot", "quantity": 2 });
    let (status, quote) = server.post("/v1/quotes", "", quote).await;
    assert_eq!((status, &quote["points"]), (200, &json!(10_800)), "{quote}");
    let (_, page) = olga.get("/console/prices/teapot?tier=gold&quantity=2").await;
    has(&page, &["10,800 points <small", "× 2", "Gold: 90 %", "¥50.00 + 20 %, 0.01 CNY a point"]);
    // A day before the new version and at its first moment.
    let (_, page) = olga.get(&format!("/console/prices/teapot?tier=gold&at={}T10:00", date(14))).await;
    has(&page, &["5,400 points <small"]);
    let (_, page) = olga.get(&format!("/console/prices/teapot?tier=gold&at={}", midnight(15))).await;
    has(&page, &["4,860 points <small", "¥45.00 + 20 %"]);
    // The offer of one day, for gold and for everyone.
    let (_, page) = olga.get(&format!("/console/prices/fan?tier=gold&at={}T10:00", date(20))).await;
    has(&page, &["1,330 points <small", "Gold: 1,900 points"]);
    let (_, page) = olga.get(&format!("/console/prices/fan?at={}T10:00", date(100))).await;
    has(&page, &["2,200 points <small", "110 %"]);
    // Friends, money, and where it is not offered.
    let (_, page) = olga.get("/console/prices/kettle?channel=pos").await;
    has(
        &page,
        &[
            "Not offered through this channel.",
            "In a group of 3: 7,200 points each",
            "¥96.00 for 8,000 points at the most",
        ],
    );
    for query in ["channel=app", "channel="] {
        assert!(!olga.get(&format!("/console/prices/kettle?{query}")).await.1.contains("Not offered"), "{query}");
    }
    for (query, words) in [
        ("at=tomorrow", "Give the time as"),
        ("at=9999-01-01T00:00", "Give the time as"),
        ("quantity=0", "Give a whole number of units, 1 to 1000."),
        ("quantity=1001", "Give a whole number of units"),
        ("orders=many", "Give orders and views as whole numbers."),
    ] {
        let (status, page) = olga.get(&format!("/console/prices/teapot?{query}")).await;
        assert_eq!(status, 422, "{query}");
        has(&page, &[words, "role=\"alert\""]);
    }
    assert_eq!(olga.get("/console/prices/nothing").await.0, 404);
    has(&olga.get("/console/prices/cup").await.1, &["Nothing that is published changes the price"]);
}

async fn demand(server: &Server, olga: &mut Person) {
    let tomorrow = format!("at={}T10:00", date(1));
    let (_, page) = olga.get(&format!("/console/prices/ticket?{tomorrow}&orders=6")).await;
    // 15 % and nobody since: 2,300, no more than 2,200, and of that 90 %.
    has(&page, &["1,980 points <small", "Assumes at least 6 orders and 0 views"]);
    let ann = server.member("bob", 20_000).await;
    for number in 0..3 {
        let order = json!({ "member_id": ann, "reward_id": "ticket" });
        assert_eq!(server.post("/v1/orders", &format!("ticket-{number}"), order).await.0, 201);
    }
    // What was counted is read again after five seconds.
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    let (_, page) = olga.get("/console/prices?kind=demand").await;
    has(row(&page, "ticket"), &["2,100 points", "3 orders", "+5 %, at most 2,200 points", "last ordered"]);
    let (_, page) = olga.get("/console/prices/ticket").await;
    has(&page, &["With the demand of the last hour: 3 orders", "3 orders or more or 500 views or more"]);
    let (_, page) = olga.get(&format!("/console/prices/ticket?at={}T10:00", date(-2))).await;
    has(&page, &["What the demand was then is not kept"]);
}

async fn in_a_browser(folder: &tempfile::TempDir, server: &Server, olga: &Person) {
    let (driver, client) = browser(&folder.path().join("profile")).await;
    enter(&client, server, olga).await;
    let ask = format!("fan?tier=gold&at={}T10:00", date(20));
    for language in ["en", "zh-CN"] {
        for width in [1_440, 360] {
            size(&client, width, 800).await;
            for (path, name) in [
                ("", "list"),
                ("?kind=group&q=fan", "none"),
                (ask.as_str(), "fan"),
                ("teapot", "teapot"),
                ("ticket", "ticket"),
                ("kettle", "kettle"),
            ] {
                let mark = if path.contains('?') { '&' } else { '?' };
                let slash = if path.starts_with('?') || path.is_empty() { "" } else { "/" };
                let address = format!("{}/console/prices{slash}{path}{mark}lang={language}", server.address);
                client.goto(&address).await.unwrap();
                let page = text(&client).await;
                assert!(!page.contains("Unknown localization") && !page.contains("{$"), "{path}: {page}");
                assert_eq!(sideways(&client).await, 0, "{path} {width} {language}");
                let drawn = client.find(Locator::Css("[data-price-chart] canvas")).await.is_ok();
                assert_eq!(drawn, matches!(name, "fan" | "teapot"), "{path}");
                tokio::time::sleep(Duration::from_millis(400)).await;
                whole_page(&client, width, &format!("console-prices-{name}-{width}-{language}")).await;
            }
        }
    }
    client.close().await.unwrap();
    drop(driver);
}
