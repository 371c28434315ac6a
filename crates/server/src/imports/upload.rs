//! An upload: a form with a mapping, a reason and a file. It is read whole before anything is kept.

use std::io::{Cursor, Write};

use axum::extract::Multipart;
use axum::extract::multipart::Field;
use axum::http::StatusCode;
use guerdon_core::limits;
use guerdon_import::{Found, Mapping, Source};
use guerdon_store::{Record, RecordChange};
use serde_json::json;
use tokio::sync::Semaphore;

use super::{Counts, IMPORT, Import, KEEP_MS, Stage, file, find, find_any, put, release, unreadable};
use crate::AppState;
use crate::approvals::{self, Act, Permit};
use crate::edge::content::Content;
use crate::identity::actor::Actor;
use crate::privacy::invalid;
use crate::problem::Problem;

/// Largest file, in bytes. Larger ones are imported on the server's own machine, with `guerdon import`.
const FILE_BYTES: usize = 32 << 20;
/// Largest mapping, in bytes.
const MAPPING_BYTES: usize = 64 << 10;
/// Largest form, with what stands around its fields.
pub const FORM_BYTES: usize = FILE_BYTES + (1 << 20);
/// What a file may unfold into, in bytes and rows.
pub(super) const UNFOLDED_BYTES: u64 = 512 << 20;
pub(super) const ROWS: u64 = 1_000_000;
/// Characters of a file's name.
const NAME_CHARS: usize = 128;

/// Files are taken and read one at a time: each takes its size in memory several times over.
static READING: Semaphore = Semaphore::const_new(1);

/// What a form has brought.
#[derive(Debug, Default)]
pub struct Upload {
    mapping: String,
    reason: String,
    file_name: String,
    bytes: Vec<u8>,
}

fn too_large(what: &str, most: usize) -> Problem {
    let detail = format!(
        "{what} is larger than {most} bytes, which is what an upload may have; import it with the command line"
    );
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

async fn read_field(mut field: Field<'_>, what: &str, most: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    loop {
        match field.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= most => bytes.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(too_large(what, most)),
            Ok(None) => return Ok(bytes),
            Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => return Err(too_large(what, most)),
            Err(error) => return Err(Problem::bad_request("invalid_body", format!("{what}: {}", error.body_text()))),
        }
    }
}

async fn read_text(field: Field<'_>, what: &str, most: usize) -> Result<String, Problem> {
    let bytes = read_field(field, what, most).await?;
    String::from_utf8(bytes).map_err(|_| invalid(format!("{what} is not UTF-8")))
}

impl Upload {
    /// Reads a form whole.
    pub async fn read(form: &mut Multipart) -> Result<Self, Problem> {
        let mut upload = Self::default();
        let broken = |error: axum::extract::multipart::MultipartError| {
            Problem::bad_request("invalid_body", format!("the form cannot be read: {}", error.body_text()))
        };
        while let Some(field) = form.next_field().await.map_err(broken)? {
            match field.name().unwrap_or_default() {
                "mapping" => upload.mapping = read_text(field, "`mapping`", MAPPING_BYTES).await?,
                "reason" => upload.reason = read_text(field, "`reason`", MAPPING_BYTES).await?,
                "file" => {
                    // Some browsers give the whole path.
                    let name = field.file_name().unwrap_or_default();
                    upload.file_name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
                    upload.bytes = read_field(field, "`file`", FILE_BYTES).await?;
                }
                other => {
                    let shown: String = other.chars().take(40).collect();
                    return Err(invalid(format!("there is no field `{shown}`: send `mapping`, `reason` and `file`")));
                }
            }
        }
        limits::check_text("reason", &upload.reason, limits::TEXT_CHARS).map_err(invalid)?;
        limits::check_text("the name of `file`", &upload.file_name, NAME_CHARS).map_err(invalid)?;
        upload.check_content().map_err(invalid)?;
        Ok(upload)
    }

    /// Refuses a file that is not what its name says.
    fn check_content(&self) -> Result<(), String> {
        let name = self.file_name.to_lowercase();
        if name.ends_with(".zst") {
            let whole = self.bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
            return if whole {
                Ok(())
            } else {
                Err("`file` is said to be compressed with zstd, and is not".to_owned())
            };
        }
        match Content::of_file_name(&name) {
            Some(kind @ (Content::Csv | Content::JsonLines)) => {
                kind.check(&mut Cursor::new(&self.bytes), FILE_BYTES as u64).map_err(|error| error.to_string())
            }
            _ => {
                let parquet =
                    if name.ends_with(".parquet") { "; Parquet is read by `guerdon import` alone" } else { "" };
                Err(format!("the name of `file` must end in .csv or .jsonl, or in .csv.zst or .jsonl.zst{parquet}"))
            }
        }
    }

    /// Reads all rows, to refuse what cannot be read while its sender still looks.
    async fn look_through(&self, state: &AppState) -> Result<Found, Problem> {
        let mapping = Mapping::parse(&self.mapping).map_err(|error| invalid(format!("`mapping`: {error:#}")))?;
        let mut file = tempfile::tempfile().map_err(unreadable)?;
        file.write_all(&self.bytes).map_err(unreadable)?;
        let source = Source::named(&self.file_name, file).at_most(ROWS, UNFOLDED_BYTES).text_only();
        let program = state.program();
        let found = tokio::task::spawn_blocking(move || Found::read(&program, &mapping, &source, &|_| ())).await;
        found.map_err(unreadable)?.map_err(|error| invalid(format!("`file`: {error:#}")))
    }
}

/// Takes an upload. The request's key makes the id, so that a repetition finds what is there. What is larger than the
/// policy lets through waits for another operator.
pub async fn upload(state: &AppState, actor: &Actor, key: &str, form: &mut Multipart) -> Result<String, Problem> {
    let busy = || {
        let problem = "another file is being read; try again in a few seconds";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", problem).after(5)
    };
    let _reading = READING.try_acquire().map_err(|_| busy())?;
    let upload = Upload::read(form).await?;
    let digest = state.keys().digest("import id", format!("{}\n{key}", actor.name()).as_bytes());
    let digits = guerdon_core::hex::encode(&digest);
    let id = format!("imp_{}", digits.get(..20).unwrap_or_default());
    if find_any(state, &id).await?.is_none() {
        begin(state, actor, &id, upload).await?;
    }
    let (_, import) = find(state, &id).await?;
    // Also where an earlier upload was cut off before it had asked.
    if import.stage == Stage::Waiting && import.approval.is_none() {
        ask(state, actor, &id, &import).await?;
    }
    Ok(id)
}

async fn begin(state: &AppState, actor: &Actor, id: &str, upload: Upload) -> Result<(), Problem> {
    let found = upload.look_through(state).await?;
    if found.count() == 0 {
        let first = found.problems().first();
        let why = first.map_or("it has none".to_owned(), |first| format!("row {}: {}", first.row, first.reason));
        return Err(invalid(format!("no row of `file` can be read as the mapping says; {why}")));
    }
    let parts = file::keep(state, id, &upload.bytes).await?;
    let mut import = Import {
        file_name: upload.file_name,
        mapping: upload.mapping,
        reason: upload.reason,
        stage: Stage::Waiting,
        requested_by: actor.name(),
        requested_at: state.clock(),
        rows: found.rows(),
        count: found.count(),
        approval: None,
        done: 0,
        counts: Counts::default(),
        parts,
        tries: 0,
        problems: String::new(),
        trouble: None,
    };
    import.keep_problems(state, id, found.problems())?;
    let mut event = actor.event(state.clock(), "import.upload", id);
    event.reason.clone_from(&import.reason);
    event.after = json!({ "file": import.file_name, "rows": import.rows, "count": import.count });
    let until = state.clock().plus_millis(KEEP_MS);
    let record = Record::new(IMPORT, id, import.stage.name(), &import)?.until(until);
    Ok(state.engine.write_records(vec![RecordChange::Put(record)], vec![event]).await?)
}

async fn ask(state: &AppState, actor: &Actor, id: &str, import: &Import) -> Result<(), Problem> {
    let rows = i64::try_from(import.rows).unwrap_or(i64::MAX);
    match approvals::ask(state, actor, Act::Import { import: id.to_owned(), rows }, &import.reason, Some(id)).await? {
        Permit::Now => release(state, id).await.map(drop),
        Permit::Waits(approval) => {
            let (record, mut import) = find(state, id).await?;
            import.approval = Some(approval);
            put(state, record, &import, Vec::new()).await
        }
    }
}
