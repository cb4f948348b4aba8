//! Every host call that WASI 0.2 and Tollgate's own world know, as data: what the guest asked for and the facts the decision rests on.
//! Must never hold a handle, a clock or anything else that makes a decision unrepeatable.

use serde::{Deserialize, Serialize};

use crate::access::AccessSet;
use crate::functions;
use crate::path::{FsPath, GrantIndex, moves_up};
use crate::policy_name::Carries;
use crate::reach::Reach;

/// One call of a guest, decoded and not yet decided on. One variant per guarded function.
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
        /// Bytes left of the grant's write quota, if `flags` have `create`; else it does not matter, and is 0.
        quota_left: u64,
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
        /// What stands there now.
        target: Target,
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
        /// What stands there now.
        target: Target,
        /// Bytes left of the grant's write quota.
        quota_left: u64,
    },
    /// `…descriptor.remove-directory-at`.
    RemoveDirectoryAt {
        /// Which folder.
        path: FsPath,
        /// Whether a symbolic link is on the way to it.
        linked: bool,
        /// What stands there now.
        target: Target,
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
        /// Whether a symbolic link is on the way to the old name.
        from_linked: bool,
        /// What stands at the old name.
        source: Target,
        /// Where the link leads that moves, or the links in a folder that moves, if they were looked at: see
        /// [`HostCall::moves_links`].
        reach: Option<Reach>,
        /// Whether a folder that moves has a policy in it, if it was looked at.
        carries: Option<Carries>,
        /// The new name.
        to: FsPath,
        /// Whether a symbolic link is on the way to the new name.
        to_linked: bool,
        /// What stands at the new name.
        target: Target,
        /// Bytes left of the write quota of the new name's grant.
        quota_left: u64,
    },
    /// `…descriptor.link-at` (a hard link).
    LinkAt {
        /// The file that exists.
        from: FsPath,
        /// What stands there now.
        source: Target,
        /// Where it leads, if it is a symbolic link.
        reach: Option<Reach>,
        /// Its further name.
        to: FsPath,
        /// Whether a symbolic link is on the way to the further name.
        to_linked: bool,
        /// Bytes left of the write quota of the further name's grant.
        quota_left: u64,
    },
    /// `…descriptor.symlink-at`.
    SymlinkAt {
        /// What the link says.
        content: String,
        /// The new name.
        path: FsPath,
        /// Whether a symbolic link is on the way to the new name.
        linked: bool,
        /// Bytes left of the grant's write quota.
        quota_left: u64,
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
        /// How long the file will be.
        size: u64,
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
    /// `…descriptor.read-directory`, and each further page of the listing.
    ReadDirectory {
        /// On which handle.
        handle: HandleFacts,
    },
    /// `…descriptor.stat`.
    Stat {
        /// Of which handle.
        handle: HandleFacts,
    },
    /// `…descriptor.metadata-hash`.
    MetadataHash {
        /// Of which handle.
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
    /// `tollgate:tool/call.get-context`: which call this is, and how long it may take.
    GetContext,
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
    /// Any further function of `wasi:sockets`, none of which can be reached without a socket, and every function of
    /// `wasi:http`; none is granted.
    SocketMethod {
        /// The WIT name of the function, one of [`SOCKET_METHODS`](crate::SOCKET_METHODS) or
        /// [`HTTP_FUNCTIONS`](crate::HTTP_FUNCTIONS).
        function: &'static str,
    },
}

impl HostCall {
    /// The WIT name of the function, as recorded in the ledger.
    #[must_use]
    pub fn function(&self) -> &'static str {
        match self {
            Self::Preopen { .. } => functions::PREOPEN,
            Self::OpenAt { .. } => functions::OPEN_AT,
            Self::StatAt { .. } => functions::STAT_AT,
            Self::MetadataHashAt { .. } => functions::METADATA_HASH_AT,
            Self::ReadlinkAt { .. } => functions::READLINK_AT,
            Self::SetTimesAt { .. } => functions::SET_TIMES_AT,
            Self::CreateDirectoryAt { .. } => functions::CREATE_DIRECTORY_AT,
            Self::RemoveDirectoryAt { .. } => functions::REMOVE_DIRECTORY_AT,
            Self::UnlinkFileAt { .. } => functions::UNLINK_FILE_AT,
            Self::RenameAt { .. } => functions::RENAME_AT,
            Self::LinkAt { .. } => functions::LINK_AT,
            Self::SymlinkAt { .. } => functions::SYMLINK_AT,
            Self::Read { .. } => functions::READ,
            Self::Write { .. } => functions::WRITE,
            Self::Append { .. } => functions::APPEND,
            Self::SetSize { .. } => functions::SET_SIZE,
            Self::SetTimes { .. } => functions::SET_TIMES,
            Self::Sync { .. } => functions::SYNC,
            Self::ReadDirectory { .. } => functions::READ_DIRECTORY,
            Self::Stat { .. } => functions::STAT,
            Self::MetadataHash { .. } => functions::METADATA_HASH,
            Self::GetEnvironment => functions::GET_ENVIRONMENT,
            Self::GetArguments => functions::GET_ARGUMENTS,
            Self::GetStdio { stream: Stdio::Stdin } => functions::GET_STDIN,
            Self::GetStdio { stream: Stdio::Stdout } => functions::GET_STDOUT,
            Self::GetStdio { stream: Stdio::Stderr } => functions::GET_STDERR,
            Self::WriteStdio { .. } => functions::WRITE_STDIO,
            Self::WallClock => functions::WALL_CLOCK,
            Self::MonotonicClock => functions::MONOTONIC_CLOCK,
            Self::RandomBytes { .. } => functions::RANDOM_BYTES,
            Self::InsecureRandomBytes { .. } => functions::INSECURE_RANDOM_BYTES,
            Self::GetContext => functions::GET_CONTEXT,
            Self::CreateTcpSocket { .. } => functions::CREATE_TCP_SOCKET,
            Self::CreateUdpSocket { .. } => functions::CREATE_UDP_SOCKET,
            Self::ResolveAddresses { .. } => functions::RESOLVE_ADDRESSES,
            Self::SocketMethod { function } => function,
        }
    }

    /// Whether a rename of what stands at the old name takes links elsewhere, so that the decision needs to know where they
    /// lead: a link that moves, or a folder that comes nearer to the granted folder.
    #[must_use]
    pub fn moves_links(source: Target, from: (&FsPath, bool), to: (&FsPath, bool)) -> bool {
        match source {
            Target::Link { .. } => true,
            Target::Folder { .. } => moves_up(from, to),
            Target::Absent
            | Target::File { .. }
            | Target::Symlink
            | Target::Special { .. }
            | Target::Outside
            | Target::Mount
            | Target::Pseudo
            | Target::Policy
            | Target::Unknown => false,
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
            | Self::GetContext
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
            | Self::Stat { .. }
            | Self::MetadataHash { .. }
            | Self::GetStdio { .. }
            | Self::WriteStdio { .. }
            | Self::WallClock
            | Self::MonotonicClock
            | Self::RandomBytes { .. }
            | Self::InsecureRandomBytes { .. } => false,
        }
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

impl OpenFlags {
    /// Whether a new file is neither read nor written through its handle: to make it is all that is asked.
    #[must_use]
    pub const fn makes_only(self) -> bool {
        self.create && !(self.read || self.write || self.truncate)
    }
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
    /// A symbolic link that is not followed.
    Link {
        /// Device and inode.
        id: FileId,
    },
    /// A symbolic link on the way, where none is followed.
    Symlink,
    /// A device, FIFO or socket.
    Special {
        /// Device and inode.
        id: FileId,
    },
    /// The kernel says that a link leads out of the granted folder (`EXDEV` under `RESOLVE_BENEATH`).
    Outside,
    /// It is in another mount than the granted folder, or is where one begins (`EXDEV` under `RESOLVE_NO_XDEV`).
    Mount,
    /// It is in a file system of the kernel's own, such as procfs.
    Pseudo,
    /// A policy under another name, by a link: it is not there for a tool that could change it, and is not changed.
    Policy,
    /// The kernel could not say; the call goes on to its own error.
    Unknown,
}

impl Target {
    /// Device and inode, where something is known to stand there.
    #[must_use]
    pub const fn id(self) -> Option<FileId> {
        match self {
            Self::File { id, .. } | Self::Folder { id } | Self::Link { id } | Self::Special { id } => Some(id),
            Self::Absent
            | Self::Symlink
            | Self::Outside
            | Self::Mount
            | Self::Pseudo
            | Self::Policy
            | Self::Unknown => None,
        }
    }

    /// The word for it in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::File { .. } => "file",
            Self::Folder { .. } => "folder",
            Self::Link { .. } => "link",
            Self::Symlink => "symlink",
            Self::Special { .. } => "special",
            Self::Outside => "outside",
            Self::Mount => "mount",
            Self::Pseudo => "pseudo",
            Self::Policy => "policy",
            Self::Unknown => "unknown",
        }
    }
}

/// Device and inode of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
