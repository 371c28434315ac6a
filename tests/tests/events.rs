//! Events leave each commit with it, and come into the feed once, on every store.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use guerdon_core::kernel::{Event, Receipt};
use guerdon_core::program::Bundle;
use guerdon_core::time::Timestamp;
use guerdon_store::{Store, publish};
use guerdon_tests::{Backend, House, on_every_store, paid, today};

fn tasks() -> Bundle {
    let text = r#"
        program = { id = "p", name = "P", money = "GBP", time_zone = "Europe/London" }
        currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100 }]
        [[rules]]
        id = "call"
        name = "Call"
        trigger = "purchase"
        condition = "activity.net >= 10000"
        effect = { type = "task", text = "Call the member" }
        [[rules]]
        id = "twice"
        name = "Twice"
        trigger = "purchase"
        condition = "activity.net >= 20000"
        effect = { type = "task", text = "And again" }
    "#;
    Bundle::parse(text).unwrap()
}

fn each_event_comes_into_the_feed_once_and_in_order<B: Backend>() {
    let (mut store, keep) = B::fresh();
    publish(&mut store, &tasks(), today()).unwrap();
    let mut house = House::<B>::over(store, keep);
    let members = [house.member(), house.member()];
    let commands: Vec<_> = [(0, 9_000), (0, 10_000), (1, 20_000), (0, 30_000)]
        .map(|(member, amount)| house.record(members[member], &paid("purchase", today(), amount)))
        .into();
    // Repeated, as after a lost answer: what was told is not told again.
    let receipts: Vec<_> = house
        .submit(commands.clone())
        .iter()
        .map(|outcome| -> Receipt { serde_json::from_str(&outcome.as_ref().unwrap().receipt).unwrap() })
        .collect();
    assert!(house.submit(commands).iter().all(|outcome| outcome.as_ref().unwrap().replayed));
    assert_eq!(receipts.iter().map(|receipt| receipt.events.len()).collect::<Vec<_>>(), [0, 1, 2, 2]);
    house.restart();
    let (mut store, _keep) = house.close();
    let (now, always) = (today(), Timestamp::ZERO);
    assert_eq!([3, 3, 3].map(|limit| store.tell(limit, now, always).unwrap()), [3, 2, 0]);
    let told = store.feed(0, 10).unwrap();
    assert_eq!(told.iter().map(|told| told.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let expected =
        receipts.iter().flat_map(|receipt| (0..).zip(&receipt.events).map(move |(place, _)| (receipt, place)));
    let ids: Vec<String> = expected.map(|(receipt, place)| format!("{}-{place}", receipt.transaction_id)).collect();
    assert_eq!(told.iter().map(|told| told.stored.id()).collect::<Vec<_>>(), ids);
    assert!(matches!(&told[2].stored.event, Event::Task { subject, .. } if subject == "twice"));
    assert_eq!((told[2].stored.member_id, told[2].stored.at), (members[1], today()));
    assert_eq!(store.feed(3, 1).unwrap(), told[3..4]);
    // What is old goes, and no number comes again.
    assert_eq!(store.tell(1, now, now.plus_millis(1)).unwrap(), 0);
    assert!(store.feed(0, 10).unwrap().is_empty());
}

on_every_store!(each_event_comes_into_the_feed_once_and_in_order);
