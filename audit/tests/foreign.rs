//! Verifiers of other languages read our ledgers: Go's `sumdb/note` and `sumdb/tlog` (Debian `golang-go`,
//! `golang-golang-x-mod-dev`), and `aics-tlog` of PyPI. Where they are not installed, that is said and passed over; in CI it is
//! a failure.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]
#![allow(clippy::disallowed_methods, reason = "tests that run other programs")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tollgate_testing::calls::open;
use tollgate_testing::entries::policy;
use tollgate_testing::foreign::{go_verifier, missing};
use tollgate_testing::ledgers::tempdir;

/// Sizes around the edges of tiles.
const SIZES: [u64; 8] = [1, 2, 255, 256, 257, 65_535, 65_536, 65_537];

#[test]
fn go_verifies_our_ledgers() {
    let build = tempfile::tempdir().unwrap();
    let Some(program) = go_verifier(build.path()) else {
        return missing(GO, "apt.log");
    };
    at_every_size(|dir, key, old| {
        let mut command = Command::new(&program);
        command.arg(dir).arg(key).args(old);
        command.output().unwrap()
    });
}

#[test]
fn aics_tlog_verifies_our_ledgers() {
    let pythons = ["python3", concat!(env!("CARGO_MANIFEST_DIR"), "/../target/aics-tlog/bin/python3")];
    let has = |python: &&str| {
        let found = Command::new(python).args(["-c", "import aics_tlog"]).output();
        found.is_ok_and(|found| found.status.success())
    };
    let Some(python) = pythons.into_iter().find(has) else {
        return missing("python3 with aics-tlog", "pip.log");
    };
    let program = tests_folder().join("foreign_verify/audit.py");
    at_every_size(|dir, key, _old| Command::new(python).arg(&program).arg(dir).arg(key).output().unwrap());
}

#[test]
fn a_verifier_that_is_missing_fails_in_ci_and_is_passed_over_elsewhere() {
    for (ci, passes) in [("true", false), ("1", false), ("false", true), ("", true)] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "go_verifies_our_ledgers", "--nocapture"])
            .env("PATH", "/nonexistent")
            .env("CI", ci)
            .env_remove("TOLLGATE_SKIPPED")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.success(), passes, "CI={ci}: {said}");
        let expected =
            if passes { format!("SKIPPED: {GO} is missing") } else { format!("{GO} is missing, and with CI") };
        assert!(said.contains(&expected), "CI={ci}: {said}");
        assert_eq!(said.contains("target/apt.log"), !passes, "CI={ci}: {said}");
    }
}

const GO: &str = "`go` with golang.org/x/mod below /usr/share/gocode";

/// Lets `verify` say yes at every size, and no once a byte of a tile, a bundle or the checkpoint is changed.
fn at_every_size(verify: impl Fn(&Path, &str, Option<&Path>) -> Output) {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let key = ledger.verifier_key().to_string();
    let old = dir.path().with_extension("old");
    for size in SIZES {
        let more = usize::try_from(size - ledger.size().0).unwrap();
        ledger.append(&vec![policy(); more]).unwrap();
        ledger.checkpoint().unwrap();
        let old_exists = old.exists().then_some(old.as_path());
        let output = verify(dir.path(), &key, old_exists);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "size {size}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(said.starts_with(&format!("verified {size} entries")), "{said}");
        fs::copy(dir.path().join("checkpoint"), &old).unwrap();
    }
    for name in ["tile/0/000", "tile/0/256.p/1", "tile/entries/017", "checkpoint"] {
        let path = dir.path().join(name);
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        changed[20] ^= 1;
        fs::write(&path, changed).unwrap();
        assert!(!verify(dir.path(), &key, None).status.success(), "{name}");
        fs::write(&path, whole).unwrap();
    }
}

fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests")
}
