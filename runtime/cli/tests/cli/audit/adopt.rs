//! A ledger that is not what it remembers to be: nothing runs on it, nothing of it is called verified, and
//! `tollgate audit adopt` goes on with it, on record.

use std::fs;

use super::counted;
use crate::desk::Desk;

/// Where each frame of a journal starts and ends.
fn frames(journal: &[u8]) -> Vec<&[u8]> {
    let (mut frames, mut rest) = (Vec::new(), journal);
    while let [high, low, ..] = rest {
        let (frame, after) = rest.split_at(2 + usize::from(u16::from_be_bytes([*high, *low])) + 4);
        frames.push(frame);
        rest = after;
    }
    frames
}

/// Adds a `policy` entry behind the back of whoever has the key; the number of entries before.
fn forge(desk: &Desk, journal: &str) -> usize {
    let whole = fs::read(desk.path(journal)).unwrap();
    let policy = desk.entries().iter().position(|entry| entry["kind"] == "policy").unwrap();
    let frames = frames(&whole);
    fs::write(desk.path(journal), [&whole[..], frames[policy]].concat()).unwrap();
    frames.len()
}

#[test]
fn forged_entries_are_neither_signed_nor_called_verified() {
    let desk = counted();
    let checkpoint = fs::read(desk.path("ledger/checkpoint")).unwrap();
    let signed = forge(&desk, "ledger/journal");
    let newer = format!("signed to {signed}; 1 newer, not proven");
    let forged = fs::read(desk.path("ledger/journal")).unwrap();

    let ran = desk.run(&["audit", "verify"]);
    assert_eq!((ran.code, ran.stdout.starts_with("DOES NOT VERIFY: ledger\n")), (5, true), "{ran:?}");
    assert!(ran.stdout.contains("forged by somebody") && ran.stdout.contains(&newer), "{ran:?}");
    desk.count(&[]).fails(5, &["forged: 1 entries were added", "nothing was run", "audit adopt --reason TEXT"]);
    assert_eq!(fs::read(desk.path("ledger/journal")).unwrap(), forged, "nothing was written");
    assert_eq!(fs::read(desk.path("ledger/checkpoint")).unwrap(), checkpoint, "nothing was signed");
}

/// Whoever has the folder alone cannot know that it was closed.
#[test]
fn entries_that_nobody_signed_are_not_called_verified() {
    let desk = counted();
    fs::create_dir(desk.path("copy")).unwrap();
    let copied = std::process::Command::new("cp").args(["-r", "ledger/.", "copy"]).current_dir(desk.path("")).status();
    assert!(copied.unwrap().success());
    let signed = forge(&desk, "copy/journal");
    let verify = ["audit", "verify", "--ledger", "copy"];
    let ran = desk.run(&verify);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with(&format!("signed to {signed}; 1 newer, not proven: copy\n")), "{ran:?}");
    assert!(ran.stdout.contains("  unproven the 1 newer entries."), "{ran:?}");
    let complete = desk.run(&[&verify[..], &["--complete", "--json"]].concat());
    let report = complete.report();
    assert_eq!((complete.code, &report["complete"], &report["newer"]), (5, &false.into(), &1.into()), "{complete:?}");
    let whole = desk.run(&["audit", "verify", "--complete"]);
    assert_eq!((whole.code, whole.stdout.starts_with("verified: ledger\n")), (0, true), "{whole:?}");
}

#[test]
fn a_ledger_without_its_memory_runs_nothing_until_it_is_adopted() {
    let desk = counted();
    fs::remove_file(desk.path("ledger.state")).unwrap();
    let words = ["ledger.state is gone", "the ledger is not new", "nothing was run", "audit adopt --reason TEXT"];
    desk.count(&[]).fails(5, &words);
    assert!(!desk.path("ledger.state").exists());
    desk.run(&["audit", "adopt"]).fails(2, &["--reason"]);
    for nothing in ["", " "] {
        desk.run(&["audit", "adopt", "--reason", nothing]).fails(2, &["`--reason` is given no words", "say why"]);
        desk.run(&["audit", "adopt", "--reason", "a", "--by", nothing]).fails(2, &["`--by` is given no words"]);
    }
    let adopted = desk.run(&["audit", "adopt", "--reason", "the disk was\u{1b}[2J restored", "--by", "ops"]);
    assert_eq!((adopted.code, adopted.stderr.as_str()), (0, ""), "{adopted:?}");
    assert!(adopted.stdout.starts_with("adopted: ledger, now "), "{adopted:?}");
    desk.run(&["audit", "adopt", "--reason", "again"]).fails(2, &["there is nothing to adopt"]);
    desk.count(&[]).json();

    let shown = desk.run(&["audit", "show", "--kind", "adoption"]).stdout;
    assert!(shown.contains("adoption   by ops: remembered nothing; the disk was"), "{shown}");
    assert!(shown.contains("restored\n") && !shown.contains('\u{1b}'), "{shown:?}");
    let exported = desk.run(&["audit", "export", "--kind", "adoption"]).json();
    assert_eq!((&exported["entry"]["by"], exported["time_ns"].is_u64()), (&"ops".into(), true), "{exported}");
    let verified = desk.run(&["audit", "verify"]);
    let adopted_at = exported["index"].as_u64().unwrap();
    let unproven = format!(
        "  unproven that nothing is missing before entry {adopted_at}, where an operator adopted the ledger.\n"
    );
    assert!(verified.code == 0 && verified.stdout.contains(&unproven), "{verified:?}");
    assert!(verified.stdout.contains(" entries, none changed or out of order.\n"), "{verified:?}");
    assert!(!verified.stdout.contains(", missing"), "nothing speaks of what the adoption gave up: {verified:?}");
    let report = desk.run(&["audit", "report"]).stdout;
    assert!(report.contains("| Adopted | 1 time, from a copy"), "{report}");
    assert_eq!(desk.run(&["audit", "replay", "--strict"]).code, 0);
}

/// Nothing is left but the key: an operator's word starts the ledger again, on record.
#[test]
fn a_ledger_that_lost_every_entry_is_adopted() {
    for lost in [&["ledger.state", "ledger/checkpoint"][..], &["ledger/checkpoint"]] {
        let desk = counted();
        let key = desk.key();
        fs::write(desk.path("ledger/journal"), "").unwrap();
        fs::remove_dir_all(desk.path("ledger/tile")).unwrap();
        for file in lost {
            fs::remove_file(desk.path(file)).unwrap();
        }
        desk.count(&[]).fails(5, &["nothing was run", "audit adopt --reason TEXT"]);
        assert_eq!(fs::read(desk.path("ledger/journal")).unwrap(), b"");
        let adopted = desk.run(&["audit", "adopt", "--reason", "emptied"]);
        assert_eq!((adopted.code, adopted.stderr.as_str()), (0, ""), "{lost:?}: {adopted:?}");
        desk.count(&[]).json();
        let verified = desk.run(&["audit", "verify", "--complete", "--key", &key]);
        assert_eq!(verified.code, 0, "{lost:?}: {verified:?}");
        let unproven = "  unproven that nothing is missing before entry 1, where an operator adopted the ledger.\n";
        assert!(verified.stdout.contains(unproven), "{verified:?}");
        assert_eq!(desk.run(&["audit", "adopt", "--reason", "again"]).code, 2, "nothing to adopt");
    }
}

/// The folder of a ledger in use was copied, its journal first: what its newer checkpoint signs is lost.
#[test]
fn a_copy_with_a_newer_checkpoint_is_adopted_on_record_and_never_run_before() {
    let desk = counted();
    let journal = fs::read(desk.path("ledger/journal")).unwrap();
    fs::write(desk.path("ledger/journal"), &journal[..journal.len() - 9]).unwrap();
    let entries = frames(&journal).len() as u64;
    desk.count(&[]).fails(5, &["data lost", "nothing was run", "audit adopt --reason TEXT"]);
    assert_eq!(fs::read(desk.path("ledger/journal")).unwrap().len(), journal.len() - 9);
    let adopted = desk.run(&["audit", "adopt", "--reason", "last night's copy"]);
    assert_eq!((adopted.code, adopted.stderr.as_str()), (0, ""), "{adopted:?}");
    desk.count(&[]).json();
    let known = desk.run(&["audit", "export", "--kind", "adoption"]).json()["entry"].clone();
    assert_eq!((&known["first"], &known["count"]), (&0.into(), &(entries - 1).into()), "{known}");
    let shown = desk.run(&["audit", "show", "--kind", "adoption"]).stdout;
    let said = format!("known to have had {entries} entries; {} entries from 0 on are not proven; last", entries - 1);
    assert!(shown.contains(&said), "{shown}");
    assert_eq!(desk.run(&["audit", "verify", "--complete"]).code, 0);
}

#[test]
fn a_ledger_that_no_reason_mends_is_not_sent_to_adopt_again() {
    let desk = counted();
    fs::write(desk.path("ledger/journal"), "").unwrap();
    let adopt = desk.run(&["audit", "adopt", "--reason", "a copy"]);
    adopt.fails(5, &["data lost: the ledger has 0 entries", "nothing was done", "Restore another copy"]);
    assert!(!adopt.stderr.contains("audit adopt"), "{adopt:?}");
    let desk = counted();
    fs::remove_file(desk.path("ledger.state")).unwrap();
    fs::remove_file(desk.path("ledger.key")).unwrap();
    desk.run(&["audit", "adopt", "--reason", "a copy"])
        .fails(5, &["the ledger's key is gone", "put the ledger's key back"]);
}
