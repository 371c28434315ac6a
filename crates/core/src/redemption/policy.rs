//! How a program treats orders: which of them somebody looks at first, which may be called off for a while, and when one
//! that nobody comes back to ends by itself.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::time::Timestamp;

pub(super) const HOUR_MS: i64 = 60 * 60 * 1000;
/// The longest time after which an order moves by itself, in hours: a year.
const MOST_HOURS: i64 = 365 * 24;
/// The highest score of a risk.
pub const RISK: i64 = 100;

/// What holds for the orders of a program. What is left out does not happen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrderPolicy {
    /// Which orders somebody looks at before they are fulfilled; left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// Which orders may be called off for a while, and are not fulfilled before; left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooling_off: Option<CoolingOff>,
    /// After how many hours in one state an order that holds points expires and gives them back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire_after_hours: Option<i64>,
    /// After how many hours an order that was shipped or issued counts as done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete_after_hours: Option<i64>,
    /// For how many hours after an order was shipped, issued or completed the member may dispute it; left out: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispute_hours: Option<i64>,
}

/// Which orders somebody looks at first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Review {
    /// Those of more points than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above_points: Option<i64>,
    /// Those whose points are worth more than this, in major units of the program's money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above_value: Option<Decimal>,
    /// Those whose risk is higher than this, 0 to 100; one of an unknown risk is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above_risk: Option<i64>,
    /// Those whose risk is higher than this are refused at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuse_above_risk: Option<i64>,
}

/// Which orders may be called off for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoolingOff {
    /// Those whose points are worth more than this, in major units of the program's money.
    pub above_value: Decimal,
    /// For so many hours.
    #[serde(default = "a_day")]
    pub hours: i64,
}

fn a_day() -> i64 {
    24
}

/// What a review by rules comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody reviews orders.
    NotReviewed,
    /// It may be fulfilled.
    Approved,
    /// Somebody is to look at it.
    ForPeople,
    /// It is refused.
    Refused,
}

impl OrderPolicy {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What the rules say of an order of so many points, worth so much in major units of money.
    pub fn review(&self, points: i64, value: Decimal, risk: Option<i64>) -> Verdict {
        let Some(review) = &self.review else { return Verdict::NotReviewed };
        let riskier = |limit: Option<i64>| risk.zip(limit).is_some_and(|(risk, limit)| risk > limit);
        if riskier(review.refuse_above_risk) {
            return Verdict::Refused;
        }
        let many = review.above_points.is_some_and(|limit| points > limit);
        let dear = review.above_value.is_some_and(|limit| value > limit);
        if many || dear || riskier(review.above_risk) { Verdict::ForPeople } else { Verdict::Approved }
    }

    /// Until when an order of this worth, made at `at`, may be called off and is not fulfilled.
    pub fn cooling_until(&self, value: Decimal, at: Timestamp) -> Option<Timestamp> {
        let cooling = self.cooling_off.as_ref().filter(|cooling| value > cooling.above_value)?;
        Some(at.plus_millis(cooling.hours.saturating_mul(HOUR_MS)))
    }

    /// When an order that holds points since `since` expires. The time in which it may be called off does not count.
    pub fn expires_at(&self, since: Timestamp, cooling_until: Option<Timestamp>) -> Option<Timestamp> {
        let since = cooling_until.map_or(since, |until| until.max(since));
        self.expire_after_hours.map(|hours| since.plus_millis(hours.saturating_mul(HOUR_MS)))
    }

    /// When an order that was handed over at `at` is done.
    pub fn completes_at(&self, at: Timestamp) -> Option<Timestamp> {
        self.complete_after_hours.map(|hours| at.plus_millis(hours.saturating_mul(HOUR_MS)))
    }

    /// Checks every field; the message names it.
    pub fn validate(&self) -> Result<(), String> {
        let hours = |field: &str, hours: Option<i64>| match hours {
            Some(hours) if !(1..=MOST_HOURS).contains(&hours) => {
                Err(format!("`{field}` must be 1 to {MOST_HOURS}, not {hours}"))
            }
            _ => Ok(()),
        };
        hours("expire_after_hours", self.expire_after_hours)?;
        hours("complete_after_hours", self.complete_after_hours)?;
        hours("dispute_hours", self.dispute_hours)?;
        if let Some(cooling) = &self.cooling_off {
            hours("cooling_off.hours", Some(cooling.hours))?;
            check_value("cooling_off.above_value", cooling.above_value)?;
        }
        self.review.as_ref().map_or(Ok(()), Review::validate)
    }
}

impl Review {
    fn validate(&self) -> Result<(), String> {
        if *self == Self::default() {
            return Err("`review` must say which orders; give `above_points`, `above_value` or `above_risk`".to_owned());
        }
        if let Some(points) = self.above_points.filter(|points| !(0..=limits::AMOUNT).contains(points)) {
            return Err(format!("`review.above_points` must be 0 to {}, not {points}", limits::AMOUNT));
        }
        self.above_value.map_or(Ok(()), |value| check_value("review.above_value", value))?;
        for (field, risk) in [("above_risk", self.above_risk), ("refuse_above_risk", self.refuse_above_risk)] {
            if let Some(risk) = risk.filter(|risk| !(0..RISK).contains(risk)) {
                return Err(format!("`review.{field}` must be 0 to {}, not {risk}", RISK - 1));
            }
        }
        match (self.above_risk, self.refuse_above_risk) {
            (Some(review), Some(refuse)) if review >= refuse => {
                Err("`review.above_risk` must be below `review.refuse_above_risk`, or nobody would be asked".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn check_value(field: &str, value: Decimal) -> Result<(), String> {
    let most = Decimal::from(limits::AMOUNT);
    if value.is_sign_negative() || value > most {
        return Err(format!("`{field}` must be 0 to {most}, not {value}"));
    }
    Ok(())
}

/// Checks a score of a risk.
pub(crate) fn check_risk(risk: Option<i64>) -> Result<(), String> {
    match risk {
        Some(risk) if !(0..=RISK).contains(&risk) => Err(format!("`risk_score` must be 0 to {RISK}, not {risk}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> OrderPolicy {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn rules_say_who_looks_at_an_order() {
        let policy =
            policy("review = { above_points = 10000, above_value = \"500\", above_risk = 60, refuse_above_risk = 90 }");
        assert_eq!(policy.validate(), Ok(()));
        for (points, value, risk, verdict) in [
            (10_000, 500, None, Verdict::Approved),
            (10_001, 1, None, Verdict::ForPeople),
            (1, 501, None, Verdict::ForPeople),
            (1, 1, Some(60), Verdict::Approved),
            (1, 1, Some(61), Verdict::ForPeople),
            (1, 1, Some(90), Verdict::ForPeople),
            (10_001, 501, Some(91), Verdict::Refused),
        ] {
            assert_eq!(policy.review(points, value.into(), risk), verdict, "{points} {value} {risk:?}");
        }
        assert_eq!(OrderPolicy::default().review(i64::MAX, Decimal::MAX, Some(100)), Verdict::NotReviewed);
    }

    #[test]
    fn the_time_to_call_it_off_is_not_time_in_which_it_expires() {
        let policy =
            policy("expire_after_hours = 48\ncomplete_after_hours = 1\ncooling_off = { above_value = \"500\" }");
        assert_eq!(policy.validate(), Ok(()));
        let at = Timestamp::parse_rfc3339("2026-03-01T12:00:00Z").unwrap();
        let after = |hours: i64| at.plus_millis(hours * HOUR_MS);
        assert_eq!(policy.cooling_until(500.into(), at), None);
        assert_eq!(policy.cooling_until(501.into(), at), Some(after(24)));
        assert_eq!(policy.expires_at(at, None), Some(after(48)));
        assert_eq!(policy.expires_at(at, Some(after(24))), Some(after(72)));
        assert_eq!(policy.expires_at(after(30), Some(after(24))), Some(after(78)));
        assert_eq!(policy.completes_at(at), Some(after(1)));
        assert_eq!(OrderPolicy::default().expires_at(at, None), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (text, problem) in [
            ("expire_after_hours = 0", "`expire_after_hours` must be 1 to 8760, not 0"),
            ("review = {}", "`review` must say which orders"),
            ("review = { above_risk = 100 }", "`review.above_risk` must be 0 to 99, not 100"),
            ("review = { above_risk = 90, refuse_above_risk = 80 }", "must be below `review.refuse_above_risk`"),
            ("review = { above_points = -1 }", "`review.above_points` must be 0"),
            ("cooling_off = { above_value = \"-1\" }", "`cooling_off.above_value` must be 0"),
            ("cooling_off = { above_value = \"1\", hours = 9000 }", "`cooling_off.hours` must be 1 to 8760"),
        ] {
            let refused = policy(text).validate().unwrap_err();
            assert!(refused.contains(problem), "{text}: {refused}");
        }
        assert!(toml::from_str::<OrderPolicy>("review = { above = 5 }").is_err());
    }
}
