//! Purchases and returns from the lines of a file: one activity for each number, at its earliest time.

use anyhow::Result;
use guerdon_core::earning::{Activity, ActivityLine, round_half_away};
use guerdon_core::limits;
use guerdon_core::program::Program;
use guerdon_core::time::{Calendar, Timestamp};
use rust_decimal::Decimal;
use rustc_hash::FxHashMap;

use crate::mapping::Mapping;
use crate::rows::{Source, read_rows};
use crate::run::RowProblem;

/// One activity as put together from its rows.
#[derive(Debug)]
pub struct Purchase {
    /// Its number in the file.
    pub number: String,
    /// The member's number.
    pub member: String,
    /// When it happened: the earliest time of its rows.
    pub at: Timestamp,
    /// Country of the first row that names one.
    pub country: Option<String>,
    /// What is sent to the kernel.
    pub activity: Activity,
    /// The first row of the file that belongs to it.
    pub row: u64,
    refused: bool,
}

impl Purchase {
    /// The idempotency key under which an import records it, and by which a return names it.
    pub fn key(&self) -> String {
        format!("{}:{}", self.activity.kind, self.number)
    }
}

/// What a file of purchases held.
#[derive(Debug, Default)]
pub struct Purchases {
    /// Activities in the order of their time, then of their number as text.
    pub purchases: Vec<Purchase>,
    /// Rows read.
    pub rows: u64,
    /// Rows without a member that were skipped.
    pub rows_without_member: u64,
    /// Rows that were refused, and the activities lost with them.
    pub problems: Vec<RowProblem>,
}

struct Builder<'a> {
    mapping: &'a Mapping,
    calendar: Calendar,
    minor_per_major: Decimal,
    fields: Vec<&'a str>,
    by_number: FxHashMap<String, usize>,
    found: Purchases,
}

/// A row's values by field.
struct Row<'r> {
    fields: &'r [&'r str],
    values: &'r [&'r str],
}

impl Row<'_> {
    fn get(&self, field: &str) -> Option<&str> {
        let index = self.fields.iter().position(|known| *known == field)?;
        self.values.get(index).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn text(&self, field: &str) -> Option<String> {
        self.get(field).map(str::to_owned)
    }

    fn required(&self, field: &str) -> Result<&str, String> {
        self.get(field).ok_or_else(|| format!("`{field}` is empty"))
    }

    fn decimal(&self, field: &str) -> Result<Decimal, String> {
        let text = self.required(field)?;
        text.parse()
            .or_else(|_| Decimal::from_scientific(text))
            .map_err(|_| format!("`{field}` is `{}`, which is not a number", text.chars().take(40).collect::<String>()))
    }
}

/// Reads a file of purchases. An activity with a refused row is refused whole: a part of it would earn wrongly.
pub fn read_purchases(
    program: &Program,
    mapping: &Mapping,
    source: &Source,
    progress: &dyn Fn(u64),
) -> Result<Purchases> {
    let (fields, columns) = mapping.fields_and_columns();
    let calendar = match &mapping.time_zone {
        Some(zone) => Calendar::new(zone).map_err(anyhow::Error::msg)?,
        None => program.calendar.clone(),
    };
    let mut builder = Builder {
        mapping,
        calendar,
        minor_per_major: Decimal::from(program.minor_per_major()),
        fields,
        by_number: FxHashMap::default(),
        found: Purchases::default(),
    };
    read_rows(source, source.format(mapping)?, &columns, &mut |line, values| {
        builder.add(line, values);
        if builder.found.rows.is_multiple_of(10_000) {
            progress(builder.found.rows);
        }
        Ok(())
    })?;
    Ok(builder.finish())
}

impl Builder<'_> {
    fn add(&mut self, line: u64, values: &[&str]) {
        self.found.rows += 1;
        let fields = std::mem::take(&mut self.fields);
        let row = Row { fields: &fields, values };
        if row.get("member").is_none() && self.mapping.skip_rows_without_member {
            self.found.rows_without_member += 1;
        } else if let Err(reason) = self.add_row(line, &row) {
            self.found.problems.push(RowProblem { row: line, code: "invalid_row".to_owned(), reason });
            let purchase = row.get("activity").and_then(|number| self.by_number.get(number));
            if let Some(purchase) = purchase.and_then(|index| self.found.purchases.get_mut(*index)) {
                purchase.refused = true;
            } else if let Some(number) = row.text("activity") {
                self.start(line, &row, number, Timestamp::ZERO, true);
            }
        }
        self.fields = fields;
    }

    fn add_row(&mut self, line: u64, row: &Row<'_>) -> Result<(), String> {
        let number = row.required("activity")?;
        let member = self.member_number(row.required("member")?);
        let at = self.time(row.required("time")?)?;
        let item = self.line(row)?;
        let index = match self.by_number.get(number) {
            Some(index) => *index,
            None => self.start(line, row, number.to_owned(), at, false),
        };
        let Some(purchase) = self.found.purchases.get_mut(index) else { return Ok(()) };
        if purchase.member != member {
            return Err(format!("activity `{number}` names the members `{}` and `{member}`", purchase.member));
        }
        purchase.at = purchase.at.min(at);
        match item {
            Item::Line(item) => purchase.activity.lines.push(item),
            Item::Amount(amount) => {
                purchase.activity.amount = Some(purchase.activity.amount.unwrap_or(0).saturating_add(amount));
            }
        }
        if purchase.activity.lines.len() > limits::ACTIVITY_LINES {
            return Err(format!("activity `{number}` has more than {} lines", limits::ACTIVITY_LINES));
        }
        Ok(())
    }

    fn start(&mut self, line: u64, row: &Row<'_>, number: String, at: Timestamp, refused: bool) -> usize {
        let index = self.found.purchases.len();
        let is_return = self.mapping.return_prefix.as_ref().is_some_and(|prefix| number.starts_with(prefix));
        self.by_number.insert(number.clone(), index);
        self.found.purchases.push(Purchase {
            member: self.member_number(row.get("member").unwrap_or_default()),
            at,
            country: row.text("country"),
            activity: Activity {
                kind: if is_return { "return" } else { "purchase" }.to_owned(),
                store: row.text("store"),
                channel: row.text("channel"),
                // From the number of a purchase to the key under which an import records it.
                purchase: row.get("purchase").filter(|_| is_return).map(|number| format!("purchase:{number}")),
                ..Activity::default()
            },
            row: line,
            refused,
            number,
        });
        index
    }

    fn member_number(&self, text: &str) -> String {
        let suffix = self.mapping.strip_member_suffix.as_deref().unwrap_or_default();
        text.strip_suffix(suffix).unwrap_or(text).to_owned()
    }

    fn time(&self, text: &str) -> Result<Timestamp, String> {
        Timestamp::parse_rfc3339(text).or_else(|_| self.calendar.parse_local(text))
    }

    fn line(&self, row: &Row<'_>) -> Result<Item, String> {
        if row.fields.contains(&"amount") {
            let amount = row.decimal("amount")?.checked_mul(self.minor_per_major).and_then(round_half_away);
            return amount
                .map(|amount| Item::Amount(amount.saturating_abs()))
                .ok_or("`amount` is too large".to_owned());
        }
        Ok(Item::Line(ActivityLine {
            sku: row.text("sku"),
            description: row.text("description"),
            category: row.text("category"),
            quantity: row.decimal("quantity")?,
            unit_price: row.decimal("unit_price")?,
        }))
    }

    fn finish(self) -> Purchases {
        let mut found = self.found;
        for purchase in found.purchases.iter_mut().filter(|purchase| purchase.refused) {
            let reason = format!("activity `{}` is refused whole, because a row of it is", purchase.number);
            found.problems.push(RowProblem { row: purchase.row, code: "invalid_row".to_owned(), reason });
        }
        found.purchases.retain(|purchase| !purchase.refused);
        for purchase in &mut found.purchases {
            purchase.activity.occurred_at = Some(purchase.at);
        }
        found.purchases.sort_by(|a, b| (a.at, &a.number).cmp(&(b.at, &b.number)));
        found
    }
}

enum Item {
    Line(ActivityLine),
    Amount(i64),
}
