//! Calls on the filesystem: by path, by two paths, by handle. What a call rests on was found without opening anything.

use serde::{Deserialize, Serialize};

use super::facts::{CARRIES, CLIMBS, FROM, FactValue, Facts, FactsError, PATH, TO, Unread, wrong};
use super::table::calls;
use crate::access::{Access, AccessSet};
use crate::path::{FsPath, GrantIndex, moves_up};
use crate::policy_name::Carries;
use crate::reach::Reach;

calls! {
    /// A call of `wasi:filesystem`.
    pub enum FsCall {
        /// `wasi:filesystem/preopens.get-directories`, once per granted folder, before it is opened.
        Preopen "wasi:filesystem/preopens.get-directories" recorded {
            /// Which filesystem capability.
            grant: GrantIndex = "grant",
        },
        OpenAt "wasi:filesystem/types.[method]descriptor.open-at" recorded {
            /// What is opened.
            path: FsPath = PATH,
            /// How.
            flags: OpenFlags = "flags",
            /// What stands there now.
            target: Target = TARGET,
            /// Handles the call holds already, without this one.
            handles_open: u32 = "handles_open",
            /// Bytes left of the grant's write quota, if `flags` have `create`; else it does not matter, and is 0.
            quota_left: u64 = "quota_left" if flags.create,
        },
        StatAt "wasi:filesystem/types.[method]descriptor.stat-at" recorded {
            /// Whose metadata.
            path: FsPath = PATH,
            /// What stands there now.
            target: Target = TARGET,
        },
        MetadataHashAt "wasi:filesystem/types.[method]descriptor.metadata-hash-at" counted {
            /// Whose metadata.
            path: FsPath = PATH,
            /// What stands there now.
            target: Target = TARGET,
        },
        ReadlinkAt "wasi:filesystem/types.[method]descriptor.readlink-at" recorded {
            /// Which link.
            path: FsPath = PATH,
            /// What stands there now.
            target: Target = TARGET,
        },
        SetTimesAt "wasi:filesystem/types.[method]descriptor.set-times-at" recorded {
            /// Whose times.
            path: FsPath = PATH,
            /// What stands there now.
            target: Target = TARGET,
        },
        CreateDirectoryAt "wasi:filesystem/types.[method]descriptor.create-directory-at" recorded {
            /// The new folder.
            path: FsPath = PATH,
            /// What stands there now.
            target: Target = TARGET,
            /// Bytes left of the grant's write quota.
            quota_left: u64 = "quota_left",
        },
        RemoveDirectoryAt "wasi:filesystem/types.[method]descriptor.remove-directory-at" recorded {
            /// Which folder.
            path: FsPath = PATH,
            /// Whether a symbolic link is on the way to it.
            linked: bool = "linked",
            /// What stands there now.
            target: Target = TARGET,
        },
        UnlinkFileAt "wasi:filesystem/types.[method]descriptor.unlink-file-at" recorded {
            /// Which name.
            path: FsPath = PATH,
            /// What stands there now.
            target: Target = TARGET,
        },
        RenameAt "wasi:filesystem/types.[method]descriptor.rename-at" recorded {
            /// The old name.
            from: FsPath = FROM,
            /// Whether a symbolic link is on the way to the old name.
            from_linked: bool = "from_linked",
            /// What stands at the old name.
            source: Target = SOURCE,
            /// Where the link leads that moves, or the links in a folder that moves, if they were looked at: see
            /// [`FsCall::moves_links`].
            reach: Option<Reach> = CLIMBS,
            /// Whether a folder that moves has a policy in it, if it was looked at.
            carries: Option<Carries> = CARRIES,
            /// The new name.
            to: FsPath = TO,
            /// Whether a symbolic link is on the way to the new name.
            to_linked: bool = "to_linked",
            /// What stands at the new name.
            target: Target = TARGET,
            /// Bytes left of the write quota of the new name's grant.
            quota_left: u64 = "quota_left",
        },
        /// `…descriptor.link-at` (a hard link).
        LinkAt "wasi:filesystem/types.[method]descriptor.link-at" recorded {
            /// The file that exists.
            from: FsPath = FROM,
            /// What stands there now.
            source: Target = SOURCE,
            /// Where it leads, if it is a symbolic link.
            reach: Option<Reach> = CLIMBS,
            /// Its further name.
            to: FsPath = TO,
            /// Whether a symbolic link is on the way to the further name.
            to_linked: bool = "to_linked",
            /// Bytes left of the write quota of the further name's grant.
            quota_left: u64 = "quota_left",
        },
        SymlinkAt "wasi:filesystem/types.[method]descriptor.symlink-at" recorded {
            /// What the link says.
            content: String = "content",
            /// The new name.
            path: FsPath = PATH,
            /// Whether a symbolic link is on the way to the new name.
            linked: bool = "linked",
            /// Bytes left of the grant's write quota.
            quota_left: u64 = "quota_left",
        },
        /// `…descriptor.read` and `read-via-stream`.
        Read "wasi:filesystem/types.[method]descriptor.read" counted {
            /// On which handle.
            handle: HandleFacts = HANDLE,
        },
        /// `…descriptor.write`, `write-via-stream`, and each write of such a stream.
        Write "wasi:filesystem/types.[method]descriptor.write" counted {
            /// On which handle.
            handle: HandleFacts = HANDLE,
            /// How many bytes, and those of the hole between the file's end and where they go.
            bytes: u64 = "bytes",
            /// Bytes left of the grant's write quota.
            quota_left: u64 = "quota_left",
        },
        Append "wasi:filesystem/types.[method]descriptor.append-via-stream" counted {
            /// On which handle.
            handle: HandleFacts = HANDLE,
            /// Bytes left of the grant's write quota.
            quota_left: u64 = "quota_left",
        },
        SetSize "wasi:filesystem/types.[method]descriptor.set-size" recorded {
            /// On which handle.
            handle: HandleFacts = HANDLE,
            /// How long the file will be.
            size: u64 = "size",
            /// By how many bytes the file grows; 0 if it shrinks.
            growth: u64 = "growth",
            /// Bytes left of the grant's write quota.
            quota_left: u64 = "quota_left",
        },
        SetTimes "wasi:filesystem/types.[method]descriptor.set-times" recorded {
            /// On which handle.
            handle: HandleFacts = HANDLE,
        },
        /// `…descriptor.sync` and `sync-data`.
        Sync "wasi:filesystem/types.[method]descriptor.sync" counted {
            /// On which handle.
            handle: HandleFacts = HANDLE,
        },
        /// `…descriptor.read-directory`, and each further page of the listing.
        ReadDirectory "wasi:filesystem/types.[method]descriptor.read-directory" counted {
            /// On which handle.
            handle: HandleFacts = HANDLE,
        },
        Stat "wasi:filesystem/types.[method]descriptor.stat" counted {
            /// Of which handle.
            handle: HandleFacts = HANDLE,
        },
        MetadataHash "wasi:filesystem/types.[method]descriptor.metadata-hash" counted {
            /// Of which handle.
            handle: HandleFacts = HANDLE,
        },
    }
}

impl FsCall {
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

    /// What the call is about.
    #[must_use]
    pub fn place(&self) -> FsPlace<'_> {
        match self {
            Self::OpenAt { path, .. }
            | Self::StatAt { path, .. }
            | Self::MetadataHashAt { path, .. }
            | Self::ReadlinkAt { path, .. }
            | Self::SetTimesAt { path, .. }
            | Self::CreateDirectoryAt { path, .. }
            | Self::RemoveDirectoryAt { path, .. }
            | Self::UnlinkFileAt { path, .. }
            | Self::SymlinkAt { path, .. } => FsPlace::Path(path),
            Self::RenameAt { from, to, .. } | Self::LinkAt { from, to, .. } => FsPlace::Names { from, to },
            Self::Preopen { grant } => FsPlace::Handle(*grant),
            Self::Read { handle }
            | Self::Write { handle, .. }
            | Self::Append { handle, .. }
            | Self::SetSize { handle, .. }
            | Self::SetTimes { handle }
            | Self::Sync { handle }
            | Self::ReadDirectory { handle }
            | Self::Stat { handle }
            | Self::MetadataHash { handle } => FsPlace::Handle(handle.grant),
        }
    }
}

/// What a call on the filesystem is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsPlace<'c> {
    /// One path.
    Path(&'c FsPath),
    /// A name that moves, or a file that gets a further name.
    Names {
        /// The name that is there.
        from: &'c FsPath,
        /// The new name.
        to: &'c FsPath,
    },
    /// The folder of this capability itself, or a handle below it.
    Handle(GrantIndex),
}

impl FsPlace<'_> {
    /// Which filesystem capability the call needs; of two, that of the new name.
    #[must_use]
    pub const fn grant(self) -> GrantIndex {
        match self {
            Self::Path(path) | Self::Names { to: path, .. } => path.grant,
            Self::Handle(grant) => grant,
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

/// The names that the facts of what stands at a path have.
pub(crate) struct TargetKeys {
    kind: &'static str,
    links: &'static str,
    device: &'static str,
    inode: &'static str,
}

/// What stands at the only path, or at the new name.
pub(crate) const TARGET: TargetKeys = TargetKeys { kind: "target", links: "links", device: "device", inode: "inode" };
/// What stands at the old name.
pub(crate) const SOURCE: TargetKeys =
    TargetKeys { kind: "source", links: "source_links", device: "source_device", inode: "source_inode" };

impl FactValue for Target {
    type Key = TargetKeys;

    fn tell<'a>(&'a self, key: &TargetKeys, facts: &mut Facts<'a>) {
        facts.text(key.kind, self.as_str());
        if let Self::File { links, .. } = self {
            facts.uint(key.links, *links);
        }
        if let Some(id) = self.id() {
            facts.uint(key.device, id.device);
            facts.uint(key.inode, id.inode);
        }
    }

    fn read(key: &TargetKeys, facts: &mut Unread<'_>) -> Result<Self, FactsError> {
        let id = |facts: &mut Unread<'_>| Ok(FileId { device: facts.uint(key.device)?, inode: facts.uint(key.inode)? });
        Ok(match facts.text(key.kind)? {
            "absent" => Self::Absent,
            "file" => Self::File { id: id(facts)?, links: facts.uint(key.links)? },
            "folder" => Self::Folder { id: id(facts)? },
            "link" => Self::Link { id: id(facts)? },
            "symlink" => Self::Symlink,
            "special" => Self::Special { id: id(facts)? },
            "outside" => Self::Outside,
            "mount" => Self::Mount,
            "pseudo" => Self::Pseudo,
            "policy" => Self::Policy,
            "unknown" => Self::Unknown,
            _other => return Err(wrong(key.kind, "a kind of target")),
        })
    }
}

impl FactValue for OpenFlags {
    type Key = &'static str;

    fn tell<'a>(&'a self, key: &Self::Key, facts: &mut Facts<'a>) {
        facts.text(key, flag_words(*self));
    }

    fn read(key: &Self::Key, facts: &mut Unread<'_>) -> Result<Self, FactsError> {
        let text = facts.text(key)?;
        let has = |word: &str| text.split(',').any(|each| each == word);
        let flags = Self {
            create: has("create"),
            exclusive: has("exclusive"),
            truncate: has("truncate"),
            directory: has("directory"),
            read: has("read"),
            write: has("write"),
            follow: has("follow"),
        };
        if flag_words(flags) == text { Ok(flags) } else { Err(wrong(key, "a list of open flags in their order")) }
    }
}

/// The flags that are set, comma-separated, in a fixed order.
fn flag_words(flags: OpenFlags) -> String {
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
    set.collect::<Vec<_>>().join(",")
}

/// The names that the facts of a handle have.
pub(crate) struct HandleKeys {
    grant: &'static str,
    rights: &'static str,
}

/// The only handle of a call.
pub(crate) const HANDLE: HandleKeys = HandleKeys { grant: "grant", rights: "rights" };

impl FactValue for HandleFacts {
    type Key = HandleKeys;

    fn tell<'a>(&'a self, key: &HandleKeys, facts: &mut Facts<'a>) {
        self.grant.tell(&key.grant, facts);
        facts.text(key.rights, self.rights.to_string());
    }

    fn read(key: &HandleKeys, facts: &mut Unread<'_>) -> Result<Self, FactsError> {
        let text = facts.text(key.rights)?;
        let has = |right: &Access| text.split(',').any(|each| each == right.as_str());
        let rights: AccessSet = Access::ALL.into_iter().filter(has).collect();
        if rights.to_string() != text {
            return Err(wrong(key.rights, "a list of rights in their order"));
        }
        Ok(Self { grant: GrantIndex::read(&key.grant, facts)?, rights })
    }
}
