//! The plan of a process: what it may ask of the kernel, as data.

use std::path::PathBuf;

use serde::{Serialize, Serializer};
use tollgate_audit::Digest;

use crate::filter::Check;
use crate::limits::LimitRow;
use crate::rights::FolderRights;

/// What the kernel lets a process do: everything else is denied. Its JSON is printed by `tollgate inspect --kernel --json`.
///
/// Network is in no plan: there are no TCP ports, and every scope of Landlock is closed (abstract unix sockets, signals to
/// other processes).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KernelPlan {
    /// Rules of Landlock, one per folder, by path.
    pub folders: Vec<FolderRule>,
    /// Rows of the seccomp filter, in the order of its table.
    pub calls: Vec<CallRow>,
    /// Resource limits.
    pub limits: Vec<LimitRow>,
}

/// What Landlock leaves below one folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FolderRule {
    /// The folder, as resolved when the policy was loaded.
    #[serde(serialize_with = "lossy")]
    pub host: PathBuf,
    /// Device and inode of that folder, if known: the rule is for no other.
    #[serde(skip)]
    pub opened: Option<FolderId>,
    /// The rights below it; may be none.
    pub rights: FolderRights,
    /// The grants that bring it: guest path and rights each.
    pub why: Vec<String>,
}

/// Device and inode of a folder (`inode(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderId {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
}

/// A system call that a sealed process may make. Several rows for the same number allow what any of them allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CallRow {
    /// Its number on this architecture.
    pub number: i64,
    /// Its name.
    pub name: &'static str,
    /// What its arguments must be; empty for no condition.
    #[serde(skip)]
    pub checks: &'static [Check],
    /// The same in words.
    pub arguments: &'static str,
    /// Why it is made.
    pub why: &'static str,
    /// What brings this row, in the words of the plan's maker.
    pub brought_by: &'static str,
}

impl KernelPlan {
    /// Whether a system call has a row, whatever its arguments must be.
    #[must_use]
    pub fn allows(&self, number: i64) -> bool {
        self.calls.iter().any(|row| row.number == number)
    }

    /// The plan as JSON text, keys in the order of the fields.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Names, numbers and texts: there is nothing in a plan that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// SHA-256 of [`KernelPlan::to_json`].
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_json().as_bytes())
    }
}

fn lossy<S: Serializer>(path: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
