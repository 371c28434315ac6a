//! Evaluates the rules that look at the activity alone. Runs on the caller's thread, before the batch.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::objects::{Key, Map};
use cel::{Context, Value};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::activity::{Activity, ActivityLine};
use super::rule::{CompiledRule, Effect};
use crate::ledger::{CurrencyId, FundingId};
use crate::limits;
use crate::planted::{self, Bug};
use crate::program::Program;
use crate::time::Timestamp;

/// What one rule gives for an activity, or takes back when `points` is negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The rule.
    pub rule: String,
    /// Its version.
    pub version: i64,
    /// Points; negative when taken back.
    pub points: i64,
    /// The currency.
    pub currency: CurrencyId,
    /// The money that counted, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// Points for one major unit, or per cent of the other rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Decimal>,
    /// The rule of which this is a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_rule: Option<String>,
    /// When the points become active, when that is later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_at: Option<Timestamp>,
    /// When the points expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Who pays.
    #[serde(skip)]
    pub funding: FundingId,
}

struct Measured<'a> {
    activity: &'a Activity,
    /// Amounts of the lines in minor units.
    amounts: Vec<i64>,
    /// The whole amount; positive for purchases and for returns.
    net: i64,
    /// Whether some rule looks at `lines`.
    lines_wanted: bool,
}

/// What the rules in force at `at` give for the activity, and its amount in minor units.
///
/// Errors name the field (`lines`) or the rule that failed.
pub fn evaluate(program: &Program, activity: &Activity, at: Timestamp) -> Result<(Vec<Outcome>, i64), String> {
    let mut measured = measure(program, activity)?;
    measured.lines_wanted = rules_in_force(program, &activity.kind, at).any(|rule| rule.looks_at_lines);
    let mut context = None;
    let mut outcomes: Vec<Outcome> = Vec::new();
    for rule in rules_in_force(program, &activity.kind, at) {
        if let Some(condition) = &rule.condition {
            let context = context.get_or_insert_with(|| activity_context(&measured));
            if !truth(condition.execute(context), &rule.rule.id)? {
                continue;
            }
        }
        let outcome = apply(program, rule, &measured, &mut context, &outcomes)?;
        if outcome.points == 0 {
            continue;
        }
        if outcome.points.abs() > limits::AMOUNT {
            return Err(format!("rule `{}` would move more than {} points", rule.rule.id, limits::AMOUNT));
        }
        outcomes.push(dated(program, rule, at, outcome));
    }
    Ok((outcomes, measured.net))
}

/// The version of each rule that holds at `at`, for a kind of activity.
fn rules_in_force<'a>(program: &'a Program, kind: &'a str, at: Timestamp) -> impl Iterator<Item = &'a CompiledRule> {
    let rules = &program.rules;
    rules.iter().enumerate().filter_map(move |(index, rule)| {
        let replaced =
            rules.get(index + 1).is_some_and(|next| next.rule.id == rule.rule.id && next.effective_from <= at);
        (rule.rule.trigger == kind && rule.active && rule.effective_from <= at && !replaced).then_some(rule)
    })
}

fn measure<'a>(program: &Program, activity: &'a Activity) -> Result<Measured<'a>, String> {
    let minor = program.minor_per_major();
    let mut amounts = Vec::with_capacity(activity.lines.len());
    let mut net: i64 = activity.amount.unwrap_or(0);
    for (index, line) in activity.lines.iter().enumerate() {
        let amount = line
            .amount(minor)
            .filter(|amount| amount.abs() <= limits::AMOUNT)
            .ok_or_else(|| format!("lines[{index}]: quantity × unit_price is beyond {} minor units", limits::AMOUNT))?;
        net = net.saturating_add(amount);
        amounts.push(amount);
    }
    if activity.is_return() && activity.amount.is_none() {
        net = net.saturating_neg().max(net);
    }
    if net < 0 {
        return Err(format!("the lines of a {} add up to {net}, below zero", activity.kind));
    }
    if net > limits::AMOUNT {
        return Err(format!("the lines add up to more than {} minor units", limits::AMOUNT));
    }
    Ok(Measured { activity, amounts, net, lines_wanted: false })
}

fn apply<'a>(
    program: &Program,
    rule: &CompiledRule,
    measured: &Measured<'a>,
    context: &mut Option<Context<'static, 'static>>,
    outcomes: &[Outcome],
) -> Result<Outcome, String> {
    let mut outcome = Outcome {
        rule: rule.rule.id.clone(),
        version: rule.version,
        points: 0,
        currency: rule.rule.currency,
        amount: None,
        rate: None,
        of_rule: None,
        active_at: None,
        expires_at: None,
        funding: rule.rule.funding,
    };
    match &rule.rule.effect {
        Effect::PointsPerMoney { rate, .. } => {
            let amount = match &rule.line_filter {
                None => measured.net,
                Some(filter) => {
                    let context = context.get_or_insert_with(|| activity_context(measured));
                    filtered_amount(filter, &rule.rule.id, measured, context)?
                }
            };
            outcome.points = per_money(program, amount.max(0), *rate)?;
            outcome.amount = Some(amount);
            outcome.rate = Some(*rate);
        }
        Effect::PercentOfRule { rule: other, percent } => {
            let base = outcomes.iter().filter(|outcome| outcome.rule == *other).map(|outcome| outcome.points).sum();
            outcome.points = floor(Decimal::from(base_points(base)).checked_mul(*percent), Decimal::ONE_HUNDRED)?;
            outcome.rate = Some(*percent);
            outcome.of_rule = Some(other.clone());
        }
        Effect::FixedPoints { points } => outcome.points = *points,
        Effect::TakeBackPerMoney { rate } => {
            outcome.points = -per_money(program, measured.net, *rate)?;
            outcome.amount = Some(measured.net);
            outcome.rate = Some(*rate);
        }
    }
    Ok(outcome)
}

fn base_points(points: i64) -> i64 {
    points.max(0)
}

/// `floor(amount / minor units in a major one × rate)`.
fn per_money(program: &Program, amount: i64, rate: Decimal) -> Result<i64, String> {
    floor(Decimal::from(amount).checked_mul(rate), Decimal::from(program.minor_per_major()))
}

fn floor(product: Option<Decimal>, divisor: Decimal) -> Result<i64, String> {
    let up = planted::is(Bug::RoundedUp);
    let way = if up { RoundingStrategy::ToPositiveInfinity } else { RoundingStrategy::ToNegativeInfinity };
    product
        .and_then(|product| product.checked_div(divisor))
        .map(|exact| exact.round_dp_with_strategy(0, way))
        .and_then(|whole| i64::try_from(whole).ok())
        .ok_or_else(|| "the points are beyond all limits".to_owned())
}

fn dated(program: &Program, rule: &CompiledRule, at: Timestamp, mut outcome: Outcome) -> Outcome {
    if outcome.points > 0 {
        let active_at = match rule.rule.pending_days {
            0 => None,
            days => Some(program.calendar.end_of_day_after(at, days - 1)),
        };
        outcome.expires_at = Some(program.expires_at(outcome.currency, active_at.unwrap_or(at)));
        outcome.active_at = active_at;
    }
    outcome
}

fn filtered_amount(
    filter: &cel::Program,
    rule: &str,
    measured: &Measured<'_>,
    context: &mut Context<'static, 'static>,
) -> Result<i64, String> {
    let mut sum: i64 = 0;
    for (line, amount) in measured.activity.lines.iter().zip(&measured.amounts) {
        context.add_variable_from_value("line", line_value(line, *amount));
        if truth(filter.execute(context), rule)? {
            sum = sum.saturating_add(*amount);
        }
    }
    Ok(sum)
}

fn truth(result: Result<Value, cel::ExecutionError>, rule: &str) -> Result<bool, String> {
    match result {
        Ok(Value::Bool(truth)) => Ok(truth),
        Ok(other) => Err(format!("rule `{rule}`: its expression gives {:?}, not true or false", other.type_of())),
        Err(error) => Err(format!("rule `{rule}`: {error}")),
    }
}

fn activity_context(measured: &Measured<'_>) -> Context<'static, 'static> {
    let activity = measured.activity;
    let mut context = Context::default();
    let own = |name: &String| Key::String(Arc::new(name.clone()));
    let attributes = activity.attributes.iter().map(|(name, value)| (own(name), Value::from(value.as_str())));
    let fields = [
        (KEYS.kind.clone(), Value::from(activity.kind.as_str())),
        (KEYS.net.clone(), Value::Int(measured.net)),
        (KEYS.store.clone(), text(activity.store.as_deref())),
        (KEYS.attributes.clone(), map(attributes.collect())),
    ];
    context.add_variable_from_value("activity", map(HashMap::from(fields)));
    if measured.lines_wanted {
        let lines = activity.lines.iter().zip(&measured.amounts).map(|(line, amount)| line_value(line, *amount));
        context.add_variable_from_value("lines", Value::List(Arc::new(lines.collect())));
    }
    context
}

fn line_value(line: &ActivityLine, amount: i64) -> Value {
    map(HashMap::from([
        (KEYS.sku.clone(), text(line.sku.as_deref())),
        (KEYS.description.clone(), text(line.description.as_deref())),
        (KEYS.category.clone(), text(line.category.as_deref())),
        (KEYS.amount.clone(), Value::Int(amount)),
    ]))
}

/// The names of fields, allocated once.
struct Keys {
    kind: Key,
    net: Key,
    store: Key,
    attributes: Key,
    sku: Key,
    description: Key,
    category: Key,
    amount: Key,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let key = |name: &str| Key::String(Arc::new(name.to_owned()));
    Keys {
        kind: key("kind"),
        net: key("net"),
        store: key("store"),
        attributes: key("attributes"),
        sku: key("sku"),
        description: key("description"),
        category: key("category"),
        amount: key("amount"),
    }
});

fn text(value: Option<&str>) -> Value {
    Value::from(value.unwrap_or_default())
}

fn map(fields: HashMap<Key, Value>) -> Value {
    Value::Map(Map { map: Arc::new(fields) })
}
