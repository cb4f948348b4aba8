//! Names of tiles: one spelling each, and none that leads out of the ledger's folder.

use std::path::{Component, Path};

use tollgate_audit::{TileKind, TilePath};

use crate::text;

/// A name that is read is written alike and stays below `tile/`; a tile made of the bytes as numbers has a name that
/// is read back.
pub fn tile_path(bytes: &[u8]) {
    if let Some(text) = text(bytes)
        && let Ok(path) = text.parse::<TilePath>()
    {
        assert_eq!(path.to_string(), text);
        assert_ne!(path.partial, Some(0));
        assert!(Path::new(text).components().all(|part| matches!(part, Component::Normal(_))), "{text}");
        assert!(Path::new(text).starts_with("tile"), "{text}");
    }
    if let Some((&[kind, partial], index)) = bytes.split_first_chunk()
        && let Some(index) = index.first_chunk()
    {
        let kind = if kind < 64 { TileKind::Hashes { level: kind } } else { TileKind::Entries };
        let partial = Some(partial).filter(|width| *width > 0);
        let path = TilePath { kind, index: u64::from_be_bytes(*index), partial };
        assert_eq!(path.to_string().parse(), Ok(path));
    }
}
