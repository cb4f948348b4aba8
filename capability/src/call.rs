//! Every host call that WASI 0.2 knows, as data: what the guest asked for and the facts the decision rests on.
//! Must never hold a handle, a clock or anything else that makes a decision unrepeatable.

use crate::access::AccessSet;
use crate::path::{FsPath, GrantIndex};

/// One call of a guest, decoded and not yet decided on. One variant per guarded function of WASI 0.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostCall {
    /// `wasi:filesystem/preopens.get-directories`, once per granted folder, before it is opened.
    Preopen {
        /// Which filesystem capability.
        grant: GrantIndex,
    },
    /// `wasi:filesystem/types.[method]descriptor.open-at`.
    OpenAt {
        /// What is opened.
        path: FsPath,
        /// How.
        flags: OpenFlags,
        /// What stands there now.
        target: Target,
        /// Handles the call holds already, without this one.
        handles_open: u32,
    },
    /// `…descriptor.stat-at`.
    StatAt {
        /// Whose metadata.
        path: FsPath,
        /// What stands there now.
        target: Target,
    },
    /// `…descriptor.metadata-hash-at`.
    MetadataHashAt {
        /// Whose metadata.
        path: FsPath,
        /// What stands there now.
        target: Target,
    },
    /// `…descriptor.readlink-at`.
    ReadlinkAt {
        /// Which link.
        path: FsPath,
    },
    /// `…descriptor.set-times-at`.
    SetTimesAt {
        /// Whose times.
        path: FsPath,
        /// What stands there now.
        target: Target,
    },
    /// `…descriptor.create-directory-at`.
    CreateDirectoryAt {
        /// The new folder.
        path: FsPath,
    },
    /// `…descriptor.remove-directory-at`.
    RemoveDirectoryAt {
        /// Which folder.
        path: FsPath,
    },
    /// `…descriptor.unlink-file-at`.
    UnlinkFileAt {
        /// Which name.
        path: FsPath,
        /// What stands there now.
        target: Target,
    },
    /// `…descriptor.rename-at`.
    RenameAt {
        /// The old name.
        from: FsPath,
        /// What stands at the old name.
        source: Target,
        /// The new name.
        to: FsPath,
        /// What stands at the new name.
        target: Target,
    },
    /// `…descriptor.link-at` (a hard link).
    LinkAt {
        /// The file that exists.
        from: FsPath,
        /// What stands there now.
        source: Target,
        /// Its further name.
        to: FsPath,
    },
    /// `…descriptor.symlink-at`.
    SymlinkAt {
        /// What the link says.
        content: String,
        /// The new name.
        path: FsPath,
    },
    /// `…descriptor.read` and `read-via-stream`.
    Read {
        /// On which handle.
        handle: HandleFacts,
    },
    /// `…descriptor.write`, `write-via-stream`, and each write of such a stream.
    Write {
        /// On which handle.
        handle: HandleFacts,
        /// How many bytes, and those of the hole between the file's end and where they go.
        bytes: u64,
        /// Bytes left of the grant's write quota.
        quota_left: u64,
    },
    /// `…descriptor.append-via-stream`.
    Append {
        /// On which handle.
        handle: HandleFacts,
        /// Bytes left of the grant's write quota.
        quota_left: u64,
    },
    /// `…descriptor.set-size`.
    SetSize {
        /// On which handle.
        handle: HandleFacts,
        /// By how many bytes the file grows; 0 if it shrinks.
        growth: u64,
        /// Bytes left of the grant's write quota.
        quota_left: u64,
    },
    /// `…descriptor.set-times`.
    SetTimes {
        /// On which handle.
        handle: HandleFacts,
    },
    /// `…descriptor.sync` and `sync-data`.
    Sync {
        /// On which handle.
        handle: HandleFacts,
    },
    /// `…descriptor.read-directory`.
    ReadDirectory {
        /// On which handle.
        handle: HandleFacts,
    },
    /// `wasi:cli/environment.get-environment`.
    GetEnvironment,
    /// `wasi:cli/environment.get-arguments`.
    GetArguments,
    /// `wasi:cli/stdin.get-stdin`, `stdout.get-stdout`, `stderr.get-stderr`.
    GetStdio {
        /// Which stream.
        stream: Stdio,
    },
    /// Any write to the stream of `get-stdout` or `get-stderr`.
    WriteStdio {
        /// Which stream.
        stream: Stdio,
        /// How many bytes.
        bytes: u64,
        /// Bytes left of the cap on captured output.
        left: u64,
    },
    /// `wasi:clocks/wall-clock.now` and `resolution`.
    WallClock,
    /// `wasi:clocks/monotonic-clock.now`, `resolution` and `subscribe-instant`.
    MonotonicClock,
    /// `wasi:random/random.get-random-bytes` (and `get-random-u64`: 8 bytes).
    RandomBytes {
        /// How many.
        bytes: u64,
    },
    /// `wasi:random/insecure.get-insecure-random-bytes` (and `get-insecure-random-u64`: 8 bytes).
    InsecureRandomBytes {
        /// How many.
        bytes: u64,
    },
    /// `wasi:sockets/tcp-create-socket.create-tcp-socket`.
    CreateTcpSocket {
        /// `ipv4` or `ipv6`.
        family: AddressFamily,
    },
    /// `wasi:sockets/udp-create-socket.create-udp-socket`.
    CreateUdpSocket {
        /// `ipv4` or `ipv6`.
        family: AddressFamily,
    },
    /// `wasi:sockets/ip-name-lookup.resolve-addresses`.
    ResolveAddresses {
        /// The name.
        name: String,
    },
    /// Any further function of `wasi:sockets`; none can be reached without a socket, and none is granted.
    SocketMethod {
        /// The WIT name of the function, such as `wasi:sockets/tcp.[method]tcp-socket.start-connect`.
        function: &'static str,
    },
}

impl HostCall {
    /// The WIT name of the function, as recorded in the ledger.
    #[must_use]
    pub fn function(&self) -> &'static str {
        match self {
            Self::Preopen { .. } => "wasi:filesystem/preopens.get-directories",
            Self::OpenAt { .. } => "wasi:filesystem/types.[method]descriptor.open-at",
            Self::StatAt { .. } => "wasi:filesystem/types.[method]descriptor.stat-at",
            Self::MetadataHashAt { .. } => "wasi:filesystem/types.[method]descriptor.metadata-hash-at",
            Self::ReadlinkAt { .. } => "wasi:filesystem/types.[method]descriptor.readlink-at",
            Self::SetTimesAt { .. } => "wasi:filesystem/types.[method]descriptor.set-times-at",
            Self::CreateDirectoryAt { .. } => "wasi:filesystem/types.[method]descriptor.create-directory-at",
            Self::RemoveDirectoryAt { .. } => "wasi:filesystem/types.[method]descriptor.remove-directory-at",
            Self::UnlinkFileAt { .. } => "wasi:filesystem/types.[method]descriptor.unlink-file-at",
            Self::RenameAt { .. } => "wasi:filesystem/types.[method]descriptor.rename-at",
            Self::LinkAt { .. } => "wasi:filesystem/types.[method]descriptor.link-at",
            Self::SymlinkAt { .. } => "wasi:filesystem/types.[method]descriptor.symlink-at",
            Self::Read { .. } => "wasi:filesystem/types.[method]descriptor.read",
            Self::Write { .. } => "wasi:filesystem/types.[method]descriptor.write",
            Self::Append { .. } => "wasi:filesystem/types.[method]descriptor.append-via-stream",
            Self::SetSize { .. } => "wasi:filesystem/types.[method]descriptor.set-size",
            Self::SetTimes { .. } => "wasi:filesystem/types.[method]descriptor.set-times",
            Self::Sync { .. } => "wasi:filesystem/types.[method]descriptor.sync",
            Self::ReadDirectory { .. } => "wasi:filesystem/types.[method]descriptor.read-directory",
            Self::GetEnvironment => "wasi:cli/environment.get-environment",
            Self::GetArguments => "wasi:cli/environment.get-arguments",
            Self::GetStdio { stream: Stdio::Stdin } => "wasi:cli/stdin.get-stdin",
            Self::GetStdio { stream: Stdio::Stdout } => "wasi:cli/stdout.get-stdout",
            Self::GetStdio { stream: Stdio::Stderr } => "wasi:cli/stderr.get-stderr",
            Self::WriteStdio { .. } => "wasi:io/streams.[method]output-stream.write",
            Self::WallClock => "wasi:clocks/wall-clock.now",
            Self::MonotonicClock => "wasi:clocks/monotonic-clock.now",
            Self::RandomBytes { .. } => "wasi:random/random.get-random-bytes",
            Self::InsecureRandomBytes { .. } => "wasi:random/insecure.get-insecure-random-bytes",
            Self::CreateTcpSocket { .. } => "wasi:sockets/tcp-create-socket.create-tcp-socket",
            Self::CreateUdpSocket { .. } => "wasi:sockets/udp-create-socket.create-udp-socket",
            Self::ResolveAddresses { .. } => "wasi:sockets/ip-name-lookup.resolve-addresses",
            Self::SocketMethod { function } => function,
        }
    }

    /// Whether the call acquires something and so is recorded by itself, before its effect. The others act on a handle
    /// that was acquired, or carry no authority: they are checked and counted.
    #[must_use]
    pub fn acquires(&self) -> bool {
        match self {
            Self::Preopen { .. }
            | Self::OpenAt { .. }
            | Self::StatAt { .. }
            | Self::ReadlinkAt { .. }
            | Self::SetTimesAt { .. }
            | Self::CreateDirectoryAt { .. }
            | Self::RemoveDirectoryAt { .. }
            | Self::UnlinkFileAt { .. }
            | Self::RenameAt { .. }
            | Self::LinkAt { .. }
            | Self::SymlinkAt { .. }
            | Self::SetSize { .. }
            | Self::SetTimes { .. }
            | Self::GetEnvironment
            | Self::GetArguments
            | Self::CreateTcpSocket { .. }
            | Self::CreateUdpSocket { .. }
            | Self::ResolveAddresses { .. }
            | Self::SocketMethod { .. } => true,
            Self::MetadataHashAt { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Append { .. }
            | Self::Sync { .. }
            | Self::ReadDirectory { .. }
            | Self::GetStdio { .. }
            | Self::WriteStdio { .. }
            | Self::WallClock
            | Self::MonotonicClock
            | Self::RandomBytes { .. }
            | Self::InsecureRandomBytes { .. } => false,
        }
    }
}

impl HostCall {
    /// The facts of the call for the record, by name. Order is fixed for a variant; texts are the guest's own, uncut.
    #[must_use]
    pub fn facts(&self) -> Facts<'_> {
        let mut facts = Facts(Vec::with_capacity(FACTS_USUAL));
        match self {
            Self::Preopen { grant } => facts.uint("grant", u64::from(grant.0)),
            Self::OpenAt { path, flags, target, handles_open } => {
                facts.path("path", path);
                facts.flags(*flags);
                facts.target("target", *target);
                facts.uint("handles_open", u64::from(*handles_open));
            }
            Self::StatAt { path, target }
            | Self::MetadataHashAt { path, target }
            | Self::SetTimesAt { path, target }
            | Self::UnlinkFileAt { path, target } => {
                facts.path("path", path);
                facts.target("target", *target);
            }
            Self::ReadlinkAt { path } | Self::CreateDirectoryAt { path } | Self::RemoveDirectoryAt { path } => {
                facts.path("path", path);
            }
            Self::RenameAt { from, source, to, target } => {
                facts.path("from", from);
                facts.target("source", *source);
                facts.path("to", to);
                facts.target("target", *target);
            }
            Self::LinkAt { from, source, to } => {
                facts.path("from", from);
                facts.target("source", *source);
                facts.path("to", to);
            }
            Self::SymlinkAt { content, path } => {
                facts.text("content", content);
                facts.path("path", path);
            }
            Self::Read { handle }
            | Self::SetTimes { handle }
            | Self::Sync { handle }
            | Self::ReadDirectory { handle } => facts.handle(handle),
            Self::Write { handle, bytes, quota_left } => {
                facts.handle(handle);
                facts.uint("bytes", *bytes);
                facts.uint("quota_left", *quota_left);
            }
            Self::Append { handle, quota_left } => {
                facts.handle(handle);
                facts.uint("quota_left", *quota_left);
            }
            Self::SetSize { handle, growth, quota_left } => {
                facts.handle(handle);
                facts.uint("growth", *growth);
                facts.uint("quota_left", *quota_left);
            }
            Self::WriteStdio { stream, bytes, left } => {
                facts.text("stream", stream.as_str());
                facts.uint("bytes", *bytes);
                facts.uint("left", *left);
            }
            Self::RandomBytes { bytes } | Self::InsecureRandomBytes { bytes } => facts.uint("bytes", *bytes),
            Self::CreateTcpSocket { family } | Self::CreateUdpSocket { family } => {
                facts.text("family", family.as_str());
            }
            Self::ResolveAddresses { name } => facts.text("name", name),
            Self::GetEnvironment
            | Self::GetArguments
            | Self::GetStdio { .. }
            | Self::WallClock
            | Self::MonotonicClock
            | Self::SocketMethod { .. } => {}
        }
        facts
    }
}

/// Named facts of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts<'a>(pub Vec<(&'static str, Fact<'a>)>);

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<'a> {
    /// A text: the guest's own, or a fixed word.
    Text(std::borrow::Cow<'a, str>),
    /// A count, an index or a size in bytes.
    Uint(u64),
    /// A flag.
    Bool(bool),
}

/// Room for the facts of the most frequent call, `open-at`.
const FACTS_USUAL: usize = 10;

impl<'a> Facts<'a> {
    fn text(&mut self, name: &'static str, text: &'a str) {
        self.0.push((name, Fact::Text(text.into())));
    }

    fn uint(&mut self, name: &'static str, value: u64) {
        self.0.push((name, Fact::Uint(value)));
    }

    /// The text asked for; with a handle below the granted folder, that handle's directory too.
    fn path(&mut self, name: &'static str, path: &'a FsPath) {
        let [asked, dir, grant] = match name {
            "from" => ["from", "from_dir", "from_grant"],
            "to" => ["to", "to_dir", "to_grant"],
            _path => ["path", "dir", "grant"],
        };
        self.text(asked, &path.asked);
        if !path.dir.is_empty() {
            self.text(dir, &path.dir);
        }
        self.uint(grant, u64::from(path.grant.0));
    }

    fn flags(&mut self, flags: OpenFlags) {
        let named = [
            ("create", flags.create),
            ("exclusive", flags.exclusive),
            ("truncate", flags.truncate),
            ("directory", flags.directory),
            ("read", flags.read),
            ("write", flags.write),
            ("follow", flags.follow),
        ];
        let set = named.iter().filter(|(_, on)| *on).map(|(word, _)| *word);
        self.0.push(("flags", Fact::Text(set.collect::<Vec<_>>().join(",").into())));
    }

    fn target(&mut self, name: &'static str, target: Target) {
        let [links, device, inode] = match name {
            "source" => ["source_links", "source_device", "source_inode"],
            _target => ["links", "device", "inode"],
        };
        self.text(name, target.as_str());
        match target {
            Target::File { id, links: count } => {
                self.uint(links, count);
                self.uint(device, id.device);
                self.uint(inode, id.inode);
            }
            Target::Folder { id } => {
                self.uint(device, id.device);
                self.uint(inode, id.inode);
            }
            Target::Absent | Target::Symlink | Target::Special | Target::Outside | Target::Unknown => {}
        }
    }

    fn handle(&mut self, handle: &HandleFacts) {
        self.uint("grant", u64::from(handle.grant.0));
        self.0.push(("rights", Fact::Text(handle.rights.to_string().into())));
    }
}

/// How a file or folder is to be opened; the union of WASI's `open-flags`, `descriptor-flags` and `path-flags`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "these are the flags of open-at, one field per WASI flag")]
pub struct OpenFlags {
    /// Bring it into being if nothing is there.
    pub create: bool,
    /// Fail if something is there.
    pub exclusive: bool,
    /// Cut it to length 0.
    pub truncate: bool,
    /// Fail unless it is a folder.
    pub directory: bool,
    /// To read.
    pub read: bool,
    /// To write.
    pub write: bool,
    /// Follow a symbolic link in the last place.
    pub follow: bool,
}

/// What stands at a path, found without opening it (`O_PATH`) or, for [`Target::Outside`], refused by the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Nothing.
    Absent,
    /// A regular file.
    File {
        /// Device and inode: what is opened later is compared with it.
        id: FileId,
        /// Number of hard links.
        links: u64,
    },
    /// A folder.
    Folder {
        /// Device and inode.
        id: FileId,
    },
    /// A symbolic link that is not followed, or may not be here.
    Symlink,
    /// A device, FIFO or socket.
    Special,
    /// The kernel says that a link leads out of the granted folder (`EXDEV` under `RESOLVE_BENEATH`).
    Outside,
    /// The kernel could not say; the call goes on to its own error.
    Unknown,
}

impl Target {
    /// The word for it in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::File { .. } => "file",
            Self::Folder { .. } => "folder",
            Self::Symlink => "symlink",
            Self::Special => "special",
            Self::Outside => "outside",
            Self::Unknown => "unknown",
        }
    }
}

/// Device and inode of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
}

/// What is known of a handle that a guest holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandleFacts {
    /// Which filesystem capability it came from.
    pub grant: GrantIndex,
    /// What it was opened for, a part of the capability's rights.
    pub rights: AccessSet,
}

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the three standard streams")]
pub enum Stdio {
    Stdin,
    Stdout,
    Stderr,
}

impl Stdio {
    /// The word for it in manifests, grants and rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// IP version of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the two address families of wasi:sockets")]
pub enum AddressFamily {
    Ipv4,
    Ipv6,
}

impl AddressFamily {
    /// The word for it in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}
