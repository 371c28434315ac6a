//! What an account remembers of activities by local day, for windows that roll: only of kinds for which a condition asks.

use serde::{Deserialize, Serialize};

use super::buckets::{Buckets, Sum};
use super::counter::Tally;
use crate::limits;
use crate::time::Day;

impl Sum for Tally {
    fn plus(self, other: Self) -> Self {
        Self::plus(self, other)
    }
}

/// A kind of activity by local days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindDays {
    /// The kind.
    pub kind: String,
    /// Activities and their money in minor units, by days since 1970-01-01.
    pub days: Buckets<Tally>,
}

/// Activities by local days, of a few kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// By kind, at most [`limits::ROLLING_KINDS`].
    pub kinds: Vec<KindDays>,
}

impl Recent {
    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Counts an activity. Where there is no room for another kind, the one that was seen longest ago gives way.
    pub fn record(&mut self, kind: &str, today: Day, amount: i64) {
        self.of(kind).add(today.0, Tally { count: 1, sum: amount }, limits::ROLLING_DAYS);
    }

    fn of(&mut self, kind: &str) -> &mut Buckets<Tally> {
        let found = self.kinds.iter().position(|known| known.kind == kind);
        let index = found.unwrap_or_else(|| {
            if self.kinds.len() >= limits::ROLLING_KINDS {
                let newest = |known: &KindDays| known.days.open.last().map_or(i32::MIN, |(day, _)| *day);
                let oldest = self.kinds.iter().enumerate().min_by_key(|(_, known)| newest(known));
                let oldest = oldest.map_or(0, |(index, _)| index);
                self.kinds.remove(oldest);
            }
            self.kinds.push(KindDays { kind: kind.to_owned(), days: Buckets::default() });
            self.kinds.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "the lines above found or put a kind at this index")]
        &mut self.kinds[index].days
    }

    /// Activities of a kind on the `days` local days up to `today`.
    pub fn tally(&self, kind: &str, days: u16, today: Day) -> Tally {
        let from = today.0.saturating_sub(i32::from(days)).saturating_add(1);
        let found = self.kinds.iter().find(|known| known.kind == kind);
        found.map_or_else(Tally::default, |known| known.days.between(from, today.0))
    }

    /// Takes in those of another account of the same person.
    pub fn merge(&mut self, other: &Self) {
        for theirs in &other.kinds {
            self.of(&theirs.kind).merge(&theirs.days, limits::ROLLING_DAYS);
        }
    }
}

/// The days of a window that rolls, by its name: `last_30_days`.
pub(super) fn rolling_days(name: &str) -> Option<u16> {
    let digits = name.strip_prefix("last_")?.strip_suffix("_days")?;
    if digits.is_empty() || digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let most = u16::try_from(limits::ROLLING_DAYS).ok()?;
    digits.parse().ok().filter(|days| *days <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_roll_end_today() {
        let mut recent = Recent::default();
        for (day, amount) in [(10, 100), (12, 200), (12, 300), (40, 50)] {
            recent.record("purchase", Day(day), amount);
        }
        let of = |days, today| recent.tally("purchase", days, Day(today));
        assert_eq!((of(30, 39).count, of(30, 39).sum), (3, 600));
        // Day 40 and the 29 before it begin with day 11.
        assert_eq!((of(30, 40).count, of(30, 40).sum, of(1, 40).sum, of(1, 41).count), (3, 550, 50, 0));
        assert_eq!((of(365, 12).count, recent.tally("visit", 30, Day(12)).count), (3, 0));
    }

    #[test]
    fn it_stays_small() {
        let mut recent = Recent::default();
        (0..3_000).for_each(|day| recent.record("purchase", Day(day), 1));
        assert_eq!(recent.kinds[0].days.open.len(), 365);
        (0..20).for_each(|kind| recent.record(&format!("kind_{kind}"), Day(3_000 + kind), 1));
        let kinds: Vec<&str> = recent.kinds.iter().map(|known| known.kind.as_str()).collect();
        assert_eq!((kinds.len(), kinds[0], kinds[15]), (16, "kind_4", "kind_19"));
    }

    #[test]
    fn names_of_windows() {
        assert_eq!(["last_1_days", "last_365_days"].map(rolling_days), [Some(1), Some(365)]);
        for name in
            ["last_0_days", "last_366_days", "last_07_days", "last__days", "last_+7_days", "last_7_day", "month"]
        {
            assert_eq!(rolling_days(name), None, "{name}");
        }
    }
}
