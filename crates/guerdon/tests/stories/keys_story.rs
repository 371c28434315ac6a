//! Stories of programs that call: keys, partners with tokens, limits.

use std::time::Duration;

use guerdon_server::identity::signature::{SignedParts, sign};
use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::support::{Server, client, gift_club, http_client, init};

/// A server, and a caller of it with a key.
struct Caller<'a> {
    server: &'a Server,
    client: Client,
}

impl<'a> Caller<'a> {
    fn new(server: &'a Server, key: &str) -> Self {
        Self { server, client: client(key) }
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.server.address));
        let request = request.header("idempotency-key", body.to_string()).json(&body);
        answer(request.send().await.unwrap()).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.client.get(format!("{}{path}", self.server.address)).send().await.unwrap()).await
    }

    async fn delete(&self, path: &str) -> u16 {
        let request = self.client.delete(format!("{}{path}", self.server.address));
        request.send().await.unwrap().status().as_u16()
    }
}

async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

async fn issue(server: &Server, request: Value) -> (String, String) {
    let (status, key) = server.post("/v1/api-keys", "", request).await;
    assert_eq!(status, 201, "{key}");
    (key["id"].as_str().unwrap().to_owned(), key["key"].as_str().unwrap().to_owned())
}

fn purchase(member: &str, store: Option<&str>) -> Value {
    let mut activity = json!({ "kind": "purchase", "amount": 5_000 });
    if let Some(store) = store {
        activity["store"] = json!(store);
    }
    json!({ "member_id": member, "activity": activity })
}

fn serve(folder: &tempfile::TempDir) -> Server {
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    Server::start(&data)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_what_it_was_issued_for_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&folder);
    let ann = server.member("ann", 0).await;
    let request = json!({ "name": "Till 3", "permissions": ["activities:write"], "stores": ["north"] });
    let (id, key) = issue(&server, request).await;
    assert!(id.starts_with("key_") && key.starts_with("grd_key_"));
    let till = Caller::new(&server, &key);

    // In its own store only.
    assert_eq!(till.post("/v1/activities", purchase(&ann, Some("north"))).await.0, 201);
    let (status, problem) = till.post("/v1/activities", purchase(&ann, Some("south"))).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("forbidden_store")));
    let (status, problem) = till.post("/v1/activities", purchase(&ann, None)).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("forbidden_store")));

    // Nothing else, and it is told which permission it lacks.
    let request = till.client.get(format!("{}/v1/members", server.address));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 403);
    let expected = "Bearer error=\"insufficient_scope\", scope=\"members:read\"";
    assert_eq!(header(&response, "www-authenticate"), expected);

    // The list shows everything but the key itself.
    let (status, list) = server.get("/v1/api-keys").await;
    assert_eq!(status, 200);
    let shown = &list["items"][0];
    assert_eq!(
        (&shown["id"], &shown["name"], &shown["created_by"]),
        (&json!(id), &json!("Till 3"), &json!("key_bootstrap"))
    );
    assert_eq!(shown["permissions"], json!(["activities:write"]));
    assert!(shown["last_used_at"].is_string(), "{shown}");
    assert!(key.starts_with(shown["prefix"].as_str().unwrap()));
    assert!(!list.to_string().contains(&key[12..]));

    // Revoked, it ends at once.
    assert_eq!(Caller::new(&server, crate::support::KEY).delete(&format!("/v1/api-keys/{id}")).await, 204);
    let (status, problem) = till.post("/v1/activities", purchase(&ann, Some("north"))).await;
    assert_eq!((status, problem["code"].as_str()), (401, Some("unauthorized")));
    assert_eq!(server.get(&format!("/v1/api-keys/{id}")).await.0, 404);
    assert_eq!(Caller::new(&server, crate::support::KEY).delete(&format!("/v1/api-keys/{id}")).await, 404);
    drop(server);
    let data = folder.path().join("data");
    let (code, out, _) = crate::support::guerdon(&["verify", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_comes_from_its_networks_and_until_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&folder);
    let read = |networks: Value| json!({ "name": "Reader", "permissions": ["members:read"], "networks": networks });
    let (_, here) = issue(&server, read(json!(["127.0.0.0/8"]))).await;
    let (_, elsewhere) = issue(&server, read(json!(["192.0.2.0/24", "2001:db8::1"]))).await;
    assert_eq!(Caller::new(&server, &here).get("/v1/members").await.0, 200);
    assert_eq!(Caller::new(&server, &elsewhere).get("/v1/members").await.0, 401);

    let soon = std::time::SystemTime::now() + Duration::from_millis(1_500);
    let soon = soon.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let soon = guerdon_core::time::Timestamp::from_millis(soon as i64).to_string();
    let request = json!({ "name": "Short", "permissions": ["members:read"], "expires_at": soon });
    let (id, short) = issue(&server, request).await;
    let short = Caller::new(&server, &short);
    assert_eq!(short.get("/v1/members").await.0, 200);
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    assert_eq!(short.get("/v1/members").await.0, 401);
    assert_eq!(server.get(&format!("/v1/api-keys/{id}")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&folder);
    let (id, old) = issue(&server, json!({ "name": "Shop", "permissions": ["members:read"] })).await;
    let rotate = format!("/v1/api-keys/{id}/rotate");
    let (status, rotated) = server.post(&rotate, "", json!({ "overlap_seconds": 2 })).await;
    assert_eq!(status, 201, "{rotated}");
    assert_eq!((&rotated["id"], rotated["retiring"].as_array().map(Vec::len)), (&json!(id), Some(1)));
    let new = rotated["key"].as_str().unwrap();
    let (old, new) = (Caller::new(&server, &old), Caller::new(&server, new));
    assert_eq!((old.get("/v1/members").await.0, new.get("/v1/members").await.0), (200, 200));
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!((old.get("/v1/members").await.0, new.get("/v1/members").await.0), (401, 200));
    // Without an overlap the old one ends at once, and a key has one entry in the list.
    let (status, last) = server.post(&rotate, "", json!({ "overlap_seconds": 0 })).await;
    assert_eq!(status, 201, "{last}");
    assert_eq!(new.get("/v1/members").await.0, 401);
    assert_eq!(Caller::new(&server, last["key"].as_str().unwrap()).get("/v1/members").await.0, 200);
    assert_eq!(server.get("/v1/api-keys").await.1["items"].as_array().unwrap().len(), 1);
    let (status, problem) = server.post(&rotate, "", json!({ "overlap_seconds": -1 })).await;
    assert_eq!((status, problem["code"].as_str()), (422, Some("invalid_request")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_a_key_that_does_more_than_they_may() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&folder);
    let request = json!({ "name": "Developer", "permissions": ["clients:read", "clients:write", "rewards:read"] });
    let (own, key) = issue(&server, request).await;
    let developer = Caller::new(&server, &key);
    let (owner, _) =
        issue(&server, json!({ "name": "Owner", "permissions": ["members:adjust", "members:read"] })).await;

    let wanted = |permissions: Value| json!({ "name": "More", "permissions": permissions });
    for permissions in [json!(["members:adjust"]), json!(["rewards:read", "operators:write"])] {
        for path in ["/v1/api-keys", "/v1/clients"] {
            let (status, problem) = developer.post(path, wanted(permissions.clone())).await;
            assert_eq!(
                (status, problem["code"].as_str()),
                (403, Some("beyond_own_permissions")),
                "{path} {permissions}"
            );
        }
    }
    // Nor does it take over one that does.
    let (status, problem) =
        developer.post(&format!("/v1/api-keys/{owner}/rotate"), json!({ "overlap_seconds": 0 })).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("beyond_own_permissions")));
    let (_, partner) = server.post("/v1/clients", "", wanted(json!(["members:adjust"]))).await;
    let partner = partner["id"].as_str().unwrap();
    for (path, body) in [("rotate", json!({ "overlap_seconds": 0 })), ("resume", json!({}))] {
        if path == "resume" {
            assert_eq!(developer.post(&format!("/v1/clients/{partner}/suspend"), json!({})).await.0, 200);
        }
        let (status, problem) = developer.post(&format!("/v1/clients/{partner}/{path}"), body).await;
        assert_eq!((status, problem["code"].as_str()), (403, Some("beyond_own_permissions")), "{path}");
    }
    // What it has it may give on, and narrow to stores.
    assert_eq!(developer.post("/v1/api-keys", wanted(json!(["rewards:read"]))).await.0, 201);
    // One that may only in a store gives nothing beyond it.
    let request = json!({ "name": "North", "permissions": ["clients:write", "activities:write"], "stores": ["north"] });
    let (_, north) = issue(&server, request).await;
    let (status, problem) =
        Caller::new(&server, &north).post("/v1/api-keys", wanted(json!(["activities:write"]))).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("forbidden")));
    assert_eq!(developer.delete(&format!("/v1/api-keys/{own}")).await, 204);
    assert_eq!(developer.get("/v1/api-keys").await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&folder);
    let request = json!({ "name": "Slow", "permissions": ["members:read"], "rate": "1/min burst 3" });
    let (_, key) = issue(&server, request).await;
    let slow = client(&key);
    let ask = async || slow.get(format!("{}/v1/members", server.address)).send().await.unwrap();
    let first = ask().await;
    assert_eq!(first.status(), 200);
    assert_eq!(header(&first, "ratelimit-policy"), "\"key\";q=3;w=180");
    assert_eq!(header(&first, "ratelimit"), "\"key\";r=2;t=60");
    let mut limited = ask().await;
    for _ in 0..5 {
        limited = ask().await;
    }
    assert_eq!(limited.status(), 429);
    let wait: u64 = header(&limited, "retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(header(&limited, "ratelimit").starts_with("\"key\";r=0;"));
    assert_eq!(answer(limited).await.1["code"], "rate_limited");
    // Others are not held back by it.
    assert_eq!(server.get("/v1/members").await.0, 200);

    // An address that shows key after key waits, and a key that is known to be good does not wait with it.
    let (_, good) = issue(&server, json!({ "name": "Good", "permissions": ["members:read"] })).await;
    let good = Caller::new(&server, &good);
    assert_eq!(good.get("/v1/members").await.0, 200);
    let guess = async |number: u32| {
        let guessed = client(&format!("grd_key_guess{number}"));
        guessed.get(format!("{}/v1/members", server.address)).send().await.unwrap().status().as_u16()
    };
    let mut answers = Vec::new();
    for number in 0..400 {
        answers.push(guess(number).await);
        if answers.last() == Some(&429) {
            break;
        }
    }
    assert_eq!(answers[0], 401);
    assert!(answers.contains(&429), "{answers:?}");
    assert_eq!(good.get("/v1/members").await.0, 200);
}

/// A form of somebody who has brought no key.
fn form_request(server: &Server, path: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let pairs: Vec<String> = form.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let request = http_client().build().unwrap().post(format!("{}{path}", server.address));
    request.header("content-type", "application/x-www-form-urlencoded").body(pairs.join("&"))
}

async fn token(server: &Server, form: &[(&str, &str)], basic: Option<(&str, &str)>) -> (u16, Value) {
    let mut request = form_request(server, "/oauth/token", form);
    if let Some((id, secret)) = basic {
        request = request.basic_auth(id, Some(secret));
    }
    answer(request.send().await.unwrap()).await
}

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_gets_short_lived_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&folder);
    let request =
        json!({ "name": "Airline", "permissions": ["members:read", "rewards:read"], "quota": { "per_day": 6 } });
    let (status, partner) = server.post("/v1/clients", "", request).await;
    assert_eq!(status, 201, "{partner}");
    let (id, secret) = (partner["id"].as_str().unwrap(), partner["client_secret"].as_str().unwrap());
    assert!(id.starts_with("cli_") && secret.starts_with("grd_cls_"));

    let (status, metadata) = server.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(status, 200);
    assert_eq!(metadata["token_endpoint"], format!("{}/oauth/token", metadata["issuer"].as_str().unwrap()));

    // In the header or in the form; narrowed when asked for.
    let (status, whole) = token(&server, &[GRANT], Some((id, secret))).await;
    assert_eq!((status, &whole["token_type"], &whole["expires_in"]), (200, &json!("Bearer"), &json!(900)));
    assert_eq!(whole["scope"], "members:read rewards:read");
    let form = [GRANT, ("scope", "rewards:read"), ("client_id", id), ("client_secret", secret)];
    let (status, narrow) = token(&server, &form, None).await;
    assert_eq!((status, &narrow["scope"]), (200, &json!("rewards:read")));
    let whole = Caller::new(&server, whole["access_token"].as_str().unwrap());
    let narrow_token = narrow["access_token"].as_str().unwrap();
    let narrow = Caller::new(&server, narrow_token);
    assert_eq!(whole.get("/v1/members").await.0, 200);
    assert_eq!(narrow.get("/v1/members").await.0, 403);
    assert_eq!(narrow.get("/v1/rewards/voucher-5").await.0, 200);

    // What does not fit is answered in the words of OAuth.
    let wrong = |form: Vec<(&'static str, &'static str)>, secret: &'static str| (form, secret);
    for ((form, secret), status, error) in [
        (wrong(vec![GRANT], "grd_cls_wrong"), 401, "invalid_client"),
        (wrong(vec![("grant_type", "password")], ""), 400, "unsupported_grant_type"),
        (wrong(vec![], ""), 400, "invalid_request"),
        (wrong(vec![GRANT, GRANT], ""), 400, "invalid_request"),
        (wrong(vec![GRANT, ("scope", "members:adjust")], ""), 400, "invalid_scope"),
        (wrong(vec![GRANT, ("scope", "everything")], ""), 400, "invalid_scope"),
    ] {
        let used = if secret.is_empty() { partner["client_secret"].as_str().unwrap() } else { secret };
        let (got, body) = token(&server, &form, Some((id, used))).await;
        assert_eq!((got, body["error"].as_str()), (status, Some(error)), "{form:?} {body}");
    }
    assert_eq!(token(&server, &[GRANT], Some(("cli_0000000000000", secret))).await.0, 401);

    // Its requests of the day are numbered: three of six are used.
    let response = whole.client.get(format!("{}/v1/members", server.address)).send().await.unwrap();
    let states: Vec<&str> = response.headers().get_all("ratelimit").iter().map(|one| one.to_str().unwrap()).collect();
    assert!(states[1].starts_with("\"day\";r=2;"), "{states:?}");
    assert_eq!((whole.get("/v1/members").await.0, whole.get("/v1/members").await.0), (200, 200));
    let (status, problem) = whole.get("/v1/members").await;
    assert_eq!((status, problem["code"].as_str()), (429, Some("quota_exceeded")));
    let change = json!({ "name": "Airline", "permissions": ["members:read", "rewards:read"] });
    let request = server.client.put(format!("{}/v1/clients/{id}", server.address)).json(&change);
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(whole.get("/v1/members").await.0, 200);

    // A token is revoked by its client only.
    let revoke = async |secret: &str| {
        let request = form_request(&server, "/oauth/revoke", &[("token", narrow_token)]);
        request.basic_auth(id, Some(secret)).send().await.unwrap().status().as_u16()
    };
    assert_eq!(revoke("grd_cls_wrong").await, 401);
    assert_eq!(narrow.get("/v1/rewards/voucher-5").await.0, 200);
    assert_eq!(revoke(secret).await, 200);
    assert_eq!(narrow.get("/v1/rewards/voucher-5").await.0, 401);
    assert_eq!(revoke(secret).await, 200);

    // A suspended client has no tokens, and its old ones are good again when it may call again.
    assert_eq!(server.post(&format!("/v1/clients/{id}/suspend"), "", json!({})).await.1["state"], "suspended");
    assert_eq!(whole.get("/v1/members").await.0, 401);
    assert_eq!(token(&server, &[GRANT], Some((id, secret))).await.0, 401);
    assert_eq!(server.post(&format!("/v1/clients/{id}/resume"), "", json!({})).await.1["state"], "active");
    assert_eq!(whole.get("/v1/members").await.0, 200);

    // Two secrets while one replaces the other.
    let rotate = format!("/v1/clients/{id}/rotate");
    let (status, rotated) = server.post(&rotate, "", json!({ "overlap_seconds": 60 })).await;
    assert_eq!(status, 201, "{rotated}");
    let second = rotated["client_secret"].as_str().unwrap();
    assert_eq!(token(&server, &[GRANT], Some((id, secret))).await.0, 200);
    assert_eq!(token(&server, &[GRANT], Some((id, second))).await.0, 200);
    let (_, last) = server.post(&rotate, "", json!({ "overlap_seconds": 0 })).await;
    assert_eq!(token(&server, &[GRANT], Some((id, second))).await.0, 401);
    assert_eq!(token(&server, &[GRANT], Some((id, last["client_secret"].as_str().unwrap()))).await.0, 200);

    // Deleted, it and its tokens are gone.
    assert_eq!(Caller::new(&server, crate::support::KEY).delete(&format!("/v1/clients/{id}")).await, 204);
    assert_eq!(whole.get("/v1/members").await.0, 401);
    assert_eq!(server.get("/v1/clients").await.1["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_with_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&folder);
    let key = |field: &str, value: Value| {
        let mut request = json!({ "name": "Till", "permissions": ["members:read"] });
        request[field] = value;
        request
    };
    for (request, status, word) in [
        (key("name", json!("")), 422, "name"),
        (key("permissions", json!([])), 422, "permissions"),
        (key("permissions", json!(["members:own"])), 422, "members:own"),
        (key("networks", json!(["10.0.0.0/33"])), 422, "10.0.0.0/33"),
        (key("expires_at", json!("2020-01-01T00:00:00Z")), 422, "expires_at"),
        (key("rate", json!("often")), 400, "often"),
        (key("surprise", json!(1)), 400, "surprise"),
    ] {
        let (got, problem) = server.post("/v1/api-keys", "", request.clone()).await;
        assert!(got == status && problem["detail"].as_str().unwrap().contains(word), "{request} {problem}");
    }
    let mut request = key("quota", json!({ "per_day": 0 }));
    let (status, problem) = server.post("/v1/clients", "", request.clone()).await;
    assert!(status == 422 && problem["detail"].as_str().unwrap().contains("per_day"), "{problem}");
    request["quota"] = json!({ "per_year": 1 });
    assert_eq!(server.post("/v1/clients", "", request).await.0, 400);
    assert_eq!(server.get("/v1/clients/cli_unknown").await.1["code"], "unknown_client");
    assert_eq!(server.get(&format!("/v1/api-keys/{}", "k".repeat(300))).await.1["code"], "unknown_key");
}

/// A request signed as docs/signatures.md says.
async fn signed(server: &Server, key: &str, secret: &str, nonce: &str, body: &str, sent: &str) -> (u16, Value) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let parts =
        SignedParts { method: "POST", target: "/v1/activities", idempotency_key: "till-1", body: body.as_bytes() };
    let signature = sign(secret.as_bytes(), now as i64, nonce, &parts);
    let request = client(key).post(format!("{}/v1/activities", server.address)).body(sent.to_owned());
    let request = request.header("idempotency-key", "till-1").header("guerdon-timestamp", now.to_string());
    let request = request.header("guerdon-nonce", nonce).header("guerdon-signature", signature);
    answer(request.send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_till_signs_what_it_sends_and_each_signature_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = serve(&folder);
    let ann = server.member("ann", 0).await;
    let request = json!({ "name": "Till", "permissions": ["activities:write"], "signed": true });
    let (status, issued) = server.post("/v1/api-keys", "", request).await;
    assert_eq!((status, &issued["signed"]), (201, &json!(true)));
    let (key, secret) = (issued["key"].as_str().unwrap(), issued["signing_secret"].as_str().unwrap());
    assert!(secret.starts_with("grd_sig_"));

    let body = purchase(&ann, None).to_string();
    let code = |(status, problem): (u16, Value)| (status, problem["code"].as_str().unwrap_or_default().to_owned());
    let refused = |code: &str| (401, code.to_owned());
    let bare = Caller::new(&server, key).post("/v1/activities", purchase(&ann, None)).await;
    assert_eq!(code(bare), refused("signature_missing"));
    let nonce = "0123456789abcdef";
    let other = body.replace("5000", "9000");
    assert_eq!(code(signed(&server, key, secret, nonce, &body, &other).await), refused("signature_invalid"));
    let wrong = "grd_sig_wrong";
    assert_eq!(code(signed(&server, key, wrong, nonce, &body, &body).await), refused("signature_invalid"));
    assert_eq!(signed(&server, key, secret, nonce, &body, &body).await.0, 201);
    assert_eq!(code(signed(&server, key, secret, nonce, &body, &body).await), refused("signature_replayed"));
    // A retry is signed anew, and answered with the same receipt.
    assert_eq!(signed(&server, key, secret, "fedcba9876543210", &body, &body).await.0, 200);
    // What was heard before a restart is not taken after it.
    server.kill();
    let server = Server::start(&data);
    assert_eq!(code(signed(&server, key, secret, nonce, &body, &body).await), refused("signature_replayed"));
    // A new key comes with a new secret.
    let path = format!("/v1/api-keys/{}/rotate", issued["id"].as_str().unwrap());
    let (_, rotated) = server.post(&path, "", json!({ "overlap_seconds": 60 })).await;
    let (newer, fresh) = (rotated["key"].as_str().unwrap(), rotated["signing_secret"].as_str().unwrap());
    assert_eq!(
        code(signed(&server, newer, secret, "nonce-000000000001", &body, &body).await),
        refused("signature_invalid")
    );
    assert_eq!(signed(&server, newer, fresh, "nonce-000000000002", &body, &body).await.0, 200);
    assert_eq!(signed(&server, key, secret, "nonce-000000000003", &body, &body).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_start_with_a_key_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let data = data.to_str().unwrap();
    let run = |words: &[&str]| {
        let mut all = vec!["api-key"];
        all.extend(words);
        all.extend(["--data-dir", data]);
        crate::support::guerdon(&all)
    };
    let (code, key, note) = run(&["create", "--name", "Setup", "--role", "developer", "--permission", "members:read"]);
    assert_eq!(code, 0, "{note}");
    let key = key.trim();
    assert!(key.starts_with("grd_key_") && note.contains("cannot be shown again"), "{key} {note}");
    let (_, list, _) = run(&["list"]);
    assert!(list.contains("Setup") && list.contains("members:read") && !list.contains(&key[12..]), "{list}");
    for words in [
        vec!["create", "--name", "None"],
        vec!["create", "--name", "None", "--role", "king"],
        vec!["create", "--name", "None", "--permission", "members:own"],
        vec!["revoke", "key_0000000000000"],
    ] {
        let (code, _, error) = run(&words);
        assert!(code == 1 && error.starts_with("error: "), "{words:?} {error}");
    }

    let server = Server::start(std::path::Path::new(data));
    let setup = Caller::new(&server, key);
    let (status, list) = setup.get("/v1/api-keys").await;
    assert_eq!((status, &list["items"][0]["created_by"]), (200, &json!("cli")));
    // While it is served the directory is the server's.
    let (code, _, error) = run(&["create", "--name", "Other", "--role", "developer"]);
    assert_eq!(code, 1, "{error}");
    drop(server);
    let (_, list, _) = run(&["list", "--json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let id = list[0]["id"].as_str().unwrap();
    assert_eq!(run(&["revoke", id]).0, 0);
    assert!(run(&["list"]).1.contains("no API keys"));
    let (code, out, _) = crate::support::guerdon(&["verify", "--data-dir", data]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn a_key_of_the_environment_that_can_be_guessed_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let mut command = std::process::Command::new(crate::support::GUERDON);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()]);
    let output = command.env("GUERDON_API_KEY", "thirty-one characters in a key!").output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("32 characters") && !error.contains("thirty"), "{error}");
}
