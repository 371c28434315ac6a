//! Points as part of a checkout: what a program lets them pay, and what they are worth there.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::offline::OfflinePolicy;
use crate::ledger::CurrencyId;
use crate::limits;
use crate::time::Timestamp;

const MINUTE_MS: i64 = 60_000;
/// The longest time for which points are set aside, in minutes: a week.
const MOST_MINUTES: i64 = 7 * 24 * 60;
/// Digits behind the point that count: a third times three is one, though 28 digits of it are not.
const DIGITS: u32 = 12;

/// How points pay at a till. Without it they do not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckoutPolicy {
    /// Which points; 1, the first currency, when left out.
    #[serde(default = "first_currency")]
    pub currency: CurrencyId,
    /// What a point pays, in major units of the program's money; left out: what it is worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Decimal>,
    /// Per cent of a basket that points pay at the least, where they pay.
    #[serde(default)]
    pub least_percent: i64,
    /// Per cent of a basket that points pay at the most.
    #[serde(default = "whole")]
    pub most_percent: i64,
    /// Points are authorised in multiples of this.
    #[serde(default = "one")]
    pub step: i64,
    /// For how many minutes they are set aside: what is not captured then is given back.
    #[serde(default = "quarter")]
    pub minutes: i64,
    /// How tills without network spend points; left out: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<OfflinePolicy>,
}

fn first_currency() -> CurrencyId {
    CurrencyId(1)
}

fn whole() -> i64 {
    100
}

fn one() -> i64 {
    1
}

fn quarter() -> i64 {
    15
}

impl CheckoutPolicy {
    /// When points that are set aside at `at` are given back.
    pub fn lapses_at(&self, at: Timestamp) -> Timestamp {
        at.plus_millis(self.minutes.saturating_mul(MINUTE_MS))
    }

    /// The most and the least money that points pay of a basket, in minor units.
    pub fn shares(&self, basket: i64) -> (i64, i64) {
        let share = |percent: i64| i128::from(basket) * i128::from(percent);
        let most = i64::try_from(share(self.most_percent).div_euclid(100)).unwrap_or(basket);
        let least = i64::try_from((share(self.least_percent) + 99).div_euclid(100)).unwrap_or(basket);
        (most, least)
    }

    /// Checks every field; the message names it.
    pub fn validate(&self) -> Result<(), String> {
        let within = |field: &str, value: i64, least: i64, most: i64| match value {
            value if (least..=most).contains(&value) => Ok(()),
            value => Err(format!("`{field}` must be {least} to {most}, not {value}")),
        };
        within("most_percent", self.most_percent, 1, 100)?;
        within("least_percent", self.least_percent, 0, self.most_percent)?;
        within("step", self.step, 1, limits::AMOUNT)?;
        within("minutes", self.minutes, 1, MOST_MINUTES)?;
        if let Some(value) = self.value
            && (value <= Decimal::ZERO || value > Decimal::from(limits::POINT_VALUE))
        {
            return Err(format!("`value` must be more than 0 and at most {}, not {value}", limits::POINT_VALUE));
        }
        self.offline.as_ref().map_or(Ok(()), OfflinePolicy::validate)
    }
}

/// What points pay at a till.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Of one point, in major units of money.
    pub value: Decimal,
    /// Minor units in a major one.
    pub minor: i64,
}

impl Rate {
    /// What points pay, in minor units of money, rounded down.
    pub fn money(self, points: i64) -> i64 {
        let money = self.minor_value().and_then(|value| value.checked_mul(Decimal::from(points)));
        money.and_then(|money| i64::try_from(money.round_dp(DIGITS).floor()).ok()).unwrap_or(i64::MAX)
    }

    /// The most points that pay no more than so much money.
    pub fn points_up_to(self, money: i64) -> i64 {
        self.points(money).and_then(|points| i64::try_from(points.floor()).ok()).unwrap_or_default()
    }

    /// The fewest points that pay so much money.
    pub fn points_for(self, money: i64) -> i64 {
        self.points(money).and_then(|points| i64::try_from(points.ceil()).ok()).unwrap_or(i64::MAX)
    }

    fn minor_value(self) -> Option<Decimal> {
        self.value.checked_mul(Decimal::from(self.minor))
    }

    fn points(self, money: i64) -> Option<Decimal> {
        let points = Decimal::from(money).checked_div(self.minor_value()?)?;
        Some(points.round_dp(DIGITS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> CheckoutPolicy {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_is_left_out_has_a_meaning_and_what_is_wrong_is_named() {
        let plain = policy("");
        assert_eq!((plain.step, plain.minutes, plain.least_percent, plain.most_percent), (1, 15, 0, 100));
        assert_eq!((plain.currency, plain.validate()), (CurrencyId(1), Ok(())));
        for (text, named) in [
            ("most_percent = 0", "`most_percent` must be 1 to 100, not 0"),
            ("least_percent = 60\nmost_percent = 50", "`least_percent` must be 0 to 50, not 60"),
            ("step = 0", "`step`"),
            ("minutes = 100000", "`minutes` must be 1 to 10080"),
            ("value = \"0\"", "`value` must be more than 0"),
            ("offline = { points = 0, hours = 24 }", "`offline.points`"),
        ] {
            let problem = policy(text).validate().unwrap_err();
            assert!(problem.contains(named), "{problem}");
        }
    }

    #[test]
    fn shares_are_cut_towards_what_the_program_says() {
        let half = policy("least_percent = 10\nmost_percent = 50");
        assert_eq!(half.shares(9_999), (4_999, 1_000));
        assert_eq!(half.shares(0), (0, 0));
        assert_eq!(policy("").shares(i64::MAX), (i64::MAX, 0));
    }

    #[test]
    fn a_third_of_a_cent_is_worth_what_it_is() {
        let third = Rate { value: Decimal::ONE.checked_div(Decimal::from(300)).unwrap(), minor: 100 };
        assert_eq!((third.money(3), third.money(2), third.money(300)), (1, 0, 100));
        assert_eq!((third.points_up_to(100), third.points_for(100), third.points_for(1)), (300, 300, 3));
        let cent = Rate { value: Decimal::new(12, 3), minor: 100 };
        // 1.2 cents a point: 10 cents are 8.33 points.
        assert_eq!((cent.points_up_to(10), cent.points_for(10), cent.money(8), cent.money(9)), (8, 9, 9, 10));
    }
}
