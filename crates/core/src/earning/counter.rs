//! Counters of an account: what counts towards a cap, or is asked for by a condition, in the windows of one kind.
//!
//! Activities may arrive late and in any order. A counter tells its latest windows apart; all earlier ones together count
//! as one window that holds as much as the fullest of them, so that a cap holds however late an activity comes.

use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::evaluate::{Moments, write_field};
use super::window::Window;
use crate::ledger::CurrencyId;
use crate::limits;
use crate::time::Timestamp;

/// What a counter counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CounterOf {
    /// What a rule gave: activities and points.
    Rule(Arc<str>),
    /// What all rules gave of a currency: activities and points.
    Currency(CurrencyId),
    /// Activities of a kind, and their money in minor units.
    Kind(Arc<str>),
    /// What the rules of a campaign gave: activities and points.
    Campaign(Arc<str>),
    /// Activities of a kind, and their money in minor units, of members whom this one has referred.
    Referred(Arc<str>),
    /// Orders of a reward that has limits, and their units.
    Reward(Arc<str>),
    /// Orders by which the right to what is kept of a reward was used up, and their units: each in a window that ends with it.
    Private(Arc<str>),
}

/// The same for looking one up.
#[derive(Debug, Clone, Copy)]
pub enum CounterName<'a> {
    /// [`CounterOf::Rule`].
    Rule(&'a str),
    /// [`CounterOf::Currency`].
    Currency(CurrencyId),
    /// [`CounterOf::Kind`].
    Kind(&'a str),
    /// [`CounterOf::Campaign`].
    Campaign(&'a str),
    /// [`CounterOf::Referred`].
    Referred(&'a str),
    /// [`CounterOf::Reward`].
    Reward(&'a str),
    /// [`CounterOf::Private`].
    Private(&'a str),
}

impl CounterName<'_> {
    /// Whether a counter has this name.
    pub fn names(self, of: &CounterOf) -> bool {
        match (self, of) {
            (Self::Rule(name), CounterOf::Rule(known))
            | (Self::Kind(name), CounterOf::Kind(known))
            | (Self::Campaign(name), CounterOf::Campaign(known))
            | (Self::Referred(name), CounterOf::Referred(known))
            | (Self::Reward(name), CounterOf::Reward(known))
            | (Self::Private(name), CounterOf::Private(known)) => *name == **known,
            (Self::Currency(currency), CounterOf::Currency(known)) => currency == *known,
            _ => false,
        }
    }
}

impl From<CounterName<'_>> for CounterOf {
    fn from(name: CounterName<'_>) -> Self {
        match name {
            CounterName::Rule(name) => Self::Rule(name.into()),
            CounterName::Currency(currency) => Self::Currency(currency),
            CounterName::Kind(name) => Self::Kind(name.into()),
            CounterName::Campaign(name) => Self::Campaign(name.into()),
            CounterName::Referred(name) => Self::Referred(name.into()),
            CounterName::Reward(name) => Self::Reward(name.into()),
            CounterName::Private(name) => Self::Private(name.into()),
        }
    }
}

/// A number of activities and a sum over them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Activities.
    pub count: i64,
    /// Points, or money in minor units.
    pub sum: i64,
}

impl Tally {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self { count: self.count.saturating_add(other.count), sum: self.sum.saturating_add(other.sum) }
    }

    /// The greater of each.
    fn max(self, other: Self) -> Self {
        Self { count: self.count.max(other.count), sum: self.sum.max(other.sum) }
    }
}

/// What one activity added to a counter; in receipts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Counted {
    /// Of what.
    #[serde(flatten)]
    pub of: CounterOf,
    /// In windows of which kind.
    pub window: Window,
    /// When the window ends.
    pub ends_at: Timestamp,
    /// Activities.
    pub count: i64,
    /// Points, or money in minor units.
    pub sum: i64,
}

/// As it would be derived; without the detour over a map that `flatten` takes, which receipts are too many for.
impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Counted", 5)?;
        match &self.of {
            CounterOf::Rule(id) => fields.serialize_field("rule", id),
            CounterOf::Currency(currency) => fields.serialize_field("currency", currency),
            CounterOf::Kind(kind) => fields.serialize_field("kind", kind),
            CounterOf::Campaign(id) => fields.serialize_field("campaign", id),
            CounterOf::Referred(kind) => fields.serialize_field("referred", kind),
            CounterOf::Reward(id) => fields.serialize_field("reward", id),
            CounterOf::Private(id) => fields.serialize_field("private", id),
        }?;
        fields.serialize_field("window", &self.window)?;
        fields.serialize_field("ends_at", &self.ends_at)?;
        fields.serialize_field("count", &self.count)?;
        fields.serialize_field("sum", &self.sum)?;
        fields.end()
    }
}

impl Counted {
    /// Appends the JSON that `Serialize` makes, as [`Outcome::write_json`](super::Outcome::write_json) does.
    pub(crate) fn write_json(&self, json: &mut Vec<u8>, moments: &mut Moments) -> serde_json::Result<()> {
        match &self.of {
            CounterOf::Rule(id) => write_field(json, br#"{"rule":"#, &**id),
            CounterOf::Currency(currency) => write_field(json, br#"{"currency":"#, currency),
            CounterOf::Kind(kind) => write_field(json, br#"{"kind":"#, &**kind),
            CounterOf::Campaign(id) => write_field(json, br#"{"campaign":"#, &**id),
            CounterOf::Referred(kind) => write_field(json, br#"{"referred":"#, &**kind),
            CounterOf::Reward(id) => write_field(json, br#"{"reward":"#, &**id),
            CounterOf::Private(id) => write_field(json, br#"{"private":"#, &**id),
        }?;
        write_field(json, br#","window":"#, &self.window)?;
        moments.write_field(json, br#","ends_at":"#, self.ends_at)?;
        write_field(json, br#","count":"#, &self.count)?;
        write_field(json, br#","sum":"#, &self.sum)?;
        json.push(b'}');
        Ok(())
    }

    /// As a tally.
    pub fn tally(&self) -> Tally {
        Tally { count: self.count, sum: self.sum }
    }
}

/// A counter and its windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// Of what.
    pub of: CounterOf,
    /// In windows of which kind.
    pub window: Window,
    /// The windows that are told apart, by their ends: at most [`limits::COUNTER_WINDOWS`].
    pub open: Vec<(Timestamp, Tally)>,
    /// Windows that end up to here count as one.
    pub closed_until: Timestamp,
    /// No less than any of those windows holds.
    pub closed: Tally,
}

impl Counter {
    /// A counter of nothing yet.
    pub fn new(of: CounterOf, window: Window) -> Self {
        Self { of, window, open: Vec::new(), closed_until: Timestamp::ZERO, closed: Tally::default() }
    }

    /// What the window that ends at `ends_at` holds, or more when it lies far back.
    pub fn tally(&self, ends_at: Timestamp) -> Tally {
        if ends_at <= self.closed_until {
            return self.closed;
        }
        let found = self.open.iter().rev().find(|(end, _)| *end == ends_at);
        found.map_or_else(Tally::default, |(_, tally)| *tally)
    }

    /// The end of the latest window in which something was counted.
    pub fn latest(&self) -> Timestamp {
        self.open.last().map_or(self.closed_until, |(end, _)| *end)
    }

    /// Adds to a window.
    pub fn add(&mut self, ends_at: Timestamp, more: Tally) {
        self.put(ends_at, more);
        self.close();
    }

    fn put(&mut self, ends_at: Timestamp, more: Tally) {
        if ends_at <= self.closed_until {
            // What is given back belongs to one of those windows: another may still hold as much.
            if more.sum >= 0 {
                self.closed = self.closed.plus(more);
            }
            return;
        }
        match self.open.binary_search_by_key(&ends_at, |(end, _)| *end) {
            Ok(index) => {
                if let Some((_, tally)) = self.open.get_mut(index) {
                    *tally = tally.plus(more);
                }
            }
            Err(index) => self.open.insert(index, (ends_at, more)),
        }
    }

    /// Puts windows together that are too many or too old.
    fn close(&mut self) {
        let latest = self.open.last().map_or(Timestamp::ZERO, |(end, _)| *end);
        let horizon = latest.plus_millis(-limits::COUNTER_AGE_MS);
        let old = self.open.partition_point(|(end, _)| *end <= horizon);
        self.close_first(old.max(self.open.len().saturating_sub(limits::COUNTER_WINDOWS)));
    }

    fn close_first(&mut self, windows: usize) {
        for (end, tally) in self.open.drain(..windows) {
            self.closed_until = self.closed_until.max(end);
            self.closed = self.closed.max(tally);
        }
    }

    /// Adds what another account of the same person counted.
    pub(super) fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        let until = self.closed_until.max(other.closed_until);
        for counter in [&mut *self, &mut other] {
            let closed = counter.open.partition_point(|(end, _)| *end <= until);
            counter.close_first(closed);
            counter.closed_until = until;
        }
        self.closed = self.closed.plus(other.closed);
        other.open.into_iter().for_each(|(end, tally)| self.put(end, tally));
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 60 * 60 * 1000;

    fn counter(added: &[(i64, i64)]) -> Counter {
        let mut counter = Counter::new(CounterOf::Rule("r".into()), Window::Hour);
        added.iter().for_each(|(hour, sum)| counter.add(end(*hour), Tally { count: 1, sum: *sum }));
        counter
    }

    fn end(hour: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000_000_000 + hour * HOUR_MS)
    }

    #[test]
    fn what_was_counted_is_read_as_it_was_written() {
        let name = || "tea".into();
        for (of, written) in [
            (CounterOf::Rule(name()), r#"{"rule":"tea","window":"hour","#),
            (CounterOf::Currency(CurrencyId(2)), r#"{"currency":2,"window":"hour","#),
            (CounterOf::Kind(name()), r#"{"kind":"tea","window":"hour","#),
            (CounterOf::Campaign(name()), r#"{"campaign":"tea","window":"hour","#),
            (CounterOf::Referred(name()), r#"{"referred":"tea","window":"hour","#),
            (CounterOf::Private(name()), r#"{"private":"tea","window":"hour","#),
        ] {
            let counted = Counted { of, window: Window::Hour, ends_at: end(1), count: 1, sum: -5 };
            let json = serde_json::to_string(&counted).unwrap();
            assert!(json.starts_with(written), "{json}");
            assert!(json.ends_with(r#""ends_at":"2001-09-09T02:46:40Z","count":1,"sum":-5}"#), "{json}");
            assert_eq!(serde_json::from_str::<Counted>(&json).unwrap(), counted);
        }
    }

    #[test]
    fn late_activities_find_their_window() {
        let counter = counter(&[(1, 5), (3, 7), (1, 5), (2, 1)]);
        let sums: Vec<i64> = (0..5).map(|hour| counter.tally(end(hour)).sum).collect();
        assert_eq!(sums, [0, 10, 1, 7, 0]);
    }

    #[test]
    fn what_lies_far_back_counts_as_one_window() {
        // 40 hours: the first 8 are put together and hold as much as the fullest of them, 8.
        let mut counter = counter(&(1..=40).map(|hour| (hour, hour)).collect::<Vec<_>>());
        assert_eq!((counter.open.len(), counter.closed_until, counter.closed.sum), (32, end(8), 8));
        counter.add(end(3), Tally { count: 1, sum: 4 });
        assert_eq!((counter.tally(end(1)).sum, counter.tally(end(8)).sum, counter.tally(end(9)).sum), (12, 12, 9));
        // A hundred days later nothing else is told apart.
        counter.add(end(2_440), Tally { count: 1, sum: 1 });
        assert_eq!((counter.open.len(), counter.tally(end(40)).sum), (1, 40));
    }

    #[test]
    fn what_two_accounts_counted_adds_up() {
        let mut ours = counter(&[(1, 5), (50, 7)]);
        // The other one has put its first hours together, and 10 is the fullest of them.
        let theirs = counter(&(10..=50).map(|hour| (hour, if hour == 10 { 10 } else { 1 })).collect::<Vec<_>>());
        assert_eq!((theirs.closed_until, theirs.closed.sum), (end(18), 10));
        ours.merge(&theirs);
        assert_eq!((ours.tally(end(1)).sum, ours.tally(end(10)).sum), (15, 15));
        assert_eq!((ours.tally(end(20)).sum, ours.tally(end(50)).sum), (1, 8));
    }
}
