//! Tiles as files below the ledger's folder, as readers meet them.
//!
//! No link below the ledger's folder is followed ([`Place`]).

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::beneath::Place;
use crate::codec::{ENTRY_BYTES_MAX, LENGTH_BYTES};
use crate::ids::TreeSize;
use crate::tile_path::{TILE_LEVELS, TILE_WIDTH, TileKind, TilePath};
use crate::tiles::{TileEdge, edge_tile};

#[derive(Clone, Debug)]
pub struct TileStore {
    dir: PathBuf,
}

impl TileStore {
    /// The tiles of the ledger in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub fn read(&self, path: TilePath) -> io::Result<Vec<u8>> {
        Place::find(&self.dir, &path.to_string())?.read(TILE_BYTES_MAX)
    }

    /// The length of a tile in bytes.
    pub fn bytes(&self, path: TilePath) -> io::Result<u64> {
        Place::find(&self.dir, &path.to_string())?.bytes()
    }

    /// When a tile was last written.
    pub fn written(&self, path: TilePath) -> io::Result<SystemTime> {
        Place::find(&self.dir, &path.to_string())?.written()
    }

    /// The first `count` hashes of a tile, in a ledger that published a checkpoint of `size`.
    pub fn hashes(&self, level: u8, index: u64, count: u64, size: TreeSize) -> io::Result<Vec<u8>> {
        let kind = TileKind::Hashes { level };
        let (edge, width) = edge_tile(size, level);
        let full = self.read(TilePath::full(kind, index));
        let mut bytes = match full {
            Err(error) if error.kind() == io::ErrorKind::NotFound && index == edge && width > 0 => {
                self.read(TilePath::of_width(kind, index, width))?
            }
            result => result?,
        };
        let wanted = usize::try_from(count * 32).unwrap_or(usize::MAX);
        if bytes.len() < wanted {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the tile is too short"));
        }
        bytes.truncate(wanted);
        Ok(bytes)
    }

    /// The edge that the tree had at `at` entries, a multiple of the tile width, by the tiles for `size`.
    pub fn edge(&self, at: TreeSize, size: TreeSize) -> io::Result<TileEdge> {
        let mut levels = Vec::new();
        for level in 0..TILE_LEVELS {
            let (index, width) = edge_tile(at, level);
            levels.push(if width > 0 { self.hashes(level, index, width, size)? } else { Vec::new() });
        }
        Ok(TileEdge::from_levels(at, levels))
    }
}

/// Whether the file of this name is one that has no name of a tile yet.
pub fn is_fresh(name: &str) -> bool {
    [FRESH_FULL, FRESH_PARTIAL].contains(&name)
}

/// Files that appear under other names, in the same folder, only when they are whole.
pub const FRESH_FULL: &str = "full.tmp";
/// The same, of tiles that are not full.
pub const FRESH_PARTIAL: &str = "partial.tmp";

pub const TILE_FOLDER: &str = "tile";

/// A bundle of as many entries as a tile has, each as long as an entry may be.
const TILE_BYTES_MAX: usize = 256 * (LENGTH_BYTES + ENTRY_BYTES_MAX);
const _: () = assert!(TILE_WIDTH == 256);
