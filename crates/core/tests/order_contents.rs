//! What each kind of reward needs in an order: bundles, variants, appointments, where it goes to, and for how long it holds.
//! All of it is taken or nothing, and whatever ends an order gives all of it back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod shop;

use std::collections::BTreeMap;

use guerdon_core::earning::Activity;
use guerdon_core::id::{OrderId, TransactionId};
use guerdon_core::kernel::{Choice, Command, Rebooking, Receipt, Refusal, RefusalCode};
use guerdon_core::program::{Bundle, Document, Program, check_lasting};
use guerdon_core::redemption::{Funds, OrderMove, OrderState, SealedDelivery};
use guerdon_core::rewards::{StockLevel, free_places};
use guerdon_core::time::{EARLIEST, Timestamp};
use proptest::prelude::*;
use shop::{ANN, Shop, at, documents};

const REWARDS: &str = r#"
    [[rewards]]
    id = "mug"
    name = "Mug"
    price = 10
    stock = 6
    kind = { type = "physical", variants = [{ id = "blue", name = "Blue", stock = 2 }, { id = "red", name = "Red" }] }
    [[rewards]]
    id = "tea"
    name = "Tea"
    price = 5
    stock = 9
    kind = { type = "physical", needs_address = true }
    [[rewards]]
    id = "lounge"
    name = "Lounge"
    price = 50
    kind = { type = "privilege", days = 30 }
    [[rewards]]
    id = "lesson"
    name = "Lesson"
    price = 1
    kind = { type = "trial" }
    [[rewards]]
    id = "top-up"
    name = "Top-up"
    price = 20
    kind = { type = "top_up", account = { name = "Phone", pattern = "1[3-9][0-9]{9}" } }
    [[rewards]]
    id = "massage"
    name = "Massage"
    price = 30
    kind = { type = "service", appointments = { slots = [{ weekdays = [2, 3, 4], from = "10:00", to = "12:00", minutes = 60, capacity = 2 }], notice_hours = 1 } }
    [[rewards]]
    id = "breakfast"
    name = "Breakfast"
    price = 40
    stock = 5
    kind = { type = "bundle", contents = [{ reward = "mug", quantity = 1, variant = "blue" }, { reward = "tea", quantity = 2 }, { reward = "lounge" }] }
"#;

const TUESDAY: &str = "2026-03-03T10:00";
const LATER: &str = "2026-03-03T11:00";

fn shop() -> Shop {
    Shop::of(REWARDS, &[("mug", 6), ("mug#variant:blue", 2), ("tea", 9), ("breakfast", 5)])
}

fn sealed(address: bool, account: bool) -> Option<SealedDelivery> {
    Some(SealedDelivery { sealed: "AQ==".to_owned(), address, account })
}

fn variant(id: &str) -> Choice {
    Choice { variant: Some(id.to_owned()), ..Choice::default() }
}

fn slot(id: &str) -> Choice {
    Choice { slot: Some(id.to_owned()), ..Choice::default() }
}

fn sent() -> Choice {
    Choice { delivery: sealed(true, false), ..Choice::default() }
}

fn order(shop: &mut Shop, reward: &str, quantity: i64, choice: Choice, hours: i64) -> Result<OrderId, Refusal> {
    ordered(shop, reward, quantity, choice, hours, false).map(|receipt| receipt.order.unwrap().id)
}

fn ordered(
    shop: &mut Shop,
    reward: &str,
    quantity: i64,
    choice: Choice,
    hours: i64,
    capture: bool,
) -> Result<Receipt, Refusal> {
    let command = Command::redeem(ANN, &shop.key(), at(hours), reward, quantity, capture).unwrap();
    shop.decide(&command.choosing(choice, None).unwrap())
}

fn rebook(shop: &mut Shop, order: OrderId, slot: &str, hours: i64) -> Result<Receipt, Refusal> {
    let rebooking = Rebooking { order, owner: ANN, slot: slot.to_owned(), reason: None };
    let command = Command::rebook(ANN, &shop.key(), at(hours), rebooking).unwrap();
    shop.decide(&command.by("opr_1".to_owned()))
}

/// Reserved and issued under a key.
fn taken(shop: &Shop, key: &str) -> (i64, i64) {
    shop.stock.get(key).map_or((0, 0), |level| (level.reserved, level.issued))
}

/// Every stock holds what the orders say they take of it, and the points are where they belong.
fn check(shop: &Shop) {
    shop.check();
    let mut wanted: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for order in shop.orders.values() {
        for (key, units) in order.stock() {
            let (reserved, issued) = wanted.entry(key).or_default();
            match order.state.funds() {
                Funds::Held => *reserved += units,
                Funds::Spent => *issued += units,
                Funds::Returned => {}
            }
        }
    }
    for (key, level) in &shop.stock {
        assert_eq!((level.reserved, level.issued), wanted.remove(key.as_str()).unwrap_or_default(), "{key}");
        assert!(0 <= level.reserved && level.reserved <= level.on_hand, "{key}: {level:?}");
    }
    // What is left is not limited.
    assert!(wanted.keys().all(|key| ["lounge", "lesson", "top-up", "massage"].contains(key)), "{wanted:?}");
}

#[test]
fn a_bundle_takes_all_that_it_holds_or_nothing() {
    let mut shop = shop();
    assert_eq!(order(&mut shop, "breakfast", 1, Choice::default(), 0).unwrap_err().code, RefusalCode::ChoiceNeeded);
    let first = order(&mut shop, "breakfast", 2, sent(), 0).unwrap();
    let all = ["breakfast", "mug", "mug#variant:blue", "tea"];
    assert_eq!(all.map(|key| taken(&shop, key)), [(2, 0), (2, 0), (2, 0), (4, 0)]);
    // There are breakfasts, mugs and tea, but no blue mug.
    let before = shop.stock.clone();
    let refusal = order(&mut shop, "breakfast", 1, sent(), 0).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::OutOfStock);
    assert_eq!(refusal.message, "1 of mug in blue wanted, 0 left");
    assert_eq!(shop.stock, before);
    // Whatever is published since: what it took is given back.
    let changed = REWARDS.replace("{ reward = \"tea\", quantity = 2 }, ", "");
    shop.program = Program::from_documents(&documents(&changed)).unwrap();
    shop.step(first, OrderMove::Complete, 1).unwrap();
    assert_eq!(all.map(|key| taken(&shop, key)), [(0, 2), (0, 2), (0, 2), (0, 4)]);
    check(&shop);
    shop.step(first, OrderMove::Refund, 2).unwrap();
    assert_eq!(all.map(|key| taken(&shop, key)), [(0, 0); 4]);
    check(&shop);
}

#[test]
fn a_thing_with_variants_is_ordered_in_one_and_each_has_units_of_its_own() {
    let mut shop = shop();
    let refusal = order(&mut shop, "mug", 1, Choice::default(), 0).unwrap_err();
    let wanted = (RefusalCode::ChoiceNeeded, "`variant` must name one of blue, red");
    assert_eq!((refusal.code, refusal.message.as_str()), wanted);
    let refusal = order(&mut shop, "mug", 1, variant("green"), 0).unwrap_err();
    assert_eq!((refusal.code, refusal.message.contains("one of blue, red")), (RefusalCode::InvalidRequest, true));
    assert_eq!(order(&mut shop, "tea", 1, variant("blue"), 0).unwrap_err().code, RefusalCode::InvalidRequest);
    let receipt = ordered(&mut shop, "mug", 2, variant("blue"), 0, true).unwrap();
    assert_eq!(receipt.order.as_ref().unwrap().variant.as_deref(), Some("blue"));
    assert_eq!([taken(&shop, "mug"), taken(&shop, "mug#variant:blue")], [(0, 2), (0, 2)]);
    assert_eq!(order(&mut shop, "mug", 1, variant("blue"), 0).unwrap_err().code, RefusalCode::OutOfStock);
    // Red ones are as many as there are mugs.
    let red = order(&mut shop, "mug", 4, variant("red"), 0).unwrap();
    assert_eq!(order(&mut shop, "mug", 1, variant("red"), 0).unwrap_err().code, RefusalCode::OutOfStock);
    shop.step(red, OrderMove::Cancel, 1).unwrap();
    shop.step(receipt.order.unwrap().id, OrderMove::Refund, 1).unwrap();
    assert_eq!([taken(&shop, "mug"), taken(&shop, "mug#variant:blue")], [(0, 0), (0, 0)]);
    check(&shop);
}

#[test]
fn what_an_order_does_not_need_it_does_not_bring() {
    let mut shop = shop();
    let account = Choice { delivery: sealed(false, true), ..Choice::default() };
    for (reward, choice, code) in [
        ("tea", Choice::default(), RefusalCode::ChoiceNeeded),
        ("tea", account.clone(), RefusalCode::ChoiceNeeded),
        ("lounge", sent(), RefusalCode::InvalidRequest),
        ("lounge", account.clone(), RefusalCode::InvalidRequest),
        ("lounge", slot(TUESDAY), RefusalCode::InvalidRequest),
        ("top-up", Choice::default(), RefusalCode::ChoiceNeeded),
        ("massage", Choice::default(), RefusalCode::ChoiceNeeded),
    ] {
        assert_eq!(order(&mut shop, reward, 1, choice, 0).unwrap_err().code, code, "{reward}");
    }
    order(&mut shop, "top-up", 1, account, 0).unwrap();
    let tea = order(&mut shop, "tea", 1, sent(), 0).unwrap();
    assert_eq!(shop.order(tea).details.particulars.delivery, sealed(true, false));
    check(&shop);
}

#[test]
fn a_slot_has_room_for_so_many_and_an_appointment_moves_to_a_free_one() {
    let mut shop = shop();
    let key = |slot: &str| format!("massage#slot:{slot}");
    let first = order(&mut shop, "massage", 1, slot(TUESDAY), 0).unwrap();
    let second = order(&mut shop, "massage", 1, slot(TUESDAY), 0).unwrap();
    let refusal = order(&mut shop, "massage", 1, slot(TUESDAY), 0).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::OutOfStock);
    assert_eq!(refusal.message, "1 of massage at 2026-03-03T10:00 wanted, 0 left");
    order(&mut shop, "massage", 2, slot(LATER), 0).unwrap();
    for unknown in ["2026-03-02T10:00", "2026-03-03T12:00", "2026-03-03T10:30", "soon"] {
        assert_eq!(order(&mut shop, "massage", 1, slot(unknown), 0).unwrap_err().code, RefusalCode::SlotNotOffered);
    }
    // To a slot that is full, to the same, and to a free one.
    assert_eq!(rebook(&mut shop, first, LATER, 1).unwrap_err().code, RefusalCode::OutOfStock);
    assert_eq!(rebook(&mut shop, first, TUESDAY, 1).unwrap_err().code, RefusalCode::IllegalOrderMove);
    let wednesday = "2026-03-04T10:00";
    let receipt = rebook(&mut shop, first, wednesday, 1).unwrap();
    assert_eq!(receipt.order.unwrap().slot.as_deref(), Some(wednesday));
    assert_eq!([taken(&shop, &key(TUESDAY)), taken(&shop, &key(wednesday))], [(1, 0), (1, 0)]);
    assert_eq!(shop.order(first).details.history.len(), 2);
    check(&shop);
    // Back to how it stood before it was moved, as when a backup goes back in time.
    let moved = shop.order(first).details.particulars.slots[1].transaction_id;
    let mut rewound = shop.order(first).clone();
    assert!(rewound.rewind(TransactionId(moved.0), Timestamp::NEVER));
    assert_eq!(rewound.details.particulars.booked().unwrap().slot, TUESDAY);
    assert!(rewound.stock().any(|(taken, _)| taken == key(TUESDAY)));
    shop.step(first, OrderMove::Complete, 2).unwrap();
    shop.step(second, OrderMove::Cancel, 2).unwrap();
    assert_eq!([taken(&shop, &key(TUESDAY)), taken(&shop, &key(wednesday))], [(0, 0), (0, 1)]);
    assert_eq!(rebook(&mut shop, first, TUESDAY, 3).unwrap_err().code, RefusalCode::IllegalOrderMove);
    // It is Tuesday, 9:30: an hour before it begins at the latest.
    assert_eq!(order(&mut shop, "massage", 1, slot(TUESDAY), 18).unwrap_err().code, RefusalCode::SlotNotOffered);
    check(&shop);
}

#[test]
fn an_order_waits_for_its_appointment_and_a_narrower_slot_holds_at_once() {
    let mut shop = Shop::of(&format!("orders = {{ expire_after_hours = 2 }}\n{REWARDS}"), &[]);
    let first = order(&mut shop, "massage", 1, slot(TUESDAY), 0).unwrap();
    // 11:00 in Shanghai is over at 03:00 UTC: 19 hours from the beginning, and two more.
    assert_eq!(shop.order(first).due_at, Some(at(21)));
    rebook(&mut shop, first, LATER, 0).unwrap();
    assert_eq!(shop.order(first).due_at, Some(at(22)));
    let end = Command::end_order(shop.order(first), at(22), ANN);
    shop.decide(&end).unwrap();
    assert_eq!(taken(&shop, &format!("massage#slot:{LATER}")), (0, 0));
    let level = StockLevel { reserved: 1, ..StockLevel::new(3) };
    assert_eq!([free_places(3, Some(&level)), free_places(2, Some(&level)), free_places(1, Some(&level))], [2, 1, 0]);
    assert_eq!([free_places(9, Some(&level)), free_places(9, None)], [2, 9]);
    shop.check();
}

#[test]
fn a_privilege_holds_from_when_it_is_handed_over_to_the_end_of_its_last_day() {
    let mut shop = shop();
    let lounge = order(&mut shop, "lounge", 1, Choice::default(), 0).unwrap();
    assert_eq!(shop.order(lounge).good_until(), None);
    shop.step(lounge, OrderMove::Issue, 5).unwrap();
    let end = Timestamp::parse_rfc3339("2026-04-01T16:00:00Z").unwrap();
    let held: Vec<_> = shop.order(lounge).benefits().map(|(one, from, until)| (one.days, from, until)).collect();
    assert_eq!(held, [(30, at(5), end)], "30 days from 2 March, to the end of the day in Shanghai");
    shop.step(lounge, OrderMove::Complete, 30).unwrap();
    assert_eq!(shop.order(lounge).good_until(), Some(end), "it began when it was issued");
    let mut rewound = shop.order(lounge).clone();
    let issued = rewound.details.history[1].transaction_id;
    assert!(rewound.rewind(issued, Timestamp::NEVER));
    assert_eq!((rewound.state, rewound.good_until()), (OrderState::Placed, None));
    assert_eq!(rewound.details.particulars.benefits[0].from, None);
    shop.step(lounge, OrderMove::Refund, 31).unwrap();
    assert_eq!(shop.order(lounge).good_until(), None);
    // At once, two of them, and as a part of a bundle.
    let receipt = ordered(&mut shop, "lesson", 2, Choice::default(), 32, true).unwrap();
    let lesson = shop.order(receipt.order.unwrap().id);
    assert_eq!(
        lesson.benefits().map(|(one, ..)| (one.reward.as_str(), one.days)).collect::<Vec<_>>(),
        [("lesson", 14)]
    );
    let breakfast = ordered(&mut shop, "breakfast", 1, sent(), 32, true).unwrap().order.unwrap().id;
    let held: Vec<_> = shop.order(breakfast).benefits().map(|(one, ..)| (one.reward.as_str(), one.days)).collect();
    assert_eq!(held, [("lounge", 30)]);
    check(&shop);
}

#[test]
fn the_same_key_with_another_choice_is_another_request() {
    let command = || Command::redeem(ANN, "k", at(0), "mug", 1, false).unwrap();
    let digest = |choice, said| command().choosing(choice, said).unwrap().request_digest;
    assert_eq!(digest(Choice::default(), None), command().request_digest);
    assert_ne!(digest(variant("blue"), Some([1; 32])), digest(variant("red"), Some([2; 32])));
    let long = command().choosing(variant(&"x".repeat(200)), None).unwrap_err();
    assert!(long.message.contains("`variant` has 200 characters"), "{}", long.message);
}

/// A rule that gives a reward for a visit.
fn gift(reward: &str) -> String {
    format!(
        "[[rules]]\nid = \"visit\"\nname = \"Visit\"\ntrigger = \"visit\"\n\
         effect = {{ type = \"issue_reward\", reward = \"{reward}\", quantity = 1 }}\n"
    )
}

fn visit(shop: &mut Shop) -> Receipt {
    let activity = Activity { kind: "visit".to_owned(), ..Activity::default() };
    let command = Command::record(&shop.program, ANN, &shop.key(), &activity, at(1), EARLIEST).unwrap();
    shop.decide(&command).unwrap()
}

#[test]
fn a_bundle_that_a_rule_gives_takes_its_parts_too() {
    // A rule gives nothing that is sent.
    let file = format!("{}{REWARDS}", gift("breakfast")).replace(", needs_address = true", "");
    let stock = [("mug", 6), ("mug#variant:blue", 2), ("tea", 3), ("breakfast", 5)];
    let mut shop = Shop::of(&file, &stock);
    visit(&mut shop);
    assert_eq!(
        [taken(&shop, "tea"), taken(&shop, "mug#variant:blue"), taken(&shop, "breakfast")],
        [(0, 2), (0, 1), (0, 1)]
    );
    let given = shop.orders.values().next().unwrap();
    assert_eq!((given.points, given.good_until().is_some()), (0, true));
    // One packet of tea is left: nothing is given.
    let receipt = visit(&mut shop);
    assert!(serde_json::to_string(&receipt.explanation).unwrap().contains("\"out_of_stock\":true"));
    assert_eq!(taken(&shop, "breakfast"), (0, 1));
    check(&shop);
}

#[test]
fn a_bundle_that_a_rule_gives_and_the_program_hands_out_sets_its_parts_aside_until_then() {
    let bundle = "{ type = \"bundle\", contents = [{ reward = \"mug\", variant = \"blue\" }] }";
    let file = format!(
        "{}{REWARDS}\n[[rewards]]\nid = \"box\"\nname = \"Box\"\nprice = 1\nstock = 5\nkind = {bundle}\n\
         fulfilment = {{ by = \"supplier\", supplier = \"boxes\" }}",
        gift("box")
    );
    let mut shop = Shop::of(&file, &[("mug", 1), ("mug#variant:blue", 1), ("tea", 9), ("box", 5), ("breakfast", 5)]);
    let all = |shop: &Shop| ["box", "mug", "mug#variant:blue"].map(|key| taken(shop, key));
    visit(&mut shop);
    assert_eq!(all(&shop), [(1, 0); 3]);
    check(&shop);
    let by_itself = |shop: &mut Shop, step: OrderMove| {
        let given = shop.orders.values().next_back().unwrap().clone();
        let reason = step.needs_reason().then_some("supplier_failed");
        shop.decide(&Command::fulfilment_step(&given, ANN, step, at(2), reason)).unwrap();
        check(shop);
    };
    // One that cannot be handed out gives all of it back, and the next takes it.
    by_itself(&mut shop, OrderMove::Fail);
    assert_eq!(all(&shop), [(0, 0); 3]);
    visit(&mut shop);
    by_itself(&mut shop, OrderMove::Fulfil);
    by_itself(&mut shop, OrderMove::Issue);
    assert_eq!(all(&shop), [(0, 1); 3]);
    by_itself(&mut shop, OrderMove::Complete);
    let given = shop.orders.values().next_back().unwrap().id;
    shop.step(given, OrderMove::Refund, 3).unwrap();
    assert_eq!(all(&shop), [(0, 0); 3]);
    check(&shop);
}

#[test]
fn the_first_stock_of_a_variant_never_changes() {
    let version = |rewards: &str| {
        let found = documents(rewards).into_iter().find(|document| document.kind == "reward");
        found.unwrap()
    };
    let mug = |variants: &str| {
        version(&format!(
            "[[rewards]]\nid = \"mug\"\nname = \"Mug\"\nprice = 1\n\
             kind = {{ type = \"physical\", variants = [{variants}] }}"
        ))
    };
    let (blue, red) = ("{ id = \"blue\", name = \"Blue\", stock = 2 }", "{ id = \"red\", name = \"Red\", stock = 3 }");
    let both = format!("{blue}, {red}");
    assert_eq!(check_lasting(&[mug(blue)], &mug(&both)), Ok(()), "new ones may come");
    assert_eq!(check_lasting(&[mug(&both)], &mug(blue)), Ok(()), "and go");
    let refused = check_lasting(&[mug(blue)], &mug(&blue.replace('2', "5"))).unwrap_err();
    assert!(refused.contains("its variant `blue` was published as Some(2)"), "{refused}");
    // What went comes back as it was, however many versions lie between.
    let version = |number: i64, variants: &str| Document { version: number, ..mug(variants) };
    let published = [version(1, &both), version(2, blue), version(3, blue)];
    assert_eq!(check_lasting(&published, &version(4, &both)), Ok(()));
    let refused = check_lasting(&published, &version(4, &both.replace('3', "50"))).unwrap_err();
    let wanted = "its variant `red` was opened with 3 units by version 1, and is counted since: publish it with 3, and restock it by 47";
    assert!(refused.contains(wanted), "{refused}");
}

#[test]
fn what_cannot_be_published_is_refused_by_name() {
    let with = |kind: &str| {
        let file = format!(
            "currencies = [{{ id = 1, code = \"points\", name = \"P\", per_money_unit = 100 }}]\nrules = []\n\
             [program]\nid = \"s\"\nname = \"S\"\nmoney = \"CNY\"\ntime_zone = \"Asia/Shanghai\"\n{REWARDS}\n\
             [[rewards]]\nid = \"x\"\nname = \"X\"\nprice = 1\nkind = {kind}"
        );
        Bundle::parse(&file).unwrap_err()
    };
    let bundle = |content: &str| format!("{{ type = \"bundle\", contents = [{content}] }}");
    for (kind, problem) in [
        (bundle("{ reward = \"massage\" }"), "`massage` is had by appointment"),
        (bundle("{ reward = \"top-up\" }"), "`top-up` asks for an account"),
        (bundle("{ reward = \"mug\" }"), "variants of `mug` have stock of their own; say which `variant`"),
        (bundle("{ reward = \"mug\", variant = \"green\" }"), "`mug` has no variant `green`"),
        ("{ type = \"top_up\", account = { name = \"A\", pattern = \"(\" } }".to_owned(), "`kind.account.pattern`"),
        (
            "{ type = \"physical\", variants = [{ id = \"a\", name = \"A\", stock = -1 }] }".to_owned(),
            "`kind.variants.stock` must be 0 to",
        ),
        ("{ type = \"service\", appointments = { slots = [] } }".to_owned(), "`kind.appointments.slots` must be 1 to"),
    ] {
        let refused = with(&kind);
        assert!(refused.contains(problem), "{kind}: {refused}");
    }
    // What a rule gives goes nowhere and is not chosen, and so is all that is in it.
    let file = format!(
        "currencies = [{{ id = 1, code = \"points\", name = \"P\", per_money_unit = 100 }}]\n\
         [program]\nid = \"s\"\nname = \"S\"\nmoney = \"CNY\"\ntime_zone = \"Asia/Shanghai\"\n{}{REWARDS}",
        gift("breakfast")
    );
    let refused = Bundle::parse(&file).unwrap_err();
    assert_eq!(
        refused,
        "rule `visit`: `breakfast` is a bundle, and of what it holds `tea` is sent to an address, which a rule does not know; \
         issue another reward"
    );
}

proptest! {
    /// Whatever is ordered, moved, called off or refunded: no points and no unit of any stock is lost or made.
    #[test]
    fn no_path_loses_points_or_any_stock(
        steps in proptest::collection::vec((0..6_usize, 0..14_usize, 0..30_i64), 1..50),
        policy in prop::sample::select(vec!["", "orders = { expire_after_hours = 30 }"]),
    ) {
        let stock = [("mug", 6), ("mug#variant:blue", 2), ("tea", 9), ("breakfast", 5)];
        let mut shop = Shop::of(&format!("{policy}\n{REWARDS}"), &stock);
        let mut hours = 0;
        for (which, what, later) in steps {
            hours += later / 10;
            let known: Vec<OrderId> = shop.orders.values().map(|order| order.id).collect();
            let some = known.get(which % known.len().max(1)).copied();
            let slots = [TUESDAY, LATER, "2026-03-04T10:00"];
            let _ = match (what, some) {
                (0, Some(one)) => shop.step(one, OrderMove::Cancel, hours).map(drop),
                (1, Some(one)) => shop.step(one, OrderMove::Complete, hours).map(drop),
                (2, Some(one)) => shop.step(one, OrderMove::Refund, hours).map(drop),
                (3, Some(one)) => shop.step(one, OrderMove::Issue, hours).map(drop),
                (4 | 5, Some(one)) => rebook(&mut shop, one, slots[which % 3], hours).map(drop),
                (6, Some(one)) => {
                    let end = Command::end_order(shop.order(one), at(hours), ANN);
                    shop.decide(&end).map(drop)
                }
                (7 | 8, _) => order(&mut shop, "breakfast", 1, sent(), hours).map(drop),
                (9, _) => order(&mut shop, "mug", 1, variant(["blue", "red"][which % 2]), hours).map(drop),
                (10, _) => ordered(&mut shop, "mug", 1, variant("blue"), hours, true).map(drop),
                (11, _) => order(&mut shop, "tea", 2, sent(), hours).map(drop),
                _ => order(&mut shop, "massage", 1, slot(slots[which % 3]), hours).map(drop),
            };
            check(&shop);
        }
    }
}
