//! Include and exclude patterns speak for the file that is opened, whatever its path was written as.

use serde_json::{Value, json};
use tollgate_capability::Reason;

use tollgate_workspace::site::{ALL, Refusal, Site, read, step, step_to, write};

const PATTERNS: &str = "fs:/docs:patterns";
const KEY: &str = "EXCLUDED";

/// `*.txt` is included, `secret/` and `*.key.txt` are excluded.
const INCLUDE: [&str; 1] = ["*.txt"];
const EXCLUDE: [&str; 2] = ["secret/**", "*.key.txt"];

fn patterned() -> Site {
    let site = Site::new();
    site.lab.file("docs/secret/x.txt", KEY);
    site.lab.file("docs/secret/deep/y.txt", KEY);
    site.lab.file("docs/api.key.txt", KEY);
    site.lab.file("docs/notes.md", KEY);
    site.lab.file("docs/sub/notes.md", KEY);
    site.symlink("secret/x.txt", "docs/ok.txt");
    site.symlink("a.txt", "docs/alias.txt");
    site.symlink("secret", "docs/folder");
    site.symlink("sub", "docs/sub-alias");
    site.symlink("../outside/secret.txt", "docs/out.txt");
    site
}

fn excluded(step: Value) -> Refusal {
    Refusal::new(step, PATTERNS, Reason::Excluded)
}

fn symlink(step: Value) -> Refusal {
    Refusal::new(step, PATTERNS, Reason::SymlinkUnderPatterns)
}

#[test]
fn what_is_left_out_cannot_be_reached_however_it_is_spelled() {
    let mut site = patterned();
    let paths = [
        "secret/x.txt",
        "sub/../secret/x.txt",
        "./secret//x.txt",
        "absent/../secret/./x.txt",
        "secret/deep/../x.txt",
        "secret/deep/y.txt",
        "secret/absent.txt",
        "secret",
        "secret/",
        "secret/deep",
        "api.key.txt",
        "notes.md",
        "sub/../notes.md",
        "sub/notes.md",
    ];
    let mut refusals = Vec::new();
    for path in paths {
        refusals.extend([read(path), write(path, "x")].map(excluded));
        for op in ["stat-at", "metadata-hash-at", "set-times-at", "unlink-file-at", "readlink-at"] {
            refusals.push(excluded(step(op, path)));
        }
        refusals.push(excluded(step_to("rename-at", path, "new.txt")));
        refusals.push(excluded(step_to("link-at", path, "new.txt")));
    }
    for path in ["secret", "secret/deep", "secret/new", "sub/../secret/"] {
        refusals.extend(["create-directory-at", "remove-directory-at"].map(|op| excluded(step(op, path))));
        refusals.push(excluded(json!({ "op": "open-at", "base": "/docs", "path": path, "open": ["directory"] })));
    }
    site.refused(&site.patterned(ALL, &INCLUDE, &EXCLUDE), &refusals);
}

#[test]
fn an_included_name_reaches_its_own_file_only() {
    let mut site = patterned();
    let tool = site.load(site.patterned(ALL, &INCLUDE, &EXCLUDE));
    let taken = site.raw(&tool, &[read("a.txt"), read("sub/b.txt"), read("sub/../a.txt"), read("secret/../a.txt")]);
    let texts: Vec<_> = taken.outcomes.iter().map(|outcome| outcome["ok"].as_str()).collect();
    assert_eq!(texts, [Some("alpha"), Some("beta"), Some("alpha"), Some("alpha")]);
}

#[test]
fn links_are_neither_followed_nor_made_under_patterns() {
    let mut site = patterned();
    let mut refusals = Vec::new();
    let below = ["folder/x.txt", "folder/../sub-alias/b.txt", "sub-alias/b.txt", "sub-alias/absent.txt"];
    for path in ["ok.txt", "alias.txt", "out.txt"].into_iter().chain(below) {
        refusals.extend([read(path), write(path, "x")].map(symlink));
        refusals.extend(["stat-at", "metadata-hash-at", "set-times-at"].map(|op| symlink(step(op, path))));
        // Its text may name what is excluded.
        refusals.push(symlink(step("readlink-at", path)));
        refusals.push(symlink(json!({ "op": "open-at", "base": "/docs", "path": path, "flags": ["read"] })));
        refusals.push(symlink(step_to("link-at", path, "new.txt")));
    }
    for (text, path) in [("a.txt", "new.txt"), ("secret/x.txt", "new.txt"), ("/etc", "new.txt"), ("a.txt", "new.md")] {
        refusals.push(symlink(step_to("symlink-at", text, path)));
    }
    site.refused(&site.patterned(ALL, &INCLUDE, &EXCLUDE), &refusals);
}

#[test]
fn a_link_on_the_way_stops_what_acts_on_names() {
    let mut site = patterned();
    let set = site.patterned(ALL, &INCLUDE, &EXCLUDE);
    let refused = |step| Refusal::new(step, "fs:/docs:patterns", Reason::SymlinkUnderPatterns);
    let refusals = [
        refused(step("unlink-file-at", "folder/x.txt")),
        refused(step("create-directory-at", "folder/new")),
        refused(step("remove-directory-at", "folder/deep")),
        refused(step_to("rename-at", "a.txt", "folder/new.txt")),
        refused(step_to("rename-at", "folder/x.txt", "new.txt")),
    ];
    site.refused(&set, &refusals);
    let tool = site.load(set);
    // What is no link has no text to tell.
    let no_links = ["a.txt", "sub/b.txt", "sub"].map(|path| step("readlink-at", path));
    assert_eq!(site.raw(&tool, &no_links).codes(), ["invalid"; 3]);
}

#[test]
fn listings_hide_what_is_left_out() {
    let mut site = patterned();
    let tool = site.load(site.patterned("read,list", &INCLUDE, &EXCLUDE));
    let list = |path: &str| {
        json!({
            "op": "open-at", "base": "/docs", "path": path, "open": ["directory"], "flags": ["read"],
            "then": "read-directory",
        })
    };
    let taken = site.raw(&tool, &[list("."), list("sub")]);
    let shown = json!(["a.txt", "sub"]);
    assert_eq!([&taken.outcomes[0]["ok"], &taken.outcomes[1]["ok"]], [&shown, &json!(["b.txt"])]);
    let tool = site.load(site.patterned("list", &[], &["s*", "*.txt"]));
    let taken = site.raw(&tool, &[list(".")]);
    assert_eq!(taken.outcomes[0]["ok"], json!(["notes.md"]));
}

#[test]
fn nothing_is_made_or_moved_where_patterns_leave_it_out() {
    let mut site = patterned();
    let create = |path: &str| json!({ "op": "open-at", "base": "/docs", "path": path, "open": ["create"] });
    let refusals = [
        create("new.md"),
        create("new"),
        create("sub/new.key.txt"),
        create("secret/new.txt"),
        write("new.md", "x"),
        step("create-directory-at", "new.key.txt"),
        step_to("rename-at", "a.txt", "new.md"),
        step_to("rename-at", "a.txt", "notes.md"),
        step_to("rename-at", "a.txt", "secret/new.txt"),
        step_to("rename-at", "a.txt", "sub/../secret/x.txt"),
        step_to("rename-at", "a.txt", "new.key.txt"),
        step_to("rename-at", "notes.md", "notes.txt"),
        step_to("rename-at", "secret/x.txt", "x.txt"),
        step_to("rename-at", "secret", "sub2"),
    ];
    site.refused(&site.patterned(ALL, &INCLUDE, &EXCLUDE), &refusals.map(excluded));
    let tool = site.load(site.patterned(ALL, &INCLUDE, &EXCLUDE));
    let moved =
        [step_to("rename-at", "a.txt", "sub/a.txt"), write("new.txt", "new"), step("create-directory-at", "new")];
    assert_eq!(site.raw(&tool, &moved).codes(), ["ok"; 3]);
    assert_eq!((site.text("docs/sub/a.txt").as_str(), site.text("docs/new.txt").as_str()), ("alpha", "new"));
}

#[test]
fn folders_are_not_renamed_under_patterns() {
    let mut site = patterned();
    let refused = |step| Refusal::new(step, PATTERNS, Reason::FolderRenameUnderPatterns);
    let refusals = [step_to("rename-at", "sub", "sub2"), step_to("rename-at", "sub/", "secret2")].map(refused);
    site.refused(&site.patterned(ALL, &INCLUDE, &EXCLUDE), &refusals);
    let rename = |base: &str, path: &str, to_base: &str| json!({ "op": "rename-at", "base": base, "path": path, "to_base": to_base, "to": "moved" });
    let mut set = site.two(ALL, ALL);
    set.fs[0].patterns = site.patterned(ALL, &[], &["secret"]).fs[0].patterns.clone();
    site.lab.folder("other/folder");
    let into = Refusal::new(rename("/other", "folder", "/docs"), PATTERNS, Reason::FolderRenameUnderPatterns);
    let out_of =
        Refusal::new(rename("/docs", "sub", "/other"), "fs:/other:patterns", Reason::FolderRenameUnderPatterns);
    site.refused(&set, &[into, out_of]);
}

#[test]
fn a_file_with_several_names_leaves_no_patterned_folder() {
    let mut site = patterned();
    std::fs::hard_link(site.lab.path("docs/secret/x.txt"), site.lab.path("docs/copy.txt")).expect("a new link");
    let refused = |step, reason| Refusal::new(step, PATTERNS, reason);
    let set = site.patterned(ALL, &INCLUDE, &EXCLUDE);
    site.refused(&set, &[refused(read("copy.txt"), Reason::HardLinksUnderPatterns)]);
    let mut set = site.two(ALL, ALL);
    set.fs[0].patterns = site.patterned(ALL, &[], &["secret"]).fs[0].patterns.clone();
    let to_other = |op: &str| json!({ "op": op, "base": "/docs", "path": "copy.txt", "to_base": "/other", "to": "x" });
    let moved = refused(to_other("rename-at"), Reason::HardLinksUnderPatterns);
    let linked = refused(to_other("link-at"), Reason::HardLinksUnderPatterns);
    site.refused(&set, &[moved, linked]);
}

#[test]
fn case_counts_in_patterns() {
    let mut site = Site::new();
    site.lab.file("docs/SECRET/x.txt", "shown");
    site.lab.file("docs/secret/x.txt", KEY);
    let set = site.patterned(ALL, &[], &["secret"]);
    let tool = site.load(set.clone());
    assert_eq!(site.raw(&tool, &[read("SECRET/x.txt")]).outcomes[0]["ok"], "shown");
    site.refused(&set, &[excluded(read("secret/x.txt"))]);
}
