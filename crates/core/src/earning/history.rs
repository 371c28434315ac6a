//! What an account remembers of its member's activities: how often and when each kind came, and what counts towards caps.
//!
//! The kernel and whoever follows the journal make the same changes by the same functions.

use serde::{Deserialize, Serialize};

use super::counter::{Counted, Counter, CounterName, CounterOf, Tally};
use super::window::Window;
use crate::limits;
use crate::time::{Day, Timestamp};

/// Days that `days_since` answers when there was nothing: a hundred years.
pub const NEVER_DAYS: i64 = 36_500;

/// What a member did of one kind of activity, since the account began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindHistory {
    /// The kind.
    pub kind: String,
    /// Activities.
    pub count: i64,
    /// Their money in minor units.
    pub amount: i64,
    /// The latest local day with one, in days since 1970-01-01.
    pub last_day: i32,
    /// Local days in a row with one, up to the latest.
    pub streak: i64,
}

/// How much of one purchase was returned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedPurchase {
    /// The id of the purchase's transaction.
    pub transaction: i64,
    /// Money returned, in minor units.
    pub amount: i64,
    /// Points taken back or forgiven, for each outcome of the purchase in its order.
    pub points: Vec<i64>,
}

/// What an account remembers of activities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// By kind, in the order of their first activity.
    pub kinds: Vec<KindHistory>,
    /// Counters, in the order in which they began.
    pub counters: Vec<Counter>,
    /// Purchases that were returned in whole or part, in the order of their transactions.
    pub returned: Vec<ReturnedPurchase>,
    /// Returns of purchases up to this transaction are kept no longer, unless they are among `returned`.
    pub returns_closed_until: i64,
    /// Whether the account was active before its history was kept: then each kind may have come before.
    pub partial: bool,
}

impl History {
    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Activities of a kind and their money. An account whose history begins late has done everything once before, so that
    /// nobody is new twice.
    pub fn lifetime(&self, kind: &str) -> Tally {
        let known =
            self.kind(kind).map_or_else(Tally::default, |known| Tally { count: known.count, sum: known.amount });
        Tally { count: known.count.saturating_add(i64::from(self.before(kind))), ..known }
    }

    /// Whether a kind may have come without being remembered.
    fn before(&self, kind: &str) -> bool {
        self.partial || (self.kinds.len() >= limits::ACTIVITY_KINDS && self.kind(kind).is_none())
    }

    fn kind(&self, kind: &str) -> Option<&KindHistory> {
        self.kinds.iter().find(|known| known.kind == kind)
    }

    /// Local days between the latest activity of a kind and `today`; [`NEVER_DAYS`] when there was none.
    pub fn days_since(&self, kind: &str, today: Day) -> i64 {
        self.kind(kind).map_or(NEVER_DAYS, |known| i64::from(today.0).saturating_sub(i64::from(known.last_day)).max(0))
    }

    /// Local days in a row with an activity of a kind, when one comes `today`.
    pub fn streak_with(&self, kind: &str, today: Day) -> i64 {
        let Some(known) = self.kind(kind) else { return 1 };
        match i64::from(today.0) - i64::from(known.last_day) {
            1 => known.streak.saturating_add(1),
            days if days > 1 => 1,
            _ => known.streak,
        }
    }

    /// Local days in a row with an activity of a kind, up to `today` or the day before.
    pub fn streak(&self, kind: &str, today: Day) -> i64 {
        let goes_on = |known: &&KindHistory| i64::from(today.0) - i64::from(known.last_day) <= 1;
        self.kind(kind).filter(goes_on).map_or(0, |known| known.streak)
    }

    /// Counts an activity of a kind. One that comes late, after another of a later day, changes no streak.
    pub fn record(&mut self, kind: &str, today: Day, amount: i64) {
        let streak = self.streak_with(kind, today);
        let new = || KindHistory { kind: kind.to_owned(), count: 0, amount: 0, last_day: today.0, streak: 0 };
        let kinds = &mut self.kinds;
        let Some(known) = found_or_new(kinds, |known| known.kind == kind, limits::ACTIVITY_KINDS, new) else { return };
        known.count = known.count.saturating_add(1);
        known.amount = known.amount.saturating_add(amount);
        known.last_day = known.last_day.max(today.0);
        known.streak = streak;
    }

    /// What was counted in a window, named by its end. `None`: there is no room for another counter.
    pub fn tally(&self, of: CounterName<'_>, window: Window, ends_at: Timestamp) -> Option<Tally> {
        match self.counters.iter().find(|counter| counter.window == window && of.names(&counter.of)) {
            Some(counter) => Some(counter.tally(ends_at)),
            None => self.has_room(of, window, ends_at).then(Tally::default),
        }
    }

    /// Whether a right to what is kept of a reward, which the member got at `since`, was used up.
    pub fn has_used_right(&self, reward: &str, since: Timestamp) -> bool {
        let of = CounterName::Private(reward);
        self.counters.iter().any(|counter| of.names(&counter.of) && counter.latest() > since)
    }

    /// Whether it can be used at `at`: it was not, and there is room to note that it is.
    pub fn can_use_right(&self, reward: &str, since: Timestamp, at: Timestamp) -> bool {
        let of = CounterName::Private(reward);
        let is_known = self.counters.iter().any(|counter| of.names(&counter.of));
        !self.has_used_right(reward, since) && (is_known || self.has_room(of, Window::Event, at))
    }

    fn has_room(&self, of: CounterName<'_>, window: Window, ends_at: Timestamp) -> bool {
        !self.is_full() || self.ended(&of.into(), window, ends_at).is_some()
    }

    /// Adds to a counter.
    pub fn count(&mut self, counted: &Counted) {
        let is_known = |counter: &Counter| counter.window == counted.window && counter.of == counted.of;
        if !self.counters.iter().any(is_known) {
            if matches!(counted.of, CounterOf::Reward(_)) && counted.sum < 0 {
                return;
            }
            let ended = self.is_full().then(|| self.ended(&counted.of, counted.window, counted.ends_at)).flatten();
            if let Some(ended) = ended {
                self.counters.remove(ended);
            }
        }
        if let Some(counter) = self.counter(&counted.of, counted.window) {
            counter.add(counted.ends_at, counted.tally());
        }
    }

    fn is_full(&self) -> bool {
        self.counters.len() >= limits::COUNTERS
    }

    /// A counter whose place another of its kind may take in a window that ends at `ends_at`: for the limit of a reward of which
    /// all windows are over by then, or of rights that nobody can have any more.
    fn ended(&self, of: &CounterOf, window: Window, ends_at: Timestamp) -> Option<usize> {
        let horizon = match of {
            CounterOf::Private(_) => ends_at.plus_millis(-limits::PRIVATE_RIGHT_MS),
            _ => ends_at,
        };
        self.counters.iter().position(|counter| {
            let alike = matches!(
                (&counter.of, of),
                (CounterOf::Reward(_), CounterOf::Reward(_)) | (CounterOf::Private(_), CounterOf::Private(_))
            );
            alike && counter.window == window && counter.open.last().is_none_or(|(end, _)| *end < horizon)
        })
    }

    fn counter(&mut self, of: &CounterOf, window: Window) -> Option<&mut Counter> {
        let same = |counter: &Counter| counter.window == window && counter.of == *of;
        found_or_new(&mut self.counters, same, limits::COUNTERS, || Counter::new(of.clone(), window))
    }

    /// How much of a purchase was returned. `None`: that is known no longer.
    pub fn returned(&self, transaction: i64) -> Option<ReturnedPurchase> {
        match self.returned.binary_search_by_key(&transaction, |known| known.transaction) {
            Ok(index) => self.returned.get(index).cloned(),
            Err(_) if transaction <= self.returns_closed_until => None,
            Err(_) => Some(ReturnedPurchase { transaction, ..ReturnedPurchase::default() }),
        }
    }

    /// Adds a return to what was returned of its purchase.
    pub fn give_back(&mut self, more: &ReturnedPurchase) {
        match self.returned.binary_search_by_key(&more.transaction, |known| known.transaction) {
            Ok(index) => {
                let Some(known) = self.returned.get_mut(index) else { return };
                known.amount = known.amount.saturating_add(more.amount);
                known.points.resize(known.points.len().max(more.points.len()), 0);
                known.points.iter_mut().zip(&more.points).for_each(|(sum, points)| *sum = sum.saturating_add(*points));
            }
            Err(index) => self.returned.insert(index, more.clone()),
        }
        self.close_returns();
    }

    fn close_returns(&mut self) {
        let beyond = self.returned.len().saturating_sub(limits::RETURNED_PURCHASES);
        for closed in self.returned.drain(..beyond) {
            self.returns_closed_until = self.returns_closed_until.max(closed.transaction);
        }
    }

    /// Takes in the history of another account of the same person.
    pub fn merge(&mut self, other: &Self) {
        for theirs in &other.kinds {
            let none = || KindHistory { count: 0, amount: 0, ..theirs.clone() };
            let kinds = &mut self.kinds;
            if let Some(ours) = found_or_new(kinds, |ours| ours.kind == theirs.kind, limits::ACTIVITY_KINDS, none) {
                ours.merge(theirs);
            }
        }
        for theirs in &other.counters {
            if let Some(ours) = self.counter(&theirs.of, theirs.window) {
                ours.merge(theirs);
            }
        }
        self.returned.extend(other.returned.iter().cloned());
        self.returned.sort_by_key(|known| known.transaction);
        self.returns_closed_until = self.returns_closed_until.max(other.returns_closed_until);
        self.partial |= other.partial;
        self.close_returns();
    }
}

/// The item that fits, or a new one while there is room.
fn found_or_new<T>(
    items: &mut Vec<T>,
    fits: impl Fn(&T) -> bool,
    limit: usize,
    new: impl FnOnce() -> T,
) -> Option<&mut T> {
    let index = items.iter().position(fits).unwrap_or(items.len());
    if index == items.len() {
        if index >= limit {
            return None;
        }
        items.push(new());
    }
    items.get_mut(index)
}

impl KindHistory {
    fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.amount = self.amount.saturating_add(other.amount);
        self.streak = match self.last_day.cmp(&other.last_day) {
            std::cmp::Ordering::Less => other.streak,
            std::cmp::Ordering::Equal => self.streak.max(other.streak),
            std::cmp::Ordering::Greater => self.streak,
        };
        self.last_day = self.last_day.max(other.last_day);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streak_counts_days_in_a_row() {
        let mut history = History::default();
        let mut streaks = Vec::new();
        // Twice on one day, a late one, and a gap.
        for day in [10, 11, 11, 12, 10, 13, 15] {
            let with = history.streak_with("check_in", Day(day));
            history.record("check_in", Day(day), 0);
            assert_eq!(history.kinds[0].streak, with);
            streaks.push(with);
        }
        assert_eq!(streaks, [1, 2, 2, 3, 3, 4, 1]);
        assert_eq!((history.kinds[0].count, history.kinds[0].last_day), (7, 15));
        assert_eq!((history.days_since("check_in", Day(18)), history.days_since("share", Day(18))), (3, NEVER_DAYS));
    }

    #[test]
    fn nobody_is_new_twice() {
        let mut history = History { partial: true, ..History::default() };
        assert_eq!(history.lifetime("purchase").count, 1);
        history.record("purchase", Day(1), 500);
        assert_eq!(history.lifetime("purchase"), Tally { count: 2, sum: 500 });
    }

    #[test]
    fn what_is_kept_for_a_member_is_had_once_also_where_counters_are_full() {
        let day = |days: i64| Timestamp::from_millis(days * 86_400_000);
        let had = |reward: &str, at: Timestamp| {
            let of = CounterOf::Private(reward.into());
            Counted { of, window: Window::Event, ends_at: at.plus_millis(1), count: 1, sum: 1 }
        };
        let mut history = History::default();
        let can = |history: &History, reward, since, at| history.can_use_right(reward, since, at);
        assert!(can(&history, "mug", day(1), day(2)));
        history.count(&had("mug", day(2)));
        // All rights until then, and none that came later.
        for (since, expected) in [(day(1), true), (day(2), true), (day(2).plus_millis(1), false)] {
            assert_eq!(history.has_used_right("mug", since), expected);
            assert_eq!(can(&history, "mug", since, day(3)), !expected);
        }
        for number in 1..limits::COUNTERS {
            history.count(&had(&format!("r{number}"), day(3)));
        }
        assert!(!can(&history, "vase", day(1), day(4)), "nothing could be noted");
        assert!(!history.has_used_right("vase", day(1)) && history.has_used_right("mug", day(1)));
        // No right is older than 90 days: what was had before that may be forgotten.
        assert!(can(&history, "vase", day(90), day(93)));
        history.count(&had("vase", day(93)));
        assert!(history.has_used_right("vase", day(90)));
        assert_eq!((history.counters.len(), history.has_used_right("mug", day(1))), (limits::COUNTERS, false));
    }

    #[test]
    fn what_was_returned_is_kept_in_bounds() {
        let mut history = History::default();
        let back = |transaction, amount, points| ReturnedPurchase { transaction, amount, points };
        history.give_back(&back(7, 100, vec![1]));
        history.give_back(&back(7, 50, vec![2, 5]));
        assert_eq!(history.returned(7), Some(back(7, 150, vec![3, 5])));
        assert_eq!(history.returned(8), Some(back(8, 0, vec![])));
        for transaction in 8..8 + limits::RETURNED_PURCHASES as i64 {
            history.give_back(&back(transaction, 1, vec![1]));
        }
        assert_eq!((history.returned.len(), history.returned(7), history.returned(3)), (100, None, None));
        assert!(history.returned(8).is_some());
    }
}
