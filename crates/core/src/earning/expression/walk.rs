//! Walks over parsed expressions.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr};

/// The parts of which an expression consists, one level down.
pub(super) fn parts(expression: &IdedExpr) -> Vec<&IdedExpr> {
    match &expression.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => Vec::new(),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(entry).collect(),
        Expr::Struct(made) => made.entries.iter().flat_map(entry).collect(),
        Expr::Comprehension(each) => {
            vec![&each.iter_range, &each.accu_init, &each.loop_cond, &each.loop_step, &each.result]
        }
    }
}

fn entry(entry: &IdedEntryExpr) -> Vec<&IdedExpr> {
    match &entry.expr {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

/// Whether an expression has more than `limit` levels: whatever walks over it goes down level by level on the stack, so this
/// is asked first, and without going down.
pub(super) fn is_deeper(expression: &IdedExpr, limit: usize) -> bool {
    let mut level = vec![expression];
    for _ in 0..limit {
        level = level.into_iter().flat_map(parts).collect();
        if level.is_empty() {
            return false;
        }
    }
    true
}

/// Whether a variable stands anywhere in an expression.
pub(super) fn mentions(expression: &IdedExpr, names: &[&str]) -> bool {
    match &expression.expr {
        Expr::Ident(name) => names.contains(&name.as_str()),
        _ => parts(expression).into_iter().any(|part| mentions(part, names)),
    }
}

/// The first thing that is found in a part of an expression.
pub(super) fn find<T>(expression: &IdedExpr, look: &impl Fn(&IdedExpr) -> Option<T>) -> Option<T> {
    look(expression).or_else(|| parts(expression).into_iter().find_map(|part| find(part, look)))
}

/// The first variable that is neither among `known` nor bound by a loop.
pub(super) fn unknown_variable<'a>(expression: &'a IdedExpr, known: &mut Vec<&'a str>) -> Option<&'a IdedExpr> {
    match &expression.expr {
        Expr::Ident(name) => (!known.contains(&name.as_str())).then_some(expression),
        Expr::Comprehension(each) => {
            let outer = known.len();
            let found = unknown_variable(&each.iter_range, known);
            known.extend([each.iter_var.as_str(), each.accu_var.as_str()]);
            known.extend(each.iter_var2.as_deref());
            let inner = [&each.accu_init, &each.loop_cond, &each.loop_step, &each.result];
            let found = found.or_else(|| inner.into_iter().find_map(|part| unknown_variable(part, known)));
            known.truncate(outer);
            found
        }
        _ => parts(expression).into_iter().find_map(|part| unknown_variable(part, known)),
    }
}

/// The terms that must all hold: what stands between the outermost `&&`.
pub(super) fn conjuncts(expression: &IdedExpr) -> Vec<&IdedExpr> {
    match &expression.expr {
        Expr::Call(call) if call.func_name == cel::common::ast::operators::LOGICAL_AND => {
            call.args.iter().flat_map(conjuncts).collect()
        }
        _ => vec![expression],
    }
}
