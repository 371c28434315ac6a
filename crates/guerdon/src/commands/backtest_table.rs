//! A backtest as text: live, draft and the difference, side by side.

use std::fmt::Write;

use guerdon_backtest::Backtest;
use guerdon_core::backtest::{CurrencyComparison, Flows, Group, Pair, SideReport};
use guerdon_core::program::Program;

use crate::progress::{grouped, money};

/// The table of everything.
pub fn text(backtest: &Backtest, program: &Program) -> String {
    let mut table = Table { text: String::new(), money: &backtest.comparison.money, program };
    let comparison = &backtest.comparison;
    for currency in &comparison.currencies {
        table.currency(currency);
    }
    let name = comparison.main().map_or("points", |currency| currency.code.as_str());
    table.line(&format!("\nMembers ({name} earned, less what returns took back)"));
    let count = |number: u64| grouped(i64::try_from(number).unwrap_or(i64::MAX));
    let (better, worse) = (comparison.better, comparison.worse);
    table.line(&format!("  better off {:>14}, by {} {name}", count(better), grouped(comparison.more)));
    table.line(&format!("  worse off  {:>14}, by {} {name}", count(worse), grouped(comparison.less)));
    table.line(&format!("  the same   {:>14}", count(comparison.members.saturating_sub(better + worse))));
    if !comparison.most_affected.is_empty() {
        table.head("Most affected");
    }
    for affected in &comparison.most_affected {
        let who = affected.number.clone().unwrap_or_else(|| affected.member.to_string());
        table.row(&who, affected.earned);
    }
    table.side("Live", &comparison.sides.live);
    table.side("Draft", &comparison.sides.draft);
    for problem in backtest.problems.iter().take(10) {
        table.line(&format!("  row {}: {} ({})", problem.row, problem.reason, problem.code));
    }
    if backtest.problems.len() > 10 {
        table.line(&format!("  … and {} more rows that cannot be read", backtest.problems.len() - 10));
    }
    table.text
}

struct Table<'a> {
    text: String,
    money: &'a str,
    program: &'a Program,
}

impl Table<'_> {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{line}");
    }

    fn head(&mut self, what: &str) {
        self.line(&format!("\n{what:<30} {:>16} {:>16} {:>16}", "live", "draft", "difference"));
    }

    fn row(&mut self, what: &str, pair: Pair<i64>) {
        let shown = |number: i64| grouped(number);
        let difference = pair.draft.saturating_sub(pair.live);
        let sign = if difference > 0 { "+" } else { "" };
        let (live, draft) = (shown(pair.live), shown(pair.draft));
        self.line(&format!("  {what:<28} {live:>16} {draft:>16} {:>16}", format!("{sign}{}", shown(difference))));
    }

    fn money_row(&mut self, what: &str, pair: Pair<i64>) {
        let shown = |minor: i64| {
            let text = money(self.money, self.program.money_digits, minor.saturating_abs());
            if minor < 0 { format!("-{text}") } else { text }
        };
        let difference = pair.draft.saturating_sub(pair.live);
        let sign = if difference > 0 { "+" } else { "" };
        let (live, draft) = (shown(pair.live), shown(pair.draft));
        self.line(&format!("  {what:<28} {live:>16} {draft:>16} {:>16}", format!("{sign}{}", shown(difference))));
    }

    fn currency(&mut self, currency: &CurrencyComparison) {
        self.head(currency.name.get("en"));
        let of =
            |what: fn(&Flows) -> i64| Pair { live: what(&currency.flows.live), draft: what(&currency.flows.draft) };
        for (what, pair) in [
            ("issued", of(|flows| flows.issued)),
            ("taken back", of(|flows| flows.taken_back)),
            ("redeemed", of(|flows| flows.redeemed)),
            ("expired", of(|flows| flows.expired)),
            ("adjusted by hand", of(|flows| flows.adjusted)),
            ("outstanding", currency.outstanding),
        ] {
            if pair != Pair::default() {
                self.row(what, pair);
            }
        }
        self.money_row("cost", currency.cost);
        self.money_row("liability", currency.liability);
        for (what, groups) in [
            ("Earned by rule", &currency.rules),
            ("Earned by month", &currency.months),
            ("Earned by tier", &currency.tiers),
            ("Earned by segment", &currency.segments),
        ] {
            self.groups(what, groups);
        }
    }

    fn groups(&mut self, what: &str, groups: &[Group]) {
        if !groups.is_empty() {
            self.head(what);
        }
        for group in groups {
            let (live, draft) = (group.flows.live.earned(), group.flows.draft.earned());
            self.row(&group.name, Pair { live, draft });
        }
    }

    fn side(&mut self, what: &str, report: &SideReport) {
        if report.short_orders > 0 {
            let (orders, points) = (report.short_orders, grouped(report.short_points));
            self.line(&format!("\n{what}: {orders} recorded orders would have lacked {points} points."));
        }
        for (code, count) in &report.refused {
            self.line(&format!("\n{what}: {count} refused as {code}"));
        }
        for refused in &report.refusals {
            self.line(&format!("  {} {}: {}", refused.at, refused.member, refused.reason));
        }
    }
}
