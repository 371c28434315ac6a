//! Program files, the CEL in them, and the activities on which they are evaluated.

use guerdon_core::earning::{Activity, CompiledRule, Effect, Rule, evaluate};
use guerdon_core::limits;
use guerdon_core::program::{Bundle, Program};
use guerdon_core::time::Timestamp;

use crate::{behaviour, text};

pub const GIFT_CLUB: &str = include_str!("../../../../programs/gift-club.toml");

pub const STRIDE: &str = include_str!("../../../../programs/examples/activities.toml");

pub const WORDS: &[&str] = &[
    "\"",
    "'",
    "=",
    "\n",
    "[[rules]]",
    "[[rewards]]",
    "[[activities]]",
    "schema",
    "properties",
    "required",
    "integer",
    "number",
    "\"$ref\" = \"#/properties\"",
    "anyOf",
    "pattern",
    "minimum",
    "enum",
    "activity.body.minutes",
    "has(activity.body.",
    "[program]",
    "id",
    "name",
    "effect",
    "condition",
    "type",
    "rate",
    "lines",
    "percent_of_rule",
    "fixed_points",
    "take_back_per_money",
    "purchase",
    "Europe/London",
    "JPY",
    "XXX",
    "null",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "2011-12-09T12:50:00Z",
    "9999-12-31T23:59:59Z",
    "-009999-01-01T00:00:00Z",
    "day",
    "month",
    "activity.net > 10000",
    "fixed_points",
    "points_per_step",
    "multiply",
    "caps",
    "window",
    "lifetime",
    "exclusive",
    "priority",
];

pub const CONDITIONS: &[&str] = &[
    "activity.net > 10000",
    "line.description.contains('CHRISTMAS')",
    "activity.kind == 'purchase' && size(lines) >= 2 && lines.exists(l, l.amount > 5)",
    "activity.attributes['a'].matches('^[a-z]+$') ? activity.net % 7 == 1 : activity.net / 0 == 1",
    "size(lines.filter(l, l.sku.startsWith('8'))) > 1 || lines.map(l, l.amount * 2) == [2, 4]",
    "timestamp('2011-12-09T12:50:00Z') + duration('1h') > timestamp('2011-12-09T12:50:00Z')",
    "{'a': 1, 'b': [1.5, 2u, b'x', null]}.a == 1 || has(activity.store) && activity.store in ['x', 'y']",
    "history.purchase.month.amount + activity.net > 5000 && history.check_in.streak % 7 == 0 && context.weekday >= 6",
    "history.purchase.lifetime.count in [0, 4] ? member.available < 100 : !(history.days_since > -1 - size(lines))",
    "int('12') + int(1.5) > 3 && string(activity.net).size() < 5 && double('1e300') > 1.0",
];

pub const CEL_WORDS: &[&str] = &[
    "activity",
    "history",
    "member",
    "context",
    ".purchase",
    ".day",
    ".count",
    ".streak",
    "lines",
    "line",
    ".net",
    ".attributes",
    ".description",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "'''",
    ".contains(",
    ".matches(",
    ".exists(x, ",
    ".all(x, ",
    ".map(x, ",
    ".filter(x, ",
    ".exists_one(x, ",
    "size(",
    "has(",
    "timestamp(",
    "duration(",
    "int(",
    "double(",
    "string(",
    "bytes(",
    "uint(",
    "max(",
    "min(",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "==",
    "!=",
    "<",
    ">=",
    "in",
    "?",
    ":",
    ",",
    "null",
    "true",
    "0x7fffffffffffffff",
    "1u",
    "1e308",
    "b'",
    "r'",
    "\\u0000",
    "(a+)+$",
    "lines + lines",
    "dyn(",
    "type(",
    "[1,2,3,4,5,6,7,8,9]",
    ".map(x, lines)",
];

pub const ACTIVITIES: &[&str] = &[
    r#"{"kind":"purchase","lines":[{"sku":"85123A","description":"CHRISTMAS MUG","quantity":"6","unit_price":"2.55"}]}"#,
    r#"{"kind":"return","amount":2750,"currency":"GBP","store":"London","attributes":{"a":"x"}}"#,
    r#"{"kind":"purchase","occurred_at":"2011-12-09T12:50:00Z","lines":[{"quantity":"0.001","unit_price":"79228162514264"}]}"#,
    r#"{"kind":"workout","body":{"sport":"run","minutes":50,"distance_km":10.1,"tags":["hills"],"place":{"town":"x"}}}"#,
    r#"{"kind":"survey","amount":0,"lines":[{"quantity":"-1","unit_price":"99999999","category":"c"}]}"#,
];

pub fn gift_club_json() -> String {
    serde_json::to_string_pretty(&Bundle::parse(GIFT_CLUB).unwrap()).unwrap()
}

/// The examples, and the longest that is allowed.
fn examples() -> Vec<Activity> {
    let mut examples: Vec<Activity> = ACTIVITIES.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let mut long = examples[0].clone();
    long.lines = vec![long.lines[0].clone(); limits::ACTIVITY_LINES];
    examples.push(long);
    examples
}

fn moments() -> [Timestamp; 4] {
    [0, 1_700_000_000_000, i64::MAX, i64::MIN].map(Timestamp::from_millis)
}

/// Parses, compiles, and evaluates on a few activities.
pub fn program_file(input: &[u8]) -> String {
    let compiled = Bundle::parse(&text(input)).and_then(|bundle| Program::from_documents(&bundle.documents()?));
    behaviour(compiled, |program| {
        let bodies = examples().into_iter().map(|activity| activity.body);
        let checked: Vec<String> = bodies
            .flat_map(|body| {
                program.activity_kinds().map(move |kind| behaviour(kind.check(body.as_ref()), |()| "fits".to_owned()))
            })
            .collect();
        evaluated(&program, &examples()) + &checked.concat()
    })
}

fn evaluated(program: &Program, activities: &[Activity]) -> String {
    let mut words = String::new();
    for activity in activities {
        for at in moments() {
            words +=
                &behaviour(evaluate(program, activity, at), |(outcomes, _)| format!("{} outcomes", outcomes.len()));
        }
    }
    words
}

/// A condition, over the lines and over the activity.
pub fn condition(input: &[u8]) -> String {
    let text = text(input);
    let mut program = Program::from_documents(&Bundle::parse(GIFT_CLUB).unwrap().documents().unwrap()).unwrap();
    let template: &Rule = &program.rules[0].rule;
    let whole = Rule { condition: Some(text.clone()), ..template.clone() };
    let rate = rust_decimal::Decimal::ONE;
    let lines = Rule { effect: Effect::PointsPerMoney { rate, lines: Some(text) }, ..template.clone() };
    let mut words = String::new();
    for rule in [whole, lines] {
        words += &behaviour(CompiledRule::compile(rule, 1, Timestamp::ZERO, true), |rule| {
            program.rules = vec![rule.into()];
            evaluated(&program, &examples())
        });
    }
    words
}

/// An activity as it comes through the API.
pub fn activity(input: &[u8]) -> String {
    let program = |file| Program::from_documents(&Bundle::parse(file).unwrap().documents().unwrap()).unwrap();
    let (club, stride) = (program(GIFT_CLUB), program(STRIDE));
    behaviour(serde_json::from_slice::<Activity>(input), |activity| {
        if let Err((field, problem)) = activity.validate("GBP") {
            return format!("{field}: {problem}");
        }
        let fits = stride.activity_kinds().map(|kind| kind.check(activity.body.as_ref()).is_ok().to_string());
        let fits = fits.collect::<Vec<_>>().join(" ");
        let activity = [activity];
        fits + &evaluated(&club, &activity) + &evaluated(&stride, &activity)
    })
}
