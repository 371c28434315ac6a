//! Friends who order together choose each for themselves: variants, appointments that begin once the group is over, addresses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod shop;

use guerdon_core::id::OrderId;
use guerdon_core::kernel::{Choice, Command, GroupTerms, Rebooking, Refusal, RefusalCode};
use guerdon_core::redemption::{OrderMove, SealedDelivery};
use rust_decimal::Decimal;
use shop::{ANN, Shop, at};

const REWARDS: &str = r#"
    [program.orders]
    expire_after_hours = 2
    [[rewards]]
    id = "mug"
    name = "Mug"
    stock = 6
    kind = { type = "physical", needs_address = true, variants = [{ id = "blue", name = "Blue", stock = 1 }, { id = "red", name = "Red" }] }
    price = { points = 100, group = { members = 2, hours = 24, percent = 80 } }
    [[rewards]]
    id = "massage"
    name = "Massage"
    kind = { type = "service", appointments = { slots = [{ weekdays = [1, 2, 3, 4, 5], from = "10:00", to = "12:00", minutes = 60, capacity = 2 }] } }
    price = { points = 100, group = { members = 2, hours = 24, percent = 80 } }
"#;
/// Within the group's day, which ends on Tuesday at four, and after it.
const TUESDAY: &str = "2026-03-03T10:00";
const WEDNESDAY: &str = "2026-03-04T10:00";
const THURSDAY: &str = "2026-03-05T11:00";

fn shop() -> Shop {
    Shop::of(REWARDS, &[("mug", 6), ("mug#variant:blue", 1)])
}

fn join(shop: &mut Shop, reward: &str, place: &str, choice: Choice, hours: i64) -> Result<OrderId, Refusal> {
    let terms = GroupTerms { code: "friends".to_owned(), ends_at: at(24), percent: Decimal::from(80) };
    let command = Command::join_group(ANN, at(hours), reward, (terms, place), None);
    shop.decide(&command.choosing(choice, Some([1; 32]))?).map(|receipt| receipt.order.unwrap().id)
}

fn slot(id: &str) -> Choice {
    Choice { slot: Some(id.to_owned()), ..Choice::default() }
}

fn sent(variant: &str) -> Choice {
    let delivery = Some(SealedDelivery { sealed: "AQ==".to_owned(), address: true, account: false });
    Choice { variant: Some(variant.to_owned()), slot: None, delivery }
}

fn fill(shop: &mut Shop, order: OrderId, hours: i64) {
    let order = shop.order(order).clone();
    shop.decide(&Command::fill_group(ANN, at(hours), &order)).unwrap();
}

#[test]
fn each_order_carries_its_own_choice_and_gives_it_back_with_the_group() {
    let mut shop = shop();
    assert_eq!(join(&mut shop, "mug", "0", Choice::default(), 0).unwrap_err().code, RefusalCode::ChoiceNeeded);
    let blue = join(&mut shop, "mug", "1", sent("blue"), 0).unwrap();
    assert_eq!(shop.order(blue).points, 80);
    assert_eq!(join(&mut shop, "mug", "2", sent("blue"), 1).unwrap_err().code, RefusalCode::OutOfStock);
    let red = join(&mut shop, "mug", "3", sent("red"), 1).unwrap();
    let variant = |shop: &Shop, order: OrderId| shop.order(order).details.particulars.variant.clone();
    assert_eq!([variant(&shop, blue), variant(&shop, red)], [Some("blue".to_owned()), Some("red".to_owned())]);
    assert!(shop.order(red).details.particulars.delivery.is_some());
    for order in [blue, red] {
        let order = shop.order(order).clone();
        shop.decide(&Command::give_up_group(ANN, at(25), &order, "group_not_full")).unwrap();
    }
    assert_eq!([shop.stock["mug"].reserved, shop.stock["mug#variant:blue"].reserved], [0, 0]);
    shop.check();
}

#[test]
fn an_appointment_begins_once_it_is_known_whether_the_group_comes_together() {
    let mut shop = shop();
    let early = join(&mut shop, "massage", "1", slot(TUESDAY), 0).unwrap_err();
    assert_eq!(early.code, RefusalCode::SlotNotOffered);
    assert!(early.message.contains("before the group is over"), "{}", early.message);
    let order = join(&mut shop, "massage", "2", slot(WEDNESDAY), 0).unwrap();
    // Nor is it moved to before, and its time stays that of the group, wherever it is moved.
    let given_up = shop.order(order).due_at;
    assert_eq!(given_up, Some(at(48)), "a day after the group's end");
    let rebook = |shop: &mut Shop, slot: &str, hours: i64| {
        let rebooking = Rebooking { order, owner: ANN, slot: slot.to_owned(), reason: None };
        shop.decide(&Command::rebook(ANN, &shop.key(), at(hours), rebooking).unwrap())
    };
    assert_eq!(rebook(&mut shop, TUESDAY, 1).unwrap_err().code, RefusalCode::SlotNotOffered);
    rebook(&mut shop, THURSDAY, 1).unwrap();
    assert_eq!(shop.order(order).due_at, given_up);
    // Full: it expires no earlier than its appointment is over.
    fill(&mut shop, order, 2);
    let over = shop.order(order).details.particulars.booked().unwrap().ends_at;
    assert!(shop.order(order).due_at.is_some_and(|due| due >= over), "{:?}", shop.order(order).due_at);
    // And from then on it is moved as any other.
    rebook(&mut shop, TUESDAY, 3).unwrap();
    shop.step(order, OrderMove::Cancel, 4).unwrap();
    shop.check();
}

#[test]
fn whoever_may_call_an_order_off_may_do_so_once_the_group_is_full() {
    let rewards = REWARDS.replace("expire_after_hours = 2", "cooling_off = { above_value = \"0.5\", hours = 36 }");
    let mut shop = Shop::of(&rewards, &[("mug", 6), ("mug#variant:blue", 1)]);
    let order = join(&mut shop, "mug", "1", sent("blue"), 0).unwrap();
    assert_eq!(shop.order(order).details.cooling_until, Some(at(36)));
    assert_eq!(shop.step(order, OrderMove::Cancel, 1).unwrap_err().code, RefusalCode::GroupOpen);
    fill(&mut shop, order, 24);
    assert_eq!(shop.step(order, OrderMove::Ship, 25).unwrap_err().code, RefusalCode::CoolingOff);
    shop.step(order, OrderMove::Cancel, 30).unwrap();
    assert_eq!([shop.stock["mug"].reserved, shop.stock["mug#variant:blue"].reserved], [0, 0]);
    shop.check();
}
