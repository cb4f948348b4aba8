//! Commands cost what they show, not what there is: how many bytes they read on a long ledger, compared with a short one, and
//! beside hundreds of tools, compared with one. What must read everything is not here.

use std::process::Stdio;

use tollgate_audit::read_for_call;
use tollgate_ledger::Ledger;

use crate::desk::{DOCS, Desk};
use crate::large::{bytes_read, lengthen, multiply};

/// A desk with a ledger of so many entries at least, and two calls of it: one in its middle, and the last one.
fn desk(entries: u64) -> (Desk, String, String) {
    let desk = Desk::with("word-count");
    desk.count(&["--grant", "audit:arguments=full"]).json();
    let calls = lengthen(&desk.path("ledger"), entries);
    (desk, calls[calls.len() / 2].to_string(), calls[calls.len() - 1].to_string())
}

/// How many bytes a command reads that succeeds.
#[track_caller]
fn read_by(desk: &Desk, args: &[&str]) -> u64 {
    let mut child = desk.command(args).stdout(Stdio::null()).spawn().unwrap();
    let bytes = bytes_read(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}");
    bytes
}

#[test]
fn what_shows_little_of_a_long_ledger_reads_little() {
    let desks = [desk(40_000), desk(120_000)];
    let journal_bytes = desks[1].0.path("ledger/journal").metadata().unwrap().len();
    assert!(journal_bytes > 2 * MORE_BYTES_MAX, "{journal_bytes}");
    for args in [
        &["audit", "key"][..],
        &["audit", "show", "--last", "5"],
        &["audit", "show", "--last", "5", "--kind", "call"],
        &["audit", "show", "--limit", "5"],
        &["audit", "show", "--call", "LAST"],
        &["audit", "show", "--call", "LAST", "--private"],
        &["audit", "show", "--call", "LAST", "--last", "5"],
        &["audit", "export", "--call", "LAST"],
        &["audit", "replay", "--call", "LAST"],
        &["audit", "prove", "--call", "MIDDLE"],
        &["audit", "prove", "--call", "MIDDLE", "--intent", "1"],
        &[
            "run",
            "tools/word-count.wasm",
            "--op",
            "count",
            "--input",
            r#"{"folder": "/docs"}"#,
            "--grant",
            "fs:/docs=docs:read,list",
        ],
    ] {
        let [short, long] = desks.each_ref().map(|(desk, middle, last)| {
            let named = |word: &&'static str| match *word {
                "MIDDLE" => middle.clone(),
                "LAST" => last.clone(),
                word => word.to_owned(),
            };
            let args: Vec<_> = args.iter().map(named).collect();
            read_by(desk, &args.iter().map(String::as_str).collect::<Vec<_>>())
        });
        assert!(long < short + MORE_BYTES_MAX, "{args:?} reads {short} bytes of a short ledger, {long} of a long one");
    }
    // Of the side store all is read: to find what there is, to leave it out, and to write the rest anew.
    let [short, long] = desks.each_ref().map(|(desk, middle, _last)| {
        let side_store = desk.path("ledger.private/00000001.open").metadata().unwrap().len();
        read_by(desk, &["audit", "erase", "--call", middle]) - 3 * side_store
    });
    assert!(long < short + MORE_BYTES_MAX, "an erasure reads {short} bytes of a short ledger, {long} of a long one");
}

#[test]
fn a_call_that_is_sought_by_its_time_is_shown_as_by_reading_everything() {
    let (desk, middle, last) = desk(5_000);
    for call in [middle, last, desk.last_call()] {
        let shown = desk.run(&["audit", "show", "--call", &call]);
        // Not a whole id: all is read.
        let all = desk.run(&["audit", "show", "--call", &call[..31]]);
        let of_it = format!("{}…{}", &call[..4], &call[20..]);
        let expected: String =
            all.stdout.lines().filter(|line| line.contains(&of_it)).map(|line| format!("{line}\n")).collect();
        assert!(expected.lines().count() > 5, "{expected}");
        assert_eq!((shown.code, shown.stdout, shown.stderr), (0, expected, String::new()));
        assert!(desk.run(&["audit", "prove", "--call", &call]).code == 0);
    }
    let nobody = "f".repeat(32);
    desk.run(&["audit", "show", "--call", &nobody]).fails(2, &["has no call", &nobody]);
}

/// Where tiles are lost or are not the journal's, and where the ledger's memory is gone, the journal alone says where a call is.
#[test]
fn a_call_is_found_without_tiles_and_memory_too() {
    let (desk, middle, _last) = desk(5_000);
    let (ledger, call) = (desk.path("ledger"), middle.parse().unwrap());
    let first = || {
        let entry = read_for_call(&ledger, call).unwrap().find(|read| read.as_ref().unwrap().1.call() == Some(call));
        entry.unwrap().unwrap()
    };
    let start = || read_for_call(&ledger, call).unwrap().index().unwrap().0;
    let found = first();
    assert!(start() > 1_000, "it is sought from the start");
    let bundle = |number: u64| desk.path(&format!("ledger/tile/entries/{number:03}"));
    let before = bundle(start() / 256);
    let other = std::fs::read(bundle(0)).unwrap();
    let own = std::fs::read(&before).unwrap();
    std::fs::write(&before, &other).unwrap();
    assert_eq!((start(), first()), (0, found.clone()), "the bundle is another one");
    std::fs::write(&before, &own).unwrap();
    assert!(start() > 1_000);
    std::fs::remove_file(&before).unwrap();
    assert_eq!((start(), first()), (0, found.clone()), "the bundle is lost");
    std::fs::write(&before, &own).unwrap();
    std::fs::remove_file(desk.path("ledger.state")).unwrap();
    assert_eq!((start(), first()), (0, found), "the memory is lost");
}

#[test]
fn a_key_that_took_over_is_told_after_the_one_before_it() {
    let desk = Desk::with("word-count");
    desk.count(&[]).json();
    let first = desk.key();
    let ledger = Ledger::reopen(&desk.path("ledger"), "a test", 0).unwrap();
    let second = ledger.rotate_key(1).unwrap().to_string();
    drop(ledger);
    assert_eq!(desk.key().lines().collect::<Vec<_>>(), [&first, &second]);
    lengthen(&desk.path("ledger"), 10_000);
    assert_eq!(desk.key().lines().collect::<Vec<_>>(), [&first, &second]);
}

#[test]
fn a_tool_is_run_and_listed_among_hundreds_without_reading_the_others() {
    let desk = Desk::with("word-count");
    let install = desk.run(&["install", "tools/word-count.wasm", "--name", "word-count"]);
    assert_eq!(install.code, 0, "{install:?}");
    let input = ["--op", "count", "--input", r#"{"folder": "/docs"}"#];
    let run = [&["run", "word-count"], &input[..], &DOCS].concat();
    let inspect = [&["inspect", "word-count"], &DOCS[..]].concat();
    let commands: [&[&str]; 5] = [&run, &inspect, &["show", "word-count"], &["list"], &["list", "--json"]];
    read_by(&desk, &run);
    let alone = commands.map(|args| read_by(&desk, args));
    multiply(&desk.home(), "word-count", TOOLS);
    let among = commands.map(|args| read_by(&desk, args));
    assert_eq!(desk.run(&["list"]).stdout.lines().count(), 1 + TOOLS);
    let per_tool = [0, 0, 0, TOOL_BYTES_MAX, RECORD_BYTES_MAX];
    for (place, args) in commands.iter().enumerate() {
        let more = per_tool[place] * TOOLS as u64 + (64 << 10);
        assert!(among[place] < alone[place] + more, "{args:?}: {} bytes alone, {}", alone[place], among[place]);
    }
}

/// What a command may read more of a ledger that is three times as long: the entries that its writer would read again to recover,
/// some 40,000 at most, and a few bundles.
const MORE_BYTES_MAX: u64 = 6 << 20;

const TOOLS: usize = 300;

/// Record and manifest; the component alone has 200 KiB.
const TOOL_BYTES_MAX: u64 = 2 << 10;

const RECORD_BYTES_MAX: u64 = 1 << 10;
