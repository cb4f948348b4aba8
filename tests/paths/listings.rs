//! Listings: whole, by page, each page a call; what cannot be told is told as an error.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use serde_json::{Value, json};
use tollgate::CallError;
use tollgate_audit::Entry;
use tollgate_capability::Cap;

use tollgate_workspace::site::{Site, Taken};

const READ_DIRECTORY: &str = "wasi:filesystem/types.[method]descriptor.read-directory";

fn list() -> Value {
    json!({ "op": "preopen", "base": "/docs", "then": "read-directory" })
}

fn fill(site: &Site, files: usize) -> Vec<String> {
    fs::remove_dir_all(site.lab.path("docs")).expect("a folder");
    site.lab.folder("docs");
    let names: Vec<_> = (0..files).map(|number| format!("{number:05}-{}", "x".repeat(60))).collect();
    for name in &names {
        fs::write(site.lab.path("docs").join(name), "").expect("a new file");
    }
    names
}

fn names(taken: &Taken) -> Vec<String> {
    serde_json::from_value(taken.outcomes[0]["ok"].clone()).expect("names")
}

/// How often a listing passed the gate.
fn pages(site: &mut Site, files: usize, patterns: bool) -> u64 {
    let expected = fill(site, files);
    let mut set = if patterns { site.patterned("list", &[], &["*-x*"]) } else { site.set("list") };
    set.limits.memory = 1 << 30;
    let tool = site.load(set);
    let answer = site.lab.call(&tool, "raw", &json!({ "steps": [list()] }).to_string()).expect("an answer");
    let listed: Value = serde_json::from_str(&answer.output).expect("JSON");
    let hidden = if patterns { Vec::new() } else { expected };
    assert_eq!(listed, json!([{ "ok": hidden }]));
    let entries = site.lab.entries_of(answer.call);
    let Some(Entry::CallEnd(end)) = entries.last() else { panic!("no end") };
    let counted = end.counters.iter().find(|found| *found.0 == *READ_DIRECTORY);
    *counted.expect("a count").1
}

#[test]
fn a_listing_is_whole_and_each_page_of_it_passes_the_gate() {
    let mut site = Site::new();
    assert_eq!([0, 1, 200].map(|files| pages(&mut site, files, false)), [1; 3]);
    let (some, many) = (pages(&mut site, 1_000, false), pages(&mut site, 4_000, false));
    assert!((2..=5).contains(&some) && (4..=17).contains(&many), "{some} pages of 1,000, {many} of 4,000");
    site.lab.verified();
}

/// Patterns that hide everything: one call of the guest's goes through all pages, and each passes the gate all the same.
#[test]
fn what_is_hidden_is_listed_by_page_too() {
    let mut site = Site::new();
    assert!(pages(&mut site, 4_000, true) >= 4);
}

#[test]
fn a_page_that_there_is_no_room_for_on_record_is_not_read() {
    let mut site = Site::new();
    fill(&site, 4_000);
    let mut set = site.set("list");
    set.record = tollgate_capability::RecordScope::Every;
    // The folder, and the first page.
    set.limits.records = 4;
    let tool = site.load(set);
    let failure = site.fails(&tool, "raw", &[list()]);
    assert!(matches!(failure.error, CallError::Cap(hit) if hit.cap == Cap::Records), "{failure}");
    site.lab.verified();
}

#[test]
fn kinds_are_told_and_a_name_that_is_no_text_is_left_out() {
    let mut site = Site::new();
    site.symlink("a.txt", "docs/link");
    let tool = site.load(site.set("list"));
    assert_eq!(names(&site.raw(&tool, &[list()])), ["a.txt", "link", "sub"]);
    fs::write(site.lab.path("docs").join(OsStr::from_bytes(b"\xff")), "").expect("a new file");
    let open = json!({ "op": "open", "of": "/docs", "path": ".", "open": ["directory"], "name": "docs" });
    let taken = site.steps(&tool, "handles", &[open, json!({ "op": "list", "of": "docs" })]);
    assert_eq!(taken.outcomes[1]["ok"], json!(["a.txt", "link", "sub"]));
}
