//! What is sensitive takes two people, whoever they are and however they ask.

use serde_json::{Value, json};

use crate::support::person::Person;
use crate::support::{Server, gift_club, init};

/// Above the limit, a refund waits as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_refund_waits_for_another_person() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, mut fred) = two_people(&server).await;
    let ann = server.member("ann", 30_000).await;
    let order = json!({ "member_id": ann, "reward_id": "voucher-5", "quantity": 30, "capture": true });
    let (status, problem) = server.post("/v1/orders", "order-1", order).await;
    assert_eq!(status, 409, "ten are there: {problem}");
    let order = json!({ "member_id": ann, "reward_id": "voucher-5", "quantity": 10, "capture": true });
    let (status, receipt) = server.post("/v1/orders", "order-2", order).await;
    assert_eq!(status, 201, "{receipt}");
    let refund = format!("/v1/orders/{}/refund", receipt["order"]["id"].as_str().unwrap());
    // 5,000 points lie below the limit; a stricter one is agreed on first.
    let mut policy = server.get("/v1/approval-policy").await.1;
    policy["refund_points"] = json!(1_000);
    assert_eq!(server.put("/v1/approval-policy", policy).await.0, 200, "the bootstrap key needs nobody");
    let (status, waiting) = fred.json(&refund, &json!({ "reason": "printed wrongly" })).await;
    assert_eq!((status, waiting["act"]["kind"].as_str()), (202, Some("refund")), "{waiting}");
    assert_eq!(available(&server, &ann).await, 25_000);
    let decision = format!("/v1/approvals/{}/decision", waiting["id"].as_str().unwrap());
    let (status, done) = olga.json(&decision, &json!({ "approve": true })).await;
    assert_eq!((status, done["stage"].as_str()), (200, Some("done")), "{done}");
    assert_eq!(available(&server, &ann).await, 30_000);
}

/// An owner and a finance operator, both signed in.
async fn two_people(server: &Server) -> (Person, Person) {
    let mut olga = Person::new(server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let fred = Person::invited(server, "fred@example.org", "Fred", "finance").await;
    (olga, fred)
}

async fn available(server: &Server, member: &str) -> i64 {
    server.get(&format!("/v1/members/{member}/wallet")).await.1[0]["available"].as_i64().unwrap()
}

async fn served(folder: &tempfile::TempDir) -> Server {
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    Server::start(&data)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_adjustment_waits_for_another_person_and_is_done_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, mut fred) = two_people(&server).await;
    let ann = server.member("ann", 0).await;
    let path = format!("/v1/members/{ann}/adjustments");
    let small = json!({ "points": 100, "reason": "goodwill" });
    assert_eq!(fred.json(&path, &small).await.0, 201, "a small one goes through");
    let large = json!({ "points": 50_000, "reason": "a grave mistake of ours" });
    let (status, waiting) = fred.json(&path, &large).await;
    assert_eq!((status, waiting["stage"].as_str()), (202, Some("waiting")), "{waiting}");
    assert_eq!(available(&server, &ann).await, 100, "nothing has moved");
    let decision = format!("/v1/approvals/{}/decision", waiting["id"].as_str().unwrap());
    let (status, problem) = fred.json(&decision, &json!({ "approve": true })).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("four_eyes")), "{problem}");
    let (status, problem) = server.post(&decision, "", json!({ "approve": true })).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("operators_only")), "a key is no person: {problem}");
    let page = olga.get("/console/approvals").await.1;
    assert!(page.contains("+50,000") && page.contains("Fred"), "{page}");
    let id = waiting["id"].as_str().unwrap();
    assert_eq!(olga.post(&format!("/console/approvals/{id}"), &[("act", "approve"), ("note", "seen")]).await.0, 303);
    assert_eq!(available(&server, &ann).await, 50_100);
    let (_, done) = server.get(&format!("/v1/approvals/{id}")).await;
    assert_eq!((done["stage"].as_str(), done["outcome"]["points"].as_i64()), (Some("done"), Some(50_000)), "{done}");
    let (status, problem) = olga.json(&decision, &json!({ "approve": true })).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("decided_already")), "{problem}");
    asked_for_in_the_console(&server, &mut olga, &mut fred, &ann).await;
    assert_eq!(available(&server, &ann).await, 100, "and not twice");
}

/// What waited is recorded under the channel over which it was asked for.
async fn asked_for_in_the_console(server: &Server, olga: &mut Person, fred: &mut Person, ann: &str) {
    let form = [("key", "form-1"), ("reason", "goodwill"), ("direction", "take"), ("points", "50000")];
    let (status, page) = fred.post(&format!("/console/members/{ann}/adjust"), &form).await;
    assert_eq!(status, 303, "{page}");
    let (_, waiting) = server.get("/v1/approvals?stage=waiting").await;
    let place = format!("/console/approvals/{}", waiting[0]["id"].as_str().unwrap());
    assert_eq!(olga.post(&place, &[("act", "approve"), ("note", "seen")]).await.0, 303);
    let (_, done) = server.get(&format!("/v1/members/{ann}/transactions?limit=2")).await;
    let channels = [&done["items"][0]["channel"], &done["items"][1]["channel"]];
    assert_eq!(channels, ["console", "api"], "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_decide_at_once_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, mut fred) = two_people(&server).await;
    let mut greta = Person::invited(&server, "greta@example.org", "Greta", "finance").await;
    let ann = server.member("ann", 0).await;
    let large = json!({ "points": 20_000, "reason": "a grave mistake of ours" });
    let (_, waiting) = fred.json(&format!("/v1/members/{ann}/adjustments"), &large).await;
    let decision = format!("/v1/approvals/{}/decision", waiting["id"].as_str().unwrap());
    let body = json!({ "approve": true });
    let (first, second) = tokio::join!(olga.json(&decision, &body), greta.json(&decision, &body));
    let mut statuses = [first.0, second.0];
    statuses.sort();
    assert_eq!(statuses, [200, 409], "{first:?} {second:?}");
    assert_eq!(available(&server, &ann).await, 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rejected_is_not_done_and_the_limits_take_two_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, mut fred) = two_people(&server).await;
    let ann = server.member("ann", 0).await;
    let large = json!({ "points": 20_000, "reason": "for my cousin" });
    let (_, waiting) = fred.json(&format!("/v1/members/{ann}/adjustments"), &large).await;
    let decision = format!("/v1/approvals/{}/decision", waiting["id"].as_str().unwrap());
    let (status, rejected) = olga.json(&decision, &json!({ "approve": false, "note": "no" })).await;
    assert_eq!((status, rejected["stage"].as_str()), (200, Some("rejected")), "{rejected}");
    assert_eq!(available(&server, &ann).await, 0);
    let mut policy = server.get("/v1/approval-policy").await.1;
    policy["adjust_points"] = Value::Null;
    let (status, waiting) = olga.put("/v1/approval-policy", &policy).await;
    assert_eq!((status, waiting["act"]["kind"].as_str()), (202, Some("policy")), "{waiting}");
    assert_eq!(server.get("/v1/approval-policy").await.1["adjust_points"], 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_published_by_one_and_approved_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, _) = two_people(&server).await;
    let mut mark = Person::invited(&server, "mark@example.org", "Mark", "marketing").await;
    let broken = json!({ "program": "[program]\nid = 7", "reason": "spring" });
    let (status, problem) = mark.json("/v1/program", &broken).await;
    assert_eq!((status, problem["code"].as_str()), (422, Some("invalid_program")), "{problem}");
    let dearer = gift_club(10).replace("price = 500", "price = 600");
    let (status, waiting) =
        mark.json("/v1/program", &json!({ "program": dearer, "reason": "spring", "override_reason": "agreed" })).await;
    assert_eq!(status, 202, "{waiting}");
    let price = async || server.get("/v1/rewards/voucher-5").await.1["price"].as_i64().unwrap();
    assert_eq!(price().await, 500);
    let decision = format!("/v1/approvals/{}/decision", waiting["id"].as_str().unwrap());
    let (status, done) = olga.json(&decision, &json!({ "approve": true })).await;
    assert_eq!((status, done["stage"].as_str()), (200, Some("done")), "{done}");
    for _ in 0..50 {
        if price().await == 600 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the new price is not in force");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_and_failed_is_carried_out_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, mut fred) = two_people(&server).await;
    let ann = server.member("ann", 100).await;
    let path = format!("/v1/members/{ann}/adjustments");
    let (_, waiting) = fred.json(&path, &json!({ "points": -20_000, "reason": "given twice" })).await;
    let id = waiting["id"].as_str().unwrap();
    let (status, failed) = olga.json(&format!("/v1/approvals/{id}/decision"), &json!({ "approve": true })).await;
    assert_eq!((status, failed["stage"].as_str()), (200, Some("failed")), "{failed}");
    assert_eq!(failed["outcome"]["code"], "insufficient_points", "{failed}");
    assert!(olga.get("/console/approvals").await.1.contains("Carry out again"));
    assert!(!fred.get("/console/approvals").await.1.contains("Carry out again"), "not by who asked");
    let again = format!("/v1/approvals/{id}/carry-out");
    let (status, problem) = fred.json(&again, &json!({})).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("four_eyes")), "{problem}");
    let more = json!({ "points": 30_000, "reason": "bought since" });
    assert_eq!(server.post(&path, "more", more).await.0, 201, "the bootstrap key needs nobody");
    let (status, done) = olga.json(&again, &json!({})).await;
    assert_eq!((status, done["stage"].as_str()), (200, Some("done")), "{done}");
    assert_eq!(available(&server, &ann).await, 10_100);
    let (status, problem) = olga.json(&again, &json!({})).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("not_approved")), "{problem}");
    assert_eq!(available(&server, &ann).await, 10_100, "and not twice");
}

/// Asks for a large adjustment as a client, with its secret; gives where it is decided.
async fn asked_by_client(server: &Server, ann: &str, client: &Value, key: &str) -> String {
    let (id, secret) = (client["id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)])
        .finish();
    let request =
        crate::support::http_client().build().unwrap().post(format!("{}/oauth/token", server.address)).body(body);
    let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    let token: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let partner = crate::support::client(token["access_token"].as_str().unwrap());
    let request = partner.post(format!("{}/v1/members/{ann}/adjustments", server.address));
    let request = request.header("idempotency-key", key).header("content-type", "application/json");
    let answer = request.body(json!({ "points": 20_000, "reason": "by a program" }).to_string()).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 202);
    let waiting: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    format!("/v1/approvals/{}/decision", waiting["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_what_a_program_asked_for_whose_secret_they_had() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, _) = two_people(&server).await;
    let mut adam = Person::invited(&server, "adam@example.org", "Adam", "administrator").await;
    let ann = server.member("ann", 0).await;
    let approve = json!({ "approve": true });

    // Adam registers a program that asks; another agrees.
    let (status, client) =
        adam.json("/v1/clients", &json!({ "name": "Shop", "permissions": ["members:adjust"] })).await;
    assert_eq!(status, 201, "{client}");
    let decision = asked_by_client(&server, &ann, &client, "first").await;
    let (status, problem) = adam.json(&decision, &approve).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("four_eyes")), "{problem}");
    assert_eq!(olga.json(&decision, &approve).await.0, 200);

    // Olga has its secret renewed: from then on neither of them is another.
    let rotate = format!("/v1/clients/{}/rotate", client["id"].as_str().unwrap());
    let (status, client) = olga.json(&rotate, &json!({ "overlap_seconds": 60 })).await;
    assert_eq!(status, 201, "{client}");
    let decision = asked_by_client(&server, &ann, &client, "second").await;
    for person in [&mut adam, &mut olga] {
        let (status, problem) = person.json(&decision, &approve).await;
        assert_eq!((status, problem["code"].as_str()), (403, Some("four_eyes")), "{problem}");
    }
    assert_eq!(available(&server, &ann).await, 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_invited_or_reset_somebody_is_no_second_pair_of_eyes() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, mut fred) = two_people(&server).await;
    let ann = server.member("ann", 0).await;
    let invitation = json!({ "email": "bob@example.org", "name": "Bob", "grants": [{ "role": "finance" }] });
    let (status, invited) = olga.json("/v1/operators", &invitation).await;
    assert_eq!(status, 201, "{invited}");
    let mut bob = Person::new(&server);
    let link = invited["link"].as_str().unwrap().split_once("/console").unwrap().1;
    bob.accept(&format!("/console{link}"), "Bob", "nine hidden copper lanterns").await;
    let path = format!("/v1/members/{ann}/adjustments");
    let (_, waiting) = bob.json(&path, &json!({ "points": 20_000, "reason": "by a second self" })).await;
    let decision = format!("/v1/approvals/{}/decision", waiting["id"].as_str().unwrap());
    let (status, problem) = olga.json(&decision, &json!({ "approve": true })).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("four_eyes")), "{problem}");
    assert!(olga.get("/console/approvals").await.1.contains("too close"), "and the page says why");
    assert_eq!(fred.json(&decision, &json!({ "approve": true })).await.0, 200);

    // Olga resets Fred, and could be Fred from then on.
    let (_, operators) = server.get("/v1/operators").await;
    let fred_id =
        operators.as_array().unwrap().iter().find(|one| one["email"] == "fred@example.org").unwrap()["id"].clone();
    let reset = json!({ "act": "reset", "reason": "lost the phone" });
    let (status, changed) = olga.patch(&format!("/v1/operators/{}", fred_id.as_str().unwrap()), &reset).await;
    assert_eq!(status, 200, "{changed}");
    let mut fred = Person::new(&server);
    let link = changed["link"].as_str().unwrap().split_once("/console").unwrap().1;
    fred.accept(&format!("/console{link}"), "Fred", "eleven silver garden gates").await;
    let (_, waiting) = fred.json(&path, &json!({ "points": 20_000, "reason": "after a reset" })).await;
    let decision = format!("/v1/approvals/{}/decision", waiting["id"].as_str().unwrap());
    assert_eq!(olga.json(&decision, &json!({ "approve": true })).await.0, 403);
    assert_eq!(bob.json(&decision, &json!({ "approve": true })).await.0, 200);
}

/// Many small acts are as much as one large one.
#[tokio::test(flavor = "multi_thread")]
async fn what_adds_up_within_a_day_waits_and_so_does_a_merge_of_much() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, mut fred) = two_people(&server).await;
    let ann = server.member("ann", 0).await;
    let path = format!("/v1/members/{ann}/adjustments");
    for number in 0..5 {
        let (status, done) = fred.json(&path, &json!({ "points": 10_000, "reason": format!("part {number}") })).await;
        assert_eq!(status, 201, "{done}");
    }
    let (status, waiting) = fred.json(&path, &json!({ "points": 1, "reason": "one more" })).await;
    assert_eq!((status, waiting["stage"].as_str()), (202, Some("waiting")), "{waiting}");
    assert_eq!(available(&server, &ann).await, 50_000);
    // What another operator does is counted by itself, and so is what a program may do.
    assert_eq!(olga.json(&path, &json!({ "points": 5, "reason": "goodwill" })).await.0, 201);
    let key = json!({ "points": 10_000, "reason": "by a program" });
    assert_eq!(server.post(&path, "by-key", key).await.0, 201);

    let bob = server.member("bob", 0).await;
    let merge = json!({ "from": ann, "reason": "the same person" });
    let (status, waiting) = olga.json(&format!("/v1/members/{bob}/merge"), &merge).await;
    assert_eq!((status, waiting["act"]["points"].as_i64()), (202, Some(60_005)), "{waiting}");
    assert_eq!(available(&server, &bob).await, 0);
    let mut greta = Person::invited(&server, "greta@example.org", "Greta", "administrator").await;
    let decision = format!("/v1/approvals/{}/decision", waiting["id"].as_str().unwrap());
    let (status, done) = greta.json(&decision, &json!({ "approve": true })).await;
    assert_eq!((status, done["stage"].as_str()), (200, Some("done")), "{done}");
    assert_eq!(available(&server, &bob).await, 60_005);
    let carol = server.member("carol", 100).await;
    let merge = json!({ "from": carol, "reason": "the same person" });
    assert_eq!(olga.json(&format!("/v1/members/{bob}/merge"), &merge).await.0, 201, "of little it does not wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_looks_at_more_members_in_a_day_than_the_policy_allows() {
    let folder = tempfile::tempdir().unwrap();
    let server = served(&folder).await;
    let (mut olga, _) = two_people(&server).await;
    let mut policy = server.get("/v1/approval-policy").await.1;
    policy["daily_looks"] = json!(2);
    assert_eq!(server.put("/v1/approval-policy", policy).await.0, 200, "the bootstrap key needs nobody");
    let ann = server.member("ann", 0).await;
    let why = json!({ "reason": "a letter came back" });
    assert_eq!(olga.json(&format!("/v1/members/{ann}/reveal"), &why).await.0, 200);
    assert_eq!(olga.json(&format!("/v1/members/{ann}/export"), &json!({ "reason": "" })).await.0, 422);
    assert_eq!(olga.json(&format!("/v1/members/{ann}/export"), &why).await.0, 200);
    for path in ["reveal", "export"] {
        let (status, problem) = olga.json(&format!("/v1/members/{ann}/{path}"), &why).await;
        assert_eq!((status, problem["code"].as_str()), (429, Some("too_many_looks")), "{problem}");
    }
    // Who may export, but not see in full, does not see in full by way of an export.
    let key = json!({ "name": "Exporter", "permissions": ["members:export"] });
    let key = server.post("/v1/api-keys", "", key).await.1["key"].as_str().unwrap().to_owned();
    let request = server.client.post(format!("{}/v1/members/{ann}/export", server.address)).body(why.to_string());
    let request = request.header("authorization", format!("Bearer {key}")).header("content-type", "application/json");
    assert_eq!(request.send().await.unwrap().status().as_u16(), 403);
}
