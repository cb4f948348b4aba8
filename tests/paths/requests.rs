//! Odd requests that a generator makes up, and the folder that they are made in.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tollgate_workspace::chance::Chance;

use tollgate_workspace::site::code;

/// A request, as the prober takes it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) op: &'static str,
    pub(crate) dir: Option<&'static str>,
    pub(crate) to_dir: Option<&'static str>,
    pub(crate) path: String,
    pub(crate) to: String,
    pub(crate) follow: bool,
    pub(crate) open: Vec<&'static str>,
    pub(crate) flags: Vec<&'static str>,
    pub(crate) then: &'static str,
}

impl Request {
    pub(crate) fn drawn(chance: &mut Chance) -> Self {
        let op = chance.pick(&OPS);
        let path = match op {
            "symlink-at" => chance.pick(&TEXTS).to_owned(),
            "create-directory-at" if chance.below(2) == 0 => drawn_new(chance),
            _ => drawn_path(chance),
        };
        let flags = chance.pick(&[&["read"][..], &["write"], &["read", "write"], &["read"]]).to_vec();
        let mut open = Vec::new();
        match chance.below(8) {
            0 => open.push("directory"),
            1 | 2 => open.push("create"),
            3 => open.extend(["create", "exclusive"]),
            4 if flags.contains(&"write") => open.extend(["create", "truncate"]),
            5 if flags.contains(&"write") => open.push("truncate"),
            _ => {}
        }
        Self {
            op,
            dir: chance.pick(&DIRS),
            to_dir: chance.pick(&DIRS),
            path,
            to: if chance.below(2) == 0 { drawn_new(chance) } else { drawn_path(chance) },
            // Links are linked themselves: preview 2 has no other way.
            follow: op != "link-at" && chance.below(2) == 0,
            open,
            flags,
            then: chance.pick(&THENS),
        }
    }

    pub(crate) fn step(&self) -> Value {
        let Self { op, dir, to_dir, path, to, follow, open, flags, then } = self;
        json!({
            "op": op, "base": "/docs", "dir": dir, "to_dir": to_dir, "path": path, "to": to, "follow": follow, "open": open,
            "flags": flags, "then": then, "data": "written", "offset": 2,
        })
    }

    /// Whether a path names the folder that it starts from.
    pub(crate) fn is_dot(path: &str) -> bool {
        path.split('/').all(|name| matches!(name, "" | "."))
    }
}

/// A path at which seldom anything stands.
fn drawn_new(chance: &mut Chance) -> String {
    format!("{}{}", chance.pick(&NEW), chance.pick(&ENDINGS))
}

fn drawn_path(chance: &mut Chance) -> String {
    let name = if chance.below(60) == 0 { "x".repeat(256) } else { chance.pick(&NAMES).to_owned() };
    format!("{name}{}", chance.pick(&ENDINGS))
}

/// What the prober's answer to a request comes to, as [`judge`] says it.
pub(crate) fn told(request: &Request, outcome: &Value) -> Result<Value, String> {
    match (code(outcome), request.op) {
        ("ok", "stat-at") => Ok(outcome["ok"]["type"].clone()),
        // The number itself is each host's own.
        ("ok", "metadata-hash-at") => Ok(Value::Null),
        ("ok", _) => Ok(outcome["ok"].clone()),
        (code, _) => Err(code.to_owned()),
    }
}

/// Makes a folder anew, but for itself: it is the one that was granted.
pub(crate) fn build(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let is_folder = entry.file_type().expect("a kind").is_dir();
        let removed = if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        removed.expect("what was listed");
    }
    for name in ["sub/sub", "sub/empty", "empty", "full/sub", "full/deep"] {
        fs::create_dir_all(folder.join(name)).expect("a new folder");
    }
    for name in ["a.txt", "sub/a.txt", "sub/b.txt", "full/a.txt", "full/c.txt"] {
        fs::write(folder.join(name), name).expect("a new file");
    }
    let links = [("sub", "sub-link"), ("a.txt", "file-link"), ("absent", "dangling"), ("loop", "loop")];
    for (text, name) in links.into_iter().chain([("a.txt", "sub/file-link"), ("sub", "full/sub-link")]) {
        std::os::unix::fs::symlink(text, folder.join(name)).expect("a new link");
    }
}

/// The time that is set on files, in seconds since 1970, as the prober sets it.
pub(crate) const TIME: i64 = 1_000_000;

/// Names, kinds, contents, and whose time was set: what must be the same in all folders.
pub(crate) fn tree(folder: &Path) -> BTreeMap<PathBuf, String> {
    fn walk(top: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let stat = fs::symlink_metadata(&path).expect("what was listed");
            let kind = stat.file_type();
            let mut said = if kind.is_dir() {
                walk(top, &path, found);
                "folder".to_owned()
            } else if kind.is_symlink() {
                format!("link to {}", fs::read_link(&path).expect("a link").display())
            } else {
                format!("file {:?}", fs::read(&path).expect("a file"))
            };
            if stat.mtime() == TIME {
                said.push_str(", its time set");
            }
            found.insert(path.strip_prefix(top).expect("below").to_owned(), said);
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

const NAMES: [&str; 22] = [
    "a.txt",
    "sub",
    "sub/b.txt",
    "empty",
    "new",
    "sub/new",
    "none/x",
    "a.txt/x",
    "sub-link",
    "sub-link/b.txt",
    "sub-link/new",
    "file-link",
    "file-link/x",
    "dangling",
    "dangling/x",
    "loop",
    "loop/x",
    "full",
    "full/c.txt",
    "full/deep",
    "full/deep/x",
    ".",
];
const NEW: [&str; 5] = ["new", "sub/new", "sub-link/new", "empty/new", "full/deep/new"];
const ENDINGS: [&str; 12] = ["", "", "", "", "", "", "", "", "/", "/.", "//", "/./"];
const TEXTS: [&str; 5] = ["a.txt", "sub", "absent", "new", "b.txt"];
const OPS: [&str; 13] = [
    "open-at",
    "open-at",
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
const DIRS: [Option<&str>; 5] = [None, None, None, Some("sub"), Some("full")];
const THENS: [&str; 8] =
    ["close", "read", "write", "append-via-stream", "set-size", "set-times", "read-directory", "get-type"];
