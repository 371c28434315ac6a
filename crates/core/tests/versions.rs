//! Versions of configuration: which holds when, changes of documents, and that no activity mixes them.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use guerdon_core::earning::Activity;
use guerdon_core::id::{IdGenerator, MemberId};
use guerdon_core::kernel::{Batch, Command, Loaded, Receipt, RefusalCode};
use guerdon_core::ledger::{Account, CurrencyId};
use guerdon_core::program::{
    Bundle, Document, DocumentChange, Program, check_from, in_force, parse_document, with_changes,
};
use guerdon_core::time::{EARLIEST, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

const PROGRAM: &str = r#"
program = { id = "p", name = "P", money = "GBP", time_zone = "Europe/London" }
currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100 }]
rewards = [{ id = "cup", name = "Cup", price = 10 }]
[[rules]]
id = "base"
name = "Base"
trigger = "purchase"
effect = { type = "points_per_money", rate = "1" }
[[rules]]
id = "share"
name = "Share"
trigger = "purchase"
effect = { type = "percent_of_rule", rule = "base", percent = "10" }
"#;

fn live() -> Vec<Document> {
    let mut documents = Bundle::parse(PROGRAM).unwrap().documents().unwrap();
    documents.iter_mut().for_each(|document| document.version = 1);
    documents
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn put(kind: &str, id: &str, document: Value) -> DocumentChange {
    DocumentChange { kind: kind.to_owned(), id: id.to_owned(), base: 0, document: Some(document) }
}

fn retire(kind: &str, id: &str) -> DocumentChange {
    DocumentChange { kind: kind.to_owned(), id: id.to_owned(), base: 0, document: None }
}

fn base(rate: &str) -> DocumentChange {
    let effect = json!({"type": "points_per_money", "rate": rate});
    put("rule", "base", json!({"id": "base", "name": "Base", "trigger": "purchase", "effect": effect}))
}

fn purchase(amount: i64) -> Activity {
    serde_json::from_value(json!({"kind": "purchase", "amount": amount})).unwrap()
}

/// Decides under a program what was perhaps prepared under another.
fn decide(program: &Program, account: Account, command: &Command) -> Result<Receipt, RefusalCode> {
    let loaded = Loaded { accounts: [(MemberId(1), account)].into_iter().collect(), ..Loaded::default() };
    let mut ids = IdGenerator::new(1);
    let reply = Batch::new(program, loaded, &mut ids, command.at).decide(command).map_err(|refusal| refusal.code)?;
    Ok(serde_json::from_str(&reply.receipt).unwrap())
}

fn rules_of(receipt: &Receipt) -> Vec<(String, i64, i64)> {
    receipt.explanation.iter().map(|outcome| (outcome.rule.to_string(), outcome.version, outcome.points)).collect()
}

#[test]
fn a_scheduled_version_of_every_kind_holds_from_its_moment_on() {
    let (before, from) = (at("2026-12-31T23:59:59.999Z"), at("2027-01-01T00:00:00Z"));
    let settings = json!({"id": "p", "name": "P", "money": "GBP", "time_zone": "Europe/London",
        "caps": [{"window": "day", "points": 50}]});
    let currency = json!({"id": 1, "code": "points", "name": "Points", "per_money_unit": 200,
        "expiry": {"after": 1, "granule": "month"}});
    let changes = [
        put("program", "program", settings),
        put("currency", "points", currency),
        put("reward", "cup", json!({"id": "cup", "name": "Cup", "price": 20})),
        put("reward", "mug", json!({"id": "mug", "name": "Mug", "price": 5})),
        base("2"),
        retire("rule", "share"),
    ];
    let documents = with_changes(&live(), &changes, from).unwrap();
    check_from(&documents, from).unwrap();
    let program = Program::from_documents(&documents).unwrap();
    let earned = |moment| {
        let command = Command::record(&program, MemberId(1), "k", &purchase(10_000), moment, EARLIEST).unwrap();
        rules_of(&decide(&program, Account::default(), &command).unwrap())
    };
    assert_eq!(earned(before), [("base".to_owned(), 1, 100), ("share".to_owned(), 1, 10)]);
    assert_eq!(earned(from), [("base".to_owned(), 2, 50)], "the new rate, within the cap of the new settings");
    let points = CurrencyId(1);
    assert_eq!(program.expires_at(points, before), Timestamp::NEVER);
    assert_eq!(program.expires_at(points, from), at("2027-03-01T00:00:00Z"));
    let price = |id, moment| program.reward_at(id, moment).map(|reward| reward.price.as_fixed().unwrap());
    assert_eq!((price("cup", before), price("cup", from)), (Some(10), Some(20)));
    assert_eq!((price("mug", before), price("mug", from)), (None, Some(5)));
    let redeem = Command::redeem(MemberId(1), "r", before, "mug", 1, true).unwrap();
    assert_eq!(decide(&program, Account::default(), &redeem).unwrap_err(), RefusalCode::UnknownReward);
    // What is shown goes by the moment for which it is shown.
    let (then, now) = (program.as_of(before), program.as_of(from));
    assert!(then.shows(before) && !then.shows(from) && now.shows(from) && !now.shows(before));
    assert_eq!((then.settings.caps.len(), now.settings.caps.len()), (0, 1));
    assert_eq!((program.value_of(points, 1_000, before), program.value_of(points, 1_000, from)), (1_000, 500));
    assert_eq!((then.rewards().count(), now.rewards().count()), (1, 2));
}

#[test]
fn changes_that_hold_for_all_time_take_the_place_of_every_version() {
    let scheduled = with_changes(&live(), &[base("2")], at("2026-01-01T00:00:00Z")).unwrap();
    let tried = with_changes(&scheduled, &[base("5")], Timestamp::ZERO).unwrap();
    let program = Program::from_documents(&tried).unwrap();
    for moment in [at("2025-06-01T12:00:00Z"), at("2026-06-01T12:00:00Z")] {
        let command = Command::record(&program, MemberId(1), "k", &purchase(10_000), moment, EARLIEST).unwrap();
        let told = rules_of(&decide(&program, Account::default(), &command).unwrap());
        assert_eq!(
            told.first().map(|(rule, version, points)| (rule.as_str(), *version, *points)),
            Some(("base", 3, 500))
        );
    }
    let held: Vec<i64> = in_force(&scheduled, at("2025-06-01T12:00:00Z")).iter().map(|one| one.version).collect();
    assert_eq!(held, [1; 5]);
}

#[test]
fn what_never_changes_and_what_does_not_fit_is_refused() {
    let now = at("2026-06-01T00:00:00Z");
    let refused = |changes: &[DocumentChange]| {
        with_changes(&live(), changes, now).and_then(|documents| check_from(&documents, now)).unwrap_err()
    };
    let currency = |id, code: &str| json!({"id": id, "code": code, "name": "P", "per_money_unit": 100});
    for (changes, problem) in [
        (
            vec![put("program", "program", json!({"id": "p", "name": "P", "money": "EUR", "time_zone": "UTC"}))],
            "cannot change",
        ),
        (vec![put("currency", "points", currency(2, "points"))], "its number and its decimals cannot change"),
        (vec![retire("currency", "points")], "cannot be removed"),
        (vec![retire("program", "program")], "cannot be retired"),
        (vec![retire("rule", "nothing")], "there is none that could be retired"),
        (vec![put("reward", "cup", json!({"id": "cup", "name": "Cup", "price": 1, "stock": 5}))], "initial stock"),
        (vec![put("rule", "other", base("1").document.unwrap())], "its content says `base`"),
        (vec![put("recipe", "cake", json!({}))], "no document of kind `recipe`"),
        (vec![base("1"), base("2")], "changed twice"),
        // The bundle as a whole: a share of a rule that is gone.
        (vec![retire("rule", "base")], "not a rule that stands before it"),
        (vec![base("-1")], "`rate` must be 0 to"),
    ] {
        let said = refused(&changes);
        assert!(said.contains(problem), "{said}");
    }
}

#[test]
fn what_is_scheduled_must_fit_what_is_published_before_it() {
    let (now, later) = (at("2026-06-01T00:00:00Z"), at("2026-09-01T00:00:00Z"));
    let share = json!({"type": "percent_of_rule", "rule": "base", "percent": "5"});
    let more = put("rule", "more", json!({"id": "more", "name": "More", "trigger": "purchase", "effect": share}));
    let scheduled = with_changes(&live(), &[more], later).unwrap();
    check_from(&scheduled, later).unwrap();
    let gone = with_changes(&scheduled, &[retire("rule", "base"), retire("rule", "share")], now).unwrap();
    let said = check_from(&gone, now).unwrap_err();
    assert!(said.contains("rule `more`") && said.contains("from 2026-09-01T00:00:00Z on"), "{said}");
}

#[test]
fn a_text_that_cannot_be_read_says_where() {
    for (kind, text, problem) in [
        (
            "rule",
            "id = \"r\"\nname = \"R\"\ntrigger = \"purchase\"\neffect = { type = \"fixed_points\", points = 1 }\ncolour = 1",
            "line 5, column 1: unknown field `colour`",
        ),
        ("rule", "id = \"r\"\nname = ", "line 2, column 8"),
        (
            "reward",
            "{\"id\": \"cup\",\n \"name\": \"Cup\",\n \"price\": \"ten\"}",
            "line 3, column 15: invalid type: string \"ten\"",
        ),
    ] {
        let said = parse_document(kind, text).unwrap_err();
        assert!(said.contains(problem), "{said}");
    }
    let said = Bundle::parse(&PROGRAM.replace("price = 10", "price = 10, shade = 2")).unwrap_err();
    assert!(said.starts_with("line 4, column") && said.contains("shade"), "{said}");
}

proptest! {
    /// However publication, preparation and decision fall: all that an activity earns is of the versions of one moment, and
    /// of one program.
    #[test]
    fn no_activity_mixes_versions(
        published_ms in 0_i64..2_000, activity_ms in 0_i64..2_000, amount in 1_i64..10_000_000,
        prepared_before in any::<bool>(), decided_before in any::<bool>(),
        rate in 2_i64..9, percent in 11_i64..90, cost in 1_i64..500, per_money_unit in 101_i64..900,
    ) {
        let start = at("2026-06-01T00:00:00Z");
        let published = start.plus_millis(published_ms);
        let share = json!({"id": "share", "name": "Share", "trigger": "purchase",
            "effect": {"type": "percent_of_rule", "rule": "base", "percent": percent.to_string()}});
        let settings = json!({"id": "p", "name": "P", "money": "GBP", "time_zone": "Europe/London",
            "caps": [{"window": "event", "cost": cost.to_string()}]});
        let currency = json!({"id": 1, "code": "points", "name": "Points", "per_money_unit": per_money_unit});
        let changes = [
            base(&rate.to_string()), put("rule", "share", share),
            put("program", "program", settings), put("currency", "points", currency),
        ];
        let old = Program::from_documents(&live()).unwrap();
        let new = Program::from_documents(&with_changes(&live(), &changes, published).unwrap()).unwrap();
        let (prepare, settle) = (if prepared_before { &old } else { &new }, if decided_before { &old } else { &new });
        let happened = start.plus_millis(activity_ms);
        let command = Command::record(prepare, MemberId(1), "k", &purchase(amount), happened, EARLIEST).unwrap();
        let receipt = decide(settle, Account::default(), &command).unwrap();
        let is_new = !prepared_before && happened >= published;
        let (rate, percent) = if is_new { (rate, percent) } else { (1, 10) };
        let base = amount * rate / 100;
        // The cap of the new settings, in points at the new value.
        let limit = if is_new { cost * per_money_unit } else { i64::MAX };
        let given = base.min(limit);
        let share = (given * percent / 100).min(limit - given);
        let version = if is_new { 2 } else { 1 };
        let told = rules_of(&receipt);
        prop_assert!(told.iter().all(|(_, known, _)| *known == version), "{told:?}");
        let points = |rule: &str| told.iter().find(|(id, ..)| id == rule).map_or(0, |(_, _, points)| *points);
        prop_assert_eq!((points("base"), points("share")), (given, share));
    }
}
