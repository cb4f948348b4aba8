//! Seals Tollgate's own processes, notary, compiler and gateway: files below some folders, and an allow-list of system calls that
//! answers others with `EPERM`. A process that runs tools is sealed by [`confine`](super::confine), which is stricter.
//!
//! ```text
//! confine(folders) ─▶ Confined ─▶ start threads ─▶ Confined::allow_only(calls)
//! ```

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::path::Path;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use tollgate_system::of_call;

use super::descriptors::close_but;
pub use super::filter::{ANY, Check, NOT_EXECUTABLE};
use super::filter::{Log, Otherwise, Program, no_new_privileges};
use super::limits::LimitRow;
use super::ruleset;

/// Closes every file of this process but its standard streams and `keep`. For a process that has just started.
///
/// # Errors
///
/// The kernel cannot close ranges (Linux 5.9).
///
/// # Safety
///
/// Nothing in this process owns or borrows another file, or it never uses nor closes that again (`std::os::fd`, "I/O
/// safety"): its number may be another file's by then.
#[allow(unsafe_code, reason = "it closes what others may own, and says so")]
pub unsafe fn close_inherited(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<RawFd> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    close_but(&mut kept)
}

/// Limits what this process may take of memory, files and the like, for good where [`Confined::allow_only`] leaves neither
/// `setrlimit` nor `prlimit64`. A limit that is lower already stays.
///
/// # Errors
///
/// The kernel refuses.
pub fn limit(rows: &[LimitRow]) -> io::Result<()> {
    rows.iter().try_for_each(|row| row.set())
}

/// Keeps this process's memory from others of its user: no core dump, and `/proc` shows it to root alone (`PR_SET_DUMPABLE`).
///
/// # Errors
///
/// The kernel refuses.
pub fn hide_memory() -> io::Result<()> {
    let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    hidden.map_err(|errno| of_call("prctl(PR_SET_DUMPABLE)", errno))
}

/// A system call that stays open: its number, what its arguments must be, and why it is needed. Several rows with
/// conditions for the same number allow what any of them allows; one without allows the number whatever they say.
pub type Call = (i64, &'static [Check], &'static str);

/// Proof that this process reaches the files below its folders and no others.
#[must_use = "the system calls are still open"]
#[derive(Debug)]
pub struct Confined(());

/// Leaves this process, which must have one thread, the files below `folders`, no network, and signals to itself. On a kernel
/// without Landlock only the allow-list of system calls holds.
///
/// # Errors
///
/// The kernel has Landlock and refuses.
pub fn confine(folders: &[&Path]) -> io::Result<Confined> {
    ruleset::restrict_to_folders(folders).map_err(io::Error::other)?;
    Ok(Confined(()))
}

impl Confined {
    /// Leaves every thread of this process the system calls in `calls` and those of every process. Any other fails with `EPERM`.
    ///
    /// # Errors
    ///
    /// The kernel has no seccomp, or refuses.
    pub fn allow_only(self, calls: &[Call]) -> io::Result<()> {
        let rows = EVERY_PROCESS.iter().chain(calls).map(|(number, checks, _why)| (*number, *checks));
        let program = Program::compile(rows, Otherwise::Refuse).map_err(io::Error::other)?;
        no_new_privileges()?;
        program.apply(Log::Nothing).map_err(io::Error::other)
    }
}

/// The system calls of every such process: for memory, threads that wait for each other and end, panics, its own end. Mapping
/// memory is not among them, since how much may be mapped differs.
const EVERY_PROCESS: &[Call] = &[
    (libc::SYS_mprotect, &[NOT_EXECUTABLE], "memory"),
    (libc::SYS_munmap, ANY, "memory"),
    (libc::SYS_mremap, ANY, "memory"),
    (libc::SYS_madvise, ANY, "memory"),
    (libc::SYS_brk, ANY, "memory"),
    (libc::SYS_getrandom, ANY, "hash maps"),
    (libc::SYS_clock_gettime, ANY, "where it is no vDSO call"),
    (libc::SYS_futex, ANY, "threads wait for each other"),
    (libc::SYS_sched_yield, ANY, "the same"),
    (libc::SYS_sigaltstack, ANY, "start and end of a thread"),
    (libc::SYS_rt_sigprocmask, ANY, "start and end of a thread, panics"),
    (libc::SYS_rt_sigaction, ANY, "panics"),
    (libc::SYS_rt_sigreturn, ANY, "signals"),
    (libc::SYS_restart_syscall, ANY, "signals"),
    (libc::SYS_gettid, ANY, "start of a thread, panics"),
    (libc::SYS_getpid, ANY, "panics"),
    (libc::SYS_tgkill, ANY, "panics; Landlock leaves no other process to signal"),
    (libc::SYS_exit, ANY, "end of a thread"),
    (libc::SYS_exit_group, ANY, "end"),
];
