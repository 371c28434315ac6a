//! The registers that a brand must keep: processing activities, impact assessments, and sharing with third parties. Documents
//! in versions, each with its history in the audit log.

use guerdon_core::limits;
use guerdon_core::time::Timestamp;
use guerdon_store::{Record, RecordChange, RecordQuery};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::invalid;
use crate::AppState;
use crate::identity::actor::Actor;
use crate::identity::operators::new_id;
use crate::problem::Problem;

/// The kind of their records; the id is `reg_…`, the subject the register.
const ENTRY: &str = "register_entry";
/// Entries of a register at the most.
const MOST: i64 = 1_000;
/// Characters of one field.
const FIELD_CHARS: usize = 5_000;

/// Which register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Register {
    /// Processing activities (GDPR article 30; PIPL article 51).
    Processing,
    /// Impact assessments (GDPR article 35; PIPL articles 55 and 56).
    ImpactAssessment,
    /// Sharing with third parties (PIPL article 23).
    Sharing,
}

impl Register {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Processing, Self::ImpactAssessment, Self::Sharing];

    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::ImpactAssessment => "impact_assessment",
            Self::Sharing => "sharing",
        }
    }

    /// The register of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|register| register.name() == name)
    }
}

/// An entry of a register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is about.
    pub title: String,
    /// For what the data are used.
    pub purpose: String,
    /// The legal basis: consent, contract, legal duty, legitimate interest …
    pub legal_basis: String,
    /// Which data.
    pub data: String,
    /// Who receives them.
    #[serde(default)]
    pub recipients: String,
    /// How long they are kept.
    #[serde(default)]
    pub retention: String,
    /// What protects them; of an assessment the risks and what is done against them.
    #[serde(default)]
    pub measures: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: String,
}

impl Entry {
    fn validate(&self) -> Result<(), String> {
        for (name, text, needed) in [
            ("title", &self.title, true),
            ("purpose", &self.purpose, true),
            ("legal_basis", &self.legal_basis, true),
            ("data", &self.data, true),
            ("recipients", &self.recipients, false),
            ("retention", &self.retention, false),
            ("measures", &self.measures, false),
            ("owner", &self.owner, false),
        ] {
            let plain = text.replace('\n', " ");
            if needed || !text.is_empty() {
                limits::check_text(name, &plain, FIELD_CHARS)?;
            }
        }
        Ok(())
    }
}

/// An entry as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The entry.
    pub entry: Entry,
    /// When it was last changed.
    pub changed_at: Timestamp,
    /// By whom.
    pub changed_by: String,
}

/// The entries of a register.
pub async fn list(state: &AppState, register: Register) -> Result<Vec<(Record, Kept)>, Problem> {
    let subject = Some(register.name().to_owned());
    let query = RecordQuery { kind: ENTRY.to_owned(), subject, after: None, limit: MOST };
    let records = state.reader.records(&query, state.clock()).await?;
    records.into_iter().map(|record| Ok((record.clone(), record.read()?))).collect::<Result<_, Problem>>()
}

/// Makes an entry, or changes the one of an id. Returns its id.
pub async fn put(
    state: &AppState,
    actor: &Actor,
    register: Register,
    id: Option<&str>,
    entry: Entry,
) -> Result<String, Problem> {
    entry.validate().map_err(invalid)?;
    let now = state.clock();
    let kept = Kept { entry, changed_at: now, changed_by: actor.name() };
    let record = match id {
        Some(id) => find(state, register, id).await?,
        None if list(state, register).await?.len() as i64 >= MOST => {
            return Err(invalid(format!("a register holds {MOST} entries at the most")));
        }
        None => Record::new(ENTRY, &new_id("reg"), register.name(), &kept)?,
    };
    let id = record.id.clone();
    let mut event = actor.event(now, "register.put", &id);
    event.before = if record.version == 0 { Value::Null } else { record.read::<Value>()? };
    event.after = json!(kept);
    state.engine.write_records(vec![RecordChange::Put(record.with(&kept)?)], vec![event]).await?;
    Ok(id)
}

/// An entry of a register.
pub async fn get(state: &AppState, register: Register, id: &str) -> Result<Kept, Problem> {
    Ok(find(state, register, id).await?.read()?)
}

async fn find(state: &AppState, register: Register, id: &str) -> Result<Record, Problem> {
    let unknown = || Problem::not_found("unknown_entry", "the register has no such entry");
    let found = state.reader.record(ENTRY, id, state.clock()).await?;
    found.filter(|record| record.subject == register.name()).ok_or_else(unknown)
}

/// Takes an entry out; the audit log keeps it.
pub async fn remove(state: &AppState, actor: &Actor, register: Register, id: &str) -> Result<(), Problem> {
    let record = find(state, register, id).await?;
    let mut event = actor.event(state.clock(), "register.remove", id);
    event.before = record.read()?;
    Ok(state.engine.write_records(vec![RecordChange::Delete(record)], vec![event]).await?)
}
