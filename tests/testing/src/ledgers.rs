//! Folders of ledgers, and what is done to their files behind a writer's back.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use tollgate_audit::{Digest, EncodedEntry, Frontier, Report, RootHash, SigningKey, TreeSize, leaf_hash, verify};

use crate::entries::ORIGIN;

/// A folder for a ledger, with room beside it for key and state.
pub struct Folder {
    _around: TempDir,
    path: PathBuf,
}

pub fn tempdir() -> std::io::Result<Folder> {
    let around = tempfile::tempdir()?;
    let path = around.path().join("ledger");
    std::fs::create_dir(&path)?;
    Ok(Folder { _around: around, path })
}

impl Folder {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// All files below `dir` with their contents, by name.
pub fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                files.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    files
}

/// The text of a key file (C2SP signed-note, as Go's `note.GenerateKey` writes it).
pub fn key_file(origin: &str, seed: [u8; 32]) -> String {
    let key = SigningKey::from_seed(origin, &seed).unwrap().verifier();
    let secret = STANDARD.encode([&[1][..], &seed].concat());
    format!("PRIVATE+KEY+{origin}+{}+{secret}\n", key.id())
}

/// A key file with permissions as they must be.
pub fn write_key(path: &Path, seed: [u8; 32]) {
    std::fs::write(path, key_file(ORIGIN, seed)).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Leaves the journal alone, as when a writer is killed before its first checkpoint.
pub fn forget_checkpoint(dir: &Path) {
    std::fs::remove_file(dir.join("checkpoint")).unwrap();
    std::fs::remove_dir_all(dir.join("tile")).unwrap();
    remember(dir, TreeSize(0), Frontier::new().root(), "open");
}

/// Writes the state file by hand.
pub fn remember(dir: &Path, size: TreeSize, root: RootHash, word: &str) {
    std::fs::write(dir.with_extension("state"), state_file(ORIGIN, size, root, word)).unwrap();
}

/// A state file: the ledger signed so much last, is `open` or `closed`, and is read from its start.
pub fn state_file(origin: &str, size: TreeSize, root: RootHash, word: &str) -> Vec<u8> {
    let said = format!("tollgate-state-2 1 {origin} {size} {root} 0 0 {word}");
    let check = hex::encode(&Digest::of(said.as_bytes()).0[..8]);
    // The second slot: generations count from 1.
    let mut bytes = vec![0; 512];
    bytes.extend(format!("{said} {check}\n").into_bytes());
    bytes.resize(1024, 0);
    bytes
}

/// The journal's frames of these entries, as a writer without the key makes them.
pub fn frames(entries: &[EncodedEntry]) -> Vec<u8> {
    entries.iter().flat_map(|entry| frame(entry.as_bytes())).collect()
}

/// The frame of an entry, in a pipe or a journal.
pub fn frame(entry: &[u8]) -> Vec<u8> {
    let length = u16::try_from(entry.len()).unwrap().to_be_bytes();
    [&length[..], entry, &leaf_hash(entry).0[..4]].concat()
}

/// Adds entries to a journal behind its writer's back.
pub fn forge(dir: &Path, entries: &[EncodedEntry]) {
    let mut journal = std::fs::OpenOptions::new().append(true).open(dir.join("journal")).unwrap();
    std::io::Write::write_all(&mut journal, &frames(entries)).unwrap();
}

/// The ledger, key and state as they are now: what a writer that is killed leaves.
pub fn as_left_by_a_kill(dir: &Path) -> Folder {
    let left = tempdir().unwrap();
    for (name, bytes) in files(dir).into_iter().filter(|(name, _)| name != "lock") {
        let path = left.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    for beside in ["key", "state"] {
        let to = left.path().with_extension(beside);
        std::fs::copy(dir.with_extension(beside), &to).unwrap();
        std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    left
}

pub fn report(dir: &Path) -> Report {
    verify(dir, None).unwrap()
}
