//! What the demand for a reward is: orders as the store knows them, read again after a few seconds, and views that this node
//! has seen. Only looked at where the price of a reward depends on it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use guerdon_core::rewards::{DemandFigures, Reward};
use guerdon_core::time::Timestamp;
use guerdon_store::read::Reader;
use guerdon_store::{Ordered, StoreError};
use moka::sync::Cache;

/// How long what was read of orders is used.
const KEPT: Duration = Duration::from_secs(5);
/// Rewards of which it is kept at the most.
const KEPT_REWARDS: u64 = 10_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Minutes in which views are told apart: the last hour.
const MINUTES: usize = 60;

/// The demand as this node knows it.
pub struct Demand {
    orders: Cache<String, Ordered>,
    views: Mutex<HashMap<String, Views>>,
}

impl Default for Demand {
    fn default() -> Self {
        let orders = Cache::builder().max_capacity(KEPT_REWARDS).time_to_live(KEPT).build();
        Self { orders, views: Mutex::default() }
    }
}

impl Demand {
    /// Counts that somebody looks at a reward. Whoever answers them counts it, once for each look, however many prices it takes.
    pub fn seen(&self, reward: &Reward, now: Timestamp) {
        if !reward.price.counts_views() {
            return;
        }
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        match views.get_mut(&reward.id) {
            Some(views) => views.count(now),
            None => views.entry(reward.id.clone()).or_default().count(now),
        }
    }

    /// What the price of a reward asks for; `None`: nothing.
    pub async fn figures(
        &self,
        reader: &Reader,
        reward: &Reward,
        now: Timestamp,
    ) -> Result<Option<DemandFigures>, StoreError> {
        Ok(self.figures_of(reader, [reward], now).await?.remove(&reward.id))
    }

    /// What the prices of some rewards ask for, at most as many as one page holds, by reward; those left out that ask for
    /// nothing. What is not known is read at once.
    pub async fn figures_of<'r>(
        &self,
        reader: &Reader,
        rewards: impl IntoIterator<Item = &'r Reward>,
        now: Timestamp,
    ) -> Result<BTreeMap<String, DemandFigures>, StoreError> {
        let asking: Vec<&Reward> = rewards.into_iter().filter(|reward| reward.price.needs_figures()).collect();
        let mut orders: BTreeMap<String, Ordered> = BTreeMap::new();
        let mut unknown = Vec::new();
        for reward in &asking {
            match self.orders.get(&reward.id) {
                Some(known) => drop(orders.insert(reward.id.clone(), known)),
                None => unknown.push(reward.id.as_str()),
            }
        }
        // Also of those where only the last order counts: what is kept may serve another version of the price.
        let up_to = asking.iter().map(|reward| reward.price.orders_counted()).max().unwrap_or_default();
        for (id, read) in reader.demand(&unknown, now.plus_millis(-HOUR_MS), up_to).await? {
            self.orders.insert(id.clone(), read);
            orders.insert(id, read);
        }
        let views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let figures = |(id, (orders, last_order_at)): (String, Ordered)| {
            let views = views.get(&id).map_or(0, |views| views.last_hour(now));
            (id, DemandFigures { orders, views, last_order_at })
        };
        Ok(orders.into_iter().map(figures).collect())
    }
}

/// Views by minutes, in a ring: a minute takes the place of the one an hour before it.
#[derive(Clone)]
struct Views {
    /// Each with the minute that it counts.
    minutes: [(i64, i64); MINUTES],
}

impl Default for Views {
    fn default() -> Self {
        Self { minutes: [(i64::MIN, 0); MINUTES] }
    }
}

impl Views {
    fn count(&mut self, now: Timestamp) {
        let minute = now.as_millis().div_euclid(MINUTE_MS);
        let place = usize::try_from(minute.rem_euclid(MINUTES as i64)).unwrap_or_default();
        if let Some((counted, views)) = self.minutes.get_mut(place) {
            if *counted != minute {
                (*counted, *views) = (minute, 0);
            }
            *views = views.saturating_add(1);
        }
    }

    fn last_hour(&self, now: Timestamp) -> i64 {
        let minute = now.as_millis().div_euclid(MINUTE_MS);
        let first = minute - MINUTES as i64;
        let recent = self.minutes.iter().filter(|(counted, _)| *counted > first && *counted <= minute);
        recent.map(|(_, views)| views).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_those_of_the_last_hour() {
        let mut views = Views::default();
        let at = |minute: i64| Timestamp::from_millis(1_800_000_000_000 + minute * MINUTE_MS);
        for minute in [0, 0, 1, 59, 59, 59] {
            views.count(at(minute));
        }
        assert_eq!([views.last_hour(at(0)), views.last_hour(at(1)), views.last_hour(at(59))], [2, 3, 6]);
        // An hour later, the first two are gone; the minute after that takes the place of the second.
        assert_eq!(views.last_hour(at(60)), 4);
        views.count(at(61));
        assert_eq!([views.last_hour(at(61)), views.last_hour(at(118)), views.last_hour(at(119))], [4, 4, 1]);
        assert_eq!(views.last_hour(at(10_000)), 0);
    }
}
