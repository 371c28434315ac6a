//! The keys of personal data on every store: rotation beside enrolments, and databases from before there were keys.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::Arc;

use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Command, Footprint};
use guerdon_core::ledger::Account;
use guerdon_core::members::{MemberRef, Profile, RefKind};
use guerdon_core::privacy::{KeyWrap, Keyring, MasterKey, SEAL_RANDOM};
use guerdon_store::read::Reader;
use guerdon_store::{
    CommandError, DataDir, NowSealed, PostgresStore, Rotated, SqliteStore, Store, StoreError, begin_rotation,
    open_keyring, publish, rotate, seal_plain_members, start_keyring, stored_keyring,
};
use guerdon_tests::postgres::shared;
use guerdon_tests::*;

on_every_store!(a_master_key_is_rotated_beside_enrolments_and_through_restarts);

fn master(number: u8) -> Arc<dyn KeyWrap> {
    Arc::new(MasterKey::new([number; 32]))
}

fn enrol_with(keyring: &Keyring, number: i64) -> Command {
    let (member, random) = (MemberId(number), [u8::try_from(number % 250).unwrap(); SEAL_RANDOM]);
    let key = format!("enrol-{number}");
    Command::enrol(keyring, random, member, &key, today(), &profile(&format!("C-{number}"))).unwrap()
}

fn a_master_key_is_rotated_beside_enrolments_and_through_restarts<B: Backend>() {
    let (mut store, keep) = B::fresh();
    publish(&mut store, &bundle(), today()).unwrap();
    let old = start_keyring(&mut store, master(1), [9; 76]).unwrap();
    assert!(matches!(start_keyring(&mut store, master(1), [8; 76]), Err(StoreError::Conflict)), "it has keys already");
    let mut house = House::<B>::over(store, keep);
    for number in 0..25 {
        house.accepted(&enrol_with(&old, number));
    }
    let (old_id, both) = (old.current_id().to_owned(), [master(1), master(2)]);
    house.look(|store| {
        let stored = stored_keyring(store).unwrap().unwrap();
        assert_eq!((stored.current(), stored.master_keys.len()), (old_id.as_str(), 1));
        let new = begin_rotation(store, &old, master(2), [3; 12]).unwrap();
        assert_ne!(new.current_id(), old_id);
        let again = begin_rotation(store, &new, master(3), [3; 12]);
        assert!(again.unwrap_err().to_string().contains("on its way"));
        // A start needs both keys from now on, and says which one it lacks.
        let missing = open_keyring(store, &[master(2)]).unwrap_err().to_string();
        assert!(missing.contains(&old_id), "{missing}");
    });
    // What was sealed under the old key and is still on its way is taken.
    house.accepted(&enrol_with(&old, 25));
    let mut turned = Vec::new();
    let done = loop {
        // Each round as after a restart: what is known comes from the store.
        let round = house.look(|store| {
            let keyring = open_keyring(store, &both).unwrap().unwrap();
            (rotate(store, &keyring, 10, &mut || [4; 12]).unwrap(), keyring)
        });
        match round {
            (Rotated::Members(count), keyring) => {
                if turned.len() == 1 {
                    house.accepted(&enrol_with(&keyring, 26));
                }
                turned.push(count);
            }
            (Rotated::All, keyring) => break keyring,
            (Rotated::Elsewhere, _) => {
                // The node before us holds the lease until it ends.
                std::thread::sleep(std::time::Duration::from_millis(500));
            }
        }
    };
    assert_eq!(turned.iter().sum::<usize>(), 26, "{turned:?}");
    assert_eq!(turned.last(), Some(&0), "the old key is retired when nothing is under it");
    // A writer that has slept through it all is told so, and nothing is lost.
    let late = house.one(&enrol_with(&old, 27)).unwrap_err();
    assert!(matches!(&late, CommandError::Unavailable(problem) if problem.contains("master key")), "{late}");
    house.accepted(&enrol_with(&done, 27));
    house.look(|store| {
        assert!(store.members_under(&old_id, 10).unwrap().is_empty());
        let alone = open_keyring(store, &[master(2)]).unwrap().unwrap();
        let members = store.members_under(alone.current_id(), 100).unwrap();
        assert_eq!(members.len(), 28);
        for (member, wrapped) in members {
            alone.rewrap(member, alone.current_id(), &wrapped, [5; 12]).expect("the key opens under the new one");
        }
        let reference = alone.reference(RefKind::ExternalId, "C-7");
        let footprint = Footprint { references: vec![reference.clone()], ..Footprint::default() };
        assert_eq!(store.prefetch(&footprint).unwrap().references.get(&reference), Some(&MemberId(7)));
    });
    house.close();
}

/// The profile of a member of the old days.
fn old_profile(number: i64) -> Profile {
    Profile {
        name: Some(format!("Plain Person {number}")),
        email: Some(format!("plain.{number}@example.org")),
        phone: Some(format!("+44 20 7946 {number:04}")),
        ..Profile::default()
    }
}

/// The reference as the old days knew it.
fn plain_reference(kind: RefKind, value: &str) -> MemberRef {
    use sha2::{Digest, Sha256};
    MemberRef { kind, digest: Sha256::digest(kind.normalise(value).as_bytes()).into() }
}

/// A directory as a version before field encryption has left it, with members of whom one has enrolled under `e-7`.
fn old_directory(folder: &Path, members: i64) {
    let connection = rusqlite::Connection::open(folder.join("guerdon.db")).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    for migration in ["schema.sql", "log.sql"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/store/src/sqlite").join(migration);
        connection.execute_batch(&std::fs::read_to_string(file).unwrap()).unwrap();
    }
    connection.pragma_update(None, "user_version", 2).unwrap();
    let transaction = connection.unchecked_transaction().unwrap();
    for number in 0..members {
        let profile = old_profile(number);
        let json = serde_json::to_string(&profile).unwrap();
        transaction.execute("INSERT INTO member VALUES (?1, ?2, ?3)", rusqlite::params![number, 1_000, json]).unwrap();
        let state = Account::default().encode();
        let sql = "INSERT INTO account VALUES (?1, 1, 0, 0, NULL, ?2)";
        transaction.execute(sql, rusqlite::params![number, state]).unwrap();
        let key = format!("e-{number}");
        let references = profile.reference_values().chain([(RefKind::Enrolment, key.as_str())]);
        for reference in references.map(|(kind, value)| plain_reference(kind, value)) {
            let row = rusqlite::params![reference.kind as i64, reference.digest, number];
            transaction.execute("INSERT INTO member_ref VALUES (?1, ?2, ?3)", row).unwrap();
        }
    }
    let request = serde_json::to_string(&("enrol", old_profile(7))).unwrap();
    let digest = plain_reference(RefKind::Enrolment, &request).digest;
    let sql = "INSERT INTO txn VALUES (700, 7, 1, 1000, 0, 'e-7', ?1, 'api', NULL, 'the receipt of old', ?1)";
    transaction.execute(sql, [digest]).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_directory_of_the_old_days_is_sealed_once_through_a_stop_and_found_as_before() {
    let folder = tempfile::tempdir().unwrap();
    old_directory(folder.path(), 2_500);
    let mut store = SqliteStore::open(DataDir::open(folder.path()).unwrap()).unwrap();
    publish(&mut store, &bundle(), today()).unwrap();
    let keyring = start_keyring(&mut store, master(1), [9; 76]).unwrap();
    let mut random = {
        let mut drawn = 0_u64;
        move || {
            drawn += 1;
            let mut bytes = [0; SEAL_RANDOM];
            bytes[..8].copy_from_slice(&drawn.to_be_bytes());
            bytes
        }
    };
    // A part, and then the process is gone.
    let part = store.plain_members(700).unwrap();
    let part: Vec<NowSealed> = part
        .iter()
        .map(|plain| NowSealed {
            member_id: plain.member_id,
            sealed: keyring.seal_profile(plain.member_id, &old_profile(plain.member_id.0), random()).unwrap(),
            references: plain
                .references
                .iter()
                .map(|old| (old.clone(), keyring.keyed(old.kind, &old.digest)))
                .collect(),
        })
        .collect();
    store.seal_plain_members(&part).unwrap();
    drop(store);

    let mut store = SqliteStore::open(DataDir::open(folder.path()).unwrap()).unwrap();
    let keyring = open_keyring(&mut store, &[master(1)]).unwrap().unwrap();
    assert_eq!(seal_plain_members(&mut store, &keyring, &mut random, &|_| {}).unwrap(), 1_800);
    assert_eq!(seal_plain_members(&mut store, &keyring, &mut random, &|_| {}).unwrap(), 0, "once is enough");
    for number in [0, 699, 700, 2_499] {
        let profile = old_profile(number);
        for (kind, value) in profile.reference_values() {
            let (keyed, plain) = (keyring.reference(kind, value), plain_reference(kind, value));
            let footprint = Footprint { references: vec![keyed.clone(), plain.clone()], ..Footprint::default() };
            let found = store.prefetch(&footprint).unwrap().references;
            assert_eq!((found.get(&keyed), found.get(&plain)), (Some(&MemberId(number)), None));
        }
    }
    // A retry of what the old version committed gets the old receipt.
    let retry = Command::enrol(&keyring, random(), MemberId(9_999), "e-7", today(), &old_profile(7)).unwrap();
    let house = House::<Sqlite>::over(store, folder);
    let reply = house.one(&retry).unwrap();
    assert_eq!((reply.receipt.as_str(), reply.replayed), ("the receipt of old", true));
    let other = Command::enrol(&keyring, random(), MemberId(9_998), "e-7", today(), &old_profile(8)).unwrap();
    assert_eq!(house.refused(&other).name(), "idempotency_mismatch");

    let (store, folder) = house.stop();
    drop(store);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(async {
        let reader = Reader::open(folder.path()).await.unwrap();
        reader.members(Some(MemberId(697)), 5).await.unwrap()
    });
    for row in rows {
        let opened = keyring.open_profile(row.id, row.stored.sealed.as_ref().unwrap()).unwrap();
        assert_eq!((opened, row.enrolled_at.as_millis()), (old_profile(row.id.0), 1_000));
    }
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let (path, text) = (file.as_ref().unwrap().path(), std::fs::read(file.unwrap().path()).unwrap());
        for trace in [&b"Plain Person"[..], b"plain.", b"7946"] {
            assert!(!text.windows(trace.len()).any(|part| part == trace), "{} holds plain text", path.display());
        }
    }
}

#[test]
fn two_nodes_that_start_on_a_database_of_the_old_days_seal_it_together() {
    let url = shared().database();
    drop(PostgresStore::create(&url).unwrap());
    let database = url.rsplit('/').next().unwrap();
    let sql =
        "CREATE TABLE member_plain (member_id BIGINT PRIMARY KEY, enrolled_at BIGINT NOT NULL, profile TEXT NOT NULL);
        INSERT INTO member_plain SELECT n, 1000, json_build_object('email', 'plain.' || n || '@example.org')
            FROM generate_series(1, 3000) n;
        INSERT INTO member_ref SELECT 2, sha256(convert_to('plain.' || n || '@example.org', 'UTF8')), n
            FROM generate_series(1, 3000) n";
    shared().sql(database, sql);
    let mut first = PostgresStore::create(&url).unwrap();
    drop(start_keyring(&mut first, master(1), [9; 76]).unwrap());
    let nodes: Vec<_> = (1..=2_u8)
        .map(|number| {
            let url = url.clone();
            std::thread::spawn(move || {
                let mut store = PostgresStore::create(&url).unwrap();
                let keyring = open_keyring(&mut store, &[master(1)]).unwrap().unwrap();
                seal_plain_members(&mut store, &keyring, &mut || [number; SEAL_RANDOM], &|_| {}).unwrap();
            })
        })
        .collect();
    nodes.into_iter().for_each(|node| node.join().unwrap());
    let keyring = open_keyring(&mut first, &[master(1)]).unwrap().unwrap();
    assert_eq!(first.members_under(keyring.current_id(), 10_000).unwrap().len(), 3_000);
    let references: Vec<MemberRef> =
        (1..=3_000).map(|n| keyring.reference(RefKind::Email, &format!("plain.{n}@example.org"))).collect();
    let found = first.prefetch(&Footprint { references, ..Footprint::default() }).unwrap().references;
    assert_eq!(found.len(), 3_000);
    assert_eq!(shared().sql(database, "SELECT count(*), count(DISTINCT member_id) FROM member_ref"), "3000|3000");
    assert_eq!(shared().sql(database, "SELECT to_regclass('member_plain') IS NULL"), "t");
}
