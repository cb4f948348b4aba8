//! What a ledger keeps when its writer is killed, and what it does when the disk takes no more. Both are proven
//! from child processes: this test binary, run again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "tests that run themselves as a child")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use tollgate_audit::{AppendError, Durability, Kept, Kind};
use tollgate_testing::calls::{OK, begin, ending, open, record_call};
use tollgate_testing::entries;
use tollgate_testing::entries::OPEN_AT;
use tollgate_testing::ledgers::{report, tempdir};

const DIR: &str = "TOLLGATE_AUDIT_TEST_DIR";

#[test]
fn a_killed_writer_loses_nothing_that_was_acknowledged() {
    let dir = tempdir().unwrap();
    let exe = std::env::current_exe().unwrap();
    let mut child = Command::new(exe)
        .args(["--exact", "child_records_until_killed", "--ignored", "--nocapture"])
        .env(DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = |line: String| line.strip_prefix("acknowledged ").and_then(|n| n.parse::<u64>().ok());
    let enough = lines.by_ref().map(Result::unwrap).filter_map(said).find(|n| *n >= 200);
    assert!(enough.is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it died counts as well.
    let acknowledged = lines.map_while(Result::ok).filter_map(said).last().or(enough).unwrap();

    let ledger = open(dir.path());
    assert_eq!(ledger.recovery().closed_calls.len(), 1);
    let report = report(dir.path());
    assert!(report.is_clean(), "{:?}", report.findings);
    assert!(report.count(Kind::Intent) >= acknowledged);
}

#[test]
#[ignore = "run as a child"]
fn child_records_until_killed() {
    let ledger = open(Path::new(&std::env::var_os(DIR).unwrap()));
    let mut trail = begin(&ledger, 1);
    for count in 1_u64.. {
        let intent = trail.intent(OPEN_AT, &[], "fs:/docs:read", Durability::Pipe).unwrap();
        let mut out = std::io::stdout().lock();
        // In one write, so that a line is never cut short by the kill.
        out.write_all(format!("\nacknowledged {count}\n").as_bytes()).unwrap();
        trail.outcome(intent, OK);
    }
}

#[test]
fn a_full_disk_stops_the_ledger_and_leaves_it_valid() {
    let dir = tempdir().unwrap();
    record_call(&open(dir.path()), 1);
    let exe = std::env::current_exe().unwrap();
    // A file size limit, with its signal ignored, makes writes fail as a full disk does.
    let script = r#"trap "" XFSZ; ulimit -f 16; exec "$0" --exact child_fills_the_disk --ignored"#;
    // Its output goes through pipes: the limit would hold for a file that this test's own output goes to.
    let child = Command::new("sh").args(["-c", script]).arg(exe).env(DIR, dir.path()).output().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));

    assert!(fs::metadata(dir.path().join("journal")).unwrap().len() >= 4096);
    let ledger = open(dir.path());
    let report = report(dir.path());
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(ledger.recovery().closed_calls.len(), 1);
}

#[test]
fn a_ledger_whose_first_entry_does_not_fit_opens_later() {
    let dir = tempdir().unwrap();
    let exe = std::env::current_exe().unwrap();
    let script = r#"trap "" XFSZ; ulimit -f 0; exec "$0" --exact child_has_no_room --ignored"#;
    let child = Command::new("sh").args(["-c", script]).arg(exe).env(DIR, dir.path()).output().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    drop(open(dir.path()));
    assert!(report(dir.path()).is_clean());
}

#[test]
#[ignore = "run as a child"]
fn child_has_no_room() {
    let dir = std::env::var_os(DIR).unwrap();
    let opened = tollgate_ledger::Ledger::open(Path::new(&dir), entries::ORIGIN, "test", 1);
    assert!(opened.is_err(), "{opened:?}");
}

#[test]
#[ignore = "run as a child"]
fn child_fills_the_disk() {
    let ledger = open(Path::new(&std::env::var_os(DIR).unwrap()));
    let mut trail = begin(&ledger, 2);
    let error = loop {
        match trail.intent(OPEN_AT, &[], "fs:/docs:read", Durability::Pipe) {
            Ok(intent) => trail.outcome(intent, OK),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AppendError::Short { .. } | AppendError::Write { .. }), "{error}");
    let size = ledger.size();
    let full = |error: &AppendError| matches!(error, AppendError::Short { .. } | AppendError::Write { .. });
    assert!(trail.intent(OPEN_AT, &[], "", Durability::Pipe).is_err_and(|error| full(&error)));
    assert!(trail.end(ending(), Kept::Journal).is_err_and(|error| full(&error)));
    assert_eq!(ledger.size(), size);
}
