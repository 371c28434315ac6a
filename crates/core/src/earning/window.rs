//! Windows over which caps and the history count: stretches of the program's calendar.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::time::{Calendar, Timestamp};

/// A stretch of time. All but `event` cut the calendar of the program into pieces without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// One activity.
    Event,
    /// A minute of the clock.
    Minute,
    /// An hour of the local clock.
    Hour,
    /// A local day.
    Day,
    /// A local week, from Monday.
    Week,
    /// A local month.
    Month,
    /// A local year.
    Year,
    /// All time.
    Lifetime,
}

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

impl Window {
    /// All but `event`, by their names.
    pub const COUNTED: [Self; 7] =
        [Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year, Self::Lifetime];

    /// The name used in program files and receipts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
            Self::Lifetime => "lifetime",
        }
    }

    /// The window of a name, `event` excepted.
    pub fn counted(name: &str) -> Option<Self> {
        Self::COUNTED.into_iter().find(|window| window.name() == name)
    }

    /// The end of the window that holds `at`: its first moment afterwards. Two moments lie in one window when it ends for
    /// both at the same time. An event ends with its own millisecond.
    pub fn end(self, calendar: &Calendar, at: Timestamp) -> Timestamp {
        match self {
            Self::Event => at.plus_millis(1),
            Self::Minute => end_of_clock(calendar, at, MINUTE_MS),
            Self::Hour => end_of_clock(calendar, at, HOUR_MS),
            Self::Day => calendar.end_of_day_after(at, 0),
            Self::Week => {
                let days_left = 6 - calendar.local(at).weekday().to_monday_zero_offset();
                calendar.end_of_day_after(at, i32::from(days_left))
            }
            Self::Month => calendar.end_of_month_after(at, 0),
            Self::Year => {
                let next = calendar.local(at).year().checked_add(1).and_then(|year| Date::new(year, 1, 1).ok());
                next.map_or(Timestamp::NEVER, |first| calendar.instant_of(first.at(0, 0, 0, 0)))
            }
            Self::Lifetime => Timestamp::NEVER,
        }
    }
}

/// The next full minute or hour of the local clock.
fn end_of_clock(calendar: &Calendar, at: Timestamp, length_ms: i64) -> Timestamp {
    let offset_ms = calendar.offset_ms(at);
    let local_ms = at.as_millis().saturating_add(offset_ms);
    let begin_ms = local_ms.div_euclid(length_ms).saturating_mul(length_ms);
    Timestamp::from_millis(begin_ms.saturating_add(length_ms).saturating_sub(offset_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_end_by_the_local_calendar() {
        let shanghai = Calendar::new("Asia/Shanghai").unwrap();
        // Wednesday, 31 December 2025, 23:59:30 in Shanghai.
        let at = Timestamp::parse_rfc3339("2025-12-31T15:59:30Z").unwrap();
        let ends = Window::COUNTED.map(|window| window.end(&shanghai, at).to_string());
        let midnight = "2025-12-31T16:00:00Z";
        let sunday = "2026-01-04T16:00:00Z";
        assert_eq!(ends, [midnight, midnight, midnight, sunday, midnight, midnight, "never"]);
        // Half an hour off: hours and minutes follow the local clock.
        let kolkata = Calendar::new("Asia/Kolkata").unwrap();
        assert_eq!(Window::Hour.end(&kolkata, at).to_string(), "2025-12-31T16:30:00Z");
        assert_eq!(Window::Minute.end(&kolkata, at).to_string(), "2025-12-31T16:00:00Z");
    }

    #[test]
    fn a_day_of_a_clock_change_is_one_window() {
        let london = Calendar::new("Europe/London").unwrap();
        let end = |text| Window::Day.end(&london, Timestamp::parse_rfc3339(text).unwrap()).to_string();
        assert_eq!(end("2026-03-29T00:30:00Z"), "2026-03-29T23:00:00Z");
        assert_eq!(end("2026-03-29T22:59:59Z"), "2026-03-29T23:00:00Z");
        assert_eq!(end("2026-03-29T23:00:00Z"), "2026-03-30T23:00:00Z");
    }
}
