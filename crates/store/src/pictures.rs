//! Pictures of rewards as they are kept: a record for what each is, and one for each size of it. They are records, so that every
//! node has them, a backup holds them, and they need no place beside the database.

use std::collections::{BTreeMap, BTreeSet};

use guerdon_core::id::IdGenerator;
use guerdon_core::kernel::{Refusal, RefusalCode};
use guerdon_core::program::Document;
use guerdon_core::rewards::Reward;
use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::system_now;
use crate::{Record, RecordChange, Store, StoreError};

/// The kind of what is known of a picture; the id is its digest.
pub const PICTURE: &str = "picture";

/// What is known of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPicture {
    /// The name of the file as its sender gave it.
    pub file_name: String,
    /// Pixels of what was uploaded, as it is to be seen.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Bytes of what was uploaded.
    pub bytes: u64,
    /// By whom.
    pub uploaded_by: String,
    /// When.
    pub uploaded_at: Timestamp,
    /// Since when no reward names it, by the machine's clock; `None`: one does.
    pub unnamed_since: Option<Timestamp>,
}

/// The pictures that rewards name which are in force at `now` or will be, by reward.
pub fn named_pictures(documents: &[Document], now: Timestamp) -> BTreeMap<String, BTreeSet<String>> {
    let mut newest_in_force: BTreeMap<&str, i64> = BTreeMap::new();
    let rewards = || documents.iter().filter(|document| document.kind == "reward");
    for document in rewards().filter(|document| document.effective_from <= now) {
        let version = newest_in_force.entry(&document.id).or_default();
        *version = document.version.max(*version);
    }
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for document in rewards().filter(|document| document.state == "active") {
        let is_over = newest_in_force.get(document.id.as_str()).is_some_and(|newest| document.version < *newest);
        for digest in pictures_of(document).into_iter().filter(|_| !is_over) {
            named.entry(digest).or_default().insert(document.id.clone());
        }
    }
    named
}

fn pictures_of(document: &Document) -> Vec<String> {
    let reward = serde_json::from_str::<Reward>(&document.body).ok();
    let pictures = reward.map(|reward| reward.catalogue.pictures).unwrap_or_default();
    pictures.into_iter().map(|picture| picture.digest).collect()
}

/// Refuses documents that name a picture which is not there, and keeps those that they name from the sweep.
pub(crate) fn keep_named(store: &mut dyn Store, added: &[Document], ids: &mut IdGenerator) -> Result<(), StoreError> {
    let now = system_now();
    let mut changes: BTreeMap<String, RecordChange> = BTreeMap::new();
    for document in added.iter().filter(|document| document.kind == "reward" && document.state == "active") {
        for digest in pictures_of(document) {
            let record: Record = store.record(PICTURE, &digest, now)?.ok_or_else(|| unknown(&document.id, &digest))?;
            let mut picture: StoredPicture = record.read()?;
            if picture.unnamed_since.take().is_some() {
                changes.insert(digest, RecordChange::Put(record.with(&picture)?));
            }
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    let changes: Vec<RecordChange> = changes.into_values().collect();
    store.write_records(&changes, &[], now, ids)
}

fn unknown(reward: &str, digest: &str) -> StoreError {
    let problem = format!("reward `{reward}`: `catalogue.pictures`: there is no picture `{digest}`; upload it first");
    Refusal::new(RefusalCode::InvalidRequest, problem).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reward(version: i64, from: i64, state: &str, pictures: &[&str]) -> Document {
        let pictures: Vec<_> = pictures.iter().map(|digest| json!({ "digest": digest, "alt": "A cup" })).collect();
        let body = json!({ "id": "cup", "name": "Cup", "price": 5, "catalogue": { "pictures": pictures } });
        Document {
            kind: "reward".to_owned(),
            id: "cup".to_owned(),
            version,
            effective_from: Timestamp::from_millis(from),
            state: state.to_owned(),
            position: 0,
            body: body.to_string(),
        }
    }

    #[test]
    fn pictures_are_named_by_what_is_in_force_or_will_be() {
        let documents =
            [reward(1, 0, "active", &["a"]), reward(2, 10, "active", &["b"]), reward(3, 20, "active", &["c", "b"])];
        let named = |at: i64| named_pictures(&documents, Timestamp::from_millis(at)).into_keys().collect::<String>();
        assert_eq!((named(5), named(15), named(25)), ("abc".to_owned(), "bc".to_owned(), "bc".to_owned()));
        let retired = [reward(1, 0, "active", &["a"]), reward(2, 10, "retired", &["a"])];
        assert!(named_pictures(&retired, Timestamp::from_millis(15)).is_empty());
    }
}
