//! The transparency log: what is committed is taken from the outbox, appended to the tree and signed.
//!
//! Each commit leaves one row in the outbox, with the leaves of its batch. The sequencer takes batches in the order of
//! their ids, so nothing is passed over however late a commit arrives, and one member's transactions stay in order.

use guerdon_core::id::{MemberId, TransactionId};
use guerdon_core::kernel::Changes;
use guerdon_core::ledger::leaf_hash;
use guerdon_core::proofs::{Hash, LogKey, PublicKey, SigningKey, TileId, edge_tiles, endorsed_keys, open_head};

use crate::engine::system_now;
use crate::{Store, StoreError};

/// The lease of the node that sequences.
const LEASE: &str = "job sequence";
/// What is taken at once, in batches, and in leaves, of which one batch may be too many: some ten milliseconds of work.
const BATCHES: usize = 1_024;
pub(crate) const LEAVES: usize = 32_768;
/// Where the database keeps the public keys of its log.
pub(crate) const KEYS: &str = "log_keys";
/// Bytes of a leaf in the outbox, and of a leaf's transaction and member in the log.
pub(crate) const LEAF_BYTES: usize = 48;
const NAME_BYTES: usize = 16;

/// A transaction on its way into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The transaction.
    pub transaction_id: TransactionId,
    /// Whose.
    pub member_id: MemberId,
    /// The hash of its content.
    pub hash: Hash,
}

/// A committed batch that is not in the log yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxBatch {
    /// The id of its first transaction.
    pub id: i64,
    /// Its transactions in order.
    pub leaves: Vec<Leaf>,
}

/// A batch in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBatch {
    /// The id of its first transaction.
    pub id: i64,
    /// The index of its first leaf.
    pub first_leaf: u64,
    /// Its transactions in order, which is the order of their ids.
    pub transactions: Vec<TransactionId>,
    /// Their members.
    pub members: Vec<MemberId>,
}

/// How far the log reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogHead {
    /// Leaves.
    pub size: u64,
    /// The signed head; empty while there are no leaves.
    pub checkpoint: String,
}

/// What the log grows by.
#[derive(Debug)]
pub struct LogGrowth {
    /// Its size before.
    pub from: u64,
    /// Its head afterwards.
    pub head: LogHead,
    /// The tiles that changed.
    pub tiles: Vec<(TileId, Vec<u8>)>,
    /// The batches that were added.
    pub batches: Vec<LogBatch>,
}

/// What a round of the sequencer did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sequenced {
    /// Leaves added.
    pub leaves: usize,
    /// Whether there may be more to do at once.
    pub more: bool,
}

impl OutboxBatch {
    /// From the stored form.
    pub fn decode(id: i64, bytes: &[u8]) -> Result<Self, String> {
        let (leaves, rest) = bytes.as_chunks::<LEAF_BYTES>();
        if !rest.is_empty() {
            return Err(format!("outbox batch {} has {} bytes", TransactionId(id), bytes.len()));
        }
        let leaf = |bytes: &[u8; LEAF_BYTES]| {
            let (names, hash) = bytes.split_first_chunk::<NAME_BYTES>()?;
            let (transaction_id, member_id) = decode_names(names);
            Some(Leaf { transaction_id, member_id, hash: hash.try_into().ok()? })
        };
        Ok(Self { id, leaves: leaves.iter().filter_map(leaf).collect() })
    }
}

fn decode_names(bytes: &[u8; NAME_BYTES]) -> (TransactionId, MemberId) {
    let both = u128::from_be_bytes(*bytes);
    (TransactionId((both >> 64) as i64), MemberId(both as i64))
}

fn encode_names(transaction: TransactionId, member: MemberId) -> [u8; NAME_BYTES] {
    (u128::from(transaction.0 as u64) << 64 | u128::from(member.0 as u64)).to_be_bytes()
}

/// The leaves in their stored form.
pub(crate) fn encode_leaves(leaves: &[Leaf]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(leaves.len() * LEAF_BYTES);
    for leaf in leaves {
        bytes.extend_from_slice(&encode_names(leaf.transaction_id, leaf.member_id));
        bytes.extend_from_slice(&leaf.hash);
    }
    bytes
}

impl LogBatch {
    /// From the stored form.
    pub fn decode(id: i64, first_leaf: i64, bytes: &[u8]) -> Result<Self, String> {
        let (names, rest) = bytes.as_chunks::<NAME_BYTES>();
        let first_leaf = u64::try_from(first_leaf).ok().filter(|_| rest.is_empty());
        let first_leaf = first_leaf.ok_or_else(|| format!("log batch {} is damaged", TransactionId(id)))?;
        let (transactions, members) = names.iter().map(decode_names).unzip();
        Ok(Self { id, first_leaf, transactions, members })
    }

    /// The stored form of its transactions.
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.transactions.iter().zip(&self.members).flat_map(|(one, member)| encode_names(*one, *member)).collect()
    }
}

/// The leaves of a batch, in the order of its decisions. Their first id is the batch's.
pub(crate) fn leaves(changes: &Changes) -> Vec<Leaf> {
    let leaf = |transaction: &guerdon_core::ledger::Transaction| Leaf {
        transaction_id: transaction.id,
        member_id: transaction.member_id,
        hash: leaf_hash(transaction),
    };
    changes.decisions.iter().map(|decision| leaf(&decision.transaction)).collect()
}

/// The public keys of the log, oldest first, each endorsed by the one before it.
pub fn log_keys(store: &mut dyn Store) -> Result<Vec<PublicKey>, StoreError> {
    let unusable = |error| StoreError::Unusable(format!("the keys of the log: {error}"));
    endorsed_keys(&listed_keys(store)?).map_err(unusable)
}

fn listed_keys(store: &mut dyn Store) -> Result<Vec<LogKey>, StoreError> {
    decode_keys(store.meta(KEYS)?)
}

pub(crate) fn decode_keys(text: Option<String>) -> Result<Vec<LogKey>, StoreError> {
    let unusable = |error| StoreError::Unusable(format!("the list of log keys: {error}"));
    text.map_or(Ok(Vec::new()), |text| serde_json::from_str(&text).map_err(unusable))
}

fn list_key(store: &mut dyn Store, mut keys: Vec<LogKey>, key: LogKey) -> Result<(), StoreError> {
    keys.push(key);
    let text = serde_json::to_string(&keys).map_err(|error| StoreError::Rejected(error.to_string()))?;
    store.set_meta(KEYS, &text)
}

/// Makes a key the first of a log that has none.
pub fn start_log(store: &mut dyn Store, key: &SigningKey) -> Result<(), StoreError> {
    let keys = listed_keys(store)?;
    if !keys.is_empty() {
        return Err(StoreError::Unusable("the log has a key already".to_owned()));
    }
    list_key(store, keys, LogKey { public_key: key.public().to_string(), from_size: 0, endorsement: None })
}

/// Lets a new key take the place of the one in force, which endorses it.
pub fn rotate_log_key(store: &mut dyn Store, old: &SigningKey, new: &SigningKey) -> Result<(), StoreError> {
    let keys = listed_keys(store)?;
    if keys.last().map(|key| key.public_key.clone()) != Some(old.public().to_string()) {
        return Err(StoreError::Unusable("the key file does not hold the key that the log uses".to_owned()));
    }
    let (size, public) = (store.log_head()?.size, new.public());
    let endorsement = Some(old.endorse(&public, size));
    list_key(store, keys, LogKey { public_key: public.to_string(), from_size: size, endorsement })
}

/// Takes some batches from the outbox into the log and signs its new head, dated by the machine's clock. Of all nodes one does this at a time.
pub fn sequence(store: &mut dyn Store, key: &SigningKey) -> Result<Sequenced, StoreError> {
    if !store.lease(LEASE)? {
        return Ok(Sequenced::default());
    }
    let waiting = store.outbox(BATCHES)?;
    if waiting.is_empty() {
        return Ok(Sequenced::default());
    }
    let keys = log_keys(store)?;
    if keys.last() != Some(&key.public()) {
        return Err(StoreError::Unusable("the key file does not hold the key that the log uses".to_owned()));
    }
    let before = store.log_head()?;
    let mut tiles = store.log_tiles(&edge_tiles(before.size))?;
    let damaged = |problem: String| StoreError::Unusable(format!("the log is not continued: {problem}"));
    // Nothing is signed over a log that someone has changed.
    if before.size > 0 {
        let head = open_head(&keys, &before.checkpoint).map_err(|error| damaged(error.to_string()))?;
        if head.size != before.size || tiles.root(before.size).map_err(damaged)? != head.root {
            return Err(damaged("its tree is not the one that was signed".to_owned()));
        }
    }
    let hashes: Vec<Hash> = waiting.iter().flat_map(|batch| &batch.leaves).map(|leaf| leaf.hash).collect();
    let changed = tiles.append(before.size, &hashes).map_err(damaged)?;
    let size = before.size + hashes.len() as u64;
    let root = tiles.root(size).map_err(damaged)?;
    let growth = LogGrowth {
        from: before.size,
        head: LogHead { size, checkpoint: key.sign_head(size, &root, system_now()) },
        tiles: changed.into_iter().map(|id| (id, tiles.bytes(id))).collect(),
        batches: placed(before.size, &waiting),
    };
    store.append_log(&growth)?;
    Ok(Sequenced { leaves: hashes.len(), more: waiting.len() == BATCHES || hashes.len() >= LEAVES })
}

/// The batches with their places in the log.
fn placed(size: u64, waiting: &[OutboxBatch]) -> Vec<LogBatch> {
    let mut first_leaf = size;
    let place = |batch: &OutboxBatch| {
        let placed = LogBatch {
            id: batch.id,
            first_leaf,
            transactions: batch.leaves.iter().map(|leaf| leaf.transaction_id).collect(),
            members: batch.leaves.iter().map(|leaf| leaf.member_id).collect(),
        };
        first_leaf += batch.leaves.len() as u64;
        placed
    };
    waiting.iter().map(place).collect()
}

/// The tiles of level 0 that a page of batches needs, beside those that were read before.
pub(crate) fn tiles_until(page: &[LogBatch]) -> u64 {
    let end = page.last().map_or(0, |batch| batch.first_leaf + batch.transactions.len() as u64);
    end.div_ceil(guerdon_core::proofs::TILE_LEAVES)
}
