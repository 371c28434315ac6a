//! Data are backed up while they are served, restored elsewhere, and taken back to an earlier moment.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use guerdon_store::AuditQuery;
use guerdon_store::read::Reader;
use guerdon_tests::postgres;
use serde_json::json;

use crate::support::{Server, gift_club, gift_club_with_a_campaign, guerdon, init};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A moment between what was acknowledged before and what is asked after, in RFC 3339.
async fn moment() -> String {
    tokio::time::sleep(Duration::from_millis(50)).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    tokio::time::sleep(Duration::from_millis(50)).await;
    guerdon_core::time::Timestamp::from_millis(i64::try_from(now).unwrap()).to_string()
}

fn balance(arguments: &[&str], member: &str) -> i64 {
    let (code, out, error) = guerdon(&[&["inspect", member, "--json"], arguments].concat());
    assert_eq!(code, 0, "{error}");
    serde_json::from_str::<serde_json::Value>(&out).unwrap()["wallets"][0]["balance"]["available"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_backed_up_under_load_and_restored_as_of_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club_with_a_campaign(100));
    let server = Arc::new(Server::start(&data));
    let ann = server.member("ann", 10_000).await;
    let bob = server.member("bob", 0).await;
    let visit = || json!({ "member_id": bob, "activity": { "kind": "visit", "store": "bund" } });
    assert_eq!(server.post("/v1/activities", "first", visit()).await.1["points"], 12);
    let order =
        |member: &str, capture: bool| json!({ "member_id": member, "reward_id": "voucher-5", "capture": capture });
    let (status, held) = server.post("/v1/orders", "held", order(&ann, false)).await;
    assert_eq!(status, 201);
    let (_, spent) = server.post("/v1/orders", "spent", order(&ann, true)).await;
    let good = moment().await;

    // Afterwards a mistake: the held order is released, points are taken, strangers are enrolled. And it goes on.
    let held = held["order"]["id"].as_str().unwrap();
    assert_eq!(server.post(&format!("/v1/orders/{held}/release"), "mistake", json!(null)).await.0, 201);
    let adjust = json!({ "points": -9_000, "reason": "a mistake" });
    assert_eq!(server.post(&format!("/v1/members/{ann}/adjustments"), "wrong", adjust).await.0, 201);
    assert_eq!(server.post("/v1/activities", "second", visit()).await.1["points"], 8);
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let (server, stop) = (Arc::clone(&server), Arc::clone(&stop));
        async move {
            let mut enrolled = 0;
            while !stop.load(Ordering::Relaxed) {
                server.member(&format!("stranger-{enrolled}"), 5).await;
                enrolled += 1;
            }
            enrolled
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let copy = folder.path().join("backup");
    let backup = || guerdon(&["backup", "--data-dir", text(&data), text(&copy)]);
    let (code, out, error) = backup();
    assert!(code == 0 && out.contains("backed up") && out.contains("does not hold the master key"), "{out}{error}");
    assert!(!copy.join("master.key").exists());
    let (code, _, error) = backup();
    assert!(code == 1 && error.contains("never written over"), "{error}");
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.store(true, Ordering::Relaxed);
    assert!(load.await.unwrap() > 10);

    let restore =
        |to: &Path, more: &[&str]| guerdon(&[&["restore", "--data-dir", text(to), text(&copy)], more].concat());
    let (code, _, error) = restore(&data, &[]);
    assert!(code == 1 && error.contains("holds data already"), "{error}");
    let whole = folder.path().join("whole");
    let (code, out, error) = restore(&whole, &[]);
    assert!(code == 0 && out.contains("all invariants hold"), "{out}{error}");
    // The ledger is whole without the master key; personal data open with it alone.
    assert!(out.contains("cannot be read yet"), "{out}");
    let (code, _, error) = guerdon(&["inspect", "ann", "--data-dir", text(&whole)]);
    assert!(code == 1 && error.contains("--master-key"), "{error}");
    let key = data.join("master.key");
    assert_eq!(balance(&["--data-dir", text(&whole), "--master-key", text(&key)], "ann"), 10_000 - 500 - 9_000);

    let earlier = folder.path().join("earlier");
    let (code, out, error) = restore(&earlier, &["--until", &good]);
    assert!(code == 0 && out.contains("all invariants hold") && out.contains("Taken back"), "{out}{error}");
    std::fs::copy(&key, earlier.join("master.key")).unwrap();
    assert_eq!(balance(&["--data-dir", text(&earlier)], "ann"), 10_000 - 1_000);
    // What was done by people stays told, and the return is told as well; the log holds both kinds again.
    let events = Reader::open(&earlier).await.unwrap();
    let events = events.audit_events(&AuditQuery { limit: 1_000, ..AuditQuery::default() }).await.unwrap();
    let actions: Vec<String> = events.iter().map(|entry| entry.event().unwrap().action).collect();
    let (first, last) = (actions.last().unwrap().as_str(), actions.first().unwrap().as_str());
    assert_eq!((first, last), ("program.publish", "data.rewind"));
    // Ann's points, the mistake, and those of the strangers: adjusted by people, some of it taken back since.
    let adjusted = actions.len() - 2;
    assert!(adjusted > 10 && actions[1..=adjusted].iter().all(|action| action == "member.adjust"), "{actions:?}");
    assert!(out.contains(&format!(" {} audit entries", actions.len())), "{out}");
    let again = Server::start(&earlier);
    assert_eq!(again.get(&format!("/v1/orders/{held}")).await.1["state"], "placed");
    assert_eq!(again.get("/v1/rewards").await.1["items"][0]["left"], json!(98));
    // The second visit took something out of a budget, and that is back.
    let taken = again.get("/v1/campaigns").await.1;
    let points: Vec<_> = taken[0]["budgets"].as_array().unwrap().iter().map(|budget| &budget["points"]).collect();
    assert_eq!(points, [12, 12]);
    assert_eq!(again.post("/v1/activities", "second", visit()).await.1["points"], 8);
    // What was acknowledged before the moment is there; what came after can be done anew, under the same key.
    let (status, receipt) = again.post("/v1/orders", "spent", order(&ann, true)).await;
    assert_eq!((status, &receipt), (200, &spent));
    assert_eq!(again.post(&format!("/v1/orders/{held}/release"), "mistake", json!(null)).await.0, 201);
    assert_eq!(again.post("/v1/members", "stranger-0", json!({ "external_id": "stranger-0" })).await.0, 201);
    drop(again);
    assert_eq!(guerdon(&["verify", "--data-dir", text(&earlier)]).0, 0);

    let (code, _, error) =
        guerdon(&["restore", "--data-dir", text(&folder.path().join("none")), text(&data.join("x"))]);
    assert!(code == 1 && error.contains("no backup"), "{error}");
    let (code, _, error) = restore(&folder.path().join("none"), &["--until", "yesterday"]);
    assert!(code == 1 && error.contains("RFC 3339"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_backed_up_restored_and_recovered_to_a_moment() {
    let folder = tempfile::tempdir().unwrap();
    let (database, archive) = postgres::Server::start_with_archive();
    let url = database.database();
    let data = folder.path().join("data");
    let program = folder.path().join("program.toml");
    std::fs::write(&program, gift_club(100)).unwrap();
    let at = ["--data-dir", text(&data), "--database-url", &url];
    let (code, _, error) = guerdon(&[&["init", "--program", text(&program)], &at[..]].concat());
    assert_eq!(code, 0, "{error}");
    let mut base = database.backup();
    let server = Server::start_with(&data, &["--database-url", &url]);
    let ann = server.member("ann", 10_000).await;
    let good = moment().await;
    let adjust = json!({ "points": -9_000, "reason": "a mistake" });
    assert_eq!(server.post(&format!("/v1/members/{ann}/adjustments"), "wrong", adjust).await.0, 201);

    let copy = folder.path().join("backup");
    let (code, _, error) = guerdon(&[&["backup", text(&copy), "--with-master-key"], &at[..]].concat());
    assert_eq!(code, 0, "{error}");
    let (code, _, error) = guerdon(&[&["restore", text(&copy)], &at[..]].concat());
    assert!(code == 1 && error.contains("holds guerdon data already"), "{error}");
    let (new, new_data) = (database.database(), folder.path().join("new"));
    let (code, out, error) = guerdon(&["restore", text(&copy), "--data-dir", text(&new_data), "--database-url", &new]);
    assert!(code == 0 && out.contains("all invariants hold"), "{out}{error}");
    assert!(!out.contains("cannot be read yet"), "{out}");
    assert_eq!(balance(&["--database-url", &new, "--data-dir", text(&new_data)], "ann"), 1_000);
    let restored = Server::start_with(&new_data, &["--database-url", &new]);
    assert_eq!(restored.member("bob", 5).await.len(), ann.len());
    drop(restored);

    // Recovery to the moment before the mistake, from the base backup and the archived log.
    database.sql("postgres", "SELECT pg_switch_wal()");
    let waited = std::time::Instant::now();
    while database
        .sql("postgres", "SELECT count(*) FROM pg_stat_archiver WHERE last_archived_time > now() - interval '10 s'")
        != "1"
    {
        assert!(waited.elapsed() < Duration::from_secs(30), "nothing is archived");
        std::thread::sleep(Duration::from_millis(100));
    }
    base.recover(&archive, &good);
    let recovered = base.same_database(&url);
    assert_eq!(balance(&["--database-url", &recovered, "--data-dir", text(&data)], "ann"), 10_000);
    let (code, out, _) = guerdon(&["verify", "--database-url", &recovered]);
    assert_eq!(code, 0, "{out}");
    let recovered = Server::start_with(&data, &["--database-url", &recovered]);
    assert_eq!(recovered.member("carol", 5).await.len(), ann.len());
}
