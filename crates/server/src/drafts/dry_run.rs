//! What one activity would earn: under the program in force, a draft, another version of a document, or as of another
//! moment; for a member, or for one who has never done anything. The kernel decides it, and nothing changes.

use axum::http::StatusCode;
use guerdon_core::earning::Activity;
use guerdon_core::id::MemberId;
use guerdon_core::kernel::{Command, Receipt};
use guerdon_core::program::{Document, DocumentChange, Program, check_from, with_changes};
use guerdon_core::time::{EARLIEST, Timestamp};

use super::{find, invalid};
use crate::AppState;
use crate::identity::actor::Actor;
use crate::problem::Problem;

/// Under what an activity is tried.
#[derive(Debug, Clone)]
pub enum Against {
    /// What holds at the activity's moment.
    Live,
    /// The same with a draft's changes, as though they held already.
    Draft(String),
    /// The same with one document in another version.
    Version {
        /// Of which kind.
        kind: String,
        /// Of which document.
        id: String,
        /// Which.
        version: i64,
    },
}

/// An activity to be tried.
pub struct Trial {
    /// Under what.
    pub against: Against,
    /// Whose; none: somebody new.
    pub member: Option<MemberId>,
    /// What is done; without a moment of its own it happens now.
    pub activity: Activity,
}

/// Tries an activity. Returns the receipt that it would get, and the program that it was decided under.
pub async fn dry_run(state: &AppState, actor: &Actor, trial: Trial) -> Result<(Receipt, Program), Problem> {
    let live = state.program();
    let now = state.engine.now();
    let at = trial.activity.occurred_at.unwrap_or(now);
    let program = match changes(state, live.documents(), &trial.against).await? {
        None => Program::clone(&live),
        Some(changes) => {
            // For all of time: what is tried is the change, whenever the activity happens.
            let documents = with_changes(live.documents(), &changes, Timestamp::ZERO).map_err(invalid)?;
            check_from(&documents, at).map_err(invalid)?;
            Program::from_documents(&documents).map_err(invalid)?.as_of(at)
        }
    };
    let is_new = trial.member.is_none();
    let member = trial.member.unwrap_or_else(|| state.engine.new_member_id());
    let command = Command::record(&program, member, "dry-run", &trial.activity, now.max(at), EARLIEST)?;
    let reply = state.engine.try_out(command.by(actor.name()), is_new).await?;
    let receipt = serde_json::from_str(&reply.receipt)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", error.to_string()))?;
    Ok((receipt, program))
}

async fn changes(
    state: &AppState,
    documents: &[Document],
    against: &Against,
) -> Result<Option<Vec<DocumentChange>>, Problem> {
    match against {
        Against::Live => Ok(None),
        Against::Draft(id) => {
            let (_, draft) = find(state, id).await?;
            Ok(Some(draft.changes))
        }
        Against::Version { kind, id, version } => {
            let known = documents.iter().find(|one| one.kind == *kind && one.id == *id && one.version == *version);
            let known = known.ok_or_else(|| {
                let (kind, id): (String, String) = (kind.chars().take(40).collect(), id.chars().take(64).collect());
                Problem::not_found("unknown_version", format!("there is no version {version} of {kind} `{id}`"))
            })?;
            let document = match known.state.as_str() {
                "active" => Some(serde_json::from_str(&known.body).map_err(|error| invalid(error.to_string()))?),
                _ => None,
            };
            let (kind, id) = (kind.clone(), id.clone());
            Ok(Some(vec![DocumentChange { kind, id, base: 0, document }]))
        }
    }
}
