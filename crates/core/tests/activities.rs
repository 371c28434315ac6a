//! Activities of a program's own: what their bodies may hold, what conditions see of them, and what is refused.
//!
//! Helpers outside of `#[test]` functions are test code too: what goes wrong in them must stop the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, dead_code)]

mod club;

use club::{Club, want};
use guerdon_core::backtest::{Entry, Happened, Period, Side, compare};
use guerdon_core::earning::{Activity, CompiledActivityKind};
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Action, Command, RefusalCode};
use guerdon_core::limits;
use guerdon_core::program::{
    Bundle, Document, DocumentChange, Program, Verdict, check_from, differences, in_force, with_changes,
};
use guerdon_core::time::{EARLIEST, Timestamp};
use serde_json::{Value, json};

const STRIDE: &str = include_str!("../../../programs/examples/activities.toml");

fn workout(body: Value) -> Value {
    json!({ "kind": "workout", "body": body })
}

#[test]
fn a_body_that_does_not_fit_is_refused() {
    let mut club = Club::of(STRIDE);
    let long = "x".repeat(limits::BODY_BYTES);
    let deep = (0..limits::BODY_DEPTH).fold(json!({}), |inner, _| json!({ "in": inner }));
    for (activity, problem) in [
        (json!({"kind": "workout"}), "`body`: `/sport` is missing"),
        (workout(json!({"sport": "run"})), "`body`: `/minutes` is missing"),
        (workout(json!({"sport": "run", "minutes": "thirty"})), "`body`: `/minutes`: value is not of type \"integer\""),
        (workout(json!({"sport": "run", "minutes": 0})), "`/minutes`: value is less than the minimum of 1"),
        (
            workout(json!({"sport": "row", "minutes": 30})),
            "`/sport`: value is not one of \"run\", \"ride\" or \"swim\"",
        ),
        (
            workout(json!({"sport": "run", "minutes": 30, "pulse": 150})),
            "`body`: there is no `/pulse`; there are distance_km, minutes, place, sport, tags",
        ),
        (
            workout(json!({"sport": "run", "minutes": 30, "tags": ["a", 7]})),
            "`/tags/1`: value is not of type \"string\"",
        ),
        (
            json!({"kind": "class", "body": {"minutes": 30, "booked_on": "soon"}}),
            "`/booked_on`: value is not a \"date\"",
        ),
        (
            json!({"kind": "test_drive", "body": {}}),
            "the program does not say what the body of the activity `test_drive` holds",
        ),
        (json!({"kind": "purchase", "amount": 5, "body": {}}), "the body of the activity `purchase`"),
        (json!({"kind": "class", "body": {"minutes": 30, "note": long}}), "bytes as JSON; at most 16384 are allowed"),
        (json!({"kind": "class", "body": {"minutes": 30, "note": deep}}), "more than 16 levels deep"),
    ] {
        let refused = club.record("key", "2026-03-02 08:00:00", activity.clone()).unwrap_err();
        assert_eq!(refused.code, RefusalCode::InvalidBody, "{activity}");
        assert!(refused.message.contains(problem), "{}", refused.message);
    }
    // A long list of what fits none of many ways is refused at the first item.
    let ways: Vec<Value> = (100..1_000).map(|way| json!({ "const": way })).collect();
    let kind = json!({"id": "draw", "name": "Draw", "schema": {"properties": {"numbers": {"items": {"anyOf": ways}}}}});
    let kind = CompiledActivityKind::compile(serde_json::from_value(kind).unwrap()).unwrap();
    let body = json!({ "numbers": vec![7; 8_000] });
    let refused = kind.check(body.as_object()).unwrap_err();
    assert!(refused.starts_with("`body`: `/numbers/0` fits none of its ways: 100 was expected, 101 was"), "{refused}");
    // An undeclared kind without a body is taken, as ever.
    assert_eq!(club.earns("2026-03-02 08:00:00", json!({"kind": "test_drive"})), want([]));
}

#[test]
fn one_body_in_two_orders_is_one_request() {
    let read = |text: &str| serde_json::from_str::<Activity>(text).unwrap();
    let one = read(
        r#"{"kind": "workout", "body": {"minutes": 30, "sport": "run", "place": {"town": "x", "indoors": true}}}"#,
    );
    let other = read(
        r#"{"kind": "workout", "body": {"place": {"indoors": true, "town": "x"}, "sport": "run", "minutes": 30}}"#,
    );
    assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&other).unwrap());
    // What was kept before there were bodies is read, and written as it was.
    let old = r#"{"kind":"survey","store":"bund"}"#;
    assert_eq!(serde_json::to_string(&read(old)).unwrap(), old);
    assert!(serde_json::from_str::<Activity>(r#"{"kind": "workout", "body": [1]}"#).is_err());
}

/// The example with other activities and rules.
fn program(more: &str) -> Result<Bundle, String> {
    let head = STRIDE.split("[[activities]]").next().unwrap();
    Bundle::parse(&format!("{head}{more}"))
}

fn rule(trigger: &str, condition: &str) -> String {
    format!(
        "[[rules]]\nid = \"r\"\nname = \"R\"\ntrigger = {trigger}\ncondition = \"{condition}\"\n\
         effect = {{ type = \"fixed_points\", points = 1 }}\n"
    )
}

#[test]
fn a_schema_that_is_none_is_refused_with_its_place() {
    let of = |schema: &str| {
        program(&format!("[[activities]]\nid = \"drive\"\nname = \"Drive\"\nschema = {schema}\n")).map(drop)
    };
    let nested = "{ properties = { x = ".repeat(34) + "{}" + &" } }".repeat(34);
    for (schema, problem) in [
        ("{ type = \"array\" }", "activity `drive`: `schema` at `/type`: a body is an object"),
        ("true", "`schema` is a JSON Schema: a table"),
        (
            "{ properties = { x = { type = \"integr\" } } }",
            "`schema` at `/properties/x/type`: \"integr\" is not one of",
        ),
        ("{ properties = { x = { minimum = \"3\" } } }", "`schema` at `/properties/x/minimum`: \"3\" is not of type"),
        ("{ required = \"x\" }", "`schema` at `/required`:"),
        (
            "{ properties = { x = { \"$ref\" = \"https://example.com/x.json\" } } }",
            "`schema` at `/properties/x/$ref`: `https://example.com/x.json` is no part of it; refer to one as `#/$defs/name`",
        ),
        ("{ properties = { x = { \"$ref\" = \"file:///etc/passwd\" } } }", "is no part of it"),
        ("{ properties = { x = { \"$ref\" = \"#/$defs/y\" } } }", "`#/$defs/y` is no part of it"),
        ("{ \"$ref\" = \"#\" }", "they must not go in a circle"),
        ("{ properties = { x = { \"$ref\" = \"#\" } } }", "they must not go in a circle"),
        ("{ \"$id\" = \"https://example.com/\" }", "refer to parts of it by `$ref`"),
        (
            "{ \"$schema\" = \"http://json-schema.org/draft-07/schema#\" }",
            "only https://json-schema.org/draft/2020-12/schema",
        ),
        (
            "{ properties = { x = { pattern = \"(a\" } } }",
            "`schema` at `/properties/x/pattern`: \"(a\" is not a \"regex\"",
        ),
        ("{ properties = { x = { pattern = \"(?=a)b\" } } }", "without look-around and back references"),
        ("{ properties = { x = { pattern = \"((a{99}){99}){99}\" } } }", "of at most 262144 bytes"),
        ("{ properties = { x = { format = \"datte\" } } }", "Unknown format: 'datte'"),
        (nested.as_str(), "or 64 levels"),
    ] {
        let refused = of(schema).unwrap_err();
        assert!(refused.contains(problem), "{schema}: {refused}");
    }
    // Twice as many parts with each of ten references: no value is checked against all of them.
    let doubling = |n: usize| {
        format!("l{n} = {{ allOf = [{{ \"$ref\" = \"#/$defs/l{0}\" }}, {{ \"$ref\" = \"#/$defs/l{0}\" }}] }}", n + 1)
    };
    let defs = (0..10).map(doubling).collect::<Vec<_>>().join(", ");
    let doubled = format!("{{ \"$ref\" = \"#/$defs/l0\", \"$defs\" = {{ {defs}, l10 = {{}} }} }}");
    assert!(of(&doubled).unwrap_err().contains("more than 1000 parts"), "{doubled}");
    let large = format!("{{ properties = {{ x = {{ const = \"{}\" }} }} }}", "x".repeat(limits::SCHEMA_BYTES));
    assert!(of(&large).unwrap_err().contains("bytes as JSON; at most 65536"));
    for (id, problem) in [
        ("purchase", "activity `purchase`: `id`: `purchase` is a kind of the program's own, which has no body"),
        ("check_in", "is a kind of the program's own"),
        ("Test-drive", "lower-case letters, digits and underscores"),
    ] {
        let refused = program(&format!("[[activities]]\nid = \"{id}\"\nname = \"X\"\n")).unwrap_err();
        assert!(refused.contains(problem), "{refused}");
    }
    let twice = "[[activities]]\nid = \"drive\"\nname = \"Drive\"\n".repeat(2);
    assert!(program(&twice).unwrap_err().contains("activity `drive` is there twice"));
}

#[test]
fn a_condition_on_what_no_body_has_is_refused() {
    let activities = "[[activities]]\nid = \"drive\"\nname = \"Drive\"\n\
        schema = { properties = { km = { type = \"integer\" }, model = { type = \"string\" } } }\n\
        [[activities]]\nid = \"visit\"\nname = \"Visit\"\n\
        [[activities]]\nid = \"ride\"\nname = \"Ride\"\nschema = { properties = { km = { type = \"string\" } } }\n";
    let refused = |rules: String| program(&format!("{activities}{rules}")).unwrap_err();
    for (trigger, condition, problem) in [
        (
            "\"drive\"",
            "activity.net > 0 || activity.body.miles > 5",
            "rule `r`: `condition` line 1, column 34: the schema has no field `miles`; it has km, model",
        ),
        (
            "\"purchase\"",
            "activity.body.km > 5",
            "rule `r`: `condition` line 1, column 9: the activity `purchase` has no schema that says what its body holds; there are drive, ride",
        ),
        ("\"visit\"", "has(activity.body.km)", "the activity `visit` has no schema"),
        ("[\"drive\", \"ride\"]", "activity.body.km > 5", "a text and a whole number do not compare"),
        ("[\"drive\", \"ride\"]", "activity.body.model == 'x'", "the schema has no field `model`; it has km"),
    ] {
        let refused = refused(rule(trigger, condition));
        assert!(refused.contains(problem), "{refused}");
    }
    let lines =
        rule("\"drive\"", "activity.body.km > 5").replace("points = 1", "points = 1, lines = \"activity.body.km > 5\"");
    assert!(refused(lines).contains("`lines` line 1, column 9: lines have no body"));
    let campaign = "[[campaigns]]\nid = \"c\"\nname = \"C\"\naudience = \"activity.body.km > 5\"\n";
    assert!(refused(campaign.to_owned()).contains("`audience` line 1, column 9: an audience has no body"));
    assert!(program(&format!("{activities}{}", rule("\"drive\"", "activity.body.km > 5"))).is_ok());
}

fn published(bundle: &Bundle) -> Vec<Document> {
    let mut documents = bundle.documents().unwrap();
    documents.iter_mut().for_each(|document| document.version = 1);
    documents
}

fn drive(schema: Value) -> DocumentChange {
    let document = json!({"id": "drive", "name": "Drive", "schema": schema});
    DocumentChange { kind: "activity".to_owned(), id: "drive".to_owned(), base: 0, document: Some(document) }
}

#[test]
fn a_body_is_judged_by_the_schema_of_its_own_date() {
    let activities = "[[activities]]\nid = \"drive\"\nname = \"Drive\"\n\
        schema = { required = [\"km\"], properties = { km = { type = \"integer\" } } }\n";
    let bundle = program(&format!("{activities}{}", rule("\"drive\"", "activity.body.km > 5"))).unwrap();
    let first = published(&bundle);
    let second = Timestamp::parse_rfc3339("2026-03-01T00:00:00Z").unwrap();
    // From March on miles are told; a rule for them is published with them, and holds from the beginning like every new one
    // of a program file.
    let miles = json!({"required": ["miles"], "properties": {"miles": {"type": "integer"}, "km": {"type": "integer"}}});
    let mut documents = with_changes(&first, &[drive(miles)], second).unwrap();
    let far: Value = serde_json::from_str(&first.iter().find(|one| one.id == "r").unwrap().body).unwrap();
    let mut far = far.as_object().unwrap().clone();
    far.extend([("id".to_owned(), json!("far")), ("condition".to_owned(), json!("activity.body.miles > 5"))]);
    let body = serde_json::to_string(&far).unwrap();
    documents.push(Document {
        id: "far".to_owned(),
        position: 1,
        body,
        ..first.iter().find(|one| one.id == "r").unwrap().clone()
    });
    check_from(&documents, second).unwrap();
    let program = Program::from_documents(&documents).unwrap();
    let record = |at: &str, body: Value| {
        let activity: Activity = serde_json::from_value(json!({ "kind": "drive", "body": body })).unwrap();
        let at = Timestamp::parse_rfc3339(at).unwrap();
        match Command::record(&program, MemberId(1), "key", &activity, at, EARLIEST).unwrap().action {
            Action::Unfit(refusal) => Err(refusal.message),
            action => Ok(action),
        }
    };
    // What the schema of February does not know is nothing to a rule: it does not hold, and nothing fails.
    assert!(record("2026-02-28T12:00:00Z", json!({"km": 9})).is_ok());
    assert!(record("2026-02-28T12:00:00Z", json!({"miles": 9})).unwrap_err().contains("`/km` is missing"));
    assert!(record("2026-03-01T12:00:00Z", json!({"km": 9})).unwrap_err().contains("`/miles` is missing"));
    assert!(record("2026-03-01T12:00:00Z", json!({"miles": 9})).is_ok());
    // As long as a rule looks at a field the schema keeps it, and the activity stays.
    let without = [drive(json!({"properties": {"way": {"type": "string"}}}))];
    let refused = check_from(&with_changes(&first, &without, second).unwrap(), second).unwrap_err();
    assert!(refused.contains("rule `r`: `condition` line 1, column 14: the schema has no field `km`"), "{refused}");
    let retired = [DocumentChange { document: None, ..drive(json!({})) }];
    let refused = check_from(&with_changes(&first, &retired, second).unwrap(), second).unwrap_err();
    assert!(refused.contains("the activity `drive` has no schema"), "{refused}");
    assert_eq!(in_force(&documents, second).len(), 5);
}

#[test]
fn another_schema_counts_as_adverse() {
    let plain = "[[activities]]\nid = \"drive\"\nname = \"Drive\"\n";
    let with_rule = published(&program(&(plain.to_owned() + &rule("\"visit\"", "activity.net > 1"))).unwrap());
    let at = Timestamp::parse_rfc3339("2026-03-01T00:00:00Z").unwrap();
    let verdicts = |live: &[Document], changes: &[DocumentChange]| {
        let found = differences(live, changes, at).unwrap();
        found.into_iter().map(|one| (one.field, one.verdict)).collect::<Vec<_>>()
    };
    let km = json!({"properties": {"km": {"type": "integer"}}});
    let named = published(&program(&(plain.to_owned() + &rule("\"drive\"", "activity.net > 1"))).unwrap());
    assert_eq!(verdicts(&named, &[drive(km.clone())]), [("schema".to_owned(), Verdict::Worse)]);
    // Where no rule names the kind, its first schema takes nothing from anybody.
    assert_eq!(verdicts(&with_rule, &[drive(km.clone())]), [("schema".to_owned(), Verdict::Neutral)]);
    let described = with_changes(&with_rule, &[drive(km.clone())], Timestamp::ZERO).unwrap();
    let other = json!({"properties": {"km": {"type": "number"}}});
    assert_eq!(verdicts(&described, &[drive(other)]), [("schema".to_owned(), Verdict::Unclear)]);
    let words = json!({"id": "drive", "name": "Test drive", "description": "At a shop", "schema": km});
    let words = DocumentChange { document: Some(words), ..drive(json!({})) };
    assert!(verdicts(&described, &[words]).iter().all(|(_, verdict)| *verdict == Verdict::Neutral));
    // A new kind asks nothing of anybody, unless rules gave for it before.
    let new = |id: &str| {
        let document = json!({"id": id, "name": "New", "schema": {}});
        DocumentChange { kind: "activity".to_owned(), id: id.to_owned(), base: 0, document: Some(document) }
    };
    assert_eq!(verdicts(&with_rule, &[new("swim")]), [(String::new(), Verdict::Neutral)]);
    assert_eq!(verdicts(&with_rule, &[new("visit")]), [(String::new(), Verdict::Unclear)]);
    let retired = DocumentChange { document: None, ..drive(json!({})) };
    assert!(verdicts(&described, &[retired])[0].1.is_adverse());
}

#[test]
fn a_backtest_sees_bodies_as_they_were_recorded() {
    let live = Program::from_documents(&published(&Bundle::parse(STRIDE).unwrap())).unwrap();
    // The draft wants what nobody told then, and gives for what they told.
    let draft = STRIDE
        .replace("required = [\"sport\", \"minutes\"]", "required = [\"sport\", \"minutes\", \"pulse\"]")
        .replace("sport = {", "pulse = { type = \"integer\", minimum = 30, maximum = 300 }\nsport = {")
        .replace(">= 30\"", ">= 20\"");
    let draft = Program::from_documents(&published(&Bundle::parse(&draft).unwrap())).unwrap();
    let at = Timestamp::parse_rfc3339("2026-03-02T08:00:00Z").unwrap();
    let period = Period { from: Timestamp::ZERO, until: at.plus_millis(1) };
    let activity: Activity = serde_json::from_value(workout(json!({"sport": "run", "minutes": 25}))).unwrap();
    let entry = Entry { member: MemberId(1), at, what: Happened::Activity { activity: Box::new(activity), key: None } };
    let (mut before, mut after) = (Side::new(&live, &live, period), Side::new(&live, &draft, period));
    for side in [&mut before, &mut after] {
        side.step(&entry);
        side.finish();
    }
    let comparison = compare(before, after, period);
    let flows = &comparison.main().unwrap().flows;
    assert_eq!((flows.live.earned(), flows.draft.earned()), (0, 20), "{comparison:?}");
    assert!(comparison.sides.draft.refused.is_empty(), "{comparison:?}");
}

#[test]
fn a_repeated_activity_is_answered_as_it_was_whatever_was_published_since() {
    let of = |field: &str| {
        let activities = format!(
            "[[activities]]\nid = \"drive\"\nname = \"Drive\"\n\
             schema = {{ required = [\"{field}\"], properties = {{ {field} = {{ type = \"integer\" }} }} }}\n"
        );
        let bundle = program(&format!("{activities}{}", rule("\"drive\"", &format!("activity.body.{field} > 5"))));
        Program::from_documents(&published(&bundle.unwrap())).unwrap()
    };
    let mut club = Club::of(include_str!("../../../programs/gift-club.toml"));
    club.program = of("km");
    let drive = |field: &str| json!({"kind": "drive", "body": {field: 9}});
    let receipt = club.record("drive", "2026-03-02 08:00:00", drive("km")).unwrap();
    club.program = of("miles");
    assert_eq!(club.record("drive", "2026-03-02 09:00:00", drive("km")).unwrap(), receipt, "repeated");
    for (key, body, code) in [
        ("another", drive("km"), RefusalCode::InvalidBody),
        ("drive", drive("miles"), RefusalCode::IdempotencyMismatch),
        ("drive", json!({"kind": "drive", "body": {"km": 8}}), RefusalCode::IdempotencyMismatch),
    ] {
        let refused = club.record(key, "2026-03-02 09:00:00", body).unwrap_err();
        assert_eq!(refused.code, code, "{}", refused.message);
    }
    // Nor does it matter that its date has come to lie too far in the past.
    let at = Timestamp::parse_rfc3339("2026-09-01T00:00:00Z").unwrap();
    let activity: Activity = serde_json::from_value(json!({"kind": "drive", "body": {"miles": 7},
        "occurred_at": "2026-08-31T00:00:00Z"}))
    .unwrap();
    let command = |oldest| Command::record(&club.program, club::MEMBER, "dated", &activity, at, oldest).unwrap();
    let (early, late) = (command(EARLIEST), command(at));
    let receipt = club.decide(&early, true).unwrap();
    assert_eq!(club.decide(&late, true).unwrap(), receipt);
    let refused = club.decide(&Command { idempotency_key: "late".to_owned(), ..late }, true).unwrap_err();
    assert_eq!(refused.code, RefusalCode::OccurredTooLongAgo);
}
