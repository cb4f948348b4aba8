//! The tree of one call: its leaves are the leaf hashes of the call's entries in order.
//!
//! It is built once, at the end of the call: `rs_merkle` is linear per commit, so it must never hold the ledger. Its
//! `verify` takes hashes too many, indices twice and any total, so it must never see a proof that was not measured
//! before.

use rs_merkle::{Hasher, MerkleProof, MerkleTree};
use sha2::{Digest as _, Sha256};

use crate::ids::{LeafHash, RootHash, Sequence};
use crate::tree::node_hash;

/// The root over `leaves`, equal to RFC 9162 §2.1.1 over the same leaves; of no leaves, `SHA-256("")`.
#[must_use]
pub fn call_root(leaves: &[LeafHash]) -> RootHash {
    let leaves: Vec<_> = leaves.iter().map(|leaf| leaf.0).collect();
    let root = MerkleTree::<TreeHasher>::from_leaves(&leaves).root();
    RootHash(root.unwrap_or_else(|| Sha256::digest([]).into()))
}

/// Chosen entries of a call do not prove to be its.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallProofError {
    /// No entries, one twice, or not in their order.
    #[error("the sequences must rise")]
    Order,
    /// The call has no such entry.
    #[error("the call has {entries} entries, none is {found}")]
    OutOfRange {
        /// Entries of the call.
        entries: u32,
        /// The sequence named.
        found: Sequence,
    },
    /// More or fewer hashes than there must be.
    #[error("the proof has {found} hashes, not {wanted}")]
    Length {
        /// Hashes that such a proof has.
        wanted: usize,
        /// Hashes that this one has.
        found: usize,
    },
    /// The entries are not those of the call's root.
    #[error("the entries are not those of the call's root")]
    Root,
}

/// The hashes that, with the leaves of the `chosen` entries, lead to the call's root.
///
/// # Errors
///
/// [`CallProofError::Order`], [`CallProofError::OutOfRange`].
pub fn prove_in_call(leaves: &[LeafHash], chosen: &[Sequence]) -> Result<Vec<[u8; 32]>, CallProofError> {
    let entries = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
    proof_length(entries, chosen)?;
    let leaves: Vec<_> = leaves.iter().map(|leaf| leaf.0).collect();
    let proof = MerkleTree::<TreeHasher>::from_leaves(&leaves).proof(&places(chosen));
    Ok(proof.proof_hashes().to_vec())
}

/// Checks that `chosen` are entries of the call whose `call-end` names this `root` and number of `entries`.
///
/// # Errors
///
/// [`CallProofError`].
pub fn verify_in_call(
    root: RootHash,
    entries: u32,
    chosen: &[(Sequence, LeafHash)],
    hashes: &[[u8; 32]],
) -> Result<(), CallProofError> {
    let (sequences, leaves): (Vec<_>, Vec<_>) = chosen.iter().map(|(sequence, leaf)| (*sequence, leaf.0)).unzip();
    let wanted = proof_length(entries, &sequences)?;
    if hashes.len() != wanted {
        return Err(CallProofError::Length { wanted, found: hashes.len() });
    }
    let proof = MerkleProof::<TreeHasher>::new(hashes.to_vec());
    let total = usize::try_from(entries).unwrap_or(usize::MAX);
    if proof.verify(root.0, &places(&sequences), &leaves, total) { Ok(()) } else { Err(CallProofError::Root) }
}

/// Number of hashes of a multi-proof for `chosen` of `entries` leaves: on each level one for every node that is known
/// and whose sibling is not.
fn proof_length(entries: u32, chosen: &[Sequence]) -> Result<usize, CallProofError> {
    if chosen.is_empty() || !chosen.is_sorted_by(|earlier, later| earlier < later) {
        return Err(CallProofError::Order);
    }
    if let Some(found) = chosen.iter().copied().find(|sequence| sequence.0 >= entries) {
        return Err(CallProofError::OutOfRange { entries, found });
    }
    let mut known: Vec<_> = chosen.iter().map(|sequence| sequence.0).collect();
    let (mut width, mut hashes) = (entries, 0);
    while width > 1 {
        let lacks = |place: &&u32| (**place ^ 1) < width && known.binary_search(&(**place ^ 1)).is_err();
        hashes += known.iter().filter(lacks).count();
        known.iter_mut().for_each(|place| *place /= 2);
        known.dedup();
        width = width.div_ceil(2);
    }
    Ok(hashes)
}

fn places(sequences: &[Sequence]) -> Vec<usize> {
    sequences.iter().map(|sequence| usize::try_from(sequence.0).unwrap_or(usize::MAX)).collect()
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

    fn leaves(count: u32) -> Vec<LeafHash> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    #[test]
    fn every_choice_of_small_calls_proves() {
        for count in 1..=9_u32 {
            let leaves = leaves(count);
            let root = call_root(&leaves);
            for choice in 1..1_u32 << count {
                let chosen: Vec<_> = (0..count).filter(|n| choice >> n & 1 == 1).map(Sequence).collect();
                let hashes = prove_in_call(&leaves, &chosen).unwrap();
                let known: Vec<_> = chosen.iter().map(|n| (*n, leaves[n.0 as usize])).collect();
                assert_eq!(verify_in_call(root, count, &known, &hashes), Ok(()), "{choice:b} of {count}");
                // Traps of rs_merkle's own verification.
                let more = [hashes.clone(), vec![[0; 32]]].concat();
                assert!(matches!(verify_in_call(root, count, &known, &more), Err(CallProofError::Length { .. })));
                let twice = [known.clone(), vec![known[known.len() - 1]]].concat();
                assert_eq!(verify_in_call(root, count, &twice, &hashes), Err(CallProofError::Order));
                let mut other = known;
                other[0].1 = leaf_hash(b"other");
                assert_eq!(verify_in_call(root, count, &other, &hashes), Err(CallProofError::Root));
            }
        }
    }

    #[test]
    fn an_inner_node_is_no_entry() {
        let leaves = leaves(4);
        let root = call_root(&leaves);
        let [left, right] = [0, 2].map(|n| LeafHash(node_hash(&leaves[n].0, &leaves[n + 1].0)));
        let nodes = [(Sequence(0), left), (Sequence(1), right)];
        assert!(verify_in_call(root, 4, &nodes, &[]).is_err());
        // With the total that the prover would like it passes: so the total must be the call-end's.
        assert_eq!(verify_in_call(root, 2, &nodes, &[]), Ok(()));
        assert_eq!(
            verify_in_call(root, 4, &[(Sequence(4), leaves[0])], &[]),
            Err(CallProofError::OutOfRange { entries: 4, found: Sequence(4) })
        );
        assert_eq!(verify_in_call(root, 4, &[], &[]), Err(CallProofError::Order));
    }

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
