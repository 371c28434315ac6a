//! What rules do besides giving points to an activity: points for joining, tasks, messages.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, dead_code)]

mod club;

use club::{Club, points, want};
use guerdon_core::earning::{Act, CapScope};
use guerdon_core::kernel::{Arrival, Event};
use guerdon_core::ledger::TransactionKind;
use guerdon_core::program::{Bundle, Text};
use guerdon_core::time::Timestamp;
use serde_json::json;

const PROGRAM: &str = r#"
    program = { id = "p", name = "P", money = "CNY", time_zone = "Asia/Shanghai" }
    currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100 }]
    templates = [{ id = "welcome", subject = { en = "Welcome", zh = "欢迎" }, text = "{name}, welcome to {program}" }]
"#;

fn with(rules: &str) -> String {
    format!("{PROGRAM}{rules}")
}

fn welcome() -> String {
    with(
        r#"
        [[rules]]
        id = "welcome"
        name = "Welcome"
        trigger = "enrol"
        condition = "context.channel == 'app'"
        effect = { type = "fixed_points", points = 100 }
        [[rules]]
        id = "in-store"
        name = "In store"
        trigger = "enrol"
        condition = "context.store == 'bund'"
        effect = { type = "fixed_points", points = 30 }
        [[rules]]
        id = "letter"
        name = "Letter"
        trigger = "enrol"
        effect = { type = "message", template = "welcome" }
        [[rules]]
        id = "first-week"
        name = "First week"
        trigger = "purchase"
        condition = "history.enrol.days_since <= 7"
        effect = { type = "points_per_money", rate = "2" }
        "#,
    )
}

#[test]
fn joining_earns_in_the_decision_that_enrols() {
    let at = Timestamp::parse_rfc3339("2026-03-01T16:30:00Z").unwrap();
    let arrival = Arrival { channel: Some("app".to_owned()), ..Arrival::default() };
    let (mut club, receipt) = Club::joined(&welcome(), at, &arrival);
    assert_eq!((receipt.kind, receipt.points), (TransactionKind::Enrol, 100));
    assert_eq!(points(&receipt), want([("welcome", 100), ("letter", 0)]));
    assert_eq!(receipt.explanation[1].act, Some(Act::Message { template: "welcome".to_owned() }));
    assert_eq!(receipt.events, [Event::Message { template: "welcome".to_owned() }]);
    assert_eq!(receipt.activity.as_ref().map(|activity| activity.kind.as_str()), Some("enrol"));
    // It is 2 March in Shanghai; the week ends with 9 March.
    let order = || json!({"kind": "purchase", "amount": 1_000});
    assert_eq!(club.earns("2026-03-09 23:59:59", order()), want([("first-week", 20)]));
    assert_eq!(club.earns("2026-03-10 00:00:00", order()), want([]));
    club.check();
    let (club, receipt) =
        Club::joined(&welcome(), at, &Arrival { store: Some("bund".to_owned()), ..Arrival::default() });
    assert_eq!(points(&receipt), want([("in-store", 30), ("letter", 0)]));
    club.check();
}

#[test]
fn where_no_rule_listens_joining_records_nothing() {
    let arrival = Arrival { channel: Some("app".to_owned()), ..Arrival::default() };
    let (club, receipt) = Club::joined(&with(""), Timestamp::ZERO, &arrival);
    assert_eq!(
        (receipt.activity, receipt.explanation.len(), club.account.last_activity_at),
        (None, 0, Timestamp::ZERO)
    );
}

#[test]
fn tasks_are_raised_within_their_count() {
    let mut club = Club::of(&with(
        r#"
        [[rules]]
        id = "call"
        name = "Call"
        trigger = "purchase"
        condition = "activity.net >= 500000 && history.purchase.lifetime.count < 9"
        effect = { type = "task", text = { en = "Thank the member", zh = "致谢" } }
        exclusive = { group = "once", choose = "first" }
        caps = [{ window = "day", count = 2 }]
        [[rules]]
        id = "base"
        name = "Base"
        trigger = "purchase"
        effect = { type = "points_per_money", rate = "1" }
        exclusive = { group = "once", choose = "first" }
        "#,
    ));
    let order = |amount: i64| json!({"kind": "purchase", "amount": amount});
    let small = club.record("small", "2026-03-02 10:00:00", order(499_999)).unwrap();
    assert_eq!((points(&small), small.events.len()), (want([("base", 4_999)]), 0));
    for key in ["a", "b"] {
        let large = club.record(key, "2026-03-02 10:00:00", order(500_000)).unwrap();
        assert_eq!(points(&large), want([("call", 0), ("base", 0)]));
        assert_eq!(large.explanation[1].lost_to.as_deref(), Some("call"));
        let text = Text::Many([("en", "Thank the member"), ("zh", "致谢")].map(|(a, b)| (a.into(), b.into())).into());
        assert_eq!(large.events, [Event::Task { subject: "call".to_owned(), text }]);
        assert_eq!((large.counted[0].count, large.counted[0].sum), (1, 0));
    }
    let third = club.record("c", "2026-03-02 23:59:59", order(500_000)).unwrap();
    let trim = third.explanation[0].trimmed.as_ref().unwrap();
    assert_eq!((third.events.len(), trim.cap, trim.count, trim.offered), (0, CapScope::Rule, Some(2), 0));
    let next_day = club.record("d", "2026-03-03 00:00:00", order(500_000)).unwrap();
    assert_eq!(next_day.events.len(), 1);
    club.check();
}

#[test]
fn what_an_effect_names_must_be_there() {
    let problem = |rules: &str| Bundle::parse(&with(rules)).unwrap_err();
    let rule = |effect: &str| format!("[[rules]]\nid = 'r'\nname = 'R'\ntrigger = 'enrol'\neffect = {effect}\n");
    let unknown = problem(&rule("{ type = 'message', template = 'none' }"));
    assert_eq!(unknown, "rule `r`: there is no template `none`");
    let capped = rule("{ type = 'task', text = 'Call' }") + "caps = [{ window = 'day', points = 5 }]";
    assert!(problem(&capped).contains("`caps` by `count` alone"), "{}", problem(&capped));
    let share = rule("{ type = 'task', text = 'Call' }")
        + "[[rules]]\nid = 's'\nname = 'S'\ntrigger = 'enrol'\neffect = { type = 'percent_of_rule', rule = 'r', percent = '5' }";
    assert!(problem(&share).contains("gives no points"), "{}", problem(&share));
    assert!(problem(&rule("{ type = 'task', text = '' }")).contains("`text` is empty"));
}
