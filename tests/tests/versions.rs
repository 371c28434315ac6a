//! Versions of configuration on every store: changes that are published, scheduled and withdrawn, and what is decided
//! while they come.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use guerdon_core::audit::AuditEvent;
use guerdon_core::kernel::{Footprint, RefusalCode};
use guerdon_core::program::{Brought, Bundle, DRAFT, Document, DocumentChange, Draft, Stage, Standing};
use guerdon_core::time::Timestamp;
use guerdon_store::{
    DataDir, Record, RecordChange, SqliteStore, Store, StoreError, id_generator, load_program, publish,
    publish_changes, rewind, withdraw_versions,
};
use guerdon_tests::*;
use serde_json::{Value, json};

on_every_store!(
    changes_are_published_once_over_the_newest_version,
    scheduled_versions_come_or_are_withdrawn,
    stock_that_a_withdrawn_version_opened_is_never_another_number_in_silence,
    a_scheduled_version_is_not_overtaken,
    what_is_published_while_the_engine_runs_holds_from_its_moment_on,
    a_draft_is_kept_and_only_changed_by_who_has_read_it,
);

fn event() -> AuditEvent {
    AuditEvent {
        at: today(),
        actor: "opr_1".to_owned(),
        address: String::new(),
        action: "draft.publish".to_owned(),
        subject: "drf_1".to_owned(),
        reason: String::new(),
        before: Value::Null,
        after: json!({ "title": "dearer" }),
    }
}

fn price(base: i64, price: i64) -> DocumentChange {
    let document = json!({"id": TEA, "name": "Tea", "price": price});
    DocumentChange { kind: "reward".to_owned(), id: TEA.to_owned(), base, document: Some(document) }
}

fn change(store: &mut dyn Store, changes: &[DocumentChange], from: Timestamp) -> Result<Vec<Brought>, StoreError> {
    let mut ids = id_generator(store).unwrap();
    publish_changes(store, changes, from, event(), &mut ids)
}

fn withdraw(store: &mut dyn Store, brought: &[Brought], now: Timestamp) -> Result<(), StoreError> {
    let mut ids = id_generator(store).unwrap();
    withdraw_versions(store, brought, now, event(), &mut ids)
}

fn prices(store: &mut dyn Store, moments: [Timestamp; 2]) -> [Option<i64>; 2] {
    let program = load_program(store).unwrap();
    moments.map(|moment| program.reward_at(TEA, moment).and_then(|reward| reward.price.as_fixed()))
}

fn versions(store: &mut dyn Store) -> Vec<Document> {
    store.documents().unwrap().into_iter().filter(|one| one.kind == "reward" && one.id == TEA).collect()
}

fn fresh<B: Backend>() -> (B::Store, B::Keep) {
    let (mut store, keep) = B::fresh();
    publish(&mut store, &bundle(), Timestamp::ZERO).unwrap();
    (store, keep)
}

/// The change keeps whatever stock the reward of the tests begins with.
fn priced(store: &mut dyn Store, base: i64, points: i64) -> DocumentChange {
    let body: Value = serde_json::from_str(&versions(store)[0].body).unwrap();
    let mut change = price(base, points);
    let document = change.document.as_mut().unwrap();
    if let Some(stock) = body.get("stock") {
        document["stock"] = stock.clone();
    }
    change
}

fn changes_are_published_once_over_the_newest_version<B: Backend>() {
    let (mut store, _keep) = fresh::<B>();
    let change_one = priced(&mut store, 1, 777);
    let brought = change(&mut store, std::slice::from_ref(&change_one), today()).unwrap();
    assert_eq!(brought, [Brought { kind: "reward".to_owned(), id: TEA.to_owned(), version: 2 }]);
    // The same again, as after a crash: nothing is published twice.
    assert_eq!(change(&mut store, std::slice::from_ref(&change_one), today()).unwrap(), brought);
    assert_eq!(versions(&mut store).len(), 2);
    let stale = change(&mut store, &[DocumentChange { document: price(1, 9).document, ..change_one }], today());
    let said = stale.unwrap_err().to_string();
    assert!(said.contains("is at version 2 by now"), "{said}");
    let entry = store.audit_head().unwrap().unwrap().event().unwrap();
    assert_eq!((entry.action.as_str(), &entry.after["brought"][0]), ("draft.publish", &json!("reward tea 2")));
    assert_eq!(entry.after["title"], "dearer");
}

fn scheduled_versions_come_or_are_withdrawn<B: Backend>() {
    let (mut store, _keep) = fresh::<B>();
    let (now, then) = (today(), today().plus_millis(30 * 86_400_000));
    let before = prices(&mut store, [now, then])[0];
    let dearer = priced(&mut store, 1, 777);
    let brought = change(&mut store, &[dearer], then).unwrap();
    assert_eq!(prices(&mut store, [now, then]), [before, Some(777)]);
    withdraw(&mut store, &brought, now).unwrap();
    withdraw(&mut store, &brought, now).unwrap();
    assert_eq!(prices(&mut store, [now, then]), [before, before]);
    assert_eq!(versions(&mut store).len(), 3, "nothing that was published is deleted");
    // What holds already is not withdrawn.
    let dearer = priced(&mut store, 3, 888);
    let brought = change(&mut store, &[dearer], then).unwrap();
    let said = withdraw(&mut store, &brought, then).unwrap_err().to_string();
    assert!(said.contains("holds since"), "{said}");
    // A document that is new with it is gone again.
    let mug = DocumentChange {
        id: "mug".to_owned(),
        base: 0,
        document: Some(json!({"id": "mug", "name": "Mug", "price": 3, "stock": 7})),
        ..price(0, 3)
    };
    let brought = change(&mut store, &[mug], then).unwrap();
    withdraw(&mut store, &brought, now).unwrap();
    assert!(load_program(&mut store).unwrap().reward_at("mug", then).is_none());
}

fn a_scheduled_version_is_not_overtaken<B: Backend>() {
    let (mut store, _keep) = fresh::<B>();
    let (now, then) = (today(), today().plus_millis(30 * 86_400_000));
    let dearer = priced(&mut store, 1, 777);
    change(&mut store, &[dearer], then).unwrap();
    let sooner = priced(&mut store, 2, 888);
    let said = change(&mut store, std::slice::from_ref(&sooner), now).unwrap_err().to_string();
    assert!(said.contains("version 2 is scheduled for"), "{said}");
    let said = publish(&mut store, &bundle(), now).unwrap_err().to_string();
    assert!(said.contains("version 2 is scheduled for"), "{said}");
    change(&mut store, &[sooner], then.plus_millis(1)).unwrap();
}

fn what_is_published_while_the_engine_runs_holds_from_its_moment_on<B: Backend>() {
    let mut house = House::<B>::new();
    let member = house.rich_member(100_000);
    let then = today().plus_millis(60_000);
    let dearer = house.look(|store| priced(store, 1, 777));
    let redeem = |house: &mut House<B>, at: Timestamp, key: &str| {
        let command = guerdon_core::kernel::Command::redeem(member, key, at, TEA, 1, true).unwrap();
        house.accepted(&command).order.unwrap().points
    };
    let before = redeem(&mut house, today(), "one");
    let handle = house.handle();
    let brought = wait(handle.publish_changes(vec![dearer], then, event())).unwrap();
    assert_eq!(brought[0].version, 2);
    assert_eq!(redeem(&mut house, then.plus_millis(-1), "two"), before);
    assert_eq!(redeem(&mut house, then, "three"), 777);
    // What is shown follows the clock of the program, without a restart.
    let shown = |offset_of: Timestamp| {
        let machine = handle.now();
        handle.set_clock_offset(offset_of.as_millis() - machine.as_millis());
        let price = handle.program().reward(TEA).and_then(|reward| reward.price.as_fixed());
        handle.set_clock_offset(0);
        price
    };
    assert_eq!((shown(then.plus_millis(-30_000)), shown(then)), (Some(before), Some(777)));
    drop(handle);
    house.close();
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn a_draft_is_kept_and_only_changed_by_who_has_read_it<B: Backend>() {
    let (mut store, _keep) = fresh::<B>();
    let mut draft = Draft {
        title: "Dearer tea".to_owned(),
        author: "opr_1".to_owned(),
        people: vec!["opr_1".to_owned()],
        stage: Stage::Draft,
        submission: 0,
        changes: vec![priced(&mut store, 1, 777)],
        effective_from: None,
        announcement: None,
        override_reason: None,
        approval: None,
        announced_at: None,
        brought: Vec::new(),
        history: Vec::new(),
    };
    draft.validate().unwrap();
    let write = |store: &mut B::Store, record: Record| {
        let mut ids = id_generator(store).unwrap();
        store.write_records(&[RecordChange::Put(record)], &[event()], today(), &mut ids)
    };
    write(&mut store, Record::new(DRAFT, "drf_1", "draft", &draft).unwrap()).unwrap();
    let read = store.record(DRAFT, "drf_1", today()).unwrap().unwrap();
    assert_eq!(read.read::<Draft>().unwrap(), draft);
    draft.moved("edit", "opr_1", today(), "");
    write(&mut store, read.clone().with(&draft).unwrap()).unwrap();
    assert!(matches!(write(&mut store, read.with(&draft).unwrap()), Err(StoreError::Conflict)));
    // Where it stands goes by what is published.
    let then = today().plus_millis(1_000);
    (draft.stage, draft.effective_from) = (Stage::Published, Some(then));
    draft.brought = change(&mut store, &draft.changes, then).unwrap();
    let documents = store.documents().unwrap();
    assert_eq!(draft.standing(&documents, today()), Standing::Scheduled);
    assert_eq!(draft.standing(&documents, then), Standing::Effective);
    let newer = priced(&mut store, 2, 888);
    change(&mut store, &[newer], then.plus_millis(1)).unwrap();
    let documents = store.documents().unwrap();
    assert_eq!(draft.standing(&documents, then.plus_millis(1)), Standing::Retired);
    let free = priced(&mut store, 3, -1);
    let refused = change(&mut store, &[free], then.plus_millis(2)).unwrap_err();
    assert!(
        matches!(&refused, StoreError::Refused(refusal) if refusal.code == RefusalCode::InvalidRequest),
        "{refused}"
    );
}

/// A mug in colours and in pools, each with so many units; with none of either where they are left out.
fn mug(base: i64, colours: &[(&str, i64)], pools: &[(&str, i64)]) -> DocumentChange {
    let part = |(id, stock): &(&str, i64)| json!({ "id": id, "name": id, "stock": stock });
    let pool = |(id, stock): &(&str, i64)| json!({ "id": id, "stock": stock });
    let mut document = json!({
        "id": "mug", "name": "Mug", "price": 3,
        "kind": { "type": "physical", "variants": colours.iter().map(part).collect::<Vec<_>>() },
    });
    if !pools.is_empty() {
        document["scarcity"] = json!({ "pools": pools.iter().map(pool).collect::<Vec<_>>() });
    }
    DocumentChange { kind: "reward".to_owned(), id: "mug".to_owned(), base, document: Some(document) }
}

/// What is in stock, and what there was to begin with.
fn units(store: &mut dyn Store, key: &str) -> Option<(i64, i64)> {
    let footprint = Footprint { stock: vec![key.to_owned()], ..Footprint::default() };
    store.prefetch(&footprint).unwrap().stock.get(key).map(|level| (level.on_hand, level.initial))
}

fn stock_that_a_withdrawn_version_opened_is_never_another_number_in_silence<B: Backend>() {
    let (mut store, _keep) = fresh::<B>();
    let (now, then) = (today(), today().plus_millis(30 * 86_400_000));
    change(&mut store, &[mug(0, &[("blue", 2)], &[("shop", 7)])], now).unwrap();
    // By mistake five of each; withdrawn before anybody could order.
    let wrong = mug(1, &[("blue", 2), ("red", 5)], &[("shop", 7), ("web", 5)]);
    let brought = change(&mut store, &[wrong], then).unwrap();
    withdraw(&mut store, &brought, now).unwrap();
    for (right, part) in [
        (mug(3, &[("blue", 2), ("red", 50)], &[("shop", 7)]), "its variant `red`"),
        (mug(3, &[("blue", 2)], &[("shop", 7), ("web", 50)]), "its pool `web`"),
    ] {
        let said = change(&mut store, &[right], then).unwrap_err().to_string();
        let wanted = format!(
            "reward `mug`: the stock of {part} was opened with 5 units by version 2, and is counted since: publish it with 5, \
             and restock it by 45"
        );
        assert!(said.contains(&wanted), "{said}");
    }
    let mugs = store.documents().unwrap().into_iter().filter(|one| one.id == "mug");
    assert_eq!(mugs.count(), 3, "nothing was published of it");
    // As it says: with what is counted, and the rest on record.
    change(&mut store, &[mug(3, &[("blue", 2), ("red", 5)], &[("shop", 7), ("web", 5)])], now).unwrap();
    assert_eq!((units(&mut store, "mug#variant:red"), units(&mut store, "mug#web")), (Some((5, 5)), Some((5, 5))));
    // One that was taken away comes back as it was.
    change(&mut store, &[mug(4, &[("red", 5)], &[("shop", 7), ("web", 5)])], now).unwrap();
    let said = change(&mut store, &[mug(5, &[("blue", 3), ("red", 5)], &[("shop", 7), ("web", 5)])], now).unwrap_err();
    assert!(said.to_string().contains("its variant `blue` was opened with 2 units by version 1"), "{said}");
    change(&mut store, &[mug(5, &[("blue", 2), ("red", 5)], &[("shop", 7), ("web", 5)])], now).unwrap();
    // A program file is told the same.
    let file = |blue: i64| {
        let mug = format!(
            "[[rewards]]\nid = \"mug\"\nname = \"Mug\"\nprice = 3\n\
             kind = {{ type = \"physical\", variants = [{{ id = \"blue\", name = \"blue\", stock = {blue} }}] }}\n\
             scarcity = {{ pools = [{{ id = \"shop\", stock = 7 }}, {{ id = \"web\", stock = 5 }}] }}\n"
        );
        Bundle::parse(&format!("{PROGRAM}\n{mug}")).unwrap()
    };
    change(&mut store, &[mug(6, &[("red", 5)], &[("shop", 7), ("web", 5)])], now).unwrap();
    let said = publish(&mut store, &file(3), now).unwrap_err().to_string();
    assert!(said.contains("its variant `blue` was opened with 2 units by version 1"), "{said}");
    publish(&mut store, &file(2), now).unwrap();
}

/// `restore --until` takes away the version that opened stock, and with it stock of which nothing was taken.
#[test]
fn stock_goes_with_the_version_that_opened_it_when_time_is_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let (moment, later) = (today().plus_millis(1), today().plus_millis(60_000));
    let mut store = SqliteStore::open(DataDir::create(directory.path()).unwrap()).unwrap();
    publish(&mut store, &bundle(), Timestamp::ZERO).unwrap();
    change(&mut store, &[mug(0, &[("blue", 2)], &[])], today()).unwrap();
    change(&mut store, &[mug(1, &[("blue", 2), ("red", 5)], &[])], later).unwrap();
    drop(store);
    let data = DataDir::open(directory.path()).unwrap();
    rewind(&data, moment).unwrap();
    let mut store = SqliteStore::open(data).unwrap();
    assert_eq!((units(&mut store, "mug#variant:blue"), units(&mut store, "mug#variant:red")), (Some((2, 2)), None));
    change(&mut store, &[mug(1, &[("blue", 2), ("red", 50)], &[])], later).unwrap();
    assert_eq!(units(&mut store, "mug#variant:red"), Some((50, 50)));
}
