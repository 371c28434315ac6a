//! The disk fills up and the database turns read-only under a running server: it refuses, keeps what it has, and goes on.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use guerdon_tests::postgres;
use serde_json::{Value, json};

use crate::support::{Server, gift_club, guerdon, init};

/// A small file system of its own; `None` where the tests may not mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, megabytes: u32) -> Option<Self> {
        let place = folder.join("disk");
        std::fs::create_dir_all(&place).unwrap();
        // PostgreSQL's own user must get there.
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(&place)
            .output();
        if mount.is_ok_and(|done| done.status.success()) {
            return Some(Self(place));
        }
        println!("SKIPPED: a small file system cannot be mounted here");
        None
    }

    /// Fills the disk to the last byte, and frees it again.
    fn fill(&self) {
        let to = format!("of={}", self.0.join("ballast").display());
        drop(Command::new("dd").args(["if=/dev/zero", &to, "bs=4096"]).output().unwrap());
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what still runs on it may end later.
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

fn adjust(points: i64) -> Value {
    json!({ "points": points, "reason": "a fault" })
}

/// Adjusts until the answer has this status; returns how long it took. Every attempt has its key, which is returned too.
async fn until(server: &Server, member: &str, status: u16, key: &str) -> Duration {
    let asked = Instant::now();
    let path = format!("/v1/members/{member}/adjustments");
    for attempt in 0.. {
        // A refused attempt is repeated under its key once the fault is mended.
        let key = if status == 503 { format!("{key}-{attempt}") } else { key.to_owned() };
        let (found, answer) = server.post(&path, &key, adjust(1)).await;
        if found == status || (status == 201 && found == 200) {
            return asked.elapsed();
        }
        assert!(matches!(found, 201 | 503), "{found} {answer}");
        assert!(asked.elapsed() < Duration::from_secs(40), "no {status}: {answer}");
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_refused_and_the_server_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path(), 64) else { return };
    let data = disk.0.join("data");
    std::fs::create_dir_all(&data).unwrap();
    init(&data, &gift_club(10));
    let mut server = Server::start(&data);
    let ann = server.member("ann", 100).await;
    disk.fill();
    until(&server, &ann, 503, "full").await;
    assert_eq!(server.get(&format!("/v1/members/{ann}")).await.0, 200, "what can be read is read");
    disk.free();
    let back = until(&server, &ann, 201, "room").await;
    println!("the server on SQLite answers {back:?} after there is room again");
    assert_eq!(server.interrupt(), 0);
    assert_eq!(guerdon(&["verify", "--data-dir", data.to_str().unwrap()]).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_disk_is_full_or_read_only_is_refused_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path(), 400) else { return };
    let mut database = postgres::Server::start_in(&disk.0);
    let url = database.database();
    let program = folder.path().join("program.toml");
    std::fs::write(&program, gift_club(10)).unwrap();
    let (data, program) = (folder.path().to_str().unwrap(), program.to_str().unwrap());
    let (code, _, error) = guerdon(&["init", "--data-dir", data, "--database-url", &url, "--program", program]);
    assert_eq!(code, 0, "{error}");
    let server = Server::start_with(folder.path(), &["--database-url", &url]);
    let ann = server.member("ann", 100).await;

    // An operator, or a failover, makes the database read-only under the server.
    let read_only = |value: &str| {
        database.sql("postgres", &format!("ALTER SYSTEM SET default_transaction_read_only = {value}"));
        database.sql("postgres", "SELECT pg_reload_conf()");
    };
    read_only("on");
    until(&server, &ann, 503, "read-only").await;
    read_only("off");
    let back = until(&server, &ann, 201, "writable").await;
    println!("the server on PostgreSQL answers {back:?} after the database takes writes again");

    disk.fill();
    until(&server, &ann, 503, "full").await;
    disk.free();
    // A database that could not write its log stops itself; whoever supervises it starts it again.
    database.revive();
    let back = until(&server, &ann, 201, "room").await;
    println!("the server on PostgreSQL answers {back:?} after there is room again");
    assert_eq!(guerdon(&["verify", "--database-url", &url]).0, 0);
}
