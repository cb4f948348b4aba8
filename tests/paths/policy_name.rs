//! The name of a policy in a folder that a tool may change: what has it is not there, nothing gets it, and no folder with it
//! moves. The next run in that folder, or in any folder in it, would obey what stands there.

use std::fs;

use serde_json::{Value, json};
use tollgate_capability::Reason;

use tollgate_workspace::site::{ALL, Refusal, SECRET, Site, read, step, step_to, write};

/// Spellings that some file system takes for the name.
const NAMES: [&str; 9] = [
    "tollgate.toml",
    "sub/tollgate.toml",
    "sub/../tollgate.toml",
    "Tollgate.TOML",
    "tollgate.toml.",
    "sub/tollgate.toml . ",
    "toll\u{200b}gate.toml",
    "TOLLGA~1.TOM",
    "sub/ｔｏｌｌｇａｔｅ.toml",
];

const POLICY: &str = "fs:/docs:policy";

#[test]
fn nothing_gets_the_name_of_a_policy() {
    let mut site = Site::new();
    let no = |step: Value| Refusal::new(step, POLICY, Reason::PolicyName);
    let mut refusals = Vec::new();
    for name in NAMES {
        refusals.extend([
            no(write(name, "[tools.probe-fs]")),
            no(step("create-directory-at", name)),
            no(step_to("rename-at", "a.txt", name)),
            no(step_to("link-at", "a.txt", name)),
            no(json!({ "op": "symlink-at", "base": "/docs", "path": name, "to": "a.txt" })),
            no(json!({ "op": "symlink-at", "base": "/docs", "path": "innocent", "to": name })),
        ]);
    }
    site.refused(&site.set(ALL), &refusals);
}

#[test]
fn a_policy_that_stands_there_is_not_there_for_the_tool() {
    for name in ["tollgate.toml", "sub/tollgate.toml", "Tollgate.toml", "tollga~1.tom", "toll\u{ad}gate.toml"] {
        let mut site = Site::new();
        site.lab.file(&format!("docs/{name}"), SECRET);
        let before = site.snapshot();
        let strict = site.load(site.set(ALL));
        let steps = [
            read(name),
            json!({ "op": "open-at", "base": "/docs", "path": name, "flags": ["write"], "follow": true }),
            json!({ "op": "open-at", "base": "/docs", "path": name, "open": ["truncate"], "flags": ["write"] }),
            step("stat-at", name),
            step("metadata-hash-at", name),
            step("readlink-at", name),
            step("unlink-file-at", name),
            step("remove-directory-at", name),
            step_to("rename-at", name, "taken"),
            step_to("link-at", name, "taken"),
        ];
        let taken = site.raw(&strict, &steps);
        assert_eq!(taken.codes(), vec!["no-entry"; steps.len()], "{name}: {taken:?}");
        assert_eq!(site.snapshot(), before, "{name}");
        site.lab.verified();
    }
}

#[test]
fn where_nothing_can_be_changed_it_is_a_file_as_any_other() {
    let mut site = Site::new();
    site.lab.file("docs/tollgate.toml", "what it is");
    let strict = site.load(site.set("read,list,metadata"));
    assert_eq!(site.raw(&strict, &[read("tollgate.toml")]).outcomes[0]["ok"], "what it is");
    // A name that only holds the name is no policy's.
    let strict = site.load(site.set(ALL));
    let others = ["my-tollgate.toml", "tollgate.toml.bak", "tollgate", "tollgate.toml/x"];
    let taken = site.raw(&strict, &others.map(|name| write(name, "fine")));
    assert_eq!(taken.codes(), ["ok", "ok", "ok", "not-directory"]);
}

#[test]
fn a_folder_with_a_policy_in_it_stays_where_it_is() {
    let mut site = Site::new();
    site.lab.folder("other");
    for policy in ["app/tollgate.toml", "deep/a/b/Tollgate.TOML", "short/TOLLGA~1.TOM"] {
        site.lab.file(&format!("docs/{policy}"), SECRET);
    }
    site.lab.folder("docs/linked");
    site.symlink("../nowhere", "docs/linked/tollgate.toml");
    site.symlink(".", "docs/here");
    let mut refusals = Vec::new();
    for folder in ["app", "deep", "deep/a", "deep/a/b", "short", "linked", "here/app", "here/deep/a/b"] {
        let across = json!({ "op": "rename-at", "base": "/docs", "path": folder, "to_base": "/other", "to": "moved" });
        for step in [step_to("rename-at", folder, "moved"), step_to("rename-at", folder, "sub/moved"), across] {
            refusals.push(Refusal::new(step, POLICY, Reason::PolicyInFolder));
        }
    }
    let set = site.two(ALL, ALL);
    site.refused(&set, &refusals);
    let strict = site.load(set);
    let before = site.snapshot();
    let removed = ["app", "deep/a/b", "linked"].map(|folder| step("remove-directory-at", folder));
    assert_eq!(site.raw(&strict, &removed).codes(), ["not-empty"; 3]);
    assert_eq!(site.snapshot(), before);
    assert_eq!(site.raw(&strict, &[step_to("rename-at", "sub", "moved")]).codes(), ["ok"]);
    assert_eq!(site.text("docs/moved/b.txt"), "beta");
}

/// What is in it cannot be looked at, so a policy may be.
#[test]
fn a_folder_that_is_not_seen_whole_does_not_move() {
    let mut site = Site::new();
    let refused = |step| Refusal::new(step, POLICY, Reason::FolderUnseen);
    let set = site.set("read,write,create,delete,metadata");
    site.refused(&set, &[refused(step_to("rename-at", "sub", "moved"))]);
    let strict = site.load(set);
    assert_eq!(site.raw(&strict, &[step_to("rename-at", "a.txt", "b.txt")]).codes(), ["ok"], "a file holds nothing");
}

/// Other names of a policy that the operator made.
const OTHERS: [&str; 10] =
    ["conf", "winding", "chain", "sub/up", "here/conf", "cased", "app/conf", "alias", "sub/alias", "app/target.toml"];

fn with_other_names() -> Site {
    let site = Site::new();
    site.lab.file("docs/tollgate.toml", SECRET);
    site.lab.file("docs/app/Tollgate.toml", SECRET);
    site.lab.file("docs/app/target.toml", SECRET);
    for (text, name) in [
        ("tollgate.toml", "conf"),
        ("sub/../tollgate.toml", "winding"),
        ("conf", "chain"),
        ("../chain", "sub/up"),
        (".", "here"),
        ("app/Tollgate.toml", "cased"),
        ("target.toml", "app/tollgate.toml"),
        ("./tollgate.toml", "app/conf"),
    ] {
        site.symlink(text, &format!("docs/{name}"));
    }
    for alias in ["docs/alias", "docs/sub/alias"] {
        fs::hard_link(site.lab.path("docs/tollgate.toml"), site.lab.path(alias)).expect("a hard link");
    }
    site
}

#[test]
fn a_policy_is_not_changed_by_another_name() {
    let mut site = with_other_names();
    let no = |step: Value| Refusal::new(step, POLICY, Reason::PolicyByLink);
    let mut refusals = Vec::new();
    for name in OTHERS {
        refusals.extend([
            no(write(name, "[tools.probe-fs]")),
            no(json!({ "op": "open-at", "base": "/docs", "path": name, "flags": ["write"], "follow": true })),
            no(json!({ "op": "open-at", "base": "/docs", "path": name, "open": ["truncate"], "follow": true })),
            no(json!({ "op": "set-times-at", "base": "/docs", "path": name, "follow": true })),
        ]);
    }
    for name in ["alias", "sub/alias", "app/target.toml", "here/alias"] {
        refusals.extend([
            no(step("unlink-file-at", name)),
            no(step_to("rename-at", name, "taken")),
            no(step_to("rename-at", "a.txt", name)),
            no(step_to("link-at", name, "taken")),
        ]);
    }
    site.refused(&site.set(ALL), &refusals);
}

#[test]
fn a_policy_is_not_there_by_another_name() {
    let mut site = with_other_names();
    let strict = site.load(site.set(ALL));
    let before = site.snapshot();
    for name in OTHERS {
        let followed = |op: &str| json!({ "op": op, "base": "/docs", "path": name, "follow": true });
        let taken = site.raw(&strict, &[read(name), followed("stat-at"), followed("metadata-hash-at")]);
        assert_eq!(taken.codes(), ["no-entry"; 3], "{name}");
    }
    assert_eq!(site.snapshot(), before);
    // A link is a name of its own, which leads to nothing.
    let taken = site.raw(&strict, &[step("stat-at", "conf"), step_to("rename-at", "conf", "old"), read("old")]);
    assert_eq!(taken.codes(), ["ok", "ok", "no-entry"]);
    // Where nothing can be changed, a policy is a file as any other, by all its names.
    let strict = site.load(site.set("read,list,metadata"));
    for name in
        OTHERS.into_iter().filter(|name| !name.ends_with("conf")).filter(|name| !["chain", "sub/up"].contains(name))
    {
        assert_eq!(site.raw(&strict, &[read(name)]).outcomes[0]["ok"], SECRET, "{name}");
    }
}

/// Links to other files, and files with several names, are what they were.
#[test]
fn other_links_are_followed_as_before() {
    let mut site = with_other_names();
    fs::hard_link(site.lab.path("docs/a.txt"), site.lab.path("docs/sub/a2.txt")).expect("a hard link");
    site.symlink("../a.txt", "docs/sub/to-a");
    site.symlink("sub/to-a", "docs/to-to-a");
    let strict = site.load(site.set(ALL));
    let taken =
        site.raw(&strict, &[read("to-to-a"), read("sub/a2.txt"), write("sub/to-a", "ALPHA"), read("here/a.txt")]);
    assert_eq!(taken.codes(), ["ok"; 4]);
    assert_eq!(site.text("docs/a.txt"), "ALPHA");
}
