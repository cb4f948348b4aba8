//! Why a rule does not hold: for the caller, the record, and whoever asks before.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::path::PathFault;

/// Why a rule does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It was not granted.
    NotGranted,
    /// The path cannot be used.
    Path(PathFault),
    /// A symbolic link leads out of the granted folder.
    LinkOutside,
    /// Something else is mounted there, or on the way.
    Mount,
    /// It is in a file system of the kernel's own.
    Pseudo,
    /// The path matches no include pattern, or an exclude pattern.
    Excluded,
    /// Symbolic links are not followed or made where patterns apply.
    SymlinkUnderPatterns,
    /// The file has several hard links and the patterns cannot speak for its other names.
    HardLinksUnderPatterns,
    /// A folder cannot be renamed where patterns apply: what is in it would change its path.
    FolderRenameUnderPatterns,
    /// It is a device, FIFO or socket.
    NotRegular,
    /// The link's text is absolute, has `..` after a name, or leads out of the granted folder from where it will stand.
    LinkText,
    /// A symbolic link is on the way to where a link with `..` would stand, so that its text does not say where it leads.
    LinkPlace,
    /// A folder would come nearer to the granted folder, and links in it could lead out from there.
    LinksInFolder,
    /// A granted folder stands there, or in it.
    GrantedPlace,
    /// A granted folder lies in this one, and the name is reached through a symbolic link.
    PlaceByLink,
    /// Another file was put in the place of the one that was decided on, while the call was made.
    Exchanged,
    /// The new place has rights that the old one lacks.
    GainsRights,
    /// A policy could be found under this name.
    PolicyName,
    /// The path leads to a policy by another name.
    PolicyByLink,
    /// There is a policy in the folder, which would be found under another name.
    PolicyInFolder,
    /// The folder was not seen whole: a policy could be in it.
    FolderUnseen,
    /// More is asked for than is left.
    OverLimit {
        /// What was asked for.
        asked: u64,
        /// What is left.
        left: u64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted => f.write_str("it is not granted"),
            Self::Path(fault) => fault.fmt(f),
            Self::LinkOutside => f.write_str("a symbolic link leads out of the granted folder"),
            Self::Mount => f.write_str("something else is mounted there or on the way, and mounts are not granted"),
            Self::Pseudo => f.write_str("it is in a file system of the kernel's own, which holds no files to grant"),
            Self::Excluded => f.write_str("the include and exclude patterns leave this path out"),
            Self::SymlinkUnderPatterns => {
                f.write_str("symbolic links are neither followed nor made where patterns apply")
            }
            Self::HardLinksUnderPatterns => {
                f.write_str("the file has several hard links, and patterns cannot speak for its other names")
            }
            Self::FolderRenameUnderPatterns => f.write_str("a folder cannot be renamed where patterns apply"),
            Self::NotRegular => f.write_str("only regular files and folders may be opened, linked or renamed"),
            Self::LinkText => f.write_str("the link would lead out of the granted folder"),
            Self::LinkPlace => f.write_str("a link with `..` can be made or moved only where no link is on the way"),
            Self::LinksInFolder => {
                f.write_str("links in the folder, as far as they can be seen, would lead out of the granted folder")
            }
            Self::GrantedPlace => {
                f.write_str("a granted folder stands there, and its place is not the tool's to change")
            }
            Self::PlaceByLink => {
                f.write_str("a granted folder lies in this one, so names are not changed through a symbolic link")
            }
            Self::Exchanged => f.write_str("another file was put in its place while the call was made"),
            Self::GainsRights => f.write_str("the file would gain rights in its new place"),
            Self::PolicyName => {
                f.write_str("the next run could find a policy under this name, which no tool may write")
            }
            Self::PolicyByLink => {
                f.write_str("the path leads to a policy (`tollgate.toml`) by a link, and no tool may change one")
            }
            Self::PolicyInFolder => f.write_str(
                "a policy (`tollgate.toml`) is in the folder, and the next run would find it under another name",
            ),
            Self::FolderUnseen => f.write_str(
                "a policy could be in the folder, which was not seen whole: that takes `list`, no other mount in it, and \
                 at most 1,000,000 entries",
            ),
            Self::OverLimit { asked, left } => write!(f, "{asked} asked for, {left} left"),
        }
    }
}
