//! Plans what a worker may ask of the kernel, from what its tools may do. Pure: every capability set has a plan. The sandbox
//! applies it by Landlock, the filter and resource limits.

mod reach;
mod rows;
pub mod signatures;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use landlock::{AccessFs, BitFlags};
use tollgate_audit::Level;
use tollgate_capability::{Access, AccessSet, CapabilitySet, Limits};
use tollgate_config::SandboxLevel;
use tollgate_sandbox::{FolderId, FolderRights, FolderRule, KernelPlan, LimitRow, Limited};

pub use self::reach::{OutOfReach, out_of_reach, path_out_of_reach};
pub use self::rows::{BroughtBy, ROWS, Row};

/// The plan of a worker that runs one tool.
#[must_use]
pub fn plan(set: &CapabilitySet) -> KernelPlan {
    let all: AccessSet = set.fs.iter().flat_map(|fs| fs.access.iter()).collect();
    let rules = set.fs.iter().map(|fs| FolderRule {
        host: fs.host.clone(),
        opened: fs.opened.map(|id| FolderId { device: id.device, inode: id.inode }),
        rights: rights(fs.access, all),
        why: vec![format!("{}: {}", fs.guest, fs.access)],
    });
    let granted = (!set.fs.is_empty()).then_some(all);
    KernelPlan {
        folders: by_path(rules),
        calls: ROWS.iter().filter(|row| row.brought_by.is_in(granted)).map(|row| row.call).collect(),
        limits: limits(&set.limits, all.contains(Access::Write)),
    }
}

/// The plan of a worker that runs the tools of both plans, as a compartment's does.
#[must_use]
pub fn united(one: KernelPlan, other: KernelPlan) -> KernelPlan {
    let either = |row: &&Row| one.calls.contains(&row.call) || other.calls.contains(&row.call);
    KernelPlan {
        calls: ROWS.iter().filter(either).map(|row| row.call).collect(),
        limits: limits_of_both(&one.limits, &other.limits),
        folders: by_path(one.folders.into_iter().chain(other.folders)),
    }
}

/// A level of a policy, as ledger and sandbox have it.
#[must_use]
pub const fn level(required: SandboxLevel) -> Level {
    match required {
        SandboxLevel::None => Level::None,
        SandboxLevel::Partial => Level::Partial,
        SandboxLevel::Full => Level::Full,
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

/// The rights that the gate's effects need below a folder with this access, and no more. `all` is what all folders of the tool
/// allow together: names move between folders, and files are linked, where it can make names in one folder and read or take names
/// in another.
///
/// Never `EXECUTE`, `IOCTL_DEV`, nor making devices, FIFOs or sockets.
fn rights(access: AccessSet, all: AccessSet) -> FolderRights {
    let moves = all.contains(Access::Create) && (all.contains(Access::Read) || all.contains(Access::Delete));
    let takes_part = access.iter().any(|right| matches!(right, Access::Read | Access::Create | Access::Delete));
    let rights = access.iter().map(of_access).fold(BitFlags::EMPTY, |all, rights| all | rights);
    FolderRights::from(if moves && takes_part { rights | AccessFs::Refer } else { rights })
}

fn of_access(access: Access) -> BitFlags<AccessFs> {
    match access {
        Access::Read => AccessFs::ReadFile.into(),
        Access::Write => AccessFs::WriteFile | AccessFs::Truncate,
        Access::Create => AccessFs::MakeReg | AccessFs::MakeDir | AccessFs::MakeSym,
        Access::Delete => AccessFs::RemoveFile | AccessFs::RemoveDir,
        Access::List => AccessFs::ReadDir.into(),
        // Landlock has no right for looking at names.
        Access::Metadata => BitFlags::EMPTY,
    }
}

/// Files that a worker has open beside those of its calls: standard streams, pipe, sockets, connections, `/proc/self/pagemap`,
/// one image per memory of a component, with room to spare.
const FILES_OF_WORKER: u64 = 256;
/// Files that a call has open for a moment, beside the guest's handles: a probe, and the folders of two names.
const FILES_OF_CALL: u64 = 8;
/// Bytes of memory that a worker takes beside its calls: the program, code being loaded, arenas of the heap.
const DATA_OF_WORKER: u64 = 512 << 20;
/// Bytes of memory that a call takes beside its caps: its native stack, its thread's stack, its pool slots for tables (16
/// of 8 MiB, which count whole), its store.
const DATA_OF_CALL: u64 = 160 << 20;

/// The limits of a worker that runs calls under these caps, and that may or may not write files.
fn limits(caps: &Limits, writes: bool) -> Vec<LimitRow> {
    let calls = u64::from(caps.calls);
    let files = calls.saturating_mul(u64::from(caps.handles).saturating_add(FILES_OF_CALL));
    // Twice, since a slot of the pool stays as large as an earlier call made it while the next call fills another.
    let of_guest = caps.memory.saturating_mul(2);
    let texts = [caps.input, caps.output, caps.stdio, caps.random, caps.host_memory.saturating_mul(2)];
    let of_call = texts.into_iter().fold(of_guest.saturating_add(DATA_OF_CALL), u64::saturating_add);
    let mut rows = vec![
        LimitRow { resource: Limited::Core, most: 0, why: "a dump would hold what guests hold" },
        LimitRow { resource: Limited::MessageQueues, most: 0, why: "there are none" },
        LimitRow { resource: Limited::LockedMemory, most: 0, why: "nothing is locked" },
        LimitRow {
            resource: Limited::Files,
            most: files.saturating_add(FILES_OF_WORKER),
            why: "handles of each call, and the worker's own",
        },
        LimitRow {
            resource: Limited::Data,
            most: calls.saturating_mul(of_call).saturating_add(DATA_OF_WORKER),
            why: "memory, texts and stacks of each call, and the worker's own",
        },
        LimitRow { resource: Limited::Processes, most: 0, why: "every thread is started by then" },
    ];
    if !writes {
        rows.push(LimitRow { resource: Limited::FileSize, most: 0, why: "no folder may be written" });
    }
    rows
}

/// The limits of one worker that runs the calls of two: amounts are added, and what is unlimited for one of them stays unlimited.
fn limits_of_both(one: &[LimitRow], other: &[LimitRow]) -> Vec<LimitRow> {
    let of_both = |row: &LimitRow| {
        let twin = other.iter().find(|twin| twin.resource == row.resource)?;
        let most = match row.resource {
            Limited::Files => row.most.saturating_add(twin.most).saturating_sub(FILES_OF_WORKER),
            Limited::Data => row.most.saturating_add(twin.most).saturating_sub(DATA_OF_WORKER),
            Limited::Core | Limited::MessageQueues | Limited::LockedMemory | Limited::FileSize | Limited::Processes => {
                row.most.max(twin.most)
            }
        };
        Some(LimitRow { most, ..*row })
    };
    one.iter().filter_map(of_both).collect()
}
