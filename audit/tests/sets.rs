//! Capability sets in the ledger's folder: kept under their digest, judged by it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tollgate_audit::{Digest, Problem, SET_BYTES_MAX, read_set};
use tollgate_ledger::store_set;
use tollgate_testing::calls::open;
use tollgate_testing::ledgers::{report, tempdir};

const SET: &str = r#"{"folders":[],"tool":"word-count"}"#;

fn path(dir: &Path, digest: Digest) -> PathBuf {
    dir.join(format!("sets/{}.json", digest.to_string().trim_start_matches("sha256:")))
}

#[test]
fn a_set_is_read_back_by_its_digest() {
    let dir = tempdir().unwrap();
    assert_eq!(read_set(dir.path(), Digest::of(SET.as_bytes())).unwrap(), None);
    let digest = store_set(dir.path(), SET).unwrap();
    assert_eq!(digest, Digest::of(SET.as_bytes()));
    assert_eq!(read_set(dir.path(), digest).unwrap().as_deref(), Some(SET));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir.path().join("sets")), mode(&path(dir.path(), digest))), (0o700, 0o600));
    assert_eq!(fs::read_dir(dir.path().join("sets")).unwrap().count(), 1);
    let error = store_set(dir.path(), &"x".repeat(SET_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_set_that_is_there_is_left_alone_and_another_content_mended() {
    let dir = tempdir().unwrap();
    let digest = store_set(dir.path(), SET).unwrap();
    let path = path(dir.path(), digest);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    store_set(dir.path(), SET).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400, "the same file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "{}").unwrap();
    assert_eq!(read_set(dir.path(), digest).unwrap_err().kind(), ErrorKind::InvalidData);
    fs::write(dir.path().join("sets/set.tmp"), "cut sh").unwrap();
    store_set(dir.path(), SET).unwrap();
    assert_eq!(read_set(dir.path(), digest).unwrap().as_deref(), Some(SET));
}

#[test]
fn many_threads_store_sets() {
    let dir = tempdir().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let dir = dir.path();
            scope.spawn(move || {
                for n in 0..5 {
                    store_set(dir, &format!("{}", (n + thread) % 6)).unwrap();
                }
            });
        }
    });
    assert_eq!(fs::read_dir(dir.path().join("sets")).unwrap().count(), 6);
}

#[test]
fn verify_judges_every_file_of_the_folder() {
    let dir = tempdir().unwrap();
    drop(open(dir.path()));
    let digest = store_set(dir.path(), SET).unwrap();
    fs::write(dir.path().join("sets/set.tmp"), "cut sh").unwrap();
    let clean = report(dir.path());
    assert!(clean.is_clean() && clean.not_covered.is_empty(), "{:?}", clean.findings);
    let found = || -> Vec<_> {
        report(dir.path()).findings.into_iter().map(|finding| (finding.file, finding.problem)).collect()
    };
    let upper = format!("sets/{}.json", "AB".repeat(32));
    for name in ["sets/notes.txt", "sets/00.json", &upper, "sets/folder"] {
        let path = dir.path().join(name);
        if name == "sets/folder" {
            fs::create_dir(&path).unwrap();
        } else {
            fs::write(&path, SET).unwrap();
        }
        assert_eq!(found(), [(name.to_owned(), Problem::FileUnknown)]);
        if name == "sets/folder" { fs::remove_dir(&path) } else { fs::remove_file(&path) }.unwrap();
    }
    let name = path(dir.path(), digest).strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned();
    fs::write(path(dir.path(), digest), "{}").unwrap();
    assert_eq!(found(), [(name, Problem::FileDiffers)]);
    // Which sets there should be is for those to say who need them.
    fs::remove_dir_all(dir.path().join("sets")).unwrap();
    assert_eq!(found(), []);
    fs::write(dir.path().join("sets"), SET).unwrap();
    assert_eq!(found(), [("sets".to_owned(), Problem::FileUnknown)]);
}
