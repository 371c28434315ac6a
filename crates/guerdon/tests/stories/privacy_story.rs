//! What a brand knows of its members: masked, revealed for a reason, exported, and erased, while the ledger stays whole.

use std::io::Read;

use serde_json::{Value, json};

use crate::support::{Server, gift_club, guerdon, init};

async fn ann(server: &Server) -> String {
    let profile = json!({ "external_id": "C-1", "name": "Ann Smith", "email": "ann.smith@example.org",
        "phone": "13812345678", "birth_date": "1990-05-17" });
    let (status, receipt) = server.post("/v1/members", "enrol-ann", profile).await;
    assert_eq!(status, 201, "{receipt}");
    receipt["member_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_fields_are_masked_and_every_look_leaves_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let member = ann(&server).await;
    let (_, shown) = server.get(&format!("/v1/members/{member}")).await;
    let profile = &shown["profile"];
    assert_eq!(
        (profile["phone"].as_str(), profile["email"].as_str(), profile["birth_date"].as_str()),
        (Some("138****5678"), Some("a****@example.org"), Some("1990-**-**"))
    );
    let (_, list) = server.get("/v1/members?limit=1").await;
    assert!(!list.to_string().contains("Smith"), "{list}");
    let path = format!("/v1/members/{member}/reveal");
    assert_eq!(server.post(&path, "", json!({ "reason": " " })).await.0, 422, "a reason is asked for");
    let (status, full) = server.post(&path, "", json!({ "reason": "parcel came back" })).await;
    assert_eq!((status, full["phone"].as_str()), (200, Some("13812345678")));
    let (_, events) = server.get(&format!("/v1/audit?action=member.reveal&subject={member}")).await;
    let event = &events["items"][0];
    assert_eq!((event["reason"].as_str(), event["actor"].as_str()), (Some("parcel came back"), Some("key_bootstrap")));
    assert!(!events.to_string().contains("13812345678"), "the trace itself names nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_s_data_leave_as_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let member = ann(&server).await;
    let basket = json!({ "member_id": member, "activity": { "kind": "purchase", "lines": [
        { "description": "CHRISTMAS LIGHTS", "quantity": "6", "unit_price": "22.05" }] } });
    assert_eq!(server.post("/v1/activities", "inv-1", basket).await.0, 201);
    let path = format!("{}/v1/members/{member}/export", server.address);
    let request = server.client.post(&path).header("content-type", "application/json");
    let response = request.body(r#"{ "reason": "asked for by letter" }"#).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/zip");
    let bytes = response.bytes().await.unwrap().to_vec();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let mut text = String::new();
    archive.by_name("data.json").unwrap().read_to_string(&mut text).unwrap();
    let data: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(data["member"]["profile"]["email"], "ann.smith@example.org");
    assert_eq!(data["activities"][0]["activity"]["lines"][0]["description"], "CHRISTMAS LIGHTS");
    assert_eq!(data["transactions"].as_array().unwrap().len(), 2);
    let mut page = String::new();
    archive.by_name("index.html").unwrap().read_to_string(&mut page).unwrap();
    assert!(page.contains("Ann Smith") && page.contains("Purchase of £132.30"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_is_given_to_a_version_and_decides_who_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let member = ann(&server).await;
    server.member("bob", 0).await;
    let text = |words: &str| json!({ "name": { "en": "News", "zh": "资讯" }, "text": { "en": words, "zh": words } });
    let (status, purpose) = server.put("/v1/consent-purposes/marketing", text("We write once a month.")).await;
    assert_eq!((status, purpose["version"].as_i64()), (200, Some(1)), "{purpose}");
    let consent = format!("/v1/members/{member}/consents/marketing");
    assert_eq!(server.put(&consent, json!({ "given": true })).await.0, 204);
    let given = async || server.get(&format!("/v1/members/{member}/consents")).await.1[0]["given"].as_bool().unwrap();
    assert!(given().await);
    let exported = async || {
        let body = json!({ "purpose": "marketing", "reason": "spring letter" });
        let (status, export) = server.post("/v1/member-exports", "", body).await;
        assert_eq!(status, 201, "{export}");
        let path = format!("/v1/member-exports/{}/file", export["id"].as_str().unwrap());
        server.text(&path).await.1
    };
    let file = exported().await;
    assert!(file.contains(&member) && file.lines().count() == 2 && !file.contains("ann.smith"), "{file}");
    // A new text asks anew.
    assert_eq!(server.put("/v1/consent-purposes/marketing", text("We write every day.")).await.1["version"], 2);
    assert!(!given().await);
    assert_eq!(exported().await.lines().count(), 1);
    assert_eq!(server.put(&consent, json!({ "given": true })).await.0, 204);
    assert_eq!(server.put(&consent, json!({ "given": false })).await.0, 204);
    assert!(!given().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn erasure_waits_can_be_taken_back_and_then_leaves_a_ledger_that_names_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let mut server = Server::start(&data);
    let member = ann(&server).await;
    let path = format!("/v1/members/{member}/erasure");
    let (status, erasure) = server.post(&path, "", json!({ "reason": "asked by letter" })).await;
    assert_eq!(status, 201, "{erasure}");
    assert_eq!(server.client.delete(format!("{}{path}", server.address)).send().await.unwrap().status(), 204);
    assert_eq!(server.get(&path).await.0, 404);
    assert_eq!(server.post(&path, "", json!({ "reason": "asked again" })).await.0, 201);
    server.interrupt();
    // The grace period passes: the record is dated back, as if the clock had gone on.
    let database = rusqlite::Connection::open(data.join("guerdon.db")).unwrap();
    let changed = database
        .execute(
            "UPDATE record SET body = json_set(body, '$.due_at', '2020-01-01T00:00:00Z') WHERE kind = 'erasure'",
            [],
        )
        .unwrap();
    assert_eq!(changed, 1);
    drop(database);
    let server = Server::start(&data);
    let mut erased = Value::Null;
    for _ in 0..100 {
        erased = server.get(&format!("/v1/members/{member}")).await.1;
        if erased.get("erased_at").is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(erased.get("erased_at").is_some() && erased.get("profile").is_none(), "{erased}");
    let body = json!({ "member_id": member, "activity": { "kind": "survey" } });
    assert_eq!(server.post("/v1/activities", "late", body).await.1["code"], "member_erased");
    let (_, found) = server.post("/v1/members/search", "", json!({ "external_id": "C-1" })).await;
    assert_eq!(found["items"].as_array().unwrap().len(), 0, "the number leads to nobody");
    let (code, out, error) = guerdon(&["verify", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn registers_keep_what_they_must_and_the_audit_log_their_history() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let entry = json!({ "title": "SMS gateway", "purpose": "one-time codes", "legal_basis": "contract",
        "data": "phone number", "recipients": "Example Telecom", "retention": "a day" });
    let (status, made) = server.post("/v1/registers/sharing", "", entry.clone()).await;
    assert_eq!(status, 201, "{made}");
    let path = format!("/v1/registers/sharing/{}", made["id"].as_str().unwrap());
    let mut changed = entry;
    changed["retention"] = json!("an hour");
    assert_eq!(server.put(&path, changed).await.0, 200);
    assert_eq!(server.get("/v1/registers/sharing").await.1[0]["retention"], "an hour");
    assert_eq!(server.get("/v1/registers/gossip").await.0, 404);
    let (_, events) = server.get("/v1/audit?action=register.put").await;
    assert_eq!(events["items"][0]["before"]["entry"]["retention"], "a day");
}
