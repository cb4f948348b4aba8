//! The unfinished tiles of a growing tree, and what they become when they fill (C2SP tlog-tiles).
//!
//! It works in memory alone. A tile that was handed out as full never changes.

use crate::ids::{LeafHash, TreeSize};
use crate::tile_path::{TILE_LEVELS, TILE_WIDTH, TileKind, TilePath};
use crate::tree::{Frontier, node_hash};

/// The right edge of the tree in tiles: at most 255 hashes per level, and the entries of the unfinished bundle.
#[derive(Clone, Debug, Default)]
pub struct TileEdge {
    size: u64,
    // Concatenated hashes, by level.
    levels: Vec<Vec<u8>>,
    bundle: Vec<u8>,
}

/// A tile or a bundle with its name.
#[derive(Clone, Debug)]
pub struct Tile {
    pub path: TilePath,
    pub bytes: Vec<u8>,
}

impl TileEdge {
    /// The edge of a tree of `size` entries, a multiple of the tile width, by the hashes in its unfinished tiles.
    pub fn from_levels(size: TreeSize, levels: Vec<Vec<u8>>) -> Self {
        debug_assert_eq!(size.0 % TILE_WIDTH, 0, "else the bundle is missing");
        Self { size: size.0, levels, bundle: Vec::new() }
    }

    pub fn size(&self) -> TreeSize {
        TreeSize(self.size)
    }

    /// The tree's frontier: the whole subtrees that the unfinished tiles hold.
    pub fn frontier(&self) -> Frontier {
        let mut peaks = Vec::new();
        for hashes in self.levels.iter().rev() {
            peaks.extend(peaks_of(hashes));
        }
        Frontier::from_peaks(TreeSize(self.size), peaks)
    }

    /// Adds an entry; tiles that it fills go to `full`.
    pub fn push(&mut self, entry: &[u8], leaf: LeafHash, full: &mut impl FnMut(Tile)) {
        let length = u16::try_from(entry.len()).unwrap_or(u16::MAX);
        self.bundle.extend_from_slice(&length.to_be_bytes());
        self.bundle.extend_from_slice(entry);
        self.size += 1;
        if self.size.is_multiple_of(TILE_WIDTH) {
            let path = TilePath::full(TileKind::Entries, self.size / TILE_WIDTH - 1);
            // Its length tells how much room the next one needs.
            let next = Vec::with_capacity(self.bundle.len());
            full(Tile { path, bytes: std::mem::replace(&mut self.bundle, next) });
        }
        self.push_hash(leaf.0, full);
    }

    fn push_hash(&mut self, leaf: [u8; 32], full: &mut impl FnMut(Tile)) {
        let mut hash = leaf;
        let mut index = self.size - 1;
        for level in 0..TILE_LEVELS {
            if self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::with_capacity(TILE_BYTES));
            }
            let Some(hashes) = self.levels.get_mut(usize::from(level)) else { return };
            hashes.extend_from_slice(&hash);
            if hashes.len() < TILE_BYTES {
                return;
            }
            hash = root_of_full(hashes);
            let bytes = std::mem::replace(hashes, Vec::with_capacity(TILE_BYTES));
            index /= TILE_WIDTH;
            full(Tile { path: TilePath::full(TileKind::Hashes { level }, index), bytes });
        }
    }

    /// The unfinished tiles as they are now, for a checkpoint of this size.
    pub fn partials(&self) -> Vec<Tile> {
        let mut tiles = Vec::new();
        let mut below = self.size;
        for (level, hashes) in (0..).zip(&self.levels) {
            let (index, width) = (below / TILE_WIDTH, below % TILE_WIDTH);
            if width > 0 {
                let path = TilePath::of_width(TileKind::Hashes { level }, index, width);
                tiles.push(Tile { path, bytes: hashes.clone() });
            }
            below = index;
        }
        let (index, width) = (self.size / TILE_WIDTH, self.size % TILE_WIDTH);
        if width > 0 {
            let path = TilePath::of_width(TileKind::Entries, index, width);
            tiles.push(Tile { path, bytes: self.bundle.clone() });
        }
        tiles
    }

    /// The unfinished tile of each level and the unfinished bundle, by the names that they have when full, with what they
    /// hold so far.
    pub fn unfinished(&self) -> impl Iterator<Item = (TilePath, &[u8])> {
        let path = |kind: TileKind| TilePath::full(kind, edge_tile(self.size(), kind.level()).0);
        let hashes = (0..TILE_LEVELS).map(move |level| (path(TileKind::Hashes { level }), self.hashes(level)));
        hashes.chain([(path(TileKind::Entries), self.bundle.as_slice())])
    }

    fn hashes(&self, level: u8) -> &[u8] {
        self.levels.get(usize::from(level)).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The bytes of the first `width` hashes or entries of a tile; `None` if it has fewer.
pub fn first(kind: TileKind, bytes: &[u8], width: u64) -> Option<&[u8]> {
    let width = usize::try_from(width).ok()?;
    let end = match kind {
        TileKind::Hashes { .. } => width.checked_mul(32)?,
        TileKind::Entries => width.checked_sub(1).map_or(Some(0), |last| entry_ends(bytes).nth(last))?,
    };
    bytes.get(..end)
}

/// Where each entry of a bundle ends.
pub fn entry_ends(bundle: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let length = bundle.get(at..)?.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length)))?;
        at += 2 + length;
        (at <= bundle.len()).then_some(at)
    })
}

/// The root of whole subtree `hashes`, a power of two of them.
pub fn subtree_root(hashes: &[u8]) -> Option<[u8; 32]> {
    let mut layer: Vec<[u8; 32]> = hashes.as_chunks().0.to_vec();
    while layer.len() > 1 {
        layer = layer.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    layer.first().copied()
}

/// The unfinished or full tile of `level` that a tree of `size` has at its right edge: index and width.
pub fn edge_tile(size: TreeSize, level: u8) -> (u64, u64) {
    let below = size.0.checked_shr(u32::from(level) * 8).unwrap_or(0);
    (below / TILE_WIDTH, below % TILE_WIDTH)
}

/// Roots of the whole subtrees that `hashes` split into, largest first.
fn peaks_of(hashes: &[u8]) -> Vec<[u8; 32]> {
    let mut peaks = Vec::new();
    let mut rest = hashes;
    while rest.len() >= 32 {
        let count = rest.len() / 32;
        let whole = 1 << count.ilog2();
        let (head, tail) = rest.split_at(whole * 32);
        peaks.extend(subtree_root(head));
        rest = tail;
    }
    peaks
}

fn root_of_full(hashes: &[u8]) -> [u8; 32] {
    subtree_root(hashes).unwrap_or_default()
}

/// Bytes of a full hash tile.
pub const TILE_BYTES: usize = 256 * 32;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::tree::leaf_hash;

    #[test]
    fn tiles_of_the_specifications_example() {
        let mut edge = TileEdge::default();
        let mut full = BTreeMap::new();
        let mut frontier = Frontier::new();
        for n in 0..70_000_u32 {
            let entry = n.to_be_bytes();
            let leaf = leaf_hash(&entry);
            frontier.append(leaf);
            edge.push(&entry, leaf, &mut |tile| drop(full.insert(tile.path, tile.bytes)));
            if n % 1000 == 0 {
                assert_eq!(edge.frontier(), frontier);
            }
        }
        assert_eq!(edge.frontier(), frontier);
        let count = |kind| full.keys().filter(|path| path.kind == kind).count();
        assert_eq!(count(TileKind::Hashes { level: 0 }), 273);
        assert_eq!(count(TileKind::Hashes { level: 1 }), 1);
        assert_eq!(count(TileKind::Entries), 273);
        assert!(full.iter().all(|(path, bytes)| path.kind == TileKind::Entries || bytes.len() == TILE_BYTES));
        let names: Vec<_> = edge.partials().iter().map(|tile| tile.path.to_string()).collect();
        assert_eq!(names, ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1", "tile/entries/273.p/112"]);
    }
}
