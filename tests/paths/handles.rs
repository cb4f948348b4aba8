//! Handles: what they were opened for, what they count, and when their intent ends.

use serde_json::{Value, json};
use tollgate_capability::{CapabilitySet, ClockMode};

use tollgate_workspace::site::{ALL, Line, Site};

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

/// The grant has the right and the handle lacks it: no grant mends that, so it is no violation but Linux's own error.
#[test]
fn a_handle_gives_no_more_than_it_was_opened_for() {
    let mut site = Site::odd();
    let opened = |flags: &[&str], then: &str| json!({ "op": "open-at", "base": "/docs", "path": "a.txt", "flags": flags, "then": then, "data": "x" });
    let cases = [
        (opened(&["read"], "write"), "bad-descriptor"),
        (opened(&["read"], "write-via-stream"), "bad-descriptor"),
        (opened(&["read"], "append-via-stream"), "bad-descriptor"),
        (opened(&["read"], "set-size"), "invalid"),
        (opened(&["read"], "read-directory"), "not-directory"),
        (opened(&["write"], "read"), "bad-descriptor"),
        (opened(&["write"], "read-via-stream"), "bad-descriptor"),
    ];
    let before = site.snapshot();
    let tool = site.load(site.set(ALL));
    let steps: Vec<_> = cases.iter().map(|(step, _)| step.clone()).collect();
    let taken = site.raw(&tool, &steps);
    assert_eq!(taken.codes(), cases.map(|(_, code)| code));
    assert!(taken.record.iter().all(|line| line.end == "ok"), "{:?}", taken.record);
    assert_eq!(site.snapshot(), before);
    site.lab.verified();
}

#[test]
fn times_are_set_by_any_handle_where_writing_is_granted() {
    let mut site = Site::new();
    let tool = site.load(CapabilitySet { wall_clock: Some(ClockMode::Real), ..site.set(ALL) });
    let open = |path: &str, flags: &[&str], open: &[&str], then: &str| json!({ "op": "open-at", "base": "/docs", "path": path, "flags": flags, "open": open, "then": then });
    let preopen = |then: &str| json!({ "op": "preopen", "base": "/docs", "then": then });
    let set = [
        open("a.txt", &["read"], &[], "set-times"),
        open("sub", &["read"], &["directory"], "set-times"),
        preopen("set-times"),
    ];
    assert_eq!(site.raw(&tool, &set).codes(), ["ok"; 3]);
    let told = site.raw(
        &tool,
        &[open("a.txt", &["read"], &[], "stat"), open("sub", &["read"], &["directory"], "stat"), preopen("stat")],
    );
    for outcome in &told.outcomes {
        assert_eq!(outcome["ok"]["times"][1], json!([1_000_000, 0]), "{outcome}");
    }
    let unlisted = site.load(site.set("read,write,create,delete,metadata"));
    assert_eq!(site.raw(&unlisted, &[preopen("set-times")]).codes(), ["access"], "a place only");
}

#[test]
fn the_flags_of_a_folder_tell_whether_it_may_be_changed() {
    let mut site = Site::new();
    let opened = json!({ "op": "open-at", "base": "/docs", "path": "sub", "open": ["directory"], "flags": ["read"], "then": "get-flags" });
    let steps = [json!({ "op": "preopen", "base": "/docs", "then": "get-flags" }), opened];
    for (access, expected) in [
        ("list", json!(["read"])),
        ("list,metadata,read", json!(["read"])),
        ("list,write", json!(["read", "mutate-directory"])),
        ("list,create", json!(["read", "mutate-directory"])),
        ("list,delete", json!(["read", "mutate-directory"])),
    ] {
        let tool = site.load(site.set(access));
        for outcome in site.raw(&tool, &steps).outcomes {
            assert_eq!(outcome["ok"], expected, "{access}");
        }
    }
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
    assert_eq!(site.raw(&tool, &[listed]).codes(), ["not-directory"]);
    let file = open("a.txt", "a", &["read"]);
    for op in ["open", "list"] {
        let on_file = json!({ "op": op, "of": "a", "path": "x", "name": "x" });
        assert_eq!(site.steps(&tool, "handles", &[file.clone(), on_file]).codes(), ["ok", "not-directory"]);
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
