//! What happens to points between being earned and being spent or expiring: reminders, decay, interest, extensions, and
//! what becomes of points that a return should take back but that were spent.

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::Text;
use super::expiry::MonthDay;
use crate::limits;
use crate::time::{Calendar, Timestamp};

/// Milliseconds of a day by the clock.
pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// When members are told of points that will expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reminders {
    /// How many days of 24 hours ahead, each once.
    #[serde(default = "default_reminder_days")]
    pub days: Vec<i32>,
    /// Whom to call besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
}

fn default_reminder_days() -> Vec<i32> {
    vec![90, 30, 7]
}

/// When somebody is to call the member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// When more points than this expire together.
    pub over: i64,
    /// With which of the reminders; left out: the earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<i32>,
    /// What whoever calls is to know.
    pub text: Text,
}

impl Reminders {
    /// With which reminder a call is asked for.
    pub fn call_days(&self) -> Option<i32> {
        self.call.as_ref().and_then(|call| call.days.or_else(|| self.days.iter().max().copied()))
    }

    fn validate(&self) -> Result<(), String> {
        let known = |days: &i32| (1..=3_650).contains(days);
        let mut distinct = self.days.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if !(1..=limits::REMINDERS).contains(&self.days.len())
            || distinct.len() != self.days.len()
            || !self.days.iter().all(known)
        {
            return Err(format!("`days` are 1 to {} different numbers from 1 to 3650", limits::REMINDERS));
        }
        let Some(call) = &self.call else { return Ok(()) };
        check_points("call.over", call.over)?;
        call.text.validate("call.text")?;
        if call.days.is_some_and(|days| !self.days.contains(&days)) {
            return Err("`call.days` must be one of `days`".to_owned());
        }
        Ok(())
    }
}

/// A part of what is available that is lost on a day of each year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decay {
    /// Per cent.
    pub percent: Decimal,
    /// The day, at whose beginning it happens.
    #[serde(default = "first_of_january")]
    pub on: MonthDay,
}

fn first_of_january() -> MonthDay {
    MonthDay::FIRST
}

/// How often interest is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// On the first of each month.
    Month,
    /// On a day of each year.
    Year,
}

/// What is paid for points that lie unspent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interest {
    /// Per cent of the lowest balance since the day before it, for one such time.
    pub percent: Decimal,
    /// How often.
    pub every: Every,
    /// With `year`: the day, at whose beginning it is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<MonthDay>,
}

impl Interest {
    /// When it is paid next after `at`.
    pub fn next(&self, calendar: &Calendar, at: Timestamp) -> Timestamp {
        match self.every {
            Every::Month => calendar.end_of_month_after(at, 0),
            Every::Year => self.on.unwrap_or(MonthDay::FIRST).next_start(calendar, at),
        }
    }
}

/// How points come to live longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// By what the member spends within a local month, once a month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend: Option<SpendExtension>,
    /// For points or a fee, when the member asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<PaidExtension>,
}

/// An extension by monthly spend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpendExtension {
    /// From how many major units of money in purchases on.
    pub amount: Decimal,
    /// How many days longer every lot lives, to the end of its granule.
    pub days: i32,
}

/// An extension that is paid for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaidExtension {
    /// For how many points; left out: not for points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<i64>,
    /// For how many major units of money, which the caller has collected; left out: not for money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Decimal>,
    /// How many days longer every lot lives, to the end of its granule.
    pub days: i32,
}

/// What becomes of points that a return should take back but that are not there any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "snake_case", deny_unknown_fields)]
pub enum Shortfall {
    /// They are forgiven, which is recorded.
    #[default]
    Forgive,
    /// The member owes them: what is earned next repays them first. What is beyond the limit is forgiven.
    Owe {
        /// How many points a member can owe at most.
        up_to: i64,
    },
}

impl Shortfall {
    /// Whether it is as when it is left out.
    pub fn is_forgiven(&self) -> bool {
        *self == Self::Forgive
    }

    /// How many of `points` a member comes to owe who owes `owed` already.
    pub fn owes(self, owed: i64, points: i64) -> i64 {
        match self {
            Self::Forgive => 0,
            Self::Owe { up_to } => points.min(up_to.saturating_sub(owed)).max(0),
        }
    }

    pub(super) fn validate(self) -> Result<(), String> {
        match self {
            Self::Forgive => Ok(()),
            Self::Owe { up_to } => check_points("shortfall.up_to", up_to),
        }
    }
}

/// `floor(points × percent / 100)` for points that are not below zero; 0 when it is beyond all limits.
pub fn percent_of(points: i64, percent: Decimal) -> i64 {
    let product =
        Decimal::from(points).checked_mul(percent).and_then(|product| product.checked_div(Decimal::ONE_HUNDRED));
    let floor = product.map(|exact| exact.round_dp_with_strategy(0, RoundingStrategy::ToNegativeInfinity));
    floor.and_then(|whole| i64::try_from(whole).ok()).unwrap_or_default()
}

/// All of it, as a currency has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Life {
    /// When members are told of points that will expire; left out: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminders: Option<Reminders>,
    /// What is lost each year; left out: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay: Option<Decay>,
    /// What is paid for points that lie unspent; left out: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interest: Option<Interest>,
    /// How points come to live longer; left out: they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<Extension>,
    /// What becomes of points that a return should take back but that are not there any more.
    #[serde(default, skip_serializing_if = "Shortfall::is_forgiven")]
    pub shortfall: Shortfall,
}

impl Life {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks every field; the message names it. `expires`: whether the currency's points do.
    pub fn validate(&self, expires: bool) -> Result<(), String> {
        if !expires && (self.reminders.is_some() || self.extension.is_some()) {
            return Err("`reminders` and `extension` are for points that expire; set `expiry`".to_owned());
        }
        if let Some(reminders) = &self.reminders {
            reminders.validate().map_err(|problem| format!("reminders: {problem}"))?;
        }
        if let Some(decay) = &self.decay {
            check_percent("decay.percent", decay.percent)?;
        }
        if let Some(interest) = &self.interest {
            check_percent("interest.percent", interest.percent)?;
            if interest.every == Every::Month && interest.on.is_some() {
                return Err(
                    "`interest.on` is for interest of every year; each month it is paid on the first".to_owned()
                );
            }
        }
        if let Some(extension) = &self.extension {
            extension.validate().map_err(|problem| format!("extension: {problem}"))?;
        }
        self.shortfall.validate()
    }
}

impl Extension {
    fn validate(&self) -> Result<(), String> {
        let money = |name: &str, amount: Decimal| {
            if amount > Decimal::ZERO && amount <= Decimal::from(1_000_000) {
                return Ok(());
            }
            Err(format!("`{name}` must be more than 0 and at most 1000000"))
        };
        let days = |name: &str, days: i32| {
            if (1..=3_650).contains(&days) { Ok(()) } else { Err(format!("`{name}` must be 1 to 3650")) }
        };
        if let Some(spend) = &self.spend {
            money("spend.amount", spend.amount)?;
            days("spend.days", spend.days)?;
        }
        match &self.paid {
            Some(PaidExtension { points: None, fee: None, .. }) => {
                Err("`paid` has `points`, a `fee`, or both".to_owned())
            }
            Some(paid) => {
                paid.points.map_or(Ok(()), |points| check_points("paid.points", points))?;
                paid.fee.map_or(Ok(()), |fee| money("paid.fee", fee))?;
                days("paid.days", paid.days)
            }
            None if self.spend.is_none() => Err("an extension has `spend`, `paid`, or both".to_owned()),
            None => Ok(()),
        }
    }
}

fn check_percent(name: &str, percent: Decimal) -> Result<(), String> {
    if percent > Decimal::ZERO && percent <= Decimal::ONE_HUNDRED {
        return Ok(());
    }
    Err(format!("`{name}` must be more than 0 and at most 100"))
}

fn check_points(name: &str, points: i64) -> Result<(), String> {
    if (1..=limits::AMOUNT).contains(&points) {
        return Ok(());
    }
    Err(format!("`{name}` must be 1 to {} points", limits::AMOUNT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_round_down() {
        let percent = |points, percent: &str| percent_of(points, percent.parse().unwrap());
        assert_eq!([percent(1_999, "5"), percent(19, "5"), percent(20, "5"), percent(0, "5")], [99, 0, 1, 0]);
        assert_eq!((percent(999, "0.4074"), percent(1_000, "100")), (4, 1_000));
        assert_eq!(percent(limits::WALLET_POINTS, "99.99"), 999_900_000_000_000);
    }

    #[test]
    fn what_a_member_owes_has_a_limit() {
        let owe = Shortfall::Owe { up_to: 500 };
        assert_eq!([owe.owes(0, 300), owe.owes(300, 300), owe.owes(500, 1), owe.owes(900, 5)], [300, 200, 0, 0]);
        assert_eq!(Shortfall::Forgive.owes(0, 300), 0);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let told = |text: &str| {
            let life: Result<Life, _> = toml::from_str(text);
            life.map_err(|error| error.to_string()).and_then(|life| life.validate(true)).unwrap_err()
        };
        assert_eq!(
            told("reminders = { days = [30, 30] }"),
            "reminders: `days` are 1 to 8 different numbers from 1 to 3650"
        );
        let call = r#"reminders = { days = [30], call = { over = 5000, days = 90, text = "call" } }"#;
        assert_eq!(told(call), "reminders: `call.days` must be one of `days`");
        assert_eq!(told(r#"decay = { percent = "0" }"#), "`decay.percent` must be more than 0 and at most 100");
        assert!(told(r#"decay = { percent = "5", on = "13-01" }"#).contains("`13-01` is not a day of the year"));
        let monthly = r#"interest = { percent = "1", every = "month", on = "01-01" }"#;
        assert!(told(monthly).starts_with("`interest.on` is for interest of every year"));
        assert_eq!(told("extension = {}"), "extension: an extension has `spend`, `paid`, or both");
        assert_eq!(told("extension = { paid = { days = 90 } }"), "extension: `paid` has `points`, a `fee`, or both");
        assert_eq!(
            told(r#"shortfall = { policy = "owe", up_to = 0 }"#),
            "`shortfall.up_to` must be 1 to 1000000000000 points"
        );
        assert!(
            toml::from_str::<Life>("reminders = {}").unwrap().validate(false).unwrap_err().contains("set `expiry`")
        );
    }
}
