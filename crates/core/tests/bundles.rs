//! Bundles whose parts the program hands out, each by its own way: all of it or nothing, and what people send comes after it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod shop;

use guerdon_core::earning::Activity;
use guerdon_core::id::{OrderId, TransactionId};
use guerdon_core::kernel::{Command, RefusalCode};
use guerdon_core::ledger::CurrencyId;
use guerdon_core::program::Program;
use guerdon_core::redemption::{Order, OrderMove, OrderPart, OrderState, PartWay};
use guerdon_core::rewards::Fulfilment;
use guerdon_core::time::EARLIEST;
use shop::{ANN, Shop, at, documents};

const REWARDS: &str = r#"
    [program.orders]
    expire_after_hours = 72
    complete_after_hours = 48
    [program.payment]
    tenders = ["cash_on_delivery"]
    [[rules]]
    id = "gift"
    name = "Gift"
    trigger = "visit"
    effect = { type = "issue_reward", reward = "evening", quantity = 1 }
    [[rewards]]
    id = "ticket"
    name = "Ticket"
    price = 40
    stock = 9
    kind = { type = "virtual_code" }
    fulfilment = { by = "vault" }
    [[rewards]]
    id = "card"
    name = "Card"
    price = 70
    fulfilment = { by = "supplier", supplier = "cards" }
    [[rewards]]
    id = "lounge"
    name = "Lounge"
    price = 50
    kind = { type = "privilege", days = 30 }
    [[rewards]]
    id = "mug"
    name = "Mug"
    price = 10
    stock = 6
    kind = { type = "physical" }
    [[rewards]]
    id = "evening"
    name = "Evening"
    price = 100
    stock = 4
    kind = { type = "bundle", contents = [{ reward = "ticket", quantity = 2 }, { reward = "lounge" }] }
    [[rewards]]
    id = "box"
    name = "Box"
    price = 100
    kind = { type = "bundle", contents = [{ reward = "ticket" }, { reward = "card" }, { reward = "mug" }] }
    [[rewards]]
    id = "shelf"
    name = "Shelf"
    price = 100
    kind = { type = "bundle", contents = [{ reward = "lounge" }, { reward = "mug", quantity = 2 }] }
    [[rewards]]
    id = "counter"
    name = "Counter"
    price = 100
    pickup = true
    kind = { type = "bundle", contents = [{ reward = "ticket" }, { reward = "mug" }] }
    [[rewards]]
    id = "crate"
    name = "Crate"
    price = 1
    kind = { type = "bundle", contents = [{ reward = "card", quantity = 300 }] }
"#;

fn shop() -> Shop {
    Shop::of(REWARDS, &[("ticket", 9), ("mug", 6), ("evening", 4)])
}

fn by_itself(shop: &mut Shop, order: OrderId, step: OrderMove, hours: i64) -> Result<OrderState, RefusalCode> {
    let order = shop.order(order).clone();
    let reason = step.needs_reason().then_some("codes_ran_out");
    let command = Command::fulfilment_step(&order, ANN, step, at(hours), reason);
    shop.decide(&command).map(|receipt| receipt.order.unwrap().state).map_err(|refusal| refusal.code)
}

fn part(reward: &str, quantity: i64, way: PartWay) -> OrderPart {
    OrderPart { reward: reward.to_owned(), quantity, variant: None, way }
}

fn handed<'o>(program: &'o Program, order: &'o Order) -> Vec<(&'o str, i64, &'static str, bool)> {
    let of = |handing: guerdon_core::redemption::Handing<'o>| {
        (handing.reward_id, handing.quantity, handing.fulfilment.name(), handing.is_part)
    };
    program.handings(order).into_iter().map(of).collect()
}

#[test]
fn a_bundle_says_how_each_part_comes_to_the_member_whatever_is_published_later() {
    let mut shop = shop();
    let order = shop.redeem("box", 2, 0).unwrap();
    let vault = PartWay::Program { fulfilment: Fulfilment::Vault {} };
    let supplier = PartWay::Program { fulfilment: Fulfilment::Supplier { supplier: "cards".to_owned() } };
    let wanted = [part("ticket", 2, vault), part("card", 2, supplier), part("mug", 2, PartWay::People {})];
    assert_eq!(shop.order(order).details.particulars.parts, wanted);
    let changed = REWARDS.replace("{ reward = \"ticket\" }, { reward = \"card\" }, ", "");
    assert_ne!(changed, REWARDS);
    shop.program = Program::from_documents(&documents(&changed)).unwrap();
    let found = handed(&shop.program, shop.order(order));
    assert_eq!(found, [("ticket", 2, "vault", true), ("card", 2, "supplier", true)]);
    let plain = shop.redeem("ticket", 3, 0).unwrap();
    assert_eq!(handed(&shop.program, shop.order(plain)), [("ticket", 3, "vault", false)]);
    assert!(shop.order(plain).details.particulars.parts.is_empty());
}

#[test]
fn only_the_program_takes_the_points_of_what_it_hands_out_and_a_privilege_begins_with_it() {
    let mut shop = shop();
    let order = shop.redeem("evening", 1, 0).unwrap();
    assert!(shop.program.may_fulfil(shop.order(order), at(0)) && shop.program.hands_out(shop.order(order)));
    for step in [OrderMove::Ship, OrderMove::Issue, OrderMove::Complete] {
        assert_eq!(shop.step(order, step, 1).unwrap_err().code, RefusalCode::IllegalOrderMove);
    }
    let at_once = Command::redeem(ANN, "now", at(1), "evening", 1, true).unwrap();
    assert_eq!(shop.decide(&at_once).unwrap_err().code, RefusalCode::IllegalOrderMove);
    by_itself(&mut shop, order, OrderMove::Fulfil, 1).unwrap();
    assert_eq!(shop.order(order).benefits().count(), 0);
    assert_eq!(by_itself(&mut shop, order, OrderMove::Issue, 2), Ok(OrderState::Issued));
    assert_eq!(shop.order(order).benefits().count(), 1, "it holds since the hand-over");
    assert!(shop.program.may_fulfil(shop.order(order), at(2)), "nothing is left for people");
    // None of its moves says that something is to be sent.
    assert!(shop.order(order).moves().all(|step| step != OrderMove::Ship));
    assert_eq!(by_itself(&mut shop, order, OrderMove::Complete, 2), Ok(OrderState::Completed));
    assert_eq!([shop.stock["ticket"].issued, shop.stock["evening"].issued], [2, 1]);
    shop.check();
}

#[test]
fn what_people_send_comes_after_the_codes_and_nothing_completes_before_it_was_sent() {
    let mut shop = shop();
    let order = shop.redeem("box", 1, 0).unwrap();
    let refusal = shop.step(order, OrderMove::Ship, 1).unwrap_err();
    assert!(refusal.message.contains("comes before what people send"), "{}", refusal.message);
    by_itself(&mut shop, order, OrderMove::Fulfil, 1).unwrap();
    assert_eq!(by_itself(&mut shop, order, OrderMove::Issue, 2), Ok(OrderState::Issued));
    let issued = shop.order(order).clone();
    assert_eq!((issued.due_at, issued.has_rest_for_people()), (None, true));
    assert!(!shop.program.may_fulfil(&issued, at(100)), "the rest is for people");
    assert!(issued.moves().any(|step| step == OrderMove::Ship));
    // The clock does not ask, for the order has no time; and the points are spent, so that the codes can be seen.
    assert_eq!(shop.account.wallet(CurrencyId(1)).unwrap().balance().held, 0);
    shop.step(order, OrderMove::Ship, 3).unwrap();
    let shipped = shop.order(order).clone();
    assert_eq!((shipped.state, shipped.due_at), (OrderState::Shipped, Some(at(3 + 48))));
    // Taken back, it stands where it stood.
    let entry = shipped.details.history.last().unwrap().transaction_id;
    let mut back = shipped.clone();
    assert!(back.rewind(entry, at(3)));
    assert_eq!((back.state, back.due_at, &back.details.particulars), (issued.state, None, &issued.details.particulars));
    assert!(back.moves().any(|step| step == OrderMove::Ship));
    assert!(!back.rewind(TransactionId(0), at(0)));
    shop.step(order, OrderMove::Complete, 4).unwrap();
    shop.step(order, OrderMove::Refund, 5).unwrap();
    assert_eq!([shop.stock["ticket"].issued, shop.stock["mug"].issued], [0, 0]);
    shop.check();
}

#[test]
fn what_fails_for_good_gives_all_of_it_back() {
    let mut shop = shop();
    let order = shop.redeem("box", 2, 0).unwrap();
    by_itself(&mut shop, order, OrderMove::Fulfil, 1).unwrap();
    assert_eq!([shop.stock["ticket"].reserved, shop.stock["mug"].reserved], [2, 2]);
    assert_eq!(by_itself(&mut shop, order, OrderMove::Fail, 2), Ok(OrderState::Cancelled));
    assert_eq!([shop.stock["ticket"].reserved, shop.stock["mug"].reserved], [0, 0]);
    // Nothing moves it any more, by whichever step that comes late.
    for step in [OrderMove::Issue, OrderMove::Complete, OrderMove::Fulfil] {
        assert_eq!(by_itself(&mut shop, order, step, 3), Err(RefusalCode::IllegalOrderMove));
    }
    shop.check();
}

#[test]
fn bundles_of_which_the_program_hands_nothing_out_stay_with_people() {
    let mut shop = shop();
    for (reward, hours) in [("shelf", 0), ("counter", 1)] {
        let order = shop.redeem(reward, 1, hours).unwrap();
        assert!(shop.order(order).details.particulars.parts.is_empty(), "{reward}");
        assert!(!shop.program.may_fulfil(shop.order(order), at(hours)), "{reward}");
        shop.step(order, OrderMove::Complete, hours).unwrap();
    }
    let order = shop.redeem("shelf", 1, 2).unwrap();
    shop.step(order, OrderMove::Issue, 2).unwrap();
    assert_eq!(shop.step(order, OrderMove::Ship, 2).unwrap_err().code, RefusalCode::IllegalOrderMove);
    shop.check();
}

#[test]
fn money_is_not_taken_on_delivery_for_codes_that_are_seen_before() {
    let shop = shop();
    let taken = |reward: &str| shop.program.tenders_for(shop.program.reward(reward).unwrap(), at(0)).count();
    assert_eq!(["evening", "box", "ticket", "shelf", "counter", "mug"].map(taken), [0, 0, 0, 1, 1, 1]);
}

#[test]
fn an_order_has_a_thousand_units_that_are_handed_out_one_by_one_at_the_most() {
    let mut shop = shop();
    let refusal = shop.redeem("crate", 4, 0).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::InvalidAmount);
    assert!(refusal.message.contains("`quantity` must be 3 at the most"), "{}", refusal.message);
    let order = shop.redeem("crate", 3, 0).unwrap();
    assert_eq!(shop.order(order).details.particulars.parts[0].quantity, 900);
    // What people hand out is not counted.
    assert!(shop.redeem("shelf", 3, 0).is_ok());
}

#[test]
fn a_bundle_that_a_rule_gives_is_set_aside_until_the_program_has_handed_it_out() {
    let mut shop = shop();
    let activity = Activity { kind: "visit".to_owned(), ..Activity::default() };
    let visit = Command::record(&shop.program, ANN, "visit", &activity, at(0), EARLIEST).unwrap();
    shop.decide(&visit).unwrap();
    let order = shop.orders.values().next().unwrap().clone();
    assert_eq!((order.state, order.points, order.details.particulars.parts.len()), (OrderState::Approved, 0, 2));
    let levels = |shop: &Shop| ["evening", "ticket"].map(|key| (shop.stock[key].reserved, shop.stock[key].issued));
    assert_eq!(levels(&shop), [(1, 0), (2, 0)]);
    by_itself(&mut shop, order.id, OrderMove::Fulfil, 0).unwrap();
    by_itself(&mut shop, order.id, OrderMove::Issue, 0).unwrap();
    assert_eq!(levels(&shop), [(0, 1), (0, 2)]);
    shop.check();
}
