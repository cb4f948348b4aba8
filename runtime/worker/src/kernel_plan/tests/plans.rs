//! Plans as tables: exactly what a capability set brings, and never less for more rights.

use std::path::{Path, PathBuf};

use expect_test::expect;
use tollgate_capability::Access;

use super::*;

fn rights(words: &[Access]) -> AccessSet {
    words.iter().copied().collect()
}

/// One line per folder, the calls grouped by what brings them, the limits.
fn table(plan: &KernelPlan) -> String {
    let mut text = String::new();
    for FolderRule { host, rights, why, opened: _ } in &plan.folders {
        text.push_str(&format!("{}: {rights} ({})\n", host.display(), why.join("; ")));
    }
    for group in BroughtBy::ALL {
        let rows = plan.calls.iter().filter(|row| row.brought_by == group.as_str());
        let names: Vec<String> = rows
            .map(|row| {
                if row.arguments.is_empty() { row.name.to_owned() } else { format!("{}({})", row.name, row.arguments) }
            })
            .collect();
        if !names.is_empty() {
            text.push_str(&format!("{}: {}\n", group.as_str(), names.join(" ")));
        }
    }
    for LimitRow { resource, most, .. } in &plan.limits {
        text.push_str(&format!("{} {most}\n", resource.as_str()));
    }
    text
}

#[test]
fn nothing_granted() {
    expect![[r#"
        every worker: mmap(not PROT_EXEC; private) mprotect(not PROT_EXEC) munmap mremap(may move) madvise(MADV_DONTNEED) brk ioctl(PAGEMAP_SCAN) futex(wait) futex(wake) futex(wait until) sched_yield sched_getaffinity(this thread) clock_gettime(wall or monotonic) clock_nanosleep(wall or monotonic) getrandom(not GRND_RANDOM) read write writev(to stderr) recvfrom(MSG_DONTWAIT) recvmsg(MSG_CMSG_CLOEXEC) sendto(no address, MSG_NOSIGNAL) ppoll poll close sigaltstack rt_sigprocmask(block, unblock, set) rt_sigaction(SIGABRT) rt_sigaction(SIGSEGV) rt_sigaction(SIGBUS) rt_sigaction(SIGILL) rt_sigaction(SIGFPE) rt_sigreturn restart_syscall gettid getpid tgkill(this process, SIGABRT) exit exit_group
        CORE 0
        MSGQUEUE 0
        MEMLOCK 0
        NOFILE 1408
        DATA 5672796160
        NPROC 0
        FSIZE 0
    "#]].assert_eq(&table(&plan(&CapabilitySet::default())));
}

#[test]
fn a_folder_to_read() {
    let set = set(&[(Path::new("/srv/reports"), rights(&[Access::Read, Access::List]))]);
    expect![[r#"
        /srv/reports: READ_FILE READ_DIR (/0: read,list)
        every worker: mmap(not PROT_EXEC; private) mprotect(not PROT_EXEC) munmap mremap(may move) madvise(MADV_DONTNEED) brk ioctl(PAGEMAP_SCAN) futex(wait) futex(wake) futex(wait until) sched_yield sched_getaffinity(this thread) clock_gettime(wall or monotonic) clock_nanosleep(wall or monotonic) getrandom(not GRND_RANDOM) read write writev(to stderr) recvfrom(MSG_DONTWAIT) recvmsg(MSG_CMSG_CLOEXEC) sendto(no address, MSG_NOSIGNAL) ppoll poll close sigaltstack rt_sigprocmask(block, unblock, set) rt_sigaction(SIGABRT) rt_sigaction(SIGSEGV) rt_sigaction(SIGBUS) rt_sigaction(SIGILL) rt_sigaction(SIGFPE) rt_sigreturn restart_syscall gettid getpid tgkill(this process, SIGABRT) exit exit_group
        any folder: openat2(flags in memory: Landlock decides) fstat newfstatat(links as such, handles) statx(links as such, handles) fstatfs fcntl(F_GETFL) fsync fdatasync fadvise64(POSIX_FADV_*)
        fs read: pread64
        fs list: openat(O_RDONLY|O_DIRECTORY) getdents64
        CORE 0
        MSGQUEUE 0
        MEMLOCK 0
        NOFILE 1408
        DATA 5672796160
        NPROC 0
        FSIZE 0
    "#]].assert_eq(&table(&plan(&set)));
}

#[test]
fn everything() {
    let set = set(&[
        (Path::new("/srv/a"), Access::ALL.into_iter().collect()),
        (Path::new("/srv/b"), rights(&[Access::Metadata])),
    ]);
    expect![[r#"
        /srv/a: WRITE_FILE READ_FILE READ_DIR REMOVE_DIR REMOVE_FILE MAKE_DIR MAKE_REG MAKE_SYM REFER TRUNCATE (/0: read,write,create,delete,list,metadata)
        /srv/b:  (/1: metadata)
        every worker: mmap(not PROT_EXEC; private) mprotect(not PROT_EXEC) munmap mremap(may move) madvise(MADV_DONTNEED) brk ioctl(PAGEMAP_SCAN) futex(wait) futex(wake) futex(wait until) sched_yield sched_getaffinity(this thread) clock_gettime(wall or monotonic) clock_nanosleep(wall or monotonic) getrandom(not GRND_RANDOM) read write writev(to stderr) recvfrom(MSG_DONTWAIT) recvmsg(MSG_CMSG_CLOEXEC) sendto(no address, MSG_NOSIGNAL) ppoll poll close sigaltstack rt_sigprocmask(block, unblock, set) rt_sigaction(SIGABRT) rt_sigaction(SIGSEGV) rt_sigaction(SIGBUS) rt_sigaction(SIGILL) rt_sigaction(SIGFPE) rt_sigreturn restart_syscall gettid getpid tgkill(this process, SIGABRT) exit exit_group
        any folder: openat2(flags in memory: Landlock decides) fstat newfstatat(links as such, handles) statx(links as such, handles) fstatfs fcntl(F_GETFL) fsync fdatasync fadvise64(POSIX_FADV_*)
        fs read: pread64
        fs write: pwrite64 pwritev2(RWF_APPEND) ftruncate utimensat(no path) readlinkat
        fs create: mkdirat(permission bits) symlinkat readlinkat
        fs delete: unlinkat(AT_REMOVEDIR) readlinkat
        fs list: openat(O_RDONLY|O_DIRECTORY) getdents64
        fs metadata: readlinkat
        fs create and delete: renameat2(RENAME_NOREPLACE)
        fs create and read: linkat(AT_SYMLINK_FOLLOW)
        CORE 0
        MSGQUEUE 0
        MEMLOCK 0
        NOFILE 1408
        DATA 5672796160
        NPROC 0
    "#]].assert_eq(&table(&plan(&set)));
}

#[test]
fn two_tools_of_one_compartment() {
    let one = set(&[
        (Path::new("/srv/in"), rights(&[Access::Read])),
        (Path::new("/srv/out"), rights(&[Access::Create, Access::Write])),
    ]);
    let other =
        set(&[(Path::new("/srv/in"), rights(&[Access::Delete])), (Path::new("/srv/x"), rights(&[Access::List]))]);
    let both = united(plan(&one), plan(&other));
    assert_eq!(both, in_order_of(united(plan(&other), plan(&one)), &both));
    expect![[r#"
        /srv/in: READ_FILE REMOVE_DIR REMOVE_FILE REFER (/0: read; /0: delete)
        /srv/out: WRITE_FILE MAKE_DIR MAKE_REG MAKE_SYM REFER TRUNCATE (/1: write,create)
        /srv/x: READ_DIR (/1: list)
        every worker: mmap(not PROT_EXEC; private) mprotect(not PROT_EXEC) munmap mremap(may move) madvise(MADV_DONTNEED) brk ioctl(PAGEMAP_SCAN) futex(wait) futex(wake) futex(wait until) sched_yield sched_getaffinity(this thread) clock_gettime(wall or monotonic) clock_nanosleep(wall or monotonic) getrandom(not GRND_RANDOM) read write writev(to stderr) recvfrom(MSG_DONTWAIT) recvmsg(MSG_CMSG_CLOEXEC) sendto(no address, MSG_NOSIGNAL) ppoll poll close sigaltstack rt_sigprocmask(block, unblock, set) rt_sigaction(SIGABRT) rt_sigaction(SIGSEGV) rt_sigaction(SIGBUS) rt_sigaction(SIGILL) rt_sigaction(SIGFPE) rt_sigreturn restart_syscall gettid getpid tgkill(this process, SIGABRT) exit exit_group
        any folder: openat2(flags in memory: Landlock decides) fstat newfstatat(links as such, handles) statx(links as such, handles) fstatfs fcntl(F_GETFL) fsync fdatasync fadvise64(POSIX_FADV_*)
        fs read: pread64
        fs write: pwrite64 pwritev2(RWF_APPEND) ftruncate utimensat(no path) readlinkat
        fs create: mkdirat(permission bits) symlinkat readlinkat
        fs delete: unlinkat(AT_REMOVEDIR) readlinkat
        fs list: openat(O_RDONLY|O_DIRECTORY) getdents64
        fs create and read: linkat(AT_SYMLINK_FOLLOW)
        CORE 0
        MSGQUEUE 0
        MEMLOCK 0
        NOFILE 2560
        DATA 10808721408
        NPROC 0
    "#]].assert_eq(&table(&both));
}

#[test]
fn the_json_of_a_plan() {
    let mut plan = plan(&set(&[(Path::new("/srv/reports"), rights(&[Access::Read]))]));
    plan.calls.retain(|row| ["mmap", "pread64"].contains(&row.name));
    expect![[r#"{"folders":[{"host":"/srv/reports","rights":["READ_FILE"],"why":["/0: read"]}],"calls":[{"number":9,"name":"mmap","arguments":"not PROT_EXEC; private","why":"memory of guests and of the worker","brought_by":"every worker"},{"number":17,"name":"pread64","arguments":"","why":"read, and streams","brought_by":"fs read"}],"limits":[{"resource":"CORE","most":0,"why":"a dump would hold what guests hold"},{"resource":"MSGQUEUE","most":0,"why":"there are none"},{"resource":"MEMLOCK","most":0,"why":"nothing is locked"},{"resource":"NOFILE","most":1408,"why":"handles of each call, and the worker's own"},{"resource":"DATA","most":5672796160,"why":"memory, texts and stacks of each call, and the worker's own"},{"resource":"NPROC","most":0,"why":"every thread is started by then"},{"resource":"FSIZE","most":0,"why":"no folder may be written"}]}"#]].assert_eq(&plan.to_json());
}

/// The same plan with the reasons of each folder in the order that another has them.
fn in_order_of(mut plan: KernelPlan, other: &KernelPlan) -> KernelPlan {
    for (mine, theirs) in plan.folders.iter_mut().zip(&other.folders) {
        mine.why.sort_by_key(|why| theirs.why.iter().position(|other| other == why));
    }
    plan
}

/// All sets of rights over two folders: 4,096 of them.
#[test]
fn more_rights_never_mean_less() {
    let sets = || (0_u32..64).map(|bits| Access::ALL.into_iter().filter(move |right| bits & (1 << *right as u32) != 0));
    let folders = [PathBuf::from("/srv/a"), PathBuf::from("/srv/b")];
    for (one, other) in sets().flat_map(|one| sets().map(move |other| (one.clone(), other))) {
        let (one, other): (AccessSet, AccessSet) = (one.collect(), other.collect());
        let before = plan(&set(&[(&folders[0], one), (&folders[1], other)]));
        for right in Access::ALL {
            let after = plan(&set(&[(&folders[0], one.with(right)), (&folders[1], other)]));
            for (old, new) in before.folders.iter().zip(&after.folders) {
                assert!(new.rights.contains_all(old.rights), "{one} and {other}, with {right}: {old:?} {new:?}");
            }
            assert!(before.calls.iter().all(|row| after.calls.contains(row)), "{one} and {other}, with {right}");
        }
        let never = ["EXECUTE", "MAKE_CHAR", "MAKE_BLOCK", "MAKE_SOCK", "MAKE_FIFO", "IOCTL_DEV", "RESOLVE_UNIX"];
        for rule in &before.folders {
            assert!(rule.rights.names().iter().all(|name| !never.contains(name)), "{rule:?}");
        }
    }
}

#[test]
fn every_row_says_why_and_checks_what_it_says() {
    for Row { call: row, .. } in ROWS {
        assert!(!row.why.is_empty(), "{}", row.name);
        assert_eq!(row.checks.is_empty(), row.arguments.is_empty(), "{}", row.name);
        let arch = if cfg!(target_arch = "x86_64") {
            tollgate_audit::AUDIT_ARCH_X86_64
        } else {
            tollgate_audit::AUDIT_ARCH_AARCH64
        };
        assert_eq!(tollgate_audit::syscall_name(arch, row.number.unsigned_abs()), Some(row.name));
    }
}

/// What this architecture's table has alone.
const HERE_ALONE: &[&str] = if cfg!(target_arch = "x86_64") { &["poll"] } else { &[] };

#[test]
fn the_rows_are_calls_of_both_architectures() {
    let numbers = |arch, name: &str| {
        let has = |number: &u64| tollgate_audit::syscall_name(arch, *number) == Some(name);
        (0..NUMBERS_MAX).filter(has).count()
    };
    for Row { call: row, .. } in ROWS {
        let (x86, arm) = (
            numbers(tollgate_audit::AUDIT_ARCH_X86_64, row.name),
            numbers(tollgate_audit::AUDIT_ARCH_AARCH64, row.name),
        );
        let expected = if HERE_ALONE.contains(&row.name) { (1, 0) } else { (1, 1) };
        assert_eq!((x86, arm), expected, "{}: how many numbers it has on x86-64 and on aarch64", row.name);
    }
}

/// Numbers of system calls are below this on both architectures.
const NUMBERS_MAX: u64 = 1_024;

#[test]
fn what_lets_a_host_loose_has_no_row() {
    let never = [
        libc::SYS_openat2,
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_execve,
        libc::SYS_socket,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_sendmsg,
        libc::SYS_prctl,
        libc::SYS_seccomp,
        libc::SYS_landlock_restrict_self,
        libc::SYS_kill,
        libc::SYS_ptrace,
        libc::SYS_memfd_create,
        libc::SYS_shmat,
        libc::SYS_personality,
        libc::SYS_pkey_mprotect,
        libc::SYS_io_uring_setup,
        libc::SYS_prlimit64,
        libc::SYS_fchmod,
        libc::SYS_fchown,
        libc::SYS_setxattr,
        libc::SYS_vmsplice,
        libc::SYS_splice,
    ];
    let everything = plan(&set(&[(Path::new("/srv"), Access::ALL.into_iter().collect())]));
    let (opens, rest) = never.split_first().unwrap();
    assert!(everything.allows(*opens) && !plan(&CapabilitySet::default()).allows(*opens));
    assert!(rest.iter().all(|number| !everything.allows(*number)));
}
