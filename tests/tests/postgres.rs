//! What only a database of many nodes can do or suffer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use guerdon_core::earning::Activity;
use guerdon_core::id::{IdGenerator, MemberId};
use guerdon_core::kernel::{Batch, Command, Footprint, Receipt, RefusalCode, Restocking};
use guerdon_core::program::Bundle;
use guerdon_core::proofs::SigningKey;
use guerdon_core::rewards::Rights;
use guerdon_core::time::EARLIEST;
use guerdon_store::{
    Engine, EngineHandle, Outcome, PostgresStore, Store, StoreError, load_program, publish, sequence, start_log, verify,
};
use guerdon_tests::postgres::{Postgres, Server, shared};
use guerdon_tests::*;

fn node(url: &str) -> Engine<PostgresStore> {
    // Two writers, as in a server.
    Engine::start_all(vec![PostgresStore::open(url).unwrap(), PostgresStore::open(url).unwrap()]).unwrap()
}

fn ask(handle: &EngineHandle, command: Command) -> Outcome {
    handle.submit_blocking(vec![command]).blocking_receive().pop().unwrap()
}

fn receipt(outcome: &Outcome) -> Receipt {
    serde_json::from_str(&outcome.as_ref().unwrap().receipt).unwrap()
}

fn clean(url: &str) {
    let report = verify(&mut PostgresStore::open_read_only(url).unwrap()).unwrap();
    assert_eq!(report.wrong, 0, "{:#?}", report.findings);
}

/// A database with the program of the tests and members who have points; the ids of the members.
fn furnished(url: &str, members: usize, points: i64) -> Vec<MemberId> {
    let mut store = PostgresStore::create(url).unwrap();
    publish(&mut store, &bundle(), today()).unwrap();
    let mut house = House::<Postgres>::over(store, url.to_owned());
    let members = (0..members).map(|_| house.rich_member(points)).collect();
    house.close();
    members
}

#[test]
fn two_nodes_share_members_and_a_hot_reward_without_losing_anything() {
    let url = shared().database();
    let members = furnished(&url, 6, 50_000);
    let nodes = [node(&url), node(&url)];
    let workers: Vec<_> = (0..8)
        .map(|worker: usize| {
            let (handle, members) = (nodes[worker % 2].handle(), members.clone());
            std::thread::spawn(move || {
                let mut taken = Vec::new();
                for round in 0..40 {
                    let member = members[(worker + round) % members.len()];
                    let key = format!("w{worker}-r{round}");
                    let outcome = ask(&handle, Command::redeem(member, &key, today(), VOUCHER, 1, true).unwrap());
                    match refusal_code(&outcome) {
                        Some(RefusalCode::OutOfStock) => {}
                        Some(other) => panic!("refused with {other:?}"),
                        None => taken.push(receipt(&outcome).transaction_id),
                    }
                }
                taken
            })
        })
        .collect();
    let taken: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    // 320 tries on both nodes for 100 units.
    assert_eq!(taken.len(), 100);
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 100, "an id was given twice");
    let mut store = nodes.into_iter().map(|node| node.stop().unwrap()).next().unwrap();
    let spent: i64 = members.iter().map(|id| 50_000 - stored_account(&mut store, *id).unwrap().available()).sum();
    assert_eq!(spent, 100 * 500);
    clean(&url);
}

/// Each member who has a right to what is kept asks for it four times at once, by two callers on each of two nodes, all of whom
/// have looked the right up before.
#[test]
fn what_is_kept_for_a_member_is_had_once_on_two_nodes_at_once() {
    const MEMBERS: usize = 12;
    let url = shared().database();
    let mut store = PostgresStore::create(&url).unwrap();
    let mug = "[[rewards]]\nid = \"mug\"\nname = \"Mug\"\nprice = 5\nstock = 0\nscarcity = { private_window = { hours = 24 } }";
    publish(&mut store, &Bundle::parse(&format!("{PROGRAM}\n{mug}")).unwrap(), today()).unwrap();
    let mut house = House::<Postgres>::over(store, url.clone());
    let members: Vec<MemberId> = (0..MEMBERS).map(|_| house.rich_member(500)).collect();
    let more = Restocking { reward_id: "mug".to_owned(), pool: None, quantity: 100, planned_at: None };
    house.accepted(&Command::restock("in", today(), more, "delivery").unwrap());
    house.close();
    let nodes = [node(&url), node(&url)];
    let together = Barrier::new(4);
    let rights = Rights { private: Some(today().plus_millis(-1)), ..Rights::default() };
    let had: Vec<Vec<bool>> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|caller: usize| {
                let (handle, members, rights, together) = (nodes[caller % 2].handle(), &members, &rights, &together);
                let ask = move |member: &MemberId| {
                    let command = Command::redeem(*member, &format!("c{caller}"), today(), "mug", 1, false).unwrap();
                    together.wait();
                    let outcome = ask(&handle, command.with_rights(rights.clone()));
                    match refusal_code(&outcome) {
                        Some(code) => assert_eq!(code, RefusalCode::OutOfStock),
                        None => drop(outcome.as_ref().unwrap()),
                    }
                    outcome.is_ok()
                };
                scope.spawn(move || members.iter().map(ask).collect())
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    for member in 0..MEMBERS {
        assert_eq!(had.iter().filter(|caller| caller[member]).count(), 1, "member {member}: {had:?}");
    }
    nodes.into_iter().for_each(|node| drop(node.stop().unwrap()));
    clean(&url);
}

/// Two nodes of a program, each asked by two callers at once for some rounds: which member does what. Returns the store
/// afterwards, and the members.
fn on_two_nodes(
    url: &str,
    bundle: &Bundle,
    members: usize,
    rounds: usize,
    what: impl Fn(usize, usize) -> (usize, Activity) + Sync,
) -> (PostgresStore, Vec<MemberId>) {
    let mut store = PostgresStore::create(url).unwrap();
    publish(&mut store, bundle, today()).unwrap();
    let mut house = House::<Postgres>::over(store, url.to_owned());
    let members: Vec<MemberId> = (0..members).map(|_| house.member()).collect();
    let program = Arc::clone(&house.program);
    house.close();
    let nodes = [node(url), node(url)];
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (handle, members, program, what) = (nodes[worker % 2].handle(), &members, &program, &what);
            scope.spawn(move || {
                for round in 0..rounds {
                    let key = format!("w{worker}-r{round}");
                    let (member, activity) = what(worker, round);
                    let command = Command::record(program, members[member], &key, &activity, today(), EARLIEST);
                    drop(ask(&handle, command.unwrap()).unwrap());
                }
            });
        }
    });
    let store = nodes.into_iter().map(|node| node.stop().unwrap()).next().unwrap();
    (store, members)
}

#[test]
fn a_cap_holds_on_two_nodes_at_once() {
    let url = shared().database();
    let purchase = |_, round: usize| (round % 3, paid("purchase", today(), 300));
    let (mut store, members) = on_two_nodes(&url, &capped_bundle(), 3, 30, purchase);
    for member in members {
        // 40 purchases of 3 points meet 100 a day; the third of the month gives 7 more.
        let account = stored_account(&mut store, member).unwrap();
        assert_eq!((account.available(), account.history.lifetime("purchase").count), (107, 40));
    }
    clean(&url);
}

#[test]
fn a_budget_is_exact_on_two_nodes_at_once() {
    let url = shared().database();
    let purchase = |worker: usize, round: usize| {
        let store = Some(format!("store-{}", round % 3));
        ((worker + round) % 8, Activity { store, ..paid("purchase", today(), 300) })
    };
    let (mut store, members) = on_two_nodes(&url, &campaign_bundle(), 8, 20, purchase);
    let given: i64 = members.iter().map(|member| stored_account(&mut store, *member).unwrap().available()).sum();
    // 80 purchases of 3 points meet 100 in all, of which no store may give more than 50.
    assert_eq!(given, 100);
    clean(&url);
}

#[test]
fn what_a_referrer_gets_is_exact_on_two_nodes_at_once() {
    let text = r#"
        program = { id = "p", name = "P", money = "GBP", time_zone = "Europe/London" }
        currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100 }]
        [[rules]]
        id = "base"
        name = "Base"
        trigger = "purchase"
        effect = { type = "points_per_money", rate = "1" }
        [[rules]]
        id = "commission"
        name = "Commission"
        trigger = "purchase"
        beneficiary = "referrer"
        effect = { type = "percent_of_rule", rule = "base", percent = "100" }
        caps = [{ window = "month", points = 50 }]
        [[rules]]
        id = "friend"
        name = "Friend"
        trigger = "referral"
        beneficiary = "referrer"
        effect = { type = "fixed_points", points = 5 }
        caps = [{ window = "lifetime", points = 12, per = "everyone" }]
    "#;
    let url = shared().database();
    // The first member has referred the others; each of those is served by one caller, and the callers by two nodes.
    let does = |worker: usize, round: usize| match round {
        0 => (worker + 1, Activity { referrer: Some(MemberId(1_001)), ..custom("referral", today()) }),
        _ => (worker + 1, paid("purchase", today(), 300)),
    };
    let (mut store, members) = on_two_nodes(&url, &Bundle::parse(text).unwrap(), 5, 21, does);
    let available: Vec<i64> = members.iter().map(|id| stored_account(&mut store, *id).unwrap().available()).collect();
    // 20 purchases of 3 points each; 80 commissions of 3 meet 50 a month, and four friends of 5 meet 12 in all.
    assert_eq!((members[0], available), (MemberId(1_001), vec![62, 60, 60, 60, 60]));
    let leader = stored_account(&mut store, members[0]).unwrap();
    assert_eq!(leader.history.lifetime("purchase").count, 0);
    clean(&url);
}

#[test]
fn one_idempotency_key_on_two_nodes_at_once_is_one_transaction() {
    let url = shared().database();
    let member = furnished(&url, 1, 100_000)[0];
    let nodes = [node(&url), node(&url)];
    for round in 0..30 {
        let command = Command::redeem(member, &format!("k{round}"), today(), TEA, 1, true).unwrap();
        let answers = nodes.each_ref().map(|node| node.handle().submit_blocking(vec![command.clone()]));
        let answers = answers.map(|answer| answer.blocking_receive().pop().unwrap().unwrap());
        assert_eq!(answers[0].receipt, answers[1].receipt);
        assert!(answers[0].replayed != answers[1].replayed, "one did it, the other found it");
        let enrol = |id| enrol(MemberId(id), &format!("e{round}-{id}"), today(), &profile(&format!("C{round}")));
        let same: [Command; 2] = [enrol(5_000 + 2 * round).unwrap(), enrol(5_001 + 2 * round).unwrap()];
        let answers = [0, 1].map(|index| nodes[index].handle().submit_blocking(vec![same[index].clone()]));
        let answers = answers.map(|answer| answer.blocking_receive().pop().unwrap());
        let refused = answers.iter().filter(|one| refusal_code(one) == Some(RefusalCode::AlreadyEnrolled)).count();
        assert_eq!((refused, answers.iter().filter(|one| one.is_ok()).count()), (1, 1), "{answers:?}");
    }
    nodes.into_iter().for_each(|node| drop(node.stop().unwrap()));
    clean(&url);
}

#[test]
fn nodes_that_start_together_do_not_collide() {
    let url = shared().database();
    let starters: Vec<_> = (0..6)
        .map(|_| {
            let url = url.clone();
            std::thread::spawn(move || {
                let mut store = PostgresStore::create(&url).unwrap();
                let number = store.node().unwrap();
                (store, number)
            })
        })
        .collect();
    let stores: Vec<_> = starters.into_iter().map(|starter| starter.join().unwrap()).collect();
    assert_eq!(stores.iter().map(|(_, number)| *number).collect::<BTreeSet<_>>().len(), 6);
    // A number rests after its node has gone.
    drop(stores);
    assert_eq!(PostgresStore::create(&url).unwrap().node().unwrap(), 6);
}

#[test]
fn what_is_due_is_done_by_one_node_and_by_another_when_that_dies() {
    let url = shared().database();
    furnished(&url, 3, 100);
    let (mut first, mut second) = (PostgresStore::open(&url).unwrap(), PostgresStore::open(&url).unwrap());
    let late = at("2040-01-01T00:00:00Z");
    assert_eq!(first.due(late, 10).unwrap().len(), 3);
    assert_eq!(second.due(late, 10).unwrap().len(), 0, "the first node does it");
    drop(first);
    let database = url.rsplit('/').next().unwrap();
    shared().sql(database, "UPDATE lease SET expires_at = 0 WHERE name = 'job tick'");
    assert_eq!(second.due(late, 10).unwrap().len(), 3, "the lease has ended");
}

#[test]
fn a_program_published_on_one_node_is_in_force_on_the_others() {
    let url = shared().database();
    let member = furnished(&url, 1, 1_000)[0];
    let node = node(&url);
    let handle = node.handle();
    let changed = PROGRAM.replace("price = 40", "price = 30");
    publish(&mut PostgresStore::open(&url).unwrap(), &Bundle::parse(&changed).unwrap(), today()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // The worker of every server does this each second.
    runtime.block_on(handle.tick(today(), 10)).unwrap();
    let later = today().plus_millis(1_000);
    let outcome = ask(&handle, Command::redeem(member, "tea", later, TEA, 1, true).unwrap());
    assert_eq!(receipt(&outcome).points, -30);
    assert_eq!(handle.program().reward(TEA).and_then(|reward| reward.price.as_fixed()), Some(30));
    drop(handle);
    drop(node.stop().unwrap());
}

#[test]
fn transactions_of_a_member_rise_whichever_clock_wrote_them() {
    let url = shared().database();
    let member = furnished(&url, 1, 1_000)[0];
    let mut store = PostgresStore::open(&url).unwrap();
    // A node whose clock is an hour ahead has written the last transaction.
    let program = guerdon_store::load_program(&mut store).unwrap();
    let command = Command::redeem(member, "ahead", today(), TEA, 1, true).unwrap();
    let footprint = guerdon_core::kernel::Footprint::of([&command]);
    let loaded = store.prefetch(&footprint).unwrap();
    let (mut ids, soon) = (IdGenerator::new(77), today().plus_millis(60 * 365 * 86_400_000));
    let mut batch = guerdon_core::kernel::Batch::new(&program, loaded, &mut ids, soon);
    batch.decide(&command).unwrap();
    let changes = batch.finish();
    let ahead = changes.decisions[0].transaction.id;
    store.commit(&changes).unwrap();
    let node = Engine::start(store).unwrap();
    let behind = receipt(&ask(&node.handle(), Command::redeem(member, "behind", today(), TEA, 1, true).unwrap()));
    assert!(behind.transaction_id > ahead);
    drop(node.stop().unwrap());
    clean(&url);
}

#[test]
fn every_table_of_records_can_be_distributed_by_member() {
    let url = shared().database();
    drop(PostgresStore::create(&url).unwrap());
    let database = url.rsplit('/').next().unwrap();
    let unique = "SELECT t.relname || ' ' || i.relname || ' ' || string_agg(a.attname, ',')
        FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
        JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = 'public'
        JOIN pg_attribute a ON a.attrelid = i.oid WHERE x.indisunique GROUP BY 1, t.relname, i.relname ORDER BY 1";
    let unique = unique.replace("GROUP BY 1, ", "GROUP BY ");
    let found = shared().sql(database, &unique);
    // Copied to every node, or distributed by a key of their own: configuration, leases, stock, the log, and the way
    // from a reference to its member. Whoever adds a table decides here, and says so in docs/scaling.md.
    let elsewhere = [
        "meta",
        "document",
        "lease",
        "stock",
        "budget",
        "member_ref",
        "outbox",
        "log_batch",
        "log_tile",
        "log_head",
        "feed",
        "feed_head",
        "record",
        "audit",
        "code",
        "code_known",
    ];
    let mut records = 0;
    for line in found.lines() {
        let mut words = line.split(' ');
        let (table, index, columns) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        if elsewhere.contains(&table) {
            continue;
        }
        records += 1;
        assert!(columns.split(',').any(|column| column == "member_id"), "{table}: the index {index} lacks member_id");
    }
    assert_eq!(records, 8, "{found}");
    for (what, sql) in [
        ("a trigger", "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"),
        ("a sequence", "SELECT relname FROM pg_class WHERE relkind = 'S'"),
        ("a foreign key", "SELECT conname FROM pg_constraint WHERE contype = 'f'"),
        ("a procedure", "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"),
    ] {
        assert_eq!(shared().sql(database, sql), "", "the schema has {what}");
    }
}

#[test]
fn one_member_with_whom_another_node_was_faster_does_not_hold_up_the_others() {
    let url = shared().database();
    let members = furnished(&url, 2, 1_000);
    let mut store = PostgresStore::open(&url).unwrap();
    let program = load_program(&mut store).unwrap();
    let redeem = |member, key: &str| Command::redeem(member, key, today(), VOUCHER, 1, true).unwrap();
    let decide = |store: &mut PostgresStore, node, commands: &[Command]| {
        let loaded = store.prefetch(&Footprint::of(commands)).unwrap();
        let mut ids = IdGenerator::after(node, store.last_id().unwrap());
        let mut batch = Batch::new(&program, loaded, &mut ids, today());
        commands.iter().for_each(|command| drop(batch.decide(command).unwrap()));
        batch.finish()
    };
    let both = decide(&mut store, 900, &[redeem(members[0], "slow-0"), redeem(members[1], "slow-1")]);
    let alone = decide(&mut store, 900, &[redeem(members[0], "slow-2")]);
    let faster = decide(&mut store, 901, &[redeem(members[0], "fast")]);
    store.commit(&faster).unwrap();
    assert_eq!(store.commit_what_fits(both).unwrap(), [members[0]]);
    assert!(matches!(store.commit_what_fits(alone), Err(StoreError::Conflict)), "nothing is left to write");
    let balance = |store: &mut PostgresStore, member| stored_account(store, member).unwrap().available();
    assert_eq!((balance(&mut store, members[0]), balance(&mut store, members[1])), (500, 500));
    // Stock was taken for those two alone; journal, orders and log say the same.
    let stock = store.prefetch(&Footprint { stock: vec![VOUCHER.to_owned()], ..Footprint::default() }).unwrap();
    assert_eq!(stock.stock[VOUCHER].issued, 2);
    drop(store);
    clean(&url);
}

/// Citus itself is not to be had on a test machine: functions of its names write down how they are called.
#[test]
fn every_table_is_distributed_where_citus_is_and_none_where_it_is_not() {
    let url = shared().database();
    let mut store = PostgresStore::create(&url).unwrap();
    assert!(store.distribute().unwrap_err().to_string().contains("no Citus extension"));
    let database = url.rsplit('/').next().unwrap();
    shared().sql(
        database,
        "SET allow_system_table_mods = on;
         INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
             VALUES (99999, 'citus', 10, 'public'::regnamespace, false, '12.1');
         CREATE SCHEMA stub; CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, way TEXT);
         CREATE FUNCTION create_reference_table(one regclass) RETURNS void LANGUAGE sql AS
             $$ INSERT INTO pg_catalog.pg_dist_partition VALUES (one, 'reference') $$;
         CREATE FUNCTION create_distributed_table(one regclass, col text, colocate_with text) RETURNS void LANGUAGE sql AS
             $$ INSERT INTO pg_catalog.pg_dist_partition VALUES (one, col || ' ' || colocate_with) $$;",
    );
    let done = store.distribute().unwrap();
    let tables = shared().sql(
        database,
        "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    );
    let mut sorted = done.clone();
    sorted.sort();
    assert_eq!(sorted.join(","), tables, "a table that nobody has decided about");
    let way = |table: &str| {
        shared().sql(database, &format!("SELECT way FROM pg_dist_partition WHERE logicalrelid = '{table}'::regclass"))
    };
    assert_eq!((way("txn"), way("document")), ("member_id account".to_owned(), "reference".to_owned()));
    // Each distribution column is in every unique index of its table, as Citus wants it.
    let lacking = shared().sql(
        database,
        "SELECT p.logicalrelid FROM pg_dist_partition p JOIN pg_index x ON x.indrelid = p.logicalrelid AND x.indisunique
         WHERE p.way <> 'reference' AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = x.indexrelid
             AND a.attname = split_part(p.way, ' ', 1))",
    );
    assert_eq!(lacking, "");
    assert!(store.distribute().unwrap().is_empty(), "the second time there is nothing to do");
}

#[test]
fn what_cannot_be_opened_says_why() {
    let problem = |result: Result<PostgresStore, StoreError>| match result {
        Err(error) => error.to_string(),
        Ok(_) => panic!("opened"),
    };
    let url = shared().database();
    assert!(problem(PostgresStore::open_read_only(&url)).contains("guerdon init"));
    assert!(problem(PostgresStore::open(&url)).contains("guerdon init"));
    assert!(problem(PostgresStore::open("mysql://secret@x")).contains("postgres://"));
    let malformed = problem(PostgresStore::open("postgres://user:secret@host:notaport/x"));
    assert!(!malformed.contains("secret"), "{malformed}");
    assert!(problem(PostgresStore::open("postgres://postgres@127.0.0.1:1/x")).contains("cannot be reached"));
    assert!(problem(PostgresStore::open(&url.replace("test_", "none_"))).contains("refuses the connection"));
    let database = url.rsplit('/').next().unwrap();
    shared().sql(database, "UPDATE meta SET value = '99' WHERE key = 'schema_version'");
    assert!(problem(PostgresStore::open(&url)).contains("older binary"));
    assert!(problem(PostgresStore::open_read_only(&url)).contains("older binary"));
}

#[test]
fn rows_changed_behind_our_back_are_named() {
    let url = shared().database();
    let members = furnished(&url, 2, 1_000);
    let node = node(&url);
    for (index, member) in members.iter().enumerate() {
        let redeem = Command::redeem(*member, &format!("t{index}"), today(), VOUCHER, 1, index == 0).unwrap();
        assert!(ask(&node.handle(), redeem).is_ok());
    }
    let mut store = node.stop().unwrap();
    let key = SigningKey::new("guerdon/gift-club", &[7; 32]);
    start_log(&mut store, &key).unwrap();
    assert!(sequence(&mut store, &key).unwrap().leaves > 4);
    drop(store);
    let database = url.rsplit('/').next().unwrap();
    for (sql, row) in [
        ("UPDATE txn SET receipt = receipt || ' ' WHERE kind = 3", "transaction txn_"),
        ("UPDATE txn SET at = at - 1 WHERE kind = 3", "transaction txn_"),
        ("UPDATE transfer SET amount = amount + 1", "transaction txn_"),
        ("DELETE FROM transfer", "account mem_"),
        ("DELETE FROM txn WHERE kind = 3", "transaction txn_"),
        ("DELETE FROM txn t WHERE txn_id = (SELECT max(txn_id) FROM txn)", "account mem_"),
        ("UPDATE log_tile SET hashes = overlay(hashes placing '\\x00' from 40)", "transaction txn_"),
        ("UPDATE log_head SET size = size - 1", "log head"),
        ("UPDATE log_head SET checkpoint = replace(checkpoint, 'time 1', 'time 2')", "log head"),
        (
            "UPDATE log_batch SET names = (SELECT names FROM log_batch AS other WHERE other.first_leaf =
            1 - log_batch.first_leaf) WHERE first_leaf < 2",
            "transaction txn_",
        ),
        ("DELETE FROM log_batch WHERE first_leaf = 0", "log leaf"),
        (
            "INSERT INTO txn SELECT txn_id + 1, member_id, kind, at, day, 'forged', request_digest, channel, reference,
            receipt, leaf_hash FROM txn WHERE kind = 3",
            "transaction txn_",
        ),
        ("UPDATE account SET available = available + 1", "account mem_"),
        ("UPDATE account SET state = '\\x09ff'", "account mem_"),
        ("UPDATE orders SET points = points + 1", "order ord_"),
        ("UPDATE stock SET issued = issued - 1, on_hand = on_hand + 1 WHERE issued > 0", "stock voucher-5"),
    ] {
        // A copy for each, changed.
        let copy = shared().database();
        let name = copy.rsplit('/').next().unwrap();
        shared().sql("postgres", &format!("DROP DATABASE {name}"));
        shared().sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {database}"));
        shared().sql(name, sql);
        let report = verify(&mut PostgresStore::open_read_only(&copy).unwrap()).unwrap();
        let named = report.findings.iter().any(|finding| finding.row.starts_with(row));
        assert!(named, "{sql}: {:?} name no {row}", report.findings);
    }
}

#[test]
fn the_server_is_killed_under_load_and_nothing_acknowledged_is_lost_or_doubled() {
    let mut server = Server::start();
    let url = server.database();
    let members = furnished(&url, 8, 1_000_000);
    let nodes = [node(&url), node(&url)];
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = members
        .iter()
        .enumerate()
        .map(|(index, member)| {
            let (handle, member, stop) = (nodes[index % 2].handle(), *member, Arc::clone(&stop));
            std::thread::spawn(move || {
                let (mut acknowledged, mut longest, mut again) = (Vec::new(), Duration::ZERO, 0);
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let command = Command::redeem(member, &format!("k{number}"), today(), TEA, 1, true).unwrap();
                    let asked = Instant::now();
                    // A caller repeats what it got no answer to, with the same key.
                    let reply = loop {
                        match ask(&handle, command.clone()) {
                            Ok(reply) => break reply,
                            Err(error) => assert!(refusal_code(&Err(error)).is_none()),
                        }
                        again += 1;
                        std::thread::sleep(Duration::from_millis(100));
                    };
                    longest = longest.max(asked.elapsed());
                    acknowledged.push((command, reply.receipt));
                }
                (acknowledged, longest, again)
            })
        })
        .collect();
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(700));
        server.kill();
        server.run();
    }
    std::thread::sleep(Duration::from_millis(700));
    stop.store(true, Ordering::Relaxed);
    let done: Vec<_> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
    let longest = done.iter().map(|(_, longest, _)| *longest).max().unwrap();
    let acknowledged: usize = done.iter().map(|(acknowledged, _, _)| acknowledged.len()).sum();
    println!("{acknowledged} acknowledged over two kills; the longest wait was {longest:?}");
    assert!(acknowledged > 100 && longest < Duration::from_secs(30));
    for ((acknowledged, _, _), member) in done.iter().zip(&members) {
        for (command, receipt) in acknowledged {
            let reply = ask(&nodes[0].handle(), command.clone()).unwrap();
            assert_eq!((&reply.receipt, reply.replayed), (receipt, true));
        }
        // Each once, and nothing besides: every command was repeated until it was acknowledged.
        let mut store = PostgresStore::open_read_only(&url).unwrap();
        let spent = 1_000_000 - stored_account(&mut store, *member).unwrap().available();
        assert_eq!(spent, 40 * acknowledged.len() as i64);
    }
    nodes.into_iter().for_each(|node| drop(node.stop().unwrap()));
    clean(&url);
}
