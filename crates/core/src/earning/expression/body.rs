//! `activity.body`: what a schema says of its fields, and their values as expressions see them. Every field that is known is
//! there, with its type and within its bounds: what is missing, or does not fit, is 0, an empty text, false or an empty list.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cel::common::ast::{Expr, LiteralValue, operators};
use cel::objects::{Key, Map as CelMap};
use cel::{IdedExpr, Value as CelValue};
use serde_json::{Map, Value};

use super::check::Kind;
use super::walk::find;

/// Decimal numbers beyond them count as them, so that products of a few are numbers still.
const DECIMALS: (f64, f64) = (-1e100, 1e100);

/// What a body holds, as conditions see it.
#[derive(Debug, Clone)]
pub(in crate::earning) struct BodyKind(pub(super) Kind);

impl BodyKind {
    /// What a schema says that is small enough and whose references go in no circle.
    pub(in crate::earning) fn of_schema(schema: &Value) -> Self {
        Self(object(schema, schema, true))
    }

    /// A body as expressions see it.
    pub(in crate::earning) fn value(&self, body: Option<&Map<String, Value>>) -> CelValue {
        let Kind::Object(fields) = &self.0 else { return CelValue::Null };
        object_value(fields, body)
    }
}

/// What an expression is checked against that looks at `activity.body`.
#[derive(Debug, Clone, Copy)]
pub(in crate::earning) enum BodySeen<'a> {
    /// It was published: what it looks at is known to be there.
    Published,
    /// It may look at this.
    Of(&'a BodyKind),
    /// It may not look at it, because of this.
    Nothing(&'a str),
}

/// The JSON pointers of all that is in a body; what is null is not.
pub(in crate::earning) fn present(body: Option<&Map<String, Value>>) -> CelValue {
    fn add(found: &mut HashMap<Key, CelValue>, path: &str, fields: &Map<String, Value>) {
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            let path = below(path, name);
            if let Value::Object(fields) = value {
                add(found, &path, fields);
            }
            found.insert(Key::from(path), CelValue::Bool(true));
        }
    }
    let mut found = HashMap::new();
    if let Some(body) = body {
        found.insert(Key::from(String::new()), CelValue::Bool(true));
        add(&mut found, "", body);
    }
    CelValue::Map(CelMap { map: Arc::new(found) })
}

/// The JSON pointer of a part that is `activity.body` or a field in it: empty, or `/name/name`.
pub(super) fn path(part: &IdedExpr) -> Option<String> {
    let (of, name) = match &part.expr {
        Expr::Select(select)
            if select.field == "body" && matches!(&select.operand.expr, Expr::Ident(name) if name == "activity") =>
        {
            return Some(String::new());
        }
        Expr::Select(select) => (&*select.operand, select.field.as_str()),
        Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
            [of, IdedExpr { expr: Expr::Literal(LiteralValue::String(name)), .. }] => (of, name.inner()),
            _ => return None,
        },
        _ => return None,
    };
    path(of).map(|path| below(&path, name))
}

/// The JSON pointer of a field of what another one leads to.
pub(in crate::earning) fn below(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Whether an expression looks at `activity.body`.
pub(super) fn is_seen(part: &IdedExpr) -> bool {
    find(part, &|part| path(part).filter(String::is_empty)).is_some()
}

/// What a part of a schema says; `certain`: it is there in every body.
fn kind_of(schema: &Value, root: &Value, certain: bool) -> Kind {
    let own = ["type", "enum", "const"].iter().any(|field| schema.get(field).is_some());
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str).filter(|_| !own) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Kind::Opaque, |target| kind_of(target, root, certain));
    }
    let Some((name, nullable)) = type_of(schema) else { return Kind::Opaque };
    let certain = certain && !nullable;
    match name {
        "boolean" => Kind::Bool,
        "string" => Kind::Text,
        "integer" => {
            let (low, high) = whole_bounds(schema);
            let zero = if certain { low } else { 0 };
            Kind::Int(low.min(high).min(zero), high.max(low).max(if certain { high } else { 0 }))
        }
        "number" => {
            let (low, high) = decimal_bounds(schema);
            let (low, high) = (low.min(high), high.max(low));
            if certain { Kind::Double(low, high) } else { Kind::Double(low.min(0.0), high.max(0.0)) }
        }
        "object" => object(schema, root, certain),
        "array" if schema.get("prefixItems").is_none() => {
            match schema.get("items").map_or(Kind::Opaque, |items| kind_of(items, root, true)) {
                item @ (Kind::Bool | Kind::Int(..) | Kind::Double(..) | Kind::Text) => Kind::List(Some(Box::new(item))),
                _ => Kind::Opaque,
            }
        }
        _ => Kind::Opaque,
    }
}

fn object(schema: &Value, root: &Value, certain: bool) -> Kind {
    let required = |name: &str| {
        let names = schema.get("required").and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|known| known == name))
    };
    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let fields = fields.map(|(name, part)| (name.clone(), kind_of(part, root, certain && required(name))));
    Kind::Object(Arc::new(fields.collect()))
}

/// The one type of a value, and whether it may be null instead.
fn type_of(schema: &Value) -> Option<(&str, bool)> {
    let of_value = |value: &Value| match value {
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Null => "null",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let names: Vec<&str> = match (schema.get("type"), schema.get("enum"), schema.get("const")) {
        (Some(Value::String(name)), ..) => vec![name],
        (Some(Value::Array(names)), ..) => names.iter().filter_map(Value::as_str).collect(),
        (_, Some(Value::Array(values)), _) => values.iter().map(of_value).collect(),
        (_, _, Some(value)) => vec![of_value(value)],
        _ => return None,
    };
    let mut others = names.iter().filter(|name| **name != "null");
    let first = others.next()?;
    others.all(|name| name == first).then_some((*first, names.contains(&"null")))
}

fn whole_bounds(schema: &Value) -> (i64, i64) {
    let values = schema.get("enum").and_then(Value::as_array).into_iter().flatten().chain(schema.get("const"));
    let values: Vec<i64> = values.filter_map(whole).collect();
    if let (Some(low), Some(high)) = (values.iter().min(), values.iter().max()) {
        return (*low, *high);
    }
    let bound = |field: &str| schema.get(field).and_then(Value::as_f64);
    let whole_bound = |field: &str| schema.get(field).and_then(whole);
    let above = whole_bound("exclusiveMinimum").map(|low| low.saturating_add(1));
    let below = whole_bound("exclusiveMaximum").map(|high| high.saturating_sub(1));
    let least = whole_bound("minimum").or_else(|| bound("minimum").map(|low| low.floor() as i64));
    let most = whole_bound("maximum").or_else(|| bound("maximum").map(|high| high.ceil() as i64));
    let low = least.into_iter().chain(above).max().unwrap_or(i64::MIN);
    let high = most.into_iter().chain(below).min().unwrap_or(i64::MAX);
    (low, high)
}

fn decimal_bounds(schema: &Value) -> (f64, f64) {
    let bound = |field: &str| schema.get(field).and_then(Value::as_f64);
    let low = ["minimum", "exclusiveMinimum"].into_iter().filter_map(bound).fold(DECIMALS.0, f64::max);
    let high = ["maximum", "exclusiveMaximum"].into_iter().filter_map(bound).fold(DECIMALS.1, f64::min);
    (low, high)
}

/// A whole number, also where it is written as `1e3`; beyond 64 bits the last one there is.
fn whole(value: &Value) -> Option<i64> {
    let beyond = || value.as_u64().map(|_| i64::MAX);
    let written_otherwise = || value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64);
    value.as_i64().or_else(beyond).or_else(written_otherwise)
}

fn object_value(fields: &BTreeMap<String, Kind>, body: Option<&Map<String, Value>>) -> CelValue {
    let values = fields.iter().filter(|(_, kind)| **kind != Kind::Opaque).map(|(name, kind)| {
        let sent = body.and_then(|body| body.get(name));
        (Key::from(name.clone()), value(kind, sent))
    });
    CelValue::Map(CelMap { map: Arc::new(values.collect()) })
}

fn value(kind: &Kind, sent: Option<&Value>) -> CelValue {
    match kind {
        Kind::Bool => CelValue::Bool(sent.and_then(Value::as_bool).unwrap_or_default()),
        Kind::Int(low, high) => CelValue::Int(sent.and_then(whole).unwrap_or_default().max(*low).min(*high)),
        Kind::Double(low, high) => {
            CelValue::Float(sent.and_then(Value::as_f64).unwrap_or_default().max(*low).min(*high))
        }
        Kind::Text => CelValue::from(sent.and_then(Value::as_str).unwrap_or_default()),
        Kind::List(Some(of)) => {
            let items = sent.and_then(Value::as_array).into_iter().flatten();
            CelValue::List(Arc::new(items.map(|item| value(of, Some(item))).collect()))
        }
        Kind::Object(fields) => object_value(fields, sent.and_then(Value::as_object)),
        _ => CelValue::Null,
    }
}
