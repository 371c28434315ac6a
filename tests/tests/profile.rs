//! Changes of members' profiles on every store: the references that follow, updates that must not be lost, and what a
//! change meets on its way: a rotation of the keys, a merge, an erasure, another node, a return to the past.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Command, Footprint, Receipt, RefusalCode};
use guerdon_core::ledger::TransactionKind;
use guerdon_core::members::{Profile, RefKind};
use guerdon_core::privacy::{KeyWrap, Keyring, MasterKey, NONCE, SealedProfile};
use guerdon_core::time::Timestamp;
use guerdon_store::read::Reader;
use guerdon_store::{
    CommandError, DataDir, Engine, PostgresStore, Rotated, SqliteStore, Store, StoreError, begin_rotation, publish,
    rewind, rotate, start_keyring, verify,
};
use guerdon_tests::postgres::{Postgres, shared};
use guerdon_tests::*;
use serde_json::{Map, Value, json};

on_every_store!(
    a_profile_changes_with_its_references,
    a_change_over_another_profile_is_refused,
    what_one_frees_another_takes_in_the_same_batch,
    a_change_meets_the_end_of_an_account,
    a_change_leaves_the_wrapped_key_to_a_rotation,
);

fn patch(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn change_with(keyring: &Keyring, member: MemberId, key: &str, read: &SealedProfile, nonce: u8, to: Value) -> Command {
    Command::change_profile(keyring, [nonce; NONCE], member, key, today(), read, &patch(to)).unwrap()
}

/// A change over a profile as [`enrol`] has sealed it.
fn change(member: MemberId, key: &str, before: &Profile, to: Value) -> Command {
    let read = test_keyring().seal_profile(member, before, [3; 56]).unwrap();
    change_with(test_keyring(), member, key, &read, 7, to)
}

fn led<S: Store>(store: &mut S, kind: RefKind, value: &str) -> Option<MemberId> {
    let reference = test_keyring().reference(kind, value);
    let footprint = Footprint { references: vec![reference.clone()], ..Footprint::default() };
    store.prefetch(&footprint).unwrap().references.get(&reference).copied()
}

fn version<S: Store>(store: &mut S, member: MemberId) -> Option<[u8; 32]> {
    let footprint = Footprint { profiles: vec![member], ..Footprint::default() };
    store.prefetch(&footprint).unwrap().profiles.get(&member).copied()
}

fn known(number: &str) -> Profile {
    Profile {
        email: Some(format!("{number}@example.org")),
        phone: Some(format!("+44 20 7946 {number}")),
        ..profile(&format!("C-{number}"))
    }
}

fn member<B: Backend>(house: &mut House<B>, number: &str) -> (MemberId, Profile) {
    let (member, key, profile) = (house.new_member_id(), house.key(), known(number));
    house.accepted(&enrol(member, &key, at("2020-01-01T00:00:00Z"), &profile).unwrap());
    (member, profile)
}

fn a_profile_changes_with_its_references<B: Backend>() {
    let mut house = House::<B>::new();
    let (ann, before) = member(&mut house, "0001");
    let (bob, _) = member(&mut house, "0002");
    let to = json!({ "phone": "+44 20 7946 0009", "email": null, "name": "Ann" });
    let moved = change(ann, "move", &before, to.clone());
    let receipt = house.accepted(&moved);
    assert_eq!((receipt.kind, receipt.points), (TransactionKind::Profile, 0));
    assert_eq!(receipt.fields, ["name", "email", "phone"]);
    let text = house.receipt(&moved);
    assert!(!text.contains("0009") && !text.contains("Ann") && !text.contains("example"), "{text}");
    assert!(house.one(&moved).unwrap().replayed, "asked again it is answered, not done again");
    let other = change(ann, "move", &before, json!({ "phone": "+44 20 7946 0008" }));
    assert_eq!(house.refused(&other), RefusalCode::IdempotencyMismatch);
    house.look(|store| {
        assert_eq!(led(store, RefKind::Phone, "+442079460009"), Some(ann));
        assert_eq!(led(store, RefKind::Phone, "+442079460001"), None);
        assert_eq!(led(store, RefKind::Email, "0001@example.org"), None);
        assert_eq!(led(store, RefKind::ExternalId, "C-0001"), Some(ann), "what is not named stays");
    });
    // What Ann gave up is free for others, and what another has is refused as at an enrolment.
    let now = before.patched(&patch(to)).unwrap();
    let read = test_keyring().reseal_profile(ann, &sealed_of(ann, &before), &now, [7; NONCE]).unwrap();
    let read = SealedProfile { ciphertext: read, ..sealed_of(ann, &before) };
    let taken = change_with(test_keyring(), ann, "taken", &read, 8, json!({ "email": "0002@EXAMPLE.org" }));
    assert_eq!(house.refused(&taken), RefusalCode::AlreadyEnrolled);
    let (eve, key) = (house.new_member_id(), house.key());
    house.accepted(&enrol(eve, &key, today(), &Profile { email: before.email, ..Profile::default() }).unwrap());
    assert_eq!(house.look(|store| led(store, RefKind::Email, "0001@example.org")), Some(eve));
    // Another way to write the same address is no other reference.
    let same = change(bob, "same", &known("0002"), json!({ "email": "0002@Example.org", "phone": "+442079460002" }));
    assert_eq!(house.accepted(&same).fields, ["email", "phone"]);
    assert_eq!(house.look(|store| led(store, RefKind::Phone, "+44 20 7946 0002")), Some(bob));
    let nobody = change(MemberId(1), "nobody", &known("0001"), json!({ "name": "Ann" }));
    assert_eq!(house.refused(&nobody), RefusalCode::UnknownMember);
    house.close();
}

fn sealed_of(member: MemberId, profile: &Profile) -> SealedProfile {
    test_keyring().seal_profile(member, profile, [3; 56]).unwrap()
}

fn a_change_over_another_profile_is_refused<B: Backend>() {
    let mut house = House::<B>::new();
    let (ann, before) = member(&mut house, "0001");
    let (first, second) = (json!({ "phone": "+44 20 7946 0011" }), json!({ "phone": "+44 20 7946 0012" }));
    // Two that have read the same profile, in one batch.
    let both = vec![change(ann, "1", &before, first), change(ann, "2", &before, second.clone())];
    let outcomes = house.submit(both);
    assert!(outcomes[0].is_ok());
    assert_eq!(refusal_code(&outcomes[1]), Some(RefusalCode::ProfileChanged));
    let late = change(ann, "3", &before, json!({ "name": "Ann" }));
    assert_eq!(house.refused(&late), RefusalCode::ProfileChanged);
    let current = house.look(|store| version(store, ann)).unwrap();
    house.accepted(&change(ann, "4", &before, json!({ "name": "Ann" })).over(current));
    house.look(|store| {
        assert_ne!(version(store, ann), Some(current));
        assert_eq!(led(store, RefKind::Phone, "+442079460011"), Some(ann));
        assert_eq!(led(store, RefKind::Phone, "+442079460012"), None);
    });
    // An enrolment and its change in one batch: the change has read what is not there yet, and knows it.
    let eve = house.new_member_id();
    let together = vec![
        enrol(eve, "join", today(), &known("0005")).unwrap(),
        change(eve, "and change", &known("0005"), json!({ "email": "eve@example.org" })),
    ];
    assert!(house.submit(together).iter().all(Result::is_ok));
    assert_eq!(house.look(|store| led(store, RefKind::Email, "eve@example.org")), Some(eve));
    house.close();
}

fn what_one_frees_another_takes_in_the_same_batch<B: Backend>() {
    let mut house = House::<B>::new();
    let (ann, before) = member(&mut house, "0001");
    let (bob, bobs) = member(&mut house, "0002");
    let (eve, _) = member(&mut house, "0003");
    let (zoe, key) = (house.new_member_id(), house.key());
    let batch = vec![
        change(ann, "free", &before, json!({ "phone": "+44 20 7946 0009" })),
        change(bob, "take", &bobs, json!({ "phone": "+44 20 7946 0001" })),
        enrol(zoe, &key, today(), &Profile { phone: bobs.phone.clone(), ..Profile::default() }).unwrap(),
        Command::erase(eve, "erase", today()).unwrap(),
    ];
    let outcomes = house.submit(batch);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    house.look(|store| {
        for (number, whose) in [("0009", ann), ("0001", bob), ("0002", zoe)] {
            assert_eq!(led(store, RefKind::Phone, &format!("+44 20 7946 {number}")), Some(whose), "{number}");
        }
        assert_eq!(led(store, RefKind::Phone, "+44 20 7946 0003"), None);
    });
    // Free in the end is also what was taken and given up within a batch.
    let round = |member, key: &str, read: &Profile, nonce, to: &str| {
        change_with(test_keyring(), member, key, &sealed_of(member, read), nonce, json!({ "email": to }))
    };
    let there = round(bob, "there", &bobs, 9, "bob@example.org").over(house.look(|store| version(store, bob)).unwrap());
    let outcomes = house.submit(vec![there]);
    assert!(outcomes[0].is_ok(), "{outcomes:?}");
    assert_eq!(house.look(|store| led(store, RefKind::Email, "bob@example.org")), Some(bob));
    house.close();
}

fn a_change_meets_the_end_of_an_account<B: Backend>() {
    let mut house = House::<B>::new();
    let (ann, anns) = member(&mut house, "0001");
    let (bob, bobs) = member(&mut house, "0002");
    let merge = Command::merge(ann, bob, "merge", today(), "one person").unwrap();
    house.accepted(&merge);
    let change_of_ann = change(ann, "late", &anns, json!({ "name": "Ann" }));
    assert_eq!(house.refused(&change_of_ann), RefusalCode::MemberMerged);
    // The address that came with Ann's account is Bob's own: he may write it into his profile, and give it up.
    house.accepted(&change(bob, "own", &bobs, json!({ "email": "0001@example.org" })));
    assert_eq!(house.look(|store| led(store, RefKind::Email, "0001@example.org")), Some(bob));
    assert_eq!(house.look(|store| led(store, RefKind::Email, "0002@example.org")), None);
    let now = house.look(|store| version(store, bob)).unwrap();
    let mut after = bobs.clone();
    after.email = Some("0001@example.org".to_owned());
    house.accepted(&change(bob, "give up", &after, json!({ "email": null })).over(now));
    assert_eq!(house.look(|store| led(store, RefKind::Email, "0001@example.org")), None);
    assert_eq!(house.look(|store| led(store, RefKind::ExternalId, "C-0001")), Some(bob), "the rest of the merge stays");
    house.accepted(&Command::erase(bob, "erase", today()).unwrap());
    assert_eq!(house.look(|store| version(store, bob)), None);
    assert_eq!(house.refused(&change(bob, "erased", &bobs, json!({ "name": "Bob" }))), RefusalCode::MemberErased);
    let (eve, eves) = member(&mut house, "0003");
    house.accepted(&Command::close(eve, "close", today(), "moves away").unwrap());
    assert_eq!(house.refused(&change(eve, "closed", &eves, json!({ "name": "Eve" }))), RefusalCode::MemberClosed);
    house.close();
}

fn master(number: u8) -> Arc<dyn KeyWrap> {
    Arc::new(MasterKey::new([number; 32]))
}

fn a_change_leaves_the_wrapped_key_to_a_rotation<B: Backend>() {
    let (mut store, keep) = B::fresh();
    publish(&mut store, &bundle(), today()).unwrap();
    let old = start_keyring(&mut store, master(1), [9; 76]).unwrap();
    let mut house = House::<B>::over(store, keep);
    let (ann, before) = (MemberId(7), known("0001"));
    house.accepted(&Command::enrol(&old, [5; 56], ann, "join", today(), &before).unwrap());
    let read = old.seal_profile(ann, &before, [5; 56]).unwrap();
    // Made before the rotation, carried out after it.
    let slow = change_with(&old, ann, "slow", &read, 7, json!({ "phone": "+44 20 7946 0009" }));
    let new = house.look(|store| begin_rotation(store, &old, master(2), [3; 12]).unwrap());
    let turn = |house: &mut House<B>| {
        for _ in 0..100 {
            match house.look(|store| rotate(store, &new, 10, &mut || [4; 12]).unwrap()) {
                Rotated::All => return,
                Rotated::Members(_) => {}
                Rotated::Elsewhere => std::thread::sleep(Duration::from_millis(300)),
            }
        }
        panic!("the rotation does not end");
    };
    turn(&mut house);
    house.accepted(&slow);
    house.look(|store| {
        let wrapped = store.members_under(new.current_id(), 10).unwrap();
        assert_eq!((wrapped.len(), store.members_under(old.current_id(), 10).unwrap().len()), (1, 0));
        // The key is wrapped by the new master key alone, and opens the profile that the old one was asked to seal.
        let rewrapped = SealedProfile {
            key_id: new.current_id().to_owned(),
            wrapped_key: wrapped[0].1.clone(),
            ciphertext: old
                .reseal_profile(
                    ann,
                    &read,
                    &before.patched(&patch(json!({ "phone": "+44 20 7946 0009" }))).unwrap(),
                    [7; NONCE],
                )
                .unwrap(),
        };
        assert_eq!(version(store, ann), Some(rewrapped.version()));
        let opened = new.open_profile(ann, &rewrapped).unwrap();
        assert_eq!(opened.phone.as_deref(), Some("+44 20 7946 0009"));
    });
    house.close();
}

/// Two nodes give the same few addresses to members, over profiles of which each may have been changed by the other. What
/// was accepted holds, each address leads to one member, and nothing is left over.
#[test]
fn two_nodes_change_profiles_at_once() {
    let url = shared().database();
    let mut store = PostgresStore::create(&url).unwrap();
    publish(&mut store, &bundle(), today()).unwrap();
    let mut house = House::<Postgres>::over(store, url.clone());
    let members: Vec<MemberId> = (0..6).map(|number| member(&mut house, &format!("000{number}")).0).collect();
    drop(house.stop());
    let nodes: Vec<_> = (0..2).map(|_| Engine::start(PostgresStore::open(&url).unwrap()).unwrap()).collect();
    let workers: Vec<_> = (0..8_usize)
        .map(|worker| {
            let (handle, members, url) = (nodes[worker % 2].handle(), members.clone(), url.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let reader = Reader::connect(&url).await.unwrap();
                    let mut done = 0;
                    for round in 0..25_usize {
                        let member = members[(worker + round * 5) % members.len()];
                        let sealed = reader.member(member).await.unwrap().unwrap().stored.sealed.unwrap();
                        let to = json!({ "email": format!("shared-{}@example.org", (worker * 7 + round) % 5) });
                        let nonce = u8::try_from(worker * 25 + round).unwrap();
                        let key = format!("w{worker}-{round}");
                        let change = change_with(test_keyring(), member, &key, &sealed, nonce, to);
                        match handle.submit_one(change).await {
                            Ok(reply) => {
                                let receipt: Receipt = serde_json::from_str(&reply.receipt).unwrap();
                                assert!(receipt.fields.iter().all(|field| field == "email"));
                                done += 1;
                            }
                            Err(CommandError::Refused(refusal)) => assert!(
                                matches!(refusal.code, RefusalCode::ProfileChanged | RefusalCode::AlreadyEnrolled),
                                "{refusal}"
                            ),
                            Err(error) => panic!("{error}"),
                        }
                    }
                    done
                })
            })
        })
        .collect();
    let done: usize = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    assert!(done >= 10, "{done} changes prove little");
    let mut store = nodes.into_iter().map(|node| node.stop().unwrap()).next().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(async { Reader::connect(&url).await.unwrap().members(None, 100).await.unwrap() });
    for row in rows {
        let profile = test_keyring().open_profile(row.id, row.stored.sealed.as_ref().unwrap()).unwrap();
        let email = profile.email.unwrap();
        assert_eq!(led(&mut store, RefKind::Email, &email), Some(row.id), "{email}");
    }
    let database = url.rsplit('/').next().unwrap();
    let emails = shared().sql(database, "SELECT count(*) FROM member_ref WHERE kind = 2");
    assert_eq!(emails, members.len().to_string());
    assert_eq!(verify(&mut store).unwrap().wrong, 0);
}

/// The master key is rotated again and again while members' profiles change: every profile opens in the end, under the key
/// in use, and is the one that was accepted last.
#[test]
fn master_keys_are_rotated_while_profiles_change() {
    let url = shared().database();
    let mut store = PostgresStore::create(&url).unwrap();
    publish(&mut store, &bundle(), today()).unwrap();
    let first = start_keyring(&mut store, master(1), [9; 76]).unwrap();
    let rest: Vec<u8> = (2..=5).collect();
    let all = rest.iter().fold(first, |keyring, number| keyring.with_current(master(*number)).unwrap());
    let first = all.with_current(master(1)).unwrap();
    let house = House::<Postgres>::over(store, url.clone());
    let members: Vec<MemberId> = (1..=8).map(MemberId).collect();
    for member in &members {
        let random = [u8::try_from(member.0).unwrap(); 56];
        let key = format!("join-{member}");
        let enrol = Command::enrol(&first, random, *member, &key, today(), &known(&format!("000{}", member.0)));
        house.accepted(&enrol.unwrap());
    }
    drop(house.stop());
    let turning = {
        let (url, mut keyring) = (url.clone(), first);
        std::thread::spawn(move || {
            let mut store = PostgresStore::open(&url).unwrap();
            for number in rest {
                keyring = begin_rotation(&mut store, &keyring, master(number), [number; 12]).unwrap();
                loop {
                    match rotate(&mut store, &keyring, 3, &mut || [number; 12]) {
                        Ok(Rotated::All) => break,
                        Ok(_) | Err(StoreError::Conflict) => std::thread::sleep(Duration::from_millis(2)),
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        })
    };
    let engine = Engine::start(PostgresStore::open(&url).unwrap()).unwrap();
    let (handle, last) = (engine.handle(), MasterKey::new([5; 32]).id().to_owned());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let reader = Reader::connect(&url).await.unwrap();
        let mut round = 0_u8;
        while round < 40 || (!turning.is_finished() && round < 250) {
            round += 1;
            let mut changes = Vec::new();
            for member in &members {
                let sealed = reader.member(*member).await.unwrap().unwrap().stored.sealed.unwrap();
                let key = format!("c-{round}");
                changes.push(change_with(&all, *member, &key, &sealed, round, json!({ "name": format!("n-{round}") })));
            }
            assert!(handle.submit(changes).await.iter().all(Result::is_ok), "nobody else changes profiles");
        }
        turning.join().unwrap();
        for member in &members {
            let sealed = reader.member(*member).await.unwrap().unwrap().stored.sealed.unwrap();
            assert_eq!(sealed.key_id, last);
            assert_eq!(all.open_profile(*member, &sealed).unwrap().name, Some(format!("n-{round}")));
        }
    });
    drop(handle);
    assert_eq!(verify(&mut engine.stop().unwrap()).unwrap().wrong, 0);
}

/// A return to the past leaves profiles as they were changed, with their references, and says so.
#[test]
fn a_return_to_the_past_keeps_profile_and_references_together() {
    let mut house = House::<Sqlite>::new();
    let (ann, anns) = member(&mut house, "0001");
    let (bob, bobs) = member(&mut house, "0002");
    house.accepted(&change(bob, "old", &bobs, json!({ "name": "Bob" })));
    std::thread::sleep(Duration::from_millis(20));
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let moment = Timestamp::from_millis(since.as_millis() as i64);
    std::thread::sleep(Duration::from_millis(20));
    house.accepted(&change(ann, "new", &anns, json!({ "phone": "+44 20 7946 0009" })));
    let (eve, eves) = member(&mut house, "0003");
    house.accepted(&change(eve, "new", &eves, json!({ "phone": "+44 20 7946 0001" })));
    let current = house.look(|store| version(store, ann));
    let (store, directory) = house.close();
    drop(store);
    let data = DataDir::open(directory.path()).unwrap();
    let rewound = rewind(&data, moment).unwrap();
    assert_eq!((rewound.transactions, rewound.members, rewound.profiles), (3, 1, 1));
    let mut store = SqliteStore::open(data).unwrap();
    assert_eq!((led(&mut store, RefKind::Phone, "+442079460009"), version(&mut store, ann)), (Some(ann), current));
    assert_eq!(led(&mut store, RefKind::Phone, "+442079460001"), None, "Eve has never come");
    assert_eq!(stored_account(&mut store, ann).unwrap().version, 1);
    let report = verify(&mut store).unwrap();
    assert_eq!(report.wrong, 0, "{:?}", report.findings);
}
