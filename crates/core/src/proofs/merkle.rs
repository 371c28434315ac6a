//! The Merkle tree of RFC 9162, section 2.1: which subtrees make a proof, and how proofs are verified.

use std::ops::Range;

use sha2::{Digest, Sha256};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// Why a proof does not prove anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidProof(&'static str);

/// The root of the tree without leaves: the digest of nothing.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The hash of an inner node: SHA-256 of a one byte and both children.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// The largest power of two below `size`, which is 2 or more.
fn split(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// The subtrees whose roots are the inclusion proof of a leaf, as ranges of leaves, from the leaf upwards: `PATH` of RFC
/// 9162, 2.1.3.1. `None`: the tree has no such leaf.
pub fn inclusion_ranges(leaf: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if leaf >= size {
        return None;
    }
    let (mut path, mut start, mut end) = (Vec::new(), 0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if leaf < middle {
            path.push(middle..end);
            end = middle;
        } else {
            path.push(start..middle);
            start = middle;
        }
    }
    path.reverse();
    Some(path)
}

/// The subtrees whose roots prove that the tree of `new` leaves begins with the tree of `old`: `PROOF` of RFC 9162,
/// 2.1.4.1. Empty when the trees are the same or the old one is empty. `None`: the old one is longer.
pub fn consistency_ranges(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    if old > new {
        return None;
    }
    if old == 0 || old == new {
        return Some(Vec::new());
    }
    let (mut proof, mut start, mut end, mut whole) = (Vec::new(), 0, new, true);
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            proof.push(middle..end);
            end = middle;
        } else {
            proof.push(start..middle);
            (start, whole) = (middle, false);
        }
    }
    if !whole {
        proof.push(start..end);
    }
    proof.reverse();
    Some(proof)
}

/// Verifies that a leaf hash is the leaf at an index of the tree: RFC 9162, 2.1.3.2.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> Result<(), InvalidProof> {
    if index >= size {
        return Err(InvalidProof("the tree has no leaf of this index"));
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for step in path {
        if last == 0 {
            return Err(InvalidProof("the inclusion proof is too long"));
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(step, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, step);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(InvalidProof("the inclusion proof is too short"));
    }
    if hash == *root { Ok(()) } else { Err(InvalidProof("the inclusion proof leads to another root")) }
}

/// Verifies that the tree of one head begins with the whole tree of an older one: RFC 9162, 2.1.4.2.
pub fn verify_consistency(
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
    proof: &[Hash],
) -> Result<(), InvalidProof> {
    if old > new {
        return Err(InvalidProof("the log has become shorter"));
    }
    if old == new || old == 0 {
        let same = if old == 0 { *old_root == empty_root() } else { old_root == new_root };
        return match (same, proof.is_empty()) {
            (true, true) => Ok(()),
            (false, _) => Err(InvalidProof("two different trees have the same size")),
            (_, false) => Err(InvalidProof("the consistency proof is too long")),
        };
    }
    // When the old tree is a whole subtree of the new one, its root is known and not sent.
    let (first, rest) = match (old.is_power_of_two(), proof.split_first()) {
        (true, _) => (old_root, proof),
        (false, Some(split)) => split,
        (false, None) => return Err(InvalidProof("the consistency proof is empty")),
    };
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut before, mut after) = (*first, *first);
    for step in rest {
        if last == 0 {
            return Err(InvalidProof("the consistency proof is too long"));
        }
        if node & 1 == 1 || node == last {
            before = node_hash(step, &before);
            after = node_hash(step, &after);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            after = node_hash(&after, step);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(InvalidProof("the consistency proof is too short"));
    }
    if before != *old_root {
        return Err(InvalidProof("the log does not begin with the older tree: its past was rewritten"));
    }
    if after == *new_root { Ok(()) } else { Err(InvalidProof("the consistency proof leads to another root")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The leaves of the tests of Certificate Transparency, and the roots of the trees of the first one to eight:
    /// <https://github.com/google/certificate-transparency/blob/master/python/ct/crypto/merkle_test.py>.
    const LEAVES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn leaf(bytes: &[u8]) -> Hash {
        Sha256::new().chain_update([0]).chain_update(bytes).finalize().into()
    }

    /// `MTH` of RFC 9162, 2.1.1, word for word.
    fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len() as u64) as usize);
                node_hash(&root(left), &root(right))
            }
        }
    }

    fn roots(leaves: &[Hash], ranges: &[Range<u64>]) -> Vec<Hash> {
        ranges.iter().map(|range| root(&leaves[range.start as usize..range.end as usize])).collect()
    }

    #[test]
    fn the_known_roots_come_out() {
        let leaves: Vec<Hash> = LEAVES.iter().map(|bytes| leaf(bytes)).collect();
        for (count, expected) in (1..=8).zip(ROOTS) {
            let hex: String = root(&leaves[..count]).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected);
        }
    }

    #[test]
    fn the_examples_of_the_rfc_come_out() {
        // RFC 9162, 2.1.5: the tree of seven leaves; a = leaf 0, k = nodes 0–3, l = 4–5, j = leaf 6.
        assert_eq!(inclusion_ranges(0, 7), Some(vec![1..2, 2..4, 4..7]));
        assert_eq!(inclusion_ranges(3, 7), Some(vec![2..3, 0..2, 4..7]));
        assert_eq!(inclusion_ranges(4, 7), Some(vec![5..6, 6..7, 0..4]));
        assert_eq!(inclusion_ranges(6, 7), Some(vec![4..6, 0..4]));
        assert_eq!(consistency_ranges(3, 7), Some(vec![2..3, 3..4, 0..2, 4..7]));
        assert_eq!(consistency_ranges(4, 7).unwrap().first(), Some(&(4..7)));
        assert_eq!(consistency_ranges(6, 7), Some(vec![4..6, 6..7, 0..4]));
        assert_eq!((inclusion_ranges(7, 7), consistency_ranges(8, 7)), (None, None));
    }

    #[test]
    fn every_proof_of_small_trees_holds_and_no_altered_one_does() {
        let leaves: Vec<Hash> = (0..40_u8).map(|number| leaf(&[number])).collect();
        for size in 1..=leaves.len() {
            let tree = root(&leaves[..size]);
            for index in 0..size {
                let mut path = roots(&leaves, &inclusion_ranges(index as u64, size as u64).unwrap());
                let check = |leaf: usize, index: usize, path: &[Hash]| {
                    verify_inclusion(&leaves[leaf], index as u64, size as u64, path, &tree)
                };
                assert_eq!(check(index, index, &path), Ok(()));
                assert!(check((index + 1) % 40, index, &path).is_err());
                assert!(size == 1 || check(index, (index + 1) % size, &path).is_err());
                path.push([7; 32]);
                assert!(check(index, index, &path).is_err());
                path.truncate(path.len().saturating_sub(2));
                assert!(size == 1 || check(index, index, &path).is_err());
            }
            for old in 0..=size {
                let before = root(&leaves[..old]);
                let mut proof = roots(&leaves, &consistency_ranges(old as u64, size as u64).unwrap());
                let check = |before: &Hash, proof: &[Hash]| {
                    verify_consistency((old as u64, before), (size as u64, &tree), proof)
                };
                assert_eq!(check(&before, &proof), Ok(()), "{old} of {size}");
                assert!(check(&[7; 32], &proof).is_err(), "{old} of {size}");
                proof.push([7; 32]);
                assert!(check(&before, &proof).is_err());
            }
        }
    }
}
