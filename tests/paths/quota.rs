//! The write quota of a folder: one for all handles and streams of a call, exact to the byte.

use std::fs;

use serde_json::{Value, json};
use tollgate::CallError;
use tollgate_capability::{CapabilitySet, Reason};

use crate::site::{Site, code};

const QUOTA: u64 = 10;

fn quota_set(site: &Site) -> CapabilitySet {
    let mut set = site.set("read,write,create");
    set.fs[0].write_quota = QUOTA;
    set
}

fn open(path: &str, name: &str) -> Value {
    json!({ "op": "open", "of": "/docs", "path": path, "open": ["create"], "flags": ["read", "write"], "name": name })
}

fn on(op: &str, of: &str, name: &str, offset: u64) -> Value {
    json!({ "op": op, "of": of, "name": name, "offset": offset })
}

fn write(of: &str, data: &str, offset: u64) -> Value {
    json!({ "op": "write", "of": of, "data": data, "offset": offset })
}

fn with_len(op: &str, of: &str, len: u64) -> Value {
    json!({ "op": op, "of": of, "len": len })
}

/// Puts `docs/` back to how a test starts.
fn reset(site: &Site) {
    fs::remove_dir_all(site.lab.path("docs")).expect("a folder");
    site.lab.file("docs/full.txt", "0123456789");
}

/// Takes steps the last of which asks for `asked` bytes where `left` are left: it is refused in both modes, and what the
/// others wrote stays. Gives the texts of `files` afterwards.
fn last_is_over(site: &mut Site, steps: &[Value], (asked, left): (u64, u64), files: &[&str]) -> Vec<String> {
    reset(site);
    let set = quota_set(site);
    let tool = site.lenient(set.clone());
    let taken = site.steps(&tool, "handles", steps);
    let (last, others) = taken.outcomes.split_last().expect("a step");
    assert!(others.iter().all(|outcome| code(outcome) == "ok"), "{others:?}");
    assert!(["insufficient-space", "stream"].contains(&code(last)), "{last}");
    let reason = Reason::OverLimit { asked, left };
    let refused = format!("-> gate deny fs:/docs:quota: {reason}");
    let lines = taken.lines();
    assert_eq!(lines.iter().filter(|line| line.ends_with(&refused)).count(), 1, "{lines:?}");
    let texts = |site: &Site| files.iter().map(|file| site.text(&format!("docs/{file}"))).collect::<Vec<_>>();
    let denied = texts(site);

    reset(site);
    let tool = site.load(set);
    let failure = site.fails(&tool, "handles", steps);
    let CallError::Violation(violation) = &failure.error else { panic!("{:?}", failure.error) };
    assert_eq!((violation.rule.as_str(), violation.reason), ("fs:/docs:quota", reason));
    assert_eq!(texts(site), denied, "both modes leave the same behind");
    site.lab.verified();
    denied
}

#[test]
fn the_last_byte_may_be_written_and_the_next_not() {
    let mut site = Site::new();
    let set = quota_set(&site);
    let tool = site.load(set);
    let exact = [open("new", "new"), write("new", "0123456789", 0), write("new", "", 10)];
    assert_eq!(site.steps(&tool, "handles", &exact).codes(), ["ok"; 3]);
    assert_eq!(site.text("docs/new"), "0123456789");

    let over = [open("new", "new"), write("new", "0123456789", 0), write("new", "x", 0)];
    assert_eq!(last_is_over(&mut site, &over, (1, 0), &["new"]), ["0123456789"]);
    let at_once = [open("new", "new"), write("new", "0123456789x", 0)];
    assert_eq!(last_is_over(&mut site, &at_once, (11, 10), &["new"]), [""], "nothing is written in part");
}

#[test]
fn overwriting_counts_like_writing() {
    let mut site = Site::new();
    let steps = [open("full.txt", "full"), write("full", "abcdef", 0), write("full", "ABCDE", 0)];
    assert_eq!(last_is_over(&mut site, &steps, (5, 4), &["full.txt"]), ["abcdef6789"]);
}

#[test]
fn all_handles_and_streams_share_one_quota() {
    let mut site = Site::new();
    let steps = [
        open("one", "one"),
        open("two", "two"),
        on("output", "one", "one-at", 0),
        on("append", "one", "one-end", 0),
        on("output", "two", "two-at", 0),
        write("one", "ab", 0),
        write("one-at", "AB", 0),
        write("one-end", "c", 0),
        write("two-at", "xyz", 0),
        with_len("set-size", "two", 4),
        write("two", "v", 0),
        write("one-end", "d", 0),
    ];
    assert_eq!(last_is_over(&mut site, &steps, (1, 0), &["one", "two"]), ["ABc", "vyz\0"]);
}

#[test]
fn appending_and_zeroes_and_splices_count() {
    let mut site = Site::new();
    let append =
        [open("full.txt", "f"), on("append", "f", "out", 0), write("out", "abcdefgh", 0), write("out", "ijk", 0)];
    assert_eq!(last_is_over(&mut site, &append, (3, 2), &["full.txt"]), ["0123456789abcdefgh"]);
    let zeroes = [
        open("new", "n"),
        on("output", "n", "out", 0),
        with_len("write-zeroes", "out", 8),
        with_len("write-zeroes", "out", 3),
    ];
    assert_eq!(last_is_over(&mut site, &zeroes, (3, 2), &["new"]), ["\0".repeat(8)]);
    let splice = |len: u64| json!({ "op": "splice", "of": "out", "from": "in", "len": len });
    let setup = [open("new", "n"), open("full.txt", "f"), on("output", "n", "out", 0), on("input", "f", "in", 0)];
    let steps: Vec<_> = setup.into_iter().chain([write("out", "abcd", 0), splice(3), splice(5)]).collect();
    assert_eq!(last_is_over(&mut site, &steps, (5, 3), &["new"]), ["abcd012"]);
}

#[test]
fn a_hole_counts_like_what_is_written() {
    let mut site = Site::new();
    let far = u64::from(u32::MAX) * 1000;
    let sparse = [open("new", "new"), write("new", "x", far)];
    assert_eq!(last_is_over(&mut site, &sparse, (far + 1, QUOTA), &["new"]), [""]);
    let stream = [open("new", "new"), on("output", "new", "out", far)];
    assert_eq!(last_is_over(&mut site, &stream, (far, QUOTA), &["new"]), [""]);
    let size = [open("new", "new"), with_len("set-size", "new", far)];
    assert_eq!(last_is_over(&mut site, &size, (far, QUOTA), &["new"]), [""]);
    let near = [
        open("new", "new"),
        write("new", "x", 8),
        on("output", "new", "out", 9),
        write("out", "y", 0),
        write("out", "z", 0),
    ];
    assert_eq!(last_is_over(&mut site, &near, (1, 0), &["new"]), [format!("{}xy", "\0".repeat(8))]);
    let end = [open("new", "new"), write("new", "x", u64::MAX)];
    assert_eq!(last_is_over(&mut site, &end, (u64::MAX, QUOTA), &["new"]), [""]);
}

#[test]
fn shrinking_gives_nothing_back() {
    let mut site = Site::new();
    let steps = [
        open("full.txt", "full"),
        with_len("set-size", "full", 0),
        with_len("set-size", "full", 10),
        with_len("set-size", "full", 0),
        with_len("set-size", "full", 1),
    ];
    assert_eq!(last_is_over(&mut site, &steps, (1, 0), &["full.txt"]), [""]);
}

#[test]
fn without_a_quota_files_are_made_and_cut_but_not_filled() {
    let mut site = Site::new();
    reset(&site);
    let mut set = quota_set(&site);
    set.fs[0].write_quota = 0;
    let tool = site.lenient(set);
    let truncate = json!({ "op": "open", "of": "/docs", "path": "full.txt", "open": ["truncate"], "flags": ["write"], "name": "f" });
    let steps = [open("new", "new"), truncate, on("output", "f", "out", 0), write("out", "", 0), write("out", "x", 0)];
    assert_eq!(site.steps(&tool, "handles", &steps).codes(), ["ok", "ok", "ok", "ok", "stream"]);
    assert_eq!([site.text("docs/new"), site.text("docs/full.txt")], ["", ""]);
}

#[test]
fn each_folder_and_each_call_has_its_own() {
    let mut site = Site::new();
    let mut set = site.two("write,create", "write,create");
    for fs in &mut set.fs {
        fs.write_quota = QUOTA;
    }
    let tool = site.load(set);
    let other =
        json!({ "op": "open", "of": "/other", "path": "new", "open": ["create"], "flags": ["write"], "name": "o" });
    let docs =
        json!({ "op": "open", "of": "/docs", "path": "new", "open": ["create"], "flags": ["write"], "name": "d" });
    let steps = [other, docs, write("o", "0123456789", 0), write("d", "0123456789", 0)];
    for _call in 0..2 {
        assert_eq!(site.steps(&tool, "handles", &steps).codes(), ["ok"; 4]);
    }
}
