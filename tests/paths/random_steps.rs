//! Whatever a guest does in whatever order: nothing outside is read or changed, and nothing inside without its right.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tollgate_capability::{Access, AccessSet, CapabilitySet, Patterns};

use tollgate_workspace::site::{Content, SECRET, Site, Snapshot, rights};

const KEY: &str = "EXCLUDED";
const CASES: u32 = 300;

const PATHS: [&str; 30] = [
    "a.txt",
    "sub",
    "sub/b.txt",
    "sub/../a.txt",
    "new",
    "sub/new",
    "new/x",
    "in",
    "in/b.txt",
    "out",
    "out/secret.txt",
    "out.txt",
    "up",
    "up/outside/secret.txt",
    "loop",
    "dangling",
    "secret",
    "secret/key",
    "key-link",
    "in/../secret/key",
    "../outside/secret.txt",
    "/etc/passwd",
    ".",
    "sub/",
    "a.txt/",
    "",
    "pipe",
    "A.TXT",
    "in/./../sub//b.txt",
    "twice",
];
const TEXTS: [&str; 7] = ["a.txt", "../a.txt", "..", "/etc", "secret/key", "sub/..", "../outside/secret.txt"];
const OPS: [&str; 11] = [
    "open-at",
    "stat-at",
    "metadata-hash-at",
    "set-times-at",
    "readlink-at",
    "unlink-file-at",
    "remove-directory-at",
    "create-directory-at",
    "rename-at",
    "link-at",
    "symlink-at",
];
const THENS: [&str; 11] = [
    "close",
    "read",
    "write",
    "read-via-stream",
    "write-via-stream",
    "append-via-stream",
    "set-size",
    "set-times",
    "read-directory",
    "stat",
    "sync",
];

fn build(site: &Site) {
    for name in ["docs", "other", "outside"] {
        fs::remove_dir_all(site.lab.path(name)).ok();
    }
    site.lab.file("docs/a.txt", "alpha");
    site.lab.file("docs/sub/b.txt", "beta");
    site.lab.file("docs/secret/key", KEY);
    site.lab.file("outside/secret.txt", SECRET);
    site.lab.file("other/a.txt", "other");
    site.lab.folder("other/sub");
    fs::hard_link(site.lab.path("docs/secret/key"), site.lab.path("docs/twice")).expect("a new link");
    site.fifo("docs/pipe");
    for (text, name) in [
        ("sub", "docs/in"),
        ("../outside", "docs/out"),
        ("../outside/secret.txt", "docs/out.txt"),
        ("..", "docs/up"),
        ("loop", "docs/loop"),
        ("absent", "docs/dangling"),
        ("secret/key", "docs/key-link"),
    ] {
        site.symlink(text, name);
    }
}

fn words(all: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(all, 0..=all.len())
}

fn access() -> impl Strategy<Value = AccessSet> {
    words(&["read", "write", "create", "delete", "list", "metadata"]).prop_map(|words| rights(&words.join(",")))
}

fn step() -> impl Strategy<Value = Value> {
    let base = || prop::sample::select(&["/docs", "/docs", "/other"][..]);
    let path = || prop::sample::select(&PATHS[..]);
    let dir = || prop::option::weighted(0.2, prop::sample::select(&["sub", "in", "secret", "."][..]));
    let how = (
        words(&["create", "directory", "exclusive", "truncate"]),
        words(&["read", "write"]),
        prop::sample::select(&THENS[..]),
        any::<bool>(),
        0_u64..12,
    );
    let what = (prop::sample::select(&OPS[..]), base(), base(), path(), path(), prop::sample::select(&TEXTS[..]));
    (what, dir(), dir(), how).prop_map(|((op, base, to_base, path, to, text), dir, to_dir, how)| {
        let (open, flags, then, follow, offset) = how;
        let follow = follow && op != "link-at";
        let path = if op == "symlink-at" { text } else { path };
        json!({
            "op": op, "base": base, "to_base": to_base, "dir": dir, "to_dir": to_dir, "path": path, "to": to,
            "open": open, "flags": flags, "then": then, "follow": follow, "offset": offset, "data": "written",
        })
    })
}

#[derive(Debug, Clone)]
struct Case {
    docs: AccessSet,
    other: AccessSet,
    patterned: bool,
    steps: Vec<Value>,
}

fn case() -> impl Strategy<Value = Case> {
    (access(), access(), any::<bool>(), prop::collection::vec(step(), 1..16))
        .prop_map(|(docs, other, patterned, steps)| Case { docs, other, patterned, steps })
}

fn capability_set(site: &Site, case: &Case) -> CapabilitySet {
    let mut set = site.two("", "");
    set.fs[0].access = case.docs;
    set.fs[1].access = case.other;
    if case.patterned {
        set.fs[0].patterns = Patterns::new(vec![], vec!["secret".to_owned()]).expect("patterns");
    }
    set
}

/// Every file's content, wherever in the folder it now is.
fn contents(snapshot: &Snapshot, below: &str) -> BTreeSet<Vec<u8>> {
    let found = snapshot.0.iter().filter(|(path, _)| path.starts_with(below));
    found
        .filter_map(|(_, found)| match &found.content {
            Content::File(bytes) => Some(bytes.clone()),
            Content::Folder | Content::Link(_) | Content::Special => None,
        })
        .collect()
}

fn names(snapshot: &Snapshot, below: &str) -> BTreeSet<PathBuf> {
    snapshot.0.keys().filter(|path| path.starts_with(below)).cloned().collect()
}

fn below(snapshot: &Snapshot, below: impl AsRef<Path>) -> Snapshot {
    let found = snapshot.0.iter().filter(|(path, _)| path.starts_with(&below));
    Snapshot(found.map(|(path, found)| (path.clone(), found.clone())).collect())
}

/// What a folder's rights say about how it may have changed.
fn assert_only_rightful_changes(access: AccessSet, folder: &str, before: &Snapshot, after: &Snapshot) {
    let (old, new) = (names(before, folder), names(after, folder));
    if !access.contains(Access::Create) {
        assert!(new.is_subset(&old), "new names without `create`: {new:?}");
    }
    if !access.contains(Access::Delete) {
        assert!(old.is_subset(&new), "names gone without `delete`: {new:?}");
    }
    if !access.contains(Access::Write) && !access.contains(Access::Delete) {
        for (path, found) in &below(before, folder).0 {
            assert_eq!(after.0[path].content, found.content, "{path:?} changed without `write`");
        }
    }
    let changes = [Access::Write, Access::Create, Access::Delete];
    if !changes.into_iter().any(|right| access.contains(right)) {
        assert_eq!(below(after, folder), below(before, folder), "changes without any right to change");
    }
}

fn assert_holds(site: &Site, case: &Case, outcomes: &str, before: &Snapshot) {
    let after = site.snapshot();
    assert_eq!(below(&after, "outside"), below(before, "outside"));
    assert!(!outcomes.contains(SECRET) && !outcomes.contains("root:"), "{outcomes}");
    assert_only_rightful_changes(case.docs, "docs", before, &after);
    assert_only_rightful_changes(case.other, "other", before, &after);
    let reads = |access: AccessSet| access.contains(Access::Read);
    let content = |text: &&str| outcomes.contains(*text);
    if !reads(case.docs) && !reads(case.other) {
        assert!(!["alpha", "beta", "other\"", KEY].iter().any(content), "{outcomes}");
    }
    if !case.docs.contains(Access::Write) && !case.other.contains(Access::Write) {
        let all: BTreeSet<_> = ["docs", "other"].iter().flat_map(|folder| contents(&after, folder)).collect();
        let known = ["alpha", "beta", "other", KEY, ""];
        assert!(all.iter().all(|bytes| known.iter().any(|text| text.as_bytes() == bytes)), "{all:?}");
    }
    if case.patterned {
        assert_eq!(names(&after, "docs/secret"), names(before, "docs/secret"));
        assert_eq!(contents(&after, "docs/secret"), contents(before, "docs/secret"));
        assert!(!outcomes.contains(KEY), "{outcomes}");
    }
}

#[test]
fn random_steps_do_only_what_is_granted() {
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let site = RefCell::new(Site::odd());
    runner
        .run(&case(), |case| {
            let mut site = site.borrow_mut();
            build(&site);
            let before = site.snapshot();
            let set = capability_set(&site, &case);
            let tool = site.lenient(set);
            let taken = site.raw(&tool, &case.steps);
            assert_holds(&site, &case, &Value::from(taken.outcomes).to_string(), &before);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    site.borrow().lab.verified();
}
