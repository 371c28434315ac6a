//! The story of one person with two accounts, told through the API: merge, refund, closing.

use serde_json::{Value, json};

use crate::support::{Server, gift_club, init};

#[tokio::test(flavor = "multi_thread")]
async fn ann_had_two_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let (old, new) = (server.member("C-1", 600).await, server.member("C-2", 50).await);
    let merge_path = format!("/v1/members/{new}/merge");
    let merge = json!({ "from": old, "reason": "Same person, two cards" });
    let code = |answer: (u16, Value)| (answer.0, answer.1["code"].as_str().unwrap_or_default().to_owned());

    // While an order is held the old account cannot end.
    let order = json!({ "member_id": old, "reward_id": "voucher-5" });
    let (_, held) = server.post("/v1/orders", "o-1", order.clone()).await;
    assert_eq!(code(server.post(&merge_path, "m-0", merge.clone()).await), (409, "open_orders".to_owned()));
    let id = held["order"]["id"].as_str().unwrap();
    let (status, _) = server.post(&format!("/v1/orders/{id}/capture"), "c-1", json!({})).await;
    assert_eq!(status, 201);

    let (status, receipt) = server.post(&merge_path, "m-1", merge.clone()).await;
    assert_eq!((status, &receipt["member_id"], &receipt["kind"]), (201, &json!(new), &json!("merge")), "{receipt}");
    assert_eq!((&receipt["points"], &receipt["balances"][0]["available"]), (&json!(100), &json!(150)));
    let (status, again) = server.post(&merge_path, "m-1", merge).await;
    assert_eq!((status, &again), (200, &receipt), "the same bytes");

    // Both ids, both numbers, and one history.
    for id in [&old, &new] {
        let (status, member) = server.get(&format!("/v1/members/{id}")).await;
        assert_eq!((status, &member["id"], &member["status"]), (200, &json!(new), &json!("active")), "{member}");
        assert_eq!((&member["merged_from"], &member["available"]), (&json!([old]), &json!(150)));
        let (_, wallet) = server.get(&format!("/v1/members/{id}/wallet")).await;
        assert_eq!((&wallet[0]["available"], &wallet[0]["lifetime"]["redeemed"]), (&json!(150), &json!(500)));
        let (_, page) = server.get(&format!("/v1/members/{id}/transactions?limit=2")).await;
        let next = page["next"].as_str().unwrap();
        let (_, rest) = server.get(&format!("/v1/members/{id}/transactions?after={next}")).await;
        let kinds = |page: &Value| -> Vec<String> {
            page["items"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(kinds(&page), ["merge", "merge"]);
        let mut older = kinds(&rest);
        older.sort();
        assert_eq!(older, ["adjust", "adjust", "capture", "enrol", "enrol", "redeem"]);
    }
    let (_, list) = server.post("/v1/members/search", "", json!({ "external_id": "C-1" })).await;
    assert_eq!(list["items"][0]["id"], json!(new));
    let purchase = json!({ "external_id": "C-1", "activity": { "kind": "purchase", "amount": 5_000 } });
    let (status, receipt) = server.post("/v1/activities", "inv-1", purchase).await;
    assert_eq!((status, &receipt["member_id"]), (201, &json!(new)));
    let (status, problem) = server.post("/v1/orders", "o-2", order).await;
    assert_eq!((status, &problem["code"]), (409, &json!("member_merged")));
    assert!(problem["detail"].as_str().unwrap().contains(&new), "{problem}");

    // What was bought under the old id is refunded to the person.
    let refund = json!({ "reason": "The voucher did not work" });
    let (status, receipt) = server.post(&format!("/v1/orders/{id}/refund"), "r-1", refund.clone()).await;
    assert_eq!((status, &receipt["member_id"], &receipt["points"]), (201, &json!(new), &json!(500)), "{receipt}");
    assert_eq!(
        code(server.post(&format!("/v1/orders/{id}/refund"), "r-2", refund).await),
        (409, "illegal_order_move".to_owned())
    );
    let (_, order) = server.get(&format!("/v1/orders/{id}")).await;
    assert_eq!((&order["state"], &order["member_id"]), (&json!("refunded"), &json!(old)));
    let (_, reward) = server.get("/v1/rewards/voucher-5").await;
    assert_eq!(reward["left"], 10);

    // The end.
    let close = format!("/v1/members/{new}/close");
    let reason = json!({ "reason": "At the member's wish" });
    assert_eq!(code(server.post(&close, "x-0", json!({ "reason": " " })).await), (422, "invalid_request".to_owned()));
    let (status, receipt) = server.post(&close, "x-1", reason.clone()).await;
    assert_eq!((status, &receipt["forfeited"]), (201, &json!(700)), "{receipt}");
    assert_eq!(code(server.post(&close, "x-2", reason).await), (409, "member_closed".to_owned()));
    let (_, member) = server.get(&format!("/v1/members/{old}")).await;
    assert_eq!((&member["status"], &member["available"]), (&json!("closed"), &json!(0)));
    drop(server);
    let (code, out, _) = crate::support::guerdon(&["verify", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}");
    let (code, out, error) =
        crate::support::guerdon(&["inspect", &old, "--json", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(shown["status"], json!({ "merged": { "into": new } }));
}
