//! What code that broke out of a guest might ask the kernel for, by the numbers of x86-64.

#[cfg(target_arch = "x86_64")]
use std::arch::asm;
use std::path::Path;
use std::sync::mpsc::channel;
use std::{fs, thread};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use tollgate_audit::CallId;
use tollgate_capability::Access;
use tollgate_sandbox::trap::BLOCKED_EXIT;

use super::*;

#[test]
fn what_has_no_row_ends_the_host_and_is_written_down() {
    in_child("attacks::child_makes_calls_without_a_row");
}

#[test]
fn other_arguments_than_the_rows_end_the_host() {
    in_child("attacks::child_makes_calls_with_other_arguments");
}

#[test]
fn each_bit_of_each_compared_argument_counts() {
    in_child("attacks::child_perturbs_every_argument");
}

#[test]
fn a_file_outside_that_is_opened_for_nothing_can_have_its_times_set_and_no_more() {
    in_child("attacks::child_opens_for_nothing");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn foreign_numbers_are_killed() {
    in_child("attacks::child_uses_foreign_numbers");
}

#[test]
fn landlock_leaves_the_granted_folders_alone() {
    in_child("attacks::child_opens_files");
}

#[test]
fn every_thread_is_sealed_and_tested() {
    in_child("attacks::child_has_threads");
}

#[test]
fn a_sealed_host_still_panics_aborts_and_runs_out_of_memory() {
    in_child("attacks::child_fails_in_its_own_ways");
}

#[test]
fn a_host_that_blocks_the_signal_is_killed_by_it() {
    in_child("attacks::child_blocks_the_signal");
}

type Arguments = [u64; 6];

/// A raw system call.
fn call(number: i64, [a, b, c, d, e, f]: Arguments) -> i64 {
    // SAFETY: the filter is to stop it. Were it let through, it would act on this process alone, which ends.
    unsafe { libc::syscall(number, a, b, c, d, e, f) }
}

fn address<T: ?Sized>(of: &T) -> u64 {
    std::ptr::from_ref(of).cast::<u8>().addr() as u64
}

fn assert_blocked(plan: &KernelPlan, number: i64, arguments: Arguments) {
    let running = CallId::new(1, WRITER, 7);
    let ended = sealed(plan, || {
        trap::set_call(Some(running));
        call(number, arguments);
    });
    let name = tollgate_audit::syscall_name(tollgate_audit::AUDIT_ARCH_X86_64, number.unsigned_abs());
    assert_eq!(ended.status.exit_status(), Some(BLOCKED_EXIT), "{name:?} {arguments:?}: {ended:?}");
    let blocked = ended.blocked.unwrap_or_else(|| panic!("{name:?}: nothing was written down"));
    assert_eq!(blocked.number, number.unsigned_abs());
    assert_eq!(blocked.arguments, arguments, "{name:?}");
    assert_eq!(blocked.call, Some(running));
    assert_eq!(blocked.writer, WRITER);
    assert_eq!(blocked.thread.as_str(), "main");
    assert_ne!(blocked.instruction, 0);
}

const NONE: Arguments = [0; 6];
const FAR: u64 = libc::AT_FDCWD as u64;

const WITHOUT_A_ROW: &[i64] = &[
    libc::SYS_openat2,
    libc::SYS_openat,
    libc::SYS_statx,
    libc::SYS_unlinkat,
    libc::SYS_prlimit64,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_personality,
    libc::SYS_pkey_mprotect,
    libc::SYS_remap_file_pages,
    libc::SYS_io_uring_setup,
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_chroot,
    libc::SYS_prctl,
    libc::SYS_seccomp,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept4,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_vmsplice,
    libc::SYS_splice,
    libc::SYS_tee,
    libc::SYS_dup,
    libc::SYS_fcntl,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_setuid,
    libc::SYS_capset,
    libc::SYS_setsid,
    libc::SYS_sched_setscheduler,
    libc::SYS_epoll_create1,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
];

/// What only the older table has.
#[cfg(target_arch = "x86_64")]
const OLD_WITHOUT_A_ROW: &[i64] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_stat,
    libc::SYS_readlink,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_arch_prctl,
    libc::SYS_chmod,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_WITHOUT_A_ROW: &[i64] = &[];

#[test]
#[ignore = "run as a child"]
fn child_makes_calls_without_a_row() {
    let nothing = plan(&set(&[]));
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET, libc::AF_VSOCK];
    for family in families.into_iter().chain([libc::AF_ALG]) {
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_RAW] {
            assert_blocked(&nothing, libc::SYS_socket, [family as u64, kind as u64, 0, 0, 0, 0]);
        }
    }
    // The very call by which the last filter was laid over the first.
    let flags = libc::SECCOMP_FILTER_FLAG_TSYNC | libc::SECCOMP_FILTER_FLAG_LOG;
    assert_blocked(&nothing, libc::SYS_seccomp, [libc::SECCOMP_SET_MODE_FILTER.into(), flags, 0, 0, 0, 0]);
    let limit = [1_u64 << 30; 2];
    let raise = [libc::RLIMIT_DATA.into(), address(&limit), 0, 0, 0, 0];
    assert_blocked(&nothing, libc::SYS_setrlimit, raise);
    for number in WITHOUT_A_ROW.iter().chain(OLD_WITHOUT_A_ROW) {
        assert_blocked(&nothing, *number, NONE);
    }
}

#[test]
#[ignore = "run as a child"]
fn child_makes_calls_with_other_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let reads =
        plan(&set(&[(&folder.path().canonicalize().unwrap(), [Access::Read, Access::List].into_iter().collect())]));
    let page = 4096;
    let anonymous = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    let parent = u64::from(std::process::id());
    let path = c"/etc/passwd";
    for protection in [libc::PROT_EXEC, libc::PROT_READ | libc::PROT_EXEC, libc::PROT_WRITE | libc::PROT_EXEC] {
        let protection = protection as u64;
        assert_blocked(&reads, libc::SYS_mmap, [0, page, protection, anonymous, u64::MAX, 0]);
        assert_blocked(&reads, libc::SYS_mprotect, [0, page, protection, 0, 0, 0]);
        // The kernel looks at all bits of a protection, and so must the filter.
        assert_blocked(&reads, libc::SYS_mmap, [0, page, protection | 0x100_0000, anonymous, u64::MAX, 0]);
    }
    let terminal = [libc::TIOCSTI, libc::TCGETS, libc::FIONREAD, libc::FIOASYNC];
    for request in terminal.map(u64::from).into_iter().chain([0x1_0000_0000 | libc::TIOCSTI]) {
        assert_blocked(&reads, libc::SYS_ioctl, [0, request, 0, 0, 0, 0]);
    }
    for command in [libc::F_SETFL, libc::F_SETOWN, libc::F_DUPFD, libc::F_SETPIPE_SZ, libc::F_ADD_SEALS, libc::F_SETLK]
    {
        assert_blocked(&reads, libc::SYS_fcntl, [0, command as u64, 0, 0, 0, 0]);
    }
    for signal in [libc::SIGSYS, libc::SIGTERM, libc::SIGCHLD, 0, 64] {
        assert_blocked(&reads, libc::SYS_rt_sigaction, [signal as u64, 0, 0, 8, 0, 0]);
    }
    assert_blocked(&reads, libc::SYS_tgkill, [parent, parent, 0, 0, 0, 0]);
    assert_blocked(&reads, libc::SYS_sendto, [0, 0, 0, 0, address(path), 16]);
    assert_blocked(&reads, libc::SYS_sendto, [0, 0, 0, 0, 0x1_0000_0000, 16]);
    assert_blocked(&reads, libc::SYS_writev, [1, 0, 0, 0, 0, 0]);
    let directory = libc::O_DIRECTORY as u64;
    for flags in
        [libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR | libc::O_CREAT, libc::O_PATH, libc::O_TMPFILE | libc::O_RDWR]
    {
        assert_blocked(&reads, libc::SYS_openat, [FAR, address(path), flags as u64, 0o600, 0, 0]);
    }
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC].map(|flags| flags as u64 | directory) {
        assert_blocked(&reads, libc::SYS_openat, [FAR, address(path), flags, 0o600, 0, 0]);
    }
    // Each has a row only with a right that is not granted here.
    for number in [
        libc::SYS_pwrite64,
        libc::SYS_pwritev2,
        libc::SYS_ftruncate,
        libc::SYS_utimensat,
        libc::SYS_mkdirat,
        libc::SYS_symlinkat,
        libc::SYS_linkat,
        libc::SYS_unlinkat,
        libc::SYS_renameat2,
        libc::SYS_readlinkat,
    ] {
        assert_blocked(&reads, number, NONE);
    }
}

/// Per row: the allowed arguments pass, and with any bit of a compared one changed the filter stops the call, unless another
/// row allows that. While the process tests itself, what is stopped is noted and fails, so that one process tries all.
#[test]
#[ignore = "run as a child"]
fn child_perturbs_every_argument() {
    // These do not come back, or wait for ever; none of them compares anything.
    let not_run = [libc::SYS_exit, libc::SYS_exit_group, libc::SYS_rt_sigreturn, libc::SYS_ppoll];
    let folder = tempfile::tempdir().unwrap();
    let everything = plan(&set(&[(&folder.path().canonicalize().unwrap(), Access::ALL.into_iter().collect())]));
    assert_eq!(everything.calls.len(), ROWS.len());
    let ended = forked(|pipe| {
        let filtered = confine(&everything, Level::Full, &[pipe.as_fd()]).unwrap().filter().unwrap();
        self_test(&filtered.expected()).unwrap();
        let stopped = |number, arguments| {
            call(number, arguments);
            trap::take_noted()
        };
        let mut tried = 0;
        for row in ROWS.iter().map(|row| row.call).filter(|row| !not_run.contains(&row.number)) {
            let allowed = signatures::allowed(row.checks, signatures::takes(row.number).unwrap());
            assert_eq!(stopped(row.number, allowed), None, "{} {allowed:x?}", row.name);
            for argument in row.checks.iter().map(|check| usize::from(check.compared().0)) {
                for bit in 0..64 {
                    let mut arguments = allowed;
                    arguments[argument] ^= 1 << bit;
                    if !signatures::is_allowed(row.number, &arguments) {
                        assert_eq!(stopped(row.number, arguments), Some(row.number), "{} {arguments:x?}", row.name);
                        tried += 1;
                    }
                }
            }
        }
        assert!(tried > 2_000, "{tried}");
    });
    assert!(ended.well(), "{ended:?}");
}

/// What SECURITY.md says of times outside.
#[test]
#[ignore = "run as a child"]
fn child_opens_for_nothing() {
    let around = tempfile::tempdir().unwrap();
    let around = around.path().canonicalize().unwrap();
    let (granted, outside) = (around.join("granted"), around.join("outside"));
    fs::create_dir(&granted).unwrap();
    fs::write(&outside, "secret").unwrap();
    let path = std::ffi::CString::new(outside.to_str().unwrap()).unwrap();
    let ended = sealed(&plan(&set(&[(&granted, Access::ALL.into_iter().collect())])), || {
        let (how, mut bytes) = ([3_u64, 0, 0], [0_u8; 64]);
        let file = call(libc::SYS_openat2, [FAR, path.as_ptr().addr() as u64, address(&how), 24, 0, 0]);
        let file = u64::try_from(file).expect("the access mode 3 is not Landlock's");
        let buffer = bytes.as_mut_ptr().addr() as u64;
        let refused = |number, arguments: Arguments| assert_eq!(call(number, arguments), -1, "{number}");
        refused(libc::SYS_read, [file, buffer, 1, 0, 0, 0]);
        refused(libc::SYS_pread64, [file, buffer, 1, 0, 0, 0]);
        refused(libc::SYS_pwrite64, [file, buffer, 1, 0, 0, 0]);
        refused(libc::SYS_ftruncate, [file, 0, 0, 0, 0, 0]);
        refused(libc::SYS_getdents64, [file, buffer, 64, 0, 0, 0]);
        refused(libc::SYS_mmap, [0, 4096, libc::PROT_READ as u64, libc::MAP_PRIVATE as u64, file, 0]);
        let times = [1_000_u64, 0, 1_000, 0];
        assert_eq!(call(libc::SYS_utimensat, [file, 0, address(&times), 0, 0, 0]), 0);
    });
    assert!(ended.well(), "{ended:?}");
    assert_eq!(fs::read_to_string(&outside).unwrap(), "secret");
    let modified = fs::metadata(&outside).unwrap().modified().unwrap();
    assert_eq!(modified, std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000));
    fs::remove_dir_all(around).unwrap();
}

#[cfg(target_arch = "x86_64")]
#[test]
#[ignore = "run as a child"]
fn child_uses_foreign_numbers() {
    const GETPID_OF_32_BIT: u64 = 20;
    const X32: i64 = 0x4000_0000;
    let nothing = plan(&set(&[]));
    let killed = |ended: Ended| {
        assert_eq!(ended.status.terminating_signal(), Some(libc::SIGSYS), "{ended:?}");
        assert!(ended.blocked.is_none(), "{ended:?}");
    };
    killed(sealed(&nothing, || {
        // SAFETY: a system call that takes nothing and changes nothing.
        unsafe { asm!("int 0x80", inlateout("rax") GETPID_OF_32_BIT => _) };
    }));
    for number in [libc::SYS_getpid, libc::SYS_write, libc::SYS_mmap, libc::SYS_execve, 512, 547] {
        killed(sealed(&nothing, || {
            call(X32 | number, NONE);
        }));
    }
}

fn open(path: &Path, flags: OFlags) -> Result<(), Errno> {
    openat2(CWD, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::empty()).map(drop)
}

#[test]
#[ignore = "run as a child"]
fn child_opens_files() {
    let around = tempfile::tempdir().unwrap();
    let around = around.path().canonicalize().unwrap();
    let (readable, writable) = (around.join("readable"), around.join("writable"));
    for folder in [&readable, &writable] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("file"), "text").unwrap();
    }
    fs::write(around.join("outside"), "secret").unwrap();
    let folders = [
        (readable.as_path(), [Access::Read].into_iter().collect()),
        (writable.as_path(), [Access::Write, Access::Delete].into_iter().collect()),
    ];
    let ended = sealed(&plan(&set(&folders)), || {
        let (read, write) = (OFlags::RDONLY, OFlags::WRONLY);
        assert_eq!(open(&readable.join("file"), read), Ok(()));
        assert_eq!(open(&writable.join("file"), write), Ok(()));
        for (path, flags) in [
            (around.join("outside"), read),
            (around.join("outside"), write),
            (readable.join("file"), write),
            (readable.clone(), read | OFlags::DIRECTORY),
            (readable.join("new"), write | OFlags::CREATE),
            (writable.join("file"), read),
            (writable.join("new"), write | OFlags::CREATE),
            ("/proc/self/mem".into(), OFlags::RDWR),
            ("/proc/self/exe".into(), read),
            ("/dev/null".into(), write),
            ("/".into(), read | OFlags::DIRECTORY),
        ] {
            assert_eq!(open(&path, flags), Err(Errno::ACCESS), "{} {flags:?}", path.display());
        }
        let outside = rustix::fs::unlinkat(CWD, around.join("outside"), rustix::fs::AtFlags::empty());
        assert_eq!(outside, Err(Errno::ACCESS));
        // By the descriptor of a path that was only looked at, nothing more is reached.
        let looked = openat2(CWD, around.join("outside"), OFlags::PATH, Mode::empty(), ResolveFlags::empty()).unwrap();
        assert_eq!(open(Path::new(&format!("/proc/self/fd/{}", looked.as_raw_fd())), read), Err(Errno::ACCESS));
    });
    assert!(ended.well(), "{ended:?}");
    assert_eq!(fs::read_to_string(around.join("outside")).unwrap(), "secret");
    assert!(!around.join("readable/new").exists() && !around.join("writable/new").exists());
    fs::remove_dir_all(around).unwrap();
}

#[test]
#[ignore = "run as a child"]
fn child_has_threads() {
    let nothing = plan(&set(&[]));
    // A thread that was there before the filter is stopped by it, and is named in what is written down.
    let ended = forked(|pipe| {
        set_evidence(pipe.as_raw_fd(), WRITER);
        let confined = confine(&nothing, Level::Full, &[pipe.as_fd()]).unwrap();
        let (to_thread, go) = channel::<Expected>();
        let (to_main, tested) = channel();
        let thread = thread::spawn(move || {
            trap::name_thread("executor-1");
            to_main.send(None).unwrap();
            to_main.send(Some(self_test(&go.recv().unwrap()).unwrap())).unwrap();
            go.recv().unwrap_err();
            call(libc::SYS_getppid, NONE);
        });
        tested.recv().unwrap();
        let filtered = confined.filter().unwrap();
        to_thread.send(filtered.expected()).unwrap();
        let tests = [self_test(&filtered.expected()).unwrap(), tested.recv().unwrap().unwrap()];
        filtered.finish(&tests).unwrap();
        drop(to_thread);
        thread.join().unwrap();
    });
    assert_eq!(ended.status.exit_status(), Some(BLOCKED_EXIT), "{ended:?}");
    let blocked = ended.blocked.unwrap();
    assert_eq!((blocked.thread.as_str(), blocked.number), ("executor-1", libc::SYS_getppid.unsigned_abs()));

    // One that was not tested keeps the worker from serving, and one that is there too early keeps it from being sealed.
    let ended = forked(|pipe| {
        let confined = confine(&nothing, Level::Full, &[pipe.as_fd()]).unwrap();
        let (to_main, runs) = channel();
        thread::spawn(move || {
            to_main.send(()).unwrap();
            thread::park();
        });
        runs.recv().unwrap();
        let filtered = confined.filter().unwrap();
        let tested = self_test(&filtered.expected()).unwrap();
        let error = filtered.finish(&[tested]).unwrap_err();
        assert!(matches!(error, EnforceError::Untested { .. }), "{error}");
    });
    assert!(ended.well(), "{ended:?}");
    let ended = forked(|pipe| {
        thread::spawn(thread::park);
        let error = strip(&[pipe.as_fd()]).unwrap_err();
        assert!(matches!(error, EnforceError::Threads { threads: 2 }), "{error}");
    });
    assert!(ended.well(), "{ended:?}");
}

#[test]
#[ignore = "run as a child"]
fn child_blocks_the_signal() {
    // Whoever blocks the signal first is killed by it, and the kernel's own record is what is left.
    let ended = sealed(&plan(&set(&[])), || {
        let all = [u64::MAX];
        call(libc::SYS_rt_sigprocmask, [libc::SIG_BLOCK as u64, address(&all), 0, 8, 0, 0]);
        call(libc::SYS_getppid, NONE);
    });
    assert_eq!(ended.status.terminating_signal(), Some(libc::SIGSYS), "{ended:?}");
}

#[test]
#[ignore = "run as a child"]
fn child_fails_in_its_own_ways() {
    let nothing = plan(&set(&[]));
    let ended = sealed(&nothing, || panic!("on purpose"));
    assert_eq!(ended.status.exit_status(), Some(PANICKED), "{ended:?}");
    let ended = sealed(&nothing, || std::process::abort());
    assert_eq!(ended.status.terminating_signal(), Some(libc::SIGABRT), "{ended:?}");
    let ended = sealed(&nothing, || {
        let data = nothing.limits.iter().find(|row| row.resource == Limited::Data).unwrap().most;
        drop(std::hint::black_box(vec![1_u8; usize::try_from(data).unwrap() + 1]));
    });
    assert_eq!(ended.status.terminating_signal(), Some(libc::SIGABRT), "{ended:?}");
    // An entry that the pipe has no room for does not keep a blocked call from ending the worker.
    let ended = forked(|_pipe| {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
        while rustix::io::write(&write, &[0; 4096]).is_ok() {}
        set_evidence(write.as_raw_fd(), WRITER);
        let confined = confine(&nothing, Level::Full, &[write.as_fd(), read.as_fd()]).unwrap();
        let filtered = confined.filter().unwrap();
        let tested = self_test(&filtered.expected()).unwrap();
        filtered.finish(&[tested]).unwrap();
        call(libc::SYS_getppid, NONE);
    });
    assert_eq!(ended.status.exit_status(), Some(BLOCKED_EXIT), "{ended:?}");
}
