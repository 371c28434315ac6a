//! Publication: a whole program file, or changes of some documents, as new versions; and the withdrawal of versions that
//! have not taken effect yet. Nothing that was published is ever changed or deleted.

use guerdon_core::audit::AuditEvent;
use guerdon_core::id::IdGenerator;
use guerdon_core::kernel::{Refusal, RefusalCode};
use guerdon_core::program::{
    Brought, Bundle, Document, DocumentChange, POINT_VALUE, awaited, check_from, check_lasting, check_retirable,
    newest, with_changes,
};
use guerdon_core::rewards::Reward;
use guerdon_core::time::Timestamp;

use crate::pictures::keep_named;
use crate::{CommandError, EngineHandle, Store, StoreError};

/// Which documents a publication changed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Published {
    /// `kind id version` of each new version.
    pub added: Vec<String>,
    /// `kind id` of each that was retired.
    pub retired: Vec<String>,
}

/// Publishes a program file: new versions of what differs, retirement of what is gone. The first versions hold from the
/// beginning of time, later ones from `now`. Nothing stands in the audit log about it: see [`publish_as`].
pub fn publish(store: &mut dyn Store, bundle: &Bundle, now: Timestamp) -> Result<Published, StoreError> {
    publish_with(store, bundle, now, None, &mut IdGenerator::new(0))
}

/// The same as an act of someone. The event is written when something has changed, and says what; ids are those of the
/// engine, or of [`id_generator`] where none runs.
pub fn publish_as(
    store: &mut dyn Store,
    bundle: &Bundle,
    now: Timestamp,
    event: AuditEvent,
    ids: &mut IdGenerator,
) -> Result<Published, StoreError> {
    publish_with(store, bundle, now, Some(event), ids)
}

fn publish_with(
    store: &mut dyn Store,
    bundle: &Bundle,
    now: Timestamp,
    event: Option<AuditEvent>,
    ids: &mut IdGenerator,
) -> Result<Published, StoreError> {
    let existing = store.documents()?;
    let wanted = bundle.documents().map_err(refused)?;
    let newest = |kind: &str, id: &str| newest(&existing, kind, id);
    let mut published = Published::default();
    let mut added = Vec::new();
    for document in &wanted {
        let before = newest(&document.kind, &document.id);
        if let Some(before) = before {
            check_lasting(&existing, document).map_err(refused)?;
            if before.body == document.body && before.position == document.position && before.state == "active" {
                continue;
            }
            check_not_scheduled(&existing, &before.kind, &before.id, now)?;
        }
        let version = before.map_or(1, |before| before.version + 1);
        let effective_from = if before.is_some() { now } else { Timestamp::ZERO };
        published.added.push(format!("{} {} {version}", document.kind, document.id));
        added.push(Document { version, effective_from, ..document.clone() });
    }
    for before in existing.iter().filter(|known| newest(&known.kind, &known.id) == Some(known)) {
        let gone = !wanted.iter().any(|document| document.kind == before.kind && document.id == before.id);
        if gone && before.kind != POINT_VALUE && before.state == "active" {
            check_retirable(&before.kind, &before.id).map_err(refused)?;
            check_not_scheduled(&existing, &before.kind, &before.id, now)?;
            published.retired.push(format!("{} {}", before.kind, before.id));
            let (version, state) = (before.version + 1, "retired".to_owned());
            added.push(Document { version, effective_from: now, state, ..before.clone() });
        }
    }
    let stock: Vec<(String, i64)> = bundle.rewards.iter().flat_map(Reward::first_stock).collect();
    let Published { added: versions, retired } = &published;
    let after = serde_json::json!({ "added": versions, "retired": retired });
    let event = event.filter(|_| !added.is_empty()).map(|event| AuditEvent { after, ..event });
    keep_named(store, &added, ids)?;
    store.add_documents(&added, &stock, event.as_slice(), ids)?;
    Ok(published)
}

fn refused(problem: String) -> StoreError {
    Refusal::new(RefusalCode::InvalidRequest, problem).into()
}

/// Refuses a version that would hold before one that is scheduled: what was agreed to and announced would never come.
fn check_not_scheduled(existing: &[Document], kind: &str, id: &str, from: Timestamp) -> Result<(), StoreError> {
    let Some(Document { version, effective_from, .. }) = awaited(existing, kind, id, from) else { return Ok(()) };
    Err(refused(format!(
        "{kind} `{id}`: its version {version} is scheduled for {effective_from}; withdraw that first, or let the new one \
         take effect afterwards"
    )))
}

/// Publishes changes of single documents as an act of someone, as versions that hold from `from` on. Together with
/// everything else that is published they are checked for each moment from then on. Changes that are published already, as
/// when the same is asked for twice, are left as they are. The event says what was brought.
///
/// Refuses a change over another version than the newest one, or before one that is scheduled.
pub fn publish_changes(
    store: &mut dyn Store,
    changes: &[DocumentChange],
    from: Timestamp,
    event: AuditEvent,
    ids: &mut IdGenerator,
) -> Result<Vec<Brought>, StoreError> {
    let existing = store.documents()?;
    let mut brought = Vec::new();
    let mut left = Vec::new();
    for change in changes {
        let newest = newest(&existing, &change.kind, &change.id);
        let version = newest.map_or(0, |newest| newest.version);
        let (kind, id) = (change.kind.clone(), change.id.clone());
        if version == change.base {
            check_not_scheduled(&existing, &change.kind, &change.id, from)?;
            left.push(change.clone());
            brought.push(Brought { kind, id, version: version.saturating_add(1) });
        } else if newest.is_some_and(|newest| is_published(&existing, newest, change, from)) {
            brought.push(Brought { kind, id, version });
        } else {
            let (what, base) = (change.subject(), change.base);
            return Err(refused(format!(
                "{what} is at version {version} by now, and the change was made over version {base}: look at what has \
                 changed, and make the change over the newest version"
            )));
        }
    }
    let documents = with_changes(&existing, &left, from).map_err(refused)?;
    check_from(&documents, from).map_err(refused)?;
    let added = documents.get(existing.len()..).unwrap_or_default();
    let names: Vec<String> = brought.iter().map(|one| format!("{} {} {}", one.kind, one.id, one.version)).collect();
    let mut event = event;
    event.after = match event.after {
        serde_json::Value::Object(mut told) => {
            told.insert("brought".to_owned(), serde_json::json!(names));
            told.insert("effective_from".to_owned(), serde_json::json!(from));
            told.into()
        }
        _ => serde_json::json!({ "brought": names, "effective_from": from }),
    };
    let events = if added.is_empty() { Vec::new() } else { vec![event] };
    keep_named(store, added, ids)?;
    store.add_documents(added, &stock_of(added), &events, ids)?;
    Ok(brought)
}

/// Whether the newest version is what a change asks for.
fn is_published(existing: &[Document], newest: &Document, change: &DocumentChange, from: Timestamp) -> bool {
    let before: Vec<Document> = existing.iter().filter(|one| *one != newest).cloned().collect();
    let wanted = with_changes(&before, std::slice::from_ref(change), from).ok().and_then(|mut all| all.pop());
    wanted.is_some_and(|wanted| wanted == *newest) && newest.version == change.base.saturating_add(1)
}

/// The first stock of new rewards.
fn stock_of(added: &[Document]) -> Vec<(String, i64)> {
    let rewards = added.iter().filter(|document| document.kind == "reward" && document.state == "active");
    let read = |document: &Document| serde_json::from_str::<Reward>(&document.body).ok();
    rewards.filter_map(read).flat_map(|reward| reward.first_stock()).collect()
}

/// Takes back versions that take effect after `now`: by newer ones that hold from the same moments on and say what held
/// before. Versions that were taken back already are left as they are.
///
/// Refuses when one of them holds already, or when another was published over it.
pub fn withdraw_versions(
    store: &mut dyn Store,
    brought: &[Brought],
    now: Timestamp,
    event: AuditEvent,
    ids: &mut IdGenerator,
) -> Result<(), StoreError> {
    let existing = store.documents()?;
    let mut added = Vec::new();
    for Brought { kind, id, version } in brought {
        let versions = || existing.iter().filter(|one| one.kind == *kind && one.id == *id);
        let what = format!("{kind} `{id}` version {version}");
        let own = versions().find(|one| one.version == *version);
        let own = own.ok_or_else(|| refused(format!("{what} is not among the documents")))?;
        let before = versions().filter(|one| one.version < *version).max_by_key(|one| one.version);
        let restored = Document {
            version: version.saturating_add(1),
            effective_from: own.effective_from,
            state: before.map_or("retired", |before| &before.state).to_owned(),
            ..before.unwrap_or(own).clone()
        };
        match versions().max_by_key(|one| one.version) {
            Some(newest) if *newest == restored => {}
            _ if own.effective_from <= now => {
                return Err(refused(format!("{what} holds since {}; change it by a new draft", own.effective_from)));
            }
            Some(newest) if newest.version > *version => {
                let problem = format!("{what} was followed by version {}; withdraw that first", newest.version);
                return Err(refused(problem));
            }
            _ => added.push(restored),
        }
    }
    let mut all = existing;
    all.extend(added.iter().cloned());
    check_from(&all, now).map_err(refused)?;
    let events = if added.is_empty() { Vec::new() } else { vec![event] };
    store.add_documents(&added, &[], &events, ids)
}

impl EngineHandle {
    /// Publishes a program file as an act of someone, by the program's time; see [`publish_as`]. On this node it is in
    /// force when this returns.
    pub async fn publish(&self, bundle: Bundle, event: AuditEvent) -> Result<Published, CommandError> {
        let now = self.now();
        let published = self.run_with_ids(move |store, ids| publish_as(store, &bundle, now, event, ids)).await?;
        self.take_over().await?;
        Ok(published)
    }

    /// Publishes changes of single documents; see [`publish_changes`].
    pub async fn publish_changes(
        &self,
        changes: Vec<DocumentChange>,
        from: Timestamp,
        event: AuditEvent,
    ) -> Result<Vec<Brought>, CommandError> {
        let publish =
            move |store: &mut dyn Store, ids: &mut IdGenerator| publish_changes(store, &changes, from, event, ids);
        let brought = self.run_with_ids(publish).await?;
        self.take_over().await?;
        Ok(brought)
    }

    /// Takes back versions that have not taken effect yet; see [`withdraw_versions`].
    pub async fn withdraw_versions(&self, brought: Vec<Brought>, event: AuditEvent) -> Result<(), CommandError> {
        let now = self.now();
        self.run_with_ids(move |store, ids| withdraw_versions(store, &brought, now, event, ids)).await?;
        self.take_over().await?;
        Ok(())
    }

    /// Waits until what was published is in force here.
    pub(crate) async fn take_over(&self) -> Result<(), CommandError> {
        // Before whatever comes next the writer looks whether something was published.
        self.run(|_| Ok(())).await
    }
}
