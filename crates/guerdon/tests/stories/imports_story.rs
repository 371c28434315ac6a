//! Files are imported through the server: read at once, agreed to by another person, and sent once, come what may.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::person::Person;
use crate::support::{Server, gift_club, guerdon, init};

const MAPPING: &str = "kind = \"purchases\"\nenrol_unknown_members = true\n[columns]\nactivity = \"no\"\n\
                       member = \"who\"\ntime = \"at\"\namount = \"total\"\n";

/// Purchases of 100 each, by a hundred members in turn.
fn purchases(count: usize) -> String {
    let mut text = "no,who,at,total\n".to_owned();
    for number in 0..count {
        writeln!(text, "R{number},C{},2026-03-01T10:00:00Z,100.00", number % 100).unwrap();
    }
    text
}

async fn upload(person: &mut Person, key: &str, name: &str, file: &[u8]) -> (u16, Value) {
    person.upload("/v1/imports", key, &[("mapping", MAPPING), ("reason", "last month's tills")], (name, file)).await
}

/// Waits until an import has ended.
async fn ended(server: &Server, id: &str) -> Value {
    for _ in 0..600 {
        let import = server.get(&format!("/v1/imports/{id}")).await.1;
        if import["stage"] == "done" || import["stage"] == "failed" {
            return import;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the import does not end");
}

fn parts(data: &Path) -> i64 {
    let database = rusqlite::Connection::open(data.join("guerdon.db")).unwrap();
    database.query_row("SELECT count(*) FROM record WHERE kind = 'import_part'", [], |row| row.get(0)).unwrap()
}

async fn purchases_of(server: &Server, number: &str) -> usize {
    let search = serde_json::json!({ "external_id": number });
    let members = server.post("/v1/members/search", "", search).await.1;
    let Some(id) = members["items"][0]["id"].as_str().or(members[0]["id"].as_str()) else { return 0 };
    let page = server.get(&format!("/v1/members/{id}/transactions?limit=200")).await.1;
    page["items"].as_array().unwrap().iter().filter(|row| row["kind"] == "activity").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_waits_for_another_person_and_is_sent_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let mut fred = Person::invited(&server, "fred@example.org", "Fred", "administrator").await;

    // A small file goes through by itself.
    let (status, small) = upload(&mut fred, "small", "small.csv", purchases(10).as_bytes()).await;
    assert_eq!(status, 202, "{small}");
    let small = ended(&server, small["id"].as_str().unwrap()).await;
    assert_eq!((&small["stage"], &small["accepted"]["purchase"]), (&"done".into(), &10.into()), "{small}");

    // A large one waits for somebody else.
    let (status, large) = upload(&mut fred, "large", "large.csv", purchases(300).as_bytes()).await;
    assert_eq!((status, &large["stage"], &large["rows"]), (202, &"waiting".into(), &300.into()), "{large}");
    let (id, approval) = (large["id"].as_str().unwrap(), large["approval"].as_str().unwrap());
    assert_eq!(upload(&mut fred, "large", "large.csv", purchases(300).as_bytes()).await.1["id"], id, "the same again");
    assert!(parts(&data) > 0);
    let decision = format!("/v1/approvals/{approval}/decision");
    let (status, problem) = fred.json(&decision, &serde_json::json!({ "approve": true })).await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("four_eyes")), "{problem}");
    assert!(olga.get("/console/approvals").await.1.contains("300"));
    let (status, done) = olga.json(&decision, &serde_json::json!({ "approve": true })).await;
    assert_eq!((status, done["stage"].as_str()), (200, Some("done")), "{done}");
    let large = ended(&server, id).await;
    assert_eq!(
        (&large["accepted"]["purchase"], &large["already_there"]["purchase"]),
        (&290.into(), &10.into()),
        "{large}"
    );
    assert_eq!(parts(&data), 0, "the file is deleted once it is sent");

    // What is rejected is deleted, and never sent.
    let (_, refused) = upload(&mut fred, "no", "no.csv", purchases(400).as_bytes()).await;
    let decision = format!("/v1/approvals/{}/decision", refused["approval"].as_str().unwrap());
    assert_eq!(olga.json(&decision, &serde_json::json!({ "approve": false })).await.0, 200);
    let id = refused["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/v1/imports/{id}")).await.1["stage"], "rejected");
    assert_eq!(parts(&data), 0);

    // All of it stands in the audit log, and the pages show it.
    let audit = server.get("/v1/audit?action=import.").await.1.to_string();
    assert!(["import.upload", "import.done"].iter().all(|action| audit.contains(action)), "{audit}");
    let page = fred.get("/console/imports").await.1;
    assert!(page.contains("large.csv") && page.contains("380 accepted, 10 known already, 0 refused"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let good = purchases(2);
    let mut refused = async |name: &str, file: &[u8], mapping: &str, reason: &str| -> (u16, String) {
        let fields = [("mapping", mapping), ("reason", reason)];
        let (status, problem) = olga.upload("/v1/imports", "bad", &fields, (name, file)).await;
        (status, problem["detail"].as_str().unwrap_or_default().to_owned())
    };
    let (status, words) = refused("tills.csv", b"\x89PNG\r\n\x1a\n\0\0\0", MAPPING, "tills").await;
    assert!(status == 422 && words.contains("CSV"), "{status} {words}");
    let (status, words) = refused("tills.exe", good.as_bytes(), MAPPING, "tills").await;
    assert!(status == 422 && words.contains(".jsonl"), "{status} {words}");
    for (name, mapping) in
        [("tills.parquet", MAPPING.to_owned()), ("tills.csv", format!("format = 'parquet'\n{MAPPING}"))]
    {
        let (status, words) = refused(name, good.as_bytes(), &mapping, "tills").await;
        assert!(status == 422 && words.contains("Parquet is read by `guerdon import`"), "{status} {words}");
    }
    let (status, words) = refused("../../etc/passwd", good.as_bytes(), MAPPING, "tills").await;
    assert!(status == 422 && words.contains(".csv"), "{status} {words}");
    let (status, words) = refused("tills.csv", good.as_bytes(), "kind = 'purchases'\n[columns]\n", "tills").await;
    assert!(status == 422 && words.contains("`activity`"), "{status} {words}");
    let (status, words) = refused("tills.csv", b"a,b\n1,2\n", MAPPING, "tills").await;
    assert!(status == 422 && words.contains("no column"), "{status} {words}");
    let (status, words) = refused("tills.csv", good.as_bytes(), MAPPING, "").await;
    assert!(status == 422 && words.contains("`reason`"), "{status} {words}");
    let (status, words) = refused("tills.csv.zst", good.as_bytes(), MAPPING, "tills").await;
    assert!(status == 422 && words.contains("zstd"), "{status} {words}");
    let (status, words) = refused("tills.csv", &vec![b'a'; 33 << 20], MAPPING, "tills").await;
    assert!(status == 413 && words.contains("33554432"), "{status} {words}");
    // In little, something that unfolds without an end.
    let mut bomb = zstd::Encoder::new(Vec::new(), 3).unwrap();
    std::io::Write::write_all(&mut bomb, purchases(2).as_bytes()).unwrap();
    (0..600).for_each(|_| {
        std::io::Write::write_all(&mut bomb, &b"R9,C1,2026-03-01T10:00:00Z,1\n".repeat(1 << 15)).unwrap()
    });
    let (status, words) = refused("tills.csv.zst", &bomb.finish().unwrap(), MAPPING, "tills").await;
    assert!(status == 422 && words.contains("split it"), "{status} {words}");
    assert_eq!(server.get("/v1/imports").await.1, serde_json::json!([]), "nothing is kept of them");
    assert_eq!(parts(&data), 0);

    // A bad row among good ones is said with its number, and the others go through.
    let file = format!("{good}R9,C1,yesterday,5\n");
    let (status, import) = upload(&mut olga, "one", "tills.csv", file.as_bytes()).await;
    assert_eq!(status, 202, "{import}");
    let import = ended(&server, import["id"].as_str().unwrap()).await;
    assert_eq!((&import["accepted"]["purchase"], &import["refused_rows"]), (&2.into(), &2.into()), "{import}");
    assert_eq!(import["problems"][0]["row"], 4, "{import}");
    let page = olga.get(&format!("/console/imports/{}", import["id"].as_str().unwrap())).await.1;
    assert!(page.contains("yesterday"), "{page}");
    let mut stranger = Person::new(&server);
    assert_eq!(upload(&mut stranger, "x", "tills.csv", good.as_bytes()).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_cut_off_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let mut server = Server::start(&data);
    let mut olga = Person::new(&server);
    olga.set_up(&server.setup_link, "olga@example.org", "Olga", "seven sunny orange bicycles").await;
    let mut fred = Person::invited(&server, "fred@example.org", "Fred", "administrator").await;
    let (_, import) = upload(&mut fred, "all", "all.csv", purchases(20_000).as_bytes()).await;
    let id = import["id"].as_str().unwrap();
    let decision = format!("/v1/approvals/{}/decision", import["approval"].as_str().unwrap());
    assert_eq!(olga.json(&decision, &serde_json::json!({ "approve": true })).await.0, 200);
    let mut kills = 0;
    for _ in 0..100 {
        let now = server.get(&format!("/v1/imports/{id}")).await.1;
        if now["stage"] == "done" {
            break;
        }
        if now["stage"] == "running" && kills < 3 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            server.kill();
            kills += 1;
            drop(server);
            server = Server::start(&data);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let import = ended(&server, id).await;
    assert!(kills > 0, "it was over before it could be cut off: {import}");
    let count = |field: &str| import[field]["purchase"].as_u64().unwrap_or(0);
    assert_eq!(count("accepted") + count("already_there"), 20_000, "{import}");
    assert_eq!(purchases_of(&server, "C7").await, 200);
    drop(server);
    let (code, out, _) = guerdon(&["verify", "--data-dir", data.to_str().unwrap()]);
    assert!(code == 0 && out.contains("all invariants hold"), "{out}");
}
