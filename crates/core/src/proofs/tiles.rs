//! The tree in tiles of 256 hashes: level 0 holds the leaves, each level above the roots of whole tiles below.
//!
//! The shape is that of <https://c2sp.org/tlog-tiles>. A proof over any number of leaves reads a few tiles a level, and
//! an entry never changes once it is there: only the last tile of each level grows.

use std::collections::BTreeSet;
use std::ops::Range;

use rustc_hash::FxHashMap;

use super::merkle::{Hash, empty_root, node_hash};

/// Levels of the tree in a tile.
const TILE_HEIGHT: u32 = 8;
/// Hashes in a whole tile.
pub const TILE_LEAVES: u64 = 1 << TILE_HEIGHT;

/// The place of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    /// 0: leaves; 1: roots of 256 leaves; and so on.
    pub level: u32,
    /// Counted from the left.
    pub index: u64,
}

/// Some tiles of a tree, as loaded.
#[derive(Debug, Default, Clone)]
pub struct Tiles(FxHashMap<TileId, Vec<Hash>>);

/// A whole subtree of `1 << level` leaves, counted from the left.
#[derive(Clone, Copy)]
struct Node {
    level: u32,
    index: u64,
}

impl Node {
    fn tile(self) -> TileId {
        let within = self.level % TILE_HEIGHT;
        TileId { level: self.level / TILE_HEIGHT, index: self.index >> (TILE_HEIGHT - within) }
    }
}

/// The whole subtrees that make up a range of a proof, from the left; each starts where its size allows.
fn nodes_of(range: &Range<u64>) -> Vec<Node> {
    let (mut start, mut nodes) = (range.start, Vec::new());
    while start < range.end {
        let room = u64::BITS - 1 - (range.end - start).leading_zeros();
        let level = room.min(start.trailing_zeros());
        nodes.push(Node { level, index: start >> level });
        start += 1 << level;
    }
    nodes
}

/// The tiles that hold the roots of the ranges of a proof.
pub fn tiles_of(ranges: &[Range<u64>]) -> BTreeSet<TileId> {
    ranges.iter().flat_map(nodes_of).map(Node::tile).collect()
}

/// The tiles that grow when leaves are added to a tree of `size`; they also hold its root.
pub fn edge_tiles(size: u64) -> BTreeSet<TileId> {
    tiles_of(std::slice::from_ref(&(0..size)))
}

impl Tiles {
    /// Adds a stored tile: hashes one after the other.
    pub fn insert(&mut self, id: TileId, bytes: &[u8]) -> Result<(), String> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || hashes.len() as u64 > TILE_LEAVES {
            return Err(format!("tile {} of level {} has {} bytes", id.index, id.level, bytes.len()));
        }
        self.0.insert(id, hashes.to_vec());
        Ok(())
    }

    /// A tile in its stored form; empty when it is not there.
    pub fn bytes(&self, id: TileId) -> Vec<u8> {
        self.0.get(&id).map(|hashes| hashes.concat()).unwrap_or_default()
    }

    /// Forgets whole tiles of leaves, which no growth needs.
    pub(super) fn forget_whole_leaves(&mut self) {
        self.0.retain(|id, hashes| id.level > 0 || (hashes.len() as u64) < TILE_LEAVES);
    }

    /// Adds leaves to a tree of `size`, whose edge tiles are here. Returns the tiles that changed.
    pub fn append(&mut self, size: u64, leaves: &[Hash]) -> Result<BTreeSet<TileId>, String> {
        let mut changed = BTreeSet::new();
        for (leaf, index) in leaves.iter().zip(size..) {
            self.push(TileId { level: 0, index: index / TILE_LEAVES }, index % TILE_LEAVES, *leaf, &mut changed)?;
        }
        Ok(changed)
    }

    /// Adds a hash at the end of a tile, and the root of the tile to the level above when it is whole.
    fn push(&mut self, id: TileId, place: u64, hash: Hash, changed: &mut BTreeSet<TileId>) -> Result<(), String> {
        let tile = self.0.entry(id).or_default();
        if tile.len() as u64 != place {
            let TileId { level, index } = id;
            return Err(format!("tile {index} of level {level} has {} hashes instead of {place}", tile.len()));
        }
        tile.push(hash);
        changed.insert(id);
        if place + 1 < TILE_LEAVES {
            return Ok(());
        }
        let root = subtree(tile);
        let above = TileId { level: id.level + 1, index: id.index / TILE_LEAVES };
        self.push(above, id.index % TILE_LEAVES, root, changed)
    }

    fn node(&self, node: Node) -> Result<Hash, String> {
        let id = node.tile();
        let within = node.level % TILE_HEIGHT;
        let start = (node.index << within) % TILE_LEAVES;
        let hashes = self.0.get(&id).and_then(|hashes| hashes.get(start as usize..(start + (1 << within)) as usize));
        let missing = || format!("tile {} of level {} lacks entry {start}", id.index, id.level);
        hashes.map(subtree).ok_or_else(missing)
    }

    /// The root of a range of a proof.
    pub fn range(&self, range: &Range<u64>) -> Result<Hash, String> {
        let nodes = nodes_of(range);
        let Some((last, rest)) = nodes.split_last() else { return Ok(empty_root()) };
        rest.iter().rev().try_fold(self.node(*last)?, |right, node| Ok(node_hash(&self.node(*node)?, &right)))
    }

    /// The root of the tree of `size` leaves.
    pub fn root(&self, size: u64) -> Result<Hash, String> {
        self.range(&(0..size))
    }
}

/// The root over a power of two of hashes.
fn subtree(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => empty_root(),
        [hash] => *hash,
        [left, right] => node_hash(left, right),
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            node_hash(&subtree(left), &subtree(right))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::merkle::{consistency_ranges, inclusion_ranges, verify_consistency, verify_inclusion};
    use super::*;

    fn leaf(number: u64) -> Hash {
        let mut hash = [9; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        hash
    }

    /// Only the tiles that are asked for, as a store would load them.
    fn load(all: &Tiles, ids: BTreeSet<TileId>) -> Tiles {
        let mut loaded = Tiles::default();
        for id in ids {
            loaded.insert(id, &all.bytes(id)).unwrap();
        }
        loaded
    }

    #[test]
    fn a_tree_that_grows_from_its_edge_proves_each_leaf_and_each_older_head() {
        let (mut all, mut size, mut heads) = (Tiles::default(), 0_u64, Vec::new());
        for growth in [1, 2, 252, 1, 1, 700, 65_000, 3, 70_000] {
            let mut edge = load(&all, edge_tiles(size));
            let leaves: Vec<Hash> = (size..size + growth).map(leaf).collect();
            for id in edge.append(size, &leaves).unwrap() {
                all.insert(id, &edge.bytes(id)).unwrap();
            }
            size += growth;
            heads.push((size, load(&all, edge_tiles(size)).root(size).unwrap()));
        }
        let (size, root) = *heads.last().unwrap();
        for index in [0, 1, 255, 256, 957, 65_535, 65_536, 131_071, size - 1] {
            let ranges = inclusion_ranges(index, size).unwrap();
            let tiles = tiles_of(&ranges);
            assert!(tiles.len() <= 8, "{} tiles", tiles.len());
            let loaded = load(&all, tiles);
            let path: Vec<Hash> = ranges.iter().map(|range| loaded.range(range).unwrap()).collect();
            assert_eq!(verify_inclusion(&leaf(index), index, size, &path, &root), Ok(()));
        }
        for (old, old_root) in &heads {
            let ranges = consistency_ranges(*old, size).unwrap();
            let loaded = load(&all, tiles_of(&ranges));
            let proof: Vec<Hash> = ranges.iter().map(|range| loaded.range(range).unwrap()).collect();
            assert_eq!(verify_consistency((*old, old_root), (size, &root), &proof), Ok(()));
        }
    }

    #[test]
    fn a_damaged_edge_is_not_built_upon() {
        let mut tiles = Tiles::default();
        tiles.append(0, &[leaf(0), leaf(1)]).unwrap();
        assert!(tiles.append(3, &[leaf(3)]).is_err());
        assert!(Tiles::default().root(5).is_err());
        assert!(tiles.insert(TileId { level: 0, index: 0 }, &[0; 33]).is_err());
    }
}
