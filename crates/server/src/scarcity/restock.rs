//! Restocking by hand: one place for the API and the console. It leaves its event in the audit log.

use guerdon_core::kernel::{Command, Reply, Restocking};

use crate::AppState;
use crate::acts::{By, submit};
use crate::problem::Problem;

/// Adds units to stock, or takes out what a count did not find.
pub async fn restock(state: &AppState, by: &By<'_>, wanted: Restocking) -> Result<Reply, Problem> {
    let key = wanted.key();
    let mut event = by.event(state, "stock.restock", &key);
    event.before = serde_json::json!({ "quantity": wanted.quantity });
    let command = Command::restock(by.key, state.engine.now(), wanted, by.reason)?;
    submit(state, by, command, event).await
}
