//! A ledger whose journal ends within an entry: whoever reads it says what is left out.

use std::fs;

use serde_json::Value;

use super::counted;
use crate::desk::{Desk, Ran};

/// Cuts the last bytes off the journal; the number of entries before.
fn cut(desk: &Desk, bytes: usize) -> u64 {
    let entries = desk.entries().len() as u64;
    let journal = fs::read(desk.path("ledger/journal")).unwrap();
    fs::write(desk.path("ledger/journal"), &journal[..journal.len() - bytes]).unwrap();
    entries
}

fn says_what_is_left_out(ran: &Ran, entries: u64) {
    let index = entries - 1;
    let torn = format!("the journal ends within entry {index}, which starts at byte ");
    assert_eq!(ran.code, 5, "{ran:?}");
    ran.says(&[
        "the last entry of the ledger in `ledger` is not whole",
        &torn,
        " are left out",
        "tollgate audit verify",
    ]);
}

#[test]
fn what_is_left_out_is_said_on_stderr_and_the_rest_is_given() {
    let desk = counted();
    let whole = [&["audit", "show"][..], &["audit", "export"], &["audit", "show", "--last", "9999"]];
    let before = whole.map(|args| desk.run(args).stdout);
    let key = desk.key();
    let entries = cut(&desk, 9);
    for (args, before) in whole.into_iter().zip(before) {
        let ran = desk.run(args);
        says_what_is_left_out(&ran, entries);
        assert_eq!(ran.stdout.lines().count() as u64, entries - 1, "{args:?}");
        assert!(before.starts_with(&ran.stdout), "{args:?}");
    }
    let shown = desk.run(&["audit", "show", "--json"]);
    let last: Value = serde_json::from_str(shown.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((shown.code, &last["ok"], &last["error"]["kind"]), (5, &false.into(), &"internal".into()), "{shown:?}");

    let replayed = desk.run(&["audit", "replay"]);
    says_what_is_left_out(&replayed, entries);
    assert!(replayed.stdout.starts_with("repeated in part: ledger\n"), "{replayed:?}");
    let replayed = desk.run(&["audit", "replay", "--json"]);
    says_what_is_left_out(&replayed, entries);
    assert_eq!(replayed.report()["ok"], false, "{replayed:?}");

    // There may be a newer one.
    let keys = desk.run(&["audit", "key"]);
    says_what_is_left_out(&keys, entries);
    assert_eq!(keys.stdout, format!("{key}\n"));
    says_what_is_left_out(&desk.run(&["audit", "show", "--call", "0000"]), entries);
    let found = desk.run(&["audit", "verify"]);
    assert!(found.code == 5 && found.stdout.starts_with("DOES NOT VERIFY: ledger\n"), "{found:?}");
    let lost = format!("{entries} entries are known to have been here");
    assert_eq!(found.stdout.matches(&lost).count(), 1, "checkpoint and memory say the same: {found:?}");
}

#[test]
fn a_key_that_is_not_there_is_not_promised() {
    let desk = counted();
    let journal = fs::read(desk.path("ledger/journal")).unwrap();
    fs::write(desk.path("ledger/journal"), &journal[..9]).unwrap();
    let ran = desk.run(&["audit", "key"]);
    assert_eq!(ran.stdout, "", "{ran:?}");
    says_what_is_left_out(&ran, 1);
    fs::write(desk.path("ledger/journal"), "").unwrap();
    let ran = desk.run(&["audit", "key"]);
    ran.fails(2, &["no entry of the ledger names a key", "tollgate audit verify"]);
    assert!(!ran.stderr.contains("tollgate run"), "{ran:?}");
    let mut damaged = journal;
    let middle = damaged.len() / 2;
    damaged[middle..middle + 60].fill(0xff);
    fs::write(desk.path("ledger/journal"), damaged).unwrap();
    let ran = desk.run(&["audit", "key"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    ran.says(&["is damaged", "`tollgate audit show` prints what stands before the damage"]);
    assert!(ran.stdout.starts_with("tollgate.local/ledger/"), "{ran:?}");
}

#[test]
fn a_newline_in_the_path_of_a_ledger_starts_no_line() {
    let desk = counted();
    let evil = "ledger\nverified: forged";
    for beside in ["", ".key", ".state"] {
        fs::rename(desk.path(&format!("ledger{beside}")), desk.path(&format!("{evil}{beside}"))).unwrap();
    }
    for (command, first) in [("verify", "verified: "), ("replay", "repeated: ")] {
        let ran = desk.run(&["audit", command, "--ledger", evil]);
        assert!(ran.stdout.starts_with(&format!("{first}ledger\\nverified: forged\n")), "{ran:?}");
    }
    fs::write(desk.path(evil).join("journal"), "").unwrap();
    for command in ["show", "key", "verify", "replay"] {
        let ran = desk.run(&["audit", command, "--ledger", evil]);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.lines().any(|line| line.starts_with("verified: forged")), "{ran:?}");
    }
}
