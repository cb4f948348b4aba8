//! A granted folder on a file system that knows no rename which replaces nothing: FUSE here, NFS, 9p and others elsewhere.

use std::fs;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde_json::{Value, json};
use tollgate_workspace::fuse::Fuse;
use tollgate_workspace::{Lab, guest};

const ALL: &str = "fs:/docs=docs:read,write,create,delete,list,metadata";

/// `docs`, with a file, a folder and a link, on FUSE; none where that cannot be mounted.
fn on_fuse(lab: &Lab) -> Option<Fuse> {
    lab.file("behind/a.txt", "alpha");
    lab.file("behind/sub/b.txt", "beta");
    std::os::unix::fs::symlink("a.txt", lab.path("behind/link")).unwrap();
    let fuse = Fuse::over(&lab.path("behind"), &lab.folder("docs"))?;
    let (old, new) = (lab.path("docs/a.txt"), lab.path("docs/probe"));
    let refused = renameat_with(CWD, old, CWD, new, RenameFlags::NOREPLACE);
    assert_eq!(refused, Err(Errno::INVAL), "else this mount shows nothing");
    Some(fuse)
}

fn rename(path: &str, to: &str) -> Value {
    json!({ "op": "rename-at", "base": "/docs", "path": path, "to": to })
}

fn codes(outcomes: &Value) -> Vec<&str> {
    let outcomes = outcomes.as_array().unwrap().iter();
    outcomes.map(|outcome| outcome["err"]["kind"].as_str().unwrap_or("ok")).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn files_folders_and_links_get_new_names() {
    let mut lab = Lab::new();
    let Some(_fuse) = on_fuse(&lab) else { return };
    let tool = lab.tool(guest("probe-fs"), &[ALL]);
    let steps = [
        rename("a.txt", "b.txt"),
        rename("sub", "moved"),
        rename("b.txt", "moved/c.txt"),
        rename("link", "moved-link"),
        rename("none", "new"),
        rename("moved", "moved/in"),
        json!({ "op": "open-at", "base": "/docs", "path": "moved/c.txt", "flags": ["read"], "then": "read" }),
    ];
    let taken = lab.answer(&tool, "raw", &json!({ "steps": steps }).to_string());
    assert_eq!(codes(&taken), ["ok", "ok", "ok", "ok", "no-entry", "invalid", "ok"], "{taken}");
    assert_eq!(taken[6]["ok"], "alpha");
    assert_eq!(names(&lab.path("behind")), ["moved", "moved-link"]);
    assert_eq!(names(&lab.path("behind/moved")), ["b.txt", "c.txt"]);
    assert_eq!(fs::read_link(lab.path("behind/moved-link")).unwrap(), Path::new("a.txt"));
    lab.verified();
}

#[test]
fn what_stands_at_a_name_is_replaced_as_on_any_file_system() {
    let mut lab = Lab::new();
    let Some(_fuse) = on_fuse(&lab) else { return };
    lab.file("behind/other.txt", "other");
    let tool = lab.tool(guest("probe-fs"), &[ALL]);
    let steps = [rename("a.txt", "other.txt"), rename("other.txt", "sub"), rename("sub", "other.txt")];
    let taken = lab.answer(&tool, "raw", &json!({ "steps": steps }).to_string());
    assert_eq!(codes(&taken), ["ok", "is-directory", "not-directory"], "{taken}");
    assert_eq!(fs::read_to_string(lab.path("behind/other.txt")).unwrap(), "alpha");
    lab.verified();
}

/// A file gets its new name by a link, for which a sealed worker has the system call only where a folder may be read.
#[test]
fn a_tool_that_reads_nothing_cannot_give_a_file_a_new_name() {
    let mut lab = Lab::new();
    let Some(_fuse) = on_fuse(&lab) else { return };
    let tool = lab.tool(guest("probe-fs"), &["fs:/docs=docs:create,delete,list"]);
    let steps = [rename("a.txt", "b.txt"), rename("sub", "moved")];
    let taken = lab.answer(&tool, "raw", &json!({ "steps": steps }).to_string());
    assert_eq!(codes(&taken), ["unsupported", "ok"], "{taken}");
    assert_eq!(names(&lab.path("behind")), ["a.txt", "link", "moved"]);
}
