//! Records that wait for a moment, and are found by it: their subject is that moment.

use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange, StoreError};
use serde::de::DeserializeOwned;

use crate::AppState;

/// The subject of records that cannot be read: nobody finds them any more, and they stay for people to look at.
const UNREADABLE: &str = "unreadable";

/// The subject of a record that waits until `at`: as texts are ordered, so are moments. By the machine's clock or the program's,
/// whichever the kind goes by.
pub fn subject(at: Timestamp) -> String {
    format!("{:015}", at.as_millis().max(0))
}

/// The records of a kind that wait no longer at `now`, those first that are due for longest, behind one of them.
pub async fn records(
    state: &AppState,
    (kind, now): (&str, Timestamp),
    after: Option<&Record>,
    limit: i64,
) -> Result<Vec<Record>, StoreError> {
    let after = after.map_or(("", ""), |record| (record.subject.as_str(), record.id.as_str()));
    state.reader.records_up_to(kind, &subject(now), after, limit, state.clock()).await
}

/// What a record holds. One that cannot be read is set aside, so that it does not come up again and again.
pub async fn read_or_set_aside<T: DeserializeOwned>(state: &AppState, record: &Record) -> Option<T> {
    match record.read() {
        Ok(body) => Some(body),
        Err(error) => {
            tracing::error!(%error, "a record cannot be read; it is set aside");
            let aside = Record { subject: UNREADABLE.to_owned(), ..record.clone() };
            written(state, aside).await;
            None
        }
    }
}

/// Lets a record wait until `at`.
pub async fn put_off(state: &AppState, record: &Record, at: Timestamp) {
    written(state, Record { subject: subject(at), ..record.clone() }).await;
}

/// Whoever was faster has changed it already, and what could not be written is found again.
async fn written(state: &AppState, record: Record) {
    match state.engine.write_records(vec![RecordChange::Put(record)], Vec::new()).await {
        Ok(()) | Err(CommandError::Conflict) => {}
        Err(error) => tracing::warn!(%error, "a record could not be put off"),
    }
}
