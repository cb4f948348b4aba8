//! Parts of the kernel that a worker has no use for: each is a door that has been broken before.
//!
//! Where an attack could harm the machine if nothing stopped it, its arguments are such that the kernel refuses them.

#[cfg(target_arch = "x86_64")]
use super::Stop;
#[cfg(target_arch = "x86_64")]
use super::machine;
use super::raw::{descriptor, raw};
use super::{Alone, Attack};

const PRIVILEGED: Alone = Alone::Depends("it takes a capability, or a part that the kernel may lack");
const REFUSED_ANYWAY: Alone = Alone::Depends("its arguments are such that the kernel refuses them");

pub(super) const ATTACKS: &[Attack] = &[
    Attack::blocked("io-uring", "make system calls past the filter (io_uring)", libc::SYS_io_uring_setup, |_| {
        let mut parameters = [0_u64; 15];
        raw!(libc::SYS_io_uring_setup, 4, &mut parameters)
    })
    .alone(PRIVILEGED),
    Attack::blocked("io-uring-enter", "drive an io_uring", libc::SYS_io_uring_enter, |ground| {
        raw!(libc::SYS_io_uring_enter, ground.held.pipe, 1, 0, 0, 0, 0)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("io-uring-register", "register with an io_uring", libc::SYS_io_uring_register, |ground| {
        raw!(libc::SYS_io_uring_register, ground.held.pipe, 0, 0, 0)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("aio", "read and write by the old asynchronous calls", libc::SYS_io_setup, |_| {
        let mut context = [0_u64; 1];
        raw!(libc::SYS_io_setup, 1, &mut context)
    })
    .alone(PRIVILEGED),
    Attack::blocked("bpf", "load a program into the kernel", libc::SYS_bpf, |_| {
        // BPF_MAP_CREATE: an array, keys of 4 bytes, values of 8, one of them.
        let map = [2_u32, 4, 8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        raw!(libc::SYS_bpf, 0, &map, size_of_val(&map) as u64)
    })
    .alone(PRIVILEGED),
    Attack::blocked("userfaultfd", "stop the kernel in the middle of a copy", libc::SYS_userfaultfd, |_| {
        raw!(libc::SYS_userfaultfd, 1)
    })
    .alone(PRIVILEGED),
    Attack::blocked("perf-event", "watch the processor", libc::SYS_perf_event_open, |_| {
        // struct perf_event_attr: type software, size 112, config task-clock, kernel excluded.
        let mut about = [0_u64; 14];
        about[0] = 1 | 112 << 32;
        about[1] = 1;
        about[5] = 1 << 5 | 1 << 6;
        raw!(libc::SYS_perf_event_open, &about, 0, -1, -1, 0)
    })
    .alone(PRIVILEGED),
    Attack::blocked("keyctl", "read the kernel's keys", libc::SYS_keyctl, |_| raw!(libc::SYS_keyctl, 0, -3, 0))
        .alone(PRIVILEGED),
    Attack::blocked("add-key", "put something into the kernel's keys", libc::SYS_add_key, |_| {
        raw!(libc::SYS_add_key, c"user", c"tollgate-drill", c"x", 1, -2)
    })
    .alone(PRIVILEGED),
    Attack::blocked("request-key", "have the kernel run a program for a key", libc::SYS_request_key, |_| {
        raw!(libc::SYS_request_key, c"user", c"tollgate-drill-none", 0, 0)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("mount", "mount something", libc::SYS_mount, |ground| {
        let flags = libc::MS_REMOUNT | libc::MS_BIND;
        raw!(libc::SYS_mount, c"none", &ground.folder()?, c"tmpfs", flags, 0)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("umount", "unmount something", libc::SYS_umount2, |ground| {
        raw!(libc::SYS_umount2, &ground.folder()?, 0)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("open-tree", "copy a tree of mounts", libc::SYS_open_tree, |ground| {
        raw!(libc::SYS_open_tree, libc::AT_FDCWD, &ground.folder()?, 0)
    }),
    Attack::blocked("move-mount", "move a mount", libc::SYS_move_mount, |ground| {
        let folder = ground.folder()?;
        raw!(libc::SYS_move_mount, libc::AT_FDCWD, &folder, libc::AT_FDCWD, &folder, 0)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("fsopen", "make a filesystem", libc::SYS_fsopen, |_| raw!(libc::SYS_fsopen, c"tmpfs", 0))
        .alone(PRIVILEGED),
    Attack::blocked("fsconfig", "configure a filesystem", libc::SYS_fsconfig, |ground| {
        raw!(libc::SYS_fsconfig, ground.held.pipe, 6, 0, 0, 0)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("fsmount", "mount a filesystem that was made", libc::SYS_fsmount, |ground| {
        raw!(libc::SYS_fsmount, ground.held.pipe, 0, 0)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("fspick", "take hold of a filesystem", libc::SYS_fspick, |ground| {
        raw!(libc::SYS_fspick, libc::AT_FDCWD, &ground.folder()?, 0)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("mount-attributes", "change a mount", libc::SYS_mount_setattr, |ground| {
        raw!(libc::SYS_mount_setattr, libc::AT_FDCWD, &ground.folder()?, 0, &[0_u64; 4], 32)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("list-mounts", "list the machine's mounts", SYS_LISTMOUNT, |_| {
        let mut found = [0_u64; 16];
        // struct mnt_id_req: size, spare, LSMT_ROOT, the last one seen.
        raw!(SYS_LISTMOUNT, &[24, u64::MAX, 0], &mut found, 16, 0)
    })
    .alone(Alone::Depends("it is of Linux 6.8")),
    Attack::blocked("pivot-root", "change the root of all files", libc::SYS_pivot_root, |ground| {
        let folder = ground.folder()?;
        raw!(libc::SYS_pivot_root, &folder, &folder)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("unshare-user", "become root in a new namespace", libc::SYS_unshare, |_| {
        raw!(libc::SYS_unshare, libc::CLONE_NEWUSER)
    })
    .alone(Alone::Depends("a process with threads cannot")),
    Attack::blocked("unshare-files", "part from what threads share", libc::SYS_unshare, |_| {
        raw!(libc::SYS_unshare, libc::CLONE_FS | libc::CLONE_FILES)
    }),
    Attack::blocked("setns", "enter a namespace of the supervisor", libc::SYS_setns, |ground| {
        raw!(libc::SYS_setns, ground.held.pipe, 0)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("swapon", "have memory written to a file", libc::SYS_swapon, |ground| {
        raw!(libc::SYS_swapon, &ground.file()?, 0)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("swapoff", "take memory away", libc::SYS_swapoff, |ground| {
        raw!(libc::SYS_swapoff, &ground.file()?)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("reboot", "switch the machine off", libc::SYS_reboot, |_| raw!(libc::SYS_reboot, 0, 0, 0, 0))
        .alone(REFUSED_ANYWAY),
    Attack::blocked("load-module", "load a kernel module", libc::SYS_init_module, |_| {
        raw!(libc::SYS_init_module, c"", 0, c"")
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("load-module-file", "load a kernel module from a file", libc::SYS_finit_module, |ground| {
        raw!(libc::SYS_finit_module, ground.held.pipe, c"", 0)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("remove-module", "remove a kernel module", libc::SYS_delete_module, |_| {
        raw!(libc::SYS_delete_module, c"tollgate_drill_none", libc::O_NONBLOCK)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("kexec", "start another kernel", libc::SYS_kexec_load, |_| {
        raw!(libc::SYS_kexec_load, 0, u64::MAX, 0, 0)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("kexec-file", "start another kernel from files", libc::SYS_kexec_file_load, |ground| {
        raw!(libc::SYS_kexec_file_load, ground.held.pipe, ground.held.pipe, 0, 0, u64::MAX)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("accounting", "have the kernel write a file on every process", libc::SYS_acct, |ground| {
        raw!(libc::SYS_acct, &ground.folder()?)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("kernel-log", "read the kernel's messages", libc::SYS_syslog, |_| raw!(libc::SYS_syslog, 10, 0, 0))
        .alone(PRIVILEGED),
    Attack::blocked("set-clock", "set the machine's clock", libc::SYS_clock_settime, |_| {
        raw!(libc::SYS_clock_settime, libc::CLOCK_REALTIME, &[0, u64::MAX])
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("set-time-of-day", "set it by the older call", libc::SYS_settimeofday, |_| {
        raw!(libc::SYS_settimeofday, &[0, u64::MAX], 0)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("tune-clock", "make the machine's clock run wrong", libc::SYS_clock_adjtime, |_| {
        raw!(libc::SYS_clock_adjtime, -1, &[0_u64; 32])
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("host-name", "rename the machine", libc::SYS_sethostname, |_| {
        raw!(libc::SYS_sethostname, c"drill", -1)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("hang-up", "hang up the terminal", libc::SYS_vhangup, |_| raw!(libc::SYS_vhangup))
        .alone(Alone::Never("it would hang up the terminal")),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("segment-table", "write the processor's segment table", libc::SYS_modify_ldt, |_| {
        let mut table = [0_u64; 2];
        raw!(libc::SYS_modify_ldt, 0, &mut table, 16)
    })
    .alone(PRIVILEGED),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("thread-segment", "move the thread's own segment", libc::SYS_arch_prctl, |_| {
        let mut base = [0_u64; 1];
        // ARCH_GET_FS: reading is harmless, and the filter does not tell them apart.
        raw!(libc::SYS_arch_prctl, 0x1003, &mut base)
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("port-level", "speak to devices directly (iopl)", libc::SYS_iopl, |_| raw!(libc::SYS_iopl, 0))
        .alone(PRIVILEGED),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("ports", "speak to devices directly (ioperm)", libc::SYS_ioperm, |_| {
        raw!(libc::SYS_ioperm, 0x80, 1, 0)
    })
    .alone(PRIVILEGED),
    Attack::blocked("move-pages", "move memory of another process", libc::SYS_move_pages, |ground| {
        raw!(libc::SYS_move_pages, ground.aim.notary, 0, 0, 0, 0, 0)
    })
    .alone(PRIVILEGED),
    Attack::blocked("migrate-pages", "move all memory of another process", libc::SYS_migrate_pages, |ground| {
        raw!(libc::SYS_migrate_pages, ground.aim.notary, 1, &[0_u64; 1], &[0_u64; 1])
    })
    .alone(PRIVILEGED),
    Attack::blocked("memory-policy", "choose where memory is", libc::SYS_set_mempolicy, |_| {
        raw!(libc::SYS_set_mempolicy, 0, 0, 0)
    })
    .alone(PRIVILEGED),
    Attack::blocked("secret-memory", "make memory that the kernel cannot see", libc::SYS_memfd_secret, |_| {
        raw!(libc::SYS_memfd_secret, 0)
    })
    .alone(PRIVILEGED),
    Attack::blocked("lock-memory", "hold memory for good", libc::SYS_mlockall, |_| {
        raw!(libc::SYS_mlockall, libc::MCL_CURRENT)
    })
    .alone(PRIVILEGED),
    Attack::blocked("lookup-cookie", "look up a path by a cookie", libc::SYS_lookup_dcookie, |_| {
        let mut path = [0_u64; 8];
        raw!(libc::SYS_lookup_dcookie, 0, &mut path, 64)
    })
    .alone(REFUSED_ANYWAY),
    Attack::blocked("membarrier", "interrupt every processor", libc::SYS_membarrier, |_| {
        raw!(libc::SYS_membarrier, 0, 0, 0)
    }),
    Attack::blocked(
        "restart-sequence",
        "register memory that the kernel writes at every switch",
        libc::SYS_rseq,
        |_| raw!(libc::SYS_rseq, &[0_u64; 4], 32, 0, 0x53053053),
    )
    .alone(Alone::Depends("the C library has registered already")),
    Attack::blocked("signal-descriptor", "take signals before their handler does", libc::SYS_signalfd4, |_| {
        raw!(libc::SYS_signalfd4, -1, &[1_u64 << 30; 1], 8, 0)
    }),
    Attack::blocked("timer-descriptor", "make a timer", libc::SYS_timerfd_create, |_| {
        raw!(libc::SYS_timerfd_create, libc::CLOCK_MONOTONIC, 0)
    }),
    Attack::blocked("new-pipe", "make a pipe", libc::SYS_pipe2, |_| {
        let mut ends = [0_i32; 2];
        descriptor(raw!(libc::SYS_pipe2, &mut ends, 0)?)?;
        Ok(i64::from(ends[0]))
    }),
    Attack::blocked("unknown-call", "make a system call that no kernel has", UNKNOWN, |_| raw!(UNKNOWN))
        .alone(REFUSED_ANYWAY),
    #[cfg(target_arch = "x86_64")]
    Attack::new("negative-call", "make a system call with a negative number", Stop::Killed(libc::SIGSYS), |_| raw!(-1))
        .alone(REFUSED_ANYWAY)
        .in_gateway(Stop::Refused(-1)),
    #[cfg(target_arch = "x86_64")]
    Attack::new("old-table", "make a call through the 32-bit table (int 0x80)", Stop::Killed(libc::SIGSYS), |_| {
        machine::int_0x80([machine::OLD_GETPID, 0, 0, 0])
    })
    .alone(Alone::Depends("the kernel may not run 32-bit programs")),
    #[cfg(target_arch = "x86_64")]
    Attack::new("old-table-socket", "make a socket through the 32-bit table", Stop::Killed(libc::SIGSYS), |_| {
        machine::int_0x80([machine::OLD_SOCKET, libc::AF_INET.unsigned_abs(), libc::SOCK_STREAM.unsigned_abs(), 0])
    })
    .alone(Alone::Depends("the kernel may not run 32-bit programs")),
    #[cfg(target_arch = "x86_64")]
    Attack::new("x32-call", "make a call by its x32 number", Stop::Killed(libc::SIGSYS), |_| {
        raw!(X32 | libc::SYS_getpid)
    })
    .in_gateway(Stop::Refused(X32 | libc::SYS_getpid))
    .alone(Alone::Depends("few kernels run x32 programs")),
    #[cfg(target_arch = "x86_64")]
    Attack::new("x32-open", "read a file outside by the x32 number of open(2)", Stop::Killed(libc::SIGSYS), |ground| {
        raw!(X32 | libc::SYS_open, &ground.file()?, libc::O_RDONLY)
    })
    .in_gateway(Stop::Refused(X32 | libc::SYS_open))
    .alone(Alone::Depends("few kernels run x32 programs")),
];

/// The bit by which x32 programs are told apart; the architecture is the same.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// Far beyond the highest number of any kernel.
const UNKNOWN: i64 = 9999;

/// Linux 6.8, the same on every architecture.
const SYS_LISTMOUNT: i64 = 458;
