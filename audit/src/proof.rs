//! Inclusion and consistency proofs (RFC 9162 §2.1.3, §2.1.4): checking them, with nothing else at hand.
//!
//! Sizes and roots must come from signed checkpoints, never from the proof; its length is then known, and a proof of
//! any other length is refused.

use crate::ids::{LeafHash, LeafIndex, RootHash, TreeSize};
use crate::tree::node_hash;

/// The hashes beside the path from a leaf to the root, from below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InclusionProof(pub Vec<[u8; 32]>);

/// The hashes that show that one tree is the start of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsistencyProof(pub Vec<[u8; 32]>);

/// A proof does not prove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// No such entry in a tree of this size.
    #[error("a tree of {size} entries has no entry {index}")]
    OutOfRange {
        /// The entry.
        index: LeafIndex,
        /// The tree.
        size: TreeSize,
    },
    /// The later tree is smaller.
    #[error("a tree of {new} entries cannot go on from {old}")]
    Smaller {
        /// Size of the earlier tree.
        old: TreeSize,
        /// Size of the later tree.
        new: TreeSize,
    },
    /// More or fewer hashes than there must be.
    #[error("the proof has {found} hashes, not {wanted}")]
    Length {
        /// Hashes that such a proof has.
        wanted: usize,
        /// Hashes that this one has.
        found: usize,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
}

impl InclusionProof {
    /// Number of hashes that the proof of `index` in a tree of `size` has.
    #[must_use]
    pub fn length(index: LeafIndex, size: TreeSize) -> Option<usize> {
        let last = size.0.checked_sub(1).filter(|last| index.0 <= *last)?;
        // Below, the path has a sibling on each level; above, only where it is a right child.
        let below = 64 - (index.0 ^ last).leading_zeros();
        let above = index.0.checked_shr(below).unwrap_or(0).count_ones();
        usize::try_from(below + above).ok()
    }

    /// Checks that `leaf` is entry `index` of the tree with this `size` and `root`.
    ///
    /// # Errors
    ///
    /// [`ProofError`].
    pub fn verify(&self, leaf: LeafHash, index: LeafIndex, size: TreeSize, root: RootHash) -> Result<(), ProofError> {
        let wanted = Self::length(index, size).ok_or(ProofError::OutOfRange { index, size })?;
        if self.0.len() != wanted {
            return Err(ProofError::Length { wanted, found: self.0.len() });
        }
        let (mut place, mut last) = (index.0, size.0 - 1);
        let mut hash = leaf.0;
        for sibling in &self.0 {
            if place & 1 == 1 || place == last {
                hash = node_hash(sibling, &hash);
                // A lone node goes up as it is until it has a sibling.
                while place & 1 == 0 && place > 0 {
                    (place, last) = (place >> 1, last >> 1);
                }
            } else {
                hash = node_hash(&hash, sibling);
            }
            (place, last) = (place >> 1, last >> 1);
        }
        if hash == root.0 { Ok(()) } else { Err(ProofError::Root) }
    }
}

impl ConsistencyProof {
    /// Number of hashes that the proof from `old` to `new` has; `None` if `old` is the larger.
    #[must_use]
    pub fn length(old: TreeSize, new: TreeSize) -> Option<usize> {
        if old > new {
            return None;
        }
        if old.0 == 0 || old == new {
            return Some(0);
        }
        // The path to the largest whole subtree at the old tree's edge, and that subtree unless it is the old tree.
        let level = old.0.trailing_zeros();
        let index = LeafIndex((old.0 - 1) >> level);
        let width = TreeSize(((new.0 - 1) >> level) + 1);
        let path = InclusionProof::length(index, width)?;
        Some(path + usize::from(!old.0.is_power_of_two()))
    }

    /// Checks that the tree of `old` is the start of the tree of `new`.
    ///
    /// # Errors
    ///
    /// [`ProofError`].
    pub fn verify(&self, old: (TreeSize, RootHash), new: (TreeSize, RootHash)) -> Result<(), ProofError> {
        let ((old, old_root), (new, new_root)) = (old, new);
        let wanted = Self::length(old, new).ok_or(ProofError::Smaller { old, new })?;
        if self.0.len() != wanted {
            return Err(ProofError::Length { wanted, found: self.0.len() });
        }
        let same = |holds: bool| if holds { Ok(()) } else { Err(ProofError::Root) };
        if old == new {
            return same(old_root == new_root);
        }
        if old.0 == 0 {
            return same(old_root == crate::tree::Frontier::new().root());
        }
        let mut hashes = self.0.iter();
        let start = if old.0.is_power_of_two() { Some(&old_root.0) } else { hashes.next() };
        let Some(start) = start else {
            return Err(ProofError::Root);
        };
        let (mut of_old, mut of_new) = (*start, *start);
        let level = old.0.trailing_zeros();
        let (mut place, mut last) = ((old.0 - 1) >> level, (new.0 - 1) >> level);
        for sibling in hashes {
            if place & 1 == 1 || place == last {
                of_old = node_hash(sibling, &of_old);
                of_new = node_hash(sibling, &of_new);
                while place & 1 == 0 && place > 0 {
                    (place, last) = (place >> 1, last >> 1);
                }
            } else {
                of_new = node_hash(&of_new, sibling);
            }
            (place, last) = (place >> 1, last >> 1);
        }
        same(of_old == old_root.0 && of_new == new_root.0)
    }
}
