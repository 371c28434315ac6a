//! Drafts: sets of changes on their way from a proposal to configuration in force.

use serde::{Deserialize, Serialize};

use super::bundle::Text;
use super::documents::{Document, DocumentChange, holding};
use crate::limits;
use crate::time::Timestamp;

/// The kind of the records in which drafts are kept; their ids are `drf_…`, their subject the stage.
pub const DRAFT: &str = "draft";

/// How far a draft is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is being written, for the first time or again.
    Draft,
    /// It waits for another operator.
    Submitted,
    /// Another operator has agreed; its documents are about to be published.
    Approved,
    /// Its documents are published, and hold from their moment on.
    Published,
    /// It was given up.
    Withdrawn,
}

impl Stage {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Submitted => "submitted",
            Self::Approved => "approved",
            Self::Published => "published",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Where a draft stands as people see it: what was published is scheduled, then effective, and in the end retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is being written.
    Draft,
    /// It waits for another operator.
    Submitted,
    /// It is agreed to, and about to be published.
    Approved,
    /// It is published and holds from a later moment on.
    Scheduled,
    /// It holds.
    Effective,
    /// Other versions have taken the place of all of its own.
    Retired,
    /// It was given up.
    Withdrawn,
}

impl Standing {
    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Submitted => "submitted",
            Self::Approved => "approved",
            Self::Scheduled => "scheduled",
            Self::Effective => "effective",
            Self::Retired => "retired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A version that a draft has brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// Of which kind.
    pub kind: String,
    /// Of which document.
    pub id: String,
    /// Which.
    pub version: i64,
}

/// One move in the life of a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// What was done: `create`, `edit`, `submit`, `approve`, `reject`, `publish`, `withdraw`.
    pub done: String,
    /// By whom.
    pub by: String,
    /// When, by the machine's clock.
    pub at: Timestamp,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A set of changes that hold together, from one moment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// What it is about.
    pub title: String,
    /// Who began it.
    pub author: String,
    /// The people behind everyone who has written at it: none of them can agree to it.
    #[serde(default)]
    pub people: Vec<String>,
    /// How far it is.
    pub stage: Stage,
    /// How often it was submitted: what was agreed to is the draft as it was then.
    #[serde(default)]
    pub submission: u32,
    /// What it changes.
    pub changes: Vec<DocumentChange>,
    /// From when on it is to hold, by the program's clock; left out: as soon as it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_from: Option<Timestamp>,
    /// What members are told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announcement: Option<Text>,
    /// Why a change to the worse is to hold before 30 days are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
    /// The request to another operator, `apr_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// When it was approved, and with that announced, by the program's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced_at: Option<Timestamp>,
    /// The versions that it has brought.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub brought: Vec<Brought>,
    /// What happened to it, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Move>,
}

impl Draft {
    /// Checks what was written by hand; the message names the field.
    pub fn validate(&self) -> Result<(), String> {
        limits::check_text("title", &self.title, limits::TEXT_CHARS)?;
        if self.changes.is_empty() || self.changes.len() > limits::DRAFT_CHANGES {
            let count = self.changes.len();
            return Err(format!("`changes` must name 1 to {} documents, not {count}", limits::DRAFT_CHANGES));
        }
        if let Some(text) = &self.announcement {
            text.validate("announcement")?;
        }
        let reason = self.override_reason.as_deref();
        reason.map_or(Ok(()), |reason| limits::check_text("override_reason", reason, limits::TEXT_CHARS))
    }

    /// Adds a move to its history; the oldest but the first go when there are too many.
    pub fn moved(&mut self, done: &str, by: &str, at: Timestamp, reason: &str) {
        let (done, by, reason) = (done.to_owned(), by.to_owned(), reason.to_owned());
        self.history.push(Move { done, by, at, reason });
        if self.history.len() > limits::DRAFT_MOVES {
            self.history.remove(1);
        }
    }

    /// Where it stands at `now`, by the program's clock, among the documents that are published.
    pub fn standing(&self, documents: &[Document], now: Timestamp) -> Standing {
        match self.stage {
            Stage::Draft => Standing::Draft,
            Stage::Submitted => Standing::Submitted,
            Stage::Approved => Standing::Approved,
            Stage::Withdrawn => Standing::Withdrawn,
            Stage::Published if self.effective_from.is_some_and(|from| from > now) => Standing::Scheduled,
            Stage::Published => {
                let holds = |brought: &Brought| {
                    let holding = holding(documents, &brought.kind, &brought.id, now);
                    holding.is_some_and(|holding| holding.version == brought.version)
                };
                if self.brought.iter().any(holds) { Standing::Effective } else { Standing::Retired }
            }
        }
    }
}
