//! Tiles as files below the ledger's folder.
//!
//! A file appears whole or not at all, and is never changed to something else while its entries stand: the journal
//! decides what a tile holds.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::ids::TreeSize;
use crate::journal::FILE_MODE;
use crate::tile_path::{TILE_LEVELS, TileKind, TilePath};
use crate::tiles::{Tile, TileEdge, edge_tile};

#[derive(Clone, Debug)]
pub(crate) struct TileStore {
    dir: PathBuf,
}

impl TileStore {
    /// The tiles of the ledger in `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Writes `tile`. Only one thread may write full tiles, only one partial ones.
    pub(crate) fn write(&self, tile: &Tile) -> io::Result<()> {
        let fresh = if tile.path.partial.is_some() { FRESH_PARTIAL } else { FRESH_FULL };
        let (fresh, path) = (self.dir.join(fresh), self.file(tile.path));
        write_new(&fresh, &tile.bytes)?;
        match fs::rename(&fresh, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_parent(&path)?;
                fs::rename(&fresh, &path)
            }
            result => result,
        }
    }

    /// Writes `tile` unless it is there with these bytes.
    pub(crate) fn mend(&self, tile: &Tile) -> io::Result<()> {
        match self.read(tile.path) {
            Ok(bytes) if bytes == tile.bytes => Ok(()),
            _ => self.write(tile),
        }
    }

    pub(crate) fn read(&self, path: TilePath) -> io::Result<Vec<u8>> {
        fs::read(self.file(path))
    }

    /// The first `count` hashes of a tile, in a ledger that published a checkpoint of `size`.
    pub(crate) fn hashes(&self, level: u8, index: u64, count: u64, size: TreeSize) -> io::Result<Vec<u8>> {
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
    pub(crate) fn edge(&self, at: TreeSize, size: TreeSize) -> io::Result<TileEdge> {
        let mut levels = Vec::new();
        for level in 0..TILE_LEVELS {
            let (index, width) = edge_tile(at, level);
            levels.push(if width > 0 { self.hashes(level, index, width, size)? } else { Vec::new() });
        }
        Ok(TileEdge::from_levels(at, levels))
    }

    /// Removes tiles with entries that a ledger of `size` does not have: the journal lost them with the power.
    pub(crate) fn remove_beyond(&self, size: TreeSize) -> io::Result<()> {
        let kinds = (0..TILE_LEVELS).map(|level| TileKind::Hashes { level }).chain([TileKind::Entries]);
        for kind in kinds {
            let (edge, width) = match kind {
                TileKind::Hashes { level } => edge_tile(size, level),
                TileKind::Entries => edge_tile(size, 0),
            };
            self.remove_partials_above(kind, edge, width)?;
            for index in edge.. {
                let full = remove_file(&self.file(TilePath::full(kind, index)))?;
                let partials = index > edge && self.remove_partials(TilePath::full(kind, index))?;
                if !full && !partials && index > edge {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Removes the partial forms of a tile; whether there were any.
    pub(crate) fn remove_partials(&self, path: TilePath) -> io::Result<bool> {
        match fs::remove_dir_all(self.dir.join(path.partials_folder())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            result => result.map(|()| true),
        }
    }

    /// Brings all that was written to disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        rustix::fs::syncfs(File::open(&self.dir)?).map_err(io::Error::from)
    }

    /// Makes the folder, and removes what a crash left unfinished.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        make_folder(&self.dir.join(TILE_FOLDER))?;
        for fresh in [FRESH_FULL, FRESH_PARTIAL] {
            remove_file(&self.dir.join(fresh))?;
        }
        Ok(())
    }

    fn remove_partials_above(&self, kind: TileKind, index: u64, width: u64) -> io::Result<()> {
        let folder = self.dir.join(TilePath::full(kind, index).partials_folder());
        let files = match fs::read_dir(folder) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            files => files?,
        };
        for file in files {
            let file = file?;
            let found = file.file_name().to_str().and_then(|name| name.parse().ok());
            if found.is_some_and(|found: u64| found > width) {
                remove_file(&file.path())?;
            }
        }
        Ok(())
    }

    fn file(&self, path: TilePath) -> PathBuf {
        self.dir.join(path.to_string())
    }
}

/// Files that appear under other names only when they are whole.
pub(crate) const FRESH_FULL: &str = "tile/full.tmp";
pub(crate) const FRESH_PARTIAL: &str = "tile/partial.tmp";

pub(crate) const TILE_FOLDER: &str = "tile";

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)?;
    file.write_all(bytes)
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), make_folder)
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn remove_file(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        result => result.map(|()| true),
    }
}
