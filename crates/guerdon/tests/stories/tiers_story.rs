//! A member climbs: the API tells the tier and what is missing for the next, the portal and the console show it.

use serde_json::{Value, json};

use crate::support::browser::{browser, enter, screenshot, shown, small_phone, text};
use crate::support::person::Person;
use crate::support::sms::Gateway;
use crate::support::{Server, init};

const PHONE: &str = "13800138000";
const PROGRAM: &str = include_str!("../../../../programs/examples/tiers.toml");

async fn buys(server: &Server, member: &str, key: &str, yuan: i64) -> Value {
    let activity = json!({ "kind": "purchase", "amount": yuan * 100 });
    let (status, receipt) =
        server.post("/v1/activities", key, json!({ "member_id": member, "activity": activity })).await;
    assert_eq!(status, 201, "{receipt}");
    receipt
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_climbs_and_sees_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (data, gateway) = (folder.path().join("data"), Gateway::start());
    init(&data, PROGRAM);
    let server = Server::start_with(&data, &gateway.flags());
    let (_, tiers) = server.get("/v1/tiers").await;
    let ids: Vec<&str> = tiers.as_array().unwrap().iter().map(|one| one["tier"]["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["regular", "silver", "gold", "diamond", "black"]);

    let (status, receipt) = server.post("/v1/members", "li", json!({ "name": "李华", "phone": PHONE })).await;
    assert_eq!(status, 201, "{receipt}");
    let member = receipt["member_id"].as_str().unwrap();
    let tier = async || server.get(&format!("/v1/members/{member}/tier")).await.1;
    buys(&server, member, "inv-1", 999).await;
    let found = tier().await;
    assert_eq!((&found["tier"]["id"], &found["next"]["tier"]["id"]), (&json!("regular"), &json!("silver")));
    let way = &found["next"]["ways"][0];
    assert_eq!((&way["window"], &way["percent"]), (&json!({ "months": 12 }), &json!(99)));
    assert_eq!(way["measures"], json!([{ "measure": "growth", "value": 999, "needed": 1_000, "missing": 1 }]));
    assert!(found["since"].is_null() && found["review_at"].is_null() && found["keeps"].is_null(), "{found}");

    // What would lead to gold is told, and changes nothing.
    let activity = json!({ "kind": "purchase", "amount": 400_100 });
    let body = json!({ "member_id": member, "activity": activity });
    let (status, dry) = server.post("/v1/activities?dry_run=true", "", body).await;
    assert_eq!((status, &dry["tier"]["held"]["tier"], &dry["growth"]), (200, &json!("gold"), &json!(4_001)));
    assert_eq!(tier().await["tier"]["id"], "regular");

    let receipt = buys(&server, member, "inv-2", 1).await;
    assert_eq!((&receipt["points"], &receipt["growth"]), (&json!(201), &json!(1)));
    assert_eq!(receipt["events"], json!([{ "type": "tier_changed", "from": "regular", "to": "silver" }]));
    buys(&server, member, "inv-3", 100).await;
    let found = tier().await;
    assert_eq!((&found["tier"]["id"], &found["benefits"]["factors"][0]["factor"]), (&json!("silver"), &json!("1.1")));
    assert_eq!(found["keeps"][0]["measures"][0]["value"], 1_100);
    assert_eq!(found["next"]["ways"][0]["measures"][0]["missing"], 3_900);
    assert!(found["review_at"].is_string() && found["grace_until"].is_null(), "{found}");
    let (_, account) = server.get(&format!("/v1/members/{member}")).await;
    assert_eq!((&account["tier"], &account["available"]), (&json!("silver"), &json!(1_310)));
    let (_, wallets) = server.get(&format!("/v1/members/{member}/wallet")).await;
    let spendable: Vec<(&Value, &Value)> =
        wallets.as_array().unwrap().iter().map(|one| (&one["spendable"], &one["value"])).collect();
    assert_eq!(spendable, [(&json!(true), &json!(1_310)), (&json!(false), &json!(0))]);
    assert_eq!(server.get("/v1/members/mem_0000000000001/tier").await.0, 404);
    let own = json!({ "member_id": member, "activity": { "kind": "tier_changed" } });
    assert_eq!(server.post("/v1/activities", "own", own).await.0, 422, "nobody welcomes themselves");

    looks(&server, &gateway, member, folder.path()).await;
}

/// The member looks on a phone, an operator in the console.
async fn looks(server: &Server, gateway: &Gateway, member: &str, folder: &std::path::Path) {
    let mut li = Person::new(server);
    let seen = gateway.count();
    assert_eq!(li.post("/portal/sign-in", &[("to", PHONE)]).await.0, 303);
    let code = gateway.code(seen, PHONE).await;
    assert_eq!(li.post("/portal/sign-in/code", &[("code", &code)]).await.0, 303);
    let (driver, client) = browser(&folder.join("profile")).await;
    let mut olga = Person::new(server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    enter(&client, server, &olga).await;
    client.set_window_size(1440, 900).await.unwrap();
    client.goto(&format!("{}/console/members/{member}?lang=en", server.address)).await.unwrap();
    let page = text(&client).await;
    for words in ["Tier: Silver", "3,900 Growth value to Gold (in 12 months)", "Tier Silver reached, before: Regular"] {
        assert!(page.contains(words), "`{words}` is not in {page}");
    }
    screenshot(&client, "member-tier-wide").await;
    client.goto(&format!("{}/console/members", server.address)).await.unwrap();
    assert!(shown(&client, &["Silver"]).await.contains("Silver"));
    screenshot(&client, "members-tier-wide").await;

    enter(&client, server, &li).await;
    small_phone(&client).await;
    client.goto(&format!("{}/portal?lang=zh-CN", server.address)).await.unwrap();
    let page = text(&client).await;
    for words in [
        "等级：银卡",
        "距 金卡 还差 3,900 成长值（12 个月内）",
        "升至 银卡",
        "等级 银卡 — × 1.1",
        "100 成长值：每元一点成长值 — ¥100.00 中每 ¥1.00 得 1 成长值",
    ] {
        assert!(page.contains(words), "`{words}` is not in {page}");
    }
    let sideways = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(client.execute(sideways, Vec::new()).await.unwrap(), json!(0));
    screenshot(&client, "portal-tier-phone-zh").await;
    client.close().await.unwrap();
    drop(driver);
}
