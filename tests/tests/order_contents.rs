//! What orders take besides units of their reward, on every store: bundles, variants, slots that open with their first order,
//! limits, and privileges that are found by their member.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::time::Duration;

use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::{Choice, Command, OrderChange, Rebooking, RefusalCode};
use guerdon_core::program::Bundle;
use guerdon_core::redemption::{OrderMove, SealedDelivery};
use guerdon_core::rewards::slot_key;
use guerdon_core::time::Timestamp;
use guerdon_store::read::Reader;
use guerdon_store::{DataDir, SqliteStore, publish, rewind, verify};
use guerdon_tests::postgres::Postgres;
use guerdon_tests::*;

on_every_store!(
    a_bundle_is_taken_and_given_back_in_full,
    a_slot_opens_with_its_first_order_and_holds_no_more_than_it_has_room_for,
    an_appointment_moves_and_a_limit_is_counted,
);

fn pier<B: Backend>() -> House<B> {
    let (mut store, keep) = B::fresh();
    let bundle = Bundle::parse(include_str!("../../programs/examples/contents.toml")).unwrap();
    publish(&mut store, &bundle, today()).unwrap();
    House::over(store, keep)
}

/// The names of the slots that can be ordered.
fn slots<B: Backend>(house: &House<B>) -> Vec<String> {
    let (program, now) = (&house.program, today());
    let appointments = program.reward("massage").unwrap().appointments().unwrap();
    let slots = appointments.bookable(&program.calendar, now, program.calendar.day_of(now), 5);
    slots.into_iter().map(|slot| slot.id).collect()
}

fn in_slot(slot: &str) -> Choice {
    Choice { slot: Some(slot.to_owned()), ..Choice::default() }
}

fn in_variant(variant: &str) -> Choice {
    Choice { variant: Some(variant.to_owned()), ..Choice::default() }
}

fn sent() -> Choice {
    let delivery = SealedDelivery { sealed: "AQ==".to_owned(), address: true, account: false };
    Choice { delivery: Some(delivery), ..Choice::default() }
}

fn ordering<B: Backend>(house: &mut House<B>, member: MemberId, reward: &str, choice: Choice) -> Command {
    house.redeem(member, reward, 1, false).choosing(choice, None).unwrap()
}

fn placed<B: Backend>(house: &mut House<B>, member: MemberId, reward: &str, choice: Choice) -> OrderId {
    let command = ordering(house, member, reward, choice);
    house.accepted(&command).order.unwrap().id
}

fn moved<B: Backend>(house: &mut House<B>, owner: MemberId, order: OrderId, step: OrderMove) {
    let reason = step.needs_reason().then(|| "for the test".to_owned());
    let key = house.key();
    let change = OrderChange { order, owner, step, reason, shipment: None };
    house.accepted(&Command::move_order(owner, &key, today(), change).unwrap());
}

fn rebook<B: Backend>(house: &mut House<B>, owner: MemberId, order: OrderId, slot: &str) -> Command {
    let (key, slot) = (house.key(), slot.to_owned());
    Command::rebook(owner, &key, today(), Rebooking { order, owner, slot, reason: None }).unwrap()
}

/// Reserved and issued under a key.
fn taken<B: Backend>(house: &mut House<B>, key: &str) -> (i64, i64) {
    let level = house.stock(key);
    (level.reserved, level.issued)
}

fn a_bundle_is_taken_and_given_back_in_full<B: Backend>() {
    let mut house = pier::<B>();
    let member = house.rich_member(50_000);
    let orders: Vec<OrderId> = (0..6).map(|_| placed(&mut house, member, "tea-time", sent())).collect();
    let seventh = ordering(&mut house, member, "tea-time", sent());
    assert_eq!(house.refused(&seventh), RefusalCode::OutOfStock, "there is no more tea");
    assert_eq!(["tea-time", "mug", "tea"].map(|key| taken(&mut house, key)), [(6, 0), (6, 0), (12, 0)]);
    moved(&mut house, member, orders[0], OrderMove::Complete);
    moved(&mut house, member, orders[0], OrderMove::Refund);
    moved(&mut house, member, orders[1], OrderMove::Cancel);
    moved(&mut house, member, orders[2], OrderMove::Ship);
    assert_eq!(["tea-time", "mug", "tea"].map(|key| taken(&mut house, key)), [(3, 1), (3, 1), (6, 2)]);
    house.close();
}

fn a_slot_opens_with_its_first_order_and_holds_no_more_than_it_has_room_for<B: Backend>() {
    let mut house = pier::<B>();
    let members: Vec<MemberId> = (0..5).map(|_| house.rich_member(5_000)).collect();
    let slot = slots(&house)[0].clone();
    // In one batch: what the first one opens, the others see.
    let commands: Vec<Command> =
        members.iter().map(|member| ordering(&mut house, *member, "massage", in_slot(&slot))).collect();
    let outcomes = house.submit(commands);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 2);
    let refused = outcomes.iter().filter(|outcome| refusal_code(outcome) == Some(RefusalCode::OutOfStock));
    assert_eq!(refused.count(), 3);
    assert_eq!(taken(&mut house, &slot_key("massage", &slot)), (2, 0));
    let late = ordering(&mut house, members[4], "massage", in_slot(&slot));
    assert_eq!(house.refused(&late), RefusalCode::OutOfStock);
    house.close();
}

fn an_appointment_moves_and_a_limit_is_counted<B: Backend>() {
    let mut house = pier::<B>();
    let member = house.rich_member(20_000);
    let (first, second) = (slots(&house)[0].clone(), slots(&house)[1].clone());
    let order = placed(&mut house, member, "massage", in_slot(&first));
    let command = rebook(&mut house, member, order, &second);
    let receipt = house.receipt(&command);
    assert_eq!(house.receipt(&command), receipt, "a retry");
    assert_eq!([&first, &second].map(|slot| taken(&mut house, &slot_key("massage", slot))), [(0, 0), (1, 0)]);
    moved(&mut house, member, order, OrderMove::Complete);
    // Two mugs a month, of whichever variant.
    let blue = placed(&mut house, member, "mug", in_variant("blue"));
    placed(&mut house, member, "mug", in_variant("white"));
    let third = ordering(&mut house, member, "mug", in_variant("white"));
    assert_eq!(house.refused(&third), RefusalCode::LimitReached);
    moved(&mut house, member, blue, OrderMove::Reject);
    assert_eq!(taken(&mut house, "mug#variant:blue"), (0, 0));
    house.accepted(&third);
    house.close();
}

/// A privilege is found by its member as long as it holds, also when the member was merged; on both engines.
async fn found(reader: &Reader, members: &[MemberId], order: OrderId) {
    let far = today().plus_millis(29 * 24 * 3_600_000);
    for (at, holds) in [(today(), true), (far, true), (far.plus_millis(3 * 24 * 3_600_000), false)] {
        let orders = reader.orders_good(members, at).await.unwrap();
        assert_eq!(orders.iter().any(|found| found.id == order), holds, "{at}");
        assert_eq!(orders.len(), usize::from(holds));
    }
    assert!(reader.orders_good(&[MemberId(1)], today()).await.unwrap().is_empty());
    assert!(reader.orders_good(&[], today()).await.unwrap().is_empty());
}

fn with_a_lounge<B: Backend>() -> (House<B>, MemberId, OrderId) {
    let mut house = pier::<B>();
    let member = house.rich_member(5_000);
    let lounge = placed(&mut house, member, "lounge", Choice::default());
    moved(&mut house, member, lounge, OrderMove::Issue);
    let called_off = placed(&mut house, member, "course", Choice::default());
    moved(&mut house, member, called_off, OrderMove::Cancel);
    (house, member, lounge)
}

fn waits<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_privilege_is_found_on_sqlite() {
    let (house, member, lounge) = with_a_lounge::<Sqlite>();
    let (store, directory) = house.close();
    drop(store);
    waits(async { found(&Reader::open(directory.path()).await.unwrap(), &[MemberId(7), member], lounge).await });
}

#[test]
fn a_privilege_is_found_on_postgres() {
    let (house, member, lounge) = with_a_lounge::<Postgres>();
    let (store, url) = house.close();
    drop(store);
    waits(async { found(&Reader::connect(&url).await.unwrap(), &[MemberId(7), member], lounge).await });
}

/// `restore --until` takes back appointments, counts and privileges that came later.
#[test]
fn what_came_later_is_taken_back_with_the_time() {
    let mut house = pier::<Sqlite>();
    let member = house.rich_member(20_000);
    let (first, second) = (slots(&house)[0].clone(), slots(&house)[1].clone());
    let massage = placed(&mut house, member, "massage", in_slot(&first));
    let (lounge, mug) = (
        placed(&mut house, member, "lounge", Choice::default()),
        placed(&mut house, member, "mug", in_variant("blue")),
    );
    let before = house.account(member);
    std::thread::sleep(Duration::from_millis(20));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let moment = Timestamp::from_millis(i64::try_from(now).unwrap());
    std::thread::sleep(Duration::from_millis(20));
    let command = rebook(&mut house, member, massage, &second);
    house.accepted(&command);
    moved(&mut house, member, lounge, OrderMove::Issue);
    moved(&mut house, member, mug, OrderMove::Cancel);
    let (store, directory) = house.close();
    drop(store);
    let data = DataDir::open(directory.path()).unwrap();
    rewind(&data, moment).unwrap();
    let mut store = SqliteStore::open(data).unwrap();
    assert_eq!(stored_account(&mut store, member).unwrap(), before);
    let report = verify(&mut store).unwrap();
    assert_eq!(report.wrong, 0, "{:?}", report.findings);
    drop(store);
    waits(async {
        let reader = Reader::open(directory.path()).await.unwrap();
        let order = reader.order(massage).await.unwrap().unwrap();
        assert_eq!(order.details.particulars.booked().unwrap().slot, first);
        assert!(reader.orders_good(&[member], today()).await.unwrap().is_empty());
    });
}
