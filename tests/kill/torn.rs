//! What a disk may make of a ledger: a journal that ends early, a bit that changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tollgate_audit::{Entry, Policy, TreeSize, verify};
use tollgate_ledger::{Ledger, OpenError};
use tollgate_workspace::judge::verified;

use crate::Scale;
use crate::embedder::ORIGIN;

/// A checkpoint covers all but the last three entries: those may be lost, nothing before them.
pub(crate) fn torn(scale: Scale) {
    let around = tempfile::tempdir().expect("a folder");
    let whole = around.path().join("whole");
    let ledger = open(&whole).expect("a ledger");
    let ends: Vec<_> = (0..8).map(|entry| append(&ledger, &whole, entry)).collect();
    ledger.checkpoint().expect("a checkpoint");
    let ends: Vec<_> = ends.into_iter().chain((8..11).map(|entry| append(&ledger, &whole, entry))).collect();
    let (covered, end) = (ends[7], ends[10]);
    // As its writer leaves it when it is killed.
    let left = files(around.path());
    drop(ledger);
    let edges = ends.iter().flat_map(|end| [end - 1, *end, end + 1]);
    let lengths =
        (ends[6]..end).filter(|length| scale.is_soak || length % 13 == 0 || edges.clone().any(|edge| edge == *length));
    for length in lengths {
        let place = around.path().join(length.to_string());
        for (name, bytes) in &left {
            let path = place.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, bytes).expect("a file");
            let secret = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(&path, secret).expect("a file of one's own");
        }
        let torn = place.join("whole");
        let journal = fs::OpenOptions::new().write(true).open(torn.join("journal")).expect("a journal");
        journal.set_len(length).expect("a shorter journal");
        match open(&torn) {
            Ok(ledger) => {
                assert!(length >= covered, "lost: {length} of {covered} bytes");
                let whole_frames = ends.iter().filter(|end| **end <= length).count() as u64;
                // What opened it first and now, what is left between, and what was taken over if that is more than was signed.
                let takeover = u64::from(whole_frames > 8);
                assert_eq!(ledger.size(), TreeSize(whole_frames + 2 + takeover));
                append(&ledger, &torn, 99);
                drop(ledger);
                verified(&torn, None);
            }
            Err(OpenError::DataLost { known, .. }) => {
                assert!(length < covered, "{length} bytes hold all that is covered");
                assert_eq!(known, TreeSize(9));
            }
            Err(other) => panic!("{length} bytes: {other:?}"),
        }
        fs::remove_dir_all(place).expect("removed");
    }
}

/// Whatever bit changes, `verify` names the file.
pub(crate) fn flipped(scale: Scale) {
    let around = tempfile::tempdir().expect("a folder");
    let dir = around.path().join("ledger");
    let ledger = open(&dir).expect("a ledger");
    for entry in 0..if scale.is_soak { 300 } else { 20 } {
        append(&ledger, &dir, entry);
    }
    drop(ledger);
    verified(&dir, None);
    for (name, whole) in files(&dir) {
        for at in (0..whole.len()).step_by(if scale.is_soak { 1 } else { 11 }) {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(dir.join(&name), changed).expect("a file");
            let report = verify(&dir, None).expect("a ledger that can be read");
            let first = report.findings.first().unwrap_or_else(|| panic!("{name}, byte {at}: not found"));
            assert_eq!(first.file, name, "byte {at}: {first}");
        }
        fs::write(dir.join(&name), whole).expect("a file");
    }
    verified(&dir, None);
}

fn open(dir: &Path) -> Result<Arc<Ledger>, OpenError> {
    Ledger::open(dir, ORIGIN, "tests", 1).map(Arc::new)
}

/// Appends an entry; where the journal ends then.
fn append(ledger: &Ledger, dir: &Path, entry: u64) -> u64 {
    let digest = tollgate_audit::Digest::of(&entry.to_be_bytes());
    let (folders, declared) = Default::default();
    let policy = Policy {
        digest,
        manifest: digest,
        grant: digest,
        tool: "echo-read".into(),
        by: "tests".into(),
        folders,
        declared,
    };
    ledger.append(&[Entry::Policy(policy).encode()]).expect("an entry");
    fs::metadata(dir.join("journal")).expect("a journal").len()
}

/// All files below a folder.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).expect("a folder") {
            let path = file.expect("a file").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(dir).expect("below it").to_str().expect("a name").to_owned();
            files.insert(name, fs::read(path).expect("a file"));
        }
    }
    files
}
