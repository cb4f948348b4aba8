//! Entries that nobody signed: added to a closed ledger they are forged, left by a crash they are judged and named before
//! anything is signed, and nobody calls them verified.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "tests that run programs, themselves among them")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use tollgate_audit::{CallId, Entry, Kind, LeafIndex, Outcome, Problem, Sequence, Takeover, TreeSize, read, verify};
use tollgate_ledger::{Ledger, OpenError};
use tollgate_testing::calls::{begin, open, record_call};
use tollgate_testing::entries::{ORIGIN, policy};
use tollgate_testing::ledgers::{as_left_by_a_kill, forge, report, tempdir};
use tollgate_testing::{entries, ledgers};

fn reopened(dir: &Path) -> Result<Ledger, OpenError> {
    Ledger::open(dir, ORIGIN, "test", 3)
}

fn kinds(dir: &Path) -> Vec<Kind> {
    read(dir).unwrap().map(|entry| entry.unwrap().1.kind()).collect()
}

fn tool(args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate-verify")).args(args).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn what_is_added_to_a_closed_ledger_is_forged() {
    let dir = tempdir().unwrap();
    record_call(&open(dir.path()), 1);
    let closed = report(dir.path());
    assert!(closed.is_clean() && closed.is_complete());
    forge(dir.path(), &[policy(), policy()]);
    let before = ledgers::files(dir.path());

    let error = reopened(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::AddedWhileClosed { closed: TreeSize(7), found: TreeSize(9) }), "{error}");
    assert!(error.to_string().contains("forged: 2 entries"), "{error}");
    let after = ledgers::files(dir.path());
    assert_eq!((&after["journal"], &after["checkpoint"]), (&before["journal"], &before["checkpoint"]), "not signed");
    let found = report(dir.path());
    let [finding] = found.findings.as_slice() else { panic!("{:?}", found.findings) };
    assert_eq!((finding.index, &finding.problem), (LeafIndex(7), &Problem::AddedWhileClosed { size: TreeSize(7) }));
    assert_eq!((found.signed_to, found.newer), (TreeSize(7), 2));
    let (code, text) = tool(&["ledger", dir.path().to_str().unwrap()]);
    assert!(code == 1 && text.contains("signed to 7; 2 newer, not proven"), "{code} {text}");
}

/// Whoever has the folder alone does not know whether it was closed.
#[test]
fn what_nobody_signed_is_called_not_proven() {
    let dir = tempdir().unwrap();
    record_call(&open(dir.path()), 1);
    forge(dir.path(), &[policy(), policy()]);
    fs::remove_file(dir.path().with_extension("state")).unwrap();
    let found = report(dir.path());
    assert!(found.is_clean() && !found.is_complete(), "{:?}", found.findings);
    let folder = dir.path().to_str().unwrap();
    let (code, text) = tool(&["ledger", folder]);
    assert!(code == 0 && text.starts_with("signed to 7; 2 newer, not proven\n"), "{code} {text}");
    assert!(text.contains("NOT proven: the 2 newer entries.") && !text.contains("verified\n"), "{text}");
    let (code, text) = tool(&["ledger", folder, "--complete", "--json"]);
    assert!(code == 5 && text.contains("\"complete\":false"), "{code} {text}");
    let cut =
        fs::metadata(dir.path().join("journal")).unwrap().len() - ledgers::frames(&[policy(), policy()]).len() as u64;
    fs::OpenOptions::new().write(true).open(dir.path().join("journal")).unwrap().set_len(cut).unwrap();
    let (code, text) = tool(&["ledger", folder, "--complete"]);
    assert!(code == 0 && text.starts_with("verified\n"), "{code} {text}");
    assert_eq!(tool(&["receipt", folder, "--complete", "--key", "x"]).0, 2);
}

#[test]
fn what_a_crash_left_is_named_before_it_is_signed() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    record_call(&ledger, 1);
    ledger.checkpoint().unwrap();
    record_call(&ledger, 2);
    let mut open_call = begin(&ledger, 3);
    open_call.intent(entries::OPEN_AT, &[], "fs", tollgate_audit::Durability::Pipe).unwrap();
    let left = as_left_by_a_kill(dir.path());
    let found = report(left.path());
    assert!(found.is_clean(), "{:?}", found.findings);
    assert_eq!((found.signed_to, found.newer), (TreeSize(7), 8));

    let again = reopened(left.path()).unwrap();
    assert_eq!((again.recovery().taken_over, again.recovery().closed_calls.len()), (8, 1));
    drop(again);
    assert_eq!(kinds(left.path())[15..], [Kind::Takeover, Kind::LedgerOpened, Kind::Closer]);
    let (_, entry) = read(left.path()).unwrap().nth(15).unwrap().unwrap();
    assert_eq!(entry, Entry::Takeover(Takeover { time_ns: 3, first: LeafIndex(7), count: 8 }));
    let found = report(left.path());
    assert!(found.is_clean() && found.is_complete(), "{:?}", found.findings);
    assert_eq!(found.taken_over.iter().map(|taken| (taken.first.0, taken.count)).collect::<Vec<_>>(), [(7, 8)]);
    let (code, text) = tool(&["ledger", left.path().to_str().unwrap()]);
    assert!(code == 0 && text.contains("NOT proven: who wrote the 8 entries from 7 on."), "{text}");
    // Closed in good order, nothing is left to take over.
    assert_eq!(reopened(left.path()).unwrap().recovery().taken_over, 0);
}

/// What no writer writes is not signed, wherever before it the sense is lost.
#[test]
fn what_makes_no_sense_after_a_crash_is_refused() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    record_call(&ledger, 1);
    // Far enough that an opening in good order would not read the call again.
    for _ in 0..4 {
        ledger.append(&vec![policy(); 10_000]).unwrap();
        ledger.checkpoint().unwrap();
    }
    let size = ledger.size().0;
    let (call, unknown) = (CallId([1; 16]), CallId([9; 16]));
    let outcome = entries::samples().swap_remove(4);
    let Entry::Outcome(outcome) = outcome else { panic!("no outcome") };
    let takeover = |first, count| Entry::Takeover(Takeover { time_ns: 1, first: LeafIndex(first), count });
    let forged = [
        (Entry::Call(entries::call(call)), Problem::CallRepeated { call }),
        (
            Entry::Outcome(Outcome { call: unknown, seq: Sequence(1), ..outcome }),
            Problem::CallUnknown { call: unknown },
        ),
        (takeover(size, 2), Problem::NotBefore { first: LeafIndex(size), count: 2 }),
    ];
    for (entry, problem) in forged {
        let left = as_left_by_a_kill(dir.path());
        forge(left.path(), &[policy(), entry.encode()]);
        let before = ledgers::files(left.path());
        let error = reopened(left.path()).unwrap_err();
        let OpenError::Senseless { index, problem: found, .. } = error else { panic!("{error}") };
        assert_eq!((index, found), (LeafIndex(size + 1), problem));
        let after = ledgers::files(left.path());
        assert_eq!((&after["journal"], &after["checkpoint"]), (&before["journal"], &before["checkpoint"]));
    }
}

#[test]
fn a_ledger_that_has_no_room_to_say_what_it_took_over_signs_nothing() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.append(&vec![policy(); 200]).unwrap();
    ledger.checkpoint().unwrap();
    ledger.append(&[policy()]).unwrap();
    let left = as_left_by_a_kill(dir.path());
    let before = ledgers::files(left.path());
    let exe = std::env::current_exe().unwrap();
    // A file size limit, with its signal ignored, makes writes fail as a full disk does.
    let script = r#"trap "" XFSZ; ulimit -f 8; exec "$0" --exact child_has_no_room_to_open --ignored"#;
    let child = Command::new("sh").args(["-c", script]).arg(exe).env(DIR, left.path()).output().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    let after = ledgers::files(left.path());
    assert_eq!((&after["journal"], &after["checkpoint"]), (&before["journal"], &before["checkpoint"]));
    assert_eq!(reopened(left.path()).unwrap().recovery().taken_over, 1);
}

#[test]
#[ignore = "run as a child"]
fn child_has_no_room_to_open() {
    let dir = std::env::var_os(DIR).unwrap();
    assert!(reopened(Path::new(&dir)).is_err());
}

/// Its writer runs in another process and signs a moment after verification began; or before, which shows nothing.
#[test]
fn the_next_checkpoint_of_a_running_writer_is_awaited() {
    let dir = tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_signs_late", "--ignored", "--nocapture"])
        .env(DIR, dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line == "appended"));
    let found = verify(dir.path(), None).unwrap();
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    child.wait().unwrap();
    assert!(found.is_clean() && found.is_complete(), "{:?} {}", found.findings, found.newer);
    assert_eq!((found.size, found.signed_to), (TreeSize(7), TreeSize(7)));
}

#[test]
#[ignore = "run as a child"]
fn child_signs_late() {
    let ledger = open(Path::new(&std::env::var_os(DIR).unwrap()));
    record_call(&ledger, 1);
    std::io::stdout().write_all(b"\nappended\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    ledger.checkpoint().unwrap();
    // It has the ledger until it was verified.
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

const DIR: &str = "TOLLGATE_AUDIT_TEST_DIR";
