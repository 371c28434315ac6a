//! A member's card at the till: checked by the server, checked without one, and in place of the member id.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use guerdon_core::id::MemberId;
use guerdon_core::members::{CardKey, card_number, grouped_card_number};
use guerdon_core::privacy::{KeyWrap, MasterKey};
use guerdon_core::time::Timestamp;
use guerdon_store::{DataDir, SqliteStore, open_keyring};
use serde_json::{Value, json};

use crate::support::{Server, gift_club, guerdon, init};

/// The key that signs the cards, as only the server has it.
fn card_key(data: &Path) -> CardKey {
    let masters = MasterKey::parse_all(&std::fs::read_to_string(data.join("master.key")).unwrap()).unwrap();
    let masters: Vec<Arc<dyn KeyWrap>> =
        masters.into_iter().map(|master| Arc::new(master) as Arc<dyn KeyWrap>).collect();
    let mut store = SqliteStore::open(DataDir::open(data).unwrap()).unwrap();
    CardKey::of(&open_keyring(&mut store, &masters).unwrap().unwrap())
}

fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(elapsed.as_millis() as i64)
}

async fn verify(server: &Server, card: &str) -> (u16, Value) {
    server.post("/v1/cards/verify", "", json!({ "card": card })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ann_shows_her_card_at_the_till() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    drop(Server::start(&data));
    let key = card_key(&data);
    let server = Server::start(&data);
    let ann = server.member("ann", 1_000).await;
    let id: MemberId = ann.parse().unwrap();

    // The key is open to the world, and the same that the command shows.
    let answer = reqwest::get(format!("{}/v1/cards/key", server.address)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let public: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!((&public["format"], &public["algorithm"]), (&json!("GD1"), &json!("Ed25519")));
    let public = public["public_key"].as_str().unwrap();
    assert_eq!(public, key.public().to_string());
    let (code, out, error) = guerdon(&["card", "key", "--data-dir", data.to_str().unwrap()]);
    assert_eq!((code, out.trim()), (0, public), "{error}");

    // Signed now: proved. The number: found, and nothing proved.
    let card = key.show(id, now());
    assert_eq!(verify(&server, &card).await, (200, json!({ "member_id": ann, "proved": true, "status": "active" })));
    let (status, view) = verify(&server, &grouped_card_number(id)).await;
    assert_eq!((status, &view["member_id"], &view["proved"]), (200, &json!(ann), &json!(false)));

    // Offline, with the public key and nothing else.
    let (code, out, _) = guerdon(&["card", "verify", "--key", public, &card]);
    assert_eq!((code, out.trim()), (0, ann.as_str()));
    let (code, out, _) = guerdon(&["card", "verify", "--key", public, &card_number(id)]);
    assert_eq!((code, out.trim()), (0, ann.as_str()));

    // What is not accepted, by the server and without it.
    let stale = key.show(id, now().plus_millis(-90_000));
    let early = key.show(id, now().plus_millis(90_000));
    let other = CardKey::new(&[7; 32]).show(id, now());
    let mut digit = card_number(id);
    digit.replace_range(19..20, if digit.ends_with('0') { "1" } else { "0" });
    let cut = &card[..card.len() - 1];
    for (wrong, problem) in [
        (stale.as_str(), "card_stale"),
        (&early, "card_early"),
        (&other, "card_forged"),
        (&digit, "card_wrong_digit"),
        (cut, "card_unreadable"),
        ("", "card_unreadable"),
    ] {
        let (status, answer) = verify(&server, wrong).await;
        assert_eq!((status, answer["code"].as_str()), (422, Some(problem)), "{answer}");
        let (code, out, error) = guerdon(&["card", "verify", "--key", public, wrong]);
        assert_eq!((code, out.as_str()), (3, ""), "{wrong}: {error}");
    }
    let (status, answer) = verify(&server, &card_number(MemberId(1))).await;
    assert_eq!((status, answer["code"].as_str()), (404, Some("unknown_member")));

    // In place of the member id: credited by the number, spent with the QR code.
    let activity = json!({ "kind": "purchase", "amount": 5_000 });
    let body = json!({ "card": card_number(id), "activity": activity });
    let (status, receipt) = server.post("/v1/activities", "inv-1", body).await;
    assert_eq!((status, &receipt["member_id"]), (201, &json!(ann)), "{receipt}");
    let order = json!({ "card": key.show(id, now()), "reward_id": "voucher-5", "capture": true });
    let (status, receipt) = server.post("/v1/orders", "ord-1", order).await;
    assert_eq!((status, &receipt["member_id"]), (201, &json!(ann)), "{receipt}");
    // The answer was lost, and the card is stale by now: the same request by the member id gives the same receipt.
    let again = json!({ "member_id": ann, "reward_id": "voucher-5", "capture": true });
    assert_eq!(server.post("/v1/orders", "ord-1", again).await, (200, receipt));
    let both = json!({ "card": card_number(id), "member_id": ann, "activity": activity });
    let (status, answer) = server.post("/v1/activities", "inv-2", both).await;
    assert_eq!((status, answer["code"].as_str()), (400, Some("invalid_request")));
    let (status, answer) = server.post("/v1/activities", "inv-2", json!({ "card": stale, "activity": activity })).await;
    assert_eq!((status, answer["code"].as_str()), (422, Some("card_stale")));

    // A printed card of an account that was merged leads to the one that goes on.
    let bob = server.member("bob", 0).await;
    let merge = json!({ "from": ann, "reason": "one person" });
    let (status, receipt) = server.post(&format!("/v1/members/{bob}/merge"), "mrg-1", merge).await;
    assert_eq!(status, 201, "{receipt}");
    let (_, view) = verify(&server, &card_number(id)).await;
    assert_eq!((&view["member_id"], &view["status"]), (&json!(bob), &json!("active")));
    let body = json!({ "card": card_number(id), "activity": activity });
    let (status, receipt) = server.post("/v1/activities", "inv-3", body).await;
    assert_eq!((status, &receipt["member_id"]), (201, &json!(bob)), "{receipt}");
}
