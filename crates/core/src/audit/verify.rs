//! Checks the chain of the audit log: no entry is missing, added, changed or moved.

use super::{AuditColumns, AuditEntry};
use crate::id::TransactionId;
use crate::ledger::Finding;
use crate::proofs::Hash;

/// Give it all entries in the order of their numbers. An end that was cut off is found by the transparency log.
#[derive(Default)]
pub struct ChainVerifier {
    last: Option<(i64, TransactionId, Hash)>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl ChainVerifier {
    /// One entry, and the columns that stand beside it.
    pub fn entry(&mut self, entry: &AuditEntry, columns: &AuditColumns) {
        let (number, id, previous) = self.last.unwrap_or((0, TransactionId(0), Hash::default()));
        // Whatever number is stored there: this only compares.
        if entry.number > number.saturating_add(1) {
            let others = entry.number.saturating_sub(number).saturating_sub(2);
            let problem = match others {
                0 => "is missing: it was deleted".to_owned(),
                others => format!("is missing, with {others} after it: they were deleted"),
            };
            self.wrong(number.saturating_add(1), problem);
        } else if entry.number <= number {
            self.wrong(entry.number, format!("comes after entry {number}: entries count up from 1"));
        } else if entry.previous != previous {
            self.wrong(entry.number, "does not follow from the entry before it: one of them was changed".to_owned());
        }
        if entry.id <= id {
            self.wrong(entry.number, format!("its id {} is not above that of the entry before it", entry.id));
        }
        if !entry.is_whole() {
            self.wrong(entry.number, "its content does not match its hash: it was changed".to_owned());
        }
        match entry.event() {
            Ok(event) if event.columns() == *columns => {}
            Ok(_) => self.wrong(entry.number, "its columns do not repeat its body: they were changed".to_owned()),
            Err(problem) => self.wrong(entry.number, problem),
        }
        self.last = Some((entry.number, entry.id, entry.hash));
    }

    fn wrong(&mut self, number: i64, problem: String) {
        self.findings.push(Finding { row: format!("audit entry {number}"), problem });
    }
}

#[cfg(test)]
mod tests {
    use super::super::AuditEvent;
    use super::*;
    use crate::time::Timestamp;
    use serde_json::Value;

    fn event(number: i64) -> AuditEvent {
        AuditEvent {
            at: Timestamp::from_millis(number),
            actor: "cli".to_owned(),
            address: String::new(),
            action: "test.act".to_owned(),
            subject: format!("thing {number}"),
            reason: String::new(),
            before: Value::Null,
            after: Value::Null,
        }
    }

    fn chain() -> Vec<AuditEntry> {
        let mut entries: Vec<AuditEntry> = Vec::new();
        for number in 1..=5 {
            let previous = entries.last().map_or(Hash::default(), |last| last.hash);
            let body = serde_json::to_string(&event(number)).unwrap();
            entries.push(AuditEntry::new(number, TransactionId(number * 10), body, previous));
        }
        entries
    }

    fn named(entries: &[AuditEntry]) -> Vec<String> {
        let mut verifier = ChainVerifier::default();
        entries.iter().for_each(|entry| verifier.entry(entry, &entry.event().unwrap().columns()));
        verifier.findings.into_iter().map(|finding| finding.row).collect()
    }

    #[test]
    fn a_chain_is_whole_until_someone_touches_it() {
        assert!(named(&chain()).is_empty());
        let mut deleted = chain();
        deleted.remove(1);
        assert_eq!(named(&deleted), ["audit entry 2"]);
        let mut changed = chain();
        changed[2].body = changed[2].body.replace("thing 3", "thing 4");
        assert_eq!(named(&changed), ["audit entry 3"]);
        let mut rehashed = chain();
        let AuditEntry { number, id, body, previous, .. } = rehashed[2].clone();
        rehashed[2] = AuditEntry::new(number, id, body.replace("thing 3", "thing 4"), previous);
        assert_eq!(named(&rehashed), ["audit entry 4"], "the next one still names the old hash");
        let mut swapped = chain();
        swapped.swap(1, 2);
        assert!(!named(&swapped).is_empty());
        let mut renumbered = chain();
        renumbered.remove(1);
        renumbered.iter_mut().zip(1..).for_each(|(entry, number)| entry.number = number);
        assert!(named(&renumbered).contains(&"audit entry 2".to_owned()));
        let mut doubled = chain();
        doubled.insert(2, doubled[1].clone());
        assert!(named(&doubled).contains(&"audit entry 2".to_owned()));
    }

    #[test]
    fn columns_that_say_something_else_are_named() {
        let entries = chain();
        let mut verifier = ChainVerifier::default();
        for entry in &entries {
            let mut columns = entry.event().unwrap().columns();
            if entry.number == 4 {
                columns.actor = "opr_someone".to_owned();
            }
            verifier.entry(entry, &columns);
        }
        let [finding] = verifier.findings.as_slice() else { panic!("{:?}", verifier.findings) };
        assert_eq!(finding.row, "audit entry 4");
        assert!(finding.problem.contains("columns"));
    }
}
