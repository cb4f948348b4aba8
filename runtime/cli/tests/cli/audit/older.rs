//! A ledger of a format before this one is refused by its number, by every command, and stays as it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::desk::Desk;

const OLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../audit/tests/golden/ledger-of-format-4");

/// Its first entry is of format 2.
const REFUSAL: [&str; 2] = [
    "this ledger has format 2; this program reads format 5: keep the ledger and the program that wrote it",
    "start a new ledger: give another folder with --ledger",
];

/// The commands of `tollgate audit` that take a ledger.
pub(crate) const OF_A_LEDGER: [&[&str]; 10] = [
    &["verify"],
    &["show"],
    &["show", "--call", CALL, "--private"],
    &["key"],
    &["replay"],
    &["report"],
    &["export"],
    &["prove", "--call", CALL],
    &["erase", "--call", CALL],
    &["adopt", "--reason", "it is old"],
];
const CALL: &str = "cacacacacacacacacacacacacacacaca";

fn files(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
}

/// The files of the ledger and those beside it.
fn ledger(desk: &Desk) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    files(&desk.path(""), &mut found);
    found.retain(|path, _| path.strip_prefix(desk.path("")).unwrap().to_string_lossy().starts_with("ledger"));
    found
}

#[test]
fn an_older_format_is_refused_by_its_number_and_stays_as_it_is() {
    let desk = Desk::with("word-count");
    let mut older = BTreeMap::new();
    files(Path::new(OLDER), &mut older);
    for (path, bytes) in older {
        let path = desk.path("ledger").join(path.strip_prefix(OLDER).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    for name in ["ledger.key", "ledger.state", "ledger.private"] {
        desk.file(name, "of that program");
    }
    let before = ledger(&desk);
    assert!(before.len() > 6, "{before:?}");
    desk.count(&[]).fails(2, &[&["nothing was run"], &REFUSAL[..]].concat());
    for args in OF_A_LEDGER {
        let ran = desk.run(&[&["audit"], args].concat());
        ran.fails(2, &REFUSAL);
        assert_eq!(ran.stdout, "", "{args:?}");
    }
    assert_eq!(ledger(&desk), before, "nothing was written");
}
