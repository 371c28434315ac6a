//! The code vault: each code is issued once, to one order, however often and by however many nodes it is asked for.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};

use guerdon_core::id::{IdGenerator, MemberId, OrderId};
use guerdon_core::kernel::Command;
use guerdon_store::{
    Claimed, CodeClaim, CodeFate, CodeOrigin, CodeUpload, CodesAdded, OrderCode, PostgresStore, SealedCode, Store,
    publish,
};
use guerdon_tests::postgres::shared;
use guerdon_tests::*;

on_every_store!(
    an_upload_is_taken_whole_or_not_at_all,
    a_claim_gives_all_or_none_and_the_same_again,
    what_was_not_seen_goes_back_to_the_vault,
    codes_that_are_made_belong_to_one_order,
    the_codes_of_an_erased_member_are_gone,
);

fn code(number: u8) -> SealedCode {
    SealedCode { digest: [number; 32], sealed: format!("sealed {number}"), terms: None }
}

fn add(store: &mut dyn Store, reward: &str, numbers: impl IntoIterator<Item = u8>, most: i64) -> CodesAdded {
    let mut ids = IdGenerator::after(store.node().unwrap(), store.last_id().unwrap());
    let codes = numbers.into_iter().map(code).collect();
    let upload = CodeUpload { reward_id: reward.to_owned(), codes, at: today(), most };
    store.add_codes(&upload, &[], &mut ids).unwrap()
}

fn wanted(order: i64, quantity: i64) -> CodeClaim {
    let (order, member) = (OrderId(order), MemberId(7));
    CodeClaim { reward_id: "voucher".to_owned(), order, member, quantity, at: today(), made: None }
}

fn claimed(store: &mut dyn Store, order: i64, quantity: i64) -> Option<Vec<OrderCode>> {
    match store.claim_codes(&wanted(order, quantity)).unwrap() {
        Claimed::Codes(codes) => Some(codes),
        Claimed::Dry => None,
        Claimed::Taken => panic!("nothing was made"),
    }
}

fn an_upload_is_taken_whole_or_not_at_all<B: Backend>() {
    let (mut store, _keep) = B::fresh();
    assert_eq!(add(&mut store, "voucher", [1, 2], 10), CodesAdded::Added);
    assert_eq!(add(&mut store, "voucher", [3, 2, 4, 1], 10), CodesAdded::Duplicates(vec![1, 3]));
    // Nor is a code of another reward's taken.
    assert_eq!(add(&mut store, "other", [5, 1], 10), CodesAdded::Duplicates(vec![1]));
    assert_eq!(add(&mut store, "voucher", [3, 4], 3), CodesAdded::TooMany);
    assert!(claimed(&mut store, 1, 3).is_none(), "nothing of it was taken");
    assert_eq!(add(&mut store, "voucher", [3], 3), CodesAdded::Added);
    assert_eq!(claimed(&mut store, 1, 3).unwrap().len(), 3);
}

fn a_claim_gives_all_or_none_and_the_same_again<B: Backend>() {
    let (mut store, _keep) = B::fresh();
    add(&mut store, "voucher", 1..=5, 10);
    let first = claimed(&mut store, 1, 2).unwrap();
    assert_eq!(first.iter().map(|code| code.unit).collect::<Vec<_>>(), [1, 2]);
    assert!(first.iter().all(|code| code.origin == CodeOrigin::Vault && code.issued_at.is_none()));
    assert_eq!(claimed(&mut store, 1, 2).unwrap(), first);
    let second = claimed(&mut store, 2, 2).unwrap();
    let all: BTreeSet<[u8; 32]> = first.iter().chain(&second).map(|code| code.digest).collect();
    assert_eq!(all.len(), 4);
    assert!(claimed(&mut store, 3, 2).is_none(), "one is left");
    let third = claimed(&mut store, 4, 1).unwrap();
    assert!(!all.contains(&third[0].digest));
    assert_eq!(third[0].sealed.as_deref(), Some(format!("sealed {}", third[0].digest[0]).as_str()));
}

fn what_was_not_seen_goes_back_to_the_vault<B: Backend>() {
    let (mut store, _keep) = B::fresh();
    add(&mut store, "voucher", [1, 2], 10);
    let (one, _) = (claimed(&mut store, 1, 1).unwrap(), claimed(&mut store, 2, 1).unwrap());
    assert!(claimed(&mut store, 3, 1).is_none());
    store.settle_codes("voucher", OrderId(2), CodeFate::Issued(today())).unwrap();
    // What was handed over stays so, whatever is said later.
    store.settle_codes("voucher", OrderId(2), CodeFate::Released).unwrap();
    assert!(claimed(&mut store, 3, 1).is_none());
    store.settle_codes("voucher", OrderId(1), CodeFate::Released).unwrap();
    assert_eq!(claimed(&mut store, 3, 1).unwrap()[0].digest, one[0].digest);
    assert_eq!(claimed(&mut store, 2, 1).unwrap()[0].issued_at, Some(today()));
}

fn codes_that_are_made_belong_to_one_order<B: Backend>() {
    let (mut store, _keep) = B::fresh();
    let make = |order: i64, numbers: &[u8]| {
        let made = Some((CodeOrigin::Coupon, numbers.iter().map(|number| code(*number)).collect()));
        CodeClaim { made, ..wanted(order, numbers.len() as i64) }
    };
    let Claimed::Codes(first) = store.claim_codes(&make(1, &[1, 2])).unwrap() else { panic!("they are new") };
    // Asked again it is what it was, whatever was made up meanwhile.
    assert_eq!(store.claim_codes(&make(1, &[3, 4])).unwrap(), Claimed::Codes(first));
    assert_eq!(store.claim_codes(&make(2, &[5, 2])).unwrap(), Claimed::Taken);
    store.settle_codes("voucher", OrderId(1), CodeFate::Released).unwrap();
    assert!(matches!(store.claim_codes(&make(2, &[5, 2])).unwrap(), Claimed::Codes(codes) if codes.len() == 2));
    assert!(claimed(&mut store, 3, 1).is_none(), "none of them is free");
}

fn the_codes_of_an_erased_member_are_gone<B: Backend>() {
    let mut house = House::<B>::new();
    let (ann, bob) = (house.member(), house.member());
    let own = house.look(|store| {
        add(store, "voucher", [1, 2], 10);
        for (order, member) in [(1, ann), (2, bob)] {
            store.claim_codes(&CodeClaim { member, ..wanted(order, 1) }).unwrap();
            store.settle_codes("voucher", OrderId(order), CodeFate::Issued(today())).unwrap();
        }
        claimed(store, 2, 1).unwrap()
    });
    house.accepted(&Command::erase(ann, "gone", today()).unwrap());
    house.look(|store| {
        let gone = claimed(store, 1, 1).unwrap();
        assert_eq!((gone[0].sealed.as_ref(), gone[0].issued_at), (None, Some(today())));
        assert_eq!(claimed(store, 2, 1).unwrap(), own, "another member's are as they were");
        assert_eq!(add(store, "voucher", [1, 2], 10), CodesAdded::Duplicates(vec![0, 1]), "nor may they come again");
    });
    house.close();
}

/// Four nodes claim the last codes of a vault at once, some of them for the same orders.
#[test]
fn nodes_that_claim_at_once_share_no_code_and_leave_none_over() {
    let url = shared().database();
    let mut store = PostgresStore::create(&url).unwrap();
    publish(&mut store, &bundle(), today()).unwrap();
    add(&mut store, "voucher", 1..=60, 100);
    let nodes: Vec<_> = (0..4)
        .map(|node| {
            let url = url.clone();
            std::thread::spawn(move || {
                let mut store = PostgresStore::create(&url).unwrap();
                let mut got = Vec::new();
                // 40 orders of two codes each, seen by two nodes: 30 of them can be served.
                for order in 0..40 {
                    if (order + node) % 2 == 0 {
                        got.push((order, claimed(&mut store, 100 + order, 2)));
                    }
                }
                got
            })
        })
        .collect();
    let mut by_order = std::collections::BTreeMap::new();
    for (order, codes) in nodes.into_iter().flat_map(|node| node.join().unwrap()) {
        let Some(codes) = codes else { continue };
        let known = by_order.entry(order).or_insert_with(|| codes.clone());
        assert_eq!(*known, codes, "two nodes were told different codes of one order");
    }
    let digests: BTreeSet<[u8; 32]> = by_order.values().flatten().map(|code| code.digest).collect();
    assert_eq!((by_order.len(), digests.len()), (30, 60));
}

/// Two nodes put the same codes into the vaults of two rewards at the same moment, again and again; and make some up that the
/// other one uploads.
#[test]
fn nodes_that_add_the_same_codes_at_once_put_each_into_one_vault() {
    const ROUNDS: u8 = 60;
    let url = shared().database();
    let mut store = PostgresStore::create(&url).unwrap();
    publish(&mut store, &bundle(), today()).unwrap();
    let together = Arc::new(Barrier::new(2));
    let nodes: Vec<_> = ["voucher", "other"]
        .into_iter()
        .map(|reward| {
            let (url, together) = (url.clone(), Arc::clone(&together));
            std::thread::spawn(move || {
                let mut store = PostgresStore::create(&url).unwrap();
                (0..ROUNDS)
                    .map(|round| {
                        let mut numbers = vec![4 * round, 4 * round + 1, 4 * round + 2];
                        if reward == "other" {
                            numbers.reverse();
                        }
                        together.wait();
                        if reward == "other" && round % 2 == 1 {
                            let codes = numbers.iter().map(|number| code(*number)).collect();
                            let made = Some((CodeOrigin::Coupon, codes));
                            let claim = wanted(i64::from(round), 3);
                            let claim = CodeClaim { made, reward_id: reward.to_owned(), ..claim };
                            return store.claim_codes(&claim).unwrap() != Claimed::Taken;
                        }
                        match add(&mut store, reward, numbers, 1_000) {
                            CodesAdded::Added => true,
                            CodesAdded::Duplicates(places) => {
                                assert_eq!(places, [0, 1, 2], "an upload is taken whole or not at all");
                                false
                            }
                            CodesAdded::TooMany => panic!("there is room"),
                        }
                    })
                    .collect::<Vec<bool>>()
            })
        })
        .collect();
    let added: Vec<Vec<bool>> = nodes.into_iter().map(|node| node.join().unwrap()).collect();
    let once = (0..usize::from(ROUNDS)).filter(|round| added[0][*round] != added[1][*round]).count();
    assert_eq!(once, usize::from(ROUNDS), "each round one of the two was first, and the other was told");
    let database = url.rsplit('/').next().unwrap();
    let twice = "SELECT COUNT(*) - COUNT(DISTINCT digest), COUNT(*) FROM code";
    assert_eq!(shared().sql(database, twice), format!("0|{}", 3 * usize::from(ROUNDS)).as_str());
}

/// What was in two vaults before a code was known to be in one does not stop the migration, and is known afterwards.
#[test]
fn codes_of_an_earlier_schema_are_known() {
    let url = shared().database();
    let mut store = PostgresStore::create(&url).unwrap();
    publish(&mut store, &bundle(), today()).unwrap();
    add(&mut store, "voucher", [1, 2], 10);
    drop(store);
    let database = url.rsplit('/').next().unwrap();
    shared().sql(
        database,
        "DROP TABLE code_known; DROP INDEX txn_restock;
         UPDATE meta SET value = CAST(CAST(value AS INT) - 2 AS TEXT) WHERE key = 'schema_version';
         INSERT INTO code (reward_id, digest, origin, added_at) SELECT 'other', digest, origin, added_at FROM code",
    );
    let mut store = PostgresStore::create(&url).unwrap();
    assert_eq!(shared().sql(database, "SELECT COUNT(*) FROM code_known"), "2");
    assert_eq!(add(&mut store, "third", [3, 1], 10), CodesAdded::Duplicates(vec![1]));
}
