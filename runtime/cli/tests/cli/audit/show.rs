//! `tollgate audit show`: its filters, and following a ledger that grows.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tollgate_audit::{Digest, Entry, Pairs, Policy};
use tollgate_ledger::Ledger;

use crate::desk::{DOCS, Desk};

/// A desk with an allowed call for decision `d-1` and a denied one for `d-2`.
fn two_decisions() -> Desk {
    let desk = Desk::with("word-count");
    desk.count(&["--agent", "writer", "--session", "s-1", "--decision", "d-1"]).json();
    let escape =
        ["run", "tools/word-count.wasm", "--op", "count-file", "--input", r#"{"path": "/docs/../secret.txt"}"#];
    let caller = ["--agent", "reader", "--session", "s-2", "--decision", "d-2"];
    assert_eq!(desk.run(&[&escape[..], &DOCS, &caller].concat()).code, 3);
    desk
}

fn shown(desk: &Desk, filter: &[&str]) -> Vec<Value> {
    let ran = desk.run(&[&["audit", "show", "--json"], filter].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn kinds(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
}

#[test]
fn a_decision_leads_to_its_actions_and_an_action_to_its_decision() {
    let desk = two_decisions();
    let actions = shown(&desk, &["--decision", "d-2"]);
    assert_eq!(kinds(&actions), ["call", "intent", "intent", "violation", "outcome", "call-end"]);
    for action in &actions {
        let context = &action["context"];
        let claims = serde_json::json!({ "agent": "reader", "session": "s-2", "decision": "d-2" });
        assert_eq!((&context["claims"], &context["tool"]), (&claims, &"word-count".into()), "{action}");
        assert_eq!((context.get("agent"), context.get("session")), (None, None), "nobody was proven: {action}");
    }
    let text = desk.run(&["audit", "show", "--kind", "violation"]).stdout;
    assert!(text.contains("leads out of the granted folder decision=d-2\n"), "{text}");
    assert!(shown(&desk, &["--kind", "policy"]).iter().all(|entry| entry["context"].is_null()));
}

#[test]
fn each_filter_chooses() {
    let desk = two_decisions();
    let of_first = shown(&desk, &["--decision", "d-1"]);
    for filter in [["--agent", "writer"], ["--session", "s-1"], ["--operation", "count"]] {
        assert_eq!(shown(&desk, &filter), of_first, "{filter:?}");
    }
    let denied = ["intent", "violation"];
    for filter in
        [["--verdict", "deny"], ["--decision-kind", "deny"], ["--rule", "fs:/docs:beneath"], ["--path", "/secret.txt"]]
    {
        let chosen = shown(&desk, &filter);
        assert!(kinds(&chosen) == denied || filter[0] == "--path", "{filter:?}: {chosen:?}");
    }
    assert_eq!(kinds(&shown(&desk, &["--path", "/docs/a.txt"])), ["intent", "outcome"]);
    assert_eq!(kinds(&shown(&desk, &["--kind", "call-end", "--kind", "policy", "--agent", "reader"])), ["call-end"]);
    let all = desk.entries();
    assert_eq!(shown(&desk, &["--from", "1h"]), all);
    assert_eq!(shown(&desk, &["--from", "2020-01-01", "--until", "2999-01-01T00:00:00+01:00"]), all);
    assert_eq!(shown(&desk, &["--from", "2999-01-01"]).len(), 0);
    assert_eq!(shown(&desk, &["--until", "1h"]).len(), 0);
    assert_eq!(shown(&desk, &["--tool", "nothing"]).len(), 0);
    assert_eq!(shown(&desk, &["--limit", "2"]), all[..2]);
}

/// WASI cannot name such a file, and no tool can open it.
#[test]
fn names_that_are_not_utf8_are_left_out_and_counted_for_people_too() {
    use std::os::unix::ffi::OsStrExt as _;
    let desk = Desk::with("word-count");
    let said = " entries left out of listings: their names are not UTF-8";
    let without = desk.count(&[]).json();
    let ends = ["audit", "show", "--kind", "call-end"];
    assert!(!desk.run(&ends).stdout.contains(said));
    for name in [&b"caf\xe9.txt"[..], b"na\xefve.txt"] {
        fs::write(desk.path("docs").join(std::ffi::OsStr::from_bytes(name)), "not counted\n").unwrap();
    }
    assert_eq!(desk.count(&[]).json(), without);
    let shown = desk.run(&ends).stdout;
    assert_eq!(shown.matches(said).count(), 1, "{shown}");
    assert!(shown.trim_end().ends_with(&format!(" bytes of memory; 2{said}")), "{shown}");
}

#[test]
fn a_filter_that_cannot_be_read_is_refused() {
    let desk = two_decisions();
    desk.run(&["audit", "show", "--from", "noon"]).fails(2, &["`noon` is not a time", "`2h`"]);
    desk.run(&["audit", "show", "--path", "docs"]).fails(2, &["`docs` is not a guest path"]);
    desk.run(&["audit", "show", "--kind", "other"]).fails(2, &["other", "call-end"]);
    desk.run(&["audit", "show", "--verdict", "maybe"]).fails(2, &["maybe", "allow"]);
    desk.run(&["audit", "show", "--private"]).fails(2, &["--call"]);
}

/// What stands before is not read: here it is damaged.
#[test]
fn the_last_entries_of_a_long_ledger_are_shown_without_reading_what_stands_before() {
    let desk = Desk::with("word-count");
    lengthen(&desk.path("ledger"));
    desk.count(&[]).json();
    for decision in ["d-1", "d-2", "d-3"] {
        desk.run(&[
            "run",
            "tools/word-count.wasm",
            "--op",
            "count-file",
            "--input",
            r#"{"path": "/docs/a.txt"}"#,
            "--grant",
            "fs:/docs=docs:read,list",
            "--decision",
            decision,
        ])
        .json();
    }
    let [few, of_one, text] = [
        &["audit", "show", "--json", "--last", "5"][..],
        &["audit", "show", "--json", "--last", "4", "--decision", "d-3"],
        &["audit", "show", "--last", "3", "--kind", "call"],
    ];
    let whole = |args: &[&str]| {
        let shown = desk.run(args);
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown:?}");
        shown.stdout
    };
    let all = whole(&["audit", "show", "--json"]);
    assert!(all.lines().count() > LONG, "{}", all.lines().count());
    let last = |count: usize| {
        all.lines().skip(all.lines().count() - count).map(|line| format!("{line}\n")).collect::<String>()
    };
    let before = [whole(few), whole(of_one), whole(text)];
    assert_eq!(before[0], last(5));
    assert!(before[1].lines().count() == 4 && before[1].lines().all(|line| line.contains("\"decision\":\"d-3\"")));
    assert!(before[2].lines().count() == 3 && before[2].ends_with(" count-file decision=d-3\n"), "{}", before[2]);
    let mut journal = fs::OpenOptions::new().write(true).open(desk.path("ledger/journal")).unwrap();
    journal.write_all(&[0xff; 64]).unwrap();
    assert_eq!([whole(few), whole(of_one), whole(text)], before);
    // What is older is looked for, and the damage is told.
    desk.run(&["audit", "show", "--last", "60000"]).fails(5, &["is damaged"]);
    // Without the writer's memory of where its newer entries are, all is read.
    fs::remove_file(desk.path("ledger.state")).unwrap();
    assert_eq!(desk.run(few).code, 5);
}

/// Makes a ledger of many entries, none of them of a call.
fn lengthen(folder: &Path) {
    let ledger = Ledger::open(folder, "example.org/long", "a test", 1).unwrap();
    let digest = Digest::of(b"nothing");
    let policy = Policy {
        digest,
        manifest: digest,
        grant: digest,
        tool: "other".into(),
        by: "a test".into(),
        folders: Pairs::default(),
        declared: None,
    };
    let entries = vec![Entry::Policy(policy).encode(); LONG / 10];
    for _ in 0..10 {
        ledger.append(&entries).unwrap();
        ledger.checkpoint().unwrap();
    }
}

/// More entries than the writer of a ledger would read again to recover.
const LONG: usize = 40_000;

#[test]
fn following_goes_on_with_what_others_record() {
    let desk = Desk::with("word-count");
    desk.count(&[]).json();
    let follow = ["audit", "show", "--json", "--follow", "--last", "1", "--kind", "call-end", "--limit", "3"];
    let mut follower = desk.command(&follow).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    let first = next();
    let call = desk.count(&["--json", "--decision", "d-3"]).json()["call"].clone();
    let (described, counted) = (next(), next());
    assert!(first["index"].as_u64() < described["index"].as_u64());
    assert_eq!((&counted["call"], &counted["context"]["claims"]["decision"]), (&call, &"d-3".into()));
    assert!(lines.next().is_none(), "three were asked for");
    assert_eq!(follower.wait().unwrap().code(), Some(0));
}

#[test]
fn following_ends_with_its_reader() {
    let desk = Desk::with("word-count");
    desk.count(&[]).json();
    let mut follower = desk.command(&["audit", "show", "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = follower.stdout.take().unwrap();
    out.read_exact(&mut [0; 1]).unwrap();
    drop(out);
    assert_eq!(follower.wait().unwrap().code(), Some(0));
}

#[test]
fn following_ends_by_an_interrupt_with_whole_lines() {
    let desk = Desk::with("word-count");
    desk.count(&[]).json();
    let mut follow = desk.command(&["audit", "show", "--follow"]);
    let mut follower = follow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(follower.stdout.take().unwrap());
    let mut text = String::new();
    while !text.ends_with("bytes of memory\n") || text.matches("call-end").count() < 2 {
        out.read_line(&mut text).unwrap();
    }
    let pid = rustix::process::Pid::from_child(&follower);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    out.read_to_string(&mut text).unwrap();
    assert_eq!(text, desk.run(&["audit", "show"]).stdout);
    let ended = follower.wait_with_output().unwrap();
    assert_eq!((std::os::unix::process::ExitStatusExt::signal(&ended.status), ended.stderr), (Some(2), Vec::new()));
}
