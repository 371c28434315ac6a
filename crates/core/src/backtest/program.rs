//! The two programs of a backtest, from configuration documents.

use crate::program::{Bundle, Document, POINT_VALUE, Program, in_force};
use crate::time::Timestamp;

/// The documents in force at `at`, as if they had held from the beginning of time.
pub fn all_the_time(documents: &[Document], at: Timestamp) -> Vec<Document> {
    let held = in_force(documents, at).into_iter();
    held.map(|document| Document { effective_from: Timestamp::ZERO, ..document }).collect()
}

/// The documents of a program file in the place of those in force: what is not in the file is gone, what differs is one
/// version on. What stays as it is keeps its version.
///
/// Errors when it is another program, or when a currency is gone that wallets may hold.
pub fn in_place(in_force: &[Document], bundle: &Bundle) -> Result<Vec<Document>, String> {
    let live = Program::from_documents(in_force)?;
    let (program, file) = (&live.settings, &bundle.program);
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
    if let Some(currency) = in_force.iter().find(gone) {
        return Err(format!("currency `{}` cannot be removed: wallets may hold it", currency.id));
    }
    // The value of a point is published by itself and stands in no program file.
    documents.extend(in_force.iter().filter(|known| known.kind == POINT_VALUE).cloned());
    Ok(documents)
}
