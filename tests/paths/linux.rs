//! Some thousand requests that a generator makes up, each judged by Linux: the same is asked of the kernel, natively, in a folder
//! beside the granted one, and of plain wasmtime in a third; all must say the same and leave the same behind. Where one differs on
//! purpose, the row of the table in docs/wasi.md is named.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use serde_json::Value;
use tollgate::Tool;
use tollgate_workspace::chance::Chance;
use tollgate_workspace::documented::assert_documented;

use crate::plain::Plain;
use crate::requests::{Request, TIME, build, told, tree};
use tollgate_workspace::site::{ALL, Site};

const SEED: u64 = 0x0070_6c61_696e;
const ROUNDS: u64 = 200;
const STEPS: usize = 20;
/// How many requests must do what they ask for at least: where all fail nothing is compared but errors.
const LEAST_DONE: [(&str, usize); 11] = [
    ("create-directory-at", 100),
    ("link-at", 15),
    ("metadata-hash-at", 70),
    ("open-at", 90),
    ("readlink-at", 15),
    ("remove-directory-at", 15),
    ("rename-at", 25),
    ("set-times-at", 80),
    ("stat-at", 90),
    ("symlink-at", 60),
    ("unlink-file-at", 40),
];

/// What the gate must say.
type Said = Result<Value, &'static str>;

/// What the gate must say, and the row of docs/wasi.md where Linux says something else.
pub(crate) struct Judged {
    pub(crate) said: Said,
    pub(crate) row: Option<&'static str>,
}

/// Asks Linux. The gate's own answer where it differs on purpose, and then nothing is done.
fn judge(top: &OwnedFd, request: &Request) -> Judged {
    // As the prober has it: both are opened, whatever is done.
    let (dir, to_dir) = match (folder(top, request.dir), folder(top, request.to_dir)) {
        (Ok(dir), Ok(to_dir)) => (dir, to_dir),
        (Err(code), _) | (_, Err(code)) => return Judged { said: Err(code), row: None },
    };
    let (base, to_base) = (dir.as_ref().unwrap_or(top), to_dir.as_ref().unwrap_or(top));
    match difference(base, request) {
        Some((row, code)) => Judged { said: Err(code), row: Some(row) },
        None => Judged { said: ask(base, to_base, request), row: None },
    }
}

fn ask(base: &OwnedFd, to_base: &OwnedFd, request: &Request) -> Said {
    let Request { op, path, to, follow, .. } = request;
    let done = |()| Value::Null;
    let look = if *follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
    match *op {
        "open-at" => open(base, request),
        "stat-at" => rustix::fs::statat(base, path, look).map(|stat| kind(stat.st_mode).into()).map_err(word),
        "metadata-hash-at" => rustix::fs::statat(base, path, look).map(|_| Value::Null).map_err(word),
        "set-times-at" => rustix::fs::utimensat(base, path, &TIMES, look).map(done).map_err(word),
        "readlink-at" => {
            let text = rustix::fs::readlinkat(base, path, Vec::new()).map_err(word)?;
            Ok(text.into_string().expect("a text of this test").into())
        }
        "unlink-file-at" => rustix::fs::unlinkat(base, path, AtFlags::empty()).map(done).map_err(word),
        "remove-directory-at" => rustix::fs::unlinkat(base, path, AtFlags::REMOVEDIR).map(done).map_err(word),
        "create-directory-at" => rustix::fs::mkdirat(base, path, Mode::from_raw_mode(0o777)).map(done).map_err(word),
        "rename-at" => rustix::fs::renameat(base, path, to_base, to).map(done).map_err(word),
        "link-at" => rustix::fs::linkat(base, path, to_base, to, AtFlags::empty()).map(done).map_err(word),
        "symlink-at" => rustix::fs::symlinkat(path, base, to).map(done).map_err(word),
        other => panic!("no operation {other}"),
    }
}

fn folder(top: &OwnedFd, name: Option<&str>) -> Result<Option<OwnedFd>, &'static str> {
    let oflags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    name.map(|name| rustix::fs::openat(top, name, oflags, Mode::empty()).map_err(word)).transpose()
}

const TOO_LONG: &str = "a name of more than 255 bytes, in a path with another fault";
const ITSELF: &str = "`unlink`, `rmdir` of the granted folder itself";
const THROUGH_A_LINK: &str = "creating a file through a link that leads nowhere";
const TIMES_OF_A_LINK: &str = "times of a link itself";

/// The rows of the table in docs/wasi.md that the generator meets.
fn difference(base: &OwnedFd, request: &Request) -> Option<(&'static str, &'static str)> {
    let Request { op, path, dir, to, open, .. } = request;
    // A name that is too long is seen before anything is looked at.
    let names_two = ["rename-at", "link-at", "symlink-at"].contains(op);
    let too_long = |path: &str| path.split('/').any(|name| name.len() > 255);
    if (*op != "symlink-at" && too_long(path)) || (names_two && too_long(to)) {
        return Some((TOO_LONG, "name-too-long"));
    }
    let is_top = |path: &str| dir.is_none() && Request::is_dot(path);
    match *op {
        "unlink-file-at" | "remove-directory-at" if is_top(path) => return Some((ITSELF, "busy")),
        "open-at" if open.contains(&"create") && !open.contains(&"exclusive") && request.follow => {
            let named = rustix::fs::statat(base, path, AtFlags::SYMLINK_NOFOLLOW);
            let leads = rustix::fs::statat(base, path, AtFlags::empty());
            let is_link = named.is_ok_and(|stat| kind(stat.st_mode) == "symbolic-link");
            if is_link && leads.is_err_and(|errno| errno == Errno::NOENT) {
                return Some((THROUGH_A_LINK, "loop"));
            }
        }
        "set-times-at" if !request.follow => {
            let named = rustix::fs::statat(base, path, AtFlags::SYMLINK_NOFOLLOW);
            if named.is_ok_and(|stat| kind(stat.st_mode) == "symbolic-link") {
                return Some((TIMES_OF_A_LINK, "unsupported"));
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

const TIMES: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: TIME, tv_nsec: 0 },
    last_modification: Timespec { tv_sec: TIME, tv_nsec: 0 },
};

fn set_times(file: impl AsFd) -> Said {
    rustix::fs::futimens(file, &TIMES).map(|()| Value::Null).map_err(word)
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

/// The three folders, and what was met so far.
struct Twins {
    site: Site,
    tool: Tool,
    plain: Plain,
    rows: BTreeSet<&'static str>,
    /// For each operation, how many requests did what they asked for.
    done: BTreeMap<&'static str, usize>,
}

impl Twins {
    /// What differs in a round, the requests that led there included.
    fn round(&mut self, round: u64) -> Vec<String> {
        let (docs, twin) = (self.site.lab.path("docs"), self.site.lab.path("twin"));
        build(&docs);
        build(&twin);
        let top = rustix::fs::openat(CWD, &twin, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).expect("a folder");
        let mut chance = Chance::of(SEED, round);
        let mut differing = Vec::new();
        let (mut requests, mut judged) = (Vec::new(), Vec::new());
        for _ in 0..STEPS {
            let request = Request::drawn(&mut chance);
            let (Judged { said, row }, differs) = self.plain.differs(&twin, &request, || judge(&top, &request));
            differing.extend(differs.map(|differs| format!("round {round}: {differs}")));
            self.rows.extend(row);
            *self.done.entry(request.op).or_default() += usize::from(said.is_ok());
            requests.push(request);
            judged.push(said);
        }
        let steps: Vec<_> = requests.iter().map(Request::step).collect();
        let taken = self.site.raw(&self.tool, &steps);
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
}

#[test]
fn odd_requests_are_answered_as_linux_does() {
    let mut site = Site::odd();
    let plain = Plain::new(site.lab.path("plain"));
    let tool = site.lenient(site.set(ALL));
    let mut twins = Twins { site, tool, plain, rows: BTreeSet::new(), done: BTreeMap::new() };
    let differing: Vec<_> = (0..ROUNDS).flat_map(|number| twins.round(number)).collect();
    assert!(differing.is_empty(), "{} differences:\n{}", differing.len(), differing.join("\n"));
    twins.plain.assert_reasons();
    assert_eq!(twins.rows, BTreeSet::from([TOO_LONG, ITSELF, THROUGH_A_LINK, TIMES_OF_A_LINK]));
    twins.rows.iter().for_each(|row| assert_documented(row));
    assert_eq!(twins.done.len(), LEAST_DONE.len());
    for (op, least) in LEAST_DONE {
        assert!(twins.done[op] >= least, "{op} was done {} times", twins.done[op]);
    }
    twins.site.lab.verified();
}
