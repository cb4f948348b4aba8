//! Probes: what each asks of the gate, what the decision on it rests on, and where it acts. Every probe succeeds where
//! everything is granted, so that a failure is always a denial.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use tollgate_capability::{
    Access, Call, CapabilitySet, Carries, FileId, FsCall, FsPath, GrantIndex, HandleFacts, OpenFlags, Reach, Target,
};

/// The folders of a host that can be granted: some lie in others.
pub const HOSTS: [&str; 5] = ["x", "x/in", "x/in/deep", "y", "y/in"];

/// What a probe does, with what is in its cell (see `build`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Read,
    Write,
    Append,
    Truncate,
    SetSize,
    Make,
    MakeAndRead,
    MakeAndWrite,
    OpenFolder,
    List,
    Stat,
    Hash,
    ReadLink,
    SetTimes,
    SetTimesOpen,
    MakeFolder,
    RemoveFolder,
    Unlink,
    UnlinkLink,
    Symlink,
    SymlinkOut,
    RenameFile,
    RenameFolder,
    RenameLink,
    RenameOnto,
    LinkFile,
    LinkLink,
    SyncFile,
    SyncFolder,
    FollowLink,
    FollowAway,
    OpenPipe,
    StatOutside,
    SetTimesOutside,
    ReadOutside,
    WriteOutside,
    LinkFromOutside,
}

impl Op {
    pub const ALL: [Self; 37] = [
        Self::Read,
        Self::Write,
        Self::Append,
        Self::Truncate,
        Self::SetSize,
        Self::Make,
        Self::MakeAndRead,
        Self::MakeAndWrite,
        Self::OpenFolder,
        Self::List,
        Self::Stat,
        Self::Hash,
        Self::ReadLink,
        Self::SetTimes,
        Self::SetTimesOpen,
        Self::MakeFolder,
        Self::RemoveFolder,
        Self::Unlink,
        Self::UnlinkLink,
        Self::Symlink,
        Self::SymlinkOut,
        Self::RenameFile,
        Self::RenameFolder,
        Self::RenameLink,
        Self::RenameOnto,
        Self::LinkFile,
        Self::LinkLink,
        Self::SyncFile,
        Self::SyncFolder,
        Self::FollowLink,
        Self::FollowAway,
        Self::OpenPipe,
        Self::StatOutside,
        Self::SetTimesOutside,
        Self::ReadOutside,
        Self::WriteOutside,
        Self::LinkFromOutside,
    ];

    /// The name of what it acts on, in its cell.
    fn name(self) -> &'static str {
        match self {
            Self::Make | Self::MakeAndRead | Self::MakeAndWrite | Self::MakeFolder => "new.txt",
            Self::Symlink | Self::SymlinkOut => "new.txt",
            Self::OpenFolder | Self::List | Self::RemoveFolder => "folder",
            Self::RenameFolder => "full",
            Self::ReadLink | Self::UnlinkLink | Self::RenameLink | Self::LinkLink | Self::FollowLink => "link.txt",
            Self::FollowAway => "away.txt",
            Self::OpenPipe => "pipe.txt",
            _other => "file.txt",
        }
    }
}

/// Where the second name of a link or a rename is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// In the same folder.
    Beside,
    /// In a folder of the same cell.
    Within,
    /// In a cell of the other spot.
    Across,
}

/// A granted folder and the way from there to a cell.
#[derive(Debug, Clone)]
pub struct Spot {
    pub grant: u16,
    pub way: &'static str,
}

/// One probe, with a cell of its own at each spot.
#[derive(Debug, Clone)]
pub struct Probe {
    pub op: Op,
    pub from: Spot,
    pub other: Spot,
    pub to: To,
    pub number: usize,
}

/// The text that a link of [`Op::SymlinkOut`] gets.
pub const OUT: &str = "../../../../../outside/secret.txt";

impl Probe {
    fn cell(&self, spot: &Spot, letter: char) -> String {
        let slash = if spot.way.is_empty() { "" } else { "/" };
        format!("{}{slash}{letter}{}", spot.way, self.number)
    }

    /// The path that it acts on, below its granted folder.
    pub fn path(&self) -> String {
        format!("{}/{}", self.cell(&self.from, 'c'), self.op.name())
    }

    /// The granted folder of the second name, and the path below it.
    pub fn second(&self) -> (u16, String) {
        let name = if self.op == Op::RenameOnto { "onto.txt" } else { "new.txt" };
        match self.to {
            To::Beside => (self.from.grant, format!("{}/{name}", self.cell(&self.from, 'c'))),
            To::Within => (self.from.grant, format!("{}/within/{name}", self.cell(&self.from, 'c'))),
            To::Across => (self.other.grant, format!("{}/{name}", self.cell(&self.other, 'd'))),
        }
    }

    /// Makes its cells below a host root.
    pub fn build(&self, root: &Path, hosts: &[&str]) {
        let cell = |spot: &Spot, letter| root.join(hosts[usize::from(spot.grant)]).join(self.cell(spot, letter));
        let away = cell(&self.other, 'd');
        build(&cell(&self.from, 'c'), &away);
        build(&away, &away);
    }

    /// The step that the guest takes.
    pub fn step(&self) -> Value {
        let (to, to_path) = self.second();
        let base = format!("/g{}", self.from.grant);
        let named = |op: &str| json!({ "op": op, "base": base, "path": self.path() });
        let two = |op: &str| json!({ "op": op, "base": base, "path": self.path(), "to_base": format!("/g{to}"), "to": to_path });
        let open = |open: &[&str], flags: &[&str], then: &str| {
            json!({
                "op": "open-at", "base": base, "path": self.path(), "open": open, "flags": flags, "then": then,
                "data": "new", "offset": u64::from(self.op == Op::SetSize), "follow": true,
            })
        };
        let link = |text: &str| json!({ "op": "symlink-at", "base": base, "path": text, "to": self.path() });
        let outside = |op: &str| json!({ "op": op, "base": base, "path": OUT, "flags": ["read"], "to": "new.txt" });
        match self.op {
            Op::Read | Op::FollowLink | Op::FollowAway | Op::OpenPipe => open(&[], &["read"], "read"),
            Op::Write => open(&[], &["write"], "write"),
            Op::Append => open(&[], &["write"], "append-via-stream"),
            Op::Truncate => open(&["truncate"], &[], "close"),
            Op::SetSize => open(&[], &["write"], "set-size"),
            Op::Make => open(&["create"], &[], "close"),
            Op::MakeAndRead => open(&["create"], &["read"], "read"),
            Op::MakeAndWrite => open(&["create"], &["write"], "write"),
            Op::OpenFolder => open(&["directory"], &[], "close"),
            Op::List => open(&["directory"], &[], "read-directory"),
            Op::SetTimesOpen => open(&[], &["write"], "set-times"),
            Op::SyncFile => open(&[], &["read"], "sync"),
            Op::SyncFolder => json!({ "op": "preopen", "base": base, "then": "sync" }),
            Op::Stat => named("stat-at"),
            Op::Hash => named("metadata-hash-at"),
            Op::ReadLink => named("readlink-at"),
            Op::SetTimes => named("set-times-at"),
            Op::MakeFolder => named("create-directory-at"),
            Op::RemoveFolder => named("remove-directory-at"),
            Op::Unlink | Op::UnlinkLink => named("unlink-file-at"),
            Op::Symlink => link("file.txt"),
            Op::SymlinkOut => link(OUT),
            Op::RenameFile | Op::RenameFolder | Op::RenameLink | Op::RenameOnto => two("rename-at"),
            Op::LinkFile | Op::LinkLink => two("link-at"),
            Op::StatOutside => outside("stat-at"),
            Op::SetTimesOutside => outside("set-times-at"),
            Op::ReadOutside | Op::WriteOutside => outside("open-at"),
            Op::LinkFromOutside => outside("link-at"),
        }
    }

    /// The calls that the step comes to, with the facts that their decisions rest on. Folders that move are looked through by
    /// who may list them, or by everybody.
    pub fn calls(&self, set: &CapabilitySet, all_look: bool) -> Vec<Call> {
        let patterned = |grant: u16| set.fs.get(usize::from(grant)).is_some_and(|fs| !fs.patterns.is_empty());
        let path = FsPath::new(GrantIndex(self.from.grant), "", self.path());
        let (to_grant, to_path) = self.second();
        let to = FsPath::new(GrantIndex(to_grant), "", to_path);
        let outside = FsPath::new(GrantIndex(self.from.grant), "", OUT.to_owned());
        let quota = |grant: u16| set.fs.get(usize::from(grant)).map_or(0, |fs| fs.write_quota);
        let (quota_left, to_quota_left) = (quota(self.from.grant), quota(to_grant));
        let flags = |flags: OpenFlags, target| {
            Call::Fs(FsCall::OpenAt {
                path: path.clone(),
                flags: OpenFlags { follow: true, ..flags },
                target,
                handles_open: 0,
                quota_left: if flags.create { quota_left } else { 0 },
            })
        };
        let (read, write) = (OpenFlags { read: true, ..NONE }, OpenFlags { write: true, ..NONE });
        let handle = |flags: OpenFlags| HandleFacts { grant: GrantIndex(self.from.grant), rights: rights(flags) };
        let written = Call::Fs(FsCall::Write { handle: handle(write), bytes: 3, quota_left });
        let linked = |inside| if patterned(self.from.grant) { Target::Symlink } else { inside };
        let has =
            |grant: GrantIndex, access| set.fs.get(usize::from(grant.0)).is_some_and(|fs| fs.access.contains(access));
        // No link of a cell leads up; those in a folder are seen by who may list it.
        let reach = |source| {
            let moves = FsCall::moves_links(source, (&path, false), (&to, false));
            let sees = matches!(source, Target::Link { .. }) || has(path.grant, Access::List);
            moves.then_some(if sees { Reach::Up(0) } else { Reach::Anywhere })
        };
        // No cell has a policy in it.
        let looks = all_look || has(path.grant, Access::List);
        let carries = Some(if looks { Carries::NoPolicy } else { Carries::Unseen });
        let renamed = |source, target| {
            Call::Fs(FsCall::RenameAt {
                from: path.clone(),
                from_linked: false,
                source,
                reach: reach(source),
                carries: carries.filter(|_| matches!(source, Target::Folder { .. })),
                to: to.clone(),
                to_linked: false,
                target,
                quota_left: to_quota_left,
            })
        };
        let hard = |source| {
            Call::Fs(FsCall::LinkAt {
                from: path.clone(),
                source,
                reach: reach(source),
                to: to.clone(),
                to_linked: false,
                quota_left: to_quota_left,
            })
        };
        let link = |content: &str| {
            Call::Fs(FsCall::SymlinkAt { content: content.to_owned(), path: path.clone(), linked: false, quota_left })
        };
        let create = |flags: OpenFlags| OpenFlags { create: true, ..flags };
        let folder = || flags(OpenFlags { directory: true, ..NONE }, FOLDER);
        let own = path.clone();
        match self.op {
            Op::Read => vec![flags(read, FILE), Call::Fs(FsCall::Read { handle: handle(read) })],
            Op::FollowLink => vec![flags(read, linked(FILE)), Call::Fs(FsCall::Read { handle: handle(read) })],
            Op::FollowAway => {
                vec![flags(read, linked(Target::Outside)), Call::Fs(FsCall::Read { handle: handle(read) })]
            }
            Op::OpenPipe => vec![flags(read, SPECIAL)],
            Op::Write => vec![flags(write, FILE), written],
            Op::Append => vec![flags(write, FILE), written],
            Op::Truncate => vec![flags(OpenFlags { truncate: true, ..NONE }, FILE)],
            Op::SetSize => {
                vec![
                    flags(write, FILE),
                    Call::Fs(FsCall::SetSize { handle: handle(write), size: 1, growth: 0, quota_left }),
                ]
            }
            Op::Make => vec![flags(create(NONE), Target::Absent)],
            Op::MakeAndRead => {
                vec![flags(create(read), Target::Absent), Call::Fs(FsCall::Read { handle: handle(read) })]
            }
            Op::MakeAndWrite => vec![flags(create(write), Target::Absent), written],
            Op::OpenFolder => vec![folder()],
            Op::List => vec![folder(), Call::Fs(FsCall::ReadDirectory { handle: list_handle(self.from.grant) })],
            Op::SetTimesOpen => vec![flags(write, FILE), Call::Fs(FsCall::SetTimes { handle: handle(write) })],
            Op::SyncFile => vec![flags(read, FILE), Call::Fs(FsCall::Sync { handle: handle(read) })],
            // To the gate's effect, flushing a folder is listing it.
            Op::SyncFolder => vec![Call::Fs(FsCall::ReadDirectory { handle: list_handle(self.from.grant) })],
            Op::Stat => vec![Call::Fs(FsCall::StatAt { path: own, target: FILE })],
            Op::Hash => vec![Call::Fs(FsCall::MetadataHashAt { path: own, target: FILE })],
            Op::ReadLink => vec![Call::Fs(FsCall::ReadlinkAt { path: own, target: LINK })],
            Op::SetTimes => vec![Call::Fs(FsCall::SetTimesAt { path: own, target: FILE })],
            Op::MakeFolder => {
                vec![Call::Fs(FsCall::CreateDirectoryAt { path: own, target: Target::Absent, quota_left })]
            }
            Op::RemoveFolder => vec![Call::Fs(FsCall::RemoveDirectoryAt { path: own, linked: false, target: FOLDER })],
            Op::Unlink => vec![Call::Fs(FsCall::UnlinkFileAt { path: own, target: FILE })],
            Op::UnlinkLink => vec![Call::Fs(FsCall::UnlinkFileAt { path: own, target: LINK })],
            Op::Symlink => vec![link("file.txt")],
            Op::SymlinkOut => vec![link(OUT)],
            Op::RenameFile => vec![renamed(FILE, Target::Absent)],
            Op::RenameFolder => vec![renamed(FOLDER, Target::Absent)],
            Op::RenameLink => vec![renamed(LINK, Target::Absent)],
            Op::RenameOnto => vec![renamed(FILE, FILE)],
            Op::LinkFile => vec![hard(FILE)],
            Op::LinkLink => vec![hard(LINK)],
            Op::StatOutside => vec![Call::Fs(FsCall::StatAt { path: outside, target: FILE })],
            Op::SetTimesOutside => vec![Call::Fs(FsCall::SetTimesAt { path: outside, target: FILE })],
            Op::ReadOutside => {
                vec![Call::Fs(FsCall::OpenAt {
                    path: outside,
                    flags: read,
                    target: FILE,
                    handles_open: 0,
                    quota_left: 0,
                })]
            }
            Op::WriteOutside => {
                vec![Call::Fs(FsCall::OpenAt {
                    path: outside,
                    flags: write,
                    target: FILE,
                    handles_open: 0,
                    quota_left: 0,
                })]
            }
            Op::LinkFromOutside => vec![Call::Fs(FsCall::LinkAt {
                from: outside,
                source: FILE,
                reach: None,
                to,
                to_linked: false,
                quota_left: to_quota_left,
            })],
        }
    }

    /// What the sealed process is told: granted folders and the paths below them.
    pub fn native(&self, root: &Path, hosts: &[&str]) -> Value {
        let host = |grant: u16| root.join(hosts.get(usize::from(grant)).copied().unwrap_or("x"));
        let (to, to_path) = self.second();
        json!({
            "op": format!("{:?}", self.op),
            "from": host(self.from.grant), "path": self.path(),
            "to": host(to), "to_path": to_path,
            "outside": outside(root),
        })
    }
}

/// A file that nothing grants.
pub fn outside(root: &Path) -> PathBuf {
    root.join("outside/secret.txt")
}

/// What is in a cell.
fn build(cell: &Path, away: &Path) {
    fs::create_dir_all(cell.join("full")).expect("a new folder");
    for folder in ["folder", "within"] {
        fs::create_dir(cell.join(folder)).expect("a new folder");
    }
    for file in ["file.txt", "onto.txt", "full/g.txt", "within/onto.txt"] {
        fs::write(cell.join(file), "content").expect("a new file");
    }
    symlink("file.txt", cell.join("link.txt")).expect("a new link");
    symlink(away.join("file.txt"), cell.join("away.txt")).expect("a new link");
    mknodat(CWD, cell.join("pipe.txt"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("a FIFO");
}

fn rights(flags: OpenFlags) -> tollgate_capability::AccessSet {
    let held = [(flags.read, Access::Read), (flags.write, Access::Write)];
    held.into_iter().filter(|(held, _)| *held).map(|(_, access)| access).collect()
}

fn list_handle(grant: u16) -> HandleFacts {
    HandleFacts { grant: GrantIndex(grant), rights: [Access::List].into_iter().collect() }
}

const NONE: OpenFlags = OpenFlags {
    create: false,
    exclusive: false,
    truncate: false,
    directory: false,
    read: false,
    write: false,
    follow: false,
};
pub const FILE: Target = Target::File { id: FileId { device: 1, inode: 1 }, links: 1 };
const LINK: Target = Target::Link { id: FileId { device: 1, inode: 3 } };
const SPECIAL: Target = Target::Special { id: FileId { device: 1, inode: 4 } };
const FOLDER: Target = Target::Folder { id: FileId { device: 1, inode: 2 } };
