//! The part of an expression outside of the account, evaluated directly over the activity, without the values that CEL
//! would have to be given first. It says what CEL says: a property test holds the two against each other.
//!
//! Only expressions that publication would accept are taken, of which no operation can fail. What is not known here
//! (decimal numbers, texts that are put together, lists that are made) is left to CEL, for the whole expression.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, SelectExpr, operators};
use regex::Regex;

use super::is_attributes;
use crate::earning::activity::ActivityLine;
use crate::earning::facts::{Measured, Moment};

/// What an expression may look at.
#[derive(Clone, Copy)]
pub(in crate::earning) struct Seen<'a> {
    pub(in crate::earning) measured: &'a Measured<'a>,
    pub(in crate::earning) moment: Moment,
    /// The variable `line`, or that of a loop, and its money.
    pub(in crate::earning) line: Option<(&'a ActivityLine, i64)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Debug)]
pub(super) enum Truth {
    Is(bool),
    Not(Box<Truth>),
    And(Box<(Truth, Truth)>),
    Or(Box<(Truth, Truth)>),
    If(Box<(Truth, Truth, Truth)>),
    Truths(Comparison, Box<(Truth, Truth)>),
    Numbers(Comparison, Box<(Number, Number)>),
    Texts(Comparison, Box<(Text, Text)>),
    NumberIn(Number, Vec<Number>),
    TextIn(Text, Vec<Text>),
    HasAttribute(Text),
    Contains(Text, Text),
    StartsWith(Text, Text),
    EndsWith(Text, Text),
    Matches(Text, Regex),
    Some(Box<Truth>),
    All(Box<Truth>),
    One(Box<Truth>),
}

#[derive(Debug)]
pub(super) enum Number {
    Is(i64),
    Net,
    LineAmount,
    Weekday,
    Hour,
    Day,
    Month,
    SizeOf(Text),
    Lines,
    LinesFor(Box<Truth>),
    Negate(Box<Number>),
    Calculate(Calculation, Box<(Number, Number)>),
    If(Box<(Truth, Number, Number)>),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Calculation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

#[derive(Debug)]
pub(super) enum Text {
    Is(String),
    Kind,
    Store,
    Channel,
    Attribute(String),
    Sku,
    Description,
    Category,
    If(Box<(Truth, Text, Text)>),
}

/// The name of the variable that is the line in hand.
#[derive(Clone, Copy)]
pub(super) struct Names<'a>(pub(super) &'a str);

impl<'a> Names<'a> {
    pub(super) fn truth(self, part: &'a IdedExpr) -> Option<Truth> {
        match &part.expr {
            Expr::Literal(LiteralValue::Boolean(value)) => Some(Truth::Is(*value.inner())),
            Expr::Select(select) if select.test => self.has(select),
            Expr::Call(call) => self.truth_of_call(call),
            Expr::Comprehension(each) => self.each(each),
            _ => None,
        }
    }

    /// `has(…)`: all fields are there, attributes may be.
    fn has(self, select: &'a SelectExpr) -> Option<Truth> {
        if is_attributes(&select.operand) {
            return Some(Truth::HasAttribute(Text::Is(select.field.clone())));
        }
        let known = matches!(&select.operand.expr, Expr::Ident(name) if ["activity", "context", self.0].contains(&name.as_str()));
        known.then_some(Truth::Is(true))
    }

    fn truth_of_call(self, call: &'a CallExpr) -> Option<Truth> {
        let parts: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
        let both = |left, right| Some(Box::new((self.truth(left)?, self.truth(right)?)));
        let texts = |left, right| Some((self.text(left)?, self.text(right)?));
        match (call.func_name.as_str(), parts.as_slice()) {
            (operators::LOGICAL_NOT, [of]) => Some(Truth::Not(Box::new(self.truth(of)?))),
            (operators::LOGICAL_AND, [left, right]) => both(left, right).map(Truth::And),
            (operators::LOGICAL_OR, [left, right]) => both(left, right).map(Truth::Or),
            (operators::CONDITIONAL, [condition, yes, no]) => {
                Some(Truth::If(Box::new((self.truth(condition)?, self.truth(yes)?, self.truth(no)?))))
            }
            (operators::IN, [item, list]) => self.is_in(item, list),
            ("contains", [text, part]) => texts(text, part).map(|(text, part)| Truth::Contains(text, part)),
            ("startsWith", [text, part]) => texts(text, part).map(|(text, part)| Truth::StartsWith(text, part)),
            ("endsWith", [text, part]) => texts(text, part).map(|(text, part)| Truth::EndsWith(text, part)),
            ("matches", [text, pattern]) => match &pattern.expr {
                Expr::Literal(LiteralValue::String(pattern)) => {
                    Some(Truth::Matches(self.text(text)?, Regex::new(pattern.inner()).ok()?))
                }
                _ => None,
            },
            (name, [left, right]) => self.compare(comparison(name)?, left, right),
            _ => None,
        }
    }

    fn compare(self, comparison: Comparison, left: &'a IdedExpr, right: &'a IdedExpr) -> Option<Truth> {
        if let (Some(left), Some(right)) = (self.number(left), self.number(right)) {
            return Some(Truth::Numbers(comparison, Box::new((left, right))));
        }
        if let (Some(left), Some(right)) = (self.text(left), self.text(right)) {
            return Some(Truth::Texts(comparison, Box::new((left, right))));
        }
        match comparison {
            Comparison::Equal | Comparison::NotEqual => {
                Some(Truth::Truths(comparison, Box::new((self.truth(left)?, self.truth(right)?))))
            }
            _ => None,
        }
    }

    fn is_in(self, item: &'a IdedExpr, list: &'a IdedExpr) -> Option<Truth> {
        if is_attributes(list) {
            return Some(Truth::HasAttribute(self.text(item)?));
        }
        let Expr::List(list) = &list.expr else { return None };
        if let Some(number) = self.number(item) {
            let items = list.elements.iter().map(|one| self.number(one)).collect::<Option<_>>()?;
            return Some(Truth::NumberIn(number, items));
        }
        let items = list.elements.iter().map(|one| self.text(one)).collect::<Option<_>>()?;
        Some(Truth::TextIn(self.text(item)?, items))
    }

    /// A loop over the lines: `exists`, `all`, `exists_one`.
    fn each(self, each: &'a ComprehensionExpr) -> Option<Truth> {
        if !is_lines(&each.iter_range) {
            return None;
        }
        let item = Names(&each.iter_var);
        let Expr::Call(step) = &each.loop_step.expr else { return None };
        let is_result = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if *name == each.accu_var);
        match (&each.accu_init.expr, step.func_name.as_str(), step.args.as_slice()) {
            (Expr::Literal(LiteralValue::Boolean(begin)), operators::LOGICAL_OR, [result, of])
                if !*begin.inner() && is_result(result) && is_result(&each.result) =>
            {
                Some(Truth::Some(Box::new(item.truth(of)?)))
            }
            (Expr::Literal(LiteralValue::Boolean(begin)), operators::LOGICAL_AND, [result, of])
                if *begin.inner() && is_result(result) && is_result(&each.result) =>
            {
                Some(Truth::All(Box::new(item.truth(of)?)))
            }
            (Expr::Literal(LiteralValue::Int(begin)), operators::CONDITIONAL, [of, _, result])
                if *begin.inner() == 0 && is_result(result) && !is_result(&each.result) =>
            {
                Some(Truth::One(Box::new(item.truth(of)?)))
            }
            _ => None,
        }
    }

    pub(super) fn number(self, part: &'a IdedExpr) -> Option<Number> {
        match &part.expr {
            Expr::Literal(LiteralValue::Int(value)) => Some(Number::Is(*value.inner())),
            Expr::Select(select) if !select.test => {
                let Expr::Ident(of) = &select.operand.expr else { return None };
                match (of.as_str(), select.field.as_str()) {
                    (of, "amount") if of == self.0 => Some(Number::LineAmount),
                    ("activity", "net") => Some(Number::Net),
                    ("context", "weekday") => Some(Number::Weekday),
                    ("context", "hour") => Some(Number::Hour),
                    ("context", "day") => Some(Number::Day),
                    ("context", "month") => Some(Number::Month),
                    _ => None,
                }
            }
            Expr::Call(call) => self.number_of_call(call),
            _ => None,
        }
    }

    fn number_of_call(self, call: &'a CallExpr) -> Option<Number> {
        let parts: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
        match (call.func_name.as_str(), parts.as_slice()) {
            ("size", [of]) if is_lines(of) => Some(Number::Lines),
            ("size", [of]) => match &of.expr {
                Expr::Comprehension(each) => Some(Number::LinesFor(Box::new(filter(each)?))),
                _ => Some(Number::SizeOf(self.text(of)?)),
            },
            (operators::NEGATE, [of]) => Some(Number::Negate(Box::new(self.number(of)?))),
            (operators::CONDITIONAL, [condition, yes, no]) => {
                Some(Number::If(Box::new((self.truth(condition)?, self.number(yes)?, self.number(no)?))))
            }
            (name, [left, right]) if call.target.is_none() => {
                let numbers = Box::new((self.number(left)?, self.number(right)?));
                Some(Number::Calculate(calculation(name)?, numbers))
            }
            _ => None,
        }
    }

    fn text(self, part: &'a IdedExpr) -> Option<Text> {
        match &part.expr {
            Expr::Literal(LiteralValue::String(text)) => Some(Text::Is(text.inner().to_owned())),
            Expr::Select(select) if !select.test && is_attributes(&select.operand) => {
                Some(Text::Attribute(select.field.clone()))
            }
            Expr::Select(select) if !select.test => {
                let Expr::Ident(of) = &select.operand.expr else { return None };
                match (of.as_str(), select.field.as_str()) {
                    (of, "sku") if of == self.0 => Some(Text::Sku),
                    (of, "description") if of == self.0 => Some(Text::Description),
                    (of, "category") if of == self.0 => Some(Text::Category),
                    ("activity", "kind") => Some(Text::Kind),
                    ("activity" | "context", "store") => Some(Text::Store),
                    ("activity" | "context", "channel") => Some(Text::Channel),
                    _ => None,
                }
            }
            Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
                (operators::INDEX, [of, key]) if is_attributes(of) => match &key.expr {
                    Expr::Literal(LiteralValue::String(name)) => Some(Text::Attribute(name.inner().to_owned())),
                    _ => None,
                },
                (operators::CONDITIONAL, [condition, yes, no]) => {
                    Some(Text::If(Box::new((self.truth(condition)?, self.text(yes)?, self.text(no)?))))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// What a loop `lines.filter(…)` asks of each line.
fn filter(each: &ComprehensionExpr) -> Option<Truth> {
    let Expr::Call(step) = &each.loop_step.expr else { return None };
    let is_result = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if *name == each.accu_var);
    let empty = matches!(&each.accu_init.expr, Expr::List(list) if list.elements.is_empty());
    match (step.func_name.as_str(), step.args.as_slice()) {
        (operators::CONDITIONAL, [of, more, result]) if empty && is_lines(&each.iter_range) && is_result(result) => {
            let Expr::Call(more) = &more.expr else { return None };
            let [_, added] = more.args.as_slice() else { return None };
            let Expr::List(added) = &added.expr else { return None };
            let [added] = added.elements.as_slice() else { return None };
            let itself = matches!(&added.expr, Expr::Ident(name) if *name == each.iter_var);
            (itself && is_result(&each.result)).then(|| Names(&each.iter_var).truth(of))?
        }
        _ => None,
    }
}

fn is_lines(part: &IdedExpr) -> bool {
    matches!(&part.expr, Expr::Ident(name) if name == "lines")
}

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::NotEqual,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterEqual,
        _ => return None,
    })
}

fn calculation(name: &str) -> Option<Calculation> {
    Some(match name {
        operators::ADD => Calculation::Add,
        operators::SUBSTRACT => Calculation::Subtract,
        operators::MULTIPLY => Calculation::Multiply,
        operators::DIVIDE => Calculation::Divide,
        operators::MODULO => Calculation::Modulo,
        _ => return None,
    })
}

impl Comparison {
    fn holds<T: Ord>(self, left: T, right: T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterEqual => left >= right,
        }
    }
}

/// The lines, each as what is seen.
fn lines<'a>(seen: &Seen<'a>) -> impl Iterator<Item = Seen<'a>> {
    let Seen { measured, moment, .. } = *seen;
    let lines = measured.activity.lines.iter().zip(&measured.amounts);
    lines.map(move |(line, amount)| Seen { measured, moment, line: Some((line, *amount)) })
}

impl Truth {
    pub(super) fn holds(&self, seen: &Seen<'_>) -> bool {
        match self {
            Self::Is(truth) => *truth,
            Self::Not(of) => !of.holds(seen),
            Self::And(both) => both.0.holds(seen) && both.1.holds(seen),
            Self::Or(both) => both.0.holds(seen) || both.1.holds(seen),
            Self::If(parts) => if parts.0.holds(seen) { &parts.1 } else { &parts.2 }.holds(seen),
            Self::Truths(comparison, both) => comparison.holds(both.0.holds(seen), both.1.holds(seen)),
            Self::Numbers(comparison, both) => comparison.holds(both.0.value(seen), both.1.value(seen)),
            Self::Texts(comparison, both) => comparison.holds(both.0.text(seen), both.1.text(seen)),
            Self::NumberIn(item, list) => {
                let item = item.value(seen);
                list.iter().any(|one| one.value(seen) == item)
            }
            Self::TextIn(item, list) => {
                let item = item.text(seen);
                list.iter().any(|one| one.text(seen) == item)
            }
            Self::HasAttribute(name) => seen.measured.activity.attributes.contains_key(name.text(seen)),
            Self::Contains(text, part) => text.text(seen).contains(part.text(seen)),
            Self::StartsWith(text, part) => text.text(seen).starts_with(part.text(seen)),
            Self::EndsWith(text, part) => text.text(seen).ends_with(part.text(seen)),
            Self::Matches(text, pattern) => pattern.is_match(text.text(seen)),
            Self::Some(of) => lines(seen).any(|line| of.holds(&line)),
            Self::All(of) => lines(seen).all(|line| of.holds(&line)),
            Self::One(of) => lines(seen).filter(|line| of.holds(line)).count() == 1,
        }
    }
}

impl Number {
    pub(super) fn value(&self, seen: &Seen<'_>) -> i64 {
        match self {
            Self::Is(value) => *value,
            Self::Net => seen.measured.net,
            Self::LineAmount => seen.line.map_or(0, |(_, amount)| amount),
            Self::Weekday => i64::from(seen.moment.weekday),
            Self::Hour => i64::from(seen.moment.hour),
            Self::Day => i64::from(seen.moment.day),
            Self::Month => i64::from(seen.moment.month),
            Self::SizeOf(text) => text.text(seen).chars().count() as i64,
            Self::Lines => seen.measured.activity.lines.len() as i64,
            Self::LinesFor(of) => lines(seen).filter(|line| of.holds(line)).count() as i64,
            Self::Negate(of) => of.value(seen).saturating_neg(),
            Self::If(parts) => if parts.0.holds(seen) { &parts.1 } else { &parts.2 }.value(seen),
            Self::Calculate(calculation, both) => {
                let (left, right) = (both.0.value(seen), both.1.value(seen));
                match calculation {
                    Calculation::Add => left.saturating_add(right),
                    Calculation::Subtract => left.saturating_sub(right),
                    Calculation::Multiply => left.saturating_mul(right),
                    Calculation::Divide => left.checked_div(right).unwrap_or_default(),
                    Calculation::Modulo => left.checked_rem(right).unwrap_or_default(),
                }
            }
        }
    }
}

impl Text {
    fn text<'a>(&'a self, seen: &Seen<'a>) -> &'a str {
        let activity = seen.measured.activity;
        let of_line =
            |field: fn(&ActivityLine) -> Option<&str>| seen.line.and_then(|(line, _)| field(line)).unwrap_or_default();
        match self {
            Self::Is(text) => text,
            Self::Kind => &activity.kind,
            Self::Store => activity.store.as_deref().unwrap_or_default(),
            Self::Channel => activity.channel.as_deref().unwrap_or_default(),
            Self::Attribute(name) => activity.attributes.get(name).map_or("", String::as_str),
            Self::Sku => of_line(|line| line.sku.as_deref()),
            Self::Description => of_line(|line| line.description.as_deref()),
            Self::Category => of_line(|line| line.category.as_deref()),
            Self::If(parts) => if parts.0.holds(seen) { &parts.1 } else { &parts.2 }.text(seen),
        }
    }
}

/// What the account's part of a condition takes from outside.
#[derive(Debug)]
pub(super) enum Given {
    Truth(Truth),
    Number(Number),
}

/// An expression of which all parts are known here.
#[derive(Debug)]
pub(super) struct Native {
    /// All must hold.
    terms: Vec<Truth>,
    given: Vec<Given>,
}

impl Native {
    /// From the terms outside and what is given to the account's part; `None`: not all of it is known here.
    pub(super) fn new(terms: &[&IdedExpr], given: &[IdedExpr]) -> Option<Self> {
        let names = Names("line");
        let one = |part| {
            let truth = || names.truth(part).map(Given::Truth);
            names.number(part).map(Given::Number).or_else(truth)
        };
        Some(Self {
            terms: terms.iter().map(|term| names.truth(term)).collect::<Option<_>>()?,
            given: given.iter().map(one).collect::<Option<_>>()?,
        })
    }

    pub(super) fn holds(&self, seen: &Seen<'_>) -> bool {
        self.terms.iter().all(|term| term.holds(seen))
    }

    pub(super) fn given(&self, seen: &Seen<'_>) -> Vec<i64> {
        let value = |given: &Given| match given {
            Given::Truth(truth) => i64::from(truth.holds(seen)),
            Given::Number(number) => number.value(seen),
        };
        self.given.iter().map(value).collect()
    }
}
