//! What others wrote reads our ledgers: the crates `signed_note` and `tlog_tiles`, at sizes around the edges of tiles.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::path::Path;

use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{Checkpoint, Hash, Tile, TileHashReader, TileReader};
use tollgate_testing::calls::open;
use tollgate_testing::entries;
use tollgate_testing::entries::policy;
use tollgate_testing::ledgers::tempdir;

/// Reads `tile/8/<level>/<index>` of `tlog_tiles` as `tile/<level>/<index>` of C2SP.
struct Folder<'f>(&'f Path);

impl TileReader for Folder<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let path = |tile: &Tile| self.0.join(tile.path().replacen("tile/8/", "tile/", 1));
        Ok(tiles.iter().map(|tile| fs::read(path(tile)).unwrap()).collect())
    }

    fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
}

#[test]
fn signed_note_and_tlog_tiles_agree() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let verifier = StandardVerifier::new(&ledger.verifier_key().to_string()).unwrap();
    let mut old: Option<Checkpoint> = None;
    for size in [1, 2, 255, 256, 257, 65_535, 65_536, 65_537] {
        let more = usize::try_from(size - ledger.size().0).unwrap();
        ledger.append(&vec![policy(); more]).unwrap();
        ledger.checkpoint().unwrap();
        let text = fs::read(dir.path().join("checkpoint")).unwrap();
        let note = Note::from_bytes(&text).unwrap();
        let verifiers = VerifierList::new(vec![Box::new(verifier.clone())]);
        let (verified, unverified) = note.verify(&verifiers).unwrap();
        assert_eq!((verified.len(), unverified.len()), (1, 0));
        let checkpoint = Checkpoint::from_bytes(note.text()).unwrap();
        assert_eq!((checkpoint.origin(), checkpoint.size(), checkpoint.extension()), (entries::ORIGIN, size, ""));

        let folder = Folder(dir.path());
        let reader = TileHashReader::new(size, *checkpoint.hash(), &folder);
        for index in [0, 1, 254, 255, 256, size / 2, size - 1].into_iter().filter(|index| *index < size) {
            let proof = tlog_tiles::prove_record(size, index, &reader).unwrap();
            let entry = tollgate_audit::Prover::new(dir.path(), tollgate_audit::TreeSize(size));
            let leaf = tlog_tiles::record_hash(&entry.entry(tollgate_audit::LeafIndex(index)).unwrap());
            tlog_tiles::check_record(&proof, size, *checkpoint.hash(), index, leaf).unwrap();
            let ours = tollgate_audit::Prover::new(dir.path(), tollgate_audit::TreeSize(size))
                .inclusion(tollgate_audit::LeafIndex(index))
                .unwrap();
            assert_eq!(ours.0, proof.iter().map(|hash: &Hash| hash.0).collect::<Vec<_>>());
        }
        if let Some(old) = &old {
            let proof = tlog_tiles::prove_tree(size, old.size(), &reader).unwrap();
            tlog_tiles::check_tree(&proof, size, *checkpoint.hash(), old.size(), *old.hash()).unwrap();
            let ours = tollgate_audit::Prover::new(dir.path(), tollgate_audit::TreeSize(size))
                .consistency(tollgate_audit::TreeSize(old.size()))
                .unwrap();
            assert_eq!(ours.0, proof.iter().map(|hash: &Hash| hash.0).collect::<Vec<_>>());
        }
        old = Some(checkpoint);
    }
}
