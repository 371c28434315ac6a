//! Stories of the command line: import, bad input, and kill −9 under load.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::json;

use crate::support::{Server, gift_club, guerdon, init};

const MAPPING: &str = "kind = 'purchases'\nenrol_unknown_members = true\nreturn_prefix = 'C'\n[columns]\n\
    activity = 'No'\nmember = 'Who'\ntime = 'When'\nquantity = 'Qty'\nunit_price = 'Price'\n";
const ROWS: &str = "No,Who,When,Qty,Price\n1,ann,2024-01-05 10:00:00,2,30.00\n1,ann,2024-01-05 10:01:00,1,5.50\n\
    2,bob,2024-01-06 09:00:00,x,1.00\n3,ann,2024-01-07 09:00:00,1,12.00\nC4,ann,2024-01-08 09:00:00,-1,12.00\n";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_import_reports_refused_rows_and_is_safe_to_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let (mapping, file, report) =
        (folder.path().join("mapping.toml"), folder.path().join("rows.csv"), folder.path().join("refused.jsonl"));
    std::fs::write(&mapping, MAPPING).unwrap();
    std::fs::write(&file, ROWS).unwrap();
    let import = |more: &[&str]| {
        let mut arguments =
            vec!["import", "--data-dir", text(&data), "--mapping", text(&mapping), text(&file), "--json"];
        arguments.extend(more);
        guerdon(&arguments)
    };
    let (code, out, error) = import(&["--dry-run"]);
    assert_eq!(code, 3, "{out}{error}");
    assert!(out.contains("\"purchase\":2"), "{out}");
    let (_, out, _) = guerdon(&["inspect", "--data-dir", text(&data), "ann"]);
    assert!(out.is_empty(), "a dry run enrols nobody");
    let (code, out, _) = import(&["--report", text(&report)]);
    assert_eq!(code, 3);
    assert!(out.contains("\"accepted\":{\"member\":1,\"purchase\":2,\"return\":1}"), "{out}");
    let refused = std::fs::read_to_string(&report).unwrap();
    assert!(refused.contains("\"row\":4") && refused.contains("`quantity` is `x`"), "{refused}");
    let (_, again, _) = import(&[]);
    assert!(again.contains("\"accepted\":{},\"already_there\":{\"purchase\":2,\"return\":1}"), "{again}");
    // 65 + 12 earned, 12 taken back.
    let (_, account, _) = guerdon(&["inspect", "--data-dir", text(&data), "ann", "--json"]);
    let account: serde_json::Value = serde_json::from_str(&account).unwrap();
    assert_eq!(account["wallets"][0]["balance"]["available"], 65);
    assert_eq!(guerdon(&["verify", "--data-dir", text(&data)]).0, 0);
}

#[test]
fn json_lines_and_members_are_imported_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let (mapping, file) = (folder.path().join("mapping.toml"), folder.path().join("members.jsonl"));
    std::fs::write(&mapping, "kind = 'members'\n[columns]\nexternal_id = 'no'\nemail = 'mail'\n").unwrap();
    std::fs::write(&file, "{\"no\": 7, \"mail\": \"ann@example.org\"}\n{\"no\": 8, \"mail\": \"bob\"}\n").unwrap();
    let (code, out, _) = guerdon(&["import", "--data-dir", text(&data), "--mapping", text(&mapping), text(&file)]);
    assert_eq!(code, 3);
    assert!(out.contains("1 member accepted") && out.contains("row 2: `email`"), "{out}");
}

#[test]
fn what_cannot_be_read_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let mapping = folder.path().join("mapping.toml");
    std::fs::write(&mapping, MAPPING).unwrap();
    let import = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let (code, _, error) =
            guerdon(&["import", "--data-dir", text(&data), "--mapping", text(&mapping), text(&file)]);
        assert_eq!(code, 1, "{name}: {error}");
        error
    };
    assert!(import("rows.csv", b"No,Who\n1,ann\n").contains("no column Qty, When, Price"));
    assert!(import("rows.csv.zst", &zstd::encode_all(ROWS.as_bytes(), 3).unwrap()[..40]).contains("rows.csv.zst"));
    assert!(import("rows.parquet", b"PAR1 and no more").contains("not a whole Parquet file"));
    assert!(import("rows.xls", b"").contains("cannot tell the format"));
    assert!(import("rows.jsonl", b"{\"No\": 1\n").contains("line 1"));
    let (_, out, _) = guerdon(&["inspect", "--data-dir", text(&data), "ann"]);
    assert!(out.is_empty(), "nothing was half-written");
}

/// A Parquet file of purchases whose columns are text, written as other tools write it.
fn parquet(path: &Path, columns: &[&str], rows: &[&[&str]]) {
    let fields: String = columns.iter().map(|column| format!("optional binary {column} (UTF8); ")).collect();
    let schema = Arc::new(parse_message_type(&format!("message sales {{ {fields}}}")).unwrap());
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for index in 0..columns.len() {
        let values: Vec<ByteArray> = rows.iter().map(|row| row[index].into()).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&values, Some(&vec![1; rows.len()]), None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn parquet_is_imported_and_a_missing_column_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let (mapping, file) = (folder.path().join("mapping.toml"), folder.path().join("rows.parquet"));
    std::fs::write(&mapping, MAPPING).unwrap();
    let import = || guerdon(&["import", "--data-dir", text(&data), "--mapping", text(&mapping), text(&file)]);
    parquet(&file, &["No", "Who", "When", "Qty"], &[&["1", "ann", "2024-01-05 10:00:00", "2"]]);
    let (code, _, error) = import();
    assert!(code == 1 && error.contains("no column Price; its columns are No, Who, When, Qty"), "{error}");
    parquet(&file, &["When", "No", "Who", "Qty", "Price"], &[&["2024-01-05 10:00:00", "1", "ann", "2", "30.00"]]);
    let (code, out, error) = import();
    assert!(code == 0 && out.contains("1 purchase accepted"), "{out}{error}");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 9]).unwrap();
    let (code, _, error) = import();
    assert!(code == 1 && error.contains("not a whole Parquet file"), "{error}");
}

#[test]
fn a_disk_that_takes_no_more_stops_an_import_that_then_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let (mapping, file) = (folder.path().join("mapping.toml"), folder.path().join("rows.csv"));
    std::fs::write(&mapping, MAPPING).unwrap();
    let rows: String = (0..20_000).map(|row| format!("{row},m{},2024-01-05 10:00:00,1,9.00\n", row % 500)).collect();
    std::fs::write(&file, format!("No,Who,When,Qty,Price\n{rows}")).unwrap();
    let arguments = ["import", "--data-dir", text(&data), "--mapping", text(&mapping), text(&file), "--json"];
    // A limit on the size of a file stands for the full disk: the system refuses the write.
    let limited = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 4000; exec \"$0\" \"$@\"", crate::support::GUERDON])
        .args(arguments)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&limited.stderr);
    assert!(limited.status.code() == Some(1) && error.contains("run the same import again to go on"), "{error}");
    assert_eq!(guerdon(&["verify", "--data-dir", text(&data)]).0, 0);
    let (code, out, error) = guerdon(&arguments);
    assert!(code == 0 && out.contains("already_there\":{\"purchase\":"), "{out}{error}");
    assert_eq!(guerdon(&["verify", "--data-dir", text(&data)]).0, 0);
}

#[tokio::test]
async fn an_interrupted_server_answers_what_it_has_and_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(10));
    let mut server = Server::start(&data);
    server.member("ann", 500).await;
    assert_eq!(server.interrupt(), 0);
    assert!(!data.join("guerdon.db-wal").exists(), "the log was copied into the database");
    assert_eq!(guerdon(&["verify", "--data-dir", text(&data)]).0, 0);
}

#[test]
fn directories_and_ports_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (code, _, error) = guerdon(&["serve", "--data-dir", text(&data)]);
    assert!(code == 1 && error.contains("guerdon init"), "{error}");
    init(&data, &gift_club(10));
    let server = Server::start(&data);
    let (code, _, error) = guerdon(&["serve", "--data-dir", text(&data), "--listen", "127.0.0.1:0"]);
    assert!(code == 1 && error.contains("in use by another guerdon process"), "{error}");
    // Verifying beside a running server is allowed.
    assert_eq!(guerdon(&["verify", "--data-dir", text(&data)]).0, 0);
    let other = folder.path().join("other");
    init(&other, &gift_club(10));
    let port = server.address.trim_start_matches("http://");
    let (code, _, error) = guerdon(&["serve", "--data-dir", text(&other), "--listen", port]);
    assert!(code == 1 && error.contains("cannot listen on"), "{error}");
    let (code, _, error) = guerdon(&["serve", "--data-dir", text(&other), "--listen", "0.0.0.0:0"]);
    assert!(code == 1 && error.contains("--tls-certificate") && error.contains("--trusted-proxy"), "{error}");
    rusqlite::Connection::open(other.join("guerdon.db")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let (code, _, error) = guerdon(&["serve", "--data-dir", text(&other), "--listen", "127.0.0.1:0"]);
    assert!(code == 1 && error.contains("older binary"), "{error}");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (code, _, error) = guerdon(&["init", "--data-dir", text(&file)]);
    assert!(code == 1 && error.contains("cannot be created"), "{error}");
}

#[test]
fn the_demo_faces_no_network_unless_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for place in [["--listen", "0.0.0.0:0"], ["--listen", "127.0.0.1:0"]] {
        let proxy = ["--trusted-proxy", "10.0.0.0/8"];
        let (code, _, error) = guerdon(&[&["demo", "--data-dir", text(&data)], &place[..], &proxy].concat());
        assert!(code == 1 && error.contains("--on-network"), "{error}");
    }
    assert!(!data.exists(), "it is refused before anything is made");
}

#[test]
fn a_master_key_that_everybody_can_read_is_told_of() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    init(&data, &gift_club(10));
    let key = data.join("master.key");
    let said = || {
        drop(Server::start_logging(&data, &log));
        std::fs::read_to_string(&log).unwrap().contains("can read the master key")
    };
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&key), mode(&data.join("log.key"))), (0o700, 0o600, 0o600));
    // One that is there stays as it is.
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o750)).unwrap();
    assert!(!said() && mode(&data) == 0o750);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(said());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_nine() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    init(&data, &gift_club(1_000_000));
    for round in 0..3 {
        let mut server = Server::start(&data);
        let mut members = Vec::new();
        for number in 0..8 {
            members.push(server.member(&format!("r{round}-m{number}"), 10_000_000).await);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> = members
            .into_iter()
            .map(|member| {
                let (address, client, stop) = (server.address.clone(), server.client.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut acknowledged = Vec::new();
                    for number in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let key = format!("k{number}");
                        let body = json!({ "member_id": member, "reward_id": "voucher-5" }).to_string();
                        let request =
                            client.post(format!("{address}/v1/orders")).header("idempotency-key", &key).body(body);
                        let Ok(response) = request.send().await else { break };
                        if response.status().as_u16() != 201 {
                            break;
                        }
                        let Ok(receipt) = response.text().await else { break };
                        acknowledged.push((member.clone(), key, receipt));
                    }
                    acknowledged
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(700)).await;
        server.kill();
        stop.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        for task in tasks {
            acknowledged.extend(task.await.unwrap());
        }
        assert!(acknowledged.len() > 50, "only {} were acknowledged", acknowledged.len());
        let (code, out, _) = guerdon(&["verify", "--data-dir", text(&data)]);
        assert_eq!(code, 0, "{out}");
        // Every acknowledged command is there once: a retry gives the same bytes.
        let server = Server::start(&data);
        for (member, key, receipt) in acknowledged {
            let body = json!({ "member_id": member, "reward_id": "voucher-5" }).to_string();
            assert_eq!(server.post_text("/v1/orders", &key, body).await, (200, receipt));
        }
    }
}
