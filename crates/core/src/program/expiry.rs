//! When points expire: some time after they were earned, on a day of each year, on one date, or never.

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::{Calendar, Day, Timestamp};

/// The end at which lots of one funding are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granule {
    /// The end of the local month.
    Month,
    /// The end of the local day.
    Day,
    /// The end of the year: 31 December, or another day.
    Year,
}

/// A day of every year, `12-31` in program files. 29 February is 28 February in years without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonthDay {
    month: i8,
    day: i8,
}

impl MonthDay {
    /// 31 December.
    pub const LAST: Self = Self { month: 12, day: 31 };
    /// 1 January.
    pub const FIRST: Self = Self { month: 1, day: 1 };

    /// From `12-31`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{}` is not a day of the year such as 12-31", text.chars().take(20).collect::<String>());
        // A leap year: every day of the year is in it.
        let date: Date = format!("2000-{text}").parse().map_err(|_| wrong())?;
        if text.len() == 5 { Ok(Self { month: date.month(), day: date.day() }) } else { Err(wrong()) }
    }

    fn in_year(self, year: i16) -> Option<Date> {
        let last = Date::new(year, self.month, 1).ok()?.last_of_month();
        Date::new(year, self.month, self.day.min(last.day())).ok()
    }

    /// The first such day at or after a date; `None`: beyond the calendar.
    pub fn at_or_after(self, date: Date) -> Option<Date> {
        let this_year = self.in_year(date.year())?;
        if this_year >= date { Some(this_year) } else { self.in_year(date.year().checked_add(1)?) }
    }

    /// When the first such day begins that begins after `at`.
    pub fn next_start(self, calendar: &Calendar, at: Timestamp) -> Timestamp {
        let tomorrow = calendar.local(at).date().tomorrow();
        let next = tomorrow.ok().and_then(|date| self.at_or_after(date));
        next.map_or(Timestamp::NEVER, |date| calendar.start_of(Day::of(date)))
    }
}

impl Serialize for MonthDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:02}-{:02}", self.month, self.day))
    }
}

impl<'de> Deserialize<'de> for MonthDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// When points expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AsWritten", into = "AsWritten")]
pub enum Expiry {
    /// Some time after they were earned, to the end of the granule.
    After {
        /// Days for the granule `day`, else months; 0 to 1200.
        length: i32,
        /// To the end of what.
        granule: Granule,
        /// With the granule `year`: the last day of the year.
        year_ends: MonthDay,
    },
    /// At the end of the first such day at or after the day on which they were earned.
    EachYear(MonthDay),
    /// At the end of a date. Points that are earned after it do not expire until another date is published.
    On(Date),
}

/// An expiry as program files and stored documents have it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AsWritten {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    granule: Option<Granule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    year_ends: Option<MonthDay>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on: Option<String>,
}

impl TryFrom<AsWritten> for Expiry {
    type Error = String;

    fn try_from(written: AsWritten) -> Result<Self, String> {
        match written {
            AsWritten { after: None, granule: None, year_ends: None, on: Some(on) } => match on.parse::<Date>() {
                Ok(date) if on.len() == 10 => Ok(Self::On(date)),
                _ => MonthDay::parse(&on).map(Self::EachYear).map_err(|_| {
                    format!("`on` must be a date such as 2027-12-31, or a day of each year such as 12-31, not `{on}`")
                }),
            },
            AsWritten { on: Some(_), .. } => {
                Err("`on` stands alone: without `after`, `granule` and `year_ends`".to_owned())
            }
            AsWritten { after: Some(length), granule: Some(granule), year_ends, on: None } => {
                if !(0..=1_200).contains(&length) {
                    return Err(format!("`after` must be 0 to 1200, not {length}"));
                }
                if year_ends.is_some() && granule != Granule::Year {
                    return Err("`year_ends` belongs to the granule `year`".to_owned());
                }
                Ok(Self::After { length, granule, year_ends: year_ends.unwrap_or(MonthDay::LAST) })
            }
            _ => Err("an expiry has `after` and `granule` (`day`, `month` or `year`), or `on`".to_owned()),
        }
    }
}

impl From<Expiry> for AsWritten {
    fn from(expiry: Expiry) -> Self {
        let empty = Self { after: None, granule: None, year_ends: None, on: None };
        match expiry {
            Expiry::After { length, granule, year_ends } => Self {
                after: Some(length),
                granule: Some(granule),
                year_ends: (year_ends != MonthDay::LAST).then_some(year_ends),
                ..empty
            },
            Expiry::EachYear(day) => Self { on: Some(format!("{:02}-{:02}", day.month, day.day)), ..empty },
            Expiry::On(date) => Self { on: Some(date.to_string()), ..empty },
        }
    }
}

impl Expiry {
    /// When points that were earned at `at` expire: the first moment at which they cannot be spent.
    pub fn expires_at(&self, calendar: &Calendar, at: Timestamp) -> Timestamp {
        let today = || calendar.local(at).date();
        let last_day = match self {
            Self::After { length, granule: Granule::Day, .. } => return calendar.end_of_day_after(at, *length),
            Self::After { length, granule: Granule::Month, .. } => return calendar.end_of_month_after(at, *length),
            Self::After { length, year_ends, .. } => {
                let later = jiff::Span::new().try_months(*length).and_then(|months| today().checked_add(months));
                later.ok().and_then(|date| year_ends.at_or_after(date))
            }
            Self::EachYear(day) => day.at_or_after(today()),
            Self::On(date) => (today() <= *date).then_some(*date),
        };
        let next_day = last_day.and_then(|date| date.tomorrow().ok());
        next_day.map_or(Timestamp::NEVER, |date| calendar.start_of(Day::of(date)))
    }

    /// To the end of what a life is rounded that is no life of newly earned points: one that a refund or an extension gives.
    pub fn rounding(&self) -> Granule {
        match self {
            Self::After { granule: Granule::Day, .. } => Granule::Day,
            _ => Granule::Month,
        }
    }
}

impl Granule {
    /// When points that expire at `expires_at` do so when they live some local days longer, to the end of this granule.
    pub fn extended(self, calendar: &Calendar, expires_at: Timestamp, days: i32) -> Timestamp {
        if expires_at == Timestamp::NEVER {
            return expires_at;
        }
        let last_moment = expires_at.plus_millis(-1);
        match self {
            Self::Day => calendar.end_of_day_after(last_moment, days),
            Self::Month | Self::Year => match calendar.end_of_day_after(last_moment, days) {
                Timestamp::NEVER => Timestamp::NEVER,
                end => calendar.end_of_month_after(end.plus_millis(-1), 0),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiry(written: &str) -> Expiry {
        serde_json::from_str(written).unwrap()
    }

    /// The last local day on which what was earned at a local time is good, computed by hand in the tests.
    fn good_through(written: &str, zone: &str, earned: &str) -> String {
        let calendar = Calendar::new(zone).unwrap();
        let end = expiry(written).expires_at(&calendar, calendar.parse_local(earned).unwrap());
        calendar.last_day_before(end)
    }

    #[test]
    fn what_was_stored_reads_and_writes_as_it_was() {
        for stored in [
            r#"{"after":24,"granule":"month"}"#,
            r#"{"after":365,"granule":"day"}"#,
            r#"{"after":24,"granule":"year"}"#,
            r#"{"after":12,"granule":"year","year_ends":"06-30"}"#,
            r#"{"on":"03-31"}"#,
            r#"{"on":"2027-12-31"}"#,
        ] {
            assert_eq!(serde_json::to_string(&expiry(stored)).unwrap(), stored);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let told = |written: &str| serde_json::from_str::<Expiry>(written).unwrap_err().to_string();
        assert!(told(r#"{"after":24}"#).starts_with("an expiry has `after` and `granule`"));
        assert!(told(r#"{"after":1201,"granule":"month"}"#).starts_with("`after` must be 0 to 1200, not 1201"));
        assert!(told(r#"{"after":1,"granule":"month","year_ends":"06-30"}"#).contains("belongs to the granule `year`"));
        assert!(told(r#"{"on":"02-30"}"#).contains("a day of each year such as 12-31, not `02-30`"));
        assert!(told(r#"{"on":"12-31","after":1,"granule":"day"}"#).starts_with("`on` stands alone"));
        assert!(told(r#"{"after":1,"granule":"week"}"#).contains("unknown variant `week`"));
        assert!(told(r#"{"until":1}"#).contains("unknown field `until`"));
    }

    #[test]
    fn a_calendar_roll_off_clears_the_year_before_the_last() {
        let roll_off = r#"{"after":24,"granule":"year"}"#;
        let shanghai = "Asia/Shanghai";
        // Whatever was earned in 2024 is cleared with 31 December 2026.
        assert_eq!(good_through(roll_off, shanghai, "2024-01-01 00:00:00"), "2026-12-31");
        assert_eq!(good_through(roll_off, shanghai, "2024-02-29 12:00:00"), "2026-12-31");
        assert_eq!(good_through(roll_off, shanghai, "2024-12-31 23:59:59"), "2026-12-31");
        assert_eq!(good_through(roll_off, shanghai, "2025-01-01 00:00:00"), "2027-12-31");
        // The year is that of the program: 16:00 UTC is midnight in Shanghai.
        let calendar = Calendar::new(shanghai).unwrap();
        let ends = expiry(roll_off).expires_at(&calendar, Timestamp::parse_rfc3339("2024-12-31T16:00:00Z").unwrap());
        assert_eq!(ends.to_string(), "2027-12-31T16:00:00Z");
        // A membership year that ends in June: what 31 May 2024 + 12 months falls into ends on 30 June 2025.
        let fiscal = r#"{"after":12,"granule":"year","year_ends":"06-30"}"#;
        assert_eq!(good_through(fiscal, "Europe/London", "2024-05-31 09:00:00"), "2025-06-30");
        assert_eq!(good_through(fiscal, "Europe/London", "2024-06-30 23:00:00"), "2025-06-30");
        assert_eq!(good_through(fiscal, "Europe/London", "2024-07-01 00:00:00"), "2026-06-30");
    }

    #[test]
    fn fixed_dates_end_with_their_local_day() {
        let london = "Europe/London";
        assert_eq!(good_through(r#"{"on":"03-31"}"#, london, "2026-03-31 23:59:59"), "2026-03-31");
        assert_eq!(good_through(r#"{"on":"03-31"}"#, london, "2026-04-01 00:00:00"), "2027-03-31");
        // In years without 29 February the day before.
        assert_eq!(good_through(r#"{"on":"02-29"}"#, london, "2026-01-10 09:00:00"), "2026-02-28");
        assert_eq!(good_through(r#"{"on":"02-29"}"#, london, "2027-03-01 09:00:00"), "2028-02-29");
        assert_eq!(good_through(r#"{"on":"2027-12-31"}"#, london, "2026-01-10 09:00:00"), "2027-12-31");
        assert_eq!(good_through(r#"{"on":"2027-12-31"}"#, london, "2028-01-01 00:00:00"), "∞");
        // The clocks go forward on 29 March 2026 in London: the day ends an hour earlier in UTC.
        let calendar = Calendar::new(london).unwrap();
        let ends = |on: &str| {
            let at = calendar.parse_local("2026-03-01 09:00:00").unwrap();
            expiry(&format!(r#"{{"on":"{on}"}}"#)).expires_at(&calendar, at).to_string()
        };
        assert_eq!((ends("03-28").as_str(), ends("03-29").as_str()), ("2026-03-29T00:00:00Z", "2026-03-29T23:00:00Z"));
    }

    #[test]
    fn rolling_lives_round_to_their_granule() {
        let months = r#"{"after":12,"granule":"month"}"#;
        assert_eq!(good_through(months, "Asia/Shanghai", "2023-02-28 23:59:59"), "2024-02-29");
        assert_eq!(good_through(months, "Asia/Shanghai", "2024-02-29 00:00:00"), "2025-02-28");
        let days = r#"{"after":1,"granule":"day"}"#;
        // 23 hours on the day of the change.
        assert_eq!(good_through(days, "Europe/London", "2026-03-28 12:00:00"), "2026-03-29");
        assert_eq!(
            good_through(r#"{"after":0,"granule":"day"}"#, "Europe/London", "2026-03-29 12:00:00"),
            "2026-03-29"
        );
    }

    #[test]
    fn an_extension_counts_local_days_and_rounds_up() {
        let calendar = Calendar::new("Europe/London").unwrap();
        let end_of = |day: &str| calendar.parse_local(&format!("{day} 00:00:00")).unwrap();
        let extended = |granule: Granule, ends: &str, days| {
            calendar.last_day_before(granule.extended(&calendar, end_of(ends), days))
        };
        // Good through 31 July; 90 days later is 29 October.
        assert_eq!(extended(Granule::Month, "2026-08-01", 90), "2026-10-31");
        assert_eq!(extended(Granule::Day, "2026-08-01", 90), "2026-10-29");
        // Over both changes of the clock, and a leap day.
        assert_eq!(extended(Granule::Day, "2026-03-01", 31), "2026-03-31");
        assert_eq!(extended(Granule::Month, "2028-02-01", 29), "2028-02-29");
        assert_eq!(extended(Granule::Month, "2028-02-01", 30), "2028-03-31");
        assert_eq!(Granule::Month.extended(&calendar, Timestamp::NEVER, 90), Timestamp::NEVER);
    }

    #[test]
    fn a_day_of_the_year_begins_after_a_moment() {
        let calendar = Calendar::new("Asia/Shanghai").unwrap();
        let next = |at: &str| MonthDay::FIRST.next_start(&calendar, calendar.parse_local(at).unwrap()).to_string();
        assert_eq!(next("2026-12-31 23:59:59"), "2026-12-31T16:00:00Z");
        // At its very beginning the next one is a year away.
        assert_eq!(next("2027-01-01 00:00:00"), "2027-12-31T16:00:00Z");
    }
}
