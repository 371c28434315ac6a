//! Expressions of rules, in the Common Expression Language: compiled once, checked when they are published, and split into
//! what depends on the activity alone and what needs the account.

mod account;
mod body;
mod check;
mod cost;
mod native;
mod walk;

use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, operators};
use cel::{Context, ExecutionError, IdedExpr, Program, Value};

pub use account::{AccountCondition, Fact};
pub(super) use body::{BodyKind, BodySeen, below, present};
use check::{Kind, Problem, Scope};
use native::Native;
pub(super) use native::Seen;
use walk::{conjuncts, mentions, unknown_variable};

use crate::limits;

/// A compiled expression that gives true or false.
#[derive(Debug)]
pub(super) struct Expression {
    /// What the activity alone decides.
    outside: Option<IdedExpr>,
    /// The same, and what is given to the account, without CEL, where all of it is known.
    native: Option<Native>,
    /// What needs the account.
    pub(super) account: Option<AccountCondition>,
    /// Whether the part outside looks at `lines`; building them is dear.
    pub(super) looks_at_lines: bool,
    /// Whether the part outside looks at `context`.
    pub(super) looks_at_context: bool,
    /// Whether it looks at `activity.body`.
    pub(super) looks_at_body: bool,
}

impl Expression {
    /// Compiles an expression that may look at some variables; `field` names it in messages.
    pub(super) fn compile(field: &str, text: &str, variables: &[&str]) -> Result<Self, String> {
        let parsed = parse(field, text)?;
        let root = parsed.expression();
        let place = |problem| placed(field, &parsed, text, &problem);
        if let Some(unknown) = unknown_variable(root, &mut variables.to_vec()) {
            let name = if let Expr::Ident(name) = &unknown.expr { name.as_str() } else { "" };
            let text = format!("refers to `{name}`; it may look at {}", variables.join(", "));
            return Err(place(Problem { part: unknown.id, text }));
        }
        let (inside, outside): (Vec<&IdedExpr>, Vec<&IdedExpr>) = if mentions(root, &account::ACCOUNT) {
            check_truth(root, BodySeen::Published).map_err(place)?;
            conjuncts(root).into_iter().partition(|term| mentions(term, &account::ACCOUNT))
        } else {
            (Vec::new(), vec![root])
        };
        let mut account = match inside.as_slice() {
            [] => None,
            terms => Some(AccountCondition::new(terms, BodySeen::Published).map_err(place)?),
        };
        let looks_at = |name: &str| {
            let given = account.iter().flat_map(|account| &account.given);
            outside.iter().copied().chain(given).any(|part| mentions(part, &[name]))
        };
        let (looks_at_lines, looks_at_context) = (looks_at("lines"), looks_at("context"));
        let given = account.as_ref().map_or(&[][..], |account| &account.given);
        // What publication would refuse today may fail, and CEL says how.
        let sound = check_truth(root, BodySeen::Published).is_ok();
        let looks_at_body = body::is_seen(root);
        let native = (sound && !looks_at_body).then(|| Native::new(&outside, given)).flatten();
        let outside = outside
            .into_iter()
            .cloned()
            .map(complete)
            .reduce(|left, right| call(operators::LOGICAL_AND, vec![left, right]));
        if let Some(account) = &mut account {
            account.given = std::mem::take(&mut account.given).into_iter().map(complete).collect();
        }
        Ok(Self { outside, native, account, looks_at_lines, looks_at_context, looks_at_body })
    }

    /// Whether it needs no CEL.
    pub(super) fn is_native(&self) -> bool {
        self.native.is_some()
    }

    /// What the part that needs the account takes from outside; the outer `None`: it needs CEL, the inner one: the part
    /// outside does not hold.
    pub(super) fn given_natively(&self, seen: &Seen<'_>) -> Option<Option<Vec<i64>>> {
        let native = self.native.as_ref()?;
        Some(native.holds(seen).then(|| native.given(seen)))
    }

    /// Whether the part outside holds; `None`: that needs CEL.
    pub(super) fn holds_natively(&self, seen: &Seen<'_>) -> Option<bool> {
        self.native.as_ref().map(|native| native.holds(seen))
    }

    /// Whether the part outside holds.
    pub(super) fn holds(&self, context: &Context<'_, '_>) -> Result<bool, String> {
        match self.outside.as_ref().map(|outside| Value::resolve(outside, context)) {
            None | Some(Ok(Value::Bool(true))) => Ok(true),
            Some(Ok(Value::Bool(false))) => Ok(false),
            Some(Ok(other)) => Err(format!("its expression gives {:?}, not true or false", other.type_of())),
            Some(Err(error)) => Err(told(&error)),
        }
    }

    /// What the part that needs the account takes from outside.
    pub(super) fn given(&self, context: &Context<'_, '_>) -> Result<Vec<i64>, String> {
        let given = self.account.iter().flat_map(|account| &account.given);
        let values = given.map(|part| match Value::resolve(part, context) {
            Ok(Value::Int(value)) => Ok(value),
            Ok(Value::Bool(truth)) => Ok(i64::from(truth)),
            Ok(other) => Err(format!("its expression gives {:?}, not a whole number", other.type_of())),
            Err(error) => Err(told(&error)),
        });
        values.collect()
    }

    /// Whether evaluating it needs a context at all.
    pub(super) fn needs_context(&self) -> bool {
        self.outside.is_some() || self.account.as_ref().is_some_and(|account| !account.given.is_empty())
    }
}

fn told(error: &ExecutionError) -> String {
    error.to_string()
}

/// What the parser says, with the line and column of its first complaint: `ERROR: <input>:1:15: Syntax error: …`.
fn not_cel(field: &str, errors: &str) -> String {
    let first = errors.split_once("<input>:").map_or(errors, |(_, rest)| rest.lines().next().unwrap_or_default());
    let mut parts = first.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(line), Some(column), Some(said)) if line.parse::<u32>().is_ok() && column.parse::<u32>().is_ok() => {
            format!("`{field}` line {line}, column {column}: this is not CEL: {}", said.trim())
        }
        _ => format!("`{field}` is not CEL: {errors}"),
    }
}

/// Refuses an expression that could fail, or that looks at what is not there. The message has its line and column.
pub(super) fn check(field: &str, text: &str, body: BodySeen<'_>) -> Result<(), String> {
    let parsed = parse(field, text)?;
    let root = parsed.expression();
    let of_account: Vec<&IdedExpr> =
        conjuncts(root).into_iter().filter(|term| mentions(term, &account::ACCOUNT)).collect();
    let checked = check_truth(root, body).and_then(|()| AccountCondition::new(&of_account, body).map(drop));
    checked.map_err(|problem| placed(field, &parsed, text, &problem))
}

/// Refuses an expression that compares the tier with one that the program does not have.
pub(super) fn check_tiers(field: &str, text: &str, tiers: &[&str]) -> Result<(), String> {
    let parsed = parse(field, text)?;
    let unknown = walk::find(parsed.expression(), &|part| {
        let (ids, _) = account::compares_tier(part)?;
        ids.into_iter().find(|(_, id)| !tiers.contains(&id.as_str())).map(|(part, id)| (part.id, id))
    });
    let Some((part, id)) = unknown else { return Ok(()) };
    let known = if tiers.is_empty() { "it has none".to_owned() } else { format!("it has {}", tiers.join(", ")) };
    let text_of = format!("the program has no tier `{id}`; {known}");
    Err(placed(field, &parsed, text, &Problem { part, text: text_of }))
}

fn check_truth(root: &IdedExpr, body: BodySeen<'_>) -> Result<(), Problem> {
    match Scope::new(body).check(root)? {
        Kind::Bool | Kind::Any => Ok(()),
        _ => Err(Problem { part: root.id, text: "must give true or false".to_owned() }),
    }
}

fn parse(field: &str, text: &str) -> Result<Program, String> {
    if text.len() > limits::EXPRESSION_CHARS {
        return Err(format!("`{field}` is longer than {} characters", limits::EXPRESSION_CHARS));
    }
    let parsed = Program::compile(text).map_err(|errors| not_cel(field, &errors.to_string()))?;
    if walk::is_deeper(parsed.expression(), limits::EXPRESSION_DEPTH) {
        let depth = limits::EXPRESSION_DEPTH;
        return Err(format!(
            "`{field}` has parts within parts, more than {depth} levels deep; split it into several rules"
        ));
    }
    cost::check(&parsed).map_err(|problem| format!("`{field}` {problem}"))?;
    Ok(parsed)
}

/// The message of a problem with its place in the text.
fn placed(field: &str, parsed: &Program, text: &str, problem: &Problem) -> String {
    let offset = parsed.source_info().offset_for(problem.part).map_or(0, |(start, _)| start as usize);
    let before: Vec<char> = text.chars().take(offset).collect();
    let line = before.iter().filter(|char| **char == '\n').count() + 1;
    let column = before.iter().rev().take_while(|char| **char != '\n').count() + 1;
    format!("`{field}` line {line}, column {column}: {}", problem.text)
}

/// Makes attributes that are missing empty texts, as all other texts that are missing are, and asks what was sent whether a
/// field of the body is there: as it is seen, each field is.
fn complete(mut part: IdedExpr) -> IdedExpr {
    if let Expr::Select(select) = &part.expr
        && select.test
        && let Some(path) = body::path(&part)
    {
        let activity = IdedExpr { id: 0, expr: Expr::Ident("activity".to_owned()) };
        let select = SelectExpr { operand: Box::new(activity), field: PRESENT.to_owned(), test: false };
        return call(operators::IN, vec![literal(path), IdedExpr { id: 0, expr: Expr::Select(select) }]);
    }
    part.expr = match part.expr {
        Expr::Select(select) if !select.test && is_attributes(&select.operand) => {
            let key = literal(select.field.clone());
            let there = call(operators::IN, vec![key, (*select.operand).clone()]);
            let found = IdedExpr { id: part.id, expr: Expr::Select(select) };
            return call(operators::CONDITIONAL, vec![there, found, literal(String::new())]);
        }
        Expr::Select(mut select) => {
            select.operand = Box::new(complete(*select.operand));
            Expr::Select(select)
        }
        Expr::Call(found) if is_attribute_index(&found) => {
            let there = call(operators::IN, found.args.iter().rev().cloned().collect());
            let found = IdedExpr { id: part.id, expr: Expr::Call(found) };
            return call(operators::CONDITIONAL, vec![there, found, literal(String::new())]);
        }
        Expr::Call(mut call) => {
            call.target = call.target.map(|target| Box::new(complete(*target)));
            call.args = call.args.into_iter().map(complete).collect();
            Expr::Call(call)
        }
        Expr::List(mut list) => {
            list.elements = list.elements.into_iter().map(complete).collect();
            Expr::List(list)
        }
        Expr::Comprehension(mut each) => {
            each.iter_range = complete(each.iter_range);
            each.loop_step = complete(each.loop_step);
            Expr::Comprehension(each)
        }
        other => other,
    };
    part
}

/// The field of `activity` with what was sent of the body; no expression may name it.
pub(super) const PRESENT: &str = "present";

fn is_attributes(part: &IdedExpr) -> bool {
    match &part.expr {
        Expr::Select(select) => {
            select.field == "attributes" && matches!(&select.operand.expr, Expr::Ident(name) if name == "activity")
        }
        _ => false,
    }
}

fn is_attribute_index(call: &CallExpr) -> bool {
    call.func_name == operators::INDEX && call.args.len() == 2 && call.args.first().is_some_and(is_attributes)
}

fn call(name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }) }
}

fn literal(text: String) -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::String(text.into())) }
}

#[cfg(test)]
mod tests;
