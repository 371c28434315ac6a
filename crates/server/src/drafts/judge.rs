//! What a draft would change, from when on it may hold, and what stands in its way.

use axum::http::StatusCode;
use guerdon_core::limits;
use guerdon_core::program::{
    Bundle, Difference, Document, DocumentChange, Draft, KINDS, NOTICE_DAYS, awaited, check_from, differences,
    earliest, in_force, newest, with_changes,
};
use guerdon_core::time::Timestamp;

use super::invalid;
use crate::AppState;
use crate::problem::Problem;

/// A draft as it would come about if it were agreed to at some moment.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// What it changes, against what holds when it takes effect.
    pub differences: Vec<Difference>,
    /// The earliest moment for it without an override, by the program's clock.
    pub earliest: Timestamp,
    /// From when on it would hold.
    pub from: Timestamp,
    /// Whether it would hold before its notice is over, because its author says why.
    pub overrides: bool,
    /// Whether it would hold before its notice is over, and nobody says why.
    pub is_too_soon: bool,
    /// What is wrong with it: a document, or how documents fit each other.
    pub problem: Option<String>,
    /// A version that is scheduled for later than this draft would hold: `rule base version 3 for …`.
    pub scheduled: Option<String>,
    /// The documents that were published anew since the draft was made over them: `rule base`.
    pub outdated: Vec<String>,
}

/// Judges a draft: announced at `announced`, or now.
pub fn judge(state: &AppState, draft: &Draft, announced: Option<Timestamp>) -> Result<Judgement, Problem> {
    let program = state.program();
    let announced = draft.announced_at.or(announced).unwrap_or_else(|| state.engine.now());
    let live: Vec<Document> = before(program.documents(), draft);
    let wanted = draft.effective_from.map(|from| from.max(announced));
    let mut from = wanted.unwrap_or(announced);
    let mut found = differences(&live, &draft.changes, from).map_err(invalid)?;
    let notice = earliest(&found, announced);
    let has_reason = draft.override_reason.is_some();
    if wanted.is_none() && !has_reason && notice > announced {
        // Whole days are easier to announce.
        from = program.calendar.end_of_day_after(notice, 0);
        found = differences(&live, &draft.changes, from).map_err(invalid)?;
    }
    let is_early = from < notice;
    let fits = with_changes(&live, &draft.changes, from).and_then(|documents| check_from(&documents, from));
    let outdated = draft
        .changes
        .iter()
        .filter(|change| newest(&live, &change.kind, &change.id).map_or(0, |newest| newest.version) != change.base);
    let mut scheduled = draft.changes.iter().filter_map(|change| awaited(&live, &change.kind, &change.id, from));
    let scheduled = scheduled.next().map(|newest| {
        format!("{} `{}` version {} for {}", newest.kind, newest.id, newest.version, newest.effective_from)
    });
    Ok(Judgement {
        earliest: notice,
        scheduled,
        from,
        overrides: is_early && has_reason,
        is_too_soon: is_early && !has_reason,
        problem: fits.err(),
        outdated: outdated.map(|change| format!("{} {}", change.kind, change.id)).collect(),
        differences: found,
    })
}

/// The documents without what the draft itself has brought: what it is compared with, also afterwards.
fn before(documents: &[Document], draft: &Draft) -> Vec<Document> {
    let brought = |one: &Document| {
        let own = draft.brought.iter().find(|own| own.kind == one.kind && own.id == one.id);
        own.is_some_and(|own| one.version >= own.version)
    };
    documents.iter().filter(|one| !brought(one)).cloned().collect()
}

/// Refuses a program file that changes something for the worse, as it holds at once, unless somebody says why.
pub fn check_notice(state: &AppState, bundle: &Bundle, override_reason: Option<&str>) -> Result<(), Problem> {
    if let Some(reason) = override_reason {
        return limits::check_text("override_reason", reason, limits::TEXT_CHARS).map_err(invalid);
    }
    let (program, now) = (state.program(), state.engine.now());
    let wanted = bundle.documents().map_err(invalid)?;
    let mut changes = Vec::with_capacity(wanted.len());
    for document in &wanted {
        let content = serde_json::from_str(&document.body).map_err(|error| invalid(error.to_string()))?;
        let (kind, id) = (document.kind.clone(), document.id.clone());
        changes.push(DocumentChange { kind, id, base: 0, document: Some(content) });
    }
    for held in in_force(program.documents(), now).into_iter().filter(|held| KINDS.contains(&held.kind.as_str())) {
        if !wanted.iter().any(|document| document.kind == held.kind && document.id == held.id) {
            changes.push(DocumentChange { kind: held.kind, id: held.id, base: 0, document: None });
        }
    }
    let found = differences(program.documents(), &changes, now).map_err(invalid)?;
    let adverse: Vec<String> = found.iter().filter(|one| one.verdict.is_adverse()).map(Difference::sentence).collect();
    if adverse.is_empty() {
        return Ok(());
    }
    let detail = format!(
        "a program file holds at once, and a change for the worse takes effect {NOTICE_DAYS} days after it was announced: \
         {}. Schedule a draft for {} or later, or say in `override_reason` why it must be sooner",
        adverse.join("; "),
        earliest(&found, now)
    );
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "adverse_too_soon", detail))
}

impl Judgement {
    /// Whether it changes something for the worse.
    pub fn is_adverse(&self) -> bool {
        self.differences.iter().any(|difference| difference.verdict.is_adverse())
    }

    /// The differences for the worse, in words.
    pub fn adverse_sentences(&self) -> Vec<String> {
        let adverse = self.differences.iter().filter(|difference| difference.verdict.is_adverse());
        adverse.map(Difference::sentence).collect()
    }

    /// Refuses what cannot be submitted or agreed to as it is.
    pub fn check(&self) -> Result<(), Problem> {
        if let Some(problem) = &self.problem {
            return Err(invalid(problem.clone()));
        }
        if !self.outdated.is_empty() {
            let detail = format!(
                "published anew since this draft was made over them: {}; compare, and make the changes over the newest \
                 versions",
                self.outdated.join(", ")
            );
            return Err(Problem::new(StatusCode::CONFLICT, "draft_outdated", detail));
        }
        if let Some(scheduled) = &self.scheduled {
            let detail = format!(
                "a later version is scheduled: {scheduled}; withdraw that first, or let this draft take effect afterwards"
            );
            return Err(Problem::new(StatusCode::CONFLICT, "version_scheduled", detail));
        }
        if self.is_too_soon {
            let detail = format!(
                "a change for the worse takes effect {NOTICE_DAYS} days after it was announced: {}. The earliest moment is \
                 {}: set `effective_from` to then or later, or leave it out; or say in `override_reason` why it must be \
                 sooner",
                self.adverse_sentences().join("; "),
                self.earliest
            );
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "adverse_too_soon", detail));
        }
        Ok(())
    }
}
