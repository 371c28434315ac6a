//! The review of the range of rewards: what hardly anybody takes, what is nearly gone, and of what members take more than of
//! the rest.

use super::{Figures, Shelf};
use crate::program::Program;
use crate::time::Timestamp;

/// Rewards that are proposed of a kind at the most.
const MOST: usize = 200;
/// Categories that are proposed at the most.
const CATEGORIES: usize = 10;
/// Per cent of what there was from which on a reward counts as nearly gone.
const NEARLY_GONE: i64 = 90;
/// How often as much as the average a reward of a category is taken that is worth more of its kind.
const STRONG: i64 = 2;

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// The first moment of the orders that were counted.
    pub from: Timestamp,
    /// Now.
    pub to: Timestamp,
    /// When the first order of all was made; `None`: there is none. Before it nothing could be taken.
    pub first_order_at: Option<Timestamp>,
    /// Rewards of which less than so many per cent were taken are proposed for retirement.
    pub below_percent: i64,
}

/// How much was taken of a reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uptake {
    /// Its row.
    pub row: usize,
    /// Units that were ordered and not given back.
    pub ordered: i64,
    /// Of how many: those and what is free of limited ones; of unlimited ones as many as the average reward was ordered.
    pub of: i64,
    /// Units that are free; `None`: unlimited.
    pub free: Option<i64>,
}

impl Uptake {
    /// Tenths of a per cent that were taken, rounded down; more than 1,000 where the average is exceeded.
    pub fn permille(&self) -> i64 {
        match self.of {
            of if of > 0 => i64::try_from(i128::from(self.ordered) * 1_000 / i128::from(of)).unwrap_or(i64::MAX),
            _ => 0,
        }
    }
}

/// A category of which members take more than of the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrongCategory {
    /// Its id.
    pub id: String,
    /// Rewards in it that are listed.
    pub rewards: i64,
    /// Units of them that were ordered.
    pub ordered: i64,
}

/// What is proposed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assortment {
    /// Rewards that were looked at: those that are listed.
    pub listed: i64,
    /// Units of them that were ordered.
    pub ordered: i64,
    /// Rewards to be taken out, what was taken least of first. They were there for the whole time, as were orders.
    pub retire: Vec<Uptake>,
    /// Rewards of which nearly all is taken, what was ordered most first.
    pub nearly_gone: Vec<Uptake>,
    /// Categories that are worth more rewards, the strongest first.
    pub categories: Vec<StrongCategory>,
}

impl Shelf {
    /// Reviews what is listed. `figures` hold the orders of the window and the stock now.
    ///
    /// The share that was taken is units ordered ÷ (units ordered + units free); of what is unlimited it is units ordered ÷ the
    /// average of all listed rewards, rounded up.
    pub fn assortment(&self, program: &Program, figures: &Figures, window: Window) -> Assortment {
        let listed: Vec<usize> = (0..self.rewards().len())
            .filter(|row| self.reward(*row).is_some_and(|offered| offered.is_listed(window.to)))
            .collect();
        let ordered_of = |row: usize| figures.ordered.get(row).copied().unwrap_or_default();
        let ordered: i64 = listed.iter().map(|row| ordered_of(*row)).fold(0, i64::saturating_add);
        let count = i64::try_from(listed.len()).unwrap_or(i64::MAX);
        let average = if count > 0 { ordered.saturating_add(count - 1) / count } else { 0 };
        let uptake = |row: usize| {
            let (ordered, free) =
                (ordered_of(row), figures.stock.get(row).copied().flatten().map(|level| level.free().max(0)));
            Uptake { row, ordered, of: free.map_or(average, |free| ordered.saturating_add(free)), free }
        };
        let all: Vec<Uptake> = listed.iter().map(|row| uptake(*row)).collect();
        let was_open = window.first_order_at.is_some_and(|first| first <= window.from);
        let was_there = |row: usize| {
            self.reward(row).filter(|_| was_open).is_some_and(|offered| {
                let since = program.reward_since(&offered.reward.id).unwrap_or(window.to);
                since <= window.from && offered.listed_from().is_none_or(|from| from <= window.from)
            })
        };
        // What has run out is not slow, however little there was of it.
        let is_slow = |one: &&Uptake| one.permille() < window.below_percent.saturating_mul(10) && one.free != Some(0);
        let mut retire: Vec<Uptake> = all.iter().filter(is_slow).filter(|one| was_there(one.row)).copied().collect();
        retire.sort_by_key(|one| (one.permille(), std::cmp::Reverse(one.free), one.row));
        retire.truncate(MOST);
        let is_going = |one: &&Uptake| one.ordered > 0 && one.free.is_some() && one.permille() >= NEARLY_GONE * 10;
        let mut nearly_gone: Vec<Uptake> = all.iter().filter(is_going).copied().collect();
        nearly_gone.sort_by_key(|one| (std::cmp::Reverse(one.ordered), one.row));
        nearly_gone.truncate(MOST);
        let categories = self.strong_categories(&all, (ordered, count));
        Assortment { listed: count, ordered, retire, nearly_gone, categories }
    }

    /// Categories whose rewards are ordered at least twice as often as the average.
    fn strong_categories(&self, all: &[Uptake], (ordered, count): (i64, i64)) -> Vec<StrongCategory> {
        let mut sums = std::collections::BTreeMap::<&str, (i64, i64)>::new();
        for one in all {
            for category in self.categories_of(one.row) {
                let (rewards, units) = sums.entry(category.id.as_str()).or_default();
                *rewards += 1;
                *units = units.saturating_add(one.ordered);
            }
        }
        let product = |left: i64, right: i64| i128::from(left) * i128::from(right);
        let is_strong = |(_, (rewards, units)): &(&str, (i64, i64))| {
            *units > 0 && product(*units, count) >= product(*rewards, ordered) * i128::from(STRONG)
        };
        let mut strong: Vec<_> = sums.into_iter().filter(is_strong).collect();
        // By units of each reward, without division: a/b > c/d where a·d > c·b.
        strong.sort_by(|(_, (rewards, units)), (_, (other_rewards, other_units))| {
            product(*other_units, *rewards).cmp(&product(*units, *other_rewards))
        });
        strong.truncate(CATEGORIES);
        strong
            .into_iter()
            .map(|(id, (rewards, ordered))| StrongCategory { id: id.to_owned(), rewards, ordered })
            .collect()
    }
}
