//! What expressions are refused with, and what they are split into.

use super::*;

const ALL: &[&str] = &["activity", "lines", "context", "history", "member"];

const NO_BODY: BodySeen<'static> = BodySeen::Nothing("there is none");

fn verdict(text: &str) -> Result<(), String> {
    check("condition", text, NO_BODY)
}

#[test]
fn what_rules_ask_passes() {
    for text in [
        "activity.net > 10000",
        "activity.kind in ['survey', 'share'] && activity.attributes['level'] == 'gold'",
        "has(activity.attributes.level) || 'level' in activity.attributes",
        "size(lines.filter(l, l.category == 'tea')) >= 2 && lines.exists(l, l.sku.startsWith('85'))",
        "lines.exists_one(l, l.amount > 500) || lines.all(l, l.amount < 0) || size(lines.map(l, l.sku)) == 3",
        "activity.store.matches('^L[0-9]+$')",
        "context.weekday >= 6 && context.hour < 12 && context.month == 12 && context.channel == 'app'",
        "history.purchase.lifetime.count == 0",
        "history.check_in.streak % 7 == 0 && history.days_since > 30",
        "history.purchase.month.amount + activity.net >= (activity.store == 'x' ? 100 : 200)",
        "history.purchase.days_since in [30, 60] || !(member.available > 5000)",
        "double(activity.net) * 1.5 > 100.0 && string(activity.net) + 'x' != 'y'",
        "activity.net / 100 > 3 && -activity.net < 5 && activity.net * 1000000 > 4",
        "activity.net > 1.5 && double(activity.net) / 2.5 - 1.0 <= 4 && -double(size(lines)) != 0.5",
    ] {
        assert_eq!(verdict(text), Ok(()), "{text}");
        Expression::compile("condition", text, ALL).unwrap();
    }
}

#[test]
fn what_could_fail_is_refused_with_its_place() {
    for (text, problem) in [
        ("activity.nett > 5", "line 1, column 9: there is no attribute `nett`; it has kind, net, store"),
        (
            "activity.net > 5 &&\n lines.exists(l, l.colour == 'red')",
            "line 2, column 19: there is no attribute `colour`",
        ),
        ("level == 'gold'", "line 1, column 1: knows no `level`"),
        ("tier == 'gold'", "line 1, column 6: the tier and a text do not compare"),
        (
            "history.purchase.fortnight.count > 1",
            "there is no attribute `fortnight`; it has streak, days_since, minute",
        ),
        ("activity.net / 0 == 1", "line 1, column 14: may divide by zero"),
        ("100 % activity.net == 1", "may divide by zero"),
        ("1 / history.purchase.day.count > 0", "may divide by zero"),
        ("activity.net * activity.net > 5", "may give a number of more than 64 bits"),
        ("9223372036854775807 + activity.net > 5", "may give a number of more than 64 bits"),
        ("history.purchase.year.amount * 100000 > 5", "may give a number of more than 64 bits"),
        ("lines[0].sku == 'A'", "fails when the list is shorter"),
        ("activity.net + 1.5 > 2.0", "does not take a whole number and a decimal number"),
        ("1.0 / double(activity.net) > 0.5", "line 1, column 5: may divide by zero"),
        ("double(activity.net) % 2.0 > 0.5", "does not take a decimal number and a decimal number"),
        ("1e200 * 1e200 > 0.5", "line 1, column 7: may give a decimal number that is too large"),
        ("activity.body.x > 1", "line 1, column 9: there is none"),
        ("activity.net == 'x'", "do not compare"),
        ("activity.net", "must give true or false"),
        ("activity.store.matches('(')", "`(` is not a regular expression"),
        ("activity.store.matches(activity.kind)", "must be written out"),
        ("int(activity.attributes.a) > 1", "`int` does not take a text"),
        ("lines.exists(line, line.amount > 0)", "take another name"),
        ("{'a': true}.a", "maps cannot be written"),
        ("activity.net > 1u", "only true, false, numbers and texts"),
        ("activity.net >", "is not CEL"),
    ] {
        let found = verdict(text).unwrap_err();
        assert!(found.contains(problem), "{text}: {found}");
    }
}

#[test]
fn the_account_cannot_stand_everywhere() {
    for text in [
        "lines.exists(l, l.amount > history.purchase.day.amount)",
        "string(member.available) == '5'",
        "has(history.purchase.streak)",
    ] {
        let found = Expression::compile("condition", text, ALL).unwrap_err();
        assert!(found.contains("as whole numbers"), "{text}: {found}");
    }
    let deep = format!("activity{} > 1", ".y".repeat(limits::EXPRESSION_DEPTH));
    assert!(check("condition", &deep, NO_BODY).unwrap_err().contains("levels deep"), "no walk over it, however long");
    let found = Expression::compile("lines", "line.amount > history.purchase.day.amount", &["line"]).unwrap_err();
    assert!(found.contains("refers to `history`; it may look at line"), "{found}");
}

#[test]
fn what_needs_the_account_is_split_off() {
    let text = "activity.net > 100 && history.purchase.month.amount + activity.net > 500 * size(lines) \
        && context.hour < 12 && (history.purchase.day.count == 0 || lines.exists(l, l.sku == 'A'))";
    let expression = Expression::compile("condition", text, ALL).unwrap();
    assert!(expression.looks_at_lines && expression.looks_at_context);
    let account = expression.account.unwrap();
    let names: Vec<&str> = account.facts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["history.purchase.month.amount", "history.purchase.day.count"]);
    // activity.net, 500 * size(lines), lines.exists(…)
    assert_eq!(account.given.len(), 3);
    assert!(account.holds(&[300, 1_000, 0], &[("a", 701), ("b", 0)]));
    assert!(!account.holds(&[300, 1_000, 0], &[("a", 700), ("b", 0)]));
    assert!(!account.holds(&[300, 1_000, 0], &[("a", 701), ("b", 1)]));
    assert!(account.holds(&[300, 1_000, 1], &[("a", 701), ("b", 1)]));
    // A condition that asks nothing of the account is not split.
    let plain = Expression::compile("condition", "activity.net > 1 && activity.net < 5", ALL).unwrap();
    assert!(plain.account.is_none() && !plain.looks_at_lines);
}

#[test]
fn a_missing_attribute_is_an_empty_text() {
    let attributes = std::collections::HashMap::from([("level", "gold")]);
    let activity = std::collections::HashMap::from([("attributes", attributes)]);
    let mut context = Context::default();
    context.add_variable_from_value("activity", activity);
    let holds = |text| Expression::compile("condition", text, ALL).unwrap().holds(&context);
    assert_eq!(holds("activity.attributes.level == 'gold'"), Ok(true));
    assert_eq!(holds("activity.attributes.colour == '' && activity.attributes['size'] == ''"), Ok(true));
    assert_eq!(holds("[1].exists(x, activity.attributes['size'] == '') && !has(activity.attributes.size)"), Ok(true));
}

mod bodies {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::*;
    use crate::earning::activity::Activity;
    use crate::earning::facts::{Measured, activity_context};

    fn workout() -> BodyKind {
        BodyKind::of_schema(&json!({
            "type": "object",
            "required": ["minutes", "place"],
            "properties": {
                "sport": { "enum": ["run", "ride", null] },
                "minutes": { "type": "integer", "minimum": 1, "maximum": 1440 },
                "steps": { "type": ["integer", "null"] },
                "hours": { "type": "number", "minimum": 0.5, "maximum": 24 },
                "indoors": { "type": "boolean" },
                "tags": { "type": "array", "items": { "type": "string" } },
                "laps": { "type": "array", "items": { "type": "object" } },
                "place": { "$ref": "#/$defs/place" },
                "max-pulse": { "type": "integer", "exclusiveMinimum": 0, "maximum": 300 },
                "note": {},
            },
            "$defs": { "place": { "type": "object", "required": ["height"], "properties": {
                "town": { "type": "string" }, "height": { "type": "number", "minimum": 1 } } } },
        }))
    }

    fn verdict(text: &str) -> Result<(), String> {
        let body = workout();
        check("condition", text, BodySeen::Of(&body))
    }

    #[test]
    fn what_the_schema_says_is_known() {
        for text in [
            "activity.body.sport == 'run' && activity.body.minutes >= 30 && activity.body.indoors",
            "activity.body.hours >= 1 && activity.body.hours * 60.0 < double(activity.body.minutes)",
            "100 / activity.body.minutes > 2 && 100.0 / activity.body.place.height > 2.5",
            "has(activity.body.note) && has(activity.body.place.town) && has(activity.body) && has(activity.body['place'].town)",
            "'hills' in activity.body.tags && activity.body.tags.exists(t, t.startsWith('h')) && size(activity.body.tags) > 1",
            "activity.body.place.town == '' && activity.body['max-pulse'] in [100, 120]",
            "has(activity.body)",
            "history.workout.month.count * activity.body.minutes > 500 && activity.body.steps >= 10000",
            "history.workout.month.count > 5 || activity.body.hours > 1.5",
            "lines.exists(l, l.amount > activity.body.minutes)",
        ] {
            assert_eq!(verdict(text), Ok(()), "{text}");
            let compiled = Expression::compile("condition", text, super::ALL).unwrap();
            assert!(compiled.looks_at_body && !compiled.is_native(), "{text}");
        }
    }

    #[test]
    fn what_could_fail_is_refused_with_its_place() {
        for (text, problem) in [
            (
                "activity.net > 0 &&\n activity.body.distance > 5",
                "line 2, column 15: the schema has no field `distance`; it has hours, indoors, laps, max-pulse, minutes, note",
            ),
            ("activity.body.place.street == ''", "no field `street`; it has height, town"),
            ("activity.body['pulse'] > 5", "no field `pulse`"),
            ("activity.body.note == 'x'", "`note` has no type in the schema that is known here: integer, number"),
            ("size(activity.body.laps) > 2", "`laps` has no type"),
            ("activity.body.sport > 5", "do not compare"),
            ("activity.body == 5", "a part of the body and a whole number do not compare"),
            ("100.0 / activity.body.hours > 5.0", "may divide by zero"),
            ("100 / activity.body['max-pulse'] > 5", "may divide by zero"),
            (
                "activity.body.steps + 1 > 5",
                "more than 64 bits; of a number in the body, the schema can say a `minimum`",
            ),
            ("activity.body.tags[0] == 'x'", "use `exists` over the list"),
            ("lines.exists(l, l.sku in activity.body.tags)", "looks at `tags` for each item anew"),
            ("history.workout.month.count > activity.body.hours", "as whole numbers"),
            ("activity.present == 5", "no attribute `present`"),
            ("activity.bodies == 5", "no attribute `bodies`; it has kind, net, store, channel, attributes, body"),
        ] {
            let found = verdict(text).unwrap_err();
            assert!(found.contains(problem), "{text}: {found}");
        }
    }

    /// What an expression says of a body that was sent.
    fn holds(text: &str, body: Value) -> Result<bool, String> {
        let activity: Activity = serde_json::from_value(json!({ "kind": "workout", "body": body })).unwrap();
        let measured = Measured { activity: &activity, amounts: Vec::new(), net: 0 };
        let kind = workout();
        let context = activity_context(&measured, false, None, Some(&kind));
        Expression::compile("condition", text, super::ALL).unwrap().holds(&context)
    }

    #[test]
    fn a_field_that_is_missing_or_does_not_fit_is_nothing() {
        let missing = "activity.body.sport == '' && activity.body.steps == 0 && activity.body.hours == 0.0 \
            && !activity.body.indoors && activity.body.tags == [] && activity.body.place.town == '' \
            && activity.body.minutes == 1 && activity.body.place.height == 1.0";
        let wrong =
            json!({"sport": 5, "steps": "many", "hours": [], "indoors": 1, "tags": {}, "place": "here", "minutes": -7});
        for body in [json!({}), Value::Null, wrong, json!({"steps": null, "place": null})] {
            assert_eq!(holds(missing, body.clone()), Ok(true), "{body}");
        }
        let far = json!({"steps": u64::MAX, "hours": 1e300, "minutes": 1e3, "place": {"height": 1e300}});
        let text = "activity.body.steps == 9223372036854775807 && activity.body.hours == 24 \
            && activity.body.minutes == 1000 && activity.body.place.height * activity.body.place.height < 1e300";
        assert_eq!(holds(text, far), Ok(true));
    }

    #[test]
    fn what_was_sent_is_known() {
        let sent = json!({"steps": 0, "place": {"town": null}, "max-pulse": 1});
        for (text, truth) in [
            ("has(activity.body)", true),
            ("has(activity.body.steps)", true),
            ("has(activity.body.sport)", false),
            ("has(activity.body.place)", true),
            ("has(activity.body.place.town)", false),
            ("!has(activity.body['place'].town) && activity.body['max-pulse'] == 1", true),
        ] {
            assert_eq!(holds(text, sent.clone()), Ok(truth), "{text}");
        }
        assert_eq!(holds("has(activity.body) || has(activity.body.place.town)", Value::Null), Ok(false));
        // 10.1 as JSON and in an expression is one number.
        assert_eq!(
            holds("activity.body.hours >= 10.1 && activity.body.hours <= 10.1", json!({"hours": 10.1})),
            Ok(true)
        );
    }

    /// Calculations with decimal and with whole numbers of a body.
    fn calculated(names: &'static [&'static str], literals: &'static [&'static str]) -> BoxedStrategy<String> {
        let leaf = proptest::sample::select([names, literals].concat()).prop_map(str::to_owned);
        leaf.prop_recursive(3, 8, 2, |inner| {
            let operators = proptest::sample::select(vec!["+", "-", "*", "/"]);
            (inner.clone(), operators, inner).prop_map(|(left, with, right)| format!("({left} {with} {right})"))
        })
        .boxed()
    }

    fn sent() -> impl Strategy<Value = Value> {
        let value = proptest::sample::select(vec![
            json!(null),
            json!(0),
            json!(1.5),
            json!(-7),
            json!(1e300),
            json!(-1e-300),
            json!(u64::MAX),
            json!(i64::MIN),
            json!("run"),
            json!(true),
            json!(["a", 1, null]),
            json!({"town": "x", "height": 2.5}),
        ]);
        let names = vec!["sport", "minutes", "steps", "hours", "indoors", "tags", "laps", "place", "max-pulse"];
        proptest::collection::btree_map(proptest::sample::select(names), value, 0..9)
            .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_was_published_never_fails(
            decimals in calculated(
                &["activity.body.hours", "activity.body.place.height", "double(activity.body.minutes)"],
                &["0.0", "2.5", "-1e80", "1e-80"],
            ),
            wholes in calculated(
                &["activity.body.minutes", "activity.body['max-pulse']", "activity.body.steps", "size(activity.body.tags)"],
                &["0", "7", "(-3)", "4000000000"],
            ),
            rest in proptest::sample::select(vec![
                "activity.body.indoors",
                "activity.body.sport in ['run', 'ride']",
                "activity.body.tags.exists(t, t == 'a' || size(t) > 3)",
                "has(activity.body.place.town) != has(activity.body.steps)",
                "activity.body.place.town.matches('^x')",
            ]),
            body in sent(),
        ) {
            for text in [format!("{decimals} > 0.5"), format!("{wholes} >= 3"), format!("{decimals} <= {wholes}"), rest.to_owned()] {
                if verdict(&text).is_ok() {
                    prop_assert!(holds(&text, body.clone()).is_ok(), "{} over {}", text, body);
                }
            }
        }
    }
}

/// Expressions as rules write them, put together from parts at random.
mod against_cel {
    use proptest::prelude::*;

    use super::super::*;
    use crate::earning::activity::{Activity, ActivityLine};
    use crate::earning::facts::{Measured, Moment, activity_context, line_value};

    const WORDS: [&str; 5] = ["", "tea", "TEA", "A-1", "tea é"];

    fn word() -> impl Strategy<Value = &'static str> {
        proptest::sample::select(&WORDS[..])
    }

    fn text(line: Option<&'static str>) -> BoxedStrategy<String> {
        let outside = ["activity.kind", "activity.store", "activity.channel", "context.store", "context.channel"];
        let attributes = ["activity.attributes.level", "activity.attributes['colour']"];
        let mut names: Vec<String> = outside.iter().chain(&attributes).map(|name| (*name).to_owned()).collect();
        names.extend(
            line.into_iter().flat_map(|line| ["sku", "description", "category"].map(|of| format!("{line}.{of}"))),
        );
        prop_oneof![proptest::sample::select(names), word().prop_map(|word| format!("'{word}'"))].boxed()
    }

    fn number(line: Option<&'static str>, loops: bool) -> BoxedStrategy<String> {
        let mut names: Vec<String> = ["net", "weekday", "hour", "day", "month"]
            .map(|name| format!("context.{name}").replace("context.net", "activity.net"))
            .to_vec();
        names.extend(line.map(|line| format!("{line}.amount")));
        if loops {
            names.push("size(lines)".to_owned());
        }
        let leaf = prop_oneof![
            proptest::sample::select(names),
            (-20..20_i64).prop_map(|value| format!("({value})")),
            text(line).prop_map(|text| format!("size({text})")),
        ];
        let small = leaf.clone();
        let operators = proptest::sample::select(vec!["+", "-", "*"]);
        let divisors = (proptest::sample::select(vec!["/", "%"]), 1..9_i64);
        prop_oneof![
            4 => leaf.clone(),
            1 => (small.clone(), operators, small.clone()).prop_map(|(left, with, right)| format!("({left} {with} {right})")),
            1 => (small, divisors).prop_map(|(of, (by, divisor))| format!("({of} {by} {divisor})")),
        ]
        .boxed()
    }

    fn truth(line: Option<&'static str>, loops: bool) -> BoxedStrategy<String> {
        let compare = proptest::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
        let parts = proptest::sample::select(vec!["contains", "startsWith", "endsWith"]);
        let leaf = prop_oneof![
            (number(line, loops), compare.clone(), number(line, loops))
                .prop_map(|(a, with, b)| format!("{a} {with} {b}")),
            (text(line), compare, text(line)).prop_map(|(a, with, b)| format!("{a} {with} {b}")),
            (text(line), parts, text(line)).prop_map(|(a, does, b)| format!("{a}.{does}({b})")),
            (text(line), text(line), text(line)).prop_map(|(a, b, c)| format!("{a} in [{b}, {c}]")),
            (number(line, loops), -3..9_i64).prop_map(|(a, b)| format!("{a} in [{b}, 1, 6]")),
            text(line).prop_map(|text| format!("{text}.matches('^[a-z]+ ?é?$')")),
            Just("has(activity.attributes.level)".to_owned()),
            Just("'colour' in activity.attributes".to_owned()),
            Just("has(activity.store)".to_owned()),
        ];
        let each = loops.then(|| {
            let kinds = proptest::sample::select(vec!["exists", "all", "exists_one"]);
            prop_oneof![
                (kinds, truth(Some("l"), false)).prop_map(|(each, of)| format!("lines.{each}(l, {of})")),
                truth(Some("l"), false).prop_map(|of| format!("size(lines.filter(l, {of})) >= 2")),
            ]
        });
        let leaf = match each {
            Some(each) => prop_oneof![3 => leaf, 1 => each].boxed(),
            None => leaf.boxed(),
        };
        leaf.prop_recursive(3, 12, 3, |inner| {
            let joins = proptest::sample::select(vec!["&&", "||", "==", "!="]);
            prop_oneof![
                (inner.clone(), joins, inner.clone()).prop_map(|(a, with, b)| format!("({a}) {with} ({b})")),
                inner.clone().prop_map(|of| format!("!({of})")),
                (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? ({b}) : ({c}))")),
            ]
        })
        .boxed()
    }

    fn maybe() -> impl Strategy<Value = Option<String>> {
        proptest::option::of(word().prop_map(str::to_owned))
    }

    fn activity() -> impl Strategy<Value = (Activity, Vec<i64>)> {
        let line = (maybe(), maybe(), maybe(), -500..500_i64);
        let lines = proptest::collection::vec(line, 0..4);
        (lines, maybe(), maybe(), maybe(), maybe()).prop_map(|(lines, store, channel, level, colour)| {
            let mut activity = Activity {
                kind: "tea".to_owned(),
                occurred_at: None,
                currency: None,
                amount: None,
                lines: Vec::new(),
                store,
                channel,
                purchase: None,
                referrer: None,
                attributes: Default::default(),
                body: None,
            };
            activity.attributes.extend(level.map(|level| ("level".to_owned(), level)));
            activity.attributes.extend(colour.map(|colour| ("colour".to_owned(), colour)));
            let mut amounts = Vec::new();
            for (sku, description, category, amount) in lines {
                let (quantity, unit_price) = (1.into(), 1.into());
                activity.lines.push(ActivityLine { sku, description, category, quantity, unit_price });
                amounts.push(amount);
            }
            (activity, amounts)
        })
    }

    fn moment() -> impl Strategy<Value = Moment> {
        (1..8_i8, 0..24_i8, 1..32_i8, 1..13_i8).prop_map(|(weekday, hour, day, month)| Moment {
            weekday,
            hour,
            day,
            month,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_needs_no_cel_says_what_cel_says(
            text in truth(None, true), (activity, amounts) in activity(), moment in moment(), net in 0..2_000_i64,
        ) {
            // A comparison of truths with `<`, or a pattern over a pattern, is no rule's.
            prop_assume!(check("condition", &text, super::NO_BODY).is_ok());
            let expression = Expression::compile("condition", &text, super::ALL).unwrap();
            let measured = Measured { activity: &activity, amounts, net };
            let seen = Seen { measured: &measured, moment, line: None };
            let context = activity_context(&measured, true, Some(moment), None);
            prop_assert!(expression.is_native(), "{text}");
            prop_assert_eq!(Ok(expression.holds_natively(&seen)), expression.holds(&context).map(Some), "{}", text);
        }

        #[test]
        fn a_line_is_seen_as_cel_sees_it(
            text in truth(Some("line"), false), (activity, amounts) in activity(), moment in moment(),
        ) {
            prop_assume!(check("lines", &text, super::NO_BODY).is_ok());
            let expression = Expression::compile("lines", &text, &["line", "activity", "context"]).unwrap();
            let measured = Measured { activity: &activity, amounts, net: 7 };
            let mut context = activity_context(&measured, false, Some(moment), None);
            for (line, amount) in activity.lines.iter().zip(&measured.amounts) {
                context.add_variable_from_value("line", line_value(line, *amount));
                let seen = Seen { measured: &measured, moment, line: Some((line, *amount)) };
                prop_assert_eq!(Ok(expression.holds_natively(&seen)), expression.holds(&context).map(Some), "{}", text);
            }
        }

        #[test]
        fn what_the_account_is_given_is_the_same(
            truth in truth(None, true), number in number(None, true), (activity, amounts) in activity(), moment in moment(),
        ) {
            let text = format!("member.available > {number} || (history.days_since > 3 && ({truth}))");
            prop_assume!(check("condition", &text, super::NO_BODY).is_ok());
            let expression = Expression::compile("condition", &text, super::ALL).unwrap();
            let measured = Measured { activity: &activity, amounts, net: 7 };
            let seen = Seen { measured: &measured, moment, line: None };
            let context = activity_context(&measured, true, Some(moment), None);
            prop_assert_eq!(Ok(expression.given_natively(&seen)), expression.given(&context).map(|given| Some(Some(given))), "{}", text);
        }
    }

    #[test]
    fn what_is_not_known_is_left_to_cel() {
        for text in [
            "double(activity.net) * 1.5 > 100.0",
            "string(activity.net) + 'x' != 'y'",
            "size(lines.map(l, l.sku)) == 3",
            "['a', 'b'].exists(x, x == activity.store)",
        ] {
            assert!(!Expression::compile("condition", text, super::ALL).unwrap().is_native(), "{text}");
        }
        // What publication would refuse today says what CEL says.
        assert!(!Expression::compile("condition", "1 / activity.net > 1", super::ALL).unwrap().is_native());
    }
}
