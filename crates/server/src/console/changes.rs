//! How something came to be as it is: its changes, as the audit log keeps them.

use guerdon_core::audit::AuditEvent;
use guerdon_store::AuditQuery;

use super::frame::Frame;
use super::operators;
use super::trouble::{OrPage, PageError};
use crate::AppState;

/// Changes that are shown at the most.
const MOST: i64 = 50;

/// A change.
pub struct Change {
    /// When, and by whom.
    pub told: String,
    /// The event.
    pub event: AuditEvent,
}

/// The changes of a subject, newest first; an action that ends in `.` takes all below it.
pub async fn of(state: &AppState, frame: &Frame, action: &str, subject: &str) -> Result<Vec<Change>, PageError> {
    let (action, subject) = (Some(action.to_owned()), Some(subject.to_owned()));
    let query = AuditQuery { action, subject, limit: MOST, ..AuditQuery::default() };
    let mut changes = Vec::new();
    for entry in state.reader.audit_events(&query).await.or_page(frame)? {
        if let Ok(event) = entry.event() {
            changes.push(Change { told: told(state, frame, &event).await, event });
        }
    }
    Ok(changes)
}

/// `2026-03-10 09:30, by Ann`.
async fn told(state: &AppState, frame: &Frame, event: &AuditEvent) -> String {
    let who = operators::name(state, frame, &event.actor).await;
    frame.say("change-told", [("when", frame.clock_time(event.at).into()), ("who", who.into())])
}
