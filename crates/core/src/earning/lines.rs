//! Which lines of an activity count for which rules.

use cel::{Context, Value};

use super::expression::{Expression, Seen};
use super::facts::{Measured, line_value};

/// A filter and what it said of each line. Rules with the same text share it.
struct LineFilter<'a> {
    text: &'a str,
    /// For each line; or why it failed.
    holds: Result<Vec<bool>, String>,
}

/// The lines of an activity, and the filters that were asked for.
pub(super) struct LineFilters<'a> {
    measured: &'a Measured<'a>,
    /// In minor units; on a return of a purchase what comes back is looked at as it was bought.
    amounts: Vec<i64>,
    filters: Vec<LineFilter<'a>>,
    /// The lines as CEL sees them, made when the first filter needs it.
    values: Option<Vec<Value>>,
}

impl<'a> LineFilters<'a> {
    pub(super) fn new(measured: &'a Measured<'a>) -> Self {
        // On a return the quantities are negative or positive alike.
        let back = measured.activity.returned_purchase().is_some();
        let of = |amount: &i64| if back { amount.saturating_abs() } else { *amount };
        Self { measured, amounts: measured.amounts.iter().map(of).collect(), filters: Vec::new(), values: None }
    }

    /// The place of a filter that was asked for before.
    pub(super) fn known(&self, text: &str) -> Option<usize> {
        self.filters.iter().position(|filter| std::ptr::eq(filter.text, text) || filter.text == text)
    }

    /// Looks at each line without CEL.
    pub(super) fn add_native(&mut self, text: &'a str, filter: &Expression, seen: Seen<'a>) -> usize {
        let lines = self.measured.activity.lines.iter().zip(&self.amounts);
        let holds = lines.map(|(line, amount)| {
            filter.holds_natively(&Seen { line: Some((line, *amount)), ..seen }).unwrap_or_default()
        });
        self.push(text, Ok(holds.collect()))
    }

    /// Looks at each line by CEL.
    pub(super) fn add(&mut self, text: &'a str, filter: &Expression, context: &mut Context<'static, 'static>) -> usize {
        let lines = self.measured.activity.lines.iter().zip(&self.amounts);
        let values = self.values.get_or_insert_with(|| lines.map(|(line, amount)| line_value(line, *amount)).collect());
        let holds = values.iter().map(|value| {
            context.add_variable_from_value("line", value.clone());
            filter.holds(context)
        });
        let holds = holds.collect();
        self.push(text, holds)
    }

    fn push(&mut self, text: &'a str, holds: Result<Vec<bool>, String>) -> usize {
        self.filters.push(LineFilter { text, holds });
        self.filters.len() - 1
    }

    /// How many lines pass all of some filters, and their money.
    pub(super) fn counted(&self, filters: &[usize]) -> Result<(i64, i64), String> {
        let chosen = filters.iter().filter_map(|place| self.filters.get(*place)).map(|filter| filter.holds.as_ref());
        let chosen = chosen.collect::<Result<Vec<_>, _>>().map_err(String::clone)?;
        let passes = |index: &usize| chosen.iter().all(|holds| holds.get(*index).copied().unwrap_or_default());
        let passed = self.amounts.iter().enumerate().filter(|(index, _)| passes(index));
        Ok(passed.fold((0, 0), |(count, sum), (_, amount)| (count + 1, i64::saturating_add(sum, *amount))))
    }
}
