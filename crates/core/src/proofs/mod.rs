//! The transparency log: a Merkle tree over all transactions, kept in tiles, with signed heads and proofs.
//!
//! Whoever holds a head can later be shown that a transaction is under it (inclusion) and that a newer head only added
//! to it (consistency), without trusting whoever runs the program.

mod document;
mod head;
mod merkle;
mod tiles;
mod verify;

pub use document::{LogKey, NotProved, TransactionProof, endorsed_keys, open_head, trusted_keys};
pub use head::{Head, InvalidNote, PublicKey, Rotation, SigningKey};
pub use merkle::{
    Hash, InvalidProof, consistency_ranges, empty_root, inclusion_ranges, node_hash, verify_consistency,
    verify_inclusion,
};
pub use tiles::{TILE_LEAVES, TileId, Tiles, edge_tiles, tiles_of};
pub use verify::LogVerifier;
