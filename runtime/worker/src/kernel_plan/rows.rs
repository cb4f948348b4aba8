//! The system calls of a worker that runs tools, once it is sealed: every row says why, and what brings it. What has no row
//! ends the worker.
//!
//! A row compares every argument that is flags, a command or the like, in all 64 bits: what it does not name is not allowed,
//! whatever the kernel makes of it one day. Which arguments those are is in `signatures`, and the drill tries the others.
//! `openat2` has its flags in memory, where no filter sees them: there Landlock decides what is opened, made or cut.
//! What it does not decide is `O_PATH` and the access mode 3, which give a descriptor that can be neither read nor written.
//!
//! Deliberately absent: starting threads, processes or programs; sockets of its own; opening by any call but `openat2`,
//! and `openat` of folders; pages that can be executed; changing modes, owners or attributes; `seccomp`, `landlock_*` and
//! `prctl`, so that nothing is added or taken away later; limits.

use tollgate_capability::{Access, AccessSet};
use tollgate_sandbox::{ANY, CallRow, Check, NOT_EXECUTABLE, PAGEMAP_SCAN};

/// What makes a row part of a worker's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BroughtBy {
    /// Every worker needs it.
    EveryWorker,
    /// Any granted folder, whatever its rights.
    AnyFolder,
    /// This right below any folder.
    Right(Access),
    /// `create` below a folder and `delete` below one: names move.
    CreateAndDelete,
    /// `create` below a folder and `read` below one: files are linked.
    CreateAndRead,
}

impl BroughtBy {
    /// Every value, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::EveryWorker,
        Self::AnyFolder,
        Self::Right(Access::Read),
        Self::Right(Access::Write),
        Self::Right(Access::Create),
        Self::Right(Access::Delete),
        Self::Right(Access::List),
        Self::Right(Access::Metadata),
        Self::CreateAndDelete,
        Self::CreateAndRead,
    ];

    /// Whether it is there where the granted folders, if any, have these rights together.
    pub(crate) fn is_in(self, folders: Option<AccessSet>) -> bool {
        let has = |right| folders.is_some_and(|rights| rights.contains(right));
        match self {
            Self::EveryWorker => true,
            Self::AnyFolder => folders.is_some(),
            Self::Right(right) => has(right),
            Self::CreateAndDelete => has(Access::Create) && has(Access::Delete),
            Self::CreateAndRead => has(Access::Create) && has(Access::Read),
        }
    }

    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EveryWorker => "every worker",
            Self::AnyFolder => "any folder",
            Self::Right(Access::Read) => "fs read",
            Self::Right(Access::Write) => "fs write",
            Self::Right(Access::Create) => "fs create",
            Self::Right(Access::Delete) => "fs delete",
            Self::Right(Access::List) => "fs list",
            Self::Right(Access::Metadata) => "fs metadata",
            Self::CreateAndDelete => "fs create and delete",
            Self::CreateAndRead => "fs create and read",
        }
    }
}

/// A system call, and what makes it part of a worker's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// What brings it.
    pub brought_by: BroughtBy,
    /// The call.
    pub call: CallRow,
}

/// A row: the name comes from the constant's.
macro_rules! row {
    ($number:ident, $brought_by:expr, $why:literal) => {
        row!($number, ANY, "", $brought_by, $why)
    };
    ($number:ident, $checks:expr, $arguments:literal, $brought_by:expr, $why:literal) => {
        Row {
            brought_by: $brought_by,
            call: CallRow {
                number: libc::$number,
                name: stringify!($number).split_at("SYS_".len()).1,
                checks: $checks,
                arguments: $arguments,
                why: $why,
                brought_by: $brought_by.as_str(),
            },
        }
    };
}

const WORKER: BroughtBy = BroughtBy::EveryWorker;
const FOLDER: BroughtBy = BroughtBy::AnyFolder;
const READ: BroughtBy = BroughtBy::Right(Access::Read);
const WRITE: BroughtBy = BroughtBy::Right(Access::Write);
const CREATE: BroughtBy = BroughtBy::Right(Access::Create);
const DELETE: BroughtBy = BroughtBy::Right(Access::Delete);
const LIST: BroughtBy = BroughtBy::Right(Access::List);
const METADATA: BroughtBy = BroughtBy::Right(Access::Metadata);

const fn flags(flags: i32) -> u64 {
    flags.unsigned_abs() as u64
}

/// `openat` of a folder to read it: `O_DIRECTORY` is set, and beside it nothing but what changes nothing.
const READS_FOLDER: Check = Check::Bits {
    argument: 2,
    mask: !(flags(libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK) | LARGE_FILE),
    value: flags(libc::O_DIRECTORY),
};

/// `O_LARGEFILE` as the kernel has it: to the C library it is 0, and passed all the same.
pub(crate) const LARGE_FILE: u64 = if cfg!(target_arch = "aarch64") { 0o400_000 } else { 0o100_000 };

/// What `mmap` is for: private memory, of nothing or of a file in memory.
const PRIVATE_MEMORY: Check = Check::only(
    3,
    flags(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE | libc::MAP_STACK),
);

/// A command of `futex`, by whichever clock, in this process or not.
const fn futex(command: i32) -> Check {
    let options = flags(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
    Check::Bits { argument: 1, mask: !options, value: flags(command) }
}

/// `CLOCK_REALTIME` is 0 and `CLOCK_MONOTONIC` 1. Other numbers may stand for the clocks of other processes.
const TWO_CLOCKS: Check = Check::only(0, 1);
const LOOKS: u64 = flags(libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW);
const SENDS: Check = Check::only(3, flags(libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT));
/// `sizeof(struct open_how)`, without what newer kernels add to it.
const OPEN_HOW_BYTES: u32 = 24;

/// All rows.
pub static ROWS: &[Row] = &[
    row!(
        SYS_mmap,
        &[NOT_EXECUTABLE, PRIVATE_MEMORY],
        "not PROT_EXEC; private",
        WORKER,
        "memory of guests and of the worker"
    ),
    row!(SYS_mprotect, &[NOT_EXECUTABLE], "not PROT_EXEC", WORKER, "a guest's memory grows; pages of the heap"),
    row!(SYS_munmap, WORKER, "memory of guests and of the worker"),
    row!(SYS_mremap, &[Check::only(3, flags(libc::MREMAP_MAYMOVE))], "may move", WORKER, "large buffers grow"),
    row!(
        SYS_madvise,
        &[Check::is(2, libc::MADV_DONTNEED.unsigned_abs())],
        "MADV_DONTNEED",
        WORKER,
        "a slot of the pool is cleaned"
    ),
    row!(SYS_brk, WORKER, "the heap"),
    row!(SYS_ioctl, &[Check::is(1, PAGEMAP_SCAN)], "PAGEMAP_SCAN", WORKER, "which pages of a slot are dirty"),
    row!(SYS_futex, &[futex(libc::FUTEX_WAIT)], "wait", WORKER, "threads wait for each other"),
    row!(SYS_futex, &[futex(libc::FUTEX_WAKE)], "wake", WORKER, "the same"),
    row!(SYS_futex, &[futex(libc::FUTEX_WAIT_BITSET)], "wait until", WORKER, "the same, until a time"),
    row!(SYS_sched_yield, WORKER, "a lock is tried again"),
    row!(SYS_sched_getaffinity, &[Check::is(0, 0)], "this thread", WORKER, "the heap asks how many arenas it may have"),
    row!(SYS_clock_gettime, &[TWO_CLOCKS], "wall or monotonic", WORKER, "where it is no vDSO call"),
    row!(
        SYS_clock_nanosleep,
        &[TWO_CLOCKS, Check::only(1, flags(libc::TIMER_ABSTIME))],
        "wall or monotonic",
        WORKER,
        "the ticker of epochs sleeps"
    ),
    row!(
        SYS_getrandom,
        &[Check::only(2, (libc::GRND_NONBLOCK | libc::GRND_INSECURE) as u64)],
        "not GRND_RANDOM",
        WORKER,
        "hash maps, salts, random bytes of guests"
    ),
    row!(SYS_read, WORKER, "requests from the supervisor; answers of the notary"),
    row!(SYS_write, WORKER, "entries into the notary's pipe; answers to the supervisor; panics"),
    row!(SYS_writev, &[Check::is(0, 2)], "to stderr", WORKER, "last words of the C library"),
    row!(
        SYS_recvfrom,
        &[Check::only(3, flags(libc::MSG_DONTWAIT))],
        "MSG_DONTWAIT",
        WORKER,
        "answers of the notary; requests from the supervisor"
    ),
    row!(
        SYS_recvmsg,
        &[Check::only(2, flags(libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT))],
        "MSG_CMSG_CLOEXEC",
        WORKER,
        "the same, on sockets that keep packets apart"
    ),
    row!(
        SYS_sendto,
        &[SENDS, Check::is_null(4)],
        "no address, MSG_NOSIGNAL",
        WORKER,
        "questions to the notary; answers to the supervisor"
    ),
    row!(SYS_ppoll, WORKER, "waits for the notary and the supervisor"),
    #[cfg(target_arch = "x86_64")]
    row!(SYS_poll, WORKER, "the same"),
    row!(SYS_close, WORKER, "descriptors"),
    row!(SYS_sigaltstack, WORKER, "a thread's first call, and its end"),
    row!(SYS_rt_sigprocmask, &[Check::only(0, 3)], "block, unblock, set", WORKER, "panics; the end of a thread"),
    row!(
        SYS_rt_sigaction,
        &[Check::is(0, libc::SIGABRT.unsigned_abs())],
        "SIGABRT",
        WORKER,
        "panics that end the worker"
    ),
    row!(
        SYS_rt_sigaction,
        &[Check::is(0, libc::SIGSEGV.unsigned_abs())],
        "SIGSEGV",
        WORKER,
        "a crash of the worker ends it"
    ),
    row!(SYS_rt_sigaction, &[Check::is(0, libc::SIGBUS.unsigned_abs())], "SIGBUS", WORKER, "the same"),
    row!(SYS_rt_sigaction, &[Check::is(0, libc::SIGILL.unsigned_abs())], "SIGILL", WORKER, "the same"),
    row!(SYS_rt_sigaction, &[Check::is(0, libc::SIGFPE.unsigned_abs())], "SIGFPE", WORKER, "the same"),
    row!(SYS_rt_sigreturn, WORKER, "a trap of a guest is handled"),
    row!(SYS_restart_syscall, WORKER, "a wait goes on after a signal"),
    row!(SYS_gettid, WORKER, "panics that end the worker"),
    row!(SYS_getpid, WORKER, "the same"),
    row!(
        SYS_tgkill,
        &[Check::OwnProcess { argument: 0 }, Check::is(2, libc::SIGABRT.unsigned_abs())],
        "this process, SIGABRT",
        WORKER,
        "the same"
    ),
    row!(SYS_exit, WORKER, "the end of a thread"),
    row!(SYS_exit_group, WORKER, "the end"),
    row!(
        SYS_openat2,
        &[Check::is(3, OPEN_HOW_BYTES)],
        "flags in memory: Landlock decides",
        FOLDER,
        "preopens, and everything below them; Landlock leaves no other folder"
    ),
    row!(SYS_fstat, FOLDER, "what was opened is what was decided on"),
    row!(SYS_newfstatat, &[Check::only(3, LOOKS)], "links as such, handles", FOLDER, "the same, by older C libraries"),
    row!(SYS_statx, &[Check::only(2, LOOKS)], "links as such, handles", FOLDER, "stat of handles and of names"),
    row!(SYS_fstatfs, FOLDER, "file systems of the kernel's own are refused"),
    row!(SYS_fcntl, &[Check::is(1, libc::F_GETFL.unsigned_abs())], "F_GETFL", FOLDER, "flags of handles"),
    row!(SYS_fsync, FOLDER, "sync: any handle may be flushed"),
    row!(SYS_fdatasync, FOLDER, "sync-data"),
    row!(SYS_fadvise64, &[Check::only(3, 7)], "POSIX_FADV_*", FOLDER, "advise"),
    row!(SYS_pread64, READ, "read, and streams"),
    row!(SYS_pwrite64, WRITE, "write, and streams"),
    row!(SYS_pwritev2, &[Check::only(5, flags(libc::RWF_APPEND))], "RWF_APPEND", WRITE, "append"),
    row!(SYS_ftruncate, WRITE, "set-size, and open with truncate"),
    row!(SYS_utimensat, &[Check::is_null(1), Check::is(3, 0)], "no path", WRITE, "set-times, of open files"),
    row!(SYS_mkdirat, &[Check::only(2, 0o777)], "permission bits", CREATE, "create-directory-at"),
    row!(SYS_symlinkat, CREATE, "symlink-at"),
    row!(
        SYS_unlinkat,
        &[Check::only(2, flags(libc::AT_REMOVEDIR))],
        "AT_REMOVEDIR",
        DELETE,
        "unlink-file-at, remove-directory-at"
    ),
    row!(SYS_openat, &[READS_FOLDER], "O_RDONLY|O_DIRECTORY", LIST, "a folder is opened anew to be listed"),
    row!(SYS_getdents64, LIST, "read-directory"),
    row!(SYS_readlinkat, METADATA, "readlink-at"),
    row!(SYS_readlinkat, WRITE, "open-at: whether a link leads to a policy"),
    row!(SYS_readlinkat, CREATE, "the same; rename-at and link-at: where a link leads that gets a name"),
    row!(SYS_readlinkat, DELETE, "open-at: whether a link leads to a policy"),
    row!(
        SYS_renameat2,
        &[Check::only(4, libc::RENAME_NOREPLACE as u64)],
        "RENAME_NOREPLACE",
        BroughtBy::CreateAndDelete,
        "rename-at"
    ),
    row!(
        SYS_linkat,
        &[Check::is(4, libc::AT_SYMLINK_FOLLOW.unsigned_abs())],
        "AT_SYMLINK_FOLLOW",
        BroughtBy::CreateAndRead,
        "link-at, of the file that is held; Landlock leaves none outside"
    ),
];
