//! A round of the standard library's calls on files, behind the gate and under plain wasmtime as a twin: the same component, the
//! same folder, the same answers, and the same left behind. Where they differ on purpose, the step says why, as does the table
//! in docs/wasi.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tollgate_workspace::documented::assert_documented;
use tollgate_workspace::stock::Stock;
use tollgate_workspace::{Lab, guest};

/// What plain wasmtime does not do, as docs/wasi.md has it.
const SLASH: &str = "`remove-directory-at` of `folder/`";

/// A step, and the row of docs/wasi.md by which it differs if it does.
struct Step(Value, Option<&'static str>);

fn one(op: &str, path: &str) -> Step {
    Step(json!({ "op": op, "path": format!("/docs/{path}") }), None)
}

fn data(op: &str, path: &str, data: &str) -> Step {
    Step(json!({ "op": op, "path": format!("/docs/{path}"), "data": data }), None)
}

fn two(op: &str, path: &str, to: &str) -> Step {
    Step(json!({ "op": op, "path": format!("/docs/{path}"), "to": format!("/docs/{to}") }), None)
}

/// A link whose text is as given.
fn link(text: &str, to: &str) -> Step {
    Step(json!({ "op": "symlink", "path": text, "to": format!("/docs/{to}") }), None)
}

impl Step {
    fn differs(self, why: &'static str) -> Self {
        Self(self.0, Some(why))
    }
}

fn steps() -> Vec<Step> {
    vec![
        one("list", ""),
        one("read", "a.txt"),
        one("read", "none"),
        one("read", "sub"),
        one("read", "a.txt/"),
        one("stat", "a.txt"),
        one("stat", "sub"),
        one("stat", "sub/"),
        one("stat", "none"),
        one("stat", "a.txt/x"),
        one("lstat", "a.txt"),
        one("fstat", "a.txt"),
        one("canonicalize", "a.txt"),
        one("canonicalize", "sub/../a.txt"),
        one("canonicalize", "none"),
        data("write", "new.txt", "first"),
        data("write", "new.txt", "second"),
        one("read", "new.txt"),
        data("append", "new.txt", " and more"),
        one("read", "new.txt"),
        data("append", "none", "x"),
        data("overwrite", "new.txt", "SEC"),
        one("read", "new.txt"),
        data("create-new", "new.txt", "x"),
        data("create-new", "other.txt", "other"),
        data("write", "none/x", "x"),
        data("write", "sub", "x"),
        Step(json!({ "op": "set-len", "path": "/docs/new.txt", "len": 3 }), None),
        one("read", "new.txt"),
        Step(json!({ "op": "set-len", "path": "/docs/new.txt", "len": 5 }), None),
        one("read", "new.txt"),
        one("truncate", "new.txt"),
        one("stat", "new.txt"),
        one("set-times", "a.txt"),
        two("copy", "a.txt", "copy.txt"),
        one("read", "copy.txt"),
        one("mkdir", "made"),
        one("mkdir", "made"),
        one("mkdir", "none/made"),
        one("mkdir", "slashed/"),
        one("mkdir-all", "deep/er/est"),
        data("write", "deep/er/est/x.txt", "deep"),
        one("list", "deep/er"),
        one("rmdir", "deep"),
        one("rmdir", "a.txt"),
        one("rmdir", "slashed"),
        one("mkdir", "to-remove"),
        one("rmdir", "to-remove/").differs(SLASH),
        one("rmdir", "to-remove").differs(SLASH),
        one("rmdir-all", "deep"),
        one("stat", "deep"),
        two("rename", "copy.txt", "moved.txt"),
        one("read", "moved.txt"),
        two("rename", "moved.txt", "a.txt"),
        two("rename", "none", "x"),
        two("rename", "a.txt", "sub"),
        two("rename", "made", "made/in"),
        two("rename", "made", "sub/made"),
        two("rename", "other.txt", "slash/"),
        two("hard-link", "a.txt", "hard.txt"),
        two("hard-link", "a.txt", "hard.txt"),
        two("hard-link", "sub", "hard-sub"),
        link("a.txt", "link"),
        link("sub", "sub-link"),
        link("absent", "dangling"),
        one("readlink", "link"),
        one("readlink", "a.txt"),
        one("readlink", "none"),
        one("read", "link"),
        one("list", "sub-link"),
        one("stat", "dangling"),
        one("lstat", "dangling"),
        one("canonicalize", "sub-link/b.txt"),
        one("open-dir", "sub"),
        one("unlink", "link"),
        one("unlink", "dangling"),
        one("unlink", "sub"),
        one("unlink", "none"),
        one("unlink", "hard.txt"),
        one("exists", "a.txt"),
        one("exists", "none"),
        one("list", ""),
    ]
}

fn build(folder: &Path) {
    fs::create_dir_all(folder.join("sub")).unwrap();
    fs::write(folder.join("a.txt"), "alpha").unwrap();
    fs::write(folder.join("sub/b.txt"), "beta").unwrap();
}

fn tree(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            let below = entry.path().strip_prefix(folder).unwrap().to_owned();
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            }
            found.insert(below, fs::read(entry.path()).ok());
        }
    }
    found
}

#[test]
fn the_standard_library_is_answered_as_under_plain_wasmtime() {
    let mut lab = Lab::new();
    // The standard library asks in ways that the record does not count one by one.
    lab.odd_requests = true;
    let (docs, twin) = (lab.folder("docs"), lab.folder("twin"));
    build(&docs);
    build(&twin);
    let steps = steps();
    assert!(steps.len() >= 60);
    let asked: Vec<_> = steps.iter().map(|step| &step.0).collect();
    let arguments = json!({ "steps": asked }).to_string();
    let tool =
        lab.tool(guest("probe-fs"), &["fs:/docs=docs:read,write,create,delete,list,metadata", "limit:handles=200"]);
    let gate = lab.answer(&tool, "run", &arguments);
    let stock = Stock::new(guest("probe-fs")).answer(&twin, "run", &arguments);
    assert_documented(SLASH);
    let mut differing = Vec::new();
    for ((step, gate), stock) in steps.iter().zip(gate.as_array().unwrap()).zip(stock.as_array().unwrap()) {
        match step.1 {
            None if gate != stock => differing.push(format!("{}\n  gate  {gate}\n  stock {stock}", step.0)),
            Some(why) if gate == stock => differing.push(format!("{} does not differ: {why}", step.0)),
            None | Some(_) => {}
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert_eq!(tree(&docs), tree(&twin));
    lab.verified();
}
