//! Names of tiles: `tile/<L>/<N>[.p/<W>]` and `tile/entries/<N>[.p/<W>]` (C2SP tlog-tiles).
//!
//! Every tile has one name; any other spelling must be refused.

use std::fmt;
use std::str::FromStr;

/// Hashes of a full tile, entries of a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// Levels that a tree of at most 2⁶⁴ entries has.
pub const TILE_LEVELS: u8 = 8;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes of whole subtrees of 256ⁿ entries, `n` being the level.
    Hashes {
        /// At most 63 by the specification; a ledger has at most 8.
        level: u8,
    },
    /// The entries themselves, each after its length as `u16` (big-endian).
    Entries,
}

impl TileKind {
    /// The level of the hashes; a bundle goes with the tile of its leaf hashes.
    pub fn level(self) -> u8 {
        match self {
            Self::Hashes { level } => level,
            Self::Entries => 0,
        }
    }
}

/// The name of a tile or entry bundle below the ledger's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    /// What it holds.
    pub kind: TileKind,
    /// Its place among those of its kind, from 0.
    pub index: u64,
    /// Its number of hashes or entries if it is partial: 1 to 255. `None`: it is full.
    pub partial: Option<u8>,
}

/// A text names no tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a tile: `tile/<level or entries>/<index>[.p/<width>]` expected")]
pub struct ParseTilePathError;

impl TilePath {
    pub fn full(kind: TileKind, index: u64) -> Self {
        Self { kind, index, partial: None }
    }

    /// The first `width` (1 to 256) hashes or entries of a tile.
    pub fn of_width(kind: TileKind, index: u64, width: u64) -> Self {
        Self { kind, index, partial: u8::try_from(width).ok() }
    }

    /// Number of hashes or entries.
    pub fn width(self) -> u64 {
        self.partial.map_or(TILE_WIDTH, u64::from)
    }

    /// The folder of its partial forms.
    pub fn partials_folder(self) -> String {
        format!("{}.p", Self { partial: None, ..self })
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes { level } => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        while let Some(group) = groups.pop() {
            if groups.is_empty() {
                write!(f, "{group:03}")?;
            } else {
                write!(f, "x{group:03}/")?;
            }
        }
        self.partial.map_or(Ok(()), |width| write!(f, ".p/{width}"))
    }
}

impl FromStr for TilePath {
    type Err = ParseTilePathError;

    fn from_str(text: &str) -> Result<Self, ParseTilePathError> {
        let path = parse(text).ok_or(ParseTilePathError)?;
        // One spelling: zeros in supervisor, signs and the like come out differently.
        if path.to_string() == text { Ok(path) } else { Err(ParseTilePathError) }
    }
}

fn parse(text: &str) -> Option<TilePath> {
    let (kind, rest) = text.strip_prefix("tile/")?.split_once('/')?;
    let kind = match kind {
        "entries" => TileKind::Entries,
        level => TileKind::Hashes { level: level.parse().ok().filter(|level| *level <= LEVEL_MAX)? },
    };
    let (index, partial) = match rest.split_once(".p/") {
        Some((index, width)) => (index, Some(width.parse().ok().filter(|width| *width > 0)?)),
        None => (rest, None),
    };
    let mut number = 0_u64;
    for group in index.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        let digits: u64 = digits.parse().ok().filter(|_| digits.len() == 3)?;
        number = number.checked_mul(1000)?.checked_add(digits)?;
    }
    Some(TilePath { kind, index: number, partial })
}

/// The highest level that the specification names.
const LEVEL_MAX: u8 = 63;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_the_specification() {
        for (text, kind, index, partial) in [
            ("tile/0/x001/x234/067", TileKind::Hashes { level: 0 }, 1_234_067, None),
            ("tile/3/000.p/7", TileKind::Hashes { level: 3 }, 0, Some(7)),
            ("tile/entries/x273/000.p/255", TileKind::Entries, 273_000, Some(255)),
        ] {
            let path = TilePath { kind, index, partial };
            assert_eq!(path.to_string(), text);
            assert_eq!(text.parse(), Ok(path));
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "tile",
            "tile/0/0",
            "tile/0/x000",
            "tile/0/x000/001",
            "tile/0/000/001",
            "tile/00/001",
            "tile/64/001",
            "tile/+1/001",
            "tile/0/+01",
            "tile/0/001.p/0",
            "tile/0/001.p/256",
            "tile/0/001.p/07",
            "tile/0/001.p/7/",
            "tile/data/001",
            "/tile/0/001",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
        ] {
            assert_eq!(text.parse::<TilePath>(), Err(ParseTilePathError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn read_back(level in prop::option::of(0..=63_u8), index in any::<u64>(), partial in prop::option::of(1..=255_u8)) {
            let kind = level.map_or(TileKind::Entries, |level| TileKind::Hashes { level });
            let path = TilePath { kind, index, partial };
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }

        #[test]
        fn whatever_is_read_is_written_alike(text in "tile/([0-9]{1,2}|entries)(/x?[0-9]{2,3}){1,3}(.p/[0-9]{1,3})?|\\PC{0,30}") {
            if let Ok(path) = text.parse::<TilePath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}
