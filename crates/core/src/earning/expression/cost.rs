//! What an expression may cost: it runs for every activity, on up to 2,000 lines, and nothing interrupts it.
//!
//! A loop (`exists`, `all`, `map`, `filter`) over the lines is what expressions are for. A loop in a loop takes the square
//! of that, and a loop over what another one made can double its size each time: `.map(x, x + x).map(x, x + x)…`.

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr};
use cel::{IdedExpr, Program};

/// Refuses expressions whose cost is more than proportional to the activity.
pub(super) fn check(expression: &Program) -> Result<(), String> {
    visit(expression.expression(), Place::Outside)
}

/// Where a part of an expression stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Outside,
    /// In what a loop goes over.
    Range,
    /// In what a loop does each time.
    Step,
}

fn visit(part: &IdedExpr, place: Place) -> Result<(), String> {
    let all = |parts: &[IdedExpr]| parts.iter().try_for_each(|part| visit(part, place));
    match &part.expr {
        Expr::Unspecified | Expr::Literal(_) => Ok(()),
        Expr::Ident(name) if name == "lines" && place == Place::Step => {
            Err("looks at `lines` for each line anew; look at the line itself".to_owned())
        }
        Expr::Ident(_) => Ok(()),
        Expr::Call(call) => {
            call.target.as_deref().map_or(Ok(()), |target| visit(target, place))?;
            all(&call.args)
        }
        Expr::Select(select) => visit(&select.operand, place),
        Expr::List(list) => all(&list.elements),
        Expr::Map(map) => entries(&map.entries, place),
        Expr::Struct(made) => entries(&made.entries, place),
        Expr::Comprehension(_) if place != Place::Outside => {
            Err("has a loop (exists, all, map, filter) in or after another; write one loop".to_owned())
        }
        Expr::Comprehension(each) => {
            visit(&each.iter_range, Place::Range)?;
            let steps = [&each.accu_init, &each.loop_cond, &each.loop_step, &each.result];
            steps.into_iter().try_for_each(|step| visit(step, Place::Step))
        }
    }
}

fn entries(entries: &[IdedEntryExpr], place: Place) -> Result<(), String> {
    entries.iter().try_for_each(|entry| match &entry.expr {
        EntryExpr::StructField(field) => visit(&field.value, place),
        EntryExpr::MapEntry(entry) => visit(&entry.key, place).and_then(|()| visit(&entry.value, place)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Result<(), String> {
        check(&Program::compile(text).unwrap())
    }

    #[test]
    fn one_loop_at_a_time_is_enough() {
        for allowed in [
            "size(lines.filter(l, l.amount > 5)) >= 2 && lines.exists(l, l.sku == 'A')",
            "activity.net > 10000 || lines[0].sku in ['A', 'B']",
            "{'a': size(lines)}.a > 1",
        ] {
            assert_eq!(verdict(allowed), Ok(()), "{allowed}");
        }
        for dear in [
            "lines.exists(a, lines.exists(b, a.sku == b.sku))",
            "lines.map(x, x.sku).map(x, x + x).map(x, x + x) == []",
            "lines.map(x, lines + lines) == []",
            "[1, 2].exists(a, [3, 4].exists(b, a == b))",
            "size([{'a': lines.all(x, [lines] == [])}]) > 0",
        ] {
            assert!(verdict(dear).is_err(), "{dear}");
        }
    }
}
