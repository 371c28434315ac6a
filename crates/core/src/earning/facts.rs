//! What expressions see of an activity: built once for each, and only what the rules look at.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::objects::{Key, Map};
use cel::{Context, Value};

use super::activity::{Activity, ActivityLine};
use super::expression::{BodyKind, PRESENT, present};
use crate::limits;
use crate::program::Program;
use crate::time::{Calendar, Timestamp};

/// An activity and its amounts in minor units of money.
pub(super) struct Measured<'a> {
    pub(super) activity: &'a Activity,
    /// Of the lines.
    pub(super) amounts: Vec<i64>,
    /// Of the whole; positive for purchases and for returns.
    pub(super) net: i64,
}

/// The local time of an activity, as `context` tells it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moment {
    /// 1 Monday to 7.
    pub(super) weekday: i8,
    pub(super) hour: i8,
    pub(super) day: i8,
    pub(super) month: i8,
}

impl Moment {
    pub(super) fn of(calendar: &Calendar, at: Timestamp) -> Self {
        let local = calendar.local(at);
        let weekday = local.weekday().to_monday_one_offset();
        Self { weekday, hour: local.hour(), day: local.day(), month: local.month() }
    }
}

/// Adds up an activity. The message names the line.
pub(super) fn measure<'a>(program: &Program, activity: &'a Activity) -> Result<Measured<'a>, String> {
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
    Ok(Measured { activity, amounts, net })
}

/// The variables `activity`, and `lines` and `context` where they are wanted; with the body where it is known what it holds.
pub(super) fn activity_context(
    measured: &Measured<'_>,
    lines: bool,
    moment: Option<Moment>,
    body: Option<&BodyKind>,
) -> Context<'static, 'static> {
    let activity = measured.activity;
    let mut context = Context::default();
    let own = |name: &String| Key::String(Arc::new(name.clone()));
    let attributes = activity.attributes.iter().map(|(name, value)| (own(name), Value::from(value.as_str())));
    let fields = [
        (KEYS.kind.clone(), Value::from(activity.kind.as_str())),
        (KEYS.net.clone(), Value::Int(measured.net)),
        (KEYS.store.clone(), text(activity.store.as_deref())),
        (KEYS.channel.clone(), text(activity.channel.as_deref())),
        (KEYS.attributes.clone(), map(attributes.collect())),
    ];
    let mut fields = HashMap::from(fields);
    if let Some(body) = body {
        fields.insert(KEYS.body.clone(), body.value(activity.body.as_ref()));
        fields.insert(KEYS.present.clone(), present(activity.body.as_ref()));
    }
    context.add_variable_from_value("activity", map(fields));
    if lines {
        let lines = activity.lines.iter().zip(&measured.amounts).map(|(line, amount)| line_value(line, *amount));
        context.add_variable_from_value("lines", Value::List(Arc::new(lines.collect())));
    }
    if let Some(moment) = moment {
        context.add_variable_from_value("context", moment_value(activity, moment));
    }
    context
}

fn moment_value(activity: &Activity, moment: Moment) -> Value {
    let number = |value: i8| Value::Int(i64::from(value));
    map(HashMap::from([
        (KEYS.channel.clone(), text(activity.channel.as_deref())),
        (KEYS.store.clone(), text(activity.store.as_deref())),
        (KEYS.weekday.clone(), number(moment.weekday)),
        (KEYS.hour.clone(), number(moment.hour)),
        (KEYS.day.clone(), number(moment.day)),
        (KEYS.month.clone(), number(moment.month)),
    ]))
}

/// The variable `line`.
pub(super) fn line_value(line: &ActivityLine, amount: i64) -> Value {
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
    channel: Key,
    attributes: Key,
    body: Key,
    present: Key,
    sku: Key,
    description: Key,
    category: Key,
    amount: Key,
    weekday: Key,
    hour: Key,
    day: Key,
    month: Key,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let key = |name: &str| Key::String(Arc::new(name.to_owned()));
    Keys {
        kind: key("kind"),
        net: key("net"),
        store: key("store"),
        channel: key("channel"),
        attributes: key("attributes"),
        body: key("body"),
        present: key(PRESENT),
        sku: key("sku"),
        description: key("description"),
        category: key("category"),
        amount: key("amount"),
        weekday: key("weekday"),
        hour: key("hour"),
        day: key("day"),
        month: key("month"),
    }
});

fn text(value: Option<&str>) -> Value {
    Value::from(value.unwrap_or_default())
}

fn map(fields: HashMap<Key, Value>) -> Value {
    Value::Map(Map { map: Arc::new(fields) })
}
