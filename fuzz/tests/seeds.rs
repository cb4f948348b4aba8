//! Replays every seed through its target, then mutations of it: the same ones each time, so that a failure comes
//! again.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tollgate_audit::{Disclosure, Receipt};
use tollgate_fuzz::{TARGETS, sample};

macro_rules! replay {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            replay_seeds(stringify!($target), tollgate_fuzz::$target);
        })*

        const REPLAYED: &[&str] = &[$(stringify!($target)),*];
    };
}

replay! {
    addresses authority checkpoint client_call daemon_line daemon_lines entry first_bytes grant writer_frames journal ledger lowering manifest mcp_line network_grants
    note receipt replay rpc_line schema side_store target tile_path verifier_key
}

/// A target that is left out of one of the places would never be run there.
#[test]
fn every_target_is_everywhere() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(REPLAYED.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), names);
    assert_eq!(stems(&here("fuzz_targets")), names);
    assert_eq!(stems(&here("seeds")), names);
    let cargo = std::fs::read_to_string(here("Cargo.toml")).unwrap();
    for name in names {
        let bin = format!("name = \"fuzz-{}\"\npath = \"fuzz_targets/{name}.rs\"", name.replace('_', "-"));
        assert!(cargo.contains(&bin), "{bin}");
    }
}

/// Receipts of another ledger would be refused at their signature, and nothing behind it would be looked at.
#[test]
fn receipts_are_of_the_sample() {
    let texts = seeds("receipt").into_iter().filter_map(|(_, bytes)| String::from_utf8(bytes).ok());
    let (mut receipts, mut disclosures) = (0, 0);
    for text in texts {
        receipts += usize::from(text.parse().is_ok_and(|receipt: Receipt| receipt.verify(&sample().key).is_ok()));
        disclosures += usize::from(text.parse().is_ok_and(|shown: Disclosure| shown.verify(&sample().key).is_ok()));
    }
    assert!(receipts >= 3 && disclosures >= 2, "{receipts} receipts, {disclosures} disclosures verify");
}

fn replay_seeds(name: &str, target: fn(&[u8])) {
    let seeds = seeds(name);
    let mut random = Random(0x5eed);
    let rounds = if FOLDER_TARGETS.contains(&name) { FOLDER_MUTATIONS } else { MUTATIONS };
    for (path, bytes) in &seeds {
        run(name, target, bytes, &path.display().to_string());
        for round in 0..rounds {
            let (_, other) = &seeds[random.below(seeds.len())];
            let mutated = random.mutate(bytes, other);
            run(name, target, &mutated, &format!("mutation {round} of {}", path.display()));
        }
    }
    run(name, target, b"", "nothing");
}

fn run(name: &str, target: fn(&[u8]), bytes: &[u8], whence: &str) {
    if catch_unwind(AssertUnwindSafe(|| target(bytes))).is_err() {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
        std::fs::write(&kept, bytes).unwrap();
        panic!("{name} fails with {whence}; the bytes are in {}", kept.display());
    }
}

fn seeds(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = std::fs::read_dir(here("seeds").join(name)).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 5, "{name} has {} seeds", paths.len());
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn stems(folder: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// At least 0 and below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        const TELLING: &[u8] = b"\0\x01\x17\x18\x1b\x20\x40\x60\x7f\x80\xa0\xff \n\t\"\\=+-/.,:[]{}$0199azAZ";
        if self.below(2) == 0 { TELLING[self.below(TELLING.len())] } else { self.next().to_le_bytes()[0] }
    }

    /// One to four changes, the fewer the likelier.
    fn mutate(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.next().trailing_zeros().min(3) {
            self.change(&mut bytes, other);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let (at, byte) = (self.below(bytes.len() + 1), self.byte());
        let end = bytes.len().min(at + 1 + self.below(16));
        match self.below(7) {
            0 => bytes[at..].iter_mut().take(1).for_each(|old| *old ^= 1 << (byte % 8)),
            1 => bytes[at..].iter_mut().take(1).for_each(|old| *old = byte),
            2 => bytes.insert(at, byte),
            3 => drop(bytes.drain(at..end)),
            4 => bytes.splice(at..at, bytes[at..end].to_vec()).for_each(drop),
            5 => bytes.truncate(at),
            _ => {
                let from = self.below(other.len() + 1);
                let part = &other[from..other.len().min(from + 1 + self.below(64))];
                bytes.splice(at..end, part.iter().copied()).for_each(drop);
            }
        }
    }
}

/// Targets that make a folder each time.
const FOLDER_TARGETS: &[&str] = &["writer_frames", "journal", "ledger", "side_store"];

/// Of each seed.
const MUTATIONS: usize = 300;

/// Of each seed, where a folder is made each time.
const FOLDER_MUTATIONS: usize = 30;
