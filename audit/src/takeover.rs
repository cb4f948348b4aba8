//! What the ledger says of entries that nobody vouched for when they were found: those that a crash left behind the last
//! signed checkpoint, and a ledger that goes on from a copy.
//!
//! Plain data. These entries say what was not proven; they must never be taken for proof of it.

use crate::ids::{LeafIndex, RootHash, TreeSize};
use crate::text::Text;

/// The writer before died; these entries of its were in the journal, and no checkpoint covered them. Their structure is
/// sound. That they are the dead writer's is not proven: whoever could write to the folder could add to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// Wall clock, nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// The first of them.
    pub first: LeafIndex,
    /// How many they are, at least one: all from the first up to this entry.
    pub count: u64,
}

/// An operator let the ledger go on although it is not what it remembered to be: it was restored from a copy, what it
/// remembered is gone, or somebody added to it while it was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption<'a> {
    /// Wall clock, nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Why.
    pub reason: Text<'a>,
    /// Who.
    pub by: Text<'a>,
    /// The first entry that the checkpoint in the folder did not cover. One that signs more entries than there were speaks for
    /// none of them.
    pub first: LeafIndex,
    /// How many such entries there were: all from the first up to this entry.
    pub count: u64,
    /// Size and root that the ledger remembered of itself, or that a checkpoint newer than its journal signed; `None` if
    /// it remembered nothing.
    pub known: Option<(TreeSize, RootHash)>,
}
