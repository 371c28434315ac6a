//! Which lines of an activity count for which rules.

use cel::Context;

use super::expression::Expression;

/// A filter and what it said of each line. Rules with the same text share it.
pub(super) struct LineFilter<'a> {
    pub(super) text: &'a str,
    pub(super) expression: &'a Expression,
    /// For each line; or why it failed.
    pub(super) holds: Result<Vec<bool>, String>,
}

impl LineFilter<'_> {
    /// Looks at the next line.
    pub(super) fn add(&mut self, context: &Context<'_, '_>) {
        let Ok(holds) = &mut self.holds else { return };
        match self.expression.holds(context) {
            Ok(truth) => holds.push(truth),
            Err(problem) => self.holds = Err(problem),
        }
    }
}

/// The lines of an activity, filtered.
pub(super) struct LineFilters<'a> {
    /// In minor units.
    pub(super) amounts: Vec<i64>,
    pub(super) filters: Vec<LineFilter<'a>>,
}

impl LineFilters<'_> {
    /// How many lines pass all of some filters, and their money.
    pub(super) fn counted(&self, texts: &[&str]) -> Result<(i64, i64), String> {
        let chosen = self.filters.iter().filter(|filter| texts.contains(&filter.text));
        let chosen =
            chosen.map(|filter| filter.holds.as_ref()).collect::<Result<Vec<_>, _>>().map_err(String::clone)?;
        let passes = |index: &usize| chosen.iter().all(|holds| holds.get(*index).copied().unwrap_or_default());
        let passed = self.amounts.iter().enumerate().filter(|(index, _)| passes(index));
        Ok(passed.fold((0, 0), |(count, sum), (_, amount)| (count + 1, i64::saturating_add(sum, *amount))))
    }
}
