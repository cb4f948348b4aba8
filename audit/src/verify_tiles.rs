//! Compares the tiles of a ledger with what its journal makes them.
//!
//! Every file below `tile/` is accounted for: equal to the journal, or reported.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::beneath::Place;
use crate::ids::{LeafHash, LeafIndex, TreeSize};
use crate::structure::Problem;
use crate::tile_path::{TILE_WIDTH, TileKind, TilePath};
use crate::tile_store::{FRESH_FULL, FRESH_PARTIAL, TILE_FOLDER, TileStore};
use crate::tiles::{TileEdge, edge_tile, entry_ends, first};

/// A tile file that is not as it must be.
pub(crate) struct TileFinding {
    pub(crate) file: String,
    pub(crate) index: LeafIndex,
    pub(crate) offset: u64,
    pub(crate) problem: Problem,
}

pub(crate) struct TileAudit {
    store: TileStore,
    edge: TileEdge,
    // Files not compared yet: the widths of a tile, 256 being the full one.
    listed: HashMap<(TileKind, u64), Vec<u64>>,
    strangers: Vec<String>,
    // Tiles of a tree of this size must be there.
    required: TreeSize,
    findings: Vec<TileFinding>,
}

impl TileAudit {
    /// Lists the tiles of the ledger in `dir`, whose checkpoint has the size `required`.
    pub(crate) fn list(dir: &Path, required: TreeSize) -> io::Result<Self> {
        let mut audit = Self {
            store: TileStore::new(dir),
            edge: TileEdge::default(),
            listed: HashMap::new(),
            strangers: Vec::new(),
            required,
            findings: Vec::new(),
        };
        audit.walk(dir, TILE_FOLDER)?;
        Ok(audit)
    }

    /// Takes the next entry; compares the tiles that it fills.
    pub(crate) fn push(&mut self, entry: &[u8], leaf: LeafHash) {
        let mut full = Vec::new();
        self.edge.push(entry, leaf, &mut |tile| full.push(tile));
        for tile in full {
            self.compare(tile.path, &tile.bytes);
        }
    }

    /// Compares the unfinished tiles. If the journal was read `whole`, what is still listed then belongs to no entry;
    /// otherwise nothing is known of what comes after the entries read.
    pub(crate) fn finish(mut self, whole: bool) -> Vec<TileFinding> {
        let edge = std::mem::take(&mut self.edge);
        edge.unfinished().for_each(|(path, bytes)| self.compare_unfinished(path, bytes, whole));
        if whole {
            for ((kind, index), widths) in std::mem::take(&mut self.listed) {
                for width in widths {
                    let path = TilePath::of_width(kind, index, width);
                    self.report(path, 0, Problem::FileUnknown);
                }
            }
            for file in std::mem::take(&mut self.strangers) {
                let problem = Problem::FileUnknown;
                self.findings.push(TileFinding { file, index: LeafIndex(0), offset: 0, problem });
            }
        }
        self.findings.sort_by_key(|finding| (finding.index, finding.offset));
        self.findings
    }

    /// Compares all files of a tile whose first hashes or entries are `bytes`: all that there are if the journal was
    /// read `whole`.
    fn compare_unfinished(&mut self, path: TilePath, bytes: &[u8], whole: bool) {
        if whole {
            return self.compare(path, bytes);
        }
        for width in self.listed.remove(&(path.kind, path.index)).unwrap_or_default() {
            let expected = first(path.kind, bytes, width).unwrap_or(bytes);
            self.compare_file(TilePath::of_width(path.kind, path.index, width), expected, false);
        }
    }

    /// Compares all files of one tile with what the journal makes it: `bytes`, possibly unfinished.
    fn compare(&mut self, path: TilePath, bytes: &[u8]) {
        let have = match path.kind {
            TileKind::Hashes { .. } => bytes.len() as u64 / 32,
            TileKind::Entries => entry_ends(bytes).count() as u64,
        };
        let mut widths = self.listed.remove(&(path.kind, path.index)).unwrap_or_default();
        // A ledger in use may have filled it since the files were listed.
        if have == TILE_WIDTH && !widths.contains(&TILE_WIDTH) && self.store.read(path).is_ok() {
            widths.push(TILE_WIDTH);
        }
        let needed = self.needed(path).min(have);
        if needed > 0 && !widths.iter().any(|width| *width == needed || *width == TILE_WIDTH) {
            self.report(TilePath::of_width(path.kind, path.index, needed), 0, Problem::FileMissing);
        }
        for width in widths {
            let path = TilePath::of_width(path.kind, path.index, width);
            if width > have {
                self.report(path, 0, Problem::FileUnknown);
                continue;
            }
            self.compare_file(path, first(path.kind, bytes, width).unwrap_or(bytes), true);
        }
    }

    /// Compares a file with what it should hold: `expected`, and if that is not the `whole` of it, anything after.
    fn compare_file(&mut self, path: TilePath, expected: &[u8], whole: bool) {
        match self.store.read(path) {
            Ok(found) if found == expected || (!whole && found.starts_with(expected)) => {}
            Ok(found) => {
                let same = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
                self.report_in(path, same, expected, Problem::FileDiffers);
            }
            // Removed since it was listed: its full form is there by now.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.partial.is_some() => {}
            Err(error) => self.report(path, 0, Problem::FileUnreadable { reason: error.to_string() }),
        }
    }

    /// The width that a tile has in the tree of the checkpoint.
    fn needed(&self, path: TilePath) -> u64 {
        let (edge, width) = edge_tile(self.required, path.kind.level());
        match path.index.cmp(&edge) {
            std::cmp::Ordering::Less => TILE_WIDTH,
            std::cmp::Ordering::Equal => width,
            std::cmp::Ordering::Greater => 0,
        }
    }

    fn report(&mut self, path: TilePath, offset: usize, problem: Problem) {
        self.report_in(path, offset, &[], problem);
    }

    /// Reports what is wrong at `offset` of a tile that should hold `expected`.
    fn report_in(&mut self, path: TilePath, offset: usize, expected: &[u8], problem: Problem) {
        let (place, level) = match path.kind {
            TileKind::Hashes { level } => (offset as u64 / 32, level),
            TileKind::Entries => (entry_ends(expected).take_while(|end| *end <= offset).count() as u64, 0),
        };
        let index = path.index.saturating_mul(TILE_WIDTH).saturating_add(place);
        let index = LeafIndex(index.saturating_mul(TILE_WIDTH.saturating_pow(u32::from(level))));
        self.findings.push(TileFinding { file: path.to_string(), index, offset: offset as u64, problem });
    }

    fn walk(&mut self, dir: &Path, below: &str) -> io::Result<()> {
        if below.split('/').count() > FOLDERS_DEEP_MAX {
            self.strangers.push(below.to_owned());
            return Ok(());
        }
        let names = match Place::find(dir, below).and_then(|place| place.names()) {
            // None yet, or gone since its parent was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                self.strangers.push(below.to_owned());
                return Ok(());
            }
            names => names?,
        };
        for (name, is_folder) in names {
            let name = format!("{below}/{name}");
            if is_folder {
                self.walk(dir, &name)?;
            } else if let Ok(path) = name.parse::<TilePath>() {
                self.listed.entry((path.kind, path.index)).or_default().push(path.width());
            } else if name != FRESH_FULL && name != FRESH_PARTIAL {
                self.strangers.push(name);
            }
        }
        Ok(())
    }
}

/// No tile lies deeper, whatever its index: `tile/0/x…/x…/x…/x…/x…/x…/NNN.p`.
const FOLDERS_DEEP_MAX: usize = 9;
