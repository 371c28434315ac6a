//! What is handed out to be checked elsewhere: the list of keys, and the proof of one transaction.

use serde::{Deserialize, Serialize};

use super::head::{Head, InvalidNote, PublicKey};
use super::merkle::{Hash, InvalidProof, verify_inclusion};
use crate::ledger::{Transaction, leaf_hash};

/// A key of the log as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogKey {
    /// The public key.
    pub public_key: String,
    /// From which size of the log on it signs.
    pub from_size: u64,
    /// The word of the key before it, as a signed note; none for the first.
    pub endorsement: Option<String>,
}

/// The proof that a transaction is in the log: all that is needed to check it, but the key that one trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionProof {
    /// The transaction in full.
    pub transaction: Transaction,
    /// Its leaf in the log, counted from 0.
    pub leaf_index: u64,
    /// The hashes from the leaf up to the root.
    #[serde(with = "crate::hex::list")]
    pub path: Vec<Hash>,
    /// The signed head under which it is.
    pub checkpoint: String,
    /// The keys of the log, oldest first.
    pub keys: Vec<LogKey>,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotProved {
    /// The head or the keys are not what they should be.
    #[error(transparent)]
    Note(#[from] InvalidNote),
    /// The path does not lead from the transaction to the head.
    #[error(transparent)]
    Path(#[from] InvalidProof),
}

/// The keys of a list, each endorsed by the one before it.
pub fn endorsed_keys(list: &[LogKey]) -> Result<Vec<PublicKey>, InvalidNote> {
    let mut keys: Vec<PublicKey> = Vec::with_capacity(list.len());
    for listed in list {
        let key = PublicKey::parse(&listed.public_key)?;
        if let Some(before) = keys.last() {
            let rotation = before.open_rotation(listed.endorsement.as_deref().unwrap_or_default())?;
            if rotation.key != key || rotation.size != listed.from_size {
                return Err(InvalidNote::new("a key of the log was endorsed by none before it"));
            }
        }
        keys.push(key);
    }
    Ok(keys)
}

/// The keys that someone who trusts `pinned` may trust: itself, and those that were endorsed after it.
pub fn trusted_keys(pinned: &PublicKey, list: &[LogKey]) -> Result<Vec<PublicKey>, InvalidNote> {
    let keys = endorsed_keys(list)?;
    let from = keys.iter().position(|key| key == pinned);
    let from = from.ok_or_else(|| InvalidNote::new("the log does not know the key that is trusted here"))?;
    Ok(keys.into_iter().skip(from).collect())
}

/// The head in a note that one of some keys has signed; the newest is tried first.
pub fn open_head(keys: &[PublicKey], note: &str) -> Result<Head, InvalidNote> {
    let opened = keys.iter().rev().map(|key| key.open_head(note)).reduce(|found, next| found.or(next));
    opened.unwrap_or_else(|| Err(InvalidNote::new("the log has no key")))
}

impl TransactionProof {
    /// Checks that the transaction, as written here, is in the log of a trusted key. Returns the head.
    pub fn verify(&self, pinned: &PublicKey) -> Result<Head, NotProved> {
        let head = open_head(&trusted_keys(pinned, &self.keys)?, &self.checkpoint)?;
        verify_inclusion(&leaf_hash(&self.transaction), self.leaf_index, head.size, &self.path, &head.root)?;
        Ok(head)
    }
}
