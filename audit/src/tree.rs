//! Hashing of the ledger's Merkle tree (RFC 6962 §2.1, RFC 9162 §2.1) and its incremental root.
//!
//! Leaves and inner nodes must never hash alike: 0x00 stands before the one, 0x01 before the other.

use sha2::{Digest as _, Sha256};

use crate::ids::{LeafHash, RootHash, TreeSize};

/// The hash of an entry as a leaf: `SHA-256(0x00 ‖ entry)`.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> LeafHash {
    LeafHash(Sha256::new().chain_update([0x00]).chain_update(entry).finalize().into())
}

/// The hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`.
#[must_use]
pub fn node_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize().into()
}

/// The right edge of a growing tree: all that its next root depends on.
///
/// One hash per whole subtree of 2ⁿ leaves, largest first, thus at most 64 whatever the size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: TreeSize,
    peaks: Vec<[u8; 32]>,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `peaks` are as many as `size` has one bits.
    pub fn from_peaks(size: TreeSize, peaks: Vec<[u8; 32]>) -> Self {
        debug_assert_eq!(u32::try_from(peaks.len()), Ok(size.0.count_ones()));
        Self { size, peaks }
    }

    /// Adds a leaf; O(log n) at worst, one node on average.
    pub fn append(&mut self, leaf: LeafHash) {
        let mut hash = leaf.0;
        // Each trailing one bit of the size is a whole subtree that this leaf completes a larger one with.
        for _ in 0..self.size.0.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size.0 += 1;
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// The root; of no leaves, `SHA-256("")`.
    #[must_use]
    pub fn root(&self) -> RootHash {
        let folded = self.peaks.iter().copied().rev().reduce(|right, left| node_hash(&left, &right));
        RootHash(folded.unwrap_or_else(|| Sha256::digest([]).into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Inputs and roots published with certificate-transparency (`merkletree/merkle_tree_test.cc`).
    const INPUTS: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn published_vectors() {
        let mut frontier = Frontier::new();
        assert_eq!(frontier.root().to_string(), ROOTS[0]);
        for (input, root) in INPUTS.iter().zip(&ROOTS[1..]) {
            frontier.append(leaf_hash(&hex::decode(input).unwrap()));
            assert_eq!(frontier.root().to_string(), *root);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn frontier_is_the_recursive_tree_hash(entries in prop::collection::vec(any::<[u8; 3]>(), 0..150)) {
            let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
            let mut frontier = Frontier::new();
            leaves.iter().for_each(|leaf| frontier.append(*leaf));
            prop_assert_eq!(frontier.root(), RootHash(naive_root(&leaves)));
            prop_assert_eq!(frontier.size().0, leaves.len() as u64);
        }
    }

    /// MTH as RFC 6962 §2.1 words it.
    fn naive_root(leaves: &[LeafHash]) -> [u8; 32] {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => leaf.0,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node_hash(&naive_root(left), &naive_root(right))
            }
        }
    }
}
