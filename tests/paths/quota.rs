//! The write quota of a folder: one for all handles, streams and names of a call, exact to the byte.

use std::fs;

use serde_json::{Value, json};
use tollgate::CallError;
use tollgate_capability::{CapabilitySet, INODE_CHARGE_BYTES, NAME_CHARGE_BYTES, Reason};

use tollgate_workspace::site::{Refusal, Site, code, step};

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

/// Puts `docs/` back to how a test starts: a file with ten bytes, and empty ones, which cost nothing to open. The folder itself
/// stays: a set is bound to it.
fn reset(site: &Site) {
    for entry in fs::read_dir(site.lab.path("docs")).expect("a folder") {
        let entry = entry.expect("an entry");
        let is_folder = entry.file_type().expect("a kind").is_dir();
        let removed = if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        removed.expect("what was there");
    }
    site.lab.file("docs/full.txt", "0123456789");
    for empty in ["new", "one", "two"] {
        site.lab.file(&format!("docs/{empty}"), "");
    }
}

/// What a name of so many bytes costs.
fn name(bytes: u64) -> u64 {
    NAME_CHARGE_BYTES + bytes
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
    reset(&site);
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
    let stream = [open("new", "new"), on("output", "new", "out", far), write("out", "x", 0)];
    assert_eq!(last_is_over(&mut site, &stream, (far + 1, QUOTA), &["new"]), [""]);
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

/// The file is cut behind a stream's back: what the stream writes next makes the whole hole again.
#[test]
fn a_hole_that_is_made_behind_a_stream_counts_when_it_is_written() {
    let mut site = Site::new();
    let cut_by = |cuts: &[Value]| -> Vec<Value> {
        let start = [open("full.txt", "f"), on("output", "f", "out", 10)];
        start.into_iter().chain(cuts.iter().cloned()).chain([write("out", "x", 0)]).collect()
    };
    let set_size = cut_by(&[with_len("set-size", "f", 0)]);
    assert_eq!(last_is_over(&mut site, &set_size, (11, QUOTA), &["full.txt"]), [""]);
    let truncate = json!({ "op": "open", "of": "/docs", "path": "full.txt", "open": ["truncate"], "flags": ["write"], "name": "g" });
    let steps = cut_by(&[truncate, write("g", "ab", 0)]);
    assert_eq!(last_is_over(&mut site, &steps, (9, QUOTA - 2), &["full.txt"]), ["ab"]);
    // A stream that has written, and stands at the end that the file had then.
    let steps = [
        open("new", "new"),
        on("output", "new", "out", 0),
        write("out", "abcde", 0),
        with_len("set-size", "new", 0),
        write("out", "x", 0),
    ];
    assert_eq!(last_is_over(&mut site, &steps, (6, 5), &["new"]), [""]);
    // An empty write makes no hole, and what appends none either.
    let tool = site.load(quota_set(&site));
    let steps = [
        open("full.txt", "f"),
        on("output", "f", "out", 10),
        on("append", "f", "end", 0),
        with_len("set-size", "f", 0),
        write("out", "", 0),
        write("end", "0123456789", 0),
    ];
    reset(&site);
    assert_eq!(site.steps(&tool, "handles", &steps).codes(), ["ok"; 6]);
    assert_eq!(site.text("docs/full.txt"), "0123456789");
}

/// Each thing that brings a name into being, and what it costs.
fn makers() -> [(Value, u64); 5] {
    let link = json!({ "op": "symlink-at", "base": "/docs", "path": "full.txt", "to": "link" });
    [
        (json!({ "op": "open-at", "base": "/docs", "path": "file", "open": ["create"] }), INODE_CHARGE_BYTES + name(4)),
        (step("create-directory-at", "folder"), INODE_CHARGE_BYTES + name(6)),
        (link, INODE_CHARGE_BYTES + name(4) + 8),
        (json!({ "op": "link-at", "base": "/docs", "path": "full.txt", "to": "hard" }), name(4)),
        (json!({ "op": "rename-at", "base": "/docs", "path": "full.txt", "to": "sub/a-longer-name" }), name(13)),
    ]
}

#[test]
fn with_a_quota_of_nothing_no_name_comes_into_being() {
    let mut site = Site::new();
    reset(&site);
    site.lab.folder("docs/sub");
    for (step, asked) in makers() {
        for left in [0, asked - 1] {
            let mut set = site.set("read,write,create,delete");
            set.fs[0].write_quota = left;
            let refusal = Refusal::new(step.clone(), "fs:/docs:quota", Reason::OverLimit { asked, left });
            site.refused(&set, &[refusal.with_code("insufficient-space")]);
        }
    }
}

#[test]
fn with_a_quota_of_nothing_files_are_opened_and_cut_but_not_filled() {
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
fn names_and_bytes_share_one_quota_to_the_last_byte() {
    let mut site = Site::new();
    reset(&site);
    site.lab.folder("docs/sub");
    let all: u64 = makers().iter().map(|(_, cost)| cost).sum();
    let mut set = site.set("read,write,create,delete");
    set.fs[0].write_quota = all + 3;
    let tool = site.lenient(set);
    let data = |data: &str| json!({ "op": "open-at", "base": "/docs", "path": "new", "flags": ["write"], "then": "write", "data": data });
    let steps: Vec<_> =
        makers().into_iter().map(|(step, _)| step).chain([data("1234"), data("123"), data("1")]).collect();
    let expected = ["ok", "ok", "ok", "ok", "ok", "insufficient-space", "ok", "insufficient-space"];
    assert_eq!(site.raw(&tool, &steps).codes(), expected);
    assert_eq!(site.text("docs/new"), "123");
}

#[test]
fn what_the_kernel_did_not_make_is_not_charged_and_what_is_deleted_is_not_given_back() {
    let mut site = Site::new();
    reset(&site);
    site.lab.folder("docs/sub");
    let mut set = site.set("read,write,create,delete");
    set.fs[0].write_quota = INODE_CHARGE_BYTES + name(3);
    let tool = site.lenient(set);
    let folder = |path: &str| step("create-directory-at", path);
    let exclusive = json!({ "op": "open-at", "base": "/docs", "path": "new", "open": ["create", "exclusive"] });
    let moved = json!({ "op": "rename-at", "base": "/docs", "path": "absent", "to": "xyz" });
    let steps = [
        folder("sub"),
        folder("absent/xyz"),
        exclusive,
        moved,
        folder("xyz"),
        step("remove-directory-at", "xyz"),
        folder("xyz"),
    ];
    let expected = ["exist", "no-entry", "exist", "no-entry", "ok", "ok", "insufficient-space"];
    assert_eq!(site.raw(&tool, &steps).codes(), expected);
}

#[test]
fn each_folder_and_each_call_has_its_own() {
    let mut site = Site::new();
    let mut set = site.two("write,create", "write,create");
    for fs in &mut set.fs {
        fs.write_quota = QUOTA;
    }
    reset(&site);
    site.lab.file("other/new", "");
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
