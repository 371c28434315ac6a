//! Pictures of rewards: uploaded, made in the sizes that are served, kept in the database under what they hold, and swept when
//! nothing names them.

mod address;
mod render;
mod serve;
mod sweep;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use guerdon_core::program::DocumentChange;
use guerdon_core::rewards::Reward;
use guerdon_core::{hex, limits};
use guerdon_store::{CommandError, PICTURE, Record, RecordChange, RecordQuery, StoredPicture};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

pub use address::Thumb;
pub use render::WIDTHS;
pub use serve::pages;
pub use sweep::{UNNAMED_MS, picture_worker};

use crate::AppState;
use crate::identity::actor::Actor;
use crate::privacy::invalid;
use crate::problem::Problem;

/// The kind of their sizes; the id is `digest-width`, the subject the digest.
const FILE: &str = "picture_file";
/// Pictures that are read at once.
const PAGE: i64 = 500;
/// Characters of a file's name that are kept.
const NAME_CHARS: usize = 128;

/// Pictures are unfolded one at a time: each takes a hundred times its size in memory.
static RENDERING: Semaphore = Semaphore::const_new(1);

/// A size as it is kept.
#[derive(Serialize, Deserialize)]
struct StoredFile {
    media_type: String,
    /// Base64.
    data: String,
}

/// Takes a picture. Returns its digest, and what is known of it; one that is there already is left as it is.
pub async fn upload(
    state: &AppState,
    actor: &Actor,
    file_name: &str,
    bytes: Vec<u8>,
) -> Result<(String, StoredPicture), Problem> {
    if bytes.is_empty() {
        return Err(invalid("`file` is empty"));
    }
    if bytes.len() > limits::PICTURE_BYTES {
        return Err(too_large());
    }
    let digest = hex::encode(&Sha256::digest(&bytes).into());
    if let Some(known) = known_again(state, &digest).await? {
        return Ok((digest, known));
    }
    if state.reader.count_records(PICTURE).await? >= limits::PICTURES {
        let detail = format!("{} pictures are kept, and no more; those that nothing names are swept", limits::PICTURES);
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_pictures", detail));
    }
    let busy = || {
        let problem = "another picture is being read; try again in a few seconds";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", problem).after(2)
    };
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let rendering = RENDERING.try_acquire().map_err(|_| busy())?;
    let sizes = tokio::task::spawn_blocking(move || render::render(&bytes)).await;
    drop(rendering);
    // A decoder that gives up on a file in its own way says no more than that.
    let sizes = sizes.unwrap_or_else(|_| Err("`file` cannot be read as a picture".to_owned())).map_err(unfit)?;
    let now = state.clock();
    let picture = StoredPicture {
        file_name: file_name.chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect(),
        width: sizes.width,
        height: sizes.height,
        bytes: length,
        uploaded_by: actor.name(),
        uploaded_at: now,
        unnamed_since: Some(now),
    };
    let mut changes = vec![RecordChange::Put(Record::new(PICTURE, &digest, "", &picture)?)];
    for file in sizes.files {
        let stored = StoredFile { media_type: file.media_type.to_owned(), data: STANDARD.encode(&file.bytes) };
        let id = format!("{digest}-{}", file.width);
        changes.push(RecordChange::Put(Record::new(FILE, &id, &digest, &stored)?));
    }
    let mut event = actor.event(now, "picture.upload", &format!("picture {digest}"));
    event.after = json!({ "width": picture.width, "height": picture.height, "bytes": picture.bytes });
    match state.engine.write_records(changes, vec![event]).await {
        Ok(()) => Ok((digest, picture)),
        // Somebody has uploaded the same at the same time.
        Err(CommandError::Conflict) => {
            let (_, picture) = find(state, &digest).await?.ok_or(CommandError::Conflict)?;
            Ok((digest, picture))
        }
        Err(error) => Err(error.into()),
    }
}

/// A picture that is there already. Whoever uploads it again wants it for a while.
async fn known_again(state: &AppState, digest: &str) -> Result<Option<StoredPicture>, Problem> {
    let Some((record, mut picture)) = find(state, digest).await? else { return Ok(None) };
    if picture.unnamed_since.is_some() {
        picture.unnamed_since = Some(state.clock());
        match state.engine.write_records(vec![RecordChange::Put(record.with(&picture)?)], Vec::new()).await {
            // It is named by now, or swept: which of them shows when it is looked for.
            Ok(()) | Err(CommandError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
        return Ok(find(state, digest).await?.map(|(_, picture)| picture));
    }
    Ok(Some(picture))
}

/// What is larger than what is taken.
pub fn too_large() -> Problem {
    let detail = format!("`file` is larger than {} bytes, which is what a picture may have", limits::PICTURE_BYTES);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

fn unfit(problem: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_picture", problem)
}

/// What is known of a picture.
pub async fn find(state: &AppState, digest: &str) -> Result<Option<(Record, StoredPicture)>, Problem> {
    let Some(record) = state.reader.record(PICTURE, digest, state.clock()).await? else { return Ok(None) };
    let picture = record.read()?;
    Ok(Some((record, picture)))
}

/// Pictures behind a digest, in the order of their digests.
pub async fn list(
    state: &AppState,
    after: Option<String>,
    limit: i64,
) -> Result<Vec<(Record, StoredPicture)>, Problem> {
    let query = RecordQuery { kind: PICTURE.to_owned(), subject: None, after, limit };
    let records = state.reader.records(&query, state.clock()).await?;
    records.into_iter().map(|record| record.read().map(|picture| (record, picture)).map_err(Problem::from)).collect()
}

/// All pictures, the latest first.
pub async fn latest(state: &AppState) -> Result<Vec<(String, StoredPicture)>, Problem> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = list(state, after, PAGE).await?;
        after = page.last().map(|(record, _)| record.id.clone()).filter(|_| page.len() as i64 == PAGE);
        found.extend(page.into_iter().map(|(record, picture)| (record.id, picture)));
        if after.is_none() {
            found.sort_by_key(|(_, picture)| std::cmp::Reverse(picture.uploaded_at));
            return Ok(found);
        }
    }
}

/// Refuses changes that name a picture which is not there, while their author still looks.
pub async fn check_named(state: &AppState, changes: &[DocumentChange]) -> Result<(), Problem> {
    for change in changes.iter().filter(|change| change.kind == "reward") {
        let Some(document) = &change.document else { continue };
        let Ok(reward) = serde_json::from_value::<Reward>(document.clone()) else { continue };
        for picture in &reward.catalogue.pictures {
            if find(state, &picture.digest).await?.is_none() {
                let (reward, digest) = (&reward.id, &picture.digest);
                return Err(invalid(format!(
                    "reward `{reward}`: `catalogue.pictures`: there is no picture `{digest}`; upload it first"
                )));
            }
        }
    }
    Ok(())
}
