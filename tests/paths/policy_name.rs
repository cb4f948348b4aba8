//! The name of a policy in a folder that a tool may change: what has it is not there, and nothing gets it. The next run in
//! that folder, or in any folder in it, would obey what stands there.

use serde_json::{Value, json};
use tollgate_capability::Reason;

use crate::site::{ALL, Refusal, SECRET, Site, read, step, step_to, write};

/// Spellings that some file system takes for the name.
const NAMES: [&str; 6] = [
    "tollgate.toml",
    "sub/tollgate.toml",
    "sub/../tollgate.toml",
    "Tollgate.TOML",
    "tollgate.toml.",
    "sub/tollgate.toml . ",
];

#[test]
fn nothing_gets_the_name_of_a_policy() {
    let mut site = Site::new();
    let no = |step: Value| Refusal::new(step, "fs:/docs:policy", Reason::PolicyName);
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
    for name in ["tollgate.toml", "sub/tollgate.toml", "Tollgate.toml"] {
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
