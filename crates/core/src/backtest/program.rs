//! The two programs of a backtest, from configuration documents.

use std::collections::BTreeMap;

use crate::program::{Bundle, Document, Program};
use crate::time::Timestamp;

/// The documents in force at `at`, the newest version of each, as if they had held from the beginning of time.
pub fn in_force(documents: &[Document], at: Timestamp) -> Vec<Document> {
    let mut newest: BTreeMap<(&str, &str), &Document> = BTreeMap::new();
    for document in documents.iter().filter(|document| document.effective_from <= at) {
        let known = newest.entry((&document.kind, &document.id)).or_insert(document);
        if known.version < document.version {
            *known = document;
        }
    }
    let lasting = newest.into_values().filter(|document| document.state == "active" || document.kind == "currency");
    lasting.map(|document| Document { effective_from: Timestamp::ZERO, ..document.clone() }).collect()
}

/// The documents of a program file in the place of those in force: what is not in the file is gone, what differs is one
/// version on. What stays as it is keeps its version.
///
/// Errors when it is another program, or when a currency is gone that wallets may hold.
pub fn in_place(in_force: &[Document], bundle: &Bundle) -> Result<Vec<Document>, String> {
    let program = Program::from_documents(in_force)?.settings;
    let file = &bundle.program;
    if (&program.id, &program.money, &program.time_zone) != (&file.id, &file.money, &file.time_zone) {
        return Err(format!(
            "the program in force is `{}` ({}, {}); the file is for `{}` ({}, {}): id, money and time zone must be the same",
            program.id, program.money, program.time_zone, file.id, file.money, file.time_zone
        ));
    }
    let mut documents = bundle.documents()?;
    for document in &mut documents {
        let same = |known: &&Document| known.kind == document.kind && known.id == document.id;
        let before = in_force.iter().find(same);
        document.version = before.map_or(1, |known| known.version + i64::from(known.body != document.body));
    }
    let gone = |known: &&Document| {
        known.kind == "currency" && !documents.iter().any(|one| one.kind == known.kind && one.id == known.id)
    };
    match in_force.iter().find(gone) {
        Some(currency) => Err(format!("currency `{}` cannot be removed: wallets may hold it", currency.id)),
        None => Ok(documents),
    }
}
