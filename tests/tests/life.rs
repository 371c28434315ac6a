//! The life of an account on every store: merge, closing and refund.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::time::Duration;

use guerdon_core::id::{IdGenerator, MemberId, OrderId};
use guerdon_core::kernel::{Batch, Command, Footprint, Receipt, RefusalCode};
use guerdon_core::ledger::{AccountStatus, Lifetime};
use guerdon_core::members::{Profile, RefKind};
use guerdon_core::redemption::OrderState;
use guerdon_core::time::Timestamp;
use guerdon_store::read::Reader;
use guerdon_store::{
    DataDir, Engine, PostgresStore, SqliteStore, Store, StoreError, load_program, publish, rewind, verify,
};
use guerdon_tests::postgres::{Postgres, shared};
use guerdon_tests::*;

on_every_store!(
    a_merge_brings_everything_once,
    the_keys_of_a_person_outlive_the_account,
    a_chain_of_merges_leads_to_the_last,
    a_merge_happens_on_both_accounts_or_on_none,
    a_closed_account_does_nothing_more,
    a_refund_gives_back_points_and_units,
    a_refund_follows_the_person,
);

fn merge<B: Backend>(house: &mut House<B>, from: MemberId, into: MemberId) -> Command {
    let key = house.key();
    Command::merge(from, into, &key, today(), "one person").unwrap()
}

/// To whom a reference leads.
fn led<S: Store>(store: &mut S, kind: RefKind, value: &str) -> Option<MemberId> {
    let reference = test_keyring().reference(kind, value);
    let footprint = Footprint { references: vec![reference.clone()], ..Footprint::default() };
    store.prefetch(&footprint).unwrap().references.get(&reference).copied()
}

fn order_state<S: Store>(store: &mut S, owner: MemberId, order: OrderId) -> OrderState {
    let footprint = Footprint { orders: vec![(owner, order)], ..Footprint::default() };
    store.prefetch(&footprint).unwrap().orders[&(owner, order)].state
}

/// Ann, known by number, e-mail and phone, with three lots, points that are not active yet and a captured order.
fn ann<B: Backend>(house: &mut House<B>) -> MemberId {
    let (ann, key) = (house.new_member_id(), house.key());
    let known = Profile {
        email: Some("ann@example.org".to_owned()),
        phone: Some("+44 20 7946 0000".to_owned()),
        ..profile("C-ANN")
    };
    house.accepted(&enrol(ann, &key, at("2020-01-01T00:00:00Z"), &known).unwrap());
    for month in ["2026-01", "2026-02", "2026-03"] {
        let purchase = house.record(ann, &paid("purchase", at(&format!("{month}-05T10:00:00Z")), 5_000));
        house.accepted(&purchase);
    }
    let redeem = house.redeem(ann, TEA, 1, true);
    house.accepted(&redeem);
    let visit = house.record(ann, &custom("check_in", today()));
    house.accepted(&visit);
    ann
}

fn a_merge_brings_everything_once<B: Backend>() {
    let mut house = House::<B>::new();
    let ann = ann(&mut house);
    let bob = house.member();
    let purchase = house.record(bob, &paid("purchase", at("2026-02-10T10:00:00Z"), 7_000));
    house.accepted(&purchase);
    let (lots, life) = (house.lots(ann), house.account(ann).wallet(POINTS).unwrap().lifetime);
    assert_eq!((lots.len(), life.earned, life.redeemed), (4, 155, 40));
    let merge = merge(&mut house, ann, bob);
    let receipt = house.accepted(&merge);
    assert_eq!((receipt.member_id, receipt.points, receipt.balances[0].available), (bob, 110, 180));
    assert_eq!(receipt.balances[0].pending, 5);
    let carried = receipt.merge.unwrap();
    assert_eq!((carried.from, carried.into, &carried.lifetimes[..]), (ann, bob, &[(POINTS, life)][..]));
    // Asked again it is answered, not done again.
    assert!(house.one(&merge).unwrap().replayed);
    let again = Command::merge(ann, bob, "another key", today(), "one person").unwrap();
    assert_eq!(house.refused(&again), RefusalCode::MemberMerged);

    let arrived: Vec<_> = house.lots(bob).into_iter().map(|lot| (lot.key, lot.remaining)).collect();
    // January's 50 were spent down to 10; February's 50 of Ann and 70 of Bob are one lot.
    assert_eq!(arrived.iter().map(|(_, points)| *points).collect::<Vec<_>>(), [10, 120, 50, 5]);
    assert!(lots.iter().all(|lot| arrived.iter().any(|(key, _)| *key == lot.key)), "each lot with its expiry");
    let (ended, goes_on) = (house.account(ann), house.account(bob));
    assert_eq!(ended.status, AccountStatus::Merged { into: bob });
    let emptied = ended.wallet(POINTS).unwrap();
    assert_eq!((emptied.lots.len(), emptied.lifetime, ended.next_due_at()), (0, Lifetime::default(), None));
    assert_eq!((goes_on.status, &goes_on.merged_from[..]), (AccountStatus::Active, &[ann][..]));
    let life = goes_on.wallet(POINTS).unwrap().lifetime;
    assert_eq!((life.earned, life.redeemed), (225, 40));
    assert_eq!(goes_on.last_activity_at, today());

    house.look(|store| {
        for (kind, value) in
            [(RefKind::ExternalId, "C-ANN"), (RefKind::Email, "ANN@example.org"), (RefKind::Phone, "+442079460000")]
        {
            assert_eq!(led(store, kind, value), Some(bob), "{value}");
        }
    });
    // What was Ann's is taken, and what was begun for her is refused with the name of Bob.
    let (stranger, key) = (house.new_member_id(), house.key());
    let taken = enrol(stranger, &key, today(), &profile("C-ANN")).unwrap();
    assert_eq!(house.refused(&taken), RefusalCode::AlreadyEnrolled);
    let refused = [
        house.record(ann, &paid("purchase", today(), 5_000)),
        house.redeem(ann, TEA, 1, true),
        house.adjust(ann, 5),
        Command::close(ann, "close", today(), "gone").unwrap(),
    ];
    for command in refused {
        let problem = house.one(&command).unwrap_err().to_string();
        assert!(problem.contains(&bob.to_string()), "{problem}");
    }
    // Ann's pending points mature on Bob's account, and all of them are worth what they were.
    assert_eq!(house.tick(at("2026-03-13T09:00:00Z")), 1);
    let key = house.key();
    let all = Command::redeem(bob, &key, at("2026-03-13T09:00:00Z"), TEA, 4, true).unwrap();
    assert_eq!(house.accepted(&all).balances[0].available, 25);
    house.close();
}

fn the_keys_of_a_person_outlive_the_account<B: Backend>() {
    let mut house = House::<B>::new();
    let (ann, bob, eve) = (house.rich_member(500), house.member(), house.member());
    let redeem = |member, key: &str| Command::redeem(member, key, today(), TEA, 1, true).unwrap();
    let receipts = ["k-1", "k-2"].map(|key| house.receipt(&redeem(ann, key)));
    let first = merge(&mut house, ann, bob);
    // Repeated in one batch with the merge, and long after it and the next one.
    let outcomes = house.submit(vec![first, redeem(bob, "k-1")]);
    let replies: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!((replies[1].replayed, &*replies[1].receipt), (true, &receipts[0]));
    let next = merge(&mut house, bob, eve);
    house.accepted(&next);
    let reply = house.one(&redeem(eve, "k-2")).unwrap();
    assert_eq!((reply.replayed, &*reply.receipt), (true, &receipts[1]));
    let reply = house.one(&redeem(ann, "k-2")).unwrap();
    assert!(reply.replayed, "under the old id as well");
    let other = Command::redeem(eve, "k-1", today(), TEA, 2, true).unwrap();
    assert_eq!(house.refused(&other), RefusalCode::IdempotencyMismatch);
    assert_eq!(house.account(eve).available(), 500 - 2 * 40);
    // The clock's keys are those of one account: what is due on the one that goes on is done.
    let late = at("2028-05-01T00:00:00Z");
    assert_eq!((house.tick(late), house.tick(late)), (1, 0));
    assert_eq!(house.account(eve).available(), 0);
    // A repeated enrolment finds the member it made.
    let (first, retry) = (house.new_member_id(), house.new_member_id());
    let receipt = house.receipt(&enrol(first, "join", today(), &profile("C-7")).unwrap());
    let into = house.member();
    let last = merge(&mut house, first, into);
    house.accepted(&last);
    let reply = house.one(&enrol(retry, "join", today(), &profile("C-7")).unwrap()).unwrap();
    assert_eq!((reply.replayed, reply.into_text()), (true, receipt));
    house.close();
}

fn a_chain_of_merges_leads_to_the_last<B: Backend>() {
    let mut house = House::<B>::new();
    let ann = ann(&mut house);
    let (bob, eve, zoe) = (house.rich_member(10), house.rich_member(20), house.rich_member(30));
    let together = vec![merge(&mut house, ann, bob), merge(&mut house, bob, eve)];
    assert!(house.submit(together).iter().all(Result::is_ok));
    let last = merge(&mut house, eve, zoe);
    house.accepted(&last);
    let circle = merge(&mut house, zoe, ann);
    assert_eq!(house.refused(&circle), RefusalCode::MemberMerged);
    let account = house.account(zoe);
    assert_eq!(account.merged_from, [ann, bob, eve]);
    assert_eq!(account.available(), 110 + 10 + 20 + 30);
    assert_eq!(house.account(ann).status, AccountStatus::Merged { into: bob });
    assert_eq!(house.look(|store| led(store, RefKind::Email, "ann@example.org")), Some(zoe));
    house.close();
}

/// Two writers: the one has merged two accounts in its mind, the other has changed the one that is to end, or has merged
/// it elsewhere. Nothing of the merge may stand.
fn a_merge_happens_on_both_accounts_or_on_none<B: Backend>() {
    let mut house = House::<B>::new();
    let (ann, bob, eve) = (house.rich_member(500), house.rich_member(200), house.rich_member(100));
    let merges = [merge(&mut house, ann, bob), merge(&mut house, ann, eve)];
    let redeem = house.redeem(ann, TEA, 1, true);
    let (mut store, keep) = house.close();
    let program = load_program(&mut store).unwrap();
    let mut ids = IdGenerator::new(2);
    let mut decide = |store: &mut B::Store, commands: &[Command]| {
        let loaded = store.prefetch(&Footprint::of(commands)).unwrap();
        // Ids are dated after those of the engine, as the journal is read in their order.
        let mut batch = Batch::new(&program, loaded, &mut ids, at("2035-01-01T00:00:00Z"));
        commands.iter().for_each(|command| drop(batch.decide(command).unwrap()));
        batch.finish()
    };
    let [slow, slower] = merges.each_ref().map(|merge| decide(&mut store, std::slice::from_ref(merge)));
    let fast = decide(&mut store, &[redeem]);
    store.commit(&fast).unwrap();
    assert!(matches!(store.commit(&slow), Err(StoreError::Conflict)), "Ann has spent since");
    let points =
        |store: &mut B::Store| [ann, bob, eve].map(|member| stored_account(store, member).unwrap().available());
    assert_eq!(points(&mut store), [460, 200, 100]);
    let again = decide(&mut store, &merges[..1]);
    store.commit(&again).unwrap();
    assert_eq!(points(&mut store), [0, 660, 100]);
    assert!(matches!(store.commit(&slower), Err(StoreError::Conflict)), "Ann has gone to Bob");
    assert_eq!(points(&mut store), [0, 660, 100]);
    let report = verify(&mut store).unwrap();
    assert_eq!(report.wrong, 0, "{:?}", report.findings);
    drop((store, keep));
}

fn a_closed_account_does_nothing_more<B: Backend>() {
    let mut house = House::<B>::new();
    let ann = ann(&mut house);
    let held = house.redeem(ann, TEA, 2, false);
    let order = house.accepted(&held).order.unwrap();
    let close = Command::close(ann, "close", today(), "moves away").unwrap();
    assert_eq!(house.refused(&close), RefusalCode::OpenOrders);
    let capture = house.capture(ann, order.id);
    house.accepted(&capture);
    let receipt = house.accepted(&close);
    assert_eq!((receipt.points, receipt.forfeited, receipt.reason.as_deref()), (-30, 35, Some("moves away")));
    assert_eq!(receipt.status, Some(AccountStatus::Closed { at: today() }));
    assert!(house.one(&close).unwrap().replayed);
    let again = Command::close(ann, "again", today(), "moves away").unwrap();
    assert_eq!(house.refused(&again), RefusalCode::MemberClosed);
    let bob = house.member();
    let refused = [
        house.record(ann, &paid("purchase", today(), 5_000)),
        house.redeem(ann, TEA, 1, true),
        house.adjust(ann, 5),
        merge(&mut house, ann, bob),
        merge(&mut house, bob, ann),
    ];
    for command in refused {
        assert_eq!(house.refused(&command), RefusalCode::MemberClosed);
    }
    assert_eq!(house.tick(at("2030-01-01T00:00:00Z")), 0, "nothing is left that could become due");
    let account = house.account(ann);
    assert_eq!((account.available(), account.wallet(POINTS).unwrap().lifetime.expired), (0, 35));
    house.close();
}

fn a_refund_gives_back_points_and_units<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.rich_member(1_200);
    let before = house.lots(member);
    let redeem = house.redeem(member, VOUCHER, 2, false);
    let order = house.accepted(&redeem).order.unwrap();
    let refund = |key: &str, at: Timestamp| Command::refund(member, member, key, at, order.id, "broken").unwrap();
    assert_eq!(house.refused(&refund("r-0", today())), RefusalCode::IllegalOrderMove);
    let capture = house.capture(member, order.id);
    house.accepted(&capture);
    let receipt = house.accepted(&refund("r-1", today()));
    assert_eq!((receipt.points, receipt.order.unwrap().state), (1_000, OrderState::Refunded));
    assert_eq!(receipt.reason.as_deref(), Some("broken"));
    assert!(house.one(&refund("r-1", today())).unwrap().replayed);
    assert_eq!(house.refused(&refund("r-2", today())), RefusalCode::IllegalOrderMove);
    assert_eq!(house.lots(member), before);
    let stock = house.stock(VOUCHER);
    assert_eq!((stock.on_hand, stock.reserved, stock.issued), (100, 0, 0));
    assert_eq!(house.look(|store| order_state(store, member, order.id)), OrderState::Refunded);
    let stranger = Command::refund(MemberId(1), member, "r-3", today(), order.id, "broken").unwrap();
    assert_eq!(house.refused(&stranger), RefusalCode::UnknownMember);
    let other = house.member();
    let stranger = Command::refund(other, member, "r-4", today(), order.id, "broken").unwrap();
    assert_eq!(house.refused(&stranger), RefusalCode::UnknownOrder);
    // Points that have expired since live on to the end of the month in which a week has passed.
    let redeem = house.redeem(member, VOUCHER, 2, true);
    let order = house.accepted(&redeem).order.unwrap();
    let late = at("2028-04-28T12:00:00Z");
    house.tick(late);
    let refund = Command::refund(member, member, "r-5", late, order.id, "broken").unwrap();
    house.accepted(&refund);
    let lots = house.lots(member);
    assert_eq!((lots.len(), lots[0].remaining, lots[0].key.expires_at), (1, 1_000, at("2028-05-31T23:00:00Z")));
    house.close();
}

fn a_refund_follows_the_person<B: Backend>() {
    let mut house = House::<B>::new();
    let (ann, bob) = (house.rich_member(600), house.member());
    let redeem = house.redeem(ann, VOUCHER, 1, true);
    let order = house.accepted(&redeem).order.unwrap();
    let held = house.redeem(ann, TEA, 1, false);
    let held = house.accepted(&held).order.unwrap();
    let early = merge(&mut house, ann, bob);
    assert_eq!(house.refused(&early), RefusalCode::OpenOrders);
    let release = house.release(ann, held.id);
    house.accepted(&release);
    let merge = merge(&mut house, ann, bob);
    house.accepted(&merge);
    let to_ann = Command::refund(ann, ann, "r-1", today(), order.id, "broken").unwrap();
    assert_eq!(house.refused(&to_ann), RefusalCode::MemberMerged);
    let receipt = house.accepted(&Command::refund(bob, ann, "r-2", today(), order.id, "broken").unwrap());
    assert_eq!((receipt.member_id, receipt.balances[0].available), (bob, 600));
    assert_eq!(house.look(|store| order_state(store, ann, order.id)), OrderState::Refunded);
    assert_eq!(house.stock(VOUCHER).issued, 0);
    let wallet = house.account(bob).wallet(POINTS).unwrap().clone();
    assert_eq!((wallet.lifetime.adjusted, wallet.lifetime.redeemed), (600, 0));
    house.close();
}

/// What was merged, closed and refunded after a moment is not, once a data directory has returned to it.
#[test]
fn a_return_to_the_past_undoes_it_all() {
    let mut house = House::<Sqlite>::new();
    let ann = ann(&mut house);
    let (bob, eve, zoe) = (house.rich_member(1_000), house.rich_member(300), house.rich_member(70));
    let old = merge(&mut house, eve, ann);
    house.accepted(&old);
    let redeem = house.redeem(bob, VOUCHER, 1, true);
    let captured = house.accepted(&redeem).order.unwrap();
    let redeem = house.redeem(bob, TEA, 1, false);
    let held = house.accepted(&redeem).order.unwrap();
    let before = [ann, bob, eve, zoe].map(|member| house.account(member));
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp::from_millis(since.as_millis() as i64)
    };
    std::thread::sleep(Duration::from_millis(20));
    let moment = now();
    std::thread::sleep(Duration::from_millis(20));
    let capture = house.capture(bob, held.id);
    house.accepted(&capture);
    let fresh = house.member();
    for order in [captured.id, held.id] {
        let key = house.key();
        house.accepted(&Command::refund(bob, bob, &key, today(), order, "broken").unwrap());
    }
    for (from, into) in [(ann, bob), (bob, fresh)] {
        let merge = merge(&mut house, from, into);
        house.accepted(&merge);
    }
    house.accepted(&Command::close(zoe, "close", today(), "gone").unwrap());
    assert_eq!(house.look(|store| led(store, RefKind::Email, "ann@example.org")), Some(fresh));
    let (store, directory) = house.close();
    drop(store);
    let data = DataDir::open(directory.path()).unwrap();
    let rewound = rewind(&data, moment).unwrap();
    assert_eq!((rewound.transactions, rewound.members), (9, 1));
    let mut store = SqliteStore::open(data).unwrap();
    let after = [ann, bob, eve, zoe].map(|member| stored_account(&mut store, member).unwrap());
    assert_eq!(after, before);
    // Every reference leads to where it led: Ann's to Ann, and those of Eve, who was merged before, to Ann as well.
    assert_eq!(led(&mut store, RefKind::Email, "ann@example.org"), Some(ann));
    for (number, member) in [(bob, bob), (eve, ann), (zoe, zoe)] {
        assert_eq!(led(&mut store, RefKind::ExternalId, &format!("C-{}", number.0)), Some(member));
    }
    assert_eq!(order_state(&mut store, bob, captured.id), OrderState::Completed);
    assert_eq!(order_state(&mut store, bob, held.id), OrderState::Placed);
    let report = verify(&mut store).unwrap();
    assert_eq!(report.wrong, 0, "{:?}", report.findings);
}

/// Readers find the person under every id, and one history.
#[test]
fn readers_find_who_goes_on() {
    let mut house = House::<Sqlite>::new();
    let ann = ann(&mut house);
    let (bob, eve) = (house.rich_member(10), house.rich_member(20));
    for (from, into) in [(ann, bob), (bob, eve)] {
        let merge = merge(&mut house, from, into);
        house.accepted(&merge);
    }
    let (store, directory) = house.close();
    drop(store);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let reader = Reader::open(directory.path()).await.unwrap();
        for member in [ann, bob, eve] {
            let (goes_on, account) = reader.resolve(member).await.unwrap().unwrap();
            assert_eq!((goes_on, account.available()), (eve, 140));
            let history = reader.transactions(member, None, 100).await.unwrap();
            // Ann: enrolment, three purchases, an order, a visit and the merge; Bob: two and two; Eve: two and one.
            assert_eq!(history.len(), 7 + 4 + 3);
            assert!(history.is_sorted_by(|newer, older| newer.id > older.id));
            let page = reader.transactions(member, Some(history[4].id), 3).await.unwrap();
            assert_eq!(page.iter().map(|row| row.id).collect::<Vec<_>>(), [5, 6, 7].map(|index| history[index].id));
        }
        assert!(reader.resolve(MemberId(1)).await.unwrap().is_none());
        let row = reader.member(ann).await.unwrap().unwrap();
        assert_eq!((row.status, row.available), (AccountStatus::Merged { into: bob }, 0));
        assert_eq!(reader.member(eve).await.unwrap().unwrap().merged_from, [ann, bob]);
    });
}

/// Two nodes: while members shop on both, accounts are merged, each pair from both sides at once. Whichever comes first,
/// no point and no unit is lost or doubled.
#[test]
fn two_nodes_merge_while_members_redeem() {
    const PAIRS: usize = 6;
    let url = shared().database();
    let mut store = PostgresStore::create(&url).unwrap();
    publish(&mut store, &bundle(), today()).unwrap();
    let mut house = House::<Postgres>::over(store, url.clone());
    let pairs: Vec<[MemberId; 2]> =
        (0..PAIRS).map(|_| [house.rich_member(20_000), house.rich_member(20_000)]).collect();
    house.close();
    let open = || PostgresStore::open(&url).unwrap();
    // Two writers a node, as in a server.
    let nodes = [(); 2].map(|()| Engine::start_all(vec![open(), open()]).unwrap());
    let workers: Vec<_> = (0..8_usize)
        .map(|worker| {
            let (handle, pairs) = (nodes[worker % 2].handle(), pairs.clone());
            std::thread::spawn(move || {
                let ask = |command: Command| handle.submit_blocking(vec![command]).blocking_receive().pop().unwrap();
                let (mut spent, mut merged) = (0, 0);
                for round in 0..36 {
                    let pair = pairs[(worker + round) % PAIRS];
                    let member = pair[round / PAIRS % 2];
                    let redeem = Command::redeem(member, &format!("w{worker}-r{round}"), today(), TEA, 1, true);
                    let outcome = ask(redeem.unwrap());
                    match refusal_code(&outcome) {
                        None => spent += serde_json::from_str::<Receipt>(&outcome.unwrap().receipt).unwrap().points,
                        Some(RefusalCode::MemberMerged) => {}
                        Some(other) => panic!("refused with {other:?}"),
                    }
                    // From the third round on, half of the workers merge one way and the other half the other way.
                    if round >= 18 && round % 6 == worker % 6 {
                        let [from, into] = if worker < 4 { pair } else { [pair[1], pair[0]] };
                        let merge = Command::merge(from, into, &format!("m{worker}-{round}"), today(), "one person");
                        match refusal_code(&ask(merge.unwrap())) {
                            None => merged += 1,
                            Some(RefusalCode::MemberMerged) => {}
                            Some(other) => panic!("refused with {other:?}"),
                        }
                    }
                }
                (spent, merged)
            })
        })
        .collect();
    let done: Vec<(i64, usize)> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
    let (spent, merged) = done.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let mut store = nodes.into_iter().map(|node| node.stop().unwrap()).next().unwrap();
    let accounts: Vec<_> = pairs.iter().flatten().map(|member| stored_account(&mut store, *member).unwrap()).collect();
    let left: i64 = accounts.iter().map(|account| account.available()).sum();
    assert_eq!(left, 2 * PAIRS as i64 * 20_000 + spent);
    let ended = accounts.iter().filter(|account| account.status != AccountStatus::Active).count();
    assert_eq!(ended, merged);
    assert!(merged >= 3, "{merged} merges prove little");
    drop(store);
    let report = verify(&mut PostgresStore::open_read_only(&url).unwrap()).unwrap();
    assert_eq!(report.wrong, 0, "{:#?}", report.findings);
}
