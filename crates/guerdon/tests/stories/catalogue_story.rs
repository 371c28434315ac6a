//! The catalogue: what the API lists to whom, and how a member finds, redeems and keeps the receipt on a small phone.

use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, shown, sideways, small_phone, text, whole_page};
use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, init};

const PROGRAM: &str = include_str!("../../../../programs/examples/catalogue.toml");

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

async fn listed(server: &Server, query: &str) -> Value {
    let (status, page) = server.get(&format!("/v1/catalogue?{query}")).await;
    assert_eq!(status, 200, "{query}: {page}");
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_lists_what_is_offered_to_whom() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, PROGRAM);
    let server = Server::start(&data);
    let everybody = listed(&server, "sort=points").await;
    let (cheapest, total) = (&everybody["items"][0], everybody["total"].as_u64());
    assert_eq!((cheapest["id"].as_str(), total), (Some("course"), Some(8)), "{everybody}");
    assert_eq!(cheapest["kind"], "trial");
    assert!(cheapest.get("affordable").is_none() && cheapest.get("left").is_none());
    insta::assert_json_snapshot!("catalogue_of_cups", listed(&server, "category=kitchen&sort=points").await);

    // Pages follow each other.
    let first = listed(&server, "sort=points&limit=3").await;
    let next = first["next"].as_str().unwrap();
    let second = listed(&server, &format!("sort=points&limit=3&after={next}")).await;
    assert_eq!([ids(&first), ids(&second)].concat(), ids(&everybody)[..6]);

    // Words in both languages, with errors.
    assert_eq!(ids(&listed(&server, "q=thermos").await), ["thermos-flask"]);
    let wrong = listed(&server, "q=thremos%20flask").await;
    assert_eq!((ids(&wrong), wrong["corrected"].as_str()), (vec!["thermos-flask"], Some("thermos flask")));
    assert_eq!(ids(&listed(&server, "q=%E4%BF%9D%E6%B8%A9%E6%9D%AF").await), ["thermos-flask"], "保温杯");
    let loose = listed(&server, "q=%E4%BF%9D%E6%B8%A9%E6%80%80").await;
    assert_eq!((ids(&loose), &loose["loose"]), (vec!["thermos-flask"], &json!(true)), "保温怀");
    assert_eq!(ids(&listed(&server, "tags=gift,new").await), ["green-tea"]);
    let (_, suggested) = server.get("/v1/catalogue/suggestions?q=cof&language=zh-CN").await;
    assert_eq!(suggested, json!([{ "kind": "reward", "id": "coffee-cup", "text": "咖啡杯" }]));
    let (_, suggested) = server.get("/v1/catalogue/suggestions?q=te").await;
    assert_eq!(suggested[0], json!({ "kind": "category", "id": "tea", "text": "Tea" }));
    let (_, categories) = server.get("/v1/categories").await;
    assert_eq!(categories.as_array().unwrap().len(), 6);

    // What a member may see, and pay.
    let ann = server.member("ann", 900).await;
    let affordable = listed(&server, &format!("member_id={ann}&affordable=true&sort=points")).await;
    assert_eq!(ids(&affordable), ["course", "meal", "ten-off"]);
    assert_eq!(affordable["items"][0]["affordable"], true);
    let buys = async |key: &str, amount: i64| {
        let activity = json!({ "kind": "purchase", "amount": amount });
        let (status, receipt) =
            server.post("/v1/activities", key, json!({ "member_id": ann, "activity": activity })).await;
        assert_eq!(status, 201, "{receipt}");
    };
    buys("buy-1", 600_000).await;
    let gold = listed(&server, &format!("member_id={ann}&category=experiences&sort=points")).await;
    assert_eq!(ids(&gold), ["course", "harbour-tour"]);
    buys("buy-2", 100).await;
    let there = format!("member_id={ann}&category=experiences&sort=points&store=bund&channel=pos");
    assert_eq!(ids(&listed(&server, &there).await), ["course", "tea-tasting", "harbour-tour"]);

    // An order follows the same rule.
    let order = async |key: &str, more: Value| {
        let mut order = json!({ "member_id": ann });
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.post("/v1/orders", key, order).await
    };
    let (status, refused) = order("o-1", json!({ "reward_id": "lounge" })).await;
    assert_eq!((status, refused["code"].as_str()), (409, Some("reward_not_offered")), "{refused}");
    assert_eq!(order("o-2", json!({ "reward_id": "tea-tasting" })).await.1["code"], "reward_not_offered");
    let there = json!({ "reward_id": "tea-tasting", "store": "bund", "channel": "pos" });
    let (status, receipt) = order("o-3", there.clone()).await;
    assert_eq!(status, 201, "{receipt}");
    assert_eq!(order("o-3", there).await, (200, receipt));
    let (status, refused) = order("o-3", json!({ "reward_id": "tea-tasting", "store": "other" })).await;
    assert_eq!((status, refused["code"].as_str()), (422, Some("idempotency_mismatch")));

    few_and_none(&server, &ann).await;
    wrong_questions(&server).await;
}

/// What is left is told when it is a tenth of what there was.
async fn few_and_none(server: &Server, ann: &str) {
    let left = async || {
        let page = listed(server, "q=thermos").await;
        let item = page["items"][0].clone();
        (item["availability"].as_str().unwrap().to_owned(), item.get("left").and_then(Value::as_i64))
    };
    assert_eq!(left().await, ("available".to_owned(), None));
    let adjust = json!({ "points": 50_000, "reason": "for the story" });
    assert_eq!(server.post(&format!("/v1/members/{ann}/adjustments"), "more", adjust).await.0, 201);
    let order = |quantity: i64| json!({ "member_id": ann, "reward_id": "thermos-flask", "quantity": quantity });
    assert_eq!(server.post("/v1/orders", "t-1", order(11)).await.0, 201);
    assert_eq!(left().await, ("few".to_owned(), Some(1)), "11 of 12 are promised");
    assert_eq!(server.post("/v1/orders", "t-2", order(1)).await.0, 201);
    assert_eq!(left().await, ("sold_out".to_owned(), None));
    let (_, reward) = server.get("/v1/rewards/thermos-flask").await;
    assert_eq!((&reward["left"], &reward["catalogue"]["market_price"]), (&json!(0), &json!("129.00")));
}

async fn wrong_questions(server: &Server) {
    for (query, problem) in [
        ("sort=colour", "`sort`: there is no `colour`; there are relevance, newest, popularity, points"),
        ("zone=moon", "there are base, upgraded, premium"),
        ("limit=0", "`limit` must be 1 to 100"),
        ("limit=101", "`limit` must be 1 to 100"),
        ("after=x", "`after` is no cursor"),
        ("affordable=true", "`affordable` needs a `member_id`"),
        (&format!("q={}", "x".repeat(101)), "`q` is longer than 100 characters"),
        (&format!("store={}", "x".repeat(129)), "`store` has 129 characters"),
    ] {
        let (status, page) = server.get(&format!("/v1/catalogue?{query}")).await;
        assert_eq!((status, page["code"].as_str()), (400, Some("invalid_query")), "{query}: {page}");
        assert!(page["detail"].as_str().unwrap().contains(problem), "{query}: {page}");
    }
    assert_eq!(server.get("/v1/catalogue?member_id=mem_0000000000001").await.0, 404);
    assert_eq!(server.get("/v1/catalogue/suggestions?q=a&language=fr").await.0, 400);
    let key = json!({ "name": "Shop window", "permissions": ["rewards:read"], "stores": ["bund"] });
    let (_, key) = server.post("/v1/api-keys", "", key).await;
    let client = crate::support::client(key["key"].as_str().or(key["secret"].as_str()).unwrap());
    let status = async |query: &str| {
        client.get(format!("{}/v1/catalogue?{query}", server.address)).send().await.unwrap().status().as_u16()
    };
    assert_eq!([status("store=bund").await, status("store=other").await], [200, 403]);
    assert_eq!(status("store=bund&member_id=mem_0000000000001").await, 403, "what a member sees tells of the member");
}

/// Clicks something, wherever on the page it is.
async fn click(client: &Client, css: &str) {
    let place = "document.querySelector(arguments[0]).scrollIntoView({ block: 'center', behavior: 'instant' })";
    client.execute(place, vec![json!(css)]).await.unwrap();
    client.find(Locator::Css(css)).await.unwrap_or_else(|_| panic!("there is no {css}")).click().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_finds_redeems_and_keeps_the_receipt_on_a_small_phone() {
    const PHONE: &str = "13800138000";
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, PROGRAM);
    let gateway = Gateway::start();
    let server = Server::start_with(&data, &gateway.flags());
    let (status, receipt) = server.post("/v1/members", "ann", json!({ "name": "Ann", "phone": PHONE })).await;
    assert_eq!(status, 201, "{receipt}");
    let ann = receipt["member_id"].as_str().unwrap().to_owned();
    let opening = json!({ "points": 2_000, "reason": "opening balance" });
    assert_eq!(server.post(&format!("/v1/members/{ann}/adjustments"), "opening", opening).await.0, 201);
    let mut person = Person::new(&server);
    let (status, page) = person.post("/portal/sign-in", &[("to", PHONE)]).await;
    assert_eq!(status, 303, "{page}");
    let code = gateway.code(0, PHONE).await;
    assert_eq!(person.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
    refusals(&server, &mut person).await;

    let (driver, client) = browser(&folder.path().join("profile")).await;
    enter(&client, &server, &person).await;
    small_phone(&client).await;
    for (language, words) in [
        ("en", ["Coffee cup", "Redeem for 1,200 points", "set aside", "You are"]),
        ("zh-CN", ["音乐月卡", "用 300 积分兑换", "积分占用中", "还差"]),
    ] {
        let shot = async |name: &str| {
            assert_eq!(sideways(&client).await, 0, "{name} {language}");
            whole_page(&client, 360, &format!("portal-{name}-{language}")).await;
            small_phone(&client).await;
        };
        client.goto(&format!("{}/portal/rewards?lang={language}", server.address)).await.unwrap();
        let page = text(&client).await;
        assert!(page.contains(words[0]), "{page}");
        shot("rewards").await;
        client.goto(&format!("{}/portal/rewards?category=home", server.address)).await.unwrap();
        shot("rewards-category").await;
        client.goto(&format!("{}/portal/rewards?q=thremos", server.address)).await.unwrap();
        shot("rewards-search").await;
        // Three taps from the catalogue to the receipt, of which one is the choice.
        let reward = if language == "en" { "coffee-cup" } else { "course" };
        client.goto(&format!("{}/portal/rewards", server.address)).await.unwrap();
        click(&client, &format!("a[href='/portal/rewards/{reward}']")).await;
        let page = shown(&client, &[words[1]]).await;
        assert!(page.contains(words[1]), "{page}");
        shot("reward").await;
        if reward == "coffee-cup" {
            click(&client, "input[name=variant][value=blue]").await;
        }
        click(&client, "form.confirm button").await;
        let page = shown(&client, &["ord_", words[2]]).await;
        assert!(page.contains("ord_") && page.contains(words[2]), "{page}");
        shot("receipt").await;
        client.goto(&format!("{}/portal/orders", server.address)).await.unwrap();
        shot("orders").await;
        client.goto(&format!("{}/portal/rewards/thermos-flask", server.address)).await.unwrap();
        let page = text(&client).await;
        assert!(page.contains(words[3]), "{page}");
        shot("reward-too-dear").await;
    }
    // What is typed is completed.
    client.goto(&format!("{}/portal/rewards?lang=en", server.address)).await.unwrap();
    client.find(Locator::Css("#q")).await.unwrap().send_keys("cof").await.unwrap();
    let options = "return [...document.querySelectorAll('#suggestions option')].map(option => option.value)";
    let mut suggested = Value::Null;
    for _ in 0..50 {
        suggested = client.execute(options, Vec::new()).await.unwrap();
        if suggested == json!(["Coffee cup"]) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(suggested, json!(["Coffee cup"]));
    client.close().await.unwrap();
    drop(driver);
}

/// A hidden field of the form.
fn field_of(page: &str, name: &str) -> String {
    page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// What cannot be redeemed is told in words, with what could be had instead; a form sent twice redeems once.
async fn refusals(server: &Server, person: &mut Person) {
    let (status, page) = person.get("/portal/rewards/thermos-flask").await;
    assert!(status == 200 && page.contains("You are 400 points short.") && !page.contains("form class=\"confirm\""));
    // Out of the same category first, then what others like; each of them can be had.
    assert!(page.contains("You could have this instead"), "{page}");
    assert_eq!(page.matches("href=\"/portal/rewards/").count(), 3, "{page}");
    assert!(page.contains("/portal/rewards/coffee-cup"), "{page}");
    let (status, page) = person.post("/portal/rewards/thermos-flask", &[("key", "form_1")]).await;
    assert!(status == 422 && page.contains("You are 400 points short."), "{page}");
    // Neither there for this member, nor told of.
    assert_eq!(person.get("/portal/rewards/lounge").await.0, 404);
    assert_eq!(person.post("/portal/rewards/lounge", &[("key", "form_2")]).await.0, 404);
    let (_, page) = person.get("/portal/rewards/meal").await;
    let (key, quote) = (field_of(&page, "key"), field_of(&page, "quote"));
    // A price that the page did not promise is shown anew, and nothing is redeemed.
    let (status, page) = person.post("/portal/rewards/meal", &[("key", &key), ("quote", "abc")]).await;
    assert!(status == 422 && page.contains("This is what it costs now"), "{page}");
    let form = [("key", key.as_str()), ("quote", quote.as_str())];
    let (status, _) = person.post("/portal/rewards/meal", &form).await;
    let first = person.location.clone();
    assert!(status == 303 && first.starts_with("/portal/orders/ord_"), "{first}");
    assert_eq!((person.post("/portal/rewards/meal", &form).await.0, &person.location), (303, &first));
    let (_, page) = person.get(&first).await;
    assert!(page.contains("A school meal") && page.contains("You have 1,500 points."), "{page}");
    let id = first.rsplit('/').next().unwrap();
    let (_, order) = server.get(&format!("/v1/orders/{id}")).await;
    assert_eq!((&order["state"], &order["points"]), (&json!("placed"), &json!(500)));
    assert_eq!(person.get("/portal/orders/ord_0000000000001").await.0, 404);
    // Members call off what nobody has begun to fulfil, once however often they tap.
    let again = json!({ "member_id": order["member_id"], "reward_id": "meal" });
    let (_, receipt) = server.post("/v1/orders", "again", again).await;
    let called_off = format!("/portal/orders/{}", receipt["order"]["id"].as_str().unwrap());
    assert!(person.get(&called_off).await.1.contains("Cancel this order"));
    for _ in 0..2 {
        assert_eq!(person.post(&format!("{called_off}/cancel"), &[]).await.0, 303);
    }
    let (_, page) = person.get(&called_off).await;
    assert!(
        page.contains("cancelled") && page.contains("You have 1,500 points.") && !page.contains("/cancel"),
        "{page}"
    );
    let fulfil = json!({ "move": "fulfil" });
    assert_eq!(server.post(&format!("/v1/orders/{id}/moves"), "fulfil", fulfil).await.0, 201);
    let (status, page) = person.post(&format!("{first}/cancel"), &[]).await;
    assert!(status == 422 && page.contains("cannot be cancelled any more"), "{page}");
    // Nobody sees the orders of another.
    let other = server.member("bob", 1_000).await;
    let body = json!({ "member_id": other, "reward_id": "meal" });
    let (_, receipt) = server.post("/v1/orders", "of-bob", body).await;
    let id = receipt["order"]["id"].as_str().unwrap();
    assert_eq!(person.get(&format!("/portal/orders/{id}")).await.0, 404);
    let more = json!({ "points": 500, "reason": "back again" });
    let mine = order["member_id"].as_str().unwrap();
    assert_eq!(server.post(&format!("/v1/members/{mine}/adjustments"), "back", more).await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_range_is_reviewed_with_what_was_searched_in_vain() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, PROGRAM);
    let mut server = Server::start(&data);
    let ann = server.member("ann", 100_000).await;
    let order = json!({ "member_id": ann, "reward_id": "ten-off", "quantity": 3 });
    let (status, receipt) = server.post("/v1/orders", "order", order).await;
    assert_eq!(status, 201, "{receipt}");
    for query in ["q=Air%20fryer", "q=air%20%20fryer", "q=AIR+FRYER", "q=sock", "q=thermos", "q=13800138000"] {
        listed(&server, query).await;
        // With a filter it may be there, and is not counted.
        listed(&server, &format!("{query}&in_stock=true")).await;
    }
    // What waits is written down when the server ends.
    assert_eq!(server.interrupt(), 0);
    let server = Server::start(&data);
    let (status, review) = server.get("/v1/assortment?days=30").await;
    assert_eq!((status, &review["listed"], &review["ordered"]), (200, &json!(11), &json!(3)), "{review}");
    assert_eq!(review["retire"], json!([]), "there are no orders of thirty days yet");
    let searches = review["searches"].as_array().unwrap();
    assert_eq!((searches.len(), &searches[0]["text"], &searches[0]["count"]), (1, &json!("air fryer"), &json!(3)));
    for (query, named) in [("days=0", "`days`"), ("below_percent=51", "`below_percent`"), ("day=3", "day")] {
        let (status, problem) = server.get(&format!("/v1/assortment?{query}")).await;
        assert!(status == 400 && problem["detail"].as_str().unwrap().contains(named), "{query}: {problem}");
    }

    let mut owner = Person::new(&server);
    owner.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let (driver, client) = browser(&folder.path().join("profile")).await;
    enter(&client, &server, &owner).await;
    for (language, words) in [("zh-CN", "搜索无果"), ("en", "Searched for and not found")] {
        client.goto(&format!("{}/console/catalogue/range?lang={language}", server.address)).await.unwrap();
        let page = shown(&client, &[words, "air fryer"]).await;
        assert!(page.contains(words) && page.contains("air fryer") && !page.contains("sock"), "{page}");
        assert!(page.contains("no orders of this whole time") || page.contains("尚未覆盖整个期间"), "{page}");
        whole_page(&client, 1_440, &format!("range-{language}")).await;
        small_phone(&client).await;
        assert_eq!(sideways(&client).await, 0);
        whole_page(&client, 360, &format!("range-phone-{language}")).await;
        crate::support::browser::size(&client, 1_440, 900).await;
    }
    client.close().await.unwrap();
    drop(driver);
}
