//! What this machine's kernel has of all that Tollgate uses, found by trying each thing in a way that changes nothing; for
//! `tollgate doctor`.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;

use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, ResolveFlags, SealFlags, fcntl_add_seals, memfd_create, openat2};
use serde::Serialize;

use super::enforce::close_range;
use super::filter::knows_action;
use super::kernel::{LANDLOCK_ABI_FULL, STEPS, landlock_abi};
use super::rows::PAGEMAP_SCAN;

/// Something that a kernel may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// What.
    pub name: &'static str,
    /// What it is for.
    pub group: FeatureGroup,
    /// Whether it is there, for this user.
    pub there: bool,
    /// What follows where it is not.
    pub without: &'static str,
}

/// What a feature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureGroup {
    /// Part of the level `full`.
    Level,
    /// Tollgate does not run without it.
    Needed,
    /// It makes things better, and no level asks for it.
    Extra,
}

/// All of them, in groups.
#[must_use]
pub fn features() -> Vec<Feature> {
    let abi = landlock_abi();
    let landlock = STEPS.iter().map(|(step, name)| {
        let (group, without) = if *step <= LANDLOCK_ABI_FULL {
            (FeatureGroup::Level, "the system call filter alone stands against it; below `full`")
        } else {
            (FeatureGroup::Extra, "nothing is missing: hosts are sealed without it")
        };
        Feature { name, group, there: *step <= abi, without }
    });
    let filter = [
        ("seccomp: blocked calls are caught (TRAP)", libc::SECCOMP_RET_TRAP),
        ("seccomp: foreign architectures are killed (KILL_PROCESS)", libc::SECCOMP_RET_KILL_PROCESS),
        ("seccomp: what is blocked is logged (LOG)", libc::SECCOMP_RET_LOG),
    ];
    let filter = filter.map(|(name, action)| Feature {
        name,
        group: FeatureGroup::Level,
        there: knows_action(action),
        without: "no host is filtered: level `none`",
    });
    let needed = |name, there, without| Feature { name, group: FeatureGroup::Needed, there, without };
    let extra = |name, there, without| Feature { name, group: FeatureGroup::Extra, there, without };
    landlock
        .chain(filter)
        .chain([
            needed("openat2: opening below a folder", has_openat2(), "no granted folder can be opened (Linux 5.6)"),
            needed("close_range: inherited files are closed", has_close_range(), "no host starts (Linux 5.9)"),
            needed("/proc: threads are counted", has_task_list(), "no host starts: mount /proc"),
            needed("memfd: sealed memory", has_sealed_memory(), "machine code cannot be handed to a host"),
            extra("PAGEMAP_SCAN: dirty pages are found", has_pagemap_scan(), "calls end more slowly (Linux 6.7)"),
            extra("CAP_AUDIT_READ: the kernel's own record of blocked calls", has_audit_read(), "no second witness"),
        ])
        .collect()
}

fn has_openat2() -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(CWD, ".", flags, Mode::empty(), ResolveFlags::BENEATH).is_ok()
}

fn has_close_range() -> bool {
    // No file has the last number.
    close_range(u32::MAX, u32::MAX).is_ok()
}

fn has_task_list() -> bool {
    fs::read_dir("/proc/self/task").is_ok()
}

fn has_sealed_memory() -> bool {
    let made = memfd_create("tollgate-doctor", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
    made.and_then(|file| fcntl_add_seals(file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK)).is_ok()
}

#[allow(unsafe_code, reason = "no crate here has this ioctl")]
fn has_pagemap_scan() -> bool {
    /// `struct pm_scan_arg` (`linux/fs.h`): its size, then eleven more numbers.
    const WORDS: usize = 12;
    let Ok(pagemap) = File::open("/proc/self/pagemap") else { return false };
    let mut argument = [0_u64; WORDS];
    if let Some(size) = argument.first_mut() {
        *size = size_of::<[u64; WORDS]>() as u64;
    }
    // SAFETY: the kernel reads and writes 96 bytes, which `argument` has; it says that no memory is to be looked at.
    let answer = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN.into(), argument.as_mut_ptr()) };
    answer >= 0
}

fn has_audit_read() -> bool {
    const CAP_AUDIT_READ: u64 = 1 << 37;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & CAP_AUDIT_READ != 0)
}
