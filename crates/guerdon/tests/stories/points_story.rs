//! The life of a point, told through the API: waiting until final, living longer, owing after a return.

use serde_json::{Value, json};

use crate::support::browser::{browser, enter, screenshot, shown, sideways, small_phone, whole_page};
use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, init};

#[tokio::test(flavor = "multi_thread")]
async fn what_ann_buys_waits_lives_longer_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, include_str!("../../../../programs/examples/point-life.toml"));
    let server = Server::start(&data);
    let ann = server.member("C-1", 1).await;
    let extend = format!("/v1/members/{ann}/extensions");
    let activity = |activity: Value| json!({ "member_id": ann, "activity": activity });
    let code = |answer: (u16, Value)| (answer.0, answer.1["code"].as_str().unwrap_or_default().to_owned());

    // ¥120 wait for the order to be final, fifteen days at the most.
    let (status, _) =
        server.post("/v1/activities", "one", activity(json!({ "kind": "purchase", "amount": 12_000 }))).await;
    assert_eq!(status, 201);
    let (_, wallet) = server.get(&format!("/v1/members/{ann}/wallet")).await;
    assert_eq!((&wallet[0]["available"], &wallet[0]["active_next"]["points"]), (&json!(1), &json!(120)), "{wallet}");
    assert!(wallet[0]["decays_at"].as_str().unwrap().ends_with("T16:00:00Z"), "New Year in Shanghai: {wallet}");
    let nameless = server.post("/v1/activities", "f-0", activity(json!({ "kind": "order_final" }))).await;
    assert_eq!(code(nameless), (422, "invalid_request".to_owned()));
    let unknown = activity(json!({ "kind": "order_final", "purchase": "none" }));
    let unknown = server.post("/v1/activities", "f-1", unknown).await;
    assert_eq!(code(unknown), (404, "unknown_purchase".to_owned()));
    let (status, receipt) =
        server.post("/v1/activities", "f-2", activity(json!({ "kind": "order_final", "purchase": "one" }))).await;
    assert_eq!((status, &receipt["matured"], &receipt["points"]), (201, &json!(120), &json!(120)), "{receipt}");

    // ¥80 more make ¥200 within the month: everything lives 90 days longer.
    let (_, receipt) =
        server.post("/v1/activities", "two", activity(json!({ "kind": "purchase", "amount": 8_000 }))).await;
    assert_eq!((&receipt["extended"][0]["days"], &receipt["extended"][0]["paid"]), (&json!(90), &json!(false)));

    // Half a year for 100 points, or for a fee; each once under its key.
    let (status, paid) = server.post(&extend, "e-1", json!({ "payment": "points" })).await;
    assert_eq!((status, &paid["kind"], &paid["points"]), (201, &json!("extend"), &json!(-100)), "{paid}");
    let (status, again) = server.post(&extend, "e-1", json!({ "payment": "points" })).await;
    assert_eq!((status, again), (200, paid));
    let (status, paid) = server.post(&extend, "e-2", json!({ "payment": "fee", "reference": "till-7" })).await;
    assert_eq!((status, &paid["fee"], &paid["points"]), (201, &json!(990), &json!(0)), "{paid}");
    assert_eq!(
        code(server.post(&extend, "e-3", json!({ "payment": "points" })).await),
        (409, "insufficient_points".to_owned())
    );
    let deposit = json!({ "payment": "points", "currency": "deposit" });
    assert_eq!(code(server.post(&extend, "e-4", deposit).await), (409, "extension_not_offered".to_owned()));
    let other = json!({ "payment": "points", "currency": "miles" });
    assert_eq!(code(server.post(&extend, "e-5", other).await), (422, "unknown_currency".to_owned()));

    // 21 are left of the 120 that the first order earned and one: the waiting 80 are another's.
    let back = json!({ "kind": "return", "amount": 12_000, "purchase": "one" });
    let (status, receipt) = server.post("/v1/activities", "back", activity(back)).await;
    assert_eq!((status, &receipt["points"], &receipt["owed"]), (201, &json!(-21), &json!(99)), "{receipt}");
    let (_, wallet) = server.get(&format!("/v1/members/{ann}/wallet")).await;
    assert_eq!(
        (&wallet[0]["owed"], &wallet[0]["available"], &wallet[0]["pending"]),
        (&json!(99), &json!(0), &json!(80))
    );
    let (_, receipt) =
        server.post("/v1/activities", "three", activity(json!({ "kind": "purchase", "amount": 10_000 }))).await;
    assert_eq!((&receipt["repaid"], &receipt["explanation"][0]["repaid"]), (&json!(99), &json!(99)), "{receipt}");
    let (_, wallet) = server.get(&format!("/v1/members/{ann}/wallet")).await;
    assert_eq!((&wallet[0]["owed"], &wallet[0]["pending"]), (&Value::Null, &json!(81)));
    drop(server);
    let (code, out, _) = crate::support::guerdon(&["verify", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}");
    let (code, out, error) =
        crate::support::guerdon(&["inspect", &ann, "--json", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(shown["agenda"]["extensions"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn bob_sees_what_lies_ahead_and_extends_his_points() {
    const PHONE: &str = "13800138000";
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, include_str!("../../../../programs/examples/point-life.toml"));
    let gateway = Gateway::start();
    let server = Server::start_with(&data, &gateway.flags());
    let (status, receipt) = server.post("/v1/members", "bob", json!({ "name": "Bob", "phone": PHONE })).await;
    assert_eq!(status, 201, "{receipt}");
    let bob = receipt["member_id"].as_str().unwrap().to_owned();
    let adjustments = format!("/v1/members/{bob}/adjustments");
    let (status, _) = server.post(&adjustments, "a-1", json!({ "points": 250, "reason": "Welcome" })).await;
    assert_eq!(status, 201);
    let buy = json!({ "member_id": bob, "activity": { "kind": "purchase", "amount": 12_000 } });
    server.post("/v1/activities", "one", buy).await;

    let mut person = Person::new(&server);
    person.post("/portal/sign-in", &[("to", PHONE)]).await;
    let code = gateway.code(0, PHONE).await;
    assert_eq!(person.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
    let (_, page) = person.get("/portal").await;
    for words in
        ["120 points become available by", "5 % of what is unspent on", "Good for 180 days longer, for 100 points"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    let seen = page.split("name=\"seen\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    // Twice from one page is once.
    for _ in 0..2 {
        let form = [("currency", "points"), ("seen", seen.as_str())];
        assert_eq!(person.post("/portal/extend", &form).await.0, 303);
    }
    let (_, page) = person.get("/portal").await;
    assert!(page.contains("All points are good for 180 days longer"), "{page}");
    let (_, wallet) = server.get(&format!("/v1/members/{bob}/wallet")).await;
    assert_eq!(wallet[0]["available"], json!(150), "{wallet}");
    let form = [("currency", "points"), ("seen", "999")];
    assert_eq!(person.post("/portal/extend", &form).await.0, 303);
    let form = [("currency", "points"), ("seen", "1000")];
    let (status, page) = person.post("/portal/extend", &form).await;
    assert!(status == 422 && page.contains("You have too few points for that."), "{page}");
    assert_eq!(person.post("/portal/extend", &[("currency", "deposit"), ("seen", "1")]).await.0, 422);
    assert_eq!(person.post("/portal/extend", &[("currency", "miles"), ("seen", "1")]).await.0, 404);

    // Everything comes back: 50 that are left are the welcome's, the waiting 120 are taken from where they wait.
    let back = json!({ "member_id": bob, "activity": { "kind": "return", "amount": 12_000, "purchase": "one" } });
    let (_, receipt) = server.post("/v1/activities", "back", back).await;
    assert_eq!((&receipt["points"], &receipt["balances"][0]["pending"]), (&json!(0), &json!(0)), "{receipt}");

    let folder = tempfile::tempdir().unwrap();
    let (driver, client) = browser(folder.path()).await;
    small_phone(&client).await;
    enter(&client, &server, &person).await;
    client.goto(&format!("{}/portal", server.address)).await.unwrap();
    assert_eq!(sideways(&client).await, 0);
    screenshot(&client, "portal-point-life").await;
    let operator = Person::invited(&server, "olga@example.org", "Olga", "administrator").await;
    enter(&client, &server, &operator).await;
    client.goto(&format!("{}/console/members/{bob}", server.address)).await.unwrap();
    assert!(shown(&client, &["5 % of what is unspent on"]).await.contains("5 % of what is unspent on"));
    whole_page(&client, 360, "console-point-life").await;
    client.close().await.unwrap();
    drop(driver);
}
