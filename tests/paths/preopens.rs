//! A granted folder is the one that was resolved when the policy was loaded, or the call fails.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use serde_json::json;
use tollgate::{CallError, CallFailure, Tool};
use tollgate_audit::Entry;
use tollgate_wasi_proxy::UNNAMEABLE;
use tollgate_workspace::expect::end;

use tollgate_workspace::site::{ALL, SECRET, Site, read, write};

/// Calls a tool whose folder cannot be opened: asserts that the record says why, and nothing else was asked for.
fn not_opened(site: &mut Site, tool: &Tool, result: &str) -> Box<CallFailure> {
    let failure = site.fails(tool, "raw", &[read("secret.txt"), write("new", "x")]);
    let entries = site.lab.entries_of(failure.call.expect("a call that ran"));
    let outcomes: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Intent(intent) => Some(intent.rule.as_str()),
            Entry::Outcome(outcome) => Some(outcome.result.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(outcomes, ["fs:/docs", result]);
    site.lab.verified();
    failure
}

#[test]
fn a_folder_that_is_gone_fails_the_call() {
    let mut site = Site::new();
    let tool = site.load(site.set(ALL));
    fs::rename(site.lab.path("docs"), site.lab.path("elsewhere")).expect("a rename");
    let failure = not_opened(&mut site, &tool, "no-entry");
    let CallError::Internal(message) = &failure.error else { panic!("{:?}", failure.error) };
    assert!(message.contains("cannot open the folder for /docs: it is no longer there"), "{message}");
    fs::rename(site.lab.path("elsewhere"), site.lab.path("docs")).expect("a rename");
    assert_eq!(site.raw(&tool, &[read("a.txt")]).outcomes[0]["ok"], "alpha");
}

/// The granted folder is open as a place, not for reading: without `list` it can neither be listed nor flushed.
#[test]
fn a_folder_without_the_right_to_list_is_a_place_only() {
    let mut site = Site::odd();
    let then = |then: &str| json!({ "op": "preopen", "base": "/docs", "then": then });
    let strict = site.load(site.set("read,write,create,delete,metadata"));
    let steps = [
        read("a.txt"),
        write("new", "x"),
        then("stat"),
        then("get-flags"),
        then("sync"),
        then("sync-data"),
        then("set-times"),
    ];
    let taken = site.raw(&strict, &steps);
    assert_eq!(taken.codes(), ["ok", "ok", "ok", "ok", "access", "access", "access"]);
    let strict = site.load(site.set("list"));
    assert_eq!(site.raw(&strict, &["sync", "sync-data", "read-directory"].map(then)).codes(), ["ok"; 3]);
}

#[test]
fn a_folder_that_became_a_link_grants_no_other_folder() {
    let mut site = Site::new();
    let tool = site.load(site.set(ALL));
    let before = site.snapshot();
    fs::rename(site.lab.path("docs"), site.lab.path("elsewhere")).expect("a rename");
    site.symlink("outside", "docs");
    let failure = not_opened(&mut site, &tool, "loop");
    assert!(failure.to_string().contains("a symbolic link stands in the way"), "{failure}");
    fs::remove_file(site.lab.path("docs")).expect("a link");
    fs::rename(site.lab.path("elsewhere"), site.lab.path("docs")).expect("a rename");
    assert_eq!(site.snapshot(), before);
}

#[test]
fn a_link_further_up_grants_no_other_folder_either() {
    let mut site = Site::new();
    site.lab.file("outside/sub/secret.txt", SECRET);
    let mut set = site.set(ALL);
    set.fs[0].host.push("sub");
    let tool = site.load(set);
    fs::rename(site.lab.path("docs"), site.lab.path("elsewhere")).expect("a rename");
    site.symlink("outside", "docs");
    not_opened(&mut site, &tool, "loop");
}

#[test]
fn a_folder_that_became_a_file_fails_the_call() {
    let mut site = Site::new();
    let tool = site.load(site.set(ALL));
    fs::remove_dir_all(site.lab.path("docs")).expect("a folder");
    fs::write(site.lab.path("docs"), "a file").expect("a file");
    not_opened(&mut site, &tool, "not-directory");
    fs::remove_file(site.lab.path("docs")).expect("a file");
    site.fifo("docs");
    not_opened(&mut site, &tool, "not-directory");
}

/// WASI names are Unicode: a name that is none is left out of listings, and the record of the call counts it.
#[test]
fn a_name_that_is_not_unicode_is_left_out_and_counted() {
    let mut site = Site::new();
    let odd = std::ffi::OsStr::from_bytes(b"odd-\xff.txt");
    fs::write(site.lab.path("docs").join(odd), "odd").expect("a file system that takes any bytes");
    site.symlink("a.txt", "docs/link");
    std::os::unix::fs::symlink(odd, site.lab.path("docs/to-odd")).expect("a new link");
    let tool = site.load(site.set(ALL));
    let listed = json!({ "op": "preopen", "base": "/docs", "then": "read-directory" });
    let link = |path: &str| json!({ "op": "readlink-at", "base": "/docs", "path": path });
    let taken = site.raw(&tool, &[listed, link("to-odd"), link("link"), read("a.txt"), read("to-odd")]);
    assert_eq!(taken.codes(), ["ok", "illegal-byte-sequence", "ok", "ok", "ok"]);
    assert_eq!(taken.outcomes[4]["ok"], "odd", "through a link it can be named");
    let names = json!(["a.txt", "link", "sub", "to-odd"]);
    assert_eq!(taken.outcomes[0]["ok"], names);
    let arguments = json!({ "steps": [{ "op": "list", "path": "/docs" }] }).to_string();
    let answer = site.lab.call(&tool, "run", &arguments).expect("an answer");
    assert_eq!(answer.output, json!([{ "ok": names }]).to_string(), "for the standard library too");
    let entries = site.lab.entries_of(answer.call);
    let counted = end(&entries).counters.iter().find(|(function, _)| **function == *UNNAMEABLE);
    assert_eq!(counted.map(|(_, names)| *names), Some(1));
    site.lab.verified();
}
