//! Birthdays by the local calendar.

use jiff::civil::Date;

use crate::time::Day;

/// Whether somebody born on a date (`YYYY-MM-DD`) has their birthday on a day. Who was born on 29 February has it on the 28th
/// in ordinary years. What is no date has none.
pub fn has_birthday(birth_date: &str, day: Day) -> bool {
    let Ok(born) = birth_date.parse::<Date>() else { return false };
    let date = day.date();
    let moved = (born.month(), born.day()) == (2, 29) && (date.month(), date.day()) == (2, 28) && !date.in_leap_year();
    born < date && ((born.month(), born.day()) == (date.month(), date.day()) || moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_birthday_comes_once_a_year() {
        let on = |born: &str, date: &str| has_birthday(born, Day::of(date.parse().unwrap()));
        assert!(on("1990-05-17", "2026-05-17") && !on("1990-05-17", "2026-05-18"));
        assert!(on("1992-02-29", "2026-02-28") && !on("1992-02-29", "2026-03-01"));
        assert!(on("1992-02-29", "2028-02-29") && !on("1992-02-29", "2028-02-28"));
        assert!(!on("2026-05-17", "2026-05-17"), "the day of birth itself");
        assert!(!on("17.05.1990", "2026-05-17") && !on("", "2026-05-17"));
    }
}
