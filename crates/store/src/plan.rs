//! Plans every account anew after a publication that changes what happens to points by itself: accounts that lie still
//! would else keep the dates of the former program.

use std::sync::Arc;

use guerdon_core::id::MemberId;
use guerdon_core::kernel::Command;
use guerdon_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CommandError, EngineHandle, Store, StoreError};

/// Under which key the database keeps how far the planning is.
const PLANNED: &str = "planned";
/// The lease of the node that does it.
const LEASE: &str = "job plan";

/// For which program accounts are planned, and up to which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Planned {
    /// The digest of what currencies say of the life of their points.
    program: String,
    /// The last member who was looked at; `None`: all were.
    after: Option<MemberId>,
}

fn stored(store: &mut dyn Store) -> Result<Option<Planned>, StoreError> {
    let text = store.meta(PLANNED)?;
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| StoreError::Rejected(error.to_string()))
}

fn write(store: &mut dyn Store, planned: &Planned) -> Result<(), StoreError> {
    let text = serde_json::to_string(planned).map_err(|error| StoreError::Rejected(error.to_string()))?;
    store.set_meta(PLANNED, &text)
}

impl EngineHandle {
    /// Plans at most `limit` accounts anew, when the program in force asks for it and no other node does it. Returns how
    /// many were looked at: fewer than `limit` when all are done. It may be interrupted at any moment; it goes on where it
    /// was, and an account that is as it should be is left alone.
    pub async fn plan_anew(&self, now: Timestamp, limit: usize) -> Result<usize, CommandError> {
        let program = self.program();
        let digest = Arc::new(program.life_digest());
        let has_life = program.currencies.iter().any(|currency| !currency.life.is_empty());
        let looked_at = {
            let digest = Arc::clone(&digest);
            self.run(move |store| {
                let known = stored(store)?;
                // A program that never said anything leaves nothing to plan.
                if known.is_none() && !has_life {
                    return Ok(Vec::new());
                }
                let is_done = known.as_ref().is_some_and(|known| known.program == *digest && known.after.is_none());
                if is_done || !store.lease(LEASE)? {
                    return Ok(Vec::new());
                }
                let after = known.filter(|known| known.program == *digest).and_then(|known| known.after);
                let found = store.accounts_after(after.unwrap_or(MemberId(i64::MIN)), limit)?;
                if found.is_empty() {
                    write(store, &Planned { program: digest.to_string(), after: None })?;
                }
                Ok(found)
            })
            .await?
        };
        let Some((last, _)) = looked_at.last().copied() else { return Ok(0) };
        let commands: Vec<Command> =
            looked_at.iter().map(|(member, version)| Command::tick(*member, *version, now)).collect();
        for outcome in self.submit(commands).await {
            match outcome {
                Ok(_) | Err(CommandError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let after = (looked_at.len() >= limit).then_some(last);
        self.run(move |store| write(store, &Planned { program: digest.to_string(), after })).await?;
        Ok(looked_at.len())
    }
}
