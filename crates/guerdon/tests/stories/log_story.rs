//! An auditor and a member check the log from outside; an insider rewrites the database and is found out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use guerdon_core::ledger::leaf_hash;
use guerdon_core::time::Timestamp;
use guerdon_store::read::Reader;
use rusqlite::Connection;
use serde_json::json;

use crate::support::{Server, gift_club, guerdon, init};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Waits until the log has so many leaves.
async fn logged(server: &Server, size: u64) {
    for _ in 0..100 {
        if server.get("/v1/log/head").await.1["size"].as_u64().unwrap() >= size {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the log does not reach {size}");
}

struct Auditor {
    seen: PathBuf,
    key: String,
}

impl Auditor {
    fn audit(&self, server: &Server) -> (i32, String) {
        let arguments =
            ["audit", "--url", &server.address, "--since", text(&self.seen), "--key", &self.key, "--leaves"];
        let (code, out, error) = guerdon(&arguments);
        (code, out + &error)
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in ["guerdon.db", "log.key", "master.key"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_that_was_rewritten_is_found_by_those_who_kept_a_head() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let mut server = Server::start(&data);
    let ann = server.member("ann", 1_000).await;
    for number in 0..4 {
        let order = json!({ "member_id": ann, "reward_id": "tea", "capture": true });
        let (status, receipt) = server.post("/v1/orders", &format!("o{number}"), order).await;
        assert!(status == 201 || status == 404, "{receipt}");
        server.member(&format!("m{number}"), 10).await;
    }
    logged(&server, 16).await;
    let key = guerdon(&["log-key", "--data-dir", text(&data)]).1.trim().to_owned();
    let auditor = Auditor { seen: folder.path().join("head.json"), key };
    let (code, out) = auditor.audit(&server);
    assert!(code == 0 && out.contains("first head seen") && out.contains("make up the signed root"), "{out}");

    // The program's publication is an act of administration: the first leaf of all, and verified as such.
    let (_, leaves) = server.get("/v1/log/leaves?limit=2").await;
    assert_eq!((&leaves[0]["kind"], &leaves[1]["kind"]), (&json!("audit"), &json!("transaction")));
    let id = leaves[0]["transaction_id"].as_str().unwrap();
    let (status, inclusion) = server.get(&format!("/v1/log/inclusion?transaction_id={id}")).await;
    assert_eq!((status, &inclusion["leaf_index"]), (200, &json!(0)));
    // Five adjustments by a person stand beside it.
    assert!(guerdon(&["verify", "--data-dir", text(&data)]).1.contains(" 6 audit entries"));

    // A member's proof is checked on its own, and not when a figure in it was changed.
    let (_, page) = server.get(&format!("/v1/members/{ann}/transactions")).await;
    let transaction = page["items"][0]["id"].as_str().unwrap().to_owned();
    let (status, proof) = server.text(&format!("/v1/transactions/{transaction}/proof")).await;
    assert_eq!(status, 200);
    let file = folder.path().join("proof.json");
    std::fs::write(&file, &proof).unwrap();
    let check = || guerdon(&["audit", "--proof", text(&file), "--key", &auditor.key]);
    let (code, out, error) = check();
    assert!(code == 0 && out.contains(&transaction), "{out}{error}");
    std::fs::write(&file, proof.replace("1000", "9000")).unwrap();
    let (code, _, error) = check();
    assert!(code == 3 && error.contains("another root"), "{error}");

    server.member("late", 10).await;
    logged(&server, 18).await;
    let (code, out) = auditor.audit(&server);
    assert!(code == 0 && out.contains("nothing was changed"), "{out}");
    assert_eq!(server.interrupt(), 0);

    // An insider makes the publication someone else's act.
    let framed = folder.path().join("framed");
    copy(&data, &framed);
    let database = Connection::open(framed.join("guerdon.db")).unwrap();
    let sql = "UPDATE audit SET actor = 'opr_bob', body = replace(body, '\"cli\"', '\"opr_bob\"') WHERE number = 1";
    assert_eq!(database.execute(sql, []).unwrap(), 1);
    drop(database);
    let (code, out, _) = guerdon(&["verify", "--data-dir", text(&framed)]);
    assert!(code == 3 && out.contains("audit entry 1: its content does not match its hash"), "{out}");

    // An insider changes one transaction with its hash. The ledger is sound in itself; the log knows better.
    let forged = folder.path().join("forged");
    copy(&data, &forged);
    let mut changed =
        Reader::open(&forged).await.unwrap().transaction(transaction.parse().unwrap()).await.unwrap().unwrap();
    changed.at = Timestamp::from_millis(changed.at.as_millis() - 86_400_000);
    let database = Connection::open(forged.join("guerdon.db")).unwrap();
    let sql = "UPDATE txn SET at = ?1, leaf_hash = ?2 WHERE txn_id = ?3";
    database.execute(sql, (changed.at.as_millis(), leaf_hash(&changed), changed.id.0)).unwrap();
    let (code, out, _) = guerdon(&["verify", "--data-dir", text(&forged)]);
    assert!(code == 3 && out.contains(&transaction) && out.contains("the log holds another content"), "{out}");

    // The insider holds the key as well, and makes a new log of the changed past: only who kept a head can tell.
    let sql = "DELETE FROM log_tile; DELETE FROM log_batch; DELETE FROM outbox;
        UPDATE log_head SET size = 0, checkpoint = '';
        INSERT INTO outbox SELECT txn_id, unhex(printf('%016X%016X', txn_id, member_id) || hex(leaf_hash)) FROM txn
            UNION ALL SELECT id, unhex(printf('%016X%016X', id, 0) || hex(hash)) FROM audit;";
    database.execute_batch(sql).unwrap();
    drop(database);
    let mut server = Server::start(&forged);
    logged(&server, 18).await;
    let (code, out, _) = guerdon(&["verify", "--data-dir", text(&forged)]);
    assert_eq!(code, 0, "in itself the forgery is perfect: {out}");
    let (code, out) = auditor.audit(&server);
    assert!(code == 3 && out.contains("AUDIT FAILED"), "{out}");
    server.kill();

    // The same for a past that was cut off.
    let cut = folder.path().join("cut");
    copy(&forged, &cut);
    let database = Connection::open(cut.join("guerdon.db")).unwrap();
    let last = "SELECT MAX(txn_id) FROM txn";
    database.execute_batch(&format!("DELETE FROM txn WHERE txn_id = ({last});{sql}")).unwrap();
    drop(database);
    let server = Server::start(&cut);
    logged(&server, 17).await;
    let (code, out) = auditor.audit(&server);
    assert!(code == 3 && out.contains("cut off"), "{out}");
    let (code, out, _) = guerdon(&["verify", "--data-dir", text(&cut)]);
    assert!(code == 3 && out.contains("account mem_"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_and_the_auditor_follows() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let key = guerdon(&["log-key", "--data-dir", text(&data)]).1.trim().to_owned();
    let auditor = Auditor { seen: folder.path().join("head.json"), key: key.clone() };
    let mut server = Server::start(&data);
    server.member("ann", 10).await;
    logged(&server, 3).await;
    assert_eq!(auditor.audit(&server).0, 0);
    assert_eq!(server.interrupt(), 0);
    let (code, out, error) = guerdon(&["log-key", "--data-dir", text(&data), "--rotate"]);
    assert!(code == 0 && out.trim() != key, "{error}");
    let mut server = Server::start(&data);
    server.member("bob", 10).await;
    logged(&server, 6).await;
    let (code, out) = auditor.audit(&server);
    assert_eq!(code, 0, "{out}");
    let (code, _, error) = guerdon(&["audit", "--url", &server.address, "--since", text(&auditor.seen)]);
    assert_eq!(code, 0, "{error}");
    server.kill();
    // A stranger's key is no key of this log, neither for the auditor nor for the server.
    let other = folder.path().join("other");
    init(&other, &gift_club(10));
    std::fs::copy(other.join("log.key"), data.join("log.key")).unwrap();
    let (code, _, error) = guerdon(&["serve", "--data-dir", text(&data), "--listen", "127.0.0.1:0"]);
    assert!(code == 1 && error.contains("another key"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_cannot_answer_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    // A server without the key leaves the log to another, so that it stays empty.
    let server = Server::start_with(&data, &["--log-key", text(&folder.path().join("elsewhere.key"))]);
    for (path, status, code) in [
        ("/v1/log/inclusion?transaction_id=txn_0000000000001", 404, "not_in_log"),
        ("/v1/log/inclusion?transaction_id=7", 404, "invalid_id"),
        ("/v1/log/inclusion?transaction_id=txn_0000000000001&size=9", 400, "invalid_query"),
        ("/v1/log/inclusion", 400, "invalid_query"),
        ("/v1/log/consistency?from=5&to=2", 400, "invalid_query"),
        ("/v1/log/consistency?from=-1", 400, "invalid_query"),
        ("/v1/log/leaves?limit=1001", 400, "invalid_query"),
        ("/v1/transactions/txn_0000000000001/proof", 404, "not_in_log"),
    ] {
        let (found, problem) = server.get(path).await;
        assert_eq!((found, problem["code"].as_str()), (status, Some(code)), "{path}: {problem}");
    }
    assert_eq!(server.get("/v1/log/leaves?from=99999999999").await, (200, json!([])));
    let (code, _, error) = guerdon(&["audit", "--url", &server.address]);
    assert!(code == 1 && error.contains("--key"), "{error}");
    let (code, _, error) = guerdon(&["audit", "--url", &server.address, "--key", "nonsense"]);
    assert!(code == 1 && error.contains("name+0123abcd+base64"), "{error}");
    let key = guerdon(&["log-key", "--data-dir", text(&data)]).1.trim().to_owned();
    let (code, out, _) = guerdon(&["audit", "--url", &server.address, "--key", &key]);
    assert!(code == 0 && out.contains("empty"), "{out}");
    let (code, _, error) = guerdon(&["audit", "--url", "http://127.0.0.1:1", "--key", &key]);
    assert!(code == 1 && error.contains("127.0.0.1:1"), "{error}");
}
