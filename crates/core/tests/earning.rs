//! Properties of earning: caps, stacking, returns, and what is refused at publication.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, dead_code)]

mod club;

use std::collections::BTreeMap;

use club::{Club, points, want};
use guerdon_core::earning::{Recent, Window};
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Command, RefusalCode};
use guerdon_core::ledger::{Account, CurrencyId, Merge};
use guerdon_core::program::Bundle;
use guerdon_core::tiers::Standing;
use guerdon_core::time::{Calendar, Timestamp};
use proptest::prelude::*;
use serde_json::json;

/// A program file with some rules, and with caps of the program.
fn file(caps: &str, rules: &str) -> String {
    format!(
        r#"
        program = {{ id = "p", name = "P", money = "CNY", time_zone = "Asia/Shanghai", caps = [{caps}] }}
        currencies = [
            {{ id = 1, code = "points", name = "Points", per_money_unit = 100, expiry = {{ after = 1, granule = "month" }} }},
            {{ id = 2, code = "growth", name = "Growth", per_money_unit = 1 }},
        ]
        {rules}
        "#
    )
}

fn rule(id: &str, rest: &str) -> String {
    let trigger = if rest.contains("trigger") { "" } else { "trigger = \"purchase\"" };
    format!("[[rules]]\nid = \"{id}\"\nname = \"{id}\"\n{trigger}\n{rest}\n")
}

fn base() -> String {
    rule("base", r#"effect = { type = "points_per_money", rate = "1" }"#)
}

fn refused(rules: &str) -> String {
    Bundle::parse(&file("", rules)).unwrap_err()
}

const NOON: &str = "2026-03-02 12:00:00";

#[test]
fn what_cannot_work_is_refused_at_publication() {
    let with = |rest: &str| refused(&rule("r", &format!("effect = {{ type = \"fixed_points\", points = 1 }}\n{rest}")));
    for (rest, problem) in [
        ("condition = \"activity.net >\"", "`condition` line 1, column 15: this is not CEL"),
        (
            "condition = \"activity.net > 5 && activity.colour == ''\"",
            "rule `r`: `condition` line 1, column 29: there is no attribute `colour`",
        ),
        ("condition = \"activity.net / (activity.net - 5) > 1\"", "may divide by zero"),
        ("condition = \"activity.net * activity.net > 1\"", "more than 64 bits"),
        ("condition = \"history.purchase.monthly.count > 1\"", "there is no attribute `monthly`"),
        ("condition = \"member.phone == ''\"", "there is no attribute `phone`; it has available, earned, redeemed"),
        ("condition = \"activity.net\"", "must give true or false"),
        ("caps = [{ window = \"day\", points = 0 }]", "`caps[0].points` must be 1 to"),
        ("caps = [{ window = \"day\", count = 2 }, { window = \"day\", count = -1 }]", "`caps[1].count` must be 1 to"),
        ("caps = [{ window = \"day\" }]", "`caps[0]` needs `points`, `count` or `cost`"),
        ("caps = [{ window = \"event\", count = 1 }]", "an event is one activity"),
        ("caps = [{ window = \"fortnight\", count = 1 }]", "unknown variant `fortnight`"),
        ("trigger = []", "`trigger` must name 1 to 16"),
        ("trigger = 5", "a kind of activity, or a list of them"),
        ("priority = 1001", "`priority` must be -1000 to 1000"),
        ("currency = 3", "currency 3 is not one of the program's"),
    ] {
        let found = with(rest);
        assert!(found.contains(problem), "{rest}: {found}");
    }
    for (effect, problem) in [
        (r#"{ type = "multiply", factor = "0.5" }"#, "`factor` must be 1 to"),
        (r#"{ type = "points_per_step", points = 1, step = "0" }"#, "`step` must be more than 0"),
        (r#"{ type = "points_per_step", points = 0, step = "1" }"#, "`points` must be 1 to"),
        (r#"{ type = "multiply", factor = "2", rule = "later" }"#, "which is not a rule that stands before it"),
        (
            r#"{ type = "fixed_points", points = 1, lines = "line.amount / 0 > 1" }"#,
            "`lines` line 1, column 13: may divide by zero",
        ),
    ] {
        let found = refused(&rule("r", &format!("effect = {effect}")));
        assert!(found.contains(problem), "{effect}: {found}");
    }
}

#[test]
fn rules_must_fit_together() {
    let share = r#"effect = { type = "percent_of_rule", rule = "base", percent = "5" }"#;
    let early = refused(&(base() + &rule("share", &format!("{share}\npriority = 1"))));
    assert!(early.contains("rule `share`: `rule` names `base`, which is not a rule that stands before it"), "{early}");
    let other = refused(&(base() + &rule("share", &format!("{share}\ncurrency = 2"))));
    assert!(other.contains("gives another currency"), "{other}");
    let in_group = |id: &str, choose: &str| {
        let exclusive = format!("exclusive = {{ group = \"g\", choose = \"{choose}\" }}");
        rule(id, &format!("effect = {{ type = \"fixed_points\", points = 1 }}\n{exclusive}"))
    };
    let torn = refused(&(in_group("a", "best") + &in_group("b", "first")));
    assert!(
        torn.contains("rule `b`: rules of the group `g` must give one currency and have one `choose`, as `a`"),
        "{torn}"
    );
    let capped = Bundle::parse(&file(r#"{ window = "day", points = 0 }"#, "")).unwrap_err();
    assert!(capped.contains("program: `caps[0].points` must be 1 to"), "{capped}");
}

#[test]
fn the_order_of_evaluation_is_by_priority() {
    let fixed = |id: &str, points: i64, rest: &str| {
        rule(id, &format!("effect = {{ type = \"fixed_points\", points = {points} }}\n{rest}"))
    };
    let group = r#"exclusive = { group = "g", choose = "first" }"#;
    let rules = fixed("low", 9, group) + &fixed("high", 1, &format!("{group}\npriority = 5")) + &fixed("free", 2, "");
    let mut club = Club::of(&file("", &rules));
    let receipt = club.record("k", NOON, json!({"kind": "purchase", "amount": 1})).unwrap();
    let told: Vec<(&str, i64)> = receipt.explanation.iter().map(|one| (&*one.rule, one.points)).collect();
    assert_eq!(told, [("high", 1), ("low", 0), ("free", 2)]);
    // A rule that loses its group stops nobody.
    let stopper = fixed("stopper", 1, "exclusive = { group = \"h\" }\nstop = true");
    let rules = fixed("best", 5, "exclusive = { group = \"h\" }") + &stopper + &fixed("free", 2, "");
    let mut club = Club::of(&file("", &rules));
    let earned = club.earns(NOON, json!({"kind": "purchase", "amount": 1}));
    assert_eq!(earned, want([("best", 5), ("stopper", 0), ("free", 2)]));
}

/// A multiplier goes by what the base came to, not by what it would have been without its cap.
#[test]
fn a_share_follows_what_was_given() {
    let capped = rule(
        "base",
        "effect = { type = \"points_per_money\", rate = \"1\" }\ncaps = [{ window = \"event\", points = 40 }]",
    );
    let twice = rule("twice", r#"effect = { type = "multiply", factor = "2" }"#);
    let tea = rule("tea", r#"effect = { type = "multiply", factor = "3", lines = "line.sku == 'tea'" }"#);
    let mut club = Club::of(&file("", &(capped + &twice + &tea)));
    let basket = json!({"kind": "purchase", "lines": [
        {"sku": "tea", "quantity": "1", "unit_price": "7"},
        {"sku": "pot", "quantity": "1", "unit_price": "93"},
    ]});
    assert_eq!(club.earns(NOON, basket), want([("base", 40), ("twice", 40), ("tea", 14)]));
}

#[test]
fn a_cap_may_give_all_or_nothing() {
    let skip = "caps = [{ window = \"day\", points = 100, over = \"skip\" }]";
    let rules = rule("base", &format!("effect = {{ type = \"points_per_money\", rate = \"1\" }}\n{skip}"));
    let mut club = Club::of(&file("", &rules));
    let order = |yuan: i64| json!({"kind": "purchase", "amount": yuan * 100});
    assert_eq!(club.earns(NOON, order(60)), want([("base", 60)]));
    assert_eq!(club.earns(NOON, order(60)), want([("base", 0)]));
    assert_eq!(club.earns(NOON, order(40)), want([("base", 40)]));
}

#[test]
fn conditions_count_in_windows() {
    let rules = base()
        + &rule(
            "third",
            "condition = \"history.purchase.month.count == 2\"\neffect = { type = \"fixed_points\", points = 30 }",
        )
        + &rule(
            "five-hundred",
            "condition = \"history.purchase.month.amount < 50000 && history.purchase.month.amount + activity.net >= 50000\"\n\
             effect = { type = \"fixed_points\", points = 500 }",
        )
        + &rule("rich", "condition = \"member.available >= 700\"\neffect = { type = \"fixed_points\", points = 1 }");
    let mut club = Club::of(&file("", &rules));
    let order = || json!({"kind": "purchase", "amount": 20_000});
    assert_eq!(club.earns("2026-03-02 12:00:00", order()), want([("base", 200)]));
    assert_eq!(club.earns("2026-03-31 23:59:59", order()), want([("base", 200)]));
    assert_eq!(club.earns("2026-04-01 00:00:00", order()), want([("base", 200)]));
    let second = club.record("second", "2026-04-02 00:00:00", order()).unwrap();
    assert_eq!(points(&second), want([("base", 200)]));
    // ¥200 and ¥200 before: the third of April comes to ¥600.
    let third = club.record("third", "2026-04-03 00:00:00", order()).unwrap();
    assert_eq!(points(&third), want([("base", 200), ("third", 30), ("five-hundred", 500), ("rich", 1)]));
    assert_eq!(third.explanation[1].facts, BTreeMap::from([("history.purchase.month.count".to_owned(), 2)]));
    club.check();
}

#[test]
fn an_account_of_an_earlier_version_had_its_first_order() {
    let first =
        "condition = \"history.purchase.lifetime.count == 0\"\neffect = { type = \"fixed_points\", points = 9 }";
    let mut club = Club::of(&file("", &rule("first", first)));
    club.account.history.partial = true;
    assert_eq!(club.earns(NOON, json!({"kind": "purchase", "amount": 1})), want([]));
}

#[test]
fn a_second_currency_has_its_own_caps() {
    let growth = rule("growth", "effect = { type = \"points_per_money\", rate = \"2\" }\ncurrency = 2");
    let mut club = Club::of(&file(r#"{ currency = 2, window = "day", points = 50 }"#, &(base() + &growth)));
    assert_eq!(club.earns(NOON, json!({"kind": "purchase", "amount": 4_000})), want([("base", 40), ("growth", 50)]));
    assert_eq!(club.total(), 40);
}

/// What two accounts of one person counted is one person's.
#[test]
fn a_merge_brings_what_was_counted() {
    let rules =
        rule("once", "effect = { type = \"fixed_points\", points = 5 }\ncaps = [{ window = \"day\", points = 8 }]");
    let mut club = Club::of(&file("", &rules));
    let mut other = Club::of(&file("", &rules));
    let order = || json!({"kind": "purchase", "amount": 1});
    assert_eq!(club.earns(NOON, order()), want([("once", 5)]));
    assert_eq!(other.earns(NOON, order()), want([("once", 5)]));
    club.account.history.merge(&other.account.history);
    assert_eq!(club.earns(NOON, order()), want([("once", 0)]));
    assert_eq!(club.account.history.lifetime("purchase").count, 3);
    let merge = Merge {
        from: MemberId(7),
        into: MemberId(1),
        brought: Vec::new(),
        lifetimes: Vec::new(),
        referrer: None,
        last_activity_at: Timestamp::ZERO,
        history: other.account.history.clone(),
        agenda: other.account.agenda.clone(),
        recent: Recent::default(),
        standing: Standing::default(),
        lent: Vec::new(),
    };
    let text = serde_json::to_string(&merge).unwrap();
    assert_eq!(serde_json::from_str::<Merge>(&text).unwrap(), merge);
}

/// Many effects at once, for returns.
fn rich_rules() -> String {
    base()
        + &rule("share", r#"effect = { type = "percent_of_rule", rule = "base", percent = "10" }"#)
        + &rule("tea", r#"effect = { type = "multiply", factor = "1.5", lines = "line.sku == 'tea'" }"#)
        + &rule("line", r#"effect = { type = "fixed_points", points = 7, lines = "line.amount > 500" }"#)
        + &rule(
            "welcome",
            "effect = { type = \"fixed_points\", points = 11 }\ncaps = [{ window = \"lifetime\", count = 1 }]",
        )
        + &rule("later", "effect = { type = \"points_per_step\", points = 3, step = \"10\" }\npending_days = 14")
        + &rule("growth", "effect = { type = \"points_per_money\", rate = \"3\" }\ncurrency = 2")
        + &rule("back", "trigger = \"return\"\neffect = { type = \"take_back_per_money\", rate = \"1\" }")
}

#[test]
fn a_partial_return_goes_by_its_lines() {
    let mut club = Club::of(&file("", &rich_rules()));
    let tea = json!({"sku": "tea", "quantity": "2", "unit_price": "20"});
    let pot = json!({"sku": "pot", "quantity": "1", "unit_price": "60"});
    let bought = club.record("buy", NOON, json!({"kind": "purchase", "lines": [tea, pot]})).unwrap();
    let earned =
        [("base", 100), ("share", 10), ("tea", 20), ("line", 14), ("welcome", 11), ("later", 30), ("growth", 300)];
    assert_eq!(points(&bought), want(earned));
    // Half of the tea, a fifth of the basket: half of what tea gave, a fifth of the rest, rounded down.
    let back =
        json!({"kind": "return", "purchase": "buy", "lines": [{"sku": "tea", "quantity": "-1", "unit_price": "20"}]});
    let half = club.record("back-1", NOON, back).unwrap();
    let taken =
        [("base", -20), ("share", -2), ("tea", -10), ("line", -2), ("welcome", -2), ("later", -6), ("growth", -60)];
    assert_eq!(points(&half), want(taken));
    // The rest takes the rest, to the last point.
    let rest = json!({"kind": "return", "purchase": "buy", "amount": 8_000});
    let all = club.record("back-2", NOON, rest.clone()).unwrap();
    let taken =
        [("base", -80), ("share", -8), ("tea", -10), ("line", -12), ("welcome", -9), ("later", -24), ("growth", -240)];
    assert_eq!(points(&all), want(taken));
    assert_eq!((club.total(), all.forgiven), (0, 0));
    // There is nothing left to return.
    let again = club.record("back-3", NOON, rest).unwrap();
    assert_eq!((again.explanation.len(), again.points, again.forgiven), (0, 0, 0));
    club.check();
}

#[test]
fn a_return_names_a_purchase_that_is_there() {
    let mut club = Club::of(&file("", &rich_rules()));
    let back = |key: &str| json!({"kind": "return", "purchase": key, "amount": 100});
    let unknown = club.record("back", NOON, back("buy")).unwrap_err();
    assert_eq!(unknown.code, RefusalCode::UnknownPurchase);
    club.record("buy", NOON, json!({"kind": "purchase", "amount": 1_000})).unwrap();
    club.record("plain", NOON, json!({"kind": "return", "amount": 100})).unwrap();
    let of_return = club.record("back-2", NOON, back("plain")).unwrap_err();
    assert_eq!(of_return.code, RefusalCode::UnknownPurchase);
    let wrong = club.record("buy-2", NOON, json!({"kind": "purchase", "amount": 1, "purchase": "buy"})).unwrap_err();
    assert_eq!(wrong.code, RefusalCode::InvalidRequest);
}

/// What was spent meanwhile is forgiven and recorded; nothing falls below zero.
#[test]
fn what_is_spent_is_forgiven() {
    let mut club = Club::of(&file("", &base()));
    club.record("buy", NOON, json!({"kind": "purchase", "amount": 10_000})).unwrap();
    club.adjust(-70, NOON);
    let back = club.record("back", NOON, json!({"kind": "return", "purchase": "buy", "amount": 10_000})).unwrap();
    assert_eq!((back.points, back.forgiven, club.total()), (-30, 70, 0));
    club.check();
}

/// Rules with caps on every kind of window, and the caps of the program.
fn capped() -> String {
    let caps = r#"caps = [
        { window = "event", points = 60 }, { window = "minute", points = 70, count = 2 }, { window = "hour", points = 150 },
        { window = "day", points = 200, count = 6 }, { window = "week", points = 500 }, { window = "month", points = 900 },
        { window = "year", points = 1500 }, { window = "lifetime", points = 2000, count = 60 },
    ]"#;
    let rules = rule("base", &format!("effect = {{ type = \"points_per_money\", rate = \"1\" }}\n{caps}"))
        + &rule("extra", r#"effect = { type = "fixed_points", points = 25 }"#);
    file(
        r#"{ window = "minute", points = 90 }, { window = "day", points = 260, count = 8 }, { window = "month", points = 1000, over = "skip" }"#,
        &rules,
    )
}

/// Moments over three years, many of them close together, in any order.
fn moments() -> impl Strategy<Value = Vec<(i64, i64)>> {
    let close = (0_i64..3, 0_i64..40, 0_i64..3, 0_i64..4)
        .prop_map(|(year, day, hour, minute)| (((year * 365 + day) * 24 + hour) * 60 + minute) * 60_000);
    let anywhere = 0_i64..(3 * 365 * 24 * 60 * 60_000);
    prop::collection::vec((prop_oneof![4 => close, 1 => anywhere], 1_i64..12_000), 1..120)
}

fn at(offset_ms: i64) -> Timestamp {
    Timestamp::parse_rfc3339("2023-02-27T15:58:00Z").unwrap().plus_millis(offset_ms)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// However late and in whichever order activities come.
    #[test]
    fn caps_are_never_exceeded(moments in moments()) {
        let mut club = Club::of(&capped());
        let calendar = Calendar::new("Asia/Shanghai").unwrap();
        let mut sums: BTreeMap<(bool, Window, Timestamp), (i64, i64)> = BTreeMap::new();
        for (index, (offset_ms, amount)) in moments.into_iter().enumerate() {
            let at = at(offset_ms);
            let activity = json!({"kind": "purchase", "amount": amount});
            let receipt = club.record_at(&format!("k{index}"), at, activity).unwrap();
            let of_base = points(&receipt).get("base").copied().unwrap_or_default();
            prop_assert!(of_base <= 60);
            for window in Window::COUNTED {
                let end = window.end(&calendar, at);
                for (is_rule, points) in [(true, of_base), (false, receipt.points)] {
                    let sum = sums.entry((is_rule, window, end)).or_default();
                    *sum = (sum.0 + points, sum.1 + i64::from(points > 0));
                }
            }
        }
        for ((is_rule, window, end), (points, count)) in sums {
            let (most, times) = match (is_rule, window) {
                (true, Window::Minute) => (70, 2),
                (true, Window::Hour) => (150, i64::MAX),
                (true, Window::Day) => (200, 6),
                (true, Window::Week) => (500, i64::MAX),
                (true, Window::Month) => (900, i64::MAX),
                (true, Window::Year) => (1_500, i64::MAX),
                (true, _) => (2_000, 60),
                (false, Window::Minute) => (90, i64::MAX),
                (false, Window::Day) => (260, 8),
                (false, Window::Month) => (1_000, i64::MAX),
                (false, _) => continue,
            };
            prop_assert!(points <= most && count <= times, "{is_rule} {window:?} to {end}: {points} in {count}");
        }
        prop_assert!(club.account.history.counters.iter().all(|counter| counter.open.len() <= 32));
        club.check();
    }

    /// In the order of time nothing is withheld that a simple count of the day leaves room for.
    #[test]
    fn caps_give_what_there_is_room_for(amounts in prop::collection::vec((0_i64..30, 1_i64..9_000), 1..40)) {
        let rules = rule("base", "effect = { type = \"points_per_money\", rate = \"1\" }\ncaps = [{ window = \"day\", points = 100 }]");
        let mut club = Club::of(&file("", &rules));
        let mut by_day: BTreeMap<i64, i64> = BTreeMap::new();
        // Late by up to thirty days, as offline tills are.
        for (day, amount) in amounts {
            let local = format!("2026-03-{:02} 09:00:00", day + 1);
            let earned = club.earns(&local, json!({"kind": "purchase", "amount": amount}));
            let sum = by_day.entry(day).or_default();
            let room = (amount / 100).min(100 - *sum);
            prop_assert_eq!(earned.get("base").copied().unwrap_or_default(), room);
            *sum += room;
        }
        club.check();
    }

    /// Whatever a purchase earned, and in however many parts it comes back.
    #[test]
    fn what_is_returned_in_full_leaves_nothing(
        lines in prop::collection::vec((prop::bool::ANY, 1_i64..6, 1_i64..9_000), 1..6),
        cuts in prop::collection::vec(1_i64..10_000, 0..4),
        other in 1_i64..50_000,
    ) {
        let mut club = Club::of(&file("", &rich_rules()));
        club.record("other", NOON, json!({"kind": "purchase", "amount": other})).unwrap();
        let growth = |club: &Club| club.account.wallet(CurrencyId(2)).map(|wallet| wallet.balance());
        let before = (club.total(), growth(&club));
        let price = |minor: i64| format!("{}.{:02}", minor / 100, minor % 100);
        let basket: Vec<_> = lines.iter().map(|(tea, quantity, minor)| {
            json!({"sku": if *tea { "tea" } else { "pot" }, "quantity": quantity.to_string(), "unit_price": price(*minor)})
        }).collect();
        let bought = club.record("buy", NOON, json!({"kind": "purchase", "lines": basket})).unwrap();
        let mut left = bought.activity.unwrap().amount;
        for (index, cut) in cuts.into_iter().enumerate() {
            let part = cut.min(left);
            left -= part;
            let back = json!({"kind": "return", "purchase": "buy", "amount": part});
            let receipt = club.record(&format!("back-{index}"), NOON, back).unwrap();
            prop_assert!(receipt.explanation.iter().all(|outcome| outcome.points <= 0));
            prop_assert_eq!(receipt.forgiven, 0);
        }
        let rest = if left > 0 { json!({"kind": "return", "purchase": "buy", "amount": left}) }
            else { json!({"kind": "return", "purchase": "buy", "amount": 0}) };
        club.record("rest", NOON, rest).unwrap();
        prop_assert_eq!((club.total(), growth(&club)), before);
        club.check();
    }

    #[test]
    fn no_bytes_make_a_history_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut stored = Account::default().encode();
        stored.truncate(6);
        stored.extend(bytes);
        if let Ok(mut account) = Account::decode(1, &stored) {
            let other = account.history.clone();
            account.history.merge(&other);
            account.history.record("purchase", guerdon_core::time::Day(i32::MAX), i64::MAX);
        }
    }
}

/// A version that changes meanwhile changes nothing of an activity that was prepared.
#[test]
fn a_command_keeps_the_rules_it_was_made_under() {
    let mut club = Club::of(&file("", &base()));
    let activity = serde_json::from_value(json!({"kind": "purchase", "amount": 500})).unwrap();
    let at = club.program.calendar.parse_local(NOON).unwrap();
    let command =
        Command::record(&club.program, MemberId(1), "k", &activity, at, guerdon_core::time::EARLIEST).unwrap();
    club.program = Club::of(&file("", "")).program;
    assert_eq!(points(&club.decide(&command, true).unwrap()), want([("base", 5)]));
}
