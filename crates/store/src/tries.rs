//! Orders that were refused because nothing was left, where a reward keeps something for those who were refused often: records
//! beside the ledger, in which a refusal changes nothing.

use std::collections::BTreeMap;

use guerdon_core::id::MemberId;
use guerdon_core::limits;
use guerdon_core::rewards::PrivateWindow;
use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::system_now;
use crate::read::{Read, Reader};
use crate::{CommandError, EngineHandle, Record, RecordChange, Store, StoreError};

/// The kind of these records.
const TRIES: &str = "reward_tries";
const HOUR_MS: i64 = 60 * 60 * 1000;

/// The orders of a member for a reward that found nothing left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// When they were refused: the latest ones, as far as they count.
    pub at: Vec<Timestamp>,
    /// Since when there were enough of them; `None`: there were not.
    pub enough_since: Option<Timestamp>,
}

impl Tries {
    /// Counts one more.
    fn count(&mut self, at: Timestamp, window: &PrivateWindow) {
        let oldest = at.plus_millis(-window.within_hours.saturating_mul(HOUR_MS));
        self.at.retain(|earlier| *earlier > oldest);
        self.at.push(at);
        let needed = usize::try_from(window.after_tries).unwrap_or(usize::MAX);
        if self.at.len() >= needed {
            self.enough_since = Some(self.enough_since.unwrap_or(at));
            let surplus = self.at.len() - needed;
            self.at.drain(..surplus);
        }
    }

    /// Until when they are remembered, counted from the last of them.
    fn ends_after(&self, window: &PrivateWindow) -> i64 {
        match self.enough_since {
            Some(_) => limits::PRIVATE_RIGHT_MS,
            None => window.within_hours.saturating_mul(HOUR_MS),
        }
    }
}

/// One order that found nothing left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedTry {
    /// Whose.
    pub member: MemberId,
    /// Of what.
    pub reward_id: String,
    /// When.
    pub at: Timestamp,
    /// What is kept for those who were refused often.
    pub window: PrivateWindow,
}

fn name(reward_id: &str, member: MemberId) -> String {
    format!("{reward_id}/{member}")
}

impl EngineHandle {
    /// Remembers orders that found nothing left, in one transaction. A conflict: another node remembered one of the same.
    pub async fn remember_tries(&self, tries: Vec<RefusedTry>) -> Result<(), CommandError> {
        self.run_with_ids(move |store, ids| {
            let changes = remembered(store, &tries)?;
            store.write_records(&changes, &[], system_now(), ids)
        })
        .await
    }

    /// Forgets the tries by which a member had a right since `since`, and has used it up. The account says that it was; without
    /// the tries the member may earn another one.
    pub async fn forget_tries(&self, reward_id: &str, member: MemberId, since: Timestamp) -> Result<(), CommandError> {
        let id = name(reward_id, member);
        let forgotten = self.run_with_ids(move |store, ids| match store.record(TRIES, &id, system_now())? {
            Some(record) if record.read::<Tries>()?.enough_since == Some(since) => {
                store.write_records(&[RecordChange::Delete(record)], &[], system_now(), ids)
            }
            _ => Ok(()),
        });
        match forgotten.await {
            // Another node did the same, or counted one more: the next order finds it.
            Err(CommandError::Conflict) => Ok(()),
            done => done,
        }
    }
}

fn remembered(store: &mut dyn Store, tries: &[RefusedTry]) -> Result<Vec<RecordChange>, StoreError> {
    let clock = system_now();
    let mut by_record: BTreeMap<String, Vec<&RefusedTry>> = BTreeMap::new();
    for one in tries {
        by_record.entry(name(&one.reward_id, one.member)).or_default().push(one);
    }
    let mut changes = Vec::with_capacity(by_record.len());
    for (id, own) in by_record {
        let before = store.record(TRIES, &id, clock)?;
        let mut known: Tries = before.as_ref().map(Record::read).transpose()?.unwrap_or_default();
        let Some(last) = own.last() else { continue };
        own.iter().for_each(|one| known.count(one.at, &one.window));
        let record = match before {
            Some(before) => before.with(&known)?,
            None => Record::new(TRIES, &id, &last.reward_id, &known)?,
        };
        changes.push(RecordChange::Put(record.until(clock.plus_millis(known.ends_after(&last.window)))));
    }
    Ok(changes)
}

impl Reader {
    /// The orders of a member for a reward that found nothing left, as far as they are remembered.
    pub async fn tries(&self, reward_id: &str, member: MemberId) -> Read<Tries> {
        let found = self.record(TRIES, &name(reward_id, member), system_now()).await?;
        found.map_or(Ok(Tries::default()), |record| record.read())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_within_the_time_are_enough_and_stay_so() {
        let window: PrivateWindow = serde_json::from_str(r#"{"after_tries": 3, "within_hours": 2}"#).unwrap();
        let at = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        let mut tries = Tries::default();
        for minutes in [0, 60, 121] {
            tries.count(at(minutes), &window);
        }
        // The first was more than two hours before the third.
        assert_eq!((tries.at.len(), tries.enough_since), (2, None));
        tries.count(at(150), &window);
        assert_eq!((tries.at.len(), tries.enough_since), (3, Some(at(150))));
        tries.count(at(1_000), &window);
        assert_eq!((tries.at.as_slice(), tries.enough_since), ([at(1_000)].as_slice(), Some(at(150))));
    }
}
