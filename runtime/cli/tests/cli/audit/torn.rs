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
    assert_eq!((ran.code, ran.stdout.as_str()), (5, ""), "{ran:?}");
    ran.says(&["entries are missing at its end"]);
    for counts in ["ledger.state", "ledger/checkpoint"] {
        fs::remove_file(desk.path(counts)).unwrap();
    }
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

/// Where entries end there is nothing torn to see.
#[test]
fn a_journal_that_was_cut_between_entries_is_told_from_a_whole_one() {
    let desk = counted();
    let commands =
        [&["audit", "show"][..], &["audit", "export"], &["audit", "show", "--last", "9999"], &["audit", "key"]];
    let before = commands.map(|args| desk.run(args).stdout);
    let entries = desk.entries().len();
    let (journal, state) =
        (fs::read(desk.path("ledger/journal")).unwrap(), fs::read(desk.path("ledger.state")).unwrap());
    // Each frame: its length, the entry, four bytes to check it by.
    let mut ends = vec![0];
    while let Some([high, low]) = journal.get(ends[ends.len() - 1]..).and_then(|rest| rest.first_chunk()) {
        ends.push(ends[ends.len() - 1] + 6 + usize::from(u16::from_be_bytes([*high, *low])));
    }
    assert_eq!(ends.len(), entries + 1);
    let missing = [
        "the ledger in `ledger` is not whole: entries are missing at its end".to_owned(),
        format!("{entries} entries are known to have been here"),
        "`tollgate audit verify` says more".to_owned(),
    ];
    let is_missing = |ran: &Ran| {
        assert_eq!(ran.code, 5, "{ran:?}");
        ran.says(&missing.each_ref().map(String::as_str));
    };
    for left in [entries - 1, entries / 2, 1] {
        fs::write(desk.path("ledger/journal"), &journal[..ends[left]]).unwrap();
        for is_remembered in [true, false] {
            // The checkpoint alone says it too.
            fs::write(desk.path("ledger.state"), if is_remembered { &state[..] } else { b"" }).unwrap();
            for (args, before) in commands.into_iter().zip(&before) {
                let ran = desk.run(args);
                is_missing(&ran);
                assert!(before.starts_with(&ran.stdout) && !ran.stdout.is_empty(), "{args:?}: {ran:?}");
            }
            let replayed = desk.run(&["audit", "replay"]);
            is_missing(&replayed);
            assert!(replayed.stdout.starts_with("repeated in part: ledger\n"), "{replayed:?}");
        }
    }
    fs::write(desk.path("ledger/journal"), &journal).unwrap();
    assert_eq!(commands.map(|args| desk.run(args).stdout), before);
}

/// Who reads while another writes is told nothing of the kind, wherever the reading ends.
#[test]
fn a_ledger_that_is_written_to_meanwhile_is_whole() {
    let desk = counted();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (0..4).for_each(|_| drop(desk.count(&[]).json())));
        while !writer.is_finished() {
            let shown = desk.run(&["audit", "export"]);
            assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown:?}");
        }
    });
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
