//! How many units of a reward one member may order, in windows of the program's calendar; what is given back counts no more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod shop;

use guerdon_core::kernel::{Command, RefusalCode};
use guerdon_core::program::Bundle;
use guerdon_core::redemption::OrderMove;
use guerdon_core::time::Timestamp;
use proptest::prelude::*;
use shop::{ANN, Shop, at};

const LIMITED: &str = r#"
    [[rewards]]
    id = "cup"
    name = "Cup"
    price = 10
    limit = [{ quantity = 2, per = "day" }, { quantity = 3, per = "month" }, { quantity = 4, per = "lifetime" }]
"#;

fn left(shop: &Shop, hours: i64) -> Vec<i64> {
    let cup = shop.program.reward("cup").unwrap();
    cup.limit_uses(&shop.program.calendar, &shop.account, at(hours)).map(|known| known.left()).collect()
}

#[test]
fn a_member_orders_no_more_than_each_window_allows() {
    let mut shop = Shop::of(LIMITED, &[]);
    assert_eq!(left(&shop, 0), [2, 3, 4]);
    let refusal = shop.redeem("cup", 3, 0).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::LimitReached);
    assert!(refusal.message.contains("limited to 2 per day for each member; 3 are too many"), "{}", refusal.message);
    let first = shop.redeem("cup", 2, 0).unwrap();
    let refusal = shop.redeem("cup", 1, 7).unwrap_err();
    // Midnight in Shanghai.
    assert!(refusal.message.contains("2 were ordered, 0 are left until 2026-03-02T16:00:00Z"), "{}", refusal.message);
    shop.redeem("cup", 1, 8).unwrap();
    let refusal = shop.redeem("cup", 1, 32).unwrap_err();
    assert!(refusal.message.contains("limited to 3 per month"), "{}", refusal.message);
    assert!(refusal.message.contains("left until 2026-03-31T16:00:00Z"), "{}", refusal.message);
    // April.
    shop.redeem("cup", 1, 24 * 31).unwrap();
    let refusal = shop.redeem("cup", 1, 24 * 32).unwrap_err();
    assert!(refusal.message.contains("4 per lifetime"), "{}", refusal.message);
    assert!(refusal.message.contains("4 were ordered, 0 are left of them for ever"), "{}", refusal.message);
    // What was ordered in March counts no more, in March and of them all; not in April.
    shop.step(first, OrderMove::Cancel, 24 * 32).unwrap();
    assert_eq!(left(&shop, 24 * 32), [2, 2, 2]);
    shop.check();
}

#[test]
fn whatever_gives_an_order_back_gives_its_count_back_once() {
    let mut shop = Shop::of(&format!("orders = {{ expire_after_hours = 2 }}\n{LIMITED}"), &[]);
    let (held, spent) = (shop.redeem("cup", 1, 0).unwrap(), shop.redeem("cup", 1, 0).unwrap());
    shop.step(spent, OrderMove::Complete, 0).unwrap();
    assert_eq!(left(&shop, 0), [0, 1, 2]);
    shop.step(spent, OrderMove::Refund, 1).unwrap();
    assert!(shop.step(spent, OrderMove::Refund, 1).is_err());
    assert_eq!(left(&shop, 1), [1, 2, 3]);
    let end = Command::end_order(shop.order(held), at(2), ANN);
    shop.decide(&end).unwrap();
    assert_eq!(left(&shop, 2), [2, 3, 4]);
    let rejected = shop.redeem("cup", 1, 3).unwrap();
    shop.step(rejected, OrderMove::Reject, 3).unwrap();
    assert_eq!(left(&shop, 3), [2, 3, 4]);
    shop.check();
}

#[test]
fn counters_of_windows_that_are_over_make_room_for_others() {
    let rewards: String = (0..300)
        .map(|number| {
            format!(
                "[[rewards]]\nid = \"r{number}\"\nname = \"R\"\nprice = 1\nlimit = [{{ quantity = 1, per = \"day\" }}]\n"
            )
        })
        .collect();
    let mut shop = Shop::of(&rewards, &[]);
    let first = shop.redeem("r0", 1, 0).unwrap();
    for number in 1..256 {
        shop.redeem(&format!("r{number}"), 1, 0).unwrap();
    }
    // As many as are counted on one day: what cannot be counted is not given.
    let refusal = shop.redeem("r256", 1, 0).unwrap_err();
    assert!(refusal.message.contains("too many limited rewards to be counted"), "{}", refusal.message);
    for number in 256..300 {
        shop.redeem(&format!("r{number}"), 1, 24).unwrap();
    }
    assert!(shop.redeem("r256", 1, 24).is_err());
    shop.step(first, OrderMove::Cancel, 24).unwrap();
    assert_eq!(shop.account.history.counters.len(), 256);
    shop.check();
}

#[test]
fn a_limit_that_makes_no_sense_is_refused_by_name() {
    let with = |limit: &str| {
        let rewards = format!("[[rewards]]\nid = \"cup\"\nname = \"Cup\"\nprice = 1\nlimit = [{limit}]");
        let file = format!(
            "currencies = [{{ id = 1, code = \"points\", name = \"P\", per_money_unit = 100 }}]\nrules = []\n\
             [program]\nid = \"s\"\nname = \"S\"\nmoney = \"CNY\"\ntime_zone = \"Asia/Shanghai\"\n{rewards}"
        );
        Bundle::parse(&file).unwrap_err()
    };
    for (limit, problem) in [
        ("{ quantity = 0, per = \"day\" }", "`limit[0].quantity` must be 1 to"),
        (
            "{ quantity = 1, per = \"hour\" }",
            "`limit[0].per` must be one of day, week, month, year, lifetime, not hour",
        ),
        ("{ quantity = 1, per = \"day\" }, { quantity = 2, per = \"day\" }", "there are two per day"),
        ("{ quantity = 1 }", "missing field `per`"),
    ] {
        let refused = with(limit);
        assert!(refused.contains(problem), "{limit}: {refused}");
    }
}

proptest! {
    /// Whatever is ordered and given back: what counts are the units of the orders that stand.
    #[test]
    fn what_counts_is_what_was_ordered_and_not_given_back(steps in proptest::collection::vec((0..5_usize, 0..6_usize, 0..60_i64), 1..60)) {
        let mut shop = Shop::of(LIMITED, &[]);
        let mut hours = 0;
        for (which, what, later) in steps {
            hours += later;
            let known: Vec<_> = shop.orders.values().map(|order| order.id).collect();
            let order = known.get(which % known.len().max(1)).copied();
            let _ = match (what, order) {
                (0, Some(order)) => shop.step(order, OrderMove::Cancel, hours).map(drop),
                (1, Some(order)) => shop.step(order, OrderMove::Complete, hours).map(drop),
                (2, Some(order)) => shop.step(order, OrderMove::Refund, hours).map(drop),
                _ => shop.redeem("cup", 1 + i64::try_from(which % 2).unwrap(), hours).map(drop),
            };
            shop.check();
            let cup = shop.program.reward("cup").unwrap();
            for known in cup.limit_uses(&shop.program.calendar, &shop.account, at(hours)) {
                let counts = |at: Timestamp| known.limit.per.end(&shop.program.calendar, at) == known.ends_at;
                let standing = shop.orders.values().filter(|order| {
                    counts(order.created_at) && order.state.funds() != guerdon_core::redemption::Funds::Returned
                });
                let units: i64 = standing.map(|order| order.quantity).sum();
                prop_assert_eq!(known.used, Some(units));
                prop_assert!(units <= known.limit.quantity);
            }
        }
    }
}
