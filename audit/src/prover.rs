//! Makes proofs from the tiles of a ledger's folder, reading O(log n) of them.
//!
//! What it makes must be checked against a checkpoint: tiles are not trusted here.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::ids::{LeafIndex, TreeSize};
use crate::proof::{ConsistencyProof, InclusionProof};
use crate::tile_path::{TILE_WIDTH, TileKind, TilePath};
use crate::tile_store::TileStore;
use crate::tiles::{edge_tile, entry_ends, subtree_root};
use crate::tree::node_hash;

/// Proofs for the tree that a ledger had at one size.
#[derive(Debug)]
pub struct Prover {
    store: TileStore,
    size: TreeSize,
    // Tiles read for one proof: a handful.
    read: HashMap<(u8, u64), Vec<u8>>,
}

/// A proof cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// No such entry, or no such tree, within the prover's tree.
    #[error("{wanted} is beyond a tree of {size} entries")]
    OutOfRange {
        /// The index of the entry, or the size of the tree.
        wanted: u64,
        /// The size of the prover's tree.
        size: TreeSize,
    },
    /// A tile cannot be read.
    #[error("the tiles of the ledger cannot be read")]
    Tiles {
        /// The cause.
        source: io::Error,
    },
}

impl Prover {
    /// The tree of the ledger in `dir` at `size`, at which it must have published a checkpoint.
    #[must_use]
    pub fn new(dir: &Path, size: TreeSize) -> Self {
        Self { store: TileStore::new(dir), size, read: HashMap::new() }
    }

    /// The bytes of entry `index`.
    ///
    /// # Errors
    ///
    /// [`ProveError`].
    pub fn entry(&self, index: LeafIndex) -> Result<Vec<u8>, ProveError> {
        self.check(index.0 < self.size.0, index.0)?;
        let (tile, place) = (index.0 / TILE_WIDTH, index.0 % TILE_WIDTH);
        let (edge, width) = edge_tile(self.size, 0);
        let full = self.store.read(TilePath::full(TileKind::Entries, tile));
        let bundle = match full {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tile == edge => {
                self.store.read(TilePath::of_width(TileKind::Entries, tile, width))
            }
            result => result,
        };
        let bundle = bundle.map_err(tiles)?;
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let start = if place == 0 { Some(0) } else { entry_ends(&bundle).nth(place - 1) };
        let end = entry_ends(&bundle).nth(place);
        let entry = start.zip(end).and_then(|(start, end)| bundle.get(start + 2..end));
        entry.map(<[u8]>::to_vec).ok_or_else(|| tiles(short()))
    }

    /// The proof that entry `index` is in the tree.
    ///
    /// # Errors
    ///
    /// [`ProveError`].
    pub fn inclusion(&mut self, index: LeafIndex) -> Result<InclusionProof, ProveError> {
        self.check(index.0 < self.size.0, index.0)?;
        let (mut low, mut high) = (0, self.size.0);
        let mut hashes = Vec::new();
        while high - low > 1 {
            let middle = low + largest_power_below(high - low);
            if index.0 < middle {
                hashes.push(self.range(middle, high)?);
                high = middle;
            } else {
                hashes.push(self.range(low, middle)?);
                low = middle;
            }
        }
        hashes.reverse();
        Ok(InclusionProof(hashes))
    }

    /// The proof that the tree of the first `old` entries is the start of this one.
    ///
    /// # Errors
    ///
    /// [`ProveError`].
    pub fn consistency(&mut self, old: TreeSize) -> Result<ConsistencyProof, ProveError> {
        self.check(old <= self.size, old.0)?;
        let (mut low, mut high) = (0, self.size.0);
        let mut hashes = Vec::new();
        while old.0 > 0 && old.0 < high {
            let middle = low + largest_power_below(high - low);
            if old.0 <= middle {
                hashes.push(self.range(middle, high)?);
                high = middle;
            } else {
                hashes.push(self.range(low, middle)?);
                low = middle;
            }
        }
        // The old tree's own edge, unless it is the whole old tree, whose root the verifier has.
        if low > 0 {
            hashes.push(self.range(low, high)?);
        }
        hashes.reverse();
        Ok(ConsistencyProof(hashes))
    }

    /// The root over the entries from `low` to before `high`, where whole subtrees start at `low`.
    fn range(&mut self, low: u64, high: u64) -> Result<[u8; 32], ProveError> {
        let mut subtrees = Vec::new();
        let mut at = low;
        while at < high {
            let height = (high - at).ilog2();
            subtrees.push(self.subtree(height, at >> height)?);
            at += 1 << height;
        }
        let root = subtrees.into_iter().rev().reduce(|right, left| node_hash(&left, &right));
        root.ok_or_else(|| tiles(short()))
    }

    /// The root of the `index`-th whole subtree of 2^`height` entries.
    fn subtree(&mut self, height: u32, index: u64) -> Result<[u8; 32], ProveError> {
        let (level, within) = (height / 8, height % 8);
        let level = u8::try_from(level).unwrap_or(u8::MAX);
        let first = index << within;
        let (tile, place) = (first / TILE_WIDTH, first % TILE_WIDTH);
        let (start, bytes) = (usize::try_from(place * 32).unwrap_or(usize::MAX), 32 << within);
        let hashes = self.tile(level, tile)?;
        let part = hashes.get(start..start + bytes).and_then(subtree_root);
        part.ok_or_else(|| tiles(short()))
    }

    fn tile(&mut self, level: u8, index: u64) -> Result<&[u8], ProveError> {
        if !self.read.contains_key(&(level, index)) {
            let (edge, width) = edge_tile(self.size, level);
            let width = if index < edge { TILE_WIDTH } else { width };
            let hashes = self.store.hashes(level, index, width, self.size).map_err(tiles)?;
            self.read.insert((level, index), hashes);
        }
        Ok(self.read.get(&(level, index)).map(Vec::as_slice).unwrap_or_default())
    }

    fn check(&self, within: bool, wanted: u64) -> Result<(), ProveError> {
        if within { Ok(()) } else { Err(ProveError::OutOfRange { wanted, size: self.size }) }
    }
}

fn tiles(source: io::Error) -> ProveError {
    ProveError::Tiles { source }
}

fn short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "a tile is too short")
}

/// The largest power of two that is smaller than `count`, of at least 2.
fn largest_power_below(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}
