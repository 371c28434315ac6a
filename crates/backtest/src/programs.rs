//! The two programs of a backtest.

use anyhow::{Context, Result};
use guerdon_core::backtest::{all_the_time, in_place};
use guerdon_core::program::{Bundle, Document, DocumentChange, Program, check_from, with_changes};
use guerdon_core::time::{Day, Timestamp};

/// The rules in force and the draft, compiled.
pub struct Programs {
    /// The rules in force, as if they had held all the time.
    pub live: Program,
    /// The draft, likewise.
    pub draft: Program,
}

impl Programs {
    /// What is in force of the stored documents at `now`, and a program file in its place.
    pub fn with_file(documents: &[Document], bundle: &Bundle, now: Timestamp) -> Result<Self> {
        let live = all_the_time(documents, now);
        let draft = in_place(&live, bundle).map_err(anyhow::Error::msg)?;
        Self::compile(&live, &draft)
    }

    /// What is in force of the stored documents at `now`, and the same with the changes of a draft.
    pub fn with_changes(documents: &[Document], changes: &[DocumentChange], now: Timestamp) -> Result<Self> {
        let live = all_the_time(documents, now);
        let draft = with_changes(&live, changes, Timestamp::ZERO)
            .and_then(|draft| check_from(&draft, Timestamp::ZERO).map(|()| draft))
            .map_err(anyhow::Error::msg)
            .context("the draft")?;
        Self::compile(&live, &draft)
    }

    /// Compiles the documents of both.
    pub fn compile(live: &[Document], draft: &[Document]) -> Result<Self> {
        let compiled = |documents, what| Program::from_documents(documents).map_err(anyhow::Error::msg).context(what);
        Ok(Self { live: compiled(live, "the rules in force")?, draft: compiled(draft, "the draft")? })
    }

    /// The beginning of a day of the program's calendar, or an RFC 3339 time.
    pub fn moment(&self, text: &str) -> Result<Timestamp, String> {
        let day = text.parse().map(Day::of).map(|day| self.live.calendar.start_of(day));
        day.or_else(|_| Timestamp::parse_rfc3339(text)).map_err(|_| {
            let shown: String = text.chars().take(40).collect();
            format!("a day such as 2026-01-31 or a time such as 2026-01-31T09:30:00Z, not `{shown}`")
        })
    }
}
