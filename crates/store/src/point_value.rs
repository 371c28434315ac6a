//! Publishes the value of a floating currency: a version of a document of its own, so that no program file takes it back.

use guerdon_core::audit::AuditEvent;
use guerdon_core::id::IdGenerator;
use guerdon_core::kernel::{Refusal, RefusalCode};
use guerdon_core::program::{Document, POINT_VALUE, PointValue, ValueVersion};
use guerdon_core::time::Timestamp;

use crate::writer::load_program;
use crate::{CommandError, EngineHandle, Store, StoreError};

/// Publishes a value of the currency of a code, from `now` on, and writes the event beside it, which says what was before. The
/// value that holds already is not published again.
pub fn publish_value(
    store: &mut dyn Store,
    code: &str,
    published: &PointValue,
    now: Timestamp,
    event: AuditEvent,
    ids: &mut IdGenerator,
) -> Result<ValueVersion, StoreError> {
    let refused = |problem: String| StoreError::from(Refusal::new(RefusalCode::InvalidRequest, problem));
    let program = load_program(store)?;
    program.check_value(code, published).map_err(refused)?;
    let values = program.currency_by_code(code).map_or(&[][..], |currency| program.values(currency.id));
    let newest = values.last();
    if let Some(same) = newest.filter(|newest| newest.published.value == published.value) {
        return Ok(same.clone());
    }
    let value = ValueVersion {
        version: newest.map_or(1, |newest| newest.version + 1),
        // Clocks of nodes differ a little; a history goes one way.
        effective_from: newest.map_or(now, |newest| newest.effective_from.max(now)),
        published: published.clone(),
    };
    let document = Document {
        kind: POINT_VALUE.to_owned(),
        id: code.to_owned(),
        version: value.version,
        position: 0,
        effective_from: value.effective_from,
        state: "active".to_owned(),
        body: serde_json::to_string(published).map_err(|error| refused(error.to_string()))?,
    };
    let event = AuditEvent {
        before: newest.map_or(serde_json::Value::Null, |newest| serde_json::json!({ "value": newest.published.value })),
        after: serde_json::json!({ "value": published.value, "version": value.version }),
        ..event
    };
    store.add_documents(&[document], &[], &[event], ids)?;
    Ok(value)
}

impl EngineHandle {
    /// Publishes the value of a point as an act of someone, by the program's time; see [`publish_value`].
    pub async fn publish_value(
        &self,
        code: String,
        published: PointValue,
        event: AuditEvent,
    ) -> Result<ValueVersion, CommandError> {
        let now = self.now();
        let work = move |store: &mut dyn Store, ids: &mut IdGenerator| {
            publish_value(store, &code, &published, now, event, ids)
        };
        let value = self.run_with_ids(work).await?;
        self.take_over().await?;
        Ok(value)
    }
}
