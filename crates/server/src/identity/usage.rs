//! Quotas of partners by day and month, and what each key has used.
//!
//! A request is counted in memory; every few seconds each node adds what it has counted to the records that all share, and
//! learns so what the others have. A quota is therefore approximate: after it is used up, other nodes, and a node that was
//! just started, may let through what comes within one interval. A kill −9 forgets at most one interval. Days and months
//! are those of UTC, as the bills of partners have them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use guerdon_core::time::Timestamp;
use guerdon_store::read::Reader;
use guerdon_store::{CommandError, EngineHandle, Record, RecordChange, RecordQuery, StoreError};
use serde::{Deserialize, Serialize};

use crate::identity::rate::{Limited, RateHeaders};

/// The kind of the records; the id is `<key>:<day or month>`, the subject the key.
pub const USAGE: &str = "usage";
/// How often to write what was counted.
pub const FLUSH_EVERY: std::time::Duration = std::time::Duration::from_secs(5);
/// How long the counts of a day and of a month are kept, in milliseconds: thirteen months.
const KEPT_MS: i64 = 400 * DAY_MS;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How many records one transaction writes.
const AT_ONCE: usize = 200;
/// How often a write is tried when other nodes are faster. What is left over is written the next time.
const TRIES: usize = 5;
/// How many days and months of a key are listed.
const MOST_PERIODS: i64 = 500;

/// How much a key may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UsageQuota {
    /// Requests a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u64>,
    /// Requests a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_month: Option<u64>,
}

/// What was used in a day or month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The day, `2026-01-31`, or the month, `2026-01`.
    pub period: String,
    /// How many requests.
    pub count: u64,
}

#[derive(Serialize, Deserialize)]
struct Body {
    count: u64,
}

/// A day or month of one key.
#[derive(Debug, Clone)]
struct Period {
    label: String,
    begins_at: i64,
    ends_at: i64,
    /// What all nodes had counted when we last wrote.
    known: u64,
    /// What we have counted since.
    pending: u64,
}

#[derive(Debug)]
struct Tally {
    day: Period,
    month: Period,
    /// Counts of periods that ended before they were written: label and count.
    overdue: Vec<(String, u64)>,
}

/// Counts the use of keys. One a server.
#[derive(Default)]
pub struct Usage {
    tallies: RwLock<HashMap<String, Arc<Mutex<Tally>>>>,
    /// One writes at a time: two would write the same counts twice.
    flushing: tokio::sync::Mutex<()>,
}

/// A count that is still to be written.
struct Due {
    key: String,
    label: String,
    count: u64,
    tally: Arc<Mutex<Tally>>,
}

impl Usage {
    /// With nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a request of a key or partner; refuses it, uncounted, when a quota is used up. The headers are those of the
    /// quota that has less left, where there is one.
    pub fn count(&self, key: &str, quota: &UsageQuota, now: Timestamp) -> Result<Option<RateHeaders>, Limited> {
        let tally = self.tally(key, now);
        let mut tally = lock(&tally);
        tally.turn(now);
        let state = |policy, limit: Option<u64>, period: &Period| limit.map(|limit| period.headers(policy, limit, now));
        let states = [state("day", quota.per_day, &tally.day), state("month", quota.per_month, &tally.month)];
        // The one that lasts longer says when to come back.
        if let Some(used_up) = states.iter().flatten().rev().find(|headers| headers.remaining == 0) {
            return Err(Limited { headers: *used_up, retry_after: used_up.reset.max(1) });
        }
        tally.day.pending += 1;
        tally.month.pending += 1;
        let tightest = states.into_iter().flatten().min_by_key(|headers| headers.remaining);
        Ok(tightest.map(|headers| RateHeaders { remaining: headers.remaining - 1, ..headers }))
    }

    /// Writes what was counted since the last time and learns what other nodes have counted. Answers how many counts were
    /// written. To be called every [`FLUSH_EVERY`], and once more before the server stops.
    pub async fn flush(&self, engine: &EngineHandle, reader: &Reader, now: Timestamp) -> Result<usize, CommandError> {
        let _alone = self.flushing.lock().await;
        let due = self.due(now);
        for some in due.chunks(AT_ONCE) {
            write(engine, reader, some, now).await?;
        }
        Ok(due.len())
    }

    /// What a key has used by day and month, the oldest first.
    pub async fn used(reader: &Reader, key: &str, now: Timestamp) -> Result<Vec<Used>, StoreError> {
        let query =
            RecordQuery { kind: USAGE.to_owned(), subject: Some(key.to_owned()), after: None, limit: MOST_PERIODS };
        let records = reader.records(&query, now).await?;
        let used = records.iter().map(|record| {
            let period = record.id.rsplit_once(':').map_or(record.id.as_str(), |(_, period)| period).to_owned();
            Ok(Used { period, count: record.read::<Body>()?.count })
        });
        used.collect()
    }

    fn tally(&self, key: &str, now: Timestamp) -> Arc<Mutex<Tally>> {
        if let Some(known) = self.tallies.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Arc::clone(known);
        }
        let mut tallies = self.tallies.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tallies.entry(key.to_owned()).or_insert_with(|| Arc::new(Mutex::new(Tally::new(now)))))
    }

    /// What is still to be written. Keys that were not used this month are forgotten; there are no more of them in memory
    /// than keys were issued.
    fn due(&self, now: Timestamp) -> Vec<Due> {
        let mut due = Vec::new();
        let mut tallies = self.tallies.write().unwrap_or_else(PoisonError::into_inner);
        tallies.retain(|key, tally| {
            let mut open = lock(tally);
            let rested = open.month.ends_at <= now.as_millis();
            open.turn(now);
            let Tally { day, month, overdue } = &*open;
            let current = [day, month].map(|period| (period.label.clone(), period.pending));
            let before = due.len();
            for (label, count) in overdue.iter().cloned().chain(current).filter(|(_, count)| *count > 0) {
                due.push(Due { key: key.clone(), label, count, tally: Arc::clone(tally) });
            }
            !rested || due.len() > before
        });
        due
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write(engine: &EngineHandle, reader: &Reader, due: &[Due], now: Timestamp) -> Result<(), CommandError> {
    let mut tries = 0;
    loop {
        let (mut changes, mut totals) = (Vec::with_capacity(due.len()), Vec::with_capacity(due.len()));
        for one in due {
            let id = format!("{}:{}", one.key, one.label);
            let before = reader.record(USAGE, &id, now).await.map_err(unreadable)?;
            let count = before.as_ref().map_or(Ok(0), |record| record.read::<Body>().map(|body| body.count));
            let body = Body { count: count.map_err(unreadable)?.saturating_add(one.count) };
            let record = match before {
                Some(record) => record.with(&body),
                None => Record::new(USAGE, &id, &one.key, &body).map(|new| new.until(now.plus_millis(KEPT_MS))),
            };
            changes.push(RecordChange::Put(record.map_err(unreadable)?));
            totals.push(body.count);
        }
        match engine.write_records(changes, Vec::new()).await {
            Ok(()) => {
                due.iter().zip(totals).for_each(|(one, total)| lock(&one.tally).written(&one.label, one.count, total));
                return Ok(());
            }
            Err(CommandError::Conflict) if tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

fn unreadable(error: StoreError) -> CommandError {
    CommandError::Unavailable(format!("the use of keys cannot be counted: {error}"))
}

impl Tally {
    fn new(now: Timestamp) -> Self {
        Self { day: Period::day(now), month: Period::month(now), overdue: Vec::new() }
    }

    /// Begins a new day or month when it is time. What was not written of the old one is kept until it is. A clock that was
    /// set back a little goes on counting in the current one.
    fn turn(&mut self, now: Timestamp) {
        let outside =
            |period: &Period| now.as_millis() >= period.ends_at || now.as_millis() < period.begins_at - DAY_MS;
        if outside(&self.day) {
            let day = std::mem::replace(&mut self.day, Period::day(now));
            self.overdue.extend((day.pending > 0).then_some((day.label, day.pending)));
        }
        if outside(&self.month) {
            let month = std::mem::replace(&mut self.month, Period::month(now));
            self.overdue.extend((month.pending > 0).then_some((month.label, month.pending)));
        }
    }

    /// `count` of a period was written, and all nodes together have `total`.
    fn written(&mut self, label: &str, count: u64, total: u64) {
        if let Some(period) = [&mut self.day, &mut self.month].into_iter().find(|period| period.label == label) {
            period.pending = period.pending.saturating_sub(count);
            period.known = total;
        } else {
            self.overdue.retain(|(overdue, _)| overdue != label);
        }
    }
}

impl Period {
    fn day(now: Timestamp) -> Self {
        let begins_at = now.as_millis().div_euclid(DAY_MS) * DAY_MS;
        let label = Timestamp::from_millis(begins_at).to_string().chars().take(10).collect();
        Self { label, begins_at, ends_at: begins_at + DAY_MS, known: 0, pending: 0 }
    }

    fn month(now: Timestamp) -> Self {
        let of = |day: i64| -> String { Timestamp::from_millis(day * DAY_MS).to_string().chars().take(7).collect() };
        let today = now.as_millis().div_euclid(DAY_MS);
        let label = of(today);
        let first = (today - 31..=today).find(|day| of(*day) == label).unwrap_or(today);
        let next = (today..=today + 31).find(|day| of(*day) != label).unwrap_or(today + 1);
        Self { label, begins_at: first * DAY_MS, ends_at: next * DAY_MS, known: 0, pending: 0 }
    }

    fn headers(&self, policy: &'static str, limit: u64, now: Timestamp) -> RateHeaders {
        let seconds = |from: i64| (self.ends_at - from).max(0).unsigned_abs().div_ceil(1000);
        RateHeaders {
            policy,
            quota: limit,
            window: seconds(self.begins_at),
            remaining: limit.saturating_sub(self.known.saturating_add(self.pending)),
            reset: seconds(now.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::testing::{NOW, Scratch, scratch};

    const FREE: UsageQuota = UsageQuota { per_day: None, per_month: None };

    fn daily(per_day: u64) -> UsageQuota {
        UsageQuota { per_day: Some(per_day), per_month: None }
    }

    fn count(usage: &Usage, quota: &UsageQuota, now: Timestamp, times: usize) -> usize {
        (0..times).filter(|_| usage.count("key_1", quota, now).is_ok()).count()
    }

    async fn used(scratch: &Scratch, now: Timestamp) -> Vec<(String, u64)> {
        let used = Usage::used(&scratch.reader, "key_1", now).await.unwrap();
        used.into_iter().map(|used| (used.period, used.count)).collect()
    }

    #[test]
    fn a_quota_is_used_up_and_comes_back_at_midnight() {
        let usage = Usage::new();
        // 2027-01-15T08:00:00Z: 16 hours are left.
        let first = usage.count("key_1", &daily(100), NOW).unwrap().unwrap();
        assert_eq!(first, RateHeaders { policy: "day", quota: 100, window: 86_400, remaining: 99, reset: 57_600 });
        assert_eq!(count(&usage, &daily(100), NOW, 200), 99);
        let limited = usage.count("key_1", &daily(100), NOW.plus_millis(1)).unwrap_err();
        assert_eq!((limited.retry_after, limited.headers.policy), (57_600, "day"));
        assert_eq!(count(&usage, &daily(100), NOW.plus_millis(57_599_999), 1), 0);
        assert_eq!(count(&usage, &daily(100), NOW.plus_millis(57_600_000), 200), 100);
    }

    #[test]
    fn of_two_quotas_the_longer_says_when_to_come_back() {
        let usage = Usage::new();
        let quota = UsageQuota { per_day: Some(10), per_month: Some(10) };
        assert_eq!(count(&usage, &quota, NOW, 20), 10);
        let limited = usage.count("key_1", &quota, NOW).unwrap_err();
        assert_eq!((limited.headers.policy, limited.headers.window), ("month", 31 * 86_400));
        assert_eq!(limited.retry_after, 16 * 86_400 + 57_600);
        assert_eq!(count(&usage, &quota, NOW.plus_millis(DAY_MS), 20), 0);
        assert_eq!(count(&usage, &quota, NOW.plus_millis(17 * DAY_MS), 20), 10);
    }

    #[test]
    fn months_are_as_long_as_they_are() {
        for (at, label, days) in [
            ("2028-02-29T23:59:59.999Z", "2028-02", 29),
            ("2027-02-01T00:00:00Z", "2027-02", 28),
            ("2026-12-31T12:00:00Z", "2026-12", 31),
            ("2026-04-30T00:00:00Z", "2026-04", 30),
        ] {
            let month = Period::month(Timestamp::parse_rfc3339(at).unwrap());
            assert_eq!((month.label.as_str(), (month.ends_at - month.begins_at) / DAY_MS), (label, days), "{at}");
        }
    }

    #[tokio::test]
    async fn what_was_counted_survives_a_restart_and_adds_up_over_nodes() {
        let scratch = scratch().await;
        let (one, two) = (Usage::new(), Usage::new());
        assert_eq!(count(&one, &daily(100), NOW, 40), 40);
        assert_eq!(count(&two, &daily(100), NOW, 50), 50);
        for usage in [&one, &two, &one] {
            usage.flush(&scratch.engine, &scratch.reader, NOW).await.unwrap();
        }
        assert_eq!(used(&scratch, NOW).await, [("2027-01".to_owned(), 90), ("2027-01-15".to_owned(), 90)]);
        // The second wrote last and knows of the first.
        assert_eq!(count(&two, &daily(100), NOW, 100), 10);
        two.flush(&scratch.engine, &scratch.reader, NOW).await.unwrap();
        // A new process knows as soon as it has written once.
        let new = Usage::new();
        assert_eq!(count(&new, &daily(100), NOW, 1), 1);
        new.flush(&scratch.engine, &scratch.reader, NOW).await.unwrap();
        assert_eq!(count(&new, &daily(100), NOW, 1), 0);
        assert_eq!(new.flush(&scratch.engine, &scratch.reader, NOW).await.unwrap(), 0, "nothing new, nothing written");
        assert_eq!(used(&scratch, NOW).await[1].1, 101);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nodes_that_write_at_once_lose_nothing() {
        let scratch = Arc::new(scratch().await);
        let nodes: Vec<_> = (0..4)
            .map(|_| {
                let scratch = Arc::clone(&scratch);
                tokio::spawn(async move {
                    let usage = Usage::new();
                    for _ in 0..10 {
                        assert_eq!(count(&usage, &FREE, NOW, 25), 25);
                        // Who loses too often tries again the next time, as the server does.
                        let _ = usage.flush(&scratch.engine, &scratch.reader, NOW).await;
                    }
                    while !matches!(usage.flush(&scratch.engine, &scratch.reader, NOW).await, Ok(0)) {}
                })
            })
            .collect();
        for node in nodes {
            node.await.unwrap();
        }
        assert_eq!(used(&scratch, NOW).await[1].1, 1_000);
    }

    #[tokio::test]
    async fn what_was_counted_before_midnight_belongs_to_that_day() {
        let scratch = scratch().await;
        let usage = Usage::new();
        let last_of_january = NOW.plus_millis(16 * DAY_MS);
        assert_eq!(count(&usage, &FREE, last_of_january, 3), 3);
        let february = NOW.plus_millis(17 * DAY_MS);
        assert_eq!(count(&usage, &FREE, february, 5), 5);
        usage.flush(&scratch.engine, &scratch.reader, february).await.unwrap();
        let expected = [("2027-01", 3), ("2027-01-31", 3), ("2027-02", 5), ("2027-02-01", 5)];
        assert_eq!(used(&scratch, february).await, expected.map(|(period, count)| (period.to_owned(), count)));
        // A key that is not used any more takes no memory from the next month on.
        let march = february.plus_millis(40 * DAY_MS);
        usage.flush(&scratch.engine, &scratch.reader, march).await.unwrap();
        assert!(usage.tallies.read().unwrap().is_empty());
        assert!(used(&scratch, february.plus_millis(KEPT_MS)).await.is_empty());
    }
}
