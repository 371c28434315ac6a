//! Personal data are sealed wherever they lie, and the master key turns while the server serves.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{GUERDON, KEY, Server, gift_club, guerdon, init};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The files of a folder that hold one of some words.
fn files_with(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, words));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for word in words {
            if bytes.windows(word.len()).any(|part| part == word.as_bytes()) {
                found.push(format!("{} holds {word}", path.display()));
            }
        }
    }
    found
}

fn keys(folder: &Path) -> Vec<String> {
    std::fs::read_to_string(folder.join("master.key")).unwrap().lines().map(str::to_owned).collect()
}

async fn rotated(server: &Server) {
    let started = Instant::now();
    loop {
        let (status, view) = server.get("/v1/keys/rotation").await;
        assert_eq!(status, 200, "{view}");
        if view["retiring"] == json!([]) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{view}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_personal_lies_open_and_the_master_key_turns_while_members_come() {
    let folder = tempfile::tempdir().unwrap();
    let (data, log) = (folder.path().join("data"), folder.path().join("server.log"));
    init(&data, &gift_club(10));
    let mut server = Server::start_logging(&data, &log);
    let person = json!({ "external_id": "CARD-77123", "name": "Philippa Quarrington", "birth_date": "1987-11-23",
        "email": "philippa.q@example.org", "phone": "+44 20 7946 0123", "attributes": { "shoe": "seven-and-half" } });
    let (status, receipt) = server.post("/v1/members", "join", person.clone()).await;
    assert_eq!(status, 201, "{receipt}");
    let (_, page) = server.post("/v1/members/search", "", json!({ "external_id": "CARD-77123" })).await;
    let member = page["items"][0]["id"].clone();
    assert_eq!(member, receipt["member_id"]);
    // A retry and a stranger with the same e-mail address, so that the errors speak as well.
    assert_eq!(server.post("/v1/members", "join", person.clone()).await.0, 200);
    let (status, problem) = server.post("/v1/members", "again", person).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("already_enrolled")));
    for number in 0..300 {
        server.member(&format!("m{number}"), 0).await;
    }

    // The server holds the directory, and rotates by itself.
    let first = keys(&data);
    let (code, _, error) = guerdon(&["keys", "rotate", "--data-dir", text(&data)]);
    assert!(code == 1 && error.contains("--url"), "{error}");
    let done =
        Command::new(GUERDON).args(["keys", "rotate", "--url", &server.address]).env("GUERDON_API_KEY", KEY).output();
    let done = done.unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && said.contains("is in use"), "{said}{}", String::from_utf8_lossy(&done.stderr));
    let second = keys(&data);
    assert!(second.len() == 1 && first.len() == 1 && first != second, "the old key is gone from the file");

    // Killed in the middle of the next rotation, while members enrol; the next start goes on.
    let (status, view) = server.post("/v1/keys/rotation", "", json!(null)).await;
    assert_eq!(status, 202, "{view}");
    server.kill();
    server = Server::start_logging(&data, &log);
    for number in 300..330 {
        server.member(&format!("m{number}"), 0).await;
    }
    rotated(&server).await;
    let (_, page) = server.post("/v1/members/search", "", json!({ "external_id": "CARD-77123" })).await;
    assert_eq!(page["items"][0]["id"], member);
    assert_eq!(page["items"][0]["profile"]["external_id"], "CARD-77123");
    let (_, events) = server.get("/v1/audit?action=master_key.rotate").await;
    assert_eq!(events["items"].as_array().map(Vec::len), Some(2), "{events}");
    assert_eq!(server.interrupt(), 0);

    // On the directory itself, now that nobody serves it.
    let (code, out, error) = guerdon(&["keys", "rotate", "--data-dir", text(&data)]);
    assert!(code == 0 && out.contains("the keys of 331 members"), "{out}{error}");
    let (code, out, _) = guerdon(&["keys", "show", "--data-dir", text(&data)]);
    assert!(code == 0 && out.contains("in use") && out.contains("master.key") && !out.contains("NOT"), "{out}");
    assert_eq!(keys(&data).len(), 1);
    let (code, out, error) = guerdon(&["inspect", "CARD-77123", "--data-dir", text(&data)]);
    assert!(code == 0 && out.contains("Philippa"), "{error}");

    // A wrong key and none: told at the start, and nothing is changed.
    let good = std::fs::read(data.join("master.key")).unwrap();
    std::fs::write(data.join("master.key"), &first[0]).unwrap();
    let (code, _, error) = guerdon(&["serve", "--data-dir", text(&data), "--listen", "127.0.0.1:0"]);
    assert!(code == 1 && error.contains("which is not at hand"), "{error}");
    std::fs::remove_file(data.join("master.key")).unwrap();
    let (code, _, error) = guerdon(&["serve", "--data-dir", text(&data), "--listen", "127.0.0.1:0"]);
    assert!(code == 1 && error.contains("GUERDON_MASTER_KEY") && !data.join("master.key").exists(), "{error}");
    std::fs::write(data.join("master.key"), good).unwrap();
    assert_eq!(guerdon(&["verify", "--data-dir", text(&data)]).0, 0);

    // In no file and no log, not even at the level of traces.
    let words = [
        "CARD-77123",
        "Philippa",
        "Quarrington",
        "philippa.q",
        "7946 0123",
        "79460123",
        "1987-11-23",
        "seven-and-half",
    ];
    let found = files_with(folder.path(), &words);
    assert!(found.is_empty(), "{found:#?}");
    assert!(std::fs::metadata(&log).unwrap().len() > 10_000, "the log was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn rotations_asked_for_without_a_pause_lose_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let (data, log) = (folder.path().join("data"), folder.path().join("server.log"));
    init(&data, &gift_club(10));
    let mut server = Server::start_logging(&data, &log);
    let member = json!({ "external_id": "CARD-1", "name": "Philippa" });
    let (status, member) = server.post("/v1/members", "philippa", member).await;
    assert_eq!(status, 201, "{member}");
    // The worker drops an old key from the file while the next rotation adds its own.
    for _ in 0..100 {
        let ask = || server.post("/v1/keys/rotation", "", json!(null));
        let (one, other) = tokio::join!(ask(), ask());
        for (status, view) in [one, other] {
            assert_eq!(status, 202, "{view}");
        }
    }
    rotated(&server).await;
    server.kill();
    let server = Server::start_logging(&data, &log);
    let path = format!("/v1/members/{}", member["member_id"].as_str().unwrap());
    let (status, member) = server.get(&path).await;
    assert_eq!((status, &member["profile"]["name"]), (200, &json!("P****")), "opened, and shown to few: {member}");
}
