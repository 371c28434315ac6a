//! Checks an expression before it is published: what it looks at exists, its types fit, and no activity makes it fail.
//!
//! Whole numbers are followed as ranges: a sum that could leave 64 bits and a divisor that could be zero are found here,
//! not at a till. Decimal numbers are followed in the same way, so that none of them is infinite or no number at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, SelectExpr, operators};

use super::body::BodySeen;
use crate::earning::Window;
use crate::earning::recent::rolling_days;
use crate::limits;

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Bool,
    /// A whole number in a range, both ends included.
    Int(i64, i64),
    /// A decimal number in a range, both ends included.
    Double(f64, f64),
    Text,
    /// A list; of nothing yet when it is empty.
    List(Option<Box<Kind>>),
    /// Texts by name.
    Attributes,
    Activity,
    Line,
    Context,
    Member,
    Tier,
    History,
    HistoryOf,
    HistoryIn,
    Referrer,
    ReferredOf,
    /// The body of an activity, or a part of it, with its fields.
    Object(Arc<BTreeMap<String, Kind>>),
    /// A field of a body whose type is not known here.
    Opaque,
    /// Anything: a part of a body that was published, and what is made of it.
    Any,
}

/// What is wrong, and with which part.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) part: u64,
    pub(super) text: String,
}

type Checked = Result<Kind, Problem>;

/// Sizes, counts and money are at most this.
const MOST: i64 = limits::AMOUNT;
/// Sums over a history are at most this.
const MOST_IN_ALL: i64 = limits::WALLET_POINTS;

const FLAG: Kind = Kind::Bool;
const COUNT: Kind = Kind::Int(0, MOST);

/// The variable of a name.
pub(super) fn variable(name: &str) -> Option<Kind> {
    Some(match name {
        "activity" => Kind::Activity,
        "lines" => Kind::List(Some(Box::new(Kind::Line))),
        "line" => Kind::Line,
        "context" => Kind::Context,
        "member" => Kind::Member,
        "tier" => Kind::Tier,
        "history" => Kind::History,
        "referrer" => Kind::Referrer,
        _ => return None,
    })
}

/// The fields of each kind of thing.
fn fields(of: &Kind) -> &'static [(&'static str, Kind)] {
    const TEXT: Kind = Kind::Text;
    match of {
        Kind::Activity => {
            &[("kind", TEXT), ("net", COUNT), ("store", TEXT), ("channel", TEXT), ("attributes", Kind::Attributes)]
        }
        Kind::Line => &[("sku", TEXT), ("description", TEXT), ("category", TEXT), ("amount", Kind::Int(-MOST, MOST))],
        Kind::Context => &[
            ("channel", TEXT),
            ("store", TEXT),
            ("weekday", Kind::Int(1, 7)),
            ("hour", Kind::Int(0, 23)),
            ("day", Kind::Int(1, 31)),
            ("month", Kind::Int(1, 12)),
        ],
        Kind::Member => &[
            ("available", Kind::Int(0, MOST_IN_ALL)),
            ("earned", Kind::Int(-MOST_IN_ALL, MOST_IN_ALL)),
            ("redeemed", Kind::Int(-MOST_IN_ALL, MOST_IN_ALL)),
            ("referred", FLAG),
        ],
        Kind::Tier => &[("id", TEXT), ("rank", Kind::Int(0, 99)), ("rank_before", Kind::Int(0, 99))],
        Kind::HistoryOf => &[("streak", COUNT), ("days_since", COUNT)],
        Kind::HistoryIn => &[("count", COUNT), ("amount", Kind::Int(0, MOST_IN_ALL))],
        _ => &[],
    }
}

/// What an expression sees beside the fields that are always there.
pub(super) struct Scope<'a> {
    /// Variables that loops bind, innermost last.
    bound: Vec<(&'a str, Kind)>,
    body: BodySeen<'a>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(body: BodySeen<'a>) -> Self {
        Self { bound: Vec::new(), body }
    }

    /// What a part of an expression gives.
    pub(super) fn check(&mut self, part: &'a IdedExpr) -> Checked {
        match &part.expr {
            Expr::Literal(literal) => literal_kind(part, literal),
            Expr::Ident(name) => {
                let bound = self.bound.iter().rev().find(|(bound, _)| bound == name).map(|(_, kind)| kind.clone());
                bound.or_else(|| variable(name)).ok_or_else(|| wrong(part, format!("knows no `{name}`")))
            }
            Expr::Select(select) => self.select(part, select),
            Expr::Call(call) => self.call(part, call),
            Expr::List(list) => {
                let mut kind = None;
                for element in &list.elements {
                    let next = self.check(element)?;
                    kind = Some(match kind {
                        None => next,
                        Some(kind) => join(element, kind, next)?,
                    });
                }
                Ok(Kind::List(kind.map(Box::new)))
            }
            Expr::Comprehension(each) => self.each(part, each),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => Err(wrong(part, "maps cannot be written here")),
        }
    }

    fn select(&mut self, part: &'a IdedExpr, select: &'a SelectExpr) -> Checked {
        let of = self.check(&select.operand)?;
        let field = select.field.as_str();
        let found = match &of {
            Kind::Activity if field == "body" => Some(self.body(part)?),
            Kind::Object(fields) => return self.field(part, fields, field, select.test),
            Kind::Any => Some(Kind::Any),
            Kind::Attributes => Some(Kind::Text),
            Kind::History if field == "days_since" => Some(COUNT),
            Kind::History => Some(Kind::HistoryOf),
            Kind::Referrer => Some(Kind::ReferredOf),
            Kind::ReferredOf if Window::counted(field).is_some() => Some(Kind::HistoryIn),
            Kind::HistoryOf if Window::counted(field).is_some() || rolling_days(field).is_some() => {
                Some(Kind::HistoryIn)
            }
            _ => fields(&of).iter().find(|(name, _)| *name == field).map(|(_, kind)| kind.clone()),
        };
        match found {
            Some(_) if select.test => Ok(FLAG),
            Some(kind) => Ok(kind),
            None => {
                let mut known: Vec<&str> = fields(&of).iter().map(|(name, _)| *name).collect();
                if matches!(of, Kind::HistoryOf | Kind::ReferredOf) {
                    known.extend(Window::COUNTED.map(Window::name));
                }
                if of == Kind::HistoryOf {
                    known.push("last_1_days to last_365_days");
                }
                if of == Kind::Activity && matches!(self.body, BodySeen::Of(_)) {
                    known.push("body");
                }
                let known =
                    if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
                Err(wrong(part, format!("there is no attribute `{field}`; {known}")))
            }
        }
    }

    fn body(&self, part: &IdedExpr) -> Checked {
        match self.body {
            BodySeen::Published => Ok(Kind::Any),
            BodySeen::Of(body) => Ok(body.0.clone()),
            BodySeen::Nothing(why) => Err(wrong(part, why)),
        }
    }

    /// A field of the body.
    fn field(&self, part: &IdedExpr, fields: &BTreeMap<String, Kind>, name: &str, test: bool) -> Checked {
        match fields.get(name) {
            Some(_) if test => Ok(FLAG),
            Some(Kind::Opaque) => {
                let types = "integer, number, string, boolean, an object, or a list of plain values";
                Err(wrong(part, format!("`{name}` has no type in the schema that is known here: {types}")))
            }
            Some(Kind::Text | Kind::List(_)) if !self.bound.is_empty() => {
                Err(wrong(part, format!("looks at `{name}` for each item anew, which may be long")))
            }
            Some(kind) => Ok(kind.clone()),
            None => {
                let known = fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {known}") };
                Err(wrong(part, format!("the schema has no field `{name}`; {known}")))
            }
        }
    }

    fn call(&mut self, part: &'a IdedExpr, call: &'a CallExpr) -> Checked {
        let name = call.func_name.as_str();
        let parts: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
        let kinds = parts.iter().map(|part| self.check(part)).collect::<Result<Vec<_>, _>>()?;
        match (name, parts.as_slice(), kinds.as_slice()) {
            (_, _, kinds) if kinds.contains(&Kind::Any) => Ok(Kind::Any),
            (operators::LOGICAL_AND | operators::LOGICAL_OR, _, [Kind::Bool, Kind::Bool])
            | (operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE, _, [Kind::Bool]) => Ok(FLAG),
            (operators::CONDITIONAL, _, [Kind::Bool, yes, no]) => join(part, yes.clone(), no.clone()),
            (operators::EQUALS | operators::NOT_EQUALS, _, [left, right]) => compare(part, left, right),
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                _,
                [left @ (Kind::Int(..) | Kind::Double(..) | Kind::Text), right],
            ) => compare(part, left, right),
            (operators::IN, _, [Kind::Text, Kind::Attributes]) => Ok(FLAG),
            (operators::IN, _, [_, Kind::List(None)]) => Ok(FLAG),
            (operators::IN, _, [item, Kind::List(Some(of))]) => compare(part, item, of),
            (operators::INDEX, [_, key], [Kind::Attributes, Kind::Text]) if is_text_literal(key) => Ok(Kind::Text),
            (operators::INDEX, [_, key], [Kind::Object(fields), Kind::Text]) if is_text_literal(key) => {
                let Expr::Literal(LiteralValue::String(name)) = &key.expr else { return Ok(Kind::Text) };
                self.field(part, fields, name.inner(), false)
            }
            (operators::INDEX, _, [Kind::List(_), _]) => {
                Err(wrong(part, "fails when the list is shorter; use `exists` over the list"))
            }
            ("size", _, [Kind::Text | Kind::List(_) | Kind::Attributes]) => Ok(COUNT),
            ("contains" | "startsWith" | "endsWith", _, [Kind::Text, Kind::Text]) => Ok(FLAG),
            ("matches", [_, pattern], [Kind::Text, Kind::Text]) => check_pattern(pattern),
            ("string", _, [Kind::Text | Kind::Int(..) | Kind::Bool]) => Ok(Kind::Text),
            ("double", _, [Kind::Int(low, high)]) => Ok(Kind::Double(*low as f64, *high as f64)),
            ("double", _, [Kind::Double(low, high)]) => Ok(Kind::Double(*low, *high)),
            (operators::ADD, _, [Kind::Text, Kind::Text]) => Ok(Kind::Text),
            (operators::ADD, _, [Kind::List(left), Kind::List(right)]) => match (left, right) {
                (Some(left), Some(right)) => join(part, (**left).clone(), (**right).clone()).map(list_of),
                (one, other) => Ok(Kind::List(one.clone().or_else(|| other.clone()))),
            },
            (_, _, [Kind::Double(low, high), Kind::Double(from, to)]) => {
                match (decimal_arithmetic(part, name, (*low, *high), (*from, *to)), self.body) {
                    // Earlier versions did not follow decimal numbers: what they published goes on.
                    (Err(_), BodySeen::Published) => Ok(Kind::Double(f64::MIN, f64::MAX)),
                    (checked, _) => checked,
                }
            }
            (operators::NEGATE, _, [Kind::Double(low, high)]) => Ok(Kind::Double(-high, -low)),
            (_, _, [Kind::Int(low, high)]) if name == operators::NEGATE => {
                range(part, &[-i128::from(*high), -i128::from(*low)])
            }
            (_, _, [Kind::Int(low, high), Kind::Int(from, to)]) => arithmetic(part, name, (*low, *high), (*from, *to)),
            _ => Err(wrong(part, misfit(name, &kinds))),
        }
    }

    /// `exists`, `all`, `exists_one`, `map` and `filter`, as they are written out.
    fn each(&mut self, part: &'a IdedExpr, each: &'a ComprehensionExpr) -> Checked {
        let of = match self.check(&each.iter_range)? {
            Kind::List(of) => of,
            Kind::Any => Some(Box::new(Kind::Any)),
            _ => return Err(wrong(part, "goes over something that is no list")),
        };
        if variable(&each.iter_var).is_some() || each.iter_var2.is_some() {
            return Err(wrong(part, format!("calls its item `{}`; take another name", each.iter_var)));
        }
        let outer = self.bound.len();
        let begin = match self.check(&each.accu_init)? {
            Kind::Int(..) => COUNT,
            other => other,
        };
        let item = of.map_or(Kind::Bool, |kind| *kind);
        self.bound.extend([(each.iter_var.as_str(), item), (each.accu_var.as_str(), begin.clone())]);
        let step = self.check(&each.loop_cond).and_then(|_| self.check(&each.loop_step));
        let result = match (begin, step) {
            (_, Err(problem)) => Err(problem),
            (Kind::List(_), Ok(step)) => {
                self.bound.push((each.accu_var.as_str(), step));
                self.check(&each.result)
            }
            (begin, Ok(step)) => join(part, begin, step).and_then(|_| self.check(&each.result)),
        };
        self.bound.truncate(outer);
        result
    }
}

fn wrong(part: &IdedExpr, text: impl Into<String>) -> Problem {
    Problem { part: part.id, text: text.into() }
}

fn list_of(kind: Kind) -> Kind {
    Kind::List(Some(Box::new(kind)))
}

fn literal_kind(part: &IdedExpr, literal: &LiteralValue) -> Checked {
    match literal {
        LiteralValue::Boolean(_) => Ok(FLAG),
        LiteralValue::Int(value) => Ok(Kind::Int(*value.inner(), *value.inner())),
        LiteralValue::Double(value) => decimal_range(part, &[*value.inner()]),
        LiteralValue::String(_) => Ok(Kind::Text),
        LiteralValue::Bytes(_) | LiteralValue::Null | LiteralValue::UInt(_) => {
            Err(wrong(part, "only true, false, numbers and texts can be written here"))
        }
    }
}

fn is_text_literal(part: &IdedExpr) -> bool {
    matches!(&part.expr, Expr::Literal(LiteralValue::String(_)))
}

/// A pattern must be written out, so that it is known to be one.
fn check_pattern(pattern: &IdedExpr) -> Checked {
    let Expr::Literal(LiteralValue::String(text)) = &pattern.expr else {
        return Err(wrong(pattern, "the pattern of `matches` must be written out"));
    };
    let mut context = cel::Context::default();
    context.add_variable_from_value("pattern", text.inner());
    match cel::Program::compile("''.matches(pattern)").map(|probe| probe.execute(&context)) {
        Ok(Ok(_)) => Ok(FLAG),
        _ => Err(wrong(pattern, format!("`{}` is not a regular expression", text.inner()))),
    }
}

/// Whether two things compare; a whole number and a decimal one do.
fn compare(part: &IdedExpr, left: &Kind, right: &Kind) -> Checked {
    match (left, right) {
        (Kind::Int(..), Kind::Double(..)) | (Kind::Double(..), Kind::Int(..)) => Ok(FLAG),
        _ => join(part, left.clone(), right.clone()).map(|_| FLAG),
    }
}

/// The kind that both are of.
fn join(part: &IdedExpr, left: Kind, right: Kind) -> Checked {
    match (left, right) {
        (Kind::Any, _) | (_, Kind::Any) => Ok(Kind::Any),
        (Kind::Double(low, high), Kind::Double(from, to)) => Ok(Kind::Double(low.min(from), high.max(to))),
        (Kind::Int(low, high), Kind::Int(from, to)) => Ok(Kind::Int(low.min(from), high.max(to))),
        (Kind::List(Some(left)), Kind::List(Some(right))) => join(part, *left, *right).map(list_of),
        (Kind::List(one), Kind::List(other)) => Ok(Kind::List(one.or(other))),
        (left @ (Kind::Bool | Kind::Text), right) if left == right => Ok(left),
        (left, right) => Err(wrong(part, format!("{} and {} do not compare", called(&left), called(&right)))),
    }
}

fn arithmetic(part: &IdedExpr, name: &str, (low, high): (i64, i64), (from, to): (i64, i64)) -> Checked {
    let all = |operation: fn(i128, i128) -> i128| {
        let ends = [(low, from), (low, to), (high, from), (high, to)];
        ends.map(|(left, right)| operation(i128::from(left), i128::from(right)))
    };
    let divides = matches!(name, operators::DIVIDE | operators::MODULO);
    if divides && from <= 0 && to >= 0 {
        return Err(wrong(part, MAY_DIVIDE_BY_ZERO));
    }
    match name {
        operators::ADD => range(part, &all(|left, right| left + right)),
        operators::SUBSTRACT => range(part, &all(|left, right| left - right)),
        operators::MULTIPLY => range(part, &all(|left, right| left * right)),
        // A divisor of either sign that is not zero makes nothing greater.
        operators::DIVIDE => range(part, &[i128::from(low), i128::from(high), -i128::from(low), -i128::from(high)]),
        operators::MODULO => {
            let most = i128::from(from).abs().max(i128::from(to).abs()) - 1;
            range(part, &[if low < 0 { -most } else { 0 }, most])
        }
        _ => Err(wrong(part, misfit(name, &[COUNT, COUNT]))),
    }
}

const MAY_DIVIDE_BY_ZERO: &str = "may divide by zero; divide by a number that cannot be zero";

/// The ends of a range lead to the ends of what is made of it, also where they are rounded.
#[allow(clippy::float_arithmetic, reason = "the same as what the expression does")]
fn decimal_arithmetic(part: &IdedExpr, name: &str, (low, high): (f64, f64), (from, to): (f64, f64)) -> Checked {
    let all = |operation: fn(f64, f64) -> f64| {
        let ends = [(low, from), (low, to), (high, from), (high, to)];
        decimal_range(part, &ends.map(|(left, right)| operation(left, right)))
    };
    match name {
        operators::ADD => all(|left, right| left + right),
        operators::SUBSTRACT => all(|left, right| left - right),
        operators::MULTIPLY => all(|left, right| left * right),
        operators::DIVIDE if from <= 0.0 && to >= 0.0 => Err(wrong(part, MAY_DIVIDE_BY_ZERO)),
        operators::DIVIDE => all(|left, right| left / right),
        _ => Err(wrong(part, misfit(name, &[Kind::Double(low, high), Kind::Double(from, to)]))),
    }
}

fn decimal_range(part: &IdedExpr, ends: &[f64]) -> Checked {
    let (low, high) = ends.iter().fold((f64::MAX, f64::MIN), |(low, high), end| (low.min(*end), high.max(*end)));
    match ends.iter().all(|end| end.is_finite()) {
        true => Ok(Kind::Double(low, high)),
        false => Err(wrong(part, format!("may give a decimal number that is too large{BOUNDS}"))),
    }
}

/// What keeps numbers of a body small.
const BOUNDS: &str = "; of a number in the body, the schema can say a `minimum` and a `maximum`";

fn range(part: &IdedExpr, ends: &[i128]) -> Checked {
    let end = |found: Option<&i128>| found.and_then(|end| i64::try_from(*end).ok());
    match (end(ends.iter().min()), end(ends.iter().max())) {
        (Some(low), Some(high)) => Ok(Kind::Int(low, high)),
        _ => Err(wrong(part, format!("may give a number of more than 64 bits{BOUNDS}"))),
    }
}

fn misfit(name: &str, kinds: &[Kind]) -> String {
    let operands: Vec<&str> = kinds.iter().map(called).collect();
    let name = name.trim_matches(['_', '@']);
    format!(
        "`{name}` does not take {}",
        if operands.is_empty() { "nothing".to_owned() } else { operands.join(" and ") }
    )
}

/// What people call a kind.
fn called(kind: &Kind) -> &'static str {
    match kind {
        Kind::Bool => "true or false",
        Kind::Int(..) => "a whole number",
        Kind::Double(..) => "a decimal number",
        Kind::Text => "a text",
        Kind::List(_) => "a list",
        Kind::Attributes => "attributes",
        Kind::Activity => "the activity",
        Kind::Line => "a line",
        Kind::Context => "the context",
        Kind::Member => "the member",
        Kind::Tier => "the tier",
        Kind::History => "the history",
        Kind::HistoryOf => "the history of a kind",
        Kind::HistoryIn => "the history of a window",
        Kind::Referrer | Kind::ReferredOf => "what the referred did",
        Kind::Object(_) => "a part of the body",
        Kind::Opaque | Kind::Any => "anything",
    }
}
