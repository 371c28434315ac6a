//! What members search for and do not find, for the review of the range: counted in memory, written down once a minute.
//!
//! However much is searched, the records are few: each text belongs to one of [`PLACES`] by its digest, and a place holds one text.
//! A text that finds its place taken takes away from the count of the other, and takes the place where nothing is left of that: what is
//! searched for often stays (after J. Misra and D. Gries, *Finding repeated elements*, 1982). Who searched is not kept.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use guerdon_core::rewards::Wish;
use guerdon_core::time::Timestamp;
use guerdon_store::{CommandError, Record, RecordChange, RecordQuery, StoreError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Answer;
use crate::AppState;

/// The kind of these records; the id is the place.
const MISSED: &str = "missed_search";
const PLACES: u16 = 1_000;
/// Texts that wait at the most.
const WAITING: usize = 1_000;
/// How often they are written.
const EVERY: Duration = Duration::from_secs(60);
/// How long a text is kept after it was searched for last: 90 days.
const KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1_000;
/// Characters of a text; longer ones are no names of things.
const CHARACTERS: usize = 40;
/// Digits of a text; more are a number of somebody's.
const DIGITS: usize = 4;
/// How often a text must have been searched for to be told.
const TOLD_FROM: i64 = 3;

/// A text that was not found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissedSearch {
    /// In small letters, with single spaces.
    pub text: String,
    /// How often, at the least.
    pub count: i64,
    /// When it was last.
    pub last_at: Timestamp,
}

/// Searches that found nothing and are not written yet.
#[derive(Default)]
pub struct Missed {
    waiting: Mutex<HashMap<String, i64>>,
    written_at: Mutex<Option<Instant>>,
}

impl Missed {
    /// Counts a search that found nothing, or nothing that holds all of it; whoever narrows it by more may have hidden what there is.
    pub fn note(&self, text: Option<&str>, wish: &Wish<'_>, answer: &Answer) {
        let Wish { category: None, zone: None, affordable: false, in_stock: false, after: None, .. } = wish else {
            return;
        };
        let in_vain = wish.tags.is_empty() && (answer.listing.total == 0 || answer.loose);
        let Some(text) = text.filter(|_| in_vain).and_then(plain) else { return };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING || waiting.contains_key(&text) {
            *waiting.entry(text).or_default() += 1;
        }
    }

    /// Writes what waits, once a minute or when it is `urgent`; what cannot be written now waits on.
    pub async fn write(&self, state: &AppState, urgent: bool) -> Result<(), CommandError> {
        let waiting = {
            let mut written_at = self.written_at.lock().unwrap_or_else(PoisonError::into_inner);
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let is_early = written_at.is_some_and(|at| at.elapsed() < EVERY);
            if waiting.is_empty() || (is_early && !urgent) {
                return Ok(());
            }
            *written_at = Some(Instant::now());
            std::mem::take(&mut *waiting)
        };
        match remember(state, &waiting).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let mut later = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                for (text, count) in waiting {
                    *later.entry(text).or_default() += count;
                }
                // Another node wrote to the same place: it is tried again in a minute.
                if matches!(error, CommandError::Conflict) { Ok(()) } else { Err(error) }
            }
        }
    }
}

/// A text as it is counted; `None`: it may tell of a person, or is no name of a thing.
fn plain(text: &str) -> Option<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let fits = (2..=CHARACTERS).contains(&text.chars().count()) && digits <= DIGITS && !text.contains('@');
    (fits && text.chars().any(char::is_alphabetic)).then_some(text)
}

fn place_of(text: &str) -> String {
    let digest = Sha256::digest(text);
    let number = digest.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes)) % PLACES;
    format!("{number:03}")
}

impl MissedSearch {
    /// What a place holds after a text was searched for some times.
    fn after(before: Option<Self>, text: &str, count: i64, last_at: Timestamp) -> Self {
        let own = |count| Self { text: text.to_owned(), count, last_at };
        match before {
            Some(known) if known.text == text => own(known.count.saturating_add(count)),
            Some(known) if known.count >= count => Self { count: known.count - count, ..known },
            Some(known) => own(count - known.count),
            None => own(count),
        }
    }
}

async fn remember(state: &AppState, waiting: &HashMap<String, i64>) -> Result<(), CommandError> {
    let clock = state.clock();
    let mut texts: Vec<(String, &str, i64)> =
        waiting.iter().map(|(text, count)| (place_of(text), text.as_str(), *count)).collect();
    texts.sort_unstable();
    let mut places: Vec<&str> = texts.iter().map(|(place, ..)| place.as_str()).collect();
    places.dedup();
    let unreadable = |error: StoreError| CommandError::Unavailable(error.to_string());
    let known = state.reader.records_of(MISSED, &places).await.map_err(unreadable)?;
    let mut changes = Vec::with_capacity(places.len());
    for place in places {
        let record = known.iter().find(|record| record.id == place);
        let kept = record.filter(|record| record.expires_at.is_none_or(|until| until > clock));
        let before: Option<MissedSearch> = kept.map(Record::read).transpose().map_err(unreadable)?;
        let own = texts.iter().filter(|(of, ..)| of == place);
        let Some(after) =
            own.fold(before, |before, (_, text, count)| Some(MissedSearch::after(before, text, *count, clock)))
        else {
            continue;
        };
        let record = match record {
            Some(record) => record.clone().with(&after),
            None => Record::new(MISSED, place, "", &after),
        };
        changes.push(RecordChange::Put(record.map_err(unreadable)?.until(clock.plus_millis(KEPT_MS))));
    }
    state.engine.write_records(changes, Vec::new()).await
}

/// What was searched for often and not found, what most searched for first.
pub async fn missed_searches(state: &AppState, most: usize) -> Result<Vec<MissedSearch>, StoreError> {
    let query = RecordQuery { kind: MISSED.to_owned(), subject: None, after: None, limit: i64::from(PLACES) };
    let records = state.reader.records(&query, state.clock()).await?;
    let mut found: Vec<MissedSearch> = records.iter().map(Record::read).collect::<Result<_, _>>()?;
    found.retain(|one| one.count >= TOLD_FROM);
    found.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.text.cmp(&other.text)));
    found.truncate(most);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_things_are_counted_and_what_may_tell_of_a_person_is_not() {
        for (text, counted) in [
            ("  Air   Fryer ", Some("air fryer")),
            ("空气炸锅", Some("空气炸锅")),
            ("iPhone 15", Some("iphone 15")),
            ("ann@example.org", None),
            ("13800138000", None),
            ("order 20261130", None),
            ("x", None),
            ("1234", None),
        ] {
            assert_eq!(plain(text).as_deref(), counted, "{text}");
        }
        assert_eq!(plain(&"tea ".repeat(20)), None);
    }

    #[test]
    fn what_is_searched_for_often_keeps_its_place() {
        let at = Timestamp::from_millis(1_800_000_000_000);
        let after = |before, text, count| Some(MissedSearch::after(before, text, count, at));
        let place = after(after(None, "fryer", 5), "fryer", 2);
        assert_eq!(place.as_ref().map(|one| one.count), Some(7));
        // A rare one takes away, and is forgotten itself.
        let place = after(place, "sock", 3);
        assert_eq!(place.as_ref().map(|one| (one.text.as_str(), one.count)), Some(("fryer", 4)));
        let place = after(place, "kettle", 10);
        assert_eq!(place.map(|one| (one.text, one.count)), Some(("kettle".to_owned(), 6)));
    }
}
