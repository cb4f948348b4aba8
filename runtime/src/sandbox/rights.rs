//! What Landlock is asked to allow, by the names of `landlock(7)`.

use std::fmt;

use landlock::{AccessFs, BitFlags};
use serde::{Serialize, Serializer};
use tollgate_capability::{Access, AccessSet};

/// Rights below one folder, as bits of `LANDLOCK_ACCESS_FS_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FolderRights(u64);

impl FolderRights {
    /// What the gate's effects need below a folder with these rights, and no more. `all` are the rights that all folders of
    /// the same tool have together: names move between folders, and files are linked, where it can make names in one and
    /// read or take names in one.
    ///
    /// Never `EXECUTE`, `IOCTL_DEV`, nor making devices, FIFOs or sockets.
    pub(super) fn of(access: AccessSet, all: AccessSet) -> Self {
        let moves = all.contains(Access::Create) && (all.contains(Access::Read) || all.contains(Access::Delete));
        let takes_part = access.iter().any(|right| matches!(right, Access::Read | Access::Create | Access::Delete));
        let rights = access.iter().map(of_access).fold(BitFlags::EMPTY, |all, rights| all | rights);
        Self((if moves && takes_part { rights | AccessFs::Refer } else { rights }).bits())
    }

    /// The rights of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every right of `other` is in this set.
    #[must_use]
    pub const fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The bits of `LANDLOCK_ACCESS_FS_*`.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    pub(super) fn flags(self) -> BitFlags<AccessFs> {
        BitFlags::from_bits_truncate(self.0)
    }

    /// The names of the rights, as in `LANDLOCK_ACCESS_FS_*`, in the order of their bits.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        self.flags().iter().map(name).collect()
    }
}

fn of_access(access: Access) -> BitFlags<AccessFs> {
    match access {
        Access::Read => AccessFs::ReadFile.into(),
        Access::Write => AccessFs::WriteFile | AccessFs::Truncate,
        Access::Create => AccessFs::MakeReg | AccessFs::MakeDir | AccessFs::MakeSym,
        Access::Delete => AccessFs::RemoveFile | AccessFs::RemoveDir,
        Access::List => AccessFs::ReadDir.into(),
        // Looking at names takes no right of Landlock's.
        Access::Metadata => BitFlags::EMPTY,
    }
}

/// The name of a right in `LANDLOCK_ACCESS_FS_*`.
fn name(right: AccessFs) -> &'static str {
    match right {
        AccessFs::Execute => "EXECUTE",
        AccessFs::WriteFile => "WRITE_FILE",
        AccessFs::ReadFile => "READ_FILE",
        AccessFs::ReadDir => "READ_DIR",
        AccessFs::RemoveDir => "REMOVE_DIR",
        AccessFs::RemoveFile => "REMOVE_FILE",
        AccessFs::MakeChar => "MAKE_CHAR",
        AccessFs::MakeDir => "MAKE_DIR",
        AccessFs::MakeReg => "MAKE_REG",
        AccessFs::MakeSock => "MAKE_SOCK",
        AccessFs::MakeFifo => "MAKE_FIFO",
        AccessFs::MakeBlock => "MAKE_BLOCK",
        AccessFs::MakeSym => "MAKE_SYM",
        AccessFs::Refer => "REFER",
        AccessFs::Truncate => "TRUNCATE",
        AccessFs::IoctlDev => "IOCTL_DEV",
        AccessFs::ResolveUnix => "RESOLVE_UNIX",
        _newer => "a right of a newer kernel",
    }
}

impl fmt::Display for FolderRights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(" "))
    }
}

impl Serialize for FolderRights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}
