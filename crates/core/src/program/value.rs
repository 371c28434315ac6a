//! What a point is worth: fixed by the currency, or floating between two bounds, with the history of its values.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::snapshot::Program;
use crate::ledger::CurrencyId;
use crate::limits;
use crate::time::Timestamp;

/// The kind of document that holds a value; its id is the code of the currency.
pub const POINT_VALUE: &str = "point_value";

/// The bounds between which the value of a point floats, in major units of money for one smallest unit of the currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floating {
    /// Never less than this.
    pub least: Decimal,
    /// Never more than this.
    pub most: Decimal,
}

impl Floating {
    /// Checks the bounds; `start` points are worth one major unit of money until a value is set.
    pub(super) fn validate(&self, start: i64) -> Result<(), String> {
        if self.least <= Decimal::ZERO || self.most < self.least || self.most > Decimal::from(limits::POINT_VALUE) {
            let most = limits::POINT_VALUE;
            return Err(format!("floating: `least` must be more than 0, `most` no less than it and at most {most}"));
        }
        // 1 / start, without dividing.
        let within = |bound: Decimal| bound.checked_mul(Decimal::from(start)).map(|share| share.cmp(&Decimal::ONE));
        let (least, most) = (within(self.least), within(self.most));
        if least.is_none_or(|order| order.is_gt()) || most.is_none_or(|order| order.is_lt()) {
            return Err(format!(
                "floating: 1 / per_money_unit, which is where the value starts, must lie between {} and {}",
                self.least, self.most
            ));
        }
        Ok(())
    }
}

/// A value that was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointValue {
    /// Major units of money for one smallest unit of the currency.
    pub value: Decimal,
    /// Why.
    pub reason: String,
}

/// A value with its place in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueVersion {
    /// Counts from 1.
    pub version: i64,
    /// From when it holds.
    pub effective_from: Timestamp,
    /// The value.
    pub published: PointValue,
}

impl Program {
    /// The values of a floating currency, oldest first.
    pub fn values(&self, currency: CurrencyId) -> &[ValueVersion] {
        self.values.get(&currency).map_or(&[], Vec::as_slice)
    }

    /// The floating value of a point at `at`, within the bounds of then. `None`: the value is fixed by `per_money_unit`.
    fn floating_value(&self, currency: CurrencyId, at: Timestamp) -> Option<Decimal> {
        let bounds = self.currency_at(currency, at)?.floating.as_ref()?;
        let held = self.values(currency).iter().rfind(|value| value.effective_from <= at)?;
        Some(held.published.value.clamp(bounds.least, bounds.most))
    }

    /// How many points of a currency whose value is fixed are worth one major unit of money at `at`.
    fn per_money_unit(&self, currency: CurrencyId, at: Timestamp) -> i64 {
        self.currency_at(currency, at).map_or(1, |currency| currency.per_money_unit)
    }

    /// What a point of a currency is worth at `at`, in major units of money; 28 digits at the most where it is a fraction
    /// such as a third.
    pub fn point_value(&self, currency: CurrencyId, at: Timestamp) -> Decimal {
        let fixed = || Decimal::ONE.checked_div(Decimal::from(self.per_money_unit(currency, at))).unwrap_or_default();
        if self.tiers.growth == Some(currency) {
            return Decimal::ZERO;
        }
        self.floating_value(currency, at).unwrap_or_else(fixed)
    }

    /// What `points` of a currency are worth at `at`, in minor units of money, rounded down.
    /// Tier value is worth nothing.
    pub fn value_of(&self, currency: CurrencyId, points: i64, at: Timestamp) -> i64 {
        if self.tiers.growth == Some(currency) {
            return 0;
        }
        if let Some(value) = self.floating_value(currency, at) {
            let minor = value.checked_mul(Decimal::from(self.minor_per_major()));
            let worth = minor.and_then(|minor| minor.checked_mul(Decimal::from(points))).map(|worth| worth.floor());
            return worth.and_then(|worth| i64::try_from(worth).ok()).unwrap_or(i64::MAX);
        }
        let value = i128::from(points) * i128::from(self.minor_per_major());
        i64::try_from(value.div_euclid(i128::from(self.per_money_unit(currency, at).max(1)))).unwrap_or(i64::MAX)
    }

    /// The fewest points of a currency that are worth `money` major units of money at `at`. `None`: more than can be counted.
    pub fn points_worth(&self, currency: CurrencyId, money: Decimal, at: Timestamp) -> Option<i64> {
        self.exact_points(currency, money, at).and_then(|points| i64::try_from(points.ceil()).ok())
    }

    /// How many points of a currency cost no more than `cost` major units of money at `at`. `None`: more than can be counted.
    pub fn points_for(&self, currency: CurrencyId, cost: Decimal, at: Timestamp) -> Option<i64> {
        self.exact_points(currency, cost, at).and_then(|points| i64::try_from(points.floor()).ok())
    }

    fn exact_points(&self, currency: CurrencyId, money: Decimal, at: Timestamp) -> Option<Decimal> {
        if self.tiers.growth == Some(currency) {
            return None;
        }
        match self.floating_value(currency, at) {
            Some(value) => money.checked_div(value),
            None => money.checked_mul(Decimal::from(self.per_money_unit(currency, at))),
        }
    }

    /// Checks a value that is to be published for the currency of a code. The message says what would be right.
    pub fn check_value(&self, code: &str, published: &PointValue) -> Result<(), String> {
        limits::check_text("reason", &published.reason, limits::TEXT_CHARS)?;
        let currency = self.currency_by_code(code).ok_or_else(|| format!("there is no currency `{code}`"))?;
        let Some(Floating { least, most }) = &currency.floating else {
            return Err(format!(
                "the value of `{code}` is fixed: {} of its units are worth one of money; to let it float, give the \
                 currency `floating = {{ least = …, most = … }}` in the program",
                currency.per_money_unit
            ));
        };
        if published.value < *least || published.value > *most {
            return Err(format!("`value` must be {least} to {most}, the bounds of `{code}`, not {}", published.value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Bundle, Document};

    fn program(values: &[(i64, &str)]) -> Program {
        let bundle = Bundle::parse(
            r#"
            program = { id = "club", name = "Club", money = "CNY", time_zone = "Asia/Shanghai" }
            currencies = [{ id = 1, code = "points", name = "Points", per_money_unit = 100,
                floating = { least = 0.008, most = 0.015 } }]"#,
        );
        let mut documents = bundle.unwrap().documents().unwrap();
        documents.extend(values.iter().enumerate().map(|(index, (from, value))| Document {
            kind: POINT_VALUE.to_owned(),
            id: "points".to_owned(),
            version: index as i64 + 1,
            position: 0,
            effective_from: Timestamp::from_millis(*from),
            state: "active".to_owned(),
            body: format!(r#"{{"value":"{value}","reason":"market"}}"#),
        }));
        Program::from_documents(&documents).unwrap()
    }

    #[test]
    fn a_value_floats_between_its_bounds_and_keeps_its_history() {
        let program = program(&[(1_000, "0.0125"), (2_000, "0.009")]);
        let points = CurrencyId(1);
        let at = Timestamp::from_millis;
        // Before the first value: 100 points are worth ¥1.
        assert_eq!(program.value_of(points, 1_999, at(999)), 1_999);
        // 1,999 × 0.0125 = ¥24.9875; 1,999 × 0.009 = ¥17.991.
        assert_eq!(program.value_of(points, 1_999, at(1_000)), 2_498);
        assert_eq!(program.value_of(points, 1_999, at(5_000)), 1_799);
        // ¥10 buy 1,111 points of 0.009, and one more would cost more.
        assert_eq!(program.points_for(points, Decimal::TEN, at(5_000)), Some(1_111));
        assert_eq!(program.points_for(points, Decimal::TEN, at(0)), Some(1_000));
        assert_eq!(program.values(points).len(), 2);
    }

    #[test]
    fn a_value_beyond_its_bounds_is_refused() {
        let program = program(&[]);
        let of = |value: &str| PointValue { value: value.parse().unwrap(), reason: "market".to_owned() };
        for (value, fits) in [("0.008", true), ("0.015", true), ("0.0079", false), ("0.01500001", false), ("-1", false)]
        {
            assert_eq!(program.check_value("points", &of(value)).is_ok(), fits, "{value}");
        }
        let problem = program.check_value("points", &of("0.02")).unwrap_err();
        assert!(problem.contains("must be 0.008 to 0.015"), "{problem}");
        assert!(program.check_value("miles", &of("0.01")).unwrap_err().contains("no currency `miles`"));
    }

    #[test]
    fn the_value_starts_within_its_bounds() {
        let floating =
            |least: &str, most: &str| Floating { least: least.parse().unwrap(), most: most.parse().unwrap() };
        assert!(floating("0.008", "0.015").validate(100).is_ok());
        assert!(floating("0.01", "0.01").validate(100).is_ok());
        assert!(floating("0.008", "0.009").validate(100).unwrap_err().contains("must lie between"));
        assert!(floating("0.02", "0.03").validate(100).is_err());
        assert!(floating("0", "0.03").validate(100).is_err());
    }
}
