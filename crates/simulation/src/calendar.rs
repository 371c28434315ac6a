//! The calendar of London by hand: the model asks no library for it.

use crate::world::{DAY, HOUR};

/// The first beginning of a year after a moment: London has winter time then.
pub(crate) fn new_year_after(at: i64) -> i64 {
    (2020..2200).map(|year| days_of(year, 1, 1) * DAY).find(|begin| *begin > at).unwrap_or(i64::MAX)
}

/// Days since 1970 of a date, by the well-known formula for the civil calendar.
pub(crate) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// British summer time: from 01:00 UTC on the last Sunday of March to that of October.
fn is_summer(at: i64) -> bool {
    let about = 1970 + at.div_euclid(365 * DAY + 6 * HOUR);
    (about - 1..=about + 1).any(|year| {
        // Both months have 31 days; 1970-01-01 was a Thursday.
        let last_sunday = |month| {
            let last = days_of(year, month, 31);
            (last - (last + 4).rem_euclid(7)) * DAY + HOUR
        };
        at >= last_sunday(3) && at < last_sunday(10)
    })
}

pub(crate) fn local_day(at: i64) -> i64 {
    (at + if is_summer(at) { HOUR } else { 0 }).div_euclid(DAY)
}

/// London's clocks change after midnight, so an hour before it tells the offset.
pub(crate) fn start_of_day(day: i64) -> i64 {
    let midnight = day * DAY;
    if is_summer(midnight - HOUR) { midnight - HOUR } else { midnight }
}

/// The end of the local month that lies 24 months after.
pub(crate) fn expiry(at: i64) -> i64 {
    month_end(at, 2)
}

/// The end of the local month that lies some years after.
pub(crate) fn month_end(at: i64, years: i64) -> i64 {
    let today = local_day(at);
    let (mut year, mut month) = (2020, 1);
    let next = |year: i64, month: i64| if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    while {
        let (year, month) = next(year, month);
        days_of(year, month, 1) <= today
    } {
        (year, month) = next(year, month);
    }
    let (year, month) = next(year + years, month);
    start_of_day(days_of(year, month, 1))
}

/// An hour of the local clock on a day, where the clocks stand still: neither at night nor on the hour of a change.
pub(crate) fn local_hour(day: i64, hour: i64) -> i64 {
    let moment = day * DAY + hour * HOUR;
    if is_summer(moment - HOUR) { moment - HOUR } else { moment }
}

/// Year, month and day of a day since 1970.
pub(crate) fn date_of(day: i64) -> (i64, i64, i64) {
    let year = (2020..2200).rev().find(|year| days_of(*year, 1, 1) <= day).unwrap_or(2020);
    let month = (1..=12).rev().find(|month| days_of(year, *month, 1) <= day).unwrap_or(1);
    (year, month, day - days_of(year, month, 1) + 1)
}

/// The local month of a moment, counted from the year 0.
pub(crate) fn local_month(at: i64) -> i64 {
    let (year, month, _) = date_of(local_day(at));
    year * 12 + month
}
