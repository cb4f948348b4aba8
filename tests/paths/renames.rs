//! Renames: what goes elsewhere gains no rights, and what stands at the new name is replaced only by who may delete it.

use std::fs;

use serde_json::{Value, json};
use tollgate_capability::Reason;

use tollgate_workspace::site::{ALL, Refusal, Site, step_to};

fn to_other(path: &str) -> Value {
    json!({ "op": "rename-at", "base": "/docs", "path": path, "to_base": "/other", "to": "moved" })
}

#[test]
fn a_rename_needs_delete_here_and_create_there() {
    let mut site = Site::new();
    let step = step_to("rename-at", "a.txt", "sub/new");
    site.refused(&site.set("create"), &[Refusal::new(step.clone(), "fs:/docs:delete", Reason::NotGranted)]);
    site.refused(&site.set("delete"), &[Refusal::new(step.clone(), "fs:/docs:create", Reason::NotGranted)]);
    let strict = site.load(site.set("create,delete,list"));
    let taken =
        site.raw(&strict, &[step, step_to("rename-at", "sub/new", "sub/b.txt"), step_to("rename-at", "sub", "s")]);
    assert_eq!(taken.lines(), vec!["rename-at fs:/docs:create -> ok"; 3]);
    assert_eq!(site.text("docs/s/b.txt"), "alpha");
}

#[test]
fn what_stands_at_the_new_name_is_only_replaced_with_delete() {
    let mut site = Site::new();
    site.lab.file("other/moved", "there");
    let set = site.two("delete,read", "create,read");
    site.refused(&set, &[Refusal::new(to_other("a.txt"), "fs:/other:delete", Reason::NotGranted)]);
    let set = site.two("delete,read", "create,delete,read");
    let strict = site.load(set);
    assert_eq!(site.raw(&strict, &[to_other("a.txt")]).codes(), ["ok"]);
    assert_eq!(site.text("other/moved"), "alpha");
}

#[test]
fn a_rename_gains_no_rights_in_another_folder() {
    let mut site = Site::new();
    let gains = |path: &str| Refusal::new(to_other(path), "fs:/other:no-gain", Reason::GainsRights);
    for (docs, other) in
        [("delete", "create,read"), ("delete,read", "create,read,write"), ("delete", "create,metadata")]
    {
        let set = site.two(docs, other);
        site.refused(&set, &[gains("a.txt"), gains("sub"), gains("absent")]);
    }
    let set = site.two("delete,read", "create,read,list");
    site.refused(&set, &[gains("sub")]);
    let strict = site.load(set);
    assert_eq!(site.raw(&strict, &[to_other("a.txt")]).codes(), ["ok"], "a file has nothing to list");
    fs::remove_file(site.lab.path("other/moved")).expect("a moved file");
    let set = site.two(ALL, ALL);
    let strict = site.load(set);
    assert_eq!(site.raw(&strict, &[to_other("sub")]).codes(), ["ok"]);
    assert_eq!(site.text("other/moved/b.txt"), "beta");
}

#[test]
fn a_rename_that_the_kernel_refuses_is_an_outcome() {
    let mut site = Site::new();
    let strict = site.load(site.set(ALL));
    let before = site.snapshot();
    let steps = [
        step_to("rename-at", "absent", "new"),
        step_to("rename-at", "sub", "sub/inside"),
        step_to("rename-at", "a.txt", "sub"),
        step_to("rename-at", "sub", "a.txt"),
        step_to("rename-at", "a.txt", "absent/new"),
        step_to("rename-at", "a.txt/x", "new"),
    ];
    let taken = site.raw(&strict, &steps);
    let codes = ["no-entry", "invalid", "is-directory", "not-directory", "no-entry", "not-directory"];
    assert_eq!(taken.codes(), codes);
    let ends: Vec<_> = taken.record.iter().map(|line| line.end.as_str()).collect();
    assert_eq!(ends, codes);
    assert_eq!(site.snapshot(), before);
}
