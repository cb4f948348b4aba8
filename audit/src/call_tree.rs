//! The tree of one call: its leaves are the leaf hashes of the call's entries in order.
//!
//! It is built once, at the end of the call: `rs_merkle` is linear per commit, so it must never hold the ledger.

use rs_merkle::{Hasher, MerkleTree};
use sha2::{Digest as _, Sha256};

use crate::ids::{LeafHash, RootHash};
use crate::tree::node_hash;

/// The root over `leaves`, equal to RFC 9162 §2.1.1 over the same leaves; of no leaves, `SHA-256("")`.
#[must_use]
pub fn call_root(leaves: &[LeafHash]) -> RootHash {
    let leaves: Vec<_> = leaves.iter().map(|leaf| leaf.0).collect();
    let root = MerkleTree::<TreeHasher>::from_leaves(&leaves).root();
    RootHash(root.unwrap_or_else(|| Sha256::digest([]).into()))
}

/// RFC 9162 hashing for `rs_merkle`, whose own SHA-256 lets an inner node pass for a leaf.
#[derive(Clone)]
struct TreeHasher;

impl Hasher for TreeHasher {
    type Hash = [u8; 32];

    fn hash(entry: &[u8]) -> [u8; 32] {
        crate::tree::leaf_hash(entry).0
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        // A node without a sibling goes up as it is (RFC 9162), it is not paired with itself (Bitcoin).
        right.map_or(*left, |right| node_hash(left, right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Frontier, leaf_hash};

    #[test]
    fn same_root_as_the_ledgers_tree() {
        let mut frontier = Frontier::new();
        let mut leaves = Vec::new();
        assert_eq!(call_root(&leaves), frontier.root());
        for size in 1..=300_u32 {
            let leaf = leaf_hash(&size.to_be_bytes());
            leaves.push(leaf);
            frontier.append(leaf);
            assert_eq!(call_root(&leaves), frontier.root(), "size {size}");
        }
    }
}
