//! Checks the log against the journal: each transaction and each audit entry is in it once, with its content, or waits for
//! it; the tree follows from its leaves; the head follows from the tree and is signed.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::document::open_head;
use super::head::PublicKey;
use super::merkle::Hash;
use super::tiles::{TILE_LEAVES, TileId, Tiles};
use crate::audit::AuditEntry;
use crate::id::{MemberId, TransactionId};
use crate::ledger::Finding;

/// As much of a leaf hash as is kept of each transaction: what a forger would have to meet has 2^128 values.
type Short = [u8; 16];

/// Give it all transactions and audit entries, then the log in order of its leaves, then what waits for the log.
#[derive(Default)]
pub struct LogVerifier {
    /// Transactions and audit entries that were not met in the log yet.
    journal: FxHashMap<TransactionId, Short>,
    /// The numbers of the audit entries.
    audit: FxHashMap<TransactionId, i64>,
    /// The stored tree's leaves that no batch has claimed yet.
    leaves: VecDeque<Hash>,
    /// The index of the next leaf of a tile, and of a batch.
    next_leaf: u64,
    next_claimed: u64,
    waiting: u64,
    rebuilt: Tiles,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

fn short(hash: &Hash) -> Short {
    let mut short = Short::default();
    short.copy_from_slice(&hash[..16]);
    short
}

impl LogVerifier {
    fn wrong(&mut self, row: String, problem: &str) {
        self.findings.push(Finding { row, problem: problem.to_owned() });
    }

    /// A transaction of the journal, and the leaf hash of its content.
    pub fn transaction(&mut self, id: TransactionId, leaf: &Hash) {
        self.journal.insert(id, short(leaf));
    }

    /// An entry of the audit log.
    pub fn audit_entry(&mut self, entry: &AuditEntry) {
        self.journal.insert(entry.id, short(&entry.hash));
        self.audit.insert(entry.id, entry.number);
    }

    /// What to call the owner of a leaf. An audit entry belongs to no member.
    fn row(&self, id: TransactionId, member: MemberId) -> String {
        match self.audit.get(&id) {
            Some(number) => format!("audit entry {number}"),
            None if member == MemberId(0) => format!("audit entry {id}"),
            None => format!("transaction {id}"),
        }
    }

    /// The first tile of leaves to be read next.
    pub fn next_tile(&self) -> u64 {
        self.next_leaf.div_ceil(TILE_LEAVES)
    }

    /// A stored tile of leaves, in order.
    pub fn leaves(&mut self, index: u64, bytes: &[u8]) {
        let hashes = bytes.as_chunks::<32>().0;
        if index.checked_mul(TILE_LEAVES) != Some(self.next_leaf) {
            self.wrong(format!("log tile 0/{index}"), "does not follow the tile before it");
        }
        if let Err(problem) = self.rebuilt.append(self.next_leaf, hashes) {
            self.wrong(format!("log tile 0/{index}"), &problem);
        }
        self.rebuilt.forget_whole_leaves();
        self.leaves.extend(hashes);
        self.next_leaf += hashes.len() as u64;
    }

    /// A batch of the log: the transactions at its leaves, and their members; member 0: it is an audit entry.
    pub fn batch(&mut self, first_leaf: u64, transactions: &[TransactionId], members: &[MemberId]) {
        if first_leaf != self.next_claimed {
            let problem = format!("a batch begins here, expected at leaf {}", self.next_claimed);
            self.wrong(format!("log leaf {first_leaf}"), &problem);
        }
        for ((id, member), leaf) in transactions.iter().zip(members).zip(first_leaf..) {
            let Some(hash) = self.leaves.pop_front() else {
                self.wrong(format!("log leaf {leaf}"), &format!("belongs to {id} but is in no tile"));
                continue;
            };
            match self.journal.remove(id) {
                Some(known) if known == short(&hash) => {}
                Some(_) => {
                    let problem = format!("the log holds another content of it, at leaf {leaf}: it was changed");
                    self.wrong(self.row(*id, *member), &problem);
                }
                None => {
                    let problem = format!("is at leaf {leaf} of the log but not in the journal: it was deleted");
                    self.wrong(self.row(*id, *member), &problem);
                }
            }
        }
        self.next_claimed = first_leaf + transactions.len() as u64;
    }

    /// A transaction that waits for the log, and its member; member 0: it is an audit entry.
    pub fn waiting(&mut self, id: TransactionId, member: MemberId, leaf: &Hash) {
        self.waiting += 1;
        match self.journal.remove(&id) {
            Some(known) if known == short(leaf) => {}
            Some(_) => self.wrong(self.row(id, member), "what waits for the log is another content of it"),
            None => self.wrong(self.row(id, member), "waits for the log but is not in the journal, or twice"),
        }
    }

    /// A stored tile above the leaves.
    pub fn tile(&mut self, id: TileId, bytes: &[u8]) {
        if self.rebuilt.bytes(id) != bytes {
            let row = format!("log tile {}/{}", id.level, id.index);
            self.wrong(row, "does not follow from the leaves below it");
        }
    }

    /// The stored head, and the keys of the log, oldest first.
    pub fn head(&mut self, size: u64, checkpoint: &str, keys: &[PublicKey]) {
        if size != self.next_leaf || size != self.next_claimed {
            let problem = format!(
                "has {size} leaves, but its tiles hold {} and its batches {}",
                self.next_leaf, self.next_claimed
            );
            self.wrong("log head".to_owned(), &problem);
        }
        if size == 0 {
            return;
        }
        let problem = match open_head(keys, checkpoint) {
            Err(problem) => Some(problem.to_string()),
            Ok(head) if head.size != size => Some(format!("is signed for {} leaves, not {size}", head.size)),
            Ok(head) => match self.rebuilt.root(size) {
                Ok(root) if root == head.root => None,
                Ok(_) => Some("its signed root does not follow from the leaves: the log was rewritten".to_owned()),
                Err(problem) => Some(problem),
            },
        };
        if let Some(problem) = problem {
            self.wrong("log head".to_owned(), &problem);
        }
    }

    /// How many leaves the log has, and how many wait for it.
    pub fn counts(&self) -> (u64, u64) {
        (self.next_claimed, self.waiting)
    }

    /// What is wrong, with the transactions and audit entries that nothing has told the log about.
    pub fn finish(mut self) -> Vec<Finding> {
        let mut unknown: Vec<TransactionId> = std::mem::take(&mut self.journal).into_keys().collect();
        unknown.sort();
        for id in unknown {
            self.wrong(self.row(id, MemberId(-1)), "is neither in the log nor waiting for it: it was added by hand");
        }
        self.findings
    }
}
