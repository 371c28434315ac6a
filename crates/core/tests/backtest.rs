//! Backtests over small histories, with numbers computed by hand.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use guerdon_core::backtest::{
    Affected, Comparison, Entry, Group, Happened, Pair, Period, Side, all_the_time, compare, in_place,
};
use guerdon_core::earning::Activity;
use guerdon_core::id::{MemberId, OrderId};
use guerdon_core::kernel::Payment;
use guerdon_core::ledger::CurrencyId;
use guerdon_core::program::{Bundle, Document, Program};
use guerdon_core::time::Timestamp;
use serde_json::{Value, json};

const POINTS: CurrencyId = CurrencyId(1);
const ANN: MemberId = MemberId(1);
const BOB: MemberId = MemberId(2);
const EVE: MemberId = MemberId(3);

/// A program in yuan whose points live to the end of the month after.
fn file(rules: &str) -> String {
    format!(
        r#"
        program = {{ id = "p", name = "P", money = "CNY", time_zone = "Asia/Shanghai" }}
        currencies = [
            {{ id = 1, code = "points", name = "Points", per_money_unit = 100, expiry = {{ after = 1, granule = "month" }} }},
        ]
        {rules}
        "#
    )
}

const BASE: &str = r#"
    [[rules]]
    id = "base"
    name = "Base"
    trigger = "purchase"
    effect = { type = "points_per_money", rate = "1" }
"#;

fn documents(file: &str) -> Vec<Document> {
    let mut documents = Bundle::parse(file).unwrap().documents().unwrap();
    documents.iter_mut().for_each(|document| document.version = 1);
    documents
}

fn program(file: &str) -> Program {
    Program::from_documents(&documents(file)).unwrap()
}

/// An instant of Shanghai.
fn at(local: &str) -> Timestamp {
    Timestamp::parse_rfc3339(&format!("{}+08:00", local.replace(' ', "T"))).unwrap()
}

fn did(member: MemberId, local: &str, activity: Value) -> Entry {
    keyed(member, local, activity, None)
}

fn keyed(member: MemberId, local: &str, activity: Value, key: Option<&str>) -> Entry {
    let activity: Activity = serde_json::from_value(activity).unwrap();
    let what = Happened::Activity { activity: Box::new(activity), key: key.map(str::to_owned) };
    Entry { member, at: at(local), what }
}

fn bought(member: MemberId, local: &str, amount: i64) -> Entry {
    did(member, local, json!({"kind": "purchase", "amount": amount}))
}

fn happened(member: MemberId, local: &str, what: Happened) -> Entry {
    Entry { member, at: at(local), what }
}

fn redeemed(member: MemberId, local: &str, order: i64, points: i64, captured: bool) -> Entry {
    happened(member, local, Happened::Redeemed { order: OrderId(order), currency: POINTS, points, captured })
}

fn run_within(live: &str, draft: &str, period: Period, entries: &[Entry]) -> Comparison {
    let (live, draft) = (program(live), program(draft));
    let mut sides = [Side::new(&live, &live, period), Side::new(&live, &draft, period)];
    for side in &mut sides {
        entries.iter().for_each(|entry| side.step(entry));
        side.finish();
    }
    let [live, draft] = sides;
    compare(live, draft, period)
}

fn run(live: &str, draft: &str, until: &str, entries: &[Entry]) -> Comparison {
    run_within(live, draft, Period { from: Timestamp::ZERO, until: at(until) }, entries)
}

/// Names and earned points of both sides.
fn earned(groups: &[Group]) -> Vec<(&str, i64, i64)> {
    groups.iter().map(|group| (group.name.as_str(), group.flows.live.earned(), group.flows.draft.earned())).collect()
}

fn pair<T>(live: T, draft: T) -> Pair<T> {
    Pair { live, draft }
}

#[test]
fn a_small_history_by_two_programs() {
    let live = file(BASE);
    // Weekends × 2, and nothing for a purchase of less than ¥20.
    let draft = file(
        r#"
        [[rules]]
        id = "base"
        name = "Base"
        trigger = "purchase"
        condition = "activity.net >= 2000"
        effect = { type = "points_per_money", rate = "1" }
        [[rules]]
        id = "weekend"
        name = "Weekend"
        trigger = "purchase"
        condition = "context.weekday >= 6"
        effect = { type = "multiply", factor = "2" }
        "#,
    );
    let history = [
        bought(ANN, "2026-01-03 12:00:00", 10_000), // Saturday: 100, and 100 more.
        bought(BOB, "2026-01-05 12:00:00", 1_999),  // Monday: 19, or nothing.
        bought(EVE, "2026-01-06 12:00:00", 5_000),  // Tuesday: 50 on both sides.
        bought(ANN, "2026-02-02 12:00:00", 3_000),  // Monday, 30 days later: 30 on both sides.
        bought(ANN, "2026-05-09 12:00:00", 4_000),  // Saturday, 96 days later: 40, and 40 more.
    ];
    let found = run(&live, &draft, "2026-05-10 00:00:00", &history);
    let points = found.main().unwrap();
    assert_eq!((points.flows.live.issued, points.flows.draft.issued), (239, 360));
    assert_eq!((points.flows.live.times, points.flows.draft.times), (5, 6));
    // 100 points are ¥1: 239 points are 239 fen.
    assert_eq!(points.cost, pair(239, 360));
    assert_eq!(earned(&points.rules), [("base", 239, 220), ("weekend", 0, 140)]);
    assert_eq!(
        earned(&points.months),
        [("2026-01", 169, 250), ("2026-02", 30, 30), ("2026-03", 0, 0), ("2026-04", 0, 0), ("2026-05", 40, 80)]
    );
    // Whoever comes for the first time is new; Ann is dormant in May, after 96 days.
    assert_eq!(earned(&points.segments), [("new", 169, 250), ("active", 30, 30), ("dormant", 40, 80)]);
    // January's points expired at the end of February, February's at the end of March: only May's are left.
    assert_eq!((points.flows.live.expired, points.flows.draft.expired), (199, 280));
    assert_eq!((points.outstanding, points.liability), (pair(40, 80), pair(40, 80)));
    assert_eq!((found.members, found.better, found.more, found.worse, found.less), (3, 1, 140, 1, 19));
    let affected = |member, live, draft| Affected { member, number: None, earned: pair(live, draft) };
    assert_eq!(found.most_affected, [affected(ANN, 170, 310), affected(BOB, 19, 0)]);
}

#[test]
fn a_return_takes_back_what_each_side_gave() {
    let draft = file(&BASE.replace("\"1\"", "\"2.5\""));
    let tea = |quantity: &str| json!([{"sku": "tea", "quantity": quantity, "unit_price": "20"}]);
    let history = [
        keyed(ANN, "2026-01-05 12:00:00", json!({"kind": "purchase", "lines": tea("3")}), Some("p-1")),
        did(ANN, "2026-01-06 12:00:00", json!({"kind": "return", "purchase": "p-1", "lines": tea("-1")})),
        did(ANN, "2026-01-07 12:00:00", json!({"kind": "return", "purchase": "p-9", "lines": tea("-1")})),
    ];
    let found = run(&file(BASE), &draft, "2026-02-01 00:00:00", &history);
    let flows = found.main().unwrap().flows;
    // ¥60 gave 60 and 150; a third of it comes back.
    assert_eq!((flows.live.issued, flows.live.taken_back), (60, 20));
    assert_eq!((flows.draft.issued, flows.draft.taken_back), (150, 50));
    assert_eq!(found.main().unwrap().outstanding, pair(40, 100));
    for side in [&found.sides.live, &found.sides.draft] {
        assert_eq!((side.activities, side.refused.get("unknown_purchase")), (3, Some(&1)));
        assert!(side.refusals[0].reason.contains("p-9"), "{:?}", side.refusals);
    }
}

#[test]
fn orders_spend_what_a_side_has() {
    let draft = file(&BASE.replace("\"1\"", "\"0.5\""));
    let history = [
        bought(ANN, "2026-01-05 12:00:00", 10_000),
        redeemed(ANN, "2026-01-06 12:00:00", 1, 80, true),
        happened(ANN, "2026-01-07 12:00:00", Happened::Refunded(OrderId(1))),
        redeemed(ANN, "2026-01-08 12:00:00", 2, 60, false),
        happened(ANN, "2026-01-09 12:00:00", Happened::Released(OrderId(2))),
        redeemed(ANN, "2026-01-10 12:00:00", 3, 30, false),
        happened(ANN, "2026-01-11 12:00:00", Happened::Captured(OrderId(3))),
        happened(ANN, "2026-01-12 12:00:00", Happened::Adjusted { currency: POINTS, points: -30 }),
    ];
    let found = run(&file(BASE), &draft, "2026-02-01 00:00:00", &history);
    let flows = found.main().unwrap().flows;
    // 100 and 50 points. The first order wants 80, the second 60; both are given back. 30 are spent; of 30 to be taken by
    // hand the draft has 20.
    assert_eq!((flows.live.redeemed, flows.live.adjusted), (30, -30));
    assert_eq!((flows.draft.redeemed, flows.draft.adjusted), (30, -20));
    assert_eq!(found.main().unwrap().outstanding, pair(40, 0));
    let (live, draft) = (&found.sides.live, &found.sides.draft);
    assert_eq!((live.short_orders, live.short_points), (0, 0));
    assert_eq!((draft.short_orders, draft.short_points), (2, 40));
    assert!(live.refused.is_empty() && draft.refused.is_empty());
}

#[test]
fn what_the_referred_do_gives_to_whoever_referred_them() {
    let commission = |percent: &str| {
        format!(
            r#"
            [[rules]]
            id = "commission"
            name = "Commission"
            trigger = "purchase"
            beneficiary = "referrer"
            effect = {{ type = "percent_of_rule", rule = "base", percent = "{percent}" }}
            "#
        )
    };
    let live = file(&format!("{BASE}{}", commission("10")));
    let history = [
        happened(ANN, "2026-01-02 12:00:00", Happened::Enrolled),
        did(EVE, "2026-01-03 12:00:00", json!({"kind": "enrol", "referrer": ANN.to_string()})),
        keyed(EVE, "2026-01-04 12:00:00", json!({"kind": "purchase", "amount": 10_000}), Some("p-1")),
        did(EVE, "2026-01-05 12:00:00", json!({"kind": "return", "purchase": "p-1", "amount": 4_000})),
    ];
    // ¥100, of which ¥40 come back: 60 points for Eve, and a tenth or a fifth of them for Ann.
    let found = run(&live, &file(&format!("{BASE}{}", commission("20"))), "2026-02-01 00:00:00", &history);
    let points = found.main().unwrap();
    assert_eq!(earned(&points.rules), [("base", 60, 60), ("commission", 6, 12)]);
    assert_eq!((points.flows.live.taken_back, points.flows.draft.taken_back), (44, 48));
    assert_eq!(points.outstanding, pair(66, 72));
    assert_eq!(found.most_affected, [Affected { member: ANN, number: None, earned: pair(6, 12) }]);
    assert!(found.sides.live.refused.is_empty(), "{:?}", found.sides.live);
}

#[test]
fn joining_gives_what_each_side_says() {
    let welcome = r#"
        [[rules]]
        id = "welcome"
        name = "Welcome"
        trigger = "enrol"
        effect = { type = "fixed_points", points = 50 }
    "#;
    let history = [
        happened(ANN, "2026-01-02 12:00:00", Happened::Enrolled),
        did(BOB, "2026-01-03 12:00:00", json!({"kind": "enrol", "store": "north"})),
        happened(EVE, "2026-02-03 12:00:00", Happened::Enrolled),
        bought(EVE, "2026-02-04 12:00:00", 1_000),
    ];
    let found = run(&file(BASE), &file(&format!("{BASE}{welcome}")), "2026-03-01 00:00:00", &history);
    let points = found.main().unwrap();
    assert_eq!(earned(&points.rules), [("base", 10, 10), ("welcome", 0, 150)]);
    assert_eq!(earned(&points.months), [("2026-01", 0, 100), ("2026-02", 10, 60)]);
    assert_eq!((found.members, found.better, found.more), (3, 3, 150));
    // Joining that was no activity is none on either side.
    assert_eq!((found.sides.live.activities, found.sides.draft.activities), (2, 2));
}

#[test]
fn who_paid_for_it_has_points_for_longer() {
    let lasting = file(BASE).replace(
        "granule = \"month\" } }",
        "granule = \"month\" }, life = { extension = { paid = { points = 30, days = 60 } } } }",
    );
    let history = [
        bought(ANN, "2026-01-05 12:00:00", 10_000),
        happened(ANN, "2026-02-01 12:00:00", Happened::Extended { currency: POINTS, payment: Payment::Points }),
    ];
    let found = run(&lasting, &file(BASE), "2026-03-02 00:00:00", &history);
    // 30 of 100 points were the price; the draft offers nothing, so that all of them expire.
    assert_eq!(found.main().unwrap().outstanding, pair(70, 0));
    assert_eq!(found.sides.draft.refused.get("extension_not_offered"), Some(&1));
    assert!(found.sides.live.refused.is_empty(), "{:?}", found.sides.live);
}

#[test]
fn before_the_period_the_live_rules_hold_on_both_sides() {
    let first = r#"
        [[rules]]
        id = "first"
        name = "First"
        trigger = "purchase"
        condition = "history.purchase.lifetime.count == 0"
        effect = { type = "fixed_points", points = 500 }
    "#;
    let history = [
        bought(ANN, "2026-01-05 12:00:00", 1_000),
        bought(ANN, "2026-02-05 12:00:00", 1_000),
        bought(BOB, "2026-02-05 12:00:00", 1_000),
        bought(BOB, "2026-03-05 12:00:00", 1_000),
    ];
    let period = Period { from: at("2026-02-01 00:00:00"), until: at("2026-03-01 00:00:00") };
    let found = run_within(&file(BASE), &file(&format!("{BASE}{first}")), period, &history);
    let points = found.main().unwrap();
    // In February both buy for ¥10; for Bob alone it is the first time. January is not counted, March not looked at.
    assert_eq!(earned(&points.rules), [("base", 20, 20), ("first", 0, 500)]);
    assert_eq!(earned(&points.months), [("2026-02", 20, 520)]);
    // January's points are there until the first of March.
    assert_eq!(points.outstanding, pair(30, 530));
    assert_eq!((found.sides.live.activities, found.better, found.worse), (2, 1, 0));
}

#[test]
fn budgets_are_shared_in_the_order_in_which_things_happened() {
    let capped = r#"
        [[rules]]
        id = "base"
        name = "Base"
        trigger = "purchase"
        effect = { type = "points_per_money", rate = "1" }
        caps = [{ window = "month", points = 100, per = "everyone" }]
    "#;
    let history = [
        bought(ANN, "2026-01-05 12:00:00", 7_000),
        bought(BOB, "2026-01-06 12:00:00", 7_000),
        bought(EVE, "2026-01-07 12:00:00", 7_000),
        bought(EVE, "2026-02-07 12:00:00", 7_000),
    ];
    let found = run(&file(BASE), &file(capped), "2026-02-08 00:00:00", &history);
    assert_eq!(earned(&found.main().unwrap().months), [("2026-01", 210, 100), ("2026-02", 70, 70)]);
    let who: Vec<_> = found.most_affected.iter().map(|one| (one.member, one.earned)).collect();
    assert_eq!(who, [(EVE, pair(140, 70)), (BOB, pair(70, 30))]);
}

#[test]
fn merged_and_closed_accounts_go_on_as_they_did() {
    let history = [
        bought(ANN, "2026-01-05 12:00:00", 1_000),
        bought(BOB, "2026-01-06 12:00:00", 2_000),
        happened(ANN, "2026-01-07 12:00:00", Happened::Merged { from: BOB }),
        bought(ANN, "2026-01-08 12:00:00", 3_000),
        bought(EVE, "2026-01-08 12:00:00", 4_000),
        happened(EVE, "2026-01-09 12:00:00", Happened::Ended),
        happened(EVE, "2026-01-10 12:00:00", Happened::Ended),
    ];
    let found = run(&file(BASE), &file(&BASE.replace("\"1\"", "\"2\"")), "2026-02-01 00:00:00", &history);
    let points = found.main().unwrap();
    assert_eq!((points.flows.live.issued, points.flows.live.expired), (100, 40));
    assert_eq!(points.outstanding, pair(60, 120));
    // Ann and Bob are one person.
    let who: Vec<_> = found.most_affected.iter().map(|one| (one.member, one.earned)).collect();
    assert_eq!((found.members, who), (2, vec![(ANN, pair(60, 120)), (EVE, pair(40, 80))]));
    assert!(found.sides.live.refused.is_empty(), "{:?}", found.sides.live);
}

#[test]
fn what_a_cap_refuses_is_counted_and_told() {
    let refusing = r#"
        [[rules]]
        id = "base"
        name = "Base"
        trigger = "purchase"
        effect = { type = "points_per_money", rate = "1" }
        caps = [{ window = "day", points = 15, over = "refuse" }]
    "#;
    let history = [bought(ANN, "2026-01-05 12:00:00", 1_000), bought(ANN, "2026-01-05 13:00:00", 1_000)];
    let found = run(&file(BASE), &file(refusing), "2026-02-01 00:00:00", &history);
    assert_eq!((found.sides.live.refused.len(), found.sides.draft.refused.get("cap_reached")), (0, Some(&1)));
    assert_eq!(found.sides.draft.refusals[0].at, at("2026-01-05 13:00:00"));
    assert_eq!(found.main().unwrap().outstanding, pair(20, 10));
}

#[test]
fn the_newest_versions_hold_all_the_time() {
    let document = |id: &str, version, from: &str, state: &str| Document {
        version,
        effective_from: at(from),
        state: state.to_owned(),
        ..documents(&file(&BASE.replace("\"base\"", &format!("\"{id}\"")))).pop().unwrap()
    };
    let stored = [
        document("a", 1, "2020-01-01 00:00:00", "active"),
        document("a", 2, "2026-01-01 00:00:00", "active"),
        document("a", 3, "2026-06-01 00:00:00", "active"),
        document("b", 1, "2020-01-01 00:00:00", "active"),
        document("b", 2, "2026-01-01 00:00:00", "retired"),
    ];
    let found = all_the_time(&stored, at("2026-03-01 00:00:00"));
    let found: Vec<_> = found.iter().map(|one| (one.id.as_str(), one.version, one.effective_from)).collect();
    assert_eq!(found, [("a", 2, Timestamp::ZERO)]);
}

#[test]
fn a_draft_is_of_the_same_program() {
    let live = documents(&file(BASE));
    let changed = Bundle::parse(&file(&BASE.replace("\"1\"", "\"2\""))).unwrap();
    let draft = in_place(&live, &changed).unwrap();
    let versions: Vec<_> = draft.iter().map(|one| (one.kind.as_str(), one.version)).collect();
    assert_eq!(versions, [("program", 1), ("currency", 1), ("rule", 2)]);
    let other = Bundle::parse(&file(BASE).replace("CNY", "GBP")).unwrap();
    assert!(in_place(&live, &other).unwrap_err().contains("must be the same"));
    let gone = Bundle::parse(&file(BASE).replace("code = \"points\"", "code = \"stars\"")).unwrap();
    assert!(in_place(&live, &gone).unwrap_err().contains("`points` cannot be removed"));
}
