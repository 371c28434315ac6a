//! What expressions are refused with, and what they are split into.

use super::*;

const ALL: &[&str] = &["activity", "lines", "context", "history", "member"];

fn verdict(text: &str) -> Result<(), String> {
    check("condition", text)
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
        ("activity.net > 1.5", "a whole number and a decimal number do not compare"),
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
    assert!(account.holds(&[300, 1_000, 0], &[701, 0]));
    assert!(!account.holds(&[300, 1_000, 0], &[700, 0]));
    assert!(!account.holds(&[300, 1_000, 0], &[701, 1]));
    assert!(account.holds(&[300, 1_000, 1], &[701, 1]));
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
