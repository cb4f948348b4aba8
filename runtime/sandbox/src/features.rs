//! The kernel features that Tollgate uses, and which of them this machine has. Each is tried in a way that changes nothing. For
//! `tollgate doctor`.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::thread;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, ResolveFlags, SealFlags, fcntl_add_seals, memfd_create, openat2};
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use serde::Serialize;
use tollgate_ipc::Channel;
use tollgate_system::{can_take_from_pipes, may_signal};

use super::descriptors::close_range;
use super::enforce::drop_capabilities;
use super::filter::{knows_action, no_new_privileges};
use super::kernel::{LANDLOCK_ABI_FULL, STEPS, landlock_abi};
use super::trap;

/// A feature that a kernel may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub group: FeatureGroup,
    /// Whether this user has it.
    pub there: bool,
    /// What follows without it.
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

/// All features, in groups.
#[must_use]
pub fn features() -> Vec<Feature> {
    let abi = landlock_abi();
    let landlock = STEPS.iter().map(|(step, name)| {
        let (group, without) = if *step <= LANDLOCK_ABI_FULL {
            (FeatureGroup::Level, "the system call filter alone stands against it; below `full`")
        } else {
            (FeatureGroup::Extra, "nothing is missing: workers are sealed without it")
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
        without: "no worker is filtered: level `none`",
    });
    let extra = |name, there, without| Feature { name, group: FeatureGroup::Extra, there, without };
    let extras = [
        extra("PAGEMAP_SCAN: dirty pages are found", has_pagemap_scan(), "calls end more slowly (Linux 6.7)"),
        extra("CAP_AUDIT_READ: the kernel's own record of blocked calls", has_audit_read(), "no second witness"),
    ];
    landlock.chain(filter).chain(needed()).chain(extras).collect()
}

/// Features without which Tollgate does not run: for each what it is for, in which process, and what to do.
fn needed() -> impl Iterator<Item = Feature> {
    let needed = [
        (
            "openat2: the worker opens below a granted folder",
            has_openat2(),
            "no folder can be granted; Linux 5.6, or let the filter around this process allow it",
        ),
        (
            "close_range: worker and notary close what they inherit",
            has_close_range(),
            "none of them starts; Linux 5.9, or let the filter around this process allow it",
        ),
        (
            "/proc: the worker counts its threads",
            has_task_list(),
            "no worker starts; mount /proc, of this PID namespace or of one around it",
        ),
        (
            "/dev/null: worker, notary and compiler have it in the place of streams",
            OpenOptions::new().read(true).write(true).open("/dev/null").is_ok(),
            "none of them starts; make it, as containers and chroots have it: `mknod -m 666 /dev/null c 1 3`",
        ),
        (
            "memfd_create: machine code and orders go to the worker in sealed memory",
            has_sealed_memory(),
            "no worker starts; let the filter around this process allow memfd_create, and fcntl with F_ADD_SEALS",
        ),
        (
            "pidfd_open, pidfd_send_signal: a worker that does not end is killed, and no other process",
            has_pidfd(),
            "no worker starts; Linux 5.3, or let the filter around this process allow both",
        ),
        (
            "socketpair: supervisor, worker and notary talk",
            has_socket_pair(),
            "none of them starts; let the filter around this process allow it",
        ),
        (
            "tee, splice: the notary takes entries out of pipes and loses none",
            can_take_from_pipes().is_ok(),
            "nothing can be recorded, so nothing runs; let the filter around this process allow both",
        ),
        (
            "eventfd2: the notary's threads wake each other",
            has_eventfd(),
            "the notary does not start; let the filter around this process allow it",
        ),
        (
            "getrandom: keys, salts and the seeds of the engine are drawn",
            getrandom::fill(&mut [0_u8; 16]).is_ok(),
            "no component is compiled, and no ledger made; let the filter around this process allow it",
        ),
        (
            "threads: worker, notary and compiler start theirs before they are sealed",
            has_threads(),
            "none of them starts; let the filter around this process allow clone and clone3, and see RLIMIT_NPROC",
        ),
        (
            "capset, sigaltstack, prctl: a worker gives up privileges, and hears what its filter blocks",
            can_give_up(),
            "no worker is sealed; let the filter around this process allow them",
        ),
        (
            "processes: they start in this PID namespace",
            starts_processes_beside_itself(),
            "none of them starts; begin inside the other namespace, as with `unshare --pid --fork`",
        ),
    ];
    let feature = |(name, there, without)| Feature { name, group: FeatureGroup::Needed, there, without };
    needed.into_iter().map(feature)
}

fn has_openat2() -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(CWD, ".", flags, Mode::empty(), ResolveFlags::BENEATH).is_ok()
}

fn has_close_range() -> bool {
    // No file has the last number.
    close_range(u32::MAX, u32::MAX).is_ok()
}

fn has_pidfd() -> bool {
    // No signal: whether one could be sent to this process.
    let own = pidfd_open(getpid(), PidfdFlags::empty());
    own.is_ok_and(|own| may_signal(&own).is_ok())
}

fn has_socket_pair() -> bool {
    Channel::pair().is_ok()
}

fn has_eventfd() -> bool {
    eventfd(0, EventfdFlags::CLOEXEC).is_ok()
}

fn has_threads() -> bool {
    thread::Builder::new().spawn(|| ()).is_ok_and(|thread| thread.join().is_ok())
}

/// Tried on a thread that ends with it.
fn can_give_up() -> bool {
    let give_up = || {
        let (capabilities, privileges) = (drop_capabilities(), no_new_privileges());
        capabilities.is_ok() && privileges.is_ok() && trap::give_stack().is_ok()
    };
    thread::Builder::new().spawn(give_up).is_ok_and(|thread| thread.join().unwrap_or_default())
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

/// Whether processes that are started here are in this process's own PID namespace; true where `/proc` cannot tell.
pub fn starts_processes_beside_itself() -> bool {
    let of = |name: &str| fs::read_link(format!("/proc/self/ns/{name}")).ok();
    // A namespace without a process has no link yet.
    of("pid").is_none_or(|own| of("pid_for_children") == Some(own))
}

/// The command of `ioctl(2)` that finds the pages written since they were last clean (`linux/fs.h`).
pub const PAGEMAP_SCAN: u32 = 0xc060_6610;
