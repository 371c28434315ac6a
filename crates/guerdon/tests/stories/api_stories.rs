//! Stories told through the API of a running server, with snapshots of what it answers.

use serde_json::{Value, json};

use crate::support::{KEY, Server, gift_club, gift_club_with_a_campaign, http_client, init};

/// Replaces what differs from run to run.
fn steady(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::String(text) => {
                for prefix in ["mem_", "txn_", "act_", "ord_"] {
                    if text.starts_with(prefix) {
                        *text = format!("{prefix}…");
                    }
                }
                let bytes = text.as_bytes();
                if bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' {
                    *text = "<time>".to_owned();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            Value::Object(fields) => fields.values_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut value);
    value
}

fn basket() -> Value {
    json!({ "kind": "purchase", "currency": "GBP", "lines": [
        { "sku": "85123A", "description": "CHRISTMAS LIGHTS", "quantity": "6", "unit_price": "22.05" },
        { "sku": "22423", "description": "CAKE STAND", "quantity": "1", "unit_price": "12.755" },
    ]})
}

#[tokio::test(flavor = "multi_thread")]
async fn ann_shops_sees_why_and_redeems() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let ann = server.member("ann", 0).await;

    // What would it earn? Nothing changes.
    let body = json!({ "member_id": ann, "activity": basket() });
    let (status, dry) = server.post("/v1/activities?dry_run=true", "", body.clone()).await;
    assert_eq!((status, dry["points"].as_i64()), (200, Some(225)));
    let (_, wallet) = server.get(&format!("/v1/members/{ann}/wallet")).await;
    assert_eq!(wallet[0]["available"], 0);

    let (status, receipt) = server.post("/v1/activities", "inv-1", body.clone()).await;
    assert_eq!(status, 201);
    insta::assert_json_snapshot!("purchase_receipt", steady(receipt.clone()));
    // The same again: the same bytes. Another body under the key: refused.
    let (status, again) = server.post("/v1/activities", "inv-1", body.clone()).await;
    assert_eq!((status, &again), (200, &receipt));
    let mut other = body;
    other["activity"]["lines"][0]["quantity"] = json!("7");
    let (status, problem) = server.post("/v1/activities", "inv-1", other).await;
    assert_eq!((status, problem["code"].as_str()), (422, Some("idempotency_mismatch")));

    // Too few points; then enough: hold, release, hold, capture.
    let order = json!({ "member_id": ann, "reward_id": "voucher-5" });
    let (status, mut problem) = server.post("/v1/orders", "ord-0", order.clone()).await;
    assert_eq!(status, 409);
    // The day by which she has them depends on today.
    drop(problem["proposals"].as_object_mut().unwrap().remove("reachable_on"));
    insta::assert_json_snapshot!("insufficient_points", problem);
    let more = json!({ "points": 1000, "reason": "goodwill" });
    server.post(&format!("/v1/members/{ann}/adjustments"), "adj", more).await;
    let (status, held) = server.post("/v1/orders", "ord-1", order.clone()).await;
    assert_eq!((status, held["order"]["state"].as_str()), (201, Some("placed")));
    let id = held["order"]["id"].as_str().unwrap();
    let (status, _) = server.post(&format!("/v1/orders/{id}/release"), "rel-1", json!({})).await;
    assert_eq!(status, 201);
    let (status, problem) = server.post(&format!("/v1/orders/{id}/capture"), "cap-0", json!({})).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("illegal_order_move")));
    let (_, held) = server.post("/v1/orders", "ord-2", order).await;
    let id = held["order"]["id"].as_str().unwrap();
    let (_, captured) = server.post(&format!("/v1/orders/{id}/capture"), "cap-2", json!({})).await;
    insta::assert_json_snapshot!("capture_receipt", steady(captured));
    let (_, order) = server.get(&format!("/v1/orders/{id}")).await;
    assert_eq!(order["state"], "completed");
    let (_, reward) = server.get("/v1/rewards/voucher-5").await;
    insta::assert_json_snapshot!("reward", reward);
    let (_, wallet) = server.get(&format!("/v1/members/{ann}/wallet")).await;
    insta::assert_json_snapshot!("wallet", steady(wallet));
    let (_, months) = server.get(&format!("/v1/members/{ann}/statements")).await;
    let month = months["months"][0].as_str().unwrap().to_owned();
    let (status, mut statement) = server.get(&format!("/v1/members/{ann}/statements/{month}")).await;
    assert_eq!((status, statement["month"].as_str()), (200, Some(&*month)));
    statement["month"] = json!("<month>");
    insta::assert_json_snapshot!("statement", steady(statement));
    for none in ["1999-01", "2026-13", "now"] {
        let (status, problem) = server.get(&format!("/v1/members/{ann}/statements/{none}")).await;
        assert_eq!((status, problem["code"].as_str()), (404, Some("no_statement")), "{none}");
    }
    let (_, page) = server.get(&format!("/v1/members/{ann}/transactions?limit=3")).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    let next = page["next"].as_str().unwrap();
    let (_, page) = server.get(&format!("/v1/members/{ann}/transactions?after={next}")).await;
    assert!(page["next"].is_null() && page["items"][0]["kind"] != "enrol");
    drop(server);
    let (code, out, _) = crate::support::guerdon(&["verify", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_value_of_a_point_floats_within_its_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let bounds = "per_money_unit = 100\nfloating = { least = 0.008, most = 0.015 }";
    let floating = gift_club(10).replace("per_money_unit = 100", bounds);
    init(&data, &floating);
    let server = Server::start(&data);
    let ann = server.member("ann", 1_000).await;
    let worth = async || server.get(&format!("/v1/members/{ann}/wallet")).await.1[0]["value"].as_i64().unwrap();
    let of = |value: &str| json!({ "value": value, "reason": "the fund has grown" });
    assert_eq!(worth().await, 1_000);
    for (value, code) in [("0.0151", "invalid_value"), ("0.0079", "invalid_value"), ("-0.01", "invalid_value")] {
        let (status, problem) = server.put("/v1/currencies/points/value", of(value)).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some(code)), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("0.008 to 0.015"), "{problem}");
    }
    let (status, value) = server.put("/v1/currencies/points/value", of("0.0125")).await;
    assert_eq!((status, value["value"].as_str()), (200, Some("0.0125")), "{value}");
    assert_eq!(worth().await, 1_250);
    // The value that holds already is no new one, and a program file does not take it back.
    assert_eq!(server.put("/v1/currencies/points/value", of("0.0125")).await.0, 200);
    let program = json!({ "program": floating.replace("Base", "Basis"), "reason": "a better name" });
    let (status, published) = server.post("/v1/program", "", program).await;
    assert_eq!((status, &published["retired"]), (200, &json!([])), "{published}");
    assert_eq!(server.put("/v1/currencies/points/value", of("0.009")).await.0, 200);
    assert_eq!(worth().await, 900);
    let (_, value) = server.get("/v1/currencies/points/value").await;
    insta::assert_json_snapshot!("point_value", steady(value));
    let (_, audit) = server.get("/v1/audit?action=currency.value").await;
    let newest = &audit["items"][0];
    assert_eq!((&newest["before"]["value"], &newest["after"]["value"]), (&json!("0.0125"), &json!("0.009")), "{audit}");
    assert_eq!(server.put("/v1/currencies/miles/value", of("0.01")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_shows_what_its_budget_has_given() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club_with_a_campaign(10));
    let server = Server::start(&data);
    let mut given = Vec::new();
    for (key, store) in [("a", "bund"), ("b", "bund"), ("c", "park"), ("d", "park")] {
        let member = server.member(key, 0).await;
        let visit = json!({ "member_id": member, "activity": { "kind": "visit", "store": store } });
        let (status, receipt) = server.post("/v1/activities", &format!("visit-{key}"), visit).await;
        assert_eq!(status, 201, "{receipt}");
        given.push(receipt["points"].clone());
    }
    // 12, what is left of 20 for the store, and what is left of 30 for everyone.
    assert_eq!(given, [12, 8, 10, 0]);
    let (status, campaigns) = server.get("/v1/campaigns").await;
    assert_eq!(status, 200);
    insta::assert_json_snapshot!("campaigns", campaigns);
    drop(server);
    let (code, out, _) = crate::support::guerdon(&["verify", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_each_activity_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let ann = server.member("ann", 0).await;
    let item = |key: &str, member: &str, amount: i64| json!({ "idempotency_key": key, "member_id": member, "activity": { "kind": "purchase", "amount": amount } });
    let stranger = "mem_0000000000001";
    let body = json!({ "activities": [item("a", &ann, 5000), item("b", stranger, 5000), item("c", &ann, -1),
        item("a", &ann, 5000)] });
    let (status, answer) = server.post("/v1/activities/batch", "", body).await;
    assert_eq!(status, 200);
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(2), &json!(2)));
    assert_eq!(answer["results"][1]["problem"]["code"], "unknown_member");
    assert_eq!(answer["results"][2]["problem"]["code"], "invalid_amount");
    assert_eq!(answer["results"][3]["replayed"], true);
    let many: Vec<Value> = (0..1001).map(|index| item(&index.to_string(), &ann, 100)).collect();
    let (status, problem) = server.post("/v1/activities/batch", "", json!({ "activities": many })).await;
    assert_eq!((status, problem["code"].as_str()), (400, Some("invalid_request")));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_answered_clearly() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let ann = server.member("ann", 600).await;
    let activity = |activity: Value| json!({ "member_id": ann, "activity": activity });
    let purchase = |field: &str, value: Value| {
        let mut body = json!({ "kind": "purchase", "amount": 100 });
        body[field] = value;
        activity(body)
    };
    let cases = [
        ("/v1/activities", purchase("currency", json!("EUR")), 422, "unknown_currency"),
        ("/v1/activities", purchase("amount", json!(-5)), 422, "invalid_amount"),
        ("/v1/activities", purchase("amount", json!(9_000_000_000_000_000_i64)), 422, "invalid_amount"),
        ("/v1/activities", purchase("occurred_at", json!("2999-01-01T00:00:00Z")), 422, "occurred_in_future"),
        ("/v1/activities", purchase("occurred_at", json!("1999-01-01T00:00:00Z")), 422, "occurred_too_long_ago"),
        ("/v1/activities", purchase("occurred_at", json!("yesterday")), 400, "invalid_json"),
        ("/v1/activities", purchase("surprise", json!(1)), 400, "invalid_json"),
        ("/v1/activities", activity(json!({ "kind": "purchase" })), 422, "invalid_request"),
        (
            "/v1/activities",
            json!({ "external_id": "nobody", "activity": { "kind": "check_in" } }),
            404,
            "unknown_member",
        ),
        ("/v1/orders", json!({ "member_id": ann, "reward_id": "yacht" }), 404, "unknown_reward"),
        ("/v1/orders", json!({ "member_id": ann, "reward_id": "voucher-5", "quantity": 0 }), 422, "invalid_amount"),
        ("/v1/orders", json!({ "member_id": "mem_!", "reward_id": "voucher-5" }), 404, "invalid_id"),
        ("/v1/orders", json!({ "member_id": "mem_0000000000001", "reward_id": "voucher-5" }), 404, "unknown_member"),
        ("/v1/orders/ord_0000000000001/capture", json!({}), 404, "unknown_order"),
        ("/v1/members", json!({ "external_id": "ann" }), 409, "already_enrolled"),
        ("/v1/members", json!({ "email": "no" }), 422, "invalid_request"),
    ];
    for (index, (path, body, status, code)) in cases.into_iter().enumerate() {
        let (got, problem) = server.post(path, &format!("case-{index}"), body.clone()).await;
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{path} {body} {problem}");
        assert!(problem["detail"].as_str().unwrap().len() > 10, "{problem}");
    }
    let (status, problem) = server.post("/v1/orders", "", json!({ "member_id": ann, "reward_id": "voucher-5" })).await;
    assert_eq!((status, problem["code"].as_str()), (400, Some("idempotency_key_required")));
    let (status, text) = server.post_text("/v1/orders", "k", "{\"member_id\": ".to_owned()).await;
    assert!(status == 400 && text.contains("invalid_json"));
    let (status, text) = server.post_text("/v1/orders", "k", " ".repeat(2 << 20)).await;
    assert!(status == 413 && text.contains("body_too_large"), "{status} {text}");
    let (status, problem) = server.get("/v1/members?limit=100000").await;
    assert_eq!((status, problem["code"].as_str()), (400, Some("invalid_query")));
    let (status, problem) = server.get("/v1/nowhere").await;
    assert_eq!((status, problem["code"].as_str()), (404, Some("not_found")));
    // Nothing of it moved a point.
    let (_, wallet) = server.get(&format!("/v1/members/{ann}/wallet")).await;
    assert_eq!(wallet[0]["available"], 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_redeemers_share_a_hundred_units() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(100));
    let server = std::sync::Arc::new(Server::start(&data));
    let mut members = Vec::new();
    for number in 0..1_000 {
        members.push(server.member(&format!("m{number}"), 500).await);
    }
    let tasks: Vec<_> = members
        .into_iter()
        .map(|member| {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move {
                server.post("/v1/orders", "flash", json!({ "member_id": member, "reward_id": "voucher-5" })).await
            })
        })
        .collect();
    let (mut orders, mut refusals) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            (201, _) => orders += 1,
            (409, problem) if problem["code"] == "out_of_stock" => refusals += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((orders, refusals), (100, 900));
    let (_, reward) = server.get("/v1/rewards/voucher-5").await;
    assert_eq!(reward["left"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_opens_without_a_key_but_what_is_public() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let stranger = http_client().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let status = async |key: Option<&str>, path: &str| {
        let mut request = stranger.get(format!("{}{path}", server.address));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        request.send().await.unwrap().status().as_u16()
    };
    for path in ["/v1/members", "/v1/rewards", "/metrics"] {
        assert_eq!(status(None, path).await, 401, "{path}");
        assert_eq!(status(Some("another key than the right one"), path).await, 401, "{path}");
        assert_eq!(status(Some(KEY), path).await, 200, "{path}");
    }
    assert_eq!(status(None, "/console").await, 303, "a person is led to the page to sign in");
    for path in ["/livez", "/readyz", "/openapi.json", "/docs", "/v1/log/head"] {
        assert_eq!(status(None, path).await, 200, "{path}");
    }
}

#[test]
fn every_route_declares_what_it_asks_for() {
    let routes = guerdon_server::routes().unwrap();
    let mut public: Vec<String> = routes
        .iter()
        .filter(|(_, _, needs)| *needs == guerdon_server::Needs::Nothing)
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    public.sort();
    insta::assert_json_snapshot!("public_routes", public);
    assert!(routes.iter().count() > 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_lists_every_endpoint_and_metrics_count() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    server.member("ann", 10).await;
    let (_, description) = server.get("/openapi.json").await;
    let paths: Vec<&String> = description["paths"].as_object().unwrap().keys().collect();
    insta::assert_json_snapshot!("paths", paths);
    let (_, metrics) = server.text("/metrics").await;
    assert!(metrics.contains("guerdon_commands_total{outcome=\"accepted\"} 2"), "{metrics}");
}
