//! The example programs that ship in which members have to do with each other or get more than points, with numbers computed
//! by hand.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, dead_code)]

mod town;

use guerdon_core::earning::Act;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Arrival, Event, RefusalCode};
use guerdon_core::ledger::TransactionKind;
use serde_json::json;
use town::{Town, points, shared, want};

macro_rules! example {
    ($name:literal) => {
        Town::of(include_str!(concat!("../../../programs/examples/", $name, ".toml")))
    };
}

fn order(fen: i64) -> serde_json::Value {
    json!({"kind": "purchase", "amount": fen})
}

#[test]
fn referral() {
    let mut town = example!("referral");
    assert_eq!(points(&town.joins(1, "2026-03-01 10:00:00", &Arrival::default()).unwrap()), want([]));
    let bob = town.joins_by(2, "2026-03-01 11:00:00", 1).unwrap();
    assert_eq!((bob.points, points(&bob), shared(&bob)), (500, want([("referred", 500)]), want([("referrer", 500)])));
    assert_eq!((bob.referrer, town.total(1), town.total(2)), (Some(MemberId(1)), 500, 500));
    let entry = town.latest(1);
    assert_eq!(
        (entry.kind, entry.points, entry.cause.unwrap().member_id),
        (TransactionKind::Referral, 500, MemberId(2))
    );
    assert_eq!(bob.referrer_share.unwrap().transaction_id, entry.transaction_id);
    // The first order, and no other, brings the referrer 200.
    assert_eq!(shared(&town.does(2, "2026-03-02 10:00:00", order(100))), want([("first-purchase", 200)]));
    let second = town.does(2, "2026-03-02 11:00:00", order(100));
    assert_eq!((second.referrer_share, town.total(1)), (None, 700));
    // Nine more friends have room in March; the eleventh gets her own points, and the referrer none.
    for member in 3..12 {
        assert_eq!(shared(&town.joins_by(member, "2026-03-31 23:00:00", 1).unwrap()), want([("referrer", 500)]));
    }
    let eleventh = town.joins_by(12, "2026-03-31 23:59:59", 1).unwrap();
    assert_eq!((points(&eleventh), shared(&eleventh)), (want([("referred", 500)]), want([("referrer", 0)])));
    let trim = eleventh.referrer_share.unwrap().explanation[0].trimmed.clone().unwrap();
    assert_eq!((trim.count, trim.offered), (Some(10), 500));
    assert_eq!(town.total(1), 10 * 500 + 200);
    // Who is there already can be referred later, once, and not by oneself.
    let referral = |by: i64| json!({"kind": "referral", "referrer": MemberId(by).to_string()});
    let refused = |town: &mut Town, member: i64, by: i64| {
        town.records(member, "r", "2026-04-01 00:00:00", referral(by)).unwrap_err().code
    };
    assert_eq!(refused(&mut town, 2, 1), RefusalCode::AlreadyReferred);
    assert_eq!(refused(&mut town, 1, 1), RefusalCode::InvalidRequest);
    assert_eq!(refused(&mut town, 1, 2), RefusalCode::InvalidRequest, "each other");
    assert_eq!(refused(&mut town, 1, 99), RefusalCode::UnknownMember);
    town.joins(13, "2026-04-01 00:00:00", &Arrival::default()).unwrap();
    let late = town.does(13, "2026-04-01 00:00:00", referral(1));
    assert_eq!((points(&late), shared(&late)), (want([("referred", 500)]), want([("referrer", 500)])));
    town.check();
}

#[test]
fn leader() {
    let mut town = example!("leader");
    town.joins(1, "2026-03-01 10:00:00", &Arrival::default()).unwrap();
    town.joins_by(2, "2026-03-01 10:00:00", 1).unwrap();
    town.joins_by(3, "2026-03-01 10:00:00", 1).unwrap();
    // ¥600 and ¥500: 5 %, for before the second order there were ¥600.
    let first = town.records(2, "invoice-1", "2026-03-02 10:00:00", order(60_000)).unwrap();
    assert_eq!((points(&first), shared(&first)), (want([("base", 600)]), want([("five", 3_000)])));
    assert_eq!(shared(&town.does(3, "2026-03-03 10:00:00", order(50_000))), want([("five", 2_500)]));
    // ¥1,100 so far: 10 % of ¥3,900.
    let third = town.does(2, "2026-03-04 10:00:00", order(390_000));
    assert_eq!(shared(&third), want([("five", 0), ("ten", 39_000)]));
    let share = third.referrer_share.unwrap();
    assert_eq!(share.explanation[1].facts["referrer.purchase.month.amount"], 110_000);
    assert_eq!(share.explanation[0].lost_to.as_deref(), Some("ten"));
    // ¥5,000: 15 % of ¥400 are 6,000 points; of ¥500 in March 44,500 points are given, so 5,500 are left.
    let fourth = town.does(3, "2026-03-05 10:00:00", order(40_000));
    assert_eq!(shared(&fourth), want([("five", 0), ("ten", 0), ("fifteen", 5_500)]));
    assert_eq!(town.total(1), 50_000);
    // The next month begins with 5 %.
    assert_eq!(shared(&town.does(3, "2026-04-01 00:00:00", order(40_000))), want([("five", 2_000)]));
    // The first order comes back: what it gave to both goes.
    let back = json!({"kind": "return", "purchase": "invoice-1", "amount": 60_000});
    let back = town.does(2, "2026-04-02 10:00:00", back);
    assert_eq!((points(&back), shared(&back)), (want([("base", -600)]), want([("five", -3_000)])));
    assert_eq!((town.total(1), town.total(2)), (2_500 + 39_000 + 5_500 + 2_000, 3_900));
    town.check();
}

#[test]
fn team() {
    let mut town = example!("team");
    town.joins(1, "2026-03-01 10:00:00", &Arrival::default()).unwrap();
    for member in [2, 3] {
        town.joins_by(member, "2026-03-01 10:00:00", 1).unwrap();
    }
    assert_eq!(shared(&town.does(2, "2026-03-02 10:00:00", order(600_000))), want([]));
    assert_eq!(shared(&town.does(3, "2026-03-02 10:00:00", order(399_999))), want([]));
    assert_eq!(shared(&town.does(2, "2026-03-02 10:00:00", order(1))), want([("team", 300)]));
    assert_eq!(shared(&town.does(2, "2026-03-31 10:00:00", order(900_000))), want([("team", 0)]));
    // What the head buys is not the team's.
    assert_eq!(town.does(1, "2026-04-01 10:00:00", order(2_000_000)).referrer_share, None);
    assert_eq!(shared(&town.does(3, "2026-04-01 10:00:00", order(1_000_000))), want([("team", 300)]));
    assert_eq!(town.total(1), 2 * 300 + 20_000);
    town.check();
}

#[test]
fn birthday() {
    let mut town = example!("birthday");
    town.joins(1, "2026-03-01 10:00:00", &Arrival::default()).unwrap();
    assert_eq!(points(&town.does(1, "2026-05-17 00:00:00", order(5_000))), want([("base", 50)]));
    town.does(1, "2026-05-17 00:00:00", json!({"kind": "birthday"}));
    let day = town.does(1, "2026-05-17 23:59:59", order(5_000));
    assert_eq!(points(&day), want([("base", 50), ("birthday", 50)]));
    assert_eq!(points(&town.does(1, "2026-05-18 00:00:00", order(5_000))), want([("base", 50)]));
    town.check();
}

#[test]
fn cross_category() {
    let mut town = example!("cross-category");
    town.joins(1, "2026-03-01 10:00:00", &Arrival::default()).unwrap();
    let basket = |categories: &[&str]| {
        let line = |category: &&str| json!({"category": category, "quantity": "1", "unit_price": "10"});
        json!({"kind": "purchase", "lines": categories.iter().map(line).collect::<Vec<_>>()})
    };
    assert_eq!(points(&town.does(1, "2026-03-02 10:00:00", basket(&["tea", "tea"]))), want([("base", 20)]));
    let both = || basket(&["tea", "bread", "cups"]);
    assert_eq!(points(&town.does(1, "2026-03-02 10:00:00", both())), want([("base", 30), ("tea-and-cup", 500)]));
    assert_eq!(points(&town.does(1, "2026-03-31 10:00:00", both())), want([("base", 30), ("tea-and-cup", 0)]));
    assert_eq!(points(&town.does(1, "2026-04-01 10:00:00", both())), want([("base", 30), ("tea-and-cup", 500)]));
    town.check();
}

#[test]
fn reactivation() {
    let mut town = example!("reactivation");
    town.joins(1, "2026-01-01 10:00:00", &Arrival::default()).unwrap();
    // First order; 29, 30, 59, 60, 89 and 90 days of silence. Half of ¥80.50 are ¥40.25.
    let days = ["01-01", "01-30", "03-01", "04-29", "06-28", "09-25", "12-24"];
    let given: Vec<_> =
        days.iter().map(|day| points(&town.does(1, &format!("2026-{day} 10:00:00"), order(8_050)))).collect();
    let (month, two) = (|| want([("after-a-month", 200)]), || want([("after-two-months", 4_025)]));
    assert_eq!(given, [want([]), want([]), month(), month(), two(), two(), want([])]);
    town.check();
}

#[test]
fn gifts() {
    let mut town = example!("gifts");
    let letter = Event::Message { template: "welcome".to_owned() };
    for member in 1..=3 {
        assert_eq!(
            town.joins(member, "2026-03-01 10:00:00", &Arrival::default()).unwrap().events,
            std::slice::from_ref(&letter)
        );
    }
    assert_eq!(points(&town.does(1, "2026-03-02 10:00:00", order(19_999))), want([]));
    let second = town.does(1, "2026-03-02 10:00:00", order(20_000));
    assert_eq!(points(&second), want([]), "it is not the first order");
    let gift = town.does(2, "2026-03-02 10:00:00", order(20_000));
    let Some(Act::Reward { reward, order: Some(id), quantity: 1, .. }) = &gift.explanation[0].act else {
        panic!("{gift:?}");
    };
    let issued = &town.orders[&(MemberId(2), *id)];
    assert_eq!((reward.as_str(), issued.points, issued.state.name()), ("cup", 0, "completed"));
    assert_eq!((town.stock["cup"].issued, town.stock["cup"].on_hand), (1, 1));
    // Two at once for the last cup: one gets it, and the other hears why not.
    town.joins(4, "2026-03-01 10:00:00", &Arrival::default()).unwrap();
    let orders = [3, 4].map(|member| town.activity(member, "first", "2026-03-03 10:00:00", order(500_000)).unwrap());
    let receipts: Vec<_> = town.decide(&orders).into_iter().map(Result::unwrap).collect();
    let done: Vec<Vec<bool>> =
        receipts.iter().map(|one| one.explanation.iter().map(|outcome| outcome.is_done()).collect()).collect();
    assert_eq!(done, [[true, true], [false, true]]);
    assert!(matches!(receipts[1].explanation[0].act, Some(Act::Reward { out_of_stock: true, order: None, .. })));
    assert_eq!((town.stock["cup"].on_hand, receipts[1].events.len()), (0, 1));
    town.check();
}
