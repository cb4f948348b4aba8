//! The arguments of each system call of the table: which are flags, a command or the like. The drill tries all of their values
//! that no row names.

use libc::c_int;
use tollgate_sandbox::Check;

use super::rows::ROWS;

/// An argument of a system call.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// A descriptor. The attacks give one that is not open.
    Descriptor,
    /// An address, a length, an offset, or another number that means nothing but itself.
    Number,
    /// Flags or a command, with the names that the kernel has for its values.
    Flags(&'static [Flag]),
}

/// A name, in the words of the manual, and its value.
pub type Flag = (&'static str, u64);

use Takes::{Descriptor as Fd, Flags, Number as N};

/// The arguments of a call of the table. A new row without an entry here fails the tests of the drill.
pub fn takes(number: i64) -> Option<&'static [Takes]> {
    let found = SIGNATURES.iter().find(|(other, _)| *other == number);
    #[cfg(target_arch = "x86_64")]
    let found = found.or(if number == libc::SYS_poll { Some(&POLL) } else { None });
    found.map(|(_, takes)| *takes)
}

/// Arguments with which the kernel refuses the call, if nothing else does.
#[must_use]
pub fn allowed(checks: &[Check], takes: &[Takes]) -> [u64; 6] {
    let mut arguments = [0; 6];
    for (argument, takes) in arguments.iter_mut().zip(takes) {
        if let Takes::Descriptor = takes {
            // -1, as an `int`.
            *argument = u64::from(u32::MAX);
        }
    }
    for check in checks {
        let (argument, _mask, value) = check.compared();
        if let Some(argument) = arguments.get_mut(usize::from(argument)) {
            *argument = value;
        }
    }
    arguments
}

/// Whether any row lets the call through.
#[must_use]
pub fn is_allowed(number: i64, arguments: &[u64; 6]) -> bool {
    let mut rows = ROWS.iter().filter(|row| row.call.number == number);
    rows.any(|row| row.call.checks.iter().all(|check| check.passes(arguments)))
}

#[cfg(target_arch = "x86_64")]
static POLL: (i64, &[Takes]) = (libc::SYS_poll, &[N, N, N]);

static SIGNATURES: &[(i64, &[Takes])] = &[
    (libc::SYS_mmap, &[N, N, Flags(PROT), Flags(MAP), Fd, N]),
    (libc::SYS_mprotect, &[N, N, Flags(PROT)]),
    (libc::SYS_munmap, &[N, N]),
    (libc::SYS_mremap, &[N, N, N, Flags(MREMAP), N]),
    (libc::SYS_madvise, &[N, N, Flags(MADV)]),
    (libc::SYS_brk, &[N]),
    (libc::SYS_ioctl, &[Fd, Flags(IOCTL), N]),
    (libc::SYS_futex, &[N, Flags(FUTEX), N, N, N, N]),
    (libc::SYS_sched_yield, &[]),
    (libc::SYS_sched_getaffinity, &[Flags(&[("parent", 1)]), N, N]),
    (libc::SYS_clock_gettime, &[Flags(CLOCK), N]),
    (libc::SYS_clock_nanosleep, &[Flags(CLOCK), Flags(&[]), N, N]),
    (libc::SYS_getrandom, &[N, N, Flags(&[("grnd-random", 2)])]),
    (libc::SYS_read, &[Fd, N, N]),
    (libc::SYS_write, &[Fd, N, N]),
    (libc::SYS_writev, &[Flags(&[("stdin", 0), ("stdout", 1)]), N, N]),
    (libc::SYS_recvfrom, &[Fd, N, N, Flags(MSG), N, N]),
    (libc::SYS_recvmsg, &[Fd, N, Flags(MSG)]),
    (libc::SYS_sendto, &[Fd, N, N, Flags(MSG), Flags(&[("address", 1)]), N]),
    (libc::SYS_ppoll, &[N, N, N, N, N]),
    (libc::SYS_close, &[Fd]),
    (libc::SYS_sigaltstack, &[N, N]),
    (libc::SYS_rt_sigprocmask, &[Flags(&[]), N, N, N]),
    (libc::SYS_rt_sigaction, &[Flags(SIGNAL), N, N, N]),
    (libc::SYS_rt_sigreturn, &[]),
    (libc::SYS_restart_syscall, &[]),
    (libc::SYS_gettid, &[]),
    (libc::SYS_getpid, &[]),
    (libc::SYS_tgkill, &[Flags(&[("parent", 1)]), N, Flags(SIGNAL)]),
    (libc::SYS_exit, &[N]),
    (libc::SYS_exit_group, &[N]),
    (libc::SYS_openat2, &[Fd, N, N, Flags(&[("longer", 32)])]),
    (libc::SYS_fstat, &[Fd, N]),
    (libc::SYS_fstatfs, &[Fd, N]),
    (libc::SYS_newfstatat, &[Fd, N, N, Flags(AT)]),
    // What is asked about, the fourth, changes nothing but the answer.
    (libc::SYS_statx, &[Fd, N, Flags(AT), N, N]),
    (libc::SYS_fcntl, &[Fd, Flags(FCNTL), N]),
    (libc::SYS_fsync, &[Fd]),
    (libc::SYS_fdatasync, &[Fd]),
    (libc::SYS_fadvise64, &[Fd, N, N, Flags(&[])]),
    (libc::SYS_pread64, &[Fd, N, N, N]),
    (libc::SYS_pwrite64, &[Fd, N, N, N]),
    (libc::SYS_pwritev2, &[Fd, N, N, N, N, Flags(RWF)]),
    (libc::SYS_ftruncate, &[Fd, N]),
    (libc::SYS_utimensat, &[Fd, Flags(&[("path", 1)]), N, Flags(AT)]),
    (libc::SYS_mkdirat, &[Fd, N, Flags(&[("sticky", 0o1000), ("setgid", 0o2000), ("setuid", 0o4000)])]),
    (libc::SYS_symlinkat, &[N, Fd, N]),
    (libc::SYS_unlinkat, &[Fd, N, Flags(AT)]),
    (libc::SYS_openat, &[Fd, N, Flags(OPEN), N]),
    (libc::SYS_getdents64, &[Fd, N, N]),
    (libc::SYS_readlinkat, &[Fd, N, N, N]),
    (libc::SYS_renameat2, &[Fd, N, Fd, N, Flags(RENAME)]),
    (libc::SYS_linkat, &[Fd, N, Fd, N, Flags(AT)]),
];

const fn value(value: c_int) -> u64 {
    value.unsigned_abs() as u64
}

/// Rows of names and values from the C library's constants.
macro_rules! flags {
    ($($name:literal $constant:ident),* $(,)?) => { &[$(($name, value(libc::$constant))),*] };
}

const PROT: &[Flag] = &[
    ("exec", value(libc::PROT_EXEC)),
    ("sem", 8),
    ("growsdown", value(libc::PROT_GROWSDOWN)),
    ("growsup", value(libc::PROT_GROWSUP)),
];
const MAP: &[Flag] = flags![
    "shared" MAP_SHARED, "shared-validate" MAP_SHARED_VALIDATE, "growsdown" MAP_GROWSDOWN, "denywrite" MAP_DENYWRITE,
    "executable" MAP_EXECUTABLE, "locked" MAP_LOCKED, "populate" MAP_POPULATE, "nonblock" MAP_NONBLOCK,
    "hugetlb" MAP_HUGETLB, "sync" MAP_SYNC, "fixed-noreplace" MAP_FIXED_NOREPLACE,
];
const MREMAP: &[Flag] = &[("fixed", value(libc::MREMAP_FIXED)), ("dontunmap", 4)];
const MADV: &[Flag] = flags![
    "normal" MADV_NORMAL, "willneed" MADV_WILLNEED, "free" MADV_FREE, "remove" MADV_REMOVE, "dontfork" MADV_DONTFORK,
    "dofork" MADV_DOFORK, "hwpoison" MADV_HWPOISON, "mergeable" MADV_MERGEABLE, "hugepage" MADV_HUGEPAGE,
    "dontdump" MADV_DONTDUMP, "dodump" MADV_DODUMP, "wipeonfork" MADV_WIPEONFORK, "cold" MADV_COLD,
    "pageout" MADV_PAGEOUT,
];
const IOCTL: &[Flag] = &[
    ("tiocsti", 0x5412),
    ("tioclinux", 0x541c),
    ("fionread", 0x541b),
    ("fioasync", 0x5452),
    ("ficlone", 0x4004_9409),
    ("setflags", 0x4008_6602),
];
const FUTEX: &[Flag] = flags![
    "fd" FUTEX_FD, "requeue" FUTEX_REQUEUE, "cmp-requeue" FUTEX_CMP_REQUEUE, "wake-op" FUTEX_WAKE_OP,
    "lock-pi" FUTEX_LOCK_PI, "unlock-pi" FUTEX_UNLOCK_PI, "trylock-pi" FUTEX_TRYLOCK_PI,
    "wake-bitset" FUTEX_WAKE_BITSET, "wait-requeue-pi" FUTEX_WAIT_REQUEUE_PI, "cmp-requeue-pi" FUTEX_CMP_REQUEUE_PI,
    "lock-pi2" FUTEX_LOCK_PI2,
];
const CLOCK: &[Flag] = &[
    ("process-cpu", value(libc::CLOCK_PROCESS_CPUTIME_ID)),
    ("thread-cpu", value(libc::CLOCK_THREAD_CPUTIME_ID)),
    ("boottime", value(libc::CLOCK_BOOTTIME)),
    ("tai", value(libc::CLOCK_TAI)),
    // `~pid << 3 | 2`: the time that process 1 has had.
    ("of-another", 0xffff_ffff_ffff_fff2),
];
const MSG: &[Flag] = flags![
    "oob" MSG_OOB, "peek" MSG_PEEK, "dontroute" MSG_DONTROUTE, "trunc" MSG_TRUNC, "eor" MSG_EOR, "waitall" MSG_WAITALL,
    "confirm" MSG_CONFIRM, "errqueue" MSG_ERRQUEUE, "more" MSG_MORE, "fastopen" MSG_FASTOPEN,
    "waitforone" MSG_WAITFORONE, "nosignal" MSG_NOSIGNAL, "cmsg-cloexec" MSG_CMSG_CLOEXEC,
];
const AT: &[Flag] = flags![
    "nofollow" AT_SYMLINK_NOFOLLOW, "removedir" AT_REMOVEDIR, "follow" AT_SYMLINK_FOLLOW,
    "no-automount" AT_NO_AUTOMOUNT, "empty-path" AT_EMPTY_PATH, "recursive" AT_RECURSIVE,
    "force-sync" AT_STATX_FORCE_SYNC, "dont-sync" AT_STATX_DONT_SYNC,
];
const FCNTL: &[Flag] = flags![
    "dupfd" F_DUPFD, "getfd" F_GETFD, "setfd" F_SETFD, "setfl" F_SETFL, "getlk" F_GETLK, "setlk" F_SETLK,
    "setown" F_SETOWN, "setlease" F_SETLEASE, "notify" F_NOTIFY, "setpipe-sz" F_SETPIPE_SZ, "add-seals" F_ADD_SEALS,
    "dupfd-cloexec" F_DUPFD_CLOEXEC,
];
const RWF: &[Flag] = &[
    ("hipri", 1),
    ("dsync", 2),
    ("sync", 4),
    ("nowait", 8),
    ("noappend", 0x20),
    ("atomic", 0x40),
    ("dontcache", 0x80),
];
const OPEN: &[Flag] = flags![
    "wronly" O_WRONLY, "rdwr" O_RDWR, "accmode" O_ACCMODE, "creat" O_CREAT, "excl" O_EXCL, "noctty" O_NOCTTY,
    "trunc" O_TRUNC, "append" O_APPEND, "dsync" O_DSYNC, "async" O_ASYNC, "direct" O_DIRECT, "noatime" O_NOATIME,
    "path" O_PATH, "sync" O_SYNC, "tmpfile" O_TMPFILE,
];
const RENAME: &[Flag] = &[("exchange", libc::RENAME_EXCHANGE as u64), ("whiteout", libc::RENAME_WHITEOUT as u64)];
const SIGNAL: &[Flag] = flags![
    "sighup" SIGHUP, "sigint" SIGINT, "sigtrap" SIGTRAP, "sigkill" SIGKILL, "sigterm" SIGTERM, "sigchld" SIGCHLD,
    "sigstop" SIGSTOP, "sigsys" SIGSYS, "sigurg" SIGURG,
];
