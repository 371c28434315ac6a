//! Sums by local day or month over the latest stretch of time; what is older is added up in one.

use serde::{Deserialize, Serialize};

/// Something that adds up.
pub trait Sum: Copy + Default + PartialEq {
    /// Both together.
    fn plus(self, other: Self) -> Self;
}

/// Sums by day or month, told apart by a number that rises with time: days since 1970-01-01, or months since the year 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buckets<T> {
    /// What is older than the open ones.
    pub earlier: T,
    /// Days or months up to here are told apart no longer.
    pub closed_until: i32,
    /// The latest days or months, oldest first; those without anything are left out.
    pub open: Vec<(i32, T)>,
}

impl<T: Sum> Buckets<T> {
    /// Adds to a day or month, and keeps the latest `keep` of them apart.
    pub fn add(&mut self, at: i32, more: T, keep: i32) {
        if at <= self.closed_until {
            self.earlier = self.earlier.plus(more);
            return;
        }
        let index = self.open.partition_point(|(known, _)| *known < at);
        match self.open.get_mut(index).filter(|(known, _)| *known == at) {
            Some((_, sum)) => *sum = sum.plus(more),
            None => self.open.insert(index, (at, more)),
        }
        let newest = self.open.last().map_or(at, |(newest, _)| *newest);
        let closed_until = newest.saturating_sub(keep);
        let closed = self.open.partition_point(|(known, _)| *known <= closed_until);
        if closed > 0 {
            self.closed_until = self.closed_until.max(closed_until);
            self.earlier = self.open.drain(..closed).fold(self.earlier, |sum, (_, closed)| sum.plus(closed));
        }
    }

    /// What lies between two days or months, both included, as far as it is told apart.
    pub fn between(&self, from: i32, to: i32) -> T {
        let reached = self.open.iter().rev().skip_while(|(at, _)| *at > to).take_while(|(at, _)| *at >= from);
        reached.fold(T::default(), |sum, (_, one)| sum.plus(*one))
    }

    /// All there ever was.
    pub fn total(&self) -> T {
        self.open.iter().fold(self.earlier, |sum, (_, one)| sum.plus(*one))
    }

    /// Takes in those of another account of the same person.
    pub fn merge(&mut self, other: &Self, keep: i32) {
        self.earlier = self.earlier.plus(other.earlier);
        other.open.iter().for_each(|(at, more)| self.add(*at, *more, keep));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::earning::Tally;

    fn tally(sum: i64) -> Tally {
        Tally { count: 1, sum }
    }

    #[test]
    fn the_latest_are_told_apart_in_whichever_order_they_come() {
        let mut buckets = Buckets::default();
        for (day, sum) in [(100, 1), (102, 2), (101, 4), (102, 8), (105, 16)] {
            buckets.add(day, tally(sum), 4);
        }
        // 105 − 4 = 101: the days up to it are one.
        assert_eq!(buckets.open, [(102, Tally { count: 2, sum: 10 }), (105, tally(16))]);
        assert_eq!((buckets.earlier, buckets.closed_until), (Tally { count: 2, sum: 5 }, 101));
        assert_eq!(
            (buckets.between(102, 104).sum, buckets.between(103, 105).sum, buckets.between(0, 999).sum),
            (10, 16, 26)
        );
        buckets.add(90, tally(32), 4);
        assert_eq!((buckets.open.len(), buckets.earlier.sum, buckets.total().sum), (2, 37, 63));
        let mut other = Buckets::default();
        other.add(103, tally(64), 4);
        other.merge(&buckets, 4);
        assert_eq!((other.between(103, 103).sum, other.total()), (64, Tally { count: 7, sum: 127 }));
    }
}
