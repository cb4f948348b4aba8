//! Handles: what they were opened for, what they count, and when their intent ends.

use serde_json::{Value, json};
use tollgate_capability::Reason;

use crate::site::{ALL, Line, Refusal, Site};

fn open(path: &str, name: &str, flags: &[&str]) -> Value {
    json!({ "op": "open", "of": "/docs", "path": path, "open": ["create"], "flags": flags, "name": name })
}

fn folder(path: &str, name: &str) -> Value {
    json!({ "op": "open", "of": "/docs", "path": path, "open": ["directory"], "flags": ["read"], "name": name })
}

fn named(op: &str, of: &str, name: &str) -> Value {
    json!({ "op": op, "of": of, "name": name })
}

fn read(of: &str, len: u64) -> Value {
    json!({ "op": "read", "of": of, "len": len })
}

fn write(of: &str, data: &str) -> Value {
    json!({ "op": "write", "of": of, "data": data })
}

/// The totals of each opened file: bytes read, bytes written, calls.
fn totals(record: &[Line]) -> Vec<(u64, u64, u64)> {
    let opened = record.iter().filter(|line| line.function == "open-at" && line.end == "ok");
    opened.map(|line| line.totals).collect()
}

#[test]
fn totals_are_right_whatever_is_dropped_first() {
    let mut site = Site::new();
    let tool = site.load(site.set(ALL));
    let work = [
        open("a.txt", "a", &["read", "write"]),
        named("input", "a", "in"),
        named("output", "a", "out"),
        named("append", "a", "end"),
        read("in", 2),
        read("in", 2),
        write("out", "AL"),
        write("end", "!!!"),
        read("a", 100),
        write("a", "al"),
    ];
    for order in
        [["a", "in", "out", "end"], ["end", "out", "in", "a"], ["in", "a", "end", "out"], ["out", "end", "a", "in"]]
    {
        site.lab.file("docs/a.txt", "alpha");
        let drops = order.map(|of| named("drop", of, ""));
        let steps: Vec<_> = work.iter().cloned().chain(drops).collect();
        let taken = site.steps(&tool, "handles", &steps);
        assert_eq!(taken.codes(), vec!["ok"; steps.len()], "{order:?}");
        // Three streams were made, and six times bytes were moved.
        assert_eq!(totals(&taken.record), [(4 + 8, 2 + 3 + 2, 9)], "{order:?}");
    }
    site.lab.verified();
}

#[test]
fn a_stream_outlives_its_descriptor() {
    let mut site = Site::new();
    let tool = site.load(site.set(ALL));
    let steps = [
        open("a.txt", "a", &["read"]),
        named("input", "a", "in"),
        named("drop", "a", ""),
        read("in", 3),
        json!({ "op": "skip", "of": "in", "len": 1 }),
        read("in", 100),
        read("in", 100),
        folder("sub", "sub"),
        json!({ "op": "open", "of": "sub", "path": "b.txt", "flags": ["read"], "name": "b" }),
        named("drop", "sub", ""),
        read("b", 100),
    ];
    let taken = site.steps(&tool, "handles", &steps);
    let texts: Vec<_> = [3, 5, 6, 10].map(|place: usize| &taken.outcomes[place]["ok"]).to_vec();
    assert_eq!(texts, ["alp", "a", "", "beta"]);
    assert_eq!(totals(&taken.record), [(5, 0, 5), (0, 0, 0), (4, 0, 1)]);
}

#[test]
fn what_is_left_open_ends_with_the_call() {
    let mut site = Site::new();
    let tool = site.load(site.set(ALL));
    let steps = [
        open("a.txt", "a", &["read"]),
        read("a", 100),
        open("new", "new", &["write"]),
        named("output", "new", "out"),
        named("drop", "new", ""),
        write("out", "new text"),
        folder("sub", "sub"),
        json!({ "op": "list", "of": "sub" }),
    ];
    let taken = site.steps(&tool, "handles", &steps);
    assert_eq!(totals(&taken.record), [(5, 0, 1), (0, 8, 2), (0, 0, 1)]);
    assert_eq!(site.text("docs/new"), "new text");
    site.lab.verified();
}

#[test]
fn what_is_open_when_a_guest_is_killed_ends_with_its_totals() {
    let mut site = Site::new();
    let tool = site.load(site.set("read"));
    let steps = [open("a.txt", "a", &["read"]), read("a", 3), write("a", "x")];
    let failure = site.fails(&tool, "handles", &steps);
    let record = site.record(failure.call.expect("a call that ran"));
    let lines: Vec<_> = record.iter().map(ToString::to_string).collect();
    let denied = "write fs:/docs:write -> gate kill fs:/docs:write: it is not granted";
    assert_eq!(lines, ["open-at fs:/docs:read -> ok", denied]);
    assert_eq!(totals(&record), [(3, 0, 1)]);
    assert_eq!(site.text("docs/a.txt"), "alpha");
    site.lab.verified();
}

#[test]
fn a_handle_gives_no_more_than_it_was_opened_for() {
    let mut site = Site::new();
    let opened = |flags: &[&str], then: &str| json!({ "op": "open-at", "base": "/docs", "path": "a.txt", "flags": flags, "then": then, "data": "x" });
    let refused = |flags: &[&str], then: &str, right: &str| (opened(flags, then), format!("fs:/docs:{right}"));
    let cases = [
        refused(&["read"], "write", "write"),
        refused(&["read"], "write-via-stream", "write"),
        refused(&["read"], "append-via-stream", "write"),
        refused(&["read"], "set-size", "write"),
        refused(&["read"], "set-times", "write"),
        refused(&["write"], "read", "read"),
        refused(&["write"], "read-via-stream", "read"),
    ];
    let before = site.snapshot();
    let tool = site.lenient(site.set(ALL));
    let steps: Vec<_> = cases.iter().map(|(step, _)| step.clone()).collect();
    let taken = site.raw(&tool, &steps);
    assert_eq!(taken.codes(), ["not-permitted"; 7]);
    let denied: Vec<_> = taken.record.iter().filter(|line| line.end != "ok").map(|line| line.rule.clone()).collect();
    assert_eq!(denied, cases.map(|(_, rule)| rule));
    let tool = site.load(site.set(ALL));
    for step in &steps {
        let failure = site.fails(&tool, "raw", std::slice::from_ref(step));
        assert!(matches!(failure.error, tollgate::CallError::Violation(_)), "{step}: {failure}");
    }
    assert_eq!(site.snapshot(), before);
    site.lab.verified();
}

#[test]
fn folders_are_no_files_and_files_no_folders() {
    let mut site = Site::odd();
    let tool = site.load(site.set(ALL));
    let before = site.snapshot();
    let on_folder = |then: &str| json!({ "op": "open-at", "base": "/docs", "path": "sub", "open": ["directory"], "then": then, "data": "x" });
    for (then, code) in [
        ("read", "bad-descriptor"),
        ("write", "bad-descriptor"),
        ("read-via-stream", "is-directory"),
        ("write-via-stream", "bad-descriptor"),
        ("append-via-stream", "bad-descriptor"),
        ("set-size", "bad-descriptor"),
        ("advise", "bad-descriptor"),
        ("sync", "ok"),
        ("sync-data", "ok"),
        ("stat", "ok"),
        ("get-type", "ok"),
    ] {
        assert_eq!(site.raw(&tool, &[on_folder(then)]).codes(), [code], "{then}");
    }
    let listed =
        json!({ "op": "open-at", "base": "/docs", "path": "a.txt", "flags": ["read"], "then": "read-directory" });
    let refusal = Refusal::new(
        json!({ "op": "preopen", "base": "/docs", "then": "set-times" }),
        "fs:/docs:write",
        Reason::NotGranted,
    );
    site.refused(&site.set(ALL), &[refusal]);
    let lenient = site.lenient(site.set(ALL));
    assert_eq!(site.raw(&lenient, &[listed]).codes(), ["not-permitted"], "a handle on a file has no right to list");
    let file = open("a.txt", "a", &["read"]);
    for op in ["open", "list"] {
        let on_file = json!({ "op": op, "of": "a", "path": "x", "name": "x" });
        let code = site.steps(&lenient, "handles", &[file.clone(), on_file]).outcomes[1]["err"]["kind"].clone();
        assert_eq!(code, if op == "open" { "not-directory" } else { "not-permitted" });
    }
    assert_eq!(site.snapshot(), before);
}

#[test]
fn a_file_that_was_opened_can_be_asked_about_without_a_right_on_its_path() {
    let mut site = Site::new();
    let tool = site.load(site.set("read"));
    let asked = ["stat", "get-type", "get-flags", "metadata-hash", "advise", "sync", "is-same-object"];
    let steps =
        asked.map(|then| json!({ "op": "open-at", "base": "/docs", "path": "a.txt", "flags": ["read"], "then": then }));
    let taken = site.raw(&tool, &steps);
    assert_eq!(taken.codes(), ["ok"; 7]);
    assert_eq!(taken.outcomes[0]["ok"]["len"], 5);
}

#[test]
fn offsets_beyond_the_end_read_nothing_and_beyond_all_files_fail() {
    let mut site = Site::new();
    let tool = site.load(site.set("read"));
    let read = |then: &str, offset: u64| json!({ "op": "open-at", "base": "/docs", "path": "a.txt", "flags": ["read"], "then": then, "offset": offset });
    let far = u64::MAX;
    let steps = [read("read", 5), read("read-via-stream", 1 << 40), read("read", far), read("read-via-stream", far)];
    let taken = site.raw(&tool, &steps);
    assert_eq!(taken.codes(), ["ok", "ok", "invalid", "stream"]);
    assert_eq!([&taken.outcomes[0]["ok"], &taken.outcomes[1]["ok"]], ["", ""]);
}
