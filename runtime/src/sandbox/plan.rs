//! From what a tool may do to what its worker may ask of the kernel. Pure: no I/O, and every capability set has a plan.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Serialize, Serializer};
use tollgate_audit::Digest;
use tollgate_capability::{Access, AccessSet, CapabilitySet, FileId};

use super::limits::{self, LimitRow};
use super::rights::FolderRights;
use super::rows::{CallRow, ROWS};

/// What the kernel lets a worker do: everything else is denied. Its JSON is printed by `tollgate inspect --kernel --json`.
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
    /// Which folder that was, if somebody looked: the rule is for no other.
    #[serde(skip)]
    pub opened: Option<FileId>,
    /// What may be done below it; may be nothing.
    pub rights: FolderRights,
    /// The grants that bring it: guest path and rights each.
    pub why: Vec<String>,
}

/// The plan of a worker that runs one tool.
#[must_use]
pub fn plan(set: &CapabilitySet) -> KernelPlan {
    let all: AccessSet = set.fs.iter().flat_map(|fs| fs.access.iter()).collect();
    let rules = set.fs.iter().map(|fs| FolderRule {
        host: fs.host.clone(),
        opened: fs.opened,
        rights: FolderRights::of(fs.access, all),
        why: vec![format!("{}: {}", fs.guest, fs.access)],
    });
    let granted = (!set.fs.is_empty()).then_some(all);
    KernelPlan {
        folders: by_path(rules),
        calls: ROWS.iter().filter(|row| row.brought_by.is_in(granted)).copied().collect(),
        limits: limits::of_worker(&set.limits, all.contains(Access::Write)),
    }
}

impl KernelPlan {
    /// The plan of a worker that runs the tools of both: a compartment's.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let either = |row: &&CallRow| self.calls.contains(row) || other.calls.contains(row);
        Self {
            calls: ROWS.iter().filter(either).copied().collect(),
            limits: limits::united(&self.limits, &other.limits),
            folders: by_path(self.folders.into_iter().chain(other.folders)),
        }
    }

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

/// One rule per folder: rules for the same folder unite, as they do in the kernel.
fn by_path(rules: impl IntoIterator<Item = FolderRule>) -> Vec<FolderRule> {
    let mut folders: BTreeMap<PathBuf, FolderRule> = BTreeMap::new();
    for rule in rules {
        match folders.get_mut(&rule.host) {
            Some(there) => {
                there.rights = there.rights.union(rule.rights);
                there.why.extend(rule.why);
            }
            None => {
                folders.insert(rule.host.clone(), rule);
            }
        }
    }
    folders.into_values().collect()
}

fn lossy<S: Serializer>(path: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
