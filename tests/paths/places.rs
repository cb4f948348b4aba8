//! Where a granted folder stands it stays, whichever way a tool names its place: the next load would grant what stands there.

use std::fs;

use serde_json::Value;
use tollgate_capability::{CapabilitySet, Reason};

use tollgate_workspace::site::{ALL, Refusal, Site, step, step_to, write};

const PLACE: &str = "fs:/docs:place";

/// `/other` is the folder `docs/sub/in`, which lies in `/docs`.
fn nested(site: &Site) -> CapabilitySet {
    let inner = fs::canonicalize(site.lab.folder("docs/sub/in")).expect("a folder");
    let mut set = site.two(ALL, ALL);
    set.fs[1].host = inner;
    set
}

fn refused(step: Value) -> Refusal {
    Refusal::new(step, PLACE, Reason::GrantedPlace)
}

#[test]
fn a_granted_folder_is_neither_moved_nor_removed_nor_replaced() {
    let mut site = Site::new();
    let set = nested(&site);
    site.lab.folder("docs/empty");
    let refusals = ["sub/in", "sub"].map(|place| {
        [
            refused(step_to("rename-at", place, "away")),
            refused(step_to("rename-at", "empty", place)),
            refused(step_to("rename-at", "a.txt", place)),
            refused(step("remove-directory-at", place)),
            refused(step_to("symlink-at", "empty", place)),
            refused(step_to("link-at", "a.txt", place)),
        ]
    });
    site.refused(&set, &refusals.concat());
}

#[test]
fn what_stands_beside_or_in_a_granted_folder_is_the_tools_to_change() {
    let mut site = Site::new();
    let set = nested(&site);
    site.lab.file("docs/sub/in/c.txt", "c");
    let strict = site.load(set);
    let steps = [
        step_to("rename-at", "sub/in/c.txt", "sub/in/d.txt"),
        step_to("rename-at", "sub/b.txt", "sub/inner"),
        step("create-directory-at", "sub/in"),
        step_to("symlink-at", "d.txt", "sub/in/link"),
        write("sub/in/new", "x"),
    ];
    assert_eq!(site.raw(&strict, &steps).codes(), ["ok", "ok", "exist", "ok", "ok"]);
}

/// The folder was taken away by somebody else: no tool puts anything in its place.
#[test]
fn the_place_of_a_folder_that_is_gone_stays_empty() {
    let mut site = Site::new();
    let mut set = nested(&site);
    // Only `/docs` is opened: a call does not begin where a granted folder is gone.
    let gone = site.lab.path("docs/sub/in");
    set.fs[1].host.clone_from(&fs::canonicalize(&gone).expect("a folder"));
    let raced = site.lenient(set.clone());
    fs::rename(&gone, site.lab.path("kept")).expect("a rename");
    let made =
        [step_to("symlink-at", "../a.txt", "sub/in"), step("create-directory-at", "sub/in"), write("sub/in", "x")];
    site.fails(&raced, "raw", &made);
    assert!(!gone.exists(), "nothing was made in its place");
    fs::rename(site.lab.path("kept"), &gone).expect("a rename");
}

/// `s` leads to `sub`, so that `s/in` is the granted folder by another way.
#[test]
fn a_link_on_the_way_does_not_hide_whose_place_it_is() {
    let mut site = Site::new();
    let set = nested(&site);
    let strict = site.load(set.clone());
    assert_eq!(site.raw(&strict, &[step_to("symlink-at", "sub", "s")]).codes(), ["ok"]);
    let by_link = |step| Refusal::new(step, PLACE, Reason::PlaceByLink);
    let refusals = [
        by_link(step_to("rename-at", "s/in", "away")),
        by_link(step_to("rename-at", "a.txt", "s/in")),
        by_link(step("remove-directory-at", "s/in")),
        by_link(step_to("symlink-at", "x", "s/in")),
        by_link(step_to("link-at", "a.txt", "s/new")),
    ];
    site.refused(&set, &refusals);
    // Nothing that lies in `/docs` is granted by itself: names are changed through links as before.
    let strict = site.load(site.set(ALL));
    let steps = [step_to("rename-at", "s/b.txt", "moved"), step("remove-directory-at", "s/in")];
    assert_eq!(site.raw(&strict, &steps).codes(), ["ok"; 2]);
}
