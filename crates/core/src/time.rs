//! Instants in UTC milliseconds, and the program's calendar in its own time zone.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant: milliseconds since 1970-01-01T00:00:00Z. RFC 3339 in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

/// How far ahead of our clock a caller's clock may be, in milliseconds (5 minutes).
pub const MAX_CLOCK_SKEW_MS: i64 = 5 * 60 * 1000;
/// No activity is dated before this (2000-01-01T00:00:00Z): what is older is a typing error.
pub const EARLIEST: Timestamp = Timestamp(946_684_800_000);

impl Timestamp {
    /// The beginning of time; as a lot's `active_at` it means "already active".
    pub const ZERO: Self = Self(0);
    /// The end of time; as a lot's `expires_at` it means "never".
    pub const NEVER: Self = Self(i64::MAX);

    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This instant moved by `millis`, saturating.
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Parses RFC 3339 (`2011-12-09T12:50:00Z`).
    pub fn parse_rfc3339(text: &str) -> Result<Self, String> {
        text.parse::<jiff::Timestamp>()
            .map(|instant| Self(instant.as_millisecond()))
            .map_err(|_| format!("`{}` is not an RFC 3339 time such as 2026-01-31T09:30:00Z", clip(text)))
    }

    fn instant(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX)
    }
}

fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, self.written(&mut [0; 20])) {
            (Self::NEVER, _) => f.write_str("never"),
            (_, Some(text)) => f.write_str(text),
            (_, None) => write!(f, "{}", self.instant()),
        }
    }
}

impl Timestamp {
    /// RFC 3339 of a whole second of the years 1970 to 9998: what receipts are full of. Everything else jiff writes.
    fn written(self, buffer: &mut [u8; 20]) -> Option<&str> {
        const DAY_SECONDS: i64 = 86_400;
        const YEAR_9999: i64 = 2_932_532;
        let seconds = (self.0 % 1_000 == 0).then_some(self.0 / 1_000)?;
        let day = seconds.div_euclid(DAY_SECONDS);
        let in_reach = (0..YEAR_9999).contains(&day).then_some((day + 719_468, seconds - day * DAY_SECONDS))?;
        let (day, second) = (u32::try_from(in_reach.0).ok()?, u32::try_from(in_reach.1).ok()?);
        // Days to a civil date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`. Years begin
        // in March here, so that the leap day is their last.
        let (era, day_of_era) = (day / 146_097, day % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = era * 400 + year_of_era + u32::from(month <= 2);
        let two = |value: u32| {
            let value = (value % 100) as u8;
            [b'0' + value / 10, b'0' + value % 10]
        };
        let ([y0, y1], [y2, y3]) = (two(year / 100), two(year));
        let ([m0, m1], [d0, d1]) = (two(month), two(day));
        let ([h0, h1], [n0, n1], [s0, s1]) = (two(second / 3_600), two(second / 60 % 60), two(second % 60));
        *buffer = [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1, b'Z'];
        std::str::from_utf8(buffer).ok()
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_i64(self.0);
        }
        match self.written(&mut [0; 20]) {
            Some(text) => serializer.serialize_str(text),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            if text == "never" {
                return Ok(Self::NEVER);
            }
            Self::parse_rfc3339(&text).map_err(serde::de::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

/// A local day of the program: days since 1970-01-01 in its time zone. A date in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Day(pub i32);

impl Day {
    /// The civil date of this day.
    pub fn date(self) -> Date {
        Date::constant(1970, 1, 1).saturating_add(Span::new().try_days(self.0).unwrap_or_default())
    }

    /// The day of a civil date.
    pub fn of(date: Date) -> Self {
        let days = Date::constant(1970, 1, 1).until(date).map_or(0, |span| span.get_days());
        Self(days)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.date())
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self::of).map_err(|_| serde::de::Error::custom("a day is written as 2026-01-31"))
    }
}

/// A month of the program's calendar, written as `2026-01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(Date);

impl Month {
    /// The month that holds a day.
    pub fn of(day: Day) -> Self {
        Self(day.date().first_of_month())
    }

    /// Its first day.
    pub fn first_day(self) -> Day {
        Day::of(self.0)
    }

    /// The month after it.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1.month()))
    }

    /// The month before it.
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1.month()))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not a month such as 2026-01", clip(text));
        let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        let (year, month) = text.split_once('-').ok_or_else(wrong)?;
        if !digits(year, 4) || !digits(month, 2) {
            return Err(wrong());
        }
        let (year, month) = (year.parse().map_err(|_| wrong())?, month.parse().map_err(|_| wrong())?);
        Date::new(year, month, 1).map(Self).map_err(|_| wrong())
    }
}

/// The program's calendar: days and months in its time zone.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
}

impl Calendar {
    /// The calendar of an IANA time zone name such as `Europe/London`.
    pub fn new(zone: &str) -> Result<Self, String> {
        TimeZone::get(zone)
            .map(|zone| Self { zone })
            .map_err(|_| format!("`{}` is not a time zone name such as Europe/London", clip(zone)))
    }

    /// The local day of an instant.
    pub fn day_of(&self, at: Timestamp) -> Day {
        Day::of(self.zone.to_datetime(at.instant()).date())
    }

    /// The local date and time of an instant.
    pub fn local(&self, at: Timestamp) -> jiff::civil::DateTime {
        self.zone.to_datetime(at.instant())
    }

    /// How far the local clock is ahead of UTC at an instant, in milliseconds.
    pub fn offset_ms(&self, at: Timestamp) -> i64 {
        i64::from(self.zone.to_offset(at.instant()).seconds()) * 1_000
    }

    /// The first instant of a local day.
    pub fn start_of(&self, day: Day) -> Timestamp {
        self.instant_of(day.date().at(0, 0, 0, 0))
    }

    /// An instant written in local time, such as `2011-12-09 12:50:00`.
    pub fn parse_local(&self, text: &str) -> Result<Timestamp, String> {
        text.parse::<jiff::civil::DateTime>()
            .map(|local| self.instant_of(local))
            .map_err(|_| format!("`{}` is not a time such as 2026-01-31 09:30:00", clip(text)))
    }

    /// The instant of a local date and time; a time that a clock change skips or repeats takes the earlier offset.
    pub fn instant_of(&self, local: jiff::civil::DateTime) -> Timestamp {
        self.zone
            .to_ambiguous_timestamp(local)
            .compatible()
            .map_or(Timestamp::NEVER, |instant| Timestamp(instant.as_millisecond()))
    }

    /// The end of the local month that lies `months` after `at`: the first instant of the month after it.
    pub fn end_of_month_after(&self, at: Timestamp, months: i32) -> Timestamp {
        let date = self.zone.to_datetime(at.instant()).date();
        let shift = Span::new().try_months(i64::from(months) + 1).unwrap_or_default();
        match date.first_of_month().checked_add(shift) {
            Ok(first) => self.instant_of(first.at(0, 0, 0, 0)),
            Err(_) => Timestamp::NEVER,
        }
    }

    /// The end of the local day that lies `days` after `at`: the first instant of the day after it.
    pub fn end_of_day_after(&self, at: Timestamp, days: i32) -> Timestamp {
        let date = self.zone.to_datetime(at.instant()).date();
        let shift = Span::new().try_days(i64::from(days) + 1).unwrap_or_default();
        match date.checked_add(shift) {
            Ok(next) => self.instant_of(next.at(0, 0, 0, 0)),
            Err(_) => Timestamp::NEVER,
        }
    }

    /// 23:59:59 of a local day: when the day's closing work is dated.
    pub fn close_of(&self, day: Day) -> Timestamp {
        self.instant_of(day.date().at(23, 59, 59, 0))
    }

    /// A local date and time for people, `2011-12-09 12:50`.
    pub fn show(&self, at: Timestamp) -> String {
        if at == Timestamp::NEVER {
            return "∞".to_owned();
        }
        self.zone.to_datetime(at.instant()).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// The local time of day for people, `12:50`.
    pub fn show_time(&self, at: Timestamp) -> String {
        self.zone.to_datetime(at.instant()).strftime("%H:%M").to_string()
    }

    /// The local date of the last moment before `at`, for "valid through".
    pub fn last_day_before(&self, at: Timestamp) -> String {
        if at == Timestamp::NEVER {
            return "∞".to_owned();
        }
        self.zone.to_datetime(at.plus_millis(-1).instant()).date().to_string()
    }
}

/// The first days of the months from the one that holds `from` to the one that holds `to`.
pub fn months_between(from: Day, to: Day) -> Vec<Date> {
    let mut months = Vec::new();
    let mut month = from.date().first_of_month();
    while month <= to.date() && months.len() < 1_200 {
        months.push(month);
        month = month.saturating_add(1.month());
    }
    months
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::DAY_MS;

    #[test]
    fn a_lot_of_twenty_four_months_ends_with_the_london_month() {
        let calendar = Calendar::new("Europe/London").unwrap();
        let bought = calendar.parse_local("2011-07-15 09:00:00").unwrap();
        let end = calendar.end_of_month_after(bought, 24);
        assert_eq!(end.to_string(), "2013-07-31T23:00:00Z");
        assert_eq!(calendar.last_day_before(end), "2013-07-31");
    }

    #[test]
    fn times_are_written_as_jiff_does() {
        let of = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
        let known = ["1970-01-01T00:00:00Z", "2000-02-29T23:59:59Z", "2100-02-28T12:00:01Z", "9999-12-30T21:59:59Z"];
        known.iter().for_each(|text| assert_eq!(of(text).to_string(), *text));
        let days = (0..2_932_897).step_by(7).chain(2_932_525..2_932_540).map(|day| day * DAY_MS + day % 86_400 * 1_000);
        let odd = [-1, -DAY_MS, 1, 999, 253_402_300_799_000, 253_402_300_800_000, i64::MAX - 1];
        for millis in days.chain(odd) {
            let time = Timestamp::from_millis(millis);
            assert_eq!(time.to_string(), time.instant().to_string());
            assert_eq!(serde_json::to_string(&time).unwrap(), format!("\"{}\"", time.instant()));
        }
        assert_eq!(Timestamp::NEVER.to_string(), "never");
    }

    #[test]
    fn a_month_is_written_with_its_year() {
        let month: Month = "2026-12".parse().unwrap();
        assert_eq!((month.to_string(), month.next().to_string()), ("2026-12".to_owned(), "2027-01".to_owned()));
        assert_eq!((month.previous().next(), Month::of(month.first_day())), (month, month));
        for wrong in ["2026", "2026-13", "2026-1", "-026-01", "2026-01-01", "2026-0x", ""] {
            assert!(wrong.parse::<Month>().unwrap_err().contains("2026-01"), "{wrong}");
        }
    }

    #[test]
    fn days_are_local() {
        let calendar = Calendar::new("Europe/London").unwrap();
        let late = Timestamp::parse_rfc3339("2011-06-30T23:30:00Z").unwrap();
        assert_eq!(calendar.day_of(late).date().to_string(), "2011-07-01");
        assert_eq!(Day::of(Day(15_000).date()), Day(15_000));
        assert!(Calendar::new("Mars/Olympus").is_err());
    }
}
