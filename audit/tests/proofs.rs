//! Proofs from tiles: right at every size, refused when anything about them is changed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests"
)]

use std::path::Path;

use proptest::prelude::*;
use tollgate_audit::{
    ConsistencyProof, Frontier, InclusionProof, LeafHash, LeafIndex, ProofError, ProveError, Prover, RootHash,
    TreeSize, leaf_hash,
};
use tollgate_ledger::Ledger;
use tollgate_testing::calls::open;
use tollgate_testing::entries;
use tollgate_testing::ledgers::tempdir;

/// A ledger with a checkpoint at each size of `sizes`, and the root at every size.
fn grow(dir: &Path, sizes: &[u64]) -> (Vec<LeafHash>, Vec<RootHash>) {
    let ledger = open(dir);
    let entry = entries::policy();
    let mut leaves: Vec<_> = vec![leaf_of(&ledger, dir)];
    for size in sizes {
        let more = usize::try_from(size - ledger.size().0).unwrap();
        ledger.append(&vec![entry.clone(); more]).unwrap();
        leaves.resize(usize::try_from(*size).unwrap(), entry.leaf());
        assert_eq!(ledger.checkpoint().unwrap().size, TreeSize(*size));
    }
    let mut frontier = Frontier::new();
    let mut roots = vec![frontier.root()];
    for leaf in &leaves {
        frontier.append(*leaf);
        roots.push(frontier.root());
    }
    (leaves, roots)
}

/// The leaf of the first entry, `ledger-opened`.
fn leaf_of(ledger: &Ledger, dir: &Path) -> LeafHash {
    assert_eq!(ledger.size(), TreeSize(1));
    let journal = std::fs::read(dir.join("journal")).unwrap();
    leaf_hash(&journal[2..journal.len() - 4])
}

#[test]
fn inclusion_of_every_entry_at_small_sizes() {
    let dir = tempdir().unwrap();
    let sizes: Vec<_> = (1..=40).collect();
    let (leaves, roots) = grow(dir.path(), &sizes);
    for size in 1..=40_u64 {
        let mut prover = Prover::new(dir.path(), TreeSize(size));
        for index in 0..size {
            let (index, place) = (LeafIndex(index), usize::try_from(index).unwrap());
            let proof = prover.inclusion(index).unwrap();
            assert_eq!(proof.verify(leaves[place], index, TreeSize(size), roots[size as usize]), Ok(()));
            assert_eq!(leaf_hash(&prover.entry(index).unwrap()), leaves[place]);
        }
        assert!(matches!(prover.inclusion(LeafIndex(size)), Err(ProveError::OutOfRange { .. })));
    }
}

#[test]
fn consistency_of_every_pair_of_small_sizes() {
    let dir = tempdir().unwrap();
    let sizes: Vec<_> = (1..=40).collect();
    let (_, roots) = grow(dir.path(), &sizes);
    for new in 1..=40_u64 {
        let mut prover = Prover::new(dir.path(), TreeSize(new));
        for old in 0..=new {
            let proof = prover.consistency(TreeSize(old)).unwrap();
            let [old_head, new_head] = [old, new].map(|size| (TreeSize(size), roots[size as usize]));
            assert_eq!(proof.verify(old_head, new_head), Ok(()), "{old} to {new}");
            if old > 0 && old < new {
                assert!(proof.verify((old_head.0, roots[0]), new_head).is_err());
                assert!(proof.verify(old_head, (new_head.0, roots[0])).is_err());
            }
        }
    }
}

#[test]
fn across_the_edges_of_tiles() {
    let dir = tempdir().unwrap();
    let sizes = [1, 2, 255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537, 70_000];
    let (leaves, roots) = grow(dir.path(), &sizes);
    for size in sizes {
        let mut prover = Prover::new(dir.path(), TreeSize(size));
        let root = roots[size as usize];
        for index in [0, 1, 254, 255, 256, 257, 511, 512, 65_534, 65_535, 65_536, size / 2, size - 1] {
            if index < size {
                let proof = prover.inclusion(LeafIndex(index)).unwrap();
                let checked = proof.verify(leaves[index as usize], LeafIndex(index), TreeSize(size), root);
                assert_eq!(checked, Ok(()), "{index} of {size}");
            }
        }
        for old in sizes.into_iter().filter(|old| *old <= size) {
            let proof = prover.consistency(TreeSize(old)).unwrap();
            assert_eq!(proof.verify((TreeSize(old), roots[old as usize]), (TreeSize(size), root)), Ok(()));
        }
    }
}

#[test]
fn wrong_proofs_are_refused() {
    let dir = tempdir().unwrap();
    let (leaves, roots) = grow(dir.path(), &[300]);
    let (size, root) = (TreeSize(300), roots[300]);
    let proof = Prover::new(dir.path(), size).inclusion(LeafIndex(1)).unwrap();
    let check = |proof: &InclusionProof, index| proof.verify(leaves[1], LeafIndex(index), size, root);
    assert_eq!(check(&proof, 1), Ok(()));
    assert!(check(&proof, 0).is_err());
    assert!(check(&proof, 299).is_err());
    assert_eq!(check(&proof, 300), Err(ProofError::OutOfRange { index: LeafIndex(300), size }));
    let wanted = proof.0.len();
    for hashes in [[proof.0.clone(), vec![[0; 32]]].concat(), proof.0[1..].to_vec(), Vec::new()] {
        let found = hashes.len();
        assert_eq!(check(&InclusionProof(hashes), 1), Err(ProofError::Length { wanted, found }));
    }
    for at in 0..proof.0.len() {
        let mut changed = proof.clone();
        changed.0[at][31] ^= 1;
        assert_eq!(check(&changed, 1), Err(ProofError::Root));
    }
    let backwards = ConsistencyProof::default().verify((size, root), (TreeSize(299), roots[299]));
    assert_eq!(backwards, Err(ProofError::Smaller { old: size, new: TreeSize(299) }));
    let empty = ConsistencyProof::default().verify((TreeSize(0), root), (size, root));
    assert_eq!(empty, Err(ProofError::Root), "the empty tree has one root");
}

proptest! {
    #[test]
    fn random_proofs_never_panic(
        hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        index in any::<u64>(),
        size in any::<u64>(),
        shift in 0..64_u32,
    ) {
        let (index, size) = (LeafIndex(index >> shift), TreeSize(size >> shift));
        let root = RootHash([0; 32]);
        prop_assert!(InclusionProof(hashes.clone()).verify(LeafHash([0; 32]), index, size, root).is_err());
        let old = TreeSize(index.0);
        prop_assume!(old != size);
        prop_assert!(ConsistencyProof(hashes).verify((old, root), (size, RootHash([1; 32]))).is_err());
    }
}
