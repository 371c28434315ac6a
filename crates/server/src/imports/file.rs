//! The uploaded file, kept in the database in sealed parts until it is sent, so that any node may send it.

use std::fs::File;
use std::io::Write;

use guerdon_store::{Record, RecordChange};

use super::{KEEP_MS, unreadable};
use crate::AppState;
use crate::identity::token::random_bytes;
use crate::problem::Problem;

/// The kind of its parts.
const PART: &str = "import_part";
const PURPOSE: &str = "import file";
/// Bytes of a part: what is written between two batches.
const PART_BYTES: usize = 256 << 10;

fn part_id(import: &str, number: usize) -> String {
    format!("{import} {number}")
}

/// Keeps a file. Returns in how many parts. What is kept of an upload that is repeated is written over.
pub(super) async fn keep(state: &AppState, import: &str, bytes: &[u8]) -> Result<usize, Problem> {
    let until = state.clock().plus_millis(KEEP_MS);
    let mut count = 0;
    for part in bytes.chunks(PART_BYTES) {
        let id = part_id(import, count);
        let sealed = state.keys().seal_secret(PURPOSE, &id, part, random_bytes()).map_err(unreadable)?;
        let record = match state.reader.record(PART, &id, state.clock()).await? {
            Some(known) => known.with(&sealed)?,
            None => Record::new(PART, &id, import, &sealed)?,
        };
        state.engine.write_records(vec![RecordChange::Put(record.until(until))], Vec::new()).await?;
        count += 1;
    }
    Ok(count)
}

/// The file, from its parts, in a place that has no name and is gone when it is closed.
pub(super) async fn gather(state: &AppState, import: &str, parts: usize) -> Result<File, Problem> {
    let mut file = tempfile::tempfile().map_err(unreadable)?;
    for number in 0..parts {
        let id = part_id(import, number);
        let record = state.reader.record(PART, &id, state.clock()).await?;
        let record = record.ok_or_else(|| unreadable("a part of the file is gone"))?;
        let sealed: String = record.read()?;
        file.write_all(&state.keys().open_secret(PURPOSE, &id, &sealed).map_err(unreadable)?).map_err(unreadable)?;
    }
    Ok(file)
}

/// What deletes the parts of a file.
pub(super) async fn delete(state: &AppState, import: &str, parts: usize) -> Result<Vec<RecordChange>, Problem> {
    let mut changes = Vec::with_capacity(parts);
    for number in 0..parts {
        let found = state.reader.record(PART, &part_id(import, number), state.clock()).await?;
        changes.extend(found.map(RecordChange::Delete));
    }
    Ok(changes)
}
