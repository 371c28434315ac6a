//! When keys and clients were last used: noted in memory when a credential is looked up, and written down now and then in
//! a record of its own, so that it never stands in the way of a change of the key or client.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use guerdon_core::time::Timestamp;
use guerdon_store::read::Reader;
use guerdon_store::{EngineHandle, Record, RecordChange, RecordQuery, StoreError};
use serde::{Deserialize, Serialize};

/// The kind of the records; the id is that of the key or client.
pub const LAST_USE: &str = "last_use";
/// How often the use of one program is written at the most, in milliseconds.
const WRITE_EVERY_MS: i64 = 60_000;
/// The record of a program that does not come any more goes away by itself.
const KEEP_MS: i64 = 400 * 86_400_000;
/// Programs whose use is listed at the most: all keys and clients, and those that went lately.
const MOST_PROGRAMS: i64 = 10_000;

#[derive(Serialize, Deserialize)]
struct Body {
    at: Timestamp,
}

#[derive(Debug, Clone, Copy, Default)]
struct Noted {
    at: Timestamp,
    written: Timestamp,
}

/// What was noted on this node.
#[derive(Debug, Default)]
pub struct LastUses(Mutex<HashMap<String, Noted>>);

impl LastUses {
    /// Notes that a program is here.
    pub fn note(&self, id: &str, now: Timestamp) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match noted.get_mut(id) {
            Some(noted) => noted.at = noted.at.max(now),
            None => drop(noted.insert(id.to_owned(), Noted { at: now, written: Timestamp::ZERO })),
        }
    }

    /// What is to be written, and is taken as written. Programs that have not come for an hour are forgotten.
    fn due(&self, now: Timestamp) -> Vec<(String, Timestamp)> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|_, noted| noted.at > noted.written || noted.at.plus_millis(3_600_000) > now);
        let due = noted
            .iter_mut()
            .filter(|(_, noted)| noted.at > noted.written && noted.written.plus_millis(WRITE_EVERY_MS) <= now);
        let take = |(id, noted): (&String, &mut Noted)| {
            noted.written = noted.at;
            (id.clone(), noted.at)
        };
        due.map(take).collect()
    }

    /// Writes what was noted, each at most once a minute. What another node has written a moment later stands.
    pub async fn flush(&self, engine: &EngineHandle, reader: &Reader, now: Timestamp) -> Result<(), StoreError> {
        for (id, at) in self.due(now) {
            let found = reader.record(LAST_USE, &id, now).await?;
            let body = Body { at };
            let record = match found {
                Some(record) if record.read::<Body>()?.at >= at => continue,
                Some(record) => record.with(&body)?,
                None => Record::new(LAST_USE, &id, &id, &body)?,
            };
            let changes = vec![RecordChange::Put(record.until(at.plus_millis(KEEP_MS)))];
            if let Err(error) = engine.write_records(changes, Vec::new()).await {
                tracing::debug!(%error, "the last use of a program was not written");
            }
        }
        Ok(())
    }

    /// When each program was last here, by id: as written, or as noted on this node since.
    pub async fn all(&self, reader: &Reader, now: Timestamp) -> Result<HashMap<String, Timestamp>, StoreError> {
        let query = RecordQuery { kind: LAST_USE.to_owned(), subject: None, after: None, limit: MOST_PROGRAMS };
        let records = reader.records(&query, now).await?;
        let read = |record: &Record| Ok((record.id.clone(), record.read::<Body>()?.at));
        let mut all = records.iter().map(read).collect::<Result<HashMap<_, _>, StoreError>>()?;
        for (id, noted) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let at = all.entry(id.clone()).or_default();
            *at = noted.at.max(*at);
        }
        Ok(all)
    }

    /// When one program was last here.
    pub async fn of(&self, reader: &Reader, id: &str, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let written = reader.record(LAST_USE, id, now).await?;
        let written = written.map(|record| record.read::<Body>()).transpose()?.map(|body| body.at);
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).map(|noted| noted.at);
        Ok(written.max(noted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::testing::{NOW, scratch};

    #[tokio::test]
    async fn a_use_is_written_once_a_minute_and_never_goes_back() {
        let scratch = scratch().await;
        let (here, there) = (LastUses::default(), LastUses::default());
        let of = async |uses: &LastUses| uses.of(&scratch.reader, "key_1", NOW).await.unwrap();
        here.note("key_1", NOW);
        assert_eq!(of(&here).await, Some(NOW));
        assert_eq!(of(&there).await, None);
        here.flush(&scratch.engine, &scratch.reader, NOW).await.unwrap();
        assert_eq!(of(&there).await, Some(NOW));
        here.note("key_1", NOW.plus_millis(1));
        assert!(here.due(NOW.plus_millis(59_999)).is_empty());
        assert_eq!(here.due(NOW.plus_millis(60_001)).len(), 1);
        // What another node has seen later stands.
        there.note("key_1", NOW.plus_millis(-1));
        there.flush(&scratch.engine, &scratch.reader, NOW).await.unwrap();
        assert_eq!(of(&LastUses::default()).await, Some(NOW));
        let all = here.all(&scratch.reader, NOW).await.unwrap();
        assert_eq!(all.get("key_1"), Some(&NOW.plus_millis(1)));
        assert!(here.due(NOW.plus_millis(3_700_000)).is_empty());
        assert!(here.0.lock().unwrap().is_empty());
    }
}
