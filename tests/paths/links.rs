//! Symbolic and hard links: containment is the kernel's, and what a guest makes never leads out by its text.

use std::fs;

use serde_json::{Value, json};
use tollgate_capability::{CapabilitySet, OnViolation, Reason};

use tollgate_workspace::site::{ALL, Content, Refusal, SECRET, Site, read, step, step_to, write};

const BENEATH: &str = "fs:/docs:beneath";

/// Links that the operator made: some stay inside, some lead out.
fn linked() -> Site {
    let site = Site::new();
    for (text, name) in [
        ("a.txt", "docs/in"),
        ("sub", "docs/folder"),
        ("./sub/../sub/b.txt", "docs/winding"),
        ("../a.txt", "docs/sub/up"),
        ("in", "docs/chain1"),
        ("chain1", "docs/chain2"),
        ("loop2", "docs/loop1"),
        ("loop1", "docs/loop2"),
        ("self", "docs/self"),
        ("absent", "docs/dangling"),
        ("../outside/secret.txt", "docs/out"),
        ("../outside", "docs/out-folder"),
        ("..", "docs/parent"),
        ("sub/../../outside/secret.txt", "docs/out-winding"),
        ("out", "docs/out-chain"),
        ("../outside/absent", "docs/out-dangling"),
        ("../docs/a.txt", "docs/out-and-in"),
        ("/proc/self/root/etc/passwd", "docs/proc"),
    ] {
        site.symlink(text, name);
    }
    let absolute = |name: &str| site.lab.path(name).to_str().expect("a temporary folder").to_owned();
    site.symlink(&absolute("outside/secret.txt"), "docs/out-absolute");
    site.symlink(&absolute("docs/a.txt"), "docs/in-absolute");
    site.symlink(&absolute("outside"), "docs/out-absolute-folder");
    site
}

/// What leads out of the granted folder when it is followed.
const OUT: [&str; 12] = [
    "out",
    "out-winding",
    "out-chain",
    "out-dangling",
    "out-and-in",
    "proc",
    "out-absolute",
    "in-absolute",
    "out-folder",
    "out-folder/secret.txt",
    "out-absolute-folder/secret.txt",
    "parent/outside/secret.txt",
];

fn followed(op: &str, path: &str) -> Value {
    json!({ "op": op, "base": "/docs", "path": path, "follow": true })
}

#[test]
fn links_that_stay_inside_are_followed() {
    let mut site = linked();
    let tool = site.load(site.set(ALL));
    for (path, text) in [
        ("in", "alpha"),
        ("folder/b.txt", "beta"),
        ("winding", "beta"),
        ("sub/up", "alpha"),
        ("folder/up", "alpha"),
        ("chain2", "alpha"),
    ] {
        let taken = site.raw(&tool, &[read(path)]);
        assert_eq!(taken.outcomes[0]["ok"], text, "{path}");
        assert_eq!(taken.lines(), ["open-at fs:/docs:read -> ok"]);
    }
    let stat = site.raw(&tool, &[followed("stat-at", "in"), step("stat-at", "in"), followed("stat-at", "folder")]);
    let types: Vec<_> = stat.outcomes.iter().map(|outcome| outcome["ok"]["type"].as_str()).collect();
    assert_eq!(types, [Some("regular-file"), Some("symbolic-link"), Some("directory")]);
    site.raw(&tool, &[write("chain2", "ALPHA"), write("folder/new", "new")]);
    assert_eq!((site.text("docs/a.txt").as_str(), site.text("docs/sub/new").as_str()), ("ALPHA", "new"));
}

#[test]
fn links_that_lead_out_are_refused_by_the_gate_where_it_looks() {
    let mut site = linked();
    let mut steps = Vec::new();
    for path in OUT {
        steps.extend([read(path), write(path, "x"), followed("stat-at", path), followed("metadata-hash-at", path)]);
        steps.push(followed("set-times-at", path));
        for open in [vec!["create"], vec!["truncate"], vec!["directory"]] {
            steps.push(json!({ "op": "open-at", "base": "/docs", "path": path, "open": open, "follow": true }));
        }
    }
    for folder in ["out-folder", "out-absolute-folder", "parent"] {
        let below = format!("{folder}/secret.txt");
        steps.extend([step("stat-at", &below), step("unlink-file-at", &below), step("open-at", &below)]);
        steps.extend([step_to("rename-at", &below, "new"), step_to("rename-at", "a.txt", &below)]);
        steps.push(step_to("link-at", &below, "new"));
        steps.push(step("create-directory-at", &format!("{folder}/new")));
        steps.push(step("remove-directory-at", &below));
        steps.push(step("readlink-at", &below));
    }
    let refusals: Vec<_> = steps.into_iter().map(|step| Refusal::new(step, BENEATH, Reason::LinkOutside)).collect();
    site.refused(&site.set(ALL), &refusals);
}

/// What must be new is looked for at the name itself, wherever a link there leads.
#[test]
fn nothing_new_is_made_where_any_link_stands() {
    let mut site = linked();
    let tool = site.load(site.set(ALL));
    let before = site.snapshot();
    // Links themselves, and not what is behind one.
    let links = OUT.into_iter().filter(|path| !path.contains('/'));
    for path in links.chain(["dangling", "loop1", "in"]) {
        for follow in [true, false] {
            let new = json!({
                "op": "open-at", "base": "/docs", "path": path, "open": ["create", "exclusive"], "flags": ["write"],
                "follow": follow,
            });
            assert_eq!(site.raw(&tool, &[new]).codes(), ["exist"], "{path}");
        }
    }
    assert_eq!(site.snapshot(), before);
}

/// As Python's `os.walk` does: every entry of a folder is looked at, and a link that leads out is no folder to go into.
#[test]
fn a_walk_looks_at_links_that_lead_out_and_lives() {
    let mut site = linked();
    let tool = site.load(site.set(ALL));
    let looks: Vec<_> = OUT.iter().map(|path| followed("stat-at", path)).collect();
    let taken = site.raw(&tool, &looks);
    assert_eq!(taken.codes(), vec!["not-permitted"; looks.len()]);
    assert!(taken.record.iter().all(|line| line.end.starts_with("gate deny fs:/docs:beneath")), "{:?}", taken.record);
    let failure = site.fails(&tool, "raw", &[read(OUT[0])]);
    assert!(matches!(failure.error, tollgate::CallError::Violation(_)), "to open it ends the tool: {failure}");
}

#[test]
fn the_kernel_refuses_a_way_out_where_the_gate_does_not_look() {
    let mut site = linked();
    let mut steps = Vec::new();
    for folder in ["out-folder", "out-absolute-folder", "parent", "sub/../parent"] {
        let below = format!("{folder}/secret.txt");
        steps.push(step_to("symlink-at", "a.txt", &below));
        steps.push(step_to("link-at", "a.txt", &format!("{folder}/new")));
    }
    site.stopped_by_kernel(&site.set(ALL), &steps);
}

#[test]
fn a_link_itself_is_no_danger_where_it_is_not_followed() {
    let mut site = linked();
    let tool = site.load(site.set(ALL));
    let links = ["out", "out-absolute", "proc", "dangling", "loop1", "in"];
    for link in links {
        let open = json!({ "op": "open-at", "base": "/docs", "path": link, "flags": ["read"] });
        let taken = site.raw(&tool, &[step("stat-at", link), open, step("set-times-at", link)]);
        assert_eq!(taken.codes(), ["ok", "loop", "unsupported"], "{link}");
    }
    assert_eq!(fs::metadata(site.lab.path("outside/secret.txt")).expect("a file").len(), SECRET.len() as u64);
    let steps = [
        step_to("rename-at", "in", "moved"),
        step_to("link-at", "moved", "moved-too"),
        step("unlink-file-at", "moved"),
        step("unlink-file-at", "proc"),
        step("remove-directory-at", "out-folder"),
        step("unlink-file-at", "out-folder"),
    ];
    assert_eq!(site.raw(&tool, &steps).codes(), ["ok", "ok", "ok", "ok", "not-directory", "ok"]);
    assert_eq!(site.text("outside/secret.txt"), SECRET);
}

#[test]
fn loops_and_dangling_links_end_in_an_error() {
    let mut site = linked();
    let tool = site.load(site.set(ALL));
    let before = site.snapshot();
    for path in ["loop1", "self", "loop1/x", "self/../loop2/x"] {
        let steps = [read(path), write(path, "x"), followed("stat-at", path), followed("set-times-at", path)];
        assert_eq!(site.raw(&tool, &steps).codes(), vec!["loop"; 4], "{path}");
    }
    assert_eq!(site.raw(&tool, &[read("dangling"), followed("stat-at", "dangling")]).codes(), ["no-entry"; 2]);
    let through = |open: &[&str]| {
        json!({
            "op": "open-at", "base": "/docs", "path": "dangling", "open": open, "flags": ["write"], "follow": true,
        })
    };
    let taken = site.raw(&tool, &[through(&["create"]), through(&["create", "exclusive"]), through(&["truncate"])]);
    assert_eq!(taken.codes(), ["loop", "exist", "no-entry"], "nothing is made through a link");
    assert_eq!(site.snapshot(), before);
}

#[test]
fn readlink_tells_no_absolute_host_path() {
    let mut site = linked();
    let tool = site.load(site.set("metadata"));
    let paths = ["in", "out", "out-absolute", "proc", "a.txt", "absent", "folder/up"];
    let taken = site.raw(&tool, &paths.map(|path| step("readlink-at", path)));
    let codes = ["ok", "ok", "not-permitted", "not-permitted", "invalid", "no-entry", "ok"];
    assert_eq!(taken.codes(), codes);
    assert_eq!([&taken.outcomes[0]["ok"], &taken.outcomes[1]["ok"]], ["a.txt", "../outside/secret.txt"]);
    let ends: Vec<_> = taken.record.iter().map(|line| line.end.as_str()).collect();
    assert_eq!(ends, codes);
}

#[test]
fn a_guest_makes_no_link_that_leads_out_by_its_text() {
    let mut site = linked();
    let refused = |text: &str, path: &str| Refusal::new(step_to("symlink-at", text, path), BENEATH, Reason::LinkText);
    let refusals = [
        refused("/", "new"),
        refused("/etc/passwd", "new"),
        refused("//etc", "sub/new"),
        refused("..", "new"),
        refused("../docs/a.txt", "new"),
        refused("a.txt/../..", "new"),
        refused("sub/../../outside", "new"),
        refused("../..", "sub/new"),
        refused("../../outside/secret.txt", "sub/new"),
        refused("./../x", "./new"),
        refused("../x", "sub/../new"),
        refused("absent/..", "new"),
        refused("sub/../a.txt", "new"),
        refused("p/p/../../outside/secret.txt", "sub/new"),
        refused("../sub/../a.txt", "sub/new"),
    ];
    site.refused(&site.set(ALL), &refusals);
    let strict = site.load(site.set(ALL));
    let steps = [
        step_to("symlink-at", "a.txt", "new1"),
        step_to("symlink-at", "../a.txt", "sub/new2"),
        step_to("symlink-at", "./absent/.", "new3"),
        step_to("symlink-at", "", "new4"),
        step_to("symlink-at", "a\0b", "new5"),
        step_to("symlink-at", &"n".repeat(5000), "new6"),
    ];
    let taken = site.raw(&strict, &steps);
    assert_eq!(taken.codes(), ["ok", "ok", "ok", "no-entry", "invalid", "name-too-long"]);
    assert_eq!(fs::read_link(site.lab.path("docs/sub/new2")).expect("a link").to_str(), Some("../a.txt"));
}

/// `p` leads to its own folder, so that `p/p/..` is a folder up and reads as if it were not: no text may have `..` after a name.
#[test]
fn a_chain_of_links_to_dot_leads_nowhere_out() {
    let mut site = Site::new();
    let strict = site.load(site.set(ALL));
    assert_eq!(site.raw(&strict, &[step_to("symlink-at", ".", "p")]).codes(), ["ok"]);
    let chain = step_to("symlink-at", "p/p/../../outside/secret.txt", "x");
    site.refused(&site.set(ALL), &[Refusal::new(chain, BENEATH, Reason::LinkText)]);
}

#[test]
fn a_link_is_judged_again_wherever_it_goes() {
    let mut site = Site::new();
    site.lab.folder("docs/sub/deep");
    let strict = site.load(site.set(ALL));
    let made = [
        step_to("symlink-at", "../../outside/secret.txt", "sub/deep/climbs"),
        step_to("symlink-at", "b.txt", "sub/deep/down"),
    ];
    assert_eq!(site.raw(&strict, &made).codes(), ["ok"; 2]);
    let refused = |step| Refusal::new(step, BENEATH, Reason::LinkText);
    let refusals = [
        refused(step_to("rename-at", "sub/deep/climbs", "sub/moved")),
        refused(step_to("rename-at", "sub/deep/climbs", "moved")),
        refused(step_to("link-at", "sub/deep/climbs", "sub/linked")),
        refused(step_to("link-at", "sub/deep/climbs", "linked")),
    ];
    site.refused(&site.set(ALL), &refusals);
    let strict = site.load(site.set(ALL));
    let steps = [
        step_to("rename-at", "sub/deep/climbs", "sub/deep/still"),
        step_to("link-at", "sub/deep/still", "sub/deep/climbs"),
        step_to("rename-at", "sub/deep/down", "down"),
        step_to("link-at", "down", "sub/down"),
    ];
    assert_eq!(site.raw(&strict, &steps).codes(), ["ok"; 4]);
    assert_eq!(site.text("outside/secret.txt"), SECRET);
}

/// The operator's link `s` leads deeper than it reads, and `up` leads higher: the text of a path says nothing of where a
/// link would stand there.
#[test]
fn a_link_that_climbs_is_not_put_where_a_link_is_on_the_way() {
    let mut site = Site::new();
    site.lab.folder("docs/sub/deep");
    site.symlink("..", "docs/sub/deep/up");
    site.symlink("sub/deep", "docs/s");
    let refused = |step| Refusal::new(step, BENEATH, Reason::LinkPlace);
    site.symlink("../b.txt", "docs/sub/deep/climbs");
    let refusals = [
        refused(step_to("symlink-at", "../../../outside", "sub/deep/up/new")),
        refused(step_to("symlink-at", "../b.txt", "s/new")),
        refused(step_to("rename-at", "sub/deep/climbs", "sub/deep/up/new")),
        refused(step_to("link-at", "sub/deep/climbs", "sub/deep/up/new")),
    ];
    site.refused(&site.set(ALL), &refusals);
    let strict = site.load(site.set(ALL));
    let steps = [step_to("symlink-at", "b.txt", "sub/deep/up/new"), step_to("rename-at", "s/up", "s/other")];
    assert_eq!(site.raw(&strict, &steps[..1]).codes(), ["ok"]);
    site.refused(&site.set(ALL), &[refused(steps[1].clone())]);
}

#[test]
fn a_folder_takes_no_link_with_it_that_would_lead_out() {
    let mut site = Site::new();
    site.lab.file("docs/sub/plain/in/c.txt", "c");
    site.lab.folder("docs/sub/deep/in");
    site.symlink("../../../a.txt", "docs/sub/deep/in/climbs");
    site.symlink("c.txt", "docs/sub/plain/in/down");
    site.symlink("../in/c.txt", "docs/sub/plain/in/within");
    let up = |to: &str| step_to("rename-at", "sub/deep", to);
    let refused = |step| Refusal::new(step, BENEATH, Reason::LinksInFolder);
    site.refused(&site.set(ALL), &[refused(up("deep"))]);
    let blind = site.set("read,write,create,delete,metadata");
    let plain = step_to("rename-at", "sub/plain", "plain");
    site.refused(&blind, &[refused(plain.clone()), refused(up("deep"))]);
    let strict = site.load(site.set(ALL));
    let level = [up("sub/level"), step_to("rename-at", "sub/level", "sub/plain/in/deeper"), plain];
    assert_eq!(site.raw(&strict, &level).codes(), ["ok"; 3]);
    assert_eq!(site.text("docs/plain/in/down"), "c");
}

/// A folder with more entries than are looked at may hold any link.
#[test]
fn a_folder_with_too_much_in_it_does_not_move_up() {
    let mut site = Site::new();
    let full = site.lab.folder("docs/sub/full");
    for number in 0..10_001 {
        fs::File::create(full.join(number.to_string())).expect("a file");
    }
    let up = step_to("rename-at", "sub/full", "full");
    let set = CapabilitySet { on_violation: OnViolation::Deny, ..site.set(ALL) };
    let tool = site.load(set);
    let taken = site.raw(&tool, &[up, step_to("rename-at", "sub/full", "sub/same")]);
    assert_eq!(taken.codes(), ["not-permitted", "ok"]);
    assert!(taken.record[0].end.starts_with("gate deny fs:/docs:beneath: links in the folder"), "{}", taken.record[0]);
}

#[test]
fn hard_links_within_a_folder_need_read_and_write_and_create() {
    let mut site = Site::odd();
    let strict = site.load(site.set("read,write,create"));
    let taken = site.raw(&strict, &[step_to("link-at", "a.txt", "sub/again"), read("sub/again")]);
    assert_eq!(taken.outcomes[1]["ok"], "alpha");
    assert_eq!(taken.lines(), ["link-at fs:/docs:create -> ok", "open-at fs:/docs:read -> ok"]);
    let step = step_to("link-at", "a.txt", "new");
    site.refused(&site.set("create"), &[Refusal::new(step.clone(), "fs:/docs:read", Reason::NotGranted)]);
    site.refused(&site.set("read,create"), &[Refusal::new(step.clone(), "fs:/docs:write", Reason::NotGranted)]);
    site.refused(&site.set("read,write"), &[Refusal::new(step, "fs:/docs:create", Reason::NotGranted)]);
    let strict = site.load(site.set("read,write,create"));
    let links = [("sub", "new"), ("absent", "new"), ("a.txt", "sub/b.txt"), ("a.txt", "a.txt"), ("a.txt", "x/y")];
    let taken = site.raw(&strict, &links.map(|(old, new)| step_to("link-at", old, new)));
    assert_eq!(taken.codes(), ["not-permitted", "no-entry", "exist", "exist", "no-entry"]);
    let follow = json!({ "op": "link-at", "base": "/docs", "path": "a.txt", "to": "new", "follow": true });
    assert_eq!(site.raw(&strict, &[follow]).codes(), ["invalid"]);
}

#[test]
fn a_hard_link_gains_no_rights_in_another_folder() {
    let mut site = Site::new();
    let link = json!({ "op": "link-at", "base": "/docs", "path": "a.txt", "to_base": "/other", "to": "new" });
    for (docs, other) in
        [("read", "read,create,write"), ("read", "read,create,metadata"), ("read,create", "create,write")]
    {
        let set = site.two(docs, other);
        site.refused(&set, &[Refusal::new(link.clone(), "fs:/other:no-gain", Reason::GainsRights)]);
    }
    for (docs, other) in
        [("read,write", "read,create"), ("read,write", "create"), ("read,write", "read,create,delete,list")]
    {
        let set = site.two(docs, other);
        let strict = site.load(set);
        assert_eq!(site.raw(&strict, std::slice::from_ref(&link)).codes(), ["ok"], "{docs} to {other}");
        fs::remove_file(site.lab.path("other/new")).expect("a new link");
    }
}

/// A folder that may be read alone stays so for every tool: one of another grant may write where the new name would stand.
#[test]
fn a_hard_link_is_made_of_no_file_that_the_tool_may_not_write() {
    let mut site = Site::new();
    let link = json!({ "op": "link-at", "base": "/docs", "path": "a.txt", "to_base": "/other", "to": "new" });
    for docs in ["read,list", "read,create,delete,list,metadata"] {
        let set = site.two(docs, "create");
        site.refused(&set, &[Refusal::new(link.clone(), "fs:/docs:write", Reason::NotGranted)]);
        assert!(!site.lab.path("other/new").exists(), "{docs}");
    }
}

/// Granted folders may lie in one another on the host: what counts is what the set gives at either place.
#[test]
fn a_hard_link_gains_no_rights_by_a_folder_above_or_below() {
    let mut site = Site::new();
    let sub = fs::canonicalize(site.lab.path("docs/sub")).expect("a folder");
    let nested = |site: &Site, docs: &str, sub_rights: &str| {
        let mut set = site.two(docs, sub_rights);
        set.fs[1].host.clone_from(&sub);
        set
    };
    let below = step_to("link-at", "a.txt", "sub/new");
    let across = json!({ "op": "link-at", "base": "/docs", "path": "a.txt", "to_base": "/other", "to": "new" });
    let back = json!({ "op": "link-at", "base": "/other", "path": "b.txt", "to_base": "/docs", "to": "new" });
    let gains = |step: &serde_json::Value, guest: &str| {
        Refusal::new(step.clone(), &format!("fs:{guest}:no-gain"), Reason::GainsRights)
    };
    let more_below = nested(&site, "read,create", "read,create,write");
    let more_above = nested(&site, "read,create,write", "read,create");
    site.refused(&more_below, &[gains(&below, "/docs"), gains(&across, "/other")]);
    // What is below may be written by the folder above already, so that nothing is gained by going there.
    let strict = site.load(more_above);
    assert_eq!(site.raw(&strict, &[below, across]).codes(), ["ok", "exist"]);
    let less_below = nested(&site, "read,create,write", "read");
    site.refused(&less_below, &[gains(&back, "/docs")]);
}

/// A folder grants what is in it. A file with a further name in a granted folder is in it; where the operator does not
/// mean that, patterns refuse every file with several names.
#[test]
fn a_hard_link_that_the_operator_made_is_readable_except_under_patterns() {
    let mut site = Site::new();
    fs::hard_link(site.lab.path("outside/secret.txt"), site.lab.path("docs/linked")).expect("a new link");
    let strict = site.load(site.set("read,metadata"));
    let taken = site.raw(&strict, &[read("linked"), step("stat-at", "linked")]);
    assert_eq!((&taken.outcomes[0]["ok"], &taken.outcomes[1]["ok"]["links"]), (&json!(SECRET), &json!(2)));
    let refused = |step| Refusal::new(step, "fs:/docs:patterns", Reason::HardLinksUnderPatterns);
    let set = site.patterned(ALL, &[], &["unrelated"]);
    let refusals = [
        refused(read("linked")),
        refused(write("linked", "x")),
        refused(step("stat-at", "linked")),
        refused(step("set-times-at", "linked")),
        refused(step_to("link-at", "linked", "new")),
        refused(step_to("link-at", "a.txt", "new")),
    ];
    site.refused(&set, &refusals);
    let strict = site.load(set);
    assert_eq!(site.raw(&strict, &[step("unlink-file-at", "linked")]).codes(), ["ok"], "a name can be taken away");
    assert_eq!(site.text("outside/secret.txt"), SECRET);
    let secret = &site.snapshot().0[std::path::Path::new("outside/secret.txt")].content;
    assert_eq!(*secret, Content::File(SECRET.into()));
}
