//! Records and the audit log: what holds on every store, how tampering is found, and many nodes at once.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::future::Future;

use guerdon_core::audit::{AuditEntry, AuditEvent};
use guerdon_core::id::{IdGenerator, MemberId, TransactionId};
use guerdon_core::program::Bundle;
use guerdon_core::proofs::SigningKey;
use guerdon_core::time::Timestamp;
use guerdon_store::read::Reader;
use guerdon_store::{
    AuditQuery, CommandError, DataDir, Engine, PostgresStore, Record, RecordChange, RecordQuery, SqliteStore, Store,
    StoreError, publish, publish_as, sequence, start_log, verify,
};
use guerdon_tests::postgres::{Postgres, shared};
use guerdon_tests::*;
use serde_json::{Value, json};

on_every_store!(
    a_record_is_put_replaced_and_deleted_by_who_has_read_it,
    an_expired_record_is_gone_and_may_be_put_again,
    audit_events_are_a_chain,
    a_conflict_writes_nothing,
    callers_of_the_engine_hear_of_a_conflict,
    entries_and_transactions_share_one_log,
    a_publication_is_told_with_what_it_changed,
);

fn record(kind: &str, id: &str, subject: &str, body: &str) -> Record {
    Record::new(kind, id, subject, &body).unwrap()
}

fn put(record: &Record) -> RecordChange {
    RecordChange::Put(record.clone())
}

fn event(actor: &str, action: &str, subject: &str, at: Timestamp) -> AuditEvent {
    AuditEvent {
        at,
        actor: actor.to_owned(),
        address: "192.0.2.1".to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        reason: String::new(),
        before: Value::Null,
        after: json!({ "limit": 5 }),
    }
}

fn act(number: usize) -> AuditEvent {
    event("opr_1", "test.act", &format!("thing {number}"), today())
}

fn ids(store: &mut dyn Store) -> IdGenerator {
    IdGenerator::after(store.node().unwrap(), store.last_id().unwrap())
}

fn write(store: &mut dyn Store, changes: &[RecordChange], events: &[AuditEvent]) -> Result<(), StoreError> {
    let mut ids = ids(store);
    store.write_records(changes, events, today(), &mut ids)
}

fn is_conflict(result: Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict))
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn sound(store: &mut dyn Store) -> guerdon_core::ledger::VerifyReport {
    let report = verify(store).unwrap();
    assert_eq!(report.wrong, 0, "{:#?}", report.findings);
    report
}

fn a_record_is_put_replaced_and_deleted_by_who_has_read_it<B: Backend>() {
    let (mut store, keep) = B::fresh();
    let first = record("operator", "opr_1", "", "ann");
    write(&mut store, &[put(&first)], &[]).unwrap();
    assert!(is_conflict(write(&mut store, &[put(&first)], &[])), "it is there already");
    let read = |store: &mut B::Store| store.record("operator", "opr_1", today()).unwrap();
    let there = read(&mut store).unwrap();
    assert_eq!(there, Record { version: 1, ..first.clone() });
    assert_eq!(there.read::<String>().unwrap(), "ann");
    let changed = there.clone().with(&"bob").unwrap().until(today().plus_millis(5));
    write(&mut store, &[put(&changed)], &[]).unwrap();
    assert_eq!(read(&mut store), Some(Record { version: 2, ..changed }));
    assert!(is_conflict(write(&mut store, &[put(&there)], &[])), "another was faster");
    assert!(is_conflict(write(&mut store, &[RecordChange::Delete(there)], &[])));
    let there = read(&mut store).unwrap();
    write(&mut store, &[RecordChange::Delete(there.clone())], &[]).unwrap();
    assert_eq!(read(&mut store), None);
    assert!(is_conflict(write(&mut store, &[RecordChange::Delete(there.clone())], &[])));
    assert!(is_conflict(write(&mut store, &[put(&there)], &[])), "what was deleted is not brought back");
    // Kinds do not meet, and what is deleted may be put anew within one write.
    write(&mut store, &[put(&first), put(&record("session", "opr_1", "", "x"))], &[]).unwrap();
    let again = RecordChange::Delete(read(&mut store).unwrap());
    write(&mut store, &[again, put(&first.with(&"carl").unwrap())], &[]).unwrap();
    assert_eq!(read(&mut store).unwrap().read::<String>().unwrap(), "carl");
    drop((store, keep));
}

fn an_expired_record_is_gone_and_may_be_put_again<B: Backend>() {
    let (mut store, keep) = B::fresh();
    let end = today().plus_millis(1_000);
    let short = record("session", "a", "opr_1", "one").until(end);
    write(&mut store, &[put(&short), put(&record("session", "b", "opr_1", "stays"))], &[]).unwrap();
    assert!(store.record("session", "a", end.plus_millis(-1)).unwrap().is_some());
    assert!(store.record("session", "a", end).unwrap().is_none(), "its end is its first moment without it");
    let mut ids = ids(&mut store);
    let again = [put(&short.with(&"two").unwrap().until(end.plus_millis(5)))];
    assert!(is_conflict(store.write_records(&again, &[], end.plus_millis(-1), &mut ids)));
    store.write_records(&again, &[], end, &mut ids).unwrap();
    assert_eq!(store.record("session", "a", end).unwrap().unwrap().version, 1);
    let many: Vec<RecordChange> =
        (0..5).map(|n| put(&record("code", &format!("c{n}"), "", "x").until(today()))).collect();
    write(&mut store, &many, &[]).unwrap();
    assert_eq!(store.sweep_records(end, 3).unwrap(), 3, "no more than asked for");
    assert_eq!(store.sweep_records(end, 100).unwrap(), 2);
    assert_eq!(store.sweep_records(end, 100).unwrap(), 0);
    assert!(store.record("session", "a", end).unwrap().is_some());
    assert_eq!(store.sweep_records(end.plus_millis(5), 100).unwrap(), 1);
    assert!(store.record("session", "b", Timestamp::from_millis(i64::MAX)).unwrap().is_some(), "it has no end");
    drop((store, keep));
}

fn audit_events_are_a_chain<B: Backend>() {
    let (mut store, keep) = B::fresh();
    assert_eq!(store.audit_head().unwrap(), None);
    write(&mut store, &[], &[act(1), act(2), act(3)]).unwrap();
    let third = store.audit_head().unwrap().unwrap();
    assert_eq!((third.number, third.is_whole()), (3, true));
    assert_eq!(third.event().unwrap(), act(3));
    // A node whose clock is far behind, and whose ids would be below.
    let mut behind = IdGenerator::new(0);
    store.write_records(&[put(&record("thing", "4", "", "x"))], &[act(4)], today(), &mut behind).unwrap();
    let fourth = store.audit_head().unwrap().unwrap();
    assert_eq!((fourth.number, fourth.previous), (4, third.hash));
    assert!(fourth.id > third.id, "{fourth:?}");
    assert!(store.last_id().unwrap() >= fourth.id.0);
    let report = sound(&mut store);
    assert_eq!((report.audit_entries, report.waiting_for_log, report.log_leaves), (4, 4, 0));
    drop((store, keep));
}

fn a_conflict_writes_nothing<B: Backend>() {
    let (mut store, keep) = B::fresh();
    write(&mut store, &[put(&record("thing", "1", "", "first"))], &[act(1)]).unwrap();
    let before = store.audit_head().unwrap();
    let changes = [put(&record("thing", "0", "", "new")), put(&record("thing", "1", "", "stale"))];
    assert!(is_conflict(write(&mut store, &changes, &[act(2)])));
    assert_eq!(store.audit_head().unwrap(), before);
    assert_eq!(store.record("thing", "0", today()).unwrap(), None);
    assert_eq!(store.record("thing", "1", today()).unwrap().unwrap().read::<String>().unwrap(), "first");
    assert_eq!(store.outbox(10).unwrap().len(), 1);
    assert_eq!(sound(&mut store).audit_entries, 1);
    drop((store, keep));
}

fn callers_of_the_engine_hear_of_a_conflict<B: Backend>() {
    let house = House::<B>::new();
    let handle = house.handle();
    let (first, end) = (record("thing", "1", "", "x"), handle.now());
    wait(handle.write_records(vec![put(&first)], vec![act(1)])).unwrap();
    let again = wait(handle.write_records(vec![put(&first)], vec![act(2)]));
    assert!(matches!(again, Err(CommandError::Conflict)), "{again:?}");
    wait(handle.write_records(vec![put(&record("code", "1", "", "x").until(end))], vec![])).unwrap();
    assert_eq!(wait(handle.sweep_records(10)).unwrap(), 1);
    drop(handle);
    let (mut store, keep) = house.close();
    assert_eq!(store.audit_head().unwrap().unwrap().event().unwrap(), act(1));
    drop((store, keep));
}

/// A house with transactions and audit events in turn, all of them in the log or, where there is no key, before it.
fn lived_in<B: Backend>(key: Option<&SigningKey>) -> (B::Store, B::Keep) {
    let mut house = House::<B>::new();
    for number in 0..4 {
        house.rich_member(100);
        let handle = house.handle();
        wait(handle.write_records(vec![], vec![act(2 * number), act(2 * number + 1)])).unwrap();
    }
    let (mut store, keep) = house.close();
    if let Some(key) = key {
        start_log(&mut store, key).unwrap();
        assert_eq!(sequence(&mut store, key).unwrap().leaves, 16);
    }
    (store, keep)
}

fn entries_and_transactions_share_one_log<B: Backend>() {
    let key = SigningKey::new("guerdon/gift-club", &[7; 32]);
    let (mut store, keep) = lived_in::<B>(Some(&key));
    let report = sound(&mut store);
    assert_eq!((report.audit_entries, report.transactions, report.log_leaves), (8, 8, 16));
    // The numbers go on behind a restart, and the ids above those of all transactions.
    let house = House::<B>::over(store, keep);
    house.accepted(&enrol(MemberId(77), "another", today(), &profile("C-77")).unwrap());
    wait(house.handle().write_records(vec![], vec![act(8)])).unwrap();
    let (mut store, keep) = house.close();
    assert_eq!(store.audit_head().unwrap().unwrap().number, 9);
    assert_eq!(sequence(&mut store, &key).unwrap().leaves, 2);
    assert_eq!(sound(&mut store).log_leaves, 18);
    drop((store, keep));
}

fn a_publication_is_told_with_what_it_changed<B: Backend>() {
    let (mut store, keep) = B::fresh();
    let act = |at| event("opr_1", "program.publish", "program", at);
    let publish = |store: &mut B::Store, bundle: &Bundle, at| {
        let mut ids = ids(store);
        publish_as(store, bundle, at, act(at), &mut ids)
    };
    let first = publish(&mut store, &bundle(), today()).unwrap();
    assert!(!first.added.is_empty());
    let told = store.audit_head().unwrap().unwrap();
    let after = json!({ "added": first.added, "retired": [] });
    assert_eq!((told.number, told.event().unwrap()), (1, AuditEvent { after, ..act(today()) }));
    // Nothing changes: nothing is told. Nor when the publication is refused.
    let later = today().plus_millis(1);
    assert!(publish(&mut store, &bundle(), later).unwrap().added.is_empty());
    let mut other = bundle();
    other.program.id = "another".to_owned();
    assert!(publish(&mut store, &other, later).is_err());
    assert_eq!(store.audit_head().unwrap(), Some(told));
    // Through the engine, while it serves.
    let house = House::<B>::over(store, keep);
    let mut less = bundle();
    less.rules.retain(|rule| rule.id != "christmas");
    let published = wait(house.handle().publish(less, act(later))).unwrap();
    assert_eq!(published.retired, ["rule christmas"]);
    let (mut store, keep) = house.close();
    assert_eq!(store.audit_head().unwrap().unwrap().event().unwrap().after["retired"], json!(["rule christmas"]));
    drop((store, keep));
}

/// What the readers show of records and of the audit log.
fn readers<B: Backend>(open: impl AsyncFn(&B::Keep) -> Reader) {
    let (mut store, keep) = B::fresh();
    let names = ["b", "A", "a", "ä", "0", "a-1"];
    let mut changes: Vec<RecordChange> =
        names.iter().map(|id| put(&record("key", id, if *id == "a" { "opr_2" } else { "opr_1" }, "x"))).collect();
    changes.push(put(&record("key", "gone", "opr_1", "x").until(today())));
    changes.push(put(&record("other", "b", "opr_1", "x")));
    let at = |day: i64| today().plus_millis(day * 86_400_000);
    let events = [
        event("opr_1", "operator.invite", "opr_2", at(1)),
        event("opr_1", "operator.invite", "opr_3", at(2)),
        event("opr_2", "operator.remove", "opr_3", at(3)),
        event("opr_2", "operators.list", "opr_3", at(4)),
        event("cli", "program.publish", "program", at(5)),
    ];
    write(&mut store, &changes, &events).unwrap();
    wait(async {
        let reader = open(&keep).await;
        let ids = async |subject: Option<&str>, after: Option<&str>, limit| {
            let (subject, after) = (subject.map(str::to_owned), after.map(str::to_owned));
            let query = RecordQuery { kind: "key".to_owned(), subject, after, limit };
            let found = reader.records(&query, today()).await.unwrap();
            found.into_iter().map(|record| record.id).collect::<Vec<_>>()
        };
        // In the order of their bytes, on every engine.
        assert_eq!(ids(None, None, 100).await, ["0", "A", "a", "a-1", "b", "ä"]);
        assert_eq!(ids(Some("opr_1"), Some("A"), 2).await, ["a-1", "b"]);
        assert!(ids(Some("nobody"), None, 2).await.is_empty());
        // Of both subjects, that of another kind and what has expired left out.
        let up_to = async |subject: &str, after: (&str, &str), limit| {
            let found = reader.records_up_to("key", subject, after, limit, today()).await.unwrap();
            found.into_iter().map(|record| record.id).collect::<Vec<_>>()
        };
        assert_eq!(up_to("opr_2", ("", ""), 100).await, ["0", "A", "a-1", "b", "ä", "a"]);
        assert_eq!(up_to("opr_1", ("opr_1", "a-1"), 100).await, ["b", "ä"]);
        assert_eq!(up_to("opr_2", ("opr_1", "b"), 1).await, ["ä"]);
        assert!(up_to("opr_0", ("", ""), 100).await.is_empty());
        assert_eq!(reader.record("key", "a", today()).await.unwrap().unwrap().subject, "opr_2");
        assert_eq!(reader.record("key", "gone", today()).await.unwrap(), None);
        let numbers = async |query: AuditQuery| {
            let found = reader.audit_events(&AuditQuery { limit: 100, ..query }).await.unwrap();
            assert!(found.iter().all(|entry| entry.is_whole()));
            found.into_iter().map(|entry| entry.number).collect::<Vec<_>>()
        };
        let (text, any) = (|text: &str| Some(text.to_owned()), AuditQuery::default);
        assert_eq!(numbers(any()).await, [5, 4, 3, 2, 1]);
        assert_eq!(numbers(AuditQuery { actor: text("opr_1"), ..any() }).await, [2, 1]);
        assert_eq!(numbers(AuditQuery { actor: text(""), ..any() }).await, [5, 4, 3, 2, 1], "empty: no filter");
        assert_eq!(numbers(AuditQuery { action: text("operator.invite"), ..any() }).await, [2, 1]);
        assert_eq!(numbers(AuditQuery { action: text("operator."), ..any() }).await, [3, 2, 1]);
        assert_eq!(numbers(AuditQuery { subject: text("opr_3"), actor: text("opr_2"), ..any() }).await, [4, 3]);
        assert_eq!(numbers(AuditQuery { from: Some(at(2)), until: Some(at(4)), ..any() }).await, [3, 2]);
        assert_eq!(numbers(AuditQuery { before: Some(3), action: text("operator."), ..any() }).await, [2, 1]);
        assert_eq!(reader.audit_events(&AuditQuery { limit: 2, ..any() }).await.unwrap().len(), 2);
    });
    drop((store, keep));
}

#[test]
fn readers_list_and_filter_on_sqlite() {
    readers::<Sqlite>(async |keep| Reader::open(keep.path()).await.unwrap());
}

#[test]
fn readers_list_and_filter_on_postgres() {
    readers::<Postgres>(async |url| Reader::connect(url).await.unwrap());
}

/// Ways to change the audit log behind our back, and the entry that `verify` must name. The statements are those of both
/// engines.
const TAMPERING: [(&str, &str); 12] = [
    ("DELETE FROM audit WHERE number = 3", "audit entry 3"),
    ("DELETE FROM audit WHERE number = 1", "audit entry 1"),
    ("DELETE FROM audit WHERE number = 8", "audit entry txn_"),
    ("DELETE FROM audit", "audit entry txn_"),
    ("UPDATE audit SET body = replace(body, 'thing 3', 'thing 4') WHERE number = 4", "audit entry 4"),
    ("UPDATE audit SET body = 'nothing' WHERE number = 4", "audit entry 4"),
    ("UPDATE audit SET actor = 'opr_2' WHERE number = 5", "audit entry 5"),
    ("UPDATE audit SET at = at - 1 WHERE number = 5", "audit entry 5"),
    ("UPDATE audit SET previous = hash WHERE number = 6", "audit entry 6"),
    // The first two change places.
    (
        "UPDATE audit SET body = (SELECT body FROM audit AS other WHERE other.number = 3 - audit.number),
         subject = (SELECT subject FROM audit AS other WHERE other.number = 3 - audit.number) WHERE number < 3",
        "audit entry 1",
    ),
    ("UPDATE audit SET number = number + 1 WHERE number = 8", "audit entry 8"),
    (
        "INSERT INTO audit SELECT number + 1, id + 1, at, actor, action, subject, body, hash, hash FROM audit
         WHERE number = 8",
        "audit entry 9",
    ),
];

fn assert_named(store: &mut dyn Store, sql: &str, row: &str) {
    let report = verify(store).unwrap();
    let named = report.findings.iter().any(|finding| finding.row.starts_with(row));
    assert!(named, "{sql}: {:#?} name no {row}", report.findings);
}

#[test]
fn an_audit_log_that_was_changed_is_found_on_sqlite() {
    let key = SigningKey::new("guerdon/gift-club", &[7; 32]);
    for key in [None, Some(&key)] {
        let (store, directory) = lived_in::<Sqlite>(key);
        drop(store);
        for (sql, row) in TAMPERING {
            let copy = tempfile::tempdir().unwrap();
            guerdon_store::backup(directory.path(), &copy.path().join("guerdon.db")).unwrap();
            let raw = rusqlite::Connection::open(copy.path().join("guerdon.db")).unwrap();
            assert!(raw.execute(sql, []).unwrap() > 0, "{sql} changed nothing");
            drop(raw);
            assert_named(&mut SqliteStore::open_read_only(copy.path()).unwrap(), sql, row);
        }
    }
}

/// An insider who knows how hashes are made chains everything anew behind a change: the transparency log knows better.
#[test]
fn an_audit_log_that_was_chained_anew_is_found() {
    let key = SigningKey::new("guerdon/gift-club", &[7; 32]);
    let (store, directory) = lived_in::<Sqlite>(Some(&key));
    drop(store);
    let raw = rusqlite::Connection::open(directory.path().join("guerdon.db")).unwrap();
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?));
    let mut statement = raw.prepare("SELECT number, id, body FROM audit ORDER BY number").unwrap();
    let rows: Vec<_> = statement.query_map([], read).unwrap().map(Result::unwrap).collect();
    drop(statement);
    let mut previous = [0; 32];
    for (number, id, body) in rows {
        let body = if number == 5 { body.replace("opr_1", "opr_9") } else { body };
        let entry = AuditEntry::new(number, TransactionId(id), body.clone(), previous);
        let actor = entry.event().unwrap().actor;
        let sql = "UPDATE audit SET body = ?2, actor = ?3, previous = ?4, hash = ?5 WHERE number = ?1";
        raw.execute(sql, rusqlite::params![number, body, actor, previous, entry.hash]).unwrap();
        previous = entry.hash;
    }
    drop(raw);
    let store = SqliteStore::open(DataDir::open(directory.path()).unwrap());
    let report = verify(&mut store.unwrap()).unwrap();
    let rows: BTreeSet<&str> = report.findings.iter().map(|finding| finding.row.as_str()).collect();
    assert_eq!(rows, ["audit entry 5", "audit entry 6", "audit entry 7", "audit entry 8"].into());
    assert!(report.findings[0].problem.contains("another content"), "{:?}", report.findings);
}

/// Going back takes away what members did, and neither records nor the traces of those who changed them.
#[test]
fn going_back_removes_no_trace_of_what_people_did() {
    let key = SigningKey::new("guerdon/gift-club", &[7; 32]);
    let (mut store, directory) = lived_in::<Sqlite>(Some(&key));
    write(&mut store, &[put(&record("operator", "opr_1", "", "ann"))], &[act(8)]).unwrap();
    drop(store);
    let data = DataDir::open(directory.path()).unwrap();
    let rewound = guerdon_store::rewind(&data, at("2020-01-02T00:00:00Z")).unwrap();
    assert_eq!((rewound.transactions, rewound.members, rewound.records), (8, 4, 1));
    let mut store = SqliteStore::open(data).unwrap();
    assert!(store.record("operator", "opr_1", today()).unwrap().is_some());
    let told = store.audit_head().unwrap().unwrap();
    assert_eq!((told.number, told.event().unwrap().action), (10, "data.rewind".to_owned()));
    assert_eq!(told.event().unwrap().after["transactions_taken_back"], json!(8));
    let report = sound(&mut store);
    assert_eq!((report.transactions, report.audit_entries, report.waiting_for_log), (0, 10, 10));
    // The log is made anew, and its head is that of what is left.
    assert_eq!(sequence(&mut store, &key).unwrap().leaves, 10);
    assert_eq!(sound(&mut store).log_leaves, 10);
}

#[test]
fn an_audit_log_that_was_changed_is_found_on_postgres() {
    let key = SigningKey::new("guerdon/gift-club", &[7; 32]);
    let (store, url) = lived_in::<Postgres>(Some(&key));
    drop(store);
    let database = url.rsplit('/').next().unwrap();
    for (sql, row) in TAMPERING {
        let copy = shared().database();
        let name = copy.rsplit('/').next().unwrap();
        shared().sql("postgres", &format!("DROP DATABASE {name}"));
        shared().sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {database}"));
        shared().sql(name, sql);
        assert_named(&mut PostgresStore::open_read_only(&copy).unwrap(), sql, row);
    }
}

/// Each node appends to the same chain as fast as it can, with transactions between: no number is given twice, none is
/// left out, and no one hears of a conflict that is none of a record.
#[test]
fn nodes_that_append_to_the_audit_log_at_once_take_turns() {
    const NODES: usize = 3;
    const WRITES: usize = 40;
    let url = shared().database();
    publish(&mut PostgresStore::create(&url).unwrap(), &bundle(), today()).unwrap();
    let threads: Vec<_> = (0..NODES)
        .map(|node| {
            let url = url.clone();
            std::thread::spawn(move || {
                let engine = Engine::start(PostgresStore::open(&url).unwrap()).unwrap();
                let handle = engine.handle();
                for number in 0..WRITES {
                    let own = put(&record("thing", &format!("{node}-{number}"), "", "x"));
                    let events = vec![event(&format!("opr_{node}"), "test.act", &number.to_string(), handle.now()); 2];
                    wait(handle.write_records(vec![own], events)).unwrap();
                }
                drop(handle);
                drop(engine.stop().unwrap());
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut store = PostgresStore::open(&url).unwrap();
    assert_eq!(store.audit_head().unwrap().unwrap().number, (NODES * WRITES * 2) as i64);
    assert_eq!(sound(&mut store).audit_entries, (NODES * WRITES * 2) as u64);
    let key = SigningKey::new("guerdon/gift-club", &[7; 32]);
    start_log(&mut store, &key).unwrap();
    while sequence(&mut store, &key).unwrap().leaves > 0 {}
    assert_eq!(sound(&mut store).log_leaves, (NODES * WRITES * 2) as u64);
}
