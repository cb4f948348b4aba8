//! Some thousand requests that a generator makes up, each judged by Linux: the same is asked of the kernel, natively, in a folder
//! beside the granted one, and both must say the same and leave the same behind. Where the gate differs on purpose, the row of the
//! table in docs/wasi.md is named.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use serde_json::{Value, json};
use tollgate_workspace::chance::Chance;

use crate::site::{ALL, Site, code};

const SEED: u64 = 0x0070_6c61_696e;
const ROUNDS: u64 = 160;
const STEPS: usize = 25;

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
const ENDINGS: [&str; 9] = ["", "", "", "", "", "/", "/.", "//", "/./"];
const TEXTS: [&str; 5] = ["a.txt", "sub", "absent", "new", "b.txt"];
const OPS: [&str; 11] = [
    "open-at",
    "open-at",
    "open-at",
    "stat-at",
    "readlink-at",
    "unlink-file-at",
    "remove-directory-at",
    "create-directory-at",
    "rename-at",
    "link-at",
    "symlink-at",
];
const THENS: [&str; 8] =
    ["close", "read", "write", "append-via-stream", "set-size", "set-times", "read-directory", "get-type"];

/// Makes a folder anew, but for itself: it is the one that was granted.
fn build(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let is_folder = entry.file_type().expect("a kind").is_dir();
        let removed = if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        removed.expect("what was listed");
    }
    for name in ["sub", "empty", "full/deep"] {
        fs::create_dir_all(folder.join(name)).expect("a new folder");
    }
    for (name, text) in [("a.txt", "alpha"), ("sub/b.txt", "beta"), ("full/c.txt", "gamma")] {
        fs::write(folder.join(name), text).expect("a new file");
    }
    for (text, name) in [("sub", "sub-link"), ("a.txt", "file-link"), ("absent", "dangling"), ("loop", "loop")] {
        std::os::unix::fs::symlink(text, folder.join(name)).expect("a new link");
    }
}

/// Names, kinds and contents: what must be the same in both folders.
fn tree(folder: &Path) -> BTreeMap<PathBuf, String> {
    fn walk(top: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let kind = fs::symlink_metadata(&path).expect("what was listed").file_type();
            let said = if kind.is_dir() {
                walk(top, &path, found);
                "folder".to_owned()
            } else if kind.is_symlink() {
                format!("link to {}", fs::read_link(&path).expect("a link").display())
            } else {
                format!("file {:?}", fs::read(&path).expect("a file"))
            };
            found.insert(path.strip_prefix(top).expect("below").to_owned(), said);
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, folder, &mut found);
    found
}

/// A request, as the prober takes it.
#[derive(Debug, Clone)]
struct Request {
    op: &'static str,
    dir: Option<&'static str>,
    path: String,
    to: String,
    follow: bool,
    open: Vec<&'static str>,
    flags: Vec<&'static str>,
    then: &'static str,
}

impl Request {
    fn drawn(chance: &mut Chance) -> Self {
        let op = chance.pick(&OPS);
        let path = if op == "symlink-at" { chance.pick(&TEXTS).to_owned() } else { drawn_path(chance) };
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
            dir: chance.pick(&[None, None, None, Some("sub"), Some("full")]),
            path,
            to: drawn_path(chance),
            // Links are linked themselves: preview 2 has no other way.
            follow: op != "link-at" && chance.below(2) == 0,
            open,
            flags,
            then: chance.pick(&THENS),
        }
    }

    fn step(&self) -> Value {
        let Self { op, dir, path, to, follow, open, flags, then } = self;
        json!({
            "op": op, "base": "/docs", "dir": dir, "to_dir": dir, "path": path, "to": to, "follow": follow, "open": open,
            "flags": flags, "then": then, "data": "written", "offset": 2,
        })
    }

    /// Whether a path names the folder that it starts from.
    fn is_dot(path: &str) -> bool {
        path.split('/').all(|name| matches!(name, "" | "."))
    }
}

fn drawn_path(chance: &mut Chance) -> String {
    let name = if chance.below(60) == 0 { "x".repeat(256) } else { chance.pick(&NAMES).to_owned() };
    format!("{name}{}", chance.pick(&ENDINGS))
}

/// What the gate must say.
type Said = Result<Value, &'static str>;

/// Asks Linux. The gate's own answer where it differs on purpose, and then nothing is done.
fn judge(top: &OwnedFd, request: &Request) -> Said {
    let opened = match request.dir {
        Some(dir) => {
            let oflags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            Some(rustix::fs::openat(top, dir, oflags, Mode::empty()).map_err(word)?)
        }
        None => None,
    };
    let base = opened.as_ref().unwrap_or(top);
    if let Some(differs) = difference(base, request) {
        return differs;
    }
    let Request { op, path, to, follow, .. } = request;
    let done = |()| Value::Null;
    let look = if *follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
    match *op {
        "open-at" => open(base, request),
        "stat-at" => rustix::fs::statat(base, path, look).map(|stat| kind(stat.st_mode).into()).map_err(word),
        "readlink-at" => {
            let text = rustix::fs::readlinkat(base, path, Vec::new()).map_err(word)?;
            Ok(text.into_string().expect("a text of this test").into())
        }
        "unlink-file-at" => rustix::fs::unlinkat(base, path, AtFlags::empty()).map(done).map_err(word),
        "remove-directory-at" => rustix::fs::unlinkat(base, path, AtFlags::REMOVEDIR).map(done).map_err(word),
        "create-directory-at" => rustix::fs::mkdirat(base, path, Mode::from_raw_mode(0o777)).map(done).map_err(word),
        "rename-at" => rustix::fs::renameat(base, path, base, to).map(done).map_err(word),
        "link-at" => rustix::fs::linkat(base, path, base, to, AtFlags::empty()).map(done).map_err(word),
        "symlink-at" => rustix::fs::symlinkat(path, base, to).map(done).map_err(word),
        other => panic!("no operation {other}"),
    }
}

/// The rows of the table in docs/wasi.md that the generator meets.
fn difference(base: &OwnedFd, request: &Request) -> Option<Said> {
    let Request { op, path, dir, to, open, .. } = request;
    // A name that is too long is seen before anything is looked at.
    let names_two = ["rename-at", "link-at", "symlink-at"].contains(op);
    let too_long = |path: &str| path.split('/').any(|name| name.len() > 255);
    if (*op != "symlink-at" && too_long(path)) || (names_two && too_long(to)) {
        return Some(Err("name-too-long"));
    }
    let is_top = |path: &str| dir.is_none() && Request::is_dot(path);
    match *op {
        // The granted folder itself.
        "unlink-file-at" | "remove-directory-at" if is_top(path) => return Some(Err("busy")),
        // A link that leads nowhere: nothing is made through it.
        "open-at" if open.contains(&"create") && !open.contains(&"exclusive") && request.follow => {
            let named = rustix::fs::statat(base, path, AtFlags::SYMLINK_NOFOLLOW);
            let leads = rustix::fs::statat(base, path, AtFlags::empty());
            let is_link = named.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
            if is_link && leads.is_err_and(|errno| errno == Errno::NOENT) {
                return Some(Err("loop"));
            }
        }
        _ => {}
    }
    None
}

fn open(base: &OwnedFd, request: &Request) -> Said {
    let Request { path, follow, open, flags, then, .. } = request;
    let (reads, writes) = (flags.contains(&"read"), flags.contains(&"write"));
    let mut oflags = match (reads, writes) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        _ => OFlags::RDONLY,
    };
    for (word, flag) in [
        ("create", OFlags::CREATE),
        ("exclusive", OFlags::EXCL),
        ("truncate", OFlags::TRUNC),
        ("directory", OFlags::DIRECTORY),
    ] {
        oflags.set(flag, open.contains(&word));
    }
    oflags.set(OFlags::NOFOLLOW, !follow);
    let file = rustix::fs::openat(base, path, oflags, Mode::from_raw_mode(0o666)).map_err(word)?;
    let is_folder = kind(rustix::fs::fstat(&file).map_err(word)?.st_mode) == "directory";
    if is_folder {
        return on_folder(&file, then);
    }
    match *then {
        "close" => Ok(Value::Null),
        "read" => {
            let mut bytes = [0; 64];
            let read = rustix::io::pread(&file, &mut bytes, 2).map_err(word)?;
            Ok(String::from_utf8_lossy(&bytes[..read]).into())
        }
        "write" => rustix::io::pwrite(&file, b"written", 2).map(Value::from).map_err(word),
        "append-via-stream" => {
            let end = rustix::fs::fstat(&file).map_err(word)?.st_size;
            rustix::io::pwrite(&file, b"written", end.unsigned_abs()).map(|_| Value::Null).map_err(word)
        }
        "set-size" => rustix::fs::ftruncate(&file, 2).map(|()| Value::Null).map_err(word),
        "set-times" => set_times(&file),
        "read-directory" => Err("not-directory"),
        "get-type" => Ok("regular-file".into()),
        other => panic!("nothing to do called {other}"),
    }
}

/// What is done with a handle of a folder; of reading and writing one stock wasmtime-wasi says the same.
fn on_folder(folder: &OwnedFd, then: &str) -> Said {
    match then {
        "close" => Ok(Value::Null),
        "read" | "write" | "append-via-stream" | "set-size" => Err("bad-descriptor"),
        "set-times" => set_times(folder),
        "get-type" => Ok("directory".into()),
        "read-directory" => {
            let entries = rustix::fs::Dir::read_from(folder).map_err(word)?;
            let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
            let mut names: Vec<_> = names.filter(|name| name != "." && name != "..").collect();
            names.sort_unstable();
            Ok(names.into())
        }
        other => panic!("nothing to do called {other}"),
    }
}

fn set_times(file: impl AsFd) -> Said {
    let time = Timespec { tv_sec: 1_000_000, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::futimens(file, &times).map(|()| Value::Null).map_err(word)
}

fn kind(mode: u32) -> &'static str {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => "regular-file",
        FileType::Directory => "directory",
        FileType::Symlink => "symbolic-link",
        _ => "unknown",
    }
}

/// WASI's word for an error of Linux's, by the interface's own text ("similar to `ENOENT` in POSIX").
fn word(errno: Errno) -> &'static str {
    const WORDS: [(Errno, &str); 12] = [
        (Errno::NOENT, "no-entry"),
        (Errno::EXIST, "exist"),
        (Errno::NOTDIR, "not-directory"),
        (Errno::ISDIR, "is-directory"),
        (Errno::INVAL, "invalid"),
        (Errno::NOTEMPTY, "not-empty"),
        (Errno::BUSY, "busy"),
        (Errno::LOOP, "loop"),
        (Errno::PERM, "not-permitted"),
        (Errno::NAMETOOLONG, "name-too-long"),
        (Errno::BADF, "bad-descriptor"),
        (Errno::XDEV, "cross-device"),
    ];
    WORDS.iter().find(|(known, _)| *known == errno).map_or_else(|| panic!("no word for {errno:?}"), |(_, word)| word)
}

/// What the prober's answer to a request comes to, as [`judge`] says it.
fn told(request: &Request, outcome: &Value) -> Result<Value, String> {
    match (code(outcome), request.op) {
        ("ok", "stat-at") => Ok(outcome["ok"]["type"].clone()),
        ("ok", _) => Ok(outcome["ok"].clone()),
        (code, _) => Err(code.to_owned()),
    }
}

/// What differs in a round, the requests that led there included.
fn round(site: &mut Site, tool: &tollgate::Tool, round: u64) -> Vec<String> {
    let (docs, twin) = (site.lab.path("docs"), site.lab.path("twin"));
    build(&docs);
    build(&twin);
    let top = rustix::fs::openat(CWD, &twin, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).expect("a folder");
    let mut chance = Chance::of(SEED, round);
    let requests: Vec<_> = (0..STEPS).map(|_| Request::drawn(&mut chance)).collect();
    let judged: Vec<_> = requests.iter().map(|request| judge(&top, request)).collect();
    let steps: Vec<_> = requests.iter().map(Request::step).collect();
    let taken = site.raw(tool, &steps);
    let mut differing = Vec::new();
    for ((request, judged), outcome) in requests.iter().zip(&judged).zip(&taken.outcomes) {
        let told = told(request, outcome);
        if told != judged.clone().map_err(str::to_owned) {
            differing.push(format!("round {round}: {}\n  Linux {judged:?}\n  gate  {told:?}", request.step()));
            // What was done differently makes all later requests others.
            return differing;
        }
    }
    if tree(&docs) != tree(&twin) {
        differing.push(format!("round {round} leaves another tree: {:?}\n  {:?}", tree(&docs), tree(&twin)));
    }
    differing
}

#[test]
fn odd_requests_are_answered_as_linux_does() {
    let mut site = Site::odd();
    let tool = site.lenient(site.set(ALL));
    let differing: Vec<_> = (0..ROUNDS).flat_map(|number| round(&mut site, &tool, number)).collect();
    assert!(differing.is_empty(), "{} of {ROUNDS} rounds differ:\n{}", differing.len(), differing.join("\n"));
    site.lab.verified();
}
