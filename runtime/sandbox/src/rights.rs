//! What Landlock is asked to allow, by the names of `landlock(7)`.

use std::fmt;

use landlock::{AccessFs, BitFlags};
use serde::{Serialize, Serializer};

/// Rights below one folder, as bits of `LANDLOCK_ACCESS_FS_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FolderRights(u64);

impl FolderRights {
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

    pub(crate) fn flags(self) -> BitFlags<AccessFs> {
        BitFlags::from_bits_truncate(self.0)
    }

    /// The names of the rights, as in `LANDLOCK_ACCESS_FS_*`, in the order of their bits.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        self.flags().iter().map(name).collect()
    }
}

impl From<BitFlags<AccessFs>> for FolderRights {
    fn from(rights: BitFlags<AccessFs>) -> Self {
        Self(rights.bits())
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
