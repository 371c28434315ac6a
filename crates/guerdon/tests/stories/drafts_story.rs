//! The life of a version: written by one, agreed to by another, scheduled, effective, retired; nothing for the worse without
//! notice; and what an activity would earn before anything holds.

use fantoccini::Locator;
use guerdon_core::time::Timestamp;
use serde_json::{Value, json};

use crate::support::browser::{browser, enter, shown, sideways, size, text, whole_page};
use crate::support::person::Person;
use crate::support::{Server, gift_club, init};

const DAY_MS: i64 = 86_400_000;

async fn served(folder: &tempfile::TempDir) -> Server {
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    Server::start(&data)
}

/// An owner and a marketer, both signed in.
async fn two_people(server: &Server) -> (Person, Person) {
    let mut olga = Person::new(server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let mark = Person::invited(server, "mark@example.org", "Mark", "marketing").await;
    (olga, mark)
}

fn base(rate: &str) -> Value {
    let name = json!({"en": "Base", "zh": "基础积分"});
    json!({"id": "base", "name": name, "trigger": "purchase", "effect": {"type": "points_per_money", "rate": rate}})
}

fn change(kind: &str, document: Value) -> Value {
    json!({ "kind": kind, "document": document })
}

async fn drafted(person: &mut Person, body: &Value) -> String {
    let (status, draft) = person.json("/v1/drafts", body).await;
    assert_eq!((status, draft["state"].as_str()), (201, Some("draft")), "{draft}");
    format!("/v1/drafts/{}", draft["id"].as_str().unwrap())
}

fn now() -> Timestamp {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(elapsed.as_millis() as i64)
}

fn at(value: &Value) -> Timestamp {
    Timestamp::parse_rfc3339(value.as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_writes_a_version_and_another_puts_it_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, mut mark) = two_people(&server).await;
    let body = json!({ "title": "Double points", "changes": [change("rule", base("2"))] });
    let draft = drafted(&mut mark, &body).await;
    let (_, comparison) = server.get(&format!("{draft}/comparison")).await;
    let difference = &comparison["differences"][0];
    assert_eq!(
        (&difference["field"], &difference["verdict"]),
        (&json!("effect.rate"), &json!("better")),
        "{comparison}"
    );
    assert_eq!((&comparison["adverse"], &comparison["ready"]), (&json!(false), &json!(true)), "{comparison}");

    let (status, waiting) = mark.json(&format!("{draft}/submit"), &json!({ "reason": "for the jubilee" })).await;
    assert_eq!((status, waiting["state"].as_str()), (202, Some("submitted")), "{waiting}");
    let decision = format!("{draft}/decision");
    let (status, problem) = mark.json(&decision, &json!({ "approve": true })).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("four_eyes")), "{problem}");
    assert_eq!(server.get("/v1/configuration/rule/base").await.1[0]["version"], 1, "nothing holds yet");

    // Whoever has written at it cannot agree to it, whoever submits it.
    let mut gina = Person::invited(&server, "gina@example.org", "Gina", "administrator").await;
    let (status, edited) = gina.put(&draft, &body).await;
    assert_eq!((status, edited["state"].as_str()), (200, Some("draft")), "{edited}");
    assert_eq!(mark.json(&format!("{draft}/submit"), &json!({ "reason": "again" })).await.0, 202);
    let (status, problem) = gina.json(&decision, &json!({ "approve": true })).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("four_eyes")), "{problem}");

    let (status, done) = olga.json(&decision, &json!({ "approve": true, "note": "fine" })).await;
    assert_eq!((status, done["state"].as_str()), (200, Some("effective")), "{done}");
    assert_eq!(done["brought"], json!([{ "kind": "rule", "id": "base", "version": 2 }]));
    let moves: Vec<&str> =
        done["history"].as_array().unwrap().iter().map(|one| one["done"].as_str().unwrap()).collect();
    assert_eq!(moves, ["create", "submit", "edit", "submit", "approve", "publish"], "{done}");
    let (_, versions) = server.get("/v1/configuration/rule/base").await;
    let states: Vec<&str> = versions.as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["effective", "retired"], "{versions}");
    let ann = server.member("ann", 0).await;
    let purchase = json!({ "member_id": ann, "activity": { "kind": "purchase", "amount": 5_000 } });
    let (_, receipt) = server.post("/v1/activities", "p1", purchase).await;
    assert_eq!((&receipt["points"], &receipt["explanation"][0]["version"]), (&json!(100), &json!(2)), "{receipt}");
    let (_, audit) = server.get("/v1/audit?action=draft.").await;
    let told = audit.to_string();
    for action in ["draft.create", "draft.edit", "draft.submit", "draft.approve", "draft.publish"] {
        assert!(told.contains(action), "{action}: {audit}");
    }

    // Over a version that is not the newest any more nothing is published.
    let late = json!({ "title": "Late", "changes": [{ "kind": "rule", "base": 1, "document": base("3") }] });
    let late = drafted(&mut mark, &late).await;
    let (status, problem) = mark.json(&format!("{late}/submit"), &json!({ "reason": "late" })).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("draft_outdated")), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_the_worse_is_announced_thirty_days_ahead() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, mut mark) = two_people(&server).await;
    let voucher = |price: i64| {
        json!({"id": "voucher-5", "name": {"en": "£5 voucher", "zh": "5 英镑代金券"},
        "price": price, "stock": 10})
    };
    let body = |from: Option<Timestamp>, why: Option<&str>| {
        json!({ "title": "Dearer", "changes": [change("reward", voucher(600))], "effective_from": from,
            "override_reason": why })
    };
    let reason = json!({ "reason": "costs" });
    let draft = drafted(&mut mark, &body(Some(now().plus_millis(DAY_MS)), None)).await;
    let (status, problem) = mark.json(&format!("{draft}/submit"), &reason).await;
    assert_eq!((status, problem["code"].as_str()), (422, Some("adverse_too_soon")), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    let earliest = now().plus_millis(30 * DAY_MS).to_string();
    assert!(detail.contains("reward `voucher-5`: `price` 500 → 600") && detail.contains(&earliest[..10]), "{detail}");

    // Left open, it comes when its notice is over.
    assert_eq!(mark.put(&draft, &body(None, None)).await.0, 200);
    assert_eq!(mark.json(&format!("{draft}/submit"), &reason).await.0, 202);
    let (status, done) = olga.json(&format!("{draft}/decision"), &json!({ "approve": true })).await;
    assert_eq!((status, done["state"].as_str()), (200, Some("scheduled")), "{done}");
    let days = (at(&done["effective_from"]).as_millis() - at(&done["announced_at"]).as_millis()) as f64 / DAY_MS as f64;
    assert!((30.0..=31.1).contains(&days), "{days}");
    let price = async || server.get("/v1/rewards/voucher-5").await.1["price"].as_i64().unwrap();
    assert_eq!(price().await, 500);
    let version = server.get("/v1/configuration/reward/voucher-5/versions/2").await.1;
    assert_eq!(version["state"], "scheduled", "{version}");

    // What is scheduled may be taken back, and is not overtaken.
    let other = drafted(&mut mark, &body(None, Some("the supplier has raised prices at once"))).await;
    let (status, problem) = mark.json(&format!("{other}/submit"), &reason).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("version_scheduled")), "{problem}");
    let (status, gone) = mark.json(&format!("{draft}/withdraw"), &reason).await;
    assert_eq!((status, gone["state"].as_str()), (200, Some("withdrawn")), "{gone}");
    let version = server.get("/v1/configuration/reward/voucher-5/versions/2").await.1;
    assert_eq!(version["state"], "replaced", "{version}");

    // Before its notice is over it comes only with a reason, which stays on the record.
    let urgent = drafted(&mut mark, &body(None, Some("the supplier has raised prices at once"))).await;
    assert_eq!(mark.json(&format!("{urgent}/submit"), &reason).await.0, 202);
    assert!(olga.get("/console/approvals").await.1.contains("before its notice of 30 days is over"));
    let (status, done) = olga.json(&format!("{urgent}/decision"), &json!({ "approve": true })).await;
    assert_eq!((status, done["state"].as_str()), (200, Some("effective")), "{done}");
    assert_eq!(price().await, 600);
    let audit = server.get("/v1/audit?action=draft.approve").await.1.to_string();
    assert!(audit.contains("raised prices at once") && audit.contains("`price` 500 → 600"), "{audit}");

    // A whole program file holds at once, so it takes a reason as well.
    let dearer = gift_club(10).replace("price = 500", "price = 700");
    let (status, problem) = mark.json("/v1/program", &json!({ "program": dearer, "reason": "spring" })).await;
    assert_eq!((status, problem["code"].as_str()), (422, Some("adverse_too_soon")), "{problem}");
    let why = json!({ "program": dearer, "reason": "spring", "override_reason": "agreed with the council" });
    let (status, waiting) = mark.json("/v1/program", &why).await;
    assert_eq!(
        (status, waiting["act"]["override_reason"].as_str()),
        (202, Some("agreed with the council")),
        "{waiting}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (_, mut mark) = two_people(&server).await;
    let texts = [
        ("id = 'base'\nname = 'Base'\ntrigger = 'purchase'\nprice = 5", "line 4, column 1: unknown field `price`"),
        ("{\"id\": \"base\",\n \"name\": 7}", "line 2, column"),
        ("id = 'base'\nname = ", "line 2, column"),
    ];
    for (text, place) in texts {
        let body = json!({ "title": "T", "changes": [{ "kind": "rule", "text": text }] });
        let (status, problem) = mark.json("/v1/drafts", &body).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("invalid_draft")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(place), "{problem}");
    }
    for (condition, said) in [
        ("activity.colour == 1", "`condition` line 1, column"),
        ("activity.net >\n", "`condition` line"),
        ("100 / activity.net > 1", "may divide by zero"),
        ("activity.net * 9223372036854775807 > 1", "64 bits"),
        ("lines.all(a, lines.all(b, lines.all(c, a.amount > b.amount && b.amount > c.amount)))", "`condition`"),
    ] {
        let mut rule = base("1");
        rule["condition"] = json!(condition);
        let draft = drafted(&mut mark, &json!({ "title": "T", "changes": [change("rule", rule)] })).await;
        let (status, problem) = mark.json(&format!("{draft}/submit"), &json!({ "reason": "r" })).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("invalid_draft")), "{condition}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("rule `base`") && detail.contains(said), "{condition}: {detail}");
    }
    // The documents must fit each other.
    let body = json!({ "title": "T", "changes": [{ "kind": "rule", "id": "base", "retire": true }] });
    let draft = drafted(&mut mark, &body).await;
    let (_, comparison) = server.get(&format!("{draft}/comparison")).await;
    assert!(comparison["problem"]["detail"].as_str().unwrap().contains("rule `big-basket`"), "{comparison}");

    // A change over what somebody else has changed is refused.
    let put = async |tag: &str| {
        let request = server.client.put(format!("{}{draft}", server.address)).header("if-match", tag);
        let request = request.header("content-type", "application/json");
        request.body(body.to_string()).send().await.unwrap()
    };
    let first = put("\"1\"").await;
    assert_eq!((first.status().as_u16(), first.headers()["etag"].to_str().unwrap()), (200, "\"2\""));
    assert_eq!(put("\"1\"").await.status().as_u16(), 412);
    assert_eq!(put("two").await.status().as_u16(), 400);
    let request = server.client.delete(format!("{}{draft}", server.address));
    assert_eq!(request.send().await.unwrap().status().as_u16(), 204);
    assert_eq!(server.get(&draft).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_is_tried_under_what_holds_a_draft_and_another_version() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let ann = server.member("ann", 0).await;
    // The bootstrap key needs nobody: a second version of the rule.
    let body = json!({ "title": "Triple", "changes": [change("rule", base("3"))] });
    let (_, made) = server.post("/v1/drafts", "", body).await;
    let submit = format!("/v1/drafts/{}/submit", made["id"].as_str().unwrap());
    let (status, done) = server.post(&submit, "", json!({ "reason": "r" })).await;
    assert_eq!((status, done["state"].as_str()), (200, Some("effective")), "{done}");
    // A draft with a rule for a first purchase.
    let first = json!({"id": "first", "name": "First", "trigger": "purchase",
        "condition": "history.purchase.lifetime.count == 0", "effect": {"type": "fixed_points", "points": 500}});
    let (_, made) =
        server.post("/v1/drafts", "", json!({ "title": "First", "changes": [change("rule", first)] })).await;
    let draft = made["id"].as_str().unwrap();
    let purchase = json!({ "member_id": ann, "activity": { "kind": "purchase", "amount": 1_000 } });
    let (_, receipt) = server.post("/v1/activities", "p1", purchase).await;
    assert_eq!(receipt["points"], 30);

    let tried = async |more: Value| {
        let mut body = json!({ "activity": { "kind": "purchase", "amount": 1_000 } });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = server.post("/v1/configuration/dry-run", "", body).await;
        (status, answer["receipt"]["points"].as_i64(), answer)
    };
    assert_eq!(tried(json!({})).await.1, Some(30));
    let (_, points, answer) = tried(json!({ "draft": draft })).await;
    assert_eq!(points, Some(530), "somebody new: {answer}");
    let told = &answer["receipt"]["explanation"][1];
    assert_eq!(
        (&told["rule"], &told["facts"]["history.purchase.lifetime.count"]),
        (&json!("first"), &json!(0)),
        "{answer}"
    );
    assert_eq!(tried(json!({ "draft": draft, "member_id": ann })).await.1, Some(30), "not a first purchase");
    let version = |version: i64| json!({ "version": { "kind": "rule", "id": "base", "version": version } });
    assert_eq!(tried(version(1)).await.1, Some(10));
    assert_eq!(tried(version(9)).await.0, 404);
    // As of a moment before the second version: then the first one held.
    let past = json!({ "activity": { "kind": "purchase", "amount": 1_000, "occurred_at": "2020-01-01T12:00:00Z" } });
    assert_eq!(tried(past).await.1, Some(10));
    let (status, _, problem) = tried(json!({ "member_id": "mem_0000000000009" })).await;
    assert_eq!(status, 404, "{problem}");
    // Nothing has changed.
    let (_, transactions) = server.get(&format!("/v1/members/{ann}/transactions")).await;
    assert_eq!(transactions["items"].as_array().unwrap().len(), 2, "{transactions}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_changed_compared_tried_and_approved_in_the_console() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (olga, mut mark) = two_people(&server).await;
    let autumn = json!({"id": "autumn", "name": {"en": "Autumn", "zh": "秋季"}, "department": "marketing",
        "schedule": {"from": "2026-10-01T00:00", "to": "2026-12-01T00:00"},
        "caps": [{"window": "lifetime", "points": 100_000, "per": "everyone"}]});
    let (_, made) =
        server.post("/v1/drafts", "", json!({ "title": "Autumn", "changes": [change("campaign", autumn)] })).await;
    let submit = format!("/v1/drafts/{}/submit", made["id"].as_str().unwrap());
    assert_eq!(server.post(&submit, "", json!({ "reason": "r" })).await.0, 200);
    let (driver, client) = browser(&folder.path().join("profile")).await;
    size(&client, 1440, 800).await;
    enter(&client, &server, &mark).await;
    let open = async |path: &str| client.goto(&format!("{}/console/{path}", server.address)).await.unwrap();
    let click = async |css: &str| {
        let element = client.wait().for_element(Locator::Css(css)).await.unwrap();
        let into_view = "arguments[0].scrollIntoView({ behavior: 'instant', block: 'center' })";
        client.execute(into_view, vec![serde_json::to_value(&element).unwrap()]).await.unwrap();
        element.click().await.unwrap();
    };
    let fill = async |css: &str, text: &str| {
        let element = client.wait().for_element(Locator::Css(css)).await.unwrap();
        element.clear().await.unwrap();
        element.send_keys(text).await.unwrap();
    };
    open("rules?lang=en").await;
    click("a[href$='/rule/base']").await;
    click("a.btn-primary").await;
    fill("#rate", "0.5").await;
    fill("#condition", "activity.colour == 'red'").await;
    click(".shaped button").await;
    let page = shown(&client, &["there is no attribute `colour`", "line 1, column"]).await;
    assert!(page.contains("there is no attribute `colour`") && page.contains("line 1, column"), "{page}");
    click("a[href*='/edit?']").await;
    fill("#condition", "").await;
    click(".shaped button").await;
    let page = shown(&client, &["effect.rate", "worse", "30 days"]).await;
    assert!(page.contains("effect.rate") && page.contains("worse") && page.contains("30 days"), "{page}");
    let draft = client.current_url().await.unwrap().path().rsplit('/').next().unwrap().to_owned();
    fill("#submit-reason", "Costs have risen").await;
    click("button[value='submit']").await;
    assert!(shown(&client, &["submitted"]).await.contains("submitted"));
    open(&format!("dry-run?draft={draft}")).await;
    click("form.card button").await;
    let page = shown(&client, &["100 points: Base", "50 points: Base"]).await;
    assert!(page.contains("100 points: Base") && page.contains("50 points: Base"), "{page}");

    let pages = |draft: &str| {
        [
            ("rules".to_owned(), "rules"),
            ("campaigns".to_owned(), "campaigns"),
            ("configuration".to_owned(), "configuration"),
            ("configuration/rule/base".to_owned(), "rule"),
            ("configuration/campaign/autumn".to_owned(), "campaign"),
            ("drafts".to_owned(), "drafts"),
            (format!("drafts/{draft}"), "draft"),
            (format!("drafts/{draft}/edit?kind=rule&document=base"), "rule-edit"),
            ("drafts/new?kind=campaign&document=autumn".to_owned(), "campaign-edit"),
            ("drafts/new?kind=currency&document=points".to_owned(), "currency-edit"),
            (format!("dry-run?draft={draft}"), "dry-run"),
        ]
    };
    for language in ["en", "zh-CN"] {
        open(&format!("rules?lang={language}")).await;
        for (width, shape) in [(1440, "wide"), (360, "phone")] {
            size(&client, width, 800).await;
            for (path, name) in pages(&draft) {
                open(&path).await;
                let page = text(&client).await;
                assert!(!page.contains("{$") && !page.contains("Unknown localization"), "{path} {language}: {page}");
                if name == "dry-run" {
                    click("form.card button").await;
                }
                whole_page(&client, width, &format!("drafts/{name}-{shape}-{language}")).await;
                assert_eq!(sideways(&client).await, 0, "{path} sticks out at {width} in {language}");
            }
        }
    }
    // Another operator sees what it means, and agrees.
    client.delete_all_cookies().await.unwrap();
    enter(&client, &server, &olga).await;
    size(&client, 1440, 800).await;
    open(&format!("drafts/{draft}?lang=en")).await;
    whole_page(&client, 1440, "drafts/draft-to-decide-wide-en").await;
    click("button[value='approve']").await;
    let page = shown(&client, &["scheduled", "Mark", "Costs have risen"]).await;
    assert!(page.contains("scheduled") && page.contains("Mark") && page.contains("Costs have risen"), "{page}");
    open("rules").await;
    assert!(shown(&client, &["another version from"]).await.contains("another version from"));
    whole_page(&client, 1440, "drafts/rules-scheduled-wide-en").await;
    open("configuration/rule/base").await;
    click(".versions details > summary").await;
    whole_page(&client, 1440, "drafts/rule-scheduled-wide-en").await;
    client.close().await.unwrap();
    drop(driver);
    // Mark gives it up again; a retirement goes the same way.
    let withdrawn =
        mark.post(&format!("/console/drafts/{draft}"), &[("act", "withdraw"), ("reason", "second thoughts")]).await;
    assert_eq!(withdrawn.0, 303, "{}", withdrawn.1);
    assert_eq!(mark.post("/console/configuration/rule/christmas", &[("title", "No Christmas")]).await.0, 303);
    assert!(mark.get(&mark.location.clone()).await.1.contains("retired"));
}
