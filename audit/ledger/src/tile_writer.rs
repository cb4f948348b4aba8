//! Writes tiles below the ledger's folder.
//!
//! A file appears whole or not at all, whichever process dies, and is never changed to something else while its entries
//! stand: the journal decides what a tile holds. Tiles do not wait for the disk, so the loss of power can tear or lose
//! those written last; the next open mends them. No link below the ledger's folder is followed ([`Place`]).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tollgate_audit::beneath::{Place, is_absent};
use tollgate_audit::ids::TreeSize;
use tollgate_audit::tile_path::{TILE_LEVELS, TileKind, TilePath};
use tollgate_audit::tile_store::{FRESH_FULL, FRESH_PARTIAL, TILE_FOLDER, TileStore};
use tollgate_audit::tiles::{Tile, TileEdge, edge_tile, first};

use crate::beneath;

#[derive(Clone, Debug)]
pub(crate) struct TileWriter {
    dir: PathBuf,
    reader: TileStore,
}

impl TileWriter {
    /// The tiles of the ledger in `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), reader: TileStore::new(dir) }
    }

    /// Writes `tile`. Only one thread may write full tiles, only one partial ones.
    pub(crate) fn write(&self, tile: &Tile) -> io::Result<()> {
        self.write_bytes(tile.path, &tile.bytes)
    }

    fn write_bytes(&self, path: TilePath, bytes: &[u8]) -> io::Result<()> {
        let fresh = fresh(path);
        let place = match Place::find(&self.dir, &fresh) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => beneath::make(&self.dir, &fresh),
            found => found,
        }?;
        beneath::create_fresh(&place)?.write_all(bytes)?;
        beneath::rename(&place, &Place::find(&self.dir, &path.to_string())?)
    }

    /// Writes a tile that has become full, unless it is there with these bytes. Its partial forms go.
    pub(crate) fn mend_full(&self, tile: &Tile) -> io::Result<()> {
        self.mend(tile.path, &tile.bytes)?;
        self.remove_partials(tile.path).map(drop)
    }

    /// Judges the partial forms of the unfinished tiles by `edge`, which the journal makes: those that differ are written
    /// anew, those that are too wide go. Those that the checkpoint of size `published` needs are there afterwards. Files
    /// of other names are `verify`'s.
    pub(crate) fn mend_partials(&self, edge: &TileEdge, published: TreeSize) -> io::Result<()> {
        for (path, bytes) in edge.unfinished() {
            let mut widths = self.partial_widths(path)?;
            let (index, needed) = edge_tile(published, path.kind.level());
            if index == path.index && needed > 0 {
                widths.insert(needed);
            }
            for width in widths {
                let path = TilePath::of_width(path.kind, path.index, width);
                match first(path.kind, bytes, width) {
                    Some(bytes) => self.mend(path, bytes)?,
                    None => drop(self.remove(path)?),
                }
            }
        }
        Ok(())
    }

    fn mend(&self, path: TilePath, bytes: &[u8]) -> io::Result<()> {
        match self.reader.read(path) {
            Ok(found) if found == bytes => Ok(()),
            _ => self.write_bytes(path, bytes),
        }
    }

    /// Removes tiles with entries that a ledger of `size` does not have: the journal lost them with the power. The partial
    /// forms of its unfinished tiles stay, but for what a crash left half written. A full tile that was left so is written
    /// again by whoever mends it.
    pub(crate) fn remove_beyond(&self, size: TreeSize) -> io::Result<()> {
        let kinds = (0..TILE_LEVELS).map(|level| TileKind::Hashes { level }).chain([TileKind::Entries]);
        for kind in kinds {
            let (edge, _width) = edge_tile(size, kind.level());
            for unfinished in [TilePath::full(kind, edge), TilePath::of_width(kind, edge, 1)] {
                if_there(Place::find(&self.dir, &fresh(unfinished)))
                    .map_or(Ok(false), |place| beneath::remove(&place?))?;
            }
            for index in edge.. {
                let full = self.remove(TilePath::full(kind, index))?;
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
        let folder = path.partials_folder();
        if_there(Place::find(&self.dir, &folder)).map_or(Ok(false), |place| beneath::remove_folder(&place?))
    }

    /// Removes a tile; whether it was there.
    fn remove(&self, path: TilePath) -> io::Result<bool> {
        if_there(Place::find(&self.dir, &path.to_string())).map_or(Ok(false), |place| beneath::remove(&place?))
    }

    /// Brings all that was written to disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        rustix::fs::syncfs(File::open(&self.dir)?).map_err(io::Error::from)
    }

    /// Makes the folder.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        beneath::make_folder(&Place::find(&self.dir, TILE_FOLDER)?)
    }

    /// The widths of the partial forms of a tile.
    fn partial_widths(&self, path: TilePath) -> io::Result<BTreeSet<u64>> {
        let folder = path.partials_folder();
        let names = Place::find(&self.dir, &folder).and_then(|place| place.names());
        let files =
            if_there(names).transpose()?.unwrap_or_default().into_iter().filter(|(_name, is_folder)| !is_folder);
        let tiles = files.filter_map(|(name, _)| format!("{folder}/{name}").parse::<TilePath>().ok());
        Ok(tiles.map(TilePath::width).collect())
    }
}

/// Where the tile is written before it has its name: in its own folder, since a file is not moved to another one where a foreign
/// layer of Landlock lacks `REFER`.
fn fresh(path: TilePath) -> String {
    let (name, partial) = (path.to_string(), path.partial.is_some());
    let folder = name.rsplit_once('/').map_or("", |(folder, _name)| folder);
    format!("{folder}/{}", if partial { FRESH_PARTIAL } else { FRESH_FULL })
}

/// `None` where there is nothing.
fn if_there<T>(found: io::Result<T>) -> Option<io::Result<T>> {
    match found {
        Err(error) if is_absent(&error) => None,
        found => Some(found),
    }
}
