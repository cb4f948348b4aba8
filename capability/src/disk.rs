//! What a host call costs of a folder's write quota. All that takes room on the disk is charged, not only the bytes of
//! files: else a tool fills a disk with names. The charges are fixed, the same on every file system, and never less than
//! what the usual ones take; what a call gives back to the disk is not counted.

use crate::call::{Call, FsCall, Target};
use crate::path::{FsPath, GrantIndex};

/// What a new file, folder or symbolic link costs beside its name and its content: 4 KiB. A folder's first block is in it.
pub const INODE_CHARGE_BYTES: u64 = 4096;
/// What a name costs beside its own length, wherever it is new: 256 bytes. File systems keep a name in more than one place,
/// and their folders do not get smaller again.
pub const NAME_CHARGE_BYTES: u64 = 256;

/// What a host call takes off the write quota of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskCost {
    /// Whose quota.
    pub grant: GrantIndex,
    /// How many bytes.
    pub bytes: u64,
    /// How many are left, this call not counted.
    pub quota_left: u64,
}

impl FsCall {
    /// What the call takes off a write quota:
    ///
    /// | call | bytes |
    /// |---|---|
    /// | a new file or folder | [`INODE_CHARGE_BYTES`], and its name |
    /// | a symbolic link | [`INODE_CHARGE_BYTES`], its name, and its text |
    /// | a hard link, a rename | the new name |
    /// | a name | [`NAME_CHARGE_BYTES`] and its length |
    /// | a write | the bytes written, over others too, and those of a hole before them |
    /// | a longer file by `set-size` | the bytes that it grows by |
    ///
    /// `None` for a call that takes no room on the disk, whatever the quota is.
    #[must_use]
    pub fn disk_cost(&self) -> Option<DiskCost> {
        let (grant, bytes, quota_left) = match self {
            Self::OpenAt { path, flags, target: Target::Absent, quota_left, .. } if flags.create => {
                (path.grant, INODE_CHARGE_BYTES + name(path), *quota_left)
            }
            Self::CreateDirectoryAt { path, quota_left, .. } => {
                (path.grant, INODE_CHARGE_BYTES + name(path), *quota_left)
            }
            Self::SymlinkAt { content, path, quota_left, .. } => {
                (path.grant, INODE_CHARGE_BYTES + name(path) + content.len() as u64, *quota_left)
            }
            Self::LinkAt { to, quota_left, .. } | Self::RenameAt { to, quota_left, .. } => {
                (to.grant, name(to), *quota_left)
            }
            Self::Write { handle, bytes, quota_left } => (handle.grant, *bytes, *quota_left),
            Self::Append { handle, quota_left } => (handle.grant, 0, *quota_left),
            Self::SetSize { handle, growth, quota_left, .. } => (handle.grant, *growth, *quota_left),
            Self::Preopen { .. }
            | Self::OpenAt { .. }
            | Self::StatAt { .. }
            | Self::MetadataHashAt { .. }
            | Self::ReadlinkAt { .. }
            | Self::SetTimesAt { .. }
            | Self::RemoveDirectoryAt { .. }
            | Self::UnlinkFileAt { .. }
            | Self::Read { .. }
            | Self::SetTimes { .. }
            | Self::Sync { .. }
            | Self::ReadDirectory { .. }
            | Self::Stat { .. }
            | Self::MetadataHash { .. } => return None,
        };
        Some(DiskCost { grant, bytes, quota_left })
    }
}

impl Call {
    /// What the call takes off a write quota ([`FsCall::disk_cost`]); `None` if it touches no file.
    #[must_use]
    pub fn disk_cost(&self) -> Option<DiskCost> {
        self.fs().and_then(FsCall::disk_cost)
    }
}

/// What the last name of a path costs. A path without a usable text is denied for its text.
fn name(path: &FsPath) -> u64 {
    let last = path.resolved().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    NAME_CHARGE_BYTES + last.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{FileId, OpenFlags};

    const FILE: Target = Target::File { id: FileId { device: 1, inode: 1 }, links: 1 };

    fn at(grant: u16, asked: &str) -> FsPath {
        FsPath::new(GrantIndex(grant), "", asked.to_owned())
    }

    fn cost(call: &FsCall) -> Option<(u16, u64)> {
        call.disk_cost().map(|cost| {
            assert_eq!(cost.quota_left, 9);
            (cost.grant.0, cost.bytes)
        })
    }

    fn open(create: bool, target: Target) -> FsCall {
        let flags = OpenFlags { create, write: true, ..OpenFlags::default() };
        FsCall::OpenAt { path: at(1, "sub/new"), flags, target, handles_open: 0, quota_left: 9 }
    }

    #[test]
    fn a_name_an_inode_and_a_text_cost_what_is_documented() {
        let folder = FsCall::CreateDirectoryAt { path: at(1, "sub/new/"), target: Target::Absent, quota_left: 9 };
        let link = FsCall::SymlinkAt { content: "x".repeat(100), path: at(1, "new"), linked: false, quota_left: 9 };
        let hard = FsCall::LinkAt {
            from: at(0, "a-long-name"),
            source: FILE,
            reach: None,
            to: at(1, "new"),
            to_linked: false,
            quota_left: 9,
        };
        let from = at(0, "a-long-name");
        let renamed = FsCall::RenameAt {
            from,
            from_linked: false,
            source: FILE,
            reach: None,
            carries: None,
            to: at(1, "new"),
            to_linked: false,
            target: FILE,
            quota_left: 9,
        };
        assert_eq!(cost(&open(true, Target::Absent)), Some((1, 4096 + 256 + 3)));
        assert_eq!(cost(&folder), Some((1, 4096 + 256 + 3)));
        assert_eq!(cost(&link), Some((1, 4096 + 256 + 3 + 100)));
        assert_eq!((cost(&hard), cost(&renamed)), (Some((1, 256 + 3)), Some((1, 256 + 3))));
    }

    #[test]
    fn what_brings_nothing_into_being_costs_nothing() {
        assert_eq!(cost(&open(true, FILE)), None);
        assert_eq!(cost(&open(false, Target::Absent)), None);
        assert_eq!(cost(&FsCall::UnlinkFileAt { path: at(0, "a"), target: FILE }), None);
    }
}
